/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hostile mode: everything a device controls, changed at random but repeatably (F-2).
 *
 * Two ways in. Values on their way to the driver (registers, used entries, headers, answers) pass
 * through model_lie. Acts of the device's own (interrupts out of nowhere, scribbling on shared
 * memory, asking for a reset) happen in model_hostile_poll, which runs with every poll and every
 * register access, so at every stage of life.
 *
 * The model keeps its own footing: it scribbles on descriptors only when their chain was just
 * completed and on available entries only when they were taken, and remembers what it put into the
 * available index. A driver that keeps its own copies (H-1) never notices; one that reads back
 * gives itself away, which model_readbacks counts where it shows.
 */
#include <string.h>

#include "model/internal.h"

static uint64_t splitmix(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

void model_hostile(struct model *m, uint64_t seed, unsigned rate, uint64_t mask)
{
	m->hostile.rate = rate;
	m->hostile.mask = mask;
	m->hostile.rng = seed;
	m->mon = m->opt.monitor && rate == 0;
	if (rate == 0 && m->opt.monitor) {
		/* What was posted meanwhile was not watched: begin afresh with the next reset. */
		for (unsigned i = 0; i < MODEL_QUEUES; i++)
			model_watch_clear(m, &m->q[i]);
		memset(&m->watch, 0, sizeof(m->watch));
	}
}

uint32_t model_mut_random(struct model *m, uint32_t below)
{
	return below ? (uint32_t)(splitmix(&m->hostile.rng) % below) : 0;
}

bool model_mut(struct model *m, enum model_mutation kind)
{
	if (!(m->hostile.mask >> kind & 1))
		return false;
	return model_mut_random(m, 65536) < m->hostile.rate;
}

void model_mut_note(struct model *m, enum model_mutation kind, uint32_t where, uint64_t was,
		    uint64_t became)
{
	struct model_hostile_state *h = &m->hostile;

	h->kinds[kind]++;
	h->log[h->count % MODEL_MUT_LOG_LEN] =
		(struct model_mut_entry){h->count + 1, kind, where, was, became};
	h->count++;
}

uint64_t model_mut_value(struct model *m, enum model_mutation kind, uint32_t where, uint64_t was,
			 unsigned bits)
{
	static const uint64_t corners[] = {
		0,	1,	2,	0x7f,	 0x80,	0xff,  0x100,	   0x3fff,     0x7fff,
		0x8000, 0x8001, 0xffff, 0x10000, 65562, 65601, 0x7fffffff, 0x80000000, 0xffffffff};
	uint64_t mask = bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1, v;

	switch (model_mut_random(m, 6)) {
	case 0:
		v = splitmix(&m->hostile.rng);
		break;
	case 1:
		v = was ^ UINT64_C(1) << model_mut_random(m, bits);
		break;
	case 2:
		v = was + 1;
		break;
	case 3:
		v = was - 1;
		break;
	case 4:
		v = model_mut_random(m, 300); /* small: often another valid one */
		break;
	default:
		v = corners[model_mut_random(m, sizeof(corners) / sizeof(corners[0]))];
	}
	v &= mask;
	if (v == was)
		v = ~was & mask;
	model_mut_note(m, kind, where, was, v);
	return v;
}

/* ---- scribbling ---- */

static void scribble_desc(struct model *m, struct model_queue *q, uint16_t head)
{
	uint16_t i = head;

	for (unsigned n = 0; n < q->size && i < q->size; n++) {
		struct vring_desc was = q->desc[i];
		struct vring_desc *d = &q->desc[i];
		uint32_t where = (uint32_t)q->index << 16 | i;

		switch (model_mut_random(m, 4)) {
		case 0:
			d->addr.raw = splitmix(&m->hostile.rng);
			break;
		case 1:
			d->len.raw = (uint32_t)splitmix(&m->hostile.rng);
			break;
		case 2:
			d->flags.raw = (uint16_t)splitmix(&m->hostile.rng);
			break;
		default:
			break;
		}
		d->next.raw = (uint16_t)model_mut_value(m, MODEL_MUT_DESC, where, was.next.raw, 16);
		if (!(model_get16(m, was.flags) & VRING_DESC_F_NEXT))
			break;
		i = model_get16(m, was.next);
	}
}

static void scribble_avail(struct model *m, struct model_queue *q)
{
	uint16_t idx = model_get16(m, q->avail->idx);
	uint16_t pending = (uint16_t)(idx - q->last_avail);
	uint32_t where = (uint32_t)q->index << 16;
	uint16_t slot, v;

	if (pending > q->size || q->idx_scribbled)
		return;
	switch (model_mut_random(m, 4)) {
	case 0:
		if (pending)
			return;
		v = (uint16_t)model_mut_value(m, MODEL_MUT_AVAIL, where | 1, idx, 16);
		q->avail->idx = model_put16(m, v);
		q->idx_scribble = v;
		q->idx_scribbled = true;
		break;
	case 1:
		v = (uint16_t)model_mut_value(m, MODEL_MUT_AVAIL, where,
					      model_get16(m, q->avail->flags), 16);
		q->avail->flags = model_put16(m, v);
		break;
	default:
		if (pending == q->size)
			return;
		slot = (uint16_t)((q->last_avail - 1u -
				   model_mut_random(m, (uint32_t)q->size - pending)) &
				  (q->size - 1u));
		v = (uint16_t)model_mut_value(m, MODEL_MUT_AVAIL, where | (2u + slot),
					      model_get16(m, q->avail->ring[slot]), 16);
		q->avail->ring[slot] = model_put16(m, v);
	}
}

/* A chain of the true head is done with; its table entries are the driver's again. */
void model_hostile_completed(struct model *m, struct model_queue *q, uint16_t head)
{
	if (model_mut(m, MODEL_MUT_DESC))
		scribble_desc(m, q, head);
	if (model_mut(m, MODEL_MUT_AVAIL))
		scribble_avail(m, q);
}

static void scribble_used(struct model *m, struct model_queue *q)
{
	uint16_t slot = (uint16_t)model_mut_random(m, q->size);
	uint32_t where = (uint32_t)q->index << 16 | slot;
	vio32 *field = model_mut_random(m, 2) ? &q->used->ring[slot].id : &q->used->ring[slot].len;
	uint32_t was = model_get32(m, *field);

	*field = model_put32(m, (uint32_t)model_mut_value(m, MODEL_MUT_USED_RING, where, was, 32));
}

static void used_twice(struct model *m, struct model_queue *q)
{
	uint16_t to = (uint16_t)(q->used_idx & (q->size - 1u));
	uint16_t from = (uint16_t)((q->used_idx - 1u - model_mut_random(m, 4)) & (q->size - 1u));

	if (q->used_idx == 0)
		return;
	q->used->ring[to] = q->used->ring[from];
	q->used_idx++;
	__atomic_store_n(&q->used->idx.raw, model_put16(m, q->used_idx).raw, __ATOMIC_RELEASE);
	model_mut_note(m, MODEL_MUT_USED_DUP, (uint32_t)q->index << 16 | to, 0,
		       model_get32(m, q->used->ring[to].id));
	model_irq_queue(m, q);
}

/* Write into the oldest posted receive buffer, before it is its time. */
static void scribble_buffer(struct model *m)
{
	struct model_queue *q = &m->q[VIRTIO_NET_QUEUE_RX];
	struct model_chain c;

	if (!m->running || !q->enabled || model_ring_avail(m, q) == 0 ||
	    !model_ring_fetch(m, q, 0, &c) || c.nin == 0 || c.segs[c.nout].len == 0)
		return;
	for (unsigned i = 0; i < 16; i++) {
		uint32_t len = c.segs[c.nout].len;
		uint32_t at = model_mut_random(m, len < 128 ? len : 128);

		c.segs[c.nout].ptr[at] = (uint8_t)splitmix(&m->hostile.rng);
	}
	model_mut_note(m, MODEL_MUT_BUFFER, c.head, 0, 0);
}

static void show(struct model *m, struct model_queue *q, enum model_mutation kind)
{
	vio16 *p = kind == MODEL_MUT_USED_FLAGS ? &q->used->flags
						: (vio16 *)(void *)&q->used->ring[q->size];
	uint16_t v = (uint16_t)model_mut_value(m, kind, q->index, model_get16(m, *p), 16);

	*p = model_put16(m, v);
	if (kind == MODEL_MUT_USED_FLAGS)
		q->flags_shown = v;
	else
		q->event_shown = v;
}

static void stray_irq(struct model *m, enum model_mutation kind)
{
	uint32_t v = model_mut_random(m, m->opt.msix_entries + 1u);

	/* A storm counts when it begins. */
	if (kind != MODEL_MUT_IRQ_STORM)
		model_mut_note(m, kind, v, 0, 0);
	if (model_msix_on(m)) {
		model_irq_vector(m, v);
		return;
	}
	m->isr |= (uint8_t)(1 + model_mut_random(m, 3));
	model_intx_update(m);
}

void model_hostile_poll(struct model *m)
{
	struct model_queue *q;

	if (m->hostile.storm) {
		m->hostile.storm--;
		stray_irq(m, MODEL_MUT_IRQ_STORM);
	}
	/* Drivers that wait come by very often; the mix of kinds should not be all of these. */
	if (model_mut_random(m, 16))
		return;
	q = &m->q[model_mut_random(m, MODEL_QUEUES)];
	if (model_mut(m, MODEL_MUT_IRQ_SPURIOUS))
		stray_irq(m, MODEL_MUT_IRQ_SPURIOUS);
	if (model_mut(m, MODEL_MUT_IRQ_STORM)) {
		m->hostile.storm = 1 + model_mut_random(m, 100);
		model_mut_note(m, MODEL_MUT_IRQ_STORM, 0, 0, m->hostile.storm);
	}
	if (m->running && model_mut(m, MODEL_MUT_NEEDS_RESET)) {
		model_mut_note(m, MODEL_MUT_NEEDS_RESET, 0, m->status, 0);
		model_needs_reset(m);
	}
	if (m->running && model_mut(m, MODEL_MUT_CONFIG)) {
		model_mut_note(m, MODEL_MUT_CONFIG, 0xffff, 0, 0);
		model_config_changed(m);
	}
	if (model_mut(m, MODEL_MUT_BUFFER))
		scribble_buffer(m);
	if (!q->enabled)
		return;
	if (model_mut(m, MODEL_MUT_USED_RING))
		scribble_used(m, q);
	if (model_mut(m, MODEL_MUT_USED_DUP))
		used_twice(m, q);
	if (model_mut(m, MODEL_MUT_USED_FLAGS))
		show(m, q, MODEL_MUT_USED_FLAGS);
	if (model_mut(m, MODEL_MUT_AVAIL_EVENT))
		show(m, q, MODEL_MUT_AVAIL_EVENT);
	if (model_mut(m, MODEL_MUT_AVAIL))
		scribble_avail(m, q);
}

/* ---- looking back ---- */

uint64_t model_mutations(const struct model *m)
{
	return m->hostile.count;
}

uint64_t model_mutations_of(const struct model *m, enum model_mutation kind)
{
	return m->hostile.kinds[kind];
}

uint64_t model_readbacks(const struct model *m)
{
	return m->hostile.readbacks;
}

const char *model_mutation_name(enum model_mutation kind)
{
	static const char *const names[MODEL_MUT_COUNT] = {
		[MODEL_MUT_PCI] = "pci",
		[MODEL_MUT_STATUS] = "status",
		[MODEL_MUT_FEATURES] = "features",
		[MODEL_MUT_COMMON] = "common",
		[MODEL_MUT_GENERATION] = "generation",
		[MODEL_MUT_CONFIG] = "config",
		[MODEL_MUT_ISR] = "isr",
		[MODEL_MUT_RESET] = "reset",
		[MODEL_MUT_NEEDS_RESET] = "needs-reset",
		[MODEL_MUT_USED_ID] = "used-id",
		[MODEL_MUT_USED_LEN] = "used-len",
		[MODEL_MUT_USED_IDX] = "used-idx",
		[MODEL_MUT_USED_FLAGS] = "used-flags",
		[MODEL_MUT_AVAIL_EVENT] = "avail-event",
		[MODEL_MUT_USED_DUP] = "used-dup",
		[MODEL_MUT_USED_SKIP] = "used-skip",
		[MODEL_MUT_HDR] = "hdr",
		[MODEL_MUT_NUM_BUFFERS] = "num-buffers",
		[MODEL_MUT_FRAME_LEN] = "frame-len",
		[MODEL_MUT_FRAME_DATA] = "frame-data",
		[MODEL_MUT_IRQ_LOST] = "irq-lost",
		[MODEL_MUT_IRQ_SPURIOUS] = "irq-spurious",
		[MODEL_MUT_IRQ_STORM] = "irq-storm",
		[MODEL_MUT_CTRL_ACK] = "ctrl-ack",
		[MODEL_MUT_CTRL_LATE] = "ctrl-late",
		[MODEL_MUT_CTRL_NEVER] = "ctrl-never",
		[MODEL_MUT_DESC] = "desc",
		[MODEL_MUT_AVAIL] = "avail",
		[MODEL_MUT_USED_RING] = "used-ring",
		[MODEL_MUT_BUFFER] = "buffer",
	};

	return kind < MODEL_MUT_COUNT ? names[kind] : "?";
}

unsigned model_mut_log(const struct model *m, struct model_mut_entry out[MODEL_MUT_LOG_LEN])
{
	uint64_t count = m->hostile.count;
	unsigned n = count < MODEL_MUT_LOG_LEN ? (unsigned)count : MODEL_MUT_LOG_LEN;

	for (unsigned i = 0; i < n; i++)
		out[i] = m->hostile.log[(count - n + i) % MODEL_MUT_LOG_LEN];
	return n;
}

void model_mut_print(const struct model *m, FILE *out)
{
	struct model_mut_entry log[MODEL_MUT_LOG_LEN];
	unsigned n = model_mut_log(m, log);

	for (unsigned i = 0; i < n; i++)
		fprintf(out, "%8llu %-12s at %08x: %llx -> %llx\n", (unsigned long long)log[i].nth,
			model_mutation_name(log[i].kind), log[i].where,
			(unsigned long long)log[i].was, (unsigned long long)log[i].became);
}
