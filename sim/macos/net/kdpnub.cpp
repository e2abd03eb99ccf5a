/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim/macos/net/kdpnub.h"

#include <pthread.h>
#include <string.h>
#include <strings.h>

#include "guest/ports/xnu/kpi/kernel.h"
#include "guest/ports/xnu/kpi/netinterface.h"
#include "sim/macos/net/net.h"

OSDefineMetaClassAndStructors(IOKDP, IOService)

#define ARG_LEN 64

static pthread_mutex_t one_lock = PTHREAD_MUTEX_INITIALIZER;
static IOKDP *the_one;

/* The name that the BSD half has given to the controller's interface; none: false. */
static bool interface_called(IOService *controller, const char *name)
{
	OSIterator *clients = controller ? controller->getClientIterator() : nullptr;
	bool same = false;

	while (OSObject *client = clients ? clients->getNextObject() : nullptr) {
		IONetworkInterface *interface = OSDynamicCast(IONetworkInterface, client);

		if (interface) {
			OSString *bsd = OSDynamicCast(OSString, interface->getProperty("BSD Name"));

			same = bsd && bsd->isEqualTo(name);
			break;
		}
	}
	if (clients)
		clients->release();
	return same;
}

/* Twelve digits, no colons. */
static bool has_address(IOService *controller, const char *digits)
{
	static const char hex[] = "0123456789abcdef";
	OSData *mac =
		controller ? OSDynamicCast(OSData, controller->getProperty(SIM_KEY_MAC)) : nullptr;
	const UInt8 *bytes;
	char text[2 * kIOEthernetAddressSize];

	if (!mac || mac->getLength() != kIOEthernetAddressSize)
		return false;
	bytes = static_cast<const UInt8 *>(mac->getBytesNoCopy());
	for (unsigned i = 0; i < kIOEthernetAddressSize; i++) {
		text[2 * i] = hex[bytes[i] >> 4];
		text[2 * i + 1] = hex[bytes[i] & 15];
	}
	return strncasecmp(text, digits, sizeof(text)) == 0;
}

/* [XNU-NET-55] By name, else by address, else the debugger that is marked as the primary one. */
IOService *IOKDP::probe(IOService *provider, SInt32 *score)
{
	IOService *controller = provider->getProvider();
	char arg[ARG_LEN] = "";
	bool match;

	if (PE_parse_boot_argn("kdp_match_name", arg, sizeof(arg)))
		match = interface_called(controller, arg);
	else if (PE_parse_boot_argn("kdp_match_mac", arg, sizeof(arg)))
		match = has_address(controller, arg);
	else
		match = provider->getProperty(SIM_KEY_PRIMARY_DEBUG) == kOSBooleanTrue;
	return match ? IOService::probe(provider, score) : nullptr;
}

/* [XNU-NET-56] One at a time, of all controllers. */
bool IOKDP::start(IOService *provider)
{
	bool mine;

	if (!IOService::start(provider))
		return false;
	pthread_mutex_lock(&one_lock);
	mine = !the_one;
	if (mine)
		the_one = this;
	pthread_mutex_unlock(&one_lock);
	if (mine && provider->open(this)) {
		registerService();
		return true;
	}
	if (mine) {
		pthread_mutex_lock(&one_lock);
		the_one = nullptr;
		pthread_mutex_unlock(&one_lock);
	}
	return false;
}

void IOKDP::stop(IOService *provider)
{
	if (provider->isOpen(this))
		provider->close(this);
	pthread_mutex_lock(&one_lock);
	if (the_one == this)
		the_one = nullptr;
	pthread_mutex_unlock(&one_lock);
	IOService::stop(provider);
}

IOReturn IOKDP::message(UInt32 type, IOService *provider, void *)
{
	if (type == kIOMessageServiceIsTerminated && provider->isOpen(this))
		provider->close(this);
	return kIOReturnSuccess;
}
