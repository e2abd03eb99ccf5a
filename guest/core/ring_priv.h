/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside of a virtqueue. Only guest/core includes this.
 *
 * Private and shared. Everything the driver must remember is in `slots` and the fields below, in
 * private memory. The three shared areas are written by us and never read back (H-1), except the
 * device's own fields: used.flags, used.idx, used.ring[], avail_event, each loaded once (H-2).
 *
 * Slots. Descriptor i has slot i. Free slots are linked through `next`; a buffer in flight owns a
 * chain of slots, linked the same way, whose head carries the token. An indirect buffer owns one
 * slot, and slot i always uses indirect table i, so tables need no management.
 *
 * Indices run freely over 16 bits and are masked when used.
 */
#ifndef CORE_RING_PRIV_H
#define CORE_RING_PRIV_H

#include "common/endian.h"
#include "vio/ring.h"
#include "wire/vring.h"

struct vio_ring_slot {
	void *token;	 /* not NULL: head of a buffer in flight (H-4) */
	uint32_t in_len; /* bytes the device may write into it */
	uint16_t tail;	 /* head only: last slot of the chain */
	uint16_t ndesc;	 /* head only: slots in the chain */
	uint16_t at;	 /* head only: its place in the available ring */
	uint16_t next;
};

struct vio_ring {
	/* Set at creation, constant. */
	const struct vio_os *os;
	struct vio_transport *t;
	uint16_t index;
	uint16_t size;
	uint16_t mask;
	uint16_t max_segs;
	bool event_idx;
	bool indirect;
	bool polled;
	bool swap; /* ring byte order is not the CPU's */
	enum vio_ring_len len_policy;

	/* Shared with the device. */
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	vio16 *used_event;	   /* ours, behind avail.ring */
	vio16 *avail_event;	   /* the device's, behind used.ring */
	struct vring_desc *tables; /* size x max_segs, or NULL */
	struct vio_dma mem, tables_mem;

	/* The queue's context. */
	struct vio_ring_slot *slots;
	const char *broken;
	uint16_t free_head;
	uint16_t nfree;
	uint16_t in_flight;  /* buffers added and not yet popped */
	uint16_t avail_idx;  /* next entry of avail.ring */
	uint16_t published;  /* avail.idx as the device may see it */
	uint16_t used_seen;  /* next entry of used.ring */
	uint16_t used_known; /* used.idx as last loaded */
	uint16_t reclaim_at;
	bool irq_wanted;
	uint64_t kicks;
};

/* Byte order of the ring (LG-12): constant-folds on little-endian CPUs. */
static inline uint16_t ring_swap16(const struct vio_ring *r, uint16_t v)
{
	return HOST_BIG_ENDIAN && r->swap ? __builtin_bswap16(v) : v;
}

static inline uint32_t ring_swap32(const struct vio_ring *r, uint32_t v)
{
	return HOST_BIG_ENDIAN && r->swap ? __builtin_bswap32(v) : v;
}

static inline uint64_t ring_swap64(const struct vio_ring *r, uint64_t v)
{
	return HOST_BIG_ENDIAN && r->swap ? __builtin_bswap64(v) : v;
}

/* Device-owned fields: one aligned load each (H-2). */
static inline uint16_t ring_load16(const struct vio_ring *r, const vio16 *p)
{
	return ring_swap16(r, __atomic_load_n(&p->raw, __ATOMIC_RELAXED));
}

static inline uint32_t ring_load32(const struct vio_ring *r, const vio32 *p)
{
	return ring_swap32(r, __atomic_load_n(&p->raw, __ATOMIC_RELAXED));
}

/* Our fields that the device may be reading at this moment. */
static inline void ring_store16(const struct vio_ring *r, vio16 *p, uint16_t v)
{
	__atomic_store_n(&p->raw, ring_swap16(r, v), __ATOMIC_RELAXED);
}

/* Takes the chain that begins at head back into the free list. */
static inline void ring_release(struct vio_ring *r, uint16_t head)
{
	struct vio_ring_slot *s = &r->slots[head];

	s->token = NULL;
	r->slots[s->tail].next = r->free_head;
	r->free_head = head;
	r->nfree = (uint16_t)(r->nfree + s->ndesc);
	r->in_flight--;
}

#endif
