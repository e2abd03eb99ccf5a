/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The headers of the packets themselves, as far as a network driver looks: Ethernet, VLAN, IPv4,
 * IPv6, TCP, UDP. Offsets and numbers only; packets are read through bounded views.
 */
#ifndef WIRE_NET_H
#define WIRE_NET_H

#include "common/endian.h"
#include "wire/virtio.h"

#define ETH_ALEN      6 /* spelt as in Linux headers, so that both can be included */
#define ETH_HLEN      14
#define ETH_VLAN_LEN  4u
#define ETH_FRAME_MIN 60u /* without FCS */

#define ETH_TYPE_IPV4 0x0800u
#define ETH_TYPE_ARP  0x0806u
#define ETH_TYPE_VLAN 0x8100u
#define ETH_TYPE_IPV6 0x86ddu
#define ETH_TYPE_QINQ 0x88a8u

struct eth_hdr {
	uint8_t dst[6];
	uint8_t src[6];
	be16 type;
};
WIRE_SIZE(eth_hdr, 14);
WIRE_OFFSET(eth_hdr, dst, 0);
WIRE_OFFSET(eth_hdr, src, 6);
WIRE_OFFSET(eth_hdr, type, 12);

/* IEEE 802.1Q, between the addresses and the type. */
struct eth_vlan {
	be16 tpid;
	be16 tci;
};
WIRE_SIZE(eth_vlan, 4);

/* RFC 791 */
struct ipv4_hdr {
	uint8_t ver_ihl;
	uint8_t tos;
	be16 total_len;
	be16 id;
	be16 frag; /* 3 flag bits, 13 bits of offset */
	uint8_t ttl;
	uint8_t proto;
	be16 cksum;
	uint8_t src[4];
	uint8_t dst[4];
};
WIRE_SIZE(ipv4_hdr, 20);
WIRE_OFFSET(ipv4_hdr, total_len, 2);
WIRE_OFFSET(ipv4_hdr, frag, 6);
WIRE_OFFSET(ipv4_hdr, proto, 9);
WIRE_OFFSET(ipv4_hdr, cksum, 10);
WIRE_OFFSET(ipv4_hdr, src, 12);
WIRE_OFFSET(ipv4_hdr, dst, 16);

#define IPV4_FRAG_MASK 0x3fffu /* MF and the offset: any of them set, and it is a fragment */

/* RFC 8200 */
struct ipv6_hdr {
	be32 ver_class_flow;
	be16 payload_len;
	uint8_t next;
	uint8_t hop_limit;
	uint8_t src[16];
	uint8_t dst[16];
};
WIRE_SIZE(ipv6_hdr, 40);
WIRE_OFFSET(ipv6_hdr, payload_len, 4);
WIRE_OFFSET(ipv6_hdr, next, 6);
WIRE_OFFSET(ipv6_hdr, src, 8);
WIRE_OFFSET(ipv6_hdr, dst, 24);

enum ip_proto {
	IP_PROTO_HOPOPTS = 0,
	IP_PROTO_TCP = 6,
	IP_PROTO_UDP = 17,
	IP_PROTO_ROUTING = 43,
	IP_PROTO_FRAGMENT = 44,
	IP_PROTO_DSTOPTS = 60,
};

/* RFC 9293 */
struct tcp_hdr {
	be16 src;
	be16 dst;
	be32 seq;
	be32 ack;
	uint8_t data_off; /* high nibble, in 32-bit words */
	uint8_t flags;
	be16 window;
	be16 cksum;
	be16 urgent;
};
WIRE_SIZE(tcp_hdr, 20);
WIRE_OFFSET(tcp_hdr, seq, 4);
WIRE_OFFSET(tcp_hdr, data_off, 12);
WIRE_OFFSET(tcp_hdr, flags, 13);
WIRE_OFFSET(tcp_hdr, cksum, 16);

#define TCP_FLAG_FIN 0x01u
#define TCP_FLAG_SYN 0x02u
#define TCP_FLAG_RST 0x04u
#define TCP_FLAG_PSH 0x08u
#define TCP_FLAG_ACK 0x10u
#define TCP_FLAG_URG 0x20u
#define TCP_FLAG_CWR 0x80u

/* RFC 768 */
struct udp_hdr {
	be16 src;
	be16 dst;
	be16 len;
	be16 cksum;
};
WIRE_SIZE(udp_hdr, 8);
WIRE_OFFSET(udp_hdr, len, 4);
WIRE_OFFSET(udp_hdr, cksum, 6);

#endif
