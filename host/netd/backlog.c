/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/netd/backlog.h"

#include <stdlib.h>
#include <string.h>

#include "common/endian.h"
#include "host/netd/frame.h"

bool backlog_init(struct backlog *b, uint32_t cap)
{
	const uint32_t most = UINT32_MAX / 2;

	if (cap > most)
		cap = most;
	*b = (struct backlog){.cap = cap, .size = cap + FRAME_PREFIX + FRAME_STREAM_MAX};
	/* Its pages cost nothing until they are used. */
	b->ring = malloc(b->size);
	return b->ring;
}

void backlog_free(struct backlog *b)
{
	free(b->ring);
	b->ring = NULL;
}

static uint32_t wrapped(const struct backlog *b, uint32_t off)
{
	return off < b->size - b->head ? b->head + off : off - (b->size - b->head);
}

static void append(struct backlog *b, const uint8_t *at, uint32_t len)
{
	uint32_t to = wrapped(b, b->used), first = b->size - to;

	if (first > len)
		first = len;
	memcpy(b->ring + to, at, first);
	memcpy(b->ring, at + first, len - first);
	b->used += len;
	if (b->used > b->most)
		b->most = b->used;
}

bool backlog_put(struct backlog *b, const uint8_t *at, uint32_t len)
{
	if (b->used > b->cap || len > b->cap - b->used)
		return false;
	if (!b->used)
		b->head = 0;
	append(b, at, len);
	return true;
}

void backlog_put_rest(struct backlog *b, const uint8_t *at, uint32_t len)
{
	b->head = 0;
	append(b, at, len);
	b->rest = len;
}

uint32_t backlog_at(const struct backlog *b, uint32_t off)
{
	uint32_t len = 0, at = wrapped(b, off);

	if (!off && b->rest)
		return b->rest;
	if (b->size - at >= FRAME_PREFIX) {
		memcpy(&len, b->ring + at, FRAME_PREFIX);
		return FRAME_PREFIX + endian_be32(len);
	}
	for (uint32_t i = 0; i < FRAME_PREFIX; i++)
		len = len << 8 | b->ring[wrapped(b, off + i)];
	return FRAME_PREFIX + len;
}

int backlog_iov(const struct backlog *b, uint32_t off, uint32_t len, struct iovec iov[2])
{
	uint32_t from = wrapped(b, off), first = b->size - from;

	if (first >= len) {
		iov[0] = (struct iovec){b->ring + from, len};
		return 1;
	}
	iov[0] = (struct iovec){b->ring + from, first};
	iov[1] = (struct iovec){b->ring, len - first};
	return 2;
}

void backlog_take_whole(struct backlog *b, uint32_t len)
{
	b->head = wrapped(b, len);
	b->used -= len;
	b->rest = 0;
}

void backlog_take(struct backlog *b, uint32_t len)
{
	uint32_t off = 0;

	while (off < len) {
		uint32_t frame = backlog_at(b, off);

		if (len - off < frame) {
			b->head = wrapped(b, len);
			b->used -= len;
			b->rest = frame - (len - off);
			return;
		}
		off += frame;
	}
	backlog_take_whole(b, len);
}

uint32_t backlog_clear(struct backlog *b)
{
	uint32_t frames = 0;

	for (uint32_t off = b->rest; off < b->used; frames++)
		off += backlog_at(b, off);
	b->used = b->rest;
	return frames;
}
