/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The old portable cpio format, which the macOS installer unpacks.
 *
 * Each member is a header of 76 octal digits in fixed columns, the path with its NUL and the data,
 * with no padding. Paths begin with "./", the root is ".". A member named "TRAILER!!!" ends the
 * archive. Device 0, inodes counted from 1 so that no two members look like one file, root:wheel.
 */
#include "tools/mkpkg/cpio.h"

#include <stdlib.h>
#include <string.h>

#include "tools/mkpkg/die.h"

#define CPIO_DIR      0040000U
#define CPIO_FILE     0100000U
#define CPIO_MAX_SIX  0777777U
#define CPIO_END_NAME "TRAILER!!!"

struct cpio_member {
	const char *path;
	unsigned inode, mode, links;
	uint32_t mtime;
	struct span data;
};

static void cpio_put(struct buf *out, const struct cpio_member *m)
{
	size_t name = strlen(m->path) + 1;

	if (m->inode > CPIO_MAX_SIX || m->links > CPIO_MAX_SIX || name > CPIO_MAX_SIX)
		die("%s: does not fit into a cpio header", m->path);
	/* magic dev ino mode uid gid nlink rdev mtime namesize filesize */
	buf_fmt(out, "070707%06o%06o%06o%06o%06o%06o%06o%011o%06o%011o", 0U, m->inode, m->mode, 0U,
		0U, m->links, 0U, m->mtime, (unsigned)name, (unsigned)m->data.len);
	buf_put(out, m->path, name);
	buf_put(out, m->data.data, m->data.len);
}

/* A folder's links: its own, its "." and the ".." of each folder in it. */
static unsigned cpio_links(const struct tree *t, size_t i)
{
	unsigned links = 2;

	if (!t->nodes[i].dir)
		return 1;
	/* What a folder holds follows it; the first node with a parent before it is outside. */
	for (size_t k = i + 1; k < t->count && t->nodes[k].parent >= i; k++)
		links += t->nodes[k].parent == i && t->nodes[k].dir;
	return links;
}

void cpio_write(struct buf *out, const struct tree *t, uint32_t mtime)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct tree_node *node = &t->nodes[i];
		char *path = i == 0 ? buf_dup(".") : buf_print("./%s", node->path);

		cpio_put(out, &(struct cpio_member){
				      .path = path,
				      .inode = (unsigned)i + 1,
				      .mode = tree_mode(node) | (node->dir ? CPIO_DIR : CPIO_FILE),
				      .links = cpio_links(t, i),
				      .mtime = mtime,
				      .data = tree_data(node),
			      });
		free(path);
	}
	cpio_put(out, &(struct cpio_member){.path = CPIO_END_NAME, .links = 1});
}
