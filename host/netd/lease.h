/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lease table of a network.
 *
 * Theory of operation. One slot for each address: those of the DHCP range (at most LEASE_POOL_MAX)
 * and the reserved ones outside it. All memory is taken when the table is made. A slot is in one
 * list, by what it is:
 *
 *   fresh      nobody's: never given away, or offered and not taken
 *   past       somebody had it (expired or released) and gets it again if it is still here
 *   offered    waits LEASE_OFFER_MS for the request
 *   bound      has a holder
 *   parked     declined, or seen in use by somebody who never asked (LEASE_PARK_MS)
 *
 * All leases of a network are equally long, so each list is in the order of its deadlines: what
 * ends is at the head, and nothing is ever searched for. A new client gets a fresh address, then
 * the one that has been past longest; when there is neither, one that is bound still but whose
 * member has left (D-8).
 *
 * Who is the same client: the same client identifier (or hardware address, where there is none or
 * it only repeats that), of the same member. Of another member only if that one has left (a VM
 * started anew under another name); as long as both are there, they are two clients, even if cloned
 * disks made them say the same of themselves. So no address is ever held twice (D-9).
 *
 * Shares (G-9). Each slot with a client, whatever its state, counts for the member it came from,
 * and a member has at most `share`. Above that it recycles what it let go itself, then it gets
 * nothing. Random hardware addresses, identifiers, declines: all turn in the same few slots.
 *
 * Time. Deadlines are monotonic, so that a clock that is set takes no lease away; the Unix time
 * they come to is for people and the state file. When the clock has been set, the file is
 * corrected; when it was set while we were not running, leases that look over are `past`: the
 * holder gets his back.
 */
#ifndef NETD_LEASE_H
#define NETD_LEASE_H

#include "host/netd/service.h"

#define LEASE_POOL_MAX	65536u
#define LEASE_SHARE_MIN 8u /* the share of a member is a 16th of the range, but at least this */
#define LEASE_OFFER_MS	60000u
#define LEASE_PARK_MS	600000u
#define LEASE_SEEN_MS	600000u /* an address seen in use is taken to be so for this long */

/* Who asks. Pointers are good for the call only. */
struct lease_client {
	uint8_t mac[6];
	const uint8_t *id; /* client identifier */
	uint8_t id_len;	   /* 0: none */
	const char *member;
};

/* NULL: out of memory. Reads what is in state (may be NULL); def outlives the table. */
struct lease_table *lease_create(const struct netdef *def, struct state *state, uint64_t ms,
				 int64_t wall);
void lease_destroy(struct lease_table *t);
/* The time of all calls that follow; ends what is over. True: some lease changed since last asked.
 */
bool lease_tick(struct lease_table *t, uint64_t ms, int64_t wall);

/* An address for this client, kept for it for a while. wish: 0 or what it would like. 0: none. */
uint32_t lease_offer(struct lease_table *t, const struct lease_client *c, uint32_t wish);
/*
 * The client takes (or keeps) this address. False: it cannot have it. fresh_start: it has just
 * started and may be told to take another, so an address reserved for it counts more than its old.
 */
bool lease_bind(struct lease_table *t, const struct lease_client *c, uint32_t address,
		bool fresh_start);
/* The address was found in use by somebody else. Of the holder only. */
bool lease_decline(struct lease_table *t, const struct lease_client *c, uint32_t address);
bool lease_release(struct lease_table *t, const struct lease_client *c, uint32_t address);
/* An offer was not taken: it was another server's. */
void lease_withdraw(struct lease_table *t, const struct lease_client *c);
/* The name that the holder of the address would like; made valid, "" if it cannot have it. */
const char *lease_set_name(struct lease_table *t, uint32_t address, struct span name);
/* Seen in a member's ARP: mac uses the address, whether we gave it away or not. */
void lease_seen(struct lease_table *t, const char *member, const uint8_t mac[6], uint32_t address);
/* That member is no longer there. */
void lease_member_gone(struct lease_table *t, const char *member);
/* The bound lease of an address; NULL: none. */
const struct lease *lease_by_address(struct lease_table *t, uint32_t address);
/* How many addresses one member may have. */
unsigned lease_share(const struct lease_table *t);

#endif
