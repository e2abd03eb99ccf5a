/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/nat/filter.h"

#include <string.h>

#include "common/cksum.h"
#include "common/span.h"

#define ICMP_ECHO     8u
#define UDP_LEN	      8u
#define UDP_ANSWER_MS 300000
#define OPT_END	      0u
#define OPT_NOP	      1u
#define OPT_MSS	      2u
#define IP_OPT_LSRR   131u
#define IP_OPT_SSRR   137u
#define PORT_DNS      53u

const char *const nat_drop_name[NAT_DROPS] = {
	[NAT_PASS] = "passed",
	[NAT_DROP_SHORT] = "short",
	[NAT_DROP_TYPE] = "type",
	[NAT_DROP_HEADER] = "header",
	[NAT_DROP_CHECKSUM] = "checksum",
	[NAT_DROP_OPTION] = "option",
	[NAT_DROP_SOURCE] = "source",
	[NAT_DROP_MARTIAN] = "martian",
	[NAT_DROP_LOCAL] = "local",
	[NAT_DROP_PROTOCOL] = "protocol",
	[NAT_DROP_REFUSED] = "refused",
	[NAT_DROP_FRAGMENT] = "fragment",
	[NAT_DROP_FULL] = "full",
};

/* ---- addresses ---- */

static bool inside4(const struct nat_config *c, uint32_t a)
{
	return (a & c->netmask) == c->subnet;
}

/* Of this subnet, and neither its first, its last, nor the gateway's. */
static bool member4(const struct nat_config *c, uint32_t a)
{
	uint32_t host = a & ~c->netmask;

	return inside4(c, a) && host && host != ~c->netmask && a != c->gateway;
}

/* Networks nobody sends to: this network, loopback, multicast, reserved, broadcast. */
static bool martian4(uint32_t a)
{
	return a >> 24 == 0 || a >> 24 == 127 || a >> 28 >= 0xe;
}

static bool inside6(const struct nat_config *c, const uint8_t *a)
{
	return !memcmp(a, c->prefix6, 8);
}

/*
 * Only global unicast goes out. That leaves out ::, ::1, addresses with an IPv4 one inside (also
 * as 64:ff9b::/96 and 2002::/16, which could lead back here), link-local, site-local, multicast.
 */
static bool martian6(const uint8_t *a)
{
	static const uint8_t nat64[12] = {0, 0x64, 0xff, 0x9b};
	static const uint8_t low[8];

	return a[0] == 0xff || !memcmp(a, low, sizeof(low)) || !memcmp(a, nat64, sizeof(nat64)) ||
	       (a[0] == 0x20 && a[1] == 0x02) || (a[0] == 0xfe && a[1] >= 0x80);
}

/* ---- IP ---- */

/* Source routing is refused; options that parse and are not that are worth nothing to us. */
static bool options4_ok(struct span options)
{
	size_t at = 0;
	uint8_t kind, len;

	while (span_u8(options, at, &kind) && kind != OPT_END) {
		if (kind == OPT_NOP) {
			at++;
			continue;
		}
		if (kind == IP_OPT_LSRR || kind == IP_OPT_SSRR)
			return false;
		if (!span_u8(options, at + 1, &len) || len < 2 || !span_fits(options.len, at, len))
			return false;
		at += len;
	}
	return true;
}

static void cut_options4(struct packet *p, uint32_t hlen)
{
	uint32_t extra = hlen - NAT_IP4;
	uint8_t *ip;

	memmove(p->frame + extra, p->frame, NAT_ETH + NAT_IP4);
	p->frame += extra;
	p->len -= extra;
	p->l4 = NAT_ETH + NAT_IP4;
	ip = p->frame + NAT_ETH;
	ip[0] = 0x45;
	nat_put16(ip + 2, p->len - NAT_ETH);
	nat_put16(ip + 10, 0);
	nat_put16(ip + 10, cksum_finish(cksum_add(0, ip, NAT_IP4)));
}

static enum nat_drop ip4(struct filter *f, struct packet *p)
{
	const struct nat_config *c = f->config;
	uint8_t *ip = p->frame + NAT_ETH;
	uint32_t room = p->len - NAT_ETH, hlen, total, src, dst;

	if (room < NAT_IP4)
		return NAT_DROP_SHORT;
	hlen = (ip[0] & 15u) * 4;
	total = nat_be16(ip + 2);
	if (ip[0] >> 4 != 4 || hlen < NAT_IP4 || total < hlen || !ip[8])
		return NAT_DROP_HEADER;
	if (hlen > room || total > room)
		return NAT_DROP_SHORT;
	if (cksum_finish(cksum_add(0, ip, hlen)))
		return NAT_DROP_CHECKSUM;
	p->len = NAT_ETH + total;
	p->proto = ip[9];
	p->fragment = nat_be16(ip + 6) & 0x3fff;
	if (ip[6] & 0x80)
		return NAT_DROP_HEADER;
	src = nat_be32(ip + 12);
	dst = nat_be32(ip + 16);
	if (!member4(c, src))
		return NAT_DROP_SOURCE;
	if (martian4(dst))
		return NAT_DROP_MARTIAN;
	if (inside4(c, dst) && dst != c->gateway)
		return NAT_DROP_LOCAL;
	neigh_learn(&f->neigh, ip + 12, false, p->frame + 6, f->now);
	p->l4 = NAT_ETH + hlen;
	if (hlen > NAT_IP4) {
		if (!options4_ok(span_of(ip + NAT_IP4, hlen - NAT_IP4)))
			return NAT_DROP_OPTION;
		if (p->fragment)
			return NAT_DROP_FRAGMENT;
		cut_options4(p, hlen);
	}
	return NAT_PASS;
}

static enum nat_drop ip6(struct filter *f, struct packet *p)
{
	const struct nat_config *c = f->config;
	uint8_t *ip = p->frame + NAT_ETH;
	uint32_t room = p->len - NAT_ETH, total;

	if (!c->nat66)
		return NAT_DROP_TYPE;
	if (room < NAT_IP6)
		return NAT_DROP_SHORT;
	total = NAT_IP6 + nat_be16(ip + 4);
	if (ip[0] >> 4 != 6 || total == NAT_IP6 || !ip[7])
		return NAT_DROP_HEADER;
	if (total > room)
		return NAT_DROP_SHORT;
	p->len = NAT_ETH + total;
	p->v6 = true;
	p->proto = ip[6];
	p->fragment = p->proto == NAT_FRAG6;
	if (!inside6(c, ip + 8) || !memcmp(ip + 8, c->gateway6, 16))
		return NAT_DROP_SOURCE;
	if (martian6(ip + 24))
		return NAT_DROP_MARTIAN;
	if (inside6(c, ip + 24) && memcmp(ip + 24, c->gateway6, 16) != 0)
		return NAT_DROP_LOCAL;
	neigh_learn(&f->neigh, ip + 8, true, p->frame + 6, f->now);
	p->l4 = NAT_ETH + NAT_IP6;
	return NAT_PASS;
}

enum nat_drop filter_ip(struct filter *f, uint8_t *frame, uint32_t len, struct packet *p)
{
	*p = (struct packet){.frame = frame, .len = len, .l3 = NAT_ETH};
	if (len < NAT_ETH)
		return NAT_DROP_SHORT;
	if (frame[6] & 1)
		return NAT_DROP_SOURCE;
	switch (nat_be16(frame + 12)) {
	case NAT_ETH_IPV4:
		return ip4(f, p);
	case NAT_ETH_IPV6:
		return ip6(f, p);
	default:
		return NAT_DROP_TYPE;
	}
}

/* ---- transport ---- */

static uint16_t mss_room(const struct filter *f, bool v6)
{
	return (uint16_t)(f->config->mtu - (v6 ? NAT_IP6 : NAT_IP4) - NAT_TCP);
}

/* Where the value of the MSS option is, 0: nowhere. False: the options do not parse. */
static bool find_mss(struct span tcp, uint32_t from, uint32_t *at)
{
	size_t o = from;
	uint8_t kind, len;

	*at = 0;
	while (span_u8(tcp, o, &kind) && kind != OPT_END) {
		if (kind == OPT_NOP) {
			o++;
			continue;
		}
		if (!span_u8(tcp, o + 1, &len) || len < 2 || !span_fits(tcp.len, o, len))
			return false;
		if (kind == OPT_MSS) {
			if (len != 4)
				return false;
			*at = (uint32_t)o + 2;
		}
		o += len;
	}
	return true;
}

/* A word of the TCP header that may begin at an odd place: it then counts swapped. */
static void rewrite_tcp16(uint8_t *tcp, uint32_t at, uint16_t is)
{
	uint16_t was = nat_be16(tcp + at), now = is;

	if (at & 1) {
		was = (uint16_t)(was << 8 | was >> 8);
		now = (uint16_t)(now << 8 | now >> 8);
	}
	nat_put16(tcp + 16, nat_cksum_fix(nat_be16(tcp + 16), was, now));
	nat_put16(tcp + at, is);
}

/* Raise what libslirp is told; remember what the member said, if that is less than usual. */
static void syn_mss(struct filter *f, struct packet *p, uint32_t at)
{
	uint8_t *ip = p->frame + p->l3, *tcp = p->frame + p->l4;
	uint16_t mss = p->v6 ? 1220 : 536, room = mss_room(f, p->v6);
	struct flow_key key = flow_key(ip + (p->v6 ? 8 : 12), nat_be16(tcp), ip + (p->v6 ? 24 : 16),
				       nat_be16(tcp + 2), p->v6);

	if (at) {
		mss = nat_be16(tcp + at);
		rewrite_tcp16(tcp, at, p->v6 ? f->mss6 : f->mss4);
	}
	if (mss < room)
		flow_put(&f->mss, &key, mss < 88 ? 88 : mss, f->now);
	else
		flow_forget(&f->mss, &key);
}

/* One 32-bit address of an IPv4 packet whose transport checksum covers it too. */
static void rewrite_address(uint8_t *ip, uint32_t at, uint8_t *sum, uint32_t is)
{
	for (unsigned i = 0; i < 4; i += 2) {
		uint16_t word = (uint16_t)(is >> (16 - 8 * i));

		nat_put16(sum, nat_cksum_fix(nat_be16(sum), nat_be16(ip + at + i), word));
		nat_rewrite16(ip + 10, ip + at + i, word);
	}
}

/* Forwards only: what a member may send is answers. */
static bool is_answer(const struct filter *f, const struct packet *p)
{
	const uint8_t *ip = p->frame + p->l3, *l4 = p->frame + p->l4;
	struct flow_key key;
	uint16_t value;

	if (p->proto == NAT_TCP_P)
		return (l4[13] & (NAT_SYN | NAT_ACK)) != NAT_SYN;
	if (p->proto != NAT_UDP)
		return false;
	key = flow_key(ip + (p->v6 ? 8 : 12), nat_be16(l4), ip + (p->v6 ? 24 : 16),
		       nat_be16(l4 + 2), p->v6);
	return flow_get(&f->udp, &key, f->now, UDP_ANSWER_MS, &value);
}

static bool is_restricted(const struct filter *f, bool v6)
{
	return f->config->restricted || (!v6 && !f->config->nat44);
}

/*
 * To the gateway's own address, which for libslirp is this host's loopback. Without host_loopback
 * only answers go there: the peers of forwards on the loopback have that address.
 */
static enum nat_drop to_gateway(struct filter *f, struct packet *p, uint16_t port)
{
	const struct nat_config *c = f->config;
	uint8_t *ip = p->frame + p->l3, *l4 = p->frame + p->l4;

	if (p->proto == NAT_TCP_P && port == PORT_DNS && !p->v6 && c->dns && !c->restricted) {
		struct flow_key key = flow_key(ip + 12, nat_be16(l4), NULL, 0, false);

		flow_put(&f->dns, &key, PORT_DNS, f->now);
		rewrite_address(ip, 16, l4 + 16, c->dns);
		nat_rewrite16(l4 + 16, l4 + 2, c->dns_port);
		return NAT_PASS;
	}
	if (c->host_loopback && !is_restricted(f, p->v6)) {
		/* DNS, DHCP and TFTP are the daemon's business, or nobody's. */
		if (p->proto == NAT_UDP &&
		    (port == PORT_DNS || port == 67 || port == 68 || port == 69 || port == 547))
			return NAT_DROP_LOCAL;
		return NAT_PASS;
	}
	if (is_answer(f, p))
		return NAT_PASS;
	if (p->proto == NAT_UDP)
		return NAT_DROP_LOCAL;
	/* libslirp opens nothing for a SYN with FIN, and says RST. */
	nat_rewrite16(l4 + 16, l4 + 12, (uint16_t)(nat_be16(l4 + 12) | NAT_FIN));
	return NAT_PASS;
}

static enum nat_drop tcp(struct filter *f, struct packet *p)
{
	uint8_t *t = p->frame + p->l4;
	uint32_t len = p->len - p->l4, off, mss = 0;
	uint8_t flags;

	if (len < NAT_TCP)
		return NAT_DROP_SHORT;
	off = (uint32_t)(t[12] >> 4) * 4;
	if (off < NAT_TCP)
		return NAT_DROP_HEADER;
	if (off > len)
		return NAT_DROP_SHORT;
	flags = t[13];
	if (!(flags & (NAT_SYN | NAT_RST | NAT_ACK)) || (flags & NAT_SYN && flags & NAT_FIN) ||
	    (flags & NAT_SYN && flags & NAT_RST))
		return NAT_DROP_HEADER;
	if (off > NAT_TCP && !find_mss(span_of(t, off), NAT_TCP, &mss))
		return NAT_DROP_OPTION;
	p->payload = p->l4 + off;
	if (flags & NAT_URG) {
		uint16_t word = nat_be16(t + 12);

		nat_rewrite16(t + 16, t + 12, (uint16_t)(word & ~NAT_URG));
	}
	if (t[18] || t[19])
		nat_rewrite16(t + 16, t + 18, 0);
	if (flags & NAT_SYN)
		syn_mss(f, p, mss);
	return NAT_PASS;
}

enum nat_drop filter_transport(struct filter *f, struct packet *p)
{
	const struct nat_config *c = f->config;
	uint8_t *ip = p->frame + p->l3, *l4 = p->frame + p->l4;
	uint32_t len = p->len - p->l4;
	enum nat_drop drop;

	switch (p->proto) {
	case NAT_TCP_P:
		drop = tcp(f, p);
		if (drop)
			return drop;
		break;
	case NAT_UDP:
		if (len < UDP_LEN)
			return NAT_DROP_SHORT;
		if (nat_be16(l4 + 4) < UDP_LEN || nat_be16(l4 + 4) > len)
			return NAT_DROP_HEADER;
		/* What follows the datagram inside the packet is dead weight. */
		if (nat_be16(l4 + 4) < len)
			return NAT_DROP_HEADER;
		if (p->v6 && !nat_be16(l4 + 6))
			return NAT_DROP_HEADER;
		p->payload = p->l4 + UDP_LEN;
		break;
	case NAT_ICMP:
		if (p->v6)
			return NAT_DROP_PROTOCOL;
		if (len < 8)
			return NAT_DROP_SHORT;
		if (l4[0] != ICMP_ECHO || l4[1])
			return NAT_DROP_PROTOCOL;
		if (nat_be32(ip + 16) == c->gateway)
			return NAT_DROP_LOCAL;
		return is_restricted(f, false) ? NAT_DROP_REFUSED : NAT_PASS;
	default:
		return NAT_DROP_PROTOCOL;
	}
	if (!nat_be16(l4) || !nat_be16(l4 + 2))
		return NAT_DROP_HEADER;
	if (p->v6 ? !memcmp(ip + 24, c->gateway6, 16) : nat_be32(ip + 16) == c->gateway)
		return to_gateway(f, p, nat_be16(l4 + 2));
	return is_restricted(f, p->v6) && !is_answer(f, p) ? NAT_DROP_REFUSED : NAT_PASS;
}

/* ---- back ---- */

uint16_t filter_back(struct filter *f, uint8_t *ip, uint8_t *l4, uint32_t l4_len, bool v6,
		     uint8_t proto)
{
	const struct nat_config *c = f->config;
	const uint8_t *member = ip + (v6 ? 24 : 16), *peer = ip + (v6 ? 8 : 12);
	uint16_t room = mss_room(f, v6), value = 0;
	bool from_gateway = v6 ? !memcmp(peer, c->gateway6, 16) : nat_be32(peer) == c->gateway;
	struct flow_key key;

	if (proto == NAT_UDP) {
		if (l4_len >= UDP_LEN && (is_restricted(f, v6) || from_gateway)) {
			key = flow_key(member, nat_be16(l4 + 2), peer, nat_be16(l4), v6);
			flow_put(&f->udp, &key, 0, f->now);
		}
		return room;
	}
	if (proto != NAT_TCP_P || l4_len < NAT_TCP)
		return room;
	if (!v6 && c->dns && nat_be32(peer) == c->dns && nat_be16(l4) == c->dns_port) {
		key = flow_key(member, nat_be16(l4 + 2), NULL, 0, false);
		if (flow_get(&f->dns, &key, f->now, 0, &value)) {
			rewrite_address(ip, 12, l4 + 16, c->gateway);
			nat_rewrite16(l4 + 16, l4, PORT_DNS);
		}
	}
	if (l4[13] & NAT_SYN) {
		uint32_t off = (uint32_t)(l4[12] >> 4) * 4, at;

		if (off <= l4_len && find_mss(span_of(l4, off), NAT_TCP, &at) && at &&
		    nat_be16(l4 + at) > room)
			rewrite_tcp16(l4, at, room);
		return room;
	}
	key = flow_key(member, nat_be16(l4 + 2), peer, nat_be16(l4), v6);
	if (flow_get(&f->mss, &key, f->now, 0, &value) && value < room)
		return value;
	return room;
}
