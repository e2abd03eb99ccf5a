/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/qemu/craft.h"

#include <string.h>

#include "common/cksum.h"
#include "wire/net.h"

#define IP4_LEN	     20u
#define IP6_LEN	     40u
#define TCP_LEN	     20u
#define UDP_LEN	     8u
#define OPT_NOP	     1u
#define CSUM_JUNK    0xa55au
#define TCP_SEQ	     0xfffff800u /* wraps within the packet */
#define HOPS	     64u
#define TCP_CSUM_OFF 16u
#define UDP_CSUM_OFF 6u

static uint32_t put16(uint8_t *f, uint32_t at, uint32_t v)
{
	f[at] = (uint8_t)(v >> 8);
	f[at + 1] = (uint8_t)v;
	return at + 2;
}

static uint32_t craft_ip4(const struct craft *c, uint8_t *ip, const struct craft_ends *from,
			  const struct craft_ends *to, unsigned nth)
{
	uint32_t len = IP4_LEN + c->ip_opts * 4;

	memset(ip, 0, IP4_LEN);
	memset(ip + IP4_LEN, OPT_NOP, c->ip_opts * 4);
	ip[0] = (uint8_t)(0x40 | len / 4);
	(void)put16(ip, 4, 0xfff0u + nth); /* wraps, too */
	ip[8] = HOPS;
	ip[9] = c->udp ? IP_PROTO_UDP : IP_PROTO_TCP;
	memcpy(ip + 12, from->ip4, 4);
	memcpy(ip + 16, to->ip4, 4);
	return len;
}

static uint32_t craft_ip6(const struct craft *c, uint8_t *ip, const struct craft_ends *from,
			  const struct craft_ends *to)
{
	uint8_t proto = c->udp ? IP_PROTO_UDP : IP_PROTO_TCP;
	uint8_t *ext = ip + IP6_LEN;

	memset(ip, 0, IP6_LEN);
	ip[0] = 0x60;
	ip[6] = c->ip_opts ? IP_PROTO_DSTOPTS : proto;
	ip[7] = HOPS;
	memcpy(ip + 8, from->ip6, 16);
	memcpy(ip + 24, to->ip6, 16);
	if (!c->ip_opts)
		return IP6_LEN;
	memset(ext, 0, c->ip_opts * 8);
	ext[0] = proto;
	ext[1] = (uint8_t)(c->ip_opts - 1);
	ext[2] = 1; /* PadN over all the rest */
	ext[3] = (uint8_t)(c->ip_opts * 8 - 4);
	return IP6_LEN + c->ip_opts * 8;
}

static uint32_t craft_l4(const struct craft *c, uint8_t *l4, const struct craft_ends *from,
			 const struct craft_ends *to)
{
	(void)put16(l4, 0, from->port);
	(void)put16(l4, 2, to->port);
	if (c->udp) {
		(void)put16(l4, 4, UDP_LEN + c->payload);
		(void)put16(l4, UDP_CSUM_OFF, CSUM_JUNK);
		return UDP_LEN;
	}
	(void)put16(l4, 4, TCP_SEQ >> 16);
	(void)put16(l4, 6, TCP_SEQ & 0xffff);
	memset(l4 + 8, 0x11, 4);
	l4[12] = (uint8_t)((TCP_LEN / 4 + c->tcp_opts) << 4);
	l4[13] = c->tcp_flags;
	(void)put16(l4, 14, 0x2000);
	(void)put16(l4, TCP_CSUM_OFF, CSUM_JUNK);
	(void)put16(l4, 18, 0);
	memset(l4 + TCP_LEN, OPT_NOP, c->tcp_opts * 4);
	return TCP_LEN + c->tcp_opts * 4;
}

void craft_frame(struct craft *c, const struct craft_ends *from, const struct craft_ends *to,
		 unsigned nth, uint8_t *f)
{
	uint32_t at = 12;

	memcpy(f, to->mac, 6);
	memcpy(f + 6, from->mac, 6);
	if (c->vlan) {
		at = put16(f, at, ETH_TYPE_VLAN);
		at = put16(f, at, c->vlan);
	}
	at = put16(f, at, c->v6 ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4);
	c->l3 = (uint16_t)at;
	at += c->v6 ? craft_ip6(c, f + at, from, to) : craft_ip4(c, f + at, from, to, nth);
	c->l4 = (uint16_t)at;
	at += craft_l4(c, f + at, from, to);
	c->hdr_len = (uint16_t)at;
	for (uint32_t i = 0; i < c->payload; i++)
		f[at + i] = (uint8_t)(i * 11 + (i >> 8) + nth);
	c->len = at + c->payload;
	if (c->v6)
		(void)put16(f, c->l3 + 4u, c->len - c->l3 - IP6_LEN);
	else
		(void)put16(f, c->l3 + 2u, c->len - c->l3);
}

unsigned craft_complete(const struct craft *c, uint8_t *f,
			void (*out)(void *arg, const uint8_t *frame, size_t len), void *arg)
{
	uint16_t field = c->udp ? UDP_CSUM_OFF : TCP_CSUM_OFF;
	uint8_t proto = c->udp ? IP_PROTO_UDP : IP_PROTO_TCP;
	uint32_t l4_len = c->len - c->l4;
	uint8_t *ip = f + c->l3;
	struct model_hdr hdr = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = c->l4,
		.csum_offset = field,
	};

	if (c->mss && c->payload > c->mss) {
		hdr.gso_type = c->v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
		if (c->tcp_flags & TCP_FLAG_CWR)
			hdr.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
		hdr.gso_size = c->mss;
		hdr.hdr_len = c->hdr_len;
	}
	(void)put16(f, c->l4 + field,
		    cksum_fold(c->v6 ? cksum_pseudo6(ip + 8, ip + 24, proto, l4_len)
				     : cksum_pseudo4(ip + 12, ip + 16, proto, l4_len)));
	if (!c->v6) {
		(void)put16(ip, 10, 0);
		(void)put16(ip, 10, cksum_finish(cksum_add(0, ip, c->l4 - c->l3)));
	}
	return model_complete(&hdr, f, c->len, out, arg);
}
