/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IPv4, IPv6, UDP and ICMP as the gateway needs them: whole packets checked through a bounded view,
 * answers built in buffers of a known size.
 *
 * Addresses are bytes as on the wire; an IPv4 address is host-order where arithmetic is done on it.
 */
#ifndef NETD_IP_H
#define NETD_IP_H

#include "common/cksum.h"
#include "host/netd/frame.h"

#define IP_ICMP	   1u
#define IP_TCP	   6u
#define IP_UDP	   17u
#define IP_ICMP6   58u
#define IP4_HEADER 20u
#define IP6_HEADER 40u
#define UDP_HEADER 8u

/* What stands before the payload of a UDP datagram that we build. */
#define IP_UDP4_ROOM (FRAME_ETH + IP4_HEADER + UDP_HEADER)
#define IP_UDP6_ROOM (FRAME_ETH + IP6_HEADER + UDP_HEADER)

struct ip_packet {
	bool v6;
	uint8_t proto; /* v6: what the first header says comes next; extension headers are not
			  walked */
	uint8_t ttl;
	bool fragment;		  /* v4 */
	const uint8_t *src, *dst; /* 4 or 16 bytes */
	uint32_t src4, dst4;	  /* v4, host order */
	struct span whole;	  /* from the first byte of its header */
	struct span payload;
};

struct ip_udp {
	uint16_t src, dst;
	struct span payload;
};

/* One end of a UDP exchange. */
struct ip_end {
	bool v6;
	uint8_t mac[6];
	uint8_t addr[16]; /* v4: the first 4 */
	uint16_t port;
};

static inline void ip_put16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static inline void ip_put32(uint8_t *at, uint32_t v)
{
	ip_put16(at, v >> 16);
	ip_put16(at + 2, v);
}

static inline uint32_t ip_get32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Ethernet type and what comes after it. False: too short. */
bool ip_ether(const struct frame *f, uint16_t *type, struct span *rest);

/* False: not a whole packet of that version, or (v4) its header's checksum is wrong. */
bool ip4_parse(struct span s, struct ip_packet *p);
bool ip6_parse(struct span s, struct ip_packet *p);
/* False: not a whole datagram, or its checksum is wrong (v6: or missing). */
bool ip_udp_parse(const struct ip_packet *p, struct ip_udp *u);
/* The checksum of an ICMP or ICMPv6 message is right and it has at least 8 bytes. */
bool ip_icmp_valid(const struct ip_packet *p);

/* Headers; each returns how many bytes it wrote. payload: length of what follows. */
size_t ip_put_ether(uint8_t *at, const uint8_t dst[6], const uint8_t src[6], uint16_t type);
size_t ip_put_header4(uint8_t *at, uint8_t proto, const uint8_t src[4], const uint8_t dst[4],
		      size_t payload);
size_t ip_put_header6(uint8_t *at, uint8_t proto, uint8_t hops, const uint8_t src[16],
		      const uint8_t dst[16], size_t payload);
/* Fills in the checksum of an ICMPv6 message of len bytes, whose own field is zero. */
void ip_icmp6_cksum(uint8_t *icmp, size_t len, const uint8_t src[16], const uint8_t dst[16]);

static inline size_t ip_udp_room(bool v6)
{
	return v6 ? IP_UDP6_ROOM : IP_UDP4_ROOM;
}

/*
 * Puts all headers of a datagram before its payload, which already stands at buf + ip_udp_room().
 * Returns the length of the frame. len at most 65 507 less the headers; the caller knows its MTU.
 */
size_t ip_udp_build(uint8_t *buf, const struct ip_end *src, const struct ip_end *dst, size_t len);

#endif
