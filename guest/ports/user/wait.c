/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "guest/ports/user/wait.h"

#define CONNECT_RETRY_US 1000u

uint64_t wait_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t wait_deadline_us(uint64_t us)
{
	return wait_now_us() + us;
}

uint64_t wait_deadline_ms(unsigned ms)
{
	return wait_now_us() + (uint64_t)ms * 1000;
}

bool wait_over(uint64_t deadline)
{
	return wait_now_us() >= deadline;
}

static uint64_t left(uint64_t deadline)
{
	uint64_t now = wait_now_us();

	return deadline > now ? deadline - now : 0;
}

static struct timespec timespec_of(uint64_t us)
{
	return (struct timespec){.tv_sec = (time_t)(us / 1000000),
				 .tv_nsec = (long)(us % 1000000 * 1000)};
}

void wait_sleep(uint64_t us, uint64_t deadline)
{
	uint64_t most = left(deadline);
	struct timespec t = timespec_of(us < most ? us : most);

	/* A signal may cut it short: callers loop on their deadline anyway. */
	nanosleep(&t, NULL);
}

bool wait_fd(int fd, short events, uint64_t deadline)
{
	for (;;) {
		struct pollfd p = {.fd = fd, .events = events};
		struct timespec t = timespec_of(left(deadline));
		int n = ppoll(&p, 1, &t, NULL);

		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
		if (wait_over(deadline))
			return false;
	}
}

int wait_connect(const char *path, uint64_t deadline, bool (*alive)(void *arg), void *arg, int *fd)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	size_t len = strlen(path);

	if (len >= sizeof(sa.sun_path))
		return VIO_EINVAL;
	memcpy(sa.sun_path, path, len + 1);
	for (;;) {
		int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (s < 0)
			return VIO_ENOMEM;
		if (!connect(s, (const struct sockaddr *)&sa, sizeof(sa))) {
			*fd = s;
			return VIO_OK;
		}
		close(s);
		if (alive && !alive(arg))
			return VIO_ENODEV;
		if (wait_over(deadline))
			return VIO_ETIMEDOUT;
		wait_sleep(CONNECT_RETRY_US, deadline);
	}
}
