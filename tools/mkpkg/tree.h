/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A tree of folders and files in memory: what every writer here takes.
 *
 * Paths are relative and without a leading "./"; the root is the empty path and always there.
 * Once closed, a tree is in one order whatever order it was filled in: each folder before what it
 * holds, names by their bytes. Modes say only whether the owner may execute: 0755 for folders and
 * executables, 0644 for the rest. So neither the umask nor the order of a directory nor a
 * checkout's other bits can be seen in what is written. Owner and time are no part of a tree;
 * everything belongs to root:wheel and carries the one time of the package.
 *
 * Only folders and regular files, only names of printable ASCII: the formats could carry more, but
 * no kext needs it, and what a writer never sees it cannot get wrong.
 */
#ifndef MKPKG_TREE_H
#define MKPKG_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/span.h"
#include "tools/mkpkg/buf.h"

#define TREE_MAX_NODES 65535
#define TREE_MAX_FILE  ((size_t)256 << 20)
#define TREE_NO_PARENT SIZE_MAX

struct tree_node {
	char *path;
	const char *name; /* the last part of path */
	size_t parent;	  /* index; valid once closed */
	bool dir;
	bool executable;
	struct buf data;
};

struct tree {
	struct tree_node *nodes;
	size_t count;
	size_t room;
	bool closed;
};

void tree_init(struct tree *t);
void tree_free(struct tree *t);

/* Folders on the way are made. A path that is there already ends the program. */
void tree_put(struct tree *t, const char *path, bool executable, struct span data);

/* An empty folder, or one that tree_put() will fill; it is no fault if it is there. */
void tree_put_dir(struct tree *t, const char *path);

/* Takes a file or a whole folder from disk. */
void tree_load(struct tree *t, const char *path, const char *from);

/* Puts the tree in order; nothing may be added after. */
void tree_close(struct tree *t);

/* The file of that path, or NULL. */
const struct tree_node *tree_find(const struct tree *t, const char *path);

/* 0755 or 0644. */
unsigned tree_mode(const struct tree_node *node);

/* Disk space of the files in KiB, in blocks of 4 KiB as HFS+ and APFS allocate. */
uint64_t tree_kbytes(const struct tree *t);

static inline struct span tree_data(const struct tree_node *node)
{
	return span_of(node->data.data, node->data.len);
}

/* Reads a whole file; ends the program when it cannot. */
void tree_read_file(struct buf *out, const char *from);

#endif
