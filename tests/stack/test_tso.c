/* SPDX-License-Identifier: BSD-2-Clause */
/* The transmit coalescer: what it joins, what it refuses, what it makes of the headers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "common/cksum.h"
#include "tools/stack/tso.h"
#include "wire/net.h"

#define MSS 1460u
#define MAX 64u

/* A segment to be made; the defaults are those of seg(). */
struct want {
	bool v6;
	uint32_t seq, ack, payload;
	uint16_t id, window;
	uint8_t flags, ttl, tos, doff;
	uint16_t frag, urgent, sport;
	uint8_t option; /* the value of the option bytes, if there are any */
	uint32_t trailer;
	uint16_t type; /* 0: as v6 says */
	uint8_t proto;
	uint8_t ihl;
};

struct made {
	uint8_t hdr[TSO_HDR_MAX + 40];
	size_t len;	/* of the headers */
	uint32_t frame; /* of all */
};

static struct want seg(uint32_t seq, uint32_t payload)
{
	return (struct want){
		.seq = seq,
		.payload = payload,
		.ack = 1000,
		.window = 5000,
		.flags = TCP_FLAG_ACK,
		.ttl = 64,
		.doff = 5,
		.frag = 0x4000, /* DF */
		.sport = 40000,
		.proto = IP_PROTO_TCP,
		.ihl = 5,
	};
}

static void put16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static void put32(uint8_t *at, uint32_t v)
{
	put16(at, v >> 16);
	put16(at + 2, v);
}

static struct made make(struct want w)
{
	struct made m = {0};
	uint8_t *ip = m.hdr + ETH_HLEN, *tcp;
	uint32_t ip_hlen = w.v6 ? 40 : w.ihl * 4u, tcp_hlen = w.doff * 4u;
	uint32_t l4 = tcp_hlen + w.payload;

	memcpy(m.hdr, "\x52\x54\0\0\0\2\x52\x54\0\0\0\1", 12);
	put16(m.hdr + 12, w.type ? w.type : w.v6 ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4);
	if (w.v6) {
		ip[0] = 0x60;
		put16(ip + 4, l4);
		ip[6] = w.proto;
		ip[7] = w.ttl;
		ip[23] = 1;
		ip[39] = 2;
	} else {
		ip[0] = (uint8_t)(0x40 | w.ihl);
		ip[1] = w.tos;
		put16(ip + 2, ip_hlen + l4);
		put16(ip + 4, w.id);
		put16(ip + 6, w.frag);
		ip[8] = w.ttl;
		ip[9] = w.proto;
		put32(ip + 12, 0x0a00020f);
		put32(ip + 16, 0x0a000202);
		put16(ip + 10, cksum_finish(cksum_add(0, ip, ip_hlen)));
	}
	tcp = ip + ip_hlen;
	put16(tcp, w.sport);
	put16(tcp + 2, 80);
	put32(tcp + 4, w.seq);
	put32(tcp + 8, w.ack);
	tcp[12] = (uint8_t)(w.doff << 4);
	tcp[13] = w.flags;
	put16(tcp + 14, w.window);
	put16(tcp + 16, 0x1111u + w.seq); /* any: not looked at */
	put16(tcp + 18, w.urgent);
	memset(tcp + 20, w.option, tcp_hlen > 20 ? tcp_hlen - 20 : 0);
	m.len = ETH_HLEN + ip_hlen + tcp_hlen;
	m.frame = (uint32_t)m.len + w.payload + w.trailer;
	return m;
}

static bool open_it(struct tso *t, struct want w)
{
	struct made m = make(w);
	struct tso_frame f;

	tso_classify(span_of(m.hdr, m.len), m.frame, &f);
	return tso_open(t, span_of(m.hdr, m.len), &f, MAX);
}

static bool join_it(struct tso *t, struct want w)
{
	struct made m = make(w);
	struct tso before = *t;
	struct tso_frame f;
	bool joined;

	tso_classify(span_of(m.hdr, m.len), m.frame, &f);
	joined = tso_join(t, span_of(m.hdr, m.len), &f);
	if (!joined) /* a refusal changes nothing */
		assert_memory_equal(t, &before, sizeof(before));
	return joined;
}

static void classifies(void **state)
{
	struct want w = seg(1, 100);
	struct tso_frame f;
	struct made m;

	(void)state;
	m = make(w);
	tso_classify(span_of(m.hdr, m.len), m.frame, &f);
	assert_int_equal(f.kind, TSO_TCP4);
	assert_int_equal(f.l4, 34);
	assert_int_equal(f.hdr_len, 54);
	assert_int_equal(f.payload, 100);

	w.v6 = true;
	w.doff = 8;
	m = make(w);
	tso_classify(span_of(m.hdr, m.len), m.frame, &f);
	assert_int_equal(f.kind, TSO_TCP6);
	assert_int_equal(f.l4, 54);
	assert_int_equal(f.hdr_len, 86);
	assert_int_equal(f.payload, 100);

	w = seg(1, 100);
	w.proto = IP_PROTO_UDP;
	m = make(w);
	tso_classify(span_of(m.hdr, m.len), m.frame, &f);
	assert_int_equal(f.kind, TSO_UDP);
	assert_int_equal(f.hdr_len, 42);
}

static void classifies_others(void **state)
{
	struct want all[10];
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < 10; i++)
		all[i] = seg(1, 100);
	all[n++].frag = 0x2000;	       /* more fragments */
	all[n++].frag = 0x0010;	       /* a later one */
	all[n++].type = ETH_TYPE_VLAN; /* tagged */
	all[n++].type = ETH_TYPE_ARP;
	all[n++].trailer = 2;
	all[n++].doff = 4;
	all[n++].ihl = 4;
	all[n++].proto = 1;
	all[n].v6 = true;
	all[n++].proto = IP_PROTO_FRAGMENT;
	all[n].v6 = true;
	all[n++].proto = IP_PROTO_HOPOPTS;
	for (size_t i = 0; i < n; i++) {
		struct made m = make(all[i]);
		struct tso_frame f;

		tso_classify(span_of(m.hdr, m.len), m.frame, &f);
		assert_int_equal(f.kind, TSO_OTHER);
	}
}

static void classifies_cut_headers(void **state)
{
	struct made m = make(seg(1, 100));
	struct tso_frame f;

	(void)state;
	for (size_t len = 0; len < m.len; len++) {
		tso_classify(span_of(m.hdr, len), m.frame, &f);
		assert_int_equal(f.kind, TSO_OTHER);
		tso_classify(span_of(m.hdr, len), (uint32_t)len, &f);
		assert_int_equal(f.kind, TSO_OTHER);
	}
}

static void joins(void **state)
{
	struct tso t;
	uint8_t hdr[TSO_HDR_MAX];
	struct want w = seg(0xfffff000u, MSS); /* the sequence number wraps */

	(void)state;
	assert_true(open_it(&t, w));
	assert_false(tso_is_gso(&t));
	for (unsigned i = 1; i < 10; i++) {
		w.seq += MSS;
		w.id = (uint16_t)(w.id + i); /* other flows send too */
		assert_true(join_it(&t, w));
	}
	assert_true(tso_is_gso(&t));
	assert_int_equal(t.segments, 10);
	assert_int_equal(t.payload, 10 * MSS);
	assert_int_equal(tso_mss(&t), MSS);

	memcpy(hdr, t.hdr, sizeof(hdr));
	tso_finish(&t, hdr);
	assert_int_equal(hdr[16] << 8 | hdr[17], 40 + 10 * MSS);
	assert_int_equal(cksum_finish(cksum_add(0, hdr + 14, 20)), 0);
	assert_int_equal(hdr[34 + 13], TCP_FLAG_ACK);
	/* sequence number and the rest are the first's */
	assert_memory_equal(hdr + 34, t.hdr + 34, 13);
}

static void joins_v6(void **state)
{
	struct tso t;
	uint8_t hdr[TSO_HDR_MAX];
	struct want w = seg(7, 1440);

	(void)state;
	w.v6 = true;
	assert_true(open_it(&t, w));
	w.seq += 1440;
	assert_true(join_it(&t, w));
	memcpy(hdr, t.hdr, sizeof(hdr));
	tso_finish(&t, hdr);
	assert_int_equal(hdr[18] << 8 | hdr[19], 20 + 2 * 1440);
}

static void last_may_be_short(void **state)
{
	struct tso t;

	(void)state;
	assert_true(open_it(&t, seg(0, MSS)));
	assert_true(join_it(&t, seg(MSS, 1)));
	assert_false(join_it(&t, seg(MSS + 1, 1)));
	assert_false(join_it(&t, seg(MSS + 1, MSS)));
	assert_int_equal(t.payload, MSS + 1);
}

static void odd_sizes(void **state)
{
	struct tso t;

	(void)state;
	assert_true(open_it(&t, seg(0, 537)));
	assert_false(join_it(&t, seg(537, 538))); /* longer than the first */
	assert_true(join_it(&t, seg(537, 537)));
	assert_true(join_it(&t, seg(2 * 537, 3)));
	assert_int_equal(t.payload, 2 * 537 + 3);
	assert_int_equal(tso_mss(&t), 537);
}

static void psh_and_fin_end_it(void **state)
{
	static const uint8_t ends[] = {TCP_FLAG_PSH, TCP_FLAG_FIN, TCP_FLAG_PSH | TCP_FLAG_FIN};

	(void)state;
	for (size_t i = 0; i < sizeof(ends); i++) {
		struct want w = seg(MSS, MSS);
		uint8_t hdr[TSO_HDR_MAX];
		struct tso t;

		w.flags |= ends[i];
		assert_true(open_it(&t, seg(0, MSS)));
		assert_true(join_it(&t, w));
		assert_false(join_it(&t, seg(2 * MSS, MSS)));
		memcpy(hdr, t.hdr, sizeof(hdr));
		tso_finish(&t, hdr);
		assert_int_equal(hdr[34 + 13], TCP_FLAG_ACK | ends[i]);

		/* on the first: it may be sent, but alone */
		w.seq = 0;
		assert_true(open_it(&t, w));
		assert_false(join_it(&t, seg(MSS, MSS)));
		assert_false(tso_is_gso(&t));
	}
}

static void refuses_gaps(void **state)
{
	struct tso t;

	(void)state;
	assert_true(open_it(&t, seg(0, MSS)));
	assert_false(join_it(&t, seg(MSS + 1, MSS)));
	assert_false(join_it(&t, seg(MSS - 1, MSS)));
	assert_false(join_it(&t, seg(0, MSS))); /* sent again */
	assert_false(join_it(&t, seg(2 * MSS, MSS)));
	assert_true(join_it(&t, seg(MSS, MSS)));
}

static void refuses_other_headers(void **state)
{
	struct want all[8];
	struct tso t;
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < 8; i++)
		all[i] = seg(MSS, MSS);
	all[n++].ack++;
	all[n++].window--;
	all[n++].ttl--;
	all[n++].tos = 2;
	all[n++].sport++;
	all[n++].frag = 0; /* DF differs */
	all[n++].doff = 8;
	all[n++].v6 = true;
	assert_true(open_it(&t, seg(0, MSS)));
	for (size_t i = 0; i < n; i++)
		assert_false(join_it(&t, all[i]));
	assert_true(join_it(&t, seg(MSS, MSS)));
}

static void refuses_other_options(void **state)
{
	struct want a = seg(0, MSS), b = seg(MSS, MSS);
	struct tso t;

	(void)state;
	a.doff = b.doff = 8;
	a.option = 1;
	b.option = 2;
	assert_true(open_it(&t, a));
	assert_false(join_it(&t, b));
	b.option = 1;
	assert_true(join_it(&t, b));
	assert_int_equal(t.first.hdr_len, 66);
}

static void refuses_flags(void **state)
{
	static const uint8_t never[] = {TCP_FLAG_SYN, TCP_FLAG_RST, TCP_FLAG_URG, 0x40 /* ECE */,
					TCP_FLAG_CWR};
	struct want w;
	struct tso t;

	(void)state;
	for (size_t i = 0; i < sizeof(never); i++) {
		w = seg(0, MSS);
		w.flags |= never[i];
		assert_false(open_it(&t, w));
		assert_false(tso_is_open(&t));
		assert_true(open_it(&t, seg(0, MSS)));
		w.seq = MSS;
		assert_false(join_it(&t, w));
	}
	w = seg(0, MSS);
	w.flags = TCP_FLAG_PSH; /* no ACK */
	assert_false(open_it(&t, w));
	w = seg(0, MSS);
	w.urgent = 1;
	assert_false(open_it(&t, w));
}

static void refuses_what_is_no_segment(void **state)
{
	struct want w = seg(0, 0); /* an acknowledgement */
	struct tso t;

	(void)state;
	assert_false(open_it(&t, w));
	w = seg(0, MSS);
	w.frag = 0x2000;
	assert_false(open_it(&t, w));
	w = seg(0, MSS);
	w.type = ETH_TYPE_VLAN;
	assert_false(open_it(&t, w));
	w = seg(0, MSS);
	w.ihl = 6; /* IP options */
	assert_false(open_it(&t, w));
	w = seg(0, MSS);
	w.proto = IP_PROTO_UDP;
	assert_false(open_it(&t, w));

	/* and nothing can follow what was never begun */
	assert_false(join_it(&t, seg(0, MSS)));
}

static void ends_at_64k(void **state)
{
	struct tso t;
	uint32_t seq = 0;

	(void)state;
	/* IPv4: 65535 with 40 bytes of headers */
	assert_true(open_it(&t, seg(0, MSS)));
	while (join_it(&t, seg(seq + MSS, MSS)))
		seq += MSS;
	assert_int_equal(t.segments, 44);
	assert_false(join_it(&t, seg(44 * MSS, 65535 - 40 - 44 * MSS + 1)));
	assert_true(join_it(&t, seg(44 * MSS, 65535 - 40 - 44 * MSS)));
	assert_int_equal(t.payload + 40, 65535);
}

static void ends_at_max_segments(void **state)
{
	struct made m = make(seg(0, 100));
	struct tso_frame f;
	struct tso t;

	(void)state;
	tso_classify(span_of(m.hdr, m.len), m.frame, &f);
	assert_true(tso_open(&t, span_of(m.hdr, m.len), &f, 3));
	assert_true(join_it(&t, seg(100, 100)));
	assert_true(join_it(&t, seg(200, 100)));
	assert_false(join_it(&t, seg(300, 100)));
	assert_false(tso_open(&t, span_of(m.hdr, m.len), &f, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(classifies),
		cmocka_unit_test(classifies_others),
		cmocka_unit_test(classifies_cut_headers),
		cmocka_unit_test(joins),
		cmocka_unit_test(joins_v6),
		cmocka_unit_test(last_may_be_short),
		cmocka_unit_test(odd_sizes),
		cmocka_unit_test(psh_and_fin_end_it),
		cmocka_unit_test(refuses_gaps),
		cmocka_unit_test(refuses_other_headers),
		cmocka_unit_test(refuses_other_options),
		cmocka_unit_test(refuses_flags),
		cmocka_unit_test(refuses_what_is_no_segment),
		cmocka_unit_test(ends_at_64k),
		cmocka_unit_test(ends_at_max_segments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
