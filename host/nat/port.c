/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/nat/port.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCKET_BUFFER (4 << 20)

bool port_open(struct port *p, int fd)
{
	int size = SOCKET_BUFFER, flags = fcntl(fd, F_GETFL);

	*p = (struct port){.fd = fd};
	p->in = malloc(PORT_IN);
	p->out = malloc(PORT_OUT);
	if (!p->in || !p->out || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		port_close(p);
		return false;
	}
	/* As large as the system lets it be; what is there already works too. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return true;
}

void port_close(struct port *p)
{
	free(p->in);
	free(p->out);
	p->in = p->out = NULL;
}

int port_read(struct port *p)
{
	ssize_t n;

	if (p->in_at) {
		memmove(p->in, p->in + p->in_at, p->in_len - p->in_at);
		p->in_len -= p->in_at;
		p->in_at = 0;
	}
	do
		n = read(p->fd, p->in + p->in_len, PORT_IN - p->in_len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
	if (!n)
		return -1;
	p->in_len += (uint32_t)n;
	return 1;
}

uint8_t *port_next(struct port *p, uint32_t *len, bool *broken)
{
	uint32_t have = p->in_len - p->in_at, n;
	uint8_t *at = p->in + p->in_at;

	*broken = false;
	if (have < PORT_PREFIX)
		return NULL;
	n = nat_be32(at);
	if (n > NAT_FRAME_MAX) {
		*broken = true;
		return NULL;
	}
	if (have - PORT_PREFIX < n)
		return NULL;
	p->in_at += PORT_PREFIX + n;
	*len = n;
	return at + PORT_PREFIX;
}

uint8_t *port_room(struct port *p, uint32_t len)
{
	uint32_t need = PORT_PREFIX + len;
	uint8_t *at;

	if (need > PORT_OUT - port_backlog(p))
		return NULL;
	if (need > PORT_OUT - p->out_len) {
		memmove(p->out, p->out + p->out_at, port_backlog(p));
		p->out_len -= p->out_at;
		p->out_at = 0;
	}
	at = p->out + p->out_len;
	nat_put32(at, len);
	p->out_len += need;
	return at + PORT_PREFIX;
}

bool port_flush(struct port *p)
{
	while (p->out_at < p->out_len) {
		ssize_t n = send(p->fd, p->out + p->out_at, port_backlog(p), MSG_NOSIGNAL);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS;
		}
		p->out_at += (uint32_t)n;
	}
	p->out_at = p->out_len = 0;
	return true;
}
