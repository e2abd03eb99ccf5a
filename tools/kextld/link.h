/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The linker's own model of a link; private to tools/kextld.
 *
 * An object is its sections and symbols. A section keeps a view of its bytes and its relocations,
 * already unpacked and checked against its size. Every symbol of an object points to a definition:
 * its own if it is local, else the one definition that all objects share for that name. Layout
 * gives each section an output section and an address; from then on a definition has an address,
 * and a place in an input section can be translated to where it went.
 *
 *	objects, archives -> object_read, archive_read
 *	names             -> symbols_resolve      who defines what; which archive members are needed
 *	sections          -> layout_sections      which go together, in which order, where
 *	bytes             -> x64_*, i386_*        relocations applied, or handed on to the kernel
 *	file              -> kext_write, object32_write
 *
 * Every function that can fail answers false after link_fail(); nothing is freed one by one, all
 * memory belongs to the link and goes with it.
 */
#ifndef KEXTLD_LINK_H
#define KEXTLD_LINK_H

#include "tools/kextld/arena.h"
#include "tools/kextld/kextld.h"
#include "tools/kextld/macho.h"

enum {
	LINK_MAX_SECTIONS = 255,   /* n_sect is a byte and 0 is taken */
	LINK_MAX_ALIGN = 12,	   /* the kernel places a kext on a page */
	LINK_MAX_IMAGE = 64 << 20, /* far above any kext; all sums below stay far from 2^31 */
	LINK_PAGE = 4096,
};

struct object;
struct section;
struct outsect;

enum def_kind {
	DEF_UNDEFINED,
	DEF_COMMON,   /* tentative: size and alignment, no place yet */
	DEF_SECTION,  /* a place in an input section */
	DEF_ABSOLUTE, /* a number */
	DEF_ALIAS,    /* another name for alias */
};

struct def {
	const char *name;
	enum def_kind kind;
	bool external; /* shared by name; else of one object */
	bool private_; /* shared between objects, but not seen outside the output */
	bool weak;     /* one of several alike will do */
	bool weak_ref; /* undefined: may stay so */
	bool strong_ref;
	struct object *object; /* that defines it, or was the first to want it */
	struct symbol *symbol; /* its line there */
	struct section *section;
	uint64_t value; /* offset in section, number, or size of a common */
	unsigned align; /* of a common */
	struct def *alias;

	/* From layout on. */
	struct outsect *outsect;
	uint64_t addr;
	unsigned got;	    /* slot + 1 */
	bool wanted;	    /* undefined: a relocation of the output names it */
	uint32_t out_index; /* in the output's symbol table */

	struct def *next; /* in order of appearance */
};

struct symbol {
	const char *name;
	uint8_t type;
	uint16_t desc;
	struct section *section; /* of a defined one */
	uint64_t value;		 /* as in the file */
	const char *alias;	 /* the name it stands for */
	struct def *def;
	bool lost; /* a weak definition; another object's is used */
};

/* What a relocation refers to: a symbol, or a place in a section of the same object, whose address
 * the relocated bytes hold; neither: a number. */
struct place {
	struct symbol *symbol;
	struct section *section;
	bool scattered; /* i386: value is an address in section, whatever the bytes say */
	uint32_t value;
};

/* One relocation, or one pair, unpacked. */
struct reloc {
	uint32_t offset; /* into the section */
	uint8_t type;
	uint8_t length; /* log2 */
	bool pcrel;
	struct place to;   /* what is referred to */
	struct place from; /* of a difference: what is subtracted */
};

/* Bytes of a section that belong to a definition that lost. */
struct dead {
	uint64_t begin, end;
	struct dead *next;
};

struct section {
	struct object *object;
	char segname[17], sectname[17];
	uint64_t addr, size;
	struct span bytes; /* empty for zero fill */
	unsigned align;
	uint32_t flags;
	bool kept;
	bool zerofill;
	bool labelled; /* a symbol is defined in it */
	bool code;
	uint32_t reloc_at; /* in the file */
	struct reloc *relocs;
	size_t reloc_count;
	struct dead *dead;
	struct outsect *out;
	uint64_t out_addr;
	struct section *next; /* in its output section */
};

struct object {
	const char *file, *member; /* member may be NULL */
	struct span bytes;
	struct section *sections;
	size_t section_count;
	struct symbol *symbols;
	size_t symbol_count;
	bool subsections;
	struct object *next;
};

/* A relocation of the output. */
struct outreloc {
	uint32_t offset; /* x86-64: address; i386: offset in its section */
	uint8_t type, length;
	bool pcrel;
	struct def *def; /* external, or */
	uint8_t sect;	 /* against this section */
	bool scattered;
	uint32_t value, pair_value;
};

struct outrelocs {
	struct outreloc *at;
	size_t count, room;
};

struct outsect {
	char segname[17], sectname[17];
	uint32_t flags;
	unsigned align;
	bool zerofill;
	bool text; /* in __TEXT; else in __DATA */
	unsigned rank;
	uint8_t ordinal; /* from 1 */
	uint64_t addr, size;
	struct section *first, **last;
	struct outrelocs relocs; /* i386 */
	uint32_t fileoff, reloff;
	struct outsect *next;
};

struct outsym {
	struct def *def;
	uint8_t type, sect;
	uint16_t desc;
	uint64_t value;
	uint32_t strx;
};

struct link {
	const struct kextld_options *options;
	struct kextld_output *result;
	struct arena arena;
	enum kextld_arch arch;

	struct object *objects, **last_object;
	struct object *waiting, **last_waiting; /* archive members nobody wanted yet */
	struct table names;			/* name -> struct def of external symbols */
	struct def *defs, **last_def;
	struct def **got;
	size_t got_count, got_room;
	struct section *got_at;

	struct outsect *sects;
	size_t sect_count;
	uint64_t headers; /* bytes before the first section */
	uint64_t data_addr, end_addr;
	uint64_t file_end; /* of __DATA in the file */
	uint8_t *image;	   /* bytes of all but zero fill, by address */
	size_t image_len;

	struct outrelocs local, external; /* x86-64 */
	struct outsym *syms;
	uint32_t local_syms, defined_syms, undefined_syms;
	struct bytes strings;
};

/* Says what was wrong, once: "FILE(MEMBER): symbol: text". object and symbol may be NULL. Always
 * false, so that callers can return it. */
bool link_fail(struct link *link, const struct object *object, const char *symbol, const char *fmt,
	       ...) __attribute__((format(printf, 4, 5)));

bool link_no_memory(struct link *link);

/* object.c: all of one relocatable object. */
struct object *object_read(struct link *link, const char *file, const char *member,
			   struct span bytes);

/* archive.c: the members of an archive; a view of the slice for us of a universal file. */
bool archive_is(struct span bytes);
bool archive_read(struct link *link, const char *file, struct span bytes);

/* fat.c */
bool fat_is(struct span bytes);
bool fat_pick(struct link *link, const char *file, struct span bytes, struct span *slice);

/* kmod.c: an object that defines _kmod_info. */
bool kmod_glue(struct link *link);

/* symbols.c */
bool symbols_resolve(struct link *link);
struct def *symbols_final(struct def *def); /* what an alias stands for */
struct def *symbols_target(struct link *link, const struct section *section, struct symbol *symbol);
bool symbols_dead(const struct section *section, uint64_t offset);
bool symbols_write(struct link *link); /* the tables of the output, in link->syms */

/* layout.c */
bool layout_sections(struct link *link);
bool layout_addresses(struct link *link);
void layout_fill(struct link *link); /* copies the sections into link->image */
uint8_t *layout_bytes(struct link *link, const struct section *section, uint32_t offset);

/* reloc.c: what both processors share. The address in the output of an address in a section of
 * an object; what a place is called in messages; a new relocation of the output. */
bool reloc_translate(struct link *link, const struct section *from, const struct reloc *r,
		     const struct section *section, uint64_t addr, uint64_t *out);
const char *reloc_name(const struct place *place);
struct outreloc *reloc_add(struct link *link, struct outrelocs *list);
void reloc_sort(struct outrelocs *list);

/* reloc_x86_64.c, reloc_i386.c: first what they need room for, then the work. */
bool x64_scan(struct link *link);
bool x64_apply(struct link *link);
bool i386_apply(struct link *link);

/* write_kext.c, write_object.c: the file, from what is in link. */
bool kext_write(struct link *link);
bool object32_write(struct link *link);
size_t kext_header_size(const struct link *link);
size_t object32_header_size(const struct link *link);

/* map.c */
bool map_write(struct link *link);

#endif
