/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that is given back all at once, growing byte strings, and a table by name. Running out of
 * memory ends a link as any other error does: the call that could not be served answers NULL,
 * and the caller says so.
 */
#ifndef KEXTLD_ARENA_H
#define KEXTLD_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks;
	size_t used, room; /* of the first chunk */
};

/* Zeroed, aligned for anything; NULL when count * size is too much or there is no memory. */
void *arena_get(struct arena *arena, size_t count, size_t size);
char *arena_string(struct arena *arena, const void *text, size_t len);
void arena_free(struct arena *arena);

/* A string that grows; malloc()ed, for its owner to free. */
struct bytes {
	uint8_t *data;
	size_t len, room;
	bool failed; /* no memory: nothing was added since */
};

void bytes_add(struct bytes *bytes, const void *data, size_t len);
void bytes_pad(struct bytes *bytes, size_t to); /* with zeros, up to that length */
void bytes_print(struct bytes *bytes, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void bytes_free(struct bytes *bytes);

/* Names to pointers, open addressing; never iterated, so its order cannot show in any output. */
struct table_slot {
	const char *name;
	void *value;
};

struct table {
	struct table_slot *slots;
	size_t room, used;
};

/* The place for the value of name, new and NULL if it was not there; NULL: no memory. name must
 * live as long as the table. */
void **table_at(struct table *table, const char *name);
void *table_find(const struct table *table, const char *name);
void table_free(struct table *table);

#endif
