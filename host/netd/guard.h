/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a member with a locked address must not say (D-10).
 *
 * Its frames come from its own address; but ARP, neighbour discovery and DHCP say in their payload
 * who has which address and who is the gateway, and other members believe them. So of a locked
 * member these are refused: ARP with another sender than the frame's, or with the gateway's
 * address; IP packets from the gateway's address; router advertisements and redirects; neighbour
 * solicitations and advertisements that name another station, and advertisements that call it a
 * router or have the gateway's address; answers of a DHCP server.
 *
 * Extension headers that could hide one of these are refused with all that is behind them; what is
 * left is a listener report's hop-by-hop header, and fragments of TCP, UDP and ESP.
 */
#ifndef NETD_GUARD_H
#define NETD_GUARD_H

#include "host/netd/frame.h"

struct guard {
	uint32_t gateway4;	 /* host order; 0: none */
	uint8_t gateway6[2][16]; /* of the link, and global; all zero: none */
};

/* f has passed frame_valid(). Looks at at most the first 100 bytes or so. */
bool guard_refuses(const struct guard *g, const struct frame *f);

#endif
