/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Merging and splitting: whatever the stream, the same bytes come out, in the same order, in
 * packets that are right; and one undoes the other. argv: a seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/nat/filter.h"
#include "host/nat/merge.h"
#include "host/nat/split.h"
#include "tests/host/nat_kit.h"

#define FLOWS	12u
#define BATCH	(256u << 10)
#define MAX_LEN 33000u

static uint64_t seed, start = 1;
static struct nat_config config;
static struct nat_stats stats;
static struct filter *filter;
static struct merge merge;
static uint8_t stream[1 << 20], batch[BATCH + 4096];

/* What libslirp would know of one flow. */
static struct flow_state {
	uint32_t sent, got, ack, acks_sent, acks_got;
	uint16_t window_sent, window;
} flow[FLOWS];
static unsigned packets, broken_seen;

static uint32_t pick(uint32_t n)
{
	return kit_random(&seed) % n;
}

static void received(void *ctx, uint8_t *frame, uint32_t len)
{
	bool v6 = nat_be16(frame + 12) == NAT_ETH_IPV6;
	uint8_t *tcp = frame + NAT_ETH + (v6 ? NAT_IP6 : NAT_IP4);
	struct flow_state *f;
	uint32_t n, seq;

	(void)ctx;
	packets++;
	if (!kit_right(frame, len)) {
		broken_seen++;
		return;
	}
	assert_true(len <= NAT_ETH + MAX_LEN);
	if ((v6 ? frame[20] : frame[23]) != NAT_TCP_P)
		return;
	f = &flow[nat_be16(tcp) - 40000u];
	n = len - (uint32_t)(tcp - frame) - (tcp[12] >> 4) * 4u;
	seq = nat_be32(tcp + 4);
	/* In order, nothing twice, nothing missing. */
	assert_int_equal(seq, f->got);
	assert_memory_equal(tcp + (tcp[12] >> 4) * 4u, stream + seq, n);
	f->got = seq + n + (tcp[13] & NAT_FIN ? 1 : 0);
	assert_true((int32_t)(nat_be32(tcp + 8) - f->acks_got) >= 0);
	f->acks_got = nat_be32(tcp + 8);
	f->window = nat_be16(tcp + 14);
}

static int set_up(void **state)
{
	(void)state;
	seed = start;
	config = kit_config();
	memset(&stats, 0, sizeof(stats));
	memset(flow, 0, sizeof(flow));
	packets = broken_seen = 0;
	filter = calloc(1, sizeof(*filter));
	*filter = (struct filter){.config = &config, .mss4 = 32000, .mss6 = 31000, .now = 1000};
	merge = (struct merge){.emit = received, .stats = &stats, .max4 = MAX_LEN, .max6 = MAX_LEN};
	for (size_t i = 0; i < sizeof(stream); i++)
		stream[i] = (uint8_t)kit_random(&seed);
	return merge_open(&merge) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	merge_close(&merge);
	free(filter);
	return 0;
}

/* One more segment of a flow at the end of the batch. */
static uint32_t add(uint32_t at, unsigned i, bool v6)
{
	static const uint8_t options[4] = {1, 1, 1, 1};
	struct flow_state *f = &flow[i];
	struct kit_packet k = {
		.proto = NAT_TCP_P,
		.v6 = v6,
		.sport = (uint16_t)(40000 + i),
		.flags = NAT_ACK,
		.seq = f->sent,
		.data = stream + f->sent,
		.len = pick(4) ? 1460 : pick(1461),
	};
	struct packet p;
	uint32_t len;

	if (!pick(8))
		k.len = 0;
	if (pick(2))
		f->acks_sent += pick(3000);
	k.ack = f->acks_sent;
	k.window = (uint16_t)(pick(4) ? 64240 : pick(65536));
	if (!pick(10))
		k.flags |= NAT_PSH;
	if (!pick(40)) {
		k.options = options;
		k.options_len = 4;
	}
	if (!pick(60))
		k.flags |= NAT_FIN;
	len = kit_make(batch + at, &k);
	f->sent += k.len + (k.flags & NAT_FIN ? 1 : 0);
	f->window_sent = k.window;
	assert_int_equal(filter_ip(filter, batch + at, len, &p), NAT_PASS);
	assert_int_equal(filter_transport(filter, &p), NAT_PASS);
	merge_add(&merge, &p);
	return len;
}

static void run(bool v6, unsigned flows, unsigned batches)
{
	for (unsigned b = 0; b < batches; b++) {
		uint32_t at = 0;
		unsigned i = 0;

		while (at < BATCH - 2000) {
			if (!pick(20))
				i = pick(flows);
			if (flow[i].sent > sizeof(stream) - 2000)
				break;
			at += add(at, i, v6) + pick(3);
		}
		merge_flush(&merge);
		for (i = 0; i < flows; i++) {
			assert_int_equal(flow[i].got, flow[i].sent);
			assert_int_equal(flow[i].acks_got, flow[i].acks_sent);
			assert_int_equal(flow[i].window, flow[i].window_sent);
		}
	}
	assert_int_equal(broken_seen, 0);
	assert_true(stats.merged > 0);
}

static void test_random4(void **state)
{
	(void)state;
	run(false, FLOWS, 30);
}

static void test_random6(void **state)
{
	(void)state;
	run(true, FLOWS, 30);
}

static void test_bulk(void **state)
{
	struct packet p;

	(void)state;
	/* 44 full segments, in order: two packets. */
	for (unsigned i = 0; i < 44; i++) {
		struct kit_packet k = {.proto = NAT_TCP_P,
				       .sport = 40000,
				       .flags = NAT_ACK,
				       .seq = i * 1460,
				       .data = stream + i * 1460,
				       .len = 1460};
		uint32_t len = kit_make(batch + i * 1600, &k);

		assert_int_equal(filter_ip(filter, batch + i * 1600, len, &p), NAT_PASS);
		assert_int_equal(filter_transport(filter, &p), NAT_PASS);
		merge_add(&merge, &p);
	}
	merge_flush(&merge);
	assert_int_equal(packets, 2);
	assert_int_equal(flow[0].got, 44 * 1460);
}

static void acks(const uint32_t *ack, unsigned n)
{
	struct packet p;

	for (unsigned i = 0; i < n; i++) {
		struct kit_packet k = {.proto = NAT_TCP_P,
				       .sport = 40000,
				       .flags = NAT_ACK,
				       .ack = ack[i],
				       .window = 1000};
		uint32_t len = kit_make(batch + i * 100, &k);

		assert_int_equal(filter_ip(filter, batch + i * 100, len, &p), NAT_PASS);
		assert_int_equal(filter_transport(filter, &p), NAT_PASS);
		merge_add(&merge, &p);
	}
	merge_flush(&merge);
}

/* Acknowledgements that go on are one; equal ones are what loss is seen by, and stay. */
static void test_acks(void **state)
{
	static const uint32_t on[] = {10, 20, 30, 40}, same[] = {40, 40, 40};

	(void)state;
	acks(on, 4);
	assert_int_equal(packets, 1);
	acks(same, 3);
	assert_int_equal(packets, 4);
}

/* A wrong checksum in one part is a wrong checksum in the whole. */
static void test_broken(void **state)
{
	(void)state;
	for (unsigned bad = 0; bad < 5; bad++) {
		packets = broken_seen = 0;
		memset(flow, 0, sizeof(flow));
		for (unsigned i = 0; i < 5; i++) {
			struct kit_packet k = {.proto = NAT_TCP_P,
					       .sport = 40000,
					       .flags = NAT_ACK,
					       .seq = i * 101,
					       .data = stream + i * 101,
					       .len = 101};
			uint32_t len = kit_make(batch + i * 200, &k);
			struct packet p;

			if (i == bad)
				batch[i * 200 + 60] ^= 4;
			assert_int_equal(filter_ip(filter, batch + i * 200, len, &p), NAT_PASS);
			assert_int_equal(filter_transport(filter, &p), NAT_PASS);
			merge_add(&merge, &p);
		}
		merge_flush(&merge);
		assert_int_equal(packets, 1);
		assert_int_equal(broken_seen, 1);
	}
}

/* ---- split, and back ---- */

static uint32_t made_at, made;

static uint8_t *room(void *ctx, uint32_t len)
{
	uint8_t *at = batch + made_at;

	(void)ctx;
	nat_put32(at, len);
	made_at += 4 + len;
	made++;
	assert_true(made_at < sizeof(batch));
	return at + 4;
}

static void split_one(bool v6, uint32_t n, uint32_t mtu, uint16_t mss, uint8_t flags)
{
	static uint8_t big[70000];
	struct split split = {.room = room, .mtu = mtu, .id4 = 9};
	struct kit_packet k = {.proto = NAT_TCP_P,
			       .v6 = v6,
			       .sport = 40000,
			       .flags = flags,
			       .seq = flow[0].sent,
			       .data = stream + flow[0].sent,
			       .len = n};
	struct packet p = {.v6 = v6, .proto = NAT_TCP_P, .l3 = NAT_ETH};
	uint32_t len = kit_make(big, &k), head, at = 0;
	bool lost;

	p.l4 = NAT_ETH + (v6 ? NAT_IP6 : NAT_IP4);
	head = p.l4 + NAT_TCP;
	made_at = made = 0;
	assert_int_equal(split_out(&split, big, head, &p, big + head, len - head, mss, &lost),
			 n ? (n + mss - 1) / mss : 1);
	assert_false(lost);
	flow[0].sent += n + (flags & NAT_FIN ? 1 : 0);
	for (unsigned i = 0; i < made; i++) {
		uint8_t *frame = batch + at + 4, *tcp = frame + p.l4;
		uint32_t this = nat_be32(batch + at);
		bool last = i + 1 == made;

		assert_true(this <= mtu + NAT_ETH);
		assert_true(this - head <= mss);
		assert_true(kit_right(frame, this));
		assert_int_equal(tcp[13], last ? flags : flags & ~(NAT_PSH | NAT_FIN));
		assert_int_equal(filter_ip(filter, frame, this, &p), NAT_PASS);
		assert_int_equal(filter_transport(filter, &p), NAT_PASS);
		merge_add(&merge, &p);
		at += 4 + this;
	}
	merge_flush(&merge);
	assert_int_equal(flow[0].got, flow[0].sent);
}

static void test_split(void **state)
{
	static const uint32_t mtus[] = {576, 1280, 1500, 9000, 65520};

	(void)state;
	for (unsigned i = 0; i < 400; i++) {
		bool v6 = pick(2);
		uint32_t mtu = mtus[v6 ? 1 + pick(4) : pick(5)];
		uint32_t most = mtu - (v6 ? NAT_IP6 : NAT_IP4) - NAT_TCP;
		uint16_t mss = (uint16_t)(pick(2) ? most : 88 + pick(most - 87));
		uint8_t flags = NAT_ACK;

		if (pick(2))
			flags |= NAT_PSH;
		if (!pick(10))
			flags |= NAT_FIN;
		if (flow[0].sent > sizeof(stream) - 70000) {
			memset(flow, 0, sizeof(flow));
		}
		/* Not so many pieces that the batch would not hold them. */
		config.mtu = mtu;
		split_one(v6, pick(mss > 300 ? 32768 : 8000), mtu, mss, flags);
	}
	assert_true(stats.merged > 0);
	assert_int_equal(broken_seen, 0);
}

/* No room: what was made is whole, the rest is lost and said to be. */
static uint8_t *two_rooms(void *ctx, uint32_t len)
{
	unsigned *left = ctx;

	return (*left)-- ? room(NULL, len) : NULL;
}

static void test_split_full(void **state)
{
	static uint8_t big[10000];
	unsigned left = 2;
	struct split split = {.room = two_rooms, .ctx = &left, .mtu = 1500};
	struct kit_packet k = {.proto = NAT_TCP_P, .data = stream, .len = 8000, .flags = NAT_ACK};
	struct packet p = {.proto = NAT_TCP_P, .l3 = NAT_ETH, .l4 = NAT_ETH + NAT_IP4};
	uint32_t len = kit_make(big, &k);
	bool lost;

	(void)state;
	made_at = 0;
	assert_int_equal(split_out(&split, big, 54, &p, big + 54, len - 54, 1460, &lost), 2);
	assert_true(lost);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_random4, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_random6, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bulk, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_acks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_broken, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_split, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_split_full, set_up, tear_down),
	};

	if (argc > 1)
		start = strtoull(argv[1], NULL, 0);
	printf("seed %llu\n", (unsigned long long)start);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
