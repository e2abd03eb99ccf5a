/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A zip archive: each member's header and data, then a directory that repeats the headers, then a
 * record that says where the directory is. Little-endian.
 *
 * Times are DOS times without a zone, so they are the package's time in UTC wherever it is made.
 * No extra fields: they hold owners and finer times, which would vary.
 */
#include "tools/mkpkg/zip.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/mkpkg/die.h"
#include "tools/mkpkg/pack.h"

#define ZIP_LOCAL	0x04034b50U
#define ZIP_CENTRAL	0x02014b50U
#define ZIP_END		0x06054b50U
#define ZIP_NEEDS	20 /* 2.0: folders and deflate */
#define ZIP_UNIX	3
#define ZIP_STORED	0
#define ZIP_DEFLATED	8
#define ZIP_DOS_DIR	0x10U
#define ZIP_MODE_DIR	0040000U
#define ZIP_MODE_FILE	0100000U
#define ZIP_DOS_EPOCH	80 /* 1980, in years since 1900 */
#define ZIP_MAX_MEMBERS 65535

struct zip_time {
	unsigned date, time;
};

static struct zip_time zip_time(uint32_t when)
{
	time_t t = (time_t)when;
	struct tm tm;

	/* Before 1980 there is no time. */
	if (gmtime_r(&t, &tm) == NULL || tm.tm_year < ZIP_DOS_EPOCH)
		return (struct zip_time){.date = 1 << 5 | 1};
	return (struct zip_time){
		.date = (unsigned)((tm.tm_year - ZIP_DOS_EPOCH) << 9 | (tm.tm_mon + 1) << 5 |
				   tm.tm_mday),
		.time = (unsigned)(tm.tm_hour << 11 | tm.tm_min << 5 | tm.tm_sec / 2),
	};
}

/* What both headers of a member say. */
static void zip_common(struct buf *out, unsigned method, struct zip_time when, uint32_t crc,
		       size_t packed, size_t size, size_t name)
{
	buf_le16(out, ZIP_NEEDS);
	buf_le16(out, 0);
	buf_le16(out, method);
	buf_le16(out, when.time);
	buf_le16(out, when.date);
	buf_le32(out, crc);
	buf_le32(out, (uint32_t)packed);
	buf_le32(out, (uint32_t)size);
	buf_le16(out, (unsigned)name);
	buf_le16(out, 0);
}

static void zip_member(struct buf *out, struct buf *directory, const struct tree_node *node,
		       struct zip_time when)
{
	char *name = buf_print("%s%s", node->path, node->dir ? "/" : "");
	struct span data = tree_data(node), stored = data;
	uint32_t offset = (uint32_t)out->len, crc = pack_crc32(data);
	unsigned method = ZIP_STORED;
	struct buf packed = {0};

	pack(&packed, PACK_RAW, data);
	if (packed.len < data.len) {
		stored = span_of(packed.data, packed.len);
		method = ZIP_DEFLATED;
	}
	buf_le32(out, ZIP_LOCAL);
	zip_common(out, method, when, crc, stored.len, data.len, strlen(name));
	buf_str(out, name);
	buf_put(out, stored.data, stored.len);

	buf_le32(directory, ZIP_CENTRAL);
	buf_le16(directory, ZIP_UNIX << 8 | ZIP_NEEDS);
	zip_common(directory, method, when, crc, stored.len, data.len, strlen(name));
	buf_le16(directory, 0); /* comment */
	buf_le16(directory, 0); /* disk */
	buf_le16(directory, 0);
	buf_le32(directory, (tree_mode(node) | (node->dir ? ZIP_MODE_DIR : ZIP_MODE_FILE)) << 16 |
				    (node->dir ? ZIP_DOS_DIR : 0));
	buf_le32(directory, offset);
	buf_str(directory, name);
	buf_free(&packed);
	free(name);
}

void zip_write(struct buf *out, const struct tree *t, uint32_t mtime)
{
	struct zip_time when = zip_time(mtime);
	struct buf directory = {0};
	unsigned members = (unsigned)t->count - 1;
	uint32_t at;

	if (members > ZIP_MAX_MEMBERS)
		die("too many files for a zip archive");
	for (size_t i = 1; i < t->count; i++)
		zip_member(out, &directory, &t->nodes[i], when);
	at = (uint32_t)out->len;
	buf_put(out, directory.data, directory.len);
	buf_le32(out, ZIP_END);
	buf_le16(out, 0);
	buf_le16(out, 0);
	buf_le16(out, members);
	buf_le16(out, members);
	buf_le32(out, (uint32_t)directory.len);
	buf_le32(out, at);
	buf_le16(out, 0);
	buf_free(&directory);
}
