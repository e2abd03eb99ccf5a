/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/mkpkg/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/mkpkg/die.h"

uint8_t *buf_grow(struct buf *b, size_t n)
{
	uint8_t *at;

	if (b->len > BUF_MAX || n > BUF_MAX - b->len)
		die("more than %zu MiB of data", BUF_MAX >> 20);
	if (b->data == NULL || n > b->room - b->len) {
		size_t room = b->room < 256 ? 256 : b->room;
		uint8_t *data;

		while (room < b->len + n)
			room *= 2;
		data = realloc(b->data, room);
		if (data == NULL)
			die("out of memory");
		b->data = data;
		b->room = room;
	}
	at = b->data + b->len;
	memset(at, 0, n);
	b->len += n;
	return at;
}

void buf_put(struct buf *b, const void *data, size_t n)
{
	if (n > 0)
		memcpy(buf_grow(b, n), data, n);
}

void buf_str(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

void buf_fmt(struct buf *b, const char *fmt, ...)
{
	char small[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	if (n < 0)
		die("cannot format text");
	if ((size_t)n >= sizeof(small)) {
		char *at = (char *)buf_grow(b, (size_t)n + 1);

		va_start(ap, fmt);
		(void)vsnprintf(at, (size_t)n + 1, fmt, ap);
		va_end(ap);
		b->len--;
		return;
	}
	buf_put(b, small, (size_t)n);
}

void buf_u8(struct buf *b, unsigned v)
{
	*buf_grow(b, 1) = (uint8_t)v;
}

void buf_be16(struct buf *b, unsigned v)
{
	buf_u8(b, v >> 8 & 0xff);
	buf_u8(b, v & 0xff);
}

void buf_be32(struct buf *b, uint32_t v)
{
	buf_be16(b, v >> 16);
	buf_be16(b, v & 0xffff);
}

void buf_be64(struct buf *b, uint64_t v)
{
	buf_be32(b, (uint32_t)(v >> 32));
	buf_be32(b, (uint32_t)v);
}

void buf_le16(struct buf *b, unsigned v)
{
	buf_u8(b, v & 0xff);
	buf_u8(b, v >> 8 & 0xff);
}

void buf_le32(struct buf *b, uint32_t v)
{
	buf_le16(b, v & 0xffff);
	buf_le16(b, v >> 16);
}

const char *buf_cstr(struct buf *b)
{
	buf_u8(b, 0);
	b->len--;
	return (const char *)b->data;
}

void buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

char *buf_dup(const char *s)
{
	char *copy = strdup(s);

	if (copy == NULL)
		die("out of memory");
	return copy;
}

char *buf_print(const char *fmt, ...)
{
	char *s;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		die("out of memory");
	va_end(ap);
	return s;
}
