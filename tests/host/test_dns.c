/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DNS: questions taken apart, local names, and forwarding to servers of our own on the loopback:
 * what they answer, forge, refuse, and leave unanswered.
 */
#include "tests/host/dhcp_kit.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "host/netd/dns.h"

static struct kit k;
static struct dns_zone zone;

/* ---- messages ---- */

struct dmsg {
	uint8_t b[2048];
	size_t len;
};

static void name_put(struct dmsg *m, const char *name)
{
	while (*name) {
		size_t n = strcspn(name, ".");

		m->b[m->len++] = (uint8_t)n;
		memcpy(m->b + m->len, name, n);
		m->len += n;
		name += n + (name[n] == '.');
	}
	m->b[m->len++] = 0;
}

static struct dmsg question(const char *name, uint16_t type)
{
	struct dmsg m = {.len = 12};

	ip_put16(m.b, 0x4242);
	m.b[2] = 1; /* recursion desired */
	m.b[5] = 1;
	name_put(&m, name);
	ip_put16(m.b + m.len, type);
	ip_put16(m.b + m.len + 2, 1);
	m.len += 4;
	return m;
}

static void with_opt(struct dmsg *m, uint16_t size, uint8_t version)
{
	uint8_t *at = m->b + m->len;

	memset(at, 0, 11);
	ip_put16(at + 1, DNS_OPT);
	ip_put16(at + 3, size);
	at[6] = version;
	m->len += 11;
	m->b[11]++;
}

static bool parse(const struct dmsg *m, struct dns_query *q, enum dns_rcode *rcode)
{
	static uint8_t *exact;

	free(exact); /* what q points to, until the next */
	exact = malloc(m->len ? m->len : 1);
	memcpy(exact, m->b, m->len);
	return dns_parse(span_of(exact, m->len), q, rcode);
}

static uint8_t out[DNS_LOCAL_MAX];
static size_t out_len;

/* The code of the local answer; -1: not ours. */
static int ask(const char *name, uint16_t type)
{
	struct dmsg m = question(name, type);
	enum dns_rcode rcode;
	struct dns_query q;

	assert_true(parse(&m, &q, &rcode));
	assert_int_equal(rcode, DNS_NOERROR);
	out_len = dns_local(&zone, &q, out);
	if (!out_len)
		return -1;
	assert_memory_equal(out, m.b, 2);
	assert_true(out[2] & 0x80); /* an answer, with authority */
	assert_true(out[2] & 0x04);
	assert_memory_equal(out + 12, m.b + 12, m.len - 12);
	return out[3] & 0xf;
}

static unsigned answers(void)
{
	return out[7];
}

static uint32_t address(void)
{
	assert_int_equal(answers(), 1);
	return ip_get32(out + out_len - 4);
}

/* ---- taking apart ---- */

static void test_parse(void **state)
{
	struct dmsg m = question("WwW.Exa-mple.ORG", 28);
	struct dns_query q;
	enum dns_rcode rcode;

	(void)state;
	assert_true(parse(&m, &q, &rcode));
	assert_int_equal(rcode, DNS_NOERROR);
	assert_string_equal(q.name, "www.exa-mple.org");
	assert_int_equal(q.type, 28);
	assert_int_equal(q.class, 1);
	assert_int_equal(q.size, 512);
	assert_false(q.edns);
	assert_int_equal(q.question_end, m.len);

	with_opt(&m, 100, 0);
	assert_true(parse(&m, &q, &rcode));
	assert_true(q.edns);
	assert_int_equal(q.size, 512);
	m = question("a", 1);
	with_opt(&m, 4096, 0);
	assert_true(parse(&m, &q, &rcode));
	assert_int_equal(q.size, 4096);
	assert_int_equal(dns_limit(&q, 1500, false), 1472);
	assert_int_equal(dns_limit(&q, 1500, true), 1452);
	assert_int_equal(dns_limit(&q, 9000, true), 4096);
	with_opt(&m, 4096, 0); /* twice */
	assert_true(parse(&m, &q, &rcode));
	assert_int_equal(rcode, DNS_FORMERR);
	m = question("a", 1);
	with_opt(&m, 4096, 1);
	assert_true(parse(&m, &q, &rcode));
	assert_int_equal(rcode, DNS_BADVERS);
	assert_int_equal(dns_error(&q, rcode, out), m.len);
	assert_int_equal(out[3] & 0xf, 0);
	assert_int_equal(out[m.len - 6], 1); /* the upper half of 16 */

	/* The root, and the longest name there is: 255 bytes. */
	m = question("", 2);
	assert_true(parse(&m, &q, &rcode));
	assert_int_equal(rcode, DNS_NOERROR);
	assert_string_equal(q.name, "");
	for (unsigned extra = 0; extra < 2; extra++) {
		char name[256];

		memset(name, 'x', 255);
		name[63] = name[127] = name[191] = '.';
		name[253 + extra] = 0;
		m = question(name, 1);
		assert_int_equal(m.len, 12 + 255 + extra + 4);
		assert_true(parse(&m, &q, &rcode));
		assert_int_equal(rcode, extra ? DNS_FORMERR : DNS_NOERROR);
	}
	/* Bytes that no name of ours has do not become one. */
	m = question("a.b", 1);
	m.b[12] = 3; /* one label "a\1b" */
	m.b[14] = '.';
	assert_true(parse(&m, &q, &rcode));
	assert_string_equal(q.name, "a?b");
}

static void test_parse_wrong(void **state)
{
	struct dmsg good = question("some.name", 1), m;
	struct dns_query q;
	enum dns_rcode rcode;

	(void)state;
	with_opt(&good, 1232, 0);
	for (size_t len = 0; len < good.len; len++) {
		m = good;
		m.len = len;
		assert_true(parse(&m, &q, &rcode) == (len >= 12));
		if (len < 12)
			continue;
		assert_int_equal(rcode, DNS_FORMERR);
		assert_in_range(dns_error(&q, rcode, out), 12, len);
		assert_int_equal(out[3] & 0xf, DNS_FORMERR);
	}
	m = good;
	m.b[2] |= 0x80; /* an answer: nobody answers it */
	assert_false(parse(&m, &q, &rcode));
	m = good;
	m.b[2] |= 0x28; /* UPDATE */
	assert_true(parse(&m, &q, &rcode));
	assert_int_equal(rcode, DNS_NOTIMP);
	m = good;
	m.b[5] = 2;
	assert_true(parse(&m, &q, &rcode));
	assert_int_equal(rcode, DNS_FORMERR);
	m = good;
	m.b[12] = 0xc0; /* a pointer, to itself */
	m.b[13] = 12;
	assert_true(parse(&m, &q, &rcode));
	assert_int_equal(rcode, DNS_FORMERR);
	m = good;
	memset(m.b + 6, 0xff, 6); /* many records, none there */
	assert_true(parse(&m, &q, &rcode));
	assert_int_equal(rcode, DNS_FORMERR);
}

/* ---- local names ---- */

static int setup(void **state)
{
	struct kit_msg r = kit_msg(DHCP_REQUEST, 2, "db");

	(void)state;
	kit_init(&k);
	k.def.prefix6[0] = 0xfd;
	k.def.prefix6[7] = 0x64;
	kit_start(&k);
	zone = (struct dns_zone){.def = &k.def, .leases = k.server.leases, .have6 = true};
	memcpy(zone.gateway6, k.def.prefix6, 8);
	zone.gateway6[15] = 1;
	(void)kit_get(&k, 1, "web.prod", NULL);
	kit_opt32(&r, DHCP_OPT_REQUESTED, KIT_IP(9));
	kit_opt(&r, DHCP_OPT_HOSTNAME, "Postgres", 8);
	assert_int_equal(kit_send(&k, &r), DHCP_ACK);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kit_stop(&k);
	return 0;
}

static void test_names(void **state)
{
	(void)state;
	assert_int_equal(ask("db", DNS_A), DNS_NOERROR);
	assert_int_equal(address(), KIT_IP(9));
	assert_int_equal(ask("DB.Dev.Internal", DNS_A), DNS_NOERROR);
	assert_int_equal(address(), KIT_IP(9));
	assert_int_equal(ask("postgres.dev.internal", DNS_ANY), DNS_NOERROR);
	assert_int_equal(address(), KIT_IP(9));
	assert_int_equal(ask("web.prod.dev.internal", DNS_A), DNS_NOERROR);
	assert_int_equal(address(), KIT_IP(2));
	assert_int_equal(ask("gateway", DNS_A), DNS_NOERROR);
	assert_int_equal(address(), KIT_IP(1));
	assert_int_equal(ask("host.dev.internal", DNS_A), DNS_NOERROR);
	assert_int_equal(address(), KIT_IP(1));
	assert_int_equal(ask("gateway.dev.internal", DNS_AAAA), DNS_NOERROR);
	assert_memory_equal(out + out_len - 16, zone.gateway6, 16);
	/* There, but not of that kind. */
	assert_int_equal(ask("db", DNS_AAAA), DNS_NOERROR);
	assert_int_equal(answers(), 0);
	assert_int_equal(ask("db.dev.internal", 15), DNS_NOERROR);
	assert_int_equal(answers(), 0);
	assert_int_equal(ask("dev.internal", 6), DNS_NOERROR);
	assert_int_equal(answers(), 0);
	/* Not there, and nobody else's business. */
	assert_int_equal(ask("nobody.dev.internal", DNS_A), DNS_NXDOMAIN);
	assert_int_equal(ask("_x.db.dev.internal", DNS_A), DNS_NXDOMAIN);
	/* Others'. No member can have a name that is somebody else's outside. */
	assert_int_equal(ask("nobody", DNS_A), -1);
	assert_int_equal(ask("web.prod", DNS_A), -1);
	assert_int_equal(ask("xdev.internal", DNS_A), -1);
	assert_int_equal(ask("internal", DNS_A), -1);
	assert_int_equal(ask("", 2), -1);
	assert_int_equal(ask("db.dev.internal.example", DNS_A), -1);
	k.def.domain[0] = 0;
	assert_int_equal(ask("db", DNS_A), DNS_NOERROR);
	assert_int_equal(ask("db.dev.internal", DNS_A), -1);
}

static void test_reverse(void **state)
{
	char name[80];

	(void)state;
	assert_int_equal(ask("9.64.168.192.in-addr.arpa", DNS_PTR), DNS_NOERROR);
	assert_int_equal(answers(), 1);
	assert_memory_equal(out + out_len - 17, "\2db\3dev\10internal", 17);
	assert_int_equal(ask("2.64.168.192.IN-ADDR.arpa", DNS_PTR), DNS_NOERROR);
	assert_memory_equal(out + out_len - 23, "\3web\4prod\3dev\10internal", 23);
	assert_int_equal(ask("1.64.168.192.in-addr.arpa", DNS_PTR), DNS_NOERROR);
	assert_memory_equal(out + out_len - 22, "\7gateway\3dev\10internal", 22);
	assert_int_equal(ask("9.64.168.192.in-addr.arpa", DNS_A), DNS_NOERROR);
	assert_int_equal(answers(), 0);
	assert_int_equal(ask("200.64.168.192.in-addr.arpa", DNS_PTR), DNS_NXDOMAIN);
	assert_int_equal(ask("9.65.168.192.in-addr.arpa", DNS_PTR), -1);
	assert_int_equal(ask("256.64.168.192.in-addr.arpa", DNS_PTR), -1);
	assert_int_equal(ask("0009.64.168.192.in-addr.arpa", DNS_PTR), -1);
	assert_int_equal(ask("64.168.192.in-addr.arpa", DNS_PTR), -1);

	for (unsigned last = 1; last < 3; last++) {
		size_t at = 0;
		uint8_t a[16];

		memcpy(a, zone.gateway6, 16);
		a[15] = (uint8_t)last;
		for (int i = 15; i >= 0; i--)
			at += (size_t)snprintf(name + at, sizeof(name) - at, "%x.%x.", a[i] & 15,
					       a[i] >> 4);
		(void)snprintf(name + at, sizeof(name) - at, "ip6.arpa");
		assert_int_equal(ask(name, DNS_PTR), last == 1 ? DNS_NOERROR : DNS_NXDOMAIN);
		name[20] = '7'; /* another station */
		assert_int_equal(ask(name, DNS_PTR), DNS_NXDOMAIN);
		name[62] = '7'; /* another prefix */
		assert_int_equal(ask(name, DNS_PTR), -1);
		name[62] = 'x';
		assert_int_equal(ask(name, DNS_PTR), -1);
	}
}

/* ---- forwarding ---- */

enum how { GOOD, SILENT, FORGED_ID, FORGED_CASE, SERVFAIL_, LONG_, FORGED_THEN_GOOD, SHORT_ };

struct upstream {
	int fd;
	uv_poll_t poll;
	enum how how;
	unsigned seen;
	uint8_t last[2];
	uint16_t ports[400];
};

static uv_loop_t loop;
static struct upstream up[2];
static struct dns_forward *fwd;
static struct dns_stats stats;
static unsigned got;
static uint8_t reply[4096];
static size_t reply_len;
static struct dns_asker reply_to;

static void upstream_send(struct upstream *u, const struct sockaddr_in *to, const struct dmsg *m)
{
	assert_int_equal(sendto(u->fd, m->b, m->len, 0, (const struct sockaddr *)to, sizeof(*to)),
			 m->len);
}

static void upstream_readable(uv_poll_t *poll, int status, int events)
{
	struct upstream *u = poll->data;
	struct sockaddr_in from = {.sin_family = AF_INET};
	socklen_t len = sizeof(from);
	struct dmsg m = {.len = 0}, bad;
	ssize_t n = recvfrom(u->fd, m.b, 1024, 0, (struct sockaddr *)&from, &len);

	(void)status;
	(void)events;
	if (n < 12)
		return;
	m.len = (size_t)n;
	if (u->seen < COUNT(u->ports))
		u->ports[u->seen] = ntohs(from.sin_port);
	u->seen++;
	memcpy(u->last, m.b, 2);
	m.b[2] |= 0x80;
	m.b[3] = 0x80;
	bad = m;
	switch (u->how) {
	case SILENT:
		return;
	case FORGED_ID:
	case FORGED_THEN_GOOD:
		bad.b[0] ^= 0x55;
		upstream_send(u, &from, &bad);
		bad = m;
		bad.b[2] &= 0x7f; /* a question */
		upstream_send(u, &from, &bad);
		bad = m;
		bad.b[13] ^= 1; /* another name */
		upstream_send(u, &from, &bad);
		if (u->how == FORGED_ID)
			return;
		break;
	case FORGED_CASE:
		m.b[13] ^= 0x20;
		break;
	case SHORT_:
		m.len = 13;
		break;
	case SERVFAIL_:
		m.b[3] |= 2;
		break;
	case LONG_:
		m.b[7] = 1;
		m.len = 1400;
		break;
	default:
		break;
	}
	upstream_send(u, &from, &m);
}

static void upstream_start(struct upstream *u, unsigned i)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);

	*u = (struct upstream){.fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0)};
	assert_true(u->fd >= 0);
	assert_int_equal(bind(u->fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(getsockname(u->fd, (struct sockaddr *)&a, &len), 0);
	uv_poll_init(&loop, &u->poll, u->fd);
	u->poll.data = u;
	uv_poll_start(&u->poll, UV_READABLE, upstream_readable);
	strcpy(k.def.upstream[i].address, "127.0.0.1");
	k.def.upstream[i].port = ntohs(a.sin_port);
	k.def.nupstream = i + 1;
}

static void answered(void *arg, const struct dns_asker *asker, struct span bytes)
{
	(void)arg;
	got++;
	reply_to = *asker;
	assert_true(bytes.len <= sizeof(reply));
	memcpy(reply, bytes.data, bytes.len);
	reply_len = bytes.len;
}

static void forward_start(const char *resolv_conf)
{
	stats = (struct dns_stats){0};
	got = 0;
	fwd = dns_forward_open(&(struct dns_forward_params){.loop = &loop,
							    .def = &k.def,
							    .resolv_conf = resolv_conf,
							    .stats = &stats,
							    .answer = answered});
	assert_non_null(fwd);
}

static int fwd_setup(void **state)
{
	(void)setup(state);
	uv_loop_init(&loop);
	upstream_start(&up[0], 0);
	upstream_start(&up[1], 1);
	forward_start(NULL);
	return 0;
}

static int fwd_teardown(void **state)
{
	dns_forward_close(fwd);
	for (unsigned i = 0; i < 2; i++) {
		uv_close((uv_handle_t *)&up[i].poll, NULL);
		close(up[i].fd);
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	return teardown(state);
}

static void forward_ask(uint16_t id, uint16_t port, uintptr_t member, bool edns)
{
	struct dns_asker a = {.from = {.port = port}, .port = (const void *)member, .id = id};
	struct dmsg m = question("Some.Name.example", 1);
	struct dns_query q;
	enum dns_rcode rcode;

	ip_put16(m.b, id);
	if (edns)
		with_opt(&m, 1232, 0);
	assert_true(parse(&m, &q, &rcode));
	a.limit = dns_limit(&q, 1500, false);
	uv_update_time(&loop);
	dns_forward_ask(fwd, &a, &q);
}

/* Until there are that many answers, at most so long. The time it took. */
static uint64_t wait_for(unsigned n, uint64_t most_ms)
{
	uint64_t begin;

	uv_update_time(&loop);
	begin = uv_now(&loop);
	while (got < n && uv_now(&loop) - begin < most_ms) {
		uv_run(&loop, UV_RUN_NOWAIT);
		usleep(500);
		uv_update_time(&loop);
	}
	return uv_now(&loop) - begin;
}

static void test_forward(void **state)
{
	(void)state;
	forward_ask(0x1234, 999, 1, false);
	assert_int_equal(dns_forward_pending(fwd), 1);
	wait_for(1, 3000);
	assert_int_equal(got, 1);
	assert_int_equal(reply[0] << 8 | reply[1], 0x1234);
	assert_int_equal(reply_to.from.port, 999);
	assert_memory_equal(reply + 12, "\4Some\4Name\7example", 19);
	assert_int_equal(up[0].seen, 1);
	assert_int_equal(up[1].seen, 0);
	assert_int_equal(dns_forward_pending(fwd), 0);
	assert_int_equal(stats.forwarded, 1);
	assert_int_equal(stats.answered, 1);
}

/* Every question has a port and an id that nobody can guess. */
static void test_random(void **state)
{
	unsigned same_port = 0, same_id = 0;
	uint8_t last[2] = {0};

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		forward_ask((uint16_t)i, 999, 1, false);
		wait_for(i + 1, 3000);
		assert_int_equal(got, i + 1);
		same_id += !memcmp(last, up[0].last, 2);
		memcpy(last, up[0].last, 2);
		same_port += i && up[0].ports[i] == up[0].ports[i - 1];
		assert_int_not_equal(up[0].ports[i], 0);
	}
	assert_true(same_port < 3 && same_id < 3);
	for (unsigned i = 2, steps = 0; i < 200; i++) {
		steps += up[0].ports[i] - up[0].ports[i - 1] == up[0].ports[1] - up[0].ports[0];
		assert_true(steps < 20);
	}
}

static void test_cut(void **state)
{
	(void)state;
	up[0].how = LONG_;
	forward_ask(1, 999, 1, false);
	wait_for(1, 3000);
	assert_int_equal(reply_len, 12 + 19 + 4);
	assert_true(reply[2] & 2);
	assert_int_equal(reply[7], 0);
	forward_ask(2, 999, 1, true); /* 1232: still too long */
	wait_for(2, 3000);
	assert_int_equal(reply_len, 12 + 19 + 4 + 11);
	assert_true(reply[2] & 2);
	assert_int_equal(reply[11], 1);
}

static void test_forged(void **state)
{
	uint64_t took;

	(void)state;
	up[0].how = up[1].how = FORGED_THEN_GOOD;
	forward_ask(1, 999, 1, false);
	took = wait_for(1, 3000);
	assert_true(took < 1500);
	assert_int_equal(got, 1);
	assert_int_equal(reply[3] & 0xf, 0);
	assert_int_equal(stats.spoofed, 3);
	/* Only forgeries: the next one is asked, then it fails. */
	up[0].how = FORGED_ID;
	up[1].how = FORGED_CASE;
	forward_ask(2, 999, 1, false);
	took = wait_for(2, 8000);
	assert_in_range(took, 4800, 6000);
	assert_int_equal(reply[3] & 0xf, DNS_SERVFAIL);
	assert_true(stats.spoofed > 6);
}

static void test_timeouts(void **state)
{
	uint64_t took;

	(void)state;
	up[0].how = SILENT;
	forward_ask(1, 999, 1, false);
	took = wait_for(1, 8000);
	assert_in_range(took, 1900, 2600);
	assert_int_equal(reply[3] & 0xf, 0);
	assert_int_equal(up[1].seen, 1);
	up[1].how = SHORT_;
	forward_ask(2, 999, 1, true);
	forward_ask(2, 999, 1, true); /* it asks again, we do so ourselves */
	forward_ask(2, 999, 1, true);
	assert_int_equal(dns_forward_pending(fwd), 1);
	took = wait_for(2, 8000);
	assert_in_range(took, 4800, 5600);
	assert_int_equal(reply[0] << 8 | reply[1], 2);
	assert_int_equal(reply[3] & 0xf, DNS_SERVFAIL);
	assert_int_equal(reply_len, 12 + 19 + 4 + 11);
	assert_int_equal(up[0].seen + up[1].seen, 2 + 3);
	assert_int_equal(dns_forward_pending(fwd), 0);
	assert_int_equal(stats.failed, 1);
}

static void test_refused(void **state)
{
	(void)state;
	up[0].how = SERVFAIL_;
	forward_ask(1, 999, 1, false);
	assert_true(wait_for(1, 3000) < 1500);
	assert_int_equal(reply[3] & 0xf, 0);
	up[1].how = SERVFAIL_;
	forward_ask(2, 999, 1, false);
	assert_true(wait_for(2, 3000) < 1500);
	assert_int_equal(reply[3] & 0xf, DNS_SERVFAIL);
	/* Nobody listens there: at once. */
	uv_poll_stop(&up[0].poll);
	close(up[0].fd);
	up[0].fd = dup(up[1].fd);
	up[1].how = GOOD;
	forward_ask(3, 999, 1, false);
	assert_true(wait_for(3, 3000) < 1500);
	assert_int_equal(reply[3] & 0xf, 0);
}

static void test_bounds(void **state)
{
	(void)state;
	up[0].how = up[1].how = SILENT;
	for (unsigned i = 0; i < 100; i++)
		forward_ask((uint16_t)i, 999, 1, false);
	assert_int_equal(dns_forward_pending(fwd), DNS_MEMBER_MAX);
	assert_int_equal(stats.dropped, 100 - DNS_MEMBER_MAX);
	/* Another member is served as well. */
	forward_ask(1, 999, 2, false);
	assert_int_equal(dns_forward_pending(fwd), DNS_MEMBER_MAX + 1);
	for (unsigned m = 3; m < 20; m++)
		for (unsigned i = 0; i < 64; i++)
			forward_ask((uint16_t)i, 999, m, false);
	assert_int_equal(dns_forward_pending(fwd), DNS_PENDING_MAX);
	wait_for(DNS_PENDING_MAX, 7000);
	assert_int_equal(got, DNS_PENDING_MAX);
	assert_int_equal(dns_forward_pending(fwd), 0);
	uv_run(&loop, UV_RUN_NOWAIT);
	up[0].how = GOOD;
	forward_ask(1, 999, 1, false);
	wait_for(DNS_PENDING_MAX + 1, 3000);
	assert_int_equal(got, DNS_PENDING_MAX + 1);
	/* Closing with questions under way. */
	up[0].how = SILENT;
	for (unsigned i = 0; i < 10; i++)
		forward_ask((uint16_t)i, 999, 1, false);
}

static void resolv_write(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void test_resolv_conf(void **state)
{
	char path[] = "/tmp/vmnet-resolv-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	dns_forward_close(fwd);
	k.def.nupstream = 0;
	/* Our own address, nonsense, nothing: nobody to ask. */
	resolv_write(path, "# nameserver 127.0.0.1\nnameserver 192.168.64.1\nnameserver x\n"
			   "nameserver\nsearch a b\n nameserver fd00:0:0:64::1\n");
	forward_start(path);
	forward_ask(1, 999, 1, false);
	assert_int_equal(got, 1);
	assert_int_equal(reply[3] & 0xf, DNS_SERVFAIL);
	/* Changed: 127.9.9.9 has no server on port 53 but the kernel says so at once. */
	resolv_write(path, "nameserver 127.9.9.9\nnameserver ::1");
	forward_ask(2, 999, 1, false);
	assert_int_equal(got, 2); /* not looked at yet */
	usleep(1100000);
	forward_ask(3, 999, 1, false);
	assert_int_equal(stats.forwarded, 1);
	wait_for(3, 7000);
	assert_int_equal(got, 3);
	unlink(path);
	usleep(1100000);
	forward_ask(4, 999, 1, false);
	assert_int_equal(got, 4);
	assert_int_equal(stats.forwarded, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define L(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define F(f) cmocka_unit_test_setup_teardown(f, fwd_setup, fwd_teardown)
		L(test_parse),	  L(test_parse_wrong), L(test_names),  L(test_reverse),
		F(test_forward),  F(test_random),      F(test_cut),    F(test_forged),
		F(test_timeouts), F(test_refused),     F(test_bounds), F(test_resolv_conf),
	};

	alarm(100);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
