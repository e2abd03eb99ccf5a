/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Buffers: memory of the kernel's own that a device reaches.
 *
 * [XNU-MEM-1] It is not cleared: sim_ram_alloc() fills it with a pattern. [XNU-MEM-3] It is wired
 * and has device addresses from the start; prepare() and complete() only count.
 */
#include <string.h>

#include "sim/macos/pci/memory.h"
#include "sim/macos/pci/pci.h"

OSDefineMetaClassAndStructors(IOBufferMemoryDescriptor, IOGeneralMemoryDescriptor)
KPI_DEFINE_PADS_64(IOBufferMemoryDescriptor, 0, 1)
KPI_DEFINE_PADS(IOBufferMemoryDescriptor, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)

#define KNOWN_OPTIONS                                                                              \
	(kIOMemoryDirectionMask | kIOMemoryPhysicallyContiguous | kIOMemoryMapperNone |            \
	 kIOMemoryKernelUserShared | kIOMapCacheMask | kIOMemoryThreadSafe)

/* Pageable memory and that of user tasks have no place here. */
static void check(task_t task, IOOptionBits options)
{
	if (task != kernel_task)
		sim_violation("IOBufferMemoryDescriptor for a user task is not simulated");
	if (options & kIOMemoryPageable)
		sim_violation("IOBufferMemoryDescriptor: pageable memory is not simulated");
	if (options & ~static_cast<IOOptionBits>(KNOWN_OPTIONS))
		sim_violation("IOBufferMemoryDescriptor: options %#x are not simulated", options);
}

/* What begins at a page has all of its last one too: it can be locked away. */
static size_t whole(mach_vm_size_t capacity, mach_vm_address_t alignment)
{
	if (alignment < MEM_PAGE)
		return capacity;
	return (capacity + MEM_PAGE - 1) & ~(MEM_PAGE - 1);
}

bool IOBufferMemoryDescriptor::initWithPhysicalMask(task_t task, IOOptionBits options,
						    mach_vm_size_t capacity,
						    mach_vm_address_t alignment,
						    mach_vm_address_t mask)
{
	bool contiguous = (options & kIOMemoryPhysicallyContiguous) != 0;
	UInt64 limit = ~0ULL;
	IOAddressRange range;

	check(task, options);
	if (capacity == 0)
		return false;
	if (alignment > 1 && (alignment & (alignment - 1)))
		sim_violation("IOBufferMemoryDescriptor: alignment %#llx is no power of two",
			      alignment);
	/* [XNU-MEM-6] Low zero bits of the mask are an alignment, the high ones a limit. */
	if (mask) {
		alignment = mask & (~mask + 1);
		limit = mask | (alignment - 1);
		if (alignment < MEM_PAGE)
			alignment = MEM_PAGE;
	}
	if ((options & kIOMapCacheMask) != 0 && alignment < MEM_PAGE)
		alignment = MEM_PAGE;
	if (alignment > MEM_PAGE)
		contiguous = true;
	_buffer = sim_ram_alloc(whole(capacity, alignment), alignment ? alignment : 1, limit);
	if (!_buffer)
		return false;
	if (alignment >= MEM_PAGE)
		sim_dma_add(_buffer, whole(capacity, alignment));
	_capacity = capacity;
	_alignment = alignment;
	_options = options;
	range.address = reinterpret_cast<uintptr_t>(_buffer);
	range.length = capacity;
	if (!IOGeneralMemoryDescriptor::initWithOptions(&range, 1, 0, kernel_task,
							(options & kIOMemoryDirectionMask) |
								kIOMemoryTypeVirtual))
		return false;
	_flags |= SIM_MEMORY_WIRED | (contiguous ? SIM_MEMORY_CONTIGUOUS : 0);
	return true;
}

void IOBufferMemoryDescriptor::free()
{
	void *buffer = _buffer;
	vm_size_t len = whole(_capacity, _alignment);

	if (buffer && _alignment >= MEM_PAGE)
		sim_dma_remove(buffer);
	IOGeneralMemoryDescriptor::free();
	if (buffer)
		sim_ram_free(buffer, len);
}

/* ---- factories ---- */

IOBufferMemoryDescriptor *IOBufferMemoryDescriptor::inTaskWithPhysicalMask(task_t task,
									   IOOptionBits options,
									   mach_vm_size_t capacity,
									   mach_vm_address_t mask)
{
	IOBufferMemoryDescriptor *memory;

	sim_may_block("IOBufferMemoryDescriptor::inTaskWithPhysicalMask");
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	memory = new IOBufferMemoryDescriptor;
	if (memory && !memory->initWithPhysicalMask(task, options, capacity, 1, mask)) {
		memory->release();
		return nullptr;
	}
	return memory;
}

/*
 * Each asks for itself whether it fails: the caller that counts is the kext, not one of these.
 */
IOBufferMemoryDescriptor *IOBufferMemoryDescriptor::inTaskWithOptions(task_t task,
								      IOOptionBits options,
								      vm_size_t capacity,
								      vm_offset_t alignment)
{
	IOBufferMemoryDescriptor *memory;

	sim_may_block("IOBufferMemoryDescriptor::inTaskWithOptions");
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	memory = new IOBufferMemoryDescriptor;
	if (memory && !memory->initWithPhysicalMask(task, options, capacity, alignment, 0)) {
		memory->release();
		return nullptr;
	}
	return memory;
}

IOBufferMemoryDescriptor *IOBufferMemoryDescriptor::withOptions(IOOptionBits options,
								vm_size_t capacity,
								vm_offset_t alignment)
{
	IOBufferMemoryDescriptor *memory;

	sim_may_block("IOBufferMemoryDescriptor::withOptions");
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	memory = new IOBufferMemoryDescriptor;
	if (memory && !memory->initWithPhysicalMask(kernel_task, options, capacity, alignment, 0)) {
		memory->release();
		return nullptr;
	}
	return memory;
}

IOBufferMemoryDescriptor *IOBufferMemoryDescriptor::withCapacity(vm_size_t capacity,
								 IODirection direction,
								 bool contiguous)
{
	IOOptionBits options = direction;
	IOBufferMemoryDescriptor *memory;

	if (contiguous)
		options |= kIOMemoryPhysicallyContiguous;
	sim_may_block("IOBufferMemoryDescriptor::withCapacity");
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	memory = new IOBufferMemoryDescriptor;
	if (memory && !memory->initWithPhysicalMask(kernel_task, options, capacity, 1, 0)) {
		memory->release();
		return nullptr;
	}
	return memory;
}

IOBufferMemoryDescriptor *IOBufferMemoryDescriptor::withBytes(const void *, vm_size_t, IODirection,
							      bool)
{
	sim_violation("IOBufferMemoryDescriptor::withBytes is not simulated");
}

/* ---- contents ---- */

/* It may shrink and grow again, up to what was asked for. */
void IOBufferMemoryDescriptor::setLength(vm_size_t length)
{
	if (length > _capacity)
		sim_violation("IOBufferMemoryDescriptor::setLength: %lu of a capacity of %lu",
			      length, _capacity);
	_length = length;
	_ranges.v64[0].length = length;
}

void IOBufferMemoryDescriptor::setDirection(IODirection direction)
{
	_flags = (_flags & ~static_cast<IOOptionBits>(kIOMemoryDirectionMask)) |
		 (direction & kIOMemoryDirectionMask);
}

vm_size_t IOBufferMemoryDescriptor::getCapacity() const
{
	return _capacity;
}

void *IOBufferMemoryDescriptor::getBytesNoCopy()
{
	return _buffer;
}

void *IOBufferMemoryDescriptor::getBytesNoCopy(vm_size_t offset, vm_size_t length)
{
	if (offset > _length || length > _length - offset)
		return nullptr;
	return static_cast<char *>(_buffer) + offset;
}

bool IOBufferMemoryDescriptor::appendBytes(const void *bytes, vm_size_t length)
{
	vm_size_t room = _capacity - _length;

	if (length > room)
		length = room;
	if (bytes)
		memcpy(static_cast<char *>(_buffer) + _length, bytes, length);
	setLength(_length + length);
	return true;
}
