/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/mac/mac_noise.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BURST	    8u
#define FRAME_MAX   1514u
#define WAIT_MS	    20000u
#define AHEAD	    64u /* frames on their way out */
#define AHEAD_WAITS 50u

static const uint8_t far_end[6] = {0x52, 0x54, 0, 0x99, 0x99, 0x99};

static void pause_us(long us)
{
	const struct timespec ts = {.tv_nsec = us * 1000};

	(void)nanosleep(&ts, NULL);
}

static struct mac_if *interface(struct mac_noise *n)
{
	return __atomic_load_n(&n->ifp, __ATOMIC_ACQUIRE);
}

static bool stopped(struct mac_noise *n)
{
	return __atomic_load_n(&n->stop, __ATOMIC_ACQUIRE);
}

/*
 * No more ahead of the device than a queue is long. A sender without end that is faster than the
 * device keeps the output queue busy for ever, and the gate closed: as on a Mac, but no stack is
 * like that. What is lost when an interface goes is given up after a while.
 */
static bool ahead(struct mac_noise *n, uint64_t *lost, unsigned *waited)
{
	uint64_t out = __atomic_load_n(&n->taken, __ATOMIC_ACQUIRE) + *lost;

	if (!n->model || n->sent < out + AHEAD) {
		*waited = 0;
		return false;
	}
	if (++*waited == AHEAD_WAITS) {
		*lost += n->sent - out;
		*waited = 0;
	}
	pause_us(100);
	return true;
}

static void *noise_out(void *arg)
{
	struct mac_noise *n = arg;
	uint64_t lost = 0;
	unsigned waited = 0;
	uint8_t frame[FRAME_MAX];
	struct mac_if_state state;

	for (unsigned i = 0; !stopped(n); i++) {
		struct seg seg = {.ptr = frame};
		const struct mac_send send = {.segs = &seg, .nsegs = 1};

		while (!stopped(n) && ahead(n, &lost, &waited))
			continue;
		if (i % BURST == 0)
			pause_us(100);
		mac_if_state(interface(n), &state);
		seg.len = (uint32_t)mac_rig_frame(frame, far_end, state.mac, 46 + i * 61 % 1454, i);
		/* It may be down, asleep, or gone: that is an error, and nothing else. */
		if (mac_if_send(interface(n), &send) == 0)
			__atomic_add_fetch(&n->sent, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void *noise_in(void *arg)
{
	struct mac_noise *n = arg;
	struct board_model *m = &n->rig->model[0];
	uint8_t frame[FRAME_MAX];
	struct mac_if_state state;
	struct board_frame out;

	for (unsigned i = 0; !stopped(n); i++) {
		size_t len;

		if (i % BURST == 0)
			pause_us(100);
		mac_if_state(interface(n), &state);
		len = mac_rig_frame(frame, state.mac, far_end, 46 + i * 61 % 1454, i);
		if (board_model_send(m, NULL, frame, len, false) == MODEL_RX_OK)
			__atomic_add_fetch(&n->received, 1, __ATOMIC_RELEASE);
		while (board_model_take(m, &out, 0)) {
			free(out.data);
			__atomic_add_fetch(&n->taken, 1, __ATOMIC_RELEASE);
		}
		if (i % 64 == 0)
			mac_rig_flush(n->rig);
	}
	return NULL;
}

void mac_noise_start(struct mac_noise *n, struct mac_rig *r)
{
	memset(n, 0, sizeof(*n));
	n->rig = r;
	n->model = !r->qemu;
	mac_noise_moved(n);
	CHECK(pthread_create(&n->out, NULL, noise_out, n) == 0);
	if (n->model)
		CHECK(pthread_create(&n->in, NULL, noise_in, n) == 0);
}

void mac_noise_moved(struct mac_noise *n)
{
	__atomic_store_n(&n->ifp, n->rig->ifp[0], __ATOMIC_RELEASE);
}

struct target {
	struct mac_noise *n;
	uint64_t sent, received;
};

static bool reached(void *arg)
{
	const struct target *t = arg;

	return __atomic_load_n(&t->n->sent, __ATOMIC_ACQUIRE) >= t->sent &&
	       (!t->n->model || __atomic_load_n(&t->n->received, __ATOMIC_ACQUIRE) >= t->received);
}

void mac_noise_wait(struct mac_noise *n, unsigned frames)
{
	struct target t = {n, __atomic_load_n(&n->sent, __ATOMIC_ACQUIRE) + frames,
			   __atomic_load_n(&n->received, __ATOMIC_ACQUIRE) + frames};

	CHECK_MSG(mac_rig_wait(reached, &t, WAIT_MS),
		  "%llu frames went out and %llu came in, %u more of each were to",
		  (unsigned long long)n->sent, (unsigned long long)n->received, frames);
}

void mac_noise_stop(struct mac_noise *n)
{
	__atomic_store_n(&n->stop, true, __ATOMIC_RELEASE);
	CHECK(pthread_join(n->out, NULL) == 0);
	if (n->model)
		CHECK(pthread_join(n->in, NULL) == 0);
	mac_rig_flush(n->rig);
}
