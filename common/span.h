/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bounded view: the only way bytes from the other side are read.
 *
 * A span is a pointer and a length that travel together. Readers take an offset and answer false
 * when the field is not wholly inside; nothing is read then and the output is left alone. Bounds
 * are written as `len - off >= n` after `off <= len`, so no sum can wrap (H-18).
 */
#ifndef COMMON_SPAN_H
#define COMMON_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
	const uint8_t *data;
	size_t len;
};

static inline struct span span_of(const void *data, size_t len)
{
	return (struct span){(const uint8_t *)data, len};
}

/* Whether [off, off + n) lies inside a range of len bytes. */
static inline bool span_fits(size_t len, size_t off, size_t n)
{
	return off <= len && len - off >= n;
}

static inline bool span_sub(struct span s, size_t off, size_t n, struct span *out)
{
	if (!span_fits(s.len, off, n))
		return false;
	*out = (struct span){s.data + off, n};
	return true;
}

/* All that is left from off on. */
static inline bool span_from(struct span s, size_t off, struct span *out)
{
	if (off > s.len)
		return false;
	*out = (struct span){s.data + off, s.len - off};
	return true;
}

static inline bool span_u8(struct span s, size_t off, uint8_t *out)
{
	if (!span_fits(s.len, off, 1))
		return false;
	*out = s.data[off];
	return true;
}

static inline bool span_be16(struct span s, size_t off, uint16_t *out)
{
	if (!span_fits(s.len, off, 2))
		return false;
	*out = (uint16_t)(s.data[off] << 8 | s.data[off + 1]);
	return true;
}

static inline bool span_be32(struct span s, size_t off, uint32_t *out)
{
	if (!span_fits(s.len, off, 4))
		return false;
	*out = (uint32_t)s.data[off] << 24 | (uint32_t)s.data[off + 1] << 16 |
	       (uint32_t)s.data[off + 2] << 8 | s.data[off + 3];
	return true;
}

static inline bool span_le16(struct span s, size_t off, uint16_t *out)
{
	if (!span_fits(s.len, off, 2))
		return false;
	*out = (uint16_t)(s.data[off + 1] << 8 | s.data[off]);
	return true;
}

static inline bool span_le32(struct span s, size_t off, uint32_t *out)
{
	if (!span_fits(s.len, off, 4))
		return false;
	*out = (uint32_t)s.data[off + 3] << 24 | (uint32_t)s.data[off + 2] << 16 |
	       (uint32_t)s.data[off + 1] << 8 | s.data[off];
	return true;
}

#endif
