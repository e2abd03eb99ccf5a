/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starting, ending, losing and joining a QEMU machine. Each test has a TMPDIR of its own, and
 * nothing may be left in it.
 */
#define _GNU_SOURCE
#include "tests/user/cm.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "guest/ports/user/wait.h"
#include "tests/user/vnet.h"

static char tmp[64];
static const char *given_qemu; /* the caller's VIOKIT_QEMU, kept across tests that change it */

static int setup(void **state)
{
	(void)state;
	snprintf(tmp, sizeof(tmp), "/tmp/viokit-test-XXXXXX");
	return !mkdtemp(tmp) || setenv("TMPDIR", tmp, 1);
}

static void use_qemu(const char *path)
{
	if (path)
		setenv("VIOKIT_QEMU", path, 1);
	else
		unsetenv("VIOKIT_QEMU");
}

/* Fails unless the directory is empty again. */
static int teardown(void **state)
{
	(void)state;
	unsetenv("TMPDIR");
	use_qemu(given_qemu);
	return rmdir(tmp);
}

static bool is_running(pid_t pid)
{
	return !kill(pid, 0) || errno != ESRCH;
}

static void test_stop(void **state)
{
	struct qemu q;
	pid_t pid;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct qemu_opts opts = {.machine = i ? "q35" : NULL, .ram_mib = i ? 0 : 16};

		assert_int_equal(qemu_start(&q, &opts), VIO_OK);
		assert_int_equal(q.q35, i);
		assert_int_equal(q.ram_len, (i ? QEMU_RAM_MIB : 16u) << 20);
		pid = q.pid;
		assert_true(is_running(pid));
		assert_int_equal(qemu_check(&q), VIO_OK);
		q.ram[0x200000] = 0x5a;
		assert_int_equal(qtest_read(&q.qtest, 0x200000, 1), 0x5a);
		qtest_write(&q.qtest, 0x200004, 4, 0x12345678);
		assert_int_equal(q.ram[0x200004], 0x78);
		qemu_stop(&q);
		assert_false(is_running(pid));
		assert_int_equal(rmdir(tmp), 0);
		assert_int_equal(mkdir(tmp, 0700), 0);
		qemu_stop(&q);
		assert_int_equal(qtest_read(&q.qtest, 0x200000, 1), 0xff);
	}
}

static void test_no_binary(void **state)
{
	struct qemu_opts opts = {.binary = "qemu-system-nowhere"};
	struct qemu q;

	(void)state;
	assert_int_equal(qemu_start(&q, &opts), VIO_ENODEV);
	assert_string_equal(q.err, "qemu-system-nowhere not found: "
				   "install the Debian package qemu-system-x86");
	opts.binary = NULL;
	use_qemu("/nonexistent/qemu");
	assert_int_equal(qemu_start(&q, &opts), VIO_ENODEV);
	assert_non_null(strstr(q.err, "/nonexistent/qemu not found"));
	/* There and executable, but no program. */
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/empty", tmp);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "\177ELF nonsense");
	fclose(f);
	assert_int_equal(chmod(path, 0755), 0);
	use_qemu(path);
	assert_int_equal(qemu_start(&q, &opts), VIO_ENODEV);
	assert_non_null(strstr(q.err, "cannot run"));
	/* Runs, and is not QEMU. */
	use_qemu("/bin/false");
	assert_int_equal(qemu_start(&q, &opts), VIO_ENODEV);
	assert_string_equal(q.err, "QEMU ended with status 1");
	unlink(path);
}

static void test_bad_arguments(void **state)
{
	const char *const argvs[][5] = {
		{"-device", "no-such-device", NULL},
		{"-no-such-option", NULL},
		{"-device", "virtio-net-pci,netdev=nowhere", NULL},
		{"-netdev", "socket,id=n,fd=777", NULL},
	};
	const char *const words[] = {"no-such-device", "no-such-option", "nowhere", "777"};
	struct qemu q;

	(void)state;
	for (unsigned i = 0; i < sizeof(argvs) / sizeof(argvs[0]); i++) {
		struct qemu_opts opts = {.argv = argvs[i]};

		assert_int_equal(qemu_start(&q, &opts), VIO_ENODEV);
		if (!strstr(q.err, words[i]))
			fail_msg("not QEMU's message: %s", q.err);
		assert_null(strchr(q.err, '\n'));
		qemu_stop(&q);
	}
}

static void test_bad_options(void **state)
{
	const struct qemu_opts bad[] = {
		{.machine = "isapc"},
		{.machine = "pc", .root_port = true},
		{.ram_mib = QEMU_RAM_MIB_MAX + 1},
	};
	char long_dir[200];
	struct qemu_opts none = {.machine = NULL};
	struct qemu q;

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(qemu_start(&q, &bad[i]), VIO_EINVAL);
		assert_int_not_equal(q.err[0], 0);
	}
	memset(long_dir, 'x', sizeof(long_dir) - 1);
	long_dir[sizeof(long_dir) - 1] = '\0';
	setenv("TMPDIR", long_dir, 1);
	assert_int_equal(qemu_start(&q, &none), VIO_EINVAL);
	setenv("TMPDIR", "/nonexistent", 1);
	assert_int_equal(qemu_start(&q, &none), VIO_ENOMEM);
	assert_non_null(strstr(q.err, "/nonexistent"));
}

static void test_killed(void **state)
{
	struct vnet v;
	struct irq irq;

	(void)state;
	vnet_start(&v, vnet_form("pc modern"));
	irq_init(&irq, v.f);
	assert_int_equal(irq_intx_on(&irq), VIO_OK);
	vnet_set_up(&v);
	kill(v.q.pid, SIGKILL);
	assert_int_equal(vnet_status(&v), 0xff);
	assert_int_equal(qemu_pci_ops.cfg_read(v.f, 0, 4), 0xffffffff);
	vnet_set_status(&v, 0);
	assert_int_equal(irq_wait(&irq, 5000000), 0);
	assert_true(v.q.qtest.dead);
	assert_int_equal(qemu_check(&v.q), VIO_ENODEV);
	assert_non_null(strstr(v.q.err, "signal 9"));
	assert_int_equal(qemu_set_link(&v.q, "nic", false), VIO_ENODEV);
	assert_int_equal(qemu_pci_scan(&v.bus, &v.q), VIO_ENODEV);
	vnet_stop(&v);
}

/* A QEMU that hangs is given up after the deadline, and ended all the same. */
static void test_hung(void **state)
{
	struct qemu_opts opts = {.machine = NULL};
	uint64_t start;
	struct qemu q;
	pid_t pid;

	(void)state;
	assert_int_equal(qemu_start(&q, &opts), VIO_OK);
	pid = q.pid;
	kill(pid, SIGSTOP);
	q.qtest.timeout_ms = 50;
	start = wait_now_us();
	assert_int_equal(qtest_in(&q.qtest, 0x60, 1), 0xff);
	assert_true(wait_now_us() - start < 1500000);
	assert_true(q.qtest.dead);
	qemu_stop(&q);
	assert_false(is_running(pid));
	/* A program that never opens the sockets. */
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/sleeper", tmp);
	f = fopen(path, "we");
	assert_non_null(f);
	fprintf(f, "#!/bin/sh\nexec sleep 60\n");
	fclose(f);
	assert_int_equal(chmod(path, 0755), 0);
	opts.binary = path;
	opts.deadline_ms = 100;
	start = wait_now_us();
	assert_int_equal(qemu_start(&q, &opts), VIO_ETIMEDOUT);
	assert_true(wait_now_us() - start < 5000000);
	assert_string_equal(q.err, "QEMU did not answer within 100 ms");
	unlink(path);
}

static void test_fds(void **state)
{
	char arg[64], byte;
	int s[2];
	struct qemu q;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0);
	snprintf(arg, sizeof(arg), "socket,id=n0,fd=%d", s[0]);

	const char *argv[] = {"-netdev", arg, "-device", "virtio-net-pci,netdev=n0", NULL};
	struct qemu_opts opts = {.argv = argv, .fds = s, .n_fds = 1};

	if (qemu_start(&q, &opts))
		fail_msg("%s", q.err);
	close(s[0]);
	assert_int_equal(recv(s[1], &byte, 1, MSG_DONTWAIT), -1);
	qemu_stop(&q);
	/* The child had the only other end, and is gone. */
	assert_int_equal(recv(s[1], &byte, 1, MSG_DONTWAIT), 0);
	close(s[1]);
}

/* Runs in a child: start a machine, tell its pid, and end badly in one of several ways. */
static void bad_parent(int report, int how)
{
	struct qemu_opts opts = {.machine = NULL};
	struct qemu q;

	if (qemu_start(&q, &opts) || write(report, &q.pid, sizeof(q.pid)) != sizeof(q.pid))
		_exit(1);
	if (how == 0)
		raise(SIGKILL);
	if (how == 1)
		qemu_kill_all();
	_exit(0);
}

static void remove_tree(const char *dir)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s/viokit-*", dir);
	assert_int_equal(system(command), 0);
}

static void test_orphan(void **state)
{
	(void)state;
	/* Orphans come to us to be reaped. */
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	for (int how = 0; how < 3; how++) {
		int report[2];
		pid_t parent, machine = 0;

		assert_int_equal(pipe2(report, O_CLOEXEC), 0);
		parent = fork();
		if (!parent)
			bad_parent(report[1], how);
		close(report[1]);
		assert_int_equal(read(report[0], &machine, sizeof(machine)), sizeof(machine));
		close(report[0]);
		assert_int_equal(waitpid(parent, NULL, 0), parent);
		alarm(20);
		assert_int_equal(waitpid(machine, NULL, 0), machine);
		alarm(0);
		if (how == 1) {
			/* qemu_kill_all has tidied up as well. */
			assert_int_equal(rmdir(tmp), 0);
			assert_int_equal(mkdir(tmp, 0700), 0);
		} else {
			remove_tree(tmp);
		}
	}
	prctl(PR_SET_CHILD_SUBREAPER, 0);
}

/* A machine started by hand, as another program would. */
static pid_t start_by_hand(const char *rom, const char *ram, const char *qtest, const char *qmp)
{
	static const char reset[] = "\xfa\xf4\xeb\xfc";
	int fd = open(rom, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	char backend[256], qtest_arg[160], qmp_arg[160];
	pid_t pid;

	assert_int_equal(ftruncate(fd, 65536), 0);
	assert_int_equal(pwrite(fd, reset, 4, 0xfff0), 4);
	close(fd);
	fd = open(ram, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, 32 << 20), 0);
	close(fd);
	snprintf(backend, sizeof(backend),
		 "memory-backend-file,id=m0,size=32M,mem-path=%s,share=on", ram);
	snprintf(qtest_arg, sizeof(qtest_arg), "unix:%s,server=on,wait=off", qtest);
	snprintf(qmp_arg, sizeof(qmp_arg), "unix:%s,server=on,wait=off", qmp);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execlp(given_qemu ? given_qemu : "qemu-system-x86_64", "qemu", "-accel", "tcg",
		       "-machine", "q35,memory-backend=m0,pit=off", "-m", "32", "-object", backend,
		       "-no-user-config", "-nodefaults", "-display", "none", "-monitor", "none",
		       "-bios", rom, "-qtest", qtest_arg, "-qtest-log", "none", "-qmp", qmp_arg,
		       "-device", "virtio-net-pci,id=nic", (char *)NULL);
		_exit(127);
	}
	return pid;
}

static void test_attach(void **state)
{
	char rom[96], ram[96], qtest[96], qmp[96];
	struct qemu_attach_opts opts = {.qtest_path = qtest, .qmp_path = qmp, .ram_path = ram};
	struct vnet v;
	pid_t pid;

	(void)state;
	snprintf(rom, sizeof(rom), "%s/rom", tmp);
	snprintf(ram, sizeof(ram), "%s/ram", tmp);
	snprintf(qtest, sizeof(qtest), "%s/qtest", tmp);
	snprintf(qmp, sizeof(qmp), "%s/qmp", tmp);
	pid = start_by_hand(rom, ram, qtest, qmp);
	opts.pid = pid;
	for (unsigned i = 0; i < 2; i++) {
		struct irq irq;

		memset(&v, 0, sizeof(v));
		if (qemu_attach(&v.q, &opts))
			fail_msg("%s", v.q.err);
		assert_true(v.q.q35);
		assert_int_equal(v.q.ram_len, 32 << 20);
		assert_int_equal(qemu_pci_scan(&v.bus, &v.q), VIO_OK);
		v.f = qemu_pci_find(&v.bus, VIRTIO_PCI_VENDOR, 0);
		assert_non_null(v.f);
		irq_init(&irq, v.f);
		if (i)
			assert_int_equal(irq_intx_on(&irq), VIO_OK);
		else
			assert_int_equal(irq_msix_on(&irq, 0), VIO_OK);
		vnet_set_up(&v);
		if (!i)
			assert_true(vnet_config_vector(&v));
		vnet_go(&v);
		assert_int_equal(qemu_set_link(&v.q, "nic", i), VIO_OK);
		assert_int_equal(irq_wait(&irq, 2000000), 1);
		/* Letting go leaves it running; it can be taken up again. */
		vnet_stop(&v);
		assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	}
	/* Without QMP and RAM, what needs them says so. */
	opts.qmp_path = opts.ram_path = NULL;
	assert_int_equal(qemu_attach(&v.q, &opts), VIO_OK);
	assert_int_equal(qemu_set_link(&v.q, "nic", true), VIO_ENODEV);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(qemu_check(&v.q), VIO_ENODEV);
	qemu_stop(&v.q);
	opts.deadline_ms = 50;
	assert_int_not_equal(qemu_attach(&v.q, &opts), VIO_OK);
	assert_int_not_equal(v.q.err[0], 0);
	unlink(rom);
	unlink(ram);
	unlink(qtest);
	unlink(qmp);
}

/* Several machines at once in one process are no trouble to one another. */
static void test_many(void **state)
{
	struct qemu_opts opts = {.machine = NULL};
	struct qemu q[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(qemu_start(&q[i], &opts), VIO_OK);
		q[i].ram[0x200000] = (uint8_t)i;
	}
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(qtest_read(&q[i].qtest, 0x200000, 1), i);
		qemu_stop(&q[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_stop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_binary, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_arguments, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_options, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hung, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_orphan, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attach, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
	};
	const char *qemu = getenv("VIOKIT_QEMU");

	/* A copy: the environment's own may move when it is changed. */
	given_qemu = qemu ? strdup(qemu) : NULL;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
