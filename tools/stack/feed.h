/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Content on its way into an lwIP connection: as much at a time as lwIP takes.
 */
#ifndef STACK_FEED_H
#define STACK_FEED_H

#include "tools/stack/content.h"
#include "tools/stack/stack_lwip.h"

#define FEED_STAGE 65536u /* content made ahead of lwIP's queue */

struct feed {
	struct content content;
	uint64_t bytes;	 /* of the whole transfer */
	uint64_t staged; /* made so far */
	uint32_t off, len;
	uint8_t stage[FEED_STAGE];
};

void feed_init(struct feed *f, uint64_t seed, uint64_t bytes);
/* Locked; again whenever something was acknowledged. True: lwIP has all of it. */
bool feed_push(struct feed *f, struct tcp_pcb *pcb);

#endif
