/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Relocating x86-64. What is known now is written into the image; what is left for the kernel's
 * linker is of three kinds only, those that it has understood in all releases:
 *
 *	local UNSIGNED		a 64-bit pointer to somewhere in the kext
 *	external UNSIGNED	a 64-bit pointer to an undefined symbol
 *	external BRANCH		a call or jump to an undefined symbol
 *
 * Code reaches other undefined symbols through the global offset table, whose slots are pointers as
 * any other. A load from the table that has a definition at hand becomes an address computation
 * (mov to lea) and needs no slot. Differences are numbers once everything has its place.
 *
 * Displacements count from the end of the instruction. An external one keeps in its bytes what to
 * add to the symbol, as seen from behind the four bytes; one against a section keeps where in the
 * object it led, and says by its type how many bytes of the instruction follow.
 */
#include "tools/kextld/link.h"

#include <string.h>

enum {
	X64_MOV = 0x8b, /* opcode of the load before its ModR/M byte and displacement */
	X64_LEA = 0x8d,
};

static uint64_t x64_get(const uint8_t *at, unsigned length)
{
	le32 narrow;
	le64 wide;

	if (length == 3) {
		memcpy(&wide, at, sizeof(wide));
		return le64_get(wide);
	}
	memcpy(&narrow, at, sizeof(narrow));
	return (uint64_t)(int64_t)(int32_t)le32_get(narrow);
}

static void x64_set(uint8_t *at, unsigned length, uint64_t value)
{
	if (length == 3)
		memcpy(at, &(le64){endian_le64(value)}, 8);
	else
		memcpy(at, &(le32){endian_le32((uint32_t)value)}, 4);
}

static bool x64_bad(struct link *link, const struct section *s, const struct reloc *r,
		    const char *text)
{
	return link_fail(link, s->object, reloc_name(&r->to), "at 0x%x of %s,%s: %s", r->offset,
			 s->segname, s->sectname, text);
}

static bool x64_slot(struct link *link, struct def *def)
{
	if (def->got)
		return true;
	if (link->got_count == link->got_room) {
		size_t room = link->got_room ? link->got_room * 2 : 64;
		struct def **got = arena_get(&link->arena, room, sizeof(struct def *));

		if (!got)
			return link_no_memory(link);
		if (link->got_count)
			memcpy(got, link->got, link->got_count * sizeof(struct def *));
		link->got = got;
		link->got_room = room;
	}
	link->got[link->got_count++] = def;
	def->got = (unsigned)link->got_count;
	return true;
}

/* Whether a load from the table can be made an address computation. */
static bool x64_relaxes(const struct section *s, const struct reloc *r, const struct def *def)
{
	return r->type == MACHO_X64_GOT_LOAD && def->kind == DEF_SECTION && r->offset >= 2 &&
	       s->bytes.data[r->offset - 2] == X64_MOV;
}

static bool x64_scan_section(struct link *link, const struct section *s)
{
	for (size_t i = 0; i < s->reloc_count; i++) {
		const struct reloc *r = &s->relocs[i];
		struct def *def;

		if (r->type != MACHO_X64_GOT_LOAD && r->type != MACHO_X64_GOT)
			continue;
		if (symbols_dead(s, r->offset))
			continue;
		if (!r->to.symbol || !r->pcrel || r->length != 2)
			return x64_bad(link, s, r, "no such reference through the offset table");
		def = symbols_target(link, s, r->to.symbol);
		if (!def || (!x64_relaxes(s, r, def) && !x64_slot(link, def)))
			return false;
	}
	return true;
}

bool x64_scan(struct link *link)
{
	for (struct outsect *out = link->sects; out; out = out->next) {
		for (struct section *s = out->first; s; s = s->next) {
			if (!x64_scan_section(link, s))
				return false;
		}
	}
	return true;
}

/* Leaves a pointer at addr to the kernel's linker: to def, or to a place in sect. */
static bool x64_leave(struct link *link, uint64_t addr, uint8_t type, struct def *def,
		      const struct outsect *sect)
{
	struct outreloc *out = reloc_add(link, def ? &link->external : &link->local);

	if (!out)
		return false;
	*out = (struct outreloc){.offset = (uint32_t)addr,
				 .type = type,
				 .length = type == MACHO_X64_BRANCH ? 2 : 3,
				 .pcrel = type == MACHO_X64_BRANCH,
				 .def = def,
				 .sect = def ? 0 : sect->ordinal};
	if (def)
		def->wanted = true;
	return true;
}

static bool x64_pointer(struct link *link, const struct section *s, const struct reloc *r)
{
	uint8_t *at = layout_bytes(link, s, r->offset);
	uint64_t addr = s->out_addr + r->offset, value = x64_get(at, r->length);
	struct def *def;

	if (r->pcrel || r->length != 3)
		return x64_bad(link, s, r, "only 64-bit pointers can be relocated");
	if (!r->to.symbol && !r->to.section)
		return true;
	if (r->to.section) {
		if (!reloc_translate(link, s, r, r->to.section, value, &value))
			return false;
		x64_set(at, 3, value);
		return x64_leave(link, addr, MACHO_X64_UNSIGNED, NULL, r->to.section->out);
	}
	def = symbols_target(link, s, r->to.symbol);
	if (!def)
		return false;
	if (def->kind == DEF_UNDEFINED)
		return x64_leave(link, addr, MACHO_X64_UNSIGNED, def, NULL);
	if (def->kind == DEF_ABSOLUTE) {
		x64_set(at, 3, value + def->value);
		return true;
	}
	x64_set(at, 3, value + def->addr);
	return x64_leave(link, addr, MACHO_X64_UNSIGNED, NULL, def->outsect);
}

/* What one side of a difference adds: the address of a symbol, or how far a section moved. */
static bool x64_side(struct link *link, const struct section *s, const struct reloc *r,
		     const struct place *place, uint64_t *out)
{
	struct def *def;

	if (place->section) {
		if (!place->section->out)
			return x64_bad(link, s, r, "a difference with what is not linked");
		*out = place->section->out_addr - place->section->addr;
		return true;
	}
	if (!place->symbol)
		return x64_bad(link, s, r, "a difference with a number");
	def = symbols_target(link, s, place->symbol);
	if (!def)
		return false;
	if (def->kind != DEF_SECTION)
		return link_fail(link, s->object, place->symbol->name,
				 "at 0x%x of %s,%s: a difference with what is not in the kext",
				 r->offset, s->segname, s->sectname);
	*out = def->addr;
	return true;
}

static bool x64_fits(uint64_t value)
{
	return (uint64_t)(int64_t)(int32_t)(uint32_t)value == value;
}

static bool x64_difference(struct link *link, const struct section *s, const struct reloc *r)
{
	uint8_t *at = layout_bytes(link, s, r->offset);
	uint64_t plus = 0, minus = 0, value;

	if (r->pcrel || r->length < 2)
		return x64_bad(link, s, r, "only differences of 32 and 64 bits can be relocated");
	if (!x64_side(link, s, r, &r->to, &plus) || !x64_side(link, s, r, &r->from, &minus))
		return false;
	value = x64_get(at, r->length) + plus - minus;
	if (r->length == 2 && !x64_fits(value))
		return x64_bad(link, s, r, "a difference that 32 bits do not hold");
	x64_set(at, r->length, value);
	return true;
}

/* Bytes of the instruction behind the displacement. */
static unsigned x64_tail(uint8_t type)
{
	return type == MACHO_X64_SIGNED_1   ? 1
	       : type == MACHO_X64_SIGNED_2 ? 2
	       : type == MACHO_X64_SIGNED_4 ? 4
					    : 0;
}

static bool x64_displace(struct link *link, const struct section *s, const struct reloc *r)
{
	uint8_t *at = layout_bytes(link, s, r->offset);
	uint64_t here = s->out_addr + r->offset + 4;
	uint64_t value = x64_get(at, 2), to;
	struct def *def;

	if (!r->pcrel || r->length != 2)
		return x64_bad(link, s, r, "only 32-bit displacements can be relocated");
	if (r->to.section) {
		uint64_t tail = x64_tail(r->type);

		to = s->addr + r->offset + 4 + tail + value;
		if (!reloc_translate(link, s, r, r->to.section, to, &to))
			return false;
		value = to - here - tail;
	} else if (!r->to.symbol) {
		return x64_bad(link, s, r, "a displacement to a number");
	} else {
		def = symbols_target(link, s, r->to.symbol);
		if (!def)
			return false;
		if (def->kind == DEF_UNDEFINED && r->type == MACHO_X64_BRANCH)
			return x64_leave(link, here - 4, MACHO_X64_BRANCH, def, NULL);
		if (def->kind == DEF_UNDEFINED)
			return x64_bad(link, s, r,
				       "undefined, and reached directly instead of through the "
				       "offset table (hidden visibility?)");
		if (def->kind != DEF_SECTION)
			return x64_bad(link, s, r, "a displacement to a number");
		value += def->addr - here;
	}
	if (!x64_fits(value))
		return x64_bad(link, s, r, "out of reach of a 32-bit displacement");
	x64_set(at, 2, value);
	return true;
}

static bool x64_through_got(struct link *link, const struct section *s, const struct reloc *r)
{
	uint8_t *at = layout_bytes(link, s, r->offset);
	struct def *def = symbols_target(link, s, r->to.symbol);
	uint64_t to, value;

	if (!def)
		return false;
	if (x64_relaxes(s, r, def)) {
		at[-2] = X64_LEA;
		to = def->addr;
	} else {
		to = link->got_at->out_addr + ((uint64_t)def->got - 1) * 8;
	}
	value = x64_get(at, 2) + to - (s->out_addr + r->offset + 4);
	if (!x64_fits(value))
		return x64_bad(link, s, r, "out of reach of a 32-bit displacement");
	x64_set(at, 2, value);
	return true;
}

static bool x64_apply_one(struct link *link, const struct section *s, const struct reloc *r)
{
	switch (r->type) {
	case MACHO_X64_UNSIGNED:
		return x64_pointer(link, s, r);
	case MACHO_X64_SUBTRACTOR:
		return x64_difference(link, s, r);
	case MACHO_X64_SIGNED:
	case MACHO_X64_SIGNED_1:
	case MACHO_X64_SIGNED_2:
	case MACHO_X64_SIGNED_4:
	case MACHO_X64_BRANCH:
		return x64_displace(link, s, r);
	case MACHO_X64_GOT_LOAD:
	case MACHO_X64_GOT:
		return x64_through_got(link, s, r);
	default:
		return link_fail(link, s->object, reloc_name(&r->to),
				 "at 0x%x of %s,%s: a relocation of type %u, which kexts have not",
				 r->offset, s->segname, s->sectname, r->type);
	}
}

static bool x64_fill_got(struct link *link)
{
	for (size_t i = 0; i < link->got_count; i++) {
		struct def *def = link->got[i];
		uint64_t addr = link->got_at->out_addr + i * 8;

		if (def->kind == DEF_ABSOLUTE) {
			x64_set(link->image + addr, 3, def->value);
			continue;
		}
		x64_set(link->image + addr, 3, def->kind == DEF_SECTION ? def->addr : 0);
		if (!x64_leave(link, addr, MACHO_X64_UNSIGNED,
			       def->kind == DEF_SECTION ? NULL : def, def->outsect))
			return false;
	}
	return true;
}

bool x64_apply(struct link *link)
{
	for (struct outsect *out = link->sects; out; out = out->next) {
		for (struct section *s = out->first; s; s = s->next) {
			for (size_t i = 0; i < s->reloc_count; i++) {
				if (!symbols_dead(s, s->relocs[i].offset) &&
				    !x64_apply_one(link, s, &s->relocs[i]))
					return false;
			}
		}
	}
	if (!x64_fill_got(link))
		return false;
	reloc_sort(&link->local);
	reloc_sort(&link->external);
	return true;
}
