/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MKPKG_XAR_H
#define MKPKG_XAR_H

#include <stdint.h>

#include "tools/mkpkg/buf.h"
#include "tools/mkpkg/tree.h"

/* Appends a closed tree as a xar archive, the container of a flat package. */
void xar_write(struct buf *out, const struct tree *t, uint32_t mtime);

#endif
