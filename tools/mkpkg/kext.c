/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/mkpkg/kext.h"

#include <plist/plist.h>
#include <stdlib.h>
#include <string.h>

#include "tools/mkpkg/die.h"
#include "tools/mkpkg/macho.h"

#define KEXT_SUFFIX    ".kext"
#define KEXT_PLIST     "Contents/Info.plist"
#define KEXT_MAX_PLIST ((size_t)1 << 20)
#define KEXT_MAX_TEXT  200
#define KEXT_MAX_LIBS  64

/* The last part of a path, without slashes behind it. */
static char *kext_name(const char *path)
{
	size_t end = strlen(path), begin, n;
	char *name;

	while (end > 0 && path[end - 1] == '/')
		end--;
	for (begin = end; begin > 0 && path[begin - 1] != '/';)
		begin--;
	name = buf_print("%.*s", (int)(end - begin), path + begin);
	n = strlen(name);
	if (n <= strlen(KEXT_SUFFIX) || strcmp(name + n - strlen(KEXT_SUFFIX), KEXT_SUFFIX) != 0)
		die("%s: not named NAME" KEXT_SUFFIX, path);
	return name;
}

/* Letters that need no quoting anywhere: in XML, in a shell, in a path. */
static bool kext_plain(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n <= KEXT_MAX_TEXT &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n;
}

/* NULL when there is no such key. */
static char *kext_string(plist_t dict, const char *key, const char *path)
{
	plist_t item = plist_dict_get_item(dict, key);
	const char *text;

	if (item == NULL)
		return NULL;
	text = plist_get_node_type(item) == PLIST_STRING ? plist_get_string_ptr(item, NULL) : NULL;
	if (text == NULL || !kext_plain(text))
		die("%s/%s: %s is not a plain word", path, KEXT_PLIST, key);
	return buf_dup(text);
}

static char *kext_need(plist_t dict, const char *key, const char *path)
{
	char *text = kext_string(dict, key, path);

	if (text == NULL)
		die("%s/%s: no %s", path, KEXT_PLIST, key);
	return text;
}

static void kext_libraries(struct kext *k, plist_t dict, const char *path)
{
	plist_t libraries = plist_dict_get_item(dict, "OSBundleLibraries");
	plist_dict_iter iter = NULL;
	uint32_t count = 0;

	if (libraries != NULL && plist_get_node_type(libraries) != PLIST_DICT)
		die("%s/%s: OSBundleLibraries is not a dict", path, KEXT_PLIST);
	if (libraries != NULL)
		count = plist_dict_get_size(libraries);
	if (count > KEXT_MAX_LIBS)
		die("%s/%s: more than %d libraries", path, KEXT_PLIST, KEXT_MAX_LIBS);
	k->libraries = calloc((size_t)count + 1, sizeof(*k->libraries));
	if (k->libraries == NULL)
		die("out of memory");
	if (count == 0)
		return;
	plist_dict_new_iter(libraries, &iter);
	for (uint32_t i = 0; i < count; i++) {
		plist_t value;

		plist_dict_next_item(libraries, iter, &k->libraries[i], &value);
	}
	free(iter);
}

static void kext_info(struct kext *k, const char *path)
{
	const struct tree_node *node = tree_find(&k->tree, KEXT_PLIST);
	plist_t dict = NULL;
	char *text;

	if (node == NULL || node->dir)
		die("%s: no " KEXT_PLIST, path);
	if (node->data.len == 0 || node->data.len > KEXT_MAX_PLIST)
		die("%s/%s: empty or too big", path, KEXT_PLIST);
	plist_from_memory((const char *)node->data.data, (uint32_t)node->data.len, &dict);
	if (dict == NULL || plist_get_node_type(dict) != PLIST_DICT)
		die("%s/%s: not a property list with a dict", path, KEXT_PLIST);
	text = kext_need(dict, "CFBundlePackageType", path);
	if (strcmp(text, "KEXT") != 0)
		die("%s/%s: CFBundlePackageType is %s, not KEXT", path, KEXT_PLIST, text);
	free(text);
	k->id = kext_need(dict, "CFBundleIdentifier", path);
	k->version = kext_need(dict, "CFBundleVersion", path);
	k->short_version = kext_string(dict, "CFBundleShortVersionString", path);
	if (k->short_version == NULL)
		k->short_version = buf_dup(k->version);
	text = kext_need(dict, "CFBundleExecutable", path);
	k->executable = buf_print("Contents/MacOS/%s", text);
	free(text);
	kext_libraries(k, dict, path);
	plist_free(dict);
}

static void kext_program(struct kext *k, const char *path)
{
	const struct tree_node *node = tree_find(&k->tree, k->executable);
	struct macho m;

	if (node == NULL || node->dir)
		die("%s: no %s", path, k->executable);
	if (!macho_read(&m, tree_data(node)) || m.count == 0)
		die("%s/%s: not a Mach-O file", path, k->executable);
	k->i386 = macho_has(&m, MACHO_CPU_I386);
	k->x86_64 = macho_has(&m, MACHO_CPU_X86_64);
	if (!k->i386 && !k->x86_64)
		die("%s/%s: neither for i386 nor for x86_64", path, k->executable);
}

static void kext_read(struct kext *k, const char *path)
{
	k->name = kext_name(path);
	tree_init(&k->tree);
	tree_load(&k->tree, "", path);
	tree_close(&k->tree);
	kext_info(k, path);
	kext_program(k, path);
}

static int kext_compare(const void *a, const void *b)
{
	return strcmp(((const struct kext *)a)->id, ((const struct kext *)b)->id);
}

static bool kext_links(const struct kext *k, const struct kext *library)
{
	for (char **at = k->libraries; *at != NULL; at++)
		if (strcmp(*at, library->id) == 0)
			return true;
	return false;
}

/* Whether some kext from number first on, other than k, must come before it. */
static bool kext_waits(const struct kexts *all, size_t first, size_t k)
{
	for (size_t i = first; i < all->count; i++)
		if (i != k && kext_links(&all->kext[k], &all->kext[i]))
			return true;
	return false;
}

static void kext_order(struct kexts *all)
{
	qsort(all->kext, all->count, sizeof(all->kext[0]), kext_compare);
	for (size_t i = 0; i < all->count; i++) {
		struct kext taken;
		size_t k = i;

		while (k < all->count && kext_waits(all, i, k))
			k++;
		if (k == all->count)
			die("%s: it and other kexts need each other", all->kext[i].name);
		/* The rest keeps its order. */
		taken = all->kext[k];
		memmove(&all->kext[i + 1], &all->kext[i], (k - i) * sizeof(taken));
		all->kext[i] = taken;
	}
}

void kext_load(struct kexts *all, char *const *paths, size_t count)
{
	*all = (struct kexts){0};
	if (count > KEXT_MAX)
		die_usage("more than %d kexts", KEXT_MAX);
	for (size_t i = 0; i < count; i++) {
		kext_read(&all->kext[i], paths[i]);
		for (size_t k = 0; k < i; k++)
			if (strcmp(all->kext[k].id, all->kext[i].id) == 0)
				die("%s: same identifier as %s", paths[i], paths[k]);
		all->count++;
	}
	kext_order(all);
}

void kext_free(struct kexts *all)
{
	for (size_t i = 0; i < all->count; i++) {
		struct kext *k = &all->kext[i];

		for (char **at = k->libraries; *at != NULL; at++)
			free(*at);
		free(k->libraries);
		free(k->name);
		free(k->id);
		free(k->version);
		free(k->short_version);
		free(k->executable);
		tree_free(&k->tree);
	}
	all->count = 0;
}

void kext_put(struct tree *t, const char *into, const struct kext *k)
{
	for (size_t i = 1; i < k->tree.count; i++) {
		const struct tree_node *node = &k->tree.nodes[i];
		char *path =
			buf_print("%s%s%s/%s", into, *into != '\0' ? "/" : "", k->name, node->path);

		if (node->dir)
			tree_put_dir(t, path);
		else
			tree_put(t, path, node->executable, tree_data(node));
		free(path);
	}
}
