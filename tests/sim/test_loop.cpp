/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Work loops, gates, timers, interrupt sources.
 */
#include "tests/sim/loop_kit.h"

#include "guest/ports/xnu/kpi/workloop.h"
#include "sim/macos/loop/gate.h"

/* ---- an owner ---- */

class Owner : public OSObject
{
	OSDeclareDefaultStructors(Owner);

public:
	IOWorkLoop *loop;
	IOCommandGate *gate;
	IOTimerEventSource *timer;
	IOInterruptEventSource *source;
	volatile int calls, count, on_loop, value, step;

	static Owner *make();
	void end();
	void free() override
	{
		note("freed");
		OSObject::free();
	}
};

OSDefineMetaClassAndStructors(Owner, OSObject)

Owner *Owner::make()
{
	Owner *owner = new Owner;

	CHECK(owner->init());
	owner->loop = IOWorkLoop::workLoop();
	CHECK(owner->loop);
	owner->gate = IOCommandGate::commandGate(owner);
	CHECK(owner->gate && owner->loop->addEventSource(owner->gate) == kIOReturnSuccess);
	return owner;
}

void Owner::end()
{
	if (timer) {
		loop->removeEventSource(timer);
		timer->release();
	}
	if (source) {
		loop->removeEventSource(source);
		source->release();
	}
	loop->removeEventSource(gate);
	gate->release();
	loop->release();
	release();
}

static IOReturn gated(OSObject *object, void *a, void *b, void *c, void *d)
{
	Owner *owner = static_cast<Owner *>(object);

	CHECK(owner->loop->inGate());
	CHECK(!owner->loop->onThread());
	if (d)
		return owner->gate->runAction(gated, a, b, c, nullptr);
	return static_cast<IOReturn>(reinterpret_cast<uintptr_t>(a) +
				     reinterpret_cast<uintptr_t>(b) +
				     reinterpret_cast<uintptr_t>(c));
}

/* A loop ends on its own thread, after its last release: the gate tells when. */
static struct sim_gate *kept_gate(const Owner *owner)
{
	struct sim_gate *gate = sim_gate_of(owner->loop);

	sim_gate_retain(gate);
	return gate;
}

static bool loop_gone(struct sim_gate *gate)
{
	bool gone = child_wait([=] { return __atomic_load_n(&gate->dead, __ATOMIC_ACQUIRE); });

	sim_gate_release(gate);
	return gone;
}

static void *number(uintptr_t n)
{
	return reinterpret_cast<void *>(n);
}

/* ---- gates ---- */

static void gate_runs()
{
	Owner *owner = Owner::make();

	CHECK(!owner->loop->inGate());
	CHECK(owner->gate->runAction(gated, number(1), number(2), number(3), number(1)) == 6);
	CHECK(owner->loop->runAction(gated, owner, number(4)) == 4);
	CHECK(owner->gate->attemptAction(gated, number(5)) == 5);
	CHECK(owner->gate->runAction(nullptr) == kIOReturnBadArgument);
	CHECK(!owner->loop->inGate());
	owner->end();
	CHECK(noted("freed"));
}

static void test_gate_runs(void **)
{
	run(6, gate_runs, nullptr);
	run(15, gate_runs, nullptr);
}

static IOReturn hold(OSObject *object, void *, void *, void *, void *)
{
	Owner *owner = static_cast<Owner *>(object);

	owner->step = 1;
	CHECK(wait_for(&owner->step, 2));
	return kIOReturnSuccess;
}

static void holder(void *arg)
{
	Owner *owner = static_cast<Owner *>(arg);

	owner->gate->runAction(hold);
	owner->step = 3;
}

static void attempt_refused()
{
	Owner *owner = Owner::make();

	sim_thread_start("the holder", holder, owner);
	CHECK(wait_for(&owner->step, 1));
	CHECK(owner->gate->attemptAction(gated) == kIOReturnCannotLock);
	owner->step = 2;
	CHECK(wait_for(&owner->step, 3));
	CHECK(owner->gate->attemptAction(gated) == 0);
	sim_attempt_refusals = 100;
	CHECK(owner->gate->attemptAction(gated) == kIOReturnCannotLock);
	/* Not who is in already. */
	CHECK(owner->gate->runAction(gated, number(1), nullptr, nullptr, number(1)) == 1);
	owner->end();
}

static void test_attempt_refused(void **)
{
	run(13, attempt_refused, nullptr);
}

static IOReturn nothing(OSObject *, void *, void *, void *, void *)
{
	return kIOReturnSuccess;
}

/* In the loop's gate until it waits at the barred one. */
static IOReturn wait_at_gate(OSObject *object, void *, void *, void *, void *)
{
	Owner *owner = static_cast<Owner *>(object);

	owner->step = 1;
	return owner->gate->runAction(gated, number(7));
}

static void waiter(void *arg)
{
	Owner *owner = static_cast<Owner *>(arg);

	owner->value = owner->loop->runAction(wait_at_gate, owner);
	owner->step = 2;
}

static void start_waiter(Owner *owner)
{
	owner->step = 0;
	sim_thread_start("the waiter", waiter, owner);
	CHECK(wait_for(&owner->step, 1));
	owner->loop->runAction(nothing, owner);
}

static IOReturn bar(OSObject *object, void *on, void *, void *, void *)
{
	Owner *owner = static_cast<Owner *>(object);

	if (on)
		owner->gate->disable();
	else
		owner->gate->enable();
	return kIOReturnSuccess;
}

static void gate_disabled()
{
	Owner *owner = Owner::make();

	owner->gate->runAction(bar, owner);
	CHECK(owner->gate->attemptAction(gated) == kIOReturnNotPermitted);
	start_waiter(owner);
	usleep(20000);
	CHECK(owner->step == 1);
	owner->gate->enable();
	CHECK(wait_for(&owner->step, 2) && owner->value == 7);

	owner->gate->runAction(bar, owner);
	start_waiter(owner);
	CHECK(owner->loop->removeEventSource(owner->gate) == kIOReturnSuccess);
	CHECK(wait_for(&owner->step, 2) && owner->value == kIOReturnAborted);
	owner->end();
}

static void test_gate_disabled(void **)
{
	run(9, gate_disabled, nullptr);
	run(15, gate_disabled, nullptr);
}

static void not_added()
{
	Owner *owner = Owner::make();
	IOCommandGate *gate = IOCommandGate::commandGate(owner);

	CHECK(gate->runAction(gated) == kIOReturnNotReady);
	CHECK(gate->attemptAction(gated) == kIOReturnNotReady);
	gate->release();
	owner->end();
}

static void test_gate_not_added(void **)
{
	run(10, not_added, "has not been added to a work loop");
	run(11, not_added, nullptr);
}

static void removed()
{
	Owner *owner = Owner::make();
	IOCommandGate *gate = IOCommandGate::commandGate(owner);
	bool forgets = sim_release_at_least(11);

	CHECK(owner->loop->addEventSource(gate) == kIOReturnSuccess);
	CHECK(owner->loop->removeEventSource(gate) == kIOReturnSuccess);
	CHECK(gate->runAction(gated, number(2)) == (forgets ? kIOReturnNotReady : 2));
	CHECK(owner->loop->removeEventSource(gate) ==
	      (forgets ? kIOReturnSuccess : kIOReturnBadArgument));
	gate->release();
	owner->end();
}

static void used_after_loop()
{
	Owner *owner = Owner::make();
	struct sim_gate *gate = kept_gate(owner);

	owner->loop->removeEventSource(owner->gate);
	owner->loop->release();
	CHECK(loop_gone(gate));
	owner->gate->runAction(gated);
	CHECK(false);
}

static void test_gate_removed(void **)
{
	run(10, removed, nullptr);
	run(11, removed, nullptr);
	run(10, used_after_loop, "which has been freed");
}

/* ---- sleeping ---- */

static IOReturn sleep_action(OSObject *object, void *deep, void *, void *, void *)
{
	Owner *owner = static_cast<Owner *>(object);
	UInt64 deadline;

	if (deep)
		return owner->gate->runAction(sleep_action);
	owner->step = 1;
	CHECK(owner->gate->commandSleep(owner) == THREAD_AWAKENED);
	CHECK(owner->loop->inGate());
	clock_interval_to_deadline(20, kMillisecondScale, &deadline);
	CHECK(owner->gate->commandSleep(owner, deadline, THREAD_UNINT) == THREAD_TIMED_OUT);
	return kIOReturnSuccess;
}

static void sleeper(void *arg)
{
	Owner *owner = static_cast<Owner *>(arg);

	owner->gate->runAction(sleep_action, owner);
	owner->step = 3;
}

static IOReturn wake_action(OSObject *object, void *, void *, void *, void *)
{
	Owner *owner = static_cast<Owner *>(object);

	owner->gate->commandWakeup(owner);
	return kIOReturnSuccess;
}

static void sleeps()
{
	Owner *owner = Owner::make();

	sim_thread_start("the sleeper", sleeper, owner);
	CHECK(wait_for(&owner->step, 1));
	/* The gate is free although the sleeper had it twice. */
	CHECK(owner->gate->runAction(wake_action) == kIOReturnSuccess);
	CHECK(wait_for(&owner->step, 3));
	CHECK(owner->gate->commandSleep(owner) == kIOReturnNotPermitted);
	owner->end();
}

static void forever()
{
	Owner *owner = Owner::make();

	sim_sleep_limit_ms = 200;
	owner->gate->runAction(sleep_action);
}

static void test_command_sleep(void **)
{
	run(13, sleeps, nullptr);
	run(14, sleeps, "commandSleep without the gate");
	run(13, forever, "nobody wakes it");
}

/* ---- misuse of gates ---- */

static IOReturn wait_for_other(OSObject *object, void *other, void *, void *, void *)
{
	Owner *owner = static_cast<Owner *>(object), *that = static_cast<Owner *>(other);

	__atomic_add_fetch(&that->step, 1, __ATOMIC_SEQ_CST);
	CHECK(wait_for(&owner->step, 1));
	that->gate->runAction(gated);
	return kIOReturnSuccess;
}

static Owner *first, *second;

static void other_way(void *)
{
	second->gate->runAction(wait_for_other, first);
}

static void deadlock()
{
	sim_gate_limit_ms = 400;
	first = Owner::make();
	second = Owner::make();
	sim_thread_start("the other way", other_way, nullptr);
	first->gate->runAction(wait_for_other, second);
}

static void at_interrupt_level()
{
	Owner *owner = Owner::make();

	sim_interrupt_begin();
	owner->gate->attemptAction(gated);
}

static void under_spin_lock()
{
	Owner *owner = Owner::make();

	IOSimpleLockLock(IOSimpleLockAlloc());
	owner->gate->runAction(gated);
}

static IOReturn keeps_lock(OSObject *, void *, void *, void *, void *)
{
	IOSimpleLockLock(IOSimpleLockAlloc());
	return 0;
}

static void lock_kept()
{
	Owner::make()->gate->runAction(keeps_lock);
}

static void added_twice()
{
	Owner *owner = Owner::make();

	owner->loop->addEventSource(owner->gate);
}

static void released_too_often()
{
	Owner *owner = Owner::make();

	owner->gate->release();
	owner->gate->release();
}

static void test_gate_misuse(void **)
{
	run(9, deadlock, "deadlock: IOCommandGate::runAction in '");
	run(9, deadlock, "waits for the gate of IOWorkLoop");
	run(9, at_interrupt_level, "attemptAction called at interrupt level");
	run(9, under_spin_lock, "runAction called with a spin lock held");
	run(9, lock_kept, "with another spin lock than");
	run(9, added_twice, "is in a loop already");
	run(9, released_too_often, "is released too often");
}

/* ---- software sources ---- */

static void on_work(OSObject *object, IOInterruptEventSource *, int count)
{
	Owner *owner = static_cast<Owner *>(object);

	CHECK(owner->loop->inGate() && owner->loop->onThread());
	owner->count += count;
	__atomic_add_fetch(&owner->calls, 1, __ATOMIC_SEQ_CST);
}

static IOReturn fire_three(OSObject *object, void *, void *, void *, void *)
{
	Owner *owner = static_cast<Owner *>(object);

	for (int i = 0; i < 3; i++)
		owner->source->interruptOccurred(nullptr, nullptr, 0);
	owner->source->disable();
	usleep(20000);
	CHECK(owner->calls == 0);
	return kIOReturnSuccess;
}

static void software_source()
{
	Owner *owner = Owner::make();

	owner->source = IOInterruptEventSource::interruptEventSource(owner, on_work);
	CHECK(owner->loop->addEventSource(owner->source) == kIOReturnSuccess);
	owner->gate->runAction(fire_three);
	CHECK(wait_for(&owner->calls, 1));
	CHECK(owner->count == 3);
	for (int i = 0; i < 1000; i++)
		owner->source->interruptOccurred(nullptr, nullptr, 0);
	CHECK(wait_for(&owner->count, 1003));
	CHECK(owner->loop->removeEventSource(owner->source) == kIOReturnSuccess);
	CHECK(owner->loop->removeEventSource(owner->source) == kIOReturnSuccess);
	owner->end();
}

static void test_software_source(void **)
{
	run(6, software_source, nullptr);
	run(15, software_source, nullptr);
}

static void last_release(OSObject *object, IOInterruptEventSource *source, int)
{
	Owner *owner = static_cast<Owner *>(object);
	IOWorkLoop *loop = owner->loop;

	loop->removeEventSource(owner->gate);
	loop->removeEventSource(source);
	owner->gate->release();
	owner->release();
	loop->release();
	CHECK(loop->inGate());
}

/* On the loop's own thread, in one of its actions. */
static void loop_released_inside()
{
	Owner *owner = Owner::make();
	struct sim_gate *gate = kept_gate(owner);
	IOInterruptEventSource *source;

	source = IOInterruptEventSource::interruptEventSource(owner, last_release);
	owner->loop->addEventSource(source);
	source->interruptOccurred(nullptr, nullptr, 0);
	CHECK(loop_gone(gate));
	CHECK(noted("freed"));
	source->release();
}

static void release_self(OSObject *object, IOInterruptEventSource *source, int)
{
	static_cast<Owner *>(object)->loop->removeEventSource(source);
	source->release();
}

static void source_released_inside()
{
	Owner *owner = Owner::make();
	IOInterruptEventSource *source;

	source = IOInterruptEventSource::interruptEventSource(owner, release_self);
	owner->loop->addEventSource(source);
	source->interruptOccurred(nullptr, nullptr, 0);
	child_wait_for_end();
}

static void test_loop_released_inside(void **)
{
	run(9, loop_released_inside, nullptr);
	run(15, loop_released_inside, nullptr);
	run(9, source_released_inside, "by its own action");
}

/* ---- interrupts ---- */

class Nub : public IOService
{
	OSDeclareDefaultStructors(Nub);

public:
	int type;
	OSObject *target;
	IOInterruptAction handler;
	bool on;

	IOReturn getInterruptType(int source, int *out) override
	{
		if (source != 1)
			return kIOReturnNoInterrupt;
		*out = type;
		return kIOReturnSuccess;
	}
	IOReturn registerInterrupt(int, OSObject *object, IOInterruptAction action, void *) override
	{
		target = object;
		handler = action;
		note("reg");
		return kIOReturnSuccess;
	}
	IOReturn unregisterInterrupt(int) override
	{
		target = nullptr;
		handler = nullptr;
		note("unreg");
		return kIOReturnSuccess;
	}
	IOReturn enableInterrupt(int) override
	{
		on = true;
		note("on");
		return kIOReturnSuccess;
	}
	IOReturn disableInterrupt(int) override
	{
		on = false;
		note("off");
		return kIOReturnSuccess;
	}
	void interrupt()
	{
		sim_interrupt_begin();
		handler(target, nullptr, this, 1);
		sim_interrupt_end();
	}
};

OSDefineMetaClassAndStructors(Nub, IOService)

static bool answer;

static bool filter(OSObject *, IOFilterInterruptEventSource *)
{
	CHECK(sim_cpu()->level == SIM_INTERRUPT && !ml_get_interrupts_enabled());
	note("filter");
	return answer;
}

static Owner *interrupt_owner(Nub *nub, int type)
{
	Owner *owner = Owner::make();

	CHECK(nub->init(nullptr));
	nub->type = type;
	CHECK(!IOFilterInterruptEventSource::filterInterruptEventSource(owner, on_work, filter, nub,
									0));
	owner->source = IOFilterInterruptEventSource::filterInterruptEventSource(owner, on_work,
										 filter, nub, 1);
	CHECK(owner->source && noted("reg"));
	owner->loop->addEventSource(owner->source);
	CHECK(noted(""));
	owner->source->enable();
	CHECK(noted("on"));
	return owner;
}

static void interrupt_line()
{
	Nub *nub = new Nub;
	Owner *owner = interrupt_owner(nub, kIOInterruptTypeLevel);

	CHECK(owner->source->getAutoDisable());
	answer = false;
	nub->interrupt();
	CHECK(noted("filter"));
	answer = true;
	nub->interrupt();
	CHECK(wait_for(&owner->calls, 1));
	CHECK(noted_soon("filter off on"));
	owner->end();
	CHECK(noted("unreg freed"));
	nub->release();
}

static void interrupt_message()
{
	Nub *nub = new Nub;
	Owner *owner = interrupt_owner(nub, kIOInterruptTypeEdge |
						    static_cast<int>(kIOInterruptTypePCIMessaged));

	CHECK(!owner->source->getAutoDisable());
	answer = true;
	nub->interrupt();
	CHECK(wait_for(&owner->calls, 1));
	answer = false;
	nub->interrupt();
	/* disable() of a message stops nothing here: what is counted is acted upon. */
	owner->source->disable();
	answer = true;
	nub->interrupt();
	CHECK(wait_for(&owner->calls, 2));
	CHECK(noted("filter filter off filter"));
	static_cast<IOFilterInterruptEventSource *>(owner->source)->signalInterrupt();
	CHECK(wait_for(&owner->calls, 3));
	owner->loop->removeEventSource(owner->source);
	owner->loop->addEventSource(owner->source);
	CHECK(noted("unreg reg"));
	owner->end();
	nub->release();
}

static void interrupt_at_thread_level()
{
	Nub *nub = new Nub;

	interrupt_owner(nub, kIOInterruptTypeLevel);
	nub->handler(nub->target, nullptr, nub, 1);
}

static bool logging_filter(OSObject *, IOFilterInterruptEventSource *)
{
	IOLog("no\n");
	return false;
}

static void filter_logs()
{
	Nub *nub = new Nub;
	Owner *owner = Owner::make();

	CHECK(nub->init(nullptr));
	CHECK(IOFilterInterruptEventSource::filterInterruptEventSource(owner, on_work,
								       logging_filter, nub, 1));
	nub->interrupt();
}

static void interrupt_before_add()
{
	Nub *nub = new Nub;
	Owner *owner = Owner::make();

	CHECK(nub->init(nullptr));
	answer = true;
	CHECK(IOFilterInterruptEventSource::filterInterruptEventSource(owner, on_work, filter, nub,
								       1));
	nub->interrupt();
}

static void test_interrupts(void **)
{
	run(9, interrupt_line, nullptr);
	run(9, interrupt_message, nullptr);
	run(15, interrupt_message, nullptr);
	run(9, interrupt_at_thread_level, "outside of an interrupt");
	run(9, filter_logs, "IOLog called at interrupt level");
	run(9, interrupt_before_add, "is in no work loop");
}

/* ---- timers ---- */

static void on_timer(OSObject *object, IOTimerEventSource *timer)
{
	Owner *owner = static_cast<Owner *>(object);

	CHECK(owner->loop->inGate() && !owner->loop->onThread());
	if (owner->value > 0) {
		owner->value--;
		CHECK(timer->setTimeoutMS(1) == kIOReturnSuccess);
	}
	__atomic_add_fetch(&owner->calls, 1, __ATOMIC_SEQ_CST);
}

static Owner *timer_owner()
{
	Owner *owner = Owner::make();

	owner->timer = IOTimerEventSource::timerEventSource(owner, on_timer);
	CHECK(owner->timer);
	return owner;
}

static void timer_fires()
{
	Owner *owner = timer_owner();
	uint64_t start = sim_now_ns();

	/* Set before it has a loop. */
	CHECK(owner->timer->setTimeoutMS(30) == kIOReturnSuccess);
	owner->loop->addEventSource(owner->timer);
	CHECK(wait_for(&owner->calls, 1));
	CHECK(sim_now_ns() - start >= 30000000);
	/* One shot; a later one takes its place. */
	owner->timer->setTimeoutMS(2000);
	owner->timer->setTimeoutUS(1000);
	CHECK(wait_for(&owner->calls, 2));
	usleep(30000);
	CHECK(owner->calls == 2);
	owner->value = 5;
	owner->timer->setTimeoutMS(1);
	CHECK(wait_for(&owner->calls, 8));
	owner->timer->disable();
	owner->timer->setTimeoutMS(1);
	usleep(20000);
	CHECK(owner->calls == 8);
	owner->timer->enable();
	CHECK(wait_for(&owner->calls, 9));
	/* Armed, and the loop and the timer go. */
	owner->timer->setTimeoutMS(10000);
	owner->end();
	CHECK(noted("freed"));
}

static IOReturn cancel_late(OSObject *object, void *, void *, void *, void *)
{
	Owner *owner = static_cast<Owner *>(object);

	owner->timer->setTimeoutUS(100);
	usleep(20000); /* it has fired by now, and waits for this gate */
	CHECK(owner->calls == 0);
	owner->timer->cancelTimeout();
	return kIOReturnSuccess;
}

static void timer_cancelled()
{
	Owner *owner = timer_owner();

	owner->loop->addEventSource(owner->timer);
	for (int i = 0; i < 5; i++)
		owner->gate->runAction(cancel_late);
	usleep(30000);
	CHECK(owner->calls == 0);
	owner->end();
}

static void test_timers(void **)
{
	run(6, timer_fires, nullptr);
	run(15, timer_fires, nullptr);
	run(9, timer_cancelled, nullptr);
}

/* ---- all at once ---- */

#define CROWD  3
#define ROUNDS 2000

static IOReturn count_up(OSObject *object, void *round, void *, void *, void *)
{
	Owner *owner = static_cast<Owner *>(object);
	uintptr_t n = reinterpret_cast<uintptr_t>(round);

	owner->value = owner->value + 1;
	if (n % 8 == 0)
		owner->timer->setTimeoutUS(50);
	else if (n % 8 == 4)
		owner->timer->cancelTimeout();
	if (n % 16 == 3) {
		UInt64 deadline;

		clock_interval_to_deadline(100, kMicrosecondScale, &deadline);
		owner->gate->commandSleep(owner, deadline, THREAD_UNINT);
	} else if (n % 16 == 11) {
		owner->gate->commandWakeup(owner);
	}
	return kIOReturnSuccess;
}

static void one_of_crowd(void *arg)
{
	Owner *owner = static_cast<Owner *>(arg);

	for (uintptr_t n = 0; n < ROUNDS; n++) {
		owner->source->interruptOccurred(nullptr, nullptr, 0);
		if (n % 2 || owner->gate->attemptAction(count_up, number(n)) == kIOReturnCannotLock)
			owner->gate->runAction(count_up, number(n));
	}
	__atomic_add_fetch(&owner->step, 1, __ATOMIC_SEQ_CST);
}

static void count_timer(OSObject *object, IOTimerEventSource *)
{
	Owner *owner = static_cast<Owner *>(object);

	owner->on_loop = owner->on_loop + 1;
}

static void crowd()
{
	Owner *owner = Owner::make();

	sim_attempt_refusals = 20;
	owner->timer = IOTimerEventSource::timerEventSource(owner, count_timer);
	owner->loop->addEventSource(owner->timer);
	owner->source = IOInterruptEventSource::interruptEventSource(owner, on_work);
	owner->loop->addEventSource(owner->source);
	for (int i = 0; i < CROWD; i++)
		sim_thread_start("one of the crowd", one_of_crowd, owner);
	CHECK(wait_for(&owner->step, CROWD));
	CHECK(wait_for(&owner->count, CROWD * ROUNDS));
	CHECK(owner->value == CROWD * ROUNDS);
	/* A timer that was cancelled and set so often still fires. */
	owner->timer->setTimeoutUS(50);
	CHECK(child_wait([=] { return owner->on_loop > 0; }));
	owner->end();
}

static void test_crowd(void **)
{
	run(6, crowd, nullptr);
	run(15, crowd, nullptr);
}

int main()
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gate_runs),
		cmocka_unit_test(test_attempt_refused),
		cmocka_unit_test(test_gate_disabled),
		cmocka_unit_test(test_gate_not_added),
		cmocka_unit_test(test_gate_removed),
		cmocka_unit_test(test_command_sleep),
		cmocka_unit_test(test_gate_misuse),
		cmocka_unit_test(test_software_source),
		cmocka_unit_test(test_loop_released_inside),
		cmocka_unit_test(test_interrupts),
		cmocka_unit_test(test_timers),
		cmocka_unit_test(test_crowd),
	};

	return cmocka_run_group_tests(tests, nullptr, nullptr);
}
