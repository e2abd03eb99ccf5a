/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/netlab.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cksum.h"
#include "tests/host/own_ns.h"

#define WAIT_MS 5000
/* A user namespace may know one group only, which is ours then. */
#define PING_RANGE   "/proc/sys/net/ipv4/ping_group_range"
#define PING_FOR_ALL "{ echo 0 2147483647 >" PING_RANGE " || echo 0 0 >" PING_RANGE "; }"

static const uint8_t gateway_mac[6] = {0x52, 0x55, 0x0a, 0x4d, 0x00, 0x01};
static const uint8_t member_mac[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x05};

/* ---- addresses ---- */

static bool run(const char *command)
{
	return system(command) == 0;
}

static int open_tap(void)
{
	struct ifreq ifr;
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	memset(&ifr, 0, sizeof(ifr));
	ifr.ifr_flags = IFF_TAP | IFF_NO_PI;
	memcpy(ifr.ifr_name, "vm0", 4);
	if (fd >= 0 && ioctl(fd, TUNSETIFF, &ifr) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* ---- agents ---- */

static int dial(int type, const char *address, unsigned port, int wait_ms)
{
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	bool v6 = strchr(address, ':') != NULL;
	struct timeval limit = {wait_ms / 1000, wait_ms % 1000 * 1000};
	int fd = socket(v6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0), rc;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (v6) {
		inet_pton(AF_INET6, address, &a6.sin6_addr);
		rc = connect(fd, (struct sockaddr *)&a6, sizeof(a6));
	} else {
		inet_pton(AF_INET, address, &a4.sin_addr);
		rc = connect(fd, (struct sockaddr *)&a4, sizeof(a4));
	}
	if (rc < 0) {
		rc = errno;
		close(fd);
		errno = rc;
		return -1;
	}
	return fd;
}

static uint8_t byte_at(size_t i)
{
	return (uint8_t)(i * 31 + (i >> 8) * 7);
}

/* Sends n bytes and reads as many back, at once, so that neither side's buffers matter. */
static const char *talk(int fd, size_t n)
{
	uint8_t buf[65536];
	size_t sent = 0, got = 0;

	while (got < n) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		if (sent < n)
			p.events |= POLLOUT;
		if (poll(&p, 1, WAIT_MS) != 1)
			return "timeout";
		if (p.revents & POLLOUT) {
			size_t len = n - sent < sizeof(buf) ? n - sent : sizeof(buf);
			ssize_t w;

			for (size_t i = 0; i < len; i++)
				buf[i] = byte_at(sent + i);
			w = send(fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
			if (w < 0 && errno != EAGAIN)
				return "send";
			sent += w > 0 ? (size_t)w : 0;
		}
		if (p.revents & (POLLIN | POLLHUP | POLLERR)) {
			ssize_t r = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

			if (r == 0)
				return "closed";
			if (r < 0 && errno != EAGAIN)
				return strerror(errno);
			for (ssize_t i = 0; i < r; i++)
				if (buf[i] != byte_at(got + (size_t)i))
					return "bytes differ";
			got += r > 0 ? (size_t)r : 0;
		}
	}
	return "ok";
}

static const char *datagram(int fd, size_t n)
{
	static uint8_t out[65536], in[65536];
	ssize_t r;

	for (size_t i = 0; i < n; i++)
		out[i] = byte_at(i);
	if (send(fd, out, n, 0) < 0)
		return strerror(errno);
	r = recv(fd, in, sizeof(in), 0);
	if (r < 0)
		return errno == EAGAIN ? "timeout" : strerror(errno);
	return (size_t)r == n && !memcmp(in, out, n) ? "ok" : "bytes differ";
}

static const char *ping(const char *address)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	struct timeval limit = {2, 0};
	uint8_t out[16] = {8, 0, 0, 0, 0, 0, 0, 1}, in[64];
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);
	ssize_t r;

	inet_pton(AF_INET, address, &to.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (fd < 0 || sendto(fd, out, sizeof(out), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		return strerror(errno);
	r = recv(fd, in, sizeof(in), 0);
	close(fd);
	return r == sizeof(out) && in[0] == 0 ? "ok" : "timeout";
}

static void perform(char *text, char *out, size_t out_len)
{
	char verb[8] = "", address[64] = "";
	unsigned port = 0;
	size_t n = 0;
	const char *result = "no such verb";
	bool tcp;
	int fd;

	sscanf(text, "%7s %63s %u %zu", verb, address, &port, &n);
	if (!strcmp(verb, "ping")) {
		snprintf(out, out_len, "%s", ping(address));
		return;
	}
	tcp = !strcmp(verb, "tcp");
	if (tcp || !strcmp(verb, "udp")) {
		fd = dial(tcp ? SOCK_STREAM : SOCK_DGRAM, address, port, tcp ? WAIT_MS : 2000);
		if (fd < 0) {
			snprintf(out, out_len, "connect: %s", strerror(errno));
			return;
		}
		result = tcp ? talk(fd, n) : datagram(fd, n);
		close(fd);
	}
	snprintf(out, out_len, "%s", result);
}

static void child_begins(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
}

static void agent(int fd)
{
	char text[256], out[256];
	ssize_t n;

	while ((n = recv(fd, text, sizeof(text) - 1, 0)) > 0) {
		text[n] = '\0';
		perform(text, out, sizeof(out));
		send(fd, out, strlen(out), MSG_NOSIGNAL);
	}
	_exit(0);
}

/* ---- echo ---- */

#define CONNECTIONS 64

static int serve_on(int type)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(NETLAB_ECHO)};
	int fd = socket(AF_INET6, type | SOCK_CLOEXEC, 0), off = 0;

	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    (type == SOCK_STREAM && listen(fd, 64) < 0))
		_exit(1);
	return fd;
}

static void echo_datagram(int fd)
{
	static uint8_t buf[65536];
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);

	if (n >= 0)
		sendto(fd, buf, (size_t)n, 0, (struct sockaddr *)&from, len);
}

/* Blocking writes: who sends more than it reads waits, which is what TCP is for. */
static bool echo_stream(int fd)
{
	static uint8_t buf[65536];
	ssize_t n = recv(fd, buf, sizeof(buf), 0);

	for (ssize_t at = 0; at < n;) {
		ssize_t w = send(fd, buf + at, (size_t)(n - at), MSG_NOSIGNAL);

		if (w <= 0)
			return false;
		at += w;
	}
	return n > 0;
}

static void echo(int ready)
{
	struct pollfd p[2 + CONNECTIONS] = {
		{.fd = serve_on(SOCK_STREAM), .events = POLLIN},
		{.fd = serve_on(SOCK_DGRAM), .events = POLLIN},
	};
	unsigned n = 2;

	if (write(ready, "r", 1) != 1)
		_exit(1);
	for (;;) {
		if (poll(p, n, -1) < 0)
			continue;
		if (p[1].revents)
			echo_datagram(p[1].fd);
		for (unsigned i = 2; i < n; i++)
			if (p[i].revents && !echo_stream(p[i].fd)) {
				close(p[i].fd);
				p[i--] = p[--n];
			}
		if (p[0].revents && n < 2 + CONNECTIONS)
			p[n++] = (struct pollfd){.fd = accept(p[0].fd, NULL, NULL),
						 .events = POLLIN};
	}
}

/* ---- open and close ---- */

static bool fork_pair(struct netlab *l, int *agent_fd)
{
	int pair[2], ready[2];
	char c;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ||
	    pipe2(ready, O_CLOEXEC) < 0)
		return false;
	for (unsigned i = 0; i < 2; i++) {
		pid_t pid = fork();

		if (!pid) {
			child_begins();
			close(pair[0]);
			if (i)
				echo(ready[1]);
			else
				agent(pair[1]);
		}
		l->child[l->children++] = pid;
	}
	close(pair[1]);
	close(ready[1]);
	*agent_fd = pair[0];
	if (read(ready[0], &c, 1) != 1)
		return false;
	close(ready[0]);
	return true;
}

static bool member_up(const struct netlab *l)
{
	char command[1024];
	const uint8_t *g = l->gateway_mac, *m = l->member_mac;

	snprintf(
		command, sizeof(command),
		"ip link set lo up && ip link set vm0 address %02x:%02x:%02x:%02x:%02x:%02x mtu %u "
		"up && ip addr add " NETLAB_MEMBER4 "/24 dev vm0 && "
		"ip -6 addr add " NETLAB_MEMBER6 "/64 dev vm0 nodad && "
		"ip route add default via " NETLAB_GATEWAY4 " && "
		"ip -6 neigh replace " NETLAB_GATEWAY6
		" lladdr %02x:%02x:%02x:%02x:%02x:%02x dev vm0 nud permanent && "
		"ip -6 route add default via " NETLAB_GATEWAY6 " && " PING_FOR_ALL,
		m[0], m[1], m[2], m[3], m[4], m[5], l->mtu, g[0], g[1], g[2], g[3], g[4], g[5]);
	return run(command);
}

bool netlab_open(struct netlab *l, uint32_t mtu, char why[256])
{
	int home;

	memset(l, 0, sizeof(*l));
	l->mtu = mtu;
	memcpy(l->gateway_mac, gateway_mac, 6);
	memcpy(l->member_mac, member_mac, 6);
	if (!own_ns(CLONE_NEWNET)) {
		snprintf(why, 256, "no network namespace of our own: %s", strerror(errno));
		return false;
	}
	if (!run("ip link set lo up && ip addr add " NETLAB_HOST4 "/32 dev lo && "
		 "ip -6 addr add " NETLAB_HOST6 "/128 dev lo nodad && " PING_FOR_ALL)) {
		snprintf(why, 256, "ip cannot set up lo");
		return false;
	}
	if (!fork_pair(l, &l->host)) {
		snprintf(why, 256, "the host's agents do not start");
		return false;
	}
	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (home < 0 || unshare(CLONE_NEWNET) < 0) {
		snprintf(why, 256, "the member's namespace: %s", strerror(errno));
		return false;
	}
	l->tap = open_tap();
	if (l->tap < 0) {
		snprintf(why, 256, "/dev/net/tun: %s", strerror(errno));
		return false;
	}
	if (!member_up(l) || !fork_pair(l, &l->member) || setns(home, CLONE_NEWNET) < 0) {
		snprintf(why, 256, "the member's namespace: %s", strerror(errno));
		return false;
	}
	close(home);
	return true;
}

void netlab_close(struct netlab *l)
{
	for (unsigned i = 0; i < l->children; i++) {
		kill(l->child[i], SIGKILL);
		waitpid(l->child[i], NULL, 0);
	}
	close(l->host);
	close(l->member);
	close(l->tap);
}

bool netlab_ask(int agent_fd, const char *text)
{
	return send(agent_fd, text, strlen(text), MSG_NOSIGNAL) > 0;
}

bool netlab_answer(int agent_fd, char out[256])
{
	ssize_t n = recv(agent_fd, out, 255, MSG_DONTWAIT);

	if (n <= 0)
		return false;
	out[n] = '\0';
	return true;
}

/* ---- the gateway ---- */

bool netlab_frame(struct netlab *l, const uint8_t *frame, uint32_t len, uint8_t reply[128],
		  uint32_t *reply_len)
{
	const uint8_t *arp = frame + 14;
	uint8_t gateway[4];

	*reply_len = 0;
	inet_pton(AF_INET, NETLAB_GATEWAY4, gateway);
	if (len < 14)
		return true;
	if (frame[12] == 8 && frame[13] == 6) {
		if (len < 42)
			return true;
		if (arp[7] == 2)
			return false;
		if (memcmp(arp + 24, gateway, 4) != 0)
			return true;
		memcpy(reply, frame + 6, 6);
		memcpy(reply + 6, l->gateway_mac, 6);
		memcpy(reply + 12, frame + 12, 8);
		reply[20] = 0;
		reply[21] = 2;
		memcpy(reply + 22, l->gateway_mac, 6);
		memcpy(reply + 28, gateway, 4);
		memcpy(reply + 32, arp + 8, 10);
		*reply_len = 42;
		return true;
	}
	/* Neighbour discovery to groups is nobody's here; advertisements to the gateway are the
	 * uplink's. */
	return frame[0] & 1;
}
