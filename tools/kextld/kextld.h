/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kextld as a library: bytes in, bytes out. The program is a thin face over it; so are the fuzzer
 * and the tests. Nothing here looks at files, clocks or the environment: the same inputs give the
 * same output.
 */
#ifndef KEXTLD_KEXTLD_H
#define KEXTLD_KEXTLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/span.h"

enum kextld_arch {
	KEXTLD_ARCH_ANY, /* that of the first object */
	KEXTLD_ARCH_X86_64,
	KEXTLD_ARCH_I386,
};

struct kextld_input {
	const char *name; /* for messages and the map only */
	struct span bytes;
};

struct kextld_options {
	enum kextld_arch arch;
	bool all_load;	   /* every member of every archive */
	bool strip_locals; /* but C++ names, which the kernel's linker looks up by address */
	bool want_map;

	/* Which definitions stay visible; none given: all. A name may end in '*'. */
	const char *const *exports;
	size_t export_count;

	/* Set to have the linker define _kmod_info; NULL: an object does. */
	const char *kmod_name;
	const char *kmod_version;
};

struct kextld_output {
	uint8_t *data;
	size_t len;
	char *map; /* text, NUL at the end; NULL if not asked for */
	size_t map_len;
	char error[512]; /* one line, when false was returned */
};

/* Links objects, archives, and universal files of either. True: out holds the image; free it with
 * kextld_free(). False: out->error says what was wrong with which file and symbol. */
bool kextld_link(const struct kextld_options *options, const struct kextld_input *inputs,
		 size_t count, struct kextld_output *out);

/* Joins finished images for different processors into one universal file, in the order given. */
bool kextld_join(const struct kextld_input *slices, size_t count, struct kextld_output *out);

void kextld_free(struct kextld_output *out);

#endif
