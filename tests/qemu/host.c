/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "tests/qemu/host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest/ports/user/wait.h"
#include "tests/user/cm.h"

#define BRIDGE "br0"
#define LINE   8192
#define TAPS   4

#define LEAVE_MS 3000u /* for the last user of a name to go */

/* linux/ipv6.h has it, but does not go with netinet/in.h */
struct host_ifreq6 {
	struct in6_addr addr;
	uint32_t prefix;
	int index;
};

static void host_set(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return; /* a kernel without it */
	if (write(fd, value, strlen(value)) < 0)
		errno = 0;
	(void)close(fd);
}

static int host_ioctl(int domain, unsigned long what, void *arg)
{
	int fd = socket(domain, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err = fd < 0 || ioctl(fd, what, arg) < 0 ? errno : 0;

	if (fd >= 0)
		(void)close(fd);
	return err;
}

static void host_name(struct ifreq *req, const char *name)
{
	memset(req, 0, sizeof(*req));
	(void)snprintf(req->ifr_name, sizeof(req->ifr_name), "%s", name);
}

static void host_up(const char *name)
{
	struct ifreq req;

	host_name(&req, name);
	assert_int_equal(host_ioctl(AF_INET, SIOCGIFFLAGS, &req), 0);
	req.ifr_flags |= IFF_UP;
	assert_int_equal(host_ioctl(AF_INET, SIOCSIFFLAGS, &req), 0);
}

bool host_enter(void)
{
	static bool inside;
	int fd;

	if (inside)
		return true;
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		printf("SKIP: /dev/net/tun cannot be opened: %s\n", strerror(errno));
		return false;
	}
	(void)close(fd);
	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
		printf("SKIP: no network namespace, which takes root: %s\n", strerror(errno));
		return false;
	}
	inside = true;
	/* No search for neighbours and routers that nobody asked for, no doubts about addresses. */
	host_set("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
	host_set("/proc/sys/net/ipv6/conf/default/router_solicitations", "0");
	host_up("lo");
	return true;
}

/* Open ones. A test that failed leaves its own, and its QEMU may take a moment to end. */
static struct {
	char name[IFNAMSIZ];
	int fd;
} host_taps[TAPS];

void host_untap(int fd)
{
	for (int i = 0; i < TAPS; i++) {
		if (host_taps[i].fd != fd)
			continue;
		(void)close(fd);
		host_taps[i].fd = 0;
	}
}

static void host_remember(const char *name, int fd)
{
	int i = 0;

	while (i < TAPS && host_taps[i].fd)
		i++;
	if (i >= TAPS) {
		fail_msg("more than %d TAPs", TAPS);
		return;
	}
	host_taps[i].fd = fd;
	(void)snprintf(host_taps[i].name, IFNAMSIZ, "%s", name);
}

static bool host_make(int fd, struct ifreq *req)
{
	uint64_t deadline = wait_deadline_ms(LEAVE_MS);

	while (ioctl(fd, TUNSETIFF, req) < 0) {
		if (errno != EBUSY || wait_over(deadline))
			return false;
		wait_sleep(1000, deadline);
	}
	return true;
}

int host_tap(const char *name, bool vnet, unsigned mtu)
{
	struct ifreq req;
	int fd;

	for (int i = 0; i < TAPS; i++) {
		if (host_taps[i].fd && !strcmp(host_taps[i].name, name))
			host_untap(host_taps[i].fd);
	}
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	assert_true(fd > 0);
	host_remember(name, fd);
	host_name(&req, name);
	req.ifr_flags = IFF_TAP | IFF_NO_PI;
	if (vnet)
		req.ifr_flags |= IFF_VNET_HDR;
	if (!host_make(fd, &req))
		fail_msg("no TAP %s: %s", name, strerror(errno));
	host_name(&req, name);
	req.ifr_mtu = (int)mtu;
	assert_int_equal(host_ioctl(AF_INET, SIOCSIFMTU, &req), 0);
	host_up(name);
	return fd;
}

void host_address(const char *name)
{
	static const uint8_t addr[4] = HOST_IP4, mask[4] = {255, 255, 255, 0};
	struct host_ifreq6 req6 = {.prefix = 64, .index = (int)if_nametoindex(name)};
	struct sockaddr_in sin = {.sin_family = AF_INET};
	struct ifreq req;

	host_name(&req, name);
	memcpy(&sin.sin_addr, addr, 4);
	memcpy(&req.ifr_addr, &sin, sizeof(sin));
	assert_int_equal(host_ioctl(AF_INET, SIOCSIFADDR, &req), 0);
	memcpy(&sin.sin_addr, mask, 4);
	memcpy(&req.ifr_netmask, &sin, sizeof(sin));
	assert_int_equal(host_ioctl(AF_INET, SIOCSIFNETMASK, &req), 0);
	assert_int_equal(inet_pton(AF_INET6, HOST_IP6, &req6.addr), 1);
	(void)host_ioctl(AF_INET6, SIOCSIFADDR, &req6); /* without IPv6, its tests will say so */
}

void host_mac(const char *name, uint8_t mac[6])
{
	struct ifreq req;

	host_name(&req, name);
	assert_int_equal(host_ioctl(AF_INET, SIOCGIFHWADDR, &req), 0);
	memcpy(mac, req.ifr_hwaddr.sa_data, 6);
}

void host_unbridge(void)
{
	char name[] = BRIDGE;
	struct ifreq req;

	host_name(&req, BRIDGE);
	(void)host_ioctl(AF_INET, SIOCSIFFLAGS, &req); /* no flags: down */
	(void)host_ioctl(AF_INET, SIOCBRDELBR, name);
}

bool host_bridge(const char *a, const char *b)
{
	const char *const ports[] = {a, b};
	char name[] = BRIDGE;
	struct ifreq req;

	host_unbridge();
	if (host_ioctl(AF_INET, SIOCBRADDBR, name)) {
		printf("SKIP: no bridges in this kernel\n");
		return false;
	}
	for (int i = 0; i < 2; i++) {
		host_name(&req, BRIDGE);
		req.ifr_ifindex = (int)if_nametoindex(ports[i]);
		assert_int_equal(host_ioctl(AF_INET, SIOCBRADDIF, &req), 0);
	}
	host_up(BRIDGE);
	return true;
}

/* In a pair of lines "Tcp: name name ...", "Tcp: value value ...". */
static bool host_count_pair(const char *path, const char *group, const char *name, uint64_t *out)
{
	char names[LINE], values[LINE], *save_n, *save_v, *n, *v;
	FILE *file = fopen(path, "re");
	size_t len = strlen(group);
	bool found = false;

	while (file && !found && fgets(names, sizeof(names), file) &&
	       fgets(values, sizeof(values), file)) {
		if (strncmp(names, group, len) != 0 || names[len] != ':')
			continue;
		n = strtok_r(names, " \n", &save_n);
		v = strtok_r(values, " \n", &save_v);
		for (; n && v && !found;
		     n = strtok_r(NULL, " \n", &save_n), v = strtok_r(NULL, " \n", &save_v)) {
			found = !strcmp(n, name);
			if (found && sscanf(v, "%" SCNu64, out) != 1)
				*out = 0;
		}
	}
	if (file)
		(void)fclose(file);
	return found;
}

static bool host_count_line(const char *path, const char *name, uint64_t *out)
{
	FILE *file = fopen(path, "re");
	char line[LINE], word[128];
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file))
		found = sscanf(line, "%127s %" SCNu64, word, out) == 2 && !strcmp(word, name);
	if (file)
		(void)fclose(file);
	return found;
}

uint64_t host_count(const char *group, const char *name)
{
	uint64_t value = 0;

	if (!group)
		(void)host_count_line("/proc/thread-self/net/snmp6", name, &value);
	else if (!host_count_pair("/proc/thread-self/net/snmp", group, name, &value))
		(void)host_count_pair("/proc/thread-self/net/netstat", group, name, &value);
	return value;
}

uint64_t host_errors(void)
{
	static const char *const pairs[][2] = {
		{"Ip", "InHdrErrors"},	    {"Icmp", "InErrors"},	 {"Icmp", "InCsumErrors"},
		{"Tcp", "InErrs"},	    {"Tcp", "InCsumErrors"},	 {"Udp", "InErrors"},
		{"Udp", "InCsumErrors"},    {"IpExt", "InCsumErrors"},	 {NULL, "Ip6InHdrErrors"},
		{NULL, "Icmp6InErrors"},    {NULL, "Icmp6InCsumErrors"}, {NULL, "Udp6InErrors"},
		{NULL, "Udp6InCsumErrors"},
	};
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		sum += host_count(pairs[i][0], pairs[i][1]);
	return sum;
}

void host_received(const char *name, uint64_t *packets, uint64_t *bytes)
{
	FILE *file = fopen("/proc/thread-self/net/dev", "re");
	char line[LINE], word[64];

	*packets = *bytes = 0;
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, " %63[^:]: %" SCNu64 " %" SCNu64, word, bytes, packets) == 3 &&
		    !strcmp(word, name))
			break;
		*packets = *bytes = 0;
	}
	if (file)
		(void)fclose(file);
}
