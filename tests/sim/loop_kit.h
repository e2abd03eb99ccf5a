/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For tests of the simulated kernel's loops and power: a process per test, for the release it is
 * about, and a log of what happened. A violation ends the process, with a line that the test names.
 */
#ifndef TESTS_SIM_LOOP_KIT_H
#define TESTS_SIM_LOOP_KIT_H

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern "C" {
#include <cmocka.h>
}
/* cmocka's, and a collection's. */
#undef fail

#include "guest/ports/xnu/kpi/kernel.h"
#include "guest/ports/xnu/kpi/workloop.h"
#include "sim/macos/iokit/catalogue.h"
#include "sim/macos/loop/loop.h"
#include "sim/macos/loop/power.h"
#include "sim/macos/mac.h"
#include "sim/macos/sim.h"

#define CHECK(what)                                                                                \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);                 \
			_exit(3);                                                                  \
		}                                                                                  \
	} while (0)

/* ---- a process per test ---- */

static inline void run_child(int release, void (*body)())
{
	/* cmocka's handlers would go on with the next test, in this process. */
	signal(SIGSEGV, SIG_DFL);
	signal(SIGABRT, SIG_DFL);
	alarm(50);
	sim_config.release = release;
	sim_config.boot_args = "";
	sim_config.seed = static_cast<unsigned>(release);
	sim_attempt_refusals = 0;
	sim_enter("the test");
	sim_power_boot();
	sim_iokit_boot();
	body();
	sim_iokit_halt();
	sim_power_halt();
	sim_exit();
	for (int i = 0; sim_threads() && i < 2000; i++)
		usleep(1000);
	CHECK(sim_threads() == 0);
	_exit(0);
}

/* message: what a violation says, or 0 for none. */
static inline void run(int release, void (*body)(), const char *message)
{
	char text[8192] = "";
	size_t len = 0;
	ssize_t n;
	int fds[2], status = 0;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		run_child(release, body);
	}
	close(fds[1]);
	while ((n = read(fds[0], text + len, sizeof(text) - 1 - len)) > 0)
		len += static_cast<size_t>(n);
	text[len] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (message) {
		if (!strstr(text, message))
			print_error("expected '%s', got:\n%s\n", message, text);
		assert_true(WIFSIGNALED(status));
		assert_non_null(strstr(text, message));
		assert_non_null(strstr(text, "sim: violation: "));
	} else {
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			print_error("status %#x: %s\n", static_cast<unsigned>(status), text);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

/* ---- what happened ---- */

static pthread_mutex_t events_lock = PTHREAD_MUTEX_INITIALIZER;
static char events[2048];

static inline void note(const char *format, ...)
{
	va_list ap;
	size_t len;

	pthread_mutex_lock(&events_lock);
	len = strlen(events);
	va_start(ap, format);
	vsnprintf(events + len, sizeof(events) - len, format, ap);
	va_end(ap);
	pthread_mutex_unlock(&events_lock);
}

/* The events so far, and none from now on. */
static inline const char *noted()
{
	static char copy[sizeof(events)];

	pthread_mutex_lock(&events_lock);
	memcpy(copy, events, sizeof(copy));
	events[0] = '\0';
	pthread_mutex_unlock(&events_lock);
	return copy;
}

static inline bool wait_for(volatile int *what, int value)
{
	for (int i = 0; i < 5000; i++) {
		if (__atomic_load_n(what, __ATOMIC_SEQ_CST) == value)
			return true;
		usleep(1000);
	}
	return false;
}

static inline bool noted_is(const char *expected)
{
	const char *got = noted();

	if (!strcmp(got, expected))
		return true;
	fprintf(stderr, "expected: %s\ngot:      %s\n", expected, got);
	return false;
}

#endif
