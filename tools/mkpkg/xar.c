/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A xar archive:
 *
 *   header   28 bytes, big-endian: "xar!", its size, version 1, the length of the table of contents
 *            compressed and not, 1 for SHA-1
 *   toc      XML in a zlib stream: a <file> per folder and file, with where its data lies in the
 *            heap, how it is encoded, and the SHA-1 of both forms
 *   heap     first the SHA-1 of the compressed toc, then the data
 *
 * SHA-1 because the installer of 10.6 knows no better; it guards against damage, not against
 * people. Data is kept as a zlib stream, which xar calls gzip, where that is shorter; what is gzip
 * already stays as it is.
 */
#include "tools/mkpkg/xar.h"

#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "tools/mkpkg/die.h"
#include "tools/mkpkg/pack.h"
#include "tools/mkpkg/xml.h"

#define XAR_MAGIC	0x78617221U
#define XAR_HEADER_SIZE 28
#define XAR_CKSUM_SHA1	1

struct xar {
	const struct tree *tree;
	struct xml toc;
	struct buf heap;
	char time[32];
};

/* 2001-02-03T04:05:06, in UTC. */
static void xar_time(char *text, size_t size, uint32_t when)
{
	time_t t = (time_t)when;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL || strftime(text, size, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		die("a time that cannot be written");
}

/* Payload and Scripts, which the installer wants as they are. */
static bool xar_is_gzip(struct span data)
{
	return data.len >= 2 && data.data[0] == 0x1f && data.data[1] == 0x8b;
}

static void xar_data(struct xar *x, struct span data)
{
	const char *style = "application/octet-stream";
	char extracted[2 * PACK_SHA1_SIZE + 1], archived[2 * PACK_SHA1_SIZE + 1];
	struct buf packed = {0};
	struct span stored = data;

	if (!xar_is_gzip(data))
		pack(&packed, PACK_ZLIB, data);
	if (packed.len > 0 && packed.len < data.len) {
		stored = span_of(packed.data, packed.len);
		style = "application/x-gzip";
	}
	pack_sha1_hex(extracted, data);
	pack_sha1_hex(archived, stored);
	xml_open(&x->toc, "data", XML_PLAIN);
	xml_text(&x->toc, "extracted-checksum", XML_ATTR("style", "sha1"), extracted);
	xml_text(&x->toc, "archived-checksum", XML_ATTR("style", "sha1"), archived);
	xml_empty(&x->toc, "encoding", XML_ATTR("style", style));
	xml_number(&x->toc, "size", data.len);
	xml_number(&x->toc, "offset", x->heap.len);
	xml_number(&x->toc, "length", stored.len);
	xml_close(&x->toc, "data");
	buf_put(&x->heap, stored.data, stored.len);
	buf_free(&packed);
}

static void xar_times(struct xar *x)
{
	static const char *const tags[] = {"ctime", "mtime", "atime"};
	char text[sizeof(x->time) + 1];

	(void)snprintf(text, sizeof(text), "%sZ", x->time);
	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++)
		xml_text(&x->toc, tags[i], XML_PLAIN, text);
}

/* Opens the element of a node; a folder's contents come before it is closed. */
static void xar_file(struct xar *x, size_t i)
{
	const struct tree_node *node = &x->tree->nodes[i];
	char id[24], mode[8];

	(void)snprintf(id, sizeof(id), "%zu", i);
	(void)snprintf(mode, sizeof(mode), "%04o", tree_mode(node));
	xml_open(&x->toc, "file", XML_ATTR("id", id));
	if (!node->dir)
		xar_data(x, tree_data(node));
	xar_times(x);
	xml_text(&x->toc, "group", XML_PLAIN, "wheel");
	xml_number(&x->toc, "gid", 0);
	xml_text(&x->toc, "user", XML_PLAIN, "root");
	xml_number(&x->toc, "uid", 0);
	xml_text(&x->toc, "mode", XML_PLAIN, mode);
	xml_text(&x->toc, "type", XML_PLAIN, node->dir ? "directory" : "file");
	xml_text(&x->toc, "name", XML_PLAIN, node->name);
}

static void xar_files(struct xar *x)
{
	size_t open = 0; /* the element in which the next one would stand; 0 is the toc itself */

	for (size_t i = 1; i < x->tree->count; i++) {
		while (open != x->tree->nodes[i].parent) {
			xml_close(&x->toc, "file");
			open = x->tree->nodes[open].parent;
		}
		xar_file(x, i);
		open = i;
	}
	for (; open != 0; open = x->tree->nodes[open].parent)
		xml_close(&x->toc, "file");
}

static void xar_toc(struct xar *x)
{
	xml_open(&x->toc, "xar", XML_PLAIN);
	xml_open(&x->toc, "toc", XML_PLAIN);
	xml_text(&x->toc, "creation-time", XML_PLAIN, x->time);
	xml_open(&x->toc, "checksum", XML_ATTR("style", "sha1"));
	xml_number(&x->toc, "size", PACK_SHA1_SIZE);
	xml_number(&x->toc, "offset", 0);
	xml_close(&x->toc, "checksum");
	xar_files(x);
	xml_close(&x->toc, "toc");
	xml_close(&x->toc, "xar");
}

void xar_write(struct buf *out, const struct tree *t, uint32_t mtime)
{
	struct buf text = {0}, toc = {0};
	struct xar x = {.tree = t, .toc = xml_start(&text)};

	xar_time(x.time, sizeof(x.time), mtime);
	(void)buf_grow(&x.heap, PACK_SHA1_SIZE);
	xar_toc(&x);
	pack(&toc, PACK_ZLIB, span_of(text.data, text.len));
	pack_sha1(x.heap.data, span_of(toc.data, toc.len));

	buf_be32(out, XAR_MAGIC);
	buf_be16(out, XAR_HEADER_SIZE);
	buf_be16(out, 1);
	buf_be64(out, toc.len);
	buf_be64(out, text.len);
	buf_be32(out, XAR_CKSUM_SHA1);
	buf_put(out, toc.data, toc.len);
	buf_put(out, x.heap.data, x.heap.len);
	buf_free(&text);
	buf_free(&toc);
	buf_free(&x.heap);
}
