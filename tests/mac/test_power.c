/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sleep, wake and shutdown: under load, while down, with the debugger attached, with the link
 * another one afterwards. The device forgets everything while asleep, as it may; the driver has to
 * build it up again.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/mac/mac_noise.h"
#include "tests/mac/mac_stack.h"

#define STEP	     (UINT64_C(256) << 10) /* of a transfer, between two sleeps */
#define STEP_MS	     60000u
#define LINK_MS	     10000u
#define ATTACH_MS    50u
#define DEBUG_ARGS   "debug=0x144"
#define SLEEPS_MODEL 10u

/* Of one release, in transfers down and up: 30 in all, 200 in the long tests. */
static unsigned sleeps(bool upload)
{
	return (upload ? 2u : 4u) * (mac_stack_soak() ? 7u : 1u);
}

/* ---- during a transfer ---- */

/* QEMU: what a wake-up from real sleep does to the machine's devices. */
static void forget_qemu(struct mac_rig *r)
{
	CHECK_MSG(qemu_board_qmp(&r->board, "system_reset", NULL, NULL) == VIO_OK, "%s",
		  r->board.err);
}

static void sleep_and_wake(struct mac_stack *s, unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		CHECK_MSG(mac_stack_progress(s, STEP, STEP_MS),
			  "nothing is transferred any more after %u times asleep", i);
		CHECK(mac_sleep() == 0);
		if (i % 2)
			forget_qemu(&s->rig);
		CHECK(mac_wake() == 0);
	}
}

static void asleep_in_download(struct mac_stack *s)
{
	sleep_and_wake(s, sleeps(false));
}

static void asleep_in_upload(struct mac_stack *s)
{
	sleep_and_wake(s, sleeps(true));
}

static void load_case(void *arg)
{
	struct mac_noise noise;
	struct mac_stack s;

	mac_stack_open(&s, arg);
	mac_noise_start(&noise, &s.rig);
	(void)mac_stack_with_trouble(&s, false, UINT64_C(8) << 20, asleep_in_download);
	(void)mac_stack_with_trouble(&s, true, UINT64_C(8) << 20, asleep_in_upload);
	mac_noise_stop(&noise);
	mac_stack_close(&s);
}

static void test_sleep_and_wake_during_transfers(void **state)
{
	(void)state;
	if (!mac_stack_can_tap())
		skip();
	for (size_t i = 0; i < 5; i++) {
		struct mac_stack_opts o = {.rig = {.release = mac_rig_releases[i]}, .tap = true};

		mac_rig_case(load_case, &o, 300);
	}
}

/* ---- on the model ---- */

static void sleep_forget_wake(struct mac_rig *r)
{
	CHECK(mac_sleep() == 0);
	CHECK(board_model_power_cycle(&r->model[0]));
	CHECK(mac_wake() == 0);
}

static void frames_case(void *arg)
{
	struct mac_noise noise;
	struct mac_rig r;

	mac_rig_open(&r, arg);
	for (unsigned i = 0; i < SLEEPS_MODEL; i++) {
		mac_noise_start(&noise, &r);
		mac_noise_wait(&noise, 20);
		sleep_forget_wake(&r);
		mac_noise_wait(&noise, 20);
		CHECK(mac_sleep() == 0);
		CHECK(mac_wake() == 0);
		mac_noise_wait(&noise, 20);
		mac_noise_stop(&noise);
	}
	mac_rig_close(&r);
}

static void test_a_device_that_forgets_all(void **state)
{
	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct mac_rig_opts o = {.release = mac_rig_releases[i]};

		mac_rig_case(frames_case, &o, 60);
	}
}

static bool is_running(struct mac_rig *r)
{
	struct mac_if_state state;

	mac_if_state(r->ifp[0], &state);
	return state.running;
}

static uint8_t device_status(struct mac_rig *r)
{
	struct model_state state;

	model_get(board_model_lock(&r->model[0]), &state);
	board_model_unlock(&r->model[0]);
	return state.status;
}

/* An interface that is down stays down; ifconfig asleep is refused, and remembered. */
static void down_case(void *arg)
{
	uint8_t frame[64] = {0};
	struct mac_rig r;

	mac_rig_open(&r, arg);
	CHECK(mac_if_down(r.ifp[0]) == 0);
	sleep_forget_wake(&r);
	CHECK(mac_rig_send(&r, 0, frame, sizeof(frame)) != 0);
	CHECK(mac_if_up(r.ifp[0]) == 0);
	mac_rig_exchange(&r, 0, 10);

	CHECK(mac_sleep() == 0);
	CHECK(mac_if_down(r.ifp[0]) != 0);
	CHECK(board_model_power_cycle(&r.model[0]));
	CHECK(mac_wake() == 0);
	CHECK(mac_rig_send(&r, 0, frame, sizeof(frame)) != 0);

	CHECK(mac_sleep() == 0);
	CHECK(mac_if_up(r.ifp[0]) != 0);
	CHECK(mac_rig_send(&r, 0, frame, sizeof(frame)) != 0);
	CHECK(mac_wake() == 0);
	CHECK(is_running(&r));
	mac_rig_exchange(&r, 0, 10);
	mac_rig_close(&r);
}

static void test_sleep_while_down(void **state)
{
	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct mac_rig_opts o = {.release = mac_rig_releases[i]};

		mac_rig_case(down_case, &o, 30);
	}
}

/*
 * Registered with the kernel's debugger: it is there before and after, whether or not the
 * interface is up as well; and not while asleep.
 */
static void debugger_case(void *arg)
{
	struct mac_rig r;

	mac_rig_open(&r, arg);
	mac_kdp_address((const uint8_t[4]){10, 9, 8, 7});
	for (unsigned i = 0; i < 4; i++) {
		bool up = i % 2 == 0;

		CHECK((up ? mac_if_up : mac_if_down)(r.ifp[0]) == 0);
		CHECK_MSG(mac_debugger("before", ATTACH_MS) == -ETIMEDOUT,
			  "the debugger is not there before sleep");
		CHECK(mac_sleep() == 0);
		CHECK_MSG(mac_debugger("asleep", ATTACH_MS) == -ENODEV,
			  "the debugger is there while asleep");
		CHECK(board_model_power_cycle(&r.model[0]));
		CHECK(mac_wake() == 0);
		CHECK_MSG(mac_debugger("after", ATTACH_MS) == -ETIMEDOUT,
			  "the debugger is not there after sleep");
		if (up)
			mac_rig_exchange(&r, 0, 10);
	}
	mac_rig_close(&r);
}

static void test_sleep_with_the_debugger(void **state)
{
	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct mac_rig_opts o = {.release = mac_rig_releases[i], .boot_args = DEBUG_ARGS};

		mac_rig_case(debugger_case, &o, 60);
	}
}

/* ---- the link ---- */

struct link {
	struct mac_rig *r;
	bool active;
	uint64_t speed;
};

static bool link_is(void *arg)
{
	const struct link *l = arg;
	struct mac_if_state state;

	mac_if_state(l->r->ifp[0], &state);
	return state.link_valid && state.link_active == l->active &&
	       (!l->speed || state.speed == l->speed);
}

static void plug(struct mac_rig *r, bool up, uint32_t mbit)
{
	struct model *m = board_model_lock(&r->model[0]);

	model_speed(m, mbit, VIRTIO_NET_DUPLEX_FULL);
	model_link(m, up);
	board_model_unlock(&r->model[0]);
}

/* Each change while asleep, with and without the device's memory of anything else. */
static void link_case(void *arg)
{
	static const struct {
		bool up;
		uint32_t mbit;
	} changes[] = {{false, 1000},  {true, 1000}, {true, 100}, {true, 10000},
		       {false, 10000}, {false, 100}, {true, 100}};
	struct mac_rig r;

	mac_rig_open(&r, arg);
	for (unsigned forget = 0; forget < 2; forget++) {
		for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
			struct link want = {&r, changes[i].up,
					    changes[i].up ? changes[i].mbit * UINT64_C(1000000)
							  : 0};

			CHECK(mac_sleep() == 0);
			if (forget)
				CHECK(board_model_power_cycle(&r.model[0]));
			plug(&r, changes[i].up, changes[i].mbit);
			CHECK(mac_wake() == 0);
			CHECK_MSG(mac_rig_wait(link_is, &want, LINK_MS),
				  "change %zu of the link while asleep was not seen", i);
			if (changes[i].up)
				mac_rig_exchange(&r, 0, 3);
		}
	}
	mac_rig_close(&r);
}

static void test_the_link_changes_while_asleep(void **state)
{
	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct mac_rig_opts o = {.release = mac_rig_releases[i]};

		board_model_defaults(&o.model);
		o.model.features |= UINT64_C(1) << VIRTIO_NET_F_SPEED_DUPLEX;
		o.model.speed = 1000;
		o.model.duplex = VIRTIO_NET_DUPLEX_FULL;
		mac_rig_case(link_case, &o, 60);
	}
}

/* ---- shutdown ---- */

/* The next system finds memory that no device writes to any more. */
static void shutdown_case(void *arg)
{
	uint8_t frame[64] = {0};
	struct mac_noise noise;
	struct mac_rig r;

	mac_rig_open(&r, arg);
	mac_noise_start(&noise, &r);
	mac_noise_wait(&noise, 50);
	CHECK(mac_shutdown() == 0);
	CHECK_MSG(device_status(&r) == 0, "the device is at work after the shutdown, status %#x",
		  device_status(&r));
	mac_noise_stop(&noise);
	CHECK(mac_rig_send(&r, 0, frame, sizeof(frame)) != 0);
	mac_rig_close(&r);
}

static void test_shutdown_under_load(void **state)
{
	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct mac_rig_opts o = {.release = mac_rig_releases[i]};

		mac_rig_case(shutdown_case, &o, 30);
		o.boot_args = DEBUG_ARGS;
		mac_rig_case(shutdown_case, &o, 30);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sleep_and_wake_during_transfers),
		cmocka_unit_test(test_a_device_that_forgets_all),
		cmocka_unit_test(test_sleep_while_down),
		cmocka_unit_test(test_sleep_with_the_debugger),
		cmocka_unit_test(test_the_link_changes_while_asleep),
		cmocka_unit_test(test_shutdown_under_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
