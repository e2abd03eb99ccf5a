/* SPDX-License-Identifier: BSD-2-Clause */
/* A descriptor over ranges: of kernel memory, or of device addresses. */
#include <stdlib.h>

#include "guest/ports/xnu/kpi/collections.h"
#include "sim/macos/pci/memory.h"

/* The class has members that only a kernel uses, and clang sees them all here. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wunused-private-field"
#endif

OSDefineMetaClassAndStructors(IOGeneralMemoryDescriptor, IOMemoryDescriptor)

bool IOGeneralMemoryDescriptor::initWithOptions(void *buffers, UInt32 count, UInt32 offset,
						task_t task, IOOptionBits options, IOMapper *)
{
	const IOAddressRange *ranges = static_cast<const IOAddressRange *>(buffers);
	IOOptionBits type = options & kIOMemoryTypeMask;

	if (offset || (type != kIOMemoryTypeVirtual && type != kIOMemoryTypePhysical))
		sim_violation("IOGeneralMemoryDescriptor: options %#x with offset %u are not "
			      "simulated",
			      options, offset);
	if (type == kIOMemoryTypeVirtual && task != kernel_task)
		sim_violation("IOGeneralMemoryDescriptor: memory of a user task is not simulated");
	if (_initialized)
		sim_violation("IOGeneralMemoryDescriptor %p initialised twice",
			      static_cast<void *>(this));
	if (count == 0 || !ranges || !OSObject::init())
		return false;
	_ranges.v64 = &_singleRange.v;
	if (count > 1)
		_ranges.v64 = static_cast<IOAddressRange *>(calloc(count, sizeof(*ranges)));
	for (UInt32 i = 0; i < count; i++) {
		if (ranges[i].length > ~_length)
			return false;
		_ranges.v64[i] = ranges[i];
		_length += ranges[i].length;
	}
	_rangesCount = count;
	_task = task;
	_flags = options;
	_initialized = true;
	return true;
}

void IOGeneralMemoryDescriptor::free()
{
	if (_wireCount)
		sim_violation("IOMemoryDescriptor %p released while prepared %u times",
			      static_cast<void *>(this), _wireCount);
	if (_ranges.v64 && _ranges.v64 != &_singleRange.v)
		::free(_ranges.v64);
	IOMemoryDescriptor::free();
}

/* ---- where it is ---- */

/* [XNU-MEM-2] Whether the page that begins here follows the one before it on the bus. */
static bool page_follows(uintptr_t page)
{
	uint64_t mixed = (page / MEM_PAGE + sim_config.seed) * UINT64_C(0x9e3779b97f4a7c15);

	return mixed >> 62 != 0; /* three of four */
}

static UInt64 device_run(uintptr_t at, UInt64 most, bool contiguous)
{
	UInt64 run = MEM_PAGE - (at & (MEM_PAGE - 1));

	if (contiguous)
		return most;
	while (run < most && page_follows(at + run))
		run += MEM_PAGE;
	return run < most ? run : most;
}

IOReturn IOGeneralMemoryDescriptor::dmaCommandOperation(DMACommandOps op, void *data,
							UInt size) const
{
	struct sim_memory_host *host = static_cast<struct sim_memory_host *>(data);
	IOByteCount offset;
	bool physical = (_flags & kIOMemoryTypeMask) == kIOMemoryTypePhysical;

	if (op != SIM_MEMORY_HOST || size != sizeof(*host))
		return kIOReturnUnsupported;
	offset = host->offset;
	host->run = 0;
	host->at = nullptr;
	if (offset >= _length)
		return kIOReturnOverrun;
	for (unsigned i = 0; i < _rangesCount; i++) {
		const IOAddressRange *r = &_ranges.v64[i];

		if (offset >= r->length) {
			offset -= r->length;
			continue;
		}
		host->run = r->length - offset;
		if (host->run > _length - host->offset)
			host->run = _length - host->offset;
		if (!physical)
			host->at = reinterpret_cast<void *>(r->address + offset);
		else if (r->address >= sim_config.ram.first && r->address < sim_config.ram.end)
			host->at = sim_config.ram.base + r->address + offset;
		return kIOReturnSuccess;
	}
	return kIOReturnOverrun;
}

addr64_t IOGeneralMemoryDescriptor::getPhysicalSegment(IOByteCount offset, IOByteCount *length,
						       IOOptionBits)
{
	struct sim_memory_host host = {offset, nullptr, 0};
	IOByteCount ignored;

	if (!length)
		length = &ignored;
	*length = 0;
	/* The range of this offset: in a physical one the address is the answer. */
	if (IOGeneralMemoryDescriptor::dmaCommandOperation(SIM_MEMORY_HOST, &host, sizeof(host)))
		return 0;
	if ((_flags & kIOMemoryTypeMask) == kIOMemoryTypePhysical) {
		for (unsigned i = 0; i < _rangesCount; i++) {
			if (offset < _ranges.v64[i].length) {
				*length = host.run;
				return _ranges.v64[i].address + offset;
			}
			offset -= _ranges.v64[i].length;
		}
		return 0;
	}
	if (_wireCount == 0 && !(_flags & SIM_MEMORY_WIRED))
		return 0;
	if (!sim_ram_has(host.at))
		sim_violation("IOMemoryDescriptor::getPhysicalSegment: %p is not device memory: "
			      "use an IOBufferMemoryDescriptor",
			      host.at);
	*length = device_run(reinterpret_cast<uintptr_t>(host.at), host.run,
			     (_flags & SIM_MEMORY_CONTIGUOUS) != 0);
	return sim_ram_address(host.at);
}

/* ---- wiring ---- */

/* [XNU-MEM-4] They nest; the kernel forgives a complete() too many unless it was built to check. */
IOReturn IOGeneralMemoryDescriptor::prepare(IODirection)
{
	sim_may_block("IOMemoryDescriptor::prepare");
	if (sim_alloc_fails(__builtin_return_address(0)))
		return kIOReturnNoMemory;
	if (__atomic_fetch_add(&_wireCount, 1, __ATOMIC_SEQ_CST) == 0)
		sim_born("prepared memory", this, _length, __builtin_return_address(0));
	return kIOReturnSuccess;
}

IOReturn IOGeneralMemoryDescriptor::complete(IODirection)
{
	unsigned before = __atomic_fetch_sub(&_wireCount, 1, __ATOMIC_SEQ_CST);

	if (before == 0)
		sim_violation("IOMemoryDescriptor %p: complete() without prepare()",
			      static_cast<void *>(this));
	if (before == 1)
		sim_died("prepared memory", this);
	return kIOReturnSuccess;
}

/* ---- the rest ---- */

UInt64 IOGeneralMemoryDescriptor::getPreparationID()
{
	sim_violation("IOGeneralMemoryDescriptor::getPreparationID is not simulated");
}

IOReturn IOGeneralMemoryDescriptor::setPurgeable(IOOptionBits, IOOptionBits *)
{
	sim_violation("IOGeneralMemoryDescriptor::setPurgeable is not simulated");
}

IOReturn IOGeneralMemoryDescriptor::doMap(vm_map_t, IOVirtualAddress *, IOOptionBits, IOByteCount,
					  IOByteCount)
{
	sim_violation("IOGeneralMemoryDescriptor::doMap is not simulated");
}

IOReturn IOGeneralMemoryDescriptor::doUnmap(vm_map_t, IOVirtualAddress, IOByteCount)
{
	sim_violation("IOGeneralMemoryDescriptor::doUnmap is not simulated");
}

/* As the registry shows it: an array of dictionaries. */
bool IOGeneralMemoryDescriptor::serialize(OSSerialize *s) const
{
	OSArray *list = OSArray::withCapacity(_rangesCount);
	bool ok;

	for (unsigned i = 0; i < _rangesCount; i++) {
		OSDictionary *entry = OSDictionary::withCapacity(2);
		OSNumber *address = OSNumber::withNumber(_ranges.v64[i].address, 64);
		OSNumber *length = OSNumber::withNumber(_ranges.v64[i].length, 64);

		entry->setObject("address", address);
		entry->setObject("length", length);
		list->setObject(entry);
		address->release();
		length->release();
		entry->release();
	}
	ok = list->serialize(s);
	list->release();
	return ok;
}
