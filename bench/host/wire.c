/* SPDX-License-Identifier: BSD-2-Clause */
#include "bench/host/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define VDE_MAGIC   0xfeedfaceu
#define VDE_VERSION 3u
#define VDE_PACKETS 64 /* taken by one wire_read of a packet socket */

void standin_fail(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "standin: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(a.sun_path))
		standin_fail("%s: longer than a socket's path may be", path);
	memcpy(a.sun_path, path, strlen(path) + 1);
	return a;
}

static int unix_socket(int type)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		standin_fail("socket: %s", strerror(errno));
	return fd;
}

/* Whoever listens there may just be starting: a second of patience. */
static int connect_to(int type, const char *path)
{
	struct sockaddr_un a = address(path);
	int fd = unix_socket(type);

	for (int tries = 0; connect(fd, (struct sockaddr *)&a, sizeof(a)); tries++) {
		if (tries == 50)
			standin_fail("%s: %s", path, strerror(errno));
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	}
	return fd;
}

/* What a plug of VDE says to its switch on DIR/ctl; the answer is the port's address. */
struct vde_request {
	uint32_t magic, version, type;
	struct sockaddr_un sock;
	char description[16];
} __attribute__((packed));

static void vde_open(struct wire *w, const char *dir)
{
	struct vde_request request = {
		.magic = VDE_MAGIC, .version = VDE_VERSION, .description = "standin"};
	struct sockaddr_un own, port;
	char path[sizeof(port.sun_path)];

	snprintf(path, sizeof(path), "%s/ctl", dir);
	w->keep = connect_to(SOCK_STREAM, path);
	snprintf(path, sizeof(path), "%s/.standin-%d", dir, (int)getpid());
	own = request.sock = address(path);
	w->fd = unix_socket(SOCK_DGRAM);
	w->path = strdup(path);
	if (bind(w->fd, (struct sockaddr *)&own, sizeof(own)))
		standin_fail("%s: %s", path, strerror(errno));
	if (send(w->keep, &request, sizeof(request), MSG_NOSIGNAL) < 0 ||
	    recv(w->keep, &port, sizeof(port), MSG_WAITALL) != (ssize_t)sizeof(port))
		standin_fail("%s: the switch gave no port", dir);
	if (connect(w->fd, (struct sockaddr *)&port, sizeof(port)))
		standin_fail("%s: %s", port.sun_path, strerror(errno));
}

void wire_open(struct wire *w, const char *spec)
{
	int type;
	socklen_t len = sizeof(type);

	*w = (struct wire){.fd = -1, .keep = -1};
	if (!strncmp(spec, "fd:", 3))
		w->fd = atoi(spec + 3);
	else if (!strncmp(spec, "unix:", 5))
		w->fd = connect_to(SOCK_STREAM, spec + 5);
	else if (!strncmp(spec, "vde:", 4))
		vde_open(w, spec + 4);
	else if (!strncmp(spec, "bess:", 5))
		w->fd = connect_to(SOCK_SEQPACKET, spec + 5);
	else
		standin_fail("%s: want fd:N, unix:PATH, vde:DIR or bess:PATH", spec);
	if (getsockopt(w->fd, SOL_SOCKET, SO_TYPE, &type, &len))
		standin_fail("%s: %s", spec, strerror(errno));
	w->packets = type != SOCK_STREAM;
	fcntl(w->fd, F_SETFL, fcntl(w->fd, F_GETFL) | O_NONBLOCK);
	w->rx = malloc(WIRE_BUFFER + WIRE_FRAME);
	w->tx = malloc(WIRE_BUFFER + WIRE_PREFIX + WIRE_FRAME);
	if (!w->rx || !w->tx)
		standin_fail("out of memory");
}

void wire_close(struct wire *w)
{
	close(w->fd);
	if (w->keep >= 0)
		close(w->keep);
	if (w->path)
		unlink(w->path);
	free(w->path);
	free(w->rx);
	free(w->tx);
}

__attribute__((noreturn)) static void gone(struct wire *w)
{
	wire_close(w);
	exit(0);
}

uint8_t *wire_room(struct wire *w)
{
	return w->tx_len <= WIRE_BUFFER ? w->tx + w->tx_len + WIRE_PREFIX : NULL;
}

void wire_add(struct wire *w, size_t len)
{
	uint8_t *p = w->tx + w->tx_len;

	p[0] = (uint8_t)(len >> 24);
	p[1] = (uint8_t)(len >> 16);
	p[2] = (uint8_t)(len >> 8);
	p[3] = (uint8_t)len;
	w->tx_len += WIRE_PREFIX + len;
}

static size_t length_at(const uint8_t *p)
{
	return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

bool wire_flush(struct wire *w)
{
	while (w->tx_off < w->tx_len) {
		uint8_t *p = w->tx + w->tx_off;
		size_t len = w->tx_len - w->tx_off, prefix = 0;
		ssize_t n;

		if (w->packets) {
			len = length_at(p);
			prefix = WIRE_PREFIX;
		}
		n = send(w->fd, p + prefix, len, MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return false;
		/* A packet that the peer's kind of socket never takes is lost, as on any wire. */
		if (n < 0 && (!w->packets || (errno != EMSGSIZE && errno != ENOBUFS)))
			gone(w);
		w->tx_off += w->packets ? prefix + len : (size_t)n;
	}
	w->tx_len = w->tx_off = 0;
	return true;
}

static size_t read_packets(struct wire *w, wire_frame *frame, void *ctx)
{
	size_t frames = 0;

	while (frames < VDE_PACKETS) {
		ssize_t n = recv(w->fd, w->rx, WIRE_FRAME, 0);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0)
			gone(w);
		frame(ctx, w->rx, (size_t)n);
		frames++;
	}
	return frames;
}

size_t wire_read(struct wire *w, wire_frame *frame, void *ctx)
{
	size_t frames = 0, at = 0;
	ssize_t n;

	if (w->packets)
		return read_packets(w, frame, ctx);
	n = recv(w->fd, w->rx + w->rx_len, WIRE_BUFFER + WIRE_FRAME - w->rx_len, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		gone(w);
	w->rx_len += (size_t)n;
	while (w->rx_len - at >= WIRE_PREFIX) {
		size_t len = length_at(w->rx + at);

		if (len > WIRE_FRAME)
			standin_fail("a frame of %zu bytes: the peer speaks another protocol", len);
		if (w->rx_len - at - WIRE_PREFIX < len)
			break;
		frame(ctx, w->rx + at + WIRE_PREFIX, len);
		at += WIRE_PREFIX + len;
		frames++;
	}
	w->rx_len -= at;
	memmove(w->rx, w->rx + at, w->rx_len);
	return frames;
}
