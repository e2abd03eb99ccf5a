/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/netd/uplink_int.h"

bool uplink_frames_open(struct uplink *u)
{
	u->in = malloc(UPLINK_IN);
	u->out = malloc(UPLINK_BACKLOG);
	if (u->in && u->out)
		return true;
	uplink_frames_close(u);
	return false;
}

void uplink_frames_close(struct uplink *u)
{
	free(u->in);
	free(u->out);
	u->in = u->out = NULL;
}

void uplink_frames_reset(struct uplink *u)
{
	u->in_len = 0;
	u->out_at = u->out_len = 0;
	u->runs = 0;
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* ---- from the worker ---- */

/* Gives on what is whole; the rest moves to the front. False: the stream makes no sense. */
static bool deliver(struct uplink *u)
{
	struct frame batch[UPLINK_BATCH];
	uint32_t at = 0;
	size_t n = 0;

	while (u->in_len - at >= FRAME_PREFIX) {
		uint32_t len = be32(u->in + at);

		if (len > FRAME_STREAM_MAX)
			return false;
		if (u->in_len - at - FRAME_PREFIX < len)
			break;
		batch[n++] = (struct frame){u->in + at + FRAME_PREFIX, len};
		u->rx_frames++;
		u->rx_bytes += len;
		at += FRAME_PREFIX + len;
		if (n == UPLINK_BATCH) {
			u->params.input(u->params.ctx, batch, n);
			n = 0;
		}
	}
	if (n)
		u->params.input(u->params.ctx, batch, n);
	memmove(u->in, u->in + at, u->in_len - at);
	u->in_len -= at;
	return true;
}

bool uplink_frames_read(struct uplink *u)
{
	uint32_t want = UPLINK_IN - u->in_len;
	ssize_t n = read(u->life->frames_fd, u->in + u->in_len, want);

	if (n < 0 && errno == EINTR)
		return true;
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0) {
		uplink_lost(u, "the NAT worker has closed its socket");
		return false;
	}
	u->in_len += (uint32_t)n;
	if (!deliver(u)) {
		uplink_lost(u, "the NAT worker sent a frame that cannot be");
		return false;
	}
	return (uint32_t)n == want;
}

/* ---- to the worker ---- */

static void keep(struct uplink *u, const uint8_t *data, size_t n)
{
	memcpy(u->out + u->out_len, data, n);
	u->out_len += (uint32_t)n;
}

static size_t room(struct uplink *u)
{
	if (u->out_at) {
		memmove(u->out, u->out + u->out_at, u->out_len - u->out_at);
		u->out_len -= u->out_at;
		u->out_at = 0;
	}
	return UPLINK_BACKLOG - u->out_len;
}

/* Of one run: whole frames as long as they fit, the others are dropped. */
static void keep_frames(struct uplink *u, const uint8_t *data, size_t n)
{
	size_t left = room(u), at = 0;

	while (n - at >= FRAME_PREFIX) {
		size_t len = FRAME_PREFIX + be32(data + at);

		if (len > left)
			u->tx_dropped++;
		else
			keep(u, data + at, len);
		left -= len > left ? 0 : len;
		at += len;
	}
}

/* What the socket took of the runs ends somewhere; that frame's rest must follow in any case. */
static void keep_rest(struct uplink *u, size_t taken)
{
	for (unsigned i = 0; i < u->runs; i++) {
		const uint8_t *data = u->run[i].iov_base;
		size_t n = u->run[i].iov_len, at = 0;

		if (taken >= n) {
			taken -= n;
			continue;
		}
		while (taken) {
			size_t len = FRAME_PREFIX + be32(data + at);

			if (taken < len) {
				keep(u, data + at + taken, len - taken);
				taken = len;
			}
			taken -= len;
			at += len;
		}
		keep_frames(u, data + at, n - at);
	}
}

void uplink_flush(struct uplink *u)
{
	struct msghdr msg = {.msg_iov = u->run, .msg_iovlen = u->runs};
	ssize_t n = 0;
	size_t all = 0;

	if (!u->runs || !u->life || u->life->ended) {
		u->runs = 0;
		return;
	}
	for (unsigned i = 0; i < u->runs; i++)
		all += u->run[i].iov_len;
	if (u->out_at == u->out_len) {
		u->out_at = u->out_len = 0;
		do
			n = sendmsg(u->life->frames_fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		while (n < 0 && errno == EINTR);
		if (n < 0 && errno != EAGAIN && errno != ENOBUFS) {
			u->runs = 0;
			uplink_lost(u, "the NAT worker has closed its socket");
			return;
		}
		if (n < 0)
			n = 0;
	}
	if ((size_t)n < all) {
		bool watched = u->out_len > u->out_at;

		keep_rest(u, (size_t)n);
		if (!watched && u->out_len)
			uplink_watch(u, true);
	}
	u->runs = 0;
}

void uplink_send(struct uplink *u, const struct frame *f)
{
	uint8_t *from = f->data - FRAME_PREFIX;
	struct iovec *last = u->runs ? &u->run[u->runs - 1] : NULL;

	if (!u->life || u->life->ended) {
		u->tx_dropped++;
		return;
	}
	from[0] = (uint8_t)(f->len >> 24);
	from[1] = (uint8_t)(f->len >> 16);
	from[2] = (uint8_t)(f->len >> 8);
	from[3] = (uint8_t)f->len;
	u->tx_frames++;
	u->tx_bytes += f->len;
	if (last && (uint8_t *)last->iov_base + last->iov_len == from) {
		last->iov_len += FRAME_PREFIX + f->len;
		return;
	}
	if (u->runs == UPLINK_RUNS)
		uplink_flush(u);
	u->run[u->runs++] = (struct iovec){from, FRAME_PREFIX + f->len};
}

void uplink_frames_write(struct uplink *u)
{
	while (u->out_at < u->out_len) {
		ssize_t n = send(u->life->frames_fd, u->out + u->out_at, u->out_len - u->out_at,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == ENOBUFS))
			return;
		if (n < 0) {
			uplink_lost(u, "the NAT worker has closed its socket");
			return;
		}
		u->out_at += (uint32_t)n;
	}
	u->out_at = u->out_len = 0;
	uplink_watch(u, false);
}
