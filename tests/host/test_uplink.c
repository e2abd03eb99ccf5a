/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The NAT uplink with a real worker, a member's TCP/IP stack and a host, all in namespaces. argv:
 * the worker's program, and the network's MTU.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/host/nat_pump.h"

#define LONG_MS 15000

static const char *program;
static struct netlab lab;

static uint32_t lab_member(void)
{
	struct in_addr a;

	inet_pton(AF_INET, NETLAB_MEMBER4, &a);
	return ntohl(a.s_addr);
}

static void start(struct nat_pump *p)
{
	char err[NETDEF_ERR_MAX] = "";

	if (!nat_pump_open(p, &lab, program, NULL, err))
		fail_msg("%s", err);
	assert_true(nat_pump_wait(p, NULL, LONG_MS));
}

static void expect(struct nat_pump *p, int agent, const char *text, const char *answer)
{
	char out[256];

	nat_pump_ask(p, agent, text, out, LONG_MS);
	if (strcmp(out, answer) != 0)
		fail_msg("%s: %s, not %s", text, out, answer);
}

/* Whatever the answer is, but this one. */
static void expect_not(struct nat_pump *p, int agent, const char *text, const char *answer)
{
	char out[256];

	nat_pump_ask(p, agent, text, out, LONG_MS);
	if (!strcmp(out, answer))
		fail_msg("%s: %s", text, out);
}

static void test_out(void **state)
{
	struct nat_pump p;

	(void)state;
	nat_pump_def(&p, lab.mtu);
	start(&p);
	expect(&p, lab.member, "tcp 192.0.2.1 7007 1", "ok");
	expect(&p, lab.member, "tcp 192.0.2.1 7007 3000000", "ok");
	expect(&p, lab.member, "udp 192.0.2.1 7007 1", "ok");
	expect(&p, lab.member, "udp 192.0.2.1 7007 1400", "ok");
	expect(&p, lab.member, "udp 192.0.2.1 7007 9000", "ok");
	expect(&p, lab.member, "ping 192.0.2.1", "ok");
	expect(&p, lab.member, "tcp 2001:db8::1 7007 300000", "ok");
	expect(&p, lab.member, "udp 2001:db8::1 7007 1200", "ok");
	expect(&p, lab.member, "udp 2001:db8::1 7007 5000", "ok");
	nat_pump_close(&p);
}

static void test_host_loopback(void **state)
{
	struct nat_pump p;

	(void)state;
	nat_pump_def(&p, lab.mtu);
	start(&p);
	expect(&p, lab.member, "tcp 10.77.0.1 7007 1", "connect: Connection refused");
	expect_not(&p, lab.member, "udp 10.77.0.1 7007 1", "ok");
	expect(&p, lab.member, "tcp fd77::1 7007 1", "connect: Connection refused");
	nat_pump_close(&p);

	nat_pump_def(&p, lab.mtu);
	p.def.host_loopback = true;
	start(&p);
	expect(&p, lab.member, "tcp 10.77.0.1 7007 1000", "ok");
	expect(&p, lab.member, "udp 10.77.0.1 7007 1000", "ok");
	expect(&p, lab.member, "tcp fd77::1 7007 1000", "ok");
	nat_pump_close(&p);
}

/* Frames are lost now and then, as when a member's queue is full: slower, but all arrives. */
static void test_loss(void **state)
{
	struct nat_pump p;

	(void)state;
	nat_pump_def(&p, lab.mtu);
	start(&p);
	p.lose = 97;
	expect(&p, lab.member, "tcp 192.0.2.1 7007 1000000", "ok");
	p.lose = 13;
	expect(&p, lab.member, "tcp 192.0.2.1 7007 100000", "ok");
	expect(&p, lab.member, "tcp 2001:db8::1 7007 100000", "ok");
	nat_pump_close(&p);
}

/* ---- forwards ---- */

struct answer {
	unsigned times;
	bool done;
	bool ok;
	int error;
	char err[256];
};

static void told(void *arg, const char *err, int error)
{
	struct answer *a = arg;

	a->times++;
	a->done = true;
	a->ok = !err;
	a->error = error;
	snprintf(a->err, sizeof(a->err), "%s", err ? err : "");
}

static struct netdef_forward forward_of(bool udp, const char *host, uint16_t first, uint16_t last,
					uint16_t port)
{
	struct netdef_forward f = {
		.udp = udp, .first = first, .last = last, .address = lab_member(), .port = port};

	snprintf(f.host, sizeof(f.host), "%s", host);
	return f;
}

static void set_forward(struct nat_pump *p, bool add, struct netdef_forward f, struct answer *a)
{
	*a = (struct answer){0};
	uplink_forward(p->uplink, add, &f, told, a);
	assert_int_equal(a->times, 0); /* later, from the loop */
	assert_true(nat_pump_wait(p, &a->done, LONG_MS));
	assert_int_equal(a->times, 1);
}

static void must(struct nat_pump *p, bool add, struct netdef_forward f)
{
	struct answer a;

	set_forward(p, add, f, &a);
	if (!a.ok)
		fail_msg("%s", a.err);
}

static void must_not(struct nat_pump *p, bool add, struct netdef_forward f, int error,
		     const char *err)
{
	struct answer a;

	set_forward(p, add, f, &a);
	assert_false(a.ok);
	assert_string_equal(a.err, err);
	assert_int_equal(a.error, error);
}

static void test_forward(void **state)
{
	struct nat_pump p;

	(void)state;
	nat_pump_def(&p, lab.mtu);
	start(&p);
	/* The first connection also has to find the member: it has not been heard yet. */
	must(&p, true, forward_of(false, "127.0.0.1", 8080, 8080, NETLAB_ECHO));
	expect(&p, lab.host, "tcp 127.0.0.1 8080 500000", "ok");
	expect(&p, lab.host, "tcp 127.0.0.1 8080 1", "ok");
	must(&p, true, forward_of(true, "127.0.0.1", 8080, 8080, NETLAB_ECHO));
	expect(&p, lab.host, "udp 127.0.0.1 8080 1200", "ok");
	expect(&p, lab.host, "udp 127.0.0.1 8080 8000", "ok");
	/* All addresses of the host; a range, of which one port leads to the echo. */
	must(&p, true, forward_of(false, "0.0.0.0", 9000, 9009, NETLAB_ECHO - 4));
	expect(&p, lab.host, "tcp 192.0.2.1 9004 3000", "ok");
	expect_not(&p, lab.host, "tcp 192.0.2.1 9003 1", "ok");
	/* Taken away: refused again, and the port is free. */
	must(&p, false, forward_of(false, "127.0.0.1", 8080, 8080, NETLAB_ECHO));
	expect(&p, lab.host, "tcp 127.0.0.1 8080 1", "connect: Connection refused");
	expect(&p, lab.host, "udp 127.0.0.1 8080 100", "ok");
	must(&p, false, forward_of(false, "0.0.0.0", 9000, 9009, NETLAB_ECHO - 4));
	expect(&p, lab.host, "tcp 192.0.2.1 9004 1", "connect: Connection refused");
	must(&p, true, forward_of(false, "127.0.0.1", 8080, 8080, NETLAB_ECHO));
	nat_pump_close(&p);
}

static void test_forward6(void **state)
{
	struct nat_pump p;

	(void)state;
	nat_pump_def(&p, lab.mtu);
	start(&p);
	must(&p, true, forward_of(false, "::1", 8080, 8080, NETLAB_ECHO));
	expect(&p, lab.host, "tcp ::1 8080 500000", "ok");
	expect(&p, lab.host, "tcp ::1 8080 1", "ok");
	must(&p, true, forward_of(true, "::1", 8080, 8080, NETLAB_ECHO));
	expect(&p, lab.host, "udp ::1 8080 1200", "ok");
	must(&p, true, forward_of(false, "2001:db8::1", 9000, 9003, NETLAB_ECHO - 1));
	expect(&p, lab.host, "tcp 2001:db8::1 9001 3000", "ok");
	must_not(&p, true, forward_of(false, "2001:db8::1", 9003, 9003, 80), EADDRINUSE,
		 "tcp 2001:db8::1 port 9003 is in use");
	must(&p, false, forward_of(false, "::1", 8080, 8080, NETLAB_ECHO));
	expect(&p, lab.host, "tcp ::1 8080 1", "connect: Connection refused");
	nat_pump_close(&p);
}

static void test_forward_errors(void **state)
{
	struct nat_pump p;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(8085)};

	(void)state;
	inet_pton(AF_INET, "127.0.0.1", &a.sin_addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	nat_pump_def(&p, lab.mtu);
	start(&p);
	must_not(&p, true, forward_of(false, "127.0.0.1", 8085, 8085, 80), EADDRINUSE,
		 "tcp 127.0.0.1 port 8085 is in use");
	/* Of a range, all or none. */
	must_not(&p, true, forward_of(false, "127.0.0.1", 8083, 8090, 80), EADDRINUSE,
		 "tcp 127.0.0.1 port 8085 is in use");
	expect(&p, lab.host, "tcp 127.0.0.1 8083 1", "connect: Connection refused");
	must_not(&p, true, forward_of(false, "198.51.100.9", 8080, 8080, 80), EADDRNOTAVAIL,
		 "tcp 198.51.100.9 port 8080: not an address of this host");
	must_not(&p, false, forward_of(true, "127.0.0.1", 8080, 8080, 80), ENOENT,
		 "udp 127.0.0.1 port 8080 is not forwarded");
	close(fd);
	/* Still the same worker, and all is well. */
	assert_int_equal(p.lost, 0);
	must(&p, true, forward_of(false, "127.0.0.1", 8083, 8090, NETLAB_ECHO - 2));
	expect(&p, lab.host, "tcp 127.0.0.1 8085 1000", "ok");
	nat_pump_close(&p);
}

/* A host network: forwards, and nothing that the member begins. */
static void test_restricted(void **state)
{
	struct nat_pump p;

	(void)state;
	nat_pump_def(&p, lab.mtu);
	p.def.mode = NETDEF_HOST;
	p.def.nat44 = p.def.nat66 = false;
	start(&p);
	must(&p, true, forward_of(false, "127.0.0.1", 8080, 8080, NETLAB_ECHO));
	must(&p, true, forward_of(true, "127.0.0.1", 8080, 8080, NETLAB_ECHO));
	expect(&p, lab.host, "tcp 127.0.0.1 8080 300000", "ok");
	expect(&p, lab.host, "udp 127.0.0.1 8080 1000", "ok");
	expect_not(&p, lab.member, "udp 192.0.2.1 7007 10", "ok");
	expect_not(&p, lab.member, "ping 192.0.2.1", "ok");
	expect_not(&p, lab.member, "tcp 192.0.2.1 7007 10", "ok");
	nat_pump_close(&p);
}

/* DNS over TCP: the gateway's port 53 is the configured server. */
static void test_dns(void **state)
{
	struct nat_pump p;

	(void)state;
	nat_pump_def(&p, lab.mtu);
	p.def.dns = true;
	p.def.nupstream = 1;
	strcpy(p.def.upstream[0].address, "192.0.2.1");
	p.def.upstream[0].port = NETLAB_ECHO;
	start(&p);
	expect(&p, lab.member, "tcp 10.77.0.1 53 50000", "ok");
	expect(&p, lab.member, "tcp 192.0.2.1 7007 5000", "ok");
	nat_pump_close(&p);

	/* A resolver of this host's own is the one way to its loopback. */
	nat_pump_def(&p, lab.mtu);
	p.def.dns = true;
	p.def.nupstream = 1;
	strcpy(p.def.upstream[0].address, "127.0.0.53");
	p.def.upstream[0].port = NETLAB_ECHO;
	start(&p);
	expect(&p, lab.member, "tcp 10.77.0.1 53 50000", "ok");
	expect_not(&p, lab.member, "tcp 10.77.0.1 7007 10", "ok");
	nat_pump_close(&p);
}

/* ---- the worker's death ---- */

static void test_killed(void **state)
{
	struct nat_pump p;

	(void)state;
	nat_pump_def(&p, lab.mtu);
	start(&p);
	must(&p, true, forward_of(false, "127.0.0.1", 8080, 8080, NETLAB_ECHO));
	must(&p, true, forward_of(true, "127.0.0.1", 8080, 8080, NETLAB_ECHO));
	expect(&p, lab.host, "tcp 127.0.0.1 8080 10", "ok");
	for (unsigned i = 1; i <= 3; i++) {
		pid_t pid = uplink_pid(p.uplink);
		uint64_t began = uv_hrtime();
		struct answer a = {0};
		struct netdef_forward f = forward_of(false, "127.0.0.1", (uint16_t)(8100 + i),
						     (uint16_t)(8100 + i), NETLAB_ECHO);

		assert_true(pid > 0);
		assert_int_equal(kill(pid, SIGKILL), 0);
		/* What is asked for just now is not lost either. */
		uplink_forward(p.uplink, true, &f, told, &a);
		while (p.lost < i)
			uv_run(&p.loop, UV_RUN_ONCE);
		assert_true(nat_pump_wait(&p, NULL, 1000));
		assert_true(uv_hrtime() - began < 1000000000u);
		assert_true(nat_pump_wait(&p, &a.done, LONG_MS));
		assert_true(a.ok);
		assert_int_equal(a.times, 1);
		assert_int_not_equal(uplink_pid(p.uplink), pid);
		expect(&p, lab.host, "tcp 127.0.0.1 8080 1000", "ok");
		expect(&p, lab.host, "udp 127.0.0.1 8080 1000", "ok");
		expect(&p, lab.host, "tcp 127.0.0.1 8101 1000", "ok");
		expect(&p, lab.member, "tcp 192.0.2.1 7007 10000", "ok");
	}
	assert_int_equal(p.lost, 3);
	assert_int_equal(p.back, 4);
	assert_string_equal(p.why, "the NAT worker has closed its socket");
	nat_pump_close(&p);
}

/* One that cannot live is not started again and again without end, and who asked is told. */
static void test_hopeless(void **state)
{
	static const char *const bad[] = {"op", NULL}; /* spoils its configuration */
	struct netdef_forward f = forward_of(false, "127.0.0.1", 8080, 8080, NETLAB_ECHO);
	struct answer a = {0};
	char err[NETDEF_ERR_MAX];
	struct nat_pump p;

	(void)state;
	nat_pump_def(&p, lab.mtu);
	assert_true(nat_pump_open(&p, &lab, program, bad, err));
	uplink_forward(p.uplink, true, &f, told, &a);
	assert_true(nat_pump_wait(&p, &a.done, LONG_MS));
	assert_false(a.ok);
	assert_int_equal(a.error, EAGAIN);
	assert_string_equal(a.err, "the NAT worker does not stay up");
	assert_int_equal(p.back, 0);
	assert_in_range(p.lost, 5, 6);
	nat_pump_close(&p);

	/* No program at all is an error at once. */
	nat_pump_def(&p, lab.mtu);
	assert_false(nat_pump_open(&p, &lab, "/nonexistent/worker", NULL, err));
	assert_string_equal(err, "cannot start the NAT worker: no such file or directory");
	nat_pump_close(&p);
}

/* Closing tells everybody who waits, at once and once. */
static void test_close(void **state)
{
	struct answer a[3] = {{0}};
	char err[NETDEF_ERR_MAX];
	struct nat_pump p;
	pid_t pid;

	(void)state;
	nat_pump_def(&p, lab.mtu);
	assert_true(nat_pump_open(&p, &lab, program, NULL, err));
	pid = uplink_pid(p.uplink);
	for (uint16_t i = 0; i < 3; i++) {
		struct netdef_forward f = forward_of(false, "127.0.0.1", (uint16_t)(8080 + i),
						     (uint16_t)(8080 + i), NETLAB_ECHO);

		uplink_forward(p.uplink, true, &f, told, &a[i]);
	}
	nat_pump_close(&p);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(a[i].times, 1);
		assert_int_equal(a[i].error, ECANCELED);
	}
	/* The worker has gone, and was waited for. */
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
}

static void test_stats(void **state)
{
	struct nat_pump p;
	bool never = false;
	json_t *o;

	(void)state;
	nat_pump_def(&p, lab.mtu);
	start(&p);
	expect(&p, lab.member, "tcp 192.0.2.1 7007 1000", "ok");
	nat_pump_wait(&p, &never, 2500); /* it is asked every two seconds */
	o = uplink_stats(p.uplink);
	assert_string_equal(json_string_value(json_object_get(o, "kind")), "nat-slirp");
	assert_true(json_is_true(json_object_get(o, "ready")));
	assert_int_equal(json_integer_value(json_object_get(o, "pid")), uplink_pid(p.uplink));
	assert_true(json_integer_value(json_object_get(o, "rx_frames")) > 3);
	assert_true(json_integer_value(json_object_get(o, "tx_frames")) > 3);
	assert_non_null(json_object_get(json_object_get(o, "worker"), "in_frames"));
	/* libslirp here is what it is; what must be said of it is said once. */
	for (size_t i = 0; i < json_array_size(json_object_get(o, "warnings")); i++) {
		const char *text =
			json_string_value(json_array_get(json_object_get(o, "warnings"), i));

		assert_non_null(strstr(text, "libslirp"));
	}
	json_decref(o);
	nat_pump_close(&p);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_out),	   cmocka_unit_test(test_host_loopback),
		cmocka_unit_test(test_loss),	   cmocka_unit_test(test_forward),
		cmocka_unit_test(test_forward6),   cmocka_unit_test(test_forward_errors),
		cmocka_unit_test(test_restricted), cmocka_unit_test(test_dns),
		cmocka_unit_test(test_killed),	   cmocka_unit_test(test_hopeless),
		cmocka_unit_test(test_close),	   cmocka_unit_test(test_stats),
	};
	char why[256];
	int rc;

	program = argc > 1 ? argv[1] : NULL;
	if (!program || !netlab_open(&lab, argc > 2 ? (uint32_t)atoi(argv[2]) : 1500, why)) {
		printf("%s\n", program ? why : "give the worker's program");
		return program ? 77 : 2;
	}
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	netlab_close(&lab);
	return rc;
}
