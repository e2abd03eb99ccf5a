/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libvmnet-client against a daemon that is a thread here: each test says what it sends, piece by
 * piece, and what it is asked.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/client/vmnet_client.h"

#define HELLO "{\"ok\":true,\"id\":1,\"protocol\":1,\"version\":\"0.1.0\",\"pid\":77}\n"

struct server {
	char dir[64], path[96];
	int listener;
	pthread_t thread;
	void (*play)(struct server *s, int fd);
	char asked[8][4096]; /* lines, hello left out */
	unsigned n, conns;
	int got_fd; /* the last that was passed */
};

/* One line from the client, and a descriptor if one is with it. False: it is gone. */
static bool server_read(struct server *s, int fd, char *line, size_t size)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	size_t have = 0;
	ssize_t n;

	while (have < size - 1) {
		struct iovec iov = {line + have, 1};
		struct msghdr msg = {.msg_iov = &iov,
				     .msg_iovlen = 1,
				     .msg_control = &control,
				     .msg_controllen = sizeof(control)};

		n = recvmsg(fd, &msg, 0);
		if (n <= 0)
			return false;
		if (msg.msg_controllen && CMSG_FIRSTHDR(&msg))
			memcpy(&s->got_fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
		if (line[have] == '\n')
			break;
		have++;
	}
	line[have] = 0;
	return true;
}

static bool server_ask(struct server *s, int fd)
{
	bool ok = s->n < 8 && server_read(s, fd, s->asked[s->n], sizeof(s->asked[0]));

	s->n += ok;
	return ok;
}

static void server_say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void *server_main(void *arg)
{
	struct server *s = arg;
	char line[1024];
	int fd;

	while ((fd = accept(s->listener, NULL, NULL)) >= 0) {
		s->conns++;
		if (server_read(s, fd, line, sizeof(line))) {
			assert_non_null(strstr(line, "\"op\":\"hello\""));
			s->play(s, fd);
		}
		close(fd);
	}
	return NULL;
}

static void server_start(struct server *s, void (*play)(struct server *s, int fd))
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};

	memset(s, 0, sizeof(*s));
	s->got_fd = -1;
	s->play = play;
	snprintf(s->dir, sizeof(s->dir), "/tmp/vmnet-test-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->path, sizeof(s->path), "%s/control.sock", s->dir);
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", s->path);
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(listen(s->listener, 8), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, server_main, s), 0);
}

static void server_stop(struct server *s)
{
	shutdown(s->listener, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listener);
	if (s->got_fd >= 0)
		close(s->got_fd);
	unlink(s->path);
	rmdir(s->dir);
}

static struct vmnet_client *open_at(const struct server *s, struct vmnet_error *err)
{
	struct vmnet_options o = {.runtime_dir = s->dir, .no_start = true, .timeout_ms = 2000};

	return vmnet_open(&o, err);
}

static json_t *op(const char *name)
{
	return json_pack("{s:s}", "op", name);
}

/* ---- answers and events ---- */

static void play_pieces(struct server *s, int fd)
{
	static const char answer[] = "{\"ok\":true,\"id\":2,\"n\":5}\n";

	server_say(fd, HELLO);
	if (!server_ask(s, fd))
		return;
	/* Events first, an answer nobody waits for any more, then ours, byte by byte. */
	server_say(fd, "{\"event\":\"a\"}\n{\"event\":\"b\"}\n{\"ok\":true,\"id\":1}\n");
	for (size_t i = 0; i < sizeof(answer) - 1; i++) {
		assert_int_equal(send(fd, answer + i, 1, MSG_NOSIGNAL), 1);
		usleep(300);
	}
	server_say(fd, "{\"event\":\"c\"}\n");
	server_ask(s, fd);
}

static void test_events_wait_while_an_answer_comes(void **state)
{
	struct vmnet_error err;
	struct vmnet_client *c;
	struct server s;
	json_t *m;

	(void)state;
	server_start(&s, play_pieces);
	c = open_at(&s, &err);
	assert_non_null(c);
	assert_int_equal(vmnet_daemon_pid(c), 77);
	assert_string_equal(vmnet_daemon_version(c), "0.1.0");
	m = vmnet_call(c, op("list"), -1, &err);
	assert_non_null(m);
	assert_int_equal(json_integer_value(json_object_get(m, "n")), 5);
	json_decref(m);
	for (const char *name = "abc"; *name; name++) {
		m = vmnet_next(c, 2000, &err);
		assert_non_null(m);
		assert_int_equal(*json_string_value(json_object_get(m, "event")), *name);
		json_decref(m);
	}
	assert_false(vmnet_pending(c));
	assert_null(vmnet_next(c, 10, &err));
	assert_int_equal(err.fault, VMNET_NONE);
	vmnet_close(c);
	server_stop(&s);
	assert_string_equal(s.asked[0], "{\"op\":\"list\",\"id\":2}");
}

static void play_faults(struct server *s, int fd)
{
	server_say(fd, HELLO);
	server_ask(s, fd);
	server_say(fd, "{\"ok\":false,\"id\":2,\"error\":\"no\\u0007 such\",\"kind\":\"user\"}\n");
	server_ask(s, fd);
	server_say(fd, "{\"ok\":false,\"id\":3,\"error\":\"disk\",\"kind\":\"system\"}\n");
	server_ask(s, fd);
	server_say(fd, "{\"ok\":false,\"id\":4}\n");
	server_ask(s, fd);
}

static void test_whose_fault_it_was(void **state)
{
	struct vmnet_error err;
	struct vmnet_client *c;
	struct server s;

	(void)state;
	server_start(&s, play_faults);
	c = open_at(&s, &err);
	assert_non_null(c);
	assert_null(vmnet_call(c, op("x"), -1, &err));
	assert_int_equal(err.fault, VMNET_USER);
	assert_string_equal(err.text, "no? such");
	assert_false(err.lost);
	assert_null(vmnet_call(c, op("x"), -1, &err));
	assert_int_equal(err.fault, VMNET_SYSTEM);
	assert_null(vmnet_call(c, op("x"), -1, &err));
	assert_int_equal(err.fault, VMNET_SYSTEM);
	assert_true(*err.text != 0);
	/* It closes now. */
	assert_null(vmnet_call(c, op("x"), -1, &err));
	assert_int_equal(err.fault, VMNET_SYSTEM);
	assert_true(err.lost);
	assert_non_null(strstr(err.text, "77"));
	vmnet_close(c);
	server_stop(&s);
}

/* ---- what is no daemon ---- */

static const char *noise;

static void play_noise(struct server *s, int fd)
{
	(void)s;
	server_say(fd, noise);
	usleep(1000);
}

static void test_noise_ends_the_connection(void **state)
{
	static const char *const noises[] = {
		"hello\n",   "[1,2]\n", "{\"ok\":true\n", "\n", "{\"ok\":true,\"ok\":true}\n",
		"\xff\xfe\n"};
	struct vmnet_error err;
	struct server s;

	(void)state;
	for (size_t i = 0; i < sizeof(noises) / sizeof(noises[0]); i++) {
		noise = noises[i];
		server_start(&s, play_noise);
		assert_null(open_at(&s, &err));
		assert_int_equal(err.fault, VMNET_SYSTEM);
		assert_true(err.lost);
		server_stop(&s);
	}
}

/* A line without end is not read for ever. */
static void play_flood(struct server *s, int fd)
{
	static char block[65536];

	(void)s;
	memset(block, 'x', sizeof(block));
	for (int i = 0; i < 1024 && send(fd, block, sizeof(block), MSG_NOSIGNAL) > 0; i++)
		;
}

static void test_a_line_without_end(void **state)
{
	struct vmnet_error err;
	struct server s;

	(void)state;
	server_start(&s, play_flood);
	assert_null(open_at(&s, &err));
	assert_int_equal(err.fault, VMNET_SYSTEM);
	server_stop(&s);
}

static void play_other_protocol(struct server *s, int fd)
{
	(void)s;
	server_say(fd, "{\"ok\":true,\"id\":1,\"protocol\":9,\"version\":\"7.7\",\"pid\":4711}\n");
	usleep(1000);
}

static void test_another_protocol_is_told(void **state)
{
	struct vmnet_error err;
	struct server s;

	(void)state;
	server_start(&s, play_other_protocol);
	assert_null(open_at(&s, &err));
	assert_int_equal(err.fault, VMNET_SYSTEM);
	assert_non_null(strstr(err.text, "4711"));
	assert_non_null(strstr(err.text, "7.7"));
	server_stop(&s);
}

/* A daemon that is about to end takes connections and closes them: the next try finds another. */
static void play_second_time(struct server *s, int fd)
{
	if (s->conns == 1)
		return;
	server_say(fd, HELLO);
	server_ask(s, fd);
}

static void test_a_daemon_that_just_ends_is_asked_again(void **state)
{
	struct vmnet_error err;
	struct vmnet_client *c;
	struct server s;

	(void)state;
	server_start(&s, play_second_time);
	c = open_at(&s, &err);
	assert_non_null(c);
	vmnet_close(c);
	server_stop(&s);
	assert_int_equal(s.conns, 2);
}

static void play_mute(struct server *s, int fd)
{
	server_say(fd, HELLO);
	server_ask(s, fd);
	server_ask(s, fd);
}

static void test_an_answer_that_does_not_come(void **state)
{
	struct vmnet_options o = {.no_start = true, .timeout_ms = 50};
	struct vmnet_error err;
	struct vmnet_client *c;
	struct server s;

	(void)state;
	server_start(&s, play_mute);
	o.runtime_dir = s.dir;
	c = vmnet_open(&o, &err);
	assert_non_null(c);
	assert_null(vmnet_call(c, op("x"), -1, &err));
	assert_int_equal(err.fault, VMNET_SYSTEM);
	assert_true(err.lost);
	vmnet_close(c);
	server_stop(&s);
}

/* ---- places ---- */

static void play_join(struct server *s, int fd)
{
	server_say(fd, HELLO);
	while (server_ask(s, fd))
		server_say(fd, "{\"ok\":true,\"name\":\"web\",\"mac\":\"02:00:00:00:00:01\","
			       "\"network\":\"shared\",\"mtu\":9000,\"gateway\":\"10.0.0.1\"}\n");
}

static void test_join_gives_an_end_and_keeps_the_other(void **state)
{
	struct vmnet_join join = {.network = "shared", .kind = VMNET_DGRAM};
	struct vmnet_member me;
	struct vmnet_error err;
	struct vmnet_client *c;
	struct server s;
	int fd, keep = -1, first;
	char text[8] = "";

	(void)state;
	server_start(&s, play_join);
	c = open_at(&s, &err);
	assert_non_null(c);
	fd = vmnet_join(c, &join, &me, &keep, &err);
	assert_true(fd >= 0 && keep >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(keep, F_GETFD), FD_CLOEXEC);
	assert_string_equal(me.name, "web");
	assert_string_equal(me.mac, "02:00:00:00:00:01");
	assert_string_equal(me.gateway, "10.0.0.1");
	assert_int_equal(me.mtu, 9000);
	assert_string_equal(s.asked[0],
			    "{\"op\":\"join\",\"network\":\"shared\",\"kind\":\"dgram\","
			    "\"id\":2}");
	/* What was passed is the other end. */
	assert_int_equal(send(fd, "ping", 4, 0), 4);
	assert_int_equal(recv(s.got_fd, text, sizeof(text), 0), 4);
	assert_string_equal(text, "ping");
	/* The same again, for the next daemon. */
	first = s.got_fd;
	join.name = me.name;
	join.mac = me.mac;
	assert_true(vmnet_rejoin(c, &join, keep, &me, &err));
	assert_non_null(strstr(s.asked[1], "\"takeover\":true"));
	assert_non_null(strstr(s.asked[1], "\"name\":\"web\""));
	close(first);
	assert_int_equal(send(fd, "pong", 4, 0), 4);
	assert_int_equal(recv(s.got_fd, text, sizeof(text), 0), 4);
	close(fd);
	close(keep);
	vmnet_close(c);
	server_stop(&s);
}

/* ---- folders and sockets that are not used ---- */

static void expect_refusal(const char *dir, enum vmnet_fault fault, const char *says)
{
	struct vmnet_options o = {.runtime_dir = dir, .no_start = true};
	struct vmnet_error err;

	assert_null(vmnet_open(&o, &err));
	assert_int_equal(err.fault, fault);
	if (!strstr(err.text, says))
		fail_msg("'%s' is not in '%s'", says, err.text);
}

static void test_folders_that_are_not_used(void **state)
{
	char dir[] = "/tmp/vmnet-test-XXXXXX", path[128], deep[200];
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	expect_refusal(dir, VMNET_SYSTEM, "no daemon is running");
	chmod(dir, 0770);
	expect_refusal(dir, VMNET_SYSTEM, "0770");
	chmod(dir, 0700);
	snprintf(path, sizeof(path), "%s/file", dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	expect_refusal(path, VMNET_SYSTEM, "is no folder");
	unlink(path);
	assert_int_equal(symlink("/", path), 0);
	expect_refusal(path, VMNET_SYSTEM, "is no folder");
	unlink(path);
	memset(deep, 'x', sizeof(deep));
	deep[0] = '/';
	deep[sizeof(deep) - 1] = 0;
	expect_refusal(deep, VMNET_USER, "at most");
	/* A socket that a daemon left behind. */
	snprintf(to.sun_path, sizeof(to.sun_path), "%s/control.sock", dir);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	close(fd);
	expect_refusal(dir, VMNET_SYSTEM, "no daemon is running");
	unlink(to.sun_path);
	rmdir(dir);
}

/* A program that is no daemon: its last line is the reason. */
static void expect_start(const char *script, enum vmnet_fault fault, const char *says)
{
	char dir[] = "/tmp/vmnet-test-XXXXXX", path[64];
	struct vmnet_options o = {.runtime_dir = dir, .program = path};
	struct vmnet_error err;
	FILE *f;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/program", dir);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(script, f);
	fchmod(fileno(f), 0755);
	fclose(f);
	assert_null(vmnet_open(&o, &err));
	assert_int_equal(err.fault, fault);
	if (!strstr(err.text, says))
		fail_msg("'%s' is not in '%s'", says, err.text);
	unlink(path);
	snprintf(path, sizeof(path), "%s/start.lock", dir);
	unlink(path);
	rmdir(dir);
}

static void test_why_a_daemon_did_not_start(void **state)
{
	(void)state;
	expect_start("#!/bin/sh\necho first >&2; echo 'vmnet daemon: line 3: no' >&2; exit 2\n",
		     VMNET_USER, "the daemon did not start: line 3: no");
	expect_start("#!/bin/sh\nexit 1\n", VMNET_SYSTEM, "status 1");
	expect_start("#!/bin/sh\nkill -9 $$\n", VMNET_SYSTEM, "signal 9");
	expect_start("#!/no/such/program\n", VMNET_SYSTEM, "cannot be started");
	/* Nothing of ours is open in it, and it is not of our session. */
	expect_start("#!/bin/sh\nls /proc/self/fd | tr '\\n' ' ' >&2; exit 1\n", VMNET_SYSTEM,
		     "0 1 2 3");
	expect_start("#!/bin/sh\n[ $(ps -o sid= -p $$) = $$ ] && echo own >&2; exit 1\n",
		     VMNET_SYSTEM, "own");
}

static void test_the_usual_places(void **state)
{
	char dir[256], want[64];
	struct vmnet_error err;

	(void)state;
	setenv("VMNET_RUNTIME_DIR", "/a/b", 1);
	setenv("XDG_RUNTIME_DIR", "/x", 1);
	assert_true(vmnet_runtime_dir(dir, sizeof(dir), &err));
	assert_string_equal(dir, "/a/b");
	setenv("VMNET_RUNTIME_DIR", "a/b", 1);
	assert_false(vmnet_runtime_dir(dir, sizeof(dir), &err));
	assert_int_equal(err.fault, VMNET_USER);
	setenv("VMNET_RUNTIME_DIR", "", 1);
	assert_true(vmnet_runtime_dir(dir, sizeof(dir), &err));
	assert_string_equal(dir, "/x/vmnet");
	unsetenv("XDG_RUNTIME_DIR");
	assert_true(vmnet_runtime_dir(dir, sizeof(dir), &err));
	snprintf(want, sizeof(want), "/tmp/vmnet-%lu", (unsigned long)geteuid());
	assert_string_equal(dir, geteuid() ? want : "/run/vmnet");
	assert_false(vmnet_runtime_dir(dir, 4, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events_wait_while_an_answer_comes),
		cmocka_unit_test(test_whose_fault_it_was),
		cmocka_unit_test(test_noise_ends_the_connection),
		cmocka_unit_test(test_a_line_without_end),
		cmocka_unit_test(test_another_protocol_is_told),
		cmocka_unit_test(test_a_daemon_that_just_ends_is_asked_again),
		cmocka_unit_test(test_an_answer_that_does_not_come),
		cmocka_unit_test(test_join_gives_an_end_and_keeps_the_other),
		cmocka_unit_test(test_folders_that_are_not_used),
		cmocka_unit_test(test_why_a_daemon_did_not_start),
		cmocka_unit_test(test_the_usual_places),
	};

	return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
