/* SPDX-License-Identifier: BSD-2-Clause */
/* The map: what went where and why it is there, for people and for diff. */
#include "tools/kextld/link.h"

#include <stdlib.h>
#include <string.h>

static void map_object(struct bytes *out, const struct object *o)
{
	if (!o)
		bytes_print(out, "(linker)");
	else if (o->member)
		bytes_print(out, "%s(%s)", o->file, o->member);
	else
		bytes_print(out, "%s", o->file);
}

static int map_order(const void *a, const void *b)
{
	const struct outsym *const *x = a, *const *y = b;

	if ((*x)->value != (*y)->value)
		return (*x)->value < (*y)->value ? -1 : 1;
	return (*x)->strx < (*y)->strx ? -1 : 1;
}

static void map_sections(struct bytes *out, const struct link *link)
{
	bytes_print(out, "# address    size       section, from\n");
	for (const struct outsect *o = link->sects; o; o = o->next) {
		bytes_print(out, "0x%08llx 0x%08llx %s,%s\n", (unsigned long long)o->addr,
			    (unsigned long long)o->size, o->segname, o->sectname);
		for (const struct section *s = o->first; s; s = s->next) {
			bytes_print(out, "0x%08llx 0x%08llx   ", (unsigned long long)s->out_addr,
				    (unsigned long long)s->size);
			map_object(out, s->object);
			bytes_print(out, "\n");
		}
	}
}

bool map_write(struct link *link)
{
	struct bytes out = {0};
	uint32_t defined = link->local_syms + link->defined_syms;
	const struct outsym **order = arena_get(&link->arena, defined, sizeof(*order));

	if (!order)
		return link_no_memory(link);
	map_sections(&out, link);
	bytes_print(&out, "\n# address    symbol, from\n");
	for (uint32_t i = 0; i < defined; i++)
		order[i] = &link->syms[i];
	if (defined)
		qsort(order, defined, sizeof(order[0]), map_order);
	for (uint32_t i = 0; i < defined; i++) {
		const struct outsym *s = order[i];

		bytes_print(&out, "0x%08llx %c %s  ", (unsigned long long)s->value,
			    s->type & MACHO_N_EXT ? 'E' : 'l', s->def->name);
		map_object(&out, s->def->object);
		bytes_print(&out, "\n");
	}
	bytes_print(&out, "\n# undefined, first wanted by\n");
	for (uint32_t i = 0; i < link->undefined_syms; i++) {
		const struct def *def = link->syms[defined + i].def;

		bytes_print(&out, "%s  ", def->name);
		map_object(&out, def->object);
		bytes_print(&out, "\n");
	}
	bytes_add(&out, "", 1);
	if (out.failed) {
		bytes_free(&out);
		return link_no_memory(link);
	}
	link->result->map = (char *)out.data;
	link->result->map_len = out.len - 1;
	return true;
}
