/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finding the structures of a modern device (4.1.4), and reaching them.
 *
 * The capability list is the device's: its walk is bounded by the size of configuration space, a
 * capability counts only if it lies inside that space, and a structure only if it lies inside a
 * BAR that exists (H-10). Unusable ones are skipped, the first usable one of each type is taken
 * (PC-1, PC-2, PC-4); they may be longer than we know (PC-3, PC-6).
 *
 * A structure whose BAR the port could not map is reached through the PCI_CFG capability: write
 * where, then read or write pci_cfg_data (4.1.4.9). That takes several config accesses, so it runs
 * under the port's lock.
 */
#include "guest/transport/pci_priv.h"

/* 192 bytes of list space, at least 4 bytes each. */
#define CAPS_MAX ((PCI_CFG_SIZE - PCI_CAP_FIRST) / 4)

#define CAP_LEN_MIN    16u /* struct virtio_pci_cap */
#define CAP_NOTIFY_MIN 20u
#define CAP_WINDOW_MIN 20u

static uint32_t cap_read(const struct vio_pci *pci, unsigned cap, size_t field, unsigned width)
{
	return pci_cfg_read(pci, cap + (unsigned)field, width);
}

static void caps_msix(struct vio_pci *pci, unsigned cap)
{
	if (pci->msix_cap || cap > PCI_CFG_SIZE - 12)
		return;
	pci->msix_cap = cap;
	pci->msix_entries =
		(uint16_t)((cap_read(pci, cap, PCI_MSIX_CONTROL, 2) & PCI_MSIX_CONTROL_SIZE) +
			   1); /* PX-1 */
}

/* Takes the structure at cap into *r if it is usable and the first of its type. */
static bool caps_region(struct vio_pci *pci, unsigned cap, uint32_t min_len, uint32_t align,
			struct vio_pci_region *r)
{
	uint32_t bar = cap_read(pci, cap, offsetof(struct virtio_pci_cap, bar), 1);
	uint32_t off = cap_read(pci, cap, offsetof(struct virtio_pci_cap, offset), 4);
	uint32_t len = cap_read(pci, cap, offsetof(struct virtio_pci_cap, length), 4);

	if (r->found || bar >= PCI_NUM_BARS || len < min_len) /* PC-4 */
		return false;
	if (pci_bar_open(pci, bar) != VIO_OK)
		return false;
	if (off & (align - 1)) { /* not all CPUs can reach registers there, nor the window (PG-1) */
		pci->t.why = "a structure is not aligned";
		return false;
	}
	if (off > pci->bars[bar].len || pci->bars[bar].len - off < len) {
		pci->t.why = "a structure lies outside its BAR";
		return false;
	}
	*r = (struct vio_pci_region){
		.bar = (uint8_t)bar,
		.found = true,
		.window = !pci->bars[bar].mapped,
		.off = off,
		.len = len,
	};
	return true;
}

static void caps_virtio(struct vio_pci *pci, unsigned cap)
{
	uint32_t cap_len = cap_read(pci, cap, offsetof(struct virtio_pci_cap, cap_len), 1);
	uint32_t type = cap_read(pci, cap, offsetof(struct virtio_pci_cap, cfg_type), 1);

	if (cap_len < CAP_LEN_MIN || cap_len > PCI_CFG_SIZE - cap)
		return;
	switch (type) {
	case VIRTIO_PCI_CAP_COMMON_CFG:
		caps_region(pci, cap, VIRTIO_PCI_COMMON_CFG_MIN, 4, &pci->common);
		break;
	case VIRTIO_PCI_CAP_NOTIFY_CFG:
		if (cap_len >= CAP_NOTIFY_MIN && caps_region(pci, cap, 2, 2, &pci->notify))
			pci->notify_multiplier = cap_read(
				pci, cap,
				offsetof(struct virtio_pci_notify_cap, notify_off_multiplier), 4);
		break;
	case VIRTIO_PCI_CAP_ISR_CFG:
		caps_region(pci, cap, 1, 1, &pci->isr);
		break;
	case VIRTIO_PCI_CAP_DEVICE_CFG:
		caps_region(pci, cap, 1, 4, &pci->device);
		break;
	case VIRTIO_PCI_CAP_PCI_CFG:
		if (cap_len >= CAP_WINDOW_MIN && !pci->cfg_window)
			pci->cfg_window = cap;
		break;
	default: /* PC-1 */
		break;
	}
}

void pci_caps_read(struct vio_pci *pci)
{
	unsigned cap;

	if (!(pci_cfg_read(pci, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
		return;
	cap = pci_cfg_read(pci, PCI_CAP_PTR, 1) & ~3u;
	for (unsigned n = 0; n < CAPS_MAX; n++) {
		uint32_t id;

		/* The last 16 bytes cannot hold one of ours; a pointer below 0x40 ends the list. */
		if (cap < PCI_CAP_FIRST || cap > PCI_CFG_SIZE - 4)
			return;
		id = pci_cfg_read(pci, cap, 1);
		if (id == PCI_CAP_ID_MSIX)
			caps_msix(pci, cap);
		else if (id == PCI_CAP_ID_VENDOR && cap <= PCI_CFG_SIZE - CAP_LEN_MIN)
			caps_virtio(pci, cap);
		cap = pci_cfg_read(pci, cap + 1, 1) & ~3u;
	}
}

/* Points the window at a register; PG-1 and PG-2 hold because registers are aligned and ours. */
static void window_aim(struct vio_pci *pci, const struct vio_pci_region *r, uint32_t off,
		       unsigned width)
{
	unsigned cap = pci->cfg_window;

	pci->ops->cfg_write(pci->bus, cap + offsetof(struct virtio_pci_cap, bar), 1, r->bar);
	pci->ops->cfg_write(pci->bus, cap + offsetof(struct virtio_pci_cap, offset), 4,
			    r->off + off);
	pci->ops->cfg_write(pci->bus, cap + offsetof(struct virtio_pci_cap, length), 4, width);
}

uint32_t pci_region_read(struct vio_pci *pci, const struct vio_pci_region *r, uint32_t off,
			 unsigned width)
{
	const struct vio_os *os = pci->os;
	uint32_t val;

	if (!r->window)
		return pci->ops->read(pci->bus, r->bar, (uint64_t)r->off + off, width);

	os->ops->lock(os->ctx);
	window_aim(pci, r, off, width);
	val = pci_cfg_read(pci, pci->cfg_window + offsetof(struct virtio_pci_cfg_cap, pci_cfg_data),
			   width);
	os->ops->unlock(os->ctx);
	return val;
}

void pci_region_write(struct vio_pci *pci, const struct vio_pci_region *r, uint32_t off,
		      unsigned width, uint32_t val)
{
	const struct vio_os *os = pci->os;

	if (!r->window) {
		pci->ops->write(pci->bus, r->bar, (uint64_t)r->off + off, width, val);
		return;
	}
	os->ops->lock(os->ctx);
	window_aim(pci, r, off, width);
	pci->ops->cfg_write(pci->bus,
			    pci->cfg_window + offsetof(struct virtio_pci_cfg_cap, pci_cfg_data),
			    width, val);
	os->ops->unlock(os->ctx);
}
