/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writing the i386 kext, a relocatable object: the 32-bit kernels of 10.6 and 10.7 take that and
 * lay the sections out themselves. The load commands are one segment without a name that holds all
 * sections, the symbol table and the UUID; their linker refuses any other, among them the dynamic
 * symbol table that compilers put into objects. Relocations belong to their sections.
 */
#include "tools/kextld/write.h"

#include <string.h>

size_t object32_header_size(const struct link *link)
{
	return sizeof(struct macho_header_32) + sizeof(struct macho_segment_32) +
	       link->sect_count * sizeof(struct macho_section_32) + sizeof(struct macho_symtab) +
	       sizeof(struct macho_uuid);
}

/* Entries in the file: a difference takes two. */
static uint32_t object32_reloc_count(const struct outrelocs *list)
{
	uint32_t count = 0;

	for (size_t i = 0; i < list->count; i++)
		count += list->at[i].scattered ? 2 : 1;
	return count;
}

static void object32_headers(struct bytes *out, const struct link *link, uint32_t base,
			     const struct macho_symtab *symtab)
{
	struct macho_header_32 head = {
		.magic = le32_make(MACHO_MAGIC_32),
		.cputype = le32_make(MACHO_CPU_I386),
		.cpusubtype = le32_make(MACHO_CPU_SUBTYPE_ALL),
		.filetype = le32_make(MACHO_TYPE_OBJECT),
		.ncmds = le32_make(3),
		.sizeofcmds = le32_make((uint32_t)(object32_header_size(link) - sizeof(head))),
	};
	struct macho_segment_32 segment = {
		.cmd = le32_make(MACHO_LC_SEGMENT),
		.cmdsize =
			le32_make((uint32_t)(sizeof(segment) +
					     link->sect_count * sizeof(struct macho_section_32))),
		.vmsize = le32_make((uint32_t)link->end_addr),
		.fileoff = le32_make(base),
		.filesize = le32_make((uint32_t)link->image_len),
		.maxprot = le32_make(MACHO_PROT_READ | MACHO_PROT_WRITE | MACHO_PROT_EXEC),
		.initprot = le32_make(MACHO_PROT_READ | MACHO_PROT_WRITE | MACHO_PROT_EXEC),
		.nsects = le32_make((uint32_t)link->sect_count),
	};

	bytes_add(out, &head, sizeof(head));
	bytes_add(out, &segment, sizeof(segment));
	for (const struct outsect *s = link->sects; s; s = s->next) {
		uint32_t relocs = object32_reloc_count(&s->relocs);
		struct macho_section_32 section = {
			.addr = le32_make((uint32_t)s->addr),
			.size = le32_make((uint32_t)s->size),
			.offset = le32_make(s->zerofill ? 0 : base + (uint32_t)s->addr),
			.align = le32_make(s->align),
			.reloff = le32_make(relocs ? s->reloff : 0),
			.nreloc = le32_make(relocs),
			.flags = le32_make(s->flags),
		};

		memcpy(section.sectname, s->sectname, sizeof(section.sectname));
		memcpy(section.segname, s->segname, sizeof(section.segname));
		bytes_add(out, &section, sizeof(section));
	}
	bytes_add(out, symtab, sizeof(*symtab));
}

bool object32_write(struct link *link)
{
	struct bytes out = {0}, head = {0};
	size_t base = (object32_header_size(link) + 15) & ~(size_t)15;
	struct macho_symtab symtab = {.cmd = le32_make(MACHO_LC_SYMTAB),
				      .cmdsize = le32_make(sizeof(symtab)),
				      .nsyms = le32_make(write_symbol_count(link)),
				      .strsize = le32_make((uint32_t)link->strings.len)};

	bytes_pad(&out, base);
	bytes_add(&out, link->image, link->image_len);
	bytes_pad(&out, (out.len + 3) & ~(size_t)3);
	for (struct outsect *s = link->sects; s; s = s->next) {
		s->reloff = (uint32_t)out.len;
		write_relocs(&out, &s->relocs);
	}
	symtab.symoff = le32_make((uint32_t)out.len);
	write_symbols(&out, link, false);
	symtab.stroff = le32_make((uint32_t)out.len);
	bytes_add(&out, link->strings.data, link->strings.len);

	object32_headers(&head, link, (uint32_t)base, &symtab);
	if (head.failed)
		out.failed = true;
	if (!out.failed)
		memcpy(out.data, head.data, head.len);
	write_uuid(&out, head.len);
	bytes_free(&head);
	return write_done(link, &out);
}
