/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory of objects.
 *
 * Theory of operation. Every object lies in a block of its own:
 *
 *	header | the object, zero-filled | tail, a pattern
 *
 * The header tells the size, and whose code asked for the object. That is the first kext found on
 * the stack within a few frames, so an OSArray that a kext had from OSArray::withCapacity() is the
 * kext's too. All live blocks are in one list, for the list of leaks.
 *
 * A freed object is not given back at once. Its words become a pattern that is no address, its
 * vtable becomes the one of a grave, all of whose functions end in a violation that names the
 * class; and it waits in a quarantine, first in, first out. So a call through a stale pointer is
 * told, whoever makes it, and a write through one is found when the object leaves the quarantine.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sim/macos/libkern/block.h"
#include "sim/macos/sim.h"

#define LIVE	   0x4f424a4cu
#define DEAD	   0x4f424a44u
#define POISON	   0xdb
#define TAIL	   16u
#define TAIL_BYTE  0xc7
#define QUARANTINE 4096u
#define SLOTS	   1024u /* more than any class has */
#define DEPTH	   8

struct block {
	struct block *next, *prev;
	size_t size;
	const void *where;
	char kext[32];
	char name[48]; /* of the class, once it is being freed */
	uint32_t state;
} __attribute__((aligned(16)));

typedef void (*slot)(const void *self);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct block *blocks;
static struct block *quarantine[QUARANTINE];
static unsigned quarantined;
static slot grave[SLOTS];
static bool kexts;

static struct block *block_of(const void *object)
{
	return static_cast<struct block *>(const_cast<void *>(object)) - 1;
}

static void copy_name(char *to, size_t size, const char *from)
{
	size_t n = strnlen(from, size - 1);

	memcpy(to, from, n);
	to[n] = '\0';
}

/* ---- who asked for it ---- */

struct stack {
	const char *lo, *hi;
};

static const struct stack *this_stack()
{
	static thread_local struct stack stack;
	pthread_attr_t attr;
	void *lo;
	size_t size;

	if (!stack.hi && pthread_getattr_np(pthread_self(), &attr) == 0) {
		if (pthread_attr_getstack(&attr, &lo, &size) == 0) {
			stack.lo = static_cast<char *>(lo);
			stack.hi = stack.lo + size;
		}
		pthread_attr_destroy(&attr);
	}
	return &stack;
}

/* Frames are linked by their first word, and their second is the address to return to. */
__attribute__((no_sanitize("address"))) static const void *kext_on_stack(const void *frame)
{
	const struct stack *stack = this_stack();
	const char *at = static_cast<const char *>(frame);

	for (int i = 0; i < DEPTH; i++) {
		const void *const *words = reinterpret_cast<const void *const *>(at);
		const char *up;

		if (at < stack->lo || at >= stack->hi - 2 * sizeof(void *) ||
		    reinterpret_cast<uintptr_t>(at) % sizeof(void *))
			return nullptr;
		if (sim_in_kext(words[1]))
			return words[1];
		up = static_cast<const char *>(words[0]);
		if (up <= at)
			return nullptr;
		at = up;
	}
	return nullptr;
}

void sim_block_kexts(void)
{
	__atomic_store_n(&kexts, true, __ATOMIC_RELAXED);
}

/* ---- birth ---- */

void *sim_block_new(size_t size, const void *frame)
{
	struct block *b;
	const char *name = nullptr;

	sim_may_block("OSObject::operator new");
	b = static_cast<struct block *>(calloc(1, sizeof(*b) + size + TAIL));
	if (!b)
		abort();
	memset(reinterpret_cast<char *>(b + 1) + size, TAIL_BYTE, TAIL);
	b->size = size;
	b->state = LIVE;
	if (__atomic_load_n(&kexts, __ATOMIC_RELAXED))
		b->where = kext_on_stack(frame);
	if (b->where)
		name = sim_kext_name(b->where);
	if (name)
		copy_name(b->kext, sizeof(b->kext), name);

	pthread_mutex_lock(&lock);
	b->next = blocks;
	if (blocks)
		blocks->prev = b;
	blocks = b;
	pthread_mutex_unlock(&lock);
	return b + 1;
}

/* ---- death ---- */

static void in_grave(const void *self)
{
	sim_violation("a virtual function of a freed %s (%p) is called", block_of(self)->name,
		      self);
}

static void bury(struct block *b)
{
	void *object = b + 1;
	const slot *vtable = grave;

	if (!grave[0])
		for (slot &s : grave)
			s = in_grave;
	memset(object, POISON, b->size);
	memcpy(object, &vtable, sizeof(vtable));
}

static void check_buried(const struct block *b)
{
	const unsigned char *bytes = reinterpret_cast<const unsigned char *>(b + 1);
	const slot *vtable = grave;

	for (size_t i = 0; i < b->size; i++) {
		const unsigned char want =
			i < sizeof(vtable) ? reinterpret_cast<unsigned char *>(&vtable)[i] : POISON;

		if (bytes[i] != want)
			sim_violation("a freed %s was written to, %zu bytes from its start",
				      b->name, i);
	}
}

void sim_block_dying(const void *object, const char *class_name)
{
	struct block *b = block_of(object);

	if (b->state != LIVE)
		sim_violation("%s %p is freed twice", class_name, object);
	copy_name(b->name, sizeof(b->name), class_name);
}

void sim_block_delete(void *object, size_t size)
{
	struct block *b = block_of(object), *leaving;
	const unsigned char *tail = static_cast<unsigned char *>(object) + b->size;

	sim_may_block("OSObject::operator delete");
	if (b->state != LIVE)
		sim_violation("%s %p is deleted twice", b->name, object);
	if (!b->name[0])
		sim_violation("an object at %p is deleted, but not by OSObject::free()", object);
	if (b->size != size)
		sim_violation("%s %p has %zu bytes and is deleted as one of %zu", b->name, object,
			      b->size, size);
	for (unsigned i = 0; i < TAIL; i++)
		if (tail[i] != TAIL_BYTE)
			sim_violation("something was written %u bytes after the end of %s %p", i,
				      b->name, object);

	pthread_mutex_lock(&lock);
	if (b->prev)
		b->prev->next = b->next;
	else
		blocks = b->next;
	if (b->next)
		b->next->prev = b->prev;
	b->state = DEAD;
	bury(b);
	leaving = quarantine[quarantined];
	quarantine[quarantined] = b;
	quarantined = (quarantined + 1) % QUARANTINE;
	pthread_mutex_unlock(&lock);
	if (leaving) {
		check_buried(leaving);
		free(leaving);
	}
}

void sim_block_check(void)
{
	pthread_mutex_lock(&lock);
	for (const struct block *b : quarantine)
		if (b)
			check_buried(b);
	pthread_mutex_unlock(&lock);
}

/* ---- what is alive ---- */

void sim_block_each(void (*each)(void *arg, const void *object, const struct sim_block_info *info),
		    void *arg)
{
	pthread_mutex_lock(&lock);
	for (const struct block *b = blocks; b; b = b->next) {
		const void *object = b + 1;
		const void *vtable;
		struct sim_block_info info;

		memcpy(&vtable, object, sizeof(vtable));
		info.kext = b->kext;
		info.where = b->where;
		info.dying = b->name[0] ? b->name : nullptr;
		info.constructed = vtable != nullptr;
		each(arg, object, &info);
	}
	pthread_mutex_unlock(&lock);
}
