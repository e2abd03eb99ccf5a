/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where everything goes. Input sections of one name make one output section, in the order of the
 * command line, each aligned as its object asked. __TEXT comes first, then __DATA with zero fill at
 * its end. The image is one array indexed by address: at 0 the kext bundle's own headers, or for
 * i386, whose headers belong to no section, the code.
 *
 * Literals are laid one after the other and not merged: kexts are small, and what is not taken
 * apart cannot be put together wrong.
 */
#include "tools/kextld/link.h"

#include <stdlib.h>
#include <string.h>

/* Order within a segment; what is not named here comes after, zero fill last. */
static const struct layout_rank {
	const char *segname, *sectname;
	unsigned rank;
} layout_ranks[] = {
	{"__TEXT", "__text", 0},	  {"__TEXT", "__const", 2},
	{"__TEXT", "__cstring", 3},	  {"__DATA", "__got", 0},
	{"__DATA", "__mod_init_func", 1}, {"__DATA", "__mod_term_func", 2},
	{"__DATA", "__const", 3},	  {"__DATA", "__data", 4},
	{"__DATA", "__common", 8},	  {"__DATA", "__bss", 9},
};

enum { LAYOUT_DATA = 100, LAYOUT_ZEROFILL = 50, LAYOUT_CODE = 1, LAYOUT_REST = 7 };

static unsigned layout_rank(const struct outsect *out, bool code)
{
	unsigned rank = code ? LAYOUT_CODE : LAYOUT_REST;

	for (size_t i = 0; i < sizeof(layout_ranks) / sizeof(layout_ranks[0]); i++) {
		if (!strcmp(out->segname, layout_ranks[i].segname) &&
		    !strcmp(out->sectname, layout_ranks[i].sectname))
			rank = layout_ranks[i].rank;
	}
	if (out->zerofill)
		rank += LAYOUT_ZEROFILL;
	return rank + (out->text ? 0 : LAYOUT_DATA);
}

static struct outsect *layout_find(const struct link *link, const struct section *s)
{
	for (struct outsect *out = link->sects; out; out = out->next) {
		if (!strcmp(out->segname, s->segname) && !strcmp(out->sectname, s->sectname))
			return out;
	}
	return NULL;
}

static struct outsect *layout_new(struct link *link, const struct section *s)
{
	struct outsect *out = arena_get(&link->arena, 1, sizeof(*out)), **at = &link->sects;

	if (!out) {
		link_no_memory(link);
		return NULL;
	}
	memcpy(out->segname, s->segname, sizeof(out->segname));
	memcpy(out->sectname, s->sectname, sizeof(out->sectname));
	out->last = &out->first;
	out->zerofill = s->zerofill;
	out->text = !strcmp(s->segname, "__TEXT");
	out->rank = layout_rank(out, s->code);
	out->flags = s->flags & MACHO_S_TYPE;
	if (out->flags == MACHO_S_COALESCED)
		out->flags = MACHO_S_REGULAR;
	if (out->flags == MACHO_S_GB_ZEROFILL)
		out->flags = MACHO_S_ZEROFILL;
	/* Behind all of the same rank: first come, first placed. */
	while (*at && (*at)->rank <= out->rank)
		at = &(*at)->next;
	out->next = *at;
	*at = out;
	link->sect_count++;
	return out;
}

static bool layout_put(struct link *link, struct section *s)
{
	const uint32_t drop = MACHO_S_TYPE | MACHO_S_ATTR_LOC_RELOC | MACHO_S_ATTR_EXT_RELOC;
	struct outsect *out = layout_find(link, s);

	if (!out)
		out = layout_new(link, s);
	if (!out)
		return false;
	if (out->zerofill != s->zerofill)
		return link_fail(link, s->object, NULL, "section %s,%s: %s", s->segname,
				 s->sectname,
				 s->zerofill ? "zero fill here, but bytes in another object"
					     : "bytes here, but zero fill in another object");
	if (out->text && out->zerofill)
		return link_fail(link, s->object, NULL, "section %s,%s: zero fill in __TEXT",
				 s->segname, s->sectname);
	out->flags |= s->flags & ~drop;
	if (out->align < s->align)
		out->align = s->align;
	s->out = out;
	*out->last = s;
	out->last = &s->next;
	return true;
}

/* A section that no object holds. */
static struct section *layout_own(struct link *link, const char *sectname, uint32_t type)
{
	struct section *s = arena_get(&link->arena, 1, sizeof(*s));

	if (!s) {
		link_no_memory(link);
		return NULL;
	}
	memcpy(s->segname, "__DATA", sizeof("__DATA"));
	memcpy(s->sectname, sectname, strlen(sectname) + 1);
	s->flags = type;
	s->zerofill = type == MACHO_S_ZEROFILL;
	s->kept = true;
	return s;
}

/* Gives every tentative definition its place. */
static bool layout_common(struct link *link)
{
	struct section *s = NULL;

	for (struct def *def = link->defs; def; def = def->next) {
		uint64_t size = def->value, step = (uint64_t)1 << def->align;

		if (def->kind != DEF_COMMON)
			continue;
		if (!s && !(s = layout_own(link, "__common", MACHO_S_ZEROFILL)))
			return false;
		s->size = (s->size + step - 1) & ~(step - 1);
		if (s->align < def->align)
			s->align = def->align;
		def->kind = DEF_SECTION;
		def->section = s;
		def->value = s->size;
		s->size += size;
		if (s->size > LINK_MAX_IMAGE)
			return link_fail(link, def->object, def->name, "no room left for it");
	}
	return !s || layout_put(link, s);
}

bool layout_sections(struct link *link)
{
	for (struct object *o = link->objects; o; o = o->next) {
		for (size_t i = 0; i < o->section_count; i++) {
			if (o->sections[i].kept && !layout_put(link, &o->sections[i]))
				return false;
		}
	}
	if (!layout_common(link))
		return false;
	if (link->arch == KEXTLD_ARCH_X86_64) {
		if (!x64_scan(link))
			return false;
		if (link->got_count) {
			link->got_at = layout_own(link, "__got", MACHO_S_REGULAR);
			if (!link->got_at)
				return false;
			link->got_at->align = 3;
			link->got_at->size = link->got_count * 8;
			if (!layout_put(link, link->got_at))
				return false;
		}
	}
	if (link->sect_count > LINK_MAX_SECTIONS)
		return link_fail(link, NULL, NULL, "more than %d sections", LINK_MAX_SECTIONS);
	return true;
}

static uint64_t layout_align(uint64_t addr, unsigned align)
{
	uint64_t step = (uint64_t)1 << align;

	return (addr + step - 1) & ~(step - 1);
}

bool layout_addresses(struct link *link)
{
	bool kext = link->arch == KEXTLD_ARCH_X86_64, in_data = false;
	uint64_t addr = kext ? kext_header_size(link) : 0, image = addr;
	uint8_t ordinal = 0;

	for (struct outsect *out = link->sects; out; out = out->next) {
		if (kext && !out->text && !in_data) {
			in_data = true;
			addr = layout_align(addr, 12);
			link->data_addr = image = addr;
		}
		out->ordinal = ++ordinal;
		out->addr = addr = layout_align(addr, out->align);
		for (struct section *s = out->first; s; s = s->next) {
			addr = layout_align(addr, s->align);
			s->out_addr = addr;
			addr += s->size;
			if (addr > LINK_MAX_IMAGE)
				return link_fail(
					link, s->object, NULL,
					"section %s,%s: the kext becomes larger than %d bytes",
					s->segname, s->sectname, LINK_MAX_IMAGE);
		}
		out->size = addr - out->addr;
		if (!out->zerofill)
			image = addr;
	}
	link->end_addr = addr;
	if (kext && !in_data)
		link->data_addr = image = layout_align(addr, 12);
	if (kext)
		image = layout_align(image, 12);
	link->file_end = image;
	link->image_len = (size_t)image;
	for (struct def *def = link->defs; def; def = def->next) {
		if (def->kind != DEF_SECTION || !def->section->out)
			continue;
		def->outsect = def->section->out;
		def->addr = def->section->out_addr + def->value;
	}
	link->image = arena_get(&link->arena, link->image_len, 1);
	return link->image || link_no_memory(link);
}

uint8_t *layout_bytes(struct link *link, const struct section *section, uint32_t offset)
{
	return link->image + section->out_addr + offset;
}

void layout_fill(struct link *link)
{
	for (const struct outsect *out = link->sects; out; out = out->next) {
		for (const struct section *s = out->first; s; s = s->next) {
			uint8_t *to = link->image + s->out_addr;

			if (!s->bytes.len)
				continue;
			memcpy(to, s->bytes.data, s->bytes.len);
			/* int3, so that a stray jump there shows. */
			for (const struct dead *dead = s->dead; dead; dead = dead->next)
				memset(to + dead->begin, s->code ? 0xcc : 0,
				       (size_t)(dead->end - dead->begin));
		}
	}
}
