/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checksums and large packets with Linux as the other side, over a TAP that carries virtio headers.
 *
 * Sending: lwIP's segments are joined, the device is asked to cut them, and what Linux's stack gets
 * is one large packet with an unfinished checksum. It accepts every one: its error counters stay,
 * and the interface counted fewer packets than there are segments. Receiving: Linux sends large
 * packets (its own GSO), and finishes no checksum. That it accepts says little of the sums, which
 * it does not verify on such a path; test_judged has one on which it does (relay.h).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/qemu/craft.h"
#include "tests/qemu/host.h"
#include "tests/qemu/relay.h"
#include "tests/qemu/tcp6.h"
#include "tools/stack/server.h"
#include "tools/stack/transfer.h"
#include "wire/virtio.h"
#include "wire/virtio_net.h"

#define BYTES (UINT64_C(16) << 20)
#define MTU   1500u
#define LARGE 4000u /* bytes a packet, on average: far above what one segment has */

#define LRO                                                                                        \
	(VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO6) |               \
	 VIRTIO_BIT(VIRTIO_NET_F_GUEST_ECN))

struct form {
	const char *machine;
	enum nic_face face;
	enum vio_irq_mode irq;
	bool merge;
};

static struct form forms[] = {
	{"q35", NIC_MODERN, VIO_IRQ_MSIX_EACH, true},
	{"pc", NIC_MODERN, VIO_IRQ_MSIX_ONE, false},
	{"pc", NIC_LEGACY, VIO_IRQ_INTX, true},
	{"q35", NIC_LEGACY, VIO_IRQ_MSIX_EACH, false},
};

struct tap {
	struct full g;
	int fd;
	uint64_t errors, packets, bytes;
	struct vio_net_stats before;
};

static void tap_open(struct tap *t, const struct form *f, bool addressed)
{
	static const uint8_t guest[4] = HOST_GUEST4;
	struct nic_opts o = {
		.machine = f->machine,
		.face = f->face,
		.irq = f->irq,
		.props = f->merge ? "" : ",mrg_rxbuf=off",
		.net = {.queue_size = f->merge ? 256 : 64},
		.ram_mib = 128,
	};
	char netdev[64];

	t->fd = o.fd = host_tap(HOST_TAP, true, MTU);
	if (addressed)
		host_address(HOST_TAP);
	(void)snprintf(netdev, sizeof(netdev), "tap,id=" NIC_NETDEV ",fd=%d", o.fd);
	o.netdev = netdev;
	full_open(&t->g, &o);
	assert_true(t->g.nic->info.tx_csum && t->g.nic->info.tx_tso4 && t->g.nic->info.tx_tso6);
	assert_true(t->g.nic->info.rx_csum && t->g.nic->info.rx_lro4 && t->g.nic->info.rx_lro6);
	assert_int_equal(t->g.nic->info.rx_merge, f->merge);
	full_address(&t->g, guest);
}

static void tap_close(struct tap *t)
{
	full_close(&t->g);
	host_untap(t->fd);
}

static void tap_mark(struct tap *t)
{
	t->errors = host_errors();
	host_received(HOST_TAP, &t->packets, &t->bytes);
	stack_lock();
	vio_net_stats(t->g.net, &t->before);
	stack_unlock();
}

/* What was sent since the mark went as large packets, and Linux complained of none. */
static void tap_sent_large(struct tap *t)
{
	uint64_t packets, bytes;
	struct vio_net_stats now;

	host_received(HOST_TAP, &packets, &bytes);
	vio_net_stats(t->g.net, &now);
	assert_int_equal(host_errors(), t->errors);
	printf("sent %lu bytes in %lu packets, %lu of them GSO\n", bytes - t->bytes,
	       packets - t->packets, now.tx.gso - t->before.tx.gso);
	assert_true(bytes - t->bytes > BYTES);
	assert_true((bytes - t->bytes) / (packets - t->packets) > LARGE);
	assert_true(now.tx.gso > t->before.tx.gso);
	assert_true(now.tx.csum > t->before.tx.csum);
}

static void tap_received_large(struct tap *t, bool merge)
{
	struct vio_net_stats now;

	vio_net_stats(t->g.net, &now);
	printf("received %lu packets, %lu of them LRO, %lu merged\n",
	       now.rx.packets - t->before.rx.packets, now.rx.gso - t->before.rx.gso,
	       now.rx.merged - t->before.rx.merged);
	assert_int_equal(host_errors(), t->errors);
	assert_true(now.rx.gso > t->before.rx.gso);
	assert_true(now.rx.csum > t->before.rx.csum);
	assert_int_equal(now.rx.merged > t->before.rx.merged, merge);
	assert_true((now.rx.bytes - t->before.rx.bytes) / (now.rx.packets - t->before.rx.packets) >
		    LARGE / 2);
}

static void transfer4(struct tap *t, bool upload)
{
	static const uint8_t host[4] = HOST_IP4;
	struct transfer tr = {.upload = upload, .bytes = BYTES, .seed = 4711};
	struct server *server;

	assert_int_equal(server_start(&server, host, 0), 0);
	memcpy(tr.to, host, 4);
	tr.port = server_port(server);
	tr.deadline = full_deadline();
	full_ok(&t->g, transfer_run(&t->g.stack, &tr));
	assert_true(tr.verified);
	server_stop(server);
}

static void test_tcp4(void **state)
{
	const struct form *f = *state;
	struct tap t;

	if (!host_enter())
		skip();
	tap_open(&t, f, true);
	tap_mark(&t);
	transfer4(&t, true);
	tap_sent_large(&t);
	tap_mark(&t);
	transfer4(&t, false);
	tap_received_large(&t, f->merge);
	tap_close(&t);
}

static void test_tcp6(void **state)
{
	const struct form *f = *state;
	struct tap t;

	if (!host_enter())
		skip();
	tap_open(&t, f, true);
	if (access("/proc/thread-self/net/if_inet6", R_OK)) {
		tap_close(&t);
		printf("SKIP: no IPv6 in this kernel\n");
		skip();
	}
	tcp6_address(&t.g, HOST_GUEST6);
	tap_mark(&t);
	tcp6_transfer(&t.g, HOST_IP6, true, BYTES);
	tap_sent_large(&t);
	tap_mark(&t);
	tcp6_transfer(&t.g, HOST_IP6, false, BYTES);
	tap_received_large(&t, f->merge);
	tap_close(&t);
}

/* Receive offloads taken back while running: from then on Linux does all the work itself. */
static void test_offloads_set(void **state)
{
	struct vio_net_stats now;
	uint64_t all;
	struct tap t;
	int err;

	if (!host_enter())
		skip();
	tap_open(&t, *state, true);
	all = t.g.nic->info.features & (LRO | VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM));
	stack_lock();
	err = vio_net_set_offloads(t.g.net, 0);
	stack_unlock();
	assert_int_equal(err, VIO_OK);
	tap_mark(&t);
	transfer4(&t, false);
	vio_net_stats(t.g.net, &now);
	assert_int_equal(now.rx.gso + now.rx.csum, t.before.rx.gso + t.before.rx.csum);

	stack_lock();
	err = vio_net_set_offloads(t.g.net, all);
	stack_unlock();
	assert_int_equal(err, VIO_OK);
	tap_mark(&t);
	transfer4(&t, false);
	tap_received_large(&t, t.g.nic->info.rx_merge);
	tap_close(&t);
}

/* ---- a receiver that looks ---- */

#define BARE_TAP "t1" /* can do nothing: Linux cuts and finishes what leaves here */
#define FAR_TAP	 "t2" /* and receives it here */

static void test_judged(void **state)
{
	uint64_t segments, packets, bytes;
	struct vio_net_stats now;
	int bare, far;
	struct relay relay;
	struct tap t;

	if (!host_enter())
		skip();
	bare = host_tap(BARE_TAP, false, MTU);
	far = host_tap(FAR_TAP, false, MTU);
	tap_open(&t, *state, false);
	if (!host_bridge(HOST_TAP, BARE_TAP)) {
		tap_close(&t);
		skip();
	}
	host_address(FAR_TAP);
	relay_start(&relay, bare, far);

	tap_mark(&t);
	segments = host_count("Tcp", "InSegs");
	host_received(FAR_TAP, &packets, &bytes);
	transfer4(&t, true);
	if (!access("/proc/thread-self/net/if_inet6", R_OK)) {
		tcp6_address(&t.g, HOST_GUEST6);
		tcp6_transfer(&t.g, HOST_IP6, true, BYTES);
		tcp6_transfer(&t.g, HOST_IP6, false, BYTES);
	}
	transfer4(&t, false);
	relay_stop(&relay);
	vio_net_stats(t.g.net, &now);
	segments = host_count("Tcp", "InSegs") - segments;
	printf("%lu segments judged, sent as %lu packets\n", segments,
	       now.tx.packets - t.before.tx.packets);
	assert_int_equal(host_errors(), t.errors);
	assert_true(now.tx.gso > t.before.tx.gso);
	assert_true(segments > BYTES / MTU);
	tap_close(&t);
	host_untap(bare);
	host_untap(far);
	host_unbridge();
}

/* ---- Linux sockets ---- */

struct udp {
	struct nic *nic;
	int tap;
	uint8_t mac[6]; /* the TAP's */
};

static void udp_open(struct udp *u, const struct form *f)
{
	struct nic_opts o = {
		.machine = f->machine,
		.face = f->face,
		.irq = f->irq,
		.props = f->merge ? "" : ",mrg_rxbuf=off",
		.net = {.queue_size = 64},
		.ram_mib = 128,
	};
	char netdev[64];

	u->tap = o.fd = host_tap(HOST_TAP, true, MTU);
	host_address(HOST_TAP);
	host_mac(HOST_TAP, u->mac);
	(void)snprintf(netdev, sizeof(netdev), "tap,id=" NIC_NETDEV ",fd=%d", o.fd);
	o.netdev = netdev;
	u->nic = nic_new(&o);
}

static int udp_socket(bool v6, uint16_t *port)
{
	struct sockaddr_in6 at6 = {.sin6_family = AF_INET6};
	struct sockaddr_in at4 = {.sin_family = AF_INET};
	struct sockaddr *at = v6 ? (struct sockaddr *)&at6 : (struct sockaddr *)&at4;
	socklen_t len = v6 ? sizeof(at6) : sizeof(at4);
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, at, len), 0);
	assert_int_equal(getsockname(fd, at, &len), 0);
	*port = ntohs(v6 ? at6.sin6_port : at4.sin_port);
	return fd;
}

/* Whether a datagram of n right bytes comes out of the socket. */
static bool udp_arrives(struct udp *u, int fd, const uint8_t *payload, uint32_t n)
{
	uint64_t deadline = wait_deadline_ms(NIC_PATIENCE_MS);
	uint8_t got[2048];
	ssize_t len;

	while ((len = recv(fd, got, sizeof(got), MSG_DONTWAIT)) < 0) {
		if (wait_over(deadline))
			return false;
		nic_turn(u->nic);
		(void)wait_fd(fd, POLLIN, wait_deadline_us(200));
	}
	return len == (ssize_t)n && !memcmp(got, payload, n);
}

static void udp_family(struct udp *u, bool v6)
{
	static const uint8_t host4[4] = HOST_IP4, guest4[4] = HOST_GUEST4;
	uint8_t host6[16], guest6[16], frame[2048];
	struct craft_ends from = {u->nic->info.mac, guest4, guest6, 777};
	struct craft_ends to = {u->mac, host4, host6, 0};
	struct craft c = {.v6 = v6, .udp = true, .payload = 999};
	uint64_t errors = host_errors();
	int fd = udp_socket(v6, &to.port);

	assert_int_equal(inet_pton(AF_INET6, HOST_IP6, host6), 1);
	assert_int_equal(inet_pton(AF_INET6, HOST_GUEST6, guest6), 1);
	for (uint32_t at = 1; at < 70; at++) {
		struct nic_packet p = {
			.data = frame,
			.flags = VIO_NET_TX_CSUM | (v6 ? 0 : VIO_NET_TX_IPCSUM),
			.headroom = at % 3 ? NIC_HEADROOM : 0,
			.cuts = &at,
			.ncuts = 1,
		};

		craft_frame(&c, &from, &to, at, frame);
		p.len = c.len;
		nic_put_packet(u->nic, &p);
		if (!udp_arrives(u, fd, frame + c.hdr_len, c.payload))
			fail_msg("UDP over IPv%d cut at %u did not arrive", v6 ? 6 : 4, at);
	}
	assert_int_equal(host_errors(), errors);

	/* A finished frame it does verify, and counts: these counters do count. */
	craft_frame(&c, &from, &to, 1, frame);
	if (v6) {
		nic_put(u->nic, frame, c.len);
	} else {
		struct nic_packet p = {.data = frame, .len = c.len, .flags = VIO_NET_TX_IPCSUM};

		nic_put_packet(u->nic, &p);
	}
	nic_drain(u->nic);
	for (unsigned i = 0; i < 1000 && host_errors() == errors; i++) {
		/* looked at only when somebody wants to read it */
		assert_true(recv(fd, frame, sizeof(frame), MSG_DONTWAIT) < 0);
		wait_sleep(1000, wait_deadline_us(1000));
	}
	assert_int_equal(host_errors(), errors + 2); /* an error, of the checksum */
	(void)close(fd);
}

static void test_udp(void **state)
{
	struct udp u;

	if (!host_enter())
		skip();
	udp_open(&u, *state);
	udp_family(&u, false);
	if (!access("/proc/thread-self/net/if_inet6", R_OK))
		udp_family(&u, true);
	nic_end(u.nic);
	host_untap(u.tap);
}

#define EACH_FORM(test)                                                                            \
	{#test ": modern, merged", test, NULL, NULL, &forms[0]},                                   \
		{#test ": modern, 64 KiB buffers", test, NULL, NULL, &forms[1]},                   \
		{#test ": legacy, merged", test, NULL, NULL, &forms[2]},                           \
	{                                                                                          \
#test ": legacy, 64 KiB buffers", test, NULL, NULL, &forms[3]                      \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_FORM(test_tcp4),	      EACH_FORM(test_tcp6), EACH_FORM(test_judged),
		EACH_FORM(test_offloads_set), EACH_FORM(test_udp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
