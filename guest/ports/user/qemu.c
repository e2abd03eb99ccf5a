/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * QEMU is run with a CPU that has nothing to do: the firmware is replaced by a ROM whose reset
 * vector disables interrupts and halts. The virtual machine counts as running all the same, which
 * is what makes virtio-net move frames (with -S it would not), and qtest is served under any
 * accelerator. This process is then the guest: it places the BARs, writes the registers, fills the
 * rings.
 *
 * RAM is a memfd, given to QEMU by its number in /proc/self/fd and mapped here: nothing of it can
 * be left on a disk, and as long as it lies in one piece below the PCI hole, guest physical
 * addresses are offsets into it.
 *
 * The command line below is also what a machine to attach to should have been started with:
 *	-machine pc|q35,memory-backend=m0,pit=off	(the timer's interrupt 0 would only be
 *noise) -object memory-backend-file,id=m0,share=on,...	(a file that can be opened here as well)
 *	-bios <halt ROM>  -qtest unix:...,server=on,wait=off  -qmp unix:...,server=on,wait=off
 *
 * Root ports are given PCIe's own hot-plug (-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=
 * off): ACPI's, the default on q35, would need a guest with ACPI.
 *
 * Start-up goes in levels (directory, RAM, child, sockets), and qemu_stop undoes whatever there is.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "guest/ports/user/qemu.h"
#include "guest/ports/user/wait.h"
#include "wire/virtio_pci.h"

#define PATH_LEN	192u /* of a socket in the directory: sun_path is shorter anyway */
#define MAX_ARGS	256u
#define QUIT_MS		2000u
#define TERM_MS		1000u
#define LAST_WORDS_MS	1000u /* for a QEMU that hung up to end */
#define HALT_ROM_LEN	65536u
#define RESET_VECTOR	0xfff0u
#define PCI_ADDRESS	0xcf8u
#define PCI_DATA	0xcfcu
#define HOST_BRIDGE_Q35 0x29c08086u

static const char *const dir_files[] = {"halt.bin", "qtest", "qmp", "stderr", NULL};

__attribute__((format(printf, 3, 4))) static int fail(struct qemu *q, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(q->err, sizeof(q->err), fmt, ap);
	va_end(ap);
	return err;
}

/* The last line with anything in it that the child wrote; "" if there is none. */
static void last_words(const struct qemu *q, char *line, size_t size)
{
	char text[2048];
	struct stat st;
	ssize_t n = -1;
	char *start;

	line[0] = '\0';
	if (q->stderr_fd >= 0 && !fstat(q->stderr_fd, &st)) {
		off_t most = (off_t)sizeof(text) - 1;

		n = pread(q->stderr_fd, text, sizeof(text) - 1,
			  st.st_size > most ? st.st_size - most : 0);
	}
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r' || text[n - 1] == ' '))
		n--;
	if (n <= 0)
		return;
	text[n] = '\0';
	start = strrchr(text, '\n');
	snprintf(line, size, "%.*s", (int)size - 1, start ? start + 1 : text);
}

/* The child has ended, or ought to: say how. */
static int fail_ended(struct qemu *q)
{
	char words[200];

	last_words(q, words, sizeof(words));
	if (q->owned && !q->child.exited)
		return fail(q, VIO_ENODEV, "QEMU closed its sockets");
	if (q->child.exited && WIFSIGNALED(q->child.status))
		return fail(q, VIO_ENODEV, "QEMU was ended by signal %d%s%s",
			    WTERMSIG(q->child.status), words[0] ? ": " : "", words);
	if (words[0])
		return fail(q, VIO_ENODEV, "%s", words);
	if (q->child.exited)
		return fail(q, VIO_ENODEV, "QEMU ended with status %d",
			    WEXITSTATUS(q->child.status));
	return fail(q, VIO_ENODEV, "QEMU has gone away");
}

static int make_dir(struct qemu *q)
{
	const char *tmp = getenv("TMPDIR");
	int n;

	if (!tmp || !*tmp)
		tmp = "/tmp";
	n = snprintf(q->dir, sizeof(q->dir), "%s/viokit-XXXXXX", tmp);
	/* Sockets lie in it: their paths must fit a sockaddr_un, and commas split QEMU's options.
	 */
	if (n < 0 || n > 96 || strchr(tmp, ',')) {
		q->dir[0] = '\0';
		return fail(q, VIO_EINVAL, "cannot use TMPDIR %.100s: too long, or a comma", tmp);
	}
	if (!mkdtemp(q->dir)) {
		q->dir[0] = '\0';
		return fail(q, VIO_ENOMEM, "cannot make a directory in %.100s: %s", tmp,
			    strerror(errno));
	}
	return VIO_OK;
}

static void dir_path(const struct qemu *q, const char *file, char path[PATH_LEN])
{
	snprintf(path, PATH_LEN, "%s/%s", q->dir, file);
}

static int write_halt_rom(struct qemu *q)
{
	static const uint8_t halt[] = {0xfa, 0xf4, 0xeb, 0xfc}; /* cli; hlt; jmp to the cli */
	char path[PATH_LEN];
	bool ok;
	int fd;

	dir_path(q, "halt.bin", path);
	fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail(q, VIO_ENOMEM, "cannot write %s: %s", path, strerror(errno));
	ok = !ftruncate(fd, HALT_ROM_LEN) &&
	     pwrite(fd, halt, sizeof(halt), RESET_VECTOR) == (ssize_t)sizeof(halt);
	close(fd);
	return ok ? VIO_OK : fail(q, VIO_ENOMEM, "cannot write %s", path);
}

static int map_ram(struct qemu *q, uint64_t len)
{
	void *ram = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, q->ram_fd, 0);

	if (ram == MAP_FAILED)
		return fail(q, VIO_ENOMEM, "cannot map guest RAM: %s", strerror(errno));
	q->ram = ram;
	q->ram_len = len;
	return VIO_OK;
}

static int make_ram(struct qemu *q, unsigned mib)
{
	uint64_t len = (uint64_t)mib << 20;

	q->ram_fd = memfd_create("viokit-ram", MFD_CLOEXEC);
	if (q->ram_fd < 0 || ftruncate(q->ram_fd, (off_t)len))
		return fail(q, VIO_ENOMEM, "cannot make guest RAM: %s", strerror(errno));
	return map_ram(q, len);
}

struct args {
	char *v[MAX_ARGS + 1];
	unsigned n;
	bool full;
};

__attribute__((format(printf, 2, 3))) static void arg(struct args *a, const char *fmt, ...)
{
	va_list ap;

	if (a->n == MAX_ARGS) {
		a->full = true;
		return;
	}
	va_start(ap, fmt);
	if (vasprintf(&a->v[a->n], fmt, ap) < 0)
		a->full = true;
	else
		a->n++;
	va_end(ap);
	a->v[a->n] = NULL;
}

static void free_args(struct args *a)
{
	while (a->n)
		free(a->v[--a->n]);
}

static void build_args(struct args *a, const struct qemu *q, const struct qemu_opts *o,
		       const char *binary, const char *machine, unsigned mib)
{
	arg(a, "%s", binary);
	arg(a, "-accel");
	arg(a, "tcg");
	arg(a, "-machine");
	arg(a, "%s,memory-backend=m0,pit=off", machine);
	arg(a, "-m");
	arg(a, "%u", mib);
	arg(a, "-object");
	arg(a, "memory-backend-file,id=m0,size=%uM,mem-path=/proc/self/fd/%d,share=on", mib,
	    q->ram_fd);
	arg(a, "-no-user-config");
	arg(a, "-nodefaults");
	arg(a, "-display");
	arg(a, "none");
	arg(a, "-monitor");
	arg(a, "none");
	arg(a, "-bios");
	arg(a, "%s/halt.bin", q->dir);
	arg(a, "-qtest");
	arg(a, "unix:%s/qtest,server=on,wait=off", q->dir);
	arg(a, "-qtest-log");
	arg(a, "none");
	arg(a, "-qmp");
	arg(a, "unix:%s/qmp,server=on,wait=off", q->dir);
	if (!strcmp(machine, "q35")) {
		arg(a, "-global");
		arg(a, "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off");
	}
	if (o->root_port) {
		arg(a, "-device");
		arg(a, "pcie-root-port,id=" QEMU_ROOT_PORT ",bus=pcie.0,chassis=1,slot=1");
	}
	for (const char *const *v = o->argv; v && *v; v++)
		arg(a, "%s", *v);
}

static int spawn(struct qemu *q, const struct qemu_opts *o, const char *machine, unsigned mib)
{
	const char *name = o->binary ? o->binary : getenv("VIOKIT_QEMU");
	char binary[PATH_MAX], path[PATH_LEN];
	struct child_spec spec = {.dir = q->dir, .files = dir_files};
	struct args a = {.n = 0};
	int *fds, sys_errno = 0, err;

	if (!name || !*name)
		name = "qemu-system-x86_64";
	if (!child_lookup(name, binary, sizeof(binary)))
		return fail(q, VIO_ENODEV,
			    "%.120s not found: install the Debian package qemu-system-x86", name);
	dir_path(q, "stderr", path);
	q->stderr_fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
	if (q->stderr_fd < 0)
		return fail(q, VIO_ENOMEM, "cannot write %s: %s", path, strerror(errno));
	fds = calloc(o->n_fds + 1u, sizeof(*fds));
	if (!fds)
		return fail(q, VIO_ENOMEM, "out of memory");
	for (unsigned i = 0; i < o->n_fds; i++)
		fds[i] = o->fds[i];
	fds[o->n_fds] = q->ram_fd;
	build_args(&a, q, o, binary, machine, mib);
	spec.path = binary;
	spec.argv = a.v;
	spec.out_fd = q->stderr_fd;
	spec.fds = fds;
	spec.n_fds = o->n_fds + 1u;
	if (a.full)
		err = fail(q, VIO_EINVAL, "too many arguments for QEMU");
	else
		err = child_spawn(&q->child, &spec, &sys_errno);
	if (err == VIO_ENODEV)
		fail(q, err, "cannot run %.150s: %s", binary, strerror(sys_errno));
	else if (err == VIO_ENOMEM)
		fail(q, err, "cannot start a process for QEMU");
	free_args(&a);
	free(fds);
	if (!err) {
		q->owned = true;
		q->pid = q->child.pid;
	}
	return err;
}

static bool still_alive(void *arg)
{
	struct qemu *q = arg;

	return !q->owned || child_alive(&q->child);
}

static unsigned ms_left(uint64_t deadline)
{
	uint64_t now = wait_now_us();

	return deadline > now ? (unsigned)((deadline - now) / 1000) + 1 : 1;
}

/* Connect both sockets. QEMU greets on QMP when the machine is built, so that one goes first. */
static int connect_both(struct qemu *q, const char *qmp_path, const char *qtest_path)
{
	uint64_t deadline = wait_deadline_ms(q->deadline_ms);
	int fd = -1, err = VIO_OK;

	if (qmp_path) {
		err = wait_connect(qmp_path, deadline, still_alive, q, &fd);
		if (!err)
			err = qmp_adopt(&q->qmp, fd, ms_left(deadline));
		q->qmp.timeout_ms = q->deadline_ms;
	}
	if (!err) {
		err = wait_connect(qtest_path, deadline, still_alive, q, &fd);
		if (!err)
			qtest_adopt(&q->qtest, fd, q->deadline_ms);
	}
	if (!err) {
		q->q35 = qemu_cfg_read(q, 0, PCI_VENDOR_ID, 4) == HOST_BRIDGE_Q35;
		err = q->qtest.dead ? VIO_ENODEV : VIO_OK;
	}
	if (err == VIO_ENODEV) {
		if (q->owned)
			child_wait(&q->child, LAST_WORDS_MS);
		return fail_ended(q);
	}
	if (err == VIO_ETIMEDOUT)
		return fail(q, err, "QEMU did not answer within %u ms", q->deadline_ms);
	if (err)
		return fail(q, err, "cannot connect to QEMU%s%.150s", q->qmp.err[0] ? ": " : "",
			    q->qmp.err);
	return VIO_OK;
}

static void init(struct qemu *q, unsigned deadline_ms)
{
	memset(q, 0, sizeof(*q));
	q->ram_fd = q->stderr_fd = q->qtest.fd = q->qmp.fd = -1;
	q->qtest.dead = q->qmp.dead = true;
	q->child.slot = -1;
	q->deadline_ms = deadline_ms ? deadline_ms : QEMU_DEADLINE_MS;
	q->msi_next = QEMU_MSI_FIRST;
}

int qemu_start(struct qemu *q, const struct qemu_opts *o)
{
	const char *machine = o->machine ? o->machine : "pc";
	unsigned mib = o->ram_mib ? o->ram_mib : QEMU_RAM_MIB;
	char qmp_path[PATH_LEN], qtest_path[PATH_LEN];
	int err;

	init(q, o->deadline_ms);
	if (strcmp(machine, "pc") && strcmp(machine, "q35"))
		return fail(q, VIO_EINVAL, "machine must be pc or q35, not %.100s", machine);
	if (o->root_port && strcmp(machine, "q35"))
		return fail(q, VIO_EINVAL, "a root port needs machine q35");
	if (mib > QEMU_RAM_MIB_MAX)
		return fail(q, VIO_EINVAL, "at most %u MiB of RAM", QEMU_RAM_MIB_MAX);
	err = make_dir(q);
	if (!err)
		err = write_halt_rom(q);
	if (!err)
		err = make_ram(q, mib);
	if (!err)
		err = spawn(q, o, machine, mib);
	if (!err) {
		dir_path(q, "qmp", qmp_path);
		dir_path(q, "qtest", qtest_path);
		err = connect_both(q, qmp_path, qtest_path);
	}
	if (err)
		qemu_stop(q);
	return err;
}

int qemu_attach(struct qemu *q, const struct qemu_attach_opts *o)
{
	struct stat st;
	int err = VIO_OK;

	init(q, o->deadline_ms);
	q->pid = o->pid;
	if (o->ram_path) {
		q->ram_fd = open(o->ram_path, O_RDWR | O_CLOEXEC);
		if (q->ram_fd < 0 || fstat(q->ram_fd, &st))
			err = fail(q, VIO_ENODEV, "cannot open guest RAM %.100s: %s", o->ram_path,
				   strerror(errno));
		else if (!st.st_size || st.st_size > ((off_t)QEMU_RAM_MIB_MAX << 20))
			err = fail(q, VIO_EINVAL, "guest RAM %.100s has a size that cannot be used",
				   o->ram_path);
		else
			err = map_ram(q, (uint64_t)st.st_size);
	}
	if (!err)
		err = connect_both(q, o->qmp_path, o->qtest_path);
	if (err)
		qemu_stop(q);
	return err;
}

static void end_child(struct qemu *q)
{
	if (!child_alive(&q->child))
		return;
	q->qmp.timeout_ms = QUIT_MS;
	/* QEMU may hang up before it has answered: the result says nothing. */
	if (!q->qmp.dead && qmp_execute(&q->qmp, "quit", NULL, NULL) != VIO_ETIMEDOUT)
		child_wait(&q->child, QUIT_MS);
	child_end(&q->child, TERM_MS);
}

void qemu_stop(struct qemu *q)
{
	if (q->owned)
		end_child(q);
	q->owned = false;
	q->pid = 0;
	qtest_close(&q->qtest);
	qmp_close(&q->qmp);
	if (q->ram)
		munmap(q->ram, q->ram_len);
	q->ram = NULL;
	q->ram_len = 0;
	if (q->ram_fd > 0)
		close(q->ram_fd);
	q->ram_fd = -1;
	if (q->stderr_fd > 0)
		close(q->stderr_fd);
	q->stderr_fd = -1;
	if (q->dir[0])
		child_remove_dir(q->dir, dir_files);
	q->dir[0] = '\0';
}

int qemu_check(struct qemu *q)
{
	if (q->owned && !child_alive(&q->child)) {
		q->pid = 0;
		return fail_ended(q);
	}
	if (!q->qtest.dead)
		qtest_poll(&q->qtest);
	if (!q->qtest.dead)
		return VIO_OK;
	/* It hung up: if it is on its way out, wait for its reason. */
	if (q->owned && child_wait(&q->child, LAST_WORDS_MS))
		return fail_ended(q);
	return fail(q, VIO_ENODEV, "%s", q->qtest.err);
}

void qemu_kill_all(void)
{
	child_kill_all();
}

/* The address is sent ahead of the data access, both in one round trip. */
static void cfg_select(struct qemu *q, unsigned bdf, unsigned off)
{
	qtest_out_async(&q->qtest, PCI_ADDRESS, 4,
			0x80000000u | (bdf & 0xffff) << 8 | (off & 0xfc));
}

uint32_t qemu_cfg_read(struct qemu *q, unsigned bdf, unsigned off, unsigned width)
{
	if (off >= PCI_CFG_SIZE)
		return qtest_ones(width);
	cfg_select(q, bdf, off);
	return qtest_in(&q->qtest, (uint16_t)(PCI_DATA + (off & 3)), width);
}

void qemu_cfg_write(struct qemu *q, unsigned bdf, unsigned off, unsigned width, uint32_t val)
{
	if (off >= PCI_CFG_SIZE)
		return;
	cfg_select(q, bdf, off);
	qtest_out(&q->qtest, (uint16_t)(PCI_DATA + (off & 3)), width, val);
}
