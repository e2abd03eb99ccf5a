/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One TCP transfer against server.h's protocol, verified byte by byte.
 *
 * Download: every byte is compared with the content it must be. Upload: the server compares, and
 * answers with the sum over what it received; that must be the sum over what was sent.
 */
#ifndef STACK_TRANSFER_H
#define STACK_TRANSFER_H

#include "tools/stack/stack.h"

struct transfer {
	/* the request */
	bool upload;
	uint8_t to[4];
	uint16_t port;
	uint64_t bytes;
	uint64_t seed;
	uint64_t deadline;					    /* in stack_now's terms */
	void (*progress)(void *arg, uint64_t done, uint64_t bytes); /* now and then; may be NULL */
	void *arg;

	/* the result, as far as it came */
	uint64_t done;
	double seconds; /* from the request to the last byte, or the server's answer to it */
	double mbit_s;
	bool verified;
};

/* STACK_OK: all of it arrived and is right. Else a stack_err, and s->err says what went wrong. */
int transfer_run(struct stack *s, struct transfer *t);

#endif
