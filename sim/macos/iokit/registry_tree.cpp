/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Planes: who is attached to whom.
 *
 * Theory of operation. A link is an element in the child's list of parents and one in the parent's
 * list of children; each holds a reference, marked as a collection's: whoever releases an attached
 * entry once too often is found at that release [XNU-REG-8].
 */
#include <stdio.h>

#include "sim/macos/iokit/service_sim.h"

OSDefineMetaClassAndStructors(IORegistryPlane, OSObject)

/* Recursive: what releases an object under it may free one. Waited on by its first holder
   only. */
pthread_mutex_t sim_iokit_mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

extern "C" {
const IORegistryPlane *gIOServicePlane;
}

static IORegistryPlane *planes[SIM_PLANES];
static unsigned planes_count;
static IORegistryEntry *root;
static SInt32 generation;

sim_iokit_hold::sim_iokit_hold() : held(sim_cpu()->level != SIM_DEBUGGER)
{
	if (held)
		pthread_mutex_lock(&sim_iokit_mutex);
}

sim_iokit_hold::~sim_iokit_hold()
{
	if (held)
		pthread_mutex_unlock(&sim_iokit_mutex);
}

/* ---- planes ---- */

void IORegistryPlane::free()
{
	if (name)
		name->release();
	name = nullptr;
	OSObject::free();
}

const IORegistryPlane *IORegistryEntry::makePlane(const char *name)
{
	IORegistryPlane *plane;

	if (getPlane(name))
		return getPlane(name);
	plane = new IORegistryPlane;
	plane->name = OSSymbol::withCString(name);
	sim_iokit_hold hold;

	if (planes_count == SIM_PLANES)
		sim_violation("IORegistryEntry::makePlane(%s): more than %d planes", name,
			      SIM_PLANES);
	plane->index = planes_count;
	planes[planes_count++] = plane;
	return plane;
}

const IORegistryPlane *IORegistryEntry::getPlane(const char *name)
{
	sim_iokit_hold hold;

	for (unsigned i = 0; i < planes_count; i++)
		if (planes[i]->name->isEqualTo(name))
			return planes[i];
	return nullptr;
}

IORegistryEntry *IORegistryEntry::getRegistryRoot()
{
	return root;
}

SInt32 IORegistryEntry::getGenerationCount()
{
	sim_iokit_hold hold;

	return generation;
}

void sim_registry_boot(void)
{
	gIOServicePlane = IORegistryEntry::makePlane(kIOServicePlane);
	root = new IORegistryEntry;
	if (!root->init())
		abort();
	root->setName("Root");
}

void sim_registry_halt(void)
{
	root->release();
	root = nullptr;
	gIOServicePlane = nullptr;
	while (planes_count)
		planes[--planes_count]->release();
}

/* ---- links ---- */

bool sim_registry_link(IORegistryEntry *parent, IORegistryEntry *child, unsigned plane)
{
	sim_entry *up = sim_entry_of(parent), *down = sim_entry_of(child);

	if (!up || !down)
		sim_violation("%s is attached to %s, and one of them was not initialised",
			      child->getMetaClass()->getClassName(),
			      parent->getMetaClass()->getClassName());
	if (down->plane[plane].parents.has(parent))
		return true;
	parent->taggedRetain(OSTypeID(OSCollection));
	child->taggedRetain(OSTypeID(OSCollection));
	down->plane[plane].parents.add(parent);
	up->plane[plane].children.add(child);
	generation++;
	return true;
}

bool sim_registry_unlink(IORegistryEntry *parent, IORegistryEntry *child, unsigned plane)
{
	sim_entry *up = sim_entry_of(parent), *down = sim_entry_of(child);

	if (!up || !down || !down->plane[plane].parents.has(parent))
		return false;
	down->plane[plane].parents.remove(down->plane[plane].parents.find(parent));
	up->plane[plane].children.remove(up->plane[plane].children.find(child));
	generation++;
	return true;
}

void sim_registry_unlinked(IORegistryEntry *parent, IORegistryEntry *child)
{
	child->taggedRelease(OSTypeID(OSCollection));
	parent->taggedRelease(OSTypeID(OSCollection));
}

OSArray *sim_registry_copy(const sim_list<IORegistryEntry *> *list)
{
	OSArray *array = OSArray::withCapacity(list->n ? list->n : 1);

	for (unsigned i = 0; i < list->n; i++)
		array->setObject(list->at[i]);
	return array;
}

bool IORegistryEntry::attachToParent(IORegistryEntry *parent, const IORegistryPlane *plane)
{
	sim_may_block("IORegistryEntry::attachToParent");
	sim_iokit_hold hold;

	return sim_registry_link(parent, this, plane->index);
}

bool IORegistryEntry::attachToChild(IORegistryEntry *child, const IORegistryPlane *plane)
{
	return child->attachToParent(this, plane);
}

void IORegistryEntry::detachFromParent(IORegistryEntry *parent, const IORegistryPlane *plane)
{
	bool was;

	sim_may_block("IORegistryEntry::detachFromParent");
	{
		sim_iokit_hold hold;

		was = sim_registry_unlink(parent, this, plane->index);
	}
	if (was)
		sim_registry_unlinked(parent, this);
}

void IORegistryEntry::detachFromChild(IORegistryEntry *child, const IORegistryPlane *plane)
{
	child->detachFromParent(this, plane);
}

/* A snapshot, so that whoever walks it may change the registry. */
static OSArray *copy_links(const IORegistryEntry *entry, const IORegistryPlane *plane, bool up)
{
	sim_iokit_hold hold;
	sim_entry *data = sim_entry_of(entry);
	static const sim_list<IORegistryEntry *> none = {};

	if (!data)
		return sim_registry_copy(&none);
	return sim_registry_copy(up ? &data->plane[plane->index].parents
				    : &data->plane[plane->index].children);
}

void IORegistryEntry::detachAbove(const IORegistryPlane *plane)
{
	OSArray *parents = copy_links(this, plane, true);

	retain();
	for (unsigned i = 0; i < parents->getCount(); i++)
		detachFromParent(static_cast<IORegistryEntry *>(parents->getObject(i)), plane);
	parents->release();
	release();
}

void IORegistryEntry::detachAll(const IORegistryPlane *plane)
{
	OSArray *children = copy_links(this, plane, false);

	for (unsigned i = 0; i < children->getCount(); i++)
		static_cast<IORegistryEntry *>(children->getObject(i))->detachAll(plane);
	children->release();
	detachAbove(plane);
}

/* ---- walking ---- */

static OSIterator *iterate(OSArray *array)
{
	OSIterator *iterator = OSCollectionIterator::withCollection(array);

	array->release();
	return iterator;
}

OSIterator *IORegistryEntry::getParentIterator(const IORegistryPlane *plane) const
{
	if (!plane || sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	return iterate(copy_links(this, plane, true));
}

OSIterator *IORegistryEntry::getChildIterator(const IORegistryPlane *plane) const
{
	if (!plane || sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	return iterate(copy_links(this, plane, false));
}

static void apply(OSArray *array, IORegistryEntryApplierFunction function, void *context)
{
	for (unsigned i = 0; i < array->getCount(); i++)
		function(static_cast<IORegistryEntry *>(array->getObject(i)), context);
	array->release();
}

void IORegistryEntry::applyToParents(IORegistryEntryApplierFunction function, void *context,
				     const IORegistryPlane *plane) const
{
	apply(copy_links(this, plane, true), function, context);
}

void IORegistryEntry::applyToChildren(IORegistryEntryApplierFunction function, void *context,
				      const IORegistryPlane *plane) const
{
	apply(copy_links(this, plane, false), function, context);
}

static IORegistryEntry *first(const IORegistryEntry *entry, const IORegistryPlane *plane, bool up,
			      bool retained)
{
	sim_iokit_hold hold;
	sim_entry *data = sim_entry_of(entry);
	sim_list<IORegistryEntry *> *list;

	if (!data)
		return nullptr;
	list = up ? &data->plane[plane->index].parents : &data->plane[plane->index].children;
	if (!list->n)
		return nullptr;
	if (retained)
		list->at[0]->retain();
	return list->at[0];
}

IORegistryEntry *IORegistryEntry::getParentEntry(const IORegistryPlane *plane) const
{
	return first(this, plane, true, false);
}

IORegistryEntry *IORegistryEntry::copyParentEntry(const IORegistryPlane *plane) const
{
	return first(this, plane, true, true);
}

IORegistryEntry *IORegistryEntry::getChildEntry(const IORegistryPlane *plane) const
{
	return first(this, plane, false, false);
}

IORegistryEntry *IORegistryEntry::copyChildEntry(const IORegistryPlane *plane) const
{
	return first(this, plane, false, true);
}

bool IORegistryEntry::isParent(IORegistryEntry *parent, const IORegistryPlane *plane,
			       bool only) const
{
	sim_iokit_hold hold;
	sim_list<IORegistryEntry *> *list = &reserved->plane[plane->index].parents;

	return list->has(parent) && (!only || list->n == 1);
}

bool IORegistryEntry::isChild(IORegistryEntry *child, const IORegistryPlane *plane, bool only) const
{
	sim_iokit_hold hold;
	sim_list<IORegistryEntry *> *list = &reserved->plane[plane->index].children;

	return list->has(child) && (!only || list->n == 1);
}

bool IORegistryEntry::inPlane(const IORegistryPlane *plane) const
{
	sim_iokit_hold hold;

	for (unsigned i = 0; reserved && i < planes_count; i++)
		if ((!plane || plane->index == i) && reserved->plane[i].parents.n)
			return true;
	return false;
}

unsigned int IORegistryEntry::getDepth(const IORegistryPlane *plane) const
{
	const IORegistryEntry *next = this;
	unsigned depth = 1;

	while ((next = next->getParentEntry(plane)))
		depth++;
	return depth;
}

/* ---- paths ---- */

bool IORegistryEntry::getPathComponent(char *path, int *length, const IORegistryPlane *plane) const
{
	const char *location = getLocation(plane);
	size_t size = static_cast<size_t>(*length);
	int n = snprintf(path, size, location ? "%s@%s" : "%s", getName(plane), location);

	if (n < 0 || static_cast<size_t>(n) >= size)
		return false;
	*length = n;
	return true;
}

/* "IOService:/Mac/IOResources": the registry's root has no component [XNU-REG-9]. */
bool IORegistryEntry::getPath(char *path, int *length, const IORegistryPlane *plane) const
{
	const IORegistryEntry *chain[64];
	unsigned n = 0, at;
	unsigned size = static_cast<unsigned>(*length);

	for (const IORegistryEntry *e = this; e && e != root; e = e->getParentEntry(plane)) {
		if (n == 64)
			return false;
		chain[n++] = e;
	}
	at = static_cast<unsigned>(snprintf(path, size, "%s:", plane->name->getCStringNoCopy()));
	if (!n)
		at += static_cast<unsigned>(snprintf(path + at, at < size ? size - at : 0, "/"));
	while (n-- && at + 1 < size) {
		int left = static_cast<int>(size - at - 1);

		path[at] = '/';
		if (!chain[n]->getPathComponent(path + at + 1, &left, plane))
			return false;
		at += 1 + static_cast<unsigned>(left);
	}
	*length = static_cast<int>(at);
	return at < size;
}

IORegistryEntry *IORegistryEntry::fromPath(const char *, const IORegistryPlane *, char *, int *,
					   IORegistryEntry *)
{
	sim_violation("IORegistryEntry::fromPath is not simulated");
}

IORegistryEntry *IORegistryEntry::childFromPath(const char *, const IORegistryPlane *, char *,
						int *)
{
	sim_violation("IORegistryEntry::childFromPath is not simulated");
}
