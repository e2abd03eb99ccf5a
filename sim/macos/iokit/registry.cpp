/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entries: life, names, properties.
 */
#include <stdio.h>

#include "sim/macos/iokit/service_sim.h"

OSDefineMetaClassAndStructors(IORegistryEntry, OSObject)
KPI_DEFINE_PADS_64(IORegistryEntry, 0, 1, 2, 3, 4, 5)
KPI_DEFINE_PADS(IORegistryEntry, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21)
KPI_DEFINE_PADS(IORegistryEntry, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31)

/* Identifiers start above what fits in 32 bits [XNU-REG-1]. */
#define FIRST_ID (1ULL << 32)

static UInt64 last_id = FIRST_ID;

/*
 * Recursive, one for all entries: runPropertyAction() runs with it, and may use properties
 * [XNU-REG-2].
 */
static pthread_mutex_t property_mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

namespace
{
class property_hold
{
	bool held;

public:
	property_hold() : held(sim_cpu()->level != SIM_DEBUGGER)
	{
		if (held)
			pthread_mutex_lock(&property_mutex);
	}
	~property_hold()
	{
		if (held)
			pthread_mutex_unlock(&property_mutex);
	}
};
} // namespace

/* ---- life ---- */

/*
 * The dictionary given is the entry's from now on, not a copy of it; only one that must not change
 * is copied [XNU-REG-3].
 */
bool IORegistryEntry::init(OSDictionary *properties)
{
	if (!OSObject::init())
		return false;
	if (!reserved) {
		reserved = static_cast<ExpansionData *>(calloc(1, sizeof(ExpansionData)));
		if (!reserved)
			abort();
		reserved->id = __atomic_add_fetch(&last_id, 1, __ATOMIC_SEQ_CST);
	}
	if (properties && (properties->setOptions(0, 0) & OSCollection::kImmutable)) {
		properties = OSDictionary::withDictionary(properties);
	} else if (properties) {
		properties->retain();
	} else {
		properties = OSDictionary::withCapacity(8);
	}
	if (fPropertyTable)
		fPropertyTable->release();
	fPropertyTable = properties;
	return fPropertyTable != nullptr;
}

bool IORegistryEntry::init(IORegistryEntry *, const IORegistryPlane *)
{
	sim_violation("IORegistryEntry::init(entry, plane) is not simulated");
}

static void symbol_drop(const OSSymbol **symbol)
{
	if (*symbol)
		(*symbol)->release();
	*symbol = nullptr;
}

void IORegistryEntry::free()
{
	if (reserved) {
		for (unsigned i = 0; i < SIM_PLANES; i++) {
			struct sim_links *links = &reserved->plane[i];

			if (links->parents.n || links->children.n)
				sim_violation(
					"%s is freed while it is in the registry (%u parents, "
					"%u children): a release too many",
					getName(), links->parents.n, links->children.n);
			links->parents.clear();
			links->children.clear();
			symbol_drop(&links->name);
			symbol_drop(&links->location);
		}
		symbol_drop(&reserved->name);
		symbol_drop(&reserved->location);
		::free(reserved);
		reserved = nullptr;
	}
	if (fPropertyTable)
		fPropertyTable->release();
	fPropertyTable = nullptr;
	OSObject::free();
}

UInt64 IORegistryEntry::getRegistryEntryID()
{
	return reserved ? reserved->id : 0;
}

/* ---- names ---- */

/* An entry without a name goes by that of its class [XNU-REG-4]. */
const char *IORegistryEntry::getName(const IORegistryPlane *plane) const
{
	sim_iokit_hold hold;

	if (reserved && plane && reserved->plane[plane->index].name)
		return reserved->plane[plane->index].name->getCStringNoCopy();
	if (reserved && reserved->name)
		return reserved->name->getCStringNoCopy();
	return getMetaClass()->getClassName();
}

const OSSymbol *IORegistryEntry::copyName(const IORegistryPlane *plane) const
{
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	return OSSymbol::withCString(getName(plane));
}

static void symbol_set(const OSSymbol **at, const OSSymbol *symbol)
{
	const OSSymbol *old;

	symbol->retain();
	{
		sim_iokit_hold hold;

		old = *at;
		*at = symbol;
	}
	if (old)
		old->release();
}

void IORegistryEntry::setName(const OSSymbol *name, const IORegistryPlane *plane)
{
	if (name && reserved)
		symbol_set(plane ? &reserved->plane[plane->index].name : &reserved->name, name);
}

void IORegistryEntry::setName(const char *name, const IORegistryPlane *plane)
{
	const OSSymbol *symbol;

	sim_may_block("IORegistryEntry::setName");
	if (!name || sim_alloc_fails(__builtin_return_address(0)))
		return;
	symbol = OSSymbol::withCString(name);
	setName(symbol, plane);
	symbol->release();
}

const char *IORegistryEntry::getLocation(const IORegistryPlane *plane) const
{
	sim_iokit_hold hold;

	if (reserved && plane && reserved->plane[plane->index].location)
		return reserved->plane[plane->index].location->getCStringNoCopy();
	return reserved && reserved->location ? reserved->location->getCStringNoCopy() : nullptr;
}

const OSSymbol *IORegistryEntry::copyLocation(const IORegistryPlane *plane) const
{
	const char *location = getLocation(plane);

	if (!location || sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	return OSSymbol::withCString(location);
}

void IORegistryEntry::setLocation(const OSSymbol *location, const IORegistryPlane *plane)
{
	if (location && reserved)
		symbol_set(plane ? &reserved->plane[plane->index].location : &reserved->location,
			   location);
}

void IORegistryEntry::setLocation(const char *location, const IORegistryPlane *plane)
{
	const OSSymbol *symbol;

	sim_may_block("IORegistryEntry::setLocation");
	if (!location || sim_alloc_fails(__builtin_return_address(0)))
		return;
	symbol = OSSymbol::withCString(location);
	setLocation(symbol, plane);
	symbol->release();
}

/* Also "name" and "compatible" of a nub from a device tree, lists of strings [XNU-REG-5]. */
bool IORegistryEntry::compareName(OSString *name, OSString **matched) const
{
	static const char *const keys[] = {"name", "compatible", "device_type", "model"};
	bool same = name->isEqualTo(getName());

	for (unsigned i = 0; !same && i < sizeof(keys) / sizeof(keys[0]); i++) {
		OSObject *property = copyProperty(keys[i]);
		OSData *data = OSDynamicCast(OSData, property);
		OSString *string = OSDynamicCast(OSString, property);

		if (string)
			same = name->isEqualTo(string);
		for (unsigned at = 0; data && !same && at < data->getLength();) {
			const char *next = static_cast<const char *>(data->getBytesNoCopy()) + at;
			unsigned left = data->getLength() - at;
			unsigned len = static_cast<unsigned>(strnlen(next, left));

			same = name->getLength() == len &&
			       !memcmp(next, name->getCStringNoCopy(), len);
			at += len + 1;
		}
		if (property)
			property->release();
	}
	if (same && matched) {
		name->retain();
		*matched = name;
	}
	return same;
}

bool IORegistryEntry::compareNames(OSObject *names, OSString **matched) const
{
	OSString *string = OSDynamicCast(OSString, names);
	OSCollection *collection = OSDynamicCast(OSCollection, names);
	OSCollectionIterator *iterator;
	bool same = false;

	if (string)
		return compareName(string, matched);
	if (!collection)
		return false;
	iterator = OSCollectionIterator::withCollection(collection);
	while (iterator && !same && (names = iterator->getNextObject()))
		same = compareNames(names, matched);
	if (iterator)
		iterator->release();
	return same;
}

/* ---- properties ---- */

OSDictionary *IORegistryEntry::getPropertyTable() const
{
	return fPropertyTable;
}

void IORegistryEntry::setPropertyTable(OSDictionary *properties)
{
	OSDictionary *old;

	if (properties)
		properties->retain();
	{
		property_hold hold;

		old = fPropertyTable;
		fPropertyTable = properties;
	}
	if (old)
		old->release();
}

bool IORegistryEntry::setProperty(const OSSymbol *key, OSObject *value)
{
	OSObject *old;
	bool ok;

	sim_may_block("IORegistryEntry::setProperty");
	if (!fPropertyTable)
		sim_violation("setProperty(%s) on a %s that was not initialised",
			      key->getCStringNoCopy(), getMetaClass()->getClassName());
	if (sim_alloc_fails(__builtin_return_address(0)))
		return false;
	{
		property_hold hold;

		/* What goes may be the last of something that needs locks to be freed. */
		old = fPropertyTable->getObject(key);
		if (old)
			old->retain();
		ok = fPropertyTable->setObject(key, value);
	}
	if (old)
		old->release();
	return ok;
}

bool IORegistryEntry::setProperty(const OSString *key, OSObject *value)
{
	const OSSymbol *symbol = OSSymbol::withString(key);
	bool ok = setProperty(symbol, value);

	symbol->release();
	return ok;
}

bool IORegistryEntry::setProperty(const char *key, OSObject *value)
{
	const OSSymbol *symbol;
	bool ok;

	if (sim_alloc_fails(__builtin_return_address(0)))
		return false;
	symbol = OSSymbol::withCString(key);
	ok = setProperty(symbol, value);
	symbol->release();
	return ok;
}

static bool set_made(IORegistryEntry *entry, const char *key, OSObject *value)
{
	bool ok = value && entry->setProperty(key, value);

	if (value)
		value->release();
	return ok;
}

bool IORegistryEntry::setProperty(const char *key, const char *value)
{
	if (sim_alloc_fails(__builtin_return_address(0)))
		return false;
	return set_made(this, key, OSString::withCString(value));
}

bool IORegistryEntry::setProperty(const char *key, bool value)
{
	if (sim_alloc_fails(__builtin_return_address(0)))
		return false;
	return set_made(this, key, OSBoolean::withBoolean(value));
}

bool IORegistryEntry::setProperty(const char *key, unsigned long long value, unsigned int bits)
{
	if (sim_alloc_fails(__builtin_return_address(0)))
		return false;
	return set_made(this, key, OSNumber::withNumber(value, bits));
}

bool IORegistryEntry::setProperty(const char *key, void *value, unsigned int length)
{
	if (sim_alloc_fails(__builtin_return_address(0)))
		return false;
	return set_made(this, key, OSData::withBytes(value, length));
}

void IORegistryEntry::removeProperty(const OSSymbol *key)
{
	OSObject *old;

	sim_may_block("IORegistryEntry::removeProperty");
	{
		property_hold hold;

		old = fPropertyTable ? fPropertyTable->getObject(key) : nullptr;
		if (old) {
			old->retain();
			fPropertyTable->removeObject(key);
		}
	}
	if (old)
		old->release();
}

void IORegistryEntry::removeProperty(const OSString *key)
{
	const OSSymbol *symbol = OSSymbol::withString(key);

	removeProperty(symbol);
	symbol->release();
}

void IORegistryEntry::removeProperty(const char *key)
{
	const OSSymbol *symbol = OSSymbol::withCString(key);

	removeProperty(symbol);
	symbol->release();
}

OSObject *IORegistryEntry::getProperty(const OSSymbol *key) const
{
	property_hold hold;

	return fPropertyTable ? fPropertyTable->getObject(key) : nullptr;
}

OSObject *IORegistryEntry::getProperty(const OSString *key) const
{
	const OSSymbol *symbol = OSSymbol::withString(key);
	OSObject *value = getProperty(symbol);

	symbol->release();
	return value;
}

OSObject *IORegistryEntry::getProperty(const char *key) const
{
	const OSSymbol *symbol = OSSymbol::withCString(key);
	OSObject *value = getProperty(symbol);

	symbol->release();
	return value;
}

OSObject *IORegistryEntry::copyProperty(const OSSymbol *key) const
{
	property_hold hold;
	OSObject *value = getProperty(key);

	if (value)
		value->retain();
	return value;
}

OSObject *IORegistryEntry::copyProperty(const OSString *key) const
{
	const OSSymbol *symbol = OSSymbol::withString(key);
	OSObject *value = copyProperty(symbol);

	symbol->release();
	return value;
}

OSObject *IORegistryEntry::copyProperty(const char *key) const
{
	const OSSymbol *symbol = OSSymbol::withCString(key);
	OSObject *value = copyProperty(symbol);

	symbol->release();
	return value;
}

/* First here; then above (kIORegistryIterateParents) or below, nearest first [XNU-REG-6]. */
OSObject *IORegistryEntry::copyProperty(const OSSymbol *key, const IORegistryPlane *plane,
					IOOptionBits options) const
{
	OSObject *value = copyProperty(key);
	OSArray *next;

	if (value || !(options & kIORegistryIterateRecursively) || !reserved)
		return value;
	{
		sim_iokit_hold hold;
		struct sim_links *links = &reserved->plane[plane->index];

		next = sim_registry_copy((options & kIORegistryIterateParents) ? &links->parents
									       : &links->children);
	}
	for (unsigned i = 0; !value && i < next->getCount(); i++)
		value = static_cast<IORegistryEntry *>(next->getObject(i))
				->copyProperty(key, plane, options);
	next->release();
	return value;
}

OSObject *IORegistryEntry::copyProperty(const OSString *key, const IORegistryPlane *plane,
					IOOptionBits options) const
{
	const OSSymbol *symbol = OSSymbol::withString(key);
	OSObject *value = copyProperty(symbol, plane, options);

	symbol->release();
	return value;
}

OSObject *IORegistryEntry::copyProperty(const char *key, const IORegistryPlane *plane,
					IOOptionBits options) const
{
	const OSSymbol *symbol = OSSymbol::withCString(key);
	OSObject *value = copyProperty(symbol, plane, options);

	symbol->release();
	return value;
}

OSObject *IORegistryEntry::getProperty(const OSSymbol *key, const IORegistryPlane *plane,
				       IOOptionBits options) const
{
	OSObject *value = copyProperty(key, plane, options);

	if (value)
		value->release(); /* borrowed: the entry that has it keeps it */
	return value;
}

OSObject *IORegistryEntry::getProperty(const OSString *key, const IORegistryPlane *plane,
				       IOOptionBits options) const
{
	const OSSymbol *symbol = OSSymbol::withString(key);
	OSObject *value = getProperty(symbol, plane, options);

	symbol->release();
	return value;
}

OSObject *IORegistryEntry::getProperty(const char *key, const IORegistryPlane *plane,
				       IOOptionBits options) const
{
	const OSSymbol *symbol = OSSymbol::withCString(key);
	OSObject *value = getProperty(symbol, plane, options);

	symbol->release();
	return value;
}

IOReturn IORegistryEntry::runPropertyAction(Action action, OSObject *target, void *arg0, void *arg1,
					    void *arg2, void *arg3)
{
	sim_may_block("IORegistryEntry::runPropertyAction");
	property_hold hold;

	return action(target, arg0, arg1, arg2, arg3);
}

/* Nested collections are copied too: nobody else changes what the caller gets [XNU-REG-7]. */
OSDictionary *IORegistryEntry::dictionaryWithProperties() const
{
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	property_hold hold;

	return fPropertyTable ? OSDynamicCast(OSDictionary, fPropertyTable->copyCollection())
			      : nullptr;
}

bool IORegistryEntry::serializeProperties(OSSerialize *s) const
{
	property_hold hold;

	return fPropertyTable && fPropertyTable->serialize(s);
}

IOReturn IORegistryEntry::setProperties(OSObject *)
{
	return kIOReturnUnsupported;
}
