/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plane_bench [--size BYTES] [--burst FRAMES] [--seconds S] [--dgram] [--members N]...
 *
 * The data plane alone: one process, a switch with N members on socket pairs, one thread that sends
 * as the first member, one that receives as the second; the others are there and silent. For each N
 * one line: frames a second that arrived, and what the switch's thread spent on each frame it took
 * in. To be looked at with perf; what members get from whole daemons is bench/host/run's business.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "host/netd/link.h"

#define MEMBERS_MAX 255u
#define BURST_MAX   256u
#define SINK	    (1u << 20)

static struct {
	unsigned size, burst;
	double seconds;
	bool dgram;
} options = {.size = 1514, .burst = 32, .seconds = 2};

static uv_loop_t loop;
static struct link *links[MEMBERS_MAX];
static int ends[MEMBERS_MAX];
static atomic_bool stop;
static atomic_ullong received;

static uint64_t clock_ms(void *arg)
{
	return uv_now(arg);
}

static void die(const char *what)
{
	(void)fprintf(stderr, "plane_bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void on_closed(void *ctx, const char *why)
{
	(void)ctx;
	(void)fprintf(stderr, "plane_bench: a link ended: %s\n", why);
	exit(1);
}

static void address(unsigned i, uint8_t mac[6])
{
	memcpy(mac, (const uint8_t[6]){2, 0, 0, 0, 0, (uint8_t)i}, 6);
}

static uint32_t frame(uint8_t *at, unsigned src, int dst)
{
	at[0] = at[1] = 0;
	at[2] = (uint8_t)(options.size >> 8);
	at[3] = (uint8_t)options.size;
	memset(at + 4, 0xff, options.size);
	if (dst >= 0)
		address((unsigned)dst, at + 4);
	address(src, at + 10);
	return options.size + 4;
}

static void *sender(void *arg)
{
	uint8_t *block = malloc((size_t)BURST_MAX * (4 + FRAME_MAX));
	uint32_t len = 0;

	(void)arg;
	if (!block)
		die("memory");
	for (unsigned i = 0; i < options.burst; i++)
		len += frame(block + len, 0, 1);
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		uint32_t at = 0;

		while (at < len && !atomic_load_explicit(&stop, memory_order_relaxed)) {
			ssize_t n = options.dgram
					    ? send(ends[0], block + 4, options.size, MSG_NOSIGNAL)
					    : send(ends[0], block + at, len - at, MSG_NOSIGNAL);

			if (n <= 0 && atomic_load(&stop))
				break;
			if (n <= 0)
				die("send");
			at += options.dgram ? options.size + 4 : (uint32_t)n;
		}
	}
	free(block);
	return NULL;
}

static void *receiver(void *arg)
{
	uint8_t *sink = malloc(SINK);
	uint64_t bytes = 0;

	(void)arg;
	if (!sink)
		die("memory");
	for (;;) {
		ssize_t n = recv(ends[1], sink, SINK, 0);

		if (n <= 0)
			break;
		bytes += (uint64_t)n;
		atomic_store_explicit(&received, bytes / (options.size + (options.dgram ? 0 : 4u)),
				      memory_order_relaxed);
	}
	free(sink);
	return NULL;
}

static void on_timer(uv_timer_t *timer)
{
	(void)timer;
	uv_stop(&loop);
}

static double cpu(void)
{
	struct rusage r;

	(void)getrusage(RUSAGE_THREAD, &r);
	return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
	       (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1e-6;
}

static void run_for(uv_timer_t *timer, double seconds)
{
	(void)uv_timer_start(timer, on_timer, (uint64_t)(seconds * 1000), 0);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
}

static void measure(unsigned members)
{
	struct sw *sw;
	pthread_t threads[2];
	uv_timer_t timer;
	struct link_stats a, b, out;
	uint64_t from, to;
	double spent, began, took;

	if (uv_loop_init(&loop) || uv_timer_init(&loop, &timer))
		die("loop");
	sw = sw_create(&(struct sw_params){.mtu = FRAME_MTU_MAX, .now_ms = clock_ms, .arg = &loop});
	if (!sw)
		die("memory");
	for (unsigned i = 0; i < members; i++) {
		uint8_t hello[4 + FRAME_MAX];
		uint32_t len = frame(hello, i, -1);
		int fd[2], size = 1 << 20;

		if (socketpair(AF_UNIX, options.dgram ? SOCK_DGRAM : SOCK_STREAM, 0, fd))
			die("socketpair");
		(void)setsockopt(fd[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		ends[i] = fd[1];
		links[i] = link_open(
			&(struct link_params){.loop = &loop,
					      .sw = sw,
					      .fd = fd[0],
					      .kind = options.dgram ? LINK_DGRAM : LINK_STREAM,
					      .mtu = FRAME_MTU_MAX,
					      .closed = on_closed});
		if (!links[i])
			die("link");
		if (send(fd[1], hello + (options.dgram ? 4 : 0), len - (options.dgram ? 4 : 0),
			 0) <= 0)
			die("send");
	}
	run_for(&timer, 0.05);
	atomic_store(&stop, false);
	if (pthread_create(&threads[0], NULL, sender, NULL) ||
	    pthread_create(&threads[1], NULL, receiver, NULL))
		die("thread");
	run_for(&timer, 0.3);
	link_stats(links[0], &a);
	from = atomic_load(&received);
	spent = cpu();
	began = (double)uv_hrtime() * 1e-9;
	run_for(&timer, options.seconds);
	took = (double)uv_hrtime() * 1e-9 - began;
	spent = cpu() - spent;
	to = atomic_load(&received);
	link_stats(links[0], &b);
	link_stats(links[1], &out);
	atomic_store(&stop, true);
	/* The sender may be in send(): take from it until it has seen. */
	(void)shutdown(ends[1], SHUT_RDWR);
	(void)shutdown(ends[0], SHUT_WR);
	(void)printf(
		"%7u  %9.0f  %8.2f  %9.0f  %10.0f  %6.1f  %7.0f  %8llu\n", members,
		(double)(to - from) / took, (double)(to - from) / took * options.size * 8 * 1e-9,
		(double)(b.port.rx_frames - a.port.rx_frames) / took,
		spent * 1e9 / (double)(b.port.rx_frames - a.port.rx_frames), 100 * spent / took,
		(double)(b.port.rx_frames - a.port.rx_frames) / (double)(b.reads - a.reads),
		(unsigned long long)out.port.tx_dropped);
	(void)fflush(stdout);
	for (unsigned i = 0; i < members; i++)
		link_close(links[i]);
	(void)pthread_join(threads[1], NULL);
	(void)pthread_join(threads[0], NULL);
	for (unsigned i = 0; i < members; i++)
		(void)close(ends[i]);
	uv_close((uv_handle_t *)&timer, NULL);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&loop);
	sw_destroy(sw);
}

static unsigned number(const char *text, unsigned least, unsigned most)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end || n < least || n > most) {
		(void)fprintf(stderr, "plane_bench: %s: a number in %u..%u is wanted\n", text,
			      least, most);
		exit(2);
	}
	return (unsigned)n;
}

int main(int argc, char **argv)
{
	static const unsigned usual[] = {2, 8, 24};
	unsigned members[16], n = 0;

	for (int i = 1; i < argc; i++) {
		bool more = i + 1 < argc;

		if (!strcmp(argv[i], "--size") && more) {
			options.size = number(argv[++i], FRAME_ETH, 65534);
		} else if (!strcmp(argv[i], "--burst") && more) {
			options.burst = number(argv[++i], 1, BURST_MAX);
		} else if (!strcmp(argv[i], "--seconds") && more) {
			options.seconds = number(argv[++i], 1, 3600);
		} else if (!strcmp(argv[i], "--members") && more && n < 16) {
			members[n++] = number(argv[++i], 2, MEMBERS_MAX);
		} else if (!strcmp(argv[i], "--dgram")) {
			options.dgram = true;
		} else {
			(void)fprintf(stderr, "usage: plane_bench [--size BYTES] [--burst FRAMES] "
					      "[--seconds S] [--dgram] [--members N]...\n");
			return 2;
		}
	}
	(void)printf("members   frames/s    Gbit/s  taken in/s  ns a frame   CPU %%  frames/"
		     "read  dropped\n");
	for (unsigned i = 0; i < (n ? n : 3); i++)
		measure(n ? members[i] : usual[i]);
	return 0;
}
