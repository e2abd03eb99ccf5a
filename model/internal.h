/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the model share. Not for its users. */
#ifndef MODEL_INTERNAL_H
#define MODEL_INTERNAL_H

#include "common/cksum.h"
#include "common/span.h"
#include "model/model.h"
#include "wire/net.h"

#define MODEL_BATCH    64u /* used entries published at once */
#define MODEL_VLANS    4096u
#define MODEL_RX_PARTS 1024u /* most chains one received packet may fill */

/* One descriptor chain, read once: readable segments first. Lives in its queue's scratch. */
struct model_chain {
	uint16_t head;
	bool indirect;
	unsigned descs, nout, nin; /* descs: without the one that names an indirect table */
	uint64_t out_len, in_len;
	struct seg *segs;
};

/* Device side of one split virtqueue. Private state here; desc, avail, used are guest memory. */
struct model_queue {
	uint16_t index;
	uint16_t max_size;
	/* Registers. */
	uint16_t size, vector;
	uint64_t addr[3]; /* desc, driver, device */
	uint32_t pfn;
	bool enabled;
	bool was_reset; /* RING_RESET: needs a whole new set-up (QR-2) */
	/* Running. */
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t last_avail;
	uint16_t used_idx;  /* as published */
	uint16_t signalled; /* used_idx at the last decision to interrupt */
	bool signalled_valid;
	bool held, quiet;
	uint16_t event_shown; /* avail_event, and flags, as we wrote them */
	uint16_t flags_shown;
	struct seg *segs; /* scratch of one chain */
	unsigned segs_max;
	uint16_t late; /* control: polls still to wait */
	uint64_t notifies, irqs, chains;
	/* Monitor: what was posted, per head (see monitor_ring.c). */
	struct model_posted *posted;
	uint16_t *owner; /* per descriptor: head in flight + 1, 0: free */
	uint16_t snap_idx, judged_idx;
	bool unsure; /* the last judgement was left out */
	bool notified;
	/* Hostile: what we put into avail->idx, not to be taken for the driver's. */
	bool idx_scribbled;
	uint16_t idx_scribble;
};

struct model_posted {
	bool live;
	uint16_t entries;      /* of the table itself */
	uint64_t descs, bytes; /* hashes of the chain and of its readable bytes */
};

/* What the monitor remembers between events. */
struct model_watch {
	bool reset_wanted;     /* status 0 written, not yet read back as 0 (PM-5) */
	bool reset_written;    /* since creation: RS-1 only means something then */
	bool features_ok_read; /* IN-4 */
	bool features_written[2];
	bool config_written; /* IN-2 */
	bool refused;	     /* we refused a step; FAILED should follow (IN-5) */
	bool failed;
	bool queue_vector_written[MODEL_QUEUES], config_vector_written;
	unsigned gen_reads;	 /* generation read, then only configuration reads since (CF-2) */
	unsigned config_reads;	 /* since the last generation read */
	uint64_t unguarded;	 /* offsets read without it */
	unsigned mac_reads;	 /* LG-6 */
	bool isr_both;		 /* ISR said both; a configuration read should follow (PS-1) */
	bool spurious;		 /* sent one; life should go on (SQ-14) */
	bool speed_change;	 /* NC-12 */
	bool legacy_garbage_len; /* LG-23 */
};

struct model_cap_at {
	uint8_t at, len;
	uint8_t type; /* virtio cfg_type, 0: not virtio */
	bool dead;    /* nobody may use what it names */
};

struct model_hostile_state {
	unsigned rate;
	uint64_t mask, rng;
	uint64_t count, kinds[MODEL_MUT_COUNT];
	uint64_t readbacks;
	struct model_mut_entry log[MODEL_MUT_LOG_LEN];
	bool reset_stuck;
	uint64_t reset_until; /* status reads until it ends; 0: never */
	uint64_t storm;
};

struct model {
	struct model_options opt;
	struct model_hooks hook;
	bool mon; /* monitor on, and nobody hostile: norms are judged */

	/* PCI. */
	uint8_t cfg[PCI_CFG_SIZE];
	struct model_cap_at caps[16];
	unsigned ncaps;
	unsigned msix_cap, window_cap;
	struct {
		uint32_t len;
		bool io;
	} bars[PCI_NUM_BARS];
	uint32_t common_off, isr_off, device_off, notify_off, dead_off, region_len;
	uint32_t pba_off;
	uint32_t (*msix)[4];
	uint64_t *msix_pending; /* one bit per vector */
	uint8_t isr;
	bool intx_level;
	bool line_shared; /* another device asserts the line (odd.shared_isr) */
	bool in_window;	  /* this BAR access came through the PCI_CFG window */

	/* Device. */
	uint64_t accepted;
	uint64_t driver_features; /* as written so far */
	uint32_t device_feature_select, driver_feature_select;
	uint8_t status;
	uint8_t generation;
	bool legacy; /* last driven through the legacy interface */
	bool running;
	bool event_idx;
	unsigned hdr_len;
	uint16_t config_vector;
	uint16_t queue_select;
	unsigned num_queues;
	unsigned reset_reads;
	const char *broken;
	struct model_queue q[MODEL_QUEUES];
	uint8_t config[64];
	uint64_t config_reads;

	/* Network. */
	struct model_state net; /* filter, counters; the rest is filled by model_get */
	uint8_t vlans[MODEL_VLANS / 8];
	bool link_up;
	uint32_t speed;
	uint8_t duplex;
	uint8_t *gather;  /* MODEL_FRAME_MAX + header */
	uint8_t *scratch; /* control commands, software segments */
	struct {
		uint16_t head;
		uint32_t len;
	} rx_parts[MODEL_RX_PARTS];
	const uint16_t *split; /* model_split() */
	unsigned nsplit;
	uint64_t polls;

	struct model_watch watch;
	uint64_t exercised[NORM_COUNT], violated[NORM_COUNT];
	struct model_hostile_state hostile;
};

static inline bool model_has(const struct model *m, unsigned feature)
{
	return m->accepted >> feature & 1;
}

/* Ring and header fields are little-endian, or the guest's own on a legacy interface (LG-12). */
static inline uint16_t model_get16(const struct model *m, vio16 v)
{
	return m->legacy ? v.raw : endian_le16(v.raw);
}

static inline uint32_t model_get32(const struct model *m, vio32 v)
{
	return m->legacy ? v.raw : endian_le32(v.raw);
}

static inline uint64_t model_get64(const struct model *m, vio64 v)
{
	return m->legacy ? v.raw : endian_le64(v.raw);
}

static inline vio16 model_put16(const struct model *m, uint16_t v)
{
	return (vio16){m->legacy ? v : endian_le16(v)};
}

static inline vio32 model_put32(const struct model *m, uint32_t v)
{
	return (vio32){m->legacy ? v : endian_le32(v)};
}

/* model.c */
void model_status_write(struct model *m, uint8_t status, bool legacy);
uint8_t model_status_read(struct model *m);
void model_features_write(struct model *m, unsigned half, uint32_t val);
void model_break(struct model *m, const char *why);
uint64_t model_offered(const struct model *m);
uint32_t model_features_half(struct model *m, unsigned half);
void model_config_build(struct model *m);
void *model_mem(struct model *m, uint64_t addr, uint64_t len);

/* pci.c, pci_layout.c */
bool model_layout_build(struct model *m);
void model_irq_queue(struct model *m, struct model_queue *q);
void model_irq_config(struct model *m);
void model_irq_vector(struct model *m, unsigned vector);
void model_intx_update(struct model *m);
bool model_msix_on(const struct model *m);
uint8_t model_isr_read(struct model *m);

/* pci_modern.c, pci_legacy.c */
uint32_t model_common_read(struct model *m, uint32_t off, unsigned width);
void model_common_write(struct model *m, uint32_t off, unsigned width, uint32_t val);
uint32_t model_config_read(struct model *m, uint32_t off, unsigned width);
uint32_t model_legacy_read(struct model *m, uint32_t off, unsigned width);
void model_legacy_write(struct model *m, uint32_t off, unsigned width, uint32_t val);
uint16_t model_vector_write(struct model *m, uint16_t vector);

/* ring.c */
bool model_ring_start(struct model *m, struct model_queue *q);
void model_ring_stop(struct model_queue *q);
void model_ring_notified(struct model *m, unsigned index);
uint16_t model_ring_avail(struct model *m, struct model_queue *q); /* published, not taken */
bool model_ring_fetch(struct model *m, struct model_queue *q, uint16_t ahead,
		      struct model_chain *out);
/* Entry `ahead` after used_idx; visible with publish. */
void model_ring_used(struct model *m, struct model_queue *q, uint16_t ahead, uint16_t head,
		     uint32_t len);
void model_ring_publish(struct model *m, struct model_queue *q, uint16_t n);
void model_ring_signal(struct model *m, struct model_queue *q);
void model_ring_want(struct model *m, struct model_queue *q, bool notifications);

/* net.c, net_rx.c, net_ctrl.c, net_check.c */
bool model_net_process(struct model *m, struct model_queue *q);
bool model_net_accepts(const struct model *m, const uint8_t *frame, size_t len);
enum model_rx_result model_net_deliver(struct model *m, const struct model_hdr *hdr,
				       const uint8_t *frame, size_t len);
bool model_ctrl_process(struct model *m, struct model_queue *q);
void model_ctrl_reset(struct model *m);
void model_check_tx(struct model *m, const struct model_chain *c, const struct model_hdr *hdr,
		    const uint8_t *frame, size_t len);
void model_check_rx_buffer(struct model *m, const struct model_chain *c);

/* Headers of a frame, as far as offloads need them. False: not whole TCP or UDP over IP. */
struct model_l4 {
	size_t l3, l4, payload, end; /* offsets; end: of the IP packet, Ethernet padding cut */
	uint8_t version, proto;
	bool fragment;
};
bool model_parse(const uint8_t *frame, size_t len, struct model_l4 *out);
/* Pseudo-header sum over l4_len bytes, folded. */
uint16_t model_pseudo(const uint8_t *frame, const struct model_l4 *p, size_t l4_len);

/* monitor.c, monitor_ring.c, monitor_init.c */
void norm_ok(struct model *m, enum norm id);
void norm_broken(struct model *m, enum norm id, const char *detail);
static inline bool norm_check(struct model *m, enum norm id, bool kept, const char *detail)
{
	if (kept)
		norm_ok(m, id);
	else
		norm_broken(m, id, detail);
	return kept;
}
void model_watch_width(struct model *m, uint32_t off, unsigned width, uint32_t field,
		       unsigned field_width);
void model_watch_status(struct model *m, uint8_t was, uint8_t now);
void model_watch_features(struct model *m); /* at FEATURES_OK, or legacy DRIVER_OK */
void model_watch_ready(struct model *m);    /* at DRIVER_OK */
void model_watch_reset(struct model *m);
void model_watch_config(struct model *m, uint32_t off, unsigned width);
void model_watch_generation(struct model *m);
void model_watch_other(struct model *m); /* any other register: ends a run of config reads */
void model_watch_posted(struct model *m, struct model_queue *q);
void model_watch_completed(struct model *m, struct model_queue *q, uint16_t head);
void model_watch_notified(struct model *m, struct model_queue *q);
void model_watch_polled(struct model *m, struct model_queue *q);
void model_watch_queue(struct model *m, struct model_queue *q, uint16_t size);
void model_watch_clear(struct model *m, struct model_queue *q);

/* hostile.c */
bool model_mut(struct model *m, enum model_mutation kind);
uint64_t model_mut_value(struct model *m, enum model_mutation kind, uint32_t where, uint64_t was,
			 unsigned bits);
uint32_t model_mut_random(struct model *m, uint32_t below);
void model_mut_note(struct model *m, enum model_mutation kind, uint32_t where, uint64_t was,
		    uint64_t became);
void model_hostile_poll(struct model *m);
void model_hostile_completed(struct model *m, struct model_queue *q, uint16_t head);

/* val, perhaps changed. */
static inline uint32_t model_lie(struct model *m, enum model_mutation kind, uint32_t where,
				 uint32_t val, unsigned width)
{
	if (__builtin_expect(m->hostile.rate != 0, 0) && model_mut(m, kind))
		return (uint32_t)model_mut_value(m, kind, where, val, width * 8);
	return val;
}

#endif
