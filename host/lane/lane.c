/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/lane/lane.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>

#define LANE_PREFIX 4u
#define MASK	    (LANE_SIZE - 1)

/* Each line of the cache has one writer. */
struct lane_shared {
	alignas(64) atomic_ullong head;
	atomic_ullong from, to;
	atomic_uint waiting;
	alignas(64) atomic_ullong tail;
	atomic_uint asleep;
};

_Static_assert(!(LANE_SIZE & MASK) && LANE_SIZE % LANE_HEAD == 0, "the lane's size");
_Static_assert(sizeof(struct lane_shared) <= LANE_HEAD, "the positions have their own pages");

static uint32_t record(uint32_t len)
{
	return LANE_PREFIX + ((len + 3u) & ~3u);
}

/* Our position, and the bell if the other side said that it waits for it. */
static void publish(struct lane *l, atomic_ullong *position, atomic_uint *waits)
{
	if (l->told == l->at)
		return;
	l->told = l->at;
	/* Before the look at `waits`; the other side does these two in the other order. */
	atomic_store(position, l->at);
	if (atomic_load(waits) && atomic_exchange(waits, 0))
		lane_ring(l->bell);
}

/* ---- the writer ---- */

/* A reader that has not followed us yet is as good as there: it has read all that was. */
static uint32_t used(const struct lane *l)
{
	uint64_t n = l->at - (l->other == l->from ? l->to : l->other);

	return n > LANE_SIZE ? LANE_SIZE : (uint32_t)n;
}

uint32_t lane_used(struct lane *l)
{
	l->other = atomic_load_explicit(&l->shared->tail, memory_order_acquire);
	return used(l);
}

static void start_over(struct lane *l)
{
	l->from = l->at;
	l->at += LANE_SIZE - (l->at & MASK);
	l->to = l->told = l->at; /* a record follows, so it will be told */
	/* Before `head` says that there is something. */
	atomic_store_explicit(&l->shared->from, l->from, memory_order_relaxed);
	atomic_store_explicit(&l->shared->to, l->to, memory_order_relaxed);
}

uint8_t *lane_room(struct lane *l, uint32_t len)
{
	uint32_t need = record(len);
	uint8_t *at;

	if (len > LANE_FRAME_MAX)
		return NULL;
	if (l->at == l->told && (l->at & MASK) >= LANE_HOT && !lane_used(l))
		start_over(l);
	if (used(l) > LANE_SIZE - need && lane_used(l) > LANE_SIZE - need)
		return NULL;
	at = l->data + (l->at & MASK);
	memcpy(at, &len, sizeof(len));
	at += LANE_PREFIX;
	l->at += need;
	return at;
}

void lane_tell(struct lane *l)
{
	publish(l, &l->shared->head, &l->shared->asleep);
}

bool lane_wait(struct lane *l, uint32_t most)
{
	atomic_store(&l->shared->waiting, 1);
	l->other = atomic_load(&l->shared->tail);
	if (used(l) > most)
		return true;
	atomic_store(&l->shared->waiting, 0);
	return false;
}

/* ---- the reader ---- */

/* The length at our position, read once; the other side may change it at any time. */
static uint32_t get_len(const struct lane *l)
{
	return *(const volatile uint32_t *)(const void *)(l->data + (l->at & MASK));
}

/* What there is beyond our position. */
static uint32_t look(struct lane *l)
{
	struct lane_shared *s = l->shared;

	if (l->other == l->at) {
		l->other = atomic_load_explicit(&s->head, memory_order_acquire);
		if (l->other != l->at &&
		    l->at == atomic_load_explicit(&s->from, memory_order_relaxed))
			l->at = atomic_load_explicit(&s->to, memory_order_relaxed);
	}
	if (l->other - l->at > LANE_SIZE || l->at % 4 || l->other % 4)
		l->broken = true;
	return l->broken ? 0 : (uint32_t)(l->other - l->at);
}

uint8_t *lane_next(struct lane *l, uint32_t *len)
{
	uint32_t have = look(l), n;
	uint8_t *at;

	if (!have)
		return NULL;
	n = get_len(l);
	if (!n || n > LANE_FRAME_MAX || record(n) > have) {
		l->broken = true;
		return NULL;
	}
	at = l->data + (l->at & MASK) + LANE_PREFIX;
	l->at += record(n);
	*len = n;
	return at;
}

void lane_release(struct lane *l)
{
	publish(l, &l->shared->tail, &l->shared->waiting);
}

bool lane_sleep(struct lane *l)
{
	if (l->other != l->at)
		return false;
	atomic_store(&l->shared->asleep, 1);
	if (atomic_load(&l->shared->head) == l->at)
		return true;
	lane_wake(l);
	return false;
}

void lane_wake(struct lane *l)
{
	atomic_store_explicit(&l->shared->asleep, 0, memory_order_relaxed);
}

bool lane_holds(const struct lane *l, const uint8_t *p)
{
	return p >= l->data && p < l->data + 2 * (size_t)LANE_SIZE;
}
