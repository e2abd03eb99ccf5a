/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What configuration space says: identity, BARs, the capability list (4.1.2, 4.1.4).
 *
 * Regions of the modern BAR lie at multiples of region_len: common, isr, device, notify, and one
 * dead region that only second instances of capabilities name: nobody has business there (PC-2).
 */
#include <string.h>

#include "model/internal.h"

#define BAR_IO_LEN     64u
#define REGION	       0x1000u
#define REGION_LARGE   0x40000u
#define CAP_POWER      0x01u
#define CAP_SLOT       0x04u
#define CAP_SUBSYSTEM  0x0du
#define RESERVED_TYPE  0x42u
#define CLASS_ETHERNET 0x0200u

static void put16(struct model *m, unsigned off, uint16_t v)
{
	m->cfg[off] = (uint8_t)v;
	m->cfg[off + 1] = (uint8_t)(v >> 8);
}

static void put32(struct model *m, unsigned off, uint32_t v)
{
	put16(m, off, (uint16_t)v);
	put16(m, off + 2, (uint16_t)(v >> 16));
}

struct builder {
	struct model *m;
	unsigned next; /* first free byte */
	unsigned link; /* where the offset of the next capability goes */
	bool full;
};

/* Room for a capability of len bytes, linked in; 0 if there is none. */
static unsigned cap_add(struct builder *b, uint8_t id, unsigned len, uint8_t type, bool dead)
{
	struct model *m = b->m;
	unsigned at = b->next;

	len = (len + 3) & ~3u;
	if (at + len > PCI_CFG_SIZE || m->ncaps == 16) {
		b->full = true;
		return 0;
	}
	m->cfg[b->link] = (uint8_t)at;
	m->cfg[at] = id;
	b->link = at + 1;
	b->next = at + len;
	m->caps[m->ncaps++] = (struct model_cap_at){(uint8_t)at, (uint8_t)len, type, dead};
	return at;
}

static void foreign_cap(struct builder *b, unsigned which)
{
	static const uint8_t ids[] = {CAP_POWER, CAP_SLOT, CAP_SUBSYSTEM};

	if (which < b->m->opt.layout.foreign_caps && which < 3)
		cap_add(b, ids[which], 8, 0, false);
}

static unsigned virtio_cap(struct builder *b, uint8_t type, uint8_t bar, uint32_t off, uint32_t len,
			   unsigned size, bool dead)
{
	struct model *m = b->m;
	unsigned at = cap_add(b, PCI_CAP_ID_VENDOR, size, type, dead);

	if (at == 0)
		return 0;
	m->cfg[at + 2] = (uint8_t)((size + 3) & ~3u);
	m->cfg[at + 3] = type;
	m->cfg[at + 4] = bar;
	put32(m, at + 8, off);
	put32(m, at + 12, len);
	return at;
}

static void modern_caps(struct builder *b)
{
	struct model *m = b->m;
	const struct model_layout *l = &m->opt.layout;
	unsigned extra = l->longer_by, at;
	uint32_t config_len =
		m->opt.config_len ? m->opt.config_len : (uint32_t)sizeof(struct virtio_net_config);
	uint32_t common_len = sizeof(struct virtio_pci_common_cfg);
	uint32_t notify_len = MODEL_QUEUES * l->notify_multiplier + 4;
	uint32_t isr_len = 1;

	if (l->large) {
		config_len = common_len = notify_len = isr_len = m->region_len;
	}
	if (l->reserved_type)
		virtio_cap(b, RESERVED_TYPE, l->bar, m->dead_off, 16, 16, true);
	if (l->reserved_bar)
		virtio_cap(b, VIRTIO_PCI_CAP_COMMON_CFG, 7, 0, common_len, 16, true);
	if (l->vendor_cap)
		virtio_cap(b, VIRTIO_PCI_CAP_VENDOR_CFG, 0, 0, 0, 16, true);
	virtio_cap(b, VIRTIO_PCI_CAP_COMMON_CFG, l->bar, m->common_off, common_len, 16 + extra,
		   false);
	foreign_cap(b, 1);
	virtio_cap(b, VIRTIO_PCI_CAP_ISR_CFG, l->bar, m->isr_off, isr_len, 16 + extra, false);
	virtio_cap(b, VIRTIO_PCI_CAP_DEVICE_CFG, l->bar, m->device_off, config_len, 16 + extra,
		   false);
	at = virtio_cap(b, VIRTIO_PCI_CAP_NOTIFY_CFG, l->notify_bar, m->notify_off, notify_len,
			20 + extra, false);
	if (at)
		put32(m, at + 16, l->notify_multiplier);
	if (l->twice) {
		virtio_cap(b, VIRTIO_PCI_CAP_COMMON_CFG, l->bar, m->dead_off, common_len, 16, true);
		virtio_cap(b, VIRTIO_PCI_CAP_DEVICE_CFG, l->bar, m->dead_off, config_len, 16, true);
	}
	if (!l->no_window)
		m->window_cap = virtio_cap(b, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, 0, 20, false);
}

static bool bars_build(struct model *m)
{
	const struct model_layout *l = &m->opt.layout;
	bool modern = m->opt.interface != MODEL_LEGACY, io = m->opt.interface != MODEL_MODERN;

	if (io) {
		m->bars[0].len = BAR_IO_LEN;
		m->bars[0].io = true;
	}
	if (m->opt.msix_entries) {
		uint32_t table = m->opt.msix_entries * (uint32_t)PCI_MSIX_ENTRY;

		if (l->msix_bar >= PCI_NUM_BARS || (l->msix_bar == 0 && io))
			return false;
		m->pba_off = (table + 0x7ff) & ~0x7ffu;
		m->bars[l->msix_bar].len = table <= 0x800 ? 0x1000 : 0x10000;
	}
	if (modern) {
		if (l->bar >= PCI_NUM_BARS || l->notify_bar >= PCI_NUM_BARS ||
		    (io && (l->bar == 0 || l->notify_bar == 0)) ||
		    (m->opt.msix_entries &&
		     (l->bar == l->msix_bar || l->notify_bar == l->msix_bar)))
			return false;
		m->region_len = l->large ? REGION_LARGE : REGION;
		m->common_off = 0;
		m->isr_off = m->region_len;
		m->device_off = 2 * m->region_len;
		m->notify_off = 3 * m->region_len;
		m->dead_off = 4 * m->region_len;
		m->bars[l->bar].len = 8 * m->region_len;
		m->bars[l->notify_bar].len = 8 * m->region_len;
	}
	return true;
}

bool model_layout_build(struct model *m)
{
	struct builder b = {.m = m, .next = PCI_CAP_FIRST, .link = PCI_CAP_PTR};
	bool transitional_id = m->opt.interface != MODEL_MODERN;

	if (!bars_build(m))
		return false;
	put16(m, PCI_VENDOR_ID, VIRTIO_PCI_VENDOR);
	put16(m, PCI_DEVICE_ID,
	      transitional_id ? VIRTIO_PCI_DEVICE_MIN
			      : (uint16_t)(VIRTIO_PCI_DEVICE_MODERN + VIRTIO_ID_NET));
	m->cfg[PCI_REVISION] = m->opt.revision;
	put16(m, PCI_CLASS, CLASS_ETHERNET);
	put16(m, PCI_SUBSYSTEM_VENDOR, VIRTIO_PCI_VENDOR);
	put16(m, PCI_SUBSYSTEM_ID, transitional_id ? VIRTIO_ID_NET : 0x1100);
	put16(m, PCI_STATUS, PCI_STATUS_CAP_LIST);
	m->cfg[PCI_INTERRUPT_PIN] = 1;
	for (unsigned i = 0; i < PCI_NUM_BARS; i++) {
		if (m->bars[i].len == 0)
			continue;
		put32(m, PCI_BAR0 + 4 * i, m->bars[i].io ? 0xc001u : 0xf0000000u + (i << 24));
	}
	foreign_cap(&b, 0);
	if (m->opt.msix_entries) {
		m->msix_cap = cap_add(&b, PCI_CAP_ID_MSIX, 12, 0, false);
		if (m->msix_cap) {
			put16(m, m->msix_cap + PCI_MSIX_CONTROL,
			      (uint16_t)(m->opt.msix_entries - 1));
			put32(m, m->msix_cap + PCI_MSIX_TABLE, m->opt.layout.msix_bar);
			put32(m, m->msix_cap + 8, m->pba_off | m->opt.layout.msix_bar);
		}
	}
	if (m->opt.interface != MODEL_LEGACY)
		modern_caps(&b);
	foreign_cap(&b, 2);
	return !b.full;
}
