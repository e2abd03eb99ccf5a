/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/nat/tcp_int.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/cksum.h"

#define TTL	  64u
#define SYN_OPTS  12u /* MSS, window scale, selective acknowledgements, padded */
#define SACK_MAX  3u  /* pieces told at once */
#define DONT_FRAG 0x4000u
#define EARLY	  (96u << 10)

static uint32_t ip_len(const struct tcp_flow *f)
{
	return f->v6 ? NAT_IP6 : NAT_IP4;
}

/* The sums over what is the same in all segments of a flow. */
void tcp_prepare(const struct tcp *t, struct tcp_flow *f)
{
	const uint8_t *from = f->key.peer, *to = f->key.member;

	(void)t;
	if (f->v6) {
		f->tcp_sum = cksum_pseudo6(from, to, NAT_TCP_P, 0);
	} else {
		uint32_t sum = cksum_add(0, from, 4);

		sum = cksum_add(sum, to, 4);
		f->ip_sum = sum + 0x4500u + DONT_FRAG + (TTL << 8 | NAT_TCP_P);
		f->tcp_sum = cksum_pseudo4(from, to, NAT_TCP_P, 0);
	}
	f->tcp_sum += f->key.peer_port + f->key.member_port;
}

static void put_headers(const struct tcp *t, const struct tcp_flow *f, uint8_t *frame, uint32_t len)
{
	uint8_t *ip = frame + NAT_ETH;

	memcpy(frame, f->mac, 6);
	memcpy(frame + 6, t->config->gateway_mac, 6);
	if (f->v6) {
		nat_put16(frame + 12, NAT_ETH_IPV6);
		nat_put32(ip, 0x60000000u);
		nat_put16(ip + 4, len);
		ip[6] = NAT_TCP_P;
		ip[7] = TTL;
		memcpy(ip + 8, f->key.peer, 16);
		memcpy(ip + 24, f->key.member, 16);
		return;
	}
	nat_put16(frame + 12, NAT_ETH_IPV4);
	nat_put16(ip, 0x4500u);
	nat_put16(ip + 2, NAT_IP4 + len);
	nat_put16(ip + 4, 0);
	nat_put16(ip + 6, DONT_FRAG);
	ip[8] = TTL;
	ip[9] = NAT_TCP_P;
	nat_put16(ip + 10, cksum_finish(f->ip_sum + NAT_IP4 + len));
	memcpy(ip + 12, f->key.peer, 4);
	memcpy(ip + 16, f->key.member, 4);
}

/* The pieces that have come early, the newest first. */
static void put_sack(const struct tcp_flow *f, uint8_t *at)
{
	uint32_t n = f->nearly < SACK_MAX ? f->nearly : SACK_MAX, told = 0;

	for (uint32_t i = 0; told < n; i++) {
		const struct tcp_piece *e;

		if (i && i - 1 == f->newest)
			continue;
		e = &f->early[i ? i - 1 : f->newest];
		nat_put32(at + 4 + told * 8, e->from);
		nat_put32(at + 8 + told * 8, e->to);
		told++;
	}
	nat_put32(at, 0x01010500u | (2 + told * 8));
}

/*
 * One segment: the n bytes of `in` from off on. False: the daemon has no room. With NAT_SYN it has
 * options, and no data.
 */
static bool send_segment(struct tcp *t, struct tcp_flow *f, uint8_t flags, uint32_t seq,
			 uint32_t off, uint32_t n)
{
	uint32_t pieces = f->nearly < SACK_MAX ? f->nearly : SACK_MAX;
	uint32_t opts = flags & NAT_SYN ? SYN_OPTS : 0, head, window, sum;
	uint8_t *frame, *tcp;

	if (f->sack && pieces && !n && !(flags & NAT_SYN))
		opts = 4 + pieces * 8;
	head = NAT_TCP + opts;
	frame = lane_room(t->lane, NAT_ETH + ip_len(f) + head + n);
	if (!frame)
		return false;
	put_headers(t, f, frame, head + n);
	tcp = frame + NAT_ETH + ip_len(f);
	window = tcp_edge(t, f) - f->rcv_nxt;
	if (flags & NAT_ACK) {
		f->rcv_told = f->rcv_nxt + window;
		f->ack_due = false;
	}
	if (!(flags & NAT_SYN))
		window >>= f->rcv_scale;
	if (window > UINT16_MAX)
		window = UINT16_MAX;
	nat_put16(tcp, f->key.peer_port);
	nat_put16(tcp + 2, f->key.member_port);
	nat_put32(tcp + 4, seq);
	nat_put32(tcp + 8, flags & NAT_ACK ? f->rcv_nxt : 0);
	tcp[12] = (uint8_t)(head / 4 << 4);
	tcp[13] = flags;
	nat_put16(tcp + 14, window);
	nat_put32(tcp + 16, 0);
	if (flags & NAT_SYN) {
		nat_put32(tcp + 20,
			  0x02040000u | (t->config->mtu - (f->v6 ? NAT_IP6 : NAT_IP4) - NAT_TCP));
		nat_put32(tcp + 24, f->rcv_scale ? 0x01030300u | f->rcv_scale : 0x01010101u);
		nat_put32(tcp + 28, f->sack ? 0x01010402u : 0x01010101u);
	} else if (opts) {
		put_sack(f, tcp + NAT_TCP);
	}
	if (n) {
		struct iovec from[2];
		unsigned parts = tcp_ring_iov(&f->in, off, n, from);

		memcpy(tcp + head, from[0].iov_base, from[0].iov_len);
		if (parts > 1)
			memcpy(tcp + head + from[0].iov_len, from[1].iov_base, from[1].iov_len);
	}
	/* The ports are in f->tcp_sum already. */
	sum = cksum_fold(f->tcp_sum + head + n);
	nat_put16(tcp + 16, cksum_finish(cksum_add(sum, tcp + 4, head - 4 + n)));
	t->stats->out_frames++;
	t->stats->out_bytes += NAT_ETH + ip_len(f) + head + n;
	return true;
}

void tcp_send_syn(struct tcp *t, struct tcp_flow *f)
{
	send_segment(t, f, NAT_SYN | NAT_ACK, f->snd_una, 0, 0);
}

void tcp_send_ack(struct tcp *t, struct tcp_flow *f, uint32_t seq)
{
	if (!send_segment(t, f, NAT_ACK, seq, 0, 0))
		f->ack_due = true;
}

void tcp_send_rst(struct tcp *t, struct tcp_flow *f)
{
	send_segment(t, f, NAT_RST | NAT_ACK, f->state == TCP_OPEN ? f->snd_nxt : 0, 0, 0);
}

bool tcp_read(struct tcp *t, struct tcp_flow *f)
{
	uint32_t room = tcp_ring_room(&f->in);
	struct iovec iov[2];
	struct msghdr msg = {.msg_iov = iov};
	ssize_t n;

	if (!room || f->host_fin)
		return true;
	msg.msg_iovlen = tcp_ring_iov(&f->in, f->in.used, room, iov);
	n = recvmsg(f->fd, &msg, MSG_DONTWAIT);
	if (n > 0) {
		f->in.used += (uint32_t)n;
		f->carried += (uint64_t)n;
		f->readable = (uint32_t)n == room;
		return true;
	}
	f->readable = false;
	if (!n) {
		f->host_fin = true;
		return true;
	}
	if (errno == EAGAIN || errno == EINTR)
		return true;
	tcp_abort(t, f, true);
	return false;
}

static void arm(struct tcp *t, struct tcp_flow *f)
{
	if (!f->timeout)
		f->timeout = t->now + TCP_RTO_MS;
}

void tcp_push(struct tcp *t, struct tcp_flow *f)
{
	uint32_t window = f->snd_wnd < f->cwnd ? f->snd_wnd : f->cwnd;

	f->stalled = false;
	if (!f->synced)
		return;
	for (;;) {
		uint32_t way = f->snd_nxt - f->snd_una;
		uint32_t left = way < f->in.used ? f->in.used - way : 0, n = left;
		uint8_t flags = NAT_ACK;

		if (n > f->mss)
			n = f->mss;
		if (n > (window > way ? window - way : 0))
			n = window > way ? window - way : 0;
		/* No crumbs while there is more to come than the window has room for. */
		if (left && (!n || (n < f->mss && n < left && way))) {
			arm(t, f);
			return;
		}
		if (n == left) {
			flags |= left ? NAT_PSH : 0;
			if (f->host_fin && !f->fin_acked && way <= f->in.used)
				flags |= NAT_FIN;
		}
		if (!n && !(flags & NAT_FIN))
			return;
		if (!send_segment(t, f, flags, f->snd_nxt, way, n)) {
			arm(t, f);
			f->stalled = true;
			return;
		}
		f->snd_nxt += n + (flags & NAT_FIN ? 1 : 0);
		if ((int32_t)(f->snd_nxt - f->snd_max) > 0)
			f->snd_max = f->snd_nxt;
		arm(t, f);
		/* Let the daemon begin while the rest is being made. */
		if (lane_untold(t->lane) >= EARLY)
			lane_tell(t->lane);
	}
}

void tcp_resend(struct tcp *t, struct tcp_flow *f)
{
	uint32_t way = f->snd_max - f->snd_una, least = 4u * f->mss;

	f->cwnd = way / 2 > least ? way / 2 : least;
	f->recover = f->snd_max;
	f->recovering = true;
	f->dup_acks = 0;
	f->snd_nxt = f->snd_una;
	tcp_mark(t, f);
}

void tcp_late(struct tcp *t, struct tcp_flow *f)
{
	int64_t wait = TCP_RTO_MS << (f->retries < 7 ? f->retries : 7);

	/* One who answers and has no room may have none for as long as it likes. */
	if (!f->snd_wnd && t->now - f->heard < 2 * TCP_RTO_MAX_MS && f->retries > TCP_RETRIES / 2)
		f->retries = TCP_RETRIES / 2;
	if (f->retries++ == TCP_RETRIES) {
		tcp_abort(t, f, true);
		return;
	}
	f->timeout = t->now + (wait * 2 > TCP_RTO_MAX_MS ? TCP_RTO_MAX_MS : wait * 2);
	if (!f->synced) {
		tcp_send_syn(t, f);
		return;
	}
	if (!f->snd_wnd && f->in.used) {
		/* One byte beyond the window: the answer has the window that there is now. */
		f->snd_nxt = f->snd_una;
		if (send_segment(t, f, NAT_ACK, f->snd_nxt, 0, 1) && f->snd_max == f->snd_una)
			f->snd_max++;
		return;
	}
	tcp_resend(t, f);
}
