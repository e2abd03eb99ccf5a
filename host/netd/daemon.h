/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `vmnet daemon`: the process around the broker. Sets up folders, log, state file and control
 * socket (its own, or one handed over by systemd), runs the loop, ends when idle or told to.
 */
#ifndef NETD_DAEMON_H
#define NETD_DAEMON_H

#include <stdbool.h>

struct daemon_options {
	bool foreground; /* stay, and log to standard error; else go on in the background */
};

/* The exit status: 0, 1 (the system), 2 (the user's mistake; one line on standard error). */
int daemon_main(const struct daemon_options *options);

#endif
