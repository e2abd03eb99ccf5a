/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts, time, link changes, recovery.
 *
 * What the driver says in an upcall is noted and acted upon after it has returned (afterDevice):
 * received packets flushed to the stack, the link told, a stalled queue serviced, a broken device
 * started again.
 */
#include "guest/ports/xnu/VirtioNet/VirtioNetController.h"

#define SERVICE_BUDGET 256u
#define SERVICE_ROUNDS 4u
#define WATCHDOG_US    5000000u
#define POLL_US	       1000u /* without interrupts */
#define SOON_US	       100u
#define SOON_MOST_US   100000u
#define RETRY_US       1000000u
#define SPEED_UNKNOWN  1000u /* Mbit/s: a medium without a speed counts as no connection */

UInt64 VirtioNetController::now() const
{
	return _nub->os()->ops->time_us(_nub->os()->ctx);
}

/* At interrupt level, perhaps while the gate is held elsewhere. */
bool VirtioNetController::interruptFilter(OSObject *owner, IOFilterInterruptEventSource *)
{
	VirtioNetController *self = static_cast<VirtioNetController *>(owner);
	unsigned events = self->_net ? vio_net_interrupt(self->_net, 0) : 0;

	if (!events)
		return false;
	OSBitOrAtomic(events, &self->_events);
	return true;
}

void VirtioNetController::interruptAction(OSObject *owner, IOInterruptEventSource *, int)
{
	VirtioNetController *self = static_cast<VirtioNetController *>(owner);

	self->serviceDevice(OSBitAndAtomic(0, &self->_events));
}

void VirtioNetController::serviceDevice(UInt32 events)
{
	bool more = events != 0 && _net && !_asleep && !_broken;

	for (unsigned i = 0; more && i < SERVICE_ROUNDS; i++) {
		reserveDebuggerLock();
		more = vio_net_service(_net, events, SERVICE_BUDGET);
		releaseDebuggerLock();
		afterDevice();
		more = more && _net && !_broken;
	}
	if (!more) {
		lookSoon();
		return;
	}
	/* Let other sources of the loop have a turn. */
	OSBitOrAtomic(VIO_EVENT_QUEUE, &_events);
	if (_interrupt)
		_interrupt->signalInterrupt();
}

/* Gated, outside the driver and the debugger lock. */
void VirtioNetController::afterDevice()
{
	if (_forStack)
		_interface->flushInputQueue();
	if (_linkNews)
		publishLink();
	if (_broken) {
		if (_timer && !_dead)
			_timer->setTimeoutUS(SOON_US);
		return;
	}
	/* If the first packet needs more room than this, it stalls again, and arms again. */
	if (_stalled && _forStack && _net && vio_net_tx_room(_net, 1)) {
		_stalled = false;
		_queue->service(0);
	}
}

void VirtioNetController::timerAction(OSObject *owner, IOTimerEventSource *)
{
	VirtioNetController *self = static_cast<VirtioNetController *>(owner);
	UInt64 now = self->now();

	self->_soon = false;
	if (!self->_net || self->_asleep || !(self->_forStack || self->_forDebugger))
		return;
	if (!self->_broken && vio_net_running(self->_net)) {
		self->reserveDebuggerLock();
		vio_net_tick(self->_net);
		self->releaseDebuggerLock();
		self->afterDevice();
		self->watchTransmit(now);
	}
	/* Broken since before, or found so by the tick. */
	if (self->_broken && !self->_dead)
		self->recover();
	self->refreshCounters(now);
	self->armTimer();
}

void VirtioNetController::armTimer()
{
	UInt32 us = vio_net_tick_due_us(_net);

	if (_mode == VIO_IRQ_NONE)
		us = POLL_US;
	if (_broken)
		us = RETRY_US;
	if ((_forStack || _forDebugger) && !_dead)
		_timer->setTimeoutUS(us);
}

/*
 * With one vector for everything a change of the configuration may have hidden behind packets: the
 * driver then wants its tick soon. Once is enough until that has come.
 */
void VirtioNetController::lookSoon()
{
	UInt32 us = _net && !_broken && !_asleep ? vio_net_tick_due_us(_net) : 0;

	if (_soon || us == 0 || us > SOON_MOST_US || !(_forStack || _forDebugger))
		return;
	_soon = true;
	_timer->setTimeoutUS(us);
}

/* Packets in flight and none completed for seconds: the device has lost them. */
void VirtioNetController::watchTransmit(UInt64 now)
{
	struct vio_net_stats stats;

	vio_net_stats(_net, &stats);
	if (vio_net_tx_in_flight(_net) == 0 || stats.tx.buffers != _progressDone) {
		_progressDone = stats.tx.buffers;
		_progressAt = now;
		return;
	}
	if (now - _progressAt < WATCHDOG_US)
		return;
	_progressAt = now;
	if (_etherStats)
		_etherStats->dot3TxExtraEntry.timeouts++;
	deviceBroken(this, "transmission stands still");
	recover();
}

void VirtioNetController::recover()
{
	int err;

	_broken = false;
	reserveDebuggerLock();
	err = vio_net_recover(_net);
	releaseDebuggerLock();
	if (_etherStats)
		_etherStats->dot3TxExtraEntry.resets++;
	/* Given up (too often, or no answer to a reset): the interface stays, without a link. */
	_dead = err == VIO_ENODEV || err == VIO_ETIMEDOUT;
	if (err == VIO_OK) {
		_progressAt = now();
		afterDevice();
		return;
	}
	_broken = true;
	_link.up = false;
	publishLink();
}

/* ---- upcalls ---- */

void VirtioNetController::linkChanged(void *port, const struct vio_net_link *link)
{
	VirtioNetController *self = static_cast<VirtioNetController *>(port);

	self->_link = *link;
	self->_linkNews = true;
}

void VirtioNetController::announce(void *port)
{
	/* Allowed from an upcall, and queued behind what the stack has sent. */
	static_cast<VirtioNetController *>(port)->sendAnnouncement();
}

void VirtioNetController::deviceBroken(void *port, const char *why)
{
	VirtioNetController *self = static_cast<VirtioNetController *>(port);

	if (!self->_broken)
		IOLog("viokit: network device is started again: %s\n", why);
	self->_broken = true;
}

/* An active medium with a speed, or the link does not count as connected. */
void VirtioNetController::publishLink()
{
	UInt32 mbps = _link.speed_mbps ? _link.speed_mbps : SPEED_UNKNOWN;
	IOMediumType type = kIOMediumEthernet1000BaseT;
	IONetworkMedium *medium;

	_linkNews = false;
	if (mbps >= 10000)
		type = kIOMediumEthernet10GBaseT;
	else if (mbps < 1000)
		type = mbps >= 100 ? kIOMediumEthernet100BaseTX : kIOMediumEthernet10BaseT;
	medium = IONetworkMedium::getMediumWithType(_media, type | kIOMediumOptionFullDuplex);
	if (_link.up)
		setLinkStatus(kIONetworkLinkValid | kIONetworkLinkActive, medium,
			      mbps * 1000000ULL);
	else
		setLinkStatus(kIONetworkLinkValid);
}
