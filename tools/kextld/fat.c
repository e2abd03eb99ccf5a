/* SPDX-License-Identifier: BSD-2-Clause */
/* Universal files: finding the slice for one processor, and joining slices. */
#include "tools/kextld/link.h"

#include <stdlib.h>
#include <string.h>

enum {
	FAT_ALIGN = 12,
	FAT_MAX = 16, /* slices; processors that anybody had are fewer */
};

bool fat_is(struct span bytes)
{
	uint32_t magic;

	return span_be32(bytes, 0, &magic) && magic == MACHO_FAT_MAGIC;
}

bool fat_pick(struct link *link, const char *file, struct span bytes, struct span *slice)
{
	const struct object where = {.file = file};
	uint32_t wanted = link->arch == KEXTLD_ARCH_I386 ? MACHO_CPU_I386 : MACHO_CPU_X86_64;
	uint32_t count;

	if (link->arch == KEXTLD_ARCH_ANY)
		return link_fail(link, &where, NULL, "a universal file; say -arch");
	if (!span_be32(bytes, offsetof(struct macho_fat_header, count), &count) || count > FAT_MAX)
		return link_fail(link, &where, NULL, "not a universal file: too many slices");
	for (uint32_t i = 0; i < count; i++) {
		size_t at = sizeof(struct macho_fat_header) + i * sizeof(struct macho_fat_arch);
		uint32_t cpu, offset, size;

		if (!span_be32(bytes, at, &cpu) ||
		    !span_be32(bytes, at + offsetof(struct macho_fat_arch, offset), &offset) ||
		    !span_be32(bytes, at + offsetof(struct macho_fat_arch, size), &size))
			return link_fail(link, &where, NULL, "the list of slices is cut short");
		if (cpu != wanted)
			continue;
		if (!span_sub(bytes, offset, size, slice))
			return link_fail(link, &where, NULL, "a slice ends behind the file");
		return true;
	}
	return link_fail(link, &where, NULL, "no slice for %s",
			 wanted == MACHO_CPU_I386 ? "i386" : "x86_64");
}

static size_t fat_round(size_t n)
{
	return (n + ((size_t)1 << FAT_ALIGN) - 1) >> FAT_ALIGN << FAT_ALIGN;
}

bool kextld_join(const struct kextld_input *slices, size_t count, struct kextld_output *out)
{
	struct link link = {.result = out};
	struct macho_fat_arch archs[FAT_MAX] = {0};
	size_t end = sizeof(struct macho_fat_header) + count * sizeof(archs[0]);

	*out = (struct kextld_output){0};
	if (!count || count > FAT_MAX)
		return link_fail(&link, NULL, NULL, "a universal file has 1 to %d slices", FAT_MAX);
	for (size_t i = 0; i < count; i++) {
		const struct object where = {.file = slices[i].name};
		uint32_t magic, cpu, sub;

		if (!span_le32(slices[i].bytes, 0, &magic) ||
		    (magic != MACHO_MAGIC_32 && magic != MACHO_MAGIC_64) ||
		    !span_le32(slices[i].bytes, offsetof(struct macho_header_32, cputype), &cpu) ||
		    !span_le32(slices[i].bytes, offsetof(struct macho_header_32, cpusubtype), &sub))
			return link_fail(&link, &where, NULL, "not a Mach-O file");
		for (size_t k = 0; k < i; k++) {
			if (be32_get(archs[k].cputype) == cpu)
				return link_fail(&link, &where, NULL,
						 "for the same processor as %s", slices[k].name);
		}
		end = fat_round(end);
		if (slices[i].bytes.len > LINK_MAX_IMAGE)
			return link_fail(&link, &where, NULL, "too large for a kext");
		archs[i] = (struct macho_fat_arch){
			.cputype = be32_make(cpu),
			.cpusubtype = be32_make(sub & MACHO_CPU_SUBTYPE_MASK),
			.offset = be32_make((uint32_t)end),
			.size = be32_make((uint32_t)slices[i].bytes.len),
			.align = be32_make(FAT_ALIGN),
		};
		end += slices[i].bytes.len;
	}
	out->data = calloc(1, end);
	if (!out->data)
		return link_no_memory(&link);
	out->len = end;
	memcpy(out->data,
	       &(struct macho_fat_header){be32_make(MACHO_FAT_MAGIC), be32_make((uint32_t)count)},
	       sizeof(struct macho_fat_header));
	memcpy(out->data + sizeof(struct macho_fat_header), archs, count * sizeof(archs[0]));
	for (size_t i = 0; i < count; i++) {
		if (slices[i].bytes.len)
			memcpy(out->data + be32_get(archs[i].offset), slices[i].bytes.data,
			       slices[i].bytes.len);
	}
	return true;
}
