/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An lwIP interface over the virtio-net driver.
 *
 * Memory. The device reaches only what the port gave it (dma_alloc); lwIP's pbufs come from the
 * heap. So frames to send are copied once, here, into slots of a pool the device can reach; a frame
 * takes as many slots as it needs and the driver sends them as a scatter list. Received frames are
 * not copied: each receive slot carries a custom pbuf that refers to it, and goes back to the pool
 * when lwIP frees the pbuf. All slots are made at creation; nothing is allocated per packet.
 *
 * Checksums. Debian's lwIP always computes and always verifies (compile-time choices). Where the
 * device has CSUM the frame is handed over with VIO_NET_TX_CSUM all the same: the driver puts the
 * pseudo-header's sum in the field and the other side really has to finish it. A received frame
 * whose checksum was left to us is finished (vio_net_offload_finish) before lwIP verifies it.
 *
 * Segmentation. Where the device has TSO, tso.h joins what lwIP cut. Merged receive packets (LRO)
 * become chains of pbufs.
 *
 * Contexts. Everything here runs under lwIP's core lock, which makes it the driver's one context.
 * Frames that lwIP's timer thread sends are put on the ring, but only netif_vio_turn, called by the
 * thread that owns the machine, touches a register: it runs soon enough (STACK_NAP_US).
 */
#ifndef STACK_NETIF_VIO_H
#define STACK_NETIF_VIO_H

#include "common/span.h"
#include "tools/stack/pcap.h"
#include "tools/stack/stack_lwip.h"
#include "vio/net.h"

struct netif_vio;

struct netif_vio_params {
	const struct vio_os *os;
	struct vio_transport *transport;
	struct vio_net_params net; /* tx_max_segs, rx_max_segs are set here */
	bool no_tso;		   /* leave lwIP's segments as they are */
	struct pcap *pcap;	   /* NULL: none */
	/* Every received frame (its first buffer) before lwIP. True: taken, lwIP does not see it.
	 */
	bool (*tap)(void *arg, struct span frame);
	/* The link changed, or the device broke (why not NULL). May be NULL. */
	void (*event)(void *arg, const struct vio_net_link *link, const char *why);
	void *arg;
};

struct netif_vio_stats {
	uint64_t tx_frames;   /* as lwIP sent them */
	uint64_t tx_packets;  /* as the device got them */
	uint64_t tx_joined;   /* frames that became part of another's packet */
	uint64_t tx_stalls;   /* the ring was full */
	uint64_t tx_refused;  /* frames handed back to lwIP for want of room */
	uint64_t tx_dropped;  /* refused by the driver */
	uint64_t tx_aborted;  /* given back unsent by a reset */
	uint64_t rx_packets;  /* to lwIP */
	uint64_t rx_large;    /* of those, longer than the MTU allows: LRO */
	uint64_t rx_finished; /* checksums finished */
	uint64_t rx_dropped;  /* too long for a pbuf, or a checksum that could not be finished */
	uint64_t rx_starved;  /* the driver asked for a buffer and there was none */
	uint64_t lost;	      /* slots a dead device may still write to */
};

/* Driver and interface, the device left reset, the interface down. VIO_* as vio_net_create. */
int netif_vio_create(struct netif_vio **out, const struct netif_vio_params *params) VIO_MUST_CHECK;
/*
 * Stops the device, frees everything. What lwIP still holds is pulled from it first: connections
 * must be closed or aborted before. Number of slots that never came back (0 is right).
 */
unsigned netif_vio_destroy(struct netif_vio *nv);

int netif_vio_start(struct netif_vio *nv) VIO_MUST_CHECK;
int netif_vio_stop(struct netif_vio *nv);
/* Slots now with the device or with lwIP. */
unsigned netif_vio_outstanding(const struct netif_vio *nv);

/*
 * One turn of the driver: what the events ask for (VIO_EVENT_*, 0: nothing new), then everything
 * lwIP sent meanwhile. True: there is more to do at once.
 */
bool netif_vio_turn(struct netif_vio *nv, unsigned events) VIO_MUST_CHECK;
/* Recover a device that broke. VIO_OK also when nothing did. */
int netif_vio_mend(struct netif_vio *nv) VIO_MUST_CHECK;

/* One frame of our own (not lwIP's), sent with the next turn. False: no room. */
bool netif_vio_send(struct netif_vio *nv, const void *frame, size_t len);

struct vio_net *netif_vio_net(struct netif_vio *nv);
struct netif *netif_vio_netif(struct netif_vio *nv);
const struct vio_net_info *netif_vio_info(const struct netif_vio *nv);
const struct netif_vio_stats *netif_vio_stats(const struct netif_vio *nv);

#endif
