/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kexts as the user's machine would get them: out of the installer package, byte for byte.
 */
#ifndef VIORUN_PACKAGE_H
#define VIORUN_PACKAGE_H

#include <stdbool.h>
#include <stddef.h>

struct package {
	char dir[64];	     /* where the kexts were put, "" for none: ours to remove */
	char from[4096];     /* the package or folder they came from */
	char component[128]; /* of the package; "" when it was a folder */
	char err[256];	     /* what went wrong, one line */
};

/*
 * path: a package, a folder that holds X.kext folders, or NULL for the newest viokit-*.pkg beside
 * the build of this program. The component is the one the installer would choose for 10.`release`.
 */
bool package_open(struct package *p, const char *path, unsigned release);
/* The folder of a bundle. False: it is not there (err). */
bool package_kext(struct package *p, const char *name, char *path, size_t len);
void package_close(struct package *p);

#endif
