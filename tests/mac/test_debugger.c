/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel stands still and a debugger talks to it through the driver's polled mode: before the
 * network is up, beside traffic, over a network that loses packets, and over devices on which
 * nothing can be sent. Whatever happened, the kernel goes on afterwards and leaves nothing behind.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tests/mac/mac_kdp.h"
#include "tests/mac/mac_stack.h"

#define SECONDS	   90u
#define LONG_MS	   60000u
#define SHORT_MS   600u
#define DEAD_MS	   2500u
#define LOSSY_MS   500u
#define LOSE_EACH  9u
#define SLACK_MS   8000u /* of a loaded machine */
#define HIT_MS	   20000u
#define TRANSFER   (UINT64_C(4) << 20)
#define COUNT(of)  (sizeof(of) / sizeof((of)[0]))
#define TX_QUEUE   1u
#define OUTPUT	   "__ZN19VirtioNetController12outputPacketEP6__mbufPv"
#define INTERRUPT  "__ZN19VirtioNetController15interruptActionEP8OSObjectP22IOInterruptEventSourcei"
#define FRAMES	   40u
#define FRAMES_ALL 700u /* more than ring and queue take */

static struct mac_kdp kdp;

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void connect_now(void)
{
	CHECK_MSG(kdp_client_connect(kdp.c) == 0, "%s", kdp_client_error(kdp.c));
}

/* The last reply is sent before the world goes. */
static bool runs(void *arg)
{
	(void)arg;
	return !mac_stopped();
}

static void disconnect_now(void)
{
	CHECK_MSG(kdp_client_disconnect(kdp.c) == 0, "%s", kdp_client_error(kdp.c));
	CHECK(mac_kdp_ended(&kdp) == 0);
	CHECK(mac_rig_wait(runs, NULL, LONG_MS));
}

/* One stop from the key to the end of the session. */
static void whole_session(void)
{
	mac_kdp_stop(&kdp, LONG_MS, false);
	mac_kdp_dial(&kdp);
	connect_now();
	mac_kdp_look_around(&kdp);
	disconnect_now();
}

/* ---- first, and again ---- */

static void first_case(void *arg)
{
	struct mac_rig_opts o = *(const struct mac_rig_opts *)arg;
	char forward[MAC_KDP_FORWARDED], netdev[MAC_KDP_FORWARDED + 16];
	struct mac_if_state state;
	struct mac_rig r;

	mac_kdp_open(&kdp, forward);
	(void)snprintf(netdev, sizeof(netdev), "user,id=n0%s", forward);
	o.netdev = netdev;
	o.no_up = true;
	o.boot_args = MAC_KDP_ARGS_IP;
	mac_rig_open(&r, &o);
	mac_if_state(r.ifp[0], &state);
	CHECK(!state.up);
	whole_session();
	/* The stack joins, and leaves, a controller that runs for the debugger. */
	CHECK(mac_if_up(r.ifp[0]) == 0);
	whole_session();
	CHECK(mac_if_down(r.ifp[0]) == 0);
	whole_session();
	/* With its device goes the debugger. */
	mac_rig_unload(&r);
	CHECK(mac_debugger("nobody", SHORT_MS) == -ENODEV);
	CHECK(mac_rig_load(&r) == 0);
	CHECK(mac_quiet(LONG_MS));
	mac_rig_find(&r);
	whole_session();
	mac_kdp_hang_up(&kdp);
	mac_rig_close(&r);
}

static void test_debugger_before_ifconfig_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(mac_rig_releases); i++) {
		struct mac_rig_opts o = {.release = mac_rig_releases[i]};

		mac_rig_case(first_case, &o, SECONDS);
	}
}

/* ---- beside traffic ---- */

/*
 * Each hit is stepped over; the last one leaves no breakpoint. The thread that pressed the key may
 * stand inside the kernel until the world goes on for good.
 */
static void breakpoint_hits(uint64_t at, unsigned hits)
{
	struct kdp_client_exception e;

	CHECK_MSG(kdp_client_break(kdp.c, at) == 0, "%s", kdp_client_error(kdp.c));
	for (unsigned i = 0; i < hits; i++) {
		CHECK_MSG(kdp_client_resume(kdp.c) == 0, "%s", kdp_client_error(kdp.c));
		CHECK_MSG(kdp_client_wait(kdp.c, HIT_MS, &e) == 1, "breakpoint not hit: %s",
			  kdp_client_error(kdp.c));
		CHECK_MSG(e.exception == KDP_EXC_BREAKPOINT && mac_stopped(),
			  "hit %u: exception %u, code %u, %s", i, e.exception, e.code,
			  mac_stopped() ? "stopped" : "running");
		mac_kdp_step_over(&kdp, at, i + 1 < hits);
	}
}

static void debug_traffic(struct mac_stack *s)
{
	CHECK(mac_stack_progress(s, TRANSFER / 16, LONG_MS));
	mac_kdp_stop(&kdp, LONG_MS, false);
	mac_kdp_dial(&kdp);
	connect_now();
	mac_kdp_look_around(&kdp);
	breakpoint_hits(mac_kdp_symbol(OUTPUT), 2);
	disconnect_now();

	/* It goes on, and stops for a second one. */
	CHECK(mac_stack_progress(s, TRANSFER / 16, LONG_MS));
	mac_kdp_stop(&kdp, LONG_MS, false);
	connect_now();
	breakpoint_hits(mac_kdp_symbol(INTERRUPT), 2);
	disconnect_now();
}

static void traffic_case(void *arg)
{
	struct mac_stack_opts o = {.rig = *(const struct mac_rig_opts *)arg};
	bool up = o.rig.release / 2 % 2;
	char forward[MAC_KDP_FORWARDED];
	struct mac_stack s;

	mac_kdp_open(&kdp, forward);
	o.forward = forward;
	o.rig.boot_args = MAC_KDP_ARGS;
	mac_stack_open(&s, &o);
	mac_kdp_address(s.lease.address);
	/* One direction: TCP takes seconds to come back from what a stop has lost. */
	if (up || mac_stack_soak())
		(void)mac_stack_with_trouble(&s, true, TRANSFER, debug_traffic);
	if (!up || mac_stack_soak())
		(void)mac_stack_with_trouble(&s, false, TRANSFER, debug_traffic);
	/* After all traffic, too. */
	whole_session();
	mac_stack_ping(&s, 56);
	mac_kdp_hang_up(&kdp);
	mac_stack_close(&s);
}

static void test_debugger_beside_tcp(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(mac_rig_releases); i++) {
		struct mac_rig_opts o = {.release = mac_rig_releases[i]};

		mac_rig_case(traffic_case, &o, SECONDS);
	}
}

/* ---- hosts that are lost, packets that are lost, panics, sleep ---- */

static void lost_host(void)
{
	mac_kdp_stop(&kdp, LONG_MS, false);
	mac_kdp_dial(&kdp);
	connect_now();
	CHECK(kdp_client_break(kdp.c, mac_kdp_symbol(OUTPUT)) == 0);
	mac_kdp_dial(&kdp);
	CHECK(kdp_client_connect(kdp.c) == -EBUSY);
	CHECK_MSG(kdp_client_reattach(kdp.c) == 0, "%s", kdp_client_error(kdp.c));
	/* The breakpoint went with its session. */
	CHECK(*(const uint8_t *)(uintptr_t)mac_kdp_symbol(OUTPUT) != 0xcc);
	mac_kdp_look_around(&kdp);
	disconnect_now();
}

static void lost_packets(void)
{
	struct mac_kdp_way way;
	uint16_t port = kdp.port;

	mac_kdp_way_lossy(&way, &kdp, LOSE_EACH);
	mac_kdp_stop(&kdp, LONG_MS, false);
	mac_kdp_dial(&kdp);
	connect_now();
	kdp_client_timeout(kdp.c, LOSSY_MS);
	mac_kdp_look_around(&kdp);
	kdp_client_timeout(kdp.c, KDP_CLIENT_TIMEOUT_MS);
	disconnect_now();
	mac_kdp_way_close(&way);
	kdp.port = port;
}

static void panic(void)
{
	mac_kdp_stop(&kdp, LONG_MS, true);
	mac_kdp_dial(&kdp);
	connect_now();
	mac_kdp_look_around(&kdp);
	CHECK(kdp_client_disconnect(kdp.c) == 0);
	CHECK(mac_stopped());
	/* Somebody else may have a look. */
	mac_kdp_dial(&kdp);
	connect_now();
	mac_kdp_look_around(&kdp);
	disconnect_now();
}

static void lost_case(void *arg)
{
	struct mac_rig_opts o = *(const struct mac_rig_opts *)arg;
	char forward[MAC_KDP_FORWARDED], netdev[MAC_KDP_FORWARDED + 16];
	struct mac_rig r;

	mac_kdp_open(&kdp, forward);
	(void)snprintf(netdev, sizeof(netdev), "user,id=n0%s", forward);
	o.netdev = netdev;
	o.boot_args = MAC_KDP_ARGS_IP;
	mac_rig_open(&r, &o);
	lost_host();
	if (o.release / 2 % 2 || mac_stack_soak())
		lost_packets();
	CHECK(mac_sleep() == 0);
	CHECK(mac_debugger("asleep", SHORT_MS) == -ENODEV);
	CHECK(mac_wake() == 0);
	whole_session();
	panic();
	/* Nobody comes. */
	CHECK(mac_debugger("nobody", 100) == -ETIMEDOUT);
	whole_session();
	mac_kdp_hang_up(&kdp);
	mac_rig_close(&r);
}

static void test_lost_hosts_and_packets_sleep_and_panic(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(mac_rig_releases); i++) {
		struct mac_rig_opts o = {.release = mac_rig_releases[i]};

		mac_rig_case(lost_case, &o, SECONDS);
	}
}

/* ---- which card ---- */

struct match {
	struct mac_rig_opts o;
	bool found;
};

static void match_case(void *arg)
{
	const struct match *m = arg;
	struct mac_rig r;
	int want = m->found ? -ETIMEDOUT : -ENODEV;

	mac_rig_open(&r, &m->o);
	CHECK(mac_quiet(LONG_MS));
	CHECK(mac_debugger("who is it", 50) == want);
	mac_rig_close(&r);
}

static void test_card_that_is_matched(void **state)
{
	static const struct {
		const char *args;
		bool no_built_in, found;
	} cards[] = {
		{MAC_KDP_ARGS_IP, false, true},
		{MAC_KDP_ARGS_IP, true, false},
		{MAC_KDP_ARGS_IP " kdp_match_name=en0", true, true},
		{MAC_KDP_ARGS_IP " kdp_match_name=en0", false, true},
		{MAC_KDP_ARGS_IP " kdp_match_name=en1", false, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(mac_rig_releases); i++) {
		for (size_t j = 0; j < COUNT(cards); j++) {
			struct match m = {.o = {.release = mac_rig_releases[i],
						.boot_args = cards[j].args,
						.no_built_in = cards[j].no_built_in},
					  .found = cards[j].found};

			mac_rig_case(match_case, &m, SECONDS);
		}
	}
}

/* ---- devices that do not work ---- */

static void hold(struct mac_rig *r, bool held)
{
	model_hold(board_model_lock(&r->model[0]), TX_QUEUE, held);
	board_model_unlock(&r->model[0]);
}

/* Frames of the kernel's, not yet transmitted; how many the interface took. */
static unsigned pile_up(struct mac_rig *r, unsigned n)
{
	static const uint8_t peer[6] = {0x52, 0x54, 0, 0x99, 0x99, 0x99};
	struct mac_if_state state;
	uint8_t frame[1600];
	unsigned taken = 0;

	mac_if_state(r->ifp[0], &state);
	for (unsigned i = 0; i < n; i++) {
		size_t len = mac_rig_frame(frame, peer, state.mac, 1000, i);

		taken += mac_rig_send(r, 0, frame, len) == 0;
	}
	return taken;
}

struct arrived {
	struct mac_kdp_way *way;
	unsigned n;
};

/* Frames that came while the pump was busy count, too. */
static bool arrived(void *arg)
{
	const struct arrived *a = arg;
	uint64_t dropped;

	(void)board_model_lock(a->way->model);
	dropped = a->way->model->dropped;
	board_model_unlock(a->way->model);
	return __atomic_load_n(&a->way->others, __ATOMIC_SEQ_CST) + dropped >= a->n;
}

/* The driver has given so many to the device. */
static bool in_ring(void *arg)
{
	const struct arrived *a = arg;
	struct model_state state;

	model_get(board_model_lock(a->way->model), &state);
	board_model_unlock(a->way->model);
	return state.q[TX_QUEUE].available >= a->n;
}

/* The key; nobody can let it go, and it is over in time all the same. */
static void stop_in_vain(void)
{
	uint64_t start = now_ms(), took;

	mac_kdp_stop(&kdp, SHORT_MS, false);
	mac_kdp_dial(&kdp);
	kdp_client_timeout(kdp.c, 200);
	CHECK(kdp_client_connect(kdp.c) == -ETIMEDOUT);
	CHECK(mac_kdp_ended(&kdp) == -ETIMEDOUT);
	took = now_ms() - start;
	CHECK_MSG(took < SHORT_MS + SLACK_MS, "a stop of %u ms took %llu ms", SHORT_MS,
		  (unsigned long long)took);
}

/* What was transmitted before the stop completes within it: packets are kept until it is over. */
static void completions_case(void *arg)
{
	struct mac_rig_opts o = *(const struct mac_rig_opts *)arg;
	struct mac_kdp_way way;
	struct arrived a = {.way = &way};
	char forward[MAC_KDP_FORWARDED];
	struct mac_rig r;

	o.boot_args = MAC_KDP_ARGS_IP;
	mac_rig_open(&r, &o);
	mac_kdp_open(&kdp, forward);
	mac_kdp_way_to_model(&way, &kdp, &r);
	hold(&r, true);
	a.n = pile_up(&r, FRAMES);
	CHECK(a.n == FRAMES && mac_rig_wait(in_ring, &a, LONG_MS));
	mac_kdp_stop(&kdp, LONG_MS, false);
	hold(&r, false);
	CHECK(mac_rig_wait(arrived, &a, LONG_MS));
	mac_kdp_dial(&kdp);
	connect_now();
	/* More packets than there are polled slots, or descriptors in the ring. */
	for (unsigned i = 0; i < 30; i++)
		mac_kdp_look_around(&kdp);
	disconnect_now();
	CHECK(way.others == FRAMES);
	mac_kdp_way_close(&way);
	mac_kdp_hang_up(&kdp);
	mac_rig_exchange(&r, 0, 20);
	mac_rig_close(&r);
}

/* No descriptor for the debugger's packets; then a link that is down. */
static void full_case(void *arg)
{
	struct mac_rig_opts o = *(const struct mac_rig_opts *)arg;
	struct mac_kdp_way way;
	struct arrived a = {.way = &way};
	char forward[MAC_KDP_FORWARDED];
	struct mac_if_state state;
	struct mac_rig r;

	o.boot_args = MAC_KDP_ARGS_IP;
	mac_rig_open(&r, &o);
	mac_kdp_open(&kdp, forward);
	mac_kdp_way_to_model(&way, &kdp, &r);
	hold(&r, true);
	a.n = pile_up(&r, FRAMES_ALL);
	CHECK(mac_if_queued(r.ifp[0]) > 0);
	stop_in_vain();
	hold(&r, false);
	mac_if_state(r.ifp[0], &state);
	a.n -= (unsigned)state.odropped;
	CHECK_MSG(mac_rig_wait(arrived, &a, LONG_MS), "%u frames of %u after the stop", way.others,
		  a.n);
	whole_session();

	model_link(board_model_lock(&r.model[0]), false);
	board_model_unlock(&r.model[0]);
	stop_in_vain();
	model_link(board_model_lock(&r.model[0]), true);
	board_model_unlock(&r.model[0]);
	whole_session();
	mac_kdp_way_close(&way);
	mac_kdp_hang_up(&kdp);
	mac_rig_exchange(&r, 0, 20);
	mac_rig_close(&r);
}

static bool runs_again(void *arg)
{
	struct mac_rig *r = arg;
	struct model_state state;

	model_get(board_model_lock(&r->model[0]), &state);
	board_model_unlock(&r->model[0]);
	return state.running && state.resets > 1 && mac_rig_logged("is started again");
}

/* It dies in the middle of a session. */
static void dead_case(void *arg)
{
	struct mac_rig_opts o = *(const struct mac_rig_opts *)arg;
	struct mac_kdp_way way;
	char forward[MAC_KDP_FORWARDED];
	uint64_t regs[KDP_CLIENT_REGS];
	struct mac_rig r;

	o.boot_args = MAC_KDP_ARGS_IP;
	mac_rig_open(&r, &o);
	mac_kdp_open(&kdp, forward);
	mac_kdp_way_to_model(&way, &kdp, &r);
	mac_kdp_stop(&kdp, DEAD_MS, false);
	mac_kdp_dial(&kdp);
	connect_now();
	kdp_client_timeout(kdp.c, 200);
	model_needs_reset(board_model_lock(&r.model[0]));
	board_model_unlock(&r.model[0]);
	CHECK(kdp_client_get_regs(kdp.c, regs) == -ETIMEDOUT);
	CHECK(mac_kdp_ended(&kdp) == -ETIMEDOUT);
	CHECK(mac_rig_wait(runs_again, &r, LONG_MS));
	whole_session();
	mac_kdp_way_close(&way);
	mac_kdp_hang_up(&kdp);
	mac_rig_exchange(&r, 0, 20);
	mac_rig_close(&r);
}

static void on_each_model(void (*run)(void *arg))
{
	for (size_t i = 0; i < COUNT(mac_rig_releases); i++) {
		struct mac_rig_opts o = {.release = mac_rig_releases[i]};

		board_model_defaults(&o.model);
		o.model.interface = i & 1 ? MODEL_LEGACY : MODEL_MODERN;
		mac_rig_case(run, &o, SECONDS);
	}
}

static void test_completions_while_stopped(void **state)
{
	(void)state;
	on_each_model(completions_case);
}

static void test_full_ring_and_link_down(void **state)
{
	(void)state;
	on_each_model(full_case);
}

static void test_device_dies_while_stopped(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(mac_rig_releases); i++) {
		struct mac_rig_opts o = {.release = mac_rig_releases[i]};

		if (i % 2 && !mac_stack_soak())
			continue; /* it is mostly waiting */
		/* A legacy device cannot say so. */
		board_model_defaults(&o.model);
		o.model.interface = MODEL_MODERN;
		mac_rig_case(dead_case, &o, SECONDS);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_debugger_before_ifconfig_up),
		cmocka_unit_test(test_debugger_beside_tcp),
		cmocka_unit_test(test_lost_hosts_and_packets_sleep_and_panic),
		cmocka_unit_test(test_card_that_is_matched),
		cmocka_unit_test(test_completions_while_stopped),
		cmocka_unit_test(test_full_ring_and_link_down),
		cmocka_unit_test(test_device_dies_while_stopped),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
