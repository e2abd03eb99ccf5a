/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reset under load: the device is stopped and started as often as time allows while frames are on
 * both rings, some not even notified. Every buffer comes back exactly once each time (nic.c keeps
 * the account), no memory is asked for, and the device works at once.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/qemu/mini.h"
#include "tests/qemu/peer.h"

#define SECONDS 4u
#define FRAME	200u

struct form {
	const char *machine;
	enum nic_face face;
	enum vio_irq_mode irq;
	const char *props;
	bool fast;
};

static struct form forms[] = {
	{"q35", NIC_MODERN, VIO_IRQ_MSIX_EACH, "", true},
	{"pc", NIC_MODERN, VIO_IRQ_INTX, ",mrg_rxbuf=off,event_idx=off,indirect_desc=off", false},
	{"pc", NIC_LEGACY, VIO_IRQ_MSIX_ONE, "", true},
	{"q35", NIC_LEGACY, VIO_IRQ_INTX, ",any_layout=off,mrg_rxbuf=off", false},
};

/* Deterministic; the test says where it was when it fails. */
static unsigned rnd(uint32_t *state, unsigned n)
{
	*state = *state * 1664525u + 1013904223u;
	return (*state >> 16) % n;
}

static void load(struct nic *n, const struct peer *peer, uint32_t *seed)
{
	unsigned turns = rnd(seed, 4), frames = rnd(seed, 40);
	uint8_t frame[FRAME];

	(void)peer_frame(peer, peer->mac, 0, 0x55, sizeof(frame), frame);
	for (unsigned i = 0; i < turns; i++)
		nic_turn(n);
	for (unsigned i = 0; i < frames; i++) {
		const uint32_t cuts[] = {14, 60, 61};
		struct nic_packet p = {
			.data = frame, .len = sizeof(frame), .cuts = cuts, .ncuts = rnd(seed, 4)};

		if (nic_send(n, &p))
			break;
		if (rnd(seed, 8) == 0)
			vio_net_flush(n->net);
	}
	if (rnd(seed, 2))
		vio_net_flush(n->net);
	if (rnd(seed, 8) == 0)
		(void)nic_pump(n, NULL, NULL, 1);
}

static void test_reset(void **state)
{
	static const uint8_t guest[4] = PEER_GUEST, host[4] = PEER_IP;
	const struct form *f = *state;
	struct nic_opts o = {
		.machine = f->machine, .face = f->face, .irq = f->irq, .props = f->props};
	uint64_t deadline, asked, returned = 0, unsent = 0;
	unsigned resets = 0;
	uint32_t seed = 1;
	struct peer peer;
	struct mini m;
	struct nic *n;

	peer_open(&peer);
	o.fd = peer.qemu_fd;
	o.netdev = peer.netdev;
	n = nic_new(&o);
	qemu_pci_fast_kick(n->f, f->fast);
	n->turn = peer_turn;
	n->turn_arg = &peer;
	memcpy(peer.flood_to, n->info.mac, 6);
	peer.flood = 8;
	mini_init(&m, n);
	memcpy(m.ip, guest, 4);
	memcpy(m.peer, host, 4);
	asked = n->os.allocs;
	deadline = wait_deadline_ms(SECONDS * 1000u);
	while (!wait_over(deadline)) {
		load(n, &peer, &seed);
		returned = n->returned;
		unsent += n->unsent;
		n->unsent = 0;
		assert_int_equal(vio_net_stop(n->net), VIO_OK);
		if (!nic_idle(n) || n->fault)
			fail_msg("reset %u: %s", resets, n->fault ? n->fault : "buffers missing");
		assert_true(n->returned > returned);
		assert_int_equal(vio_net_start(n->net), VIO_OK);
		resets++;
		if (resets % 64 == 0)
			mini_ping(&m, 1 + rnd(&seed, 1472));
	}
	peer.flood = 0;
	mini_ping(&m, 1000);
	nic_drain(n);
	printf("%u resets, %lu frames received, %lu sent, %lu given back unsent\n", resets,
	       n->received, n->sent, unsent);
	assert_true(resets > 20 && n->received && n->sent && unsent);
	assert_int_equal(n->os.allocs, asked);
	assert_int_equal(n->lost + n->breaks, 0);
	nic_end(n);
	peer_close(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{"modern, merged, a vector each", test_reset, NULL, NULL, &forms[0]},
		{"modern, plain rings, INTx", test_reset, NULL, NULL, &forms[1]},
		{"legacy, merged, one vector", test_reset, NULL, NULL, &forms[2]},
		{"legacy, strict layout, INTx", test_reset, NULL, NULL, &forms[3]},
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
