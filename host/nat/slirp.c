/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/nat/slirp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <slirp/libslirp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* Newer versions prefer other names for the same; those of 4.7 are in all of them. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

#define SAFE_VERSION   40902 /* 4.9.2: the last holes we know of are closed */
#define LISTEN_BACKLOG 128   /* libslirp asks for 1 */
#define SOCKET_BUFFER  (4 << 20)
#define MBUF_MTU       33000u /* libslirp makes no TCP segment above 32768 bytes */
#define WINDOW	       65535u /* libslirp knows no window scaling */

struct slirp_nat {
	Slirp *slirp;
	struct slirp_nat_params params;
	bool hold;
	struct pollfd *fds; /* of the fill under way, or the last one */
	unsigned first, n, limit;
	uint8_t *seen; /* one for each descriptor: set up by us */
	unsigned nseen;
	char timer; /* its address stands for libslirp's timer, which never runs */
};

/* ---- what it calls ---- */

static ssize_t send_packet(const void *data, size_t len, void *opaque)
{
	struct slirp_nat *s = opaque;

	if (len <= NAT_FRAME_MAX)
		s->params.send(s->params.ctx, data, (uint32_t)len);
	return (ssize_t)len;
}

/* Whatever a guest does wrong, it can do without limit: no line for it. */
static void guest_error(const char *text, void *opaque)
{
	(void)text;
	(void)opaque;
}

static int64_t clock_get_ns(void *opaque)
{
	struct timespec t;

	(void)opaque;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void *timer_new(SlirpTimerCb cb, void *cb_opaque, void *opaque)
{
	(void)cb;
	(void)cb_opaque;
	return &((struct slirp_nat *)opaque)->timer;
}

static void *timer_new_opaque(SlirpTimerId id, void *cb_opaque, void *opaque)
{
	(void)id;
	(void)cb_opaque;
	return &((struct slirp_nat *)opaque)->timer;
}

static void timer_free(void *timer, void *opaque)
{
	(void)timer;
	(void)opaque;
}

/* The only timer is that of router advertisements, which the daemon makes. */
static void timer_mod(void *timer, int64_t expire, void *opaque)
{
	(void)timer;
	(void)expire;
	(void)opaque;
}

/* A descriptor seen for the first time. UDP sockets and listeners are left blocking by 4.7. */
static void set_up(struct slirp_nat *s, int fd)
{
	int flags, listens = 0, size = SOCKET_BUFFER;
	socklen_t len = sizeof(listens);

	if (fd < 0 || (unsigned)fd >= s->nseen || s->seen[fd])
		return;
	s->seen[fd] = 1;
	flags = fcntl(fd, F_GETFL);
	if (flags >= 0)
		fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	if (!getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) && listens) {
		listen(fd, LISTEN_BACKLOG);
		return;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

static void register_poll_fd(int fd, void *opaque)
{
	struct slirp_nat *s = opaque;

	if (fd >= 0 && (unsigned)fd < s->nseen)
		s->seen[fd] = 0;
	set_up(s, fd);
}

static void unregister_poll_fd(int fd, void *opaque)
{
	struct slirp_nat *s = opaque;

	if (fd >= 0 && (unsigned)fd < s->nseen)
		s->seen[fd] = 0;
}

static void notify(void *opaque)
{
	(void)opaque;
}

static const SlirpCb callbacks = {
	.send_packet = send_packet,
	.guest_error = guest_error,
	.clock_get_ns = clock_get_ns,
	.timer_new = timer_new,
	.timer_free = timer_free,
	.timer_mod = timer_mod,
	.register_poll_fd = register_poll_fd,
	.unregister_poll_fd = unregister_poll_fd,
	.notify = notify,
	.timer_new_opaque = timer_new_opaque,
};

/* ---- life ---- */

uint32_t slirp_nat_mtu(const struct nat_config *config)
{
	return config->mtu > MBUF_MTU ? config->mtu : MBUF_MTU;
}

/*
 * Large, so that libslirp makes few segments; but it tells of a window that has opened only when
 * twice this fits into what has opened, and a window is 65535 bytes at most. A sender that waits
 * with less than one of its own segments left would wait for ever if the two together were more.
 */
uint16_t slirp_nat_mss(const struct nat_config *config, bool v6)
{
	uint32_t mss = (WINDOW - (config->mtu < 33000 ? config->mtu : 33000)) / 2;

	(void)v6;
	return (uint16_t)mss;
}

struct slirp_nat *slirp_nat_open(const struct slirp_nat_params *params)
{
	const struct nat_config *c = params->config;
	struct slirp_nat *s = calloc(1, sizeof(*s));
	SlirpConfig cfg = {
		.version = 4,
		.in_enabled = true,
		.vnetwork.s_addr = htonl(c->subnet),
		.vnetmask.s_addr = htonl(c->netmask),
		.vhost.s_addr = htonl(c->gateway),
		.vdhcp_start.s_addr = htonl(c->gateway + 1),
		.vnameserver.s_addr = htonl(c->gateway),
		.if_mtu = params->if_mtu,
		.if_mru = params->if_mtu,
		/* With it, answers to UDP forwards on the loopback would not pass; filter.c
		   decides. */
		.disable_host_loopback = false,
		.disable_dns = true,
		.disable_dhcp = true,
	};

	if (!s)
		return NULL;
	s->params = *params;
	s->nseen = params->fds;
	s->seen = calloc(s->nseen, 1);
	if (c->nat66) {
		cfg.in6_enabled = true;
		memcpy(&cfg.vprefix_addr6, c->prefix6, 16);
		cfg.vprefix_len = 64;
		memcpy(&cfg.vhost6, c->gateway6, 16);
		cfg.vnameserver6 = cfg.vhost6;
	}
	if (s->seen)
		s->slirp = slirp_new(&cfg, &callbacks, s);
	if (!s->slirp) {
		free(s->seen);
		free(s);
		return NULL;
	}
	return s;
}

void slirp_nat_close(struct slirp_nat *s)
{
	slirp_cleanup(s->slirp);
	free(s->seen);
	free(s);
}

const char *slirp_nat_version(void)
{
	return slirp_version_string();
}

const char *slirp_nat_warning(void)
{
	static char text[128];
	int major = 0, minor = 0, micro = 0;

	sscanf(slirp_version_string(), "%d.%d.%d", &major, &minor, &micro);
	if (major * 10000 + minor * 100 + micro >= SAFE_VERSION)
		return NULL;
	snprintf(text, sizeof(text),
		 "libslirp %d.%d.%d is older than 4.9.2, which closed holes; what we know of them "
		 "is filtered",
		 major, minor, micro);
	return text;
}

/* ---- packets and loop ---- */

void slirp_nat_input(struct slirp_nat *s, const uint8_t *frame, uint32_t len)
{
	slirp_input(s->slirp, frame, (int)len);
}

static int no_events(int idx, void *opaque)
{
	(void)idx;
	(void)opaque;
	return 0;
}

void slirp_nat_kick(struct slirp_nat *s)
{
	slirp_pollfds_poll(s->slirp, 1, no_events, s);
}

static int add_poll(int fd, int events, void *opaque)
{
	struct slirp_nat *s = opaque;
	short want = 0;

	if (s->n >= s->limit)
		return -1;
	set_up(s, fd);
	if (events & SLIRP_POLL_IN && !s->hold)
		want |= POLLIN;
	if (events & SLIRP_POLL_PRI && !s->hold)
		want |= POLLPRI;
	if (events & SLIRP_POLL_OUT)
		want |= POLLOUT;
	s->fds[s->n] = (struct pollfd){.fd = want ? fd : -1, .events = want};
	return (int)s->n++;
}

void slirp_nat_fill(struct slirp_nat *s, struct pollfd *fds, unsigned *n, int *timeout_ms,
		    bool hold)
{
	uint32_t timeout = *timeout_ms < 0 ? UINT32_MAX : (uint32_t)*timeout_ms;

	s->fds = fds;
	s->n = *n;
	s->limit = *n + s->params.fds;
	s->hold = hold;
	slirp_pollfds_fill(s->slirp, &timeout, add_poll, s);
	*n = s->n;
	*timeout_ms = timeout > 60000 ? 60000 : (int)timeout;
}

static int get_revents(int idx, void *opaque)
{
	struct slirp_nat *s = opaque;
	short got;
	int events = 0;

	if (idx < 0 || (unsigned)idx >= s->n || s->fds[idx].fd < 0)
		return 0;
	got = s->fds[idx].revents;
	if (s->hold)
		got &= POLLOUT;
	if (got & POLLIN)
		events |= SLIRP_POLL_IN;
	if (got & POLLPRI)
		events |= SLIRP_POLL_PRI;
	if (got & POLLOUT)
		events |= SLIRP_POLL_OUT;
	if (got & (POLLERR | POLLNVAL))
		events |= SLIRP_POLL_ERR;
	if (got & POLLHUP)
		events |= SLIRP_POLL_HUP;
	return events;
}

void slirp_nat_poll(struct slirp_nat *s, bool failed)
{
	slirp_pollfds_poll(s->slirp, failed, get_revents, s);
}

/* ---- forwards ---- */

int slirp_nat_forward(struct slirp_nat *s, bool add, bool udp, uint32_t host, uint16_t port,
		      uint32_t member, uint16_t member_port)
{
	struct in_addr from = {htonl(host)}, to = {htonl(member)};

	errno = 0;
	if (add ? slirp_add_hostfwd(s->slirp, udp, from, port, to, member_port)
		: slirp_remove_hostfwd(s->slirp, udp, from, port))
		return errno ? errno : add ? EIO : ENOENT;
	return 0;
}
