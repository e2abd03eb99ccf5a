/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/nat/split.h"

#include <string.h>

#include "common/cksum.h"

static void finish_ip(uint8_t *ip, const struct packet *p, uint32_t ip_len)
{
	if (p->v6) {
		nat_put16(ip + 4, ip_len - NAT_IP6);
		return;
	}
	nat_put16(ip + 2, ip_len);
	nat_put16(ip + 10, 0);
	nat_put16(ip + 10, cksum_finish(cksum_add(0, ip, p->l4 - p->l3)));
}

static bool segment(struct split *s, const uint8_t *head, uint32_t head_len, const struct packet *p,
		    const uint8_t *data, uint32_t n, uint32_t seq, bool last)
{
	uint8_t *frame = s->room(s->ctx, head_len + n), *ip, *tcp;
	uint32_t tcp_len = head_len - p->l4 + n, sum;

	if (!frame)
		return false;
	memcpy(frame, head, head_len);
	memcpy(frame + head_len, data, n);
	ip = frame + p->l3;
	tcp = frame + p->l4;
	if (!p->v6)
		nat_put16(ip + 4, s->id4++);
	finish_ip(ip, p, head_len + n - p->l3);
	nat_put32(tcp + 4, seq);
	if (!last)
		tcp[13] = (uint8_t)(tcp[13] & ~(NAT_PSH | NAT_FIN));
	nat_put16(tcp + 16, 0);
	sum = p->v6 ? cksum_pseudo6(ip + 8, ip + 24, NAT_TCP_P, tcp_len)
		    : cksum_pseudo4(ip + 12, ip + 16, NAT_TCP_P, tcp_len);
	nat_put16(tcp + 16, cksum_finish(cksum_add(sum, tcp, tcp_len)));
	return true;
}

static unsigned segments(struct split *s, const uint8_t *head, uint32_t head_len,
			 const struct packet *p, const uint8_t *data, uint32_t n, uint32_t mss,
			 bool *lost)
{
	uint32_t seq = nat_be32(head + p->l4 + 4), at = 0;
	unsigned made = 0;

	while (at < n) {
		uint32_t part = n - at < mss ? n - at : mss;

		if (!segment(s, head, head_len, p, data + at, part, seq + at, at + part == n)) {
			*lost = true;
			break;
		}
		at += part;
		made++;
	}
	return made;
}

/* head_len is Ethernet and IP only; a packet that is a fragment itself is cut further. */
static unsigned fragments4(struct split *s, const uint8_t *head, uint32_t head_len,
			   const struct packet *p, const uint8_t *data, uint32_t n, bool *lost)
{
	uint32_t part = (s->mtu - (head_len - p->l3)) & ~7u, at = 0;
	uint16_t word = nat_be16(head + p->l3 + 6);
	uint32_t base = word & 0x1fffu, more = word & 0x2000u;
	unsigned made = 0;

	while (at < n) {
		uint32_t len = n - at < part ? n - at : part;
		uint8_t *frame = s->room(s->ctx, head_len + len);

		if (!frame) {
			*lost = true;
			break;
		}
		memcpy(frame, head, head_len);
		memcpy(frame + head_len, data + at, len);
		nat_put16(frame + p->l3 + 6,
			  ((base + at / 8) & 0x1fffu) | (at + len < n ? 0x2000u : more));
		finish_ip(frame + p->l3, p, head_len + len - p->l3);
		at += len;
		made++;
	}
	return made;
}

static unsigned fragments6(struct split *s, const uint8_t *head, uint32_t head_len,
			   const struct packet *p, const uint8_t *data, uint32_t n, bool *lost)
{
	uint32_t part = (s->mtu - NAT_IP6 - 8) & ~7u, at = 0, id = s->id6++;
	unsigned made = 0;

	while (at < n) {
		uint32_t len = n - at < part ? n - at : part;
		uint8_t *frame = s->room(s->ctx, head_len + 8 + len), *h;

		if (!frame) {
			*lost = true;
			break;
		}
		memcpy(frame, head, head_len);
		h = frame + head_len;
		h[0] = p->proto;
		h[1] = 0;
		nat_put16(h + 2, at | (at + len < n));
		nat_put32(h + 4, id);
		memcpy(h + 8, data + at, len);
		frame[p->l3 + 6] = NAT_FRAG6;
		nat_put16(frame + p->l3 + 4, 8 + len);
		at += len;
		made++;
	}
	return made;
}

unsigned split_out(struct split *s, const uint8_t *head, uint32_t head_len, const struct packet *p,
		   const uint8_t *data, uint32_t n, uint16_t mss, bool *lost)
{
	uint32_t ip_len = head_len - p->l3 + n;
	uint8_t *frame;

	*lost = false;
	if (p->proto == NAT_TCP_P && (ip_len > s->mtu || n > mss))
		return segments(s, head, head_len, p, data, n, mss, lost);
	if (ip_len > s->mtu)
		return p->v6 ? fragments6(s, head, head_len, p, data, n, lost)
			     : fragments4(s, head, head_len, p, data, n, lost);
	frame = s->room(s->ctx, head_len + n);
	if (!frame) {
		*lost = true;
		return 0;
	}
	memcpy(frame, head, head_len);
	memcpy(frame + head_len, data, n);
	return 1;
}
