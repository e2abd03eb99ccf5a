/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/nat/relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG	  128
#define TRIES	  16u
#define BURST	  32u
#define LOOPBACK4 0x7f000001u

bool relay_open(struct relay *r, struct slirp_nat *slirp)
{
	memset(r, 0, sizeof(*r));
	r->slirp = slirp;
	r->memory = malloc((size_t)RELAY_PAIRS * 2 * RELAY_BUF);
	if (!r->memory)
		return false;
	for (size_t i = 0; i < RELAY_PAIRS; i++)
		for (size_t k = 0; k < 2; k++)
			r->pair[i].way[k].buf = r->memory + (i * 2 + k) * RELAY_BUF;
	return true;
}

static void end_pair(struct relay_pair *p)
{
	for (unsigned i = 0; i < 2; i++) {
		if (p->fd[i] >= 0)
			close(p->fd[i]);
		p->fd[i] = -1;
	}
	p->used = false;
}

void relay_close(struct relay *r)
{
	for (unsigned i = 0; i < RELAY_PAIRS; i++)
		if (r->pair[i].used)
			end_pair(&r->pair[i]);
	for (unsigned i = 0; i < RELAY_PORTS; i++)
		if (r->port[i].used)
			close(r->port[i].fd);
	free(r->memory);
	r->memory = NULL;
}

/* ---- ports ---- */

static struct sockaddr_in inner_address(uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(LOOPBACK4),
				    .sin_port = htons(port)};
}

static int open_outer(bool udp, const uint8_t host[16], uint16_t port)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int type = udp ? SOCK_DGRAM : SOCK_STREAM, on = 1, error;
	int fd = socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	memcpy(&a.sin6_addr, host, 16);
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (!udp)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (!bind(fd, (struct sockaddr *)&a, sizeof(a)) && (udp || !listen(fd, BACKLOG)))
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* A port of 127.0.0.1 that is free now; libslirp may still come too late for it. */
static uint16_t free_port(bool udp)
{
	struct sockaddr_in a = inner_address(0);
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
	uint16_t port = 0;

	if (fd < 0)
		return 0;
	if (!bind(fd, (struct sockaddr *)&a, sizeof(a)) &&
	    !getsockname(fd, (struct sockaddr *)&a, &len))
		port = ntohs(a.sin_port);
	close(fd);
	return port;
}

static int open_inner(struct relay *r, bool udp, uint32_t member, uint16_t member_port,
		      uint16_t *inner)
{
	int error = EADDRINUSE;

	for (unsigned i = 0; i < TRIES && error == EADDRINUSE; i++) {
		*inner = free_port(udp);
		if (!*inner)
			return errno;
		error = slirp_nat_forward(r->slirp, true, udp, LOOPBACK4, *inner, member,
					  member_port);
	}
	return error;
}

static struct relay_port *find_port(struct relay *r, bool udp, const uint8_t host[16],
				    uint16_t port)
{
	for (unsigned i = 0; i < RELAY_PORTS; i++) {
		struct relay_port *p = &r->port[i];

		if (p->used && p->udp == udp && p->port == port && !memcmp(p->host, host, 16))
			return p;
	}
	return NULL;
}

static int remove_port(struct relay *r, struct relay_port *p)
{
	for (unsigned i = 0; i < RELAY_PAIRS; i++)
		if (r->pair[i].used && r->pair[i].udp && r->pair[i].of == p)
			end_pair(&r->pair[i]);
	close(p->fd);
	p->used = false;
	return slirp_nat_forward(r->slirp, false, p->udp, LOOPBACK4, p->inner, 0, 0);
}

int relay_set(struct relay *r, bool add, bool udp, const uint8_t host[16], uint16_t port,
	      uint32_t member, uint16_t member_port)
{
	struct relay_port *p = find_port(r, udp, host, port);
	int error;

	if (!add)
		return p ? remove_port(r, p) : ENOENT;
	if (p)
		return EADDRINUSE;
	for (p = r->port; p < r->port + RELAY_PORTS && p->used; p++)
		;
	if (p == r->port + RELAY_PORTS)
		return EMFILE;
	p->fd = open_outer(udp, host, port);
	if (p->fd < 0)
		return errno;
	error = open_inner(r, udp, member, member_port, &p->inner);
	if (error) {
		close(p->fd);
		return error;
	}
	p->used = true;
	p->udp = udp;
	p->port = port;
	p->polled = RELAY_NONE;
	memcpy(p->host, host, 16);
	return 0;
}

/* ---- pairs ---- */

static int dial_inner(const struct relay_port *port)
{
	struct sockaddr_in to = inner_address(port->inner);
	int type = port->udp ? SOCK_DGRAM : SOCK_STREAM;
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) && errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

/* NULL: none is free; of UDP's, the most silent one may be had. */
static struct relay_pair *new_pair(struct relay *r, bool udp)
{
	struct relay_pair *oldest = NULL;

	for (unsigned i = 0; i < RELAY_PAIRS; i++) {
		struct relay_pair *p = &r->pair[i];

		if (!p->used)
			return p;
		if (p->udp && (!oldest || p->heard < oldest->heard))
			oldest = p;
	}
	if (oldest && udp)
		end_pair(oldest);
	return udp ? oldest : NULL;
}

static struct relay_pair *start_pair(struct relay *r, struct relay_port *port, int outer)
{
	struct relay_pair *p = new_pair(r, port->udp);
	int inner = p ? dial_inner(port) : -1;
	uint8_t *buf[2];

	if (inner < 0) {
		if (outer >= 0)
			close(outer);
		return NULL;
	}
	buf[0] = p->way[0].buf;
	buf[1] = p->way[1].buf;
	*p = (struct relay_pair){
		.used = true,
		.udp = port->udp,
		.connecting = !port->udp,
		.fd = {outer, inner},
		.way = {{.buf = buf[0]}, {.buf = buf[1]}},
		.of = port,
		.heard = r->now,
		.polled = {RELAY_NONE, RELAY_NONE},
	};
	return p;
}

/* Of TCP, from side i to the other: what waits goes first, then as much as there is at once. */
static bool carry(struct relay_pair *p, unsigned i, bool readable)
{
	struct relay_way *w = &p->way[i];

	if (readable && !w->len && !w->eof) {
		ssize_t n = recv(p->fd[i], w->buf, RELAY_BUF, MSG_DONTWAIT);

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		w->at = 0;
		w->len = n > 0 ? (uint32_t)n : 0;
		w->eof = n == 0;
	}
	while (w->len) {
		ssize_t n = send(p->fd[1 - i], w->buf + w->at, w->len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n < 0)
			return false;
		w->at += (uint32_t)n;
		w->len -= (uint32_t)n;
	}
	if (w->eof && !w->shut) {
		w->shut = true;
		shutdown(p->fd[1 - i], SHUT_WR);
	}
	return !(p->way[0].shut && p->way[1].shut);
}

static bool poll_pair(struct relay_pair *p, const short got[2])
{
	if (p->connecting) {
		int error = 0;
		socklen_t len = sizeof(error);

		if (!got[1])
			return !(got[0] & (POLLERR | POLLHUP));
		if (getsockopt(p->fd[1], SOL_SOCKET, SO_ERROR, &error, &len) || error)
			return false;
		p->connecting = false;
	}
	for (unsigned i = 0; i < 2; i++)
		if (!carry(p, i, got[i] & (POLLIN | POLLHUP | POLLERR)))
			return false;
	return true;
}

/* ---- datagrams ---- */

static void from_peers(struct relay *r, struct relay_port *port)
{
	uint8_t buf[RELAY_BUF];

	for (unsigned k = 0; k < BURST; k++) {
		struct sockaddr_in6 from = {0};
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(port->fd, buf, sizeof(buf), MSG_DONTWAIT,
				     (struct sockaddr *)&from, &len);
		struct relay_pair *p = NULL;

		if (n < 0)
			return;
		for (unsigned i = 0; i < RELAY_PAIRS && !p; i++)
			if (r->pair[i].used && r->pair[i].of == port && r->pair[i].udp &&
			    !memcmp(&r->pair[i].peer, &from, sizeof(from)))
				p = &r->pair[i];
		if (!p) {
			p = start_pair(r, port, -1);
			if (!p)
				continue;
			p->peer = from;
		}
		p->heard = r->now;
		if (send(p->fd[1], buf, (size_t)n, MSG_DONTWAIT) < 0)
			continue; /* as the network would */
	}
}

static void to_peer(struct relay *r, struct relay_pair *p)
{
	for (unsigned k = 0; k < BURST; k++) {
		ssize_t n = recv(p->fd[1], p->way[1].buf, RELAY_BUF, MSG_DONTWAIT);

		if (n < 0)
			return;
		p->heard = r->now;
		if (sendto(p->of->fd, p->way[1].buf, (size_t)n, MSG_DONTWAIT,
			   (struct sockaddr *)&p->peer, sizeof(p->peer)) < 0)
			continue;
	}
}

/* ---- loop ---- */

static void add(struct pollfd *fds, unsigned *n, int fd, short events, uint16_t *polled)
{
	*polled = RELAY_NONE;
	if (!events)
		return;
	*polled = (uint16_t)*n;
	fds[(*n)++] = (struct pollfd){.fd = fd, .events = events};
}

void relay_fill(struct relay *r, struct pollfd *fds, unsigned *n)
{
	for (unsigned i = 0; i < RELAY_PORTS; i++)
		if (r->port[i].used)
			add(fds, n, r->port[i].fd, POLLIN, &r->port[i].polled);
	for (unsigned i = 0; i < RELAY_PAIRS; i++) {
		struct relay_pair *p = &r->pair[i];

		if (!p->used)
			continue;
		if (p->udp) {
			add(fds, n, p->fd[1], POLLIN, &p->polled[1]);
			continue;
		}
		for (unsigned k = 0; k < 2; k++) {
			short events = 0;

			if (p->connecting)
				events = k ? POLLOUT : 0;
			else if (!p->way[k].len && !p->way[k].eof)
				events = POLLIN;
			if (p->way[1 - k].len)
				events |= POLLOUT;
			add(fds, n, p->fd[k], events, &p->polled[k]);
		}
	}
}

static short got(const struct pollfd *fds, uint16_t *polled)
{
	short events = *polled == RELAY_NONE ? 0 : fds[*polled].revents;

	*polled = RELAY_NONE;
	return events;
}

void relay_poll(struct relay *r, const struct pollfd *fds, int64_t now_ms)
{
	r->now = now_ms;
	for (unsigned i = 0; i < RELAY_PAIRS; i++) {
		struct relay_pair *p = &r->pair[i];
		short events[2];

		if (!p->used)
			continue;
		events[0] = got(fds, &p->polled[0]);
		events[1] = got(fds, &p->polled[1]);
		if (p->udp) {
			if (events[1])
				to_peer(r, p);
			if (now_ms - p->heard > RELAY_UDP_MS)
				end_pair(p);
		} else if ((events[0] || events[1]) && !poll_pair(p, events)) {
			end_pair(p);
		}
	}
	for (unsigned i = 0; i < RELAY_PORTS; i++) {
		struct relay_port *p = &r->port[i];

		if (!p->used || !got(fds, &p->polled))
			continue;
		if (p->udp) {
			from_peers(r, p);
			continue;
		}
		for (unsigned k = 0; k < BURST; k++) {
			int fd = accept4(p->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

			if (fd < 0)
				break;
			start_pair(r, p, fd);
		}
	}
}
