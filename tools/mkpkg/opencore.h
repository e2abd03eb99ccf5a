/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MKPKG_OPENCORE_H
#define MKPKG_OPENCORE_H

#include "tools/mkpkg/package.h"

/* Writes the zip archive for the boot loader OpenCore; out is empty before. */
void opencore_write(struct buf *out, const struct package *p);

#endif
