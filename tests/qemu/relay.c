/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "tests/qemu/relay.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "tests/user/cm.h"

#define FRAME_MAX 65600u
#define BATCH	  64

static void relay_carry(struct relay *r, int from)
{
	static uint8_t frame[FRAME_MAX];

	for (int i = 0; i < BATCH; i++) {
		ssize_t n = read(r->ends[from], frame, sizeof(frame));

		if (n <= 0)
			return;
		r->frames[from] += write(r->ends[!from], frame, (size_t)n) == n;
	}
}

static void *relay_run(void *arg)
{
	struct relay *r = arg;
	struct pollfd p[3] = {
		{.fd = r->ends[0], .events = POLLIN},
		{.fd = r->ends[1], .events = POLLIN},
		{.fd = r->stop[0], .events = POLLIN},
	};

	while (poll(p, 3, -1) >= 0 && !p[2].revents) {
		relay_carry(r, 0);
		relay_carry(r, 1);
	}
	return NULL;
}

void relay_start(struct relay *r, int a, int b)
{
	*r = (struct relay){.ends = {a, b}};
	assert_int_equal(pipe2(r->stop, O_CLOEXEC), 0);
	assert_int_equal(pthread_create(&r->thread, NULL, relay_run, r), 0);
}

void relay_stop(struct relay *r)
{
	(void)close(r->stop[1]); /* hangs up */
	(void)pthread_join(r->thread, NULL);
	(void)close(r->stop[0]);
}
