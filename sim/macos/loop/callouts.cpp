/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation. A list by time, and threads that wait for its head. A thread that takes a
 * callout makes sure that another is there to wait for the next one: so a callout that blocks (for
 * a gate, say) never holds up another. [XNU-WL-2] Two timers of one driver may thus be on two
 * threads at once, both waiting for its gate.
 */
#include <errno.h>
#include <time.h>

#include "sim/macos/loop/callouts.h"
#include "sim/macos/sim.h"

#define THREADS_MAX 32u
#define HALT_SLICES 60

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed, ended;
static struct sim_callout *first;
static unsigned threads, idle;
static bool on;

static void run(void *);

static struct timespec at_ns(uint64_t ns)
{
	uint64_t now = sim_now_ns(), wait = ns > now ? ns - now : 0;
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	wait += static_cast<uint64_t>(t.tv_nsec);
	t.tv_sec += static_cast<time_t>(wait / 1000000000);
	t.tv_nsec = static_cast<long>(wait % 1000000000);
	return t;
}

static void one_more_thread()
{
	if (threads == THREADS_MAX)
		return;
	threads++;
	idle++;
	sim_thread_start("a thread-call thread", run, nullptr);
}

static void run(void *)
{
	pthread_mutex_lock(&lock);
	while (on) {
		struct sim_callout *callout = first;
		void (*func)(void *, uintptr_t);
		uintptr_t arg;
		void *self;

		if (!callout) {
			pthread_cond_wait(&changed, &lock);
			continue;
		}
		if (callout->due > sim_now_ns()) {
			struct timespec until = at_ns(callout->due);

			pthread_cond_timedwait(&changed, &lock, &until);
			continue;
		}
		first = callout->next;
		callout->pending = false;
		func = callout->func;
		self = callout->self;
		arg = callout->arg;
		idle--;
		if (idle == 0)
			one_more_thread();
		pthread_mutex_unlock(&lock);
		func(self, arg);
		pthread_mutex_lock(&lock);
		idle++;
	}
	idle--;
	threads--;
	pthread_cond_broadcast(&ended);
	pthread_mutex_unlock(&lock);
}

static void unlink_one(struct sim_callout *callout)
{
	struct sim_callout **at = &first;

	while (*at != callout)
		at = &(*at)->next;
	*at = callout->next;
	callout->pending = false;
}

bool sim_callout_enter(struct sim_callout *callout, uintptr_t arg, uint64_t due)
{
	struct sim_callout **at = &first;
	bool was;

	pthread_mutex_lock(&lock);
	if (!on)
		sim_violation("a timer is armed while the kernel is not running");
	was = callout->pending;
	if (was)
		unlink_one(callout);
	while (*at && (*at)->due <= due)
		at = &(*at)->next;
	callout->next = *at;
	*at = callout;
	callout->arg = arg;
	callout->due = due;
	callout->pending = true;
	/* Which thread: any. */
	if (idle == 0 || (threads < 6 && sim_random(8) == 0))
		one_more_thread();
	if (first == callout)
		pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return was;
}

bool sim_callout_cancel(struct sim_callout *callout)
{
	bool was;

	pthread_mutex_lock(&lock);
	was = callout->pending;
	if (was)
		unlink_one(callout);
	pthread_mutex_unlock(&lock);
	return was;
}

void sim_callouts_boot(void)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&changed, &attr);
	pthread_cond_init(&ended, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_lock(&lock);
	on = true;
	one_more_thread();
	pthread_mutex_unlock(&lock);
}

unsigned sim_callouts_halt(void)
{
	unsigned left = 0;

	pthread_mutex_lock(&lock);
	on = false;
	pthread_cond_broadcast(&changed);
	for (int i = 0; threads && i < HALT_SLICES; i++) {
		struct timespec until = at_ns(sim_now_ns() + 500000000);

		pthread_cond_timedwait(&ended, &lock, &until);
	}
	if (threads)
		sim_violation("a timer's or a power change's thread does not end");
	for (struct sim_callout *c = first; c; c = c->next)
		left++;
	pthread_mutex_unlock(&lock);
	return left;
}
