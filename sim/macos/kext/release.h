/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What each release offers to a kext: names, and the order of functions in vtables. The data is
 * made at build time from the tables beside the interface headers.
 *
 * Names are as in a Mach-O file, with the underscore that C puts before them.
 */
#ifndef SIM_MACOS_KEXT_RELEASE_H
#define SIM_MACOS_KEXT_RELEASE_H

#include <stdint.h>
#include <string>
#include <vector>

struct xnu_export {
	const char *name;
	const char *bundle; /* to be named in OSBundleLibraries */
	uint16_t releases;  /* bit n: 10.n */
};
struct xnu_slot {
	uint16_t number;
	uint16_t releases;
	const char *name;
};
struct xnu_class {
	const char *name;
	const char *base; /* 0: none */
	uint16_t slots;
	uint16_t rows;
	const struct xnu_slot *row; /* slots without one are the base's */
};

extern const struct xnu_export xnu_exports[];
extern const unsigned xnu_exports_count;
extern const struct xnu_class xnu_classes[];
extern const unsigned xnu_classes_count;

#define XNU_FIRST 6 /* what kexts are built against, and so are our own vtables */

/* 0: that release does not export it. */
const struct xnu_export *xnu_export_of(const char *name, int release);
/* "10.6-10.12"; "" if no release exports it. */
std::string xnu_export_span(const char *name);

/* The functions of a class, without the two words before them. False: no such class. */
bool xnu_vtable(const std::string &name, int release, std::vector<std::string> *slots);

#define XNU_PURE "___cxa_pure_virtual"
/* A spare slot that a later release may fill. */
bool xnu_spare(const std::string &symbol);

/*
 * A version as the kernel compares them; -1: none it takes. [XNU-KEXT-1]
 */
int64_t xnu_version(const char *text);

struct xnu_bundle {
	const char *version;
	const char *compatible; /* the oldest version that one may ask for */
};
/* What a release has of Apple's bundles. False: not that one. */
bool xnu_bundle_of(const char *identifier, int release, std::string *version,
		   std::string *compatible);

/* "IOService::start(IOService*)" */
std::string xnu_readable(const std::string &symbol);

#endif
