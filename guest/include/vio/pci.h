/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PCI bus contract and the PCI transport.
 *
 * A port hands the transport one PCI function through struct vio_pci_ops. Configuration space and
 * BARs are reached by offset and width (1, 2 or 4), so that a port may map a BAR, use port I/O, or
 * carry the access over a socket. BARs must be assigned and decoding and bus mastering switched on
 * before vio_pci_open.
 *
 * Interrupts stay the port's: it decides between INTx and MSI-X, programs the MSI-X table and the
 * enable bit before vio_pci_open or at any time after, and says how many vectors there are. The
 * transport looks at the live MSI-X enable bit whenever the legacy layout depends on it (LG-14).
 */
#ifndef VIO_PCI_H
#define VIO_PCI_H

#include "vio/os.h"
#include "vio/transport.h"

struct vio_bar {
	uint64_t len; /* bytes; 0: not there */
	bool io;      /* port I/O */
	bool mapped;  /* read and write below work on it */
};

struct vio_pci_ops {
	/* off is a multiple of width. A read that fails gives all ones, as PCI does. */
	uint32_t (*cfg_read)(void *bus, unsigned off, unsigned width);
	void (*cfg_write)(void *bus, unsigned off, unsigned width, uint32_t val);

	/*
	 * What BAR bar (0-5) is, mapping it if that is needed for access. A BAR that exists but
	 * cannot be mapped is reported with mapped = false: the transport then uses the PCI_CFG
	 * window (4.1.4.9). VIO_OK, or VIO_ENODEV when there is no such BAR.
	 */
	int (*bar_open)(void *bus, unsigned bar, struct vio_bar *out);
	void (*bar_close)(void *bus, unsigned bar);

	/*
	 * A register of an open BAR. [off, off + width) is inside the BAR and off a multiple of
	 * width: the transport has checked (H-10). Writes may be posted.
	 */
	uint32_t (*read)(void *bus, unsigned bar, uint64_t off, unsigned width);
	void (*write)(void *bus, unsigned bar, uint64_t off, unsigned width, uint32_t val);
};

/* Which interface of a transitional device to use. */
enum vio_pci_prefer { VIO_PCI_AUTO, VIO_PCI_MODERN, VIO_PCI_LEGACY };

/* One structure of the device (4.1.4): where its registers are. */
struct vio_pci_region {
	uint8_t bar;
	bool found;
	bool window; /* reached through the PCI_CFG capability */
	uint32_t off;
	uint32_t len;
};

struct vio_pci {
	struct vio_transport t; /* first: ops cast back */
	const struct vio_pci_ops *ops;
	void *bus;
	const struct vio_os *os;
	struct vio_bar bars[6];
	unsigned open_bars; /* bit per BAR opened */
	struct vio_pci_region common, notify, isr, device;
	uint32_t notify_multiplier;
	unsigned cfg_window;	/* offset of the PCI_CFG capability, 0: none */
	unsigned msix_cap;	/* offset of the MSI-X capability, 0: none */
	uint16_t msix_entries;	/* table size, 0: none */
	uint16_t device_type;	/* enum virtio_id */
	bool notif_config_data; /* negotiated */
	/* Where and what to write for each queue, learnt when it is enabled. */
	struct vio_pci_notify {
		uint32_t off;
		uint16_t value;
		bool valid;
	} notify_at[VIO_MAX_QUEUES];
};

/*
 * Recognise a virtio PCI function and make pci->t ready for use. Reads capabilities and opens BARs
 * only; writes no virtio register. bus, ops and os must outlive pci.
 * VIO_ENODEV: not virtio, or not the interface asked for. VIO_EBROKEN: capabilities that point
 * outside their BARs (H-10); `pci->t.why` says which.
 */
int vio_pci_open(struct vio_pci *pci, const struct vio_pci_ops *ops, void *bus,
		 const struct vio_os *os, enum vio_pci_prefer prefer) VIO_MUST_CHECK;
void vio_pci_close(struct vio_pci *pci);

/* The live state of the MSI-X enable bit. */
bool vio_pci_msix_on(const struct vio_pci *pci);

/*
 * Where the MSI-X table lies, for ports that program it themselves. VIO_ENOTSUP if there is no
 * capability, VIO_EBROKEN if the table does not fit its BAR.
 */
int vio_pci_msix_table(struct vio_pci *pci, unsigned *bar, uint32_t *off,
		       uint16_t *entries) VIO_MUST_CHECK;

#endif
