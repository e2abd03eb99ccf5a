/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Holding a place on a network for as long as a command runs, whatever becomes of the daemon.
 *
 * A place lives as long as the connection that asked for it. When that breaks, the daemon is gone:
 * it is started anew, and asked for the same place again, at first at once, then at growing
 * intervals. Nothing is said of that unless it takes long, as a VM may be drawing on the terminal.
 */
#ifndef CLI_HOLD_H
#define CLI_HOLD_H

#include "host/cli/cli.h"

struct hold {
	const struct cli *cli;
	struct vmnet_client *client; /* NULL: lost */
	/* Ask for the place on a new connection. */
	bool (*ask)(struct hold *h, bool again, struct vmnet_error *err);
	/* An event that came. */
	void (*event)(struct hold *h, const json_t *event);
	void *arg;
	bool over; /* nothing to hold any more: it is not asked for again */
	bool told;
	int64_t lost_ms, next_ms;
	int wait_ms;
};

/* The first time. False: err. */
bool hold_begin(struct hold *h, struct vmnet_error *err);
/* To poll for reading; -1: nothing. */
int hold_fd(const struct hold *h);
/* For poll: until hold_turn has something to do. */
int hold_timeout(const struct hold *h);
/* Reads what came, and gets the place back if it was lost. */
void hold_turn(struct hold *h);
void hold_end(struct hold *h);
int64_t hold_now_ms(void);

#endif
