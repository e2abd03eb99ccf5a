/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Split virtqueue, the fast path (2.7).
 *
 * Adding writes descriptors and the slot of avail.ring, all invisible to the device until avail.idx
 * is stored; vio_ring_kick does that once for everything added since. Ordering, driver to device:
 * descriptors and ring slots, then (release) avail.idx, then (full fence) the read of used.flags or
 * avail_event; the device does the mirror image, so one of the two always sees the other (SQ-24,
 * SQ-25). Device to driver: (acquire) used.idx, then used.ring.
 *
 * Arming interrupts is the same protocol the other way round: store the wish, full fence, look at
 * used.idx again. That look is what the true result of the irq functions means.
 */
#include "guest/core/ring_priv.h"

/* What a buffer looks like before it is written: how many segments, how many bytes go in. */
struct ring_shape {
	unsigned nsegs;
	uint64_t in_len;
	uint64_t total;
};

static int ring_measure(const struct vio_ring *r, const struct vio_part *parts, unsigned nparts,
			struct ring_shape *shape)
{
	bool in = false;

	*shape = (struct ring_shape){0};
	for (unsigned p = 0; p < nparts; p++) {
		if (in && !parts[p].in)
			return VIO_EINVAL; /* SQ-2 */
		in = parts[p].in;
		for (unsigned i = 0; i < parts[p].n; i++) {
			uint32_t len = parts[p].segs[i].len;

			shape->nsegs += len != 0;
			shape->total += len;
			if (in)
				shape->in_len += len;
		}
	}
	if (shape->nsegs == 0 || shape->nsegs > r->max_segs || shape->total > UINT32_MAX)
		return VIO_EINVAL; /* SQ-4, SQ-8 */
	return VIO_OK;
}

static inline void ring_write_desc(const struct vio_ring *r, struct vring_desc *d,
				   const struct seg *s, uint16_t flags, uint16_t next)
{
	d->addr.raw = ring_swap64(r, s->addr);
	d->len.raw = ring_swap32(r, s->len);
	d->flags.raw = ring_swap16(r, flags);
	d->next.raw = ring_swap16(r, next);
}

/* Descriptors head .. through the free list; returns the last one. */
static uint16_t ring_add_direct(struct vio_ring *r, const struct vio_part *parts, unsigned nsegs)
{
	uint16_t at = r->free_head;
	uint16_t last = at;

	for (const struct vio_part *p = parts; nsegs; p++) {
		uint16_t dir = p->in ? VRING_DESC_F_WRITE : 0;

		for (unsigned i = 0; i < p->n; i++) {
			uint16_t next;

			if (p->segs[i].len == 0)
				continue;
			next = r->slots[at].next;
			nsegs--;
			ring_write_desc(r, &r->desc[at], &p->segs[i],
					(uint16_t)(dir | (nsegs ? VRING_DESC_F_NEXT : 0)),
					nsegs ? next : 0);
			last = at;
			at = next;
		}
	}
	r->free_head = at;
	return last;
}

static void ring_add_indirect(struct vio_ring *r, const struct vio_part *parts, unsigned nsegs)
{
	uint16_t head = r->free_head;
	size_t first = (size_t)head * r->max_segs;
	struct vring_desc *table = r->tables + first;
	struct seg whole = {
		.addr = r->tables_mem.da + first * sizeof(*table),
		.len = (uint32_t)(nsegs * sizeof(*table)),
	};
	uint16_t n = 0;

	for (const struct vio_part *p = parts; n < nsegs; p++) {
		uint16_t dir = p->in ? VRING_DESC_F_WRITE : 0;

		for (unsigned i = 0; i < p->n; i++) {
			bool more;

			if (p->segs[i].len == 0)
				continue;
			more = n + 1u < nsegs;
			ring_write_desc(r, &table[n], &p->segs[i],
					(uint16_t)(dir | (more ? VRING_DESC_F_NEXT : 0)),
					more ? (uint16_t)(n + 1) : 0);
			n++;
		}
	}
	/* SQ-9: INDIRECT stands alone. */
	ring_write_desc(r, &r->desc[head], &whole, VRING_DESC_F_INDIRECT, 0);
	r->free_head = r->slots[head].next;
}

int vio_ring_add(struct vio_ring *r, const struct vio_part *parts, unsigned nparts, void *token)
{
	struct ring_shape shape;
	struct vio_ring_slot *slot;
	uint16_t head = r->free_head;
	bool indirect;
	int err;

	if (r->broken)
		return VIO_EBROKEN;
	err = ring_measure(r, parts, nparts, &shape);
	if (err || !token)
		return VIO_EINVAL;

	indirect = r->indirect && (shape.nsegs > 2 || shape.nsegs > r->nfree);
	if (r->nfree < (indirect ? 1 : shape.nsegs))
		return VIO_EAGAIN;

	slot = &r->slots[head];
	slot->ndesc = indirect ? 1 : (uint16_t)shape.nsegs;
	slot->in_len = (uint32_t)shape.in_len;
	if (indirect) {
		ring_add_indirect(r, parts, shape.nsegs);
		slot->tail = head;
	} else {
		slot->tail = ring_add_direct(r, parts, shape.nsegs);
	}
	slot->token = token;
	r->nfree = (uint16_t)(r->nfree - slot->ndesc);
	r->in_flight++;

	ring_store16(r, &r->avail->ring[r->avail_idx & r->mask], head);
	r->avail_idx++;
	return VIO_OK;
}

bool vio_ring_kick(struct vio_ring *r)
{
	uint16_t old = r->published;
	bool wanted;

	if (r->broken || r->avail_idx == old)
		return false;

	__atomic_thread_fence(__ATOMIC_RELEASE); /* SQ-24 */
	ring_store16(r, &r->avail->idx, r->avail_idx);
	r->published = r->avail_idx;
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* SQ-25 */

	if (r->event_idx) {
		uint16_t event = ring_load16(r, r->avail_event);

		/* SQ-22: did we just step over the slot the device waits for? */
		wanted = (uint16_t)(r->avail_idx - event - 1) < (uint16_t)(r->avail_idx - old);
	} else {
		wanted = !(ring_load16(r, &r->used->flags) & VRING_USED_F_NO_NOTIFY);
	}
	if (wanted) {
		r->kicks++;
		r->t->ops->notify(r->t, r->index);
	}
	return wanted;
}

/* Loads used.idx if all that is known of was popped. False: nothing there, or broken. */
static bool ring_used_available(struct vio_ring *r)
{
	uint16_t idx;

	if (r->used_known != r->used_seen)
		return true;
	idx = ring_load16(r, &r->used->idx);
	if (idx == r->used_seen)
		return false;
	if ((uint16_t)(idx - r->used_seen) > r->in_flight) {
		vio_ring_break(r, "used index passed the buffers in flight"); /* H-3 */
		return false;
	}
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	r->used_known = idx;
	return true;
}

/* H-5. False: broken. */
static bool ring_check_len(struct vio_ring *r, uint32_t in_len, uint32_t *len)
{
	switch (r->len_policy) {
	case VIO_RING_LEN_IGNORE:
		*len = 0;
		return true;
	case VIO_RING_LEN_CLAMP:
		if (*len > in_len)
			*len = in_len;
		return true;
	case VIO_RING_LEN_STRICT:
		break;
	}
	if (*len <= in_len)
		return true;
	vio_ring_break(r, "used length above the buffer's");
	return false;
}

int vio_ring_pop(struct vio_ring *r, struct vio_used *out)
{
	const struct vring_used_elem *elem;
	struct vio_ring_slot *slot;
	uint32_t id, len;

	if (r->broken)
		return VIO_EBROKEN;
	if (!ring_used_available(r))
		return r->broken ? VIO_EBROKEN : 0;

	elem = &r->used->ring[r->used_seen & r->mask];
	id = ring_load32(r, &elem->id);
	len = ring_load32(r, &elem->len);
	if (id >= r->size || !r->slots[id].token) {
		vio_ring_break(r, "used id is no buffer in flight"); /* H-4 */
		return VIO_EBROKEN;
	}
	slot = &r->slots[id];
	if (!ring_check_len(r, slot->in_len, &len))
		return VIO_EBROKEN;

	*out = (struct vio_used){.token = slot->token, .len = len};
	ring_release(r, (uint16_t)id);
	r->used_seen++;
	return 1;
}

bool vio_ring_more(struct vio_ring *r)
{
	return !r->broken && ring_used_available(r);
}

void vio_ring_irq_off(struct vio_ring *r)
{
	if (!r->irq_wanted)
		return;
	r->irq_wanted = false;
	if (r->event_idx) /* just behind us: 65,535 completions away; flags stay 0 (SQ-13) */
		ring_store16(r, r->used_event, (uint16_t)(r->used_seen - 1));
	else
		ring_store16(r, &r->avail->flags, VRING_AVAIL_F_NO_INTERRUPT);
}

/* Ask for an interrupt when used.idx steps over used_seen + after. */
static bool ring_irq_at(struct vio_ring *r, uint16_t after)
{
	uint16_t idx;

	if (r->broken)
		return false;
	r->irq_wanted = true;
	if (r->event_idx)
		ring_store16(r, r->used_event, (uint16_t)(r->used_seen + after));
	else
		ring_store16(r, &r->avail->flags, 0);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	idx = ring_load16(r, &r->used->idx);
	return (uint16_t)(idx - r->used_seen) > after;
}

bool vio_ring_irq_on(struct vio_ring *r)
{
	return ring_irq_at(r, 0);
}

bool vio_ring_irq_delayed(struct vio_ring *r)
{
	uint16_t visible = (uint16_t)(r->published - r->used_seen);

	return ring_irq_at(r, r->event_idx ? (uint16_t)(visible - (visible + 3u) / 4u) : 0);
}
