/* SPDX-License-Identifier: BSD-2-Clause */
/* PCI bus, memory descriptors and interrupts: switched on and off with the Mac. */
#ifndef SIM_MACOS_PCI_PCI_H
#define SIM_MACOS_PCI_PCI_H

#include <stddef.h>

/* Buffers of kexts (whole pages); see protect.cpp. */
void sim_dma_add(void *at, size_t len);
void sim_dma_remove(void *at);
void sim_dma_protect(bool out);
bool sim_dma_guarded(const void *at);

/* After the registry has its root. */
void sim_pci_boot(void);
/* Removes the functions that are still there. */
void sim_pci_halt(void);

struct mac_pci;
/* Delivers the messages of a card that are there, on this thread, which idles; false: none. */
bool sim_pci_take(struct mac_pci *pci);

#endif
