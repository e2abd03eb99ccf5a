/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gateway on a real switch: two members send frames, and look at each byte of what comes back.
 * The uplink is a list of what it was given.
 */
#include "tests/host/dhcp_kit.h"

#include "host/netd/dns.h"

#define KEEP 64u

struct member {
	struct sw_port *port;
	char name[16];
	uint8_t mac[6];
	unsigned n;
	uint8_t frame[KEEP][2048];
	uint32_t len[KEEP];
};

static uv_loop_t loop;
static struct netdef def;
static struct sw *sw;
static struct gateway *g;
static struct member m[2];
static bool has_uplink, uplink_open;
static unsigned up_n, up_flushed, changed;
static uint8_t up_frame[2048];
static uint32_t up_len;
static const uint8_t gw_mac[6] = {0x52, 0x55, 192, 168, 64, 1};
static const uint8_t link6[16] = {0xfe, 0x80, [8] = 0x50, 0x55, 192, 0xff, 0xfe, 168, 64, 1};
static const uint8_t global6[16] = {0xfd, 1, 2, 3, 4, 5, 0, 6, [15] = 1};

/* ---- ports ---- */

static uint64_t now_ms(void *arg)
{
	return uv_now(arg);
}

static void member_send(void *ctx, const struct sw_port *from, const struct frame *f)
{
	struct member *x = ctx;

	(void)from;
	if (x->n == KEEP || f->len > sizeof(x->frame[0]))
		return;
	memcpy(x->frame[x->n], f->data, f->len);
	x->len[x->n++] = f->len;
}

static void member_flush(void *ctx)
{
	(void)ctx;
}

static void uplink_send(void *ctx, const struct frame *f)
{
	(void)ctx;
	up_n++;
	up_len = f->len;
	memcpy(up_frame, f->data, f->len < sizeof(up_frame) ? f->len : sizeof(up_frame));
}

static void uplink_flush(void *ctx)
{
	(void)ctx;
	up_flushed++;
}

static bool uplink_up(void *ctx)
{
	(void)ctx;
	return uplink_open;
}

static const char *member_name(void *arg, const struct sw_port *port)
{
	const struct member *x = sw_port_owner(port);

	(void)arg;
	return x ? x->name : "";
}

static void lease_changed(void *arg)
{
	(void)arg;
	changed++;
}

static void begin(void)
{
	static const struct sw_port_ops ops = {member_send, member_flush};

	up_n = up_flushed = changed = 0;
	uplink_open = true;
	sw = sw_create(&(struct sw_params){.mtu = def.mtu, .now_ms = now_ms, .arg = &loop});
	assert_non_null(sw);
	g = gateway_open(&(struct gateway_params){
		.loop = &loop,
		.sw = sw,
		.def = &def,
		.uplink = {has_uplink ? uplink_send : NULL, uplink_flush, uplink_up, NULL},
		.member_name = member_name,
		.lease_changed = lease_changed,
		.resolv_conf = "/nonexistent",
	});
	assert_non_null(g);
	assert_memory_equal(gateway_mac(g), gw_mac, 6);
	for (unsigned i = 0; i < 2; i++) {
		m[i].n = 0;
		(void)snprintf(m[i].name, sizeof(m[i].name), "vm%u", i + 1);
		memcpy(m[i].mac, "\2\0\0\0\0", 6);
		m[i].mac[5] = (uint8_t)(i + 1);
		m[i].port = sw_port_add(
			sw, &(struct sw_port_params){
				    .role = SW_MEMBER, .ops = &ops, .ctx = &m[i], .owner = &m[i]});
		assert_non_null(m[i].port);
	}
}

static void end(void)
{
	gateway_close(g);
	for (unsigned i = 0; i < 2; i++)
		sw_port_remove(m[i].port);
	sw_destroy(sw);
	uv_run(&loop, UV_RUN_DEFAULT);
}

static int setup(void **state)
{
	(void)state;
	uv_loop_init(&loop);
	kit_def(&def);
	def.nat66 = true;
	def.ra = true;
	memcpy(def.prefix6, global6, 8);
	has_uplink = true;
	begin();
	return 0;
}

/* A network without outside. */
static int setup_host(void **state)
{
	(void)state;
	uv_loop_init(&loop);
	kit_def(&def);
	def.mode = NETDEF_HOST;
	def.nat44 = false;
	def.ra = true;
	memcpy(def.prefix6, global6, 8);
	has_uplink = false;
	begin();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	end();
	return uv_loop_close(&loop);
}

/* ---- frames ---- */

struct pkt {
	uint8_t room[FRAME_PREFIX];
	uint8_t b[2048];
	uint32_t len;
};

static void put(unsigned from, struct pkt *p)
{
	struct frame f = {.data = p->b, .len = p->len};

	m[0].n = m[1].n = 0;
	sw_input(m[from].port, &f, 1);
}

/* The only answer there was, to that member, nobody else. */
static const uint8_t *answer(unsigned to, uint32_t *len)
{
	assert_int_equal(m[!to].n, 0);
	assert_int_equal(m[to].n, 1);
	assert_memory_equal(m[to].frame[0] + 6, gw_mac, 6);
	*len = m[to].len[0];
	return m[to].frame[0];
}

static void nothing(void)
{
	assert_int_equal(m[0].n + m[1].n, 0);
}

static struct pkt arp(unsigned who, uint16_t op, const uint8_t dst[6], uint32_t spa, uint32_t tpa)
{
	struct pkt p = {.len = 42};
	uint8_t *at = p.b + ip_put_ether(p.b, dst, m[who].mac, ETH_ARP);

	ip_put32(at, 0x00010800);
	ip_put32(at + 4, 0x06040000u | op);
	memcpy(at + 8, m[who].mac, 6);
	ip_put32(at + 14, spa);
	ip_put32(at + 24, tpa);
	return p;
}

static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static struct pkt ip4(unsigned who, uint8_t proto, uint32_t src, uint32_t dst, const void *data,
		      size_t n)
{
	struct pkt p;
	uint8_t s[4], d[4], *at;

	memset(&p, 0, sizeof(p));
	ip_put32(s, src);
	ip_put32(d, dst);
	at = p.b + ip_put_ether(p.b, dst == UINT32_MAX ? all : gw_mac, m[who].mac, ETH_IPV4);
	at += ip_put_header4(at, proto, s, d, n);
	if (n)
		memcpy(at, data, n);
	p.len = (uint32_t)(FRAME_ETH + IP4_HEADER + n);
	return p;
}

static struct pkt udp4(unsigned who, uint32_t src, uint32_t dst, uint16_t sport, uint16_t dport,
		       const void *data, size_t n)
{
	struct ip_end a = {.port = sport}, b = {.port = dport};
	struct pkt p;

	memset(&p, 0, sizeof(p));
	memcpy(a.mac, m[who].mac, 6);
	memcpy(b.mac, dst == UINT32_MAX ? all : gw_mac, 6);
	ip_put32(a.addr, src);
	ip_put32(b.addr, dst);
	if (n)
		memcpy(p.b + IP_UDP4_ROOM, data, n);
	p.len = (uint32_t)ip_udp_build(p.b, &a, &b, n);
	return p;
}

static struct pkt icmp6(unsigned who, const uint8_t src[16], const uint8_t dst[16],
			const void *data, size_t n)
{
	struct pkt p;
	uint8_t mac[6] = {0x33, 0x33, dst[12], dst[13], dst[14], dst[15]}, *at;

	memset(&p, 0, sizeof(p));
	at = p.b + ip_put_ether(p.b, dst[0] == 0xff ? mac : gw_mac, m[who].mac, ETH_IPV6);
	at += ip_put_header6(at, IP_ICMP6, 255, src, dst, n);
	memcpy(at, data, n);
	ip_icmp6_cksum(at, n, src, dst);
	p.len = (uint32_t)(FRAME_ETH + IP6_HEADER + n);
	return p;
}

/* Lengths and checksums of an answer, as a receiver looks at them. */
static struct ip_packet check(const uint8_t *b, uint32_t len)
{
	struct frame f = {.data = (uint8_t *)(uintptr_t)b, .len = len};
	struct ip_packet p;
	struct ip_udp u;
	struct span rest;
	uint16_t type;

	assert_true(ip_ether(&f, &type, &rest));
	if (type == ETH_IPV6)
		assert_true(ip6_parse(rest, &p));
	else
		assert_true(ip4_parse(rest, &p));
	assert_int_equal(p.whole.len, rest.len);
	if (p.proto == IP_UDP)
		assert_true(ip_udp_parse(&p, &u));
	else
		assert_true(ip_icmp_valid(&p));
	return p;
}

/* ---- ARP ---- */

static void test_arp(void **state)
{
	static const uint8_t want[28] = {0,   1,   8,  0, 6, 4, 0, 2, 0x52, 0x55, 192, 168, 64, 1,
					 192, 168, 64, 1, 2, 0, 0, 0, 0,    1,	  192, 168, 64, 9};
	struct pkt p = arp(0, 1, all, KIT_IP(9), KIT_IP(1));
	const uint8_t *a;
	uint32_t len;

	(void)state;
	m[0].n = m[1].n = 0;
	put(0, &p);
	assert_int_equal(m[1].n, 1); /* it was a broadcast */
	m[1].n = 0;
	a = answer(0, &len);
	assert_int_equal(len, 42);
	assert_memory_equal(a, m[0].mac, 6);
	assert_memory_equal(a + 14, want, 28);
	/* A probe for our address is answered as well (RFC 5227). */
	p = arp(0, 1, all, 0, KIT_IP(1));
	put(0, &p);
	assert_int_equal(m[0].n, 1);
	/* Somebody else's address; a hardware address that is not the sender's; cut short. */
	p = arp(0, 1, all, KIT_IP(9), KIT_IP(8));
	put(0, &p);
	assert_int_equal(m[0].n, 0);
	p = arp(0, 1, all, KIT_IP(9), KIT_IP(1));
	p.b[14 + 13]++;
	put(0, &p);
	assert_int_equal(m[0].n, 0);
	for (uint32_t n = 14; n < 42; n++) {
		p = arp(0, 1, all, KIT_IP(9), KIT_IP(1));
		p.len = n;
		put(0, &p);
		assert_int_equal(m[0].n, 0);
	}
	/* Who says that our address is his is contradicted before all, but not each time. */
	p = arp(0, 2, all, KIT_IP(1), KIT_IP(1));
	for (unsigned i = 0; i < 3; i++) {
		put(0, &p);
		assert_int_equal(m[1].n, i ? 1 : 2);
		assert_int_equal(m[0].n, i ? 0 : 1);
	}
	/* An answer to a question of the uplink's. */
	p = arp(0, 2, gw_mac, KIT_IP(9), KIT_IP(1));
	put(0, &p);
	nothing();
	assert_int_equal(up_n, 1);
	assert_int_equal(up_flushed, 1);
}

/* ---- IPv4 ---- */

static void test_ping(void **state)
{
	uint8_t icmp[1000] = {8, 0, 0, 0, 1, 2, 3, 4};
	struct ip_packet r;
	const uint8_t *a;
	struct pkt p;
	uint32_t len;

	(void)state;
	memset(icmp + 8, 0x5a, sizeof(icmp) - 8);
	ip_put16(icmp + 2, cksum_finish(cksum_add(0, icmp, sizeof(icmp))));
	for (size_t n = 0; n <= 2; n++) {
		size_t size = n ? sizeof(icmp) : 0;

		p = ip4(0, IP_ICMP, KIT_IP(9), KIT_IP(1), icmp, size);
		if (n == 2)
			p.b[100]++; /* the checksum is wrong */
		put(0, &p);
		if (n != 1) {
			nothing();
			continue;
		}
		a = answer(0, &len);
		r = check(a, len);
		assert_int_equal(r.src4, KIT_IP(1));
		assert_int_equal(r.dst4, KIT_IP(9));
		assert_int_equal(r.payload.data[0], 0);
		assert_memory_equal(r.payload.data + 4, icmp + 4, sizeof(icmp) - 4);
	}
	/* A whole batch: each has its answer. */
	{
		static struct pkt many[40];
		struct frame f[40];

		for (unsigned i = 0; i < 40; i++) {
			many[i] = ip4(0, IP_ICMP, KIT_IP(9), KIT_IP(1), icmp, sizeof(icmp));
			f[i] = (struct frame){.data = many[i].b, .len = many[i].len};
		}
		m[0].n = 0;
		sw_input(m[0].port, f, 40);
		assert_int_equal(m[0].n, 40);
		for (unsigned i = 0; i < 40; i++)
			(void)check(m[0].frame[i], m[0].len[i]);
	}
}

/* More answers than there is room for: some are dropped, nothing else happens. */
static void test_room(void **state)
{
	static uint8_t big[9000];
	static struct pkt one;
	static uint8_t frames[64][9100];
	struct frame f[64];
	json_t *stats;

	(void)state;
	end();
	def.mtu = 9000;
	begin();
	big[0] = 8;
	ip_put16(big + 2, cksum_finish(cksum_add(0, big, 8900)));
	one = ip4(0, IP_ICMP, KIT_IP(9), KIT_IP(1), NULL, 0);
	for (unsigned i = 0; i < 64; i++) {
		uint8_t s[4], d[4], *at = frames[i] + 4;

		ip_put32(s, KIT_IP(9));
		ip_put32(d, KIT_IP(1));
		memcpy(at, one.b, FRAME_ETH);
		(void)ip_put_header4(at + FRAME_ETH, IP_ICMP, s, d, 8900);
		memcpy(at + FRAME_ETH + IP4_HEADER, big, 8900);
		f[i] = (struct frame){.data = at, .len = FRAME_ETH + IP4_HEADER + 8900};
	}
	for (unsigned i = 0; i < 3; i++)
		sw_input(m[0].port, f, 64);
	stats = gateway_stats(g);
	assert_int_equal(json_integer_value(json_object_get(stats, "ping")), 3 * 29);
	assert_int_equal(json_integer_value(json_object_get(stats, "dropped")), 3 * 35);
	json_decref(stats);
	end();
	def.mtu = 1500;
	begin();
}

static void test_outside(void **state)
{
	static const uint8_t tcp[20] = {0x30, 0x39, 0, 53};
	struct pkt p = ip4(0, IP_TCP, KIT_IP(9), 0x08080808, tcp, 20);

	(void)state;
	put(0, &p);
	nothing();
	assert_int_equal(up_n, 1);
	assert_int_equal(up_flushed, 1);
	assert_int_equal(up_len, p.len);
	assert_memory_equal(up_frame, p.b, p.len);
	p = ip4(0, IP_TCP, KIT_IP(9), KIT_IP(1), tcp, 20); /* DNS over TCP; this host */
	put(0, &p);
	assert_int_equal(up_n, 2);
	p = udp4(0, KIT_IP(9), KIT_IP(1), 5, 69, "x", 1);
	put(0, &p);
	assert_int_equal(up_n, 3);
	nothing();
	/* What may not go out: this host's loopback, groups, neighbours; sources that lie. */
	{
		static const uint32_t to[] = {0x7f000001, 0xe0000001, 0xf0000001, 5, KIT_IP(77)};
		static const uint32_t from[] = {KIT_OTHER, 0x7f000001, 0, KIT_IP(1)};

		for (unsigned i = 0; i < COUNT(to); i++) {
			p = ip4(0, IP_TCP, KIT_IP(9), to[i], tcp, 20);
			put(0, &p);
		}
		for (unsigned i = 0; i < COUNT(from); i++) {
			p = ip4(0, IP_TCP, from[i], 0x08080808, tcp, 20);
			put(0, &p);
		}
		p = ip4(0, IP_TCP, KIT_IP(9), 0x08080808, tcp, 20);
		p.b[14 + 10]++; /* the header's checksum */
		put(0, &p);
		p = ip4(0, IP_TCP, KIT_IP(9), 0x08080808, tcp, 20);
		p.len -= 10; /* shorter than it says */
		put(0, &p);
	}
	nothing();
	assert_int_equal(up_n, 3);
	/* The uplink's frames go to whom they are for. */
	p = ip4(1, IP_TCP, 0x08080808, KIT_IP(9), tcp, 20);
	memcpy(p.b, m[0].mac, 6);
	memcpy(p.b + 6, gw_mac, 6);
	m[0].n = m[1].n = 0;
	gateway_input(g, &(struct frame){.data = p.b, .len = p.len}, 1);
	assert_int_equal(m[0].n, 1);
	assert_int_equal(m[1].n, 0);
	/* It is away. */
	uplink_open = false;
	p = ip4(0, IP_TCP, KIT_IP(9), 0x08080808, tcp, 20);
	put(0, &p);
	assert_int_equal(m[0].n, 1);
	assert_int_equal(up_n, 3);
}

static void test_unreachable(void **state)
{
	static const uint8_t tcp[20] = {0x30, 0x39, 0, 80};
	struct pkt p = udp4(0, KIT_IP(9), KIT_IP(1), 5, 69, "x", 1);
	struct ip_packet r;
	const uint8_t *a;
	uint32_t len;

	(void)state;
	put(0, &p);
	a = answer(0, &len);
	r = check(a, len);
	assert_int_equal(r.src4, KIT_IP(1));
	assert_int_equal(r.payload.data[0], 3);
	assert_int_equal(r.payload.data[1], 3);
	assert_memory_equal(r.payload.data + 8, p.b + 14, 28);
	p = ip4(0, IP_TCP, KIT_IP(9), KIT_IP(1), tcp, 20);
	put(0, &p);
	a = answer(0, &len);
	assert_int_equal(check(a, len).payload.data[1], 3);
	p = ip4(0, 132, KIT_IP(9), KIT_IP(1), tcp, 20);
	put(0, &p);
	a = answer(0, &len);
	assert_int_equal(check(a, len).payload.data[1], 2);
	p = ip4(0, IP_TCP, KIT_IP(9), 0x08080808, tcp, 20);
	put(0, &p);
	a = answer(0, &len);
	assert_int_equal(check(a, len).payload.data[1], 0);
	/* Not about errors, and not without end. */
	p = ip4(0, IP_ICMP, KIT_IP(9), 0x08080808, "\3\0\0\0\0\0\0\0", 8);
	put(0, &p);
	nothing();
	for (unsigned i = 0, n = 4; i < 50; i++) {
		p = ip4(0, IP_TCP, KIT_IP(9), 0x08080808, tcp, 20);
		put(0, &p);
		n += m[0].n;
		assert_true(n <= 10);
	}
	assert_int_equal(up_n, 0);
}

static void test_dhcp(void **state)
{
	struct kit_msg d = kit_msg(DHCP_DISCOVER, 1, ""), r = kit_msg(DHCP_REQUEST, 1, "");
	struct ip_packet x;
	const uint8_t *a;
	struct pkt p;
	uint32_t len;

	(void)state;
	d.b[d.len++] = DHCP_OPT_END;
	p = udp4(0, 0, UINT32_MAX, 68, 67, d.b, d.len);
	put(0, &p);
	m[1].n = 0;
	a = answer(0, &len);
	x = check(a, len);
	assert_memory_equal(a, m[0].mac, 6);
	assert_int_equal(x.src4, KIT_IP(1));
	assert_int_equal(x.dst4, KIT_IP(2));
	assert_int_equal(a[34] << 8 | a[35], 67);
	assert_int_equal(a[36] << 8 | a[37], 68);
	assert_int_equal(changed, 0);
	kit_opt32(&r, DHCP_OPT_REQUESTED, KIT_IP(2));
	kit_opt32(&r, DHCP_OPT_SERVER, KIT_IP(1));
	r.b[r.len++] = DHCP_OPT_END;
	p = udp4(0, 0, UINT32_MAX, 68, 67, r.b, r.len);
	put(0, &p);
	m[1].n = 0;
	(void)check(answer(0, &len), len);
	assert_int_equal(changed, 1);
	assert_int_equal(lease_by_name(gateway_leases(g), "vm1"), KIT_IP(2));
	/* Renewing, unicast. */
	r = kit_msg(DHCP_REQUEST, 1, "");
	ip_put32(r.b + 12, KIT_IP(2));
	r.b[r.len++] = DHCP_OPT_END;
	p = udp4(0, KIT_IP(2), KIT_IP(1), 68, 67, r.b, r.len);
	put(0, &p);
	a = answer(0, &len);
	assert_int_equal(a[IP_UDP4_ROOM + 242], DHCP_ACK);
	assert_int_equal(changed, 1);
	/* A checksum that is wrong. */
	p.b[60]++;
	put(0, &p);
	nothing();
	/* Seen in use: the next one gets another. */
	p = arp(1, 1, all, KIT_IP(3), KIT_IP(1));
	put(1, &p);
	d = kit_msg(DHCP_DISCOVER, 5, "");
	d.b[d.len++] = DHCP_OPT_END;
	p = udp4(0, 0, UINT32_MAX, 68, 67, d.b, d.len);
	put(0, &p);
	m[1].n = 0;
	(void)answer(0, &len);
	assert_int_equal(ip_get32(m[0].frame[0] + IP_UDP4_ROOM + 16), KIT_IP(4));
	assert_int_equal(lease_by_name(gateway_leases(g), "vm2"), KIT_IP(3));
}

static const uint8_t dns_question[] = {0x12, 0x34, 1,	0,   0,	  1,   0,   0, 0, 0, 0, 0, 7,
				       'g',  'a',  't', 'e', 'w', 'a', 'y', 0, 0, 1, 0, 1};

static void test_dns(void **state)
{
	uint8_t q[sizeof(dns_question)];
	const uint8_t *a;
	struct pkt p;
	uint32_t len;

	(void)state;
	p = udp4(0, KIT_IP(9), KIT_IP(1), 5555, 53, dns_question, sizeof(dns_question));
	put(0, &p);
	a = answer(0, &len);
	(void)check(a, len);
	assert_int_equal(a[34] << 8 | a[35], 53);
	assert_int_equal(a[36] << 8 | a[37], 5555);
	assert_int_equal(len, IP_UDP4_ROOM + sizeof(dns_question) + 16);
	assert_int_equal(ip_get32(a + len - 4), KIT_IP(1));
	/* Not ours; there are no servers to ask. */
	memcpy(q, dns_question, sizeof(q));
	q[13] = 'x';
	p = udp4(0, KIT_IP(9), KIT_IP(1), 5555, 53, q, sizeof(q));
	put(0, &p);
	a = answer(0, &len);
	assert_int_equal(a[IP_UDP4_ROOM + 3] & 15, has_uplink ? DNS_SERVFAIL : DNS_REFUSED);
	p = udp4(0, KIT_IP(9), KIT_IP(1), 5555, 53, q, 11);
	put(0, &p);
	nothing();
}

static void test_dns6(void **state)
{
	struct ip_end from = {.v6 = true, .port = 77}, to = {.v6 = true, .port = 53};
	const uint8_t *a;
	struct pkt p;
	uint32_t len;

	(void)state;
	memcpy(from.mac, m[0].mac, 6);
	memcpy(to.mac, gw_mac, 6);
	memcpy(from.addr, global6, 16);
	from.addr[15] = 9;
	for (unsigned i = 0; i < 2; i++) {
		memset(&p, 0, sizeof(p));
		memcpy(to.addr, i ? link6 : global6, 16);
		memcpy(p.b + IP_UDP6_ROOM, dns_question, sizeof(dns_question));
		p.len = (uint32_t)ip_udp_build(p.b, &from, &to, sizeof(dns_question));
		put(0, &p);
		a = answer(0, &len);
		assert_memory_equal(check(a, len).src, to.addr, 16);
		assert_int_equal(ip_get32(a + len - 4), KIT_IP(1));
		p.b[60]++;
		put(0, &p);
		nothing();
	}
}

/* ---- IPv6 ---- */

static void test_neighbours(void **state)
{
	static const uint8_t none[16], nodes[16] = {0xff, 2, [15] = 1};
	uint8_t ns[32] = {135}, src[16], group[16] = {0xff, 2, [11] = 1, 0xff};
	struct ip_packet r;
	const uint8_t *a;
	struct pkt p;
	uint32_t len;

	(void)state;
	memcpy(src, link6, 16);
	src[15] = 0x77;
	ns[24] = 1;
	ns[25] = 1;
	memcpy(ns + 26, m[0].mac, 6);
	for (unsigned i = 0; i < 2; i++) {
		const uint8_t *target = i ? global6 : link6;

		memcpy(ns + 8, target, 16);
		memcpy(group + 13, target + 13, 3);
		for (unsigned unicast = 0; unicast < 2; unicast++) {
			p = icmp6(0, src, unicast ? target : group, ns, 32);
			put(0, &p);
			m[1].n = 0; /* sees the group's */
			a = answer(0, &len);
			r = check(a, len);
			assert_memory_equal(a, m[0].mac, 6);
			assert_int_equal(r.ttl, 255);
			assert_memory_equal(r.src, target, 16);
			assert_memory_equal(r.dst, src, 16);
			assert_int_equal(r.payload.len, 32);
			assert_int_equal(r.payload.data[0], 136);
			assert_int_equal(r.payload.data[4], has_uplink ? 0xe0 : 0x60);
			assert_memory_equal(r.payload.data + 8, target, 16);
			assert_int_equal(r.payload.data[24], 2);
			assert_memory_equal(r.payload.data + 26, gw_mac, 6);
		}
		/* Somebody is about to take our address: all hear that it is ours. */
		p = icmp6(0, none, group, ns, 24);
		put(0, &p);
		assert_int_equal(m[0].n, 1);
		assert_int_equal(m[1].n, 2);
		r = check(m[0].frame[0], m[0].len[0]);
		assert_memory_equal(r.dst, nodes, 16);
		assert_int_equal(r.payload.data[4], has_uplink ? 0xa0 : 0x20);
		/* With a source option it is no probe. */
		p = icmp6(0, none, group, ns, 32);
		put(0, &p);
		assert_int_equal(m[0].n, 0);
	}
	/* Through a router, an option of length 0, a wrong checksum, another's address. */
	for (unsigned i = 0; i < 5; i++) {
		memcpy(ns + 8, link6, 16);
		ns[25] = i == 1 ? 0 : 1;
		ns[23] = i == 3 ? 9 : link6[15];
		p = icmp6(0, src, link6, ns, i == 4 ? 20 : 32);
		if (i == 0)
			p.b[14 + 7] = 254;
		if (i == 2)
			p.b[70]++;
		put(0, &p);
		nothing();
	}
	/* An answer to a question of the uplink's. */
	ns[0] = 136;
	ns[25] = 1;
	p = icmp6(0, src, link6, ns, 32);
	put(0, &p);
	nothing();
	assert_int_equal(up_n, has_uplink ? 1 : 0);
}

/* All of an advertisement. */
static void check_ra(const struct ip_packet *r)
{
	const uint8_t *b = r->payload.data;
	unsigned seen = 0;

	assert_int_equal(r->ttl, 255);
	assert_memory_equal(r->src, link6, 16);
	assert_int_equal(b[0], 134);
	assert_int_equal(b[4], 64);
	assert_int_equal(b[5], 0);
	assert_int_equal(b[6] << 8 | b[7], has_uplink ? 1800 : 0);
	for (size_t at = 16; at < r->payload.len; at += 8 * (size_t)b[at + 1]) {
		const uint8_t *o = b + at;

		assert_true(o[1] && at + 8 * (size_t)o[1] <= r->payload.len);
		if (o[0] == 1) {
			assert_memory_equal(o + 2, gw_mac, 6);
		} else if (o[0] == 3) {
			assert_int_equal(o[2], 64);
			assert_int_equal(o[3], 0xc0);
			assert_int_equal(ip_get32(o + 4), 86400);
			assert_int_equal(ip_get32(o + 8), 14400);
			assert_memory_equal(o + 16, global6, 8);
			assert_memory_equal(o + 24, "\0\0\0\0\0\0\0\0", 8);
		} else if (o[0] == 5) {
			assert_int_equal(ip_get32(o + 4), 1500);
		} else if (o[0] == 25) {
			assert_int_equal(o[1], 3);
			assert_memory_equal(o + 8, global6, 16);
		} else if (o[0] == 31) {
			assert_memory_equal(o + 8, "\3dev\10internal\0\0", 16);
		} else {
			fail_msg("option %u", o[0]);
		}
		seen |= 1u << o[0];
	}
	assert_int_equal(seen, 1u << 1 | 1u << 3 | 1u << 5 | 1u << 25 | 1u << 31);
}

static void test_advertisement(void **state)
{
	static const uint8_t none[16], routers[16] = {0xff, 2, [15] = 2};
	static const uint8_t nodes[16] = {0xff, 2, [15] = 1};
	uint8_t rs[16] = {133, [8] = 1, [9] = 1}, src[16];
	struct ip_packet r;
	const uint8_t *a;
	struct pkt p;
	uint32_t len;

	(void)state;
	memcpy(src, link6, 16);
	src[15] = 0x77;
	memcpy(rs + 10, m[0].mac, 6);
	for (unsigned i = 0; i < 2; i++) {
		p = icmp6(0, i ? none : src, routers, rs, i ? 8 : 16);
		put(0, &p);
		m[1].n = 0; /* the question */
		a = answer(0, &len);
		assert_memory_equal(a, m[0].mac, 6);
		r = check(a, len);
		assert_memory_equal(r.dst, i ? nodes : src, 16);
		check_ra(&r);
	}
	/* Without being asked, to all. */
	m[0].n = m[1].n = 0;
	for (unsigned i = 0; i < 800 && !m[1].n; i++) {
		uv_run(&loop, UV_RUN_NOWAIT);
		usleep(10000);
	}
	assert_int_equal(m[0].n, 1);
	assert_int_equal(m[1].n, 1);
	assert_memory_equal(m[1].frame[0], "\x33\x33\0\0\0\1", 6);
	r = check(m[1].frame[0], m[1].len[0]);
	check_ra(&r);
	/* A search list that is too long for one packet is left out where it begins to be. */
	end();
	def.nsearch = NETDEF_SEARCH_MAX;
	for (unsigned i = 0; i < NETDEF_SEARCH_MAX; i++) {
		memset(def.search[i], 'a', 253);
		def.search[i][63] = def.search[i][127] = def.search[i][191] = '.';
	}
	begin();
	p = icmp6(0, src, routers, rs, 16);
	put(0, &p);
	m[1].n = 0;
	a = answer(0, &len);
	r = check(a, len);
	assert_in_range(r.whole.len, 1000, 1280);
	assert_int_equal(r.payload.len % 8, 0);
}

static void test_ip6(void **state)
{
	static const uint8_t nodes[16] = {0xff, 2, [15] = 1}, dns[16] = {0x26, 0x20, [15] = 8};
	static const uint8_t local[16] = {[15] = 1}, mapped[16] = {[10] = 0xff, 0xff, 127, 0, 0, 1};
	uint8_t echo[64] = {128, 0, 0, 0, 9}, src[16];
	const uint8_t *const to[] = {link6, global6, nodes};
	struct ip_packet r;
	const uint8_t *a;
	struct pkt p;
	uint32_t len;
	unsigned before;

	(void)state;
	memcpy(src, global6, 16);
	src[15] = 9;
	for (unsigned i = 0; i < 3; i++) {
		p = icmp6(0, src, to[i], echo, sizeof(echo));
		put(0, &p);
		m[1].n = 0;
		a = answer(0, &len);
		r = check(a, len);
		assert_int_equal(r.payload.data[0], 129);
		assert_memory_equal(r.payload.data + 4, echo + 4, sizeof(echo) - 4);
		assert_memory_equal(r.src, i == 1 ? global6 : link6, 16);
		assert_memory_equal(r.dst, src, 16);
	}
	before = up_n;
	p = icmp6(0, src, dns, echo, sizeof(echo));
	put(0, &p);
	if (has_uplink) {
		nothing();
		assert_int_equal(up_n, before + 1);
	} else {
		a = answer(0, &len);
		r = check(a, len);
		assert_int_equal(r.payload.data[0], 1);
		assert_int_equal(r.payload.data[1], 0);
		assert_memory_equal(r.payload.data + 8, p.b + 14, 40 + 64);
	}
	/* What may not go out, from whom, and what nobody here listens to. */
	before = up_n;
	for (unsigned i = 0; i < 5; i++) {
		uint8_t s[16], d[16];

		memcpy(s, src, 16);
		memcpy(d, i == 0 ? local : i == 1 ? mapped : i == 2 ? link6 : dns, 16);
		if (i == 2)
			d[15] = 0x99;
		if (i == 3)
			s[0] = 0x20; /* another prefix */
		if (i == 4)
			memcpy(s, link6, 16); /* ours */
		p = icmp6(0, s, d, echo, sizeof(echo));
		put(0, &p);
		nothing();
	}
	p = icmp6(0, src, link6, echo, sizeof(echo));
	for (uint32_t n = 14; n < p.len; n++) {
		struct pkt q = p;

		q.len = n;
		put(0, &q);
		nothing();
	}
	assert_int_equal(up_n, before);
}

static void test_stats(void **state)
{
	json_t *s = gateway_stats(g);

	(void)state;
	assert_non_null(s);
	assert_true(json_is_integer(json_object_get(json_object_get(s, "dhcp"), "discover")));
	assert_true(json_is_integer(json_object_get(json_object_get(s, "dns"), "queries")));
	assert_true(json_is_integer(json_object_get(s, "arp")));
	json_decref(s);
}

/* Random bytes after sound headers: nothing but answers comes of it. */
static void test_noise(void **state)
{
	struct rng r = {0xbad};
	static const uint16_t types[] = {ETH_ARP, ETH_IPV4, ETH_IPV6, 0x8100};

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		struct pkt p;
		unsigned n = rng_below(&r, 200);

		p.len = 14 + n;
		rng_fill(&r, p.b, p.len);
		memcpy(p.b, rng_below(&r, 2) ? gw_mac : all, 6);
		memcpy(p.b + 6, m[0].mac, 6);
		ip_put16(p.b + 12, types[rng_below(&r, 4)]);
		if (rng_below(&r, 4)) {
			p.b[14] = p.b[13] == 0xdd ? 0x60 : 0x45;
			ip_put16(p.b + 16, n);
			if (n >= 40 && p.b[13] == 0xdd) {
				ip_put16(p.b + 18, n - 40);
				p.b[20] = 58;
				p.b[21] = 255;
			} else if (n >= 20) {
				p.b[23] = rng_below(&r, 2) ? 17 : 1;
				ip_put32(p.b + 26, KIT_IP(9));
				ip_put32(p.b + 30, KIT_IP(1));
				ip_put16(p.b + 24, 0);
				ip_put16(p.b + 24, cksum_finish(cksum_add(0, p.b + 14, 20)));
			}
		}
		put(0, &p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define H(f) {#f " (host)", f, setup_host, teardown, NULL}
		T(test_arp),	       T(test_ping),	    T(test_room),
		T(test_outside),       H(test_unreachable), T(test_dhcp),
		T(test_dns),	       H(test_dns),	    T(test_dns6),
		T(test_neighbours),    H(test_neighbours),  T(test_advertisement),
		H(test_advertisement), T(test_ip6),	    H(test_ip6),
		T(test_stats),	       T(test_noise),	    H(test_noise),
	};

	alarm(100);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
