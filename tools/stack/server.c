/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "tools/stack/server.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/stack/content.h"

#define SERVER_CHUNK   (256u * 1024u)
#define SERVER_IDLE_MS 60000 /* a peer that says nothing for this long is dropped */
#define SERVER_LINE    64u

struct server {
	pthread_t thread;
	int listener;
	int stop; /* eventfd: readable once the server is to end */
	uint16_t port;
	atomic_uint served;
	uint8_t chunk[SERVER_CHUNK];
};

/* Wait until fd is ready. False: stop, or nothing happened for too long. */
static bool server_wait(const struct server *s, int fd, short events, int timeout)
{
	struct pollfd fds[2] = {{.fd = fd, .events = events}, {.fd = s->stop, .events = POLLIN}};
	int n;

	do
		n = poll(fds, 2, timeout);
	while (n < 0 && errno == EINTR);
	return n > 0 && !fds[1].revents && fds[0].revents;
}

/* At most n bytes. 0: the peer is done, or we are to be. */
static size_t server_read(const struct server *s, int fd, void *buf, size_t n)
{
	for (;;) {
		ssize_t got = recv(fd, buf, n, MSG_DONTWAIT);

		if (got >= 0)
			return (size_t)got;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN || !server_wait(s, fd, POLLIN, SERVER_IDLE_MS))
			return 0;
	}
}

static bool server_write(const struct server *s, int fd, const void *buf, size_t n)
{
	const uint8_t *p = buf;

	while (n) {
		ssize_t sent = send(fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent >= 0) {
			p += sent;
			n -= (size_t)sent;
		} else if (errno == EAGAIN) {
			if (!server_wait(s, fd, POLLOUT, SERVER_IDLE_MS))
				return false;
		} else if (errno != EINTR) {
			return false;
		}
	}
	return true;
}

static bool server_say(const struct server *s, int fd, const char *line)
{
	return server_write(s, fd, line, strlen(line));
}

static void server_get(struct server *s, int fd, uint64_t bytes, uint64_t seed)
{
	struct content c;

	content_init(&c, seed);
	while (bytes) {
		size_t n = bytes < SERVER_CHUNK ? (size_t)bytes : SERVER_CHUNK;

		content_make(&c, s->chunk, n);
		if (!server_write(s, fd, s->chunk, n))
			return;
		bytes -= n;
	}
}

/* The first have bytes of the content are in s->chunk already. */
static void server_put(struct server *s, int fd, uint64_t bytes, uint64_t seed, size_t have)
{
	struct content c;
	char line[SERVER_LINE];

	content_init(&c, seed);
	for (;;) {
		if (have > bytes)
			have = (size_t)bytes;
		(void)content_check(&c, s->chunk, have);
		bytes -= have;
		if (!bytes)
			break;
		have = server_read(s, fd, s->chunk, SERVER_CHUNK);
		if (!have)
			return;
	}
	if (c.wrong == CONTENT_GOOD)
		(void)snprintf(line, sizeof(line), "OK %016" PRIx64 "\n", content_sum(&c));
	else
		(void)snprintf(line, sizeof(line), "BAD %" PRIu64 "\n", c.wrong);
	(void)server_say(s, fd, line);
}

/* One unsigned decimal number, moving *at behind it. */
static bool server_number(char **at, uint64_t *out)
{
	char *end;

	if (**at < '0' || **at > '9')
		return false;
	errno = 0;
	*out = strtoull(*at, &end, 10);
	if (errno || (*end != ' ' && *end != '\0'))
		return false;
	*at = *end ? end + 1 : end;
	return true;
}

static void server_serve(struct server *s, int fd)
{
	uint64_t bytes, seed;
	size_t have = 0;
	char line[SERVER_LINE], *nl = NULL, *at = line + 4;

	/* the request, and with PUT maybe the beginning of what follows it */
	while (!nl) {
		size_t n = server_read(s, fd, s->chunk + have, SERVER_CHUNK - have);

		if (!n)
			return;
		have += n;
		nl = memchr(s->chunk, '\n', have < SERVER_LINE ? have : SERVER_LINE);
		if (!nl && have >= SERVER_LINE) {
			(void)server_say(s, fd, "ERR request too long\n");
			return;
		}
	}
	memcpy(line, s->chunk, (size_t)(nl - (char *)s->chunk));
	line[nl - (char *)s->chunk] = '\0';

	if (nl - (char *)s->chunk < 5 || !server_number(&at, &bytes) ||
	    !server_number(&at, &seed) || *at || bytes > SERVER_BYTES_MAX) {
		(void)server_say(s, fd, "ERR want: GET|PUT <bytes> <seed>\n");
	} else if (!memcmp(line, "GET ", 4)) {
		server_get(s, fd, bytes, seed);
	} else if (!memcmp(line, "PUT ", 4)) {
		have -= (size_t)(nl + 1 - (char *)s->chunk);
		memmove(s->chunk, nl + 1, have);
		server_put(s, fd, bytes, seed, have);
	} else {
		(void)server_say(s, fd, "ERR want: GET|PUT <bytes> <seed>\n");
	}
}

/* Say that we are done, and let the peer take what is on its way before the socket goes. */
static void server_finish(const struct server *s, int fd)
{
	uint8_t drop[4096];

	(void)shutdown(fd, SHUT_WR);
	while (server_read(s, fd, drop, sizeof(drop)))
		continue;
	(void)close(fd);
}

static void *server_main(void *arg)
{
	struct server *s = arg;

	while (server_wait(s, s->listener, POLLIN, -1)) {
		int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			continue;
		server_serve(s, fd);
		server_finish(s, fd);
		atomic_fetch_add(&s->served, 1);
	}
	return NULL;
}

static int server_listen(struct server *s, const uint8_t addr[4], uint16_t port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};
	socklen_t len = sizeof(sin);
	int on = 1;

	memcpy(&sin.sin_addr, addr, 4);
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->listener < 0)
		return errno;
	(void)setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(s->listener, (struct sockaddr *)&sin, sizeof(sin)) < 0 ||
	    listen(s->listener, 4) < 0 ||
	    getsockname(s->listener, (struct sockaddr *)&sin, &len) < 0)
		return errno;
	s->port = ntohs(sin.sin_port);
	return 0;
}

int server_start(struct server **out, const uint8_t addr[4], uint16_t port)
{
	struct server *s = calloc(1, sizeof(*s));
	sigset_t all, old;
	int error;

	if (!s)
		return ENOMEM;
	s->listener = -1;
	s->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	error = s->stop < 0 ? errno : server_listen(s, addr, port);
	if (!error) {
		/* signals are for the thread that knows what to clean up */
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &old);
		error = pthread_create(&s->thread, NULL, server_main, s);
		pthread_sigmask(SIG_SETMASK, &old, NULL);
	}
	if (error) {
		if (s->listener >= 0)
			(void)close(s->listener);
		if (s->stop >= 0)
			(void)close(s->stop);
		free(s);
		return error;
	}
	*out = s;
	return 0;
}

uint16_t server_port(const struct server *s)
{
	return s->port;
}

unsigned server_served(const struct server *s)
{
	return atomic_load(&s->served);
}

void server_stop(struct server *s)
{
	if (!s)
		return;
	(void)eventfd_write(s->stop, 1);
	(void)pthread_join(s->thread, NULL);
	(void)close(s->listener);
	(void)close(s->stop);
	free(s);
}
