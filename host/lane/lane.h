/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A lane: frames one way, from one process to another, through memory that both have.
 *
 * Theory of operation. Positions count bytes and never go back (64 bits: they do not wrap): the
 * writer's `head` is where the next record will lie, the reader's `tail` where the next one to be
 * read does. Both are in the shared memory for the other to see; each side goes by a copy of its
 * own that nobody else can change, and takes the other's for no more than a claim: what lies
 * between the two must fit into the lane. A record is four bytes of length and the frame, padded to
 * four bytes. The data is mapped twice, one mapping behind the other, so every record is in one
 * piece.
 *
 * An empty lane starts over at its beginning as soon as LANE_HOT bytes were used: the writer says
 * from which position to which both go on (`from`, `to`). So as long as the reader keeps up, no
 * more memory is touched than the caches hold.
 *
 * A side that has nothing to do says so (`asleep`, the reader; `waiting`, the writer, for room) and
 * looks once more; the other rings its bell, an eventfd, if it was asleep. Neither calls the kernel
 * while both are busy.
 *
 * Trust. The memory cannot be made smaller (it is sealed), so looking at it is safe. The daemon
 * copies a frame out before it looks at it; the worker uses what the daemon wrote where it lies.
 * What one side does to the memory while the other works can spoil frames, and nothing else.
 */
#ifndef LANE_LANE_H
#define LANE_LANE_H

#include <stdbool.h>
#include <stdint.h>

#define LANE_SIZE      (4u << 20) /* a power of two */
#define LANE_HOT       (256u << 10)
#define LANE_HEAD      (64u << 10) /* of the positions: whole pages, whatever their size */
#define LANE_FRAME_MAX 69632u	   /* FRAME_STREAM_MAX: what a member's stream may carry */

struct lane_shared;

struct lane {
	struct lane_shared *shared;
	uint8_t *data;	   /* LANE_SIZE bytes, and the same once more */
	uint64_t at;	   /* our own position */
	uint64_t told;	   /* as the other side knows it */
	uint64_t other;	   /* its position, when we last looked */
	uint64_t from, to; /* the writer: where it last started over */
	int bell;	   /* the other side's; not ours to close */
	bool broken;	   /* it claims what cannot be; nothing is read any more */
};

/* ---- memory and bells: lane_linux.c ---- */

/* Memory for n lanes, sealed. A descriptor, or -1 with errno. */
int lane_memory(unsigned n);
/* Lane `which` of that memory; the descriptor may be closed then. False: errno. */
bool lane_map(struct lane *l, int memory, unsigned which, int bell);
void lane_unmap(struct lane *l);
/* A bell for one side to sleep on. -1 with errno. */
int lane_bell(void);
/* Our own bell was rung, or may have been. */
void lane_heard(int bell);
void lane_ring(int bell);

/* ---- the writer ---- */

/* Room for one frame, to be filled in before it is told. NULL: there is none now. */
uint8_t *lane_room(struct lane *l, uint32_t len);
/* What was written is there to be read. */
void lane_tell(struct lane *l);
/* Bytes that the reader has not done with, told or not. */
uint32_t lane_used(struct lane *l);
/* True: more than `most` is used; the bell rings when some of that has been read. */
bool lane_wait(struct lane *l, uint32_t most);

/* Written and not told yet. */
static inline uint32_t lane_untold(const struct lane *l)
{
	return (uint32_t)(l->at - l->told);
}

/* ---- the reader ---- */

/* The next frame, ours until lane_release. NULL: there is none, or the lane is broken. */
uint8_t *lane_next(struct lane *l, uint32_t *len);
/* All that was read may be overwritten. */
void lane_release(struct lane *l);
/* True: there is nothing, and the bell will ring when there is. */
bool lane_sleep(struct lane *l);
/* Awake for another reason: no need to ring. */
void lane_wake(struct lane *l);
/* Whether this is in the lane's memory. */
bool lane_holds(const struct lane *l, const uint8_t *p);

#endif
