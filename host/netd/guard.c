/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/netd/guard.h"

#include "host/netd/ip.h"

#define ARP_SHA 8u
#define ARP_SPA 14u

#define IPV4_PROTO   9u
#define IPV4_SOURCE  12u
#define IPV6_NEXT    6u
#define IPV6_SOURCE  8u
#define DHCP_SERVER  67u
#define DHCP6_SERVER 547u

/* What may follow an IPv6 header, besides ip.h's. */
#define NEXT_HOP_BY_HOP	 0u
#define NEXT_ROUTING	 43u
#define NEXT_FRAGMENT	 44u
#define NEXT_ESP	 50u
#define NEXT_DESTINATION 60u

#define ND_FIRST     133u /* the messages of neighbour discovery */
#define ND_RA	     134u
#define ND_NS	     135u
#define ND_NA	     136u
#define ND_REDIRECT  137u
#define ND_TARGET    8u
#define ND_OPTIONS   24u
#define ND_NA_ROUTER 0x80u
#define ND_OPT_SLLA  1u /* source and target link-layer address */
#define ND_OPT_TLLA  2u
#define ND_OPT_MAX   8u /* so many are looked at; more have no use */
#define FRAGMENT_LEN 8u

/* The bytes at off are there and are these. */
static bool are(struct span s, size_t off, const uint8_t *want, size_t n)
{
	struct span part;

	return span_sub(s, off, n, &part) && !memcmp(part.data, want, n);
}

static bool bad_arp(const struct guard *g, struct span s, const uint8_t *src)
{
	uint32_t spa;

	return !are(s, ARP_SHA, src, 6) || !span_be32(s, ARP_SPA, &spa) ||
	       (g->gateway4 && spa == g->gateway4);
}

static bool bad_udp(struct span s, uint16_t server)
{
	uint16_t port;

	return span_be16(s, 0, &port) && port == server;
}

static bool bad_ip4(const struct guard *g, struct span s)
{
	uint8_t first = 0, proto = 0;
	uint16_t frag = 0;
	uint32_t source;
	struct span udp;

	if (g->gateway4 && span_be32(s, IPV4_SOURCE, &source) && source == g->gateway4)
		return true;
	if (!span_u8(s, 0, &first) || !span_u8(s, IPV4_PROTO, &proto) || proto != IP_UDP ||
	    !span_be16(s, 6, &frag) || (frag & 0x1fffu))
		return false; /* a later fragment has no port, and nothing without its first */
	return span_from(s, (size_t)(first & 15u) * 4, &udp) && bad_udp(udp, DHCP_SERVER);
}

static bool is_gateway6(const struct guard *g, struct span s, size_t off)
{
	static const uint8_t none[16];

	for (unsigned i = 0; i < 2; i++)
		if (memcmp(g->gateway6[i], none, sizeof(none)) != 0 &&
		    are(s, off, g->gateway6[i], sizeof(none)))
			return true;
	return false;
}

/* Of a solicitation or advertisement: an address on the link that is not the sender's own. */
static bool bad_options(struct span s, const uint8_t *src)
{
	size_t at = ND_OPTIONS;

	for (unsigned i = 0; i < ND_OPT_MAX; i++) {
		uint8_t type, len;

		if (!span_u8(s, at, &type))
			return false;
		if (!span_u8(s, at + 1, &len) || !len)
			return true;
		if ((type == ND_OPT_SLLA || type == ND_OPT_TLLA) && !are(s, at + 2, src, 6))
			return true;
		at += (size_t)len * 8;
	}
	return true;
}

static bool bad_icmp6(const struct guard *g, struct span s, const uint8_t *src)
{
	uint8_t type, flags;

	if (!span_u8(s, 0, &type))
		return false;
	switch (type) {
	case ND_RA:
	case ND_REDIRECT:
		return true;
	case ND_NS:
		return bad_options(s, src);
	case ND_NA:
		return !span_u8(s, 4, &flags) || (flags & ND_NA_ROUTER) ||
		       is_gateway6(g, s, ND_TARGET) || bad_options(s, src);
	default:
		return false;
	}
}

/* Multicast listener reports have this header, and no message of neighbour discovery. */
static bool bad_hop_by_hop(struct span s)
{
	uint8_t next, len, type;

	if (!span_u8(s, 0, &next) || !span_u8(s, 1, &len) || next != IP_ICMP6)
		return true;
	return !span_u8(s, ((size_t)len + 1) * 8, &type) ||
	       (type >= ND_FIRST && type <= ND_REDIRECT);
}

static bool bad_fragment(struct span s)
{
	struct span body;
	uint8_t next;
	uint16_t frag;

	if (!span_u8(s, 0, &next) || !span_be16(s, 2, &frag))
		return true;
	if (next == IP_UDP)
		return !(frag & 0xfff8u) && span_from(s, FRAGMENT_LEN, &body) &&
		       bad_udp(body, DHCP6_SERVER);
	return next != IP_TCP && next != NEXT_ESP;
}

static bool bad_ip6(const struct guard *g, struct span s, const uint8_t *src)
{
	uint8_t next;
	struct span body;

	if (is_gateway6(g, s, IPV6_SOURCE))
		return true;
	if (!span_u8(s, IPV6_NEXT, &next) || !span_from(s, IP6_HEADER, &body))
		return false;
	switch (next) {
	case IP_UDP:
		return bad_udp(body, DHCP6_SERVER);
	case IP_ICMP6:
		return bad_icmp6(g, body, src);
	case NEXT_HOP_BY_HOP:
		return bad_hop_by_hop(body);
	case NEXT_FRAGMENT:
		return bad_fragment(body);
	case NEXT_ROUTING:
	case NEXT_DESTINATION:
		return true;
	default:
		return false;
	}
}

bool guard_refuses(const struct guard *g, const struct frame *f)
{
	struct span s = frame_span(f), body;
	size_t off = FRAME_ETH;
	uint16_t type;

	if (!span_be16(s, 12, &type))
		return false;
	/* Under tags too: whether they are taken off is up to who receives it. */
	for (unsigned i = 0; i < 2 && (type == ETH_VLAN || type == 0x88a8u); i++) {
		if (!span_be16(s, off + 2, &type))
			return true;
		off += FRAME_VLAN;
	}
	if (!span_from(s, off, &body))
		return false;
	switch (type) {
	case ETH_ARP:
		return bad_arp(g, body, frame_src(f));
	case ETH_IPV4:
		return bad_ip4(g, body);
	case ETH_IPV6:
		return bad_ip6(g, body, frame_src(f));
	default:
		return false;
	}
}
