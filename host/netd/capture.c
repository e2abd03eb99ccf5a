/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A regular file always takes what is written, so it is written at once and needs no watching (nor
 * can epoll watch it); a pipe or socket is watched while something waits.
 */
#include "host/netd/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NAME_MAX_LEN 64u
#define LAST_WAIT_MS 2000u /* after it was closed, for what waits */
#define FLUSH_AT     65536u
#define RESERVE	     (64u * CAPTURE_INTERFACES) /* of the buffer: the statistics fit always */

#define BLOCK_SECTION	  0x0a0d0d0au
#define BLOCK_INTERFACE	  1u
#define BLOCK_STATISTICS  5u
#define BLOCK_PACKET	  6u
#define BYTE_ORDER_MAGIC  0x1a2b3c4du
#define LINKTYPE_ETHERNET 1u
#define OPT_END		  0u
#define OPT_IF_NAME	  2u
#define OPT_IF_TSRESOL	  9u
#define OPT_EPB_FLAGS	  2u
#define OPT_ISB_IFRECV	  4u
#define OPT_ISB_IFDROP	  5u
#define INBOUND		  1u
#define OUTBOUND	  2u

struct capture {
	uv_poll_t poll;
	uv_timer_t timer; /* a file: what waits goes out with the next turn */
	int fd;
	bool watched, over, polling;
	bool closing; /* by its owner; what waits still goes out */
	unsigned handles;
	uint8_t *buf;
	size_t len, done; /* of the buffer; written of it */
	uint64_t count, frames;
	unsigned ninterfaces;
	struct {
		char name[NAME_MAX_LEN];
		uint64_t seen, dropped;
	} interface[CAPTURE_INTERFACES];
	void (*ended)(void *ctx, const char *why);
	void *ctx;
	char why[96];
};

/* ---- blocks: in this machine's byte order, which the section header tells ---- */

static void put32(struct capture *c, uint32_t v)
{
	memcpy(c->buf + c->len, &v, 4);
	c->len += 4;
}

static void put_bytes(struct capture *c, const void *data, size_t n)
{
	if (n)
		memcpy(c->buf + c->len, data, n);
	c->len += n;
	while (c->len & 3)
		c->buf[c->len++] = 0;
}

static void put_option(struct capture *c, uint16_t code, const void *data, uint16_t n)
{
	memcpy(c->buf + c->len, &code, 2);
	memcpy(c->buf + c->len + 2, &n, 2);
	c->len += 4;
	put_bytes(c, data, n);
}

static bool room(const struct capture *c, size_t n)
{
	return CAPTURE_BUFFER - RESERVE - c->len >= n;
}

/* A block's total length stands at its beginning and its end. */
static size_t block_begin(struct capture *c, uint32_t type)
{
	size_t at = c->len;

	put32(c, type);
	put32(c, 0);
	return at;
}

static void block_end(struct capture *c, size_t at)
{
	uint32_t len = (uint32_t)(c->len - at + 4);

	put32(c, len);
	memcpy(c->buf + at + 4, &len, 4);
}

static void put_section(struct capture *c)
{
	size_t at = block_begin(c, BLOCK_SECTION);
	static const uint16_t version[2] = {1, 0};

	put32(c, BYTE_ORDER_MAGIC);
	put_bytes(c, version, sizeof(version));
	put32(c, UINT32_MAX); /* of unknown length */
	put32(c, UINT32_MAX);
	block_end(c, at);
}

static void put_time(struct capture *c)
{
	struct timespec ts;
	uint64_t ns;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	put32(c, (uint32_t)(ns >> 32));
	put32(c, (uint32_t)ns);
}

static void put_interface(struct capture *c, const char *name)
{
	static const uint8_t nanoseconds = 9;
	size_t at = block_begin(c, BLOCK_INTERFACE);

	put32(c, LINKTYPE_ETHERNET);
	put32(c, FRAME_MAX);
	put_option(c, OPT_IF_NAME, name, (uint16_t)strlen(name));
	put_option(c, OPT_IF_TSRESOL, &nanoseconds, 1);
	put_option(c, OPT_END, NULL, 0);
	block_end(c, at);
}

static void put_statistics(struct capture *c, unsigned i)
{
	size_t at = block_begin(c, BLOCK_STATISTICS);

	put32(c, i);
	put_time(c);
	put_option(c, OPT_ISB_IFRECV, &c->interface[i].seen, 8);
	put_option(c, OPT_ISB_IFDROP, &c->interface[i].dropped, 8);
	put_option(c, OPT_END, NULL, 0);
	block_end(c, at);
}

/* ---- out ---- */

static void on_timer(uv_timer_t *timer);

static void fail(struct capture *c, const char *why)
{
	if (why && !c->why[0])
		(void)snprintf(c->why, sizeof(c->why), "%s", why);
	if (c->over)
		return;
	c->over = true;
	(void)uv_timer_start(&c->timer, on_timer, 0, 0);
}

static void write_out(struct capture *c)
{
	while (c->done < c->len && !c->why[0]) {
		ssize_t n = write(c->fd, c->buf + c->done, c->len - c->done);

		if (n > 0)
			c->done += (size_t)n;
		else if (n < 0 && errno == EAGAIN)
			break;
		else if (n < 0 && errno != EINTR)
			fail(c, strerror(errno));
	}
	if (c->done == c->len) {
		c->len = c->done = 0;
	} else if (c->done > CAPTURE_BUFFER / 2) {
		memmove(c->buf, c->buf + c->done, c->len - c->done);
		c->len -= c->done;
		c->done = 0;
	}
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void watch(struct capture *c)
{
	bool want = c->watched && c->len && !c->why[0];

	if (want && !c->polling)
		(void)uv_poll_start(&c->poll, UV_WRITABLE, on_poll);
	else if (!want && c->polling)
		(void)uv_poll_stop(&c->poll);
	c->polling = want;
}

static void on_closed(uv_handle_t *handle)
{
	struct capture *c = handle->data;

	if (--c->handles)
		return;
	(void)close(c->fd);
	free(c->buf);
	free(c);
}

static void end(struct capture *c)
{
	uv_close((uv_handle_t *)&c->timer, on_closed);
	if (c->watched)
		uv_close((uv_handle_t *)&c->poll, on_closed);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct capture *c = poll->data;

	(void)events;
	if (status < 0)
		fail(c, "the reader is gone");
	write_out(c);
	watch(c);
	if (c->closing && !c->polling)
		end(c);
}

static void on_timer(uv_timer_t *timer)
{
	struct capture *c = timer->data;

	if (c->closing) {
		end(c);
	} else if (c->over) {
		c->ended(c->ctx, c->why[0] ? c->why : NULL);
	} else {
		write_out(c);
		watch(c);
	}
}

/* What came in this turn of the loop goes out with the next, in one piece. */
static void later(struct capture *c)
{
	if (c->len - c->done >= FLUSH_AT)
		write_out(c);
	if (!c->over && !c->polling && !uv_is_active((uv_handle_t *)&c->timer))
		(void)uv_timer_start(&c->timer, on_timer, 1, 0);
}

/* ---- life ---- */

struct capture *capture_open(uv_loop_t *loop, int fd, uint64_t count,
			     void (*ended)(void *ctx, const char *why), void *ctx)
{
	struct capture *c = calloc(1, sizeof(*c));
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (c)
		c->buf = malloc(CAPTURE_BUFFER);
	if (!c || !c->buf || flags < 0 || fstat(fd, &st) != 0 ||
	    uv_timer_init(loop, &c->timer) != 0) {
		if (c)
			free(c->buf);
		free(c);
		(void)close(fd);
		errno = errno ? errno : ENOMEM;
		return NULL;
	}
	c->fd = fd;
	c->count = count;
	c->ended = ended;
	c->ctx = ctx;
	c->handles = 1;
	c->timer.data = c;
	(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	if (!S_ISREG(st.st_mode) && uv_poll_init(loop, &c->poll, fd) == 0) {
		c->watched = true;
		c->poll.data = c;
		c->handles++;
	}
	put_section(c);
	later(c);
	return c;
}

int capture_interface(struct capture *c, const char *name)
{
	for (unsigned i = 0; i < c->ninterfaces; i++)
		if (!strcmp(c->interface[i].name, name))
			return (int)i;
	if (c->ninterfaces == CAPTURE_INTERFACES || !room(c, 256))
		return -1;
	(void)snprintf(c->interface[c->ninterfaces].name, NAME_MAX_LEN, "%s", name);
	put_interface(c, c->interface[c->ninterfaces].name);
	later(c);
	return (int)c->ninterfaces++;
}

void capture_frame(struct capture *c, int interface, bool from_member, const struct frame *f)
{
	uint32_t flags = from_member ? OUTBOUND : INBOUND;
	size_t at;

	if (c->over || interface < 0 || (unsigned)interface >= c->ninterfaces ||
	    f->len > FRAME_STREAM_MAX)
		return;
	if (!room(c, (size_t)f->len + 64)) {
		c->interface[interface].dropped++;
		return;
	}
	c->interface[interface].seen++;
	at = block_begin(c, BLOCK_PACKET);
	put32(c, (uint32_t)interface);
	put_time(c);
	put32(c, f->len);
	put32(c, f->len);
	put_bytes(c, f->data, f->len);
	put_option(c, OPT_EPB_FLAGS, &flags, 4);
	put_option(c, OPT_END, NULL, 0);
	block_end(c, at);
	c->frames++;
	if (c->count && c->frames == c->count) {
		write_out(c);
		fail(c, NULL);
		return;
	}
	later(c);
}

uint64_t capture_frames(const struct capture *c)
{
	return c->frames;
}

void capture_close(struct capture *c)
{
	c->over = c->closing = true;
	write_out(c);
	if (c->done) {
		memmove(c->buf, c->buf + c->done, c->len - c->done);
		c->len -= c->done;
		c->done = 0;
	}
	for (unsigned i = 0; i < c->ninterfaces; i++)
		put_statistics(c, i);
	write_out(c);
	watch(c);
	(void)uv_timer_start(&c->timer, on_timer, c->polling ? LAST_WAIT_MS : 0, 0);
}
