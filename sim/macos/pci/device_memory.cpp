/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Device memory: as in a kernel, a general descriptor over physical addresses under another name
 * (IODeviceMemory has no members and cannot be made). [XNU-MEM-7]
 */
#include "guest/ports/xnu/kpi/collections.h"
#include "sim/macos/pci/function.h"
#include "sim/macos/pci/memory.h"
#include "sim/macos/pci/trap.h"

OSDefineMetaClassAndAbstractStructors(IODeviceMemory, IOMemoryDescriptor)

/* The two differ in name only: neither adds a member or a slot to IOMemoryDescriptor. */
static IODeviceMemory *renamed(IOMemoryDescriptor *memory)
{
	return static_cast<IODeviceMemory *>(memory);
}

IODeviceMemory *SimDeviceMemory::make(struct mac_pci *pci, unsigned bar, uint64_t off, uint64_t len)
{
	const struct sim_pci_bar *b = &pci->bars[bar];
	SimDeviceMemory *memory = new SimDeviceMemory;
	IOAddressRange range = {b->addr + off, len};

	if (!memory->initWithOptions(&range, 1, 0, nullptr,
				     kIOMemoryTypePhysical | kIOMemoryMapperNone)) {
		memory->release();
		return nullptr;
	}
	memory->pci = pci;
	memory->bar = bar;
	memory->io = b->io;
	memory->off = off;
	return renamed(memory);
}

/* [XNU-PCI-4] The address of mapped I/O space is a port number. */
IOMemoryMap *SimDeviceMemory::makeMapping(IOMemoryDescriptor *owner, task_t into, IOVirtualAddress,
					  IOOptionBits options, IOByteCount offset,
					  IOByteCount length)
{
	IOVirtualAddress at = pci->bars[bar].addr + off + offset;
	SimMemoryMap *map;

	if (!io)
		at = sim_trap_map(pci, bar, off + offset, length, at);
	if (at == 0)
		return nullptr;
	map = SimMemoryMap::make(owner, into, at, options, offset, length);
	if (map)
		map->trapped = !io;
	else if (!io)
		sim_trap_unmap(at);
	return map;
}

OSArray *IODeviceMemory::arrayFromList(InitElement list[], IOItemCount count)
{
	OSArray *array = OSArray::withCapacity(count);

	for (IOItemCount i = 0; array && i < count; i++) {
		IODeviceMemory *memory = withRange(list[i].start, list[i].length);

		if (!memory) {
			array->release();
			return nullptr;
		}
		memory->setTag(list[i].tag);
		array->setObject(memory);
		memory->release();
	}
	return array;
}

IODeviceMemory *IODeviceMemory::withRange(IOPhysicalAddress start, IOPhysicalLength length)
{
	return renamed(
		IOMemoryDescriptor::withAddressRange(start, length, kIOMemoryMapperNone, nullptr));
}

IODeviceMemory *IODeviceMemory::withSubRange(IODeviceMemory *, IOPhysicalAddress, IOPhysicalLength)
{
	sim_violation("IODeviceMemory::withSubRange is not simulated");
}
