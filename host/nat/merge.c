/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/nat/merge.h"

#include <stdlib.h>
#include <string.h>

#include "common/cksum.h"

#define MERGE_BUF (NAT_FRAME_MAX + 16u)

bool merge_open(struct merge *m)
{
	m->memory = malloc((size_t)MERGE_FLOWS * MERGE_BUF);
	if (!m->memory)
		return false;
	for (unsigned i = 0; i < MERGE_FLOWS; i++) {
		m->flow[i] = (struct merge_flow){.buf = m->memory + (size_t)i * MERGE_BUF};
	}
	return true;
}

void merge_close(struct merge *m)
{
	free(m->memory);
	m->memory = NULL;
}

static const uint8_t *tcp_of(const struct packet *p)
{
	return p->frame + p->l4;
}

static bool same_flow(const struct packet *a, const struct packet *b)
{
	const uint8_t *x = a->frame + a->l3, *y = b->frame + b->l3;

	if (a->v6 != b->v6 || a->proto != b->proto || memcmp(tcp_of(a), tcp_of(b), 4) != 0)
		return false;
	return a->v6 ? !memcmp(x + 8, y + 8, 32) : !memcmp(x + 12, y + 12, 8);
}

/* Sum of the payload, from the checksum the sender gave and the headers it covers. */
static uint32_t payload_sum(const struct packet *p)
{
	const uint8_t *ip = p->frame + p->l3, *tcp = tcp_of(p);
	uint32_t len = p->len - p->l4, head;

	head = p->v6 ? cksum_pseudo6(ip + 8, ip + 24, NAT_TCP_P, len)
		     : cksum_pseudo4(ip + 12, ip + 16, NAT_TCP_P, len);
	head = cksum_add(head, tcp, NAT_TCP);
	/* head has the checksum field in it: total is 0xffff, so the payload is the complement. */
	return (uint16_t)~cksum_fold(head);
}

static void finish_checksums(struct merge_flow *w)
{
	struct packet *p = &w->p;
	uint8_t *ip = p->frame + p->l3, *tcp = p->frame + p->l4;
	uint32_t len = p->len - p->l4, sum;

	if (p->v6) {
		nat_put16(ip + 4, p->len - p->l4);
		sum = cksum_pseudo6(ip + 8, ip + 24, NAT_TCP_P, len);
	} else {
		nat_put16(ip + 2, p->len - p->l3);
		nat_put16(ip + 10, 0);
		nat_put16(ip + 10, cksum_finish(cksum_add(0, ip, NAT_IP4)));
		sum = cksum_pseudo4(ip + 12, ip + 16, NAT_TCP_P, len);
	}
	nat_put16(tcp + 16, 0);
	sum = cksum_add(sum, tcp, NAT_TCP);
	nat_put16(tcp + 16, cksum_finish(sum + w->sum));
}

static void emit(struct merge *m, struct merge_flow *w)
{
	w->used = false;
	if (w->parts > 1)
		finish_checksums(w);
	m->emit(m->ctx, w->p.frame, w->p.len);
}

void merge_flush(struct merge *m)
{
	for (unsigned i = 0; i < MERGE_FLOWS; i++)
		if (m->flow[i].used)
			emit(m, &m->flow[i]);
}

/* Header bits that must be alike: of IPv4 all that says how to treat it, of IPv6 the same. */
static bool same_kind(const struct packet *a, const struct packet *b)
{
	const uint8_t *x = a->frame + a->l3, *y = b->frame + b->l3;

	return a->v6 ? !memcmp(x, y, 4) && x[7] == y[7] : x[1] == y[1] && x[8] == y[8];
}

static bool plain(const struct packet *p)
{
	const uint8_t *tcp = tcp_of(p);

	return tcp[12] == 0x50 && (tcp[13] & ~NAT_PSH) == NAT_ACK;
}

static void append(struct merge *m, struct merge_flow *w, const struct packet *p)
{
	uint32_t n = nat_payload(p), have = nat_payload(&w->p), sum;
	const uint8_t *tcp = tcp_of(p);
	uint8_t *to;

	if (w->parts == 1) {
		w->sum = payload_sum(&w->p);
		memcpy(w->buf, w->p.frame, w->p.len);
		w->p.frame = w->buf;
	}
	to = w->buf + w->p.l4;
	memcpy(w->buf + w->p.len, p->frame + p->payload, n);
	sum = payload_sum(p);
	if (have & 1)
		sum = (sum << 8 & 0xff00u) | sum >> 8;
	w->sum = cksum_fold(w->sum + sum);
	memcpy(to + 8, tcp + 8, 4);
	memcpy(to + 14, tcp + 14, 2);
	to[13] = (uint8_t)(to[13] | tcp[13]);
	w->p.len += n;
	w->next += n;
	w->parts++;
	m->stats->merged++;
}

/* p continues w. False: it does not; w must go first. */
static bool join(struct merge *m, struct merge_flow *w, const struct packet *p)
{
	const uint8_t *held = tcp_of(&w->p), *tcp = tcp_of(p);
	uint32_t n = nat_payload(p), most = p->v6 ? m->max6 : m->max4;
	int32_t newer;

	if (!plain(p) || !plain(&w->p) || !same_kind(&w->p, p) || nat_be32(tcp + 4) != w->next)
		return false;
	newer = (int32_t)(nat_be32(tcp + 8) - nat_be32(held + 8));
	if (!n) {
		if (nat_payload(&w->p) || newer <= 0)
			return false;
		w->p = *p;
		m->stats->merged++;
		return true;
	}
	if (!nat_payload(&w->p) || newer < 0 || n > most || w->p.len - w->p.l3 > most - n)
		return false;
	append(m, w, p);
	return true;
}

void merge_add(struct merge *m, const struct packet *p)
{
	struct merge_flow *w = NULL;

	if (p->proto != NAT_TCP_P || m->off) {
		m->emit(m->ctx, p->frame, p->len);
		return;
	}
	for (unsigned i = 0; i < MERGE_FLOWS; i++) {
		struct merge_flow *x = &m->flow[i];

		if (x->used && same_flow(&x->p, p)) {
			if (join(m, x, p))
				return;
			emit(m, x);
			w = x;
			break;
		}
		if (!x->used && !w)
			w = x;
	}
	if (!plain(p)) {
		m->emit(m->ctx, p->frame, p->len);
		return;
	}
	if (!w) {
		w = &m->flow[m->victim++ % MERGE_FLOWS];
		emit(m, w);
	}
	w->used = true;
	w->parts = 1;
	w->p = *p;
	w->next = nat_be32(tcp_of(p) + 4) + nat_payload(p);
}
