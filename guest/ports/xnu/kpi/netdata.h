/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a network driver publishes about itself: counters and media. Like all the net*.h headers
 * and debugger.h, exported by com.apple.iokit.IONetworkingFamily.
 */
#ifndef KPI_NETDATA_H
#define KPI_NETDATA_H

#include "collections.h"

/* ---- counters ---- */

/* Kept by the driver; the family tells the stack by how much they grew. */
typedef struct {
	UInt32 inputPackets;
	UInt32 inputErrors;
	UInt32 outputPackets;
	UInt32 outputErrors;
	UInt32 collisions;
} IONetworkStats;

typedef struct {
	UInt32 alignmentErrors;
	UInt32 fcsErrors;
	UInt32 singleCollisionFrames;
	UInt32 multipleCollisionFrames;
	UInt32 sqeTestErrors;
	UInt32 deferredTransmissions;
	UInt32 lateCollisions;
	UInt32 excessiveCollisions;
	UInt32 internalMacTransmitErrors;
	UInt32 carrierSenseErrors;
	UInt32 frameTooLongs;
	UInt32 internalMacReceiveErrors;
	UInt32 etherChipSet;
	UInt32 missedFrames;
} IODot3StatsEntry;

typedef struct {
	UInt32 collFrequencies[16];
} IODot3CollEntry;

typedef struct {
	UInt32 overruns;
	UInt32 watchdogTimeouts;
	UInt32 frameTooShorts;
	UInt32 collisionErrors;
	UInt32 phyErrors;
	UInt32 timeouts;
	UInt32 interrupts;
	UInt32 resets;
	UInt32 resourceErrors;
	UInt32 reserved[4];
} IODot3RxExtraEntry;

typedef struct {
	UInt32 underruns;
	UInt32 jabbers;
	UInt32 phyErrors;
	UInt32 timeouts;
	UInt32 interrupts;
	UInt32 resets;
	UInt32 resourceErrors;
	UInt32 reserved[4];
} IODot3TxExtraEntry;

typedef struct {
	IODot3StatsEntry dot3StatsEntry;
	IODot3CollEntry dot3CollEntry;
	IODot3RxExtraEntry dot3RxExtraEntry;
	IODot3TxExtraEntry dot3TxExtraEntry;
} IOEthernetStats;

/* What to ask an interface for, with getNetworkData(). */
#define kIONetworkStatsKey     "IONetworkStatsKey"
#define kIOEthernetStatsKey    "IOEthernetStatsKey"
#define kIOOutputQueueStatsKey "IOOutputQueueStatsKey"

enum {
	kIONetworkDataAccessTypeRead = 0x01,
	kIONetworkDataAccessTypeWrite = 0x02,
	kIONetworkDataAccessTypeReset = 0x04,
	kIONetworkDataAccessTypeSerialize = 0x08,
	kIONetworkDataBasicAccessTypes =
		kIONetworkDataAccessTypeRead | kIONetworkDataAccessTypeSerialize,
};

class IONetworkData : public OSObject
{
	OSDeclareDefaultStructors(IONetworkData);

public:
	typedef IOReturn (*Action)(void *target, void *param, IONetworkData *data, UInt32 access,
				   void *buffer, UInt32 *size, UInt32 offset);

protected:
	struct ExpansionData;

	const OSSymbol *_key;
	UInt32 _access;
	void *_buffer;
	UInt32 _bufType;
	UInt32 _size;
	void *_tapTarget;
	Action _tapAction;
	void *_tapParam;
	ExpansionData *_reserved;

public:
	static IONetworkData *withInternalBuffer(const char *, UInt32,
						 UInt32 = kIONetworkDataBasicAccessTypes,
						 void * = nullptr, Action = nullptr,
						 void * = nullptr);
	static IONetworkData *withExternalBuffer(const char *, UInt32, void *,
						 UInt32 = kIONetworkDataBasicAccessTypes,
						 void * = nullptr, Action = nullptr,
						 void * = nullptr);
	static IONetworkData *withNoBuffer(const char *, UInt32, UInt32, void *, Action,
					   void * = nullptr);

protected:
	/* Slots, in order. */
	virtual bool writeBytes(const void *bytes, UInt32 length, UInt32 offset = 0);
	virtual bool readBytes(void *bytes, UInt32 *length, UInt32 offset = 0) const;
	virtual bool clearBuffer();

public:
	virtual bool init(const char *, UInt32, UInt32, void * = nullptr,
			  UInt32 = kIONetworkDataBasicAccessTypes, void * = nullptr,
			  Action = nullptr, void * = nullptr);
	virtual void setAccessTypes(UInt32);
	virtual void setNotificationTarget(void *, Action, void * = nullptr);
	virtual const void *getBuffer() const;
	virtual UInt32 getBufferType() const;
	virtual UInt32 getAccessTypes() const;
	virtual void *getNotificationTarget() const;
	virtual Action getNotificationAction() const;
	virtual void *getNotificationParameter() const;
	virtual const OSSymbol *getKey() const;
	virtual UInt32 getSize() const;
	virtual IOReturn reset();
	virtual IOReturn read(void *, UInt32 *, UInt32 = 0);
	virtual IOReturn write(void *, UInt32, UInt32 = 0);

private:
	KPI_PADS(IONetworkData, 0, 1, 2, 3);

protected:
	/* Overrides. */
	void free() override;

public:
	bool serialize(OSSerialize *) const override;
};

/* ---- media ---- */

enum {
	kIOMediumEthernet = 0x20,
	kIOMediumEthernetAuto = kIOMediumEthernet | 0,
	kIOMediumEthernetNone = kIOMediumEthernet | 2,
	kIOMediumEthernet10BaseT = kIOMediumEthernet | 3,
	kIOMediumEthernet100BaseTX = kIOMediumEthernet | 6,
	kIOMediumEthernet1000BaseT = kIOMediumEthernet | 16,
	kIOMediumEthernet10GBaseT = kIOMediumEthernet | 21,

	kIOMediumOptionFullDuplex = 0x00100000,
	kIOMediumOptionHalfDuplex = 0x00200000,
	kIOMediumOptionFlowControl = 0x00400000,
};

/* Status for setLinkStatus(). */
enum {
	kIONetworkLinkValid = 1,
	kIONetworkLinkActive = 2,
};

class IONetworkMedium : public OSObject
{
	OSDeclareDefaultStructors(IONetworkMedium);
	struct ExpansionData;

	IOMediumType _type;
	UInt32 _flags;
	UInt64 _speed;
	UInt32 _index;
	const OSSymbol *_name;
	ExpansionData *_reserved;

public:
	static const OSSymbol *nameForType(IOMediumType);
	static bool addMedium(OSDictionary *media, const IONetworkMedium *medium);
	static void removeMedium(OSDictionary *media, const IONetworkMedium *medium);
	static IONetworkMedium *getMediumWithType(const OSDictionary *media, IOMediumType type,
						  IOMediumType mask = 0);
	static IONetworkMedium *getMediumWithIndex(const OSDictionary *media, UInt32 index,
						   UInt32 mask = 0);
	static IONetworkMedium *medium(IOMediumType type, UInt64 speed, UInt32 flags = 0,
				       UInt32 index = 0, const char *name = nullptr);

	/* Slots, in order. */
	virtual bool init(IOMediumType, UInt64, UInt32 = 0, UInt32 = 0, const char * = nullptr);
	virtual IOMediumType getType() const;
	virtual UInt64 getSpeed() const;
	virtual UInt32 getFlags() const;
	virtual UInt32 getIndex() const;
	virtual const OSSymbol *getName() const;
	virtual const OSSymbol *getKey() const;
	virtual bool isEqualTo(const IONetworkMedium *) const;

private:
	KPI_PADS(IONetworkMedium, 0, 1, 2, 3);

protected:
	/* Overrides. */
	void free() override;

public:
	bool isEqualTo(const OSMetaClassBase *) const override;
	bool serialize(OSSerialize *) const override;
};

#endif
