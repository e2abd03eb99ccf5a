/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The symbol table of the output: first what is local, in the order of the inputs; then what is
 * defined and seen outside, by name; then what is undefined, by name. Labels that begin with 'L' or
 * 'l' were for the assembler and the linker and stay here. A symbol that was hidden has become
 * local. Of locals, C++ names stay whatever is asked for: the kernel's linker finds the functions
 * in a vtable, and the vtables of a class, by them.
 */
#include "tools/kextld/link.h"

#include <stdlib.h>
#include <string.h>

static int symtab_order(const void *a, const void *b)
{
	const struct outsym *x = a, *y = b;

	return strcmp(x->def->name, y->def->name);
}

static bool symtab_is_label(const char *name)
{
	return !*name || *name == 'L' || *name == 'l';
}

/* Fills in a defined symbol; false if it has no place in the output. */
static bool symtab_defined(struct def *def, struct outsym *out)
{
	const struct def *final = symbols_final(def);

	if (final->kind == DEF_ABSOLUTE) {
		out->type = MACHO_N_ABS;
		out->value = final->value;
	} else if (final->kind == DEF_SECTION && final->outsect) {
		out->type = MACHO_N_SECT;
		out->sect = final->outsect->ordinal;
		out->value = final->addr;
	} else {
		return false;
	}
	out->def = def;
	if (def->external)
		out->type |= def->private_ ? MACHO_N_PEXT : MACHO_N_EXT;
	if (def->external && !def->private_ && def->weak)
		out->desc = MACHO_DESC_WEAK_DEF;
	return true;
}

static bool symtab_shows(const struct link *link, const struct def *def)
{
	if (def->external && !def->private_)
		return true;
	if (symtab_is_label(def->name))
		return false;
	if (def->kind == DEF_SECTION && symbols_dead(def->section, def->value))
		return false;
	return !link->options->strip_locals || !strncmp(def->name, "__Z", 3);
}

static uint32_t symtab_section(struct link *link, size_t *count, bool outside)
{
	size_t begin = *count;

	for (struct def *def = link->defs; def; def = def->next) {
		bool is_outside = def->external && !def->private_;

		if (def->kind == DEF_UNDEFINED || is_outside != outside || !symtab_shows(link, def))
			continue;
		if (symtab_defined(def, &link->syms[*count]))
			++*count;
	}
	return (uint32_t)(*count - begin);
}

static uint32_t symtab_undefined(struct link *link, size_t *count)
{
	size_t begin = *count;
	bool kext = link->arch == KEXTLD_ARCH_X86_64;

	for (struct def *def = link->defs; def; def = def->next) {
		if (def->kind != DEF_UNDEFINED || !def->wanted)
			continue;
		link->syms[*count] = (struct outsym){
			.def = def,
			.type = MACHO_N_UNDF | MACHO_N_EXT,
			.desc = (uint16_t)((kext ? MACHO_DESC_DYNAMIC_LOOKUP : 0) |
					   (def->weak_ref && !def->strong_ref ? MACHO_DESC_WEAK_REF
									      : 0))};
		++*count;
	}
	return (uint32_t)(*count - begin);
}

static void symtab_sort(struct outsym *syms, uint32_t count)
{
	if (count)
		qsort(syms, count, sizeof(*syms), symtab_order);
}

bool symbols_write(struct link *link)
{
	size_t room = 0, count = 0;

	for (const struct def *def = link->defs; def; def = def->next)
		room++;
	link->syms = arena_get(&link->arena, room, sizeof(*link->syms));
	if (!link->syms)
		return link_no_memory(link);
	link->local_syms = symtab_section(link, &count, false);
	link->defined_syms = symtab_section(link, &count, true);
	link->undefined_syms = symtab_undefined(link, &count);
	symtab_sort(link->syms + link->local_syms, link->defined_syms);
	symtab_sort(link->syms + link->local_syms + link->defined_syms, link->undefined_syms);

	/* Offset 0 means no name, so no name stands there. */
	bytes_add(&link->strings, " ", 2);
	for (size_t i = 0; i < count; i++) {
		struct outsym *s = &link->syms[i];

		s->strx = (uint32_t)link->strings.len;
		s->def->out_index = (uint32_t)i;
		bytes_add(&link->strings, s->def->name, strlen(s->def->name) + 1);
	}
	bytes_pad(&link->strings, (link->strings.len + 7) & ~(size_t)7);
	return !link->strings.failed || link_no_memory(link);
}
