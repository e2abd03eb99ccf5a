/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory descriptors.
 *
 * Theory of operation
 *
 * Every descriptor is an IOGeneralMemoryDescriptor over a list of ranges, of kernel addresses or of
 * device addresses. The header leaves IOMemoryMap and device memory without members; ours are in
 * subclasses that have no metaclass of their own, so that they count and cast as what they stand
 * for.
 *
 * The only memory a device reaches is the board's (sim_ram), which is one piece here and there. A
 * kernel's memory is not: pages that follow each other seldom do so on the bus. So the run that
 * getPhysicalSegment() tells may end at any page boundary unless the memory was asked for in one
 * piece: which ones, the seed says. [XNU-MEM-2]
 */
#ifndef SIM_MACOS_PCI_MEMORY_H
#define SIM_MACOS_PCI_MEMORY_H

#include "guest/ports/xnu/kpi/memory.h"
#include "sim/macos/sim.h"

#define MEM_PAGE UINT64_C(4096)

/*
 * dmaCommandOperation() with this: where the byte at an offset is for the processor, prepared or
 * not. at 0: nowhere (registers).
 */
#define SIM_MEMORY_HOST 0x73696d00u
struct sim_memory_host {
	IOByteCount offset; /* in */
	void *at;	    /* out */
	IOByteCount run;    /* out: from there */
};

/* In _flags, where no option of the kernel's is: how a buffer came to be. */
#define SIM_MEMORY_CONTIGUOUS 0x40000000u
#define SIM_MEMORY_WIRED      0x20000000u

/* What a map needs beside its class. */
class SimMemoryMap : public IOMemoryMap
{
public:
	IOMemoryDescriptor *memory;
	task_t task;
	IOVirtualAddress address;
	IOByteCount offset, length;
	IOOptionBits options;
	bool trapped; /* address is in the arena of trap.h */

	/* Of the piece of memory; retained. address 0 is refused by callers. */
	static SimMemoryMap *make(IOMemoryDescriptor *memory, task_t task, IOVirtualAddress address,
				  IOOptionBits options, IOByteCount offset, IOByteCount length);
};

/* Where device memory leads: a BAR of a function. */
class SimDeviceMemory : public IOGeneralMemoryDescriptor
{
public:
	struct mac_pci *pci;
	unsigned bar;
	bool io;
	uint64_t off; /* in the BAR */

	static IODeviceMemory *make(struct mac_pci *pci, unsigned bar, uint64_t off, uint64_t len);

	IOMemoryMap *makeMapping(IOMemoryDescriptor *owner, task_t into, IOVirtualAddress at,
				 IOOptionBits options, IOByteCount offset,
				 IOByteCount length) override;
};

#endif
