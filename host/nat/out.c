/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/nat/out.h"

#include <string.h>

#include "common/cksum.h"
#include "common/span.h"

#define ARP_LEN	    28u
#define ARP_REQUEST 1u
#define ARP_REPLY   2u
#define ND_LEN	    32u /* solicitation or advertisement with one link-layer option */
#define ND_NS	    135u
#define ND_NA	    136u
#define HEAD_MAX    (NAT_ETH + NAT_IP6 + 60u)

static uint8_t *room(void *ctx, uint32_t len)
{
	return lane_room(ctx, len);
}

void out_init(struct out *o)
{
	o->split = (struct split){.room = room, .ctx = o->lane, .mtu = o->config->mtu};
	if (o->config->no_split)
		o->split.mtu = UINT32_MAX;
	memset(o->waiting, 0, sizeof(o->waiting));
}

/* ---- what libslirp asks ---- */

static void made_up_mac(uint8_t mac[6], const uint8_t *address)
{
	mac[0] = 0x02;
	mac[1] = 0x55;
	memcpy(mac + 2, address, 4);
}

static void put_arp(uint8_t *frame, unsigned op, const uint8_t *dst, const uint8_t *smac,
		    const uint8_t *sip, const uint8_t *tmac, const uint8_t *tip)
{
	static const uint8_t fixed[6] = {0, 1, 8, 0, 6, 4};
	uint8_t *arp = frame + NAT_ETH;

	memcpy(frame, dst, 6);
	memcpy(frame + 6, smac, 6);
	nat_put16(frame + 12, NAT_ETH_ARP);
	memcpy(arp, fixed, sizeof(fixed));
	nat_put16(arp + 6, op);
	memcpy(arp + 8, smac, 6);
	memcpy(arp + 14, sip, 4);
	memcpy(arp + 18, tmac, 6);
	memcpy(arp + 24, tip, 4);
}

static void answer_arp(struct out *o, const uint8_t *frame, uint32_t len)
{
	const uint8_t *arp = frame + NAT_ETH;
	uint8_t reply[NAT_ETH + ARP_LEN], mac[6];

	if (len < NAT_ETH + ARP_LEN || nat_be16(arp + 6) != ARP_REQUEST)
		return;
	made_up_mac(mac, arp + 24);
	put_arp(reply, ARP_REPLY, frame + 6, mac, arp + 24, arp + 8, arp + 14);
	o->answer(o->ctx, reply, sizeof(reply));
}

static void finish_nd(uint8_t *frame, const uint8_t *src, const uint8_t *dst, uint8_t type)
{
	uint8_t *ip = frame + NAT_ETH, *icmp = ip + NAT_IP6;

	nat_put16(frame + 12, NAT_ETH_IPV6);
	memset(ip, 0, 8);
	ip[0] = 0x60;
	nat_put16(ip + 4, ND_LEN);
	ip[6] = NAT_ICMPV6;
	ip[7] = 255;
	memcpy(ip + 8, src, 16);
	memcpy(ip + 24, dst, 16);
	icmp[0] = type;
	icmp[1] = icmp[2] = icmp[3] = 0;
	nat_put16(icmp + 2,
		  cksum_finish(cksum_add(cksum_pseudo6(ip + 8, ip + 24, NAT_ICMPV6, ND_LEN), icmp,
					 ND_LEN)));
}

static void answer_ns(struct out *o, const uint8_t *frame)
{
	const uint8_t *ip = frame + NAT_ETH, *icmp = ip + NAT_IP6;
	uint8_t reply[NAT_ETH + NAT_IP6 + ND_LEN] = {0};
	uint8_t *to = reply + NAT_ETH + NAT_IP6;

	memcpy(reply, frame + 6, 6);
	made_up_mac(reply + 6, icmp + 20);
	to[4] = 0x60; /* solicited, override */
	memcpy(to + 8, icmp + 8, 16);
	to[24] = 2;
	to[25] = 1;
	memcpy(to + 26, reply + 6, 6);
	finish_nd(reply, icmp + 8, ip + 8, ND_NA);
	o->answer(o->ctx, reply, sizeof(reply));
}

/* ---- what we ask the members ---- */

static void ask4(struct out *o, const uint8_t *address)
{
	static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, none[6];
	uint8_t gateway[4], *frame = lane_room(o->lane, NAT_ETH + ARP_LEN);

	if (!frame)
		return;
	nat_put32(gateway, o->config->gateway);
	put_arp(frame, ARP_REQUEST, all, o->config->gateway_mac, gateway, none, address);
}

static void ask6(struct out *o, const uint8_t *address)
{
	uint8_t *frame = lane_room(o->lane, NAT_ETH + NAT_IP6 + ND_LEN), *icmp;
	uint8_t group[16] = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};

	if (!frame)
		return;
	memcpy(group + 13, address + 13, 3);
	frame[0] = frame[1] = 0x33;
	memcpy(frame + 2, group + 12, 4);
	memcpy(frame + 6, o->config->gateway_mac, 6);
	icmp = frame + NAT_ETH + NAT_IP6;
	memset(icmp, 0, ND_LEN);
	memcpy(icmp + 8, address, 16);
	icmp[24] = 1;
	icmp[25] = 1;
	memcpy(icmp + 26, o->config->gateway_mac, 6);
	finish_nd(frame, o->config->gateway6, group, ND_NS);
}

static const uint8_t *member_of(const uint8_t *frame, bool *v6)
{
	*v6 = nat_be16(frame + 12) == NAT_ETH_IPV6;
	return frame + NAT_ETH + (*v6 ? 24 : 16);
}

/* Whether this address was asked for just now; if not, it is about to be. */
static bool asked_lately(struct out *o, const uint8_t *member, bool is6,
			 const struct out_waiting *but)
{
	for (unsigned i = 0; i < OUT_WAITING; i++) {
		const struct out_waiting *w = &o->waiting[i];
		const uint8_t *other;
		bool v6;

		if (!w->used || w == but)
			continue;
		other = member_of(w->frame, &v6);
		if (v6 == is6 && !memcmp(other, member, v6 ? 16 : 4) &&
		    o->filter->now - w->asked < OUT_ASK_MS)
			return true;
	}
	return false;
}

static void ask(struct out *o, struct out_waiting *w)
{
	const uint8_t *member;
	bool v6;

	member = member_of(w->frame, &v6);
	w->asked = o->filter->now;
	if (asked_lately(o, member, v6, w))
		return;
	if (v6)
		ask6(o, member);
	else
		ask4(o, member);
}

static void keep(struct out *o, const uint8_t *frame, uint32_t len)
{
	struct out_waiting *w = NULL;

	for (unsigned i = 0; i < OUT_WAITING && !w; i++)
		if (!o->waiting[i].used)
			w = &o->waiting[i];
	if (!w || len > OUT_WAIT_LEN) {
		o->stats->unknown++;
		return;
	}
	memcpy(w->frame, frame, len);
	w->len = len;
	w->used = true;
	w->since = o->filter->now;
	ask(o, w);
}

void out_tick(struct out *o)
{
	for (unsigned i = 0; i < OUT_WAITING; i++) {
		struct out_waiting *w = &o->waiting[i];

		if (!w->used)
			continue;
		if (o->filter->now - w->since > OUT_WAIT_MS) {
			w->used = false;
			o->stats->unknown++;
		} else if (o->filter->now - w->asked >= OUT_ASK_MS) {
			ask(o, w);
		}
	}
}

static void release(struct out *o, const uint8_t *address, bool is6)
{
	for (unsigned i = 0; i < OUT_WAITING; i++) {
		struct out_waiting *w = &o->waiting[i];
		const uint8_t *member;
		bool v6;

		if (!w->used)
			continue;
		member = member_of(w->frame, &v6);
		if (v6 != is6 || memcmp(member, address, v6 ? 16 : 4) != 0)
			continue;
		w->used = false;
		out_frame(o, w->frame, w->len);
	}
}

bool out_heard(struct out *o, const uint8_t *frame, uint32_t len)
{
	struct filter *f = o->filter;
	const uint8_t *ip = frame + NAT_ETH;

	if (len >= NAT_ETH + ARP_LEN && nat_be16(frame + 12) == NAT_ETH_ARP) {
		static const uint8_t fixed[6] = {0, 1, 8, 0, 6, 4};

		if (memcmp(ip, fixed, sizeof(fixed)) != 0 || nat_be16(ip + 6) != ARP_REPLY ||
		    (ip[8] & 1) || (nat_be32(ip + 14) & o->config->netmask) != o->config->subnet ||
		    nat_be32(ip + 14) == o->config->gateway)
			return true;
		neigh_learn(&f->neigh, ip + 14, false, ip + 8, f->now);
		release(o, ip + 14, false);
		return true;
	}
	if (len >= NAT_ETH + NAT_IP6 + 24 && nat_be16(frame + 12) == NAT_ETH_IPV6 &&
	    ip[6] == NAT_ICMPV6 && ip[NAT_IP6] == ND_NA) {
		const uint8_t *target = ip + NAT_IP6 + 8;

		if (ip[7] != 255 || (frame[6] & 1) || memcmp(target, o->config->prefix6, 8) != 0 ||
		    !memcmp(target, o->config->gateway6, 16))
			return true;
		neigh_learn(&f->neigh, target, true, frame + 6, f->now);
		release(o, target, true);
		return true;
	}
	return false;
}

/* ---- packets ---- */

/* The headers of a packet of libslirp's; it is trusted to be whole, but not to be right. */
static bool parse(const uint8_t *frame, uint32_t len, struct packet *p, uint32_t *head)
{
	const uint8_t *ip = frame + NAT_ETH;
	uint32_t left;

	*p = (struct packet){.len = len, .l3 = NAT_ETH};
	if (nat_be16(frame + 12) == NAT_ETH_IPV6) {
		if (len < NAT_ETH + NAT_IP6)
			return false;
		p->v6 = true;
		p->proto = ip[6];
		p->l4 = NAT_ETH + NAT_IP6;
	} else {
		if (len < NAT_ETH + NAT_IP4 || (ip[0] & 15) < 5)
			return false;
		p->fragment = nat_be16(ip + 6) & 0x3fff;
		p->proto = ip[9];
		p->l4 = NAT_ETH + (ip[0] & 15u) * 4;
		if (p->l4 > len)
			return false;
	}
	left = len - p->l4;
	*head = p->l4;
	if (p->fragment && p->proto == NAT_TCP_P)
		return false;
	if (p->proto == NAT_TCP_P) {
		uint32_t off;

		if (left < NAT_TCP)
			return false;
		off = (uint32_t)(frame[p->l4 + 12] >> 4) * 4;
		if (off < NAT_TCP || off > left)
			return false;
		*head = p->l4 + off;
	} else if (p->proto == NAT_UDP && !(p->fragment && nat_be16(ip + 6) & 0x1fff)) {
		if (left < 8)
			return false;
	}
	return *head <= HEAD_MAX;
}

void out_frame(struct out *o, const uint8_t *frame, uint32_t len)
{
	const struct nat_config *c = o->config;
	uint8_t head[HEAD_MAX];
	struct packet p;
	uint32_t head_len, l4_len, made;
	uint16_t mss = 0;
	const uint8_t *member;
	bool lost, v6;

	if (len < NAT_ETH || len > NAT_FRAME_MAX)
		return;
	switch (nat_be16(frame + 12)) {
	case NAT_ETH_ARP:
		answer_arp(o, frame, len);
		return;
	case NAT_ETH_IPV4:
	case NAT_ETH_IPV6:
		break;
	default:
		return;
	}
	if (!parse(frame, len, &p, &head_len))
		return;
	if (p.v6 && p.proto == NAT_ICMPV6) {
		uint8_t type = len > p.l4 ? frame[p.l4] : 0;

		if (type == ND_NS && len >= NAT_ETH + NAT_IP6 + 24)
			answer_ns(o, frame);
		/* Router advertisements and the like are the daemon's; errors pass. */
		if (type >= 128)
			return;
	}
	member = member_of(frame, &v6);
	memcpy(head, frame, head_len);
	if (!neigh_find(&o->filter->neigh, member, v6, o->filter->now, head)) {
		keep(o, frame, len);
		return;
	}
	memcpy(head + 6, c->gateway_mac, 6);
	l4_len = p.proto == NAT_TCP_P ? head_len - p.l4 : len - p.l4;
	if (p.proto == NAT_TCP_P)
		mss = filter_back(o->filter, head + p.l3, head + p.l4, l4_len, v6, p.proto);
	else if (p.proto == NAT_UDP && !(nat_be16(frame + p.l3 + 6) & 0x1fff && !v6)) {
		uint8_t udp[8];

		memcpy(udp, frame + p.l4, sizeof(udp));
		filter_back(o->filter, head + p.l3, udp, sizeof(udp), v6, p.proto);
	}
	if (c->no_split)
		mss = UINT16_MAX;
	made = split_out(&o->split, head, head_len, &p, frame + head_len, len - head_len, mss,
			 &lost);
	if (lost)
		o->stats->out_dropped++;
	if (made > 1)
		o->stats->split++;
	o->stats->out_frames += made;
	o->stats->out_bytes += len;
}
