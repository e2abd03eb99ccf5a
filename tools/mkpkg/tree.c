/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/mkpkg/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/mkpkg/die.h"

#define TREE_MAX_DEPTH 32
#define TREE_MAX_NAME  255
#define TREE_MAX_PATH  1000

static struct tree_node *tree_add(struct tree *t, const char *path, bool dir)
{
	struct tree_node *node;
	const char *slash;

	if (t->count == TREE_MAX_NODES)
		die("more than %d files and folders", TREE_MAX_NODES);
	if (t->count == t->room) {
		size_t room = t->room < 64 ? 64 : 2 * t->room;
		struct tree_node *nodes = realloc(t->nodes, room * sizeof(*nodes));

		if (nodes == NULL)
			die("out of memory");
		t->nodes = nodes;
		t->room = room;
	}
	node = &t->nodes[t->count++];
	*node = (struct tree_node){.path = buf_dup(path), .parent = TREE_NO_PARENT, .dir = dir};
	slash = strrchr(node->path, '/');
	node->name = slash != NULL ? slash + 1 : node->path;
	return node;
}

void tree_init(struct tree *t)
{
	*t = (struct tree){0};
	(void)tree_add(t, "", true);
}

void tree_free(struct tree *t)
{
	for (size_t i = 0; i < t->count; i++) {
		free(t->nodes[i].path);
		buf_free(&t->nodes[i].data);
	}
	free(t->nodes);
	*t = (struct tree){0};
}

/* One part of a path, of n bytes. */
static bool tree_good_name(const char *name, size_t n)
{
	if (n == 0 || n > TREE_MAX_NAME || (n == 1 && name[0] == '.') ||
	    (n == 2 && name[0] == '.' && name[1] == '.'))
		return false;
	for (size_t i = 0; i < n; i++)
		if (name[i] < ' ' || name[i] > '~')
			return false;
	return true;
}

static void tree_check_path(const char *path)
{
	unsigned depth = 0;

	if (strlen(path) > TREE_MAX_PATH)
		die("%.60s...: a path of more than %d bytes", path, TREE_MAX_PATH);
	for (const char *at = path;;) {
		size_t n = strcspn(at, "/");

		if (!tree_good_name(at, n))
			die("%s: a name that is empty, \".\", \"..\", too long or not printable "
			    "ASCII",
			    path);
		if (++depth > TREE_MAX_DEPTH)
			die("%s: more than %d folders deep", path, TREE_MAX_DEPTH);
		if (at[n] == '\0')
			return;
		at += n + 1;
	}
}

const struct tree_node *tree_find(const struct tree *t, const char *path)
{
	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->nodes[i].path, path) == 0)
			return &t->nodes[i];
	return NULL;
}

/* The folders above path. Those added last are looked at first, which makes it quick. */
static void tree_parents(struct tree *t, const char *path)
{
	char up[TREE_MAX_PATH + 1];
	const char *slash = strrchr(path, '/');
	size_t n = slash != NULL ? (size_t)(slash - path) : 0;

	memcpy(up, path, n);
	up[n] = '\0';
	for (size_t i = t->count; i-- > 0;) {
		if (strcmp(t->nodes[i].path, up) != 0)
			continue;
		if (!t->nodes[i].dir)
			die("%s: %s is a file", path, up);
		return;
	}
	tree_parents(t, up);
	(void)tree_add(t, up, true);
}

static struct tree_node *tree_add_checked(struct tree *t, const char *path, bool dir)
{
	tree_check_path(path);
	tree_parents(t, path);
	return tree_add(t, path, dir);
}

void tree_put(struct tree *t, const char *path, bool executable, struct span data)
{
	struct tree_node *node = tree_add_checked(t, path, false);

	node->executable = executable;
	buf_put(&node->data, data.data, data.len);
}

void tree_put_dir(struct tree *t, const char *path)
{
	const struct tree_node *node = tree_find(t, path);

	if (node == NULL)
		(void)tree_add_checked(t, path, true);
	else if (!node->dir)
		die("%s: a file and a folder", path);
}

static int tree_open(const char *from, struct stat *st)
{
	int fd = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 && errno == ELOOP)
		die("%s: a symbolic link; only files and folders are packed", from);
	if (fd < 0 || fstat(fd, st) != 0)
		die("%s: %s", from, strerror(errno));
	if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))
		die("%s: neither a file nor a folder", from);
	return fd;
}

static void tree_read_fd(struct buf *out, int fd, const char *from)
{
	for (;;) {
		uint8_t chunk[16384];
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			die("%s: %s", from, strerror(errno));
		if (n == 0)
			return;
		buf_put(out, chunk, (size_t)n);
		if (out->len > TREE_MAX_FILE)
			die("%s: more than %zu MiB", from, TREE_MAX_FILE >> 20);
	}
}

void tree_read_file(struct buf *out, const char *from)
{
	struct stat st;
	int fd = tree_open(from, &st);

	if (S_ISDIR(st.st_mode))
		die("%s: a folder, not a file", from);
	tree_read_fd(out, fd, from);
	(void)close(fd);
}

static void tree_load_dir(struct tree *t, const char *path, const char *from, DIR *dir)
{
	for (;;) {
		struct dirent *entry;
		char *sub, *file;

		errno = 0;
		entry = readdir(dir);
		if (entry == NULL && errno != 0)
			die("%s: %s", from, strerror(errno));
		if (entry == NULL)
			return;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		sub = *path != '\0' ? buf_print("%s/%s", path, entry->d_name)
				    : buf_dup(entry->d_name);
		file = buf_print("%s/%s", from, entry->d_name);
		tree_load(t, sub, file);
		free(sub);
		free(file);
	}
}

void tree_load(struct tree *t, const char *path, const char *from)
{
	struct stat st;
	int fd = tree_open(from, &st);

	if (S_ISDIR(st.st_mode)) {
		DIR *dir = fdopendir(fd);

		if (dir == NULL)
			die("%s: %s", from, strerror(errno));
		if (*path != '\0')
			(void)tree_add_checked(t, path, true);
		tree_load_dir(t, path, from, dir);
		(void)closedir(dir); /* and fd */
		return;
	}
	if (*path == '\0')
		die("%s: a file, not a folder", from);
	struct tree_node *node = tree_add_checked(t, path, false);

	node->executable = (st.st_mode & S_IXUSR) != 0;
	tree_read_fd(&node->data, fd, from);
	(void)close(fd);
}

/* By bytes, but '/' before all others: a folder's contents follow it without a gap. */
static int tree_compare_paths(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	if (*a == *b)
		return 0;
	if (*a == '\0' || *b == '\0')
		return *a == '\0' ? -1 : 1;
	if (*a == '/' || *b == '/')
		return *a == '/' ? -1 : 1;
	return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
}

static int tree_compare(const void *a, const void *b)
{
	return tree_compare_paths(((const struct tree_node *)a)->path,
				  ((const struct tree_node *)b)->path);
}

/* Whether dir is the folder that holds path itself, not one further up. */
static bool tree_is_parent(const struct tree_node *dir, const struct tree_node *node)
{
	size_t n = strlen(dir->path);

	if (*dir->path == '\0')
		return node->name == node->path;
	return node->name == node->path + n + 1 && strncmp(node->path, dir->path, n) == 0;
}

void tree_close(struct tree *t)
{
	qsort(t->nodes, t->count, sizeof(*t->nodes), tree_compare);
	for (size_t i = 1; i < t->count; i++) {
		struct tree_node *node = &t->nodes[i];
		size_t up = i - 1;

		if (strcmp(node->path, t->nodes[up].path) == 0)
			die("%s: there twice", node->path);
		/* The parent is the node before, or above that one. */
		while (!t->nodes[up].dir || !tree_is_parent(&t->nodes[up], node)) {
			up = t->nodes[up].parent;
			if (up >= i)
				die("%s: no folder for it", node->path);
		}
		node->parent = up;
	}
	t->closed = true;
}

unsigned tree_mode(const struct tree_node *node)
{
	return node->dir || node->executable ? 0755 : 0644;
}

uint64_t tree_kbytes(const struct tree *t)
{
	uint64_t blocks = 0;

	for (size_t i = 0; i < t->count; i++)
		blocks += (t->nodes[i].data.len + 4095) / 4096;
	return 4 * blocks;
}
