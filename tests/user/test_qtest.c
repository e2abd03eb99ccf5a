/* SPDX-License-Identifier: BSD-2-Clause */
/* The qtest client against a server that cuts lines where it likes, lies, or hangs up. */
#define _GNU_SOURCE
#include "tests/user/cm.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "guest/ports/user/qtest.h"
#include "guest/ports/user/wait.h"

struct fixture {
	struct qtest q;
	int server;
};

static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));
	int s[2];

	if (!x || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s))
		return -1;
	qtest_adopt(&x->q, s[0], 2000);
	x->server = s[1];
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;

	qtest_close(&x->q);
	if (x->server >= 0)
		close(x->server);
	free(x);
	return 0;
}

static void say(struct fixture *x, const char *text)
{
	assert_int_equal(send(x->server, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void expect_heard(struct fixture *x, const char *text)
{
	char got[4096];
	ssize_t n = recv(x->server, got, sizeof(got) - 1, MSG_DONTWAIT);

	assert_true(n >= 0);
	got[n] = '\0';
	assert_string_equal(got, text);
}

static void hang_up(struct fixture *x)
{
	close(x->server);
	x->server = -1;
}

static void test_commands(void **state)
{
	struct fixture *x = *state;

	say(x, "OK 0x00ab\nOK 0x12345678\nOK\nOK 0x0000000000001af4\nOK\n");
	assert_int_equal(qtest_in(&x->q, 0xcfc, 1), 0xab);
	assert_int_equal(qtest_in(&x->q, 0xcfc, 4), 0x12345678);
	qtest_out(&x->q, 0xcf8, 4, 0x80000000);
	assert_int_equal(qtest_read(&x->q, 0xe0000000, 2), 0x1af4);
	qtest_write(&x->q, 0x100000000, 2, 0x12345);
	expect_heard(x, "inb 0xcfc\ninl 0xcfc\noutl 0xcf8 0x80000000\nreadw 0xe0000000\n"
			"writew 0x100000000 0x2345\n");
	assert_false(x->q.dead);
	assert_int_equal(x->q.commands, 5);
}

/* The server thread of a test: sends text a byte at a time. */
struct drip {
	int fd;
	const char *text;
};

static void *drip(void *arg)
{
	struct drip *d = arg;

	for (const char *p = d->text; *p; p++) {
		if (send(d->fd, p, 1, MSG_NOSIGNAL) != 1)
			break;
		usleep(300);
	}
	return NULL;
}

static void test_split_lines(void **state)
{
	struct fixture *x = *state;
	struct drip d = {x->server, "IRQ raise 10\nOK 0x7\nIRQ lower 10\nIRQ raise 11\nOK 0x9\n"};
	pthread_t thread;

	pthread_create(&thread, NULL, drip, &d);
	assert_int_equal(qtest_in(&x->q, 0x60, 1), 7);
	assert_int_equal(x->q.lines, 1u << 10);
	assert_int_equal(qtest_in(&x->q, 0x60, 1), 9);
	assert_int_equal(x->q.lines, 1u << 11);
	pthread_join(thread, NULL);
	assert_int_equal(x->q.raised[10], 1);
}

static void test_irq_lines_kept(void **state)
{
	struct fixture *x = *state;

	/* Read ahead together with an answer, and in between two answers. */
	say(x, "OK 0x1\nIRQ raise 20\nIRQ raise 63\nIRQ lower 63\n");
	assert_int_equal(qtest_in(&x->q, 0x60, 1), 1);
	say(x, "IRQ lower 20\nIRQ raise 20\nOK 0x2\n");
	assert_int_equal(qtest_in(&x->q, 0x60, 1), 2);
	assert_int_equal(x->q.lines, UINT64_C(1) << 20);
	assert_int_equal(x->q.raised[20], 2);
	assert_int_equal(x->q.raised[63], 1);
	say(x, "IRQ lower 20\n");
	qtest_poll(&x->q);
	assert_int_equal(x->q.lines, 0);
}

static void test_wait(void **state)
{
	struct fixture *x = *state;
	uint64_t start = wait_now_us();

	qtest_wait(&x->q, 20000);
	assert_in_range(wait_now_us() - start, 19000, 1000000);
	say(x, "IRQ raise 5\n");
	start = wait_now_us();
	qtest_wait(&x->q, 1000000);
	assert_true(wait_now_us() - start < 500000);
	assert_int_equal(x->q.lines, 1u << 5);
}

static void test_async(void **state)
{
	struct fixture *x = *state;

	qtest_out_async(&x->q, 0xc010, 2, 1);
	qtest_write_async(&x->q, 0xe0003000, 2, 1);
	assert_int_equal(x->q.pending, 2);
	expect_heard(x, "outw 0xc010 0x1\nwritew 0xe0003000 0x1\n");
	say(x, "OK\nOK\nOK 0x5\n");
	assert_int_equal(qtest_in(&x->q, 0x60, 1), 5);
	assert_int_equal(x->q.pending, 0);
	/* Answers are also taken when nobody asks for anything else. */
	qtest_out_async(&x->q, 0xc010, 2, 1);
	say(x, "OK\n");
	qtest_poll(&x->q);
	assert_int_equal(x->q.pending, 0);
	qtest_out_async(&x->q, 0xc010, 2, 1);
	say(x, "OK\n");
	qtest_flush(&x->q);
	assert_int_equal(x->q.pending, 0);
	assert_false(x->q.dead);
}

/* Answers each line with OK, slowly at first, and counts. */
static void *answer_all(void *arg)
{
	int fd = *(int *)arg;
	char buf[4096];
	ssize_t n;

	usleep(20000);
	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			if (buf[i] == '\n' && send(fd, "OK\n", 3, MSG_NOSIGNAL) != 3)
				return NULL;
		}
	}
	return NULL;
}

static void test_async_bounded(void **state)
{
	struct fixture *x = *state;
	pthread_t thread;

	pthread_create(&thread, NULL, answer_all, &x->server);
	for (unsigned i = 0; i < 2000; i++) {
		qtest_out_async(&x->q, 0xc010, 2, 1);
		assert_true(x->q.pending <= QTEST_MAX_PENDING);
	}
	qtest_flush(&x->q);
	assert_int_equal(x->q.pending, 0);
	assert_false(x->q.dead);
	qtest_close(&x->q);
	pthread_join(thread, NULL);
}

static void test_refused(void **state)
{
	struct fixture *x = *state;

	say(x, "FAIL Unknown command 'inb'\nOK 0x3\nERR no such device\n");
	assert_int_equal(qtest_in(&x->q, 0x60, 2), 0xffff);
	assert_non_null(strstr(x->q.err, "Unknown command"));
	assert_int_equal(qtest_in(&x->q, 0x60, 2), 3);
	assert_int_equal(qtest_intercept_in(&x->q, "ioapic"), VIO_EDEV);
	assert_int_equal(x->q.refused, 2);
	assert_false(x->q.dead);
}

static void expect_dead(struct fixture *x)
{
	assert_true(x->q.dead);
	assert_int_not_equal(x->q.err[0], 0);
	assert_int_equal(qtest_in(&x->q, 0x60, 1), 0xff);
	assert_int_equal(qtest_read(&x->q, 0, 2), 0xffff);
	assert_int_equal(qtest_read(&x->q, 0, 4), 0xffffffff);
	qtest_out(&x->q, 0x60, 1, 0);
	qtest_write_async(&x->q, 0, 1, 0);
	qtest_flush(&x->q);
	qtest_poll(&x->q);
	qtest_wait(&x->q, 1000000);
	assert_int_equal(qtest_intercept_in(&x->q, "ioapic"), VIO_ENODEV);
}

static void test_strange(void **state)
{
	static const char *const lines[] = {
		"HELLO\n",	 "\n",		"OK 0x\n",
		"OK 12z\n",	 "IRQ raise\n", "IRQ raise 64\n",
		"IRQ shake 3\n", "OK\nOK\n",	"OK 0x1ffffffffffffffffffffffff\n",
	};

	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct fixture *x = *state;

		say(x, lines[i]);
		qtest_in(&x->q, 0x60, 1);
		qtest_poll(&x->q);
		expect_dead(x);
		teardown(state);
		assert_int_equal(setup(state), 0);
	}
}

static void test_endless_line(void **state)
{
	struct fixture *x = *state;
	char junk[8192];

	memset(junk, 'x', sizeof(junk));
	assert_int_equal(send(x->server, junk, sizeof(junk), 0), sizeof(junk));
	assert_int_equal(qtest_in(&x->q, 0x60, 4), 0xffffffff);
	expect_dead(x);
}

static void test_eof(void **state)
{
	struct fixture *x = *state;

	/* Nobody is left to be asked, whatever was said before. */
	say(x, "OK 0x4\nIRQ raise 9\nOK 0x");
	hang_up(x);
	assert_int_equal(qtest_in(&x->q, 0x60, 1), 0xff);
	expect_dead(x);
}

static void test_eof_in_answer(void **state)
{
	struct fixture *x = *state;

	say(x, "OK 0x4\nOK 0x");
	shutdown(x->server, SHUT_WR);
	assert_int_equal(qtest_in(&x->q, 0x60, 1), 4);
	assert_int_equal(qtest_in(&x->q, 0x60, 1), 0xff);
	expect_dead(x);
}

static void test_silence(void **state)
{
	struct fixture *x = *state;
	uint64_t start = wait_now_us();

	x->q.timeout_ms = 50;
	assert_int_equal(qtest_in(&x->q, 0x60, 1), 0xff);
	assert_in_range(wait_now_us() - start, 49000, 1500000);
	expect_dead(x);
}

static void test_connect(void **state)
{
	struct qtest q;
	char path[200];

	(void)state;
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(qtest_connect(&q, path, 100), VIO_EINVAL);
	assert_true(q.dead);
	qtest_close(&q);
	assert_int_equal(qtest_connect(&q, "/nonexistent/qtest", 30), VIO_ETIMEDOUT);
	assert_true(q.dead);
	qtest_close(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_commands, setup, teardown),
		cmocka_unit_test_setup_teardown(test_split_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_irq_lines_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(test_async, setup, teardown),
		cmocka_unit_test_setup_teardown(test_async_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_strange, setup, teardown),
		cmocka_unit_test_setup_teardown(test_endless_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_eof, setup, teardown),
		cmocka_unit_test_setup_teardown(test_eof_in_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silence, setup, teardown),
		cmocka_unit_test(test_connect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
