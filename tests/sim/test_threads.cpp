/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads of the simulated kernel: calls on other ones, and the world standing still. What must end
 * in a violation is done in a child, which has to abort with the right words.
 */
#include "tests/sim/core_kit.h"

#define CALLS	 4
#define PLACE(t) (sim_now_ns() + (t)*MS)

static IOSimpleLock *spin;
static IOLock *lock;

/* ---- calls on other threads ---- */

static thread_call_t calls[CALLS];
static volatile unsigned order, ran[CALLS], started, leave;

static void call_ran(thread_call_param_t param, thread_call_param_t)
{
	ran[reinterpret_cast<uintptr_t>(param)] = __atomic_add_fetch(&order, 1, __ATOMIC_SEQ_CST);
}

static void call_stays(thread_call_param_t, thread_call_param_t)
{
	__atomic_add_fetch(&started, 1, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < 5000 && !leave; i++)
		nap_ms(1);
}

static bool reaches(volatile unsigned *n, unsigned want)
{
	for (unsigned i = 0; i < 5000 && __atomic_load_n(n, __ATOMIC_SEQ_CST) < want; i++)
		nap_ms(1);
	return *n >= want;
}

static void calls_well()
{
	inside in;
	thread_call_t stays = thread_call_allocate(call_stays, nullptr);
	uint64_t now;

	for (uintptr_t i = 0; i < CALLS; i++)
		calls[i] = thread_call_allocate(call_ran, reinterpret_cast<void *>(i));
	/* By deadline, not in the order of entering; one is taken back, one put off. */
	now = sim_now_ns();
	CHECK(!thread_call_enter_delayed(calls[0], now + 90 * MS));
	CHECK(!thread_call_enter_delayed(calls[1], now + 30 * MS));
	CHECK(!thread_call_enter_delayed(calls[2], now + 60 * MS));
	CHECK(!thread_call_enter_delayed(calls[3], now + 10 * MS));
	CHECK(thread_call_enter_delayed(calls[3], now + 120 * MS));
	CHECK(thread_call_cancel(calls[2]) && !thread_call_cancel(calls[2]));
	CHECK(!thread_call_free(calls[0])); /* pending */
	CHECK(reaches(&order, 3));
	CHECK(sim_now_ns() - now >= 120 * MS);
	CHECK(ran[1] == 1 && ran[0] == 2 && ran[3] == 3 && ran[2] == 0);
	CHECK(!thread_call_cancel(calls[0]));
	/* Entered again while it runs: a second time at once; only what has not begun is cancelled.
	 */
	CHECK(!thread_call_enter(stays) && reaches(&started, 1));
	CHECK(!thread_call_enter(stays) && reaches(&started, 2));
	CHECK(!thread_call_cancel(stays));
	leave = 1;
	nap_ms(30);
	for (thread_call_t call : calls)
		CHECK(thread_call_free(call));
	CHECK(thread_call_free(stays));
}

static void call_keeps_lock(thread_call_param_t, thread_call_param_t)
{
	IOSimpleLockLock(spin);
}

static void call_with_lock()
{
	inside in;

	spin = IOSimpleLockAlloc();
	thread_call_enter(thread_call_allocate(call_keeps_lock, nullptr));
	nap_ms(3000);
}

static void call_pending()
{
	inside in;

	thread_call_enter_delayed(thread_call_allocate(call_ran, nullptr), PLACE(60000));
}

static void test_thread_calls(void **)
{
	runs(13, calls_well);
	dies(13, call_with_lock, "a thread call returned with a lock held");
	leaves(call_pending, "1 thread calls still pending");
}

/* ---- the world ---- */

static volatile unsigned turns[6];
static volatile bool over;

static void in_locks(void *)
{
	while (!over) {
		IOLockLock(lock);
		turns[0] = turns[0] + 1;
		IOLockUnlock(lock);
	}
}

static void in_malloc(void *)
{
	while (!over) {
		IOFree(IOMalloc(1 + turns[1] % 5000), 1 + turns[1] % 5000);
		turns[1] = turns[1] + 1;
	}
}

static void in_host(void *)
{
	while (!over) {
		sim_host_begin();
		free(malloc(100));
		sim_host_end();
		turns[2] = turns[2] + 1;
	}
}

/* Comes and goes: while the world stands it may be outside, but not come in. */
static void *in_and_out(void *)
{
	while (!over) {
		sim_enter("comes and goes");
		turns[3] = turns[3] + 1;
		sim_exit();
	}
	return nullptr;
}

static void busy(void *)
{
	while (!over)
		turns[4] = turns[4] + 1;
}

static void stands_still()
{
	pthread_t thread;
	unsigned before[6], stops = 0;

	sim_enter("the debugger");
	lock = IOLockAlloc();
	sim_thread_start("locks", in_locks, nullptr);
	sim_thread_start("locks too", in_locks, nullptr);
	sim_thread_start("malloc", in_malloc, nullptr);
	sim_thread_start("host", in_host, nullptr);
	sim_thread_start("busy", busy, nullptr);
	CHECK(pthread_create(&thread, nullptr, in_and_out, nullptr) == 0);
	nap_ms(20);
	for (unsigned i = 0; i < 60; i++) {
		CHECK(sim_world_stop());
		CHECK(sim_cpu()->level == SIM_DEBUGGER && ml_at_interrupt_context());
		for (unsigned j = 0; j < 5; j++)
			before[j] = turns[j];
		nap_ms(2);
		for (unsigned j = 0; j < 5; j++)
			CHECK(turns[j] == before[j]);
		stops++;
		sim_world_go();
		nap_ms(1);
	}
	over = true;
	CHECK(pthread_join(thread, nullptr) == 0);
	for (unsigned j = 0; j < 5; j++)
		CHECK(turns[j] > 0);
	nap_ms(100);
	IOLockFree(lock);
	sim_exit();
}

static volatile unsigned second;

static void stops_too(void *)
{
	/* Either it has the world for itself for a while, or comes when that was so for another. */
	for (unsigned i = 0; i < 20; i++) {
		if (sim_world_stop())
			sim_world_go();
		second = second + 1;
	}
}

static void two_debuggers()
{
	inside in;

	sim_thread_start("second", stops_too, nullptr);
	for (unsigned i = 0; i < 20; i++) {
		if (sim_world_stop())
			sim_world_go();
	}
	CHECK(reaches(&second, 20));
}

static void debugger_in_debugger()
{
	inside in;

	CHECK(sim_world_stop());
	(void)sim_world_stop();
}

static void go_without_stop()
{
	inside in;

	sim_world_go();
}

static void spin_in_debugger()
{
	inside in;

	spin = IOSimpleLockAlloc();
	CHECK(sim_world_stop());
	IOSimpleLockLock(spin);
}

static void log_in_filter()
{
	inside in;

	sim_interrupt_begin();
	IOLog("x\n");
}

static void exit_without_enter()
{
	sim_exit();
}

static void interrupt_in_interrupt()
{
	inside in;

	sim_interrupt_begin();
	sim_interrupt_begin();
}

static void spins_for_ever()
{
	inside in;

	IODelay(100001);
}

static void test_the_world(void **)
{
	runs(13, stands_still);
	runs(13, two_debuggers);
	dies(13, debugger_in_debugger, "the debugger was entered again from inside of itself");
	dies(13, go_without_stop, "by a thread that did not stop it");
	dies(13, spin_in_debugger, "IOSimpleLockLock while the debugger has stopped everything");
	dies(13, log_in_filter, "IOLog called at interrupt level");
	dies(13, exit_without_enter, "sim_exit() without sim_enter()");
	dies(13, interrupt_in_interrupt, "an interrupt is delivered inside another");
	dies(13, spins_for_ever, "nothing else can run that long");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_thread_calls),
		cmocka_unit_test(test_the_world),
	};

	return cmocka_run_group_tests(tests, nullptr, nullptr);
}
