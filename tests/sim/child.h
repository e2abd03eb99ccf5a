/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A Mac can be switched on once per process, and a mistake ends it: what these tests do with one
 * they do in a child, of which stderr is kept, and shown only if it did not end as it should.
 */
#ifndef TESTS_SIM_CHILD_H
#define TESTS_SIM_CHILD_H

#include <errno.h>
#include <functional>
#include <pthread.h>
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
#include "guest/ports/xnu/kpi/kernel.h"
#include "sim/macos/mac.h"
#include "sim/macos/sim.h"

#define RAM_SIZE (96u << 20)
#define RAM_LOW	 (1u << 20)

/* How long a child may take, and how long it waits for one thing: long, for a loaded machine. */
#define CHILD_LIMIT_S 50u
#define WAIT_MS	      20000u

/* ---- in the child; cmocka's assertions do not work there ---- */

#define CHECK(x)                                                                                   \
	do {                                                                                       \
		if (!(x))                                                                          \
			child_fail(__FILE__, __LINE__, #x);                                        \
	} while (0)

/* From any thread. */
[[noreturn]] void child_fail(const char *file, int line, const char *what);

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

/* For mac_boot(): that much memory, and a log that nobody sees. */
struct mac_config child_mac(int release, size_t ram);

/* Wait until it is so. False: not within WAIT_MS. */
bool child_wait(const std::function<bool()> &so);

/* For a violation of another thread: it, or the time limit, ends the child. */
[[noreturn]] void child_wait_for_end();

/* ---- a diary: what happened, in order, with a space between; any thread ---- */

void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *diary();
void diary_clear();

/* Whether that is all of it; it is empty afterwards. */
bool noted(const char *all);
/* The same, once it is so. */
bool noted_soon(const char *all);

/* ---- around the child ---- */

typedef std::function<void()> child_body;

/* Its wait status: 0 if the body has returned. What it said is in child_said(), up to the next. */
int child_run(const child_body &body);
const char *child_said();
void child_assert_worked(int status, const char *which);

/* `which` is for messages: which case of several it was that did not do as it should. */
void child_works(const child_body &body, const char *which = "");
void child_violates(const child_body &body, const char *words, const char *which = "");

/* "10.9: " */
const char *child_release(int release);

/* On a Mac of that release, switched on before and off after: nothing must be left. */
void runs(int release, const child_body &body);
void dies(int release, const child_body &body, const char *words);

#endif
