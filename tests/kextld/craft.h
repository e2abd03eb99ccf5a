/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Relocatable objects and archives made byte by byte, so that a test says exactly what is in them,
 * right or wrong. The numbers are written from the format's description and not taken from the
 * linker, which would share its mistakes.
 */
#ifndef TESTS_KEXTLD_CRAFT_H
#define TESTS_KEXTLD_CRAFT_H

#include "tests/kextld/cm.h"
#include "tools/kextld/kextld.h"

enum {
	CRAFT_EXT = 1,
	CRAFT_UNDF = 0,
	CRAFT_ABS = 2,
	CRAFT_INDR = 10,
	CRAFT_SECT = 14,
	CRAFT_PEXT = 16,
	CRAFT_WEAK_REF = 0x40,
	CRAFT_WEAK_DEF = 0x80,
};
#define CRAFT_CODE  0x80000400u
#define CRAFT_DEBUG 0x02000000u

struct craft_section {
	char sectname[16], segname[16];
	uint64_t addr, size;
	const void *bytes;
	uint32_t align, flags;
	struct {
		uint32_t first, second;
	} relocs[48];
	unsigned reloc_count;
};

struct craft {
	bool wide;
	uint32_t flags;
	uint64_t addr; /* of the next section */
	struct craft_section sections[8];
	unsigned section_count;
	struct {
		uint32_t strx;
		uint8_t type, sect;
		uint16_t desc;
		uint64_t value;
	} symbols[64];
	unsigned symbol_count;
	char strings[4096];
	uint32_t string_len;
};

/* An empty object, to be cut at its symbols, as compilers make them. */
void craft_begin(struct craft *c, bool wide);

/* Answers the section's number, from 1. bytes NULL: zero fill. The bytes are read at the end. */
unsigned craft_section(struct craft *c, const char *segname, const char *sectname, uint32_t flags,
		       uint32_t align, const void *bytes, size_t size);
uint64_t craft_addr(const struct craft *c, unsigned sect);

/* Answers the symbol's number. value counts from the section if there is one. */
unsigned craft_symbol(struct craft *c, const char *name, int type, unsigned sect, int desc,
		      uint64_t value);
unsigned craft_undefined(struct craft *c, const char *name);
unsigned craft_global(struct craft *c, const char *name, unsigned sect, uint64_t value);

void craft_reloc(struct craft *c, unsigned sect, uint32_t at, unsigned type, unsigned length,
		 bool pcrel, bool external, uint32_t number);
void craft_scattered(struct craft *c, unsigned sect, uint32_t at, unsigned type, uint64_t value);

/* The file; free its bytes with craft_free(). */
struct kextld_input craft_end(const struct craft *c, const char *name);
void craft_free(struct kextld_input *input);

/* An archive of these, with names as BSD or GNU write them. */
struct kextld_input craft_archive(const char *name, bool gnu, const struct kextld_input *members,
				  size_t count);

/* An object with _kmod_info in __DATA,__data and nothing else. */
struct kextld_input craft_kmod(bool wide);

/* A file from disk. */
struct kextld_input craft_read(const char *path);

#endif
