/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The smallest surroundings the core runs in: an OS, a transport, and the device's side of a
 * split ring moved by hand. For tests that want to decide each single step; whole devices are in
 * model/.
 */
#ifndef TESTS_UNIT_FAKE_H
#define TESTS_UNIT_FAKE_H

#include "common/seg.h"
#include "vio/device.h"
#include "wire/vring.h"

#define FAKE_BLOCKS 64u
#define FAKE_LOG    256u
#define FAKE_DA	    UINT64_C(0x7a5b3000) /* device addresses are not pointers */

/* What the driver did, in order. */
enum fake_act {
	ACT_STATUS,   /* val: status written */
	ACT_FEATURES, /* val: features written */
	ACT_ENABLE,   /* val: queue */
	ACT_NOTIFY,   /* val: queue */
	ACT_VECTOR,   /* val: configuration vector */
	ACT_CONFIG,   /* val: configuration written */
	ACT_DMA_FREE,
};

struct fake_step {
	enum fake_act act;
	uint64_t val;
};

struct fake {
	struct vio_transport t; /* first */
	struct vio_os os;

	/* OS */
	struct fake_block {
		void *va;
		uint64_t da;
		size_t len;
	} blocks[FAKE_BLOCKS];
	unsigned nblocks;
	uint64_t next_da;
	uint64_t live, live_dma; /* bytes */
	unsigned allocs;	 /* calls, both kinds */
	unsigned fail_at;	 /* the n-th call fails; 0: none */
	uint64_t now;
	bool clock_stuck;
	uint64_t delayed, clock_reads;
	unsigned logs;
	int locked;

	/* Transport */
	uint64_t offered, accepted;
	uint8_t status;
	unsigned reset_reads; /* status reads nonzero this often after a reset */
	bool never_resets, refuse_features, is_gone, needs_reset;
	uint8_t config[64];
	unsigned config_len;
	uint8_t gen;
	unsigned gen_moves;  /* generation changes at this many config reads to come */
	unsigned torn_reads; /* this many reads to come give other bytes */
	unsigned config_reads;
	uint16_t queue_size[VIO_MAX_QUEUES];
	struct vio_queue_layout layout[VIO_MAX_QUEUES];
	uint16_t vector[VIO_MAX_QUEUES];
	int enable_err, vector_err;
	uint8_t isr;
	unsigned isr_reads;
	struct fake_step log[FAKE_LOG];
	unsigned nlog;
};

void fake_init(struct fake *f, bool legacy);
/* Frees what is left; true if nothing was. */
bool fake_fini(struct fake *f);
/* Device address to pointer; NULL unless all of it is memory shared with the device. */
void *fake_mem(const struct fake *f, uint64_t da, size_t len);
/* The n-th step of this kind, or UINT64_MAX. */
uint64_t fake_nth(const struct fake *f, enum fake_act act, unsigned n);
unsigned fake_count(const struct fake *f, enum fake_act act);

/* ---- the device's side of a split ring ---- */

struct dring {
	const struct fake *f;
	uint16_t size;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	bool event_idx;
	uint16_t seen;	   /* next entry of avail.ring */
	uint16_t used_idx; /* as published */
};

struct dchain {
	uint16_t head;
	unsigned nout, nin;
	bool indirect;
	struct {
		uint64_t addr;
		uint32_t len;
	} out[512], in[512];
	uint64_t in_len;
};

void dring_init(struct dring *d, const struct fake *f, const struct vio_ring *r, bool event_idx);
/* Buffers the driver has published and nobody took. */
uint16_t dring_available(const struct dring *d);
/* Takes the next one; false if there is none. A chain that breaks a rule fails the test. */
bool dring_take(struct dring *d, struct dchain *c);
/* Completes it. True if the driver wants an interrupt for it. */
bool dring_give(struct dring *d, uint32_t id, uint32_t len);
/* Whether driver asked to be told when used.idx goes from old to now. */
bool dring_wants_irq(const struct dring *d, uint16_t old, uint16_t now);
/* The device's wishes: a notification at this avail index (EVENT_IDX) / any at all (without). */
void dring_notify_at(struct dring *d, uint16_t event);
void dring_notify(struct dring *d, bool on);

static inline uint16_t dget16(const vio16 *p)
{
	return __atomic_load_n(&p->raw, __ATOMIC_RELAXED);
}

#endif
