/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel debugger's hold on a controller.
 *
 * Theory of operation. A controller offers an IOKernelDebugger; an IOKDP (kdpnub.cpp) opens it. It
 * then opens the controller, enables it for the debugger, and gives the kernel's debugger two
 * functions to carry packets with. These run at debugger level, wherever the rest of the world was
 * stopped: in the middle of the driver, perhaps. So the driver counts itself in and out of what
 * must not be interrupted, and while the count is not 0 the functions do nothing: what the debugger
 * sends is lost, and nothing is received.
 *
 * The ring guard makes the driver's side of that bargain visible. While a debugger has the device,
 * the driver's DMA memory is out of reach unless the count is not 0.
 */
#include "sim/macos/net/net.h"

#include <pthread.h>

#include "guest/ports/xnu/kpi/kernel.h"
#include "sim/macos/iokit/notifier.h"
#include "sim/macos/kdp/port.h"
#include "sim/macos/pci/pci.h"
#include "sim/macos/sim.h"

OSDefineMetaClassAndStructors(IOKernelDebugger, IOService)
KPI_DEFINE_PADS(IOKernelDebugger, 0, 1, 2, 3)

#define RELEASE_LINK 7	  /* has kdp_register_link() */
#define FRAME_MAX    1518 /* the debugger's buffer */
#define BSD_NAME_LEN 64

/* Bits of ExpansionData::bits; the first two are what it takes to be enabled. */
#define CLIENT_OPEN 0x1u
#define USABLE	    0x2u /* the device has power */
#define ENABLED	    0x4u

struct IOKernelDebugger::ExpansionData {
	UInt32 bits; /* under the arbitration lock */
	IONotifier *published;
};

/* ---- the one device ---- */

static IOService *volatile device; /* whose lock counts */
static IODebuggerTxHandler tx_handler;
static IODebuggerRxHandler rx_handler;
static bool registered;

static pthread_mutex_t guard_lock = PTHREAD_MUTEX_INITIALIZER;
static bool guard_armed;

/* At debugger level everybody else is parked, maybe with the lock: then it is not needed. */
static void guard_begin()
{
	if (sim_cpu()->level != SIM_DEBUGGER)
		pthread_mutex_lock(&guard_lock);
}

static void guard_end()
{
	if (sim_cpu()->level != SIM_DEBUGGER)
		pthread_mutex_unlock(&guard_lock);
}

static void guard_arm(bool armed)
{
	if (!sim_ring_guard)
		return;
	guard_begin();
	guard_armed = armed;
	sim_dma_protect(armed && kdp_debugger_lock == 0);
	guard_end();
}

/* [XNU-NET-45] It counts only for the debugger's own device; for another one it does nothing. */
IODebuggerLockState IOKernelDebugger::lock(IOService *target)
{
	if (device != target)
		return static_cast<IODebuggerLockState>(0);
	if (!sim_ring_guard) {
		__atomic_fetch_add(&kdp_debugger_lock, 1, __ATOMIC_SEQ_CST);
		return kIODebuggerLockTaken;
	}
	guard_begin();
	if (__atomic_fetch_add(&kdp_debugger_lock, 1, __ATOMIC_SEQ_CST) == 0 && guard_armed)
		sim_dma_protect(false);
	guard_end();
	return kIODebuggerLockTaken;
}

void IOKernelDebugger::unlock(IODebuggerLockState state)
{
	int left;

	if (!(state & kIODebuggerLockTaken))
		return;
	if (sim_ring_guard) {
		guard_begin();
		left = __atomic_sub_fetch(&kdp_debugger_lock, 1, __ATOMIC_SEQ_CST);
		if (left == 0 && guard_armed)
			sim_dma_protect(true);
		guard_end();
	} else {
		left = __atomic_sub_fetch(&kdp_debugger_lock, 1, __ATOMIC_SEQ_CST);
	}
	if (left < 0)
		sim_violation("IOKernelDebugger::unlock() without lock()");
	/* [XNU-NET-46] Who was asked for meanwhile comes now, on this thread. */
	if (left == 0)
		kdp_debugger_lock_released();
}

void IOKernelDebugger::signalDebugger()
{
	sim_violation("IOKernelDebugger::signalDebugger is not simulated");
}

/* ---- at debugger level ---- */

/* [XNU-NET-47] While the lock is held the driver is left alone: packets are lost. */
static void dispatch_send(void *packet, unsigned len)
{
	if (kdp_debugger_lock || !tx_handler)
		return;
	if (guard_armed)
		sim_dma_protect(false);
	tx_handler(device, packet, len);
	if (guard_armed)
		sim_dma_protect(true);
}

static void dispatch_receive(void *packet, unsigned *len, unsigned timeout_ms)
{
	UInt32 got = 0;

	*len = 0;
	if (kdp_debugger_lock || !rx_handler)
		return;
	if (guard_armed)
		sim_dma_protect(false);
	rx_handler(device, packet, &got, timeout_ms);
	if (guard_armed)
		sim_dma_protect(true);
	if (got > FRAME_MAX)
		sim_violation("receivePacket() gave %u bytes: the debugger's buffer has %u", got,
			      FRAME_MAX);
	*len = got;
}

/* [XNU-NET-48] A driver that does not say otherwise (ours cannot) has a link that is up. */
static unsigned dispatch_link(void)
{
	return kdp_debugger_lock ? 0 : kIONetworkLinkValid | kIONetworkLinkActive;
}

static bool dispatch_mode(bool)
{
	return kdp_debugger_lock == 0;
}

/* ---- registration; under the arbitration lock of the one debugger that is open ---- */

static void unregister_device()
{
	if (registered) {
		kdp_unregister_send_receive(dispatch_send, dispatch_receive);
		if (sim_release_at_least(RELEASE_LINK))
			kdp_unregister_link(dispatch_link, dispatch_mode);
		registered = false;
	}
	guard_arm(false);
	tx_handler = nullptr;
	rx_handler = nullptr;
	device = nullptr;
}

static void register_device(IOService *target, IODebuggerTxHandler tx, IODebuggerRxHandler rx)
{
	OSData *mac = OSDynamicCast(OSData, target->getProperty(SIM_KEY_MAC));

	device = target;
	tx_handler = tx;
	rx_handler = rx;
	guard_arm(true);
	if (registered)
		return;
	if (mac && mac->getLength() == kIOEthernetAddressSize)
		kdp_set_mac(static_cast<const uint8_t *>(mac->getBytesNoCopy()));
	registered = true;
	if (sim_release_at_least(RELEASE_LINK))
		kdp_register_link(dispatch_link, dispatch_mode);
	kdp_register_send_receive(dispatch_send, dispatch_receive);
	IOService::publishResource("kdp");
}

/* ---- the nub ---- */

/*
 * [XNU-NET-49] With kdp_match_name, the debugger is offered again whenever an interface of the
 * controller is published: only the second time has it a name.
 */
static bool interface_published(void *target, void *, IOService *service, IONotifier *)
{
	IOService *debugger = static_cast<IOService *>(target);

	if (debugger->getProvider() && debugger->getProvider() == service->getProvider())
		debugger->registerService();
	return true;
}

bool IOKernelDebugger::init(IOService *target, IODebuggerTxHandler tx, IODebuggerRxHandler rx)
{
	char name[BSD_NAME_LEN];

	if (!IOService::init() || !OSDynamicCast(IOService, target) || !tx || !rx)
		return false;
	_reserved = new ExpansionData{};
	_target = target;
	_txHandler = tx;
	_rxHandler = rx;
	if (PE_parse_boot_argn("kdp_match_name", name, sizeof(name))) {
		OSDictionary *matching = IOService::serviceMatching("IONetworkInterface");

		if (matching) {
			_reserved->published = IOService::addMatchingNotification(
				gIOPublishNotification, matching, interface_published, this);
			matching->release();
		}
	}
	return true;
}

void IOKernelDebugger::free()
{
	if (_client)
		sim_violation("IOKernelDebugger is freed while it is open");
	if (_reserved && _reserved->published)
		_reserved->published->remove();
	delete _reserved;
	_reserved = nullptr;
	IOService::free();
}

/*
 * [XNU-NET-50] The primary one, which is taken if no boot-arg says otherwise, is that of a
 * controller whose provider is "built-in", with no "location", or with location "1".
 */
static void mark_primary(IOService *debugger, IOService *target)
{
	IOService *provider = target->getProvider();
	OSObject *location;
	OSData *data;
	bool first;

	if (!provider || !provider->getProperty("built-in"))
		return;
	location = provider->copyProperty("location");
	data = OSDynamicCast(OSData, location);
	first = !data || data->isEqualTo("1", 2) || data->isEqualTo("1", 1);
	debugger->setProperty(SIM_KEY_PRIMARY_DEBUG, first);
	if (location)
		location->release();
}

namespace
{
/* Never made: only to name a function that is not public. */
class maker : public IOKernelDebugger
{
public:
	using IOKernelDebugger::init;
};
} // namespace

IOKernelDebugger *sim_debugger_make(IOService *target, IODebuggerTxHandler tx,
				    IODebuggerRxHandler rx)
{
	bool (IOKernelDebugger::*init)(IOService *, IODebuggerTxHandler, IODebuggerRxHandler) =
		&maker::init;
	IOKernelDebugger *made = new IOKernelDebugger;

	if (made && !(made->*init)(target, tx, rx)) {
		made->release();
		return nullptr;
	}
	if (made)
		mark_primary(made, target);
	return made;
}

/* ---- enabled while it is open and the device has power ---- */

static bool enable_target(IOKernelDebugger *self, IOService *target, UInt32 *bits)
{
	IONetworkController *controller = OSDynamicCast(IONetworkController, target);

	if ((*bits & (CLIENT_OPEN | USABLE | ENABLED)) != (CLIENT_OPEN | USABLE))
		return false;
	if (controller && controller->doEnable(self) != kIOReturnSuccess)
		return false;
	*bits |= ENABLED;
	return true;
}

static void disable_target(IOKernelDebugger *self, IOService *target, UInt32 *bits)
{
	IONetworkController *controller = OSDynamicCast(IONetworkController, target);
	UInt32 was = *bits;

	*bits &= ~ENABLED;
	if (controller && (was & ENABLED))
		(void)controller->doDisable(self);
}

/*
 * [XNU-NET-51] The order: the lock counts from now on, the controller is opened and enabled, and
 * only then is it offered to the kernel's debugger. As boot-arg debug is there, this does not wait
 * for the stack: a controller may be enabled for the debugger alone. One that cannot be enabled is
 * open all the same.
 */
bool IOKernelDebugger::handleOpen(IOService *client, IOOptionBits, void *)
{
	IOPMPowerFlags flags;

	if (_client || !_target)
		return false;
	device = _target;
	if (!_target->open(this)) {
		unregister_device();
		return false;
	}
	/* [XNU-NET-52] Without power management there is power. */
	flags = _target->registerInterestedDriver(this);
	if (flags == 0 || (flags & (kIOPMDeviceUsable | kIOPMNotPowerManaged)))
		_reserved->bits |= USABLE;
	_reserved->bits |= CLIENT_OPEN;
	if (enable_target(this, _target, &_reserved->bits))
		register_device(_target, _txHandler, _rxHandler);
	_client = client;
	return true;
}

void IOKernelDebugger::handleClose(IOService *client, IOOptionBits)
{
	if (!_client || _client != client)
		return;
	unregister_device();
	_reserved->bits &= ~CLIENT_OPEN;
	disable_target(this, _target, &_reserved->bits);
	_target->deRegisterInterestedDriver(this);
	_client = nullptr;
	_target->close(this);
}

bool IOKernelDebugger::handleIsOpen(const IOService *client) const
{
	return client ? client == _client : _client != nullptr;
}

/* [XNU-NET-53] Off before the device loses its power, on again after it has come back. */
IOReturn IOKernelDebugger::powerStateWillChangeTo(IOPMPowerFlags flags, unsigned long, IOService *)
{
	bool locked;

	if (flags & kIOPMDeviceUsable)
		return kIOPMAckImplied;
	locked = lockForArbitration();
	if (_client)
		unregister_device();
	_reserved->bits &= ~USABLE;
	disable_target(this, _target, &_reserved->bits);
	if (locked)
		unlockForArbitration();
	return kIOPMAckImplied;
}

IOReturn IOKernelDebugger::powerStateDidChangeTo(IOPMPowerFlags flags, unsigned long, IOService *)
{
	bool locked;

	if (!(flags & kIOPMDeviceUsable))
		return kIOPMAckImplied;
	locked = lockForArbitration();
	_reserved->bits |= USABLE;
	if (enable_target(this, _target, &_reserved->bits))
		register_device(_target, _txHandler, _rxHandler);
	if (locked)
		unlockForArbitration();
	return kIOPMAckImplied;
}

/* [XNU-NET-54] At shutdown as at sleep; what the controller says of the stack is not for it. */
IOReturn IOKernelDebugger::message(UInt32 type, IOService *provider, void *argument)
{
	bool locked;

	if (type == SIM_MESSAGE_ENABLED || type == SIM_MESSAGE_DISABLED)
		return kIOReturnUnsupported;
	if (type != SIM_MESSAGE_WILL_SHUTDOWN)
		return IOService::message(type, provider, argument);
	locked = lockForArbitration();
	if (_client)
		unregister_device();
	disable_target(this, _target, &_reserved->bits);
	if (locked)
		unlockForArbitration();
	return kIOReturnSuccess;
}
