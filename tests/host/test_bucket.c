/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/netd/bucket.h"
#include "tests/unit/cm.h"

#define S UINT64_C(1000000000)

static void starts_full_and_goes_into_debt(void **state)
{
	struct bucket b;

	(void)state;
	bucket_init(&b, 8000, 1000, 5 * S); /* 1000 bytes a second */
	assert_int_equal(bucket_level(&b, 5 * S), 1000);
	bucket_take(&b, 1500);
	assert_int_equal(bucket_level(&b, 5 * S), -500);
	assert_int_equal(bucket_wait(&b, 0), S / 2);
	assert_int_equal(bucket_wait(&b, 100), S / 2 + S / 10);
	assert_int_equal(bucket_level(&b, 5 * S + S / 2 + S / 10), 100);
	/* Never more than the burst, and what is waited for is no more than that. */
	assert_int_equal(bucket_level(&b, 100 * S), 1000);
	assert_int_equal(bucket_wait(&b, 5000), 0);
	/* A clock that steps back. */
	bucket_take(&b, 1000);
	assert_int_equal(bucket_level(&b, 50 * S), 0);
	assert_int_equal(bucket_level(&b, 101 * S), 1000);
}

/* Whatever the rate and however it is asked: what went is what the rate gives. */
static void is_exact_over_time(void **state)
{
	static const uint64_t rates[] = {1000, 64000, 999983, 100000000, 10000000000, 400000000000};
	struct rng rng = {7};

	(void)state;
	for (unsigned i = 0; i < COUNT(rates); i++) {
		uint64_t now = 0, sent = 0, end = 100 * S;
		uint32_t frame = rates[i] < 100000 ? 60 : rates[i] < 1000000000 ? 1514 : 65000;
		struct bucket b;
		double want = (double)rates[i] / 8 * 100;

		bucket_init(&b, rates[i], frame, now);
		while (now < end) {
			if (bucket_level(&b, now) > 0) {
				bucket_take(&b, frame);
				sent += frame;
				if (sent > 100000ull * frame) {
					/* Long enough; so far it was this much of the time. */
					want = want * (double)now / (double)end;
					break;
				}
			} else {
				uint64_t wait = bucket_wait(&b, 1);

				assert_true(wait > 0);
				now += wait + rng_below(&rng, 1000);
			}
		}
		assert_true((double)sent > want * 0.98);
		assert_true((double)sent < want * 1.02 + 2 * frame);
	}
}

static void extremes_do_not_wrap(void **state)
{
	struct bucket b;

	(void)state;
	bucket_init(&b, UINT64_MAX, UINT32_MAX, 0);
	assert_int_equal(bucket_level(&b, 0), BUCKET_BURST_MAX);
	for (unsigned i = 0; i < 100; i++)
		bucket_take(&b, UINT32_MAX);
	assert_true(bucket_level(&b, 0) < 0);
	assert_true(bucket_wait(&b, UINT32_MAX) > 0);
	assert_int_equal(bucket_level(&b, UINT64_MAX), BUCKET_BURST_MAX);
	bucket_init(&b, 0, 0, UINT64_MAX);
	assert_int_equal(bucket_level(&b, UINT64_MAX), 0);
	bucket_take(&b, 1);
	assert_true(bucket_wait(&b, 1) > 0);
	assert_int_equal(bucket_level(&b, 0), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starts_full_and_goes_into_debt),
		cmocka_unit_test(is_exact_over_time),
		cmocka_unit_test(extremes_do_not_wrap),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
