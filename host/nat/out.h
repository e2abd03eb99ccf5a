/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What libslirp sends, on its way to the members.
 *
 * libslirp asks for hardware addresses with ARP and neighbour solicitations of its own; it is
 * answered here at once with made-up ones, and never sees a real one. The members' addresses come
 * from neigh.h. A member that has not been heard yet (a forward to one that is idle) is asked for
 * with an ARP request in the gateway's name; the daemon hands us its answer as any other frame. A
 * few packets wait for such an answer.
 */
#ifndef NAT_OUT_H
#define NAT_OUT_H

#include "host/nat/filter.h"
#include "host/lane/lane.h"
#include "host/nat/split.h"

#define OUT_WAITING  64u
#define OUT_WAIT_LEN 2048u
#define OUT_WAIT_MS  2000
#define OUT_ASK_MS   500 /* one address is asked for at most so often */

struct out {
	const struct nat_config *config;
	struct nat_stats *stats;
	struct filter *filter;
	struct lane *lane; /* to the daemon */
	struct split split;
	/* A frame for libslirp itself. */
	void (*answer)(void *ctx, const uint8_t *frame, uint32_t len);
	void *ctx;
	struct out_waiting {
		bool used;
		int64_t since, asked;
		uint32_t len;
		uint8_t frame[OUT_WAIT_LEN];
	} waiting[OUT_WAITING];
};

void out_init(struct out *o);
/* One frame of libslirp's. */
void out_frame(struct out *o, const uint8_t *frame, uint32_t len);
/* An ARP reply or a neighbour advertisement of a member's. True: it was one. */
bool out_heard(struct out *o, const uint8_t *frame, uint32_t len);
/* Called now and then: what waited too long goes. */
void out_tick(struct out *o);

#endif
