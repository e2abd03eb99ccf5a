/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "tools/stack/tap_mac.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MAX  65562u /* Ethernet header and the largest IP packet, some more */
#define PARTS	   80u
#define QUEUE_HIGH 256u /* with so many packets in the interface's queue Linux waits */
#define QUEUE_NAPS 100u
#define ETHER_LEN  14u
#define PROTO_TCP  6u
#define PROTO_UDP  17u

struct tap_mac {
	struct mac_if *ifp;
	int fd, stop;
	uint32_t mtu;
	pthread_t thread;
	struct tap_mac_stats stats; /* each counter has one writer */
	uint8_t frame[FRAME_MAX];
};

static void count(uint64_t *counter)
{
	__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

/* ---- Linux sends ---- */

/* An interface that cannot keep up holds Linux back, as its queue would. */
static void wait_for_room(struct tap_mac *t)
{
	const struct timespec nap = {.tv_nsec = 50000};

	for (unsigned i = 0; i < QUEUE_NAPS && mac_if_queued(t->ifp) > QUEUE_HIGH; i++)
		(void)nanosleep(&nap, NULL);
}

static void send_one(struct tap_mac *t, const struct virtio_net_hdr *hdr, size_t len)
{
	struct seg seg = {.ptr = t->frame, .len = (uint32_t)len};
	struct mac_send send = {.segs = &seg, .nsegs = 1};

	if (hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		send.flags = MAC_SEND_CSUM;
		count(&t->stats.tx_csum);
	}
	if (hdr->gso_type != VIRTIO_NET_HDR_GSO_NONE) {
		send.flags = MAC_SEND_CSUM | MAC_SEND_TSO;
		send.mss = hdr->gso_size;
		count(&t->stats.tx_tso);
	}
	wait_for_room(t);
	count(mac_if_send(t->ifp, &send) == 0 ? &t->stats.tx_packets : &t->stats.tx_refused);
}

static void *pump(void *arg)
{
	struct tap_mac *t = arg;
	struct pollfd fds[2] = {{.fd = t->fd, .events = POLLIN}, {.fd = t->stop, .events = POLLIN}};

	while (poll(fds, 2, -1) >= 0 || errno == EINTR) {
		struct virtio_net_hdr hdr;
		struct iovec iov[2] = {{&hdr, sizeof(hdr)}, {t->frame, sizeof(t->frame)}};
		ssize_t n;

		if (fds[1].revents)
			break;
		n = readv(t->fd, iov, 2);
		if (n > (ssize_t)sizeof(hdr))
			send_one(t, &hdr, (size_t)n - sizeof(hdr));
	}
	return NULL;
}

/* ---- Linux receives ---- */

/* Where the sum lies that is vouched for; false: no TCP, no UDP, or a fragment. */
static bool find_sum(const struct seg *segs, unsigned n, size_t len, struct virtio_net_hdr *hdr)
{
	uint8_t head[ETHER_LEN + 20];
	unsigned l4;

	if (len < sizeof(head) || !seg_read(segs, n, 0, head, sizeof(head)) || head[12] != 8 ||
	    head[13] != 0 || ((head[20] & 0x3f) | head[21]) != 0)
		return false;
	l4 = ETHER_LEN + (head[14] & 15u) * 4u;
	if (head[23] != PROTO_TCP && head[23] != PROTO_UDP)
		return false;
	hdr->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	hdr->csum_start = (uint16_t)l4;
	hdr->csum_offset = head[23] == PROTO_TCP ? 16 : 6;
	return true;
}

static void input(void *arg, struct __mbuf *packet)
{
	struct tap_mac *t = arg;
	struct virtio_net_hdr hdr = {0};
	struct seg segs[PARTS];
	struct iovec iov[PARTS + 1] = {{&hdr, sizeof(hdr)}};
	size_t len = mac_packet_len(packet);
	unsigned n = mac_packet_segs(packet, segs, PARTS);

	for (unsigned i = 0; i < n; i++)
		iov[i + 1] = (struct iovec){segs[i].ptr, segs[i].len};
	/* The field may be unfinished: to Linux that is a sum still to be made, and a good one. */
	if (mac_packet_csum_good(packet) && find_sum(segs, n, len, &hdr))
		count(&t->stats.rx_good);
	if (len > t->mtu + ETHER_LEN)
		count(&t->stats.rx_large);
	count(&t->stats.rx_packets);
	if (!n || writev(t->fd, iov, (int)n + 1) < 0)
		count(&t->stats.rx_dropped);
	mac_packet_free(packet);
}

/* ---- the TAP ---- */

static void request_name(struct ifreq *req)
{
	memset(req, 0, sizeof(*req));
	memcpy(req->ifr_name, TAP_MAC_NAME, sizeof(TAP_MAC_NAME));
}

static bool set_address(int sock, unsigned long what, const uint8_t address[4])
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	struct ifreq req;

	memcpy(&sin.sin_addr, address, 4);
	request_name(&req);
	memcpy(&req.ifr_addr, &sin, sizeof(sin));
	return ioctl(sock, what, &req) == 0;
}

static bool set_mac(int sock, const uint8_t mac[6])
{
	struct ifreq req;

	request_name(&req);
	req.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(req.ifr_hwaddr.sa_data, mac, 6);
	return ioctl(sock, SIOCSIFHWADDR, &req) == 0;
}

static bool set_mtu(int sock, uint32_t mtu)
{
	struct ifreq req;

	request_name(&req);
	req.ifr_mtu = (int)mtu;
	return ioctl(sock, SIOCSIFMTU, &req) == 0;
}

static bool set_up(int sock)
{
	struct ifreq req;

	request_name(&req);
	if (ioctl(sock, SIOCGIFFLAGS, &req) < 0)
		return false;
	req.ifr_flags |= IFF_UP;
	return ioctl(sock, SIOCSIFFLAGS, &req) == 0;
}

static bool configure(const struct mac_if_state *state, const uint8_t address[4],
		      const uint8_t mask[4])
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), saved;
	bool ok;

	if (sock < 0)
		return false;
	ok = set_mac(sock, state->mac) && set_mtu(sock, state->mtu) &&
	     set_address(sock, SIOCSIFADDR, address) && set_address(sock, SIOCSIFNETMASK, mask) &&
	     set_up(sock);
	saved = errno;
	(void)close(sock);
	errno = saved;
	return ok;
}

/* No IPv6: what it sends by itself would have to be left to an interface that may not know it. */
static void quiet(void)
{
	int fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "1", 1) != 1)
		errno = 0;
	(void)close(fd);
}

static bool make_tap(struct tap_mac *t, const struct mac_if_state *state)
{
	unsigned long offload = 0;
	struct ifreq req;

	quiet();
	t->fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (t->fd < 0)
		return false;
	request_name(&req);
	req.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	if (state->csum4)
		offload = TUN_F_CSUM;
	if (state->csum4 && state->tso4)
		offload |= TUN_F_TSO4;
	return ioctl(t->fd, TUNSETIFF, &req) == 0 && ioctl(t->fd, TUNSETOFFLOAD, offload) == 0;
}

/* ---- life ---- */

static bool start(struct tap_mac *t)
{
	sigset_t all, old;
	int err;

	t->stop = eventfd(0, EFD_CLOEXEC);
	if (t->stop < 0)
		return false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&t->thread, NULL, pump, t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = err;
	return !err;
}

static void let_go(struct tap_mac *t)
{
	if (t->fd >= 0)
		(void)close(t->fd);
	if (t->stop >= 0)
		(void)close(t->stop);
	free(t);
}

int tap_mac_open(struct tap_mac **out, struct mac_if *ifp, const uint8_t address[4],
		 const uint8_t mask[4], char *err, size_t err_len)
{
	struct tap_mac *t = calloc(1, sizeof(*t));
	struct mac_if_state state;
	const char *what;
	int code;

	if (!t)
		return -ENOMEM;
	t->ifp = ifp;
	t->fd = t->stop = -1;
	mac_if_state(ifp, &state);
	t->mtu = state.mtu;
	if (unshare(CLONE_NEWNET) < 0) {
		what = "no network namespace";
	} else if (!make_tap(t, &state)) {
		what = "no TAP";
	} else if (!configure(&state, address, mask)) {
		what = "cannot configure the TAP";
	} else if (!start(t)) {
		what = "no thread";
	} else {
		mac_if_input(ifp, input, t);
		*out = t;
		return 0;
	}
	code = -errno;
	(void)snprintf(err, err_len, "%s: %s", what, strerror(errno));
	let_go(t);
	return code;
}

void tap_mac_stats(struct tap_mac *t, struct tap_mac_stats *out)
{
	const uint64_t *from = (const uint64_t *)&t->stats;
	uint64_t *to = (uint64_t *)out;

	for (size_t i = 0; i < sizeof(*out) / sizeof(*to); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

void tap_mac_close(struct tap_mac *t)
{
	const uint64_t one = 1;

	if (!t)
		return;
	mac_if_input(t->ifp, NULL, NULL);
	(void)!write(t->stop, &one, sizeof(one));
	(void)pthread_join(t->thread, NULL);
	let_go(t);
}
