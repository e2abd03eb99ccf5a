/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes that grow. Every format here is built in memory, in one pass, and written once.
 *
 * A zeroed struct buf is an empty one. There is a limit (BUF_MAX) so that offsets of the formats'
 * 32-bit fields cannot overflow; past it, or without memory, the program ends.
 */
#ifndef MKPKG_BUF_H
#define MKPKG_BUF_H

#include <stddef.h>
#include <stdint.h>

#define BUF_MAX ((size_t)1 << 30)

struct buf {
	uint8_t *data;
	size_t len;
	size_t room;
};

/* Room for n more bytes, which count as written; their contents are zero. */
uint8_t *buf_grow(struct buf *b, size_t n);

void buf_put(struct buf *b, const void *data, size_t n);
void buf_str(struct buf *b, const char *s); /* without its NUL */
__attribute__((format(printf, 2, 3))) void buf_fmt(struct buf *b, const char *fmt, ...);

void buf_u8(struct buf *b, unsigned v);
void buf_be16(struct buf *b, unsigned v);
void buf_be32(struct buf *b, uint32_t v);
void buf_be64(struct buf *b, uint64_t v);
void buf_le16(struct buf *b, unsigned v);
void buf_le32(struct buf *b, uint32_t v);

/* What is in there as a string; valid until the next change. */
const char *buf_cstr(struct buf *b);

void buf_free(struct buf *b);

/* Strings that last; the program ends without memory. */
char *buf_dup(const char *s);
__attribute__((format(printf, 1, 2))) char *buf_print(const char *fmt, ...);

#endif
