/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts of a nub: dispatched to whoever has them.
 */
#include "sim/macos/iokit/service_sim.h"

void sim_interrupts_attach(IOService *nub, const struct sim_interrupt_ops *ops, void *arg)
{
	sim_service *data = sim_service_of(nub, "registerInterrupt");

	data->interrupts = ops;
	data->interrupts_arg = arg;
}

/* A nub made by hand has none [XNU-SVC-12]. */
IOReturn IOService::getInterruptType(int source, int *type)
{
	sim_service *data = sim_service_of(this, "getInterruptType");

	if (!data->interrupts)
		return kIOReturnNoInterrupt;
	return data->interrupts->type(data->interrupts_arg, source, type);
}

IOReturn IOService::registerInterrupt(int source, OSObject *target, IOInterruptAction handler,
				      void *refcon)
{
	sim_service *data = sim_service_of(this, "registerInterrupt");

	sim_may_block("IOService::registerInterrupt");
	if (!data->interrupts)
		return kIOReturnNoInterrupt;
	return data->interrupts->registerHandler(data->interrupts_arg, source, target, handler,
						 refcon, this);
}

IOReturn IOService::unregisterInterrupt(int source)
{
	sim_service *data = sim_service_of(this, "unregisterInterrupt");

	sim_may_block("IOService::unregisterInterrupt");
	if (!data->interrupts)
		return kIOReturnNoInterrupt;
	return data->interrupts->unregister(data->interrupts_arg, source);
}

/* These two are legal at interrupt level. */
IOReturn IOService::enableInterrupt(int source)
{
	sim_service *data = sim_service_of(this, "enableInterrupt");

	if (!data->interrupts)
		return kIOReturnNoInterrupt;
	return data->interrupts->enable(data->interrupts_arg, source);
}

IOReturn IOService::disableInterrupt(int source)
{
	sim_service *data = sim_service_of(this, "disableInterrupt");

	if (!data->interrupts)
		return kIOReturnNoInterrupt;
	return data->interrupts->disable(data->interrupts_arg, source);
}

IOReturn IOService::causeInterrupt(int source)
{
	sim_service *data = sim_service_of(this, "causeInterrupt");

	if (!data->interrupts)
		return kIOReturnNoInterrupt;
	return data->interrupts->cause(data->interrupts_arg, source);
}
