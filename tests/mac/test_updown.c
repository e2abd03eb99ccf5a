/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ifconfig up and down, over and over: idle, under traffic, and while the link comes and goes. The
 * device is running after each up and reset after each down, and at the end nothing is left.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tests/mac/mac_wire.h"

#define SECONDS	  120u
#define TIMES	  1000u
#define SOON_MS	  10000u
#define MARK	  0x5a5a5au
#define MARK_LEN  1500u /* trouble has none as long */
#define COUNT(of) (sizeof(of) / sizeof((of)[0]))

static const uint8_t peer_mac[6] = {0x52, 0x54, 0, 0x99, 0x99, 0x99};

struct updown {
	struct mac_rig_opts o;
	unsigned times;
};

static void model_of(struct updown *u, unsigned nth)
{
	board_model_defaults(&u->o.model);
	u->o.release = mac_rig_releases[nth];
	u->o.model.interface = nth & 1 ? MODEL_LEGACY : MODEL_MODERN;
}

/* In full for one release, a tenth for the others; all of them to soak. */
static void each_release(void (*run)(void *arg), unsigned times)
{
	bool full = getenv("VIOKIT_SOAK") != NULL;

	for (unsigned i = 0; i < COUNT(mac_rig_releases); i++) {
		struct updown u = {.times = full || mac_rig_releases[i] == 13 ? times : times / 10};

		model_of(&u, i);
		mac_rig_case(run, &u, SECONDS);
	}
}

/* ---- what disturbs ---- */

struct trouble {
	struct mac_rig *r;
	struct mac_wire *wire; /* NULL: the model */
	bool frames, link;
	bool over; /* atomic */
	pthread_t thread;
};

static void trouble_frames(struct trouble *t, const uint8_t mac[6], unsigned nth)
{
	uint8_t frame[1514];
	size_t len = mac_rig_frame(frame, mac, peer_mac, 46 + nth * 31 % 1454, nth);
	struct board_frame out;

	if (t->wire)
		mac_wire_send(t->wire, frame, len);
	else
		(void)board_model_send(&t->r->model[0], NULL, frame, len, false);
	len = mac_rig_frame(frame, peer_mac, mac, 46 + nth * 17 % 1454, nth);
	switch (mac_rig_send(t->r, 0, frame, len)) {
	case 0:
	case -ENETDOWN:
	case -ENOBUFS:
		break;
	default:
		CHECK_MSG(false, "a frame for an interface that goes down has another error");
	}
	if (t->wire)
		while (mac_wire_receive(t->wire, frame, sizeof(frame), 0))
			continue;
	else if (board_model_take(&t->r->model[0], &out, 0))
		free(out.data);
	mac_rig_flush(t->r);
}

static void trouble_link(struct trouble *t, bool up)
{
	model_link(board_model_lock(&t->r->model[0]), up);
	board_model_unlock(&t->r->model[0]);
}

static void *trouble_run(void *arg)
{
	struct trouble *t = arg;
	/* A configuration that changes faster than it can be read is no device's. */
	const struct timespec nap = {.tv_nsec = t->link ? 2000000 : 50000};
	struct mac_if_state state;
	unsigned n = 0;

	mac_if_state(t->r->ifp[0], &state);
	while (!__atomic_load_n(&t->over, __ATOMIC_RELAXED)) {
		n++;
		if (t->frames)
			trouble_frames(t, state.mac, n);
		if (t->link)
			trouble_link(t, n & 1);
		(void)nanosleep(&nap, NULL);
	}
	if (t->link)
		trouble_link(t, true);
	return NULL;
}

static void trouble_begin(struct trouble *t)
{
	t->over = false;
	CHECK(pthread_create(&t->thread, NULL, trouble_run, t) == 0);
}

static void trouble_end(struct trouble *t)
{
	__atomic_store_n(&t->over, true, __ATOMIC_RELAXED);
	CHECK(pthread_join(t->thread, NULL) == 0);
}

/* ---- up and down ---- */

static void check_up(struct mac_rig *r, bool up)
{
	struct mac_if_state state;
	struct model_state model;

	mac_if_state(r->ifp[0], &state);
	CHECK(state.up == up && state.running == up);
	if (r->qemu)
		return;
	model_get(board_model_lock(&r->model[0]), &model);
	board_model_unlock(&r->model[0]);
	CHECK_MSG(!model.broken, "the device is broken: %s", model.broken);
	CHECK_MSG(model.running == up, "the device %s after ifconfig %s",
		  model.running ? "runs" : "does not run", up ? "up" : "down");
	if (!up)
		CHECK_MSG(model.status == 0, "the device has status %#x after ifconfig down",
			  model.status);
}

static void toggle(struct mac_rig *r, unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		CHECK(mac_if_down(r->ifp[0]) == 0);
		check_up(r, false);
		CHECK(mac_if_up(r->ifp[0]) == 0);
		check_up(r, true);
	}
}

/* The next frame that the Mac has sent. */
static size_t taken(struct mac_rig *r, struct mac_wire *wire, uint8_t *frame, size_t max)
{
	struct board_frame out;
	size_t len = 0;

	if (wire)
		return mac_wire_receive(wire, frame, max, SOON_MS);
	if (board_model_take(&r->model[0], &out, SOON_MS * 1000)) {
		len = out.len < max ? out.len : max;
		memcpy(frame, out.data, len);
		free(out.data);
	}
	return len;
}

/* Whatever is still on its way, both ways, comes before a last frame that no other is like. */
static void drain(struct mac_rig *r, struct mac_wire *wire)
{
	uint8_t frame[1600], last[MARK_LEN + 14];
	struct mac_if_state state;
	size_t len;

	mac_if_state(r->ifp[0], &state);
	len = mac_rig_frame(last, state.mac, peer_mac, MARK_LEN, MARK);
	if (wire)
		mac_wire_send(wire, last, len);
	else
		CHECK(board_model_send(&r->model[0], NULL, last, len, false) == MODEL_RX_OK);
	do {
		len = mac_rig_receive(r, 0, frame, sizeof(frame), SOON_MS, NULL);
		CHECK_MSG(len, "the last frame for the Mac is not received");
	} while (!mac_rig_frame_is(frame, len, MARK_LEN, MARK));

	len = mac_rig_frame(last, peer_mac, state.mac, MARK_LEN, MARK);
	CHECK(mac_rig_send(r, 0, last, len) == 0);
	do {
		len = taken(r, wire, frame, sizeof(frame));
		CHECK_MSG(len, "the last frame from the Mac is not sent");
	} while (!mac_rig_frame_is(frame, len, MARK_LEN, MARK));
}

static void idle_case(void *arg)
{
	const struct updown *u = arg;
	struct mac_rig r;

	mac_rig_open(&r, &u->o);
	for (unsigned i = 0; i < 10; i++) {
		toggle(&r, u->times / 10);
		mac_rig_exchange(&r, 0, 2);
	}
	CHECK(mac_if_down(r.ifp[0]) == 0 && mac_if_down(r.ifp[0]) == 0);
	check_up(&r, false);
	CHECK(mac_if_up(r.ifp[0]) == 0 && mac_if_up(r.ifp[0]) == 0);
	check_up(&r, true);
	mac_rig_exchange(&r, 0, 2);
	CHECK(!mac_rig_logged("started again") && !mac_rig_logged("does not start"));
	mac_rig_close(&r);
}

static void test_enable_disable_1000(void **state)
{
	(void)state;
	each_release(idle_case, TIMES);
}

static void traffic_case(void *arg)
{
	const struct updown *u = arg;
	struct trouble t = {.frames = true};
	struct mac_rig r;

	mac_rig_open(&r, &u->o);
	t.r = &r;
	for (unsigned i = 0; i < 4; i++) {
		trouble_begin(&t);
		toggle(&r, u->times / 4);
		trouble_end(&t);
		drain(&r, NULL);
		mac_rig_exchange(&r, 0, 2);
	}
	CHECK(!mac_rig_logged("started again") && !mac_rig_logged("does not start"));
	mac_rig_close(&r);
}

static void test_enable_disable_under_traffic(void **state)
{
	(void)state;
	each_release(traffic_case, TIMES);
}

static bool linked(void *arg)
{
	struct mac_rig *r = arg;
	struct mac_if_state s;

	mac_if_state(r->ifp[0], &s);
	return s.link_active && s.link_ons == s.link_offs;
}

/* At the end the link is up, however often anybody saw it change. */
static void link_case(void *arg)
{
	const struct updown *u = arg;
	struct trouble t = {.link = true, .frames = true};
	struct mac_rig r;

	mac_rig_open(&r, &u->o);
	t.r = &r;
	trouble_begin(&t);
	toggle(&r, u->times);
	trouble_end(&t);
	CHECK(mac_rig_wait(linked, &r, SOON_MS));
	drain(&r, NULL);
	mac_rig_exchange(&r, 0, 4);
	CHECK(!mac_rig_logged("started again") && !mac_rig_logged("does not start"));
	mac_rig_close(&r);
}

static void test_enable_disable_while_link_toggles(void **state)
{
	(void)state;
	each_release(link_case, TIMES / 2);
}

/* ---- QEMU ---- */

static void qemu_case(void *arg)
{
	const struct updown *u = arg;
	struct mac_rig_opts o = u->o;
	struct trouble t = {.frames = true};
	struct mac_wire wire;
	struct mac_rig r;

	mac_wire_open(&wire);
	o.netdev = wire.netdev;
	o.fds = &wire.qemu_fd;
	o.n_fds = 1;
	mac_rig_open(&r, &o);
	t.r = &r;
	t.wire = &wire;
	toggle(&r, u->times / 2);
	mac_wire_exchange(&wire, &r, 0, 2, SOON_MS);
	trouble_begin(&t);
	toggle(&r, u->times / 2);
	trouble_end(&t);
	drain(&r, &wire);
	mac_wire_exchange(&wire, &r, 0, 2, SOON_MS);
	CHECK(!mac_rig_logged("started again") && !mac_rig_logged("does not start"));
	mac_rig_close(&r);
	mac_wire_close(&wire);
}

static void test_qemu(void **state)
{
	static const char *const props[] = {"", ",disable-modern=on,disable-legacy=off"};
	bool full = getenv("VIOKIT_SOAK") != NULL;

	(void)state;
	for (unsigned i = 0; i < COUNT(mac_rig_releases); i++) {
		struct updown u = {
			.o.release = mac_rig_releases[i],
			.o.props = props[i & 1],
			.times = full ? TIMES : 40,
		};

		mac_rig_case(qemu_case, &u, SECONDS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_enable_disable_1000),
		cmocka_unit_test(test_enable_disable_under_traffic),
		cmocka_unit_test(test_enable_disable_while_link_toggles),
		cmocka_unit_test(test_qemu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
