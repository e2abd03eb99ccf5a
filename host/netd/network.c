/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One network that is up: its switch, its gateway, its uplink, its forwards.
 *
 * A forward leads to an address, which may be that of a member that has none yet, or gets another
 * one: whenever a lease changes, forwards that lead to names are looked at again (`settle`, from a
 * timer, since the gateway calls from within a batch).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/netd/broker.h"

struct network *broker_network(struct broker *b, const char *name)
{
	for (struct network *n = b->networks; n; n = n->next)
		if (!n->closing && !strcmp(n->def.name, name))
			return n;
	return NULL;
}

/* ---- what the parts need of each other ---- */

static uint64_t network_now(void *arg)
{
	return uv_now(arg);
}

static void network_uplink_send(void *ctx, const struct frame *f)
{
	struct network *n = ctx;

	if (n->uplink)
		uplink_send(n->uplink, f);
}

static void network_uplink_flush(void *ctx)
{
	struct network *n = ctx;

	if (n->uplink)
		uplink_flush(n->uplink);
}

/* A host network has one for its forwards only. */
static bool network_uplink_up(void *ctx)
{
	struct network *n = ctx;

	return n->uplink != NULL;
}

static void network_uplink_input(void *ctx, const struct frame *frames, size_t count)
{
	struct network *n = ctx;

	if (n->gateway)
		gateway_input(n->gateway, frames, count);
}

static void network_uplink_event(void *ctx, const char *why)
{
	struct network *n = ctx;

	(void)snprintf(n->uplink_down, sizeof(n->uplink_down), "%s", why ? why : "");
	if (why)
		log_line("network %s: NAT: %s", n->def.name, why);
	else
		log_line("network %s: NAT is there again", n->def.name);
}

static const char *network_member_name(void *arg, const struct sw_port *port)
{
	const struct member *m = sw_port_owner(port);

	(void)arg;
	return m ? m->name : "";
}

static void network_settle(struct network *n);

static void network_on_timer(uv_timer_t *timer)
{
	struct network *n = timer->data;

	if (n->settling) {
		n->settling = false;
		network_settle(n);
	}
	if (!n->nmembers)
		network_down(n);
}

static void network_lease_changed(void *arg)
{
	struct network *n = arg;

	if (n->closing || n->settling || !n->forwards)
		return;
	n->settling = true;
	if (n->nmembers)
		(void)uv_timer_start(&n->linger, network_on_timer, 0, 0);
}

/* ---- forwards ---- */

void network_forward_key(const char *network, const struct netdef_forward *def, char *key,
			 size_t size)
{
	(void)snprintf(key, size, "forward/%s/%s %s %u-%u", network, def->udp ? "udp" : "tcp",
		       def->host, def->first, def->last);
}

static bool network_uplink_open(struct network *n, char err[NETDEF_ERR_MAX])
{
	struct uplink_params params = {
		.loop = n->broker->loop,
		.def = &n->def,
		.gateway_mac = gateway_mac(n->gateway),
		.input = network_uplink_input,
		.event = network_uplink_event,
		.ctx = n,
	};

	if (!n->uplink)
		n->uplink = uplink_open(&params, err);
	return n->uplink != NULL;
}

static void network_forward_free(struct forward *f)
{
	for (struct forward **at = &f->network->forwards; *at; at = &(*at)->next)
		if (*at == f) {
			*at = f->next;
			break;
		}
	free(f);
}

static void network_forward_tell(struct forward *f, const char *err, int error)
{
	void (*done)(void *arg, const char *err, int error) = f->done;

	f->done = NULL;
	if (done)
		done(f->arg, err, error);
}

static void network_forward_keep(const struct forward *f, bool keep)
{
	char key[STATE_KEY_MAX], to[NETDEF_NAME_MAX + 1];
	json_t *value = NULL;

	if (f->in_def)
		return;
	if (f->def.by_name)
		(void)snprintf(to, sizeof(to), "%s", f->def.member);
	else
		netdef_format_addr4(f->def.address, to);
	network_forward_key(f->network->def.name, &f->def, key, sizeof(key));
	if (keep)
		value = json_pack("{s:b, s:s, s:i, s:i, s:s, s:i}", "udp", f->def.udp, "host",
				  f->def.host, "first", f->def.first, "last", f->def.last, "to", to,
				  "port", f->def.port);
	if (value || !keep)
		state_put(f->network->broker->state, key, value);
	json_decref(value);
}

static void network_forward_opened(void *arg, const char *err, int error)
{
	struct forward *f = arg;
	bool asked = f->done != NULL;

	if (f->gone) {
		network_forward_free(f);
		return;
	}
	f->state = err ? FORWARD_FAILED : FORWARD_OPEN;
	(void)snprintf(f->error, sizeof(f->error), "%s", err ? err : "");
	if (err && !asked)
		log_line("network %s: forward %s", f->network->def.name, err);
	if (!err)
		network_forward_keep(f, true);
	network_forward_tell(f, err, error);
	if (err && asked)
		network_forward_free(f); /* whoever asked knows; nothing was added */
}

static void network_forward_closed(void *arg, const char *err, int error)
{
	(void)arg;
	(void)err;
	(void)error;
}

static uint32_t network_forward_target(struct network *n, const struct netdef_forward *def)
{
	const struct member *m;
	const struct lease *lease;
	uint8_t mac[6];

	if (!def->by_name)
		return def->address;
	for (unsigned i = 0; i < n->def.nreserve; i++)
		if (!n->def.reserve[i].by_mac && !strcmp(n->def.reserve[i].name, def->member))
			return n->def.reserve[i].address;
	/* The member itself first: a lease of that name may be of a card it had before. */
	m = member_find(n, def->member);
	lease = m && member_mac(m, mac) ? lease_by_mac(gateway_leases(n->gateway), mac) : NULL;
	return lease ? lease->address : lease_by_name(gateway_leases(n->gateway), def->member);
}

static struct netdef_forward network_forward_resolved(const struct forward *f)
{
	struct netdef_forward def = f->def;

	def.by_name = false;
	def.address = f->target;
	return def;
}

static void network_forward_shut(struct forward *f)
{
	struct netdef_forward def = network_forward_resolved(f);

	if (f->state == FORWARD_OPEN && f->network->uplink)
		uplink_forward(f->network->uplink, false, &def, network_forward_closed, NULL);
	f->state = FORWARD_WAITING;
}

/* To where it leads now, if that is another place than before. */
static bool network_forward_aim(struct forward *f, char err[NETDEF_ERR_MAX])
{
	struct netdef_forward def;
	uint32_t target = network_forward_target(f->network, &f->def);

	if (f->state == FORWARD_OPENING || (target == f->target && f->state != FORWARD_WAITING))
		return true;
	network_forward_shut(f);
	f->target = target;
	if (!target) {
		network_forward_keep(f, true);
		network_forward_tell(f, NULL, 0);
		return true;
	}
	if (!network_uplink_open(f->network, err))
		return false;
	def = network_forward_resolved(f);
	f->state = FORWARD_OPENING;
	uplink_forward(f->network->uplink, true, &def, network_forward_opened, f);
	return true;
}

static void network_settle(struct network *n)
{
	char err[NETDEF_ERR_MAX];

	for (struct forward *f = n->forwards, *next; f; f = next) {
		next = f->next;
		if (f->def.by_name && !f->gone && !network_forward_aim(f, err))
			log_line("network %s: %s", n->def.name, err);
	}
}

static bool network_forward_same(const struct netdef_forward *a, const struct netdef_forward *b)
{
	return a->udp == b->udp && a->first == b->first && a->last == b->last &&
	       !strcmp(a->host, b->host);
}

static struct forward *network_forward_new(struct network *n, const struct netdef_forward *def)
{
	struct forward *f = calloc(1, sizeof(*f)), **at = &n->forwards;

	if (!f)
		return NULL;
	f->network = n;
	f->def = *def;
	while (*at)
		at = &(*at)->next;
	*at = f;
	return f;
}

bool network_forward_add(struct network *n, const struct netdef_forward *def,
			 void (*done)(void *arg, const char *err, int error), void *arg,
			 struct fault *fault)
{
	char err[NETDEF_ERR_MAX];
	struct forward *f;
	unsigned count = 0;

	if (!netdef_forward_fits(&n->def, def, err))
		return fault_user(fault, "network %s: %s", n->def.name, err);
	for (f = n->forwards; f; f = f->next, count++)
		if (!f->gone && f->def.udp == def->udp && !strcmp(f->def.host, def->host) &&
		    f->def.first <= def->last && def->first <= f->def.last)
			return fault_user(fault, "%s %s port %u is forwarded already",
					  def->udp ? "udp" : "tcp", def->host,
					  def->first > f->def.first ? def->first : f->def.first);
	if (count >= NETDEF_FORWARDS_MAX)
		return fault_user(fault, "network %s has %u forwards, which is all it may have",
				  n->def.name, count);
	f = network_forward_new(n, def);
	if (!f)
		return fault_system(fault, "out of memory");
	f->done = done;
	f->arg = arg;
	if (network_forward_aim(f, fault->text))
		return true;
	fault->user = false;
	network_forward_free(f);
	return false;
}

bool network_forward_remove(struct network *n, const struct netdef_forward *def,
			    struct fault *fault)
{
	for (struct forward *f = n->forwards; f; f = f->next) {
		if (f->gone || !network_forward_same(&f->def, def))
			continue;
		network_forward_keep(f, false);
		if (f->state == FORWARD_OPENING) {
			f->gone = true;
			return true;
		}
		network_forward_shut(f);
		network_forward_free(f);
		return true;
	}
	return fault_user(fault, "network %s has no forward of %s %s port %u", n->def.name,
			  def->udp ? "udp" : "tcp", def->host, def->first);
}

static void network_forward_kept(void *arg, const char *key, json_t *value)
{
	struct network *n = arg;
	struct netdef_forward def;
	char host[80], port[8], err[NETDEF_ERR_MAX];
	const char *addr = json_string_value(json_object_get(value, "host"));
	const char *to = json_string_value(json_object_get(value, "to"));
	bool six = addr && strchr(addr, ':');

	(void)key;
	if (!addr || !to)
		return;
	(void)snprintf(host, sizeof(host), "%s%.45s%s:%lld-%lld", six ? "[" : "", addr,
		       six ? "]" : "", json_integer_value(json_object_get(value, "first")),
		       json_integer_value(json_object_get(value, "last")));
	(void)snprintf(port, sizeof(port), "%u",
		       (unsigned)json_integer_value(json_object_get(value, "port")) & 0xffffu);
	if (!netdef_parse_forward(json_is_true(json_object_get(value, "udp")) ? "udp" : "tcp", host,
				  to, port, &def, err))
		log_line("network %s: a forward in the state file: %s", n->def.name, err);
	else
		(void)network_forward_new(n, &def);
}

/* Those of the definition, and those that were added while it was up the last time. */
static void network_forwards_open(struct network *n)
{
	char prefix[STATE_KEY_MAX], err[NETDEF_ERR_MAX];

	for (unsigned i = 0; i < n->def.nforward; i++) {
		struct forward *f = network_forward_new(n, &n->def.forward[i]);

		if (f)
			f->in_def = true;
	}
	(void)snprintf(prefix, sizeof(prefix), "forward/%s/", n->def.name);
	state_each(n->broker->state, prefix, network_forward_kept, n);
	for (struct forward *f = n->forwards; f; f = f->next)
		if (!network_forward_aim(f, err))
			log_line("network %s: %s", n->def.name, err);
}

/* ---- up and down ---- */

static bool network_overlaps(struct network *n, struct fault *f)
{
	for (const struct network *o = n->broker->networks; o; o = o->next)
		if (o != n && !o->closing && netdef_overlap(&n->def, &o->def))
			return fault_user(f,
					  "the subnet of network %s overlaps that of network %s, "
					  "which is up",
					  n->def.name, o->def.name);
	return true;
}

struct network_others {
	struct broker *b;
	const char *name;
	struct netdef def[BROKER_NETWORKS_MAX];
	const struct netdef *list[2 * BROKER_NETWORKS_MAX];
	unsigned ndef, nlist;
};

static void network_other(void *arg, const char *name)
{
	struct network_others *o = arg;
	struct netdef def;
	const char *source;

	if (o->ndef == BROKER_NETWORKS_MAX || !strcmp(name, o->name) ||
	    broker_network(o->b, name) || !broker_definition(o->b, name, &def, &source))
		return;
	if (def.auto_subnet) {
		netdef_free(&def);
		return;
	}
	o->def[o->ndef] = def;
	o->list[o->nlist++] = &o->def[o->ndef++];
}

/* A subnet that is nobody else's; the one it had before, if that is still free. */
static bool network_choose(struct network *n, struct fault *f)
{
	struct broker *b = n->broker;
	struct network_others *o = calloc(1, sizeof(*o));
	char key[STATE_KEY_MAX];
	json_t *had, *has;
	bool good;

	if (!o)
		return fault_system(f, "out of memory");
	o->b = b;
	o->name = n->def.name;
	for (struct network *up = b->networks; up; up = up->next)
		if (up != n && !up->closing)
			o->list[o->nlist++] = &up->def;
	broker_each_name(b, network_other, o);
	(void)snprintf(key, sizeof(key), "subnet/%s", n->def.name);
	had = state_get(b->state, key);
	good = netdef_choose(&n->def, o->list, o->nlist,
			     had ? (uint32_t)json_integer_value(had) : 0, f->text);
	f->user = false;
	if (good && (!had || (uint32_t)json_integer_value(had) != n->def.subnet)) {
		has = json_integer(n->def.subnet);
		if (has)
			state_put(b->state, key, has);
		json_decref(has);
	}
	for (unsigned i = 0; i < o->ndef; i++)
		netdef_free(&o->def[i]);
	free(o);
	return good;
}

static void network_closed(uv_handle_t *handle)
{
	struct network *n = handle->data;

	netdef_free(&n->def);
	free(n);
}

void network_down(struct network *n)
{
	struct broker *b = n->broker;

	if (n->closing)
		return;
	n->closing = true;
	if (b->control)
		control_network_down(b->control, n);
	while (n->members)
		member_remove(n->members);
	for (struct network **at = &b->networks; *at; at = &(*at)->next)
		if (*at == n) {
			*at = n->next;
			b->nnetworks--;
			break;
		}
	if (n->uplink)
		uplink_close(n->uplink); /* forwards that it is at work on are answered here */
	n->uplink = NULL;
	while (n->forwards) {
		struct forward *f = n->forwards;

		n->forwards = f->next;
		network_forward_tell(f, "the network went down", 0);
		free(f);
	}
	if (n->gateway)
		gateway_close(n->gateway);
	if (n->sw)
		sw_destroy(n->sw);
	log_line("network %s is down", n->def.name);
	uv_close((uv_handle_t *)&n->linger, network_closed);
	broker_changed(b);
}

void network_joined(struct network *n)
{
	if (n->settling)
		(void)uv_timer_start(&n->linger, network_on_timer, 0, 0);
	else
		(void)uv_timer_stop(&n->linger);
}

void network_left(struct network *n)
{
	if (n->closing || n->nmembers)
		return;
	for (const struct door *d = n->broker->doors; d; d = d->next)
		if (d->network == n)
			return;
	(void)uv_timer_start(&n->linger, network_on_timer, n->def.linger_s * 1000u, 0);
}

static bool network_parts(struct network *n, struct fault *f)
{
	struct broker *b = n->broker;

	n->sw = sw_create(&(struct sw_params){
		.mtu = n->def.mtu,
		.isolated = n->def.isolated,
		.now_ms = network_now,
		.arg = b->loop,
	});
	if (!n->sw)
		return fault_system(f, "out of memory");
	n->gateway = gateway_open(&(struct gateway_params){
		.loop = b->loop,
		.sw = n->sw,
		.def = &n->def,
		.state = b->state,
		.uplink = {network_uplink_send, network_uplink_flush, network_uplink_up, n},
		.member_name = network_member_name,
		.lease_changed = network_lease_changed,
		.arg = n,
	});
	if (!n->gateway)
		return fault_system(f, "cannot start the gateway of network %s: %s", n->def.name,
				    strerror(errno));
	if (n->def.mode == NETDEF_SHARED && (n->def.nat44 || n->def.nat66) &&
	    !network_uplink_open(n, f->text)) {
		f->user = false;
		return false;
	}
	return true;
}

struct network *network_up(struct broker *b, const char *name, struct fault *f)
{
	struct network *n = broker_network(b, name);
	char net[16];

	if (n)
		return n;
	if (b->ending) {
		(void)fault_system(f, "the daemon is ending");
		return NULL;
	}
	n = calloc(1, sizeof(*n));
	if (!n) {
		(void)fault_system(f, "out of memory");
		return NULL;
	}
	n->broker = b;
	if (!broker_definition(b, name, &n->def, &n->source)) {
		(void)fault_user(f,
				 "no network %.64s; vmnet list shows those there are, vmnet "
				 "create makes one",
				 name);
		free(n);
		return NULL;
	}
	if (b->nnetworks >= BROKER_NETWORKS_MAX || uv_timer_init(b->loop, &n->linger)) {
		(void)fault_system(f, "%u networks are up, which is all there may be",
				   b->nnetworks);
		netdef_free(&n->def);
		free(n);
		return NULL;
	}
	n->linger.data = n;
	n->next = b->networks;
	b->networks = n;
	b->nnetworks++;
	if ((n->def.auto_subnet && !network_choose(n, f)) || !network_overlaps(n, f) ||
	    !network_parts(n, f)) {
		network_down(n);
		return NULL;
	}
	netdef_format_addr4(n->def.subnet, net);
	log_line("network %s is up, %s", name, net);
	network_forwards_open(n);
	broker_changed(b);
	return n;
}
