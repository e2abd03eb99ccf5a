/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arbitration, open and close.
 *
 * Theory of operation. Each service has an arbitration lock: recursive for the thread that holds
 * it, and held while handleOpen(), handleClose() and handleIsOpen() run [XNU-SVC-9]. Two threads
 * that wait for each other's are a deadlock, which a kernel finds as well; here a wait has a bound.
 */
#include "sim/macos/iokit/service_sim.h"

#define ARBITRATION_NS (20ULL * 1000000000)

/* The argument says whether failure is possible, not whether the service must be active. */
bool IOService::lockForArbitration(bool)
{
	sim_service *data = sim_service_of(this, "lockForArbitration");
	uint64_t deadline = sim_iokit_deadline(ARBITRATION_NS);

	sim_may_block("IOService::lockForArbitration");
	sim_iokit_hold hold;

	while (data->arbitrations && !pthread_equal(data->arbiter, pthread_self())) {
		if (!sim_iokit_wait(deadline))
			sim_violation("deadlock: the arbitration lock of %s is held for ever",
				      sim_service_name(this));
	}
	data->arbiter = pthread_self();
	data->arbitrations++;
	return true;
}

void IOService::unlockForArbitration()
{
	sim_service *data = sim_service_of(this, "unlockForArbitration");
	sim_iokit_hold hold;

	if (!data->arbitrations || !pthread_equal(data->arbiter, pthread_self()))
		sim_violation("IOService::unlockForArbitration of %s by a thread that does not "
			      "hold it",
			      sim_service_name(this));
	if (!--data->arbitrations)
		sim_iokit_changed();
}

/* ---- open and close ---- */

/* The others hear of it first, and without the lock [XNU-SVC-10]. */
bool IOService::open(IOService *client, IOOptionBits options, void *arg)
{
	bool ok;

	sim_may_block("IOService::open");
	sim_service_of(this, "open");
	sim_message_interested(this, kIOMessageServiceIsAttemptingOpen,
			       reinterpret_cast<void *>(static_cast<uintptr_t>(options)), 0,
			       client);
	lockForArbitration(false);
	ok = !isInactive() && handleOpen(client, options, arg);
	unlockForArbitration();
	return ok;
}

/* In the third phase of termination a close is what the client's stop() waits for [XNU-SVC-11]. */
void IOService::close(IOService *client, IOOptionBits options)
{
	bool was, last = false;

	sim_may_block("IOService::close");
	sim_service_of(this, "close");
	lockForArbitration();
	was = handleIsOpen(client);
	if (was) {
		handleClose(client, options);
		last = sim_service_of(this)->phase3;
	}
	unlockForArbitration();
	if (!was)
		sim_violation("IOService::close: %s does not have %s open",
			      client ? sim_service_name(client) : "nobody", sim_service_name(this));
	if (last)
		sim_terminate_stop(client, this);
	else
		sim_message_interested(this, kIOMessageServiceWasClosed,
				       reinterpret_cast<void *>(static_cast<uintptr_t>(options)), 0,
				       client);
}

bool IOService::isOpen(const IOService *client) const
{
	IOService *self = const_cast<IOService *>(this);
	bool open;

	self->lockForArbitration();
	open = handleIsOpen(client);
	self->unlockForArbitration();
	return open;
}

bool IOService::handleOpen(IOService *client, IOOptionBits options, void *)
{
	if (!client)
		sim_violation("IOService::open: %s is opened by nobody", sim_service_name(this));
	if (sim_service_of(this)->owner == client)
		sim_violation("IOService::open: %s has %s open already", sim_service_name(client),
			      sim_service_name(this));
	if (sim_service_of(this)->owner && (options & kIOServiceSeize) &&
	    messageClient(kIOMessageServiceIsRequestingClose, sim_service_of(this)->owner,
			  reinterpret_cast<void *>(static_cast<uintptr_t>(options))) !=
		    kIOReturnSuccess)
		return false;
	if (sim_service_of(this)->owner)
		return false;
	sim_service_of(this)->owner = client;
	return true;
}

void IOService::handleClose(IOService *client, IOOptionBits)
{
	if (sim_service_of(this)->owner == client)
		sim_service_of(this)->owner = nullptr;
}

bool IOService::handleIsOpen(const IOService *client) const
{
	return client ? sim_service_of(this)->owner == client
		      : sim_service_of(this)->owner != nullptr;
}
