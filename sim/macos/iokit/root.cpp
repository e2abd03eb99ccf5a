/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The platform, at which everything hangs, and resources; the I/O Kit on and off.
 */
#include "guest/ports/xnu/kpi/workloop.h"
#include "sim/macos/core/core.h"
#include "sim/macos/iokit/catalogue.h"
#include "sim/macos/iokit/service_sim.h"

const OSSymbol *sim_key_category, *sim_key_default_category, *sim_key_score;
IOService *sim_resources, *sim_platform;

/* Its work loop is what serves a driver that has none of its own [XNU-SVC-29]. */
class IOPlatformExpertDevice : public IOService
{
	OSDeclareDefaultStructors(IOPlatformExpertDevice);

	IOWorkLoop *loop;

public:
	bool init(OSDictionary *properties) override
	{
		loop = IOWorkLoop::workLoop();
		return loop && IOService::init(properties);
	}
	/* Before the end: its thread ends also if something was left behind and keeps us. */
	void dropLoop()
	{
		if (loop)
			loop->release();
		loop = nullptr;
	}
	void free() override
	{
		dropLoop();
		IOService::free();
	}
	IOWorkLoop *getWorkLoop() const override
	{
		return loop;
	}
};
OSDefineMetaClassAndStructors(IOPlatformExpertDevice, IOService)

static const OSSymbol *service_key; /* the value of what is published without one */

/* What has been published is a property of it, and can be waited for [XNU-SVC-30]. */
class IOResources : public IOService
{
	OSDeclareDefaultStructors(IOResources);

public:
	bool matchPropertyTable(OSDictionary *table) override;
};
OSDefineMetaClassAndStructors(IOResources, IOService)

bool IOResources::matchPropertyTable(OSDictionary *table)
{
	OSObject *want = table->getObject(kIOResourceMatchKey);
	OSString *one = OSDynamicCast(OSString, want);
	OSSet *set = OSDynamicCast(OSSet, want);
	OSCollectionIterator *iterator;
	OSObject *next;
	bool ok = true;

	if (one)
		return getProperty(one) != nullptr;
	if (!set)
		return !want;
	iterator = OSCollectionIterator::withCollection(set);
	while (ok && (next = iterator->getNextObject()))
		ok = OSDynamicCast(OSString, next) && getProperty(OSDynamicCast(OSString, next));
	iterator->release();
	return ok;
}

void IOService::publishResource(const OSSymbol *key, OSObject *value)
{
	sim_may_block("IOService::publishResource");
	sim_resources->setProperty(key, value ? value : const_cast<OSSymbol *>(service_key));
	sim_resources->registerService();
}

void IOService::publishResource(const char *key, OSObject *value)
{
	const OSSymbol *symbol = OSSymbol::withCString(key);

	publishResource(symbol, value);
	symbol->release();
}

/* ---- on and off ---- */

static const struct {
	const OSSymbol **symbol;
	const char *text;
} symbols[] = {
	{&gIOPublishNotification, "IOServicePublish"},
	{&gIOFirstPublishNotification, "IOServiceFirstPublish"},
	{&gIOMatchedNotification, "IOServiceMatched"},
	{&gIOFirstMatchNotification, "IOServiceFirstMatch"},
	{&gIOTerminatedNotification, "IOServiceTerminate"},
	{&gIOGeneralInterest, "IOGeneralInterest"},
	{&gIOBusyInterest, "IOBusyInterest"},
	{&service_key, kIOServicePlane},
	{&sim_key_category, kIOMatchCategoryKey},
	{&sim_key_default_category, "IODefaultMatchCategory"},
	{&sim_key_score, kIOProbeScoreKey},
};

#define SYMBOLS (sizeof(symbols) / sizeof(symbols[0]))

void sim_iokit_boot(void)
{
	for (unsigned i = 0; i < SYMBOLS; i++)
		*symbols[i].symbol = OSSymbol::withCString(symbols[i].text);
	sim_registry_boot();
	sim_platform = new IOPlatformExpertDevice;
	sim_resources = new IOResources;
	if (!sim_platform->init(nullptr) || !sim_resources->init(nullptr))
		abort();
	sim_platform->setName("Mac");
	sim_platform->attach(nullptr);
	sim_resources->setName("IOResources");
	sim_resources->attach(sim_platform);
	sim_resources->registerService();
}

/* What is still in the registry stays alive, and is told as left behind. */
void sim_iokit_halt(void)
{
	sim_list<IOService *> all = {};
	bool clean = true;

	sim_terminate_halt();
	sim_match_halt();
	sim_catalogue_halt();
	sim_notify_halt();
	sim_match_snapshot(0, &all);
	for (unsigned i = 0; i < all.n; i++) {
		if (all.at[i] != sim_platform && all.at[i] != sim_resources) {
			clean = false;
			sim_leak("%s \"%s\" is still in the registry%s",
				 sim_service_name(all.at[i]), all.at[i]->getName(),
				 all.at[i]->isInactive() ? ", terminated" : "");
		}
		all.at[i]->release();
	}
	all.clear();
	static_cast<IOPlatformExpertDevice *>(sim_platform)->dropLoop();
	if (!clean)
		return;
	sim_resources->detach(sim_platform);
	sim_resources->release();
	sim_platform->detachFromParent(IORegistryEntry::getRegistryRoot(), gIOServicePlane);
	sim_platform->release();
	sim_resources = sim_platform = nullptr;
	sim_registry_halt();
	for (unsigned i = 0; i < SYMBOLS; i++) {
		(*symbols[i].symbol)->release();
		*symbols[i].symbol = nullptr;
	}
}
