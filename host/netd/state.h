/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one file of what must outlive the daemon (G-14): leases, members' names and addresses, the
 * networks that `vmnet create` made, detached attachments, subnets chosen.
 *
 * Theory of operation. An append-only journal of records: length, CRC-32, kind, key, value (JSON).
 * The last record of a key counts; a value of length 0 deletes. Opening replays it, stops at the
 * first record that is torn or wrong, and cuts it off there; what was valid is in memory then and
 * stays there. When it has grown to several times what is alive, it is written anew beside
 * it, synced, and renamed over. Each record is one write(2): kill -9 loses nothing that was put.
 * Power loss loses at most the last second (fdatasync a second after the last write, by the owner's
 * timer: state_sync). A lock (flock) keeps a second daemon out.
 *
 * ENOSPC and EIO: what could not be written is kept in memory and tried again with the next put or
 * sync; state_error() says what is wrong, once.
 */
#ifndef NETD_STATE_H
#define NETD_STATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define STATE_KEY_MAX 256u

struct state;

/* Creates the folder (0700) and the file (0600). NULL: err says why in one line. */
struct state *state_open(const char *path, char *err, size_t errlen);
void state_close(struct state *s);
/* Put a value (borrowed reference), or delete with NULL. Keys: "lease/shared/02:..". */
void state_put(struct state *s, const char *key, const json_t *value);
/* A borrowed reference, or NULL. */
json_t *state_get(struct state *s, const char *key);
/* Each key that begins with prefix, in the order of keys. The callback must not put. */
void state_each(struct state *s, const char *prefix,
		void (*fn)(void *arg, const char *key, json_t *value), void *arg);
/* To be called within a second or so; does nothing when nothing is unsynced. */
void state_sync(struct state *s);
/* One line, once for each new trouble; NULL: none. */
const char *state_error(struct state *s);

#endif
