/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls into drivers about power, each on a thread-call thread.
 */
#include <string.h>

#include "sim/macos/loop/gate.h"
#include "sim/macos/loop/power_tree.h"

static const char *const call_names[] = {
	"setPowerState",
	"powerStateWillChangeTo",
	"powerStateDidChangeTo",
	"systemWillShutdown",
};

/* [XNU-PM-5] A thread-call thread, never the power thread; no gate is held. */
static void run_call(void *self, uintptr_t)
{
	struct sim_power_call *call = static_cast<struct sim_power_call *>(self);
	IOService *callee = call->callee;
	IOReturn result = kIOPMAckImplied;

	pthread_mutex_lock(&sim_power_lock);
	call->thread = sim_cpu();
	pthread_mutex_unlock(&sim_power_lock);
	{
		/* By its vtable: which kext it is of. */
		sim_called called(call_names[call->kind],
				  *reinterpret_cast<const void *const *>(callee));

		switch (call->kind) {
		case CALL_SET:
			result = callee->setPowerState(call->state, call->node->service);
			break;
		case CALL_WILL:
			result = callee->powerStateWillChangeTo(call->flags, call->state,
								call->node->service);
			break;
		case CALL_DID:
			result = callee->powerStateDidChangeTo(call->flags, call->state,
							       call->node->service);
			break;
		case CALL_SHUTDOWN:
			/* [XNU-PM-6] The only specifiers that come here are power-off and restart.
			 */
			callee->systemWillShutdown(kIOMessageSystemWillRestart);
			break;
		}
	}
	pthread_mutex_lock(&sim_power_lock);
	call->result = result;
	call->thread = nullptr;
	call->done = true;
	pthread_cond_broadcast(&sim_power_changed);
	pthread_mutex_unlock(&sim_power_lock);
}

/* An interested driver may have lost its interest since the change began. Lock held. */
static bool is_told(const IOServicePM *node, const IOService *callee, enum sim_power_call_kind kind)
{
	if (kind == CALL_SET || kind == CALL_SHUTDOWN || callee == node->driver)
		return true;
	for (unsigned i = 0; i < node->interested_count; i++)
		if (node->interested[i] == callee)
			return true;
	return false;
}

bool sim_power_call_start(struct sim_power_call *call, IOServicePM *node, IOService *callee,
			  enum sim_power_call_kind kind, unsigned long state)
{
	bool allowed;

	memset(call, 0, sizeof(*call));
	call->node = node;
	call->callee = callee;
	call->kind = kind;
	call->state = state;
	if (node->states && state < node->count)
		call->flags = node->states[state].capabilityFlags;
	call->callout.func = run_call;
	call->callout.self = call;
	pthread_mutex_lock(&sim_power_lock);
	/* [XNU-PM-7] After PMstop() a change goes on as if the driver had agreed. */
	allowed = !node->stopped && is_told(node, callee, kind);
	if (allowed) {
		node->call = call;
		if (kind == CALL_SET)
			node->acked = false;
		node->acked_change = nullptr;
	}
	pthread_mutex_unlock(&sim_power_lock);
	if (!allowed)
		return false;
	callee->retain();
	sim_callout_enter(&call->callout, 0, sim_now_ns());
	return true;
}

IOReturn sim_power_call_end(struct sim_power_call *call)
{
	uint64_t slice = sim_power_call_ms * 100000ULL;
	unsigned slices = 0;

	pthread_mutex_lock(&sim_power_lock);
	/* By slices: time in which the world stood still does not count. */
	while (!call->done) {
		uint64_t start = sim_now_ns();

		sim_power_wait(start + slice);
		if (!call->done && sim_now_ns() - start >= slice && ++slices == 10)
			sim_violation("%s(%lu) of %s has not returned for %u ms",
				      call_names[call->kind], call->state,
				      call->callee->getMetaClass()->getClassName(),
				      sim_power_call_ms);
	}
	if (call->node->call == call)
		call->node->call = nullptr;
	pthread_mutex_unlock(&sim_power_lock);
	call->callee->release();
	return call->result;
}

bool sim_power_calls(const IOServicePM *node, const IOService *callee)
{
	const struct sim_power_call *call = node->call;

	return call && !call->done && (!callee || call->callee == callee) &&
	       call->thread != sim_cpu();
}
