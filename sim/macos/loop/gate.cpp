/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation. The lock is a plain mutex with an owner beside it: taking it again costs a
 * comparison. Whoever waits does so in slices: a slice that ran out counts, time that passed while
 * the debugger had stopped the world does not.
 *
 * A sleeper is on a list of its own lock before it drops the gate: a wake-up between the two is not
 * lost, one before is, as in a kernel.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "guest/ports/xnu/kpi/kernel.h"
#include "sim/macos/loop/gate.h"
#include "sim/macos/loop/loop.h"

#define SLICES	  20u
#define TURNS	  100u
#define HUNGRY_NS 10000000u /* who has waited so long goes before those that come now */

struct sim_gate_sleeper {
	struct sim_gate_sleeper *next;
	void *event;
	bool woken;
	pthread_cond_t cond;
};

unsigned sim_gate_limit_ms = 20000;
unsigned sim_sleep_limit_ms = 60000;

static thread_local unsigned gates_held;

static struct timespec in_ns(uint64_t ns)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	ns += static_cast<uint64_t>(t.tv_nsec);
	t.tv_sec += static_cast<time_t>(ns / 1000000000);
	t.tv_nsec = static_cast<long>(ns % 1000000000);
	return t;
}

uint64_t sim_deadline_ns(UInt64 deadline)
{
	UInt64 now = mach_absolute_time(), ns;

	if (deadline <= now)
		return sim_now_ns();
	absolutetime_to_nanoseconds(deadline - now, &ns);
	return sim_now_ns() + ns;
}

struct sim_gate *sim_gate_make(const char *name)
{
	struct sim_gate *gate = static_cast<struct sim_gate *>(calloc(1, sizeof(*gate)));

	if (!gate)
		sim_violation("the host has no memory for a gate");
	pthread_mutex_init(&gate->lock, nullptr);
	pthread_mutex_init(&gate->sleep_lock, nullptr);
	gate->refs = 1;
	snprintf(gate->name, sizeof(gate->name), "%s", name);
	return gate;
}

void sim_gate_retain(struct sim_gate *gate)
{
	__atomic_add_fetch(&gate->refs, 1, __ATOMIC_RELAXED);
}

void sim_gate_release(struct sim_gate *gate)
{
	if (__atomic_sub_fetch(&gate->refs, 1, __ATOMIC_ACQ_REL))
		return;
	pthread_mutex_destroy(&gate->lock);
	pthread_mutex_destroy(&gate->sleep_lock);
	free(gate);
}

bool sim_gate_mine(const struct sim_gate *gate)
{
	return __atomic_load_n(&gate->owner, __ATOMIC_RELAXED) == sim_cpu();
}

static void own(struct sim_gate *gate, unsigned depth)
{
	struct sim_cpu *cpu = sim_cpu();

	gate->owner_name = cpu->name;
	gate->depth = depth;
	__atomic_store_n(&gate->last, cpu, __ATOMIC_RELAXED);
	gate->outer = cpu->gate;
	cpu->gate = gate->name;
	gates_held += depth;
	__atomic_store_n(&gate->owner, cpu, __ATOMIC_RELAXED);
}

static void disown(struct sim_gate *gate)
{
	sim_cpu()->gate = gate->outer;
	gates_held -= gate->depth;
	gate->depth = 0;
	__atomic_store_n(&gate->owner, nullptr, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&gate->lock);
}

static void check(const struct sim_gate *gate, const char *what)
{
	/* [XNU-WL-1] The gate is a lock that sleeps, wherever and however it is taken. */
	sim_may_block(what);
	if (__atomic_load_n(&gate->dead, __ATOMIC_ACQUIRE))
		sim_violation("%s uses the gate of %s, which has been freed", what, gate->name);
}

static void wait_for(struct sim_gate *gate, const char *what)
{
	uint64_t slice = sim_gate_limit_ms * (1000000ULL / SLICES);
	/* Who holds no gate stands beside the circle: let those in it speak first. */
	unsigned slices = sim_cpu()->gate ? SLICES : 2 * SLICES;

	__atomic_add_fetch(&gate->waiting, 1, __ATOMIC_RELAXED);
	for (unsigned i = 0; i <= slices; i++) {
		struct timespec until = in_ns(i ? slice : HUNGRY_NS);

		if (pthread_mutex_clocklock(&gate->lock, CLOCK_MONOTONIC, &until) == 0) {
			if (i)
				__atomic_sub_fetch(&gate->hungry, 1, __ATOMIC_RELAXED);
			__atomic_sub_fetch(&gate->waiting, 1, __ATOMIC_RELAXED);
			return;
		}
		if (!i)
			__atomic_add_fetch(&gate->hungry, 1, __ATOMIC_RELAXED);
	}
	sim_violation("deadlock: %s in '%s' (holding %s) waits for the gate of %s, held by '%s'",
		      what, sim_cpu()->name, sim_cpu()->gate ? sim_cpu()->gate : "no gate",
		      gate->name, gate->owner_name ? gate->owner_name : "nobody");
}

/*
 * Who had it last and wants it again at once lets those go first who wait: a plain mutex would be
 * the same busy thread's for ever, as it is awake and they are not. And everybody lets those go
 * first who have waited for long, or two busy threads would have it in turns.
 */
static void let_others(const struct sim_gate *gate)
{
	const struct timespec nap = {0, 50000};

	for (unsigned i = 0; i < TURNS; i++) {
		if (!__atomic_load_n(&gate->waiting, __ATOMIC_RELAXED) ||
		    (!__atomic_load_n(&gate->hungry, __ATOMIC_RELAXED) &&
		     __atomic_load_n(&gate->last, __ATOMIC_RELAXED) != sim_cpu()))
			return;
		nanosleep(&nap, nullptr);
	}
}

void sim_gate_close(struct sim_gate *gate, const char *what)
{
	check(gate, what);
	if (sim_gate_mine(gate)) {
		gate->depth++;
		gates_held++;
		return;
	}
	let_others(gate);
	if (pthread_mutex_trylock(&gate->lock) != 0)
		wait_for(gate, what);
	own(gate, 1);
}

bool sim_gate_try(struct sim_gate *gate, const char *what)
{
	check(gate, what);
	if (sim_gate_mine(gate)) {
		gate->depth++;
		gates_held++;
		return true;
	}
	if (pthread_mutex_trylock(&gate->lock) != 0)
		return false;
	own(gate, 1);
	return true;
}

void sim_gate_open(struct sim_gate *gate, const char *what)
{
	if (!sim_gate_mine(gate))
		sim_violation("%s: '%s' opens the gate of %s without holding it", what,
			      sim_cpu()->name, gate->name);
	if (gate->depth > 1) {
		gate->depth--;
		gates_held--;
		return;
	}
	disown(gate);
}

static void forget(struct sim_gate *gate, struct sim_gate_sleeper *sleeper)
{
	struct sim_gate_sleeper **at = &gate->sleepers;

	while (*at != sleeper)
		at = &(*at)->next;
	*at = sleeper->next;
}

int sim_gate_sleep(struct sim_gate *gate, void *event, UInt64 deadline, const char *what)
{
	uint64_t end = deadline ? sim_deadline_ns(deadline) : 0;
	struct sim_gate_sleeper self, **at = &gate->sleepers;
	unsigned depth = gate->depth, slices = 0;
	pthread_condattr_t attr;
	bool woken;

	check(gate, what);
	self.next = nullptr;
	self.event = event;
	self.woken = false;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&self.cond, &attr);
	pthread_condattr_destroy(&attr);

	pthread_mutex_lock(&gate->sleep_lock);
	while (*at)
		at = &(*at)->next;
	*at = &self;
	disown(gate);
	while (!self.woken) {
		uint64_t slice = sim_sleep_limit_ms * (1000000ULL / SLICES), now = sim_now_ns();
		struct timespec until;

		if (end && now >= end)
			break;
		if (end && end - now < slice)
			slice = end - now;
		until = in_ns(slice);
		if (pthread_cond_timedwait(&self.cond, &gate->sleep_lock, &until) == ETIMEDOUT &&
		    !end && ++slices == SLICES && !self.woken)
			sim_violation("%s: '%s' sleeps in the gate of %s and nobody wakes it", what,
				      sim_cpu()->name, gate->name);
	}
	forget(gate, &self);
	woken = self.woken;
	pthread_mutex_unlock(&gate->sleep_lock);
	pthread_cond_destroy(&self.cond);

	sim_gate_close(gate, what);
	gates_held += depth - 1;
	gate->depth = depth;
	return woken ? THREAD_AWAKENED : THREAD_TIMED_OUT;
}

void sim_gate_wake(struct sim_gate *gate, void *event, bool one)
{
	pthread_mutex_lock(&gate->sleep_lock);
	for (struct sim_gate_sleeper *s = gate->sleepers; s; s = s->next) {
		if (s->event != event || s->woken)
			continue;
		s->woken = true;
		pthread_cond_signal(&s->cond);
		if (one)
			break;
	}
	pthread_mutex_unlock(&gate->sleep_lock);
}

/* ---- calls into a kext ---- */

sim_called::sim_called(const char *what_, const void *code_)
    : what(what_), code(code_), before(*sim_cpu()), gates(gates_held)
{
}

sim_called::~sim_called()
{
	const struct sim_cpu *now = sim_cpu();
	const char *kext, *held = nullptr;

	if (gates_held != gates)
		held = "gate";
	else if (now->spin_locks != before.spin_locks)
		held = "spin lock";
	else if (now->debugger_lock != before.debugger_lock)
		held = "debugger lock";
	else if (now->interrupts != before.interrupts)
		held = "changed interrupt state";
	if (!held)
		return;
	kext = sim_kext_name(code);
	sim_violation("%s at %p in %s returned with another %s than it was called with", what, code,
		      kext ? kext : "the kernel", held);
}
