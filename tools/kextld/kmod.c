/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The glue that every kext needs and nobody likes to write: `_kmod_info`, the structure by which
 * the kernel knows a loaded kext, and the two functions it names. They do nothing and succeed; an
 * object's own `__start` and `__stop` come before ours, which are weak.
 */
#include "tools/kextld/link.h"

#include <string.h>

/* Where the fields of struct kmod_info (version 1) stand; it is packed to four bytes. */
struct kmod_shape {
	uint32_t info_version, name, version, start, stop, size;
	uint8_t pointer; /* log2 of its size */
};

enum { KMOD_TEXT = 64 }; /* bytes for name and version each */

static const struct kmod_shape kmod_shape_64 = {8, 16, 80, 180, 188, 196, 3};
static const struct kmod_shape kmod_shape_32 = {4, 12, 76, 160, 164, 168, 2};

/* xor %eax, %eax; ret; twice */
static const uint8_t kmod_code[32] = {0x31, 0xc0, 0xc3, [16] = 0x31, 0xc0, 0xc3};

bool kmod_glue(struct link *link)
{
	const struct kmod_shape *shape =
		link->arch == KEXTLD_ARCH_I386 ? &kmod_shape_32 : &kmod_shape_64;
	const char *name = link->options->kmod_name, *version = link->options->kmod_version;
	struct object *o = arena_get(&link->arena, 1, sizeof(*o));
	struct section *sections = arena_get(&link->arena, 2, sizeof(*sections));
	struct symbol *symbols = arena_get(&link->arena, 3, sizeof(*symbols));
	struct reloc *relocs = arena_get(&link->arena, 2, sizeof(*relocs));
	uint8_t *info = arena_get(&link->arena, shape->size, 1);

	if (!o || !sections || !symbols || !relocs || !info)
		return link_no_memory(link);
	if (!version || !*name || strlen(name) >= KMOD_TEXT || strlen(version) >= KMOD_TEXT)
		return link_fail(link, NULL, NULL,
				 "the name and version of a kext have 1 to 63 characters");
	info[shape->info_version] = 1;
	memcpy(info + shape->name, name, strlen(name));
	memcpy(info + shape->version, version, strlen(version));

	sections[0] = (struct section){.object = o,
				       .segname = "__TEXT",
				       .sectname = "__text",
				       .size = sizeof(kmod_code),
				       .bytes = span_of(kmod_code, sizeof(kmod_code)),
				       .align = 4,
				       .flags = MACHO_S_ATTR_PURE_INSTRUCTIONS |
						MACHO_S_ATTR_SOME_INSTRUCTIONS,
				       .kept = true,
				       .code = true};
	sections[1] = (struct section){.object = o,
				       .segname = "__DATA",
				       .sectname = "__data",
				       .addr = sizeof(kmod_code),
				       .size = shape->size,
				       .bytes = span_of(info, shape->size),
				       .align = 4,
				       .kept = true,
				       .relocs = relocs,
				       .reloc_count = 2};
	symbols[0] = (struct symbol){.name = "_kmod_info",
				     .type = MACHO_N_SECT | MACHO_N_EXT,
				     .section = &sections[1],
				     .value = sizeof(kmod_code)};
	symbols[1] = (struct symbol){.name = "__start",
				     .type = MACHO_N_SECT | MACHO_N_EXT | MACHO_N_PEXT,
				     .desc = MACHO_DESC_WEAK_DEF,
				     .section = &sections[0]};
	symbols[2] = symbols[1];
	symbols[2].name = "__stop";
	symbols[2].value = sizeof(kmod_code) / 2;
	relocs[0] = (struct reloc){
		.offset = shape->start, .length = shape->pointer, .to = {.symbol = &symbols[1]}};
	relocs[1] = (struct reloc){
		.offset = shape->stop, .length = shape->pointer, .to = {.symbol = &symbols[2]}};

	*o = (struct object){.file = "kmod_info glue",
			     .sections = sections,
			     .section_count = 2,
			     .symbols = symbols,
			     .symbol_count = 3,
			     .subsections = true};
	*link->last_object = o;
	link->last_object = &o->next;
	return true;
}
