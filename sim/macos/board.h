/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the simulated Mac stands on: memory that devices can reach, and PCI functions.
 *
 * A program supplies both: a QEMU machine (tools/board), or a model of a device (tests/lib). Device
 * addresses are offsets into the memory: a device's address space is `base` seen from outside.
 *
 * Every operation may be called from any thread, several at a time: a board locks for itself. None
 * of them calls back.
 */
#ifndef SIM_MACOS_BOARD_H
#define SIM_MACOS_BOARD_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sim_ram {
	uint8_t *base;	/* device address 0 */
	uint64_t first; /* what lies below is not ours */
	uint64_t end;	/* device address behind the last byte */
};

struct sim_pci_bar {
	uint64_t addr;
	uint64_t len;
	bool io;
};

struct sim_pci_ops {
	/* off is a multiple of width (1, 2, 4) below 256; all ones for a device that is gone. */
	uint32_t (*cfg_read)(void *fn, unsigned off, unsigned width);
	void (*cfg_write)(void *fn, unsigned off, unsigned width, uint32_t val);
	/* False: no such BAR, or the upper half of one. */
	bool (*bar)(void *fn, unsigned bar, struct sim_pci_bar *out);
	uint32_t (*bar_read)(void *fn, unsigned bar, uint64_t off, unsigned width);
	void (*bar_write)(void *fn, unsigned bar, uint64_t off, unsigned width, uint32_t val);

	/*
	 * Interrupts: one kind at a time. What a bridge and an interrupt controller would program
	 * (routing, MSI-X table and enable bit, the INTx disable bit) is the board's work. False:
	 * the function has no such interrupt.
	 */
	bool (*intx_on)(void *fn);
	bool (*msix_on)(void *fn, unsigned vectors); /* the first `vectors` entries, unmasked */
	void (*irq_off)(void *fn);
	/*
	 * Wait for an interrupt: the vectors that fired since the last call, bit n for vector n; 0
	 * after timeout_us, or if none is on. INTx: bit 0 for as long as the line is high.
	 * One thread per function calls this, while others call the rest.
	 */
	uint64_t (*irq_wait)(void *fn, uint32_t timeout_us);
};

#ifdef __cplusplus
}
#endif

#endif
