/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way to the daemon.
 *
 * Theory of operation. A socket that answers is all there is to see of a running daemon. If there
 * is none, one is started: under a lock in the runtime folder, so that of many clients that find
 * none only one starts it, and the others find it when they get the lock. The new process is a
 * session of its own, with nothing of ours open; its standard error is a memory file, which holds
 * the reason if it ends before its socket answers.
 *
 * The folder is looked at before anything in it is used: it must be ours, or root's, or one that
 * the user named, and only its owner may write to it. So in a shared place like /tmp nobody can put
 * a socket in our way.
 */
#include "host/client/start.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_WAIT_MS	 5000
#define START_STEP_MS	 10
#define START_REAP_STEPS 50

bool start_fail(struct vmnet_error *err, enum vmnet_fault fault, const char *fmt, ...)
{
	va_list args;

	err->fault = fault;
	err->lost = false;
	va_start(args, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	return false;
}

int64_t start_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void nap(void)
{
	nanosleep(&(struct timespec){0, START_STEP_MS * 1000000L}, NULL);
}

bool vmnet_runtime_dir(char *out, size_t size, struct vmnet_error *err)
{
	const char *own = getenv("VMNET_RUNTIME_DIR"), *xdg = getenv("XDG_RUNTIME_DIR");
	int n;

	if (own && *own && *own != '/')
		return start_fail(err, VMNET_USER,
				  "VMNET_RUNTIME_DIR is \"%.100s\"; it must be a path that begins "
				  "with /",
				  own);
	if (own && *own)
		n = snprintf(out, size, "%s", own);
	else if (xdg && *xdg == '/')
		n = snprintf(out, size, "%s/vmnet", xdg);
	else if (geteuid() == 0)
		n = snprintf(out, size, "/run/vmnet");
	else
		n = snprintf(out, size, "/tmp/vmnet-%lu", (unsigned long)geteuid());
	if (n < 0 || (size_t)n >= size)
		return start_fail(err, VMNET_USER, "the path of the runtime folder is too long");
	return true;
}

/* Ours or root's, unless it was chosen, and written to by nobody but its owner. */
static bool dir_check(const char *dir, bool chosen, bool *absent, uid_t *owner,
		      struct vmnet_error *err)
{
	struct stat st;

	*absent = false;
	*owner = geteuid();
	if (lstat(dir, &st) != 0) {
		*absent = errno == ENOENT;
		return *absent || start_fail(err, errno == EACCES ? VMNET_USER : VMNET_SYSTEM,
					     "%s: %s", dir, strerror(errno));
	}
	if (!S_ISDIR(st.st_mode))
		return start_fail(err, VMNET_SYSTEM, "%s is no folder", dir);
	*owner = st.st_uid;
	if (!chosen && st.st_uid != geteuid() && st.st_uid != 0)
		return start_fail(err, VMNET_SYSTEM,
				  "%s belongs to user %lu, not to you: it is not used", dir,
				  (unsigned long)st.st_uid);
	if (st.st_mode & 022)
		return start_fail(err, VMNET_SYSTEM,
				  "%s may be written to by others (mode %04o): make it 0700", dir,
				  (unsigned)(st.st_mode & 07777));
	return true;
}

/* A connected socket, or the errno, negative. */
static int try_connect(const struct sockaddr_un *to)
{
	static const struct timeval wait = {.tv_sec = START_WAIT_MS / 1000};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), why;

	if (fd < 0)
		return -errno;
	/* A full backlog makes connect wait; not for ever. */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) == 0)
		return fd;
	why = errno;
	close(fd);
	return -why;
}

/* The program to start: a path with a slash, the caller's to free. */
static char *find_program(const char *given, struct vmnet_error *err)
{
	static const char own[] = "/proc/self/exe";
	char exe[4096], candidate[4096];
	const char *path, *base, *end;
	ssize_t n;

	if (given)
		return strdup(given);
	n = readlink(own, exe, sizeof(exe) - 1);
	if (n > 0) {
		exe[n] = 0;
		base = strrchr(exe, '/');
		/* Replaced by an upgrade while we run, it can be started by this name only. */
		if (base && !strcmp(base, "/vmnet (deleted)"))
			return strdup(own);
		if (base && !strcmp(base, "/vmnet"))
			return strdup(exe);
	}
	for (path = getenv("PATH"); path && *path; path = *end ? end + 1 : end) {
		end = strchrnul(path, ':');
		snprintf(candidate, sizeof(candidate), "%.*s/vmnet", (int)(end - path), path);
		if (end > path && access(candidate, X_OK) == 0)
			return strdup(candidate);
	}
	start_fail(err, VMNET_SYSTEM,
		   "no daemon is running, and the program vmnet is not in PATH to start one");
	return NULL;
}

static void close_from(int first)
{
	if (syscall(SYS_close_range, (unsigned)first, ~0u, 0u) == 0)
		return;
	for (int fd = first; fd < 1024; fd++)
		close(fd);
}

/* In the child of a process that may have threads: nothing but system calls. */
__attribute__((noreturn)) static void become_daemon(const char *program, int log)
{
	char *argv[] = {(char *)"vmnet", (char *)"daemon", NULL};
	struct sigaction plain = {.sa_handler = SIG_DFL};
	sigset_t none;
	int null;

	setsid();
	for (int sig = 1; sig < 32; sig++)
		sigaction(sig, &plain, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	null = open("/dev/null", O_RDWR);
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(log, 2) < 0)
		_exit(126);
	close_from(3);
	execv(program, argv);
	_exit(127);
}

/* What the daemon wrote before it gave up: its last line, without our common name before it. */
static void say_why(const char *program, int log, int status, struct vmnet_error *err)
{
	char text[VMNET_ERROR_MAX], *line;
	ssize_t n = pread(log, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = 0;
	while (n > 0 && text[n - 1] == '\n')
		text[--n] = 0;
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	if (!strncmp(line, "vmnet daemon: ", 14))
		line += 14;
	else if (!strncmp(line, "vmnet: ", 7))
		line += 7;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127 && !*line)
		start_fail(err, VMNET_SYSTEM, "%s cannot be started as daemon", program);
	else if (*line)
		start_fail(err,
			   WIFEXITED(status) && WEXITSTATUS(status) == 2 ? VMNET_USER
									 : VMNET_SYSTEM,
			   "the daemon did not start: %.400s", line);
	else
		start_fail(err, VMNET_SYSTEM, "the daemon did not start (%s %d)",
			   WIFSIGNALED(status) ? "signal" : "status",
			   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

/* Start it and wait until it answers. */
static int start(const char *program, const struct sockaddr_un *to, int64_t deadline,
		 struct vmnet_error *err)
{
	int log = memfd_create("vmnet-start", MFD_CLOEXEC), fd = -1, status = 0;
	bool ended = false;
	pid_t pid, got;

	if (log < 0) {
		start_fail(err, VMNET_SYSTEM, "memfd_create: %s", strerror(errno));
		return -1;
	}
	pid = fork();
	if (pid == 0)
		become_daemon(program, log);
	if (pid < 0) {
		start_fail(err, VMNET_SYSTEM, "fork: %s", strerror(errno));
		close(log);
		return -1;
	}
	for (;;) {
		/* Its end is looked for first: it may answer and go to the background meanwhile. */
		if (!ended) {
			got = waitpid(pid, &status, WNOHANG);
			if (got < 0 && errno != EINTR)
				status = 0; /* somebody else has waited for it */
			ended = got == pid || (got < 0 && errno != EINTR);
		}
		fd = try_connect(to);
		if (fd >= 0)
			break;
		if (ended && status != 0) {
			say_why(program, log, status, err);
			break;
		}
		if (start_now_ms() >= deadline) {
			start_fail(err, VMNET_SYSTEM,
				   "the daemon was started (pid %ld) but did not answer in %d s",
				   (long)pid, START_WAIT_MS / 1000);
			break;
		}
		nap();
	}
	/* The process that went to the background leaves one that ends about now. */
	for (int i = 0; fd >= 0 && !ended && i < START_REAP_STEPS; i++) {
		got = waitpid(pid, &status, WNOHANG);
		ended = got == pid || (got < 0 && errno != EINTR);
		if (!ended)
			nap();
	}
	close(log);
	return fd;
}

/* With the lock, or when somebody else has started it meanwhile. */
static int start_once(const char *dir, const char *program, const struct sockaddr_un *to,
		      struct vmnet_error *err)
{
	int64_t deadline = start_now_ms() + START_WAIT_MS;
	char path[4200], *found;
	int lock, fd;

	snprintf(path, sizeof(path), "%s/start.lock", dir);
	lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0) {
		start_fail(err, errno == EACCES ? VMNET_USER : VMNET_SYSTEM,
			   "no daemon is running, and none can be started: %s: %s", path,
			   strerror(errno));
		return -1;
	}
	while (flock(lock, LOCK_EX | LOCK_NB) != 0) {
		fd = try_connect(to);
		if (fd >= 0 || start_now_ms() >= deadline) {
			if (fd < 0)
				start_fail(err, VMNET_SYSTEM,
					   "another process is starting the daemon and does not "
					   "get on (%s)",
					   path);
			close(lock);
			return fd;
		}
		nap();
	}
	fd = try_connect(to);
	if (fd < 0) {
		found = find_program(program, err);
		fd = found ? start(found, to, start_now_ms() + START_WAIT_MS, err) : -1;
		free(found);
	}
	close(lock);
	return fd;
}

/* Who listens there: the folder's owner or root. */
static bool peer_check(int fd, const char *path, uid_t owner, struct vmnet_error *err)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) != 0)
		return start_fail(err, VMNET_SYSTEM, "%s: %s", path, strerror(errno));
	if (who.uid != owner && who.uid != 0)
		return start_fail(err, VMNET_SYSTEM,
				  "%s is answered by user %lu, not by its owner: it is not used",
				  path, (unsigned long)who.uid);
	return true;
}

int start_connect(const char *dir, bool chosen, const char *program, bool no_start,
		  struct vmnet_error *err)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	uid_t owner;
	bool absent;
	int fd, n;

	n = snprintf(to.sun_path, sizeof(to.sun_path), "%s/control.sock", dir);
	if (n < 0 || (size_t)n >= sizeof(to.sun_path)) {
		start_fail(err, VMNET_USER,
			   "%s/control.sock is %d bytes, a socket's path has at most %zu", dir, n,
			   sizeof(to.sun_path) - 1);
		return -1;
	}
	if (!dir_check(dir, chosen, &absent, &owner, err))
		return -1;
	fd = absent ? -ENOENT : try_connect(&to);
	if (fd == -ENOENT || fd == -ECONNREFUSED) {
		if (no_start || owner != geteuid()) {
			start_fail(err, VMNET_SYSTEM, "no daemon is running (%s)", to.sun_path);
			return -1;
		}
		if (absent && mkdir(dir, 0700) != 0 && errno != EEXIST) {
			start_fail(err, errno == EACCES ? VMNET_USER : VMNET_SYSTEM, "%s: %s", dir,
				   strerror(errno));
			return -1;
		}
		if (absent && (!dir_check(dir, chosen, &absent, &owner, err) || absent))
			return -1;
		fd = start_once(dir, program, &to, err);
		if (fd < 0)
			return -1;
	}
	if (fd < 0) {
		if (fd == -EACCES || fd == -EPERM)
			start_fail(err, VMNET_USER, "%s: you may not talk to this daemon",
				   to.sun_path);
		else if (fd == -EAGAIN)
			start_fail(err, VMNET_SYSTEM, "%s: the daemon does not answer",
				   to.sun_path);
		else
			start_fail(err, VMNET_SYSTEM, "%s: %s", to.sun_path, strerror(-fd));
		return -1;
	}
	if (!peer_check(fd, to.sun_path, owner, err)) {
		close(fd);
		return -1;
	}
	return fd;
}
