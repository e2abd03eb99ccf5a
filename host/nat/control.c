/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/nat/control.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MTU_MIN 576
#define MTU_MAX 65520

static bool get_addr4(const json_t *o, const char *key, uint32_t *out)
{
	const char *text = json_string_value(json_object_get(o, key));
	struct in_addr a;

	if (!text || inet_pton(AF_INET, text, &a) != 1)
		return false;
	*out = ntohl(a.s_addr);
	return true;
}

static bool get_mac(const json_t *o, const char *key, uint8_t mac[6])
{
	const char *text = json_string_value(json_object_get(o, key));
	unsigned b[6];
	char end;

	if (!text || sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &b[0], &b[1], &b[2], &b[3], &b[4],
			    &b[5], &end) != 6)
		return false;
	for (unsigned i = 0; i < 6; i++)
		mac[i] = (uint8_t)b[i];
	return true;
}

static bool get_number(const json_t *o, const char *key, long long min, long long max,
		       long long *out)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_integer(v) || json_integer_value(v) < min || json_integer_value(v) > max)
		return false;
	*out = json_integer_value(v);
	return true;
}

static bool get_bool(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

static bool fill_config(const json_t *o, struct nat_config *c, const char **bad)
{
	const char *prefix = json_string_value(json_object_get(o, "prefix6"));
	long long n;

	memset(c, 0, sizeof(*c));
	*bad = "subnet";
	if (!get_addr4(o, "subnet", &c->subnet))
		return false;
	*bad = "netmask";
	if (!get_addr4(o, "netmask", &c->netmask) || (~c->netmask & (~c->netmask + 1)) ||
	    ~c->netmask < 3 || (c->subnet & ~c->netmask))
		return false;
	*bad = "gateway";
	if (!get_addr4(o, "gateway", &c->gateway) || (c->gateway & c->netmask) != c->subnet ||
	    c->gateway == c->subnet || c->gateway == (c->subnet | ~c->netmask))
		return false;
	*bad = "gateway_mac";
	if (!get_mac(o, "gateway_mac", c->gateway_mac) || (c->gateway_mac[0] & 1))
		return false;
	*bad = "mtu";
	if (!get_number(o, "mtu", MTU_MIN, MTU_MAX, &n))
		return false;
	c->mtu = (uint32_t)n;
	*bad = "prefix6";
	if (prefix && inet_pton(AF_INET6, prefix, c->prefix6) != 1)
		return false;
	memset(c->prefix6 + 8, 0, 8);
	memcpy(c->gateway6, c->prefix6, 16);
	c->gateway6[15] = 1;
	*bad = "dns";
	if (json_object_get(o, "dns") && !get_addr4(o, "dns", &c->dns))
		return false;
	*bad = "dns_port";
	c->dns_port = 53;
	if (json_object_get(o, "dns_port")) {
		if (!get_number(o, "dns_port", 1, 65535, &n))
			return false;
		c->dns_port = (uint16_t)n;
	}
	c->nat44 = get_bool(o, "nat44");
	c->nat66 = get_bool(o, "nat66") && prefix;
	c->restricted = get_bool(o, "restricted");
	c->host_loopback = get_bool(o, "host_loopback");
	c->no_merge = get_bool(o, "no_merge");
	c->no_split = get_bool(o, "no_split");
	c->no_sandbox = get_bool(o, "no_sandbox");
	return true;
}

bool control_config(const char *text, size_t len, struct nat_config *out, char *err, size_t err_len)
{
	json_error_t e;
	json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
	const char *op = json_string_value(json_object_get(o, "op")), *bad = "op";
	bool ok = false;

	if (op && !strcmp(op, "config"))
		ok = fill_config(o, out, &bad);
	if (!ok)
		snprintf(err, err_len, "configuration: %s is missing or wrong", o ? bad : e.text);
	json_decref(o);
	return ok;
}

static bool fill_forward(const json_t *o, struct forward_spec *s, const char **bad)
{
	const char *host = json_string_value(json_object_get(o, "host"));
	long long n;

	memset(s, 0, sizeof(*s));
	s->udp = get_bool(o, "udp");
	*bad = "host";
	if (!host || strlen(host) >= sizeof(s->text))
		return false;
	memcpy(s->text, host, strlen(host) + 1);
	s->v6 = strchr(host, ':') != NULL;
	if (inet_pton(s->v6 ? AF_INET6 : AF_INET, host, s->host) != 1)
		return false;
	*bad = "first";
	if (!get_number(o, "first", 1, 65535, &n))
		return false;
	s->first = (uint16_t)n;
	*bad = "last";
	if (!get_number(o, "last", s->first, 65535, &n))
		return false;
	s->last = (uint16_t)n;
	*bad = "port";
	if (!get_number(o, "port", 1, 65535 - (s->last - s->first), &n))
		return false;
	s->port = (uint16_t)n;
	*bad = "address";
	return get_addr4(o, "address", &s->member);
}

static json_t *say(json_int_t id, int error, const char *text)
{
	if (!error)
		return json_pack("{s:I, s:b}", "id", id, "ok", 1);
	return json_pack("{s:I, s:b, s:s, s:i}", "id", id, "ok", 0, "error", text, "errno", error);
}

static json_t *stats_json(const struct worker *w)
{
	const struct nat_stats *s = &w->stats;
	json_t *drops = json_object();

	for (unsigned i = 1; i < NAT_DROPS; i++)
		json_object_set_new(drops, nat_drop_name[i], json_integer((json_int_t)s->drop[i]));
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "in_frames",
			 (json_int_t)s->in_frames, "in_bytes", (json_int_t)s->in_bytes,
			 "out_frames", (json_int_t)s->out_frames, "out_bytes",
			 (json_int_t)s->out_bytes, "merged", (json_int_t)s->merged, "split",
			 (json_int_t)s->split, "out_dropped", (json_int_t)s->out_dropped, "unknown",
			 (json_int_t)s->unknown, "filtered", drops);
}

json_t *control_message(struct worker *w, struct forwards *forwards, const char *text, size_t len)
{
	json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL), *answer;
	const char *op = json_string_value(json_object_get(o, "op")), *bad = "op";
	json_int_t id = json_integer_value(json_object_get(o, "id"));
	struct forward_spec spec;
	char err[256] = "";

	if (!op) {
		answer = say(id, EINVAL, "no such message");
	} else if (!strcmp(op, "stats")) {
		answer = json_pack("{s:I, s:b, s:o}", "id", id, "ok", 1, "stats", stats_json(w));
	} else if (strcmp(op, "forward") != 0 || !fill_forward(o, &spec, &bad)) {
		snprintf(err, sizeof(err), "message: %s is missing or wrong", bad);
		answer = say(id, EINVAL, err);
	} else {
		int error = forward_set(forwards, get_bool(o, "add"), &spec, err, sizeof(err));

		answer = say(id, error, err);
	}
	json_decref(o);
	return answer;
}
