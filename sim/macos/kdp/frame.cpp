/* SPDX-License-Identifier: BSD-2-Clause */
/* Ethernet, IP, UDP and ARP, as little of them as the kernel's debugger knows. */
#include "sim/macos/kdp/server.h"

#include <string.h>

#include "wire/net.h"
extern "C" {
#include "common/cksum.h"
}

/* Offsets in the frame. */
enum { AT_IP = ETH_HLEN, AT_UDP = AT_IP + 20 };

/*
 * [XNU-KDP-1] No checksum is looked at, no destination, no fragment bits; IP options are refused.
 * The length is UDP's. A frame that is shorter than it says is dropped here, where the kernel
 * would go on with what its buffer held before.
 */
bool kdp_frame_parse(struct span frame, struct span *payload)
{
	uint8_t ihl, proto;
	uint16_t type, port, len;

	if (frame.len < KDP_HEADERS || !span_be16(frame, 12, &type) || type != ETH_TYPE_IPV4)
		return false;
	if (!span_u8(frame, AT_IP, &ihl) || (ihl & 15) > 5)
		return false;
	if (!span_u8(frame, AT_IP + offsetof(struct ipv4_hdr, proto), &proto) ||
	    proto != IP_PROTO_UDP)
		return false;
	if (!span_be16(frame, AT_UDP + offsetof(struct udp_hdr, dst), &port) || port != KDP_PORT)
		return false;
	if (!span_be16(frame, AT_UDP + offsetof(struct udp_hdr, len), &len) || len < 8)
		return false;
	return span_sub(frame, KDP_HEADERS, len - 8u, payload);
}

void kdp_frame_peers(const uint8_t *frame, struct kdp_peer *from, struct kdp_peer *to)
{
	memcpy(to->mac, frame, 6);
	memcpy(from->mac, frame + 6, 6);
	memcpy(from->ip, frame + AT_IP + offsetof(struct ipv4_hdr, src), 4);
	memcpy(to->ip, frame + AT_IP + offsetof(struct ipv4_hdr, dst), 4);
}

/* [XNU-KDP-2] No UDP checksum, 60 hops, and always from the debugger's own port. */
unsigned kdp_frame_write(uint8_t *frame, unsigned n, const struct kdp_peer *from,
			 const struct kdp_peer *to, be16 port, uint16_t ip_id)
{
	struct eth_hdr eth = {};
	struct ipv4_hdr ip = {};
	struct udp_hdr udp = {};

	memcpy(eth.dst, to->mac, 6);
	memcpy(eth.src, from->mac, 6);
	eth.type = be16_make(ETH_TYPE_IPV4);
	ip.ver_ihl = 0x45;
	ip.total_len = be16_make((uint16_t)(n + 28));
	ip.id = be16_make(ip_id);
	ip.ttl = 60;
	ip.proto = IP_PROTO_UDP;
	memcpy(ip.src, from->ip, 4);
	memcpy(ip.dst, to->ip, 4);
	ip.cksum = be16_make(cksum_finish(cksum_add(0, &ip, sizeof(ip))));
	udp.src = be16_make(KDP_PORT);
	udp.dst = port;
	udp.len = be16_make((uint16_t)(n + 8));
	memcpy(frame, &eth, sizeof(eth));
	memcpy(frame + AT_IP, &ip, sizeof(ip));
	memcpy(frame + AT_UDP, &udp, sizeof(udp));
	return n + KDP_HEADERS;
}

/*
 * Ethernet and IPv4 addresses only: the fixed part of the packet is compared as a whole. The reply
 * has the length of the request.
 */
bool kdp_frame_arp(uint8_t *frame, unsigned len, const uint8_t mac[6], const uint8_t ip[4])
{
	static const uint8_t request[] = {0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1};
	static const uint8_t none[6] = {};
	enum { SHA = 22, SPA = 28, THA = 32, TPA = 38, END = 42 };

	if (len < END || memcmp(frame + 12, request, sizeof(request)) != 0)
		return false;
	if (!memcmp(mac, none, 6) || !memcmp(ip, none, 4) || memcmp(frame + TPA, ip, 4) != 0)
		return false;
	frame[21] = 2;
	memmove(frame + THA, frame + SHA, 10); /* hardware and protocol address of the sender */
	memcpy(frame + SHA, mac, 6);
	memcpy(frame + SPA, ip, 4);
	memcpy(frame, frame + THA, 6);
	memcpy(frame + 6, mac, 6);
	return true;
}
