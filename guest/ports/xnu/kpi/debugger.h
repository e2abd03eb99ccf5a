/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel debugger's hold on a network driver.
 *
 * Its handlers run with interrupts off and the other CPUs parked: they poll, never allocate, never
 * take a lock. A driver keeps them off a ring in use with reserveDebuggerLock().
 */
#ifndef KPI_DEBUGGER_H
#define KPI_DEBUGGER_H

#include "service.h"

enum IODebuggerLockState {
	kIODebuggerLockTaken = 0x1,
};

typedef void (*IODebuggerTxHandler)(IOService *target, void *packet, UInt32 length);
typedef void (*IODebuggerRxHandler)(IOService *target, void *packet, UInt32 *length,
				    UInt32 timeout_ms);

class IOKernelDebugger : public IOService
{
	OSDeclareDefaultStructors(IOKernelDebugger);
	struct ExpansionData;

	IOService *_target;
	IODebuggerTxHandler _txHandler;
	IODebuggerRxHandler _rxHandler;
	IOService *_client;
	bool _pmDisabled;
	ExpansionData *_reserved;

public:
	static IODebuggerLockState lock(IOService *target);
	static void unlock(IODebuggerLockState state);
	static void signalDebugger();

protected:
	/* Slots, in order. */
	/* With another argument in later releases: not to be called. */
	virtual bool init(IOService *, IODebuggerTxHandler, IODebuggerRxHandler);

private:
	KPI_PADS(IOKernelDebugger, 0, 1, 2, 3);

protected:
	/* Overrides. */
	void free() override;
	IOReturn powerStateWillChangeTo(IOPMPowerFlags flags, unsigned long state,
					IOService *whom) override;
	IOReturn powerStateDidChangeTo(IOPMPowerFlags flags, unsigned long state,
				       IOService *whom) override;
	bool handleOpen(IOService *client, IOOptionBits options, void *arg) override;
	void handleClose(IOService *client, IOOptionBits options) override;
	bool handleIsOpen(const IOService *client) const override;

public:
	IOReturn message(UInt32 type, IOService *provider, void *argument) override;
};

#endif
