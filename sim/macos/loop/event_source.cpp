/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What all event sources share. `reserved` is the loop the source is in the chain of: a command
 * gate may know a loop that it has been removed from.
 */
#include "sim/macos/loop/gate.h"

OSDefineMetaClassAndAbstractStructors(IOEventSource, OSObject)
KPI_DEFINE_PADS(IOEventSource, 0, 1, 2, 3, 4, 5, 6, 7)

bool IOEventSource::init(OSObject *theOwner, IOEventSource::Action theAction)
{
	sim_may_block("IOEventSource::init");
	/* [XNU-WL-10] The owner is not retained, and there is one. */
	if (!theOwner || !OSObject::init())
		return false;
	owner = theOwner;
	setAction(theAction);
	enabled = true;
	return true;
}

static IOWorkLoop *needed(IOWorkLoop *loop, const IOEventSource *source, const char *what)
{
	/* [XNU-WL-11] Before it is added and after it is removed, a source has no loop to reach. */
	if (!loop)
		sim_violation("IOEventSource::%s: %s %p is in no work loop", what,
			      source->getMetaClass()->getClassName(),
			      static_cast<const void *>(source));
	return loop;
}

void IOEventSource::signalWorkAvailable()
{
	needed(workLoop, this, "signalWorkAvailable")->signalWorkAvailable();
}

void IOEventSource::openGate()
{
	needed(workLoop, this, "openGate")->openGate();
}

void IOEventSource::closeGate()
{
	needed(workLoop, this, "closeGate")->closeGate();
}

bool IOEventSource::tryCloseGate()
{
	return needed(workLoop, this, "tryCloseGate")->tryCloseGate();
}

int IOEventSource::sleepGate(void *event, UInt32 how)
{
	return needed(workLoop, this, "sleepGate")->sleepGate(event, how);
}

int IOEventSource::sleepGate(void *event, AbsoluteTime deadline, UInt32 how)
{
	return needed(workLoop, this, "sleepGate")->sleepGate(event, deadline, how);
}

void IOEventSource::wakeupGate(void *event, bool one_thread)
{
	needed(workLoop, this, "wakeupGate")->wakeupGate(event, one_thread);
}

void IOEventSource::setWorkLoop(IOWorkLoop *loop)
{
	/* [XNU-WL-12] Removal disables. */
	if (!loop)
		disable();
	workLoop = loop;
}

void IOEventSource::setNext(IOEventSource *next)
{
	eventChainNext = next;
}

IOEventSource *IOEventSource::getNext() const
{
	return eventChainNext;
}

void IOEventSource::setAction(IOEventSource::Action theAction)
{
	action = theAction;
}

IOEventSource::Action IOEventSource::getAction() const
{
	return action;
}

void IOEventSource::enable()
{
	enabled = true;
	if (workLoop)
		signalWorkAvailable();
}

void IOEventSource::disable()
{
	enabled = false;
}

bool IOEventSource::isEnabled() const
{
	return enabled;
}

IOWorkLoop *IOEventSource::getWorkLoop() const
{
	return workLoop;
}

bool IOEventSource::onThread() const
{
	return workLoop && workLoop->onThread();
}
