/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/netd/bucket.h"

#define NS    INT64_C(1000000000)
#define BYTE  (8 * NS)
#define FLOOR (INT64_MIN / 2)

void bucket_init(struct bucket *b, uint64_t rate_bps, uint32_t burst, uint64_t now_ns)
{
	if (rate_bps > BUCKET_RATE_MAX)
		rate_bps = BUCKET_RATE_MAX;
	if (burst > BUCKET_BURST_MAX)
		burst = BUCKET_BURST_MAX;
	b->rate = rate_bps ? rate_bps : 1;
	b->cap = (int64_t)burst * BYTE;
	b->level = b->cap;
	b->at = now_ns;
}

int64_t bucket_level(struct bucket *b, uint64_t now_ns)
{
	if (now_ns > b->at) {
		uint64_t missing = (uint64_t)b->cap - (uint64_t)b->level;
		uint64_t elapsed = now_ns - b->at;

		if (elapsed > missing / b->rate)
			b->level = b->cap;
		else
			b->level += (int64_t)(elapsed * b->rate);
		b->at = now_ns;
	}
	return b->level >= 0 ? b->level / BYTE : -((-b->level + BYTE - 1) / BYTE);
}

void bucket_take(struct bucket *b, uint32_t bytes)
{
	int64_t taken = (int64_t)(bytes < BUCKET_BURST_MAX ? bytes : BUCKET_BURST_MAX) * BYTE;

	b->level = b->level < FLOOR + taken ? FLOOR : b->level - taken;
}

uint64_t bucket_wait(const struct bucket *b, uint32_t bytes)
{
	int64_t want = (int64_t)(bytes < BUCKET_BURST_MAX ? bytes : BUCKET_BURST_MAX) * BYTE;

	if (want > b->cap)
		want = b->cap;
	if (b->level >= want)
		return 0;
	return ((uint64_t)want - (uint64_t)b->level - 1) / b->rate + 1;
}
