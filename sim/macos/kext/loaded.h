/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between the files of this folder: a kext, from the property list to the running image.
 */
#ifndef SIM_MACOS_KEXT_LOADED_H
#define SIM_MACOS_KEXT_LOADED_H

#include <plist/plist.h>
#include <stdint.h>
#include <string>
#include <vector>

#include "guest/ports/xnu/kpi/collections.h"
#include "sim/macos/kext/macho.h"

struct kext_library {
	std::string identifier, version;
};

/* One of its classes, or "X::MetaClass". Parents come first. */
struct kext_class {
	std::string name, parent;
	uint64_t vtable; /* its first slot, in the image */
	std::vector<std::string> slots;
};

/* A word of the image that takes the parent's entry in that slot. */
struct kext_patch {
	size_t reloc;
	uint64_t address;
	std::string parent, name;
	unsigned slot;
};

struct kmod_info;

struct kext {
	/* Of the bundle. */
	std::string path, identifier, version, compatible;
	std::vector<kext_library> libraries;
	plist_t info;
	std::string sha256;
	struct macho program;

	/* Of the linker. */
	std::vector<struct kext *> depends; /* those of its libraries that are kexts of ours */
	std::vector<kext_class> classes;
	std::vector<kext_patch> patches;
	std::vector<bool> patched; /* per relocation: a patch takes its place */

	/* Of the image; base is 0 without one. */
	uint8_t *base;
	size_t mapped;
	uint8_t *stubs, *stubs_end;
	struct kmod_info *kmod;
	bool started;
};

/* ---- bundle.cpp ---- */

/* Read it all; 0: `why` has a line. */
struct kext *kext_open(const std::string &path, std::string *why);
void kext_close(struct kext *k);
/* The bundle of that identifier in the same folder as this one; "": none. */
std::string kext_beside(const struct kext &k, const std::string &identifier);
/* Whether a bundle of these versions serves one who asks for `asked`; "": yes. */
std::string kext_version_fits(const std::string &identifier, const std::string &version,
			      const std::string &compatible, const std::string &asked);

/* ---- vtable.cpp, link.cpp ---- */

typedef std::vector<std::string> kext_lines;

/* Finds classes and patches; refusals are appended. */
void kext_vtables(struct kext *k, int release, kext_lines *refusals);
/* Everything the linker checks, with that. k->depends is set. */
void kext_link(struct kext *k, int release, kext_lines *refusals);
/* The class of that name in this kext or what it depends on; `owner` may be 0. */
const kext_class *kext_class_named(const struct kext &k, const std::string &name,
				   const struct kext **owner);

/* ---- binding.cpp ---- */

/* A function or object of ours for a name that the release exports; 0: not simulated. */
void *kext_host(const std::string &symbol);
/* Whether the name is that of data: there can be no trap for that. */
bool kext_is_data(const struct kext &k, const std::string &symbol);
/* Put addresses into the mapped image. False: `why`. */
bool kext_bind(struct kext *k, int release, std::string *why);

/* ---- image.cpp ---- */

bool kext_map(struct kext *k, std::string *why);
/* Its place is never used again. */
void kext_unmap(struct kext *k);
/* Code beside the image: jump there, with `name` as the first argument unless it is 0. */
void *kext_stub(struct kext *k, const void *target, const char *name);
void kext_faults(bool on);

/* ---- personality.cpp ---- */

/* Owned by the caller; 0 with an empty `why`: it has none. */
OSArray *kext_personalities(const struct kext &k, std::string *why);

/* ---- life.cpp ---- */

bool kext_start(struct kext *k, std::string *why);
/* False: it goes on running. */
bool kext_stop(struct kext *k, std::string *why);

#endif
