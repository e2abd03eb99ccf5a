/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading the program of a kext: a universal file, or a thin one, for x86_64.
 *
 * The file is not trusted. Whatever is handed out has been held against the file's size, and
 * nothing refers to anything outside of the copy kept here.
 */
#ifndef SIM_MACOS_KEXT_MACHO_H
#define SIM_MACOS_KEXT_MACHO_H

#include <stddef.h>
#include <stdint.h>
#include <string>
#include <vector>

struct macho_segment {
	std::string name;
	uint64_t addr, size, offset, file_size;
};

struct macho_section {
	std::string segment, name;
	uint64_t addr, size, offset;
	uint8_t type; /* MACHO_S_... */
};

enum { MACHO_S_ZEROFILL = 1, MACHO_S_INIT = 9, MACHO_S_TERM = 10, MACHO_S_GB_ZEROFILL = 12 };

struct macho_symbol {
	std::string name;
	uint64_t value;
	bool external, defined;
};

enum { MACHO_R_UNSIGNED = 0, MACHO_R_BRANCH = 2 };

struct macho_reloc {
	uint64_t address;
	uint32_t what; /* external: number of a symbol; otherwise of a section, from 1 */
	uint8_t type, length;
	bool pcrel, external;
};

struct macho {
	std::vector<uint8_t> data; /* the slice */
	std::vector<uint32_t> commands;
	std::vector<macho_segment> segments; /* in file order */
	std::vector<macho_section> sections;
	std::vector<macho_symbol> symbols;
	std::vector<macho_reloc> relocs;
	uint64_t headers; /* of header and load commands */
	uint64_t size;	  /* of the image: up to the end of the last segment but __LINKEDIT */

	/* The section that holds all of it; 0: none. */
	const macho_section *section_of(uint64_t addr, uint64_t len) const;
	/* A word of a section, from the file; 0 in what has none there. */
	uint64_t word_at(uint64_t addr) const;
	const macho_symbol *defined_external(const std::string &name) const;
};

/* False: `why` says in a few words what is wrong. */
bool macho_read(const uint8_t *data, size_t len, struct macho *out, std::string *why);

#endif
