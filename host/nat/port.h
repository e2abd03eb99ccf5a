/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The worker's end of the stream of frames: 4 bytes of length, big-endian, and the frame.
 *
 * Reads take as much as there is, up to PORT_IN; frames are used where they lie. Writes are
 * collected in a backlog and written by port_flush in as few calls as the socket allows; what does
 * not fit into PORT_OUT is refused. Above PORT_HIGH the caller should stop making more (slirp.c
 * then leaves the host's sockets alone).
 */
#ifndef NAT_PORT_H
#define NAT_PORT_H

#include "host/nat/nat.h"

#define PORT_PREFIX 4u
#define PORT_IN	    (256u << 10)
#define PORT_OUT    (8u << 20)
#define PORT_HIGH   (1u << 20)

struct port {
	int fd;
	uint8_t *in, *out;
	uint32_t in_at, in_len;	  /* not yet taken: [in_at, in_len) */
	uint32_t out_at, out_len; /* not yet written */
};

/* fd is made non-blocking and stays the caller's. False: no memory. */
bool port_open(struct port *p, int fd);
void port_close(struct port *p);
/* > 0: something came; 0: nothing now; -1: the other end has gone or broke the protocol. */
int port_read(struct port *p);
/* The next frame that is wholly there; writable. NULL: none. *broken: a length that cannot be. */
uint8_t *port_next(struct port *p, uint32_t *len, bool *broken);
/* Room for a frame of len bytes in the backlog, to be filled in before the next call. */
uint8_t *port_room(struct port *p, uint32_t len);
/* False: the other end has gone. */
bool port_flush(struct port *p);

static inline uint32_t port_backlog(const struct port *p)
{
	return p->out_len - p->out_at;
}

#endif
