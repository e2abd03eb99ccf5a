/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * OSArray: objects in order, each retained in the name of collections.
 */
#include <stdlib.h>
#include <string.h>

#include "guest/ports/xnu/kpi/collections.h"
#include "sim/macos/libkern/collection.h"
#include "sim/macos/sim.h"

#define INCREMENT   16u
#define ALLOC_FAILS sim_alloc_fails(__builtin_return_address(0))
#define HOLDER	    OSTypeID(OSCollection)

OSDefineMetaClassAndStructors(OSArray, OSCollection)
KPI_DEFINE_PADS(OSArray, 0, 1, 2, 3, 4, 5, 6, 7)

static OSObject *as_object(const OSMetaClassBase *member)
{
	return const_cast<OSObject *>(static_cast<const OSObject *>(member));
}

/* ---- making one ---- */

bool OSArray::initWithCapacity(unsigned int n)
{
	if (!OSCollection::init())
		return false;
	array = static_cast<const OSMetaClassBase **>(calloc(n ? n : 1, sizeof(*array)));
	if (!array)
		return false;
	count = 0;
	capacity = n;
	capacityIncrement = n ? n : INCREMENT;
	return true;
}

bool OSArray::initWithObjects(const OSObject *objects[], unsigned int n, unsigned int room)
{
	if (room && n > room)
		return false;
	if (!objects || !initWithCapacity(room ? room : n))
		return false;
	for (unsigned i = 0; i < n; i++) {
		if (!objects[i])
			return false;
		objects[i]->taggedRetain(HOLDER);
		array[count++] = objects[i];
	}
	return true;
}

bool OSArray::initWithArray(const OSArray *other, unsigned int room)
{
	if (!other || (room && other->count > room))
		return false;
	return initWithCapacity(room ? room : other->count) && merge(other);
}

OSArray *OSArray::withCapacity(unsigned int n)
{
	OSArray *me;

	if (ALLOC_FAILS)
		return nullptr;
	me = new OSArray;
	if (!me->initWithCapacity(n)) {
		me->release();
		return nullptr;
	}
	return me;
}

OSArray *OSArray::withObjects(const OSObject *objects[], unsigned int n, unsigned int room)
{
	OSArray *me;

	if (ALLOC_FAILS)
		return nullptr;
	me = new OSArray;
	if (!me->initWithObjects(objects, n, room)) {
		me->release();
		return nullptr;
	}
	return me;
}

OSArray *OSArray::withArray(const OSArray *other, unsigned int room)
{
	OSArray *me;

	if (ALLOC_FAILS)
		return nullptr;
	me = new OSArray;
	if (!me->initWithArray(other, room)) {
		me->release();
		return nullptr;
	}
	return me;
}

void OSArray::free()
{
	OSCollection::setOptions(0, kImmutable);
	flushCollection();
	::free(array);
	OSCollection::free();
}

/* ---- room ---- */

unsigned int OSArray::getCount() const
{
	return count;
}

unsigned int OSArray::getCapacity() const
{
	return capacity;
}

unsigned int OSArray::getCapacityIncrement() const
{
	return capacityIncrement;
}

unsigned int OSArray::setCapacityIncrement(unsigned int increment)
{
	return capacityIncrement = increment ? increment : INCREMENT;
}

unsigned int OSArray::ensureCapacity(unsigned int n)
{
	const OSMetaClassBase **larger;

	if (n <= capacity || ALLOC_FAILS)
		return capacity;
	n = sim_round_up(n, capacityIncrement);
	if (!n)
		return capacity;
	larger = static_cast<const OSMetaClassBase **>(realloc(array, n * sizeof(*array)));
	if (!larger)
		return capacity;
	memset(larger + capacity, 0, (n - capacity) * sizeof(*larger));
	array = larger;
	capacity = n;
	return capacity;
}

/* ---- changing it ---- */

void OSArray::flushCollection()
{
	unsigned n = count;

	haveUpdated();
	for (unsigned i = 0; i < n; i++)
		array[i]->taggedRelease(HOLDER);
	count = 0;
}

bool OSArray::setObject(const OSMetaClassBase *object)
{
	if (count == capacity && ALLOC_FAILS)
		return false;
	return setObject(count, object);
}

bool OSArray::setObject(unsigned int at, const OSMetaClassBase *object)
{
	if (at > count || !object)
		return false;
	if (count == capacity && (ALLOC_FAILS || ensureCapacity(count + 1) == count))
		return false;
	haveUpdated();
	object->taggedRetain(HOLDER);
	memmove(array + at + 1, array + at, (count - at) * sizeof(*array));
	array[at] = object;
	count++;
	return true;
}

bool OSArray::merge(const OSArray *other)
{
	unsigned n = other->count;

	if (!n)
		return true;
	if (n > capacity - count && (ALLOC_FAILS || ensureCapacity(count + n) < count + n))
		return false;
	haveUpdated();
	for (unsigned i = 0; i < n; i++) {
		other->array[i]->taggedRetain(HOLDER);
		array[count++] = other->array[i];
	}
	return true;
}

void OSArray::replaceObject(unsigned int at, const OSMetaClassBase *object)
{
	const OSMetaClassBase *old;

	if (at >= count || !object)
		return;
	haveUpdated();
	old = array[at];
	object->taggedRetain(HOLDER);
	array[at] = object;
	old->taggedRelease(HOLDER);
}

void OSArray::removeObject(unsigned int at)
{
	const OSMetaClassBase *old;

	if (at >= count)
		return;
	haveUpdated();
	old = array[at];
	count--;
	memmove(array + at, array + at + 1, (count - at) * sizeof(*array));
	old->taggedRelease(HOLDER);
}

unsigned int OSArray::setOptions(unsigned int options, unsigned int mask, void *)
{
	unsigned was = OSCollection::setOptions(options, mask);

	if (!((was ^ options) & mask))
		return was;
	for (unsigned i = 0; i < count; i++)
		if (OSCollection *member = OSDynamicCast(OSCollection, array[i]))
			member->setOptions(options, mask);
	return was;
}

/* ---- looking at it ---- */

OSObject *OSArray::getObject(unsigned int at) const
{
	return at < count ? as_object(array[at]) : nullptr;
}

OSObject *OSArray::getLastObject() const
{
	return count ? as_object(array[count - 1]) : nullptr;
}

unsigned int OSArray::getNextIndexOfObject(const OSMetaClassBase *object, unsigned int from) const
{
	for (unsigned i = from; i < count; i++)
		if (array[i] == object)
			return i;
	return ~0u;
}

bool OSArray::isEqualTo(const OSArray *other) const
{
	if (this == other)
		return true;
	if (count != other->count)
		return false;
	for (unsigned i = 0; i < count; i++)
		if (!array[i]->isEqualTo(other->array[i]))
			return false;
	return true;
}

bool OSArray::isEqualTo(const OSMetaClassBase *other) const
{
	const OSArray *members = OSDynamicCast(OSArray, other);

	return members && isEqualTo(members);
}

unsigned int OSArray::iteratorSize() const
{
	return sizeof(unsigned);
}

bool OSArray::initIterator(void *state) const
{
	*static_cast<unsigned *>(state) = 0;
	return true;
}

bool OSArray::getNextObjectForIterator(void *state, OSObject **object) const
{
	unsigned *at = static_cast<unsigned *>(state);

	*object = getObject(*at);
	if (*object)
		++*at;
	return *object != nullptr;
}

/* Collections in it are copied too, other members are shared. */
OSCollection *OSArray::copyCollection(OSDictionary *made)
{
	OSDictionary *mine = made ? nullptr : OSDictionary::withCapacity(INCREMENT);
	OSDictionary *copies = made ? made : mine;
	OSCollection *there = sim_copy_made(copies, this);
	OSArray *copy = there ? nullptr : OSArray::withArray(this);

	if (copy)
		sim_copy_remember(copies, this, copy);
	for (unsigned i = 0; copy && i < copy->count; i++) {
		OSCollection *member = OSDynamicCast(OSCollection, copy->array[i]);
		OSCollection *its = member ? member->copyCollection(copies) : nullptr;

		if (its) {
			copy->replaceObject(i, its);
			its->release();
		}
	}
	if (mine)
		mine->release();
	return there ? there : copy;
}

bool OSArray::serialize(OSSerialize *) const
{
	sim_violation("OSArray::serialize is not simulated");
}
