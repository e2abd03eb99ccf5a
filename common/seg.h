/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scattered memory: a packet or buffer as a list of segments.
 *
 * A segment names one stretch of memory twice: where the CPU sees it (ptr) and where the device
 * sees it (addr). Whoever fills in a segment owns that pairing; code here never computes one from
 * the other. The functions below are the bounded view over a list of segments: offsets count from
 * the first byte of the list, and nothing is touched unless all of [off, off + n) is there.
 */
#ifndef COMMON_SEG_H
#define COMMON_SEG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct seg {
	uint8_t *ptr;  /* CPU's view; may be NULL where only the device looks inside */
	uint64_t addr; /* device's view */
	uint32_t len;  /* bytes; 0 is allowed and skipped */
};

/* Sum of the lengths. A sum above SIZE_MAX is reported as SIZE_MAX. */
size_t seg_total(const struct seg *segs, size_t nsegs);

/* Copy n bytes at off out of / into the list. False (and nothing done) if they are not all there.
 */
bool seg_read(const struct seg *segs, size_t nsegs, size_t off, void *dst, size_t n);
bool seg_write(const struct seg *segs, size_t nsegs, size_t off, const void *src, size_t n);

/*
 * Internet checksum (RFC 1071) of n bytes at off, added to the unfolded sum *sum; pairs are formed
 * from off on, wherever segments are split. False if the bytes are not all there.
 */
bool seg_cksum(const struct seg *segs, size_t nsegs, size_t off, size_t n, uint32_t *sum);

#endif
