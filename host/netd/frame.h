/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An Ethernet frame on its way through the daemon.
 *
 * Frames are not owned and not copied: a frame points into the buffer of the link that received it
 * and is good until the end of the batch it came with (see sw.h). The four bytes before its data
 * are writable and belong to it: they hold the frame's length, big-endian, which is how QEMU's
 * stream protocol writes it. So frames that lie one behind the other in a buffer can be sent to a
 * stream member as one piece, without touching them.
 */
#ifndef NETD_FRAME_H
#define NETD_FRAME_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/span.h"

#define FRAME_PREFIX	 4u	/* the length before the data */
#define FRAME_ETH	 14u	/* destination, source, type: the shortest frame we carry (G-7) */
#define FRAME_VLAN	 4u	/* one tag */
#define FRAME_MTU_MIN	 576u	/* of a network: what IPv4 asks of every link */
#define FRAME_MTU_MAX	 65520u /* of a network */
#define FRAME_MAX	 (FRAME_MTU_MAX + FRAME_ETH + FRAME_VLAN)
#define FRAME_STREAM_MAX 69632u /* a longer length ends QEMU's link; so it does ours */

#define ETH_IPV4 0x0800u
#define ETH_ARP	 0x0806u
#define ETH_IPV6 0x86ddu
#define ETH_VLAN 0x8100u

struct frame {
	uint8_t *data; /* FRAME_PREFIX writable bytes stand before it */
	uint32_t len;  /* FRAME_ETH .. FRAME_MAX once it has passed frame_valid() */
};

static inline struct span frame_span(const struct frame *f)
{
	return span_of(f->data, f->len);
}

static inline const uint8_t *frame_dst(const struct frame *f)
{
	return f->data;
}

static inline const uint8_t *frame_src(const struct frame *f)
{
	return f->data + 6;
}

static inline bool mac_multicast(const uint8_t mac[6])
{
	return mac[0] & 1;
}

static inline bool mac_broadcast(const uint8_t mac[6])
{
	static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	return !memcmp(mac, all, 6);
}

static inline bool mac_zero(const uint8_t mac[6])
{
	static const uint8_t none[6];

	return !memcmp(mac, none, 6);
}

/* Long enough, not too long for this MTU, from one station (not a group, not zero). */
static inline bool frame_valid(const struct frame *f, uint32_t mtu)
{
	return f->len >= FRAME_ETH && f->len <= mtu + FRAME_ETH + FRAME_VLAN &&
	       !mac_multicast(frame_src(f)) && !mac_zero(frame_src(f));
}

#endif
