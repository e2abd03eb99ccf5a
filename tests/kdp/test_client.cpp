/* SPDX-License-Identifier: BSD-2-Clause */
/* The debugger's end against the kernel's, over UDP, also when packets are lost. Argument: kdp. */
#include "tests/kdp/cm.h"

#include <errno.h>
#include <sys/wait.h>

#include "tests/kdp/responder.h"
extern "C" {
#include "tools/kdp/kdp_client.h"
}

static struct responder r;
static struct kdp_client *c;
static const char *program;

static int setup(void **)
{
	responder_start(&r);
	c = kdp_client_new();
	kdp_client_timeout(c, 300);
	return kdp_client_open(c, "127.0.0.1", r.port, 0);
}

static int teardown(void **)
{
	kdp_client_free(c);
	responder_end(&r);
	return 0;
}

#define good(call)                                                                                 \
	do {                                                                                       \
		int rc_ = (call);                                                                  \
		if (rc_)                                                                           \
			fail_msg("%s: %d, %s", #call, rc_, kdp_client_error(c));                   \
	} while (0)

/* All that a session does, once. */
static void whole_session(void)
{
	struct kdp_client_info info;
	struct kdp_client_region region;
	struct kdp_client_exception e;
	uint64_t regs[KDP_CLIENT_REGS], again[KDP_CLIENT_REGS];
	static uint8_t buf[3000], back[3000];
	size_t got;

	good(kdp_client_get_info(c, &info));
	assert_int_equal(info.version, 12);
	assert_int_equal(info.feature, KDP_FEATURE_BP);
	assert_int_equal(info.cpu_type, 0x01000007);
	assert_int_equal(info.max_bytes, 1024);
	assert_string_equal(info.text, r.server.config.version);
	good(kdp_client_get_region(c, &region));
	assert_int_equal(region.protection, 7);

	good(kdp_client_read(c, RESPONDER_MEM + 0x400, buf, sizeof(buf), &got));
	assert_int_equal(got, sizeof(buf));
	assert_memory_equal(buf, r.memory + 0x400, sizeof(buf));
	assert_int_equal(kdp_client_read(c, RESPONDER_MEM + RESPONDER_LEN - 700, buf, 1000, &got),
			 -EFAULT);
	assert_int_equal(got, 700);
	assert_int_equal(kdp_client_read(c, 0x1000, buf, 1, &got), -EFAULT);
	for (unsigned i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i ^ 0x5a);
	good(kdp_client_write(c, RESPONDER_MEM + 0x1000, buf, sizeof(buf)));
	good(kdp_client_read(c, RESPONDER_MEM + 0x1000, back, sizeof(back), &got));
	assert_memory_equal(buf, back, sizeof(buf));
	assert_int_equal(kdp_client_write(c, 0x1000, buf, 1), -EFAULT);
	good(kdp_client_write_phys(c, 0x1000, "x", 1));
	good(kdp_client_read_phys(c, 0x1000, back, 1, &got));
	assert_int_equal(back[0], 'x');

	good(kdp_client_get_regs(c, regs));
	assert_true(regs[0] == 0x1122334455667788);
	regs[1] = 0xbbb;
	regs[KDP_CLIENT_RIP] = RESPONDER_CODE + 3;
	good(kdp_client_set_regs(c, regs));
	good(kdp_client_get_regs(c, again));
	assert_memory_equal(regs, again, sizeof(regs));

	good(kdp_client_step(c, 3000, &e));
	assert_int_equal(e.exception, KDP_EXC_BREAKPOINT);
	good(kdp_client_get_regs(c, regs));
	assert_true(regs[KDP_CLIENT_RIP] == RESPONDER_CODE + 4);
	assert_false(regs[KDP_CLIENT_RFLAGS] & KDP_RFLAGS_TF);

	good(kdp_client_break(c, RESPONDER_CODE + 20));
	assert_int_equal(kdp_client_break(c, RESPONDER_CODE + 20), -EPROTO);
	assert_int_equal(kdp_client_break(c, 0x1000), -EFAULT);
	assert_int_equal(kdp_client_clear(c, RESPONDER_CODE + 21), -EPROTO);
	good(kdp_client_resume(c));
	assert_int_equal(kdp_client_wait(c, 5000, &e), 1);
	assert_int_equal(e.code, KDP_CODE_BREAKPOINT);
	good(kdp_client_get_regs(c, regs));
	assert_true(regs[KDP_CLIENT_RIP] == RESPONDER_CODE + 21);
	good(kdp_client_clear(c, RESPONDER_CODE + 20));

	good(kdp_client_resume(c));
	assert_int_equal(kdp_client_wait(c, 100, &e), 0);
	assert_int_equal(kdp_client_get_regs(c, regs), -EBUSY);
	r.press = true;
	assert_int_equal(kdp_client_wait(c, 5000, &e), 1);
	good(kdp_client_disconnect(c));
	assert_int_equal(kdp_client_get_regs(c, regs), -ENOTCONN);
}

static void a_session(void **)
{
	good(kdp_client_connect(c));
	whole_session();
	assert_int_equal(r.in, r.out); /* one for each; an ack for each exception */
}

static void packets_get_lost_on_the_way_in(void **)
{
	r.lose_in = 4;
	kdp_client_timeout(c, 60);
	good(kdp_client_reattach(c));
	whole_session();
}

static void packets_get_lost_on_the_way_out(void **)
{
	r.lose_out = 4;
	kdp_client_timeout(c, 60);
	good(kdp_client_connect(c));
	whole_session();
}

static void packets_come_twice(void **)
{
	r.twice_out = 1;
	good(kdp_client_connect(c));
	whole_session();
}

/* More than 256 requests, with losses: also the one numbered 255 finds its way. */
static void long_sessions(void **)
{
	static uint8_t buf[512];
	size_t got;

	kdp_client_timeout(c, 20);
	for (unsigned lose = 3; lose <= 7; lose += 4) {
		r.lose_out = lose;
		good(kdp_client_reattach(c));
		for (unsigned i = 0; i < 300; i++) {
			memset(buf, 0, sizeof(buf));
			good(kdp_client_read(c, RESPONDER_MEM + i, buf, sizeof(buf), &got));
			assert_memory_equal(buf, r.memory + i, sizeof(buf));
		}
	}
	r.lose_out = 0;
}

/* A write is executed once, however often it is asked for. */
static void nothing_happens_twice(void **)
{
	good(kdp_client_connect(c));
	r.lose_out = 2;
	r.out = 1;
	r.writes = 0;
	kdp_client_timeout(c, 50);
	good(kdp_client_write(c, RESPONDER_MEM, "abc", 3));
	assert_int_equal(r.writes, 1);
	assert_int_equal(r.out, 3);
}

static void one_debugger_at_a_time(void **)
{
	struct kdp_client *other = kdp_client_new();
	struct kdp_client_info info;

	assert_int_equal(kdp_client_open(other, "127.0.0.1", r.port, 0), 0);
	kdp_client_timeout(other, 100);
	good(kdp_client_connect(c));
	good(kdp_client_get_info(c, &info));
	assert_int_equal(kdp_client_connect(other), -EBUSY);
	assert_non_null(strstr(kdp_client_error(other), "another debugger"));
	good(kdp_client_get_info(c, &info));
	assert_int_equal(kdp_client_reattach(other), 0);
	assert_int_equal(kdp_client_get_info(other, &info), 0);
	/* The first one finds its session lost, sooner or later. */
	kdp_client_timeout(c, 50);
	assert_int_not_equal(kdp_client_get_info(c, &info), 0);
	assert_int_equal(kdp_client_disconnect(other), 0);
	kdp_client_free(other);
}

static void nobody_answers(void **)
{
	kdp_client_timeout(c, 30);
	r.quit = true;
	(void)usleep(20000);
	assert_int_equal(kdp_client_connect(c), -ETIMEDOUT);
	assert_non_null(strstr(kdp_client_error(c), "does not answer"));
	assert_int_equal(kdp_client_state(c), KDP_CLIENT_OFF);
}

/* ---- the program ---- */

static char said[8192];

/* Its exit status; %d in the line is the port. */
static int run(const char *line)
{
	char command[1024], args[900];
	size_t n;
	FILE *f;
	int rc;

	(void)snprintf(args, sizeof(args), line, r.port);
	(void)snprintf(command, sizeof(command), "%s %s 2>&1", program, args);
	f = popen(command, "r");
	assert_non_null(f);
	n = fread(said, 1, sizeof(said) - 1, f);
	said[n] = '\0';
	rc = pclose(f);
	return WIFEXITED(rc) ? WEXITSTATUS(rc) : -1;
}

static void usage_errors(void **)
{
	static const char *const lines[][2] = {
		{"</dev/null", "kdp: HOST: which machine is not said (--help tells more)\n"},
		{"--port 0 h", "kdp: --port: '0' is not a number from 1 to 65535\n"},
		{"--nothing h", "kdp: --nothing: no such option (--help tells more)\n"},
		{"h i", "kdp: i: one argument too many (--help tells more)\n"},
		{"gdb h", "kdp: gdb: needs --listen PORT (--help tells more)\n"},
		{"-l 1 h", "kdp: --listen: goes with `kdp gdb` only (--help tells more)\n"},
		{"127.0.0.1:x", "kdp: HOST:PORT: 'x' is not a number from 1 to 65535\n"},
		{"127.0.0.1:%d -c fly", "kdp: 'fly' is no command; help tells which there are\n"},
		{"127.0.0.1:%d -c 'read 1'", "kdp: usage: read ADDR N\n"},
	};

	for (auto &l : lines) {
		assert_int_equal(run(l[0]), 2);
		assert_string_equal(said, l[1]);
	}
	assert_int_equal(run("--help"), 0);
	assert_non_null(strstr(said, "usage: kdp"));
	assert_int_equal(run("--version"), 0);
	r.quit = true;
	(void)usleep(20000);
	assert_int_equal(run("--timeout 20 127.0.0.1:%d -c regs"), 1);
	assert_non_null(strstr(said, "does not answer"));
}

static void the_program(void **)
{
	assert_int_equal(
		run("127.0.0.1:%d -c 'read 0xffffff8000200100 4' -c regs -c 'setreg rbx 7' "
		    "-c 'write 0xffffff8000200800 c0ffee' -c 'break 0xffffff8000200110' "
		    "-c continue -c wait -c continue -c wait -c step -c info"),
		0);
	assert_non_null(strstr(said, "ffffff8000200100  90 90 90 90"));
	assert_non_null(strstr(said, "rax    1122334455667788"));
	assert_non_null(strstr(said, "stopped at 0xffffff8000200110: breakpoint"));
	assert_non_null(strstr(said, "stopped at 0xffffff8000200111: trap"));
	assert_memory_equal(r.memory + 0x800, "\xc0\xff\xee", 3);
}

static void the_program_in_json(void **)
{
	assert_int_equal(
		run("--json --port %d --host 127.0.0.1 -c info -c 'read 0xffffff8000200000 "
		    "3' -c detach"),
		0);
	assert_non_null(strstr(said, "{\"command\":\"info\",\"ok\":true,\"kernel\":\"Darwin Kernel "
				     "Version 13.4.0: a machine of the tests\",\"version\":12,"));
	assert_non_null(strstr(said, "\"bytes\":\"00070e\"}\n"));
	assert_non_null(strstr(said, "{\"command\":\"detach\",\"ok\":true}\n"));
	r.press = true;
	assert_int_equal(run("127.0.0.1:%d <<'END'\n# a script\nversion\n\nquit\nfly\nEND\ntrue"),
			 0);
	assert_non_null(strstr(said, "Darwin Kernel Version 13.4.0"));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_session, setup, teardown),
		cmocka_unit_test_setup_teardown(packets_get_lost_on_the_way_in, setup, teardown),
		cmocka_unit_test_setup_teardown(packets_get_lost_on_the_way_out, setup, teardown),
		cmocka_unit_test_setup_teardown(packets_come_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(long_sessions, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_happens_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(one_debugger_at_a_time, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(usage_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(the_program, setup, teardown),
		cmocka_unit_test_setup_teardown(the_program_in_json, setup, teardown),
	};

	if (argc != 2)
		return 2;
	program = argv[1];
	alarm(90);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
