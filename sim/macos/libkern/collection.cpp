/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * OSCollection, and going through one with an OSCollectionIterator.
 *
 * A collection has no lock: whoever shares one must have. What it has is a stamp that each change
 * counts up; an iterator remembers it, and gives nothing more once it differs [XNU-OBJ-14]. A
 * collection that became a property of a registry entry is immutable: changing it panics
 * [XNU-OBJ-15].
 */
#include <stdlib.h>

#include "guest/ports/xnu/kpi/collections.h"
#include "sim/macos/libkern/collection.h"
#include "sim/macos/libkern/runtime_sim.h"
#include "sim/macos/sim.h"

OSDefineMetaClassAndAbstractStructors(OSCollection, OSObject)
KPI_DEFINE_PADS(OSCollection, 2, 3, 4, 5, 6, 7)

bool OSCollection::init()
{
	if (!OSObject::init())
		return false;
	updateStamp = 0;
	return true;
}

void OSCollection::haveUpdated()
{
	if (fOptions & kImmutable)
		sim_violation("%s %p, a property of a registry entry, is changed",
			      sim_class_name(this), static_cast<void *>(this));
	updateStamp++;
}

unsigned int OSCollection::setOptions(unsigned int options, unsigned int mask, void *)
{
	unsigned was = fOptions;

	fOptions = (was & ~mask) | (options & mask);
	return was;
}

/* For a class that does not copy itself. Copies made so far are in `made`. */
OSCollection *OSCollection::copyCollection(OSDictionary *made)
{
	if (made)
		return sim_copy_made(made, this);
	retain();
	return this;
}

static const OSSymbol *copy_key(const OSCollection *of)
{
	char text[24];

	snprintf(text, sizeof(text), "%p", static_cast<const void *>(of));
	return OSSymbol::withCString(text);
}

OSCollection *sim_copy_made(const OSDictionary *made, const OSCollection *of)
{
	const OSSymbol *key = copy_key(of);
	OSObject *copy = made->getObject(key);

	key->release();
	if (copy)
		copy->retain();
	return OSDynamicCast(OSCollection, copy);
}

bool sim_copy_remember(OSDictionary *made, const OSCollection *of, OSCollection *copy)
{
	const OSSymbol *key = copy_key(of);
	bool ok = made->setObject(key, copy);

	key->release();
	return ok;
}

unsigned sim_round_up(unsigned n, unsigned to)
{
	unsigned rest = n % to;

	if (!rest)
		return n;
	return n > ~0u - (to - rest) ? 0 : n + (to - rest);
}

/* ---- iterators ---- */

OSDefineMetaClassAndAbstractStructors(OSIterator, OSObject)
KPI_DEFINE_PADS(OSIterator, 0, 1, 2, 3)

OSDefineMetaClassAndStructors(OSCollectionIterator, OSIterator)

namespace
{
/* A way to what a collection keeps for iterators. */
class inside : public OSCollection
{
	inside();

public:
	static unsigned stamp(const OSCollection *c)
	{
		return c->*(&inside::updateStamp);
	}

	static unsigned state_size(const OSCollection *c)
	{
		return (c->*(&inside::iteratorSize))();
	}

	static bool begin(const OSCollection *c, void *state)
	{
		return (c->*(&inside::initIterator))(state);
	}

	static bool next(const OSCollection *c, void *state, OSObject **object)
	{
		return (c->*(&inside::getNextObjectForIterator))(state, object);
	}
};
} // namespace

bool OSCollectionIterator::initWithCollection(const OSCollection *of)
{
	if (!OSObject::init() || !of)
		return false;
	of->retain();
	collection = of;
	collIterator = nullptr;
	valid = false;
	return true;
}

OSCollectionIterator *OSCollectionIterator::withCollection(const OSCollection *of)
{
	OSCollectionIterator *me;

	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	me = new OSCollectionIterator;
	if (!me->initWithCollection(of)) {
		me->release();
		return nullptr;
	}
	return me;
}

void OSCollectionIterator::free()
{
	::free(collIterator);
	if (collection)
		collection->release();
	OSObject::free();
}

void OSCollectionIterator::reset()
{
	valid = false;
	if (!collIterator)
		collIterator = calloc(1, inside::state_size(collection));
	if (!collIterator)
		abort();
	if (!inside::begin(collection, collIterator))
		return;
	initialUpdateStamp = inside::stamp(collection);
	valid = true;
}

/* It begins when it is first asked, not when it is made [XNU-OBJ-16]. */
bool OSCollectionIterator::isValid()
{
	if (!collIterator)
		reset();
	return valid && initialUpdateStamp == inside::stamp(collection);
}

OSObject *OSCollectionIterator::getNextObject()
{
	OSObject *object = nullptr;

	if (!isValid())
		return nullptr;
	return inside::next(collection, collIterator, &object) ? object : nullptr;
}
