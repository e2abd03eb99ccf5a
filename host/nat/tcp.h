/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP from members to the outside, without libslirp.
 *
 * Theory of operation. libslirp's TCP knows no window scaling, so that no more than 64 KiB can be
 * under way; with a daemon and a VMM between it and the guest, that is what limits it. So a
 * connection that a member opens to an address outside ends here, at a socket of this host's:
 *
 *   member -> host   Segments that continue the stream are gathered where they lie, and given to
 * the socket with one call at the end of the batch. What the socket does not take waits in the
 * flow's `out` ring. The window that the member is told is what that ring has room for, and it
 * never sends more than that: nothing that was acknowledged can be lost, and a slow receiver costs
 * one ring. Segments out of order are put where they belong in it, and selectively acknowledged, as
 * long as there are few holes; so only what was lost is repeated. host -> member   What the socket
 * has is read into the flow's `in` ring, cut into segments, and stays there until the member has
 * acknowledged it. Loss is rare (the daemon drops for a member that does not read), so it is met in
 * a simple way: after three equal acknowledgements or a timeout, everything from the first missing
 * byte is sent again, with half as much under way.
 *
 * There are TCP_FLOWS places, taken at start; their pages cost nothing until used. When all are
 * taken, or all that one member may have, new connections go through libslirp as before, and so
 * does all that is not this: forwards, connections to the gateway, UDP, ping. A segment that
 * belongs to none of our connections is libslirp's to answer.
 *
 * What comes from a member is not trusted: its sequence numbers, windows and options can only spoil
 * its own connection. Timers have the grain of TCP_TICK_MS.
 */
#ifndef NAT_TCP_H
#define NAT_TCP_H

#include <poll.h>
#include <sys/uio.h>

#include "host/lane/lane.h"
#include "host/nat/flow.h"
#include "host/nat/nat.h"

#define TCP_FLOWS   128u
#define TCP_SHARE   96u	       /* one member's */
#define TCP_RING    (1u << 20) /* a power of two; also the window */
#define TCP_TICK_MS 100
#define TCP_GATHER  128u
#define TCP_HEADS   512u
#define TCP_NONE    UINT16_MAX
#define TCP_EARLY   8u /* pieces of one flow that have come before their time */

struct tcp_ring {
	uint8_t *data;
	uint32_t head, used;
};

enum tcp_state { TCP_UNUSED, TCP_CONNECTING, TCP_OPEN };

struct tcp_flow {
	struct flow_key key;
	uint16_t chain;	 /* in its bucket, or the next free one */
	uint16_t place;	 /* in tcp.active */
	uint16_t polled; /* its number in this turn's poll, or TCP_NONE */
	uint8_t state;
	bool v6;
	int fd;
	uint8_t mac[6];
	/* from the member */
	uint32_t rcv_nxt, rcv_told; /* told: the right edge it knows */
	uint32_t window;	    /* TCP_RING, or less if it cannot be told more */
	uint8_t rcv_scale, snd_scale;
	bool member_fin, shut; /* its end has come; and was passed on */
	/* to the member */
	bool synced; /* it has acknowledged our SYN: `in` begins at snd_una */
	bool readable;
	bool host_fin, fin_acked;
	bool dirty, ack_due;
	bool stalled; /* the daemon had no room */
	uint16_t mss;
	uint32_t snd_una, snd_nxt, snd_max, snd_wnd, cwnd, recover;
	bool recovering;
	uint8_t dup_acks, retries, probes;
	int64_t timeout; /* 0: none */
	int64_t heard;
	uint64_t carried;
	uint32_t ip_sum, tcp_sum; /* what never changes in the headers */
	struct tcp_ring in, out;
	/* Beyond rcv_nxt, in `out` already: disjoint, in order. newest: told first. */
	struct tcp_piece {
		uint32_t from, to;
	} early[TCP_EARLY];
	uint8_t nearly, newest;
	bool sack;	/* the member understands selective acknowledgements */
	bool early_fin; /* its end is known to be at fin_at */
	uint32_t fin_at;
};

struct tcp {
	const struct nat_config *config;
	struct nat_stats *stats;
	struct lane *lane; /* to the daemon */
	int64_t now, ticked;
	struct tcp_flow *flow;
	uint8_t *memory;
	uint16_t head[TCP_HEADS];
	uint16_t free;
	uint16_t active[TCP_FLOWS], dirty[TCP_FLOWS];
	unsigned nactive, ndirty;
	uint32_t seed;
	bool off;
	/* Payload of this batch for one flow's socket. */
	struct tcp_flow *gather;
	unsigned ngather;
	uint32_t gathered;
	struct iovec iov[TCP_GATHER];
};

/* What a SYN says of itself, read before the filter changes it. */
struct tcp_syn {
	bool ours;  /* the destination is one that this file serves */
	bool sack;  /* it knows selective acknowledgements */
	bool scale; /* it knows window scaling */
	uint8_t shift;
	uint16_t mss;
};

/* False: no memory. */
bool tcp_open(struct tcp *t);
void tcp_close(struct tcp *t);
/* Of a packet that passed filter_ip, before filter_transport. */
void tcp_look(const struct tcp *t, const struct packet *p, struct tcp_syn *syn);
/* True: it was ours, and its memory must stay as it is until tcp_end. */
bool tcp_input(struct tcp *t, const struct packet *p, const struct tcp_syn *syn);
/* The batch is over: writes, answers, sends what may be sent. */
void tcp_end(struct tcp *t);
/* Adds at most TCP_FLOWS descriptors. hold: members do not take more for now. */
void tcp_fill(struct tcp *t, struct pollfd *fds, unsigned *n, int *timeout_ms, bool hold);
void tcp_poll(struct tcp *t, const struct pollfd *fds);
/* Time passes. */
void tcp_tick(struct tcp *t, int64_t now_ms);

#endif
