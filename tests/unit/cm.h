/* SPDX-License-Identifier: BSD-2-Clause */
/* cmocka with the headers it forgets to include, and what every test here wants. */
#ifndef TESTS_UNIT_CM_H
#define TESTS_UNIT_CM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Runs the group; a loop that never ends is killed instead of waited for. */
#define UNIT_MAIN(seconds, tests)                                                                  \
	int main(void)                                                                             \
	{                                                                                          \
		alarm(seconds);                                                                    \
		return cmocka_run_group_tests(tests, NULL, NULL);                                  \
	}

/* Numbers that look random and are the same every time (xorshift64*). */
struct rng {
	uint64_t s;
};

static inline uint64_t rng_next(struct rng *r)
{
	r->s ^= r->s >> 12;
	r->s ^= r->s << 25;
	r->s ^= r->s >> 27;
	return r->s * UINT64_C(0x2545f4914f6cdd1d);
}

/* 0 .. n-1 */
static inline unsigned rng_below(struct rng *r, unsigned n)
{
	return (unsigned)((rng_next(r) >> 33) % n);
}

static inline void rng_fill(struct rng *r, void *at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((uint8_t *)at)[i] = (uint8_t)(rng_next(r) >> 40);
}

#endif
