/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MKPKG_ZIP_H
#define MKPKG_ZIP_H

#include <stdint.h>

#include "tools/mkpkg/buf.h"
#include "tools/mkpkg/tree.h"

/* Writes a closed tree as a zip archive that keeps Unix modes; out is empty before. */
void zip_write(struct buf *out, const struct tree *t, uint32_t mtime);

#endif
