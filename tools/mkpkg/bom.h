/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MKPKG_BOM_H
#define MKPKG_BOM_H

#include <stdint.h>

#include "tools/mkpkg/buf.h"
#include "tools/mkpkg/tree.h"

/* Appends the bill of materials of a closed tree, all of it root:wheel and of one time. */
void bom_write(struct buf *out, const struct tree *t, uint32_t mtime);

#endif
