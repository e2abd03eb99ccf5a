/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MKPKG_CPIO_H
#define MKPKG_CPIO_H

#include <stdint.h>

#include "tools/mkpkg/buf.h"
#include "tools/mkpkg/tree.h"

/* Appends a closed tree as a portable ("odc") cpio archive. */
void cpio_write(struct buf *out, const struct tree *t, uint32_t mtime);

#endif
