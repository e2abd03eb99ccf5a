/* SPDX-License-Identifier: BSD-2-Clause */
/* Which processors a Mach-O file is for: what a Bom lists and OpenCore asks. */
#ifndef MKPKG_MACHO_H
#define MKPKG_MACHO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/span.h"

#define MACHO_CPU_I386	 0x00000007U
#define MACHO_CPU_X86_64 0x01000007U
#define MACHO_MAX_ARCHES 16

struct macho_arch {
	uint32_t cpu, subtype;
	struct span slice;
};

struct macho {
	bool fat;
	size_t count; /* 0: not a Mach-O file */
	struct macho_arch arch[MACHO_MAX_ARCHES];
};

/* False when the file is a fat one whose table is broken; anything else is no error. */
bool macho_read(struct macho *m, struct span file);

bool macho_has(const struct macho *m, uint32_t cpu);

#endif
