/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kinds of links share: link.c has the life of a link, when it may read and write, and its
 * backlog; a kind's file has how bytes become frames and back.
 *
 * When it may write. A frame for the member is written at once if nothing waits before it and there
 * is no rate; else it goes to the backlog, which is written when the descriptor is writable again
 * (`blocked`) and, with a rate, when there are tokens (the timer).
 */
#ifndef NETD_LINK_INTERNAL_H
#define NETD_LINK_INTERNAL_H

#include "host/netd/backlog.h"
#include "host/netd/bucket.h"
#include "host/netd/link.h"

/* Bytes read in one go: what one member gets before the next; more would not stay in the caches. */
#define LINK_READ_MAX  (128u << 10)
#define LINK_BATCH     256u	    /* frames given to the switch in one go */
#define LINK_DRAIN_MAX (256u << 10) /* bytes of backlog written in one go */
#define LINK_SOCKBUF   (1 << 20)

struct link_ops {
	size_t size; /* of the kind's struct, which begins with a struct link */
	struct sw_port_ops port;
	/* Its buffers, and whether the descriptor is of its kind. False: errno. */
	bool (*open)(struct link *l, const struct link_params *params);
	/* The descriptor is readable: one bounded read, at most `limit` bytes if that is not 0. */
	void (*read)(struct link *l, uint32_t limit);
	/*
	 * Write what comes first in the backlog: at least a frame, and no other that begins above
	 * `allow` bytes. Returns the bytes of frames that went; 0: link_blocked or link_fail.
	 */
	uint32_t (*write)(struct link *l, uint32_t allow);
	/* A second has passed, on a path whose peers come and go; NULL: nothing to do. */
	void (*tick)(struct link *l);
	void (*release)(struct link *l);
};

struct link {
	uv_poll_t poll;
	uv_timer_t timer;
	uv_timer_t second; /* of those that have a tick */
	uv_idle_t end;
	unsigned handles;
	const struct link_ops *ops;
	struct sw_port *port;
	struct sw_stats *stats;
	int fd, events;
	uint32_t mtu, len_max; /* of a frame */
	bool over;	       /* failed; the owner will be told, or has been */
	bool gone;	       /* the peer is; what it left is read before the link is over */
	bool held;	       /* over, gone or with a rate: nothing is written at once */
	bool blocked;	       /* not writable: wait for it */
	bool paused;	       /* no tokens to read with */
	uint32_t backlog_max;  /* as asked for; with a rate the backlog is smaller */
	uint64_t rate;
	struct bucket in, out;
	uint32_t quantum; /* with a rate: what is waited for */
	struct backlog backlog;
	uint64_t reads, writes, skipped;
	void (*closed)(void *ctx, const char *why);
	void *ctx;
	char why[96];
};

extern const struct link_ops link_stream_ops, link_dgram_ops;

/* The link is over: `closed` will be called from the loop. Allowed anywhere. */
void link_fail(struct link *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The peer will read no more. Allowed anywhere. */
void link_gone(struct link *l);
/* Writing failed with this error: wait, or give up. */
void link_blocked(struct link *l, int error);
/* To the backlog, or dropped and counted. */
void link_queue(struct link *l, const uint8_t *at, uint32_t len);
/* A frame that will not be sent. */
void link_drop(struct link *l, uint32_t frame_len);
/* Write of the backlog what may be written now. */
void link_drain(struct link *l);
/* Bytes of whole frames were read. */
void link_charge(struct link *l, uint64_t bytes);
/* An option that may be refused. */
void link_sockbuf(int fd);

static inline void link_put32(uint8_t *at, uint32_t v)
{
	v = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? v : __builtin_bswap32(v);
	memcpy(at, &v, sizeof(v));
}

static inline uint32_t link_get32(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? v : __builtin_bswap32(v);
}

#endif
