/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtqueues: memory, life, and what comes back after a reset.
 *
 * All memory is taken in vio_ring_create, so that a queue can be emptied and given to a reset
 * device again without allocating. The layout is the legacy one (2.7.2: descriptors, available
 * ring, padding, used ring, in one block) for both interfaces; only the alignment of the used ring
 * differs. The fast path is in ring_split.c.
 */
#include "guest/core/ring_priv.h"

/* Modern: keeps the two sides' areas on different cache lines; more than SQ-1 asks for. */
#define RING_ALIGN_MODERN 64u

static size_t ring_align(const struct vio_ring *r)
{
	return r->t->legacy ? VRING_LEGACY_ALIGN : RING_ALIGN_MODERN;
}

/* Offset of the used ring: (n + a - 1) & ~(a - 1); the text of 2.7.2 has the mask wrong. */
static size_t ring_used_offset(const struct vio_ring *r)
{
	size_t a = ring_align(r);

	return (VRING_DESC_BYTES(r->size) + VRING_AVAIL_BYTES(r->size) + a - 1) & ~(a - 1);
}

static int ring_alloc(struct vio_ring *r)
{
	const struct vio_os *os = r->os;
	size_t used_off = ring_used_offset(r);
	size_t bytes = used_off + VRING_USED_BYTES(r->size);
	uint8_t *base;
	int err;

	r->slots = os->ops->alloc(os->ctx, sizeof(*r->slots) * r->size);
	if (!r->slots)
		return VIO_ENOMEM;

	err = os->ops->dma_alloc(os->ctx, bytes, ring_align(r), r->t->dma_bits, &r->mem);
	if (err)
		return err;
	base = r->mem.va;
	r->desc = (struct vring_desc *)(void *)base;
	r->avail = (struct vring_avail *)(void *)(base + VRING_DESC_BYTES(r->size));
	r->used = (struct vring_used *)(void *)(base + used_off);
	r->used_event = &r->avail->ring[r->size];
	r->avail_event = (vio16 *)(void *)&r->used->ring[r->size];

	if (r->indirect) {
		bytes = sizeof(struct vring_desc) * r->size * r->max_segs;
		err = os->ops->dma_alloc(os->ctx, bytes, VRING_DESC_ALIGN, 64, &r->tables_mem);
		if (err)
			return err;
		r->tables = r->tables_mem.va;
	}
	return VIO_OK;
}

int vio_ring_create(struct vio_ring **out, const struct vio_os *os, struct vio_transport *t,
		    const struct vio_ring_params *params)
{
	struct vio_ring *r;
	int err;

	*out = NULL;
	if (params->size == 0 || params->size > VIRTIO_QUEUE_SIZE_MAX ||
	    (params->size & (params->size - 1)) || params->max_segs == 0)
		return VIO_EINVAL;

	r = os->ops->alloc(os->ctx, sizeof(*r));
	if (!r)
		return VIO_ENOMEM;
	r->os = os;
	r->t = t;
	r->index = params->index;
	r->size = params->size;
	r->mask = (uint16_t)(params->size - 1);
	r->event_idx = params->event_idx;
	/* SQ-8: no buffer is longer than the queue, indirect or not. */
	r->max_segs = params->max_segs < params->size ? params->max_segs : params->size;
	/* Below three segments a table costs more than it saves. */
	r->indirect = params->indirect && r->max_segs > 2;
	r->swap = HOST_BIG_ENDIAN && !t->legacy;
	r->len_policy = params->len_policy;
	r->polled = params->polled;

	err = ring_alloc(r);
	if (err) {
		vio_ring_destroy(r, false);
		return err;
	}
	vio_ring_clear(r);
	*out = r;
	return VIO_OK;
}

void vio_ring_destroy(struct vio_ring *r, bool quarantine)
{
	const struct vio_os *os;

	if (!r)
		return;
	os = r->os;
	if (!quarantine) {
		if (r->tables_mem.va)
			os->ops->dma_free(os->ctx, &r->tables_mem);
		if (r->mem.va)
			os->ops->dma_free(os->ctx, &r->mem);
	}
	if (r->slots)
		os->ops->free(os->ctx, r->slots, sizeof(*r->slots) * r->size);
	os->ops->free(os->ctx, r, sizeof(*r));
}

void vio_ring_clear(struct vio_ring *r)
{
	__builtin_memset(r->mem.va, 0, r->mem.len); /* SQ-17 */
	for (uint16_t i = 0; i < r->size; i++)
		r->slots[i] = (struct vio_ring_slot){.next = (uint16_t)(i + 1)};
	r->broken = NULL;
	r->free_head = 0;
	r->nfree = r->size;
	r->in_flight = 0;
	r->avail_idx = r->published = 0;
	r->used_seen = r->used_known = 0;
	r->reclaim_at = 0;
	r->irq_wanted = true; /* what zeroed memory says; see vio_ring_irq_off */
}

void vio_ring_layout(const struct vio_ring *r, struct vio_queue_layout *out)
{
	*out = (struct vio_queue_layout){
		.size = r->size,
		.desc = r->mem.da,
		.driver = r->mem.da + VRING_DESC_BYTES(r->size),
		.device = r->mem.da + ring_used_offset(r),
	};
}

void *vio_ring_reclaim(struct vio_ring *r)
{
	for (; r->reclaim_at < r->size; r->reclaim_at++) {
		void *token = r->slots[r->reclaim_at].token;

		if (token) {
			ring_release(r, r->reclaim_at);
			return token;
		}
	}
	return NULL;
}

void vio_ring_break(struct vio_ring *r, const char *why)
{
	if (!r->broken)
		r->broken = why;
}

const char *vio_ring_broken(const struct vio_ring *r)
{
	return r->broken;
}

uint16_t vio_ring_size(const struct vio_ring *r)
{
	return r->size;
}

uint16_t vio_ring_index(const struct vio_ring *r)
{
	return r->index;
}

bool vio_ring_polled(const struct vio_ring *r)
{
	return r->polled;
}

uint16_t vio_ring_in_flight(const struct vio_ring *r)
{
	return r->in_flight;
}

uint16_t vio_ring_room(const struct vio_ring *r)
{
	return r->nfree;
}

bool vio_ring_fits(const struct vio_ring *r, unsigned n)
{
	return n <= r->nfree || (r->indirect && r->nfree > 0);
}

uint64_t vio_ring_kicks(const struct vio_ring *r)
{
	return r->kicks;
}
