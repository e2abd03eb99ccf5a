/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A descriptor turned into addresses a device can use.
 */
#ifndef KPI_DMA_H
#define KPI_DMA_H

#include "memory.h"

class IOCommand : public OSObject
{
	OSDeclareDefaultStructors(IOCommand);

public:
	queue_chain_t fCommandChain;

	/* Overrides. */
	bool init() override;
};

class IODMACommand : public IOCommand
{
	OSDeclareDefaultStructors(IODMACommand);

public:
	struct Segment32 {
		UInt32 fIOVMAddr;
		UInt32 fLength;
	};

	struct Segment64 {
		UInt64 fIOVMAddr;
		UInt64 fLength;
	};

	enum MappingOptions {
		kMapped = 0x00,
		kBypassed = 0x01,
		kNonCoherent = 0x02,
		kTypeMask = 0x0f,
		kNoCacheStore = 0x10,
		kOnChip = 0x20,
		kIterateOnly = 0x40,
	};

	enum SynchronizeOptions {
		kForceDoubleBuffer = 0x01000000,
	};

	typedef bool (*SegmentFunction)(IODMACommand *, Segment64, void *segments, UInt32 index);

private:
	struct IODMACommandInternal;
	friend class IODMAEventSource;

public:
	void *fRefCon;

protected:
	UInt64 fMaxSegmentSize;
	UInt64 fMaxTransferSize;
	UInt64 fBypassMask;
	IOMapper *fMapper;
	const IOMemoryDescriptor *fMemory;
	SegmentFunction fOutSeg;
	UInt32 fAlignMask;
	UInt32 fNumAddressBits;
	UInt32 fNumSegments;
	MappingOptions fMappingOptions;
	UInt32 fActive;
	IODMACommandInternal *reserved;

public:
	static bool OutputHost32(IODMACommand *, Segment64, void *, UInt32);
	static bool OutputBig32(IODMACommand *, Segment64, void *, UInt32);
	static bool OutputLittle32(IODMACommand *, Segment64, void *, UInt32);
	static bool OutputHost64(IODMACommand *, Segment64, void *, UInt32);
	static bool OutputBig64(IODMACommand *, Segment64, void *, UInt32);
	static bool OutputLittle64(IODMACommand *, Segment64, void *, UInt32);
	static IODMACommand *withSpecification(SegmentFunction output, UInt8 address_bits,
					       UInt64 max_segment, MappingOptions mapping = kMapped,
					       UInt64 max_transfer = 0, UInt32 alignment = 1,
					       IOMapper *mapper = nullptr, void *refcon = nullptr);
	UInt64 writeBytes(UInt64 offset, const void *bytes, UInt64 length);
	UInt64 readBytes(UInt64 offset, void *bytes, UInt64 length);
	IOReturn genIOVMSegments(SegmentFunction output, UInt64 *offset, void *segments,
				 UInt32 *count);
	UInt8 getNumAddressBits();
	UInt32 getAlignment();

	/* 32-bit and 64-bit segments; only for a command whose output function makes them. */
	IOReturn gen32IOVMSegments(UInt64 *offset, Segment32 *segments, UInt32 *count)
	{
		return genIOVMSegments(offset, segments, count);
	}
	IOReturn gen64IOVMSegments(UInt64 *offset, Segment64 *segments, UInt32 *count)
	{
		return genIOVMSegments(offset, segments, count);
	}

	/* Slots, in order. */
	virtual IODMACommand *cloneCommand(void * = nullptr);
	virtual bool initWithSpecification(SegmentFunction output, UInt8 address_bits,
					   UInt64 max_segment, MappingOptions mapping = kMapped,
					   UInt64 max_transfer = 0, UInt32 alignment = 1,
					   IOMapper *mapper = nullptr, void *refcon = nullptr);
	virtual IOReturn setMemoryDescriptor(const IOMemoryDescriptor *memory,
					     bool auto_prepare = true);
	virtual IOReturn clearMemoryDescriptor(bool auto_complete = true);
	virtual const IOMemoryDescriptor *getMemoryDescriptor() const;
	virtual IOReturn prepare(UInt64 offset = 0, UInt64 length = 0, bool flush_cache = true,
				 bool synchronize = true);
	virtual IOReturn complete(bool invalidate_cache = true, bool synchronize = true);
	virtual IOReturn synchronize(IOOptionBits);
	virtual IOReturn genIOVMSegments(UInt64 *offset, void *segments, UInt32 *count);

private:
	virtual UInt64 transfer(IOOptionBits op, UInt64 offset, void *buffer, UInt64 length);

public:
	virtual IOReturn prepareWithSpecification(SegmentFunction, UInt8, UInt64,
						  MappingOptions = kMapped, UInt64 = 0, UInt32 = 1,
						  IOMapper * = nullptr, UInt64 = 0, UInt64 = 0,
						  bool = true, bool = true);
	virtual IOReturn getPreparedOffsetAndLength(UInt64 *, UInt64 *);

private:
	KPI_PADS(IODMACommand, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);

public:
	/* Overrides. */
	void free() override;
};

/* What withSpecification() takes as its first argument. */
#define kIODMACommandOutputHost32 (IODMACommand::OutputHost32)
#define kIODMACommandOutputHost64 (IODMACommand::OutputHost64)

#endif
