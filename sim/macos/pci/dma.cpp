/* SPDX-License-Identifier: BSD-2-Clause */
/* A descriptor turned into segments. There is no IOMMU, and nothing is copied to where it fits. */
#include "guest/ports/xnu/kpi/dma.h"

#include "sim/macos/pci/memory.h"

OSDefineMetaClassAndStructors(IOCommand, OSObject)
OSDefineMetaClassAndStructors(IODMACommand, IOCommand)
KPI_DEFINE_PADS(IODMACommand, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)

struct IODMACommand::IODMACommandInternal {
	UInt64 offset, length; /* prepared */
};

bool IOCommand::init()
{
	if (!OSObject::init())
		return false;
	fCommandChain.next = fCommandChain.prev = &fCommandChain;
	return true;
}

/* ---- output functions ---- */

static bool put32(IODMACommand::Segment64 segment, void *segments, UInt32 index, bool swap)
{
	IODMACommand::Segment32 *out = static_cast<IODMACommand::Segment32 *>(segments) + index;
	UInt32 addr = static_cast<UInt32>(segment.fIOVMAddr);
	UInt32 len = static_cast<UInt32>(segment.fLength);

	if (segment.fIOVMAddr >> 32 || segment.fLength >> 32)
		return false;
	out->fIOVMAddr = swap ? __builtin_bswap32(addr) : addr;
	out->fLength = swap ? __builtin_bswap32(len) : len;
	return true;
}

static bool put64(IODMACommand::Segment64 segment, void *segments, UInt32 index, bool swap)
{
	IODMACommand::Segment64 *out = static_cast<IODMACommand::Segment64 *>(segments) + index;

	out->fIOVMAddr = swap ? __builtin_bswap64(segment.fIOVMAddr) : segment.fIOVMAddr;
	out->fLength = swap ? __builtin_bswap64(segment.fLength) : segment.fLength;
	return true;
}

bool IODMACommand::OutputHost32(IODMACommand *, Segment64 segment, void *segments, UInt32 index)
{
	return put32(segment, segments, index, false);
}

bool IODMACommand::OutputBig32(IODMACommand *, Segment64 segment, void *segments, UInt32 index)
{
	return put32(segment, segments, index, true);
}

bool IODMACommand::OutputLittle32(IODMACommand *, Segment64 segment, void *segments, UInt32 index)
{
	return put32(segment, segments, index, false);
}

bool IODMACommand::OutputHost64(IODMACommand *, Segment64 segment, void *segments, UInt32 index)
{
	return put64(segment, segments, index, false);
}

bool IODMACommand::OutputBig64(IODMACommand *, Segment64 segment, void *segments, UInt32 index)
{
	return put64(segment, segments, index, true);
}

bool IODMACommand::OutputLittle64(IODMACommand *, Segment64 segment, void *segments, UInt32 index)
{
	return put64(segment, segments, index, false);
}

/* ---- making one ---- */

IODMACommand *IODMACommand::withSpecification(SegmentFunction output, UInt8 address_bits,
					      UInt64 max_segment, MappingOptions mapping,
					      UInt64 max_transfer, UInt32 alignment,
					      IOMapper *mapper, void *refcon)
{
	IODMACommand *command;

	sim_may_block("IODMACommand::withSpecification");
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	command = new IODMACommand;
	if (command && !command->initWithSpecification(output, address_bits, max_segment, mapping,
						       max_transfer, alignment, mapper, refcon)) {
		command->release();
		return nullptr;
	}
	return command;
}

bool IODMACommand::initWithSpecification(SegmentFunction output, UInt8 address_bits,
					 UInt64 max_segment, MappingOptions mapping,
					 UInt64 max_transfer, UInt32 alignment, IOMapper *mapper,
					 void *refcon)
{
	bool words = output == OutputHost32 || output == OutputBig32 || output == OutputLittle32;

	/* [XNU-MEM-8] Functions that make 32-bit segments take no wider addresses. */
	if (!output || address_bits > 64 || (words && address_bits > 32) || !IOCommand::init())
		return false;
	if (mapping != kMapped && mapping != kBypassed && mapping != kNonCoherent)
		return false;
	if (alignment & (alignment - 1))
		return false;
	reserved = new IODMACommandInternal();
	fOutSeg = output;
	fNumAddressBits = address_bits;
	fMaxSegmentSize = max_segment ? max_segment : ~0ULL;
	fMaxTransferSize = max_transfer ? max_transfer : ~0ULL;
	fAlignMask = alignment ? alignment - 1 : 0;
	fMappingOptions = mapping;
	fMapper = mapper;
	fRefCon = refcon;
	return true;
}

IODMACommand *IODMACommand::cloneCommand(void *refcon)
{
	IODMACommand *command;

	sim_may_block("IODMACommand::cloneCommand");
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	command = new IODMACommand;
	if (command &&
	    !command->initWithSpecification(fOutSeg, static_cast<UInt8>(fNumAddressBits),
					    fMaxSegmentSize, fMappingOptions, fMaxTransferSize,
					    fAlignMask + 1, fMapper, refcon)) {
		command->release();
		return nullptr;
	}
	return command;
}

void IODMACommand::free()
{
	if (fActive)
		sim_violation("IODMACommand %p released while prepared %u times",
			      static_cast<void *>(this), fActive);
	if (fMemory)
		sim_violation("IODMACommand %p released with its memory descriptor: "
			      "clearMemoryDescriptor() first",
			      static_cast<void *>(this));
	delete reserved;
	IOCommand::free();
}

UInt8 IODMACommand::getNumAddressBits()
{
	return static_cast<UInt8>(fNumAddressBits);
}

UInt32 IODMACommand::getAlignment()
{
	return fAlignMask + 1;
}

/* ---- its memory ---- */

IOReturn IODMACommand::setMemoryDescriptor(const IOMemoryDescriptor *memory, bool auto_prepare)
{
	if (memory == fMemory) {
		if (!auto_prepare)
			while (fActive)
				complete();
		return kIOReturnSuccess;
	}
	/* [XNU-MEM-9] The descriptor is retained and not prepared: that is its owner's business. */
	if (fActive)
		return kIOReturnBusy;
	clearMemoryDescriptor();
	if (!memory)
		return kIOReturnSuccess;
	memory->retain();
	fMemory = memory;
	if (auto_prepare) {
		IOReturn err = prepare();

		if (err) {
			clearMemoryDescriptor(false);
			return err;
		}
	}
	return kIOReturnSuccess;
}

IOReturn IODMACommand::clearMemoryDescriptor(bool auto_complete)
{
	if (fActive && !auto_complete)
		return kIOReturnNotReady;
	while (fActive)
		complete();
	if (fMemory)
		fMemory->release();
	fMemory = nullptr;
	return kIOReturnSuccess;
}

const IOMemoryDescriptor *IODMACommand::getMemoryDescriptor() const
{
	return fMemory;
}

IOReturn IODMACommand::prepare(UInt64 offset, UInt64 length, bool, bool)
{
	sim_may_block("IODMACommand::prepare");
	if (!fMemory)
		return kIOReturnNotReady;
	if (length == 0)
		length = fMemory->getLength();
	if (length > fMaxTransferSize)
		return kIOReturnNoSpace;
	if (fActive) {
		if (reserved->offset != offset || reserved->length != length)
			return kIOReturnNotReady;
		fActive++;
		return kIOReturnSuccess;
	}
	if (offset > fMemory->getLength() || length > fMemory->getLength() - offset)
		sim_violation("IODMACommand::prepare: %llu bytes at %llu of a descriptor of %llu",
			      length, offset, fMemory->getLength());
	reserved->offset = offset;
	reserved->length = length;
	fActive = 1;
	return kIOReturnSuccess;
}

IOReturn IODMACommand::complete(bool, bool)
{
	if (fActive == 0)
		return kIOReturnNotReady;
	fActive--;
	return kIOReturnSuccess;
}

IOReturn IODMACommand::synchronize(IOOptionBits options)
{
	if (options & kForceDoubleBuffer)
		sim_violation("IODMACommand::synchronize: double buffering is not simulated");
	return fActive ? kIOReturnSuccess : kIOReturnNotReady;
}

IOReturn IODMACommand::getPreparedOffsetAndLength(UInt64 *offset, UInt64 *length)
{
	if (!fActive)
		return kIOReturnNotReady;
	if (offset)
		*offset = reserved->offset;
	if (length)
		*length = reserved->length;
	return kIOReturnSuccess;
}

IOReturn IODMACommand::prepareWithSpecification(SegmentFunction, UInt8, UInt64, MappingOptions,
						UInt64, UInt32, IOMapper *, UInt64, UInt64, bool,
						bool)
{
	sim_violation("IODMACommand::prepareWithSpecification is not simulated");
}

/* ---- segments ---- */

IOReturn IODMACommand::genIOVMSegments(UInt64 *offset, void *segments, UInt32 *count)
{
	return genIOVMSegments(fOutSeg, offset, segments, count);
}

/*
 * Runs are not joined here: those of one descriptor end where the bus addresses jump, and that two
 * ranges happen to follow each other is nothing to rely on.
 */
IOReturn IODMACommand::genIOVMSegments(SegmentFunction output, UInt64 *offset, void *segments,
				       UInt32 *count)
{
	IOMemoryDescriptor *memory = const_cast<IOMemoryDescriptor *>(fMemory);
	UInt32 n = 0;

	if (!offset || !segments || !count || !*count)
		return kIOReturnBadArgument;
	if (!fActive)
		return kIOReturnNotReady;
	if (*offset >= reserved->length)
		return kIOReturnOverrun;
	while (n < *count && *offset < reserved->length) {
		IOByteCount run = 0;
		Segment64 segment = {memory->getPhysicalSegment(reserved->offset + *offset, &run,
								kIOMemoryMapperNone),
				     0};

		if (run == 0)
			sim_violation("IODMACommand::genIOVMSegments: descriptor %p is not wired: "
				      "prepare() it first",
				      static_cast<void *>(memory));
		if (segment.fIOVMAddr & fAlignMask)
			sim_violation("IODMACommand: a segment at %#llx is not aligned to %u: "
				      "copying is not simulated",
				      segment.fIOVMAddr, fAlignMask + 1);
		if (run > fMaxSegmentSize)
			run = fMaxSegmentSize;
		if (run > reserved->length - *offset)
			run = reserved->length - *offset;
		segment.fLength = run;
		if (fNumAddressBits && fNumAddressBits < 64 &&
		    (segment.fIOVMAddr + run - 1) >> fNumAddressBits)
			return kIOReturnMessageTooLarge;
		if (!output(this, segment, segments, n))
			return kIOReturnMessageTooLarge;
		*offset += run;
		n++;
	}
	*count = n;
	return kIOReturnSuccess;
}

UInt64 IODMACommand::readBytes(UInt64 offset, void *bytes, UInt64 length)
{
	return transfer(0, offset, bytes, length);
}

UInt64 IODMACommand::writeBytes(UInt64 offset, const void *bytes, UInt64 length)
{
	return transfer(1, offset, const_cast<void *>(bytes), length);
}

/* op 1 writes to the memory. */
UInt64 IODMACommand::transfer(IOOptionBits op, UInt64 offset, void *buffer, UInt64 length)
{
	IOMemoryDescriptor *memory = const_cast<IOMemoryDescriptor *>(fMemory);

	if (!fActive || offset >= reserved->length)
		return 0;
	if (length > reserved->length - offset)
		length = reserved->length - offset;
	offset += reserved->offset;
	return op ? memory->writeBytes(offset, buffer, length)
		  : memory->readBytes(offset, buffer, length);
}
