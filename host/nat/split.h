/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The other way: what libslirp sends may be larger than the network's MTU, and is cut here.
 *
 * TCP is cut into segments, as a network card's segmentation offload would do: headers copied,
 * sequence numbers advanced, PSH and FIN on the last one only, checksums computed. All else is cut
 * into fragments.
 */
#ifndef NAT_SPLIT_H
#define NAT_SPLIT_H

#include "host/nat/nat.h"

struct split {
	/* Room for one frame; NULL: none, the rest of the packet is lost. */
	uint8_t *(*room)(void *ctx, uint32_t len);
	void *ctx;
	uint32_t mtu;
	uint16_t id4; /* of the IPv4 packets made here */
	uint32_t id6;
};

/*
 * head: Ethernet, IP and (TCP only) TCP header, n bytes of data. p: l3, l4, v6, proto. mss: for
 * TCP. Returns the number of frames; fewer than it takes when room said NULL.
 */
unsigned split_out(struct split *s, const uint8_t *head, uint32_t head_len, const struct packet *p,
		   const uint8_t *data, uint32_t n, uint16_t mss, bool *lost);

#endif
