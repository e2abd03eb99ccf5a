/* SPDX-License-Identifier: BSD-2-Clause */
/* What the linker says of inputs that are wrong: the file, the symbol, and what. */
#include "tests/kextld/craft.h"

static uint8_t bytes[64];

static void expect_of(const struct kextld_options *options, const struct kextld_input *inputs,
		      size_t count, const char *error)
{
	struct kextld_output out;

	if (kextld_link(options, inputs, count, &out))
		fail_msg("linked, but should say: %s", error);
	assert_null(out.data);
	assert_null(out.map);
	assert_string_equal(out.error, error);
}

/* Links c and an object with _kmod_info, and expects that error. */
static void expect(const struct craft *c, const char *error)
{
	const struct kextld_options options = {.want_map = true};
	struct kextld_input inputs[2] = {craft_end(c, "bad.o"), craft_kmod(c->wide)};

	expect_of(&options, inputs, 2, error);
	craft_free(&inputs[0]);
	craft_free(&inputs[1]);
}

static void begin(struct craft *c, bool wide)
{
	craft_begin(c, wide);
	craft_section(c, "__TEXT", "__text", CRAFT_CODE, 4, bytes, sizeof(bytes));
}

static void test_files(void **state)
{
	static const uint8_t elf[32] = "\177ELF";
	const struct kextld_options any = {.arch = KEXTLD_ARCH_ANY};
	const struct kextld_options i386 = {.arch = KEXTLD_ARCH_I386};
	struct kextld_input in = {"x.o", span_of(elf, sizeof(elf))};
	uint8_t *header;
	struct craft c;

	(void)state;
	expect_of(&any, NULL, 0, "nothing to link");
	expect_of(&any, &in, 1, "x.o: not a Mach-O object");
	in.bytes.len = 0;
	expect_of(&any, &in, 1, "x.o: not a Mach-O object: too short");
	in.bytes = span_of("!<thin>\n", 8);
	expect_of(&any, &in, 1, "x.o: a thin archive, which holds no objects");
	in.bytes = span_of("!<arch>\nname", 12);
	expect_of(&any, &in, 1, "x.o: no member begins at 0x8");

	begin(&c, true);
	in = craft_end(&c, "x.o");
	header = (uint8_t *)(uintptr_t)in.bytes.data;
	expect_of(&i386, &in, 1, "x.o: an object for x86_64 in a link for i386");
	expect_of(&any, &in, 1,
		  "_kmod_info: no object defines it; every kext needs it (see --kmod-name)");
	header[12] = 2;
	expect_of(&any, &in, 1, "x.o: Mach-O, but no relocatable object (file type 2)");
	header[4] = 12;
	expect_of(&any, &in, 1, "x.o: an object for neither x86_64 nor i386");
	craft_free(&in);
}

static void test_definitions(void **state)
{
	static const char *const exports[] = {"_nobody"};
	const struct kextld_options plain = {0};
	const struct kextld_options exporting = {.exports = exports, .export_count = 1};
	struct kextld_input two[2];
	struct craft c;

	(void)state;
	begin(&c, true);
	craft_global(&c, "_twice", 1, 0);
	two[0] = craft_end(&c, "one.o");
	two[1] = craft_end(&c, "two.o");
	expect_of(&plain, two, 2, "two.o: _twice: defined twice, first in one.o");
	craft_free(&two[1]);
	two[1] = craft_kmod(true);
	expect_of(&exporting, two, 2, "_nobody: to be exported, but nothing defines it");
	craft_free(&two[0]);
	craft_free(&two[1]);

	begin(&c, true);
	craft_symbol(&c, "_kmod_info", CRAFT_EXT, 0, 0, 200);
	two[0] = craft_end(&c, "bad.o");
	expect_of(&plain, two, 1,
		  "_kmod_info: no object defines it; every kext needs it (see --kmod-name)");
	craft_free(&two[0]);

	craft_begin(&c, true);
	craft_section(&c, "__DATA", "__bss", 0, 3, NULL, 196);
	craft_global(&c, "_kmod_info", 1, 0);
	two[0] = craft_end(&c, "bad.o");
	expect_of(&plain, two, 1,
		  "bad.o: _kmod_info: zero fill; the kernel wants to see version 1 in it");
	craft_free(&two[0]);

	begin(&c, true);
	craft_symbol(&c, "_kmod_info", CRAFT_SECT | CRAFT_EXT | CRAFT_PEXT, 1, 0, 0);
	two[0] = craft_end(&c, "bad.o");
	expect_of(&plain, two, 1, "bad.o: _kmod_info: hidden; the kernel looks for it");
	craft_free(&two[0]);
}

static void test_symbols(void **state)
{
	struct craft c;

	(void)state;
	begin(&c, true);
	craft_global(&c, "_far", 1, 65);
	expect(&c, "bad.o: _far: defined outside its section");

	begin(&c, true);
	craft_symbol(&c, "_far", CRAFT_SECT | CRAFT_EXT, 7, 0, 0);
	expect(&c, "bad.o: _far: defined in section 7, which there is not");

	/* A name from a file does not break the line. */
	begin(&c, true);
	craft_symbol(&c, "_a\nb\033", 6 | CRAFT_EXT, 0, 0, 0);
	expect(&c, "bad.o: _a?b?: a symbol of unknown type 0x07");

	begin(&c, true);
	craft_symbol(&c, "_huge", CRAFT_EXT, 0, 0, UINT64_MAX);
	expect(&c, "bad.o: _huge: a tentative definition too large for a kext");

	begin(&c, true);
	craft_symbol(&c, "_me", CRAFT_INDR | CRAFT_EXT, 0, 0, 1);
	expect(&c, "bad.o: _me: stands for itself");

	begin(&c, true);
	craft_symbol(&c, "_me", CRAFT_INDR | CRAFT_EXT, 0, 0, UINT64_MAX);
	expect(&c, "bad.o: _me: stands for a name that is not in the string table");

	begin(&c, true);
	craft_undefined(&c, "_x");
	c.symbols[0].strx = 1000000;
	expect(&c, "bad.o: the name of a symbol is not in the string table");
}

static void test_sections(void **state)
{
	static const struct {
		const char *segname, *sectname;
		uint32_t flags, align;
		bool zero;
		const char *error;
	} bad[] = {
		{"__OBJC", "__class", 0, 0, false,
		 "bad.o: section __OBJC,__class: neither __TEXT nor __DATA, which is all that a "
		 "kext has"},
		{"__DATA", "__nl_symbol_ptr", 6, 2, false,
		 "bad.o: section __DATA,__nl_symbol_ptr: stubs and symbol pointers of dynamic "
		 "code; compile with -mkernel -static"},
		{"__DATA", "__thread_vars", 0x13, 3, false,
		 "bad.o: section __DATA,__thread_vars: a kext has no thread-local variables"},
		{"__DATA", "__data", 0, 13, false,
		 "bad.o: section __DATA,__data: aligned to more than a page"},
		{"__DATA", "__data", 0, 0xffffffff, false,
		 "bad.o: section __DATA,__data: aligned to more than a page"},
		{"__DATA", "__data", 0, 0, true,
		 "kmod.o: section __DATA,__data: bytes here, but zero fill in another object"},
		{"__TEXT", "__zero", 0, 0, true,
		 "bad.o: section __TEXT,__zero: zero fill in __TEXT"},
	};
	struct craft c;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		begin(&c, true);
		craft_section(&c, bad[i].segname, bad[i].sectname, bad[i].flags, bad[i].align,
			      bad[i].zero ? NULL : bytes, 8);
		expect(&c, bad[i].error);
	}
	begin(&c, true);
	craft_section(&c, "__DATA", "__bss", 0, 0, NULL, (size_t)1 << 40);
	expect(&c, "bad.o: section __DATA,__bss: too large for a kext");
	begin(&c, true);
	craft_section(&c, "__DATA", "__bss", 0, 0, NULL, 60u << 20);
	craft_section(&c, "__DATA", "__bss2", 0, 0, NULL, 60u << 20);
	expect(&c, "bad.o: section __DATA,__bss: the kext becomes larger than 67108864 bytes");
}

/* One relocation in code, against an undefined symbol, or a section that there is not. */
static void test_relocs_x64(void **state)
{
	static const struct {
		unsigned type, length;
		bool pcrel, external;
		uint32_t at;
		const char *error;
	} bad[] = {
		{9, 2, true, true, 8,
		 "bad.o: _away: at 0x8 of __TEXT,__text: a relocation of type 9, which kexts have "
		 "not"},
		{0, 2, false, true, 8,
		 "bad.o: _away: at 0x8 of __TEXT,__text: only 64-bit pointers can be relocated"},
		{1, 2, true, true, 8,
		 "bad.o: _away: at 0x8 of __TEXT,__text: undefined, and reached directly instead "
		 "of through the offset table (hidden visibility?)"},
		{2, 0, true, true, 8,
		 "bad.o: _away: at 0x8 of __TEXT,__text: only 32-bit displacements can be "
		 "relocated"},
		{3, 2, false, true, 8,
		 "bad.o: _away: at 0x8 of __TEXT,__text: no such reference through the offset "
		 "table"},
		{2, 2, true, false, 8,
		 "bad.o: at 0x8 of __TEXT,__text: a relocation against section 40, which there is "
		 "not"},
		{5, 3, false, true, 8,
		 "bad.o: at 0x8 of __TEXT,__text: a relocation without its other half"},
		{2, 2, true, true, 61,
		 "bad.o: at 0x3d of __TEXT,__text: a relocation behind the end of the section"},
		{2, 2, true, true, 0xffffffff,
		 "bad.o: at 0xffffffff of __TEXT,__text: a relocation behind the end of the "
		 "section"},
	};
	struct craft c;
	unsigned away;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		begin(&c, true);
		away = craft_undefined(&c, "_away");
		craft_reloc(&c, 1, bad[i].at, bad[i].type, bad[i].length, bad[i].pcrel,
			    bad[i].external, bad[i].external ? away : 40);
		expect(&c, bad[i].error);
	}
	begin(&c, true);
	craft_reloc(&c, 1, 8, 2, 2, true, true, 77);
	expect(&c, "bad.o: at 0x8 of __TEXT,__text: a relocation against symbol 77, which there is "
		   "not");

	begin(&c, true);
	away = craft_undefined(&c, "_away");
	craft_reloc(&c, 1, 8, 5, 3, false, true, away);
	craft_reloc(&c, 1, 8, 0, 3, false, true, away);
	expect(&c, "bad.o: _away: at 0x8 of __TEXT,__text: a difference with what is not in the "
		   "kext");

	/* What is left out cannot be referred to. */
	begin(&c, true);
	craft_section(&c, "__DWARF", "__debug", CRAFT_DEBUG, 0, bytes, 8);
	craft_reloc(&c, 1, 8, 0, 3, false, true, craft_symbol(&c, "_gone", CRAFT_SECT, 2, 0, 0));
	expect(&c, "bad.o: _gone: referred to, but not a symbol, or in a section that is not "
		   "linked");
	begin(&c, true);
	craft_section(&c, "__DWARF", "__debug", CRAFT_DEBUG, 0, bytes, 8);
	craft_reloc(&c, 1, 8, 0, 3, false, false, 2);
	expect(&c, "bad.o: at 0x8 of __TEXT,__text: refers to __DWARF,__debug, which is not "
		   "linked");
}

static void test_relocs_i386(void **state)
{
	struct craft c;
	uint64_t text, data;

	(void)state;
	begin(&c, false);
	craft_reloc(&c, 1, 8, 0, 1, false, true, craft_undefined(&c, "_away"));
	expect(&c,
	       "bad.o: _away: at 0x8 of __TEXT,__text: only fields of 32 bits can be relocated");

	begin(&c, false);
	craft_reloc(&c, 1, 8, 3, 2, false, true, craft_undefined(&c, "_away"));
	expect(&c,
	       "bad.o: _away: at 0x8 of __TEXT,__text: a relocation of type 3, which kexts have "
	       "not");

	begin(&c, false);
	craft_scattered(&c, 1, 8, 2, 8);
	expect(&c, "bad.o: at 0x8 of __TEXT,__text: a relocation without its other half");

	begin(&c, false);
	craft_scattered(&c, 1, 8, 0, 0x500000);
	expect(&c, "bad.o: at 0x8 of __TEXT,__text: a relocation against 0x500000, which is in no "
		   "section");

	begin(&c, false);
	craft_section(&c, "__DATA", "__code", 0, 2, bytes, 64);
	craft_reloc(&c, 2, 8, 0, 2, true, true, craft_undefined(&c, "_away"));
	expect(&c,
	       "bad.o: _away: at 0x8 of __DATA,__code: a pc-relative reference out of a section "
	       "that is not the first, which the 32-bit kernel gets wrong");

	begin(&c, false);
	craft_section(&c, "__DATA", "__data", 0, 2, bytes, 64);
	text = craft_addr(&c, 1);
	data = craft_addr(&c, 2);
	craft_scattered(&c, 2, 8, 2, data);
	craft_scattered(&c, 2, 0, 1, text);
	expect(&c, "__DATA,__data has no relocations but differences, which the 32-bit kernel "
		   "miscounts");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),	   cmocka_unit_test(test_definitions),
		cmocka_unit_test(test_symbols),	   cmocka_unit_test(test_sections),
		cmocka_unit_test(test_relocs_x64), cmocka_unit_test(test_relocs_i386),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
