/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Integers with a byte order in their type.
 *
 * A field of a wire structure is never a plain integer: it is an le16, a be32, ... A missing
 * conversion does not compile. Each type has the size and alignment of the plain integer, so that
 * shared fields can still be loaded atomically.
 */
#ifndef COMMON_ENDIAN_H
#define COMMON_ENDIAN_H

#include <stdint.h>

typedef struct {
	uint16_t raw;
} le16;
typedef struct {
	uint32_t raw;
} le32;
typedef struct {
	uint64_t raw;
} le64;
typedef struct {
	uint16_t raw;
} be16;
typedef struct {
	uint32_t raw;
} be32;
typedef struct {
	uint64_t raw;
} be64;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define HOST_BIG_ENDIAN 1
#else
#define HOST_BIG_ENDIAN 0
#endif

static inline uint16_t endian_le16(uint16_t v)
{
	return HOST_BIG_ENDIAN ? __builtin_bswap16(v) : v;
}

static inline uint32_t endian_le32(uint32_t v)
{
	return HOST_BIG_ENDIAN ? __builtin_bswap32(v) : v;
}

static inline uint64_t endian_le64(uint64_t v)
{
	return HOST_BIG_ENDIAN ? __builtin_bswap64(v) : v;
}

static inline uint16_t endian_be16(uint16_t v)
{
	return HOST_BIG_ENDIAN ? v : __builtin_bswap16(v);
}

static inline uint32_t endian_be32(uint32_t v)
{
	return HOST_BIG_ENDIAN ? v : __builtin_bswap32(v);
}

static inline uint64_t endian_be64(uint64_t v)
{
	return HOST_BIG_ENDIAN ? v : __builtin_bswap64(v);
}

static inline uint16_t le16_get(le16 v)
{
	return endian_le16(v.raw);
}

static inline uint32_t le32_get(le32 v)
{
	return endian_le32(v.raw);
}

static inline uint64_t le64_get(le64 v)
{
	return endian_le64(v.raw);
}

static inline le16 le16_make(uint16_t v)
{
	return (le16){endian_le16(v)};
}

static inline le32 le32_make(uint32_t v)
{
	return (le32){endian_le32(v)};
}

static inline le64 le64_make(uint64_t v)
{
	return (le64){endian_le64(v)};
}

static inline uint16_t be16_get(be16 v)
{
	return endian_be16(v.raw);
}

static inline uint32_t be32_get(be32 v)
{
	return endian_be32(v.raw);
}

static inline be16 be16_make(uint16_t v)
{
	return (be16){endian_be16(v)};
}

static inline be32 be32_make(uint32_t v)
{
	return (be32){endian_be32(v)};
}

#endif
