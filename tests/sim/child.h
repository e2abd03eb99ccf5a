/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A Mac can be switched on once per process: every test here does it in a child of its own. Those
 * that are about a mistake look for the violation on the child's stderr.
 */
#ifndef TESTS_SIM_CHILD_H
#define TESTS_SIM_CHILD_H

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern "C" {
#include <cmocka.h>
}

#include "guest/ports/xnu/kpi/kernel.h"
#include "guest/ports/xnu/kpi/netinterface.h"
#include "sim/macos/bsd/bsd.h"
#include "sim/macos/bsd/mbuf.h"
#include "sim/macos/mac.h"
#include "sim/macos/sim.h"

#define RAM_SIZE (96u << 20)
#define RAM_LOW	 (1u << 20)
#define WAIT_MS	 5000u

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                 \
			_exit(2);                                                                  \
		}                                                                                  \
	} while (0)

/* ---- children ---- */

static inline void boot(int release)
{
	struct mac_config config = {};

	config.release = release;
	config.seed = 1;
	config.quiet = true;
	config.ram.base = static_cast<uint8_t *>(mmap(nullptr, RAM_SIZE, PROT_READ | PROT_WRITE,
						      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	config.ram.first = RAM_LOW;
	config.ram.end = RAM_SIZE;
	CHECK(config.ram.base != MAP_FAILED);
	CHECK(mac_boot(&config) == 0 && mac_quiet(WAIT_MS));
}

static inline int in_child(int release, void (*body)(void), char *text, size_t len)
{
	int fds[2], status = 0;
	size_t n = 0;
	ssize_t got;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		boot(release);
		body();
		_exit(mac_halt(stderr) ? 3 : 0);
	}
	close(fds[1]);
	while (n < len - 1 && (got = read(fds[0], text + n, len - 1 - n)) > 0)
		n += static_cast<size_t>(got);
	text[n] = 0;
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static inline void runs(int release, void (*body)(void))
{
	char text[8192];
	int status = in_child(release, body, text, sizeof(text));

	if (status != 0)
		fail_msg("release %d: status %#x\n%s", release, static_cast<unsigned>(status),
			 text);
}

static inline void dies(int release, void (*body)(void), const char *why)
{
	char text[8192];
	int status = in_child(release, body, text, sizeof(text));

	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || !strstr(text, why))
		fail_msg("release %d: status %#x, no \"%s\" in\n%s", release,
			 static_cast<unsigned>(status), why, text);
}

/* In the kernel, as a driver's thread is. */
struct inside {
	inside()
	{
		sim_enter("test");
	}
	~inside()
	{
		sim_exit();
	}
};

static inline unsigned count(mbuf_t m)
{
	unsigned n = 0;

	for (; m; m = mbuf_next(m))
		n++;
	return n;
}

#endif
