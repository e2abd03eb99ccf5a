/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Test content: a pseudo-random stream that both ends can make, and a sum over it.
 *
 * The stream of a seed is that of xorshift64, eight bytes a step, least significant first, the
 * same on every machine. Position is kept in the state, so that pieces of any length may be made or
 * checked. The sum is FNV-1a over 64-bit words (the last one filled up with zeroes): it tells two
 * streams apart, it is no protection against an adversary.
 */
#ifndef STACK_CONTENT_H
#define STACK_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONTENT_GOOD UINT64_MAX

struct content {
	uint64_t state;
	uint64_t word;	/* made, partly used */
	uint64_t sum;	/* over whole words */
	uint64_t part;	/* bytes of the word not yet summed */
	uint64_t pos;	/* bytes so far */
	uint64_t wrong; /* position of the first byte that differed, CONTENT_GOOD: none */
};

void content_init(struct content *c, uint64_t seed);
/* The next n bytes into dst. */
void content_make(struct content *c, void *dst, size_t n);
/*
 * The next n bytes are these? The first difference is remembered in c->wrong. The sum is over the
 * bytes given.
 */
bool content_check(struct content *c, const void *src, size_t n);
/* Sum over all made or checked so far; may be asked at any position. */
uint64_t content_sum(const struct content *c);

#endif
