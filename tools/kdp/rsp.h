/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gdb's packets, executed on a kernel: text in, text out. No socket here; gdb.c has those.
 */
#ifndef KDP_RSP_H
#define KDP_RSP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/kdp/kdp_client.h"

#define RSP_PACKET_MAX	4096u
#define RSP_BREAKPOINTS 100u

struct rsp_breakpoint {
	uint64_t at;
	uint8_t old; /* what gdb is shown in its place */
};

struct rsp {
	struct kdp_client *client;
	bool no_ack, swbreak;
	bool stepping;
	uint64_t step_from;
	struct kdp_client_exception exception; /* of the last stop */
	bool at_breakpoint;		       /* it was one of ours */
	struct rsp_breakpoint breakpoints[RSP_BREAKPOINTS];
	unsigned nbreakpoints;
};

enum rsp_then {
	RSP_REPLY,   /* send what is in `out` */
	RSP_RUNNING, /* nothing yet: the answer is rsp_stopped()'s, later */
	RSP_NO_ACK,  /* send it; acknowledgements end after that */
	RSP_BYE,     /* send it and hang up: gdb has detached */
};

/* A packet without its frame, unescaped and with a NUL behind it; out has RSP_PACKET_MAX bytes. */
enum rsp_then rsp_packet(struct rsp *r, const uint8_t *in, size_t len, char *out);
/* The machine has stopped: tidy up its registers, and tell gdb. */
void rsp_stopped(struct rsp *r, const struct kdp_client_exception *e, char *out);
/* A new gdb. */
void rsp_reset(struct rsp *r);

#endif
