/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/netd/lease_table.h"

#include <strings.h>

#define STEP_S	   30 /* a clock that is off by more has been set */
#define SWEEP_STEP 16u
#define LEFT_LOOK  1024u /* leases looked at for one whose member has left */

/* ---- who is who ---- */

/* An identifier that only repeats the hardware address is none; one that is too long is cut. */
static struct lease_client lease_normal(const struct lease_client *c)
{
	struct lease_client n = *c;

	if (n.id_len > sizeof(((struct lease *)0)->client_id))
		n.id_len = sizeof(((struct lease *)0)->client_id);
	if (n.id_len == 7 && n.id[0] == 1 && !memcmp(n.id + 1, n.mac, 6))
		n.id_len = 0;
	if (!n.member)
		n.member = "";
	return n;
}

/* 0: another client; more: the better it fits. */
static int lease_fits(const struct lease_table *t, const struct lease_slot *s,
		      const struct lease_client *c, uint32_t owner)
{
	bool same_mac = !memcmp(s->l.mac, c->mac, 6);
	bool same_id = s->l.client_id_len == c->id_len &&
		       (!c->id_len || !memcmp(s->l.client_id, c->id, c->id_len));
	bool exact = c->id_len ? same_id : same_mac && same_id;
	int fit = 1;

	/* One that had no identifier and now has, or the other way round: firmware, then a system.
	 */
	if (!s->known || (!exact && (!same_mac || (c->id_len && s->l.client_id_len))))
		return 0;
	if (s->owner != owner && s->owner != LEASE_NONE && t->owners[s->owner].live)
		return 0;
	if (s->owner == owner)
		fit += 8;
	if (exact)
		fit += 4;
	if (s->list == LEASES_BOUND)
		fit += 2;
	return fit;
}

static struct lease_slot *lease_find(struct lease_table *t, const struct lease_client *c,
				     uint32_t owner)
{
	struct lease_slot *best = NULL;
	int fit = 0, f;

	if (c->id_len)
		for (uint32_t i = *lease_id_head(t, c->id, c->id_len); i != LEASE_NONE;
		     i = t->slots[i].id_next)
			if ((f = lease_fits(t, &t->slots[i], c, owner)) > fit) {
				fit = f;
				best = &t->slots[i];
			}
	for (uint32_t i = *lease_mac_head(t, c->mac); i != LEASE_NONE; i = t->slots[i].mac_next)
		if ((f = lease_fits(t, &t->slots[i], c, owner)) > fit) {
			fit = f;
			best = &t->slots[i];
		}
	return best;
}

/* ---- what may be given ---- */

/* Somebody else uses it. */
static bool lease_conflict(struct lease_table *t, struct lease_slot *s, const uint8_t mac[6])
{
	if (s->seen_owner == LEASE_NONE)
		return false;
	if (t->ms - s->seen_ms >= LEASE_SEEN_MS) {
		lease_unseen(t, s);
		return false;
	}
	return memcmp(s->seen_mac, mac, 6) != 0;
}

/* The slot reserved for a client; NULL: none, or it cannot have it now. */
static struct lease_slot *lease_reserved(struct lease_table *t, const struct lease_client *c,
					 uint32_t owner)
{
	const struct netdef_reserve *found = NULL;
	struct lease_slot *s;

	for (unsigned i = 0; i < t->def->nreserve; i++) {
		const struct netdef_reserve *r = &t->def->reserve[i];

		if (r->by_mac && !memcmp(r->mac, c->mac, 6)) {
			found = r;
			break;
		}
		if (!r->by_mac && !found && c->member[0] && !strcmp(r->name, c->member))
			found = r;
	}
	s = found ? lease_slot(t, found->address) : NULL;
	if (!s || s->blocked || s->list == LEASES_PARKED)
		return NULL;
	if (s->list != LEASES_BOUND && s->list != LEASES_OFFERED)
		return s;
	/* Its holder may be this very client, or one of the member's former lives. */
	if (s->owner == owner && (!memcmp(s->l.mac, c->mac, 6) ||
				  (!found->by_mac && s->epoch != t->owners[owner].epoch)))
		return s;
	if (s->owner != owner && !t->owners[s->owner].live)
		return s;
	return NULL;
}

static void lease_to_fresh(struct lease_table *t, struct lease_slot *s)
{
	lease_forget(t, s);
	lease_disown(t, s);
	lease_move(t, s, LEASES_FRESH, 0);
}

static void lease_lapse(struct lease_table *t, struct lease_slot *s)
{
	if (!s->was_past) {
		lease_to_fresh(t, s);
		return;
	}
	s->was_past = false;
	lease_move(t, s, LEASES_PAST, 0);
}

/* The first of a list that nobody is seen to use; those that are go to be parked. */
static struct lease_slot *lease_first(struct lease_table *t, enum lease_list list,
				      const struct lease_client *c)
{
	for (uint32_t i = t->lists[list].head, next; i != LEASE_NONE; i = next) {
		struct lease_slot *s = &t->slots[i];

		next = s->next;
		if (s->reserve != LEASE_NONE)
			continue;
		if (!lease_conflict(t, s, c->mac))
			return s;
		if (s->known)
			lease_unstore(t, s);
		lease_forget(t, s);
		lease_disown(t, s);
		lease_move(t, s, LEASES_PARKED, t->ms + LEASE_PARK_MS);
	}
	return NULL;
}

/* What a member at its share let go itself, longest ago. */
static struct lease_slot *lease_recycle(struct lease_table *t, uint32_t owner,
					const struct lease_client *c)
{
	struct lease_slot *oldest = NULL;

	for (uint32_t i = t->owners[owner].head; i != LEASE_NONE; i = t->slots[i].own_next) {
		struct lease_slot *s = &t->slots[i];

		if (s->list == LEASES_PAST && s->reserve == LEASE_NONE &&
		    (!oldest || s->l.expires < oldest->l.expires) && !lease_conflict(t, s, c->mac))
			oldest = s;
	}
	return oldest;
}

/* The lease of a member that has left, renewed longest ago: taken when there is nothing else. */
static struct lease_slot *lease_left_behind(struct lease_table *t, const struct lease_client *c)
{
	uint32_t i = t->lists[LEASES_BOUND].head;

	for (unsigned n = 0; i != LEASE_NONE && n < LEFT_LOOK; i = t->slots[i].next, n++) {
		struct lease_slot *s = &t->slots[i];

		if (s->reserve != LEASE_NONE || s->owner == LEASE_NONE ||
		    !t->owners[s->owner].gone || lease_conflict(t, s, c->mac))
			continue;
		lease_unstore(t, s);
		lease_to_fresh(t, s);
		t->changed = true;
		return s;
	}
	return NULL;
}

static struct lease_slot *lease_new(struct lease_table *t, const struct lease_client *c,
				    uint32_t owner, uint32_t wish)
{
	struct lease_slot *s = wish ? lease_slot(t, wish) : NULL;

	if (t->owners[owner].count >= t->share)
		return lease_recycle(t, owner, c);
	if (s && s->list == LEASES_FRESH && !s->blocked && s->reserve == LEASE_NONE &&
	    !lease_conflict(t, s, c->mac))
		return s;
	s = lease_first(t, LEASES_FRESH, c);
	if (!s)
		s = lease_first(t, LEASES_PAST, c);
	return s ? s : lease_left_behind(t, c);
}

/* Makes a slot this client's, whoever had it. */
static void lease_take(struct lease_table *t, struct lease_slot *s, const struct lease_client *c,
		       uint32_t owner)
{
	char name[sizeof(s->l.hostname)] = "";
	int64_t expires = s->l.expires;
	bool same = s->known && lease_fits(t, s, c, owner), was_past = s->was_past;

	if (same)
		memcpy(name, s->l.hostname, sizeof(name));
	else if (s->known)
		lease_unstore(t, s);
	lease_own(t, s, owner);
	lease_forget(t, s);
	lease_know(t, s, c);
	if (same) {
		memcpy(s->l.hostname, name, sizeof(name));
		s->l.expires = expires;
		s->was_past = was_past;
	}
}

uint32_t lease_offer(struct lease_table *t, const struct lease_client *client, uint32_t wish)
{
	struct lease_client c = lease_normal(client);
	uint32_t owner = lease_owner(t, c.member, true);
	struct lease_slot *s = lease_find(t, &c, owner), *r = lease_reserved(t, &c, owner);
	bool past;

	if (r)
		s = r; /* what it had until now, it gives back when it has taken this */
	if (s && s->list == LEASES_BOUND && s->owner == owner && lease_fits(t, s, &c, owner))
		return s->l.address;
	if (s && s != r && s->list == LEASES_PAST && lease_conflict(t, s, c.mac))
		s = NULL;
	if (s && s != r && s->owner != owner && t->owners[owner].count >= t->share)
		s = NULL;
	if (!s)
		s = lease_new(t, &c, owner, wish);
	if (!s)
		return 0;
	past = s->list == LEASES_PAST || s->list == LEASES_BOUND || s->was_past;
	past = past && lease_fits(t, s, &c, owner);
	if (s->list == LEASES_BOUND)
		t->changed = true;
	lease_take(t, s, &c, owner);
	s->was_past = past;
	lease_move(t, s, LEASES_OFFERED, t->ms + LEASE_OFFER_MS);
	return s->l.address;
}

/* May this client have this slot, which it does not hold? */
static bool lease_may_take(struct lease_table *t, struct lease_slot *s,
			   const struct lease_client *c, uint32_t owner)
{
	if (s->list != LEASES_FRESH || s->blocked || s->reserve != LEASE_NONE)
		return false;
	return t->owners[owner].count < t->share && !lease_conflict(t, s, c->mac);
}

bool lease_bind(struct lease_table *t, const struct lease_client *client, uint32_t address,
		bool fresh_start)
{
	struct lease_client c = lease_normal(client);
	uint32_t owner = lease_owner(t, c.member, true);
	struct lease_slot *s = lease_slot(t, address), *r = lease_reserved(t, &c, owner);
	struct lease_slot *has = lease_find(t, &c, owner);
	bool was;

	if (!s || s->list == LEASES_PARKED || s->blocked || (fresh_start && r && r != s))
		return false;
	if (s != r) {
		bool its = lease_fits(t, s, &c, owner) > 0;

		if (s->reserve != LEASE_NONE || (has && has != s && !its) ||
		    (s->list == LEASES_PAST && lease_conflict(t, s, c.mac)))
			return false;
		if (its ? s->owner != owner && t->owners[owner].count >= t->share
			: !lease_may_take(t, s, &c, owner))
			return false;
	}
	was = s->list == LEASES_BOUND && s->owner == owner && lease_fits(t, s, &c, owner);
	lease_take(t, s, &c, owner);
	lease_move(t, s, LEASES_BOUND, t->ms + (uint64_t)t->def->lease_s * 1000u);
	s->was_past = false;
	s->epoch = t->owners[owner].epoch;
	s->l.expires = t->wall + t->def->lease_s;
	lease_name(t, s);
	lease_store(t, s);
	t->changed |= !was;
	if (has && has != s) {
		lease_unstore(t, has);
		lease_to_fresh(t, has);
	}
	return true;
}

/* The slot, if it is this client's own. */
static struct lease_slot *lease_held(struct lease_table *t, const struct lease_client *c,
				     uint32_t address)
{
	uint32_t owner = lease_owner(t, c->member, true);
	struct lease_slot *s = lease_slot(t, address);

	if (!s || (s->list != LEASES_BOUND && s->list != LEASES_OFFERED) || s->owner != owner ||
	    !lease_fits(t, s, c, owner))
		return NULL;
	return s;
}

bool lease_decline(struct lease_table *t, const struct lease_client *client, uint32_t address)
{
	struct lease_client c = lease_normal(client);
	struct lease_slot *s = lease_held(t, &c, address);

	if (!s)
		return false;
	lease_unstore(t, s);
	lease_forget(t, s);
	lease_move(t, s, LEASES_PARKED, t->ms + LEASE_PARK_MS);
	t->changed = true;
	return true;
}

static void lease_to_past(struct lease_table *t, struct lease_slot *s)
{
	lease_unname(t, s);
	s->was_past = false;
	lease_move(t, s, LEASES_PAST, 0);
	t->changed = true;
}

bool lease_release(struct lease_table *t, const struct lease_client *client, uint32_t address)
{
	struct lease_client c = lease_normal(client);
	struct lease_slot *s = lease_held(t, &c, address);

	if (!s)
		return false;
	if (s->list == LEASES_OFFERED) {
		lease_lapse(t, s);
		return true;
	}
	s->l.expires = t->wall;
	lease_to_past(t, s);
	lease_store(t, s);
	return true;
}

void lease_withdraw(struct lease_table *t, const struct lease_client *client)
{
	struct lease_client c = lease_normal(client);
	struct lease_slot *s = lease_find(t, &c, lease_owner(t, c.member, true));

	if (s && s->list == LEASES_OFFERED)
		lease_lapse(t, s);
}

/* Another member that is here is called so. */
static bool lease_name_of_member(struct lease_table *t, const char *name, uint32_t owner)
{
	for (uint32_t i = t->by_owner[lease_hash(t, name, strlen(name), true)]; i != LEASE_NONE;
	     i = t->owners[i].next)
		if (i != owner && t->owners[i].live && !strcasecmp(t->owners[i].name, name))
			return true;
	return false;
}

const char *lease_set_name(struct lease_table *t, uint32_t address, struct span name)
{
	struct lease_slot *s = lease_slot(t, address);
	const struct lease_slot *holder;
	char clean[sizeof(s->l.hostname)];

	if (!s || s->list != LEASES_BOUND)
		return "";
	if (!lease_clean_name(name, clean) || !strcmp(clean, s->l.hostname))
		return s->l.hostname;
	holder = lease_name_holder(t, clean);
	if ((holder && holder != s) || lease_name_of_member(t, clean, s->owner))
		return s->l.hostname;
	lease_unname(t, s);
	memcpy(s->l.hostname, clean, sizeof(clean));
	lease_name(t, s);
	lease_store(t, s);
	t->changed = true;
	return s->l.hostname;
}

void lease_seen(struct lease_table *t, const char *member, const uint8_t mac[6], uint32_t address)
{
	struct lease_slot *s = lease_slot(t, address);
	uint32_t owner = lease_owner(t, member ? member : "", true);
	struct lease_owner *o = &t->owners[owner];

	if (o->name[0] && o->address != address) {
		o->address = address;
		t->changed = true;
	}
	if (!s)
		return;
	if ((s->list == LEASES_BOUND || s->list == LEASES_OFFERED) &&
	    !memcmp(s->l.mac, mac, sizeof(s->l.mac)))
		return;
	/* Whoever is first has it, until it has been silent for long. */
	if (lease_conflict(t, s, mac) || (s->seen_owner == LEASE_NONE && o->seen >= t->share))
		return;
	if (s->seen_owner != owner) {
		if (o->seen >= t->share)
			return;
		o->seen++;
		lease_unseen(t, s);
		s->seen_owner = owner;
	}
	memcpy(s->seen_mac, mac, sizeof(s->seen_mac));
	s->seen_ms = t->ms;
}

void lease_member_gone(struct lease_table *t, const char *member)
{
	uint32_t i = lease_owner_find(t, member);

	if (i == LEASE_NONE)
		return;
	t->owners[i].live = false;
	t->owners[i].gone = true;
	t->owners[i].address = 0;
	lease_owner_drop(t, i);
}

/* ---- time ---- */

/* The clock was set: what the file says of the end of each lease is put right. */
static void lease_restamp(struct lease_table *t)
{
	for (uint32_t i = t->lists[LEASES_BOUND].head; i != LEASE_NONE; i = t->slots[i].next) {
		struct lease_slot *s = &t->slots[i];

		s->l.expires = t->wall + (int64_t)((s->deadline - t->ms) / 1000u);
		lease_store(t, s);
	}
}

bool lease_tick(struct lease_table *t, uint64_t ms, int64_t wall)
{
	struct lease_slot *s;
	int64_t skew;
	bool changed;

	t->ms = ms;
	t->wall = wall;
	while (t->lists[LEASES_OFFERED].head != LEASE_NONE &&
	       (s = &t->slots[t->lists[LEASES_OFFERED].head])->deadline <= ms)
		lease_lapse(t, s);
	while (t->lists[LEASES_BOUND].head != LEASE_NONE &&
	       (s = &t->slots[t->lists[LEASES_BOUND].head])->deadline <= ms)
		lease_to_past(t, s);
	while (t->lists[LEASES_PARKED].head != LEASE_NONE &&
	       (s = &t->slots[t->lists[LEASES_PARKED].head])->deadline <= ms)
		lease_to_fresh(t, s);
	for (unsigned i = 0; i < SWEEP_STEP && t->n; i++) {
		t->sweep = (t->sweep + 1) % t->n;
		if (ms - t->slots[t->sweep].seen_ms >= LEASE_SEEN_MS)
			lease_unseen(t, &t->slots[t->sweep]);
	}
	skew = wall - (int64_t)(ms / 1000u);
	if (skew > t->skew + STEP_S || skew < t->skew - STEP_S) {
		t->skew = skew;
		lease_restamp(t);
	}
	changed = t->changed;
	t->changed = false;
	return changed;
}

/* ---- reading ---- */

unsigned lease_share(const struct lease_table *t)
{
	return t->share;
}

void lease_each(struct lease_table *t, void (*fn)(void *arg, const struct lease *l), void *arg)
{
	for (uint32_t i = 0; i < t->n; i++) {
		const struct lease_slot *s = &t->slots[i];
		struct lease copy = s->l;

		if (s->blocked || (copy.state == LEASE_FREE && !copy.reserved))
			continue;
		if (copy.state == LEASE_FREE) {
			const struct netdef_reserve *r = &t->def->reserve[s->reserve];

			if (r->by_mac)
				memcpy(copy.mac, r->mac, sizeof(copy.mac));
			else
				memcpy(copy.member, r->name, sizeof(copy.member));
		}
		fn(arg, &copy);
	}
}

/* A member's own address: what was reserved for it, else what it has had longest. */
static uint32_t lease_of_owner(const struct lease_table *t, const struct lease_owner *o)
{
	uint32_t found = 0;

	for (uint32_t i = o->head; i != LEASE_NONE; i = t->slots[i].own_next) {
		const struct lease_slot *s = &t->slots[i];

		if (s->list == LEASES_BOUND && (!found || s->reserve != LEASE_NONE))
			found = s->l.address;
	}
	return found ? found : o->address;
}

uint32_t lease_by_name(struct lease_table *t, const char *name)
{
	const struct lease_slot *s;

	if (!name[0])
		return 0;
	for (uint32_t i = t->by_owner[lease_hash(t, name, strlen(name), true)]; i != LEASE_NONE;
	     i = t->owners[i].next) {
		uint32_t found =
			!strcasecmp(t->owners[i].name, name) ? lease_of_owner(t, &t->owners[i]) : 0;

		if (found)
			return found;
	}
	s = lease_name_holder(t, name);
	return s ? s->l.address : 0;
}

const struct lease *lease_by_mac(struct lease_table *t, const uint8_t mac[6])
{
	for (uint32_t i = *lease_mac_head(t, mac); i != LEASE_NONE; i = t->slots[i].mac_next)
		if (t->slots[i].list == LEASES_BOUND && !memcmp(t->slots[i].l.mac, mac, 6))
			return &t->slots[i].l;
	return NULL;
}

const struct lease *lease_by_address(struct lease_table *t, uint32_t address)
{
	const struct lease_slot *s = lease_slot(t, address);

	return s && s->list == LEASES_BOUND ? &s->l : NULL;
}
