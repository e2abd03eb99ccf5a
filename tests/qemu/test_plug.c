/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Devices that go away: unplugged between packets and plugged in again, and a QEMU that is killed.
 * Either way the driver notices within bounds, says so, gives every buffer back once, and leaves
 * nothing allocated.
 */
#include <signal.h>
#include <stdio.h>

#include "tests/qemu/mini.h"
#include "tests/qemu/peer.h"

#define GONE_MS	   5000u
#define BOUND_US   3000000u /* for the driver to give up, however it notices */
#define LOAD_MS	   30u
#define PLUG_TIMES 3u

struct form {
	const char *machine;
	enum nic_face face;
	enum vio_irq_mode irq;
	bool fast;
};

static struct form forms[] = {
	{"q35", NIC_MODERN, VIO_IRQ_MSIX_EACH, true},
	{"pc", NIC_MODERN, VIO_IRQ_INTX, false},
	{"pc", NIC_LEGACY, VIO_IRQ_MSIX_ONE, false},
	{"q35", NIC_LEGACY, VIO_IRQ_MSIX_EACH, true},
};

struct wire {
	struct nic *nic;
	struct peer peer;
	struct mini mini;
	unsigned breaks; /* of the driver, before what is about to happen to it */
};

static void wire_turn(void *arg)
{
	struct wire *w = arg;
	uint8_t frame[300];

	peer_turn(&w->peer);
	(void)peer_frame(&w->peer, w->peer.mac, 0, 0x66, sizeof(frame), frame);
	for (int i = 0; w->peer.flood && i < 8; i++) {
		struct nic_packet p = {.data = frame, .len = sizeof(frame)};

		if (nic_send(w->nic, &p))
			break;
	}
	if (w->nic->net) {
		vio_net_flush(w->nic->net);
		vio_net_tx_reclaim(w->nic->net, 64);
	}
}

static void wire_load(struct wire *w)
{
	static const uint8_t guest[4] = PEER_GUEST, host[4] = PEER_IP;

	qemu_pci_fast_kick(w->nic->f, false);
	w->peer.flood = 0;
	mini_init(&w->mini, w->nic);
	memcpy(w->mini.ip, guest, 4);
	memcpy(w->mini.peer, host, 4);
	mini_ping(&w->mini, 700);
	memcpy(w->peer.flood_to, w->nic->info.mac, 6);
	w->peer.flood = 8;
	(void)nic_pump(w->nic, NULL, NULL, LOAD_MS);
	assert_true(w->nic->sent > 0 && w->nic->received > 0);
	w->breaks = w->nic->breaks;
}

static void wire_open(struct wire *w, const struct form *f)
{
	struct nic_opts o = {.machine = f->machine, .face = f->face, .irq = f->irq};

	*w = (struct wire){.nic = NULL};
	peer_open(&w->peer);
	o.fd = w->peer.qemu_fd;
	o.netdev = w->peer.netdev;
	w->nic = nic_boot(&o);
	nic_attach(w->nic);
	qemu_pci_fast_kick(w->nic->f, f->fast);
	assert_int_equal(nic_create(w->nic), VIO_OK);
	nic_start(w->nic);
	w->nic->turn = wire_turn;
	w->nic->turn_arg = w;
}

/* The driver finds out by itself, as a port's timer would have it, or is told to stop. */
static void wire_expect_gone(struct wire *w, bool told)
{
	uint64_t start = wait_now_us();
	struct nic *n = w->nic;
	int err = VIO_OK;

	if (!told) {
		/* It may have noticed already, with the traffic that was in flight. */
		if (n->breaks == w->breaks) {
			nic_turn(n);
			vio_net_tick(n->net);
		}
		assert_int_equal(n->breaks, w->breaks + 1);
		err = vio_net_recover(n->net);
	} else {
		err = vio_net_stop(n->net);
	}
	assert_int_equal(err, VIO_ENODEV);
	assert_true(wait_now_us() - start < BOUND_US);
	if (n->fault)
		fail_msg("%s", n->fault);
	assert_true(nic_idle(n));
	assert_false(vio_net_running(n->net));
	assert_int_equal(n->lost, 0);
	/* It stays away. */
	assert_int_equal(vio_net_start(n->net), VIO_ENODEV);
	assert_int_equal(vio_net_recover(n->net), VIO_ENODEV);
	assert_true(wait_now_us() - start < BOUND_US);
}

static void plug_in(struct wire *w, const struct form *f)
{
	bool port = !strcmp(f->machine, "q35");
	json_t *props = json_pack("{s:s,s:b,s:b}", "netdev", NIC_NETDEV, "disable-legacy",
				  f->face == NIC_MODERN, "disable-modern", f->face == NIC_LEGACY);

	if (f->irq == VIO_IRQ_INTX)
		json_object_set_new(props, "vectors", json_integer(0));
	if (qemu_device_add(&w->nic->q, "virtio-net-pci", NIC_NAME, port ? QEMU_ROOT_PORT : NULL,
			    props))
		fail_msg("device_add: %s", w->nic->q.err);
	if (qemu_pci_scan(&w->nic->bus, &w->nic->q))
		fail_msg("bus: %s", w->nic->bus.err);
	nic_attach(w->nic);
	assert_int_equal(nic_create(w->nic), VIO_OK);
	nic_start(w->nic);
}

static void test_unplug(void **state)
{
	const struct form *f = *state;
	struct wire w;

	wire_open(&w, f);
	for (unsigned i = 0; i < PLUG_TIMES; i++) {
		wire_load(&w);
		if (qemu_device_del(&w.nic->q, NIC_NAME, GONE_MS))
			fail_msg("device_del: %s", w.nic->q.err);
		wire_expect_gone(&w, i & 1);
		nic_remove(w.nic);
		plug_in(&w, f);
	}
	wire_load(&w);
	w.peer.flood = 0;
	nic_drain(w.nic);
	assert_int_equal(qemu_check(&w.nic->q), VIO_OK);
	nic_end(w.nic);
	peer_close(&w.peer);
}

static void kill_qemu(const struct form *f, bool told)
{
	struct wire w;

	wire_open(&w, f);
	wire_load(&w);
	assert_true(w.nic->q.pid > 0);
	assert_int_equal(kill(w.nic->q.pid, SIGKILL), 0);
	(void)nic_pump(w.nic, NULL, NULL, 20);
	wire_expect_gone(&w, told);
	assert_int_equal(qemu_check(&w.nic->q), VIO_ENODEV);
	nic_end(w.nic);
	peer_close(&w.peer);
}

static void test_kill(void **state)
{
	kill_qemu(*state, false);
	kill_qemu(*state, true);
}

#define EACH_FORM(test)                                                                            \
	{#test ": modern behind a root port", test, NULL, NULL, &forms[0]},                        \
		{#test ": modern on pc, INTx", test, NULL, NULL, &forms[1]},                       \
		{#test ": legacy on pc", test, NULL, NULL, &forms[2]},                             \
	{                                                                                          \
#test ": legacy behind a root port", test, NULL, NULL, &forms[3]                   \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_FORM(test_unplug),
		EACH_FORM(test_kill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
