/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hot path is forward(): most frames come from the station that the port's last frame came from
 * and go to the one it went to, so each port remembers both, and such a frame costs two
 * compares. What is remembered is asked for again after REFRESH_MS (which also keeps the stations'
 * ages), and whenever a station anywhere has gone or moved (fdb.gen).
 */
#include "host/netd/sw.h"

#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "host/netd/bucket.h"
#include "host/netd/fdb.h"

#define TAPS	      8
#define REFRESH_MS    1000u
#define MOVE_MS	      1000u /* a station moves at most this often */
#define MOVES_PER_S   16u   /* to one port */
#define MOVES_BURST   64u
#define SERVICE_SHARE 1024u /* stations behind an uplink without an address of its own */
#define DEPTH_MAX     4u    /* of replies to replies */
#define NS_PER_MS     UINT64_C(1000000)

struct sw_port {
	struct sw *sw;
	const struct sw_port_ops *ops;
	void *ctx;
	/* What the last frame's addresses meant, as of `refreshed` and `gen`. */
	uint64_t src, dst;
	struct sw_port *to; /* where dst is */
	uint64_t refreshed;
	uint32_t gen;
	uint16_t slot;	/* its number in the table */
	uint16_t place; /* in sw.list */
	bool up, dirty, member, lock_mac;
	uint16_t share;
	uint64_t own;	      /* its pinned or locked address, or FDB_NO_KEY */
	uint64_t last;	      /* learnt last, or FDB_NO_KEY */
	struct bucket groups; /* broadcasts and multicasts, one byte each */
	struct bucket moves;
	struct sw_stats stats;
	void *owner;
};

struct tap {
	sw_tap *fn;
	void *ctx;
};

struct sw {
	uint32_t len_max;
	bool isolated;
	bool busy; /* a batch is under way */
	unsigned depth;
	unsigned nports, ndirty, ntaps;
	uint64_t now; /* ms, of this batch */
	struct sw_port *list[SW_PORTS_MAX];
	struct sw_port *slot[SW_PORTS_MAX];
	struct sw_port *dirty[SW_PORTS_MAX];
	struct tap taps[TAPS];
	struct sw_params params;
	struct guard guard;
	struct fdb fdb;
};

static uint64_t clock_ms(void *arg)
{
	struct timespec t;

	(void)arg;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / NS_PER_MS;
}

struct sw *sw_create(const struct sw_params *params)
{
	struct sw *sw = calloc(1, sizeof(*sw));
	uint64_t random = (uintptr_t)sw;

	if (!sw)
		return NULL;
	/* Without random numbers, some number that is hard to know is better than none. */
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		random ^= clock_ms(NULL) << 20;
	sw->params = *params;
	if (!sw->params.now_ms)
		sw->params.now_ms = clock_ms;
	if (!sw->params.broadcasts_per_s)
		sw->params.broadcasts_per_s = SW_BROADCASTS;
	sw->len_max = params->mtu + FRAME_ETH + FRAME_VLAN;
	sw->isolated = params->isolated;
	fdb_init(&sw->fdb, random, SW_AGE_MS);
	return sw;
}

void sw_destroy(struct sw *sw)
{
	free(sw);
}

static void tell_taps(struct sw *sw, const struct sw_port *port, bool from, const struct frame *f)
{
	for (unsigned i = 0; i < TAPS; i++)
		if (sw->taps[i].fn)
			sw->taps[i].fn(sw->taps[i].ctx, port, from, f);
}

static inline void deliver(struct sw *sw, struct sw_port *to, const struct sw_port *from,
			   const struct frame *f)
{
	if (!to->up)
		return;
	to->stats.tx_frames++;
	to->stats.tx_bytes += f->len;
	if (__builtin_expect(sw->ntaps != 0, 0))
		tell_taps(sw, to, false, f);
	to->ops->send(to->ctx, from, f);
	if (!to->dirty) {
		to->dirty = true;
		sw->dirty[sw->ndirty++] = to;
	}
}

static inline bool may_reach(const struct sw *sw, const struct sw_port *from,
			     const struct sw_port *to)
{
	return !(sw->isolated && from->member && to->member);
}

/* To all but where it came from. */
static void to_group(struct sw *sw, struct sw_port *from, const struct frame *f)
{
	if (from->member) {
		if (bucket_level(&from->groups, sw->now * NS_PER_MS) <= 0) {
			from->stats.rx_capped++;
			return;
		}
		bucket_take(&from->groups, 1);
	}
	for (unsigned i = 0; i < sw->nports; i++) {
		struct sw_port *to = sw->list[i];

		if (to != from && may_reach(sw, from, to))
			deliver(sw, to, from, f);
	}
}

/* A station nobody knows can only be where none is known yet, or behind an uplink. */
static void to_unknown(struct sw *sw, struct sw_port *from, const struct frame *f)
{
	for (unsigned i = 0; i < sw->nports; i++) {
		struct sw_port *to = sw->list[i];

		if (to == from || !may_reach(sw, from, to))
			continue;
		if (to->member ? !fdb_has(&sw->fdb, to->slot, sw->now) : to->own == FDB_NO_KEY)
			deliver(sw, to, from, f);
	}
}

/* Another port's station is said to be here now. Whether the frame may go on. */
static bool moved(struct sw *sw, struct sw_port *from, struct fdb_station *s)
{
	/* The gateway's address, or one that was given to another member. */
	if (s->pinned) {
		from->stats.rx_spoofed++;
		return false;
	}
	if (s->moved && sw->now - s->moved < MOVE_MS)
		return true;
	if (bucket_level(&from->moves, sw->now * NS_PER_MS) <= 0)
		return true;
	bucket_take(&from->moves, 1);
	fdb_move(&sw->fdb, s, from->slot, sw->now, from->share);
	from->last = s->key;
	return true;
}

/* The source address of a frame, not the one remembered. Whether the frame may go on. */
static bool source(struct sw *sw, struct sw_port *from, uint64_t key)
{
	struct fdb_station *s;

	if (from->lock_mac && from->own != FDB_NO_KEY && key != from->own) {
		from->stats.rx_spoofed++;
		return false;
	}
	s = fdb_find(&sw->fdb, key, sw->now);
	if (s && s->port != from->slot) {
		if (!moved(sw, from, s))
			return false;
		/* Refused to move: to be asked again with the next frame. */
		if (s->port != from->slot)
			return true;
	} else if (s) {
		fdb_touch(&sw->fdb, s, sw->now);
	} else if (from->share) {
		fdb_learn(&sw->fdb, from->slot, key, sw->now, from->share);
		from->last = key;
	}
	/* A lock without an address locks to the first. */
	if (from->lock_mac && from->own == FDB_NO_KEY) {
		from->own = key;
		fdb_pin(&sw->fdb, from->slot, key);
	}
	from->src = key;
	return true;
}

static void remember_nothing(struct sw *sw, struct sw_port *port)
{
	port->src = port->dst = FDB_NO_KEY;
	port->to = NULL;
	port->gen = sw->fdb.gen;
	port->refreshed = sw->now;
}

/* Where it is, remembered; NULL: unknown. */
static struct sw_port *destination(struct sw *sw, struct sw_port *from, uint64_t key)
{
	struct fdb_station *s = fdb_find(&sw->fdb, key, sw->now);

	if (!s)
		return NULL;
	from->dst = key;
	from->to = sw->slot[s->port];
	return from->to;
}

static inline void forward(struct sw *sw, struct sw_port *from, const struct frame *f)
{
	uint64_t src = fdb_key(frame_src(f)), dst = fdb_key(frame_dst(f));
	struct sw_port *to;

	if (__builtin_expect(sw->ntaps != 0, 0))
		tell_taps(sw, from, true, f);
	if (from->gen != sw->fdb.gen)
		remember_nothing(sw, from);
	if (src != from->src && !source(sw, from, src))
		return;
	if (__builtin_expect(from->lock_mac, 0) && guard_refuses(&sw->guard, f)) {
		from->stats.rx_spoofed++;
		return;
	}
	if (mac_multicast(frame_dst(f))) {
		to_group(sw, from, f);
		return;
	}
	to = dst == from->dst && from->gen == sw->fdb.gen ? from->to : destination(sw, from, dst);
	if (!to)
		to_unknown(sw, from, f);
	else if (to == from)
		; /* its own segment has seen it */
	else if (may_reach(sw, from, to))
		deliver(sw, to, from, f);
	else
		from->stats.rx_isolated++;
}

static void flush(struct sw *sw)
{
	/* A flush may reply, and so make others dirty again. */
	while (sw->ndirty) {
		struct sw_port *port = sw->dirty[--sw->ndirty];

		port->dirty = false;
		port->ops->flush(port->ctx);
	}
}

/* May this port's frames be taken now; the time and what depends on it are set. */
static bool begin(struct sw *sw, struct sw_port *from)
{
	if (!from->up)
		return false;
	sw->now = sw->params.now_ms(sw->params.arg);
	if (sw->now - from->refreshed >= REFRESH_MS)
		remember_nothing(sw, from);
	return true;
}

void sw_input(struct sw_port *from, const struct frame *frames, size_t n)
{
	struct sw *sw = from->sw;
	uint64_t bytes = 0, bad = 0;

	if (sw->busy || !begin(sw, from))
		return;
	sw->busy = true;
	for (size_t i = 0; i < n; i++) {
		const struct frame *f = &frames[i];

		if (__builtin_expect(f->len - FRAME_ETH > sw->len_max - FRAME_ETH, 0) ||
		    __builtin_expect(mac_multicast(frame_src(f)) || mac_zero(frame_src(f)), 0)) {
			bad++;
			continue;
		}
		bytes += f->len;
		forward(sw, from, f);
	}
	from->stats.rx_frames += n - bad;
	from->stats.rx_bytes += bytes;
	from->stats.rx_bad += bad;
	flush(sw);
	sw->busy = false;
}

void sw_reply(struct sw_port *from, const struct frame *f)
{
	struct sw *sw = from->sw;

	if (!sw->busy) {
		sw_input(from, f, 1);
		return;
	}
	if (!from->up || sw->depth >= DEPTH_MAX)
		return;
	if (!frame_valid(f, sw->params.mtu)) {
		from->stats.rx_bad++;
		return;
	}
	from->stats.rx_frames++;
	from->stats.rx_bytes += f->len;
	sw->depth++;
	forward(sw, from, f);
	sw->depth--;
}

void sw_guard(struct sw *sw, const struct guard *guard)
{
	sw->guard = *guard;
}

struct sw_port *sw_port_add(struct sw *sw, const struct sw_port_params *params)
{
	struct sw_port *port;
	unsigned slot = 0;

	if (sw->nports == SW_PORTS_MAX)
		return NULL;
	port = calloc(1, sizeof(*port));
	if (!port)
		return NULL;
	while (sw->slot[slot])
		slot++;
	sw->now = sw->params.now_ms(sw->params.arg);
	*port = (struct sw_port){
		.sw = sw,
		.ops = params->ops,
		.ctx = params->ctx,
		.owner = params->owner,
		.slot = (uint16_t)slot,
		.place = (uint16_t)sw->nports,
		.up = true,
		.member = params->role == SW_MEMBER,
		.lock_mac = params->lock_mac,
		.own = FDB_NO_KEY,
		.last = FDB_NO_KEY,
	};
	bucket_init(&port->groups, (uint64_t)sw->params.broadcasts_per_s * 8,
		    sw->params.broadcasts_per_s, sw->now * NS_PER_MS);
	bucket_init(&port->moves, MOVES_PER_S * 8, MOVES_BURST, sw->now * NS_PER_MS);
	if (port->member)
		port->share = SW_FDB_SHARE;
	else if (!params->mac)
		port->share = SERVICE_SHARE;
	sw->slot[slot] = port;
	sw->list[sw->nports++] = port;
	if (params->mac) {
		struct fdb_station *s;

		port->own = port->last = fdb_key(params->mac);
		s = fdb_find(&sw->fdb, port->own, sw->now);
		/* A member cannot take a service's address; its frames will be dropped. */
		if (!s || !s->pinned || sw->slot[s->port]->member || !port->member)
			fdb_pin(&sw->fdb, slot, port->own);
	}
	remember_nothing(sw, port);
	return port;
}

void sw_port_remove(struct sw_port *port)
{
	struct sw *sw = port->sw;

	fdb_forget(&sw->fdb, port->slot);
	/* Who remembers this port has an older gen, unless it had no station: make sure. */
	sw->fdb.gen++;
	for (unsigned i = 0; i < sw->ndirty; i++) {
		if (sw->dirty[i] == port) {
			sw->dirty[i] = sw->dirty[--sw->ndirty];
			break;
		}
	}
	sw->slot[port->slot] = NULL;
	sw->list[port->place] = sw->list[--sw->nports];
	sw->list[port->place]->place = port->place;
	sw->list[sw->nports] = NULL;
	free(port);
}

void sw_port_link(struct sw_port *port, bool up)
{
	port->up = up;
}

bool sw_port_is_up(const struct sw_port *port)
{
	return port->up;
}

void *sw_port_owner(const struct sw_port *port)
{
	return port->owner;
}

struct sw_stats *sw_port_stats(struct sw_port *port)
{
	return &port->stats;
}

bool sw_port_mac(const struct sw_port *port, uint8_t mac[6])
{
	if (port->last == FDB_NO_KEY)
		return false;
	fdb_mac(port->last, mac);
	return true;
}

int sw_tap_add(struct sw *sw, sw_tap *tap, void *ctx)
{
	for (int i = 0; i < TAPS; i++) {
		if (!sw->taps[i].fn) {
			sw->taps[i] = (struct tap){tap, ctx};
			sw->ntaps++;
			return i + 1;
		}
	}
	return 0;
}

void sw_tap_remove(struct sw *sw, int handle)
{
	if (handle < 1 || handle > TAPS || !sw->taps[handle - 1].fn)
		return;
	sw->taps[handle - 1].fn = NULL;
	sw->ntaps--;
}

struct sw_port *sw_lookup(struct sw *sw, const uint8_t mac[6])
{
	struct fdb_station *s = fdb_find(&sw->fdb, fdb_key(mac), sw->params.now_ms(sw->params.arg));

	return s ? sw->slot[s->port] : NULL;
}

size_t sw_stations(const struct sw *sw)
{
	/* Ageing is not something that whoever asks for the number sees. */
	return fdb_count((struct fdb *)(uintptr_t)&sw->fdb, sw->params.now_ms(sw->params.arg));
}
