/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the network family has from the start: its symbols, and the personality that makes an IOKDP
 * for a controller's debugger.
 */
#include "sim/macos/net/net.h"

#include "guest/ports/xnu/kpi/collections.h"
#include "sim/macos/iokit/catalogue.h"
#include "sim/macos/mac.h"

extern "C" {
const OSSymbol *gIONetworkFilterGroup;
const OSSymbol *gIOEthernetWakeOnLANFilterGroup;
}
const OSSymbol *sim_disabled_wake_group;
const OSSymbol *sim_no_medium;
OSData *sim_no_link_data;

bool sim_stall_watch;
bool sim_ring_guard;

void mac_guard_rings(bool on)
{
	sim_ring_guard = on;
}

static void set_string(OSDictionary *table, const char *key, const char *value)
{
	OSString *text = OSString::withCString(value);

	table->setObject(key, text);
	text->release();
}

void sim_net_boot(void)
{
	OSDictionary *personality = OSDictionary::withCapacity(3);
	OSArray *personalities = OSArray::withCapacity(1);

	gIONetworkFilterGroup = OSSymbol::withCString(kIONetworkFilterGroup);
	gIOEthernetWakeOnLANFilterGroup = OSSymbol::withCString(kIOEthernetWakeOnLANFilterGroup);
	sim_disabled_wake_group = OSSymbol::withCString("IOEthernetDisabledWakeOnLANFilterGroup");
	sim_no_medium = OSSymbol::withCString("");
	sim_no_link_data = OSData::withCapacity(0);

	/* [XNU-NET-1] IOKDP is matched like any driver, by the class of the debugger nub. */
	set_string(personality, kIOClassKey, "IOKDP");
	set_string(personality, kIOProviderClassKey, "IOKernelDebugger");
	set_string(personality, kIOMatchCategoryKey, "IOKDP");
	personalities->setObject(personality);
	sim_catalogue_add(personalities);
	personalities->release();
	personality->release();
}

void sim_net_halt(void)
{
	gIONetworkFilterGroup->release();
	gIOEthernetWakeOnLANFilterGroup->release();
	sim_disabled_wake_group->release();
	sim_no_medium->release();
	sim_no_link_data->release();
}
