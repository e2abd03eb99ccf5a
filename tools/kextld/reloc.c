/* SPDX-License-Identifier: BSD-2-Clause */
/* What relocating for both processors has in common. */
#include "tools/kextld/link.h"

#include <stdlib.h>
#include <string.h>

const char *reloc_name(const struct place *place)
{
	if (place->symbol)
		return place->symbol->name;
	return place->section ? place->section->sectname : "a number";
}

bool reloc_translate(struct link *link, const struct section *from, const struct reloc *r,
		     const struct section *section, uint64_t addr, uint64_t *out)
{
	if (!section->out)
		return link_fail(link, from->object, NULL,
				 "at 0x%x of %s,%s: refers to %s,%s, which is not linked",
				 r->offset, from->segname, from->sectname, section->segname,
				 section->sectname);
	if (symbols_dead(section, addr - section->addr))
		return link_fail(link, from->object, NULL,
				 "at 0x%x of %s,%s: refers into %s,%s, to a copy of a weak "
				 "definition that is not used",
				 r->offset, from->segname, from->sectname, section->segname,
				 section->sectname);
	*out = section->out_addr + (addr - section->addr);
	return true;
}

struct outreloc *reloc_add(struct link *link, struct outrelocs *list)
{
	if (list->count == list->room) {
		size_t room = list->room ? list->room * 2 : 64;
		struct outreloc *at = arena_get(&link->arena, room, sizeof(*at));

		if (!at) {
			link_no_memory(link);
			return NULL;
		}
		if (list->count)
			memcpy(at, list->at, list->count * sizeof(*at));
		list->at = at;
		list->room = room;
	}
	return &list->at[list->count++];
}

static int reloc_order(const void *a, const void *b)
{
	const struct outreloc *x = a, *y = b;

	/* Plain ones first: see reloc_i386.c. */
	if (x->scattered != y->scattered)
		return x->scattered ? 1 : -1;
	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	if (x->type != y->type)
		return x->type < y->type ? -1 : 1;
	return (x->sect > y->sect) - (x->sect < y->sect);
}

void reloc_sort(struct outrelocs *list)
{
	if (list->count)
		qsort(list->at, list->count, sizeof(*list->at), reloc_order);
}
