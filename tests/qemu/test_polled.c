/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Polled mode against QEMU, as a kernel debugger uses it: ARP and ICMP by polled_send and
 * polled_recv alone, no interrupt looked at; with traffic of the frozen kernel in flight before and
 * delivered after; and with a device that does nothing (the machine is paused), a link that is
 * down, a wire that is silent: bounded each time.
 */
#include <stdio.h>

#include "tests/qemu/mini.h"
#include "wire/net.h"

#define WAIT_US	  2000000u /* for an answer that will come */
#define SHORT_US  20000u   /* for one that will not */
#define BOUND_US  400000u  /* what that may take on a machine that is busy otherwise */
#define POLLED	  4u	   /* frames the driver keeps room for */
#define BACKLOG	  40u
#define FRAME_MAX 1514u

struct form {
	const char *machine;
	enum nic_face face;
	enum vio_irq_mode irq;
	const char *props;
};

static struct form forms[] = {
	{"q35", NIC_MODERN, VIO_IRQ_MSIX_EACH, ""},
	{"pc", NIC_MODERN, VIO_IRQ_NONE, ",mrg_rxbuf=off,event_idx=off"},
	{"pc", NIC_LEGACY, VIO_IRQ_MSIX_ONE, ""},
	{"q35", NIC_LEGACY, VIO_IRQ_INTX, ",any_layout=off,mrg_rxbuf=off,indirect_desc=off"},
};

static void open_nic(const struct form *f, struct nic **n, struct mini *m)
{
	static const uint8_t ip[4] = {10, 0, 2, 15}, peer[4] = {10, 0, 2, 2};
	const struct nic_opts o = {
		.machine = f->machine, .face = f->face, .irq = f->irq, .props = f->props};

	*n = nic_new(&o);
	mini_init(m, *n);
	memcpy(m->ip, ip, 4);
	memcpy(m->peer, peer, 4);
}

/* Show received frames to the little guest until it has what it waits for. */
static void polled_until(struct nic *n, struct mini *m, const bool *what)
{
	uint8_t frame[FRAME_MAX];
	size_t len;

	while (!*what) {
		int err = vio_net_polled_recv(n->net, frame, sizeof(frame), &len, WAIT_US);

		if (err)
			fail_msg("vio_net_polled_recv: %d", err);
		n->frame(m, frame, (uint32_t)len, NULL);
	}
}

static void polled_arp(struct nic *n, struct mini *m)
{
	uint8_t frame[MINI_ARP_LEN];

	m->resolved = false;
	mini_arp(m, n->info.mac, frame);
	assert_int_equal(vio_net_polled_send(n->net, frame, sizeof(frame), WAIT_US), VIO_OK);
	polled_until(n, m, &m->resolved);
}

static void polled_ping(struct nic *n, struct mini *m, uint32_t size)
{
	uint8_t frame[FRAME_MAX];
	uint32_t len = mini_echo(m, n->info.mac, size, frame);

	assert_int_equal(vio_net_polled_send(n->net, frame, len, WAIT_US), VIO_OK);
	polled_until(n, m, &m->answered);
	if (!mini_right(m))
		fail_msg("polled ping of %u bytes came back changed", size);
}

static void test_arp_and_ping(void **state)
{
	struct vio_net_stats stats;
	unsigned exchanges = 1;
	struct mini m;
	struct nic *n;

	open_nic(*state, &n, &m);
	polled_arp(n, &m);
	for (uint32_t size = 1; size <= 1472; size = size * 2 + 1, exchanges++)
		polled_ping(n, &m, size);
	for (unsigned i = 0; i < 300; i++, exchanges++) /* around the rings */
		polled_ping(n, &m, 50 + i % 3);
	assert_int_equal(n->received + n->sent, 0); /* no upcall */
	vio_net_stats(n->net, &stats);
	assert_int_equal(stats.polled_tx, exchanges);
	assert_int_equal(stats.polled_rx, exchanges);
	assert_int_equal(stats.rx.irqs + stats.tx.irqs, 0);
	/* The kernel runs again. */
	mini_ping(&m, 1000);
	nic_drain(n);
	nic_end(n);
}

static void test_lengths(void **state)
{
	uint8_t frame[2048] = {0};
	struct mini m;
	struct nic *n;
	size_t len;

	open_nic(*state, &n, &m);
	polled_arp(n, &m);
	assert_int_equal(vio_net_polled_send(n->net, frame, 13, SHORT_US), VIO_EINVAL);
	assert_int_equal(vio_net_polled_send(n->net, frame, 2000, SHORT_US), VIO_EINVAL);
	assert_int_equal(vio_net_polled_send(n->net, frame, 14, SHORT_US), VIO_OK);
	/* An answer that does not fit the caller's buffer is passed over. */
	len = mini_echo(&m, n->info.mac, 500, frame);
	assert_int_equal(vio_net_polled_send(n->net, frame, len, SHORT_US), VIO_OK);
	assert_int_equal(vio_net_polled_recv(n->net, frame, 200, &len, SHORT_US), VIO_ETIMEDOUT);
	assert_int_equal(len, 0);
	polled_ping(n, &m, 100);
	nic_end(n);
}

/* Packets of the kernel are on both rings when the debugger stops it. */
static void test_mixed(void **state)
{
	uint8_t frame[FRAME_MAX];
	uint64_t sent;
	struct mini m;
	struct nic *n;

	open_nic(*state, &n, &m);
	mini_resolve(&m);
	for (unsigned round = 0; round < 20; round++) {
		nic_drain(n);
		sent = n->sent;
		for (unsigned i = 0; i < BACKLOG; i++) {
			struct nic_packet p = {.data = frame};

			p.len = mini_echo(&m, n->info.mac, 64 + i, frame);
			assert_int_equal(nic_send(n, &p), VIO_OK);
			if (i == BACKLOG / 2 && round & 1)
				vio_net_flush(n->net);
		}
		/* Half or all of it was not even notified; the answers come in between. */
		polled_ping(n, &m, 200 + round);
		polled_arp(n, &m);
		assert_int_equal(n->sent, sent); /* no upcall yet */
		mini_ping(&m, 300 + round);
		nic_drain(n);
		assert_int_equal(n->sent, sent + BACKLOG + 1);
	}
	nic_end(n);
}

static int timed_send(struct nic *n, const uint8_t *frame, size_t len)
{
	uint64_t start = wait_now_us();
	int err = vio_net_polled_send(n->net, frame, len, SHORT_US);

	assert_true(wait_now_us() - start < BOUND_US);
	return err;
}

static void recv_nothing(struct nic *n)
{
	uint64_t start = wait_now_us(), took;
	uint8_t frame[FRAME_MAX];
	size_t len = 1;

	assert_int_equal(vio_net_polled_recv(n->net, frame, sizeof(frame), &len, SHORT_US),
			 VIO_ETIMEDOUT);
	took = wait_now_us() - start;
	assert_true(took >= SHORT_US / 2 && took < BOUND_US);
	assert_int_equal(len, 0);
}

static void test_nothing_comes(void **state)
{
	uint8_t frame[MINI_ARP_LEN];
	struct mini m;
	struct nic *n;
	unsigned room;

	open_nic(*state, &n, &m);
	mini_arp(&m, n->info.mac, frame);
	recv_nothing(n);

	/* The link is down: frames go nowhere. */
	assert_int_equal(qemu_set_link(&n->q, NIC_NETDEV, false), VIO_OK);
	for (int i = 0; i < 10; i++)
		assert_int_equal(timed_send(n, frame, sizeof(frame)), VIO_OK);
	recv_nothing(n);
	assert_int_equal(qemu_set_link(&n->q, NIC_NETDEV, true), VIO_OK);
	polled_arp(n, &m);

	/* The machine is paused: nothing that is sent ever completes. */
	nic_qmp(n, "stop", NULL, NULL);
	for (room = 0; room <= POLLED; room++) {
		int err = timed_send(n, frame, sizeof(frame));

		if (err == VIO_ETIMEDOUT)
			break;
		assert_int_equal(err, VIO_OK);
	}
	assert_true(room > 0 && room <= POLLED);
	recv_nothing(n);
	nic_qmp(n, "cont", NULL, NULL);
	m.resolved = false;
	polled_until(n, &m, &m.resolved); /* what was sent meanwhile is answered now */
	polled_arp(n, &m);
	polled_ping(n, &m, 1472);

	vio_net_stop(n->net);
	assert_int_equal(timed_send(n, frame, sizeof(frame)), VIO_ENODEV);
	nic_start(n);
	polled_arp(n, &m);
	nic_end(n);
}

#define EACH_FORM(test)                                                                            \
	{#test ": modern", test, NULL, NULL, &forms[0]},                                           \
		{#test ": modern, polled altogether", test, NULL, NULL, &forms[1]},                \
		{#test ": legacy", test, NULL, NULL, &forms[2]},                                   \
	{                                                                                          \
#test ": legacy, strict layout, INTx", test, NULL, NULL, &forms[3]                 \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_FORM(test_arp_and_ping),
		EACH_FORM(test_lengths),
		EACH_FORM(test_mixed),
		EACH_FORM(test_nothing_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
