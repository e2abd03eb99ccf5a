/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IONetworkInterface: what it is, who has it open, its data. Packets are in netinput.cpp.
 */
#include <stdlib.h>
#include <string.h>

#include "guest/ports/xnu/kpi/kernel.h"
#include "sim/macos/bsd/netinterface.h"

OSDefineMetaClassAndAbstractStructors(IONetworkInterface, IOService)
KPI_DEFINE_PADS(IONetworkInterface, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)

#define KEY_STATE	"IOInterfaceState"
#define KEY_DATA	"IONetworkData"
#define KEY_BUILTIN	"IOBuiltin"
#define KEY_PRIMARY	"IOPrimaryInterface"
#define KEY_LOCATION	"IOLocation"
#define KEY_NAME_PREFIX "IOInterfaceNamePrefix"
#define KEY_TYPE	"IOInterfaceType"
#define KEY_MTU		"IOMaxTransferUnit"
#define KEY_FLAGS	"IOInterfaceFlags"
#define KEY_EXTRA_FLAGS "IOInterfaceExtraFlags"
#define KEY_ADDRESS_LEN "IOMediaAddressLength"
#define KEY_HEADER_LEN	"IOMediaHeaderLength"
#define KEY_UNIT	"IOInterfaceUnit"

/*
 * [XNU-IF-3] "built-in" and "location" are properties of the controller's provider: of the
 * nub, if there is one in between. A built-in interface without location, or with location
 * 1, is primary.
 */
static void copy_place(IONetworkInterface *self, IONetworkController *controller)
{
	IOService *provider = controller->getProvider();
	OSObject *place = provider ? provider->getProperty("location") : nullptr;
	bool builtin = provider && provider->getProperty("built-in");
	bool first = !place;

	if (OSString *text = OSDynamicCast(OSString, place))
		first = text->isEqualTo("1");
	if (OSData *data = OSDynamicCast(OSData, place))
		first = data->getLength() >= 1 &&
			*static_cast<const char *>(data->getBytesNoCopy()) == '1';
	if (place)
		self->setProperty(KEY_LOCATION, place);
	self->setProperty(KEY_BUILTIN, builtin);
	self->setProperty(KEY_PRIMARY, builtin && first);
}

bool IONetworkInterface::init(IONetworkController *controller)
{
	if (!controller || !IOService::init())
		return false;
	_controller = controller;
	_reserved = static_cast<ExpansionData *>(calloc(1, sizeof(*_reserved)));
	_ifLock = IORecursiveLockAlloc();
	_clientSet = OSSet::withCapacity(2);
	_stateBits = OSNumber::withNumber(0ULL, 32);
	_dataDict = OSDictionary::withCapacity(5);
	if (!_reserved || !_ifLock || !_clientSet || !_stateBits || !_dataDict)
		return false;
	setProperty(KEY_STATE, _stateBits);
	_reserved->stats_data =
		IONetworkData::withInternalBuffer(kIONetworkStatsKey, sizeof(IONetworkStats));
	if (!_reserved->stats_data || !addNetworkData(_reserved->stats_data))
		return false;
	_reserved->stats = static_cast<IONetworkStats *>(
		const_cast<void *>(_reserved->stats_data->getBuffer()));
	copy_place(this, controller);
	setProperty(KEY_NAME_PREFIX, getNamePrefix());
	return true;
}

void IONetworkInterface::free()
{
	if (_reserved && _reserved->ifp)
		sim_violation("%s is freed while it is attached to the stack", getName());
	if (_clientSet && _clientSet->getCount())
		sim_violation("%s is freed while it is open", getName());
	if (_inputQHead)
		clearInputQueue();
	if (_clientSet)
		_clientSet->release();
	if (_stateBits)
		_stateBits->release();
	if (_dataDict)
		_dataDict->release();
	if (_ifLock)
		IORecursiveLockFree(_ifLock);
	if (_reserved && _reserved->stats_data)
		_reserved->stats_data->release();
	::free(_reserved);
	_reserved = nullptr;
	IOService::free();
}

/* ---- what it is ---- */

bool IONetworkInterface::isPrimaryInterface() const
{
	OSBoolean *primary = OSDynamicCast(OSBoolean, getProperty(KEY_PRIMARY));

	return primary && primary->isTrue();
}

bool IONetworkInterface::isRegistered() const
{
	return (getInterfaceState() & kIONetworkInterfaceRegisteredState) != 0;
}

UInt32 IONetworkInterface::getInterfaceState() const
{
	return _stateBits->unsigned32BitValue();
}

UInt32 IONetworkInterface::setInterfaceState(UInt32 set, UInt32 clear)
{
	UInt32 state = (getInterfaceState() | set) & ~clear;

	_stateBits->setValue(state);
	return state;
}

IONetworkController *IONetworkInterface::getController() const
{
	return _controller;
}

ifnet_t IONetworkInterface::getIfnet() const
{
	return _backingIfnet;
}

UInt8 IONetworkInterface::getInterfaceType() const
{
	return _reserved->type;
}

bool IONetworkInterface::setInterfaceType(UInt8 type)
{
	_reserved->type = type;
	return setProperty(KEY_TYPE, type, 8);
}

UInt32 IONetworkInterface::getMaxTransferUnit() const
{
	return _reserved->mtu;
}

bool IONetworkInterface::setMaxTransferUnit(UInt32 mtu)
{
	_reserved->mtu = mtu;
	if (_reserved->ifp) {
		pthread_mutex_lock(&_reserved->ifp->lock);
		_reserved->ifp->mtu = mtu;
		pthread_mutex_unlock(&_reserved->ifp->lock);
	}
	return setProperty(KEY_MTU, mtu, 32);
}

UInt16 IONetworkInterface::getFlags() const
{
	UInt16 flags = _reserved->flags;

	if (_reserved->ifp) {
		pthread_mutex_lock(&_reserved->ifp->lock);
		flags = static_cast<UInt16>(_reserved->ifp->flags);
		pthread_mutex_unlock(&_reserved->ifp->lock);
	}
	return flags;
}

bool IONetworkInterface::setFlags(UInt16 set, UInt16 clear)
{
	_reserved->flags = static_cast<UInt16>((_reserved->flags | set) & ~clear);
	if (_reserved->ifp) {
		pthread_mutex_lock(&_reserved->ifp->lock);
		_reserved->ifp->flags = (_reserved->ifp->flags | set) & ~UInt32{clear};
		pthread_mutex_unlock(&_reserved->ifp->lock);
	}
	return setProperty(KEY_FLAGS, _reserved->flags, 16);
}

UInt32 IONetworkInterface::getExtraFlags() const
{
	return _reserved->extra_flags;
}

bool IONetworkInterface::setExtraFlags(UInt32 set, UInt32 clear)
{
	_reserved->extra_flags = (_reserved->extra_flags | set) & ~clear;
	return setProperty(KEY_EXTRA_FLAGS, _reserved->extra_flags, 32);
}

bool IONetworkInterface::setExtendedFlags(UInt32 set, UInt32 clear)
{
	_reserved->extended_flags = (_reserved->extended_flags | set) & ~clear;
	return true;
}

UInt8 IONetworkInterface::getMediaAddressLength() const
{
	return _reserved->address_length;
}

bool IONetworkInterface::setMediaAddressLength(UInt8 length)
{
	_reserved->address_length = length;
	return setProperty(KEY_ADDRESS_LEN, length, 8);
}

UInt8 IONetworkInterface::getMediaHeaderLength() const
{
	return _reserved->header_length;
}

bool IONetworkInterface::setMediaHeaderLength(UInt8 length)
{
	_reserved->header_length = length;
	return setProperty(KEY_HEADER_LEN, length, 8);
}

UInt16 IONetworkInterface::getUnitNumber() const
{
	return _reserved->unit;
}

bool IONetworkInterface::setUnitNumber(UInt16 unit)
{
	_reserved->unit = unit;
	return setProperty(KEY_UNIT, unit, 16);
}

/* [XNU-IF-4] The debugger names its interface to the stack. */
void IONetworkInterface::debuggerRegistered()
{
	if (_reserved->ifp)
		_reserved->ifp->debugger = true;
}

void IONetworkInterface::lock()
{
	IORecursiveLockLock(_ifLock);
}

void IONetworkInterface::unlock()
{
	IORecursiveLockUnlock(_ifLock);
}

/* ---- data ---- */

bool IONetworkInterface::addNetworkData(IONetworkData *data)
{
	bool done;

	if (!OSDynamicCast(IONetworkData, data))
		return false;
	lock();
	done = !_dataDict->getObject(data->getKey()) && _dataDict->setObject(data->getKey(), data);
	if (done)
		setProperty(KEY_DATA, _dataDict);
	unlock();
	return done;
}

bool IONetworkInterface::removeNetworkData(const OSSymbol *key)
{
	bool there;

	lock();
	there = _dataDict->getObject(key) != nullptr;
	_dataDict->removeObject(key);
	unlock();
	return there;
}

bool IONetworkInterface::removeNetworkData(const char *key)
{
	const OSSymbol *symbol = OSSymbol::withCString(key);
	bool done = symbol && removeNetworkData(symbol);

	if (symbol)
		symbol->release();
	return done;
}

IONetworkData *IONetworkInterface::getNetworkData(const OSSymbol *key) const
{
	return OSDynamicCast(IONetworkData, _dataDict->getObject(key));
}

IONetworkData *IONetworkInterface::getNetworkData(const char *key) const
{
	return OSDynamicCast(IONetworkData, _dataDict->getObject(key));
}

IONetworkData *IONetworkInterface::getParameter(const char *key) const
{
	return getNetworkData(key);
}

/* ---- open and close ---- */

/* [XNU-IF-5] The first client opens the controller, the last one closes it. */
bool IONetworkInterface::handleOpen(IOService *client, IOOptionBits options, void *arg)
{
	bool first = _clientSet->getCount() == 0;

	if (first && !_controller->open(this))
		return false;
	if ((!first || controllerDidOpen(_controller)) && handleClientOpen(client, options, arg)) {
		_clientSet->setObject(client);
		return true;
	}
	if (first) {
		controllerWillClose(_controller);
		_controller->close(this);
	}
	return false;
}

void IONetworkInterface::handleClose(IOService *client, IOOptionBits options)
{
	if (!_clientSet->containsObject(client))
		return;
	_clientSet->removeObject(client);
	handleClientClose(client, options);
	if (_clientSet->getCount() == 0) {
		controllerWillClose(_controller);
		_controller->close(this);
	}
}

bool IONetworkInterface::handleIsOpen(const IOService *client) const
{
	return client ? _clientSet->containsObject(client) : _clientSet->getCount() > 0;
}

bool IONetworkInterface::handleClientOpen(IOService *, IOOptionBits, void *)
{
	return true;
}

void IONetworkInterface::handleClientClose(IOService *, IOOptionBits)
{
}

/* [XNU-IF-6] With the controller open, the interface is told of its power changes. */
bool IONetworkInterface::controllerDidOpen(IONetworkController *controller)
{
	controller->registerInterestedDriver(this);
	return true;
}

void IONetworkInterface::controllerWillClose(IONetworkController *controller)
{
	controller->deRegisterInterestedDriver(this);
}

/* ---- the stack ---- */

bool IONetworkInterface::registerOutputHandler(OSObject *target, IOOutputAction action)
{
	bool busy;

	lock();
	busy = (getInterfaceState() & kIONetworkInterfaceOpenedState) != 0;
	if (!busy) {
		_outTarget = target;
		_outAction = action;
	}
	unlock();
	return !busy && target && action;
}

IOReturn IONetworkInterface::attachToDataLinkLayer(IOOptionBits, void *param)
{
	struct mac_if *ifp = sim_ifnet_attach(this, static_cast<const char *>(param));

	ifp->flags = _reserved->flags;
	ifp->mtu = _reserved->mtu;
	_reserved->was_attached = true;
	_backingIfnet = sim_ifnet_handle(ifp);
	__atomic_store_n(&_reserved->ifp, ifp, __ATOMIC_RELEASE);
	setInterfaceState(kIONetworkInterfaceRegisteredState);
	return kIOReturnSuccess;
}

void IONetworkInterface::detachFromDataLinkLayer(IOOptionBits, void *)
{
	struct mac_if *ifp = _reserved->ifp;

	setInterfaceState(0, kIONetworkInterfaceRegisteredState);
	_backingIfnet = nullptr;
	__atomic_store_n(&_reserved->ifp, nullptr, __ATOMIC_RELEASE);
	if (ifp)
		sim_ifnet_detach(ifp);
}

bool IONetworkInterface::initIfnet(struct ifnet *)
{
	sim_violation("IONetworkInterface::initIfnet is not simulated");
}

bool IONetworkInterface::initIfnetParams(struct ifnet_init_params *)
{
	sim_violation("IONetworkInterface::initIfnetParams is not simulated");
}

static struct mac_if *attached(ifnet_t handle)
{
	struct mac_if *ifp = sim_ifnet(handle);

	return ifp && !mac_if_gone(ifp) ? ifp : nullptr;
}

/*
 * [XNU-IF-7] A link up or down becomes an event for user space; from 10.8 on the stack learns the
 * speed with it.
 */
bool IONetworkInterface::inputEvent(UInt32 type, void *data)
{
	struct mac_if *ifp = attached(_backingIfnet);

	if (!ifp)
		return false;
	pthread_mutex_lock(&ifp->lock);
	if (type == SIM_EVENT_LINK_UP)
		ifp->link_ons++;
	if (type == SIM_EVENT_LINK_DOWN)
		ifp->link_offs++;
	if (data && sim_release_at_least(8) && type != SIM_EVENT_DLIL)
		ifp->speed = static_cast<const struct sim_link_event *>(data)->speed;
	pthread_mutex_unlock(&ifp->lock);
	return true;
}

/* [XNU-IF-8] Media are changed gated, and only if another one is wanted. */
SInt32 IONetworkInterface::performCommand(IONetworkController *controller, unsigned long command,
					  void *, void *arg1)
{
	IOReturn result;

	if (command != SIOCSIFMEDIA)
		return DARWIN_EOPNOTSUPP;
	result = controller->executeCommand(
		this,
		[](void *target, void *medium, void *, void *, void *) {
			IONetworkController *c = static_cast<IONetworkController *>(target);
			IONetworkMedium *m = static_cast<IONetworkMedium *>(medium);
			OSObject *value = c->copyProperty(SIM_KEY_SELECTED_MEDIUM);
			OSString *now = OSDynamicCast(OSString, value);
			bool same = now && m->getName()->isEqualTo(now->getCStringNoCopy());

			if (value)
				value->release();
			if (same)
				return kIOReturnSuccess;
			return c->selectMedium(m);
		},
		controller, arg1);
	return result == kIOReturnSuccess ? 0 : errnoFromReturn(result);
}

/* ---- events from the controller ---- */

IOReturn IONetworkInterface::message(UInt32 type, IOService *provider, void *argument)
{
	/* Its close follows when the stack has let go; nothing can be done sooner. */
	if (type == kIOMessageServiceIsRequestingClose || type == SIM_MESSAGE_ENABLED ||
	    type == SIM_MESSAGE_DISABLED)
		return kIOReturnSuccess;
	/* [XNU-IF-13] At shutdown as before sleep, without wake-on-LAN. */
	if (type == SIM_MESSAGE_WILL_SHUTDOWN)
		return powerStateWillChangeTo(0, 0, provider);
	return IOService::message(type, provider, argument);
}

/* [XNU-IF-9] Power changes of the controller arrive ungated, and are handled in the gate. */
IOReturn IONetworkInterface::powerStateWillChangeTo(IOPMPowerFlags flags, unsigned long state,
						    IOService *whom)
{
	return _controller->executeCommand(
		this,
		[](void *target, void *f, void *s, void *w, void *) {
			IONetworkInterface *self = static_cast<IONetworkInterface *>(target);

			return self->controllerWillChangePowerState(
				self->_controller, reinterpret_cast<IOPMPowerFlags>(f),
				static_cast<UInt32>(reinterpret_cast<uintptr_t>(s)),
				static_cast<IOService *>(w));
		},
		this, reinterpret_cast<void *>(flags), reinterpret_cast<void *>(state), whom);
}

IOReturn IONetworkInterface::powerStateDidChangeTo(IOPMPowerFlags flags, unsigned long state,
						   IOService *whom)
{
	return _controller->executeCommand(
		this,
		[](void *target, void *f, void *s, void *w, void *) {
			IONetworkInterface *self = static_cast<IONetworkInterface *>(target);

			return self->controllerDidChangePowerState(
				self->_controller, reinterpret_cast<IOPMPowerFlags>(f),
				static_cast<UInt32>(reinterpret_cast<uintptr_t>(s)),
				static_cast<IOService *>(w));
		},
		this, reinterpret_cast<void *>(flags), reinterpret_cast<void *>(state), whom);
}

IOReturn IONetworkInterface::controllerWillChangePowerState(IONetworkController *,
							    IOPMPowerFlags flags, UInt32,
							    IOService *)
{
	if (!(flags & kIOPMDeviceUsable))
		setInterfaceState(kIONetworkInterfaceDisabledState);
	return IOPMAckImplied;
}

IOReturn IONetworkInterface::controllerDidChangePowerState(IONetworkController *,
							   IOPMPowerFlags flags, UInt32,
							   IOService *)
{
	if (flags & kIOPMDeviceUsable)
		setInterfaceState(0, kIONetworkInterfaceDisabledState);
	return IOPMAckImplied;
}

bool IONetworkInterface::willTerminate(IOService *provider, IOOptionBits options)
{
	return IOService::willTerminate(provider, options);
}

/* ---- the rest ---- */

bool IONetworkInterface::matchPropertyTable(OSDictionary *table, SInt32 *score)
{
	return IOService::matchPropertyTable(table, score);
}

bool IONetworkInterface::serializeProperties(OSSerialize *s) const
{
	return IOService::serializeProperties(s);
}

IOReturn IONetworkInterface::setProperties(OSObject *)
{
	sim_violation("IONetworkInterface::setProperties is not simulated");
}

IOReturn IONetworkInterface::newUserClient(task_t, void *, UInt32, IOUserClient **)
{
	sim_violation("IONetworkInterface::newUserClient is not simulated");
}
