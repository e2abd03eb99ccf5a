/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A DHCP client in whole frames (RFC 2131): DISCOVER, OFFER, REQUEST, ACK.
 *
 * Debian's lwIP is built without DHCP, and an interface that has no address yet receives nothing
 * through it. So this client sits beside IP: it makes Ethernet frames and is shown each received
 * one. It knows no clock and sends nothing: the owner sends dhcp_frame's result when the state
 * changed and again when there was no answer for a while.
 */
#ifndef STACK_DHCP_H
#define STACK_DHCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/span.h"

#define DHCP_FRAME_MAX 342u /* headers and the 300 bytes that old relays insist on */
#define DHCP_DNS_MAX   3u

enum dhcp_state {
	DHCP_SELECTING,	 /* DISCOVER is to be sent */
	DHCP_REQUESTING, /* an offer is there, REQUEST is to be sent */
	DHCP_BOUND,
};

struct dhcp_lease {
	uint8_t address[4];
	uint8_t netmask[4];
	uint8_t router[4]; /* all 0: none */
	uint8_t server[4];
	uint8_t dns[DHCP_DNS_MAX][4];
	unsigned ndns;
	uint32_t seconds; /* 0: not said */
};

struct dhcp {
	enum dhcp_state state;
	uint8_t mac[6];
	uint32_t xid;
	uint16_t ip_id;
	struct dhcp_lease lease; /* offered, then granted */
	unsigned naks;
};

void dhcp_init(struct dhcp *d, const uint8_t mac[6], uint32_t xid);
/* The frame to send in this state; its length, 0 when bound. */
size_t dhcp_frame(struct dhcp *d, uint8_t buf[DHCP_FRAME_MAX]);
/* One received frame. True: it was ours and changed the state. */
bool dhcp_input(struct dhcp *d, struct span frame);

#endif
