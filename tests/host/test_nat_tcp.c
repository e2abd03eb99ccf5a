/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The NAT worker's own TCP (host/nat/tcp.h), segment by segment: we are the member, and the host's
 * side is a server on loopback. `NAT_TCP_SEED=N` repeats the hostile one.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cksum.h"
#include "host/nat/tcp.h"

#define HEAD	 (NAT_ETH + NAT_IP4 + NAT_TCP)
#define MEMBER	 0x0a000005u
#define LOOPBACK 0x7f000001u
#define ISS	 0xfffff000u /* sequence numbers wrap on the way */

struct kit {
	struct nat_config config;
	struct nat_stats stats;
	struct lane lane, daemon; /* what the worker writes, and we read */
	struct tcp tcp;
	int listener, conn, patience;
	uint32_t member;
	uint16_t server, own;
	uint32_t nxt, ack; /* what we send next, what we have */
	uint32_t scale;
	int64_t now;
};

struct answer {
	uint8_t flags;
	uint32_t seq, ack, window, len;
	const uint8_t *tcp, *data;
};

static void kit_open(struct kit *k)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(LOOPBACK)};
	socklen_t len = sizeof(a);
	int memory;

	memset(k, 0, sizeof(*k));
	k->config = (struct nat_config){
		.subnet = 0x0a000000, .netmask = 0xffffff00, .gateway = 0x0a000001, .mtu = 1500};
	k->tcp.config = &k->config;
	k->tcp.stats = &k->stats;
	k->tcp.lane = &k->lane;
	k->now = 1000;
	k->tcp.now = k->now;
	memory = lane_memory(1);
	assert_true(lane_map(&k->lane, memory, 0, -1) && lane_map(&k->daemon, memory, 0, -1));
	close(memory);
	assert_true(tcp_open(&k->tcp));
	k->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(k->listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(k->listener, 256), 0);
	assert_int_equal(getsockname(k->listener, (struct sockaddr *)&a, &len), 0);
	k->server = ntohs(a.sin_port);
	k->member = MEMBER;
	k->own = 40000;
	k->conn = -1;
	k->patience = 50;
}

static void kit_close(struct kit *k)
{
	tcp_close(&k->tcp);
	lane_unmap(&k->lane);
	lane_unmap(&k->daemon);
	close(k->listener);
	if (k->conn >= 0)
		close(k->conn);
}

/* What the worker's loop does with the host's sockets. */
static void serve(struct kit *k)
{
	struct pollfd fds[TCP_FLOWS];
	unsigned n = 0;
	int timeout = 100;

	tcp_fill(&k->tcp, fds, &n, &timeout, false);
	poll(fds, n, k->patience);
	tcp_poll(&k->tcp, fds);
}

static void later(struct kit *k, int64_t ms)
{
	k->now += ms;
	tcp_tick(&k->tcp, k->now);
	tcp_end(&k->tcp);
}

static bool put(struct kit *k, uint8_t flags, uint32_t seq, uint16_t window, const void *data,
		uint32_t n, bool wrong)
{
	static uint8_t frame[2048];
	const uint8_t options[] = {2, 4, 1460 >> 8, 1460 & 0xff, 1, 3, 3, 7, 4, 2, 1, 1};
	uint32_t opts = flags & NAT_SYN && k->scale ? sizeof(options) : 0;
	uint8_t *ip = frame + NAT_ETH, *tcp = ip + NAT_IP4;
	struct packet p = {.frame = frame,
			   .len = HEAD + opts + n,
			   .proto = NAT_TCP_P,
			   .l3 = NAT_ETH,
			   .l4 = NAT_ETH + NAT_IP4,
			   .payload = HEAD + opts};
	struct tcp_syn syn;
	uint32_t sum;

	assert_true(p.len <= sizeof(frame));
	memset(frame, 0, HEAD);
	frame[6] = 2;
	nat_put32(ip + 12, k->member);
	nat_put32(ip + 16, LOOPBACK);
	nat_put16(tcp, k->own);
	nat_put16(tcp + 2, k->server);
	nat_put32(tcp + 4, seq);
	nat_put32(tcp + 8, k->ack);
	tcp[12] = (uint8_t)((NAT_TCP + opts) / 4 << 4);
	tcp[13] = flags;
	nat_put16(tcp + 14, window);
	memcpy(tcp + NAT_TCP, options, opts);
	if (n)
		memcpy(tcp + NAT_TCP + opts, data, n);
	sum = cksum_pseudo4(ip + 12, ip + 16, NAT_TCP_P, NAT_TCP + opts + n);
	nat_put16(tcp + 16, cksum_finish(cksum_add(sum, tcp, NAT_TCP + opts + n)));
	tcp[16] = (uint8_t)(tcp[16] ^ wrong);
	tcp_look(&k->tcp, &p, &syn);
	if (!tcp_input(&k->tcp, &p, &syn))
		return false;
	tcp_end(&k->tcp);
	return true;
}

/* The next frame for the member, its checksums right. False: none. */
static bool get(struct kit *k, struct answer *a)
{
	const uint8_t *frame, *ip;
	uint32_t len, sum;

	memset(a, 0, sizeof(*a));
	lane_release(&k->daemon);
	lane_tell(&k->lane);
	frame = lane_next(&k->daemon, &len);
	if (!frame)
		return false;
	assert_in_range(len, HEAD, 1500 + NAT_ETH);
	ip = frame + NAT_ETH;
	a->tcp = ip + NAT_IP4;
	assert_int_equal(cksum_finish(cksum_add(0, ip, NAT_IP4)), 0);
	sum = cksum_pseudo4(ip + 12, ip + 16, NAT_TCP_P, len - NAT_ETH - NAT_IP4);
	assert_int_equal(cksum_finish(cksum_add(sum, a->tcp, len - NAT_ETH - NAT_IP4)), 0);
	a->flags = a->tcp[13];
	a->seq = nat_be32(a->tcp + 4);
	a->ack = nat_be32(a->tcp + 8);
	a->window = nat_be16(a->tcp + 14);
	a->data = a->tcp + (a->tcp[12] >> 4) * 4;
	a->len = (uint32_t)(frame + len - a->data);
	return true;
}

static void start(struct kit *k, uint32_t scale)
{
	struct answer a;

	k->scale = scale;
	assert_true(put(k, NAT_SYN, ISS, 65535, NULL, 0, false));
	serve(k);
	assert_true(get(k, &a));
	assert_int_equal(a.flags, NAT_SYN | NAT_ACK);
	assert_int_equal(a.ack, ISS + 1);
	assert_int_equal(nat_be32(a.tcp + 20), 0x02040000 + 1460);
	assert_int_equal(nat_be32(a.tcp + 24) >> 8, scale ? 0x010303 : 0x010101);
	assert_int_equal(nat_be32(a.tcp + 28), scale ? 0x01010402 : 0x01010101);
	k->nxt = ISS + 1;
	k->ack = a.seq + 1;
	assert_true(put(k, NAT_ACK, k->nxt, 1000, NULL, 0, false));
	k->conn = accept(k->listener, NULL, NULL);
	assert_true(k->conn >= 0);
	assert_false(get(k, &a));
}

static void expect(struct kit *k, const char *want)
{
	char got[256] = "";
	size_t n = 0;

	while (n < strlen(want)) {
		ssize_t one = recv(k->conn, got + n, strlen(want) - n, 0);

		assert_true(one > 0);
		n += (size_t)one;
	}
	assert_string_equal(got, want);
}

static void test_order(void **state)
{
	struct kit k;
	struct answer a;

	(void)state;
	kit_open(&k);
	start(&k, 1);
	assert_true(put(&k, NAT_ACK, k.nxt, 1000, "one ", 4, false));
	assert_true(get(&k, &a));
	assert_int_equal(a.ack, k.nxt + 4);
	/* One is missing: the same answer, for each. */
	for (int i = 0; i < 2; i++) {
		assert_true(put(&k, NAT_ACK, k.nxt + 8, 1000, "three ", 6, false));
		assert_true(get(&k, &a));
		assert_int_equal(a.ack, k.nxt + 4);
		while (get(&k, &a))
			;
	}
	/* It comes, with some of what was there already. */
	assert_true(put(&k, NAT_ACK, k.nxt + 2, 1000, "e two ", 6, false));
	assert_true(get(&k, &a));
	assert_int_equal(a.ack, k.nxt + 14);
	assert_true(put(&k, NAT_ACK, k.nxt + 8, 1000, "bad!", 4, true));
	assert_false(get(&k, &a));
	assert_int_equal(k.stats.drop[NAT_DROP_CHECKSUM], 1);
	assert_true(put(&k, NAT_ACK | NAT_FIN, k.nxt + 8, 1000, "three ", 6, false));
	expect(&k, "one two three ");
	assert_int_equal(recv(k.conn, &a, 1, 0), 0);
	/* The other way is open still. */
	assert_int_equal(send(k.conn, "yes", 3, 0), 3);
	close(k.conn);
	k.conn = -1;
	while (get(&k, &a))
		;
	serve(&k);
	serve(&k);
	assert_true(get(&k, &a));
	assert_int_equal(a.len, 3);
	assert_memory_equal(a.data, "yes", 3);
	if (!(a.flags & NAT_FIN)) {
		assert_true(get(&k, &a));
		assert_true(a.flags & NAT_FIN);
	}
	k.ack += 4;
	assert_true(put(&k, NAT_ACK, k.nxt + 15, 1000, NULL, 0, false));
	assert_int_equal(k.tcp.nactive, 0);
	kit_close(&k);
}

static uint8_t byte_at(uint32_t seq)
{
	return (uint8_t)(seq * 2654435761u >> 24);
}

/* What is selectively acknowledged was delivered, lies beyond what is acknowledged, and is apart.
 */
static void check_sack(const struct answer *a, const bool *there, uint32_t base, uint32_t size)
{
	uint32_t from[3], to[3], n = 0;

	if (a->flags & NAT_SYN || a->data == a->tcp + NAT_TCP)
		return;
	assert_int_equal(a->tcp[20], 1);
	assert_int_equal(a->tcp[21], 1);
	assert_int_equal(a->tcp[22], 5);
	n = (a->tcp[23] - 2u) / 8;
	assert_in_range(n, 1, 3);
	for (uint32_t i = 0; i < n; i++) {
		from[i] = nat_be32(a->tcp + 24 + i * 8);
		to[i] = nat_be32(a->tcp + 28 + i * 8);
		assert_true((int32_t)(from[i] - a->ack) > 0);
		assert_true((int32_t)(to[i] - from[i]) > 0);
		assert_true(to[i] - base <= size);
		for (uint32_t s = from[i]; s != to[i]; s++)
			assert_true(there[s - base]);
		for (uint32_t j = 0; j < i; j++)
			assert_true((int32_t)(from[i] - to[j]) > 0 ||
				    (int32_t)(from[j] - to[i]) > 0);
	}
}

/* Segments in any order, twice, overlapping, some only the second time: the stream is the stream.
 */
static void test_early(void **state)
{
	enum { PART = 20000, ROUNDS = 60 };
	static bool there[PART];
	const char *given = getenv("NAT_TCP_SEED");
	unsigned seed = given ? (unsigned)atoi(given) : (unsigned)time(NULL);
	uint32_t sacked = 0, read_to;
	struct kit k;
	struct answer a;

	(void)state;
	printf("NAT_TCP_SEED=%u\n", seed);
	srandom(seed);
	kit_open(&k);
	start(&k, 1);
	read_to = k.nxt;
	for (int round = 0; round < ROUNDS; round++) {
		uint32_t base = k.nxt, end = base + PART;

		memset(there, 0, sizeof(there));
		for (int tries = 0; k.nxt != end; tries++) {
			uint32_t off = (uint32_t)random() % PART, n = 1 + (uint32_t)random() % 1460;
			uint8_t data[1460];

			/* In time, what is missing. */
			if (tries > 60 || random() % 4 == 0)
				off = k.nxt - base;
			if (n > PART - off)
				n = PART - off;
			for (uint32_t i = 0; i < n; i++) {
				data[i] = byte_at(base + off + i);
				there[off + i] = true;
			}
			assert_true(put(&k, NAT_ACK, base + off, 1000, data, n, false));
			while (get(&k, &a)) {
				assert_true((int32_t)(a.ack - k.nxt) >= 0);
				k.nxt = a.ack;
				sacked += a.data != a.tcp + NAT_TCP;
				check_sack(&a, there, base, PART);
			}
			assert_true(tries < 500);
		}
		/* A server that reads now and then. */
		while (random() % 3 && read_to != k.nxt) {
			uint8_t got[30000];
			ssize_t n = recv(k.conn, got, sizeof(got), MSG_DONTWAIT);

			for (ssize_t i = 0; i < n; i++)
				assert_int_equal(got[i], byte_at(read_to++));
			serve(&k);
		}
		while (get(&k, &a))
			;
	}
	assert_true(sacked > ROUNDS);
	/* The end may come first, too. */
	assert_true(put(&k, NAT_ACK | NAT_FIN, k.nxt + 3, 1000, "end", 3, false));
	assert_true(put(&k, NAT_ACK, k.nxt, 1000, "the", 3, false));
	while (get(&k, &a))
		;
	assert_int_equal(a.len, 0);
	while (read_to != k.nxt) {
		uint8_t got[30000];
		uint32_t left = k.nxt - read_to;
		ssize_t n =
			recv(k.conn, got, left < sizeof(got) ? left : sizeof(got), MSG_DONTWAIT);

		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(got[i], byte_at(read_to++));
		serve(&k);
	}
	serve(&k);
	expect(&k, "theend");
	assert_int_equal(recv(k.conn, &a, 1, 0), 0);
	kit_close(&k);
}

/* A server that does not read: no byte beyond the window is taken, none within it lost. */
static void test_window(void **state)
{
	static uint8_t data[1460], got[65536];
	struct kit k;
	struct answer a;
	uint32_t sent = 0, edge, n = 0;
	int idle = 0;

	(void)state;
	kit_open(&k);
	start(&k, 1);
	edge = k.nxt + 65535;
	while (idle < 3) {
		for (uint32_t i = 0; i < sizeof(data); i++)
			data[i] = (uint8_t)((sent + i) * 2654435761u >> 24);
		assert_true(put(&k, NAT_ACK, k.nxt, 1000, data, sizeof(data), false));
		while (get(&k, &a)) {
			sent += a.ack - k.nxt;
			idle = a.ack == k.nxt ? idle + 1 : 0;
			k.nxt = a.ack;
			assert_true((int32_t)(a.ack + (a.window << 4) - edge) >= -15);
			edge = a.ack + (a.window << 4);
		}
	}
	assert_int_equal(a.window, 0);
	while (n < sent) {
		ssize_t one = recv(k.conn, got, sizeof(got), MSG_DONTWAIT);

		if (one < 0) {
			serve(&k);
			continue;
		}
		for (ssize_t i = 0; i < one; i++)
			assert_int_equal(got[i], (uint8_t)((n + (uint32_t)i) * 2654435761u >> 24));
		n += (uint32_t)one;
	}
	while (get(&k, &a))
		edge = a.ack + (a.window << 4);
	assert_true(edge - k.nxt > TCP_RING / 2);
	kit_close(&k);
}

static void test_resend(void **state)
{
	static uint8_t data[8000];
	struct kit k;
	struct answer a;
	uint32_t first, seen = 0;

	(void)state;
	kit_open(&k);
	start(&k, 0);
	first = k.ack;
	assert_true(put(&k, NAT_ACK, k.nxt, 65535, NULL, 0, false));
	assert_int_equal(send(k.conn, data, sizeof(data), 0), sizeof(data));
	serve(&k);
	while (get(&k, &a))
		seen += a.len;
	assert_int_equal(seen, sizeof(data));
	for (int i = 0; i < 3; i++)
		assert_true(put(&k, NAT_ACK, k.nxt, 65535, NULL, 0, false));
	assert_true(get(&k, &a));
	assert_int_equal(a.seq, first);
	while (get(&k, &a))
		;
	later(&k, 2000);
	assert_true(get(&k, &a));
	assert_int_equal(a.seq, first);
	while (get(&k, &a))
		;
	k.ack = first + sizeof(data);
	assert_true(put(&k, NAT_ACK, k.nxt, 65535, NULL, 0, false));
	later(&k, 60000);
	assert_false(get(&k, &a));
	/* One that never answers again is given up. */
	assert_int_equal(send(k.conn, data, 1, 0), 1);
	serve(&k);
	for (int i = 0; i < 40 && k.tcp.nactive; i++)
		later(&k, 31000);
	assert_int_equal(k.tcp.nactive, 0);
	kit_close(&k);
}

static void test_refused_and_full(void **state)
{
	struct kit k;
	struct answer a;

	(void)state;
	kit_open(&k);
	k.scale = 1;
	/* One member has its share, another the rest. */
	for (unsigned i = 0; i < TCP_FLOWS; i++, k.own++) {
		if (i == TCP_SHARE) {
			assert_false(put(&k, NAT_SYN, ISS, 1000, NULL, 0, false));
			k.member++;
		}
		assert_true(put(&k, NAT_SYN, ISS, 1000, NULL, 0, false));
	}
	k.member++;
	assert_false(put(&k, NAT_SYN, ISS, 1000, NULL, 0, false));
	k.member--;
	serve(&k);
	for (unsigned i = TCP_FLOWS; i-- > 0;) {
		assert_true(get(&k, &a));
		if (i < TCP_SHARE)
			k.member = MEMBER;
		k.own--;
		assert_true(put(&k, NAT_RST, ISS + 1, 0, NULL, 0, false));
	}
	assert_int_equal(k.tcp.nactive, 0);
	/* A segment of a connection that is over is not ours. */
	assert_false(put(&k, NAT_ACK, ISS + 1, 0, NULL, 0, false));
	close(k.listener);
	k.listener = -1;
	while (get(&k, &a))
		;
	if (put(&k, NAT_SYN, ISS, 1000, NULL, 0, false)) {
		serve(&k);
		assert_true(get(&k, &a));
		assert_true(a.flags & NAT_RST);
	}
	assert_int_equal(k.tcp.nactive, 0);
	kit_close(&k);
}

static void test_hostile(void **state)
{
	static const uint8_t data[1460];
	const char *given = getenv("NAT_TCP_SEED");
	unsigned seed = given ? (unsigned)atoi(given) : (unsigned)time(NULL);
	struct kit k;
	struct answer a;

	(void)state;
	printf("NAT_TCP_SEED=%u\n", seed);
	srandom(seed);
	kit_open(&k);
	k.patience = 1;
	assert_int_equal(fcntl(k.listener, F_SETFL, O_NONBLOCK), 0);
	for (int i = 0; i < 30000; i++) {
		uint32_t r = (uint32_t)random();

		k.own = (uint16_t)(40000 + r % 8);
		k.scale = r >> 3 & 1;
		k.ack = (uint32_t)random() % 4 ? k.ack + (uint32_t)random() % 3000
					       : (uint32_t)random();
		put(&k, (uint8_t)(random() % 4 ? NAT_ACK : random() & 0x3f),
		    random() % 4 ? k.nxt : (uint32_t)random() * 2, (uint16_t)random(), data,
		    (uint32_t)random() % sizeof(data), random() % 16 == 0);
		if (i % 16 == 0) {
			put(&k, NAT_SYN, k.nxt = (uint32_t)random(), 1000, NULL, 0, false);
			serve(&k);
		}
		if (i % 64 == 0)
			later(&k, random() % 2000);
		if (random() % 4 == 0) {
			int fd = accept4(k.listener, NULL, NULL, SOCK_NONBLOCK);

			if (fd >= 0) {
				if (send(fd, data, sizeof(data), MSG_NOSIGNAL) < 0)
					errno = 0;
				close(fd);
			}
		}
		while (get(&k, &a))
			if (a.flags & NAT_SYN)
				k.ack = a.seq + 1;
			else
				k.nxt = a.ack;
	}
	assert_true(k.tcp.nactive <= 8);
	kit_close(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_early),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_resend),
		cmocka_unit_test(test_refused_and_full),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
