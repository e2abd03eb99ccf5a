/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libFuzzer over the NAT worker: a member's frames through filter, reassembly, relay, merging and
 * libslirp itself (D-15).
 *
 * An input: one byte of options (below), then frames, each with two bytes before it: how long it is
 * (12 bits, big-endian) and what is to be done with it (4 bits). It all happens in a network
 * namespace of this process's own, where every address is its own loopback and two ports answer, so
 * that connections come about and nothing leaves.
 */
/* The real ones here. */
#undef malloc
#undef free
#undef mmap
#undef munmap

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/nat/forward.h"
#include "host/nat/worker.h"
#include "tests/host/nat_kit.h"
#include "tests/host/own_ns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/*
 * Most of the time would be the sanitizer's, going through the shadow of large buffers that come
 * and go. So the worker's files are compiled with these instead, which keep the large ones.
 */
void *fuzz_mmap(void *at, size_t len, int prot, int flags, int fd, off_t off);
int fuzz_munmap(void *at, size_t len);
void *fuzz_malloc(size_t len);
void fuzz_free(void *p);

#define LARGE	   (256u << 10)
#define KEPT	   8u
#define FDS	   64u
#define FRAMES_MAX 64u
#define CANNOT	   77 /* fuzz_run.sh: it cannot run here */

enum option { JUMBO = 1, LOOPBACK = 2, RESTRICTED = 4, DNS = 8, NO_RELAY = 16, FORWARD = 32 };
enum doing { FIX_SUMS = 1, FIX_ADDRESS = 2, END_BATCH = 4, TURN = 8 };

static struct worker *worker;
static void *rings;
static struct kept {
	void *p;
	size_t len;
	bool used;
} kept[KEPT];
static int listener[2];
static struct lane from_daemon, to_daemon, daemon_in;

void *fuzz_mmap(void *at, size_t len, int prot, int flags, int fd, off_t off)
{
	if (!rings)
		rings = mmap(at, len, prot, flags, fd, off);
	else if (madvise(rings, len, MADV_DONTNEED))
		abort();
	return rings;
}

int fuzz_munmap(void *at, size_t len)
{
	(void)at;
	(void)len;
	return 0;
}

void *fuzz_malloc(size_t len)
{
	for (unsigned i = 0; len >= LARGE && i < KEPT; i++) {
		struct kept *k = &kept[i];

		if (k->used || (k->p && k->len != len))
			continue;
		if (!k->p)
			*k = (struct kept){malloc(len), len, true};
		k->used = true;
		return k->p;
	}
	return malloc(len);
}

void fuzz_free(void *p)
{
	for (unsigned i = 0; p && i < KEPT; i++)
		if (kept[i].p == p) {
			kept[i].used = false;
			return;
		}
	free(p);
}

static void own_network(void)
{
	if (!own_ns(CLONE_NEWNET)) {
		fprintf(stderr, "no network namespace of our own: %s\n", strerror(errno));
		_exit(geteuid() ? CANNOT : 1);
	}
	if (system("ip link set lo up && ip route add local 0.0.0.0/0 dev lo && "
		   "ip -6 route add local ::/0 dev lo") != 0)
		_exit(1);
}

static int serve(int type)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
	int fd = socket(AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || (type == SOCK_STREAM && listen(fd, 16)))
		_exit(1);
	return fd;
}

static void open_lanes(void)
{
	int memory = lane_memory(2);

	if (!lane_map(&from_daemon, memory, 0, -1) || !lane_map(&to_daemon, memory, 1, -1) ||
	    !lane_map(&daemon_in, memory, 1, -1))
		abort();
	close(memory);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	signal(SIGPIPE, SIG_IGN);
	own_network();
	listener[0] = serve(SOCK_STREAM);
	listener[1] = serve(SOCK_DGRAM);
	worker = malloc(sizeof(*worker));
	open_lanes();
	return 0;
}

/* What the host's side does: takes a connection, says something, ends it. */
static void host(void)
{
	static const char text[3000];
	struct sockaddr_storage from;
	socklen_t from_len = sizeof(from);
	char buf[2048];
	ssize_t n;
	int fd;

	while ((fd = accept(listener[0], NULL, NULL)) >= 0) {
		if (send(fd, text, sizeof(text), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			errno = 0;
		close(fd);
	}
	n = recvfrom(listener[1], buf, sizeof(buf), 0, (struct sockaddr *)&from, &from_len);
	if (n >= 0)
		sendto(listener[1], buf, (size_t)n, 0, (struct sockaddr *)&from, from_len);
}

/* What was sent to the member must make sense; then it is forgotten. */
static void check_out(void)
{
	const uint8_t *frame;
	uint32_t len;

	lane_tell(&to_daemon);
	while ((frame = lane_next(&daemon_in, &len))) {
		if (len < NAT_ETH || len > worker->config.mtu + NAT_ETH)
			abort();
		if (memcmp(frame + 6, worker->config.gateway_mac, 6) != 0)
			abort();
		/* Router advertisements are the daemon's alone. */
		if (nat_be16(frame + 12) == NAT_ETH_IPV6 && len > 54 && frame[20] == NAT_ICMPV6 &&
		    (frame[54] == 133 || frame[54] == 134 || frame[54] == 137))
			abort();
	}
	if (daemon_in.broken)
		abort();
	lane_release(&daemon_in);
}

static void turn(void)
{
	struct pollfd fds[FDS + TCP_FLOWS];
	int timeout = 0;
	unsigned n = 0;

	host();
	tcp_fill(&worker->tcp, fds, &n, &timeout, false);
	slirp_nat_fill(worker->slirp, fds, &n, &timeout, false);
	if (poll(fds, n, 0) < 0)
		return;
	worker_tick(worker);
	tcp_poll(&worker->tcp, fds);
	slirp_nat_poll(worker->slirp, false);
	worker_end(worker);
	check_out();
}

static bool open_worker(uint8_t options)
{
	struct nat_config c = kit_config();
	struct forward_spec spec = {.host = {127, 0, 0, 1},
				    .first = 8080,
				    .last = 8081,
				    .member = KIT_MEMBER,
				    .port = 80,
				    .text = "127.0.0.1"};
	struct forwards forwards;
	char err[256];

	if (options & JUMBO)
		c.mtu = 9000;
	c.host_loopback = options & LOOPBACK;
	c.restricted = options & RESTRICTED;
	c.dns = options & DNS ? 0x7f000035u : 0;
	c.no_split = c.no_merge = false;
	if (!worker_open(worker, &c, &from_daemon, &to_daemon, FDS, err, sizeof(err)))
		return false;
	worker->tcp.off = options & NO_RELAY;
	forwards = (struct forwards){.slirp = worker->slirp, .relay = &worker->relay};
	if (options & FORWARD)
		forward_set(&forwards, true, &spec, err, sizeof(err));
	return true;
}

static void fix_address(uint8_t *frame, uint32_t len)
{
	if (len < NAT_ETH + NAT_IP6)
		return;
	memcpy(frame + 6, kit_member_mac, 6);
	if (nat_be16(frame + 12) == NAT_ETH_IPV6)
		memcpy(frame + 22, kit_member6, 16);
	else
		nat_put32(frame + 26, KIT_MEMBER);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *in;
	uint32_t at = 0;
	size_t o = 1;

	if (!len)
		return 0;
	if (!open_worker(data[0]))
		_exit(1);
	in = from_daemon.data;
	for (unsigned i = 0; i < FRAMES_MAX && len - o >= 2; i++) {
		uint32_t word = nat_be16(data + o), n = word & 0xfff, doing = word >> 12;

		o += 2;
		if (n > len - o)
			n = (uint32_t)(len - o);
		/* In the lane's own memory, as a frame of the daemon's. */
		memcpy(in + at, data + o, n);
		if (doing & FIX_ADDRESS)
			fix_address(in + at, n);
		if (doing & FIX_SUMS)
			kit_sums(in + at, n);
		worker_frame(worker, in + at, n);
		at += n;
		o += n;
		if (doing & (END_BATCH | TURN)) {
			worker_end(worker);
			check_out();
			at = 0;
		}
		if (doing & TURN)
			turn();
	}
	worker_end(worker);
	check_out();
	turn();
	turn();
	worker_close(worker);
	return 0;
}
