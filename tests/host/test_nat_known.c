/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The packets that libslirp's known holes were opened with (D-15): what our filter should stop does
 * not reach it.
 *
 * Not here: CVE-2019-6778, CVE-2020-7039 and CVE-2020-8608 are in the emulation of old protocols
 * over TCP, which slirp.c leaves off; there is nothing wrong with their packets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/nat/filter.h"
#include "host/nat/frag.h"
#include "tests/host/nat_kit.h"

#define UDP_LEN (4u) /* of the length, in the header of UDP */

static struct nat_config config;
static struct filter *filter;
static struct frag frag;
static uint8_t frame[4096];
static const uint8_t text[1024];

static int set_up(void **state)
{
	(void)state;
	config = kit_config();
	config.host_loopback = true; /* what is allowed most */
	filter = calloc(1, sizeof(*filter));
	*filter = (struct filter){.config = &config, .mss4 = 32000, .mss6 = 31000, .now = 1000};
	return frag_open(&frag) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	frag_close(&frag);
	free(filter);
	return 0;
}

/* As in worker_frame, from memory of exactly that size: whether libslirp would see it. */
static bool reaches(uint32_t len)
{
	uint8_t *exact = malloc(len ? len : 1);
	struct packet p = {0};
	bool whole;
	enum nat_drop drop;

	memcpy(exact, frame, len);
	drop = filter_ip(filter, exact, len, &p);
	whole = !drop && !p.fragment;
	if (!drop && p.fragment)
		drop = frag_add(&frag, &p, filter->now, &whole);
	if (!drop && whole)
		drop = filter_transport(filter, &p);
	free(exact);
	return !drop && whole;
}

/* None of its beginnings either. */
static void stays_out(uint32_t len, const char *what)
{
	for (uint32_t n = 0; n <= len; n++)
		if (reaches(n))
			fail_msg("%s: %u of %u bytes reach libslirp", what, n, len);
}

/* ---- reassembly: CVE-2018-11806, CVE-2019-14378, CVE-2019-15890, CVE-2020-1983 ---- */

static uint32_t piece(uint16_t id, uint32_t at, uint32_t n, bool more)
{
	struct kit_packet k = {.proto = NAT_UDP, .data = text, .len = n};
	uint32_t len = kit_make(frame, &k);

	nat_put16(frame + 18, id);
	nat_put16(frame + 20, at / 8 | (more ? 0x2000u : 0));
	kit_sums(frame, len);
	return len;
}

static void test_reassembly(void **state)
{
	(void)state;
	/* The first comes last and reaches into what is there. */
	assert_false(reaches(piece(1, 64, 56, true)));
	assert_false(reaches(piece(1, 128, 8, false)));
	assert_false(reaches(piece(1, 0, 120, true)));
	/* One that is within another. */
	assert_false(reaches(piece(2, 0, 504, true)));
	assert_false(reaches(piece(2, 64, 24, false)));
	/* Beyond 65,535 bytes. */
	assert_false(reaches(piece(3, 0, 504, true)));
	assert_false(reaches(piece(3, 0xfff8, 504, false)));
	/* Empty, and tiny ones. */
	assert_false(reaches(piece(4, 0, 0, true)));
	for (uint32_t at = 0; at < 64; at += 8)
		assert_false(reaches(piece(5, at, 0, true)));
	assert_false(reaches(piece(5, 64, 0, false)));
	/* Many that wait for what never comes, and time passes. */
	for (uint16_t id = 100; id < 1100; id++) {
		assert_false(reaches(piece(id, 64, 56, true)));
		filter->now += 40;
	}
}

/* ---- ICMPv6: CVE-2020-10756 ---- */

static void test_icmp6(void **state)
{
	struct kit_packet k = {
		.proto = NAT_ICMPV6, .v6 = true, .icmp_type = 128, .data = text, .len = 8};
	uint32_t len;

	(void)state;
	k.dst6 = kit_gateway6;
	for (uint32_t more = 1; more < 2000; more += 97) {
		len = kit_make(frame, &k);
		nat_put16(frame + 18, 16 + more);
		stays_out(len, "an echo request that says it is longer");
	}
}

/* ---- short ones: CVE-2020-29129, CVE-2020-29130 ---- */

static void test_short(void **state)
{
	(void)state;
	memset(frame, 0, 64);
	memcpy(frame + 6, kit_member_mac, 6);
	nat_put16(frame + 12, 0x88f8);
	stays_out(64, "NC-SI");
	nat_put16(frame + 12, NAT_ETH_ARP);
	memcpy(frame + 14, "\0\1\x08\0\6\4\0\1", 8);
	stays_out(64, "ARP");
}

/* ---- UDP: CVE-2021-3592 (BOOTP), -3593 (IPv6), -3594 (lengths), -3595 (TFTP) ---- */

static void test_services(void **state)
{
	static const uint16_t ports[] = {67, 69};
	static const uint32_t to[] = {KIT_GATEWAY, 0xffffffffu, KIT_GATEWAY | 255};
	struct kit_packet k = {.proto = NAT_UDP, .data = text, .len = 300};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		k.dport = ports[i];
		k.v6 = false;
		for (size_t d = 0; d < 3; d++) {
			k.dst = to[d];
			stays_out(kit_make(frame, &k), "BOOTP or TFTP");
		}
		k.v6 = true;
		k.dst6 = kit_gateway6;
		stays_out(kit_make(frame, &k), "BOOTP or TFTP over IPv6");
	}
}

static void test_udp_lengths(void **state)
{
	(void)state;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct kit_packet k = {.proto = NAT_UDP, .v6 = v6, .data = text, .len = 32};
		uint32_t l4 = NAT_ETH + (v6 ? NAT_IP6 : NAT_IP4);

		for (uint32_t said = 0; said < 200; said++) {
			uint32_t len = kit_make(frame, &k);

			nat_put16(frame + l4 + UDP_LEN, said);
			if (said < 8 || said > 40)
				stays_out(len, "UDP with a wrong length");
			if (said == 40)
				assert_true(reaches(len));
		}
	}
}

/* ---- TCP: CVE-2026-9539 ---- */

static void test_urgent(void **state)
{
	(void)state;
	for (unsigned v6 = 0; v6 < 2; v6++)
		for (uint32_t at = 0; at < 0x10000; at += 509) {
			struct kit_packet k = {
				.proto = NAT_TCP_P,
				.v6 = v6,
				.flags = NAT_ACK | NAT_URG,
				.urgent = (uint16_t)at,
				.data = text,
				.len = 100,
			};
			uint32_t len = kit_make(frame, &k);
			struct packet p;

			assert_int_equal(filter_ip(filter, frame, len, &p), NAT_PASS);
			assert_int_equal(filter_transport(filter, &p), NAT_PASS);
			assert_int_equal(p.frame[p.l4 + 13] & NAT_URG, 0);
			assert_int_equal(nat_be16(p.frame + p.l4 + 18), 0);
			assert_true(kit_right(p.frame, p.len));
		}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_reassembly), T(test_icmp6),	 T(test_short),
		T(test_services),   T(test_udp_lengths), T(test_urgent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
