/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory as the I/O Kit sees it: descriptors, mappings, buffers for a device.
 */
#ifndef KPI_MEMORY_H
#define KPI_MEMORY_H

#include "runtime.h"

/* Options of descriptors and buffers. */
enum {
	kIOMemoryDirectionMask = 0x7,
	kIOMemoryPhysicallyContiguous = 0x10, /* buffers only */
	kIOMemoryPageable = 0x20,	      /* buffers only */
	kIOMemoryTypeVirtual = 0x10,
	kIOMemoryTypePhysical = 0x20,
	kIOMemoryTypePersistentMD = 0x40,
	kIOMemoryTypeMask = 0xf0,
	kIOMemoryAsReference = 0x100,
	kIOMemoryMapperNone = 0x800, /* physical addresses, past any IOMMU */
	kIOMemoryUnshared = 0x0,
	kIOMemoryKernelUserShared = 0x10000,
	kIOMemoryThreadSafe = 0x100000,
};

/* Options of mappings; the cache modes serve buffers too. */
enum {
	kIOMapAnywhere = 0x1,
	kIOMapDefaultCache = 0x0,
	kIOMapInhibitCache = 0x100,
	kIOMapWriteThruCache = 0x200,
	kIOMapCopybackCache = 0x300,
	kIOMapWriteCombineCache = 0x400,
	kIOMapCacheMask = 0x700,
	kIOMapReadOnly = 0x1000,
	kIOMapStatic = 0x1000000,
	kIOMapReference = 0x2000000,
	kIOMapUnique = 0x4000000,
};

#define kIOMapperSystem (static_cast<IOMapper *>(nullptr))

extern "C" {
extern task_t kernel_task;
}

/*
 * prepare() wires the memory down and complete() lets it go; they nest. getPhysicalSegment() gives
 * the address of the byte at an offset and the length of the run from there.
 */
class IOMemoryDescriptor : public OSObject
{
	OSDeclareDefaultStructors(IOMemoryDescriptor);

public:
	typedef IOOptionBits DMACommandOps;

private:
	friend class IOMemoryMap;

protected:
	struct ExpansionData;

	ExpansionData *reserved;
	OSSet *_mappings;
	IOOptionBits _flags;
	void *_memEntry;
#ifdef __LP64__
	UInt64 __iomd_reserved1;
	UInt64 __iomd_reserved2;
	UInt64 __iomd_reserved3;
	UInt64 __iomd_reserved4;
#else
	IODirection _direction;
#endif
	IOByteCount _length;
	IOOptionBits _tag;

public:
	static IOMemoryDescriptor *withAddress(void *, IOByteCount, IODirection);
#ifndef __LP64__
	static IOMemoryDescriptor *withAddress(IOVirtualAddress, IOByteCount, IODirection, task_t);
#endif
	static IOMemoryDescriptor *withPhysicalAddress(IOPhysicalAddress, IOByteCount, IODirection);
#ifndef __LP64__
	static IOMemoryDescriptor *withRanges(IOVirtualRange *, UInt32, IODirection, task_t,
					      bool = false);
#endif
	static IOMemoryDescriptor *withAddressRange(mach_vm_address_t address,
						    mach_vm_size_t length, IOOptionBits options,
						    task_t task);
	static IOMemoryDescriptor *withAddressRanges(IOAddressRange *ranges, UInt32 count,
						     IOOptionBits options, task_t task);
	static IOMemoryDescriptor *withOptions(void *buffers, UInt32 count, UInt32 offset,
					       task_t task, IOOptionBits options,
					       IOMapper *mapper = kIOMapperSystem);
#ifndef __LP64__
	static IOMemoryDescriptor *withPhysicalRanges(IOPhysicalRange *, UInt32, IODirection,
						      bool = false);
	static IOMemoryDescriptor *withSubRange(IOMemoryDescriptor *, IOByteCount, IOByteCount,
						IODirection);
#endif
	static IOMemoryDescriptor *withPersistentMemoryDescriptor(IOMemoryDescriptor *);
	IOPhysicalAddress getPhysicalAddress();
	IOMemoryMap *createMappingInTask(task_t task, mach_vm_address_t address,
					 IOOptionBits options, mach_vm_size_t offset = 0,
					 mach_vm_size_t length = 0);

/* Slots, in order. */
#ifndef __LP64__
	virtual IOPhysicalAddress getSourceSegment(IOByteCount offset, IOByteCount *length);
#endif
	virtual bool initWithOptions(void *buffers, UInt32 count, UInt32 offset, task_t task,
				     IOOptionBits options, IOMapper *mapper = kIOMapperSystem);
#ifndef __LP64__
	virtual addr64_t getPhysicalSegment64(IOByteCount offset, IOByteCount *length);
#endif
	virtual IOReturn setPurgeable(IOOptionBits state, IOOptionBits *old_state);
	virtual IOReturn performOperation(IOOptionBits options, IOByteCount offset,
					  IOByteCount length);
	virtual IOReturn dmaCommandOperation(DMACommandOps op, void *data, UInt size) const;
#ifdef __LP64__
	virtual addr64_t getPhysicalSegment(IOByteCount offset, IOByteCount *length,
					    IOOptionBits options = 0) = 0;
#else
	virtual addr64_t getPhysicalSegment(IOByteCount offset, IOByteCount *length,
					    IOOptionBits options);
#endif
	virtual UInt64 getPreparationID();

private:
	KPI_PADS_64(IOMemoryDescriptor, 1, 2, 3, 4, 5, 6, 7);
	KPI_PADS(IOMemoryDescriptor, 8, 9, 10, 11, 12, 13, 14, 15);

public:
#ifndef __LP64__
	virtual bool initWithAddress(void *, IOByteCount, IODirection);
	virtual bool initWithAddress(IOVirtualAddress, IOByteCount, IODirection, task_t);
	virtual bool initWithPhysicalAddress(IOPhysicalAddress, IOByteCount, IODirection);
	virtual bool initWithRanges(IOVirtualRange *, UInt32, IODirection, task_t, bool = false);
	virtual bool initWithPhysicalRanges(IOPhysicalRange *, UInt32, IODirection, bool = false);
#endif
	virtual IODirection getDirection() const;
	virtual IOByteCount getLength() const;
	virtual void setTag(IOOptionBits);
	virtual IOOptionBits getTag();
	virtual IOByteCount readBytes(IOByteCount offset, void *bytes, IOByteCount length);
	virtual IOByteCount writeBytes(IOByteCount offset, const void *bytes, IOByteCount length);
#ifndef __LP64__
	virtual IOPhysicalAddress getPhysicalSegment(IOByteCount offset, IOByteCount *length);
	virtual void *getVirtualSegment(IOByteCount offset, IOByteCount *length);
#endif
	virtual IOReturn prepare(IODirection direction = kIODirectionNone) = 0;
	virtual IOReturn complete(IODirection direction = kIODirectionNone) = 0;
#ifndef __LP64__
	virtual IOMemoryMap *map(task_t, IOVirtualAddress, IOOptionBits, IOByteCount = 0,
				 IOByteCount = 0);
#endif
	virtual IOMemoryMap *map(IOOptionBits = 0);
	virtual IOMemoryMap *setMapping(task_t, IOVirtualAddress, IOOptionBits = 0);
	KPI_VIRTUAL_64 IOReturn redirect(task_t, bool);
	virtual IOMemoryMap *makeMapping(IOMemoryDescriptor *, task_t, IOVirtualAddress,
					 IOOptionBits, IOByteCount, IOByteCount);

protected:
	virtual void addMapping(IOMemoryMap *);
	virtual void removeMapping(IOMemoryMap *);
	virtual IOReturn doMap(vm_map_t, IOVirtualAddress *, IOOptionBits, IOByteCount = 0,
			       IOByteCount = 0);
	virtual IOReturn doUnmap(vm_map_t, IOVirtualAddress, IOByteCount);

	/* Overrides. */
	void free() override;
};

/* A descriptor mapped into a task; it retains the descriptor. */
class IOMemoryMap : public OSObject
{
	OSDeclareDefaultStructors(IOMemoryMap);

public:
	IOPhysicalAddress getPhysicalAddress();

#ifdef __LP64__
	mach_vm_address_t getAddress()
	{
		return getVirtualAddress();
	}
	mach_vm_size_t getSize()
	{
		return getLength();
	}
#endif

	/* Slots, in order. */
	virtual IOVirtualAddress getVirtualAddress();
#ifdef __LP64__
	virtual IOPhysicalAddress getPhysicalSegment(IOByteCount offset, IOByteCount *length,
						     IOOptionBits options = 0);
#else
	virtual IOPhysicalAddress getPhysicalSegment(IOByteCount offset, IOByteCount *length);
#endif
	virtual IOByteCount getLength();
	virtual task_t getAddressTask();
	virtual IOMemoryDescriptor *getMemoryDescriptor();
	virtual IOOptionBits getMapOptions();
	virtual IOReturn unmap();
	virtual void taskDied();
#ifndef __LP64__
	virtual IOReturn redirect(IOMemoryDescriptor *, IOOptionBits, IOByteCount = 0);
#endif
	virtual IOReturn redirect(IOMemoryDescriptor *, IOOptionBits, mach_vm_size_t = 0);
#ifndef __LP64__
	virtual mach_vm_address_t getAddress();
	virtual mach_vm_size_t getSize();
#endif

private:
	KPI_PADS(IOMemoryMap, 0, 1, 2, 3, 4, 5, 6, 7);

protected:
	/* Overrides. */
	void taggedRelease(const void * = nullptr) const override;
	void free() override;
};

class IOGeneralMemoryDescriptor : public IOMemoryDescriptor
{
	OSDeclareDefaultStructors(IOGeneralMemoryDescriptor);

public:
	union Ranges {
		IOVirtualRange *v;
		IOAddressRange *v64;
		IOPhysicalRange *p;
		void *uio;
	};

protected:
	Ranges _ranges;
	unsigned int _rangesCount;
#ifndef __LP64__
	bool _rangesIsAllocated;
#endif
	task_t _task;
	union {
		IOVirtualRange v;
		IOPhysicalRange p;
	} _singleRange;
	unsigned int _wireCount;
#ifndef __LP64__
	uintptr_t _cachedVirtualAddress;
	IOPhysicalAddress _cachedPhysicalAddress;
#endif
	bool _initialized;

private:
	OSData *_memoryEntries;
	unsigned int _pages;
	ppnum_t _highestPage;
	uint32_t __iomd_reservedA;
	uint32_t __iomd_reservedB;
	IOLock *_prepareLock;

/* Slots, in order. */
#ifndef __LP64__
	virtual void setPosition(IOByteCount);
	virtual void mapIntoKernel(unsigned int);
	virtual void unmapFromKernel();
#endif

public:
	/* Overrides. */
	void free() override;
	IOReturn dmaCommandOperation(DMACommandOps op, void *data, UInt size) const override;
	UInt64 getPreparationID() override;
	bool initWithOptions(void *buffers, UInt32 count, UInt32 offset, task_t task,
			     IOOptionBits options, IOMapper *mapper = kIOMapperSystem) override;
#ifndef __LP64__
	bool initWithAddress(void *, IOByteCount, IODirection) override;
	bool initWithAddress(IOVirtualAddress, IOByteCount, IODirection, task_t) override;
	bool initWithPhysicalAddress(IOPhysicalAddress, IOByteCount, IODirection) override;
	bool initWithRanges(IOVirtualRange *, UInt32, IODirection, task_t, bool = false) override;
	bool initWithPhysicalRanges(IOPhysicalRange *, UInt32, IODirection, bool = false) override;
	addr64_t getPhysicalSegment64(IOByteCount offset, IOByteCount *length) override;
	IOPhysicalAddress getPhysicalSegment(IOByteCount offset, IOByteCount *length) override;
	IOPhysicalAddress getSourceSegment(IOByteCount offset, IOByteCount *length) override;
	void *getVirtualSegment(IOByteCount offset, IOByteCount *length) override;
#endif
	IOReturn setPurgeable(IOOptionBits state, IOOptionBits *old_state) override;
#ifdef __LP64__
	addr64_t getPhysicalSegment(IOByteCount offset, IOByteCount *length,
				    IOOptionBits options = 0) override;
#else
	addr64_t getPhysicalSegment(IOByteCount offset, IOByteCount *length,
				    IOOptionBits options) override;
#endif
	IOReturn prepare(IODirection direction = kIODirectionNone) override;
	IOReturn complete(IODirection direction = kIODirectionNone) override;
	IOReturn doMap(vm_map_t, IOVirtualAddress *, IOOptionBits, IOByteCount = 0,
		       IOByteCount = 0) override;
	IOReturn doUnmap(vm_map_t, IOVirtualAddress, IOByteCount) override;
	bool serialize(OSSerialize *) const override;
};

/* Memory of the kernel's own, wired unless pageable. It is not cleared. */
class IOBufferMemoryDescriptor : public IOGeneralMemoryDescriptor
{
	OSDeclareDefaultStructors(IOBufferMemoryDescriptor);
	struct ExpansionData;

private:
	ExpansionData *reserved;

protected:
	void *_buffer;
	vm_size_t _capacity;
	vm_offset_t _alignment;
	IOOptionBits _options;

private:
	uintptr_t _internalReserved;
	unsigned int _internalFlags;

public:
	static IOBufferMemoryDescriptor *withOptions(IOOptionBits options, vm_size_t capacity,
						     vm_offset_t alignment = 1);
	static IOBufferMemoryDescriptor *inTaskWithOptions(task_t task, IOOptionBits options,
							   vm_size_t capacity,
							   vm_offset_t alignment = 1);
	static IOBufferMemoryDescriptor *inTaskWithPhysicalMask(task_t task, IOOptionBits options,
								mach_vm_size_t capacity,
								mach_vm_address_t mask);
	static IOBufferMemoryDescriptor *withCapacity(vm_size_t capacity, IODirection direction,
						      bool contiguous = false);
	static IOBufferMemoryDescriptor *withBytes(const void *, vm_size_t, IODirection,
						   bool = false);

private:
/* Slots, in order. */
#ifndef __LP64__
	virtual bool initWithOptions(IOOptionBits, vm_size_t, vm_offset_t, task_t);
#endif
	virtual bool initWithPhysicalMask(task_t task, IOOptionBits options,
					  mach_vm_size_t capacity, mach_vm_address_t alignment,
					  mach_vm_address_t mask);
	KPI_PADS_64(IOBufferMemoryDescriptor, 0, 1);
	KPI_PADS(IOBufferMemoryDescriptor, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);

public:
#ifndef __LP64__
	virtual bool initWithOptions(IOOptionBits, vm_size_t, vm_offset_t);
	virtual bool initWithBytes(const void *, vm_size_t, IODirection, bool = false);
#endif
	virtual void setLength(vm_size_t);
	virtual void setDirection(IODirection);
	virtual vm_size_t getCapacity() const;
	virtual void *getBytesNoCopy();
	virtual void *getBytesNoCopy(vm_size_t offset, vm_size_t length);
	virtual bool appendBytes(const void *, vm_size_t);

protected:
	/* Overrides. */
	void free() override;

public:
#ifndef __LP64__
	void *getVirtualSegment(IOByteCount offset, IOByteCount *length) override;
#endif
};

/* A device's registers. */
class IODeviceMemory : public IOMemoryDescriptor
{
	OSDeclareDefaultStructors(IODeviceMemory);

public:
	struct InitElement {
		IOPhysicalAddress start;
		IOPhysicalLength length;
		IOOptionBits tag;
	};

	static OSArray *arrayFromList(InitElement[], IOItemCount);
	static IODeviceMemory *withRange(IOPhysicalAddress, IOPhysicalLength);
	static IODeviceMemory *withSubRange(IODeviceMemory *, IOPhysicalAddress, IOPhysicalLength);
};

#endif
