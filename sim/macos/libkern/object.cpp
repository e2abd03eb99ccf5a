/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * OSObject, and the two objects that are there before all others: kOSBooleanTrue and
 * kOSBooleanFalse. They are together so that they are constructed in the right order.
 *
 * Theory of operation. The word retainCount holds two counts: references in its low half, and how
 * many of these are collections' in its high half [XNU-OBJ-1]. Whoever takes the last reference
 * away sets the low half to FREEING and calls free(), which ends in OSObject::free(): the class
 * loses an instance, then the object deletes itself. At PEGGED the count has come so far that it
 * stays there for ever [XNU-OBJ-2].
 *
 * A kernel panics when a dying object is retained, and overlooks that one is released [XNU-OBJ-3].
 * Here both are violations: the second is a mistake too, and the memory is gone a moment later.
 */
#include "guest/ports/xnu/kpi/collections.h"
#include "guest/ports/xnu/kpi/runtime.h"
#include "sim/macos/libkern/block.h"
#include "sim/macos/libkern/runtime_sim.h"
#include "sim/macos/sim.h"

#define COUNT(word)   ((word)&0xffffu)
#define HOLDERS(word) ((word) >> 16)
#define HOLDER	      0x10000u
#define FREEING	      0xffffu
#define PEGGED	      0xfffeu

/* ---- the class, as its macro would have it if there were a superclass ---- */

OSObject::MetaClass OSObject::gMetaClass;
const OSMetaClass *const OSObject::metaClass = &OSObject::gMetaClass;
const OSMetaClass *const OSObject::superClass = nullptr;

OSObject::MetaClass::MetaClass() : OSMetaClass("OSObject", nullptr, sizeof(OSObject))
{
}

OSObject *OSObject::MetaClass::alloc() const
{
	return nullptr;
}

const OSMetaClass *OSObject::getMetaClass() const
{
	return &gMetaClass;
}

OSObject::OSObject()
{
	retainCount = 1;
}

OSObject::OSObject(const OSMetaClass *)
{
	retainCount = 1;
}

OSObject::~OSObject()
{
}

KPI_DEFINE_PADS(OSObject, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)

/* ---- memory ---- */

/*
 * The kernel's waits for memory, and would not return without: there is no check in it, and
 * compilers leave out the caller's [XNU-OBJ-4]. So it does not fail here.
 */
void *OSObject::operator new(size_t size)
{
	return sim_block_new(size, __builtin_frame_address(0));
}

void OSObject::operator delete(void *object, size_t size)
{
	if (object)
		sim_block_delete(object, size);
}

bool OSObject::init()
{
	return true;
}

void OSObject::free()
{
	const OSMetaClass *meta = getMetaClass();
	const unsigned word = static_cast<unsigned>(retainCount);

	/* An init that fails may free its object without release(): that is the one reference. */
	if (COUNT(word) != FREEING && word != 1)
		sim_violation("%s %p is freed with %u references, %u of them by collections",
			      meta->getClassName(), static_cast<void *>(this), COUNT(word),
			      HOLDERS(word));
	sim_block_dying(this, meta->getClassName());
	meta->instanceDestructed();
	delete this;
}

/* ---- references ---- */

static unsigned reference(const void *tag)
{
	return tag == static_cast<const void *>(OSTypeID(OSCollection)) ? 1 + HOLDER : 1;
}

int OSObject::getRetainCount() const
{
	return static_cast<int>(COUNT(static_cast<unsigned>(retainCount)));
}

void OSObject::taggedRetain(const void *tag) const
{
	int *const count = const_cast<int *>(&retainCount);
	const unsigned more = reference(tag);
	int was = __atomic_load_n(count, __ATOMIC_RELAXED), is;

	do {
		const unsigned word = static_cast<unsigned>(was);

		if (COUNT(word) == FREEING)
			sim_violation("%s %p is retained while it is freed", sim_class_name(this),
				      static_cast<const void *>(this));
		if (COUNT(word) == PEGGED)
			return;
		is = static_cast<int>(word + more);
	} while (!__atomic_compare_exchange_n(count, &was, is, true, __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));
}

void OSObject::taggedRelease(const void *tag, const int when) const
{
	int *const count = const_cast<int *>(&retainCount);
	const unsigned less = reference(tag);
	int was = __atomic_load_n(count, __ATOMIC_RELAXED), is;
	unsigned left;

	do {
		const unsigned word = static_cast<unsigned>(was);

		if (COUNT(word) == FREEING)
			sim_violation("%s %p is released while it is freed", sim_class_name(this),
				      static_cast<const void *>(this));
		if (COUNT(word) == PEGGED)
			return;
		left = word - less;
		is = static_cast<int>(COUNT(left)) < when ? static_cast<int>(FREEING)
							  : static_cast<int>(left);
	} while (!__atomic_compare_exchange_n(count, &was, is, true, __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));

	/* What a collection still has is not theirs to release [XNU-OBJ-5]. */
	if (COUNT(left) < HOLDERS(left))
		sim_violation("%s %p is released once too often: %u of %u references are "
			      "collections'",
			      sim_class_name(this), static_cast<const void *>(this), HOLDERS(left),
			      COUNT(left));
	if (is == static_cast<int>(FREEING))
		const_cast<OSObject *>(this)->free();
}

void OSObject::taggedRelease(const void *tag) const
{
	taggedRelease(tag, 1);
}

void OSObject::retain() const
{
	taggedRetain(nullptr);
}

void OSObject::release() const
{
	taggedRelease(nullptr);
}

void OSObject::release(int when) const
{
	taggedRelease(nullptr, when);
}

bool OSObject::serialize(OSSerialize *) const
{
	sim_violation("OSObject::serialize is not simulated");
}

/* ---- true and false ---- */

OSDefineMetaClassAndStructors(OSBoolean, OSObject)
KPI_DEFINE_PADS(OSBoolean, 0, 1, 2, 3, 4, 5, 6, 7)

static OSBoolean *the_true = new OSBoolean;
static OSBoolean *the_false = new OSBoolean;

OSBoolean *const &kOSBooleanTrue = the_true;
OSBoolean *const &kOSBooleanFalse = the_false;

OSBoolean *OSBoolean::withBoolean(bool yes)
{
	return yes ? the_true : the_false;
}

/* Nobody counts who uses them, and nobody can free them [XNU-OBJ-6]. */
void OSBoolean::taggedRetain(const void *) const
{
}

void OSBoolean::taggedRelease(const void *, const int) const
{
}

void OSBoolean::free()
{
}

bool OSBoolean::getValue() const
{
	return this == the_true;
}

bool OSBoolean::isTrue() const
{
	return this == the_true;
}

bool OSBoolean::isFalse() const
{
	return this != the_true;
}

bool OSBoolean::isEqualTo(const OSBoolean *other) const
{
	return this == other;
}

bool OSBoolean::isEqualTo(const OSMetaClassBase *other) const
{
	return this == other;
}

bool OSBoolean::serialize(OSSerialize *) const
{
	sim_violation("OSBoolean::serialize is not simulated");
}
