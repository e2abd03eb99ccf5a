/* SPDX-License-Identifier: BSD-2-Clause */
/* Fragments: put together in any order, and thrown away when they play tricks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/nat/filter.h"
#include "host/nat/frag.h"
#include "host/nat/split.h"
#include "tests/host/nat_kit.h"

#define PIECES_MAX 128u

static struct nat_config config;
static struct filter *filter;
static struct frag frag;
static uint8_t whole[70000], payload[65536];
static uint32_t whole_len;
static struct piece {
	uint8_t *frame;
	uint32_t len;
} piece[PIECES_MAX];
static unsigned pieces;

static int set_up(void **state)
{
	uint64_t seed = 5;

	(void)state;
	config = kit_config();
	filter = calloc(1, sizeof(*filter));
	*filter = (struct filter){.config = &config, .mss4 = 32000, .mss6 = 31000, .now = 1000};
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)kit_random(&seed);
	return frag_open(&frag) ? 0 : -1;
}

static void forget_pieces(void)
{
	while (pieces)
		free(piece[--pieces].frame);
}

static int tear_down(void **state)
{
	(void)state;
	forget_pieces();
	frag_close(&frag);
	free(filter);
	return 0;
}

static uint8_t *room(void *ctx, uint32_t len)
{
	(void)ctx;
	assert_true(pieces < PIECES_MAX);
	piece[pieces] = (struct piece){malloc(len), len};
	return piece[pieces++].frame;
}

/* A datagram of n bytes as the worker itself would cut it. */
static void cut(bool v6, uint32_t n, uint32_t mtu, uint32_t src)
{
	struct split split = {.room = room, .mtu = mtu, .id6 = 7};
	struct kit_packet k = {.proto = NAT_UDP, .v6 = v6, .src = src, .data = payload, .len = n};
	struct packet p = {.v6 = v6, .proto = NAT_UDP, .l3 = NAT_ETH};
	bool lost;

	forget_pieces();
	whole_len = kit_make(whole, &k);
	p.l4 = NAT_ETH + (v6 ? NAT_IP6 : NAT_IP4);
	split_out(&split, whole, p.l4, &p, whole + p.l4, whole_len - p.l4, 0, &lost);
	assert_false(lost);
	for (unsigned i = 0; i < pieces; i++)
		assert_true(piece[i].len <= mtu + NAT_ETH);
}

/* One piece, from memory of exactly its size. */
static enum nat_drop give(const struct piece *q, struct packet *p, bool *done)
{
	uint8_t *exact = malloc(q->len);
	enum nat_drop drop;

	*done = false;
	memcpy(exact, q->frame, q->len);
	drop = filter_ip(filter, exact, q->len, p);
	if (!drop) {
		assert_true(p->fragment);
		drop = frag_add(&frag, p, filter->now, done);
	}
	free(exact);
	return drop;
}

static void check_whole(struct packet *p)
{
	assert_int_equal(p->len, whole_len);
	assert_true(kit_right(p->frame, p->len));
	assert_memory_equal(p->frame + p->l4, whole + p->l4, whole_len - p->l4);
	assert_int_equal(filter_transport(filter, p), NAT_PASS);
}

static void test_orders(void **state)
{
	static const uint32_t sizes[] = {1473, 3000, 9000, 65000, 65507};
	uint64_t seed = 99;

	(void)state;
	for (unsigned v6 = 0; v6 < 2; v6++)
		for (size_t i = 0; i < 5; i++)
			for (unsigned round = 0; round < 6; round++) {
				struct packet p = {0};
				bool done = false;

				cut(v6, sizes[i], 1500, 0);
				assert_true(pieces > 1);
				for (unsigned k = 0; k < pieces; k++) {
					unsigned other = kit_random(&seed) % pieces;
					struct piece q;

					if (round == 1) /* backwards */
						other = pieces - 1 - k;
					if (round == 0 || (round == 1 && other < k))
						other = k;
					q = piece[k];
					piece[k] = piece[other];
					piece[other] = q;
				}
				for (unsigned k = 0; k < pieces; k++) {
					assert_false(done);
					assert_int_equal(give(&piece[k], &p, &done), NAT_PASS);
				}
				assert_true(done);
				check_whole(&p);
			}
}

/* Overlap in any form kills the packet, and only that. */
static void test_overlap(void **state)
{
	struct packet p = {0};
	bool done;

	(void)state;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct piece twice;

		cut(v6, 4000, 1500, 0);
		assert_int_equal(pieces, 3);
		twice = piece[0];
		assert_int_equal(give(&piece[0], &p, &done), NAT_PASS);
		assert_int_equal(give(&twice, &p, &done), NAT_DROP_FRAGMENT);
		assert_int_equal(give(&piece[1], &p, &done), NAT_DROP_FRAGMENT);
		assert_int_equal(give(&piece[2], &p, &done), NAT_DROP_FRAGMENT);
		filter->now += FRAG_AGE_MS + 1;
		for (unsigned k = 0; k < 3; k++)
			assert_int_equal(give(&piece[k], &p, &done), NAT_PASS);
		assert_true(done);
		check_whole(&p);
	}

	/* One that begins eight bytes early. */
	cut(false, 4000, 1500, 0);
	nat_put16(piece[1].frame + 14 + 6,
		  (nat_be16(piece[1].frame + 14 + 6) & 0x1fff) - 1 + 0x2000);
	kit_sums(piece[1].frame, piece[1].len);
	assert_int_equal(give(&piece[0], &p, &done), NAT_PASS);
	assert_int_equal(give(&piece[1], &p, &done), NAT_DROP_FRAGMENT);

	/* A last one that ends before others do. */
	cut(false, 4001, 1500, 0);
	nat_put16(piece[2].frame + 14 + 4, 9);
	nat_put16(piece[1].frame + 14 + 4, 9);
	nat_put16(piece[1].frame + 14 + 6, nat_be16(piece[1].frame + 14 + 6) & 0x1fff);
	kit_sums(piece[1].frame, piece[1].len);
	kit_sums(piece[2].frame, piece[2].len);
	assert_int_equal(give(&piece[2], &p, &done), NAT_PASS);
	assert_int_equal(give(&piece[1], &p, &done), NAT_DROP_FRAGMENT);
}

static enum nat_drop one4(uint16_t word, uint32_t n, uint8_t proto)
{
	struct kit_packet k = {.proto = NAT_UDP, .data = payload, .len = n};
	struct packet p = {0};
	struct piece q;
	bool done;

	q.frame = whole;
	q.len = kit_make(whole, &k) - 8;
	nat_put16(whole + 14 + 2, q.len - 14);
	nat_put16(whole + 14 + 6, word);
	whole[14 + 9] = proto;
	kit_sums(whole, q.len);
	filter->now += FRAG_AGE_MS + 1;
	return give(&q, &p, &done);
}

static void test_sizes(void **state)
{
	(void)state;
	assert_int_equal(one4(0x2000, 8, NAT_UDP), NAT_PASS);
	assert_int_equal(one4(0x2000, 8, NAT_TCP_P), NAT_DROP_FRAGMENT); /* half a header */
	assert_int_equal(one4(0x2000, 16, NAT_TCP_P), NAT_DROP_FRAGMENT);
	assert_int_equal(one4(0x2000, 24, NAT_TCP_P), NAT_PASS);
	assert_int_equal(one4(0x2000, 0, NAT_UDP), NAT_DROP_FRAGMENT);
	assert_int_equal(one4(0x2000, 9, NAT_UDP), NAT_DROP_FRAGMENT);
	assert_int_equal(one4(0x2000 | 4, 9, NAT_UDP), NAT_DROP_FRAGMENT);
	assert_int_equal(one4(0x1fff, 8, NAT_UDP), NAT_DROP_FRAGMENT); /* 65528 + 8 + 20 */
	assert_int_equal(one4(8000, 1400, NAT_UDP), NAT_PASS);
	assert_int_equal(one4(8000, 1501, NAT_UDP), NAT_PASS);
	assert_int_equal(one4(8000, 1600, NAT_UDP), NAT_DROP_FRAGMENT);
}

static void test_table(void **state)
{
	struct packet p = {0};
	unsigned kept = 0;
	bool done;

	(void)state;
	/* One member has a share, not all of it. */
	for (unsigned i = 0; i < 2 * FRAG_SLOTS; i++) {
		cut(false, 2000, 1500, 0);
		nat_put16(piece[0].frame + 14 + 4, 100 + i);
		kit_sums(piece[0].frame, piece[0].len);
		kept += give(&piece[0], &p, &done) == NAT_PASS;
	}
	assert_int_equal(kept, FRAG_SHARE);
	for (unsigned i = 0; i < 2 * FRAG_SLOTS; i++) {
		cut(false, 2000, 1500, KIT_MEMBER + 1 + i);
		kept += give(&piece[0], &p, &done) == NAT_PASS;
	}
	assert_int_equal(kept, FRAG_SLOTS);
	/* What is never finished gives its place back. */
	filter->now += FRAG_AGE_MS + 1;
	cut(true, 2000, 1500, 0);
	assert_int_equal(give(&piece[0], &p, &done), NAT_PASS);
	assert_int_equal(give(&piece[1], &p, &done), NAT_PASS);
	assert_true(done);
	check_whole(&p);
}

/* Any bytes in the fragment's fields, for long: bounded, and nothing comes out wrong. */
static void test_random(void **state)
{
	uint64_t seed = 77;
	unsigned finished = 0;

	(void)state;
	for (unsigned i = 0; i < 60000; i++) {
		bool v6 = kit_random(&seed) & 1, done;
		uint32_t n =
			kit_random(&seed) % 8 ? kit_random(&seed) % 3 * 8 : kit_random(&seed) % 64;
		struct kit_packet k = {.v6 = v6,
				       .proto = NAT_UDP,
				       .data = payload,
				       .len = n,
				       .src = KIT_MEMBER + kit_random(&seed) % 3};
		struct piece q = {.frame = whole, .len = kit_make(whole, &k)};
		struct packet p = {0};

		if (v6) {
			whole[14 + 6] = NAT_FRAG6;
			whole[54] = NAT_UDP;
			nat_put16(whole + 56,
				  (kit_random(&seed) % 6) << 3 | (kit_random(&seed) & 1));
			nat_put32(whole + 58, kit_random(&seed) % 3);
		} else {
			uint32_t word = kit_random(&seed) % 6 | (kit_random(&seed) & 1) << 13;

			nat_put16(whole + 14 + 4, kit_random(&seed) % 3);
			nat_put16(whole + 14 + 6, word ? word : 1);
			kit_sums(whole, q.len);
		}
		filter->now += kit_random(&seed) % 2000;
		if (give(&q, &p, &done) == NAT_PASS && done) {
			finished++;
			assert_true(p.len <= NAT_ETH + NAT_IP6 + 65536);
			(void)filter_transport(filter, &p);
		}
	}
	assert_true(finished > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_orders, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_overlap, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sizes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_table, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_random, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
