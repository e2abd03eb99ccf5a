/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/kextld/write.h"

#include <string.h>

#include "tools/kextld/sha256.h"

static void write_reloc(struct bytes *out, uint32_t address, uint32_t word)
{
	struct macho_reloc reloc = {le32_make(address), le32_make(word)};

	bytes_add(out, &reloc, sizeof(reloc));
}

void write_relocs(struct bytes *out, const struct outrelocs *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct outreloc *r = &list->at[i];
		uint32_t first = MACHO_SCATTERED | (uint32_t)r->length << 28;
		uint32_t number = r->def ? r->def->out_index | 1u << 27 : r->sect;

		if (r->scattered) {
			write_reloc(out, first | (uint32_t)r->type << 24 | r->offset, r->value);
			write_reloc(out, first | (uint32_t)MACHO_386_PAIR << 24, r->pair_value);
			continue;
		}
		write_reloc(out, r->offset,
			    number | (uint32_t)r->pcrel << 24 | (uint32_t)r->length << 25 |
				    (uint32_t)r->type << 28);
	}
}

uint32_t write_symbol_count(const struct link *link)
{
	return link->local_syms + link->defined_syms + link->undefined_syms;
}

void write_symbols(struct bytes *out, const struct link *link, bool wide)
{
	for (uint32_t i = 0; i < write_symbol_count(link); i++) {
		const struct outsym *s = &link->syms[i];
		struct macho_nlist_64 entry = {.strx = le32_make(s->strx),
					       .type = s->type,
					       .sect = s->sect,
					       .desc = le16_make(s->desc),
					       .value = le64_make(s->value)};
		struct macho_nlist_32 narrow = {.strx = entry.strx,
						.type = s->type,
						.sect = s->sect,
						.desc = entry.desc,
						.value = le32_make((uint32_t)s->value)};

		if (wide)
			bytes_add(out, &entry, sizeof(entry));
		else
			bytes_add(out, &narrow, sizeof(narrow));
	}
}

void write_uuid(struct bytes *out, size_t at)
{
	struct macho_uuid command = {le32_make(MACHO_LC_UUID), le32_make(sizeof(command)), {0}};
	uint8_t hash[32];

	if (out->failed)
		return;
	memcpy(out->data + at, &command, sizeof(command));
	sha256(out->data, out->len, hash);
	/* Version 8 of RFC 9562: made as the maker likes. */
	hash[6] = (uint8_t)((hash[6] & 0x0f) | 0x80);
	hash[8] = (uint8_t)((hash[8] & 0x3f) | 0x80);
	memcpy(command.uuid, hash, sizeof(command.uuid));
	memcpy(out->data + at, &command, sizeof(command));
}

bool write_done(struct link *link, struct bytes *out)
{
	if (out->failed) {
		bytes_free(out);
		return link_no_memory(link);
	}
	link->result->data = out->data;
	link->result->len = out->len;
	return true;
}
