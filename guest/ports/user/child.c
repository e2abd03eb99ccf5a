/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * Three nets keep a child from outliving its parent: the owner ends it (child_end); handlers and
 * atexit may call child_kill_all; and the kernel sends SIGKILL when the parent dies (PDEATHSIG),
 * with a look at getppid for a parent that died before the request was made.
 *
 * The register holds one slot per living child. A slot is reserved and its directory filled in
 * before the fork, published with the pid after it, and cleared after the child has ended but
 * before it is reaped: so a pid found in a slot is always still ours to kill, never one the system
 * has given to another process since.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/close_range.h>
#include "guest/ports/user/child.h"
#include "guest/ports/user/wait.h"

#define POLL_US 1000u

enum { SLOT_FREE = 0, SLOT_RESERVED = -1 }; /* anything else is a pid */

static struct {
	atomic_int pid;
	char dir[CHILD_DIR_MAX];
	const char *const *files;
} slots[CHILD_MAX];

static int slot_reserve(const struct child_spec *spec)
{
	for (unsigned i = 0; i < CHILD_MAX; i++) {
		int expected = SLOT_FREE;

		if (!atomic_compare_exchange_strong(&slots[i].pid, &expected, SLOT_RESERVED))
			continue;
		snprintf(slots[i].dir, sizeof(slots[i].dir), "%s", spec->dir ? spec->dir : "");
		slots[i].files = spec->files;
		return (int)i;
	}
	return -1;
}

static void slot_release(struct child *c)
{
	if (c->slot >= 0)
		atomic_store(&slots[c->slot].pid, SLOT_FREE);
	c->slot = -1;
}

bool child_lookup(const char *name, char *path, size_t size)
{
	const char *dirs = getenv("PATH");

	if (strchr(name, '/')) {
		if (snprintf(path, size, "%s", name) >= (int)size)
			return false;
		return !access(path, X_OK);
	}
	while (dirs && *dirs) {
		size_t len = strcspn(dirs, ":");
		int n = snprintf(path, size, "%.*s/%s", (int)len, dirs, name);

		if (n > 0 && (size_t)n < size && len && !access(path, X_OK))
			return true;
		dirs += len + (dirs[len] == ':');
	}
	return false;
}

/* Between fork and exec: async-signal-safe calls only. */
static void run(const struct child_spec *spec, pid_t parent, int report)
{
	sigset_t none;
	int null, err;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0)
		dup2(null, STDIN_FILENO);
	dup2(spec->out_fd, STDOUT_FILENO);
	dup2(spec->out_fd, STDERR_FILENO);
	close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
	for (unsigned i = 0; i < spec->n_fds; i++) {
		if (spec->fds[i] > STDERR_FILENO)
			fcntl(spec->fds[i], F_SETFD, 0);
	}
	execv(spec->path, spec->argv);
	err = errno;
	if (write(report, &err, sizeof(err)) != sizeof(err))
		_exit(126);
	_exit(127);
}

int child_spawn(struct child *c, const struct child_spec *spec, int *sys_errno)
{
	pid_t parent = getpid();
	int report[2];
	ssize_t n;

	*c = (struct child){.slot = -1};
	*sys_errno = 0;
	if (spec->dir && strlen(spec->dir) >= CHILD_DIR_MAX)
		return VIO_EINVAL;
	if (pipe2(report, O_CLOEXEC))
		return VIO_ENOMEM;
	c->slot = slot_reserve(spec);
	c->pid = c->slot < 0 ? -1 : fork();
	if (c->pid < 0) {
		close(report[0]);
		close(report[1]);
		slot_release(c);
		c->pid = 0;
		return VIO_ENOMEM;
	}
	if (!c->pid)
		run(spec, parent, report[1]);
	atomic_store(&slots[c->slot].pid, c->pid);
	close(report[1]);
	/* Ends at the exec, which closes the pipe. */
	do
		n = read(report[0], sys_errno, sizeof(*sys_errno));
	while (n < 0 && errno == EINTR);
	close(report[0]);
	if (n != sizeof(*sys_errno)) {
		*sys_errno = 0;
		return VIO_OK;
	}
	child_end(c, 0);
	return VIO_ENODEV;
}

bool child_alive(struct child *c)
{
	siginfo_t si = {0};
	pid_t pid;

	if (!c->pid)
		return false;
	if (!waitid(P_PID, (id_t)c->pid, &si, WEXITED | WNOHANG | WNOWAIT) && !si.si_pid)
		return true;
	slot_release(c);
	pid = waitpid(c->pid, &c->status, WNOHANG);
	if (pid != c->pid)
		c->status = 0; /* somebody else reaped it */
	c->pid = 0;
	c->exited = true;
	return false;
}

bool child_wait(struct child *c, unsigned ms)
{
	uint64_t deadline = wait_deadline_ms(ms);

	while (child_alive(c)) {
		if (wait_over(deadline))
			return false;
		wait_sleep(POLL_US, deadline);
	}
	return true;
}

void child_end(struct child *c, unsigned ms)
{
	if (!child_alive(c))
		return;
	if (ms) {
		kill(c->pid, SIGTERM);
		if (child_wait(c, ms))
			return;
	}
	kill(c->pid, SIGKILL);
	/* Nothing survives this, but a process in the middle of a disk wait may take its time. */
	child_wait(c, 10000);
}

void child_remove_dir(const char *dir, const char *const *files)
{
	int fd = open(dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		for (; files && *files; files++)
			unlinkat(fd, *files, 0);
		close(fd);
	}
	rmdir(dir);
}

void child_kill_all(void)
{
	int saved = errno;

	for (unsigned i = 0; i < CHILD_MAX; i++) {
		int pid = atomic_load(&slots[i].pid);

		if (pid <= 0)
			continue;
		kill(pid, SIGKILL);
		if (slots[i].dir[0])
			child_remove_dir(slots[i].dir, slots[i].files);
	}
	errno = saved;
}
