/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What libslirp gets to see.
 *
 * Theory of operation. libslirp parses what virtual machines write, and has had holes in each of
 * its parsers. So nothing reaches it that this file has not read first, through the bounded view:
 * only TCP, UDP and ping, from a member's address to one outside (or to the gateway's own, where
 * the network allows that), with lengths that are true, no IP options, no urgent data and no
 * fragments (G-10, D-15). A member cannot name an address of this host's loopback by itself: the
 * only way there is the gateway's address, and that only with host_loopback.
 *
 * Some packets are changed, with their checksums:
 *
 *   urgent data   the flag and the pointer go; the bytes stay in the stream
 *   SYN           the member's MSS is raised, so that libslirp makes large segments; split.c cuts
 *                 them to what the member had said
 *   DNS           TCP to the gateway's port 53 goes to the configured server, which may be on
 *                 this host's loopback, and its answers come from the gateway
 */
#ifndef NAT_FILTER_H
#define NAT_FILTER_H

#include "host/nat/flow.h"
#include "host/nat/nat.h"
#include "host/nat/neigh.h"

struct filter {
	const struct nat_config *config;
	uint16_t mss4, mss6; /* what libslirp is told */
	int64_t now;	     /* milliseconds; the caller keeps it up to date */
	struct neigh neigh;
	struct flow dns, mss, udp;
};

/*
 * Ethernet and IP. On NAT_PASS p is filled; p->fragment tells that frag.c must see it first, and
 * l4 and payload are not yet known to hold anything. The frame may begin later than it did (options
 * are cut out in place).
 */
enum nat_drop filter_ip(struct filter *f, uint8_t *frame, uint32_t len, struct packet *p);
/* TCP, UDP, ICMP of a whole packet; changes it where needed. */
enum nat_drop filter_transport(struct filter *f, struct packet *p);

/*
 * Back: a TCP or UDP packet that libslirp sends to a member, in a header of which the caller has
 * a writable copy (the payload may be elsewhere). Undoes what was done to the addresses, lowers the
 * MSS of a SYN. Gives the largest payload of one segment, for TCP.
 */
uint16_t filter_back(struct filter *f, uint8_t *ip, uint8_t *l4, uint32_t l4_len, bool v6,
		     uint8_t proto);

#endif
