/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a locked member may not say (host/netd/guard.h): each lie, the truth that looks most like
 * it, and both cut short at every length.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "host/netd/guard.h"

#define GATEWAY 0x0a000001u

static const uint8_t own[6] = {2, 0, 0, 0, 0, 7}, other[6] = {2, 0, 0, 0, 0, 8};
static const uint8_t own6[16] = {0xfe, 0x80, [15] = 7}, other6[16] = {0xfe, 0x80, [15] = 8};

static struct guard guard = {
	.gateway4 = GATEWAY,
	.gateway6 = {{0xfe, 0x80, [15] = 1}, {0xfd, 0x00, [15] = 1}},
};

/* A frame being written; `tags` VLAN tags come first. */
struct made {
	uint8_t bytes[256];
	uint32_t len;
};

static void add(struct made *m, const void *data, uint32_t n)
{
	memcpy(m->bytes + m->len, data, n);
	m->len += n;
}

static void add8(struct made *m, unsigned v)
{
	m->bytes[m->len++] = (uint8_t)v;
}

static void add16(struct made *m, unsigned v)
{
	add8(m, v >> 8);
	add8(m, v & 0xff);
}

static void zeros(struct made *m, uint32_t n)
{
	memset(m->bytes + m->len, 0, n);
	m->len += n;
}

static struct made ether(unsigned tags, unsigned type)
{
	struct made m = {.len = 0};

	add(&m, other, 6);
	add(&m, own, 6);
	for (unsigned i = 0; i < tags; i++) {
		add16(&m, i ? 0x8100 : 0x88a8);
		add16(&m, 5);
	}
	add16(&m, type);
	return m;
}

static bool refused(struct made *m)
{
	/* Behind it nothing may be read: its own memory, so that the sanitizer sees it. */
	uint8_t *copy = malloc(m->len ? m->len : 1);
	struct frame f = {copy, m->len};
	bool is;

	memcpy(copy, m->bytes, m->len);
	is = guard_refuses(&guard, &f);
	free(copy);
	return is;
}

/* What is cut short may be judged either way; it must only be read within its bounds. */
static void judge(struct made m, bool want, const char *what)
{
	if (refused(&m) != want)
		fail_msg("%s is %s", what, want ? "let through" : "refused");
	for (struct made cut = m; cut.len >= FRAME_ETH; cut.len--)
		(void)refused(&cut);
}

static struct made arp(unsigned tags, const uint8_t sender[6], uint32_t address)
{
	struct made m = ether(tags, ETH_ARP);

	add(&m, "\0\1\10\0\6\4\0\2", 8);
	add(&m, sender, 6);
	add16(&m, address >> 16);
	add16(&m, address & 0xffff);
	zeros(&m, 10);
	return m;
}

static void test_arp(void **state)
{
	(void)state;
	for (unsigned tags = 0; tags < 3; tags++) {
		judge(arp(tags, own, GATEWAY + 6), false, "its own ARP");
		judge(arp(tags, own, 0), false, "an ARP probe");
		judge(arp(tags, other, GATEWAY + 6), true, "ARP of another station");
		judge(arp(tags, own, GATEWAY), true, "ARP for the gateway");
	}
}

static struct made ip4(uint32_t source, unsigned frag, unsigned words, unsigned from, unsigned to)
{
	struct made m = ether(0, ETH_IPV4);

	add8(&m, 0x40 | words);
	zeros(&m, 5);
	add16(&m, frag);
	add8(&m, 64);
	add8(&m, 17);
	zeros(&m, 2);
	add16(&m, source >> 16);
	add16(&m, source & 0xffff);
	zeros(&m, 4 + (words - 5) * 4);
	add16(&m, from);
	add16(&m, to);
	zeros(&m, 20);
	return m;
}

static void test_ip4(void **state)
{
	(void)state;
	judge(ip4(GATEWAY + 6, 0, 5, 68, 67), false, "a DHCP client");
	judge(ip4(0, 0, 5, 68, 67), false, "a DHCP client without an address");
	judge(ip4(GATEWAY + 6, 0, 5, 67, 68), true, "a DHCP server");
	judge(ip4(GATEWAY + 6, 0x2000, 5, 67, 68), true, "a DHCP server in fragments");
	judge(ip4(GATEWAY + 6, 0, 8, 67, 68), true, "a DHCP server behind options");
	judge(ip4(GATEWAY + 6, 5, 5, 67, 68), false, "a later fragment");
	judge(ip4(GATEWAY, 0, 5, 1000, 1001), true, "a packet of the gateway's");
}

static struct made ip6(const uint8_t source[16], unsigned next)
{
	struct made m = ether(0, ETH_IPV6);

	add16(&m, 0x6000);
	zeros(&m, 4);
	add8(&m, next);
	add8(&m, 255);
	add(&m, source, 16);
	add(&m, other6, 16);
	return m;
}

/* A message of neighbour discovery, with an address option if `station` is not NULL. */
static void nd(struct made *m, unsigned type, unsigned flags, const uint8_t target[16],
	       unsigned option, const uint8_t *station)
{
	add8(m, type);
	zeros(m, 3);
	add8(m, flags);
	zeros(m, 3);
	add(m, target, 16);
	if (!station)
		return;
	add8(m, option);
	add8(m, 1);
	add(m, station, 6);
}

static struct made plain_nd(const uint8_t source[16], unsigned type, unsigned flags,
			    const uint8_t target[16], unsigned option, const uint8_t *station)
{
	struct made m = ip6(source, 58);

	nd(&m, type, flags, target, option, station);
	return m;
}

static void test_nd(void **state)
{
	struct made m;

	(void)state;
	judge(plain_nd(own6, 136, 0x60, own6, 2, own), false, "its own advertisement");
	judge(plain_nd(own6, 136, 0x60, own6, 0, NULL), false, "one without its station");
	judge(plain_nd(own6, 136, 0xe0, own6, 2, own), true, "a router's advertisement");
	judge(plain_nd(own6, 136, 0x60, guard.gateway6[0], 2, own), true, "the gateway's");
	judge(plain_nd(own6, 136, 0x60, guard.gateway6[1], 2, own), true, "its other address");
	judge(plain_nd(own6, 136, 0x60, own6, 2, other), true, "another's station");
	judge(plain_nd(own6, 135, 0, other6, 1, own), false, "its own question");
	judge(plain_nd(own6, 135, 0, guard.gateway6[0], 1, own), false,
	      "a question for the gateway");
	judge(plain_nd(own6, 135, 0, other6, 1, other), true, "a question with another's station");
	judge(plain_nd(guard.gateway6[0], 135, 0, other6, 1, own), true,
	      "a question as the gateway");
	judge(plain_nd(own6, 133, 0, own6, 0, NULL), false, "a router solicitation");
	judge(plain_nd(own6, 134, 0, own6, 1, own), true, "a router advertisement");
	judge(plain_nd(own6, 137, 0, own6, 2, own), true, "a redirect");
	judge(plain_nd(own6, 128, 0, own6, 0, NULL), false, "a ping");
	judge(plain_nd(guard.gateway6[1], 128, 0, own6, 0, NULL), true, "a ping of the gateway's");

	/* The lie is the second option. */
	m = plain_nd(own6, 136, 0x60, own6, 14, own);
	judge(m, false, "an option that is no address");
	add8(&m, 2);
	add8(&m, 1);
	add(&m, other, 6);
	judge(m, true, "another's station behind another option");
	m = plain_nd(own6, 136, 0x60, own6, 2, own);
	add16(&m, 0);
	judge(m, true, "an option without length");
}

static struct made extended(unsigned header, unsigned next, unsigned len, unsigned type)
{
	struct made m = ip6(own6, header);

	add8(&m, next);
	add8(&m, len);
	zeros(&m, 6 + len * 8);
	nd(&m, type, 0x60, own6, 2, own);
	return m;
}

static void test_extended(void **state)
{
	struct made m;

	(void)state;
	for (unsigned len = 0; len < 3; len++) {
		judge(extended(0, 58, len, 143), false, "a listener report");
		judge(extended(0, 58, len, 134), true, "a router advertisement behind options");
		judge(extended(0, 60, len, 0), true, "a chain of headers");
	}
	judge(extended(60, 58, 0, 134), true, "destination options");
	judge(extended(43, 58, 0, 134), true, "a routing header");
	judge(extended(44, 58, 0, 134), true, "a fragment of ICMPv6");
	judge(extended(44, 60, 0, 134), true, "a fragment of a chain");
	judge(extended(44, 6, 0, 134), false, "a fragment of TCP");
	m = ip6(own6, 44);
	add8(&m, 17);
	zeros(&m, 7);
	add16(&m, 547);
	add16(&m, 546);
	judge(m, true, "a DHCPv6 server in a fragment");
	m = ip6(own6, 17);
	add16(&m, 547);
	add16(&m, 546);
	judge(m, true, "a DHCPv6 server");
	m = ip6(own6, 17);
	add16(&m, 546);
	add16(&m, 547);
	judge(m, false, "a DHCPv6 client");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arp),
		cmocka_unit_test(test_ip4),
		cmocka_unit_test(test_nd),
		cmocka_unit_test(test_extended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
