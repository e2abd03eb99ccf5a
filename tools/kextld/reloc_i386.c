/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Relocating i386. The output is itself a relocatable object: the kernels of 10.6 and 10.7 place
 * its sections one by one, so every reference between two sections stays, and only those within
 * one become numbers. What their linker expects shapes the rest:
 *
 *   - all relocated fields are four bytes;
 *   - it adds to a pc-relative field the distance the target moved less the address of the section
 *     it is in, as if the section had begun at 0. Hence all code is in one section, placed at 0;
 *   - the sections of a difference are looked up by an address that must be inside them, and the
 *     count of relocations goes wrong if the first of a section is a difference. Hence plain ones
 *     come first.
 *
 * A plain relocation against a symbol that the kext shows keeps its symbol; others name a section.
 */
#include "tools/kextld/link.h"

#include <string.h>

static uint32_t i386_get(const uint8_t *at)
{
	le32 value;

	memcpy(&value, at, sizeof(value));
	return le32_get(value);
}

static void i386_set(uint8_t *at, uint64_t value)
{
	memcpy(at, &(le32){endian_le32((uint32_t)value)}, 4);
}

static bool i386_bad(struct link *link, const struct section *s, const struct reloc *r,
		     const char *text)
{
	return link_fail(link, s->object, reloc_name(&r->to), "at 0x%x of %s,%s: %s", r->offset,
			 s->segname, s->sectname, text);
}

/* Leaves a plain relocation: against def, or against a place in sect. */
static bool i386_leave(struct link *link, const struct section *s, const struct reloc *r,
		       struct def *def, const struct outsect *sect)
{
	struct outreloc *out;

	if (r->pcrel && s->out->addr)
		return i386_bad(link, s, r,
				"a pc-relative reference out of a section that is not the first, "
				"which the 32-bit kernel gets wrong");
	out = reloc_add(link, &s->out->relocs);
	if (!out)
		return false;
	*out = (struct outreloc){.offset = (uint32_t)(s->out_addr - s->out->addr) + r->offset,
				 .type = MACHO_386_VANILLA,
				 .length = 2,
				 .pcrel = r->pcrel,
				 .def = def,
				 .sect = def ? 0 : sect->ordinal};
	if (def)
		def->wanted = true;
	return true;
}

static bool i386_symbol(struct link *link, const struct section *s, const struct reloc *r,
			uint32_t addend)
{
	uint8_t *at = layout_bytes(link, s, r->offset);
	uint64_t here = r->pcrel ? s->out_addr + r->offset + 4 : 0;
	struct def *def = symbols_target(link, s, r->to.symbol);

	if (!def)
		return false;
	if (def->kind == DEF_UNDEFINED) {
		i386_set(at, addend - here);
		return i386_leave(link, s, r, def, NULL);
	}
	if (def->kind == DEF_ABSOLUTE) {
		if (r->pcrel)
			return i386_bad(link, s, r, "a displacement to a number");
		i386_set(at, addend + def->value);
		return true;
	}
	if (r->pcrel && def->outsect == s->out) {
		i386_set(at, def->addr + addend - here);
		return true;
	}
	if (!r->pcrel && def->external && !def->private_) {
		i386_set(at, addend);
		return i386_leave(link, s, r, def, NULL);
	}
	i386_set(at, def->addr + addend - here);
	return i386_leave(link, s, r, NULL, def->outsect);
}

static bool i386_plain(struct link *link, const struct section *s, const struct reloc *r)
{
	uint8_t *at = layout_bytes(link, s, r->offset);
	uint32_t value = i386_get(at);
	uint64_t here = r->pcrel ? s->out_addr + r->offset + 4 : 0, to;

	/* In the object, a displacement counts from here as the object numbers it. */
	if (r->pcrel)
		value += (uint32_t)s->addr + r->offset + 4;
	if (r->to.symbol)
		return i386_symbol(link, s, r, value);
	if (!r->to.section)
		return !r->pcrel || i386_bad(link, s, r, "a displacement to a number");
	/* The bytes of a scattered one may lead out of the section that is meant. */
	if (r->to.scattered) {
		if (!reloc_translate(link, s, r, r->to.section, r->to.value, &to))
			return false;
		to += (uint32_t)(value - r->to.value);
	} else if (!reloc_translate(link, s, r, r->to.section, value, &to)) {
		return false;
	}
	i386_set(at, to - here);
	if (r->pcrel && r->to.section->out == s->out)
		return true;
	return i386_leave(link, s, r, NULL, r->to.section->out);
}

/* An address inside the output section for the kernel to find it by. */
static uint32_t i386_inside(const struct outsect *out, uint64_t addr)
{
	return (uint32_t)(addr < out->addr || addr - out->addr >= out->size ? out->addr : addr);
}

static bool i386_difference(struct link *link, const struct section *s, const struct reloc *r)
{
	uint8_t *at = layout_bytes(link, s, r->offset);
	const struct section *plus = r->to.section, *minus = r->from.section;
	uint64_t to, from;
	struct outreloc *out;

	if (!plus || !minus || r->pcrel)
		return i386_bad(link, s, r, "a difference of what is not two places");
	if (!reloc_translate(link, s, r, plus, r->to.value, &to) ||
	    !reloc_translate(link, s, r, minus, r->from.value, &from))
		return false;
	i386_set(at, i386_get(at) + (to - r->to.value) - (from - r->from.value));
	if (plus->out == minus->out)
		return true;
	out = reloc_add(link, &s->out->relocs);
	if (!out)
		return false;
	*out = (struct outreloc){.offset = (uint32_t)(s->out_addr - s->out->addr) + r->offset,
				 .type = r->type,
				 .length = 2,
				 .scattered = true,
				 .value = i386_inside(plus->out, to),
				 .pair_value = i386_inside(minus->out, from)};
	if (out->offset > 0xffffff)
		return i386_bad(link, s, r, "a difference too far into its section");
	return true;
}

static bool i386_apply_one(struct link *link, const struct section *s, const struct reloc *r)
{
	if (r->length != 2)
		return i386_bad(link, s, r, "only fields of 32 bits can be relocated");
	switch (r->type) {
	case MACHO_386_VANILLA:
		return i386_plain(link, s, r);
	case MACHO_386_SECTDIFF:
	case MACHO_386_LOCAL_SECTDIFF:
		return i386_difference(link, s, r);
	default:
		return link_fail(link, s->object, reloc_name(&r->to),
				 "at 0x%x of %s,%s: a relocation of type %u, which kexts have not",
				 r->offset, s->segname, s->sectname, r->type);
	}
}

bool i386_apply(struct link *link)
{
	for (struct outsect *out = link->sects; out; out = out->next) {
		for (struct section *s = out->first; s; s = s->next) {
			for (size_t i = 0; i < s->reloc_count; i++) {
				if (!symbols_dead(s, s->relocs[i].offset) &&
				    !i386_apply_one(link, s, &s->relocs[i]))
					return false;
			}
		}
		reloc_sort(&out->relocs);
		if (out->relocs.count && out->relocs.at[0].scattered)
			return link_fail(link, NULL, NULL,
					 "%s,%s has no relocations but differences, which the "
					 "32-bit kernel miscounts",
					 out->segname, out->sectname);
	}
	return true;
}
