/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All that is Linux about peers is here.
 *
 * A pid is a number that another process may have a moment later. So: the pidfd comes from the
 * socket (SO_PEERPIDFD, Linux 6.5; before that pidfd_open right after the connection, which is
 * nearly as good), /proc/PID/exe is opened, and then the pidfd is asked whether its process still
 * lives. If it does, it was its executable that was opened.
 *
 * Hashing an executable takes a tenth of a second, so hashes are kept for as long as the file has
 * the same device, inode, size and both times. A file that was changed just now may change again
 * within the same tick of its clock and is hashed each time.
 */
#include "host/netd/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

#define EXE_MAX	  (UINT64_C(1) << 30)
#define HASHES	  32u
#define SETTLED_S 2

struct hashed {
	uint64_t dev, ino, size;
	struct timespec mtime, ctime;
	uint8_t sha256[32];
};

/* Round and round: the oldest goes. size 0: empty. */
static struct hashed hashes[HASHES];
static unsigned next_hash;

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same_file(const struct hashed *h, const struct stat *st)
{
	return h->size == (uint64_t)st->st_size && h->ino == st->st_ino && h->dev == st->st_dev &&
	       same_time(h->mtime, st->st_mtim) && same_time(h->ctime, st->st_ctim);
}

static bool settled(const struct stat *st)
{
	struct timespec now;

	return clock_gettime(CLOCK_REALTIME, &now) == 0 &&
	       now.tv_sec - st->st_ctim.tv_sec > SETTLED_S;
}

/* False: errno. ESTALE: it changed meanwhile. */
static bool hash_file(int fd, const struct stat *st, uint8_t sha256[32])
{
	struct hashed h = {.dev = st->st_dev,
			   .ino = st->st_ino,
			   .size = (uint64_t)st->st_size,
			   .mtime = st->st_mtim,
			   .ctime = st->st_ctim};
	static uint8_t buf[65536];
	struct sha256_ctx sha;
	struct stat after;
	uint64_t at = 0;

	for (unsigned i = 0; i < HASHES; i++)
		if (hashes[i].size && same_file(&hashes[i], st)) {
			memcpy(sha256, hashes[i].sha256, 32);
			return true;
		}
	sha256_init(&sha);
	while (at < h.size) {
		ssize_t n = pread(fd, buf, sizeof(buf), (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		if (n == 0)
			break;
		sha256_update(&sha, (size_t)n, buf);
		at += (uint64_t)n;
	}
	sha256_digest(&sha, sizeof(h.sha256), h.sha256);
	if (fstat(fd, &after) != 0)
		return false;
	if (at != h.size || !same_file(&h, &after)) {
		errno = ESTALE;
		return false;
	}
	memcpy(sha256, h.sha256, 32);
	if (h.size && settled(&after))
		hashes[next_hash++ % HASHES] = h;
	return true;
}

/*
 * Opens a plain file, and nothing else: opening a device or a FIFO may do something already. -1:
 * errno.
 */
static int open_plain(const char *path, struct stat *st)
{
	int fd = -1, at = open(path, O_PATH | O_CLOEXEC), error;
	char link[64];

	if (at < 0)
		return -1;
	if (fstat(at, st) != 0) {
		error = errno;
	} else if (!S_ISREG(st->st_mode)) {
		error = S_ISDIR(st->st_mode) ? EISDIR : ENOEXEC;
	} else if ((uint64_t)st->st_size > EXE_MAX) {
		error = EFBIG;
	} else {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", at);
		fd = open(link, O_RDONLY | O_CLOEXEC);
		error = errno;
	}
	close(at);
	errno = error;
	return fd;
}

bool peer_record_exe(const char *path, struct netdef_allow *a)
{
	struct stat st;
	int fd = open_plain(path, &st), error;
	bool ok;

	if (fd < 0)
		return false;
	ok = hash_file(fd, &st, a->sha256);
	error = errno;
	close(fd);
	if (ok) {
		a->kind = NETDEF_ALLOW_EXE;
		a->dev = st.st_dev;
		a->ino = st.st_ino;
		free(a->path);
		a->path = strdup(path);
		ok = a->path;
		error = ENOMEM;
	}
	errno = error;
	return ok;
}

/* Whether the process that connected still lives; not known without a pidfd: false. */
static bool alive(const struct peer *p)
{
	struct pollfd poller = {.fd = p->pidfd, .events = POLLIN};

	return p->pidfd >= 0 && poll(&poller, 1, 0) == 0;
}

bool peer_of(int fd, struct peer *p)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	char link[64];
	ssize_t n;

	memset(p, 0, sizeof(*p));
	p->pidfd = -1;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		return false;
	/* Not a unix socket, or one that nobody is at: the kernel says "nobody" then. */
	if (len != sizeof(cred) || cred.uid == (uid_t)-1) {
		errno = ENOTCONN;
		return false;
	}
	p->uid = cred.uid;
	p->gid = cred.gid;
	p->pid = cred.pid;
	len = sizeof(p->groups);
	/* With more than we have room for, none counts: that can only refuse. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, p->groups, &len) == 0)
		p->ngroups = (unsigned)(len / sizeof(p->groups[0]));
	len = sizeof(p->pidfd);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &p->pidfd, &len) != 0) {
		p->pidfd = -1;
		if (errno == ENOPROTOOPT && p->pid > 0)
			p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	}
	if (p->pid > 0) {
		snprintf(link, sizeof(link), "/proc/%d/exe", (int)p->pid);
		n = readlink(link, p->exe, sizeof(p->exe) - 1);
		p->exe[n > 0 && alive(p) ? n : 0] = '\0';
	}
	return true;
}

void peer_close(struct peer *p)
{
	if (p->pidfd >= 0)
		close(p->pidfd);
	p->pidfd = -1;
}

static bool in_group(const struct peer *p, uint32_t gid)
{
	if (p->gid == gid)
		return true;
	for (unsigned i = 0; i < p->ngroups; i++)
		if (p->groups[i] == gid)
			return true;
	return false;
}

static bool is_exe(const struct peer *p, const struct netdef_allow *a)
{
	uint8_t sha256[32];
	char link[64];
	struct stat st;
	bool same;
	int fd;

	if (p->pid <= 0 || p->pidfd < 0)
		return false;
	snprintf(link, sizeof(link), "/proc/%d/exe", (int)p->pid);
	fd = open(link, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	/* The cheap comparisons first: strangers cost no hashing. */
	same = fstat(fd, &st) == 0 && a->dev == st.st_dev && a->ino == st.st_ino && alive(p) &&
	       (uint64_t)st.st_size <= EXE_MAX && hash_file(fd, &st, sha256) &&
	       !memcmp(sha256, a->sha256, sizeof(sha256));
	close(fd);
	return same;
}

static bool allowed(const struct peer *p, const struct netdef_allow *a)
{
	switch (a->kind) {
	case NETDEF_ALLOW_UID:
		return p->uid == a->id;
	case NETDEF_ALLOW_GID:
		return in_group(p, a->id);
	case NETDEF_ALLOW_EXE:
		return is_exe(p, a);
	}
	return false;
}

bool peer_may_manage(const struct peer *p)
{
	return p->uid == 0 || p->uid == geteuid();
}

static bool may_join(const struct peer *p, const struct netdef *d)
{
	if (!d->nallow)
		return peer_may_manage(p);
	for (unsigned i = 0; i < d->nallow; i++)
		if (allowed(p, &d->allow[i]))
			return true;
	return false;
}

bool peer_may_connect(const struct peer *p, const struct netdef *const *defs, unsigned n)
{
	if (peer_may_manage(p))
		return true;
	for (unsigned i = 0; i < n; i++)
		if (may_join(p, defs[i]))
			return true;
	return false;
}

bool peer_may_join(const struct peer *p, const struct netdef *d, char why[NETDEF_ERR_MAX])
{
	char exe[NETDEF_QUOTE_MAX] = "an unknown program";

	if (may_join(p, d))
		return true;
	if (*p->exe)
		netdef_quote(p->exe, exe);
	if (d->nallow)
		snprintf(why, NETDEF_ERR_MAX,
			 "network %s: user %u with %s is not among those it allows", d->name,
			 (unsigned)p->uid, exe);
	else
		snprintf(why, NETDEF_ERR_MAX,
			 "network %s: user %u may not join; it has no allow, so only user %u may",
			 d->name, (unsigned)p->uid, (unsigned)geteuid());
	return false;
}
