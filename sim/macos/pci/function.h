/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One PCI function, from the kernel's side: a board's table of operations, and what was found in
 * it. It outlives its nub, whose last release may come long after the function has left.
 *
 * Accesses go through here, never to the board directly: they count as the host's work (a stopped
 * world does not stop inside a board), and they stop reaching a board whose program took the
 * function away.
 */
#ifndef SIM_MACOS_PCI_FUNCTION_H
#define SIM_MACOS_PCI_FUNCTION_H

#include "guest/ports/xnu/kpi/pci.h"
#include "sim/macos/board.h"
#include "sim/macos/mac.h"
#include "sim/macos/sim.h"

#define PCI_BARS	6u
#define PCI_CONFIG_LEN	256u
#define PCI_HEADER_LEN	64u
#define PCI_MSIX_CTRL	2u /* offset in the capability: size of the table, enable bit */
#define PCI_MSIX_SIZE	0x7ffu
#define PCI_MSIX_MOST	64u /* vectors a board can tell apart */
#define PCI_FIRST_CAP	0x40u
#define PCI_DECODE_BITS (kIOPCICommandIOSpace | kIOPCICommandMemorySpace | kIOPCICommandBusMaster)

struct pci_irq;

struct mac_pci {
	const struct sim_pci_ops *ops;
	void *fn;
	char name[32];
	bool built_in;
	unsigned slot;
	struct sim_pci_bar bars[PCI_BARS]; /* len 0: none */
	unsigned msix_cap, msix_entries;   /* 0: no such capability */
	unsigned pin;			   /* of the interrupt line, 0: none */
	struct pci_irq *irq;
	IOPCIDevice *nub;
	struct mac_pci *next;
	uint32_t command; /* as last written: decoding and bus mastering */
	unsigned users;	  /* accesses under way */
	bool gone;	  /* the board is not asked any more */
};

/* The function behind a nub. */
struct mac_pci *pci_function(const IOPCIDevice *nub);

/* Reads what the configuration space says about BARs, pin and MSI-X. */
void pci_function_look(struct mac_pci *pci);
/* No access reaches the board after this returns. */
void pci_function_leave(struct mac_pci *pci);

/* All ones, or nothing, for a function that is gone. Any level. */
uint32_t pci_cfg_read(struct mac_pci *pci, unsigned off, unsigned width);
void pci_cfg_write(struct mac_pci *pci, unsigned off, unsigned width, uint32_t val);
/* A BAR that is not decoded (command register) reads all ones, and takes nothing. */
uint32_t pci_bar_read(struct mac_pci *pci, unsigned bar, uint64_t off, unsigned width);
void pci_bar_write(struct mac_pci *pci, unsigned bar, uint64_t off, unsigned width, uint32_t val);

/* Interrupts of the board, for interrupts.cpp. */
bool pci_board_intx_on(struct mac_pci *pci);
bool pci_board_msix_on(struct mac_pci *pci, unsigned vectors);
void pci_board_irq_off(struct mac_pci *pci);
uint64_t pci_board_irq_wait(struct mac_pci *pci, uint32_t timeout_us);

/* The first capability with that id whose offset is above `above`; 0: none. */
unsigned pci_find_cap(struct mac_pci *pci, unsigned id, unsigned above);

#endif
