/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A package is a xar archive; a component's Payload in it is a gzipped cpio archive. libarchive
 * reads both. Two rules for what is in a file that may come from anywhere: only names that look
 * like those of a kext are written, and only into a directory of our own.
 */
#define _GNU_SOURCE
#include "tools/viorun/package.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <ftw.h>
#include <glob.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX  (16u << 20) /* of anything in it */
#define BLOCK	  65536u
#define SLE_UP_TO 9u /* 10.9 refuses unsigned kexts in /Library/Extensions */

__attribute__((format(printf, 2, 3))) static bool fail(struct package *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(p->err, sizeof(p->err), fmt, ap);
	va_end(ap);
	return false;
}

static bool is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The build folder is two above this program's: build/tools/viorun/viorun. */
static bool find_default(struct package *p)
{
	char exe[PATH_MAX], pattern[PATH_MAX + 32];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	glob_t found;
	bool ok;

	if (n <= 0)
		return fail(p, "cannot find this program's own place: %s", strerror(errno));
	exe[n] = '\0';
	for (unsigned up = 0; up < 3; up++) {
		char *slash = strrchr(exe, '/');

		if (slash)
			*slash = '\0';
	}
	(void)snprintf(pattern, sizeof(pattern), "%s/viokit-*.pkg", exe);
	ok = glob(pattern, 0, NULL, &found) == 0 && found.gl_pathc > 0;
	if (ok)
		(void)snprintf(p->from, sizeof(p->from), "%s", found.gl_pathv[found.gl_pathc - 1]);
	globfree(&found);
	if (!ok)
		return fail(p, "no installer package in %.120s: make pkg builds it", exe);
	return true;
}

/* ---- writing ---- */

static bool name_is_good(const char *name)
{
	return strstr(name, ".kext/Contents") && !strstr(name, "..") && name[0] != '/' &&
	       strlen(name) < 200;
}

static bool make_folders(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0755) != 0 && errno != EEXIST)
			return false;
		*slash = '/';
	}
	return true;
}

static bool write_file(struct package *p, struct archive *from, const char *name)
{
	static char block[BLOCK];
	char path[512];
	FILE *out;
	size_t total = 0;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "%s/%s", p->dir, name);
	if (!make_folders(path))
		return fail(p, "cannot write %.200s: %s", path, strerror(errno));
	out = fopen(path, "wbx");
	if (!out)
		return fail(p, "cannot write %.200s: %s", path, strerror(errno));
	while ((n = archive_read_data(from, block, sizeof(block))) > 0) {
		total += (size_t)n;
		if (total > FILE_MAX || fwrite(block, 1, (size_t)n, out) != (size_t)n)
			break;
	}
	if (fclose(out) != 0 || n != 0)
		return fail(p, "%.100s: damaged, or larger than it should be", name);
	return true;
}

static bool unpack_payload(struct package *p, const void *payload, size_t len)
{
	struct archive *a = archive_read_new();
	struct archive_entry *entry;
	unsigned files = 0;
	bool ok = a != NULL;

	if (ok) {
		archive_read_support_filter_gzip(a);
		archive_read_support_format_cpio(a);
		ok = archive_read_open_memory(a, payload, len) == ARCHIVE_OK ||
		     fail(p, "%.100s: the payload is damaged", p->component);
	}
	while (ok && archive_read_next_header(a, &entry) == ARCHIVE_OK) {
		const char *name = archive_entry_pathname(entry);

		if (name && !strncmp(name, "./", 2))
			name += 2;
		if (!name || archive_entry_filetype(entry) != AE_IFREG || !name_is_good(name))
			continue;
		ok = write_file(p, a, name);
		files++;
	}
	archive_read_free(a);
	if (ok && !files)
		return fail(p, "%.100s: no kext in it", p->component);
	return ok;
}

/* All of an entry; the caller's to free. */
static void *read_entry(struct archive *a, size_t *len)
{
	uint8_t *all = malloc(FILE_MAX);
	ssize_t n = 0;

	*len = 0;
	while (all && *len < FILE_MAX &&
	       (n = archive_read_data(a, all + *len, FILE_MAX - *len)) > 0)
		*len += (size_t)n;
	if (n < 0 || *len == FILE_MAX) {
		free(all);
		return NULL;
	}
	return all;
}

static bool unpack_package(struct package *p, unsigned release)
{
	const char *component = release <= SLE_UP_TO ? "VirtioKextsSLE.pkg" : "VirtioKextsLE.pkg";
	struct archive *a = archive_read_new();
	struct archive_entry *entry;
	bool found = false, ok = a != NULL;
	char want[160];

	(void)snprintf(p->component, sizeof(p->component), "%s", component);
	(void)snprintf(want, sizeof(want), "%s/Payload", component);
	if (ok) {
		archive_read_support_filter_all(a);
		archive_read_support_format_xar(a);
		ok = archive_read_open_filename(a, p->from, BLOCK) == ARCHIVE_OK ||
		     fail(p, "%.120s: %.80s", p->from, archive_error_string(a));
	}
	while (ok && !found && archive_read_next_header(a, &entry) == ARCHIVE_OK) {
		const char *name = archive_entry_pathname(entry);
		void *payload;
		size_t len;

		if (!name || strcmp(name, want) != 0)
			continue;
		found = true;
		payload = read_entry(a, &len);
		ok = payload ? unpack_payload(p, payload, len)
			     : fail(p, "%.120s: %s cannot be read", p->from, want);
		free(payload);
	}
	archive_read_free(a);
	if (ok && !found)
		return fail(p, "%.120s: no %s in it: not an installer package of viokit?", p->from,
			    want);
	return ok;
}

bool package_open(struct package *p, const char *path, unsigned release)
{
	*p = (struct package){.err = ""};
	if (path)
		(void)snprintf(p->from, sizeof(p->from), "%s", path);
	else if (!find_default(p))
		return false;
	if (access(p->from, R_OK) != 0)
		return fail(p, "cannot read %.150s: %s", p->from, strerror(errno));
	if (is_folder(p->from))
		return true;
	(void)snprintf(p->dir, sizeof(p->dir), "/tmp/viorun-kexts-XXXXXX");
	if (!mkdtemp(p->dir)) {
		p->dir[0] = '\0';
		return fail(p, "no temporary directory: %s", strerror(errno));
	}
	return unpack_package(p, release);
}

bool package_kext(struct package *p, const char *name, char *path, size_t len)
{
	int n = snprintf(path, len, "%s/%s.kext", p->dir[0] ? p->dir : p->from, name);

	if (n > 0 && (size_t)n < len && is_folder(path))
		return true;
	return fail(p, "no %s.kext in %.150s", name, p->from);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void package_close(struct package *p)
{
	if (p->dir[0])
		(void)nftw(p->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	p->dir[0] = '\0';
}
