/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Choosing a subnet that nobody has: not another network of ours, not this host. What the host has
 * is asked of the kernel each time, as VPNs come and go: its addresses (getifaddrs) and its routes
 * (/proc/net/route, /proc/net/ipv6_route). A default route takes nothing, nor do the halves of the
 * address space that some VPNs use in its place.
 */
#include "host/netd/netdef_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TAKEN_MAX  4096u
#define TAKEN6_MAX 1024u
#define WIDEST	   0xff000000u /* a route wider than a /8 leads elsewhere */
#define WIDEST6	   8u
#define ROUNDS6	   64u

struct block {
	uint32_t net, mask;
};

struct block6 {
	uint8_t prefix[16];
	unsigned bits;
};

struct taken {
	struct block v4[TAKEN_MAX];
	struct block6 v6[TAKEN6_MAX];
	unsigned n4, n6;
};

/* Where subnets come from; the last is one for each network of this host at the most. */
static const struct {
	uint32_t first, last;
} RANGES[] = {
	{0xc0a84000, 0xc0a8fe00}, /* 192.168.64.0 to 192.168.254.0 */
	{0xac100000, 0xac1fff00}, /* 172.16.0.0 to 172.31.255.0 */
	{0x0a000000, 0x0affff00}, /* 10.0.0.0 to 10.255.255.0 */
};

static void take(struct taken *t, uint32_t net, uint32_t mask)
{
	if (t->n4 < TAKEN_MAX && (mask & WIDEST) == WIDEST)
		t->v4[t->n4++] = (struct block){net & mask, mask};
}

static void take6(struct taken *t, const uint8_t prefix[16], unsigned bits)
{
	if (t->n6 < TAKEN6_MAX && bits >= WIDEST6) {
		memcpy(t->v6[t->n6].prefix, prefix, 16);
		t->v6[t->n6++].bits = bits;
	}
}

static void take_addresses(struct taken *t)
{
	struct ifaddrs *all;

	if (getifaddrs(&all) != 0)
		return;
	for (struct ifaddrs *i = all; i; i = i->ifa_next) {
		struct sockaddr_in address, mask;

		if (!i->ifa_addr || !i->ifa_netmask || i->ifa_addr->sa_family != AF_INET)
			continue;
		memcpy(&address, i->ifa_addr, sizeof(address));
		memcpy(&mask, i->ifa_netmask, sizeof(mask));
		take(t, ntohl(address.sin_addr.s_addr), ntohl(mask.sin_addr.s_addr));
	}
	freeifaddrs(all);
}

static void take_routes(struct taken *t)
{
	FILE *file = fopen("/proc/net/route", "re");
	char line[512];

	while (file && fgets(line, sizeof(line), file)) {
		char *fields[8], *save = NULL;
		unsigned n = 0;

		for (char *at = strtok_r(line, " \t\n", &save); at && n < 8;
		     at = strtok_r(NULL, " \t\n", &save))
			fields[n++] = at;
		/* Iface Destination Gateway Flags RefCnt Use Metric Mask; as they lie in memory. */
		if (n == 8)
			take(t, ntohl((uint32_t)strtoul(fields[1], NULL, 16)),
			     ntohl((uint32_t)strtoul(fields[7], NULL, 16)));
	}
	if (file)
		fclose(file);
}

static bool hex_bytes(const char *text, uint8_t out[16])
{
	if (strnlen(text, 33) != 32)
		return false;
	for (unsigned i = 0; i < 16; i++) {
		char pair[3] = {text[2 * i], text[2 * i + 1]};
		char *end;

		out[i] = (uint8_t)strtoul(pair, &end, 16);
		if (end != pair + 2)
			return false;
	}
	return true;
}

static void take_routes6(struct taken *t)
{
	FILE *file = fopen("/proc/net/ipv6_route", "re");
	char line[512];

	while (file && fgets(line, sizeof(line), file)) {
		char *save = NULL, *prefix = strtok_r(line, " ", &save),
		     *bits = strtok_r(NULL, " ", &save);
		uint8_t bytes[16];

		if (prefix && bits && hex_bytes(prefix, bytes))
			take6(t, bytes, (unsigned)strtoul(bits, NULL, 16));
	}
	if (file)
		fclose(file);
}

static bool is_free(const struct taken *t, uint32_t net, uint32_t mask)
{
	for (unsigned i = 0; i < t->n4; i++) {
		uint32_t common = mask & t->v4[i].mask;

		if ((net & common) == (t->v4[i].net & common))
			return false;
	}
	return true;
}

/* Whether a /64 is. */
static bool is_free6(const struct taken *t, const uint8_t prefix[16])
{
	for (unsigned i = 0; i < t->n6; i++) {
		unsigned bits = t->v6[i].bits < 64 ? t->v6[i].bits : 64, whole = bits / 8;
		uint8_t rest = (uint8_t)(0xff00 >> bits % 8);

		if (!memcmp(prefix, t->v6[i].prefix, whole) &&
		    (bits % 8 == 0 || !((prefix[whole] ^ t->v6[i].prefix[whole]) & rest)))
			return false;
	}
	return true;
}

/* 0: none is left. */
static uint32_t first_free(const struct taken *t, uint32_t prefer)
{
	const uint32_t mask = 0xffffff00;

	for (unsigned i = 0; i < sizeof(RANGES) / sizeof(RANGES[0]); i++)
		if (prefer >= RANGES[i].first && prefer <= RANGES[i].last && !(prefer & ~mask) &&
		    is_free(t, prefer, mask))
			return prefer;
	for (unsigned i = 0; i < sizeof(RANGES) / sizeof(RANGES[0]); i++)
		for (uint32_t net = RANGES[i].first; net <= RANGES[i].last; net += 0x100)
			if (is_free(t, net, mask))
				return net;
	return 0;
}

void netdef_derive_prefix6(struct netdef *d, unsigned round)
{
	static const char *const files[] = {"/etc/machine-id", "/var/lib/dbus/machine-id"};
	uint8_t digest[SHA256_DIGEST_SIZE];
	char salt[96] = "";
	struct sha256_ctx sha;

	for (unsigned i = 0; i < 2 && !*salt; i++) {
		FILE *file = fopen(files[i], "re");

		if (file && !fgets(salt, sizeof(salt), file))
			*salt = '\0';
		if (file)
			fclose(file);
	}
	if (!*salt)
		gethostname(salt, sizeof(salt) - 1);
	sha256_init(&sha);
	sha256_update(&sha, strlen(salt), (const uint8_t *)salt);
	sha256_update(&sha, strlen(d->name), (const uint8_t *)d->name);
	sha256_update(&sha, sizeof(round), (const uint8_t *)&round);
	sha256_digest(&sha, sizeof(digest), digest);
	memset(d->prefix6, 0, sizeof(d->prefix6));
	d->prefix6[0] = 0xfd;
	memcpy(d->prefix6 + 1, digest, 7);
}

bool netdef_choose(struct netdef *d, const struct netdef *const *others, unsigned nothers,
		   uint32_t prefer, char err[NETDEF_ERR_MAX])
{
	struct netdef_fault fault = {.err = err};
	struct taken *t;
	uint32_t net;

	if (!d->auto_subnet)
		return true;
	t = calloc(1, sizeof(*t));
	if (!t) {
		snprintf(err, NETDEF_ERR_MAX, "out of memory");
		return false;
	}
	for (unsigned i = 0; i < nothers; i++) {
		if (others[i]->subnet)
			take(t, others[i]->subnet, others[i]->netmask);
		if (netdef_has_prefix6(others[i]))
			take6(t, others[i]->prefix6, 64);
	}
	take_addresses(t);
	take_routes(t);
	take_routes6(t);
	net = first_free(t, prefer);
	if ((d->nat66 || d->ra) && !netdef_has_prefix6(d))
		for (unsigned round = 0; round < ROUNDS6; round++) {
			netdef_derive_prefix6(d, round);
			if (is_free6(t, d->prefix6))
				break;
		}
	free(t);
	if (!net) {
		snprintf(err, NETDEF_ERR_MAX,
			 "network %s: no private subnet is free beside this host's routes; give "
			 "it one with subnet",
			 d->name);
		return false;
	}
	d->subnet = net;
	d->netmask = 0xffffff00;
	d->gateway = d->dhcp_start = d->dhcp_end = 0;
	return netdef_complete_subnet(d, &fault);
}
