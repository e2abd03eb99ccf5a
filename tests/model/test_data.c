/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets through the model's rings, both ways, and its control queue. */
#include <string.h>

#include "tests/model/raw.h"

#define V1	 VIRTIO_BIT(VIRTIO_F_VERSION_1)
#define EVT	 VIRTIO_BIT(VIRTIO_F_EVENT_IDX)
#define IND	 VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC)
#define OFFLOADS (NETBIT(CSUM) | NETBIT(GUEST_CSUM) | NETBIT(HOST_TSO4) | NETBIT(GUEST_TSO4))
#define CTRL	 (NETBIT(CTRL_VQ) | NETBIT(CTRL_RX) | NETBIT(CTRL_VLAN) | NETBIT(CTRL_MAC_ADDR))
/* With those of the offer that a driver should always take. */
#define BASE (V1 | NETBIT(MAC) | NETBIT(MTU))

static struct raw *up(uint64_t features)
{
	struct model_options o;
	struct raw *r;

	raw_options(&o);
	r = raw_open(&o);
	raw_start(r, BASE | features);
	return r;
}

static void down(struct raw *r)
{
	assert_int_equal(model_violations(r->m), 0);
	raw_close(r);
}

static void transmit(void **state)
{
	static const uint64_t sets[] = {0, EVT, IND, EVT | IND};
	struct virtio_net_hdr hdr = {0};
	uint8_t frame[200], *h, *f;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct raw *r = up(sets[i]);
		uint32_t len = raw_udp(frame, 100), id, n;

		for (unsigned k = 0; k < 200; k++) {
			if (sets[i] & IND && k % 2) {
				struct raw_seg segs[3];

				h = raw_alloc(r, 12, 2);
				f = raw_alloc(r, len, 2);
				memset(h, 0, 12);
				memcpy(f, frame, len);
				segs[0] = (struct raw_seg){h, 12, false};
				segs[1] = (struct raw_seg){f, 50, false};
				segs[2] = (struct raw_seg){f + 50, len - 50, false};
				raw_avail(r, 1, raw_indirect(r, 1, segs, 3));
				raw_notify(r, 1);
			} else {
				raw_send(r, &hdr, frame, len);
			}
			assert_int_equal(r->nframes, k + 1);
			assert_int_equal(r->frame_len, len);
			assert_memory_equal(r->frame, frame, len);
			assert_true(raw_used(r, 1, &id, &n));
			if (sets[i] & EVT)
				r->q[1].avail->ring[RAW_SIZE].raw = r->q[1].seen;
		}
		assert_int_equal(r->irqs[2], 200);
		if (sets[i] & IND)
			assert_true(model_exercised(r->m, NORM_SQ_8) > 0);
		down(r);
	}
}

static void interrupts_suppressed(void **state)
{
	struct virtio_net_hdr hdr = {0};
	uint8_t frame[200];
	struct raw *r;
	uint32_t len;

	(void)state;
	len = raw_udp(frame, 100);
	r = up(0);
	r->q[1].avail->flags.raw = VRING_AVAIL_F_NO_INTERRUPT;
	raw_send(r, &hdr, frame, len);
	assert_int_equal(r->irqs[2], 0);
	down(r);
	r = up(EVT);
	r->q[1].avail->ring[RAW_SIZE].raw = 2; /* the third completion */
	for (unsigned i = 0; i < 5; i++)
		raw_send(r, &hdr, frame, len);
	assert_int_equal(r->irqs[2], 2); /* the first ever, as QEMU does, and the third */
	down(r);
}

static void *post_rx(struct raw *r, uint32_t len)
{
	void *p = raw_alloc(r, len, 16);
	struct raw_seg seg = {p, len, true};

	raw_post(r, 0, &seg, 1);
	return p;
}

static void receive(void **state)
{
	struct raw *r = up(0);
	uint8_t frame[200], *buf;
	uint32_t len = raw_udp(frame, 100), id, n;

	(void)state;
	assert_int_equal(model_receive(r->m, NULL, frame, len), MODEL_RX_NO_BUFFER);
	buf = post_rx(r, VIRTIO_NET_RX_SMALL);
	assert_int_equal(model_receive(r->m, NULL, frame, len), MODEL_RX_OK);
	assert_true(raw_used(r, 0, &id, &n));
	assert_int_equal(n, len + 12);
	assert_int_equal(buf[0] | buf[1], 0);
	assert_int_equal(buf[10], 1);
	assert_memory_equal(buf + 12, frame, len);
	assert_int_equal(r->irqs[1], 1);
	down(r);
}

static void receive_merged(void **state)
{
	struct raw *r = up(NETBIT(MRG_RXBUF) | OFFLOADS);
	uint8_t frame[4000], got[4000], *buf[4];
	uint32_t len = raw_tcp(frame, 3000, true), id, n, at = 0;
	struct model_hdr hdr = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
				.gso_size = 1400,
				.hdr_len = 54,
				.csum_start = 34,
				.csum_offset = 16};

	(void)state;
	buf[0] = post_rx(r, 1024);
	buf[1] = post_rx(r, 1024);
	assert_int_equal(model_receive(r->m, &hdr, frame, len), MODEL_RX_NO_BUFFER);
	assert_false(raw_used(r, 0, &id, &n));
	buf[2] = post_rx(r, 1024);
	assert_int_equal(model_receive(r->m, &hdr, frame, len), MODEL_RX_OK);
	for (unsigned i = 0; i < 3; i++) {
		unsigned skip = i ? 0 : 12;

		assert_true(raw_used(r, 0, &id, &n));
		memcpy(got + at, buf[i] + skip, n - skip);
		at += n - skip;
	}
	assert_int_equal(at, len);
	assert_memory_equal(got, frame, len);
	assert_int_equal(buf[0][0], VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(buf[0][1], VIRTIO_NET_HDR_GSO_TCPV4);
	assert_int_equal(buf[0][10], 3);
	down(r);
}

/* A driver without the offloads gets finished segments. */
static void receive_segmented(void **state)
{
	struct raw *r = up(0);
	uint8_t frame[4000], *buf[3];
	uint32_t len = raw_tcp(frame, 3000, true), id, n;
	struct model_hdr hdr = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
				.gso_size = 1400,
				.csum_start = 34,
				.csum_offset = 16};

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		buf[i] = post_rx(r, VIRTIO_NET_RX_SMALL);
	assert_int_equal(model_receive(r->m, &hdr, frame, len), MODEL_RX_OK);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(raw_used(r, 0, &id, &n));
		assert_int_equal(n, 12 + 54 + (i < 2 ? 1400 : 200));
		assert_int_equal(buf[i][0] | buf[i][1], 0);
		assert_true(model_sums_right(buf[i] + 12, n - 12));
		assert_memory_equal(buf[i] + 12 + 54, frame + 54 + 1400 * i, n - 66);
		assert_int_equal(buf[i][12 + 47] & 8, i == 2 ? 8 : 0); /* PSH on the last */
	}
	down(r);
}

static void transmit_gso(void **state)
{
	struct raw *r = up(OFFLOADS);
	uint8_t frame[4000];
	uint32_t len = raw_tcp(frame, 3000, true);
	struct virtio_net_hdr hdr = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				     .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
				     .hdr_len = {54},
				     .gso_size = {1400},
				     .csum_start = {34},
				     .csum_offset = {16}};

	(void)state;
	raw_send(r, &hdr, frame, len);
	assert_int_equal(r->nframes, 1);
	assert_int_equal(r->hdr.gso_size, 1400);
	assert_true(model_exercised(r->m, NORM_NT_22) == 1);
	down(r);
}

static void loopback(void **state)
{
	struct model_options o;
	struct raw *r;
	struct virtio_net_hdr hdr = {0};
	uint8_t frame[200], *buf;
	uint32_t len = raw_udp(frame, 100), id, n;

	(void)state;
	raw_options(&o);
	o.loopback = true;
	r = raw_open(&o);
	raw_start(r, BASE);
	buf = post_rx(r, VIRTIO_NET_RX_SMALL);
	raw_send(r, &hdr, frame, len);
	assert_true(raw_used(r, 0, &id, &n));
	assert_memory_equal(buf + 12, frame, len);
	down(r);
}

static void deferred(void **state)
{
	struct model_options o;
	struct virtio_net_hdr hdr = {0};
	struct raw *r;
	uint8_t frame[200];
	uint32_t len = raw_udp(frame, 100), id, n;

	(void)state;
	raw_options(&o);
	o.immediate = false;
	o.odd.reorder = o.odd.out_len = true;
	r = raw_open(&o);
	raw_start(r, BASE);
	for (unsigned i = 0; i < 3; i++)
		raw_send(r, &hdr, frame, len);
	assert_int_equal(r->nframes, 0);
	assert_true(model_poll(r->m));
	assert_int_equal(r->nframes, 3);
	assert_true(raw_used(r, 1, &id, &n));
	assert_int_equal(id, 4); /* the last first */
	assert_int_not_equal(n, 0);
	assert_false(model_poll(r->m));
	down(r);
}

static void control(void **state)
{
	struct raw *r = up(CTRL | OFFLOADS | NETBIT(CTRL_GUEST_OFFLOADS));
	static const uint8_t mac[6] = {2, 1, 2, 3, 4, 5};
	uint8_t table[4 + 6 + 4 + 12] = {1}, one = 1, zero = 0, frame[200];
	uint8_t vlan[2] = {7, 0}, off[8] = {0};
	struct model_state s;
	uint32_t len = raw_udp(frame, 100);

	(void)state;
	memcpy(table + 4, mac, 6);
	table[10] = 2;
	memset(table + 14, 1, 12);
	assert_int_equal(raw_ctrl(r, 0, 0, &zero, 1), VIRTIO_NET_OK);
	assert_int_equal(raw_ctrl(r, 0, 1, &one, 1), VIRTIO_NET_OK);
	assert_int_equal(raw_ctrl(r, 1, 0, table, sizeof(table)), VIRTIO_NET_OK);
	assert_int_equal(raw_ctrl(r, 1, 1, mac, 6), VIRTIO_NET_OK);
	assert_int_equal(raw_ctrl(r, 2, 0, vlan, 2), VIRTIO_NET_OK);
	assert_int_equal(raw_ctrl(r, 5, 0, off, 8), VIRTIO_NET_OK);
	assert_int_equal(raw_ctrl(r, 9, 0, off, 8), VIRTIO_NET_ERR);
	model_get(r->m, &s);
	assert_false(s.promisc);
	assert_true(s.allmulti);
	assert_int_equal(s.nunicast, 1);
	assert_int_equal(s.nmulticast, 2);
	assert_memory_equal(s.mac, mac, 6);
	assert_true(model_vlan_passes(r->m, 7));
	assert_false(model_vlan_passes(r->m, 8));
	assert_int_equal(s.guest_offloads & NETBIT(GUEST_TSO4), 0);
	/* Not for us any more: the address was changed. */
	assert_int_equal(model_receive(r->m, NULL, frame, len), MODEL_RX_FILTERED);
	memcpy(frame, mac, 6);
	post_rx(r, VIRTIO_NET_RX_BIG);
	assert_int_equal(model_receive(r->m, NULL, frame, len), MODEL_RX_OK);
	down(r);
}

static void announce(void **state)
{
	struct raw *r = up(CTRL | NETBIT(STATUS) | NETBIT(GUEST_ANNOUNCE));
	struct model_state s;

	(void)state;
	model_announce(r->m);
	assert_int_equal(model_bar_read(r->m, 4, 0x2006, 2), 3);
	assert_int_equal(raw_ctrl(r, 3, 0, NULL, 0), VIRTIO_NET_OK);
	assert_int_equal(model_bar_read(r->m, 4, 0x2006, 2), 1);
	model_get(r->m, &s);
	assert_int_equal(s.announces_acked, 1);
	assert_int_equal(model_exercised(r->m, NORM_NX_10), 1);
	down(r);
}

static void legacy_frames(void **state)
{
	struct model_options o;
	struct virtio_net_hdr hdr = {0};
	struct raw *r;
	uint8_t frame[200], *buf;
	uint32_t len = raw_udp(frame, 100), id, n;
	struct raw_seg segs[2];

	(void)state;
	raw_options(&o);
	o.interface = MODEL_LEGACY;
	o.features &= ~VIRTIO_BIT(VIRTIO_F_ANY_LAYOUT);
	r = raw_open(&o);
	raw_start_legacy(r, NETBIT(MAC) | NETBIT(MTU));
	raw_send(r, &hdr, frame, len);
	assert_int_equal(r->frame_len, len);
	assert_memory_equal(r->frame, frame, len);
	buf = raw_alloc(r, 1528, 16);
	segs[0] = (struct raw_seg){buf, 10, true};
	segs[1] = (struct raw_seg){buf + 10, 1518, true};
	raw_post(r, 0, segs, 2);
	assert_int_equal(model_receive(r->m, NULL, frame, len), MODEL_RX_OK);
	assert_true(raw_used(r, 0, &id, &n));
	assert_int_equal(n, len + 10);
	assert_memory_equal(buf + 10, frame, len);
	assert_true(model_exercised(r->m, NORM_LG_24) >= 2);
	down(r);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(transmit),	     cmocka_unit_test(interrupts_suppressed),
		cmocka_unit_test(receive),	     cmocka_unit_test(receive_merged),
		cmocka_unit_test(receive_segmented), cmocka_unit_test(transmit_gso),
		cmocka_unit_test(loopback),	     cmocka_unit_test(deferred),
		cmocka_unit_test(control),	     cmocka_unit_test(announce),
		cmocka_unit_test(legacy_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
