/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/netd/link_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define NS_PER_MS   UINT64_C(1000000)
#define NS_PER_S    UINT64_C(1000000000)
#define RETRY_NS    NS_PER_MS /* the kernel is short of memory */
#define QUANTUM_NS  (2 * NS_PER_MS)
#define BURST_NS    (20 * NS_PER_MS)  /* the burst that is chosen from a rate */
#define BACKLOG_NS  (200 * NS_PER_MS) /* what may wait at a rate */
#define BACKLOG_MIN (64u << 10)
#define READ_MIN    2048u /* debt is better than many small reads */
#define LAST_READS  64	  /* of what a peer left that is gone */
#define SECOND_MS   1000u

static const struct link_ops *const kinds[] = {
	[LINK_STREAM] = &link_stream_ops,
	[LINK_DGRAM] = &link_dgram_ops,
};

static void on_poll(uv_poll_t *poll, int status, int events);
static void on_timer(uv_timer_t *timer);

/* Tells libuv what is waited for, if that has changed. */
static void watch(struct link *l)
{
	int events = 0;

	if (!l->over)
		events = (l->paused ? 0 : UV_READABLE) | (l->blocked ? UV_WRITABLE : 0);
	if (events == l->events)
		return;
	l->events = events;
	if (events)
		uv_poll_start(&l->poll, events, on_poll);
	else
		uv_poll_stop(&l->poll);
}

/* What a peer that is gone has sent before; then the link is over. */
static void read_last(struct link *l)
{
	for (int i = 0; i < LAST_READS && !l->over; i++)
		l->ops->read(l, 0);
	link_fail(l, "peer closed");
}

static void on_end(uv_idle_t *idle)
{
	struct link *l = idle->data;

	uv_idle_stop(idle);
	if (l->over)
		l->closed(l->ctx, l->why);
	else
		read_last(l);
}

void link_fail(struct link *l, const char *format, ...)
{
	va_list args;

	if (l->over)
		return;
	l->over = l->held = true;
	va_start(args, format);
	vsnprintf(l->why, sizeof(l->why), format, args);
	va_end(args);
	watch(l);
	uv_timer_stop(&l->timer);
	uv_timer_stop(&l->second);
	uv_idle_start(&l->end, on_end);
}

void link_gone(struct link *l)
{
	if (l->over || l->gone)
		return;
	l->gone = l->held = true;
	uv_idle_start(&l->end, on_end);
}

static void arm(struct link *l, uint64_t wait_ns)
{
	uint64_t ms = (wait_ns + NS_PER_MS - 1) / NS_PER_MS;

	ms = ms ? ms : 1;
	if (!uv_is_active((uv_handle_t *)&l->timer) || uv_timer_get_due_in(&l->timer) > ms)
		uv_timer_start(&l->timer, on_timer, ms, 0);
}

void link_blocked(struct link *l, int error)
{
	switch (error) {
	case EINTR:
	case EAGAIN:
		l->blocked = true;
		break;
	case ENOBUFS:
	case ENOMEM:
		/* Nobody tells when there is memory again. */
		arm(l, RETRY_NS);
		break;
	case EPIPE:
	case ECONNRESET:
		link_gone(l);
		break;
	default:
		link_fail(l, "write: %s", strerror(error));
	}
}

void link_drop(struct link *l, uint32_t frame_len)
{
	l->stats->tx_frames--;
	l->stats->tx_bytes -= frame_len;
	l->stats->tx_dropped++;
}

void link_queue(struct link *l, const uint8_t *at, uint32_t len)
{
	if (l->over || l->gone || !backlog_put(&l->backlog, at, len))
		link_drop(l, len - FRAME_PREFIX);
}

void link_drain(struct link *l)
{
	uint32_t left = LINK_DRAIN_MAX;

	while (l->backlog.used && !l->blocked && !l->over && !l->gone) {
		uint32_t n = left;

		if (!left) {
			/* The others first; it will be said at once that this one is writable. */
			l->blocked = true;
			break;
		}
		if (l->rate) {
			int64_t level = bucket_level(&l->out, uv_hrtime());

			if (level <= 0) {
				arm(l, bucket_wait(&l->out, l->quantum));
				break;
			}
			n = level < n ? (uint32_t)level : n;
		}
		n = l->ops->write(l, n);
		if (!n)
			break;
		if (l->rate)
			bucket_take(&l->out, n);
		left -= n < left ? n : left;
	}
	watch(l);
}

void link_charge(struct link *l, uint64_t bytes)
{
	if (l->rate)
		bucket_take(&l->in, bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX);
}

static uint32_t clamp(uint64_t value, uint32_t least, uint32_t most)
{
	if (value < least)
		return least;
	return value > most ? most : (uint32_t)value;
}

static void take_in(struct link *l)
{
	uint32_t limit = 0;

	if (l->rate) {
		int64_t level = bucket_level(&l->in, uv_hrtime());

		if (level <= 0) {
			l->paused = true;
			arm(l, bucket_wait(&l->in, l->quantum));
			return;
		}
		limit = clamp((uint64_t)level, READ_MIN, LINK_READ_MAX);
	}
	l->paused = false;
	l->ops->read(l, limit);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct link *l = poll->data;

	if (status < 0) {
		/* libuv has stopped the handle. What the peer sent before is still to be read. */
		l->events = 0;
		read_last(l);
		return;
	}
	if (events & UV_WRITABLE) {
		l->blocked = false;
		link_drain(l);
	}
	if (events & UV_READABLE && !l->over)
		take_in(l);
	watch(l);
}

static void on_timer(uv_timer_t *timer)
{
	struct link *l = timer->data;

	link_drain(l);
	if (l->paused && !l->over)
		take_in(l);
	watch(l);
}

static void on_second(uv_timer_t *timer)
{
	struct link *l = timer->data;

	l->ops->tick(l);
}

/* Bytes that a rate carries in so many nanoseconds. */
static uint64_t carried(uint64_t rate_bps, uint64_t ns)
{
	return rate_bps / 8 / (NS_PER_S / ns);
}

static void set_rate(struct link *l, uint64_t rate_bps, uint32_t burst)
{
	uint64_t now = uv_hrtime();
	uint32_t frame = l->len_max;

	if (rate_bps > BUCKET_RATE_MAX)
		rate_bps = BUCKET_RATE_MAX;
	l->rate = rate_bps;
	l->held = l->over || l->gone || rate_bps;
	l->backlog.cap = l->backlog_max;
	if (!rate_bps)
		return;
	if (!burst)
		burst = clamp(carried(rate_bps, BURST_NS), 2 * frame, BUCKET_BURST_MAX);
	bucket_init(&l->in, rate_bps, burst, now);
	bucket_init(&l->out, rate_bps, burst, now);
	l->quantum = clamp(carried(rate_bps, QUANTUM_NS), 1, burst);
	/* More than this would only be late; but a whole frame must always fit. */
	if (l->backlog_max > BACKLOG_MIN + frame)
		l->backlog.cap = clamp(carried(rate_bps, BACKLOG_NS) + burst, BACKLOG_MIN + frame,
				       l->backlog_max);
}

void link_set_rate(struct link *l, uint64_t rate_bps, uint32_t burst)
{
	if (l->over)
		return;
	set_rate(l, rate_bps, burst);
	l->paused = false;
	link_drain(l);
}

void link_sockbuf(int fd)
{
	const int size = LINK_SOCKBUF;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

static bool start(struct link *l, const struct link_params *params)
{
	struct sw_port_params port = {
		.role = SW_MEMBER,
		.ops = &l->ops->port,
		.ctx = l,
		.owner = params->owner,
		.mac = params->mac,
		.lock_mac = params->lock_mac,
	};
	int flags = fcntl(l->fd, F_GETFL), error;

	if (flags < 0 || fcntl(l->fd, F_SETFL, flags | O_NONBLOCK) ||
	    fcntl(l->fd, F_SETFD, FD_CLOEXEC) || !l->ops->open(l, params))
		return false;
	l->backlog_max = params->backlog ? params->backlog : LINK_BACKLOG_MAX;
	if (!backlog_init(&l->backlog, l->backlog_max)) {
		errno = ENOMEM;
		return false;
	}
	l->backlog_max = l->backlog.cap;
	l->port = sw_port_add(params->sw, &port);
	if (!l->port) {
		errno = ENOSPC;
		return false;
	}
	l->stats = sw_port_stats(l->port);
	error = uv_poll_init(params->loop, &l->poll, l->fd);
	if (error) {
		errno = -error;
		return false;
	}
	uv_timer_init(params->loop, &l->timer);
	uv_timer_init(params->loop, &l->second);
	uv_idle_init(params->loop, &l->end);
	l->handles = 4;
	l->poll.data = l->timer.data = l->second.data = l->end.data = l;
	return true;
}

static void release(struct link *l)
{
	l->ops->release(l);
	backlog_free(&l->backlog);
	free(l);
}

struct link *link_open(const struct link_params *params)
{
	const struct link_ops *ops = kinds[params->kind];
	struct link *l = calloc(1, ops->size);
	int error;

	if (!l) {
		close(params->fd);
		errno = ENOMEM;
		return NULL;
	}
	l->ops = ops;
	l->fd = params->fd;
	l->mtu = params->mtu;
	l->len_max = params->mtu + FRAME_ETH + FRAME_VLAN;
	l->closed = params->closed;
	l->ctx = params->ctx;
	if (!start(l, params)) {
		error = errno;
		if (l->port)
			sw_port_remove(l->port);
		close(l->fd);
		release(l);
		errno = error;
		return NULL;
	}
	set_rate(l, params->rate_bps, params->burst);
	if (ops->tick && params->unconnected)
		uv_timer_start(&l->second, on_second, SECOND_MS, SECOND_MS);
	watch(l);
	return l;
}

static void on_closed(uv_handle_t *handle)
{
	struct link *l = handle->data;

	if (!--l->handles)
		release(l);
}

void link_close(struct link *l)
{
	sw_port_remove(l->port);
	l->port = NULL;
	l->over = l->held = true;
	uv_close((uv_handle_t *)&l->poll, on_closed);
	uv_close((uv_handle_t *)&l->timer, on_closed);
	uv_close((uv_handle_t *)&l->second, on_closed);
	uv_close((uv_handle_t *)&l->end, on_closed);
	close(l->fd);
}

void link_set_up(struct link *l, bool up)
{
	if (!up)
		l->stats->tx_dropped += backlog_clear(&l->backlog);
	sw_port_link(l->port, up);
}

struct sw_port *link_port(struct link *l)
{
	return l->port;
}

void link_stats(const struct link *l, struct link_stats *out)
{
	*out = (struct link_stats){
		.port = *l->stats,
		.backlog_bytes = l->backlog.used,
		.backlog_max = l->backlog.most,
		.reads = l->reads,
		.writes = l->writes,
		.skipped = l->skipped,
	};
}
