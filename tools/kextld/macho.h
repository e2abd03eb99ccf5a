/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mach-O as far as a kext linker meets it: files of type MH_OBJECT go in, MH_KEXT_BUNDLE
 * (x86-64), MH_OBJECT (i386) and universal files come out. All fields are little-endian but those
 * of the universal header, which are big-endian.
 *
 * A structure of a file is copied out of a bounded view as a whole, never laid over its bytes.
 */
#ifndef KEXTLD_MACHO_H
#define KEXTLD_MACHO_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "common/endian.h"

enum {
	MACHO_MAGIC_32 = 0xfeedface,
	MACHO_MAGIC_64 = 0xfeedfacf,
	MACHO_FAT_MAGIC = 0xcafebabe, /* big-endian in the file */

	MACHO_CPU_I386 = 7,
	MACHO_CPU_X86_64 = 0x01000007,
	MACHO_CPU_SUBTYPE_ALL = 3,
	MACHO_CPU_SUBTYPE_MASK = 0x00ffffff,

	MACHO_TYPE_OBJECT = 1,
	MACHO_TYPE_KEXT = 0xb,

	MACHO_FLAG_NOUNDEFS = 0x1,
	MACHO_FLAG_DYLDLINK = 0x4,
	MACHO_FLAG_TWOLEVEL = 0x80,
	MACHO_FLAG_SUBSECTIONS = 0x2000,

	MACHO_LC_SEGMENT = 0x1,
	MACHO_LC_SYMTAB = 0x2,
	MACHO_LC_DYSYMTAB = 0xb,
	MACHO_LC_SEGMENT_64 = 0x19,
	MACHO_LC_UUID = 0x1b,

	MACHO_PROT_READ = 1,
	MACHO_PROT_WRITE = 2,
	MACHO_PROT_EXEC = 4,
};

/* Section types, the low byte of the flags, and attributes, the rest. */
enum {
	MACHO_S_TYPE = 0xff,
	MACHO_S_REGULAR = 0x0,
	MACHO_S_ZEROFILL = 0x1,
	MACHO_S_NON_LAZY_POINTERS = 0x6,
	MACHO_S_LAZY_POINTERS = 0x7,
	MACHO_S_STUBS = 0x8,
	MACHO_S_MOD_INIT = 0x9,
	MACHO_S_MOD_TERM = 0xa,
	MACHO_S_COALESCED = 0xb,
	MACHO_S_GB_ZEROFILL = 0xc,
	MACHO_S_INTERPOSING = 0xd,
	MACHO_S_LAZY_DYLIB_POINTERS = 0x10,
	MACHO_S_THREAD_FIRST = 0x11,
	MACHO_S_THREAD_LAST = 0x15,
};
#define MACHO_S_ATTR_PURE_INSTRUCTIONS 0x80000000u
#define MACHO_S_ATTR_SELF_MODIFYING    0x04000000u
#define MACHO_S_ATTR_DEBUG	       0x02000000u
#define MACHO_S_ATTR_SOME_INSTRUCTIONS 0x00000400u
#define MACHO_S_ATTR_LOC_RELOC	       0x00000100u
#define MACHO_S_ATTR_EXT_RELOC	       0x00000200u

enum {
	MACHO_N_STAB = 0xe0,
	MACHO_N_PEXT = 0x10,
	MACHO_N_TYPE = 0x0e,
	MACHO_N_EXT = 0x01,

	MACHO_N_UNDF = 0x0,
	MACHO_N_ABS = 0x2,
	MACHO_N_INDR = 0xa,
	MACHO_N_PBUD = 0xc,
	MACHO_N_SECT = 0xe,

	MACHO_DESC_WEAK_REF = 0x40,
	MACHO_DESC_WEAK_DEF = 0x80, /* of a definition; of a reference: to a weak one */
	MACHO_DESC_ALT_ENTRY = 0x200,
	MACHO_DESC_DYNAMIC_LOOKUP = 0xfe00,
};

enum {
	MACHO_X64_UNSIGNED = 0,
	MACHO_X64_SIGNED = 1,
	MACHO_X64_BRANCH = 2,
	MACHO_X64_GOT_LOAD = 3,
	MACHO_X64_GOT = 4,
	MACHO_X64_SUBTRACTOR = 5,
	MACHO_X64_SIGNED_1 = 6,
	MACHO_X64_SIGNED_2 = 7,
	MACHO_X64_SIGNED_4 = 8,

	MACHO_386_VANILLA = 0,
	MACHO_386_PAIR = 1,
	MACHO_386_SECTDIFF = 2,
	MACHO_386_LOCAL_SECTDIFF = 4,
};

/* Second word of a plain relocation, least significant first: symbol or section 24, pc-relative 1,
 * log2 of the length 2, external 1, type 4. A scattered one has all in the first word. */
#define MACHO_SCATTERED 0x80000000u
#define MACHO_R_ABS	0u

struct macho_header_32 {
	le32 magic, cputype, cpusubtype, filetype, ncmds, sizeofcmds, flags;
};

struct macho_header_64 {
	le32 magic, cputype, cpusubtype, filetype, ncmds, sizeofcmds, flags, reserved;
};

struct macho_command {
	le32 cmd, cmdsize;
};

struct macho_segment_32 {
	le32 cmd, cmdsize;
	char segname[16];
	le32 vmaddr, vmsize, fileoff, filesize;
	le32 maxprot, initprot, nsects, flags;
};

struct macho_segment_64 {
	le32 cmd, cmdsize;
	char segname[16];
	le64 vmaddr, vmsize, fileoff, filesize;
	le32 maxprot, initprot, nsects, flags;
};

struct macho_section_32 {
	char sectname[16], segname[16];
	le32 addr, size;
	le32 offset, align, reloff, nreloc, flags, reserved1, reserved2;
};

struct macho_section_64 {
	char sectname[16], segname[16];
	le64 addr, size;
	le32 offset, align, reloff, nreloc, flags, reserved1, reserved2, reserved3;
};

struct macho_symtab {
	le32 cmd, cmdsize, symoff, nsyms, stroff, strsize;
};

struct macho_dysymtab {
	le32 cmd, cmdsize;
	le32 ilocalsym, nlocalsym, iextdefsym, nextdefsym, iundefsym, nundefsym;
	le32 tocoff, ntoc, modtaboff, nmodtab, extrefsymoff, nextrefsyms;
	le32 indirectsymoff, nindirectsyms;
	le32 extreloff, nextrel, locreloff, nlocrel;
};

struct macho_uuid {
	le32 cmd, cmdsize;
	uint8_t uuid[16];
};

struct macho_nlist_32 {
	le32 strx;
	uint8_t type, sect;
	le16 desc;
	le32 value;
};

struct macho_nlist_64 {
	le32 strx;
	uint8_t type, sect;
	le16 desc;
	le64 value;
};

struct macho_reloc {
	le32 address, word;
};

struct macho_fat_header {
	be32 magic, count;
};

struct macho_fat_arch {
	be32 cputype, cpusubtype, offset, size, align;
};

static_assert(sizeof(struct macho_header_32) == 28, "mach_header");
static_assert(sizeof(struct macho_header_64) == 32, "mach_header_64");
static_assert(sizeof(struct macho_segment_32) == 56, "segment_command");
static_assert(sizeof(struct macho_segment_64) == 72, "segment_command_64");
static_assert(offsetof(struct macho_segment_32, nsects) == 48, "segment_command.nsects");
static_assert(offsetof(struct macho_segment_64, nsects) == 64, "segment_command_64.nsects");
static_assert(sizeof(struct macho_section_32) == 68, "section");
static_assert(sizeof(struct macho_section_64) == 80, "section_64");
static_assert(offsetof(struct macho_section_32, reloff) == 48, "section.reloff");
static_assert(offsetof(struct macho_section_64, reloff) == 56, "section_64.reloff");
static_assert(sizeof(struct macho_symtab) == 24, "symtab_command");
static_assert(sizeof(struct macho_dysymtab) == 80, "dysymtab_command");
static_assert(offsetof(struct macho_dysymtab, extreloff) == 64, "dysymtab_command.extreloff");
static_assert(sizeof(struct macho_uuid) == 24, "uuid_command");
static_assert(sizeof(struct macho_nlist_32) == 12, "nlist");
static_assert(sizeof(struct macho_nlist_64) == 16, "nlist_64");
static_assert(offsetof(struct macho_nlist_64, value) == 8, "nlist_64.n_value");
static_assert(sizeof(struct macho_reloc) == 8, "relocation_info");
static_assert(sizeof(struct macho_fat_header) == 8, "fat_header");
static_assert(sizeof(struct macho_fat_arch) == 20, "fat_arch");

#endif
