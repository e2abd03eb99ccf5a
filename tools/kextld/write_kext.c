/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writing the x86-64 kext bundle. The load commands are exactly three segments, the symbol table,
 * the dynamic symbol table and the UUID: the kernels of 10.6 and 10.7 refuse any other, and those
 * after them want no more. Sections have no relocations of their own; all are in the dynamic symbol
 * table's two lists, with addresses counted from the first segment, which begins at 0.
 *
 *	0		headers, __TEXT
 *	data_addr	__DATA; zero fill has addresses but no bytes
 *	file_end	__LINKEDIT: local relocations, symbols, external relocations, strings
 */
#include "tools/kextld/write.h"

#include <string.h>

size_t kext_header_size(const struct link *link)
{
	return sizeof(struct macho_header_64) + 3 * sizeof(struct macho_segment_64) +
	       link->sect_count * sizeof(struct macho_section_64) + sizeof(struct macho_symtab) +
	       sizeof(struct macho_dysymtab) + sizeof(struct macho_uuid);
}

static uint64_t kext_page(uint64_t n)
{
	return (n + LINK_PAGE - 1) & ~(uint64_t)(LINK_PAGE - 1);
}

struct kext_range {
	uint64_t addr, size, fileoff, filesize;
};

static void kext_segment(struct bytes *out, const struct link *link, const char *name,
			 struct kext_range range, uint32_t prot)
{
	struct macho_segment_64 segment = {
		.cmd = le32_make(MACHO_LC_SEGMENT_64),
		.vmaddr = le64_make(range.addr),
		.vmsize = le64_make(range.size),
		.fileoff = le64_make(range.fileoff),
		.filesize = le64_make(range.filesize),
		.maxprot = le32_make(MACHO_PROT_READ | MACHO_PROT_WRITE | MACHO_PROT_EXEC),
		.initprot = le32_make(prot),
	};
	uint32_t count = 0;

	for (const struct outsect *s = link->sects; s; s = s->next)
		count += !strcmp(s->segname, name);
	segment.nsects = le32_make(count);
	segment.cmdsize =
		le32_make((uint32_t)(sizeof(segment) + count * sizeof(struct macho_section_64)));
	memcpy(segment.segname, name, strlen(name));
	bytes_add(out, &segment, sizeof(segment));
	for (const struct outsect *s = link->sects; s; s = s->next) {
		struct macho_section_64 section = {
			.addr = le64_make(s->addr),
			.size = le64_make(s->size),
			.offset = le32_make(s->zerofill ? 0 : (uint32_t)s->addr),
			.align = le32_make(s->align),
			.flags = le32_make(s->flags),
		};

		if (strcmp(s->segname, name))
			continue;
		memcpy(section.sectname, s->sectname, sizeof(section.sectname));
		memcpy(section.segname, s->segname, sizeof(section.segname));
		bytes_add(out, &section, sizeof(section));
	}
}

static void kext_headers(struct bytes *out, const struct link *link, uint64_t linkedit,
			 uint64_t linkedit_size, const struct macho_symtab *symtab,
			 const struct macho_dysymtab *dysymtab)
{
	uint64_t data_size =
		kext_page(link->end_addr > link->data_addr ? link->end_addr - link->data_addr : 0);
	struct macho_header_64 head = {
		.magic = le32_make(MACHO_MAGIC_64),
		.cputype = le32_make(MACHO_CPU_X86_64),
		.cpusubtype = le32_make(MACHO_CPU_SUBTYPE_ALL),
		.filetype = le32_make(MACHO_TYPE_KEXT),
		.ncmds = le32_make(6),
		.sizeofcmds = le32_make((uint32_t)(kext_header_size(link) - sizeof(head))),
		.flags = le32_make(MACHO_FLAG_NOUNDEFS | MACHO_FLAG_DYLDLINK | MACHO_FLAG_TWOLEVEL),
	};

	bytes_add(out, &head, sizeof(head));
	kext_segment(out, link, "__TEXT",
		     (struct kext_range){0, link->data_addr, 0, link->data_addr},
		     MACHO_PROT_READ | MACHO_PROT_EXEC);
	kext_segment(out, link, "__DATA",
		     (struct kext_range){link->data_addr, data_size, link->data_addr,
					 link->file_end - link->data_addr},
		     MACHO_PROT_READ | MACHO_PROT_WRITE);
	kext_segment(out, link, "__LINKEDIT",
		     (struct kext_range){link->data_addr + data_size, kext_page(linkedit_size),
					 linkedit, linkedit_size},
		     MACHO_PROT_READ);
	bytes_add(out, symtab, sizeof(*symtab));
	bytes_add(out, dysymtab, sizeof(*dysymtab));
}

bool kext_write(struct link *link)
{
	struct bytes out = {0}, head = {0};
	uint32_t symbols = write_symbol_count(link);
	struct macho_symtab symtab = {.cmd = le32_make(MACHO_LC_SYMTAB),
				      .cmdsize = le32_make(sizeof(symtab)),
				      .nsyms = le32_make(symbols),
				      .strsize = le32_make((uint32_t)link->strings.len)};
	struct macho_dysymtab dysymtab = {.cmd = le32_make(MACHO_LC_DYSYMTAB),
					  .cmdsize = le32_make(sizeof(dysymtab)),
					  .nlocalsym = le32_make(link->local_syms),
					  .iextdefsym = le32_make(link->local_syms),
					  .nextdefsym = le32_make(link->defined_syms),
					  .iundefsym =
						  le32_make(link->local_syms + link->defined_syms),
					  .nundefsym = le32_make(link->undefined_syms),
					  .nextrel = le32_make((uint32_t)link->external.count),
					  .nlocrel = le32_make((uint32_t)link->local.count)};

	bytes_add(&out, link->image, link->image_len);
	if (link->local.count)
		dysymtab.locreloff = le32_make((uint32_t)out.len);
	write_relocs(&out, &link->local);
	symtab.symoff = le32_make((uint32_t)out.len);
	write_symbols(&out, link, true);
	if (link->external.count)
		dysymtab.extreloff = le32_make((uint32_t)out.len);
	write_relocs(&out, &link->external);
	symtab.stroff = le32_make((uint32_t)out.len);
	bytes_add(&out, link->strings.data, link->strings.len);

	kext_headers(&head, link, link->file_end, out.len - link->file_end, &symtab, &dysymtab);
	if (head.failed)
		out.failed = true;
	if (!out.failed)
		memcpy(out.data, head.data, head.len);
	write_uuid(&out, head.len);
	bytes_free(&head);
	return write_done(link, &out);
}
