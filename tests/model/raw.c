/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "common/cksum.h"
#include "tests/model/raw.h"
#include "wire/net.h"

#define REGION 0x1000u /* the model's regions in its modern BAR: common, isr, device, notify */

static void *on_mem(void *ctx, uint64_t addr, size_t len)
{
	struct raw *r = ctx;

	if (addr < RAW_BASE || addr - RAW_BASE > RAW_MEM || RAW_MEM - (addr - RAW_BASE) < len)
		return NULL;
	return r->mem + (addr - RAW_BASE);
}

static void on_irq(void *ctx, unsigned vector)
{
	struct raw *r = ctx;

	r->irqs[vector % 16]++;
}

static void on_intx(void *ctx, bool level)
{
	struct raw *r = ctx;

	r->intx = level;
}

static void on_tx(void *ctx, const struct model_frame *f)
{
	struct raw *r = ctx;

	r->nframes++;
	r->hdr = f->hdr;
	r->frame_len = f->len;
	if (f->data)
		memcpy(r->frame, f->data, f->len);
}

static void on_complaint(void *ctx, const char *norm, const char *detail)
{
	struct raw *r = ctx;

	snprintf(r->complaint, sizeof(r->complaint), "%s: %s", norm, detail);
	r->complaints++;
}

void raw_options(struct model_options *o)
{
	model_defaults(o);
	for (unsigned i = 0; i < MODEL_QUEUES; i++)
		o->queue_size[i] = RAW_SIZE;
	o->immediate = true;
}

struct raw *raw_open(const struct model_options *o)
{
	struct raw *r = calloc(1, sizeof(*r));
	struct model_hooks hooks = {
		.ctx = r,
		.mem = on_mem,
		.irq = on_irq,
		.intx = on_intx,
		.tx = on_tx,
		.complaint = on_complaint,
	};

	assert_non_null(r);
	r->mem = aligned_alloc(4096, RAW_MEM);
	assert_non_null(r->mem);
	memset(r->mem, 0, RAW_MEM);
	r->m = model_create(o, &hooks);
	assert_non_null(r->m);
	r->legacy = o->interface == MODEL_LEGACY;
	model_cfg_write(r->m, PCI_COMMAND, 2,
			PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	return r;
}

void raw_close(struct raw *r)
{
	model_destroy(r->m);
	free(r->mem);
	free(r);
}

uint32_t raw_rd(struct raw *r, unsigned off, unsigned width)
{
	return model_bar_read(r->m, r->legacy ? 0 : 4, off, width);
}

void raw_wr(struct raw *r, unsigned off, unsigned width, uint32_t val)
{
	model_bar_write(r->m, r->legacy ? 0 : 4, off, width, val);
}

void raw_status(struct raw *r, uint8_t status)
{
	unsigned off = r->legacy ? VIRTIO_PCI_LEGACY_STATUS : COMMON(device_status);

	raw_wr(r, off, 1, status);
}

void *raw_alloc(struct raw *r, size_t n, size_t align)
{
	r->top = (r->top + align - 1) & ~(align - 1);
	assert_true(r->top + n <= RAW_MEM);
	r->top += n;
	return r->mem + r->top - n;
}

uint64_t raw_da(struct raw *r, const void *p)
{
	return RAW_BASE + (uint64_t)((const uint8_t *)p - r->mem);
}

void raw_negotiate(struct raw *r, uint64_t features)
{
	r->features = features;
	raw_status(r, 0);
	assert_int_equal(raw_rd(r, COMMON(device_status), 1), 0);
	raw_status(r, 1);
	raw_status(r, 3);
	for (unsigned half = 0; half < 2; half++) {
		raw_wr(r, COMMON(driver_feature_select), 4, half);
		raw_wr(r, COMMON(driver_feature), 4, (uint32_t)(features >> (32 * half)));
	}
	raw_status(r, 11);
}

static void queue_memory(struct raw *r, unsigned q)
{
	struct raw_queue *rq = &r->q[q];
	size_t used =
		(VRING_DESC_BYTES(RAW_SIZE) + VRING_AVAIL_BYTES(RAW_SIZE) + 4095) & ~(size_t)4095;
	uint8_t *p = raw_alloc(r, used + VRING_USED_BYTES(RAW_SIZE), 4096);

	*rq = (struct raw_queue){.size = RAW_SIZE};
	rq->desc = (void *)p;
	rq->avail = (void *)(p + VRING_DESC_BYTES(RAW_SIZE));
	rq->used = (void *)(p + used);
}

void raw_queue_up(struct raw *r, unsigned q)
{
	struct raw_queue *rq = &r->q[q];
	uint64_t at[3];

	queue_memory(r, q);
	at[0] = raw_da(r, rq->desc);
	at[1] = raw_da(r, rq->avail);
	at[2] = raw_da(r, rq->used);
	raw_wr(r, COMMON(queue_select), 2, q);
	raw_wr(r, COMMON(queue_size), 2, RAW_SIZE);
	raw_wr(r, COMMON(queue_msix_vector), 2, q + 1);
	assert_int_equal(raw_rd(r, COMMON(queue_msix_vector), 2), q + 1);
	for (unsigned i = 0; i < 3; i++) {
		raw_wr(r, COMMON(queue_desc_lo) + 8 * i, 4, (uint32_t)at[i]);
		raw_wr(r, COMMON(queue_desc_hi) + 8 * i, 4, (uint32_t)(at[i] >> 32));
	}
	raw_wr(r, COMMON(queue_enable), 2, 1);
}

static void msix_on(struct raw *r)
{
	unsigned cap = model_cfg_read(r->m, PCI_CAP_PTR, 1);

	while (cap && model_cfg_read(r->m, cap, 1) != PCI_CAP_ID_MSIX)
		cap = model_cfg_read(r->m, cap + 1, 1);
	assert_int_not_equal(cap, 0);
	for (unsigned i = 0; i < 4; i++)
		model_bar_write(r->m, 1, i * 16 + 12, 4, 0);
	model_cfg_write(r->m, cap + 2, 2, PCI_MSIX_CONTROL_ON);
}

void raw_start(struct raw *r, uint64_t features)
{
	msix_on(r);
	raw_negotiate(r, features);
	assert_int_equal(raw_rd(r, COMMON(device_status), 1), 11);
	raw_wr(r, COMMON(config_msix_vector), 2, 0);
	assert_int_equal(raw_rd(r, COMMON(config_msix_vector), 2), 0);
	for (unsigned q = 0; q < (features & NETBIT(CTRL_VQ) ? 3u : 2u); q++)
		raw_queue_up(r, q);
	raw_status(r, 15);
}

void raw_start_legacy(struct raw *r, uint64_t features)
{
	r->legacy = true;
	r->features = features;
	raw_status(r, 0);
	assert_int_equal(raw_rd(r, VIRTIO_PCI_LEGACY_STATUS, 1), 0);
	raw_status(r, 1);
	raw_status(r, 3);
	raw_wr(r, VIRTIO_PCI_LEGACY_DRIVER_FEATURES, 4, (uint32_t)features);
	for (unsigned q = 0; q < (features & NETBIT(CTRL_VQ) ? 3u : 2u); q++) {
		queue_memory(r, q);
		raw_wr(r, VIRTIO_PCI_LEGACY_QUEUE_SELECT, 2, q);
		assert_int_equal(raw_rd(r, VIRTIO_PCI_LEGACY_QUEUE_SIZE, 2), RAW_SIZE);
		raw_wr(r, VIRTIO_PCI_LEGACY_QUEUE_PFN, 4,
		       (uint32_t)(raw_da(r, r->q[q].desc) >> VIRTIO_PCI_LEGACY_PFN_SHIFT));
	}
	raw_status(r, 7);
}

static void fill(struct raw *r, struct vring_desc *d, const struct raw_seg *s, uint16_t next,
		 bool more)
{
	d->addr.raw = endian_le64(raw_da(r, s->p));
	d->len.raw = endian_le32(s->len);
	d->flags.raw = endian_le16(
		(uint16_t)((s->write ? VRING_DESC_F_WRITE : 0) | (more ? VRING_DESC_F_NEXT : 0)));
	d->next.raw = endian_le16(next);
}

uint16_t raw_chain(struct raw *r, unsigned q, const struct raw_seg *segs, unsigned n)
{
	struct raw_queue *rq = &r->q[q];
	uint16_t head = rq->next;

	for (unsigned i = 0; i < n; i++) {
		uint16_t at = rq->next;

		rq->next = (uint16_t)((at + 1) % rq->size);
		fill(r, &rq->desc[at], &segs[i], rq->next, i + 1 < n);
	}
	return head;
}

uint16_t raw_indirect(struct raw *r, unsigned q, const struct raw_seg *segs, unsigned n)
{
	struct vring_desc *table = raw_alloc(r, n * sizeof(*table), 16);
	struct raw_seg one = {table, (uint32_t)(n * sizeof(*table)), false};
	uint16_t head;

	for (unsigned i = 0; i < n; i++)
		fill(r, &table[i], &segs[i], (uint16_t)(i + 1), i + 1 < n);
	head = raw_chain(r, q, &one, 1);
	r->q[q].desc[head].flags.raw = endian_le16(VRING_DESC_F_INDIRECT);
	return head;
}

void raw_avail(struct raw *r, unsigned q, uint16_t head)
{
	struct raw_queue *rq = &r->q[q];

	rq->avail->ring[rq->idx % rq->size].raw = endian_le16(head);
	rq->idx++;
	__atomic_store_n(&rq->avail->idx.raw, endian_le16(rq->idx), __ATOMIC_RELEASE);
}

void raw_notify(struct raw *r, unsigned q)
{
	if (r->legacy)
		raw_wr(r, VIRTIO_PCI_LEGACY_QUEUE_NOTIFY, 2, q);
	else
		model_bar_write(r->m, 4, 3 * REGION + 4 * q, 2, q);
}

/* One entry was published: does the device want to be told (2.7.10)? */
static bool wanted(const struct raw *r, const struct raw_queue *rq)
{
	const vio16 *event = (const vio16 *)(const void *)&rq->used->ring[rq->size];

	if (r->features >> VIRTIO_F_EVENT_IDX & 1)
		return (uint16_t)(rq->idx - 1) == endian_le16(event->raw);
	return !(endian_le16(rq->used->flags.raw) & VRING_USED_F_NO_NOTIFY);
}

void raw_post(struct raw *r, unsigned q, const struct raw_seg *segs, unsigned n)
{
	raw_avail(r, q, raw_chain(r, q, segs, n));
	if (wanted(r, &r->q[q]))
		raw_notify(r, q);
}

bool raw_used(struct raw *r, unsigned q, uint32_t *id, uint32_t *len)
{
	struct raw_queue *rq = &r->q[q];
	struct vring_used_elem e;

	if (rq->seen == endian_le16(rq->used->idx.raw))
		return false;
	e = rq->used->ring[rq->seen++ % rq->size];
	*id = endian_le32(e.id.raw);
	*len = endian_le32(e.len.raw);
	return true;
}

void raw_send(struct raw *r, const struct virtio_net_hdr *hdr, const void *frame, uint32_t len)
{
	uint8_t *h = raw_alloc(r, 12, 2), *f = raw_alloc(r, len, 2);
	bool small = r->legacy && !(r->features & NETBIT(MRG_RXBUF));
	struct raw_seg segs[2] = {{h, small ? 10 : 12, false}, {f, len, false}};

	memcpy(h, hdr, 12);
	memcpy(f, frame, len);
	raw_post(r, 1, segs, 2);
}

uint8_t raw_ctrl(struct raw *r, uint8_t class_, uint8_t command, const void *data, uint32_t len)
{
	uint8_t *h = raw_alloc(r, 2, 2), *d = raw_alloc(r, len + 1, 2), *ack = raw_alloc(r, 1, 1);
	struct raw_seg segs[3] = {{h, 2, false}, {d, len, false}, {ack, 1, true}};
	uint32_t id, n;

	h[0] = class_;
	h[1] = command;
	*ack = 0xee;
	if (len)
		memcpy(d, data, len);
	else
		segs[1] = segs[2];
	raw_post(r, 2, segs, len ? 3 : 2);
	while (raw_used(r, 2, &id, &n))
		;
	return *ack;
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void ethernet_ip(uint8_t *buf, uint8_t proto, uint32_t l4_len)
{
	static const uint8_t mac[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};
	static const uint8_t addrs[8] = {192, 0, 2, 1, 192, 0, 2, 2};

	memset(buf, 0, 34);
	memcpy(buf, mac, 6);
	memcpy(buf + 6, mac, 6);
	put16(buf + 12, ETH_TYPE_IPV4);
	buf[14] = 0x45;
	put16(buf + 16, 20 + l4_len);
	buf[22] = 64;
	buf[23] = proto;
	memcpy(buf + 26, addrs, 8);
	put16(buf + 24, cksum_finish(cksum_add(0, buf + 14, 20)));
}

uint32_t raw_udp(uint8_t *buf, uint32_t n)
{
	uint32_t sum;

	ethernet_ip(buf, IP_PROTO_UDP, n + 8);
	memset(buf + 34, 0, 8);
	put16(buf + 34, 4000);
	put16(buf + 36, 5000);
	put16(buf + 38, n + 8);
	for (uint32_t i = 0; i < n; i++)
		buf[42 + i] = (uint8_t)(i * 7);
	sum = cksum_pseudo4(buf + 26, buf + 30, IP_PROTO_UDP, n + 8);
	put16(buf + 40, cksum_finish(cksum_add(sum, buf + 34, n + 8)));
	return n + 42;
}

uint32_t raw_tcp(uint8_t *buf, uint32_t n, bool partial)
{
	uint32_t sum;

	ethernet_ip(buf, IP_PROTO_TCP, n + 20);
	memset(buf + 34, 0, 20);
	put16(buf + 34, 4000);
	put16(buf + 36, 5000);
	buf[46] = 5 << 4;
	buf[47] = TCP_FLAG_ACK | TCP_FLAG_PSH;
	for (uint32_t i = 0; i < n; i++)
		buf[54 + i] = (uint8_t)(i * 13);
	sum = cksum_pseudo4(buf + 26, buf + 30, IP_PROTO_TCP, n + 20);
	put16(buf + 50, partial ? cksum_fold(sum) : cksum_finish(cksum_add(sum, buf + 34, n + 20)));
	return n + 54;
}
