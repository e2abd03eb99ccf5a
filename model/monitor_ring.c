/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor's eye on rings: what was posted stays as it was (CL-1), and the device is told when
 * it asked to be, and not when it did not (SQ-17 to SQ-23).
 *
 * Posted chains are hashed the first time the available index shows them: descriptors, indirect
 * table, readable bytes. When the chain is completed the hash is taken again. A second chain that
 * uses a descriptor of one still in flight is the same offence.
 *
 * Notifications are judged over intervals of the available index: from the last judgement to now,
 * against what the device had asked for. This presumes that the driver publishes and notifies in
 * one go, which is so when everything runs in one thread.
 */
#include <stdlib.h>
#include <string.h>

#include "model/internal.h"

static uint64_t hash_bytes(uint64_t h, const void *data, size_t n)
{
	const uint8_t *p = data;

	for (; n >= 8; n -= 8, p += 8) {
		uint64_t w;

		memcpy(&w, p, 8);
		h = (h ^ w) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 29;
	}
	for (; n; n--, p++)
		h = (h ^ *p) * UINT64_C(0x100000001b3);
	return h;
}

static uint64_t hash_segment(struct model *m, uint64_t h, const struct vring_desc *d)
{
	uint32_t len = model_get32(m, d->len);
	const void *p = m->hook.mem(m->hook.ctx, model_get64(m, d->addr), len);

	return p ? hash_bytes(h, p, len) : h;
}

struct walk {
	struct model_posted sum;
	uint16_t owner; /* to mark with, 0: only look */
	bool shared;	/* a descriptor belongs to another chain */
};

static void walk_entry(struct model *m, const struct vring_desc *d, struct walk *w)
{
	w->sum.descs = hash_bytes(w->sum.descs, d, sizeof(*d));
	if (!(model_get16(m, d->flags) & (VRING_DESC_F_WRITE | VRING_DESC_F_INDIRECT)))
		w->sum.bytes = hash_segment(m, w->sum.bytes, d);
}

static void walk_indirect(struct model *m, const struct vring_desc *d, struct walk *w)
{
	uint32_t len = model_get32(m, d->len) & ~15u;
	const struct vring_desc *t =
		len ? m->hook.mem(m->hook.ctx, model_get64(m, d->addr), len) : NULL;

	for (uint32_t i = 0; t && i < len / 16 && i < VIRTIO_QUEUE_SIZE_MAX; i++)
		walk_entry(m, &t[i], w);
}

/* Hashes one chain and, if asked, takes its descriptors for it. Never trusts what it reads. */
static void walk_chain(struct model *m, struct model_queue *q, uint16_t head, struct walk *w)
{
	uint16_t i = head;

	for (unsigned n = 0; n < q->size && i < q->size; n++) {
		struct vring_desc d = q->desc[i];
		uint16_t flags = model_get16(m, d.flags);

		if (w->owner) {
			if (q->owner[i] && q->owner[i] != w->owner)
				w->shared = true;
			q->owner[i] = w->owner;
			w->sum.entries++;
		}
		walk_entry(m, &d, w);
		if (flags & VRING_DESC_F_INDIRECT)
			walk_indirect(m, &d, w);
		if (!(flags & VRING_DESC_F_NEXT))
			break;
		i = model_get16(m, d.next);
	}
}

void model_watch_posted(struct model *m, struct model_queue *q)
{
	uint16_t idx = model_get16(m, q->avail->idx);

	if (!q->posted || (uint16_t)(idx - q->last_avail) > q->size)
		return; /* model_ring_avail will say it */
	for (; q->snap_idx != idx; q->snap_idx++) {
		uint16_t head = model_get16(m, q->avail->ring[q->snap_idx & (q->size - 1)]);
		struct walk w = {.owner = (uint16_t)(head + 1)};

		if (head >= q->size)
			continue;
		if (q->posted[head].live) {
			norm_broken(m, NORM_CL_1, "head posted again while in flight");
			continue;
		}
		walk_chain(m, q, head, &w);
		if (w.shared)
			norm_broken(m, NORM_CL_1, "descriptor of a chain in flight used again");
		q->posted[head] = w.sum;
		q->posted[head].live = true;
	}
}

void model_watch_completed(struct model *m, struct model_queue *q, uint16_t head)
{
	struct walk w = {0};

	if (!q->posted || head >= q->size)
		return;
	model_watch_posted(m, q);
	if (!q->posted[head].live)
		return;
	walk_chain(m, q, head, &w);
	norm_check(m, NORM_CL_1,
		   w.sum.descs == q->posted[head].descs && w.sum.bytes == q->posted[head].bytes,
		   "descriptors or data changed while in flight");
	q->posted[head].live = false;
	/* From the head on, so that usual chains end the search early. */
	for (unsigned i = 0, left = q->posted[head].entries; left && i < q->size; i++) {
		uint16_t *o = &q->owner[(head + i) & (q->size - 1u)];

		if (*o == head + 1) {
			*o = 0;
			left--;
		}
	}
}

bool model_owns(struct model *m, uint64_t addr, size_t len)
{
	for (unsigned n = 0; n < MODEL_QUEUES; n++) {
		struct model_queue *q = &m->q[n];

		if (!q->enabled || !q->posted || !m->mon)
			continue;
		for (uint16_t i = 0; i < q->size; i++) {
			struct vring_desc d = q->desc[i];
			const struct vring_desc *t = &d;
			uint32_t entries = 1;

			if (q->owner[i] == 0)
				continue;
			if (model_get16(m, d.flags) & VRING_DESC_F_INDIRECT) {
				entries = model_get32(m, d.len) / 16;
				t = m->hook.mem(m->hook.ctx, model_get64(m, d.addr), entries * 16);
			}
			for (uint32_t k = 0; t && k < entries; k++) {
				uint64_t a = model_get64(m, t[k].addr);

				if (a < addr + len && addr < a + model_get32(m, t[k].len))
					return true;
			}
		}
	}
	return false;
}

/* ---- notifications ---- */

static bool asked_for(struct model *m, const struct model_queue *q, uint16_t idx)
{
	if (m->event_idx)
		return (uint16_t)(idx - q->event_shown - 1) < (uint16_t)(idx - q->judged_idx);
	return !(q->flags_shown & VRING_USED_F_NO_NOTIFY);
}

static void judge(struct model *m, struct model_queue *q, bool told)
{
	uint16_t idx = model_get16(m, q->avail->idx);
	bool wanted;

	if (!q->posted || idx == q->judged_idx)
		return;
	wanted = asked_for(m, q, idx);
	q->judged_idx = idx;
	/* At a poll it may be about to, and what it has looked at to decide may have changed. */
	if (m->opt.concurrent && (!told || q->unsure)) {
		q->unsure = !told;
		return;
	}
	if (wanted) {
		norm_check(m, m->event_idx ? NORM_SQ_22 : NORM_SQ_20, told,
			   "buffers made available, device asked for it, not told");
		if (m->opt.odd.stray_events)
			norm_check(m, m->event_idx ? NORM_SQ_21 : NORM_SQ_18, told,
				   "went by the field that does not count");
	} else if (!m->opt.concurrent) { /* else it may have changed its mind meanwhile */
		norm_check(m, m->event_idx ? NORM_SQ_23 : NORM_SQ_19, !told,
			   "told though the device did not want it");
	}
}

void model_watch_notified(struct model *m, struct model_queue *q)
{
	model_watch_posted(m, q);
	judge(m, q, true);
	if (m->watch.spurious) {
		m->watch.spurious = false;
		norm_ok(m, NORM_SQ_14);
	}
}

void model_watch_polled(struct model *m, struct model_queue *q)
{
	judge(m, q, false);
}

void model_watch_queue(struct model *m, struct model_queue *q, uint16_t size)
{
	model_watch_clear(m, q);
	free(q->posted);
	free(q->owner);
	q->posted = calloc(size, sizeof(*q->posted));
	q->owner = calloc(size, sizeof(*q->owner));
	if (!q->posted || !q->owner)
		model_watch_clear(m, q); /* no memory, no judgement */
	norm_check(m, NORM_SQ_17, q->used->flags.raw == 0, "used flags not zero at start");
}

void model_watch_clear(struct model *m, struct model_queue *q)
{
	(void)m;
	free(q->posted);
	free(q->owner);
	q->posted = NULL;
	q->owner = NULL;
	q->snap_idx = q->judged_idx = 0;
}
