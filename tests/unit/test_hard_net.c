/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network driver and its transport against a device that lies, one hardening rule after the
 * other, on the model in hostile mode or with headers made by hand. Names begin with the rule.
 */
#include "tests/unit/net_kit.h"

#define KIND(k) (UINT64_C(1) << MODEL_MUT_##k)

static uint8_t buf[RIG_FRAME_ROOM];

static struct rig_opts opts_hard(void)
{
	struct rig_opts o;

	kit_opts(&o);
	o.rx_buffers = 100;
	o.tx_buffers = 100;
	o.model.features = model_features_default() | KIT_GUEST_GSO | KIT_HOST_GSO;
	for (unsigned q = 0; q < MODEL_QUEUES; q++)
		o.model.queue_size[q] = 64;
	o.no_monitor_fail = true;
	return o;
}

static void traffic(struct rig *r, unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		struct rig_tx tx = {.frame = buf};

		tx.len = kit_frame(buf, 10 + i % 1300, i);
		model_receive(rig_model(r), NULL, buf, tx.len);
		(void)!rig_send_ex(r, &tx);
		vio_net_flush(rig_net(r));
		rig_pump(r);
		if (i % 16 == 0)
			rig_tick(r, 1000);
		if (i % 8 == 0)
			rig_advance(r, 30000000); /* not given up for breaking often */
	}
}

/* Lives under one kind of lie: everything comes back, and where it can, work goes on. */
static void lies(uint64_t kinds, unsigned rate, bool must_break)
{
	uint64_t breaks = 0, mutations = 0;

	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct rig_opts o = opts_hard();
		struct rig *r;

		o.model.immediate = seed & 1;
		o.model.interface = seed % 3 ? MODEL_MODERN : MODEL_LEGACY;
		o.params.irq_mode = seed & 2 ? VIO_IRQ_INTX : VIO_IRQ_MSIX_EACH;
		r = kit_start(&o);
		rig_auto_recover(r, true);
		model_hostile(rig_model(r), seed, rate, kinds);
		traffic(r, 150);
		mutations += model_mutations(rig_model(r));
		model_hostile(rig_model(r), seed, 0, 0);
		breaks += kit_counts(r).brokens;
		assert_int_equal(model_readbacks(rig_model(r)), 0); /* H-1 */
		/* Truth again: after one reset it all works. */
		rig_advance(r, 60000001);
		if (vio_net_recover(rig_net(r)) == VIO_OK)
			kit_traffic(r, 10, 1);
		kit_end_bad(r);
	}
	assert_true(mutations >= 6);
	assert_int_equal(breaks > 0, must_break);
}

static void test_h1_scribbled_shared_memory(void **state)
{
	(void)state;
	lies(KIND(DESC) | KIND(AVAIL), 20000, false);
}

static void test_h2_buffers_change_under_us(void **state)
{
	(void)state;
	lies(KIND(BUFFER) | KIND(USED_RING), 20000, false);
}

static void test_h3_used_idx(void **state)
{
	(void)state;
	lies(KIND(USED_IDX), 3000, true);
}

static void test_h4_used_id(void **state)
{
	(void)state;
	lies(KIND(USED_ID), 3000, true);
	lies(KIND(USED_DUP), 3000, true);
}

static void test_h5_used_len(void **state)
{
	(void)state;
	lies(KIND(USED_LEN), 8000, true);
}

/* H-6: a frame too short for its header, in every form of header. */
static void test_h6_shorter_than_header(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 4; bits++) {
		struct rig_opts o = opts_hard();
		struct rig *r;

		o.model.interface = bits & 1 ? MODEL_LEGACY : MODEL_MODERN;
		if (bits & 2)
			o.model.features &= ~NB(MRG_RXBUF);
		r = kit_start(&o);
		for (size_t len = 0; len < 14; len++) { /* nor for Ethernet's */
			model_receive_raw(rig_model(r), NULL, buf, len);
			rig_pump(r);
		}
		assert_int_equal(rig_received(r), 0);
		assert_true(kit_stats(r).rx.dropped >= 13);
		assert_int_equal(kit_counts(r).brokens, 0);
		kit_traffic(r, 20, 1);
		kit_end_bad(r);
	}
	lies(KIND(FRAME_LEN) | KIND(USED_LEN), 6000, true);
}

static void test_h7_num_buffers(void **state)
{
	(void)state;
	lies(KIND(NUM_BUFFERS), 6000, true);
}

/* H-7: buffers that are owed are counted also when the frame is dropped. */
static void test_h7_dropped_frame_keeps_count(void **state)
{
	struct rig_opts o = opts_hard();
	struct model_hdr bad = {.gso_type = 0x33};
	struct rig *r = kit_start(&o);
	unsigned n;

	(void)state;
	o.params.rx_buf_min = 256;
	for (unsigned i = 0; i < 40; i++) {
		size_t len = kit_frame(buf, 6000 + i * 100, i);

		model_receive_raw(rig_model(r), &bad, buf, len); /* four buffers, to be dropped */
		len = kit_frame(buf, 5000, i);
		model_receive_raw(rig_model(r), NULL, buf, len);
		rig_pump(r);
		n = rig_received(r);
		assert_int_equal(n, i + 1);
		assert_true(rig_expect(r, i, buf, len));
	}
	assert_int_equal(kit_stats(r).rx.dropped, 40);
	assert_int_equal(kit_stats(r).rx.merged, 40);
	assert_int_equal(kit_counts(r).brokens, 0);
	kit_end(r);
}

/* H-8: each header that cannot be is dropped; the frame after it is received. */
static void test_h8_bad_headers_dropped(void **state)
{
	static const struct model_hdr bad[] = {
		{.gso_type = VIRTIO_NET_HDR_GSO_TCPV4}, /* size 0 */
		{.gso_type = VIRTIO_NET_HDR_GSO_UDP, .gso_size = 100},
		{.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4, .gso_size = 100},
		{.gso_type = 2, .gso_size = 100},
		{.gso_type = 0x7f, .gso_size = 100},
		{.gso_type = VIRTIO_NET_HDR_GSO_ECN},
		{.gso_type = VIRTIO_NET_HDR_GSO_TCPV6, .gso_size = 100}, /* it is IPv4 */
		{.flags = 1, .csum_start = 0xffff, .csum_offset = 0},
		{.flags = 1, .csum_start = 0, .csum_offset = 0xffff},
		{.flags = 1, .csum_start = 0xffff, .csum_offset = 0xffff},
		{.flags = 1, .csum_start = 1000, .csum_offset = 54 - 1},
		{.flags = 1, .gso_type = 1, .gso_size = 100, .csum_start = 34, .csum_offset = 6},
		{.flags = 1, .gso_type = 1, .gso_size = 100, .csum_start = 33, .csum_offset = 16},
	};
	struct rig_opts o = opts_hard();
	struct rig_flow flow = kit_flow();
	struct rig *r;
	size_t l4, len;

	(void)state;
	for (int legacy = 0; legacy < 2; legacy++) {
		o.model.interface = legacy ? MODEL_LEGACY : MODEL_MODERN;
		r = kit_start(&o);
		len = rig_frame(buf, &flow, 1000, 1, &l4);
		for (unsigned i = 0; i < COUNT(bad); i++) {
			model_receive_raw(rig_model(r), &bad[i], buf, len);
			rig_pump(r);
			assert_int_equal(rig_received(r), i);
			assert_int_equal(kit_stats(r).rx.dropped, i + 1);
			model_receive_raw(rig_model(r), NULL, buf, len);
			rig_pump(r);
			assert_true(rig_expect(r, i, buf, len));
		}
		assert_int_equal(kit_counts(r).brokens, 0);
		kit_end(r);
	}
	lies(KIND(HDR), 20000, false);
}

/* H-9: every MTU is taken or refused with the feature; the driver works either way. */
static void test_h9_config_values(void **state)
{
	static const uint16_t mtus[] = {0, 1, 67, 68, 1500, 9000, 65535};

	(void)state;
	for (unsigned i = 0; i < COUNT(mtus); i++) {
		struct rig_opts o = opts_hard();
		bool good = mtus[i] >= 68;
		struct rig *r;

		o.model.features |= NB(MTU);
		o.model.mtu = mtus[i];
		r = kit_start(&o);
		assert_int_equal(kit_info(r).mtu_known, good);
		assert_int_equal(kit_info(r).mtu, good ? mtus[i] : 1500);
		if (mtus[i] != 68)
			kit_traffic(r, 10, 1);
		kit_end_bad(r);
	}
	lies(KIND(CONFIG), 20000, false);
}

static void test_h9_generation_never_stands_still(void **state)
{
	struct rig_opts o = opts_hard();
	struct rig *r = kit_start(&o);

	(void)state;
	model_hostile(rig_model(r), 3, 65536, KIND(GENERATION));
	model_config_changed(rig_model(r));
	rig_tick(r, 1000);
	assert_int_equal(kit_counts(r).brokens, 1);
	assert_non_null(rig_why(r));
	kit_end_bad(r);
}

/* H-10: whatever configuration space says, no access lies outside a BAR (the rig looks). */
static void test_h10_mutated_capabilities(void **state)
{
	unsigned opened = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 400; seed++) {
		struct rig_opts o = opts_hard();
		struct rig *r;

		o.model.interface = (enum model_interface)(seed % 3);
		r = rig_create_bare(&o);
		assert_non_null(r);
		model_hostile(rig_model(r), seed, 1000u << seed % 5, KIND(PCI) | KIND(COMMON));
		if (rig_attach(r) == VIO_OK && rig_start(r) == VIO_OK) {
			opened++;
			traffic(r, 5);
		}
		kit_end_bad(r);
	}
	assert_true(opened > 10);
}

/* H-11: less on offer after a reset is another device. */
static void test_h11_features_after_reset(void **state)
{
	unsigned refused = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct rig_opts o = opts_hard();
		struct rig *r = kit_start(&o);
		uint64_t features = kit_info(r).features;

		assert_int_equal(vio_net_stop(rig_net(r)), VIO_OK);
		model_hostile(rig_model(r), seed, 65536, KIND(FEATURES));
		if (rig_start(r) != VIO_OK) {
			refused++;
			assert_false(vio_net_running(rig_net(r)));
		}
		assert_true(kit_info(r).features == features);
		model_hostile(rig_model(r), 1, 0, 0);
		if (!vio_net_running(rig_net(r)))
			assert_int_equal(rig_start(r), VIO_OK); /* and later it may be itself */
		kit_traffic(r, 3, 1);
		kit_end_bad(r);
	}
	assert_true(refused > 10);
}

static void test_h11_features_ok_reread(void **state)
{
	struct rig_opts o = opts_hard();
	struct rig *r;

	(void)state;
	o.model.refuse_features = true;
	r = rig_create(&o);
	assert_non_null(r);
	assert_int_equal(rig_status(r), VIO_ENOTSUP);
	kit_end_bad(r);
}

/* H-12: a device that does not reset keeps the memory, and the port is told. */
static void no_reset(unsigned how, uint64_t seed, unsigned *never)
{
	struct rig_opts o = opts_hard();
	struct rig *r = kit_start(&o);
	struct rig_counts before, after;
	uint64_t start;
	int err;

	traffic(r, 10);
	before = kit_counts(r);
	start = rig_now(r);
	model_hostile(rig_model(r), seed, 65536, KIND(RESET));
	if (how == 0)
		err = vio_net_stop(rig_net(r));
	else if (how == 1)
		err = vio_net_suspend(rig_net(r));
	else
		err = vio_net_recover(rig_net(r));
	assert_true(rig_now(r) - start < 3000000);
	after = kit_counts(r);
	if (err == VIO_ETIMEDOUT) {
		(*never)++;
		assert_int_equal(after.rx_with_driver + after.tx_with_driver, 0);
		assert_int_equal(after.rx_lost + after.tx_lost,
				 before.rx_with_driver + before.tx_with_driver);
		assert_true(after.live_dma == before.live_dma);
		assert_int_equal(vio_net_start(rig_net(r)), VIO_ENODEV);
		assert_int_equal(vio_net_recover(rig_net(r)), VIO_ENODEV);
		rig_detach(r);
		assert_true(kit_counts(r).live_dma > 0);
		assert_int_equal(kit_counts(r).live_bytes, 0);
	} else {
		assert_int_equal(err, VIO_OK); /* late, but in time */
	}
	kit_end_bad(r);
}

static void test_h12_no_reset_no_free(void **state)
{
	(void)state;
	for (unsigned how = 0; how < 3; how++) {
		unsigned never = 0;

		for (uint64_t seed = 1; seed <= 12; seed++)
			no_reset(how, seed, &never);
		assert_true(never > 0);
	}
}

/* H-13: interrupts do nothing before DRIVER_OK and after teardown began. */
static void test_h13_interrupts_outside_life(void **state)
{
	(void)state;
	for (int mode = VIO_IRQ_INTX; mode <= VIO_IRQ_MSIX_EACH; mode++) {
		struct rig_opts o = opts_hard();
		struct rig *r;

		o.params.irq_mode = (enum vio_irq_mode)mode;
		r = kit_open(&o);
		for (int round = 0; round < 3; round++) {
			for (unsigned v = 0; v < 5; v++) {
				assert_int_equal(vio_net_interrupt(rig_net(r), v), 0);
				assert_false(vio_net_service(rig_net(r), 3, 10));
			}
			vio_net_tick(rig_net(r));
			vio_net_config_event(rig_net(r));
			assert_int_equal(vio_net_rx_poll(rig_net(r), 10), 0);
			assert_int_equal(vio_net_tx_reclaim(rig_net(r), 10), 0);
			assert_false(vio_net_rx_arm(rig_net(r)) || vio_net_tx_arm(rig_net(r)));
			assert_int_equal(vio_net_rx_fill(rig_net(r)), 0);
			vio_net_flush(rig_net(r));
			assert_int_equal(rig_start(r), VIO_OK);
			kit_traffic(r, 3, 1);
			assert_int_equal(vio_net_stop(rig_net(r)), VIO_OK);
		}
		kit_end(r);
	}
	lies(KIND(IRQ_SPURIOUS) | KIND(IRQ_STORM) | KIND(IRQ_LOST) | KIND(ISR), 20000, false);
}

static void test_h13_three_resets_a_minute(void **state)
{
	struct rig_opts o = opts_hard();
	struct rig *r = kit_start(&o);

	(void)state;
	rig_auto_recover(r, true);
	for (unsigned i = 0; i < 10; i++) {
		model_needs_reset(rig_model(r));
		rig_pump(r);
		if (vio_net_running(rig_net(r)))
			rig_tick(r, 1000);
	}
	assert_int_equal(kit_counts(r).recoveries, VIO_RESETS_PER_MINUTE);
	assert_false(vio_net_running(rig_net(r)));
	assert_int_equal(kit_counts(r).rx_with_driver, 0);
	assert_int_equal(vio_net_start(rig_net(r)), VIO_ENODEV);
	kit_end_bad(r);
}

/* H-14: a device that lies in each packet cannot fill the log. */
static void test_h14_log_is_limited(void **state)
{
	struct rig_opts o = opts_hard();
	struct model_hdr bad = {.gso_type = 0x55};
	struct rig *r = kit_start(&o);
	struct rig_counts c;

	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		model_receive_raw(rig_model(r), &bad, buf, 100);
		model_interrupt(rig_model(r), i % 4);
		rig_pump(r);
	}
	c = kit_counts(r);
	assert_int_equal(kit_stats(r).rx.dropped, 2000);
	assert_true(c.logs[0] + c.logs[1] + c.logs[2] < 10);
	/* Broken once, told once, however often it is looked at. */
	model_needs_reset(rig_model(r));
	for (unsigned i = 0; i < 100; i++)
		rig_tick(r, 1000);
	assert_int_equal(kit_counts(r).brokens, 1);
	assert_true(kit_counts(r).logs[0] < 10);
	kit_end_bad(r);
}

/* H-15: a control queue that never answers costs a second, then the device is broken. */
static void test_h15_control_deadline(void **state)
{
	struct rig_opts o = opts_hard();
	struct vio_net_filter f = {.promisc = true};
	struct rig *r = kit_start(&o);
	uint64_t start;

	(void)state;
	model_hold(rig_model(r), 2, true);
	start = rig_now(r);
	assert_int_equal(vio_net_set_filter(rig_net(r), &f), VIO_EBROKEN);
	assert_in_range(rig_now(r) - start, 900000, 1500000);
	assert_int_equal(kit_counts(r).brokens, 1);
	assert_int_equal(kit_stats(r).ctrl_errors, 1);
	model_hold(rig_model(r), 2, false);
	assert_int_equal(vio_net_recover(rig_net(r)), VIO_OK);
	assert_true(kit_state(r).promisc); /* it was remembered */
	kit_traffic(r, 5, 1);
	kit_end(r);
	lies(KIND(CTRL_LATE) | KIND(CTRL_NEVER) | KIND(USED_SKIP), 1500, false);
}

/* H-16: an answer that was completed and not written is no success. */
static void test_h16_ctrl_answer_preset(void **state)
{
	unsigned failed = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct rig_opts o = opts_hard();
		struct vio_net_filter f = {.promisc = true};
		struct rig *r = kit_start(&o);

		model_hostile(rig_model(r), seed, 65536, KIND(CTRL_ACK));
		failed += vio_net_set_filter(rig_net(r), &f) == VIO_EDEV;
		kit_end_bad(r);
	}
	assert_int_equal(failed, 20);
}

/* H-16: header bytes without meaning are 0, after packets in which they had one. */
static void test_h16_nothing_uninitialised_leaves(void **state)
{
	(void)state;
	for (int legacy = 0; legacy < 2; legacy++) {
		struct rig_opts o = opts_hard();
		struct rig *r;

		o.model.interface = legacy ? MODEL_LEGACY : MODEL_MODERN;
		o.model.queue_size[1] = 8; /* slots are used again soon */
		r = kit_start(&o);
		for (unsigned i = 0; i < 40; i++) {
			struct rig_flow flow = kit_flow();
			struct rig_tx tx = {.frame = buf, .headroom = i % 3 * 8};
			const struct rig_frame *f;
			size_t l4;

			tx.flags = i & 1 ? VIO_NET_TX_GSO : 0;
			tx.mss = 1000;
			tx.len = rig_frame(buf, &flow, i & 1 ? 4000 : 400, i, &l4);
			while (rig_send_ex(r, &tx) == VIO_EAGAIN)
				rig_tick(r, 1);
			vio_net_flush(rig_net(r));
			rig_pump(r);
			if (i & 1)
				continue;
			f = rig_sent_at(r, i);
			assert_int_equal(f->hdr.flags | f->hdr.gso_type | f->hdr.hdr_len |
						 f->hdr.gso_size | f->hdr.csum_start |
						 f->hdr.csum_offset,
					 0);
			if (!legacy)
				assert_int_equal(f->hdr.num_buffers, 0); /* NT-2 */
		}
		kit_end(r);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_h1_scribbled_shared_memory),
	cmocka_unit_test(test_h2_buffers_change_under_us),
	cmocka_unit_test(test_h3_used_idx),
	cmocka_unit_test(test_h4_used_id),
	cmocka_unit_test(test_h5_used_len),
	cmocka_unit_test(test_h6_shorter_than_header),
	cmocka_unit_test(test_h7_num_buffers),
	cmocka_unit_test(test_h7_dropped_frame_keeps_count),
	cmocka_unit_test(test_h8_bad_headers_dropped),
	cmocka_unit_test(test_h9_config_values),
	cmocka_unit_test(test_h9_generation_never_stands_still),
	cmocka_unit_test(test_h10_mutated_capabilities),
	cmocka_unit_test(test_h11_features_after_reset),
	cmocka_unit_test(test_h11_features_ok_reread),
	cmocka_unit_test(test_h12_no_reset_no_free),
	cmocka_unit_test(test_h13_interrupts_outside_life),
	cmocka_unit_test(test_h13_three_resets_a_minute),
	cmocka_unit_test(test_h14_log_is_limited),
	cmocka_unit_test(test_h15_control_deadline),
	cmocka_unit_test(test_h16_ctrl_answer_preset),
	cmocka_unit_test(test_h16_nothing_uninitialised_leaves),
};

UNIT_MAIN(120, tests)
