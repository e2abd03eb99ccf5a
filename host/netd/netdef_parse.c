/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/netd/netdef.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define QUOTE(text) netdef_quote(text, (char[NETDEF_QUOTE_MAX]){0})

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

const char *netdef_quote(const char *text, char out[NETDEF_QUOTE_MAX])
{
	size_t n = strnlen(text, NETDEF_QUOTE_MAX), room = NETDEF_QUOTE_MAX - 3, at = 0;
	bool cut = n > room;

	out[at++] = '"';
	for (size_t i = 0; i < (cut ? room - 3 : n); i++)
		out[at++] = text[i] < ' ' || text[i] > '~' ? '?' : text[i];
	if (cut) {
		memcpy(out + at, "...", 3);
		at += 3;
	}
	out[at++] = '"';
	out[at] = '\0';
	return out;
}

bool netdef_name_valid(const char *name)
{
	size_t n = strnlen(name, NETDEF_NAME_MAX + 1);

	if (n == 0 || n > NETDEF_NAME_MAX || !is_alnum(name[0]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_alnum(name[i]) && !strchr("-_.", name[i]))
			return false;
	return true;
}

bool netdef_domain_valid(const char *domain)
{
	size_t n = strnlen(domain, NETDEF_DOMAIN_MAX + 1), label = 0;

	if (n == 0 || n > NETDEF_DOMAIN_MAX)
		return false;
	for (size_t i = 0; i <= n; i++) {
		char c = domain[i];

		if (c == '.' || c == '\0') {
			if (label == 0 || label > 63 || domain[i - 1] == '-' ||
			    domain[i - label] == '-')
				return false;
			label = 0;
		} else if (!is_alnum(c) && c != '-' && c != '_') {
			return false;
		} else {
			label++;
		}
	}
	return true;
}

/* Decimal digits up to the end or to one of `until`; the text goes on there. */
static bool number(const char **text, uint64_t max, uint64_t *out)
{
	const char *at = *text;
	uint64_t v = 0;

	if (!is_digit(*at))
		return false;
	for (; is_digit(*at); at++) {
		unsigned digit = (unsigned)(*at - '0');

		if (v > (max - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*text = at;
	*out = v;
	return true;
}

static bool whole_number(const char *text, uint64_t max, uint64_t *out)
{
	return number(&text, max, out) && !*text;
}

bool netdef_parse_addr4(const char *text, uint32_t *out)
{
	struct in_addr in;

	if (inet_pton(AF_INET, text, &in) != 1)
		return false;
	*out = ntohl(in.s_addr);
	return true;
}

bool netdef_parse_cidr4(const char *text, uint32_t *net, uint32_t *mask, char err[NETDEF_ERR_MAX])
{
	const char *slash = strchr(text, '/');
	char address[16];
	uint32_t v = 0;
	uint64_t bits = 0;

	if (slash && (size_t)(slash - text) < sizeof(address)) {
		memcpy(address, text, (size_t)(slash - text));
		address[slash - text] = '\0';
		if (netdef_parse_addr4(address, &v) && whole_number(slash + 1, 32, &bits)) {
			*mask = bits ? ~(uint32_t)0 << (32 - bits) : 0;
			*net = v & *mask;
			return true;
		}
	}
	snprintf(err, NETDEF_ERR_MAX, "%s is no subnet; write one like 192.168.64.0/24",
		 QUOTE(text));
	return false;
}

static int hex(char c)
{
	if (is_digit(c))
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool netdef_parse_mac(const char *text, uint8_t mac[6])
{
	static const uint8_t zero[6];
	uint8_t out[6];

	for (unsigned i = 0; i < 6; i++) {
		int high = hex(*text), low;

		if (high < 0)
			return false;
		text++;
		low = hex(*text);
		if (low >= 0) {
			text++;
		} else {
			/* One digit is how macOS writes it. */
			low = high;
			high = 0;
		}
		out[i] = (uint8_t)(high << 4 | low);
		if (i < 5 && *text != ':' && *text != '-')
			return false;
		if (i < 5)
			text++;
	}
	if (*text || (out[0] & 1) || !memcmp(out, zero, sizeof(zero)))
		return false;
	memcpy(mac, out, sizeof(out));
	return true;
}

bool netdef_parse_prefix6(const char *text, uint8_t prefix[16], char err[NETDEF_ERR_MAX])
{
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strnlen(text, INET6_ADDRSTRLEN);
	static const uint8_t zero[8];
	char address[INET6_ADDRSTRLEN];
	uint8_t v[16];

	if (n < sizeof(address) && (!slash || !strcmp(slash, "/64"))) {
		memcpy(address, text, n);
		address[n] = '\0';
		if (inet_pton(AF_INET6, address, v) == 1 && !memcmp(v + 8, zero, sizeof(zero)) &&
		    ((v[0] & 0xfe) == 0xfc || (v[0] & 0xe0) == 0x20)) {
			memcpy(prefix, v, sizeof(v));
			return true;
		}
	}
	snprintf(err, NETDEF_ERR_MAX,
		 "%s is no prefix; write a unique local or global /64, like fd12:3456:789a:1::/64",
		 QUOTE(text));
	return false;
}

static bool host_address(const char *text, size_t n, bool only6, char out[46])
{
	uint8_t bytes[16];

	if (n >= 46)
		return false;
	memcpy(out, text, n);
	out[n] = '\0';
	return (!only6 && inet_pton(AF_INET, out, bytes) == 1) ||
	       inet_pton(AF_INET6, out, bytes) == 1;
}

/* Splits [ADDRESS:]REST; an IPv6 address in front of a colon is in brackets. False: not so. */
static bool split_address(const char *text, char address[46], const char **rest)
{
	const char *end;

	if (*text == '[') {
		end = strchr(text, ']');
		if (!end || end[1] != ':' ||
		    !host_address(text + 1, (size_t)(end - text - 1), true, address))
			return false;
		*rest = end + 2;
		return true;
	}
	end = strchr(text, ':');
	if (!end || !host_address(text, (size_t)(end - text), false, address))
		return false;
	*rest = end + 1;
	return true;
}

bool netdef_parse_dns(const char *text, struct netdef_dns *out, char err[NETDEF_ERR_MAX])
{
	struct netdef_dns dns = {.port = 53};
	const char *rest;
	uint64_t port;

	if (host_address(text, strnlen(text, 46), false, dns.address)) {
		*out = dns;
		return true;
	}
	if (split_address(text, dns.address, &rest) && whole_number(rest, 65535, &port) && port) {
		dns.port = (uint16_t)port;
		*out = dns;
		return true;
	}
	snprintf(err, NETDEF_ERR_MAX,
		 "%s is no name server; write an address like 1.1.1.1 or [::1]:5353", QUOTE(text));
	return false;
}

/* A number with up to 9 digits after the point, times 10^9, so that 2.5gbit is exact. */
static bool decimal(const char **text, uint64_t max, uint64_t *whole, uint64_t *billionths)
{
	uint64_t scale = 100000000;

	*billionths = 0;
	if (!number(text, max, whole))
		return false;
	if (**text != '.')
		return true;
	(*text)++;
	if (!is_digit(**text))
		return false;
	for (; is_digit(**text); (*text)++) {
		if (!scale)
			return false;
		*billionths += (uint64_t)(**text - '0') * scale;
		scale /= 10;
	}
	return true;
}

struct unit {
	const char *name;
	uint64_t times;
};

static bool with_unit(const char *text, const struct unit *units, uint64_t max, uint64_t *out)
{
	uint64_t whole, part;

	if (!decimal(&text, max, &whole, &part))
		return false;
	for (; units->name; units++) {
		if (strcasecmp(text, units->name) != 0)
			continue;
		if (whole > max / units->times)
			return false;
		whole *= units->times;
		/* Below 10^9 times 2^30: it fits. */
		part = part * units->times / 1000000000;
		if (part > max - whole)
			return false;
		*out = whole + part;
		return true;
	}
	return false;
}

bool netdef_parse_rate(const char *text, uint64_t *bps, char err[NETDEF_ERR_MAX])
{
	static const struct unit units[] = {
		{"", 1},	   {"bit", 1},		 {"k", 1000},
		{"kbit", 1000},	   {"m", 1000000},	 {"mbit", 1000000},
		{"g", 1000000000}, {"gbit", 1000000000}, {NULL, 0},
	};
	uint64_t v;

	if (!strcasecmp(text, "none") || !strcasecmp(text, "off")) {
		*bps = 0;
		return true;
	}
	/* Below 1 kbit/s a frame takes a minute. */
	if (with_unit(text, units, 1000000000000, &v) && (v == 0 || v >= 1000)) {
		*bps = v;
		return true;
	}
	snprintf(err, NETDEF_ERR_MAX,
		 "%s is no rate; write bits per second like 100mbit (kbit, mbit, gbit), or none",
		 QUOTE(text));
	return false;
}

bool netdef_parse_size(const char *text, uint32_t *bytes, char err[NETDEF_ERR_MAX])
{
	static const struct unit units[] = {
		{"", 1},	{"b", 1},	  {"k", 1024},	   {"kb", 1024},
		{"kib", 1024},	{"m", 1 << 20},	  {"mb", 1 << 20}, {"mib", 1 << 20},
		{"g", 1 << 30}, {"gib", 1 << 30}, {NULL, 0},
	};
	uint64_t v;

	if (with_unit(text, units, 1 << 30, &v)) {
		*bytes = (uint32_t)v;
		return true;
	}
	snprintf(err, NETDEF_ERR_MAX, "%s is no size; write bytes like 64k or 1m (at most 1g)",
		 QUOTE(text));
	return false;
}

bool netdef_parse_seconds(const char *text, uint32_t *s, char err[NETDEF_ERR_MAX])
{
	static const struct unit units[] = {
		{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}, {NULL, 0},
	};
	uint64_t v;

	if (with_unit(text, units, UINT32_MAX, &v)) {
		*s = (uint32_t)v;
		return true;
	}
	snprintf(err, NETDEF_ERR_MAX, "%s is no time; write seconds, or like 30m, 12h, 1d",
		 QUOTE(text));
	return false;
}

/* PORT[-PORT] */
static bool ports(const char *text, uint16_t *first, uint16_t *last)
{
	uint64_t a, b;

	if (!number(&text, 65535, &a) || !a)
		return false;
	b = a;
	if (*text == '-') {
		text++;
		if (!number(&text, 65535, &b) || b < a)
			return false;
	}
	if (*text)
		return false;
	*first = (uint16_t)a;
	*last = (uint16_t)b;
	return true;
}

bool netdef_parse_forward(const char *proto, const char *host, const char *to, const char *port,
			  struct netdef_forward *out, char err[NETDEF_ERR_MAX])
{
	struct netdef_forward f = {.host = "127.0.0.1"};
	const char *rest = host;
	uint16_t there;

	f.udp = !strcasecmp(proto, "udp");
	if (!f.udp && strcasecmp(proto, "tcp") != 0) {
		snprintf(err, NETDEF_ERR_MAX, "%s is no protocol; write tcp or udp", QUOTE(proto));
		return false;
	}
	if (!ports(host, &f.first, &f.last) &&
	    (!split_address(host, f.host, &rest) || !ports(rest, &f.first, &f.last))) {
		snprintf(err, NETDEF_ERR_MAX,
			 "%s is no place to listen; write [ADDRESS:]PORT[-PORT], like 8080, "
			 "127.0.0.1:8080-8089 or [::1]:8080",
			 QUOTE(host));
		return false;
	}
	if (!netdef_parse_addr4(to, &f.address)) {
		if (!netdef_name_valid(to)) {
			snprintf(err, NETDEF_ERR_MAX,
				 "%s is neither a member's name nor an IPv4 address", QUOTE(to));
			return false;
		}
		f.by_name = true;
		memcpy(f.member, to, strlen(to) + 1);
	}
	if (!ports(port, &f.port, &there)) {
		snprintf(err, NETDEF_ERR_MAX, "%s is no port; 1 to 65535", QUOTE(port));
		return false;
	}
	if (there != f.port && there - f.port != f.last - f.first) {
		snprintf(err, NETDEF_ERR_MAX,
			 "%s and %s are not the same number of ports; give the first port there",
			 QUOTE(rest), QUOTE(port));
		return false;
	}
	if (f.last - f.first > 65535 - f.port) {
		snprintf(err, NETDEF_ERR_MAX, "%u ports from %u on go beyond 65535",
			 f.last - f.first + 1u, f.port);
		return false;
	}
	*out = f;
	return true;
}

void netdef_format_addr4(uint32_t address, char out[16])
{
	snprintf(out, 16, "%u.%u.%u.%u", address >> 24, address >> 16 & 255, address >> 8 & 255,
		 address & 255);
}

void netdef_format_mac(const uint8_t mac[6], char out[18])
{
	snprintf(out, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
		 mac[5]);
}

void netdef_format_host(const struct netdef_forward *f, char out[64])
{
	bool six = strchr(f->host, ':');
	char last[8] = "";

	if (f->last != f->first)
		snprintf(last, sizeof(last), "-%u", f->last);
	snprintf(out, 64, "%s%s%s:%u%s", six ? "[" : "", f->host, six ? "]" : "", f->first, last);
}
