/* SPDX-License-Identifier: BSD-2-Clause */
/* The transfer server, over this machine's loopback. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "tools/stack/content.h"
#include "tools/stack/server.h"

#define BYTES 1000003u

static const uint8_t loopback[4] = {127, 0, 0, 1};
static uint8_t data[BYTES];

static int setup(void **state)
{
	return server_start((struct server **)state, loopback, 0);
}

static int teardown(void **state)
{
	server_stop(*state);
	return 0;
}

static int dial(const struct server *s)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(server_port(s))};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(&sin.sin_addr, loopback, 4);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	return fd;
}

static void put_all(int fd, const void *buf, size_t n)
{
	for (size_t at = 0; at < n;) {
		ssize_t sent = send(fd, (const uint8_t *)buf + at, n - at, MSG_NOSIGNAL);

		assert_true(sent > 0);
		at += (size_t)sent;
	}
}

/* Up to the end of the connection. */
static size_t get_all(int fd, void *buf, size_t size)
{
	size_t have = 0;

	while (have < size) {
		ssize_t n = recv(fd, (uint8_t *)buf + have, size - have, 0);

		if (n <= 0)
			break;
		have += (size_t)n;
	}
	return have;
}

/* What the server says to a request. */
static void says(const struct server *s, const char *request, const char *begins)
{
	char buf[128] = "";
	int fd = dial(s);

	put_all(fd, request, strlen(request));
	(void)shutdown(fd, SHUT_WR);
	(void)get_all(fd, buf, sizeof(buf) - 1);
	(void)close(fd);
	if (strncmp(buf, begins, strlen(begins)) != 0)
		fail_msg("to \"%s\" it says \"%s\"", request, buf);
}

static void get(void **state)
{
	struct content c;
	uint8_t more;
	int fd = dial(*state);

	content_init(&c, 42);
	put_all(fd, "GET 1000003 42\n", 15);
	assert_int_equal(get_all(fd, data, BYTES), BYTES);
	assert_int_equal(get_all(fd, &more, 1), 0);
	(void)close(fd);
	assert_true(content_check(&c, data, BYTES));
}

static void put(void **state)
{
	char want[64], line[64] = "";
	struct content c;
	int fd = dial(*state);

	content_init(&c, 7);
	content_make(&c, data, BYTES);
	put_all(fd, "PUT 1000003 7\n", 14);
	put_all(fd, data, BYTES);
	(void)get_all(fd, line, sizeof(line) - 1);
	(void)close(fd);
	(void)snprintf(want, sizeof(want), "OK %016" PRIx64 "\n", content_sum(&c));
	assert_string_equal(line, want);

	/* one byte wrong */
	data[777777] ^= 1;
	fd = dial(*state);
	put_all(fd, "PUT 1000003 7\n", 14);
	put_all(fd, data, BYTES);
	memset(line, 0, sizeof(line));
	(void)get_all(fd, line, sizeof(line) - 1);
	(void)close(fd);
	assert_string_equal(line, "BAD 777777\n");
}

static void refuses(void **state)
{
	says(*state, "\n", "ERR");
	says(*state, "GET\n", "ERR");
	says(*state, "GET 1\n", "ERR");
	says(*state, "GET x 1\n", "ERR");
	says(*state, "GET 1 1 1\n", "ERR");
	says(*state, "GET -1 1\n", "ERR");
	says(*state, "GET 99999999999999999999 1\n", "ERR");
	says(*state, "GET 2000000000000 1\n", "ERR");
	says(*state, "POST 1 1\n", "ERR");
	says(*state, "DEL 1 1\n", "ERR");
	says(*state, "GET 11111111111111111111111111111111111111111111111111111111111111111 1\n",
	     "ERR request too long");
	says(*state, "GET 1", "");	   /* the rest never comes */
	says(*state, "PUT 100 1\nab", ""); /* nor does the content */
	says(*state, "GET 8 1\n", "");
}

static void busy_port(void **state)
{
	struct server *other = NULL;

	assert_int_equal(server_start(&other, loopback, server_port(*state)), EADDRINUSE);
	assert_null(other);
}

static void stops_in_mid_transfer(void **state)
{
	struct server *s;
	int fd;

	(void)state;
	assert_int_equal(server_start(&s, loopback, 0), 0);
	fd = dial(s);
	put_all(fd, "GET 1000000000 1\n", 17);
	(void)recv(fd, data, 1, 0);
	server_stop(s); /* with a peer that reads nothing more */
	(void)close(fd);
	server_stop(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(get, setup, teardown),
		cmocka_unit_test_setup_teardown(put, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(busy_port, setup, teardown),
		cmocka_unit_test(stops_in_mid_transfer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
