/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ring against a device that lies, one hardening rule after the other. Names begin with the
 * rule. The rules of the layers above are in test_hard_net.c and test_hard_life.c.
 */
#include <pthread.h>
#include <sched.h>

#include "tests/unit/cm.h"
#include "tests/unit/fake.h"

struct bad {
	struct fake f;
	struct vio_ring *r;
	struct dring d;
};

static void bad_open(struct bad *b, uint16_t size, bool indirect, enum vio_ring_len policy)
{
	struct vio_ring_params p = {
		.size = size, .max_segs = 8, .indirect = indirect, .len_policy = policy};

	memset(b, 0, sizeof(*b));
	fake_init(&b->f, false);
	assert_int_equal(vio_ring_create(&b->r, &b->f.os, &b->f.t, &p), VIO_OK);
	dring_init(&b->d, &b->f, b->r, false);
}

static void bad_close(struct bad *b)
{
	vio_ring_destroy(b->r, false);
	assert_true(fake_fini(&b->f));
}

/* A buffer of `nout` readable and `nin` writable segments, 100 bytes each. */
static int bad_add(struct bad *b, unsigned nout, unsigned nin, void *token)
{
	struct seg segs[8];
	struct vio_part parts[2] = {{segs, nout, false}, {segs + nout, nin, true}};

	for (unsigned i = 0; i < nout + nin; i++)
		segs[i] = (struct seg){.addr = 0x1000u * (i + 1), .len = 100};
	return vio_ring_add(b->r, parts, 2, token);
}

static char tok[64];

/* What was added comes back once each by reclaim, and the ring takes nothing meanwhile. */
static void bad_end(struct bad *b, unsigned in_flight)
{
	struct vio_used u;
	unsigned n = 0;

	assert_non_null(vio_ring_broken(b->r));
	assert_int_equal(vio_ring_pop(b->r, &u), VIO_EBROKEN);
	assert_int_equal(bad_add(b, 1, 0, tok), VIO_EBROKEN);
	assert_false(vio_ring_kick(b->r));
	assert_false(vio_ring_more(b->r));
	assert_false(vio_ring_irq_on(b->r));
	while (vio_ring_reclaim(b->r))
		n++;
	assert_int_equal(n, in_flight);
	vio_ring_clear(b->r);
	assert_null(vio_ring_broken(b->r));
	assert_int_equal(bad_add(b, 1, 0, tok), VIO_OK);
	assert_ptr_equal(vio_ring_reclaim(b->r), tok);
	bad_close(b);
}

/* Everything shared is overwritten as soon as the driver has published it. */
static void shadow(bool indirect)
{
	struct bad b;
	struct rng rng = {5};
	char *out[16] = {0};
	unsigned n = 0;

	bad_open(&b, 16, indirect, VIO_RING_LEN_STRICT);
	for (unsigned round = 0; round < 3000; round++) {
		uint16_t heads[16];
		unsigned taken = 0;
		struct vio_used u;

		while (n < 16 && bad_add(&b, 1 + rng_below(&rng, 2), 1, &tok[round % 60]) == VIO_OK)
			out[n++] = &tok[round % 60];
		vio_ring_kick(b.r);
		/* The device keeps only the heads; from now on nothing in memory is true. */
		for (struct dchain c; dring_take(&b.d, &c);)
			heads[taken++] = c.head;
		assert_int_equal(taken, n);
		rng_fill(&rng, b.d.desc, VRING_DESC_BYTES(16));
		rng_fill(&rng, b.d.avail, VRING_AVAIL_BYTES(16));
		for (unsigned i = 0; i < b.f.nblocks; i++)
			if (fake_mem(&b.f, b.f.blocks[i].da, 1) != (void *)b.d.desc)
				rng_fill(&rng, b.f.blocks[i].va, b.f.blocks[i].len);
		for (unsigned i = 0; i < taken; i++)
			dring_give(&b.d, heads[taken - 1 - i], 100);
		for (unsigned i = 0; i < taken; i++) {
			assert_int_equal(vio_ring_pop(b.r, &u), 1);
			assert_ptr_equal(u.token, out[0]);
			assert_int_equal(u.len, 100);
		}
		n = 0;
		assert_int_equal(vio_ring_pop(b.r, &u), 0);
		assert_int_equal(vio_ring_room(b.r), 16);
		/* Indices and flags are written from the driver's own copies. */
		b.d.avail->flags.raw = 0;
		b.d.seen = b.d.used_idx;
		b.d.avail->idx.raw = b.d.seen;
		(void)!vio_ring_irq_on(b.r);
		assert_int_equal(b.d.avail->flags.raw, 0);
	}
	bad_close(&b);
}

static void test_h1_shadow_never_read_back(void **state)
{
	(void)state;
	shadow(false);
	shadow(true);
}

/* avail.idx after a scribble continues where the driver was, not where memory says. */
static void test_h1_avail_idx_is_private(void **state)
{
	struct bad b;

	(void)state;
	bad_open(&b, 8, false, VIO_RING_LEN_STRICT);
	for (uint16_t i = 1; i <= 8; i++) {
		assert_int_equal(bad_add(&b, 0, 1, tok), VIO_OK);
		b.d.avail->idx.raw = 0x5555;
		vio_ring_kick(b.r);
		assert_int_equal(dget16(&b.d.avail->idx), i);
	}
	while (vio_ring_reclaim(b.r))
		;
	bad_close(&b);
}

/* ---- H-2: a device that writes while we look ---- */

struct flipper {
	struct dring *d;
	volatile bool stop;
};

static void *flip(void *arg)
{
	struct flipper *fl = arg;
	struct vring_used_elem *e = fl->d->used->ring;

	for (uint32_t n = 0; !__atomic_load_n(&fl->stop, __ATOMIC_RELAXED); n++) {
		for (unsigned i = 0; i < 4; i++) {
			__atomic_store_n(&e[i].id.raw, n & 1 ? i : 0x40000000 + n,
					 __ATOMIC_RELAXED);
			__atomic_store_n(&e[i].len.raw, n & 2 ? 100 : 0xffffff00 - n,
					 __ATOMIC_RELAXED);
		}
		__atomic_store_n(&fl->d->used->idx.raw, (uint16_t)(n & 4 ? 4 : n),
				 __ATOMIC_RELAXED);
	}
	return NULL;
}

static void test_h2_fields_read_once(void **state)
{
	struct bad b;
	struct flipper fl = {.d = &b.d};
	unsigned good = 0, broken = 0;
	pthread_t thread;

	(void)state;
	bad_open(&b, 4, false, VIO_RING_LEN_STRICT);
	assert_int_equal(pthread_create(&thread, NULL, flip, &fl), 0);
	/* On a busy machine the other thread may not run for a while. */
	for (unsigned round = 0; round < 60000 || ((!good || !broken) && round < 5000000);
	     round++) {
		struct vio_used u;
		unsigned n = 0, back = 0;
		int got;

		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(bad_add(&b, 0, 1, &tok[i]), VIO_OK);
		vio_ring_kick(b.r);
		if (round % 1024 == 0)
			sched_yield(); /* or never, on a single processor */
		while ((got = vio_ring_pop(b.r, &u)) == 1) {
			/* Judged and used is the same value, whatever stands there now. */
			assert_true(u.len <= 100);
			assert_in_range((uintptr_t)u.token, (uintptr_t)tok, (uintptr_t)tok + 3);
			n++;
		}
		good += n;
		broken += got < 0;
		while (vio_ring_reclaim(b.r))
			back++;
		assert_int_equal(n + back, 4);
		vio_ring_clear(b.r);
	}
	__atomic_store_n(&fl.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_true(good > 0 && broken > 0);
	bad_close(&b);
}

/* ---- H-3 ---- */

static void test_h3_used_idx_bounded(void **state)
{
	(void)state;
	for (unsigned idx = 0; idx <= 0xffff; idx += idx > 40 && idx < 0xff00 ? 251 : 1) {
		for (unsigned in_flight = 0; in_flight <= 8; in_flight += 4) {
			struct vio_used u;
			struct bad b;
			int got;

			bad_open(&b, 8, false, VIO_RING_LEN_STRICT);
			for (unsigned i = 0; i < in_flight; i++) {
				assert_int_equal(bad_add(&b, 0, 1, &tok[i]), VIO_OK);
				b.d.used->ring[i].id.raw = i;
			}
			vio_ring_kick(b.r);
			b.d.used->idx.raw = (uint16_t)idx;
			got = vio_ring_pop(b.r, &u);
			if (idx > in_flight) {
				assert_int_equal(got, VIO_EBROKEN);
				bad_end(&b, in_flight);
				continue;
			}
			assert_int_equal(got, idx > 0);
			while (vio_ring_reclaim(b.r))
				;
			bad_close(&b);
		}
	}
}

/* What was added but never shown to the device cannot have been used by it. */
static void test_h3_unpublished_is_not_in_flight(void **state)
{
	struct vio_used u;
	struct bad b;

	(void)state;
	bad_open(&b, 8, false, VIO_RING_LEN_STRICT);
	assert_int_equal(bad_add(&b, 0, 1, &tok[0]), VIO_OK);
	dring_give(&b.d, 0, 0);
	assert_int_equal(vio_ring_pop(b.r, &u), VIO_EBROKEN);
	bad_end(&b, 1);
}

/* ---- H-4 ---- */

static void bad_id(uint32_t id, bool indirect)
{
	struct vio_used u;
	struct bad b;

	bad_open(&b, 16, indirect, VIO_RING_LEN_STRICT);
	assert_int_equal(bad_add(&b, 1, 1, &tok[0]), VIO_OK); /* 0, 1 */
	assert_int_equal(bad_add(&b, 1, 1, &tok[1]), VIO_OK); /* 2, 3 */
	vio_ring_kick(b.r);
	dring_give(&b.d, id, 0);
	assert_int_equal(vio_ring_pop(b.r, &u), VIO_EBROKEN);
	bad_end(&b, 2);
}

static void test_h4_id_in_range(void **state)
{
	static const uint32_t ids[] = {16,	   17,	       255,	  0x8000,
				       0xffff,	   0x10000,    0x10002,	  0x20000000,
				       0x80000000, 0x80000002, 0xffffffff};

	(void)state;
	/* 0x10000 and friends are heads to whoever narrows first (H-18). */
	for (unsigned i = 0; i < COUNT(ids); i++)
		bad_id(ids[i], i & 1);
}

static void test_h4_id_is_a_head(void **state)
{
	(void)state;
	bad_id(1, false);
	bad_id(3, true);
}

static void test_h4_id_in_flight(void **state)
{
	(void)state;
	for (uint32_t id = 4; id < 16; id++)
		bad_id(id, id & 1);
}

static void test_h4_no_double_completion(void **state)
{
	struct vio_used u;
	struct bad b;

	(void)state;
	bad_open(&b, 16, false, VIO_RING_LEN_STRICT);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(bad_add(&b, 0, 1, &tok[i]), VIO_OK);
	vio_ring_kick(b.r);
	dring_give(&b.d, 1, 0);
	dring_give(&b.d, 1, 0);
	assert_int_equal(vio_ring_pop(b.r, &u), 1);
	assert_ptr_equal(u.token, &tok[1]);
	assert_int_equal(vio_ring_pop(b.r, &u), VIO_EBROKEN);
	bad_end(&b, 2);
}

/* ---- H-5 ---- */

static int pop_len(enum vio_ring_len policy, unsigned nin, uint32_t len, uint32_t *out)
{
	struct vio_used u = {.len = 0xabcd};
	struct bad b;
	int got;

	bad_open(&b, 16, false, policy);
	assert_int_equal(bad_add(&b, 1, nin, tok), VIO_OK);
	vio_ring_kick(b.r);
	dring_give(&b.d, 0, len);
	got = vio_ring_pop(b.r, &u);
	*out = u.len;
	if (got < 0) {
		assert_int_equal(u.len, 0xabcd);
		bad_end(&b, 1);
	} else {
		assert_ptr_equal(u.token, tok);
		bad_close(&b);
	}
	return got;
}

static void test_h5_strict(void **state)
{
	uint32_t len;

	(void)state;
	for (unsigned nin = 0; nin < 4; nin++) {
		uint32_t room = nin * 100;

		assert_int_equal(pop_len(VIO_RING_LEN_STRICT, nin, room, &len), 1);
		assert_int_equal(len, room);
		assert_int_equal(pop_len(VIO_RING_LEN_STRICT, nin, 0, &len), 1);
		assert_int_equal(len, 0);
		assert_int_equal(pop_len(VIO_RING_LEN_STRICT, nin, room + 1, &len), VIO_EBROKEN);
		assert_int_equal(pop_len(VIO_RING_LEN_STRICT, nin, UINT32_MAX, &len), VIO_EBROKEN);
	}
}

static void test_h5_clamped_when_legacy(void **state)
{
	uint32_t len;

	(void)state;
	assert_int_equal(pop_len(VIO_RING_LEN_CLAMP, 2, 199, &len), 1);
	assert_int_equal(len, 199);
	assert_int_equal(pop_len(VIO_RING_LEN_CLAMP, 2, 201, &len), 1);
	assert_int_equal(len, 200);
	assert_int_equal(pop_len(VIO_RING_LEN_CLAMP, 0, UINT32_MAX, &len), 1);
	assert_int_equal(len, 0);
}

static void test_h5_ignored_on_out_queues(void **state)
{
	static const uint32_t lens[] = {0, 1, 100, 1514, UINT32_MAX};
	uint32_t len;

	(void)state;
	for (unsigned i = 0; i < COUNT(lens); i++) {
		assert_int_equal(pop_len(VIO_RING_LEN_IGNORE, i & 1, lens[i], &len), 1);
		assert_int_equal(len, 0);
	}
}

/* ---- H-14, H-15, H-16, H-18 ---- */

static void test_h14_broken_is_a_state(void **state)
{
	struct bad b;

	(void)state;
	bad_open(&b, 8, false, VIO_RING_LEN_STRICT);
	assert_int_equal(bad_add(&b, 0, 1, tok), VIO_OK);
	vio_ring_break(b.r, "first");
	vio_ring_break(b.r, "second");
	assert_string_equal(vio_ring_broken(b.r), "first");
	assert_int_equal(b.f.logs, 0); /* who logs, and how often, is decided above */
	bad_end(&b, 1);
}

/* A device that "completes" without end gets as many pops as buffers were out. */
static void test_h15_pop_is_bounded(void **state)
{
	struct bad b;
	unsigned pops = 0;
	struct vio_used u;

	(void)state;
	bad_open(&b, 8, false, VIO_RING_LEN_IGNORE);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(bad_add(&b, 1, 0, &tok[i]), VIO_OK);
	vio_ring_kick(b.r);
	for (unsigned i = 0; i < 8; i++)
		b.d.used->ring[i].id.raw = i;
	for (unsigned turn = 0; turn < 1000; turn++) {
		b.d.used->idx.raw++;
		if (vio_ring_pop(b.r, &u) != 1)
			break;
		pops++;
	}
	assert_int_equal(pops, 8);
	bad_end(&b, 0);
}

/* A cleared ring tells nothing of the one before it. */
static void test_h16_cleared_ring_is_zero(void **state)
{
	static const uint8_t zero[4096];
	struct bad b;

	(void)state;
	bad_open(&b, 16, false, VIO_RING_LEN_STRICT);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(bad_add(&b, 1, 1, &tok[i]), VIO_OK);
	vio_ring_kick(b.r);
	dring_give(&b.d, 0, 7);
	while (vio_ring_reclaim(b.r))
		;
	vio_ring_clear(b.r);
	for (unsigned i = 0; i < b.f.nblocks; i++) {
		assert_true(b.f.blocks[i].len <= sizeof(zero));
		assert_memory_equal(b.f.blocks[i].va, zero, b.f.blocks[i].len);
	}
	bad_close(&b);
}

/* The last descriptor of a chain has no next; nothing stale stands there. */
static void test_h16_next_is_zero_without_the_flag(void **state)
{
	struct bad b;

	(void)state;
	bad_open(&b, 8, false, VIO_RING_LEN_STRICT);
	assert_int_equal(bad_add(&b, 2, 1, tok), VIO_OK);
	vio_ring_kick(b.r);
	assert_int_equal(b.d.desc[2].flags.raw, VRING_DESC_F_WRITE);
	assert_int_equal(b.d.desc[2].next.raw, 0);
	bad_close(&b);
}

static void test_h18_lengths_do_not_wrap(void **state)
{
	struct seg segs[3] = {{.addr = 1, .len = UINT32_MAX}, {.addr = 2, .len = UINT32_MAX}};
	struct vio_part in = {segs, 2, true};
	struct bad b;

	(void)state;
	bad_open(&b, 8, false, VIO_RING_LEN_STRICT);
	assert_int_equal(vio_ring_add(b.r, &in, 1, tok), VIO_EINVAL);
	in.n = 1;
	assert_int_equal(vio_ring_add(b.r, &in, 1, tok), VIO_OK);
	assert_ptr_equal(vio_ring_reclaim(b.r), tok);
	bad_close(&b);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_h1_shadow_never_read_back),
	cmocka_unit_test(test_h1_avail_idx_is_private),
	cmocka_unit_test(test_h2_fields_read_once),
	cmocka_unit_test(test_h3_used_idx_bounded),
	cmocka_unit_test(test_h3_unpublished_is_not_in_flight),
	cmocka_unit_test(test_h4_id_in_range),
	cmocka_unit_test(test_h4_id_is_a_head),
	cmocka_unit_test(test_h4_id_in_flight),
	cmocka_unit_test(test_h4_no_double_completion),
	cmocka_unit_test(test_h5_strict),
	cmocka_unit_test(test_h5_clamped_when_legacy),
	cmocka_unit_test(test_h5_ignored_on_out_queues),
	cmocka_unit_test(test_h14_broken_is_a_state),
	cmocka_unit_test(test_h15_pop_is_bounded),
	cmocka_unit_test(test_h16_cleared_ring_is_zero),
	cmocka_unit_test(test_h16_next_is_zero_without_the_flag),
	cmocka_unit_test(test_h18_lengths_do_not_wrap),
};

UNIT_MAIN(60, tests)
