/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/kextld/arena.h"

#include <stdarg.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_CHUNK = 64 * 1024 };

struct arena_chunk {
	struct arena_chunk *next;
	alignas(max_align_t) uint8_t data[];
};

void *arena_get(struct arena *arena, size_t count, size_t size)
{
	const size_t grain = alignof(max_align_t);
	size_t need;

	if (__builtin_mul_overflow(count, size, &need) || need > SIZE_MAX / 2)
		return NULL;
	need = (need + grain - 1) / grain * grain;
	if (!arena->chunks || arena->room - arena->used < need) {
		size_t room = need > ARENA_CHUNK ? need : ARENA_CHUNK;
		struct arena_chunk *chunk = calloc(1, sizeof(*chunk) + room);

		if (!chunk)
			return NULL;
		chunk->next = arena->chunks;
		arena->chunks = chunk;
		arena->used = 0;
		arena->room = room;
	}
	arena->used += need;
	return arena->chunks->data + arena->used - need;
}

char *arena_string(struct arena *arena, const void *text, size_t len)
{
	char *copy = len < SIZE_MAX ? arena_get(arena, len + 1, 1) : NULL;

	if (copy && len)
		memcpy(copy, text, len);
	return copy;
}

void arena_free(struct arena *arena)
{
	while (arena->chunks) {
		struct arena_chunk *next = arena->chunks->next;

		free(arena->chunks);
		arena->chunks = next;
	}
	*arena = (struct arena){0};
}

static bool bytes_room(struct bytes *bytes, size_t more)
{
	size_t room = bytes->room ? bytes->room : 1024;
	uint8_t *data;

	if (bytes->failed)
		return false;
	if (bytes->room - bytes->len >= more)
		return true;
	while (room - bytes->len < more) {
		if (room > SIZE_MAX / 2) {
			bytes->failed = true;
			return false;
		}
		room *= 2;
	}
	data = realloc(bytes->data, room);
	if (!data) {
		bytes->failed = true;
		return false;
	}
	bytes->data = data;
	bytes->room = room;
	return true;
}

void bytes_add(struct bytes *bytes, const void *data, size_t len)
{
	if (!len || !bytes_room(bytes, len))
		return;
	memcpy(bytes->data + bytes->len, data, len);
	bytes->len += len;
}

void bytes_pad(struct bytes *bytes, size_t to)
{
	if (to <= bytes->len || !bytes_room(bytes, to - bytes->len))
		return;
	memset(bytes->data + bytes->len, 0, to - bytes->len);
	bytes->len = to;
}

void bytes_print(struct bytes *bytes, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (len < 0 || !bytes_room(bytes, (size_t)len + 1))
		return;
	va_start(args, fmt);
	vsnprintf((char *)bytes->data + bytes->len, (size_t)len + 1, fmt, args);
	va_end(args);
	bytes->len += (size_t)len;
}

void bytes_free(struct bytes *bytes)
{
	free(bytes->data);
	*bytes = (struct bytes){0};
}

/* FNV-1a */
static size_t table_hash(const char *name)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
	return (size_t)(hash ^ hash >> 32);
}

static struct table_slot *table_slot(const struct table *table, const char *name)
{
	size_t at = table_hash(name) & (table->room - 1);

	while (table->slots[at].name && strcmp(table->slots[at].name, name))
		at = (at + 1) & (table->room - 1);
	return &table->slots[at];
}

static bool table_grow(struct table *table)
{
	struct table bigger = {.room = table->room ? table->room * 2 : 256, .used = table->used};

	bigger.slots = calloc(bigger.room, sizeof(*bigger.slots));
	if (!bigger.slots)
		return false;
	for (size_t i = 0; i < table->room; i++) {
		if (table->slots[i].name)
			*table_slot(&bigger, table->slots[i].name) = table->slots[i];
	}
	free(table->slots);
	*table = bigger;
	return true;
}

void **table_at(struct table *table, const char *name)
{
	struct table_slot *slot;

	if (table->used >= table->room / 2 && !table_grow(table))
		return NULL;
	slot = table_slot(table, name);
	if (!slot->name) {
		slot->name = name;
		table->used++;
	}
	return &slot->value;
}

void *table_find(const struct table *table, const char *name)
{
	return table->room ? table_slot(table, name)->value : NULL;
}

void table_free(struct table *table)
{
	free(table->slots);
	*table = (struct table){0};
}
