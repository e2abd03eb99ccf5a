/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PCI function: configuration accesses, BAR decoding, MSI-X, INTx, the PCI_CFG window.
 *
 * BAR accesses find their structure by offset: the MSI-X table, the legacy header, or one of the
 * modern regions. The window (4.1.4.9) ends in the same place, marked in_window, so that a layout
 * whose BARs cannot be mapped (window_only) still works and everything else is refused.
 *
 * Interrupts are messages to the harness. A masked vector is remembered in the pending array and
 * sent when unmasked. INTx is a level that follows ISR.
 */
#include <string.h>

#include "model/internal.h"

static uint32_t bytes_get(const uint8_t *p, unsigned width)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < width; i++)
		v |= (uint32_t)p[i] << (8 * i);
	return v;
}

static void bytes_put(uint8_t *p, unsigned width, uint32_t v)
{
	for (unsigned i = 0; i < width; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static uint32_t all_ones(unsigned width)
{
	return width >= 4 ? 0xffffffffu : (1u << (8 * width)) - 1;
}

/* ---- interrupts ---- */

bool model_msix_on(const struct model *m)
{
	return m->msix_cap &&
	       bytes_get(m->cfg + m->msix_cap + PCI_MSIX_CONTROL, 2) & PCI_MSIX_CONTROL_ON;
}

static bool msix_masked(const struct model *m, unsigned vector)
{
	return bytes_get(m->cfg + m->msix_cap + PCI_MSIX_CONTROL, 2) & PCI_MSIX_CONTROL_MASK ||
	       m->msix[vector][3] & 1;
}

void model_intx_update(struct model *m)
{
	uint16_t command = (uint16_t)bytes_get(m->cfg + PCI_COMMAND, 2);
	bool off = model_msix_on(m) || command & PCI_COMMAND_INTX_OFF;
	bool level = (m->isr != 0 || m->line_shared) && !off;

	if (level == m->intx_level)
		return;
	m->intx_level = level;
	if (level)
		m->net.irqs_sent++;
	if (m->hook.intx)
		m->hook.intx(m->hook.ctx, level);
}

void model_irq_vector(struct model *m, unsigned vector)
{
	if (vector >= m->opt.msix_entries)
		return;
	if (msix_masked(m, vector)) {
		m->msix_pending[vector / 64] |= UINT64_C(1) << (vector % 64);
		return;
	}
	m->net.irqs_sent++;
	if (m->hook.irq)
		m->hook.irq(m->hook.ctx, vector);
}

static void msix_unmasked(struct model *m)
{
	if (!model_msix_on(m))
		return;
	for (unsigned v = 0; v < m->opt.msix_entries; v++) {
		uint64_t bit = UINT64_C(1) << (v % 64);

		if (m->msix_pending[v / 64] & bit && !msix_masked(m, v)) {
			m->msix_pending[v / 64] &= ~bit;
			model_irq_vector(m, v);
		}
	}
}

static void irq_send(struct model *m, uint16_t vector, uint8_t isr)
{
	if (m->hostile.rate && model_mut(m, MODEL_MUT_IRQ_LOST)) {
		model_mut_note(m, MODEL_MUT_IRQ_LOST, vector, isr, 0);
		return;
	}
	if (model_msix_on(m)) {
		if (m->mon)
			norm_ok(m, NORM_PI_1);
		model_irq_vector(m, vector);
		return;
	}
	m->isr |= isr;
	model_intx_update(m);
}

void model_irq_queue(struct model *m, struct model_queue *q)
{
	q->irqs++;
	irq_send(m, q->vector, VIRTIO_PCI_ISR_QUEUE);
}

void model_irq_config(struct model *m)
{
	irq_send(m, m->config_vector, VIRTIO_PCI_ISR_CONFIG);
}

uint8_t model_isr_read(struct model *m)
{
	uint8_t isr = m->isr;

	if (m->mon) {
		if (model_msix_on(m))
			norm_broken(m, NORM_PI_1, "ISR read while MSI-X is on");
		if (isr == (VIRTIO_PCI_ISR_QUEUE | VIRTIO_PCI_ISR_CONFIG))
			m->watch.isr_both = true;
	}
	m->isr = 0;
	m->line_shared = false; /* served meanwhile */
	model_intx_update(m);
	return (uint8_t)model_lie(m, MODEL_MUT_ISR, 0, isr, 1);
}

/* A vector register: what it then reads as (4.1.5.1.3). */
uint16_t model_vector_write(struct model *m, uint16_t vector)
{
	if (vector == VIRTIO_MSI_NO_VECTOR)
		return vector;
	if (m->mon)
		norm_check(m, NORM_PX_2, vector < m->opt.msix_entries, "vector beyond the table");
	if (vector >= m->opt.msix_entries)
		return VIRTIO_MSI_NO_VECTOR;
	if (m->opt.refuse_vectors && vector >= m->opt.refuse_vectors) {
		m->watch.refused = true;
		return VIRTIO_MSI_NO_VECTOR;
	}
	return vector;
}

/* ---- BARs ---- */

void model_bar(const struct model *m, unsigned bar, struct model_bar *out)
{
	*out = (struct model_bar){0};
	if (bar >= PCI_NUM_BARS)
		return;
	out->len = m->bars[bar].len;
	out->io = m->bars[bar].io;
	out->mapped = !(m->opt.layout.window_only && m->opt.interface != MODEL_LEGACY &&
			(bar == m->opt.layout.bar || bar == m->opt.layout.notify_bar));
}

static bool decoded(struct model *m, unsigned bar, uint64_t off, unsigned width)
{
	uint32_t command = bytes_get(m->cfg + PCI_COMMAND, 2);
	struct model_bar b;

	model_bar(m, bar, &b);
	if (off >= b.len || b.len - off < width || off % width)
		return false;
	if (!b.mapped && !m->in_window)
		return false;
	return command & (b.io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY);
}

static uint32_t msix_read(struct model *m, uint32_t off, unsigned width)
{
	uint32_t word = 0;

	if (off < m->opt.msix_entries * PCI_MSIX_ENTRY)
		word = m->msix[off / 16][off % 16 / 4];
	else if (off >= m->pba_off && (off - m->pba_off) / 8 <= m->opt.msix_entries / 64u)
		word = (uint32_t)(m->msix_pending[(off - m->pba_off) / 8] >>
				  (off % 8 >= 4 ? 32 : 0));
	return word >> (8 * (off % 4)) & all_ones(width);
}

static void msix_write(struct model *m, uint32_t off, unsigned width, uint32_t val)
{
	if (off >= m->opt.msix_entries * PCI_MSIX_ENTRY || width != 4)
		return;
	m->msix[off / 16][off % 16 / 4] = val;
	if (off % 16 == PCI_MSIX_ENTRY_CONTROL)
		msix_unmasked(m);
}

/* Which modern region an offset is in, and where. */
static bool in_region(const struct model *m, uint32_t base, uint64_t off, uint32_t *at)
{
	if (off < base || off - base >= m->region_len)
		return false;
	*at = (uint32_t)(off - base);
	return true;
}

static void stray_access(struct model *m)
{
	if (m->mon && m->opt.layout.twice)
		norm_broken(m, NORM_PC_2, "access through a second instance");
}

static uint32_t modern_read(struct model *m, unsigned bar, uint64_t off, unsigned width)
{
	uint32_t at;

	if (bar == m->opt.layout.bar) {
		if (in_region(m, m->common_off, off, &at))
			return model_common_read(m, at, width);
		if (in_region(m, m->device_off, off, &at))
			return model_config_read(m, at, width);
		if (in_region(m, m->isr_off, off, &at)) {
			if (m->mon)
				model_watch_width(m, at, width, 0, 1);
			return at == 0 ? model_isr_read(m) : 0;
		}
		if (in_region(m, m->dead_off, off, &at))
			stray_access(m);
	}
	return 0;
}

static void notify_write(struct model *m, uint32_t at, unsigned width, uint32_t val)
{
	uint32_t step = m->opt.layout.notify_multiplier;
	bool data = model_has(m, VIRTIO_F_NOTIFICATION_DATA);
	uint32_t index = val & 0xffff;

	if (m->mon) {
		norm_check(m, data ? NORM_PN_2 : NORM_PN_1, width == (data ? 4 : 2),
			   "width of a notification");
		norm_check(m, data ? NORM_PN_4 : NORM_PN_3,
			   index < m->num_queues && at == index * step,
			   "value is not the index of the queue at this address");
	}
	if (index < m->num_queues)
		model_ring_notified(m, index);
}

static void modern_write(struct model *m, unsigned bar, uint64_t off, unsigned width, uint32_t val)
{
	uint32_t at;

	if (bar == m->opt.layout.notify_bar && in_region(m, m->notify_off, off, &at)) {
		notify_write(m, at, width, val);
		return;
	}
	if (bar != m->opt.layout.bar)
		return;
	if (in_region(m, m->common_off, off, &at)) {
		model_common_write(m, at, width, val);
	} else if (in_region(m, m->device_off, off, &at)) {
		if (m->mon) {
			norm_broken(m, NORM_NC_1, "device configuration written");
			m->watch.config_written = true;
			if (!(m->status & VIRTIO_STATUS_FEATURES_OK))
				norm_broken(m, NORM_IN_2, "written before features are settled");
		}
	} else if (in_region(m, m->dead_off, off, &at)) {
		stray_access(m);
	}
}

static bool is_msix_bar(const struct model *m, unsigned bar)
{
	return m->opt.msix_entries && bar == m->opt.layout.msix_bar;
}

uint32_t model_bar_read(struct model *m, unsigned bar, uint64_t off, unsigned width)
{
	if (!decoded(m, bar, off, width))
		return all_ones(width);
	if (m->hostile.rate)
		model_hostile_poll(m);
	if (m->bars[bar].io)
		return model_legacy_read(m, (uint32_t)off, width);
	if (is_msix_bar(m, bar))
		return msix_read(m, (uint32_t)off, width);
	return modern_read(m, bar, off, width) & all_ones(width);
}

void model_bar_write(struct model *m, unsigned bar, uint64_t off, unsigned width, uint32_t val)
{
	if (!decoded(m, bar, off, width))
		return;
	val &= all_ones(width);
	if (m->hostile.rate)
		model_hostile_poll(m);
	if (m->bars[bar].io)
		model_legacy_write(m, (uint32_t)off, width, val);
	else if (is_msix_bar(m, bar))
		msix_write(m, (uint32_t)off, width, val);
	else
		modern_write(m, bar, off, width, val);
	if (m->opt.odd.spurious_irq && m->running)
		model_interrupt(m, (unsigned)(m->net.irqs_sent % (MODEL_QUEUES + 1)));
}

/* ---- configuration space ---- */

/* The window's bar, offset and length, if what they name is inside some capability's region. */
static bool window_target(struct model *m, unsigned *bar, uint32_t *off, unsigned *width)
{
	const uint8_t *cap = m->cfg + m->window_cap;
	uint32_t len = bytes_get(cap + 12, 4);
	bool named = false;

	*bar = cap[4];
	*off = bytes_get(cap + 8, 4);
	if (len != 1 && len != 2 && len != 4)
		return false;
	*width = len;
	if (m->mon && !norm_check(m, NORM_PG_1, *off % len == 0, "offset is no multiple of length"))
		return false;
	for (unsigned i = 0; i < m->ncaps; i++) {
		const uint8_t *c = m->cfg + m->caps[i].at;
		uint32_t base = bytes_get(c + 8, 4), size = bytes_get(c + 12, 4);

		if (m->caps[i].type == 0 || m->caps[i].dead || m->caps[i].at == m->window_cap)
			continue;
		if (c[4] == *bar && *off >= base && *off - base < size &&
		    size - (*off - base) >= len)
			named = true;
	}
	if (m->mon)
		norm_check(m, NORM_PG_2, named, "window outside of all regions");
	return named;
}

static bool window_access(struct model *m, bool write, uint32_t *val)
{
	unsigned bar, width;
	uint32_t off;

	if (!window_target(m, &bar, &off, &width))
		return false;
	m->in_window = true;
	if (write)
		model_bar_write(m, bar, off, width, *val);
	else
		*val = model_bar_read(m, bar, off, width);
	m->in_window = false;
	return true;
}

static const struct model_cap_at *cap_at(const struct model *m, unsigned off)
{
	for (unsigned i = 0; i < m->ncaps; i++) {
		if (off >= m->caps[i].at && off - m->caps[i].at < m->caps[i].len)
			return &m->caps[i];
	}
	return NULL;
}

uint32_t model_cfg_read(struct model *m, unsigned off, unsigned width)
{
	const struct model_cap_at *cap;
	uint32_t val;

	if (off >= PCI_CFG_SIZE || PCI_CFG_SIZE - off < width || off % width)
		return all_ones(width);
	if (m->window_cap && off >= m->window_cap + 16 && off < m->window_cap + 20) {
		if (!window_access(m, false, &val))
			val = all_ones(width);
		return val & all_ones(width);
	}
	if (m->mon && off >= PCI_CAP_PTR) {
		cap = cap_at(m, off);
		if (cap && cap->type == VIRTIO_PCI_CAP_VENDOR_CFG && off - cap->at >= 16)
			norm_broken(m, NORM_PV_1, "vendor capability read");
	}
	return model_lie(m, MODEL_MUT_PCI, off, bytes_get(m->cfg + off, width), width) &
	       all_ones(width);
}

static void window_write(struct model *m, unsigned off, unsigned width, uint32_t val)
{
	unsigned at = off - m->window_cap;

	if (at >= 16) {
		window_access(m, true, &val);
		return;
	}
	if (at == 4 || (at >= 8 && at < 16)) {
		bytes_put(m->cfg + off, width, val);
		return;
	}
	if (m->mon)
		norm_broken(m, NORM_PC_7, "read-only part of the PCI_CFG capability written");
}

void model_cfg_write(struct model *m, unsigned off, unsigned width, uint32_t val)
{
	const struct model_cap_at *cap;

	if (off >= PCI_CFG_SIZE || PCI_CFG_SIZE - off < width || off % width)
		return;
	val &= all_ones(width);
	cap = cap_at(m, off);
	if (cap && cap->at == m->window_cap) {
		window_write(m, off, width, val);
	} else if (cap && cap->type) {
		if (m->mon)
			norm_broken(m, NORM_PC_7, "field of a virtio capability written");
	} else if (cap && cap->at == m->msix_cap && off - cap->at < 4) {
		uint8_t next = m->cfg[m->msix_cap + 1];

		bytes_put(m->cfg + off, width, val);
		/* Only the two control bits are writable. */
		m->cfg[m->msix_cap] = PCI_CAP_ID_MSIX;
		m->cfg[m->msix_cap + 1] = next;
		m->cfg[m->msix_cap + 2] = (uint8_t)(m->opt.msix_entries - 1);
		m->cfg[m->msix_cap + 3] = (uint8_t)((m->cfg[m->msix_cap + 3] & 0xc0) |
						    ((m->opt.msix_entries - 1) >> 8 & 7));
		msix_unmasked(m);
		model_intx_update(m);
	} else if (off >= PCI_COMMAND && off < PCI_COMMAND + 2u) {
		bytes_put(m->cfg + off, width > 2 ? 2 : width, val & 0xffff);
		model_intx_update(m);
	} else if (off >= PCI_BAR0 && off < PCI_BAR0 + 4u * PCI_NUM_BARS && width == 4) {
		unsigned bar = (off - PCI_BAR0) / 4;

		if (m->bars[bar].len)
			bytes_put(m->cfg + off, 4,
				  (val & ~(m->bars[bar].len - 1)) | (m->bars[bar].io ? 1 : 0));
	} else if (off == PCI_INTERRUPT_LINE) {
		m->cfg[off] = (uint8_t)val;
	}
}
