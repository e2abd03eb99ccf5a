/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/netd/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/netd/broker.h"
#include "host/netd/paths.h"

#define EXIT_GOOD   0
#define EXIT_SYSTEM 1
#define EXIT_USER   2

#define DAEMON_LISTEN_FD 3 /* systemd's first (sd_listen_fds(3)) */
#define DAEMON_LOG	 "daemon.log"
#define DAEMON_FILES	 8192u

struct daemon {
	uv_loop_t loop;
	struct broker broker;
	struct control *control;
	uv_signal_t term, interrupt, hangup;
	char socket[PATHS_SOCKET_MAX];
	bool own_socket; /* made here, so it is removed here */
	bool ending;
};

/* ---- the end ---- */

static void daemon_end(struct broker *b)
{
	struct daemon *d = b->loop->data;

	if (d->ending)
		return;
	d->ending = true;
	/* Nobody new is to find this one: whoever comes now starts the next. */
	if (d->own_socket)
		(void)unlink(d->socket);
	uv_stop(&d->loop);
}

static void daemon_on_signal(uv_signal_t *handle, int number)
{
	struct daemon *d = handle->data;
	struct fault f;

	if (number == SIGHUP) {
		if (broker_reload(&d->broker, &f))
			log_line("read the definitions again");
		else
			log_line("%s", f.text);
		return;
	}
	log_line("ending: %s", strsignal(number));
	daemon_end(&d->broker);
}

static bool daemon_signals(struct daemon *d)
{
	struct {
		uv_signal_t *handle;
		int number;
	} all[] = {{&d->term, SIGTERM}, {&d->interrupt, SIGINT}, {&d->hangup, SIGHUP}};

	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (uv_signal_init(&d->loop, all[i].handle))
			return false;
		all[i].handle->data = d;
		if (uv_signal_start(all[i].handle, daemon_on_signal, all[i].number))
			return false;
	}
	return true;
}

/* ---- the control socket ---- */

/* systemd made the socket and gave it to us. */
static bool daemon_activated(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	bool ours =
		pid && fds && strtol(pid, NULL, 10) == (long)getpid() && strtol(fds, NULL, 10) >= 1;

	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	return ours;
}

static int daemon_listen(struct daemon *d, bool open_to_all, char *err, size_t errlen)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct stat st;
	mode_t old;
	int fd;

	if (strlen(d->socket) >= sizeof(addr.sun_path)) {
		(void)snprintf(err, errlen, "%s: a socket's path must be below %zu bytes",
			       d->socket, sizeof(addr.sun_path));
		return -1;
	}
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", d->socket);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		(void)snprintf(err, errlen, "cannot make a socket: %s", strerror(errno));
		return -1;
	}
	/* We hold the lock of the state file, so a socket of ours here is a dead daemon's. */
	if (lstat(d->socket, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_uid == geteuid())
		(void)unlink(d->socket);
	old = umask(0177);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		d->own_socket = true;
	(void)umask(old);
	if (!d->own_socket || (open_to_all && chmod(d->socket, 0666) != 0) ||
	    listen(fd, 128) != 0) {
		(void)snprintf(err, errlen, "%s: %s", d->socket, strerror(errno));
		(void)close(fd);
		return -1;
	}
	return fd;
}

/* ---- going into the background ---- */

/*
 * The parent waits for the child's word that it is ready (or its one line why not) and ends. The
 * child's end of the pipe is returned, -1 on failure; in the foreground nothing is forked.
 */
static int daemon_background(int *status)
{
	char line[NETDEF_ERR_MAX + 64];
	int ends[2];
	ssize_t n;
	pid_t pid;

	*status = -1;
	if (pipe2(ends, O_CLOEXEC) != 0)
		return -1;
	pid = fork();
	if (pid < 0)
		return -1;
	if (pid == 0) {
		(void)close(ends[0]);
		(void)setsid();
		return ends[1];
	}
	(void)close(ends[1]);
	do
		n = read(ends[0], line, sizeof(line) - 1);
	while (n < 0 && errno == EINTR);
	(void)close(ends[0]);
	*status = EXIT_SYSTEM;
	if (n > 0 && line[0] == '+') {
		*status = EXIT_GOOD;
	} else if (n > 1) {
		line[n] = '\0';
		*status = line[0] == 'u' ? EXIT_USER : EXIT_SYSTEM;
		(void)fprintf(stderr, "vmnet daemon: %s\n", line + 1);
	} else {
		(void)fprintf(stderr, "vmnet daemon: it ended before it was ready\n");
	}
	return -1;
}

/* Standard error becomes the log file, the rest nothing. */
static void daemon_redirect(const char *dir)
{
	char path[PATHS_MAX + 16];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int log;

	(void)snprintf(path, sizeof(path), "%s/" DAEMON_LOG, dir);
	log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (null >= 0) {
		(void)dup2(null, STDIN_FILENO);
		(void)dup2(null, STDOUT_FILENO);
		(void)dup2(log >= 0 ? log : null, STDERR_FILENO);
	}
	if (null > STDERR_FILENO)
		(void)close(null);
	if (log > STDERR_FILENO)
		(void)close(log);
	(void)chdir("/");
}

/* A member is one or two descriptors: as many as this user may have. */
static void daemon_limits(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) != 0)
		return;
	if (rl.rlim_cur < DAEMON_FILES && rl.rlim_cur < rl.rlim_max) {
		rl.rlim_cur = rl.rlim_max < DAEMON_FILES ? rl.rlim_max : DAEMON_FILES;
		(void)setrlimit(RLIMIT_NOFILE, &rl);
	}
}

/* ---- the whole ---- */

static bool daemon_open_to_all(const struct config *config)
{
	for (unsigned i = 0; i < config->n; i++)
		if (config->defs[i].nallow)
			return true;
	return false;
}

static void daemon_run(struct daemon *d)
{
	(void)uv_run(&d->loop, UV_RUN_DEFAULT);
	log_line("ending");
	control_close(d->control);
	broker_close(&d->broker);
	uv_close((uv_handle_t *)&d->term, NULL);
	uv_close((uv_handle_t *)&d->interrupt, NULL);
	uv_close((uv_handle_t *)&d->hangup, NULL);
	/* Close callbacks only: nothing is started any more. */
	for (unsigned i = 0; i < 1000 && uv_run(&d->loop, UV_RUN_NOWAIT); i++)
		(void)usleep(1000);
	(void)uv_loop_close(&d->loop);
}

/* Everything up to the loop. The exit status; err has the line. */
static int daemon_setup(struct daemon *d, const char *dir, struct state **state, char *err,
			size_t errlen)
{
	char path[PATHS_MAX];
	bool user = false, activated = daemon_activated();
	int fd;

	if (!config_load(&d->broker.config, NULL, err, &user))
		return user ? EXIT_USER : EXIT_SYSTEM;
	if (!paths_state_file(path, err))
		return EXIT_USER;
	*state = state_open(path, err, errlen);
	if (!*state)
		return EXIT_SYSTEM;
	if (!paths_socket(d->socket, err))
		return EXIT_USER;
	d->loop.data = d;
	d->broker.end = daemon_end;
	if (!daemon_signals(d) || !broker_open(&d->broker, &d->loop, *state)) {
		(void)snprintf(err, errlen, "out of memory");
		return EXIT_SYSTEM;
	}
	if (activated) {
		fd = DAEMON_LISTEN_FD;
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
		(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	} else {
		bool all = daemon_open_to_all(&d->broker.config);

		if (all)
			(void)chmod(dir, 0711);
		fd = daemon_listen(d, all, err, errlen);
	}
	if (fd < 0)
		return EXIT_SYSTEM;
	d->control = control_open(&d->broker, fd);
	if (!d->control) {
		(void)snprintf(err, errlen, "out of memory");
		return EXIT_SYSTEM;
	}
	return EXIT_GOOD;
}

int daemon_main(const struct daemon_options *options)
{
	struct daemon *d = calloc(1, sizeof(*d));
	struct state *state = NULL;
	char dir[PATHS_MAX], err[NETDEF_ERR_MAX] = "out of memory";
	int status = EXIT_SYSTEM, ready = -1;

	if (!d)
		return EXIT_SYSTEM;
	if (!paths_runtime_dir(dir, err) || !paths_make_dir(dir, err)) {
		(void)fprintf(stderr, "vmnet daemon: %s\n", err);
		free(d);
		return EXIT_USER;
	}
	if (!options->foreground) {
		ready = daemon_background(&status);
		if (ready < 0) {
			free(d);
			return status < 0 ? EXIT_SYSTEM : status;
		}
		daemon_redirect(dir);
	}
	daemon_limits();
	if (uv_loop_init(&d->loop) == 0)
		status = daemon_setup(d, dir, &state, err, sizeof(err));
	if (status != EXIT_GOOD) {
		if (ready >= 0)
			(void)dprintf(ready, "%c%s", status == EXIT_USER ? 'u' : 's', err);
		(void)fprintf(stderr, "vmnet daemon: %s\n", err);
		_exit(status);
	}
	if (ready >= 0) {
		(void)dprintf(ready, "+");
		(void)close(ready);
	}
	log_line("vmnet %s, pid %d, %s", VMNET_VERSION, (int)getpid(), d->socket);
	broker_restore(&d->broker);
	daemon_run(d);
	state_close(state);
	config_free(&d->broker.config);
	free(d);
	return EXIT_GOOD;
}
