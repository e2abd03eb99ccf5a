/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A case in a child: its words are kept, and shown if it did not end as it should.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/mac/mac_rig.h"

#define WORDS 16384u

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void in_child(void (*run)(void *arg), void *arg, int words)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)setpgid(0, 0);
	(void)dup2(words, STDERR_FILENO);
	(void)dup2(words, STDOUT_FILENO);
	(void)prctl(PR_SET_TIMERSLACK, 1000ul, 0ul, 0ul, 0ul);
	run(arg);
	(void)fflush(NULL);
	_exit(0);
}

/* What it says, until it ends or its time is over; the last part if it is much. */
static size_t listen_to(int from, char *words, uint64_t end)
{
	size_t len = 0;

	for (;;) {
		struct pollfd fd = {.fd = from, .events = POLLIN};
		uint64_t now = now_ms();
		ssize_t n;

		if (now >= end || (poll(&fd, 1, (int)(end - now)) < 0 && errno != EINTR))
			return len;
		if (!fd.revents)
			continue;
		if (len > WORDS / 2) {
			memmove(words, words + len - WORDS / 4, WORDS / 4);
			len = WORDS / 4;
		}
		n = read(from, words + len, WORDS - 1 - len);
		if (n <= 0)
			return len;
		len += (size_t)n;
	}
}

/* The status as waitpid gives it; -1: it was too slow. */
static int run_case(void (*run)(void *arg), void *arg, unsigned seconds, char *words)
{
	uint64_t end = now_ms() + seconds * UINT64_C(1000);
	int pipes[2], status = 0;
	size_t len;
	pid_t pid;

	assert_int_equal(pipe(pipes), 0);
	(void)fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)close(pipes[0]);
		in_child(run, arg, pipes[1]);
	}
	(void)close(pipes[1]);
	len = listen_to(pipes[0], words, end);
	words[len] = '\0';
	(void)close(pipes[0]);
	/* It may have closed its mouth and go on. */
	while (waitpid(pid, &status, WNOHANG) == 0) {
		const struct timespec nap = {.tv_nsec = 2000000};

		if (now_ms() >= end) {
			(void)kill(-pid, SIGKILL);
			(void)kill(pid, SIGKILL);
			(void)waitpid(pid, &status, 0);
			return -1;
		}
		(void)nanosleep(&nap, NULL);
	}
	(void)kill(-pid, SIGKILL); /* whatever it left */
	return status;
}

static const char *ending(int status, char *text, size_t len)
{
	if (status == -1)
		(void)snprintf(text, len, "was not over in time");
	else if (WIFSIGNALED(status))
		(void)snprintf(text, len, "ended by signal %d", WTERMSIG(status));
	else
		(void)snprintf(text, len, "exit %d", WEXITSTATUS(status));
	return text;
}

void mac_rig_case(void (*run)(void *arg), void *arg, unsigned seconds)
{
	static char words[WORDS];
	char text[64];
	int status = run_case(run, arg, seconds, words);

	if (status == 0)
		return;
	(void)fprintf(stderr, "%s\n", words);
	fail_msg("the case %s", ending(status, text, sizeof(text)));
}

void mac_rig_case_fails(void (*run)(void *arg), void *arg, unsigned seconds, const char *expected)
{
	static char words[WORDS];
	char text[64];
	int status = run_case(run, arg, seconds, words);

	if (status != 0 && (!expected || strstr(words, expected)))
		return;
	(void)fprintf(stderr, "%s\n", words);
	fail_msg("the case should have failed with '%s', but: %s", expected ? expected : "anything",
		 ending(status, text, sizeof(text)));
}
