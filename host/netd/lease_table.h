/* SPDX-License-Identifier: BSD-2-Clause */
/* What lease.c, lease_slots.c and lease_store.c share; nobody else includes it. */
#ifndef NETD_LEASE_TABLE_H
#define NETD_LEASE_TABLE_H

#include "host/netd/lease.h"

#define LEASE_NONE UINT32_MAX

enum lease_list {
	LEASES_FRESH,
	LEASES_PAST,
	LEASES_OFFERED,
	LEASES_BOUND,
	LEASES_PARKED,
	LEASES_OUT, /* blocked */
	LEASES_N
};

struct lease_slot {
	struct lease l;
	enum lease_list list;
	uint32_t prev, next; /* in that list */
	uint32_t owner, own_prev, own_next;
	uint32_t epoch;			       /* the owner's, when it was bound */
	uint32_t id_next, mac_next, name_next; /* hash chains; name: only while bound */
	uint64_t deadline;
	uint32_t reserve; /* index in def->reserve, or LEASE_NONE */
	bool blocked;	  /* the gateway's own, or no station's */
	bool known;	  /* has a client: l.mac and l.client_id are in the chains */
	bool was_past;	  /* offered: falls back to `past` */
	bool in_names;
	uint8_t seen_mac[6];
	uint32_t seen_owner; /* LEASE_NONE: not seen */
	uint64_t seen_ms;
};

/* A member, by name, as long as it is there or something counts for it. */
struct lease_owner {
	char name[NETDEF_NAME_MAX + 1];
	bool used, live;
	bool gone;     /* it has left, in this daemon's life: not only silent so far */
	uint32_t next; /* hash chain, or list of unused ones */
	uint32_t head, tail;
	unsigned count, seen;
	uint32_t epoch;	  /* counts its comings and goings */
	uint32_t address; /* the one it was last seen to use */
};

struct lease_table {
	const struct netdef *def;
	struct state *state;
	uint64_t ms;
	int64_t wall, skew; /* skew: wall less monotonic seconds, when the file was last right */
	bool changed;
	uint64_t seed;
	uint32_t range; /* slots 0 .. range-1 are the DHCP range, the rest are sorted */
	uint32_t n;
	unsigned share;
	struct lease_slot *slots;
	struct {
		uint32_t head, tail;
	} lists[LEASES_N];
	uint32_t buckets; /* a power of two; each of the four below has as many */
	uint32_t *by_id, *by_mac, *by_name, *by_owner;
	struct lease_owner *owners;
	uint32_t nowners, owners_free, owners_hand, sweep;
};

/* lease_slots.c: hashes. */
uint32_t lease_hash(const struct lease_table *t, const void *data, size_t len, bool fold);
uint32_t *lease_id_head(struct lease_table *t, const uint8_t *id, size_t len);
uint32_t *lease_mac_head(struct lease_table *t, const uint8_t mac[6]);
/* Slots. */
struct lease_slot *lease_slot(struct lease_table *t, uint32_t address);
void lease_move(struct lease_table *t, struct lease_slot *s, enum lease_list list,
		uint64_t deadline);
void lease_know(struct lease_table *t, struct lease_slot *s, const struct lease_client *c);
/* No longer any client's. Who it counts for stays. */
void lease_forget(struct lease_table *t, struct lease_slot *s);
void lease_unseen(struct lease_table *t, struct lease_slot *s);
/* Host names; lease_name puts the slot's own to use, or clears it if somebody else has it. */
struct lease_slot *lease_name_holder(struct lease_table *t, const char *name);
void lease_name(struct lease_table *t, struct lease_slot *s);
void lease_unname(struct lease_table *t, struct lease_slot *s);
/* Owners. One that is asked for by name is made if need be. */
uint32_t lease_owner(struct lease_table *t, const char *name, bool live);
uint32_t lease_owner_find(struct lease_table *t, const char *name);
void lease_owner_drop(struct lease_table *t, uint32_t i);
void lease_own(struct lease_table *t, struct lease_slot *s, uint32_t owner);
void lease_disown(struct lease_table *t, struct lease_slot *s);
/* Puts what was read from the file in place. False: it cannot be. */
bool lease_restore(struct lease_table *t, const struct lease *l);

/* lease_store.c */
void lease_store(struct lease_table *t, const struct lease_slot *s);
void lease_unstore(struct lease_table *t, const struct lease_slot *s);
void lease_load(struct lease_table *t);
/* A name from outside as a DNS label: lower case, letters, digits, hyphens. False: it cannot be. */
bool lease_clean_name(struct span name, char out[64]);

#endif
