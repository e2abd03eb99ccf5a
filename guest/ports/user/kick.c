/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * When a driver sets DRIVER_OK, QEMU opens one eventfd for each virtqueue that exists and has the
 * queue's notify register write to it; its main loop then serves the queue. A write to that eventfd
 * from here is a kick for the price of one system call, where qtest takes a round trip.
 *
 * The eventfds are found by comparing what the process has open before and after: by the kernel's
 * own number of each eventfd (fdinfo), since descriptor numbers are used again. They are opened one
 * after the other, in order of queues and so of descriptor numbers. If there are not exactly as
 * many new ones as the device has queues, none is taken.
 *
 * Needs the right to trace QEMU, which root and mostly also a parent have.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "guest/ports/user/kick.h"

static bool is_eventfd(pid_t pid, int fd)
{
	char path[64], target[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n <= 0)
		return false;
	target[n] = '\0';
	return !strcmp(target, "anon_inode:[eventfd]");
}

static bool eventfd_id(pid_t pid, int fd, uint64_t *id)
{
	char path[64], line[128];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, fd);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f))
		found = sscanf(line, "eventfd-id: %" SCNu64, id) == 1;
	fclose(f);
	return found;
}

bool kick_snapshot(struct kick_snapshot *s, pid_t pid)
{
	char path[64];
	struct dirent *e;
	bool ok = true;
	DIR *dir;

	s->n = 0;
	if (pid <= 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while (ok && (e = readdir(dir))) {
		int fd = atoi(e->d_name);

		if (!isdigit((unsigned char)e->d_name[0]) || !is_eventfd(pid, fd))
			continue;
		ok = s->n < KICK_MAX_FDS && eventfd_id(pid, fd, &s->id[s->n]);
		s->fd[s->n] = fd;
		s->n += ok;
	}
	closedir(dir);
	return ok;
}

static bool has_id(const struct kick_snapshot *s, uint64_t id)
{
	for (unsigned i = 0; i < s->n; i++) {
		if (s->id[i] == id)
			return true;
	}
	return false;
}

static int by_number(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The descriptors opened since, ascending; at most max of them are stored. */
static unsigned new_fds(const struct kick_snapshot *before, const struct kick_snapshot *after,
			int *fds, unsigned max)
{
	unsigned n = 0;

	for (unsigned i = 0; i < after->n; i++) {
		if (has_id(before, after->id[i]))
			continue;
		if (n < max)
			fds[n] = after->fd[i];
		n++;
	}
	qsort(fds, n < max ? n : max, sizeof(*fds), by_number);
	return n;
}

unsigned kick_arm(struct kick *k, pid_t pid, const struct kick_snapshot *before,
		  const struct kick_reg *regs, unsigned n)
{
	struct kick_snapshot *after;
	int fds[KICK_MAX_QUEUES];
	int pidfd = -1;

	kick_drop(k);
	if (!n || n > KICK_MAX_QUEUES)
		return 0;
	after = malloc(sizeof(*after));
	if (after && kick_snapshot(after, pid) && new_fds(before, after, fds, n) == n)
		pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	free(after);
	if (pidfd < 0)
		return 0;
	for (unsigned i = 0; i < n; i++) {
		int fd = (int)syscall(SYS_pidfd_getfd, pidfd, fds[i], 0);

		if (fd < 0) {
			kick_drop(k);
			break;
		}
		k->fd[i] = fd;
		k->reg[i] = regs[i];
		k->n = i + 1;
	}
	close(pidfd);
	return k->n;
}

void kick_drop(struct kick *k)
{
	while (k->n)
		close(k->fd[--k->n]);
}

bool kick_write(const struct kick *k, unsigned bar, uint64_t off, uint32_t val)
{
	const uint64_t one = 1;

	for (unsigned i = 0; i < k->n; i++) {
		const struct kick_reg *r = &k->reg[i];

		if (r->bar != bar || r->off != off || (r->match && r->value != (uint16_t)val))
			continue;
		return write(k->fd[i], &one, sizeof(one)) == (ssize_t)sizeof(one);
	}
	return false;
}
