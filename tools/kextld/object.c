/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading a relocatable object. Whatever a later stage relies on is checked here, once: names end
 * inside the string table, symbols lie in their section, relocations inside the bytes they change
 * and refer to symbols and sections that exist, pairs are whole. All positions come from the file
 * and are only used through span_sub() and span_fits(), which have no sums to wrap.
 */
#include "tools/kextld/link.h"

#include <string.h>

struct object_reader {
	struct link *link;
	struct object *object;
	struct span bytes;
	bool wide; /* 64 bits */
	bool has_segment, has_symtab;
	struct macho_symtab symtab;
};

static bool object_bad(const struct object_reader *r, const char *text)
{
	return link_fail(r->link, r->object, NULL, "%s", text);
}

static bool object_copy(struct span bytes, size_t off, void *out, size_t len)
{
	struct span part;

	if (!span_sub(bytes, off, len, &part))
		return false;
	memcpy(out, part.data, len);
	return true;
}

/* ---- sections ---- */

/* Names that say how a compiler once wanted things merged; one output section holds them all. For
 * i386 there is a second reason: the kernel's linker gets pc-relative references right only in the
 * section at address 0, so all code has to be in one. */
static const struct object_rename {
	const char *segname, *from, *to;
} object_renames[] = {
	{"__TEXT", "__textcoal_nt", "__text"}, {"__TEXT", "__StaticInit", "__text"},
	{"__TEXT", "__const_coal", "__const"}, {"__DATA", "__datacoal_nt", "__data"},
	{"__DATA", "__const_coal", "__const"},
};

static bool object_is_code(uint32_t flags)
{
	return flags & (MACHO_S_ATTR_PURE_INSTRUCTIONS | MACHO_S_ATTR_SOME_INSTRUCTIONS);
}

/* Whether a section goes into the output; false with *bad set if it cannot be linked at all. */
static bool object_keeps(const struct section *s, const char **bad)
{
	unsigned type = s->flags & MACHO_S_TYPE;

	*bad = NULL;
	if (s->flags & MACHO_S_ATTR_DEBUG || !strcmp(s->segname, "__DWARF") ||
	    !strcmp(s->segname, "__LD") || !strcmp(s->segname, "__LLVM"))
		return false;
	if (!strcmp(s->segname, "__TEXT") && !strcmp(s->sectname, "__eh_frame"))
		return false;
	if (!s->size && !s->labelled)
		return false;
	if (strcmp(s->segname, "__TEXT") && strcmp(s->segname, "__DATA"))
		*bad = "neither __TEXT nor __DATA, which is all that a kext has";
	else if (type == MACHO_S_NON_LAZY_POINTERS || type == MACHO_S_LAZY_POINTERS ||
		 type == MACHO_S_STUBS || type == MACHO_S_LAZY_DYLIB_POINTERS)
		*bad = "stubs and symbol pointers of dynamic code; compile with -mkernel -static";
	else if (type >= MACHO_S_THREAD_FIRST && type <= MACHO_S_THREAD_LAST)
		*bad = "a kext has no thread-local variables";
	else if (type == MACHO_S_INTERPOSING)
		*bad = "a kext cannot interpose";
	else if (s->align > LINK_MAX_ALIGN)
		*bad = "aligned to more than a page";
	return !*bad;
}

static bool object_section_fields(struct object_reader *r, size_t off, struct section *s,
				  uint32_t *fileoff, uint32_t *reloff, uint32_t *nreloc)
{
	struct macho_section_64 wide;
	struct macho_section_32 narrow;

	if (r->wide) {
		if (!object_copy(r->bytes, off, &wide, sizeof(wide)))
			return false;
		memcpy(s->sectname, wide.sectname, sizeof(wide.sectname));
		memcpy(s->segname, wide.segname, sizeof(wide.segname));
		s->addr = le64_get(wide.addr);
		s->size = le64_get(wide.size);
		s->align = le32_get(wide.align);
		s->flags = le32_get(wide.flags);
		*fileoff = le32_get(wide.offset);
		*reloff = le32_get(wide.reloff);
		*nreloc = le32_get(wide.nreloc);
		return true;
	}
	if (!object_copy(r->bytes, off, &narrow, sizeof(narrow)))
		return false;
	memcpy(s->sectname, narrow.sectname, sizeof(narrow.sectname));
	memcpy(s->segname, narrow.segname, sizeof(narrow.segname));
	s->addr = le32_get(narrow.addr);
	s->size = le32_get(narrow.size);
	s->align = le32_get(narrow.align);
	s->flags = le32_get(narrow.flags);
	*fileoff = le32_get(narrow.offset);
	*reloff = le32_get(narrow.reloff);
	*nreloc = le32_get(narrow.nreloc);
	return true;
}

static bool object_section(struct object_reader *r, size_t off, struct section *s)
{
	uint32_t fileoff, reloff, nreloc;
	unsigned type;

	s->object = r->object;
	if (!object_section_fields(r, off, s, &fileoff, &reloff, &nreloc))
		return object_bad(r, "the section table ends behind the file");
	type = s->flags & MACHO_S_TYPE;
	s->zerofill = type == MACHO_S_ZEROFILL || type == MACHO_S_GB_ZEROFILL;
	if (s->size > LINK_MAX_IMAGE || s->addr > UINT64_MAX - s->size)
		return link_fail(r->link, r->object, NULL, "section %s,%s: too large for a kext",
				 s->segname, s->sectname);
	if (!s->zerofill && !span_sub(r->bytes, fileoff, (size_t)s->size, &s->bytes))
		return link_fail(r->link, r->object, NULL, "section %s,%s: not in the file",
				 s->segname, s->sectname);
	if (!span_fits(r->bytes.len, reloff, 0) ||
	    nreloc > (r->bytes.len - reloff) / sizeof(struct macho_reloc))
		return link_fail(r->link, r->object, NULL,
				 "section %s,%s: its relocations are not in the file", s->segname,
				 s->sectname);
	/* Kept for later, when the symbols are known. */
	s->reloc_at = reloff;
	s->reloc_count = nreloc;
	for (size_t i = 0; i < sizeof(object_renames) / sizeof(object_renames[0]); i++) {
		const struct object_rename *name = &object_renames[i];

		if (!strcmp(s->segname, name->segname) && !strcmp(s->sectname, name->from))
			memcpy(s->sectname, name->to, strlen(name->to) + 1);
	}
	return true;
}

static bool object_segment(struct object_reader *r, size_t off)
{
	size_t head = r->wide ? sizeof(struct macho_segment_64) : sizeof(struct macho_segment_32);
	size_t each = r->wide ? sizeof(struct macho_section_64) : sizeof(struct macho_section_32);
	le32 field;
	uint32_t count;

	if (r->has_segment)
		return object_bad(r, "more than one segment, so not a relocatable object");
	r->has_segment = true;
	if (!object_copy(r->bytes,
			 off + (r->wide ? offsetof(struct macho_segment_64, nsects)
					: offsetof(struct macho_segment_32, nsects)),
			 &field, sizeof(field)))
		return object_bad(r, "the segment command ends behind the file");
	count = le32_get(field);
	if (count > LINK_MAX_SECTIONS)
		return object_bad(r, "more than 255 sections");
	r->object->sections = arena_get(&r->link->arena, count, sizeof(struct section));
	if (!r->object->sections)
		return link_no_memory(r->link);
	r->object->section_count = count;
	for (uint32_t i = 0; i < count; i++) {
		if (!object_section(r, off + head + i * each, &r->object->sections[i]))
			return false;
	}
	return true;
}

/* ---- symbols ---- */

static const char *object_string(const struct object_reader *r, struct span strings, uint32_t at)
{
	struct span rest;

	(void)r;
	if (!span_from(strings, at, &rest) || !rest.len || !memchr(rest.data, 0, rest.len))
		return NULL;
	return (const char *)rest.data;
}

static bool object_symbol(struct object_reader *r, struct span strings, size_t off,
			  struct symbol *s)
{
	struct macho_nlist_64 wide = {0};
	struct macho_nlist_32 narrow = {0};
	uint8_t sect;
	uint32_t strx;

	if (r->wide) {
		if (!object_copy(r->bytes, off, &wide, sizeof(wide)))
			return object_bad(r, "the symbol table ends behind the file");
		strx = le32_get(wide.strx);
		s->value = le64_get(wide.value);
	} else {
		if (!object_copy(r->bytes, off, &narrow, sizeof(narrow)))
			return object_bad(r, "the symbol table ends behind the file");
		memcpy(&wide, &narrow, offsetof(struct macho_nlist_32, value));
		strx = le32_get(narrow.strx);
		s->value = le32_get(narrow.value);
	}
	s->type = wide.type;
	s->desc = le16_get(wide.desc);
	sect = wide.sect;
	s->name = object_string(r, strings, strx);
	if (!s->name)
		return object_bad(r, "the name of a symbol is not in the string table");
	if (s->type & MACHO_N_STAB)
		return true;
	if (s->type & MACHO_N_EXT && !*s->name)
		return object_bad(r, "an external symbol without a name");
	switch (s->type & MACHO_N_TYPE) {
	case MACHO_N_SECT:
		if (!sect || sect > r->object->section_count)
			return link_fail(r->link, r->object, s->name,
					 "defined in section %u, which there is not", sect);
		s->section = &r->object->sections[sect - 1];
		if (s->value < s->section->addr || s->value - s->section->addr > s->section->size)
			return link_fail(r->link, r->object, s->name,
					 "defined outside its section");
		s->section->labelled = true;
		return true;
	case MACHO_N_UNDF:
		if (s->value > LINK_MAX_IMAGE)
			return link_fail(r->link, r->object, s->name,
					 "a tentative definition too large for a kext");
		return true;
	case MACHO_N_ABS:
		return true;
	case MACHO_N_INDR:
		s->alias = s->value > UINT32_MAX ? NULL
						 : object_string(r, strings, (uint32_t)s->value);
		if (!s->alias || !*s->alias)
			return link_fail(r->link, r->object, s->name,
					 "stands for a name that is not in the string table");
		return true;
	default:
		return link_fail(r->link, r->object, s->name, "a symbol of unknown type 0x%02x",
				 s->type);
	}
}

static bool object_symbols(struct object_reader *r)
{
	size_t each = r->wide ? sizeof(struct macho_nlist_64) : sizeof(struct macho_nlist_32);
	uint32_t at = le32_get(r->symtab.symoff), count = le32_get(r->symtab.nsyms);
	struct span strings;

	if (!span_sub(r->bytes, le32_get(r->symtab.stroff), le32_get(r->symtab.strsize), &strings))
		return object_bad(r, "the string table is not in the file");
	if (at > r->bytes.len || count > (r->bytes.len - at) / each)
		return object_bad(r, "the symbol table is not in the file");
	r->object->symbols = arena_get(&r->link->arena, count, sizeof(struct symbol));
	if (!r->object->symbols)
		return link_no_memory(r->link);
	r->object->symbol_count = count;
	for (uint32_t i = 0; i < count; i++) {
		if (!object_symbol(r, strings, at + i * each, &r->object->symbols[i]))
			return false;
	}
	return true;
}

/* ---- relocations ---- */

/* A relocation as it stands in the file. */
struct object_raw {
	uint32_t address, number, value;
	bool scattered, pcrel, external;
	uint8_t length, type;
};

static struct object_raw object_unpack(const struct object_reader *r, struct macho_reloc in)
{
	uint32_t first = le32_get(in.address), word = le32_get(in.word);

	/* Scattered relocations exist on i386 only; there an address has 24 bits. */
	if (!r->wide && first & MACHO_SCATTERED)
		return (struct object_raw){
			.scattered = true,
			.address = first & 0xffffff,
			.type = first >> 24 & 0xf,
			.length = first >> 28 & 3,
			.pcrel = first >> 30 & 1,
			.value = word,
		};
	return (struct object_raw){
		.address = first,
		.number = word & 0xffffff,
		.pcrel = word >> 24 & 1,
		.length = word >> 25 & 3,
		.external = word >> 27 & 1,
		.type = (uint8_t)(word >> 28),
	};
}

/* The section that an address belongs to; the end of one counts if no other begins there. */
static struct section *object_section_at(struct object *object, uint64_t addr)
{
	struct section *ends = NULL;

	for (size_t i = 0; i < object->section_count; i++) {
		struct section *s = &object->sections[i];

		if (addr < s->addr || addr - s->addr > s->size)
			continue;
		if (addr - s->addr < s->size)
			return s;
		ends = s;
	}
	return ends;
}

static bool object_bad_reloc(const struct object_reader *r, const struct section *s,
			     const struct object_raw *raw, const char *text)
{
	return link_fail(r->link, r->object, NULL, "at 0x%x of %s,%s: a relocation %s",
			 raw->address, s->segname, s->sectname, text);
}

static bool object_place(struct object_reader *r, const struct section *s,
			 const struct object_raw *raw, struct place *place)
{
	struct object *o = r->object;

	if (raw->scattered) {
		place->section = object_section_at(o, raw->value);
		place->scattered = true;
		place->value = raw->value;
		if (!place->section)
			return link_fail(r->link, o, NULL,
					 "at 0x%x of %s,%s: a relocation against 0x%x, which is in "
					 "no section",
					 raw->address, s->segname, s->sectname, raw->value);
	} else if (raw->external) {
		if (raw->number >= o->symbol_count)
			return link_fail(r->link, o, NULL,
					 "at 0x%x of %s,%s: a relocation against symbol %u, which "
					 "there is not",
					 raw->address, s->segname, s->sectname, raw->number);
		place->symbol = &o->symbols[raw->number];
	} else if (raw->number != MACHO_R_ABS) {
		if (raw->number > o->section_count)
			return link_fail(r->link, o, NULL,
					 "at 0x%x of %s,%s: a relocation against section %u, which "
					 "there is not",
					 raw->address, s->segname, s->sectname, raw->number);
		place->section = &o->sections[raw->number - 1];
	}
	return true;
}

static bool object_has_pair(const struct object_reader *r, uint8_t type)
{
	if (r->wide)
		return type == MACHO_X64_SUBTRACTOR;
	return type == MACHO_386_SECTDIFF || type == MACHO_386_LOCAL_SECTDIFF;
}

static bool object_relocs(struct object_reader *r, struct section *s)
{
	uint32_t raw_count = (uint32_t)s->reloc_count;

	s->reloc_count = 0;
	if (!raw_count)
		return true;
	if (s->zerofill)
		return link_fail(r->link, r->object, NULL,
				 "section %s,%s: relocations but no bytes", s->segname,
				 s->sectname);
	s->relocs = arena_get(&r->link->arena, raw_count, sizeof(struct reloc));
	if (!s->relocs)
		return link_no_memory(r->link);
	for (uint32_t i = 0; i < raw_count; i++) {
		struct reloc *out = &s->relocs[s->reloc_count++];
		struct macho_reloc in;
		struct object_raw raw, second;

		if (!object_copy(r->bytes, s->reloc_at + i * sizeof(in), &in, sizeof(in)))
			return object_bad(r, "the relocations are not in the file");
		raw = object_unpack(r, in);
		if (!span_fits((size_t)s->size, raw.address, (size_t)1 << raw.length))
			return object_bad_reloc(r, s, &raw, "behind the end of the section");
		*out = (struct reloc){.offset = raw.address,
				      .type = raw.type,
				      .length = raw.length,
				      .pcrel = raw.pcrel};
		if (!object_has_pair(r, raw.type)) {
			if (!object_place(r, s, &raw, &out->to))
				return false;
			continue;
		}
		if (++i == raw_count ||
		    !object_copy(r->bytes, s->reloc_at + i * sizeof(in), &in, sizeof(in)))
			return object_bad_reloc(r, s, &raw, "without its other half");
		second = object_unpack(r, in);
		if (second.type != (r->wide ? MACHO_X64_UNSIGNED : MACHO_386_PAIR) ||
		    second.length != raw.length || (r->wide && second.address != raw.address))
			return object_bad_reloc(r, s, &raw, "without its other half");
		/* x86-64 names what is subtracted first, i386 what it is subtracted from. */
		if (!object_place(r, s, &raw, r->wide ? &out->from : &out->to) ||
		    !object_place(r, s, &second, r->wide ? &out->to : &out->from))
			return false;
	}
	return true;
}

/* ---- the whole ---- */

static bool object_commands(struct object_reader *r, size_t at, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct macho_command head;
		uint32_t cmd, size;
		size_t need = 0;

		if (!object_copy(r->bytes, at, &head, sizeof(head)))
			return object_bad(r, "the load commands end behind the file");
		cmd = le32_get(head.cmd);
		size = le32_get(head.cmdsize);
		if (cmd == (r->wide ? MACHO_LC_SEGMENT_64 : MACHO_LC_SEGMENT))
			need = r->wide ? sizeof(struct macho_segment_64)
				       : sizeof(struct macho_segment_32);
		else if (cmd == MACHO_LC_SYMTAB)
			need = sizeof(struct macho_symtab);
		if (size < sizeof(head) || size < need || !span_fits(r->bytes.len, at, size))
			return object_bad(r, "a load command of impossible size");
		if (cmd == MACHO_LC_SYMTAB) {
			if (r->has_symtab)
				return object_bad(r, "more than one symbol table");
			r->has_symtab = true;
			object_copy(r->bytes, at, &r->symtab, sizeof(r->symtab));
		} else if (need && !object_segment(r, at)) {
			return false;
		}
		at += size;
	}
	return true;
}

static const char *object_arch_name(uint32_t cpu)
{
	return cpu == MACHO_CPU_X86_64 ? "x86_64" : cpu == MACHO_CPU_I386 ? "i386" : "another CPU";
}

static bool object_header(struct object_reader *r, struct macho_header_32 *head)
{
	struct link *link = r->link;
	uint32_t magic, cpu;
	enum kextld_arch arch;

	if (!object_copy(r->bytes, 0, head, sizeof(*head)))
		return object_bad(r, "not a Mach-O object: too short");
	magic = le32_get(head->magic);
	if (magic != MACHO_MAGIC_64 && magic != MACHO_MAGIC_32)
		return object_bad(r, "not a Mach-O object");
	r->wide = magic == MACHO_MAGIC_64;
	cpu = le32_get(head->cputype);
	if (cpu != (r->wide ? MACHO_CPU_X86_64 : MACHO_CPU_I386))
		return object_bad(r, "an object for neither x86_64 nor i386");
	arch = r->wide ? KEXTLD_ARCH_X86_64 : KEXTLD_ARCH_I386;
	if (link->arch == KEXTLD_ARCH_ANY)
		link->arch = arch;
	if (link->arch != arch)
		return link_fail(link, r->object, NULL, "an object for %s in a link for %s",
				 object_arch_name(cpu), r->wide ? "i386" : "x86_64");
	if (le32_get(head->filetype) != MACHO_TYPE_OBJECT)
		return link_fail(link, r->object, NULL,
				 "Mach-O, but no relocatable object (file type %u)",
				 le32_get(head->filetype));
	return true;
}

struct object *object_read(struct link *link, const char *file, const char *member,
			   struct span bytes)
{
	struct object_reader r = {.link = link, .bytes = bytes};
	struct macho_header_32 head = {0};
	struct object *o = arena_get(&link->arena, 1, sizeof(*o));

	if (!o) {
		link_no_memory(link);
		return NULL;
	}
	r.object = o;
	o->file = file;
	o->member = member;
	if (!object_header(&r, &head))
		return NULL;
	o->subsections = le32_get(head.flags) & MACHO_FLAG_SUBSECTIONS;
	if (!object_commands(&r, r.wide ? sizeof(struct macho_header_64) : sizeof(head),
			     le32_get(head.ncmds)) ||
	    (r.has_symtab && !object_symbols(&r)))
		return NULL;
	for (size_t i = 0; i < o->section_count; i++) {
		struct section *s = &o->sections[i];
		const char *bad;

		s->kept = object_keeps(s, &bad);
		if (bad) {
			link_fail(link, o, NULL, "section %s,%s: %s", s->segname, s->sectname, bad);
			return NULL;
		}
		if (object_is_code(s->flags) && !strcmp(s->segname, "__TEXT"))
			s->code = true;
		if (!s->kept)
			s->reloc_count = 0;
		else if (!object_relocs(&r, s))
			return NULL;
	}
	return o;
}
