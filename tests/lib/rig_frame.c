/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames to play with: whole TCP and UDP packets with a pattern in them. */
#include <string.h>

#include "common/cksum.h"
#include "tests/lib/rig.h"
#include "wire/net.h"

static void put16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static size_t put_ip4(uint8_t *ip, uint8_t proto, size_t l4_len)
{
	static const uint8_t addrs[8] = {10, 0, 0, 1, 10, 0, 0, 2};

	memset(ip, 0, 20);
	ip[0] = 0x45;
	put16(ip + 2, 20 + l4_len);
	put16(ip + 4, 0x1234);
	ip[8] = 64;
	ip[9] = proto;
	memcpy(ip + 12, addrs, 8);
	put16(ip + 10, cksum_finish(cksum_add(0, ip, 20)));
	return 20;
}

static size_t put_ip6(uint8_t *ip, uint8_t proto, size_t l4_len)
{
	memset(ip, 0, 40);
	ip[0] = 0x60;
	put16(ip + 4, l4_len);
	ip[6] = proto;
	ip[7] = 64;
	ip[8] = ip[24] = 0xfd;
	ip[23] = 1;
	ip[39] = 2;
	return 40;
}

static size_t build(uint8_t *buf, const struct rig_flow *f, size_t payload, uint32_t seed,
		    bool partial, size_t *l4_at)
{
	uint8_t proto = f->udp ? IP_PROTO_UDP : IP_PROTO_TCP;
	size_t l4_hdr = f->udp ? 8 : 20, at = 14, l4_len = l4_hdr + payload, ip;
	uint32_t sum;
	uint8_t *l4;

	memcpy(buf, f->dst_mac, 6);
	memcpy(buf + 6, f->src_mac, 6);
	if (f->vlan) {
		put16(buf + 12, ETH_TYPE_VLAN);
		put16(buf + 14, f->vlan_tci);
		at += 4;
	}
	put16(buf + at - 2, f->ipv6 ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4);
	ip = at;
	at += f->ipv6 ? put_ip6(buf + at, proto, l4_len) : put_ip4(buf + at, proto, l4_len);
	l4 = buf + at;
	memset(l4, 0, l4_hdr);
	put16(l4, 40000);
	put16(l4 + 2, 5001);
	if (f->udp) {
		put16(l4 + 4, l4_len);
	} else {
		put16(l4 + 4, f->seq >> 16);
		put16(l4 + 6, f->seq & 0xffff);
		l4[12] = 5 << 4;
		l4[13] = f->tcp_flags ? f->tcp_flags : TCP_FLAG_ACK;
		put16(l4 + 14, 0xffff);
	}
	for (size_t i = 0; i < payload; i++) {
		seed = seed * 1664525u + 1013904223u;
		l4[l4_hdr + i] = (uint8_t)(seed >> 24);
	}
	sum = f->ipv6 ? cksum_pseudo6(buf + ip + 8, buf + ip + 24, proto, (uint32_t)l4_len)
		      : cksum_pseudo4(buf + ip + 12, buf + ip + 16, proto, (uint32_t)l4_len);
	if (partial) {
		put16(l4 + (f->udp ? 6 : 16), cksum_fold(sum));
	} else {
		uint16_t done = cksum_finish(cksum_add(sum, l4, l4_len));

		put16(l4 + (f->udp ? 6 : 16), f->udp && done == 0 ? 0xffff : done);
	}
	if (l4_at)
		*l4_at = at;
	return at + l4_len;
}

size_t rig_frame(uint8_t *buf, const struct rig_flow *flow, size_t payload, uint32_t seed,
		 size_t *l4)
{
	return build(buf, flow, payload, seed, false, l4);
}

size_t rig_frame_partial(uint8_t *buf, const struct rig_flow *flow, size_t payload, uint32_t seed,
			 struct model_hdr *hdr)
{
	size_t l4, len = build(buf, flow, payload, seed, true, &l4);

	memset(hdr, 0, sizeof(*hdr));
	hdr->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	hdr->csum_start = (uint16_t)l4;
	hdr->csum_offset = flow->udp ? 6 : 16;
	hdr->hdr_len = (uint16_t)(l4 + (flow->udp ? 8 : 20));
	return len;
}
