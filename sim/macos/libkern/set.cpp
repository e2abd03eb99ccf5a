/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * OSSet: an OSArray in which each object is once. It is the array that retains them.
 */
#include "guest/ports/xnu/kpi/collections.h"
#include "sim/macos/libkern/collection.h"
#include "sim/macos/sim.h"

#define INCREMENT   16u
#define ALLOC_FAILS sim_alloc_fails(__builtin_return_address(0))

OSDefineMetaClassAndStructors(OSSet, OSCollection)
KPI_DEFINE_PADS(OSSet, 0, 1, 2, 3, 4, 5, 6, 7)

/* ---- making one ---- */

bool OSSet::initWithCapacity(unsigned int n)
{
	if (!OSCollection::init())
		return false;
	members = OSArray::withCapacity(n);
	return members != nullptr;
}

bool OSSet::initWithObjects(const OSObject *objects[], unsigned int n, unsigned int room)
{
	if (!objects || (room && n > room) || !initWithCapacity(room ? room : n))
		return false;
	for (unsigned i = 0; i < n; i++)
		setObject(objects[i]);
	return true;
}

bool OSSet::initWithArray(const OSArray *array, unsigned int room)
{
	if (!array || (room && array->getCount() > room) ||
	    !initWithCapacity(room ? room : array->getCount()))
		return false;
	merge(array);
	return true;
}

bool OSSet::initWithSet(const OSSet *other, unsigned int room)
{
	return initWithArray(other->members, room);
}

OSSet *OSSet::withCapacity(unsigned int n)
{
	OSSet *me;

	if (ALLOC_FAILS)
		return nullptr;
	me = new OSSet;
	if (!me->initWithCapacity(n)) {
		me->release();
		return nullptr;
	}
	return me;
}

OSSet *OSSet::withObjects(const OSObject *objects[], unsigned int n, unsigned int room)
{
	OSSet *me;

	if (ALLOC_FAILS)
		return nullptr;
	me = new OSSet;
	if (!me->initWithObjects(objects, n, room)) {
		me->release();
		return nullptr;
	}
	return me;
}

OSSet *OSSet::withArray(const OSArray *array, unsigned int room)
{
	OSSet *me;

	if (ALLOC_FAILS)
		return nullptr;
	me = new OSSet;
	if (!me->initWithArray(array, room)) {
		me->release();
		return nullptr;
	}
	return me;
}

OSSet *OSSet::withSet(const OSSet *other, unsigned int room)
{
	OSSet *me;

	if (ALLOC_FAILS)
		return nullptr;
	me = new OSSet;
	if (!me->initWithSet(other, room)) {
		me->release();
		return nullptr;
	}
	return me;
}

void OSSet::free()
{
	if (members)
		members->release();
	OSCollection::free();
}

/* ---- room ---- */

unsigned int OSSet::getCount() const
{
	return members->getCount();
}

unsigned int OSSet::getCapacity() const
{
	return members->getCapacity();
}

unsigned int OSSet::getCapacityIncrement() const
{
	return members->getCapacityIncrement();
}

unsigned int OSSet::setCapacityIncrement(unsigned int increment)
{
	return members->setCapacityIncrement(increment);
}

unsigned int OSSet::ensureCapacity(unsigned int n)
{
	if (n > members->getCapacity() && ALLOC_FAILS)
		return members->getCapacity();
	return members->ensureCapacity(n);
}

/* ---- changing it ---- */

void OSSet::flushCollection()
{
	haveUpdated();
	members->flushCollection();
}

bool OSSet::setObject(const OSMetaClassBase *object)
{
	if (containsObject(object))
		return false;
	if (members->getCount() == members->getCapacity() && ALLOC_FAILS)
		return false;
	haveUpdated();
	return members->setObject(object);
}

bool OSSet::merge(const OSArray *array)
{
	bool any = false;

	for (unsigned i = 0; i < array->getCount(); i++)
		any |= setObject(array->getObject(i));
	return any;
}

bool OSSet::merge(const OSSet *other)
{
	return merge(other->members);
}

void OSSet::removeObject(const OSMetaClassBase *object)
{
	unsigned at = members->getNextIndexOfObject(object, 0);

	if (at >= members->getCount())
		return;
	haveUpdated();
	members->removeObject(at);
}

unsigned int OSSet::setOptions(unsigned int options, unsigned int mask, void *)
{
	unsigned was = OSCollection::setOptions(options, mask);

	if ((was ^ options) & mask)
		members->setOptions(options, mask);
	return was;
}

/* ---- looking at it ---- */

bool OSSet::containsObject(const OSMetaClassBase *object) const
{
	return object && member(object);
}

bool OSSet::member(const OSMetaClassBase *object) const
{
	return members->getNextIndexOfObject(object, 0) < members->getCount();
}

OSObject *OSSet::getAnyObject() const
{
	return members->getObject(0);
}

/*
 * Before 10.8 the order counts; members that are equal, but not the same, have to be in the same
 * place in all releases [XNU-OBJ-18].
 */
bool OSSet::isEqualTo(const OSSet *other) const
{
	if (this == other)
		return true;
	if (getCount() != other->getCount())
		return false;
	for (unsigned i = 0; i < getCount(); i++) {
		const OSObject *theirs = other->members->getObject(i);

		if (sim_release_at_least(8) && containsObject(theirs))
			continue;
		if (!theirs->isEqualTo(members->getObject(i)))
			return false;
	}
	return true;
}

bool OSSet::isEqualTo(const OSMetaClassBase *other) const
{
	const OSSet *set = OSDynamicCast(OSSet, other);

	return set && isEqualTo(set);
}

unsigned int OSSet::iteratorSize() const
{
	return sizeof(unsigned);
}

bool OSSet::initIterator(void *state) const
{
	*static_cast<unsigned *>(state) = 0;
	return true;
}

bool OSSet::getNextObjectForIterator(void *state, OSObject **object) const
{
	unsigned *at = static_cast<unsigned *>(state);

	*object = members->getObject(*at);
	if (*object)
		++*at;
	return *object != nullptr;
}

OSCollection *OSSet::copyCollection(OSDictionary *made)
{
	OSDictionary *mine = made ? nullptr : OSDictionary::withCapacity(INCREMENT);
	OSDictionary *copies = made ? made : mine;
	OSCollection *there = sim_copy_made(copies, this);
	OSSet *copy = there ? nullptr : OSSet::withCapacity(members->getCapacity());

	if (copy)
		sim_copy_remember(copies, this, copy);
	for (unsigned i = 0; copy && i < members->getCount(); i++) {
		OSObject *object = members->getObject(i);
		OSCollection *member = OSDynamicCast(OSCollection, object);

		if (!member) {
			copy->setObject(object);
			continue;
		}
		member = member->copyCollection(copies);
		copy->setObject(member);
		member->release();
	}
	if (mine)
		mine->release();
	return there ? there : copy;
}

bool OSSet::serialize(OSSerialize *) const
{
	sim_violation("OSSet::serialize is not simulated");
}
