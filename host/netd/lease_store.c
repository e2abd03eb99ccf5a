/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Leases in the state file: "lease/NETWORK/ADDRESS" with mac, id (hex), hostname, member, expires.
 * One that is over stays there until its address is somebody else's: so that its client gets it
 * back. What does not fit the definition (any more) is removed.
 */
#include "host/netd/lease_table.h"

#include <stdio.h>
#include <stdlib.h>

static void lease_key(const struct lease_table *t, uint32_t address, char key[STATE_KEY_MAX])
{
	char text[16];

	netdef_format_addr4(address, text);
	(void)snprintf(key, STATE_KEY_MAX, "lease/%s/%s", t->def->name, text);
}

void lease_store(struct lease_table *t, const struct lease_slot *s)
{
	char key[STATE_KEY_MAX], mac[18], id[2 * sizeof(s->l.client_id) + 1] = "";
	json_t *value;

	if (!t->state)
		return;
	lease_key(t, s->l.address, key);
	netdef_format_mac(s->l.mac, mac);
	for (unsigned i = 0; i < s->l.client_id_len; i++)
		(void)snprintf(id + 2 * (size_t)i, 3, "%02x", s->l.client_id[i]);
	value = json_pack("{s:s, s:s, s:s, s:s, s:I}", "mac", mac, "id", id, "hostname",
			  s->l.hostname, "member", s->l.member, "expires",
			  (json_int_t)s->l.expires);
	if (value)
		state_put(t->state, key, value);
	json_decref(value);
}

void lease_unstore(struct lease_table *t, const struct lease_slot *s)
{
	char key[STATE_KEY_MAX];

	if (!t->state)
		return;
	lease_key(t, s->l.address, key);
	state_put(t->state, key, NULL);
}

bool lease_clean_name(struct span name, char out[64])
{
	static const char *const taken[] = {"gateway", "host", "localhost", "wpad", "isatap"};
	size_t n = 0;

	/* Whole names are given too: the first label counts. */
	while (n < name.len && n < 64 && name.data[n] != '.' && name.data[n] != 0)
		n++;
	if (n == 0 || n > 63)
		return false;
	memset(out, 0, 64);
	for (size_t i = 0; i < n; i++) {
		uint8_t b = name.data[i];
		bool edge = i == 0 || i == n - 1;

		if (b >= 'A' && b <= 'Z')
			b |= 0x20;
		if (!((b >= 'a' && b <= 'z') || (b >= '0' && b <= '9') || (b == '-' && !edge)))
			return false;
		out[i] = (char)b;
	}
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		if (!strcmp(out, taken[i]))
			return false;
	return true;
}

/* ---- reading ---- */

static int lease_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool lease_read_id(const char *text, struct lease *l)
{
	size_t n = strlen(text);

	if (n % 2 || n / 2 > sizeof(l->client_id))
		return false;
	for (size_t i = 0; i < n; i += 2) {
		int hi = lease_hex(text[i]), lo = lease_hex(text[i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		l->client_id[i / 2] = (uint8_t)(hi << 4 | lo);
	}
	l->client_id_len = (uint8_t)(n / 2);
	return true;
}

static bool lease_read(const char *address, json_t *value, struct lease *l)
{
	const char *mac, *id, *hostname, *member;
	json_int_t expires;
	char text[16];

	*l = (struct lease){.state = LEASE_FREE};
	if (!netdef_parse_addr4(address, &l->address))
		return false;
	netdef_format_addr4(l->address, text);
	if (strcmp(text, address) != 0 || /* one address, one record */
	    json_unpack(value, "{s:s, s:s, s:s, s:s, s:I}", "mac", &mac, "id", &id, "hostname",
			&hostname, "member", &member, "expires", &expires) ||
	    !netdef_parse_mac(mac, l->mac) || !lease_read_id(id, l) || expires < 0 ||
	    strlen(member) >= sizeof(l->member) || (member[0] && !netdef_name_valid(member)))
		return false;
	if (hostname[0] && !lease_clean_name(span_of(hostname, strlen(hostname)), l->hostname))
		return false;
	memcpy(l->member, member, strlen(member) + 1);
	l->expires = expires;
	return true;
}

struct lease_loading {
	struct lease_table *t;
	size_t prefix;
	struct lease *leases;
	uint32_t n, max;
	json_t *bad; /* keys to be removed: nothing may be put while the file is read */
};

static void lease_load_one(void *arg, const char *key, json_t *value)
{
	struct lease_loading *x = arg;

	if (x->n < x->max && lease_read(key + x->prefix, value, &x->leases[x->n]) &&
	    lease_slot(x->t, x->leases[x->n].address))
		x->n++;
	else
		(void)json_array_append_new(x->bad, json_string(key));
}

static int lease_by_end(const void *a, const void *b)
{
	const struct lease *x = a, *y = b;

	return (x->expires > y->expires) - (x->expires < y->expires);
}

void lease_load(struct lease_table *t)
{
	struct lease_loading x = {.t = t, .max = t->n + 1};
	char prefix[STATE_KEY_MAX], key[STATE_KEY_MAX];
	json_t *bad;
	size_t i;

	if (!t->state)
		return;
	x.leases = calloc(x.max, sizeof(*x.leases));
	x.bad = json_array();
	if (x.leases && x.bad) {
		x.prefix = (size_t)snprintf(prefix, sizeof(prefix), "lease/%s/", t->def->name);
		state_each(t->state, prefix, lease_load_one, &x);
	}
	json_array_foreach(x.bad, i, bad) state_put(t->state, json_string_value(bad), NULL);
	json_decref(x.bad);

	/* Lists are in the order of deadlines. */
	if (x.leases)
		qsort(x.leases, x.n, sizeof(*x.leases), lease_by_end);
	for (i = 0; i < x.n; i++)
		if (!lease_restore(t, &x.leases[i])) {
			lease_key(t, x.leases[i].address, key);
			state_put(t->state, key, NULL);
		}
	free(x.leases);
}
