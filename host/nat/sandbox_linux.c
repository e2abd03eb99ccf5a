/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Power is given up in stages, each of which still needs some of what the next one takes:
 *
 *   descriptors   all but the daemon's are closed; the process dies with the daemon
 *   limits        no core file, no processes, bounded memory
 *   namespaces    mounts, IPC and host name of its own, in a user namespace of its own unless it is
 *                 root; not the network's, which is what it is for. No PID namespace: every call
 *                 that takes a process is refused by the filter
 *   files         the root is an empty, read-only tmpfs
 *   user          root becomes nobody, and keeps the right to open low ports if it had it; the root
 *                 of a user namespace without a nobody stays, which is somebody outside of it
 *   rights        no capabilities, none to be got by exec; not dumpable, so not to be traced
 *   calls         those of sandbox_calls.h; all others fail with EPERM
 *
 * Namespaces may not be allowed, as in a container: then the worker goes on without and says so.
 * Everything else must work.
 */
#include "host/nat/sandbox.h"

#include "host/netd/uplink_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOBODY	   65534u
#define MEMORY_MAX (3ull << 30)

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

/* ---- descriptors and limits ---- */

void sandbox_first(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close_range(NAT_FD_COUNT, ~0u, 0);
}

static bool limit(int what, rlim_t most)
{
	struct rlimit r;

	if (getrlimit((__rlimit_resource_t)what, &r) < 0)
		return false;
	if (r.rlim_max > most)
		r.rlim_max = most;
	if (r.rlim_cur > r.rlim_max)
		r.rlim_cur = r.rlim_max;
	return !setrlimit((__rlimit_resource_t)what, &r);
}

static bool limits(void)
{
#ifndef SANITIZED /* their shadow memory is larger than any limit */
	if (!limit(RLIMIT_AS, MEMORY_MAX))
		return false;
#endif
	return limit(RLIMIT_CORE, 0) && limit(RLIMIT_NPROC, 0) && limit(RLIMIT_MEMLOCK, 0) &&
	       limit(RLIMIT_MSGQUEUE, 0);
}

/* ---- namespaces and files ---- */

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok;

	if (fd < 0)
		return false;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok;
}

static bool has_cap(unsigned cap)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {{0}};

	if (syscall(SYS_capget, &head, data) < 0)
		return false;
	return data[cap / 32].permitted & 1u << cap % 32;
}

/* A user may have the right to open low ports; in a user namespace it would be worth nothing. */
static bool namespaces(void)
{
	int what = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS;
	unsigned uid = geteuid(), gid = getegid();
	char map[64];

	if (has_cap(CAP_SYS_ADMIN) || has_cap(CAP_NET_BIND_SERVICE))
		return !unshare(what);
	if (unshare(CLONE_NEWUSER | what) < 0)
		return false;
	if (!write_file("/proc/self/setgroups", "deny"))
		return false;
	snprintf(map, sizeof(map), "%u %u 1", uid, uid);
	if (!write_file("/proc/self/uid_map", map))
		return false;
	snprintf(map, sizeof(map), "%u %u 1", gid, gid);
	return write_file("/proc/self/gid_map", map);
}

static bool empty_root(void)
{
	const char *place = "/tmp";
	unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", place, "tmpfs", flags, "size=4k,nr_inodes=2,mode=0555") < 0 ||
	    chdir(place) < 0)
		return false;
	if (syscall(SYS_pivot_root, ".", ".") < 0) {
		/* The root of an initial RAM disk cannot be moved away. */
		if (mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
			return false;
	} else if (umount2(".", MNT_DETACH) < 0) {
		return false;
	}
	return !chdir("/") &&
	       !mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY | MS_BIND | flags, NULL);
}

/* ---- user and rights ---- */

static bool set_caps(bool low_ports)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {{0}};

	if (low_ports) {
		data[0].permitted = 1u << CAP_NET_BIND_SERVICE;
		data[0].effective = data[0].permitted;
	}
	return !syscall(SYS_capset, &head, data);
}

/*
 * Root becomes nobody. The root of a user namespace that has no nobody is somebody ordinary outside
 * of it, and stays.
 */
static bool become_nobody(bool low_ports)
{
	if (low_ports && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return false;
	if (has_cap(CAP_SETGID)) {
		if (setresgid(NOBODY, NOBODY, NOBODY) < 0)
			return errno == EINVAL;
		if (setgroups(0, NULL) < 0)
			return false;
	}
	return !setresuid(NOBODY, NOBODY, NOBODY);
}

static bool drop_rights(void)
{
	bool low_ports =
		has_cap(CAP_NET_BIND_SERVICE) && (geteuid() == 0 || !has_cap(CAP_SYS_ADMIN));

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return false;
	for (unsigned cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (has_cap(CAP_SETPCAP) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return false;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	/* Mapped to itself in a user namespace, one's own user stays; only real root changes. */
	if (geteuid() == 0 && has_cap(CAP_SETUID) && !become_nobody(low_ports))
		return false;
	if (!set_caps(low_ports))
		return false;
	/* Both were undone by the change of user. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return !prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* ---- calls ---- */

/* As SCMP_A0_32() and its like, all of whose fields are named. */
static struct scmp_arg_cmp arg_is(unsigned arg, uint32_t value)
{
	return (struct scmp_arg_cmp){.arg = arg, .op = SCMP_CMP_EQ, .datum_a = value};
}

static struct scmp_arg_cmp arg_masked(unsigned arg, uint32_t mask, uint32_t value)
{
	return (struct scmp_arg_cmp){
		.arg = arg,
		.op = SCMP_CMP_MASKED_EQ,
		.datum_a = mask,
		.datum_b = value,
	};
}

static bool allow(scmp_filter_ctx f, int call, unsigned n, const struct scmp_arg_cmp *args)
{
	int rc = seccomp_rule_add_array(f, SCMP_ACT_ALLOW, call, n, args);

	/* One that this architecture has not. */
	return !rc || rc == -EDOM || (call < 0 && rc == -EINVAL);
}

static bool allow_socket(scmp_filter_ctx f)
{
	static const struct {
		int domain, type, protocol;
	} kinds[] = {
		{AF_INET, SOCK_STREAM, 0},	     {AF_INET, SOCK_DGRAM, 0},
		{AF_INET6, SOCK_STREAM, 0},	     {AF_INET6, SOCK_DGRAM, 0},
		{AF_INET, SOCK_DGRAM, IPPROTO_ICMP},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct scmp_arg_cmp args[] = {
			arg_is(0, (unsigned)kinds[i].domain),
			arg_masked(1, ~(unsigned)(SOCK_CLOEXEC | SOCK_NONBLOCK),
				   (unsigned)kinds[i].type),
			arg_is(2, (unsigned)kinds[i].protocol),
		};

		if (!allow(f, SCMP_SYS(socket), 3, args))
			return false;
	}
	return true;
}

static bool allow_setsockopt(scmp_filter_ctx f)
{
	static const int options[][2] = {
		{SOL_SOCKET, SO_SNDBUF},
		{SOL_SOCKET, SO_REUSEADDR},
		{SOL_SOCKET, SO_OOBINLINE},
		{IPPROTO_TCP, TCP_NODELAY},
		{IPPROTO_IP, IP_TTL},
		{IPPROTO_IP, IP_RECVERR},
		{IPPROTO_IPV6, IPV6_V6ONLY},
		{IPPROTO_IPV6, IPV6_RECVERR},
		{IPPROTO_IPV6, IPV6_UNICAST_HOPS},
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		const struct scmp_arg_cmp args[] = {
			arg_is(1, (unsigned)options[i][0]),
			arg_is(2, (unsigned)options[i][1]),
		};

		if (!allow(f, SCMP_SYS(setsockopt), 2, args))
			return false;
	}
	return true;
}

static bool allow_fcntl(scmp_filter_ctx f)
{
	static const unsigned commands[] = {F_GETFD, F_SETFD, F_GETFL, F_SETFL};

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct scmp_arg_cmp args[] = {arg_is(1, commands[i])};

		if (!allow(f, SCMP_SYS(fcntl), 1, args))
			return false;
	}
	return true;
}

static bool allow_ioctl(scmp_filter_ctx f)
{
	const struct scmp_arg_cmp args[] = {arg_is(1, FIONREAD)};

	return allow(f, SCMP_SYS(ioctl), 1, args);
}

static bool allow_mmap(scmp_filter_ctx f)
{
	const struct scmp_arg_cmp args[] = {
		arg_masked(2, PROT_EXEC, 0),
		arg_masked(3, MAP_ANONYMOUS, MAP_ANONYMOUS),
	};

	return allow(f, SCMP_SYS(mmap), 2, args);
}

static bool allow_mprotect(scmp_filter_ctx f)
{
	const struct scmp_arg_cmp args[] = {arg_masked(2, PROT_EXEC, 0)};

	return allow(f, SCMP_SYS(mprotect), 1, args);
}

static bool calls(void)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	bool ok = f != NULL;

#define CALL(name, why)	   ok = ok && allow(f, SCMP_SYS(name), 0, NULL);
#define CALL_IF(name, why) ok = ok && allow_##name(f);
#include "host/nat/sandbox_calls.h"
#undef CALL
#undef CALL_IF
	ok = ok && !seccomp_load(f);
	seccomp_release(f);
	return ok;
}

bool sandbox_enter(const char **warning, char *err, size_t err_len)
{
	const char *stage = NULL;

	*warning = NULL;
	if (!namespaces())
		*warning = "no namespaces for the NAT worker on this system: it can see files, "
			   "though not open them";
	else if (!empty_root())
		*warning = "no file system of its own for the NAT worker on this system: it can "
			   "see files, though not open them";
	if (chdir("/") < 0)
		stage = "working directory";
	else if (!limits())
		stage = "limits";
	else if (!drop_rights())
		stage = "rights";
	else if (!calls())
		stage = "system calls";
	if (stage)
		snprintf(err, err_len, "cannot confine the worker: %s: %s", stage, strerror(errno));
	return !stage;
}
