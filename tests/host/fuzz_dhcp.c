/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libFuzzer over the DHCP server and its lease table: a network's whole life out of bytes.
 *
 * An input is a list of records: one byte of what to do, one of length, then so many bytes. Most
 * are messages; the lowest bits say from which of four members, and whether the bytes are all of
 * the message or only its options, after a sound fixed part. Others let time pass, set the clock,
 * report an address in use, or take a member away. After each record no address may have two
 * holders, no member more than its share, and every answer must be one that a client can read.
 */
#include <stdlib.h>
#include <string.h>

#include "host/netd/dhcp.h"
#include "host/netd/ip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define NET	 0x0a090000u
#define FIRST	 10u
#define LAST	 29u
#define RECORDS	 64u
#define FIXED	 240u
#define DO_RAW	 0x04u
#define DO_OTHER 0x08u

static const char *const members[] = {"a", "b", "c", ""};
static struct netdef_reserve reserve[2] = {
	{.by_mac = true, .mac = {2, 0, 0, 0, 0, 3}, .address = NET + 12},
	{.name = "b", .address = NET + 200},
};
static const struct netdef def = {
	.name = "fuzz",
	.mode = NETDEF_SHARED,
	.subnet = NET,
	.netmask = 0xffffff00u,
	.gateway = NET + 1,
	.dhcp = true,
	.dhcp_start = NET + FIRST,
	.dhcp_end = NET + LAST,
	.lease_s = 120,
	.dns = true,
	.domain = "fuzz.internal",
	.search = {"one.example", "two.example"},
	.nsearch = 2,
	.mtu = 1500,
	.reserve = reserve,
	.nreserve = 2,
};

struct seen {
	unsigned count[4];
	uint32_t last;
};

static void look(void *arg, const struct lease *l)
{
	struct seen *s = arg;

	/* In the order of addresses, so none is there twice. */
	if (l->address <= s->last || l->address == def.gateway)
		abort();
	s->last = l->address;
	if (l->state == LEASE_FREE)
		return;
	for (unsigned i = 0; i < 4; i++)
		if (l->state == LEASE_BOUND && !strcmp(l->member, members[i]))
			s->count[i]++;
	if (strlen(l->hostname) >= sizeof(l->hostname) || l->client_id_len > sizeof(l->client_id))
		abort();
}

static void check_table(struct lease_table *t)
{
	struct seen s = {.last = 0};

	lease_each(t, look, &s);
	for (unsigned i = 0; i < 4; i++)
		if (s.count[i] > lease_share(t) + 2) /* reserved ones come on top */
			abort();
}

static void check_answer(const uint8_t *out, size_t len)
{
	size_t at = FIXED;

	if (len < DHCP_MIN || len > DHCP_OUT_MAX || out[0] != 2)
		abort();
	while (at < len && out[at] != DHCP_OPT_END) {
		if (out[at] == DHCP_OPT_PAD || len - at < 2 || len - at - 2 < out[at + 1])
			abort();
		at += 2 + (size_t)out[at + 1];
	}
	if (at >= len)
		abort();
}

/* A message: from its options, or as it stands. Its own memory, so that reading past it is seen. */
static void message(struct dhcp_server *s, uint8_t what, struct span bytes)
{
	size_t fixed = what & DO_RAW ? 0 : FIXED;
	uint8_t *m = calloc(1, fixed + bytes.len + 1), out[DHCP_OUT_MAX];
	uint8_t mac[6] = {2, 0, 0, 0, 0, (uint8_t)(what >> 4)};
	struct dhcp_from from = {.member = members[what & 3], .mac = mac, .address = 0};
	struct dhcp_to to;
	size_t n;

	if (!m)
		return;
	if (fixed) {
		m[0] = m[1] = 1;
		m[2] = 6;
		memcpy(m + 28, mac, sizeof(mac));
		if (bytes.len > 2 && bytes.data[0] == DHCP_OPT_PAD) /* an address in ciaddr */
			ip_put32(m + 12, NET + bytes.data[1]);
		ip_put32(m + 236, 0x63825363u);
	}
	if (bytes.len)
		memcpy(m + fixed, bytes.data, bytes.len);
	n = dhcp_handle(s, span_of(m, fixed + bytes.len), &from, out, &to);
	if (n)
		check_answer(out, n);
	free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct dhcp_server s = {.def = &def};
	uint64_t ms = 1000;
	int64_t wall = 1700000000;
	struct span all = span_of(data, len), bytes;
	size_t at = 0;

	s.leases = lease_create(&def, NULL, ms, wall);
	if (!s.leases)
		return 0;
	for (unsigned i = 0; i < RECORDS; i++) {
		uint8_t what, n, mac[6] = {2, 0, 0, 0, 1, 0};

		if (!span_u8(all, at, &what) || !span_u8(all, at + 1, &n))
			break;
		if (!span_sub(all, at + 2, n, &bytes))
			(void)span_from(all, at + 2, &bytes);
		at += 2 + bytes.len;
		if (!(what & DO_OTHER)) {
			message(&s, what, bytes);
		} else if (what & 0x10) {
			ms += (uint64_t)n * 1000u;
			wall += what & 0x20 ? n * 100000 : n;
		} else if (what & 0x20) {
			mac[5] = what >> 6;
			lease_seen(s.leases, members[what & 3], mac, NET + n);
		} else {
			lease_member_gone(s.leases, members[what & 3]);
		}
		(void)lease_tick(s.leases, ms, wall);
		check_table(s.leases);
	}
	lease_destroy(s.leases);
	return 0;
}
