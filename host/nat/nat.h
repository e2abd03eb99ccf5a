/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the NAT worker share: its configuration, counters, and a packet once parsed.
 *
 * The way of a frame. Members to the outside: frames are taken from the daemon's lane (host/lane/),
 * a batch at a time, and used where they lie; filter.c checks each frame, changes what must be
 * changed, and learns who sent it (neigh.c); frag.c puts fragments together. TCP connections that
 * members open to the outside are relayed by tcp.c, both ways; of all else merge.c joins the
 * segments of one flow, and slirp.c gives the result to libslirp. Back: libslirp's packets come to
 * out.c, which undoes what filter.c did, finds the member's address, has split.c cut what is larger
 * than the network's MTU, and puts the frames into the lane to the daemon.
 *
 * All memory is taken at start. Addresses of IPv4 are host-order integers, as in netdef.h.
 */
#ifndef NAT_NAT_H
#define NAT_NAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAT_ETH	      14u
#define NAT_IP4	      20u
#define NAT_IP6	      40u
#define NAT_TCP	      20u
#define NAT_FRAME_MAX (65535u + NAT_ETH + 4u) /* an IPv4 packet cannot be longer; one VLAN tag */

#define NAT_ETH_IPV4 0x0800u
#define NAT_ETH_ARP  0x0806u
#define NAT_ETH_IPV6 0x86ddu

#define NAT_ICMP   1u
#define NAT_TCP_P  6u
#define NAT_UDP	   17u
#define NAT_FRAG6  44u
#define NAT_ICMPV6 58u

#define NAT_FIN 0x01u
#define NAT_SYN 0x02u
#define NAT_RST 0x04u
#define NAT_PSH 0x08u
#define NAT_ACK 0x10u
#define NAT_URG 0x20u

struct nat_config {
	uint32_t subnet, netmask, gateway;
	uint8_t gateway_mac[6];
	uint8_t prefix6[16], gateway6[16]; /* a /64; zero: no IPv6 */
	uint32_t mtu;			   /* of the network */
	bool nat44, nat66;
	bool restricted;    /* forwards only */
	bool host_loopback; /* the gateway's address is this host's 127.0.0.1 */
	uint32_t dns;	    /* DNS over TCP to the gateway goes there; 0: nowhere */
	uint16_t dns_port;
	bool no_merge, no_split; /* measurements only */
	bool no_sandbox;	 /* tests under sanitizers only; said in one line */
};

/* Why a frame went no further. NAT_PASS is none. */
enum nat_drop {
	NAT_PASS,
	NAT_DROP_SHORT,	   /* headers do not fit into the frame */
	NAT_DROP_TYPE,	   /* neither IPv4 nor IPv6, or one that this network has not */
	NAT_DROP_HEADER,   /* a field of a header says what cannot be */
	NAT_DROP_CHECKSUM, /* of the IPv4 header */
	NAT_DROP_OPTION,   /* source routing, or options that do not parse */
	NAT_DROP_SOURCE,   /* not a member's address */
	NAT_DROP_MARTIAN,  /* a destination nobody may send to through a NAT */
	NAT_DROP_LOCAL,	   /* for a member or the gateway's own services */
	NAT_DROP_PROTOCOL, /* neither TCP, UDP nor ping */
	NAT_DROP_REFUSED,  /* not allowed on this network */
	NAT_DROP_FRAGMENT, /* overlapping, tiny, too long in total, too many, or too late */
	NAT_DROP_FULL,	   /* no room */
	NAT_DROPS,
};

extern const char *const nat_drop_name[NAT_DROPS];

/* A frame whose headers have been checked; offsets from its first byte. */
struct packet {
	uint8_t *frame;
	uint32_t len; /* exactly to the end of the IP packet */
	bool v6;
	bool fragment;
	uint8_t proto;
	uint32_t l3, l4;  /* l4 + what the protocol's header needs at least lies inside */
	uint32_t payload; /* TCP and UDP */
};

struct nat_stats {
	uint64_t drop[NAT_DROPS];
	uint64_t in_frames, in_bytes, out_frames, out_bytes;
	uint64_t merged;      /* frames that went to libslirp as part of another */
	uint64_t split;	      /* packets of libslirp's that were cut */
	uint64_t out_dropped; /* the daemon did not take them in time */
	uint64_t unknown;     /* for a member nobody knows */
};

static inline uint16_t nat_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t nat_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void nat_put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void nat_put32(uint8_t *p, uint32_t v)
{
	nat_put16(p, v >> 16);
	nat_put16(p + 2, v);
}

/* A finished checksum after one 16-bit word that it covers has changed (RFC 1624). */
static inline uint16_t nat_cksum_fix(uint16_t sum, uint16_t was, uint16_t is)
{
	uint32_t s = (uint16_t)~sum;

	s += (uint16_t)~was;
	s += is;
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

/* Writes a word at `at` and corrects the finished checksum at `sum`. */
static inline void nat_rewrite16(uint8_t *sum, uint8_t *at, uint16_t is)
{
	nat_put16(sum, nat_cksum_fix(nat_be16(sum), nat_be16(at), is));
	nat_put16(at, is);
}

static inline uint32_t nat_payload(const struct packet *p)
{
	return p->len - p->payload;
}

#endif
