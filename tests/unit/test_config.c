/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration as one consistent snapshot (H-9, CF-1 .. CF-5, LG-6), on a fake transport. */
#include "tests/unit/cm.h"
#include "tests/unit/fake.h"

struct conf {
	struct fake f;
	struct vio_device dev;
};

static void conf_open(struct conf *c, bool legacy)
{
	memset(c, 0, sizeof(*c));
	fake_init(&c->f, legacy);
	vio_device_init(&c->dev, &c->f.os, &c->f.t, NULL, 0);
}

static void conf_close(struct conf *c)
{
	assert_true(fake_fini(&c->f));
}

static const struct vio_config_field two_fields[] = {{0, 1, 6}, {8, 2, 1}};

static void test_config_values(void **state)
{
	static const struct vio_config_field all[] = {{0, 1, 2}, {2, 2, 2}, {8, 4, 2}};
	uint32_t v[6];
	struct conf l;

	(void)state;
	for (int legacy = 0; legacy < 2; legacy++) {
		conf_open(&l, legacy);
		for (unsigned i = 0; i < 24; i++)
			l.f.config[i] = (uint8_t)(0x80 + i);
		assert_int_equal(vio_config_read(&l.dev, all, 3, v), VIO_OK);
		assert_int_equal(v[0], 0x80);
		assert_int_equal(v[1], 0x81);
		assert_int_equal(v[2], 0x8382);
		assert_int_equal(v[3], 0x8584);
		assert_int_equal(v[4], 0x8b8a8988);
		assert_int_equal(v[5], 0x8f8e8d8c);
		conf_close(&l);
	}
}

static void test_config_generation(void **state)
{
	uint32_t v[7];
	struct conf l;

	(void)state;
	for (unsigned moves = 0; moves < 200; moves += 7) {
		conf_open(&l, false);
		l.f.gen_moves = moves;
		l.f.gen = 0xfe; /* wraps */
		if (moves < 16 * 7) {
			assert_int_equal(vio_config_read(&l.dev, two_fields, 2, v), VIO_OK);
			assert_int_equal(l.f.config_reads, moves + 7);
		} else {
			memset(v, 0x77, sizeof(v));
			assert_int_equal(vio_config_read(&l.dev, two_fields, 2, v), VIO_EBROKEN);
			assert_int_equal(l.f.config_reads, 16 * 7);
			assert_int_equal(v[0], 0x77777777);
			assert_int_equal(vio_device_state(&l.dev), VIO_STATE_BROKEN);
		}
		conf_close(&l);
	}
}

static void test_config_torn_legacy(void **state)
{
	static const struct vio_config_field one = {8, 2, 1};
	uint32_t v;
	struct conf l;

	(void)state;
	for (unsigned torn = 0; torn < 40; torn++) {
		int err;

		conf_open(&l, true);
		l.f.config[8] = 0x34;
		l.f.config[9] = 0x12;
		l.f.torn_reads = torn;
		err = vio_config_read(&l.dev, &one, 1, &v);
		if (torn <= 14) {
			assert_int_equal(err, VIO_OK);
			assert_int_equal(v, 0x1234);
			assert_int_equal(l.f.config_reads, torn + 2);
		} else if (torn >= 16) {
			assert_int_equal(err, VIO_EBROKEN);
			assert_int_equal(l.f.config_reads, 16);
		}
		conf_close(&l);
	}
}

static void test_config_bounds(void **state)
{
	static const struct vio_config_field beyond = {22, 4, 1}, last = {20, 4, 1};
	static const struct vio_config_field many = {0, 1, 17};
	uint32_t v[17];
	struct conf l;

	(void)state;
	conf_open(&l, false);
	assert_int_equal(vio_config_read(&l.dev, &last, 1, v), VIO_OK);
	assert_int_equal(vio_config_read(&l.dev, &beyond, 1, v), VIO_EINVAL);
	assert_int_equal(vio_config_read(&l.dev, &many, 1, v), VIO_EINVAL);
	assert_int_equal(vio_device_state(&l.dev), VIO_STATE_DOWN); /* no reason to break */
	conf_close(&l);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_config_values),
	cmocka_unit_test(test_config_generation),
	cmocka_unit_test(test_config_torn_legacy),
	cmocka_unit_test(test_config_bounds),
};

UNIT_MAIN(60, tests)
