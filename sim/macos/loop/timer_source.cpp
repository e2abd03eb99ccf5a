/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation. A timer fires on a thread-call thread, which then closes the gate: it may
 * have to wait there, and meanwhile the timer may be cancelled or armed anew. So each arming has a
 * number, and what fires does nothing once the number has moved on. Cancelling in the gate is
 * therefore final; elsewhere the action may be under way.
 *
 * While armed, the timer holds itself and its loop: who drops the last reference to an armed timer
 * frees it later, on the thread that fires.
 */
#include <stdlib.h>

#include "guest/ports/xnu/kpi/kernel.h"
#include "sim/macos/loop/callouts.h"
#include "sim/macos/loop/gate.h"

OSDefineMetaClassAndStructors(IOTimerEventSource, IOEventSource)
KPI_DEFINE_PADS(IOTimerEventSource, 0, 1, 2, 3, 4, 5, 6, 7)

#define TICKS_PER_SECOND 100u

struct IOTimerEventSource::ExpansionData {
	struct sim_callout callout;
	unsigned generation; /* atomic */
	IOWorkLoop *loop;    /* that the arming retained; atomic */

	static void fire(void *self, uintptr_t generation);
};

IOTimerEventSource *IOTimerEventSource::timerEventSource(OSObject *owner, Action action)
{
	IOTimerEventSource *timer;

	sim_may_block("IOTimerEventSource::timerEventSource");
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	timer = new IOTimerEventSource;
	if (timer && !timer->init(owner, action)) {
		timer->release();
		timer = nullptr;
	}
	return timer;
}

bool IOTimerEventSource::init(OSObject *owner_, Action action_)
{
	if (!IOEventSource::init(owner_, sim_function<IOEventSource::Action>(action_)))
		return false;
	reserved = static_cast<ExpansionData *>(calloc(1, sizeof(*reserved)));
	if (!reserved)
		return false;
	setTimeoutFunc();
	return true;
}

void IOTimerEventSource::setTimeoutFunc()
{
	reserved->callout.func = ExpansionData::fire;
	reserved->callout.self = this;
}

void IOTimerEventSource::free()
{
	if (IOEventSource::reserved)
		sim_violation("an IOTimerEventSource is released too often: its loop still has it");
	if (reserved && sim_callout_cancel(&reserved->callout))
		sim_violation("an IOTimerEventSource is released too often: it is armed");
	::free(reserved);
	reserved = nullptr;
	IOEventSource::free();
}

/* [XNU-WL-27] Gated, but on a thread of its own; a cancelled or newer arming is left alone. */
void IOTimerEventSource::ExpansionData::fire(void *self, uintptr_t generation)
{
	IOTimerEventSource *timer = static_cast<IOTimerEventSource *>(self);
	ExpansionData *data = timer->reserved;
	IOWorkLoop *loop = __atomic_load_n(&data->loop, __ATOMIC_ACQUIRE);

	if (sim_random(8) == 0)
		sched_yield(); /* a wider gap for whoever cancels without the gate */
	if (timer->enabled && timer->action) {
		Action act;

		loop->closeGate();
		act = sim_function<Action>(timer->action);
		if (act && __atomic_load_n(&data->generation, __ATOMIC_SEQ_CST) == generation) {
			sim_called called("a timer's action", sim_code(act));

			act(timer->owner, timer);
		}
		loop->openGate();
	}
	loop->release();
	timer->release();
}

bool IOTimerEventSource::checkForWork()
{
	return false;
}

void IOTimerEventSource::setWorkLoop(IOWorkLoop *loop)
{
	IOEventSource::setWorkLoop(loop);
	/* [XNU-WL-28] A deadline that was set before the timer had a loop counts from now on. */
	if (enabled && abstime && workLoop)
		wakeAtTime(abstime);
}

void IOTimerEventSource::enable()
{
	IOEventSource::enable();
	/* [XNU-WL-29] The old deadline, at once if it is past. */
	if (wakeAtTime(abstime) != kIOReturnSuccess)
		IOEventSource::disable();
}

void IOTimerEventSource::disable()
{
	IOWorkLoop *loop = __atomic_load_n(&reserved->loop, __ATOMIC_ACQUIRE);

	__atomic_add_fetch(&reserved->generation, 1, __ATOMIC_SEQ_CST);
	IOEventSource::disable();
	if (sim_callout_cancel(&reserved->callout)) {
		loop->release();
		release();
	}
}

void IOTimerEventSource::cancelTimeout()
{
	IOWorkLoop *loop = __atomic_load_n(&reserved->loop, __ATOMIC_ACQUIRE);

	__atomic_add_fetch(&reserved->generation, 1, __ATOMIC_SEQ_CST);
	abstime = 0;
	if (sim_callout_cancel(&reserved->callout)) {
		loop->release();
		release();
	}
}

/* [XNU-WL-30] Without an action it cannot be armed; 0 arms nothing. */
IOReturn IOTimerEventSource::wakeAtTime(AbsoluteTime deadline)
{
	IOWorkLoop *loop = workLoop;
	unsigned generation;

	if (sim_cpu()->level == SIM_DEBUGGER)
		sim_violation("the debugger's code arms an IOTimerEventSource");
	if (!action)
		return kIOReturnNoResources;
	abstime = deadline;
	if (!enabled || !deadline || !loop)
		return kIOReturnSuccess;
	retain();
	loop->retain();
	__atomic_store_n(&reserved->loop, loop, __ATOMIC_RELEASE);
	generation = __atomic_add_fetch(&reserved->generation, 1, __ATOMIC_SEQ_CST);
	if (sim_callout_enter(&reserved->callout, generation, sim_deadline_ns(deadline))) {
		/* It was armed: one shot replaces the other, and one of the references is too many.
		 */
		loop->release();
		release();
	}
	return kIOReturnSuccess;
}

/* ---- the other ways to say when ---- */

IOReturn IOTimerEventSource::setTimeout(AbsoluteTime interval)
{
	return wakeAtTime(mach_absolute_time() + interval);
}

IOReturn IOTimerEventSource::setTimeout(UInt32 interval, UInt32 scale)
{
	UInt64 deadline;

	clock_interval_to_deadline(interval, scale, &deadline);
	return wakeAtTime(static_cast<AbsoluteTime>(deadline));
}

IOReturn IOTimerEventSource::setTimeoutTicks(UInt32 ticks)
{
	return setTimeout(ticks, static_cast<UInt32>(kSecondScale) / TICKS_PER_SECOND);
}

IOReturn IOTimerEventSource::setTimeoutMS(UInt32 ms)
{
	return setTimeout(ms, static_cast<UInt32>(kMillisecondScale));
}

IOReturn IOTimerEventSource::setTimeoutUS(UInt32 us)
{
	return setTimeout(us, static_cast<UInt32>(kMicrosecondScale));
}

IOReturn IOTimerEventSource::wakeAtTime(UInt32 time, UInt32 scale)
{
	UInt64 absolute;

	nanoseconds_to_absolutetime(static_cast<UInt64>(time) * scale, &absolute);
	return wakeAtTime(static_cast<AbsoluteTime>(absolute));
}

IOReturn IOTimerEventSource::wakeAtTimeTicks(UInt32 ticks)
{
	return wakeAtTime(ticks, static_cast<UInt32>(kSecondScale) / TICKS_PER_SECOND);
}

IOReturn IOTimerEventSource::wakeAtTimeMS(UInt32 ms)
{
	return wakeAtTime(ms, static_cast<UInt32>(kMillisecondScale));
}

IOReturn IOTimerEventSource::wakeAtTimeUS(UInt32 us)
{
	return wakeAtTime(us, static_cast<UInt32>(kMicrosecondScale));
}
