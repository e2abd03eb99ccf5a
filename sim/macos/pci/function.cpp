/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim/macos/pci/function.h"

#include <unistd.h>

#define CHAIN_MOST ((PCI_CONFIG_LEN - PCI_FIRST_CAP) / 4)

static uint32_t ones(unsigned width)
{
	return width >= 4 ? 0xffffffffu : (1u << (8 * width)) - 1;
}

/*
 * Between the two the board may be asked. Counting first and looking second, where
 * pci_function_leave() marks first and counts second, leaves no gap.
 */
static bool board_begin(struct mac_pci *pci)
{
	sim_host_begin();
	__atomic_fetch_add(&pci->users, 1, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&pci->gone, __ATOMIC_SEQ_CST))
		return true;
	__atomic_fetch_sub(&pci->users, 1, __ATOMIC_SEQ_CST);
	sim_host_end();
	return false;
}

static void board_end(struct mac_pci *pci)
{
	__atomic_fetch_sub(&pci->users, 1, __ATOMIC_SEQ_CST);
	sim_host_end();
}

void pci_function_leave(struct mac_pci *pci)
{
	__atomic_store_n(&pci->gone, true, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&pci->users, __ATOMIC_SEQ_CST))
		usleep(100);
}

uint32_t pci_cfg_read(struct mac_pci *pci, unsigned off, unsigned width)
{
	uint32_t val;

	if (off + width > PCI_CONFIG_LEN || !board_begin(pci))
		return ones(width);
	val = pci->ops->cfg_read(pci->fn, off, width) & ones(width);
	board_end(pci);
	return val;
}

void pci_cfg_write(struct mac_pci *pci, unsigned off, unsigned width, uint32_t val)
{
	if (off + width > PCI_CONFIG_LEN || !board_begin(pci))
		return;
	if (off == kIOPCIConfigCommand)
		__atomic_store_n(&pci->command, val, __ATOMIC_RELAXED);
	pci->ops->cfg_write(pci->fn, off, width, val & ones(width));
	board_end(pci);
}

static bool decoded(const struct mac_pci *pci, unsigned bar)
{
	uint32_t bit = pci->bars[bar].io ? kIOPCICommandIOSpace : kIOPCICommandMemorySpace;

	return (__atomic_load_n(&pci->command, __ATOMIC_RELAXED) & bit) != 0;
}

uint32_t pci_bar_read(struct mac_pci *pci, unsigned bar, uint64_t off, unsigned width)
{
	uint32_t val;

	if (!decoded(pci, bar) || !board_begin(pci))
		return ones(width);
	val = pci->ops->bar_read(pci->fn, bar, off, width) & ones(width);
	board_end(pci);
	return val;
}

void pci_bar_write(struct mac_pci *pci, unsigned bar, uint64_t off, unsigned width, uint32_t val)
{
	if (!decoded(pci, bar) || !board_begin(pci))
		return;
	pci->ops->bar_write(pci->fn, bar, off, width, val & ones(width));
	board_end(pci);
}

bool pci_board_intx_on(struct mac_pci *pci)
{
	bool ok;

	if (!board_begin(pci))
		return false;
	ok = pci->ops->intx_on(pci->fn);
	board_end(pci);
	return ok;
}

bool pci_board_msix_on(struct mac_pci *pci, unsigned vectors)
{
	bool ok;

	if (!board_begin(pci))
		return false;
	ok = pci->ops->msix_on(pci->fn, vectors);
	board_end(pci);
	return ok;
}

void pci_board_irq_off(struct mac_pci *pci)
{
	if (!board_begin(pci))
		return;
	pci->ops->irq_off(pci->fn);
	board_end(pci);
}

uint64_t pci_board_irq_wait(struct mac_pci *pci, uint32_t timeout_us)
{
	uint64_t fired;

	if (!board_begin(pci))
		return 0;
	fired = pci->ops->irq_wait(pci->fn, timeout_us);
	board_end(pci);
	return fired;
}

/*
 * [XNU-PCI-5] "The next one" is the lowest above the offset given, not the next one in the chain.
 * The length of the walk is bounded: a chain may be a ring.
 */
unsigned pci_find_cap(struct mac_pci *pci, unsigned id, unsigned above)
{
	unsigned at, best = 0;

	if (!(pci_cfg_read(pci, kIOPCIConfigStatus, 2) & kIOPCIStatusCapabilities))
		return 0;
	at = pci_cfg_read(pci, kIOPCIConfigCapabilitiesPtr, 1) & 0xfcu;
	for (unsigned i = 0; at >= PCI_FIRST_CAP && i < CHAIN_MOST; i++) {
		uint32_t head = pci_cfg_read(pci, at, 2);

		if ((head & 0xff) == id && at > above) {
			if (!above)
				return at;
			if (!best || at < best)
				best = at;
		}
		at = head >> 8 & 0xfcu;
	}
	return best;
}

void pci_function_look(struct mac_pci *pci)
{
	for (unsigned i = 0; i < PCI_BARS; i++) {
		struct sim_pci_bar bar = {};

		sim_host_begin();
		if (pci->ops->bar(pci->fn, i, &bar))
			pci->bars[i] = bar;
		sim_host_end();
	}
	pci->command = pci_cfg_read(pci, kIOPCIConfigCommand, 2);
	pci->pin = pci_cfg_read(pci, kIOPCIConfigInterruptPin, 1);
	if (pci->pin > 4)
		pci->pin = 0;
	pci->msix_cap = pci_find_cap(pci, kIOPCIMSIXCapability, 0);
	if (!pci->msix_cap)
		return;
	pci->msix_entries =
		(pci_cfg_read(pci, pci->msix_cap + PCI_MSIX_CTRL, 2) & PCI_MSIX_SIZE) + 1;
	if (pci->msix_entries > PCI_MSIX_MOST)
		pci->msix_entries = PCI_MSIX_MOST;
}
