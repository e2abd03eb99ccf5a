/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Members: a name and a MAC on a network, and the link they are plugged in with, if they are.
 *
 * What is known of a member is kept in the state file under its name, so that it comes back with
 * the same MAC, and with it the same address, whatever happened in between: its MAC, the one it was
 * seen to use (a VMM may have its own), its rate, and whether its cable is pulled.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "host/netd/broker.h"

/* ---- what is kept ---- */

static void member_key(const struct member *m, char key[STATE_KEY_MAX])
{
	(void)snprintf(key, STATE_KEY_MAX, "member/%s/%s", m->network->def.name, m->name);
}

void member_keep(struct member *m)
{
	char key[STATE_KEY_MAX], mac[18];
	json_t *value = json_object();

	if (!value)
		return;
	if (m->mac_known) {
		netdef_format_mac(m->mac, mac);
		(void)json_object_set_new(value, "mac", json_string(mac));
	}
	if (m->seen_known) {
		netdef_format_mac(m->seen, mac);
		(void)json_object_set_new(value, "seen", json_string(mac));
	}
	if (m->rate_bps) {
		(void)json_object_set_new(value, "rate", json_integer((json_int_t)m->rate_bps));
		(void)json_object_set_new(value, "burst", json_integer(m->burst));
	}
	if (!m->up)
		(void)json_object_set_new(value, "down", json_true());
	member_key(m, key);
	state_put(m->network->broker->state, key, value);
	json_decref(value);
}

static bool member_kept_mac(const json_t *kept, const char *what, uint8_t mac[6])
{
	const char *text = json_string_value(json_object_get(kept, what));

	return text && netdef_parse_mac(text, mac);
}

static void member_recall(struct member *m, bool mac_given)
{
	char key[STATE_KEY_MAX];
	const json_t *kept;
	uint8_t mac[6];

	member_key(m, key);
	kept = state_get(m->network->broker->state, key);
	m->rate_bps = m->network->def.rate_bps;
	m->burst = m->network->def.burst;
	if (!kept)
		return;
	if (!mac_given && member_kept_mac(kept, "mac", mac)) {
		memcpy(m->mac, mac, 6);
		m->mac_known = true;
	}
	m->seen_known = member_kept_mac(kept, "seen", m->seen);
	if (json_is_integer(json_object_get(kept, "rate"))) {
		m->rate_bps = (uint64_t)json_integer_value(json_object_get(kept, "rate"));
		m->burst = (uint32_t)json_integer_value(json_object_get(kept, "burst"));
	}
	m->up = !json_is_true(json_object_get(kept, "down"));
}

/* The address it really uses, if that is not the one it was given. */
void member_look(struct member *m)
{
	uint8_t mac[6];

	/* Before its first frame the switch knows the one it was given only. */
	if (!m->link || !sw_port_stats(link_port(m->link))->rx_frames ||
	    !sw_port_mac(link_port(m->link), mac) || (m->seen_known && !memcmp(mac, m->seen, 6)))
		return;
	memcpy(m->seen, mac, 6);
	m->seen_known = true;
	member_keep(m);
}

/* ---- names and addresses ---- */

struct member *member_find(struct network *n, const char *name)
{
	for (struct member *m = n->members; m; m = m->next)
		if (!strcmp(m->name, name))
			return m;
	return NULL;
}

static struct member *member_with_mac(struct network *n, const uint8_t mac[6])
{
	for (struct member *m = n->members; m; m = m->next)
		if (m->mac_known && !memcmp(m->mac, mac, 6))
			return m;
	return NULL;
}

static void member_choose_name(struct network *n, char name[NETDEF_NAME_MAX + 1])
{
	for (unsigned i = 1; i <= BROKER_MEMBERS_MAX + 1; i++) {
		(void)snprintf(name, NETDEF_NAME_MAX + 1, "vm%u", i);
		if (!member_find(n, name))
			return;
	}
}

/* Locally administered, one station; by chance, so that two hosts' members can meet. */
static bool member_choose_mac(struct network *n, uint8_t mac[6])
{
	static const uint8_t prefix[3] = {0x02, 0x76, 0x6d};

	for (unsigned tries = 0; tries < 100; tries++) {
		memcpy(mac, prefix, 3);
		if (getrandom(mac + 3, 3, 0) != 3)
			return false;
		if (!member_with_mac(n, mac) && memcmp(mac, gateway_mac(n->gateway), 6))
			return true;
	}
	return false;
}

static bool member_check(struct network *n, const struct member_params *p, struct fault *f)
{
	struct member *other;

	if (p->name && !netdef_name_valid(p->name))
		return fault_user(f,
				  "\"%.64s\" is no name for a member: at most %u letters, digits, "
				  "- _ . and a letter or digit first",
				  p->name, NETDEF_NAME_MAX);
	if (p->name && member_find(n, p->name))
		return fault_user(f, "network %s has a member %s already; choose another --name",
				  n->def.name, p->name);
	if (p->mac && (mac_multicast(p->mac) || mac_zero(p->mac)))
		return fault_user(f, "that MAC is not one station's: the lowest bit of its first "
				     "byte must be 0");
	if (p->mac && !memcmp(p->mac, gateway_mac(n->gateway), 6))
		return fault_user(f, "that MAC is the gateway's of network %s", n->def.name);
	other = p->mac ? member_with_mac(n, p->mac) : NULL;
	if (other)
		return fault_user(f, "member %s of network %s has that MAC already", other->name,
				  n->def.name);
	if (n->nmembers >= BROKER_MEMBERS_MAX)
		return fault_user(f, "network %s has %u members, which is all it may have",
				  n->def.name, n->nmembers);
	return true;
}

/* ---- life ---- */

struct member *member_add(struct network *n, const struct member_params *p, struct fault *f)
{
	struct member *m, **at;

	if (!member_check(n, p, f))
		return NULL;
	m = calloc(1, sizeof(*m));
	if (!m) {
		(void)fault_system(f, "out of memory");
		return NULL;
	}
	m->network = n;
	m->owner = p->owner;
	m->door = p->door;
	m->kind = p->kind;
	m->up = true;
	if (p->name)
		(void)snprintf(m->name, sizeof(m->name), "%s", p->name);
	else
		member_choose_name(n, m->name);
	if (p->mac) {
		memcpy(m->mac, p->mac, 6);
		m->mac_known = true;
	}
	member_recall(m, p->mac != NULL);
	/* What it had may be somebody else's by now; one behind a path brings its own. */
	if (!p->mac && m->mac_known && member_with_mac(n, m->mac))
		m->mac_known = false;
	if (!m->mac_known && !p->door) {
		if (!member_choose_mac(n, m->mac)) {
			(void)fault_system(f, "no random numbers to be had");
			free(m);
			return NULL;
		}
		m->mac_known = true;
	}
	for (at = &n->members; *at;)
		at = &(*at)->next;
	*at = m;
	n->nmembers++;
	network_joined(n);
	member_keep(m);
	return m;
}

static void member_on_closed(void *ctx, const char *why)
{
	struct member *m = ctx;
	struct conn *owner = m->owner;

	log_peer("network %s: %s: %s", m->network->def.name, m->name, why);
	member_unplug(m);
	if (m->door)
		return; /* it may come back */
	/* Nobody's: a connection that cannot be told ends, and with it what it owns. */
	m->owner = NULL;
	if (owner)
		control_member_gone(owner, m, why);
	member_remove(m);
}

/* Who speaks at a path of datagrams: the kernel tells less of it than of who connects. */
static bool member_admits(void *ctx, uid_t uid, gid_t gid)
{
	const struct member *m = ctx;
	const struct peer p = {.uid = uid, .gid = gid, .pidfd = -1};
	char why[NETDEF_ERR_MAX];
	bool may = peer_may_join(&p, &m->network->def, why);

	if (!may)
		log_peer("%s: refused: %s", m->door ? m->door->path : m->name, why);
	return may;
}

bool member_plug(struct member *m, int fd, bool takeover, bool unconnected, struct fault *f)
{
	struct network *n = m->network;
	const uint8_t *mac = m->mac_known ? m->mac : NULL;

	member_unplug(m);
	if (takeover && m->seen_known)
		mac = m->seen;
	else if (takeover && !n->def.lock_mac)
		mac = NULL; /* it may use another: its stream must not be searched for this one */
	m->link = link_open(&(struct link_params){
		.loop = n->broker->loop,
		.sw = n->sw,
		.fd = fd,
		.kind = m->kind,
		.owner = m,
		.mac = mac,
		.lock_mac = n->def.lock_mac && mac,
		.resync = takeover,
		.vfkt = m->kind == LINK_DGRAM,
		.unconnected = unconnected,
		.admit = member_admits,
		.mtu = n->def.mtu,
		.rate_bps = m->rate_bps,
		.burst = m->burst,
		.closed = member_on_closed,
		.ctx = m,
	});
	if (!m->link)
		return fault_system(f, "cannot plug %s into network %s: %s", m->name, n->def.name,
				    strerror(errno));
	m->joins++;
	if (!m->up)
		link_set_up(m->link, false);
	log_line("network %s: %s is plugged in", n->def.name, m->name);
	return true;
}

static void member_add_stats(struct sw_stats *to, const struct sw_stats *from)
{
	to->rx_frames += from->rx_frames;
	to->rx_bytes += from->rx_bytes;
	to->tx_frames += from->tx_frames;
	to->tx_bytes += from->tx_bytes;
	to->rx_bad += from->rx_bad;
	to->rx_spoofed += from->rx_spoofed;
	to->rx_capped += from->rx_capped;
	to->rx_isolated += from->rx_isolated;
	to->tx_dropped += from->tx_dropped;
}

void member_unplug(struct member *m)
{
	struct link_stats stats;

	if (!m->link)
		return;
	member_look(m);
	link_stats(m->link, &stats);
	member_add_stats(&m->past, &stats.port);
	link_close(m->link);
	m->link = NULL;
}

void member_remove(struct member *m)
{
	struct network *n = m->network;

	member_unplug(m);
	for (struct member **at = &n->members; *at; at = &(*at)->next)
		if (*at == m) {
			*at = m->next;
			n->nmembers--;
			break;
		}
	log_line("network %s: %s has left", n->def.name, m->name);
	gateway_member_gone(n->gateway, m->name);
	free(m);
	network_left(n);
}

/* ---- what can be set and seen ---- */

void member_set_link(struct member *m, bool up)
{
	m->up = up;
	if (m->link)
		link_set_up(m->link, up);
	member_keep(m);
}

void member_set_rate(struct member *m, uint64_t rate_bps, uint32_t burst)
{
	m->rate_bps = rate_bps;
	m->burst = burst;
	if (m->link)
		link_set_rate(m->link, rate_bps, burst);
	member_keep(m);
}

bool member_mac(const struct member *m, uint8_t mac[6])
{
	if (m->link && sw_port_mac(link_port(m->link), mac))
		return true;
	if (m->mac_known)
		memcpy(mac, m->mac, 6);
	else if (m->seen_known)
		memcpy(mac, m->seen, 6);
	return m->mac_known || m->seen_known;
}

void member_stats(const struct member *m, struct link_stats *out)
{
	memset(out, 0, sizeof(*out));
	if (m->link)
		link_stats(m->link, out);
	member_add_stats(&out->port, &m->past);
}
