/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tap2stream: a kernel's own network stack as a member, for tests.
 *
 *     tap2stream [-d] [-r] [-m MAC] [-M MTU] [-i IFNAME] FD|PATH
 *
 * Makes a TAP interface in the network namespace it runs in and relays between that and a link of
 * vmnet: a descriptor number or the path of a unix socket; QEMU's stream framing, or with -d one
 * frame a datagram (a path then begins with vfkit's greeting, from a socket of its own beside it).
 * -r: when a stream path's connection ends, connect again, for ever. Says "ready" on standard
 * output; ends with 0 when the link ends.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PREFIX	4u
#define FRAME	69632u
#define BATCH	64u
#define SLOT	(PREFIX + FRAME)
#define BULK	(1u << 20)
#define RETRIES 3000u
#define RETRY	20 /* ms */

struct tap2stream {
	int tap, link;
	bool dgram, again;
	const char *where; /* a path; NULL: a descriptor was given */
	char own[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* of a dgram path */
	uint8_t *bulk;					       /* what the stream brought */
	size_t have;
	uint8_t *slots; /* what the TAP brought: BATCH slots */
};

static void die(const char *what)
{
	(void)fprintf(stderr, "tap2stream: %s: %s\n", what, strerror(errno));
	exit(1);
}

static unsigned number(const char *text, unsigned max)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (!*text || *end || value > max) {
		errno = EINVAL;
		die(text);
	}
	return (unsigned)value;
}

static void ioctl_or_die(int fd, unsigned long what, void *arg, const char *name)
{
	if (ioctl(fd, what, arg) < 0)
		die(name);
}

static void up(int sock, const char *name)
{
	struct ifreq req;

	memset(&req, 0, sizeof(req));
	(void)snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	ioctl_or_die(sock, SIOCGIFFLAGS, &req, name);
	req.ifr_flags = (short)(req.ifr_flags | IFF_UP);
	ioctl_or_die(sock, SIOCSIFFLAGS, &req, name);
}

static int tap_open(const char *name, const char *mac, unsigned mtu)
{
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req;

	if (fd < 0 || sock < 0)
		die("/dev/net/tun");
	memset(&req, 0, sizeof(req));
	(void)snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	req.ifr_flags = IFF_TAP | IFF_NO_PI;
	ioctl_or_die(fd, TUNSETIFF, &req, "TUNSETIFF");
	if (mac) {
		unsigned v[6];

		if (sscanf(mac, "%2x:%2x:%2x:%2x:%2x:%2x", &v[0], &v[1], &v[2], &v[3], &v[4],
			   &v[5]) != 6) {
			errno = EINVAL;
			die(mac);
		}
		req.ifr_hwaddr.sa_family = 1; /* ARPHRD_ETHER */
		for (unsigned i = 0; i < 6; i++)
			req.ifr_hwaddr.sa_data[i] = (char)v[i];
		ioctl_or_die(fd, SIOCSIFHWADDR, &req, "SIOCSIFHWADDR");
	}
	if (mtu) {
		req.ifr_mtu = (int)mtu;
		ioctl_or_die(sock, SIOCSIFMTU, &req, "SIOCSIFMTU");
	}
	up(sock, "lo");
	up(sock, name);
	(void)close(sock);
	return fd;
}

static void address(struct sockaddr_un *sa, const char *path)
{
	memset(sa, 0, sizeof(*sa));
	sa->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(sa->sun_path)) {
		errno = ENAMETOOLONG;
		die(path);
	}
	memcpy(sa->sun_path, path, strlen(path) + 1);
}

static int link_connect(struct tap2stream *t)
{
	struct sockaddr_un sa;
	int fd = socket(AF_UNIX, (t->dgram ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	if (t->dgram) {
		(void)snprintf(t->own, sizeof(t->own), "%s.%d", t->where, (int)getpid());
		address(&sa, t->own);
		(void)unlink(t->own); /* of one that was killed and had our number */
		if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
			die(t->own);
	}
	address(&sa, t->where);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    (t->dgram && send(fd, "VFKT", 4, 0) != 4)) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

static void link_open(struct tap2stream *t)
{
	unsigned tries = 0;

	while ((t->link = link_connect(t)) < 0) {
		if (++tries > RETRIES)
			die(t->where);
		(void)poll(NULL, 0, RETRY);
	}
	t->have = 0;
}

static bool write_all(int fd, struct iovec *iov, unsigned n)
{
	while (n) {
		ssize_t got = writev(fd, iov, (int)n);

		if (got < 0 && errno == EAGAIN) {
			struct pollfd p = {.fd = fd, .events = POLLOUT};

			(void)poll(&p, 1, -1);
			continue;
		}
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		while (n && (size_t)got >= iov->iov_len) {
			got -= (ssize_t)iov->iov_len;
			iov++;
			n--;
		}
		if (n) {
			iov->iov_base = (uint8_t *)iov->iov_base + got;
			iov->iov_len -= (size_t)got;
		}
	}
	return true;
}

/* Frames of the kernel's to the link. False: the link has ended. */
static bool from_tap(struct tap2stream *t)
{
	struct iovec iov[BATCH];
	unsigned n = 0;

	for (; n < BATCH; n++) {
		uint8_t *slot = t->slots + (size_t)n * SLOT;
		ssize_t got = read(t->tap, slot + PREFIX, FRAME);
		uint32_t len;

		if (got <= 0)
			break;
		len = htonl((uint32_t)got);
		memcpy(slot, &len, PREFIX);
		iov[n].iov_base = slot;
		iov[n].iov_len = PREFIX + (size_t)got;
	}
	if (!t->dgram)
		return write_all(t->link, iov, n);
	for (unsigned i = 0; i < n; i++) {
		uint8_t *data = (uint8_t *)iov[i].iov_base + PREFIX;

		while (send(t->link, data, iov[i].iov_len - PREFIX, 0) < 0) {
			struct pollfd p = {.fd = t->link, .events = POLLOUT};

			if (errno == EAGAIN || errno == ENOBUFS)
				(void)poll(&p, 1, 10);
			else if (errno != EINTR)
				return false;
		}
	}
	return true;
}

static void to_tap(struct tap2stream *t, const uint8_t *frame, size_t len)
{
	/* A frame that the kernel does not want is lost, as on any wire. */
	while (write(t->tap, frame, len) < 0 && errno == EINTR)
		continue;
}

static bool from_link(struct tap2stream *t)
{
	ssize_t got = recv(t->link, t->bulk + t->have, BULK - t->have, MSG_DONTWAIT);
	size_t at = 0;

	if (got < 0)
		return errno == EAGAIN || errno == EINTR;
	if (got == 0)
		return t->dgram;
	if (t->dgram) {
		to_tap(t, t->bulk, (size_t)got);
		return true;
	}
	t->have += (size_t)got;
	while (t->have - at >= PREFIX) {
		uint32_t len;

		memcpy(&len, t->bulk + at, PREFIX);
		len = ntohl(len);
		if (len > FRAME) {
			errno = EPROTO;
			die("length of a frame");
		}
		if (t->have - at - PREFIX < len)
			break;
		to_tap(t, t->bulk + at + PREFIX, len);
		at += PREFIX + len;
	}
	memmove(t->bulk, t->bulk + at, t->have - at);
	t->have -= at;
	return true;
}

static void relay(struct tap2stream *t)
{
	for (;;) {
		struct pollfd p[2] = {{.fd = t->tap, .events = POLLIN},
				      {.fd = t->link, .events = POLLIN}};
		bool good = true;

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			die("poll");
		if (p[1].revents)
			good = from_link(t);
		if (good && p[0].revents)
			good = from_tap(t);
		if (good)
			continue;
		if (!t->again)
			return;
		(void)close(t->link);
		link_open(t);
	}
}

int main(int argc, char **argv)
{
	struct tap2stream t = {.tap = -1, .link = -1};
	const char *mac = NULL, *name = "tap0";
	unsigned mtu = 0;
	int opt;

	while ((opt = getopt(argc, argv, "drm:M:i:")) >= 0) {
		switch (opt) {
		case 'd':
			t.dgram = true;
			break;
		case 'r':
			t.again = true;
			break;
		case 'm':
			mac = optarg;
			break;
		case 'M':
			mtu = number(optarg, FRAME);
			break;
		case 'i':
			name = optarg;
			break;
		default:
			return 2;
		}
	}
	if (argc - optind != 1) {
		(void)fputs("usage: tap2stream [-d] [-r] [-m MAC] [-M MTU] [-i IFNAME] FD|PATH\n",
			    stderr);
		return 2;
	}
	t.bulk = malloc(BULK);
	t.slots = malloc((size_t)BATCH * SLOT);
	if (!t.bulk || !t.slots)
		die("memory");
	t.tap = tap_open(name, mac, mtu);
	if (strchr(argv[optind], '/')) {
		t.where = argv[optind];
		link_open(&t);
	} else {
		t.link = (int)number(argv[optind], 1u << 20);
		t.again = false;
	}
	(void)puts("ready");
	(void)fflush(stdout);
	relay(&t);
	if (*t.own)
		(void)unlink(t.own);
	free(t.bulk);
	free(t.slots);
	return 0;
}
