/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets for the tests of the NAT worker: made, and checked again by other means. */
#ifndef TESTS_HOST_NAT_KIT_H
#define TESTS_HOST_NAT_KIT_H

#include "host/nat/nat.h"

#define KIT_GATEWAY 0x0a4d0001u /* 10.77.0.1 */
#define KIT_MEMBER  0x0a4d0005u
#define KIT_OUTSIDE 0xc0000201u /* 192.0.2.1 */

extern const uint8_t kit_gateway_mac[6], kit_member_mac[6];
extern const uint8_t kit_gateway6[16], kit_member6[16], kit_outside6[16];

struct kit_packet {
	bool v6;
	uint8_t proto;
	uint32_t src, dst;	    /* IPv4; 0: member, outside */
	const uint8_t *src6, *dst6; /* IPv6; NULL: the same */
	uint16_t sport, dport;
	const uint8_t *ip_options; /* a multiple of four */
	uint32_t ip_options_len;
	const uint8_t *options; /* of TCP, the same */
	uint32_t options_len;
	uint32_t seq, ack;
	uint16_t window, urgent;
	uint8_t flags;
	uint8_t icmp_type;
	const uint8_t *data;
	uint32_t len;
};

/* A configuration that allows everything but the host's loopback. */
struct nat_config kit_config(void);
/* Writes the frame, right in every field; returns its length. */
uint32_t kit_make(uint8_t *frame, const struct kit_packet *p);
/* Computes all checksums of a frame again, whatever else is wrong with it. */
void kit_sums(uint8_t *frame, uint32_t len);
/* Whether lengths and all checksums of a whole packet are right. */
bool kit_right(const uint8_t *frame, uint32_t len);

/* Repeatable numbers. */
uint32_t kit_random(uint64_t *state);

#endif
