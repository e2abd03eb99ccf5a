/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registry for programs.
 */
#include <stdio.h>

#include "sim/macos/iokit/service_sim.h"
#include "sim/macos/libkern/runtime_sim.h"
#include "sim/macos/mac.h"

static void print_properties(FILE *out, IORegistryEntry *entry, unsigned depth)
{
	OSDictionary *table = entry->dictionaryWithProperties();
	OSCollectionIterator *iterator =
		table ? OSCollectionIterator::withCollection(table) : nullptr;
	OSObject *key;

	while (iterator && (key = iterator->getNextObject())) {
		OSSymbol *symbol = OSDynamicCast(OSSymbol, key);

		fprintf(out, "%*s  \"%s\" = ", static_cast<int>(depth * 2), "",
			symbol->getCStringNoCopy());
		sim_print_object(out, table->getObject(symbol));
		fprintf(out, "\n");
	}
	if (iterator)
		iterator->release();
	if (table)
		table->release();
}

static void print_entry(FILE *out, IORegistryEntry *entry, unsigned depth, bool brief)
{
	IOService *service = OSDynamicCast(IOService, entry);
	const char *location = entry->getLocation(gIOServicePlane);
	OSIterator *children = entry->getChildIterator(gIOServicePlane);
	OSObject *child;

	fprintf(out, "%*s+-o %s%s%s  <class %s, id 0x%llx", static_cast<int>(depth * 2), "",
		entry->getName(gIOServicePlane), location ? "@" : "", location ? location : "",
		entry->getMetaClass()->getClassName(), entry->getRegistryEntryID());
	if (service) {
		unsigned state = service->getState();

		fprintf(out, ", %sregistered, %smatched, %sactive, busy %u",
			(state & kIOServiceRegisteredState) ? "" : "!",
			(state & kIOServiceMatchedState) ? "" : "!",
			(state & kIOServiceInactiveState) ? "in" : "", service->getBusyState());
	}
	/* Not counted: the reference of the iterator that led here. */
	fprintf(out, ", retain %d>\n", entry->getRetainCount() - (depth ? 1 : 0));
	if (!brief)
		print_properties(out, entry, depth + 1);
	while (children && (child = children->getNextObject()))
		print_entry(out, static_cast<IORegistryEntry *>(child), depth + 1, brief);
	if (children)
		children->release();
}

void mac_registry_print(FILE *out, bool brief)
{
	sim_enter("mac_registry_print");
	print_entry(out, IORegistryEntry::getRegistryRoot(), 0, brief);
	sim_exit();
}

static void find(const char *class_name, sim_list<IOService *> *out)
{
	sim_list<IOService *> all = {};

	sim_match_snapshot(0, &all);
	for (unsigned i = 0; i < all.n; i++) {
		if (all.at[i]->metaCast(class_name))
			out->add(all.at[i]);
		else
			all.at[i]->release();
	}
	all.clear();
}

static void drop(sim_list<IOService *> *list)
{
	for (unsigned i = 0; i < list->n; i++)
		list->at[i]->release();
	list->clear();
}

bool mac_registry_get(const char *class_name, const char *key, char *value, size_t len)
{
	sim_list<IOService *> found = {};
	OSObject *object;
	OSString *string;
	FILE *out;

	sim_enter("mac_registry_get");
	find(class_name, &found);
	object = found.n ? found.at[0]->copyProperty(key) : nullptr;
	string = OSDynamicCast(OSString, object);
	if (len)
		memset(value, 0, len);
	if (string) {
		snprintf(value, len, "%s", string->getCStringNoCopy());
	} else if (object && len && (out = fmemopen(value, len, "w"))) {
		sim_print_object(out, object);
		fclose(out);
		value[len - 1] = 0;
	}
	if (object)
		object->release();
	drop(&found);
	sim_exit();
	return object != nullptr;
}

unsigned mac_registry_count(const char *class_name)
{
	sim_list<IOService *> found = {};
	unsigned n;

	sim_enter("mac_registry_count");
	find(class_name, &found);
	n = found.n;
	drop(&found);
	sim_exit();
	return n;
}
