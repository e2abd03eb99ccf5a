/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/netd/dns.h"

#include <stdio.h>
#include <strings.h>

#define QR	 0x8000u
#define OPCODE	 0x7800u
#define AA	 0x0400u
#define TC	 0x0200u
#define RD	 0x0100u
#define RA	 0x0080u
#define CD	 0x0010u
#define RCODE	 0x000fu
#define CLASS_IN 1u
#define OPT_LEN	 11u
#define DO_BIT	 0x8000u

/* ---- taking apart ---- */

static char dns_char(uint8_t b)
{
	if (b >= 'A' && b <= 'Z')
		return (char)(b | 0x20);
	if ((b >= 'a' && b <= 'z') || (b >= '0' && b <= '9') || b == '-' || b == '_')
		return (char)b;
	return '?';
}

/* The name of a question: labels, no pointers. Moves *at behind it. */
static bool dns_question_name(struct span s, size_t *at, char text[DNS_NAME_MAX + 1])
{
	size_t n = 0;
	uint8_t len;
	struct span label;

	for (;;) {
		if (!span_u8(s, *at, &len) || len > 63 || !span_sub(s, *at + 1, len, &label))
			return false;
		*at += 1 + (size_t)len;
		if (len == 0)
			break;
		if (DNS_NAME_MAX - 2 - n < (size_t)len + 1) /* 255 with lengths and root */
			return false;
		if (n)
			text[n++] = '.';
		for (size_t i = 0; i < len; i++)
			text[n++] = dns_char(label.data[i]);
	}
	text[n] = 0;
	return true;
}

/* The name of a record: nobody looks at it, so a pointer only ends it. */
static bool dns_skip_name(struct span s, size_t *at)
{
	uint8_t len;

	for (;;) {
		if (!span_u8(s, *at, &len))
			return false;
		if (len >= 0xc0) {
			*at += 2;
			return span_fits(s.len, *at, 0);
		}
		if (len > 63)
			return false;
		*at += 1 + (size_t)len;
		if (len == 0)
			return true;
	}
}

/* All records after the question; takes what the OPT record says. */
static bool dns_records(struct dns_query *q, unsigned count)
{
	size_t at = q->question_end;
	uint16_t type, class, len;
	uint32_t ttl;

	for (unsigned i = 0; i < count; i++) {
		if (!dns_skip_name(q->whole, &at) || !span_be16(q->whole, at, &type) ||
		    !span_be16(q->whole, at + 2, &class) || !span_be32(q->whole, at + 4, &ttl) ||
		    !span_be16(q->whole, at + 8, &len) || !span_fits(q->whole.len, at + 10, len))
			return false;
		at += 10 + (size_t)len;
		if (type != DNS_OPT)
			continue;
		if (q->edns) /* only one (RFC 6891, 6.1.1) */
			return false;
		q->edns = true;
		q->size = class < DNS_PLAIN_MAX ? DNS_PLAIN_MAX : class;
		q->version = (uint8_t)(ttl >> 16);
		q->dnssec = ttl & DO_BIT;
	}
	return true;
}

bool dns_parse(struct span bytes, struct dns_query *q, enum dns_rcode *rcode)
{
	uint16_t count[4];
	size_t at = DNS_HEADER;

	*q = (struct dns_query){.whole = bytes, .size = DNS_PLAIN_MAX};
	*rcode = DNS_FORMERR;
	if (!span_be16(bytes, 0, &q->id) || !span_be16(bytes, 2, &q->flags) || q->flags & QR)
		return false;
	for (unsigned i = 0; i < 4; i++)
		if (!span_be16(bytes, 4 + 2 * (size_t)i, &count[i]))
			return false;
	if (q->flags & OPCODE) {
		*rcode = DNS_NOTIMP;
		return true;
	}
	if (count[0] != 1 || !dns_question_name(bytes, &at, q->name) ||
	    !span_be16(bytes, at, &q->type) || !span_be16(bytes, at + 2, &q->class))
		return true;
	q->question_end = at + 4;
	if (!dns_records(q, (unsigned)count[1] + count[2] + count[3]))
		return true;
	*rcode = q->version ? DNS_BADVERS : DNS_NOERROR;
	return true;
}

size_t dns_limit(const struct dns_query *q, uint32_t mtu, bool v6)
{
	size_t fits = mtu - UDP_HEADER - (v6 ? IP6_HEADER : IP4_HEADER);

	return q->size < fits ? q->size : fits;
}

/* ---- building ---- */

static size_t dns_put_opt(uint8_t *at, enum dns_rcode rcode, bool dnssec)
{
	memset(at, 0, OPT_LEN);
	ip_put16(at + 1, DNS_OPT);
	ip_put16(at + 3, DNS_EDNS_SIZE);
	at[5] = (uint8_t)((unsigned)rcode >> 4);
	ip_put16(at + 7, dnssec ? DO_BIT : 0);
	return OPT_LEN;
}

/* Header and question of an answer. */
static size_t dns_begin(const struct dns_query *q, enum dns_rcode rcode, uint16_t flags,
			uint8_t *out)
{
	size_t len = DNS_HEADER;

	memset(out, 0, DNS_HEADER);
	ip_put16(out, q->id);
	ip_put16(out + 2, QR | (q->flags & (OPCODE | RD | CD)) | flags | (rcode & RCODE));
	if (q->question_end) {
		ip_put16(out + 4, 1);
		memcpy(out + DNS_HEADER, q->whole.data + DNS_HEADER, q->question_end - DNS_HEADER);
		len = q->question_end;
	}
	return len;
}

static size_t dns_finish(const struct dns_query *q, enum dns_rcode rcode, uint8_t *out, size_t len)
{
	if (!q->edns)
		return len;
	ip_put16(out + 10, 1);
	return len + dns_put_opt(out + len, rcode, q->dnssec);
}

size_t dns_error(const struct dns_query *q, enum dns_rcode rcode, uint8_t *out)
{
	return dns_finish(q, rcode, out, dns_begin(q, rcode, RA, out));
}

/* Our answer: nothing (data NULL), or one record. */
static size_t dns_record(const struct dns_query *q, enum dns_rcode rcode, uint16_t type,
			 const void *data, size_t n, uint8_t *out)
{
	size_t len = dns_begin(q, rcode, AA | RA, out);

	if (data) {
		ip_put16(out + 6, 1);
		ip_put16(out + len, 0xc000u | DNS_HEADER);
		ip_put16(out + len + 2, type);
		ip_put16(out + len + 4, CLASS_IN);
		ip_put32(out + len + 6, DNS_TTL);
		ip_put16(out + len + 10, (uint32_t)n);
		memcpy(out + len + 12, data, n);
		len += 12 + n;
	}
	return dns_finish(q, rcode, out, len);
}

static bool dns_wants(const struct dns_query *q, uint16_t type)
{
	return q->type == type || q->type == DNS_ANY;
}

/* ---- names ---- */

/* Whether name is below (or is) the domain; then the part before it, without the dot. */
static bool dns_below(const char *name, const char *domain, char host[DNS_NAME_MAX + 1])
{
	size_t n = strlen(name), d = strlen(domain);

	if (!d || n < d || strcasecmp(name + n - d, domain) != 0 ||
	    (n > d && name[n - d - 1] != '.'))
		return false;
	n = n > d ? n - d - 1 : 0;
	memcpy(host, name, n);
	host[n] = 0;
	return true;
}

static size_t dns_address(const struct dns_zone *zone, const struct dns_query *q, uint32_t address,
			  uint8_t *out)
{
	uint8_t bytes[4];

	if (dns_wants(q, DNS_A)) {
		ip_put32(bytes, address);
		return dns_record(q, DNS_NOERROR, DNS_A, bytes, sizeof(bytes), out);
	}
	if (q->type == DNS_AAAA && zone->have6 && address == zone->def->gateway)
		return dns_record(q, DNS_NOERROR, DNS_AAAA, zone->gateway6, 16, out);
	return dns_record(q, DNS_NOERROR, 0, NULL, 0, out);
}

static size_t dns_name(const struct dns_zone *zone, const struct dns_query *q, uint8_t *out)
{
	char host[DNS_NAME_MAX + 1];
	bool below = dns_below(q->name, zone->def->domain, host);
	uint32_t address;

	if (!below) {
		if (!q->name[0] || strchr(q->name, '.'))
			return 0;
		memcpy(host, q->name, sizeof(host));
	}
	if (!host[0]) /* the domain itself: there, with nothing in it */
		return dns_record(q, DNS_NOERROR, 0, NULL, 0, out);
	address = !strcmp(host, "gateway") || !strcmp(host, "host")
			  ? zone->def->gateway
			  : lease_by_name(zone->leases, host);
	if (address)
		return dns_address(zone, q, address, out);
	return below ? dns_record(q, DNS_NXDOMAIN, 0, NULL, 0, out) : 0;
}

/* ---- the reverse ---- */

static bool dns_octet(const char **at, uint32_t *out)
{
	const char *p = *at;
	uint32_t v = 0;
	unsigned n = 0;

	while (n < 3 && *p >= '0' && *p <= '9') {
		v = v * 10 + (uint32_t)(*p++ - '0');
		n++;
	}
	if (!n || v > 255 || *p++ != '.')
		return false;
	*out = v;
	*at = p;
	return true;
}

static bool dns_reverse4(const char *name, uint32_t *address)
{
	uint32_t v = 0, octet;

	for (unsigned i = 0; i < 4; i++) {
		if (!dns_octet(&name, &octet))
			return false;
		v |= octet << (8 * i);
	}
	*address = v;
	return !strcmp(name, "in-addr.arpa");
}

static bool dns_reverse6(const char *name, uint8_t address[16])
{
	static const char digits[] = "0123456789abcdef";

	memset(address, 0, 16);
	for (unsigned i = 0; i < 32; i++, name += 2) {
		const char *digit = name[0] ? strchr(digits, name[0]) : NULL;

		if (!digit || name[1] != '.')
			return false;
		address[15 - i / 2] |= (uint8_t)((digit - digits) << (i % 2 ? 4 : 0));
	}
	return !strcmp(name, "ip6.arpa");
}

size_t dns_labels(const char *name, uint8_t *out, size_t max)
{
	size_t at = 0;

	while (*name) {
		size_t n = strcspn(name, ".");

		if (n == 0 || n > 63 || max < at + n + 2)
			return 0;
		out[at++] = (uint8_t)n;
		memcpy(out + at, name, n);
		at += n;
		name += n;
		if (*name == '.')
			name++;
	}
	if (!at)
		return 0;
	out[at++] = 0;
	return at;
}

static size_t dns_reverse(const struct dns_zone *zone, const struct dns_query *q, const char *host,
			  uint8_t *out)
{
	char text[NETDEF_NAME_MAX + NETDEF_DOMAIN_MAX + 64];
	uint8_t name[DNS_NAME_MAX];
	size_t room = DNS_LOCAL_MAX - q->question_end - 12 - OPT_LEN, n;

	if (!host || !host[0])
		return dns_record(q, DNS_NXDOMAIN, 0, NULL, 0, out);
	if (!dns_wants(q, DNS_PTR))
		return dns_record(q, DNS_NOERROR, 0, NULL, 0, out);
	(void)snprintf(text, sizeof(text), "%s.%s", host, zone->def->domain);
	n = dns_labels(text, name, sizeof(name));
	if (!n || n > room)
		return dns_error(q, DNS_SERVFAIL, out);
	return dns_record(q, DNS_NOERROR, DNS_PTR, name, n, out);
}

size_t dns_local(const struct dns_zone *zone, const struct dns_query *q, uint8_t *out)
{
	const struct netdef *d = zone->def;
	const struct lease *l;
	uint32_t address;
	uint8_t addr6[16];

	if (q->class != CLASS_IN)
		return 0;
	if (dns_reverse4(q->name, &address)) {
		if ((address & d->netmask) != d->subnet)
			return 0;
		if (address == d->gateway)
			return dns_reverse(zone, q, "gateway", out);
		l = lease_by_address(zone->leases, address);
		return dns_reverse(zone, q,
				   !l		  ? NULL
				   : l->member[0] ? l->member
						  : l->hostname,
				   out);
	}
	if (zone->have6 && dns_reverse6(q->name, addr6)) {
		if (memcmp(addr6, zone->gateway6, 8) != 0)
			return 0;
		return dns_reverse(zone, q, memcmp(addr6, zone->gateway6, 16) ? NULL : "gateway",
				   out);
	}
	return dns_name(zone, q, out);
}

/* ---- answers from outside ---- */

bool dns_answers(struct span query, size_t question_end, struct span answer)
{
	uint16_t flags, count;

	return question_end > DNS_HEADER && question_end <= query.len &&
	       span_be16(answer, 2, &flags) && flags & QR && !(flags & OPCODE) &&
	       span_be16(answer, 4, &count) && count == 1 &&
	       span_fits(answer.len, 0, question_end) && !memcmp(answer.data, query.data, 2) &&
	       !memcmp(answer.data + DNS_HEADER, query.data + DNS_HEADER,
		       question_end - DNS_HEADER);
}

size_t dns_fit(uint8_t *answer, size_t len, size_t question_end, size_t limit, bool edns,
	       bool dnssec)
{
	if (len <= limit)
		return len;
	answer[2] |= TC >> 8;
	memset(answer + 6, 0, 6);
	len = question_end;
	if (edns) {
		ip_put16(answer + 10, 1);
		len += dns_put_opt(answer + len, DNS_NOERROR, dnssec);
	}
	return len;
}
