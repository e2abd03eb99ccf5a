/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/netd/broker.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const builtins[] = {"shared", "host"};

bool fault_set(struct fault *f, bool user, const char *fmt, ...)
{
	va_list ap;

	f->user = user;
	va_start(ap, fmt);
	(void)vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	return false;
}

/* ---- idle, sync ---- */

static bool broker_is_idle(const struct broker *b)
{
	return !b->networks && !b->doors && !b->nconns;
}

static void broker_on_idle(uv_timer_t *timer)
{
	struct broker *b = timer->data;

	if (!broker_is_idle(b) || b->ending)
		return;
	log_line("nothing left to do");
	b->end(b);
}

void broker_changed(struct broker *b)
{
	if (b->ending)
		return;
	if (broker_is_idle(b))
		(void)uv_timer_start(&b->idle, broker_on_idle, BROKER_IDLE_MS, 0);
	else
		(void)uv_timer_stop(&b->idle);
}

static void broker_on_sync(uv_timer_t *timer)
{
	struct broker *b = timer->data;
	const char *trouble;

	for (struct network *n = b->networks; n; n = n->next)
		for (struct member *m = n->members; m; m = m->next)
			member_look(m);
	state_sync(b->state);
	trouble = state_error(b->state);
	if (trouble)
		log_line("state file: %s", trouble);
}

/* ---- life ---- */

bool broker_open(struct broker *b, uv_loop_t *loop, struct state *state)
{
	b->loop = loop;
	b->state = state;
	b->started_ms = uv_now(loop);
	if (uv_timer_init(loop, &b->idle) || uv_timer_init(loop, &b->sync))
		return false;
	b->idle.data = b;
	b->sync.data = b;
	(void)uv_timer_start(&b->sync, broker_on_sync, BROKER_SYNC_MS, BROKER_SYNC_MS);
	broker_changed(b);
	return true;
}

void broker_close(struct broker *b)
{
	b->ending = true;
	while (b->doors)
		door_close(b->doors, false);
	while (b->networks)
		network_down(b->networks);
	uv_close((uv_handle_t *)&b->idle, NULL);
	uv_close((uv_handle_t *)&b->sync, NULL);
}

bool broker_reload(struct broker *b, struct fault *f)
{
	struct config fresh = {0};
	char err[NETDEF_ERR_MAX];
	bool user = false;

	if (!config_load(&fresh, NULL, err, &user))
		return fault_set(f, user, "%s", err);
	config_free(&b->config);
	b->config = fresh;
	return true;
}

/* ---- definitions ---- */

static void broker_network_key(const char *name, char key[STATE_KEY_MAX])
{
	(void)snprintf(key, STATE_KEY_MAX, "network/%s", name);
}

/* One that `vmnet create` made: kept as it was given, and complete. */
static bool broker_created(struct broker *b, const char *name, struct netdef *out)
{
	char key[STATE_KEY_MAX], err[NETDEF_ERR_MAX];
	const json_t *kept;

	if (!netdef_name_valid(name))
		return false;
	broker_network_key(name, key);
	kept = state_get(b->state, key);
	if (!kept)
		return false;
	netdef_init(out);
	if (netdef_from_json(out, name, kept, err) && netdef_complete(out, err))
		return true;
	log_line("network %s in the state file: %s", name, err);
	netdef_free(out);
	return false;
}

bool broker_definition(struct broker *b, const char *name, struct netdef *out, const char **source)
{
	const struct netdef *def;

	*source = "command";
	if (broker_created(b, name, out))
		return true;
	*source = "file";
	def = config_find(&b->config, name);
	if (!def) {
		*source = "builtin";
		def = netdef_builtin(name);
	}
	return def && netdef_copy(out, def);
}

struct broker_names {
	struct broker *b;
	void (*fn)(void *arg, const char *name);
	void *arg;
	size_t skip; /* of the key: "network/" */
};

static void broker_name_created(void *arg, const char *key, json_t *value)
{
	const struct broker_names *names = arg;

	(void)value;
	names->fn(names->arg, key + names->skip);
}

static bool broker_is_created(struct broker *b, const char *name)
{
	char key[STATE_KEY_MAX];

	broker_network_key(name, key);
	return state_get(b->state, key) != NULL;
}

void broker_each_name(struct broker *b, void (*fn)(void *arg, const char *name), void *arg)
{
	struct broker_names names = {b, fn, arg, strlen("network/")};

	for (size_t i = 0; i < sizeof(builtins) / sizeof(builtins[0]); i++)
		if (!config_find(&b->config, builtins[i]) && !broker_is_created(b, builtins[i]))
			fn(arg, builtins[i]);
	for (unsigned i = 0; i < b->config.n; i++)
		if (!broker_is_created(b, b->config.defs[i].name))
			fn(arg, b->config.defs[i].name);
	state_each(b->state, "network/", broker_name_created, &names);
}

struct broker_clash {
	struct broker *b;
	const struct netdef *def;
	char with[NETDEF_NAME_MAX + 1];
	bool six; /* it is the IPv6 prefix */
	unsigned n;
};

static void broker_clash_with(struct broker_clash *clash, const struct netdef *other)
{
	if (!netdef_overlap(clash->def, other))
		return;
	(void)snprintf(clash->with, sizeof(clash->with), "%s", other->name);
	clash->six = !netdef_overlap4(clash->def, other);
}

static void broker_clash_one(void *arg, const char *name)
{
	struct broker_clash *clash = arg;
	const struct network *up = broker_network(clash->b, name);
	struct netdef other;
	const char *source;

	clash->n++;
	if (clash->with[0] || !strcmp(name, clash->def->name))
		return;
	if (up) {
		broker_clash_with(clash, &up->def);
		return;
	}
	if (!broker_definition(clash->b, name, &other, &source))
		return;
	if (!other.auto_subnet)
		broker_clash_with(clash, &other);
	netdef_free(&other);
}

bool broker_create(struct broker *b, const char *name, const json_t *definition, struct fault *f)
{
	struct broker_clash clash = {.b = b};
	char key[STATE_KEY_MAX], err[NETDEF_ERR_MAX];
	struct netdef def;
	json_t *kept;
	bool good;

	if (!netdef_name_valid(name))
		return fault_user(f,
				  "\"%.64s\" is no name for a network: at most %u letters, digits, "
				  "- _ . and a letter or digit first",
				  name, NETDEF_NAME_MAX);
	if (broker_network(b, name) || broker_is_created(b, name) || config_find(&b->config, name))
		return fault_user(f, "network %s exists already; vmnet delete %s removes it", name,
				  name);
	if (netdef_builtin(name))
		return fault_user(f, "network %s is built in; give the new one another name", name);
	netdef_init(&def);
	if (!netdef_from_json(&def, name, definition, err) || !netdef_complete(&def, err)) {
		netdef_free(&def);
		return fault_user(f, "%s", err);
	}
	clash.def = &def;
	broker_each_name(b, broker_clash_one, &clash);
	if (clash.with[0] && !def.auto_subnet) {
		char net[16];

		netdef_format_addr4(def.subnet, net);
		netdef_free(&def);
		if (clash.six)
			return fault_user(f, "network %s would have the IPv6 prefix of network %s",
					  name, clash.with);
		return fault_user(f, "the subnet %s of network %s overlaps that of network %s", net,
				  name, clash.with);
	}
	if (clash.n >= BROKER_NETWORKS_MAX) {
		netdef_free(&def);
		return fault_user(f, "there are %u networks already, which is all there may be",
				  BROKER_NETWORKS_MAX);
	}
	kept = netdef_to_json(&def);
	netdef_free(&def);
	good = kept != NULL;
	if (good) {
		broker_network_key(name, key);
		state_put(b->state, key, kept);
		json_decref(kept);
	}
	return good || fault_system(f, "out of memory");
}

/* Keys of what belonged to a network, collected first: they must not change while being walked. */
struct broker_keys {
	char (*key)[STATE_KEY_MAX];
	size_t n, room;
};

static void broker_key_add(void *arg, const char *key, json_t *value)
{
	struct broker_keys *keys = arg;

	(void)value;
	if (keys->n == keys->room) {
		size_t room = keys->room ? 2 * keys->room : 64;
		void *more = realloc(keys->key, room * sizeof(keys->key[0]));

		if (!more)
			return;
		keys->key = more;
		keys->room = room;
	}
	(void)snprintf(keys->key[keys->n++], STATE_KEY_MAX, "%s", key);
}

static void broker_forget(struct broker *b, const char *kind, const char *name)
{
	struct broker_keys keys = {0};
	char prefix[STATE_KEY_MAX];

	(void)snprintf(prefix, sizeof(prefix), "%s/%s/", kind, name);
	state_each(b->state, prefix, broker_key_add, &keys);
	for (size_t i = 0; i < keys.n; i++)
		state_put(b->state, keys.key[i], NULL);
	free(keys.key);
}

static bool broker_used(struct broker *b, const char *name)
{
	const struct network *n = broker_network(b, name);

	if (n && n->nmembers)
		return true;
	for (const struct door *d = b->doors; d; d = d->next)
		if (d->network == n && n)
			return true;
	return false;
}

bool broker_delete(struct broker *b, const char *name, struct fault *f)
{
	static const char *const kinds[] = {"lease", "member", "forward", "attach"};
	char key[STATE_KEY_MAX];
	struct network *n = broker_network(b, name);

	if (!broker_is_created(b, name)) {
		if (config_find(&b->config, name))
			return fault_user(f, "network %s stands in %s; remove it there", name,
					  b->config.path);
		if (netdef_builtin(name))
			return fault_user(f, "network %s is built in and cannot be deleted", name);
		return fault_user(f, "no network %.64s; vmnet list shows those there are", name);
	}
	if (broker_used(b, name))
		return fault_user(f, "network %s has %u members; unplug them first", name,
				  n->nmembers);
	if (n)
		network_down(n);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		broker_forget(b, kinds[i], name);
	(void)snprintf(key, sizeof(key), "subnet/%s", name);
	state_put(b->state, key, NULL);
	broker_network_key(name, key);
	state_put(b->state, key, NULL);
	return true;
}

/* ---- who may talk to us ---- */

struct broker_ask {
	struct broker *b;
	const struct peer *peer;
	bool may;
};

static void broker_ask_one(void *arg, const char *name)
{
	struct broker_ask *ask = arg;
	const struct netdef *one;
	struct netdef def;
	const char *source;

	if (ask->may || !broker_definition(ask->b, name, &def, &source))
		return;
	one = &def;
	ask->may = peer_may_connect(ask->peer, &one, 1);
	netdef_free(&def);
}

bool broker_may_connect(struct broker *b, const struct peer *p)
{
	struct broker_ask ask = {b, p, peer_may_connect(p, NULL, 0)};

	if (!ask.may)
		broker_each_name(b, broker_ask_one, &ask);
	return ask.may;
}

/* ---- detached attachments of a daemon before us ---- */

struct broker_restored {
	char network[NETDEF_NAME_MAX + 1], name[NETDEF_NAME_MAX + 1], path[108];
	uint8_t mac[6];
	bool mac_given;
	enum link_kind kind;
};

static bool broker_restore_read(const char *key, const json_t *value, struct broker_restored *r)
{
	const char *path = json_string_value(json_object_get(value, "path"));
	const char *mac = json_string_value(json_object_get(value, "mac"));
	const char *network = key + strlen("attach/");
	const char *slash = strchr(network, '/');

	if (!path || strlen(path) >= sizeof(r->path) || !slash ||
	    (size_t)(slash - network) > NETDEF_NAME_MAX || strlen(slash + 1) > NETDEF_NAME_MAX)
		return false;
	(void)snprintf(r->network, sizeof(r->network), "%.*s", (int)(slash - network), network);
	(void)snprintf(r->name, sizeof(r->name), "%s", slash + 1);
	(void)snprintf(r->path, sizeof(r->path), "%s", path);
	r->mac_given = mac && netdef_parse_mac(mac, r->mac);
	r->kind = json_is_true(json_object_get(value, "dgram")) ? LINK_DGRAM : LINK_STREAM;
	return true;
}

void broker_restore(struct broker *b)
{
	struct broker_keys keys = {0};

	state_each(b->state, "attach/", broker_key_add, &keys);
	for (size_t i = 0; i < keys.n; i++) {
		const json_t *value = state_get(b->state, keys.key[i]);
		struct broker_restored r;
		struct fault f;

		if (!value || !broker_restore_read(keys.key[i], value, &r)) {
			state_put(b->state, keys.key[i], NULL);
			continue;
		}
		if (!door_open(b,
			       &(struct door_params){
				       .network = r.network,
				       .path = r.path,
				       .name = r.name,
				       .mac = r.mac_given ? r.mac : NULL,
				       .kind = r.kind,
			       },
			       &f)) {
			log_line("attachment %s of network %s: %s", r.name, r.network, f.text);
			state_put(b->state, keys.key[i], NULL);
		}
	}
	free(keys.key);
}
