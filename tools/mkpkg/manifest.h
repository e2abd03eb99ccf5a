/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What goes where: a text file that mkpkg is told to follow. packaging/viokit.conf is the one of
 * this project.
 *
 * One clause a line, words separated by blanks, # to the end of a line is a comment. Paths are
 * relative to the manifest's folder; the last word of component, file and kexts may hold blanks.
 *
 *   name WORD                     files are named WORD-VERSION...
 *   distribution FILE             the template of Distribution (see package.h)
 *   resources DIR                 what the installer shows
 *   license FILE                  LICENSE.txt of the zip archive
 *   opencore FILE                 README.txt of the zip archive
 *   darwin MIN MAX                kernel versions that OpenCore gives the kexts to
 *
 *   component NAME ID LOCATION    begins NAME.pkg with identifier ID, installed to LOCATION
 *   kexts                         the component holds the kexts
 *   scripts DIR                   its preinstall, postinstall and what they include
 *   file SOURCE PATH              it holds a file, at PATH below LOCATION
 */
#ifndef MKPKG_MANIFEST_H
#define MKPKG_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>

#define MANIFEST_MAX_COMPONENTS 8
#define MANIFEST_MAX_FILES	32

struct manifest_file {
	char *source, *path;
};

struct manifest_component {
	char *name, *id, *location;
	char *scripts; /* or NULL */
	bool kexts;
	struct manifest_file file[MANIFEST_MAX_FILES];
	size_t files;
};

struct manifest {
	char *name, *distribution, *resources, *license, *opencore, *darwin_min, *darwin_max;
	struct manifest_component component[MANIFEST_MAX_COMPONENTS];
	size_t components;
};

void manifest_read(struct manifest *m, const char *path);
void manifest_free(struct manifest *m);

#endif
