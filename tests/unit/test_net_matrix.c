/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets both ways through every combination of transport, header form, ring features, queue
 * size and interrupt mode, content compared at both ends and every norm watched.
 */
#include "tests/unit/net_kit.h"

struct combo {
	unsigned face; /* modern, transitional as modern, transitional as legacy, legacy */
	bool merge, event_idx, indirect, any_layout;
	uint16_t size;
	enum vio_irq_mode irq;
	bool immediate;
};

static void combo_opts(const struct combo *c, struct rig_opts *o)
{
	static const enum model_interface faces[] = {MODEL_MODERN, MODEL_TRANSITIONAL,
						     MODEL_TRANSITIONAL, MODEL_LEGACY};

	kit_opts(o);
	o->model.interface = faces[c->face];
	o->prefer = c->face == 2 ? VIO_PCI_LEGACY : VIO_PCI_AUTO;
	o->model.features = model_features_default() | VIRTIO_BIT(VIRTIO_F_ANY_LAYOUT);
	if (!c->merge)
		o->model.features &= ~NB(MRG_RXBUF);
	if (!c->event_idx)
		o->model.features &= ~VIRTIO_BIT(VIRTIO_F_EVENT_IDX);
	if (!c->indirect)
		o->model.features &= ~VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC);
	if (!c->any_layout)
		o->model.features &= ~VIRTIO_BIT(VIRTIO_F_ANY_LAYOUT);
	for (unsigned q = 0; q < MODEL_QUEUES; q++)
		o->model.queue_size[q] = c->size;
	o->model.immediate = c->immediate;
	o->params.irq_mode = c->irq;
}

static void run_combo(const struct combo *c, unsigned frames)
{
	struct rig_opts o;
	struct rig *r;
	struct vio_net_info info;

	combo_opts(c, &o);
	r = kit_start(&o);
	info = kit_info(r);
	assert_string_equal(info.transport, c->face >= 2 ? "legacy" : "modern");
	assert_int_equal(info.rx_merge, c->merge);
	assert_int_equal(info.hdr_len, c->face < 2 || c->merge ? 12 : 10); /* LG-22 */
	assert_int_equal(info.tx_size, c->size > 1024 && c->face < 2 ? 1024 : c->size);
	kit_traffic(r, frames, c->size);
	if (rig_failures(r) || model_violations(rig_model(r)))
		printf("face %u merge %d event %d indirect %d size %u irq %d immediate %d\n",
		       c->face, c->merge, c->event_idx, c->indirect, c->size, (int)c->irq,
		       c->immediate);
	kit_end(r);
}

static void test_every_combination(void **state)
{
	static const uint16_t sizes[] = {4, 8, 64, 256};
	unsigned n = 0;

	(void)state;
	for (unsigned face = 0; face < 4; face++) {
		for (unsigned bits = 0; bits < 16; bits++) {
			for (unsigned s = 0; s < COUNT(sizes); s++, n++) {
				struct combo c = {
					.face = face,
					.merge = bits & 1,
					.event_idx = bits & 2,
					.indirect = bits & 4,
					.any_layout = bits & 8,
					.size = sizes[s],
					.irq = (enum vio_irq_mode)(1 + n % 3),
					.immediate = n / 3 & 1,
				};

				run_combo(&c, 12);
			}
		}
	}
}

static void test_large_queues(void **state)
{
	static const uint16_t sizes[] = {1024, 4096, 32768};

	(void)state;
	for (unsigned face = 0; face < 4; face++) {
		for (unsigned s = 0; s < COUNT(sizes); s++) {
			struct combo c = {.face = face,
					  .merge = face & 1,
					  .event_idx = true,
					  .any_layout = true,
					  .size = sizes[s],
					  .irq = VIO_IRQ_MSIX_EACH};

			run_combo(&c, 20);
		}
	}
}

/* Smallest queues: what can go at all goes. */
static void test_small_queues(void **state)
{
	(void)state;
	for (unsigned face = 0; face < 4; face++) {
		for (unsigned bits = 0; bits < 4; bits++) {
			struct combo c = {.face = face,
					  .merge = bits & 1,
					  .event_idx = bits & 2,
					  .indirect = true,
					  .any_layout = true,
					  .size = 2,
					  .irq = VIO_IRQ_MSIX_EACH,
					  .immediate = true};

			run_combo(&c, 20);
		}
	}
}

/* Queues of one and two entries: what the device has room for goes, the rest is refused. */
static void test_tiny_queues(void **state)
{
	(void)state;
	for (uint16_t size = 1; size <= 2; size++) {
		for (unsigned face = 0; face < 4; face++) {
			struct combo c = {.face = face,
					  .merge = true,
					  .event_idx = true,
					  .indirect = true,
					  .any_layout = true,
					  .size = size,
					  .irq = VIO_IRQ_MSIX_EACH,
					  .immediate = true};
			struct vio_net_filter f = {.promisc = true};
			struct rig_opts o;
			struct rig *r;
			int err;

			combo_opts(&c, &o);
			r = kit_start(&o);
			/* A command is two descriptors, on a legacy device three or more (LG-25).
			 */
			err = vio_net_set_filter(rig_net(r), &f);
			assert_int_equal(err, size == 2 && face < 2 ? VIO_OK : VIO_ENOTSUP);
			for (unsigned room = 0; room < 2; room++) {
				uint8_t buf[100];
				struct rig_tx tx = {.frame = buf, .headroom = room * 16};

				/* Where header and data are two, one entry is too few (SQ-8). */
				tx.len = kit_frame(buf, 20, 1);
				err = rig_send_ex(r, &tx);
				assert_int_equal(err, size == 2 || room ? VIO_OK : VIO_EINVAL);
				vio_net_flush(rig_net(r));
				rig_pump(r);
			}
			assert_int_equal(rig_sent(r), size);
			assert_true(vio_net_running(rig_net(r)));
			assert_int_equal(vio_net_stop(rig_net(r)), VIO_OK);
			assert_int_equal(rig_start(r), VIO_OK);
			kit_end(r);
		}
	}
}

/* Indices wrap: more than 65536 packets each way through a small queue. */
static void test_indices_wrap(void **state)
{
	struct rig_opts o;
	uint8_t buf[128];
	size_t len;
	struct rig *r;

	(void)state;
	kit_opts(&o);
	o.keep_frames = false;
	o.model.gather = false;
	for (unsigned q = 0; q < MODEL_QUEUES; q++)
		o.model.queue_size[q] = 64;
	r = kit_start(&o);
	len = kit_frame(buf, 20, 1);
	for (unsigned i = 0; i < 66000; i++) {
		struct rig_tx tx = {.frame = buf, .len = len};

		if (i % 7 == 0) {
			assert_int_equal(rig_receive(r, NULL, buf, len), MODEL_RX_OK);
			assert_int_equal(rig_send(r, buf, len, 0, 0), VIO_OK);
			continue;
		}
		assert_int_equal(model_receive(rig_model(r), NULL, buf, len), MODEL_RX_OK);
		assert_int_equal(rig_send_ex(r, &tx), VIO_OK);
		vio_net_flush(rig_net(r));
	}
	rig_pump(r);
	assert_int_equal(kit_stats(r).rx.packets, 66000);
	assert_int_equal(kit_stats(r).tx.packets, 66000);
	assert_int_equal(kit_state(r).tx_packets, 66000);
	kit_end(r);
}

/* Receive buffers in several pieces. */
static void test_rx_segments(void **state)
{
	static const unsigned segs[] = {2, 3, 8, 40};

	(void)state;
	for (unsigned face = 0; face < 4; face++) {
		for (unsigned merge = 0; merge < 2; merge++) {
			for (unsigned i = 0; i < COUNT(segs); i++) {
				struct combo c = {.face = face,
						  .merge = merge,
						  .any_layout = true,
						  .indirect = i & 1,
						  .event_idx = true,
						  .size = 256,
						  .irq = VIO_IRQ_INTX};
				struct rig_opts o;
				struct rig *r;

				combo_opts(&c, &o);
				o.rx_segs = segs[i];
				r = kit_start(&o);
				kit_traffic(r, 30, 5);
				kit_end(r);
			}
		}
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_every_combination), cmocka_unit_test(test_large_queues),
	cmocka_unit_test(test_small_queues),	  cmocka_unit_test(test_indices_wrap),
	cmocka_unit_test(test_tiny_queues),	  cmocka_unit_test(test_rx_segments),
};

UNIT_MAIN(120, tests)
