/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A controller's side of the kernel debugger: the nub it offers, and the lock around all that the
 * debugger must not find half done.
 */
#include "sim/macos/net/controller.h"

#include "guest/ports/xnu/kpi/kernel.h"
#include "sim/macos/sim.h"

/* [XNU-NET-42] Nothing is offered unless boot-arg debug is there and not 0. */
bool IONetworkController::attachDebuggerClient(IOKernelDebugger **debugger)
{
	uint32_t debug = 0;
	IOKernelDebugger *made;
	IOReturn result;

	sim_may_block("IONetworkController::attachDebuggerClient");
	*debugger = nullptr;
	PE_parse_boot_argn("debug", &debug, sizeof(debug));
	if (debug == 0 || sim_alloc_fails(__builtin_return_address(0)))
		return false;
	result = executeCommand(
		this,
		[](void *target, void *, void *, void *, void *) {
			return static_cast<IONetworkController *>(target)->prepare();
		},
		this);
	if (result != kIOReturnSuccess)
		return false;
	made = sim_debugger_make(
		this,
		[](IOService *target, void *packet, UInt32 length) {
			static_cast<IONetworkController *>(target)->sendPacket(packet, length);
		},
		[](IOService *target, void *packet, UInt32 *length, UInt32 timeout_ms) {
			static_cast<IONetworkController *>(target)->receivePacket(packet, length,
										  timeout_ms);
		});
	if (!made)
		return false;
	if (!made->attach(this)) {
		made->release();
		return false;
	}
	*debugger = made;
	made->registerService(); /* and an IOKDP may open it, on another thread */
	return true;
}

/* [XNU-NET-43] Returns when it is gone. The reference stays the caller's. */
void IONetworkController::detachDebuggerClient(IOKernelDebugger *debugger)
{
	sim_may_block("IONetworkController::detachDebuggerClient");
	if (OSDynamicCast(IOKernelDebugger, debugger))
		debugger->terminate(kIOServiceRequired | kIOServiceSynchronous);
}

/* ---- the debugger lock ---- */

/*
 * [XNU-NET-44] A plain counter per controller, and only its first step looks at whether this is the
 * debugger's device: hence one thread at a time, and never at interrupt level.
 */
void IONetworkController::reserveDebuggerLock()
{
	struct sim_cpu *cpu = sim_cpu();

	if (!_reserved || cpu->level == SIM_INTERRUPT)
		sim_violation("%s: reserveDebuggerLock() at interrupt level, or before init()",
			      getName());
	if (_debugLockCount && _reserved->lock_owner != cpu)
		sim_violation("%s: reserveDebuggerLock() by two threads at once", getName());
	_reserved->lock_owner = cpu;
	cpu->debugger_lock++;
	if (_debugLockCount++ == 0)
		_debugLockState = IOKernelDebugger::lock(this);
}

void IONetworkController::releaseDebuggerLock()
{
	struct sim_cpu *cpu = sim_cpu();

	if (_debugLockCount <= 0 || cpu->debugger_lock == 0 || _reserved->lock_owner != cpu)
		sim_violation("%s: releaseDebuggerLock() without reserveDebuggerLock()", getName());
	cpu->debugger_lock--;
	if (--_debugLockCount == 0)
		IOKernelDebugger::unlock(_debugLockState);
}

unsigned sim_debugger_lock_before(void)
{
	return sim_cpu()->debugger_lock;
}

void sim_debugger_lock_after(unsigned before, const char *what)
{
	if (sim_cpu()->debugger_lock != before)
		sim_violation("%s returned with the debugger lock reserved", what);
}

/* ---- what a driver may override ---- */

IOReturn IONetworkController::enable(IOKernelDebugger *)
{
	return kIOReturnSuccess;
}

IOReturn IONetworkController::disable(IOKernelDebugger *)
{
	return kIOReturnSuccess;
}

void IONetworkController::sendPacket(void *, UInt32)
{
	sim_violation("%s: has a debugger but no sendPacket()", getName());
}

void IONetworkController::receivePacket(void *, UInt32 *, UInt32)
{
	sim_violation("%s: has a debugger but no receivePacket()", getName());
}
