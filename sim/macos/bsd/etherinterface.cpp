/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IOEthernetInterface: up and down, filters, multicast lists, MTU, address, sleep.
 *
 * Every function from the ioctl commands down runs in the controller's gate, on the thread of
 * whoever wanted it.
 */
#include <stdlib.h>
#include <string.h>

#include "sim/macos/bsd/netinterface.h"

OSDefineMetaClassAndStructors(IOEthernetInterface, IONetworkInterface)
KPI_DEFINE_PADS(IOEthernetInterface, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)

#define TYPE_ETHERNET 6
#define ETHER_EXTRA   18u /* header and checksum */
#define MTU	      1500u
#define KEY_REQUIRED  "IORequiredPacketFilters"
#define KEY_ACTIVE    "IOActivePacketFilters"

/* ---- filters, as numbers in dictionaries by group ---- */

static UInt32 filters_of(OSDictionary *filters)
{
	OSNumber *bits =
		filters ? OSDynamicCast(OSNumber, filters->getObject(gIONetworkFilterGroup))
			: nullptr;

	return bits ? bits->unsigned32BitValue() : 0;
}

static void filters_set(OSDictionary *filters, UInt32 bits)
{
	OSNumber *number = OSDynamicCast(OSNumber, filters->getObject(gIONetworkFilterGroup));

	if (number)
		number->setValue(bits);
}

static OSDictionary *filters_make(UInt32 bits)
{
	OSDictionary *filters = OSDictionary::withCapacity(1);
	OSNumber *number = OSNumber::withNumber(bits, 32);

	if (filters && number)
		filters->setObject(gIONetworkFilterGroup, number);
	if (number)
		number->release();
	return filters;
}

/* [XNU-IF-14] What the controller can filter is copied when the interface is made. */
bool IOEthernetInterface::init(IONetworkController *controller)
{
	OSDictionary *supported;
	IONetworkData *data;
	UInt32 wanted;

	if (!IONetworkInterface::init(controller))
		return false;
	setInterfaceType(TYPE_ETHERNET);
	setMaxTransferUnit(MTU);
	setMediaAddressLength(kIOEthernetAddressSize);
	setMediaHeaderLength(14);
	setFlags(IFF_BROADCAST | IFF_SIMPLEX | IFF_NOTRAILERS | IFF_MULTICAST);
	data = IONetworkData::withInternalBuffer(kIOEthernetStatsKey, sizeof(IOEthernetStats));
	if (!data)
		return false;
	addNetworkData(data);
	data->release();
	supported = OSDynamicCast(OSDictionary, controller->getProperty(SIM_KEY_FILTERS));
	if (!supported)
		return false;
	_supportedFilters = OSDictionary::withDictionary(supported);
	wanted = kIOPacketFilterUnicast | kIOPacketFilterBroadcast | kIOPacketFilterMulticast;
	_requiredFilters = filters_make(wanted & filters_of(supported));
	_activeFilters = filters_make(0);
	if (!_supportedFilters || !_requiredFilters || !_activeFilters)
		return false;
	setProperty(KEY_REQUIRED, _requiredFilters);
	setProperty(KEY_ACTIVE, _activeFilters);
	return true;
}

void IOEthernetInterface::free()
{
	if (_supportedFilters)
		_supportedFilters->release();
	if (_requiredFilters)
		_requiredFilters->release();
	if (_activeFilters)
		_activeFilters->release();
	IONetworkInterface::free();
}

const char *IOEthernetInterface::getNamePrefix() const
{
	return "en";
}

/* ---- what the commands do ---- */

namespace
{
/* The interface's innards for the functions below, which are no members. */
struct gated {
	IOEthernetInterface *netif;
	IONetworkController *controller;
	struct mac_if *ifp;
	OSDictionary *supported, *required, *active;
	bool *enabled;
};
} // namespace

static IOReturn filter_on(const struct gated *g, UInt32 bit)
{
	UInt32 active = filters_of(g->active);
	IOReturn result;

	if (active & bit)
		return kIOReturnSuccess;
	result = g->controller->enablePacketFilter(gIONetworkFilterGroup, bit, active, 0);
	if (result == kIOReturnSuccess)
		filters_set(g->active, active | bit);
	return result;
}

static IOReturn filter_off(const struct gated *g, UInt32 bit)
{
	UInt32 active = filters_of(g->active);
	IOReturn result;

	if (!(active & bit))
		return kIOReturnSuccess;
	result = g->controller->disablePacketFilter(gIONetworkFilterGroup, bit, active, 0);
	if (result == kIOReturnSuccess)
		filters_set(g->active, active & ~bit);
	return result;
}

/* Wanted from now on, and now if the controller is enabled. */
static IOReturn filter_want(const struct gated *g, UInt32 bit, bool on)
{
	UInt32 required = filters_of(g->required);

	if (on && !(filters_of(g->supported) & bit))
		return kIOReturnUnsupported;
	filters_set(g->required, on ? required | bit : required & ~bit);
	if (!*g->enabled)
		return kIOReturnSuccess;
	return on ? filter_on(g, bit) : filter_off(g, bit);
}

/*
 * [XNU-IF-15] Multicast is switched on, then comes the list, which may be empty: then it is
 * switched off again. The addresses are there during the call only.
 */
static IOReturn multicast_list(const struct gated *g)
{
	IOEthernetController *controller = OSDynamicCast(IOEthernetController, g->controller);
	IOEthernetAddress *list = nullptr;
	IOReturn result;
	unsigned n;

	if (!(filters_of(g->supported) & kIOPacketFilterMulticast) || !controller || !g->ifp)
		return kIOReturnUnsupported;
	result = filter_on(g, kIOPacketFilterMulticast);
	if (result != kIOReturnSuccess)
		return result;
	pthread_mutex_lock(&g->ifp->lock);
	n = g->ifp->nmulti;
	if (n) {
		list = static_cast<IOEthernetAddress *>(malloc(n * sizeof(*list)));
		if (list)
			memcpy(list, g->ifp->multi, n * sizeof(*list));
	}
	pthread_mutex_unlock(&g->ifp->lock);
	if (n && !list)
		sim_violation("the host has no memory for a multicast list");
	result = controller->setMulticastList(list, n);
	if (list)
		memset(static_cast<void *>(list), 0xdb, n * sizeof(*list));
	free(list);
	if (n == 0)
		filter_off(g, kIOPacketFilterMulticast);
	return result;
}

/*
 * [XNU-IF-16] The order of coming up. A filter that fails does not keep the interface down.
 * Wake-on-LAN filters would go off first; nobody can ask for one here.
 */
static IOReturn enable_controller(const struct gated *g)
{
	IOReturn result = g->controller->doEnable(g->netif);
	UInt32 required = filters_of(g->required);
	uint8_t mac[6];
	bool own = false;

	if (result != kIOReturnSuccess)
		return result;
	*g->enabled = true;
	filters_set(g->active, 0);
	for (UInt32 bit = 1; bit && bit <= required; bit <<= 1) {
		if (required & bit)
			filter_on(g, bit);
	}
	multicast_list(g);
	if (g->ifp) {
		pthread_mutex_lock(&g->ifp->lock);
		own = g->ifp->own_mac;
		memcpy(mac, g->ifp->mac, sizeof(mac));
		g->ifp->flags |= IFF_RUNNING;
		pthread_mutex_unlock(&g->ifp->lock);
	}
	if (own)
		g->controller->setHardwareAddress(mac, sizeof(mac));
	return kIOReturnSuccess;
}

/* [XNU-IF-17] Filters stay as they are, and so does whatever disable() returns. */
static void disable_controller(const struct gated *g)
{
	if (!*g->enabled)
		return;
	g->controller->doDisable(g->netif);
	*g->enabled = false;
	if (g->ifp) {
		pthread_mutex_lock(&g->ifp->lock);
		g->ifp->flags &= ~UInt32{IFF_RUNNING};
		pthread_mutex_unlock(&g->ifp->lock);
	}
}

/* [XNU-IF-18] Promiscuous first; without a filter for all multicast that much stays done. */
static IOReturn set_flags(const struct gated *g)
{
	IOReturn result = kIOReturnSuccess;
	UInt32 flags;

	if (!g->ifp)
		return kIOReturnNotAttached;
	pthread_mutex_lock(&g->ifp->lock);
	flags = g->ifp->flags;
	pthread_mutex_unlock(&g->ifp->lock);
	if ((flags & IFF_UP) && !*g->enabled)
		result = enable_controller(g);
	else if (!(flags & IFF_UP))
		disable_controller(g);
	if (result == kIOReturnSuccess)
		result = filter_want(g, kIOPacketFilterPromiscuous, (flags & IFF_PROMISC) != 0);
	if (result == kIOReturnSuccess)
		result = filter_want(g, kIOPacketFilterMulticastAll, (flags & IFF_ALLMULTI) != 0);
	return result;
}

/* [XNU-IF-19] The driver is asked only if the old or the new size is above the usual. */
static IOReturn set_mtu(const struct gated *g, UInt32 mtu)
{
	UInt32 old = g->netif->getMaxTransferUnit() + ETHER_EXTRA, frame = mtu + ETHER_EXTRA;
	UInt32 most = 0, usual = kIOEthernetMaxPacketSize;
	IOReturn result = kIOReturnSuccess;

	if (g->controller->getMaxPacketSize(&most) != kIOReturnSuccess || most < usual)
		most = usual;
	if (frame < kIOEthernetMinPacketSize || frame > most)
		return kIOReturnBadArgument;
	if (old > usual || frame > usual)
		result = g->controller->setMaxPacketSize(frame > usual ? frame : usual);
	return result;
}

static IOReturn set_address(const struct gated *g, const uint8_t *mac)
{
	IOReturn result = g->controller->setHardwareAddress(mac, kIOEthernetAddressSize);

	if (result == kIOReturnSuccess && g->ifp) {
		pthread_mutex_lock(&g->ifp->lock);
		memcpy(g->ifp->mac, mac, sizeof(g->ifp->mac));
		g->ifp->own_mac = true;
		pthread_mutex_unlock(&g->ifp->lock);
	}
	return result;
}

namespace
{
struct request {
	struct gated g;
	unsigned long command;
	void *data;
};
} // namespace

static IOReturn gated_command(void *arg, void *, void *, void *, void *)
{
	struct request *r = static_cast<struct request *>(arg);

	/* [XNU-IF-20] Asleep, or being terminated. */
	if (r->g.netif->getInterfaceState() & kIONetworkInterfaceDisabledState)
		return kIOReturnNoPower;
	switch (r->command) {
	case SIOCSIFADDR:
	case SIOCSIFFLAGS:
		return set_flags(&r->g);
	case SIOCADDMULTI:
	case SIOCDELMULTI:
		return *r->g.enabled ? multicast_list(&r->g) : kIOReturnSuccess;
	case SIOCSIFMTU:
		return set_mtu(&r->g, *static_cast<const UInt32 *>(r->data));
	default:
		return set_address(&r->g, static_cast<const uint8_t *>(r->data));
	}
}

static int error_of(IONetworkInterface *netif, IOReturn result)
{
	switch (result) {
	case kIOReturnSuccess:
		return 0;
	case kIOReturnNoPower:
		return DARWIN_EPWROFF;
	case kIOReturnUnsupported:
		return DARWIN_EOPNOTSUPP;
	case kIOReturnBadArgument:
		return DARWIN_EINVAL;
	case kIOReturnNotAttached:
		return DARWIN_ENXIO;
	default:
		return netif->errnoFromReturn(result);
	}
}

SInt32 IOEthernetInterface::performCommand(IONetworkController *controller, unsigned long command,
					   void *arg0, void *arg1)
{
	struct request r = {{this, controller, sim_ifnet(getIfnet()), _supportedFilters,
			     _requiredFilters, _activeFilters, &_ctrEnabled},
			    command,
			    arg1};
	int result;

	switch (command) {
	case SIOCSIFADDR:
	case SIOCSIFFLAGS:
	case SIOCADDMULTI:
	case SIOCDELMULTI:
	case SIOCSIFMTU:
	case SIOCSIFLLADDR:
		break;
	default:
		return IONetworkInterface::performCommand(controller, command, arg0, arg1);
	}
	result = error_of(this, controller->executeCommand(this, gated_command, &r));
	if (command == SIOCSIFMTU && result == 0)
		setMaxTransferUnit(*static_cast<const UInt32 *>(arg1));
	return result;
}

/* ---- sleep, termination ---- */

bool IOEthernetInterface::controllerDidOpen(IONetworkController *controller)
{
	return IONetworkInterface::controllerDidOpen(controller);
}

void IOEthernetInterface::controllerWillClose(IONetworkController *controller)
{
	const struct gated g = {this,
				controller,
				sim_ifnet(getIfnet()),
				_supportedFilters,
				_requiredFilters,
				_activeFilters,
				&_ctrEnabled};

	disable_controller(&g);
	IONetworkInterface::controllerWillClose(controller);
}

/* [XNU-IF-21] Gated: disabled before the hardware loses power, enabled again after it is back. */
IOReturn IOEthernetInterface::controllerWillChangePowerState(IONetworkController *controller,
							     IOPMPowerFlags flags, UInt32 state,
							     IOService *whom)
{
	const struct gated g = {this,
				controller,
				sim_ifnet(getIfnet()),
				_supportedFilters,
				_requiredFilters,
				_activeFilters,
				&_ctrEnabled};
	IOReturn result =
		IONetworkInterface::controllerWillChangePowerState(controller, flags, state, whom);

	if (!(flags & kIOPMDeviceUsable) && !_controllerLostPower) {
		_controllerLostPower = true;
		disable_controller(&g);
	}
	return result;
}

IOReturn IOEthernetInterface::controllerDidChangePowerState(IONetworkController *controller,
							    IOPMPowerFlags flags, UInt32 state,
							    IOService *whom)
{
	const struct gated g = {this,
				controller,
				sim_ifnet(getIfnet()),
				_supportedFilters,
				_requiredFilters,
				_activeFilters,
				&_ctrEnabled};

	if ((flags & kIOPMDeviceUsable) && _controllerLostPower) {
		_controllerLostPower = false;
		if (!isInactive())
			IONetworkInterface::controllerDidChangePowerState(controller, flags, state,
									  whom);
		if (g.ifp && !isInactive() && (getFlags() & IFF_UP) && !_ctrEnabled)
			enable_controller(&g);
	}
	return IOPMAckImplied;
}

/* [XNU-IF-22] Gated: the interface is disabled before its controller hears of the end. */
bool IOEthernetInterface::willTerminate(IOService *provider, IOOptionBits options)
{
	bool result = IONetworkInterface::willTerminate(provider, options);
	const struct gated g = {this,
				getController(),
				sim_ifnet(getIfnet()),
				_supportedFilters,
				_requiredFilters,
				_activeFilters,
				&_ctrEnabled};

	setInterfaceState(kIONetworkInterfaceDisabledState);
	disable_controller(&g);
	return result;
}

/* ---- the stack ---- */

/* [XNU-IF-23] A checksum is offloaded only if both directions have it. */
static uint32_t assist_of(IONetworkController *controller, UInt32 features)
{
	UInt32 in = 0, out = 0;
	uint32_t assist = 0;
	bool both;

	both = controller->getChecksumSupport(&in, IONetworkController::kChecksumFamilyTCPIP,
					      false) == kIOReturnSuccess;
	both = controller->getChecksumSupport(&out, IONetworkController::kChecksumFamilyTCPIP,
					      true) == kIOReturnSuccess &&
	       both;
	if (both) {
		if (in & out & IONetworkController::kChecksumIP)
			assist |= ASSIST_IP;
		if ((out & IONetworkController::kChecksumTCP) &&
		    (in & (IONetworkController::kChecksumTCP |
			   IONetworkController::kChecksumTCPNoPseudoHeader)))
			assist |= ASSIST_TCP;
		if ((out & IONetworkController::kChecksumUDP) &&
		    (in & (IONetworkController::kChecksumUDP |
			   IONetworkController::kChecksumUDPNoPseudoHeader)))
			assist |= ASSIST_UDP;
		if (in & out & IONetworkController::kChecksumTCPSum16)
			assist |= ASSIST_SUM16 | ASSIST_TCP | ASSIST_UDP;
		if (sim_release_at_least(7) && (in & out & IONetworkController::kChecksumTCPIPv6))
			assist |= ASSIST_TCPIPV6;
		if (sim_release_at_least(7) && (in & out & IONetworkController::kChecksumUDPIPv6))
			assist |= ASSIST_UDPIPV6;
	}
	if (features & kIONetworkFeatureHardwareVlan)
		assist |= ASSIST_VLAN_TAGGING;
	if (features & kIONetworkFeatureSoftwareVlan)
		assist |= ASSIST_VLAN_MTU;
	/* [XNU-IF-24] From 10.9 on segmentation needs the checksum; in 10.6 it is for IPv4 only. */
	if ((features & kIONetworkFeatureTSOIPv4) &&
	    ((assist & ASSIST_TCP) || !sim_release_at_least(9)))
		assist |= ASSIST_TSO4;
	if ((features & kIONetworkFeatureTSOIPv6) && sim_release_at_least(7) &&
	    ((assist & ASSIST_TCPIPV6) || !sim_release_at_least(9)))
		assist |= ASSIST_TSO6;
	return assist;
}

/* [XNU-IF-25] Features, checksums and address are read here, once. */
IOReturn IOEthernetInterface::attachToDataLinkLayer(IOOptionBits options, void *param)
{
	IONetworkController *controller = getController();
	OSData *mac = OSDynamicCast(OSData, controller->getProperty(SIM_KEY_MAC));
	UInt32 features = controller->getFeatures();
	uint32_t assist = assist_of(controller, features);
	struct mac_if *ifp;

	if (!mac || mac->getLength() != kIOEthernetAddressSize)
		return kIOReturnNotReady;
	if (IONetworkInterface::attachToDataLinkLayer(options, param) != kIOReturnSuccess)
		return kIOReturnNoResources;
	ifp = sim_ifnet(getIfnet());
	ifp->assist = assist;
	memcpy(ifp->mac, mac->getBytesNoCopy(), sizeof(ifp->mac));
	return kIOReturnSuccess;
}

bool IOEthernetInterface::inputEvent(UInt32 type, void *data)
{
	return IONetworkInterface::inputEvent(type, data);
}

void IOEthernetInterface::feedPacketInputTap(mbuf_t packet)
{
	IONetworkInterface::feedPacketInputTap(packet);
}

void IOEthernetInterface::feedPacketOutputTap(mbuf_t packet)
{
	IONetworkInterface::feedPacketOutputTap(packet);
}

bool IOEthernetInterface::initIfnetParams(struct ifnet_init_params *)
{
	sim_violation("IOEthernetInterface::initIfnetParams is not simulated");
}

IOReturn IOEthernetInterface::setProperties(OSObject *)
{
	sim_violation("IOEthernetInterface::setProperties is not simulated");
}
