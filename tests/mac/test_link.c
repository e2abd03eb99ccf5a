/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The link as users see it: what ifconfig shows, and one kernel event for each change, however the
 * device tells of it and whatever the interface is doing at that time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tests/mac/mac_wire.h"

#define SECONDS	  60u
#define SOAK	  400u /* 100 flaps, a tick for each change */
#define SEEN_MS	  10000u
#define GBIT	  UINT64_C(1000000000)
#define UNKNOWN	  UINT32_MAX
#define COUNT(of) (sizeof(of) / sizeof((of)[0]))

/* Line or message, by what the release takes; the legacy interface with both. */
static void model_of(struct mac_rig_opts *o, unsigned nth)
{
	board_model_defaults(&o->model);
	o->release = mac_rig_releases[nth];
	o->model.interface = nth & 1 ? MODEL_LEGACY : MODEL_MODERN;
	o->model.msix_entries = nth & 1 ? 1 : 4;
}

static void each_release(void (*run)(void *arg))
{
	for (unsigned i = 0; i < COUNT(mac_rig_releases); i++) {
		struct mac_rig_opts o = {0};

		model_of(&o, i);
		mac_rig_case(run, &o, SECONDS);
	}
}

static void set_link(struct mac_rig *r, bool up)
{
	if (r->qemu) {
		CHECK_MSG(qemu_board_link(&r->board, "nic0", up) == VIO_OK, "%s", r->board.err);
		return;
	}
	model_link(board_model_lock(&r->model[0]), up);
	board_model_unlock(&r->model[0]);
}

static void set_speed(struct mac_rig *r, uint32_t mbps)
{
	model_speed(board_model_lock(&r->model[0]), mbps, VIRTIO_NET_DUPLEX_FULL);
	board_model_unlock(&r->model[0]);
}

/* ---- what ifconfig shows ---- */

struct expect {
	struct mac_rig *r;
	bool active;
	uint64_t speed; /* 0: not looked at */
	unsigned ons, offs;
};

static bool seen(void *arg)
{
	const struct expect *e = arg;
	struct mac_if_state s;

	mac_if_state(e->r->ifp[0], &s);
	return s.link_active == e->active && (e->speed == 0 || s.speed == e->speed) &&
	       s.link_ons >= e->ons && s.link_offs >= e->offs;
}

/*
 * What is shown from now on, and exactly so many events: none is doubled, even if one looks a
 * little later.
 */
static void expect(struct mac_rig *r, bool active, unsigned ons, unsigned offs)
{
	struct expect e = {.r = r, .active = active, .ons = ons, .offs = offs};
	const struct timespec later = {.tv_nsec = 3000000};
	struct mac_if_state s;

	(void)mac_rig_wait(seen, &e, SEEN_MS);
	(void)nanosleep(&later, NULL);
	mac_if_state(r->ifp[0], &s);
	CHECK_MSG(s.link_valid && s.link_active == active && s.link_ons == ons &&
			  s.link_offs == offs,
		  "link %s, not %s; %u events of on, not %u; %u of off, not %u",
		  s.link_active ? "active" : "inactive", active ? "active" : "inactive", s.link_ons,
		  ons, s.link_offs, offs);
	if (active) {
		CHECK_MSG(strcmp(s.active, "none") != 0 && s.speed != 0,
			  "an active link with medium %s and speed %llu", s.active,
			  (unsigned long long)s.speed);
	} else {
		CHECK_MSG(!strcmp(s.active, "none"), "no link with medium %s", s.active);
	}
}

/* ---- speeds ---- */

static const struct {
	uint32_t mbps;
	uint64_t speed;
	const char *medium;
} speeds[] = {
	{10, GBIT / 100, "10baseT/UTP <full-duplex>"},
	{100, GBIT / 10, "100baseTX <full-duplex>"},
	{1000, GBIT, "1000baseT <full-duplex>"},
	{2500, GBIT / 2 * 5, "1000baseT <full-duplex>"}, /* the nearest that all releases know */
	{10000, 10 * GBIT, "10GbaseT <full-duplex>"},
	{100000, 100 * GBIT, "10GbaseT <full-duplex>"},
	{UNKNOWN, GBIT, "1000baseT <full-duplex>"}, /* a link without a speed would be no link */
};

static void check_speed(struct mac_rig *r, size_t nth)
{
	struct expect e = {.r = r, .active = true, .speed = speeds[nth].speed};
	struct mac_if_state s;

	CHECK_MSG(mac_rig_wait(seen, &e, SEEN_MS), "speed %u is not seen", speeds[nth].mbps);
	mac_if_state(r->ifp[0], &s);
	CHECK_MSG(!strcmp(s.active, speeds[nth].medium), "%u Mbit/s is %s", speeds[nth].mbps,
		  s.active);
	CHECK(!strcmp(s.selected, "autoselect"));
	CHECK(s.link_ons == 0 && s.link_offs == 0);
}

/* Changes while it runs are no link events. */
static void speed_case(void *arg)
{
	const struct mac_rig_opts *o = arg;
	struct mac_rig r;

	mac_rig_open(&r, o);
	for (size_t i = 0; i < COUNT(speeds); i++) {
		if (speeds[i].mbps == o->model.speed)
			check_speed(&r, i);
	}
	for (size_t i = 0; i < COUNT(speeds); i++) {
		set_speed(&r, speeds[i].mbps);
		check_speed(&r, i);
	}
	mac_rig_exchange(&r, 0, 4);
	mac_rig_close(&r);
}

/* Through the legacy interface there is no such feature. */
static void legacy_speed_case(void *arg)
{
	struct mac_rig r;

	mac_rig_open(&r, arg);
	check_speed(&r, COUNT(speeds) - 1);
	mac_rig_close(&r);
}

static void test_speeds(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(mac_rig_releases); i++) {
		struct mac_rig_opts o = {0};

		model_of(&o, i);
		if (o.model.interface == MODEL_LEGACY)
			mac_rig_case(legacy_speed_case, &o, SECONDS);
		o.model.interface = MODEL_TRANSITIONAL;
		mac_rig_case(speed_case, &o, SECONDS);
	}
}

/* Each speed as the one that the device starts with. */
static void test_speed_at_start(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(speeds); i++) {
		struct mac_rig_opts o = {0};

		model_of(&o, (unsigned)(i % COUNT(mac_rig_releases)));
		o.model.interface = MODEL_MODERN;
		o.model.speed = speeds[i].mbps;
		mac_rig_case(speed_case, &o, SECONDS);
	}
}

/* ---- up and down ---- */

/* Once up, nothing comes but changes; and nothing is lost by ifconfig down and up again. */
static void change_case(void *arg)
{
	struct mac_if_state s;
	struct mac_rig r;

	mac_rig_open(&r, arg);
	expect(&r, true, 0, 0);
	set_link(&r, false);
	expect(&r, false, 0, 1);
	set_link(&r, true);
	expect(&r, true, 1, 1);
	mac_rig_exchange(&r, 0, 4);

	/* While the interface is down the device is not looked at. */
	CHECK(mac_if_down(r.ifp[0]) == 0);
	set_link(&r, false);
	CHECK(mac_if_up(r.ifp[0]) == 0);
	expect(&r, false, 1, 2);
	CHECK(mac_if_down(r.ifp[0]) == 0);
	set_link(&r, true);
	CHECK(mac_if_up(r.ifp[0]) == 0);
	expect(&r, true, 2, 2);
	CHECK(mac_if_down(r.ifp[0]) == 0 && mac_if_up(r.ifp[0]) == 0);
	expect(&r, true, 2, 2);
	mac_rig_exchange(&r, 0, 4);

	/* A frame for a link that is down is the device's to drop; the interface lives. */
	set_link(&r, false);
	expect(&r, false, 2, 3);
	mac_if_state(r.ifp[0], &s);
	CHECK(s.up && s.running);
	mac_rig_close(&r);
}

static void test_each_change_is_one_event(void **state)
{
	(void)state;
	each_release(change_case);
}

/* The cable is not in when the Mac starts, and comes in before, or after, ifconfig up. */
static void unplugged_case(void *arg)
{
	struct mac_rig r;

	mac_rig_open(&r, arg);
	CHECK(mac_if_up(r.ifp[0]) == 0);
	expect(&r, false, 0, 0);
	set_link(&r, true);
	expect(&r, true, 1, 0);
	mac_rig_exchange(&r, 0, 4);
	mac_rig_close(&r);
}

static void unplugged_before_case(void *arg)
{
	struct mac_if_state s;
	struct mac_rig r;

	mac_rig_open(&r, arg);
	mac_if_state(r.ifp[0], &s);
	CHECK(s.link_valid && !s.link_active && !strcmp(s.active, "none"));
	set_link(&r, true);
	CHECK(mac_if_up(r.ifp[0]) == 0);
	expect(&r, true, 1, 0);
	mac_rig_exchange(&r, 0, 4);
	mac_rig_close(&r);
}

static void test_unplugged_at_start(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(mac_rig_releases); i++) {
		struct mac_rig_opts o = {.no_up = true};

		model_of(&o, i);
		o.model.link_down = true;
		mac_rig_case(unplugged_case, &o, SECONDS);
		mac_rig_case(unplugged_before_case, &o, SECONDS);
	}
}

/* A device that does not tell of its link has one. */
static void silent_case(void *arg)
{
	struct mac_rig r;

	mac_rig_open(&r, arg);
	expect(&r, true, 0, 0);
	mac_rig_exchange(&r, 0, 4);
	mac_rig_close(&r);
}

static void test_device_without_link_status(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(mac_rig_releases); i++) {
		struct mac_rig_opts o = {0};

		model_of(&o, i);
		o.model.features &= ~((UINT64_C(1) << VIRTIO_NET_F_STATUS) |
				      (UINT64_C(1) << VIRTIO_NET_F_GUEST_ANNOUNCE));
		mac_rig_case(silent_case, &o, SECONDS);
	}
}

/* ---- flapping ---- */

/* Each one waited for, with frames in between; a change among frames may wait for the tick. */
static void flap_case(void *arg)
{
	unsigned n = getenv("VIOKIT_SOAK") ? 100 : 4;
	struct mac_rig r;

	mac_rig_open(&r, arg);
	for (unsigned i = 0; i < n; i++) {
		struct expect off = {&r, false, 0, i, i + 1}, on = {&r, true, 0, i + 1, i + 1};

		set_link(&r, false);
		CHECK_MSG(mac_rig_wait(seen, &off, SEEN_MS), "flap %u: down is not seen", i);
		set_link(&r, true);
		CHECK_MSG(mac_rig_wait(seen, &on, SEEN_MS), "flap %u: up is not seen", i);
		mac_rig_exchange(&r, 0, 1);
	}
	expect(&r, true, n, n);
	mac_rig_close(&r);
}

static void test_flap_among_frames(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(mac_rig_releases); i++) {
		struct mac_rig_opts o = {0};

		model_of(&o, i);
		mac_rig_case(flap_case, &o, getenv("VIOKIT_SOAK") ? SOAK : SECONDS);
	}
}

static bool settled(void *arg)
{
	struct mac_rig *r = arg;
	struct mac_if_state s;

	mac_if_state(r->ifp[0], &s);
	return !s.link_active && s.link_offs == s.link_ons + 1;
}

/* Faster than anybody looks: as it is at the end, and events that add up. */
static void storm_case(void *arg)
{
	const struct timespec later = {.tv_nsec = 150000000};
	struct mac_if_state s;
	struct mac_rig r;

	mac_rig_open(&r, arg);
	for (unsigned i = 0; i < 100; i++) {
		set_link(&r, i & 1);
		if (i % 10 == 0)
			mac_rig_flush(&r);
	}
	set_link(&r, false);
	CHECK(mac_rig_wait(settled, &r, SEEN_MS));
	(void)nanosleep(&later, NULL); /* readings of the configuration are rationed */
	CHECK(mac_rig_wait(settled, &r, SEEN_MS));
	mac_if_state(r.ifp[0], &s);
	CHECK_MSG(s.link_offs == s.link_ons + 1 && s.link_offs <= 51, "%u on, %u off", s.link_ons,
		  s.link_offs);
	set_link(&r, true);
	expect(&r, true, s.link_ons + 1, s.link_offs);
	mac_rig_exchange(&r, 0, 4);
	CHECK(!mac_rig_logged("started again"));
	mac_rig_close(&r);
}

static void test_flap_100(void **state)
{
	(void)state;
	each_release(storm_case);
}

/* ---- media ---- */

/* ifconfig en0 media: remembered, up or down, and nothing else changes. */
static void media_case(void *arg)
{
	static const char *const media[] = {
		"10baseT/UTP <full-duplex>", "100baseTX <full-duplex>", "1000baseT <full-duplex>",
		"10GbaseT <full-duplex>",    "10GbaseT <full-duplex>",	"autoselect",
	};
	struct mac_if_state s, before;
	struct mac_rig r;

	mac_rig_open(&r, arg);
	mac_if_state(r.ifp[0], &before);
	for (unsigned round = 0; round < 2; round++) {
		for (size_t i = 0; i < COUNT(media); i++) {
			CHECK(mac_if_media(r.ifp[0], media[i]) == 0);
			mac_if_state(r.ifp[0], &s);
			CHECK_MSG(!strcmp(s.selected, media[i]), "%s selected, not %s", s.selected,
				  media[i]);
			CHECK(!strcmp(s.active, before.active) && s.speed == before.speed);
			CHECK(s.link_ons == 0 && s.link_offs == 0);
		}
		CHECK(mac_if_media(r.ifp[0], "1000baseT <half-duplex>") != 0);
		CHECK(round ? mac_if_up(r.ifp[0]) == 0 : mac_if_down(r.ifp[0]) == 0);
	}
	mac_rig_exchange(&r, 0, 4);
	mac_rig_close(&r);
}

static void test_select_media(void **state)
{
	(void)state;
	each_release(media_case);
}

/* ---- announcement ---- */

static bool is_announcement(const struct board_frame *f, const uint8_t mac[6])
{
	static const uint8_t kind[10] = {0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3};
	static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	return f->len >= 42 && !memcmp(f->data, all, 6) && !memcmp(f->data + 6, mac, 6) &&
	       !memcmp(f->data + 12, kind, 10) && !memcmp(f->data + 22, mac, 6) &&
	       !memcmp(f->data + 32, mac, 6);
}

static void announce(struct mac_rig *r, const uint8_t mac[6], uint64_t nth)
{
	struct model_state state;
	struct board_frame f;

	model_announce(board_model_lock(&r->model[0]));
	board_model_unlock(&r->model[0]);
	CHECK_MSG(board_model_take(&r->model[0], &f, SEEN_MS * 1000), "no announcement");
	CHECK_MSG(is_announcement(&f, mac), "%u bytes that are no announcement", f.len);
	free(f.data);
	model_get(board_model_lock(&r->model[0]), &state);
	board_model_unlock(&r->model[0]);
	CHECK(state.announces_acked == nth && !state.announce_pending);
}

/* The hypervisor has moved the machine and wants switches to know: with the address as it is. */
static void announce_case(void *arg)
{
	static const uint8_t other[6] = {0x52, 0x54, 0, 0x77, 0x77, 0x77};
	struct mac_if_state s;
	struct mac_rig r;

	mac_rig_open(&r, arg);
	mac_if_state(r.ifp[0], &s);
	announce(&r, s.mac, 1);
	announce(&r, s.mac, 2);
	CHECK(mac_if_lladdr(r.ifp[0], other) == 0);
	announce(&r, other, 3);
	CHECK(mac_if_down(r.ifp[0]) == 0 && mac_if_up(r.ifp[0]) == 0);
	announce(&r, other, 4);
	expect(&r, true, 0, 0);
	mac_rig_exchange(&r, 0, 4);
	mac_rig_close(&r);
}

static void test_announce(void **state)
{
	(void)state;
	each_release(announce_case);
}

/* ---- QEMU's set_link ---- */

static void qemu_case(void *arg)
{
	struct mac_rig_opts o = *(const struct mac_rig_opts *)arg;
	struct mac_wire wire;
	struct mac_rig r;

	mac_wire_open(&wire);
	o.netdev = wire.netdev;
	o.fds = &wire.qemu_fd;
	o.n_fds = 1;
	mac_rig_open(&r, &o);
	for (unsigned i = 0; i < 4; i++) {
		expect(&r, true, i, i);
		mac_wire_exchange(&wire, &r, 0, 2, SEEN_MS);
		set_link(&r, false);
		expect(&r, false, i, i + 1);
		set_link(&r, true);
	}
	expect(&r, true, 4, 4);
	CHECK(mac_if_down(r.ifp[0]) == 0);
	set_link(&r, false);
	CHECK(mac_if_up(r.ifp[0]) == 0);
	expect(&r, false, 4, 5);
	mac_rig_close(&r);
	mac_wire_close(&wire);
}

static void test_qemu(void **state)
{
	static const char *const props[] = {"", ",disable-modern=on,disable-legacy=off"};

	(void)state;
	for (unsigned i = 0; i < COUNT(mac_rig_releases); i++) {
		struct mac_rig_opts o = {.release = mac_rig_releases[i], .props = props[i & 1]};

		mac_rig_case(qemu_case, &o, SECONDS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_speeds),
		cmocka_unit_test(test_speed_at_start),
		cmocka_unit_test(test_each_change_is_one_event),
		cmocka_unit_test(test_unplugged_at_start),
		cmocka_unit_test(test_device_without_link_status),
		cmocka_unit_test(test_flap_among_frames),
		cmocka_unit_test(test_flap_100),
		cmocka_unit_test(test_select_media),
		cmocka_unit_test(test_announce),
		cmocka_unit_test(test_qemu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
