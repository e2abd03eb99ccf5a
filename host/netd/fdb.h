/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The station table of a switch: which address is behind which port.
 *
 * Theory of operation. A fixed array of stations, found through a hash whose multiplier is random,
 * so that nobody outside can choose addresses that collide. The stations of a port form a list from
 * the one seen last to the one seen longest ago; a port that has its share replaces its own oldest,
 * and only when the whole table is full does the port with the most lose one. So whatever a
 * port claims, it costs the others nothing. Ages are looked at when a station is asked for, and at
 * the end of a port's list.
 *
 * A port may have one pinned station: given, not learnt. It is never aged, replaced or moved by
 * what is learnt.
 *
 * Ports are numbers here. `gen` changes with every station that goes or moves: whoever remembers an
 * answer remembers gen with it.
 */
#ifndef NETD_FDB_H
#define NETD_FDB_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "host/netd/sw.h"

#define FDB_HEADS 8192u
#define FDB_NONE  UINT16_MAX

struct fdb_station {
	uint64_t key;
	uint64_t seen, moved; /* ms */
	uint16_t chain;	      /* next of the same hash, or of the free ones */
	uint16_t newer, older;
	uint16_t port;
	bool pinned;
};

struct fdb_port {
	uint16_t newest, oldest, n; /* learnt */
	uint16_t pin;
};

struct fdb {
	uint64_t multiplier;
	uint64_t age_ms;
	uint32_t gen;
	uint16_t free, used;
	struct fdb_port port[SW_PORTS_MAX];
	uint16_t head[FDB_HEADS];
	struct fdb_station station[SW_FDB_MAX];
};

/* An address as a number; never FDB_NO_KEY. */
#define FDB_NO_KEY UINT64_MAX
static inline uint64_t fdb_key(const uint8_t mac[6])
{
	uint32_t a;
	uint16_t b;

	memcpy(&a, mac, sizeof(a));
	memcpy(&b, mac + sizeof(a), sizeof(b));
	return (uint64_t)b << 32 | a;
}

static inline void fdb_mac(uint64_t key, uint8_t mac[6])
{
	uint32_t a = (uint32_t)key;
	uint16_t b = (uint16_t)(key >> 32);

	memcpy(mac, &a, sizeof(a));
	memcpy(mac + sizeof(a), &b, sizeof(b));
}

void fdb_init(struct fdb *f, uint64_t random, uint64_t age_ms);
/* NULL: unknown, or too old. */
struct fdb_station *fdb_find(struct fdb *f, uint64_t key, uint64_t now);
/* One that is not there yet; share: how many this port may have. */
void fdb_learn(struct fdb *f, unsigned port, uint64_t key, uint64_t now, unsigned share);
void fdb_touch(struct fdb *f, struct fdb_station *s, uint64_t now);
/* A learnt one, to another port. */
void fdb_move(struct fdb *f, struct fdb_station *s, unsigned port, uint64_t now, unsigned share);
/* Wherever it was learnt or pinned before. */
void fdb_pin(struct fdb *f, unsigned port, uint64_t key);
/* All of a port. */
void fdb_forget(struct fdb *f, unsigned port);
/* Whether the port has a station that is not too old. */
bool fdb_has(struct fdb *f, unsigned port, uint64_t now);
/* Drops all that are too old; how many are left. */
unsigned fdb_count(struct fdb *f, uint64_t now);

#endif
