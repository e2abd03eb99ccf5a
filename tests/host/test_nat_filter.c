/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What reaches libslirp and what does not (G-10, D-15); and what must not be refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/nat/filter.h"
#include "tests/host/nat_kit.h"

#define DNS 0xc6336435u /* 198.51.100.53 */

static struct nat_config config;
static struct filter *filter;
static uint8_t frame[4096];

static int set_up(void **state)
{
	(void)state;
	config = kit_config();
	filter = calloc(1, sizeof(*filter));
	*filter = (struct filter){.config = &config, .mss4 = 32000, .mss6 = 31000, .now = 1000};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(filter);
	return 0;
}

static enum nat_drop through(uint32_t len, struct packet *p)
{
	enum nat_drop drop = filter_ip(filter, frame, len, p);

	return drop || p->fragment ? drop : filter_transport(filter, p);
}

static void expect_drop(uint32_t len, enum nat_drop want, const char *what)
{
	struct packet p;
	enum nat_drop drop = through(len, &p);

	if (drop != want)
		fail_msg("%s: %s, not %s", what, nat_drop_name[drop], nat_drop_name[want]);
}

static void expect_pass(uint32_t len, struct packet *p, const char *what)
{
	enum nat_drop drop = through(len, p);

	if (drop)
		fail_msg("%s: dropped: %s", what, nat_drop_name[drop]);
	if (!kit_right(p->frame, p->len))
		fail_msg("%s: lengths or checksums are wrong now", what);
}

static const struct kit_packet syn = {.proto = NAT_TCP_P, .flags = NAT_SYN, .window = 64240};
static const struct kit_packet data = {
	.proto = NAT_TCP_P, .flags = NAT_ACK, .data = (const uint8_t *)"hello", .len = 5};
static const struct kit_packet udp = {.proto = NAT_UDP, .data = (const uint8_t *)"query", .len = 5};
static const struct kit_packet ping = {.proto = NAT_ICMP, .icmp_type = 8};

static struct kit_packet six(struct kit_packet p)
{
	p.v6 = true;
	return p;
}

static struct kit_packet to(struct kit_packet p, uint32_t dst)
{
	p.dst = dst;
	return p;
}

static void test_pass(void **state)
{
	const struct kit_packet all[] = {syn, data, udp, ping, six(syn), six(data), six(udp)};
	struct packet p;

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		uint32_t len = kit_make(frame, &all[i]);

		expect_pass(len, &p, "ordinary");
		assert_int_equal(p.len, len);
		assert_ptr_equal(p.frame, frame);
		/* Ethernet pads what is short. */
		memset(frame + len, 0xee, 20);
		kit_make(frame, &all[i]);
		expect_pass(len + 20, &p, "padded");
		assert_int_equal(p.len, len);
	}
	/* Odd, but allowed: a datagram without checksum, a low TTL, type of service, reserved
	 * flags. */
	uint32_t len = kit_make(frame, &udp);

	nat_put16(frame + 14 + 20 + 6, 0);
	assert_int_equal(through(len, &p), NAT_PASS);
	len = kit_make(frame, &data);
	frame[14 + 1] = 0xb8;
	frame[14 + 8] = 1;
	frame[14 + 20 + 12] |= 0x0e;
	kit_sums(frame, len);
	expect_pass(len, &p, "odd");
}

/* However short it is cut, nothing is read beyond, and only what is whole passes. */
static void test_short(void **state)
{
	const uint8_t mss[4] = {2, 4, 5, 180};
	struct kit_packet with_options = syn;
	const struct kit_packet all[] = {data, udp, ping, six(data), six(udp), with_options};

	(void)state;
	with_options.options = mss;
	with_options.options_len = 4;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		uint32_t len = kit_make(frame, &all[i]);

		for (uint32_t n = 0; n < len; n++) {
			uint8_t *exact = malloc(n ? n : 1);
			struct packet p;

			memcpy(exact, frame, n);
			assert_int_not_equal(filter_ip(filter, exact, n, &p), NAT_PASS);
			free(exact);
			/* The same, told by the IP header: then its transport has less. */
			if (n <= 14 + (all[i].v6 ? 40u : 20u))
				continue;
			exact = malloc(n);
			memcpy(exact, frame, n);
			if (all[i].v6)
				nat_put16(exact + 14 + 4, n - 14 - 40);
			else
				nat_put16(exact + 14 + 2, n - 14);
			kit_sums(exact, n);
			if (!filter_ip(filter, exact, n, &p) && !filter_transport(filter, &p)) {
				assert_true(p.payload <= n || p.proto == NAT_ICMP);
				assert_int_equal(p.len, n);
			}
			free(exact);
		}
	}
}

static void test_source(void **state)
{
	const uint32_t wrong[] = {KIT_GATEWAY, config.subnet, config.subnet | 255, 0x7f000001,
				  KIT_OUTSIDE, 0xe0000001,    0xffffffff,	   0x0a4d0105};
	const uint8_t wrong6[][16] = {{0xfd, 0x77, [15] = 1},
				      {[15] = 1},
				      {0xfe, 0x80, [15] = 1},
				      {0xff, 2, [15] = 1},
				      {0x20, 1, 0xd, 0xb8, [15] = 9}};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct kit_packet k = udp;

		k.src = wrong[i];
		expect_drop(kit_make(frame, &k), NAT_DROP_SOURCE, "source");
	}
	for (size_t i = 0; i < sizeof(wrong6) / sizeof(wrong6[0]); i++) {
		struct kit_packet k = six(udp);

		k.src6 = wrong6[i];
		expect_drop(kit_make(frame, &k), NAT_DROP_SOURCE, "source6");
	}
	kit_make(frame, &udp);
	frame[6] |= 1;
	expect_drop(60, NAT_DROP_SOURCE, "a group as source");
}

/* A member cannot write an address of this host's loopback, in any of its spellings. */
static void test_martian(void **state)
{
	const uint32_t wrong[] = {0x7f000001, 0x7f000035, 0x7fffffff, 0x00000001, 0x00ffffff,
				  0xe0000001, 0xefffffff, 0xf0000001, 0xffffffff};
	const uint8_t wrong6[][16] = {
		{[15] = 1},
		{[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1},
		{[12] = 127, [15] = 1},
		{[8] = 0xff, [9] = 0xff, [12] = 127, [15] = 1},
		{0, 0x64, 0xff, 0x9b, [12] = 127, [15] = 1},
		{0x20, 0x02, 127, 0, 0, 1, [15] = 1},
		{0xfe, 0x80, [15] = 1},
		{0xfe, 0xc0, [15] = 1},
		{0xff, 0x02, [15] = 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct kit_packet k = to(syn, wrong[i]);

		expect_drop(kit_make(frame, &k), NAT_DROP_MARTIAN, "martian");
		k = to(ping, wrong[i]);
		expect_drop(kit_make(frame, &k), NAT_DROP_MARTIAN, "martian");
	}
	for (size_t i = 0; i < sizeof(wrong6) / sizeof(wrong6[0]); i++) {
		struct kit_packet k = six(syn);

		k.dst6 = wrong6[i];
		expect_drop(kit_make(frame, &k), NAT_DROP_MARTIAN, "martian6");
	}
}

static void test_local(void **state)
{
	const uint16_t services[] = {53, 67, 68, 69};
	uint8_t other6[16];

	(void)state;
	struct kit_packet k = to(udp, KIT_MEMBER + 1);

	expect_drop(kit_make(frame, &k), NAT_DROP_LOCAL, "another member");
	k = to(udp, config.subnet | 255);
	expect_drop(kit_make(frame, &k), NAT_DROP_LOCAL, "broadcast");
	k = to(ping, KIT_GATEWAY);
	expect_drop(kit_make(frame, &k), NAT_DROP_LOCAL, "ping of the gateway");
	for (size_t i = 0; i < 4; i++) {
		k = to(udp, KIT_GATEWAY);
		k.dport = services[i];
		expect_drop(kit_make(frame, &k), NAT_DROP_LOCAL, "the daemon's services");
	}
	k.dport = 7007;
	expect_drop(kit_make(frame, &k), NAT_DROP_LOCAL, "UDP to the gateway");
	memcpy(other6, kit_member6, 16);
	other6[15] = 77;
	k = six(udp);
	k.dst6 = other6;
	expect_drop(kit_make(frame, &k), NAT_DROP_LOCAL, "another member");
}

/* To the gateway itself: nothing that a member begins, unless the network allows it. */
static void test_gateway(void **state)
{
	struct kit_packet k = to(syn, KIT_GATEWAY), k6 = six(syn);
	struct packet p;

	(void)state;
	k6.dst6 = kit_gateway6;
	expect_pass(kit_make(frame, &k), &p, "SYN");
	assert_int_equal(p.frame[p.l4 + 13], NAT_SYN | NAT_FIN); /* so that it is reset */
	expect_pass(kit_make(frame, &k6), &p, "SYN");
	assert_int_equal(p.frame[p.l4 + 13], NAT_SYN | NAT_FIN);
	k = to(data, KIT_GATEWAY);
	expect_pass(kit_make(frame, &k), &p, "of a forward's connection");
	assert_int_equal(p.frame[p.l4 + 13], NAT_ACK);

	/* A datagram of a forward's peer may be answered. */
	k = (struct kit_packet){.proto = NAT_UDP,
				.src = KIT_GATEWAY,
				.dst = KIT_MEMBER,
				.sport = 80,
				.dport = 40000};
	kit_make(frame, &k);
	filter_back(filter, frame + 14, frame + 34, 8, false, NAT_UDP);
	k = to(udp, KIT_GATEWAY);
	expect_pass(kit_make(frame, &k), &p, "an answer");
	k.dport = 81;
	expect_drop(kit_make(frame, &k), NAT_DROP_LOCAL, "another port");

	config.host_loopback = true;
	expect_pass(kit_make(frame, &k), &p, "UDP to the host");
	k = to(syn, KIT_GATEWAY);
	expect_pass(kit_make(frame, &k), &p, "SYN to the host");
	assert_int_equal(p.frame[p.l4 + 13], NAT_SYN);
	config.restricted = true;
	expect_pass(kit_make(frame, &k), &p, "SYN");
	assert_int_equal(p.frame[p.l4 + 13], NAT_SYN | NAT_FIN);
}

static void test_header(void **state)
{
	static const struct {
		const char *what;
		uint32_t at;
		uint8_t value;
		enum nat_drop want;
	} four[] = {
		{"version", 14, 0x65, NAT_DROP_HEADER},
		{"header of 16 bytes", 14, 0x44, NAT_DROP_HEADER},
		{"header longer than all", 14, 0x4f, NAT_DROP_HEADER},
		{"total above the frame", 14 + 2, 1, NAT_DROP_SHORT},
		{"total below the header", 14 + 3, 19, NAT_DROP_HEADER},
		{"TTL 0", 14 + 8, 0, NAT_DROP_HEADER},
		{"reserved bit", 14 + 6, 0x80, NAT_DROP_HEADER},
		{"IGMP", 14 + 9, 2, NAT_DROP_PROTOCOL},
		{"IP in IP", 14 + 9, 4, NAT_DROP_PROTOCOL},
		{"IPv6 in IP", 14 + 9, 41, NAT_DROP_PROTOCOL},
		{"SCTP", 14 + 9, 132, NAT_DROP_PROTOCOL},
		{"data offset 16", 14 + 20 + 12, 0x40, NAT_DROP_HEADER},
		{"data offset 60", 14 + 20 + 12, 0xf0, NAT_DROP_SHORT},
		{"no flags", 14 + 20 + 13, 0, NAT_DROP_HEADER},
		{"FIN alone", 14 + 20 + 13, NAT_FIN, NAT_DROP_HEADER},
		{"SYN and FIN", 14 + 20 + 13, NAT_SYN | NAT_FIN, NAT_DROP_HEADER},
		{"SYN and RST", 14 + 20 + 13, NAT_SYN | NAT_RST, NAT_DROP_HEADER},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(four) / sizeof(four[0]); i++) {
		uint32_t len = kit_make(frame, &data);

		frame[four[i].at] = four[i].value;
		kit_sums(frame, len);
		expect_drop(len, four[i].want, four[i].what);
	}
	uint32_t len = kit_make(frame, &data);

	frame[14 + 10] ^= 1;
	expect_drop(len, NAT_DROP_CHECKSUM, "IP checksum");
	kit_make(frame, &data);
	nat_put16(frame + 12, 0x88f8);
	expect_drop(len, NAT_DROP_TYPE, "NC-SI");
	nat_put16(frame + 12, 0x8100);
	expect_drop(len, NAT_DROP_TYPE, "a tag");
	nat_put16(frame + 12, NAT_ETH_ARP);
	expect_drop(len, NAT_DROP_TYPE, "ARP");
}

static void test_header_udp(void **state)
{
	uint32_t len = kit_make(frame, &udp);

	(void)state;
	nat_put16(frame + 34 + 4, 7);
	expect_drop(len, NAT_DROP_HEADER, "length 7");
	nat_put16(frame + 34 + 4, 14);
	expect_drop(len, NAT_DROP_HEADER, "length above the packet");
	nat_put16(frame + 34 + 4, 12);
	expect_drop(len, NAT_DROP_HEADER, "something behind the datagram");
	kit_make(frame, &udp);
	nat_put16(frame + 34, 0);
	expect_drop(len, NAT_DROP_HEADER, "port 0");
	kit_make(frame, &udp);
	nat_put16(frame + 36, 0);
	expect_drop(len, NAT_DROP_HEADER, "port 0");

	struct kit_packet k = six(udp);

	len = kit_make(frame, &k);
	nat_put16(frame + 54 + 6, 0);
	expect_drop(len, NAT_DROP_HEADER, "IPv6 without checksum");
	kit_make(frame, &k);
	frame[14 + 6] = 0;
	expect_drop(len, NAT_DROP_PROTOCOL, "hop-by-hop options");
	frame[14 + 6] = 43;
	expect_drop(len, NAT_DROP_PROTOCOL, "a routing header");
	frame[14 + 6] = NAT_ICMPV6;
	for (unsigned type = 128; type <= 137; type++) {
		frame[54] = (uint8_t)type;
		kit_sums(frame, len);
		expect_drop(len, NAT_DROP_PROTOCOL, "ICMPv6");
	}
	frame[14 + 6] = NAT_ICMP;
	expect_drop(len, NAT_DROP_PROTOCOL, "ICMP in IPv6");

	len = kit_make(frame, &ping);
	for (unsigned type = 0; type < 256; type++) {
		if (type == 8)
			continue;
		frame[34] = (uint8_t)type;
		kit_sums(frame, len);
		expect_drop(len, NAT_DROP_PROTOCOL, "ICMP");
	}
}

static void test_ip_options(void **state)
{
	static const struct {
		const char *what;
		uint8_t bytes[8];
		enum nat_drop want;
	} all[] = {
		{"no operation", {1, 1, 1, 1, 0}, NAT_PASS},
		{"router alert", {0x94, 4, 0, 0, 0}, NAT_PASS},
		{"record route", {7, 7, 4, 0, 0, 0, 0, 0}, NAT_PASS},
		{"loose source route", {131, 7, 4, 10, 0, 0, 1, 0}, NAT_DROP_OPTION},
		{"strict source route", {1, 137, 7, 4, 10, 0, 0, 1}, NAT_DROP_OPTION},
		{"length 0", {7, 0, 0, 0, 0}, NAT_DROP_OPTION},
		{"length 1", {7, 1, 0, 0, 0}, NAT_DROP_OPTION},
		{"length above all", {7, 40, 0, 0, 0}, NAT_DROP_OPTION},
		{"no length", {1, 1, 1, 1, 1, 1, 1, 7}, NAT_DROP_OPTION},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct kit_packet k = data;
		struct packet p;
		uint32_t len;

		k.ip_options = all[i].bytes;
		k.ip_options_len = 8;
		len = kit_make(frame, &k);
		if (all[i].want) {
			expect_drop(len, all[i].want, all[i].what);
			continue;
		}
		expect_pass(len, &p, all[i].what);
		assert_int_equal(p.frame[14], 0x45);
		assert_int_equal(p.len, len - 8);
		assert_memory_equal(p.frame + p.payload, "hello", 5);
		assert_memory_equal(p.frame, kit_gateway_mac, 6);
	}
}

static void test_urgent(void **state)
{
	static const uint8_t flags[] = {NAT_ACK | NAT_URG,
					NAT_ACK | NAT_URG | NAT_PSH,
					NAT_ACK | NAT_URG | NAT_FIN,
					NAT_SYN | NAT_URG,
					NAT_ACK,
					NAT_RST | NAT_URG};
	static const uint16_t pointers[] = {0, 1, 5, 0x7fff, 0xffff};

	(void)state;
	for (unsigned v6 = 0; v6 < 2; v6++)
		for (size_t i = 0; i < sizeof(flags); i++)
			for (size_t j = 0; j < 5; j++) {
				struct kit_packet k = v6 ? six(data) : data;
				struct packet p;

				k.flags = flags[i];
				k.urgent = pointers[j];
				expect_pass(kit_make(frame, &k), &p, "urgent");
				assert_int_equal(p.frame[p.l4 + 13], flags[i] & ~NAT_URG);
				assert_int_equal(nat_be16(p.frame + p.l4 + 18), 0);
				assert_memory_equal(p.frame + p.payload, "hello", 5);
			}
}

static uint16_t back_mss(bool v6, uint8_t flags, const uint8_t *options, uint32_t options_len)
{
	struct kit_packet k = {
		.proto = NAT_TCP_P,
		.v6 = v6,
		.src = KIT_OUTSIDE,
		.dst = KIT_MEMBER,
		.src6 = kit_outside6,
		.dst6 = kit_member6,
		.sport = 80,
		.dport = 40000,
		.flags = flags,
		.options = options,
		.options_len = options_len,
	};
	uint32_t len = kit_make(frame, &k), l4 = v6 ? 54 : 34;
	uint16_t mss = filter_back(filter, frame + 14, frame + l4, len - l4, v6, NAT_TCP_P);

	assert_true(kit_right(frame, len));
	return mss;
}

static void test_mss(void **state)
{
	static const struct {
		uint8_t options[12];
		uint32_t len, at; /* at: of the value; 0: none */
		uint16_t mss;
	} all[] = {
		{{2, 4, 0x05, 0xb4}, 4, 22, 1460},
		{{1, 2, 4, 0x05, 0xb4, 1, 1, 1}, 8, 23, 1460}, /* at an odd place */
		{{1, 1, 2, 4, 0x02, 0x18, 0, 0}, 8, 24, 536},
		{{1, 1, 1, 2, 4, 0x01, 0xf4, 0}, 8, 25, 500},
		{{1, 3, 3, 7}, 4, 0, 536},
		{{2, 4, 0, 1}, 4, 22, 88},
		{{2, 4, 0xff, 0xff, 3, 3, 14, 1}, 8, 22, 1460},
	};
	static const uint8_t answer[4] = {2, 4, 0x7d, 0};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct kit_packet k = syn;
		struct packet p;

		k.options = all[i].options;
		k.options_len = all[i].len;
		expect_pass(kit_make(frame, &k), &p, "SYN");
		if (all[i].at)
			assert_int_equal(nat_be16(p.frame + p.l4 + all[i].at - 0), 32000);
		assert_int_equal(back_mss(false, NAT_ACK, NULL, 0), all[i].mss);
		/* What libslirp says to the member is what the network has room for. */
		back_mss(false, NAT_SYN | NAT_ACK, answer, 4);
		assert_int_equal(nat_be16(frame + 34 + 22), 1460);
	}

	struct kit_packet k = six(syn);
	struct packet p;

	k.options = answer;
	k.options_len = 4;
	expect_pass(kit_make(frame, &k), &p, "SYN");
	assert_int_equal(nat_be16(p.frame + p.l4 + 22), 31000);
	assert_int_equal(back_mss(true, NAT_ACK, NULL, 0), 1440);
}

static void test_tcp_options(void **state)
{
	static const struct {
		const char *what;
		uint8_t bytes[8];
		enum nat_drop want;
	} all[] = {
		{"time stamp cut off", {8, 10, 0, 0, 0, 0, 0, 0}, NAT_DROP_OPTION},
		{"length 0", {8, 0, 0, 0, 0, 0, 0, 0}, NAT_DROP_OPTION},
		{"no length", {1, 1, 1, 1, 1, 1, 1, 8}, NAT_DROP_OPTION},
		{"MSS of 3 bytes", {2, 3, 0, 1, 1, 1, 1, 1}, NAT_DROP_OPTION},
		{"rubbish behind the end", {0, 2, 0, 9, 9, 9, 9, 9}, NAT_PASS},
		{"unknown", {99, 8, 1, 2, 3, 4, 5, 6}, NAT_PASS},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct kit_packet k = data;

		k.options = all[i].bytes;
		k.options_len = 8;
		expect_drop(kit_make(frame, &k), all[i].want, all[i].what);
	}
}

static uint32_t make_answer(uint32_t src, uint16_t sport)
{
	struct kit_packet k = data;

	k.src = src;
	k.dst = KIT_MEMBER;
	k.sport = sport;
	k.dport = 40000;
	return kit_make(frame, &k);
}

static void test_dns(void **state)
{
	const uint32_t servers[] = {DNS, 0x7f000035}; /* a local resolver is the one exception */

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct kit_packet k = to(syn, KIT_GATEWAY);
		struct packet p;
		uint32_t len;

		tear_down(NULL);
		set_up(NULL);
		config.dns = servers[i];
		config.dns_port = 5353;
		/* Nobody asked yet: what that server says to somebody else is left alone. */
		len = make_answer(servers[i], 5353);
		filter_back(filter, frame + 14, frame + 34, len - 34, false, NAT_TCP_P);
		assert_int_equal(nat_be32(frame + 14 + 12), servers[i]);

		k.dport = 53;
		expect_pass(kit_make(frame, &k), &p, "DNS");
		assert_int_equal(nat_be32(p.frame + 14 + 16), servers[i]);
		assert_int_equal(nat_be16(p.frame + 34 + 2), 5353);

		len = make_answer(servers[i], 5353);
		filter_back(filter, frame + 14, frame + 34, len - 34, false, NAT_TCP_P);
		assert_true(kit_right(frame, len));
		assert_int_equal(nat_be32(frame + 14 + 12), KIT_GATEWAY);
		assert_int_equal(nat_be16(frame + 34), 53);
		/* Another port of the same server is another matter. */
		len = make_answer(servers[i], 80);
		filter_back(filter, frame + 14, frame + 34, len - 34, false, NAT_TCP_P);
		assert_int_equal(nat_be32(frame + 14 + 12), servers[i]);
	}
	/* Still, it cannot be named by the member itself. */
	struct kit_packet k = to(syn, 0x7f000035);

	k.dport = 5353;
	expect_drop(kit_make(frame, &k), NAT_DROP_MARTIAN, "the resolver by itself");
}

static void test_restricted(void **state)
{
	struct kit_packet k;
	struct packet p;

	(void)state;
	config.restricted = true;
	expect_drop(kit_make(frame, &syn), NAT_DROP_REFUSED, "SYN");
	expect_drop(kit_make(frame, &ping), NAT_DROP_REFUSED, "ping");
	expect_drop(kit_make(frame, &udp), NAT_DROP_REFUSED, "a datagram");
	expect_pass(kit_make(frame, &data), &p, "an answer");
	k = syn;
	k.flags = NAT_SYN | NAT_ACK;
	expect_pass(kit_make(frame, &k), &p, "an answer");

	/* A datagram from outside may be answered, to where it came from. */
	k = udp;
	k.src = KIT_OUTSIDE;
	k.dst = KIT_MEMBER;
	k.sport = 80;
	k.dport = 40000;
	kit_make(frame, &k);
	filter_back(filter, frame + 14, frame + 34, 8, false, NAT_UDP);
	expect_pass(kit_make(frame, &udp), &p, "an answer");
	k = to(udp, KIT_OUTSIDE + 1);
	expect_drop(kit_make(frame, &k), NAT_DROP_REFUSED, "to another");
	filter->now += 300001;
	expect_drop(kit_make(frame, &udp), NAT_DROP_REFUSED, "too late");

	config.restricted = false;
	config.nat44 = config.nat66 = false;
	expect_drop(kit_make(frame, &syn), NAT_DROP_REFUSED, "no NAT44");
	k = six(syn);
	expect_drop(kit_make(frame, &k), NAT_DROP_TYPE, "no NAT66");
}

/* The table of members: what was learnt, how long it lasts, and that it has an end. */
static void test_neighbours(void **state)
{
	struct neigh *n = calloc(1, sizeof(*n));
	uint8_t a[16] = {10, 77, 0, 5}, mac[6];
	struct packet p;

	(void)state;
	expect_pass(kit_make(frame, &udp), &p, "ordinary");
	assert_true(neigh_find(&filter->neigh, a, false, filter->now, mac));
	assert_memory_equal(mac, kit_member_mac, 6);
	assert_false(neigh_find(&filter->neigh, a, false, filter->now + NEIGH_AGE_MS + 1, mac));
	assert_false(neigh_find(&filter->neigh, a, true, filter->now, mac));

	/* A flood of addresses takes places, but never that of who is heard now and then. */
	for (uint32_t i = 0; i < 200000; i++) {
		if (i % 100 == 0)
			neigh_learn(n, a, false, kit_member_mac, i);
		nat_put32(a + 4, i);
		neigh_learn(n, a, true, kit_gateway_mac, i);
	}
	assert_true(neigh_find(n, a, false, 200000, mac));
	assert_memory_equal(mac, kit_member_mac, 6);
	free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pass, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_short, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_source, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_martian, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_local, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_gateway, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_header, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_header_udp, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ip_options, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_urgent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_mss, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_tcp_options, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_dns, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_restricted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_neighbours, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
