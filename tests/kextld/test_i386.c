/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * i386: relocations survive the merge of several objects. Checked where it counts, after the
 * sections have been moved apart and relocated as the 32-bit kernels do it.
 *
 * Arguments: compiled objects (first, second, tentative, weak a, weak b).
 */
#include "tests/kextld/craft.h"
#include "tests/kextld/place.h"

enum { VANILLA, PAIR, SECTDIFF, LOCAL_SECTDIFF = 4 };

static char **object_paths;
static int object_count;

static void link_place(const struct kextld_options *options, struct kextld_input *inputs,
		       size_t count, struct kextld_output *out, struct view *v, struct place32 *p)
{
	bool ok = kextld_link(options, inputs, count, out);

	for (size_t i = 0; i < count; i++)
		craft_free(&inputs[i]);
	if (!ok)
		fail_msg("%s", out->error);
	view_open(v, out);
	place32_load(p, v);
}

static void done(struct kextld_output *out, struct view *v, struct place32 *p)
{
	place32_free(p);
	view_free(v);
	kextld_free(out);
}

/* Something in front, so that nothing stays where it was. */
static struct kextld_input first_object(void)
{
	static const uint8_t code[40], data[24];
	struct craft c;

	craft_begin(&c, false);
	craft_section(&c, "__TEXT", "__text", CRAFT_CODE, 4, code, sizeof(code));
	craft_section(&c, "__DATA", "__data", 0, 2, data, sizeof(data));
	craft_global(&c, "_elsewhere", 1, 12);
	craft_global(&c, "_elsewhere_data", 2, 8);
	return craft_end(&c, "first.o");
}

struct code {
	struct craft c;
	uint8_t text[96], data[64];
};

static void code_calls(struct code *o)
{
	uint64_t d = craft_addr(&o->c, 2);

	/* undefined; in another object; here, by symbol and by section; to another section */
	cm_put(o->text + 4, -(uint64_t)8, 4);
	craft_reloc(&o->c, 1, 4, VANILLA, 2, true, true, craft_undefined(&o->c, "_away"));
	cm_put(o->text + 12, -(uint64_t)16, 4);
	craft_reloc(&o->c, 1, 12, VANILLA, 2, true, true, craft_undefined(&o->c, "_elsewhere"));
	cm_put(o->text + 20, -(uint64_t)24, 4);
	craft_reloc(&o->c, 1, 20, VANILLA, 2, true, true, craft_global(&o->c, "_here", 1, 64));
	cm_put(o->text + 28, 64 - 32, 4);
	craft_reloc(&o->c, 1, 28, VANILLA, 2, true, false, 1);
	cm_put(o->text + 36, d + 20 - 40, 4);
	craft_reloc(&o->c, 1, 36, VANILLA, 2, true, false, 2);
}

static void code_addresses(struct code *o)
{
	uint64_t d = craft_addr(&o->c, 2);

	/* undefined + 3; in another object + 4; here by section; far out of it; a number */
	cm_put(o->text + 44, 3, 4);
	craft_reloc(&o->c, 1, 44, VANILLA, 2, false, true, craft_undefined(&o->c, "_away"));
	cm_put(o->text + 52, 4, 4);
	craft_reloc(&o->c, 1, 52, VANILLA, 2, false, true,
		    craft_undefined(&o->c, "_elsewhere_data"));
	cm_put(o->text + 60, d + 24, 4);
	craft_reloc(&o->c, 1, 60, VANILLA, 2, false, false, 2);
	cm_put(o->text + 68, d + 1000, 4);
	craft_scattered(&o->c, 1, 68, VANILLA, d + 4);
	cm_put(o->text + 76, 0x55, 4);
	craft_reloc(&o->c, 1, 76, VANILLA, 2, false, true,
		    craft_symbol(&o->c, "_number", CRAFT_ABS | CRAFT_EXT, 0, 0, 0x1000));
}

static void code_differences(struct code *o)
{
	uint64_t d = craft_addr(&o->c, 2);

	/* within a section: a number; between two: stays; and a plain one, which must come first */
	cm_put(o->data + 4, 64 - 16 + 2, 4);
	craft_scattered(&o->c, 2, 4, LOCAL_SECTDIFF, 64);
	craft_scattered(&o->c, 2, 0, PAIR, 16);
	cm_put(o->data + 12, d + 8 - 64 + 1, 4);
	craft_scattered(&o->c, 2, 12, SECTDIFF, d + 8);
	craft_scattered(&o->c, 2, 0, PAIR, 64);
	craft_reloc(&o->c, 2, 16, VANILLA, 2, false, true,
		    craft_symbol(&o->c, "_hidden", CRAFT_SECT | CRAFT_EXT | CRAFT_PEXT, 1, 0, 80));
}

static void test_kinds(void **state)
{
	const struct kextld_options options = {0};
	struct kextld_input inputs[3] = {first_object()};
	struct kextld_output out;
	struct place32 p;
	struct view v;
	struct code o = {0};
	uint32_t at, d, here;

	(void)state;
	craft_begin(&o.c, false);
	craft_section(&o.c, "__TEXT", "__text", CRAFT_CODE, 4, o.text, sizeof(o.text));
	craft_section(&o.c, "__DATA", "__data", 0, 2, o.data, sizeof(o.data));
	craft_global(&o.c, "_code", 1, 0);
	craft_global(&o.c, "_data", 2, 0);
	code_calls(&o);
	code_addresses(&o);
	code_differences(&o);
	inputs[1] = craft_end(&o.c, "second.o");
	inputs[2] = craft_kmod(false);
	link_place(&options, inputs, 3, &out, &v, &p);

	at = place32_symbol(&p, "_code");
	d = place32_symbol(&p, "_data");
	here = at + 64;
	assert_int_equal(place32_symbol(&p, "_here"), here);
	assert_int_equal(at + 8 + place32_word(&p, at + 4), place32_away("_away"));
	assert_int_equal(at + 16 + place32_word(&p, at + 12), place32_symbol(&p, "_elsewhere"));
	assert_int_equal(at + 24 + place32_word(&p, at + 20), here);
	assert_int_equal(at + 32 + place32_word(&p, at + 28), here);
	assert_int_equal(at + 40 + place32_word(&p, at + 36), d + 20);

	assert_int_equal(place32_word(&p, at + 44), place32_away("_away") + 3);
	assert_int_equal(place32_word(&p, at + 52), place32_symbol(&p, "_elsewhere_data") + 4);
	assert_int_equal(place32_word(&p, at + 60), d + 24);
	assert_int_equal(place32_word(&p, at + 68), d + 1000);
	assert_int_equal(place32_word(&p, at + 76), 0x1055);

	assert_int_equal(place32_word(&p, d + 4), 64 - 16 + 2);
	assert_int_equal(place32_word(&p, d + 12), d + 8 - here + 1);
	assert_int_equal(place32_word(&p, d + 16), at + 80);

	assert_int_equal(view_symbol(&v, "_hidden")->type, 0x1e);
	assert_int_equal(view_symbol(&v, "_away")->desc, 0);
	/* Only what has to stay did. */
	assert_int_equal(view_section(&v, "__TEXT,__text")->nreloc, 6);
	assert_int_equal(view_section(&v, "__DATA,__data")->nreloc, 3);
	done(&out, &v, &p);
}

static void test_kmod_glue(void **state)
{
	const struct kextld_options options = {.kmod_name = "org.viokit.test",
					       .kmod_version = "1.2.3"};
	struct kextld_input input = first_object();
	struct kextld_output out;
	struct place32 p;
	struct view v;
	uint32_t info;

	(void)state;
	link_place(&options, &input, 1, &out, &v, &p);
	info = place32_symbol(&p, "_kmod_info");
	assert_int_equal(place32_word(&p, info + 4), 1);
	assert_int_equal(place32_word(&p, info + 12), 0x2e67726f); /* "org." */
	assert_int_equal(place32_word(&p, info + 76), 0x2e322e31); /* "1.2." */
	assert_int_equal(place32_word(&p, info + 160), place32_symbol(&p, "__start"));
	assert_int_equal(place32_word(&p, info + 164), place32_symbol(&p, "__stop"));
	done(&out, &v, &p);
}

/* Vtables, pointers, and where code is, of compiled objects. */
static void test_compiled(void **state)
{
	const struct kextld_options options = {.kmod_name = "a", .kmod_version = "1"};
	struct kextld_input inputs[8];
	struct kextld_output out;
	struct place32 p;
	struct view v;
	uint32_t vtable, table;

	(void)state;
	if (!object_count) {
		puts("no clang-16");
		skip();
	}
	for (int i = 0; i < object_count; i++)
		inputs[i] = craft_read(object_paths[i]);
	link_place(&options, inputs, (size_t)object_count, &out, &v, &p);
	vtable = place32_symbol(&p, "__ZTV6Square");
	assert_int_equal(place32_word(&p, vtable + 8), place32_symbol(&p, "__ZN6Square5sidesEv"));
	assert_int_equal(place32_word(&p, vtable + 12), place32_symbol(&p, "__ZN6Square6scaledEi"));
	vtable = place32_symbol(&p, "__ZTV5Shape");
	assert_int_equal(place32_word(&p, vtable + 12), place32_symbol(&p, "__ZN5Shape6scaledEi"));
	table = place32_symbol(&p, "_second_table");
	assert_int_equal(place32_word(&p, table), place32_symbol(&p, "_second_twice"));
	assert_string_equal(v.sections[0].name, "__TEXT,__text");
	assert_int_equal(v.sections[0].addr, 0);
	done(&out, &v, &p);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_kmod_glue),
		cmocka_unit_test(test_compiled),
	};

	object_paths = argv + 1;
	object_count = argc - 1;
	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
