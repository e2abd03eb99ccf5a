/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vmnet doctor: what this host can do, what it cannot, and what to do about that.
 *
 * Each check says one line. `fail` is what makes vmnet unusable, and then the status is 1; `warn`
 * is what some will miss. Nothing is changed and no daemon is started.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/cli/cli.h"
#include "host/cli/vmm.h"
#include "host/nat/slirp.h"
#include "host/netd/config.h"
#include "host/netd/paths.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

#define FILES_MIN 1024u

enum level { OK, WARN, FAIL };

struct doctor {
	json_t *checks;
	bool failed;
};

static const char *const level_names[] = {"ok", "warn", "fail"};

__attribute__((format(printf, 4, 5))) static void found(struct doctor *d, enum level level,
							const char *what, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	d->failed |= level == FAIL;
	json_array_append_new(d->checks, json_pack("{s:s, s:s, s:s}", "level", level_names[level],
						   "check", what, "text", text));
}

/* The first line of a small file, "" if it cannot be read. */
static const char *line_of(const char *path, char *out, size_t size)
{
	FILE *f = fopen(path, "re");

	if (!f || !fgets(out, (int)size, f))
		*out = 0;
	if (f)
		fclose(f);
	out[strcspn(out, "\n")] = 0;
	return out;
}

/* ---- our own places ---- */

/* Whether a folder could be made at path: its nearest parent that is there can be written to. */
static bool could_make(const char *path)
{
	char parent[PATHS_MAX];
	char *slash;

	snprintf(parent, sizeof(parent), "%s", path);
	while ((slash = strrchr(parent, '/')) && slash > parent) {
		*slash = 0;
		if (access(parent, F_OK) == 0)
			return access(parent, W_OK | X_OK) == 0;
	}
	return access("/", W_OK) == 0;
}

static void folder(struct doctor *d, const char *what, bool known, const char *path,
		   const char *err)
{
	struct stat st;

	if (!known) {
		found(d, FAIL, what, "%s", err);
	} else if (lstat(path, &st) != 0) {
		if (could_make(path))
			found(d, OK, what, "%s (will be made)", path);
		else
			found(d, FAIL, what, "%s cannot be made: %s", path,
			      errno == ENOENT ? "no permission above it" : strerror(errno));
	} else if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid()) {
		found(d, FAIL, what, "%s is %s: move it away", path,
		      S_ISDIR(st.st_mode) ? "somebody else's" : "no folder");
	} else if (st.st_mode & 022) {
		found(d, FAIL, what, "%s may be written to by others: chmod 0700 %s", path, path);
	} else if (access(path, W_OK | X_OK) != 0) {
		found(d, FAIL, what, "%s: %s", path, strerror(errno));
	} else {
		found(d, OK, what, "%s", path);
	}
}

static void check_places(struct doctor *d)
{
	char path[PATHS_MAX], err[PATHS_ERR_MAX] = "", line[NETDEF_ERR_MAX];
	struct config c = {0};
	bool user, known;

	known = paths_runtime_dir(path, err);
	folder(d, "runtime folder", known, path, err);
	known = paths_state_dir(path, err);
	folder(d, "state folder", known, path, err);
	if (!config_load(&c, NULL, line, &user)) {
		found(d, FAIL, "networks.yaml", "%s", line);
		return;
	}
	if (c.path[0])
		found(d, OK, "networks.yaml", "%s, %u networks", c.path, c.n);
	else
		found(d, OK, "networks.yaml", "none: the built-in networks shared and host");
	config_free(&c);
}

static void check_daemon(struct doctor *d)
{
	struct vmnet_options options = {.no_start = true, .version = VMNET_VERSION};
	struct vmnet_error err;
	struct vmnet_client *c = vmnet_open(&options, &err);

	if (c && !strcmp(vmnet_daemon_version(c), VMNET_VERSION))
		found(d, OK, "daemon", "running, pid %ld", (long)vmnet_daemon_pid(c));
	else if (c)
		found(d, WARN, "daemon", "pid %ld is version %s, this is %s: vmnet daemon --stop",
		      (long)vmnet_daemon_pid(c), vmnet_daemon_version(c), VMNET_VERSION);
	else if (!strncmp(err.text, "no daemon is running", 20))
		found(d, OK, "daemon", "not running; started when it is needed");
	else
		found(d, FAIL, "daemon", "%s", err.text);
	vmnet_close(c);
}

static void check_units(struct doctor *d)
{
	static const char *const folders[] = {"/etc/systemd/user", "/usr/local/lib/systemd/user",
					      "/usr/lib/systemd/user", "/lib/systemd/user"};
	char path[128];

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(path, sizeof(path), "%s/vmnet.socket", folders[i]);
		if (access(path, F_OK) != 0)
			continue;
		found(d, OK, "systemd", "%s: systemctl --user enable --now vmnet.socket", path);
		return;
	}
	found(d, OK, "systemd", "no units installed, and none needed");
}

static void check_limits(struct doctor *d)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_max < FILES_MIN)
		found(d, WARN, "descriptors", "%llu at most: a member takes two (ulimit -Hn)",
		      (unsigned long long)rl.rlim_max);
}

/* ---- the kernel ---- */

static void check_device(struct doctor *d, const char *path, enum level missing, const char *absent,
			 const char *denied)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd >= 0) {
		close(fd);
		found(d, OK, path, "can be used");
	} else if (errno == EACCES || errno == EPERM) {
		found(d, missing, path, "%s", denied);
	} else {
		found(d, missing, path, "%s", absent);
	}
}

/* Try it: whether it works depends on four settings and a security module. */
static void check_namespaces(struct doctor *d)
{
	char text[32];
	int status = 1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWIPC) != 0);
	if (pid > 0)
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		found(d, OK, "user namespaces", "the NAT worker gets its jail");
	else if (!strcmp(line_of("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", text,
				 sizeof(text)),
			 "1"))
		found(d, WARN, "user namespaces",
		      "refused by AppArmor; the NAT worker has its system call filter only: "
		      "sysctl kernel.apparmor_restrict_unprivileged_userns=0");
	else
		found(d, WARN, "user namespaces",
		      "refused; the NAT worker has its system call filter only: "
		      "sysctl user.max_user_namespaces=15000 (and, where it is there, "
		      "kernel.unprivileged_userns_clone=1)");
}

static void check_seccomp(struct doctor *d)
{
	if (access("/proc/sys/kernel/seccomp/actions_avail", F_OK) == 0)
		found(d, OK, "seccomp", "there");
	else
		found(d, WARN, "seccomp", "this kernel has none: NAT runs without its filter");
}

static void check_pidfd(struct doctor *d)
{
	int ends[2], fd = -1;
	socklen_t len = sizeof(fd);

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		return;
	if (getsockopt(ends[0], SOL_SOCKET, SO_PEERPIDFD, &fd, &len) == 0) {
		found(d, OK, "peer identity", "by pidfd");
		close(fd);
	} else {
		found(d, WARN, "peer identity",
		      "this kernel has no SO_PEERPIDFD (6.5 has): exe: rules go by process number");
	}
	close(ends[0]);
	close(ends[1]);
}

static void check_ipv6(struct doctor *d)
{
	char line[256];
	bool route = false;
	FILE *f = fopen("/proc/net/ipv6_route", "re");

	if (!*line_of("/proc/net/if_inet6", line, sizeof(line))) {
		if (f)
			fclose(f);
		found(d, WARN, "IPv6",
		      "off on this host: VMs reach each other by it, not the "
		      "outside");
		return;
	}
	while (f && fgets(line, sizeof(line), f))
		route |= !strncmp(line, "00000000000000000000000000000000 00 ", 36) &&
			 !strstr(line, " lo");
	if (f)
		fclose(f);
	if (route)
		found(d, OK, "IPv6", "on, with a way outside");
	else
		found(d, WARN, "IPv6", "on, but with no route outside: nat66 leads nowhere");
}

static void check_ping(struct doctor *d)
{
	unsigned long first = 1, last = 0;
	char text[64];

	line_of("/proc/sys/net/ipv4/ping_group_range", text, sizeof(text));
	if (sscanf(text, "%lu %lu", &first, &last) == 2 && getegid() >= first && getegid() <= last)
		found(d, OK, "ping", "VMs can ping the outside");
	else
		found(d, WARN, "ping",
		      "VMs cannot ping the outside (all else works): "
		      "sysctl net.ipv4.ping_group_range='0 2147483647'");
}

static void check_ports(struct doctor *d)
{
	unsigned first = 1024;
	char text[32];

	if (sscanf(line_of("/proc/sys/net/ipv4/ip_unprivileged_port_start", text, sizeof(text)),
		   "%u", &first) != 1)
		first = 1024;
	if (geteuid() == 0 || first <= 1)
		found(d, OK, "ports", "any port can be forwarded");
	else
		found(d, first > 1024 ? WARN : OK, "ports",
		      "ports from %u on can be forwarded; for lower ones: "
		      "sysctl net.ipv4.ip_unprivileged_port_start=80",
		      first);
}

static void check_resolver(struct doctor *d)
{
	char line[256], word[64], address[64], first[64] = "";
	unsigned n = 0;
	FILE *f = fopen("/etc/resolv.conf", "re");

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63s %63s", word, address) != 2 || strcmp(word, "nameserver"))
			continue;
		if (!n++)
			snprintf(first, sizeof(first), "%s", address);
	}
	if (f)
		fclose(f);
	if (n)
		found(d, OK, "DNS", "/etc/resolv.conf has %u server%s, %s first", n,
		      n == 1 ? "" : "s", first);
	else
		found(d, WARN, "DNS",
		      "/etc/resolv.conf names no server: give a network its own "
		      "(dns:)");
}

/* ---- VMMs and libraries ---- */

static void check_qemu(struct doctor *d)
{
	struct utsname u = {.machine = "x86_64"};
	const char *arch;
	char name[80];
	unsigned version;
	char *path;

	uname(&u);
	arch = !strcmp(u.machine, "i686") ? "i386" : u.machine;
	snprintf(name, sizeof(name), "qemu-system-%s", arch);
	path = vmm_find(name);
	if (!path) {
		found(d, WARN, "QEMU", "%s is not in PATH", name);
		return;
	}
	version = vmm_qemu_version(path);
	if (!version)
		found(d, WARN, "QEMU", "%s does not tell its version", path);
	else
		found(d, OK, "QEMU", "%s %u.%u.%u: -netdev %s", path, version / 10000,
		      version / 100 % 100, version % 100,
		      version >= 70200 ? "stream, dgram" : "socket (stream and dgram from 7.2 on)");
	free(path);
}

static void check_slirp(struct doctor *d)
{
	const char *version = slirp_nat_version();
	unsigned a = 0, b = 0, c = 0;

	if (sscanf(version, "%3u.%3u.%3u", &a, &b, &c) < 2)
		found(d, WARN, "libslirp", "version %s", version);
	else if (a * 10000 + b * 100 + c < 40902)
		found(d, WARN, "libslirp",
		      "%s; 4.9.2 mended faults in it. The worker keeps urgent data, BOOTP and TFTP "
		      "from it, and is jailed",
		      version);
	else
		found(d, OK, "libslirp", "%s", version);
}

static int print(const struct cli *cli, struct doctor *d)
{
	static const char *const colours[] = {"\033[32m", "\033[33m", "\033[31m"};
	bool colour = isatty(1) && !getenv("NO_COLOR");
	const json_t *check;
	const char *level;
	size_t i, k;

	json_array_foreach(d->checks, i, check)
	{
		level = cli_text(check, "level");
		for (k = 0; k < 2 && strcmp(level, level_names[k]); k++)
			;
		printf("%s%-4s%s  %-16s  %s\n", colour ? colours[k] : "", level,
		       colour ? "\033[0m" : "", cli_text(check, "check"), cli_text(check, "text"));
	}
	return cli_printed(cli);
}

static int doctor(struct cli *cli)
{
	static const char *const none[] = {NULL};
	struct cli_args args = {.names = none};
	struct doctor d = {0};
	int status;

	if (!cli_parse(cli, &args))
		return VMNET_USER;
	d.checks = json_array();
	if (!d.checks)
		return cli_system(cli, "out of memory");
	check_places(&d);
	check_daemon(&d);
	check_units(&d);
	check_limits(&d);
	check_qemu(&d);
	check_device(&d, "/dev/kvm", WARN,
		     "not there: VMs run, but slowly (load kvm_intel or kvm_amd)",
		     "no permission: VMs run, but slowly (add yourself to group kvm)");
	check_device(&d, "/dev/net/tun", OK, "not there, and not needed",
		     "not yours, and not needed");
	check_slirp(&d);
	check_namespaces(&d);
	check_seccomp(&d);
	check_pidfd(&d);
	check_ipv6(&d);
	check_ping(&d);
	check_ports(&d);
	check_resolver(&d);
	if (cli->json)
		status = cli_print_json(
			cli, json_pack("{s:b, s:O}", "usable", !d.failed, "checks", d.checks));
	else
		status = print(cli, &d);
	json_decref(d.checks);
	return status ? status : d.failed ? VMNET_SYSTEM : 0;
}

const struct cli_command cmd_doctor = {
	.name = "doctor",
	.shapes = "doctor [--json]",
	.summary = "what this host can do, and what to do about the rest",
	.run = doctor,
};
