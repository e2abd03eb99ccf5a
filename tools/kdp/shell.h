/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands of kdp, from its command line, a file or a terminal. */
#ifndef KDP_SHELL_H
#define KDP_SHELL_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/kdp/kdp_client.h"

#define SHELL_BREAKPOINTS 100u

struct shell {
	struct kdp_client *client;
	bool json;     /* one object a line on standard output, for each command */
	bool reattach; /* how to connect when a command needs it */
	bool quit;
	uint64_t breakpoints[SHELL_BREAKPOINTS];
	unsigned nbreakpoints;
};

/* 0, 1: it failed, 2: it is no command or not well formed. Says why on standard error. */
int shell_run(struct shell *s, const char *line);
void shell_help(void);

#endif
