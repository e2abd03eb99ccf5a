/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An IOPCIDevice as the transport's bus (vio/pci.h).
 */
#ifndef PORT_PCI_XNU_H
#define PORT_PCI_XNU_H

#include "guest/ports/xnu/kpi/libc.h"
#include "guest/ports/xnu/kpi/pci.h"

extern "C" {
#include "vio/pci.h"
}

struct pci_xnu {
	IOPCIDevice *device;
	IOMemoryMap *maps[6];
	volatile UInt8 *regs[6]; /* 0: port I/O, or not mapped */
	UInt8 config[256];	 /* as last read, see cfg_read */
};

extern const struct vio_pci_ops pci_xnu_ops; /* bus: struct pci_xnu */

void pci_xnu_init(struct pci_xnu *bus, IOPCIDevice *device);
void pci_xnu_free(struct pci_xnu *bus); /* after the transport closed its BARs */

#endif
