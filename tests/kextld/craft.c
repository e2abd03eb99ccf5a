/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/kextld/craft.h"

struct craft_out {
	uint8_t *data;
	size_t len, room;
};

static void craft_put(struct craft_out *o, const void *data, size_t len)
{
	if (o->room - o->len < len || !o->data) {
		o->room = (o->len + len) * 2 + 64;
		o->data = realloc(o->data, o->room);
		assert_non_null(o->data);
	}
	if (len)
		memcpy(o->data + o->len, data, len);
	o->len += len;
}

static void craft_int(struct craft_out *o, uint64_t value, size_t len)
{
	uint8_t b[8];

	cm_put(b, value, 8);
	craft_put(o, b, len);
}

static void craft_u32(struct craft_out *o, uint64_t value)
{
	craft_int(o, value, 4);
}

static void craft_zeros(struct craft_out *o, size_t len)
{
	static const uint8_t zeros[16];

	craft_put(o, zeros, len);
}

void craft_begin(struct craft *c, bool wide)
{
	memset(c, 0, sizeof(*c));
	c->wide = wide;
	c->flags = 0x2000;
	c->string_len = 1;
}

unsigned craft_section(struct craft *c, const char *segname, const char *sectname, uint32_t flags,
		       uint32_t align, const void *bytes, size_t size)
{
	struct craft_section *s = &c->sections[c->section_count++];
	uint64_t step = (uint64_t)1 << (align < 12 ? align : 12);

	assert_true(c->section_count <= COUNT(c->sections));
	memcpy(s->segname, segname, strnlen(segname, 16));
	memcpy(s->sectname, sectname, strnlen(sectname, 16));
	s->addr = (c->addr + step - 1) & ~(step - 1);
	s->size = size;
	s->bytes = bytes;
	s->align = align;
	s->flags = bytes ? flags : flags | 1;
	c->addr = s->addr + size;
	return c->section_count;
}

uint64_t craft_addr(const struct craft *c, unsigned sect)
{
	return c->sections[sect - 1].addr;
}

unsigned craft_symbol(struct craft *c, const char *name, int type, unsigned sect, int desc,
		      uint64_t value)
{
	unsigned n = c->symbol_count++;

	assert_true(n < COUNT(c->symbols));
	assert_true(c->string_len + strlen(name) + 1 <= sizeof(c->strings));
	memcpy(c->strings + c->string_len, name, strlen(name) + 1);
	c->symbols[n].strx = c->string_len;
	c->string_len += (uint32_t)strlen(name) + 1;
	c->symbols[n].type = (uint8_t)type;
	c->symbols[n].sect = (uint8_t)sect;
	c->symbols[n].desc = (uint16_t)desc;
	c->symbols[n].value = value;
	if ((type & 0xe) == CRAFT_SECT && sect && sect <= c->section_count)
		c->symbols[n].value += craft_addr(c, sect);
	return n;
}

unsigned craft_undefined(struct craft *c, const char *name)
{
	return craft_symbol(c, name, CRAFT_UNDF | CRAFT_EXT, 0, 0, 0);
}

unsigned craft_global(struct craft *c, const char *name, unsigned sect, uint64_t value)
{
	return craft_symbol(c, name, CRAFT_SECT | CRAFT_EXT, sect, 0, value);
}

static void craft_add_reloc(struct craft *c, unsigned sect, uint32_t first, uint32_t second)
{
	struct craft_section *s = &c->sections[sect - 1];

	assert_true(s->reloc_count < COUNT(s->relocs));
	s->relocs[s->reloc_count].first = first;
	s->relocs[s->reloc_count++].second = second;
}

void craft_reloc(struct craft *c, unsigned sect, uint32_t at, unsigned type, unsigned length,
		 bool pcrel, bool external, uint32_t number)
{
	craft_add_reloc(c, sect, at,
			number | (uint32_t)pcrel << 24 | length << 25 | (uint32_t)external << 27 |
				type << 28);
}

void craft_scattered(struct craft *c, unsigned sect, uint32_t at, unsigned type, uint64_t value)
{
	craft_add_reloc(c, sect, 0x80000000u | 2u << 28 | type << 24 | at, (uint32_t)value);
}

static void craft_headers(const struct craft *c, struct craft_out *o, size_t data, size_t relocs,
			  size_t symbols, size_t strings)
{
	size_t word = c->wide ? 8 : 4;
	size_t segment = (c->wide ? 72 : 56) + c->section_count * (c->wide ? 80u : 68u);

	craft_u32(o, c->wide ? 0xfeedfacf : 0xfeedface);
	craft_u32(o, c->wide ? 0x01000007 : 7);
	craft_u32(o, 3);
	craft_u32(o, 1);
	craft_u32(o, 2);
	craft_u32(o, segment + 24);
	craft_u32(o, c->flags);
	craft_zeros(o, c->wide ? 4 : 0);
	craft_u32(o, c->wide ? 0x19 : 1);
	craft_u32(o, segment);
	craft_zeros(o, 16);
	craft_int(o, 0, word);
	craft_int(o, c->addr, word);
	craft_int(o, data, word);
	craft_int(o, c->addr, word);
	craft_u32(o, 7);
	craft_u32(o, 7);
	craft_u32(o, c->section_count);
	craft_u32(o, 0);
	for (unsigned i = 0; i < c->section_count; i++) {
		const struct craft_section *s = &c->sections[i];

		craft_put(o, s->sectname, 16);
		craft_put(o, s->segname, 16);
		craft_int(o, s->addr, word);
		craft_int(o, s->size, word);
		craft_u32(o, s->bytes ? data : 0);
		craft_u32(o, s->align);
		craft_u32(o, s->reloc_count ? relocs : 0);
		craft_u32(o, s->reloc_count);
		craft_u32(o, s->flags);
		craft_zeros(o, c->wide ? 12 : 8);
		data += s->bytes ? s->size : 0;
		relocs += s->reloc_count * 8;
	}
	craft_u32(o, 2);
	craft_u32(o, 24);
	craft_u32(o, symbols);
	craft_u32(o, c->symbol_count);
	craft_u32(o, strings);
	craft_u32(o, c->string_len);
}

struct kextld_input craft_end(const struct craft *c, const char *name)
{
	struct craft_out o = {0}, body = {0};
	size_t head = (c->wide ? 32 + 72 : 28 + 56) + c->section_count * (c->wide ? 80u : 68u) + 24;
	size_t relocs, symbols, strings;
	uint8_t *exact;

	for (unsigned i = 0; i < c->section_count; i++) {
		if (c->sections[i].bytes)
			craft_put(&body, c->sections[i].bytes, (size_t)c->sections[i].size);
	}
	relocs = head + body.len;
	for (unsigned i = 0; i < c->section_count; i++) {
		for (unsigned k = 0; k < c->sections[i].reloc_count; k++) {
			craft_u32(&body, c->sections[i].relocs[k].first);
			craft_u32(&body, c->sections[i].relocs[k].second);
		}
	}
	symbols = head + body.len;
	for (unsigned i = 0; i < c->symbol_count; i++) {
		craft_u32(&body, c->symbols[i].strx);
		craft_int(&body, c->symbols[i].type, 1);
		craft_int(&body, c->symbols[i].sect, 1);
		craft_int(&body, c->symbols[i].desc, 2);
		craft_int(&body, c->symbols[i].value, c->wide ? 8 : 4);
	}
	strings = head + body.len;
	craft_put(&body, c->strings, c->string_len);
	craft_headers(c, &o, head, relocs, symbols, strings);
	assert_int_equal(o.len, head);
	craft_put(&o, body.data, body.len);
	free(body.data);
	/* Exactly as many bytes as there are: the sanitizer guards the rest. */
	exact = malloc(o.len);
	assert_non_null(exact);
	memcpy(exact, o.data, o.len);
	free(o.data);
	return (struct kextld_input){name, span_of(exact, o.len)};
}

void craft_free(struct kextld_input *input)
{
	free((void *)(uintptr_t)input->bytes.data);
	input->bytes = span_of(NULL, 0);
}

static void craft_member(struct craft_out *o, const char *name, const char *prefix,
			 const void *data, size_t len)
{
	char head[80];

	snprintf(head, sizeof(head), "%-16s%-12s%-6s%-6s%-8s%-10zu`\n", name, "0", "0", "0",
		 "100644", len + strlen(prefix));
	craft_put(o, head, 60);
	craft_put(o, prefix, strlen(prefix));
	craft_put(o, data, len);
	if (o->len & 1)
		craft_put(o, "\n", 1);
}

struct kextld_input craft_archive(const char *name, bool gnu, const struct kextld_input *members,
				  size_t count)
{
	struct craft_out o = {0};
	char names[512] = "", text[80];
	size_t at = 0;

	craft_put(&o, "!<arch>\n", 8);
	if (gnu) {
		craft_member(&o, "/", "", "\0\0\0\0", 4);
		for (size_t i = 0; i < count; i++)
			snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s/\n",
				 members[i].name);
		craft_member(&o, "//", "", names, strlen(names));
	} else {
		craft_member(&o, "__.SYMDEF SORTED", "", "\0\0\0\0\0\0\0\0", 8);
	}
	for (size_t i = 0; i < count; i++) {
		struct span b = members[i].bytes;
		const char *mine = members[i].name;

		if (!gnu)
			snprintf(text, sizeof(text), "#1/%zu", strlen(mine));
		else if (strlen(mine) > 15)
			snprintf(text, sizeof(text), "/%zu", at);
		else
			snprintf(text, sizeof(text), "%s/", mine);
		craft_member(&o, text, gnu ? "" : mine, b.data, b.len);
		at += strlen(mine) + 2;
	}
	return (struct kextld_input){name, span_of(o.data, o.len)};
}

struct kextld_input craft_kmod(bool wide)
{
	static const uint8_t zeros[196];
	struct craft c;

	craft_begin(&c, wide);
	craft_section(&c, "__DATA", "__data", 0, 3, zeros, wide ? 196 : 168);
	craft_global(&c, "_kmod_info", 1, 0);
	return craft_end(&c, "kmod.o");
}

struct kextld_input craft_read(const char *path)
{
	enum { ROOM = 1 << 20 };
	FILE *file = fopen(path, "rb");
	uint8_t *data = malloc(ROOM), *exact;
	size_t len;

	if (!file || !data)
		fail_msg("%s cannot be read", path);
	len = fread(data, 1, ROOM, file);
	fclose(file);
	exact = malloc(len ? len : 1);
	assert_non_null(exact);
	memcpy(exact, data, len);
	free(data);
	return (struct kextld_input){path, span_of(exact, len)};
}
