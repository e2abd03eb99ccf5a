/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "tools/guest/boot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BOOT_MODULES "/modules"

void boot_off(void)
{
	(void)fflush(stdout);
	sync();
	(void)reboot(RB_POWER_OFF);
	for (;;)
		(void)pause();
}

void boot_fail(const char *fmt, ...)
{
	int error = errno;
	va_list ap;

	printf("\nguest: error: ");
	va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	va_end(ap);
	printf(" (%s)\n", strerror(error));
	boot_off();
}

void boot_nap(unsigned ms)
{
	const struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	(void)nanosleep(&ts, NULL);
}

static void boot_load(const char *name)
{
	char path[300];
	int fd;

	(void)snprintf(path, sizeof(path), BOOT_MODULES "/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST))
		boot_fail("module %s", name);
	(void)close(fd);
}

static int boot_visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

void boot_start(void)
{
	struct dirent **names;
	int n;

	(void)mount("dev", "/dev", "devtmpfs", 0, NULL);
	(void)mount("proc", "/proc", "proc", 0, NULL);
	(void)mount("sys", "/sys", "sysfs", 0, NULL);
	n = scandir(BOOT_MODULES, &names, boot_visible, alphasort);
	if (n < 0)
		boot_fail(BOOT_MODULES);
	for (int i = 0; i < n; i++) {
		boot_load(names[i]->d_name);
		free(names[i]);
	}
	free(names);
}
