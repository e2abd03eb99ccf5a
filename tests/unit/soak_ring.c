/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A driver thread and a device thread on one ring, with nothing between them but the ring's own
 * barriers (F-5). Each buffer is one word of memory that is written by one side and read by the
 * other, so that a missing barrier shows as a wrong word, or as a race under TSan. Both sides sleep
 * when they have nothing to do and are woken by notification and interrupt alone: a lost wake-up
 * stops the test, and the alarm ends it.
 *
 *     unit-soak-ring [--buffers N] [--seed S]
 *
 * TSan does not know fences, which the ring is built on; where they order something it is told so,
 * and watches everything else.
 */
#include <pthread.h>
#include <semaphore.h>

#include "tests/unit/cm.h"
#include "tests/unit/fake.h"

#define SIZE 64u

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SOAK_TSAN
#endif
#elif defined(__SANITIZE_THREAD__)
#define SOAK_TSAN
#endif

#ifdef SOAK_TSAN
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
#else
#define __tsan_acquire(addr) ((void)(addr))
#define __tsan_release(addr) ((void)(addr))
#endif

struct soak {
	struct fake f;
	struct vio_ring *r;
	struct dring d;
	bool event_idx;
	uint64_t buffers;
	sem_t notified, interrupted;
	struct rng drng; /* the device's */
	uint32_t words[SIZE][2];
	uint64_t kicks, irqs;
};

static struct soak soak;

static void soak_notify(struct vio_transport *t, uint16_t q)
{
	(void)t;
	(void)q;
	sem_post(&soak.notified);
}

static void die(const char *what, uint64_t a, uint64_t b)
{
	printf("%s: %llu, %llu\n", what, (unsigned long long)a, (unsigned long long)b);
	exit(1);
}

/* ---- device ---- */

static uint16_t load_acquire(const vio16 *p)
{
	return __atomic_load_n(&p->raw, __ATOMIC_ACQUIRE);
}

static void device_wait(struct soak *s)
{
	struct dring *d = &s->d;

	if (s->event_idx)
		dring_notify_at(d, d->seen);
	else
		dring_notify(d, true);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (load_acquire(&d->avail->idx) == d->seen) {
		sem_wait(&s->notified);
		s->kicks++;
	}
	if (!s->event_idx)
		dring_notify(d, false);
}

/* Descriptor fields are plain memory for the driver: published by its index, read after it. */
static void device_one(struct soak *s, uint16_t head)
{
	const struct vring_desc *desc = &s->d.desc[head];
	uint32_t *word = (uint32_t *)(uintptr_t)desc->addr.raw; /* NOLINT */

	if (desc->len.raw == 4) {
		word[1] = word[0] * 2654435761u; /* out segment, then the answer behind it */
		return;
	}
	die("descriptor", head, desc->len.raw);
}

static void *device(void *arg)
{
	struct soak *s = arg;
	struct dring *d = &s->d;
	uint16_t held[SIZE];
	unsigned nheld = 0;
	uint64_t done = 0;

	while (done < s->buffers) {
		uint16_t idx = load_acquire(&d->avail->idx), old = d->used_idx;
		unsigned give;

		while (d->seen != idx)
			held[nheld++] = dget16(&d->avail->ring[d->seen++ % SIZE]);
		if (nheld == 0) {
			device_wait(s);
			continue;
		}
		/* Some of them, in any order. */
		give = 1 + rng_below(&s->drng, nheld);
		for (unsigned n = 0; n < give; n++) {
			unsigned i = rng_below(&s->drng, nheld);
			struct vring_used_elem *e = &d->used->ring[d->used_idx % SIZE];

			device_one(s, held[i]);
			__atomic_store_n(&e->id.raw, held[i], __ATOMIC_RELAXED);
			__atomic_store_n(&e->len.raw, 4, __ATOMIC_RELAXED);
			held[i] = held[--nheld];
			d->used_idx++;
			__atomic_store_n(&d->used->idx.raw, d->used_idx, __ATOMIC_RELEASE);
		}
		done += give;
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (dring_wants_irq(d, old, d->used_idx)) {
			s->irqs++;
			sem_post(&s->interrupted);
		}
	}
	return NULL;
}

/* ---- driver ---- */

static void driver_pop(struct soak *s, uint64_t *popped, unsigned *nfree, uint8_t *free_words)
{
	struct vio_used u;
	int got;

	while ((got = vio_ring_pop(s->r, &u)) == 1) {
		uint32_t *word = u.token;

		__tsan_acquire(&s->d.used->idx);
		if (word[1] != word[0] * 2654435761u)
			die("answer", word[0], word[1]);
		if (u.len != 4)
			die("length", u.len, 4);
		word[0] = 0;
		free_words[(*nfree)++] = (uint8_t)((word - s->words[0]) / 2);
		(*popped)++;
	}
	if (got < 0) {
		printf("%s\n", vio_ring_broken(s->r));
		exit(1);
	}
}

static void driver(struct soak *s, uint64_t seed)
{
	struct rng rng = {seed | 1};
	uint64_t added = 0, popped = 0;
	uint8_t free_words[SIZE];
	unsigned nfree = SIZE / 2; /* two descriptors each */

	for (unsigned i = 0; i < nfree; i++)
		free_words[i] = (uint8_t)i;
	vio_ring_irq_off(s->r);
	while (popped < s->buffers) {
		unsigned burst = 1 + rng_below(&rng, 8);

		while (burst-- && nfree && added < s->buffers) {
			uint32_t *word = s->words[free_words[nfree - 1]];
			struct seg out = {.addr = (uintptr_t)word, .len = 4};
			struct seg in = {.addr = (uintptr_t)(word + 1), .len = 4};
			struct vio_part parts[2] = {{&out, 1, false}, {&in, 1, true}};

			word[0] = (uint32_t)added + 1;
			if (vio_ring_add(s->r, parts, 2, word) != VIO_OK)
				break;
			nfree--;
			added++;
		}
		__tsan_release(&s->d.avail->idx);
		vio_ring_kick(s->r);
		driver_pop(s, &popped, &nfree, free_words);
		if (popped == s->buffers || (nfree && added < s->buffers))
			continue;
		/* Full, or all is sent: sleep until the device says something. */
		if (rng_below(&rng, 2) ? vio_ring_irq_on(s->r) : vio_ring_irq_delayed(s->r))
			continue;
		sem_wait(&s->interrupted);
		vio_ring_irq_off(s->r);
	}
	if (vio_ring_in_flight(s->r))
		die("in flight", vio_ring_in_flight(s->r), 0);
}

static void run(bool event_idx, uint64_t buffers, uint64_t seed)
{
	struct vio_ring_params p = {.size = SIZE, .max_segs = 2, .event_idx = event_idx};
	struct vio_transport_ops ops;
	struct soak *s = &soak;
	pthread_t thread;

	memset(s, 0, sizeof(*s));
	fake_init(&s->f, false);
	ops = *s->f.t.ops;
	ops.notify = soak_notify;
	s->f.t.ops = &ops;
	s->event_idx = event_idx;
	s->buffers = buffers;
	s->drng.s = seed * 3 + 1;
	sem_init(&s->notified, 0, 0);
	sem_init(&s->interrupted, 0, 0);
	if (vio_ring_create(&s->r, &s->f.os, &s->f.t, &p) != VIO_OK)
		die("create", 0, 0);
	dring_init(&s->d, &s->f, s->r, event_idx);

	pthread_create(&thread, NULL, device, s);
	driver(s, seed);
	pthread_join(thread, NULL);
	printf("ok - %s: %llu buffers, %llu notifications, %llu interrupts\n",
	       event_idx ? "event index" : "flags", (unsigned long long)buffers,
	       (unsigned long long)vio_ring_kicks(s->r), (unsigned long long)s->irqs);
	vio_ring_destroy(s->r, false);
	if (!fake_fini(&s->f))
		die("leak", s->f.live, s->f.live_dma);
	sem_destroy(&s->notified);
	sem_destroy(&s->interrupted);
}

int main(int argc, char **argv)
{
	uint64_t buffers = 2000000, seed = 1;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--buffers"))
			buffers = strtoull(argv[i + 1], NULL, 0);
		else if (!strcmp(argv[i], "--seed"))
			seed = strtoull(argv[i + 1], NULL, 0);
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	alarm((unsigned)(60 + buffers / 20000));
	run(true, buffers / 2, seed);
	run(false, buffers / 2, seed + 1);
	return 0;
}
