/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which member has an address: learnt from what members send, never asked of libslirp, whose own
 * table has 16 entries. A fixed table; within a bucket the entry that was heard longest ago goes.
 */
#ifndef NAT_NEIGH_H
#define NAT_NEIGH_H

#include <stdbool.h>
#include <stdint.h>

#define NEIGH_BUCKETS 512u
#define NEIGH_WAYS    4u
#define NEIGH_AGE_MS  1200000 /* ARP caches of hosts last that long */

struct neigh {
	struct neigh_entry {
		uint8_t address[16]; /* IPv4: ::ffff:a.b.c.d */
		uint8_t mac[6];
		bool used;
		int64_t heard;
	} entry[NEIGH_BUCKETS][NEIGH_WAYS];
};

/* address: 4 or 16 bytes. */
void neigh_learn(struct neigh *n, const uint8_t *address, bool v6, const uint8_t mac[6],
		 int64_t now_ms);
bool neigh_find(const struct neigh *n, const uint8_t *address, bool v6, int64_t now_ms,
		uint8_t mac[6]);

#endif
