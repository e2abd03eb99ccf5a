/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Links on socket pairs: a loop, a switch, up to KIT_MEMBERS members whose other ends are the
 * test's. Station i has the address 02:00:00:00:00:i; a frame carries its sequence number and a
 * pattern that depends on it, so that a byte out of place is seen.
 */
#ifndef TESTS_HOST_LINK_KIT_H
#define TESTS_HOST_LINK_KIT_H

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "host/netd/link.h"
#include "tests/unit/cm.h"

#define KIT_MEMBERS 24

struct member {
	struct link *link;
	int fd; /* the other end, non-blocking */
	unsigned closed;
	char why[96];
	/* Received as a stream and not looked at yet. */
	uint8_t *in;
	size_t have;
};

struct kit {
	uv_loop_t loop;
	struct sw *sw;
	uint32_t mtu;
	struct member m[KIT_MEMBERS];
};

#define KIT_IN (8u << 20)
static uint8_t kit_in[KIT_MEMBERS][KIT_IN];

static inline uint64_t kit_now(void *arg)
{
	return uv_now(arg);
}

static inline void kit_start(struct kit *k, uint32_t mtu)
{
	memset(k, 0, sizeof(*k));
	k->mtu = mtu;
	assert_int_equal(uv_loop_init(&k->loop), 0);
	k->sw = sw_create(&(struct sw_params){
		.mtu = mtu, .now_ms = kit_now, .arg = &k->loop, .broadcasts_per_s = 1000000});
	assert_non_null(k->sw);
	for (unsigned i = 0; i < KIT_MEMBERS; i++)
		k->m[i].fd = -1;
}

static inline void kit_closed(void *ctx, const char *why)
{
	struct member *m = ctx;

	m->closed++;
	(void)snprintf(m->why, sizeof(m->why), "%s", why);
	assert_null(strchr(why, '\n'));
}

/* The loop, for what is there to be done. */
static inline void kit_spin(struct kit *k)
{
	for (int i = 0; i < 8; i++)
		uv_run(&k->loop, UV_RUN_NOWAIT);
}

/* Fills in what a test leaves out. */
static inline bool kit_open_with(struct kit *k, unsigned i, struct link_params p)
{
	p.loop = &k->loop;
	p.sw = k->sw;
	p.owner = p.ctx = &k->m[i];
	p.closed = kit_closed;
	p.mtu = p.mtu ? p.mtu : k->mtu;
	k->m[i].link = link_open(&p);
	return k->m[i].link;
}

static inline void kit_pair(struct kit *k, unsigned i, int type, struct link_params p)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
	k->m[i] = (struct member){.fd = fd[1], .in = kit_in[i]};
	p.fd = fd[0];
	p.kind = type == SOCK_STREAM ? LINK_STREAM : LINK_DGRAM;
	assert_true(kit_open_with(k, i, p));
}

static inline void kit_open(struct kit *k, unsigned i)
{
	kit_pair(k, i, SOCK_STREAM, (struct link_params){0});
}

static inline void kit_hang_up(struct kit *k, unsigned i)
{
	if (k->m[i].fd >= 0)
		close(k->m[i].fd);
	k->m[i].fd = -1;
}

static inline void kit_close(struct kit *k, unsigned i)
{
	if (k->m[i].link)
		link_close(k->m[i].link);
	k->m[i].link = NULL;
	kit_hang_up(k, i);
}

static inline void kit_stop(struct kit *k)
{
	for (unsigned i = 0; i < KIT_MEMBERS; i++)
		kit_close(k, i);
	uv_run(&k->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&k->loop), 0);
	sw_destroy(k->sw);
}

static inline struct link_stats kit_stats(struct kit *k, unsigned i)
{
	struct link_stats s;

	link_stats(k->m[i].link, &s);
	return s;
}

/* ---- frames ---- */

static inline void kit_mac(unsigned i, uint8_t mac[6])
{
	const uint8_t m[6] = {2, 0, 0, 0, (uint8_t)(i >> 8), (uint8_t)i};

	memcpy(mac, m, 6);
}

static inline void kit_be32(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 24);
	at[1] = (uint8_t)(v >> 16);
	at[2] = (uint8_t)(v >> 8);
	at[3] = (uint8_t)v;
}

static inline uint32_t kit_get32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

#define KIT_ALL 0xffffu /* as a destination: everybody */

/* With its length before it; returns the bytes. len: of the frame, at least 18. */
static inline uint32_t kit_frame(uint8_t *at, unsigned src, unsigned dst, uint32_t seq,
				 uint32_t len)
{
	kit_be32(at, len);
	at += 4;
	if (dst == KIT_ALL)
		memset(at, 0xff, 6);
	else
		kit_mac(dst, at);
	kit_mac(src, at + 6);
	at[12] = 0x88;
	at[13] = 0xb5;
	kit_be32(at + 14, seq);
	for (uint32_t i = 18; i < len; i++)
		at[i] = (uint8_t)(seq * 7 + i);
	return 4 + len;
}

/* Whether it is as kit_frame made it; its sequence number. */
static inline uint32_t kit_check(const uint8_t *at, uint32_t len)
{
	uint32_t seq;

	assert_true(len >= 18);
	seq = kit_get32(at + 14);
	for (uint32_t i = 18; i < len; i++)
		if (at[i] != (uint8_t)(seq * 7 + i))
			fail_msg("frame %u of %u bytes: byte %u is %02x", seq, len, i, at[i]);
	return seq;
}

/* All of these bytes, with the loop running while the socket is full. */
static inline void kit_write(struct kit *k, unsigned i, const void *data, size_t len)
{
	const uint8_t *at = data;

	for (unsigned idle = 0; len; idle++) {
		ssize_t n = send(k->m[i].fd, at, len, MSG_NOSIGNAL);

		if (n > 0) {
			at += n;
			len -= (size_t)n;
			idle = 0;
		} else if (n < 0 && errno == EAGAIN) {
			assert_true(idle < 100000);
			uv_run(&k->loop, UV_RUN_NOWAIT);
		} else {
			return; /* hung up: the test looks at that */
		}
	}
}

static inline void kit_send(struct kit *k, unsigned src, unsigned dst, uint32_t seq, uint32_t len)
{
	static uint8_t at[4 + FRAME_STREAM_MAX];

	kit_write(k, src, at, kit_frame(at, src, dst, seq, len));
}

/* What is there to be read, behind what was left. */
static inline void kit_recv(struct member *m)
{
	for (;;) {
		ssize_t n = recv(m->fd, m->in + m->have, KIT_IN - m->have, 0);

		if (n <= 0)
			return;
		m->have += (size_t)n;
	}
}

/* The next whole frame of a stream; 0: none. Its data are at m->in + 4 until the next call. */
static inline uint32_t kit_next(struct member *m, uint32_t *consumed)
{
	uint32_t len;

	if (m->have - *consumed < 4)
		return 0;
	len = kit_get32(m->in + *consumed);
	assert_in_range(len, 1, FRAME_STREAM_MAX);
	if (m->have - *consumed - 4 < len)
		return 0;
	*consumed += 4 + len;
	return len;
}

static inline void kit_consume(struct member *m, uint32_t n)
{
	memmove(m->in, m->in + n, m->have - n);
	m->have -= n;
}

/*
 * Looks at all whole frames that member i has got by now; they must be right. Returns how many;
 * their sequence numbers must rise from *seq on (NULL: do not look).
 */
static inline unsigned kit_got(struct kit *k, unsigned i, uint32_t *seq)
{
	struct member *m = &k->m[i];
	uint32_t at = 0, before = 0, len;
	unsigned n = 0;

	kit_recv(m);
	for (; (len = kit_next(m, &at)); before = at, n++) {
		uint32_t s = kit_check(m->in + before + 4, len);

		if (seq) {
			if (s < *seq)
				fail_msg("frame %u after %u", s, *seq - 1);
			*seq = s + 1;
		}
	}
	kit_consume(m, before);
	return n;
}

#endif
