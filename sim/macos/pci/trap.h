/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers that a kext reads and writes by dereferencing a pointer.
 *
 * Theory of operation
 *
 * Mapping a memory BAR gives out address space without memory. A load or store there faults; the
 * handler of SIGSEGV decodes the instruction, asks the board, puts the result where the instruction
 * would have, and goes on behind it.
 *
 * The address space is one arena, reserved at boot and cut into slots of one size, so that finding
 * the register behind an address is a division. A slot that was given back keeps faulting, and is
 * used again as late as possible: an access through an unmapped map is caught.
 *
 * It works wherever a fault can happen: at interrupt level, in a stopped world (nothing is locked
 * or allocated here), with sanitizers, under valgrind (--vex-iropt-register-updates=
 * allregs-at-mem-access, or the registers a store takes its value from are stale).
 */
#ifndef SIM_MACOS_PCI_TRAP_H
#define SIM_MACOS_PCI_TRAP_H

#include <stdint.h>

struct mac_pci;

/* For the rest of the process: a driver's last release may come after its bus has gone. */
void sim_trap_boot(void);

/*
 * An address for [off, off + len) of a BAR, whose register at `off` is at physical address `phys`;
 * 0: no room. Thread level.
 */
uintptr_t sim_trap_map(struct mac_pci *pci, unsigned bar, uint64_t off, uint64_t len,
		       uint64_t phys);
void sim_trap_unmap(uintptr_t address);

#endif
