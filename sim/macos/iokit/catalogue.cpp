/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The personalities of the kexts that are loaded.
 */
#include "sim/macos/iokit/catalogue.h"
#include "sim/macos/iokit/service_sim.h"

#define BUNDLE_KEY "CFBundleIdentifier"

static sim_list<OSDictionary *> personalities; /* in the order they came */
static unsigned generation;

/* These values become symbols, which matching compares by address [XNU-REG-15]. */
static OSDictionary *normalised(OSDictionary *from)
{
	static const char *const keys[] = {kIOClassKey, kIOProviderClassKey, kIOMatchCategoryKey,
					   BUNDLE_KEY};
	OSDictionary *to = OSDictionary::withDictionary(from);

	for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		OSString *string = OSDynamicCast(OSString, to->getObject(keys[i]));
		const OSSymbol *symbol;

		if (!string)
			continue;
		symbol = OSSymbol::withString(string);
		to->setObject(keys[i], symbol);
		symbol->release();
	}
	return to;
}

static bool known(OSDictionary *table)
{
	for (unsigned i = 0; i < personalities.n; i++)
		if (personalities.at[i]->isEqualTo(table))
			return true;
	return false;
}

/* What is there already sets nothing off [XNU-REG-16]. */
void sim_catalogue_add(OSArray *array)
{
	sim_list<OSDictionary *> fresh = {};
	sim_list<IOService *> services = {};

	for (unsigned i = 0; i < array->getCount(); i++) {
		OSDictionary *from = OSDynamicCast(OSDictionary, array->getObject(i));
		OSDictionary *table = from ? normalised(from) : nullptr;
		sim_iokit_hold hold;

		if (!table || known(table)) {
			if (table)
				table->release();
			continue;
		}
		personalities.add(table);
		generation++;
		table->retain();
		fresh.add(table);
	}
	for (unsigned i = 0; i < fresh.n; i++) {
		sim_list<IOService *> fit = {};

		sim_match_existing(fresh.at[i], kIOServiceRegisteredState, false, &fit);
		for (unsigned k = 0; k < fit.n; k++) {
			if (services.has(fit.at[k]))
				fit.at[k]->release();
			else
				services.insert(sim_random(services.n + 1), fit.at[k]);
		}
		fit.clear();
		fresh.at[i]->release();
	}
	for (unsigned i = 0; i < services.n; i++) {
		sim_match_start(services.at[i], kIOServiceAsynchronous);
		services.at[i]->release();
	}
	services.clear();
	fresh.clear();
}

void sim_catalogue_remove(const char *bundle)
{
	sim_list<OSDictionary *> gone = {};

	{
		sim_iokit_hold hold;

		for (unsigned i = personalities.n; i-- > 0;) {
			OSString *of =
				OSDynamicCast(OSString, personalities.at[i]->getObject(BUNDLE_KEY));

			if (!of || !of->isEqualTo(bundle))
				continue;
			gone.add(personalities.at[i]);
			personalities.remove(i);
			generation++;
		}
	}
	for (unsigned i = 0; i < gone.n; i++)
		gone.at[i]->release();
	gone.clear();
}

unsigned sim_catalogue_generation(void)
{
	sim_iokit_hold hold;

	return generation;
}

/* The service's class and those above it, up to IOService. */
unsigned sim_catalogue_find(IOService *service, sim_list<OSDictionary *> *out)
{
	sim_iokit_hold hold;

	for (unsigned i = 0; i < personalities.n; i++) {
		OSDictionary *table = personalities.at[i];
		OSString *name = OSDynamicCast(OSString, table->getObject(kIOProviderClassKey));
		unsigned at = 0;

		if (!name || !service->metaCast(name))
			continue;
		while (at < out->n && sim_probe_score(out->at[at]) >= sim_probe_score(table))
			at++;
		table->retain();
		out->insert(at, table);
	}
	return generation;
}

/* A service says whose it is by a property, that drivers have from their personality [XNU-REG-17].
 */
static IOService *next_of(const char *bundle)
{
	sim_list<IOService *> all = {};
	IOService *found = nullptr;

	sim_match_snapshot(0, &all);
	for (unsigned i = 0; i < all.n; i++) {
		OSObject *value = all.at[i]->copyProperty(BUNDLE_KEY);
		OSString *of = OSDynamicCast(OSString, value);

		if (!found && of && of->isEqualTo(bundle) && !all.at[i]->isInactive())
			found = all.at[i];
		else
			all.at[i]->release();
		if (value)
			value->release();
	}
	all.clear();
	return found;
}

IOReturn sim_catalogue_terminate(const char *bundle)
{
	IOService *service;
	IOReturn result = kIOReturnSuccess;

	while (result == kIOReturnSuccess && (service = next_of(bundle))) {
		if (!service->terminate(kIOServiceRequired | kIOServiceSynchronous))
			result = kIOReturnUnsupported;
		service->release();
	}
	return result;
}

void sim_catalogue_halt(void)
{
	while (personalities.n) {
		personalities.at[0]->release();
		personalities.remove(0);
	}
	personalities.clear();
}
