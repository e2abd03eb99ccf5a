/* SPDX-License-Identifier: BSD-2-Clause */
/* Hostile mode: repeatable, within bounds, and able to tell a driver that reads back. */
#include <string.h>

#include "tests/model/raw.h"

#define V1 (VIRTIO_BIT(VIRTIO_F_VERSION_1) | NETBIT(MAC) | NETBIT(MTU))

struct outcome {
	uint64_t count;
	unsigned nlog;
	struct model_mut_entry log[MODEL_MUT_LOG_LEN];
	uint8_t config[64];
};

/* The same story each time: start cleanly, then traffic under mutation. */
static void story(uint64_t seed, struct outcome *out)
{
	struct model_options o;
	struct virtio_net_hdr hdr = {0};
	uint8_t frame[200];
	uint32_t len = raw_udp(frame, 100);
	struct raw *r;

	memset(out, 0, sizeof(*out));
	raw_options(&o);
	r = raw_open(&o);
	raw_start(r, V1);
	model_hostile(r->m, seed, 6000, MODEL_MUT_ALL & ~(UINT64_C(1) << MODEL_MUT_NEEDS_RESET));
	for (unsigned i = 0; i < 40; i++) {
		struct raw_seg seg = {raw_alloc(r, 1600, 16), 1600, true};

		raw_post(r, 0, &seg, 1);
		model_receive(r->m, NULL, frame, len);
		raw_send(r, &hdr, frame, len);
		model_poll(r->m);
	}
	for (unsigned i = 0; i < 24; i++)
		out->config[i] = (uint8_t)model_bar_read(r->m, 4, 0x2000 + i, 1);
	out->count = model_mutations(r->m);
	out->nlog = model_mut_log(r->m, out->log);
	raw_close(r);
}

static void repeatable(void **state)
{
	static struct outcome a, b, c;

	(void)state;
	story(7, &a);
	story(7, &b);
	story(8, &c);
	assert_true(a.count > 20);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_memory_not_equal(&a, &c, sizeof(a));
}

static void only_what_was_asked(void **state)
{
	struct model_options o;
	struct raw *r;

	(void)state;
	raw_options(&o);
	r = raw_open(&o);
	model_hostile(r->m, 1, 65536, UINT64_C(1) << MODEL_MUT_FEATURES);
	assert_int_equal(model_cfg_read(r->m, PCI_VENDOR_ID, 2), VIRTIO_PCI_VENDOR);
	assert_int_equal(raw_rd(r, COMMON(num_queues), 2), 3);
	assert_int_not_equal(raw_rd(r, COMMON(device_feature), 4),
			     (uint32_t)model_features_default());
	assert_int_equal(model_mutations(r->m), model_mutations_of(r->m, MODEL_MUT_FEATURES));
	model_hostile(r->m, 1, 0, 0);
	assert_int_equal(model_mutations(r->m), 1);
	raw_close(r);
}

static void never_resets(void **state)
{
	struct model_options o;
	struct model_state s;
	struct raw *r;
	unsigned stuck = 0;

	(void)state;
	raw_options(&o);
	for (uint64_t seed = 0; seed < 30; seed++) {
		r = raw_open(&o);
		raw_start(r, V1);
		model_hostile(r->m, seed, 65536,
			      UINT64_C(1) << MODEL_MUT_RESET | UINT64_C(1) << MODEL_MUT_STATUS);
		raw_status(r, 0);
		for (unsigned i = 0; i < 3000; i++) {
			uint32_t now = raw_rd(r, COMMON(device_status), 1);

			model_get(r->m, &s);
			/* While a queue is live the status never reads 0. */
			assert_true(now != 0 || !s.q[0].enabled);
			if (!s.q[0].enabled)
				break;
		}
		stuck += s.q[0].enabled;
		raw_close(r);
	}
	assert_true(stuck > 0 && stuck < 30);
}

static void reading_back_shows(void **state)
{
	struct model_options o;
	struct virtio_net_hdr hdr = {0};
	uint8_t frame[200];
	uint32_t len = raw_udp(frame, 100);
	struct raw *r;

	(void)state;
	raw_options(&o);
	for (unsigned careless = 0; careless < 2; careless++) {
		r = raw_open(&o);
		raw_start(r, V1);
		model_hostile(r->m, 3, 65536, UINT64_C(1) << MODEL_MUT_AVAIL);
		for (unsigned i = 0; i < 200; i++) {
			if (careless)
				r->q[1].idx = r->q[1].avail->idx.raw;
			raw_send(r, &hdr, frame, len);
		}
		if (careless)
			assert_true(model_readbacks(r->m) > 0);
		else
			assert_int_equal(model_readbacks(r->m), 0);
		raw_close(r);
	}
}

static void names(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MODEL_MUT_COUNT; i++)
		assert_non_null(model_mutation_name((enum model_mutation)i));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(repeatable),	cmocka_unit_test(only_what_was_asked),
		cmocka_unit_test(never_resets), cmocka_unit_test(reading_back_shows),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
