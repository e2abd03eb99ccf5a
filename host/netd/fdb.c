/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/netd/fdb.h"

static uint16_t *head_of(struct fdb *f, uint64_t key)
{
	return &f->head[f->multiplier * key >> 51];
}

_Static_assert(FDB_HEADS == 1u << (64 - 51), "the hash gives as many bits");
_Static_assert(SW_FDB_MAX < FDB_NONE && SW_PORTS_MAX < FDB_NONE, "numbers fit");

void fdb_init(struct fdb *f, uint64_t random, uint64_t age_ms)
{
	f->multiplier = random | 1;
	f->age_ms = age_ms;
	f->gen = 0;
	f->used = 0;
	f->free = 0;
	for (unsigned i = 0; i < SW_FDB_MAX; i++)
		f->station[i].chain = i + 1 < SW_FDB_MAX ? (uint16_t)(i + 1) : FDB_NONE;
	for (unsigned i = 0; i < FDB_HEADS; i++)
		f->head[i] = FDB_NONE;
	for (unsigned i = 0; i < SW_PORTS_MAX; i++)
		f->port[i] = (struct fdb_port){FDB_NONE, FDB_NONE, 0, FDB_NONE};
}

static uint16_t index_of(const struct fdb *f, const struct fdb_station *s)
{
	return (uint16_t)(s - f->station);
}

/* Out of its port's list, or its pin. */
static void leave(struct fdb *f, struct fdb_station *s)
{
	struct fdb_port *p = &f->port[s->port];

	f->gen++;
	if (s->pinned) {
		p->pin = FDB_NONE;
		return;
	}
	if (s->newer == FDB_NONE)
		p->newest = s->older;
	else
		f->station[s->newer].older = s->older;
	if (s->older == FDB_NONE)
		p->oldest = s->newer;
	else
		f->station[s->older].newer = s->newer;
	p->n--;
}

/* Into the list of s->port, as the one seen last. */
static void enter(struct fdb *f, struct fdb_station *s)
{
	struct fdb_port *p = &f->port[s->port];

	s->newer = FDB_NONE;
	s->older = p->newest;
	if (p->newest == FDB_NONE)
		p->oldest = index_of(f, s);
	else
		f->station[p->newest].newer = index_of(f, s);
	p->newest = index_of(f, s);
	p->n++;
}

static void drop(struct fdb *f, struct fdb_station *s)
{
	uint16_t *link = head_of(f, s->key);

	leave(f, s);
	while (*link != index_of(f, s))
		link = &f->station[*link].chain;
	*link = s->chain;
	s->chain = f->free;
	f->free = index_of(f, s);
	f->used--;
}

static struct fdb_station *seek(struct fdb *f, uint64_t key)
{
	uint16_t i = *head_of(f, key);

	while (i != FDB_NONE && f->station[i].key != key)
		i = f->station[i].chain;
	return i == FDB_NONE ? NULL : &f->station[i];
}

static bool too_old(const struct fdb *f, const struct fdb_station *s, uint64_t now)
{
	return !s->pinned && now > s->seen && now - s->seen > f->age_ms;
}

struct fdb_station *fdb_find(struct fdb *f, uint64_t key, uint64_t now)
{
	struct fdb_station *s = seek(f, key);

	if (s && too_old(f, s, now)) {
		drop(f, s);
		s = NULL;
	}
	return s;
}

/* The table is full: the port that has most loses its oldest. */
static void make_room(struct fdb *f)
{
	struct fdb_port *most = &f->port[0];

	for (unsigned i = 1; i < SW_PORTS_MAX; i++)
		if (f->port[i].n > most->n)
			most = &f->port[i];
	if (most->n)
		drop(f, &f->station[most->oldest]);
}

/* One more will come to this port. */
static void keep_share(struct fdb *f, unsigned port, unsigned share)
{
	while (f->port[port].n && f->port[port].n >= share)
		drop(f, &f->station[f->port[port].oldest]);
}

/* NULL: all are pinned, which takes more ports than there are. */
static struct fdb_station *take(struct fdb *f, uint64_t key)
{
	struct fdb_station *s;
	uint16_t *head;

	if (f->free == FDB_NONE)
		make_room(f);
	if (f->free == FDB_NONE)
		return NULL;
	s = &f->station[f->free];
	f->free = s->chain;
	f->used++;
	head = head_of(f, key);
	s->key = key;
	s->chain = *head;
	*head = index_of(f, s);
	return s;
}

void fdb_learn(struct fdb *f, unsigned port, uint64_t key, uint64_t now, unsigned share)
{
	struct fdb_station *s;

	keep_share(f, port, share);
	s = take(f, key);
	if (!s)
		return;
	s->seen = now;
	s->moved = 0;
	s->port = (uint16_t)port;
	s->pinned = false;
	enter(f, s);
}

void fdb_touch(struct fdb *f, struct fdb_station *s, uint64_t now)
{
	s->seen = now;
	if (!s->pinned && s->newer != FDB_NONE) {
		leave(f, s);
		f->gen--; /* nothing went */
		enter(f, s);
	}
}

void fdb_move(struct fdb *f, struct fdb_station *s, unsigned port, uint64_t now, unsigned share)
{
	leave(f, s);
	keep_share(f, port, share);
	s->port = (uint16_t)port;
	s->seen = s->moved = now;
	enter(f, s);
}

void fdb_pin(struct fdb *f, unsigned port, uint64_t key)
{
	struct fdb_station *s = seek(f, key);

	if (s)
		leave(f, s);
	else
		s = take(f, key);
	if (!s)
		return;
	if (f->port[port].pin != FDB_NONE)
		drop(f, &f->station[f->port[port].pin]);
	s->port = (uint16_t)port;
	s->seen = s->moved = 0;
	s->pinned = true;
	f->port[port].pin = index_of(f, s);
}

void fdb_forget(struct fdb *f, unsigned port)
{
	while (f->port[port].oldest != FDB_NONE)
		drop(f, &f->station[f->port[port].oldest]);
	if (f->port[port].pin != FDB_NONE)
		drop(f, &f->station[f->port[port].pin]);
}

bool fdb_has(struct fdb *f, unsigned port, uint64_t now)
{
	struct fdb_port *p = &f->port[port];

	if (p->pin != FDB_NONE)
		return true;
	while (p->oldest != FDB_NONE && too_old(f, &f->station[p->oldest], now))
		drop(f, &f->station[p->oldest]);
	return p->n;
}

unsigned fdb_count(struct fdb *f, uint64_t now)
{
	for (unsigned i = 0; i < SW_PORTS_MAX; i++) {
		struct fdb_port *p = &f->port[i];

		while (p->oldest != FDB_NONE && too_old(f, &f->station[p->oldest], now))
			drop(f, &f->station[p->oldest]);
	}
	return f->used;
}
