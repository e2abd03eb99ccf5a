/* SPDX-License-Identifier: BSD-2-Clause */
/* Test content: the same in any pieces, and any difference is found. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tools/stack/content.h"

#define LEN 10007u

static uint8_t whole[LEN];

static uint64_t make_whole(uint64_t seed)
{
	struct content c;

	content_init(&c, seed);
	content_make(&c, whole, LEN);
	return content_sum(&c);
}

static void pieces_are_the_whole(void **state)
{
	uint64_t sum = make_whole(1);

	(void)state;
	for (size_t piece = 1; piece < 40; piece++) {
		uint8_t part[LEN];
		struct content make, check;

		content_init(&make, 1);
		content_init(&check, 1);
		for (size_t at = 0; at < LEN; at += piece) {
			size_t n = LEN - at < piece ? LEN - at : piece;

			content_make(&make, part + at, n);
			assert_true(content_check(&check, whole + at, n));
		}
		assert_memory_equal(part, whole, LEN);
		assert_int_equal(content_sum(&make), sum);
		assert_int_equal(content_sum(&check), sum);
		assert_int_equal(check.wrong, CONTENT_GOOD);
	}
}

static void every_difference_is_found(void **state)
{
	(void)state;
	(void)make_whole(2);
	for (size_t at = 0; at < LEN; at += 61) {
		struct content c;

		content_init(&c, 2);
		whole[at] ^= 0x10;
		assert_true(content_check(&c, whole, at));
		assert_false(content_check(&c, whole + at, LEN - at));
		assert_int_equal(c.wrong, at);

		content_init(&c, 2);
		assert_false(content_check(&c, whole, LEN));
		assert_int_equal(c.wrong, at);
		whole[at] ^= 0x10;
	}
}

static void sums_differ(void **state)
{
	uint64_t one = make_whole(1), two = make_whole(2), three = make_whole(3);
	struct content c;
	uint64_t before;

	(void)state;
	assert_true(one != two && two != three && one != three);
	assert_int_equal(make_whole(1), one);

	/* a sum may be asked for at any time and changes nothing */
	content_init(&c, 9);
	content_make(&c, whole, 13);
	before = content_sum(&c);
	assert_int_equal(content_sum(&c), before);
	content_make(&c, whole, 1);
	assert_true(content_sum(&c) != before);
}

static void seed_zero_is_no_trap(void **state)
{
	static const uint8_t zeroes[64];
	struct content c;

	(void)state;
	content_init(&c, 0);
	content_make(&c, whole, sizeof(zeroes));
	assert_memory_not_equal(whole, zeroes, sizeof(zeroes));
	/* also the seed whose mix is 0 */
	content_init(&c, 0u - UINT64_C(0x9e3779b97f4a7c15));
	content_make(&c, whole, sizeof(zeroes));
	assert_memory_not_equal(whole, zeroes, sizeof(zeroes));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_the_whole),
		cmocka_unit_test(every_difference_is_found),
		cmocka_unit_test(sums_differ),
		cmocka_unit_test(seed_zero_is_no_trap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
