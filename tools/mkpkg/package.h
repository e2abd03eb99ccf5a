/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MKPKG_PACKAGE_H
#define MKPKG_PACKAGE_H

#include <stdint.h>

#include "tools/mkpkg/buf.h"
#include "tools/mkpkg/kext.h"
#include "tools/mkpkg/manifest.h"

struct package {
	const struct manifest *manifest;
	const struct kexts *kexts;
	const char *version;
	uint32_t time; /* the one time that everything carries */
};

/* Writes a flat installer package. */
void package_write(struct buf *out, const struct package *p);

#endif
