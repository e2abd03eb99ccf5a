/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-net: packets in, packets out.
 *
 * The driver knows no packet object of any OS. A packet to send is a list of segments plus a
 * request (checksum this, segment that); the driver reads the packet's own headers, wherever they
 * are split, and builds the device's header from them. A packet received is a list of the buffers
 * the port had given, plus an offload descriptor. Nothing is copied and nothing is allocated per
 * packet.
 *
 *   vio_net_create   negotiate, read MAC and MTU, allocate everything; the device is left reset
 *   vio_net_start    queues on, DRIVER_OK, filters, receive buffers, link    (also: resume)
 *   vio_net_stop     reset; every buffer comes back                          (also: suspend)
 *   vio_net_destroy
 *
 * Ownership. A buffer given by rx_buffer belongs to the driver until rx_packet or rx_return names
 * its cookie; a packet accepted by vio_net_send until tx_done names its cookie. Each cookie comes
 * back exactly once, whatever the device does. If a device cannot even be reset, its buffers are
 * returned with VIO_EDEV: the port must not reuse that memory (H-12).
 *
 * Contexts. The driver takes no lock. There are three: transmit (send, flush, tx_*), receive (rx_*)
 * and the rest (lifecycle, control, config_event, tick, polled_*, service). Calls within one
 * exclude each other; calls of the third exclude everything but vio_net_interrupt, which may run
 * at any time, in an interrupt filter. A port with one work loop simply calls everything there.
 * Upcalls run in the context of the call that caused them and may call vio_net_send, never
 * lifecycle functions.
 */
#ifndef VIO_NET_H
#define VIO_NET_H

#include "common/seg.h"
#include "vio/device.h"
#include "wire/virtio_net.h"

struct vio_net;

#define VIO_NET_MAC_MAX	     64u    /* filter entries kept for unicast, and for multicast */
#define VIO_NET_MERGE_MAX    64u    /* most buffers of one received packet (H-7) */
#define VIO_NET_PACKET_MAX   65593u /* Ethernet, VLAN tag, IPv6 header, 64 KiB - 1 of payload */
#define VIO_NET_RECLAIM_IDLE 1000u  /* ms: the longest vio_net_tick should be apart */

/* ---- packets ---- */

/* What a header says of a packet's checksum and segmentation (5.1.6). Offsets from byte 0. */
struct vio_net_offload {
	uint8_t flags;	      /* VIRTIO_NET_HDR_F_NEEDS_CSUM, _DATA_VALID */
	uint8_t gso_type;     /* VIRTIO_NET_HDR_GSO_*, without the ECN bit */
	bool ecn;	      /* TCP GSO whose first segment carries CWR */
	uint16_t hdr_len;     /* all headers, exact; on receive ours, not the device's (NP-4) */
	uint16_t gso_size;    /* MSS: payload bytes of each segment */
	uint16_t csum_start;  /* sum from here to the end ... */
	uint16_t csum_offset; /* ... into the 16 bits this far behind csum_start */
};

/* Requests with a packet to send. */
#define VIO_NET_TX_CSUM	   1u  /* finish the TCP or UDP checksum */
#define VIO_NET_TX_IPCSUM  2u  /* finish the IPv4 header checksum (done here, not by the device) */
#define VIO_NET_TX_GSO	   4u  /* cut into segments of mss payload bytes; implies VIO_NET_TX_CSUM */
#define VIO_NET_TX_VLAN	   8u  /* insert an 802.1Q tag with vlan_tci */
#define VIO_NET_TX_OFFLOAD 16u /* offload is filled in already; packet bytes are left alone */

struct vio_net_tx {
	const struct seg *segs; /* the frame from its destination address on, no FCS, no padding */
	unsigned nsegs;
	unsigned flags;	   /* VIO_NET_TX_* */
	uint32_t headroom; /* bytes before segs[0] that the driver may overwrite, same mapping */
	uint16_t mss;
	uint16_t vlan_tci;
	struct vio_net_offload offload; /* with VIO_NET_TX_OFFLOAD */
	void *cookie;			/* not NULL */
};

/* An empty receive buffer. The port fills segs[0 .. nsegs-1]. */
struct vio_net_rxbuf {
	struct seg *segs;  /* in: room for max_segs */
	unsigned max_segs; /* in */
	uint32_t min_len;  /* in: bytes it must have, as vio_net_info.rx_buf_len */
	unsigned nsegs;	   /* out */
	void *cookie;	   /* out, not NULL */
};

struct vio_net_rx_part {
	void *cookie;
	uint32_t off; /* first byte of the packet inside the buffer */
	uint32_t len;
};

struct vio_net_rx {
	const struct vio_net_rx_part *parts; /* valid during the upcall */
	unsigned nparts;
	uint32_t len; /* sum over parts */
	struct vio_net_offload offload;
};

struct vio_net_link {
	bool up;
	bool full_duplex;
	uint32_t speed_mbps; /* 0: unknown */
};

/* ---- what the driver asks of its port ---- */

struct vio_net_upcalls {
	/* An empty buffer of at least vio_net_info.rx_buf_len bytes. False: none now. */
	bool (*rx_buffer)(void *port, struct vio_net_rxbuf *buf);
	void (*rx_packet)(void *port, const struct vio_net_rx *packet);
	/* An unused buffer back: VIO_OK, or VIO_EDEV (may still be written by a dead device). */
	void (*rx_return)(void *port, void *cookie, int status);
	/* Sent (VIO_OK), given back unsent by a reset (VIO_EAGAIN), or VIO_EDEV as above. */
	void (*tx_done)(void *port, void *cookie, int status);
	/* The link is now this. Called once by every start, then by config_event on change. */
	void (*link)(void *port, const struct vio_net_link *link);
	/* Tell the neighbours who we are (NX-9); the driver has acknowledged. */
	void (*announce)(void *port);
	/* The device lied or died. Call vio_net_recover soon, from the third context. */
	void (*broken)(void *port, const char *why);
};

/* ---- life ---- */

struct vio_net_params {
	uint64_t features_off; /* feature bits not to be used */
	enum vio_irq_mode irq_mode;
	uint16_t queue_size;	 /* most entries of a queue; 0: as the device has */
	uint16_t tx_max_segs;	 /* most segments of a packet to send; 0: 64 */
	uint16_t rx_max_segs;	 /* most segments of a receive buffer; 0: 1 */
	uint32_t rx_buf_max;	 /* largest receive buffer the port can give; 0: 65601 */
	uint32_t rx_buf_min;	 /* with mergeable buffers: their length; 0: 2048 */
	uint8_t fallback_mac[6]; /* if the device has none (NC-4); all 0: made from the time */
};

struct vio_net_info {
	uint64_t offered, features;
	const char *transport;
	uint8_t mac[6];
	uint16_t mtu; /* most the device allows; 1500 if it does not say */
	bool mtu_known;
	uint16_t hdr_len;    /* of the virtio header on the ring */
	uint32_t rx_buf_len; /* bytes a receive buffer must have, header included */
	uint16_t rx_size, tx_size, ctrl_size; /* entries; ctrl 0: no control queue */
	uint16_t tx_max_segs;		      /* most segments of a packet to send */
	bool tx_csum, tx_tso4, tx_tso6, tx_ecn, tx_uso;
	bool rx_csum, rx_lro4, rx_lro6, rx_ecn, rx_merge;
	bool filters, vlan_filter, mac_set, offload_set;
};

/*
 * VIO_ENOMEM; VIO_ENOTSUP: not a usable network device; VIO_EBROKEN: it lies; VIO_ETIMEDOUT: it
 * does not reset. Nothing is left behind on error. All memory is taken here.
 */
int vio_net_create(struct vio_net **out, const struct vio_os *os, struct vio_transport *t,
		   const struct vio_net_upcalls *up, void *port,
		   const struct vio_net_params *params) VIO_MUST_CHECK;
void vio_net_destroy(struct vio_net *net); /* stops first */

int vio_net_start(struct vio_net *net) VIO_MUST_CHECK;
/* Returns every buffer. VIO_ETIMEDOUT: the device did not reset, see "Ownership" above. */
int vio_net_stop(struct vio_net *net);
/* For sleep: stop, and remember whether it ran. Resume starts it again if it did. */
int vio_net_suspend(struct vio_net *net);
int vio_net_resume(struct vio_net *net) VIO_MUST_CHECK;
/* After `broken`: stop and start. VIO_ENODEV: given up (H-13). Others as start. */
int vio_net_recover(struct vio_net *net) VIO_MUST_CHECK;

bool vio_net_running(const struct vio_net *net);
const char *vio_net_why(const struct vio_net *net); /* what broke it last, or NULL */
void vio_net_info(const struct vio_net *net, struct vio_net_info *out);
void vio_net_link_get(const struct vio_net *net, struct vio_net_link *out);

/* ---- transmit context ---- */

/*
 * Queue one packet; visible to the device at the next flush. On any error the packet remains the
 * caller's. VIO_EAGAIN: the ring is full: flush, vio_net_tx_arm, and wait for completions.
 * VIO_EINVAL: headers do not parse, too many segments, longer than the MTU without GSO (NC-9).
 * VIO_ENOTSUP: an offload the device does not have (GSO kinds; CSUM is then done here), or GSO with
 * CWR where the device has no HOST_ECN (NT-9).
 * A transmit ring of one entry takes only packets of one segment with headroom for the header.
 * With CSUM or GSO the pseudo-header sum is written into the packet's checksum field (NT-22).
 */
int vio_net_send(struct vio_net *net, const struct vio_net_tx *packet) VIO_MUST_CHECK;
/* Notify the device of what was queued, if it wants that. */
void vio_net_flush(struct vio_net *net);
/* Return completed packets through tx_done, at most budget. Number returned. */
unsigned vio_net_tx_reclaim(struct vio_net *net, unsigned budget);
/* Ask for an interrupt once there is room again. True: there is room already, go on. */
bool vio_net_tx_arm(struct vio_net *net) VIO_MUST_CHECK;
/* Whether a packet of nsegs segments would find room. */
bool vio_net_tx_room(const struct vio_net *net, unsigned nsegs);
unsigned vio_net_tx_in_flight(const struct vio_net *net);

/*
 * The parser behind vio_net_send, on its own: reads the headers of a frame and fills *out for the
 * request in flags (VIO_NET_TX_CSUM, _IPCSUM, _GSO), writing checksum fields as described there.
 * VIO_EINVAL: not a whole, unfragmented TCP or UDP packet over IPv4 or IPv6.
 */
int vio_net_offload_parse(const struct seg *segs, unsigned nsegs, unsigned flags, uint16_t mss,
			  struct vio_net_offload *out) VIO_MUST_CHECK;
/* Compute and write the L4 checksum that *offload asks for, in software. */
int vio_net_offload_finish(const struct seg *segs, unsigned nsegs,
			   const struct vio_net_offload *offload) VIO_MUST_CHECK;

/* ---- receive context ---- */

/* Hand up received packets, at most budget, and refill. Number of packets seen. */
unsigned vio_net_rx_poll(struct vio_net *net, unsigned budget);
/* Ask for an interrupt at the next packet. True: there is one already, poll again. */
bool vio_net_rx_arm(struct vio_net *net) VIO_MUST_CHECK;
/* Give the device as many empty buffers as it takes. Number given. */
unsigned vio_net_rx_fill(struct vio_net *net);
/* Buffers the device holds now. */
unsigned vio_net_rx_posted(const struct vio_net *net);

/* ---- interrupts and time ---- */

/*
 * Filter context: VIO_EVENT_* mask, 0 if not ours. Touches registers and counters only. One shared
 * vector cannot say which event it was: both are reported, and vio_net_service finds out.
 */
unsigned vio_net_interrupt(struct vio_net *net, unsigned vector);
/* Read the configuration; link and announce upcalls as needed. */
void vio_net_config_event(struct vio_net *net);
/*
 * All that events ask for, for ports with one context: polls at most budget packets, reclaims,
 * looks at the configuration, arms interrupts when done. True: call again, there is more. A polled
 * port (VIO_IRQ_NONE) calls it with VIO_EVENT_QUEUE as often as it likes and leaves the rest to
 * tick.
 */
bool vio_net_service(struct vio_net *net, unsigned events, unsigned budget) VIO_MUST_CHECK;
/*
 * Once every VIO_NET_RECLAIM_IDLE ms or so: late completions, refill after a shortage,
 * configuration changes that a shared vector may have hidden, a device that asks for a reset.
 */
void vio_net_tick(struct vio_net *net);
/*
 * How soon after the last tick the next is due, in us: VIO_NET_RECLAIM_IDLE as a rule, 10 ms while
 * a shared vector may be hiding a configuration change. Worth asking before going to sleep.
 */
uint32_t vio_net_tick_due_us(const struct vio_net *net);

/* ---- control (third context; each waits for the device, at most 1 s; kept over resets) ---- */

struct vio_net_filter {
	bool promisc;
	bool allmulti;
	const uint8_t (*unicast)[6];
	unsigned nunicast;
	const uint8_t (*multicast)[6];
	unsigned nmulticast;
};

/* More addresses than VIO_NET_MAC_MAX: all multicast, or promiscuous. VIO_ENOTSUP, VIO_EDEV. */
int vio_net_set_filter(struct vio_net *net, const struct vio_net_filter *filter) VIO_MUST_CHECK;
int vio_net_set_mac(struct vio_net *net, const uint8_t mac[6]) VIO_MUST_CHECK;
/*
 * Let packets of VLAN id (0-4095) in or out. Until the first call every VLAN passes only if the
 * device does not filter: with CTRL_VLAN none does.
 */
int vio_net_vlan(struct vio_net *net, uint16_t id, bool on) VIO_MUST_CHECK;
/* Receive offloads (GUEST_* feature bits) to use from now on; a subset of the negotiated ones. */
int vio_net_set_offloads(struct vio_net *net, uint64_t guest_features) VIO_MUST_CHECK;

/* ---- polled mode, for a kernel debugger: no interrupt, no upcall, no allocation ---- */

/*
 * Send one frame (14..1514 bytes), copied into memory kept for this. Waits at most timeout_us for a
 * free place; does not wait for the device to have sent it. VIO_OK, VIO_ETIMEDOUT, VIO_EINVAL,
 * VIO_EBROKEN, VIO_ENODEV (not started).
 */
int vio_net_polled_send(struct vio_net *net, const void *frame, size_t len,
			uint32_t timeout_us) VIO_MUST_CHECK;
/*
 * Receive one frame into buf, at most size bytes; *len is what was written. The buffer goes back to
 * the device at once. Frames that do not fit, or need a checksum finished, are handled here.
 * VIO_OK, VIO_ETIMEDOUT, others as above.
 */
int vio_net_polled_recv(struct vio_net *net, void *buf, size_t size, size_t *len,
			uint32_t timeout_us) VIO_MUST_CHECK;

/* ---- counters ---- */

struct vio_net_queue_stats {
	uint64_t packets, bytes;
	uint64_t buffers; /* completions */
	uint64_t kicks;	  /* notifications sent */
	uint64_t irqs;	  /* queue events reported by vio_net_interrupt */
	uint64_t gso;	  /* packets with GSO: TSO sent, LRO received */
	uint64_t csum;	  /* packets with a checksum left to the other side */
	uint64_t full;	  /* tx: no room; rx: the port had no buffer */
	uint64_t errors;  /* refused by us before the device saw them */
	uint64_t dropped; /* rx: bad header or length (H-6, H-7, H-8) */
	uint64_t merged;  /* rx: packets of more than one buffer */
};

struct vio_net_stats {
	struct vio_net_queue_stats rx, tx;
	uint64_t config_irqs, link_changes, announces;
	uint64_t ctrl_commands, ctrl_errors;
	uint64_t starts, breaks, recoveries;
	uint64_t polled_tx, polled_rx;
};

void vio_net_stats(const struct vio_net *net, struct vio_net_stats *out);

/* ---- names ---- */

/* The specification's name of a net or transport feature bit, "bit?" forms are NULL. */
const char *vio_net_feature_name(unsigned bit);

#endif
