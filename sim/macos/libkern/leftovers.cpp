/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is left when kexts go: objects that are alive, and text of theirs that somebody uses.
 */
#include <string.h>

#include "guest/ports/xnu/kpi/collections.h"
#include "sim/macos/libkern/block.h"
#include "sim/macos/libkern/internal.h"
#include "sim/macos/libkern/runtime_sim.h"
#include "sim/macos/sim.h"

#define FREEING 0xffff /* what object.cpp makes of the count then */

/* ---- objects ---- */

namespace
{
struct alive {
	FILE *out;
	unsigned all, ours;
};
} // namespace

static void list_alive(void *arg, const void *at, const struct sim_block_info *info)
{
	struct alive *a = static_cast<struct alive *>(arg);
	const OSObject *object = static_cast<const OSObject *>(at);
	const OSMetaClass *meta = nullptr;

	a->all++;
	if (!info->dying && info->constructed) {
		meta = object->getMetaClass();
		if (meta == OSTypeID(OSSymbol))
			return;
	}
	if (!info->kext[0] && !(meta && sim_class_of_kext(meta)))
		return;
	a->ours++;
	if (!a->out)
		return;
	if (info->dying)
		fprintf(a->out, "%s %p: is being freed", info->dying, at);
	else if (!meta)
		fprintf(a->out, "object %p: never constructed", at);
	else if (object->getRetainCount() == FREEING)
		fprintf(a->out, "%s %p: free() did not get as far as OSObject's",
			meta->getClassName(), at);
	else
		fprintf(a->out, "%s %p: %d references", meta->getClassName(), at,
			object->getRetainCount());
	if (info->kext[0])
		fprintf(a->out, ", asked for by %s at %p\n", info->kext, info->where);
	else
		fprintf(a->out, "\n");
}

unsigned sim_objects_alive(FILE *out)
{
	struct alive a = {out, 0, 0};

	sim_block_each(list_alive, &a);
	sim_block_check();
	return a.ours;
}

unsigned sim_objects(void)
{
	struct alive a = {nullptr, 0, 0};

	sim_block_each(list_alive, &a);
	return a.all;
}

/* ---- text ---- */

namespace
{
struct going {
	const char *start, *end; /* 0: ask for the kext's name */
	const char *bundle;
};
} // namespace

/* A kext's name is its bundle identifier, or the last part of that. */
static bool is_bundle(const char *kext, const char *bundle)
{
	const char *dot = strrchr(bundle, '.');

	return kext && (!strcmp(kext, bundle) || (dot && !strcmp(kext, dot + 1)));
}

static bool goes(const char *text, const struct going *g)
{
	return g->bundle ? is_bundle(sim_kext_name(text), g->bundle)
			 : text >= g->start && text < g->end;
}

static void check_text(void *arg, const void *at, const struct sim_block_info *info)
{
	const OSObject *object = static_cast<const OSObject *>(at);
	const OSString *string;

	if (info->dying || !info->constructed)
		return;
	string = OSDynamicCast(OSString, object);
	if (!string || OSDynamicCast(OSSymbol, object) || !string->getCStringNoCopy())
		return;
	if (goes(string->getCStringNoCopy(), static_cast<struct going *>(arg)))
		sim_violation("a live string has its text \"%s\" in a kext that is unloaded",
			      string->getCStringNoCopy());
}

static bool symbol_goes(void *arg, const char *text)
{
	return goes(text, static_cast<struct going *>(arg));
}

static void release_text(struct going *g)
{
	sim_symbols_copy(symbol_goes, g);
	sim_block_each(check_text, g);
}

void sim_strings_release(const void *start, const void *end)
{
	struct going g = {static_cast<const char *>(start), static_cast<const char *>(end),
			  nullptr};

	release_text(&g);
}

void sim_class_release(const char *bundle)
{
	struct going g = {nullptr, nullptr, bundle};

	sim_class_check_gone(bundle);
	release_text(&g);
}
