/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What passes: promiscuous mode, multicast lists, the address of the interface, VLAN tags, sizes.
 * What users set must be what the device has been told, whenever they set it, and after the
 * interface was down.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/mac/mac_wire.h"

#define SECONDS	    60u
#define SOON_MS	    5000u
#define FULL	    64u /* addresses that fit the driver's table, and devices' */
#define BIT(name)   (UINT64_C(1) << VIRTIO_NET_F_##name)
#define COUNT(of)   (sizeof(of) / sizeof((of)[0]))
#define VLAN_FRAME  1518u /* without a checksum, tag included */
#define JUMBO_FRAME 9014u

static const uint8_t peer_mac[6] = {0x52, 0x54, 0, 0x99, 0x99, 0x99};

static void model_of(struct mac_rig_opts *o, unsigned nth)
{
	static const enum model_interface faces[] = {MODEL_MODERN, MODEL_LEGACY,
						     MODEL_TRANSITIONAL};

	board_model_defaults(&o->model);
	o->release = mac_rig_releases[nth];
	o->model.interface = faces[nth % 3];
}

/* Features off and on again, on each release. */
static void each_release(void (*run)(void *arg), uint64_t without, uint16_t mtu)
{
	for (unsigned i = 0; i < COUNT(mac_rig_releases); i++) {
		struct mac_rig_opts o = {0};

		model_of(&o, i);
		o.model.features &= ~without;
		o.model.mtu = mtu;
		mac_rig_case(run, &o, SECONDS);
	}
}

static void get(struct mac_rig *r, struct model_state *state)
{
	model_get(board_model_lock(&r->model[0]), state);
	board_model_unlock(&r->model[0]);
}

static const uint8_t *group(unsigned nth)
{
	static uint8_t mac[6] = {0x01, 0x00, 0x5e, 0x10};

	mac[4] = (uint8_t)(nth >> 8);
	mac[5] = (uint8_t)nth;
	return mac;
}

static bool has_group(const struct model_state *s, unsigned nth)
{
	for (unsigned i = 0; i < s->nmulticast; i++) {
		if (!memcmp(s->multicast[i], group(nth), 6))
			return true;
	}
	return false;
}

/* The device lets this address through, and the frame arrives; or neither. */
static void check_passes(struct mac_rig *r, const uint8_t to[6], bool passes)
{
	uint8_t frame[64], got[64];
	size_t len = mac_rig_frame(frame, to, peer_mac, 46, to[5]);
	enum model_rx_result result = board_model_send(&r->model[0], NULL, frame, len, false);

	CHECK_MSG(result == (passes ? MODEL_RX_OK : MODEL_RX_FILTERED),
		  "a frame to %02x:...:%02x:%02x has result %d", to[0], to[4], to[5], (int)result);
	if (passes)
		CHECK(mac_rig_receive(r, 0, got, sizeof(got), SOON_MS, NULL) == len &&
		      !memcmp(frame, got, len));
}

/* ---- promiscuous, all multicast, lists ---- */

/* Groups from `first` on, n of them; the rest does not pass. */
static void check_filter(struct mac_rig *r, bool promisc, bool allmulti, unsigned first, unsigned n)
{
	struct model_state s;

	get(r, &s);
	CHECK_MSG(s.promisc == promisc, "promiscuous is %d", s.promisc);
	CHECK_MSG(s.allmulti == allmulti, "all multicast is %d", s.allmulti);
	CHECK(s.nunicast == 0 && !s.unicast_overflow && !s.multicast_overflow);
	CHECK(!s.alluni && !s.nomulti && !s.nouni && !s.nobcast);
	if (allmulti)
		return;
	CHECK_MSG(s.nmulticast == n, "%u groups, not %u", s.nmulticast, n);
	for (unsigned i = first; i < first + n; i++)
		CHECK_MSG(has_group(&s, i), "group %u is not there", i);
}

static void again(struct mac_rig *r)
{
	CHECK(mac_if_down(r->ifp[0]) == 0);
	CHECK(mac_if_up(r->ifp[0]) == 0);
}

static void modes_case(void *arg)
{
	static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	struct mac_if_state state;
	struct mac_rig r;

	mac_rig_open(&r, arg);
	mac_if_state(r.ifp[0], &state);
	check_filter(&r, false, false, 0, 0);
	check_passes(&r, state.mac, true);
	check_passes(&r, all, true);
	check_passes(&r, peer_mac, false);
	check_passes(&r, group(1), false);

	CHECK(mac_if_allmulti(r.ifp[0], true) == 0);
	check_filter(&r, false, true, 0, 0);
	check_passes(&r, group(1), true);
	check_passes(&r, peer_mac, false);
	again(&r);
	check_filter(&r, false, true, 0, 0);
	CHECK(mac_if_promisc(r.ifp[0], true) == 0);
	check_filter(&r, true, true, 0, 0);
	CHECK(mac_if_allmulti(r.ifp[0], false) == 0);
	check_filter(&r, true, false, 0, 0);
	check_passes(&r, peer_mac, true);
	again(&r);
	check_filter(&r, true, false, 0, 0);
	check_passes(&r, group(1), true);

	/* Two users; and switched off while nobody tells the device. */
	CHECK(mac_if_promisc(r.ifp[0], true) == 0 && mac_if_promisc(r.ifp[0], false) == 0);
	check_filter(&r, true, false, 0, 0);
	CHECK(mac_if_down(r.ifp[0]) == 0);
	CHECK(mac_if_promisc(r.ifp[0], false) == 0);
	CHECK(mac_if_up(r.ifp[0]) == 0);
	check_filter(&r, false, false, 0, 0);
	check_passes(&r, peer_mac, false);
	mac_rig_close(&r);
}

static void test_promiscuous_and_all_multicast(void **state)
{
	(void)state;
	each_release(modes_case, 0, 1500);
}

/* One after another up to more than fit, and down again: then the table is exact once more. */
static void list_case(void *arg)
{
	struct mac_rig r;

	mac_rig_open(&r, arg);
	for (unsigned i = 0; i < FULL; i++) {
		CHECK(mac_if_multicast(r.ifp[0], group(i), true) == 0);
		check_filter(&r, false, false, 0, i + 1);
	}
	check_passes(&r, group(FULL - 1), true);
	check_passes(&r, group(FULL), false);
	for (unsigned i = FULL; i < FULL + 8; i++) {
		CHECK(mac_if_multicast(r.ifp[0], group(i), true) == 0);
		check_filter(&r, false, true, 0, 0);
	}
	check_passes(&r, group(0), true);
	check_passes(&r, group(FULL), true);
	again(&r);
	check_filter(&r, false, true, 0, 0);
	for (unsigned i = 0; i < FULL + 8; i++) {
		CHECK(mac_if_multicast(r.ifp[0], group(i), false) == 0);
		if (i >= 7)
			check_filter(&r, false, false, i + 1, FULL + 7 - i);
		if (i == FULL / 2)
			again(&r);
	}
	check_passes(&r, group(FULL), false);

	/* A member twice leaves with the second; and while down, things are remembered. */
	CHECK(mac_if_multicast(r.ifp[0], group(3), true) == 0);
	CHECK(mac_if_multicast(r.ifp[0], group(3), true) == 0);
	CHECK(mac_if_multicast(r.ifp[0], group(3), false) == 0);
	check_filter(&r, false, false, 3, 1);
	CHECK(mac_if_down(r.ifp[0]) == 0);
	CHECK(mac_if_multicast(r.ifp[0], group(4), true) == 0);
	CHECK(mac_if_up(r.ifp[0]) == 0);
	check_filter(&r, false, false, 3, 2);
	check_passes(&r, group(4), true);
	CHECK(mac_if_multicast(r.ifp[0], group(4), false) == 0);
	CHECK(mac_if_down(r.ifp[0]) == 0);
	CHECK(mac_if_multicast(r.ifp[0], group(3), false) == 0);
	CHECK(mac_if_up(r.ifp[0]) == 0);
	check_filter(&r, false, false, 0, 0);
	check_passes(&r, group(3), false);
	mac_rig_close(&r);
}

static void test_multicast_list(void **state)
{
	(void)state;
	each_release(list_case, 0, 1500);
}

/* A device without filters passes everything, and users are not told of errors. */
static void unfiltered_case(void *arg)
{
	struct mac_rig r;

	mac_rig_open(&r, arg);
	CHECK(mac_if_promisc(r.ifp[0], true) == 0 && mac_if_promisc(r.ifp[0], false) == 0);
	CHECK(mac_if_allmulti(r.ifp[0], true) == 0 && mac_if_allmulti(r.ifp[0], false) == 0);
	CHECK(mac_if_multicast(r.ifp[0], group(1), true) == 0);
	check_passes(&r, group(1), true);
	CHECK(mac_if_multicast(r.ifp[0], group(1), false) == 0);
	mac_rig_exchange(&r, 0, 4);
	mac_rig_close(&r);
}

static void test_device_without_filters(void **state)
{
	(void)state;
	each_release(unfiltered_case, BIT(CTRL_RX), 1500);
	each_release(unfiltered_case,
		     BIT(CTRL_RX) | BIT(CTRL_VQ) | BIT(CTRL_VLAN) | BIT(CTRL_MAC_ADDR) |
			     BIT(CTRL_GUEST_OFFLOADS) | BIT(GUEST_ANNOUNCE),
		     1500);
}

/* ---- ifconfig en0 ether ---- */

static const uint8_t other_mac[6] = {0x52, 0x54, 0, 0x77, 0x77, 0x77};
static const uint8_t multicast_mac[6] = {0x53, 0x54, 0, 0x77, 0x77, 0x77};

static void address_case(void *arg)
{
	struct mac_if_state before, s;
	struct model_state state;
	struct mac_rig r;

	mac_rig_open(&r, arg);
	mac_if_state(r.ifp[0], &before);
	CHECK(mac_if_lladdr(r.ifp[0], multicast_mac) != 0);
	check_passes(&r, before.mac, true);
	for (unsigned round = 0; round < 2; round++) {
		CHECK(mac_if_lladdr(r.ifp[0], other_mac) == 0);
		mac_if_state(r.ifp[0], &s);
		get(&r, &state);
		CHECK(!memcmp(s.mac, other_mac, 6) && !memcmp(state.mac, other_mac, 6));
		check_passes(&r, other_mac, true);
		check_passes(&r, before.mac, false);
		again(&r);
		get(&r, &state);
		CHECK(!memcmp(state.mac, other_mac, 6));
		check_passes(&r, other_mac, true);
		mac_rig_exchange(&r, 0, 2);
		/* Back, and this time while it is down. */
		CHECK(mac_if_down(r.ifp[0]) == 0);
		CHECK(mac_if_lladdr(r.ifp[0], before.mac) == 0);
		CHECK(mac_if_up(r.ifp[0]) == 0);
		check_passes(&r, before.mac, true);
		check_passes(&r, other_mac, false);
	}
	mac_rig_close(&r);
}

static void test_set_address(void **state)
{
	(void)state;
	each_release(address_case, 0, 1500);
}

/* Without the command a modern device's address stays; a legacy one's can be written. */
static void fixed_address_case(void *arg)
{
	const struct mac_rig_opts *o = arg;
	struct mac_if_state before, s;
	struct mac_rig r;

	if (o->model.interface == MODEL_LEGACY) {
		address_case(arg);
		return;
	}
	mac_rig_open(&r, o);
	mac_if_state(r.ifp[0], &before);
	CHECK(mac_if_lladdr(r.ifp[0], other_mac) == -EOPNOTSUPP);
	mac_if_state(r.ifp[0], &s);
	CHECK(!memcmp(s.mac, before.mac, 6));
	check_passes(&r, before.mac, true);
	check_passes(&r, other_mac, false);
	mac_rig_exchange(&r, 0, 2);
	mac_rig_close(&r);
}

static void test_fixed_address(void **state)
{
	(void)state;
	each_release(fixed_address_case, BIT(CTRL_MAC_ADDR), 1500);
}

/* ---- tags and sizes ---- */

static size_t any_frame(uint8_t *frame, const uint8_t to[6], const uint8_t from[6], size_t len,
			uint16_t vlan)
{
	static const uint8_t tag[2] = {0x81, 0x00};

	(void)mac_rig_frame(frame, to, from, len - 14, (unsigned)len);
	if (!vlan)
		return len;
	memmove(frame + 16, frame + 12, len - 16);
	memcpy(frame + 12, tag, 2);
	frame[14] = (uint8_t)(vlan >> 8);
	frame[15] = (uint8_t)vlan;
	return len;
}

static void both_ways(struct mac_rig *r, size_t len, uint16_t vlan)
{
	static uint8_t frame[65536], got[65536];
	struct mac_if_state state;
	struct board_frame out;
	size_t have;

	mac_if_state(r->ifp[0], &state);
	(void)any_frame(frame, state.mac, peer_mac, len, vlan);
	CHECK(board_model_send(&r->model[0], NULL, frame, len, false) == MODEL_RX_OK);
	have = mac_rig_receive(r, 0, got, sizeof(got), SOON_MS, NULL);
	CHECK_MSG(have == len && !memcmp(frame, got, len), "%zu of %zu bytes received", have, len);
	(void)any_frame(frame, peer_mac, state.mac, len, vlan);
	CHECK(mac_rig_send(r, 0, frame, len) == 0);
	CHECK_MSG(board_model_take(&r->model[0], &out, SOON_MS * 1000), "%zu bytes are not sent",
		  len);
	CHECK_MSG(out.len == len && !memcmp(frame, out.data, len), "%u of %zu bytes sent", out.len,
		  len);
	free(out.data);
}

static bool has_error(void *arg)
{
	struct mac_rig *r = arg;
	struct mac_if_state state;

	mac_if_state(r->ifp[0], &state);
	return state.oerrors > 0;
}

/* Tagged frames of all sizes, in promiscuous mode too; the device is not asked to filter tags. */
static void vlan_case(void *arg)
{
	static const uint16_t tags[] = {1, 100, 0xefff, 4094};
	struct mac_if_state state;
	struct mac_rig r;

	mac_rig_open(&r, arg);
	mac_if_state(r.ifp[0], &state);
	CHECK(state.vlan_mtu);
	for (size_t i = 0; i < COUNT(tags); i++) {
		both_ways(&r, 64, tags[i]);
		both_ways(&r, VLAN_FRAME, tags[i]);
	}
	both_ways(&r, VLAN_FRAME - 4, 0);
	mac_rig_close(&r);
}

static void test_vlan(void **state)
{
	(void)state;
	each_release(vlan_case, 0, 1500);
	each_release(vlan_case, BIT(MRG_RXBUF) | BIT(GUEST_TSO4) | BIT(GUEST_TSO6), 1500);
}

static void jumbo_case(void *arg)
{
	struct mac_if_state state;
	struct mac_rig r;

	mac_rig_open(&r, arg);
	CHECK(mac_if_mtu(r.ifp[0], 9001) == -EINVAL);
	CHECK(mac_if_mtu(r.ifp[0], 45) == -EINVAL);
	CHECK(mac_if_mtu(r.ifp[0], 9000) == 0);
	mac_if_state(r.ifp[0], &state);
	CHECK(state.mtu == 9000);
	both_ways(&r, JUMBO_FRAME, 0);
	both_ways(&r, JUMBO_FRAME + 4, 7);
	both_ways(&r, 60, 0);
	again(&r);
	both_ways(&r, JUMBO_FRAME, 0);
	CHECK(mac_if_mtu(r.ifp[0], 46) == 0 && mac_if_mtu(r.ifp[0], 1500) == 0);
	mac_if_state(r.ifp[0], &state);
	CHECK(state.mtu == 1500);
	both_ways(&r, 1514, 0);
	mac_rig_close(&r);
}

static void test_mtu_9000(void **state)
{
	(void)state;
	each_release(jumbo_case, 0, 9000);
	each_release(jumbo_case, BIT(MRG_RXBUF), 9000);
}

/* What the device did not offer cannot be set. */
static void usual_mtu_case(void *arg)
{
	struct mac_if_state state;
	struct mac_rig r;

	mac_rig_open(&r, arg);
	CHECK(mac_if_mtu(r.ifp[0], 1501) == -EINVAL);
	CHECK(mac_if_mtu(r.ifp[0], 9000) == -EINVAL);
	CHECK(mac_if_mtu(r.ifp[0], 1400) == 0);
	CHECK(mac_if_mtu(r.ifp[0], 1500) == 0);
	mac_if_state(r.ifp[0], &state);
	CHECK(state.mtu == 1500);
	both_ways(&r, 1514, 0);
	both_ways(&r, VLAN_FRAME, 5);
	mac_rig_close(&r);
}

static void test_mtu_limit(void **state)
{
	(void)state;
	each_release(usual_mtu_case, 0, 1500);
	each_release(usual_mtu_case, BIT(MTU), 9000);
}

/* Less than usual: longer frames are refused and counted, shorter ones pass. */
static void small_mtu_case(void *arg)
{
	static uint8_t frame[1514];
	struct board_frame out;
	struct mac_rig r;

	mac_rig_open(&r, arg);
	CHECK(mac_if_mtu(r.ifp[0], 1400) == 0);
	both_ways(&r, 1414, 0);
	(void)mac_rig_frame(frame, peer_mac, other_mac, 1500, 1);
	CHECK(mac_rig_send(&r, 0, frame, sizeof(frame)) == 0);
	CHECK(mac_rig_wait(has_error, &r, SOON_MS));
	CHECK(!board_model_take(&r.model[0], &out, 1000));
	both_ways(&r, 1414, 0);
	mac_rig_close(&r);
}

static void test_mtu_below_usual(void **state)
{
	(void)state;
	each_release(small_mtu_case, 0, 1400);
}

/* ---- QEMU's own account ---- */

static json_t *qemu_filter(struct mac_rig *r)
{
	json_t *args = json_pack("{s:s}", "name", "nic0"), *list = NULL, *filter;

	CHECK_MSG(qemu_board_qmp(&r->board, "query-rx-filter", args, &list) == VIO_OK, "%s",
		  r->board.err);
	filter = json_incref(json_array_get(list, 0));
	json_decref(list);
	CHECK(filter != NULL);
	return filter;
}

static void check_qemu(struct mac_rig *r, bool promisc, const char *multicast, size_t n)
{
	json_t *f = qemu_filter(r);
	const char *mode = json_string_value(json_object_get(f, "multicast"));

	CHECK(json_is_true(json_object_get(f, "promiscuous")) == promisc);
	CHECK_MSG(mode && !strcmp(mode, multicast), "multicast is %s", mode ? mode : "not there");
	CHECK(json_array_size(json_object_get(f, "multicast-table")) == n);
	CHECK(json_is_false(json_object_get(f, "multicast-overflow")));
	CHECK(json_array_size(json_object_get(f, "unicast-table")) == 0);
	json_decref(f);
}

static void qemu_case(void *arg)
{
	struct mac_rig_opts o = *(const struct mac_rig_opts *)arg;
	struct mac_wire wire;
	const char *mac;
	struct mac_rig r;
	json_t *f;

	mac_wire_open(&wire);
	o.netdev = wire.netdev;
	o.fds = &wire.qemu_fd;
	o.n_fds = 1;
	mac_rig_open(&r, &o);
	check_qemu(&r, false, "normal", 0);
	for (unsigned i = 0; i < 3; i++)
		CHECK(mac_if_multicast(r.ifp[0], group(i), true) == 0);
	check_qemu(&r, false, "normal", 3);
	CHECK(mac_if_promisc(r.ifp[0], true) == 0);
	check_qemu(&r, true, "normal", 3);
	CHECK(mac_if_promisc(r.ifp[0], false) == 0);
	CHECK(mac_if_allmulti(r.ifp[0], true) == 0);
	check_qemu(&r, false, "all", 3);
	CHECK(mac_if_lladdr(r.ifp[0], other_mac) == 0);
	again(&r);
	check_qemu(&r, false, "all", 3);
	f = qemu_filter(&r);
	mac = json_string_value(json_object_get(f, "main-mac"));
	CHECK_MSG(mac && !strcmp(mac, "52:54:00:77:77:77"), "%s", mac ? mac : "no address");
	json_decref(f);
	CHECK(mac_if_allmulti(r.ifp[0], false) == 0);
	for (unsigned i = 3; i < FULL; i++)
		CHECK(mac_if_multicast(r.ifp[0], group(i), true) == 0);
	check_qemu(&r, false, "normal", FULL);
	CHECK(mac_if_multicast(r.ifp[0], group(FULL), true) == 0);
	check_qemu(&r, false, "all", 0);
	CHECK(mac_if_multicast(r.ifp[0], group(0), false) == 0);
	check_qemu(&r, false, "normal", FULL);
	mac_wire_exchange(&wire, &r, 0, 4, SOON_MS);
	mac_rig_close(&r);
	mac_wire_close(&wire);
}

static void test_qemu(void **state)
{
	static const char *const props[] = {",host_mtu=9000",
					    ",disable-modern=on,disable-legacy=off"};

	(void)state;
	for (unsigned i = 0; i < COUNT(mac_rig_releases); i++) {
		struct mac_rig_opts o = {.release = mac_rig_releases[i], .props = props[i & 1]};

		mac_rig_case(qemu_case, &o, SECONDS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_promiscuous_and_all_multicast),
		cmocka_unit_test(test_multicast_list),
		cmocka_unit_test(test_device_without_filters),
		cmocka_unit_test(test_set_address),
		cmocka_unit_test(test_fixed_address),
		cmocka_unit_test(test_vlan),
		cmocka_unit_test(test_mtu_9000),
		cmocka_unit_test(test_mtu_limit),
		cmocka_unit_test(test_mtu_below_usual),
		cmocka_unit_test(test_qemu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
