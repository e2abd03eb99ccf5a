/* SPDX-License-Identifier: BSD-2-Clause */
/* Features, status, queues and interrupts of a device, on a fake transport. */
#include "tests/unit/cm.h"
#include "tests/unit/fake.h"

#define B(f) VIRTIO_BIT(f)

#define S_ACK	  VIRTIO_STATUS_ACKNOWLEDGE
#define S_DRIVER  VIRTIO_STATUS_DRIVER
#define S_OK	  VIRTIO_STATUS_DRIVER_OK
#define S_FEAT	  VIRTIO_STATUS_FEATURES_OK
#define S_FAILED  VIRTIO_STATUS_FAILED
#define S_STARTED (S_ACK | S_DRIVER | S_FEAT)

static const struct vio_feature_need needs[] = {{5, B(3) | B(4)}, {6, B(5)}, {7, B(6)}};

struct life {
	struct fake f;
	struct vio_device dev;
	struct vio_ring *ring;
};

static void life_open(struct life *l, bool legacy)
{
	memset(l, 0, sizeof(*l));
	fake_init(&l->f, legacy);
	vio_device_init(&l->dev, &l->f.os, &l->f.t, needs, COUNT(needs));
	assert_int_equal(vio_device_state(&l->dev), VIO_STATE_DOWN);
	assert_int_equal(l->f.nlog, 0); /* not touched */
}

static int life_ring(struct life *l)
{
	struct vio_ring_params p = {.index = 2, .size = 16, .max_segs = 2};

	return vio_device_add_queue(&l->dev, &p, &l->ring);
}

static void life_run(struct life *l)
{
	assert_int_equal(vio_device_negotiate(&l->dev, 0, 0), VIO_OK);
	if (!l->ring)
		assert_int_equal(life_ring(l), VIO_OK);
	vio_ring_clear(l->ring);
	assert_int_equal(vio_device_enable_queue(&l->dev, l->ring), VIO_OK);
	assert_int_equal(vio_device_ready(&l->dev), VIO_OK);
	assert_int_equal(vio_device_state(&l->dev), VIO_STATE_RUNNING);
}

static void life_close(struct life *l)
{
	vio_device_drop_queues(&l->dev);
	assert_true(fake_fini(&l->f));
}

/* IN-1, IN-4, ST-1: each bit at its time. */
static void test_status_order(void **state)
{
	static const struct fake_step want[] = {
		{ACT_STATUS, 0},
		{ACT_STATUS, S_ACK},
		{ACT_STATUS, S_ACK | S_DRIVER},
		{ACT_FEATURES, B(VIRTIO_F_VERSION_1) | B(3) | B(5)},
		{ACT_STATUS, S_STARTED},
		{ACT_ENABLE, 2},
		{ACT_VECTOR, 0},
		{ACT_STATUS, S_STARTED | S_OK},
		{ACT_STATUS, 0},
	};
	struct life l;

	(void)state;
	life_open(&l, false);
	l.f.offered |= B(3) | B(5) | B(9);
	l.dev.irq_mode = VIO_IRQ_MSIX_EACH;
	assert_int_equal(vio_device_negotiate(&l.dev, B(3) | B(5) | B(8), B(3)), VIO_OK);
	assert_int_equal(vio_device_state(&l.dev), VIO_STATE_SETUP);
	assert_true(vio_device_has(&l.dev, 5) && !vio_device_has(&l.dev, 9));
	assert_true(l.dev.offered == l.f.offered);
	assert_int_equal(life_ring(&l), VIO_OK);
	assert_int_equal(vio_device_enable_queue(&l.dev, l.ring), VIO_OK);
	assert_int_equal(vio_device_ready(&l.dev), VIO_OK);
	assert_int_equal(vio_device_ready(&l.dev), VIO_EINVAL); /* once */
	assert_int_equal(vio_device_reset(&l.dev), VIO_OK);
	assert_int_equal(vio_device_state(&l.dev), VIO_STATE_DOWN);
	assert_int_equal(l.f.nlog, COUNT(want));
	for (unsigned i = 0; i < COUNT(want); i++) {
		assert_int_equal(l.f.log[i].act, want[i].act);
		assert_int_equal(l.f.log[i].val, want[i].val);
	}
	life_close(&l);
}

/* LG-5: no FEATURES_OK; 32 feature bits. */
static void test_legacy(void **state)
{
	struct life l;

	(void)state;
	life_open(&l, true);
	l.f.offered = B(3) | B(VIRTIO_F_VERSION_1) | B(40) | B(VIRTIO_F_UNUSED);
	life_run(&l);
	for (unsigned i = 0; i < l.f.nlog; i++)
		assert_false(l.f.log[i].act == ACT_STATUS && l.f.log[i].val & S_FEAT);
	assert_true(l.dev.offered == (B(3) | B(VIRTIO_F_UNUSED)));
	assert_int_equal(l.f.status, S_ACK | S_DRIVER | S_OK);
	assert_int_equal(vio_device_negotiate(&l.dev, ~UINT64_C(0), 0), VIO_OK);
	assert_true(l.f.accepted == B(3)); /* LG-8 */
	assert_int_equal(vio_device_negotiate(&l.dev, B(3), B(4)), VIO_ENOTSUP);
	assert_int_equal(vio_device_reset(&l.dev), VIO_OK);
	life_close(&l);
}

/* FB-6, IN-5, IN-6 */
static void test_features_refused(void **state)
{
	struct life l;

	(void)state;
	life_open(&l, false);
	l.f.refuse_features = true;
	assert_int_equal(vio_device_negotiate(&l.dev, 0, 0), VIO_ENOTSUP);
	assert_int_equal(l.f.log[l.f.nlog - 1].val & S_FAILED, S_FAILED);
	assert_int_equal(vio_device_state(&l.dev), VIO_STATE_BROKEN);
	assert_non_null(l.dev.why);
	assert_int_equal(vio_device_ready(&l.dev), VIO_EINVAL);
	l.f.refuse_features = false;
	life_run(&l); /* ST-3: after a reset it may work */
	assert_int_equal(l.f.status & S_FAILED, 0);
	life_close(&l);
}

static void test_required_missing(void **state)
{
	struct life l;

	(void)state;
	life_open(&l, false);
	assert_int_equal(vio_device_negotiate(&l.dev, B(1), B(1)), VIO_ENOTSUP);
	assert_int_equal(fake_count(&l.f, ACT_FEATURES), 0);
	assert_int_equal(l.f.status & S_FAILED, S_FAILED);
	l.f.offered = B(1); /* FB-3: modern without VERSION_1 */
	assert_int_equal(vio_device_negotiate(&l.dev, B(1), 0), VIO_ENOTSUP);
	assert_int_equal(l.f.status & S_FAILED, S_FAILED);
	assert_int_equal(l.f.status & S_FEAT, 0);
	life_close(&l);
}

/* FB-1, FB-2, FB-4, FB-7, LG-8, RF-1, RF-2, RF-10; IN_ORDER, RESET and friends are not known. */
static void test_close(void **state)
{
	static const unsigned core[] = {VIRTIO_F_ANY_LAYOUT,	  VIRTIO_F_INDIRECT_DESC,
					VIRTIO_F_EVENT_IDX,	  VIRTIO_F_VERSION_1,
					VIRTIO_F_ACCESS_PLATFORM, VIRTIO_F_NOTIF_CONFIG_DATA};
#if defined(__x86_64__) || defined(__i386__)
	uint64_t known = B(VIRTIO_F_ORDER_PLATFORM); /* RF-7 holds there */
#else
	uint64_t known = 0;
#endif

	(void)state;
	for (unsigned i = 0; i < COUNT(core); i++)
		known |= B(core[i]);
	for (unsigned bit = 0; bit < 64; bit++) {
		bool mine = bit < 24 || bit >= 50;

		assert_true(vio_features_close(B(bit), NULL, 0) ==
			    (mine || B(bit) & known ? B(bit) : 0));
	}
	/* A chain of needs falls together, in any order. */
	assert_true(vio_features_close(B(3) | B(5) | B(6) | B(7), needs, 3) ==
		    (B(3) | B(5) | B(6) | B(7)));
	assert_true(vio_features_close(B(4) | B(5) | B(7), needs, 3) == (B(4) | B(5)));
	assert_true(vio_features_close(B(5) | B(6) | B(7) | B(1), needs, 3) == B(1));
}

/* RS-1: over only when status reads 0. */
static void test_reset_waits(void **state)
{
	struct life l;

	(void)state;
	life_open(&l, false);
	l.f.reset_reads = 500;
	assert_int_equal(vio_device_reset(&l.dev), VIO_OK);
	assert_int_equal(l.f.reset_reads, 0);
	assert_true(l.f.delayed > 0 && l.f.now < VIO_RESET_DEADLINE_US);
	life_close(&l);
}

static void test_h12_reset_deadline(void **state)
{
	(void)state;
	for (int stuck = 0; stuck < 2; stuck++) { /* the clock may stand still (H-15) */
		struct life l;
		uint64_t start;
		unsigned acts;

		life_open(&l, false);
		life_run(&l);
		l.f.clock_stuck = stuck;
		l.f.never_resets = true;
		start = l.f.now;
		assert_int_equal(vio_device_reset(&l.dev), VIO_ETIMEDOUT);
		assert_true(stuck || l.f.now - start >= VIO_RESET_DEADLINE_US);
		assert_true(l.f.now - start < 2 * VIO_RESET_DEADLINE_US);
		assert_int_equal(vio_device_state(&l.dev), VIO_STATE_DEAD);
		assert_true(l.dev.unsafe);
		/* Never touched again. */
		acts = l.f.nlog;
		assert_int_equal(vio_device_reset(&l.dev), VIO_ENODEV);
		assert_int_equal(vio_device_negotiate(&l.dev, 0, 0), VIO_ENODEV);
		assert_int_equal(vio_device_may_recover(&l.dev), VIO_ENODEV);
		vio_device_break(&l.dev, "again");
		assert_int_equal(vio_device_state(&l.dev), VIO_STATE_DEAD);
		assert_int_equal(l.f.nlog, acts);
		/* Memory the device may still write to is not given back; all else is. */
		vio_device_drop_queues(&l.dev);
		assert_int_equal(l.dev.quarantined, 1);
		assert_int_equal(l.f.live, 0);
		assert_true(l.f.live_dma > 0);
		assert_int_equal(fake_count(&l.f, ACT_DMA_FREE), 0);
		fake_fini(&l.f);
	}
}

static void test_gone(void **state)
{
	struct life l;
	uint64_t start;

	(void)state;
	life_open(&l, false);
	life_run(&l);
	l.f.is_gone = true;
	assert_true(vio_device_needs_reset(&l.dev));
	start = l.f.now;
	assert_int_equal(vio_device_reset(&l.dev), VIO_ENODEV);
	assert_true(l.f.now - start < 1000); /* at once */
	assert_int_equal(vio_device_state(&l.dev), VIO_STATE_DEAD);
	assert_false(l.dev.unsafe); /* what is off the bus writes nowhere */
	life_close(&l);
}

static void test_needs_reset(void **state)
{
	struct life l;

	(void)state;
	life_open(&l, false);
	assert_false(vio_device_needs_reset(&l.dev)); /* nobody asks a device that is down */
	life_run(&l);
	assert_false(vio_device_needs_reset(&l.dev));
	l.f.needs_reset = true;
	assert_true(vio_device_needs_reset(&l.dev));
	vio_device_break(&l.dev, "asked");
	assert_false(vio_device_needs_reset(&l.dev));
	assert_int_equal(vio_device_reset(&l.dev), VIO_OK);
	life_run(&l);
	l.f.status = 0; /* reset behind our back */
	assert_true(vio_device_needs_reset(&l.dev));
	life_close(&l);
}

/* ---- queues ---- */

static void test_h9_queue_size(void **state)
{
	static const struct {
		uint16_t device, limit, size;
		bool legacy;
		int err;
	} rows[] = {
		{256, 0, 256, false, VIO_OK},	    {256, 64, 64, false, VIO_OK},
		{64, 256, 64, false, VIO_OK},	    {1, 0, 1, false, VIO_OK},
		{32768, 0, 32768, false, VIO_OK},   {300, 0, 256, false, VIO_OK},
		{3, 0, 2, false, VIO_OK},	    {300, 64, 64, false, VIO_OK},
		{0, 0, 0, false, VIO_ENODEV},	    {32769, 0, 0, false, VIO_EBROKEN},
		{65535, 64, 0, false, VIO_EBROKEN}, {256, 64, 256, true, VIO_OK},
		{256, 1024, 256, true, VIO_OK},	    {300, 0, 0, true, VIO_EBROKEN},
		{0, 0, 0, true, VIO_ENODEV},	    {65535, 0, 0, true, VIO_EBROKEN},
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		struct vio_ring_params p = {.index = 2, .size = rows[i].limit, .max_segs = 1};
		struct life l;

		life_open(&l, rows[i].legacy);
		assert_int_equal(vio_device_negotiate(&l.dev, 0, 0), VIO_OK);
		l.f.queue_size[2] = rows[i].device;
		assert_int_equal(vio_device_add_queue(&l.dev, &p, &l.ring), rows[i].err);
		if (rows[i].err == VIO_OK)
			assert_int_equal(vio_ring_size(l.ring), rows[i].size);
		life_close(&l);
	}
}

static void test_queue_misuse(void **state)
{
	struct vio_ring_params p = {.index = VIO_MAX_QUEUES, .size = 16, .max_segs = 1};
	struct life l;

	(void)state;
	life_open(&l, false);
	assert_int_equal(vio_device_negotiate(&l.dev, 0, 0), VIO_OK);
	assert_int_equal(vio_device_add_queue(&l.dev, &p, &l.ring), VIO_EINVAL);
	assert_int_equal(life_ring(&l), VIO_OK);
	assert_int_equal(life_ring(&l), VIO_EINVAL); /* it has one */
	for (unsigned n = 1; n <= 3; n++) {
		struct vio_ring_params q = {.index = 1, .size = 16, .max_segs = 1};
		struct vio_ring *r;

		l.f.fail_at = n;
		assert_int_equal(vio_device_add_queue(&l.dev, &q, &r), VIO_ENOMEM);
	}
	l.f.fail_at = 0;
	life_close(&l);
}

static void test_h11_queue_size_fixed(void **state)
{
	static const uint16_t other[] = {8, 0, 40000};
	struct life l;

	(void)state;
	for (unsigned i = 0; i < COUNT(other); i++) {
		life_open(&l, false);
		life_run(&l);
		assert_int_equal(vio_device_negotiate(&l.dev, 0, 0), VIO_OK);
		l.f.queue_size[2] = other[i];
		assert_int_equal(vio_device_enable_queue(&l.dev, l.ring), VIO_EBROKEN);
		assert_int_equal(vio_device_state(&l.dev), VIO_STATE_BROKEN);
		assert_int_equal(vio_device_ready(&l.dev), VIO_EINVAL);
		life_close(&l);
	}
	/* A larger maximum is no other size. */
	life_open(&l, false);
	life_run(&l);
	l.f.queue_size[2] = 1024;
	life_run(&l);
	assert_int_equal(l.f.layout[2].size, 16);
	life_close(&l);
}

static void test_h11_offer_shrinks(void **state)
{
	struct life l;
	uint64_t first;

	(void)state;
	life_open(&l, false);
	l.f.offered |= B(3) | B(5);
	assert_int_equal(vio_device_negotiate(&l.dev, ~UINT64_C(0), 0), VIO_OK);
	first = l.dev.accepted;
	l.f.offered |= B(4) | B(9); /* more is fine, and not taken */
	assert_int_equal(vio_device_negotiate(&l.dev, first, first), VIO_OK);
	assert_true(l.f.accepted == first);
	l.f.offered &= ~B(5);
	assert_int_equal(vio_device_negotiate(&l.dev, first, first), VIO_ENOTSUP);
	/* Gone is a prerequisite: what needs it goes too. */
	l.f.offered = (l.f.offered | B(5)) & ~(B(3) | B(4));
	assert_int_equal(vio_device_negotiate(&l.dev, first, first), VIO_ENOTSUP);
	life_close(&l);
}

static void test_queue_refused(void **state)
{
	struct life l;

	(void)state;
	life_open(&l, false);
	assert_int_equal(vio_device_negotiate(&l.dev, 0, 0), VIO_OK);
	assert_int_equal(life_ring(&l), VIO_OK);
	l.f.enable_err = VIO_EDEV;
	assert_int_equal(vio_device_enable_queue(&l.dev, l.ring), VIO_EDEV);
	assert_int_equal(vio_device_state(&l.dev), VIO_STATE_BROKEN);
	l.f.enable_err = VIO_OK;
	l.dev.irq_mode = VIO_IRQ_MSIX_ONE;
	l.f.vector_err = VIO_EDEV;
	assert_int_equal(vio_device_negotiate(&l.dev, 0, 0), VIO_OK);
	assert_int_equal(vio_device_enable_queue(&l.dev, l.ring), VIO_OK);
	assert_int_equal(vio_device_ready(&l.dev), VIO_EDEV);
	assert_int_equal(l.f.status & S_OK, 0);
	assert_int_equal(l.f.status & S_FAILED, S_FAILED);
	life_close(&l);
}

static void test_vectors(void **state)
{
	static const struct {
		enum vio_irq_mode mode;
		uint16_t queue;
		uint64_t config;
	} rows[] = {
		{VIO_IRQ_NONE, VIRTIO_MSI_NO_VECTOR, UINT64_MAX},
		{VIO_IRQ_INTX, VIRTIO_MSI_NO_VECTOR, UINT64_MAX},
		{VIO_IRQ_MSIX_ONE, 0, 0},
		{VIO_IRQ_MSIX_EACH, 3, 0},
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		struct life l;

		life_open(&l, false);
		l.dev.irq_mode = rows[i].mode;
		life_run(&l);
		assert_int_equal(l.f.vector[2], rows[i].queue);
		assert_true(fake_nth(&l.f, ACT_VECTOR, 0) == rows[i].config);
		life_close(&l);
	}
}

/* ---- H-13 ---- */

static void test_isr(void **state)
{
	struct life l;

	(void)state;
	life_open(&l, false);
	l.dev.irq_mode = VIO_IRQ_INTX;
	l.f.isr = 3;
	assert_int_equal(vio_device_isr(&l.dev, 0), 0); /* H-13: not running ... */
	assert_int_equal(l.f.isr_reads, 1);		/* ... but the line must drop */
	life_run(&l);
	for (uint8_t isr = 0; isr < 4; isr++) {
		l.f.isr = isr;
		assert_int_equal(vio_device_isr(&l.dev, 0),
				 (isr & 1 ? VIO_EVENT_QUEUE : 0) |
					 (isr & 2 ? VIO_EVENT_CONFIG : 0));
	}
	l.f.isr = 0xff;
	assert_int_equal(vio_device_isr(&l.dev, 0), 0);
	l.f.isr = 0xfc; /* unknown bits */
	assert_int_equal(vio_device_isr(&l.dev, 0), 0);

	l.f.isr_reads = 0;
	l.dev.irq_mode = VIO_IRQ_MSIX_EACH; /* PI-1 */
	assert_int_equal(vio_device_isr(&l.dev, 0), VIO_EVENT_CONFIG);
	assert_int_equal(vio_device_isr(&l.dev, 1), VIO_EVENT_QUEUE);
	l.dev.irq_mode = VIO_IRQ_MSIX_ONE;
	assert_int_equal(vio_device_isr(&l.dev, 0), VIO_EVENT_QUEUE | VIO_EVENT_CONFIG);
	l.dev.irq_mode = VIO_IRQ_NONE;
	assert_int_equal(vio_device_isr(&l.dev, 0), 0);
	assert_int_equal(l.f.isr_reads, 0);
	l.dev.irq_mode = VIO_IRQ_MSIX_ONE;
	vio_device_break(&l.dev, "broken");
	assert_int_equal(vio_device_isr(&l.dev, 0), 0);
	life_close(&l);
}

static void test_h13_three_recoveries_a_minute(void **state)
{
	struct life l;

	(void)state;
	life_open(&l, false);
	life_run(&l);
	/* Slowly it may break for ever. */
	for (unsigned i = 0; i < 50; i++) {
		l.f.now += 20000001;
		vio_device_break(&l.dev, "slow");
		assert_int_equal(vio_device_may_recover(&l.dev), VIO_OK);
		life_run(&l);
	}
	l.f.now += 60000001;
	for (unsigned i = 0; i < VIO_RESETS_PER_MINUTE; i++) {
		vio_device_break(&l.dev, "fast");
		assert_int_equal(vio_device_may_recover(&l.dev), VIO_OK);
		life_run(&l);
	}
	l.f.now += 50000000;
	vio_device_break(&l.dev, "fast");
	assert_int_equal(vio_device_may_recover(&l.dev), VIO_ENODEV);
	assert_int_equal(vio_device_state(&l.dev), VIO_STATE_DEAD);
	assert_int_equal(l.f.status, 0); /* it was reset before it was given up */
	assert_false(l.dev.unsafe);
	l.f.now += 600000000;
	assert_int_equal(vio_device_may_recover(&l.dev), VIO_ENODEV); /* for good */
	life_close(&l);
}

static void test_h14_breaking_logs_once(void **state)
{
	struct life l;

	(void)state;
	life_open(&l, false);
	life_run(&l);
	l.f.logs = 0;
	for (unsigned i = 0; i < 1000; i++)
		vio_device_break(&l.dev, i ? "later" : "first");
	assert_int_equal(l.f.logs, 1);
	assert_string_equal(l.dev.why, "first");
	assert_int_equal(l.f.status, S_STARTED | S_OK | S_FAILED); /* ST-2: nothing taken back */
	life_close(&l);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_status_order),
	cmocka_unit_test(test_legacy),
	cmocka_unit_test(test_features_refused),
	cmocka_unit_test(test_required_missing),
	cmocka_unit_test(test_close),
	cmocka_unit_test(test_reset_waits),
	cmocka_unit_test(test_h12_reset_deadline),
	cmocka_unit_test(test_gone),
	cmocka_unit_test(test_needs_reset),
	cmocka_unit_test(test_h9_queue_size),
	cmocka_unit_test(test_queue_misuse),
	cmocka_unit_test(test_h11_queue_size_fixed),
	cmocka_unit_test(test_h11_offer_shrinks),
	cmocka_unit_test(test_queue_refused),
	cmocka_unit_test(test_vectors),
	cmocka_unit_test(test_isr),
	cmocka_unit_test(test_h13_three_recoveries_a_minute),
	cmocka_unit_test(test_h14_breaking_logs_once),
};

UNIT_MAIN(60, tests)
