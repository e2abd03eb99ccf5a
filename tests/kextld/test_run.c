/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Compiled code, linked to a kext, loaded into this process and called: Darwin and Linux agree on
 * how functions are called on x86-64. Arguments: the objects first, second, tentative, weak a and
 * weak b.
 */
#include "tests/kextld/craft.h"
#include "tests/kextld/place.h"

enum { OBJECTS = 5, MOD_INIT = 9, MOD_TERM = 10 };

static struct kextld_input inputs[OBJECTS];
static bool have_objects;
static int host_value = 1234;

static int host_add(int a, int b)
{
	return a + b;
}

static uintptr_t host_nothing[16];

static const struct place_binding bindings[] = {
	{"_host_add", (void *)(uintptr_t)host_add},
	{"_host_value", &host_value},
	{"___cxa_pure_virtual", (void *)(uintptr_t)abort},
	{"__ZTVN10__cxxabiv117__class_type_infoE", host_nothing},
};

struct loaded {
	struct kextld_output out;
	struct view v;
	struct place64 p;
};

static void load(struct loaded *l, const struct kextld_options *options)
{
	if (!have_objects) {
		puts("no clang-16");
		skip();
	}
	if (!kextld_link(options, inputs, OBJECTS, &l->out))
		fail_msg("%s", l->out.error);
	view_open(&l->v, &l->out);
	place64_load(&l->p, &l->v, bindings, COUNT(bindings));
}

static void unload(struct loaded *l)
{
	place64_unload(&l->p);
	view_free(&l->v);
	kextld_free(&l->out);
}

static void *symbol(const struct loaded *l, const char *name)
{
	return place64_symbol(&l->p, &l->v, name);
}

static int call(const struct loaded *l, const char *name, int n)
{
	int (*function)(int);

	*(void **)&function = symbol(l, name);
	return function(n);
}

static const struct kextld_options plain = {.kmod_name = "org.viokit.run", .kmod_version = "1"};

static void test_life(void **state)
{
	struct loaded l;
	int (*start)(void *, void *);
	int *destroyed;

	(void)state;
	load(&l, &plain);
	*(void **)&start = symbol(&l, "__start");
	assert_int_equal(start(NULL, NULL), 0);
	assert_int_equal(call(&l, "_first_constructed", 0), 0);
	assert_true(place64_run(&l.p, &l.v, MOD_INIT) > 0);
	assert_int_equal(call(&l, "_first_constructed", 0), 42);
	destroyed = symbol(&l, "_destroyed");
	assert_int_equal(*destroyed, 0);
	assert_true(place64_run(&l.p, &l.v, MOD_TERM) > 0);
	assert_int_equal(*destroyed, 42);
	unload(&l);
}

static void test_calls(void **state)
{
	static const int expected[] = {100, 2, 77, 1235, 42, 'o', -1, 0};
	struct loaded l;
	const char *(*word)(int);
	int (*pointer)(int, int);
	int (*table)(int, int);

	(void)state;
	load(&l, &plain);
	place64_run(&l.p, &l.v, MOD_INIT);

	/* through the offset table */
	host_value = 1234;
	assert_int_equal(call(&l, "_first_got", 0), 1234);
	assert_int_equal(host_value, 1235);
	/* strings, and pointers to them */
	*(void **)&word = symbol(&l, "_first_word");
	assert_string_equal(word(0), "zero");
	assert_string_equal(word(3), "three");
	/* pointers to functions: undefined, global, static */
	*(void **)&pointer = symbol(&l, "_first_pointer");
	assert_int_equal(pointer(20, 3), 23);
	*(void **)&table = symbol(&l, "_first_table");
	assert_int_equal(table(0, 21), 42);
	assert_int_equal(table(1, 5), 15);
	/* tentative definitions, shared by the objects */
	assert_int_equal(call(&l, "_first_tentative", 3), 3);
	assert_int_equal(call(&l, "_first_tentative", 3), 6);
	assert_int_equal(table(2, 1), 107);
	assert_int_equal(call(&l, "_tentative_quiet", 999), 1);
	assert_int_equal(call(&l, "_tentative_quiet", 999), 2);
	/* a jump table, and calls out */
	for (int i = 0; i < (int)COUNT(expected); i++)
		assert_int_equal(call(&l, "_first_switch", i), expected[i]);
	unload(&l);
}

static void test_virtual(void **state)
{
	struct loaded l;
	void *(*square)(void);
	int (*virtual_call)(void *, int);

	(void)state;
	load(&l, &plain);
	place64_run(&l.p, &l.v, MOD_INIT);
	*(void **)&square = symbol(&l, "_second_square");
	*(void **)&virtual_call = symbol(&l, "_first_virtual");
	assert_int_equal(virtual_call(square(), 3), 1012);
	unload(&l);
}

/* Both objects hold the class; there is one. */
static void test_weak(void **state)
{
	struct loaded l;
	void **(*object_a)(void);
	void **(*object_b)(void);
	int *(*shared_a)(void);
	int *(*shared_b)(void);
	int (*answer)(void *);

	(void)state;
	load(&l, &plain);
	place64_run(&l.p, &l.v, MOD_INIT);
	*(void **)&object_a = symbol(&l, "_weak_object_a");
	*(void **)&object_b = symbol(&l, "_weak_object_b");
	*(void **)&shared_a = symbol(&l, "_weak_shared_a");
	*(void **)&shared_b = symbol(&l, "_weak_shared_b");
	*(void **)&answer = symbol(&l, "_weak_answer_b");
	assert_ptr_not_equal(object_a(), object_b());
	assert_ptr_equal(*object_a(), *object_b());
	assert_ptr_equal(*object_a(), (char *)symbol(&l, "__ZTV4Weak") + 16);
	assert_ptr_equal(shared_a(), shared_b());
	assert_int_equal(*shared_a(), 5);
	assert_int_equal(answer(object_a()), 42);
	assert_int_equal(view_symbol(&l.v, "__ZTV4Weak")->desc, 0x80);
	unload(&l);
}

/* It runs the same without the symbols nobody needs. */
static void test_stripped(void **state)
{
	static const char *const exports[] = {"_first_*"};
	struct kextld_options options = plain;
	struct loaded all, few;

	(void)state;
	options.strip_locals = true;
	options.exports = exports;
	options.export_count = 1;
	load(&all, &plain);
	load(&few, &options);
	assert_true(few.v.symbol_count < all.v.symbol_count);
	assert_null(view_symbol(&few.v, "_second_twice"));
	assert_non_null(view_symbol(&few.v, "__ZTV6Square"));
	assert_int_equal(view_symbol(&few.v, "__ZTV6Square")->type, 0x1e);
	place64_run(&few.p, &few.v, MOD_INIT);
	assert_int_equal(call(&few, "_first_switch", 4), 42);
	unload(&all);
	unload(&few);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),	 cmocka_unit_test(test_calls),
		cmocka_unit_test(test_virtual),	 cmocka_unit_test(test_weak),
		cmocka_unit_test(test_stripped),
	};
	int failed;

	have_objects = argc == OBJECTS + 1;
	for (int i = 0; have_objects && i < OBJECTS; i++)
		inputs[i] = craft_read(argv[1 + i]);
	alarm(60);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	for (int i = 0; i < OBJECTS; i++)
		craft_free(&inputs[i]);
	return failed;
}
