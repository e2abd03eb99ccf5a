/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Internet checksum (RFC 1071).
 *
 * Sums are kept unfolded in 32 bits, in network byte order reading: a byte at an even offset is
 * the high half of its word. 2^16 words can be added before a 32-bit sum could overflow; cksum_add
 * folds often enough that its own length never matters.
 */
#ifndef COMMON_CKSUM_H
#define COMMON_CKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Adds n bytes to sum; data is taken to begin at an even offset. The result is below 2^17. */
uint32_t cksum_add(uint32_t sum, const void *data, size_t n);

/* Adds one 16-bit word in host order. */
static inline uint32_t cksum_add16(uint32_t sum, uint16_t word)
{
	return sum + word;
}

/* Folds to 16 bits, not complemented: what goes into a checksum field that hardware will finish. */
static inline uint16_t cksum_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Folds and complements: what goes into a finished checksum field. */
static inline uint16_t cksum_finish(uint32_t sum)
{
	return (uint16_t)~cksum_fold(sum);
}

/*
 * Pseudo-header sum of TCP or UDP over IPv4 / IPv6 (RFC 793, RFC 8200 section 8.1), unfolded.
 * src and dst are the addresses as they stand in the header; l4_len is header plus payload.
 */
uint32_t cksum_pseudo4(const uint8_t src[4], const uint8_t dst[4], uint8_t proto, uint32_t l4_len);
uint32_t cksum_pseudo6(const uint8_t src[16], const uint8_t dst[16], uint8_t proto,
		       uint32_t l4_len);

#endif
