/* SPDX-License-Identifier: BSD-2-Clause */
/* Polled mode: a debugger's way in and out while everything else stands still. */
#include "tests/unit/net_kit.h"

#include "tests/lib/rig_internal.h" /* an OS of one's own around it */

static uint8_t buf[RIG_FRAME_ROOM], got[2000];

/* An OS whose clock may stand still; otherwise the rig's. */
static bool stuck;
static unsigned turns;

static uint64_t my_time(void *os)
{
	turns++;
	return stuck ? 12345 : rig_os_ops.time_us(os);
}

static void my_delay(void *os, uint32_t us)
{
	turns++;
	rig_os_ops.delay_us(os, us);
}

static struct vio_os_ops my_ops;

static struct rig *polled_start(struct rig_opts *o)
{
	struct rig *r = rig_create_bare(o);

	assert_non_null(r);
	my_ops = rig_os_ops;
	my_ops.time_us = my_time;
	my_ops.delay_us = my_delay;
	stuck = false;
	r->os.ops = &my_ops;
	assert_int_equal(rig_attach(r), VIO_OK);
	assert_int_equal(rig_start(r), VIO_OK);
	return r;
}

/* Upcalls and allocations so far: polled calls must not add to them. */
static uint64_t noise(struct rig *r)
{
	struct rig_counts c = kit_counts(r);

	return c.rx_given + c.rx_packets + c.rx_returned + c.tx_ok + c.tx_again + c.links +
	       c.announces + c.brokens + c.allocs + c.dma_allocs;
}

static void opts_of(unsigned bits, struct rig_opts *o)
{
	kit_opts(o);
	o->model.interface = bits & 1 ? MODEL_LEGACY : MODEL_MODERN;
	if (bits & 2)
		o->model.features &= ~NB(MRG_RXBUF);
	if (bits & 4)
		o->model.features &= ~(KIT_GUEST_GSO | KIT_HOST_GSO | NB(GUEST_HDRLEN));
	o->model.immediate = bits & 8;
	o->params.irq_mode = bits & 1 ? VIO_IRQ_INTX : VIO_IRQ_MSIX_EACH;
}

static void test_send_and_receive(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 16; bits++) {
		struct rig_opts o;
		uint64_t before;
		struct rig *r;
		size_t len, n;

		opts_of(bits, &o);
		r = polled_start(&o);
		kit_traffic(r, 5, 1);
		before = noise(r);
		for (unsigned i = 0; i < 300; i++) {
			len = kit_frame(buf, i * 4 + 1, i);
			assert_int_equal(vio_net_polled_send(rig_net(r), buf, len, 1000), VIO_OK);
			model_poll(rig_model(r));
			assert_true(rig_expect_sent(r, i, buf, len));
			len = kit_frame(buf, 1200 - i * 4, i);
			assert_int_equal(model_receive(rig_model(r), NULL, buf, len), MODEL_RX_OK);
			assert_int_equal(
				vio_net_polled_recv(rig_net(r), got, sizeof(got), &n, 1000),
				VIO_OK);
			assert_int_equal(n, len);
			assert_memory_equal(got, buf, len);
		}
		assert_true(noise(r) == before);
		assert_int_equal(kit_stats(r).polled_tx, 300);
		assert_int_equal(kit_stats(r).polled_rx, 300);
		kit_traffic(r, 10, 2); /* and the kernel goes on as if nothing had been */
		kit_end(r);
	}
}

/* The kernel stopped in the middle of traffic; what it owned stays its own. */
static void test_in_the_middle(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 16; bits++) {
		struct rig_opts o;
		struct rig_tx tx = {.frame = buf};
		struct rig *r;
		uint64_t before;
		size_t n;

		opts_of(bits, &o);
		o.model.queue_size[1] = 16;
		r = polled_start(&o);
		model_hold(rig_model(r), 1, true);
		tx.len = kit_frame(buf, 100, 1);
		while (rig_send_ex(r, &tx) == VIO_OK)
			;
		(void)!vio_net_tx_arm(rig_net(r));
		rig_hold_irqs(r, true);
		before = noise(r);
		/* No place: waits, and says so. */
		assert_int_equal(vio_net_polled_send(rig_net(r), buf, tx.len, 500), VIO_ETIMEDOUT);
		model_hold(rig_model(r), 1, false);
		for (unsigned i = 0; i < 50; i++)
			assert_int_equal(vio_net_polled_send(rig_net(r), buf, tx.len, 5000),
					 VIO_OK);
		for (unsigned i = 0; i < 20; i++) {
			assert_int_equal(model_receive(rig_model(r), NULL, buf, tx.len),
					 MODEL_RX_OK);
			assert_int_equal(vio_net_polled_recv(rig_net(r), got, sizeof(got), &n, 500),
					 VIO_OK);
		}
		assert_true(noise(r) == before);
		rig_hold_irqs(r, false);
		rig_pump(r);
		rig_tick(r, 1000);
		assert_int_equal(kit_counts(r).tx_with_driver, 0);
		assert_int_equal(kit_counts(r).tx_ok, kit_counts(r).tx_sent);
		kit_traffic(r, 10, 3);
		kit_end(r);
	}
}

/* What the frozen kernel waits for may have been taken by the debugger: arming finds it. */
static void test_arm_finds_deferred(void **state)
{
	struct rig_opts o;
	struct rig_tx tx = {.frame = buf};
	struct rig *r;

	(void)state;
	opts_of(8, &o);
	o.model.queue_size[1] = 16;
	r = polled_start(&o);
	tx.len = kit_frame(buf, 100, 1);
	model_hold(rig_model(r), 1, true);
	while (rig_send_ex(r, &tx) == VIO_OK)
		;
	vio_net_flush(rig_net(r));
	model_hold(rig_model(r), 1, false);
	model_poll(rig_model(r));
	assert_int_equal(vio_net_polled_send(rig_net(r), buf, tx.len, 500), VIO_OK);
	r->pending = 0;
	assert_true(vio_net_tx_arm(rig_net(r)) || vio_net_tx_room(rig_net(r), 1));
	assert_true(vio_net_tx_room(rig_net(r), 1));
	kit_end(r);
}

/* Every wait ends, by the clock or by count (H-15). */
static void test_h15_waits_end(void **state)
{
	static const uint32_t timeouts[] = {0, 1, 2, 100, 10000};

	(void)state;
	for (int still = 0; still < 2; still++) {
		struct rig_opts o;
		struct rig *r;
		size_t n = 77;

		opts_of(0, &o);
		o.model.queue_size[1] = 4;
		r = polled_start(&o);
		stuck = still;
		for (unsigned i = 0; i < COUNT(timeouts); i++) {
			uint64_t start = rig_now(r);

			turns = 0;
			assert_int_equal(
				vio_net_polled_recv(rig_net(r), got, sizeof(got), &n, timeouts[i]),
				VIO_ETIMEDOUT);
			assert_int_equal(n, 0);
			assert_true(turns <= 2 * timeouts[i] + 8);
			assert_true(rig_now(r) - start <= timeouts[i] + 10);
		}
		model_hold(rig_model(r), 1, true);
		turns = 0;
		while (vio_net_polled_send(rig_net(r), buf, 60, 200) == VIO_OK)
			;
		assert_true(turns < 2000);
		model_hold(rig_model(r), 1, false);
		/* A flood of frames that are no use ends too. */
		if (!still) {
			struct model_hdr bad = {.gso_type = 77};

			for (unsigned i = 0; i < 100; i++)
				model_receive_raw(rig_model(r), &bad, buf, 60);
			assert_int_equal(vio_net_polled_recv(rig_net(r), got, sizeof(got), &n, 100),
					 VIO_ETIMEDOUT);
		}
		stuck = false;
		kit_end(r);
	}
}

static void test_bounds(void **state)
{
	struct rig_opts o;
	struct rig *r;
	size_t n;

	(void)state;
	opts_of(8, &o);
	r = polled_start(&o);
	memset(buf, 0xff, 2000);
	assert_int_equal(vio_net_polled_send(rig_net(r), buf, 13, 100), VIO_EINVAL);
	assert_int_equal(vio_net_polled_send(rig_net(r), buf, 1525, 100), VIO_EINVAL);
	assert_int_equal(vio_net_polled_send(rig_net(r), buf, 14, 100), VIO_OK);
	assert_int_equal(vio_net_polled_send(rig_net(r), buf, 1514, 100), VIO_OK);
	/* One byte too long is left out, the next that fits is taken. */
	for (size_t size = 60; size < 80; size++) {
		uint8_t *exact = malloc(size);

		assert_int_equal(model_receive(rig_model(r), NULL, buf, size + 1), MODEL_RX_OK);
		assert_int_equal(model_receive(rig_model(r), NULL, buf, size), MODEL_RX_OK);
		assert_int_equal(vio_net_polled_recv(rig_net(r), exact, size, &n, 1000), VIO_OK);
		assert_int_equal(n, size);
		free(exact);
	}
	assert_int_equal(vio_net_stop(rig_net(r)), VIO_OK);
	assert_int_equal(vio_net_polled_send(rig_net(r), buf, 60, 100), VIO_ENODEV);
	assert_int_equal(vio_net_polled_recv(rig_net(r), got, sizeof(got), &n, 100), VIO_ENODEV);
	kit_end(r);
}

/* Checksums left to us are finished, large packets are not for a debugger. */
static void test_offloads(void **state)
{
	struct rig_opts o;
	struct rig *r;
	struct model_hdr hdr;
	size_t n, len;

	(void)state;
	opts_of(8, &o);
	r = polled_start(&o);
	for (unsigned k = 0; k < 4; k++) {
		struct rig_flow flow = kit_flow();

		flow.udp = k & 1;
		flow.ipv6 = k & 2;
		len = rig_frame_partial(buf, &flow, 333, k, &hdr);
		assert_int_equal(model_receive(rig_model(r), &hdr, buf, len), MODEL_RX_OK);
		assert_int_equal(vio_net_polled_recv(rig_net(r), got, sizeof(got), &n, 1000),
				 VIO_OK);
		assert_int_equal(n, len);
		assert_true(model_sums_right(got, n));
		hdr.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
		hdr.gso_size = 100;
		model_receive_raw(rig_model(r), &hdr, buf, len);
		assert_int_equal(vio_net_polled_recv(rig_net(r), got, sizeof(got), &n, 100),
				 VIO_ETIMEDOUT);
	}
	kit_end(r);
}

/* A packet of several buffers, whole and half; afterwards the ring knows where it is. */
static void test_merged(void **state)
{
	struct rig_opts o;
	struct rig *r;
	size_t n, len;

	(void)state;
	opts_of(8, &o);
	o.params.rx_buf_min = 256;
	r = polled_start(&o);
	for (unsigned i = 0; i < 50; i++) {
		len = kit_frame(buf, 200 + i * 20, i);
		assert_int_equal(model_receive(rig_model(r), NULL, buf, len), MODEL_RX_OK);
		assert_int_equal(vio_net_polled_recv(rig_net(r), got, sizeof(got), &n, 1000),
				 VIO_OK);
		assert_int_equal(n, len);
		assert_memory_equal(got, buf, n);
		/* Too long for the buffer: dropped whole. */
		assert_int_equal(model_receive(rig_model(r), NULL, buf, len), MODEL_RX_OK);
		assert_int_equal(vio_net_polled_recv(rig_net(r), got, len - 1, &n, 50),
				 VIO_ETIMEDOUT);
	}
	kit_traffic(r, 30, 4);
	kit_end(r);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_send_and_receive),
	cmocka_unit_test(test_in_the_middle),
	cmocka_unit_test(test_arm_finds_deferred),
	cmocka_unit_test(test_h15_waits_end),
	cmocka_unit_test(test_bounds),
	cmocka_unit_test(test_offloads),
	cmocka_unit_test(test_merged),
};

UNIT_MAIN(60, tests)
