/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The 0.9.5 interface: one register block in I/O BAR 0 (4.1.4.10).
 *
 * Registers are little-endian as all of PCI's are, but device configuration behind them is in the
 * guest's order (LG-16). That configuration begins at 20, or at 24 while MSI-X is on: the enable
 * bit of that moment decides (LG-14), so a driver that remembers the offset is caught.
 */
#include <string.h>

#include "model/internal.h"

struct field {
	uint8_t off, width;
	bool writable;
};

static const struct field fields[] = {
	{VIRTIO_PCI_LEGACY_DEVICE_FEATURES, 4, false}, {VIRTIO_PCI_LEGACY_DRIVER_FEATURES, 4, true},
	{VIRTIO_PCI_LEGACY_QUEUE_PFN, 4, true},	       {VIRTIO_PCI_LEGACY_QUEUE_SIZE, 2, false},
	{VIRTIO_PCI_LEGACY_QUEUE_SELECT, 2, true},     {VIRTIO_PCI_LEGACY_QUEUE_NOTIFY, 2, true},
	{VIRTIO_PCI_LEGACY_STATUS, 1, true},	       {VIRTIO_PCI_LEGACY_ISR, 1, false},
	{VIRTIO_PCI_LEGACY_CONFIG_VECTOR, 2, true},    {VIRTIO_PCI_LEGACY_QUEUE_VECTOR, 2, true},
};

static const struct field *access(struct model *m, uint32_t off, unsigned width)
{
	for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const struct field *f = &fields[i];

		if (off < f->off || off - f->off >= f->width)
			continue;
		if (m->mon) {
			norm_ok(m, NORM_LG_13);
			if (f->off >= VIRTIO_PCI_LEGACY_CONFIG)
				norm_check(m, NORM_LG_14, off == f->off && width == f->width,
					   "configuration looked for at 20 while MSI-X is on");
			else
				model_watch_width(m, off, width, f->off, f->width);
		}
		return off == f->off ? f : NULL;
	}
	return NULL;
}

static struct model_queue *selected(struct model *m)
{
	if (m->queue_select >= m->num_queues || m->q[m->queue_select].max_size == 0)
		return NULL;
	return &m->q[m->queue_select];
}

static uint32_t config_base(const struct model *m)
{
	return model_msix_on(m) ? VIRTIO_PCI_LEGACY_CONFIG_MSIX : VIRTIO_PCI_LEGACY_CONFIG;
}

static uint32_t vector_read(struct model *m, bool queue)
{
	struct model_queue *q = selected(m);
	bool *written = queue ? (q ? &m->watch.queue_vector_written[q->index] : NULL)
			      : &m->watch.config_vector_written;

	if (written && *written && m->mon)
		norm_ok(m, NORM_PX_3);
	if (written)
		*written = false;
	if (!queue)
		return m->config_vector;
	return q ? q->vector : VIRTIO_MSI_NO_VECTOR;
}

static uint32_t value(struct model *m, uint32_t off)
{
	struct model_queue *q = selected(m);

	switch (off) {
	case VIRTIO_PCI_LEGACY_DEVICE_FEATURES:
		return model_features_half(m, 0);
	case VIRTIO_PCI_LEGACY_DRIVER_FEATURES:
		return (uint32_t)m->driver_features;
	case VIRTIO_PCI_LEGACY_QUEUE_PFN:
		return q ? q->pfn : 0;
	case VIRTIO_PCI_LEGACY_QUEUE_SIZE:
		return q ? q->max_size : 0;
	case VIRTIO_PCI_LEGACY_QUEUE_SELECT:
		return m->queue_select;
	case VIRTIO_PCI_LEGACY_STATUS:
		return model_status_read(m);
	case VIRTIO_PCI_LEGACY_ISR:
		return model_isr_read(m);
	case VIRTIO_PCI_LEGACY_CONFIG_VECTOR:
		return vector_read(m, false);
	case VIRTIO_PCI_LEGACY_QUEUE_VECTOR:
		return vector_read(m, true);
	default:
		return 0;
	}
}

uint32_t model_legacy_read(struct model *m, uint32_t off, unsigned width)
{
	const struct field *f;
	uint32_t val;

	m->legacy = true;
	if (off >= config_base(m)) {
		if (m->mon) {
			norm_ok(m, NORM_LG_14);
			if (off - config_base(m) == offsetof(struct virtio_net_config, status))
				norm_ok(m, NORM_LG_16);
		}
		return model_config_read(m, off - config_base(m), width);
	}
	f = access(m, off, width);
	if (f == NULL)
		return 0;
	val = value(m, off);
	if (off == VIRTIO_PCI_LEGACY_DEVICE_FEATURES || off == VIRTIO_PCI_LEGACY_STATUS ||
	    off == VIRTIO_PCI_LEGACY_ISR)
		return val; /* these lie by themselves */
	return model_lie(m, MODEL_MUT_COMMON, off, val, width);
}

static void config_write(struct model *m, uint32_t at, unsigned width, uint32_t val)
{
	if (m->mon && !(m->status & VIRTIO_STATUS_DRIVER))
		norm_broken(m, NORM_IN_2, "configuration written before DRIVER");
	/* The address is writable here, byte by byte; nothing else is. */
	for (unsigned i = 0; i < width && at + i < 6 && !model_has(m, VIRTIO_NET_F_CTRL_MAC_ADDR);
	     i++)
		m->net.mac[at + i] = (uint8_t)(val >> (8 * i));
	model_config_build(m);
}

static void pfn_write(struct model *m, uint32_t val)
{
	struct model_queue *q = selected(m);
	uint64_t base = (uint64_t)val << VIRTIO_PCI_LEGACY_PFN_SHIFT;
	uint64_t used_at;

	if (q == NULL)
		return;
	if (m->hostile.reset_stuck)
		return; /* a device that does not reset does not let go here either */
	q->pfn = val;
	model_watch_clear(m, q);
	model_ring_stop(q);
	if (val == 0)
		return;
	if (m->mon && m->watch.failed)
		norm_broken(m, NORM_IN_6, "queue set up after FAILED");
	/* 2.7.2: descriptors, available ring, padding to 4096, used ring. */
	q->size = q->max_size;
	q->addr[0] = base;
	q->addr[1] = base + VRING_DESC_BYTES(q->size);
	used_at = q->addr[1] + VRING_AVAIL_BYTES(q->size);
	q->addr[2] = (used_at + VRING_LEGACY_ALIGN - 1) & ~(uint64_t)(VRING_LEGACY_ALIGN - 1);
	if (m->mon) {
		void *all = m->hook.mem(m->hook.ctx, base,
					q->addr[2] - base + VRING_USED_BYTES(q->size));

		norm_check(m, NORM_LG_10, all != NULL, "no contiguous block of the formula's size");
		norm_check(m, NORM_LG_11, all != NULL, "page number names no memory");
		norm_ok(m, NORM_LG_9);
		norm_ok(m, NORM_LG_12);
	}
	if (!model_ring_start(m, q))
		model_break(m, "queue memory");
}

void model_legacy_write(struct model *m, uint32_t off, unsigned width, uint32_t val)
{
	struct model_queue *q = selected(m);
	const struct field *f;

	m->legacy = true;
	if (off >= config_base(m)) {
		config_write(m, off - config_base(m), width, val);
		return;
	}
	f = access(m, off, width);
	if (f == NULL)
		return;
	if (m->mon && off == VIRTIO_PCI_LEGACY_QUEUE_SIZE)
		norm_broken(m, NORM_LG_9, "queue size written");
	else if (m->mon)
		norm_check(m, NORM_PM_1, f->writable, "read-only register written");
	switch (off) {
	case VIRTIO_PCI_LEGACY_DRIVER_FEATURES:
		model_features_write(m, 0, val);
		break;
	case VIRTIO_PCI_LEGACY_QUEUE_PFN:
		pfn_write(m, val);
		break;
	case VIRTIO_PCI_LEGACY_QUEUE_SELECT:
		m->queue_select = (uint16_t)val;
		break;
	case VIRTIO_PCI_LEGACY_QUEUE_NOTIFY:
		if (m->mon) {
			norm_check(m, NORM_PN_1, width == 2, "width of a notification");
			norm_check(m, NORM_PN_3, val < m->num_queues, "no such queue");
		}
		if (val < m->num_queues)
			model_ring_notified(m, val);
		break;
	case VIRTIO_PCI_LEGACY_STATUS:
		model_status_write(m, (uint8_t)val, true);
		break;
	case VIRTIO_PCI_LEGACY_CONFIG_VECTOR:
		m->config_vector = model_vector_write(m, (uint16_t)val);
		m->watch.config_vector_written = val != VIRTIO_MSI_NO_VECTOR;
		break;
	case VIRTIO_PCI_LEGACY_QUEUE_VECTOR:
		if (q == NULL)
			break;
		q->vector = model_vector_write(m, (uint16_t)val);
		m->watch.queue_vector_written[q->index] = val != VIRTIO_MSI_NO_VECTOR;
		break;
	default:
		break;
	}
}
