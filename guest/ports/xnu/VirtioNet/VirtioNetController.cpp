/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Life, power and settings.
 *
 * Order matters twice. The interrupt source is made before the driver looks at the device: making
 * it switches MSI-X on, which moves a legacy device's configuration. And nothing is attached to the
 * stack before the device is known, as MAC, features and checksums are sampled then, once.
 */
#include "guest/ports/xnu/VirtioNet/VirtioNetController.h"

#include "guest/ports/xnu/port/os_xnu.h"
#include "wire/virtio_net.h"

OSDefineMetaClassAndStructors(VirtioNetController, IOEthernetController)

#define BIT(n)		     (1ULL << (n))
#define RX_BUFFER_MAX	     16384u
#define QUEUE_CAPACITY	     1024u
#define FEATURES_CSUM_DEVICE (BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM))
#define FEATURES_LRO6	     (BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_GUEST_USO6))

	const struct vio_net_upcalls VirtioNetController::upcalls = {
		rxBuffer, rxPacket, rxReturn, txDone, linkChanged, announce, deviceBroken,
};

/* ---- called by start() of the family, before anything else ---- */

bool VirtioNetController::createWorkLoop()
{
	_loop = IOWorkLoop::workLoop();
	return _loop != nullptr;
}

IOWorkLoop *VirtioNetController::getWorkLoop() const
{
	return _loop;
}

IOOutputQueue *VirtioNetController::createOutputQueue()
{
	return IOGatedOutputQueue::withTarget(this, _loop, QUEUE_CAPACITY);
}

/* ---- start and stop ---- */

bool VirtioNetController::createSources()
{
	IOService *provider = _nub->interruptProvider();

	_timer = IOTimerEventSource::timerEventSource(this, timerAction);
	if (!_timer || _loop->addEventSource(_timer) != kIOReturnSuccess)
		return false;
	if (_nub->interruptIndex() < 0)
		return true;
	_interrupt = IOFilterInterruptEventSource::filterInterruptEventSource(
		this, interruptAction, interruptFilter, provider, _nub->interruptIndex());
	return _interrupt && _loop->addEventSource(_interrupt) == kIOReturnSuccess;
}

void VirtioNetController::removeSources()
{
	if (_interrupt) {
		_interrupt->disable();
		_loop->removeEventSource(_interrupt);
		_interrupt->release();
		_interrupt = nullptr;
	}
	if (_timer) {
		_timer->cancelTimeout();
		_loop->removeEventSource(_timer);
		_timer->release();
		_timer = nullptr;
	}
}

bool VirtioNetController::createNet()
{
	struct vio_net_params params = {};
	UInt32 offload = 1, queue = 0;
	int err;

	os_xnu_number(this, "vio_offload", &offload);
	os_xnu_number(this, "vio_queue", &queue);
	/* The stack tells nobody which VLANs it wants, and has one queue each way. */
	params.features_off = BIT(VIRTIO_NET_F_CTRL_VLAN) | BIT(VIRTIO_NET_F_MQ);
	if (!offload)
		params.features_off |= FEATURES_CSUM_DEVICE; /* and all that needs them */
	if (version_major < DARWIN_10_7)
		params.features_off |= FEATURES_LRO6; /* it would sum each packet up itself */
	params.irq_mode = _mode = _nub->interruptMode();
	params.queue_size = static_cast<uint16_t>(queue);
	params.tx_max_segs = NET_SEGS;
	params.rx_max_segs = 16;
	params.rx_buf_max = RX_BUFFER_MAX;
	err = vio_net_create(&_net, _nub->os(), _nub->transport(), &upcalls, this, &params);
	if (err != VIO_OK) {
		_net = nullptr;
		IOLog("viokit: network device is not usable (%d)\n", err);
		return false;
	}
	vio_net_info(_net, &_info);
	vio_net_link_get(_net, &_link);
	return true;
}

void VirtioNetController::publishMedia()
{
	static const struct {
		IOMediumType type;
		UInt64 mbps;
	} media[] = {
		{kIOMediumEthernetAuto, 0},
		{kIOMediumEthernet10BaseT | kIOMediumOptionFullDuplex, 10},
		{kIOMediumEthernet100BaseTX | kIOMediumOptionFullDuplex, 100},
		{kIOMediumEthernet1000BaseT | kIOMediumOptionFullDuplex, 1000},
		{kIOMediumEthernet10GBaseT | kIOMediumOptionFullDuplex, 10000},
	};

	_media = OSDictionary::withCapacity(sizeof(media) / sizeof(media[0]));
	for (unsigned i = 0; _media && i < sizeof(media) / sizeof(media[0]); i++) {
		IONetworkMedium *medium =
			IONetworkMedium::medium(media[i].type, media[i].mbps * 1000000, 0, i);

		if (medium) {
			IONetworkMedium::addMedium(_media, medium);
			medium->release();
		}
	}
	publishMediumDictionary(_media);
	setSelectedMedium(IONetworkMedium::getMediumWithType(_media, kIOMediumEthernetAuto));
	publishLink();
}

bool VirtioNetController::start(IOService *provider)
{
	VirtioDevice *nub = OSDynamicCast(VirtioDevice, provider);
	IONetworkInterface *interface = nullptr;

	if (!nub || !IOEthernetController::start(provider))
		return false;
	if (!nub->open(this)) {
		IOEthernetController::stop(provider);
		return false;
	}
	_nub = nub;
	_nub->retain();
	_queue = static_cast<IOGatedOutputQueue *>(getOutputQueue());
	if (_queue && createSources() && createNet()) {
		publishMedia();
		publishDevice();
		if (_interrupt)
			_interrupt->enable();
		if (attachInterface(&interface, false)) {
			_interface = static_cast<IOEthernetInterface *>(interface);
			attachDebuggerClient(&_debugger); /* only with boot-arg debug */
			_interface->registerService();
			return true;
		}
	}
	stop(provider);
	return false;
}

/* stop() never comes while the provider is open. */
bool VirtioNetController::didTerminate(IOService *provider, IOOptionBits options, bool *defer)
{
	if (provider->isOpen(this))
		provider->close(this);
	return IOEthernetController::didTerminate(provider, options, defer);
}

/* Gated: from here on nothing finds a device. */
IOReturn VirtioNetController::stopAction(OSObject *owner, void *, void *, void *, void *)
{
	VirtioNetController *self = static_cast<VirtioNetController *>(owner);

	self->_forStack = self->_forDebugger = false;
	if (self->_queue) {
		self->_queue->stop();
		self->_queue->flush();
	}
	self->bringDown();
	self->_net = nullptr;
	return kIOReturnSuccess;
}

/*
 * The interface has gone before, if the system is taking us down; after a start that failed it may
 * be there. The gate of the provider may be held here, ours is not.
 */
void VirtioNetController::stop(IOService *provider)
{
	struct vio_net *net = _net;

	if (_loop)
		_loop->runAction(stopAction, this);
	if (_debugger) {
		detachDebuggerClient(_debugger);
		_debugger->release();
		_debugger = nullptr;
	}
	if (_loop)
		removeSources(); /* and with it waits for a filter that runs */
	if (net)
		vio_net_destroy(net);
	if (provider->isOpen(this))
		provider->close(this);
	IOEthernetController::stop(provider); /* PMstop: no power change comes after it */
}

void VirtioNetController::free()
{
	IOWorkLoop *loop = _loop;

	if (_interface)
		_interface->release();
	if (_media)
		_media->release();
	if (_counters)
		_counters->release();
	if (_nub)
		_nub->release();
	/*
	 * The last instance gone, this code may be unloaded: nothing comes after the family's
	 * free(), which has a reference of its own to the loop.
	 */
	_loop = nullptr;
	if (loop)
		loop->release();
	IOEthernetController::free();
}

/* ---- up and down, gated ---- */

IOReturn VirtioNetController::bringUp()
{
	int err;

	if (!_net)
		return kIOReturnNoDevice;
	if (vio_net_running(_net))
		return kIOReturnSuccess;
	_broken = _dead = _stalled = false;
	reserveDebuggerLock();
	err = vio_net_start(_net); /* may find it broken again, after all */
	releaseDebuggerLock();
	if (err != VIO_OK) {
		IOLog("viokit: network device does not start (%d)\n", err);
		_broken = false;
		_link.up = false;
		publishLink();
		return kIOReturnIOError;
	}
	_progressAt = now();
	_timer->setTimeoutUS(vio_net_tick_due_us(_net));
	afterDevice();
	return kIOReturnSuccess;
}

void VirtioNetController::bringDown()
{
	if (!_net)
		return;
	_timer->cancelTimeout();
	reserveDebuggerLock();
	(void)vio_net_stop(_net);
	releaseDebuggerLock();
	_broken = _stalled = false;
}

IOReturn VirtioNetController::enable(IONetworkInterface *)
{
	IOReturn result;

	/* After this the family switches on what is wanted; what no longer is, it does not tell. */
	_filter.promisc = _filter.allmulti = false;
	(void)applyFilter();
	result = bringUp();
	if (result != kIOReturnSuccess)
		return result;
	_forStack = true;
	_queue->setCapacity(QUEUE_CAPACITY);
	_queue->start();
	return kIOReturnSuccess;
}

IOReturn VirtioNetController::disable(IONetworkInterface *)
{
	_queue->stop();
	_queue->setCapacity(0);
	_queue->flush();
	_interface->clearInputQueue();
	_forStack = false;
	_stalled = false;
	if (!_forDebugger)
		bringDown();
	return kIOReturnSuccess;
}

/* ---- power ---- */

IOReturn VirtioNetController::registerWithPolicyMaker(IOService *policy_maker)
{
	return policy_maker->registerPowerDriver(this, virtio_power_states, 2);
}

/* The family has disabled us before sleep, and enables us again after waking up. */
IOReturn VirtioNetController::powerAction(OSObject *owner, void *state, void *, void *, void *)
{
	VirtioNetController *self = static_cast<VirtioNetController *>(owner);
	bool on = state != nullptr;

	if (!self->_net || on == !self->_asleep)
		return kIOReturnSuccess;
	self->reserveDebuggerLock();
	if (!on)
		(void)vio_net_suspend(self->_net);
	else if (vio_net_resume(self->_net) != VIO_OK)
		self->_broken = true;
	self->releaseDebuggerLock();
	self->_asleep = !on;
	if (on) {
		self->_progressAt = self->now();
		self->afterDevice();
		self->armTimer();
	} else {
		self->_timer->cancelTimeout();
	}
	return kIOReturnSuccess;
}

IOReturn VirtioNetController::setPowerState(unsigned long state, IOService *)
{
	/* On a thread of its own, not gated. */
	_loop->runAction(powerAction, this, state == VIRTIO_POWER_ON ? this : nullptr);
	return kIOPMAckImplied;
}
