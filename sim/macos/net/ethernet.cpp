/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What Ethernet adds to a controller: an address, filters as modes, sizes, tags.
 */
#include "sim/macos/net/net.h"

#include "guest/ports/xnu/kpi/netinterface.h"
#include "sim/macos/sim.h"

OSDefineMetaClassAndAbstractStructors(IOEthernetController, IONetworkController)
KPI_DEFINE_PADS(IOEthernetController, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17)
KPI_DEFINE_PADS(IOEthernetController, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31)

bool IOEthernetController::init(OSDictionary *properties)
{
	return IONetworkController::init(properties);
}

void IOEthernetController::free()
{
	IONetworkController::free();
}

IONetworkInterface *IOEthernetController::createInterface()
{
	IOEthernetInterface *interface = new IOEthernetInterface;

	if (interface && !interface->init(this)) {
		interface->release();
		return nullptr;
	}
	return interface;
}

static bool add_filters(OSDictionary *filters, const OSSymbol *group, UInt32 bits)
{
	OSNumber *number = OSNumber::withNumber(bits, 32);
	bool done = number && filters->setObject(group, number);

	if (number)
		number->release();
	return done;
}

/*
 * [XNU-NET-5] Asked in this order, once: what every controller is asked, the address (an error
 * fails the interface), both wake groups.
 */
bool IOEthernetController::publishProperties()
{
	IOEthernetAddress address = {};
	UInt32 wake = 0, disabled = 0;
	OSDictionary *old, *filters;
	bool done;

	if (!IONetworkController::publishProperties())
		return false;
	if (getHardwareAddress(&address) != kIOReturnSuccess ||
	    !setProperty(SIM_KEY_MAC, &address, sizeof(address)))
		return false;
	if (getPacketFilters(gIOEthernetWakeOnLANFilterGroup, &wake) != kIOReturnSuccess)
		wake = 0;
	if (getPacketFilters(sim_disabled_wake_group, &disabled) != kIOReturnSuccess)
		disabled = 0;
	old = OSDynamicCast(OSDictionary, getProperty(SIM_KEY_FILTERS));
	filters = old ? OSDictionary::withDictionary(old, 3) : nullptr;
	if (!filters)
		return false;
	done = add_filters(filters, gIOEthernetWakeOnLANFilterGroup, wake) &&
	       (!wake || add_filters(filters, sim_disabled_wake_group, disabled)) &&
	       setProperty(SIM_KEY_FILTERS, filters);
	filters->release();
	return done;
}

/* ---- what a driver may override ---- */

IOReturn IOEthernetController::setHardwareAddress(const IOEthernetAddress *)
{
	return kIOReturnUnsupported;
}

IOReturn IOEthernetController::setMulticastMode(bool)
{
	return kIOReturnUnsupported;
}

IOReturn IOEthernetController::setMulticastList(IOEthernetAddress *, UInt32)
{
	return kIOReturnUnsupported;
}

IOReturn IOEthernetController::setPromiscuousMode(bool)
{
	return kIOReturnUnsupported;
}

IOReturn IOEthernetController::setWakeOnMagicPacket(bool)
{
	return kIOReturnUnsupported;
}

/* [XNU-NET-6] Sizes count the header and the checksum, no tag. */
IOReturn IOEthernetController::getMaxPacketSize(UInt32 *size) const
{
	*size = kIOEthernetMaxPacketSize;
	return kIOReturnSuccess;
}

IOReturn IOEthernetController::getMinPacketSize(UInt32 *size) const
{
	*size = kIOEthernetMinPacketSize;
	return kIOReturnSuccess;
}

/* ---- addresses by length ---- */

IOReturn IOEthernetController::getHardwareAddress(void *address, UInt32 *length)
{
	UInt32 room;

	if (!length)
		return kIOReturnBadArgument;
	room = *length;
	*length = kIOEthernetAddressSize;
	if (!address || room < kIOEthernetAddressSize)
		return kIOReturnNoSpace;
	return getHardwareAddress(static_cast<IOEthernetAddress *>(address));
}

IOReturn IOEthernetController::setHardwareAddress(const void *address, UInt32 length)
{
	if (!address || length != kIOEthernetAddressSize)
		return kIOReturnBadArgument;
	return setHardwareAddress(static_cast<const IOEthernetAddress *>(address));
}

/* ---- filters ---- */

IOReturn IOEthernetController::getPacketFilters(UInt32 *filters) const
{
	*filters = kIOPacketFilterUnicast | kIOPacketFilterBroadcast | kIOPacketFilterMulticast |
		   kIOPacketFilterPromiscuous;
	return kIOReturnSuccess;
}

IOReturn IOEthernetController::getPacketFilters(const OSSymbol *group, UInt32 *filters) const
{
	*filters = 0;
	return group == gIONetworkFilterGroup ? getPacketFilters(filters) : kIOReturnSuccess;
}

/*
 * [XNU-NET-7] Multicast and promiscuous become a mode; unicast and broadcast succeed by themselves
 * if that changes anything; every other filter is unsupported here.
 */
IOReturn IOEthernetController::enablePacketFilter(const OSSymbol *group, UInt32 filter,
						  UInt32 enabled, IOOptionBits)
{
	if (group == gIOEthernetWakeOnLANFilterGroup && filter == kIOEthernetWakeOnMagicPacket)
		return setWakeOnMagicPacket(true);
	if (group != gIONetworkFilterGroup)
		return kIOReturnUnsupported;
	if (filter == kIOPacketFilterMulticast)
		return setMulticastMode(true);
	if (filter == kIOPacketFilterPromiscuous)
		return setPromiscuousMode(true);
	return filter & ~enabled & (kIOPacketFilterUnicast | kIOPacketFilterBroadcast)
		       ? kIOReturnSuccess
		       : kIOReturnUnsupported;
}

IOReturn IOEthernetController::disablePacketFilter(const OSSymbol *group, UInt32 filter,
						   UInt32 enabled, IOOptionBits)
{
	if (group == gIOEthernetWakeOnLANFilterGroup && filter == kIOEthernetWakeOnMagicPacket)
		return setWakeOnMagicPacket(false);
	if (group != gIONetworkFilterGroup)
		return kIOReturnUnsupported;
	if (filter == kIOPacketFilterMulticast)
		return setMulticastMode(false);
	if (filter == kIOPacketFilterPromiscuous)
		return setPromiscuousMode(false);
	return filter & enabled & (kIOPacketFilterUnicast | kIOPacketFilterBroadcast)
		       ? kIOReturnSuccess
		       : kIOReturnUnsupported;
}

/* ---- tags beside the frame ---- */

bool IOEthernetController::getVlanTagDemand(mbuf_t packet, UInt32 *tag)
{
	uint16_t value = 0;

	if (mbuf_get_vlan_tag(packet, &value) != 0)
		return false;
	*tag = value;
	return true;
}

void IOEthernetController::setVlanTag(mbuf_t packet, UInt32 tag)
{
	(void)mbuf_set_vlan_tag(packet, static_cast<uint16_t>(tag));
}
