/* SPDX-License-Identifier: BSD-2-Clause */
/* Which functions are ours, and capability lists made by hand (4.1.2, 4.1.4, H-10). */
#include "tests/unit/pci_bus.h"

/* ---- PD-1 .. PD-3 ---- */

static void test_ids(void **state)
{
	static const struct {
		uint16_t vendor, device, subsystem, type; /* type 0: not ours */
	} rows[] = {
		{0x1af4, 0x1041, 0, 1}, {0x1af4, 0x1041, 5, 1},	     {0x1af4, 0x107f, 0, 0x3f},
		{0x1af4, 0x1080, 1, 0}, {0x1af4, 0x1040, 1, 0},	     {0x1af4, 0x1000, 1, 1},
		{0x1af4, 0x103f, 4, 4}, {0x1af4, 0x0fff, 1, 0},	     {0x1af4, 0x1000, 0, 0},
		{0x1af5, 0x1041, 1, 0}, {0xffff, 0xffff, 0xffff, 0}, {0x1af4, 0x1052, 0, 18},
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		for (unsigned rev = 0; rev < 256; rev += 85) {
			struct bus *b = bus_modern(NULL);
			struct vio_pci pci;
			int err;

			put(&b->cfg[PCI_VENDOR_ID], rows[i].vendor, 2);
			put(&b->cfg[PCI_DEVICE_ID], rows[i].device, 2);
			put(&b->cfg[PCI_SUBSYSTEM_ID], rows[i].subsystem, 2);
			b->cfg[PCI_REVISION] = (uint8_t)rev; /* PD-3 */
			err = open_with(b, VIO_PCI_AUTO, &pci);
			assert_int_equal(err, rows[i].type ? VIO_OK : VIO_ENODEV);
			assert_int_equal(pci.device_type, rows[i].type);
			vio_pci_close(&pci);
			bus_free(b);
		}
	}
}

static void test_gone(void **state)
{
	struct bus *b = bus_modern(NULL);
	struct vio_pci pci;

	(void)state;
	assert_int_equal(open_with(b, VIO_PCI_AUTO, &pci), VIO_OK);
	assert_false(pci.t.ops->gone(&pci.t));
	memset(b->cfg, 0xff, sizeof(b->cfg));
	assert_true(pci.t.ops->gone(&pci.t));
	vio_pci_close(&pci);
	bus_free(b);
}

/* ---- the list (H-10) ---- */

static void test_h10_list_loops(void **state)
{
	unsigned cap[4];
	struct bus *b;

	(void)state;
	for (int i = 0; i < 4; i++) { /* back to the first, from each of them */
		b = bus_modern(cap);
		b->cfg[cap[i] + 1] = (uint8_t)cap[0];
		assert_int_equal(open_close(b), i >= 2 ? VIO_OK : VIO_ENODEV);
	}
	b = bus_modern(cap);
	b->cfg[cap[0] + 1] = (uint8_t)cap[0]; /* to itself */
	assert_int_equal(open_close(b), VIO_ENODEV);
	b = bus_modern(cap);
	b->cfg[cap[3] + 1] = (uint8_t)(cap[1] | 3); /* the low bits are reserved */
	assert_int_equal(open_close(b), VIO_OK);
}

static void test_h10_list_truncated(void **state)
{
	static const uint8_t ends[] = {0, 4, 0x3c, 0x3f, 0xfd, 0xff};
	unsigned cap[4];
	struct bus *b;

	(void)state;
	for (unsigned i = 0; i < COUNT(ends); i++) {
		b = bus_modern(cap);
		b->cfg[PCI_CAP_PTR] = ends[i];
		assert_int_equal(open_close(b), VIO_ENODEV);
		b = bus_modern(cap);
		b->cfg[cap[2] + 1] = ends[i]; /* no device configuration: not needed by all */
		assert_int_equal(open_close(b), VIO_OK);
		b = bus_modern(cap);
		b->cfg[cap[1] + 1] = ends[i];
		assert_int_equal(open_close(b), VIO_ENODEV);
	}
	b = bus_modern(cap);
	b->cfg[PCI_STATUS] &= (uint8_t)~PCI_STATUS_CAP_LIST;
	assert_int_equal(open_close(b), VIO_ENODEV);
	/* A capability that does not fit before the end of configuration space. */
	for (unsigned at = 0xf0; at <= 0xfc; at += 4) {
		b = bus_modern(cap);
		memmove(&b->cfg[at], &b->cfg[cap[0]], 256 - at < 16 ? 256 - at : 16);
		b->cfg[PCI_CAP_PTR] = (uint8_t)at;
		b->cfg[at + 1] = (uint8_t)cap[1];
		assert_int_equal(open_close(b), at == 0xf0 ? VIO_OK : VIO_ENODEV);
	}
}

/* Configuration space that says anything: nothing may be touched out of bounds (see bus_*). */
static void test_h10_random_spaces(void **state)
{
	struct rng rng = {11};
	unsigned opened = 0;

	(void)state;
	for (unsigned turn = 0; turn < 20000; turn++) {
		struct bus *b = bus_modern(NULL);
		struct vio_pci pci;

		msix_add(b, 3, true);
		cap_virtio(b, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, 0);
		b->window = 0; /* nothing is written while opening */
		for (unsigned n = rng_below(&rng, 6) + 1; n > 0; n--)
			b->cfg[0x34 + rng_below(&rng, 0xcc)] = (uint8_t)rng_next(&rng);
		b->bars[rng_below(&rng, 6)] = (struct vio_bar){
			.len = rng_below(&rng, 2) ? rng_below(&rng, BAR_LEN) : 0, .mapped = true};
		if (open_with(b, VIO_PCI_AUTO, &pci) == VIO_OK) {
			struct vio_queue_layout l = {.size = 8};
			uint32_t val, off;
			uint16_t n;
			unsigned bar;

			opened++;
			if (pci.common.window || pci.isr.window)
				goto next;
			pci.t.ops->status_write(&pci.t, 0);
			pci.t.ops->features_write(&pci.t, pci.t.ops->features_read(&pci.t));
			pci.t.ops->generation(&pci.t);
			pci.t.ops->isr(&pci.t);
			for (unsigned i = 0; i < 64; i++)
				(void)!pci.t.ops->config_read(&pci.t, 4 * i, 4, &val);
			rng_fill(&rng, &b->mem[pci.common.bar][pci.common.off + 30], 2);
			if (pci.t.ops->queue_enable(&pci.t, 1, &l, VIRTIO_MSI_NO_VECTOR) == VIO_OK)
				pci.t.ops->notify(&pci.t, 1);
			if (vio_pci_msix_table(&pci, &bar, &off, &n) == VIO_OK) {
				assert_true(off + n * 16u <= b->bars[bar].len);
				b->open_now[bar] = pci.open_bars >> bar & 1;
			}
		}
	next:
		memset(b->open_now, 0, sizeof(b->open_now));
		for (unsigned bar = 0; bar < 6; bar++)
			b->open_now[bar] = pci.open_bars >> bar & 1;
		vio_pci_close(&pci);
		bus_free(b);
	}
	assert_true(opened > 1000);
}

/* ---- one structure at a time ---- */

static void test_h10_structure_bounds(void **state)
{
	static const struct {
		uint32_t off, len;
		bool good; /* for common, notify and isr alike */
	} rows[] = {
		{0, BAR_LEN, true},
		{0, BAR_LEN + 1, false},
		{0, UINT32_MAX, false},
		{BAR_LEN - 0x100, 0x100, true},
		{BAR_LEN - 0x100, 0x101, false},
		{BAR_LEN, 0x100, false},
		{0xffffff00, 0x200, false},
		{0xfffffffc, 0x38, false},
		{0x80000000, 0x80000000, false},
		{0, 0, false},
		{0x2000, 0x38, true}, /* the 1.0 structure and no more (CF-5) */
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		for (unsigned c = 0; c < 3; c++) {
			unsigned cap[4];
			struct bus *b = bus_modern(cap);

			put(&b->cfg[cap[c] + 8], rows[i].off, 4);
			put(&b->cfg[cap[c] + 12], rows[i].len, 4);
			assert_int_equal(open_close(b), rows[i].good ? VIO_OK : VIO_ENODEV);
		}
	}
	/* Too short for the structure. */
	for (uint32_t len = 0; len < 80; len++) {
		unsigned cap[4];
		struct bus *b = bus_modern(cap);

		put(&b->cfg[cap[0] + 12], len, 4);
		assert_int_equal(open_close(b), len >= 56 ? VIO_OK : VIO_ENODEV);
	}
}

/* 4.1.4.3.1, 4.1.4.4.1: registers where a CPU or the window can reach them. */
static void test_h10_alignment(void **state)
{
	static const unsigned align[4] = {4, 2, 1, 4};

	(void)state;
	for (unsigned c = 0; c < 4; c++) {
		for (uint32_t odd = 0; odd < 4; odd++) {
			bool good = odd % align[c] == 0;
			unsigned cap[4];
			struct bus *b = bus_modern(cap);
			struct vio_pci pci;
			int err;

			put(&b->cfg[cap[c] + 8], 0x2000 + odd, 4);
			err = open_with(b, VIO_PCI_AUTO, &pci);
			if (c == 3) {
				assert_int_equal(err, VIO_OK);
				assert_int_equal(pci.device.found, good);
			} else {
				assert_int_equal(err, good ? VIO_OK : VIO_ENODEV);
			}
			vio_pci_close(&pci);
			bus_free(b);
		}
	}
}

static void test_h10_bars(void **state)
{
	(void)state;
	for (unsigned bar = 0; bar < 256; bar++) { /* PC-4 */
		unsigned cap[4];
		struct bus *b = bus_modern(cap);

		b->cfg[cap[0] + 4] = (uint8_t)bar;
		assert_int_equal(open_close(b), bar == 4 ? VIO_OK : VIO_ENODEV);
	}
}

static void test_cap_len(void **state)
{
	(void)state;
	for (unsigned len = 0; len < 256; len++) {
		unsigned cap[4];
		struct bus *b = bus_modern(cap);

		/* PC-3: longer is fine, as far as configuration space goes. */
		b->cfg[cap[0] + 2] = (uint8_t)len;
		assert_int_equal(open_close(b),
				 len >= 16 && len <= 256 - cap[0] ? VIO_OK : VIO_ENODEV);
		b = bus_modern(cap);
		b->cfg[cap[1] + 2] = (uint8_t)len; /* the multiplier must be there */
		assert_int_equal(open_close(b),
				 len >= 20 && len <= 256 - cap[1] ? VIO_OK : VIO_ENODEV);
	}
}

/* PC-1, PC-2: reserved types are skipped, the first usable instance counts. */
static void test_instances(void **state)
{
	struct bus *b = bus_new(0x1041, 0);
	struct vio_pci pci;
	unsigned bad_notify;

	(void)state;
	b->bars[2] = (struct vio_bar){.len = BAR_LEN, .mapped = true};
	cap_virtio(b, 0, 2, 0, 64);
	cap_virtio(b, VIRTIO_PCI_CAP_COMMON_CFG, 7, 0, 64);
	cap_virtio(b, VIRTIO_PCI_CAP_COMMON_CFG, 2, 0x100, 64);
	cap_virtio(b, VIRTIO_PCI_CAP_COMMON_CFG, 2, 0x200, 64);
	cap_virtio(b, 77, 2, 0, 64);
	bad_notify = cap_virtio(b, VIRTIO_PCI_CAP_NOTIFY_CFG, 2, BAR_LEN, 64);
	cap_virtio(b, VIRTIO_PCI_CAP_NOTIFY_CFG, 2, 0x300, 64);
	cap_virtio(b, VIRTIO_PCI_CAP_ISR_CFG, 2, 0x400, 4);
	put(&b->cfg[bad_notify + 16], 64, 4);
	assert_int_equal(open_with(b, VIO_PCI_AUTO, &pci), VIO_OK);
	assert_int_equal(pci.common.off, 0x100);
	assert_int_equal(pci.notify.off, 0x300);
	assert_int_equal(pci.notify_multiplier, 4); /* of the one that was taken */
	assert_false(pci.device.found);
	assert_int_equal(pci.t.ops->config_read(&pci.t, 0, 1, &(uint32_t){0}), VIO_EINVAL);
	assert_int_equal(b->opened, 1); /* PC-5 */
	vio_pci_close(&pci);
	bus_free(b);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_ids),
	cmocka_unit_test(test_gone),
	cmocka_unit_test(test_h10_list_loops),
	cmocka_unit_test(test_h10_list_truncated),
	cmocka_unit_test(test_h10_random_spaces),
	cmocka_unit_test(test_h10_structure_bounds),
	cmocka_unit_test(test_h10_alignment),
	cmocka_unit_test(test_h10_bars),
	cmocka_unit_test(test_cap_len),
	cmocka_unit_test(test_instances),
};

UNIT_MAIN(60, tests)
