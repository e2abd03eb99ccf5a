/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/mkpkg/pack.h"

#include <nettle/sha1.h>
#include <stdio.h>
#include <zlib.h>

#include "tools/mkpkg/die.h"

#define PACK_MEM_LEVEL 8
#define PACK_OS_UNIX   3

void pack(struct buf *out, enum pack_form form, struct span data)
{
	static const int window[] = {
		[PACK_RAW] = -MAX_WBITS,
		[PACK_ZLIB] = MAX_WBITS,
		[PACK_GZIP] = MAX_WBITS + 16,
	};
	gz_header header = {.os = PACK_OS_UNIX};
	z_stream z = {0};
	size_t room, at = out->len;
	int end;

	if (deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, window[form], PACK_MEM_LEVEL,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		die("zlib cannot be set up");
	/* By default zlib writes the system it was built for. */
	if (form == PACK_GZIP && deflateSetHeader(&z, &header) != Z_OK)
		die("zlib takes no gzip header");

	if (data.len > BUF_MAX)
		die("too much to compress at once");
	room = deflateBound(&z, (uLong)data.len);
	z.next_out = buf_grow(out, room);
	z.avail_out = (uInt)room;
	z.next_in = (z_const Bytef *)(uintptr_t)data.data;
	z.avail_in = (uInt)data.len;
	end = deflate(&z, Z_FINISH);
	if (end != Z_STREAM_END)
		die("zlib does not finish (%d)", end);
	out->len = at + (room - z.avail_out);
	(void)deflateEnd(&z);
}

uint32_t pack_crc32(struct span data)
{
	return (uint32_t)crc32(crc32(0, NULL, 0), data.data, (uInt)data.len);
}

/*
 * The polynomial of crc32() but most significant bit first, starting at 0, with the length after
 * the data as little-endian bytes without leading zeroes.
 */
static uint32_t pack_cksum_byte(uint32_t crc, unsigned byte)
{
	static uint32_t table[256];

	if (table[1] == 0)
		for (uint32_t i = 0; i < 256; i++) {
			uint32_t c = i << 24;

			for (int bit = 0; bit < 8; bit++)
				c = c << 1 ^ ((c >> 31) != 0 ? 0x04c11db7U : 0);
			table[i] = c;
		}
	return crc << 8 ^ table[(crc >> 24 ^ byte) & 0xff];
}

uint32_t pack_cksum(struct span data)
{
	uint32_t crc = 0;

	for (size_t i = 0; i < data.len; i++)
		crc = pack_cksum_byte(crc, data.data[i]);
	for (size_t n = data.len; n != 0; n >>= 8)
		crc = pack_cksum_byte(crc, (unsigned)(n & 0xff));
	return ~crc;
}

void pack_sha1(uint8_t digest[PACK_SHA1_SIZE], struct span data)
{
	struct sha1_ctx ctx;

	sha1_init(&ctx);
	if (data.len > 0)
		sha1_update(&ctx, data.len, data.data);
	sha1_digest(&ctx, PACK_SHA1_SIZE, digest);
}

void pack_sha1_hex(char hex[2 * PACK_SHA1_SIZE + 1], struct span data)
{
	uint8_t digest[PACK_SHA1_SIZE];

	pack_sha1(digest, data);
	for (size_t i = 0; i < PACK_SHA1_SIZE; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}
