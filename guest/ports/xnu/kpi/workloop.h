/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A work loop (one thread, one recursive lock called the gate) and the sources of work it serves.
 *
 * What a filter may do: read and acknowledge the device, take an IOSimpleLock, nothing else. It
 * runs at interrupt level, perhaps while another CPU holds the gate.
 */
#ifndef KPI_WORKLOOP_H
#define KPI_WORKLOOP_H

#include "service.h"

/* How a sleep ends early (last argument of commandSleep), and what a sleep returns. */
#define THREAD_UNINT	     0
#define THREAD_INTERRUPTIBLE 1
#define THREAD_ABORTSAFE     2
#define THREAD_AWAKENED	     0
#define THREAD_TIMED_OUT     1
#define THREAD_INTERRUPTED   2
#define THREAD_RESTART	     3

class IOWorkLoop : public OSObject
{
	OSDeclareDefaultStructors(IOWorkLoop);

public:
	typedef IOReturn (*Action)(OSObject *target, void *arg0, void *arg1, void *arg2,
				   void *arg3);

	enum {
		kPreciousStack = 0x1,
	};

private:
	friend class IOEventSource;
	friend class IOTimerEventSource;

protected:
	struct ExpansionData;

	IORecursiveLock *gateLock;
	IOEventSource *eventChain;
	IOCommandGate *controlG;
	IOSimpleLock *workToDoLock;
	IOThread workThread;
	volatile bool workToDo;
	bool loopRestart;
	ExpansionData *reserved;

public:
	static IOWorkLoop *workLoop();
	static IOWorkLoop *workLoopWithOptions(IOOptionBits);

protected:
	/* Slots, in order. */
	virtual IOReturn _maintRequest(void *, void *, void *, void *);
	virtual void threadMain();

public:
	virtual IOThread getThread() const;
	virtual bool onThread() const;
	virtual bool inGate() const;
	virtual IOReturn addEventSource(IOEventSource *);
	virtual IOReturn removeEventSource(IOEventSource *);
	virtual void enableAllEventSources() const;
	virtual void disableAllEventSources() const;
	virtual void enableAllInterrupts() const;
	virtual void disableAllInterrupts() const;

protected:
	virtual void signalWorkAvailable();
	virtual void openGate();
	virtual void closeGate();
	virtual bool tryCloseGate();
	virtual int sleepGate(void *event, UInt32 how);
	virtual void wakeupGate(void *event, bool one_thread);

public:
	virtual IOReturn runAction(Action action, OSObject *target, void *arg0 = nullptr,
				   void *arg1 = nullptr, void *arg2 = nullptr,
				   void *arg3 = nullptr);
	virtual bool runEventSources();

protected:
	virtual int sleepGate(void *event, AbsoluteTime deadline, UInt32 how);

private:
	KPI_PADS_64(IOWorkLoop, 0, 1, 2);
	KPI_PADS(IOWorkLoop, 3, 4, 5, 6, 7);

protected:
	/* Overrides. */
	void free() override;

public:
	bool init() override;
};

class IOEventSource : public OSObject
{
	OSDeclareAbstractStructors(IOEventSource);

public:
	typedef void (*Action)(OSObject *owner, ...);

private:
	friend class IOWorkLoop;

protected:
	struct ExpansionData;

	IOEventSource *eventChainNext;
	OSObject *owner;
	Action action;
	bool enabled;
	IOWorkLoop *workLoop;
	void *refcon;
	ExpansionData *reserved;

	void signalWorkAvailable();
	void openGate();
	void closeGate();
	bool tryCloseGate();
	int sleepGate(void *event, UInt32 how);
	int sleepGate(void *event, AbsoluteTime deadline, UInt32 how);
	void wakeupGate(void *event, bool one_thread);

	/* Slots, in order. */
	virtual bool init(OSObject *, IOEventSource::Action = nullptr);
	virtual bool checkForWork() = 0;
	virtual void setWorkLoop(IOWorkLoop *);
	virtual void setNext(IOEventSource *);
	virtual IOEventSource *getNext() const;

public:
	virtual void setAction(IOEventSource::Action);
	virtual IOEventSource::Action getAction() const;
	virtual void enable();
	virtual void disable();
	virtual bool isEnabled() const;
	virtual IOWorkLoop *getWorkLoop() const;
	virtual bool onThread() const;

private:
	KPI_PADS(IOEventSource, 0, 1, 2, 3, 4, 5, 6, 7);
};

class IOCommandGate : public IOEventSource
{
	OSDeclareDefaultStructors(IOCommandGate);

public:
	typedef IOReturn (*Action)(OSObject *owner, void *arg0, void *arg1, void *arg2, void *arg3);

protected:
	struct ExpansionData;

	ExpansionData *reserved;

public:
	static IOCommandGate *commandGate(OSObject *owner, Action action = nullptr);

	/* Slots, in order. */
	virtual bool init(OSObject *, Action = nullptr);
	virtual IOReturn runCommand(void *arg0 = nullptr, void *arg1 = nullptr,
				    void *arg2 = nullptr, void *arg3 = nullptr);
	virtual IOReturn runAction(Action action, void *arg0 = nullptr, void *arg1 = nullptr,
				   void *arg2 = nullptr, void *arg3 = nullptr);
	virtual IOReturn attemptCommand(void *arg0 = nullptr, void *arg1 = nullptr,
					void *arg2 = nullptr, void *arg3 = nullptr);
	virtual IOReturn attemptAction(Action action, void *arg0 = nullptr, void *arg1 = nullptr,
				       void *arg2 = nullptr, void *arg3 = nullptr);
	virtual IOReturn commandSleep(void *event, UInt32 how = THREAD_ABORTSAFE);
	virtual void commandWakeup(void *event, bool one_thread = false);
	virtual IOReturn commandSleep(void *event, AbsoluteTime deadline, UInt32 how);

private:
	KPI_PADS_64(IOCommandGate, 0);
	KPI_PADS(IOCommandGate, 1, 2, 3, 4, 5, 6, 7);

protected:
	/* Overrides. */
	bool checkForWork() override;

public:
	void free() override;
	void setWorkLoop(IOWorkLoop *) override;
	void disable() override;
	void enable() override;
};

class IOInterruptEventSource : public IOEventSource
{
	OSDeclareDefaultStructors(IOInterruptEventSource);

public:
	typedef void (*Action)(OSObject *owner, IOInterruptEventSource *source, int count);

protected:
	struct ExpansionData;

	IOService *provider;
	int intIndex;
	volatile unsigned int producerCount;
	unsigned int consumerCount;
	bool autoDisable;
	bool explicitDisable;
	ExpansionData *reserved;

public:
	static IOInterruptEventSource *interruptEventSource(OSObject *owner, Action action,
							    IOService *provider = nullptr,
							    int index = 0);

	/* Slots, in order. */
	virtual bool init(OSObject *, Action, IOService * = nullptr, int = 0);
	virtual const IOService *getProvider() const;
	virtual int getIntIndex() const;
	virtual bool getAutoDisable() const;
	virtual void interruptOccurred(void *refcon, IOService *nub, int index);
	virtual void normalInterruptOccurred(void *refcon, IOService *nub, int index);
	virtual void disableInterruptOccurred(void *refcon, IOService *nub, int index);

private:
	KPI_PADS(IOInterruptEventSource, 0, 1, 2, 3, 4, 5, 6, 7);

protected:
	/* Overrides. */
	void free() override;
	bool checkForWork() override;
	void setWorkLoop(IOWorkLoop *) override;

public:
	void enable() override;
	void disable() override;
};

class IOFilterInterruptEventSource : public IOInterruptEventSource
{
	OSDeclareDefaultStructors(IOFilterInterruptEventSource);

public:
	typedef bool (*Filter)(OSObject *owner, IOFilterInterruptEventSource *source);

protected:
	struct ExpansionData;

	Filter filterAction;
	ExpansionData *reserved;

public:
	static IOFilterInterruptEventSource *filterInterruptEventSource(
		OSObject *owner, IOInterruptEventSource::Action action, Filter filter,
		IOService *provider, int index = 0);

	/* Slots, in order. */
	virtual bool init(OSObject *, IOInterruptEventSource::Action, Filter, IOService *, int = 0);
	virtual void signalInterrupt();
	virtual Filter getFilterAction() const;

private:
	KPI_PADS(IOFilterInterruptEventSource, 0, 1, 2, 3, 4, 5, 6, 7);

	/* Overrides. */
	bool init(OSObject *, IOInterruptEventSource::Action = nullptr, IOService * = nullptr,
		  int = 0) override;

public:
	void normalInterruptOccurred(void *refcon, IOService *nub, int index) override;
	void disableInterruptOccurred(void *refcon, IOService *nub, int index) override;
};

class IOTimerEventSource : public IOEventSource
{
	OSDeclareDefaultStructors(IOTimerEventSource);

public:
	typedef void (*Action)(OSObject *owner, IOTimerEventSource *source);

protected:
	struct ExpansionData;

	void *calloutEntry;
	AbsoluteTime abstime;
	ExpansionData *reserved;

public:
	static IOTimerEventSource *timerEventSource(OSObject *owner, Action action = nullptr);

protected:
	/* Slots, in order. */
	virtual void setTimeoutFunc();

public:
	virtual bool init(OSObject *, Action = nullptr);
	virtual IOReturn setTimeoutTicks(UInt32);
	virtual IOReturn setTimeoutMS(UInt32 ms);
	virtual IOReturn setTimeoutUS(UInt32 us);
	virtual IOReturn setTimeout(UInt32 interval, UInt32 scale = kNanosecondScale);
#ifndef __LP64__
	virtual IOReturn setTimeout(mach_timespec_t);
#endif
	virtual IOReturn setTimeout(AbsoluteTime);
	virtual IOReturn wakeAtTimeTicks(UInt32);
	virtual IOReturn wakeAtTimeMS(UInt32 ms);
	virtual IOReturn wakeAtTimeUS(UInt32 us);
	virtual IOReturn wakeAtTime(UInt32, UInt32 = kNanosecondScale);
#ifndef __LP64__
	virtual IOReturn wakeAtTime(mach_timespec_t);
#endif
	virtual IOReturn wakeAtTime(AbsoluteTime);
	virtual void cancelTimeout();

private:
	KPI_PADS(IOTimerEventSource, 0, 1, 2, 3, 4, 5, 6, 7);

protected:
	/* Overrides. */
	void free() override;
	bool checkForWork() override;
	void setWorkLoop(IOWorkLoop *) override;

public:
	void enable() override;
	void disable() override;
};

#endif
