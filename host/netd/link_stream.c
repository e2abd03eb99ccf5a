/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames over a stream: four bytes of length, big-endian, then the frame (QEMU's framing).
 *
 * In. One recv() of what there is, up to LINK_READ_MAX, behind what was left of the last; the
 * frames are used where they lie, and only the part of a frame at the end is moved to the front,
 * when the room behind it gets small.
 *
 * Out. A frame given to us has room for its length before it, so it needs no copy: one iovec names
 * both. A frame that lies right behind the one before extends that iovec: what one member sent in
 * a burst to another goes on as it came. The iovecs are cut into pieces of whole frames of at most
 * LINK_WRITE_MAX bytes, one message each, all given to sendmmsg() at once. A unix stream socket
 * takes such a piece whole or not at all, as it goes into one buffer of the kernel; so whoever
 * reads the other end never gets part of a frame from a daemon that was killed. (A frame that is
 * longer than a piece can still be torn; what is left of it is sent first of all.)
 */
#include "host/netd/link_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define PIECES	    64u
#define BUFFER	    (LINK_READ_MAX + FRAME_PREFIX + FRAME_STREAM_MAX)
#define ROOM_MIN    (LINK_READ_MAX / 2)
#define RESYNC_STEP 2048u
/* So much, or so long, without the member's address: do without it. */
#define RESYNC_BLIND (1u << 20)
#define RESYNC_NS    1000000000u

struct stream {
	struct link l;
	uint8_t *buf;
	uint32_t start, end; /* received and not used yet */
	bool resync, by_mac;
	uint8_t mac[6];
	uint32_t wait;	/* resync: so much must be there before it is worth another look */
	uint64_t since; /* resync: the first look */

	/* What was given to us since the last flush. */
	unsigned niov, npieces;
	uint8_t *tail; /* where the last frame ends */
	struct iovec iov[LINK_BATCH];
	struct mmsghdr piece[PIECES];
	uint32_t len[PIECES];
	struct frame batch[LINK_BATCH];
};

static struct stream *stream_of(struct link *l)
{
	return (struct stream *)l;
}

static bool stream_open(struct link *l, const struct link_params *params)
{
	struct stream *s = stream_of(l);
	int type;
	socklen_t len = sizeof(type);

	if (getsockopt(l->fd, SOL_SOCKET, SO_TYPE, &type, &len))
		return false;
	if (type != SOCK_STREAM) {
		errno = EPROTOTYPE;
		return false;
	}
	s->buf = malloc(BUFFER);
	if (!s->buf)
		return false;
	link_sockbuf(l->fd);
	s->resync = params->resync;
	s->by_mac = params->mac;
	if (params->mac)
		memcpy(s->mac, params->mac, sizeof(s->mac));
	return true;
}

static void stream_release(struct link *l)
{
	free(stream_of(l)->buf);
}

/* ---- out ---- */

/* Pieces from `i` on could not be written, the first of them `done` bytes: to the backlog. */
static void keep(struct stream *s, unsigned i, size_t done)
{
	struct link *l = &s->l;

	for (; i < s->npieces; i++) {
		const struct msghdr *msg = &s->piece[i].msg_hdr;

		for (size_t k = 0; k < msg->msg_iovlen; k++) {
			const uint8_t *at = msg->msg_iov[k].iov_base;
			const uint8_t *end = at + msg->msg_iov[k].iov_len;

			for (uint32_t len; at < end; at += len) {
				len = FRAME_PREFIX + link_get32(at);
				if (done >= len) {
					done -= len;
				} else if (done) {
					backlog_put_rest(&l->backlog, at + done,
							 len - (uint32_t)done);
					done = 0;
				} else {
					link_queue(l, at, len);
				}
			}
		}
	}
}

static void write_pieces(struct stream *s)
{
	struct link *l = &s->l;
	unsigned i = 0;
	size_t done = 0;

	while (i < s->npieces && !done) {
		int n = sendmmsg(l->fd, s->piece + i, s->npieces - i, MSG_DONTWAIT | MSG_NOSIGNAL);

		l->writes++;
		if (n < 0) {
			link_blocked(l, errno);
			break;
		}
		for (; n; n--, i++) {
			if (s->piece[i].msg_len < s->len[i]) {
				done = s->piece[i].msg_len;
				link_blocked(l, EAGAIN);
				break;
			}
		}
	}
	keep(s, i, done);
	s->niov = s->npieces = 0;
	s->tail = NULL;
}

static void new_piece(struct stream *s)
{
	struct msghdr *msg = &s->piece[s->npieces].msg_hdr;

	msg->msg_iov = &s->iov[s->niov];
	msg->msg_iovlen = 0;
	s->len[s->npieces++] = 0;
}

static void stream_send(void *ctx, const struct sw_port *from, const struct frame *f)
{
	struct link *l = ctx;
	struct stream *s = ctx;
	uint8_t *at = f->data - FRAME_PREFIX;
	uint32_t len = f->len + FRAME_PREFIX;

	(void)from;
	link_put32(at, f->len);
	if (s->npieces == PIECES || s->niov == LINK_BATCH)
		write_pieces(s);
	if (l->held || l->backlog.used) {
		link_queue(l, at, len);
		return;
	}
	if (!s->npieces || s->len[s->npieces - 1] + len > LINK_WRITE_MAX) {
		new_piece(s);
		s->tail = NULL;
	}
	if (at == s->tail) {
		s->iov[s->niov - 1].iov_len += len;
	} else {
		s->iov[s->niov++] = (struct iovec){at, len};
		s->piece[s->npieces - 1].msg_hdr.msg_iovlen++;
	}
	s->len[s->npieces - 1] += len;
	s->tail = at + len;
}

static void stream_flush(void *ctx)
{
	struct stream *s = ctx;

	if (s->npieces)
		write_pieces(s);
	if (s->l.backlog.used)
		link_drain(&s->l);
}

static uint32_t stream_write(struct link *l, uint32_t allow)
{
	struct iovec iov[2];
	struct msghdr msg = {.msg_iov = iov};
	uint32_t len = 0, frames = 0;
	ssize_t n;

	while (len < l->backlog.used && len < allow) {
		uint32_t next = backlog_at(&l->backlog, len);

		if (len && len + next > LINK_WRITE_MAX)
			break;
		len += next;
		frames++;
	}
	msg.msg_iovlen = (size_t)backlog_iov(&l->backlog, 0, len, iov);
	n = sendmsg(l->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	l->writes++;
	if (n <= 0) {
		link_blocked(l, n ? errno : EAGAIN);
		return 0;
	}
	if (n == len) {
		backlog_take_whole(&l->backlog, len);
	} else {
		backlog_take(&l->backlog, (uint32_t)n);
		l->blocked = true;
	}
	/* What it cost: frames without their prefixes; never nothing. */
	return n > frames * FRAME_PREFIX ? (uint32_t)n - frames * FRAME_PREFIX : 1;
}

/* ---- in ---- */

/* Whether a frame of this member may begin at `at`; have: bytes from there on. */
static bool header(const struct stream *s, const uint8_t *at, uint32_t have)
{
	static const uint8_t zero[FRAME_PREFIX];
	uint32_t len;

	if (have < FRAME_PREFIX)
		return !memcmp(at, zero, have < 2 ? have : 1);
	len = link_get32(at);
	if (len < FRAME_ETH || len > s->l.len_max)
		return false;
	if (have < FRAME_PREFIX + FRAME_ETH)
		return true;
	at += FRAME_PREFIX + 6;
	return s->by_mac ? !memcmp(at, s->mac, 6) : !mac_multicast(at) && !mac_zero(at);
}

/*
 * After a takeover: find where a frame begins, and forget what is before it. A place will do if a
 * frame of the member may begin there and either the next begins where it ends, or nothing is there
 * yet. A place whose frame is not all there is kept in mind until it is. False: wait for more.
 */
static bool resync(struct stream *s)
{
	uint32_t keep_from = s->end, at;
	bool found = false;

	if (!s->since)
		s->since = uv_hrtime();
	if (s->end - s->start < s->wait)
		return false;
	for (at = s->start; !found && at < s->end; at++) {
		uint32_t have = s->end - at, len;

		if (!header(s, s->buf + at, have))
			continue;
		len = have < FRAME_PREFIX ? have : FRAME_PREFIX + link_get32(s->buf + at);
		if (have < FRAME_PREFIX + FRAME_ETH || have < len) {
			if (keep_from == s->end)
				keep_from = at;
		} else if (header(s, s->buf + at + len, have - len)) {
			found = true;
			keep_from = at;
		}
	}
	s->l.skipped += keep_from - s->start;
	s->start = keep_from;
	s->wait = s->end - s->start;
	s->wait = s->wait < FRAME_PREFIX + FRAME_ETH ? 0 : s->wait + RESYNC_STEP;
	if (s->wait && link_get32(s->buf + s->start) + FRAME_PREFIX < s->wait)
		s->wait = link_get32(s->buf + s->start) + FRAME_PREFIX;
	if (s->l.skipped > RESYNC_BLIND || uv_hrtime() - s->since > RESYNC_NS)
		s->by_mac = false;
	s->resync = !found;
	return found;
}

static void parse(struct stream *s)
{
	struct link *l = &s->l;
	uint64_t bytes = 0;
	unsigned n = 0;

	if (s->resync && !resync(s))
		return;
	while (s->end - s->start >= FRAME_PREFIX && !l->over) {
		uint8_t *at = s->buf + s->start;
		uint32_t len = link_get32(at);

		if (!len || len > FRAME_STREAM_MAX) {
			sw_input(l->port, s->batch, n);
			n = 0;
			link_fail(l, "length %u is not in 1..%u", len, FRAME_STREAM_MAX);
			break;
		}
		if (s->end - s->start - FRAME_PREFIX < len)
			break;
		s->batch[n++] = (struct frame){at + FRAME_PREFIX, len};
		s->start += FRAME_PREFIX + len;
		bytes += len;
		if (n == LINK_BATCH) {
			sw_input(l->port, s->batch, n);
			n = 0;
		}
	}
	if (n)
		sw_input(l->port, s->batch, n);
	link_charge(l, bytes);
}

static void stream_read(struct link *l, uint32_t limit)
{
	struct stream *s = stream_of(l);
	uint32_t room;
	ssize_t n;

	if (s->start == s->end) {
		s->start = s->end = 0;
	} else if (BUFFER - s->end < ROOM_MIN) {
		memmove(s->buf, s->buf + s->start, s->end - s->start);
		s->end -= s->start;
		s->start = 0;
	}
	room = BUFFER - s->end;
	if (room > LINK_READ_MAX)
		room = LINK_READ_MAX;
	if (limit && room > limit)
		room = limit;
	n = recv(l->fd, s->buf + s->end, room, MSG_DONTWAIT);
	l->reads++;
	if (n > 0) {
		s->end += (uint32_t)n;
		parse(s);
	} else if (!n) {
		link_fail(l, "peer closed");
	} else if (errno == ECONNRESET) {
		link_fail(l, "peer closed");
	} else if (errno != EAGAIN && errno != EINTR) {
		link_fail(l, "read: %s", strerror(errno));
	}
}

const struct link_ops link_stream_ops = {
	.size = sizeof(struct stream),
	.port = {.send = stream_send, .flush = stream_flush},
	.open = stream_open,
	.read = stream_read,
	.write = stream_write,
	.release = stream_release,
};
