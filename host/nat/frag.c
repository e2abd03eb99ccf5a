/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/nat/frag.h"

#include <stdlib.h>
#include <string.h>

#include "common/cksum.h"

#define FRAG_BUF (FRAG_HEAD + 65536u)

bool frag_open(struct frag *f)
{
	memset(f, 0, sizeof(*f));
	f->memory = malloc((size_t)FRAG_SLOTS * FRAG_BUF);
	if (!f->memory)
		return false;
	for (unsigned i = 0; i < FRAG_SLOTS; i++)
		f->slot[i].buf = f->memory + (size_t)i * FRAG_BUF;
	return true;
}

void frag_close(struct frag *f)
{
	free(f->memory);
	f->memory = NULL;
}

/* One fragment, read. */
struct piece {
	bool v6, more;
	uint8_t proto;
	uint8_t address[32];
	uint32_t id, off, len;
	const uint8_t *data;
};

static bool read_piece(const struct packet *p, struct piece *q)
{
	const uint8_t *ip = p->frame + p->l3;
	uint32_t at = p->l4;

	memset(q, 0, sizeof(*q));
	q->v6 = p->v6;
	if (p->v6) {
		const uint8_t *h = p->frame + at;

		if (p->len - at < 8)
			return false;
		q->proto = h[0];
		q->off = nat_be16(h + 2) & 0xfff8u;
		q->more = h[3] & 1;
		q->id = nat_be32(h + 4);
		memcpy(q->address, ip + 8, 32);
		at += 8;
	} else {
		uint16_t word = nat_be16(ip + 6);

		q->proto = p->proto;
		q->off = (uint32_t)(word & 0x1fffu) * 8;
		q->more = word & 0x2000u;
		q->id = nat_be16(ip + 4);
		memcpy(q->address, ip + 12, 8);
	}
	q->len = p->len - at;
	q->data = p->frame + at;
	return true;
}

/* Of the headers filter_transport will read. A packet that is whole at once is not held to it. */
static bool tiny(const struct piece *q)
{
	uint32_t least = q->proto == NAT_TCP_P ? 20 : 8;

	return q->more && (q->len % 8 || !q->len || (!q->off && q->len < least));
}

static struct frag_slot *find(struct frag *f, const struct piece *q, int64_t now)
{
	struct frag_slot *empty = NULL;
	unsigned share = 0;

	for (unsigned i = 0; i < FRAG_SLOTS; i++) {
		struct frag_slot *s = &f->slot[i];

		if (s->used && now - s->since > FRAG_AGE_MS)
			s->used = false;
		if (!s->used) {
			empty = s;
			continue;
		}
		if (s->v6 != q->v6 || memcmp(s->address, q->address, q->v6 ? 16 : 4) != 0)
			continue;
		share++;
		if (s->id == q->id && s->proto == q->proto &&
		    !memcmp(s->address, q->address, sizeof(q->address)))
			return s;
	}
	if (!empty || share >= FRAG_SHARE)
		return NULL;
	*empty = (struct frag_slot){
		.used = true,
		.v6 = q->v6,
		.proto = q->proto,
		.id = q->id,
		.since = now,
		.l4 = NAT_ETH + (q->v6 ? NAT_IP6 : NAT_IP4),
		.buf = empty->buf,
	};
	memcpy(empty->address, q->address, sizeof(q->address));
	return empty;
}

/* Marks the eighths of [off, off + len). False: one of them was there already. */
static bool mark(struct frag_slot *s, uint32_t off, uint32_t len)
{
	uint32_t from = off / 8, to = (off + len + 7) / 8;

	for (uint32_t i = from; i < to; i++)
		if (s->map[i / 8] & 1u << (i % 8))
			return false;
	for (uint32_t i = from; i < to; i++)
		s->map[i / 8] = (uint8_t)(s->map[i / 8] | 1u << (i % 8));
	return true;
}

static void finish(struct frag_slot *s, struct packet *p)
{
	uint8_t *ip = s->buf + NAT_ETH;

	if (s->v6) {
		nat_put16(ip + 4, s->total);
		ip[6] = s->proto;
	} else {
		nat_put16(ip + 2, NAT_IP4 + s->total);
		nat_put16(ip + 6, 0);
		nat_put16(ip + 10, 0);
		nat_put16(ip + 10, cksum_finish(cksum_add(0, ip, NAT_IP4)));
	}
	*p = (struct packet){
		.frame = s->buf,
		.len = s->l4 + s->total,
		.v6 = s->v6,
		.proto = s->proto,
		.l3 = NAT_ETH,
		.l4 = s->l4,
	};
	s->used = false;
}

enum nat_drop frag_add(struct frag *f, struct packet *p, int64_t now_ms, bool *whole)
{
	struct frag_slot *s;
	struct piece q;
	uint32_t most;

	*whole = false;
	if (!read_piece(p, &q) || tiny(&q))
		return NAT_DROP_FRAGMENT;
	most = 65535u - (q.v6 ? 0 : NAT_IP4);
	if (q.off > most || q.len > most - q.off)
		return NAT_DROP_FRAGMENT;
	s = find(f, &q, now_ms);
	if (!s)
		return NAT_DROP_FULL;
	if (s->dead)
		return NAT_DROP_FRAGMENT;
	if (!mark(s, q.off, q.len) || (s->last_seen && (!q.more || q.off + q.len > s->total)) ||
	    (!q.more && s->have > q.off)) {
		s->dead = true;
		return NAT_DROP_FRAGMENT;
	}
	if (!q.off) {
		s->first_seen = true;
		memcpy(s->buf, p->frame, s->l4);
	}
	memcpy(s->buf + s->l4 + q.off, q.data, q.len);
	s->have += q.len;
	if (!q.more) {
		s->last_seen = true;
		s->total = q.off + q.len;
	}
	if (s->last_seen && s->first_seen && s->have == s->total) {
		finish(s, p);
		*whole = true;
	}
	return NAT_PASS;
}
