/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checksums and large packets on transmit, with headers and payload scattered over mbufs in every
 * way a stack might have them, and some it has not.
 *
 * What reaches the device must be the packet, byte for byte, with the pseudo-header sum where a
 * device wants it, and a header that says just what is to be done: cut up and finished by it, every
 * piece has right sums and lengths. Headers may lie in memory that is shared: it is not written.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/mac/mac_frames.h"
#include "wire/net.h"
#include "wire/virtio.h"

#define TAKE_US	 10000000u
#define SECONDS	 120u
#define BEYOND	 3u /* cuts behind the headers */
#define CUTS_MAX 300u
#define BIT(f)	 VIRTIO_BIT(VIRTIO_NET_F_##f)

#define ALL_IP 65535u /* headers included, on IPv6 too */
#define HEADS4 (20u + 20u + 12u)
#define HEADS6 (40u + 20u + 12u)

static const struct craft crafts[] = {
	{.name = "TCP4", .payload = 1000, .tcp_opts = 3},
	{.name = "TCP4 without payload", .tcp_opts = 10, .tcp_flags = 2},
	{.name = "TCP4, all options", .payload = 700, .ip_opts = 10, .tcp_opts = 10},
	{.name = "UDP4", .udp = true, .payload = 333},
	{.name = "UDP4, options", .udp = true, .ip_opts = 4, .payload = 1400},
	{.name = "UDP4 without payload", .udp = true},
	{.name = "TCP4, tagged", .vlan = 77, .payload = 1448, .tcp_opts = 3},
	{.name = "TSO4", .payload = 5000, .mss = 1448, .tcp_opts = 3, .tcp_flags = 0x19},
	{.name = "TSO4, options", .payload = 4000, .mss = 1380, .ip_opts = 10, .tcp_opts = 10},
	{.name = "TSO4, tagged", .vlan = 77, .payload = 4000, .mss = 1448, .tcp_opts = 3},
	{.name = "TSO4, congestion", .payload = 4000, .mss = 1460, .tcp_flags = TCP_FLAG_CWR},
	{.name = "TSO4, one segment", .payload = 1448, .mss = 1448, .tcp_opts = 3},
	{.name = "TSO4, one byte more", .payload = 1449, .mss = 1448, .tcp_opts = 3},
	{.name = "TCP6", .v6 = true, .payload = 1000, .tcp_opts = 3},
	{.name = "UDP6", .v6 = true, .udp = true, .payload = 777},
	{.name = "TSO6", .v6 = true, .payload = 5000, .mss = 1428, .tcp_opts = 3},
	{.name = "TSO6, tagged", .v6 = true, .vlan = 9, .payload = 3000, .mss = 1440},
};
#define CRAFTS (sizeof(crafts) / sizeof(crafts[0]))

/* As large as there are. */
static const struct craft large[] = {
	{.name = "64 KiB of IPv4", .payload = ALL_IP - HEADS4, .mss = 1448, .tcp_opts = 3},
	{.name = "64 KiB of IPv6",
	 .v6 = true,
	 .payload = ALL_IP - HEADS6,
	 .mss = 1428,
	 .tcp_opts = 3},
	{.name = "64 KiB in large segments", .payload = ALL_IP - 40, .mss = 8960},
};

struct offload {
	struct mac_rig_opts rig; /* first */
	bool few_ways;
};

static bool soak(void)
{
	return getenv("VIOKIT_SOAK") != NULL;
}

static void one_way(struct mac_rig *r, const struct mac_frame *f, const struct mac_send *how)
{
	struct board_frame got;
	char what[48];
	int err = mac_frame_send(r, f, how);

	(void)snprintf(what, sizeof(what), "%u cuts (%u %u %u)%s", how->ncuts,
		       how->ncuts > 0 ? how->cuts[0] : 0u, how->ncuts > 1 ? how->cuts[1] : 0u,
		       how->ncuts > 2 ? how->cuts[2] : 0u, how->shared_headers ? ", shared" : "");
	CHECK_MSG(err == 0, "%s, %s: not sent, %d", f->c.name, what, err);
	CHECK_MSG(board_model_take(&r->model[0], &got, TAKE_US), "%s, %s: nothing was transmitted",
		  f->c.name, what);
	mac_frame_check(f, &got, what);
}

static void cut(struct mac_rig *r, const struct mac_frame *f, const uint16_t *cuts, unsigned n,
		bool shared)
{
	const struct mac_send how = {.cuts = cuts, .ncuts = n, .shared_headers = shared};

	one_way(r, f, &how);
}

/* All mbufs but the last of one length; with more of them than the driver maps it copies. */
static void even_mbufs(struct mac_rig *r, const struct mac_frame *f, uint16_t len, unsigned most)
{
	uint16_t cuts[CUTS_MAX];
	unsigned n = f->c.len / len;

	if (n > most)
		n = most;
	for (unsigned i = 0; i < n; i++)
		cuts[i] = len;
	cut(r, f, cuts, n, false);
	cut(r, f, cuts, n, true);
}

static void single_cuts(struct mac_rig *r, const struct mac_frame *f)
{
	for (unsigned i = 0; i <= f->c.hdr_len + BEYOND && i < f->c.len; i++) {
		const uint16_t at = (uint16_t)i;

		cut(r, f, &at, 1, false);
		cut(r, f, &at, 1, true);
	}
}

/* Two cuts in the headers: one byte by itself, and (all of them if there is time) further apart. */
static void pairs_of_cuts(struct mac_rig *r, const struct mac_frame *f)
{
	unsigned end = f->c.hdr_len < f->c.len ? f->c.hdr_len : f->c.len - 1;

	for (unsigned i = 0; i < end; i++) {
		for (unsigned k = 1; i + k <= end; k += soak() ? 1 : k + i % 3) {
			const uint16_t cuts[2] = {(uint16_t)i, (uint16_t)k};

			cut(r, f, cuts, 2, (i + k) % 2);
		}
	}
}

/* A header in each mbuf, and mbufs with nothing in them between. */
static void header_mbufs(struct mac_rig *r, const struct mac_frame *f)
{
	const struct craft *c = &f->c;
	const uint16_t ip = (uint16_t)(c->l4 - c->l3), tcp = (uint16_t)(c->hdr_len - c->l4);
	const uint16_t each[3] = {c->l3, ip, tcp};
	const uint16_t empty[] = {0, 0, c->l3, 0, ip, 0, 0, 0, tcp, 0};

	cut(r, f, each, 3, false);
	cut(r, f, each, 3, true);
	cut(r, f, empty, sizeof(empty) / sizeof(empty[0]), false);
	cut(r, f, empty + 2, sizeof(empty) / sizeof(empty[0]) - 2, true);
}

static void all_ways(struct mac_rig *r, const struct mac_frame *f, bool few)
{
	const struct mac_send plain = {0}, shared = {.shared_headers = true};

	one_way(r, f, &plain);
	one_way(r, f, &shared);
	header_mbufs(r, f);
	even_mbufs(r, f, 1, 20);
	even_mbufs(r, f, 1, 62);
	even_mbufs(r, f, 1, 200); /* more mbufs than fit a chain */
	even_mbufs(r, f, 7, 250);
	if (few)
		return;
	single_cuts(r, f);
	pairs_of_cuts(r, f);
}

static bool claimed(const struct mac_if_state *s, const struct craft *c)
{
	if (c->mss)
		return c->v6 ? s->tso6 : s->tso4;
	return c->v6 ? s->csum6 : s->csum4;
}

/* What the interface does not claim the stack does not ask for. */
static void one_craft(struct mac_rig *r, const struct craft *c, unsigned nth, bool few)
{
	struct mac_if_state state;
	struct mac_frame f;

	mac_if_state(r->ifp[0], &state);
	mac_frame_make(&f, c, state.mac, false, nth);
	if (claimed(&state, c))
		all_ways(r, &f, few);
	else
		CHECK(mac_frame_send(r, &f, NULL) == -EOPNOTSUPP);
	mac_frame_free(&f);
}

static void check_claims(struct mac_rig *r, uint64_t device)
{
	bool csum = device & BIT(CSUM), six = r->release >= 7;
	struct mac_if_state s;

	mac_if_state(r->ifp[0], &s);
	CHECK(s.csum4 == csum);
	CHECK(s.csum6 == (csum && six));
	CHECK(s.tso4 == (csum && (device & BIT(HOST_TSO4))));
	CHECK(s.tso6 == (csum && (device & BIT(HOST_TSO6)) && six));
}

static void no_errors(struct mac_rig *r)
{
	struct mac_if_state s;

	mac_if_state(r->ifp[0], &s);
	CHECK(s.oerrors == 0 && s.odropped == 0);
	CHECK(r->model[0].dropped == 0);
}

static void transmit_case(void *arg)
{
	const struct offload *o = arg;
	struct mac_rig r;

	mac_rig_open(&r, &o->rig);
	check_claims(&r, r.model[0].opts.features);
	for (unsigned i = 0; i < CRAFTS; i++)
		one_craft(&r, &crafts[i], i, o->few_ways);
	no_errors(&r);
	mac_rig_close(&r);
}

/* 10.8 is the last that asks for segmentation alone. */
static void test_scattered_headers(void **state)
{
	static const int releases[] = {6, 8, 9, 11, 13, 15};

	(void)state;
	for (size_t i = 0; i < sizeof(releases) / sizeof(releases[0]); i++) {
		struct offload o = {.rig.release = releases[i],
				    .few_ways = releases[i] != 6 && releases[i] != 13 && !soak()};

		mac_rig_case(transmit_case, &o, SECONDS);
	}
}

/* Without indirect descriptors and any layout, in short rings, headers go by themselves. */
static void test_shapes_of_device(void **state)
{
	static const enum model_interface interfaces[] = {MODEL_MODERN, MODEL_LEGACY};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct offload o = {.rig.release = i < 2 ? 13 : 9, .few_ways = true};
		struct model_options *m = &o.rig.model;

		board_model_defaults(m);
		m->interface = interfaces[i % 2];
		m->features &= ~VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC);
		if (i >= 2)
			m->features &= ~(BIT(MRG_RXBUF) | VIRTIO_BIT(VIRTIO_F_ANY_LAYOUT) |
					 VIRTIO_BIT(VIRTIO_F_EVENT_IDX));
		m->queue_size[VIRTIO_NET_QUEUE_TX] = i % 2 ? 64 : 128;
		mac_rig_case(transmit_case, &o, SECONDS);
	}
}

static void large_case(void *arg)
{
	static const uint16_t pages[] = {66,   4096, 4096, 4096, 4096, 4096, 4096, 4096,
					 4096, 4096, 4096, 4096, 4096, 4096, 4096, 4096};
	struct mac_rig r;

	mac_rig_open(&r, arg);
	for (unsigned i = 0; i < sizeof(large) / sizeof(large[0]); i++) {
		struct mac_if_state state;
		struct mac_frame f;

		mac_if_state(r.ifp[0], &state);
		if (!claimed(&state, &large[i]))
			continue;
		for (unsigned nth = 0; nth < 4; nth++) {
			const struct mac_send plain = {0}, shared = {.shared_headers = true};

			mac_frame_make(&f, &large[i], state.mac, false, nth);
			one_way(&r, &f, &plain);
			one_way(&r, &f, &shared);
			cut(&r, &f, pages, sizeof(pages) / sizeof(pages[0]), nth % 2);
			even_mbufs(&r, &f, 2048, CUTS_MAX);
			even_mbufs(&r, &f, 1500, CUTS_MAX);
			even_mbufs(&r, &f, 256, CUTS_MAX); /* copied */
			header_mbufs(&r, &f);
			mac_frame_free(&f);
		}
	}
	no_errors(&r);
	mac_rig_close(&r);
}

static void test_64_kib(void **state)
{
	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct mac_rig_opts o = {.release = mac_rig_releases[i]};

		mac_rig_case(large_case, &o, SECONDS);
	}
}

/* A packet as it is: a header of zeros, whatever was in that memory before. */
static void plain_frames(struct mac_rig *r)
{
	uint8_t frame[1514];
	struct mac_if_state s;
	struct board_frame got;

	mac_if_state(r->ifp[0], &s);
	for (unsigned i = 0; i < 40; i++) {
		static const struct model_hdr zero;
		size_t len = mac_rig_frame(frame, s.mac, s.mac, 46 + i * 37, i);

		CHECK(mac_rig_send(r, 0, frame, len) == 0);
		CHECK(board_model_take(&r->model[0], &got, TAKE_US));
		CHECK(mac_rig_frame_is(got.data, got.len, len - 14, i));
		CHECK(memcmp(&got.hdr, &zero, sizeof(zero)) == 0);
		free(got.data);
	}
}

static void fewer_case(void *arg)
{
	const struct offload *o = arg;
	struct mac_rig r;
	uint64_t device;

	mac_rig_open(&r, &o->rig);
	device = r.model[0].opts.features;
	if (o->rig.boot_args) { /* not even accepted */
		struct model_state state;

		model_get(board_model_lock(&r.model[0]), &state);
		board_model_unlock(&r.model[0]);
		CHECK(!(state.accepted & (BIT(CSUM) | BIT(GUEST_CSUM) | BIT(HOST_TSO4) |
					  BIT(HOST_TSO6) | BIT(GUEST_TSO4) | BIT(GUEST_TSO6))));
		device &= ~BIT(CSUM);
	}
	check_claims(&r, device);
	for (unsigned i = 0; i < CRAFTS; i++) {
		if (!(crafts[i].tcp_flags & TCP_FLAG_CWR))
			one_craft(&r, &crafts[i], i, true);
		plain_frames(&r);
	}
	no_errors(&r);
	mac_rig_close(&r);
}

static void test_device_without_offloads(void **state)
{
	static const uint64_t without[] = {
		BIT(CSUM),
		BIT(HOST_TSO4) | BIT(HOST_ECN),
		BIT(HOST_TSO6) | BIT(HOST_ECN),
		BIT(HOST_TSO4) | BIT(HOST_TSO6),
		BIT(CSUM) | BIT(GUEST_CSUM),
	};

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct offload o = {.rig.release = mac_rig_releases[i]};

		board_model_defaults(&o.rig.model);
		o.rig.model.features &= ~without[i];
		mac_rig_case(fewer_case, &o, SECONDS);
	}
}

static void test_boot_arg_vio_offload(void **state)
{
	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct offload o = {.rig.release = mac_rig_releases[i],
				    .rig.boot_args = "vio_offload=0"};

		mac_rig_case(fewer_case, &o, SECONDS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scattered_headers),
		cmocka_unit_test(test_shapes_of_device),
		cmocka_unit_test(test_64_kib),
		cmocka_unit_test(test_device_without_offloads),
		cmocka_unit_test(test_boot_arg_vio_offload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
