/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What waits for one member: a ring of bytes that holds frames as they go over a stream, each with
 * its length before it. Whole frames go in or are refused; bytes come out, and the first frame may
 * be partly written already.
 */
#ifndef NETD_BACKLOG_H
#define NETD_BACKLOG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct backlog {
	uint8_t *ring;
	uint32_t size; /* of the ring: the cap, and one frame that was begun */
	uint32_t cap;
	uint32_t head, used;
	uint32_t rest; /* bytes left of the first frame; 0: nothing of it was written */
	uint64_t most; /* used, at its highest */
};

/* False: out of memory. */
bool backlog_init(struct backlog *b, uint32_t cap);
void backlog_free(struct backlog *b);
/* A frame with its prefix. False: it would go above the cap. */
bool backlog_put(struct backlog *b, const uint8_t *at, uint32_t len);
/* The rest of a frame that was partly written; the backlog must be empty. */
void backlog_put_rest(struct backlog *b, const uint8_t *at, uint32_t len);
/*
 * The length of the frame at `off` bytes behind the head, prefix included; of the first one what is
 * left of it. off must be where a frame begins, and below used.
 */
uint32_t backlog_at(const struct backlog *b, uint32_t off);
/* Bytes [off, off + len) of it in one or two pieces; returns how many. */
int backlog_iov(const struct backlog *b, uint32_t off, uint32_t len, struct iovec iov[2]);
/* So many bytes are written. */
void backlog_take(struct backlog *b, uint32_t len);
/* The same, when it is known that a frame ends there. */
void backlog_take_whole(struct backlog *b, uint32_t len);
/* All but the rest of a frame that was begun; returns how many frames went. */
uint32_t backlog_clear(struct backlog *b);

#endif
