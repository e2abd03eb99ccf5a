/* SPDX-License-Identifier: BSD-2-Clause */
/* Receive: merged and large packets, offloads told, shortage, and odd headers that are right. */
#include "tests/unit/net_kit.h"

#include "tests/lib/rig_internal.h" /* to lose an interrupt; upcalls to stand before */

static uint8_t buf[RIG_FRAME_ROOM];

static struct rig_opts opts_rx(bool merge, bool legacy)
{
	struct rig_opts o;

	kit_opts(&o);
	o.model.interface = legacy ? MODEL_LEGACY : MODEL_MODERN;
	o.model.features = model_features_default() | KIT_GUEST_GSO | NB(GUEST_CSUM);
	if (!merge)
		o.model.features &= ~NB(MRG_RXBUF);
	return o;
}

static size_t large(struct rig_flow *flow, size_t payload, struct model_hdr *hdr)
{
	size_t len = rig_frame_partial(buf, flow, payload, (uint32_t)payload, hdr);

	hdr->gso_type = flow->ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	hdr->gso_size = 1448;
	return len;
}

/* Every length around the places where buffers end. */
static void test_merge_lengths(void **state)
{
	(void)state;
	for (int legacy = 0; legacy < 2; legacy++) {
		struct rig_opts o = opts_rx(true, legacy);
		struct rig *r = kit_start(&o);
		uint32_t room = kit_info(r).rx_buf_len;
		unsigned n = 0;

		assert_int_equal(room, 2048);
		for (unsigned k = 1; k < 32; k += k < 4 ? 1 : 9) {
			for (int d = -2; d <= 2; d++) {
				struct rig_flow flow = kit_flow();
				struct model_hdr hdr;
				size_t len =
					large(&flow, (size_t)((int)(k * room) - 12 + d) - 54, &hdr);

				assert_int_equal(rig_receive(r, &hdr, buf, len), MODEL_RX_OK);
				assert_true(rig_expect(r, n, buf, len));
				assert_int_equal(rig_received_at(r, n)->parts,
						 (len + 12 + room - 1) / room);
				n++;
			}
		}
		assert_int_equal(kit_stats(r).rx.gso, n);
		assert_true(kit_stats(r).rx.merged > n / 2);
		assert_int_equal(kit_stats(r).rx.dropped, 0);
		kit_end(r);
	}
}

/* LRO: the largest packet there is, merged and in one buffer, and what is told of it. */
static void test_lro(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 8; bits++) {
		struct rig_opts o = opts_rx(bits & 1, bits & 2);
		struct rig *r = kit_start(&o);
		struct rig_flow flow = kit_flow();
		const struct rig_frame *f;
		struct model_hdr hdr;
		size_t len;

		assert_int_equal(kit_info(r).rx_buf_len, bits & 1 ? 2048 : 65601); /* NR-1 */
		flow.ipv6 = bits & 4;
		len = large(&flow, flow.ipv6 ? 65475 : 65495, &hdr);
		hdr.hdr_len = 7; /* NP-4 */
		assert_int_equal(rig_receive(r, &hdr, buf, len), MODEL_RX_OK);
		assert_int_equal(rig_received(r), 1);
		assert_true(rig_expect(r, 0, buf, len));
		f = rig_received_at(r, 0);
		assert_int_equal(f->offload.gso_type, hdr.gso_type);
		assert_int_equal(f->offload.gso_size, 1448);
		assert_int_equal(f->offload.hdr_len, flow.ipv6 ? 74 : 54); /* ours */
		assert_int_equal(f->offload.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
		assert_int_equal(f->offload.csum_start, hdr.csum_start);
		assert_int_equal(f->offload.csum_offset, 16);
		model_attest(rig_model(r), NORM_NP_4, true, "");
		kit_end(r);
	}
}

static void test_flags(void **state)
{
	struct rig_opts o = opts_rx(true, false);
	struct rig *r = kit_start(&o);
	struct rig_flow flow = kit_flow();
	struct model_hdr hdr = {.flags = VIRTIO_NET_HDR_F_DATA_VALID};
	size_t l4, len = rig_frame(buf, &flow, 100, 1, &l4);

	(void)state;
	assert_int_equal(model_receive_raw(rig_model(r), &hdr, buf, len), MODEL_RX_OK);
	rig_pump(r);
	assert_int_equal(rig_received_at(r, 0)->offload.flags, VIRTIO_NET_HDR_F_DATA_VALID);
	/* ECN goes with GSO. */
	len = large(&flow, 9000, &hdr);
	hdr.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	assert_int_equal(model_receive_raw(rig_model(r), &hdr, buf, len), MODEL_RX_OK);
	rig_pump(r);
	assert_true(rig_received_at(r, 1)->offload.ecn);
	assert_int_equal(rig_received_at(r, 1)->offload.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	assert_int_equal(kit_stats(r).rx.csum, 1);
	kit_end(r);
}

/* The port runs out of buffers, and gets them again. */
static void test_starved(void **state)
{
	(void)state;
	for (int merge = 0; merge < 2; merge++) {
		struct rig_opts o = opts_rx(merge, false);
		size_t len = kit_frame(buf, 700, 1);
		struct rig *r;

		o.rx_buffers = 20;
		r = kit_start(&o);
		assert_int_equal(vio_net_rx_posted(rig_net(r)), 20);
		rig_starve(r, true);
		for (unsigned i = 0; i < 30; i++)
			assert_int_equal(rig_receive(r, NULL, buf, len),
					 i < 20 ? MODEL_RX_OK : MODEL_RX_NO_BUFFER);
		assert_int_equal(vio_net_rx_posted(rig_net(r)), 0);
		assert_true(kit_stats(r).rx.full > 0);
		rig_starve(r, false);
		rig_tick(r, 1000); /* nothing else would ever come */
		assert_int_equal(vio_net_rx_posted(rig_net(r)), 20);
		assert_int_equal(rig_receive(r, NULL, buf, len), MODEL_RX_OK);
		assert_int_equal(rig_received(r), 21);
		kit_end(r);
	}
}

/* The ring is kept as full as the queue is long. */
static void test_ring_is_full(void **state)
{
	static const uint16_t sizes[] = {1, 2, 4, 16, 256};

	(void)state;
	for (unsigned i = 0; i < COUNT(sizes); i++) {
		struct rig_opts o = opts_rx(true, false);
		size_t len = kit_frame(buf, 700, 1);
		struct rig *r;

		o.model.queue_size[0] = sizes[i];
		r = kit_start(&o);
		assert_int_equal(vio_net_rx_posted(rig_net(r)), sizes[i]);
		for (unsigned n = 0; n < 40; n++) {
			assert_int_equal(rig_receive(r, NULL, buf, len), MODEL_RX_OK);
			assert_true(rig_expect(r, n, buf, len));
		}
		kit_end(r);
	}
}

/* A budget is kept, and nothing waits for the next packet when it was not enough. */
static void test_budget(void **state)
{
	struct rig_opts o = opts_rx(true, false);
	size_t len = kit_frame(buf, 100, 1);
	struct rig *r = kit_start(&o);
	unsigned calls = 0;

	(void)state;
	rig_hold_irqs(r, true);
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(model_receive(rig_model(r), NULL, buf, len), MODEL_RX_OK);
	assert_int_equal(vio_net_rx_poll(rig_net(r), 7), 7);
	while (vio_net_service(rig_net(r), VIO_EVENT_QUEUE, 10)) {
		assert_true(rig_received(r) <= 7 + 10 * ++calls);
		assert_true(calls < 10);
	}
	assert_int_equal(rig_received(r), 50);
	rig_hold_irqs(r, false);
	rig_pump(r);
	assert_int_equal(rig_receive(r, NULL, buf, len), MODEL_RX_OK); /* by interrupt */
	assert_int_equal(rig_received(r), 51);
	kit_end(r);
}

/*
 * A tick that finds a full ring must not leave receive interrupts off: those that were pending are
 * gone (the port took them and had not come to it yet), and the next packet must be told.
 */
static void test_tick_keeps_interrupts(void **state)
{
	(void)state;
	for (unsigned n = 60; n <= 64; n++) {
		for (int event_idx = 0; event_idx < 2; event_idx++) {
			struct rig_opts o = opts_rx(true, false);
			size_t len = kit_frame(buf, 100, 1);
			struct rig *r;

			if (!event_idx)
				o.model.features &= ~VIRTIO_BIT(VIRTIO_F_EVENT_IDX);
			o.model.queue_size[0] = 64;
			r = kit_start(&o);
			for (unsigned i = 0; i < n; i++)
				assert_int_equal(model_receive(rig_model(r), NULL, buf, len),
						 MODEL_RX_OK);
			r->pending = 0;
			vio_net_tick(rig_net(r));
			assert_int_equal(rig_received(r), n);
			assert_int_equal(rig_receive(r, NULL, buf, len), MODEL_RX_OK);
			assert_int_equal(rig_received(r), n + 1);
			kit_end(r);
		}
	}
}

/* ---- what a right device may send ---- */

static void test_legit_odd_packets(void **state)
{
	struct rig_opts o = opts_rx(true, false);
	struct rig *r = kit_start(&o);
	struct rig_flow flow = kit_flow();
	struct model_hdr hdr = {0};
	unsigned n = 0;
	size_t len, l4;

	(void)state;
	/* Not IP; the shortest; padded beyond what IP says; unknown flags (NP-1). */
	memset(buf, 0xff, 14);
	assert_int_equal(rig_receive(r, NULL, buf, 14), MODEL_RX_OK);
	assert_true(rig_expect(r, n++, buf, 14));
	len = rig_frame(buf, &flow, 1, 1, &l4);
	memset(buf + len, 0, 60 - len);
	assert_int_equal(rig_receive(r, NULL, buf, 60), MODEL_RX_OK);
	assert_true(rig_expect(r, n++, buf, 60));
	hdr.flags = 0xf8;
	assert_int_equal(model_receive_raw(rig_model(r), &hdr, buf, 60), MODEL_RX_OK);
	rig_pump(r);
	assert_true(rig_expect(r, n, buf, 60));
	assert_int_equal(rig_received_at(r, n++)->offload.flags, 0);
	/* UDP without a checksum; a checksum asked of something that is no TCP or UDP. */
	flow.udp = true;
	len = rig_frame(buf, &flow, 50, 1, &l4);
	buf[l4 + 6] = buf[l4 + 7] = 0;
	assert_int_equal(rig_receive(r, NULL, buf, len), MODEL_RX_OK);
	assert_true(rig_expect(r, n++, buf, len));
	buf[12] = 0x88; /* an EtherType nobody knows */
	hdr = (struct model_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 20, .csum_offset = 30};
	assert_int_equal(model_receive_raw(rig_model(r), &hdr, buf, len), MODEL_RX_OK);
	rig_pump(r);
	assert_true(rig_expect(r, n++, buf, len));
	/* Garbage in fields that do not count without their flag (NP-3). */
	hdr = (struct model_hdr){.csum_start = 0xffff, .csum_offset = 0xffff, .gso_size = 9};
	assert_int_equal(model_receive_raw(rig_model(r), &hdr, buf, len), MODEL_RX_OK);
	rig_pump(r);
	assert_true(rig_expect(r, n++, buf, len));
	/* The last two bytes of a frame may hold the sum. */
	hdr = (struct model_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				 .csum_start = 14,
				 .csum_offset = (uint16_t)(len - 16)};
	assert_int_equal(model_receive_raw(rig_model(r), &hdr, buf, len), MODEL_RX_OK);
	rig_pump(r);
	assert_true(rig_expect(r, n++, buf, len));
	/* A large packet without NEEDS_CSUM whose sum is known good; one shorter than its MSS. */
	flow.udp = false;
	len = large(&flow, 8000, &hdr);
	hdr.flags = VIRTIO_NET_HDR_F_DATA_VALID;
	assert_int_equal(model_receive_raw(rig_model(r), &hdr, buf, len), MODEL_RX_OK);
	rig_pump(r);
	assert_true(rig_expect(r, n++, buf, len));
	len = large(&flow, 500, &hdr);
	assert_int_equal(model_receive_raw(rig_model(r), &hdr, buf, len), MODEL_RX_OK);
	rig_pump(r);
	assert_true(rig_expect(r, n++, buf, len));
	assert_int_equal(kit_stats(r).rx.dropped, 0);
	kit_end(r);
}

/* The port's own mistakes come back to it; nothing breaks. */
static bool (*real_rx_buffer)(void *port, struct vio_net_rxbuf *buf);
static unsigned spoil;

static bool bad_rx_buffer(void *port, struct vio_net_rxbuf *b)
{
	if (!real_rx_buffer(port, b))
		return false;
	if (spoil && spoil-- == 1)
		b->segs[0].len = 5;
	return true;
}

static void test_port_mistake(void **state)
{
	struct vio_net_upcalls up;
	struct rig_opts o = opts_rx(true, false);
	struct rig *r = rig_create_bare(&o);
	struct vio_net *net;
	struct vio_pci pci;

	(void)state;
	up = rig_upcalls;
	real_rx_buffer = up.rx_buffer;
	up.rx_buffer = bad_rx_buffer;
	assert_int_equal(vio_pci_open(&pci, rig_pci_ops(), r, rig_os(r), VIO_PCI_AUTO), VIO_OK);
	assert_int_equal(vio_net_create(&net, rig_os(r), &pci.t, &up, r, &o.params), VIO_OK);
	spoil = 10;
	assert_int_equal(vio_net_start(net), VIO_OK);
	assert_int_equal(vio_net_rx_posted(net), 9);
	assert_int_equal(kit_counts(r).rx_returned, 1);
	assert_true(vio_net_rx_fill(net) > 9);
	assert_true(vio_net_running(net));
	vio_net_destroy(net);
	vio_pci_close(&pci);
	kit_end(r);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_merge_lengths),
	cmocka_unit_test(test_lro),
	cmocka_unit_test(test_flags),
	cmocka_unit_test(test_starved),
	cmocka_unit_test(test_ring_is_full),
	cmocka_unit_test(test_budget),
	cmocka_unit_test(test_tick_keeps_interrupts),
	cmocka_unit_test(test_legit_odd_packets),
	cmocka_unit_test(test_port_mistake),
};

UNIT_MAIN(120, tests)
