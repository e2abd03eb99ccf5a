/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bill of materials of an installer package: what lsbom(8) lists and pkgutil(1) remembers.
 *
 * A Bom is a store of numbered blocks, all big-endian:
 *
 *   header      512 bytes: "BOMStore", version, number of blocks, and where index and variables are
 *   blocks      one after another
 *   variables   names that stand for block numbers
 *   index       offset and length of each block, number 0 being none; then a list of free places
 *
 * Five variables make a store a bill of materials. Four of them are, or lead to, trees:
 *
 *   BomInfo     bytes per processor: 0 for what is no program, then one row per CPU type
 *   Paths       every file and folder
 *   HLIndex     hard links, VIndex path patterns, Size64 sizes past 32 bits: empty here
 *
 * A tree is a block that names its root node, node size and number of entries. A node is a leaf
 * (flag 1) or not, has a count, the leaves beside it, and pairs of block numbers; in a leaf value
 * and key, in a branch a child and the last key in it. Nodes are padded to the tree's node size.
 *
 * In Paths the key is (number of the parent, name) and the value (own number, record). Numbers
 * count from 1, folders before their contents; the leaves are sorted by key. The record of a path
 * has its type, mode, owner, time, size and checksum, that of a program also a row per processor,
 * with size and checksum of that slice.
 *
 * Nobody has published this format. What is said here was read from the Bom in a package that
 * Apple's tools made, and agrees with what others have written down.
 */
#include "tools/mkpkg/bom.h"

#include <stdlib.h>
#include <string.h>

#include "tools/mkpkg/die.h"
#include "tools/mkpkg/macho.h"
#include "tools/mkpkg/pack.h"

#define BOM_HEADER_SIZE 512
#define BOM_NODE_SIZE	4096
#define BOM_SMALL_NODE	128
#define BOM_NODE_HEADER 12
#define BOM_FREE_SPARE	2 /* empty rows that Apple's tools leave after the list of free places */

#define BOM_TYPE_FILE 1
#define BOM_TYPE_DIR  2
#define BOM_FLAG_ALL  0x000f /* the record has all fields, not only a type */
#define BOM_FLAG_THIN 0x1000
#define BOM_FLAG_FAT  0x2000
#define BOM_MODE_FILE 0100000U
#define BOM_MODE_DIR  0040000U

struct bom_block {
	uint32_t offset, length;
};

struct bom {
	struct buf heap; /* the blocks; the first is at BOM_HEADER_SIZE of the file */
	struct bom_block *block;
	uint32_t count, room; /* number 0 is taken */
	struct buf vars;
	uint32_t var_count;
};

struct bom_pair {
	uint32_t value, key;
};

/* ---- the store ---- */

static uint32_t bom_reserve(struct bom *b)
{
	if (b->count == b->room) {
		uint32_t room = b->room < 64 ? 64 : 2 * b->room;
		struct bom_block *block = realloc(b->block, room * sizeof(*block));

		if (block == NULL)
			die("out of memory");
		b->block = block;
		b->room = room;
	}
	b->block[b->count] = (struct bom_block){0};
	return b->count++;
}

/* Takes the bytes and empties data. */
static void bom_fill(struct bom *b, uint32_t number, struct buf *data)
{
	b->block[number] = (struct bom_block){
		.offset = (uint32_t)(BOM_HEADER_SIZE + b->heap.len),
		.length = (uint32_t)data->len,
	};
	buf_put(&b->heap, data->data, data->len);
	data->len = 0;
}

static uint32_t bom_add(struct bom *b, struct buf *data)
{
	uint32_t number = bom_reserve(b);

	bom_fill(b, number, data);
	return number;
}

static void bom_name(struct bom *b, const char *name, uint32_t number)
{
	buf_be32(&b->vars, number);
	buf_u8(&b->vars, (unsigned)strlen(name));
	buf_str(&b->vars, name);
	b->var_count++;
}

static void bom_finish(struct buf *out, const struct bom *b)
{
	size_t start = out->len, index = 4 + 8 * (size_t)b->count + 4 + 8 * BOM_FREE_SPARE;
	uint32_t vars = (uint32_t)(BOM_HEADER_SIZE + b->heap.len);
	uint32_t vars_len = (uint32_t)(4 + b->vars.len);

	buf_str(out, "BOMStore");
	buf_be32(out, 1);
	buf_be32(out, b->count - 1);
	buf_be32(out, vars + vars_len);
	buf_be32(out, (uint32_t)index);
	buf_be32(out, vars);
	buf_be32(out, vars_len);
	(void)buf_grow(out, BOM_HEADER_SIZE - (out->len - start));

	buf_put(out, b->heap.data, b->heap.len);

	buf_be32(out, b->var_count);
	buf_put(out, b->vars.data, b->vars.len);

	buf_be32(out, b->count);
	for (uint32_t i = 0; i < b->count; i++) {
		buf_be32(out, b->block[i].offset);
		buf_be32(out, b->block[i].length);
	}
	buf_be32(out, 0);
	(void)buf_grow(out, 8 * BOM_FREE_SPARE);
}

/* ---- trees ---- */

static void bom_node(struct bom *b, uint32_t number, bool leaf, const struct bom_pair *pairs,
		     size_t count, uint32_t next, uint32_t previous, size_t size)
{
	struct buf node = {0};

	buf_be16(&node, leaf);
	buf_be16(&node, (unsigned)count);
	buf_be32(&node, next);
	buf_be32(&node, previous);
	for (size_t i = 0; i < count; i++) {
		buf_be32(&node, pairs[i].value);
		buf_be32(&node, pairs[i].key);
	}
	(void)buf_grow(&node, size - node.len);
	bom_fill(b, number, &node);
	buf_free(&node);
}

/* Sorted pairs become leaves and, if one does not do, a branch above them. Two levels hold more
 * than TREE_MAX_NODES. */
static uint32_t bom_tree(struct bom *b, const struct bom_pair *pairs, size_t count, size_t size)
{
	size_t full = (size - BOM_NODE_HEADER) / sizeof(*pairs);
	size_t leaves = count == 0 ? 1 : (count + full - 1) / full;
	uint32_t first = b->count, root = first;
	struct bom_pair *up;
	struct buf tree = {0};

	if (leaves > full)
		die("too many files for a bill of materials");
	up = calloc(leaves, sizeof(*up));
	if (up == NULL)
		die("out of memory");
	for (size_t i = 0; i < leaves; i++)
		(void)bom_reserve(b);
	for (size_t i = 0; i < leaves; i++) {
		size_t from = i * full, n = count - from < full ? count - from : full;
		uint32_t number = first + (uint32_t)i;

		bom_node(b, number, true, n > 0 ? pairs + from : NULL, n,
			 i + 1 < leaves ? number + 1 : 0, i > 0 ? number - 1 : 0, size);
		up[i].value = number;
		up[i].key = n > 0 ? pairs[from + n - 1].key : 0;
	}
	if (leaves > 1) {
		root = bom_reserve(b);
		bom_node(b, root, false, up, leaves, 0, 0, size);
	}
	free(up);

	buf_str(&tree, "tree");
	buf_be32(&tree, 1);
	buf_be32(&tree, root);
	buf_be32(&tree, (uint32_t)size);
	buf_be32(&tree, (uint32_t)count);
	buf_u8(&tree, 0);
	root = bom_add(b, &tree);
	buf_free(&tree);
	return root;
}

/* ---- what a bill of materials keeps there ---- */

/* Bytes per processor, in the order in which they are met. */
struct bom_totals {
	struct {
		uint32_t cpu, size;
	} row[1 + MACHO_MAX_ARCHES];
	size_t count;
};

static void bom_count(struct bom_totals *totals, uint32_t cpu, size_t size)
{
	size_t i = 0;

	while (i < totals->count && totals->row[i].cpu != cpu)
		i++;
	if (i == sizeof(totals->row) / sizeof(totals->row[0]))
		die("programs for more than %d processors", MACHO_MAX_ARCHES);
	if (i == totals->count)
		totals->row[totals->count++].cpu = cpu;
	totals->row[i].size += (uint32_t)size;
}

static void bom_info(struct bom *b, const struct bom_totals *totals, size_t paths)
{
	struct buf info = {0};

	buf_be32(&info, 1);
	buf_be32(&info, (uint32_t)paths + 1);
	buf_be32(&info, (uint32_t)totals->count);
	for (size_t i = 0; i < totals->count; i++) {
		buf_be32(&info, totals->row[i].cpu);
		buf_be32(&info, 0);
		buf_be32(&info, totals->row[i].size);
		buf_be32(&info, 0);
	}
	bom_name(b, "BomInfo", bom_add(b, &info));
	buf_free(&info);
}

static void bom_common(struct buf *record, const struct tree_node *node, unsigned flags,
		       uint32_t mtime)
{
	buf_u8(record, node->dir ? BOM_TYPE_DIR : BOM_TYPE_FILE);
	buf_u8(record, 1);
	buf_be16(record, flags);
	buf_be16(record, tree_mode(node) | (node->dir ? BOM_MODE_DIR : BOM_MODE_FILE));
	buf_be32(record, 0); /* root */
	buf_be32(record, 0); /* wheel */
	buf_be32(record, mtime);
	buf_be32(record, (uint32_t)node->data.len);
	buf_u8(record, 1);
}

static uint32_t bom_record(struct bom *b, const struct tree_node *node, uint32_t mtime,
			   struct bom_totals *totals)
{
	struct span data = tree_data(node);
	struct buf record = {0};
	struct macho m = {0};
	uint32_t number;

	if (!node->dir && !macho_read(&m, data))
		die("%s: a fat Mach-O file whose table points outside of it", node->path);
	bom_common(&record, node,
		   BOM_FLAG_ALL | (m.count == 0 ? 0U : (m.fat ? BOM_FLAG_FAT : BOM_FLAG_THIN)),
		   mtime);
	if (!node->dir)
		buf_be32(&record, pack_cksum(data));
	if (m.count > 0) {
		buf_u8(&record, 1);
		buf_be32(&record, (uint32_t)m.count);
	} else if (!node->dir) {
		bom_count(totals, 0, data.len);
	}
	for (size_t i = 0; i < m.count; i++) {
		buf_be32(&record, m.arch[i].cpu);
		buf_be32(&record, m.arch[i].subtype);
		buf_be32(&record, (uint32_t)m.arch[i].slice.len);
		buf_be32(&record, pack_cksum(m.arch[i].slice));
		bom_count(totals, m.arch[i].cpu, m.arch[i].slice.len);
	}
	buf_be64(&record, 0);
	number = bom_add(b, &record);
	buf_free(&record);
	return number;
}

/* One entry of Paths: the record, and the blocks of value and key. */
static struct bom_pair bom_path(struct bom *b, const struct tree *t, size_t i, uint32_t mtime,
				struct bom_totals *totals)
{
	const struct tree_node *node = &t->nodes[i];
	uint32_t record = bom_record(b, node, mtime, totals);
	struct bom_pair pair;
	struct buf data = {0};

	buf_be32(&data, (uint32_t)i + 1);
	buf_be32(&data, record);
	pair.value = bom_add(b, &data);
	buf_be32(&data, i == 0 ? 0 : (uint32_t)node->parent + 1);
	buf_str(&data, i == 0 ? "." : node->name);
	buf_u8(&data, 0);
	pair.key = bom_add(b, &data);
	buf_free(&data);
	return pair;
}

static int bom_compare(const void *a, const void *b)
{
	const struct tree_node *x = *(const struct tree_node *const *)a;
	const struct tree_node *y = *(const struct tree_node *const *)b;
	size_t up_x = x->parent + 1, up_y = y->parent + 1; /* the root's is 0 */

	if (up_x != up_y)
		return up_x < up_y ? -1 : 1;
	return strcmp(x->name, y->name);
}

static void bom_paths(struct bom *b, const struct tree *t, uint32_t mtime)
{
	const struct tree_node **order = calloc(t->count, sizeof(*order));
	struct bom_pair *pairs = calloc(t->count, sizeof(*pairs));
	struct bom_totals totals = {.count = 1}; /* the row for no processor is always there */

	if (order == NULL || pairs == NULL)
		die("out of memory");
	for (size_t i = 0; i < t->count; i++)
		order[i] = &t->nodes[i];
	qsort(order, t->count, sizeof(*order), bom_compare);
	for (size_t i = 0; i < t->count; i++)
		pairs[i] = bom_path(b, t, (size_t)(order[i] - t->nodes), mtime, &totals);
	bom_info(b, &totals, t->count);
	bom_name(b, "Paths", bom_tree(b, pairs, t->count, BOM_NODE_SIZE));
	free(pairs);
	free(order);
}

static void bom_vindex(struct bom *b)
{
	struct buf vindex = {0};

	buf_be32(&vindex, 1);
	buf_be32(&vindex, bom_tree(b, NULL, 0, BOM_SMALL_NODE));
	buf_be32(&vindex, 0);
	buf_u8(&vindex, 0);
	bom_name(b, "VIndex", bom_add(b, &vindex));
	buf_free(&vindex);
}

void bom_write(struct buf *out, const struct tree *t, uint32_t mtime)
{
	struct bom b = {0};

	(void)bom_reserve(&b);
	bom_paths(&b, t, mtime);
	bom_name(&b, "HLIndex", bom_tree(&b, NULL, 0, BOM_NODE_SIZE));
	bom_vindex(&b);
	bom_name(&b, "Size64", bom_tree(&b, NULL, 0, BOM_NODE_SIZE));
	bom_finish(out, &b);
	free(b.block);
	buf_free(&b.heap);
	buf_free(&b.vars);
}
