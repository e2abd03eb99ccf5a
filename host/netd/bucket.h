/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A token bucket that may go into debt.
 *
 * It fills at `rate` bits a second up to `burst` bytes. Whoever has sent takes what he sent, also
 * when that is more than there was, and then waits until the level is above zero again. So nothing
 * has to be cut to fit, and over time the rate is exact: what was too much once is waited for.
 *
 * The unit inside is a bit times a nanosecond, so that no division rounds anything away.
 */
#ifndef NETD_BUCKET_H
#define NETD_BUCKET_H

#include <stdint.h>

#define BUCKET_RATE_MAX	 UINT64_C(1000000000000) /* bits a second; more is taken as this */
#define BUCKET_BURST_MAX (UINT32_C(1) << 29)	 /* bytes; more is taken as this */

struct bucket {
	uint64_t rate;
	int64_t cap, level; /* bit * ns */
	uint64_t at;	    /* ns: the level is that of then */
};

/* Full at the beginning. A rate of 0 is taken as 1. */
void bucket_init(struct bucket *b, uint64_t rate_bps, uint32_t burst, uint64_t now_ns);
/* Whole bytes that are there now; negative: debt. A clock that steps back adds nothing. */
int64_t bucket_level(struct bucket *b, uint64_t now_ns);
/* At most BUCKET_BURST_MAX at a time. */
void bucket_take(struct bucket *b, uint32_t bytes);
/* Nanoseconds from the last bucket_level() until so many bytes (at most `burst`) are there. */
uint64_t bucket_wait(const struct bucket *b, uint32_t bytes);

#endif
