/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory runs out: each allocation that the kexts make fails in its turn, once, or from there on.
 *
 * What is asked for memory goes on without it, or gives up and leaves nothing behind; with memory
 * back, all works. A Mac goes through many turns: kextunload looks after what was allocated.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/mac/mac_rig.h"

#define QUIET_MS   20000u
#define SECONDS	   120u
#define TURNS_MOST 2000u
#define FIRST_ALL  48u /* of the allocations of enable(), which are buffers from some point on */

struct opts {
	struct mac_rig_opts rig; /* first */
	unsigned step;		 /* between the allocations of start() that fail */
};

static bool soak(void)
{
	return getenv("VIOKIT_SOAK") != NULL;
}

/* Whether the device has all the receive buffers it can have. */
static bool refilled(void *arg)
{
	struct board_model *b = arg;
	struct model_state s;

	model_get(board_model_lock(b), &s);
	board_model_unlock(b);
	return s.q[0].available == s.q[0].size;
}

/* Whether it has any. Those it lacks come with the first packet, or with time. */
static bool has_buffers(void *arg)
{
	struct board_model *b = arg;
	struct model_state s;

	model_get(board_model_lock(b), &s);
	board_model_unlock(b);
	return s.q[0].available != 0;
}

/* ---- start ---- */

/* Attached and at work, or nothing at all. */
static void works_or_is_not_there(struct mac_rig *r, unsigned n)
{
	unsigned controllers = mac_registry_count("VirtioNetController");

	if (mac_registry_count("IOEthernetInterface")) {
		mac_rig_find(r);
		CHECK(mac_rig_wait(has_buffers, &r->model[0], 5000));
		mac_rig_exchange(r, 0, 2);
		return;
	}
	CHECK_MSG(controllers == 0, "allocation %u fails: %u controllers without an interface", n,
		  controllers);
	if (mac_registry_count("VirtioPCIDriver") == 0)
		CHECK_MSG(mac_registry_count("VirtioDevice") == 0,
			  "allocation %u fails: a device without its driver", n);
}

/* The nth allocation from kextload on fails. How many there were. */
static unsigned start_without(struct mac_rig *r, unsigned n, bool forever)
{
	unsigned asked;

	(void)mac_fail_alloc(n, forever);
	CHECK(mac_rig_load(r) == 0);
	CHECK(mac_quiet(QUIET_MS));
	asked = mac_fail_alloc(0, false);
	works_or_is_not_there(r, n);
	mac_rig_unload(r);
	return asked;
}

static void start_case(void *arg)
{
	const struct opts *o = arg;
	struct mac_rig r;

	mac_rig_open(&r, &o->rig);
	for (unsigned forever = 0; forever < 2; forever++) {
		unsigned n = 1 + forever * (o->step / 2);

		/* Until one that is to fail is not asked for. */
		for (; start_without(&r, n, forever) >= n; n += o->step) {
			CHECK(n < TURNS_MOST);
			/* Memory is back. */
			if (n % 16 == 0)
				(void)start_without(&r, 0, false);
		}
		CHECK_MSG(n > 20, "start asks for memory %u times only", n);
	}
	CHECK(mac_rig_load(&r) == 0);
	CHECK(mac_quiet(QUIET_MS));
	mac_rig_find(&r);
	mac_rig_exchange(&r, 0, 20);
	mac_rig_close(&r);
}

/* Every allocation on two releases, some on the others. */
static void test_each_allocation_of_start(void **state)
{
	(void)state;
	for (size_t i = 0; i < 5; i++) {
		int release = mac_rig_releases[i];
		struct opts o = {.rig = {.release = release, .no_load = true},
				 .step = soak() || release == 6 || release == 13 ? 1 : 7};

		mac_rig_case(start_case, &o, SECONDS);
	}
}

/* ---- enable ---- */

static unsigned next_turn(unsigned n)
{
	return soak() || n < FIRST_ALL ? n + 1 : n + 61;
}

static void enable_case(void *arg)
{
	struct mac_rig r;

	mac_rig_open(&r, arg);
	for (unsigned forever = 0; forever < 2; forever++) {
		unsigned asked, n = 1;

		do {
			(void)mac_fail_alloc(n, forever);
			if (mac_if_up(r.ifp[0]) != 0)
				CHECK(mac_fail_alloc(0, false) >= n && mac_if_up(r.ifp[0]) == 0);
			asked = mac_fail_alloc(0, false);
			CHECK_MSG(mac_rig_wait(has_buffers, &r.model[0], 5000),
				  "allocation %u fails: the ring is not filled later", n);
			mac_rig_exchange(&r, 0, 4);
			CHECK(mac_if_down(r.ifp[0]) == 0);
		} while (asked >= n && (n = next_turn(n)) != 0);
	}
	mac_rig_close(&r);
}

static void test_each_allocation_of_enable(void **state)
{
	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct mac_rig_opts o = {.release = mac_rig_releases[i], .no_up = true};

		mac_rig_case(enable_case, &o, SECONDS);
	}
}

/* ---- traffic ---- */

static uint64_t drops(struct mac_rig *r)
{
	struct mac_if_state s;

	mac_if_state(r->ifp[0], &s);
	return s.oerrors + s.odropped;
}

static bool dropped(void *arg)
{
	return drops(arg) != 0;
}

/* A packet in more parts than any device takes: it has to be copied, and there is no memory. */
static void send_in_pieces(struct mac_rig *r)
{
	static const uint8_t peer[6] = {0x52, 0x54, 0, 0x99, 0x99, 0x99};
	uint16_t cuts[100];
	uint8_t frame[1514];
	struct mac_if_state state;
	struct seg seg = {.ptr = frame, .len = sizeof(frame)};
	struct mac_send send = {.segs = &seg, .nsegs = 1, .cuts = cuts, .ncuts = 100};
	struct board_frame out;

	mac_if_state(r->ifp[0], &state);
	(void)mac_rig_frame(frame, peer, state.mac, 1500, 9);
	for (unsigned i = 0; i < 100; i++)
		cuts[i] = i ? 10 : 14;
	CHECK(mac_if_send(r->ifp[0], &send) == 0);
	CHECK_MSG(mac_rig_wait(dropped, r, 5000), "a packet that could not be copied is nowhere");
	(void)mac_fail_alloc(0, false);
	CHECK(!board_model_take(&r->model[0], &out, 0));
	CHECK(mac_if_send(r->ifp[0], &send) == 0);
	CHECK(board_model_take(&r->model[0], &out, 5000000));
	CHECK(mac_rig_frame_is(out.data, out.len, 1500, 9));
	free(out.data);
}

static void traffic_case(void *arg)
{
	static const uint8_t peer[6] = {0x52, 0x54, 0, 0x99, 0x99, 0x99};
	enum model_rx_result result = MODEL_RX_OK;
	struct mac_if_state state;
	uint8_t frame[1600];
	struct mac_rig r;
	unsigned given = 0, got = 0;
	size_t len;

	mac_rig_open(&r, arg);
	mac_rig_exchange(&r, 0, 10);
	CHECK(mac_rig_wait(refilled, &r.model[0], 5000));
	mac_if_state(r.ifp[0], &state);
	len = mac_rig_frame(frame, state.mac, peer, 1000, 5);
	/* Until the ring is empty: each frame that found a buffer arrives. */
	(void)mac_fail_alloc(1, true);
	while (result == MODEL_RX_OK && given < 100000) {
		result = board_model_send(&r.model[0], NULL, frame, len, false);
		given += result == MODEL_RX_OK;
	}
	CHECK_MSG(result == MODEL_RX_NO_BUFFER, "after %u frames: %d", given, (int)result);
	while (got < given && (len = mac_rig_receive(&r, 0, frame, sizeof(frame), 5000, NULL))) {
		CHECK(mac_rig_frame_is(frame, len, 1000, 5));
		got++;
	}
	CHECK_MSG(got == given, "%u of %u frames arrived", got, given);
	/* Sending needs no memory, unless a packet has to be copied. */
	len = mac_rig_frame(frame, peer, state.mac, 1000, 5);
	CHECK(mac_rig_send(&r, 0, frame, len) == 0);
	CHECK(board_model_take(&r.model[0], &(struct board_frame){0}, 5000000));
	CHECK(drops(&r) == 0);
	send_in_pieces(&r); /* and memory is back */
	CHECK_MSG(mac_rig_wait(refilled, &r.model[0], 5000), "the ring is not filled again");
	mac_rig_exchange(&r, 0, 50);
	mac_rig_close(&r);
}

static void test_no_mbufs_with_traffic(void **state)
{
	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct mac_rig_opts o = {.release = mac_rig_releases[i]};

		mac_rig_case(traffic_case, &o, SECONDS);
	}
}

/* ---- settings, sleep ---- */

static void settings_case(void *arg)
{
	struct mac_rig r;

	mac_rig_open(&r, arg);
	for (unsigned forever = 0; forever < 2; forever++) {
		unsigned asked, n = 1;

		do {
			struct mac_if_state state;
			uint32_t mtu = n % 2 ? 4000 : 1500;
			int err;

			(void)mac_fail_alloc(n, forever);
			err = mac_if_mtu(r.ifp[0], mtu);
			asked = mac_fail_alloc(0, false);
			mac_if_state(r.ifp[0], &state);
			CHECK(err || state.mtu == mtu);
			mac_rig_exchange(&r, 0, 2);
			CHECK(mac_if_mtu(r.ifp[0], 1500) == 0);
		} while (asked >= n && (n = next_turn(n)) != 0);
	}
	mac_rig_close(&r);
}

static void test_each_allocation_of_mtu(void **state)
{
	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct mac_rig_opts o = {.release = mac_rig_releases[i]};

		board_model_defaults(&o.model);
		o.model.features |= VIRTIO_BIT(VIRTIO_NET_F_MTU);
		o.model.mtu = 9000;
		mac_rig_case(settings_case, &o, SECONDS);
	}
}

static void sleep_case(void *arg)
{
	struct mac_rig r;

	mac_rig_open(&r, arg);
	for (unsigned forever = 0; forever < 2; forever++) {
		unsigned asked, n = 1;

		do {
			(void)mac_fail_alloc(n, forever);
			CHECK(mac_sleep() == 0);
			CHECK(mac_wake() == 0);
			asked = mac_fail_alloc(0, false);
			CHECK(mac_quiet(QUIET_MS));
			CHECK_MSG(mac_rig_wait(has_buffers, &r.model[0], 5000),
				  "after waking up without memory (%u) there are no buffers", n);
			mac_rig_exchange(&r, 0, 2);
		} while (asked >= n && (n = next_turn(n)) != 0);
	}
	mac_rig_close(&r);
}

static void test_each_allocation_of_sleep_and_wake(void **state)
{
	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct mac_rig_opts o = {.release = mac_rig_releases[i]};

		mac_rig_case(sleep_case, &o, SECONDS);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_allocation_of_start),
		cmocka_unit_test(test_each_allocation_of_enable),
		cmocka_unit_test(test_no_mbufs_with_traffic),
		cmocka_unit_test(test_each_allocation_of_mtu),
		cmocka_unit_test(test_each_allocation_of_sleep_and_wake),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
