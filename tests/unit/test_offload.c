/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The header parser, the offload descriptor it makes, and the check of the one a device made.
 * Frames of every kind, split at every place; the finished checksum is compared with one computed
 * here, from the frame alone.
 */
#include "tests/unit/cm.h"

#include "guest/drivers/net_priv.h"

#define NB(f) VIRTIO_BIT(VIRTIO_NET_F_##f)

struct shape {
	unsigned tags; /* VLAN tags: 0, 1, 2 (QinQ) */
	bool v6, udp;
	unsigned options; /* IPv4 option bytes, IPv6 extension header bytes (multiple of 8) */
	unsigned tcp_options;
	unsigned payload;
	unsigned pad; /* behind the IP packet */
	bool no_len;  /* length field of IP 0 */
};

struct made {
	uint8_t b[512];
	size_t len, l3, l4, pay, l4_len;
};

static void be16_at(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void make(const struct shape *s, struct made *m)
{
	size_t l4_hdr = s->udp ? 8 : 20 + s->tcp_options, at = 12;
	uint8_t proto = s->udp ? 17 : 6;

	memset(m, 0, sizeof(*m));
	for (unsigned i = 0; i < sizeof(m->b); i++)
		m->b[i] = (uint8_t)(i * 37 + 11);
	m->l4_len = l4_hdr + s->payload;
	for (unsigned i = 0; i < s->tags; i++, at += 4)
		be16_at(m->b + at, s->tags == 2 && i == 0 ? 0x88a8 : 0x8100);
	be16_at(m->b + at, s->v6 ? 0x86dd : 0x0800);
	m->l3 = at += 2;
	if (s->v6) {
		m->b[at] = 0x60;
		be16_at(m->b + at + 4, s->no_len ? 0 : s->options + m->l4_len);
		m->b[at + 6] = proto;
		at += 40;
		/* Hop-by-hop first, then destination options, then a route with nothing left. */
		for (unsigned left = s->options, i = 0; left; i++) {
			static const uint8_t kinds[] = {0, 60, 43};
			unsigned n = i < 2 && left > 8 ? 8 : left;
			uint8_t *before = i == 0 ? m->b + m->l3 + 6 : m->b + at - 8;

			*before = kinds[i];
			memset(m->b + at, 0, n);
			m->b[at] = proto;
			m->b[at + 1] = (uint8_t)(n / 8 - 1);
			at += n;
			left -= n;
			if (left == 0)
				break;
		}
	} else {
		m->b[at] = (uint8_t)(0x45 + s->options / 4);
		be16_at(m->b + at + 2, s->no_len ? 0 : 20 + s->options + m->l4_len);
		be16_at(m->b + at + 6, 0x4000);
		m->b[at + 9] = proto;
		at += 20 + s->options;
	}
	m->l4 = at;
	m->pay = at + l4_hdr;
	if (s->udp)
		be16_at(m->b + at + 4, m->l4_len);
	else
		m->b[at + 12] = (uint8_t)(l4_hdr / 4 << 4);
	m->b[at + 13] &= s->udp ? 0xff : 0x7f; /* no CWR */
	m->len = m->pay + s->payload + s->pad;
	assert_true(m->len <= sizeof(m->b));
}

/* RFC 1071 over pseudo header and segment, with the checksum field taken as 0. */
static uint16_t reference(const struct made *m, const struct shape *s)
{
	size_t field = m->l4 + (s->udp ? 6 : 16), a = s->v6 ? m->l3 + 8 : m->l3 + 12;
	size_t n = s->v6 ? 32 : 8;
	uint64_t sum = (s->udp ? 17u : 6u) + m->l4_len;

	for (size_t i = 0; i < n; i += 2)
		sum += (uint64_t)(m->b[a + i] << 8 | m->b[a + i + 1]);
	for (size_t i = 0; i < m->l4_len; i++) {
		if (m->l4 + i == field || m->l4 + i == field + 1)
			continue;
		sum += i & 1 ? m->b[m->l4 + i] : (uint64_t)m->b[m->l4 + i] << 8;
	}
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	sum = ~sum & 0xffff;
	return (uint16_t)(s->udp && sum == 0 ? 0xffff : sum);
}

static uint16_t ip_reference(const struct made *m)
{
	size_t ihl = (size_t)(m->b[m->l3] & 15) * 4;
	uint32_t sum = 0;

	for (size_t i = 0; i < ihl; i += 2)
		if (i != 10)
			sum += (uint32_t)(m->b[m->l3 + i] << 8 | m->b[m->l3 + i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Memory of exactly the right size for each piece: a step beyond is seen. */
static unsigned split(const struct made *m, size_t a, size_t b, struct seg segs[4])
{
	size_t cut[4] = {0, a < m->len ? a : m->len, b < m->len ? b : m->len, m->len};

	for (unsigned i = 0; i < 3; i++) {
		size_t n = cut[i + 1] - cut[i];

		segs[i] = (struct seg){.ptr = malloc(n ? n : 1), .len = (uint32_t)n};
		memcpy(segs[i].ptr, m->b + cut[i], n);
	}
	return 3;
}

static void join(struct made *m, struct seg *segs, unsigned n)
{
	size_t at = 0;

	for (unsigned i = 0; i < n; i++) {
		memcpy(m->b + at, segs[i].ptr, segs[i].len);
		at += segs[i].len;
		free(segs[i].ptr);
	}
}

static void check(const struct shape *s, size_t a, size_t b, unsigned flags, uint16_t mss)
{
	struct vio_net_offload o;
	struct made m, before;
	struct seg segs[4];
	unsigned n;

	make(s, &m);
	before = m;
	n = split(&m, a, b, segs);
	assert_int_equal(vio_net_offload_parse(segs, n, flags, mss, &o), VIO_OK);
	assert_int_equal(o.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(o.csum_start, m.l4);
	assert_int_equal(o.csum_offset, s->udp ? 6 : 16);
	assert_int_equal(o.hdr_len, m.pay);
	if (flags & VIO_NET_TX_GSO && s->payload > mss) {
		assert_int_equal(o.gso_size, mss);
		assert_int_equal(o.gso_type, s->udp  ? VIRTIO_NET_HDR_GSO_UDP_L4
					     : s->v6 ? VIRTIO_NET_HDR_GSO_TCPV6
						     : VIRTIO_NET_HDR_GSO_TCPV4);
	} else {
		assert_int_equal(o.gso_type, VIRTIO_NET_HDR_GSO_NONE);
	}
	/* The sum runs to the end of the frame; padding would be summed in, and is not asked here.
	 */
	if (!s->pad) {
		assert_int_equal(vio_net_offload_finish(segs, n, &o), VIO_OK);
		join(&m, segs, n);
		assert_int_equal(m.b[m.l4 + o.csum_offset] << 8 | m.b[m.l4 + o.csum_offset + 1],
				 reference(&before, s));
	} else {
		join(&m, segs, n);
	}
	if (flags & VIO_NET_TX_IPCSUM && !s->v6) {
		assert_int_equal(m.b[m.l3 + 10] << 8 | m.b[m.l3 + 11], ip_reference(&before));
		memcpy(m.b + m.l3 + 10, before.b + before.l3 + 10, 2);
	}
	/* Nothing else was written. */
	memcpy(m.b + m.l4 + o.csum_offset, before.b + m.l4 + o.csum_offset, 2);
	assert_memory_equal(m.b, before.b, m.len);
}

static void test_every_split(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 24; k++) {
		struct shape s = {.tags = k / 8,
				  .v6 = k & 1,
				  .udp = k & 2,
				  .options = k & 4 ? 16 : 0,
				  .tcp_options = k & 4 ? 12 : 0,
				  .payload = 31};
		struct made m;

		make(&s, &m);
		for (size_t a = 0; a <= m.len; a++) {
			check(&s, a, m.len, VIO_NET_TX_CSUM | VIO_NET_TX_IPCSUM, 0);
			check(&s, a, a + 3 < m.len ? a + 3 : m.len, VIO_NET_TX_GSO, 10);
		}
	}
}

static void test_payloads(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 8; k++) {
		for (unsigned payload = 0; payload < 70; payload++) {
			struct shape s = {.v6 = k & 1,
					  .udp = k & 2,
					  .options = k & 4 ? 24 : 0,
					  .payload = payload};

			check(&s, 14, 34 + payload, VIO_NET_TX_CSUM, 0);
			check(&s, 60, 60, VIO_NET_TX_GSO | VIO_NET_TX_IPCSUM, 20);
			if (payload < 30) {
				s.pad = 30 - payload;
				check(&s, 20, 50, VIO_NET_TX_CSUM, 0);
			}
		}
	}
}

/* Stacks that leave the IP length to the card: 0. */
static void test_length_zero(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 4; k++) {
		struct shape s = {.v6 = k & 1, .udp = k & 2, .payload = 100, .no_len = true};

		check(&s, 30, 60, VIO_NET_TX_GSO, 40);
		check(&s, 30, 60, VIO_NET_TX_CSUM, 0);
	}
}

/* ---- refused ---- */

static int parse(const struct made *m, unsigned flags)
{
	struct vio_net_offload o;
	uint8_t *exact = malloc(m->len);
	struct seg seg = {.ptr = exact, .len = (uint32_t)m->len};
	int err;

	memcpy(exact, m->b, m->len);
	err = vio_net_offload_parse(&seg, 1, flags, 100, &o);
	if (err) {
		assert_int_equal(err, VIO_EINVAL);
		assert_memory_equal(exact, m->b, m->len); /* untouched */
	}
	free(exact);
	return err;
}

static void test_truncated(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 16; k++) {
		struct shape s = {.tags = k / 8,
				  .v6 = k & 1,
				  .udp = k & 2,
				  .options = k & 4 ? 24 : 0,
				  .payload = 9};
		struct made m, t;

		make(&s, &m);
		for (size_t n = 1; n < m.len; n++) {
			t = m;
			t.len = n;
			assert_int_equal(parse(&t, VIO_NET_TX_CSUM), VIO_EINVAL);
		}
		assert_int_equal(parse(&m, VIO_NET_TX_CSUM), VIO_OK);
	}
}

static void test_refused(void **state)
{
	const struct shape v4 = {.payload = 40}, v6 = {.v6 = true, .payload = 40, .options = 24};
	struct made m;

	(void)state;
	for (unsigned frag = 1; frag < 0x10000;
	     frag <<= 1) { /* MF and each offset bit; DF is fine */
		make(&v4, &m);
		be16_at(m.b + m.l3 + 6, frag);
		assert_int_equal(parse(&m, VIO_NET_TX_CSUM), frag & 0x3fff ? VIO_EINVAL : VIO_OK);
		assert_int_equal(parse(&m, VIO_NET_TX_IPCSUM), VIO_OK); /* the header alone */
	}
	make(&v6, &m); /* a fragment header in the chain */
	m.b[m.l3 + 6] = 44;
	assert_int_equal(parse(&m, VIO_NET_TX_CSUM), VIO_EINVAL);
	make(&v6, &m); /* a route that is not at its end */
	m.b[m.l3 + 6] = 43;
	m.b[m.l3 + 43] = 1;
	assert_int_equal(parse(&m, VIO_NET_TX_CSUM), VIO_EINVAL);
	make(&v6, &m); /* an extension header beyond the packet */
	m.b[m.l3 + 41] = 200;
	assert_int_equal(parse(&m, VIO_NET_TX_CSUM), VIO_EINVAL);
	make(&v6, &m); /* nothing we know follows */
	m.b[m.l3 + 6] = 59;
	assert_int_equal(parse(&m, VIO_NET_TX_CSUM), VIO_EINVAL);

	for (unsigned len = 1; len < 0x10000; len += len < 200 ? 1 : 997) {
		make(&v4, &m);
		be16_at(m.b + m.l3 + 2, len);
		assert_int_equal(parse(&m, VIO_NET_TX_CSUM),
				 len >= 40 && len <= 80 ? VIO_OK : VIO_EINVAL);
		make(&v6, &m);
		be16_at(m.b + m.l3 + 4, len);
		assert_int_equal(parse(&m, VIO_NET_TX_CSUM),
				 len >= 44 && len <= 84 ? VIO_OK : VIO_EINVAL);
	}
	for (unsigned v = 0; v < 256; v++) {
		make(&v4, &m);
		m.b[m.l3] = (uint8_t)v;
		assert_true(parse(&m, VIO_NET_TX_CSUM) != VIO_OK || (v >> 4 == 4 && (v & 15) >= 5));
		make(&v4, &m);
		m.b[m.l3 + 9] = (uint8_t)v;
		assert_int_equal(parse(&m, VIO_NET_TX_CSUM) == VIO_OK, v == 6 || v == 17);
		make(&v4, &m);
		m.b[m.l4 + 12] = (uint8_t)v; /* data offset */
		assert_int_equal(parse(&m, VIO_NET_TX_CSUM) == VIO_OK, v >> 4 >= 5);
	}
	make(&v4, &m);
	be16_at(m.b + 12, 0x0806);
	assert_int_equal(parse(&m, VIO_NET_TX_CSUM), VIO_EINVAL);
	assert_int_equal(parse(&m, VIO_NET_TX_IPCSUM), VIO_EINVAL);
	assert_int_equal(parse(&m, 0), VIO_OK);
}

/* Anything may stand in a frame: no step outside (the memory is exact), no write on refusal. */
static void test_random(void **state)
{
	struct rng rng = {21};
	unsigned good = 0;

	(void)state;
	for (unsigned turn = 0; turn < 60000; turn++) {
		struct shape s = {.tags = rng_below(&rng, 3),
				  .v6 = rng_below(&rng, 2),
				  .udp = rng_below(&rng, 2),
				  .options = 8 * rng_below(&rng, 4),
				  .payload = rng_below(&rng, 60)};
		struct made m;

		make(&s, &m);
		for (unsigned n = rng_below(&rng, 4); n > 0; n--)
			m.b[rng_below(&rng, (unsigned)m.len)] = (uint8_t)rng_next(&rng);
		if (rng_below(&rng, 4) == 0)
			m.len = 1 + rng_below(&rng, (unsigned)m.len);
		good += parse(&m, 1u << rng_below(&rng, 3)) == VIO_OK;
	}
	assert_true(good > 10000);
}

/* UDP: a sum of 0 is sent as all ones; TCP has no such rule. */
static void test_zero_sum(void **state)
{
	(void)state;
	for (int udp = 0; udp < 2; udp++) {
		struct shape s = {.udp = udp, .payload = 2};
		struct vio_net_offload o;
		struct made m;
		struct seg seg;
		uint16_t sum;

		make(&s, &m);
		m.b[m.pay] = m.b[m.pay + 1] = 0;
		sum = reference(&m, &s);
		be16_at(m.b + m.pay, sum); /* now it comes out as 0 */
		seg = (struct seg){.ptr = m.b, .len = (uint32_t)m.len};
		assert_int_equal(vio_net_offload_parse(&seg, 1, VIO_NET_TX_CSUM, 0, &o), VIO_OK);
		assert_int_equal(vio_net_offload_finish(&seg, 1, &o), VIO_OK);
		assert_int_equal(m.b[o.csum_start + o.csum_offset], udp ? 0xff : 0);
		assert_int_equal(m.b[o.csum_start + o.csum_offset + 1], udp ? 0xff : 0);
	}
}

static void test_finish_bounds(void **state)
{
	uint8_t b[8] = {1, 2, 3, 4, 5, 6, 7, 8};
	struct seg seg = {.ptr = b, .len = 8};
	struct vio_net_offload o = {.csum_start = 9, .csum_offset = 9};

	(void)state;
	assert_int_equal(vio_net_offload_finish(&seg, 1, &o), VIO_OK); /* nothing asked */
	o.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	assert_int_equal(vio_net_offload_finish(&seg, 1, &o), VIO_EINVAL);
	o = (struct vio_net_offload){.flags = 1, .csum_start = 0xffff, .csum_offset = 0xffff};
	assert_int_equal(vio_net_offload_finish(&seg, 1, &o), VIO_EINVAL);
	o.csum_start = 0;
	o.csum_offset = 7;
	assert_int_equal(vio_net_offload_finish(&seg, 1, &o), VIO_EINVAL);
	assert_memory_equal(b, "\1\2\3\4\5\6\7\10", 8);
}

/* ---- what a device says of a frame (H-8) ---- */

static struct vio_net net;
static const struct shape tcp4 = {.payload = 60}, tcp6 = {.v6 = true, .payload = 60},
			  udp4 = {.udp = true, .payload = 60};

struct claim {
	uint8_t flags, type;
	uint16_t hdr_len, size, start, offset;
};

static bool rx(const struct shape *s, struct claim c, uint64_t features, size_t head)
{
	struct virtio_net_hdr hdr = {.flags = c.flags, .gso_type = c.type};
	struct vio_net_offload o;
	struct made m;
	uint8_t *exact;
	bool good;

	make(s, &m);
	net.features = features;
	net.legacy_order = false;
	hdr.hdr_len = net_put16(&net, c.hdr_len);
	hdr.gso_size = net_put16(&net, c.size);
	hdr.csum_start = net_put16(&net, c.start);
	hdr.csum_offset = net_put16(&net, c.offset);
	if (head > m.len)
		head = m.len;
	exact = malloc(head ? head : 1);
	memcpy(exact, m.b, head);
	good = net_offload_check_rx(&net, &hdr, span_of(exact, head), (uint32_t)m.len, &o);
	free(exact);
	if (good && c.type != VIRTIO_NET_HDR_GSO_NONE)
		assert_int_equal(o.hdr_len, m.pay); /* NP-4: found, not believed */
	if (good)
		assert_int_equal(o.flags & ~3, 0); /* NP-1 */
	return good;
}

#define GUEST (NB(GUEST_CSUM) | NB(GUEST_TSO4) | NB(GUEST_TSO6) | NB(GUEST_ECN) | NB(GUEST_USO4))

static void test_h8_gso_types(void **state)
{
	(void)state;
	for (unsigned type = 0; type < 256; type++) {
		unsigned base = type & 0x7f;
		bool ecn = type & 0x80;
		struct claim c = {.type = (uint8_t)type, .size = 20};

		assert_int_equal(rx(&tcp4, c, GUEST, 512), base == 1 || type == 0);
		assert_int_equal(rx(&tcp6, c, GUEST, 512), base == 4 || type == 0);
		assert_int_equal(rx(&udp4, c, GUEST, 512), base == 5 || type == 0);
		/* Not negotiated. */
		assert_int_equal(rx(&tcp4, c, GUEST & ~NB(GUEST_TSO4), 512), type == 0);
		assert_int_equal(rx(&tcp6, c, GUEST & ~NB(GUEST_TSO6), 512), type == 0);
		assert_int_equal(rx(&udp4, c, GUEST & ~NB(GUEST_USO4), 512), type == 0);
		assert_int_equal(rx(&tcp4, c, GUEST & ~NB(GUEST_ECN), 512),
				 !ecn && (base == 1 || base == 0));
		assert_int_equal(rx(&tcp4, c, 0, 512), type == 0);
		c.size = 0;
		assert_int_equal(rx(&tcp4, c, GUEST, 512), type == 0);
	}
}

static void test_h8_csum_inside(void **state)
{
	struct made m;

	(void)state;
	make(&tcp4, &m);
	for (unsigned start = 0; start < 0x10000; start += start < 200 ? 1 : 1021) {
		for (unsigned offset = 0; offset < 0x10000; offset += offset < 130 ? 1 : 3001) {
			struct claim c = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					  .start = (uint16_t)start,
					  .offset = (uint16_t)offset};

			assert_int_equal(rx(&tcp4, c, GUEST, 512), start + offset + 2 <= m.len);
			assert_false(rx(&tcp4, c, 0, 512)); /* GUEST_CSUM was not taken */
		}
	}
	assert_true(rx(&tcp4, (struct claim){.flags = VIRTIO_NET_HDR_F_DATA_VALID}, 0, 512));
}

/* TCP segments whose sum is not TCP's; frames too short to hold their headers. */
static void test_h8_gso_matches_frame(void **state)
{
	struct made m;

	(void)state;
	make(&tcp4, &m);
	for (unsigned d = 0; d < 5; d++) {
		struct claim c = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				  .type = VIRTIO_NET_HDR_GSO_TCPV4,
				  .size = 20,
				  .hdr_len = (uint16_t)(d * 0x3fff),
				  .start = (uint16_t)(m.l4 + d - 2),
				  .offset = 16};

		assert_int_equal(rx(&tcp4, c, GUEST, 512), d == 2);
		c.start = (uint16_t)m.l4;
		c.offset = (uint16_t)(14 + d);
		assert_int_equal(rx(&tcp4, c, GUEST, 512), d == 2);
	}
	for (size_t head = 0; head <= m.len; head++)
		assert_int_equal(rx(&tcp4, (struct claim){.type = 1, .size = 20}, GUEST, head),
				 head >= m.pay);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_every_split),
	cmocka_unit_test(test_payloads),
	cmocka_unit_test(test_length_zero),
	cmocka_unit_test(test_truncated),
	cmocka_unit_test(test_refused),
	cmocka_unit_test(test_random),
	cmocka_unit_test(test_zero_sum),
	cmocka_unit_test(test_finish_bounds),
	cmocka_unit_test(test_h8_gso_types),
	cmocka_unit_test(test_h8_csum_inside),
	cmocka_unit_test(test_h8_gso_matches_frame),
};

UNIT_MAIN(60, tests)
