/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clockstep: a wall clock that a test can step, for one process (LD_PRELOAD).
 *
 * Seconds to add to CLOCK_REALTIME are a decimal text at the beginning of the file CLOCKSTEP_FILE;
 * it is read at each call. The monotonic clocks stay as they are, as they do when an administrator
 * sets the time.
 */
/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): libc's names are reserved */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long clockstep_offset(void)
{
	const char *path = getenv("CLOCKSTEP_FILE");
	char text[32];
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		(void)close(fd);
	if (got <= 0)
		return 0;
	text[got] = '\0';
	return strtol(text, NULL, 10);
}

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	int got = (int)syscall(SYS_clock_gettime, clock, ts);

	if (got == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		ts->tv_sec += clockstep_offset();
	return got;
}

time_t time(time_t *out)
{
	struct timespec ts;
	time_t now = clock_gettime(CLOCK_REALTIME, &ts) == 0 ? ts.tv_sec : (time_t)-1;

	if (out)
		*out = now;
	return now;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec ts;

	(void)zone;
	if (clock_gettime(CLOCK_REALTIME, &ts) < 0)
		return -1;
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return 0;
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
