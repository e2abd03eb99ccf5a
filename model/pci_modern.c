/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The common configuration structure and the device configuration (4.1.4.3, 4.1.4.6).
 *
 * Registers are a table of fields: where, how wide, whether a driver may write. An access that is
 * not exactly one field is answered as QEMU would, byte by byte where that means something, and
 * counted against PL-1.
 */
#include <string.h>

#include "model/internal.h"

#define OFF(f) ((uint32_t)offsetof(struct virtio_pci_common_cfg, f))

struct field {
	uint8_t off, width;
	bool writable, queue; /* queue: part of the set-up of the selected queue */
};

static const struct field fields[] = {
	{OFF(device_feature_select), 4, true, false},
	{OFF(device_feature), 4, false, false},
	{OFF(driver_feature_select), 4, true, false},
	{OFF(driver_feature), 4, true, false},
	{OFF(config_msix_vector), 2, true, false},
	{OFF(num_queues), 2, false, false},
	{OFF(device_status), 1, true, false},
	{OFF(config_generation), 1, false, false},
	{OFF(queue_select), 2, true, false},
	{OFF(queue_size), 2, true, true},
	{OFF(queue_msix_vector), 2, true, true},
	{OFF(queue_enable), 2, true, true},
	{OFF(queue_notify_off), 2, false, false},
	{OFF(queue_desc_lo), 4, true, true},
	{OFF(queue_desc_hi), 4, true, true},
	{OFF(queue_driver_lo), 4, true, true},
	{OFF(queue_driver_hi), 4, true, true},
	{OFF(queue_device_lo), 4, true, true},
	{OFF(queue_device_hi), 4, true, true},
	{OFF(queue_notif_config_data), 2, false, false},
	{OFF(queue_reset), 2, true, false},
};

static const struct field *field_at(uint32_t off)
{
	for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (off >= fields[i].off && off - fields[i].off < fields[i].width)
			return &fields[i];
	}
	return NULL;
}

static const struct field *access(struct model *m, uint32_t off, unsigned width)
{
	const struct field *f = field_at(off);

	if (m->mon) {
		model_watch_width(m, off, width, f ? f->off : off, f ? f->width : width);
		if (off != OFF(config_generation))
			model_watch_other(m);
	}
	return f;
}

/* The selected queue, NULL if there is none of that number. */
static struct model_queue *selected(struct model *m)
{
	if (m->queue_select >= m->num_queues || m->q[m->queue_select].max_size == 0)
		return NULL;
	return &m->q[m->queue_select];
}

static uint32_t queue_read(struct model *m, uint32_t off)
{
	struct model_queue *q = selected(m);
	unsigned i = (off - OFF(queue_desc_lo)) / 4;

	if (q == NULL)
		return 0;
	if (off == OFF(queue_size))
		return q->size;
	if (off == OFF(queue_msix_vector)) {
		if (m->mon && m->watch.queue_vector_written[q->index]) {
			m->watch.queue_vector_written[q->index] = false;
			norm_ok(m, NORM_PX_3);
		}
		return q->vector;
	}
	if (off == OFF(queue_enable))
		return q->enabled;
	if (off == OFF(queue_notify_off))
		return q->index;
	if (off == OFF(queue_reset))
		return 0;
	if (off >= OFF(queue_desc_lo) && off < OFF(queue_notif_config_data))
		return (uint32_t)(q->addr[i / 2] >> (i % 2 ? 32 : 0));
	return 0;
}

static uint32_t common_value(struct model *m, uint32_t off)
{
	switch (off) {
	case OFF(device_feature_select):
		return m->device_feature_select;
	case OFF(device_feature):
		return model_features_half(m, m->device_feature_select);
	case OFF(driver_feature_select):
		return m->driver_feature_select;
	case OFF(driver_feature):
		return m->driver_feature_select < 2
			       ? (uint32_t)(m->driver_features >> (32 * m->driver_feature_select))
			       : 0;
	case OFF(config_msix_vector):
		if (m->mon && m->watch.config_vector_written) {
			m->watch.config_vector_written = false;
			norm_ok(m, NORM_PX_3);
		}
		return m->config_vector;
	case OFF(num_queues):
		return m->num_queues;
	case OFF(device_status):
		return model_status_read(m);
	case OFF(config_generation):
		if (m->mon)
			model_watch_generation(m);
		return model_lie(m, MODEL_MUT_GENERATION, off, m->generation, 1);
	case OFF(queue_select):
		return m->queue_select;
	default:
		return queue_read(m, off);
	}
}

uint32_t model_common_read(struct model *m, uint32_t off, unsigned width)
{
	const struct field *f = access(m, off, width);
	uint32_t shift, val;

	m->legacy = false;
	if (f == NULL)
		return 0;
	shift = 8 * (off - f->off);
	val = shift < 32 ? common_value(m, f->off) >> shift : 0;
	if (off == OFF(device_status) || off == OFF(config_generation) ||
	    off == OFF(device_feature))
		return val; /* these lie by themselves */
	return model_lie(m, MODEL_MUT_COMMON, off, val, width);
}

static void queue_enable(struct model *m, struct model_queue *q, uint16_t val)
{
	if (m->mon)
		norm_check(m, NORM_PM_6, val != 0, "0 written to queue_enable");
	if (val != 1 || q->enabled)
		return;
	if (m->mon) {
		norm_check(m, NORM_PM_4, q->addr[0] && q->addr[1] && q->addr[2],
			   "enabled before its addresses were given");
		if (m->watch.failed)
			norm_broken(m, NORM_IN_6, "queue set up after FAILED");
		if (q->was_reset)
			norm_check(m, NORM_QR_2, q->addr[0] != 0, "enabled without set-up");
	}
	if (!(m->status & VIRTIO_STATUS_FEATURES_OK)) {
		if (m->mon)
			norm_broken(m, NORM_IN_1, "queue enabled before FEATURES_OK");
		return;
	}
	if (!model_ring_start(m, q))
		model_break(m, "queue memory");
}

static void queue_reset(struct model *m, struct model_queue *q)
{
	if (!model_has(m, VIRTIO_F_RING_RESET))
		return;
	model_watch_clear(m, q);
	model_ring_stop(q);
	memset(q->addr, 0, sizeof(q->addr));
	q->size = q->max_size;
	q->was_reset = true;
	if (m->mon)
		norm_ok(m, NORM_PM_7);
}

static void queue_write(struct model *m, const struct field *f, uint32_t val)
{
	struct model_queue *q = selected(m);
	unsigned i = (f->off - OFF(queue_desc_lo)) / 4;

	if (q == NULL)
		return;
	if (f->off == OFF(queue_enable)) {
		queue_enable(m, q, (uint16_t)val);
		return;
	}
	if (f->off == OFF(queue_reset)) {
		if (val == 1)
			queue_reset(m, q);
		return;
	}
	if (m->mon && q->enabled)
		norm_broken(m, NORM_PM_4, "queue field written after queue_enable");
	if (f->off == OFF(queue_size)) {
		bool good = val && val <= VIRTIO_QUEUE_SIZE_MAX && (val & (val - 1)) == 0;

		if (m->mon)
			norm_check(m, NORM_PM_3, good, "queue_size is no power of two");
		if (good && val <= q->max_size && !q->enabled)
			q->size = (uint16_t)val;
	} else if (f->off == OFF(queue_msix_vector)) {
		q->vector = model_vector_write(m, (uint16_t)val);
		m->watch.queue_vector_written[q->index] = val != VIRTIO_MSI_NO_VECTOR;
	} else if (!q->enabled) {
		uint64_t mask = UINT64_C(0xffffffff) << (i % 2 ? 32 : 0);

		q->addr[i / 2] = (q->addr[i / 2] & ~mask) | (uint64_t)val << (i % 2 ? 32 : 0);
	}
}

void model_common_write(struct model *m, uint32_t off, unsigned width, uint32_t val)
{
	const struct field *f = access(m, off, width);

	if (f == NULL || f->off != off)
		return;
	if (m->mon)
		norm_check(m, NORM_PM_1, f->writable, "read-only register written");
	m->legacy = false;
	if (!f->writable)
		return;
	switch (f->off) {
	case OFF(device_feature_select):
		m->device_feature_select = val;
		break;
	case OFF(driver_feature_select):
		m->driver_feature_select = val;
		break;
	case OFF(driver_feature):
		model_features_write(m, m->driver_feature_select, val);
		break;
	case OFF(config_msix_vector):
		m->config_vector = model_vector_write(m, (uint16_t)val);
		m->watch.config_vector_written = val != VIRTIO_MSI_NO_VECTOR;
		break;
	case OFF(device_status):
		model_status_write(m, (uint8_t)val, false);
		break;
	case OFF(queue_select):
		m->queue_select = (uint16_t)val;
		break;
	default:
		queue_write(m, f, val);
	}
}

static uint32_t config_bytes(struct model *m, uint32_t off, unsigned width)
{
	uint32_t val = 0;

	for (unsigned i = 0; i < width && off + i < sizeof(m->config); i++)
		val |= (uint32_t)m->config[off + i] << (8 * i);
	/* Now and then, so that a snapshot of all fields has to be taken again but not for ever. */
	if (m->opt.odd.flip_generation && ++m->config_reads % 23 == 0)
		m->generation++;
	return model_lie(m, MODEL_MUT_CONFIG, off, val, width);
}

/* Device configuration, of either interface. */
uint32_t model_config_read(struct model *m, uint32_t off, unsigned width)
{
	if (m->mon)
		model_watch_config(m, off, width);
	return config_bytes(m, off, width);
}
