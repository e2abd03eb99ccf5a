/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A real gdb on the simulated Mac: through the bridge, QEMU's network and the driver's polled mode,
 * while TCP runs. It reads, sets a breakpoint in the kext, steps, and lets go; the transfer ends as
 * if nothing had been.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/mac/mac_kdp.h"
#include "tests/mac/mac_stack.h"

#define SECONDS	  90u
#define LONG_MS	  60000u
#define TRANSFER  (UINT64_C(4) << 20)
#define WORDS	  16384u
#define OUTPUT	  "__ZN19VirtioNetController12outputPacketEP6__mbufPv"
#define COUNT(of) (sizeof(of) / sizeof((of)[0]))

static struct mac_kdp kdp;

static bool have_gdb(void)
{
	if (!getenv("VIOKIT_KDP")) {
		printf("SKIP: VIOKIT_KDP does not say where the bridge is\n");
		return false;
	}
	if (system("gdb --version >/dev/null 2>&1") != 0) {
		printf("SKIP: no gdb in the PATH (Debian package gdb)\n");
		return false;
	}
	return true;
}

static FILE *bridge_start(unsigned *port)
{
	char line[300];
	FILE *bridge;

	(void)snprintf(line, sizeof(line), "exec %s gdb --listen 0 127.0.0.1:%u 2>&1",
		       getenv("VIOKIT_KDP"), kdp.port);
	bridge = popen(line, "re");
	CHECK(bridge && fgets(line, sizeof(line), bridge));
	CHECK_MSG(strrchr(line, ':') && sscanf(strrchr(line, ':'), ":%u", port) == 1,
		  "the bridge says: %s", line);
	return bridge;
}

/* The bytes at a function as gdb prints them. */
static void bytes_of(uint64_t at, char *text, size_t len)
{
	const uint8_t *b = (const uint8_t *)(uintptr_t)at;

	(void)snprintf(text, len, ":\t0x%02x\t0x%02x\t0x%02x\t0x%02x", b[0], b[1], b[2], b[3]);
}

static void gdb_traffic(struct mac_stack *s)
{
	unsigned long long at = mac_kdp_symbol(OUTPUT);
	char line[1024], want[64], bytes[64];
	static char words[WORDS];
	FILE *bridge, *gdb;
	unsigned port;

	CHECK(mac_stack_progress(s, TRANSFER / 16, LONG_MS));
	bytes_of(at, bytes, sizeof(bytes));
	mac_kdp_stop(&kdp, LONG_MS, false);
	bridge = bridge_start(&port);
	(void)snprintf(line, sizeof(line),
		       "exec gdb -nx -batch -ex 'set architecture i386:x86-64' -ex 'target remote "
		       "127.0.0.1:%u' -ex 'info registers' -ex 'x/4xb %#llx' -ex 'x/3i $pc' -ex "
		       "'break *%#llx' -ex continue -ex stepi -ex 'p $pc > %#llx && $pc < %#llx + "
		       "16' -ex 'bt 3' -ex continue -ex 'set $rax = 0x1234' -ex 'p/x $rax' -ex "
		       "delete -ex detach 2>&1",
		       port, at, at, at, at);
	gdb = popen(line, "re");
	CHECK(gdb != NULL);
	words[fread(words, 1, sizeof(words) - 1, gdb)] = '\0';
	CHECK_MSG(pclose(gdb) == 0, "gdb: %s", words);
	CHECK_MSG(strstr(words, bytes) != NULL, "not the kext's memory: %s", words);
	(void)snprintf(want, sizeof(want), "Breakpoint 1, 0x%016llx", at);
	CHECK_MSG(strstr(words, want) && strstr(strstr(words, want) + 1, want),
		  "the breakpoint was not hit twice: %s", words);
	CHECK_MSG(strstr(words, "$1 = 1"), "not one instruction on: %s", words);
	CHECK_MSG(strstr(words, "#0 ") && strstr(words, "$2 = 0x1234") && strstr(words, "detached"),
		  "gdb: %s", words);
	CHECK(pclose(bridge) == 0);
	CHECK(mac_kdp_ended(&kdp) == 0);
	CHECK(mac_stack_progress(s, TRANSFER / 16, LONG_MS));
}

static void gdb_case(void *arg)
{
	struct mac_stack_opts o = {.rig = *(const struct mac_rig_opts *)arg};
	char forward[MAC_KDP_FORWARDED];
	struct mac_stack s;

	mac_kdp_open(&kdp, forward);
	o.forward = forward;
	o.rig.boot_args = MAC_KDP_ARGS;
	mac_stack_open(&s, &o);
	mac_kdp_address(s.lease.address);
	(void)mac_stack_with_trouble(&s, true, TRANSFER, gdb_traffic);
	mac_stack_ping(&s, 56);
	mac_stack_close(&s);
}

static void test_gdb_beside_tcp(void **state)
{
	(void)state;
	if (!have_gdb())
		skip();
	for (size_t i = 1; i < COUNT(mac_rig_releases); i += 2) {
		struct mac_rig_opts o = {.release = mac_rig_releases[i]};

		mac_rig_case(gdb_case, &o, SECONDS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gdb_beside_tcp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
