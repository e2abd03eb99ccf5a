/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_mtu=9000: pings of every size from 1 to 9000 bytes, whole frames up to 8972.
 *
 * Answered by Linux over a TAP whose MTU is 9000 too, with virtio headers (large buffers, merged or
 * of 64 KiB) and with nobody's help over a plain socket (buffers as large as the MTU says). Each
 * test takes every other size, two of a kind the odd and two the even ones, and all the sizes
 * around a boundary.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/qemu/host.h"
#include "tests/qemu/mini.h"
#include "tests/qemu/peer.h"

#define MTU  9000u
#define STEP 2u

static const uint32_t edges[] = {
	1,    2,    3,	  17,	18,   19,   46,	  47,	1471, 1472, 1473, 1500, 1501, 1998, 1999,
	2000, 2001, 2002, 2006, 2007, 4052, 4096, 4097, 8970, 8971, 8972, 8973, 8974, 8999, 9000,
};

static void ping_sizes(struct mini *m, unsigned first)
{
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
		mini_ping(m, edges[i]);
	for (uint32_t size = first; size <= MINI_PING_MAX; size += STEP)
		mini_ping(m, size);
}

static void check(struct nic *n)
{
	struct vio_net_stats stats;

	vio_net_stats(n->net, &stats);
	assert_int_equal(stats.rx.dropped + stats.rx.errors + stats.tx.errors, 0);
	assert_int_equal(n->breaks, 0);
}

static void over_tap(enum nic_face face, bool merge, unsigned first)
{
	static const uint8_t guest[4] = HOST_GUEST4, host[4] = HOST_IP4;
	struct nic_opts o = {
		.machine = first & 1 ? "q35" : "pc",
		.face = face,
		.irq = VIO_IRQ_MSIX_EACH,
		.props = merge ? ",host_mtu=9000" : ",host_mtu=9000,mrg_rxbuf=off",
		.net = {.queue_size = merge ? 256 : 64},
		.tx_len = MTU + 100,
		.ram_mib = 128,
	};
	char netdev[64];
	struct mini m;
	struct nic *n;

	if (!host_enter())
		skip();
	o.fd = host_tap(HOST_TAP, true, MTU);
	host_address(HOST_TAP);
	(void)snprintf(netdev, sizeof(netdev), "tap,id=" NIC_NETDEV ",fd=%d", o.fd);
	o.netdev = netdev;
	n = nic_new(&o);
	assert_int_equal(n->info.mtu, MTU);
	assert_true(n->info.mtu_known && n->info.tx_tso4 && n->info.rx_lro4);
	assert_int_equal(n->info.rx_buf_len, merge ? 2048 : 65601);
	mini_init(&m, n);
	m.mtu = MTU;
	memcpy(m.ip, guest, 4);
	memcpy(m.peer, host, 4);
	qemu_pci_fast_kick(n->f, true);
	ping_sizes(&m, first);
	nic_drain(n);
	check(n);
	assert_int_equal(host_errors(), 0);
	nic_end(n);
	host_untap(o.fd);
}

static void over_socket(enum nic_face face, bool merge, unsigned first)
{
	static const uint8_t guest[4] = PEER_GUEST, host[4] = PEER_IP;
	struct nic_opts o = {
		.machine = first & 1 ? "pc" : "q35",
		.face = face,
		.irq = first & 1 ? VIO_IRQ_INTX : VIO_IRQ_MSIX_ONE,
		.props = merge ? ",host_mtu=9000" : ",host_mtu=9000,mrg_rxbuf=off",
		.net = {.rx_max_segs = merge ? 1 : 3},
		.tx_len = MTU + 100,
	};
	struct peer p;
	struct mini m;
	struct nic *n;

	peer_open(&p);
	o.fd = p.qemu_fd;
	o.netdev = p.netdev;
	n = nic_new(&o);
	n->turn = peer_turn;
	n->turn_arg = &p;
	assert_int_equal(n->info.mtu, MTU);
	assert_true(n->info.mtu_known && !n->info.tx_tso4 && !n->info.rx_lro4);
	if (!merge)
		assert_int_equal(n->info.rx_buf_len, n->info.hdr_len + MTU + 18);
	mini_init(&m, n);
	m.mtu = MTU;
	memcpy(m.ip, guest, 4);
	memcpy(m.peer, host, 4);
	ping_sizes(&m, first);
	nic_drain(n);
	check(n);
	nic_end(n);
	peer_close(&p);
}

#define TESTS(name, where, face, merge, first)                                                     \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		where(face, merge, first);                                                         \
	}

TESTS(test_tap_modern_merged, over_tap, NIC_MODERN, true, 1)
TESTS(test_tap_modern_big, over_tap, NIC_MODERN, false, 2)
TESTS(test_tap_legacy_merged, over_tap, NIC_LEGACY, true, 2)
TESTS(test_tap_legacy_big, over_tap, NIC_LEGACY, false, 1)
TESTS(test_socket_modern_merged, over_socket, NIC_MODERN, true, 1)
TESTS(test_socket_modern_single, over_socket, NIC_MODERN, false, 2)
TESTS(test_socket_legacy_merged, over_socket, NIC_LEGACY, true, 2)
TESTS(test_socket_legacy_single, over_socket, NIC_LEGACY, false, 1)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_socket_modern_merged),
		cmocka_unit_test(test_socket_modern_single),
		cmocka_unit_test(test_socket_legacy_merged),
		cmocka_unit_test(test_socket_legacy_single),
		cmocka_unit_test(test_tap_modern_merged),
		cmocka_unit_test(test_tap_modern_big),
		cmocka_unit_test(test_tap_legacy_merged),
		cmocka_unit_test(test_tap_legacy_big),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
