/* SPDX-License-Identifier: BSD-2-Clause */
/* The registers behind the PCI transports: modern, through the window, legacy, MSI-X (4.1). */
#include "tests/unit/pci_bus.h"

/* ---- registers ---- */

static void test_modern_registers(void **state)
{
	struct bus *b = bus_modern(NULL);
	struct vio_queue_layout l = {.size = 64,
				     .desc = UINT64_C(0x1122334455667000),
				     .driver = UINT64_C(0x99aabbccddee0000),
				     .device = UINT64_C(0x0102030405060708)};
	struct vio_pci pci;
	uint32_t val = 0;
	uint8_t *c = b->mem[4];

	(void)state;
	msix_add(b, 4, true);
	assert_int_equal(open_with(b, VIO_PCI_AUTO, &pci), VIO_OK);
	assert_string_equal(pci.t.ops->name, "modern");
	assert_true(pci.t.has_generation && !pci.t.legacy && pci.t.dma_bits == 64);
	assert_true(vio_pci_msix_on(&pci));
	assert_int_equal(pci.msix_entries, 4);

	pci.t.ops->status_write(&pci.t, 0xf);
	assert_int_equal(c[20], 0xf);
	assert_int_equal(pci.t.ops->status_read(&pci.t), 0xf);
	c[21] = 0x5a;
	assert_int_equal(pci.t.ops->generation(&pci.t), 0x5a);
	put(c + 18, 3, 2);
	put(c + 24, 256, 2);
	assert_int_equal(pci.t.ops->queue_size(&pci.t, 2), 256);
	assert_int_equal(get(c + 22, 2), 2);
	assert_int_equal(pci.t.ops->queue_size(&pci.t, 3), 0); /* beyond num_queues */

	put(c + 30, 2, 2); /* queue_notify_off */
	assert_int_equal(pci.t.ops->queue_enable(&pci.t, 1, &l, 3), VIO_OK);
	assert_int_equal(get(c + 22, 2), 1);
	assert_int_equal(get(c + 24, 2), 64);
	assert_int_equal(get(c + 26, 2), 3);
	assert_memory_equal(c + 32, &l.desc, 8);
	assert_memory_equal(c + 40, &l.driver, 8);
	assert_memory_equal(c + 48, &l.device, 8);
	assert_int_equal(get(c + 28, 2), 1);
	assert_true(b->last_access.write && b->last_access.off == 28); /* PM-4 */

	pci.t.ops->notify(&pci.t, 1);
	assert_int_equal(b->last_access.off, 0x3000 + 2 * 4);
	assert_int_equal(b->last_access.width, 2); /* PN-1 */
	assert_int_equal(b->last_access.val, 1);   /* PN-3 */
	b->accesses = 0;
	pci.t.ops->notify(&pci.t, 0); /* not enabled: nowhere */
	assert_int_equal(b->accesses, 0);
	pci.t.ops->status_write(&pci.t, 0);
	b->accesses = 0;
	pci.t.ops->notify(&pci.t, 1); /* nor after a reset */
	assert_int_equal(b->accesses, 0);

	put(&b->mem[4][0x2000 + 10], 0xbeef, 2);
	assert_int_equal(pci.t.ops->config_read(&pci.t, 10, 2, &val), VIO_OK);
	assert_int_equal(val, 0xbeef);
	assert_int_equal(pci.t.ops->config_read(&pci.t, 0xffe, 4, &val), VIO_EINVAL);
	assert_int_equal(pci.t.ops->config_read(&pci.t, 0xffffffff, 1, &val), VIO_EINVAL);
	assert_int_equal(pci.t.ops->config_write(&pci.t, 0x1000, 1, 0), VIO_EINVAL);
	assert_int_equal(pci.t.ops->config_write(&pci.t, 4, 1, 0x77), VIO_OK);
	assert_int_equal(b->mem[4][0x2004], 0x77);
	b->mem[4][0x1000] = 3;
	assert_int_equal(pci.t.ops->isr(&pci.t), 3);
	vio_pci_close(&pci);
	bus_free(b);
}

static void test_vectors(void **state)
{
	struct vio_queue_layout l = {.size = 8};

	(void)state;
	for (int legacy = 0; legacy < 2; legacy++) {
		struct bus *b = legacy ? bus_new(0x1000, 1) : bus_modern(NULL);
		struct vio_pci pci;

		b->bars[0] = (struct vio_bar){.len = 64, .io = true, .mapped = true};
		msix_add(b, 3, true);
		put(b->mem[4] + 18, 3, 2);
		assert_int_equal(open_with(b, VIO_PCI_AUTO, &pci), VIO_OK);
		assert_int_equal(pci.t.legacy, legacy);
		assert_int_equal(pci.t.ops->config_vector(&pci.t, 0), VIO_OK);
		assert_int_equal(pci.t.ops->config_vector(&pci.t, 2), VIO_OK);
		assert_int_equal(pci.t.ops->config_vector(&pci.t, 3), VIO_EINVAL); /* PX-2 */
		assert_int_equal(pci.t.ops->queue_enable(&pci.t, 0, &l, 3), VIO_EINVAL);
		b->vector_back = VIRTIO_MSI_NO_VECTOR; /* PX-3 */
		assert_int_equal(pci.t.ops->config_vector(&pci.t, 1), VIO_EDEV);
		assert_int_equal(pci.t.ops->queue_enable(&pci.t, 0, &l, 1), VIO_EDEV);
		assert_non_null(pci.t.why);
		b->vector_back = 2; /* another one than asked for */
		assert_int_equal(pci.t.ops->config_vector(&pci.t, 1), VIO_EDEV);
		assert_int_equal(pci.t.ops->queue_enable(&pci.t, 0, &l, VIRTIO_MSI_NO_VECTOR),
				 VIO_OK);
		vio_pci_close(&pci);
		bus_free(b);
	}
}

static void test_h10_notify_window(void **state)
{
	static const struct {
		uint16_t off;
		uint32_t mult, len;
		bool good;
	} rows[] = {
		{0, 0, 2, true},
		{0xffff, 0, 2, true},
		{0, 4, 1, false},
		{1, 4, 6, true},
		{1, 4, 5, false},
		{1023, 4, 0x1000, true},
		{1024, 4, 0x1000, false},
		{0xffff, 0xffff, 0x1000, false},
		{0xffff, 0xffffffff, 0x1000, false},
		{0x8000, 0x20000, 0x1000, false},
		{0x8000, 0x20002, 0x1000, false},
		{1, 0xfffffffe, 0x1000, false},
		{1, 1, 0x1000, false},
		{2, 1, 0x1000, true},
		{3, 3, 0x1000, false},
	};
	struct vio_queue_layout l = {.size = 8};

	(void)state;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		unsigned cap[4];
		struct bus *b = bus_modern(cap);
		struct vio_pci pci;
		int err;

		put(&b->cfg[cap[1] + 12], rows[i].len, 4);
		put(&b->cfg[cap[1] + 16], rows[i].mult, 4);
		put(b->mem[4] + 18, 3, 2);
		put(b->mem[4] + 30, rows[i].off, 2);
		if (rows[i].len < 2) {
			assert_int_equal(open_close(b), VIO_ENODEV);
			continue;
		}
		assert_int_equal(open_with(b, VIO_PCI_AUTO, &pci), VIO_OK);
		err = pci.t.ops->queue_enable(&pci.t, 0, &l, VIRTIO_MSI_NO_VECTOR);
		assert_int_equal(err, rows[i].good ? VIO_OK : VIO_EBROKEN);
		b->accesses = 0;
		pci.t.ops->notify(&pci.t, 0);
		assert_int_equal(b->accesses, rows[i].good);
		if (!rows[i].good)
			assert_int_equal(get(b->mem[4] + 28, 2), 0); /* was not switched on */
		vio_pci_close(&pci);
		bus_free(b);
	}
}

/* PN-5 */
static void test_notif_config_data(void **state)
{
	struct vio_queue_layout l = {.size = 8};

	(void)state;
	for (int short_ = 0; short_ < 2; short_++) {
		unsigned cap[4];
		struct bus *b = bus_modern(cap);
		struct vio_pci pci;

		put(&b->cfg[cap[0] + 12], short_ ? 56 : 60, 4);
		put(b->mem[4] + 56, 0x1234, 2);
		assert_int_equal(open_with(b, VIO_PCI_AUTO, &pci), VIO_OK);
		pci.t.ops->features_write(&pci.t, VIRTIO_BIT(VIRTIO_F_NOTIF_CONFIG_DATA));
		assert_int_equal(pci.t.ops->queue_enable(&pci.t, 1, &l, VIRTIO_MSI_NO_VECTOR),
				 short_ ? VIO_EBROKEN : VIO_OK);
		if (!short_) {
			pci.t.ops->notify(&pci.t, 1);
			assert_int_equal(b->last_access.val, 0x1234);
		}
		vio_pci_close(&pci);
		bus_free(b);
	}
}

/* ---- the PCI_CFG window ---- */

static void test_window(void **state)
{
	struct bus *b = bus_modern(NULL);
	struct vio_queue_layout l = {.size = 8, .desc = 0x1000};
	struct vio_pci pci;
	uint32_t val = 0;

	(void)state;
	cap_virtio(b, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, 0);
	b->bars[4].mapped = false;
	put(b->mem[4] + 18, 3, 2);
	put(b->mem[4] + 24, 128, 2);
	put(b->mem[4] + 30, 1, 2);
	put(b->mem[4] + 0x2006, 1, 2);
	assert_int_equal(open_with(b, VIO_PCI_AUTO, &pci), VIO_OK);
	pci.t.ops->status_write(&pci.t, 3);
	assert_int_equal(b->mem[4][20], 3);
	assert_int_equal(pci.t.ops->status_read(&pci.t), 3);
	assert_int_equal(pci.t.ops->queue_size(&pci.t, 1), 128);
	assert_int_equal(pci.t.ops->config_read(&pci.t, 6, 2, &val), VIO_OK);
	assert_int_equal(val, 1);
	assert_int_equal(pci.t.ops->queue_enable(&pci.t, 1, &l, VIRTIO_MSI_NO_VECTOR), VIO_OK);
	assert_int_equal(get(b->mem[4] + 28, 2), 1);
	pci.t.ops->notify(&pci.t, 1);
	assert_int_equal(b->last_access.off, 0x3004);
	assert_int_equal(b->last_access.val, 1);
	assert_int_equal(pci.t.ops->isr(&pci.t), 0);
	assert_int_equal(b->f.locked, 0);
	vio_pci_close(&pci);
	bus_free(b);

	/* Not mapped and no window: no modern device. */
	b = bus_modern(NULL);
	b->bars[4].mapped = false;
	assert_int_equal(open_close(b), VIO_ENODEV);
	/* Only what is not mapped goes through it. */
	b = bus_modern(NULL);
	b->bars[4].mapped = false;
	cap_virtio(b, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, 0);
	b->cfg[b->window + 2] = 16; /* too short to be one */
	assert_int_equal(open_close(b), VIO_ENODEV);
}

/* ---- legacy ---- */

static void test_legacy(void **state)
{
	static const struct {
		uint16_t id;
		struct vio_bar bar;
		int err;
	} rows[] = {
		{0x1000, {32, true, true}, VIO_OK},	 {0x1000, {24, true, true}, VIO_OK},
		{0x1000, {20, true, true}, VIO_ENODEV},	 {0x1000, {32, false, true}, VIO_ENODEV},
		{0x1000, {32, true, false}, VIO_ENODEV}, {0x1000, {0, true, true}, VIO_ENODEV},
		{0x1041, {32, true, true}, VIO_ENODEV}, /* LG-4 */
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		struct bus *b = bus_new(rows[i].id, 1);

		b->bars[0] = rows[i].bar;
		assert_int_equal(open_close(b), rows[i].err);
	}
}

/* LG-3: a transitional device has both faces. */
static void test_transitional(void **state)
{
	static const char *const names[] = {"modern", "modern", "legacy"};

	(void)state;
	for (int prefer = VIO_PCI_AUTO; prefer <= VIO_PCI_LEGACY; prefer++) {
		struct bus *b = bus_modern(NULL);
		struct vio_pci pci;

		put(&b->cfg[PCI_DEVICE_ID], 0x1000, 2);
		put(&b->cfg[PCI_SUBSYSTEM_ID], 1, 2);
		b->bars[0] = (struct vio_bar){.len = 64, .io = true, .mapped = true};
		assert_int_equal(open_with(b, (enum vio_pci_prefer)prefer, &pci), VIO_OK);
		assert_string_equal(pci.t.ops->name, names[prefer]);
		vio_pci_close(&pci);
		bus_free(b);
	}
}

/* LG-13, LG-14: device configuration moves with the live MSI-X bit. */
static void test_legacy_registers(void **state)
{
	struct bus *b = bus_new(0x1000, 1);
	struct vio_queue_layout l = {.size = 8, .desc = UINT64_C(0xabcde000) << 12};
	struct vio_pci pci;
	uint32_t val = 0;
	uint8_t *m = b->mem[0];

	(void)state;
	b->bars[0] = (struct vio_bar){.len = 32, .io = true, .mapped = true};
	msix_add(b, 3, false);
	assert_int_equal(open_with(b, VIO_PCI_AUTO, &pci), VIO_OK);
	assert_int_equal(pci.t.dma_bits, 44);
	for (unsigned i = 20; i < 32; i++)
		m[i] = (uint8_t)i;
	for (int round = 0; round < 4; round++) {
		bool on = round & 1;
		uint32_t room = on ? 8 : 12;

		b->cfg[b->last + 3] = on ? PCI_MSIX_CONTROL_ON >> 8 : 0;
		assert_int_equal(pci.t.ops->config_read(&pci.t, 0, 1, &val), VIO_OK);
		assert_int_equal(val, on ? 24 : 20);
		assert_int_equal(pci.t.ops->config_read(&pci.t, room - 2, 2, &val), VIO_OK);
		assert_int_equal(val, 0x1f1e);
		assert_int_equal(pci.t.ops->config_read(&pci.t, room, 1, &val), VIO_EINVAL);
		assert_int_equal(pci.t.ops->config_read(&pci.t, 0xffffffff, 4, &val), VIO_EINVAL);
		assert_int_equal(pci.t.ops->config_write(&pci.t, room, 1, 0), VIO_EINVAL);
		/* Without MSI-X there are no vector registers to write. */
		assert_int_equal(pci.t.ops->config_vector(&pci.t, 1), on ? VIO_OK : VIO_EINVAL);
		for (unsigned i = 20; i < 32; i++)
			m[i] = (uint8_t)i;
	}
	put(m, 0x87654321, 4);
	assert_true(pci.t.ops->features_read(&pci.t) == 0x87654321);
	pci.t.ops->features_write(&pci.t, 0x1020);
	assert_int_equal(get(m + 4, 4), 0x1020);
	put(m + 12, 64, 2);
	assert_int_equal(pci.t.ops->queue_size(&pci.t, 2), 64);
	assert_int_equal(get(m + 14, 2), 2);
	assert_int_equal(pci.t.ops->queue_enable(&pci.t, 1, &l, VIRTIO_MSI_NO_VECTOR), VIO_OK);
	assert_int_equal(get(m + 8, 4), 0xabcde000); /* LG-11 */
	l.desc = UINT64_C(1) << 44;
	assert_int_equal(pci.t.ops->queue_enable(&pci.t, 1, &l, VIRTIO_MSI_NO_VECTOR), VIO_EINVAL);
	l.desc = 0x1800;
	assert_int_equal(pci.t.ops->queue_enable(&pci.t, 1, &l, VIRTIO_MSI_NO_VECTOR), VIO_EINVAL);
	pci.t.ops->notify(&pci.t, 1);
	assert_int_equal(b->last_access.off, 16);
	assert_int_equal(b->last_access.val, 1);
	m[19] = 2;
	assert_int_equal(pci.t.ops->isr(&pci.t), 2);
	assert_int_equal(pci.t.ops->generation(&pci.t), 0);
	pci.t.ops->status_write(&pci.t, 7);
	assert_int_equal(m[18], 7);
	assert_int_equal(pci.t.ops->status_read(&pci.t), 7);
	vio_pci_close(&pci);
	bus_free(b);
}

/* ---- MSI-X ---- */

static void test_msix_table(void **state)
{
	static const struct {
		uint16_t entries;
		uint32_t table; /* offset | bar */
		int err;
	} rows[] = {
		{1, 1, VIO_OK},
		{256, 1, VIO_OK},
		{257, 1, VIO_EBROKEN},
		{2048, 1, VIO_EBROKEN},
		{1, 0xff0 | 1, VIO_OK},
		{2, 0xff0 | 1, VIO_EBROKEN},
		{1, 0x1000 | 1, VIO_EBROKEN},
		{1, 0xfffffff8 | 1, VIO_EBROKEN},
		{1, 6, VIO_EBROKEN},
		{1, 7, VIO_EBROKEN},
		{1, 3, VIO_EBROKEN},
	};
	struct bus *b = bus_modern(NULL);
	struct vio_pci pci;
	unsigned bar;
	uint32_t off;
	uint16_t n;

	(void)state;
	assert_int_equal(open_with(b, VIO_PCI_AUTO, &pci), VIO_OK);
	assert_int_equal(vio_pci_msix_table(&pci, &bar, &off, &n), VIO_ENOTSUP);
	assert_false(vio_pci_msix_on(&pci));
	vio_pci_close(&pci);
	bus_free(b);
	for (unsigned i = 0; i < COUNT(rows); i++) {
		b = bus_modern(NULL);
		msix_add(b, rows[i].entries, false);
		put(&b->cfg[b->last + 4], rows[i].table, 4);
		assert_int_equal(open_with(b, VIO_PCI_AUTO, &pci), VIO_OK);
		assert_int_equal(pci.msix_entries, rows[i].entries); /* PX-1 */
		assert_int_equal(vio_pci_msix_table(&pci, &bar, &off, &n), rows[i].err);
		vio_pci_close(&pci);
		bus_free(b);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_modern_registers),
	cmocka_unit_test(test_vectors),
	cmocka_unit_test(test_h10_notify_window),
	cmocka_unit_test(test_notif_config_data),
	cmocka_unit_test(test_window),
	cmocka_unit_test(test_legacy),
	cmocka_unit_test(test_transitional),
	cmocka_unit_test(test_legacy_registers),
	cmocka_unit_test(test_msix_table),
};

UNIT_MAIN(60, tests)
