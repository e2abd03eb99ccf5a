/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/nat/tcp_int.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/cksum.h"

static bool right_sum(const struct packet *p)
{
	const uint8_t *ip = p->frame + p->l3;
	uint32_t len = p->len - p->l4, sum;

	sum = p->v6 ? cksum_pseudo6(ip + 8, ip + 24, NAT_TCP_P, len)
		    : cksum_pseudo4(ip + 12, ip + 16, NAT_TCP_P, len);
	return !cksum_finish(cksum_add(sum, p->frame + p->l4, len));
}

/* ---- what the member acknowledges ---- */

static void acknowledged(struct tcp *t, struct tcp_flow *f, uint32_t n)
{
	uint32_t data = n;

	if (!f->synced) {
		f->synced = true;
		data--;
	}
	f->snd_una += n;
	if ((int32_t)(f->snd_nxt - f->snd_una) < 0)
		f->snd_nxt = f->snd_una;
	/* One more than there was data: our FIN. */
	if (data > f->in.used) {
		f->fin_acked = true;
		data = f->in.used;
	}
	tcp_ring_take(&f->in, data);
	f->dup_acks = f->retries = 0;
	f->timeout = f->snd_una == f->snd_max ? 0 : t->now + TCP_RTO_MS;
	if (f->recovering && (int32_t)(f->snd_una - f->recover) >= 0)
		f->recovering = false;
	if (f->cwnd < TCP_RING) {
		f->cwnd += (uint32_t)((uint64_t)f->mss * n / f->cwnd) + 1;
		if (f->cwnd > TCP_RING)
			f->cwnd = TCP_RING;
	}
	tcp_mark(t, f);
}

/* False: it acknowledges what was never sent. */
static bool take_ack(struct tcp *t, struct tcp_flow *f, const uint8_t *tcp, uint32_t payload)
{
	uint32_t n = nat_be32(tcp + 8) - f->snd_una, way = f->snd_max - f->snd_una;
	uint32_t window = (uint32_t)nat_be16(tcp + 14) << f->snd_scale;

	if (n > way)
		return n > UINT32_MAX / 2;
	if (n) {
		acknowledged(t, f, n);
	} else if (way && !payload && window && window == f->snd_wnd && !(tcp[13] & NAT_FIN)) {
		if (!f->recovering && ++f->dup_acks == 3)
			tcp_resend(t, f);
	}
	if (window > f->snd_wnd)
		tcp_mark(t, f);
	f->snd_wnd = window;
	return true;
}

/* ---- what it sends ---- */

static void keep(struct tcp_flow *f, const uint8_t *data, uint32_t n)
{
	struct iovec to[2];
	unsigned pieces = tcp_ring_iov(&f->out, f->out.used, n, to);

	for (unsigned i = 0; i < pieces; i++) {
		memcpy(to[i].iov_base, data, to[i].iov_len);
		data += to[i].iov_len;
	}
	f->out.used += n;
}

/* ---- what comes before its time ---- */

/*
 * The bytes of an early piece lie in `out` where they will be once what is missing has come: as far
 * from head as rcv_nxt is from what is used. That place does not change as long as everything goes
 * through the ring and its head is not moved to the front when it is empty.
 */
static void put_early(struct tcp_flow *f, uint32_t seq, const uint8_t *data, uint32_t n)
{
	struct iovec to[2];
	unsigned pieces = tcp_ring_iov(&f->out, f->out.used + (seq - f->rcv_nxt), n, to);

	for (unsigned i = 0; i < pieces; i++) {
		memcpy(to[i].iov_base, data, to[i].iov_len);
		data += to[i].iov_len;
	}
}

/* Adds [from, to) to the list, joining what it touches. False: one hole too many. */
static bool note_early(struct tcp_flow *f, uint32_t from, uint32_t to)
{
	uint32_t base = f->rcv_nxt;
	unsigned at = 0, end;

	while (at < f->nearly && f->early[at].to - base < from - base)
		at++;
	end = at;
	while (end < f->nearly && f->early[end].from - base <= to - base) {
		if (f->early[end].from - base < from - base)
			from = f->early[end].from;
		if (f->early[end].to - base > to - base)
			to = f->early[end].to;
		end++;
	}
	if (end == at && f->nearly == TCP_EARLY)
		return false;
	memmove(&f->early[at + 1], &f->early[end], (f->nearly - end) * sizeof(f->early[0]));
	f->nearly = (uint8_t)(f->nearly - (end - at) + 1);
	f->early[at] = (struct tcp_piece){from, to};
	f->newest = (uint8_t)at;
	return true;
}

/* A hole may have closed: what came early is in order now. */
static void absorb(struct tcp_flow *f)
{
	unsigned n = 0;

	while (n < f->nearly && (int32_t)(f->early[n].from - f->rcv_nxt) <= 0) {
		uint32_t more = f->early[n].to - f->rcv_nxt;

		if ((int32_t)more > 0) {
			f->rcv_nxt += more;
			f->out.used += more;
		}
		n++;
	}
	if (!n)
		return;
	memmove(&f->early[0], &f->early[n], (f->nearly - n) * sizeof(f->early[0]));
	f->nearly = (uint8_t)(f->nearly - n);
	f->newest = 0;
}

/* The member's end, in order. Whatever it sent beyond that is nothing. */
static void take_end(struct tcp_flow *f)
{
	f->rcv_nxt++;
	f->member_fin = true;
	f->early_fin = false;
	f->nearly = 0;
}

static void take_early(struct tcp *t, struct tcp_flow *f, const uint8_t *data, uint32_t seq,
		       uint32_t n, bool fin)
{
	uint32_t ahead = seq - f->rcv_nxt, room;

	tcp_write(t);
	if (f->state != TCP_OPEN)
		return;
	room = tcp_edge(t, f) - f->rcv_nxt;
	if (!f->member_fin && ahead < room) {
		if (n > room - ahead) {
			n = room - ahead;
			fin = false;
		}
		if (n && note_early(f, seq, seq + n))
			put_early(f, seq, data, n);
		else if (n)
			fin = false;
		if (fin && !f->early_fin) {
			f->early_fin = true;
			f->fin_at = seq + n;
		}
	}
	/* Each of these gets an answer of its own. */
	tcp_send_ack(t, f, f->snd_nxt);
}

/* Bytes that the socket took; -1: the flow has ended. */
static ssize_t write_some(struct tcp *t, struct tcp_flow *f, struct iovec *iov, unsigned n)
{
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n};
	ssize_t done = sendmsg(f->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (done >= 0)
		return done;
	if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS || errno == ENOMEM)
		return 0;
	tcp_abort(t, f, true);
	return -1;
}

static void pass_end(struct tcp *t, struct tcp_flow *f)
{
	if (!f->member_fin || f->shut || f->out.used)
		return;
	f->shut = true;
	shutdown(f->fd, SHUT_WR);
	tcp_mark(t, f);
}

void tcp_write(struct tcp *t)
{
	struct tcp_flow *f = t->gather;
	unsigned n = t->ngather;
	size_t done = 0;

	t->gather = NULL;
	t->ngather = 0;
	if (!f)
		return;
	f->carried += t->gathered;
	if (!f->out.used && !f->nearly) {
		ssize_t got = write_some(t, f, t->iov, n);

		if (got < 0) {
			t->gathered = 0;
			return;
		}
		done = (size_t)got;
	}
	/* What is within the window fits: the member was told no more than there is room for. */
	for (unsigned i = 0; i < n && done < t->gathered; i++) {
		const uint8_t *data = t->iov[i].iov_base;
		size_t len = t->iov[i].iov_len;

		if (done >= len) {
			done -= len;
			t->gathered -= (uint32_t)len;
			continue;
		}
		keep(f, data + done, (uint32_t)(len - done));
		t->gathered -= (uint32_t)len;
		done = 0;
	}
	t->gathered = 0;
	if (f->nearly) {
		absorb(f);
		if (!tcp_drain(t, f))
			return;
	}
	if (f->early_fin && f->rcv_nxt == f->fin_at)
		take_end(f);
	pass_end(t, f);
}

bool tcp_drain(struct tcp *t, struct tcp_flow *f)
{
	struct iovec iov[2];
	unsigned n = tcp_ring_iov(&f->out, 0, f->out.used, iov);
	ssize_t done = write_some(t, f, iov, n);

	if (done < 0)
		return false;
	if (f->nearly) {
		f->out.head = (f->out.head + (uint32_t)done) & (TCP_RING - 1);
		f->out.used -= (uint32_t)done;
	} else {
		tcp_ring_take(&f->out, (uint32_t)done);
	}
	pass_end(t, f);
	/* A window that has opened by a good part is told. */
	if (tcp_edge(t, f) - f->rcv_told >= f->window / 2) {
		f->ack_due = true;
		tcp_mark(t, f);
	}
	return true;
}

static void gather(struct tcp *t, struct tcp_flow *f, uint8_t *data, uint32_t n)
{
	if (t->gather && (t->gather != f || t->ngather == TCP_GATHER))
		tcp_write(t);
	/* That may have ended this very flow. */
	if (f->state != TCP_OPEN)
		return;
	if (!t->gather) {
		t->gather = f;
		t->gathered = 0;
	}
	t->iov[t->ngather++] = (struct iovec){data, n};
	t->gathered += n;
	f->rcv_nxt += n;
}

static void take_data(struct tcp *t, struct tcp_flow *f, const struct packet *p)
{
	const uint8_t *tcp = p->frame + p->l4;
	uint32_t n = nat_payload(p), seq = nat_be32(tcp + 4), old = f->rcv_nxt - seq, room;
	bool fin = tcp[13] & NAT_FIN;

	if (!n && !fin) {
		/* Empty, and not where it should be: it asks whether we are there. */
		if (old) {
			f->ack_due = true;
			tcp_mark(t, f);
		}
		return;
	}
	f->ack_due = true;
	tcp_mark(t, f);
	if (old > UINT32_MAX / 2) {
		take_early(t, f, p->frame + p->payload, seq, n, fin);
		return;
	}
	if (f->member_fin || old > n)
		return;
	n -= old;
	room = tcp_edge(t, f) - f->rcv_nxt;
	if (n > room) {
		n = room;
		fin = false;
	}
	if (n)
		gather(t, f, p->frame + p->payload + old, n);
	if (!fin || f->state != TCP_OPEN)
		return;
	take_end(f);
	if (t->gather != f)
		pass_end(t, f);
}

void tcp_segment(struct tcp *t, struct tcp_flow *f, const struct packet *p)
{
	const uint8_t *tcp = p->frame + p->l4;
	uint32_t seq = nat_be32(tcp + 4);

	if (!right_sum(p)) {
		t->stats->drop[NAT_DROP_CHECKSUM]++;
		return;
	}
	f->heard = t->now;
	f->probes = 0;
	memcpy(f->mac, p->frame + 6, 6);
	if (tcp[13] & NAT_RST) {
		if (seq - f->rcv_nxt < f->window) {
			tcp_write(t);
			if (f->state != TCP_UNUSED)
				tcp_abort(t, f, false);
		}
		return;
	}
	if (f->state == TCP_CONNECTING)
		return;
	if (tcp[13] & NAT_SYN) {
		if (!f->synced && seq + 1 == f->rcv_nxt)
			tcp_send_syn(t, f);
		else
			tcp_send_ack(t, f, f->snd_nxt);
		return;
	}
	if (!(tcp[13] & NAT_ACK))
		return;
	if (!take_ack(t, f, tcp, nat_payload(p))) {
		tcp_send_ack(t, f, f->snd_nxt);
		return;
	}
	if (f->synced)
		take_data(t, f, p);
}
