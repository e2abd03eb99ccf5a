/* SPDX-License-Identifier: BSD-2-Clause */
/* The split ring in good company: what goes in comes out, in every shape a queue may have. */
#include "tests/unit/cm.h"
#include "tests/unit/fake.h"

/* A queue with a device at its other end and a book of what is in between. */
struct pair {
	struct fake f;
	struct dring d;
	struct vio_ring *r;
	struct vio_ring_params p;
	struct rng rng;
	uint64_t next; /* serial number of buffers */
	uint64_t added, popped;
	bool no_gaps; /* no empty segments */
	/* Buffers the device has taken and not given back. */
	struct {
		uint16_t head;
		uint64_t serial;
		uint32_t in_len;
	} held[32768];
	unsigned nheld;
	/* What was added, by serial modulo its length. */
	struct {
		uint64_t serial;
		unsigned nout, nin;
		uint32_t len; /* of each segment */
		bool out;     /* with the driver's ring */
	} book[65536];
};

static struct pair *pair_new(uint16_t size, bool event_idx, bool indirect, uint16_t max_segs,
			     bool legacy)
{
	struct pair *p = calloc(1, sizeof(*p));

	fake_init(&p->f, legacy);
	p->p = (struct vio_ring_params){.index = 1,
					.size = size,
					.event_idx = event_idx,
					.indirect = indirect,
					.max_segs = max_segs};
	p->rng.s = 77u + size + event_idx * 3u + indirect * 5u;
	assert_int_equal(vio_ring_create(&p->r, &p->f.os, &p->f.t, &p->p), VIO_OK);
	dring_init(&p->d, &p->f, p->r, event_idx);
	return p;
}

static void pair_free(struct pair *p)
{
	vio_ring_destroy(p->r, false);
	assert_true(fake_fini(&p->f));
	free(p);
}

/* Tokens are serial numbers plus one; addresses carry serial and segment. */
static void *pair_token(uint64_t serial)
{
	return (void *)(uintptr_t)(serial + 1); /* NOLINT */
}

static int pair_add(struct pair *p, unsigned nout, unsigned nin, uint32_t len)
{
	struct seg segs[2][1200];
	struct vio_part parts[2] = {{.segs = segs[0], .n = 0},
				    {.segs = segs[1], .n = 0, .in = true}};
	unsigned want[2] = {nout, nin};
	uint64_t serial = p->next;
	int err;

	for (unsigned d = 0; d < 2; d++) {
		for (unsigned i = 0; i < want[d]; i++) {
			/* Empty segments in between are skipped. */
			if (!p->no_gaps && rng_below(&p->rng, 4) == 0)
				segs[d][parts[d].n++] = (struct seg){.addr = 0xdead, .len = 0};
			segs[d][parts[d].n++] =
				(struct seg){.addr = serial << 20 | d << 16 | i, .len = len};
		}
	}
	err = vio_ring_add(p->r, parts, 2, pair_token(serial));
	if (err == VIO_OK) {
		p->next++;
		p->added++;
		p->book[serial % COUNT(p->book)].serial = serial;
		p->book[serial % COUNT(p->book)].nout = nout;
		p->book[serial % COUNT(p->book)].nin = nin;
		p->book[serial % COUNT(p->book)].len = len;
		assert_false(p->book[serial % COUNT(p->book)].out);
		p->book[serial % COUNT(p->book)].out = true;
	}
	return err;
}

/* The device takes all there is, checking that it is what was added. */
static unsigned pair_take(struct pair *p)
{
	struct dchain c;
	unsigned n = 0;

	while (dring_take(&p->d, &c)) {
		uint64_t addr = c.nout ? c.out[0].addr : c.in[0].addr;
		uint64_t serial = addr >> 20;
		unsigned at = (unsigned)(serial % COUNT(p->book));

		assert_true(p->book[at].serial == serial && p->book[at].out);
		assert_int_equal(c.nout, p->book[at].nout);
		assert_int_equal(c.nin, p->book[at].nin);
		assert_true(!c.indirect || p->p.indirect);
		for (unsigned i = 0; i < c.nout; i++) {
			assert_true(c.out[i].addr == (serial << 20 | i));
			assert_int_equal(c.out[i].len, p->book[at].len);
		}
		for (unsigned i = 0; i < c.nin; i++) {
			assert_true(c.in[i].addr == (serial << 20 | 1u << 16 | i));
			assert_int_equal(c.in[i].len, p->book[at].len);
		}
		p->held[p->nheld].head = c.head;
		p->held[p->nheld].serial = serial;
		p->held[p->nheld++].in_len = (uint32_t)c.in_len;
		n++;
	}
	return n;
}

/* The device completes its i-th buffer; others keep their order. */
static bool pair_give(struct pair *p, unsigned i)
{
	bool irq = dring_give(&p->d, p->held[i].head, p->held[i].in_len);

	p->held[i] = p->held[--p->nheld];
	return irq;
}

static unsigned pair_pop(struct pair *p)
{
	struct vio_used used;
	unsigned n = 0;

	while (vio_ring_pop(p->r, &used) == 1) {
		uint64_t serial = (uint64_t)(uintptr_t)used.token - 1;
		unsigned at = (unsigned)(serial % COUNT(p->book));

		assert_true(p->book[at].serial == serial && p->book[at].out);
		assert_int_equal(used.len, p->book[at].nin * p->book[at].len);
		p->book[at].out = false;
		p->popped++;
		n++;
	}
	assert_null(vio_ring_broken(p->r));
	return n;
}

/* Random work until so many buffers went round. */
static void pair_run(struct pair *p, uint64_t buffers)
{
	unsigned most = p->p.max_segs < p->p.size ? p->p.max_segs : p->p.size;

	while (p->popped < buffers) {
		unsigned burst = rng_below(&p->rng, 40) + 1;

		for (unsigned i = 0; i < burst; i++) {
			unsigned n = 1 + rng_below(&p->rng, most);
			unsigned nin = rng_below(&p->rng, n + 1);
			bool fits = vio_ring_fits(p->r, n);
			int err = pair_add(p, n - nin, nin, 1 + rng_below(&p->rng, 9000));

			assert_int_equal(err, fits ? VIO_OK : VIO_EAGAIN);
			if (err)
				break;
		}
		vio_ring_kick(p->r);
		pair_take(p);
		for (unsigned n = rng_below(&p->rng, p->nheld + 1); n > 0; n--)
			pair_give(p, rng_below(&p->rng, p->nheld));
		pair_pop(p);
		assert_int_equal(vio_ring_in_flight(p->r), p->nheld);
	}
}

static void pair_drain(struct pair *p)
{
	vio_ring_kick(p->r);
	pair_take(p);
	while (p->nheld)
		pair_give(p, 0);
	pair_pop(p);
	assert_int_equal(vio_ring_in_flight(p->r), 0);
	assert_int_equal(vio_ring_room(p->r), p->p.size);
	assert_true(p->added == p->popped);
	assert_int_equal(vio_ring_pop(p->r, &(struct vio_used){0}), 0);
}

static void test_every_size(void **state)
{
	(void)state;
	for (unsigned size = 1; size <= 32768; size *= 2) {
		for (unsigned form = 0; form < 8; form++) {
			struct pair *p = pair_new((uint16_t)size, form & 1, form & 2,
						  size > 4096 ? 4 : 8, form & 4);

			assert_int_equal(vio_ring_size(p->r), size);
			assert_int_equal(vio_ring_index(p->r), 1);
			pair_run(p, 300);
			pair_drain(p);
			pair_free(p);
		}
	}
}

/* 16-bit indices go round often: 5 x 65536 buffers through each kind of small ring. */
static void test_wraps(void **state)
{
	(void)state;
	for (unsigned form = 0; form < 4; form++) {
		struct pair *p = pair_new(form & 2 ? 64 : 8, form & 1, form & 2, 3, false);

		pair_run(p, 5 * 65536);
		pair_drain(p);
		pair_free(p);
	}
}

/* Completely full for more than one turn of the index, the largest ring included. */
static void test_full_ring(void **state)
{
	static const uint16_t sizes[] = {1, 2, 4, 256, 32768};

	(void)state;
	for (unsigned s = 0; s < COUNT(sizes); s++) {
		struct pair *p = pair_new(sizes[s], true, false, 1, false);
		unsigned rounds = 70000u / sizes[s] > 40 ? 40 : 70000u / sizes[s] + 1;

		for (unsigned round = 0; round < rounds; round++) {
			for (unsigned i = 0; i < sizes[s]; i++)
				assert_int_equal(pair_add(p, 0, 1, 64), VIO_OK);
			assert_int_equal(pair_add(p, 0, 1, 64), VIO_EAGAIN);
			assert_int_equal(pair_add(p, 1, 0, 64), VIO_EAGAIN);
			assert_false(vio_ring_fits(p->r, 1));
			vio_ring_kick(p->r);
			assert_int_equal(pair_take(p), sizes[s]);
			while (p->nheld)
				pair_give(p, p->nheld / 2);
			assert_true(vio_ring_more(p->r));
			assert_int_equal(pair_pop(p), sizes[s]);
			assert_false(vio_ring_more(p->r));
		}
		pair_drain(p);
		pair_free(p);
	}
}

static void test_segments(void **state)
{
	struct pair *p = pair_new(512, false, false, 500, false);
	struct pair *i = pair_new(512, false, true, 500, false);

	(void)state;
	assert_int_equal(pair_add(p, 250, 250, 4096), VIO_OK);
	assert_int_equal(vio_ring_room(p->r), 12);
	assert_int_equal(pair_add(p, 500, 0, 1), VIO_EAGAIN);
	assert_int_equal(pair_add(p, 501, 0, 1), VIO_EINVAL);
	assert_int_equal(pair_add(p, 6, 6, 1), VIO_OK);
	pair_drain(p);

	/* A table each: the ring takes as many as it has entries, of any length. */
	for (unsigned n = 0; n < 512; n++)
		assert_int_equal(pair_add(i, n % 400 + 1, n % 100, 100), VIO_OK);
	assert_int_equal(pair_add(i, 1, 0, 1), VIO_EAGAIN);
	pair_drain(i);
	pair_free(p);
	pair_free(i);
}

/* A table is used where it saves something, and when direct descriptors would not fit. */
static void test_indirect_choice(void **state)
{
	struct pair *p = pair_new(4, false, true, 4, false);
	struct dchain c;

	(void)state;
	p->no_gaps = true;
	assert_int_equal(pair_add(p, 1, 1, 8), VIO_OK);
	assert_int_equal(vio_ring_room(p->r), 2);
	assert_int_equal(pair_add(p, 2, 2, 8), VIO_OK);
	assert_int_equal(vio_ring_room(p->r), 1);
	assert_true(vio_ring_fits(p->r, 4));
	assert_int_equal(pair_add(p, 1, 1, 8), VIO_OK); /* two do not fit: a table */
	assert_false(vio_ring_fits(p->r, 1));
	vio_ring_kick(p->r);
	assert_true(dring_take(&p->d, &c) && !c.indirect && c.nout + c.nin == 2);
	assert_true(dring_take(&p->d, &c) && c.indirect && c.nout + c.nin == 4);
	assert_true(dring_take(&p->d, &c) && c.indirect && c.nout + c.nin == 2);
	vio_ring_destroy(p->r, false);
	assert_true(fake_fini(&p->f));
	free(p);
}

static void test_refused(void **state)
{
	struct pair *p = pair_new(8, false, false, 4, false);
	struct seg s = {.addr = 1, .len = 4}, none = {.addr = 1, .len = 0};
	struct seg big[2] = {{.addr = 1, .len = UINT32_MAX}, {.addr = 1, .len = 1}};
	struct vio_part back[2] = {{&s, 1, true}, {&s, 1, false}};
	struct vio_part empty = {&none, 1, false};
	struct vio_part huge = {big, 2, false}, most = {big, 1, true};
	struct vio_ring *r;
	static const uint16_t bad[] = {0, 3, 5, 6, 100, 257, 32769, 49152, 65535};

	(void)state;
	assert_int_equal(vio_ring_add(p->r, back, 2, &s), VIO_EINVAL); /* SQ-2 */
	assert_int_equal(vio_ring_add(p->r, &empty, 1, &s), VIO_EINVAL);
	assert_int_equal(vio_ring_add(p->r, back, 0, &s), VIO_EINVAL);
	assert_int_equal(vio_ring_add(p->r, &huge, 1, &s), VIO_EINVAL); /* SQ-4 */
	assert_int_equal(vio_ring_add(p->r, back, 1, NULL), VIO_EINVAL);
	assert_int_equal(vio_ring_room(p->r), 8);
	assert_false(vio_ring_kick(p->r));
	assert_int_equal(dring_available(&p->d), 0);
	assert_int_equal(vio_ring_add(p->r, &most, 1, &s), VIO_OK);
	assert_ptr_equal(vio_ring_reclaim(p->r), &s);

	for (unsigned i = 0; i < COUNT(bad); i++) {
		struct vio_ring_params q = p->p;

		q.size = bad[i];
		assert_int_equal(vio_ring_create(&r, &p->f.os, &p->f.t, &q), VIO_EINVAL);
		assert_null(r);
	}
	p->p.max_segs = 0;
	assert_int_equal(vio_ring_create(&r, &p->f.os, &p->f.t, &p->p), VIO_EINVAL);
	vio_ring_destroy(NULL, false);
	pair_free(p);
}

static void test_allocation_fails(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 4; n++) {
		struct vio_ring_params q = {
			.size = 16, .indirect = true, .max_segs = 8, .event_idx = true};
		struct vio_ring *r;
		struct fake f;

		fake_init(&f, false);
		f.fail_at = n;
		assert_int_equal(vio_ring_create(&r, &f.os, &f.t, &q), VIO_ENOMEM);
		assert_null(r);
		assert_true(f.live == 0 && f.live_dma == 0);
		assert_true(fake_fini(&f));
	}
}

/* 2.7.2: the legacy block, with the used ring on the next 4096; modern parts are aligned anew. */
static void test_layout(void **state)
{
	(void)state;
	for (unsigned size = 1; size <= 32768; size *= 2) {
		for (int legacy = 0; legacy < 2; legacy++) {
			struct pair *p = pair_new((uint16_t)size, true, false, 1, legacy);
			uint64_t avail = 16u * size, end = avail + 6 + 2u * size;
			struct vio_queue_layout l;

			vio_ring_layout(p->r, &l);
			assert_int_equal(l.size, size);
			assert_true(l.driver == l.desc + avail);
			if (legacy) {
				assert_true(l.desc % 4096 == 0);
				assert_true(l.device == l.desc + (end + 4095) / 4096 * 4096);
			} else {
				assert_true(l.device >= l.desc + end && l.device % 4 == 0);
			}
			assert_non_null(fake_mem(&p->f, l.device, 6 + 8u * size));
			pair_free(p);
		}
	}
}

/* SQ-18 .. SQ-23: notifications exactly where the device wants them. */
static void test_kick_flags(void **state)
{
	struct pair *p = pair_new(16, false, false, 2, false);

	(void)state;
	assert_false(vio_ring_kick(p->r)); /* nothing new */
	assert_int_equal(pair_add(p, 1, 0, 1), VIO_OK);
	assert_int_equal(dring_available(&p->d), 0); /* not before the kick */
	assert_true(vio_ring_kick(p->r));
	assert_false(vio_ring_kick(p->r));
	assert_int_equal(fake_count(&p->f, ACT_NOTIFY), 1);
	assert_int_equal(fake_nth(&p->f, ACT_NOTIFY, 0), 1); /* queue index */
	dring_notify(&p->d, false);
	assert_int_equal(pair_add(p, 1, 0, 1), VIO_OK);
	assert_false(vio_ring_kick(p->r));
	assert_int_equal(dring_available(&p->d), 2); /* visible all the same */
	dring_notify_at(&p->d, 1);		     /* SQ-18: means nothing here */
	assert_int_equal(pair_add(p, 1, 0, 1), VIO_OK);
	assert_false(vio_ring_kick(p->r));
	p->d.used->flags.raw = 0xfffe; /* only bit 0 counts */
	assert_int_equal(pair_add(p, 1, 0, 1), VIO_OK);
	assert_true(vio_ring_kick(p->r));
	assert_true(vio_ring_kicks(p->r) == 2);
	pair_drain(p);
	pair_free(p);
}

static void test_kick_event(void **state)
{
	(void)state;
	/* Every position of the event against every batch, around the wrap too. */
	for (unsigned start = 0; start < 2; start++) {
		struct pair *p = pair_new(16, true, false, 1, false);

		if (start)
			pair_run(p, 65530);
		pair_drain(p);
		p->d.used->flags.raw = 1; /* SQ-21: no meaning with EVENT_IDX */
		for (unsigned round = 0; round < 400; round++) {
			unsigned batch = 1 + round % 5;
			uint16_t old = p->d.seen;
			uint16_t event = (uint16_t)(old + rng_below(&p->rng, 9) - 3);
			/* SQ-22: the slot written last time it was asked for is among these. */
			bool wanted = (uint16_t)(event - old) < batch;

			dring_notify_at(&p->d, event);
			for (unsigned i = 0; i < batch; i++)
				assert_int_equal(pair_add(p, 1, 0, 1), VIO_OK);
			assert_int_equal(vio_ring_kick(p->r), wanted);
			pair_drain(p);
		}
		pair_free(p);
	}
}

/* SQ-12, SQ-13; and the second look that makes arming safe. */
static void test_irq(void **state)
{
	(void)state;
	for (int event_idx = 0; event_idx < 2; event_idx++) {
		struct pair *p = pair_new(16, event_idx, false, 1, false);

		if (event_idx)
			pair_run(p, 65529);
		pair_drain(p);
		assert_false(vio_ring_irq_on(p->r));
		for (unsigned round = 0; round < 40; round++) {
			for (int i = 0; i < 3; i++)
				assert_int_equal(pair_add(p, 1, 0, 1), VIO_OK);
			vio_ring_kick(p->r);
			pair_take(p);
			assert_false(vio_ring_irq_on(p->r));
			assert_true(pair_give(p, 0));
			vio_ring_irq_off(p->r);
			vio_ring_irq_off(p->r);
			assert_false(pair_give(p, 0));
			assert_int_equal(pair_pop(p), 2);
			/* Completed after the last look and before arming: seen by arming. */
			assert_false(pair_give(p, 0));
			assert_true(vio_ring_irq_on(p->r));
			assert_int_equal(pair_pop(p), 1);
			assert_false(vio_ring_irq_on(p->r));
			assert_true(dget16(&p->d.avail->flags) <= (event_idx ? 0 : 1));
		}
		pair_free(p);
	}
}

/* One interrupt for a batch, and none missed: whatever was in flight when it was armed. */
static void test_irq_delayed(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 64; n++) {
		struct pair *p = pair_new(64, true, false, 1, false);
		unsigned first = 0, count = 0;

		for (unsigned i = 0; i < n; i++)
			assert_int_equal(pair_add(p, 1, 0, 1), VIO_OK);
		vio_ring_kick(p->r);
		pair_take(p);
		assert_false(vio_ring_irq_delayed(p->r));
		for (unsigned i = 1; p->nheld; i++) {
			if (pair_give(p, 0)) {
				count++;
				first = i;
			}
		}
		assert_int_equal(count, 1);
		assert_in_range(first, (n + 1) / 2, n); /* about 3/4, never beyond the last */
		/* All is there: arming now says so. */
		assert_true(vio_ring_irq_delayed(p->r));
		pair_drain(p);
		pair_free(p);
	}
	/* Without EVENT_IDX it is the plain kind. */
	struct pair *p = pair_new(8, false, false, 1, false);

	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(pair_add(p, 1, 0, 1), VIO_OK);
	vio_ring_kick(p->r);
	pair_take(p);
	assert_false(vio_ring_irq_delayed(p->r));
	assert_true(pair_give(p, 3));
	assert_true(vio_ring_irq_delayed(p->r));
	pair_drain(p);
	pair_free(p);
}

static void test_reclaim(void **state)
{
	static bool back[65536];

	(void)state;
	for (unsigned form = 0; form < 4; form++) {
		struct pair *p = pair_new(128, form & 1, form & 2, 5, false);
		void *token;
		unsigned n = 0;

		pair_run(p, 3000);
		while (pair_add(p, 1, 1, 5) == VIO_OK)
			; /* some published, some taken, some neither */
		memset(back, 0, sizeof(back));
		assert_true(vio_ring_in_flight(p->r) > 0);
		while ((token = vio_ring_reclaim(p->r)) != NULL) {
			uint64_t serial = (uint64_t)(uintptr_t)token - 1;

			assert_true(p->book[serial % COUNT(p->book)].out);
			assert_false(back[serial % COUNT(back)]);
			back[serial % COUNT(back)] = true;
			n++;
		}
		assert_int_equal(n, p->added - p->popped);
		assert_int_equal(vio_ring_in_flight(p->r), 0);
		assert_int_equal(vio_ring_room(p->r), 128);
		assert_null(vio_ring_reclaim(p->r));

		/* Cleared it is as new, and the memory is the same. */
		vio_ring_clear(p->r);
		memset(p->book, 0, sizeof(p->book));
		p->nheld = 0;
		p->added = p->popped = 0;
		dring_init(&p->d, &p->f, p->r, form & 1);
		assert_int_equal(dring_available(&p->d), 0);
		pair_run(p, 3000);
		pair_drain(p);
		pair_free(p);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_every_size),
	cmocka_unit_test(test_wraps),
	cmocka_unit_test(test_full_ring),
	cmocka_unit_test(test_segments),
	cmocka_unit_test(test_indirect_choice),
	cmocka_unit_test(test_refused),
	cmocka_unit_test(test_allocation_fails),
	cmocka_unit_test(test_layout),
	cmocka_unit_test(test_kick_flags),
	cmocka_unit_test(test_kick_event),
	cmocka_unit_test(test_irq),
	cmocka_unit_test(test_irq_delayed),
	cmocka_unit_test(test_reclaim),
};

UNIT_MAIN(120, tests)
