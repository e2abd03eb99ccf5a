/* SPDX-License-Identifier: BSD-2-Clause */
/* x86-64: each kind of relocation by itself, symbols and sections, from crafted objects. */
#include "tests/kextld/craft.h"
#include "tests/kextld/view.h"

enum { UNSIGNED, SIGNED, BRANCH, GOT_LOAD, GOT, SUBTRACTOR, SIGNED_1, SIGNED_2, SIGNED_4 };

/* An object with 64 bytes of code and of data each, and _kmod_info. */
struct box {
	struct craft c;
	uint8_t text[64], data[64];
	unsigned text_at, data_at;
};

static void box_begin(struct box *b)
{
	static const uint8_t info[196];

	memset(b, 0, sizeof(*b));
	craft_begin(&b->c, true);
	b->text_at = craft_section(&b->c, "__TEXT", "__text", CRAFT_CODE, 4, b->text, 64);
	b->data_at = craft_section(&b->c, "__DATA", "__data", 0, 3, b->data, 64);
	craft_global(&b->c, "_kmod_info",
		     craft_section(&b->c, "__DATA", "__const", 0, 3, info, sizeof(info)), 0);
	craft_global(&b->c, "_text", b->text_at, 0);
	craft_global(&b->c, "_data", b->data_at, 0);
}

static void link_view(const struct kextld_options *options, struct kextld_input *inputs,
		      size_t count, struct kextld_output *out, struct view *v)
{
	bool ok = kextld_link(options, inputs, count, out);

	for (size_t i = 0; i < count; i++)
		craft_free(&inputs[i]);
	if (!ok)
		fail_msg("%s", out->error);
	view_open(v, out);
}

static void box_link(struct box *b, struct kextld_output *out, struct view *v)
{
	const struct kextld_options options = {.arch = KEXTLD_ARCH_X86_64};
	struct kextld_input input = craft_end(&b->c, "box.o");

	link_view(&options, &input, 1, out, v);
}

static void done(struct kextld_output *out, struct view *v)
{
	view_free(v);
	kextld_free(out);
}

/* Where a displacement at addr leads; tail: bytes of the instruction behind it. */
static uint64_t leads_to(const struct view *v, uint64_t addr, unsigned tail)
{
	return addr + 4 + tail + (uint64_t)(int64_t)(int32_t)view_u32_at(v, addr);
}

static void test_unsigned(void **state)
{
	struct kextld_output out;
	struct view v;
	struct box b;
	uint64_t data;
	unsigned type = 99;

	(void)state;
	box_begin(&b);
	cm_put(b.data + 8, 5, 8);				 /* _there + 5 */
	cm_put(b.data + 16, craft_addr(&b.c, b.text_at) + 3, 8); /* by section */
	cm_put(b.data + 24, 9, 8);				 /* _away + 9 */
	cm_put(b.data + 32, 100, 8);				 /* absolute + 100 */
	cm_put(b.data + 40, 0x1234, 8);				 /* section 0: a number */
	craft_reloc(&b.c, b.data_at, 8, UNSIGNED, 3, false, true,
		    craft_global(&b.c, "_there", b.text_at, 32));
	craft_reloc(&b.c, b.data_at, 16, UNSIGNED, 3, false, false, b.text_at);
	craft_reloc(&b.c, b.data_at, 24, UNSIGNED, 3, false, true, craft_undefined(&b.c, "_away"));
	craft_reloc(&b.c, b.data_at, 32, UNSIGNED, 3, false, true,
		    craft_symbol(&b.c, "_number", CRAFT_ABS | CRAFT_EXT, 0, 0, 0x7000));
	craft_reloc(&b.c, b.data_at, 40, UNSIGNED, 3, false, false, 0);
	box_link(&b, &out, &v);
	data = view_addr(&v, "_data");
	assert_int_equal(view_u64_at(&v, data + 8), view_addr(&v, "_there") + 5);
	assert_int_equal(view_local(&v, data + 8), view_symbol(&v, "_there")->sect);
	assert_int_equal(view_u64_at(&v, data + 16), view_addr(&v, "_text") + 3);
	assert_int_equal(view_local(&v, data + 16), 1);
	assert_int_equal(view_u64_at(&v, data + 24), 9);
	assert_string_equal(view_external(&v, data + 24, &type), "_away");
	assert_int_equal(type, UNSIGNED);
	assert_int_equal(view_u64_at(&v, data + 32), 0x7064);
	assert_int_equal(view_u64_at(&v, data + 40), 0x1234);
	assert_int_equal(v.nlocrel, 2);
	assert_int_equal(v.nextrel, 1);
	assert_int_equal(view_symbol(&v, "_number")->type, 3);
	assert_int_equal(view_symbol(&v, "_number")->value, 0x7000);
	done(&out, &v);
}

static void test_displacements(void **state)
{
	static const struct {
		unsigned type, tail;
	} kinds[] = {{SIGNED, 0}, {SIGNED_1, 1}, {SIGNED_2, 2}, {SIGNED_4, 4}, {BRANCH, 0}};

	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		unsigned tail = kinds[i].tail;
		struct kextld_output out;
		struct view v;
		struct box b;
		uint64_t text;

		box_begin(&b);
		/* To a symbol, 6 behind it; then to the same place by section. */
		cm_put(b.text + 8, 6 - (uint64_t)tail, 4);
		cm_put(b.text + 24, craft_addr(&b.c, b.data_at) + 22 - (24 + 4 + tail), 4);
		craft_reloc(&b.c, b.text_at, 8, kinds[i].type, 2, true, true,
			    craft_global(&b.c, "_there", b.data_at, 16));
		craft_reloc(&b.c, b.text_at, 24, kinds[i].type, 2, true, false, b.data_at);
		box_link(&b, &out, &v);
		text = view_addr(&v, "_text");
		assert_int_equal(leads_to(&v, text + 8, tail), view_addr(&v, "_there") + 6);
		assert_int_equal(leads_to(&v, text + 24, tail), view_addr(&v, "_there") + 6);
		assert_int_equal(v.nlocrel + v.nextrel, 0);
		done(&out, &v);
	}
}

static void test_branch_undefined(void **state)
{
	struct kextld_output out;
	struct view v;
	struct box b;
	uint64_t text;
	unsigned type = 99, weak;

	(void)state;
	box_begin(&b);
	weak = craft_symbol(&b.c, "_maybe", CRAFT_EXT, 0, CRAFT_WEAK_REF, 0);
	craft_undefined(&b.c, "_unused");
	craft_reloc(&b.c, b.text_at, 20, BRANCH, 2, true, true, craft_undefined(&b.c, "_away"));
	craft_reloc(&b.c, b.text_at, 10, BRANCH, 2, true, true, weak);
	box_link(&b, &out, &v);
	text = view_addr(&v, "_text");
	assert_string_equal(view_external(&v, text + 20, &type), "_away");
	assert_int_equal(type, BRANCH);
	assert_int_equal(view_u32_at(&v, text + 20), 0);
	assert_int_equal(view_symbol(&v, "_away")->desc, 0xfe00);
	assert_int_equal(view_symbol(&v, "_maybe")->desc, 0xfe40);
	assert_null(view_symbol(&v, "_unused"));
	assert_int_equal(v.undefined_count, 2);
	done(&out, &v);
}

static void test_got(void **state)
{
	struct kextld_output out;
	struct view v;
	struct box b;
	uint64_t text, slot;
	unsigned type = 99, there, away;

	(void)state;
	box_begin(&b);
	there = craft_global(&b.c, "_there", b.data_at, 16);
	away = craft_undefined(&b.c, "_away");
	memcpy(b.text + 1, "\x48\x8b\x05", 3); /* mov there@got, %rax */
	craft_reloc(&b.c, b.text_at, 4, GOT_LOAD, 2, true, true, there);
	memcpy(b.text + 9, "\x48\x8b\x05", 3); /* mov away@got, %rax */
	craft_reloc(&b.c, b.text_at, 12, GOT_LOAD, 2, true, true, away);
	memcpy(b.text + 17, "\x48\x3b\x05", 3); /* cmp there@got, %rax */
	craft_reloc(&b.c, b.text_at, 20, GOT, 2, true, true, there);
	craft_reloc(&b.c, b.text_at, 28, GOT, 2, true, true, away);
	/* Marked as a load, but is none: has to have its slot. */
	b.text[34] = 0x3b;
	craft_reloc(&b.c, b.text_at, 36, GOT_LOAD, 2, true, true, there);
	craft_reloc(&b.c, b.text_at, 44, GOT, 2, true, true,
		    craft_symbol(&b.c, "_number", CRAFT_ABS | CRAFT_EXT, 0, 0, 0x7000));
	box_link(&b, &out, &v);
	text = view_addr(&v, "_text");

	assert_int_equal(view_byte_at(&v, text + 2), 0x8d); /* lea */
	assert_int_equal(leads_to(&v, text + 4, 0), view_addr(&v, "_there"));

	assert_int_equal(view_byte_at(&v, text + 10), 0x8b);
	slot = leads_to(&v, text + 12, 0);
	assert_string_equal(view_external(&v, slot, &type), "_away");
	assert_int_equal(type, UNSIGNED);
	assert_int_equal(leads_to(&v, text + 28, 0), slot);

	slot = leads_to(&v, text + 20, 0);
	assert_int_equal(view_u64_at(&v, slot), view_addr(&v, "_there"));
	assert_int_equal(view_local(&v, slot), view_symbol(&v, "_there")->sect);
	assert_int_equal(leads_to(&v, text + 36, 0), slot);
	assert_int_equal(view_byte_at(&v, text + 34), 0x3b);

	slot = leads_to(&v, text + 44, 0);
	assert_int_equal(view_u64_at(&v, slot), 0x7000);
	assert_int_equal(view_local(&v, slot), 0);
	assert_int_equal(view_section(&v, "__DATA,__got")->size, 24);
	done(&out, &v);
}

static void test_subtractor(void **state)
{
	struct kextld_output out;
	struct view v;
	struct box b;
	uint64_t data;
	unsigned here, there;

	(void)state;
	box_begin(&b);
	here = craft_global(&b.c, "_here", b.text_at, 4);
	there = craft_global(&b.c, "_there", b.data_at, 48);
	cm_put(b.data + 8, 7, 8);
	craft_reloc(&b.c, b.data_at, 8, SUBTRACTOR, 3, false, true, here);
	craft_reloc(&b.c, b.data_at, 8, UNSIGNED, 3, false, true, there);
	cm_put(b.data + 16, (uint64_t)-1, 4);
	craft_reloc(&b.c, b.data_at, 16, SUBTRACTOR, 2, false, true, there);
	craft_reloc(&b.c, b.data_at, 16, UNSIGNED, 2, false, true, here);
	/* The minuend by section: the bytes hold its address in the object. */
	cm_put(b.data + 24, craft_addr(&b.c, b.data_at) + 50, 8);
	craft_reloc(&b.c, b.data_at, 24, SUBTRACTOR, 3, false, true, here);
	craft_reloc(&b.c, b.data_at, 24, UNSIGNED, 3, false, false, b.data_at);
	/* Both by section: the bytes hold the difference in the object. */
	cm_put(b.data + 32, craft_addr(&b.c, b.data_at) - craft_addr(&b.c, b.text_at), 4);
	craft_reloc(&b.c, b.data_at, 32, SUBTRACTOR, 2, false, false, b.text_at);
	craft_reloc(&b.c, b.data_at, 32, UNSIGNED, 2, false, false, b.data_at);
	box_link(&b, &out, &v);
	data = view_addr(&v, "_data");
	assert_int_equal(view_u64_at(&v, data + 8),
			 view_addr(&v, "_there") - view_addr(&v, "_here") + 7);
	assert_int_equal(view_u32_at(&v, data + 16),
			 (uint32_t)(view_addr(&v, "_here") - view_addr(&v, "_there") - 1));
	assert_int_equal(view_u64_at(&v, data + 24), data + 50 - view_addr(&v, "_here"));
	assert_int_equal(view_u32_at(&v, data + 32), data - view_addr(&v, "_text"));
	assert_int_equal(v.nlocrel + v.nextrel, 0);
	done(&out, &v);
}

/* Sections of one name are joined in order, aligned; zero fill comes last and takes no bytes. */
static void test_sections(void **state)
{
	const struct kextld_options options = {.arch = KEXTLD_ARCH_X86_64};
	struct kextld_output out;
	struct kextld_input inputs[3];
	struct craft c;
	struct view v;
	const struct view_section *s;

	(void)state;
	craft_begin(&c, true);
	craft_section(&c, "__DATA", "__bss", 0, 4, NULL, 100000);
	craft_section(&c, "__TEXT", "__cstring", 2, 0, "abc", 4);
	craft_section(&c, "__DWARF", "__debug_info", CRAFT_DEBUG, 0, "debug", 5);
	craft_section(&c, "__LD", "__compact_unwind", CRAFT_DEBUG, 3, "unwind..", 8);
	craft_section(&c, "__TEXT", "__eh_frame", 0, 3, "ehframe.", 8);
	craft_section(&c, "__TEXT", "__textcoal_nt", CRAFT_CODE | 0xb, 4, "code", 4);
	craft_global(&c, "_abc", 2, 0);
	craft_symbol(&c, "EH_frame0", CRAFT_SECT, 5, 0, 0);
	inputs[0] = craft_end(&c, "one.o");
	craft_begin(&c, true);
	craft_section(&c, "__TEXT", "__cstring", 2, 3, "defg", 5);
	craft_section(&c, "__TEXT", "__text", CRAFT_CODE, 2, "text", 4);
	craft_section(&c, "__DATA", "__own", 0, 0, "own", 3);
	craft_global(&c, "_defg", 1, 0);
	craft_global(&c, "_end", 1, 5);
	inputs[1] = craft_end(&c, "two.o");
	inputs[2] = craft_kmod(true);
	link_view(&options, inputs, 3, &out, &v);
	s = view_section(&v, "__TEXT,__cstring");
	assert_non_null(s);
	assert_int_equal(s->size, 13);
	assert_int_equal(s->align, 3);
	assert_int_equal(s->flags, 2);
	assert_int_equal(view_addr(&v, "_defg"), s->addr + 8);
	assert_int_equal(view_addr(&v, "_end"), s->addr + 13);
	assert_int_equal(view_u32_at(&v, s->addr + 8), 0x67666564);
	s = view_section(&v, "__TEXT,__text");
	assert_ptr_equal(s, &v.sections[0]);
	assert_int_equal(s->size, 8);
	assert_int_equal(s->flags, 0x80000400);
	assert_null(view_section(&v, "__DWARF,__debug_info"));
	assert_null(view_section(&v, "__LD,__compact_unwind"));
	assert_null(view_section(&v, "__TEXT,__eh_frame"));
	assert_null(view_section(&v, "__TEXT,__textcoal_nt"));
	assert_null(view_symbol(&v, "EH_frame0"));
	assert_non_null(view_section(&v, "__DATA,__own"));
	s = &v.sections[v.section_count - 1];
	assert_string_equal(s->name, "__DATA,__bss");
	assert_int_equal(s->size, 100000);
	assert_true(out.len < 16384);
	done(&out, &v);
}

static void test_common(void **state)
{
	static const uint8_t word[8];
	const struct kextld_options options = {.arch = KEXTLD_ARCH_X86_64};
	struct kextld_output out;
	struct kextld_input inputs[3];
	struct craft c;
	struct view v;

	(void)state;
	craft_begin(&c, true);
	craft_symbol(&c, "_grows", CRAFT_EXT, 0, 3 << 8, 8);
	craft_symbol(&c, "_given", CRAFT_EXT, 0, 0, 8);
	craft_symbol(&c, "_hidden", CRAFT_EXT | CRAFT_PEXT, 0, 0, 1);
	inputs[0] = craft_end(&c, "one.o");
	craft_begin(&c, true);
	craft_symbol(&c, "_grows", CRAFT_EXT, 0, 6 << 8, 40);
	craft_section(&c, "__DATA", "__data", 0, 3, word, 8);
	craft_global(&c, "_given", 1, 0);
	inputs[1] = craft_end(&c, "two.o");
	inputs[2] = craft_kmod(true);
	link_view(&options, inputs, 3, &out, &v);
	assert_int_equal(view_addr(&v, "_grows") % 64, 0);
	assert_int_equal(view_section(&v, "__DATA,__common")->size, 41);
	assert_string_equal(v.sections[view_symbol(&v, "_given")->sect - 1].name, "__DATA,__data");
	assert_int_equal(view_symbol(&v, "_hidden")->type, 0x1e);
	done(&out, &v);
}

/* The first weak definition counts, a plain one beats it, and what lost is blanked. */
static void test_weak(void **state)
{
	static const uint8_t code_a[16] = "aaaaaaaabbbbbbb";
	static const uint8_t code_b[24] = "ccccccccddddddddeeeeeee";
	const struct kextld_options options = {.arch = KEXTLD_ARCH_X86_64};
	struct kextld_output out;
	struct kextld_input inputs[3];
	struct craft c;
	struct view v;
	uint64_t text;

	(void)state;
	craft_begin(&c, true);
	craft_section(&c, "__TEXT", "__text", CRAFT_CODE, 4, code_a, 16);
	craft_symbol(&c, "_both", CRAFT_SECT | CRAFT_EXT, 1, CRAFT_WEAK_DEF, 0);
	craft_symbol(&c, "_beaten", CRAFT_SECT | CRAFT_EXT, 1, CRAFT_WEAK_DEF, 8);
	inputs[0] = craft_end(&c, "one.o");
	craft_begin(&c, true);
	craft_section(&c, "__TEXT", "__text", CRAFT_CODE, 4, code_b, 24);
	craft_symbol(&c, "Label", CRAFT_SECT, 1, 0, 4);
	craft_symbol(&c, "_both", CRAFT_SECT | CRAFT_EXT, 1, CRAFT_WEAK_DEF, 0);
	craft_global(&c, "_beaten", 1, 8);
	craft_global(&c, "_last", 1, 16);
	/* Of the loser: must be forgotten with it. */
	craft_reloc(&c, 1, 4, BRANCH, 2, true, true, craft_undefined(&c, "_nobody"));
	inputs[1] = craft_end(&c, "two.o");
	inputs[2] = craft_kmod(true);
	link_view(&options, inputs, 3, &out, &v);
	text = view_section(&v, "__TEXT,__text")->addr;
	assert_int_equal(view_addr(&v, "_both"), text);
	assert_int_equal(view_symbol(&v, "_both")->desc, 0x80);
	assert_int_equal(view_addr(&v, "_beaten"), text + 16 + 8);
	assert_int_equal(view_symbol(&v, "_beaten")->desc, 0);
	assert_int_equal(view_u32_at(&v, text), 0x61616161);
	assert_int_equal(view_u32_at(&v, text + 8), 0xcccccccc);
	assert_int_equal(view_u32_at(&v, text + 16), 0xcccccccc);
	assert_int_equal(view_u32_at(&v, text + 20), 0xcccccccc);
	assert_int_equal(view_u32_at(&v, text + 24), 0x64646464);
	assert_null(view_symbol(&v, "_nobody"));
	assert_null(view_symbol(&v, "Label"));
	done(&out, &v);
}

/* Hidden ones become local; what is not exported, too; labels go; stripping spares C++. */
static void test_visibility(void **state)
{
	static const char *const exports[] = {"_shown", "_wild*"};

	(void)state;
	for (int round = 0; round < 3; round++) {
		const struct kextld_options options = {.arch = KEXTLD_ARCH_X86_64,
						       .exports = exports,
						       .export_count = round == 1 ? 2 : 0,
						       .strip_locals = round == 2};
		struct kextld_output out;
		struct kextld_input input;
		struct view v;
		struct box b;
		unsigned shown, alias;

		box_begin(&b);
		shown = craft_global(&b.c, "_shown", b.data_at, 0);
		craft_global(&b.c, "_other", b.data_at, 8);
		craft_global(&b.c, "_wildcat", b.data_at, 12);
		craft_symbol(&b.c, "_hidden", CRAFT_SECT | CRAFT_EXT | CRAFT_PEXT, b.data_at, 0,
			     16);
		craft_symbol(&b.c, "__ZN1c1fEv", CRAFT_SECT, b.data_at, 0, 20);
		craft_symbol(&b.c, "_local", CRAFT_SECT, b.data_at, 0x20, 24);
		craft_symbol(&b.c, "l_label", CRAFT_SECT, b.data_at, 0, 28);
		craft_symbol(&b.c, "Llabel", CRAFT_SECT, b.data_at, 0, 32);
		craft_symbol(&b.c, "_debug", 0x24, b.data_at, 0, 32);
		alias = craft_symbol(&b.c, "_alias", CRAFT_INDR | CRAFT_EXT, 0, 0, 0);
		b.c.symbols[alias].value = b.c.symbols[shown].strx;
		input = craft_end(&b.c, "box.o");
		link_view(&options, &input, 1, &out, &v);
		assert_int_equal(view_symbol(&v, "_shown")->type, 0xf);
		assert_int_equal(view_symbol(&v, "_wildcat")->type, 0xf);
		assert_int_equal(view_symbol(&v, "_kmod_info")->type, 0xf);
		assert_int_equal(view_symbol(&v, "_other")->type, round == 1 ? 0x1e : 0xf);
		assert_int_equal(view_symbol(&v, "_alias")->type, round == 1 ? 0x1e : 0xf);
		assert_int_equal(view_addr(&v, "_alias"), view_addr(&v, "_shown"));
		assert_int_equal(view_symbol(&v, "__ZN1c1fEv")->type, 0xe);
		assert_null(view_symbol(&v, "l_label"));
		assert_null(view_symbol(&v, "Llabel"));
		assert_null(view_symbol(&v, "_debug"));
		if (round == 2) {
			assert_null(view_symbol(&v, "_local"));
			assert_null(view_symbol(&v, "_hidden"));
		} else {
			assert_int_equal(view_symbol(&v, "_local")->type, 0xe);
			assert_int_equal(view_symbol(&v, "_local")->desc, 0);
			assert_int_equal(view_symbol(&v, "_hidden")->type, 0x1e);
		}
		done(&out, &v);
	}
}

static void test_kmod_glue(void **state)
{
	static const uint8_t code[8];
	const struct kextld_options options = {.arch = KEXTLD_ARCH_X86_64,
					       .kmod_name = "org.viokit.test",
					       .kmod_version = "1.2.3"};

	(void)state;
	for (int round = 0; round < 2; round++) {
		struct kextld_output out;
		struct kextld_input input;
		struct craft c;
		struct view v;
		uint64_t info;

		craft_begin(&c, true);
		craft_section(&c, "__TEXT", "__text", CRAFT_CODE, 0, code, 8);
		if (round)
			craft_global(&c, "__start", 1, 4);
		input = craft_end(&c, "one.o");
		link_view(&options, &input, 1, &out, &v);
		info = view_addr(&v, "_kmod_info");
		assert_int_equal(view_u32_at(&v, info + 8), 1);
		/* In a kext, addresses are offsets in the file as well. */
		assert_string_equal((const char *)out.data + info + 16, "org.viokit.test");
		assert_string_equal((const char *)out.data + info + 80, "1.2.3");
		assert_int_equal(view_u64_at(&v, info + 180), view_addr(&v, "__start"));
		assert_int_equal(view_u64_at(&v, info + 188), view_addr(&v, "__stop"));
		assert_int_not_equal(view_local(&v, info + 180), 0);
		assert_int_equal(view_symbol(&v, "__start")->type, round ? 0xf : 0x1e);
		assert_int_equal(view_byte_at(&v, view_addr(&v, "__stop") + 2), 0xc3);
		done(&out, &v);
	}
}

/* The same contents give the same bytes, whatever the files are called; others do not. */
static void test_reproducible(void **state)
{
	const struct kextld_options options = {.arch = KEXTLD_ARCH_ANY};
	struct kextld_output out[3];
	struct view v[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct kextld_input input;
		struct box b;

		box_begin(&b);
		b.text[0] = i == 2;
		input = craft_end(&b.c, i ? "elsewhere/x.o" : "y.o");
		link_view(&options, &input, 1, &out[i], &v[i]);
	}
	assert_int_equal(out[0].len, out[1].len);
	assert_memory_equal(out[0].data, out[1].data, out[0].len);
	assert_memory_not_equal(v[0].uuid, v[2].uuid, 16);
	for (int i = 0; i < 3; i++)
		done(&out[i], &v[i]);
}

static void test_map(void **state)
{
	const struct kextld_options options = {.want_map = true};
	struct kextld_output out;
	struct kextld_input input;
	struct view v;
	struct box b;

	(void)state;
	box_begin(&b);
	craft_reloc(&b.c, b.text_at, 20, BRANCH, 2, true, true, craft_undefined(&b.c, "_away"));
	input = craft_end(&b.c, "box.o");
	link_view(&options, &input, 1, &out, &v);
	assert_non_null(strstr(out.map, " __TEXT,__text\n"));
	assert_non_null(strstr(out.map, " E _data  box.o\n"));
	assert_non_null(strstr(out.map, "\n_away  box.o\n"));
	assert_int_equal(strlen(out.map), out.map_len);
	done(&out, &v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unsigned),     cmocka_unit_test(test_displacements),
		cmocka_unit_test(test_got),	     cmocka_unit_test(test_branch_undefined),
		cmocka_unit_test(test_subtractor),   cmocka_unit_test(test_sections),
		cmocka_unit_test(test_common),	     cmocka_unit_test(test_weak),
		cmocka_unit_test(test_visibility),   cmocka_unit_test(test_kmod_glue),
		cmocka_unit_test(test_reproducible), cmocka_unit_test(test_map),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
