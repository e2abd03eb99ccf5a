/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Archives as ar(1) of BSD and of GNU write them. Their symbol tables are passed over: each member
 * is read and says itself what it defines, so a table that is stale or lies does no harm.
 *
 * Names: BSD keeps a long one before the member's bytes ("#1/LENGTH"), GNU in a member of its own
 * called "//" ("/OFFSET"), and ends short ones in a slash.
 */
#include "tools/kextld/link.h"

#include <string.h>

enum {
	ARCHIVE_MAGIC = 8,
	ARCHIVE_HEAD = 60,
	ARCHIVE_NAME = 16,
	ARCHIVE_SIZE = 48, /* where the size stands, and how many digits it has */
	ARCHIVE_SIZE_LEN = 10,
	ARCHIVE_END = 58,
};

bool archive_is(struct span bytes)
{
	return bytes.len >= ARCHIVE_MAGIC && (!memcmp(bytes.data, "!<arch>\n", ARCHIVE_MAGIC) ||
					      !memcmp(bytes.data, "!<thin>\n", ARCHIVE_MAGIC));
}

/* Decimal digits, then blanks up to the end of the field. */
static bool archive_number(struct span field, size_t *out)
{
	size_t i = 0, value = 0;

	for (; i < field.len && field.data[i] >= '0' && field.data[i] <= '9'; i++)
		value = value * 10 + (size_t)(field.data[i] - '0');
	if (!i)
		return false;
	for (; i < field.len; i++) {
		if (field.data[i] != ' ')
			return false;
	}
	*out = value;
	return true;
}

static char *archive_text(struct link *link, const uint8_t *text, size_t len, uint8_t end)
{
	size_t n = 0;

	while (n < len && text[n] && text[n] != end)
		n++;
	while (n && text[n - 1] == ' ')
		n--;
	return arena_string(&link->arena, text, n);
}

/* The name of a member; takes a BSD long name off its bytes. *name NULL: not an object. */
static bool archive_name(struct link *link, const struct object *where, struct span head,
			 struct span long_names, struct span *body, char **name)
{
	struct span field, text;
	size_t number;

	*name = NULL;
	if (!span_sub(head, 0, ARCHIVE_NAME, &field))
		return false;
	if (!memcmp(field.data, "#1/", 3)) {
		span_from(field, 3, &text);
		if (!archive_number(text, &number) || !span_sub(*body, 0, number, &text) ||
		    !span_from(*body, number, body))
			return link_fail(link, where, NULL, "a member's long name is not there");
		*name = archive_text(link, text.data, text.len, '\0');
	} else if (field.data[0] == '/' && field.data[1] >= '0' && field.data[1] <= '9') {
		span_from(field, 1, &text);
		if (!archive_number(text, &number) || !span_from(long_names, number, &text) ||
		    !text.len)
			return link_fail(link, where, NULL, "a member's long name is not there");
		*name = archive_text(link, text.data, text.len, '/');
	} else if (field.data[0] == '/') {
		return true;
	} else {
		*name = archive_text(link, field.data, field.len, '/');
	}
	if (!*name)
		return link_no_memory(link);
	if (!strncmp(*name, "__.SYMDEF", 9))
		*name = NULL;
	return true;
}

bool archive_read(struct link *link, const char *file, struct span bytes)
{
	const struct object where = {.file = file};
	struct span long_names = span_of("", 0);
	size_t at = ARCHIVE_MAGIC;

	if (!memcmp(bytes.data, "!<thin>\n", ARCHIVE_MAGIC))
		return link_fail(link, &where, NULL, "a thin archive, which holds no objects");
	while (at < bytes.len) {
		struct span head, field, body;
		struct object *o;
		size_t size;
		char *name;

		if (!span_sub(bytes, at, ARCHIVE_HEAD, &head) ||
		    memcmp(head.data + ARCHIVE_END, "`\n", 2) ||
		    !span_sub(head, ARCHIVE_SIZE, ARCHIVE_SIZE_LEN, &field) ||
		    !archive_number(field, &size))
			return link_fail(link, &where, NULL, "no member begins at 0x%zx", at);
		at += ARCHIVE_HEAD;
		if (!span_sub(bytes, at, size, &body))
			return link_fail(link, &where, NULL,
					 "the member at 0x%zx ends behind the file", at);
		at += size;
		if (size & 1 && at < bytes.len)
			at++;
		if (!memcmp(head.data, "//", 2)) {
			long_names = body;
			continue;
		}
		if (!archive_name(link, &where, head, long_names, &body, &name))
			return false;
		if (!name)
			continue;
		o = object_read(link, file, name, body);
		if (!o)
			return false;
		*link->last_waiting = o;
		link->last_waiting = &o->next;
	}
	return true;
}
