/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What can be seen: networks, members, leases, forwards, as docs/protocol.md has them. New
 * references; what could not be allocated is left out.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/netd/control_internal.h"

static void put(json_t *object, const char *key, json_t *value)
{
	(void)json_object_set_new(object, key, value);
}

static void put_number(json_t *object, const char *key, uint64_t value)
{
	put(object, key, json_integer((json_int_t)value));
}

static void put_addr4(json_t *object, const char *key, uint32_t address)
{
	char text[16];

	netdef_format_addr4(address, text);
	put(object, key, address ? json_string(text) : json_null());
}

static void put_subnet(json_t *object, const struct netdef *def)
{
	char net[16], text[24];

	netdef_format_addr4(def->subnet, net);
	(void)snprintf(text, sizeof(text), "%s/%d", net, __builtin_popcount(def->netmask));
	put(object, "subnet", def->subnet ? json_string(text) : json_null());
	put_addr4(object, "gateway", def->gateway);
}

static const char *report_mode(const struct netdef *def)
{
	return def->mode == NETDEF_SHARED ? "shared" : "host";
}

/* ---- list ---- */

struct report_list {
	struct broker *b;
	json_t *array;
};

static void report_network_line(void *arg, const char *name)
{
	struct report_list *list = arg;
	const struct network *n = broker_network(list->b, name);
	struct netdef def;
	const char *source;
	json_t *o;

	if (!broker_definition(list->b, name, &def, &source))
		return;
	o = json_object();
	if (o) {
		put(o, "name", json_string(name));
		put(o, "mode", json_string(report_mode(&def)));
		put_subnet(o, n ? &n->def : &def);
		put(o, "state", json_string(n ? "up" : "defined"));
		put_number(o, "members", n ? n->nmembers : 0);
		put(o, "source", json_string(source));
		(void)json_array_append_new(list->array, o);
	}
	netdef_free(&def);
}

json_t *control_list(struct broker *b)
{
	struct report_list list = {b, json_array()};

	if (list.array)
		broker_each_name(b, report_network_line, &list);
	return list.array;
}

/* ---- status ---- */

static json_t *report_member(const struct member *m)
{
	struct network *n = m->network;
	struct link_stats stats;
	const struct lease *lease;
	json_t *o = json_object();
	uint8_t mac[6];
	char text[18];
	bool known = member_mac(m, mac);

	if (!o)
		return NULL;
	member_stats(m, &stats);
	netdef_format_mac(mac, text);
	lease = known ? lease_by_mac(gateway_leases(n->gateway), mac) : NULL;
	put(o, "name", json_string(m->name));
	put(o, "mac", known ? json_string(text) : json_null());
	put_addr4(o, "address", lease ? lease->address : 0);
	put(o, "link", json_string(m->up ? "up" : "down"));
	put(o, "kind", json_string(m->kind == LINK_STREAM ? "stream" : "dgram"));
	put(o, "connected", json_boolean(m->link != NULL));
	put(o, "path", m->door ? json_string(m->door->path) : json_null());
	put(o, "detached", json_boolean(m->door && !m->door->owner));
	put_number(o, "rate", m->rate_bps);
	put_number(o, "burst", m->burst);
	put_number(o, "rx_frames", stats.port.rx_frames);
	put_number(o, "rx_bytes", stats.port.rx_bytes);
	put_number(o, "tx_frames", stats.port.tx_frames);
	put_number(o, "tx_bytes", stats.port.tx_bytes);
	put_number(o, "dropped", stats.port.tx_dropped);
	put_number(o, "bad", stats.port.rx_bad);
	put_number(o, "spoofed", stats.port.rx_spoofed);
	put_number(o, "capped", stats.port.rx_capped);
	put_number(o, "isolated", stats.port.rx_isolated);
	put_number(o, "backlog", stats.backlog_bytes);
	put_number(o, "joins", m->joins);
	return o;
}

static json_t *report_uplink(const struct network *n)
{
	json_t *o = n->uplink ? uplink_stats(n->uplink) : json_object();

	if (!o)
		return NULL;
	put(o, "kind", json_string(n->uplink ? "nat-slirp" : "none"));
	put(o, "down", n->uplink_down[0] ? json_string(n->uplink_down) : json_null());
	return o;
}

static json_t *report_network(struct network *n)
{
	json_t *o = json_object(), *members = json_array();

	if (!o || !members) {
		json_decref(o);
		json_decref(members);
		return NULL;
	}
	put(o, "name", json_string(n->def.name));
	put(o, "mode", json_string(report_mode(&n->def)));
	put_subnet(o, &n->def);
	put_number(o, "mtu", n->def.mtu);
	put(o, "isolated", json_boolean(n->def.isolated));
	put_number(o, "stations", sw_stations(n->sw));
	put(o, "uplink", report_uplink(n));
	put(o, "services", gateway_stats(n->gateway));
	for (const struct member *m = n->members; m; m = m->next)
		(void)json_array_append_new(members, report_member(m));
	put(o, "members", members);
	return o;
}

/* Of the workers; they come from the same library, so each text once. */
static void report_warnings(struct broker *b, json_t *warnings)
{
	for (const struct network *n = b->networks; n; n = n->next) {
		json_t *stats = n->uplink ? uplink_stats(n->uplink) : NULL;
		json_t *warning, *had;
		size_t i, k;

		json_array_foreach(json_object_get(stats, "warnings"), i, warning)
		{
			json_array_foreach(warnings, k, had) if (json_equal(had, warning)) break;
			if (k == json_array_size(warnings))
				(void)json_array_append(warnings, warning);
		}
		json_decref(stats);
	}
}

json_t *control_status(struct broker *b, const char *network, json_t *answer)
{
	json_t *daemon = json_object(), *networks = json_array(), *warnings = json_array();
	size_t rss = 0;

	(void)uv_resident_set_memory(&rss);
	if (warnings)
		report_warnings(b, warnings);
	if (daemon) {
		put_number(daemon, "pid", (uint64_t)getpid());
		put(daemon, "version", json_string(VMNET_VERSION));
		put_number(daemon, "uptime", (uv_now(b->loop) - b->started_ms) / 1000);
		put_number(daemon, "rss", rss);
		put_number(daemon, "connections", b->nconns);
		put(daemon, "warnings", warnings);
	}
	for (struct network *n = b->networks; n && networks; n = n->next)
		if (!network || !strcmp(network, n->def.name))
			(void)json_array_append_new(networks, report_network(n));
	put(answer, "daemon", daemon);
	put(answer, "networks", networks);
	return answer;
}

/* ---- leases ---- */

struct report_leases {
	json_t *array;
	const char *network;
};

static void report_lease(void *arg, const struct lease *l)
{
	static const char *const states[] = {
		[LEASE_FREE] = "free",
		[LEASE_OFFERED] = "offered",
		[LEASE_BOUND] = "bound",
		[LEASE_DECLINED] = "declined",
	};
	struct report_leases *leases = arg;
	json_t *o = json_object();
	char mac[18];

	if (!o)
		return;
	netdef_format_mac(l->mac, mac);
	put(o, "network", json_string(leases->network));
	put_addr4(o, "address", l->address);
	put(o, "mac", json_string(mac));
	put(o, "name", l->member[0] ? json_string(l->member) : json_null());
	put(o, "hostname", l->hostname[0] ? json_string(l->hostname) : json_null());
	put(o, "state", json_string(states[l->state]));
	put(o, "expires", json_integer(l->expires));
	put(o, "reserved", json_boolean(l->reserved));
	(void)json_array_append_new(leases->array, o);
}

/* Of a network that is not up: what the state file has. */
static void report_kept_lease(void *arg, const char *key, json_t *value)
{
	struct report_leases *leases = arg;
	const char *network = key + strlen("lease/");
	const char *slash = strchr(network, '/');
	json_t *o;

	if (!slash || !json_is_object(value))
		return;
	o = json_copy(value);
	if (!o)
		return;
	put(o, "network", json_stringn(network, (size_t)(slash - network)));
	put(o, "address", json_string(slash + 1));
	(void)json_array_append_new(leases->array, o);
}

struct report_all {
	struct broker *b;
	json_t *array;
};

static void report_leases_of(void *arg, const char *name)
{
	struct report_all *all = arg;
	struct network *n = broker_network(all->b, name);
	struct report_leases leases = {all->array, name};
	char prefix[STATE_KEY_MAX];

	if (n) {
		lease_each(gateway_leases(n->gateway), report_lease, &leases);
		return;
	}
	(void)snprintf(prefix, sizeof(prefix), "lease/%s/", name);
	state_each(all->b->state, prefix, report_kept_lease, &leases);
}

json_t *control_leases(struct broker *b, const char *network)
{
	struct report_all all = {b, json_array()};

	if (all.array && network)
		report_leases_of(&all, network);
	else if (all.array)
		broker_each_name(b, report_leases_of, &all);
	return all.array;
}

/* ---- forwards ---- */

static json_t *report_forward(const struct forward *f)
{
	static const char *const states[] = {
		[FORWARD_WAITING] = "waiting",
		[FORWARD_OPENING] = "waiting",
		[FORWARD_OPEN] = "open",
		[FORWARD_FAILED] = "failed",
	};
	json_t *o = json_object();

	if (!o)
		return NULL;
	put(o, "network", json_string(f->network->def.name));
	put(o, "proto", json_string(f->def.udp ? "udp" : "tcp"));
	put(o, "host", json_string(f->def.host));
	put_number(o, "first", f->def.first);
	put_number(o, "last", f->def.last);
	if (f->def.by_name)
		put(o, "to", json_string(f->def.member));
	else
		put_addr4(o, "to", f->def.address);
	put_addr4(o, "address", f->target);
	put_number(o, "port", f->def.port);
	put(o, "state", json_string(states[f->state]));
	if (f->error[0])
		put(o, "error", json_string(f->error));
	return o;
}

/* Of a network that is not up: what the state file has of them. */
static void report_kept_forward(void *arg, const char *key, json_t *value)
{
	struct report_leases *forwards = arg;
	json_t *o = json_deep_copy(value);

	(void)key;
	if (!json_is_object(o)) {
		json_decref(o);
		return;
	}
	put(o, "network", json_string(forwards->network));
	put(o, "proto", json_string(json_is_true(json_object_get(o, "udp")) ? "udp" : "tcp"));
	put(o, "state", json_string("waiting"));
	(void)json_object_del(o, "udp");
	(void)json_array_append_new(forwards->array, o);
}

static void report_forwards_of(void *arg, const char *name)
{
	struct report_all *all = arg;
	const struct network *n = broker_network(all->b, name);
	struct report_leases forwards = {all->array, name};
	char prefix[STATE_KEY_MAX];

	for (const struct forward *f = n ? n->forwards : NULL; f; f = f->next)
		if (!f->gone)
			(void)json_array_append_new(all->array, report_forward(f));
	if (n)
		return;
	(void)snprintf(prefix, sizeof(prefix), "forward/%s/", name);
	state_each(all->b->state, prefix, report_kept_forward, &forwards);
}

json_t *control_forwards(struct broker *b, const char *network)
{
	struct report_all all = {b, json_array()};

	if (all.array && network)
		report_forwards_of(&all, network);
	else if (all.array)
		broker_each_name(b, report_forwards_of, &all);
	return all.array;
}
