/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/netd/ip.h"

#define IP4_FRAG_MASK 0x3fffu /* more fragments, or an offset */
#define IP4_DF	      0x4000u
#define IP_TTL	      64u

bool ip_ether(const struct frame *f, uint16_t *type, struct span *rest)
{
	struct span s = frame_span(f);

	return span_be16(s, 12, type) && span_from(s, FRAME_ETH, rest);
}

bool ip4_parse(struct span s, struct ip_packet *p)
{
	uint16_t total, frag;
	uint8_t ver;
	uint32_t header;

	*p = (struct ip_packet){.v6 = false};
	if (!span_fits(s.len, 0, IP4_HEADER) || !span_u8(s, 0, &ver) || ver >> 4 != 4)
		return false;
	header = (ver & 0xfu) * 4u;
	if (header < IP4_HEADER || !span_be16(s, 2, &total) || total < header ||
	    !span_sub(s, 0, total, &p->whole) || !span_be16(s, 6, &frag) ||
	    !span_u8(s, 8, &p->ttl) || !span_u8(s, 9, &p->proto) || !span_be32(s, 12, &p->src4) ||
	    !span_be32(s, 16, &p->dst4) || !span_from(p->whole, header, &p->payload))
		return false;
	p->src = s.data + 12;
	p->dst = s.data + 16;
	p->fragment = frag & IP4_FRAG_MASK;
	return cksum_finish(cksum_add(0, s.data, header)) == 0;
}

bool ip6_parse(struct span s, struct ip_packet *p)
{
	uint16_t len;
	uint8_t ver;

	*p = (struct ip_packet){.v6 = true};
	if (!span_fits(s.len, 0, IP6_HEADER) || !span_u8(s, 0, &ver) || ver >> 4 != 6 ||
	    !span_be16(s, 4, &len) || !span_u8(s, 6, &p->proto) || !span_u8(s, 7, &p->ttl) ||
	    !span_sub(s, IP6_HEADER, len, &p->payload) ||
	    !span_sub(s, 0, IP6_HEADER + (size_t)len, &p->whole))
		return false;
	p->src = s.data + 8;
	p->dst = s.data + 24;
	return true;
}

static uint32_t ip_pseudo(const struct ip_packet *p, uint8_t proto, size_t len)
{
	return p->v6 ? cksum_pseudo6(p->src, p->dst, proto, (uint32_t)len)
		     : cksum_pseudo4(p->src, p->dst, proto, (uint32_t)len);
}

bool ip_udp_parse(const struct ip_packet *p, struct ip_udp *u)
{
	uint16_t len, cksum;
	struct span all;

	if (p->proto != IP_UDP || p->fragment || !span_be16(p->payload, 0, &u->src) ||
	    !span_be16(p->payload, 2, &u->dst) || !span_be16(p->payload, 4, &len) ||
	    !span_be16(p->payload, 6, &cksum) || len < UDP_HEADER ||
	    !span_sub(p->payload, 0, len, &all) || !span_from(all, UDP_HEADER, &u->payload))
		return false;
	if (cksum == 0)
		return !p->v6;
	return cksum_finish(cksum_add(ip_pseudo(p, IP_UDP, len), all.data, len)) == 0;
}

bool ip_icmp_valid(const struct ip_packet *p)
{
	uint32_t sum = 0;

	if (p->payload.len < 8)
		return false;
	if (p->v6)
		sum = ip_pseudo(p, IP_ICMP6, p->payload.len);
	return cksum_finish(cksum_add(sum, p->payload.data, p->payload.len)) == 0;
}

size_t ip_put_ether(uint8_t *at, const uint8_t dst[6], const uint8_t src[6], uint16_t type)
{
	memcpy(at, dst, 6);
	memcpy(at + 6, src, 6);
	ip_put16(at + 12, type);
	return FRAME_ETH;
}

size_t ip_put_header4(uint8_t *at, uint8_t proto, const uint8_t src[4], const uint8_t dst[4],
		      size_t payload)
{
	memset(at, 0, IP4_HEADER);
	at[0] = 0x45;
	ip_put16(at + 2, (uint32_t)(IP4_HEADER + payload));
	ip_put16(at + 6, IP4_DF);
	at[8] = IP_TTL;
	at[9] = proto;
	memcpy(at + 12, src, 4);
	memcpy(at + 16, dst, 4);
	ip_put16(at + 10, cksum_finish(cksum_add(0, at, IP4_HEADER)));
	return IP4_HEADER;
}

size_t ip_put_header6(uint8_t *at, uint8_t proto, uint8_t hops, const uint8_t src[16],
		      const uint8_t dst[16], size_t payload)
{
	ip_put32(at, 0x60000000u);
	ip_put16(at + 4, (uint32_t)payload);
	at[6] = proto;
	at[7] = hops;
	memcpy(at + 8, src, 16);
	memcpy(at + 24, dst, 16);
	return IP6_HEADER;
}

void ip_icmp6_cksum(uint8_t *icmp, size_t len, const uint8_t src[16], const uint8_t dst[16])
{
	uint32_t sum = cksum_pseudo6(src, dst, IP_ICMP6, (uint32_t)len);

	ip_put16(icmp + 2, cksum_finish(cksum_add(sum, icmp, len)));
}

size_t ip_udp_build(uint8_t *buf, const struct ip_end *src, const struct ip_end *dst, size_t len)
{
	size_t udp_len = UDP_HEADER + len;
	uint8_t *at = buf, *udp;
	uint32_t sum;
	uint16_t cksum;

	at += ip_put_ether(at, dst->mac, src->mac, dst->v6 ? ETH_IPV6 : ETH_IPV4);
	if (dst->v6)
		at += ip_put_header6(at, IP_UDP, IP_TTL, src->addr, dst->addr, udp_len);
	else
		at += ip_put_header4(at, IP_UDP, src->addr, dst->addr, udp_len);
	udp = at;
	ip_put16(udp, src->port);
	ip_put16(udp + 2, dst->port);
	ip_put16(udp + 4, (uint32_t)udp_len);
	ip_put16(udp + 6, 0);
	sum = dst->v6 ? cksum_pseudo6(src->addr, dst->addr, IP_UDP, (uint32_t)udp_len)
		      : cksum_pseudo4(src->addr, dst->addr, IP_UDP, (uint32_t)udp_len);
	cksum = cksum_finish(cksum_add(sum, udp, udp_len));
	ip_put16(udp + 6, cksum ? cksum : 0xffff);
	return (size_t)(udp - buf) + udp_len;
}
