/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The switch with ports that only count: who gets which frame, what is learnt, what is refused
 * (G-8, D-10).
 */
#include "host/netd/fdb.h"
#include "host/netd/sw.h"
#include "tests/unit/cm.h"

#define PORTS 24

struct port {
	struct sw_port *port;
	unsigned got, flushed, unflushed;
	uint8_t last_src[6];
	struct sw_port *reply_as; /* what it gets is answered at once */
};

static struct sw *sw;
static struct port ports[PORTS + 1];
static uint64_t now;
static struct sw_params params;

static uint64_t clock_now(void *arg)
{
	(void)arg;
	return now;
}

static void on_send(void *ctx, const struct sw_port *from, const struct frame *f)
{
	struct port *p = ctx;

	(void)from;
	p->got++;
	p->unflushed++;
	memcpy(p->last_src, frame_src(f), 6);
	if (p->reply_as) {
		static uint8_t memory[FRAME_PREFIX + 60];
		struct frame answer = {memory + FRAME_PREFIX, 60};

		memcpy(answer.data, frame_src(f), 6);
		memcpy(answer.data + 6, frame_dst(f), 6);
		sw_reply(p->reply_as, &answer);
	}
}

static void on_flush(void *ctx)
{
	struct port *p = ctx;

	p->flushed++;
	p->unflushed = 0;
}

static const struct sw_port_ops ops = {on_send, on_flush};

static void mac_of(unsigned n, uint8_t mac[6])
{
	const uint8_t m[6] = {
		0x52, 0x54, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};

	memcpy(mac, m, 6);
}

static void add_with(unsigned i, enum sw_role role, const uint8_t *mac, bool lock)
{
	const struct sw_port_params p = {
		.role = role,
		.ops = &ops,
		.ctx = &ports[i],
		.owner = &ports[i],
		.mac = mac,
		.lock_mac = lock,
	};

	ports[i] = (struct port){0};
	ports[i].port = sw_port_add(sw, &p);
	assert_non_null(ports[i].port);
}

static void add(unsigned i)
{
	add_with(i, SW_MEMBER, NULL, false);
}

static int setup(void **state)
{
	(void)state;
	now = 1000000;
	params = (struct sw_params){.mtu = 1500, .now_ms = clock_now};
	sw = sw_create(&params);
	return !sw;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i <= PORTS; i++) {
		if (ports[i].port)
			sw_port_remove(ports[i].port);
		ports[i] = (struct port){0};
	}
	sw_destroy(sw);
	return 0;
}

/* The same world with other parameters; no ports yet. */
static void again(void)
{
	sw_destroy(sw);
	sw = sw_create(&params);
	assert_non_null(sw);
}

static void send_macs(unsigned from, const uint8_t dst[6], const uint8_t src[6], uint32_t len)
{
	uint8_t memory[FRAME_PREFIX + 2000] = {0};
	struct frame f = {memory + FRAME_PREFIX, len};

	memcpy(f.data, dst, 6);
	memcpy(f.data + 6, src, 6);
	sw_input(ports[from].port, &f, 1);
}

/* From this port, as that station, to that one. */
static void send(unsigned from, unsigned src, unsigned dst)
{
	uint8_t s[6], d[6];

	mac_of(src, s);
	mac_of(dst, d);
	send_macs(from, d, s, 60);
}

static void shout(unsigned from, unsigned src)
{
	static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	uint8_t s[6];

	mac_of(src, s);
	send_macs(from, all, s, 60);
}

static void forget_counts(void)
{
	for (unsigned i = 0; i <= PORTS; i++)
		ports[i].got = ports[i].flushed = 0;
}

static unsigned got_in_all(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i <= PORTS; i++)
		n += ports[i].got;
	return n;
}

static struct sw_stats *stats(unsigned i)
{
	return sw_port_stats(ports[i].port);
}

/* ---- who gets what ---- */

static void learns_and_forwards(void **state)
{
	uint8_t mac[6];

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		add(i);
	/* Unknown: to all that may be it, not back. */
	send(0, 100, 101);
	assert_int_equal(ports[0].got, 0);
	assert_int_equal(got_in_all(), 3);
	/* The answer goes to one only, and tells where 101 is. */
	forget_counts();
	send(1, 101, 100);
	assert_int_equal(ports[0].got, 1);
	assert_int_equal(got_in_all(), 1);
	send(0, 100, 101);
	assert_int_equal(ports[1].got, 1);
	assert_int_equal(got_in_all(), 2);
	mac_of(101, mac);
	assert_ptr_equal(sw_lookup(sw, mac), ports[1].port);
	assert_ptr_equal(sw_port_owner(sw_lookup(sw, mac)), &ports[1]);
	assert_int_equal(sw_stations(sw), 2);
	assert_true(sw_port_mac(ports[1].port, mac));
	assert_int_equal(mac[5], 101);
	assert_false(sw_port_mac(ports[2].port, mac));
	assert_int_equal(stats(0)->rx_frames, 2);
	assert_int_equal(stats(0)->rx_bytes, 120);
	assert_int_equal(stats(0)->tx_frames, 1);
}

static void idle_members_cost_nothing(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PORTS; i++) {
		add(i);
		shout(i, i);
	}
	forget_counts();
	for (unsigned n = 0; n < 1000; n++) {
		send(0, 0, 1);
		send(1, 1, 0);
		/* Not even what nobody is. */
		send(0, 0, 999);
	}
	assert_int_equal(ports[0].got, 1000);
	assert_int_equal(ports[1].got, 1000);
	assert_int_equal(got_in_all(), 2000);
	for (unsigned i = 2; i < PORTS; i++)
		assert_int_equal(ports[i].flushed, 0);
}

static void nothing_comes_back(void **state)
{
	(void)state;
	add(0);
	add(1);
	shout(0, 10);
	send(0, 11, 10); /* both behind port 0 */
	send(0, 10, 11);
	send(0, 10, 10);
	assert_int_equal(ports[0].got, 0);
	assert_int_equal(ports[1].got, 1);
}

static void each_is_flushed_once_a_batch(void **state)
{
	uint8_t memory[8][FRAME_PREFIX + 60] = {{0}};
	struct frame batch[8];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		add(i);
		shout(i, i);
	}
	forget_counts();
	for (unsigned i = 0; i < 8; i++) {
		batch[i] = (struct frame){memory[i] + FRAME_PREFIX, 60};
		mac_of(1 + i % 2, batch[i].data);
		mac_of(0, batch[i].data + 6);
	}
	sw_input(ports[0].port, batch, 8);
	assert_int_equal(ports[1].got, 4);
	assert_int_equal(ports[2].got, 4);
	assert_int_equal(ports[1].flushed, 1);
	assert_int_equal(ports[2].flushed, 1);
	assert_int_equal(ports[0].flushed, 0);
	sw_input(ports[0].port, batch, 0);
	assert_int_equal(ports[1].flushed, 1);
}

static void a_service_answers_at_once(void **state)
{
	uint8_t gw[6];

	(void)state;
	mac_of(500, gw);
	add(0);
	add(1);
	add_with(2, SW_SERVICE, gw, false);
	ports[2].reply_as = ports[2].port;
	send(0, 10, 500);
	assert_int_equal(ports[2].got, 1);
	assert_int_equal(ports[0].got, 1);
	assert_int_equal(ports[0].flushed, 1);
	assert_memory_equal(ports[0].last_src, gw, 6);
	assert_int_equal(ports[1].got, 0);
	/* By itself too. */
	ports[0].unflushed = 0;
	{
		uint8_t memory[FRAME_PREFIX + 60] = {0};
		struct frame f = {memory + FRAME_PREFIX, 60};

		mac_of(10, f.data);
		memcpy(f.data + 6, gw, 6);
		sw_reply(ports[2].port, &f);
	}
	assert_int_equal(ports[0].got, 2);
	assert_int_equal(ports[0].unflushed, 0);
}

/* Two services that answer each other's answers come to an end. */
static void answers_to_answers_end(void **state)
{
	uint8_t a[6], b[6];

	(void)state;
	mac_of(500, a);
	mac_of(501, b);
	add(0);
	add_with(1, SW_SERVICE, a, false);
	add_with(2, SW_SERVICE, b, false);
	ports[1].reply_as = ports[1].port;
	ports[2].reply_as = ports[2].port;
	send(1, 500, 501);
	assert_in_range(got_in_all(), 2, 10);
}

static void services_get_what_is_theirs(void **state)
{
	uint8_t gw[6];

	(void)state;
	mac_of(500, gw);
	add(0);
	add_with(1, SW_SERVICE, gw, false);
	add_with(2, SW_SERVICE, NULL, false); /* an uplink, behind which anybody may be */
	send(0, 10, 77);
	assert_int_equal(ports[1].got, 0);
	assert_int_equal(ports[2].got, 1);
	send(0, 10, 500);
	assert_int_equal(ports[1].got, 1);
	assert_int_equal(ports[2].got, 1);
	shout(0, 10);
	assert_int_equal(ports[1].got, 2);
	assert_int_equal(ports[2].got, 2);
	/* What is behind the uplink is learnt, and it still gets what is not known. */
	send(2, 90, 10);
	assert_int_equal(ports[0].got, 1);
	send(0, 10, 78);
	assert_int_equal(ports[2].got, 3);
}

static void isolated_members_see_services_only(void **state)
{
	uint8_t gw[6];

	(void)state;
	params.isolated = true;
	again();
	mac_of(500, gw);
	for (unsigned i = 0; i < 4; i++)
		add(i);
	add_with(4, SW_SERVICE, gw, false);
	send(0, 10, 11);
	shout(0, 10);
	assert_int_equal(got_in_all(), 1);
	assert_int_equal(ports[4].got, 1);
	shout(1, 11);
	forget_counts();
	send(0, 10, 11);
	assert_int_equal(got_in_all(), 0);
	assert_int_equal(stats(0)->rx_isolated, 1);
	send(0, 10, 500);
	assert_int_equal(ports[4].got, 1);
	send(4, 500, 10);
	assert_int_equal(ports[0].got, 1);
	shout(4, 500);
	assert_int_equal(ports[1].got, 1);
}

static void a_pulled_cable(void **state)
{
	(void)state;
	add(0);
	add(1);
	shout(0, 10);
	shout(1, 11);
	forget_counts();
	sw_port_link(ports[1].port, false);
	assert_false(sw_port_is_up(ports[1].port));
	send(0, 10, 11);
	send(1, 11, 10);
	shout(0, 10);
	assert_int_equal(got_in_all(), 0);
	assert_int_equal(stats(1)->rx_bad, 0);
	sw_port_link(ports[1].port, true);
	send(0, 10, 11);
	send(1, 11, 10);
	assert_int_equal(got_in_all(), 2);
}

/* ---- what is refused ---- */

static void malformed_frames(void **state)
{
	static const uint8_t group[6] = {1, 0, 0x5e, 0, 0, 1}, none[6];
	uint8_t a[6], b[6];

	(void)state;
	add(0);
	add(1);
	mac_of(10, a);
	mac_of(11, b);
	for (uint32_t len = 0; len < 14; len++)
		send_macs(0, b, a, len);
	send_macs(0, b, a, 1519);
	send_macs(0, b, group, 60);
	send_macs(0, b, none, 60);
	assert_int_equal(got_in_all(), 0);
	assert_int_equal(stats(0)->rx_bad, 17);
	assert_int_equal(stats(0)->rx_frames, 0);
	assert_int_equal(sw_stations(sw), 0);
	/* What is odd and allowed. */
	send_macs(0, b, a, 14);
	send_macs(0, b, a, 1518);
	send_macs(0, none, a, 60);
	assert_int_equal(ports[1].got, 3);
}

static void spoofed_addresses(void **state)
{
	uint8_t gw[6], own[6], mac[6];

	(void)state;
	mac_of(500, gw);
	mac_of(20, own);
	add(0);
	add_with(1, SW_MEMBER, own, true);
	add_with(2, SW_SERVICE, gw, false);
	add_with(3, SW_MEMBER, gw, false); /* was given the gateway's: has no use of it */
	/* The gateway's address is nobody else's. */
	shout(0, 500);
	shout(3, 500);
	/* Nor is one that was given to a member. */
	shout(0, 20);
	assert_int_equal(got_in_all(), 0);
	assert_int_equal(stats(0)->rx_spoofed, 2);
	assert_int_equal(stats(3)->rx_spoofed, 1);
	/* A locked member has one address. */
	shout(1, 21);
	assert_int_equal(stats(1)->rx_spoofed, 1);
	assert_int_equal(got_in_all(), 0);
	shout(1, 20);
	assert_int_equal(got_in_all(), 3);
	mac_of(500, mac);
	assert_ptr_equal(sw_lookup(sw, mac), ports[2].port);
	mac_of(20, mac);
	assert_ptr_equal(sw_lookup(sw, mac), ports[1].port);
	mac_of(21, mac);
	assert_null(sw_lookup(sw, mac));
}

static void a_lock_without_an_address_takes_the_first(void **state)
{
	(void)state;
	add_with(0, SW_MEMBER, NULL, true);
	add(1);
	shout(0, 10);
	shout(0, 11);
	assert_int_equal(ports[1].got, 1);
	assert_int_equal(stats(0)->rx_spoofed, 1);
	now += SW_AGE_MS * 2;
	shout(0, 11);
	shout(0, 10);
	assert_int_equal(ports[1].got, 2);
}

static void broadcasts_are_capped(void **state)
{
	static const uint8_t group[6] = {0x33, 0x33, 0, 0, 0, 1};
	uint8_t a[6];

	(void)state;
	params.broadcasts_per_s = 100;
	again();
	add(0);
	add(1);
	mac_of(10, a);
	for (unsigned i = 0; i < 1000; i++)
		send_macs(0, group, a, 60);
	assert_int_equal(ports[1].got, 100);
	assert_int_equal(stats(0)->rx_capped, 900);
	/* Another's are his own; unicast is not meant. */
	shout(1, 11);
	assert_int_equal(ports[0].got, 1);
	send(0, 10, 11);
	assert_int_equal(ports[1].got, 101);
	/* Ten seconds of a storm. */
	forget_counts();
	for (unsigned ms = 0; ms < 10000; ms++, now++)
		shout(0, 10);
	assert_in_range(ports[1].got, 980, 1020);
}

/* ---- the table ---- */

static void flooding_is_bounded(void **state)
{
	struct rng rng = {1};

	(void)state;
	for (unsigned i = 0; i < PORTS; i++) {
		add(i);
		shout(i, i);
	}
	forget_counts();
	for (unsigned n = 0; n < 200000; n++) {
		send(2, 1000000 + rng_below(&rng, 10000000), 3);
		/* The honest pair is not flooded, not once. */
		send(0, 0, 1);
		send(1, 1, 0);
	}
	assert_in_range(sw_stations(sw), PORTS, PORTS + SW_FDB_SHARE);
	assert_int_equal(ports[0].got, 200000);
	assert_int_equal(ports[1].got, 200000);
	assert_int_equal(ports[3].got, 200000);
	assert_int_equal(got_in_all(), 600000);
}

/* Every port has its share, and more ports than there is room for. */
static void a_full_table(void **state)
{
	struct sw_port *many[SW_PORTS_MAX];
	struct sw_port_params p = {.role = SW_MEMBER, .ops = &ops, .ctx = &ports[0]};
	uint8_t memory[FRAME_PREFIX + 60] = {0};
	struct frame f = {memory + FRAME_PREFIX, 60};

	(void)state;
	for (unsigned i = 0; i < SW_PORTS_MAX; i++) {
		many[i] = sw_port_add(sw, &p);
		assert_non_null(many[i]);
	}
	assert_null(sw_port_add(sw, &p));
	for (unsigned n = 0; n < SW_FDB_SHARE; n++) {
		for (unsigned i = 0; i < SW_PORTS_MAX; i++) {
			mac_of(i << 8 | n, f.data + 6);
			mac_of(i << 8 | n, f.data);
			sw_input(many[i], &f, 1);
		}
	}
	assert_int_equal(sw_stations(sw), SW_FDB_MAX);
	/* A port without a station still gets one. */
	mac_of(0x1000000, f.data + 6);
	sw_port_remove(many[7]);
	many[7] = sw_port_add(sw, &p);
	sw_input(many[7], &f, 1);
	assert_ptr_equal(sw_lookup(sw, f.data + 6), many[7]);
	assert_true(sw_stations(sw) <= SW_FDB_MAX);
	for (unsigned i = 0; i < SW_PORTS_MAX; i++)
		sw_port_remove(many[i]);
	assert_int_equal(sw_stations(sw), 0);
}

static void stations_age(void **state)
{
	uint8_t mac[6];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		add(i);
		shout(i, i);
	}
	forget_counts();
	/* One speaks all the time, though always to the same; the others are silent. */
	for (unsigned s = 0; s < SW_AGE_MS / 1000 + 2; s++, now += 1000)
		send(0, 0, 77);
	mac_of(0, mac);
	assert_ptr_equal(sw_lookup(sw, mac), ports[0].port);
	mac_of(1, mac);
	assert_null(sw_lookup(sw, mac));
	assert_int_equal(sw_stations(sw), 1);
	/* So they may again be it. */
	forget_counts();
	send(0, 0, 1);
	assert_int_equal(ports[1].got, 1);
	assert_int_equal(ports[2].got, 1);
}

static void stations_move_at_a_limited_rate(void **state)
{
	uint8_t mac[6];
	unsigned moves = 0;

	(void)state;
	add(0);
	add(1);
	add(2);
	shout(2, 2);
	shout(0, 10);
	mac_of(10, mac);
	/* It comes up elsewhere: follows at once. */
	shout(1, 10);
	assert_ptr_equal(sw_lookup(sw, mac), ports[1].port);
	forget_counts();
	send(2, 2, 10);
	assert_int_equal(ports[1].got, 1);
	assert_int_equal(ports[0].got, 0);
	/* Two that claim it: at most once a second; the frames go on. */
	forget_counts();
	for (unsigned ms = 0; ms < 5000; ms++, now++) {
		struct sw_port *before = sw_lookup(sw, mac);

		send(ms & 1, 10, 2);
		moves += sw_lookup(sw, mac) != before;
	}
	assert_in_range(moves, 3, 5);
	assert_int_equal(ports[2].got, 5000);
}

/* One member that claims everybody's address. */
static void a_thief_is_slow(void **state)
{
	unsigned lost = 0;
	uint8_t mac[6];

	(void)state;
	add(PORTS);
	for (unsigned i = 0; i < PORTS; i++) {
		add(i);
		for (unsigned n = 0; n < 32; n++)
			send(i, 1000 * (i + 1) + n, 1000 * (i + 1));
	}
	for (unsigned i = 0; i < PORTS; i++)
		for (unsigned n = 0; n < 32; n++)
			send(PORTS, 1000 * (i + 1) + n, 1);
	for (unsigned i = 0; i < PORTS; i++) {
		for (unsigned n = 0; n < 32; n++) {
			mac_of(1000 * (i + 1) + n, mac);
			lost += sw_lookup(sw, mac) != ports[i].port;
		}
	}
	assert_in_range(lost, 1, SW_FDB_SHARE);
}

static void what_goes_is_forgotten(void **state)
{
	uint8_t mac[6], own[6];

	(void)state;
	mac_of(11, own);
	add(0);
	add_with(1, SW_MEMBER, own, false);
	add(2);
	shout(0, 10);
	shout(2, 12);
	send(0, 10, 11); /* 0 remembers where 11 is */
	sw_port_remove(ports[1].port);
	ports[1].port = NULL;
	assert_null(sw_lookup(sw, own));
	forget_counts();
	send(0, 10, 11);
	assert_int_equal(got_in_all(), 0);
	/* It is back, elsewhere in memory. */
	add_with(1, SW_MEMBER, own, false);
	send(0, 10, 11);
	assert_int_equal(ports[1].got, 1);
	/* The newest port that was given an address has it. */
	add_with(3, SW_MEMBER, own, false);
	assert_ptr_equal(sw_lookup(sw, own), ports[3].port);
	sw_port_remove(ports[1].port);
	ports[1].port = NULL;
	assert_ptr_equal(sw_lookup(sw, own), ports[3].port);
	assert_true(sw_port_mac(ports[3].port, mac));
	assert_memory_equal(mac, own, 6);
}

/* ---- taps ---- */

static unsigned tapped[2][2];

static void on_tap(void *ctx, const struct sw_port *port, bool from_port, const struct frame *f)
{
	unsigned *counts = ctx;

	(void)port;
	(void)f;
	counts[from_port]++;
}

static void taps_see_both_sides(void **state)
{
	int a, b, more;

	(void)state;
	memset(tapped, 0, sizeof(tapped));
	for (unsigned i = 0; i < 3; i++)
		add(i);
	a = sw_tap_add(sw, on_tap, tapped[0]);
	b = sw_tap_add(sw, on_tap, tapped[1]);
	assert_true(a > 0 && b > 0 && a != b);
	shout(0, 10);
	assert_int_equal(tapped[0][1], 1);
	assert_int_equal(tapped[0][0], 2);
	sw_tap_remove(sw, a);
	send(1, 11, 10);
	assert_int_equal(tapped[0][1], 1);
	assert_int_equal(tapped[1][1], 2);
	assert_int_equal(tapped[1][0], 3);
	for (int i = 0; i < 7; i++)
		assert_true(sw_tap_add(sw, on_tap, tapped[0]) > 0);
	more = sw_tap_add(sw, on_tap, tapped[0]);
	assert_int_equal(more, 0);
	sw_tap_remove(sw, 0);
	sw_tap_remove(sw, 9);
}

/* ---- anything ---- */

/* Random frames, ports that come and go: nothing reflected, everything flushed (D-2). */
static void anything(void **state)
{
	struct rng rng = {42};
	uint8_t memory[64][FRAME_PREFIX + 64];
	struct frame batch[64];

	(void)state;
	for (unsigned i = 0; i < PORTS; i++)
		add(i);
	for (unsigned round = 0; round < 20000; round++) {
		unsigned from = rng_below(&rng, PORTS), n = rng_below(&rng, 65), before;

		for (unsigned i = 0; i < n; i++) {
			struct frame *f = &batch[i];

			*f = (struct frame){memory[i] + FRAME_PREFIX, rng_below(&rng, 61)};
			rng_fill(&rng, memory[i], sizeof(memory[i]));
			if (rng_below(&rng, 2)) {
				mac_of(rng_below(&rng, 200), f->data);
				mac_of(rng_below(&rng, 200), f->data + 6);
			}
			if (!rng_below(&rng, 20))
				f->len = (uint32_t)rng_next(&rng) | 0x10000;
		}
		before = ports[from].got;
		sw_input(ports[from].port, batch, n);
		assert_int_equal(ports[from].got, before);
		for (unsigned i = 0; i < PORTS; i++)
			assert_int_equal(ports[i].unflushed, 0);
		assert_true(sw_stations(sw) <= PORTS * SW_FDB_SHARE);
		now += rng_below(&rng, 50);
		if (!rng_below(&rng, 100)) {
			sw_port_remove(ports[from].port);
			add(from);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(learns_and_forwards),
		T(idle_members_cost_nothing),
		T(nothing_comes_back),
		T(each_is_flushed_once_a_batch),
		T(a_service_answers_at_once),
		T(answers_to_answers_end),
		T(services_get_what_is_theirs),
		T(isolated_members_see_services_only),
		T(a_pulled_cable),
		T(malformed_frames),
		T(spoofed_addresses),
		T(a_lock_without_an_address_takes_the_first),
		T(broadcasts_are_capped),
		T(flooding_is_bounded),
		T(a_full_table),
		T(stations_age),
		T(stations_move_at_a_limited_rate),
		T(a_thief_is_slow),
		T(what_goes_is_forgotten),
		T(taps_see_both_sides),
		T(anything),
	};

	alarm(100);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
