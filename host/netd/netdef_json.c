/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Definitions as JSON. networks.yaml becomes JSON first (config.c), so this is where the keys are.
 *
 * Theory of operation. KEYS has a row for each spelling of each key, with the function that reads
 * its value. Values come from YAML, from programs and from a command line, so a number may be a
 * text with digits, and a list a text with commas. What was given is remembered as bits: a key
 * given twice (under two spellings, too) is refused, and defaults that depend on other keys are
 * chosen at the end, before netdef_complete_at() judges the whole.
 */
#include "host/netd/netdef_read.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum key {
	K_MODE,
	K_SUBNET,
	K_GATEWAY,
	K_NETMASK,
	K_DHCP,
	K_DHCP_START,
	K_DHCP_END,
	K_LEASE,
	K_RESERVE,
	K_DOMAIN,
	K_SEARCH,
	K_DNS,
	K_NAT44,
	K_NAT66,
	K_PREFIX6,
	K_RA,
	K_MTU,
	K_ISOLATED,
	K_LOCK_MAC,
	K_LOOPBACK,
	K_RATE,
	K_BURST,
	K_FORWARDS,
	K_ALLOW,
	K_LINGER,
	K_COUNT
};

static bool once(struct netdef_reader *r, enum key key, const char *where)
{
	if (r->given >> key & 1)
		return netdef_wrong(&r->fault, where, "it was given before under another name");
	r->given |= UINT32_C(1) << key;
	return true;
}

/* ---- keys ---- */

static bool set_mode(struct netdef_reader *r, const char *where, const json_t *v)
{
	char text[NETDEF_TEXT_MAX];

	if (!netdef_text_of(r, where, v, "shared or host", text))
		return false;
	r->d->mode = !strcmp(text, "host") ? NETDEF_HOST : NETDEF_SHARED;
	if (r->d->mode == NETDEF_HOST || !strcmp(text, "shared"))
		return true;
	if (!strcmp(text, "bridged"))
		return netdef_wrong(&r->fault, where, "bridged is not there yet; shared or host");
	return netdef_wrong(&r->fault, where, "%s is no mode; shared or host", QUOTE(text));
}

static bool set_subnet(struct netdef_reader *r, const char *where, const json_t *v)
{
	if (json_is_string(v) && !strcmp(json_string_value(v), "auto"))
		return true;
	if (!PARSED(r, where, v, "a subnet like 192.168.64.0/24", netdef_parse_cidr4, &r->d->subnet,
		    &r->d->netmask))
		return false;
	if (!r->d->netmask || !r->d->subnet)
		return netdef_wrong(&r->fault, where, "that is every address; /8 to /29");
	r->d->auto_subnet = false;
	return true;
}

static bool set_gateway(struct netdef_reader *r, const char *where, const json_t *v)
{
	r->d->auto_subnet = false;
	return netdef_addr_of(r, where, v, &r->d->gateway);
}

/* Beside a subnet it must say the same; looked at in the end, as it may come first. */
static bool check_netmask(struct netdef_reader *r, const json_t *v)
{
	uint32_t mask, before = r->d->netmask;

	if (!netdef_addr_of(r, "netmask", v, &mask))
		return false;
	if (before && before != mask)
		return netdef_wrong(&r->fault, "netmask",
				    "it is not that of the subnet; leave one of them out");
	r->d->netmask = mask;
	return true;
}

static bool set_netmask(struct netdef_reader *r, const char *where, const json_t *v)
{
	(void)r;
	(void)where;
	(void)v;
	return true;
}

static bool set_dhcp_start(struct netdef_reader *r, const char *where, const json_t *v)
{
	return netdef_addr_of(r, where, v, &r->d->dhcp_start);
}

static bool set_dhcp_end(struct netdef_reader *r, const char *where, const json_t *v)
{
	return netdef_addr_of(r, where, v, &r->d->dhcp_end);
}

static bool set_lease(struct netdef_reader *r, const char *where, const json_t *v)
{
	return PARSED(r, where, v, "seconds", netdef_parse_seconds, &r->d->lease_s);
}

struct sub {
	const char *name;
	enum key key;
	bool (*set)(struct netdef_reader *r, const char *where, const json_t *v);
};

static bool set_dhcp(struct netdef_reader *r, const char *where, const json_t *v)
{
	static const struct sub subs[] = {{"start", K_DHCP_START, set_dhcp_start},
					  {"end", K_DHCP_END, set_dhcp_end},
					  {"lease", K_LEASE, set_lease}};
	const char *key;
	json_t *value;

	if (!json_is_object(v))
		return netdef_bool_of(r, where, v, &r->d->dhcp);
	json_object_foreach((json_t *)v, key, value)
	{
		char below[NETDEF_WHERE_MAX];
		unsigned i = 0;

		netdef_at_key(below, where, key);
		while (i < 3 && strcmp(key, subs[i].name) != 0)
			i++;
		if (i == 3)
			return netdef_no_key(r, where, key, "start, end and lease");
		if (!once(r, subs[i].key, below) || !subs[i].set(r, below, value))
			return false;
	}
	r->d->dhcp = true;
	return true;
}

static bool domain_of(struct netdef_reader *r, const char *where, const json_t *v,
		      char out[NETDEF_DOMAIN_MAX + 1])
{
	char text[NETDEF_TEXT_MAX];
	size_t n;

	if (!netdef_text_of(r, where, v, "a domain like dev.internal", text))
		return false;
	n = strlen(text);
	if (n > 1 && text[n - 1] == '.')
		text[--n] = '\0';
	if (!netdef_domain_valid(text))
		return netdef_wrong(&r->fault, where,
				    "%s is no domain; letters, digits and - with dots",
				    QUOTE(text));
	memcpy(out, text, n + 1);
	return true;
}

static bool set_domain(struct netdef_reader *r, const char *where, const json_t *v)
{
	*r->d->domain = '\0';
	if (json_is_false(v) || (json_is_string(v) && !json_string_length(v)))
		return true;
	return domain_of(r, where, v, r->d->domain);
}

static bool set_search(struct netdef_reader *r, const char *where, const json_t *v)
{
	json_t *list = netdef_list_of(r, where, v, NETDEF_SEARCH_MAX);
	bool ok = list;

	for (size_t i = 0; ok && i < json_array_size(list); i++) {
		char below[NETDEF_WHERE_MAX];

		netdef_at_index(below, where, i);
		ok = domain_of(r, below, json_array_get(list, i), r->d->search[i]);
		r->d->nsearch++;
	}
	json_decref(list);
	return ok;
}

static bool set_dns(struct netdef_reader *r, const char *where, const json_t *v)
{
	json_t *list;
	bool ok;

	if (netdef_is_switch(v))
		return netdef_bool_of(r, where, v, &r->d->dns);
	list = netdef_list_of(r, where, v, NETDEF_DNS_MAX);
	ok = list;
	for (size_t i = 0; ok && i < json_array_size(list); i++) {
		char below[NETDEF_WHERE_MAX];

		netdef_at_index(below, where, i);
		ok = PARSED(r, below, json_array_get(list, i), "an address like 1.1.1.1",
			    netdef_parse_dns, &r->d->upstream[i]);
		r->d->nupstream++;
	}
	json_decref(list);
	return ok;
}

static bool set_nat(struct netdef_reader *r, const char *where, const json_t *v)
{
	char text[NETDEF_TEXT_MAX];
	bool on;

	if (!once(r, K_NAT44, where) || !once(r, K_NAT66, where))
		return false;
	if (netdef_is_switch(v)) {
		if (!netdef_bool_of(r, where, v, &on))
			return false;
		r->d->nat44 = r->d->nat66 = on;
		return true;
	}
	if (!netdef_text_of(r, where, v, "nat44, both or none", text))
		return false;
	r->d->nat44 = !strcmp(text, "nat44") || !strcmp(text, "both");
	r->d->nat66 = !strcmp(text, "nat66") || !strcmp(text, "both");
	if (r->d->nat44 || r->d->nat66 || !strcmp(text, "none"))
		return true;
	return netdef_wrong(&r->fault, where, "%s is no NAT; nat44, nat66, both or none",
			    QUOTE(text));
}

static bool set_nat44(struct netdef_reader *r, const char *where, const json_t *v)
{
	return netdef_bool_of(r, where, v, &r->d->nat44);
}

static bool set_nat66(struct netdef_reader *r, const char *where, const json_t *v)
{
	return netdef_bool_of(r, where, v, &r->d->nat66);
}

static bool set_prefix6(struct netdef_reader *r, const char *where, const json_t *v)
{
	r->nat66_prefix = !strcmp(where, "nat66-prefix");
	return PARSED(r, where, v, "a prefix like fd12:3456:789a:1::/64", netdef_parse_prefix6,
		      r->d->prefix6);
}

static bool set_ra(struct netdef_reader *r, const char *where, const json_t *v)
{
	return netdef_bool_of(r, where, v, &r->d->ra);
}

static bool set_mtu(struct netdef_reader *r, const char *where, const json_t *v)
{
	return netdef_u32_of(r, where, v, &r->d->mtu);
}

static bool set_isolated(struct netdef_reader *r, const char *where, const json_t *v)
{
	return netdef_bool_of(r, where, v, &r->d->isolated);
}

static bool set_lock_mac(struct netdef_reader *r, const char *where, const json_t *v)
{
	return netdef_bool_of(r, where, v, &r->d->lock_mac);
}

static bool set_loopback(struct netdef_reader *r, const char *where, const json_t *v)
{
	return netdef_bool_of(r, where, v, &r->d->host_loopback);
}

static bool set_rate(struct netdef_reader *r, const char *where, const json_t *v)
{
	return PARSED(r, where, v, "a rate like 100mbit", netdef_parse_rate, &r->d->rate_bps);
}

static bool set_burst(struct netdef_reader *r, const char *where, const json_t *v)
{
	return PARSED(r, where, v, "a size like 64k", netdef_parse_size, &r->d->burst);
}

static bool set_linger(struct netdef_reader *r, const char *where, const json_t *v)
{
	return PARSED(r, where, v, "seconds", netdef_parse_seconds, &r->d->linger_s);
}

static const struct {
	const char *name;
	enum key key; /* K_COUNT: it looks after that itself */
	bool (*set)(struct netdef_reader *r, const char *where, const json_t *v);
} KEYS[] = {
	{"mode", K_MODE, set_mode},
	{"subnet", K_SUBNET, set_subnet},
	{"gateway", K_GATEWAY, set_gateway},
	{"netmask", K_NETMASK, set_netmask},
	{"dhcp", K_DHCP, set_dhcp},
	{"dhcp-start", K_DHCP_START, set_dhcp_start},
	{"dhcp-end", K_DHCP_END, set_dhcp_end},
	{"lease", K_LEASE, set_lease},
	{"reservations", K_RESERVE, netdef_set_reserve},
	{"reserve", K_RESERVE, netdef_set_reserve},
	{"domain", K_DOMAIN, set_domain},
	{"search", K_SEARCH, set_search},
	{"dns", K_DNS, set_dns},
	{"nat", K_COUNT, set_nat},
	{"nat44", K_NAT44, set_nat44},
	{"nat66", K_NAT66, set_nat66},
	{"nat66-prefix", K_PREFIX6, set_prefix6},
	{"prefix6", K_PREFIX6, set_prefix6},
	{"router-advertisement", K_RA, set_ra},
	{"mtu", K_MTU, set_mtu},
	{"isolated", K_ISOLATED, set_isolated},
	{"lock-mac", K_LOCK_MAC, set_lock_mac},
	{"host-loopback", K_LOOPBACK, set_loopback},
	{"rate", K_RATE, set_rate},
	{"burst", K_BURST, set_burst},
	{"forwards", K_FORWARDS, netdef_set_forwards},
	{"forward", K_FORWARDS, netdef_set_forwards},
	{"allow", K_ALLOW, netdef_set_allow},
	{"linger", K_LINGER, set_linger},
};
#define NKEYS (sizeof(KEYS) / sizeof(KEYS[0]))

/* How many letters must be changed to make one of the other; case, - and _ are not counted. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[NETDEF_NAME_MAX + 1], na = 0, nb = 0;
	char x[NETDEF_NAME_MAX] = {0}, y[NETDEF_NAME_MAX] = {0};

	for (; *a && na < NETDEF_NAME_MAX; a++)
		if (*a != '-' && *a != '_')
			x[na++] = (char)(*a >= 'A' && *a <= 'Z' ? *a | 0x20 : *a);
	for (; *b && nb < NETDEF_NAME_MAX; b++)
		if (*b != '-' && *b != '_')
			y[nb++] = *b;
	for (unsigned k = 0; k <= nb; k++)
		row[k] = k;
	for (unsigned i = 0; i < na; i++) {
		unsigned corner = row[0]++;

		for (unsigned k = 0; k < nb; k++) {
			unsigned best = corner + (x[i] != y[k]);

			corner = row[k + 1];
			if (row[k] + 1 < best)
				best = row[k] + 1;
			if (corner + 1 < best)
				best = corner + 1;
			row[k + 1] = best;
		}
	}
	return row[nb];
}

static bool unknown(struct netdef_reader *r, const char *key)
{
	const char *nearest = "mode";
	unsigned best = ~0u;

	for (unsigned i = 0; i < NKEYS; i++) {
		unsigned far = distance(key, KEYS[i].name);

		if (far < best) {
			best = far;
			nearest = KEYS[i].name;
		}
	}
	netdef_wrong(&r->fault, "", "there is no key %s; the nearest is %s", QUOTE(key), nearest);
	snprintf(r->fault.where, NETDEF_WHERE_MAX, "?%.90s", key);
	return false;
}

/* What was not said follows from what was. */
static bool defaults(struct netdef_reader *r, const json_t *netmask)
{
	struct netdef *d = r->d;
	uint32_t given = r->given;
	bool small = d->mtu < 1280;

	if (netmask && !check_netmask(r, netmask))
		return false;
	if (!(given >> K_DOMAIN & 1))
		netdef_default_domain(d);
	if (d->mode == NETDEF_HOST && r->nat66_prefix)
		return netdef_wrong(&r->fault, "nat66-prefix",
				    "a network of mode host has no NAT; for a prefix of its own "
				    "write prefix6");
	if (!(given >> K_NAT44 & 1))
		d->nat44 = d->mode == NETDEF_SHARED;
	if (!(given >> K_NAT66 & 1))
		d->nat66 = d->mode == NETDEF_SHARED && (!small || netdef_has_prefix6(d));
	if (!(given >> K_RA & 1))
		d->ra = d->nat66 || netdef_has_prefix6(d);
	if (!d->dhcp && (d->dhcp_start || d->dhcp_end))
		return netdef_wrong(&r->fault, d->dhcp_start ? "dhcp-start" : "dhcp-end",
				    "DHCP is off; leave it out");
	return true;
}

bool netdef_from_json_at(struct netdef *d, const char *name, const json_t *object,
			 char err[NETDEF_ERR_MAX], char where[NETDEF_WHERE_MAX])
{
	struct netdef_reader r = {.d = d, .fault = {.err = err, .where = where}};
	const char *key;
	json_t *value;
	bool ok = true;

	netdef_init(d);
	*where = '\0';
	if (!netdef_name_valid(name))
		ok = netdef_wrong(&r.fault, "",
				  "%s is no name for a network; letters, digits and -_. , at most "
				  "%u",
				  QUOTE(name), NETDEF_NAME_MAX);
	else
		memcpy(d->name, name, strlen(name) + 1);
	if (ok && !json_is_object(object) && !json_is_null(object))
		ok = netdef_wrong(&r.fault, "", "this is %s; write keys and values",
				  netdef_kind_of(object));
	json_object_foreach((json_t *)object, key, value)
	{
		char at[NETDEF_WHERE_MAX];
		unsigned i = 0;

		if (!ok)
			break;
		while (i < NKEYS && strcmp(key, KEYS[i].name) != 0)
			i++;
		snprintf(at, sizeof(at), "%.30s", key);
		if (i == NKEYS)
			ok = unknown(&r, key);
		else
			ok = (KEYS[i].key == K_COUNT || once(&r, KEYS[i].key, at)) &&
			     KEYS[i].set(&r, at, value);
	}
	ok = ok && defaults(&r, json_object_get(object, "netmask")) &&
	     netdef_complete_at(d, &r.fault);
	if (!ok)
		netdef_free(d);
	return ok;
}

bool netdef_from_json(struct netdef *d, const char *name, const json_t *object,
		      char err[NETDEF_ERR_MAX])
{
	char where[NETDEF_WHERE_MAX];

	return netdef_from_json_at(d, name, object, err, where);
}

/* ---- and back ---- */

static json_t *text(const char *t)
{
	return json_string(t);
}

static json_t *addr(uint32_t address)
{
	char out[16];

	netdef_format_addr4(address, out);
	return json_string(out);
}

static json_t *dhcp_to_json(const struct netdef *d)
{
	json_t *o;

	if (!d->dhcp)
		return json_false();
	o = json_object();
	if (d->dhcp_start) {
		json_object_set_new(o, "start", addr(d->dhcp_start));
		json_object_set_new(o, "end", addr(d->dhcp_end));
	}
	json_object_set_new(o, "lease", json_integer(d->lease_s));
	return o;
}

static json_t *dns_to_json(const struct netdef *d)
{
	json_t *list;

	if (!d->dns || !d->nupstream)
		return json_boolean(d->dns);
	list = json_array();
	for (unsigned i = 0; i < d->nupstream; i++) {
		const struct netdef_dns *u = &d->upstream[i];
		bool six = strchr(u->address, ':');

		json_array_append_new(list, u->port == 53 ? text(u->address)
							  : json_sprintf(six ? "[%s]:%u" : "%s:%u",
									 u->address, u->port));
	}
	return list;
}

static json_t *reserve_to_json(const struct netdef *d)
{
	json_t *list = json_array();
	char mac[18];

	for (unsigned i = 0; i < d->nreserve; i++) {
		const struct netdef_reserve *r = &d->reserve[i];
		json_t *o = json_object();

		netdef_format_mac(r->mac, mac);
		json_object_set_new(o, r->by_mac ? "mac" : "name", text(r->by_mac ? mac : r->name));
		json_object_set_new(o, "address", addr(r->address));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *forwards_to_json(const struct netdef *d)
{
	json_t *list = json_array();
	char host[64];

	for (unsigned i = 0; i < d->nforward; i++) {
		const struct netdef_forward *f = &d->forward[i];
		json_t *o = json_object();

		netdef_format_host(f, host);
		json_object_set_new(o, "proto", text(f->udp ? "udp" : "tcp"));
		json_object_set_new(o, "host", text(host));
		json_object_set_new(o, "to", f->by_name ? text(f->member) : addr(f->address));
		json_object_set_new(o, "port", json_integer(f->port));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *allow_to_json(const struct netdef *d)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < d->nallow; i++) {
		const struct netdef_allow *a = &d->allow[i];
		char hash[65];
		json_t *o;

		if (a->kind != NETDEF_ALLOW_EXE) {
			json_array_append_new(
				list,
				json_sprintf("%s:%u", a->kind == NETDEF_ALLOW_UID ? "uid" : "gid",
					     a->id));
			continue;
		}
		for (unsigned k = 0; k < 32; k++)
			snprintf(hash + 2 * k, 3, "%02x", a->sha256[k]);
		o = json_object();
		json_object_set_new(o, "exe", text(a->path));
		json_object_set_new(o, "dev", json_integer((json_int_t)a->dev));
		json_object_set_new(o, "ino", json_integer((json_int_t)a->ino));
		json_object_set_new(o, "sha256", text(hash));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *search_to_json(const struct netdef *d)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < d->nsearch; i++)
		json_array_append_new(list, text(d->search[i]));
	return list;
}

json_t *netdef_to_json(const struct netdef *d)
{
	json_t *o = json_object();
	char prefix[INET6_ADDRSTRLEN], net[16];

	json_object_set_new(o, "mode", text(d->mode == NETDEF_HOST ? "host" : "shared"));
	netdef_format_addr4(d->subnet, net);
	json_object_set_new(o, "subnet",
			    d->subnet ? json_sprintf("%s/%d", net, __builtin_popcount(d->netmask))
				      : text("auto"));
	if (d->gateway)
		json_object_set_new(o, "gateway", addr(d->gateway));
	json_object_set_new(o, "dhcp", dhcp_to_json(d));
	if (d->nreserve)
		json_object_set_new(o, "reservations", reserve_to_json(d));
	json_object_set_new(o, "domain", *d->domain ? text(d->domain) : json_false());
	if (d->nsearch)
		json_object_set_new(o, "search", search_to_json(d));
	json_object_set_new(o, "dns", dns_to_json(d));
	json_object_set_new(o, "nat44", json_boolean(d->nat44));
	json_object_set_new(o, "nat66", json_boolean(d->nat66));
	if (netdef_has_prefix6(d) && inet_ntop(AF_INET6, d->prefix6, prefix, sizeof(prefix)))
		json_object_set_new(o, d->mode == NETDEF_HOST ? "prefix6" : "nat66-prefix",
				    json_sprintf("%s/64", prefix));
	json_object_set_new(o, "router-advertisement", json_boolean(d->ra));
	json_object_set_new(o, "mtu", json_integer(d->mtu));
	json_object_set_new(o, "isolated", json_boolean(d->isolated));
	json_object_set_new(o, "lock-mac", json_boolean(d->lock_mac));
	json_object_set_new(o, "host-loopback", json_boolean(d->host_loopback));
	json_object_set_new(o, "rate", json_integer((json_int_t)d->rate_bps));
	json_object_set_new(o, "burst", json_integer(d->burst));
	if (d->nforward)
		json_object_set_new(o, "forwards", forwards_to_json(d));
	if (d->nallow)
		json_object_set_new(o, "allow", allow_to_json(d));
	json_object_set_new(o, "linger", json_integer(d->linger_s));
	return o;
}
