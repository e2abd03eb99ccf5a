/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who defines what. All external symbols of one name share one struct def, which starts undefined
 * and takes the best definition that comes along:
 *
 *	a plain one		beats everything; two are an error
 *	a weak one		(a C++ inline function, say) beats a tentative one; the first counts
 *	a tentative one		grows to the largest, and gets its place in the layout
 *
 * Every other copy of a weak definition has lost, and so has a weak one that met a plain one. Where
 * the object says that it may be cut at its symbols, the bytes of the loser are dead: blanked, and
 * their relocations forgotten. That is more than thrift. The kernel patches the vtables it finds by
 * name, and refuses a kext in which something else, such as the loser's copy of a vtable, still
 * refers to a slot that was patched away.
 */
#include "tools/kextld/link.h"

#include <string.h>

static struct def *symbols_def(struct link *link, const char *name)
{
	struct def *def = arena_get(&link->arena, 1, sizeof(*def));

	if (!def)
		return NULL;
	def->name = name;
	*link->last_def = def;
	link->last_def = &def->next;
	return def;
}

static struct def *symbols_shared(struct link *link, const char *name, struct object *wants)
{
	void **slot = table_at(&link->names, name);
	struct def *def;

	if (!slot)
		return NULL;
	def = *slot;
	if (def)
		return def;
	def = symbols_def(link, name);
	if (!def)
		return NULL;
	def->external = true;
	def->object = wants;
	*slot = def;
	return def;
}

static bool symbols_defines(const struct symbol *s)
{
	unsigned type = s->type & MACHO_N_TYPE;

	if (s->type & MACHO_N_STAB)
		return false;
	return (type == MACHO_N_SECT && s->section->kept) || type == MACHO_N_ABS ||
	       type == MACHO_N_INDR;
}

/* Makes def what this line of an object says. */
static bool symbols_take(struct link *link, struct object *o, struct symbol *s, struct def *def)
{
	def->object = o;
	def->symbol = s;
	def->weak = s->desc & MACHO_DESC_WEAK_DEF;
	def->private_ = s->type & MACHO_N_PEXT;
	def->section = NULL;
	def->value = s->value;
	switch (s->type & MACHO_N_TYPE) {
	case MACHO_N_SECT:
		def->kind = DEF_SECTION;
		def->section = s->section;
		def->value = s->value - s->section->addr;
		break;
	case MACHO_N_ABS:
		def->kind = DEF_ABSOLUTE;
		break;
	default:
		def->kind = DEF_ALIAS;
		def->alias = symbols_shared(link, s->alias, o);
		if (!def->alias)
			return link_no_memory(link);
		def->alias->strong_ref = true;
		break;
	}
	return true;
}

/* Alignment of a tentative definition: stated, or what its size suggests. */
static unsigned symbols_common_align(const struct symbol *s)
{
	unsigned align = s->desc >> 8 & 0xf;

	if (!align) {
		while (align < LINK_MAX_ALIGN && (uint64_t)2 << align <= s->value)
			align++;
	}
	return align < LINK_MAX_ALIGN ? align : LINK_MAX_ALIGN;
}

static void symbols_tentative(struct object *o, struct symbol *s, struct def *def)
{
	unsigned align = symbols_common_align(s);

	if (def->kind == DEF_UNDEFINED) {
		def->kind = DEF_COMMON;
		def->object = o;
		def->symbol = s;
		def->private_ = s->type & MACHO_N_PEXT;
		def->value = 0;
		def->align = 0;
	}
	if (def->kind != DEF_COMMON)
		return;
	if (def->value < s->value)
		def->value = s->value;
	if (def->align < align)
		def->align = align;
}

static const char *symbols_place(const struct object *o)
{
	return o->member ? o->member : o->file;
}

static bool symbols_external(struct link *link, struct object *o, struct symbol *s)
{
	struct def *def = symbols_shared(link, s->name, o);

	if (!def)
		return link_no_memory(link);
	s->def = def;
	if (!symbols_defines(s)) {
		if ((s->type & MACHO_N_TYPE) != MACHO_N_UNDF)
			return true; /* in a section that is left out */
		if (s->value)
			symbols_tentative(o, s, def);
		else if (s->desc & MACHO_DESC_WEAK_REF)
			def->weak_ref = true;
		else
			def->strong_ref = true;
		return true;
	}
	if (def->kind == DEF_UNDEFINED || def->kind == DEF_COMMON)
		return symbols_take(link, o, s, def);
	if (s->desc & MACHO_DESC_WEAK_DEF) {
		s->lost = true;
		return true;
	}
	if (!def->weak)
		return link_fail(link, o, s->name, "defined twice, first in %s",
				 symbols_place(def->object));
	def->symbol->lost = true;
	return symbols_take(link, o, s, def);
}

static bool symbols_add(struct link *link, struct object *o)
{
	for (size_t i = 0; i < o->symbol_count; i++) {
		struct symbol *s = &o->symbols[i];

		if (s->type & MACHO_N_STAB)
			continue;
		if (s->type & MACHO_N_EXT) {
			if (!symbols_external(link, o, s))
				return false;
		} else if (symbols_defines(s)) {
			s->def = symbols_def(link, s->name);
			if (!s->def)
				return link_no_memory(link);
			if (!symbols_take(link, o, s, s->def))
				return false;
			s->def->weak = s->def->private_ = false;
		}
	}
	return true;
}

/* ---- archives ---- */

static bool symbols_wanted(const struct link *link, const struct object *o)
{
	for (size_t i = 0; i < o->symbol_count; i++) {
		const struct symbol *s = &o->symbols[i];
		const struct def *def;

		if (!(s->type & MACHO_N_EXT) || !symbols_defines(s))
			continue;
		def = table_find(&link->names, s->name);
		if (def && def->kind == DEF_UNDEFINED)
			return true;
	}
	return false;
}

/* Takes members until none is wanted any more; each may want others. */
static bool symbols_archives(struct link *link)
{
	bool again = true;

	while (again) {
		struct object **at = &link->waiting;

		again = false;
		while (*at) {
			struct object *o = *at;

			if (!link->options->all_load && !symbols_wanted(link, o)) {
				at = &o->next;
				continue;
			}
			*at = o->next;
			o->next = NULL;
			*link->last_object = o;
			link->last_object = &o->next;
			if (!symbols_add(link, o))
				return false;
			again = true;
		}
	}
	return true;
}

/* ---- what is seen outside ---- */

static bool symbols_matches(const char *pattern, const char *name)
{
	size_t len = strlen(pattern);

	if (len && pattern[len - 1] == '*')
		return !strncmp(pattern, name, len - 1);
	return !strcmp(pattern, name);
}

static bool symbols_exports(struct link *link)
{
	const struct kextld_options *options = link->options;

	if (!options->export_count)
		return true;
	for (struct def *def = link->defs; def; def = def->next) {
		bool seen = !strcmp(def->name, "_kmod_info");

		for (size_t i = 0; i < options->export_count && !seen; i++)
			seen = symbols_matches(options->exports[i], def->name);
		if (def->external && !seen)
			def->private_ = true;
	}
	for (size_t i = 0; i < options->export_count; i++) {
		const char *name = options->exports[i];
		const struct def *def = table_find(&link->names, name);

		if (*name && name[strlen(name) - 1] == '*')
			continue;
		if (!def || def->kind == DEF_UNDEFINED)
			return link_fail(link, NULL, name,
					 "to be exported, but nothing defines it");
		if (def->symbol && def->symbol->type & MACHO_N_PEXT)
			return link_fail(link, def->object, name,
					 "to be exported, but its definition is hidden");
	}
	return true;
}

/* ---- losers ---- */

/* A line that begins a piece of its section, as far as cutting goes. */
static bool symbols_cuts(const struct symbol *s)
{
	return !(s->type & MACHO_N_STAB) && s->section && s->name[0] != 'L' &&
	       !(s->desc & MACHO_DESC_ALT_ENTRY);
}

static bool symbols_bury(struct link *link, struct object *o, const struct symbol *loser)
{
	struct section *section = loser->section;
	uint64_t end = section->addr + section->size;
	struct dead *dead;

	for (size_t i = 0; i < o->symbol_count; i++) {
		const struct symbol *s = &o->symbols[i];

		if (!symbols_cuts(s) || s->section != section)
			continue;
		if (s->value == loser->value && !s->lost)
			return true; /* lives on by another name */
		if (s->value > loser->value && s->value < end)
			end = s->value;
	}
	dead = arena_get(&link->arena, 1, sizeof(*dead));
	if (!dead)
		return link_no_memory(link);
	dead->begin = loser->value - section->addr;
	dead->end = end - section->addr;
	dead->next = section->dead;
	section->dead = dead;
	return true;
}

static bool symbols_losers(struct link *link)
{
	for (struct object *o = link->objects; o; o = o->next) {
		for (size_t i = 0; o->subsections && i < o->symbol_count; i++) {
			const struct symbol *s = &o->symbols[i];

			if (s->lost && symbols_cuts(s) && !symbols_bury(link, o, s))
				return false;
		}
	}
	return true;
}

bool symbols_dead(const struct section *section, uint64_t offset)
{
	for (const struct dead *dead = section->dead; dead; dead = dead->next) {
		if (offset >= dead->begin && offset < dead->end)
			return true;
	}
	return false;
}

/* ---- all of it ---- */

struct def *symbols_final(struct def *def)
{
	/* A chain as long as this is a ring. */
	for (int hops = 0; def && def->kind == DEF_ALIAS; hops++)
		def = hops < 64 ? def->alias : NULL;
	return def;
}

struct def *symbols_target(struct link *link, const struct section *section, struct symbol *symbol)
{
	struct def *def = symbols_final(symbol->def);

	if (!def) {
		link_fail(link, section->object, symbol->name,
			  "referred to, but not a symbol, or in a section that is not linked");
		return NULL;
	}
	if (def->kind == DEF_SECTION && !def->section->out) {
		link_fail(link, section->object, symbol->name,
			  "referred to, but %s,%s is not linked", def->section->segname,
			  def->section->sectname);
		return NULL;
	}
	return def;
}

static bool symbols_check(struct link *link)
{
	const struct def *info = table_find(&link->names, "_kmod_info");

	for (struct def *def = link->defs; def; def = def->next) {
		if (!symbols_final(def))
			return link_fail(link, def->object, def->name, "stands for itself");
	}
	if (info && info->kind == DEF_SECTION && info->section->zerofill)
		return link_fail(link, info->object, "_kmod_info",
				 "zero fill; the kernel wants to see version 1 in it");
	if (!info || info->kind != DEF_SECTION)
		return link_fail(link, NULL, "_kmod_info",
				 "no object defines it; every kext needs it (see --kmod-name)");
	if (info->private_)
		return link_fail(link, info->object, "_kmod_info",
				 "hidden; the kernel looks for it");
	return true;
}

bool symbols_resolve(struct link *link)
{
	for (struct object *o = link->objects; o; o = o->next) {
		if (!symbols_add(link, o))
			return false;
	}
	if (!symbols_archives(link))
		return false;
	if (link->options->kmod_name) {
		struct object **glue = link->last_object;

		if (!kmod_glue(link) || !symbols_add(link, *glue))
			return false;
	}
	return symbols_exports(link) && symbols_check(link) && symbols_losers(link);
}
