/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls on another thread: a pool of a few, a queue of those that are due, and a list by time of
 * those that are not. [XNU-CORE-3] A call that is entered again while it runs may run on a second
 * thread at the same time; cancelling takes only away what has not begun.
 */
#include <errno.h>
#include <set>
#include <stdlib.h>
#include <time.h>
#include <utility>

#include "guest/ports/xnu/kpi/kernel.h"
#include "sim/macos/core/core.h"
#include "sim/macos/sim.h"

#define WORKERS 4u

struct call_entry {
	thread_call_func_t func;
	thread_call_param_t param;
	UInt64 deadline;
	bool pending;
	unsigned running;
};

typedef std::set<std::pair<UInt64, call_entry *>> call_set;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static pthread_cond_t ended;
static call_set *calls; /* pending ones, by deadline; those due at once have 0 */
static bool halting;
static unsigned workers, idle;

static void init_once()
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&changed, &attr);
	pthread_cond_init(&ended, &attr);
	pthread_condattr_destroy(&attr);
	calls = new call_set;
}

static void wait_for_work()
{
	struct timespec until;
	UInt64 first;

	idle++;
	if (calls->empty()) {
		pthread_cond_wait(&changed, &lock);
	} else {
		first = calls->begin()->first;
		until.tv_sec = static_cast<time_t>(first / 1000000000);
		until.tv_nsec = static_cast<long>(first % 1000000000);
		pthread_cond_timedwait(&changed, &lock, &until);
	}
	idle--;
}

static void worker(void *)
{
	pthread_mutex_lock(&lock);
	while (!halting) {
		call_entry *call;

		if (calls->empty() || calls->begin()->first > sim_now_ns()) {
			wait_for_work();
			continue;
		}
		call = calls->begin()->second;
		calls->erase(calls->begin());
		call->pending = false;
		call->running++;
		pthread_mutex_unlock(&lock);
		call->func(call->param, nullptr);
		if (sim_cpu()->spin_locks || sim_cpu()->debugger_lock || !sim_cpu()->interrupts)
			sim_violation("a thread call returned with a lock held or interrupts off");
		pthread_mutex_lock(&lock);
		call->running--;
		pthread_cond_broadcast(&ended);
	}
	workers--;
	pthread_cond_broadcast(&ended);
	pthread_mutex_unlock(&lock);
}

extern "C" thread_call_t thread_call_allocate(thread_call_func_t func, thread_call_param_t param)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const void *caller = __builtin_return_address(0);
	call_entry *call;

	sim_may_block("thread_call_allocate");
	pthread_once(&once, init_once);
	if (sim_alloc_fails(caller))
		return nullptr;
	call = static_cast<call_entry *>(calloc(1, sizeof(*call)));
	if (!call)
		return nullptr;
	call->func = func;
	call->param = param;
	sim_born("thread_call", call, sizeof(*call), caller);
	return call;
}

/* [XNU-CORE-4] A pending call is not freed; one that runs goes on, its memory until then. */
extern "C" boolean_t thread_call_free(thread_call_t call)
{
	struct timespec until;
	bool pending, stuck = false;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += 20;
	pthread_mutex_lock(&lock);
	pending = call->pending;
	/* A call may free itself: then its worker looks at it no more. */
	while (!pending && call->running > 1 && !stuck)
		stuck = pthread_cond_timedwait(&ended, &lock, &until) == ETIMEDOUT;
	pthread_mutex_unlock(&lock);
	if (pending)
		return false;
	if (stuck)
		sim_violation("thread_call_free: the call does not end");
	sim_died("thread_call", call);
	if (!call->running)
		free(call);
	return true;
}

static boolean_t enter(thread_call_t call, UInt64 deadline)
{
	boolean_t was;

	pthread_mutex_lock(&lock);
	was = call->pending;
	if (was)
		calls->erase(std::make_pair(call->deadline, call));
	call->deadline = deadline;
	call->pending = true;
	calls->emplace(deadline, call);
	if (workers < WORKERS && (workers == 0 || idle == 0) && !halting) {
		workers++;
		sim_thread_start("a thread call's thread", worker, nullptr);
	}
	/* Only who waits for the first one has to look again. */
	if (idle && (deadline == 0 || calls->begin()->second == call))
		pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
	return was;
}

extern "C" boolean_t thread_call_enter(thread_call_t call)
{
	return enter(call, 0);
}

extern "C" boolean_t thread_call_enter_delayed(thread_call_t call, UInt64 deadline)
{
	return enter(call, deadline);
}

extern "C" boolean_t thread_call_cancel(thread_call_t call)
{
	boolean_t was;

	pthread_mutex_lock(&lock);
	was = call->pending;
	if (was)
		calls->erase(std::make_pair(call->deadline, call));
	call->pending = false;
	pthread_mutex_unlock(&lock);
	return was;
}

void sim_thread_call_halt(void)
{
	struct timespec until;
	bool stuck = false;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += 20;
	pthread_mutex_lock(&lock);
	halting = true;
	pthread_cond_broadcast(&changed);
	while (workers && !stuck)
		stuck = pthread_cond_timedwait(&ended, &lock, &until) == ETIMEDOUT;
	pthread_mutex_unlock(&lock);
	if (stuck)
		sim_violation("a thread call does not end");
	if (calls && !calls->empty())
		sim_leak("%zu thread calls still pending", calls->size());
}

extern "C" thread_t current_thread(void)
{
	return reinterpret_cast<thread_t>(sim_cpu());
}
