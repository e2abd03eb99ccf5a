/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a network controller: started, asked what it is, given an interface, opened, told to
 * enable itself, stopped. Media and link are in media.cpp, packets in packets.cpp, the debugger's
 * side in polled.cpp.
 *
 * Everything the family wants of a driver while it runs goes through one command gate on the
 * driver's work loop (executeCommand()), on the thread of whoever wanted it.
 */
#include "sim/macos/net/controller.h"

#include <stdlib.h>

#include "guest/ports/xnu/kpi/kernel.h"
#include "guest/ports/xnu/kpi/netinterface.h"
#include "sim/macos/sim.h"

OSDefineMetaClassAndAbstractStructors(IONetworkController, IOService)
KPI_DEFINE_PADS(IONetworkController, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
KPI_DEFINE_PADS(IONetworkController, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31)

#define BSD_WAIT_S	    10
#define ETHERNET_WAKE_LEVEL 4 /* setAggressiveness(): settings for waking up by Ethernet */

bool IONetworkController::init(OSDictionary *properties)
{
	if (!IOService::init(properties))
		return false;
	_reserved = static_cast<ExpansionData *>(calloc(1, sizeof(*_reserved)));
	_lastLinkData = sim_no_link_data;
	_lastActiveMediumName = sim_no_medium;
	_lastCurrentMediumName = sim_no_medium;
	return _reserved != nullptr;
}

static bool power_of_two(UInt32 n)
{
	return (n & (n - 1)) == 0;
}

/* [XNU-NET-8] The order of the calls into the driver. */
bool IONetworkController::start(IOService *provider)
{
	IOPacketBufferConstraints constraints = {};

	sim_may_block("IONetworkController::start");
	if (!_reserved)
		sim_violation("%s: IONetworkController::start() without init()", getName());
	/* [XNU-NET-2] */
	if (!(getFeatures() & kIONetworkFeatureNoBSDWait)) {
		mach_timespec_t timeout = {BSD_WAIT_S, 0};

		if (!IOService::waitForService(IOService::resourceMatching("IOBSD"), &timeout))
			sim_violation("%s: waits for IOBSD, which never came", getName());
	}
	if (!IOService::start(provider) || sim_alloc_fails(__builtin_return_address(0)))
		return false;
	_clientSet = OSSet::withCapacity(2);
	_clientSetIter = OSCollectionIterator::withCollection(_clientSet);
	setProperty(SIM_KEY_ACTIVE_MEDIUM, const_cast<OSSymbol *>(sim_no_medium));
	setProperty(SIM_KEY_SELECTED_MEDIUM, const_cast<OSSymbol *>(sim_no_medium));
	_linkStatus = OSNumber::withNumber(0ULL, 32);
	setProperty(SIM_KEY_LINK_STATUS, _linkStatus);
	_linkSpeed = OSNumber::withNumber(0ULL, 64);
	setProperty(SIM_KEY_LINK_SPEED, _linkSpeed);
	_mediumLock = IOLockAlloc();

	if (!createWorkLoop())
		return false;
	_workLoop = getWorkLoop();
	if (!_workLoop)
		return false;
	_workLoop->retain();
	_cmdGate = IOCommandGate::commandGate(this);
	if (!_cmdGate || _workLoop->addEventSource(_cmdGate) != kIOReturnSuccess)
		return false;
	_outputQueue = createOutputQueue(); /* may be 0 */

	/* [XNU-NET-9] Both are powers of two up to 32, or 0; the larger one is what starts get. */
	getPacketBufferConstraints(&constraints);
	if (constraints.alignStart > kIOPacketBufferAlign32 ||
	    constraints.alignLength > kIOPacketBufferAlign32 ||
	    !power_of_two(constraints.alignStart) || !power_of_two(constraints.alignLength))
		return false;
	if (constraints.alignStart < constraints.alignLength)
		constraints.alignStart = constraints.alignLength;
	_alignStart = constraints.alignStart ? constraints.alignStart - 1 : 0;
	_alignLength = constraints.alignLength ? constraints.alignLength - 1 : 0;
	_alignPadding = _alignStart + _alignLength;

	PMinit();
	provider->joinPMtree(this);
	return true;
}

/* [XNU-NET-10] Power changes end here: a driver that does not come here gets them for ever. */
void IONetworkController::stop(IOService *provider)
{
	sim_may_block("IONetworkController::stop");
	PMstop();
	IOService::stop(provider);
}

void IONetworkController::free()
{
	if (_clientSet && _clientSet->getCount())
		sim_violation("%s is freed while it is open", getName());
	if (_debugLockCount)
		sim_violation("%s is freed with the debugger lock reserved", getName());
	if (_freeList)
		sim_violation("%s is freed with packets waiting for releaseFreePackets()",
			      getName());
	if (_outputQueue)
		_outputQueue->release();
	if (_cmdGate) {
		_workLoop->removeEventSource(_cmdGate);
		_cmdGate->release();
	}
	if (_workLoop)
		_workLoop->release();
	if (_clientSetIter)
		_clientSetIter->release();
	if (_clientSet)
		_clientSet->release();
	if (_linkStatus)
		_linkStatus->release();
	if (_linkSpeed)
		_linkSpeed->release();
	if (_mediumLock)
		IOLockFree(_mediumLock);
	::free(_reserved);
	_reserved = nullptr;
	IOService::free();
}

/* [XNU-NET-11] Any number of clients may have a controller open. */
bool IONetworkController::handleOpen(IOService *client, IOOptionBits, void *)
{
	return _clientSet->setObject(client);
}

void IONetworkController::handleClose(IOService *client, IOOptionBits)
{
	_clientSet->removeObject(client);
}

bool IONetworkController::handleIsOpen(const IOService *client) const
{
	if (!_clientSet)
		return false;
	return client ? _clientSet->containsObject(client) : _clientSet->getCount() > 0;
}

/* ---- commands ---- */

namespace
{
struct command {
	OSObject *client;
	IONetworkController::Action action;
	void *target;
	void *params[4];
	IOReturn result;
};
} // namespace

/* [XNU-NET-12] Gated, on this thread, whatever thread that is. */
IOReturn IONetworkController::executeCommand(OSObject *client, Action action, void *target,
					     void *param0, void *param1, void *param2, void *param3)
{
	struct command command = {
		client, action, target, {param0, param1, param2, param3}, kIOReturnSuccess};
	IOReturn result;

	sim_may_block("IONetworkController::executeCommand");
	if (!_cmdGate)
		sim_violation("%s: executeCommand() before start()", getName());
	result = _cmdGate->runAction(
		[](OSObject *owner, void *arg, void *, void *, void *) {
			IONetworkController *self = static_cast<IONetworkController *>(owner);
			struct command *c = static_cast<struct command *>(arg);
			OSObject *before = self->_cmdClient;
			unsigned held = sim_debugger_lock_before();

			self->_cmdClient = c->client;
			c->result = c->action(c->target, c->params[0], c->params[1], c->params[2],
					      c->params[3]);
			self->_cmdClient = before;
			sim_debugger_lock_after(held, "a command of a network controller");
			return kIOReturnSuccess;
		},
		&command);
	return result == kIOReturnSuccess ? command.result : result;
}

OSObject *IONetworkController::getCommandClient() const
{
	return _workLoop->inGate() ? _cmdClient : nullptr;
}

IOCommandGate *IONetworkController::getCommandGate() const
{
	return _cmdGate;
}

/* [XNU-NET-13] Who was enabled is marked on the client, and told to all clients, in the gate. */
IOReturn IONetworkController::doEnable(IOService *client)
{
	return executeCommand(
		client,
		[](void *target, void *arg, void *, void *, void *) {
			IONetworkController *self = static_cast<IONetworkController *>(target);
			IOService *who = static_cast<IOService *>(arg);
			IOReturn result = self->enable(who);

			if (result == kIOReturnSuccess) {
				who->setProperty(SIM_KEY_ENABLED, true);
				self->messageClients(SIM_MESSAGE_ENABLED, who);
			}
			return result;
		},
		this, client);
}

IOReturn IONetworkController::doDisable(IOService *client)
{
	return executeCommand(
		client,
		[](void *target, void *arg, void *, void *, void *) {
			IONetworkController *self = static_cast<IONetworkController *>(target);
			IOService *who = static_cast<IOService *>(arg);
			IOReturn result = self->disable(who);

			if (result == kIOReturnSuccess) {
				who->setProperty(SIM_KEY_ENABLED, false);
				self->messageClients(SIM_MESSAGE_DISABLED, who);
			}
			return result;
		},
		this, client);
}

IOReturn IONetworkController::enable(IOService *client)
{
	if (IONetworkInterface *interface = OSDynamicCast(IONetworkInterface, client))
		return enable(interface);
	if (IOKernelDebugger *debugger = OSDynamicCast(IOKernelDebugger, client))
		return enable(debugger);
	IOLog("%s: enabled for an unknown kind of client\n", getName());
	return kIOReturnBadArgument;
}

IOReturn IONetworkController::disable(IOService *client)
{
	if (IONetworkInterface *interface = OSDynamicCast(IONetworkInterface, client))
		return disable(interface);
	if (IOKernelDebugger *debugger = OSDynamicCast(IOKernelDebugger, client))
		return disable(debugger);
	IOLog("%s: disabled for an unknown kind of client\n", getName());
	return kIOReturnBadArgument;
}

/* ---- what a controller says of itself ---- */

/*
 * [XNU-NET-14] Once per controller, gated, before the first interface or debugger: properties, then
 * power management. A driver that does not register for it leaves the power tree for good.
 */
IOReturn IONetworkController::prepare()
{
	if (_propertiesPublished)
		return kIOReturnSuccess;
	if (!publishProperties())
		return kIOReturnError;
	_propertiesPublished = true;
	if (registerWithPolicyMaker(this) != kIOReturnSuccess)
		PMstop();
	return kIOReturnSuccess;
}

static bool publish(IOService *on, const char *key, const OSString *text)
{
	bool done = true;

	if (text) {
		done = on->setProperty(key, const_cast<OSString *>(text));
		text->release();
	}
	return done;
}

bool IONetworkController::publishProperties()
{
	UInt32 size = 0, filters = 0;
	OSDictionary *groups;
	OSNumber *number;
	bool done;

	if (!publish(this, SIM_KEY_VENDOR, newVendorString()) ||
	    !publish(this, SIM_KEY_MODEL, newModelString()) ||
	    !publish(this, SIM_KEY_REVISION, newRevisionString()) ||
	    !setProperty(SIM_KEY_FEATURES, getFeatures(), 32))
		return false;
	if (getMaxPacketSize(&size) != kIOReturnSuccess ||
	    !setProperty(SIM_KEY_MAX_PACKET, size, 32))
		return false;
	if (getMinPacketSize(&size) != kIOReturnSuccess ||
	    !setProperty(SIM_KEY_MIN_PACKET, size, 32))
		return false;
	if (getPacketFilters(gIONetworkFilterGroup, &filters) != kIOReturnSuccess)
		return false;
	groups = OSDictionary::withCapacity(1);
	number = OSNumber::withNumber(filters, 32);
	done = groups && number && groups->setObject(gIONetworkFilterGroup, number) &&
	       setProperty(SIM_KEY_FILTERS, groups);
	if (groups)
		groups->release();
	if (number)
		number->release();
	return done;
}

/* ---- the interface ---- */

bool IONetworkController::attachInterface(IONetworkInterface **interface, bool register_it)
{
	IONetworkInterface *made;
	IOReturn result;

	sim_may_block("IONetworkController::attachInterface");
	*interface = nullptr;
	if (sim_alloc_fails(__builtin_return_address(0)))
		return false;
	result = executeCommand(
		this,
		[](void *target, void *, void *, void *, void *) {
			return static_cast<IONetworkController *>(target)->prepare();
		},
		this);
	if (result != kIOReturnSuccess)
		return false;
	made = createInterface(); /* [XNU-NET-15] ungated, as are the next three */
	if (!made)
		return false;
	if (!configureInterface(made) || !made->attach(this)) {
		made->release();
		return false;
	}
	*interface = made;
	if (register_it)
		made->registerService();
	return true;
}

/* [XNU-NET-16] The queue's counters go first: the queue may be gone before the interface is. */
void IONetworkController::detachInterface(IONetworkInterface *interface, bool synchronous)
{
	IOOutputQueue *queue = getOutputQueue();
	IONetworkData *counters = queue ? queue->getStatisticsData() : nullptr;

	sim_may_block("IONetworkController::detachInterface");
	if (!OSDynamicCast(IONetworkInterface, interface))
		return;
	if (counters) {
		counters->setNotificationTarget(nullptr, nullptr);
		interface->removeNetworkData(counters->getKey());
	}
	interface->terminate(kIOServiceRequired | (synchronous ? kIOServiceSynchronous : 0));
}

/* [XNU-NET-17] Output goes to the queue if there is one, else straight to outputPacket(). */
bool IONetworkController::configureInterface(IONetworkInterface *interface)
{
	IOOutputQueue *queue = getOutputQueue();

	if (!OSDynamicCast(IONetworkInterface, interface))
		return false;
	if (!queue)
		return interface->registerOutputHandler(this, getOutputHandler());
	if (queue->getStatisticsData())
		interface->addNetworkData(queue->getStatisticsData());
	return interface->registerOutputHandler(queue, queue->getOutputHandler());
}

IOOutputAction IONetworkController::getOutputHandler() const
{
	return static_cast<IOOutputAction>(&IONetworkController::outputPacket);
}

IOOutputQueue *IONetworkController::getOutputQueue() const
{
	return _outputQueue;
}

/* ---- power ---- */

/* [XNU-NET-18] The clients hear of it first, and stop the driver; its stop() does not come. */
void IONetworkController::systemWillShutdown(IOOptionBits specifier)
{
	sim_may_block("IONetworkController::systemWillShutdown");
	if (specifier == kIOMessageSystemWillPowerOff || specifier == kIOMessageSystemWillRestart)
		messageClients(SIM_MESSAGE_WILL_SHUTDOWN);
	IOService::systemWillShutdown(specifier);
}

IOReturn IONetworkController::setAggressiveness(unsigned long type, unsigned long level)
{
	if (type == ETHERNET_WAKE_LEVEL && _clientSet) {
		bool locked = lockForArbitration();
		OSCollectionIterator *each = OSCollectionIterator::withCollection(_clientSet);

		while (OSObject *client = each ? each->getNextObject() : nullptr) {
			if (IONetworkInterface *netif = OSDynamicCast(IONetworkInterface, client))
				netif->inputEvent(SIM_EVENT_WAKE_SUPPORT, nullptr);
		}
		if (each)
			each->release();
		if (locked)
			unlockForArbitration();
	}
	return IOService::setAggressiveness(type, level);
}

/* ---- what a driver may override ---- */

IOReturn IONetworkController::registerWithPolicyMaker(IOService *)
{
	return kIOReturnUnsupported;
}

/* The loop is then the provider's. */
bool IONetworkController::createWorkLoop()
{
	return true;
}

IOOutputQueue *IONetworkController::createOutputQueue()
{
	return nullptr;
}

void IONetworkController::getPacketBufferConstraints(IOPacketBufferConstraints *constraints) const
{
	constraints->alignStart = kIOPacketBufferAlign1;
	constraints->alignLength = kIOPacketBufferAlign1;
}

IOReturn IONetworkController::enable(IONetworkInterface *)
{
	return kIOReturnUnsupported;
}

IOReturn IONetworkController::disable(IONetworkInterface *)
{
	return kIOReturnUnsupported;
}

IOReturn IONetworkController::setMaxPacketSize(UInt32)
{
	return kIOReturnUnsupported;
}

UInt32 IONetworkController::getFeatures() const
{
	return 0;
}

const OSString *IONetworkController::newVendorString() const
{
	return nullptr;
}

const OSString *IONetworkController::newModelString() const
{
	return nullptr;
}

const OSString *IONetworkController::newRevisionString() const
{
	return nullptr;
}

UInt32 IONetworkController::outputPacket(mbuf_t packet, void *)
{
	if (packet)
		freePacket(packet);
	return kIOReturnOutputSuccess;
}
