/* SPDX-License-Identifier: BSD-2-Clause */
/* Archives of both kinds, and universal files: as inputs, and made. */
#include "tests/kextld/craft.h"
#include "tests/kextld/view.h"

static const uint8_t word[8];

static struct kextld_input member(const char *name, const char *defines, const char *wants)
{
	struct craft c;

	craft_begin(&c, true);
	craft_section(&c, "__DATA", "__data", 0, 3, word, 8);
	craft_global(&c, defines, 1, 0);
	if (wants)
		craft_reloc(&c, 1, 0, 0, 3, false, true, craft_undefined(&c, wants));
	return craft_end(&c, name);
}

static void link_view(const struct kextld_options *options, const struct kextld_input *inputs,
		      size_t count, struct kextld_output *out, struct view *v)
{
	if (!kextld_link(options, inputs, count, out))
		fail_msg("%s", out->error);
	view_open(v, out);
}

/* main wants _a, whose member wants _c, which comes before it; _b is wanted by nobody. */
static void test_members(void **state)
{
	struct kextld_input members[] = {
		member("c.o", "_c", "_outside"),
		member("a_rather_long_member_name.o", "_a", "_c"),
		member("another_long_member_name.o", "_b", NULL),
	};
	struct kextld_input main_o = member("main.o", "_main", "_a"), kmod = craft_kmod(true);

	(void)state;
	for (int round = 0; round < 4; round++) {
		const struct kextld_options options = {.all_load = round & 2, .want_map = true};
		struct kextld_input inputs[3] = {
			craft_archive("lib.a", round & 1, members, COUNT(members)), main_o, kmod};
		struct kextld_output out;
		struct view v;

		link_view(&options, inputs, 3, &out, &v);
		assert_non_null(view_symbol(&v, "_a"));
		assert_non_null(view_symbol(&v, "_c"));
		assert_int_equal(view_symbol(&v, "_b") != NULL, options.all_load);
		assert_int_equal(v.undefined_count, 1);
		assert_string_equal(v.symbols[v.symbol_count - 1].name, "_outside");
		assert_non_null(strstr(out.map, "lib.a(a_rather_long_member_name.o)\n"));
		assert_non_null(strstr(out.map, "lib.a(c.o)\n"));
		view_free(&v);
		kextld_free(&out);
		craft_free(&inputs[0]);
	}
	for (size_t i = 0; i < COUNT(members); i++)
		craft_free(&members[i]);
	craft_free(&main_o);
	craft_free(&kmod);
}

static void test_member_error(void **state)
{
	static const uint8_t junk[40] = "not an object";
	const struct kextld_input members[] = {
		{"junk_with_a_long_name.o", span_of(junk, sizeof(junk))}};
	const struct kextld_options options = {0};

	(void)state;
	for (int gnu = 0; gnu < 2; gnu++) {
		struct kextld_input lib = craft_archive("lib.a", gnu, members, 1);
		struct kextld_output out;

		assert_false(kextld_link(&options, &lib, 1, &out));
		assert_string_equal(out.error,
				    "lib.a(junk_with_a_long_name.o): not a Mach-O object");
		craft_free(&lib);
	}
}

static void test_universal(void **state)
{
	struct kextld_input slices[2] = {craft_kmod(false), craft_kmod(true)}, fat;
	struct kextld_options options = {0};
	struct kextld_output out, made;
	struct view v;

	(void)state;
	/* Joined files are where the header says, on pages. */
	assert_true(kextld_join(slices, 2, &made));
	assert_memory_equal(made.data, "\xca\xfe\xba\xbe\0\0\0\2\0\0\0\7\0\0\0\3\0\0\x10\0", 20);
	assert_memory_equal(made.data + 24, "\0\0\0\x0c\1\0\0\7\0\0\0\3\0\0\x20\0", 16);
	assert_memory_equal(made.data + 4096, slices[0].bytes.data, slices[0].bytes.len);
	assert_memory_equal(made.data + 8192, slices[1].bytes.data, slices[1].bytes.len);
	assert_int_equal(made.len, 8192 + slices[1].bytes.len);

	/* And of an input, the slice that is linked for is taken. */
	fat = (struct kextld_input){"fat.o", span_of(made.data, made.len)};
	for (int wide = 0; wide < 2; wide++) {
		options.arch = wide ? KEXTLD_ARCH_X86_64 : KEXTLD_ARCH_I386;
		link_view(&options, &fat, 1, &out, &v);
		assert_int_equal(v.wide, wide);
		view_free(&v);
		kextld_free(&out);
	}
	options.arch = KEXTLD_ARCH_ANY;
	assert_false(kextld_link(&options, &fat, 1, &out));
	assert_string_equal(out.error, "fat.o: a universal file; say -arch");
	made.data[11] = 9;
	options.arch = KEXTLD_ARCH_I386;
	assert_false(kextld_link(&options, &fat, 1, &out));
	assert_string_equal(out.error, "fat.o: no slice for i386");
	kextld_free(&made);

	slices[1].name = "b";
	assert_false(kextld_join((struct kextld_input[]){slices[1], slices[1]}, 2, &made));
	assert_string_equal(made.error, "b: for the same processor as b");
	assert_false(kextld_join(slices, 0, &made));
	assert_false(kextld_join(&(struct kextld_input){"e", span_of(NULL, 0)}, 1, &made));
	assert_string_equal(made.error, "e: not a Mach-O file");
	craft_free(&slices[0]);
	craft_free(&slices[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_member_error),
		cmocka_unit_test(test_universal),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
