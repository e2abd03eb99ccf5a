/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/seg.h"

#include "common/cksum.h"

size_t seg_total(const struct seg *segs, size_t nsegs)
{
	size_t sum = 0;

	for (size_t i = 0; i < nsegs; i++) {
		if (segs[i].len > SIZE_MAX - sum)
			return SIZE_MAX;
		sum += segs[i].len;
	}
	return sum;
}

/* A position in the list: segment i, byte off of it. */
struct seg_pos {
	size_t i;
	size_t off;
};

/* Finds off; false unless n bytes follow it. */
static bool seg_seek(const struct seg *segs, size_t nsegs, size_t off, size_t n,
		     struct seg_pos *pos)
{
	size_t i = 0;

	while (i < nsegs && off >= segs[i].len)
		off -= segs[i++].len;
	*pos = (struct seg_pos){i, off};
	if (i == nsegs)
		return off == 0 && n == 0;

	for (size_t have = segs[i].len - off; have < n; have = segs[i].len) {
		n -= have;
		if (++i == nsegs)
			return false;
	}
	return true;
}

bool seg_read(const struct seg *segs, size_t nsegs, size_t off, void *dst, size_t n)
{
	struct seg_pos at;
	uint8_t *out = dst;

	if (!seg_seek(segs, nsegs, off, n, &at))
		return false;
	while (n) {
		size_t here = segs[at.i].len - at.off;

		if (here > n)
			here = n;
		__builtin_memcpy(out, segs[at.i].ptr + at.off, here);
		out += here;
		n -= here;
		at = (struct seg_pos){at.i + 1, 0};
	}
	return true;
}

bool seg_write(const struct seg *segs, size_t nsegs, size_t off, const void *src, size_t n)
{
	struct seg_pos at;
	const uint8_t *in = src;

	if (!seg_seek(segs, nsegs, off, n, &at))
		return false;
	while (n) {
		size_t here = segs[at.i].len - at.off;

		if (here > n)
			here = n;
		__builtin_memcpy(segs[at.i].ptr + at.off, in, here);
		in += here;
		n -= here;
		at = (struct seg_pos){at.i + 1, 0};
	}
	return true;
}

bool seg_cksum(const struct seg *segs, size_t nsegs, size_t off, size_t n, uint32_t *sum)
{
	struct seg_pos at;
	bool odd = false;

	if (!seg_seek(segs, nsegs, off, n, &at))
		return false;
	while (n) {
		size_t here = segs[at.i].len - at.off;
		uint16_t part;

		if (here > n)
			here = n;
		part = cksum_fold(cksum_add(0, segs[at.i].ptr + at.off, here));
		/* A stretch that begins at an odd offset has its bytes in the other halves. */
		*sum = cksum_fold(*sum) + (uint32_t)(odd ? __builtin_bswap16(part) : part);
		odd ^= here & 1;
		n -= here;
		at = (struct seg_pos){at.i + 1, 0};
	}
	return true;
}
