/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A second reading of what the linker writes: the tests look at its output through this alone. It
 * knows only what a kext may hold, and fails the test at anything else.
 */
#ifndef TESTS_KEXTLD_VIEW_H
#define TESTS_KEXTLD_VIEW_H

#include "tests/kextld/cm.h"
#include "tools/kextld/kextld.h"

struct view_section {
	char name[34]; /* "__TEXT,__text" */
	uint64_t addr, size;
	uint32_t offset, align, reloff, nreloc, flags;
};

struct view_symbol {
	const char *name;
	uint8_t type, sect;
	uint16_t desc;
	uint64_t value;
};

struct view {
	const uint8_t *data;
	size_t len;
	bool wide;
	uint32_t commands[8], command_count;
	struct {
		char name[17];
		uint64_t addr, size, fileoff, filesize;
		uint32_t maxprot, initprot;
	} segments[4];
	unsigned segment_count;
	struct view_section sections[64];
	unsigned section_count;
	struct view_symbol *symbols;
	unsigned symbol_count;
	unsigned local_count, defined_count, undefined_count;
	uint32_t extrel, nextrel, locrel, nlocrel;
	uint8_t uuid[16];
};

/* Reads and checks a whole kext; free with view_free(). */
void view_open(struct view *v, const struct kextld_output *out);
void view_free(struct view *v);

uint32_t view_u32(const struct view *v, size_t off);

const struct view_section *view_section(const struct view *v, const char *name); /* or NULL */
const struct view_symbol *view_symbol(const struct view *v, const char *name);	 /* or NULL */

/* The value of a symbol that must be there and have a place. */
uint64_t view_addr(const struct view *v, const char *name);

/* What stands at an address of the image. */
uint8_t view_byte_at(const struct view *v, uint64_t addr);
uint32_t view_u32_at(const struct view *v, uint64_t addr);
uint64_t view_u64_at(const struct view *v, uint64_t addr);

/* x86-64: the relocation at an address. Local: the section's number, 0 for none. External: the
 * symbol's name and the type, NULL for none. */
unsigned view_local(const struct view *v, uint64_t addr);
const char *view_external(const struct view *v, uint64_t addr, unsigned *type);

/* i386: the words of relocation n of a section. */
void view_reloc(const struct view *v, const struct view_section *s, unsigned n, uint32_t *first,
		uint32_t *second);

#endif
