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

/* A chain as it was written. */
struct ring_chain {
	unsigned n;	 /* descriptors; 0: nothing that may be published */
	uint16_t last;	 /* slot of the last one (direct) */
	uint16_t next;	 /* free list behind it (direct) */
	uint32_t in_len; /* bytes the device may write */
};

static inline void ring_write_desc(const struct vio_ring *r, struct vring_desc *d, uint64_t addr,
				   uint32_t len, uint16_t flags, uint16_t next)
{
	d->addr.raw = ring_swap64(r, addr);
	d->len.raw = ring_swap32(r, len);
	d->flags.raw = ring_swap16(r, flags);
	d->next.raw = ring_swap16(r, next);
}

/*
 * Writes the segments of parts, at most max of them, into the free descriptors or into a table.
 * One walk: the device sees none of it before the index is published, so a buffer that turns out
 * to be malformed half-way is simply not published. Always inlined, once for each kind.
 */
static inline __attribute__((always_inline)) struct ring_chain ring_write_chain(
	const struct vio_ring *r, const struct vio_part *parts, unsigned nparts, unsigned max,
	struct vring_desc *table)
{
	struct vring_desc *desc = table ? table : r->desc;
	uint16_t at = table ? 0 : r->free_head;
	struct ring_chain c = {.last = at};
	uint64_t total = 0, in_len = 0;
	uint16_t dir = 0, last_dir = 0;

	for (unsigned i = 0; i < nparts; i++) {
		const struct vio_part *p = &parts[i];

		if (!p->in && dir)
			return (struct ring_chain){0}; /* SQ-2 */
		dir = p->in ? VRING_DESC_F_WRITE : 0;
		for (unsigned k = 0; k < p->n; k++) {
			const struct seg *seg = &p->segs[k];
			uint16_t next;

			if (seg->len == 0)
				continue;
			if (c.n++ == max)
				return (struct ring_chain){0};
			next = table ? (uint16_t)(at + 1) : r->slots[at].next;
			ring_write_desc(r, &desc[at], seg->addr, seg->len,
					(uint16_t)(dir | VRING_DESC_F_NEXT), next);
			total += seg->len;
			in_len += dir ? seg->len : 0;
			c.last = at;
			last_dir = dir;
			at = next;
		}
	}
	if (c.n == 0 || total > UINT32_MAX) /* SQ-4 */
		return (struct ring_chain){0};
	desc[c.last].flags.raw = ring_swap16(r, last_dir);
	desc[c.last].next.raw = 0;
	c.next = at;
	c.in_len = (uint32_t)in_len;
	return c;
}

static struct ring_chain ring_add_indirect(struct vio_ring *r, const struct vio_part *parts,
					   unsigned nparts)
{
	uint16_t head = r->free_head;
	size_t first = (size_t)head * r->max_segs;
	struct ring_chain c = ring_write_chain(r, parts, nparts, r->max_segs, r->tables + first);

	/* SQ-9: INDIRECT stands alone. */
	ring_write_desc(r, &r->desc[head], r->tables_mem.da + first * sizeof(struct vring_desc),
			(uint32_t)(c.n * sizeof(struct vring_desc)), VRING_DESC_F_INDIRECT, 0);
	c.last = head;
	c.next = r->slots[head].next;
	return c;
}

/* Why a buffer was not written: it never could be, or only not now. */
static int ring_refuse(const struct vio_ring *r, const struct vio_part *parts, unsigned nparts)
{
	unsigned n = 0;

	for (unsigned p = 0; p < nparts; p++) {
		for (unsigned i = 0; i < parts[p].n; i++)
			n += parts[p].segs[i].len != 0;
	}
	return n && n <= r->max_segs && n > r->nfree ? VIO_EAGAIN : VIO_EINVAL;
}

int vio_ring_add(struct vio_ring *r, const struct vio_part *parts, unsigned nparts, void *token)
{
	uint16_t head = r->free_head;
	struct vio_ring_slot *slot = &r->slots[head]; /* one past the last if none is free */
	struct ring_chain c = {0};
	unsigned n = 0;

	if (r->broken)
		return VIO_EBROKEN;
	if (!token)
		return VIO_EINVAL;
	for (unsigned p = 0; p < nparts; p++)
		n += parts[p].n;

	if (r->indirect && r->nfree && (n > 2 || n > r->nfree)) {
		c = ring_add_indirect(r, parts, nparts);
		n = 1;
	} else if (r->nfree) {
		c = ring_write_chain(r, parts, nparts,
				     r->nfree < r->max_segs ? r->nfree : r->max_segs, NULL);
		n = c.n;
	}
	if (c.n == 0)
		return ring_refuse(r, parts, nparts);
	slot->ndesc = (uint16_t)n;
	slot->in_len = c.in_len;
	slot->tail = c.last;
	slot->token = token;
	slot->at = r->avail_idx;
	r->free_head = c.next;
	r->nfree = (uint16_t)(r->nfree - n);
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
	if ((uint16_t)(idx - r->used_seen) > (uint16_t)(r->published - r->used_seen)) {
		vio_ring_break(r, "used index passed the available index"); /* H-3 */
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

/* Whether the device could have seen the entry at this place of the available ring. */
static bool ring_published(const struct vio_ring *r, uint16_t at)
{
	return (uint16_t)(at - r->published) >= (uint16_t)(r->avail_idx - r->published);
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
	if (id >= r->size || !r->slots[id].token || !ring_published(r, r->slots[id].at)) {
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
	/* Just behind us: one spurious interrupt in 65,536 completions (SQ-14); flags stay 0
	 * (SQ-13). */
	if (r->event_idx)
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
