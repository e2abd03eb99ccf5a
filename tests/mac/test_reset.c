/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device that breaks, hangs, refuses, or is pulled out, with traffic in flight.
 *
 * The interface works again, which frames both ways show, or has no link; the kexts go, and leave
 * nothing but what a device that was not reset could still write to (mac_left.h).
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/mac/mac_left.h"

#define QUIET_MS   20000u
#define SECONDS	   60u
#define AGAIN_MS   10000u
#define WATCHDOG_S 5u
#define PER_MINUTE 3u /* recoveries, before a device is given up (H-13) */
#define HELD	   10u

static void each_release(void (*run)(void *arg), const struct mac_rig_opts *opts)
{
	for (size_t i = 0; i < 5; i++) {
		struct mac_rig_opts o = *opts;

		o.release = mac_rig_releases[i];
		mac_rig_case(run, &o, SECONDS);
	}
}

static void look(struct mac_rig *r, struct model_state *state)
{
	model_get(board_model_lock(&r->model[0]), state);
	board_model_unlock(&r->model[0]);
}

static void hold(struct mac_rig *r, unsigned queue, bool on)
{
	model_hold(board_model_lock(&r->model[0]), queue, on);
	board_model_unlock(&r->model[0]);
}

static void lie(struct mac_rig *r, uint64_t seed, enum model_mutation kind, bool on)
{
	model_hostile(board_model_lock(&r->model[0]), seed, on ? 65536 : 0, UINT64_C(1) << kind);
	board_model_unlock(&r->model[0]);
}

static bool has_link(struct mac_rig *r)
{
	struct mac_if_state state;

	mac_if_state(r->ifp[0], &state);
	return state.link_active;
}

static bool no_link(void *arg)
{
	return !has_link(arg);
}

static void send_some(struct mac_rig *r, unsigned n)
{
	static const uint8_t peer[6] = {0x52, 0x54, 0, 0x99, 0x99, 0x99};
	uint8_t frame[600];

	while (n--)
		(void)mac_rig_send(r, 0, frame, mac_rig_frame(frame, peer, peer, 500, n));
}

static void works_again(struct mac_rig *r)
{
	CHECK_MSG(mac_rig_works(r, AGAIN_MS), "no frames after the device was started again");
	CHECK(has_link(r));
	mac_rig_exchange(r, 0, 20);
}

static void nothing_left(struct mac_rig *r)
{
	struct mac_left left;

	CHECK(!mac_rig_device_alive());
	mac_rig_close_left(r, &left); /* fails if anything is */
}

/* ---- NEEDS_RESET ---- */

static bool restarted(void *arg)
{
	const unsigned *want = arg;

	return mac_rig_count("network device is started again: device asks for a reset") >= *want;
}

/* Three times a minute it is started again, then it is given up. */
static void needs_reset_case(void *arg)
{
	struct mac_rig r;

	mac_rig_open(&r, arg);
	mac_rig_exchange(&r, 0, 5);
	for (unsigned i = 1; i <= PER_MINUTE + 1; i++) {
		hold(&r, 1, true);
		send_some(&r, HELD);
		model_needs_reset(board_model_lock(&r.model[0]));
		board_model_unlock(&r.model[0]);
		CHECK(mac_rig_wait(restarted, &i, AGAIN_MS));
		hold(&r, 1, false);
		if (i <= PER_MINUTE)
			works_again(&r);
	}
	CHECK_MSG(mac_rig_wait(no_link, &r, AGAIN_MS), "given up, and there is a link");
	CHECK(mac_rig_logged("device given up after recoveries"));
	send_some(&r, HELD);
	CHECK(mac_if_down(r.ifp[0]) == 0);
	CHECK(mac_if_up(r.ifp[0]) != 0);
	nothing_left(&r);
}

static void test_needs_reset_with_traffic(void **state)
{
	struct mac_rig_opts o = {.release = 6};

	(void)state;
	if (getenv("VIOKIT_SOAK")) {
		each_release(needs_reset_case, &o);
		return;
	}
	mac_rig_case(needs_reset_case, &o, SECONDS);
	o.release = 15;
	mac_rig_case(needs_reset_case, &o, SECONDS);
}

/* ---- a device that lies once ---- */

static void broken_ring_case(void *arg)
{
	struct mac_rig r;

	mac_rig_open(&r, arg);
	mac_rig_exchange(&r, 0, 5);
	lie(&r, 1, MODEL_MUT_USED_ID, true);
	for (unsigned i = 0; i < 1000 && !mac_rig_logged("started again"); i++)
		(void)mac_rig_one_comes(&r);
	lie(&r, 0, MODEL_MUT_USED_ID, false);
	CHECK(mac_rig_logged("network device is started again: used id"));
	works_again(&r);
	nothing_left(&r);
}

static void test_broken_ring(void **state)
{
	(void)state;
	each_release(broken_ring_case, &(struct mac_rig_opts){.no_up = false});
}

/* The set of features that it had before is refused once; up works after that. */
static void features_case(void *arg)
{
	struct mac_rig r;

	mac_rig_open(&r, arg);
	mac_rig_exchange(&r, 0, 5);
	CHECK(mac_if_down(r.ifp[0]) == 0);
	for (unsigned seed = 1; mac_if_up(r.ifp[0]) == 0; seed++) {
		CHECK(mac_if_down(r.ifp[0]) == 0 && seed < 100);
		lie(&r, seed, MODEL_MUT_FEATURES, true);
	}
	CHECK(!has_link(&r));
	lie(&r, 0, MODEL_MUT_FEATURES, false);
	CHECK(mac_if_up(r.ifp[0]) == 0);
	works_again(&r);
	nothing_left(&r);
}

static void test_features_refused_once(void **state)
{
	(void)state;
	each_release(features_case, &(struct mac_rig_opts){.no_up = false});
}

static void refused_case(void *arg)
{
	struct mac_rig r;

	mac_rig_open(&r, arg);
	for (unsigned i = 0; i < 3; i++) {
		CHECK(mac_rig_load(&r) == 0);
		CHECK(mac_quiet(QUIET_MS));
		CHECK(mac_registry_count("IOEthernetInterface") == 0);
		CHECK(mac_registry_count("VirtioNetController") == 0);
		mac_rig_unload(&r);
	}
	nothing_left(&r);
}

static void test_features_refused(void **state)
{
	struct mac_rig_opts o = {.no_load = true, .allow_violations_of_norms = true};

	(void)state;
	board_model_defaults(&o.model);
	o.model.refuse_features = true;
	each_release(refused_case, &o);
}

/* ---- a device that does not answer ---- */

static void control_case(void *arg)
{
	struct mac_rig r;

	mac_rig_open(&r, arg);
	mac_rig_exchange(&r, 0, 5);
	hold(&r, 2, true);
	(void)mac_if_promisc(r.ifp[0], true); /* takes its second */
	hold(&r, 2, false);
	CHECK(mac_rig_logged("control queue does not answer"));
	works_again(&r);
	nothing_left(&r);
}

static void test_command_not_answered(void **state)
{
	struct mac_rig_opts o = {.release = 6};

	(void)state;
	mac_rig_case(control_case, &o, SECONDS);
	o.release = 15;
	mac_rig_case(control_case, &o, SECONDS);
}

/* What it sends never completes: after five seconds it is started again. */
static void watchdog_case(void *arg)
{
	struct mac_rig r;

	mac_rig_open(&r, arg);
	mac_rig_exchange(&r, 0, 5);
	hold(&r, 1, true);
	send_some(&r, HELD);
	for (unsigned i = 0; i < 3 && !mac_rig_logged("transmission stands still"); i++)
		(void)mac_rig_wait(no_link, &r, WATCHDOG_S * 1000);
	CHECK(mac_rig_logged("transmission stands still"));
	hold(&r, 1, false);
	works_again(&r);
	nothing_left(&r);
}

/* In real time: one release, unless there is time for all. */
static void test_transmission_stands_still(void **state)
{
	struct mac_rig_opts o = {.release = 13};

	(void)state;
	if (getenv("VIOKIT_SOAK"))
		each_release(watchdog_case, &o);
	else
		mac_rig_case(watchdog_case, &o, SECONDS);
}

static bool all_in_flight(void *arg)
{
	struct model_state state;

	look(arg, &state);
	return state.q[0].available == state.q[0].size && state.q[1].available == HELD;
}

/* Its memory is all that stays behind, to the last piece. */
static void no_reset_case(void *arg)
{
	struct model_state state;
	struct mac_left left;
	struct mac_rig r;
	unsigned tries = 0;

	mac_rig_open(&r, arg);
	do {
		CHECK(tries < 100);
		lie(&r, 0, MODEL_MUT_RESET, false);
		CHECK(mac_if_up(r.ifp[0]) == 0);
		hold(&r, 1, false);
		CHECK(mac_rig_works(&r, AGAIN_MS));
		hold(&r, 1, true);
		send_some(&r, HELD);
		CHECK(mac_rig_wait(all_in_flight, &r, AGAIN_MS));
		look(&r, &state);
		/* One in four resets never ends, the others late. */
		lie(&r, ++tries, MODEL_MUT_RESET, true);
		CHECK(mac_if_down(r.ifp[0]) == 0);
	} while (!mac_rig_device_alive());
	lie(&r, 0, MODEL_MUT_RESET, false);
	CHECK(mac_if_up(r.ifp[0]) != 0);
	CHECK(!has_link(&r));
	mac_rig_close_left(&r, &left);
	CHECK_MSG(left.received == state.q[0].size, "%u mbufs for %u buffers", left.received,
		  state.q[0].size);
	CHECK_MSG(left.sent == HELD, "%u mbufs for %u packets", left.sent, HELD);
	/* Three rings and their tables; headers, commands, the debugger's. */
	CHECK_MSG(left.shared == 9, "%u pieces of shared memory", left.shared);
}

static void test_device_that_never_resets(void **state)
{
	(void)state;
	each_release(no_reset_case, &(struct mac_rig_opts){.no_up = false});
}

/* ---- pulled out ---- */

static volatile bool enough;

static void *keep_sending(void *arg)
{
	while (!enough)
		send_some(arg, 4);
	return NULL;
}

static void *keep_receiving(void *arg)
{
	struct mac_rig *r = arg;
	static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	struct board_frame out;
	uint8_t frame[600];
	size_t len = mac_rig_frame(frame, all, all, 500, 1);

	while (!enough) {
		(void)board_model_send(&r->model[0], NULL, frame, len, false);
		(void)mac_rig_receive(r, 0, frame, 1, 0, NULL);
		while (board_model_take(&r->model[0], &out, 20))
			free(out.data);
	}
	return NULL;
}

static bool gone(void *arg)
{
	return mac_if_gone(arg);
}

static void pull_out(struct mac_rig *r, bool flight)
{
	pthread_t threads[2];

	enough = false;
	hold(r, 1, flight);
	CHECK(pthread_create(&threads[0], NULL, keep_sending, r) == 0);
	CHECK(pthread_create(&threads[1], NULL, keep_receiving, r) == 0);
	(void)mac_rig_wait(no_link, r, 20);
	mac_pci_remove(r->pci[0]);
	CHECK_MSG(mac_rig_wait(gone, r->ifp[0], AGAIN_MS), "the interface stays");
	enough = true;
	CHECK(pthread_join(threads[0], NULL) == 0);
	CHECK(pthread_join(threads[1], NULL) == 0);
	CHECK(mac_quiet(QUIET_MS));
	hold(r, 1, false);
	mac_rig_flush(r);
	CHECK(mac_registry_count("VirtioNetController") == 0);
	CHECK(mac_registry_count("VirtioPCIDriver") == 0);
}

static void removal_case(void *arg)
{
	struct mac_rig r;

	mac_rig_open(&r, arg);
	for (unsigned i = 0; i < 4; i++) {
		mac_rig_exchange(&r, 0, 5);
		pull_out(&r, i & 1);
		CHECK(mac_pci_add(&board_model_ops, &r.model[0], "NIC", true, &r.pci[0]) == 0);
		CHECK(mac_quiet(QUIET_MS));
		mac_rig_find(&r);
		CHECK(mac_rig_works(&r, AGAIN_MS));
	}
	nothing_left(&r);
}

static void test_pulled_out_with_traffic(void **state)
{
	(void)state;
	each_release(removal_case, &(struct mac_rig_opts){.no_up = false});
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_needs_reset_with_traffic),
		cmocka_unit_test(test_broken_ring),
		cmocka_unit_test(test_features_refused_once),
		cmocka_unit_test(test_features_refused),
		cmocka_unit_test(test_command_not_answered),
		cmocka_unit_test(test_transmission_stands_still),
		cmocka_unit_test(test_device_that_never_resets),
		cmocka_unit_test(test_pulled_out_with_traffic),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
