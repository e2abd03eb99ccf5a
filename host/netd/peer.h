/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who is at the other end of a unix socket, and may it (G-11).
 *
 * Asked of the kernel before the first byte is read: uid, gid, supplementary groups, pid, and,
 * where the kernel has SO_PEERPIDFD, a pidfd, so that the executable that is looked at is that of
 * the process that connected and not of a later one with its number. An executable is the same if
 * device, inode and SHA-256 are those that were recorded. Any one entry of a network's allow list
 * is enough; with a list, it is the whole list: root and the daemon's own user need an entry, too.
 */
#ifndef NETD_PEER_H
#define NETD_PEER_H

#include "host/netd/netdef.h"

#define PEER_GROUPS_MAX 64u

struct peer {
	uid_t uid;
	gid_t gid;
	pid_t pid;
	int pidfd; /* -1: the kernel has none */
	gid_t groups[PEER_GROUPS_MAX];
	unsigned ngroups;
	char exe[4096]; /* where it was when asked; "" : unknown */
};

/* False: errno. The peer's pidfd is closed by peer_close. */
bool peer_of(int fd, struct peer *p);
void peer_close(struct peer *p);
/* root and the daemon's own user may always speak to the daemon; others if some network allows. */
bool peer_may_connect(const struct peer *p, const struct netdef *const *defs, unsigned n);
/* Join this network. False: why is one line for the peer and the log. */
bool peer_may_join(const struct peer *p, const struct netdef *d, char why[NETDEF_ERR_MAX]);
/* Create, delete, forward, link, limit, capture: the daemon's user and root. */
bool peer_may_manage(const struct peer *p);
/* Record an executable: path, dev, ino, sha256 into a. False: errno. */
bool peer_record_exe(const char *path, struct netdef_allow *a);

#endif
