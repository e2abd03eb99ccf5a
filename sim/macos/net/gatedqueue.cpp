/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The queue that calls outputPacket() with a gate held. It only ever tries the gate: if that is
 * busy the state becomes Deferred, the sender goes home, and the work loop drains.
 */
#include "sim/macos/net/net.h"

#include "sim/macos/sim.h"

OSDefineMetaClassAndStructors(IOGatedOutputQueue, IOBasicOutputQueue)

#define DEFERRED 0x100u /* of the bits that outputqueue.cpp gives to scheduleServiceThread() */

bool IOGatedOutputQueue::init(OSObject *target, IOOutputAction action, IOWorkLoop *loop,
			      UInt32 capacity)
{
	if (!IOBasicOutputQueue::init(target, action, capacity) || !OSDynamicCast(IOWorkLoop, loop))
		return false;
	_gate = IOCommandGate::commandGate(this);
	if (!_gate || loop->addEventSource(_gate) != kIOReturnSuccess)
		return false;
	/* [XNU-NET-40] A source without a provider: it is fired by hand, and drains in the gate. */
	_interruptSrc = IOInterruptEventSource::interruptEventSource(
		this, [](OSObject *self, IOInterruptEventSource *, int) {
			static_cast<IOGatedOutputQueue *>(self)->serviceThread(
				reinterpret_cast<void *>(static_cast<uintptr_t>(DEFERRED)));
		});
	return _interruptSrc && loop->addEventSource(_interruptSrc) == kIOReturnSuccess;
}

static void remove_source(IOEventSource *source)
{
	IOWorkLoop *loop = source->getWorkLoop();

	if (loop)
		loop->removeEventSource(source);
	source->release();
}

void IOGatedOutputQueue::free()
{
	cancelServiceThread();
	if (_gate)
		remove_source(_gate);
	if (_interruptSrc)
		remove_source(_interruptSrc);
	_gate = nullptr;
	_interruptSrc = nullptr;
	IOBasicOutputQueue::free();
}

IOGatedOutputQueue *IOGatedOutputQueue::withTarget(OSObject *target, IOOutputAction action,
						   IOWorkLoop *loop, UInt32 capacity)
{
	IOGatedOutputQueue *queue;

	sim_may_block("IOGatedOutputQueue::withTarget");
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	queue = new IOGatedOutputQueue;
	if (queue && !queue->init(target, action, loop, capacity)) {
		queue->release();
		return nullptr;
	}
	return queue;
}

IOGatedOutputQueue *IOGatedOutputQueue::withTarget(IONetworkController *target, IOWorkLoop *loop,
						   UInt32 capacity)
{
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	return withTarget(target, target->getOutputHandler(), loop, capacity);
}

/* [XNU-NET-41] Never waits for the gate: if somebody has it, the work loop goes on. */
void IOGatedOutputQueue::output(IOMbufQueue *queue, UInt32 *news)
{
	IOReturn result = _gate->attemptAction(
		[](OSObject *owner, void *list, void *bits, void *, void *) {
			static_cast<IOGatedOutputQueue *>(owner)->IOBasicOutputQueue::output(
				static_cast<IOMbufQueue *>(list), static_cast<UInt32 *>(bits));
			return kIOReturnSuccess;
		},
		queue, news);

	if (result == kIOReturnCannotLock)
		*news = DEFERRED;
}

bool IOGatedOutputQueue::scheduleServiceThread(void *param)
{
	if (!(reinterpret_cast<uintptr_t>(param) & DEFERRED))
		return IOOutputQueue::scheduleServiceThread(param);
	_interruptSrc->interruptOccurred(nullptr, nullptr, 0);
	return true;
}
