/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A child process that cannot outlive us, and the register of those alive.
 */
#ifndef USER_CHILD_H
#define USER_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "vio/os.h"

#define CHILD_MAX     64u
#define CHILD_DIR_MAX 128u

struct child {
	pid_t pid;   /* 0: none, or reaped */
	int slot;    /* in the register; -1: none */
	bool exited; /* status is what waitpid said */
	int status;
};

struct child_spec {
	const char *path; /* of the executable, already looked up */
	char *const *argv;
	int out_fd;	/* becomes standard output and error; standard input is /dev/null */
	const int *fds; /* inherited under the same numbers (3 and up); all else is closed */
	unsigned n_fds;
	const char *dir;	  /* temporary directory that goes with the child ... */
	const char *const *files; /* ... and what may be in it, NULL-terminated, static */
};

/* Look name up in $PATH as a shell does; false: not there or not executable. */
bool child_lookup(const char *name, char *path, size_t size);
/* VIO_ENOMEM, VIO_EINVAL (dir too long), VIO_ENODEV (cannot be executed; *sys_errno says why). */
int child_spawn(struct child *c, const struct child_spec *spec, int *sys_errno) VIO_MUST_CHECK;
/* Whether it still runs; reaps it when not. */
bool child_alive(struct child *c);
/* Wait for its end, at most ms; false: still there. */
bool child_wait(struct child *c, unsigned ms);
/* SIGTERM, ms to comply, SIGKILL; reaped afterwards. */
void child_end(struct child *c, unsigned ms);

/* Remove dir and those of files that are in it. Async-signal-safe. */
void child_remove_dir(const char *dir, const char *const *files);
/* SIGKILL all children there are, remove their directories. Async-signal-safe. */
void child_kill_all(void);

#endif
