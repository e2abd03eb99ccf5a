/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Busy counts: what is being matched or terminated, told upwards.
 *
 * Theory of operation. A service that becomes busy counts one in its first provider, and takes it
 * back when it is quiet again; so the platform is busy for as long as anything is [XNU-SVC-8].
 */
#include <errno.h>
#include <time.h>

#include "sim/macos/iokit/service_sim.h"
#include "sim/macos/loop/power.h"
#include "sim/macos/mac.h"

#define QUIET_LOOK_NS 2000000
#define DAWDLE_NS     300000

static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static uint64_t changes;

void sim_iokit_changed(void)
{
	changes++;
	pthread_cond_broadcast(&changed);
}

uint64_t sim_iokit_changes(void)
{
	sim_iokit_hold hold;

	return changes;
}

uint64_t sim_iokit_deadline(uint64_t ns_from_now)
{
	struct timespec now;
	uint64_t ns;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ns = static_cast<uint64_t>(now.tv_sec) * 1000000000 + static_cast<uint64_t>(now.tv_nsec);
	return ns_from_now > UINT64_MAX - ns ? UINT64_MAX : ns + ns_from_now;
}

bool sim_iokit_wait(uint64_t deadline)
{
	struct timespec at;

	at.tv_sec = static_cast<time_t>(deadline / 1000000000);
	at.tv_nsec = static_cast<long>(deadline % 1000000000);
	return pthread_cond_clockwait(&changed, &sim_iokit_mutex, CLOCK_MONOTONIC, &at) !=
	       ETIMEDOUT;
}

void sim_iokit_dawdle(void)
{
	struct timespec nap = {0, DAWDLE_NS};

	if (sim_random(8) == 0)
		nanosleep(&nap, nullptr);
}

void sim_busy_adjust(IOService *service, int delta, sim_list<sim_busy_change> *told)
{
	while (delta && service) {
		sim_service *data = sim_service_of(service, "adjustBusy");
		bool was_quiet = !data->busy;
		sim_list<IORegistryEntry *> *parents = &sim_service_links(service)->parents;

		if (delta < 0 && data->busy < static_cast<unsigned>(-delta))
			sim_violation("the busy count of %s (%u) goes below zero (%d)",
				      sim_service_name(service), data->busy, delta);
		data->busy += static_cast<unsigned>(delta);
		if (!was_quiet && data->busy)
			break;
		service->retain();
		told->add({service, was_quiet});
		delta = data->busy ? 1 : -1;
		service = parents->n ? OSDynamicCast(IOService, parents->at[0]) : nullptr;
	}
	sim_iokit_changed();
}

void sim_busy_tell(sim_list<sim_busy_change> *told)
{
	for (unsigned i = 0; i < told->n; i++) {
		sim_busy_change *change = &told->at[i];

		sim_interest_call(
			change->service, gIOBusyInterest, kIOMessageServiceBusyStateChange,
			reinterpret_cast<void *>(static_cast<uintptr_t>(change->busy)), 0, nullptr);
		change->service->release();
	}
	told->clear();
}

UInt32 IOService::getBusyState()
{
	sim_iokit_hold hold;

	return sim_service_of(this, "getBusyState")->busy;
}

void IOService::adjustBusy(SInt32 delta)
{
	sim_list<sim_busy_change> told = {};

	sim_may_block("IOService::adjustBusy");
	{
		sim_iokit_hold hold;

		sim_busy_adjust(this, delta, &told);
	}
	sim_busy_tell(&told);
}

IOReturn IOService::waitQuiet(UInt64 timeout)
{
	bool forever = timeout >= SIM_FOREVER_NS;
	uint64_t deadline = sim_iokit_deadline(forever ? SIM_FOREVER_NS : timeout);

	sim_may_block("IOService::waitQuiet");
	sim_iokit_hold hold;

	while (sim_service_of(this, "waitQuiet")->busy) {
		if (sim_iokit_wait(deadline))
			continue;
		if (forever)
			sim_violation("IOService::waitQuiet: %s is busy for ever",
				      sim_service_name(this));
		return kIOReturnTimeout;
	}
	return kIOReturnSuccess;
}

IOReturn IOService::waitQuiet(mach_timespec_t *timeout)
{
	return waitQuiet(timeout ? timeout->tv_sec * 1000000000ULL +
					   static_cast<UInt64>(timeout->tv_nsec)
				 : ~0ULL);
}

/* Power changes do not tell us: they are looked for again and again. */
bool mac_quiet(unsigned timeout_ms)
{
	uint64_t deadline = sim_iokit_deadline(timeout_ms * 1000000ULL);
	bool quiet = false, in_time = true;

	sim_enter("mac_quiet");
	while (in_time && !quiet) {
		bool powered = sim_power_idle();
		sim_iokit_hold hold;

		quiet = powered && !sim_service_of(sim_platform)->busy && sim_match_idle() &&
			sim_terminate_idle();
		if (!quiet) {
			sim_iokit_wait(sim_iokit_deadline(QUIET_LOOK_NS));
			in_time = sim_iokit_deadline(0) < deadline;
		}
	}
	sim_exit();
	return quiet;
}
