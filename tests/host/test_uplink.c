/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The NAT uplink with a real worker, a member's TCP/IP stack and a host, all in namespaces. argv:
 * the worker's program.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/host/nat_pump.h"

#define LONG_MS 15000

static const char *program;
static struct netlab lab;

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
	expect_not(&p, lab.member, "tcp 10.77.0.1 7007 1", "ok");
	expect_not(&p, lab.member, "udp 10.77.0.1 7007 1", "ok");
	expect_not(&p, lab.member, "tcp fd77::1 7007 1", "ok");
	nat_pump_close(&p);

	nat_pump_def(&p, lab.mtu);
	p.def.host_loopback = true;
	start(&p);
	expect(&p, lab.member, "tcp 10.77.0.1 7007 1000", "ok");
	expect(&p, lab.member, "udp 10.77.0.1 7007 1000", "ok");
	expect(&p, lab.member, "tcp fd77::1 7007 1000", "ok");
	nat_pump_close(&p);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_out),
		cmocka_unit_test(test_host_loopback),
	};
	char why[256];
	int rc;

	program = argc > 1 ? argv[1] : NULL;
	if (!program || !netlab_open(&lab, 1500, why)) {
		printf("%s\n", program ? why : "give the worker's program");
		return program ? 77 : 2;
	}
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	netlab_close(&lab);
	return rc;
}
