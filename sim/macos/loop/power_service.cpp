/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an IOService offers for power management: most of it queues a job for the power thread, and
 * returns. See power_tree.h.
 */
#include <stdlib.h>
#include <string.h>

#include "sim/macos/loop/power_tree.h"

#define STOP_LIMIT_MS 15000u
#define POWER_MAX     ~0UL

static pthread_mutex_t nodes_lock = PTHREAD_MUTEX_INITIALIZER;
static IOServicePM *nodes;

static void queue(enum sim_power_job_kind kind, IOServicePM *node, IOService *driver,
		  unsigned long state)
{
	struct sim_power_job job;

	memset(&job, 0, sizeof(job));
	job.kind = kind;
	job.node = node;
	job.driver = driver;
	job.state = state;
	sim_power_queue(&job);
}

/* [XNU-PM-18] Everything before PMinit() is refused, by a result that drivers ignore. */
static IOReturn request(enum sim_power_job_kind kind, IOServicePM *node, unsigned long state,
			const char *what)
{
	sim_may_block(what);
	if (!node)
		return IOPMNotYetInitialized;
	if (!node->stopped)
		queue(kind, node, nullptr, state);
	return IOPMNoErr;
}

/* ---- life ---- */

static void unlist(IOServicePM *node)
{
	IOServicePM **at = &nodes;

	pthread_mutex_lock(&nodes_lock);
	while (*at && *at != node)
		at = &(*at)->next;
	if (*at)
		*at = node->next;
	pthread_mutex_unlock(&nodes_lock);
}

void sim_power_free(IOServicePM *node)
{
	if (!node)
		return;
	if (node->held)
		sim_violation("%s is freed while it is in the power tree", node->name);
	while (node->interested_count)
		node->interested[--node->interested_count]->release();
	unlist(node);
	free(node->states);
	free(node);
}

void IOService::PMinit()
{
	IOServicePM *node;

	sim_may_block("IOService::PMinit");
	if (initialized && pwrMgt && !pwrMgt->stopped)
		return;
	if (pwrMgt)
		sim_violation("PMinit() of a %s after PMstop() is not simulated",
			      getMetaClass()->getClassName());
	node = static_cast<IOServicePM *>(calloc(1, sizeof(*node)));
	if (!node)
		sim_violation("the host has no memory for power management");
	node->service = this;
	snprintf(node->name, sizeof(node->name), "%s", getMetaClass()->getClassName());
	pthread_mutex_lock(&nodes_lock);
	node->next = nodes;
	nodes = node;
	pthread_mutex_unlock(&nodes_lock);
	pwrMgt = node;
	initialized = true;
}

void IOService::PMstop()
{
	uint64_t slice = STOP_LIMIT_MS * 100000ULL;
	IOServicePM *node = pwrMgt;
	unsigned slices = 0;

	sim_may_block("IOService::PMstop");
	if (!initialized || !node)
		return;
	pthread_mutex_lock(&sim_power_lock);
	if (node->stopped) {
		pthread_mutex_unlock(&sim_power_lock);
		return;
	}
	node->stopped = true;
	pthread_cond_broadcast(&sim_power_changed);
	/*
	 * [XNU-PM-19] A callout that runs is waited for, unless this is it. A kernel gives up after
	 * a while and goes on with a driver that has gone: here that is the end.
	 */
	while (sim_power_calls(node, nullptr)) {
		uint64_t start = sim_now_ns();

		sim_power_wait(start + slice);
		if (sim_now_ns() - start >= slice && ++slices == 10)
			sim_violation("PMstop of %s: a power callout to it does not end",
				      node->name);
	}
	pthread_mutex_unlock(&sim_power_lock);
	queue(POWER_LEAVE, node, nullptr, 0);
}

/*
 * [XNU-PM-20] Where a device hangs in the tree is up to the platform: here under its next provider
 * that is in it, or under the root.
 */
void IOService::joinPMtree(IOService *driver)
{
	IOService *above = this;
	struct sim_power_job job;

	sim_may_block("IOService::joinPMtree");
	if (!driver || !driver->pwrMgt || !driver->initialized)
		sim_violation("joinPMtree of a %s before its PMinit()",
			      driver ? driver->getMetaClass()->getClassName() : "null pointer");
	while (above && (above == driver || !above->pwrMgt || !above->pwrMgt->joining ||
			 above->pwrMgt->stopped))
		above = above->getProvider();
	memset(&job, 0, sizeof(job));
	job.kind = POWER_JOIN;
	job.node = driver->pwrMgt;
	job.parent = above && !sim_power_flat ? above->pwrMgt : sim_power_root();
	driver->pwrMgt->joining = true;
	sim_power_queue(&job);
}

/* [XNU-PM-21] At least two states, at most as many as there may be; the table is copied. */
IOReturn IOService::registerPowerDriver(IOService *driver, IOPMPowerState *states,
					unsigned long count)
{
	struct sim_power_job job;
	size_t len = count * sizeof(*states);

	sim_may_block("IOService::registerPowerDriver");
	if (!initialized || !pwrMgt)
		return IOPMNotYetInitialized;
	if (!driver || !states || count < 2 || count > kIOPMMaxPowerStates)
		return kIOReturnBadArgument;
	for (unsigned long i = 0; i < count; i++)
		if (states[i].version > 2)
			return kIOReturnBadArgument;
	memset(&job, 0, sizeof(job));
	job.kind = POWER_REGISTER;
	job.node = pwrMgt;
	job.driver = driver;
	job.states = static_cast<IOPMPowerState *>(malloc(len));
	if (!job.states)
		return kIOReturnNoMemory;
	memcpy(job.states, states, len);
	job.count = static_cast<unsigned>(count);
	sim_power_queue(&job);
	return kIOReturnSuccess;
}

/* ---- who is told ---- */

/* [XNU-PM-22] The result is always the same, whatever the state is. */
IOPMPowerFlags IOService::registerInterestedDriver(IOService *driver)
{
	sim_may_block("IOService::registerInterestedDriver");
	if (!driver || !initialized || !pwrMgt || pwrMgt->stopped)
		return 0;
	queue(POWER_INTEREST, pwrMgt, driver, 1);
	return kIOPMDeviceUsable;
}

/* [XNU-PM-23] Waits for a call to that driver, unless this is it. */
IOReturn IOService::deRegisterInterestedDriver(IOService *driver)
{
	uint64_t slice = STOP_LIMIT_MS * 100000ULL;
	unsigned slices = 0;

	sim_may_block("IOService::deRegisterInterestedDriver");
	if (!driver)
		return kIOReturnBadArgument;
	if (!initialized || !pwrMgt)
		return kIOPMNotPowerManaged;
	if (pwrMgt->stopped)
		return IOPMNoErr; /* leaving drops it */
	/* At once, and again behind a registration that is still queued. */
	sim_power_set_interest(pwrMgt, driver, false);
	queue(POWER_INTEREST, pwrMgt, driver, 0);
	pthread_mutex_lock(&sim_power_lock);
	while (sim_power_calls(pwrMgt, driver)) {
		uint64_t start = sim_now_ns();

		sim_power_wait(start + slice);
		if (sim_now_ns() - start >= slice && ++slices == 10)
			sim_violation("deRegisterInterestedDriver of %s: a callout does not end",
				      pwrMgt->name);
	}
	pthread_mutex_unlock(&sim_power_lock);
	return IOPMNoErr;
}

IOReturn IOService::acknowledgePowerChange(IOService *whom)
{
	if (!initialized || !pwrMgt)
		return IOPMNotYetInitialized;
	if (!whom)
		return kIOReturnBadArgument;
	sim_may_block("IOService::acknowledgePowerChange");
	pthread_mutex_lock(&sim_power_lock);
	pwrMgt->acked_change = whom;
	pthread_cond_broadcast(&sim_power_changed);
	pthread_mutex_unlock(&sim_power_lock);
	return IOPMNoErr;
}

/* [XNU-PM-24] One that comes before setPowerState() has returned counts as well. */
IOReturn IOService::acknowledgeSetPowerState()
{
	if (!initialized || !pwrMgt)
		return IOPMNotYetInitialized;
	sim_may_block("IOService::acknowledgeSetPowerState");
	pthread_mutex_lock(&sim_power_lock);
	pwrMgt->acked = true;
	pthread_cond_broadcast(&sim_power_changed);
	pthread_mutex_unlock(&sim_power_lock);
	return IOPMNoErr;
}

void IOService::systemWillShutdown(IOOptionBits)
{
	if (!pwrMgt)
		return;
	pthread_mutex_lock(&sim_power_lock);
	pwrMgt->shutdown_acked = true;
	pthread_cond_broadcast(&sim_power_changed);
	pthread_mutex_unlock(&sim_power_lock);
}

/* ---- wishes ---- */

IOReturn IOService::changePowerStateToPriv(unsigned long state)
{
	return request(POWER_BY_DEVICE, pwrMgt, state, "IOService::changePowerStateToPriv");
}

IOReturn IOService::changePowerStateTo(unsigned long state)
{
	return request(POWER_BY_DRIVER, pwrMgt, state, "IOService::changePowerStateTo");
}

IOReturn IOService::powerOverrideOnPriv()
{
	return request(POWER_OVERRIDE, pwrMgt, 1, "IOService::powerOverrideOnPriv");
}

IOReturn IOService::powerOverrideOffPriv()
{
	return request(POWER_OVERRIDE, pwrMgt, 0, "IOService::powerOverrideOffPriv");
}

IOReturn IOService::makeUsable()
{
	return request(POWER_BY_DEVICE, pwrMgt, POWER_MAX, "IOService::makeUsable");
}

IOReturn IOService::temporaryPowerClampOn()
{
	return request(POWER_BY_PROXY, pwrMgt, POWER_MAX, "IOService::temporaryPowerClampOn");
}

/* ---- what is ---- */

UInt32 IOService::getPowerState()
{
	UInt32 state = 0;

	if (!initialized || !pwrMgt)
		return 0;
	pthread_mutex_lock(&sim_power_lock);
	state = pwrMgt->state;
	pthread_mutex_unlock(&sim_power_lock);
	return state;
}

IOPMPowerFlags IOService::currentCapability()
{
	IOPMPowerFlags flags = 0;

	if (!initialized || !pwrMgt)
		return kIOPMNotPowerManaged;
	pthread_mutex_lock(&sim_power_lock);
	if (pwrMgt->states)
		flags = pwrMgt->states[pwrMgt->state].capabilityFlags;
	pthread_mutex_unlock(&sim_power_lock);
	return flags;
}

/* [XNU-PM-25] The highest state whose need the domain covers; what a driver may override. */
unsigned long IOService::maxCapabilityForDomainState(IOPMPowerFlags domain)
{
	unsigned long most = 0;

	for (unsigned i = 0; pwrMgt && i < pwrMgt->count; i++) {
		IOPMPowerFlags need = pwrMgt->states[i].inputPowerRequirement;

		if ((domain & need) == need)
			most = i;
	}
	return most;
}

unsigned long IOService::initialPowerStateForDomainState(IOPMPowerFlags domain)
{
	return IOService::maxCapabilityForDomainState(domain);
}

unsigned long IOService::powerStateForDomainState(IOPMPowerFlags domain)
{
	return IOService::maxCapabilityForDomainState(domain);
}

/* ---- what drivers override ---- */

IOReturn IOService::setPowerState(unsigned long, IOService *)
{
	return IOPMNoErr;
}

IOReturn IOService::powerStateWillChangeTo(IOPMPowerFlags, unsigned long, IOService *)
{
	return kIOPMAckImplied;
}

IOReturn IOService::powerStateDidChangeTo(IOPMPowerFlags, unsigned long, IOService *)
{
	return kIOPMAckImplied;
}

/* ---- what no kext of ours reaches ---- */

#define NOT_SIMULATED(what) sim_violation("IOService::" what " is not simulated")

IOReturn IOService::requestPowerDomainState(IOPMPowerFlags, IOPowerConnection *, unsigned long)
{
	NOT_SIMULATED("requestPowerDomainState");
}

unsigned long IOService::currentPowerConsumption()
{
	NOT_SIMULATED("currentPowerConsumption");
}

bool IOService::activityTickle(unsigned long, unsigned long)
{
	NOT_SIMULATED("activityTickle");
}

SInt32 IOService::nextIdleTimeout(AbsoluteTime, AbsoluteTime, unsigned int)
{
	NOT_SIMULATED("nextIdleTimeout");
}

IOReturn IOService::setAggressiveness(unsigned long, unsigned long)
{
	NOT_SIMULATED("setAggressiveness");
}

IOReturn IOService::getAggressiveness(unsigned long, unsigned long *)
{
	NOT_SIMULATED("getAggressiveness");
}

IOReturn IOService::addPowerChild(IOService *)
{
	NOT_SIMULATED("addPowerChild");
}

IOReturn IOService::removePowerChild(IOPowerConnection *)
{
	NOT_SIMULATED("removePowerChild");
}

void IOService::start_PM_idle_timer()
{
	NOT_SIMULATED("start_PM_idle_timer");
}

IOReturn IOService::setIdleTimerPeriod(unsigned long)
{
	NOT_SIMULATED("setIdleTimerPeriod");
}

bool IOService::askChangeDown(unsigned long)
{
	NOT_SIMULATED("askChangeDown");
}

bool IOService::tellChangeDown(unsigned long)
{
	NOT_SIMULATED("tellChangeDown");
}

void IOService::tellNoChangeDown(unsigned long)
{
	NOT_SIMULATED("tellNoChangeDown");
}

void IOService::tellChangeUp(unsigned long)
{
	NOT_SIMULATED("tellChangeUp");
}

IOReturn IOService::allowPowerChange(unsigned long)
{
	NOT_SIMULATED("allowPowerChange");
}

IOReturn IOService::cancelPowerChange(unsigned long)
{
	NOT_SIMULATED("cancelPowerChange");
}

void IOService::powerChangeDone(unsigned long)
{
	NOT_SIMULATED("powerChangeDone");
}
