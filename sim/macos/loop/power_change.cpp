/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A pass over the power tree: what is wanted, bottom up; then changes, in the order that
 * power_tree.h shows. On the power thread.
 */
#include <stdlib.h>
#include <time.h>

#include "sim/macos/loop/power_tree.h"

#define INITIAL_DEVICE_STATE 0x100u
#define ACK_SLICES	     10u
#define CHILDREN_MAX	     64u

/* ---- what is wanted ---- */

static unsigned highest(unsigned a, unsigned b)
{
	return a > b ? a : b;
}

/* The lowest state of a parent that gives what a child's state takes. */
static unsigned parent_state_for(const IOServicePM *parent, IOPMPowerFlags input)
{
	IOPMPowerFlags all = 0;

	for (unsigned i = 0; i < parent->count; i++)
		all |= parent->states[i].outputPowerCharacter;
	input &= all; /* what it cannot give anyhow */
	for (unsigned i = 0; i < parent->count; i++)
		if ((parent->states[i].outputPowerCharacter & input) == input)
			return i;
	return 0;
}

static void compute(IOServicePM *node, bool is_root)
{
	unsigned needed = 0;
	bool asked = false;

	for (IOServicePM *child = node->child; child; child = child->sibling) {
		unsigned need;

		compute(child, false);
		/* A node without states tells its parent nothing, nor before its first one. */
		if (!child->driver || !node->count || child->initial)
			continue;
		need = parent_state_for(node, child->states[child->want].inputPowerRequirement);
		if (!child->child_asked || child->child_need != need)
			node->clamp = 0;
		child->child_asked = true;
		child->child_need = need;
		needed = highest(needed, need);
		asked = true;
	}
	if (is_root || !node->driver)
		return;
	/*
	 * [XNU-PM-8] A driver that never asks for a state keeps the one it was given first (clamp)
	 * until it, or a child, asks for something.
	 */
	node->want = highest(node->clamp, node->by_device);
	/* [XNU-PM-9] With the override on, only the device's own wish counts. */
	if (!node->override_on)
		node->want = highest(highest(node->want, needed), node->by_driver);
	/* [XNU-PM-10] temporaryPowerClampOn() ends with the first child that asks. */
	if (!asked)
		node->want = highest(node->want, node->by_proxy);
	if (node->want >= node->count)
		node->want = node->count - 1;
}

/* ---- changes ---- */

/* Wait until a driver has acknowledged. [XNU-PM-11] Never less than ten seconds. */
static bool wait_for_ack(IOServicePM *node, const IOService *informee, IOReturn told)
{
	uint64_t us = static_cast<uint64_t>(told), slice;
	unsigned slices = 0;
	bool acked;

	if (us < sim_power_ack_ms * 1000ULL)
		us = sim_power_ack_ms * 1000ULL;
	slice = us * 1000 / ACK_SLICES;
	pthread_mutex_lock(&sim_power_lock);
	for (;;) {
		uint64_t start = sim_now_ns();

		acked = node->stopped || (informee ? node->acked_change == informee : node->acked);
		if (acked || slices == ACK_SLICES)
			break;
		sim_power_wait(start + slice);
		if (sim_now_ns() - start >= slice)
			slices++; /* time in which the world stood still counts as one at most */
	}
	pthread_mutex_unlock(&sim_power_lock);
	/* [XNU-PM-12] Not acknowledged: the machine goes on. */
	if (!acked)
		sim_log("PM: %s did not acknowledge its power change", node->name);
	return acked;
}

static bool call(IOServicePM *node, IOService *callee, enum sim_power_call_kind kind,
		 unsigned state)
{
	struct sim_power_call one;
	IOReturn told;

	if (!sim_power_call_start(&one, node, callee, kind, state))
		return true;
	told = sim_power_call_end(&one);
	/* [XNU-PM-13] Done, or an error that counts as done. */
	if (told <= 0)
		return true;
	return wait_for_ack(node, kind == CALL_SET ? nullptr : callee, told);
}

static bool tell_interested(IOServicePM *node, enum sim_power_call_kind kind, unsigned state)
{
	IOService *told[POWER_INTERESTED + 1];
	unsigned n = 0;
	bool all = true;

	pthread_mutex_lock(&sim_power_lock);
	/* [XNU-PM-14] The driver of a node hears of its changes like any interested one. */
	if (node->driver)
		told[n++] = node->driver;
	for (unsigned i = 0; i < node->interested_count; i++)
		if (node->interested[i] != node->driver)
			told[n++] = node->interested[i];
	for (unsigned i = 0; i < n; i++)
		told[i]->retain();
	pthread_mutex_unlock(&sim_power_lock);
	for (unsigned i = 0; i < n; i++) {
		all &= call(node, told[i], kind, state);
		told[i]->release();
	}
	return all;
}

static void settle_time(unsigned long us)
{
	struct timespec nap = {static_cast<time_t>(us / 1000000),
			       static_cast<long>(us % 1000000) * 1000};

	if (us)
		nanosleep(&nap, nullptr);
}

static bool apply(IOServicePM *node, IOPMPowerFlags domain);

/* In any order: siblings know nothing of each other. */
static bool apply_children(IOServicePM *node, IOPMPowerFlags output)
{
	IOServicePM *children[CHILDREN_MAX];
	unsigned n = 0, first;
	bool all = true;

	for (IOServicePM *child = node->child; child; child = child->sibling) {
		if (n == CHILDREN_MAX)
			sim_violation("more than %u children of %s", CHILDREN_MAX, node->name);
		children[n++] = child;
	}
	first = n ? sim_random(n) : 0;
	for (unsigned i = 0; i < n; i++)
		all &= apply(children[(first + i) % n], output);
	return all;
}

static bool change(IOServicePM *node, unsigned target)
{
	const IOPMPowerState *to = &node->states[target];
	unsigned from = node->state;
	bool down = target < from, first = node->initial, all;

	node->initial = false;
	all = tell_interested(node, CALL_WILL, target);
	if (down)
		all &= apply_children(node, to->outputPowerCharacter);
	/* [XNU-PM-15] A state said to be the device's initial one is not set again. */
	if (!(first && (to->capabilityFlags & INITIAL_DEVICE_STATE)))
		all &= call(node, node->driver, CALL_SET, target);
	settle_time(down ? node->states[from].settleDownTime : to->settleUpTime);
	pthread_mutex_lock(&sim_power_lock);
	node->state = target;
	pthread_mutex_unlock(&sim_power_lock);
	all &= tell_interested(node, CALL_DID, target);
	return all;
}

/* `domain`: what the parent puts out, or is about to. */
static bool apply(IOServicePM *node, IOPMPowerFlags domain)
{
	unsigned long most;
	unsigned target;
	bool all = true;

	/* [XNU-PM-16] Without a driver a node tells its children nothing: they never change. */
	if (!node->driver || node->stopped)
		return true;
	if (node->initial) {
		unsigned long start = node->driver->initialPowerStateForDomainState(domain);

		node->clamp = start < node->count ? static_cast<unsigned>(start) : node->count - 1;
		node->want = highest(node->want, node->clamp);
	}
	most = node->driver->maxCapabilityForDomainState(domain);
	target = node->want < most ? node->want : static_cast<unsigned>(most);
	if (target != node->state || node->initial)
		all = change(node, target);
	/* Down: they have been there already, and stay. */
	all &= apply_children(node, node->states[node->state].outputPowerCharacter);
	return all;
}

bool sim_power_settle(IOServicePM *root)
{
	bool all;

	compute(root, true);
	all = apply_children(root, root->states[root->state].outputPowerCharacter);
	/* A first state is a wish that parents have to hear of: again, with it. */
	compute(root, true);
	return apply_children(root, root->states[root->state].outputPowerCharacter) && all;
}

/* ---- shutdown ---- */

static unsigned collect(IOServicePM *node, unsigned depth, unsigned wanted, IOServicePM **out,
			unsigned n, unsigned *deepest)
{
	if (depth > *deepest)
		*deepest = depth;
	if (depth == wanted && n < CHILDREN_MAX && !node->service->isInactive())
		out[n++] = node;
	for (IOServicePM *child = node->child; child; child = child->sibling)
		n = collect(child, depth + 1, wanted, out, n, deepest);
	return n;
}

/* [XNU-PM-17] Deepest first, all of one depth at a time; over when each has called the base. */
bool sim_power_tell_shutdown(IOServicePM *root)
{
	unsigned deepest = 0;
	bool all = true;

	for (IOServicePM *top = root->child; top; top = top->sibling)
		collect(top, 1, 0, nullptr, 0, &deepest);
	for (unsigned depth = deepest; depth > 0; depth--) {
		struct sim_power_call calls[CHILDREN_MAX];
		IOServicePM *nodes[CHILDREN_MAX];
		bool started[CHILDREN_MAX];
		unsigned n = 0;

		for (IOServicePM *top = root->child; top; top = top->sibling)
			n = collect(top, 1, depth, nodes, n, &deepest);
		for (unsigned i = 0; i < n; i++) {
			nodes[i]->shutdown_acked = false;
			started[i] = sim_power_call_start(&calls[i], nodes[i], nodes[i]->service,
							  CALL_SHUTDOWN, 0);
		}
		for (unsigned i = 0; i < n; i++) {
			uint64_t end = sim_now_ns() + sim_power_ack_ms * 1000000ULL;

			if (!started[i])
				continue;
			sim_power_call_end(&calls[i]);
			pthread_mutex_lock(&sim_power_lock);
			while (!nodes[i]->shutdown_acked && !nodes[i]->stopped &&
			       sim_power_wait(end))
				continue;
			if (!nodes[i]->shutdown_acked && !nodes[i]->stopped) {
				sim_log("PM: %s did not acknowledge systemWillShutdown",
					nodes[i]->name);
				all = false;
			}
			pthread_mutex_unlock(&sim_power_lock);
		}
	}
	return all;
}
