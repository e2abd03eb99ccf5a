/* SPDX-License-Identifier: BSD-2-Clause */
/* Network device (5.1): features, configuration, packet header, control commands. */
#ifndef WIRE_VIRTIO_NET_H
#define WIRE_VIRTIO_NET_H

#include "common/endian.h"
#include "wire/vring.h"

/* 5.1.3 */
enum virtio_net_feature {
	VIRTIO_NET_F_CSUM = 0,
	VIRTIO_NET_F_GUEST_CSUM = 1,
	VIRTIO_NET_F_CTRL_GUEST_OFFLOADS = 2,
	VIRTIO_NET_F_MTU = 3,
	VIRTIO_NET_F_MAC = 5,
	VIRTIO_NET_F_GSO = 6, /* legacy (5.1.3.2): HOST_TSO4 + HOST_TSO6 + HOST_ECN in one */
	VIRTIO_NET_F_GUEST_TSO4 = 7,
	VIRTIO_NET_F_GUEST_TSO6 = 8,
	VIRTIO_NET_F_GUEST_ECN = 9,
	VIRTIO_NET_F_GUEST_UFO = 10,
	VIRTIO_NET_F_HOST_TSO4 = 11,
	VIRTIO_NET_F_HOST_TSO6 = 12,
	VIRTIO_NET_F_HOST_ECN = 13,
	VIRTIO_NET_F_HOST_UFO = 14,
	VIRTIO_NET_F_MRG_RXBUF = 15,
	VIRTIO_NET_F_STATUS = 16,
	VIRTIO_NET_F_CTRL_VQ = 17,
	VIRTIO_NET_F_CTRL_RX = 18,
	VIRTIO_NET_F_CTRL_VLAN = 19,
	VIRTIO_NET_F_CTRL_RX_EXTRA = 20,
	VIRTIO_NET_F_GUEST_ANNOUNCE = 21,
	VIRTIO_NET_F_MQ = 22,
	VIRTIO_NET_F_CTRL_MAC_ADDR = 23,
	VIRTIO_NET_F_DEVICE_STATS = 50,
	VIRTIO_NET_F_VQ_NOTF_COAL = 52,
	VIRTIO_NET_F_NOTF_COAL = 53,
	VIRTIO_NET_F_GUEST_USO4 = 54,
	VIRTIO_NET_F_GUEST_USO6 = 55,
	VIRTIO_NET_F_HOST_USO = 56,
	VIRTIO_NET_F_HASH_REPORT = 57,
	VIRTIO_NET_F_GUEST_HDRLEN = 59,
	VIRTIO_NET_F_RSS = 60,
	VIRTIO_NET_F_RSC_EXT = 61,
	VIRTIO_NET_F_STANDBY = 62,
	VIRTIO_NET_F_SPEED_DUPLEX = 63,
};

/* 5.1.4; a device without MQ, MTU, ... simply has a shorter one (CF-4). */
struct virtio_net_config {
	uint8_t mac[6];
	le16 status;
	le16 max_virtqueue_pairs;
	le16 mtu;
	le32 speed; /* Mbit/s; above 0x7fffffff: unknown (NC-11) */
	uint8_t duplex;
	uint8_t rss_max_key_size;
	le16 rss_max_indirection_table_length;
	le32 supported_hash_types;
};
WIRE_SIZE(virtio_net_config, 24);
WIRE_OFFSET(virtio_net_config, mac, 0);
WIRE_OFFSET(virtio_net_config, status, 6);
WIRE_OFFSET(virtio_net_config, max_virtqueue_pairs, 8);
WIRE_OFFSET(virtio_net_config, mtu, 10);
WIRE_OFFSET(virtio_net_config, speed, 12);
WIRE_OFFSET(virtio_net_config, duplex, 16);
WIRE_OFFSET(virtio_net_config, rss_max_key_size, 17);
WIRE_OFFSET(virtio_net_config, rss_max_indirection_table_length, 18);
WIRE_OFFSET(virtio_net_config, supported_hash_types, 20);

#define VIRTIO_NET_S_LINK_UP  1u
#define VIRTIO_NET_S_ANNOUNCE 2u

#define VIRTIO_NET_SPEED_UNKNOWN  0x7fffffffu /* anything above is unknown */
#define VIRTIO_NET_DUPLEX_HALF	  0u
#define VIRTIO_NET_DUPLEX_FULL	  1u
#define VIRTIO_NET_DUPLEX_UNKNOWN 0xffu

/* 5.1.6; legacy without MRG_RXBUF ends before num_buffers (LG-22). */
struct virtio_net_hdr {
	uint8_t flags;
	uint8_t gso_type;
	vio16 hdr_len;
	vio16 gso_size;
	vio16 csum_start;
	vio16 csum_offset;
	vio16 num_buffers;
};
WIRE_SIZE(virtio_net_hdr, 12);
WIRE_OFFSET(virtio_net_hdr, flags, 0);
WIRE_OFFSET(virtio_net_hdr, gso_type, 1);
WIRE_OFFSET(virtio_net_hdr, hdr_len, 2);
WIRE_OFFSET(virtio_net_hdr, gso_size, 4);
WIRE_OFFSET(virtio_net_hdr, csum_start, 6);
WIRE_OFFSET(virtio_net_hdr, csum_offset, 8);
WIRE_OFFSET(virtio_net_hdr, num_buffers, 10);

#define VIRTIO_NET_HDR_LEN	  12u
#define VIRTIO_NET_HDR_LEN_LEGACY 10u

#define VIRTIO_NET_HDR_F_NEEDS_CSUM 1u
#define VIRTIO_NET_HDR_F_DATA_VALID 2u
#define VIRTIO_NET_HDR_F_RSC_INFO   4u

#define VIRTIO_NET_HDR_GSO_NONE	  0u
#define VIRTIO_NET_HDR_GSO_TCPV4  1u
#define VIRTIO_NET_HDR_GSO_UDP	  3u
#define VIRTIO_NET_HDR_GSO_TCPV6  4u
#define VIRTIO_NET_HDR_GSO_UDP_L4 5u
#define VIRTIO_NET_HDR_GSO_ECN	  0x80u

/* Queue indices without MQ and RSS (5.1.2). */
#define VIRTIO_NET_QUEUE_RX   0u
#define VIRTIO_NET_QUEUE_TX   1u
#define VIRTIO_NET_QUEUE_CTRL 2u

/* Control commands (5.1.6.5): this header, the command's data, then one byte of answer. */
struct virtio_net_ctrl_hdr {
	uint8_t class_;
	uint8_t command;
};
WIRE_SIZE(virtio_net_ctrl_hdr, 2);
WIRE_OFFSET(virtio_net_ctrl_hdr, class_, 0);
WIRE_OFFSET(virtio_net_ctrl_hdr, command, 1);

#define VIRTIO_NET_OK  0u
#define VIRTIO_NET_ERR 1u

enum virtio_net_ctrl_class {
	VIRTIO_NET_CTRL_RX = 0,
	VIRTIO_NET_CTRL_MAC = 1,
	VIRTIO_NET_CTRL_VLAN = 2,
	VIRTIO_NET_CTRL_ANNOUNCE = 3,
	VIRTIO_NET_CTRL_MQ = 4,
	VIRTIO_NET_CTRL_GUEST_OFFLOADS = 5,
};

/* Each takes one byte, on or off. The last four need CTRL_RX_EXTRA (NX-5). */
enum virtio_net_ctrl_rx {
	VIRTIO_NET_CTRL_RX_PROMISC = 0,
	VIRTIO_NET_CTRL_RX_ALLMULTI = 1,
	VIRTIO_NET_CTRL_RX_ALLUNI = 2,
	VIRTIO_NET_CTRL_RX_NOMULTI = 3,
	VIRTIO_NET_CTRL_RX_NOUNI = 4,
	VIRTIO_NET_CTRL_RX_NOBCAST = 5,
};

#define VIRTIO_NET_CTRL_MAC_TABLE_SET 0u
#define VIRTIO_NET_CTRL_MAC_ADDR_SET  1u

/* Twice: unicast, then multicast (NX-8); entries follow the count. */
struct virtio_net_ctrl_mac {
	vio32 entries;
	uint8_t macs[][6];
};
WIRE_SIZE(virtio_net_ctrl_mac, 4);
WIRE_OFFSET(virtio_net_ctrl_mac, entries, 0);
WIRE_OFFSET(virtio_net_ctrl_mac, macs, 4);

#define VIRTIO_NET_CTRL_VLAN_ADD 0u /* data: one vio16 VLAN id */
#define VIRTIO_NET_CTRL_VLAN_DEL 1u

#define VIRTIO_NET_CTRL_ANNOUNCE_ACK 0u

#define VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET 0u /* data: one vio64 of feature bits */

/* Sizes of receive buffers without merging (5.1.6.3.1, NR-1, NR-2), header included. */
#define VIRTIO_NET_RX_BIG   65601u
#define VIRTIO_NET_RX_SMALL 1526u

#define VIRTIO_NET_MTU_MIN 68u

#endif
