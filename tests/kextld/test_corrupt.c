/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Broken inputs, thoroughly: every byte of an object set to several other values, every length it
 * could be cut to. Each link ends in a kext or in one line; the sanitizers see to the rest.
 * Arguments: compiled objects, to be broken likewise.
 */
#include "tests/kextld/craft.h"

static char **object_paths;
static int object_count;

static unsigned long linked, refused;

static void once(const uint8_t *data, size_t len, bool wide)
{
	const struct kextld_options options = {.arch = wide ? KEXTLD_ARCH_X86_64 : KEXTLD_ARCH_I386,
					       .kmod_name = "org.viokit.corrupt",
					       .kmod_version = "1"};
	const struct kextld_input input = {"broken.o", span_of(data, len)};
	struct kextld_output out;

	if (kextld_link(&options, &input, 1, &out)) {
		linked++;
		assert_true(out.len > 0);
	} else {
		refused++;
		assert_null(out.data);
		assert_true(*out.error);
		assert_null(strchr(out.error, '\n'));
	}
	kextld_free(&out);
}

/* step: every so many bytes. */
static void break_it(struct span good, bool wide, size_t step)
{
	uint8_t *copy = malloc(good.len);

	assert_non_null(copy);
	memcpy(copy, good.data, good.len);
	once(copy, good.len, wide);
	for (size_t i = 0; i < good.len; i += step) {
		const uint8_t was = copy[i];
		const uint8_t values[] = {0, 0xff, 0x80, (uint8_t)(was ^ 1), (uint8_t)(was + 1)};

		for (size_t k = 0; k < COUNT(values); k++) {
			copy[i] = values[k];
			once(copy, good.len, wide);
		}
		copy[i] = was;
	}
	for (size_t len = 0; len < good.len; len += step) {
		uint8_t *exact = malloc(len ? len : 1);

		assert_non_null(exact);
		memcpy(exact, good.data, len);
		once(exact, len, wide);
		free(exact);
	}
	free(copy);
}

static struct kextld_input crafted(bool wide)
{
	static const uint8_t code[48] = {[1] = 0x48, 0x8b, 0x05}, data[32];
	struct craft c;
	unsigned g, v;

	craft_begin(&c, wide);
	craft_section(&c, "__TEXT", "__text", CRAFT_CODE, 4, code, sizeof(code));
	craft_section(&c, "__DATA", "__data", 0, 3, data, sizeof(data));
	craft_section(&c, "__DATA", "__bss", 0, 3, NULL, 40);
	craft_symbol(&c, "_f", CRAFT_SECT | CRAFT_EXT, 1, CRAFT_WEAK_DEF, 0);
	g = craft_undefined(&c, "_g");
	v = craft_symbol(&c, "_v", CRAFT_SECT, 2, 0, 8);
	craft_symbol(&c, "_common", CRAFT_EXT, 0, 0, 16);
	craft_symbol(&c, "_alias", CRAFT_INDR | CRAFT_EXT, 0, 0, 1);
	if (wide) {
		craft_reloc(&c, 1, 4, 3, 2, true, true, g);
		craft_reloc(&c, 1, 12, 2, 2, true, true, g);
		craft_reloc(&c, 1, 20, 6, 2, true, false, 2);
		craft_reloc(&c, 2, 16, 5, 3, false, true, v);
		craft_reloc(&c, 2, 16, 0, 3, false, true, v);
	} else {
		craft_reloc(&c, 1, 12, 0, 2, true, true, g);
		craft_reloc(&c, 2, 0, 0, 2, false, true, v);
		craft_scattered(&c, 2, 16, 4, 48);
		craft_scattered(&c, 2, 0, 1, 8);
	}
	return craft_end(&c, "crafted.o");
}

static void test_crafted(void **state)
{
	(void)state;
	for (int wide = 0; wide < 2; wide++) {
		struct kextld_input in = crafted(wide);

		break_it(in.bytes, wide, 1);
		craft_free(&in);
	}
	assert_true(linked > 100 && refused > 100);
}

static void test_containers(void **state)
{
	struct kextld_input members[2] = {crafted(true), crafted(false)}, lib;
	struct kextld_output fat;

	(void)state;
	members[0].name = "a_member_with_a_long_name.o";
	for (int gnu = 0; gnu < 2; gnu++) {
		lib = craft_archive("lib.a", gnu, members, 1);
		break_it(lib.bytes, true, 1);
		craft_free(&lib);
	}
	assert_true(kextld_join(members, 2, &fat));
	break_it(span_of(fat.data, 64), true, 1);
	break_it(span_of(fat.data, fat.len), true, 7);
	kextld_free(&fat);
	craft_free(&members[0]);
	craft_free(&members[1]);
}

static void test_compiled(void **state)
{
	(void)state;
	if (!object_count) {
		puts("no clang-16");
		skip();
	}
	for (int i = 0; i < object_count; i++) {
		struct kextld_input in = craft_read(object_paths[i]);

		/* Of the largest, each byte; of the others, enough to meet each kind of field. */
		break_it(in.bytes, in.bytes.data[0] == 0xcf,
			 strstr(object_paths[i], "first") ? 1 : 5);
		craft_free(&in);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crafted),
		cmocka_unit_test(test_containers),
		cmocka_unit_test(test_compiled),
	};

	object_paths = argv + 1;
	object_count = argc - 1;
	alarm(110);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
