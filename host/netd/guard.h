/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a member with a locked address must not say (D-10).
 *
 * Its frames come from its own address; but ARP, neighbour discovery and DHCP say in their payload
 * who has which address and who is the gateway, and other members believe them. So of a locked
 * member these are refused: ARP with another sender than the frame's, or with the gateway's
 * address; router advertisements, redirects, and neighbour advertisements that call it a router,
 * have the gateway's address or name another station; answers of a DHCP server.
 *
 * Extension headers before ICMPv6 and fragments of these messages have no use; they are refused
 * too, as they could hide one.
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
