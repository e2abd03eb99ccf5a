/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Split virtqueue, device side (2.7).
 *
 * Guest memory is looked at through three pointers taken when the queue was enabled. Every field
 * of the driver's is loaded once: the available index with acquire order, a descriptor as one
 * 16-byte copy. A chain is gathered into the queue's scratch list, readable part first, before
 * anything is done with it; what cannot be (a loop, a segment outside guest memory, readable after
 * writable) breaks the device, which then asks to be reset.
 *
 * Used entries are written first and published with one release store. Interrupts follow
 * used_event or the available flags; notifications are asked for through avail_event or the used
 * flags, always followed by a full barrier and another look at the index (2.7.7.2, 2.7.10).
 */
#include <stdlib.h>
#include <string.h>

#include "model/internal.h"

static uint16_t load16(const vio16 *p)
{
	return __atomic_load_n(&p->raw, __ATOMIC_RELAXED);
}

static uint16_t load_acquire(const vio16 *p)
{
	return __atomic_load_n(&p->raw, __ATOMIC_ACQUIRE);
}

static void store16(vio16 *p, vio16 v)
{
	__atomic_store_n(&p->raw, v.raw, __ATOMIC_RELAXED);
}

static vio16 *used_event(const struct model_queue *q)
{
	return &q->avail->ring[q->size];
}

/* avail_event lies behind the used entries. */
static vio16 *avail_event(const struct model_queue *q)
{
	return (vio16 *)(void *)&q->used->ring[q->size];
}

bool model_ring_start(struct model *m, struct model_queue *q)
{
	void *desc, *avail, *used;

	if (m->mon)
		norm_check(m, NORM_SQ_1,
			   q->addr[0] % VRING_DESC_ALIGN == 0 &&
				   q->addr[1] % VRING_AVAIL_ALIGN == 0 &&
				   q->addr[2] % VRING_USED_ALIGN == 0,
			   "ring area not aligned");
	desc = model_mem(m, q->addr[0], VRING_DESC_BYTES(q->size));
	avail = model_mem(m, q->addr[1], VRING_AVAIL_BYTES(q->size));
	used = model_mem(m, q->addr[2], VRING_USED_BYTES(q->size));
	if (!desc || !avail || !used || q->addr[0] % 16 || q->addr[1] % 2 || q->addr[2] % 4)
		return false;
	if (q->segs_max < q->size) {
		free(q->segs);
		q->segs_max = 0;
		q->segs = malloc(q->size * sizeof(*q->segs));
		if (q->segs == NULL)
			return false;
		q->segs_max = q->size;
	}
	q->desc = desc;
	q->avail = avail;
	q->used = used;
	q->last_avail = q->used_idx = q->signalled = 0;
	q->signalled_valid = false;
	q->event_shown = q->flags_shown = 0;
	q->late = 0;
	q->idx_scribbled = false;
	q->was_reset = false;
	q->enabled = true;
	m->event_idx = model_has(m, VIRTIO_F_EVENT_IDX);
	if (m->mon)
		model_watch_queue(m, q, q->size);
	model_ring_want(m, q, !q->quiet);
	return true;
}

void model_ring_stop(struct model_queue *q)
{
	q->enabled = false;
	q->desc = NULL;
	q->avail = NULL;
	q->used = NULL;
	q->last_avail = q->used_idx = 0;
}

static void process(struct model *m, struct model_queue *q)
{
	if (!m->running || !q->enabled || q->held)
		return;
	if (q->index == VIRTIO_NET_QUEUE_RX) {
		/* There are buffers again: no need to hear of more. */
		if (model_ring_avail(m, q))
			model_ring_want(m, q, false);
		return;
	}
	model_net_process(m, q);
}

void model_ring_notified(struct model *m, unsigned index)
{
	struct model_queue *q = &m->q[index];

	q->notifies++;
	if (m->mon) {
		norm_check(m, NORM_IN_7, m->status & VIRTIO_STATUS_DRIVER_OK,
			   "notified before DRIVER_OK");
		if (m->watch.failed)
			norm_broken(m, NORM_IN_6, "notified after FAILED");
		if (q->enabled)
			model_watch_notified(m, q);
	}
	if (m->opt.immediate || index == VIRTIO_NET_QUEUE_RX)
		process(m, q);
}

uint16_t model_ring_avail(struct model *m, struct model_queue *q)
{
	uint16_t idx = model_get16(m, (vio16){load_acquire(&q->avail->idx)});
	uint16_t n;

	if (__builtin_expect(q->idx_scribbled, 0)) {
		if (idx == q->idx_scribble)
			return 0; /* our own garbage */
		q->idx_scribbled = false;
		if ((uint16_t)(idx - q->last_avail) > q->size)
			m->hostile.readbacks++;
	}
	n = (uint16_t)(idx - q->last_avail);
	if (n > q->size) {
		if (m->mon)
			norm_broken(m, NORM_SQ_11, "available index went back or too far");
		model_break(m, "available index");
		return 0;
	}
	return n;
}

/* Append one descriptor to the chain's list; false breaks the device. */
static bool add_segment(struct model *m, struct model_queue *q, struct model_chain *c,
			uint64_t addr, uint32_t len, bool write)
{
	struct seg *s = &q->segs[c->descs];

	if (!write && c->nin) {
		if (m->mon)
			norm_broken(m, NORM_SQ_2, "readable descriptor after a writable one");
		return false;
	}
	s->ptr = model_mem(m, addr, len);
	if (s->ptr == NULL)
		return false;
	s->addr = addr;
	s->len = len;
	c->descs++;
	if (write) {
		c->nin++;
		c->in_len += len;
	} else {
		c->nout++;
		c->out_len += len;
	}
	return true;
}

/* Walks table from entry i; limit descriptors at most. */
static bool walk(struct model *m, struct model_queue *q, const struct vring_desc *table,
		 uint32_t entries, uint32_t i, bool inside, struct model_chain *c)
{
	for (;;) {
		struct vring_desc d;
		uint16_t flags;

		if (i >= entries) {
			model_break(m, "next descriptor beyond the table");
			return false;
		}
		d = table[i];
		flags = model_get16(m, d.flags);
		if (flags & VRING_DESC_F_INDIRECT) {
			const struct vring_desc *inner;
			uint32_t len = model_get32(m, d.len);

			if (m->mon) {
				norm_check(m, NORM_SQ_6, model_has(m, VIRTIO_F_INDIRECT_DESC),
					   "indirect descriptor without the feature");
				norm_check(m, NORM_SQ_7, !inside, "indirect inside indirect");
				norm_check(m, NORM_SQ_9, !(flags & VRING_DESC_F_NEXT),
					   "INDIRECT and NEXT together");
			}
			if (inside || flags & VRING_DESC_F_NEXT || len == 0 || len % 16 ||
			    !model_has(m, VIRTIO_F_INDIRECT_DESC)) {
				model_break(m, "indirect descriptor");
				return false;
			}
			inner = model_mem(m, model_get64(m, d.addr), len);
			if (inner == NULL) {
				model_break(m, "indirect table");
				return false;
			}
			c->indirect = true;
			return walk(m, q, inner, len / 16, 0, true, c);
		}
		if (c->descs >= q->size) {
			if (m->mon)
				norm_broken(m, inside ? NORM_SQ_8 : NORM_SQ_4,
					    "chain longer than the queue, or a loop");
			model_break(m, "chain too long");
			return false;
		}
		if (!add_segment(m, q, c, model_get64(m, d.addr), model_get32(m, d.len),
				 flags & VRING_DESC_F_WRITE)) {
			model_break(m, "segment");
			return false;
		}
		if (!(flags & VRING_DESC_F_NEXT))
			return true;
		i = model_get16(m, d.next);
	}
}

bool model_ring_fetch(struct model *m, struct model_queue *q, uint16_t ahead, struct model_chain *c)
{
	uint16_t slot = (uint16_t)((q->last_avail + ahead) & (q->size - 1));
	uint16_t head = model_get16(m, (vio16){load16(&q->avail->ring[slot])});

	*c = (struct model_chain){.head = head, .segs = q->segs};
	if (!walk(m, q, q->desc, q->size, head, false, c))
		return false;
	if (m->mon) {
		norm_ok(m, NORM_SQ_2);
		norm_ok(m, NORM_SQ_11);
		norm_check(m, NORM_SQ_3, c->descs <= 1024, "more than 1024 descriptors");
		norm_check(m, NORM_SQ_4, c->out_len + c->in_len <= UINT64_C(1) << 32,
			   "more than 4 GiB");
		if (c->indirect)
			norm_ok(m, NORM_SQ_8);
	}
	return true;
}

void model_ring_used(struct model *m, struct model_queue *q, uint16_t ahead, uint16_t head,
		     uint32_t len)
{
	uint16_t slot = (uint16_t)((q->used_idx + ahead) & (q->size - 1));
	uint32_t id = head;

	if (m->mon)
		model_watch_completed(m, q, head);
	if (__builtin_expect(m->hostile.rate != 0, 0)) {
		uint32_t where = (uint32_t)q->index << 16 | slot;

		id = model_lie(m, MODEL_MUT_USED_ID, where, id, 4);
		len = model_lie(m, MODEL_MUT_USED_LEN, where, len, 4);
		model_hostile_completed(m, q, head);
	}
	q->used->ring[slot].id = model_put32(m, id);
	q->used->ring[slot].len = model_put32(m, len);
}

void model_ring_publish(struct model *m, struct model_queue *q, uint16_t n)
{
	uint16_t idx = (uint16_t)(q->used_idx + n);

	q->used_idx = idx;
	if (m->hostile.rate)
		idx = (uint16_t)model_lie(m, MODEL_MUT_USED_IDX, q->index, idx, 2);
	__atomic_store_n(&q->used->idx.raw, model_put16(m, idx).raw, __ATOMIC_RELEASE);
}

static bool wants_interrupt(struct model *m, struct model_queue *q)
{
	uint16_t old = q->signalled;
	bool valid = q->signalled_valid;
	uint16_t event, flags;

	/* Both sides store, then load: without a full barrier each may miss the other (2.7.7.2). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	q->signalled = q->used_idx;
	q->signalled_valid = true;
	if (m->mon) {
		flags = model_get16(m, (vio16){load16(&q->avail->flags)});
		if (m->event_idx)
			norm_check(m, NORM_SQ_13, flags == 0, "flags with EVENT_IDX");
		else
			norm_check(m, NORM_SQ_12, flags <= 1, "unknown flags");
	}
	if (m->opt.odd.irq_always)
		return true;
	if (model_has(m, VIRTIO_F_NOTIFY_ON_EMPTY) && model_ring_avail(m, q) == 0)
		return true;
	if (!m->event_idx) {
		flags = model_get16(m, (vio16){load16(&q->avail->flags)});
		return !(flags & VRING_AVAIL_F_NO_INTERRUPT);
	}
	event = model_get16(m, (vio16){load16(used_event(q))});
	return !valid || (uint16_t)(q->used_idx - event - 1) < (uint16_t)(q->used_idx - old);
}

void model_ring_signal(struct model *m, struct model_queue *q)
{
	if (wants_interrupt(m, q))
		model_irq_queue(m, q);
}

/* Ask for notifications, or not. With EVENT_IDX "not" is an event index left behind. */
void model_ring_want(struct model *m, struct model_queue *q, bool notifications)
{
	uint16_t flags = (uint16_t)(notifications ? 0 : VRING_USED_F_NO_NOTIFY);
	uint16_t event = q->last_avail;

	if (m->opt.odd.stray_events) {
		/* The field that does not count says the contrary (SQ-18, SQ-21). */
		if (m->event_idx)
			flags = VRING_USED_F_NO_NOTIFY;
		else
			store16(avail_event(q), model_put16(m, (uint16_t)(event + 0x4000)));
	} else if (m->event_idx) {
		flags = 0;
	}
	if (m->hostile.rate) {
		flags = (uint16_t)model_lie(m, MODEL_MUT_USED_FLAGS, q->index, flags, 2);
		event = (uint16_t)model_lie(m, MODEL_MUT_AVAIL_EVENT, q->index, event, 2);
	}
	if (m->event_idx && notifications) {
		q->event_shown = event;
		store16(avail_event(q), model_put16(m, event));
	}
	if (flags != q->flags_shown) {
		q->flags_shown = flags;
		store16(&q->used->flags, model_put16(m, flags));
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}
