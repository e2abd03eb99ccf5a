/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts as sources of work: counted at interrupt level, acted upon by the loop.
 *
 * The handler is with the provider from the source's creation on, not from enable() on: switching
 * a device to messages happens then. What a filter must not do is caught by the functions it would
 * have to call; that it runs at interrupt level is the interrupt controller's doing (pci/).
 */
#include "guest/ports/xnu/kpi/kernel.h"
#include "sim/macos/loop/gate.h"

OSDefineMetaClassAndStructors(IOInterruptEventSource, IOEventSource)
KPI_DEFINE_PADS(IOInterruptEventSource, 0, 1, 2, 3, 4, 5, 6, 7)

OSDefineMetaClassAndStructors(IOFilterInterruptEventSource, IOInterruptEventSource)
KPI_DEFINE_PADS(IOFilterInterruptEventSource, 0, 1, 2, 3, 4, 5, 6, 7)

static void normal_handler(OSObject *target, void *refcon, IOService *nub, int index)
{
	static_cast<IOInterruptEventSource *>(target)->normalInterruptOccurred(refcon, nub, index);
}

static void disabling_handler(OSObject *target, void *refcon, IOService *nub, int index)
{
	static_cast<IOInterruptEventSource *>(target)->disableInterruptOccurred(refcon, nub, index);
}

/*
 * [XNU-WL-20] Only a type that equals level disables itself until the action has run: a message
 * (edge, with another bit) never does.
 */
static IOReturn register_handler(IOInterruptEventSource *source, IOService *provider, int index,
				 bool *disables)
{
	IOReturn result;
	int type = 0;

	result = provider->getInterruptType(index, &type);
	if (result != kIOReturnSuccess)
		return result;
	*disables = type == kIOInterruptTypeLevel;
	return provider->registerInterrupt(index, source,
					   *disables ? disabling_handler : normal_handler);
}

IOInterruptEventSource *IOInterruptEventSource::interruptEventSource(OSObject *owner, Action action,
								     IOService *provider, int index)
{
	IOInterruptEventSource *source;

	sim_may_block("IOInterruptEventSource::interruptEventSource");
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	source = new IOInterruptEventSource;
	if (source && !source->init(owner, action, provider, index)) {
		source->release();
		source = nullptr;
	}
	return source;
}

/* An index below 0 says that the handler is not registered: it is the complement then. */
bool IOInterruptEventSource::init(OSObject *owner_, Action action_, IOService *provider_, int index)
{
	if (!IOEventSource::init(owner_, sim_function<IOEventSource::Action>(action_)))
		return false;
	provider = provider_;
	intIndex = ~index;
	if (!provider_)
		return true;
	/* [XNU-WL-21] Registered now; enabled only by enable(). */
	if (register_handler(this, provider_, index, &autoDisable) != kIOReturnSuccess)
		return false;
	intIndex = index;
	return true;
}

void IOInterruptEventSource::free()
{
	if (IOEventSource::reserved)
		sim_violation("an %s is released too often: its loop still has it",
			      getMetaClass()->getClassName());
	if (provider && intIndex >= 0)
		provider->unregisterInterrupt(intIndex);
	IOEventSource::free();
}

void IOInterruptEventSource::setWorkLoop(IOWorkLoop *loop)
{
	if (loop)
		IOEventSource::setWorkLoop(loop);
	if (provider && !loop && intIndex >= 0) {
		/* Waits for a handler that runs. */
		provider->unregisterInterrupt(intIndex);
		intIndex = ~intIndex;
	} else if (provider && loop && intIndex < 0 &&
		   register_handler(this, provider, ~intIndex, &autoDisable) == kIOReturnSuccess) {
		intIndex = ~intIndex;
	}
	if (!loop)
		IOEventSource::setWorkLoop(loop);
}

const IOService *IOInterruptEventSource::getProvider() const
{
	return provider;
}

int IOInterruptEventSource::getIntIndex() const
{
	return intIndex;
}

bool IOInterruptEventSource::getAutoDisable() const
{
	return autoDisable;
}

/* [XNU-WL-22] Without a provider there is nothing to switch. */
void IOInterruptEventSource::enable()
{
	if (!provider || intIndex < 0)
		return;
	explicitDisable = false;
	enabled = true;
	provider->enableInterrupt(intIndex);
}

void IOInterruptEventSource::disable()
{
	if (!provider || intIndex < 0)
		return;
	provider->disableInterrupt(intIndex);
	explicitDisable = true;
	enabled = false;
}

/*
 * [XNU-WL-23] Whether the source is enabled is not asked: what was counted is acted upon. A level
 * source is enabled again, unless disable() was called meanwhile.
 */
bool IOInterruptEventSource::checkForWork()
{
	unsigned produced = __atomic_load_n(&producerCount, __ATOMIC_ACQUIRE);
	int count = static_cast<int>(produced - consumerCount);
	Action theAction = sim_function<Action>(action);

	if (count == 0)
		return false;
	/* [XNU-WL-24] [to 10.10] A difference that wrapped is given as positive. */
	if (count < 0 && !sim_release_at_least(11))
		count = -count;
	consumerCount = produced;
	if (theAction) {
		sim_called called("an interrupt's action", sim_code(theAction));

		retain();
		theAction(owner, this, count);
		/* [XNU-WL-31] A kernel looks at the source again. */
		if (getRetainCount() == 1)
			sim_violation("an interrupt source is released for the last time by its "
				      "own action");
		release();
	}
	if (autoDisable && !explicitDisable)
		enable();
	return false;
}

void IOInterruptEventSource::interruptOccurred(void *, IOService *, int)
{
	__atomic_add_fetch(&producerCount, 1, __ATOMIC_RELEASE);
	signalWorkAvailable();
}

/* What a controller calls must be called at interrupt level. */
static void check_level(const IOService *provider, const char *what)
{
	if (provider && sim_cpu()->level != SIM_INTERRUPT)
		sim_violation("%s of %s is called outside of an interrupt", what,
			      provider->getName());
}

void IOInterruptEventSource::normalInterruptOccurred(void *arg, IOService *nub, int index)
{
	check_level(provider, "an interrupt handler");
	interruptOccurred(arg, nub, index);
}

void IOInterruptEventSource::disableInterruptOccurred(void *arg, IOService *nub, int index)
{
	check_level(provider, "an interrupt handler");
	nub->disableInterrupt(index);
	interruptOccurred(arg, nub, index);
}

/* ---- with a filter ---- */

IOFilterInterruptEventSource *IOFilterInterruptEventSource::filterInterruptEventSource(
	OSObject *owner, IOInterruptEventSource::Action action, Filter filter, IOService *provider,
	int index)
{
	IOFilterInterruptEventSource *source;

	sim_may_block("IOFilterInterruptEventSource::filterInterruptEventSource");
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	source = new IOFilterInterruptEventSource;
	if (source && !source->init(owner, action, filter, provider, index)) {
		source->release();
		source = nullptr;
	}
	return source;
}

bool IOFilterInterruptEventSource::init(OSObject *owner_, IOInterruptEventSource::Action action_,
					Filter filter, IOService *provider_, int index)
{
	if (!filter || !provider_)
		return false;
	filterAction = filter;
	return IOInterruptEventSource::init(owner_, action_, provider_, index);
}

/* One without a filter cannot be. */
bool IOFilterInterruptEventSource::init(OSObject *, IOInterruptEventSource::Action, IOService *,
					int)
{
	return false;
}

IOFilterInterruptEventSource::Filter IOFilterInterruptEventSource::getFilterAction() const
{
	return filterAction;
}

/* [XNU-WL-25] Work for the loop, with the line as it is. */
void IOFilterInterruptEventSource::signalInterrupt()
{
	__atomic_add_fetch(&producerCount, 1, __ATOMIC_RELEASE);
	signalWorkAvailable();
}

static bool call_filter(IOFilterInterruptEventSource::Filter filter, OSObject *owner,
			IOFilterInterruptEventSource *source)
{
	sim_called called("an interrupt filter", sim_code(filter));

	return filter(owner, source);
}

void IOFilterInterruptEventSource::normalInterruptOccurred(void *, IOService *, int)
{
	check_level(provider, "a filter");
	if (call_filter(filterAction, owner, this))
		signalInterrupt();
}

/* [XNU-WL-26] False leaves a line on: the interrupt was another device's. */
void IOFilterInterruptEventSource::disableInterruptOccurred(void *arg, IOService *nub, int index)
{
	check_level(provider, "a filter");
	if (call_filter(filterAction, owner, this))
		IOInterruptEventSource::disableInterruptOccurred(arg, nub, index);
}
