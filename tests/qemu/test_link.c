/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Link changes by QEMU's set_link reach the driver's upcall: on both transports, by every kind of
 * interrupt, on an idle device and between packets.
 *
 * The idle case is the strict one: a configuration interrupt is all there is. Under traffic, with
 * one vector for everything, a change hides among interrupts that mean packets, and its own may be
 * the last one that comes: there vio_net_tick is what finds it, and the tests call it.
 */
#include <stdio.h>

#include "tests/qemu/mini.h"
#include "tests/qemu/peer.h"

#define TOGGLES 8u
#define TICK_US 200000u

struct form {
	enum nic_face face;
	enum vio_irq_mode irq;
	bool traffic;
};

struct wire {
	struct nic *nic;
	struct peer peer;
	bool want;
	bool hiding; /* changes may hide: tick */
	uint64_t next_tick;
};

static void wire_turn(void *arg)
{
	struct wire *w = arg;
	uint8_t frame[64];

	peer_turn(&w->peer);
	if (!w->peer.flood)
		return;
	(void)peer_frame(&w->peer, w->peer.mac, 0, 0x77, sizeof(frame), frame);
	for (int i = 0; i < 4; i++) {
		struct nic_packet p = {.data = frame, .len = sizeof(frame)};

		if (nic_send(w->nic, &p))
			break;
	}
	vio_net_flush(w->nic->net);
	vio_net_tx_reclaim(w->nic->net, 64);
	if (w->hiding && wait_over(w->next_tick)) {
		vio_net_tick(w->nic->net);
		w->next_tick = wait_deadline_us(TICK_US);
	}
}

static void wire_open(struct wire *w, const struct form *f)
{
	struct nic_opts o = {
		.machine = f->irq == VIO_IRQ_MSIX_ONE ? "q35" : "pc",
		.face = f->face,
		.irq = f->irq,
	};

	peer_open(&w->peer);
	o.fd = w->peer.qemu_fd;
	o.netdev = w->peer.netdev;
	w->nic = nic_new(&o);
	w->nic->turn = wire_turn;
	w->nic->turn_arg = w;
	memcpy(w->peer.flood_to, w->nic->info.mac, 6);
	w->peer.flood = f->traffic ? 4 : 0;
	w->hiding = f->traffic && f->irq == VIO_IRQ_MSIX_ONE;
	w->next_tick = wait_deadline_us(TICK_US);
}

static void wire_close(struct wire *w)
{
	nic_end(w->nic);
	peer_close(&w->peer);
}

static bool wire_has_link(void *arg)
{
	const struct wire *w = arg;

	return w->nic->link.up == w->want;
}

static void wire_link(struct wire *w, const char *id, bool up)
{
	unsigned before = w->nic->links;

	if (qemu_set_link(&w->nic->q, id, up))
		fail_msg("set_link: %s", w->nic->q.err);
	w->want = up;
	if (!nic_pump(w->nic, wire_has_link, w, NIC_PATIENCE_MS))
		fail_msg("the driver did not see the link go %s", up ? "up" : "down");
	assert_int_equal(w->nic->links, before + 1);
}

static void test_toggle(void **state)
{
	const struct form *f = *state;
	struct vio_net_stats stats;
	struct wire w;

	wire_open(&w, f);
	assert_true(w.nic->links == 1 && w.nic->link.up);
	if (f->traffic)
		(void)nic_pump(w.nic, NULL, NULL, 20);
	w.nic->vectors = 0;
	for (unsigned i = 0; i < TOGGLES; i++) {
		const char *id = i & 1 ? NIC_NETDEV : NIC_NAME;
		uint64_t received;

		wire_link(&w, id, false);
		received = w.nic->received;
		(void)nic_pump(w.nic, NULL, NULL, 5);
		assert_true(w.nic->received <= received + 256); /* what was under way */
		wire_link(&w, id, true);
	}
	vio_net_stats(w.nic->net, &stats);
	assert_int_equal(stats.link_changes, 2 * TOGGLES);
	assert_int_equal(w.nic->breaks, 0);
	if (!f->traffic)
		assert_int_equal(w.nic->vectors, 1); /* configuration's, and no other */
	if (!f->traffic && f->irq == VIO_IRQ_MSIX_EACH)
		assert_int_equal(stats.config_irqs, 2 * TOGGLES);
	if (f->traffic) {
		uint64_t received = w.nic->received;

		(void)nic_pump(w.nic, NULL, NULL, 50);
		assert_true(w.nic->received > received && w.peer.frames > 0);
	}
	wire_close(&w);
}

/* Down and up before anybody looks; down before start; down while stopped. */
static void test_unseen(void **state)
{
	struct wire w;

	wire_open(&w, *state);
	assert_int_equal(qemu_set_link(&w.nic->q, NIC_NAME, false), VIO_OK);
	assert_int_equal(qemu_set_link(&w.nic->q, NIC_NAME, true), VIO_OK);
	(void)nic_pump(w.nic, NULL, NULL, 30);
	assert_true(w.nic->link.up);

	vio_net_stop(w.nic->net);
	assert_int_equal(qemu_set_link(&w.nic->q, NIC_NAME, false), VIO_OK);
	nic_start(w.nic);
	assert_false(w.nic->link.up);
	wire_link(&w, NIC_NAME, true);
	wire_close(&w);
}

static struct form forms[12];
static char names[13][64];

int main(void)
{
	static const enum vio_irq_mode irqs[] = {VIO_IRQ_MSIX_EACH, VIO_IRQ_MSIX_ONE, VIO_IRQ_INTX};
	static const char *const words[] = {"a vector each", "one vector", "INTx"};
	struct CMUnitTest tests[24];
	size_t n = 0;

	for (unsigned i = 0; i < 12; i++) {
		forms[i] = (struct form){
			.face = i & 1 ? NIC_LEGACY : NIC_MODERN,
			.irq = irqs[i >> 2],
			.traffic = i >> 1 & 1,
		};
		(void)snprintf(names[i], sizeof(names[i]), "%s, %s, %s",
			       i & 1 ? "legacy" : "modern", words[i >> 2],
			       forms[i].traffic ? "traffic" : "idle");
		tests[n++] = (struct CMUnitTest){
			.name = names[i], .test_func = test_toggle, .initial_state = &forms[i]};
		if (!forms[i].traffic)
			tests[n++] = (struct CMUnitTest){.name = "unseen changes",
							 .test_func = test_unseen,
							 .initial_state = &forms[i]};
	}
	return _cmocka_run_group_tests("link", tests, n, NULL, NULL);
}
