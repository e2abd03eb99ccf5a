/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/stack/content.h"

#include <string.h>

#include "common/endian.h"

#define FNV_BASIS 0xcbf29ce484222325u
#define FNV_PRIME 0x100000001b3u

void content_init(struct content *c, uint64_t seed)
{
	/* xorshift stays at 0 for ever; neighbouring seeds should look different at once */
	uint64_t z = seed + 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	z ^= z >> 31;
	*c = (struct content){.state = z ? z : 1, .sum = FNV_BASIS, .wrong = CONTENT_GOOD};
}

static inline uint64_t content_step(struct content *c)
{
	uint64_t x = c->state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return c->state = x;
}

static inline void content_add(struct content *c, uint64_t word)
{
	c->sum = (c->sum ^ word) * FNV_PRIME;
	c->sum ^= c->sum >> 32;
}

/* The byte at the current position; the word is made at its first byte. */
static inline uint8_t content_byte(struct content *c)
{
	if (c->pos % 8 == 0)
		c->word = content_step(c);
	return (uint8_t)(c->word >> c->pos % 8 * 8);
}

/* Take note of the byte that stands at the current position. */
static inline void content_take(struct content *c, uint8_t byte)
{
	c->part |= (uint64_t)byte << c->pos % 8 * 8;
	if (++c->pos % 8 == 0) {
		content_add(c, c->part);
		c->part = 0;
	}
}

void content_make(struct content *c, void *dst, size_t n)
{
	uint8_t *p = dst;

	for (; n && c->pos % 8; n--) {
		*p = content_byte(c);
		content_take(c, *p++);
	}
	for (; n >= 8; n -= 8, p += 8) {
		uint64_t word = content_step(c);
		uint64_t le = endian_le64(word);

		memcpy(p, &le, 8);
		content_add(c, word);
		c->pos += 8;
	}
	for (; n; n--) {
		*p = content_byte(c);
		content_take(c, *p++);
	}
}

static void content_check_byte(struct content *c, uint8_t got)
{
	if (content_byte(c) != got && c->wrong == CONTENT_GOOD)
		c->wrong = c->pos;
	content_take(c, got);
}

bool content_check(struct content *c, const void *src, size_t n)
{
	const uint8_t *p = src;

	for (; n && c->pos % 8; n--)
		content_check_byte(c, *p++);
	for (; n >= 8; n -= 8, p += 8) {
		uint64_t want = content_step(c);
		uint64_t got;

		memcpy(&got, p, 8);
		got = endian_le64(got);
		if (want != got && c->wrong == CONTENT_GOOD)
			c->wrong = c->pos + (unsigned)__builtin_ctzll(want ^ got) / 8u;
		content_add(c, got);
		c->pos += 8;
	}
	for (; n; n--)
		content_check_byte(c, *p++);
	return c->wrong == CONTENT_GOOD;
}

uint64_t content_sum(const struct content *c)
{
	struct content end = *c;

	if (end.pos % 8)
		content_add(&end, end.part);
	return end.sum;
}
