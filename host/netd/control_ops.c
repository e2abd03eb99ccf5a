/* SPDX-License-Identifier: BSD-2-Clause */
/* What each request of docs/protocol.md does, but for what only shows (control_report.c). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/netd/control_internal.h"

#define WATCH_MIN_MS 100u
#define WATCH_MAX_MS 3600000u

/* ---- fields ---- */

/* A text, which must be there. */
static bool op_text(const json_t *request, const char *name, const char **out, struct fault *f)
{
	*out = json_string_value(json_object_get(request, name));
	return *out || fault_user(f, "the request lacks \"%s\" (a text)", name);
}

static bool op_optional(const json_t *request, const char *name, const char **out, struct fault *f)
{
	const json_t *value = json_object_get(request, name);

	*out = json_string_value(value);
	return *out || !value || json_is_null(value) ||
	       fault_user(f, "\"%s\" must be a text", name);
}

static bool op_mac(const json_t *request, uint8_t mac[6], bool *given, struct fault *f)
{
	const char *text;

	if (!op_optional(request, "mac", &text, f))
		return false;
	*given = text != NULL;
	return !text || netdef_parse_mac(text, mac) ||
	       fault_user(f, "\"%.32s\" is no MAC; one looks like 02:76:6d:00:00:01", text);
}

static bool op_kind(const json_t *request, enum link_kind *kind, struct fault *f)
{
	const char *text;

	if (!op_optional(request, "kind", &text, f))
		return false;
	if (!text || !strcmp(text, "stream"))
		*kind = LINK_STREAM;
	else if (!strcmp(text, "dgram"))
		*kind = LINK_DGRAM;
	else
		return fault_user(f, "\"%.32s\" is no kind of link; stream and dgram are", text);
	return true;
}

/* Its definition must let this peer in. */
static bool op_may_join(struct conn *c, const char *network, struct fault *f)
{
	struct netdef def;
	const char *source;
	bool may;

	if (!broker_definition(c->broker, network, &def, &source))
		return fault_user(f,
				  "no network %.64s; vmnet list shows those there are, vmnet "
				  "create makes one",
				  network);
	may = peer_may_join(&c->peer, &def, f->text);
	f->user = true;
	netdef_free(&def);
	return may;
}

static struct network *op_network(struct conn *c, const json_t *request, struct fault *f)
{
	const char *name;
	struct network *n;
	struct netdef def;
	const char *source;

	if (!op_text(request, "network", &name, f))
		return NULL;
	n = broker_network(c->broker, name);
	if (n)
		return n;
	if (broker_definition(c->broker, name, &def, &source)) {
		netdef_free(&def);
		(void)fault_user(f, "network %s is not up: it has no members", name);
	} else {
		(void)fault_user(f, "no network %.64s; vmnet list shows those there are", name);
	}
	return NULL;
}

static struct member *op_member(struct conn *c, const json_t *request, struct fault *f)
{
	struct network *n = op_network(c, request, f);
	struct member *m;
	const char *name;

	if (!n || !op_text(request, "member", &name, f))
		return NULL;
	m = member_find(n, name);
	if (!m)
		(void)fault_user(f, "network %s has no member %.64s; vmnet status shows them",
				 n->def.name, name);
	return m;
}

static void op_describe(json_t *answer, const struct member *m)
{
	char mac[18], gateway[16];
	uint8_t raw[6];

	netdef_format_addr4(m->network->def.gateway, gateway);
	(void)json_object_set_new(answer, "network", json_string(m->network->def.name));
	(void)json_object_set_new(answer, "name", json_string(m->name));
	if (member_mac(m, raw)) {
		netdef_format_mac(raw, mac);
		(void)json_object_set_new(answer, "mac", json_string(mac));
	}
	(void)json_object_set_new(answer, "mtu", json_integer(m->network->def.mtu));
	(void)json_object_set_new(answer, "gateway", json_string(gateway));
}

/* ---- members ---- */

static bool op_join(struct conn *c, const json_t *request, json_t *answer, struct fault *f)
{
	const char *network, *name;
	struct network *n;
	struct member *m;
	enum link_kind kind;
	uint8_t mac[6];
	bool mac_given, good;

	if (!op_text(request, "network", &network, f) || !op_optional(request, "name", &name, f) ||
	    !op_mac(request, mac, &mac_given, f) || !op_kind(request, &kind, f) ||
	    !op_may_join(c, network, f))
		return false;
	n = network_up(c->broker, network, f);
	if (!n)
		return false;
	m = member_add(n,
		       &(struct member_params){
			       .owner = c,
			       .name = name,
			       .mac = mac_given ? mac : NULL,
			       .kind = kind,
		       },
		       f);
	if (!m) {
		network_left(n);
		return false;
	}
	good = member_plug(m, c->passed, json_is_true(json_object_get(request, "takeover")), false,
			   f);
	c->passed = -1;
	if (good)
		op_describe(answer, m);
	else
		member_remove(m);
	return good;
}

static bool op_attach(struct conn *c, const json_t *request, json_t *answer, struct fault *f)
{
	const char *network, *name, *path;
	enum link_kind kind;
	struct door *d;
	uint8_t mac[6];
	bool mac_given, detach = json_is_true(json_object_get(request, "detach"));

	if (!op_text(request, "network", &network, f) || !op_text(request, "path", &path, f) ||
	    !op_optional(request, "name", &name, f) || !op_mac(request, mac, &mac_given, f) ||
	    !op_kind(request, &kind, f) || !op_may_join(c, network, f))
		return false;
	/* The daemon makes the path with its own rights. */
	if (!peer_may_manage(&c->peer))
		return fault_user(f, "uid %u may join %s with a descriptor only (vmnet run)",
				  (unsigned)c->peer.uid, network);
	d = door_open(c->broker,
		      &(struct door_params){
			      .network = network,
			      .path = path,
			      .name = name,
			      .mac = mac_given ? mac : NULL,
			      .kind = kind,
			      .owner = detach ? NULL : c,
		      },
		      f);
	if (!d)
		return false;
	op_describe(answer, d->first);
	(void)json_object_set_new(answer, "path", json_string(d->path));
	return true;
}

static bool op_detach(struct conn *c, const json_t *request, json_t *answer, struct fault *f)
{
	const char *network, *name;
	struct door *d;

	(void)answer;
	if (!op_text(request, "network", &network, f) || !op_text(request, "name", &name, f))
		return false;
	d = door_find(c->broker, network, name);
	if (!d || d->owner)
		return fault_user(f, "network %.64s has no detached attachment %.64s", network,
				  name);
	door_close(d, true);
	return true;
}

static bool op_link(struct conn *c, const json_t *request, json_t *answer, struct fault *f)
{
	const json_t *up = json_object_get(request, "up");
	struct member *m = op_member(c, request, f);

	(void)answer;
	if (!m)
		return false;
	if (!json_is_boolean(up))
		return fault_user(f, "the request lacks \"up\" (true or false)");
	member_set_link(m, json_is_true(up));
	return true;
}

static bool op_limit(struct conn *c, const json_t *request, json_t *answer, struct fault *f)
{
	const json_t *rate = json_object_get(request, "rate");
	const json_t *burst = json_object_get(request, "burst");
	struct member *m = op_member(c, request, f);
	json_int_t bytes = burst ? json_integer_value(burst) : 0;

	(void)answer;
	if (!m)
		return false;
	if (!json_is_integer(rate) || json_integer_value(rate) < 0)
		return fault_user(f, "the request lacks \"rate\" (bits a second, 0: no limit)");
	if ((burst && !json_is_integer(burst)) || bytes < 0 || bytes > INT32_MAX)
		return fault_user(f, "\"burst\" must be a number of bytes");
	member_set_rate(m, (uint64_t)json_integer_value(rate), (uint32_t)bytes);
	return true;
}

/* ---- networks ---- */

static bool op_create(struct conn *c, const json_t *request, json_t *answer, struct fault *f)
{
	const json_t *definition = json_object_get(request, "definition");
	const char *name;

	if (!op_text(request, "name", &name, f))
		return false;
	if (!json_is_object(definition))
		return fault_user(f, "the request lacks \"definition\" (an object)");
	if (!broker_create(c->broker, name, definition, f))
		return false;
	(void)json_object_set_new(answer, "network", json_string(name));
	return true;
}

static bool op_delete(struct conn *c, const json_t *request, json_t *answer, struct fault *f)
{
	const char *name;

	(void)answer;
	return op_text(request, "name", &name, f) && broker_delete(c->broker, name, f);
}

static bool op_reload(struct conn *c, const json_t *request, json_t *answer, struct fault *f)
{
	(void)request;
	(void)answer;
	return broker_reload(c->broker, f);
}

static bool op_shutdown(struct conn *c, const json_t *request, json_t *answer, struct fault *f)
{
	struct broker *b = c->broker;
	unsigned members = 0;

	(void)answer;
	for (const struct network *n = b->networks; n; n = n->next)
		members += n->nmembers;
	if (members && !json_is_true(json_object_get(request, "force")))
		return fault_user(f, "%u members are plugged in", members);
	b->end(b);
	return true;
}

/* ---- forwards ---- */

/* Who waits for a forward to open; the connection may be gone by then. */
struct conn_ask {
	struct conn *c;
};

static void op_forward_done(void *arg, const char *err, int error)
{
	struct conn_ask *ask = arg;
	struct conn *c = ask->c;
	struct fault f;

	free(ask);
	if (!c)
		return;
	c->ask = NULL;
	if (!err) {
		control_answer(c, json_object(), NULL);
		return;
	}
	(void)fault_set(&f,
			error == EADDRINUSE || error == EACCES || error == EADDRNOTAVAIL ||
				error == EPERM || error == EINVAL,
			"%s", err);
	control_answer(c, NULL, &f);
}

static bool op_forward_def(const json_t *request, bool whole, struct netdef_forward *def,
			   struct fault *f)
{
	const char *proto, *host, *to = "any", *port = NULL;
	char number[16];

	if (!op_text(request, "proto", &proto, f) || !op_text(request, "host", &host, f))
		return false;
	if (whole) {
		const json_t *value = json_object_get(request, "port");

		if (!op_text(request, "to", &to, f))
			return false;
		port = json_string_value(value);
		if (json_is_integer(value)) {
			(void)snprintf(number, sizeof(number), "%lld",
				       (long long)json_integer_value(value));
			port = number;
		}
		if (!port)
			return fault_user(f, "the request lacks \"port\" (a port of the member)");
	}
	f->user = true;
	return netdef_parse_forward(proto, host, to, port ? port : "1", def, f->text);
}

static bool op_forward_add(struct conn *c, const json_t *request, json_t *answer, struct fault *f)
{
	struct netdef_forward def;
	struct conn_ask *ask;
	struct network *n;
	const char *network;

	(void)answer;
	if (!op_text(request, "network", &network, f) || !op_forward_def(request, true, &def, f))
		return false;
	n = network_up(c->broker, network, f);
	if (!n)
		return false;
	ask = calloc(1, sizeof(*ask));
	if (!ask)
		return fault_system(f, "out of memory");
	ask->c = c;
	c->ask = ask;
	c->busy = true;
	if (!network_forward_add(n, &def, op_forward_done, ask, f)) {
		free(ask);
		c->ask = NULL;
		network_left(n);
		return false;
	}
	network_left(n);
	return true;
}

static bool op_forward_remove(struct conn *c, const json_t *request, json_t *answer,
			      struct fault *f)
{
	struct netdef_forward def;
	struct network *n;
	const char *network;
	bool good;

	(void)answer;
	if (!op_text(request, "network", &network, f) || !op_forward_def(request, false, &def, f))
		return false;
	n = network_up(c->broker, network, f);
	if (!n)
		return false;
	good = network_forward_remove(n, &def, f);
	network_left(n);
	return good;
}

static bool op_forward_list(struct conn *c, const json_t *request, json_t *answer, struct fault *f)
{
	const char *network;

	return op_optional(request, "network", &network, f) &&
	       (json_object_set_new(answer, "forwards", control_forwards(c->broker, network)) ==
			0 ||
		fault_system(f, "out of memory"));
}

/* ---- what can be seen ---- */

static bool op_known(struct conn *c, const char *network, struct fault *f)
{
	struct netdef def;
	const char *source;

	if (!network)
		return true;
	if (!broker_definition(c->broker, network, &def, &source))
		return fault_user(f, "no network %.64s; vmnet list shows those there are", network);
	netdef_free(&def);
	return true;
}

static bool op_list(struct conn *c, const json_t *request, json_t *answer, struct fault *f)
{
	(void)request;
	return json_object_set_new(answer, "networks", control_list(c->broker)) == 0 ||
	       fault_system(f, "out of memory");
}

static bool op_leases(struct conn *c, const json_t *request, json_t *answer, struct fault *f)
{
	const char *network;

	return op_optional(request, "network", &network, f) && op_known(c, network, f) &&
	       (json_object_set_new(answer, "leases", control_leases(c->broker, network)) == 0 ||
		fault_system(f, "out of memory"));
}

static void op_on_watch(uv_timer_t *timer)
{
	struct conn *c = timer->data;
	json_t *event = json_pack("{s:s}", "event", "status");

	if (event && !c->closing)
		control_send(c, control_status(c->broker, c->watched, event));
	json_decref(event);
}

static bool op_status(struct conn *c, const json_t *request, json_t *answer, struct fault *f)
{
	const json_t *watch = json_object_get(request, "watch");
	const char *network;
	double ms;

	if (!op_optional(request, "network", &network, f) || !op_known(c, network, f))
		return false;
	(void)control_status(c->broker, network, answer);
	if (!watch || json_is_null(watch) || json_is_false(watch))
		return true;
	if (!json_is_number(watch))
		return fault_user(f, "\"watch\" must be a number of seconds");
	ms = json_number_value(watch) * 1000.0;
	if (!(ms >= WATCH_MIN_MS && ms <= WATCH_MAX_MS))
		return fault_user(f, "\"watch\" must be 0.1 to 3600 seconds");
	free(c->watched);
	c->watched = network ? strdup(network) : NULL;
	(void)uv_timer_start(&c->watch, op_on_watch, (uint64_t)ms, (uint64_t)ms);
	return true;
}

static void op_config_one(void *arg, const char *name)
{
	struct netdef def;
	const char *source;
	void **both = arg;

	if (!broker_definition(both[0], name, &def, &source))
		return;
	(void)json_object_set_new(both[1], name, netdef_to_json(&def));
	netdef_free(&def);
}

static bool op_config(struct conn *c, const json_t *request, json_t *answer, struct fault *f)
{
	json_t *networks = json_object();
	void *both[2] = {c->broker, networks};

	(void)request;
	if (!networks)
		return fault_system(f, "out of memory");
	broker_each_name(c->broker, op_config_one, both);
	(void)json_object_set_new(answer, "path",
				  c->broker->config.path[0] ? json_string(c->broker->config.path)
							    : json_null());
	(void)json_object_set_new(answer, "networks", networks);
	return true;
}

/* ---- the end of a connection ---- */

void control_ops_end(struct conn *c)
{
	struct broker *b = c->broker;

	(void)uv_timer_stop(&c->watch);
	if (c->ask && c->closing) {
		c->ask->c = NULL;
		c->ask = NULL;
	}
	control_capture_end(c);
	for (struct door *d = b->doors, *next; d; d = next) {
		next = d->next;
		if (d->owner == c)
			door_close(d, false);
	}
	for (struct network *n = b->networks, *next_n; n; n = next_n) {
		next_n = n->next;
		for (struct member *m = n->members, *next; m; m = next) {
			next = m->next;
			if (m->owner == c)
				member_remove(m);
		}
	}
}

const struct control_op control_ops[] = {
	{"join", true, false, op_join},
	{"attach", false, false, op_attach},
	{"detach", false, true, op_detach},
	{"create", false, true, op_create},
	{"delete", false, true, op_delete},
	{"list", false, false, op_list},
	{"status", false, false, op_status},
	{"leases", false, false, op_leases},
	{"forward-add", false, true, op_forward_add},
	{"forward-remove", false, true, op_forward_remove},
	{"forward-list", false, false, op_forward_list},
	{"link", false, true, op_link},
	{"limit", false, true, op_limit},
	{"capture", true, true, control_capture},
	{"config", false, false, op_config},
	{"reload", false, true, op_reload},
	{"shutdown", false, true, op_shutdown},
	{NULL, false, false, NULL},
};
