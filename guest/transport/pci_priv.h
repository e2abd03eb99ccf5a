/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the files of the PCI transport. */
#ifndef TRANSPORT_PCI_PRIV_H
#define TRANSPORT_PCI_PRIV_H

#include "vio/pci.h"
#include "wire/virtio_pci.h"
#include "wire/vring.h"

extern const struct vio_transport_ops vio_pci_modern_ops;
extern const struct vio_transport_ops vio_pci_legacy_ops;

static inline struct vio_pci *pci_of(struct vio_transport *t)
{
	return (struct vio_pci *)(void *)t; /* t is the first member */
}

static inline uint32_t pci_cfg_read(const struct vio_pci *pci, unsigned off, unsigned width)
{
	return pci->ops->cfg_read(pci->bus, off, width);
}

/* Opens a BAR once. VIO_ENODEV: there is none. */
int pci_bar_open(struct vio_pci *pci, unsigned bar) VIO_MUST_CHECK;

/* Fills the regions, cfg_window and the MSI-X fields from the capability list. */
void pci_caps_read(struct vio_pci *pci);

/* Whether [off, off + width) lies in the region. */
static inline bool pci_region_has(const struct vio_pci_region *r, uint32_t off, unsigned width)
{
	return r->found && off <= r->len && r->len - off >= width;
}

/* A register of a region; the caller has checked pci_region_has. */
uint32_t pci_region_read(struct vio_pci *pci, const struct vio_pci_region *r, uint32_t off,
			 unsigned width);
void pci_region_write(struct vio_pci *pci, const struct vio_pci_region *r, uint32_t off,
		      unsigned width, uint32_t val);

bool pci_gone(struct vio_transport *t);

#endif
