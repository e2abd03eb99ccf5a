/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lanes (host/lane/lane.h): both ends in one process, between two processes, and against an other
 * side that lies. `LANE_SEED=N` repeats a random run.
 */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/lane/lane.h"

#define WAIT_MS 20000

struct ends {
	struct lane w, r;
	int wbell, rbell; /* what wakes the writer, and the reader */
	uint64_t seed;
};

static uint32_t random32(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33);
}

static uint64_t first_seed(void)
{
	const char *text = getenv("LANE_SEED");
	uint64_t seed = (unsigned)getpid();

	if (text)
		seed = strtoull(text, NULL, 0);
	printf("LANE_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

static int setup(void **state)
{
	struct ends *e = calloc(1, sizeof(*e));
	int memory = lane_memory(1);

	e->wbell = lane_bell();
	e->rbell = lane_bell();
	if (memory < 0 || !lane_map(&e->w, memory, 0, e->rbell) ||
	    !lane_map(&e->r, memory, 0, e->wbell))
		return -1;
	close(memory);
	e->seed = first_seed();
	*state = e;
	return 0;
}

static int teardown(void **state)
{
	struct ends *e = *state;

	lane_unmap(&e->w);
	lane_unmap(&e->r);
	close(e->wbell);
	close(e->rbell);
	free(e);
	return 0;
}

static bool rang(int bell, int wait_ms)
{
	struct pollfd p = {.fd = bell, .events = POLLIN};

	if (poll(&p, 1, wait_ms) != 1)
		return false;
	lane_heard(bell);
	return true;
}

static void fill(uint8_t *at, uint32_t len, uint32_t number)
{
	for (uint32_t i = 0; i < len; i++)
		at[i] = (uint8_t)(number * 31 + i * 7 + (i >> 8));
}

static bool filled(const uint8_t *at, uint32_t len, uint32_t number)
{
	for (uint32_t i = 0; i < len; i++)
		if (at[i] != (uint8_t)(number * 31 + i * 7 + (i >> 8)))
			return false;
	return true;
}

static bool put(struct lane *w, uint32_t len, uint32_t number)
{
	uint8_t *at = lane_room(w, len);

	if (at)
		fill(at, len, number);
	return at;
}

static void get(struct lane *r, uint32_t len, uint32_t number)
{
	uint32_t n = 0;
	const uint8_t *at = lane_next(r, &n);

	assert_non_null(at);
	assert_int_equal(n, len);
	assert_true(filled(at, n, number));
}

static void test_order(void **state)
{
	struct ends *e = *state;
	uint32_t len;

	assert_null(lane_next(&e->r, &len));
	assert_true(put(&e->w, 1, 1));
	assert_true(put(&e->w, 1514, 2));
	assert_true(put(&e->w, LANE_FRAME_MAX, 3));
	assert_null(lane_room(&e->w, LANE_FRAME_MAX + 1));
	assert_null(lane_next(&e->r, &len)); /* not told yet */
	assert_true(lane_untold(&e->w) > 1 + 1514 + LANE_FRAME_MAX);
	lane_tell(&e->w);
	assert_int_equal(lane_untold(&e->w), 0);
	get(&e->r, 1, 1);
	get(&e->r, 1514, 2);
	get(&e->r, LANE_FRAME_MAX, 3);
	assert_null(lane_next(&e->r, &len));
	assert_true(lane_used(&e->w) > 1 + 1514 + LANE_FRAME_MAX);
	lane_release(&e->r);
	assert_int_equal(lane_used(&e->w), 0);
	assert_false(e->r.broken);
}

/* As full as it gets, several times round; what has no room leaves no trace. */
static void test_full(void **state)
{
	struct ends *e = *state;
	uint32_t in = 0, out = 0, len;

	for (unsigned round = 0; round < 5; round++) {
		uint32_t from = in;

		while (put(&e->w, 1000 + in % 3, in))
			in++;
		assert_in_range(in - from, LANE_SIZE / 1012, LANE_SIZE / 1000);
		assert_false(put(&e->w, LANE_FRAME_MAX, 0));
		lane_tell(&e->w);
		/* All but some, so that it never starts over. */
		for (uint32_t keep = in - 10; out < keep; out++)
			get(&e->r, 1000 + out % 3, out);
		lane_release(&e->r);
	}
	for (; out < in; out++)
		get(&e->r, 1000 + out % 3, out);
	assert_null(lane_next(&e->r, &len));
	lane_release(&e->r);
	assert_int_equal(lane_used(&e->w), 0);
}

/* A reader that keeps up: only the beginning of the memory is ever used. */
static void test_starts_over(void **state)
{
	struct ends *e = *state;
	const uint8_t *most = e->r.data;
	uint32_t len, bursts = 0;

	for (unsigned i = 0; i < 20000; i++) {
		const uint8_t *at;

		assert_true(put(&e->w, 1500, i));
		lane_tell(&e->w);
		at = lane_next(&e->r, &len);
		assert_true(at && filled(at, len, i));
		most = at + len > most ? at + len : most;
		lane_release(&e->r);
	}
	assert_true(most <= e->r.data + LANE_HOT + 2 * 1504);
	/* Just started over, and the reader sleeps: there is room for all of the lane. */
	while (e->w.at % LANE_SIZE < LANE_HOT) {
		put(&e->w, 1500, 0);
		lane_tell(&e->w);
		get(&e->r, 1500, 0);
		lane_release(&e->r);
	}
	while (put(&e->w, 1500, bursts))
		bursts++;
	assert_true(bursts >= LANE_SIZE / 1504 - 1);
	lane_tell(&e->w);
	for (uint32_t i = 0; i < bursts; i++)
		get(&e->r, 1500, i);
	assert_null(lane_next(&e->r, &len));
	assert_false(e->r.broken);
}

static void test_bells(void **state)
{
	struct ends *e = *state;
	uint32_t len;

	put(&e->w, 60, 0);
	lane_tell(&e->w);
	assert_false(rang(e->rbell, 0)); /* it is awake */
	assert_false(lane_sleep(&e->r)); /* there is something */
	get(&e->r, 60, 0);
	lane_release(&e->r);
	assert_true(lane_sleep(&e->r));
	put(&e->w, 60, 1);
	assert_false(rang(e->rbell, 0));
	lane_tell(&e->w);
	assert_true(rang(e->rbell, 0));
	put(&e->w, 60, 2);
	lane_tell(&e->w);
	assert_false(rang(e->rbell, 0)); /* once is enough */
	get(&e->r, 60, 1);
	get(&e->r, 60, 2);
	assert_true(lane_sleep(&e->r));
	lane_wake(&e->r);
	put(&e->w, 60, 3);
	lane_tell(&e->w);
	assert_false(rang(e->rbell, 0));
	get(&e->r, 60, 3);
	lane_release(&e->r);

	assert_false(lane_wait(&e->w, 100));
	while (put(&e->w, 1500, 0))
		;
	lane_tell(&e->w);
	assert_true(lane_wait(&e->w, LANE_SIZE / 2));
	assert_non_null(lane_next(&e->r, &len));
	assert_false(rang(e->wbell, 0));
	lane_release(&e->r);
	assert_true(rang(e->wbell, 0));
	assert_true(lane_wait(&e->w, LANE_SIZE / 2)); /* still above */
	while (lane_next(&e->r, &len))
		;
	lane_release(&e->r);
	assert_true(rang(e->wbell, 0));
	assert_false(lane_wait(&e->w, LANE_SIZE / 2));
}

/* The memory's size is for good, whoever has the descriptor. */
static void test_sealed(void **state)
{
	int memory = lane_memory(1);

	(void)state;
	assert_true(memory >= 0);
	assert_int_equal(ftruncate(memory, 4096), -1);
	assert_int_equal(ftruncate(memory, 1 << 30), -1);
	assert_int_equal(fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE), -1);
	close(memory);
}

/* ---- two processes ---- */

static void write_all(struct ends *e, uint32_t frames)
{
	uint64_t seed = e->seed;

	for (uint32_t i = 0; i < frames; i++) {
		uint32_t len = 1 + random32(&seed) % (i % 100 ? 1600 : LANE_FRAME_MAX);

		while (!put(&e->w, len, i)) {
			lane_tell(&e->w);
			if (lane_wait(&e->w, LANE_SIZE / 2) && !rang(e->wbell, WAIT_MS))
				_exit(3);
		}
		if (random32(&seed) % 8 == 0)
			lane_tell(&e->w);
		if (random32(&seed) % 4096 == 0)
			usleep(200);
	}
	lane_tell(&e->w);
	_exit(0);
}

static void test_processes(void **state)
{
	struct ends *e = *state;
	uint64_t seed = e->seed, own = e->seed ^ 1;
	const uint32_t frames = 60000;
	int status;
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		write_all(e, frames);
	}
	for (uint32_t i = 0; i < frames;) {
		uint32_t len, want;
		const uint8_t *at = lane_next(&e->r, &len);

		if (!at) {
			assert_false(e->r.broken);
			lane_release(&e->r);
			if (lane_sleep(&e->r) && !rang(e->rbell, WAIT_MS))
				fail_msg("not woken after frame %u", i);
			lane_wake(&e->r);
			continue;
		}
		want = 1 + random32(&seed) % (i % 100 ? 1600 : LANE_FRAME_MAX);
		/* The writer drew two more. */
		random32(&seed);
		random32(&seed);
		assert_int_equal(len, want);
		assert_true(filled(at, len, i));
		if (random32(&own) % 16 == 0)
			lane_release(&e->r);
		i++;
	}
	lane_release(&e->r);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* ---- the other side lies ---- */

/* Whatever is in the memory: what the reader gets lies in the lane, or the lane is broken. */
static void test_hostile_writer(void **state)
{
	struct ends *e = *state;
	uint64_t *positions = (uint64_t *)(void *)e->w.shared;
	uint32_t got = 0, broken = 0;

	for (unsigned i = 0; i < 300000; i++) {
		const uint8_t *at;
		uint32_t len;

		switch (random32(&e->seed) % 8) {
		case 0:
			positions[random32(&e->seed) % 32] = random32(&e->seed) * 4ull;
			break;
		case 1:
			positions[random32(&e->seed) % 32] =
				e->r.at + random32(&e->seed) % LANE_SIZE;
			break;
		case 2:
			len = random32(&e->seed) % 4 ? random32(&e->seed) % 3000
						     : random32(&e->seed);
			memcpy(e->w.data + e->r.at % LANE_SIZE, &len, 4);
			break;
		default:
			e->w.at = e->r.at;
			e->w.other = e->r.at;
			if (put(&e->w, 1 + random32(&e->seed) % 2000, i))
				lane_tell(&e->w);
		}
		for (unsigned k = 0; k < 4 && (at = lane_next(&e->r, &len)); k++, got++) {
			assert_in_range(len, 1, LANE_FRAME_MAX);
			assert_true(lane_holds(&e->r, at) && lane_holds(&e->r, at + len - 1));
		}
		lane_release(&e->r);
		lane_sleep(&e->r);
		if (e->r.broken) {
			assert_null(lane_next(&e->r, &len));
			e->r.broken = false;
			e->r.other = e->r.at = e->r.at & ~3ull;
			broken++;
		}
	}
	assert_true(got > 1000 && broken > 1000);
}

/* A reader's lies are about room: the writer stays in the lane. */
static void test_hostile_reader(void **state)
{
	struct ends *e = *state;
	uint64_t *positions = (uint64_t *)(void *)e->r.shared;
	uint32_t refused = 0;

	for (unsigned i = 0; i < 300000; i++) {
		uint32_t len = 1 + random32(&e->seed) % LANE_FRAME_MAX;
		uint8_t *at;

		if (random32(&e->seed) % 2)
			positions[random32(&e->seed) % 32] =
				random32(&e->seed) % 2 ? random32(&e->seed) : e->w.at;
		at = lane_room(&e->w, len);
		if (at) {
			assert_true(lane_holds(&e->w, at) && lane_holds(&e->w, at + len - 1));
			at[0] = at[len - 1] = 1;
		} else {
			refused++;
		}
		if (random32(&e->seed) % 4 == 0)
			lane_tell(&e->w);
		assert_true(lane_used(&e->w) <= LANE_SIZE);
	}
	assert_true(refused > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_starts_over, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bells, setup, teardown),
		cmocka_unit_test(test_sealed),
		cmocka_unit_test_setup_teardown(test_processes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_writer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_reader, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
