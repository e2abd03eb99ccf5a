/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Locks as kpi/kernel.h has them, with the mistakes they allow caught: taken twice, freed while
 * held, a spin lock shared with interrupt level but taken with interrupts on, sleeping under one.
 */
#include <errno.h>
#include <new>
#include <stdlib.h>
#include <time.h>

#include "guest/ports/xnu/kpi/kernel.h"
#include "sim/macos/sim.h"

#define STUCK_S 20 /* nobody holds a lock for that long: a deadlock */

/* ---- IOSimpleLock ---- */

struct _IOSimpleLock {
	volatile int held;
	struct sim_cpu *volatile holder;
	volatile bool at_interrupt; /* was taken at interrupt level */
	volatile bool exposed;	    /* was taken at thread level with interrupts on */
};

extern "C" IOSimpleLock *IOSimpleLockAlloc(void)
{
	const void *caller = __builtin_return_address(0);
	IOSimpleLock *lock;

	sim_may_block("IOSimpleLockAlloc");
	if (sim_alloc_fails(caller))
		return nullptr;
	lock = static_cast<IOSimpleLock *>(calloc(1, sizeof(*lock)));
	if (lock)
		sim_born("IOSimpleLock", lock, sizeof(*lock), caller);
	return lock;
}

extern "C" void IOSimpleLockFree(IOSimpleLock *lock)
{
	if (lock->held)
		sim_violation("IOSimpleLockFree of a lock that is held");
	sim_died("IOSimpleLock", lock);
	free(lock);
}

extern "C" void IOSimpleLockInit(IOSimpleLock *lock)
{
	*lock = _IOSimpleLock();
}

static void simple_taken(IOSimpleLock *lock, struct sim_cpu *cpu)
{
	lock->holder = cpu;
	cpu->spin_locks++;
	if (cpu->level == SIM_INTERRUPT)
		lock->at_interrupt = true;
	else if (cpu->interrupts)
		lock->exposed = true;
	if (lock->at_interrupt && lock->exposed)
		sim_violation("an IOSimpleLock is taken at interrupt level, and elsewhere with "
			      "interrupts enabled: that deadlocks on one processor");
}

extern "C" boolean_t IOSimpleLockTryLock(IOSimpleLock *lock)
{
	struct sim_cpu *cpu = sim_cpu();

	if (cpu->level == SIM_DEBUGGER)
		sim_violation("IOSimpleLockTryLock while the debugger has stopped everything");
	if (__atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE))
		return false;
	simple_taken(lock, cpu);
	return true;
}

extern "C" void IOSimpleLockLock(IOSimpleLock *lock)
{
	struct sim_cpu *cpu = sim_cpu();
	uint64_t start = 0;

	if (cpu->level == SIM_DEBUGGER)
		sim_violation("IOSimpleLockLock while the debugger has stopped everything");
	for (unsigned i = 0; __atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE); i++) {
		const struct timespec nap = {0, 1000};

		if (lock->holder == cpu)
			sim_violation("IOSimpleLockLock: %s has it already", cpu->name);
		if (i < 200) {
			__builtin_ia32_pause();
			continue;
		}
		nanosleep(&nap, nullptr); /* the holder may wait for this processor */
		if (!start)
			start = sim_now_ns();
		if (sim_now_ns() - start > STUCK_S * 1000000000ULL)
			sim_violation("IOSimpleLockLock: not free within %d s", STUCK_S);
	}
	simple_taken(lock, cpu);
}

extern "C" void IOSimpleLockUnlock(IOSimpleLock *lock)
{
	struct sim_cpu *cpu = sim_cpu();

	if (!lock->held || lock->holder != cpu)
		sim_violation("IOSimpleLockUnlock of a lock that %s does not hold", cpu->name);
	cpu->spin_locks--;
	lock->holder = nullptr;
	__atomic_store_n(&lock->held, 0, __ATOMIC_RELEASE);
}

extern "C" boolean_t ml_set_interrupts_enabled(boolean_t on)
{
	struct sim_cpu *cpu = sim_cpu();
	boolean_t before = cpu->interrupts;

	if (on && !before && cpu->level != SIM_THREAD)
		sim_violation("interrupts are enabled at interrupt or debugger level");
	if (on && cpu->spin_locks && !before)
		sim_violation("interrupts are enabled with a spin lock held");
	cpu->interrupts = on != 0;
	return before;
}

extern "C" boolean_t ml_get_interrupts_enabled(void)
{
	return sim_cpu()->interrupts && sim_cpu()->level != SIM_DEBUGGER;
}

extern "C" boolean_t ml_at_interrupt_context(void)
{
	return sim_cpu()->level != SIM_THREAD;
}

/* ---- IOLock and IORecursiveLock: one implementation ---- */

struct sleeper {
	void *event;
	bool woken;
	struct sleeper *next;
};

struct lock_core {
	pthread_mutex_t mutex;
	pthread_cond_t wakeup;
	struct sim_cpu *volatile holder;
	unsigned depth;
	struct sleeper *sleepers;
};
struct _IOLock {
	lock_core c;
};
struct _IORecursiveLock {
	lock_core c;
};

static void core_init(lock_core *c)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&c->mutex, nullptr);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->wakeup, &attr);
	pthread_condattr_destroy(&attr);
}

static void core_free(lock_core *c, const char *what)
{
	if (c->holder || c->sleepers)
		sim_violation("%s of a lock that is held or slept on", what);
	pthread_cond_destroy(&c->wakeup);
	pthread_mutex_destroy(&c->mutex);
}

static void core_lock(lock_core *c, const char *what)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += STUCK_S;
	if (pthread_mutex_timedlock(&c->mutex, &until) != 0)
		sim_violation("%s: held by %s for %d s", what,
			      c->holder ? c->holder->name : "somebody", STUCK_S);
	c->holder = sim_cpu();
}

static void core_unlock(lock_core *c, const char *what)
{
	if (c->holder != sim_cpu())
		sim_violation("%s of a lock that %s does not hold", what, sim_cpu()->name);
	c->holder = nullptr;
	pthread_mutex_unlock(&c->mutex);
}

extern "C" IOLock *IOLockAlloc(void)
{
	const void *caller = __builtin_return_address(0);
	IOLock *lock;

	sim_may_block("IOLockAlloc");
	if (sim_alloc_fails(caller))
		return nullptr;
	lock = static_cast<IOLock *>(calloc(1, sizeof(*lock)));
	if (!lock)
		return nullptr;
	core_init(&lock->c);
	sim_born("IOLock", lock, sizeof(*lock), caller);
	return lock;
}

extern "C" void IOLockFree(IOLock *lock)
{
	core_free(&lock->c, "IOLockFree");
	sim_died("IOLock", lock);
	free(lock);
}

extern "C" void IOLockLock(IOLock *lock)
{
	sim_may_block("IOLockLock");
	if (lock->c.holder == sim_cpu())
		sim_violation("IOLockLock: %s has it already", sim_cpu()->name);
	core_lock(&lock->c, "IOLockLock");
}

extern "C" boolean_t IOLockTryLock(IOLock *lock)
{
	if (pthread_mutex_trylock(&lock->c.mutex) != 0)
		return false;
	lock->c.holder = sim_cpu();
	return true;
}

extern "C" void IOLockUnlock(IOLock *lock)
{
	core_unlock(&lock->c, "IOLockUnlock");
}

/* THREAD_AWAKENED, THREAD_TIMED_OUT */
enum { AWAKENED = 0, TIMED_OUT = 1 };

static int core_sleep(lock_core *c, void *event, const UInt64 *deadline)
{
	struct sleeper me = {event, false, c->sleepers};
	struct timespec until = {};
	int result = AWAKENED;

	if (c->holder != sim_cpu())
		sim_violation("IOLockSleep with a lock that %s does not hold", sim_cpu()->name);
	if (deadline) {
		until.tv_sec = static_cast<time_t>(*deadline / 1000000000);
		until.tv_nsec = static_cast<long>(*deadline % 1000000000);
	}
	c->sleepers = &me;
	c->holder = nullptr;
	while (!me.woken && result == AWAKENED) {
		if (!deadline)
			pthread_cond_wait(&c->wakeup, &c->mutex);
		else if (pthread_cond_timedwait(&c->wakeup, &c->mutex, &until) == ETIMEDOUT)
			result = me.woken ? AWAKENED : TIMED_OUT;
	}
	for (struct sleeper **at = &c->sleepers; *at; at = &(*at)->next) {
		if (*at == &me) {
			*at = me.next;
			break;
		}
	}
	c->holder = sim_cpu();
	return result;
}

extern "C" int IOLockSleep(IOLock *lock, void *event, UInt32)
{
	sim_may_block("IOLockSleep");
	return core_sleep(&lock->c, event, nullptr);
}

extern "C" int IOLockSleepDeadline(IOLock *lock, void *event, AbsoluteTime deadline, UInt32)
{
	sim_may_block("IOLockSleepDeadline");
	return core_sleep(&lock->c, event, &deadline);
}

extern "C" void IOLockWakeup(IOLock *lock, void *event, bool one)
{
	bool locked = lock->c.holder != sim_cpu();

	if (locked)
		pthread_mutex_lock(&lock->c.mutex);
	for (struct sleeper *s = lock->c.sleepers; s; s = s->next) {
		if (s->event != event || s->woken)
			continue;
		s->woken = true;
		if (one)
			break;
	}
	pthread_cond_broadcast(&lock->c.wakeup);
	if (locked)
		pthread_mutex_unlock(&lock->c.mutex);
}

extern "C" IORecursiveLock *IORecursiveLockAlloc(void)
{
	const void *caller = __builtin_return_address(0);
	IORecursiveLock *lock;

	sim_may_block("IORecursiveLockAlloc");
	if (sim_alloc_fails(caller))
		return nullptr;
	lock = static_cast<IORecursiveLock *>(calloc(1, sizeof(*lock)));
	if (!lock)
		return nullptr;
	core_init(&lock->c);
	sim_born("IORecursiveLock", lock, sizeof(*lock), caller);
	return lock;
}

extern "C" void IORecursiveLockFree(IORecursiveLock *lock)
{
	core_free(&lock->c, "IORecursiveLockFree");
	sim_died("IORecursiveLock", lock);
	free(lock);
}

extern "C" void IORecursiveLockLock(IORecursiveLock *lock)
{
	sim_may_block("IORecursiveLockLock");
	if (lock->c.holder != sim_cpu())
		core_lock(&lock->c, "IORecursiveLockLock");
	lock->c.depth++;
}

extern "C" boolean_t IORecursiveLockTryLock(IORecursiveLock *lock)
{
	if (lock->c.holder != sim_cpu()) {
		if (pthread_mutex_trylock(&lock->c.mutex) != 0)
			return false;
		lock->c.holder = sim_cpu();
	}
	lock->c.depth++;
	return true;
}

extern "C" void IORecursiveLockUnlock(IORecursiveLock *lock)
{
	if (lock->c.holder != sim_cpu())
		sim_violation("IORecursiveLockUnlock of a lock that %s does not hold",
			      sim_cpu()->name);
	if (--lock->c.depth == 0)
		core_unlock(&lock->c, "IORecursiveLockUnlock");
}

extern "C" boolean_t IORecursiveLockHaveLock(const IORecursiveLock *lock)
{
	return lock->c.holder == sim_cpu();
}
