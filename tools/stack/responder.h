/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * server.h's protocol on the stack itself: the other machine is the one that connects.
 */
#ifndef STACK_RESPONDER_H
#define STACK_RESPONDER_H

#include "tools/stack/stack.h"

struct responder;

struct responder_stats {
	unsigned connections, served; /* served: to the end, and right */
	uint64_t sent, received;      /* bytes of content */
	unsigned bad;		      /* requests that were none, content that was wrong */
};

/* Listen; connections are served while the stack runs. NULL: no memory, or the port is taken. */
struct responder *responder_start(uint16_t port);
void responder_stats(const struct responder *r, struct responder_stats *out);
/* Ends all connections. NULL is allowed. */
void responder_stop(struct responder *r);

#endif
