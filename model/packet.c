/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Software offload: what the far end of a wire, or a device's hardware, does to a packet that asks
 * for it. Also the parser and the checksum tests that the monitor shares.
 *
 * A TCP segment gets its own sequence number, flags (FIN and PSH only on the last, CWR only on the
 * first), IPv4 identification, lengths and sums; a UDP one (USO) its own lengths and sums.
 */
#include <string.h>

#include "model/internal.h"

static void put_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint16_t get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static bool parse_v4(struct span s, struct model_l4 *p)
{
	uint8_t ihl;
	uint16_t total, frag;

	if (!span_u8(s, p->l3, &ihl) || ihl >> 4 != 4 || (ihl & 15) < 5 ||
	    !span_be16(s, p->l3 + 2, &total) || !span_be16(s, p->l3 + 6, &frag) ||
	    !span_u8(s, p->l3 + 9, &p->proto))
		return false;
	p->version = 4;
	p->l4 = p->l3 + (ihl & 15u) * 4;
	p->end = p->l3 + total;
	p->fragment = frag & IPV4_FRAG_MASK;
	return p->l4 <= p->end && p->end <= s.len;
}

static bool parse_v6(struct span s, struct model_l4 *p)
{
	uint8_t version, next, units;
	uint16_t payload;
	size_t at = p->l3 + sizeof(struct ipv6_hdr);

	if (!span_u8(s, p->l3, &version) || version >> 4 != 6 ||
	    !span_be16(s, p->l3 + 4, &payload) || !span_u8(s, p->l3 + 6, &next) || at > s.len)
		return false;
	p->version = 6;
	p->end = at + payload;
	if (p->end > s.len)
		return false;
	for (unsigned i = 0; i < 8; i++) {
		if (next == IP_PROTO_FRAGMENT)
			p->fragment = true;
		if (next != IP_PROTO_HOPOPTS && next != IP_PROTO_ROUTING &&
		    next != IP_PROTO_DSTOPTS && next != IP_PROTO_FRAGMENT)
			break;
		units = 0;
		if (next != IP_PROTO_FRAGMENT && !span_u8(s, at + 1, &units))
			return false;
		if (!span_u8(s, at, &next))
			return false;
		at += 8u * (units + 1u);
	}
	p->proto = next;
	p->l4 = at;
	return at <= p->end;
}

bool model_parse(const uint8_t *frame, size_t len, struct model_l4 *p)
{
	struct span s = span_of(frame, len);
	uint16_t type;
	uint8_t off;

	*p = (struct model_l4){.l3 = ETH_HLEN};
	if (!span_be16(s, 12, &type))
		return false;
	while (type == ETH_TYPE_VLAN || type == ETH_TYPE_QINQ) {
		if (!span_be16(s, p->l3 + 2, &type))
			return false;
		p->l3 += ETH_VLAN_LEN;
	}
	if (type == ETH_TYPE_IPV4 ? !parse_v4(s, p) : (type != ETH_TYPE_IPV6 || !parse_v6(s, p)))
		return false;
	if (p->fragment)
		return false;
	if (p->proto == IP_PROTO_UDP) {
		p->payload = p->l4 + sizeof(struct udp_hdr);
	} else if (p->proto == IP_PROTO_TCP) {
		if (!span_u8(s, p->l4 + 12, &off) || off >> 4 < 5)
			return false;
		p->payload = p->l4 + (off >> 4) * 4u;
	} else {
		return false;
	}
	return p->payload <= p->end;
}

uint16_t model_pseudo(const uint8_t *frame, const struct model_l4 *p, size_t l4_len)
{
	const uint8_t *ip = frame + p->l3;

	return cksum_fold(p->version == 4
				  ? cksum_pseudo4(ip + 12, ip + 16, p->proto, (uint32_t)l4_len)
				  : cksum_pseudo6(ip + 8, ip + 24, p->proto, (uint32_t)l4_len));
}

static bool ip_sum_right(const uint8_t *frame, const struct model_l4 *p)
{
	return p->version != 4 || cksum_finish(cksum_add(0, frame + p->l3, p->l4 - p->l3)) == 0;
}

bool model_sums_right(const uint8_t *frame, size_t len)
{
	struct model_l4 p;

	if (!model_parse(frame, len, &p))
		return true;
	if (!ip_sum_right(frame, &p))
		return false;
	if (p.proto == IP_PROTO_UDP && p.version == 4 && get_be16(frame + p.l4 + 6) == 0)
		return true; /* no checksum */
	return cksum_finish(cksum_add(model_pseudo(frame, &p, p.end - p.l4), frame + p.l4,
				      p.end - p.l4)) == 0;
}

static void ip_finish(uint8_t *f, const struct model_l4 *p, size_t len, uint16_t nth)
{
	uint8_t *ip = f + p->l3;

	if (p->version == 6) {
		put_be16(ip + 4, (uint16_t)(len - p->l3 - sizeof(struct ipv6_hdr)));
		return;
	}
	put_be16(ip + 2, (uint16_t)(len - p->l3));
	put_be16(ip + 4, (uint16_t)(get_be16(ip + 4) + nth));
	put_be16(ip + 10, 0);
	put_be16(ip + 10, cksum_finish(cksum_add(0, ip, p->l4 - p->l3)));
}

static void l4_finish(uint8_t *f, const struct model_l4 *p, size_t len)
{
	uint8_t *field = f + p->l4 + (p->proto == IP_PROTO_TCP ? 16 : 6);
	uint16_t sum;

	if (p->proto == IP_PROTO_UDP)
		put_be16(f + p->l4 + 4, (uint16_t)(len - p->l4));
	put_be16(field, 0);
	sum = cksum_finish(cksum_add(model_pseudo(f, p, len - p->l4), f + p->l4, len - p->l4));
	if (sum == 0 && p->proto == IP_PROTO_UDP)
		sum = 0xffff;
	put_be16(field, sum);
}

static void tcp_segment(uint8_t *f, const struct model_l4 *p, uint32_t off, bool first, bool last)
{
	uint8_t *tcp = f + p->l4;
	uint32_t seq = ((uint32_t)get_be16(tcp + 4) << 16 | get_be16(tcp + 6)) + off;

	put_be16(tcp + 4, (uint16_t)(seq >> 16));
	put_be16(tcp + 6, (uint16_t)seq);
	if (!last)
		tcp[13] &= (uint8_t) ~(TCP_FLAG_FIN | TCP_FLAG_PSH);
	if (!first)
		tcp[13] &= (uint8_t)~TCP_FLAG_CWR;
}

static unsigned segment(const struct model_hdr *hdr, const uint8_t *frame, size_t len,
			void (*out)(void *ctx, const uint8_t *frame, size_t len), void *ctx)
{
	static uint8_t buf[MODEL_FRAME_MAX];
	struct model_l4 p;
	size_t mss = hdr->gso_size, total;
	unsigned type = hdr->gso_type & ~VIRTIO_NET_HDR_GSO_ECN, n = 0;

	if (!model_parse(frame, len, &p) || mss == 0)
		return 0;
	if ((type == VIRTIO_NET_HDR_GSO_UDP_L4) != (p.proto == IP_PROTO_UDP))
		return 0;
	if ((type == VIRTIO_NET_HDR_GSO_TCPV4 && p.version != 4) ||
	    (type == VIRTIO_NET_HDR_GSO_TCPV6 && p.version != 6) || type == VIRTIO_NET_HDR_GSO_UDP)
		return 0;
	total = p.end - p.payload;
	for (size_t off = 0; off < total || n == 0; off += mss, n++) {
		size_t part = total - off < mss ? total - off : mss;

		memcpy(buf, frame, p.payload);
		memcpy(buf + p.payload, frame + p.payload + off, part);
		if (p.proto == IP_PROTO_TCP)
			tcp_segment(buf, &p, (uint32_t)off, off == 0, off + part == total);
		ip_finish(buf, &p, p.payload + part, (uint16_t)n);
		l4_finish(buf, &p, p.payload + part);
		out(ctx, buf, p.payload + part);
	}
	return n;
}

unsigned model_complete(const struct model_hdr *hdr, const uint8_t *frame, size_t len,
			void (*out)(void *ctx, const uint8_t *frame, size_t len), void *ctx)
{
	static uint8_t buf[MODEL_FRAME_MAX];
	size_t start = hdr->csum_start, at = start + hdr->csum_offset;
	uint16_t sum;

	if (len > MODEL_FRAME_MAX)
		return 0;
	if (hdr->gso_type != VIRTIO_NET_HDR_GSO_NONE)
		return segment(hdr, frame, len, out, ctx);
	if (!(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)) {
		out(ctx, frame, len);
		return 1;
	}
	if (start >= len || !span_fits(len, at, 2))
		return 0;
	/* The field holds the pseudo-header sum, so it takes part in the sum. */
	memcpy(buf, frame, len);
	sum = cksum_finish(cksum_add(0, buf + start, len - start));
	if (sum == 0 && hdr->csum_offset == 6)
		sum = 0xffff;
	put_be16(buf + at, sum);
	out(ctx, buf, len);
	return 1;
}
