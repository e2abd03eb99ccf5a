/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A way into the gate of a loop that can be barred: disable() makes callers wait.
 *
 * Removal differs: up to 10.10 a removed gate still knows its loop and works; from 10.11 it does
 * not, once no action runs in it.
 */
#include <stdlib.h>

#include "sim/macos/loop/gate.h"
#include "sim/macos/loop/loop.h"

OSDefineMetaClassAndStructors(IOCommandGate, IOEventSource)
KPI_DEFINE_PADS_64(IOCommandGate, 0)
KPI_DEFINE_PADS(IOCommandGate, 1, 2, 3, 4, 5, 6, 7)

unsigned sim_attempt_refusals = 2;

/* All but `gate` itself is guarded by the gate. */
struct IOCommandGate::ExpansionData {
	struct sim_gate *gate;
	unsigned waiting; /* for enable() */
	unsigned running; /* actions */
	bool removed;

	static IOReturn perform(IOCommandGate *me, struct sim_gate *gate, const char *what,
				const char *whose, Action theAction, void *arg0, void *arg1,
				void *arg2, void *arg3);
};

/* Run the action; the gate is closed and retained on entry, open and let go of on return. */
IOReturn IOCommandGate::ExpansionData::perform(IOCommandGate *me, struct sim_gate *gate,
					       const char *what, const char *whose,
					       Action theAction, void *arg0, void *arg1, void *arg2,
					       void *arg3)
{
	struct ExpansionData *own = me->reserved;
	IOReturn result;
	bool forget;

	me->retain(); /* the action may drop the last reference */
	own->running++;
	{
		sim_called called(whose, sim_code(theAction));

		result = theAction(me->owner, arg0, arg1, arg2, arg3);
	}
	own->running--;
	forget = own->removed && !own->running && me->workLoop && sim_release_at_least(11);
	if (forget) {
		me->workLoop = nullptr;
		own->gate = nullptr;
	}
	sim_gate_open(gate, what);
	if (forget)
		sim_gate_release(gate);
	me->release();
	sim_gate_release(gate);
	return result;
}

IOCommandGate *IOCommandGate::commandGate(OSObject *owner, Action action)
{
	IOCommandGate *gate;

	sim_may_block("IOCommandGate::commandGate");
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	gate = new IOCommandGate;
	if (gate && !gate->init(owner, action)) {
		gate->release();
		gate = nullptr;
	}
	return gate;
}

bool IOCommandGate::init(OSObject *owner_, Action action_)
{
	if (!IOEventSource::init(owner_, sim_function<IOEventSource::Action>(action_)))
		return false;
	reserved = static_cast<ExpansionData *>(calloc(1, sizeof(*reserved)));
	return reserved != nullptr;
}

void IOCommandGate::free()
{
	if (IOEventSource::reserved)
		sim_violation("an IOCommandGate is released too often: its loop still has it");
	if (reserved) {
		if (reserved->running || reserved->waiting)
			sim_violation("an IOCommandGate is freed while a thread is in it");
		if (reserved->gate)
			sim_gate_release(reserved->gate);
		::free(reserved);
		reserved = nullptr;
	}
	IOEventSource::free();
}

bool IOCommandGate::checkForWork()
{
	return false;
}

void IOCommandGate::setWorkLoop(IOWorkLoop *loop)
{
	struct sim_gate *gate = reserved->gate;

	if (loop) {
		reserved->removed = false;
		reserved->gate = sim_gate_of(loop);
		if (!reserved->gate)
			sim_violation("IOCommandGate::setWorkLoop: there is no such work loop");
		sim_gate_retain(reserved->gate);
		IOEventSource::setWorkLoop(loop);
		if (gate)
			sim_gate_release(gate);
		return;
	}
	if (!workLoop)
		return;
	/* [XNU-WL-13] Removal waits for those that wait for enable(): they are sent away. */
	sim_gate_close(gate, "IOCommandGate::setWorkLoop");
	reserved->removed = true;
	while (reserved->waiting) {
		sim_gate_wake(gate, &enabled, false);
		sim_gate_sleep(gate, &reserved->waiting, 0, "IOCommandGate::setWorkLoop");
	}
	/* [XNU-WL-14] [10.11+] The loop is forgotten, but not under a running action. */
	if (sim_release_at_least(11) && !reserved->running) {
		workLoop = nullptr;
		reserved->gate = nullptr;
	}
	sim_gate_open(gate, "IOCommandGate::setWorkLoop");
	if (!reserved->gate)
		sim_gate_release(gate);
}

/* [XNU-WL-15] Barring is for those who are in the gate; a kernel logs it otherwise. */
void IOCommandGate::disable()
{
	if (reserved->gate && workLoop && !sim_gate_mine(reserved->gate))
		sim_log("IOCommandGate::disable called when not gated");
	IOEventSource::disable();
}

void IOCommandGate::enable()
{
	struct sim_gate *gate = reserved->gate;

	if (!gate)
		return;
	sim_gate_close(gate, "IOCommandGate::enable");
	enabled = true;
	sim_gate_wake(gate, &enabled, false);
	sim_gate_open(gate, "IOCommandGate::enable");
}

IOReturn IOCommandGate::runCommand(void *arg0, void *arg1, void *arg2, void *arg3)
{
	return runAction(sim_function<Action>(action), arg0, arg1, arg2, arg3);
}

IOReturn IOCommandGate::attemptCommand(void *arg0, void *arg1, void *arg2, void *arg3)
{
	return attemptAction(sim_function<Action>(action), arg0, arg1, arg2, arg3);
}

/*
 * A gate without a loop. [XNU-WL-16] Up to 10.10 a null pointer is followed, later the caller is
 * told.
 */
static IOReturn no_loop(const char *what)
{
	if (!sim_release_at_least(11))
		sim_violation("IOCommandGate::%s: the gate has not been added to a work loop",
			      what);
	return kIOReturnNotReady;
}

IOReturn IOCommandGate::runAction(Action theAction, void *arg0, void *arg1, void *arg2, void *arg3)
{
	static const char what[] = "IOCommandGate::runAction";
	struct sim_gate *gate = reserved->gate;

	sim_may_block(what);
	if (!theAction)
		return kIOReturnBadArgument;
	if (!gate)
		return no_loop("runAction");
	sim_gate_retain(gate);
	sim_gate_close(gate, what);
	/* [XNU-WL-17] The loop's own thread passes a gate that is barred to others. */
	while (!enabled && gate->thread != sim_cpu() && !reserved->removed) {
		reserved->waiting++;
		sim_gate_sleep(gate, &enabled, 0, what);
		reserved->waiting--;
		if (reserved->removed) {
			sim_gate_wake(gate, &reserved->waiting, false);
			sim_gate_open(gate, what);
			sim_gate_release(gate);
			return kIOReturnAborted;
		}
	}
	/* Removed while this thread waited for the gate, in a release that forgets the loop. */
	if (reserved->gate != gate) {
		sim_gate_open(gate, what);
		sim_gate_release(gate);
		return kIOReturnNotReady;
	}
	return ExpansionData::perform(this, gate, what, "an action of IOCommandGate::runAction",
				      theAction, arg0, arg1, arg2, arg3);
}

/* [XNU-WL-18] Refused when anybody else is in: and that may be at any time, so also by chance. */
IOReturn IOCommandGate::attemptAction(Action theAction, void *arg0, void *arg1, void *arg2,
				      void *arg3)
{
	static const char what[] = "IOCommandGate::attemptAction";
	struct sim_gate *gate = reserved->gate;

	sim_may_block(what);
	if (!theAction)
		return kIOReturnBadArgument;
	if (!gate)
		return no_loop("attemptAction");
	if (!sim_gate_mine(gate) && sim_attempt_refusals && sim_random(100) < sim_attempt_refusals)
		return kIOReturnCannotLock;
	if (!sim_gate_try(gate, what))
		return kIOReturnCannotLock;
	if (!enabled && gate->thread != sim_cpu()) {
		sim_gate_open(gate, what);
		return kIOReturnNotPermitted;
	}
	if (reserved->gate != gate) {
		sim_gate_open(gate, what);
		return kIOReturnNotReady;
	}
	sim_gate_retain(gate);
	return ExpansionData::perform(this, gate, what, "an action of IOCommandGate::attemptAction",
				      theAction, arg0, arg1, arg2, arg3);
}

/* [XNU-WL-19] Outside of the gate: refused, and from 10.14 a panic. */
IOReturn IOCommandGate::commandSleep(void *event, UInt32)
{
	return commandSleep(event, 0, THREAD_ABORTSAFE);
}

IOReturn IOCommandGate::commandSleep(void *event, AbsoluteTime deadline, UInt32)
{
	struct sim_gate *gate = reserved->gate;

	if (!gate || !sim_gate_mine(gate)) {
		if (sim_release_at_least(14))
			sim_violation("IOCommandGate::commandSleep without the gate");
		return kIOReturnNotPermitted;
	}
	return sim_gate_sleep(gate, event, deadline, "IOCommandGate::commandSleep");
}

void IOCommandGate::commandWakeup(void *event, bool one_thread)
{
	if (!reserved->gate)
		sim_violation("IOCommandGate::commandWakeup: the gate is in no work loop");
	sim_gate_wake(reserved->gate, event, one_thread);
}
