/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first process of the guest that tests and the demonstration use: carries out what the other
 * end of the second serial line (guest.py) says.
 *
 *   to here     run ID SECONDS LENGTH\n and LENGTH bytes of a command for sh
 *               kill ID\n
 *               off\n
 *   from here   ready RELEASE\n                   once, when the guest is up
 *               out ID LENGTH\n and LENGTH bytes  what the command printed, both streams
 *               end ID STATUS\n                   status as a shell says it; 124: took too long
 *
 * Any number of commands up to JOBS run at once. A command is over when its sh is; what it left
 * running in the background goes on, but nobody hears its output any more. With shell=1 on the
 * kernel's command line, or without a second serial line, there is a shell on the console instead.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "tools/guest/boot.h"

#define LINE	  "/dev/ttyS1"
#define JOBS	  16u
#define INPUT	  65536u
#define PIECE	  4096u
#define TOO_LONG  124
#define NOT_TAKEN 125

struct job {
	unsigned id;
	pid_t pid; /* 0: free */
	int out;
	time_t until; /* 0: no end */
	bool late;
};

static struct job jobs[JOBS];
static int line = -1, children = -1;
static char input[INPUT];
static size_t have;

static time_t now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

/* ---- to the other end ---- */

static void say(const void *data, size_t n)
{
	const char *p = data;

	while (n) {
		ssize_t put = write(line, p, n);

		if (put < 0 && errno != EINTR)
			boot_fail(LINE);
		if (put > 0) {
			p += put;
			n -= (size_t)put;
		}
	}
}

static void say_end(unsigned id, int status)
{
	char text[48];

	say(text, (size_t)snprintf(text, sizeof(text), "end %u %d\n", id, status));
}

/* What the job printed so far. False: that was all. */
static bool tell(const struct job *j)
{
	char data[PIECE], head[48];
	ssize_t n = read(j->out, data, sizeof(data));

	if (n <= 0)
		return n < 0 && errno == EINTR;
	say(head, (size_t)snprintf(head, sizeof(head), "out %u %zd\n", j->id, n));
	say(data, (size_t)n);
	return true;
}

/* ---- jobs ---- */

static struct job *job_of(unsigned id)
{
	for (unsigned i = 0; i < JOBS; i++) {
		if (jobs[i].pid && jobs[i].id == id)
			return &jobs[i];
	}
	return NULL;
}

static void job_child(const char *command, int out)
{
	sigset_t none;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)setsid();
	(void)dup2(null, 0);
	(void)dup2(out, 1);
	(void)dup2(out, 2);
	(void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

static void job_start(unsigned id, unsigned seconds, const char *command)
{
	struct job *j = NULL;
	int fds[2];

	for (unsigned i = 0; i < JOBS && !j; i++) {
		if (!jobs[i].pid)
			j = &jobs[i];
	}
	if (!j || pipe2(fds, O_CLOEXEC) != 0) {
		say_end(id, NOT_TAKEN);
		return;
	}
	(void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
	*j = (struct job){.id = id, .out = fds[0], .until = seconds ? now() + (time_t)seconds : 0};
	j->pid = fork();
	if (j->pid == 0)
		job_child(command, fds[1]);
	(void)close(fds[1]);
	if (j->pid > 0)
		return;
	(void)close(fds[0]);
	j->pid = 0;
	say_end(id, NOT_TAKEN);
}

static void job_kill(const struct job *j)
{
	(void)kill(-j->pid, SIGKILL);
	(void)kill(j->pid, SIGKILL);
}

static void job_end(struct job *j, int status)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);

	while (tell(j))
		continue;
	(void)close(j->out);
	say_end(j->id, j->late ? TOO_LONG : code);
	j->pid = 0;
}

static void reap(void)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	(void)!read(children, &info, sizeof(info));
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (unsigned i = 0; i < JOBS; i++) {
			if (jobs[i].pid == pid)
				job_end(&jobs[i], status);
		}
	}
}

static void late(void)
{
	for (unsigned i = 0; i < JOBS; i++) {
		if (jobs[i].pid && jobs[i].until && now() > jobs[i].until && !jobs[i].late) {
			jobs[i].late = true;
			job_kill(&jobs[i]);
		}
	}
}

/* ---- from the other end ---- */

/* One request at the start of the input; its length, 0: not all of it is there. */
static size_t request(char *end)
{
	unsigned id = 0, seconds = 0, length = 0;
	size_t head = (size_t)(end - input) + 1;
	struct job *j;

	*end = '\0';
	if (sscanf(input, "run %u %u %u", &id, &seconds, &length) == 3 &&
	    length < INPUT - head - 1) {
		char kept;

		*end = '\n';
		if (have < head + length)
			return 0;
		kept = input[head + length];
		input[head + length] = '\0';
		job_start(id, seconds, input + head);
		input[head + length] = kept;
		return head + length;
	}
	if (sscanf(input, "kill %u", &id) == 1 && (j = job_of(id)))
		job_kill(j);
	if (strcmp(input, "off") == 0)
		boot_off();
	return head;
}

static void hear(void)
{
	ssize_t n = read(line, input + have, INPUT - 1 - have);
	size_t used = 1;
	char *end;

	if (n > 0)
		have += (size_t)n;
	while (used && (end = memchr(input, '\n', have))) {
		used = request(end);
		have -= used;
		memmove(input, input + used, have);
	}
	if (have == INPUT - 1)
		have = 0; /* no request is that long */
}

static bool open_line(void)
{
	struct termios t;

	line = open(LINE, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (line < 0 || tcgetattr(line, &t) != 0)
		return false;
	cfmakeraw(&t);
	t.c_cflag |= CLOCAL;
	t.c_cflag &= (tcflag_t)~CRTSCTS;
	(void)cfsetspeed(&t, B115200);
	return tcsetattr(line, TCSANOW, &t) == 0;
}

static void serve(void)
{
	struct utsname name;
	char text[128];

	(void)uname(&name);
	say(text, (size_t)snprintf(text, sizeof(text), "ready %.100s\n", name.release));
	for (;;) {
		struct pollfd fds[2 + JOBS] = {{.fd = line, .events = POLLIN},
					       {.fd = children, .events = POLLIN}};

		for (unsigned i = 0; i < JOBS; i++)
			fds[2 + i] = (struct pollfd){.fd = jobs[i].pid ? jobs[i].out : -1,
						     .events = POLLIN};
		(void)poll(fds, 2 + JOBS, 1000);
		for (unsigned i = 0; i < JOBS; i++) {
			if (fds[2 + i].revents & POLLIN)
				(void)tell(&jobs[i]);
			else if (fds[2 + i].revents)
				boot_nap(1); /* its output is closed; SIGCHLD is near */
		}
		if (fds[1].revents)
			reap();
		late();
		if (fds[0].revents)
			hear();
	}
}

static void shell(const char *command)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
}

int main(void)
{
	sigset_t child;

	boot_start();
	(void)setenv("PATH", "/bin:/sbin:/usr/bin:/usr/sbin", 1);
	(void)setenv("HOME", "/root", 1);
	shell("mkdir -p /dev/pts /tmp; mount -t devpts devpts /dev/pts; hostname guest;"
	      "ip link set lo up; ip link set eth0 up 2>/dev/null");
	if (getenv("shell") || !open_line()) {
		shell("setsid cttyhack sh");
		boot_off();
	}
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &child, NULL);
	children = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	serve();
}
