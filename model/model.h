/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio-net-pci device in this process, for tests and benchmarks.
 *
 * The model is the other side of everything the driver does: PCI configuration space and BARs
 * (modern, transitional, legacy), split rings, the network device with its control queue. It is
 * written from the specification alone and includes nothing of the driver, so that a rule both
 * sides must know has been read twice.
 *
 * It has three characters:
 *
 *   well-behaved   does what a careful device does. Options choose among the shapes a legitimate
 *                  device may have, odd ones included (F-4).
 *   norm monitor   watches every access and every ring entry and keeps account, per norm id, of
 *                  how often a rule was exercised and violated (F-1). model/norms.h has the ids.
 *   hostile        changes what the device controls, seeded and logged (F-2). See model_hostile.
 *
 * Nothing here is thread-safe. The harness supplies memory and takes interrupts as hooks; it calls
 * in with register accesses and, in deferred mode, model_poll. The interrupt hook may be called
 * from inside any of these: it should only take note.
 *
 * All numbers in these structures are in host order.
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/seg.h"
#include "model/norms.h"
#include "wire/virtio_net.h"
#include "wire/virtio_pci.h"

struct model;

#define MODEL_QUEUES	3u     /* receive, transmit, control */
#define MODEL_FRAME_MAX 65593u /* without header: Ethernet, tag, IPv6, 64 KiB - 1 */
#define MODEL_MAC_TABLE 64u    /* entries per half of the MAC table; more: promiscuous, as QEMU */

/* ---- packets ---- */

/* A packet header (5.1.6). num_buffers is ignored by model_receive, which computes it. */
struct model_hdr {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
	uint16_t num_buffers;
};

/* A transmitted packet, valid during the hook. */
struct model_frame {
	struct model_hdr hdr;
	const struct seg *segs; /* the frame where it lies in guest memory, without the header */
	unsigned nsegs;
	uint32_t len;
	const uint8_t *data; /* the frame gathered; NULL if options.gather is off */
	unsigned out_descs;  /* descriptors of the chain, header included */
	bool indirect;
};

/* ---- what the harness gives ---- */

struct model_hooks {
	void *ctx;
	/*
	 * Guest memory: where [addr, addr + len) of the device's address space lies, or NULL when
	 * any byte of it is not memory the device may use now. NULL is counted as a DMA fault and
	 * as a violation (RF-4).
	 */
	void *(*mem)(void *ctx, uint64_t addr, size_t len);
	void (*irq)(void *ctx, unsigned vector); /* an MSI-X message was sent */
	void (*intx)(void *ctx, bool level);	 /* the INTx line changed */
	void (*tx)(void *ctx, const struct model_frame *frame);
	void (*complaint)(void *ctx, const char *norm, const char *detail); /* each violation */
}; /* every hook but mem may be NULL */

enum model_interface { MODEL_MODERN, MODEL_TRANSITIONAL, MODEL_LEGACY };

/* How the capability list looks (4.1.4). Every variation here is legitimate. */
struct model_layout {
	uint8_t bar;	    /* of common, isr, device, notify */
	uint8_t notify_bar; /* of notify, if it is to be another one; else the same number */
	uint8_t msix_bar;
	uint32_t notify_multiplier; /* 0 (all queues at one place), 2, 4, ... */
	unsigned foreign_caps;	    /* capabilities that are not virtio's, in between (at most 3) */
	bool reserved_type; /* a virtio capability of a reserved type, listed first (PC-1) */
	bool reserved_bar;  /* a COMMON_CFG on BAR 7, listed first (PC-4) */
	bool vendor_cap;    /* a vendor capability (PV-1) */
	uint8_t longer_by;  /* cap_len beyond the structure, multiple of 4 (PC-3) */
	bool twice;	    /* a second COMMON_CFG and DEVICE_CFG that nobody may use (PC-2) */
	bool large;	    /* regions much larger than their structures (PC-6) */
	bool no_window;	    /* no PCI_CFG capability */
	bool window_only;   /* modern BARs cannot be mapped: see model_bar */
};

/* Things a legitimate device may do and most do not (F-4). */
struct model_odd {
	bool out_len;	      /* a nonzero used length on queues with nothing to read */
	bool zero_len_ctrl;   /* length 0 where one status byte was written */
	bool spurious_irq;    /* an interrupt after every register write */
	bool irq_always;      /* suppression is ignored: one interrupt per used entry */
	bool reorder;	      /* used entries of one batch in reverse order (not receive) */
	bool config_storm;    /* a configuration change with every poll, contents the same */
	bool stray_events;    /* without EVENT_IDX: garbage in avail_event; with: used flag 1 */
	bool flip_generation; /* generation changes every few reads of configuration */
	bool unknown_flags;   /* received headers have unknown flag bits (NP-1) */
	bool shared_isr;      /* INTx line is asserted for another device, ISR reads 0 */
	bool tx_slow;	      /* transmit: half of what is there per poll */
};

struct model_options {
	enum model_interface interface;
	uint64_t features; /* device_feature bits offered; may hold unknown ones (FB-7) */
	uint8_t mac[6];
	uint16_t mtu;
	uint32_t speed;
	uint8_t duplex;
	bool link_down;	    /* at start */
	uint8_t config_len; /* bytes of device configuration; 0: 24; may be more or less (CF-4) */
	uint16_t queue_size[MODEL_QUEUES]; /* 1 ... 32768; 0: no such queue */
	uint16_t num_queues;		   /* 0: as the features say */
	uint16_t msix_entries;		   /* 0: no MSI-X capability */
	uint8_t revision;		   /* PD-3 */
	struct model_layout layout;
	struct model_odd odd;
	unsigned reset_reads;	 /* status reads nonzero this often after a reset */
	bool refuse_features;	 /* FEATURES_OK does not stay (IN-4, FB-6) */
	unsigned refuse_vectors; /* vectors from this one on are not taken (PX-3); 0: all taken */
	unsigned ctrl_polls;	 /* control commands complete this many polls late (deferred) */
	bool immediate;		 /* process inside the notification; else in model_poll */
	bool loopback;		 /* what is sent is received */
	bool gather;		 /* model_frame.data wanted */
	bool monitor;
	bool concurrent; /* the driver runs in other threads: a poll may come before it notifies */
};

/* What QEMU's device has by default: transitional, event index, checksum, TSO, merge, control. */
void model_defaults(struct model_options *options);
uint64_t model_features_default(void);
/* All bits this model implements; any other one it may offer must not be accepted (FB-4). */
uint64_t model_features_known(void);

/* NULL: no memory, or options that make no device (too many capabilities, a size not 2^n, ...). */
struct model *model_create(const struct model_options *options, const struct model_hooks *hooks);
void model_destroy(struct model *m);

/* ---- the PCI face: what a bus does ---- */

/* off a multiple of width, width 1, 2 or 4. */
uint32_t model_cfg_read(struct model *m, unsigned off, unsigned width);
void model_cfg_write(struct model *m, unsigned off, unsigned width, uint32_t val);

struct model_bar {
	uint64_t len; /* 0: no such BAR */
	bool io;
	bool mapped; /* false: reach it through the PCI_CFG window */
};
void model_bar(const struct model *m, unsigned bar, struct model_bar *out);
uint32_t model_bar_read(struct model *m, unsigned bar, uint64_t off, unsigned width);
void model_bar_write(struct model *m, unsigned bar, uint64_t off, unsigned width, uint32_t val);

/* ---- running ---- */

/* Process what the driver made available. True: something was done. */
bool model_poll(struct model *m);

enum model_rx_result {
	MODEL_RX_OK = 0,
	MODEL_RX_FILTERED,  /* receive filter or link down */
	MODEL_RX_NO_BUFFER, /* dropped: the ring has too few */
	MODEL_RX_TOO_BIG,   /* dropped: no merging and the buffer is too small, or above the maximum
			     */
	MODEL_RX_NOT_READY, /* driver is not running, or the device is broken */
};

/*
 * A packet for the driver. What the negotiated features (and GUEST_OFFLOADS_SET) do not allow is
 * done here first: checksums finished, GSO cut into segments. hdr may be NULL.
 */
enum model_rx_result model_receive(struct model *m, const struct model_hdr *hdr, const void *frame,
				   size_t len);
/* The same without filter and without looking at the header: delivered exactly so. */
enum model_rx_result model_receive_raw(struct model *m, const struct model_hdr *hdr,
				       const void *frame, size_t len);
/*
 * From now on a packet gets at most so many bytes of the first buffers it takes (MRG_RXBUF only);
 * the rest fills the others. lens is not copied; n 0 ends it.
 */
void model_split(struct model *m, const uint16_t *lens, unsigned n);

void model_link(struct model *m, bool up);
void model_speed(struct model *m, uint32_t speed, uint8_t duplex);
void model_announce(struct model *m);	    /* ask the driver to announce itself */
void model_needs_reset(struct model *m);    /* 2.1.2 */
void model_config_changed(struct model *m); /* new generation and interrupt, nothing else */
void model_interrupt(struct model *m,
		     unsigned queue); /* spurious: queue, or MODEL_QUEUES: config */
/* Stop (and go on) processing of a queue, so that the driver runs full. */
void model_hold(struct model *m, unsigned queue, bool hold);
/* Deferred mode: no notifications wanted for this queue (the harness polls anyway). */
void model_quiet(struct model *m, unsigned queue, bool quiet);

/* ---- looking inside ---- */

struct model_queue_state {
	bool enabled;
	uint16_t size, vector;
	uint16_t avail_idx; /* next to be taken */
	uint16_t used_idx;
	uint16_t available; /* published by the driver, not yet taken */
	uint64_t notifies, irqs, chains;
};

struct model_state {
	uint8_t status;
	uint64_t accepted;
	bool running; /* DRIVER_OK and not broken */
	bool legacy;  /* driven through the legacy interface */
	uint8_t generation;
	struct model_queue_state q[MODEL_QUEUES];
	/* Receive filter and what else the control queue sets. */
	uint8_t mac[6];
	bool promisc, allmulti, alluni, nomulti, nouni, nobcast;
	unsigned nunicast, nmulticast;
	bool unicast_overflow, multicast_overflow;
	uint8_t unicast[MODEL_MAC_TABLE][6], multicast[MODEL_MAC_TABLE][6];
	uint64_t guest_offloads;
	bool announce_pending;
	uint64_t announces_acked, ctrl_commands, ctrl_errors;
	uint64_t tx_packets, tx_bytes, tx_bad, rx_packets, rx_bytes, rx_filtered, rx_dropped;
	uint64_t dma_faults, irqs_sent, resets;
	const char *broken; /* the driver did something no device can go on from */
};

void model_get(const struct model *m, struct model_state *out);
bool model_vlan_passes(const struct model *m, uint16_t id);
/*
 * Whether any buffer in flight on a live queue touches [addr, addr + len). The harness asks when
 * the driver hands a buffer back; a yes is a violation of CL-2. Needs the monitor. Slow.
 */
bool model_owns(struct model *m, uint64_t addr, size_t len);

/* ---- software offload: the far end of the wire ---- */

/*
 * Does to a packet what its header asks: cuts GSO into segments, finishes checksums. Calls out for
 * each resulting frame, which needs nothing any more. Number of frames; 0: the header does not fit
 * the packet.
 */
unsigned model_complete(const struct model_hdr *hdr, const uint8_t *frame, size_t len,
			void (*out)(void *ctx, const uint8_t *frame, size_t len), void *ctx);
/* Whether the IPv4, TCP and UDP checksums of a finished frame are right (true if it has none). */
bool model_sums_right(const uint8_t *frame, size_t len);

/* ---- norm monitor ---- */

/* Statement of a test about a rule that shows only inside the driver (NP-4, SQ-15, ...). */
void model_attest(struct model *m, enum norm id, bool kept, const char *detail);
uint64_t model_exercised(const struct model *m, enum norm id);
uint64_t model_violated(const struct model *m, enum norm id);
uint64_t model_violations(const struct model *m); /* sum over all ids */
/* Adds the counts of from to m's, so that one report covers many runs. */
void model_merge_counts(struct model *m, const struct model *from);
/* One line per id: exercised, violated, or why this model cannot see it. */
void model_report(const struct model *m, FILE *out);

/* ---- hostile mode ---- */

enum model_mutation {
	MODEL_MUT_PCI,	    /* configuration space: capabilities, ids */
	MODEL_MUT_STATUS,   /* status reads */
	MODEL_MUT_FEATURES, /* device_feature reads */
	MODEL_MUT_COMMON,   /* num_queues, queue_size, notify_off, vectors read back, ... */
	MODEL_MUT_GENERATION,
	MODEL_MUT_CONFIG, /* device configuration fields */
	MODEL_MUT_ISR,
	MODEL_MUT_RESET, /* reset ends late, or never */
	MODEL_MUT_NEEDS_RESET,
	MODEL_MUT_USED_ID,
	MODEL_MUT_USED_LEN,
	MODEL_MUT_USED_IDX,
	MODEL_MUT_USED_FLAGS,
	MODEL_MUT_AVAIL_EVENT,
	MODEL_MUT_USED_DUP,  /* an entry twice */
	MODEL_MUT_USED_SKIP, /* a buffer never completed */
	MODEL_MUT_HDR,	     /* received packet header */
	MODEL_MUT_NUM_BUFFERS,
	MODEL_MUT_FRAME_LEN,
	MODEL_MUT_FRAME_DATA,
	MODEL_MUT_IRQ_LOST,
	MODEL_MUT_IRQ_SPURIOUS, /* wrong queue, wrong vector, before DRIVER_OK */
	MODEL_MUT_IRQ_STORM,
	MODEL_MUT_CTRL_ACK,
	MODEL_MUT_CTRL_LATE,
	MODEL_MUT_CTRL_NEVER,
	MODEL_MUT_DESC,	     /* descriptors of completed chains overwritten (H-1) */
	MODEL_MUT_AVAIL,     /* available ring overwritten (H-1) */
	MODEL_MUT_USED_RING, /* used entries not yet due, or long past, overwritten */
	MODEL_MUT_BUFFER,    /* posted buffers written before they are completed */
	MODEL_MUT_COUNT
};

#define MODEL_MUT_ALL	  ((UINT64_C(1) << MODEL_MUT_COUNT) - 1)
#define MODEL_MUT_LOG_LEN 64u

struct model_mut_entry {
	uint64_t nth; /* counts from 1 over all mutations of this model */
	enum model_mutation kind;
	uint32_t where; /* register offset, queue << 16 | slot, ... */
	uint64_t was, became;
};

/*
 * From now on each action of the device whose kind is in mask (bit 1 << kind) is changed with
 * probability rate / 65536. Rate 0 ends it, and keeps what was done. Equal seeds and equal driver
 * behaviour give equal mutations. The monitor does not judge while a rate is set.
 *
 * Written are: registers, the rings of enabled queues, writable buffers in flight; nothing else.
 * A reset that ends (status reads 0) takes all of these away from the device.
 */
void model_hostile(struct model *m, uint64_t seed, unsigned rate, uint64_t mask);
uint64_t model_mutations(const struct model *m);
uint64_t model_mutations_of(const struct model *m, enum model_mutation kind);
/* How often the driver published ring indices that only reading back could have given it (H-1). */
uint64_t model_readbacks(const struct model *m);
const char *model_mutation_name(enum model_mutation kind);
/* The last at most MODEL_MUT_LOG_LEN mutations, oldest first; number of them. */
unsigned model_mut_log(const struct model *m, struct model_mut_entry out[MODEL_MUT_LOG_LEN]);
void model_mut_print(const struct model *m, FILE *out);

#endif
