/* SPDX-License-Identifier: BSD-2-Clause */
/* Between tcp.c (places and sockets), tcp_in.c (from members) and tcp_out.c (to members). */
#ifndef NAT_TCP_INT_H
#define NAT_TCP_INT_H

#include "host/nat/tcp.h"

#define TCP_RTO_MS     300
#define TCP_RTO_MAX_MS 30000
#define TCP_RETRIES    12u
#define TCP_IDLE_MS    600000 /* then it is asked whether it is still there */
#define TCP_PROBE_MS   60000
#define TCP_PROBES     5u
#define TCP_SCALE      4u

void tcp_mark(struct tcp *t, struct tcp_flow *f);
struct tcp_flow *tcp_take(struct tcp *t, const struct flow_key *key);
/* Without a word to either side; close() tells the host's. */
void tcp_free(struct tcp *t, struct tcp_flow *f);
/* RST to the host's peer, and if it is not the member's own wish, to the member. */
void tcp_abort(struct tcp *t, struct tcp_flow *f, bool tell);
/* Everything of both ends has arrived where it should: the flow is over. */
bool tcp_done(const struct tcp_flow *f);

/* tcp_in.c. A segment of this flow's member. */
void tcp_segment(struct tcp *t, struct tcp_flow *f, const struct packet *p);
/* What was gathered goes to its socket. May end the flow. */
void tcp_write(struct tcp *t);
/* What waits in `out`. False: the flow has ended. */
bool tcp_drain(struct tcp *t, struct tcp_flow *f);

/* tcp_out.c */
void tcp_prepare(const struct tcp *t, struct tcp_flow *f);
void tcp_send_syn(struct tcp *t, struct tcp_flow *f);
void tcp_send_ack(struct tcp *t, struct tcp_flow *f, uint32_t seq);
void tcp_send_rst(struct tcp *t, struct tcp_flow *f);
/* Reads what the socket has. False: the flow has ended. */
bool tcp_read(struct tcp *t, struct tcp_flow *f);
/* Sends what the member may be sent. */
void tcp_push(struct tcp *t, struct tcp_flow *f);
void tcp_resend(struct tcp *t, struct tcp_flow *f);
/* The timer has run out. */
void tcp_late(struct tcp *t, struct tcp_flow *f);

static inline uint32_t tcp_ring_room(const struct tcp_ring *r)
{
	return TCP_RING - r->used;
}

/* The used part from off on (room: the unused part), as one or two pieces. */
static inline unsigned tcp_ring_iov(const struct tcp_ring *r, uint32_t off, uint32_t len,
				    struct iovec iov[2])
{
	uint32_t at = (r->head + off) & (TCP_RING - 1), first = TCP_RING - at;

	if (first >= len) {
		iov[0] = (struct iovec){r->data + at, len};
		return 1;
	}
	iov[0] = (struct iovec){r->data + at, first};
	iov[1] = (struct iovec){r->data, len - first};
	return 2;
}

static inline void tcp_ring_take(struct tcp_ring *r, uint32_t len)
{
	r->head = (r->head + len) & (TCP_RING - 1);
	r->used -= len;
	if (!r->used)
		r->head = 0;
}

/* Where the window that can be told now ends. */
static inline uint32_t tcp_edge(const struct tcp *t, const struct tcp_flow *f)
{
	uint32_t used = f->out.used + (t->gather == f ? t->gathered : 0);

	return f->rcv_nxt + (f->window > used ? f->window - used : 0);
}

#endif
