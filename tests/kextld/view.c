/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/kextld/view.h"

uint32_t view_u32(const struct view *v, size_t off)
{
	assert_true(off <= v->len && v->len - off >= 4);
	return (uint32_t)v->data[off] | (uint32_t)v->data[off + 1] << 8 |
	       (uint32_t)v->data[off + 2] << 16 | (uint32_t)v->data[off + 3] << 24;
}

static uint64_t view_u64(const struct view *v, size_t off)
{
	return view_u32(v, off) | (uint64_t)view_u32(v, off + 4) << 32;
}

static uint64_t view_word(const struct view *v, size_t off, unsigned n)
{
	return v->wide ? view_u64(v, off + n * 8) : view_u32(v, off + n * 4);
}

static void view_name(const struct view *v, size_t off, char *out)
{
	assert_true(off <= v->len && v->len - off >= 16);
	memcpy(out, v->data + off, 16);
	out[16] = '\0';
}

static void view_one_section(struct view *v, unsigned segment, size_t at)
{
	size_t tail = at + (v->wide ? 48 : 40);
	struct view_section *out = &v->sections[v->section_count++];
	uint64_t seg_addr = v->segments[segment].addr;
	char sect[17], seg[17];

	assert_true(v->section_count <= COUNT(v->sections));
	view_name(v, at, sect);
	view_name(v, at + 16, seg);
	snprintf(out->name, sizeof(out->name), "%s,%s", seg, sect);
	out->addr = view_word(v, at + 32, 0);
	out->size = view_word(v, at + 32, 1);
	out->offset = view_u32(v, tail);
	out->align = view_u32(v, tail + 4);
	out->reloff = view_u32(v, tail + 8);
	out->nreloc = view_u32(v, tail + 12);
	out->flags = view_u32(v, tail + 16);
	if (v->wide)
		assert_string_equal(seg, v->segments[segment].name);
	assert_int_equal(out->addr & ((1u << out->align) - 1), 0);
	assert_true(out->addr >= seg_addr);
	assert_true(out->addr + out->size <= seg_addr + v->segments[segment].size);
	if ((out->flags & 0xff) == 1)
		assert_int_equal(out->offset, 0);
	else
		assert_int_equal(out->offset, v->segments[segment].fileoff + out->addr - seg_addr);
	if (v->section_count > 1)
		assert_true(out[-1].addr + out[-1].size <= out->addr);
}

static void view_segment(struct view *v, size_t at)
{
	size_t word = v->wide ? 8 : 4, rest = at + 24 + 4 * word, each = v->wide ? 80 : 68;
	uint32_t count = view_u32(v, rest + 8);
	unsigned n = v->segment_count++;

	assert_true(n < COUNT(v->segments));
	view_name(v, at + 8, v->segments[n].name);
	v->segments[n].addr = view_word(v, at + 24, 0);
	v->segments[n].size = view_word(v, at + 24, 1);
	v->segments[n].fileoff = view_word(v, at + 24, 2);
	v->segments[n].filesize = view_word(v, at + 24, 3);
	v->segments[n].maxprot = view_u32(v, rest);
	v->segments[n].initprot = view_u32(v, rest + 4);
	assert_int_equal(view_u32(v, at + 4), rest + 16 - at + count * each);
	assert_true(v->segments[n].fileoff <= v->len);
	assert_true(v->segments[n].filesize <= v->len - v->segments[n].fileoff);
	assert_true(v->segments[n].filesize <= v->segments[n].size);
	for (uint32_t i = 0; i < count; i++)
		view_one_section(v, n, rest + 16 + i * each);
}

static void view_symbols(struct view *v, size_t at)
{
	uint32_t symoff = view_u32(v, at + 8), count = view_u32(v, at + 12);
	uint32_t stroff = view_u32(v, at + 16), strsize = view_u32(v, at + 20);

	assert_int_equal(view_u32(v, at + 4), 24);
	assert_true(stroff <= v->len && v->len - stroff >= strsize);
	v->symbols = calloc((size_t)count + 1, sizeof(*v->symbols));
	assert_non_null(v->symbols);
	v->symbol_count = count;
	for (uint32_t i = 0; i < count; i++) {
		size_t s = symoff + i * (v->wide ? 16u : 12u);
		uint32_t strx = view_u32(v, s);
		struct view_symbol *out = &v->symbols[i];

		assert_in_range(strx, 1, strsize - 1);
		assert_non_null(memchr(v->data + stroff + strx, 0, strsize - strx));
		out->name = (const char *)v->data + stroff + strx;
		assert_true(*out->name);
		view_u32(v, s + 4);
		out->type = v->data[s + 4];
		out->sect = v->data[s + 5];
		out->desc = (uint16_t)(v->data[s + 6] | v->data[s + 7] << 8);
		out->value = view_word(v, s + 8, 0);
		assert_true(out->sect <= v->section_count);
		if ((out->type & 0xe) == 0xe) {
			const struct view_section *in;

			assert_true(out->sect > 0);
			in = &v->sections[out->sect - 1];
			assert_in_range(out->value, in->addr, in->addr + in->size);
		}
	}
}

static void view_dysymtab(struct view *v, size_t at)
{
	assert_int_equal(view_u32(v, at + 4), 80);
	v->local_count = view_u32(v, at + 12);
	v->defined_count = view_u32(v, at + 20);
	v->undefined_count = view_u32(v, at + 28);
	assert_int_equal(view_u32(v, at + 8), 0);
	assert_int_equal(view_u32(v, at + 16), v->local_count);
	assert_int_equal(view_u32(v, at + 24), v->local_count + v->defined_count);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(view_u32(v, at + 32 + i * 4), 0);
	v->extrel = view_u32(v, at + 64);
	v->nextrel = view_u32(v, at + 68);
	v->locrel = view_u32(v, at + 72);
	v->nlocrel = view_u32(v, at + 76);
}

static void view_check_segments(const struct view *v)
{
	static const char *const names[] = {"__TEXT", "__DATA", "__LINKEDIT"};
	static const uint32_t prots[] = {5, 3, 1};

	for (unsigned i = 0; i < 3; i++) {
		assert_string_equal(v->segments[i].name, names[i]);
		assert_int_equal(v->segments[i].initprot, prots[i]);
		assert_int_equal(v->segments[i].addr % 4096, 0);
		assert_int_equal(v->segments[i].size % 4096, 0);
		assert_int_equal(v->segments[i].fileoff % 4096, 0);
		if (i)
			assert_int_equal(v->segments[i].addr,
					 v->segments[i - 1].addr + v->segments[i - 1].size);
	}
	assert_int_equal(v->segments[0].addr, 0);
	assert_int_equal(v->segments[0].fileoff, 0);
	assert_int_equal(v->segments[2].fileoff + v->segments[2].filesize, v->len);
	for (unsigned i = 0; i < v->section_count; i++)
		assert_int_equal(v->sections[i].nreloc, 0);
}

static void view_check_symbols(const struct view *v)
{
	unsigned n = v->symbol_count;

	assert_int_equal(v->local_count + v->defined_count + v->undefined_count, n);
	for (unsigned i = 0; i < n; i++) {
		const struct view_symbol *s = &v->symbols[i];

		if (i < v->local_count) {
			assert_false(s->type & 1);
		} else if (i < v->local_count + v->defined_count) {
			assert_true(s->type == 0xf || s->type == 3);
		} else {
			assert_int_equal(s->type, 1);
			assert_int_equal(s->desc & ~0x40, 0xfe00);
			assert_int_equal(s->value | s->sect, 0);
		}
		if (i > v->local_count && i != v->local_count + v->defined_count)
			assert_true(strcmp(s[-1].name, s->name) < 0);
	}
}

/* What the kernels of 10.6 to 11 all take. */
static void view_check_kext(const struct view *v)
{
	static const uint32_t commands[] = {0x19, 0x19, 0x19, 2, 0xb, 0x1b};

	assert_int_equal(view_u32(v, 12), 0xb);
	assert_int_equal(view_u32(v, 24), 0x85);
	assert_int_equal(v->command_count, COUNT(commands));
	assert_memory_equal(v->commands, commands, sizeof(commands));
	view_check_segments(v);
	view_check_symbols(v);
	for (unsigned i = 0; i < v->nlocrel; i++) {
		uint32_t word = view_u32(v, v->locrel + i * 8 + 4);

		assert_int_equal(word >> 24, 3 << 1); /* UNSIGNED, 8 bytes */
		assert_in_range(word & 0xffffff, 1, v->section_count);
	}
	for (unsigned i = 0; i < v->nextrel; i++) {
		uint32_t word = view_u32(v, v->extrel + i * 8 + 4);

		/* UNSIGNED of 8 bytes, or BRANCH; to an undefined symbol. */
		assert_true(word >> 24 == (8 | 3 << 1) || word >> 24 == (0x28 | 2 << 1 | 1));
		assert_in_range(word & 0xffffff, v->local_count + v->defined_count,
				v->symbol_count - 1);
	}
}

static void view_check_object(const struct view *v)
{
	static const uint32_t commands[] = {1, 2, 0x1b};

	assert_int_equal(view_u32(v, 12), 1);
	assert_int_equal(v->command_count, COUNT(commands));
	assert_memory_equal(v->commands, commands, sizeof(commands));
	assert_string_equal(v->segments[0].name, "");
	assert_int_equal(v->segments[0].addr, 0);
	assert_true(v->section_count > 0);
	for (unsigned i = 0; i < v->section_count; i++) {
		const struct view_section *s = &v->sections[i];

		for (unsigned k = 0; k < s->nreloc; k++) {
			uint32_t first, second;

			view_reloc(v, s, k, &first, &second);
			if (first >> 31) {
				assert_int_equal(first >> 28 & 3, 2);
				continue;
			}
			assert_true(first <= s->size && s->size - first >= 4);
			assert_int_equal(second >> 25 & 3, 2);
			assert_int_equal(second >> 28, 0);
			if (second >> 27 & 1)
				assert_true((second & 0xffffff) < v->symbol_count);
			else
				assert_in_range(second & 0xffffff, 1, v->section_count);
			if (second >> 24 & 1)
				assert_int_equal(s->addr, 0);
		}
	}
}

void view_open(struct view *v, const struct kextld_output *out)
{
	size_t at;
	uint32_t magic;

	memset(v, 0, sizeof(*v));
	v->data = out->data;
	v->len = out->len;
	magic = view_u32(v, 0);
	assert_true(magic == 0xfeedface || magic == 0xfeedfacf);
	v->wide = magic == 0xfeedfacf;
	assert_int_equal(view_u32(v, 4), v->wide ? 0x01000007 : 7);
	assert_int_equal(view_u32(v, 8), 3);
	v->command_count = view_u32(v, 16);
	assert_in_range(v->command_count, 1, COUNT(v->commands));
	at = v->wide ? 32 : 28;
	for (uint32_t i = 0; i < v->command_count; i++) {
		uint32_t cmd = view_u32(v, at);

		v->commands[i] = cmd;
		if (cmd == 1 || cmd == 0x19)
			view_segment(v, at);
		else if (cmd == 2)
			view_symbols(v, at);
		else if (cmd == 0xb)
			view_dysymtab(v, at);
		else if (cmd == 0x1b)
			memcpy(v->uuid, v->data + at + 8, 16);
		else
			fail_msg("load command 0x%x", cmd);
		at += view_u32(v, at + 4);
	}
	assert_int_equal(at, view_u32(v, 20) + (v->wide ? 32 : 28));
	if (v->wide)
		view_check_kext(v);
	else
		view_check_object(v);
}

void view_free(struct view *v)
{
	free(v->symbols);
	v->symbols = NULL;
}

const struct view_section *view_section(const struct view *v, const char *name)
{
	for (unsigned i = 0; i < v->section_count; i++) {
		if (!strcmp(v->sections[i].name, name))
			return &v->sections[i];
	}
	return NULL;
}

const struct view_symbol *view_symbol(const struct view *v, const char *name)
{
	for (unsigned i = 0; i < v->symbol_count; i++) {
		if (!strcmp(v->symbols[i].name, name))
			return &v->symbols[i];
	}
	return NULL;
}

uint64_t view_addr(const struct view *v, const char *name)
{
	const struct view_symbol *s = view_symbol(v, name);

	if (!s)
		fail_msg("no symbol %s", name);
	assert_int_equal(s->type & 0xe, 0xe);
	return s->value;
}

static size_t view_offset(const struct view *v, uint64_t addr)
{
	for (unsigned i = 0; i < v->section_count; i++) {
		const struct view_section *s = &v->sections[i];

		if (addr >= s->addr && addr - s->addr < s->size) {
			assert_int_not_equal(s->flags & 0xff, 1);
			return (size_t)(s->offset + (addr - s->addr));
		}
	}
	fail_msg("address 0x%llx is in no section", (unsigned long long)addr);
	return 0;
}

uint8_t view_byte_at(const struct view *v, uint64_t addr)
{
	return v->data[view_offset(v, addr)];
}

uint32_t view_u32_at(const struct view *v, uint64_t addr)
{
	return view_u32(v, view_offset(v, addr));
}

uint64_t view_u64_at(const struct view *v, uint64_t addr)
{
	return view_u64(v, view_offset(v, addr));
}

unsigned view_local(const struct view *v, uint64_t addr)
{
	for (unsigned i = 0; i < v->nlocrel; i++) {
		if (view_u32(v, v->locrel + i * 8) == addr)
			return view_u32(v, v->locrel + i * 8 + 4) & 0xffffff;
	}
	return 0;
}

const char *view_external(const struct view *v, uint64_t addr, unsigned *type)
{
	for (unsigned i = 0; i < v->nextrel; i++) {
		uint32_t word = view_u32(v, v->extrel + i * 8 + 4);

		if (view_u32(v, v->extrel + i * 8) == addr) {
			*type = word >> 28;
			return v->symbols[word & 0xffffff].name;
		}
	}
	return NULL;
}

void view_reloc(const struct view *v, const struct view_section *s, unsigned n, uint32_t *first,
		uint32_t *second)
{
	assert_true(n < s->nreloc);
	*first = view_u32(v, s->reloff + n * 8);
	*second = view_u32(v, s->reloff + n * 8 + 4);
}
