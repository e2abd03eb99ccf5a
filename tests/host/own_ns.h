/* SPDX-License-Identifier: BSD-2-Clause */
/* Namespaces of a test's own; who is not root gets them in a user namespace. */
#ifndef TESTS_HOST_OWN_NS_H
#define TESTS_HOST_OWN_NS_H

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static inline bool own_ns_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

/* A user namespace whose root we are, and that knows nobody else; and those of `flags` in it. */
static inline bool own_ns_alone(int flags)
{
	unsigned uid = geteuid(), gid = getegid();
	char users[32], groups[32];

	snprintf(users, sizeof(users), "0 %u 1", uid);
	snprintf(groups, sizeof(groups), "0 %u 1", gid);
	return !unshare(CLONE_NEWUSER | flags) && own_ns_write("/proc/self/setgroups", "deny") &&
	       own_ns_write("/proc/self/uid_map", users) &&
	       own_ns_write("/proc/self/gid_map", groups);
}

/* flags: of unshare. False: errno. */
static inline bool own_ns(int flags)
{
	return geteuid() ? own_ns_alone(flags) : !unshare(flags);
}

#endif
