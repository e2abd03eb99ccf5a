/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether a service fits a matching dictionary, and who asks: the tables that drivers make, and
 * waiting for a service.
 */
#include <stdio.h>

#include "sim/macos/iokit/service_sim.h"

#define NAME_MATCHED_KEY "IONameMatched"
#define PATH_MATCH_KEY	 "IOPathMatch"
#define PARENT_MATCH_KEY "IOParentMatch"
#define ENTRY_ID_KEY	 "IORegistryEntryID"

/* ---- one service, one table ---- */

/* What is in `want` must be in the service; what else the service has does not matter. */
static bool has_properties(IOService *service, OSDictionary *want)
{
	OSCollectionIterator *iterator = OSCollectionIterator::withCollection(want);
	OSObject *next;
	bool ok = true;

	while (ok && (next = iterator->getNextObject())) {
		OSSymbol *key = OSDynamicCast(OSSymbol, next);
		OSObject *value = service->copyProperty(key);

		ok = value && want->getObject(key)->isEqualTo(value);
		if (value)
			value->release();
	}
	iterator->release();
	return ok;
}

static bool match_properties(IOService *service, OSObject *want)
{
	OSDictionary *one = OSDynamicCast(OSDictionary, want);
	OSArray *any = OSDynamicCast(OSArray, want);
	bool ok = one && has_properties(service, one);

	for (unsigned i = 0; any && !ok && i < any->getCount(); i++) {
		one = OSDynamicCast(OSDictionary, any->getObject(i));
		ok = one && has_properties(service, one);
	}
	return ok;
}

static bool match_name(IOService *service, OSDictionary *table, OSObject *names, unsigned options)
{
	OSString *matched = nullptr;
	bool ok = service->compareNames(names, &matched);

	if (matched && (options & SIM_MATCH_CHANGES))
		table->setObject(NAME_MATCHED_KEY, matched);
	if (matched)
		matched->release();
	return ok;
}

static bool match_location(IOService *service, OSString *want)
{
	const char *location = service->getLocation();

	return want && location && want->isEqualTo(location);
}

static bool match_path(IOService *service, OSString *want)
{
	char path[512];
	int length = sizeof(path);

	return want && service->getPath(path, &length, gIOServicePlane) && want->isEqualTo(path);
}

/* Some provider, however far up. */
static bool match_parent(IOService *service, OSDictionary *want)
{
	IOService *next = service->getProvider();

	while (want && next && !sim_match_passive(next, want, 0))
		next = next->getProvider();
	return want && next;
}

SInt32 sim_probe_score(const OSObject *object)
{
	OSDictionary *table = static_cast<OSDictionary *>(
		OSMetaClassBase::safeMetaCast(object, OSTypeID(OSDictionary)));
	IORegistryEntry *entry = static_cast<IORegistryEntry *>(
		OSMetaClassBase::safeMetaCast(object, OSTypeID(IORegistryEntry)));
	OSObject *value = nullptr;
	OSNumber *number;
	SInt32 score;

	if (table && (value = table->getObject(sim_key_score)))
		value->retain();
	else if (entry)
		value = entry->copyProperty(sim_key_score);
	number = OSDynamicCast(OSNumber, value);
	score = number ? static_cast<SInt32>(number->unsigned32BitValue()) : 0;
	if (value)
		value->release();
	return score;
}

/*
 * Keys that are not known do not matter. The family's own say comes after the kernel's, and may
 * change the score [XNU-REG-13].
 */
bool sim_match_passive(IOService *service, OSDictionary *table, unsigned options)
{
	OSObject *value;
	OSNumber *score;
	SInt32 points;

	value = table->getObject(kIOProviderClassKey);
	if (OSDynamicCast(OSString, value) && !service->metaCast(OSDynamicCast(OSString, value)))
		return false;
	value = table->getObject(kIONameMatchKey);
	if (value && !match_name(service, table, value, options))
		return false;
	value = table->getObject(kIOLocationMatchKey);
	if (value && !match_location(service, OSDynamicCast(OSString, value)))
		return false;
	value = table->getObject(kIOPropertyMatchKey);
	if (value && !match_properties(service, value))
		return false;
	value = table->getObject(PATH_MATCH_KEY);
	if (value && !match_path(service, OSDynamicCast(OSString, value)))
		return false;
	value = table->getObject(ENTRY_ID_KEY);
	if (value &&
	    (!OSDynamicCast(OSNumber, value) ||
	     OSDynamicCast(OSNumber, value)->unsigned64BitValue() != service->getRegistryEntryID()))
		return false;
	points = sim_probe_score(table);
	if (!service->matchPropertyTable(table, &points))
		return false;
	if (options & SIM_MATCH_CHANGES) {
		score = OSNumber::withNumber(static_cast<unsigned>(points), 32);
		table->setObject(sim_key_score, score);
		score->release();
	}
	value = table->getObject(PARENT_MATCH_KEY);
	return !value || match_parent(service, OSDynamicCast(OSDictionary, value));
}

bool IOService::matchPropertyTable(OSDictionary *table, SInt32 *)
{
	return matchPropertyTable(table);
}

bool IOService::matchPropertyTable(OSDictionary *)
{
	return true;
}

IOService *IOService::matchLocation(IOService *client)
{
	IOService *provider = getProvider();

	return provider ? provider->matchLocation(client) : nullptr;
}

/* A key that the table does not have matches. */
bool IOService::compareProperty(OSDictionary *matching, const char *key)
{
	OSObject *want = matching->getObject(key);
	OSObject *have = want ? copyProperty(key) : nullptr;
	bool ok = !want || (have && want->isEqualTo(have));

	if (have)
		have->release();
	return ok;
}

bool IOService::compareProperty(OSDictionary *matching, const OSString *key)
{
	return compareProperty(matching, key->getCStringNoCopy());
}

bool IOService::compareProperties(OSDictionary *matching, OSCollection *keys)
{
	OSCollectionIterator *iterator = OSCollectionIterator::withCollection(keys);
	OSObject *next;
	bool ok = matching && keys;

	while (ok && (next = iterator->getNextObject())) {
		OSString *key = OSDynamicCast(OSString, next);

		ok = key && compareProperty(matching, key);
	}
	if (iterator)
		iterator->release();
	return ok;
}

/* ---- all services, one table ---- */

static void snapshot(IORegistryEntry *entry, unsigned states, sim_list<IOService *> *out)
{
	sim_list<IORegistryEntry *> *children = &sim_service_links(entry)->children;

	for (unsigned i = 0; i < children->n; i++) {
		IOService *service = static_cast<IOService *>(children->at[i]);

		if ((!states || (sim_service_of(service)->state & states)) && !out->has(service)) {
			service->retain();
			out->add(service);
		}
		snapshot(service, states, out);
	}
}

void sim_match_snapshot(unsigned states, sim_list<IOService *> *out)
{
	sim_iokit_hold hold;

	snapshot(IORegistryEntry::getRegistryRoot(), states, out);
}

void sim_match_existing(OSDictionary *table, unsigned states, bool one, sim_list<IOService *> *out)
{
	sim_list<IOService *> all = {};

	sim_match_snapshot(states, &all);
	for (unsigned i = 0; i < all.n; i++) {
		IOService *service = all.at[i];

		if (!(one && out->n) && sim_match_passive(service, table, 0))
			out->add(service);
		else
			service->release();
	}
	all.clear();
}

OSIterator *IOService::getMatchingServices(OSDictionary *matching)
{
	sim_list<IOService *> found = {};
	OSIterator *iterator = nullptr;
	OSArray *array;

	sim_may_block("IOService::getMatchingServices");
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	sim_match_existing(matching, kIOServiceRegisteredState, false, &found);
	array = OSArray::withCapacity(found.n ? found.n : 1);
	for (unsigned i = 0; i < found.n; i++) {
		array->setObject(found.at[i]);
		found.at[i]->release();
	}
	if (found.n)
		iterator = OSCollectionIterator::withCollection(array);
	found.clear();
	array->release();
	return iterator;
}

/* ---- waiting ---- */

/* For one that matching is done with; the caller gets a reference [XNU-REG-14]. */
IOService *IOService::waitForMatchingService(OSDictionary *matching, UInt64 timeout)
{
	bool forever = timeout >= SIM_FOREVER_NS, in_time = true;
	uint64_t deadline = sim_iokit_deadline(forever ? SIM_FOREVER_NS : timeout);
	sim_list<IOService *> found = {};
	IOService *service;

	sim_may_block("IOService::waitForService");
	for (;;) {
		uint64_t seen = sim_iokit_changes();

		sim_match_existing(matching, kIOServiceMatchedState, true, &found);
		if (found.n || !in_time)
			break;
		sim_iokit_hold hold;

		while (in_time && seen == sim_iokit_changes())
			in_time = sim_iokit_wait(deadline);
	}
	if (!found.n && forever)
		sim_violation("IOService::waitForService waits for ever: no such service comes");
	service = found.n ? found.at[0] : nullptr;
	found.clear();
	return service;
}

/* Takes the reference of the dictionary, and gives none of the service [XNU-REG-12]. */
IOService *IOService::waitForService(OSDictionary *matching, mach_timespec_t *timeout)
{
	UInt64 ns =
		timeout ? timeout->tv_sec * 1000000000ULL + static_cast<UInt64>(timeout->tv_nsec)
			: ~0ULL;
	IOService *service = waitForMatchingService(matching, ns);

	matching->release();
	if (service)
		service->release();
	return service;
}

/* ---- making tables ---- */

/* A new table, or the one given, with a key set; its value is released. */
static OSDictionary *table_with(OSDictionary *table, const char *key, OSObject *value)
{
	if (!table)
		table = OSDictionary::withCapacity(2);
	table->setObject(key, value);
	value->release();
	return table;
}

static OSObject *symbol(const char *text)
{
	return const_cast<OSSymbol *>(OSSymbol::withCString(text));
}

OSDictionary *IOService::serviceMatching(const char *name, OSDictionary *table)
{
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	return table_with(table, kIOProviderClassKey, symbol(name));
}

OSDictionary *IOService::serviceMatching(const OSString *name, OSDictionary *table)
{
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	return table_with(table, kIOProviderClassKey, symbol(name->getCStringNoCopy()));
}

OSDictionary *IOService::nameMatching(const char *name, OSDictionary *table)
{
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	return table_with(table, kIONameMatchKey, OSString::withCString(name));
}

OSDictionary *IOService::nameMatching(const OSString *name, OSDictionary *table)
{
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	return table_with(table, kIONameMatchKey, OSString::withString(name));
}

OSDictionary *IOService::resourceMatching(const char *name, OSDictionary *table)
{
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	table = table_with(table, kIOProviderClassKey, symbol("IOResources"));
	return table_with(table, kIOResourceMatchKey, symbol(name));
}

OSDictionary *IOService::resourceMatching(const OSString *name, OSDictionary *table)
{
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	return resourceMatching(name->getCStringNoCopy(), table);
}

OSDictionary *IOService::propertyMatching(const OSSymbol *key, const OSObject *value,
					  OSDictionary *table)
{
	OSDictionary *properties;

	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	properties = OSDictionary::withCapacity(1);
	properties->setObject(key, value);
	return table_with(table, kIOPropertyMatchKey, properties);
}

OSDictionary *IOService::registryEntryIDMatching(UInt64 id, OSDictionary *table)
{
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	return table_with(table, ENTRY_ID_KEY, OSNumber::withNumber(id, 64));
}

OSDictionary *IOService::addLocation(OSDictionary *)
{
	sim_violation("IOService::addLocation is not simulated");
}
