/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of the driver: creation, start, stop, suspend, recovery, destruction, at any moment and
 * under load (F-6), without memory (F-7), and with devices that are odd but right (F-4).
 */
#include "tests/unit/net_kit.h"

static uint8_t buf[RIG_FRAME_ROOM];

static void test_cycles(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 8; bits++) {
		struct rig_opts o;
		struct rig_counts c;
		struct rig *r;

		kit_opts(&o);
		o.model.interface = (enum model_interface)(bits % 3);
		o.model.immediate = bits & 4;
		r = kit_open(&o);
		assert_false(vio_net_running(rig_net(r)));
		assert_int_equal(kit_state(r).status, 0); /* left reset */
		assert_int_equal(vio_net_stop(rig_net(r)), VIO_OK);
		c = kit_counts(r);
		for (unsigned n = 0; n < 20; n++) {
			assert_int_equal(rig_start(r), VIO_OK);
			assert_int_equal(vio_net_start(rig_net(r)), VIO_OK); /* already */
			assert_true(vio_net_running(rig_net(r)));
			kit_traffic(r, 5, n);
			if (n % 3 == 0) {
				assert_int_equal(vio_net_suspend(rig_net(r)), VIO_OK);
				assert_int_equal(vio_net_resume(rig_net(r)), VIO_OK);
				assert_int_equal(vio_net_resume(rig_net(r)), VIO_OK);
				assert_true(vio_net_running(rig_net(r)));
				kit_traffic(r, 5, n);
			}
			assert_int_equal(vio_net_stop(rig_net(r)), VIO_OK);
			assert_int_equal(kit_counts(r).rx_with_driver, 0);
			assert_int_equal(kit_counts(r).tx_with_driver, 0);
			assert_int_equal(vio_net_rx_posted(rig_net(r)), 0);
			assert_int_equal(vio_net_tx_in_flight(rig_net(r)), 0);
			assert_int_equal(kit_state(r).status, 0);
		}
		/* Suspended while stopped, it stays stopped. */
		assert_int_equal(vio_net_suspend(rig_net(r)), VIO_OK);
		assert_int_equal(vio_net_resume(rig_net(r)), VIO_OK);
		assert_false(vio_net_running(rig_net(r)));
		/* Starting takes no memory. */
		assert_int_equal(kit_counts(r).allocs, c.allocs);
		assert_int_equal(kit_counts(r).dma_allocs, c.dma_allocs);
		assert_int_equal(kit_stats(r).starts, 27);
		kit_end(r);
	}
}

/* Destroyed in the middle of everything. */
static void test_destroy_running(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 6; bits++) {
		struct rig_opts o;
		struct rig_tx tx = {.frame = buf};
		struct rig *r;

		kit_opts(&o);
		o.model.interface = (enum model_interface)(bits % 3);
		r = kit_start(&o);
		tx.len = kit_frame(buf, 500, 1);
		model_hold(rig_model(r), 1, true);
		rig_hold_irqs(r, true);
		for (unsigned i = 0; i < 30; i++) {
			assert_int_equal(rig_send_ex(r, &tx), VIO_OK);
			if (bits & 1)
				vio_net_flush(rig_net(r));
			model_receive(rig_model(r), NULL, buf, tx.len);
		}
		assert_int_equal(kit_counts(r).tx_with_driver, 30);
		kit_end(r);
	}
}

/* F-7: the n-th allocation fails, for every n; then it succeeds and nothing was left behind. */
static void test_allocation_fails(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 12; bits++) {
		unsigned n = 1;

		for (;; n++) {
			struct rig_opts o;
			struct rig *r;
			int err;

			kit_opts(&o);
			o.model.interface = (enum model_interface)(bits % 3);
			if (bits & 1)
				o.model.features &= ~(NB(MRG_RXBUF) | KIT_GUEST_GSO);
			r = rig_create_bare(&o);
			assert_non_null(r);
			rig_fail_alloc(r, n, bits / 6);
			err = rig_attach(r);
			if (err == VIO_OK) {
				rig_fail_alloc(r, 1, true);
				assert_int_equal(rig_start(r), VIO_OK); /* takes none */
				kit_traffic(r, 2, 1);
				kit_end(r);
				break;
			}
			assert_int_equal(err, VIO_ENOMEM);
			assert_int_equal(kit_state(r).status, 0);
			assert_int_equal(kit_counts(r).live_bytes, 0);
			assert_int_equal(kit_counts(r).live_dma, 0);
			kit_end(r);
			assert_true(n < 40);
		}
		assert_true(n > 8);
	}
}

/*
 * F-6: resets at random moments under load, 10,000 of them. The device has packets in every state:
 * queued, published, taken, completed and not yet seen, half of a merged packet.
 */
static void resets(unsigned count, enum model_interface face, bool immediate, uint64_t seed)
{
	struct rig_opts o;
	struct rng rng = {seed};
	struct rig_tx tx = {.frame = buf};
	struct rig_counts c;
	struct rig *r;
	size_t len;

	kit_opts(&o);
	o.model.interface = face;
	o.model.immediate = immediate;
	o.model.odd.tx_slow = seed & 1;
	o.keep_frames = false;
	o.rx_buffers = 40;
	o.tx_buffers = 40;
	o.params.rx_buf_min = 512;
	for (unsigned q = 0; q < MODEL_QUEUES; q++)
		o.model.queue_size[q] = 32;
	r = kit_start(&o);
	tx.len = len = kit_frame(buf, 1400, 1);
	tx.nsegs = 3;
	for (unsigned n = 0; n < count; n++) {
		for (unsigned i = rng_below(&rng, 12); i > 0; i--) {
			switch (rng_below(&rng, 8)) {
			case 0:
			case 1:
			case 2:
				(void)!rig_send_ex(r, &tx);
				break;
			case 3:
				vio_net_flush(rig_net(r));
				break;
			case 4:
			case 5:
				model_receive(rig_model(r), NULL, buf, len);
				break;
			case 6:
				vio_net_rx_poll(rig_net(r), 1);
				vio_net_tx_reclaim(rig_net(r), 1);
				break;
			default:
				(void)model_poll(rig_model(r));
			}
		}
		if (rng_below(&rng, 4) == 0) {
			rig_advance(r, 20000001);
			assert_int_equal(vio_net_recover(rig_net(r)), VIO_OK);
		} else {
			assert_int_equal(vio_net_stop(rig_net(r)), VIO_OK);
			c = kit_counts(r);
			assert_int_equal(c.rx_with_driver + c.tx_with_driver, 0);
			assert_int_equal(vio_net_start(rig_net(r)), VIO_OK);
		}
		assert_int_equal(rig_failures(r), 0);
	}
	rig_pump(r);
	rig_tick(r, 1000);
	assert_int_equal(rig_receive(r, NULL, buf, len), MODEL_RX_OK);
	c = kit_counts(r);
	assert_int_equal(c.tx_sent, c.tx_ok + c.tx_again + c.tx_with_driver);
	assert_int_equal(c.rx_given, c.rx_parts + c.rx_returned + c.rx_with_driver);
	assert_true(c.tx_again > 0 && c.tx_ok > 0 && c.rx_packets > 0);
	kit_end(r);
}

static void test_resets_under_load(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5; i++)
		resets(2000, (enum model_interface)(i % 3), i & 1, 100 + i);
}

/* ---- F-4: odd, and right ---- */

static void odd(const char *name, const struct rig_opts *o)
{
	struct rig *r = kit_start(o);

	kit_traffic(r, 60, 11);
	for (unsigned i = 0; i < 5; i++) {
		rig_tick(r, 1000);
		model_config_changed(rig_model(r));
		kit_traffic(r, 5, i);
	}
	if (rig_failures(r) || kit_counts(r).brokens || kit_stats(r).rx.dropped)
		printf("%s: %s\n", name, rig_failure(r) ? rig_failure(r) : rig_why(r));
	assert_int_equal(kit_counts(r).brokens, 0);
	assert_int_equal(kit_stats(r).rx.dropped, 0);
	kit_end(r);
}

#define ODD(o, r, field)                                                                           \
	do {                                                                                       \
		struct rig_opts x = *(o);                                                          \
		x.model.field = true;                                                              \
		odd(#field, &x);                                                                   \
	} while (0)

static void test_odd_behaviour(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 24; bits++) {
		struct rig_opts o;

		kit_opts(&o);
		o.model.interface = (enum model_interface)(bits % 3);
		o.model.immediate = bits & 1;
		o.params.irq_mode = (enum vio_irq_mode)(1 + bits / 6 % 3);
		if (bits & 8)
			o.model.features &= ~VIRTIO_BIT(VIRTIO_F_EVENT_IDX);
		ODD(&o, r, odd.out_len);
		ODD(&o, r, odd.zero_len_ctrl);
		ODD(&o, r, odd.spurious_irq);
		ODD(&o, r, odd.irq_always);
		ODD(&o, r, odd.reorder);
		ODD(&o, r, odd.stray_events);
		ODD(&o, r, odd.unknown_flags);
		ODD(&o, r, odd.tx_slow);
		if (o.params.irq_mode == VIO_IRQ_INTX)
			ODD(&o, r, odd.shared_isr);
	}
}

static void test_odd_layout(void **state)
{
	static const uint32_t multipliers[] = {0, 2, 4, 64, 1024};
	struct rig_opts o;

	(void)state;
	kit_opts(&o);
	ODD(&o, r, layout.reserved_type);
	ODD(&o, r, layout.reserved_bar);
	ODD(&o, r, layout.vendor_cap);
	ODD(&o, r, layout.twice);
	ODD(&o, r, layout.large);
	ODD(&o, r, layout.no_window);
	ODD(&o, r, layout.window_only);
	for (unsigned i = 0; i < COUNT(multipliers); i++) {
		struct rig_opts x = o;

		x.model.layout.notify_multiplier = multipliers[i];
		odd("notify multiplier", &x);
	}
	for (uint8_t by = 4; by <= 12; by += 4) {
		struct rig_opts x = o;

		x.model.layout.longer_by = by;
		x.model.layout.foreign_caps = by / 4;
		x.model.revision = by;
		odd("longer capabilities", &x);
	}
	for (unsigned reads = 1; reads <= 1000; reads *= 10) {
		struct rig_opts x = o;

		x.model.reset_reads = reads;
		odd("slow reset", &x);
	}
}

/* Configuration shorter and longer than we know; a generation that moves. */
static void test_odd_config(void **state)
{
	static const uint8_t lens[] = {8, 10, 12, 17, 24, 64};
	struct rig_opts o;

	(void)state;
	kit_opts(&o);
	for (unsigned i = 0; i < COUNT(lens); i++) {
		struct rig_opts x = o;

		x.model.config_len = lens[i];
		if (lens[i] < 17)
			x.model.features &= ~NB(SPEED_DUPLEX);
		if (lens[i] < 12)
			x.model.features &= ~NB(MTU);
		odd("length of configuration", &x);
	}
	ODD(&o, r, odd.config_storm);
}

/* Features of every shape: none at all, unknown ones, each one missing. */
static void test_odd_features(void **state)
{
	struct rig_opts o;

	(void)state;
	kit_opts(&o);
	o.model.features = VIRTIO_BIT(VIRTIO_F_VERSION_1);
	odd("no features", &o);
	/* The one that the driver knows and the model does not is left out. */
	o.model.features = UINT64_MAX & ~VIRTIO_BIT(VIRTIO_F_NOTIF_CONFIG_DATA);
	odd("all features", &o);
	for (unsigned bit = 0; bit < 64; bit++) {
		struct rig_opts x = o;

		if (bit == VIRTIO_F_VERSION_1)
			continue;
		x.model.features = model_features_known() & ~VIRTIO_BIT(bit);
		x.no_monitor_fail = true; /* some are useless without the one that is missing */
		kit_end_bad(kit_start(&x));
	}
}

static void test_vectors_refused(void **state)
{
	(void)state;
	for (unsigned from = 1; from < 4; from++) {
		struct rig_opts o;
		struct rig *r;

		kit_opts(&o);
		o.model.refuse_vectors = from;
		r = kit_open(&o);
		assert_int_equal(rig_start(r), from < 3 ? VIO_EDEV : VIO_OK);
		assert_int_equal(vio_net_running(rig_net(r)), from >= 3);
		kit_end_bad(r);
	}
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(vio_net_feature_name(VIRTIO_NET_F_CSUM), "CSUM");
	assert_string_equal(vio_net_feature_name(VIRTIO_F_VERSION_1), "VERSION_1");
	for (unsigned bit = 0; bit < 200; bit++) {
		const char *name = vio_net_feature_name(bit);

		assert_true(!name || strlen(name) > 1);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_cycles),		 cmocka_unit_test(test_destroy_running),
	cmocka_unit_test(test_allocation_fails), cmocka_unit_test(test_resets_under_load),
	cmocka_unit_test(test_odd_behaviour),	 cmocka_unit_test(test_odd_layout),
	cmocka_unit_test(test_odd_config),	 cmocka_unit_test(test_odd_features),
	cmocka_unit_test(test_vectors_refused),	 cmocka_unit_test(test_names),
};

UNIT_MAIN(120, tests)
