/* SPDX-License-Identifier: BSD-2-Clause */
/* common/: byte order, bounded views, segment lists, checksums; each against a naive reading. */
#include "tests/unit/cm.h"

#include "common/cksum.h"
#include "common/endian.h"
#include "common/seg.h"
#include "common/span.h"

static void test_endian(void **state)
{
	const uint8_t b[8] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
	le16 l16;
	le32 l32;
	le64 l64;
	be16 b16;
	be32 b32;
	uint64_t raw;

	(void)state;
	memcpy(&l16, b, 2);
	memcpy(&l32, b, 4);
	memcpy(&l64, b, 8);
	memcpy(&b16, b, 2);
	memcpy(&b32, b, 4);
	memcpy(&raw, b, 8);
	assert_int_equal(le16_get(l16), 0x2301);
	assert_int_equal(le32_get(l32), 0x67452301);
	assert_true(le64_get(l64) == UINT64_C(0xefcdab8967452301));
	assert_int_equal(be16_get(b16), 0x0123);
	assert_int_equal(be32_get(b32), 0x01234567);
	assert_true(endian_be64(raw) == UINT64_C(0x0123456789abcdef));

	l16 = le16_make(0x2301);
	l32 = le32_make(0x67452301);
	l64 = le64_make(UINT64_C(0xefcdab8967452301));
	b16 = be16_make(0x0123);
	b32 = be32_make(0x01234567);
	assert_memory_equal(&l16, b, 2);
	assert_memory_equal(&l32, b, 4);
	assert_memory_equal(&l64, b, 8);
	assert_memory_equal(&b16, b, 2);
	assert_memory_equal(&b32, b, 4);
	assert_int_equal(sizeof(le16) + sizeof(be16), 4);
	assert_int_equal(sizeof(le32) + sizeof(be32), 8);
	assert_int_equal(_Alignof(le64), _Alignof(uint64_t));
}

static void test_span_bounds(void **state)
{
	static const size_t at[] = {
		0, 1, 2, 7, 8, 9, SIZE_MAX / 2, SIZE_MAX - 8, SIZE_MAX - 1, SIZE_MAX};
	uint8_t bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};

	(void)state;
	for (size_t len = 0; len <= sizeof(bytes); len++) {
		/* Exactly len bytes are ours: the sanitizer guards the rest. */
		uint8_t *exact = malloc(len ? len : 1);
		struct span s = span_of(exact, len), sub;

		memcpy(exact, bytes, len);
		for (size_t i = 0; i < COUNT(at); i++) {
			uint8_t u8 = 0;
			uint16_t u16 = 0;
			uint32_t u32 = 0;
			size_t off = at[i], left = off <= len ? len - off : 0;

			for (size_t j = 0; j < COUNT(at); j++) {
				bool fits = off <= len && at[j] <= left;

				assert_int_equal(span_fits(len, off, at[j]), fits);
				assert_int_equal(span_sub(s, off, at[j], &sub), fits);
			}
			assert_int_equal(span_from(s, off, &sub), off <= len);
			assert_int_equal(span_u8(s, off, &u8), left >= 1);
			assert_int_equal(span_be16(s, off, &u16), left >= 2);
			assert_int_equal(span_le16(s, off, &u16), left >= 2);
			assert_int_equal(span_be32(s, off, &u32), left >= 4);
			assert_int_equal(span_le32(s, off, &u32), left >= 4);
		}
		free(exact);
	}
}

static void test_span_values(void **state)
{
	const uint8_t b[] = {0x81, 0x92, 0xa3, 0xb4, 0xc5};
	struct span s = span_of(b, sizeof(b)), sub;
	uint8_t u8 = 0;
	uint16_t u16 = 0;
	uint32_t u32 = 0;

	(void)state;
	assert_true(span_u8(s, 4, &u8) && u8 == 0xc5);
	assert_true(span_be16(s, 1, &u16) && u16 == 0x92a3);
	assert_true(span_le16(s, 1, &u16) && u16 == 0xa392);
	assert_true(span_be32(s, 1, &u32) && u32 == 0x92a3b4c5);
	assert_true(span_le32(s, 1, &u32) && u32 == 0xc5b4a392);
	u32 = 77;
	assert_false(span_be32(s, 2, &u32));
	assert_int_equal(u32, 77); /* left alone */
	assert_true(span_sub(s, 1, 3, &sub) && sub.data == b + 1 && sub.len == 3);
	assert_true(span_from(s, 5, &sub) && sub.len == 0);
}

/* RFC 1071 as it is written: words in network order, one at a time. */
static uint16_t naive_sum(const uint8_t *p, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i++) {
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)sum;
}

/* 0 and 0xffff are the same number in one's complement. */
static unsigned canon(uint32_t sum)
{
	unsigned v = cksum_fold(sum);

	return v == 0xffff ? 0 : v;
}

static void test_cksum(void **state)
{
	struct rng rng = {1};
	uint8_t buf[300];

	(void)state;
	for (unsigned turn = 0; turn < 200; turn++) {
		rng_fill(&rng, buf, sizeof(buf));
		for (size_t off = 0; off < 9; off++) {
			size_t n = rng_below(&rng, (unsigned)(sizeof(buf) - off));
			uint32_t sum = cksum_add(0, buf + off, n);

			assert_int_equal(canon(sum), canon(naive_sum(buf + off, n)));
			assert_true(sum < 1u << 17);
			assert_int_equal(cksum_finish(sum), (uint16_t)~cksum_fold(sum));
		}
	}
	for (size_t n = 0; n < 40; n++) {
		memset(buf, 0xff, sizeof(buf));
		assert_int_equal(canon(cksum_add(0, buf, n)), canon(naive_sum(buf, n)));
		/* What was there before counts, however large. */
		assert_int_equal(canon(cksum_add(0xffffffff, buf, n)), canon(naive_sum(buf, n)));
	}
	/* RFC 1071, section 3. */
	assert_int_equal(cksum_fold(cksum_add(0, "\x00\x01\xf2\x03\xf4\xf5\xf6\xf7", 8)), 0xddf2);
	assert_int_equal(cksum_add16(5, 7), 12);
	assert_int_equal(cksum_fold(0x1ffff), 1);
	assert_int_equal(cksum_fold(0xffffffff), 0xffff);
}

static void test_cksum_long(void **state)
{
	size_t n = 300001; /* far more words than a 32-bit sum holds */
	uint8_t *p = malloc(n);

	(void)state;
	memset(p, 0xff, n);
	p[17] = 0x12;
	assert_int_equal(canon(cksum_add(0, p, n)), canon(naive_sum(p, n)));
	free(p);
}

static void test_pseudo(void **state)
{
	struct rng rng = {2};

	(void)state;
	for (unsigned turn = 0; turn < 500; turn++) {
		uint8_t flat[40], a[16], b[16];
		uint32_t len = rng_below(&rng, 0x12000);
		uint8_t proto = (uint8_t)rng_next(&rng);

		rng_fill(&rng, a, 16);
		rng_fill(&rng, b, 16);
		/* RFC 9293, 3.1 */
		memcpy(flat, a, 4);
		memcpy(flat + 4, b, 4);
		flat[8] = 0;
		flat[9] = proto;
		flat[10] = (uint8_t)(len >> 8);
		flat[11] = (uint8_t)len;
		if (len < 0x10000)
			assert_int_equal(canon(cksum_pseudo4(a, b, proto, len)),
					 canon(naive_sum(flat, 12)));
		/* RFC 8200, 8.1: the length has 32 bits */
		memcpy(flat, a, 16);
		memcpy(flat + 16, b, 16);
		flat[32] = 0;
		flat[33] = (uint8_t)(len >> 16);
		flat[34] = (uint8_t)(len >> 8);
		flat[35] = (uint8_t)len;
		memset(flat + 36, 0, 3);
		flat[39] = proto;
		assert_int_equal(canon(cksum_pseudo6(a, b, proto, len)),
				 canon(naive_sum(flat, 40)));
	}
}

/* ---- segments ---- */

#define FLAT 13u

/* All of [off, off + n) for one split of 13 bytes into four segments, empty ones included. */
static void check_split(const uint8_t *flat, const uint32_t len[4])
{
	uint8_t *mem[4], work[FLAT], out[FLAT + 8];
	struct seg segs[4];
	size_t at = 0;

	for (int i = 0; i < 4; i++) {
		mem[i] = malloc(len[i] ? len[i] : 1);
		memcpy(mem[i], flat + at, len[i]);
		segs[i] = (struct seg){.ptr = mem[i], .len = len[i]};
		at += len[i];
	}
	assert_int_equal(seg_total(segs, 4), FLAT);

	for (size_t off = 0; off <= FLAT + 1; off++) {
		for (size_t n = 0; n <= FLAT + 1; n++) {
			bool fits = off <= FLAT && n <= FLAT - off;
			uint32_t sum = 0x1234;

			memset(out, 0xee, sizeof(out));
			assert_int_equal(seg_read(segs, 4, off, out, n), fits);
			if (fits)
				assert_memory_equal(out, flat + off, n);
			for (size_t i = fits ? n : 0; i < sizeof(out); i++)
				assert_int_equal(out[i], 0xee);

			assert_int_equal(seg_cksum(segs, 4, off, n, &sum), fits);
			if (fits)
				assert_int_equal(canon(sum),
						 canon(0x1234u + naive_sum(flat + off, n)));
			else
				assert_int_equal(sum, 0x1234);

			for (size_t i = 0; i < n && i < sizeof(out); i++)
				out[i] = (uint8_t)(0x40 + i);
			assert_int_equal(seg_write(segs, 4, off, out, n), fits);
			memcpy(work, flat, FLAT);
			if (fits)
				memcpy(work + off, out, n);
			at = 0;
			for (int i = 0; i < 4; i++) {
				assert_memory_equal(mem[i], work + at, len[i]);
				memcpy(mem[i], flat + at, len[i]);
				at += len[i];
			}
		}
	}
	for (int i = 0; i < 4; i++)
		free(mem[i]);
}

static void test_seg_every_split(void **state)
{
	uint8_t flat[FLAT];
	struct rng rng = {3};

	(void)state;
	rng_fill(&rng, flat, FLAT);
	for (uint32_t a = 0; a <= FLAT; a++)
		for (uint32_t b = 0; a + b <= FLAT; b++)
			for (uint32_t c = 0; a + b + c <= FLAT; c += 1 + (a & 1))
				check_split(flat, (uint32_t[4]){a, b, c, FLAT - a - b - c});
}

static void test_seg_edges(void **state)
{
	uint8_t byte = 7, out = 0;
	struct seg one = {.ptr = &byte, .len = 1};
	struct seg huge[2] = {{.len = UINT32_MAX}, {.len = UINT32_MAX}};
	uint32_t sum = 0;

	(void)state;
	assert_int_equal(seg_total(NULL, 0), 0);
	assert_true(seg_total(huge, 2) == (size_t)UINT32_MAX * 2);
	assert_true(seg_read(NULL, 0, 0, &out, 0));
	assert_false(seg_read(NULL, 0, 0, &out, 1));
	assert_false(seg_read(NULL, 0, 1, &out, 0));
	assert_true(seg_read(&one, 1, 1, &out, 0));
	assert_false(seg_read(&one, 1, 2, &out, 0));
	assert_false(seg_read(&one, 1, SIZE_MAX, &out, 1));
	assert_false(seg_read(&one, 1, 0, &out, SIZE_MAX));
	assert_false(seg_write(&one, 1, 1, &out, SIZE_MAX));
	assert_false(seg_cksum(&one, 1, SIZE_MAX, SIZE_MAX, &sum));
	assert_true(seg_read(&one, 1, 0, &out, 1) && out == 7);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_endian),		cmocka_unit_test(test_span_bounds),
	cmocka_unit_test(test_span_values),	cmocka_unit_test(test_cksum),
	cmocka_unit_test(test_cksum_long),	cmocka_unit_test(test_pseudo),
	cmocka_unit_test(test_seg_every_split), cmocka_unit_test(test_seg_edges),
};

UNIT_MAIN(60, tests)
