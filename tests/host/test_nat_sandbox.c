/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * D-14: what the jailed process cannot do any more. Each test makes a child, confines it with the
 * very code of the worker, lets it try, and reads what came of it from a pipe. As root, everything
 * is done once more by a user without rights.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/nat/sandbox.h"
#include "tests/host/own_ns.h"

#define CALLS_MAX 600
#define SOMEBODY  12345u

static bool as_somebody; /* without rights */
static bool no_spaces;	 /* users have no namespaces here */
static bool alone;	 /* root of a user namespace that knows nobody else */
static int out = 3;	 /* in the child: the pipe */

/* In the child: one line of the result. */
static void say(const char *what)
{
	char line[256];
	int n = snprintf(line, sizeof(line), "%s\n", what);

	if (write(out, line, (size_t)n) != n)
		_exit(9);
}

/* Only if it is worth telling. */
static void denied(const char *what, long result)
{
	char line[128];

	if (result == -1 && (errno == EPERM || errno == EACCES))
		return;
	snprintf(line, sizeof(line), "%s gave %ld, errno %d", what, result, errno);
	say(line);
}

static void try_files(void)
{
	static char program[] = "/bin/true";
	char *const argv[] = {program, NULL};
	struct stat st;

	denied("open", open("/etc/passwd", O_RDONLY));
	denied("open /", open("/", O_RDONLY));
	denied("openat", syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR));
	denied("creat", creat("/tmp/x", 0600));
	denied("stat", stat("/etc/passwd", &st));
	denied("mkdir", mkdir("/x", 0700));
	denied("unlink", unlink("/etc/passwd"));
	denied("chdir", chdir("/tmp"));
	denied("chroot", chroot("/"));
	denied("mount", mount("none", "/", "tmpfs", 0, NULL));
	denied("umount", umount("/"));
	denied("memfd_create", syscall(SYS_memfd_create, "x", 0));
	denied("execve", execve(program, argv, NULL));
	denied("execveat", syscall(SYS_execveat, 0, "", argv, NULL, AT_EMPTY_PATH));
}

static void try_processes(void)
{
	char here = 0, there;
	struct iovec local = {&there, 1}, remote = {&here, 1};
	pid_t parent = (pid_t)syscall(SYS_getpid); /* our own will do: no call may name a process */

	denied("fork", syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
#ifdef SYS_fork
	denied("fork", syscall(SYS_fork));
	denied("vfork", syscall(SYS_vfork));
#endif
	denied("clone3", syscall(SYS_clone3, NULL, 0));
	denied("ptrace", ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	denied("kill", kill(1, 0));
	denied("kill", kill(parent, SIGTERM));
	denied("tgkill", syscall(SYS_tgkill, 1, 1, 0));
	denied("process_vm_readv", process_vm_readv(parent, &local, 1, &remote, 1, 0));
	denied("process_vm_writev", process_vm_writev(parent, &local, 1, &remote, 1, 0));
	denied("pidfd_open", syscall(SYS_pidfd_open, 1, 0));
	denied("setuid", setuid(0));
	denied("prctl", prctl(PR_SET_DUMPABLE, 1));
	denied("setrlimit", syscall(SYS_prlimit64, 0, RLIMIT_CORE, NULL, NULL));
	denied("unshare", syscall(SYS_unshare, 0x10000000));
	denied("setns", syscall(SYS_setns, 0, 0));
	denied("bpf", syscall(SYS_bpf, 0, NULL, 0));
	denied("userfaultfd", syscall(SYS_userfaultfd, 0));
	denied("io_uring_setup", syscall(SYS_io_uring_setup, 1, NULL));
	denied("perf_event_open", syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
	denied("keyctl", syscall(SYS_keyctl, 0, 0, 0, 0, 0));
	denied("seccomp", syscall(SYS_seccomp, 0, 0, NULL));
	denied("module", syscall(SYS_init_module, NULL, 0, ""));
	denied("reboot", syscall(SYS_reboot, 0, 0, 0, NULL));
}

static void try_sockets(void)
{
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET, SOCK_PACKET};
	char what[64];
	int pair[2], one = 1;

	for (int family = 0; family < 46; family++)
		for (size_t i = 0; i < 5; i++) {
			bool inet = family == AF_INET || family == AF_INET6;

			if (inet && (types[i] == SOCK_STREAM || types[i] == SOCK_DGRAM))
				continue;
			snprintf(what, sizeof(what), "socket(%d, %d)", family, types[i]);
			denied(what, socket(family, types[i] | SOCK_CLOEXEC, 0));
		}
	denied("SCTP", socket(AF_INET, SOCK_STREAM, 132));
	denied("MPTCP", socket(AF_INET, SOCK_STREAM, 262));
	denied("UDP-Lite", socket(AF_INET, SOCK_DGRAM, 136));
	denied("raw ICMP", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
	denied("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		say("a TCP socket is refused");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)))
		say("SO_REUSEADDR is refused");
	denied("SO_BINDTODEVICE", setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2));
	denied("SO_ATTACH_FILTER", setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &one, sizeof(one)));
	denied("TCP_ULP", setsockopt(fd, IPPROTO_TCP, 31, "tls", 3));
	denied("F_DUPFD", fcntl(fd, F_DUPFD, 0));
	denied("F_SETOWN", fcntl(fd, F_SETOWN, 1));
	denied("ioctl", ioctl(fd, 0x8912, NULL)); /* the list of interfaces */
	denied("dup", dup(fd));
	close(fd);
	fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 && errno == EPERM)
		say("a UDP socket over IPv6 is refused");
}

static void try_memory(void)
{
	long page = sysconf(_SC_PAGESIZE);
	void *m = mmap(NULL, (size_t)page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);

	if (m == MAP_FAILED)
		say("no memory");
	denied("executable memory", mprotect(m, (size_t)page, PROT_READ | PROT_EXEC));
	denied("mapping a file", (long)mmap(NULL, (size_t)page, PROT_READ, MAP_PRIVATE, 0, 0));
	denied("executable mapping", (long)mmap(NULL, (size_t)page, PROT_READ | PROT_EXEC,
						MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

/* Every number there is: what is not on the list fails with EPERM, whatever its arguments. */
static void try_all_calls(void)
{
	static bool listed[CALLS_MAX];
	char line[64];

#define CALL(name, why)	   listed[SYS_##name] = true;
#define CALL_IF(name, why) listed[SYS_##name] = true;
#include "host/nat/sandbox_calls.h"
#undef CALL
#undef CALL_IF
	for (long call = 0; call < CALLS_MAX; call++) {
		long result;

		/* uretprobe and uprobe of x86-64: no filter sees them; they end who makes them. */
		if (listed[call] || call == 335 || call == 336)
			continue;
		errno = 0;
		result = syscall(call, -1L, -1L, -1L, -1L, -1L, -1L);
		if (result == -1 && errno == EPERM)
			continue;
		snprintf(line, sizeof(line), "call %ld is not denied: %ld, errno %d", call, result,
			 errno);
		say(line);
	}
}

/* The jail, and the rest of the child. */
static void confined(void (*body)(void))
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS};
	const char *warning;
	char err[256] = "";
	int null = open("/dev/null", O_RDWR);

	if (as_somebody && (setgroups(0, NULL) || setresgid(SOMEBODY, SOMEBODY, SOMEBODY) ||
			    setresuid(SOMEBODY, SOMEBODY, SOMEBODY)))
		_exit(8);
	if (alone && !own_ns_alone(0))
		_exit(9);
	/* As after an exec, which the worker comes from. */
	prctl(PR_SET_DUMPABLE, 1);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		signal(faults[i], SIG_DFL);
	dup2(null, 0);
	sandbox_first();
	if (!sandbox_enter(&warning, err, sizeof(err)))
		say(err);
	else if (warning && !no_spaces)
		say(warning); /* where there are none, all else must hold */
	else
		body();
	syscall(SYS_exit_group, 0);
}

static void run(void (*body)(void), char *text, size_t text_len)
{
	int pipefd[2], status;
	size_t have = 0;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(pipefd), 0);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		dup2(pipefd[1], out);
		confined(body);
	}
	close(pipefd[1]);
	while (have < text_len - 1 && (n = read(pipefd[0], text + have, text_len - 1 - have)) > 0)
		have += (size_t)n;
	text[have] = '\0';
	close(pipefd[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void silent(void (*body)(void), const char *who)
{
	char text[8192];

	run(body, text, sizeof(text));
	if (text[0])
		fail_msg("%s: %s", who, text);
}

static void expect_silent(void (*body)(void))
{
	silent(body, "as we are");
	if (geteuid())
		return;
	as_somebody = true;
	silent(body, "as a user");
	as_somebody = false;
}

/* `vmnet` in a container without root, say. */
static void test_alone(void **state)
{
	(void)state;
	if (no_spaces) {
		printf("no user namespaces for us\n");
		skip();
	}
	alone = true;
	silent(try_files, "alone");
	silent(try_all_calls, "alone");
	alone = false;
}

/* Whether a user, which we are, gets what the worker asks for. */
static bool has_spaces(void)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(own_ns_alone(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS) ? 0 : 1);
	return waitpid(pid, &status, 0) == pid && !status;
}

static void test_files(void **state)
{
	(void)state;
	expect_silent(try_files);
}

static void test_processes(void **state)
{
	(void)state;
	expect_silent(try_processes);
}

static void test_sockets(void **state)
{
	(void)state;
	expect_silent(try_sockets);
}

static void test_memory(void **state)
{
	(void)state;
	expect_silent(try_memory);
}

static void test_all_calls(void **state)
{
	(void)state;
	expect_silent(try_all_calls);
}

/* From outside: who it is, what it sees. */
static void wait_for_end(void)
{
	char c;

	say("in");
	while (read(4, &c, 1) > 0)
		;
}

static void status_line(pid_t pid, const char *key, char *value, size_t len)
{
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	assert_non_null(f);
	value[0] = '\0';
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			snprintf(value, len, "%s", line + strlen(key) + 1);
	fclose(f);
}

static void look(bool somebody)
{
	static const char *const namespaces[] = {"mnt", "ipc", "uts"};
	int said[2], end[2], status;
	char path[64], value[256], mine[64], its[64], c;
	pid_t pid;
	ssize_t n;

	assert_int_equal(pipe(said), 0);
	assert_int_equal(pipe(end), 0);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		as_somebody = somebody;
		dup2(said[1], 20);
		dup2(end[0], 21);
		close(said[0]);
		close(end[1]);
		dup2(20, 3);
		dup2(21, 4);
		confined(wait_for_end);
	}
	close(said[1]);
	close(end[0]);
	assert_int_equal(read(said[0], &c, 1), 1);
	assert_int_equal(c, 'i');

	status_line(pid, "Seccomp:", value, sizeof(value));
	assert_int_equal(atoi(value), 2);
	status_line(pid, "NoNewPrivs:", value, sizeof(value));
	assert_int_equal(atoi(value), 1);
	status_line(pid, "CapEff:", value, sizeof(value));
	/* Low ports, for a daemon of root's; nothing for anybody else. */
	assert_int_equal(strtoull(value, NULL, 16), somebody || geteuid() ? 0 : 1u << 10);
	status_line(pid, "CapBnd:", value, sizeof(value));
	if (!somebody && !geteuid())
		assert_int_equal(strtoull(value, NULL, 16), 0);
	status_line(pid, "Uid:", value, sizeof(value));
	assert_int_not_equal(atoi(value), 0);
	for (unsigned i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, namespaces[i]);
		n = readlink(path, its, sizeof(its) - 1);
		if (n < 0)
			continue; /* not dumpable: nobody but root may look */
		its[n] = '\0';
		snprintf(path, sizeof(path), "/proc/self/ns/%s", namespaces[i]);
		n = readlink(path, mine, sizeof(mine) - 1);
		assert_true(n > 0);
		mine[n] = '\0';
		assert_string_not_equal(mine, its);
	}
	/* Its root is empty: two entries, . and .. . */
	snprintf(path, sizeof(path), "ls -a /proc/%d/root 2>/dev/null | wc -l", (int)pid);
	FILE *f = popen(path, "r");

	assert_non_null(fgets(value, sizeof(value), f));
	pclose(f);
	if (!geteuid())
		assert_int_equal(atoi(value), 2);
	close(end[1]);
	close(said[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_look(void **state)
{
	(void)state;
	look(false);
	if (!geteuid())
		look(true);
}

static void wait_for_ever(void)
{
	say("in");
	for (;;)
		syscall(SYS_poll, NULL, 0, 1000);
}

/* It does not outlive its parent, whatever became of its user in between. */
static void test_orphan(void **state)
{
	int pipefd[2], status;
	pid_t pid;
	char c;

	(void)state;
	assert_int_equal(pipe(pipefd), 0);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		int ready[2];

		if (pipe(ready))
			_exit(1);
		if (!fork()) {
			dup2(ready[1], 20);
			dup2(pipefd[1], 21);
			dup2(20, 3);
			/* The test's pipe stays open in it, as its output. */
			dup2(21, 1);
			confined(wait_for_ever);
		}
		close(ready[1]);
		if (read(ready[0], &c, 1) != 1)
			_exit(2);
		_exit(0);
	}
	close(pipefd[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	/* End of file: the last holder of the other end is gone. */
	assert_int_equal(read(pipefd[0], &c, 1), 0);
	close(pipefd[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),	  cmocka_unit_test(test_processes),
		cmocka_unit_test(test_sockets),	  cmocka_unit_test(test_memory),
		cmocka_unit_test(test_all_calls), cmocka_unit_test(test_look),
		cmocka_unit_test(test_orphan),	  cmocka_unit_test(test_alone),
	};

	no_spaces = geteuid() && !has_spaces();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
