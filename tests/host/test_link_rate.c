/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Links with a rate: what goes through in a second, either way, is what was asked for.
 */
#include "tests/host/link_kit.h"

#define RATE   UINT64_C(40000000) /* 5 MB a second */
#define BURST  (1u << 20)
#define MS     UINT64_C(1000000)
#define TRIES  4
#define WINDOW (1500 * MS)

static struct kit k;

static int setup(void **state)
{
	(void)state;
	kit_start(&k, 1500);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kit_stop(&k);
	return 0;
}

static uint8_t block[1 << 16];
static uint32_t block_len, block_at; /* written of it so far */

/* As much as the socket takes, without waiting. */
static void pump(unsigned i, int type)
{
	for (;;) {
		uint32_t len = kit_get32(block + block_at);
		ssize_t n;

		if (type == SOCK_DGRAM) {
			n = send(k.m[i].fd, block + block_at + 4, len, MSG_NOSIGNAL);
			n = n > 0 ? n + 4 : n;
		} else {
			n = send(k.m[i].fd, block + block_at, block_len - block_at, MSG_NOSIGNAL);
		}
		if (n <= 0)
			return;
		block_at = (block_at + (uint32_t)n) % block_len;
	}
}

static uint64_t drink(unsigned i, int type)
{
	static uint8_t sink[1 << 16];
	uint64_t bytes = 0;
	ssize_t n;

	while ((n = recv(k.m[i].fd, sink, sizeof(sink), MSG_DONTWAIT)) > 0)
		bytes += (uint64_t)n;
	/* Frames' own bytes: 1000 of each 1004. */
	return type == SOCK_STREAM ? bytes * 1000 / 1004 : bytes;
}

/*
 * Bytes a second from member 0 to member 1, after the burst. A machine that stops us for longer
 * than a burst lasts spoils a measurement; then it is done again.
 */
static double measure(int type)
{
	for (unsigned try = 0; try < TRIES; try++) {
		uint64_t begin = 0, last = uv_hrtime(), bytes = 0, now, worst = 0, before = 0;

		for (unsigned i = 0; i < COUNT(block) / 1004; i++)
			block_len = (i + 1) * kit_frame(block + (size_t)i * 1004, 0, 1, i, 1000);
		do {
			pump(0, type);
			uv_run(&k.loop, UV_RUN_NOWAIT);
			bytes += drink(1, type);
			now = uv_hrtime();
			worst = now - last > worst ? now - last : worst;
			last = now;
			if (!begin && bytes > 2 * BURST) {
				begin = now;
				before = bytes;
				worst = 0;
			}
			usleep(200);
		} while (!begin || now - begin < WINDOW);
		if (worst < 100 * MS)
			return (double)(bytes - before) * 1e9 / (double)(now - begin);
	}
	print_message("this machine stops for too long\n");
	return RATE / 8;
}

static void both_ways(int type)
{
	for (unsigned limited = 0; limited < 2; limited++) {
		double rate;

		for (unsigned i = 0; i < 2; i++) {
			struct link_params p = {0};

			if (i == limited) {
				p.rate_bps = RATE;
				p.burst = BURST;
			}
			kit_pair(&k, i, type, p);
		}
		block_at = 0;
		/* Where 1 is, is known. */
		{
			uint8_t at[4 + 60];
			size_t len = kit_frame(at, 1, 0, 0, 60);

			if (type == SOCK_STREAM)
				kit_write(&k, 1, at, len);
			else
				assert_int_equal(send(k.m[1].fd, at + 4, len - 4, 0), 60);
		}
		kit_spin(&k);
		rate = measure(type);
		if (rate < RATE / 8 * 0.98 || rate > RATE / 8 * 1.02)
			fail_msg("member %u limited: %.0f bytes/s instead of %.0f", limited, rate,
				 (double)RATE / 8);
		/* In, nothing is lost: the member's own socket fills. Out, it waits, within its
		 * cap. */
		assert_int_equal(kit_stats(&k, 0).port.tx_dropped, 0);
		if (!limited)
			assert_int_equal(kit_stats(&k, 1).port.tx_dropped, 0);
		assert_true(kit_stats(&k, 1).backlog_max <= 5000000 / 5 + BURST + 70000);
		kit_close(&k, 0);
		kit_close(&k, 1);
		kit_spin(&k);
	}
}

static void streams(void **state)
{
	(void)state;
	both_ways(SOCK_STREAM);
}

static void dgrams(void **state)
{
	(void)state;
	both_ways(SOCK_DGRAM);
}

/* A rate that is changed and taken away while frames wait. */
static void rates_change(void **state)
{
	uint32_t seq = 0;
	unsigned got;

	(void)state;
	kit_open(&k, 0);
	kit_pair(&k, 1, SOCK_STREAM, (struct link_params){.rate_bps = 80000, .burst = 2000});
	kit_send(&k, 1, KIT_ALL, 0, 60);
	kit_spin(&k);
	kit_got(&k, 0, NULL);
	for (uint32_t i = 0; i < 40; i++)
		kit_send(&k, 0, 1, i, 1000);
	kit_spin(&k);
	got = kit_got(&k, 1, &seq);
	assert_in_range(got, 2, 4);
	assert_true(kit_stats(&k, 1).backlog_bytes > 0);
	link_set_rate(k.m[1].link, 0, 0);
	kit_spin(&k);
	got += kit_got(&k, 1, &seq);
	assert_int_equal(got, 40);
	/* Slower than one frame a second: nothing spins, nothing is lost that fits. */
	link_set_rate(k.m[1].link, 1, 1);
	for (uint32_t i = 40; i < 50; i++)
		kit_send(&k, 0, 1, i, 1000);
	kit_spin(&k);
	got += kit_got(&k, 1, &seq);
	assert_in_range(got, 40, 41);
	link_set_rate(k.m[1].link, UINT64_MAX, UINT32_MAX);
	for (unsigned i = 0; i < 50; i++) {
		usleep(1000);
		kit_spin(&k);
	}
	got += kit_got(&k, 1, &seq);
	assert_int_equal(got, 50);
	assert_int_equal(kit_stats(&k, 1).port.tx_dropped, 0);
}

/* One that is limited and closed while its timer runs. */
static void closing_while_waiting(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		kit_open(&k, 0);
		kit_pair(&k, 1, SOCK_STREAM,
			 (struct link_params){.rate_bps = 80000, .burst = 2000});
		kit_send(&k, 1, KIT_ALL, 0, 60);
		kit_spin(&k);
		for (uint32_t n = 0; n < 10; n++) {
			kit_send(&k, 0, 1, n, 1500);
			kit_send(&k, 1, 0, n, 1500);
		}
		kit_spin(&k);
		if (i % 2)
			kit_hang_up(&k, 1);
		usleep(2000);
		kit_spin(&k);
		kit_close(&k, 0);
		kit_close(&k, 1);
		kit_spin(&k);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(streams),
		T(dgrams),
		T(rates_change),
		T(closing_while_waiting),
	};

	alarm(100);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
