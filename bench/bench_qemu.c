/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver against QEMU's device model: frames per second and Gbit/s.
 *
 * One thread drives the NIC and is the peer on the other end of QEMU's network; QEMU's own thread
 * is the second. Kicks go through QEMU's eventfds where that is permitted, completions are polled.
 * The caller keeps windows short and idles in between (bench/run): two busy CPUs get throttled on
 * small cloud machines.
 *
 *   bench_qemu CASE [--ms N]       CASE: tx-null tx-stream rx-stream tx-tap, each with SIZE
 *
 * tx-null: a NIC without a netdev (the device model alone). stream: QEMU's stream netdev.
 * tx-tap: TSO into a TAP in a network namespace of our own (needs root). One JSON line.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "guest/ports/user/irq.h"
#include "guest/ports/user/pci.h"
#include "guest/ports/user/qemu.h"
#include "guest/ports/user/user_os.h"
#include "vio/net.h"
#include "wire/net.h"

#define BATCH	 64u
#define RX_BUFS	 512u
#define TX_BUFS	 256u
#define BUF_LEN	 2048u
#define BIG_LEN	 (68u * 1024u)
#define MSS	 1448u
#define PEER_BUF (1u << 20)

struct bench {
	struct qemu q;
	struct qemu_pci_bus bus;
	struct user_os os;
	struct vio_pci pci;
	struct vio_net *net;
	struct vio_dma mem;
	uint8_t *rx_free[RX_BUFS];
	unsigned n_rx_free;
	uint8_t *tx_free[TX_BUFS];
	unsigned n_tx_free;
	uint64_t tx_done, rx_packets, rx_bytes;
	uint32_t size;
	bool rx, tap, stream;
	int listener, peer;
	char peer_buf[PEER_BUF];
	size_t peer_off, peer_len;
};

static struct bench bench;

static void die(const char *what, const char *why)
{
	fprintf(stderr, "bench_qemu: %s: %s\n", what, why);
	qemu_kill_all();
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t da_of(const struct bench *b, const uint8_t *va)
{
	return b->mem.da + (uint64_t)(va - (uint8_t *)b->mem.va);
}

static bool up_rx_buffer(void *port, struct vio_net_rxbuf *buf)
{
	struct bench *b = port;
	uint8_t *va;

	if (b->n_rx_free == 0)
		return false;
	va = b->rx_free[--b->n_rx_free];
	buf->segs[0] = (struct seg){.ptr = va, .addr = da_of(b, va), .len = BUF_LEN};
	buf->nsegs = 1;
	buf->cookie = va;
	return true;
}

static void up_rx_packet(void *port, const struct vio_net_rx *packet)
{
	struct bench *b = port;

	for (unsigned i = 0; i < packet->nparts; i++)
		b->rx_free[b->n_rx_free++] = packet->parts[i].cookie;
	b->rx_packets++;
	b->rx_bytes += packet->len;
}

static void up_rx_return(void *port, void *cookie, int status)
{
	struct bench *b = port;

	(void)status;
	b->rx_free[b->n_rx_free++] = cookie;
}

static void up_tx_done(void *port, void *cookie, int status)
{
	struct bench *b = port;

	(void)status;
	b->tx_free[b->n_tx_free++] = cookie;
	b->tx_done++;
}

static void up_link(void *port, const struct vio_net_link *link)
{
	(void)port;
	(void)link;
}

static void up_announce(void *port)
{
	(void)port;
}

static void up_broken(void *port, const char *why)
{
	(void)port;
	die("device broke", why);
}

static const struct vio_net_upcalls upcalls = {
	.rx_buffer = up_rx_buffer,
	.rx_packet = up_rx_packet,
	.rx_return = up_rx_return,
	.tx_done = up_tx_done,
	.link = up_link,
	.announce = up_announce,
	.broken = up_broken,
};

/* A TAP that takes GSO, in a namespace of its own. */
static int open_tap(void)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, .ifr_name = "t0"};
	int fd, s;

	if (unshare(CLONE_NEWNET))
		die("network namespace", strerror(errno));
	fd = open("/dev/net/tun", O_RDWR);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr))
		die("/dev/net/tun", strerror(errno));
	s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ifr.ifr_flags = IFF_UP;
	if (s < 0 || ioctl(s, SIOCSIFFLAGS, &ifr))
		die("t0 up", strerror(errno));
	close(s);
	return fd;
}

static void listen_peer(struct bench *b, char *path, size_t len)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	snprintf(path, len, "/tmp/viokit-bench-%d", (int)getpid());
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	unlink(path);
	b->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (b->listener < 0 || bind(b->listener, (struct sockaddr *)&a, sizeof(a)) ||
	    listen(b->listener, 1))
		die(path, strerror(errno));
}

static void start(struct bench *b)
{
	char path[64], netdev[128], device[128];
	const char *argv[] = {"-device", device, "-netdev", netdev, NULL};
	struct qemu_opts opts = {.machine = "q35", .argv = argv, .ram_mib = 128};
	struct vio_net_params params = {.irq_mode = VIO_IRQ_NONE};
	int fd = -1, err;

	snprintf(device, sizeof(device), "virtio-net-pci,disable-legacy=on%s",
		 b->tap || b->stream ? ",netdev=n0" : "");
	if (b->tap) {
		fd = open_tap();
		snprintf(netdev, sizeof(netdev), "tap,id=n0,fd=%d", fd);
		opts.fds = &fd;
		opts.n_fds = 1;
	} else if (b->stream) {
		listen_peer(b, path, sizeof(path));
		snprintf(netdev, sizeof(netdev), "stream,id=n0,addr.type=unix,addr.path=%s", path);
	} else {
		argv[2] = NULL;
	}
	if (b->tap || b->stream) { /* a netdev comes before its device */
		argv[0] = "-netdev";
		argv[1] = netdev;
		argv[2] = "-device";
		argv[3] = device;
	}
	if (qemu_start(&b->q, &opts))
		die("QEMU", b->q.err);
	if (b->stream) {
		b->peer = accept4(b->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		unlink(path);
		if (b->peer < 0)
			die("accept", strerror(errno));
	}
	if (qemu_pci_scan(&b->bus, &b->q) || user_os_init_qemu(&b->os, &b->q))
		die("PCI scan", b->bus.err);
	qemu_pci_fast_kick(&b->bus.fn[0], false);
	for (unsigned i = 0; i < b->bus.n; i++) {
		struct qemu_pci *f = qemu_pci_find(&b->bus, VIRTIO_PCI_VENDOR, 0);

		if (!f || &b->bus.fn[i] != f)
			continue;
		qemu_pci_fast_kick(f, true);
		err = vio_pci_open(&b->pci, &qemu_pci_ops, f, &b->os.os, VIO_PCI_MODERN);
		if (err)
			die("virtio", b->pci.t.why);
	}
	if (b->os.os.ops->dma_alloc(b->os.os.ctx,
				    (size_t)RX_BUFS * BUF_LEN + (size_t)TX_BUFS * BIG_LEN, 4096, 64,
				    &b->mem))
		die("memory", "too little guest RAM");
	for (unsigned i = 0; i < RX_BUFS; i++)
		b->rx_free[b->n_rx_free++] = (uint8_t *)b->mem.va + (size_t)i * BUF_LEN;
	for (unsigned i = 0; i < TX_BUFS; i++)
		b->tx_free[b->n_tx_free++] =
			(uint8_t *)b->mem.va + (size_t)RX_BUFS * BUF_LEN + (size_t)i * BIG_LEN;
	err = vio_net_create(&b->net, &b->os.os, &b->pci.t, &upcalls, b, &params);
	if (err || vio_net_start(b->net))
		die("driver", "does not start");
}

/* A frame that every receiver throws away at once: TCP to an address nobody has. */
static void fill_frame(struct bench *b, uint8_t *f)
{
	struct vio_net_info info;
	uint8_t *ip = f + ETH_HLEN;

	vio_net_info(b->net, &info);
	memset(f, 0, b->size);
	memset(f, b->tap ? 0x02 : 0xff, 6);
	memcpy(f + 6, info.mac, 6);
	f[12] = 8;
	ip[0] = 0x45;
	ip[2] = (uint8_t)((b->size - ETH_HLEN) >> 8);
	ip[3] = (uint8_t)(b->size - ETH_HLEN);
	ip[8] = 64;
	ip[9] = IP_PROTO_TCP;
	ip[12] = ip[16] = 10;
	ip[15] = 1;
	ip[19] = 2;
	ip[32] = 0x50;
	ip[33] = TCP_FLAG_ACK;
}

static void peer_drain(struct bench *b)
{
	if (b->peer > 0 && read(b->peer, b->peer_buf, sizeof(b->peer_buf)) == 0)
		die("peer", "QEMU closed the connection");
}

/* As many whole frames as fit, each behind its length; written from where the last call stopped. */
static void peer_blast(struct bench *b)
{
	ssize_t n;

	if (b->peer_len == 0) {
		uint32_t len = htonl(b->size);

		do { /* sizes are far below the buffer's */
			memcpy(b->peer_buf + b->peer_len, &len, 4);
			fill_frame(b, (uint8_t *)b->peer_buf + b->peer_len + 4);
			b->peer_len += 4 + b->size;
		} while (b->peer_len + 4 + b->size <= sizeof(b->peer_buf));
	}
	n = write(b->peer, b->peer_buf + b->peer_off, b->peer_len - b->peer_off);
	if (n > 0)
		b->peer_off += (size_t)n;
	if (b->peer_off == b->peer_len)
		b->peer_off = 0;
}

static void turn_tx(struct bench *b)
{
	unsigned n = 0;

	vio_net_tx_reclaim(b->net, TX_BUFS);
	for (; n < BATCH && b->n_tx_free; n++) {
		uint8_t *va = b->tx_free[b->n_tx_free - 1];
		struct seg seg = {.ptr = va, .addr = da_of(b, va), .len = b->size};
		struct vio_net_tx tx = {.segs = &seg, .nsegs = 1, .cookie = va, .mss = MSS};

		if (b->size > 1514)
			tx.flags = VIO_NET_TX_GSO | VIO_NET_TX_IPCSUM;
		if (vio_net_send(b->net, &tx) != VIO_OK)
			break;
		b->n_tx_free--;
	}
	vio_net_flush(b->net);
	peer_drain(b);
}

static void turn_rx(struct bench *b)
{
	peer_blast(b);
	vio_net_rx_poll(b->net, BATCH);
}

static uint64_t progress(const struct bench *b)
{
	return b->rx ? b->rx_packets : b->tx_done;
}

static void measure(struct bench *b, const char *name, unsigned ms)
{
	uint64_t start_ns, end_ns, first, kicks;
	struct vio_net_stats s0, s1;

	for (unsigned i = 0; i < b->n_tx_free; i++)
		fill_frame(b, b->tx_free[i]);
	/* The first packets pay for page faults on both sides. */
	for (uint64_t until = now_ns() + 20000000; now_ns() < until;)
		b->rx ? turn_rx(b) : turn_tx(b);
	vio_net_stats(b->net, &s0);
	first = progress(b);
	start_ns = now_ns();
	for (end_ns = start_ns; end_ns - start_ns < (uint64_t)ms * 1000000; end_ns = now_ns())
		b->rx ? turn_rx(b) : turn_tx(b);
	vio_net_stats(b->net, &s1);
	first = progress(b) - first;
	kicks = b->rx ? s1.rx.kicks - s0.rx.kicks : s1.tx.kicks - s0.tx.kicks;
	printf("{\"case\": \"%s\", \"size\": %u, \"frames\": %llu, \"kfps\": %.1f, \"gbit_s\": "
	       "%.2f, "
	       "\"frames_per_kick\": %.1f}\n",
	       name, b->size, (unsigned long long)first,
	       1e6 * (double)first / (double)(end_ns - start_ns),
	       8.0 * (double)first * b->size / (double)(end_ns - start_ns),
	       (double)first / (double)(kicks ? kicks : 1));
}

int main(int argc, char **argv)
{
	struct bench *b = &bench;
	unsigned ms = 500;

	if (argc < 3 || (argc == 5 && strcmp(argv[3], "--ms"))) {
		fprintf(stderr,
			"usage: bench_qemu tx-null|tx-stream|rx-stream|tx-tap SIZE [--ms N]\n");
		return 2;
	}
	if (argc == 5)
		ms = (unsigned)strtoul(argv[4], NULL, 10);
	b->size = (uint32_t)strtoul(argv[2], NULL, 10);
	b->rx = !strcmp(argv[1], "rx-stream");
	b->stream = b->rx || !strcmp(argv[1], "tx-stream");
	b->tap = !strcmp(argv[1], "tx-tap");
	if (b->size < 60 || b->size > VIO_NET_PACKET_MAX || (b->size > 1514 && !b->tap)) {
		fprintf(stderr, "bench_qemu: size: 60 to 1514, or to %u with tx-tap\n",
			VIO_NET_PACKET_MAX);
		return 2;
	}
	start(b);
	measure(b, argv[1], ms);
	vio_net_destroy(b->net);
	vio_pci_close(&b->pci);
	qemu_pci_release(&b->bus);
	qemu_stop(&b->q);
	return 0;
}
