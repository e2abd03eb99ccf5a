/* SPDX-License-Identifier: BSD-2-Clause */
/* The control queue, and what configuration changes bring: link, speed, announcements. */
#include "tests/unit/net_kit.h"

static uint8_t macs[80][6];

static struct rig_opts opts_ctrl(void)
{
	struct rig_opts o;

	kit_opts(&o);
	o.model.features = model_features_default() | NB(CTRL_VQ) | NB(CTRL_RX) | NB(CTRL_VLAN) |
			   NB(CTRL_MAC_ADDR) | NB(CTRL_GUEST_OFFLOADS) | NB(GUEST_CSUM) |
			   NB(GUEST_TSO4) | NB(GUEST_TSO6) | NB(GUEST_ANNOUNCE) | NB(STATUS) |
			   NB(SPEED_DUPLEX);
	for (unsigned i = 0; i < COUNT(macs); i++)
		memcpy(macs[i], (const uint8_t[6]){2, 0, 0, 7, 0, (uint8_t)i}, 6);
	return o;
}

static struct vio_net_filter filter(unsigned nuni, unsigned nmulti)
{
	return (struct vio_net_filter){
		.unicast = (const uint8_t(*)[6])macs,
		.nunicast = nuni,
		.multicast = (const uint8_t(*)[6])macs,
		.nmulticast = nmulti,
	};
}

static void check_filter(struct rig *r, unsigned nuni, unsigned nmulti)
{
	struct model_state s = kit_state(r);

	assert_int_equal(s.promisc, nuni > VIO_NET_MAC_MAX);
	assert_int_equal(s.allmulti, nmulti > VIO_NET_MAC_MAX);
	assert_int_equal(s.nunicast, nuni > VIO_NET_MAC_MAX ? 0 : nuni);
	assert_int_equal(s.nmulticast, nmulti > VIO_NET_MAC_MAX ? 0 : nmulti);
	assert_memory_equal(s.unicast, macs, s.nunicast * 6);
	assert_memory_equal(s.multicast, macs, s.nmulticast * 6);
}

static void test_filter(void **state)
{
	static const unsigned counts[] = {0, 1, 2, 63, 64, 65, 80};

	(void)state;
	for (int legacy = 0; legacy < 2; legacy++) {
		struct rig_opts o = opts_ctrl();
		struct vio_net_filter f;
		struct rig *r;

		o.model.interface = legacy ? MODEL_LEGACY : MODEL_MODERN;
		r = kit_start(&o);
		for (unsigned u = 0; u < COUNT(counts); u++) {
			for (unsigned m = 0; m < COUNT(counts); m++) {
				f = filter(counts[u], counts[m]);
				assert_int_equal(vio_net_set_filter(rig_net(r), &f), VIO_OK);
				check_filter(r, counts[u], counts[m]);
			}
		}
		f = filter(1, 1);
		f.promisc = f.allmulti = true;
		assert_int_equal(vio_net_set_filter(rig_net(r), &f), VIO_OK);
		assert_true(kit_state(r).promisc && kit_state(r).allmulti);
		assert_int_equal(kit_stats(r).ctrl_errors, 0);
		assert_true(kit_stats(r).ctrl_commands == kit_state(r).ctrl_commands);
		kit_end(r);
	}
}

/* All that was set is told again to a device that forgot it. */
static void restored(struct rig *r)
{
	struct model_state s = kit_state(r);

	check_filter(r, 3, 2);
	assert_memory_equal(s.mac, ((const uint8_t[6]){2, 9, 9, 9, 9, 9}), 6);
	assert_true(model_vlan_passes(rig_model(r), 7) && model_vlan_passes(rig_model(r), 4095));
	assert_false(model_vlan_passes(rig_model(r), 8) || model_vlan_passes(rig_model(r), 9));
	assert_true((s.guest_offloads & (NB(GUEST_CSUM) | KIT_GUEST_GSO)) ==
		    (NB(GUEST_CSUM) | NB(GUEST_TSO4)));
}

static void test_restored(void **state)
{
	struct vio_net_filter f;

	(void)state;
	for (unsigned bits = 0; bits < 4; bits++) {
		struct rig_opts o = opts_ctrl();
		bool first = bits & 1; /* set before the first start, or while running */
		struct rig *r;

		o.model.interface = bits & 2 ? MODEL_LEGACY : MODEL_MODERN;
		r = first ? kit_open(&o) : kit_start(&o);
		f = filter(3, 2);
		assert_int_equal(vio_net_set_filter(rig_net(r), &f), VIO_OK);
		assert_int_equal(vio_net_set_mac(rig_net(r), (const uint8_t[6]){2, 9, 9, 9, 9, 9}),
				 VIO_OK);
		assert_memory_equal(kit_info(r).mac, ((const uint8_t[6]){2, 9, 9, 9, 9, 9}), 6);
		for (uint16_t id = 7; id < 10; id++)
			assert_int_equal(vio_net_vlan(rig_net(r), id, true), VIO_OK);
		assert_int_equal(vio_net_vlan(rig_net(r), 4095, true), VIO_OK);
		assert_int_equal(vio_net_vlan(rig_net(r), 8, false), VIO_OK);
		assert_int_equal(vio_net_vlan(rig_net(r), 9, false), VIO_OK);
		assert_int_equal(vio_net_set_offloads(rig_net(r), NB(GUEST_CSUM) | NB(GUEST_TSO4)),
				 VIO_OK);
		if (first)
			assert_int_equal(rig_start(r), VIO_OK);
		restored(r);
		assert_int_equal(vio_net_stop(rig_net(r)), VIO_OK);
		assert_int_equal(rig_start(r), VIO_OK);
		restored(r);
		assert_int_equal(vio_net_suspend(rig_net(r)), VIO_OK);
		assert_int_equal(vio_net_resume(rig_net(r)), VIO_OK);
		restored(r);
		rig_auto_recover(r, true);
		if (bits & 2) { /* a legacy device has no such bit */
			assert_int_equal(vio_net_recover(rig_net(r)), VIO_OK);
		} else {
			model_needs_reset(rig_model(r));
			rig_pump(r);
			assert_int_equal(kit_counts(r).recoveries, 1);
		}
		restored(r);
		kit_traffic(r, 5, 1);
		kit_end(r);
	}
}

static void test_unsupported(void **state)
{
	struct rig_opts o = opts_ctrl();
	struct vio_net_filter f = filter(1, 1);
	struct rig *r;

	(void)state;
	o.model.features &= ~(NB(CTRL_RX) | NB(CTRL_VLAN) | NB(CTRL_MAC_ADDR) |
			      NB(CTRL_GUEST_OFFLOADS) | NB(CTRL_RX_EXTRA));
	r = kit_start(&o);
	assert_int_equal(vio_net_set_filter(rig_net(r), &f), VIO_ENOTSUP);
	assert_int_equal(vio_net_vlan(rig_net(r), 1, true), VIO_ENOTSUP);
	assert_int_equal(vio_net_set_mac(rig_net(r), macs[0]), VIO_ENOTSUP); /* NC-1 */
	assert_int_equal(vio_net_set_offloads(rig_net(r), 0), VIO_ENOTSUP);
	assert_int_equal(kit_state(r).ctrl_commands, 0);
	kit_end(r);

	o = opts_ctrl();
	r = kit_start(&o);
	assert_int_equal(vio_net_vlan(rig_net(r), 4096, true), VIO_EINVAL);
	assert_int_equal(vio_net_set_mac(rig_net(r), (const uint8_t[6]){1, 2, 3, 4, 5, 6}),
			 VIO_EINVAL);
	assert_int_equal(vio_net_set_offloads(rig_net(r), NB(GUEST_UFO)), VIO_EINVAL); /* NX-23 */
	kit_end(r);

	/* A legacy device without the command has the address in its configuration. */
	o = opts_ctrl();
	o.model.interface = MODEL_LEGACY;
	o.model.features &= ~NB(CTRL_MAC_ADDR);
	r = kit_start(&o);
	assert_int_equal(vio_net_set_mac(rig_net(r), macs[5]), VIO_OK);
	assert_memory_equal(kit_state(r).mac, macs[5], 6);
	kit_end(r);
}

/* Devices that answer late, and one whose answer has length 0. */
static void test_slow_answers(void **state)
{
	(void)state;
	for (unsigned polls = 0; polls < 200; polls += 40) {
		struct rig_opts o = opts_ctrl();
		struct vio_net_filter f = filter(2, 3);
		struct rig *r;

		o.model.immediate = false;
		o.model.ctrl_polls = polls;
		o.model.odd.zero_len_ctrl = polls & 8;
		r = kit_start(&o);
		assert_int_equal(vio_net_set_filter(rig_net(r), &f), VIO_OK);
		check_filter(r, 2, 3);
		kit_end(r);
	}
}

/* ---- configuration ---- */

static void test_link(void **state)
{
	(void)state;
	/* Every mode; with one shared vector also while packets hide the change. */
	for (int mode = VIO_IRQ_NONE; mode <= VIO_IRQ_MSIX_EACH; mode++) {
		for (unsigned bits = 0; bits < 4; bits++) {
			struct rig_opts o = opts_ctrl();
			uint8_t buf[200];
			size_t len = kit_frame(buf, 100, 1);
			struct rig *r;

			o.model.interface = bits & 1 ? MODEL_LEGACY : MODEL_MODERN;
			o.params.irq_mode = (enum vio_irq_mode)mode;
			o.model.link_down = bits & 2;
			r = kit_start(&o);
			assert_int_equal(kit_counts(r).links, 1);
			assert_int_equal(rig_link(r).up, !(bits & 2));
			for (unsigned n = 0; n < 20; n++) {
				bool up = n & 1;

				if (n % 3 == 0)
					model_receive_raw(rig_model(r), NULL, buf, len);
				rig_advance(r, 10000); /* slower than a storm */
				model_link(rig_model(r), up);
				if (n % 3 == 1)
					model_receive_raw(rig_model(r), NULL, buf, len);
				rig_pump(r);
				/* Hidden: by the next tick at the latest, which is due soon then.
				 */
				if (rig_link(r).up != up && mode == VIO_IRQ_MSIX_ONE)
					assert_true(vio_net_tick_due_us(rig_net(r)) <= 10000);
				if (mode == VIO_IRQ_NONE ||
				    (mode == VIO_IRQ_MSIX_ONE && n % 3 != 2))
					rig_tick(r, 1000);
				assert_int_equal(rig_link(r).up, up);
				assert_int_equal(vio_net_tick_due_us(rig_net(r)),
						 VIO_NET_RECLAIM_IDLE * 1000);
			}
			if (mode == VIO_IRQ_INTX || mode == VIO_IRQ_MSIX_EACH)
				assert_true(kit_stats(r).config_irqs >= 19);
			kit_end(r);
		}
	}
}

/* H-13: a storm of changes costs few register reads, and its end is not missed. */
static void test_h13_config_storm(void **state)
{
	(void)state;
	for (int mode = VIO_IRQ_INTX; mode <= VIO_IRQ_MSIX_EACH; mode++) {
		struct rig_opts o = opts_ctrl();
		struct rig *r;

		o.params.irq_mode = (enum vio_irq_mode)mode;
		r = kit_start(&o);
		for (unsigned n = 0; n < 1001; n++) {
			model_link(rig_model(r), n & 1);
			rig_pump(r);
		}
		assert_true(kit_stats(r).link_changes < 200);
		rig_tick(r, 1000);
		assert_false(rig_link(r).up);
		model_link(rig_model(r), true);
		rig_tick(r, 1000);
		kit_traffic(r, 3, 1);
		kit_end(r);
	}
}

static void test_speed(void **state)
{
	static const struct {
		uint32_t speed;
		uint8_t duplex;
		uint32_t mbps;
		bool full;
	} rows[] = {{1000, 1, 1000, true},
		    {10, 0, 10, false},
		    {0x7fffffff, 1, 0x7fffffff, true},
		    {0x80000000, 0, 0, false},
		    {0xffffffff, 0xff, 0, true},
		    {100000, 77, 100000, true},
		    {0, 1, 0, true}};
	struct rig_opts o = opts_ctrl();
	struct rig *r = kit_start(&o);

	(void)state;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		struct vio_net_link link;

		model_speed(rig_model(r), rows[i].speed, rows[i].duplex);
		rig_pump(r);
		vio_net_link_get(rig_net(r), &link);
		assert_int_equal(link.speed_mbps, rows[i].mbps);
		assert_int_equal(link.full_duplex, rows[i].full);
		assert_true(link.up);
	}
	kit_end(r);

	o.model.features &= ~(NB(SPEED_DUPLEX) | NB(STATUS) | NB(GUEST_ANNOUNCE));
	r = kit_start(&o);
	assert_true(rig_link(r).up && rig_link(r).speed_mbps == 0); /* NC-5 */
	kit_end(r);
}

static void test_announce(void **state)
{
	(void)state;
	for (int mode = VIO_IRQ_INTX; mode <= VIO_IRQ_MSIX_EACH; mode++) {
		struct rig_opts o = opts_ctrl();
		struct rig *r;

		o.params.irq_mode = (enum vio_irq_mode)mode;
		r = kit_start(&o);
		for (unsigned n = 1; n <= 5; n++) {
			model_announce(rig_model(r));
			rig_pump(r);
			assert_int_equal(kit_counts(r).announces, n);
			assert_int_equal(kit_state(r).announces_acked, n);
			assert_false(kit_state(r).announce_pending);
		}
		assert_int_equal(kit_stats(r).announces, 5);
		kit_end(r);
	}
}

/* Nothing changed: nothing is told. */
static void test_only_changes(void **state)
{
	struct rig_opts o = opts_ctrl();
	struct rig *r = kit_start(&o);

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		model_config_changed(rig_model(r));
		rig_tick(r, 1000);
	}
	assert_int_equal(kit_counts(r).links, 1);
	assert_int_equal(kit_stats(r).link_changes, 0);
	kit_end(r);
}

static void test_mac(void **state)
{
	static const struct {
		uint8_t mac[6];
		bool offered, taken;
	} rows[] = {{{2, 1, 2, 3, 4, 5}, true, true},
		    {{0, 0, 0, 0, 0, 0}, true, false},
		    {{3, 1, 2, 3, 4, 5}, true, false},
		    {{2, 1, 2, 3, 4, 5}, false, false}};

	(void)state;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		for (int have = 0; have < 2; have++) {
			static const uint8_t mine[6] = {6, 6, 6, 6, 6, 6};
			struct rig_opts o = opts_ctrl();
			struct rig *r;

			memcpy(o.model.mac, rows[i].mac, 6);
			if (!rows[i].offered)
				o.model.features &= ~NB(MAC);
			if (have)
				memcpy(o.params.fallback_mac, mine, 6);
			o.no_monitor_fail = !rows[i].taken; /* NC-3 has no better answer */
			r = kit_open(&o);
			if (rows[i].taken)
				assert_memory_equal(kit_info(r).mac, rows[i].mac, 6);
			else if (have)
				assert_memory_equal(kit_info(r).mac, mine, 6);
			else
				assert_int_equal(kit_info(r).mac[0], 2); /* NC-4 */
			kit_end_bad(r);
		}
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_filter),
	cmocka_unit_test(test_restored),
	cmocka_unit_test(test_unsupported),
	cmocka_unit_test(test_slow_answers),
	cmocka_unit_test(test_link),
	cmocka_unit_test(test_speed),
	cmocka_unit_test(test_h13_config_storm),
	cmocka_unit_test(test_announce),
	cmocka_unit_test(test_only_changes),
	cmocka_unit_test(test_mac),
};

UNIT_MAIN(120, tests)
