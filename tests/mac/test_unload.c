/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kextunload with traffic in both directions, again and again: it ends, nothing is left, and the
 * next kextload works. The state of the interface is another one each time: up, down, asleep.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/mac/mac_noise.h"
#include "tests/mac/mac_stack.h"

#define NET_ID	 "org.viokit.VirtioNet"
#define PCI_ID	 "org.viokit.VirtioPCI"
#define QUIET_MS 20000u
#define STEP	 (UINT64_C(128) << 10)
#define STEP_MS	 60000u

/* 200 over the releases; each in the long tests. */
static unsigned unloads(void)
{
	return mac_stack_soak() ? 200 : 40;
}

/* No service, no class, no kext; the device reset. */
static void nothing_is_there(struct mac_rig *r)
{
	static const char *const classes[] = {"VirtioNetController", "VirtioPCIDriver",
					      "VirtioDevice", "IOEthernetInterface"};

	CHECK(mac_quiet(QUIET_MS));
	CHECK(!mac_kext_loaded(NET_ID));
	CHECK(!mac_kext_loaded(PCI_ID));
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		CHECK_MSG(mac_registry_count(classes[i]) == 0, "%u services of class %s are left",
			  mac_registry_count(classes[i]), classes[i]);
	CHECK(mac_if_gone(r->ifp[0]));
	if (!r->qemu) {
		struct model_state state;

		model_get(board_model_lock(&r->model[0]), &state);
		board_model_unlock(&r->model[0]);
		CHECK_MSG(state.status == 0, "the device was left at work, status %#x",
			  state.status);
	}
}

static void load_again(struct mac_rig *r)
{
	CHECK(mac_rig_load(r) == 0);
	CHECK(mac_quiet(QUIET_MS));
	mac_rig_find(r);
}

/* ---- on the model: frames both ways ---- */

enum pose { UP, DOWN, ASLEEP, JUST_UP, POSES };

static void frames_case(void *arg)
{
	struct mac_noise noise;
	struct mac_rig r;

	mac_rig_open(&r, arg);
	mac_noise_start(&noise, &r);
	for (unsigned i = 0; i < unloads(); i++) {
		enum pose pose = (enum pose)(i % POSES);

		if (pose != JUST_UP)
			mac_noise_wait(&noise, 10);
		if (pose == DOWN)
			CHECK(mac_if_down(r.ifp[0]) == 0);
		if (pose == ASLEEP)
			CHECK(mac_sleep() == 0);
		mac_rig_unload(&r);
		nothing_is_there(&r);
		if (pose == ASLEEP)
			CHECK(mac_wake() == 0);
		load_again(&r);
		mac_noise_moved(&noise);
	}
	mac_noise_wait(&noise, 10);
	mac_noise_stop(&noise);
	mac_rig_close(&r);
}

static void test_unload_200_times_under_load(void **state)
{
	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct mac_rig_opts o = {.release = mac_rig_releases[i]};

		mac_rig_case(frames_case, &o, mac_stack_soak() ? 600 : 120);
	}
}

/* ---- on QEMU: in the middle of a transfer ---- */

static void unload_all(struct mac_stack *s)
{
	CHECK(mac_stack_progress(s, STEP, STEP_MS));
	mac_rig_unload(&s->rig);
}

/* The connection breaks, as it must; with the kexts loaded again the next one works. */
static void transfer_case(void *arg)
{
	struct mac_stack s;

	mac_stack_open(&s, arg);
	for (unsigned i = 0; i < 4; i++) {
		mac_stack_broken(&s, i % 2, unload_all);
		nothing_is_there(&s.rig);
		load_again(&s.rig);
		mac_stack_start(&s);
		mac_stack_both_ways(&s);
	}
	mac_stack_close(&s);
}

static void test_unload_in_the_middle_of_a_transfer(void **state)
{
	(void)state;
	if (!mac_stack_can_tap())
		skip();
	for (size_t i = 0; i < 5; i++) {
		struct mac_stack_opts o = {
			.rig = {.release = mac_rig_releases[i]}, .tap = true, .mib = 1};

		mac_rig_case(transfer_case, &o, 120);
	}
}

/* ---- in the wrong order ---- */

/*
 * VirtioPCI cannot go while VirtioNet is linked to it. The kernel says so only after it has
 * terminated VirtioPCI's services, and with them the interface: unloading both in order is what
 * brings it back, and only that.
 */
static void order_case(void *arg)
{
	char why[256] = "";
	struct mac_rig r;

	mac_rig_open(&r, arg);
	for (unsigned i = 0; i < 3; i++) {
		mac_rig_exchange(&r, 0, 5);
		CHECK(mac_kext_unload(PCI_ID, why, sizeof(why)) != 0);
		CHECK(mac_kext_loaded(PCI_ID));
		CHECK(mac_kext_loaded(NET_ID));
		CHECK(mac_quiet(QUIET_MS));
		CHECK(mac_if_gone(r.ifp[0]));
		CHECK(mac_registry_count("VirtioNetController") == 0);
		mac_rig_unload(&r);
		nothing_is_there(&r);
		load_again(&r);
	}
	mac_rig_exchange(&r, 0, 5);
	mac_rig_close(&r);
}

static void test_the_wrong_one_first(void **state)
{
	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct mac_rig_opts o = {.release = mac_rig_releases[i]};

		mac_rig_case(order_case, &o, 60);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unload_200_times_under_load),
		cmocka_unit_test(test_unload_in_the_middle_of_a_transfer),
		cmocka_unit_test(test_the_wrong_one_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
