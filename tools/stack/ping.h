/* SPDX-License-Identifier: BSD-2-Clause */
/* ICMP echo: one request, its answer, the time between. */
#ifndef STACK_PING_H
#define STACK_PING_H

#include "tools/stack/stack.h"

#define PING_SIZE_MAX 9000u

struct ping {
	uint8_t to[4];
	uint16_t id, seq;
	uint32_t size; /* payload bytes, 1 to PING_SIZE_MAX; larger than the MTU: fragments */
	uint32_t rtt_us;
};

/*
 * Send and wait. STACK_OK: rtt_us is filled in, and the payload came back unchanged. STACK_BAD: it
 * did not. STACK_TIMEOUT and others as stack_run.
 */
int ping_once(struct stack *s, struct ping *ping, uint64_t deadline);

#endif
