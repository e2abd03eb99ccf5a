/* SPDX-License-Identifier: BSD-2-Clause */
/* Transmit: offloads as the far end of the wire sees them, VLAN, headroom, MTU, a full ring. */
#include "tests/unit/net_kit.h"

#include "wire/net.h"

static uint8_t buf[RIG_FRAME_ROOM], whole[RIG_FRAME_ROOM];

/* ---- what arrives at the far end ---- */

struct far {
	unsigned frames;
	size_t payload; /* bytes so far */
	size_t l4_hdr;
	size_t biggest;
	uint8_t data[RIG_FRAME_ROOM];
	bool sums, vlan;
	uint16_t tci;
};

static void far_take(void *ctx, const uint8_t *frame, size_t len)
{
	struct far *f = ctx;
	size_t at = 12, l4, end;
	uint16_t type = (uint16_t)(frame[12] << 8 | frame[13]);

	f->frames++;
	f->sums &= model_sums_right(frame, len);
	f->vlan = type == ETH_TYPE_VLAN;
	if (f->vlan) {
		f->tci = (uint16_t)(frame[14] << 8 | frame[15]);
		at += 4;
		type = (uint16_t)(frame[16] << 8 | frame[17]);
	}
	at += 2;
	if (type == ETH_TYPE_IPV6) {
		l4 = at + 40;
		end = l4 + (size_t)(frame[at + 4] << 8 | frame[at + 5]);
	} else {
		l4 = at + 20;
		end = at + (size_t)(frame[at + 2] << 8 | frame[at + 3]);
	}
	assert_true(end <= len);
	memcpy(f->data + f->payload, frame + l4 + f->l4_hdr, end - l4 - f->l4_hdr);
	f->payload += end - l4 - f->l4_hdr;
	if (end - l4 - f->l4_hdr > f->biggest)
		f->biggest = end - l4 - f->l4_hdr;
}

static struct far far;

/* Completes what was sent last, and compares the payload with the one of the frame in buf. */
static void far_end(struct rig *r, const struct rig_flow *flow, size_t payload, size_t l4)
{
	const struct rig_frame *f = rig_sent_at(r, rig_sent(r) - 1);

	memset(&far, 0, sizeof(far));
	far.l4_hdr = flow->udp ? 8 : 20;
	far.sums = true;
	assert_non_null(f);
	assert_true(model_complete(&f->hdr, f->data, f->len, far_take, &far) > 0);
	assert_true(far.sums);
	assert_int_equal(far.payload, payload);
	assert_memory_equal(far.data, buf + l4 + far.l4_hdr, payload);
}

static const struct rig_flow *flow_nr(unsigned n)
{
	static struct rig_flow flow;

	flow = kit_flow();
	flow.ipv6 = n & 1;
	flow.udp = n & 2;
	flow.vlan = n & 4;
	flow.vlan_tci = 0x2123;
	flow.seq = 0xfffffff0; /* wraps inside the packet */
	return &flow;
}

static struct rig_opts opts_all(void)
{
	struct rig_opts o;

	kit_opts(&o);
	o.model.features = model_features_known() & ~VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM);
	o.model.mtu = 1500;
	return o;
}

/* ---- checksums and segments ---- */

static void test_csum(void **state)
{
	static const size_t payloads[] = {0, 1, 2, 3, 17, 1000, 1399};
	struct rig_opts o = opts_all();
	struct rig *r = kit_start(&o);

	(void)state;
	for (unsigned n = 0; n < 8; n++) {
		for (unsigned i = 0; i < COUNT(payloads); i++) {
			const struct rig_flow *flow = flow_nr(n);
			struct rig_tx tx = {.frame = buf, .flags = VIO_NET_TX_CSUM, .nsegs = 1 + i};
			size_t l4;

			tx.len = rig_frame(buf, flow, payloads[i], i, &l4);
			memset(buf + l4 + (flow->udp ? 6 : 16), 0x5a, 2); /* whatever was there */
			assert_int_equal(rig_send_ex(r, &tx), VIO_OK);
			vio_net_flush(rig_net(r));
			rig_pump(r);
			far_end(r, flow, payloads[i], l4);
			assert_int_equal(rig_sent_at(r, rig_sent(r) - 1)->hdr.flags,
					 VIRTIO_NET_HDR_F_NEEDS_CSUM);
			assert_int_equal(rig_sent_at(r, rig_sent(r) - 1)->hdr.csum_start, l4);
		}
	}
	assert_int_equal(kit_stats(r).tx.csum, 8 * COUNT(payloads));
	kit_end(r);
}

static void test_tso(void **state)
{
	static const struct {
		size_t payload;
		uint16_t mss;
	} rows[] = {{1449, 1448}, {2896, 1448}, {30000, 1460}, {65000, 1448}, {65000, 8948},
		    {500, 100},	  {1000, 536},	{65484, 1460}, {60, 7}};
	struct rig_opts o = opts_all();
	struct rig *r = kit_start(&o);

	(void)state;
	for (unsigned n = 0; n < 8; n++) {
		if (n & 2)
			continue; /* UDP below */
		for (unsigned i = 0; i < COUNT(rows); i++) {
			const struct rig_flow *flow = flow_nr(n);
			struct rig_tx tx = {.frame = buf,
					    .flags = VIO_NET_TX_GSO | VIO_NET_TX_CSUM,
					    .mss = rows[i].mss,
					    .nsegs = 1 + i * 6};
			const struct rig_frame *f;
			size_t l4;

			tx.len = rig_frame(buf, flow, rows[i].payload, i, &l4);
			assert_int_equal(rig_send_ex(r, &tx), VIO_OK);
			vio_net_flush(rig_net(r));
			rig_pump(r);
			far_end(r, flow, rows[i].payload, l4);
			assert_int_equal(far.frames,
					 (rows[i].payload + rows[i].mss - 1) / rows[i].mss);
			assert_int_equal(far.biggest, rows[i].mss);
			f = rig_sent_at(r, rig_sent(r) - 1);
			assert_int_equal(f->hdr.gso_size, rows[i].mss);
			assert_int_equal(f->hdr.hdr_len, l4 + 20); /* NT-27 */
			assert_int_equal(f->hdr.gso_type, flow->ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6
								     : VIRTIO_NET_HDR_GSO_TCPV4);
			rig_clear(r);
		}
	}
	assert_int_equal(kit_stats(r).tx.gso, 4 * COUNT(rows));
	kit_end(r);
}

/* What fits one segment is an ordinary packet. */
static void test_tso_of_one_segment(void **state)
{
	struct rig_opts o = opts_all();
	struct rig *r = kit_start(&o);
	const struct rig_flow *flow = flow_nr(0);
	size_t l4, len = rig_frame(buf, flow, 1448, 1, &l4);

	(void)state;
	assert_int_equal(rig_send(r, buf, len, VIO_NET_TX_GSO, 1448), VIO_OK);
	assert_int_equal(rig_sent_at(r, 0)->hdr.gso_type, VIRTIO_NET_HDR_GSO_NONE);
	far_end(r, flow, 1448, l4);
	assert_int_equal(far.frames, 1);
	assert_int_equal(rig_send(r, buf, len, VIO_NET_TX_GSO, 0), VIO_EINVAL);
	kit_end(r);
}

static void test_ecn(void **state)
{
	(void)state;
	for (int have = 0; have < 2; have++) {
		struct rig_opts o = opts_all();
		struct rig_flow flow = *flow_nr(0);
		struct rig *r;
		size_t l4, len;

		if (!have)
			o.model.features &= ~NB(HOST_ECN);
		r = kit_start(&o);
		flow.tcp_flags = TCP_FLAG_ACK | TCP_FLAG_CWR;
		len = rig_frame(buf, &flow, 5000, 1, &l4);
		if (have) {
			assert_int_equal(rig_send(r, buf, len, VIO_NET_TX_GSO, 1000), VIO_OK);
			assert_int_equal(rig_sent_at(r, 0)->hdr.gso_type,
					 VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN);
			far_end(r, &flow, 5000, l4);
		} else { /* NT-9 */
			assert_int_equal(rig_send(r, buf, len, VIO_NET_TX_GSO, 1000), VIO_ENOTSUP);
			len = rig_frame(buf, &flow, 500, 1, &l4);
			assert_int_equal(rig_send(r, buf, len, VIO_NET_TX_GSO, 1000), VIO_OK);
		}
		kit_end(r);
	}
}

/* UDP is cut too where the device can (NT-8). */
static void test_uso(void **state)
{
	(void)state;
	for (int have = 0; have < 2; have++) {
		struct rig_opts o = opts_all();
		const struct rig_flow *flow = flow_nr(2);
		struct rig *r;
		size_t l4, len = rig_frame(buf, flow, 4000, 1, &l4);

		o.model.features = (o.model.features | NB(HOST_USO)) & ~(have ? 0 : NB(HOST_USO));
		r = kit_start(&o);
		if (kit_info(r).tx_uso) {
			assert_int_equal(rig_send(r, buf, len, VIO_NET_TX_GSO, 1000), VIO_OK);
			far_end(r, flow, 4000, l4);
			assert_int_equal(far.frames, 4);
		} else {
			assert_int_equal(rig_send(r, buf, len, VIO_NET_TX_GSO, 1000), VIO_ENOTSUP);
		}
		kit_end(r);
	}
}

/* NT-3, NT-4: without CSUM the driver sums, also where the checksum field is in another piece. */
static void test_software_csum(void **state)
{
	struct rig_opts o = opts_all();
	struct rig *r;

	(void)state;
	o.model.features &= ~(NB(CSUM) | NB(GUEST_HDRLEN)); /* exact lengths of nothing */
	r = kit_start(&o);
	assert_false(kit_info(r).tx_csum || kit_info(r).tx_tso4 || kit_info(r).tx_tso6);
	for (unsigned n = 0; n < 8; n++) {
		for (unsigned seg = 1; seg < 70; seg += 3) {
			const struct rig_flow *flow = flow_nr(n);
			struct rig_tx tx = {.frame = buf, .flags = VIO_NET_TX_CSUM};
			size_t l4;

			tx.len = rig_frame(buf, flow, 30 + seg, seg, &l4);
			memcpy(whole, buf, tx.len);
			memset(buf + l4 + (flow->udp ? 6 : 16), 0xff, 2);
			tx.seg_len = seg < 3 ? 3 : seg;
			assert_int_equal(rig_send_ex(r, &tx), VIO_OK);
			vio_net_flush(rig_net(r));
			rig_pump(r);
			assert_int_equal(rig_sent_at(r, rig_sent(r) - 1)->hdr.flags, 0);
			assert_true(rig_expect_sent(r, rig_sent(r) - 1, whole, tx.len));
		}
	}
	assert_int_equal(rig_send(r, buf, rig_frame(buf, flow_nr(0), 3000, 1, &(size_t){0}),
				  VIO_NET_TX_GSO, 1000),
			 VIO_ENOTSUP);
	kit_end(r);
}

/* The IPv4 header checksum is always ours. */
static void test_ip_csum(void **state)
{
	struct rig_opts o = opts_all();
	struct rig *r = kit_start(&o);

	(void)state;
	for (unsigned n = 0; n < 8; n++) {
		const struct rig_flow *flow = flow_nr(n);
		size_t l4, len = rig_frame(buf, flow, 100, n, &l4);

		memcpy(whole, buf, len);
		if (!flow->ipv6)
			memset(buf + l4 - 10, 0xee, 2);
		if (flow->ipv6) {
			assert_int_equal(rig_send(r, buf, len, VIO_NET_TX_IPCSUM, 0), VIO_EINVAL);
			continue;
		}
		assert_int_equal(rig_send(r, buf, len, VIO_NET_TX_IPCSUM, 0), VIO_OK);
		assert_true(rig_expect_sent(r, rig_sent(r) - 1, whole, len));
		assert_int_equal(rig_send(r, buf, len, VIO_NET_TX_IPCSUM | VIO_NET_TX_CSUM, 0),
				 VIO_OK);
		far_end(r, flow, 100, l4);
	}
	kit_end(r);
}

/* ---- VLAN, headroom, layout ---- */

static void test_vlan(void **state)
{
	(void)state;
	for (unsigned face = 0; face < 3; face++) {
		struct rig_opts o = opts_all();
		struct rig *r;

		o.model.interface = face ? MODEL_LEGACY : MODEL_MODERN;
		if (face == 1)
			o.model.features |= VIRTIO_BIT(VIRTIO_F_ANY_LAYOUT);
		else if (face == 2)
			o.model.features &= ~VIRTIO_BIT(VIRTIO_F_ANY_LAYOUT);
		r = kit_start(&o);
		for (uint32_t seg = 1; seg < 40; seg++) {
			for (unsigned n = 0; n < 4; n++) {
				const struct rig_flow *flow = flow_nr(n);
				bool gso = seg % 3 == 0 && !flow->udp;
				struct rig_tx tx = {
					.frame = buf,
					.flags = VIO_NET_TX_VLAN |
						 (gso ? VIO_NET_TX_GSO : VIO_NET_TX_CSUM),
					.mss = 900,
					.vlan_tci = (uint16_t)(0xa000 | seg),
					.headroom = seg & 1 ? 32 : 0,
				};
				size_t l4, payload = gso ? 5000 : 10 + seg;

				tx.len = rig_frame(buf, flow, payload, seg, &l4);
				tx.seg_len = gso ? 0 : seg < 2 ? 2 : seg;
				tx.nsegs = 3;
				assert_int_equal(rig_send_ex(r, &tx), VIO_OK);
				vio_net_flush(rig_net(r));
				rig_pump(r);
				far_end(r, flow, payload, l4);
				assert_true(far.vlan);
				assert_int_equal(far.tci, tx.vlan_tci);
				rig_clear(r);
			}
		}
		kit_end(r);
	}
}

/* With headroom the header costs no descriptor; without the device's leave it is not used. */
static void test_headroom(void **state)
{
	(void)state;
	for (int any = 0; any < 2; any++) {
		struct rig_opts o = opts_all();
		struct rig *r;

		o.model.interface = any ? MODEL_MODERN : MODEL_LEGACY;
		o.model.features &= ~VIRTIO_BIT(VIRTIO_F_ANY_LAYOUT);
		r = kit_start(&o);
		for (uint32_t room = 0; room < 40; room++) {
			struct rig_tx tx = {.frame = buf, .headroom = room, .nsegs = 2};
			bool used = any && room >= kit_info(r).hdr_len;

			tx.len = kit_frame(buf, 300, room);
			assert_int_equal(rig_send_ex(r, &tx), VIO_OK);
			vio_net_flush(rig_net(r));
			rig_pump(r);
			assert_int_equal(rig_sent_at(r, room)->parts, used ? 2 : 3);
			assert_true(rig_expect_sent(r, room, buf, tx.len));
		}
		kit_end(r);
	}
}

static void test_given_offload(void **state)
{
	struct rig_opts o = opts_all();
	struct rig *r = kit_start(&o);
	const struct rig_flow *flow = flow_nr(0);
	struct rig_tx tx = {.frame = buf, .flags = VIO_NET_TX_OFFLOAD, .nsegs = 2};
	struct model_hdr hdr;

	(void)state;
	tx.len = rig_frame_partial(buf, flow, 6000, 3, &hdr);
	tx.offload = (struct vio_net_offload){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = hdr.hdr_len,
		.gso_size = 1448,
		.csum_start = hdr.csum_start,
		.csum_offset = hdr.csum_offset,
	};
	assert_int_equal(rig_send_ex(r, &tx), VIO_OK);
	vio_net_flush(rig_net(r));
	rig_pump(r);
	assert_true(rig_expect_sent(r, 0, buf, tx.len)); /* bytes left alone */
	far_end(r, flow, 6000, hdr.csum_start);

	tx.offload.flags |= VIRTIO_NET_HDR_F_DATA_VALID; /* NT-36 */
	assert_int_equal(rig_send_ex(r, &tx), VIO_EINVAL);
	tx.offload.flags = 0; /* NT-25 */
	assert_int_equal(rig_send_ex(r, &tx), VIO_EINVAL);
	tx.offload.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	tx.offload.gso_size = 0; /* NT-26 */
	assert_int_equal(rig_send_ex(r, &tx), VIO_EINVAL);
	tx.offload.gso_size = 1448;
	tx.offload.hdr_len = (uint16_t)tx.len;
	assert_int_equal(rig_send_ex(r, &tx), VIO_EINVAL);
	tx.offload.hdr_len = hdr.hdr_len;
	tx.offload.csum_start = (uint16_t)(tx.len - 1); /* NT-23 */
	assert_int_equal(rig_send_ex(r, &tx), VIO_EINVAL);
	tx.offload.csum_start = hdr.csum_start;
	tx.offload.csum_offset = 0xffff;
	assert_int_equal(rig_send_ex(r, &tx), VIO_EINVAL);
	tx.offload.csum_offset = hdr.csum_offset;
	tx.offload.gso_type = VIRTIO_NET_HDR_GSO_UDP; /* NT-7: never taken */
	assert_int_equal(rig_send_ex(r, &tx), VIO_EINVAL);
	assert_int_equal(kit_stats(r).tx.errors, 7);
	kit_end(r);
}

/* ---- sizes (NC-9) ---- */

static void test_mtu(void **state)
{
	static const uint16_t mtus[] = {68, 576, 1280, 1500, 9000, 65535};

	(void)state;
	for (unsigned i = 0; i < COUNT(mtus); i++) {
		struct rig_opts o = opts_all();
		struct rig_flow flow = *flow_nr(0);
		size_t l4, most = mtus[i] - 40u;
		struct rig *r;

		o.model.mtu = mtus[i];
		r = kit_start(&o);
		assert_int_equal(kit_info(r).mtu, mtus[i]);
		assert_true(kit_info(r).mtu_known);
		assert_int_equal(rig_send(r, buf, rig_frame(buf, &flow, most, 1, &l4), 0, 0),
				 VIO_OK);
		if (mtus[i] < 65535) {
			size_t len = rig_frame(buf, &flow, most + 1, 1, &l4);

			assert_int_equal(rig_send(r, buf, len, 0, 0), VIO_EINVAL);
			assert_int_equal(rig_send(r, buf, len, VIO_NET_TX_CSUM, 0), VIO_EINVAL);
			/* As segments it may be longer; the segments may not. */
			assert_int_equal(rig_send(r, buf, len, VIO_NET_TX_GSO, (uint16_t)most),
					 VIO_OK);
		}
		/* The tag is not part of it, whoever put it there. */
		flow.vlan = true;
		assert_int_equal(rig_send(r, buf, rig_frame(buf, &flow, most, 1, &l4), 0, 0),
				 VIO_OK);
		flow.vlan = false;
		assert_int_equal(
			rig_send(r, buf, rig_frame(buf, &flow, most, 1, &l4), VIO_NET_TX_VLAN, 0),
			VIO_OK);
		kit_end(r);
	}
}

static void test_refused(void **state)
{
	struct rig_opts o = opts_all();
	struct rig *r = kit_open(&o);
	struct vio_net_tx none = {.segs = &(struct seg){.len = 0}, .nsegs = 1, .cookie = &o};
	struct rig_tx many = {.frame = buf, .len = 200, .seg_len = 4};
	uint64_t sent;

	(void)state;
	memset(buf, 0, 100);
	assert_int_equal(vio_net_send(rig_net(r), &none), VIO_ENODEV);
	assert_int_equal(rig_start(r), VIO_OK);
	sent = kit_counts(r).tx_sent;
	assert_int_equal(vio_net_send(rig_net(r), &none), VIO_EINVAL);
	none.nsegs = 0;
	assert_int_equal(vio_net_send(rig_net(r), &none), VIO_EINVAL);
	assert_int_equal(rig_send(r, buf, 13, 0, 0), VIO_EINVAL);
	assert_int_equal(rig_send(r, buf, VIO_NET_PACKET_MAX + 1, 0, 0), VIO_EINVAL);
	assert_int_equal(rig_send(r, buf, 60, VIO_NET_TX_CSUM, 0), VIO_EINVAL); /* not IP */
	assert_int_equal(kit_counts(r).tx_sent, sent);
	kit_end(r);

	o.params.tx_max_segs = 4;
	r = kit_start(&o);
	assert_int_equal(kit_info(r).tx_max_segs, 4);
	assert_int_equal(rig_send_ex(r, &many), VIO_EINVAL);
	many.seg_len = 50;
	assert_int_equal(rig_send_ex(r, &many), VIO_OK);
	kit_end(r);
}

/* ---- a full ring ---- */

/* Nothing is lost and no wake-up either, wherever the device stops and goes on. */
static void stall(bool event_idx, bool immediate, uint16_t size, enum vio_irq_mode irq)
{
	struct rig_opts o = opts_all();
	struct rng rng = {size};
	unsigned sent = 0, armed = 0;
	struct rig *r;

	if (!event_idx)
		o.model.features &= ~VIRTIO_BIT(VIRTIO_F_EVENT_IDX);
	o.model.immediate = immediate;
	o.model.queue_size[1] = size;
	o.model.odd.tx_slow = size == 64;
	o.params.irq_mode = irq;
	o.keep_frames = false;
	r = kit_start(&o);
	for (unsigned round = 0; round < 60; round++) {
		struct rig_tx tx = {.frame = buf, .len = kit_frame(buf, 50, round), .nsegs = 2};
		int err;

		model_hold(rig_model(r), 1, true);
		while ((err = rig_send_ex(r, &tx)) == VIO_OK) {
			sent++;
			if (rng_below(&rng, 5) == 0)
				vio_net_flush(rig_net(r));
		}
		assert_int_equal(err, VIO_EAGAIN);
		vio_net_flush(rig_net(r));
		if (rng_below(&rng, 2))
			model_hold(rig_model(r), 1, false), model_poll(rig_model(r));
		if (!vio_net_tx_arm(rig_net(r)))
			armed++;
		model_hold(rig_model(r), 1, false);
		rig_pump(r); /* interrupts alone must bring room */
		assert_true(vio_net_tx_room(rig_net(r), 2));
	}
	assert_true(armed > 0);
	assert_true(kit_stats(r).tx.full >= 60);
	rig_tick(r, 1000);
	assert_int_equal(kit_counts(r).tx_ok, sent);
	assert_int_equal(vio_net_tx_in_flight(rig_net(r)), 0);
	kit_end(r);
}

static void test_stall(void **state)
{
	static const uint16_t sizes[] = {4, 16, 64, 256};

	(void)state;
	for (unsigned i = 0; i < COUNT(sizes); i++)
		for (unsigned bits = 0; bits < 4; bits++)
			for (int irq = VIO_IRQ_INTX; irq <= VIO_IRQ_MSIX_EACH; irq++)
				stall(bits & 1, bits & 2, sizes[i], (enum vio_irq_mode)irq);
}

/* Without anybody waiting, transmit causes no interrupt; completions come with the tick. */
static void test_quiet(void **state)
{
	struct rig_opts o = opts_all();
	struct rig *r = kit_start(&o);
	uint64_t irqs = kit_counts(r).interrupts;

	(void)state;
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(rig_send(r, buf, kit_frame(buf, 100, i), 0, 0), VIO_OK);
	/* One: a device does not know yet what the driver wants when it begins. */
	assert_true(kit_counts(r).interrupts - irqs <= 1);
	rig_tick(r, 1000);
	assert_int_equal(kit_counts(r).tx_ok, 50);
	assert_int_equal(kit_stats(r).tx.packets, 50);
	assert_int_equal(kit_stats(r).tx.buffers, 50);
	kit_end(r);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_csum),
	cmocka_unit_test(test_tso),
	cmocka_unit_test(test_tso_of_one_segment),
	cmocka_unit_test(test_ecn),
	cmocka_unit_test(test_uso),
	cmocka_unit_test(test_software_csum),
	cmocka_unit_test(test_ip_csum),
	cmocka_unit_test(test_vlan),
	cmocka_unit_test(test_headroom),
	cmocka_unit_test(test_given_offload),
	cmocka_unit_test(test_mtu),
	cmocka_unit_test(test_refused),
	cmocka_unit_test(test_stall),
	cmocka_unit_test(test_quiet),
};

UNIT_MAIN(120, tests)
