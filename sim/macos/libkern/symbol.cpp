/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * OSSymbol: one object per text, found in a pool.
 *
 * The pool is the one collection with a lock, a mutex; so whatever takes a name as a C string may
 * sleep, and so may the release of a symbol: each of them until 10.14, the last one since
 * [XNU-OBJ-11]. The pool has no reference to its symbols: the last release takes a symbol out, with
 * the lock held, so that nobody finds a dying one.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "guest/ports/xnu/kpi/collections.h"
#include "sim/macos/libkern/internal.h"
#include "sim/macos/sim.h"

#define BUCKETS 1024u

struct pool_entry {
	struct pool_entry *next;
	OSSymbol *symbol;
};

static struct pool_entry *pool[BUCKETS];
static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;

static void pool_enter(const char *what)
{
	if (what)
		sim_may_block(what);
	pthread_mutex_lock(&pool_lock);
}

static void pool_leave()
{
	pthread_mutex_unlock(&pool_lock);
}

static struct pool_entry **bucket_of(const char *text)
{
	uint32_t hash = 2166136261u;

	for (; *text; text++)
		hash = (hash ^ static_cast<unsigned char>(*text)) * 16777619u;
	return &pool[hash % BUCKETS];
}

static OSSymbol *pool_find(const char *text)
{
	for (const struct pool_entry *e = *bucket_of(text); e; e = e->next)
		if (!strcmp(e->symbol->getCStringNoCopy(), text))
			return e->symbol;
	return nullptr;
}

static void pool_insert(OSSymbol *symbol)
{
	struct pool_entry **bucket = bucket_of(symbol->getCStringNoCopy());
	struct pool_entry *e = static_cast<struct pool_entry *>(malloc(sizeof(*e)));

	if (!e)
		abort();
	e->symbol = symbol;
	e->next = *bucket;
	*bucket = e;
}

static void pool_remove(const OSSymbol *symbol)
{
	for (struct pool_entry **p = bucket_of(symbol->getCStringNoCopy()); *p; p = &(*p)->next) {
		struct pool_entry *e = *p;

		if (e->symbol == symbol) {
			*p = e->next;
			free(e);
			return;
		}
	}
}

void sim_symbols_copy(bool (*goes)(void *arg, const char *text), void *arg)
{
	pthread_mutex_lock(&pool_lock);
	for (const struct pool_entry *bucket : pool)
		for (const struct pool_entry *e = bucket; e; e = e->next)
			if (goes(arg, e->symbol->getCStringNoCopy()))
				e->symbol->OSString::initWithCString(e->symbol->getCStringNoCopy());
	pthread_mutex_unlock(&pool_lock);
}

/* ---- the class ---- */

OSDefineMetaClassAndStructors(OSSymbol, OSString)
KPI_DEFINE_PADS(OSSymbol, 0, 1, 2, 3, 4, 5, 6, 7)

/* A symbol is never made of what was there before. */
bool OSSymbol::initWithString(const OSString *)
{
	return false;
}

bool OSSymbol::initWithCString(const char *)
{
	return false;
}

bool OSSymbol::initWithCStringNoCopy(const char *)
{
	return false;
}

const OSSymbol *OSSymbol::withCString(const char *text)
{
	OSSymbol *me;

	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	if (!text)
		sim_violation("OSSymbol::withCString(0)");
	pool_enter("OSSymbol::withCString");
	me = pool_find(text);
	if (me) {
		me->retain();
	} else {
		me = new OSSymbol;
		me->OSString::initWithCString(text);
		pool_insert(me);
	}
	pool_leave();
	return me;
}

const OSSymbol *OSSymbol::withCStringNoCopy(const char *text)
{
	OSSymbol *me;

	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	if (!text)
		sim_violation("OSSymbol::withCStringNoCopy(0)");
	pool_enter("OSSymbol::withCStringNoCopy");
	me = pool_find(text);
	if (me) {
		me->retain();
	} else {
		me = new OSSymbol;
		me->OSString::initWithCStringNoCopy(text);
		pool_insert(me);
	}
	pool_leave();
	return me;
}

const OSSymbol *OSSymbol::withString(const OSString *string)
{
	const OSSymbol *me = OSDynamicCast(OSSymbol, string);
	OSString *text = const_cast<OSString *>(string);

	if (me) {
		me->retain();
		return me;
	}
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	if (!string)
		sim_violation("OSSymbol::withString(0)");
	/* Text that the string has borrowed, the symbol borrows too; setChar() tells [XNU-OBJ-12].
	 */
	if (text->getLength() && !text->setChar(text->getChar(0), 0))
		return withCStringNoCopy(string->getCStringNoCopy());
	return withCString(string->getCStringNoCopy());
}

void OSSymbol::taggedRelease(const void *tag) const
{
	OSString::taggedRelease(tag);
}

void OSSymbol::taggedRelease(const void *tag, const int when) const
{
	bool sleeps = !sim_release_at_least(15) || sim_cpu()->level == SIM_DEBUGGER;

	pool_enter(sleeps ? "OSSymbol::release" : nullptr);
	OSString::taggedRelease(tag, when);
	pool_leave();
}

void OSSymbol::free()
{
	if (getCStringNoCopy())
		pool_remove(this);
	OSString::free();
}

bool OSSymbol::isEqualTo(const OSSymbol *other) const
{
	return this == other;
}

bool OSSymbol::isEqualTo(const char *text) const
{
	return OSString::isEqualTo(text);
}

bool OSSymbol::isEqualTo(const OSMetaClassBase *other) const
{
	if (const OSSymbol *symbol = OSDynamicCast(OSSymbol, other))
		return isEqualTo(symbol);
	if (const OSString *text = OSDynamicCast(OSString, other))
		return OSString::isEqualTo(text);
	return false;
}
