/* SPDX-License-Identifier: BSD-2-Clause */
/* Debian's gdb, unmodified, through the bridge. Argument: kdp. */
#include "tests/kdp/cm.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "tests/kdp/responder.h"

static struct responder r;
static const char *program;
static pid_t bridge;
static unsigned gdb_port;
static char said[16384];

static int setup(void **)
{
	char line[200], to[64];
	const char *at;
	int out[2];
	FILE *f;

	responder_start(&r);
	assert_int_equal(pipe(out), 0);
	(void)snprintf(to, sizeof(to), "127.0.0.1:%u", r.port);
	bridge = fork();
	assert_true(bridge >= 0);
	if (!bridge) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* leaves no process behind */
		(void)dup2(out[1], STDOUT_FILENO);
		(void)close(out[0]);
		(void)execl(program, program, "gdb", "--listen", "0", to, (char *)0);
		_exit(127);
	}
	(void)close(out[1]);
	f = fdopen(out[0], "r");
	assert_non_null(fgets(line, sizeof(line), f));
	(void)fclose(f);
	at = strstr(line, "target remote 127.0.0.1:");
	assert_non_null(at);
	gdb_port = (unsigned)strtoul(at + 24, 0, 10);
	return 0;
}

/* Its exit status; it may have ended by itself. */
static int bridge_end(void)
{
	int status = 0;

	for (unsigned i = 0; i < 200; i++) {
		if (waitpid(bridge, &status, WNOHANG) == bridge) {
			bridge = 0;
			return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		}
		(void)usleep(10000);
	}
	return -2;
}

static int teardown(void **)
{
	if (bridge > 0) {
		(void)kill(bridge, SIGTERM);
		if (bridge_end() == -2) {
			(void)kill(bridge, SIGKILL);
			(void)waitpid(bridge, 0, 0);
		}
	}
	responder_end(&r);
	return 0;
}

static void gdb(const char *commands)
{
	char line[2048];
	size_t n;
	FILE *f;

	(void)snprintf(line, sizeof(line),
		       "timeout 40 gdb -nx -batch -ex 'set debuginfod enabled off' "
		       "-ex 'target remote 127.0.0.1:%u' %s 2>&1 </dev/null",
		       gdb_port, commands);
	f = popen(line, "r");
	assert_non_null(f);
	n = fread(said, 1, sizeof(said) - 1, f);
	said[n] = '\0';
	(void)pclose(f);
}

static void expect(const char *text)
{
	if (!strstr(said, text))
		(fprintf(stderr, "no %s in:\n%s\n", text, said), fail());
}

static void gdb_debugs(void **)
{
	gdb("-ex 'info registers' -ex 'x/6xb 0xffffff8000200000' -ex 'p $xmm0' "
	    "-ex 'set $rbx = 0x4242' -ex 'set {int}0xffffff8000200800 = 0x12345678' "
	    "-ex 'x/2i $pc' "
	    "-ex 'break *0xffffff8000200110' -ex 'continue' -ex 'p/x $pc' -ex 'x/1xb $pc' "
	    "-ex 'stepi' -ex 'p/x $pc' -ex 'stepi' -ex 'p/x $pc' -ex 'continue' -ex 'p/x $pc' "
	    "-ex 'delete' -ex 'p/x $rbx' -ex 'x/1xb 0' -ex 'detach'");
	expect("rax            0x1122334455667788");
	expect("rsi            0x51");
	expect("rdi            0xd1");
	expect("rip            0xffffff8000200103");
	expect("eflags         0x202");
	expect("cs             0x8");
	expect("ss             <unavailable>");
	expect("0xffffff8000200000:\t0x00\t0x07\t0x0e\t0x15\t0x1c\t0x23");
	expect("=> 0xffffff8000200103:\tnop");
	expect("Breakpoint 1, 0xffffff8000200110");
	expect("$2 = 0xffffff8000200110");
	expect("0xffffff8000200110:\t0x90");
	expect("$3 = 0xffffff8000200111");
	expect("$4 = 0xffffff8000200112");
	expect("$5 = 0xffffff8000200110");
	expect("= 0x4242");
	expect("Cannot access memory at address 0x0");
	assert_memory_equal(r.memory + 0x800, "\x78\x56\x34\x12", 4);
	/* Detached: the bridge is done, the machine runs, and nothing is left in it. */
	assert_int_equal(bridge_end(), 0);
	assert_int_equal(r.end, KDP_END_DISCONNECTED);
	assert_int_equal(r.memory[0x110], 0x90);
	assert_false(le64_get(r.regs.rflags) & KDP_RFLAGS_TF);
}

static int dial(void)
{
	struct sockaddr_in to = {};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval limit = {5, 0};

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	to.sin_family = AF_INET;
	to.sin_port = htons((uint16_t)gdb_port);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static void say(int fd, const char *body)
{
	char out[512];
	uint8_t sum = 0;

	for (const char *p = body; *p; p++)
		sum = (uint8_t)(sum + (uint8_t)*p);
	(void)snprintf(out, sizeof(out), "$%s#%02x", body, sum);
	assert_int_equal(write(fd, out, strlen(out)), strlen(out));
}

/* What comes until `text` has come. */
static void hear(int fd, const char *text)
{
	size_t n = 0;

	said[0] = '\0';
	while (!strstr(said, text) && n < sizeof(said) - 1) {
		ssize_t got = read(fd, said + n, sizeof(said) - 1 - n);

		if (got <= 0)
			fail_msg("no '%s' but: %s", text, said);
		n += (size_t)got;
		said[n] = '\0';
	}
}

static void ctrl_c_is_answered_honestly(void **)
{
	int fd = dial();

	say(fd, "?");
	hear(fd, "+$T05thread:1;#");
	say(fd, "vCont;c");
	hear(fd, "+");
	assert_int_equal(write(fd, "\3", 1), 1);
	hear(fd, "$O4b44502063616e6e6f7420696e74657272757074"); /* KDP cannot interrupt */
	assert_int_equal(r.stops, 1);
	r.press = true;
	hear(fd, "$T05thread:1;#");
	(void)close(fd);

	/* gdb went away without a word: the machine stands, for the next one. */
	(void)usleep(50000);
	fd = dial();
	say(fd, "m ffffff8000200000,2");
	hear(fd, "+$E01#");
	say(fd, "mffffff8000200000,2");
	hear(fd, "$0007#");
	say(fd, "D");
	hear(fd, "$OK#");
	(void)close(fd);
	assert_int_equal(bridge_end(), 0);
}

/* Nonsense from the gdb side gets an error or nothing, and the bridge lives on. */
static void odd_packets(void **)
{
	static const char *const odd[] = {
		"",
		"p",
		"pffffffffffffffff",
		"p99",
		"P",
		"P1",
		"Pff=00",
		"P0=zz",
		"G",
		"Gxxxx",
		"m",
		"m1",
		"m,",
		"M",
		"M1,ffffffffffffffff:00",
		"M0,4:00",
		"X0,5:abc",
		"Z",
		"Z0",
		"Z0,zz,1",
		"Z9,0,1",
		"z0,1234,1",
		"vCont;x",
		"vFile:open",
		"qXfer:features:read:other.xml:0,10",
		"qXfer:features:read:target.xml:fffff,10",
		"qXfer:features:read:target.xml:0",
		"!",
		"Hg-1",
		"T1",
		"qSupported:",
		"mffffffffffffffff,10",
		"m0,ffffffffffffffff",
	};
	int fd = dial();

	for (auto &o : odd) {
		say(fd, o);
		hear(fd, "#");
	}
	assert_int_equal(write(fd, "$m0,1#00+-$$#", 13), 13);
	assert_int_equal(write(fd, "24$?#3f", 7), 7);
	hear(fd, "$T05");
	(void)close(fd);
	assert_int_equal(kill(bridge, 0), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest with_gdb[] = {
		cmocka_unit_test_setup_teardown(gdb_debugs, setup, teardown),
	};
	const struct CMUnitTest without[] = {
		cmocka_unit_test_setup_teardown(ctrl_c_is_answered_honestly, setup, teardown),
		cmocka_unit_test_setup_teardown(odd_packets, setup, teardown),
	};
	int failed;

	if (argc != 2)
		return 2;
	program = argv[1];
	alarm(90);
	failed = cmocka_run_group_tests(without, NULL, NULL);
	if (system("gdb --version >/dev/null 2>&1") != 0)
		printf("# no gdb here: skipped what needs it\n");
	else
		failed += cmocka_run_group_tests(with_gdb, NULL, NULL);
	return failed;
}
