/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio over PCI: which interface a function has, and what both share.
 *
 * Capabilities are looked for first; a function that has none and a transitional id is driven
 * through its legacy registers (LG-3). A transitional device has both, and the modern one wins
 * unless the port asks otherwise.
 */
#include "guest/transport/pci_priv.h"

int pci_bar_open(struct vio_pci *pci, unsigned bar)
{
	int err;

	if (pci->open_bars & 1u << bar)
		return VIO_OK;
	err = pci->ops->bar_open(pci->bus, bar, &pci->bars[bar]);
	if (err)
		return err;
	if (pci->bars[bar].len == 0)
		return VIO_ENODEV;
	pci->open_bars |= 1u << bar;
	return VIO_OK;
}

/* PD-1, PD-2: the device type by id; 0: not virtio. Any revision (PD-3). */
static uint16_t pci_device_type(const struct vio_pci *pci)
{
	uint32_t id = pci_cfg_read(pci, PCI_DEVICE_ID, 2);

	if (pci_cfg_read(pci, PCI_VENDOR_ID, 2) != VIRTIO_PCI_VENDOR)
		return 0;
	if (id >= VIRTIO_PCI_DEVICE_MODERN && id <= VIRTIO_PCI_DEVICE_MAX)
		return (uint16_t)(id - VIRTIO_PCI_DEVICE_MODERN);
	if (id >= VIRTIO_PCI_DEVICE_MIN && id <= VIRTIO_PCI_DEVICE_TRANSITIONAL)
		return (uint16_t)pci_cfg_read(pci, PCI_SUBSYSTEM_ID, 2);
	return 0;
}

static bool pci_modern_usable(struct vio_pci *pci)
{
	const struct vio_pci_region *need[] = {&pci->common, &pci->notify, &pci->isr};
	bool window = pci->device.window;

	for (size_t i = 0; i < sizeof(need) / sizeof(need[0]); i++) {
		if (!need[i]->found) {
			if (!pci->t.why)
				pci->t.why = "no usable virtio capabilities";
			return false;
		}
		window |= need[i]->window;
	}
	if (window && !pci->cfg_window) {
		pci->t.why = "registers cannot be mapped and there is no PCI_CFG window";
		return false;
	}
	return true;
}

static bool pci_legacy_usable(struct vio_pci *pci)
{
	if (pci_cfg_read(pci, PCI_DEVICE_ID, 2) > VIRTIO_PCI_DEVICE_TRANSITIONAL)
		return false; /* LG-4 */
	return pci_bar_open(pci, 0) == VIO_OK && pci->bars[0].io && pci->bars[0].mapped &&
	       pci->bars[0].len >= VIRTIO_PCI_LEGACY_CONFIG_MSIX;
}

int vio_pci_open(struct vio_pci *pci, const struct vio_pci_ops *ops, void *bus,
		 const struct vio_os *os, enum vio_pci_prefer prefer)
{
	*pci = (struct vio_pci){.ops = ops, .bus = bus, .os = os};
	pci->device_type = pci_device_type(pci);
	if (pci->device_type == 0) {
		pci->t.why = "not a virtio function";
		return VIO_ENODEV;
	}
	pci_caps_read(pci);

	if (prefer != VIO_PCI_LEGACY && pci_modern_usable(pci)) {
		pci->t.ops = &vio_pci_modern_ops;
		pci->t.has_generation = true;
		pci->t.dma_bits = 64;
	} else if (prefer != VIO_PCI_MODERN && pci_legacy_usable(pci)) {
		pci->t.ops = &vio_pci_legacy_ops;
		pci->t.legacy = true;
		pci->t.dma_bits = 32 + VIRTIO_PCI_LEGACY_PFN_SHIFT;
	} else {
		if (!pci->t.why || prefer == VIO_PCI_LEGACY)
			pci->t.why = "no legacy registers in I/O BAR 0";
		vio_pci_close(pci);
		return VIO_ENODEV;
	}
	pci->t.why = NULL;
	return VIO_OK;
}

void vio_pci_close(struct vio_pci *pci)
{
	for (unsigned bar = 0; bar < PCI_NUM_BARS; bar++) {
		if (pci->open_bars & 1u << bar)
			pci->ops->bar_close(pci->bus, bar);
	}
	pci->open_bars = 0;
}

bool vio_pci_msix_on(const struct vio_pci *pci)
{
	return pci->msix_cap &&
	       pci_cfg_read(pci, pci->msix_cap + PCI_MSIX_CONTROL, 2) & PCI_MSIX_CONTROL_ON;
}

int vio_pci_msix_table(struct vio_pci *pci, unsigned *bar, uint32_t *off, uint16_t *entries)
{
	uint32_t table;

	if (!pci->msix_cap)
		return VIO_ENOTSUP;
	table = pci_cfg_read(pci, pci->msix_cap + PCI_MSIX_TABLE, 4);
	*bar = table & 7;
	*off = table & ~7u;
	*entries = pci->msix_entries;
	if (*bar >= PCI_NUM_BARS || pci_bar_open(pci, *bar) != VIO_OK)
		return VIO_EBROKEN;
	if (*off > pci->bars[*bar].len ||
	    pci->bars[*bar].len - *off < (uint64_t)*entries * PCI_MSIX_ENTRY)
		return VIO_EBROKEN; /* H-10 */
	return VIO_OK;
}

bool pci_gone(struct vio_transport *t)
{
	return pci_cfg_read(pci_of(t), PCI_VENDOR_ID, 2) == 0xffff;
}
