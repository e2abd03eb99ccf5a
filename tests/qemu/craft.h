/* SPDX-License-Identifier: BSD-2-Clause */
/* Hand-made TCP and UDP frames of every shape, and what must become of them on a wire. */
#ifndef TESTS_QEMU_CRAFT_H
#define TESTS_QEMU_CRAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/model.h"

#define CRAFT_MAX 65562u

struct craft {
	const char *name;
	bool v6, udp;
	unsigned ip_opts;  /* IPv4: 32-bit words of options; IPv6: 8-byte destination options */
	unsigned tcp_opts; /* 32-bit words */
	uint16_t vlan;	   /* a tag that is in the frame already; 0: none */
	uint8_t tcp_flags;
	uint32_t payload;
	uint16_t mss; /* 0: send it as one, checksum only */
	/* filled in by craft_frame */
	uint32_t len;
	uint16_t l3, l4, hdr_len;
};

struct craft_ends {
	const uint8_t *mac, *ip4, *ip6;
	uint16_t port;
};

/*
 * The frame as a stack hands it over: no IP checksum, junk where the TCP or UDP checksum goes. nth
 * varies content and identification.
 */
void craft_frame(struct craft *c, const struct craft_ends *from, const struct craft_ends *to,
		 unsigned nth, uint8_t *frame);
/* Turn it into what reaches the wire: finished, and cut if it has an MSS (model_complete). */
unsigned craft_complete(const struct craft *c, uint8_t *frame,
			void (*out)(void *arg, const uint8_t *frame, size_t len), void *arg);

#endif
