/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/mkpkg/output.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/mkpkg/buf.h"
#include "tools/mkpkg/die.h"

static bool output_all(int fd, struct span data)
{
	for (size_t at = 0; at < data.len;) {
		ssize_t n = write(fd, data.data + at, data.len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		at += (size_t)n;
	}
	return fchmod(fd, 0644) == 0;
}

void output_write(const char *path, struct span data)
{
	char *temp = buf_print("%s.XXXXXX", path);
	int fd = mkstemp(temp), err;
	bool good;

	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	good = output_all(fd, data);
	err = errno;
	if (close(fd) != 0 && good) {
		good = false;
		err = errno;
	}
	if (good && rename(temp, path) != 0) {
		good = false;
		err = errno;
	}
	if (!good) {
		(void)unlink(temp);
		die("%s: %s", path, strerror(err));
	}
	free(temp);
}
