/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Classes at run time: names, superclasses, how many instances, and which bundle brought them.
 *
 * Theory of operation. Each class has one OSMetaClass, an object with static life whose constructor
 * knows nothing but the class's name, size and superclass. Who loads a kext brackets its static
 * constructors with preModLoad() and postModLoad(); what was constructed between goes into the
 * dictionary of classes at the latter, all or nothing, and only then has it a symbol for a name
 * [XNU-OBJ-7]. Static destructors take the classes out again.
 *
 * The classes of this program itself come before main(), in any order, and belong to no bundle.
 * They are in the dictionary at once, and stay there even while the program exits.
 *
 * The dictionary is a list of records; a metaclass points to its own through `reserved`.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "guest/ports/xnu/kpi/collections.h"
#include "guest/ports/xnu/kpi/runtime.h"
#include "sim/macos/libkern/block.h"
#include "sim/macos/libkern/runtime_sim.h"
#include "sim/macos/libkern/internal.h"
#include "sim/macos/sim.h"

#define METACLASS_ERROR(code) static_cast<OSReturn>(0xdc004000u | (code))
#define ERROR_INTERNAL	      METACLASS_ERROR(1)
#define LOADING_S	      60
#define ERROR_DUPLICATE	      METACLASS_ERROR(10)

namespace
{
struct class_record {
	struct class_record *next;
	const OSMetaClass *meta;
	char *name;   /* a copy */
	char *bundle; /* 0: this program's */
};

struct load_phase {
	char *bundle;
	struct class_record *first, **last;
	pthread_t thread;
};
} // namespace

struct OSMetaClass::ExpansionData : class_record {
	bool published;
};

static pthread_mutex_t classes_lock = PTHREAD_MUTEX_INITIALIZER;
static struct class_record *classes;

/* Held from preModLoad() to postModLoad(). */
static pthread_mutex_t loading_lock = PTHREAD_MUTEX_INITIALIZER;
static struct load_phase *loading;
static bool kexts; /* there was a preModLoad() */

static char *copy_text(const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		abort();
	return copy;
}

/* With classes_lock held. */
static struct class_record *class_named(const char *name)
{
	for (struct class_record *r = classes; r; r = r->next)
		if (!strcmp(r->name, name))
			return r;
	return nullptr;
}

static void unlink_record(struct class_record **list, const struct class_record *record)
{
	for (; *list; list = &(*list)->next)
		if (*list == record) {
			*list = record->next;
			return;
		}
}

/* ---- OSMetaClassBase ---- */

#define NO_SLOT(c, n)                                                                              \
	void c::_RESERVED##c##n()                                                                  \
	{                                                                                          \
		sim_violation("spare slot %u of " #c " is called", n);                             \
	}

NO_SLOT(OSMetaClassBase, 3)
NO_SLOT(OSMetaClassBase, 4)
NO_SLOT(OSMetaClassBase, 5)
NO_SLOT(OSMetaClassBase, 6)
NO_SLOT(OSMetaClassBase, 7)

OSMetaClassBase::OSMetaClassBase()
{
}

OSMetaClassBase::~OSMetaClassBase()
{
}

bool OSMetaClassBase::isEqualTo(const OSMetaClassBase *other) const
{
	return this == other;
}

OSMetaClassBase *OSMetaClassBase::metaCast(const OSMetaClass *meta) const
{
	if (!meta)
		sim_violation("%s is cast to no class", sim_class_name(this));
	return meta->checkMetaCast(this);
}

OSMetaClassBase *OSMetaClassBase::metaCast(const OSSymbol *name) const
{
	return OSMetaClass::checkMetaCastWithName(name, this);
}

OSMetaClassBase *OSMetaClassBase::metaCast(const OSString *name) const
{
	return OSMetaClass::checkMetaCastWithName(name, this);
}

OSMetaClassBase *OSMetaClassBase::metaCast(const char *name) const
{
	return OSMetaClass::checkMetaCastWithName(name, this);
}

OSMetaClassBase *OSMetaClassBase::safeMetaCast(const OSMetaClassBase *object,
					       const OSMetaClass *meta)
{
	return object ? object->metaCast(meta) : nullptr;
}

bool OSMetaClassBase::checkTypeInst(const OSMetaClassBase *object, const OSMetaClassBase *like)
{
	return object && like && object->metaCast(like->getMetaClass());
}

/* ---- the class of classes ---- */

namespace
{
class class_of_classes : public OSMetaClass
{
public:
	class_of_classes() : OSMetaClass("OSMetaClass", nullptr, sizeof(OSMetaClass))
	{
	}

	OSObject *alloc() const override
	{
		return nullptr;
	}
};
} // namespace

static class_of_classes meta_meta;

const OSMetaClass *const OSMetaClass::metaClass = &meta_meta;

const OSMetaClass *OSMetaClass::getMetaClass() const
{
	return &meta_meta;
}

NO_SLOT(OSMetaClass, 0)
NO_SLOT(OSMetaClass, 1)
NO_SLOT(OSMetaClass, 2)
NO_SLOT(OSMetaClass, 3)
NO_SLOT(OSMetaClass, 4)
NO_SLOT(OSMetaClass, 5)
NO_SLOT(OSMetaClass, 6)
NO_SLOT(OSMetaClass, 7)

/* Metaclasses are not counted. */
void *OSMetaClass::operator new(size_t)
{
	sim_violation("an OSMetaClass is made with new");
}

void OSMetaClass::retain() const
{
}

void OSMetaClass::release() const
{
}

void OSMetaClass::release(int) const
{
}

void OSMetaClass::taggedRetain(const void *) const
{
}

void OSMetaClass::taggedRelease(const void *) const
{
}

void OSMetaClass::taggedRelease(const void *, const int) const
{
}

int OSMetaClass::getRetainCount() const
{
	return 0;
}

bool OSMetaClass::serialize(OSSerialize *) const
{
	sim_violation("OSMetaClass::serialize is not simulated");
}

/* ---- birth and death of a class ---- */

/*
 * Of this program's own classes an object may have been made before the constructor runs, so
 * instanceCount keeps what it has since the program began.
 */
OSMetaClass::OSMetaClass(const char *name, const OSMetaClass *super, unsigned int size)
{
	struct load_phase *into = __atomic_load_n(&loading, __ATOMIC_ACQUIRE);
	ExpansionData *record = static_cast<ExpansionData *>(calloc(1, sizeof(*record)));

	if (!record)
		abort();
	superClassLink = super;
	classSize = size;
	className = nullptr;
	reserved = record;
	record->meta = this;
	record->name = copy_text(name);
	if (into && pthread_equal(into->thread, pthread_self())) {
		instanceCount = 0;
		record->bundle = copy_text(into->bundle);
		*into->last = record;
		into->last = &record->next;
		return;
	}
	if (__atomic_load_n(&kexts, __ATOMIC_RELAXED) && sim_in_kext(this))
		sim_violation("class %s is constructed, but its kext is not being loaded", name);
	record->published = true;
	pthread_mutex_lock(&classes_lock);
	record->next = classes;
	classes = record;
	pthread_mutex_unlock(&classes_lock);
}

OSMetaClass::~OSMetaClass()
{
	ExpansionData *record = reserved;
	const char *derived = nullptr;

	if (!record->bundle)
		return;
	pthread_mutex_lock(&classes_lock);
	for (const struct class_record *r = classes; r; r = r->next)
		if (r->meta->superClassLink == this &&
		    (!r->bundle || strcmp(r->bundle, record->bundle) != 0))
			derived = r->name;
	unlink_record(&classes, record);
	pthread_mutex_unlock(&classes_lock);
	if (instanceCount)
		sim_violation("class %s of %s goes away while %u instances are left", record->name,
			      record->bundle, instanceCount);
	if (derived)
		sim_violation("class %s of %s goes away while %s is derived from it", record->name,
			      record->bundle, derived);
	if (loading && pthread_equal(loading->thread, pthread_self())) {
		unlink_record(&loading->first, record);
		loading->last = &loading->first;
		while (*loading->last)
			loading->last = &(*loading->last)->next;
	}
	if (className)
		className->release();
	::free(record->name);
	::free(record->bundle);
	::free(record);
	reserved = nullptr;
}

/* ---- loading ---- */

void *OSMetaClass::preModLoad(const char *bundle)
{
	struct load_phase *l;
	struct timespec end;

	sim_may_block("OSMetaClass::preModLoad");
	l = __atomic_load_n(&loading, __ATOMIC_ACQUIRE);
	if (l && pthread_equal(l->thread, pthread_self()))
		sim_violation("OSMetaClass::preModLoad(%s) while %s is being loaded", bundle,
			      l->bundle);
	sim_block_kexts();
	__atomic_store_n(&kexts, true, __ATOMIC_RELAXED);
	l = static_cast<struct load_phase *>(calloc(1, sizeof(*l)));
	if (!l)
		abort();
	l->bundle = copy_text(bundle);
	l->last = &l->first;
	l->thread = pthread_self();
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += LOADING_S;
	if (pthread_mutex_timedlock(&loading_lock, &end) != 0)
		sim_violation("OSMetaClass::preModLoad(%s): another bundle is not done in %d s",
			      bundle, LOADING_S);
	__atomic_store_n(&loading, l, __ATOMIC_RELEASE);
	return l;
}

bool OSMetaClass::checkModLoad(void *handle)
{
	return handle && handle == loading;
}

/*
 * A class that is there already refuses all of them; the caller runs the destructors then
 * [XNU-OBJ-8].
 */
OSReturn OSMetaClass::postModLoad(void *handle)
{
	struct load_phase *l = loading;
	OSReturn result = 0;

	if (!l || handle != l)
		return ERROR_INTERNAL;
	pthread_mutex_lock(&classes_lock);
	for (struct class_record *r = l->first; r && !result; r = r->next) {
		const struct class_record *there = class_named(r->name);

		for (struct class_record *s = l->first; s != r && !there; s = s->next)
			if (!strcmp(s->name, r->name))
				there = s;
		if (there) {
			sim_log("OSMetaClass: Kext %s class %s is a duplicate; %s already has a "
				"class by that name.",
				l->bundle, r->name, there->bundle ? there->bundle : "the kernel");
			result = ERROR_DUPLICATE;
		}
	}
	pthread_mutex_unlock(&classes_lock);

	for (struct class_record *r = l->first, *next; r; r = next) {
		OSMetaClass *meta = const_cast<OSMetaClass *>(r->meta);

		next = r->next;
		r->next = nullptr;
		if (result)
			continue;
		meta->className = OSSymbol::withCString(r->name);
		meta->reserved->published = true;
		pthread_mutex_lock(&classes_lock);
		r->next = classes;
		classes = r;
		pthread_mutex_unlock(&classes_lock);
	}
	__atomic_store_n(&loading, nullptr, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&loading_lock);
	::free(l->bundle);
	::free(l);
	return result;
}

/* ---- instances ---- */

/* The superclass counts a subclass once, however many instances that has [XNU-OBJ-9]. */
void OSMetaClass::instanceConstructed() const
{
	if (__atomic_fetch_add(&instanceCount, 1, __ATOMIC_ACQ_REL) == 0 && superClassLink)
		superClassLink->instanceConstructed();
}

void OSMetaClass::instanceDestructed() const
{
	const unsigned was = __atomic_fetch_sub(&instanceCount, 1, __ATOMIC_ACQ_REL);

	if (!was)
		sim_violation("class %s loses an instance and has none", getClassName());
	if (was == 1 && superClassLink)
		superClassLink->instanceDestructed();
}

unsigned sim_class_instances(const char *bundle,
			     void (*each)(void *arg, const char *class_name, unsigned n), void *arg)
{
	unsigned n = 0;

	pthread_mutex_lock(&classes_lock);
	for (const struct class_record *r = classes; r; r = r->next) {
		unsigned instances = r->meta->getInstanceCount();

		if (!instances || !r->bundle || strcmp(r->bundle, bundle) != 0)
			continue;
		n++;
		if (each)
			each(arg, r->name, instances);
	}
	pthread_mutex_unlock(&classes_lock);
	return n;
}

bool OSMetaClass::modHasInstance(const char *bundle)
{
	sim_may_block("OSMetaClass::modHasInstance");
	return sim_class_instances(bundle, nullptr, nullptr) != 0;
}

/* A static destructor that did not run. */
void sim_class_check_gone(const char *bundle)
{
	const char *left = nullptr;

	pthread_mutex_lock(&classes_lock);
	for (const struct class_record *r = classes; r; r = r->next)
		if (r->bundle && !strcmp(r->bundle, bundle))
			left = r->name;
	pthread_mutex_unlock(&classes_lock);
	if (left)
		sim_violation("%s is unloaded, but its class %s is still there", bundle, left);
}

bool sim_class_of_kext(const OSMetaClass *meta)
{
	bool is = false;

	pthread_mutex_lock(&classes_lock);
	for (const struct class_record *r = classes; r && !is; r = r->next)
		is = r->meta == meta && r->bundle;
	pthread_mutex_unlock(&classes_lock);
	return is;
}

/* ---- looking up ---- */

const OSMetaClass *OSMetaClass::getMetaClassWithName(const OSSymbol *name)
{
	const struct class_record *r;

	sim_may_block("OSMetaClass::getMetaClassWithName");
	if (!name)
		return nullptr;
	pthread_mutex_lock(&classes_lock);
	r = class_named(name->getCStringNoCopy());
	pthread_mutex_unlock(&classes_lock);
	return r ? r->meta : nullptr;
}

OSObject *OSMetaClass::allocClassWithName(const OSSymbol *name)
{
	const OSMetaClass *meta = getMetaClassWithName(name);

	return meta ? meta->alloc() : nullptr;
}

OSObject *OSMetaClass::allocClassWithName(const OSString *name)
{
	const OSSymbol *symbol = OSSymbol::withString(name);
	OSObject *object = allocClassWithName(symbol);

	symbol->release();
	return object;
}

OSObject *OSMetaClass::allocClassWithName(const char *name)
{
	const OSSymbol *symbol = OSSymbol::withCString(name);
	OSObject *object = allocClassWithName(symbol);

	symbol->release();
	return object;
}

OSMetaClassBase *OSMetaClass::checkMetaCast(const OSMetaClassBase *object) const
{
	for (const OSMetaClass *meta = object->getMetaClass(); meta; meta = meta->superClassLink)
		if (meta == this)
			return const_cast<OSMetaClassBase *>(object);
	return nullptr;
}

OSMetaClassBase *OSMetaClass::checkMetaCastWithName(const OSSymbol *name,
						    const OSMetaClassBase *object)
{
	const OSMetaClass *meta = getMetaClassWithName(name);

	return meta ? meta->checkMetaCast(object) : nullptr;
}

OSMetaClassBase *OSMetaClass::checkMetaCastWithName(const OSString *name,
						    const OSMetaClassBase *object)
{
	const OSSymbol *symbol = OSSymbol::withString(name);
	OSMetaClassBase *cast = checkMetaCastWithName(symbol, object);

	symbol->release();
	return cast;
}

OSMetaClassBase *OSMetaClass::checkMetaCastWithName(const char *name, const OSMetaClassBase *object)
{
	const OSSymbol *symbol = OSSymbol::withCString(name);
	OSMetaClassBase *cast = checkMetaCastWithName(symbol, object);

	symbol->release();
	return cast;
}

const OSMetaClass *OSMetaClass::getSuperClass() const
{
	return superClassLink;
}

/* Of a class that is still being loaded a kernel takes the text for a symbol. */
const char *OSMetaClass::getClassName() const
{
	if (!reserved->published)
		sim_violation("OSMetaClass::getClassName() of %s while its kext is being loaded",
			      reserved->name);
	return reserved->name;
}

unsigned int OSMetaClass::getClassSize() const
{
	return classSize;
}

unsigned int OSMetaClass::getInstanceCount() const
{
	return __atomic_load_n(&instanceCount, __ATOMIC_ACQUIRE);
}

void OSMetaClass::reservedCalled(int at) const
{
	sim_violation("spare slot %d of %s is called", at, getClassName());
}

const char *sim_class_name(const OSMetaClassBase *object)
{
	return object ? object->getMetaClass()->getClassName() : "nothing";
}
