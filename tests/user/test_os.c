/* SPDX-License-Identifier: BSD-2-Clause */
/* The port contract and its bookkeeping. */
#include "tests/user/cm.h"
#include <stdlib.h>
#include "guest/ports/user/user_os.h"

#define REGION 65536u
#define DA     0x200000u

static _Alignas(4096) uint8_t region[REGION];

struct fixture {
	struct user_os u;
	const struct vio_os_ops *ops;
};

static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));

	if (!x)
		return -1;
	user_os_init(&x->u, region, DA, REGION);
	x->ops = x->u.os.ops;
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;

	user_os_fini(&x->u);
	free(x);
	return 0;
}

static void test_private(void **state)
{
	struct fixture *x = *state;
	uint8_t *p = x->ops->alloc(&x->u, 100), *q = x->ops->alloc(&x->u, 1);

	assert_non_null(p);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(p[i], 0);
	assert_int_equal(x->u.live_private, 101);
	x->ops->free(&x->u, q, 1);
	x->ops->free(&x->u, p, 99);
	assert_int_equal(x->u.misuse, 1);
	assert_int_equal(x->u.live_private, 0);
	assert_int_equal(x->u.blocks_private, 0);
	x->ops->free(&x->u, NULL, 0);
	assert_null(x->ops->alloc(&x->u, SIZE_MAX));
}

static void test_dma(void **state)
{
	struct fixture *x = *state;
	struct vio_dma a, b, c;
	uint64_t da;

	memset(region, 0xff, sizeof(region));
	assert_int_equal(x->ops->dma_alloc(&x->u, 10, 1, 64, &a), VIO_OK);
	assert_int_equal(x->ops->dma_alloc(&x->u, 4096, 4096, 44, &b), VIO_OK);
	assert_int_equal(x->ops->dma_alloc(&x->u, 100, 64, 32, &c), VIO_OK);
	assert_int_equal(a.da, DA);
	assert_int_equal(b.da, DA + 4096);
	assert_int_equal(c.da, DA + 64); /* the gap before b */
	assert_ptr_equal(b.va, region + 4096);
	for (unsigned i = 0; i < 4096; i++)
		assert_int_equal(((uint8_t *)b.va)[i], 0);
	assert_int_equal(x->u.live_dma, 4206);

	assert_true(user_os_da(&x->u, (uint8_t *)b.va + 5, 10, &da));
	assert_int_equal(da, b.da + 5);
	assert_ptr_equal(user_os_va(&x->u, da, 10), (uint8_t *)b.va + 5);
	assert_false(user_os_da(&x->u, region + REGION - 1, 2, &da));
	assert_false(user_os_da(&x->u, &da, sizeof(da), &da));
	assert_null(user_os_va(&x->u, DA - 1, 1));
	assert_null(user_os_va(&x->u, DA + REGION, 1));
	assert_null(user_os_va(&x->u, UINT64_MAX, 1));

	struct vio_dma stale = b;

	x->ops->dma_free(&x->u, &b);
	assert_null(b.va);
	assert_int_equal(region[4096], 0xdb);
	assert_int_equal(x->u.misuse, 0);
	x->ops->dma_free(&x->u, &stale);
	assert_int_equal(x->u.misuse, 1);
	x->ops->dma_free(&x->u, &c);
	x->ops->dma_free(&x->u, &a);
	assert_int_equal(x->u.live_dma, 0);
	assert_int_equal(x->u.blocks_dma, 0);
}

static void test_dma_limits(void **state)
{
	struct fixture *x = *state;
	struct vio_dma all, d;

	/* The region starts at 2^21. */
	assert_int_equal(x->ops->dma_alloc(&x->u, 64, 64, 21, &d), VIO_ENOMEM);
	assert_int_equal(x->ops->dma_alloc(&x->u, REGION + 1, 1, 64, &d), VIO_ENOMEM);
	assert_int_equal(x->ops->dma_alloc(&x->u, SIZE_MAX, 4096, 64, &d), VIO_ENOMEM);
	assert_int_equal(x->ops->dma_alloc(&x->u, 1, (size_t)1 << 63, 64, &d), VIO_ENOMEM);
	assert_int_equal(x->ops->dma_alloc(&x->u, REGION, 4096, 22, &all), VIO_OK);
	assert_int_equal(x->ops->dma_alloc(&x->u, 1, 1, 64, &d), VIO_ENOMEM);
	x->ops->dma_free(&x->u, &all);
	assert_int_equal(x->u.misuse, 0);
	assert_int_equal(x->ops->dma_alloc(&x->u, 1, 3, 64, &d), VIO_ENOMEM);
	assert_int_equal(x->ops->dma_alloc(&x->u, 0, 1, 64, &d), VIO_ENOMEM);
	assert_int_equal(x->u.misuse, 2);
}

/* Blocks of all sizes come and go, and never overlap. */
static void test_dma_churn(void **state)
{
	struct fixture *x = *state;
	struct vio_dma d[40] = {{.va = NULL}};
	unsigned seed = 1;

	for (unsigned round = 0; round < 3000; round++) {
		unsigned i = (seed = seed * 1103515245u + 12345u) >> 16;
		struct vio_dma *m = &d[i % 40];

		if (m->va) {
			for (size_t k = 0; k < m->len; k++)
				assert_int_equal(((uint8_t *)m->va)[k], i % 40 + 1);
			x->ops->dma_free(&x->u, m);
		} else if (!x->ops->dma_alloc(&x->u, 1 + i % 3000, (size_t)1 << i % 9, 64, m)) {
			assert_int_equal(m->da % (1u << i % 9), 0);
			memset(m->va, (int)(i % 40 + 1), m->len);
		} else {
			m->va = NULL;
		}
	}
	for (unsigned i = 0; i < 40; i++) {
		if (d[i].va)
			x->ops->dma_free(&x->u, &d[i]);
	}
	assert_int_equal(x->u.live_dma, 0);
	assert_int_equal(x->u.misuse, 0);
}

static void test_fail(void **state)
{
	struct fixture *x = *state;
	struct vio_dma d;
	void *p;

	user_os_fail(&x->u, 2);
	p = x->ops->alloc(&x->u, 8);
	assert_non_null(p);
	assert_int_equal(x->ops->dma_alloc(&x->u, 8, 8, 64, &d), VIO_ENOMEM);
	assert_int_equal(x->ops->dma_alloc(&x->u, 8, 8, 64, &d), VIO_OK);
	user_os_fail(&x->u, 1);
	assert_null(x->ops->alloc(&x->u, 8));
	user_os_fail(&x->u, 1);
	user_os_fail(&x->u, 0);
	x->ops->free(&x->u, p, 8);
	p = x->ops->alloc(&x->u, 8);
	assert_non_null(p);
	x->ops->free(&x->u, p, 8);
	x->ops->dma_free(&x->u, &d);
	assert_int_equal(x->u.allocs, 5);
}

static void test_time(void **state)
{
	struct fixture *x = *state;
	uint64_t start = x->ops->time_us(&x->u);

	x->ops->delay_us(&x->u, 1000);
	assert_in_range(x->ops->time_us(&x->u) - start, 1000, 500000);
	assert_int_equal(x->u.misuse, 0);
	x->ops->delay_us(&x->u, 1001);
	assert_int_equal(x->u.misuse, 1);
}

static void test_lock(void **state)
{
	struct fixture *x = *state;

	x->ops->lock(&x->u);
	x->ops->unlock(&x->u);
	assert_int_equal(x->u.misuse, 0);
	x->ops->lock(&x->u);
	x->ops->lock(&x->u);
	assert_int_equal(x->u.misuse, 1);
	x->ops->unlock(&x->u);
	x->ops->unlock(&x->u);
	assert_int_equal(x->u.misuse, 2);
}

static void note(void *arg, enum vio_log_level level, const char *what, uint64_t value)
{
	assert_int_equal(level, VIO_LOG_WARN);
	assert_string_equal(what, "queue size");
	*(uint64_t *)arg = value;
}

static void test_log(void **state)
{
	struct fixture *x = *state;
	uint64_t seen = 0;

	x->ops->log(&x->u, VIO_LOG_WARN, "queue size", 1);
	x->u.log = note;
	x->u.log_arg = &seen;
	x->ops->log(&x->u, VIO_LOG_WARN, "queue size", 7);
	assert_int_equal(seen, 7);
	assert_int_equal(x->u.logs[VIO_LOG_WARN], 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_private, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dma, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dma_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dma_churn, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fail, setup, teardown),
		cmocka_unit_test_setup_teardown(test_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lock, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
