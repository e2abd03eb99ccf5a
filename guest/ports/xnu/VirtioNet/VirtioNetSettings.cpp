/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the family asks about the device, and what it sets.
 */
#include "guest/ports/xnu/VirtioNet/VirtioNetController.h"

bool VirtioNetController::configureInterface(IONetworkInterface *interface)
{
	IONetworkData *data;

	if (!IOEthernetController::configureInterface(interface))
		return false;
	data = interface->getNetworkData(kIONetworkStatsKey);
	_netStats = data ? static_cast<IONetworkStats *>(const_cast<void *>(data->getBuffer()))
			 : nullptr;
	data = interface->getNetworkData(kIOEthernetStatsKey);
	_etherStats = data ? static_cast<IOEthernetStats *>(const_cast<void *>(data->getBuffer()))
			   : nullptr;
	return _netStats && _etherStats;
}

/* Asked before the device is known, too: then nothing is promised. Tags stay in the frame. */
UInt32 VirtioNetController::getFeatures() const
{
	UInt32 features = kIONetworkFeatureMultiPages | kIONetworkFeatureSoftwareVlan;

	if (_info.tx_csum && _info.tx_tso4)
		features |= kIONetworkFeatureTSOIPv4;
	if (_info.tx_csum && _info.tx_tso6 && version_major >= DARWIN_10_7)
		features |= kIONetworkFeatureTSOIPv6;
	return features;
}

/*
 * A checksum is offloaded only if both directions claim it. Not claiming to have looked, packet by
 * packet, is allowed: so what holds for sending is said for both.
 */
IOReturn VirtioNetController::getChecksumSupport(UInt32 *support, UInt32 family, bool)
{
	*support = 0;
	if (family != kChecksumFamilyTCPIP || !_info.tx_csum)
		return kIOReturnUnsupported;
	*support = kChecksumTCP | kChecksumUDP;
	if (version_major >= DARWIN_10_7)
		*support |= kChecksumTCPIPv6 | kChecksumUDPIPv6;
	return kIOReturnSuccess;
}

const OSString *VirtioNetController::newVendorString() const
{
	return OSString::withCString("viokit");
}

const OSString *VirtioNetController::newModelString() const
{
	return OSString::withCString("Virtio Ethernet");
}

IOReturn VirtioNetController::getHardwareAddress(IOEthernetAddress *address)
{
	if (!_net)
		return kIOReturnNotReady;
	memcpy(address->bytes, _info.mac, sizeof(address->bytes));
	return kIOReturnSuccess;
}

IOReturn VirtioNetController::setHardwareAddress(const IOEthernetAddress *address)
{
	int err;

	if (!_net)
		return kIOReturnNotReady;
	reserveDebuggerLock();
	err = vio_net_set_mac(_net, address->bytes);
	releaseDebuggerLock();
	afterDevice();
	if (err == VIO_ENOTSUP)
		return kIOReturnUnsupported;
	if (err != VIO_OK)
		return kIOReturnIOError;
	memcpy(_info.mac, address->bytes, sizeof(_info.mac));
	return kIOReturnSuccess;
}

IOReturn VirtioNetController::getMaxPacketSize(UInt32 *size) const
{
	UInt32 most = static_cast<UInt32>(_info.mtu) + NET_ETHER_EXTRA;

	*size = most > kIOEthernetMaxPacketSize ? most : kIOEthernetMaxPacketSize;
	return kIOReturnSuccess;
}

/* The device takes all up to its MTU at any time. */
IOReturn VirtioNetController::setMaxPacketSize(UInt32 size)
{
	UInt32 most = 0;

	getMaxPacketSize(&most);
	return size <= most ? kIOReturnSuccess : kIOReturnBadArgument;
}

/* ---- filters ---- */

IOReturn VirtioNetController::getPacketFilters(const OSSymbol *group, UInt32 *filters) const
{
	IOReturn result = IOEthernetController::getPacketFilters(group, filters);

	/* The wake-on-LAN groups are asked for as well: nothing there. */
	if (result == kIOReturnSuccess && group == gIONetworkFilterGroup)
		*filters |= kIOPacketFilterMulticastAll;
	return result;
}

IOReturn VirtioNetController::enablePacketFilter(const OSSymbol *group, UInt32 filter,
						 UInt32 enabled, IOOptionBits options)
{
	if (group != gIONetworkFilterGroup || filter != kIOPacketFilterMulticastAll)
		return IOEthernetController::enablePacketFilter(group, filter, enabled, options);
	_filter.allmulti = true;
	return applyFilter();
}

IOReturn VirtioNetController::disablePacketFilter(const OSSymbol *group, UInt32 filter,
						  UInt32 enabled, IOOptionBits options)
{
	if (group != gIONetworkFilterGroup || filter != kIOPacketFilterMulticastAll)
		return IOEthernetController::disablePacketFilter(group, filter, enabled, options);
	_filter.allmulti = false;
	return applyFilter();
}

/* A device without filters passes everything, which is what was asked for, and more. */
IOReturn VirtioNetController::applyFilter()
{
	int err;

	if (!_net)
		return kIOReturnNotReady;
	if (!_info.filters)
		return kIOReturnSuccess;
	reserveDebuggerLock();
	err = vio_net_set_filter(_net, &_filter);
	releaseDebuggerLock();
	afterDevice();
	return err == VIO_OK || err == VIO_ENOTSUP ? kIOReturnSuccess : kIOReturnIOError;
}

IOReturn VirtioNetController::setPromiscuousMode(bool active)
{
	_filter.promisc = active;
	return applyFilter();
}

/* Comes before the list; with an empty one, switched off after it. */
IOReturn VirtioNetController::setMulticastMode(bool active)
{
	if (active || _filter.nmulticast == 0)
		return kIOReturnSuccess;
	_filter.nmulticast = 0;
	return applyFilter();
}

/* The addresses are there during this call only. More than fit: all multicast. */
IOReturn VirtioNetController::setMulticastList(IOEthernetAddress *addresses, UInt32 count)
{
	bool all = _filter.allmulti;
	IOReturn result;

	_filter.multicast = _multicast;
	_filter.nmulticast = 0;
	if (count > VIO_NET_MAC_MAX)
		_filter.allmulti = true;
	else if (count)
		memcpy(_multicast, addresses, count * sizeof(_multicast[0]));
	if (count <= VIO_NET_MAC_MAX)
		_filter.nmulticast = static_cast<unsigned>(count);
	result = applyFilter();
	_filter.allmulti = all;
	return result;
}

IOReturn VirtioNetController::selectMedium(const IONetworkMedium *medium)
{
	/* There is nothing to switch; the choice is remembered. */
	return setSelectedMedium(medium) ? kIOReturnSuccess : kIOReturnUnsupported;
}
