/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/mkpkg/macho.h"

#define MACHO_FAT_MAGIC	  0xcafebabeU
#define MACHO_MAGIC_32	  0xfeedfaceU
#define MACHO_MAGIC_64	  0xfeedfacfU
#define MACHO_HEADER_SIZE 28
#define MACHO_FAT_HEADER  8
#define MACHO_FAT_ENTRY	  20

static uint32_t macho_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t macho_le32(const uint8_t *p)
{
	return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static bool macho_is_magic(uint32_t magic)
{
	return magic == MACHO_MAGIC_32 || magic == MACHO_MAGIC_64;
}

/* A file, or a slice of one, for one processor. */
static bool macho_thin(struct macho_arch *arch, struct span file)
{
	uint32_t (*get)(const uint8_t *) = macho_le32;

	if (file.len < MACHO_HEADER_SIZE)
		return false;
	if (macho_is_magic(macho_be32(file.data)))
		get = macho_be32;
	else if (!macho_is_magic(macho_le32(file.data)))
		return false;
	*arch = (struct macho_arch){
		.cpu = get(file.data + 4), .subtype = get(file.data + 8), .slice = file};
	return true;
}

bool macho_read(struct macho *m, struct span file)
{
	uint32_t count;

	*m = (struct macho){0};
	if (macho_thin(&m->arch[0], file)) {
		m->count = 1;
		return true;
	}
	if (file.len < MACHO_FAT_HEADER || macho_be32(file.data) != MACHO_FAT_MAGIC)
		return true;
	/* Java's class files begin the same way; their next word is a version above this. */
	count = macho_be32(file.data + 4);
	if (count == 0 || count > MACHO_MAX_ARCHES)
		return true;
	if (!span_fits(file.len, MACHO_FAT_HEADER, (size_t)count * MACHO_FAT_ENTRY))
		return false;
	m->fat = true;
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *entry = file.data + MACHO_FAT_HEADER + (size_t)i * MACHO_FAT_ENTRY;
		uint32_t offset = macho_be32(entry + 8), size = macho_be32(entry + 12);

		if (!span_fits(file.len, offset, size))
			return false;
		m->arch[i] = (struct macho_arch){
			.cpu = macho_be32(entry),
			.subtype = macho_be32(entry + 4),
			.slice = span_of(file.data + offset, size),
		};
	}
	m->count = count;
	return true;
}

bool macho_has(const struct macho *m, uint32_t cpu)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->arch[i].cpu == cpu)
			return true;
	return false;
}
