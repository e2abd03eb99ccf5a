/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Output queues between the network stack and a driver's outputPacket().
 *
 * Capacity is 0 until set, and 0 drops everything. After kIOReturnOutputStall the packet is the
 * queue's again, and nothing more comes until service() is called.
 */
#ifndef KPI_NETQUEUE_H
#define KPI_NETQUEUE_H

#include "netdata.h"
#include "workloop.h"

struct IOMbufQueue;

typedef UInt32 (OSObject::*IOOutputAction)(mbuf_t, void *param);

/* What outputPacket() returns. */
enum {
	kIOOutputStatusAccepted = 0x0000,
	kIOOutputStatusDropped = 0x0001,
	kIOOutputStatusRetry = 0x0002,
	kIOOutputCommandNone = 0x0000,
	kIOOutputCommandStall = 0x0100,

	kIOReturnOutputSuccess = kIOOutputStatusAccepted,
	kIOReturnOutputDropped = kIOOutputStatusDropped, /* freed and counted by the driver */
	kIOReturnOutputStall = kIOOutputStatusRetry | kIOOutputCommandStall, /* not touched */
};

typedef struct {
	UInt32 capacity;
	UInt32 size;
	UInt32 peakSize;
	UInt32 dropCount;
	UInt32 outputCount;
	UInt32 retryCount;
	UInt32 stallCount;
	UInt32 reserved[4];
} IOOutputQueueStats;

class IOOutputQueue : public OSObject
{
	OSDeclareAbstractStructors(IOOutputQueue);
	struct ExpansionData;

	thread_call_t _callEntry;
	ExpansionData *_reserved;

	/* Slots, in order. */
	virtual bool scheduleServiceThread(void *);
	virtual bool cancelServiceThread();
	virtual void serviceThread(void *);

public:
	virtual bool start() = 0;
	virtual bool stop() = 0;
	virtual bool service(IOOptionBits options = 0) = 0;
	virtual UInt32 flush() = 0;
	virtual bool setCapacity(UInt32 capacity) = 0;
	virtual UInt32 getCapacity() const = 0;
	virtual UInt32 getSize() const = 0;
	virtual UInt32 enqueue(mbuf_t packet, void *param) = 0;
	virtual IOOutputAction getOutputHandler() const;
	virtual IONetworkData *getStatisticsData() const;

private:
	KPI_PADS(IOOutputQueue, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);

protected:
	/* Overrides. */
	bool init() override;
	void free() override;
};

class IOBasicOutputQueue : public IOOutputQueue
{
	OSDeclareDefaultStructors(IOBasicOutputQueue);

public:
	/* Option of service(): not on the caller's thread. */
	enum {
		kServiceAsync = 0x1,
	};

protected:
	OSObject *_target;
	IOOutputAction _action;
	IOOutputQueueStats *_stats;
	IONetworkData *_statsData;
	IOSimpleLock *_spinlock;
	IOMbufQueue *_inQueue;
	IOMbufQueue *_queues[2];
	volatile bool _waitDequeueDone;
	volatile UInt32 _state;
	volatile UInt32 _serviceCount;

public:
	static IOBasicOutputQueue *withTarget(IONetworkController *target, UInt32 capacity = 0);
	static IOBasicOutputQueue *withTarget(OSObject *target, IOOutputAction action,
					      UInt32 capacity = 0);

protected:
	/* Slots, in order. */
	virtual void output(IOMbufQueue *, UInt32 *);
	virtual IOReturn handleNetworkDataAccess(IONetworkData *, UInt32, void *);
	/* With another argument in later releases: not to be called. */
	virtual bool init(OSObject *, IOOutputAction, UInt32 = 0);

public:
	virtual UInt32 getDropCount();
	virtual UInt32 getOutputCount();
	virtual UInt32 getRetryCount();
	virtual UInt32 getStallCount();
	virtual UInt32 getState() const;

protected:
	/* Overrides. */
	void serviceThread(void *) override;
	void free() override;

public:
	UInt32 enqueue(mbuf_t packet, void *param) override;
	bool start() override;
	bool stop() override;
	bool service(IOOptionBits options = 0) override;
	UInt32 flush() override;
	bool setCapacity(UInt32 capacity) override;
	UInt32 getCapacity() const override;
	UInt32 getSize() const override;
	IONetworkData *getStatisticsData() const override;
};

/* Calls outputPacket() with the gate of a work loop held. */
class IOGatedOutputQueue : public IOBasicOutputQueue
{
	OSDeclareDefaultStructors(IOGatedOutputQueue);

	IOCommandGate *_gate;
	IOInterruptEventSource *_interruptSrc;

public:
	static IOGatedOutputQueue *withTarget(IONetworkController *target, IOWorkLoop *loop,
					      UInt32 capacity = 0);
	static IOGatedOutputQueue *withTarget(OSObject *target, IOOutputAction action,
					      IOWorkLoop *loop, UInt32 capacity = 0);

protected:
	/* Slots, in order. */
	/* With another argument in later releases: not to be called. */
	virtual bool init(OSObject *, IOOutputAction, IOWorkLoop *, UInt32 = 0);

	/* Overrides. */
	void output(IOMbufQueue *, UInt32 *) override;
	void free() override;
	bool scheduleServiceThread(void *) override;
};

#endif
