/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libFuzzer over DNS: the first byte says whether the rest is a question of a member's, or the
 * answer of a server to a question of ours.
 */
#include <stdlib.h>
#include <string.h>

#include "host/netd/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct netdef def = {
	.name = "fuzz",
	.mode = NETDEF_SHARED,
	.subnet = 0xc0a84000u,
	.netmask = 0xffffff00u,
	.gateway = 0xc0a84001u,
	.dhcp = true,
	.dhcp_start = 0xc0a84002u,
	.dhcp_end = 0xc0a84009u,
	.lease_s = 1000,
	.dns = true,
	.domain = "dev.internal",
	.mtu = 1500,
};

static void question(const struct dns_zone *zone, struct span bytes)
{
	uint8_t out[DNS_LOCAL_MAX];
	enum dns_rcode rcode;
	struct dns_query q, back;
	size_t n;

	if (!dns_parse(bytes, &q, &rcode))
		return;
	if (strlen(q.name) > DNS_NAME_MAX || q.question_end > bytes.len ||
	    dns_limit(&q, 576, true) > 576 - 48)
		abort();
	n = dns_error(&q, rcode == DNS_NOERROR ? DNS_SERVFAIL : rcode, out);
	if (n < DNS_HEADER || n > sizeof(out))
		abort();
	if (rcode != DNS_NOERROR)
		return;
	n = dns_local(zone, &q, out);
	if (!n)
		return;
	/* What we say, we can read: as an answer to the question, and without its first bit. */
	if (n > sizeof(out) || !dns_answers(bytes, q.question_end, span_of(out, n)))
		abort();
	out[2] &= 0x7f;
	if (!dns_parse(span_of(out, n), &back, &rcode) || rcode != DNS_NOERROR ||
	    strcmp(back.name, q.name) != 0 || back.edns != q.edns)
		abort();
}

static void answer(uint8_t how, struct span bytes)
{
	static const uint8_t query[] = {0x12, 0x34, 1,	 0, 0,	 1,   0,   0, 0, 0, 0, 0, 3,
					'f',  'o',  'o', 3, 'b', 'a', 'r', 0, 0, 1, 0, 1};
	/* An entry that is cut has room for its question and one record. */
	size_t room = bytes.len + 16, limit = how & 2 ? 512 : 40, n;
	uint8_t *copy = malloc(room);

	if (!copy)
		return;
	if (bytes.len)
		memcpy(copy, bytes.data, bytes.len);
	if (how & 4 && bytes.len >= sizeof(query)) {
		memcpy(copy, query, 2);
		memcpy(copy + DNS_HEADER, query + DNS_HEADER, sizeof(query) - DNS_HEADER);
	}
	if (dns_answers(span_of(query, sizeof(query)), sizeof(query), span_of(copy, bytes.len))) {
		n = dns_fit(copy, bytes.len, sizeof(query), limit, how & 8, how & 16);
		if (n > limit || n < sizeof(query))
			abort();
	}
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct dns_zone zone;

	if (!len)
		return 0;
	if (!zone.leases) {
		struct lease_client c = {.mac = {2, 0, 0, 0, 0, 1}, .member = "db"};

		zone.def = &def;
		zone.have6 = true;
		zone.gateway6[0] = 0xfd;
		zone.gateway6[15] = 1;
		zone.leases = lease_create(&def, NULL, 1, 1);
		if (!zone.leases || !lease_bind(zone.leases, &c, 0xc0a84002u, true))
			abort();
	}
	if (data[0] & 1)
		answer(data[0], span_of(data + 1, len - 1));
	else
		question(&zone, span_of(data + 1, len - 1));
	return 0;
}
