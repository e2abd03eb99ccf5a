/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IPv6 at the gateway: its two addresses (link-local, and prefix::1 where the network has a
 * prefix), neighbour discovery (RFC 4861), router advertisement with prefix, MTU, DNS servers and
 * search list (RFC 8106). Members make their own addresses; there is no DHCPv6.
 *
 * An advertisement that was asked for goes to who asked, at once: the IPv6 address may be
 * everybody's, the Ethernet address never is (RFC 6085).
 */
#include "host/netd/gateway.h"

#define HOPS	   255u /* no router was in between (RFC 4861, 3.1) */
#define ECHO6	   128u
#define ECHO6_BACK 129u
#define RS	   133u
#define RA	   134u
#define NS	   135u
#define NA	   136u
#define NA_ROUTER  0x80u
#define NA_ASKED   0x40u
#define NA_REPLACE 0x20u
#define OPT_SOURCE 1u
#define OPT_TARGET 2u
#define OPT_PREFIX 3u
#define OPT_MTU	   5u
#define OPT_RDNSS  25u
#define OPT_DNSSL  31u
#define RA_MAX	   1280u /* of the whole packet: what every link carries */

static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
static const uint8_t all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};
static const uint8_t all_routers[16] = {0xff, 2, [15] = 2};

static bool ip6_none(const uint8_t a[16])
{
	static const uint8_t none[16];

	return !memcmp(a, none, 16);
}

static bool ip6_link(const uint8_t a[16])
{
	return a[0] == 0xfe && (a[1] & 0xc0) == 0x80;
}

static bool gateway_on_net6(const struct gateway *g, const uint8_t a[16])
{
	return g->have6 && !memcmp(a, g->ip6, 8);
}

static bool gateway_is6(const struct gateway *g, const uint8_t a[16])
{
	return !memcmp(a, g->link6, 16) || (g->have6 && !memcmp(a, g->ip6, 16));
}

/* Sends the ICMPv6 message of len bytes at buf + FRAME_ETH + IP6_HEADER. */
static void gateway_icmp6(struct gateway *g, uint8_t *buf, size_t len, uint8_t hops,
			  const uint8_t mac[6], const uint8_t src[16], const uint8_t dst[16])
{
	uint8_t *at = buf;

	at += ip_put_ether(at, mac, g->mac, ETH_IPV6);
	at += ip_put_header6(at, IP_ICMP6, hops, src, dst, len);
	ip_put16(at + 2, 0);
	ip_icmp6_cksum(at, len, src, dst);
	gateway_answer(g, buf, FRAME_ETH + IP6_HEADER + len);
}

/* ---- neighbours ---- */

/* Options of neighbour discovery: each has a length, and none is 0. */
static bool gateway_ndp_options(struct span s, size_t at, bool *source)
{
	uint8_t type, len;

	*source = false;
	while (at < s.len) {
		if (!span_u8(s, at, &type) || !span_u8(s, at + 1, &len) || len == 0 ||
		    !span_fits(s.len, at, (size_t)len * 8))
			return false;
		if (type == OPT_SOURCE)
			*source = true;
		at += (size_t)len * 8;
	}
	return true;
}

static void gateway_ns(struct gateway *g, const struct frame *f, const struct ip_packet *p)
{
	const uint8_t *target = p->payload.data + 8, *mac = frame_src(f), *dst = p->src;
	bool probe = ip6_none(p->src), source;
	uint8_t *buf, *at, flags = NA_REPLACE;

	if (p->payload.len < 24 || !gateway_ndp_options(p->payload, 24, &source) ||
	    target[0] == 0xff || (probe && (source || p->dst[0] != 0xff))) {
		g->n.bad++;
		return;
	}
	if (!gateway_is6(g, target)) {
		g->n.ignored++;
		return;
	}
	g->n.ndp++;
	if (probe) { /* whoever wants to have our address hears that it is taken */
		dst = all_nodes;
		mac = all_nodes_mac;
	} else {
		flags |= NA_ASKED;
	}
	if (gateway_outside(g, true))
		flags |= NA_ROUTER;
	buf = gateway_room(g, FRAME_ETH + IP6_HEADER + 32);
	if (!buf)
		return;
	at = buf + FRAME_ETH + IP6_HEADER;
	memset(at, 0, 32);
	at[0] = NA;
	at[4] = flags;
	memcpy(at + 8, target, 16);
	at[24] = OPT_TARGET;
	at[25] = 1;
	memcpy(at + 26, g->mac, 6);
	gateway_icmp6(g, buf, 32, HOPS, mac, target, dst);
}

/* ---- advertisement ---- */

static size_t ra_prefix(const struct gateway *g, uint8_t *at)
{
	at[0] = OPT_PREFIX;
	at[1] = 4;
	at[2] = 64;
	at[3] = 0xc0; /* on this link, make your address of it */
	ip_put32(at + 4, 86400);
	ip_put32(at + 8, 14400);
	ip_put32(at + 12, 0);
	memcpy(at + 16, g->ip6, 8);
	memset(at + 24, 0, 8);
	return 32;
}

static size_t ra_dns(const struct gateway *g, uint8_t *at)
{
	at[0] = OPT_RDNSS;
	at[1] = 3;
	ip_put16(at + 2, 0);
	ip_put32(at + 4, GATEWAY_RA_LIFE_S);
	memcpy(at + 8, g->ip6, 16);
	return 24;
}

static size_t ra_search(const struct gateway *g, uint8_t *at, size_t max)
{
	const struct netdef *d = g->p.def;
	size_t len = 8;

	if (max < 16)
		return 0;
	for (unsigned i = 0; i < d->nsearch; i++)
		len += dns_labels(d->search[i], at + len, max - len);
	if (!d->nsearch)
		len += dns_labels(d->domain, at + len, max - len);
	if (len == 8)
		return 0;
	while (len % 8)
		at[len++] = 0;
	at[0] = OPT_DNSSL;
	at[1] = (uint8_t)(len / 8);
	ip_put16(at + 2, 0);
	ip_put32(at + 4, GATEWAY_RA_LIFE_S);
	return len;
}

static void gateway_ra(struct gateway *g, const uint8_t mac[6], const uint8_t dst[16])
{
	uint8_t *buf = gateway_room(g, FRAME_ETH + RA_MAX), *icmp, *at;
	size_t used;

	if (!buf)
		return;
	g->n.ra++;
	icmp = buf + FRAME_ETH + IP6_HEADER;
	memset(icmp, 0, 16);
	icmp[0] = RA;
	icmp[4] = 64;
	ip_put16(icmp + 6, gateway_outside(g, true) ? GATEWAY_RA_LIFE_S : 0);
	at = icmp + 16;
	at[0] = OPT_SOURCE;
	at[1] = 1;
	memcpy(at + 2, g->mac, 6);
	at += 8;
	at[0] = OPT_MTU;
	at[1] = 1;
	ip_put16(at + 2, 0);
	ip_put32(at + 4, g->p.def->mtu);
	at += 8;
	at += ra_prefix(g, at);
	if (g->p.def->dns)
		at += ra_dns(g, at);
	/* A multiple of 8, and a name that does not fit whole is left out. */
	used = (size_t)(at - icmp);
	at += ra_search(g, at, (RA_MAX - IP6_HEADER - used) & ~(size_t)7);
	gateway_icmp6(g, buf, (size_t)(at - icmp), HOPS, mac, g->link6, dst);
}

void gateway_advertise(struct gateway *g)
{
	gateway_ra(g, all_nodes_mac, all_nodes);
}

static void gateway_rs(struct gateway *g, const struct frame *f, const struct ip_packet *p)
{
	bool none = ip6_none(p->src), source;

	if (p->payload.len < 8 || !gateway_ndp_options(p->payload, 8, &source) ||
	    (none && source)) {
		g->n.bad++;
		return;
	}
	g->n.ndp++;
	if (g->p.def->ra && g->have6)
		gateway_ra(g, frame_src(f), none ? all_nodes : p->src);
}

/* ---- ICMPv6 ---- */

static void gateway_echo6(struct gateway *g, const struct frame *f, const struct ip_packet *p)
{
	const uint8_t *src = p->dst[0] == 0xff ? g->link6 : p->dst;
	uint8_t *buf;

	if (ip6_none(p->src))
		return;
	buf = gateway_room(g, FRAME_ETH + IP6_HEADER + p->payload.len);
	if (!buf)
		return;
	g->n.ping++;
	memcpy(buf + FRAME_ETH + IP6_HEADER, p->payload.data, p->payload.len);
	buf[FRAME_ETH + IP6_HEADER] = ECHO6_BACK;
	gateway_icmp6(g, buf, p->payload.len, 64, frame_src(f), src, p->src);
}

static void gateway_unreachable6(struct gateway *g, const struct frame *f,
				 const struct ip_packet *p, uint8_t code)
{
	size_t quote = p->whole.len, most = RA_MAX - IP6_HEADER - 8;
	uint8_t *buf, *at;

	if (p->proto == IP_ICMP6 && (!p->payload.len || p->payload.data[0] < ECHO6))
		return; /* never an error about an error */
	if (!gateway_may_complain(g))
		return;
	if (quote > most)
		quote = most;
	buf = gateway_room(g, FRAME_ETH + IP6_HEADER + 8 + quote);
	if (!buf)
		return;
	at = buf + FRAME_ETH + IP6_HEADER;
	memset(at, 0, 8);
	at[0] = 1;
	at[1] = code;
	memcpy(at + 8, p->whole.data, quote);
	gateway_icmp6(g, buf, 8 + quote, 64, frame_src(f),
		      ip6_link(p->src) || !g->have6 ? g->link6 : g->ip6, p->src);
}

/* What is for everybody, or for us. */
static void gateway_own_icmp6(struct gateway *g, const struct frame *f, const struct ip_packet *p,
			      bool mine)
{
	uint8_t type;

	if (!ip_icmp_valid(p)) {
		g->n.bad++;
		return;
	}
	type = p->payload.data[0];
	if (type == ECHO6) {
		gateway_echo6(g, f, p);
		return;
	}
	if (type < RS || type > NA) { /* listeners' reports and the like */
		g->n.ignored++;
		return;
	}
	if (p->ttl != HOPS || p->payload.data[1] != 0) {
		g->n.bad++;
		return;
	}
	if (type == NS)
		gateway_ns(g, f, p);
	else if (type == RS)
		gateway_rs(g, f, p);
	else if (type == NA && mine)
		(void)gateway_to_uplink(g, f); /* it asks for members' addresses itself */
	else
		g->n.ignored++;
}

/* The groups that ours are in: all nodes, all routers, and those of our two addresses. */
static bool gateway_group6(const struct gateway *g, const uint8_t a[16])
{
	static const uint8_t solicited[13] = {0xff, 2, [11] = 1, [12] = 0xff};

	if (!memcmp(a, all_nodes, 16) || !memcmp(a, all_routers, 16))
		return true;
	return !memcmp(a, solicited, 13) &&
	       (!memcmp(a + 13, g->link6 + 13, 3) || (g->have6 && !memcmp(a + 13, g->ip6 + 13, 3)));
}

static void gateway_own6(struct gateway *g, const struct sw_port *from, const struct frame *f,
			 const struct ip_packet *p)
{
	struct ip_udp u;

	if (p->proto == IP_UDP && g->p.def->dns) {
		if (!ip_udp_parse(p, &u)) {
			g->n.bad++;
			return;
		}
		if (u.dst == DNS_PORT) {
			gateway_dns(g, from, f, p, &u);
			return;
		}
	}
	if (!gateway_to_uplink(g, f))
		gateway_unreachable6(g, f, p, 4);
}

static void gateway_route6(struct gateway *g, const struct frame *f, const struct ip_packet *p)
{
	static const uint8_t zeros[10];

	/* None, loopback, IPv4 in disguise, other links' addresses, and neighbours. */
	if (!memcmp(p->dst, zeros, sizeof(zeros)) || ip6_link(p->dst) ||
	    gateway_on_net6(g, p->dst) || !gateway_on_net6(g, p->src))
		g->n.bad++;
	else if (!gateway_outside(g, true))
		gateway_unreachable6(g, f, p, 0);
	else
		(void)gateway_to_uplink(g, f);
}

void gateway_ip6(struct gateway *g, const struct sw_port *from, const struct frame *f,
		 struct span rest, bool mine)
{
	struct ip_packet p;
	bool group;

	if (!ip6_parse(rest, &p) || p.src[0] == 0xff || gateway_is6(g, p.src)) {
		g->n.bad++;
		return;
	}
	group = p.dst[0] == 0xff;
	if (group ? !gateway_group6(g, p.dst) : !mine) {
		g->n.ignored++;
		return;
	}
	if (p.proto == IP_ICMP6 && (group || gateway_is6(g, p.dst)))
		gateway_own_icmp6(g, f, &p, mine);
	else if (group)
		g->n.ignored++;
	else if (!ip6_link(p.src) && !gateway_on_net6(g, p.src))
		g->n.bad++;
	else if (gateway_is6(g, p.dst))
		gateway_own6(g, from, f, &p);
	else
		gateway_route6(g, f, &p);
}
