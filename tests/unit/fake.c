/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/fake.h"

#include "tests/unit/cm.h"

/* ---- os ---- */

static bool fake_fails(struct fake *f)
{
	f->allocs++;
	return f->fail_at && --f->fail_at == 0;
}

static void *fake_alloc(void *os, size_t len)
{
	struct fake *f = os;
	void *p;

	if (fake_fails(f))
		return NULL;
	p = calloc(1, len);
	if (p)
		f->live += len;
	return p;
}

static void fake_free(void *os, void *ptr, size_t len)
{
	struct fake *f = os;

	f->live -= len;
	free(ptr);
}

static int fake_dma_alloc(void *os, size_t len, size_t align, unsigned addr_bits,
			  struct vio_dma *out)
{
	struct fake *f = os;
	size_t rounded = (len + align - 1) / align * align;
	struct fake_block *b;

	if (fake_fails(f))
		return VIO_ENOMEM;
	assert_true(f->nblocks < FAKE_BLOCKS);
	assert_true(!(align & (align - 1)));
	b = &f->blocks[f->nblocks++];
	b->va = aligned_alloc(align < 16 ? 16 : align, rounded < 16 ? 16 : rounded);
	memset(b->va, 0, rounded);
	f->next_da = (f->next_da + align - 1) & ~(uint64_t)(align - 1);
	b->da = f->next_da;
	b->len = len;
	f->next_da += rounded + 4096;
	assert_true(addr_bits >= 64 || f->next_da >> addr_bits == 0);
	f->live_dma += len;
	*out = (struct vio_dma){.va = b->va, .da = b->da, .len = len, .handle = b};
	return VIO_OK;
}

static void fake_note(struct fake *f, enum fake_act act, uint64_t val)
{
	if (f->nlog < FAKE_LOG)
		f->log[f->nlog++] = (struct fake_step){act, val};
}

static void fake_dma_free(void *os, struct vio_dma *dma)
{
	struct fake *f = os;

	for (unsigned i = 0; i < f->nblocks; i++) {
		if (f->blocks[i].va != dma->va)
			continue;
		assert_true(f->blocks[i].da == dma->da && f->blocks[i].len == dma->len);
		fake_note(f, ACT_DMA_FREE, dma->da);
		f->live_dma -= dma->len;
		free(dma->va);
		f->blocks[i] = f->blocks[--f->nblocks];
		return;
	}
	fail_msg("memory freed that nobody has");
}

static uint64_t fake_time(void *os)
{
	struct fake *f = os;

	f->clock_reads++;
	if (!f->clock_stuck)
		f->now++;
	return f->now;
}

static void fake_delay(void *os, uint32_t us)
{
	struct fake *f = os;

	assert_true(us <= 1000);
	f->delayed += us;
	if (!f->clock_stuck)
		f->now += us;
}

static void fake_lock(void *os)
{
	assert_int_equal(((struct fake *)os)->locked++, 0);
}

static void fake_unlock(void *os)
{
	assert_int_equal(--((struct fake *)os)->locked, 0);
}

static void fake_log(void *os, enum vio_log_level level, const char *what, uint64_t value)
{
	struct fake *f = os;

	(void)level;
	(void)value;
	assert_non_null(what);
	f->logs++;
}

static const struct vio_os_ops fake_os_ops = {
	.alloc = fake_alloc,
	.free = fake_free,
	.dma_alloc = fake_dma_alloc,
	.dma_free = fake_dma_free,
	.time_us = fake_time,
	.delay_us = fake_delay,
	.lock = fake_lock,
	.unlock = fake_unlock,
	.log = fake_log,
};

/* ---- transport ---- */

static struct fake *fake_of(struct vio_transport *t)
{
	return (struct fake *)(void *)t;
}

static uint8_t fake_status_read(struct vio_transport *t)
{
	struct fake *f = fake_of(t);

	if (f->is_gone)
		return 0xff;
	if (f->status == 0) {
		if (f->never_resets)
			return 0x0f;
		if (f->reset_reads) {
			f->reset_reads--;
			return 0x0f;
		}
	}
	return (uint8_t)(f->status | (f->needs_reset ? VIRTIO_STATUS_NEEDS_RESET : 0));
}

static void fake_status_write(struct vio_transport *t, uint8_t status)
{
	struct fake *f = fake_of(t);

	fake_note(f, ACT_STATUS, status);
	f->status = status;
	if (f->refuse_features)
		f->status &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
	if (status == 0)
		f->needs_reset = false;
}

static uint64_t fake_features_read(struct vio_transport *t)
{
	return fake_of(t)->offered;
}

static void fake_features_write(struct vio_transport *t, uint64_t features)
{
	fake_of(t)->accepted = features;
	fake_note(fake_of(t), ACT_FEATURES, features);
}

static int fake_config_read(struct vio_transport *t, uint32_t off, unsigned width, uint32_t *val)
{
	struct fake *f = fake_of(t);

	if (off > f->config_len || f->config_len - off < width)
		return VIO_EINVAL;
	*val = 0;
	for (unsigned i = 0; i < width; i++)
		*val |= (uint32_t)f->config[off + i] << 8 * i;
	f->config_reads++;
	if (f->gen_moves) {
		f->gen_moves--;
		f->gen++;
	}
	if (f->torn_reads) {
		f->torn_reads--;
		*val ^= f->config_reads;
	}
	return VIO_OK;
}

static int fake_config_write(struct vio_transport *t, uint32_t off, unsigned width, uint32_t val)
{
	(void)off;
	(void)width;
	fake_note(fake_of(t), ACT_CONFIG, val);
	return VIO_OK;
}

static uint8_t fake_generation(struct vio_transport *t)
{
	return fake_of(t)->gen;
}

static uint16_t fake_queue_size(struct vio_transport *t, uint16_t q)
{
	assert_true(q < VIO_MAX_QUEUES);
	return fake_of(t)->queue_size[q];
}

static int fake_queue_enable(struct vio_transport *t, uint16_t q,
			     const struct vio_queue_layout *layout, uint16_t vector)
{
	struct fake *f = fake_of(t);

	assert_true(q < VIO_MAX_QUEUES);
	f->layout[q] = *layout;
	f->vector[q] = vector;
	fake_note(f, ACT_ENABLE, q);
	return f->enable_err;
}

static int fake_config_vector(struct vio_transport *t, uint16_t vector)
{
	fake_note(fake_of(t), ACT_VECTOR, vector);
	return fake_of(t)->vector_err;
}

static void fake_notify(struct vio_transport *t, uint16_t q)
{
	fake_note(fake_of(t), ACT_NOTIFY, q);
}

static uint8_t fake_isr(struct vio_transport *t)
{
	struct fake *f = fake_of(t);
	uint8_t isr = f->isr;

	f->isr_reads++;
	f->isr = 0;
	return isr;
}

static bool fake_gone(struct vio_transport *t)
{
	return fake_of(t)->is_gone;
}

static const struct vio_transport_ops fake_ops = {
	.name = "fake",
	.status_read = fake_status_read,
	.status_write = fake_status_write,
	.features_read = fake_features_read,
	.features_write = fake_features_write,
	.config_read = fake_config_read,
	.config_write = fake_config_write,
	.generation = fake_generation,
	.queue_size = fake_queue_size,
	.queue_enable = fake_queue_enable,
	.config_vector = fake_config_vector,
	.notify = fake_notify,
	.isr = fake_isr,
	.gone = fake_gone,
};

void fake_init(struct fake *f, bool legacy)
{
	*f = (struct fake){
		.t = {.ops = &fake_ops,
		      .legacy = legacy,
		      .has_generation = !legacy,
		      .dma_bits = legacy ? 44 : 64},
		.os = {.ops = &fake_os_ops, .ctx = f},
		.next_da = FAKE_DA,
		.offered = legacy ? 0 : VIRTIO_BIT(VIRTIO_F_VERSION_1),
		.config_len = 24,
	};
	for (unsigned q = 0; q < 3; q++)
		f->queue_size[q] = 256;
}

bool fake_fini(struct fake *f)
{
	bool clean = f->live == 0 && f->live_dma == 0;

	for (unsigned i = 0; i < f->nblocks; i++)
		free(f->blocks[i].va);
	f->nblocks = 0;
	return clean;
}

void *fake_mem(const struct fake *f, uint64_t da, size_t len)
{
	for (unsigned i = 0; i < f->nblocks; i++) {
		const struct fake_block *b = &f->blocks[i];

		if (da >= b->da && da - b->da <= b->len && b->len - (da - b->da) >= len)
			return (uint8_t *)b->va + (da - b->da);
	}
	return NULL;
}

uint64_t fake_nth(const struct fake *f, enum fake_act act, unsigned n)
{
	for (unsigned i = 0; i < f->nlog; i++) {
		if (f->log[i].act == act && n-- == 0)
			return f->log[i].val;
	}
	return UINT64_MAX;
}

unsigned fake_count(const struct fake *f, enum fake_act act)
{
	unsigned n = 0;

	for (unsigned i = 0; i < f->nlog; i++)
		n += f->log[i].act == act;
	return n;
}

/* ---- device's side of a ring ---- */

void dring_init(struct dring *d, const struct fake *f, const struct vio_ring *r, bool event_idx)
{
	struct vio_queue_layout l;

	vio_ring_layout(r, &l);
	*d = (struct dring){.f = f, .size = l.size, .event_idx = event_idx};
	d->desc = fake_mem(f, l.desc, VRING_DESC_BYTES(l.size));
	d->avail = fake_mem(f, l.driver, VRING_AVAIL_BYTES(l.size));
	d->used = fake_mem(f, l.device, VRING_USED_BYTES(l.size));
	assert_non_null(d->desc);
	assert_non_null(d->avail);
	assert_non_null(d->used);
	/* SQ-1 */
	assert_int_equal(l.desc % VRING_DESC_ALIGN, 0);
	assert_int_equal(l.driver % VRING_AVAIL_ALIGN, 0);
	assert_int_equal(l.device % VRING_USED_ALIGN, 0);
	if (event_idx)
		dring_notify_at(d, 0);
}

uint16_t dring_available(const struct dring *d)
{
	return (uint16_t)(dget16(&d->avail->idx) - d->seen);
}

static void dring_add(struct dchain *c, const struct vring_desc *desc)
{
	assert_int_equal(desc->flags.raw & ~(VRING_DESC_F_NEXT | VRING_DESC_F_WRITE), 0);
	assert_true(desc->len.raw > 0);
	if (desc->flags.raw & VRING_DESC_F_WRITE) {
		assert_true(c->nin < COUNT(c->in));
		c->in[c->nin].addr = desc->addr.raw;
		c->in[c->nin++].len = desc->len.raw;
		c->in_len += desc->len.raw;
	} else {
		assert_int_equal(c->nin, 0); /* SQ-2 */
		assert_true(c->nout < COUNT(c->out));
		c->out[c->nout].addr = desc->addr.raw;
		c->out[c->nout++].len = desc->len.raw;
	}
}

bool dring_take(struct dring *d, struct dchain *c)
{
	const struct vring_desc *table = d->desc, *desc;
	unsigned limit = d->size, at;

	c->nout = c->nin = 0;
	c->in_len = 0;
	c->indirect = false;
	if (dring_available(d) == 0)
		return false;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	assert_true(dring_available(d) <= d->size);
	c->head = dget16(&d->avail->ring[d->seen++ % d->size]);
	assert_true(c->head < d->size);
	at = c->head;
	desc = &table[at];
	if (desc->flags.raw & VRING_DESC_F_INDIRECT) {
		uint32_t n = desc->len.raw / (uint32_t)sizeof(*desc);

		assert_int_equal(desc->flags.raw, VRING_DESC_F_INDIRECT); /* SQ-9 */
		assert_int_equal(desc->len.raw % sizeof(*desc), 0);
		assert_in_range(n, 1, d->size); /* SQ-8 */
		table = fake_mem(d->f, desc->addr.raw, desc->len.raw);
		assert_non_null(table);
		c->indirect = true;
		limit = n;
		at = 0;
	}
	for (unsigned n = 0;; n++) {
		assert_true(n < limit); /* SQ-4 */
		assert_true(at < limit);
		desc = &table[at];
		dring_add(c, desc);
		if (!(desc->flags.raw & VRING_DESC_F_NEXT))
			break;
		at = desc->next.raw;
	}
	return true;
}

bool dring_wants_irq(const struct dring *d, uint16_t old, uint16_t now)
{
	uint16_t event = dget16(&d->avail->ring[d->size]);

	if (d->event_idx)
		return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
	return !(dget16(&d->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
}

bool dring_give(struct dring *d, uint32_t id, uint32_t len)
{
	struct vring_used_elem *e = &d->used->ring[d->used_idx % d->size];

	e->id.raw = id;
	e->len.raw = len;
	__atomic_store_n(&d->used->idx.raw, ++d->used_idx, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return dring_wants_irq(d, (uint16_t)(d->used_idx - 1), d->used_idx);
}

void dring_notify_at(struct dring *d, uint16_t event)
{
	vio16 *p = (vio16 *)(void *)&d->used->ring[d->size];

	__atomic_store_n(&p->raw, event, __ATOMIC_RELAXED);
}

void dring_notify(struct dring *d, bool on)
{
	__atomic_store_n(&d->used->flags.raw, on ? 0 : VRING_USED_F_NO_NOTIFY, __ATOMIC_RELAXED);
}
