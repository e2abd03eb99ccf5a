/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "sim/macos/kext/macho.h"

#define PAGE	    4096u
#define IMAGE_MOST  (64u << 20)
#define MANY	    100000u
#define FAT_MAGIC   0xcafebabeu
#define MAGIC_64    0xfeedfacfu
#define CPU_X86_64  0x01000007u
#define KEXT_BUNDLE 11u

enum { LC_SYMTAB = 0x2, LC_DYSYMTAB = 0xb, LC_SEGMENT_64 = 0x19 };
enum { N_STAB = 0xe0, N_TYPE = 0xe, N_EXT = 1, N_UNDF = 0, N_ABS = 2, N_SECT = 0xe };

/* A piece of the file. The only way to get at bytes; nothing is added before it is compared. */
struct view {
	const uint8_t *data;
	uint64_t len;

	bool has(uint64_t off, uint64_t n) const
	{
		return off <= len && n <= len - off;
	}
	view piece(uint64_t off, uint64_t n) const
	{
		return has(off, n) ? view{data + off, n} : view{nullptr, 0};
	}
	uint32_t u32(uint64_t off) const
	{
		uint32_t v = 0;

		if (has(off, sizeof(v)))
			memcpy(&v, data + off, sizeof(v));
		return v;
	}
	uint64_t u64(uint64_t off) const
	{
		uint64_t v = 0;

		if (has(off, sizeof(v)))
			memcpy(&v, data + off, sizeof(v));
		return v;
	}
	/* Of 16 characters, perhaps without an end. */
	std::string name(uint64_t off) const
	{
		const char *text = reinterpret_cast<const char *>(data + off);

		return has(off, 16) ? std::string(text, strnlen(text, 16)) : std::string();
	}
};

struct tables {
	view symtab, dysymtab;
};

static bool bad(std::string *why, const std::string &text)
{
	*why = text;
	return false;
}

static bool inside(uint64_t addr, uint64_t len, uint64_t start, uint64_t size)
{
	return addr >= start && addr - start <= size && len <= size - (addr - start);
}

static bool zero_filled(const macho_section &s)
{
	return s.type == MACHO_S_ZEROFILL || s.type == MACHO_S_GB_ZEROFILL;
}

const macho_section *macho::section_of(uint64_t addr, uint64_t len) const
{
	for (const macho_section &s : sections)
		if (inside(addr, len, s.addr, s.size))
			return &s;
	return nullptr;
}

uint64_t macho::word_at(uint64_t addr) const
{
	const macho_section *s = section_of(addr, sizeof(uint64_t));
	view v = {data.data(), data.size()};

	return s && !zero_filled(*s) ? v.u64(s->offset + (addr - s->addr)) : 0;
}

const macho_symbol *macho::defined_external(const std::string &name) const
{
	for (const macho_symbol &s : symbols)
		if (s.defined && s.external && s.name == name)
			return &s;
	return nullptr;
}

/* ---- segments ---- */

static bool read_section(const view &file, const view &c, uint64_t at, const macho_segment &seg,
			 macho *out, std::string *why)
{
	macho_section s;

	s.name = c.name(at);
	s.segment = c.name(at + 16);
	s.addr = c.u64(at + 32);
	s.size = c.u64(at + 40);
	s.offset = c.u32(at + 48);
	s.type = static_cast<uint8_t>(c.u32(at + 64) & 0xff);
	if (!inside(s.addr, s.size, seg.addr, seg.size))
		return bad(why, "section " + s.segment + "," + s.name + " is outside its segment");
	if (!zero_filled(s) && s.size && !file.has(s.offset, s.size))
		return bad(why, "section " + s.segment + "," + s.name +
					" goes beyond the end of the file");
	if (c.u32(at + 60))
		return bad(why,
			   "section " + s.segment + "," + s.name + " has relocations of its own");
	out->sections.push_back(s);
	return true;
}

static bool read_segment(const view &file, const view &c, macho *out, std::string *why)
{
	macho_segment s;
	uint32_t count = c.u32(64);

	if (c.len < 72 || count > (c.len - 72) / 80)
		return bad(why, "a segment command is too short for its sections");
	s.name = c.name(8);
	s.addr = c.u64(24);
	s.size = c.u64(32);
	s.offset = c.u64(40);
	s.file_size = c.u64(48);
	if (s.addr > IMAGE_MOST || s.size > IMAGE_MOST || s.addr % PAGE || s.size % PAGE)
		return bad(why, "segment " + s.name + " is too large or not made of pages");
	if (s.file_size > s.size || !file.has(s.offset, s.file_size))
		return bad(why, "segment " + s.name + " goes beyond the end of the file");
	for (const macho_segment &other : out->segments)
		if (s.addr < other.addr + other.size && other.addr < s.addr + s.size)
			return bad(why, "segments " + other.name + " and " + s.name + " overlap");
	if (s.name != "__LINKEDIT" && s.addr + s.size > out->size)
		out->size = s.addr + s.size;
	out->segments.push_back(s);
	for (uint32_t i = 0; i < count; i++)
		if (!read_section(file, c, 72 + 80 * static_cast<uint64_t>(i), s, out, why))
			return false;
	return true;
}

/* ---- symbols and relocations ---- */

static bool read_symbols(const view &file, const view &c, macho *out, std::string *why)
{
	uint32_t count = c.u32(12);
	view table, strings = file.piece(c.u32(16), c.u32(20));

	if (count > MANY)
		return bad(why, "too many symbols");
	table = file.piece(c.u32(8), 16 * static_cast<uint64_t>(count));
	if (!table.data || !strings.data)
		return bad(why, "the symbol table goes beyond the end of the file");
	for (uint64_t i = 0; i < count; i++) {
		uint32_t x = table.u32(16 * i), bits = table.u32(16 * i + 4);
		uint8_t type = bits & 0xff;
		const char *name;
		macho_symbol s;

		name = reinterpret_cast<const char *>(strings.data + x);
		if (x >= strings.len || strnlen(name, strings.len - x) == strings.len - x)
			return bad(why, "the name of symbol " + std::to_string(i) + " has no end");
		s.name = name;
		s.value = table.u64(16 * i + 8);
		s.external = (type & N_EXT) && !(type & N_STAB);
		s.defined = (type & N_TYPE) == N_SECT && !(type & N_STAB);
		if (s.defined && !inside(s.value, 0, 0, out->size))
			return bad(why, "symbol " + s.name + " is outside the image");
		if (s.external && !s.defined && ((type & N_TYPE) != N_UNDF || s.value))
			return bad(why, "symbol " + s.name + " is of a kind that no kext has");
		out->symbols.push_back(s);
	}
	return true;
}

static bool read_relocs(const view &file, uint32_t off, uint32_t count, bool external, macho *out,
			std::string *why)
{
	view table = file.piece(off, 8 * static_cast<uint64_t>(count));

	if (count > MANY)
		return bad(why, "too many relocations");
	if (!table.data && count)
		return bad(why, "the relocations go beyond the end of the file");
	for (uint64_t i = 0; i < count; i++) {
		uint32_t bits = table.u32(8 * i + 4);
		macho_reloc r;
		const macho_section *s;
		char where[48];

		r.address = out->segments[0].addr + table.u32(8 * i);
		r.what = bits & 0xffffff;
		r.pcrel = bits >> 24 & 1;
		r.length = bits >> 25 & 3;
		r.external = bits >> 27 & 1;
		r.type = static_cast<uint8_t>(bits >> 28);
		snprintf(where, sizeof(where), "the relocation at %#llx",
			 static_cast<unsigned long long>(r.address));
		s = out->section_of(r.address, 1u << r.length);
		if (!s || zero_filled(*s))
			return bad(why, std::string(where) + " is in no section");
		if (r.external != external)
			return bad(why, std::string(where) + " is in the wrong table");
		if (external ? r.what >= out->symbols.size()
			     : !r.what || r.what > out->sections.size())
			return bad(why, std::string(where) + " refers to nothing");
		if (external && !out->symbols[r.what].external)
			return bad(why, std::string(where) + " refers to a local symbol");
		out->relocs.push_back(r);
	}
	return true;
}

/* ---- the whole ---- */

/* The slice for x86_64 of a universal file, whose headers are big-endian. */
static bool pick(const view &file, view *slice, std::string *why)
{
	uint32_t count = __builtin_bswap32(file.u32(4));

	if (__builtin_bswap32(file.u32(0)) != FAT_MAGIC) {
		*slice = file;
		return true;
	}
	if (count > 16 || !file.has(8, 20 * static_cast<uint64_t>(count)))
		return bad(why, "the header of the universal file is cut off");
	for (uint64_t i = 0; i < count; i++) {
		if (__builtin_bswap32(file.u32(8 + 20 * i)) != CPU_X86_64)
			continue;
		*slice = file.piece(__builtin_bswap32(file.u32(8 + 20 * i + 8)),
				    __builtin_bswap32(file.u32(8 + 20 * i + 12)));
		return slice->data ? true
				   : bad(why, "the x86_64 slice goes beyond the end of the file");
	}
	return bad(why, "the universal file has no x86_64 slice");
}

static bool read_commands(const view &file, macho *out, struct tables *t, std::string *why)
{
	uint32_t count = file.u32(16), size = file.u32(20);
	view all = file.piece(32, size);
	uint64_t at = 0;

	if (!all.data)
		return bad(why, "the load commands go beyond the end of the file");
	for (uint32_t i = 0; i < count; i++) {
		uint32_t what = all.u32(at), len = all.u32(at + 4);
		view c = all.piece(at, len);

		if (!all.has(at, 8) || len < 8 || len % 8 || !c.data)
			return bad(why, "load command " + std::to_string(i) + " is cut off");
		if (what == LC_SEGMENT_64 && !read_segment(file, c, out, why))
			return false;
		if (what == LC_SYMTAB)
			t->symtab = c;
		if (what == LC_DYSYMTAB)
			t->dysymtab = c;
		out->commands.push_back(what);
		at += len;
	}
	out->headers = 32 + static_cast<uint64_t>(size);
	return true;
}

bool macho_read(const uint8_t *data, size_t len, struct macho *out, std::string *why)
{
	struct tables t = {{nullptr, 0}, {nullptr, 0}};
	view file;

	*out = macho();
	if (!pick({data, len}, &file, why))
		return false;
	if (!file.has(0, 32))
		return bad(why, "the file is shorter than a Mach-O header");
	if (file.u32(0) != MAGIC_64 || file.u32(4) != CPU_X86_64)
		return bad(why, "no Mach-O file for x86_64");
	if (file.u32(12) != KEXT_BUNDLE)
		return bad(why, "Mach-O file type " + std::to_string(file.u32(12)) +
					", not that of a kext (11)");
	out->data.assign(file.data, file.data + file.len);
	if (!read_commands(file, out, &t, why))
		return false;
	if (out->segments.empty() || !out->size || out->size > IMAGE_MOST)
		return bad(why, "no segments");
	if (t.symtab.len < 24 || t.dysymtab.len < 80)
		return bad(why, "no symbol table, or none for relocations");
	return read_symbols(file, t.symtab, out, why) &&
	       read_relocs(file, t.dysymtab.u32(64), t.dysymtab.u32(68), true, out, why) &&
	       read_relocs(file, t.dysymtab.u32(72), t.dysymtab.u32(76), false, out, why);
}
