/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor catches what it is there to catch: each test breaks one rule on purpose and looks
 * for exactly that id.
 */
#include <string.h>

#include "tests/model/raw.h"

#define V1   VIRTIO_BIT(VIRTIO_F_VERSION_1)
#define BASE (V1 | NETBIT(MAC) | NETBIT(MTU))
#define CSUM (NETBIT(CSUM) | NETBIT(HOST_TSO4))

static struct raw *open_default(void)
{
	struct model_options o;

	raw_options(&o);
	return raw_open(&o);
}

static struct raw *up(uint64_t features)
{
	struct raw *r = open_default();

	raw_start(r, BASE | features);
	assert_int_equal(model_violations(r->m), 0);
	return r;
}

/* Violated, and nothing but these was. */
static void caught2(struct raw *r, enum norm a, enum norm b)
{
	uint64_t others = model_violations(r->m) - model_violated(r->m, a);

	if (b != a)
		others -= model_violated(r->m, b);
	assert_int_not_equal(model_violated(r->m, a), 0);
	assert_int_not_equal(model_violated(r->m, b), 0);
	assert_int_equal(others, 0);
	raw_close(r);
}

static void caught(struct raw *r, enum norm id)
{
	caught2(r, id, id);
}

static void status_bits(void **state)
{
	struct raw *r = open_default();

	(void)state;
	raw_status(r, 0);
	raw_rd(r, COMMON(device_status), 1);
	raw_status(r, 3); /* two at once */
	caught2(r, NORM_ST_1, NORM_IN_1);

	r = open_default();
	raw_negotiate(r, BASE);
	raw_status(r, 3); /* FEATURES_OK cleared */
	caught(r, NORM_ST_2);

	r = open_default();
	raw_negotiate(r, BASE);
	raw_status(r, 15); /* FEATURES_OK not read back */
	caught(r, NORM_IN_4);

	r = open_default();
	raw_negotiate(r, BASE);
	raw_rd(r, COMMON(device_status), 1);
	raw_status(r, 11 | VIRTIO_STATUS_FAILED);
	raw_status(r, 15 | VIRTIO_STATUS_FAILED);
	assert_int_not_equal(model_violated(r->m, NORM_IN_6), 0);
	assert_int_not_equal(model_violated(r->m, NORM_ST_3), 0);
	raw_close(r);
}

static void reset_not_awaited(void **state)
{
	struct raw *r = up(0);

	(void)state;
	raw_status(r, 0);
	raw_status(r, 1);
	caught2(r, NORM_RS_1, NORM_PM_5);
}

static void features(void **state)
{
	struct model_options o;
	struct raw *r = open_default();

	(void)state;
	raw_negotiate(r, BASE | NETBIT(RSS) | NETBIT(CTRL_VQ));
	caught(r, NORM_FB_1);

	r = open_default();
	raw_negotiate(r, BASE | NETBIT(HOST_TSO4)); /* without CSUM */
	caught(r, NORM_FB_2);

	raw_options(&o);
	o.features |= VIRTIO_BIT(45);
	r = raw_open(&o);
	raw_negotiate(r, BASE | VIRTIO_BIT(45));
	caught(r, NORM_FB_4);

	r = open_default();
	raw_negotiate(r, BASE);
	raw_rd(r, COMMON(device_status), 1);
	raw_wr(r, COMMON(driver_feature), 4, 1); /* after FEATURES_OK */
	caught(r, NORM_IN_3);
}

static void registers(void **state)
{
	struct raw *r = up(0);

	(void)state;
	raw_rd(r, COMMON(queue_size), 4); /* two fields at once */
	caught(r, NORM_PL_1);

	r = up(0);
	raw_wr(r, COMMON(num_queues), 2, 1);
	caught(r, NORM_PM_1);

	r = up(0);
	raw_wr(r, COMMON(queue_select), 2, 2);
	raw_wr(r, COMMON(queue_size), 2, 48);
	caught(r, NORM_PM_3);

	r = up(0);
	raw_wr(r, COMMON(queue_select), 2, 0);
	raw_wr(r, COMMON(queue_desc_lo), 4, 0);
	caught(r, NORM_PM_4);

	r = up(0);
	raw_wr(r, COMMON(queue_select), 2, 0);
	raw_wr(r, COMMON(queue_enable), 2, 0);
	caught(r, NORM_PM_6);

	r = up(0);
	raw_wr(r, COMMON(config_msix_vector), 2, 4);
	caught(r, NORM_PX_2);

	r = up(0);
	model_bar_read(r->m, 4, 0x1000, 1); /* ISR */
	caught(r, NORM_PI_1);

	r = up(0);
	model_bar_write(r->m, 4, 0x2000, 1, 0x52);
	caught(r, NORM_NC_1);

	r = up(0);
	model_cfg_write(r->m, model_cfg_read(r->m, PCI_CAP_PTR, 1) + 12 + 4, 1, 2);
	caught(r, NORM_PC_7);
}

static void vector_not_read_back(void **state)
{
	struct raw *r = open_default();

	(void)state;
	raw_negotiate(r, BASE);
	raw_rd(r, COMMON(device_status), 1);
	raw_wr(r, COMMON(config_msix_vector), 2, 0);
	raw_status(r, 15);
	caught(r, NORM_PX_3);
}

static void config_reads(void **state)
{
	struct raw *r = up(NETBIT(STATUS));

	(void)state;
	model_bar_read(r->m, 4, 0x2000, 1);
	model_bar_read(r->m, 4, 0x2001, 1);
	caught(r, NORM_CF_2);

	r = up(0);
	model_bar_read(r->m, 4, 0x2008, 2); /* max_virtqueue_pairs without MQ */
	caught(r, NORM_CF_3);
}

static void notifications(void **state)
{
	struct model_options o;
	struct raw *r = open_default();
	struct raw_seg seg;

	(void)state;
	raw_negotiate(r, BASE);
	raw_rd(r, COMMON(device_status), 1);
	raw_queue_up(r, 1);
	raw_notify(r, 1);
	caught(r, NORM_IN_7);

	r = up(0);
	model_bar_write(r->m, 4, 0x3004, 4, 1);
	caught(r, NORM_PN_1);

	r = up(0);
	model_bar_write(r->m, 4, 0x3004, 2, 0);
	caught(r, NORM_PN_3);

	/* Made available, wanted, not told. */
	raw_options(&o);
	o.immediate = false;
	r = raw_open(&o);
	raw_start(r, BASE);
	seg = (struct raw_seg){raw_alloc(r, 100, 2), 100, false};
	raw_avail(r, 1, raw_chain(r, 1, &seg, 1));
	model_poll(r->m);
	caught(r, NORM_SQ_20);

	r = up(VIRTIO_BIT(VIRTIO_F_EVENT_IDX));
	r->q[1].avail->flags.raw = 1;
	seg.p = raw_alloc(r, 100, 2);
	raw_post(r, 1, &seg, 1);
	caught(r, NORM_SQ_13);
}

static void chains(void **state)
{
	struct raw_seg segs[2];
	struct raw *r = up(0);
	uint16_t head;

	(void)state;
	segs[0] = (struct raw_seg){raw_alloc(r, 12, 2), 12, true};
	segs[1] = (struct raw_seg){raw_alloc(r, 60, 2), 60, false};
	raw_post(r, 1, segs, 2);
	caught(r, NORM_SQ_2);

	r = up(0);
	segs[0] = (struct raw_seg){raw_alloc(r, 12, 2), 12, false};
	head = raw_chain(r, 1, segs, 1);
	r->q[1].desc[head].flags.raw = VRING_DESC_F_NEXT; /* onto itself */
	r->q[1].desc[head].next.raw = head;
	raw_avail(r, 1, head);
	raw_notify(r, 1);
	caught(r, NORM_SQ_4);

	r = up(0);
	segs[0] = (struct raw_seg){raw_alloc(r, 12, 2), 12, false};
	raw_avail(r, 1, raw_indirect(r, 1, segs, 1));
	raw_notify(r, 1);
	caught(r, NORM_SQ_6);

	r = up(VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC));
	segs[0] = (struct raw_seg){raw_alloc(r, 12, 2), 12, false};
	head = raw_indirect(r, 1, segs, 1);
	r->q[1].desc[head].flags.raw = VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT;
	raw_avail(r, 1, head);
	raw_notify(r, 1);
	caught(r, NORM_SQ_9);

	r = up(0);
	segs[0] = (struct raw_seg){raw_alloc(r, 60, 2), 60, false};
	head = raw_chain(r, 1, segs, 1);
	r->q[1].desc[head].addr.raw = 0x1000; /* not guest memory */
	raw_avail(r, 1, head);
	raw_notify(r, 1);
	caught(r, NORM_RF_4);

	r = up(0);
	r->q[1].avail->idx.raw = 0xfff0;
	raw_notify(r, 1);
	caught(r, NORM_SQ_11);
}

static void changed_in_flight(void **state)
{
	struct model_options o;
	struct virtio_net_hdr hdr = {0};
	uint8_t frame[100];
	uint32_t len = raw_udp(frame, 50);
	struct raw *r;

	(void)state;
	raw_options(&o);
	o.immediate = false;
	r = raw_open(&o);
	raw_start(r, BASE);
	raw_send(r, &hdr, frame, len);
	assert_true(model_owns(r->m, raw_da(r, r->mem) + r->top - 1, 1));
	r->mem[r->top - 1] ^= 1; /* the last byte of the frame */
	model_poll(r->m);
	assert_int_equal(model_violated(r->m, NORM_CL_1), 1);
	assert_false(model_owns(r->m, raw_da(r, r->mem) + r->top - 1, 1));
	raw_close(r);

	r = raw_open(&o);
	raw_start(r, BASE);
	raw_send(r, &hdr, frame, len);
	r->q[1].desc[1].len.raw--;
	model_poll(r->m);
	assert_int_equal(model_violated(r->m, NORM_CL_1), 1);
	raw_close(r);
}

static void packets(void **state)
{
	struct virtio_net_hdr hdr = {.num_buffers = {1}};
	uint8_t frame[3000];
	uint32_t len = raw_udp(frame, 100);
	struct raw *r = up(0);

	(void)state;
	raw_send(r, &hdr, frame, len);
	caught(r, NORM_NT_2);

	r = up(0);
	hdr = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_DATA_VALID};
	raw_send(r, &hdr, frame, len);
	caught2(r, NORM_NT_36, NORM_NT_3);

	r = up(0);
	hdr = (struct virtio_net_hdr){0};
	frame[45] ^= 1;
	raw_send(r, &hdr, frame, len);
	caught(r, NORM_NT_4);

	r = up(0);
	len = raw_udp(frame, 2000);
	raw_send(r, &hdr, frame, len);
	caught(r, NORM_NC_9);
}

static void offload_packets(void **state)
{
	struct virtio_net_hdr good = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				      .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
				      .hdr_len = {54},
				      .gso_size = {1000},
				      .csum_start = {34},
				      .csum_offset = {16}};
	struct virtio_net_hdr hdr;
	uint8_t frame[3000];
	uint32_t len = raw_tcp(frame, 2500, true);
	struct raw *r = up(CSUM);

	(void)state;
	hdr = good;
	hdr.csum_start.raw = 2600;
	raw_send(r, &hdr, frame, len);
	caught(r, NORM_NT_23);

	r = up(CSUM);
	hdr = good;
	hdr.gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
	raw_send(r, &hdr, frame, len);
	caught2(r, NORM_NT_6, NORM_NT_23);

	r = up(CSUM);
	hdr = good;
	hdr.gso_size.raw = 0;
	raw_send(r, &hdr, frame, len);
	caught(r, NORM_NT_26);

	r = up(CSUM);
	hdr = good;
	hdr.hdr_len.raw = 40;
	raw_send(r, &hdr, frame, len);
	caught(r, NORM_NT_28);

	r = up(CSUM);
	hdr = good;
	hdr.flags = 0;
	raw_send(r, &hdr, frame, len);
	caught(r, NORM_NT_25);

	r = up(CSUM);
	frame[50] ^= 0x40; /* the pseudo-header sum */
	raw_send(r, &good, frame, len);
	caught(r, NORM_NT_22);

	r = up(CSUM);
	frame[50] ^= 0x40;
	frame[24] ^= 1; /* the IPv4 sum */
	raw_send(r, &good, frame, len);
	caught(r, NORM_NT_21);

	r = up(NETBIT(CSUM));
	frame[24] ^= 1;
	raw_send(r, &good, frame, len);
	caught2(r, NORM_NT_5, NORM_NT_24);
}

static void control(void **state)
{
	struct raw *r = up(NETBIT(CTRL_VQ));
	uint8_t data[12] = {9};

	(void)state;
	assert_int_equal(raw_ctrl(r, 0, 0, data, 1), VIRTIO_NET_ERR);
	caught(r, NORM_NX_4);

	r = up(NETBIT(CTRL_VQ) | NETBIT(CTRL_RX));
	assert_int_equal(raw_ctrl(r, 1, 0, data, 12),
			 VIRTIO_NET_ERR); /* nine entries in 12 bytes */
	caught(r, NORM_NX_8);
}

static void small_receive_buffers(void **state)
{
	struct raw *r = up(0);
	struct raw_seg seg = {raw_alloc(r, 1500, 2), 1500, true};
	uint8_t frame[100];

	(void)state;
	raw_post(r, 0, &seg, 1);
	model_receive(r->m, NULL, frame, raw_udp(frame, 50));
	caught2(r, NORM_NR_2, NORM_NC_8);
}

static void names(void **state)
{
	struct raw *r = open_default();

	(void)state;
	assert_string_equal(norm_name(NORM_SQ_2), "SQ-2");
	assert_int_equal(norm_find("NT-22"), NORM_NT_22);
	assert_int_equal(norm_find("nothing"), NORM_COUNT);
	model_attest(r->m, NORM_NP_4, false, "on purpose");
	caught(r, NORM_NP_4);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_bits),
		cmocka_unit_test(reset_not_awaited),
		cmocka_unit_test(features),
		cmocka_unit_test(registers),
		cmocka_unit_test(vector_not_read_back),
		cmocka_unit_test(config_reads),
		cmocka_unit_test(notifications),
		cmocka_unit_test(chains),
		cmocka_unit_test(changed_in_flight),
		cmocka_unit_test(packets),
		cmocka_unit_test(offload_packets),
		cmocka_unit_test(control),
		cmocka_unit_test(small_receive_buffers),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
