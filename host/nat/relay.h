/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Forwards from IPv6 addresses of this host.
 *
 * Members are reached over IPv4, and libslirp cannot forward from one family to the other. So such
 * a port is listened on here, and what comes is carried to a second port, one of libslirp's own on
 * 127.0.0.1 that leads to the member. For TCP a pair of buffers per connection; a buffer is read
 * only when it is empty, so that whoever is slow is waited for. For UDP a socket for each peer, so
 * that answers find their way; the one that was silent longest gives its place up.
 */
#ifndef NAT_RELAY_H
#define NAT_RELAY_H

#include <netinet/in.h>
#include <poll.h>

#include "host/nat/slirp.h"

#define RELAY_PORTS  256u
#define RELAY_PAIRS  128u
#define RELAY_FDS    (RELAY_PORTS + 2 * RELAY_PAIRS)
#define RELAY_BUF    65536u
#define RELAY_UDP_MS 120000 /* a peer that is silent for so long is forgotten */
#define RELAY_NONE   UINT16_MAX

struct relay_port {
	bool used, udp;
	int fd;
	uint8_t host[16];
	uint16_t port, inner;
	uint16_t polled;
};

struct relay_pair {
	bool used, udp, connecting;
	int fd[2]; /* of TCP: the peer's, and that to libslirp's port; of UDP: -1, and that */
	struct relay_way {
		uint8_t *buf; /* from fd[i] to the other */
		uint32_t at, len;
		bool eof, shut;
	} way[2];
	struct relay_port *of; /* UDP */
	struct sockaddr_in6 peer;
	int64_t heard;
	uint16_t polled[2];
};

struct relay {
	struct slirp_nat *slirp;
	int64_t now;
	struct relay_port port[RELAY_PORTS];
	struct relay_pair pair[RELAY_PAIRS];
	uint8_t *memory;
};

/* False: no memory. */
bool relay_open(struct relay *r, struct slirp_nat *slirp);
void relay_close(struct relay *r);
/* 0, or an errno. */
int relay_set(struct relay *r, bool add, bool udp, const uint8_t host[16], uint16_t port,
	      uint32_t member, uint16_t member_port);
/* Adds RELAY_FDS descriptors at most. */
void relay_fill(struct relay *r, struct pollfd *fds, unsigned *n);
void relay_poll(struct relay *r, const struct pollfd *fds, int64_t now_ms);

#endif
