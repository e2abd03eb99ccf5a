/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fragments are put together here, so that libslirp never sees one.
 *
 * A fixed number of packets can be under way, a part of them from one address. Rules: every
 * fragment but the last is a multiple of eight bytes; none begins inside the first eight bytes of
 * another's transport header; no two overlap, else the whole packet is dead (RFC 5722, and there is
 * no use for it in IPv4 either); nothing reaches beyond 65535 bytes; after FRAG_AGE_MS it is over.
 */
#ifndef NAT_FRAG_H
#define NAT_FRAG_H

#include "host/nat/nat.h"

#define FRAG_SLOTS  16u
#define FRAG_SHARE  4u /* of one address */
#define FRAG_AGE_MS 15000
#define FRAG_HEAD   (NAT_ETH + NAT_IP6)

struct frag {
	struct frag_slot {
		bool used, dead, last_seen, first_seen;
		bool v6;
		uint8_t proto;
		uint8_t address[32]; /* source, destination */
		uint32_t id;
		int64_t since;
		uint32_t have, total;  /* bytes; total once the last is here */
		uint32_t l4;	       /* where data begins in buf */
		uint8_t map[8192 / 8]; /* one bit for eight bytes */
		uint8_t *buf;	       /* head and data */
	} slot[FRAG_SLOTS];
	uint8_t *memory;
};

/* False: no memory. */
bool frag_open(struct frag *f);
void frag_close(struct frag *f);
/*
 * NAT_PASS with *whole true: p is now the whole packet, in memory of f's until the next call.
 * NAT_PASS with *whole false: kept. Else it was thrown away.
 */
enum nat_drop frag_add(struct frag *f, struct packet *p, int64_t now_ms, bool *whole);

#endif
