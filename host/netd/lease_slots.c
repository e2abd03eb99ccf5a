/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/netd/lease_table.h"

#include <stdlib.h>
#include <strings.h>
#include <sys/random.h>

/* ---- hashes ---- */

uint32_t lease_hash(const struct lease_table *t, const void *data, size_t len, bool fold)
{
	const uint8_t *at = data;
	uint64_t h = t->seed;

	for (size_t i = 0; i < len; i++) {
		uint8_t b = at[i];

		if (fold && b >= 'A' && b <= 'Z')
			b |= 0x20;
		h = (h ^ b) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 29;
	}
	return (uint32_t)(h >> 32) & (t->buckets - 1);
}

uint32_t *lease_id_head(struct lease_table *t, const uint8_t *id, size_t len)
{
	return &t->by_id[lease_hash(t, id, len, false)];
}

uint32_t *lease_mac_head(struct lease_table *t, const uint8_t mac[6])
{
	return &t->by_mac[lease_hash(t, mac, 6, false)];
}

static uint32_t *lease_name_head(struct lease_table *t, const char *name)
{
	return &t->by_name[lease_hash(t, name, strlen(name), true)];
}

/* ---- lists ---- */

static uint32_t lease_index(const struct lease_table *t, const struct lease_slot *s)
{
	return (uint32_t)(s - t->slots);
}

static void lease_unlist(struct lease_table *t, struct lease_slot *s)
{
	if (s->prev != LEASE_NONE)
		t->slots[s->prev].next = s->next;
	else
		t->lists[s->list].head = s->next;
	if (s->next != LEASE_NONE)
		t->slots[s->next].prev = s->prev;
	else
		t->lists[s->list].tail = s->prev;
}

static void lease_append(struct lease_table *t, struct lease_slot *s, enum lease_list list)
{
	uint32_t i = lease_index(t, s), tail = t->lists[list].tail;

	s->list = list;
	s->prev = tail;
	s->next = LEASE_NONE;
	if (tail != LEASE_NONE)
		t->slots[tail].next = i;
	else
		t->lists[list].head = i;
	t->lists[list].tail = i;
}

void lease_move(struct lease_table *t, struct lease_slot *s, enum lease_list list,
		uint64_t deadline)
{
	static const enum lease_state states[LEASES_N] = {
		[LEASES_FRESH] = LEASE_FREE,	  [LEASES_PAST] = LEASE_FREE,
		[LEASES_OFFERED] = LEASE_OFFERED, [LEASES_BOUND] = LEASE_BOUND,
		[LEASES_PARKED] = LEASE_DECLINED, [LEASES_OUT] = LEASE_FREE,
	};

	lease_unlist(t, s);
	lease_append(t, s, list);
	s->deadline = deadline;
	s->l.state = states[list];
}

/* ---- owners ---- */

uint32_t lease_owner_find(struct lease_table *t, const char *name)
{
	uint32_t i = t->by_owner[lease_hash(t, name, strlen(name), true)];

	while (i != LEASE_NONE && strcmp(t->owners[i].name, name) != 0)
		i = t->owners[i].next;
	return i;
}

void lease_owner_drop(struct lease_table *t, uint32_t i)
{
	struct lease_owner *o = &t->owners[i];
	uint32_t *at = &t->by_owner[lease_hash(t, o->name, strlen(o->name), true)];

	if (o->live || o->count || o->seen)
		return;
	while (*at != i)
		at = &t->owners[*at].next;
	*at = o->next;
	o->used = false;
	o->next = t->owners_free;
	t->owners_free = i;
}

/* There are more owners than can have something to their name, so this always finds one. */
static void lease_owner_evict(struct lease_table *t)
{
	for (uint32_t n = 0; n < t->nowners && t->owners_free == LEASE_NONE; n++) {
		struct lease_owner *o = &t->owners[t->owners_hand];

		if (o->used && !o->count && !o->seen) {
			o->live = false;
			lease_owner_drop(t, t->owners_hand);
		}
		t->owners_hand = (t->owners_hand + 1) % t->nowners;
	}
}

uint32_t lease_owner(struct lease_table *t, const char *name, bool live)
{
	uint32_t i = lease_owner_find(t, name), *head;
	struct lease_owner *o;

	if (i == LEASE_NONE) {
		if (t->owners_free == LEASE_NONE)
			lease_owner_evict(t);
		i = t->owners_free;
		o = &t->owners[i];
		t->owners_free = o->next;
		*o = (struct lease_owner){.used = true, .head = LEASE_NONE, .tail = LEASE_NONE};
		memcpy(o->name, name, strnlen(name, NETDEF_NAME_MAX));
		head = &t->by_owner[lease_hash(t, o->name, strlen(o->name), true)];
		o->next = *head;
		*head = i;
	}
	o = &t->owners[i];
	if (live)
		o->gone = false;
	if (live && !o->live) {
		o->live = true;
		o->epoch++;
	}
	return i;
}

void lease_disown(struct lease_table *t, struct lease_slot *s)
{
	struct lease_owner *o;

	if (s->owner == LEASE_NONE)
		return;
	o = &t->owners[s->owner];
	if (s->own_prev != LEASE_NONE)
		t->slots[s->own_prev].own_next = s->own_next;
	else
		o->head = s->own_next;
	if (s->own_next != LEASE_NONE)
		t->slots[s->own_next].own_prev = s->own_prev;
	else
		o->tail = s->own_prev;
	o->count--;
	lease_owner_drop(t, s->owner);
	s->owner = LEASE_NONE;
	s->l.member[0] = 0;
}

void lease_own(struct lease_table *t, struct lease_slot *s, uint32_t owner)
{
	struct lease_owner *o = &t->owners[owner];
	uint32_t i = lease_index(t, s);

	if (s->owner == owner)
		return;
	o->count++; /* first, so that it is not dropped meanwhile */
	lease_disown(t, s);
	s->owner = owner;
	s->own_prev = o->tail;
	s->own_next = LEASE_NONE;
	if (o->tail != LEASE_NONE)
		t->slots[o->tail].own_next = i;
	else
		o->head = i;
	o->tail = i;
	memcpy(s->l.member, o->name, sizeof(s->l.member));
}

/* ---- clients ---- */

static void lease_unchain(struct lease_table *t, uint32_t *at, size_t field, uint32_t i)
{
	while (*at != i)
		at = (uint32_t *)(void *)((char *)&t->slots[*at] + field);
	*at = *(uint32_t *)(void *)((char *)&t->slots[i] + field);
}

void lease_unname(struct lease_table *t, struct lease_slot *s)
{
	if (s->in_names)
		lease_unchain(t, lease_name_head(t, s->l.hostname),
			      offsetof(struct lease_slot, name_next), lease_index(t, s));
	s->in_names = false;
}

void lease_forget(struct lease_table *t, struct lease_slot *s)
{
	uint32_t i = lease_index(t, s);

	lease_unname(t, s);
	if (s->known) {
		lease_unchain(t, lease_mac_head(t, s->l.mac), offsetof(struct lease_slot, mac_next),
			      i);
		if (s->l.client_id_len)
			lease_unchain(t, lease_id_head(t, s->l.client_id, s->l.client_id_len),
				      offsetof(struct lease_slot, id_next), i);
	}
	s->known = s->was_past = false;
	memset(s->l.mac, 0, sizeof(s->l.mac));
	s->l.client_id_len = 0;
	s->l.hostname[0] = 0;
	s->l.expires = 0;
}

void lease_know(struct lease_table *t, struct lease_slot *s, const struct lease_client *c)
{
	uint32_t i = lease_index(t, s), *head;

	memcpy(s->l.mac, c->mac, sizeof(s->l.mac));
	head = lease_mac_head(t, c->mac);
	s->mac_next = *head;
	*head = i;
	s->l.client_id_len = c->id_len;
	if (c->id_len) {
		memcpy(s->l.client_id, c->id, c->id_len);
		head = lease_id_head(t, c->id, c->id_len);
		s->id_next = *head;
		*head = i;
	}
	s->known = true;
}

struct lease_slot *lease_slot(struct lease_table *t, uint32_t address)
{
	uint32_t lo = t->range, hi = t->n;

	if (t->range && address >= t->def->dhcp_start && address - t->def->dhcp_start < t->range)
		return &t->slots[address - t->def->dhcp_start];
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (t->slots[mid].l.address == address)
			return &t->slots[mid];
		if (t->slots[mid].l.address < address)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

void lease_unseen(struct lease_table *t, struct lease_slot *s)
{
	if (s->seen_owner == LEASE_NONE)
		return;
	t->owners[s->seen_owner].seen--;
	lease_owner_drop(t, s->seen_owner);
	s->seen_owner = LEASE_NONE;
}

struct lease_slot *lease_name_holder(struct lease_table *t, const char *name)
{
	for (uint32_t i = *lease_name_head(t, name); i != LEASE_NONE; i = t->slots[i].name_next)
		if (!strcasecmp(t->slots[i].l.hostname, name))
			return &t->slots[i];
	return NULL;
}

void lease_name(struct lease_table *t, struct lease_slot *s)
{
	uint32_t *head;

	if (!s->l.hostname[0] || s->in_names)
		return;
	if (lease_name_holder(t, s->l.hostname)) {
		s->l.hostname[0] = 0;
		return;
	}
	head = lease_name_head(t, s->l.hostname);
	s->name_next = *head;
	*head = lease_index(t, s);
	s->in_names = true;
}

/* ---- making one ---- */

static int lease_compare(const void *a, const void *b)
{
	const struct lease_slot *x = a, *y = b;

	return (x->l.address > y->l.address) - (x->l.address < y->l.address);
}

static bool lease_in_range(const struct lease_table *t, uint32_t address)
{
	return t->range && address >= t->def->dhcp_start && address - t->def->dhcp_start < t->range;
}

static void lease_slots(struct lease_table *t)
{
	const struct netdef *d = t->def;
	uint32_t n = t->range;

	for (uint32_t i = 0; i < t->range; i++)
		t->slots[i].l.address = d->dhcp_start + i;
	for (unsigned i = 0; d->dhcp && i < d->nreserve; i++)
		if (!lease_in_range(t, d->reserve[i].address))
			t->slots[n++].l.address = d->reserve[i].address;
	qsort(t->slots + t->range, n - t->range, sizeof(*t->slots), lease_compare);
	/* The same address twice would be two slots. */
	t->n = t->range;
	for (uint32_t i = t->range; i < n; i++)
		if (t->n == t->range || t->slots[t->n - 1].l.address != t->slots[i].l.address)
			t->slots[t->n++].l.address = t->slots[i].l.address;

	for (uint32_t i = 0; i < t->n; i++) {
		struct lease_slot *s = &t->slots[i];

		s->owner = s->seen_owner = s->reserve = LEASE_NONE;
		s->blocked = s->l.address == d->gateway || s->l.address == d->subnet ||
			     s->l.address == (d->subnet | ~d->netmask);
	}
	for (unsigned i = 0; d->dhcp && i < d->nreserve; i++) {
		struct lease_slot *s = lease_slot(t, d->reserve[i].address);

		if (s && s->reserve == LEASE_NONE) {
			s->reserve = i;
			s->l.reserved = true;
		}
	}
	/* Reserved ones last: whoever looks for a fresh one passes over them. */
	for (int last = 0; last < 2; last++)
		for (uint32_t i = 0; i < t->n; i++) {
			struct lease_slot *s = &t->slots[i];

			if ((s->reserve != LEASE_NONE) == (last == 1))
				lease_append(t, s, s->blocked ? LEASES_OUT : LEASES_FRESH);
		}
}

static bool lease_arrays(struct lease_table *t, uint32_t slots)
{
	uint32_t *all;

	t->buckets = 16;
	while (t->buckets < slots)
		t->buckets *= 2;
	t->nowners = 2 * slots + SW_PORTS_MAX + 1;
	t->slots = calloc(slots ? slots : 1, sizeof(*t->slots));
	t->owners = calloc(t->nowners, sizeof(*t->owners));
	all = malloc(4u * t->buckets * sizeof(*all));
	t->by_id = all;
	if (!t->slots || !t->owners || !all)
		return false;
	memset(all, 0xff, 4u * t->buckets * sizeof(*all));
	t->by_mac = all + t->buckets;
	t->by_name = t->by_mac + t->buckets;
	t->by_owner = t->by_name + t->buckets;
	t->owners_free = 0;
	for (uint32_t i = 0; i < t->nowners; i++)
		t->owners[i].next = i + 1 < t->nowners ? i + 1 : LEASE_NONE;
	return true;
}

struct lease_table *lease_create(const struct netdef *def, struct state *state, uint64_t ms,
				 int64_t wall)
{
	struct lease_table *t = calloc(1, sizeof(*t));
	uint32_t pool;

	if (!t)
		return NULL;
	t->def = def;
	t->state = state;
	t->ms = ms;
	t->wall = wall;
	t->skew = wall - (int64_t)(ms / 1000u);
	if (getrandom(&t->seed, sizeof(t->seed), GRND_NONBLOCK) != sizeof(t->seed))
		t->seed = (uint64_t)wall ^ (uintptr_t)t;
	for (unsigned i = 0; i < LEASES_N; i++)
		t->lists[i].head = t->lists[i].tail = LEASE_NONE;
	if (def->dhcp && def->dhcp_end >= def->dhcp_start) {
		t->range = def->dhcp_end - def->dhcp_start;
		t->range = t->range < LEASE_POOL_MAX ? t->range + 1 : LEASE_POOL_MAX;
	}
	pool = t->range;
	t->share = pool / 16 > LEASE_SHARE_MIN ? pool / 16 : LEASE_SHARE_MIN;
	if (t->share > pool / 2)
		t->share = pool > 1 ? pool / 2 : 1;
	if (!lease_arrays(t, t->range + def->nreserve)) {
		lease_destroy(t);
		return NULL;
	}
	lease_slots(t);
	lease_load(t);
	return t;
}

void lease_destroy(struct lease_table *t)
{
	if (!t)
		return;
	free(t->slots);
	free(t->owners);
	free(t->by_id);
	free(t);
}

bool lease_restore(struct lease_table *t, const struct lease *l)
{
	const struct lease_client c = {
		.id = l->client_id,
		.id_len = l->client_id_len,
		.member = l->member,
		.mac = {l->mac[0], l->mac[1], l->mac[2], l->mac[3], l->mac[4], l->mac[5]},
	};
	struct lease_slot *s = lease_slot(t, l->address);
	int64_t left = l->expires > t->wall ? l->expires - t->wall : 0;
	uint32_t owner;

	if (!s || s->known || s->blocked || mac_zero(l->mac) || mac_multicast(l->mac))
		return false;
	if (s->reserve != LEASE_NONE) {
		const struct netdef_reserve *r = &t->def->reserve[s->reserve];

		if (r->by_mac ? memcmp(r->mac, l->mac, 6) : strcmp(r->name, l->member))
			return false;
	}
	if (left > t->def->lease_s) /* the clock was set back, or leases are shorter now */
		left = t->def->lease_s;
	owner = lease_owner(t, l->member, false);
	lease_own(t, s, owner);
	lease_know(t, s, &c);
	memcpy(s->l.hostname, l->hostname, sizeof(s->l.hostname));
	s->l.expires = left ? t->wall + left : l->expires;
	lease_move(t, s, left ? LEASES_BOUND : LEASES_PAST, t->ms + (uint64_t)left * 1000u);
	if (left)
		lease_name(t, s);
	return true;
}
