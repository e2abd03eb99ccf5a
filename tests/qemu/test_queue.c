/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings at their ends: a transmit ring that is full because the wire is, a receive ring that ran
 * dry because the port had no buffers, interrupts held back and let go.
 */
#include <stdio.h>

#include "tests/qemu/mini.h"
#include "tests/qemu/peer.h"

#define FRAME	   1000u
#define FLOOD_MAX  4000u /* frames; more than rings and sockets hold */
#define QUIET_MS   30u
#define TX_PACKETS 2500u

struct form {
	const char *machine;
	enum nic_face face;
	enum vio_irq_mode irq;
	const char *props;
};

static struct form forms[] = {
	{"q35", NIC_MODERN, VIO_IRQ_MSIX_EACH, ""},
	{"pc", NIC_MODERN, VIO_IRQ_INTX, ",event_idx=off,indirect_desc=off"},
	{"pc", NIC_LEGACY, VIO_IRQ_MSIX_ONE, ",mrg_rxbuf=off"},
	{"q35", NIC_LEGACY, VIO_IRQ_INTX, ",event_idx=off,any_layout=off,mrg_rxbuf=off"},
};

struct wire {
	struct nic *nic;
	struct peer peer;
	struct mini mini;
	uint64_t goal;
};

static void wire_open(struct wire *w, const struct form *f)
{
	static const uint8_t guest[4] = PEER_GUEST, host[4] = PEER_IP;
	struct nic_opts o = {
		.machine = f->machine,
		.face = f->face,
		.irq = f->irq,
		.props = f->props,
		.tx_bufs = TX_PACKETS,
	};

	peer_open(&w->peer);
	o.fd = w->peer.qemu_fd;
	o.netdev = w->peer.netdev;
	w->nic = nic_new(&o);
	w->nic->turn = peer_turn;
	w->nic->turn_arg = &w->peer;
	mini_init(&w->mini, w->nic);
	memcpy(w->mini.ip, guest, 4);
	memcpy(w->mini.peer, host, 4);
	memcpy(w->peer.flood_to, w->nic->info.mac, 6);
	mini_ping(&w->mini, 99);
	nic_drain(w->nic);
}

static void wire_close(struct wire *w)
{
	assert_int_equal(w->nic->breaks, 0);
	nic_end(w->nic);
	peer_close(&w->peer);
}

static bool sent_goal(void *arg)
{
	const struct wire *w = arg;

	return w->nic->sent >= w->goal;
}

static bool received_goal(void *arg)
{
	const struct wire *w = arg;

	return w->nic->received >= w->goal;
}

/* Send until there is no room, and be told by an interrupt when there is. */
static void test_tx_full(void **state)
{
	uint8_t frame[FRAME];
	uint64_t accepted, frames;
	struct wire w;

	wire_open(&w, *state);
	(void)peer_frame(&w.peer, w.peer.mac, 0, 1, sizeof(frame), frame);
	for (unsigned round = 0; round < 3; round++) {
		struct nic_packet p = {.data = frame, .len = sizeof(frame)};
		uint64_t before = w.nic->sent;
		int err;

		frames = w.peer.frames;
		accepted = 0;
		w.peer.deaf = true;
		do {
			/* The wire takes a good many; full is when it stays so. */
			while ((err = nic_send(w.nic, &p)) == VIO_OK)
				accepted++;
			assert_int_equal(err, VIO_EAGAIN);
			assert_true(accepted < TX_PACKETS);
			vio_net_flush(w.nic->net);
			(void)nic_pump(w.nic, NULL, NULL, QUIET_MS);
			err = nic_send(w.nic, &p);
			accepted += err == VIO_OK;
		} while (err == VIO_OK || vio_net_tx_arm(w.nic->net));
		assert_int_equal(err, VIO_EAGAIN);
		assert_true(accepted > 60);

		/* No call but those that interrupts lead to. */
		w.peer.deaf = false;
		w.goal = w.nic->sent + 1;
		if (!nic_pump(w.nic, sent_goal, &w, NIC_PATIENCE_MS))
			fail_msg("no interrupt told of room");
		assert_true(vio_net_tx_room(w.nic->net, 1));
		nic_drain(w.nic);
		assert_int_equal(w.nic->sent - before, accepted);
		(void)nic_pump(w.nic, NULL, NULL, 1);
		while (w.peer.frames - frames < accepted)
			nic_turn(w.nic);
		mini_ping(&w.mini, 100 + round);
		nic_drain(w.nic);
	}
	wire_close(&w);
}

/* No buffers: the ring runs dry, frames wait or are lost; then the tick refills it. */
static void test_rx_dry(void **state)
{
	struct vio_net_stats stats;
	struct wire w;

	wire_open(&w, *state);
	for (unsigned round = 0; round < 3; round++) {
		w.nic->hungry = true;
		w.peer.flood = 8;
		while (vio_net_rx_posted(w.nic->net) && w.peer.flooded < FLOOD_MAX * (round + 1))
			nic_turn(w.nic);
		assert_int_equal(vio_net_rx_posted(w.nic->net), 0);
		(void)nic_pump(w.nic, NULL, NULL, QUIET_MS);
		w.peer.flood = 0;
		w.goal = w.nic->received + 1;
		w.nic->hungry = false;
		assert_int_equal(w.nic->received, w.goal - 1);
		vio_net_tick(w.nic->net);
		assert_int_equal(
			vio_net_rx_posted(w.nic->net),
			w.nic->info.rx_size >>
				(w.nic->pci.t.legacy && strstr(w.nic->o.props, "any_layout=off")
					 ? 1
					 : 0));
		if (!nic_pump(w.nic, received_goal, &w, NIC_PATIENCE_MS))
			fail_msg("nothing is received any more");
		mini_ping(&w.mini, 200 + round);
		nic_drain(w.nic);
	}
	vio_net_stats(w.nic->net, &stats);
	assert_true(stats.rx.full > 0);
	assert_int_equal(stats.rx.dropped, 0);
	wire_close(&w);
}

/* Masked vectors keep what they had to say. */
static void test_masked(void **state)
{
	struct wire w;

	wire_open(&w, *state);
	assert_int_equal(w.nic->irq.mode, IRQ_MSIX);
	for (unsigned round = 0; round < 4; round++) {
		uint64_t received = w.nic->received;

		if (round & 1)
			irq_msix_mask_all(&w.nic->irq, true);
		else
			irq_msix_mask(&w.nic->irq, w.nic->irq.vectors > 1 ? 1 : 0, true);
		for (unsigned i = 0; i < 5; i++) {
			uint8_t frame[64];

			(void)peer_frame(&w.peer, w.nic->info.mac, 0, 1, sizeof(frame), frame);
			assert_true(peer_send(&w.peer, frame, sizeof(frame)));
		}
		(void)nic_pump(w.nic, NULL, NULL, QUIET_MS);
		assert_int_equal(w.nic->received, received);
		if (round & 1)
			irq_msix_mask_all(&w.nic->irq, false);
		else
			irq_msix_mask(&w.nic->irq, w.nic->irq.vectors > 1 ? 1 : 0, false);
		w.goal = received + 5;
		if (!nic_pump(w.nic, received_goal, &w, NIC_PATIENCE_MS))
			fail_msg("an interrupt was lost in the mask");
		mini_ping(&w.mini, 300 + round);
		nic_drain(w.nic);
	}
	wire_close(&w);
}

#define EACH_FORM(test)                                                                            \
	{#test ": modern", test, NULL, NULL, &forms[0]},                                           \
		{#test ": modern, plain rings", test, NULL, NULL, &forms[1]},                      \
		{#test ": legacy", test, NULL, NULL, &forms[2]},                                   \
	{                                                                                          \
#test ": legacy, plain rings", test, NULL, NULL, &forms[3]                         \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_FORM(test_tx_full),
		EACH_FORM(test_rx_dry),
		{"test_masked: modern", test_masked, NULL, NULL, &forms[0]},
		{"test_masked: legacy", test_masked, NULL, NULL, &forms[2]},
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
