/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/kextld/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a kext links in one piece is far smaller. */
enum { FILE_MAX = 256 << 20 };

static enum file_result file_bad(const char *path, const char *why)
{
	fprintf(stderr, "kextld: %s: %s\n", path, why);
	return FILE_FAILED;
}

static enum file_result file_read_fd(int fd, const char *path, uint8_t **data, size_t *len)
{
	size_t room = 64 * 1024, used = 0;
	uint8_t *all = malloc(room);

	while (all) {
		ssize_t n = read(fd, all + used, room - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			free(all);
			return file_bad(path, strerror(errno));
		}
		if (n == 0) {
			*data = all;
			*len = used;
			return FILE_OK;
		}
		used += (size_t)n;
		if (used > FILE_MAX) {
			free(all);
			return file_bad(path, "too large");
		}
		if (used == room) {
			uint8_t *more = realloc(all, room * 2);

			if (!more)
				free(all);
			all = more;
			room *= 2;
		}
	}
	return file_bad(path, "out of memory");
}

enum file_result file_read(const char *path, uint8_t **data, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	enum file_result result;

	if (fd < 0) {
		bool missing = errno == ENOENT || errno == ENOTDIR || errno == EACCES;

		file_bad(path, strerror(errno));
		return missing ? FILE_MISSING : FILE_FAILED;
	}
	result = file_read_fd(fd, path, data, len);
	close(fd);
	return result;
}

static bool file_put(int fd, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

static bool file_write_into(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && file_put(fd, data, len);

	if (fd >= 0 && close(fd) < 0)
		ok = false;
	return ok;
}

bool file_write(const char *path, const void *data, size_t len)
{
	struct stat st;
	size_t room = strlen(path) + sizeof(".XXXXXX");
	char *temp;
	mode_t mask;
	int fd;
	bool ok;

	if (!stat(path, &st) && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
		ok = file_write_into(path, data, len);
		if (!ok)
			file_bad(path, strerror(errno));
		return ok;
	}
	temp = malloc(room);
	if (!temp) {
		file_bad(path, "out of memory");
		return false;
	}
	snprintf(temp, room, "%s.XXXXXX", path);
	fd = mkstemp(temp);
	if (fd < 0) {
		file_bad(path, strerror(errno));
		free(temp);
		return false;
	}
	mask = umask(0);
	umask(mask);
	ok = file_put(fd, data, len) && !fchmod(fd, 0666 & ~mask);
	if (close(fd) < 0)
		ok = false;
	ok = ok && !rename(temp, path);
	if (!ok) {
		file_bad(path, strerror(errno));
		unlink(temp);
	}
	free(temp);
	return ok;
}
