/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/netd/guard.h"

#define ARP_SHA 8u
#define ARP_SPA 14u

#define IPV4_PROTO   9u
#define IPV6_NEXT    6u
#define IPV6_LEN     40u
#define PROTO_UDP    17u
#define PROTO_ICMP6  58u
#define DHCP_SERVER  67u
#define DHCP6_SERVER 547u

#define ND_RA	     134u
#define ND_NA	     136u
#define ND_REDIRECT  137u
#define ND_TARGET    8u
#define ND_OPTIONS   24u
#define ND_NA_ROUTER 0x80u
#define ND_OPT_TLLA  2u /* target link-layer address */

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

static bool bad_ip4(struct span s)
{
	uint8_t first = 0, proto = 0;
	uint16_t frag = 0;
	struct span udp;

	if (!span_u8(s, 0, &first) || !span_u8(s, IPV4_PROTO, &proto) || proto != PROTO_UDP ||
	    !span_be16(s, 6, &frag) || (frag & 0x1fffu))
		return false; /* a later fragment has no port, and nothing without its first */
	return span_from(s, (size_t)(first & 15u) * 4, &udp) && bad_udp(udp, DHCP_SERVER);
}

static bool bad_na(const struct guard *g, struct span s, const uint8_t *src)
{
	static const uint8_t none[16];
	uint8_t flags = 0, type = 0;

	if (!span_u8(s, 4, &flags) || (flags & ND_NA_ROUTER))
		return true;
	for (unsigned i = 0; i < 2; i++)
		if (memcmp(g->gateway6[i], none, sizeof(none)) != 0 &&
		    are(s, ND_TARGET, g->gateway6[i], sizeof(none)))
			return true;
	/* The one option it has. */
	return span_u8(s, ND_OPTIONS, &type) &&
	       (type != ND_OPT_TLLA || !are(s, ND_OPTIONS + 2, src, 6));
}

static bool bad_ip6(const struct guard *g, struct span s, const uint8_t *src)
{
	uint8_t next = 0, type = 0;
	struct span body;

	if (!span_u8(s, IPV6_NEXT, &next) || !span_from(s, IPV6_LEN, &body))
		return false;
	switch (next) {
	case PROTO_UDP:
		return bad_udp(body, DHCP6_SERVER);
	case PROTO_ICMP6:
		if (!span_u8(body, 0, &type))
			return false;
		return type == ND_RA || type == ND_REDIRECT ||
		       (type == ND_NA && bad_na(g, body, src));
	case 0: /* hop by hop: multicast listener reports have it, and only they */
		return !span_u8(body, 0, &next) || next != PROTO_ICMP6 ||
		       (span_u8(body, 8, &type) && type >= 133u && type <= ND_REDIRECT);
	case 44: /* fragment */
		return !span_u8(body, 0, &next) || next == PROTO_ICMP6;
	case 43: /* routing */
	case 60: /* destination options */
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
		return bad_ip4(body);
	case ETH_IPV6:
		return bad_ip6(g, body, frame_src(f));
	default:
		return false;
	}
}
