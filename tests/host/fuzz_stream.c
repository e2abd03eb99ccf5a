/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libFuzzer over a stream link: bytes in, in pieces, as a member's socket brings them.
 *
 * The first byte of an input says how: large frames or not, a takeover or not, how the bytes are
 * cut, and whether the peer hangs up. The frames that the switch is given must be those that a
 * plain reading of the same bytes gives, unless the beginning has to be searched for. A link ends
 * where a length is wrong, and only there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/netd/link.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define LARGE	 0x01u
#define TAKEOVER 0x02u
#define DRIBBLE	 0x04u
#define HANG_UP	 0x08u
#define CUTS	 40u

static unsigned frames, closed;
static uint64_t sum;

static void check(bool ok)
{
	if (!ok)
		abort();
}

static uint64_t clock_ms(void *arg)
{
	return uv_now(arg);
}

/* Order counts. */
static void add(const uint8_t *data, uint32_t len)
{
	frames++;
	sum = sum * 31 + len;
	for (uint32_t i = 0; i < len; i++)
		sum = sum * 31 + data[i];
}

static void on_tap(void *ctx, const struct sw_port *port, bool from_port, const struct frame *f)
{
	(void)ctx;
	(void)port;
	check(from_port);
	add(f->data, f->len);
}

static void on_closed(void *ctx, const char *why)
{
	(void)ctx;
	check(*why && !strchr(why, '\n'));
	closed++;
}

/* Reads the same bytes in the plainest way. Whether a length in them is wrong. */
static bool plain(const uint8_t *data, size_t len, uint32_t mtu)
{
	static uint8_t memory[FRAME_STREAM_MAX];
	struct span s = span_of(data, len), body;
	size_t at = 0;
	uint32_t n;

	for (; span_be32(s, at, &n); at += n) {
		struct frame f = {memory, n};

		at += 4;
		if (!n || n > FRAME_STREAM_MAX)
			return true;
		if (!span_sub(s, at, n, &body))
			break;
		memcpy(memory, body.data, n);
		if (frame_valid(&f, mtu))
			add(memory, n);
	}
	return false;
}

static void turn(uv_loop_t *loop)
{
	for (int i = 0; i < 2; i++)
		uv_run(loop, UV_RUN_NOWAIT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	static uv_loop_t loop;
	static struct sw *all[2];
	uint8_t how;
	uint32_t mtu;
	struct sw *sw;
	struct link *link;
	uint64_t got;
	unsigned got_frames;
	bool wrong;
	int fd[2];

	if (!len)
		return 0;
	how = *data++;
	len--;
	mtu = how & LARGE ? 65520 : 1500;
	frames = closed = 0;
	sum = 0;
	if (!all[0]) {
		check(!uv_loop_init(&loop));
		for (int i = 0; i < 2; i++) {
			all[i] = sw_create(&(struct sw_params){
				.mtu = i ? 65520 : 1500, .now_ms = clock_ms, .arg = &loop});
			check(all[i] && sw_tap_add(all[i], on_tap, NULL));
		}
	}
	sw = all[how & LARGE];
	check(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd));
	link = link_open(&(struct link_params){.loop = &loop,
					       .sw = sw,
					       .fd = fd[0],
					       .kind = LINK_STREAM,
					       .mtu = mtu,
					       .backlog = 4096,
					       .resync = how & TAKEOVER,
					       .mac = how & TAKEOVER ? mac : NULL,
					       .closed = on_closed});
	check(link);
	for (size_t at = 0, n, cuts = 0; at < len && !closed; at += n, cuts++) {
		/* The cuts come out of the bytes themselves. */
		n = how & DRIBBLE ? 1 + data[at] % 16u : 1 + (size_t)data[at] * 64;
		n = n < len - at && cuts < CUTS ? n : len - at;
		check(send(fd[1], data + at, n, MSG_NOSIGNAL) == (ssize_t)n);
		turn(&loop);
	}
	if (how & HANG_UP)
		close(fd[1]);
	turn(&loop);
	got = sum;
	got_frames = frames;
	frames = 0;
	sum = 0;
	wrong = plain(data, len, mtu);
	check(closed <= 1);
	if (!(how & TAKEOVER)) {
		check(got == sum && got_frames == frames);
		check(closed == (wrong || how & HANG_UP));
	}
	link_close(link);
	turn(&loop);
	check(closed <= 1);
	if (!(how & HANG_UP))
		close(fd[1]);
	uv_run(&loop, UV_RUN_DEFAULT);
	return 0;
}
