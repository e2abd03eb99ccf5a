/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim/macos/pci/memory.h"
#include "sim/macos/pci/trap.h"

OSDefineMetaClassAndStructors(IOMemoryMap, OSObject)
KPI_DEFINE_PADS(IOMemoryMap, 0, 1, 2, 3, 4, 5, 6, 7)

/* All there are were made by make(). */
static SimMemoryMap *ours(IOMemoryMap *map)
{
	return static_cast<SimMemoryMap *>(map);
}

SimMemoryMap *SimMemoryMap::make(IOMemoryDescriptor *memory, task_t task, IOVirtualAddress address,
				 IOOptionBits options, IOByteCount offset, IOByteCount length)
{
	SimMemoryMap *map = new SimMemoryMap;

	if (!map->init()) {
		map->release();
		return nullptr;
	}
	memory->retain();
	map->memory = memory;
	map->task = task;
	map->address = address;
	map->options = options;
	map->offset = offset;
	map->length = length;
	return map;
}

IOVirtualAddress IOMemoryMap::getVirtualAddress()
{
	return ours(this)->address;
}

IOPhysicalAddress IOMemoryMap::getPhysicalSegment(IOByteCount offset, IOByteCount *length,
						  IOOptionBits options)
{
	SimMemoryMap *map = ours(this);
	IOPhysicalAddress at;

	if (offset >= map->length) {
		*length = 0;
		return 0;
	}
	at = map->memory->getPhysicalSegment(map->offset + offset, length, options);
	if (*length > map->length - offset)
		*length = map->length - offset;
	return at;
}

IOPhysicalAddress IOMemoryMap::getPhysicalAddress()
{
	IOByteCount length;

	return getPhysicalSegment(0, &length, 0);
}

IOByteCount IOMemoryMap::getLength()
{
	return ours(this)->length;
}

task_t IOMemoryMap::getAddressTask()
{
	return ours(this)->task;
}

IOMemoryDescriptor *IOMemoryMap::getMemoryDescriptor()
{
	return ours(this)->memory;
}

IOOptionBits IOMemoryMap::getMapOptions()
{
	return ours(this)->options;
}

/* [XNU-MEM-5] Also by the last release; the object stays, with address 0. */
IOReturn IOMemoryMap::unmap()
{
	SimMemoryMap *map = ours(this);

	sim_may_block("IOMemoryMap::unmap");
	if (map->trapped)
		sim_trap_unmap(map->address);
	map->trapped = false;
	map->address = 0;
	return kIOReturnSuccess;
}

void IOMemoryMap::taskDied()
{
	sim_violation("IOMemoryMap::taskDied is not simulated");
}

IOReturn IOMemoryMap::redirect(IOMemoryDescriptor *, IOOptionBits, mach_vm_size_t)
{
	sim_violation("IOMemoryMap::redirect is not simulated");
}

/*
 * In a kernel the descriptor's list has one reference, and the map goes when only that one is left.
 * Here there is no list.
 */
void IOMemoryMap::taggedRelease(const void *tag) const
{
	OSObject::taggedRelease(tag);
}

void IOMemoryMap::free()
{
	SimMemoryMap *map = ours(this);

	unmap();
	if (map->memory)
		map->memory->release();
	OSObject::free();
}
