/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * OSDictionary: objects by name, in the order in which the names came. Both are retained in the
 * name of collections; names are symbols, and found by identity.
 */
#include <stdlib.h>
#include <string.h>

#include "guest/ports/xnu/kpi/collections.h"
#include "sim/macos/libkern/collection.h"
#include "sim/macos/sim.h"

#define INCREMENT   16u
#define ALLOC_FAILS sim_alloc_fails(__builtin_return_address(0))
#define HOLDER	    OSTypeID(OSCollection)

OSDefineMetaClassAndStructors(OSDictionary, OSCollection)
KPI_DEFINE_PADS(OSDictionary, 0, 1, 2, 3, 4, 5, 6, 7)

/* ---- making one ---- */

bool OSDictionary::initWithCapacity(unsigned int n)
{
	if (!OSCollection::init())
		return false;
	dictionary = static_cast<dictEntry *>(calloc(n ? n : 1, sizeof(*dictionary)));
	if (!dictionary)
		return false;
	count = 0;
	capacity = n;
	capacityIncrement = n ? n : INCREMENT;
	return true;
}

bool OSDictionary::initWithObjects(const OSObject *objects[], const OSSymbol *keys[],
				   unsigned int n, unsigned int room)
{
	if (!objects || !keys || (room && n > room) || !initWithCapacity(room ? room : n))
		return false;
	for (unsigned i = 0; i < n; i++)
		if (!objects[i] || !keys[i] || !setObject(keys[i], objects[i]))
			return false;
	return true;
}

bool OSDictionary::initWithObjects(const OSObject *objects[], const OSString *keys[],
				   unsigned int n, unsigned int room)
{
	if (!objects || !keys || (room && n > room) || !initWithCapacity(room ? room : n))
		return false;
	for (unsigned i = 0; i < n; i++)
		if (!objects[i] || !keys[i] || !setObject(keys[i], objects[i]))
			return false;
	return true;
}

bool OSDictionary::initWithDictionary(const OSDictionary *other, unsigned int room)
{
	if (!other || (room && other->count > room) ||
	    !initWithCapacity(room ? room : other->count))
		return false;
	for (unsigned i = 0; i < other->count; i++)
		if (!setObject(other->dictionary[i].key, other->dictionary[i].value))
			return false;
	return true;
}

OSDictionary *OSDictionary::withCapacity(unsigned int n)
{
	OSDictionary *me;

	if (ALLOC_FAILS)
		return nullptr;
	me = new OSDictionary;
	if (!me->initWithCapacity(n)) {
		me->release();
		return nullptr;
	}
	return me;
}

OSDictionary *OSDictionary::withObjects(const OSObject *objects[], const OSSymbol *keys[],
					unsigned int n, unsigned int room)
{
	OSDictionary *me;

	if (ALLOC_FAILS)
		return nullptr;
	me = new OSDictionary;
	if (!me->initWithObjects(objects, keys, n, room)) {
		me->release();
		return nullptr;
	}
	return me;
}

OSDictionary *OSDictionary::withObjects(const OSObject *objects[], const OSString *keys[],
					unsigned int n, unsigned int room)
{
	OSDictionary *me;

	if (ALLOC_FAILS)
		return nullptr;
	me = new OSDictionary;
	if (!me->initWithObjects(objects, keys, n, room)) {
		me->release();
		return nullptr;
	}
	return me;
}

OSDictionary *OSDictionary::withDictionary(const OSDictionary *other, unsigned int room)
{
	OSDictionary *me;

	if (ALLOC_FAILS)
		return nullptr;
	me = new OSDictionary;
	if (!me->initWithDictionary(other, room)) {
		me->release();
		return nullptr;
	}
	return me;
}

void OSDictionary::free()
{
	OSCollection::setOptions(0, kImmutable);
	flushCollection();
	::free(dictionary);
	OSCollection::free();
}

/* ---- room ---- */

unsigned int OSDictionary::getCount() const
{
	return count;
}

unsigned int OSDictionary::getCapacity() const
{
	return capacity;
}

unsigned int OSDictionary::getCapacityIncrement() const
{
	return capacityIncrement;
}

unsigned int OSDictionary::setCapacityIncrement(unsigned int increment)
{
	return capacityIncrement = increment ? increment : INCREMENT;
}

unsigned int OSDictionary::ensureCapacity(unsigned int n)
{
	dictEntry *larger;

	if (n <= capacity || ALLOC_FAILS)
		return capacity;
	n = sim_round_up(n, capacityIncrement);
	if (!n)
		return capacity;
	larger = static_cast<dictEntry *>(realloc(dictionary, n * sizeof(*dictionary)));
	if (!larger)
		return capacity;
	memset(larger + capacity, 0, (n - capacity) * sizeof(*larger));
	dictionary = larger;
	capacity = n;
	return capacity;
}

/* ---- changing it ---- */

void OSDictionary::flushCollection()
{
	unsigned n = count;

	haveUpdated();
	for (unsigned i = 0; i < n; i++) {
		dictionary[i].key->taggedRelease(HOLDER);
		dictionary[i].value->taggedRelease(HOLDER);
	}
	count = 0;
}

bool OSDictionary::setObject(const OSSymbol *key, const OSMetaClassBase *value)
{
	if (!key || !value)
		return false;
	for (unsigned i = 0; i < count; i++) {
		const OSMetaClassBase *old = dictionary[i].value;

		if (dictionary[i].key != key)
			continue;
		haveUpdated();
		value->taggedRetain(HOLDER);
		dictionary[i].value = value;
		old->taggedRelease(HOLDER);
		return true;
	}
	if (count == capacity && (ALLOC_FAILS || ensureCapacity(count + 1) == count))
		return false;
	haveUpdated();
	key->taggedRetain(HOLDER);
	value->taggedRetain(HOLDER);
	dictionary[count].key = key;
	dictionary[count].value = value;
	count++;
	return true;
}

bool OSDictionary::setObject(const OSString *key, const OSMetaClassBase *value)
{
	const OSSymbol *symbol;
	bool ok;

	if (ALLOC_FAILS)
		return false;
	symbol = OSSymbol::withString(key);
	ok = setObject(symbol, value);
	symbol->release();
	return ok;
}

bool OSDictionary::setObject(const char *key, const OSMetaClassBase *value)
{
	const OSSymbol *symbol;
	bool ok;

	if (ALLOC_FAILS)
		return false;
	symbol = OSSymbol::withCString(key);
	ok = setObject(symbol, value);
	symbol->release();
	return ok;
}

void OSDictionary::removeObject(const OSSymbol *key)
{
	for (unsigned i = 0; i < count; i++) {
		const dictEntry old = dictionary[i];

		if (!key || old.key != key)
			continue;
		haveUpdated();
		count--;
		memmove(dictionary + i, dictionary + i + 1, (count - i) * sizeof(*dictionary));
		old.key->taggedRelease(HOLDER);
		old.value->taggedRelease(HOLDER);
		return;
	}
}

void OSDictionary::removeObject(const OSString *key)
{
	const OSSymbol *symbol = OSSymbol::withString(key);

	removeObject(symbol);
	symbol->release();
}

void OSDictionary::removeObject(const char *key)
{
	const OSSymbol *symbol = OSSymbol::withCString(key);

	removeObject(symbol);
	symbol->release();
}

bool OSDictionary::merge(const OSDictionary *other)
{
	if (!OSDynamicCast(OSDictionary, other) || ALLOC_FAILS)
		return false;
	for (unsigned i = 0; i < other->count; i++)
		if (!setObject(other->dictionary[i].key, other->dictionary[i].value))
			return false;
	return true;
}

unsigned int OSDictionary::setOptions(unsigned int options, unsigned int mask, void *)
{
	unsigned was = OSCollection::setOptions(options, mask);

	if (!((was ^ options) & mask))
		return was;
	for (unsigned i = 0; i < count; i++)
		if (OSCollection *member = OSDynamicCast(OSCollection, dictionary[i].value))
			member->setOptions(options, mask);
	return was;
}

/* ---- looking at it ---- */

OSObject *OSDictionary::getObject(const OSSymbol *key) const
{
	for (unsigned i = 0; key && i < count; i++)
		if (dictionary[i].key == key)
			return const_cast<OSObject *>(
				static_cast<const OSObject *>(dictionary[i].value));
	return nullptr;
}

/* A name nobody used yet becomes a symbol for as long as it takes [XNU-OBJ-17]. */
OSObject *OSDictionary::getObject(const OSString *key) const
{
	const OSSymbol *symbol = OSSymbol::withString(key);
	OSObject *value = getObject(symbol);

	symbol->release();
	return value;
}

OSObject *OSDictionary::getObject(const char *key) const
{
	const OSSymbol *symbol = OSSymbol::withCString(key);
	OSObject *value = getObject(symbol);

	symbol->release();
	return value;
}

/* Equal as far as these keys go. */
bool OSDictionary::isEqualTo(const OSDictionary *other, const OSCollection *keys) const
{
	OSCollectionIterator *each;
	bool equal = true;

	if (this == other)
		return true;
	if (count < keys->getCount() || other->count < keys->getCount())
		return false;
	each = OSCollectionIterator::withCollection(keys);
	while (equal) {
		const OSString *key = OSDynamicCast(OSString, each->getNextObject());
		const OSObject *mine, *theirs;

		if (!key)
			break;
		mine = getObject(key);
		theirs = other->getObject(key);
		equal = mine && theirs && mine->isEqualTo(theirs);
	}
	each->release();
	return equal;
}

bool OSDictionary::isEqualTo(const OSDictionary *other) const
{
	if (this == other)
		return true;
	if (count != other->count)
		return false;
	for (unsigned i = 0; i < count; i++) {
		const OSObject *theirs = other->getObject(dictionary[i].key);

		if (!theirs || !dictionary[i].value->isEqualTo(theirs))
			return false;
	}
	return true;
}

bool OSDictionary::isEqualTo(const OSMetaClassBase *other) const
{
	const OSDictionary *entries = OSDynamicCast(OSDictionary, other);

	return entries && isEqualTo(entries);
}

/* An iterator gives the keys. */
unsigned int OSDictionary::iteratorSize() const
{
	return sizeof(unsigned);
}

bool OSDictionary::initIterator(void *state) const
{
	*static_cast<unsigned *>(state) = 0;
	return true;
}

bool OSDictionary::getNextObjectForIterator(void *state, OSObject **object) const
{
	unsigned *at = static_cast<unsigned *>(state);

	*object = *at < count ? const_cast<OSSymbol *>(dictionary[(*at)++].key) : nullptr;
	return *object != nullptr;
}

/* Collections in it are copied too, other members are shared. */
OSCollection *OSDictionary::copyCollection(OSDictionary *made)
{
	OSDictionary *mine = made ? nullptr : OSDictionary::withCapacity(INCREMENT);
	OSDictionary *copies = made ? made : mine;
	OSCollection *there = sim_copy_made(copies, this);
	OSDictionary *copy = there ? nullptr : OSDictionary::withDictionary(this);

	if (copy)
		sim_copy_remember(copies, this, copy);
	for (unsigned i = 0; copy && i < copy->count; i++) {
		OSCollection *member = OSDynamicCast(OSCollection, copy->dictionary[i].value);
		OSCollection *its = member ? member->copyCollection(copies) : nullptr;

		if (its) {
			copy->setObject(copy->dictionary[i].key, its);
			its->release();
		}
	}
	if (mine)
		mine->release();
	return there ? there : copy;
}

bool OSDictionary::serialize(OSSerialize *) const
{
	sim_violation("OSDictionary::serialize is not simulated");
}
