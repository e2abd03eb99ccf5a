/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kexts to be packed: what their Info.plist says, and in which order they load.
 *
 * A kext is refused unless it is whole: a bundle NAME.kext with Contents/Info.plist, of type KEXT,
 * with identifier, version and an executable that is a Mach-O file. kext_load() puts dependencies
 * (OSBundleLibraries) before their users, and otherwise sorts by identifier, so that the order of
 * the command line cannot be seen in what is written.
 */
#ifndef MKPKG_KEXT_H
#define MKPKG_KEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "tools/mkpkg/tree.h"

#define KEXT_MAX 32

struct kext {
	char *name; /* VirtioPCI.kext */
	char *id, *version, *short_version;
	char *executable; /* Contents/MacOS/VirtioPCI */
	char **libraries; /* identifiers it links with, NULL at the end */
	bool i386, x86_64;
	struct tree tree; /* the bundle's contents, closed */
};

struct kexts {
	struct kext kext[KEXT_MAX];
	size_t count;
};

void kext_load(struct kexts *all, char *const *paths, size_t count);
void kext_free(struct kexts *all);

/* Adds a kext below the folder into; "" is the root. */
void kext_put(struct tree *t, const char *into, const struct kext *k);

#endif
