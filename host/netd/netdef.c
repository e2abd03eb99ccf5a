/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/netd/netdef_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>

#define MTU_MIN	   576u
#define MTU_MIN6   1280u
#define MTU_MAX	   65520u
#define LEASE_MIN  10u
#define LEASE_MAX  31536000u
#define LINGER_MAX 604800u
#define PREFIX_MIN 8u
#define PREFIX_MAX 29u

#define QUOTE(text) netdef_quote(text, (char[NETDEF_QUOTE_MAX]){0})

static const char *addr(uint32_t address, char out[16])
{
	netdef_format_addr4(address, out);
	return out;
}
#define ADDR(address) addr(address, (char[16]){0})

bool netdef_wrong(struct netdef_fault *f, const char *where, const char *fmt, ...)
{
	char text[NETDEF_ERR_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (f->where)
		snprintf(f->where, NETDEF_WHERE_MAX, "%s", where);
	if (*where)
		snprintf(f->err, NETDEF_ERR_MAX, "%.*s: %.*s", (int)NETDEF_WHERE_MAX, where,
			 (int)(NETDEF_ERR_MAX - NETDEF_WHERE_MAX - 3), text);
	else
		snprintf(f->err, NETDEF_ERR_MAX, "%s", text);
	return false;
}

void netdef_init(struct netdef *d)
{
	*d = (struct netdef){
		.mode = NETDEF_SHARED,
		.auto_subnet = true,
		.dhcp = true,
		.lease_s = NETDEF_LEASE_S,
		.dns = true,
		.nat44 = true,
		.nat66 = true,
		.ra = true,
		.mtu = NETDEF_MTU,
		.linger_s = NETDEF_LINGER_S,
	};
}

void netdef_free(struct netdef *d)
{
	for (unsigned i = 0; i < d->nallow; i++)
		free(d->allow[i].path);
	free(d->allow);
	free(d->reserve);
	free(d->forward);
	memset(d, 0, sizeof(*d));
}

static bool duplicate(void *to, const void *from, size_t n, size_t size)
{
	void *copy = n ? malloc(n * size) : NULL;

	if (copy)
		memcpy(copy, from, n * size);
	*(void **)to = copy;
	return copy || !n;
}

bool netdef_copy(struct netdef *to, const struct netdef *from)
{
	bool ok = true;

	*to = *from;
	ok &= duplicate(&to->reserve, from->reserve, from->nreserve, sizeof(*to->reserve));
	ok &= duplicate(&to->forward, from->forward, from->nforward, sizeof(*to->forward));
	ok &= duplicate(&to->allow, from->allow, from->nallow, sizeof(*to->allow));
	for (unsigned i = 0; to->allow && i < to->nallow; i++) {
		to->allow[i].path = from->allow[i].path ? strdup(from->allow[i].path) : NULL;
		ok &= to->allow[i].path || !from->allow[i].path;
	}
	if (!ok) {
		if (!to->allow)
			to->nallow = 0;
		netdef_free(to);
	}
	return ok;
}

void netdef_default_domain(struct netdef *d)
{
	size_t n = 0;

	for (; d->name[n]; n++) {
		char c = d->name[n];

		d->domain[n] = c;
		if (c >= 'A' && c <= 'Z')
			d->domain[n] = (char)(c | 0x20);
		else if (c == '.' || c == '_')
			d->domain[n] = '-';
	}
	while (n && d->domain[n - 1] == '-')
		n--;
	snprintf(d->domain + n, sizeof(d->domain) - n, ".internal");
}

const struct netdef *netdef_builtin(const char *name)
{
	static struct netdef defs[2];
	char err[NETDEF_ERR_MAX];

	for (unsigned i = 0; i < 2; i++) {
		struct netdef *d = &defs[i];

		if (strcmp(name, i ? "host" : "shared") != 0)
			continue;
		if (!d->builtin) {
			netdef_init(d);
			d->builtin = true;
			snprintf(d->name, sizeof(d->name), "%s", name);
			netdef_default_domain(d);
			if (i) {
				d->mode = NETDEF_HOST;
				d->nat44 = d->nat66 = d->ra = false;
			}
			netdef_complete(d, err);
		}
		return d;
	}
	return NULL;
}

bool netdef_overlap4(const struct netdef *a, const struct netdef *b)
{
	uint32_t mask = a->netmask & b->netmask;

	return a->subnet && b->subnet && (a->subnet & mask) == (b->subnet & mask);
}

bool netdef_overlap(const struct netdef *a, const struct netdef *b)
{
	if (netdef_overlap4(a, b))
		return true;
	return netdef_has_prefix6(a) && !memcmp(a->prefix6, b->prefix6, 8);
}

static unsigned mask_bits(uint32_t mask)
{
	return (unsigned)__builtin_popcount(mask);
}

/* Why an address cannot be one of this network's; NULL: it can. */
static const char *no_host(const struct netdef *d, uint32_t address)
{
	if ((address & d->netmask) != d->subnet)
		return "is outside the subnet";
	if (address == d->subnet)
		return "is the subnet's own address";
	if (address == (d->subnet | ~d->netmask))
		return "is the broadcast address";
	return NULL;
}

static bool complete_range(struct netdef *d, struct netdef_fault *f)
{
	uint32_t low = d->subnet + 1, high = (d->subnet | ~d->netmask) - 1;
	uint32_t start = d->dhcp_start, end = d->dhcp_end;
	const char *why;

	if (start && (why = no_host(d, start)))
		return netdef_wrong(f, "dhcp-start", "%s %s %s/%u", ADDR(start), why,
				    ADDR(d->subnet), mask_bits(d->netmask));
	if (end && (why = no_host(d, end)))
		return netdef_wrong(f, "dhcp-end", "%s %s %s/%u", ADDR(end), why, ADDR(d->subnet),
				    mask_bits(d->netmask));
	if (!start && !end) {
		/* The larger part on either side of the gateway. */
		if (d->gateway - low < high - d->gateway)
			low = d->gateway + 1;
		else
			high = d->gateway - 1;
	} else if (!start && d->gateway < end) {
		low = d->gateway + 1;
	} else if (!end && d->gateway > start) {
		high = d->gateway - 1;
	}
	if (!start)
		start = low;
	if (!end)
		end = high;
	if (start > end)
		return netdef_wrong(
			f, d->dhcp_end ? "dhcp-end" : "dhcp-start",
			"the range %s to %s is empty; its start must not be above its end",
			ADDR(start), ADDR(end));
	if (start <= d->gateway && d->gateway <= end)
		return netdef_wrong(f, d->dhcp_start ? "dhcp-start" : "dhcp-end",
				    "the range %s to %s has the gateway %s in it; leave it out",
				    ADDR(start), ADDR(end), ADDR(d->gateway));
	d->dhcp_start = start;
	d->dhcp_end = end;
	return true;
}

bool netdef_complete_subnet(struct netdef *d, struct netdef_fault *f)
{
	unsigned bits;
	const char *why;

	if (!d->netmask)
		d->netmask = 0xffffff00;
	bits = mask_bits(d->netmask);
	if (~d->netmask & (~d->netmask + 1))
		return netdef_wrong(f, "netmask", "%s is no netmask; write one like 255.255.255.0",
				    ADDR(d->netmask));
	if (bits < PREFIX_MIN || bits > PREFIX_MAX)
		return netdef_wrong(f, "subnet", "/%u is too %s; /%u to /%u", bits,
				    bits < PREFIX_MIN ? "large" : "small", PREFIX_MIN, PREFIX_MAX);
	if (!d->subnet)
		d->subnet = d->gateway & d->netmask;
	d->subnet &= d->netmask;
	if (d->subnet >> 24 == 0 || d->subnet >> 24 == 127 || d->subnet >> 24 >= 224)
		return netdef_wrong(f, "subnet",
				    "%s/%u is not for networks; take one of 10.0.0.0/8, "
				    "172.16.0.0/12, 192.168.0.0/16",
				    ADDR(d->subnet), bits);
	if (!d->gateway)
		d->gateway = d->subnet + 1;
	why = no_host(d, d->gateway);
	if (why)
		return netdef_wrong(f, "gateway", "%s %s %s/%u", ADDR(d->gateway), why,
				    ADDR(d->subnet), bits);
	if (d->dhcp)
		return complete_range(d, f);
	d->dhcp_start = d->dhcp_end = 0;
	return true;
}

static bool complete_mode(const struct netdef *d, struct netdef_fault *f)
{
	const char *where = d->nat44	       ? "nat44"
			    : d->nat66	       ? "nat66"
			    : d->host_loopback ? "host-loopback"
					       : NULL;

	if (d->mode == NETDEF_HOST && where)
		return netdef_wrong(f, where,
				    "a network of mode host has no way out; only mode shared can");
	return true;
}

static bool complete_reserve(const struct netdef *d, struct netdef_fault *f)
{
	char where[NETDEF_WHERE_MAX];
	const char *why;

	if (d->nreserve && !d->dhcp)
		return netdef_wrong(f, "reservations", "DHCP is off; nobody would be told of them");
	if (d->nreserve && !d->subnet)
		return netdef_wrong(f, "reservations", "they need a fixed subnet; give one");
	for (unsigned i = 0; i < d->nreserve; i++) {
		const struct netdef_reserve *r = &d->reserve[i];

		snprintf(where, sizeof(where), "reservations[%u]", i);
		why = no_host(d, r->address);
		if (why)
			return netdef_wrong(f, where, "%s %s %s/%u", ADDR(r->address), why,
					    ADDR(d->subnet), mask_bits(d->netmask));
		if (r->address == d->gateway)
			return netdef_wrong(f, where, "%s is the gateway's", ADDR(r->address));
		for (unsigned k = 0; k < i; k++) {
			const struct netdef_reserve *o = &d->reserve[k];

			if (o->address == r->address)
				return netdef_wrong(f, where, "%s is reserved already",
						    ADDR(r->address));
			if (r->by_mac == o->by_mac &&
			    (r->by_mac ? !memcmp(r->mac, o->mac, 6) : !strcmp(r->name, o->name)))
				return netdef_wrong(f, where, "this %s has %s reserved already",
						    r->by_mac ? "MAC" : "name", ADDR(o->address));
		}
	}
	return true;
}

static bool same_listener(const struct netdef_forward *a, const struct netdef_forward *b)
{
	bool six = strchr(a->host, ':');
	const char *any = six ? "::" : "0.0.0.0";

	if (a->udp != b->udp || a->first > b->last || b->first > a->last ||
	    six != !!strchr(b->host, ':'))
		return false;
	return !strcmp(a->host, b->host) || !strcmp(a->host, any) || !strcmp(b->host, any);
}

static bool forward_fits(const struct netdef *d, const struct netdef_forward *fw,
			 struct netdef_fault *f, const char *where)
{
	const char *why;

	if (fw->by_name)
		return true;
	if (!d->subnet)
		return netdef_wrong(f, where,
				    "%s: the subnet is not fixed; name the member or give a subnet",
				    ADDR(fw->address));
	why = no_host(d, fw->address);
	if (why)
		return netdef_wrong(f, where, "%s %s %s/%u", ADDR(fw->address), why,
				    ADDR(d->subnet), mask_bits(d->netmask));
	if (fw->address == d->gateway)
		return netdef_wrong(f, where, "%s is the gateway's", ADDR(fw->address));
	return true;
}

bool netdef_forward_fits(const struct netdef *d, const struct netdef_forward *f,
			 char err[NETDEF_ERR_MAX])
{
	return forward_fits(d, f, &(struct netdef_fault){.err = err}, "");
}

static bool complete_forwards(const struct netdef *d, struct netdef_fault *f)
{
	char where[NETDEF_WHERE_MAX], host[64];

	for (unsigned i = 0; i < d->nforward; i++) {
		snprintf(where, sizeof(where), "forwards[%u]", i);
		if (!forward_fits(d, &d->forward[i], f, where))
			return false;
		for (unsigned k = 0; k < i; k++) {
			if (!same_listener(&d->forward[i], &d->forward[k]))
				continue;
			netdef_format_host(&d->forward[k], host);
			return netdef_wrong(f, where, "%s %s is forwarded already",
					    d->forward[k].udp ? "udp" : "tcp", host);
		}
	}
	return true;
}

static bool complete_dns(const struct netdef *d, struct netdef_fault *f)
{
	char where[NETDEF_WHERE_MAX];
	uint32_t v4;

	if (*d->domain && !netdef_domain_valid(d->domain))
		return netdef_wrong(f, "domain", "%s is no domain; letters, digits and - with dots",
				    QUOTE(d->domain));
	for (unsigned i = 0; i < d->nsearch; i++) {
		snprintf(where, sizeof(where), "search[%u]", i);
		if (!netdef_domain_valid(d->search[i]))
			return netdef_wrong(f, where,
					    "%s is no domain; letters, digits and - with dots",
					    QUOTE(d->search[i]));
	}
	for (unsigned i = 0; i < d->nupstream; i++) {
		snprintf(where, sizeof(where), "dns[%u]", i);
		if (d->gateway && netdef_parse_addr4(d->upstream[i].address, &v4) &&
		    v4 == d->gateway)
			return netdef_wrong(f, where, "%s is the gateway, which would ask itself",
					    ADDR(v4));
	}
	return true;
}

bool netdef_complete_at(struct netdef *d, struct netdef_fault *f)
{
	if (!netdef_name_valid(d->name))
		return netdef_wrong(f, "",
				    "%s is no name for a network; letters, digits and -_. , at "
				    "most %u",
				    QUOTE(d->name), NETDEF_NAME_MAX);
	if (!complete_mode(d, f))
		return false;
	if (d->mtu < MTU_MIN || d->mtu > MTU_MAX)
		return netdef_wrong(f, "mtu", "%u is out of range; %u to %u", d->mtu, MTU_MIN,
				    MTU_MAX);
	if (d->mtu < MTU_MIN6 && (d->nat66 || d->ra || netdef_has_prefix6(d)))
		return netdef_wrong(f, "mtu",
				    "%u is too small for IPv6; at least %u, or nat66 and "
				    "router-advertisement off",
				    d->mtu, MTU_MIN6);
	if (d->burst && d->burst < d->mtu + 18)
		return netdef_wrong(f, "burst", "%u is less than one frame; at least %u", d->burst,
				    d->mtu + 18);
	if (d->lease_s < LEASE_MIN || d->lease_s > LEASE_MAX)
		return netdef_wrong(f, "lease", "%u s is out of range; %u s to a year", d->lease_s,
				    LEASE_MIN);
	if (d->linger_s > LINGER_MAX)
		return netdef_wrong(f, "linger", "%u s is out of range; 0 to a week", d->linger_s);

	if (!d->subnet && !d->gateway) {
		d->auto_subnet = true;
		if (d->netmask)
			return netdef_wrong(f, "netmask", "it needs a gateway, or write subnet");
		if (d->dhcp_start || d->dhcp_end)
			return netdef_wrong(f, d->dhcp_start ? "dhcp-start" : "dhcp-end",
					    "it needs a fixed subnet; give one");
	} else {
		if (!netdef_complete_subnet(d, f))
			return false;
		if ((d->nat66 || d->ra) && !netdef_has_prefix6(d))
			netdef_derive_prefix6(d, 0);
	}
	return complete_reserve(d, f) && complete_dns(d, f) && complete_forwards(d, f);
}

bool netdef_complete(struct netdef *d, char err[NETDEF_ERR_MAX])
{
	return netdef_complete_at(d, &(struct netdef_fault){.err = err});
}
