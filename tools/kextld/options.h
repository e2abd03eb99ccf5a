/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line of kextld. */
#ifndef KEXTLD_OPTIONS_H
#define KEXTLD_OPTIONS_H

#include "tools/kextld/kextld.h"

struct options {
	struct kextld_options link;
	bool universal;
	const char *output, *map;
	const char **files;
	size_t file_count;
	const char **exports; /* link.exports points here */
	char *export_text;    /* and some of those into this */
};

enum options_result {
	OPTIONS_RUN,
	OPTIONS_DONE,	/* --help, --version: all said */
	OPTIONS_WRONG,	/* the user's mistake, all said */
	OPTIONS_FAILED, /* the system's */
};

enum options_result options_parse(struct options *options, int argc, char **argv);
void options_free(struct options *options);

#endif
