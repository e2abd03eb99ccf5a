/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datagram links: pairs, packets, paths whose peers come and go (G-7).
 */
#include <sys/un.h>

#include "tests/host/link_kit.h"

static struct kit k;
static char dir[64];

static int setup(void **state)
{
	(void)state;
	kit_start(&k, 1500);
	strcpy(dir, "/tmp/vmnet-dgram-XXXXXX");
	return !mkdtemp(dir);
}

static int teardown(void **state)
{
	static const char *const names[] = {"door", "a", "b"};
	char path[96];

	(void)state;
	kit_stop(&k);
	for (unsigned i = 0; i < COUNT(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)unlink(path);
	}
	return rmdir(dir);
}

static void dgram(unsigned i)
{
	kit_pair(&k, i, SOCK_DGRAM, (struct link_params){0});
}

/* One frame, without the length; false: the socket is full. */
static bool put(int fd, unsigned src, unsigned dst, uint32_t seq, uint32_t len)
{
	static uint8_t at[4 + FRAME_STREAM_MAX];

	kit_frame(at, src, dst, seq, len);
	return send(fd, at + 4, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* All datagrams there are: how many; they must be right and rise from *seq on. */
static unsigned take(int fd, uint32_t *seq)
{
	static uint8_t at[FRAME_STREAM_MAX];
	unsigned n = 0;
	ssize_t len;

	for (; (len = recv(fd, at, sizeof(at), MSG_DONTWAIT)) > 0; n++) {
		uint32_t s = kit_check(at, (uint32_t)len);

		if (seq) {
			assert_true(s >= *seq);
			*seq = s + 1;
		}
	}
	return n;
}

static void pairs(void **state)
{
	uint32_t seq = 0, i = 0, got = 0;

	(void)state;
	dgram(0);
	dgram(1);
	kit_open(&k, 2);
	for (unsigned m = 0; m < 2; m++)
		assert_true(put(k.m[m].fd, m, KIT_ALL, 0, 60));
	kit_send(&k, 2, KIT_ALL, 0, 60);
	kit_spin(&k);
	take(k.m[0].fd, NULL);
	take(k.m[1].fd, NULL);
	kit_got(&k, 2, NULL);
	/* Dgram to dgram, dgram to stream, stream to dgram. */
	for (; i < 1000; i++) {
		assert_true(put(k.m[0].fd, 0, 1 + i % 2, i, 18 + i));
		kit_send(&k, 2, 0, i, 18 + i);
		uv_run(&k.loop, UV_RUN_NOWAIT);
		got += take(k.m[1].fd, &seq);
	}
	kit_spin(&k);
	got += take(k.m[1].fd, &seq);
	assert_int_equal(got, 500);
	seq = 0;
	assert_int_equal(kit_got(&k, 2, &seq), 500);
	seq = 0;
	assert_int_equal(take(k.m[0].fd, &seq), 1000);
}

static void wrong_sizes_are_counted(void **state)
{
	static uint8_t at[70000];

	(void)state;
	dgram(0);
	dgram(1);
	kit_frame(at, 0, 1, 1, 2000);
	assert_int_equal(send(k.m[0].fd, at + 4, 0, 0), 0);
	assert_int_equal(send(k.m[0].fd, at + 4, 13, 0), 13);
	assert_int_equal(send(k.m[0].fd, at + 4, 1519, 0), 1519);
	assert_int_equal(send(k.m[0].fd, at + 4, 65000, 0), 65000);
	assert_true(put(k.m[0].fd, 0, 1, 1, 1518));
	kit_spin(&k);
	assert_int_equal(take(k.m[1].fd, NULL), 1);
	assert_int_equal(kit_stats(&k, 0).port.rx_bad, 4);
	assert_int_equal(k.m[0].closed, 0);
}

static void a_slow_reader(void **state)
{
	uint32_t seq = 0, sent = 0;
	uint64_t got = 0;

	(void)state;
	dgram(0);
	dgram(1);
	assert_true(put(k.m[1].fd, 1, KIT_ALL, 0, 60));
	kit_spin(&k);
	take(k.m[0].fd, NULL);
	while (sent < 6000) {
		if (put(k.m[0].fd, 0, 1, sent, 1000 + sent % 500))
			sent++;
		else
			uv_run(&k.loop, UV_RUN_NOWAIT);
		if (sent % 3000 == 2999)
			got += take(k.m[1].fd, &seq);
	}
	for (unsigned i = 0; i < 300; i++) {
		kit_spin(&k);
		got += take(k.m[1].fd, &seq);
	}
	assert_true(kit_stats(&k, 1).port.tx_dropped > 0);
	assert_int_equal(got + kit_stats(&k, 1).port.tx_dropped, sent);
	assert_true(kit_stats(&k, 1).backlog_max <= LINK_BACKLOG_MAX);
	assert_int_equal(kit_stats(&k, 1).backlog_bytes, 0);
	assert_int_equal(k.m[1].closed, 0);
}

static void packets(void **state)
{
	uint32_t seq = 0;

	(void)state;
	kit_pair(&k, 0, SOCK_SEQPACKET, (struct link_params){0});
	dgram(1);
	for (uint32_t i = 0; i < 10; i++)
		assert_true(put(k.m[0].fd, 0, 1, i, 60));
	kit_hang_up(&k, 0);
	kit_spin(&k);
	assert_int_equal(take(k.m[1].fd, &seq), 10);
	assert_int_equal(k.m[0].closed, 1);
	assert_string_equal(k.m[0].why, "peer closed");
}

static void a_pair_whose_peer_goes(void **state)
{
	(void)state;
	dgram(0);
	dgram(1);
	assert_true(put(k.m[1].fd, 1, KIT_ALL, 0, 60));
	kit_spin(&k);
	kit_hang_up(&k, 1);
	assert_true(put(k.m[0].fd, 0, 1, 1, 60));
	kit_spin(&k);
	assert_int_equal(k.m[1].closed, 1);
	assert_string_equal(k.m[1].why, "peer closed");
	assert_int_equal(k.m[0].closed, 0);
}

/* vfkit's first word. */
static void a_greeting(void **state)
{
	(void)state;
	kit_pair(&k, 0, SOCK_DGRAM, (struct link_params){.vfkt = true});
	dgram(1);
	assert_int_equal(send(k.m[0].fd, "VFKT", 4, 0), 4);
	assert_true(put(k.m[0].fd, 0, 1, 1, 60));
	kit_spin(&k);
	assert_int_equal(take(k.m[1].fd, NULL), 1);
	assert_int_equal(kit_stats(&k, 0).port.rx_bad, 0);
	/* From who need not greet it is a frame like any other of four bytes. */
	assert_int_equal(send(k.m[1].fd, "VFKT", 4, 0), 4);
	kit_spin(&k);
	assert_int_equal(kit_stats(&k, 1).port.rx_bad, 1);
}

/* ---- paths ---- */

static struct sockaddr_un at(const char *name)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s", dir, name);
	return a;
}

static void door(unsigned i, struct link_params p)
{
	struct sockaddr_un a = at("door");

	p.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(p.fd, (struct sockaddr *)&a, sizeof(a)), 0);
	p.kind = LINK_DGRAM;
	p.unconnected = p.vfkt = true;
	k.m[i] = (struct member){.fd = -1};
	assert_true(kit_open_with(&k, i, p));
}

/* A VM: bound to its own path, or to none. */
static int client(const char *name)
{
	struct sockaddr_un own, door_at = at("door");
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (name) {
		own = at(name);
		assert_int_equal(bind(fd, (struct sockaddr *)&own, sizeof(own)), 0);
	}
	if (connect(fd, (struct sockaddr *)&door_at, sizeof(door_at))) {
		close(fd);
		return -1;
	}
	return fd;
}

static void who_speaks_first_is_the_peer(void **state)
{
	int a, b;

	(void)state;
	door(0, (struct link_params){0});
	dgram(1);
	/* Nobody there yet: what is for it is dropped, and counted. */
	assert_true(put(k.m[1].fd, 1, KIT_ALL, 0, 60));
	kit_spin(&k);
	assert_int_equal(kit_stats(&k, 0).port.tx_dropped, 1);
	a = client("a");
	b = client("b");
	assert_true(a >= 0 && b >= 0);
	assert_int_equal(send(a, "VFKT", 4, 0), 4);
	assert_true(put(a, 0, 1, 1, 60));
	assert_true(put(b, 9, 1, 2, 60)); /* too late, though its frame is in the queue */
	kit_spin(&k);
	assert_int_equal(take(k.m[1].fd, NULL), 1);
	assert_int_equal(kit_stats(&k, 0).port.rx_bad, 0);
	assert_true(put(k.m[1].fd, 1, 0, 3, 60));
	kit_spin(&k);
	assert_int_equal(take(a, NULL), 1);
	assert_int_equal(take(b, NULL), 0);
	/* Somebody else is turned away by the kernel. */
	assert_false(put(b, 9, 1, 4, 60));
	close(a);
	close(b);
}

/* Without an address of its own nobody can be answered; nor does it keep others out. */
static void a_nameless_client(void **state)
{
	int a = -1, b;

	(void)state;
	door(0, (struct link_params){0});
	dgram(1);
	b = client(NULL);
	assert_true(put(b, 9, 1, 1, 60));
	kit_spin(&k);
	a = client("a");
	assert_true(put(a, 0, 1, 2, 60));
	kit_spin(&k);
	assert_true(put(k.m[1].fd, 1, 0, 3, 60));
	kit_spin(&k);
	assert_int_equal(take(a, NULL), 1);
	close(a);
	close(b);
}

/* The first is gone; nothing was sent to it since. The next is let in within some seconds. */
static void the_next_takes_over(void **state)
{
	struct sockaddr_un own = at("a");

	(void)state;
	door(0, (struct link_params){0});
	dgram(1);
	for (unsigned how = 0; how < 3; how++) {
		uint64_t until;
		int a = client("a"), b = -1;

		assert_true(a >= 0);
		assert_true(put(a, 0, 1, 1, 60));
		kit_spin(&k);
		assert_int_equal(take(k.m[1].fd, NULL), 1);
		/* Gone with its path, without it, and with the path before it. */
		if (how == 2)
			(void)unlink(own.sun_path);
		close(a);
		if (how == 1)
			(void)unlink(own.sun_path);
		until = uv_hrtime() + UINT64_C(20000000000);
		while (b < 0 && uv_hrtime() < until) {
			usleep(20000);
			kit_spin(&k);
			b = client("b");
			if (b < 0)
				(void)unlink(at("b").sun_path);
		}
		assert_true(b >= 0);
		assert_true(put(b, 0, 1, 2, 60));
		kit_spin(&k);
		assert_int_equal(take(k.m[1].fd, NULL), 1);
		assert_true(put(k.m[1].fd, 1, 0, 3, 60));
		kit_spin(&k);
		assert_int_equal(take(b, NULL), 1);
		close(b);
		(void)unlink(at("b").sun_path);
		(void)unlink(own.sun_path);
		/* And when something is sent to who is gone, it is known at once. */
		assert_true(put(k.m[1].fd, 1, 0, 4, 60));
		kit_spin(&k);
		assert_int_equal(k.m[0].closed, 0);
	}
}

static bool nobody(void *ctx, uid_t uid, gid_t gid)
{
	unsigned *asked = &((struct member *)ctx)->closed;

	assert_int_equal(uid, getuid());
	assert_int_equal(gid, getgid());
	(*asked)++;
	return false;
}

static void who_may_not_is_not_heard(void **state)
{
	int a;

	(void)state;
	door(0, (struct link_params){.admit = nobody});
	dgram(1);
	a = client("a");
	assert_true(put(a, 0, 1, 1, 60));
	kit_spin(&k);
	assert_int_equal(take(k.m[1].fd, NULL), 0);
	assert_int_equal(k.m[0].closed, 1); /* asked once */
	close(a);
}

/* Descriptors that come along are not ours to keep. */
static void descriptors_are_left_behind(void **state)
{
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};

	(void)state;
	door(3, (struct link_params){0});
	for (unsigned i = 0; i < 4; i++) {
		uint8_t frame[4 + 60];
		struct iovec iov = {frame, kit_frame(frame, i, 9, 1, 60)};
		union {
			char space[CMSG_SPACE(sizeof(int))];
			struct cmsghdr align;
		} control = {{0}};
		struct msghdr msg = {.msg_iov = &iov,
				     .msg_iovlen = 1,
				     .msg_control = &control,
				     .msg_controllen = sizeof(control)};
		struct cmsghdr *cm = CMSG_FIRSTHDR(&msg);
		int pipes[2], fd;
		char byte;

		if (i < 3)
			kit_pair(&k, i, types[i], (struct link_params){0});
		fd = i < 3 ? k.m[i].fd : client("a");
		if (i) {
			iov.iov_base = frame + 4;
			iov.iov_len = 60;
		}
		assert_int_equal(pipe(pipes), 0);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cm), &pipes[1], sizeof(int));
		assert_int_equal(sendmsg(fd, &msg, 0), iov.iov_len);
		close(pipes[1]);
		kit_spin(&k);
		assert_int_equal(kit_stats(&k, i).port.rx_frames, 1);
		/* Nobody has the other end any more. */
		(void)fcntl(pipes[0], F_SETFL, O_NONBLOCK);
		assert_int_equal(read(pipes[0], &byte, 1), 0);
		close(pipes[0]);
		if (i == 3)
			close(fd);
	}
}

static void what_is_no_dgram(void **state)
{
	struct link_params p = {.kind = LINK_DGRAM};
	int fd[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	p.fd = fd[0];
	assert_false(kit_open_with(&k, 0, p));
	assert_int_equal(errno, EPROTOTYPE);
	close(fd[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(pairs),
		T(wrong_sizes_are_counted),
		T(a_slow_reader),
		T(packets),
		T(a_pair_whose_peer_goes),
		T(a_greeting),
		T(who_speaks_first_is_the_peer),
		T(a_nameless_client),
		T(the_next_takes_over),
		T(who_may_not_is_not_heard),
		T(descriptors_are_left_behind),
		T(what_is_no_dgram),
	};

	alarm(100);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
