/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/stack/tso.h"

#include <string.h>

#include "common/cksum.h"
#include "wire/net.h"

/* Flags a coalesced segment may carry. */
#define TSO_FLAGS_LAST (TCP_FLAG_PSH | TCP_FLAG_FIN)
#define TSO_FLAGS_ALL  (TCP_FLAG_ACK | TSO_FLAGS_LAST)

#define AT_ETH_TYPE  12u
#define AT_IP	     ETH_HLEN
#define AT_IP4_TOTAL (AT_IP + 2u)
#define AT_IP4_ID    (AT_IP + 4u)
#define AT_IP4_FRAG  (AT_IP + 6u)
#define AT_IP4_PROTO (AT_IP + 9u)
#define AT_IP4_CKSUM (AT_IP + 10u)
#define AT_IP6_LEN   (AT_IP + 4u)
#define AT_IP6_NEXT  (AT_IP + 6u)
#define IP4_HLEN     20u
#define IP6_HLEN     40u
#define TCP_SEQ	     4u
#define TCP_OFF	     12u
#define TCP_FLAGS    13u
#define TCP_CKSUM    16u
#define TCP_URGENT   18u
#define TCP_HLEN     20u
#define UDP_HLEN     8u

static void put_be16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static uint32_t get_be32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* The network header: where the next one begins, its protocol, the frame's true length. */
static bool tso_network(struct span hdr, uint32_t *l4, uint8_t *proto, uint32_t *end, bool *v6)
{
	uint16_t type, len, frag;
	uint8_t ver;

	if (!span_be16(hdr, AT_ETH_TYPE, &type) || !span_u8(hdr, AT_IP, &ver))
		return false;

	if (type == ETH_TYPE_IPV4 && ver >> 4 == 4) {
		uint32_t ihl = (ver & 0xfu) * 4u;

		if (ihl < IP4_HLEN || !span_fits(hdr.len, AT_IP, ihl) ||
		    !span_be16(hdr, AT_IP4_TOTAL, &len) || !span_be16(hdr, AT_IP4_FRAG, &frag) ||
		    !span_u8(hdr, AT_IP4_PROTO, proto) || frag & IPV4_FRAG_MASK)
			return false;
		*v6 = false;
		*l4 = AT_IP + ihl;
		*end = AT_IP + len;
		return true;
	}
	if (type == ETH_TYPE_IPV6 && ver >> 4 == 6) {
		if (!span_fits(hdr.len, AT_IP, IP6_HLEN) || !span_be16(hdr, AT_IP6_LEN, &len) ||
		    !span_u8(hdr, AT_IP6_NEXT, proto))
			return false;
		*v6 = true;
		*l4 = AT_IP + IP6_HLEN;
		*end = *l4 + len;
		return true;
	}
	return false;
}

void tso_classify(struct span hdr, uint32_t frame_len, struct tso_frame *out)
{
	uint32_t l4, end, hlen;
	uint8_t proto, doff;
	bool v6;

	*out = (struct tso_frame){.kind = TSO_OTHER};
	if (!tso_network(hdr, &l4, &proto, &end, &v6) || end != frame_len)
		return;

	if (proto == IP_PROTO_UDP) {
		if (!span_fits(frame_len, l4, UDP_HLEN) || !span_fits(hdr.len, l4, UDP_HLEN))
			return;
		out->kind = TSO_UDP;
		hlen = UDP_HLEN;
	} else if (proto == IP_PROTO_TCP) {
		if (!span_u8(hdr, l4 + TCP_OFF, &doff))
			return;
		hlen = (doff >> 4) * 4u;
		if (hlen < TCP_HLEN || !span_fits(frame_len, l4, hlen) ||
		    !span_fits(hdr.len, l4, hlen))
			return;
		out->kind = v6 ? TSO_TCP6 : TSO_TCP4;
	} else {
		return;
	}
	out->l4 = (uint16_t)l4;
	out->hdr_len = (uint16_t)(l4 + hlen);
	out->payload = frame_len - l4 - hlen;
}

/* Whether this segment may be part of a larger one at all, at either end. */
static bool tso_eligible(struct span hdr, const struct tso_frame *f)
{
	const uint8_t *tcp = hdr.data + f->l4;

	if ((f->kind != TSO_TCP4 && f->kind != TSO_TCP6) || f->hdr_len > TSO_HDR_MAX ||
	    f->hdr_len > hdr.len || f->payload == 0 || f->payload > UINT16_MAX)
		return false;
	if (f->kind == TSO_TCP4 && f->l4 != AT_IP + IP4_HLEN) /* options are not repeated */
		return false;
	if (tcp[TCP_OFF] & 0xfu) /* reserved bits and accurate ECN */
		return false;
	if (tcp[TCP_URGENT] | tcp[TCP_URGENT + 1])
		return false;
	return (tcp[TCP_FLAGS] & ~TSO_FLAGS_ALL) == 0 && tcp[TCP_FLAGS] & TCP_FLAG_ACK;
}

bool tso_open(struct tso *t, struct span hdr, const struct tso_frame *frame, uint16_t max_segments)
{
	tso_reset(t);
	if (max_segments == 0 || !tso_eligible(hdr, frame))
		return false;

	memcpy(t->hdr, hdr.data, frame->hdr_len);
	t->first = *frame;
	t->payload = frame->payload;
	t->segments = 1;
	t->max = max_segments;
	t->last_flags = hdr.data[frame->l4 + TCP_FLAGS] & TSO_FLAGS_LAST;
	t->closed = t->last_flags != 0;
	return true;
}

static bool tso_same(const uint8_t *a, const uint8_t *b, uint32_t from, uint32_t to)
{
	return memcmp(a + from, b + from, to - from) == 0;
}

/* Headers equal in all that segmentation leaves alone. */
static bool tso_same_flow(const struct tso *t, const uint8_t *hdr)
{
	uint32_t l4 = t->first.l4;
	uint32_t tcp_end = t->first.hdr_len;

	if (t->first.kind == TSO_TCP4) {
		if (!tso_same(t->hdr, hdr, 0, AT_IP4_TOTAL) ||
		    !tso_same(t->hdr, hdr, AT_IP4_FRAG, AT_IP4_CKSUM) ||
		    !tso_same(t->hdr, hdr, AT_IP4_CKSUM + 2, l4))
			return false;
	} else if (!tso_same(t->hdr, hdr, 0, AT_IP6_LEN) ||
		   !tso_same(t->hdr, hdr, AT_IP6_NEXT, l4)) {
		return false;
	}
	/* ports; acknowledgement and header length; window; options */
	return tso_same(t->hdr, hdr, l4, l4 + TCP_SEQ) &&
	       tso_same(t->hdr, hdr, l4 + TCP_SEQ + 4, l4 + TCP_FLAGS) &&
	       tso_same(t->hdr, hdr, l4 + TCP_FLAGS + 1, l4 + TCP_CKSUM) &&
	       tso_same(t->hdr, hdr, l4 + TCP_HLEN, tcp_end);
}

/* The IP length field of a whole with this much payload. */
static uint32_t tso_ip_len(const struct tso *t, uint32_t payload)
{
	uint32_t from = t->first.kind == TSO_TCP4 ? AT_IP : t->first.l4;

	return t->first.hdr_len - from + payload;
}

bool tso_join(struct tso *t, struct span hdr, const struct tso_frame *frame)
{
	uint32_t seq;
	uint8_t last;

	if (!tso_is_open(t) || t->closed || t->segments >= t->max || !tso_eligible(hdr, frame))
		return false;
	if (frame->kind != t->first.kind || frame->l4 != t->first.l4 ||
	    frame->hdr_len != t->first.hdr_len || frame->payload > t->first.payload)
		return false;
	if (!tso_same_flow(t, hdr.data))
		return false;

	seq = get_be32(t->hdr + t->first.l4 + TCP_SEQ) + t->payload;
	if (get_be32(hdr.data + frame->l4 + TCP_SEQ) != seq)
		return false;
	if (tso_ip_len(t, t->payload + frame->payload) > TSO_IP_MAX)
		return false;

	last = hdr.data[frame->l4 + TCP_FLAGS] & TSO_FLAGS_LAST;
	t->last_flags |= last;
	t->payload += frame->payload;
	t->segments++;
	t->closed = last != 0 || frame->payload < t->first.payload;
	return true;
}

void tso_finish(const struct tso *t, uint8_t *hdr)
{
	uint32_t ip_len = tso_ip_len(t, t->payload);

	if (t->first.kind == TSO_TCP4) {
		put_be16(hdr + AT_IP4_TOTAL, ip_len);
		put_be16(hdr + AT_IP4_CKSUM, 0);
		put_be16(hdr + AT_IP4_CKSUM, cksum_finish(cksum_add(0, hdr + AT_IP, IP4_HLEN)));
	} else {
		put_be16(hdr + AT_IP6_LEN, ip_len);
	}
	hdr[t->first.l4 + TCP_FLAGS] |= t->last_flags;
}
