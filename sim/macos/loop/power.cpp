/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The power thread and its jobs. See power_tree.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim/macos/core/core.h"
#include "sim/macos/loop/power_tree.h"
#include "sim/macos/mac.h"

unsigned sim_power_ack_ms = 10000;
unsigned sim_power_call_ms = 40000;
bool sim_power_flat;

pthread_mutex_t sim_power_lock = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t sim_power_changed;

static IOServicePM root;
static struct sim_power_job *jobs;
static bool busy, halting, running;
static bool asleep;

/* [XNU-PM-1] What the root domain puts out, awake and asleep. */
static IOPMPowerState root_states[2] = {
	{kIOPMPowerStateVersion1, kIOPMSleepCapability, kIOPMSleep, 0, 0, 0, 0, 0, 0, 0, 0, 0},
	{kIOPMPowerStateVersion1, kIOPMPowerOn, kIOPMPowerOn, 0, 0, 0, 0, 0, 0, 0, 0, 0},
};

bool sim_power_wait(uint64_t end)
{
	uint64_t now = sim_now_ns(), wait;
	struct timespec until;

	if (now >= end)
		return false;
	wait = end - now;
	clock_gettime(CLOCK_MONOTONIC, &until);
	wait += static_cast<uint64_t>(until.tv_nsec);
	until.tv_sec += static_cast<time_t>(wait / 1000000000);
	until.tv_nsec = static_cast<long>(wait % 1000000000);
	pthread_cond_timedwait(&sim_power_changed, &sim_power_lock, &until);
	return true;
}

void sim_power_queue(const struct sim_power_job *job)
{
	struct sim_power_job *copy = static_cast<struct sim_power_job *>(malloc(sizeof(*copy)));
	struct sim_power_job **at = &jobs;

	if (!copy)
		sim_violation("the host has no memory for a power change");
	*copy = *job;
	copy->next = nullptr;
	if (copy->node)
		copy->node->service->retain();
	if (copy->parent && copy->parent != &root)
		copy->parent->service->retain();
	if (copy->driver)
		copy->driver->retain();
	pthread_mutex_lock(&sim_power_lock);
	if (!running)
		sim_violation("power management is used while the kernel is not running");
	while (*at)
		at = &(*at)->next;
	*at = copy;
	pthread_cond_broadcast(&sim_power_changed);
	pthread_mutex_unlock(&sim_power_lock);
}

int sim_power_ask(enum sim_power_job_kind kind)
{
	struct sim_power_job job;
	bool done = false;
	int result = 0;

	memset(&job, 0, sizeof(job));
	job.kind = kind;
	job.done = &done;
	job.result = &result;
	sim_power_queue(&job);
	pthread_mutex_lock(&sim_power_lock);
	while (!done)
		pthread_cond_wait(&sim_power_changed,
				  &sim_power_lock); /* each callout is bounded */
	pthread_mutex_unlock(&sim_power_lock);
	return result;
}

/* ---- the tree; on the power thread ---- */

static void join(IOServicePM *parent, IOServicePM *node)
{
	IOServicePM **at;

	if (node->in_tree || node->stopped)
		return;
	if (!parent->in_tree)
		parent = &root; /* it has left meanwhile */
	at = &parent->child;
	/*
	 * [XNU-PM-2] A node gets its highest state before a child joins it, and keeps it until some
	 * child has said what it needs.
	 */
	if (parent != &root && parent->driver)
		parent->clamp = parent->count - 1;
	while (*at)
		at = &(*at)->sibling;
	*at = node;
	node->parent = parent;
	node->in_tree = true;
	if (!node->held) {
		/* [XNU-PM-3] The plane holds a reference until PMstop(). */
		node->service->retain();
		node->held = true;
	}
}

static void register_driver(const struct sim_power_job *job)
{
	IOServicePM *node = job->node;

	if (node->driver || node->stopped) {
		free(job->states);
		return;
	}
	pthread_mutex_lock(&sim_power_lock);
	node->states = job->states;
	node->count = job->count;
	node->state = 0;
	node->initial = true;
	node->driver = job->driver;
	pthread_mutex_unlock(&sim_power_lock);
}

void sim_power_set_interest(IOServicePM *node, IOService *driver, bool add)
{
	bool drop = false;
	unsigned i;

	pthread_mutex_lock(&sim_power_lock);
	for (i = 0; i < node->interested_count && node->interested[i] != driver; i++)
		continue;
	if (add && i == node->interested_count && !node->stopped) {
		if (i == POWER_INTERESTED)
			sim_violation("registerInterestedDriver of %s: more than %u", node->name,
				      POWER_INTERESTED);
		driver->retain();
		node->interested[node->interested_count++] = driver;
	} else if (!add && i < node->interested_count) {
		node->interested_count--;
		memmove(&node->interested[i], &node->interested[i + 1],
			(node->interested_count - i) * sizeof(node->interested[0]));
		drop = true;
	}
	pthread_mutex_unlock(&sim_power_lock);
	if (drop)
		driver->release();
}

static void leave(IOServicePM *node)
{
	IOServicePM **at;

	while (node->interested_count)
		sim_power_set_interest(node, node->interested[0], false);
	if (node->in_tree) {
		for (at = &node->parent->child; *at != node; at = &(*at)->sibling)
			continue;
		*at = node->sibling;
		node->parent->clamp = 0; /* it looks anew at what it is needed for */
	}
	/* [XNU-PM-4] Children that are still there get no more power changes. */
	while (node->child) {
		IOServicePM *child = node->child;

		node->child = child->sibling;
		child->parent = child->sibling = nullptr;
		child->in_tree = false;
	}
	pthread_mutex_lock(&sim_power_lock);
	node->parent = node->sibling = nullptr;
	node->in_tree = false;
	node->driver = nullptr;
	pthread_mutex_unlock(&sim_power_lock);
	if (node->held) {
		node->held = false;
		node->service->release();
	}
}

static int do_job(const struct sim_power_job *job)
{
	IOServicePM *node = job->node;
	unsigned state = job->state > 1000 ? 1000 : static_cast<unsigned>(job->state);

	switch (job->kind) {
	case POWER_JOIN:
		join(job->parent, node);
		/* The parent has to be up before the child is asked. */
		break;
	case POWER_REGISTER:
		register_driver(job);
		break;
	case POWER_BY_DEVICE:
		node->by_device = state;
		node->clamp = 0;
		break;
	case POWER_BY_DRIVER:
		node->by_driver = state;
		node->clamp = 0;
		break;
	case POWER_BY_PROXY:
		node->by_proxy = state;
		node->clamp = 0;
		break;
	case POWER_OVERRIDE:
		node->override_on = state != 0;
		node->clamp = 0;
		break;
	case POWER_INTEREST:
		sim_power_set_interest(node, job->driver, state != 0);
		return 0;
	case POWER_LEAVE:
		leave(node);
		break;
	case POWER_SLEEP:
	case POWER_WAKE:
		if (asleep == (job->kind == POWER_SLEEP))
			return -EALREADY;
		asleep = !asleep;
		root.state = asleep ? 0 : 1;
		break;
	case POWER_SHUTDOWN:
		return sim_power_tell_shutdown(&root) ? 0 : -ETIMEDOUT;
	}
	return sim_power_settle(&root) ? 0 : -ETIMEDOUT;
}

static void finish(struct sim_power_job *job, int result)
{
	if (job->done) {
		pthread_mutex_lock(&sim_power_lock);
		*job->result = result;
		*job->done = true;
		pthread_cond_broadcast(&sim_power_changed);
		pthread_mutex_unlock(&sim_power_lock);
	}
	if (job->driver)
		job->driver->release();
	if (job->parent && job->parent != &root)
		job->parent->service->release();
	if (job->node)
		job->node->service->release(); /* the last one, often, after PMstop() */
	free(job);
}

static void power_thread(void *)
{
	pthread_mutex_lock(&sim_power_lock);
	while (jobs || !halting) {
		struct sim_power_job *job = jobs;

		if (!job) {
			pthread_cond_wait(&sim_power_changed, &sim_power_lock);
			continue;
		}
		jobs = job->next;
		busy = true;
		pthread_mutex_unlock(&sim_power_lock);
		finish(job, do_job(job));
		pthread_mutex_lock(&sim_power_lock);
		busy = false;
		pthread_cond_broadcast(&sim_power_changed);
	}
	running = false;
	pthread_cond_broadcast(&sim_power_changed);
	pthread_mutex_unlock(&sim_power_lock);
}

bool sim_power_idle(void)
{
	bool idle;

	pthread_mutex_lock(&sim_power_lock);
	idle = !jobs && !busy;
	pthread_mutex_unlock(&sim_power_lock);
	return idle;
}

/* ---- on and off ---- */

IOServicePM *sim_power_root(void)
{
	return &root;
}

void sim_power_boot(void)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&sim_power_changed, &attr);
	pthread_condattr_destroy(&attr);
	snprintf(root.name, sizeof(root.name), "the root of the power tree");
	root.states = root_states;
	root.count = 2;
	root.state = 1;
	root.in_tree = root.joining = true;
	running = true;
	sim_callouts_boot();
	sim_thread_start("the power thread", power_thread, nullptr);
}

void sim_power_halt(void)
{
	uint64_t end = sim_now_ns() + 2000000ULL * sim_power_call_ms;
	unsigned armed;

	pthread_mutex_lock(&sim_power_lock);
	halting = true;
	pthread_cond_broadcast(&sim_power_changed);
	while (running)
		if (!sim_power_wait(end))
			sim_violation("a power change does not end");
	pthread_mutex_unlock(&sim_power_lock);
	for (IOServicePM *node = root.child; node; node = node->sibling)
		sim_leak("%s is still in the power tree: PMstop() was not called", node->name);
	armed = sim_callouts_halt();
	if (armed)
		sim_leak("%u timers are still armed", armed);
}

/* ---- for programs ---- */

extern "C" int mac_sleep(void)
{
	int result;

	sim_enter("a program's thread");
	result = sim_power_ask(POWER_SLEEP);
	sim_exit();
	return result;
}

extern "C" int mac_wake(void)
{
	int result;

	sim_enter("a program's thread");
	result = sim_power_ask(POWER_WAKE);
	sim_exit();
	return result;
}

extern "C" int mac_shutdown(void)
{
	int result;

	sim_enter("a program's thread");
	result = sim_power_ask(POWER_SHUTDOWN);
	sim_exit();
	return result;
}
