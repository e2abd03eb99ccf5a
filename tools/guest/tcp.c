/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Verified TCP transfers for a guest, in tools/stack/server.h's protocol:
 *
 *   tcp serve PORT [ADDRESS]                the server, in the foreground; 0: any port; prints it
 *   tcp get|put ADDRESS PORT BYTES [SEED]   one transfer; prints one JSON object on one line
 *
 * Exit 0: every byte was right. 1: not; one line says why. 2: usage.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tools/stack/content.h"
#include "tools/stack/server.h"

#define CHUNK (256u * 1024u)
#define SEED  UINT64_C(0x76696f6b6974)

static uint8_t chunk[CHUNK];

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *fmt, ...)
{
	va_list ap;

	(void)fputs("tcp: ", stderr);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	exit(1);
}

static double seconds(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int serve(uint16_t port, const char *address)
{
	uint8_t on[4] = {0};
	struct server *s;
	int err;

	if (address && inet_pton(AF_INET, address, on) != 1)
		fail("'%s' is no IPv4 address", address);
	err = server_start(&s, on, port);
	if (err)
		fail("port %u: %s", port, strerror(err));
	printf("%u\n", server_port(s));
	(void)fflush(stdout);
	for (;;)
		(void)pause();
}

static int dial(const char *address, uint16_t port)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	const struct sockaddr *to = (const struct sockaddr *)&v4;
	socklen_t len = sizeof(v4);
	int fd;

	if (inet_pton(AF_INET6, address, &v6.sin6_addr) == 1) {
		to = (const struct sockaddr *)&v6;
		len = sizeof(v6);
	} else if (inet_pton(AF_INET, address, &v4.sin_addr) != 1) {
		fail("'%s' is no address", address);
	}
	fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, to, len) != 0)
		fail("%s port %u: %s", address, port, strerror(errno));
	return fd;
}

static void get(int fd, uint64_t bytes, struct content *c)
{
	uint64_t done = 0;

	while (done < bytes) {
		ssize_t n = read(fd, chunk, CHUNK);

		if (n <= 0)
			fail("%" PRIu64 " bytes received of %" PRIu64, done, bytes);
		done += (uint64_t)n;
		if (!content_check(c, chunk, (size_t)n))
			fail("byte %" PRIu64 " received is wrong", c->wrong);
	}
	if (done != bytes)
		fail("%" PRIu64 " bytes received, %" PRIu64 " asked for", done, bytes);
}

static void put(int fd, uint64_t bytes, struct content *c)
{
	char want[32], answer[64] = "";
	size_t len = 0;
	ssize_t n;

	for (uint64_t left = bytes; left;) {
		size_t piece = left < CHUNK ? (size_t)left : CHUNK;

		content_make(c, chunk, piece);
		for (size_t at = 0; at < piece; at += (size_t)n) {
			n = send(fd, chunk + at, piece - at, MSG_NOSIGNAL);
			if (n <= 0)
				fail("broken with %" PRIu64 " bytes to go: %s", left,
				     strerror(errno));
		}
		left -= piece;
	}
	(void)snprintf(want, sizeof(want), "OK %016" PRIx64 "\n", content_sum(c));
	while (!strchr(answer, '\n') && (n = read(fd, answer + len, sizeof(answer) - 1 - len)) > 0)
		len += (size_t)n;
	if (strcmp(answer, want) != 0)
		fail("the server's answer is \"%.*s\"", (int)strcspn(answer, "\n"), answer);
}

static uint64_t number(const char *text, uint64_t max)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(text, &end, 0);
	if (errno || end == text || *end || n > max)
		fail("'%s' is not a number up to %" PRIu64, text, max);
	return n;
}

static int usage(void)
{
	(void)fputs("usage: tcp serve PORT [ADDRESS] | tcp get|put ADDRESS PORT BYTES [SEED]\n",
		    stderr);
	return 2;
}

int main(int argc, char **argv)
{
	uint64_t bytes, seed = SEED;
	bool upload;
	struct content c;
	double start, took;
	int fd;

	if ((argc == 3 || argc == 4) && strcmp(argv[1], "serve") == 0)
		return serve((uint16_t)number(argv[2], UINT16_MAX), argv[3]);
	upload = argc > 1 && strcmp(argv[1], "put") == 0;
	if (argc < 5 || argc > 6 || (!upload && strcmp(argv[1], "get") != 0))
		return usage();
	bytes = number(argv[4], SERVER_BYTES_MAX);
	if (argc == 6)
		seed = number(argv[5], UINT64_MAX);
	content_init(&c, seed);
	start = seconds();
	fd = dial(argv[2], (uint16_t)number(argv[3], UINT16_MAX));
	(void)dprintf(fd, "%s %" PRIu64 " %" PRIu64 "\n", upload ? "PUT" : "GET", bytes, seed);
	if (upload)
		put(fd, bytes, &c);
	else
		get(fd, bytes, &c);
	took = seconds() - start;
	printf("{\"bytes\": %" PRIu64
	       ", \"seconds\": %.6f, \"mbit_s\": %.1f, \"verified\": true}\n",
	       bytes, took, (double)bytes * 8 / 1e6 / took);
	return 0;
}
