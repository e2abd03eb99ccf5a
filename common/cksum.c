/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/cksum.h"

#include "common/endian.h"

/*
 * The one's complement sum does not care about byte order as long as all words are read alike
 * (RFC 1071, 2.B), so words are added as the machine reads them and the fold is swapped once.
 */
uint32_t cksum_add(uint32_t sum, const void *data, size_t n)
{
	const uint8_t *p = data;
	uint64_t acc = 0;

	for (; n >= 8; n -= 8, p += 8) {
		uint32_t w[2];

		__builtin_memcpy(w, p, 8);
		acc += (uint64_t)w[0] + w[1];
	}
	for (; n >= 2; n -= 2, p += 2) {
		uint16_t w;

		__builtin_memcpy(&w, p, 2);
		acc += w;
	}
	if (n) {
		uint16_t w = 0;

		__builtin_memcpy(&w, p, 1);
		acc += w;
	}
	acc = (acc & 0xffffffff) + (acc >> 32);
	acc = (acc & 0xffffffff) + (acc >> 32);

	return cksum_fold(sum) + (uint32_t)endian_be16(cksum_fold((uint32_t)acc));
}

uint32_t cksum_pseudo4(const uint8_t src[4], const uint8_t dst[4], uint8_t proto, uint32_t l4_len)
{
	uint32_t sum = cksum_add(0, src, 4);

	sum = cksum_add(sum, dst, 4);
	return sum + proto + (l4_len >> 16) + (l4_len & 0xffff);
}

uint32_t cksum_pseudo6(const uint8_t src[16], const uint8_t dst[16], uint8_t proto, uint32_t l4_len)
{
	uint32_t sum = cksum_add(0, src, 16);

	sum = cksum_add(sum, dst, 16);
	return sum + proto + (l4_len >> 16) + (l4_len & 0xffff);
}
