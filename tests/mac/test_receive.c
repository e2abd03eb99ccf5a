/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the interface receives is what the device was given: every byte, the lengths of all parts,
 * and a word on the checksum that is neither more nor less than what the device has said.
 *
 * Releases differ. 10.6 sums IPv6 up by itself, whatever a driver says: a sum that was left undone
 * has to be made by the driver there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/mac/mac_frames.h"
#include "wire/virtio.h"

#define WAIT_MS	   10000u
#define SILENCE_MS 20u
#define SECONDS	   120u
#define PACKET_MAX 65593u /* Ethernet, tag, IPv6, 64 KiB - 1 */
#define ROOM	   70000u
#define BUFFERS	   33u /* of 2 KiB, for the largest packet: more of them cannot be */
#define BIT(f)	   VIRTIO_BIT(VIRTIO_NET_F_##f)

static uint8_t frame[ROOM], received[ROOM];

static void all_releases(void (*run)(void *arg), void (*set)(struct mac_rig_opts *o))
{
	for (size_t i = 0; i < 5; i++) {
		struct mac_rig_opts o = {.release = mac_rig_releases[i]};

		board_model_defaults(&o.model);
		if (set)
			set(&o);
		mac_rig_case(run, &o, SECONDS);
	}
}

static void own_mac(struct mac_rig *r, uint8_t mac[6])
{
	struct mac_if_state s;

	mac_if_state(r->ifp[0], &s);
	memcpy(mac, s.mac, 6);
}

static void expect(struct mac_rig *r, const void *want, size_t len, bool good, const char *what)
{
	bool vouched = false;
	size_t got = mac_rig_receive(r, 0, received, ROOM, WAIT_MS, &vouched);

	CHECK_MSG(got == len, "%s: received %zu bytes instead of %zu", what, got, len);
	CHECK_MSG(memcmp(received, want, len) == 0, "%s: other bytes were received", what);
	CHECK_MSG(vouched == good, "%s: the checksum is %svouched for", what,
		  vouched ? "" : "not ");
}

/* The receiver is alive and the next packet is this one: what was before it has gone. */
static void expect_marker(struct mac_rig *r, unsigned nth, const char *what)
{
	static const uint8_t from[6] = {2};
	uint8_t mac[6], marker[100];
	size_t len;

	own_mac(r, mac);
	len = mac_rig_frame(marker, mac, from, 60 + nth % 20, nth);
	CHECK(board_model_send(&r->model[0], NULL, marker, len, false) == MODEL_RX_OK);
	expect(r, marker, len, false, what);
}

/* ---- checksums ---- */

static const struct craft sums[] = {
	{.name = "TCP4", .payload = 1000, .tcp_opts = 3},
	{.name = "TCP4, odd length", .payload = 777, .ip_opts = 3},
	{.name = "TCP4, no payload", .tcp_opts = 10},
	{.name = "UDP4", .udp = true, .payload = 1400},
	{.name = "TCP4, tagged", .vlan = 123, .payload = 1448, .tcp_opts = 3},
	{.name = "UDP4, tagged", .vlan = 5, .udp = true, .payload = 99},
	{.name = "TCP6", .v6 = true, .payload = 1000, .tcp_opts = 3},
	{.name = "UDP6", .v6 = true, .udp = true, .payload = 333},
	{.name = "TCP6, tagged", .v6 = true, .vlan = 9, .payload = 1400},
};

/* A device that left the sum to be made, one that has looked at it, and one that has not. */
static void three_verdicts(struct mac_rig *r, const struct craft *c, unsigned nth)
{
	struct model_hdr undone, valid = {.flags = VIRTIO_NET_HDR_F_DATA_VALID};
	struct board_model *m = &r->model[0];
	bool six = r->release == 6, trusted, taken;
	struct model_state state;
	struct mac_frame f;
	uint8_t mac[6];

	own_mac(r, mac);
	mac_frame_make(&f, c, mac, true, nth);
	undone = mac_frame_header(&f);
	model_get(board_model_lock(m), &state);
	board_model_unlock(m);
	taken = state.accepted & BIT(GUEST_CSUM); /* else the model makes the sum */
	trusted = taken && !(six && c->v6);

	CHECK(board_model_send(m, &undone, f.frame, f.c.len, false) == MODEL_RX_OK);
	if (taken && !six)
		expect(r, f.frame, f.c.len, true, c->name);
	else
		expect(r, f.piece[0], f.len[0], false, c->name);
	CHECK(board_model_send(m, &valid, f.piece[0], f.len[0], false) == MODEL_RX_OK);
	expect(r, f.piece[0], f.len[0], trusted, c->name);
	CHECK(board_model_send(m, NULL, f.piece[0], f.len[0], false) == MODEL_RX_OK);
	expect(r, f.piece[0], f.len[0], false, c->name);
	mac_frame_free(&f);
}

static void verdicts_case(void *arg)
{
	struct mac_rig r;

	mac_rig_open(&r, arg);
	for (unsigned i = 0; i < sizeof(sums) / sizeof(sums[0]); i++)
		three_verdicts(&r, &sums[i], i);
	mac_rig_close(&r);
}

static void test_checksum_verdicts(void **state)
{
	(void)state;
	all_releases(verdicts_case, NULL);
}

static void set_unknown_flags(struct mac_rig_opts *o)
{
	o->model.odd.unknown_flags = true;
}

static void test_unknown_header_flags(void **state)
{
	(void)state;
	all_releases(verdicts_case, set_unknown_flags);
}

static void set_no_offload(struct mac_rig_opts *o)
{
	o->boot_args = "vio_offload=0";
}

static void test_nothing_trusted_without_offload(void **state)
{
	(void)state;
	all_releases(verdicts_case, set_no_offload);
}

static void set_no_merge(struct mac_rig_opts *o)
{
	o->model.features &= ~BIT(MRG_RXBUF);
}

static void test_checksum_verdicts_without_merging(void **state)
{
	(void)state;
	all_releases(verdicts_case, set_no_merge);
}

/* A checksum that is not in the packet: dropped, and the next one comes. */
static void outside_case(void *arg)
{
	static const uint16_t at[][2] = {{1000, 16}, {34, 0xffff}, {0xffff, 16},    {113, 0},
					 {114, 0},   {99, 15},	   {0xffff, 0xffff}};
	static const uint8_t from[6] = {2};
	struct mac_rig r;
	uint8_t mac[6];

	mac_rig_open(&r, arg);
	own_mac(&r, mac);
	for (unsigned i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		struct model_hdr hdr = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					.csum_start = at[i][0],
					.csum_offset = at[i][1]};
		size_t len = mac_rig_frame(frame, mac, from, 100, i);

		CHECK(board_model_send(&r.model[0], &hdr, frame, len, true) == MODEL_RX_OK);
		expect_marker(&r, i, "after a checksum outside of the packet");
	}
	mac_rig_close(&r);
}

static void test_checksum_outside_of_packet(void **state)
{
	(void)state;
	all_releases(outside_case, NULL);
}

/* ---- large packets ---- */

static const struct craft larges[] = {
	{.name = "LRO4", .payload = 4000, .mss = 1448, .tcp_opts = 3},
	{.name = "LRO4, tagged", .vlan = 3, .payload = 9000, .mss = 1448, .tcp_opts = 3},
	{.name = "LRO4, options", .payload = 30000, .mss = 1380, .ip_opts = 10, .tcp_opts = 10},
	{.name = "LRO4, all", .payload = 65535 - 52, .mss = 1448, .tcp_opts = 3},
	{.name = "LRO4, a buffer", .payload = 2048 - 12 - 54, .mss = 1000},
	{.name = "LRO4, a buffer and a byte", .payload = 2048 - 12 - 54 + 1, .mss = 1000},
	{.name = "LRO6", .v6 = true, .payload = 20000, .mss = 1428, .tcp_opts = 3},
	{.name = "LRO6, all", .v6 = true, .payload = 65535 - 72, .mss = 1428, .tcp_opts = 3},
};

static void keep_whole(void *arg, const uint8_t *data, size_t len)
{
	(void)arg;
	memcpy(frame, data, len);
}

/* The packet as it is if the driver takes it so, or in pieces. */
static void one_large(struct mac_rig *r, const struct craft *c, unsigned nth)
{
	struct model_hdr hdr, sum_only;
	struct model_state state;
	struct mac_frame f;
	uint64_t needs = c->v6 ? BIT(GUEST_TSO6) : BIT(GUEST_TSO4);
	uint8_t mac[6];

	own_mac(r, mac);
	mac_frame_make(&f, c, mac, true, nth);
	hdr = sum_only = mac_frame_header(&f);
	sum_only.gso_type = VIRTIO_NET_HDR_GSO_NONE;
	model_get(board_model_lock(&r->model[0]), &state);
	board_model_unlock(&r->model[0]);
	CHECK(board_model_send(&r->model[0], &hdr, f.frame, f.c.len, false) == MODEL_RX_OK);
	if (!(state.accepted & needs)) {
		CHECK(!(state.accepted & BIT(MRG_RXBUF)) || (r->release == 6 && c->v6));
		for (unsigned i = 0; i < f.n; i++)
			expect(r, f.piece[i], f.len[i], false, c->name);
	} else if (r->release == 6) {
		CHECK(model_complete(&sum_only, f.frame, f.c.len, keep_whole, NULL) == 1);
		expect(r, frame, f.c.len, false, c->name);
	} else {
		expect(r, f.frame, f.c.len, true, c->name);
	}
	mac_frame_free(&f);
}

static void large_case(void *arg)
{
	struct mac_rig r;

	mac_rig_open(&r, arg);
	for (unsigned turn = 0; turn < 6; turn++) {
		for (unsigned i = 0; i < sizeof(larges) / sizeof(larges[0]); i++)
			one_large(&r, &larges[i], turn + i);
	}
	mac_rig_close(&r);
}

static void test_lro_up_to_64_kib(void **state)
{
	(void)state;
	all_releases(large_case, NULL);
}

/* Our buffers of up to 16 KiB are too small for that: such packets are refused from the start. */
static void test_lro_without_merging(void **state)
{
	(void)state;
	all_releases(large_case, set_no_merge);
}

/* ---- merged buffers ---- */

#define HEADS (14u + 20u + 20u + 12u)

/* In buffers that are filled oddly. `drops`: the driver cannot use such a packet. */
static void one_split(struct mac_rig *r, const struct craft *c, const uint16_t *lens, unsigned n,
		      bool drops)
{
	struct mac_frame f;
	struct model_hdr hdr;
	uint8_t mac[6];

	own_mac(r, mac);
	mac_frame_make(&f, c, mac, true, n + lens[0]);
	hdr = mac_frame_header(&f);
	model_split(board_model_lock(&r->model[0]), lens, n);
	board_model_unlock(&r->model[0]);
	CHECK(board_model_send(&r->model[0], &hdr, f.frame, f.c.len, false) == MODEL_RX_OK);
	model_split(board_model_lock(&r->model[0]), NULL, 0);
	board_model_unlock(&r->model[0]);
	if (!drops && r->release != 6)
		expect(r, f.frame, f.c.len, true, "split");
	if (!drops && r->release == 6) {
		hdr.gso_type = VIRTIO_NET_HDR_GSO_NONE;
		CHECK(model_complete(&hdr, f.frame, f.c.len, keep_whole, NULL) == 1);
		expect(r, frame, f.c.len, false, "split");
	}
	expect_marker(r, n + lens[0], "after a split one");
	mac_frame_free(&f);
}

static void split_case(void *arg)
{
	static const struct craft small = {.name = "small", .payload = 1000, .tcp_opts = 3};
	static const struct craft big = {
		.name = "big", .payload = 9000, .mss = 1448, .tcp_opts = 3};
	uint16_t lens[BUFFERS - 1];
	struct mac_rig r;

	mac_rig_open(&r, arg);
	/* The Ethernet header has to be in the first one; of a large packet, all headers. */
	for (unsigned i = 0; i < HEADS + 3; i++) {
		const uint16_t first = (uint16_t)i;

		one_split(&r, &small, &first, 1, first < 14);
		one_split(&r, &big, &first, 1, first < HEADS);
	}
	for (uint16_t step = 0; step < 40; step++) { /* buffers with few bytes or none behind it */
		for (unsigned i = 0; i < BUFFERS - 1; i++)
			lens[i] = i ? (uint16_t)(step * i % 41) : (uint16_t)(HEADS + step);
		one_split(&r, &small, lens, 1 + step % 30, false);
		one_split(&r, &big, lens, 1 + step % 24, false);
	}
	mac_rig_close(&r);
}

static void test_merged_buffers_at_odd_places(void **state)
{
	(void)state;
	all_releases(split_case, NULL);
}

/* ---- lengths ---- */

static void lengths_case(void *arg)
{
	static const size_t odd[] = {14, 15, 59, 60, 61, 1513, 1514, 1518};
	static const uint8_t from[6] = {2};
	const struct mac_rig_opts *o = arg;
	bool merge = o->model.features & BIT(MRG_RXBUF);
	struct mac_if_state s;
	struct mac_rig r;
	uint64_t errors;

	mac_rig_open(&r, arg);
	mac_if_state(r.ifp[0], &s);
	errors = s.ierrors;
	for (size_t len = 0; len < 14; len++) { /* runts */
		(void)mac_rig_frame(frame, s.mac, from, 0, 0);
		CHECK(board_model_send(&r.model[0], NULL, frame, len, true) == MODEL_RX_OK);
		expect_marker(&r, (unsigned)len, "after a runt");
	}
	for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		(void)mac_rig_frame(frame, s.mac, from, odd[i] - 14, i);
		CHECK(board_model_send(&r.model[0], NULL, frame, odd[i], true) == MODEL_RX_OK);
		expect(&r, frame, odd[i], false, "a plain frame");
	}
	(void)mac_rig_frame(frame, s.mac, from, ROOM - 14, 1);
	if (merge) {
		CHECK(board_model_send(&r.model[0], NULL, frame, PACKET_MAX, true) == MODEL_RX_OK);
		expect(&r, frame, PACKET_MAX, false, "the largest frame");
		CHECK(board_model_send(&r.model[0], NULL, frame, PACKET_MAX + 1, true) ==
		      MODEL_RX_OK);
		expect_marker(&r, 1, "after one that is too large");
	} else {
		CHECK(board_model_send(&r.model[0], NULL, frame, PACKET_MAX, true) ==
		      MODEL_RX_TOO_BIG);
	}
	mac_rig_exchange(&r, 0, 5);
	mac_if_state(r.ifp[0], &s);
	CHECK(s.ierrors - errors <= 15);
	mac_rig_close(&r);
}

static void test_runts_and_oversize(void **state)
{
	(void)state;
	all_releases(lengths_case, NULL);
	all_releases(lengths_case, set_no_merge);
}

/* ---- jumbo frames ---- */

static void jumbo_case(void *arg)
{
	static const struct craft c = {.name = "9000", .payload = 9000 - 40 - 12, .tcp_opts = 3};
	struct board_frame out;
	struct mac_rig r;
	struct mac_frame f;
	uint8_t mac[6];

	mac_rig_open(&r, arg);
	own_mac(&r, mac);
	CHECK(mac_if_mtu(r.ifp[0], 9001) != 0);
	CHECK(mac_if_mtu(r.ifp[0], 9000) == 0);
	for (unsigned i = 0; i < 40; i++) {
		size_t payload = i < 20 ? 9000 - i : 1400 + i * 190;
		size_t len = mac_rig_frame(frame, mac, mac, payload, i);

		CHECK(board_model_send(&r.model[0], NULL, frame, len, false) == MODEL_RX_OK);
		expect(&r, frame, len, false, "a jumbo frame");
		CHECK(mac_rig_send(&r, 0, frame, len) == 0);
		CHECK(board_model_take(&r.model[0], &out, WAIT_MS * 1000));
		CHECK(mac_rig_frame_is(out.data, out.len, payload, i));
		free(out.data);
		three_verdicts(&r, &c, i);
		mac_frame_make(&f, &c, mac, false, i);
		CHECK(mac_frame_send(&r, &f, NULL) == 0);
		CHECK(board_model_take(&r.model[0], &out, WAIT_MS * 1000));
		mac_frame_check(&f, &out, "jumbo");
		mac_frame_free(&f);
	}
	mac_rig_close(&r);
}

static void set_jumbo(struct mac_rig_opts *o)
{
	o->model.mtu = 9000;
}

/* Buffers of 9 KiB, in several clusters. */
static void set_jumbo_no_merge(struct mac_rig_opts *o)
{
	set_jumbo(o);
	set_no_merge(o);
}

static void test_mtu_9000(void **state)
{
	(void)state;
	all_releases(jumbo_case, set_jumbo);
	all_releases(jumbo_case, set_jumbo_no_merge);
}

/* ---- down ---- */

static void burst(struct mac_rig *r, const uint8_t mac[6], unsigned n, enum model_rx_result want)
{
	for (unsigned i = 0; i < n; i++) {
		size_t len = mac_rig_frame(frame, mac, mac, 100 + i, i);

		CHECK(board_model_send(&r->model[0], NULL, frame, len, false) == want);
	}
}

/* What the driver had handed up before is still on its way to the program, and soon there. */
static void down_case(void *arg)
{
	struct mac_rig r;
	uint8_t mac[6];

	mac_rig_open(&r, arg);
	own_mac(&r, mac);
	for (unsigned turn = 0; turn < 10; turn++) {
		burst(&r, mac, turn * 13 % 60, MODEL_RX_OK);
		CHECK(mac_if_down(r.ifp[0]) == 0);
		while (mac_rig_receive(&r, 0, received, ROOM, SILENCE_MS, NULL))
			;
		burst(&r, mac, 10, MODEL_RX_NOT_READY);
		CHECK(mac_rig_receive(&r, 0, received, ROOM, SILENCE_MS, NULL) == 0);
		CHECK(mac_if_up(r.ifp[0]) == 0);
		/* Nothing of what was before comes now. */
		for (unsigned i = 0; i < 3; i++)
			expect_marker(&r, turn + i, "after ifconfig up");
	}
	mac_rig_close(&r);
}

static void test_nothing_after_ifconfig_down(void **state)
{
	(void)state;
	all_releases(down_case, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_checksum_verdicts),
		cmocka_unit_test(test_unknown_header_flags),
		cmocka_unit_test(test_nothing_trusted_without_offload),
		cmocka_unit_test(test_checksum_verdicts_without_merging),
		cmocka_unit_test(test_checksum_outside_of_packet),
		cmocka_unit_test(test_lro_up_to_64_kib),
		cmocka_unit_test(test_lro_without_merging),
		cmocka_unit_test(test_merged_buffers_at_odd_places),
		cmocka_unit_test(test_runts_and_oversize),
		cmocka_unit_test(test_mtu_9000),
		cmocka_unit_test(test_nothing_after_ifconfig_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
