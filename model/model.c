/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Life of the device: options, status, features, reset, configuration contents.
 *
 * The device is a state that register accesses (pci.c and its two register files) and model_poll
 * move. Both interfaces of a transitional device end in the same functions here; `legacy` says
 * which one the driver uses, from the first status write after a reset on.
 *
 * Reset is where a device lets go of memory. Written 0, the status register goes on to read
 * nonzero for options.reset_reads reads (or as long as the hostile mode likes); until it reads 0
 * all queues stay live, so that a driver which takes its buffers back too early is seen (CL-2).
 */
#include <stdlib.h>
#include <string.h>

#include "model/internal.h"

#define BIT(f) VIRTIO_BIT(VIRTIO_NET_F_##f)

uint64_t model_features_default(void)
{
	return BIT(CSUM) | BIT(GUEST_CSUM) | BIT(CTRL_GUEST_OFFLOADS) | BIT(MTU) | BIT(MAC) |
	       BIT(GUEST_TSO4) | BIT(GUEST_TSO6) | BIT(GUEST_ECN) | BIT(HOST_TSO4) |
	       BIT(HOST_TSO6) | BIT(HOST_ECN) | BIT(MRG_RXBUF) | BIT(STATUS) | BIT(CTRL_VQ) |
	       BIT(CTRL_RX) | BIT(CTRL_VLAN) | BIT(GUEST_ANNOUNCE) | BIT(CTRL_MAC_ADDR) |
	       BIT(SPEED_DUPLEX) | VIRTIO_BIT(VIRTIO_F_NOTIFY_ON_EMPTY) |
	       VIRTIO_BIT(VIRTIO_F_ANY_LAYOUT) | VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) |
	       VIRTIO_BIT(VIRTIO_F_EVENT_IDX) | VIRTIO_BIT(VIRTIO_F_VERSION_1);
}

uint64_t model_features_known(void)
{
	return model_features_default() | BIT(GSO) | BIT(HOST_USO) | BIT(GUEST_USO4) |
	       BIT(GUEST_USO6) | BIT(GUEST_HDRLEN) | BIT(CTRL_RX_EXTRA) |
	       VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM) | VIRTIO_BIT(VIRTIO_F_ORDER_PLATFORM) |
	       VIRTIO_BIT(VIRTIO_F_RING_RESET) | VIRTIO_BIT(VIRTIO_F_NOTIFICATION_DATA);
}

void model_defaults(struct model_options *o)
{
	static const uint8_t mac[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};

	memset(o, 0, sizeof(*o));
	o->interface = MODEL_TRANSITIONAL;
	o->features = model_features_default();
	memcpy(o->mac, mac, 6);
	o->mtu = 1500;
	o->speed = 10000;
	o->duplex = VIRTIO_NET_DUPLEX_FULL;
	o->queue_size[VIRTIO_NET_QUEUE_RX] = 256;
	o->queue_size[VIRTIO_NET_QUEUE_TX] = 256;
	o->queue_size[VIRTIO_NET_QUEUE_CTRL] = 64;
	o->msix_entries = 4;
	o->layout.bar = 4;
	o->layout.notify_bar = 4;
	o->layout.msix_bar = 1;
	o->layout.notify_multiplier = 4;
	o->gather = true;
	o->monitor = true;
}

static bool options_sane(const struct model_options *o)
{
	for (unsigned i = 0; i < MODEL_QUEUES; i++) {
		uint16_t n = o->queue_size[i];

		if (n > VIRTIO_QUEUE_SIZE_MAX || (n & (n - 1)) != 0)
			return false;
	}
	if (o->num_queues > MODEL_QUEUES || o->msix_entries > 2048 || o->config_len > 64)
		return false;
	return true;
}

/* What the driver reads from device configuration, rebuilt whenever a field changes. */
void model_config_build(struct model *m)
{
	struct virtio_net_config c = {0};
	unsigned len = m->opt.config_len ? m->opt.config_len : (unsigned)sizeof(c);
	uint16_t status = 0;

	if (m->link_up)
		status |= VIRTIO_NET_S_LINK_UP;
	if (m->net.announce_pending)
		status |= VIRTIO_NET_S_ANNOUNCE;
	memcpy(c.mac, m->net.mac, 6);
	/* Legacy configuration is guest-endian (LG-16); this stays right on either. */
	c.status = m->legacy ? ((le16){status}) : le16_make(status);
	c.max_virtqueue_pairs = m->legacy ? ((le16){1}) : le16_make(1);
	c.mtu = m->legacy ? ((le16){m->opt.mtu}) : le16_make(m->opt.mtu);
	c.speed = m->legacy ? ((le32){m->speed}) : le32_make(m->speed);
	c.duplex = m->duplex;
	memset(m->config, 0xa5, sizeof(m->config)); /* fields of a later version */
	memcpy(m->config, &c, sizeof(c));
	if (len < sizeof(m->config))
		memset(m->config + len, 0, sizeof(m->config) - len);
}

static void reset_now(struct model *m)
{
	for (unsigned i = 0; i < MODEL_QUEUES; i++) {
		struct model_queue *q = &m->q[i];

		if (m->mon && q->enabled && q->posted)
			norm_ok(m, NORM_CL_2);
		model_watch_clear(m, q);
		model_ring_stop(q);
		q->size = q->max_size;
		q->vector = VIRTIO_MSI_NO_VECTOR;
		q->pfn = 0;
		memset(q->addr, 0, sizeof(q->addr));
		q->was_reset = false;
	}
	m->status = 0;
	m->accepted = 0;
	m->driver_features = 0;
	m->device_feature_select = m->driver_feature_select = 0;
	m->config_vector = VIRTIO_MSI_NO_VECTOR;
	m->queue_select = 0;
	m->running = false;
	m->broken = NULL;
	m->isr = 0;
	m->line_shared = false;
	m->reset_reads = 0;
	m->hostile.reset_stuck = false;
	m->hostile.storm = 0;
	memcpy(m->net.mac, m->opt.mac, 6);
	m->net.announce_pending = false;
	model_ctrl_reset(m);
	model_intx_update(m);
	model_config_build(m);
	m->net.resets++;
}

static void reset_written(struct model *m)
{
	if (m->mon) {
		if (m->watch.failed) {
			norm_ok(m, NORM_ST_3);
			norm_ok(m, NORM_IN_6);
		}
		model_watch_reset(m);
		memset(&m->watch, 0, sizeof(m->watch));
		m->watch.reset_wanted = true;
		m->watch.reset_written = true;
	}
	m->running = false;
	if (m->hostile.reset_stuck)
		return;
	if (m->hostile.rate && m->status && model_mut(m, MODEL_MUT_RESET)) {
		m->hostile.reset_stuck = true;
		m->hostile.reset_until = model_mut_random(m, 4) ? 1 + model_mut_random(m, 2000) : 0;
		model_mut_note(m, MODEL_MUT_RESET, 0, m->status, m->hostile.reset_until);
		return;
	}
	if (m->opt.reset_reads && m->status) {
		m->reset_reads = m->opt.reset_reads;
		return;
	}
	reset_now(m);
}

uint8_t model_status_read(struct model *m)
{
	uint8_t val;

	if (m->hostile.reset_stuck) {
		if (m->hostile.reset_until && --m->hostile.reset_until == 0)
			reset_now(m);
		else
			return (uint8_t)(model_lie(m, MODEL_MUT_STATUS, 20, m->status, 1) | 1);
	}
	if (m->reset_reads && --m->reset_reads)
		return m->status;
	if (m->watch.reset_wanted && m->status)
		reset_now(m);
	val = m->status;
	if (m->mon) {
		if (val == 0 && m->watch.reset_wanted) {
			m->watch.reset_wanted = false;
			norm_ok(m, NORM_RS_1);
			if (!m->legacy)
				norm_ok(m, NORM_PM_5);
		}
		if (val & VIRTIO_STATUS_FEATURES_OK || m->watch.refused)
			m->watch.features_ok_read = true;
	}
	return (uint8_t)model_lie(m, MODEL_MUT_STATUS, 20, val, 1);
}

static void ready(struct model *m)
{
	m->hdr_len = m->legacy && !model_has(m, VIRTIO_NET_F_MRG_RXBUF) ? VIRTIO_NET_HDR_LEN_LEGACY
									: VIRTIO_NET_HDR_LEN;
	m->net.guest_offloads = m->accepted;
	m->running = m->broken == NULL;
	if (m->mon)
		model_watch_ready(m);
	model_config_build(m);
}

void model_status_write(struct model *m, uint8_t status, bool legacy)
{
	uint8_t was = m->status;
	uint8_t added;

	m->legacy = legacy;
	if (status == 0) {
		reset_written(m);
		return;
	}
	if (m->mon)
		model_watch_status(m, was, status);
	if (m->hostile.reset_stuck || m->reset_reads)
		return; /* not over yet: nobody listens */
	added = (uint8_t)(status & ~was);
	if (legacy)
		added &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
	/* Bits are the driver's except NEEDS_RESET; cleared ones stay (ST-2). */
	m->status |= (uint8_t)(added & ~VIRTIO_STATUS_NEEDS_RESET);
	if (added & VIRTIO_STATUS_FEATURES_OK) {
		bool good = (m->driver_features & ~model_offered(m)) == 0 &&
			    m->driver_features & VIRTIO_BIT(VIRTIO_F_VERSION_1) &&
			    !m->opt.refuse_features;

		m->accepted = m->driver_features & model_offered(m);
		if (m->mon)
			model_watch_features(m);
		if (!good) {
			m->status &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
			m->watch.refused = true;
		}
	}
	if (added & VIRTIO_STATUS_DRIVER_OK) {
		if (legacy && m->mon)
			model_watch_features(m);
		ready(m);
	}
	if (added & VIRTIO_STATUS_FAILED)
		m->running = false;
}

/* What is offered depends on the interface: bits above 31 are modern, three others legacy only. */
uint64_t model_offered(const struct model *m)
{
	if (m->legacy)
		return m->opt.features & 0xffffffff;
	return m->opt.features &
	       ~(BIT(GSO) | VIRTIO_BIT(VIRTIO_F_NOTIFY_ON_EMPTY) | VIRTIO_BIT(VIRTIO_F_ANY_LAYOUT));
}

uint32_t model_features_half(struct model *m, unsigned half)
{
	uint32_t val = half < 2 ? (uint32_t)(model_offered(m) >> (32 * half)) : 0;

	return model_lie(m, MODEL_MUT_FEATURES, half, val, 4);
}

void model_features_write(struct model *m, unsigned half, uint32_t val)
{
	if (half > 1) {
		if (m->mon && val)
			norm_broken(m, NORM_FB_4, "bits above 63");
		return;
	}
	m->watch.features_written[half] = true;
	if (m->mon && m->status & (VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK)) {
		norm_broken(m, NORM_IN_3, "driver_feature written after features were settled");
		return;
	}
	m->driver_features &= ~(UINT64_C(0xffffffff) << (32 * half));
	m->driver_features |= (uint64_t)val << (32 * half);
	if (m->legacy)
		m->accepted = m->driver_features & model_offered(m);
}

void *model_mem(struct model *m, uint64_t addr, uint64_t len)
{
	void *p = len <= SIZE_MAX && addr + len >= addr
			  ? m->hook.mem(m->hook.ctx, addr, (size_t)len)
			  : NULL;

	if (p == NULL) {
		m->net.dma_faults++;
		if (m->mon)
			norm_broken(m, NORM_RF_4, "address is not memory given to the device");
	} else if (m->mon) {
		norm_ok(m, NORM_RF_4);
		if (model_has(m, VIRTIO_F_ACCESS_PLATFORM))
			norm_ok(m, NORM_RF_3);
	}
	return p;
}

/* The driver did what no device can go on from: ask to be reset (2.1.2). */
void model_break(struct model *m, const char *why)
{
	if (m->broken)
		return;
	m->broken = why;
	m->running = false;
	model_needs_reset(m);
}

void model_needs_reset(struct model *m)
{
	m->running = false;
	if (m->legacy || !(m->status & VIRTIO_STATUS_DRIVER_OK))
		return;
	m->status |= VIRTIO_STATUS_NEEDS_RESET;
	model_config_changed(m);
}

void model_config_changed(struct model *m)
{
	m->generation++;
	model_config_build(m);
	if (m->status & VIRTIO_STATUS_DRIVER_OK)
		model_irq_config(m);
}

void model_link(struct model *m, bool up)
{
	m->link_up = up;
	model_config_changed(m);
}

void model_speed(struct model *m, uint32_t speed, uint8_t duplex)
{
	m->speed = speed;
	m->duplex = duplex;
	if (model_has(m, VIRTIO_NET_F_SPEED_DUPLEX))
		m->watch.speed_change = true;
	model_config_changed(m);
}

void model_announce(struct model *m)
{
	m->net.announce_pending = true;
	model_config_changed(m);
}

void model_interrupt(struct model *m, unsigned queue)
{
	m->watch.spurious = true;
	if (queue < MODEL_QUEUES)
		model_irq_queue(m, &m->q[queue]);
	else
		model_irq_config(m);
}

void model_hold(struct model *m, unsigned queue, bool hold)
{
	m->q[queue].held = hold;
	if (!hold && m->opt.immediate)
		model_poll(m);
}

void model_quiet(struct model *m, unsigned queue, bool quiet)
{
	struct model_queue *q = &m->q[queue];

	q->quiet = quiet;
	if (q->enabled)
		model_ring_want(m, q, !quiet);
}

bool model_poll(struct model *m)
{
	bool worked = false;

	m->polls++;
	if (m->hostile.rate)
		model_hostile_poll(m);
	if (!m->running)
		return false;
	if (m->opt.odd.config_storm)
		model_config_changed(m);
	if (m->opt.odd.shared_isr && m->polls % 8 == 0) {
		m->line_shared = true;
		model_intx_update(m);
	}
	for (unsigned i = 0; i < MODEL_QUEUES; i++) {
		struct model_queue *q = &m->q[i];

		if (!q->enabled)
			continue;
		if (m->mon) {
			model_watch_posted(m, q);
			model_watch_polled(m, q);
		}
		if (i != VIRTIO_NET_QUEUE_RX && !q->held && m->running)
			worked |= model_net_process(m, q);
	}
	return worked;
}

struct model *model_create(const struct model_options *options, const struct model_hooks *hooks)
{
	struct model *m;
	unsigned entries = options->msix_entries;

	if (!options_sane(options) || hooks->mem == NULL)
		return NULL;
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return NULL;
	m->opt = *options;
	m->hook = *hooks;
	m->mon = options->monitor;
	m->num_queues = options->num_queues;
	if (m->num_queues == 0)
		m->num_queues = options->features & BIT(CTRL_VQ) ? 3 : 2;
	m->link_up = !options->link_down;
	m->speed = options->speed;
	m->duplex = options->duplex;
	m->legacy = options->interface == MODEL_LEGACY;
	m->gather = malloc(MODEL_FRAME_MAX + 64);
	m->scratch = malloc(MODEL_FRAME_MAX + 64);
	m->msix = calloc(entries + 1, sizeof(*m->msix));
	m->msix_pending = calloc(entries / 64 + 1, sizeof(*m->msix_pending));
	if (!m->gather || !m->scratch || !m->msix || !m->msix_pending || !model_layout_build(m)) {
		model_destroy(m);
		return NULL;
	}
	for (unsigned i = 0; i < entries; i++)
		m->msix[i][3] = 1; /* masked until the port says otherwise */
	for (unsigned i = 0; i < MODEL_QUEUES; i++) {
		m->q[i].index = (uint16_t)i;
		m->q[i].max_size = i < m->num_queues ? options->queue_size[i] : 0;
	}
	reset_now(m);
	m->net.resets = 0;
	return m;
}

void model_destroy(struct model *m)
{
	if (m == NULL)
		return;
	for (unsigned i = 0; i < MODEL_QUEUES; i++) {
		model_ring_stop(&m->q[i]);
		free(m->q[i].segs);
		free(m->q[i].posted);
		free(m->q[i].owner);
	}
	free(m->gather);
	free(m->scratch);
	free(m->msix);
	free(m->msix_pending);
	free(m);
}

void model_get(const struct model *m, struct model_state *out)
{
	*out = m->net;
	out->status = m->status;
	out->accepted = m->accepted;
	out->running = m->running;
	out->legacy = m->legacy;
	out->generation = m->generation;
	out->broken = m->broken;
	for (unsigned i = 0; i < MODEL_QUEUES; i++) {
		const struct model_queue *q = &m->q[i];
		struct model_queue_state *s = &out->q[i];

		*s = (struct model_queue_state){
			.enabled = q->enabled,
			.size = q->size,
			.vector = q->vector,
			.avail_idx = q->last_avail,
			.used_idx = q->used_idx,
			.notifies = q->notifies,
			.irqs = q->irqs,
			.chains = q->chains,
		};
		if (q->enabled)
			s->available = (uint16_t)(model_get16(m, q->avail->idx) - q->last_avail);
	}
}
