/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside power management: a node per service, and what is queued for the thread that changes it.
 *
 * Theory of operation. Services ask from any thread, and all they do is queue a job; one thread,
 * the power thread, does the jobs one after the other. It alone changes the tree and the states.
 * It calls no driver itself: a callout runs on a thread-call thread, in nobody's gate, and the
 * power thread waits for it, then for the acknowledgement if the driver wants to give one later.
 *
 * Each node has what is wanted of it: by its driver, by its device, by its children (which state of
 * this node gives them the input that their own state needs). What it gets is limited by what its
 * parent puts out. A pass over the tree brings the two together: nodes that rise do so parent
 * first, nodes that fall child first, and both are told around:
 *
 *   down: interested drivers powerStateWillChangeTo, children, setPowerState, DidChangeTo
 *   up:   interested drivers powerStateWillChangeTo, setPowerState, DidChangeTo, children
 *
 * The root stands for the root domain: sleep is what it puts out falling to almost nothing.
 */
#ifndef SIM_MACOS_LOOP_POWER_TREE_H
#define SIM_MACOS_LOOP_POWER_TREE_H

#include "sim/macos/loop/callouts.h"
#include "sim/macos/loop/power.h"
#include "sim/macos/sim.h"

#define POWER_INTERESTED 16u

struct sim_power_call; /* a callout that runs */

class IOServicePM
{
public:
	IOService *service;
	char name[64];
	IOServicePM *next; /* of all nodes */

	/* The tree. */
	IOServicePM *parent, *child, *sibling;
	bool joining; /* joinPMtree() was called */
	bool in_tree;
	bool held; /* in the tree means a reference on the service */

	/* The driver, and the states it registered. */
	IOService *driver;
	IOPMPowerState *states;
	unsigned count;
	unsigned state;
	bool initial; /* it has not been told its first state */

	/* What is wanted. */
	unsigned by_driver, by_device, by_proxy, clamp;
	bool override_on;
	bool child_asked;    /* this node has told its parent what it needs, */
	unsigned child_need; /* which is this state of the parent */
	unsigned want;	     /* all in all; computed by each pass */

	/* Who is told. */
	IOService *interested[POWER_INTERESTED];
	unsigned interested_count;

	/* What runs now. */
	struct sim_power_call *call;
	bool acked; /* acknowledgeSetPowerState() */
	IOService *acked_change;
	bool stopped; /* PMstop(): no driver of this node is called from now on */
	bool shutdown_acked;
};

enum sim_power_job_kind {
	POWER_JOIN,	 /* node under parent */
	POWER_REGISTER,	 /* driver, states, count */
	POWER_BY_DEVICE, /* state */
	POWER_BY_DRIVER, /* state */
	POWER_BY_PROXY,	 /* state */
	POWER_OVERRIDE,	 /* state: on or off */
	POWER_INTEREST,	 /* driver; state: add or remove */
	POWER_LEAVE,
	POWER_SLEEP,
	POWER_WAKE,
	POWER_SHUTDOWN,
};

struct sim_power_job {
	enum sim_power_job_kind kind;
	IOServicePM *node, *parent;
	IOService *driver;
	IOPMPowerState *states;
	unsigned count;
	unsigned long state;
	struct sim_power_job *next;
	/* For who waits for it. */
	bool *done;
	int *result;
};

extern pthread_mutex_t sim_power_lock; /* jobs, nodes' fields that others than the thread see */
extern pthread_cond_t sim_power_changed;

/* For POWER_SLEEP and the like: wait until it is done; its result. */
int sim_power_ask(enum sim_power_job_kind kind);
/* Queue a job: a copy. References on its services are taken. */
void sim_power_queue(const struct sim_power_job *job);
IOServicePM *sim_power_root(void);
void sim_power_set_interest(IOServicePM *node, IOService *driver, bool add);
/* Wait on sim_power_changed, with the lock. False: `end` (of sim_now_ns) has passed. */
bool sim_power_wait(uint64_t end);

/* ---- power_change.cpp, on the power thread ---- */

/* Bring states and wishes together. True: every driver acknowledged. */
bool sim_power_settle(IOServicePM *root);
bool sim_power_tell_shutdown(IOServicePM *root);

/* ---- power_call.cpp ---- */

enum sim_power_call_kind { CALL_SET, CALL_WILL, CALL_DID, CALL_SHUTDOWN };

struct sim_power_call {
	IOServicePM *node;
	IOService *callee;
	enum sim_power_call_kind kind;
	unsigned long state;
	IOPMPowerFlags flags;
	struct sim_callout callout;
	struct sim_cpu *thread; /* that runs it */
	bool done;
	IOReturn result;
};

/* Start one; false: PMstop() forbids it. `call` stays with the callee until it is done. */
bool sim_power_call_start(struct sim_power_call *call, IOServicePM *node, IOService *callee,
			  enum sim_power_call_kind kind, unsigned long state);
/* Wait until it has returned. */
IOReturn sim_power_call_end(struct sim_power_call *call);
/* Whether a callout for the node (to callee, or to any if 0) runs; lock held. Not on its thread. */
bool sim_power_calls(const IOServicePM *node, const IOService *callee);

#endif
