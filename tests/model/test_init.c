/* SPDX-License-Identifier: BSD-2-Clause */
/* The model's PCI face and its life up to DRIVER_OK and back. */
#include <string.h>

#include "tests/model/raw.h"

/* What a driver should always take of this offer. */
#define V1 (VIRTIO_BIT(VIRTIO_F_VERSION_1) | NETBIT(MAC) | NETBIT(MTU))

static unsigned count_caps(struct raw *r, uint8_t type)
{
	unsigned cap = model_cfg_read(r->m, PCI_CAP_PTR, 1), n = 0;

	for (unsigned i = 0; cap && i < 48; i++, cap = model_cfg_read(r->m, cap + 1, 1)) {
		if (model_cfg_read(r->m, cap, 1) == PCI_CAP_ID_VENDOR &&
		    model_cfg_read(r->m, cap + 3, 1) == type)
			n++;
	}
	return n;
}

static void modern_sequence(void **state)
{
	struct model_options o;
	struct model_state s;
	struct raw *r;

	(void)state;
	raw_options(&o);
	r = raw_open(&o);
	assert_int_equal(model_cfg_read(r->m, PCI_VENDOR_ID, 2), VIRTIO_PCI_VENDOR);
	raw_wr(r, COMMON(device_feature_select), 4, 1);
	assert_int_equal(raw_rd(r, COMMON(device_feature), 4), 1u | 1u << 31);
	assert_int_equal(raw_rd(r, COMMON(num_queues), 2), 3);
	raw_start(r, V1 | NETBIT(STATUS));
	model_get(r->m, &s);
	assert_true(s.running);
	assert_int_equal(s.status, 15);
	assert_true(s.q[0].enabled && s.q[1].enabled && !s.q[2].enabled);
	assert_int_equal(model_violations(r->m), 0);
	assert_true(model_exercised(r->m, NORM_IN_1) > 0);
	assert_true(model_exercised(r->m, NORM_IN_4) == 1);
	raw_status(r, 0);
	model_get(r->m, &s);
	assert_false(s.running || s.q[0].enabled);
	raw_close(r);
}

static void legacy_sequence(void **state)
{
	struct model_options o;
	struct model_state s;
	struct raw *r;

	(void)state;
	raw_options(&o);
	o.interface = MODEL_LEGACY;
	r = raw_open(&o);
	assert_int_equal(model_cfg_read(r->m, PCI_DEVICE_ID, 2), 0x1000);
	assert_int_equal(count_caps(r, VIRTIO_PCI_CAP_COMMON_CFG), 0);
	assert_int_equal(raw_rd(r, VIRTIO_PCI_LEGACY_DEVICE_FEATURES, 4),
			 (uint32_t)model_features_default());
	raw_start_legacy(r, VIRTIO_BIT(VIRTIO_F_ANY_LAYOUT) | NETBIT(MAC) | NETBIT(MTU));
	model_get(r->m, &s);
	assert_true(s.running && s.legacy);
	assert_int_equal(model_violations(r->m), 0);
	assert_true(model_exercised(r->m, NORM_LG_10) == 2);
	raw_close(r);
}

/* LG-14: 20 without, 24 with MSI-X, at once. */
static void legacy_config_moves(void **state)
{
	struct model_options o;
	struct raw *r;
	unsigned cap;

	(void)state;
	raw_options(&o);
	o.interface = MODEL_LEGACY;
	r = raw_open(&o);
	cap = model_cfg_read(r->m, PCI_CAP_PTR, 1);
	assert_int_equal(raw_rd(r, 20, 1), 0x52);
	model_cfg_write(r->m, cap + 2, 2, PCI_MSIX_CONTROL_ON);
	assert_int_equal(raw_rd(r, 24, 1), 0x52);
	assert_int_equal(raw_rd(r, 20, 2), VIRTIO_MSI_NO_VECTOR);
	model_cfg_write(r->m, cap + 2, 2, 0);
	assert_int_equal(raw_rd(r, 25, 1), 0x56);
	assert_int_equal(model_violations(r->m), 0);
	raw_close(r);
}

static void *no_memory(void *ctx, uint64_t addr, size_t len)
{
	(void)ctx;
	(void)addr;
	(void)len;
	return NULL;
}

static void layouts(void **state)
{
	struct model_options o;
	struct raw *r;

	(void)state;
	raw_options(&o);
	o.interface = MODEL_MODERN;
	o.layout.reserved_type = o.layout.reserved_bar = o.layout.twice = o.layout.large = true;
	o.layout.foreign_caps = 2;
	r = raw_open(&o);
	assert_int_equal(model_cfg_read(r->m, PCI_DEVICE_ID, 2), 0x1041);
	assert_int_equal(count_caps(r, VIRTIO_PCI_CAP_COMMON_CFG), 3);
	assert_int_equal(count_caps(r, VIRTIO_PCI_CAP_DEVICE_CFG), 2);
	assert_int_equal(count_caps(r, VIRTIO_PCI_CAP_NOTIFY_CFG), 1);
	raw_close(r);

	o.layout.longer_by = 64; /* does not fit in 256 bytes */
	assert_null(model_create(&o, &(struct model_hooks){.mem = no_memory}));
}

static unsigned find_window(struct raw *r)
{
	unsigned cap = model_cfg_read(r->m, PCI_CAP_PTR, 1);

	while (cap && (model_cfg_read(r->m, cap, 1) != PCI_CAP_ID_VENDOR ||
		       model_cfg_read(r->m, cap + 3, 1) != VIRTIO_PCI_CAP_PCI_CFG))
		cap = model_cfg_read(r->m, cap + 1, 1);
	return cap;
}

static void window_works(void **state)
{
	struct model_options o;
	struct raw *r;
	unsigned cap;

	(void)state;
	raw_options(&o);
	o.layout.window_only = true;
	r = raw_open(&o);
	assert_int_equal(raw_rd(r, COMMON(num_queues), 2), 0xffff);
	cap = find_window(r);
	assert_int_not_equal(cap, 0);
	model_cfg_write(r->m, cap + 4, 1, 4);
	model_cfg_write(r->m, cap + 8, 4, COMMON(num_queues));
	model_cfg_write(r->m, cap + 12, 4, 2);
	assert_int_equal(model_cfg_read(r->m, cap + 16, 2), 3);
	assert_int_equal(model_violations(r->m), 0);
	raw_close(r);
}

static void features_refused(void **state)
{
	struct model_options o;
	struct raw *r;

	(void)state;
	raw_options(&o);
	o.refuse_features = true;
	r = raw_open(&o);
	raw_negotiate(r, V1);
	assert_int_equal(raw_rd(r, COMMON(device_status), 1), 3);
	raw_status(r, 3 | VIRTIO_STATUS_FAILED);
	assert_int_equal(model_violations(r->m), 0);
	assert_int_equal(model_exercised(r->m, NORM_FB_6), 1);
	raw_close(r);
}

static void reset_takes_time(void **state)
{
	struct model_options o;
	struct model_state s;
	struct raw *r;

	(void)state;
	raw_options(&o);
	r = raw_open(&o);
	raw_start(r, V1);
	raw_close(r);

	o.reset_reads = 3;
	r = raw_open(&o);
	raw_start(r, V1);
	raw_status(r, 0);
	assert_int_not_equal(raw_rd(r, COMMON(device_status), 1), 0);
	model_get(r->m, &s);
	assert_true(s.q[0].enabled);
	assert_int_not_equal(raw_rd(r, COMMON(device_status), 1), 0);
	assert_int_equal(raw_rd(r, COMMON(device_status), 1), 0);
	model_get(r->m, &s);
	assert_false(s.q[0].enabled);
	assert_int_equal(model_violations(r->m), 0);
	raw_close(r);
}

static void config_and_link(void **state)
{
	struct model_options o;
	struct raw *r;
	uint32_t gen;

	(void)state;
	raw_options(&o);
	r = raw_open(&o);
	raw_start(r, V1 | NETBIT(STATUS));
	gen = raw_rd(r, COMMON(config_generation), 1);
	assert_int_equal(model_bar_read(r->m, 4, 0x2000 + 6, 2), VIRTIO_NET_S_LINK_UP);
	assert_int_equal(raw_rd(r, COMMON(config_generation), 1), gen);
	model_link(r->m, false);
	assert_int_equal(r->irqs[0], 1);
	assert_int_not_equal(raw_rd(r, COMMON(config_generation), 1), gen);
	assert_int_equal(model_bar_read(r->m, 4, 0x2000 + 6, 2), 0);
	assert_int_equal(model_bar_read(r->m, 4, 0x2000 + 10, 2), 1500);
	raw_rd(r, COMMON(config_generation), 1);
	assert_int_equal(model_violations(r->m), 0);
	assert_true(model_exercised(r->m, NORM_CF_2) >= 2);
	raw_close(r);
}

static void needs_reset(void **state)
{
	struct model_options o;
	struct raw *r;

	(void)state;
	raw_options(&o);
	r = raw_open(&o);
	raw_start(r, V1);
	model_needs_reset(r->m);
	assert_int_equal(raw_rd(r, COMMON(device_status), 1), 15 | VIRTIO_STATUS_NEEDS_RESET);
	assert_int_equal(r->irqs[0], 1);
	raw_close(r);
}

static void masked_vector_pends(void **state)
{
	struct model_options o;
	struct raw *r;

	(void)state;
	raw_options(&o);
	r = raw_open(&o);
	raw_start(r, V1);
	model_bar_write(r->m, 1, 12, 4, 1);
	model_config_changed(r->m);
	assert_int_equal(r->irqs[0], 0);
	assert_int_equal(model_bar_read(r->m, 1, 0x800, 4), 1);
	model_bar_write(r->m, 1, 12, 4, 0);
	assert_int_equal(r->irqs[0], 1);
	assert_int_equal(model_bar_read(r->m, 1, 0x800, 4), 0);
	raw_close(r);
}

static void intx_follows_isr(void **state)
{
	struct model_options o;
	struct raw *r;

	(void)state;
	raw_options(&o);
	o.msix_entries = 0;
	r = raw_open(&o);
	raw_negotiate(r, V1);
	raw_rd(r, COMMON(device_status), 1);
	raw_status(r, 15);
	model_config_changed(r->m);
	assert_true(r->intx);
	assert_int_equal(model_bar_read(r->m, 4, 0x1000, 1), VIRTIO_PCI_ISR_CONFIG);
	assert_false(r->intx);
	assert_int_equal(model_bar_read(r->m, 4, 0x1000, 1), 0);
	assert_int_equal(model_violations(r->m), 0);
	raw_close(r);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(modern_sequence),     cmocka_unit_test(legacy_sequence),
		cmocka_unit_test(legacy_config_moves), cmocka_unit_test(layouts),
		cmocka_unit_test(window_works),	       cmocka_unit_test(features_refused),
		cmocka_unit_test(reset_takes_time),    cmocka_unit_test(config_and_link),
		cmocka_unit_test(needs_reset),	       cmocka_unit_test(masked_vector_pends),
		cmocka_unit_test(intx_follows_isr),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
