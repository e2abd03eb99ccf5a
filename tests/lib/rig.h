/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rig: a network driver bolted to a model of its device.
 *
 * It plays every part around the driver. It is the port (memory, time, log), the bus (PCI
 * accesses go to the model), the interrupt controller (MSI-X messages and the INTx line are kept
 * pending until rig_pump delivers them) and the network stack (owns packet buffers, takes
 * upcalls). Each part punishes mistakes:
 *
 *   - device addresses are not pointers: memory lives in an arena whose device addresses start at
 *     RIG_DA_BASE. What is freed is poisoned and is no longer device memory.
 *   - every packet buffer knows its owner; a cookie that comes back twice, or never existed, or
 *     comes back while the device can still write to it (CL-2), is a failure.
 *   - time is virtual: each look at the clock moves it on 1 us, delays move it at once, so that
 *     deadlines expire without waiting. A driver that neither looks nor delays but spins would
 *     hang; the rig's test main should set an alarm.
 *
 * Failures are collected, never asserted: rig_failures counts, rig_failure names the first, so
 * that a fuzz loop can go on and a cmocka test can end with assert_int_equal(rig_failures(r), 0).
 */
#ifndef TESTS_LIB_RIG_H
#define TESTS_LIB_RIG_H

#include "model/model.h"
#include "vio/net.h"
#include "vio/pci.h"

#define RIG_DA_BASE UINT64_C(0x1003a57b000) /* of the arena; below 2^44 for legacy page numbers */
#define RIG_RX_LOG  512u
#define RIG_TX_LOG  512u

struct rig;

struct rig_opts {
	struct model_options model;
	struct vio_net_params params;
	enum vio_pci_prefer prefer;
	size_t arena_bytes;   /* for rings and driver memory shared with the device; 0: 64 MiB */
	unsigned rx_buffers;  /* the port has this many receive buffers; 0: 600 */
	unsigned rx_segs;     /* each in this many segments; 0: 1 */
	unsigned tx_buffers;  /* packets in flight at most; 0: 600 */
	bool keep_frames;     /* remember received and transmitted frames (default on) */
	bool no_monitor_fail; /* norm violations are not failures of the rig */
};

/* Model defaults, monitor on, gather on, immediate mode, MSIX_EACH. */
void rig_defaults(struct rig_opts *opts);

/*
 * Builds memory and model, opens the PCI function and creates the driver; does not start it.
 * NULL only when the host has no memory. What the driver answered: rig_status.
 */
struct rig *rig_create(const struct rig_opts *opts);
/* The same without vio_pci_open and vio_net_create: see rig_attach. */
struct rig *rig_create_bare(const struct rig_opts *opts);
int rig_attach(struct rig *r);	/* vio_pci_open + vio_net_create */
void rig_detach(struct rig *r); /* vio_net_destroy + vio_pci_close, then the leak check */
/* Detach if needed, free all. Returns the number of failures. */
unsigned rig_destroy(struct rig *r);

int rig_status(const struct rig *r);
struct model *rig_model(struct rig *r);
struct vio_net *rig_net(struct rig *r); /* NULL after a failed attach */
const struct vio_os *rig_os(struct rig *r);
struct vio_pci *rig_pci(struct rig *r);
const struct vio_pci_ops *rig_pci_ops(void); /* bus argument: the rig */

/* vio_net_start; returns its result. */
int rig_start(struct rig *r);

/*
 * Lets the device work and delivers pending interrupts until nothing moves any more (or rounds
 * were spent). True if it came to rest. Recovers a broken driver when auto_recover is set.
 */
bool rig_pump(struct rig *r);
void rig_auto_recover(struct rig *r, bool on);
/* Moves time and calls vio_net_tick, then pumps. */
void rig_tick(struct rig *r, uint32_t ms);

/* ---- sending ---- */

struct rig_tx {
	const void *frame;
	size_t len;
	unsigned flags; /* VIO_NET_TX_* */
	uint16_t mss;
	uint16_t vlan_tci;
	unsigned nsegs;	  /* cut into this many segments of about equal length; 0: 1 */
	uint32_t seg_len; /* or: into segments of this length */
	uint32_t headroom;
	struct vio_net_offload offload;
};

/* Copies the frame into a buffer of the port and vio_net_send. VIO_ENOMEM: no tx buffer free. */
int rig_send_ex(struct rig *r, const struct rig_tx *tx);
/* Plain frame, flushed and pumped. */
int rig_send(struct rig *r, const void *frame, size_t len, unsigned flags, uint16_t mss);

/* What the model saw the driver transmit, oldest first; rig_clear forgets all. */
struct rig_frame {
	struct model_hdr hdr;		/* transmitted: as the device saw it */
	struct vio_net_offload offload; /* received: as the driver told it */
	uint32_t len;
	unsigned parts; /* received: buffers; transmitted: descriptors */
	const uint8_t *data;
};
unsigned rig_sent(const struct rig *r);
const struct rig_frame *rig_sent_at(const struct rig *r, unsigned i);

/* ---- receiving ---- */

/* model_receive, then pump. */
enum model_rx_result rig_receive(struct rig *r, const struct model_hdr *hdr, const void *frame,
				 size_t len);
unsigned rig_received(const struct rig *r);
const struct rig_frame *rig_received_at(const struct rig *r, unsigned i);
/* The i-th frame received is exactly this; else a failure is recorded. */
bool rig_expect(struct rig *r, unsigned i, const void *frame, size_t len);
bool rig_expect_sent(struct rig *r, unsigned i, const void *frame, size_t len);
void rig_clear(struct rig *r);

/* ---- counters ---- */

struct rig_counts {
	uint64_t rx_given, rx_packets, rx_parts, rx_returned, rx_lost; /* lost: with VIO_EDEV */
	uint64_t tx_sent, tx_ok, tx_again, tx_lost;
	uint64_t links, announces, brokens, recoveries, interrupts, spurious;
	uint64_t logs[4];	       /* by level */
	uint64_t allocs, dma_allocs;   /* calls */
	uint64_t live_bytes, live_dma; /* now; quarantined memory included until the rig ends */
	uint64_t late_allocs;	       /* after attach: the contract has none */
	unsigned rx_with_driver, tx_with_driver; /* now */
};
void rig_counts(const struct rig *r, struct rig_counts *out);
struct vio_net_link rig_link(const struct rig *r);
const char *rig_why(const struct rig *r); /* of the last broken upcall */

/* ---- faults ---- */

/* The n-th allocation from now (private or shared) fails, and later ones if forever. 0: none. */
void rig_fail_alloc(struct rig *r, unsigned nth, bool forever);
/* rx_buffer answers false while on. */
void rig_starve(struct rig *r, bool on);
/* Interrupts stay pending while held. */
void rig_hold_irqs(struct rig *r, bool on);
void rig_advance(struct rig *r, uint64_t us);
uint64_t rig_now(const struct rig *r);

void rig_fail(struct rig *r, const char *what, uint64_t value);
unsigned rig_failures(const struct rig *r);
const char *rig_failure(const struct rig *r); /* the first, or NULL */

/* ---- frames to play with ---- */

struct rig_flow {
	bool ipv6, udp, vlan;
	uint16_t vlan_tci;
	uint8_t tcp_flags;
	uint8_t src_mac[6], dst_mac[6];
	uint32_t seq;
};
/*
 * Writes a frame with payload bytes of a pattern from seed; headers complete, checksums right.
 * Returns its length; *l4 gets the offset of TCP or UDP. buf has room for RIG_FRAME_ROOM.
 */
#define RIG_FRAME_ROOM 66000u
size_t rig_frame(uint8_t *buf, const struct rig_flow *flow, size_t payload, uint32_t seed,
		 size_t *l4);
/* The same with the checksum field holding only the pseudo-header sum (NEEDS_CSUM). */
size_t rig_frame_partial(uint8_t *buf, const struct rig_flow *flow, size_t payload, uint32_t seed,
			 struct model_hdr *hdr);

#endif
