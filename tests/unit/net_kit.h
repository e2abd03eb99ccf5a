/* SPDX-License-Identifier: BSD-2-Clause */
/* What the network tests share: rigs made quickly and ended strictly, feature sets, frames. */
#ifndef TESTS_UNIT_NET_KIT_H
#define TESTS_UNIT_NET_KIT_H

#include "tests/unit/cm.h"

#include "tests/lib/rig.h"

#define NB(f) VIRTIO_BIT(VIRTIO_NET_F_##f)

#define KIT_GUEST_GSO (NB(GUEST_TSO4) | NB(GUEST_TSO6) | NB(GUEST_ECN))
#define KIT_HOST_GSO  (NB(HOST_TSO4) | NB(HOST_TSO6) | NB(HOST_ECN))

/* Defaults with fewer packet buffers. */
static inline void kit_opts(struct rig_opts *o)
{
	rig_defaults(o);
	o->rx_buffers = 300;
	o->tx_buffers = 300;
}

static inline struct rig *kit_open(const struct rig_opts *o)
{
	struct rig *r = rig_create(o);

	assert_non_null(r);
	if (rig_status(r) != VIO_OK)
		printf("create: %d (%s)\n", rig_status(r), rig_why(r) ? rig_why(r) : "?");
	assert_int_equal(rig_status(r), VIO_OK);
	return r;
}

static inline struct rig *kit_start(const struct rig_opts *o)
{
	struct rig *r = kit_open(o);
	int err = rig_start(r);

	if (err)
		printf("start: %d (%s)\n", err, vio_net_why(rig_net(r)));
	assert_int_equal(err, VIO_OK);
	return r;
}

/* Everything came back, nothing leaked, and the monitor saw no norm violated. */
static inline void kit_end(struct rig *r)
{
	uint64_t violations = model_violations(rig_model(r));
	unsigned failures;

	rig_detach(r);
	if (rig_failure(r))
		printf("rig: %s\n", rig_failure(r));
	failures = rig_destroy(r);
	assert_int_equal(failures, 0);
	assert_int_equal(violations, 0);
}

/* The same for devices that misbehave: only the driver's own part is judged. */
static inline void kit_end_bad(struct rig *r)
{
	rig_detach(r);
	if (rig_failure(r))
		printf("rig: %s\n", rig_failure(r));
	assert_int_equal(rig_destroy(r), 0);
}

static inline struct model_state kit_state(struct rig *r)
{
	struct model_state s;

	model_get(rig_model(r), &s);
	return s;
}

static inline struct rig_counts kit_counts(struct rig *r)
{
	struct rig_counts c;

	rig_counts(r, &c);
	return c;
}

static inline struct vio_net_stats kit_stats(struct rig *r)
{
	struct vio_net_stats s;

	vio_net_stats(rig_net(r), &s);
	return s;
}

static inline struct vio_net_info kit_info(struct rig *r)
{
	struct vio_net_info i;

	vio_net_info(rig_net(r), &i);
	return i;
}

/* A frame that every receive filter passes. */
static inline struct rig_flow kit_flow(void)
{
	return (struct rig_flow){.dst_mac = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
				 .src_mac = {2, 0, 0, 0, 0, 9}};
}

static inline size_t kit_frame(uint8_t *buf, size_t payload, uint32_t seed)
{
	struct rig_flow flow = kit_flow();
	size_t l4;

	flow.udp = seed & 1;
	flow.ipv6 = seed & 2;
	return rig_frame(buf, &flow, payload, seed, &l4);
}

/* n frames each way, content compared. */
static inline void kit_traffic(struct rig *r, unsigned n, uint32_t seed)
{
	static uint8_t buf[RIG_FRAME_ROOM];
	struct rng rng = {seed * 7919u + 13};

	rig_clear(r);
	for (unsigned i = 0; i < n; i++) {
		struct rig_tx tx = {
			.frame = buf,
			.len = kit_frame(buf, rng_below(&rng, 1400), seed + i),
			.nsegs = 1 + rng_below(&rng, kit_info(r).tx_max_segs > 6
							     ? 6
							     : kit_info(r).tx_max_segs),
			.headroom = rng_below(&rng, 3) == 0 ? 16 : 0,
		};

		assert_int_equal(rig_send_ex(r, &tx), VIO_OK);
		vio_net_flush(rig_net(r));
		rig_pump(r);
		assert_int_equal(rig_sent(r), i + 1);
		assert_true(rig_expect_sent(r, i, buf, tx.len));
	}
	for (unsigned i = 0; i < n; i++) {
		size_t len = kit_frame(buf, rng_below(&rng, 1400), seed + i);

		assert_int_equal(rig_receive(r, NULL, buf, len), MODEL_RX_OK);
		assert_int_equal(rig_received(r), i + 1);
		assert_true(rig_expect(r, i, buf, len));
	}
	rig_clear(r);
}

#endif
