/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A service's own part in its termination: what a driver may override.
 */
#include "sim/macos/iokit/service_sim.h"

/* Made inactive by its provider's termination, not on its own account: of terminate()'s options. */
#define RECURSING 0x00100000u

static void *options_arg(IOOptionBits options)
{
	return reinterpret_cast<void *>(static_cast<uintptr_t>(options));
}

bool IOService::terminate(IOOptionBits options)
{
	sim_service *data = sim_service_of(this, "terminate");

	sim_may_block("IOService::terminate");
	if (!(options & RECURSING))
		return sim_terminate(this, options | kIOServiceTerminate);
	lockForArbitration();
	{
		sim_iokit_hold hold;

		if (!(data->state & kIOServiceInactiveState)) {
			data->state |= kIOServiceInactiveState;
			data->recursing = data->phase1 = true;
		}
	}
	unlockForArbitration();
	return true;
}

/* Yes, if that is its only provider. */
bool IOService::requestTerminate(IOService *provider, IOOptionBits options)
{
	if (!isParent(provider, gIOServicePlane, true))
		return false;
	provider->terminateClient(this, options | RECURSING);
	return isInactive();
}

bool IOService::terminateClient(IOService *client, IOOptionBits options)
{
	return !client->isParent(this, gIOServicePlane, true) || client->terminate(options);
}

bool IOService::willTerminate(IOService *, IOOptionBits)
{
	return true;
}

/* A client that has its provider open is asked to close, and else must do so on its own. */
bool IOService::didTerminate(IOService *provider, IOOptionBits options, bool *defer)
{
	if (*defer)
		return true;
	lockForArbitration();
	if (provider->handleIsOpen(this))
		message(kIOMessageServiceIsRequestingClose, provider, options_arg(options));
	if (!provider->handleIsOpen(this))
		sim_terminate_stop(this, provider);
	unlockForArbitration();
	return true;
}

/* A provider that goes as well has told us already; one that stays is left here [XNU-SVC-28]. */
bool IOService::finalize(IOOptionBits)
{
	OSIterator *providers = getProviderIterator();
	OSObject *next;

	while (providers && (next = providers->getNextObject())) {
		IOService *provider = OSDynamicCast(IOService, next);

		if (!provider)
			continue;
		if (!sim_service_of(this)->phase3)
			sim_stop_and_detach(this, provider);
		else if (!sim_service_of(provider)->phase3)
			sim_terminate_stop(this, provider);
	}
	if (providers)
		providers->release();
	return true;
}
