/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside of the network driver. Only guest/drivers/net*.c include this.
 *
 * Slots. A packet to send and a receive buffer each occupy a slot for as long as the driver owns
 * them; the slot is the ring's token. `cookie` is set exactly while the driver owns the port's
 * object, so after a reset one walk over the slots returns everything, whatever state the device
 * left it in.
 *
 * What each field belongs to (vio/net.h, "Contexts") is said beside it: T transmit, R receive,
 * C the third context, which excludes the other two. Counters belong to the context that counts;
 * readers may see them a moment late.
 */
#ifndef DRIVERS_NET_PRIV_H
#define DRIVERS_NET_PRIV_H

#include "common/span.h"
#include "vio/net.h"
#include "wire/net.h"

/* Per transmit slot: virtio header, then room for an Ethernet header with a VLAN tag. */
#define NET_TX_HEAD    32u
#define NET_TX_ETH     12u /* where the addresses begin in it */
#define NET_RX_HEAD    16u /* per receive slot, where the header needs its own descriptor */
#define NET_POLLED     4u  /* frames a debugger can have in flight */
#define NET_POLLED_MAX 1536u

#define NET_CTRL_DATA  (2u * (sizeof(struct virtio_net_ctrl_mac) + VIO_NET_MAC_MAX * 6u))
#define NET_CTRL_BYTES (sizeof(struct virtio_net_ctrl_hdr) + NET_CTRL_DATA + 1u)

struct net_tx_slot {
	void *cookie;		  /* the port's packet; NULL: none, or a polled frame */
	struct net_tx_slot *next; /* free list or deferred list */
	bool polled;
	bool busy; /* polled: the device has it; for others the cookie says so */
};

struct net_rx_slot {
	void *cookie;
	struct seg *segs;
	struct net_rx_slot *next; /* free list */
	uint16_t nsegs;
};

/*
 * The packet being put together from merged buffers. A device may complete its buffers one by one,
 * so this outlives a poll; `want` says how many the packet has, `seen` how many came (H-7).
 */
struct net_assembly {
	struct vio_net_rx_part parts[VIO_NET_MERGE_MAX];
	struct net_rx_slot *slots[VIO_NET_MERGE_MAX]; /* NULL: already given back to the device */
	struct vio_net_offload offload;
	unsigned want; /* 0: none begun */
	unsigned seen;
	uint32_t len;
	bool bad; /* drop it when complete */
};

struct net_filter_state {
	bool set;
	bool promisc;
	bool allmulti;
	unsigned nunicast, nmulticast;
	uint8_t unicast[VIO_NET_MAC_MAX][6];
	uint8_t multicast[VIO_NET_MAC_MAX][6];
};

struct vio_net {
	/* Constant after creation. */
	struct vio_device dev;
	const struct vio_os *os;
	const struct vio_net_upcalls *up;
	void *port;
	struct vio_net_params params;
	uint64_t features;
	bool legacy_order; /* header fields in the CPU's order (LG-17) */
	bool any_layout;   /* header and data may share a descriptor (LG-24) */
	bool rx_inline;	   /* header at the start of the receive buffer */
	uint16_t hdr_len;
	uint16_t mtu;
	uint32_t rx_buf_len;
	unsigned merge_max;
	struct vio_ring *rx, *tx, *ctrl;
	struct vio_dma tx_heads, rx_heads, polled_mem, ctrl_mem;
	size_t rx_slots_bytes, rx_segs_bytes, tx_slots_bytes;

	/* T */
	struct net_tx_slot *tx_slots; /* ring size, then NET_POLLED */
	struct net_tx_slot *tx_free;
	struct net_tx_slot *tx_deferred; /* completed in polled mode, tx_done still owed */
	bool tx_waiting;		 /* armed for room */

	/* R */
	struct net_rx_slot *rx_slots;
	struct seg *rx_segs;
	struct net_rx_slot *rx_free;
	struct net_assembly asm_;

	/* C */
	bool running;
	bool resume;
	bool told_broken;
	struct vio_net_link link;
	uint8_t mac[6];
	bool mac_changed;
	uint64_t offloads; /* GUEST_* in use */
	bool offloads_changed;
	struct net_filter_state filter;
	uint8_t vlans[4096 / 8];
	bool vlans_set;
	uint64_t config_checked; /* us */
	uint64_t config_window;	 /* us, when the present one began */
	unsigned config_burst;	 /* readings in it */
	bool config_wanted;

	struct vio_net_stats stats;
};

static inline bool net_has(const struct vio_net *net, unsigned feature)
{
	return net->features >> feature & 1;
}

/* Header fields: little-endian, or the CPU's order on a legacy device. */
static inline vio16 net_put16(const struct vio_net *net, uint16_t v)
{
	return (vio16){net->legacy_order ? v : endian_le16(v)};
}

static inline uint16_t net_get16(const struct vio_net *net, vio16 v)
{
	return net->legacy_order ? v.raw : endian_le16(v.raw);
}

/* net.c */
uint64_t net_now(const struct vio_net *net);
/* The device or a ring turned out to be broken; tells the port once. */
void net_check_broken(struct vio_net *net);

/* net_event.c */
/* Read what the configuration says now; C. */
int net_config_update(struct vio_net *net, bool starting) VIO_MUST_CHECK;

/* net_tx.c */
int net_tx_create(struct vio_net *net) VIO_MUST_CHECK;
void net_tx_free(struct vio_net *net);
void net_tx_reset(struct vio_net *net, int status); /* returns every packet */
/* Take completed slots off the ring without upcalls, for polled mode. */
void net_tx_pop_deferred(struct vio_net *net);

/* net_rx.c */
int net_rx_create(struct vio_net *net) VIO_MUST_CHECK;
void net_rx_free(struct vio_net *net);
void net_rx_reset(struct vio_net *net, int status);
/* Where a popped receive buffer stands in its packet. */
enum net_rx_step {
	NET_RX_PART, /* taken, the packet is not complete */
	NET_RX_DONE, /* the packet is complete: asm_ describes it */
};
enum net_rx_step net_rx_take(struct vio_net *net, struct net_rx_slot *slot, uint32_t len);
/* Give a slot's buffer to the device again. */
void net_rx_post(struct vio_net *net, struct net_rx_slot *slot);
/* End the packet in asm_: post every buffer it still holds. */
void net_rx_drop(struct vio_net *net);

/* net_ctrl.c */
int net_ctrl_create(struct vio_net *net) VIO_MUST_CHECK;
void net_ctrl_free(struct vio_net *net);
/* Tell a freshly started device everything the port had set. */
int net_ctrl_restore(struct vio_net *net) VIO_MUST_CHECK;
int net_ctrl_announce_ack(struct vio_net *net) VIO_MUST_CHECK;

/* net_polled.c */
int net_polled_create(struct vio_net *net) VIO_MUST_CHECK;
void net_polled_free(struct vio_net *net);

/* net_offload.c */
struct net_headers {
	uint16_t l3;	  /* offset of the IP header */
	uint16_t l4;	  /* of the TCP or UDP header */
	uint16_t payload; /* of what follows it */
	uint16_t l4_len;  /* bytes from l4 on, by the IP header */
	uint8_t proto;	  /* IP_PROTO_TCP or IP_PROTO_UDP */
	uint8_t tcp_flags;
	bool v6;
};
/* VIO_EINVAL: not a whole, unfragmented TCP or UDP packet. frame_len is what is really there. */
int net_headers_parse(struct span f, size_t frame_len, struct net_headers *h) VIO_MUST_CHECK;
/* Whether *o may be given to this device for a frame of len bytes. VIO_EINVAL, VIO_ENOTSUP. */
int net_offload_check_tx(const struct vio_net *net, const struct vio_net_offload *o,
			 uint32_t len) VIO_MUST_CHECK;
/*
 * Read and check the header a device wrote for a frame of len bytes whose first bytes are head
 * (H-8). False: drop the frame.
 */
bool net_offload_check_rx(const struct vio_net *net, const struct virtio_net_hdr *hdr,
			  struct span head, uint32_t len, struct vio_net_offload *out);

#endif
