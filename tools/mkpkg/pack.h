/* SPDX-License-Identifier: BSD-2-Clause */
/* zlib and nettle as this program wants them: bytes in, bytes out, nothing else that varies. */
#ifndef MKPKG_PACK_H
#define MKPKG_PACK_H

#include <stdint.h>

#include "common/span.h"
#include "tools/mkpkg/buf.h"

#define PACK_SHA1_SIZE 20

enum pack_form {
	PACK_RAW,  /* a deflate stream and nothing around it, for zip */
	PACK_ZLIB, /* with zlib's header and Adler-32, for xar */
	PACK_GZIP, /* with a gzip header that names no file and no time */
};

void pack(struct buf *out, enum pack_form form, struct span data);

uint32_t pack_crc32(struct span data);

/* The checksum of POSIX cksum(1), which a Bom keeps for each file. */
uint32_t pack_cksum(struct span data);

void pack_sha1(uint8_t digest[PACK_SHA1_SIZE], struct span data);

/* 2 * PACK_SHA1_SIZE hexadecimal digits. */
void pack_sha1_hex(char hex[2 * PACK_SHA1_SIZE + 1], struct span data);

#endif
