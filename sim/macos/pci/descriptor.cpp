/* SPDX-License-Identifier: BSD-2-Clause */
/* What all descriptors have: factories, copying in and out, mapping. And maps. */
#include <string.h>

#include "sim/macos/pci/memory.h"
#include "sim/macos/pci/trap.h"

OSDefineMetaClassAndAbstractStructors(IOMemoryDescriptor, OSObject)
KPI_DEFINE_PADS_64(IOMemoryDescriptor, 1, 2, 3, 4, 5, 6, 7)
KPI_DEFINE_PADS(IOMemoryDescriptor, 8, 9, 10, 11, 12, 13, 14, 15)

/* ---- factories ---- */

static IOMemoryDescriptor *general(void *ranges, UInt32 count, UInt32 offset, task_t task,
				   IOOptionBits options, IOMapper *mapper, const void *caller)
{
	IOGeneralMemoryDescriptor *memory;

	if (sim_alloc_fails(caller))
		return nullptr;
	memory = new IOGeneralMemoryDescriptor;
	if (memory && !memory->initWithOptions(ranges, count, offset, task, options, mapper)) {
		memory->release();
		return nullptr;
	}
	return memory;
}

static IOMemoryDescriptor *general_range(UInt64 address, UInt64 length, IOOptionBits options,
					 task_t task, const void *caller)
{
	IOAddressRange range = {address, length};

	sim_may_block("IOMemoryDescriptor::withAddressRange");
	options |= task ? kIOMemoryTypeVirtual : kIOMemoryTypePhysical;
	return general(&range, 1, 0, task, options, nullptr, caller);
}

IOMemoryDescriptor *IOMemoryDescriptor::withAddress(void *address, IOByteCount length,
						    IODirection direction)
{
	return general_range(reinterpret_cast<uintptr_t>(address), length, direction, kernel_task,
			     __builtin_return_address(0));
}

IOMemoryDescriptor *IOMemoryDescriptor::withPhysicalAddress(IOPhysicalAddress address,
							    IOByteCount length,
							    IODirection direction)
{
	return general_range(address, length, direction, nullptr, __builtin_return_address(0));
}

IOMemoryDescriptor *IOMemoryDescriptor::withAddressRange(mach_vm_address_t address,
							 mach_vm_size_t length,
							 IOOptionBits options, task_t task)
{
	return general_range(address, length, options, task, __builtin_return_address(0));
}

IOMemoryDescriptor *IOMemoryDescriptor::withAddressRanges(IOAddressRange *ranges, UInt32 count,
							  IOOptionBits options, task_t task)
{
	sim_may_block("IOMemoryDescriptor::withAddressRanges");
	options |= task ? kIOMemoryTypeVirtual : kIOMemoryTypePhysical;
	return general(ranges, count, 0, task, options, nullptr, __builtin_return_address(0));
}

IOMemoryDescriptor *IOMemoryDescriptor::withOptions(void *buffers, UInt32 count, UInt32 offset,
						    task_t task, IOOptionBits options,
						    IOMapper *mapper)
{
	sim_may_block("IOMemoryDescriptor::withOptions");
	return general(buffers, count, offset, task, options, mapper, __builtin_return_address(0));
}

IOMemoryDescriptor *IOMemoryDescriptor::withPersistentMemoryDescriptor(IOMemoryDescriptor *)
{
	sim_violation("IOMemoryDescriptor::withPersistentMemoryDescriptor is not simulated");
}

/* ---- what it is ---- */

bool IOMemoryDescriptor::initWithOptions(void *, UInt32, UInt32, task_t, IOOptionBits, IOMapper *)
{
	return false;
}

IODirection IOMemoryDescriptor::getDirection() const
{
	return _flags & kIOMemoryDirectionMask;
}

IOByteCount IOMemoryDescriptor::getLength() const
{
	return _length;
}

void IOMemoryDescriptor::setTag(IOOptionBits tag)
{
	_tag = tag;
}

IOOptionBits IOMemoryDescriptor::getTag()
{
	return _tag;
}

IOPhysicalAddress IOMemoryDescriptor::getPhysicalAddress()
{
	IOByteCount run;

	return getPhysicalSegment(0, &run, kIOMemoryMapperNone);
}

IOReturn IOMemoryDescriptor::setPurgeable(IOOptionBits, IOOptionBits *)
{
	sim_violation("IOMemoryDescriptor::setPurgeable is not simulated");
}

IOReturn IOMemoryDescriptor::performOperation(IOOptionBits, IOByteCount, IOByteCount)
{
	sim_violation("IOMemoryDescriptor::performOperation is not simulated");
}

IOReturn IOMemoryDescriptor::dmaCommandOperation(DMACommandOps, void *, UInt) const
{
	return kIOReturnUnsupported;
}

UInt64 IOMemoryDescriptor::getPreparationID()
{
	sim_violation("IOMemoryDescriptor::getPreparationID is not simulated");
}

/* Copies at most length bytes, from `bytes` if it is not 0, else to `into`. */
static IOByteCount copy(IOMemoryDescriptor *memory, IOByteCount offset, void *into,
			const void *bytes, IOByteCount length)
{
	IOByteCount done = 0;

	while (done < length) {
		struct sim_memory_host host = {offset + done, nullptr, 0};
		IOByteCount n = length - done;

		if (memory->dmaCommandOperation(SIM_MEMORY_HOST, &host, sizeof(host)) ||
		    host.run == 0)
			break;
		if (!host.at)
			sim_violation("IOMemoryDescriptor: readBytes or writeBytes on registers");
		if (n > host.run)
			n = host.run;
		if (bytes)
			memcpy(host.at, static_cast<const char *>(bytes) + done, n);
		else
			memcpy(static_cast<char *>(into) + done, host.at, n);
		done += n;
	}
	return done;
}

IOByteCount IOMemoryDescriptor::readBytes(IOByteCount offset, void *bytes, IOByteCount length)
{
	return copy(this, offset, bytes, nullptr, length);
}

IOByteCount IOMemoryDescriptor::writeBytes(IOByteCount offset, const void *bytes,
					   IOByteCount length)
{
	return copy(this, offset, nullptr, bytes, length);
}

/* ---- mapping ---- */

IOMemoryMap *IOMemoryDescriptor::createMappingInTask(task_t task, mach_vm_address_t address,
						     IOOptionBits options, mach_vm_size_t offset,
						     mach_vm_size_t length)
{
	sim_may_block("IOMemoryDescriptor::createMappingInTask");
	if (task != kernel_task || !(options & kIOMapAnywhere))
		sim_violation("IOMemoryDescriptor: mapping to a user task, or to a fixed address, "
			      "is not simulated");
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	if (length == 0 && offset <= _length)
		length = _length - offset;
	if (offset > _length || length > _length - offset || length == 0)
		return nullptr;
	return makeMapping(this, task, address, options, offset, length);
}

IOMemoryMap *IOMemoryDescriptor::map(IOOptionBits options)
{
	sim_may_block("IOMemoryDescriptor::map");
	if (sim_alloc_fails(__builtin_return_address(0)) || _length == 0)
		return nullptr;
	return makeMapping(this, kernel_task, 0, options | kIOMapAnywhere, 0, _length);
}

/* Memory is where the processor has it already. */
IOMemoryMap *IOMemoryDescriptor::makeMapping(IOMemoryDescriptor *owner, task_t task,
					     IOVirtualAddress, IOOptionBits options,
					     IOByteCount offset, IOByteCount length)
{
	struct sim_memory_host host = {offset, nullptr, 0};

	if (owner->dmaCommandOperation(SIM_MEMORY_HOST, &host, sizeof(host)) || !host.at)
		return nullptr;
	if (host.run < length)
		sim_violation("IOMemoryDescriptor: mapping of several ranges is not simulated");
	return SimMemoryMap::make(owner, task, reinterpret_cast<uintptr_t>(host.at), options,
				  offset, length);
}

IOMemoryMap *IOMemoryDescriptor::setMapping(task_t, IOVirtualAddress, IOOptionBits)
{
	sim_violation("IOMemoryDescriptor::setMapping is not simulated");
}

IOReturn IOMemoryDescriptor::redirect(task_t, bool)
{
	sim_violation("IOMemoryDescriptor::redirect is not simulated");
}

void IOMemoryDescriptor::addMapping(IOMemoryMap *)
{
	sim_violation("IOMemoryDescriptor::addMapping is not simulated");
}

void IOMemoryDescriptor::removeMapping(IOMemoryMap *)
{
	sim_violation("IOMemoryDescriptor::removeMapping is not simulated");
}

IOReturn IOMemoryDescriptor::doMap(vm_map_t, IOVirtualAddress *, IOOptionBits, IOByteCount,
				   IOByteCount)
{
	sim_violation("IOMemoryDescriptor::doMap is not simulated");
}

IOReturn IOMemoryDescriptor::doUnmap(vm_map_t, IOVirtualAddress, IOByteCount)
{
	sim_violation("IOMemoryDescriptor::doUnmap is not simulated");
}

void IOMemoryDescriptor::free()
{
	OSObject::free();
}
