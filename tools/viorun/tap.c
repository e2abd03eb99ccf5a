/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "tools/viorun/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static bool tap_fail(char *err, size_t err_len, const char *what)
{
	(void)snprintf(err, err_len, "%s: %s", what, strerror(errno));
	return false;
}

static void tap_name(struct ifreq *req, const char *name)
{
	memset(req, 0, sizeof(*req));
	(void)snprintf(req->ifr_name, sizeof(req->ifr_name), "%s", name);
}

static bool tap_set_addr(int sock, unsigned long what, const uint8_t addr[4])
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	struct ifreq req;

	memcpy(&sin.sin_addr, addr, 4);
	tap_name(&req, TAP_NAME);
	memcpy(&req.ifr_addr, &sin, sizeof(sin));
	return ioctl(sock, what, &req) == 0;
}

static bool tap_set_up(int sock, const char *name)
{
	struct ifreq req;

	tap_name(&req, name);
	if (ioctl(sock, SIOCGIFFLAGS, &req) < 0)
		return false;
	req.ifr_flags |= IFF_UP;
	return ioctl(sock, SIOCSIFFLAGS, &req) == 0;
}

static bool tap_configure(void)
{
	static const uint8_t host[4] = TAP_HOST, mask[4] = TAP_MASK;
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok = sock >= 0 && tap_set_up(sock, "lo") && tap_set_addr(sock, SIOCSIFADDR, host) &&
		  tap_set_addr(sock, SIOCSIFNETMASK, mask) && tap_set_up(sock, TAP_NAME);
	int saved = errno;

	if (sock >= 0)
		(void)close(sock);
	errno = saved;
	return ok;
}

/* Neighbour discovery and the like would only mix into what is shown. */
static void tap_quiet(void)
{
	int fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "1", 1) != 1)
		errno = 0; /* then it mixes in */
	(void)close(fd);
}

int tap_open(char *err, size_t err_len)
{
	struct ifreq req;
	int fd;

	/* root; or else a user namespace, where the kernel allows it, gives the same right */
	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
		(void)tap_fail(err, err_len, "--net tap needs root, for a network namespace");
		return -1;
	}
	tap_quiet();
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		(void)tap_fail(err, err_len, "--net tap needs /dev/net/tun");
		return -1;
	}
	tap_name(&req, TAP_NAME);
	req.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	if (ioctl(fd, TUNSETIFF, &req) < 0)
		(void)tap_fail(err, err_len, "cannot make a TAP");
	else if (!tap_configure())
		(void)tap_fail(err, err_len, "cannot configure the TAP");
	else
		return fd;
	(void)close(fd);
	return -1;
}

bool tap_possible(char *err, size_t err_len)
{
	int pipes[2], status = 1;
	ssize_t n = 0;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return tap_fail(err, err_len, "cannot try for a TAP");
	pid = fork();
	if (pid == 0) {
		char why[160] = "";
		int fd = tap_open(why, sizeof(why));

		_exit(fd >= 0 ? 0 : write(pipes[1], why, strlen(why)) < 0 ? 2 : 1);
	}
	(void)close(pipes[1]);
	if (pid > 0) {
		n = read(pipes[0], err, err_len - 1);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			continue;
	}
	(void)close(pipes[0]);
	err[n > 0 ? n : 0] = '\0';
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
