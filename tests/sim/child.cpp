/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/sim/child.h"

#include <sys/mman.h>

#include <string>

#define SAID_MAX  (1u << 20)
#define DIARY_MAX 8192u

static std::string said;

static pthread_mutex_t diary_lock = PTHREAD_MUTEX_INITIALIZER;
static char diary_text[DIARY_MAX];

void child_fail(const char *file, int line, const char *what)
{
	dprintf(STDERR_FILENO, "%s:%d: not so: %s\n", file, line, what);
	_exit(1);
}

struct mac_config child_mac(int release, size_t ram)
{
	void *base = mmap(nullptr, ram, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct mac_config config = {};

	CHECK(base != MAP_FAILED);
	config.release = release;
	config.seed = 1;
	config.quiet = true;
	config.ram.base = static_cast<uint8_t *>(base);
	config.ram.first = RAM_LOW;
	config.ram.end = ram;
	return config;
}

bool child_wait(const std::function<bool()> &so)
{
	for (unsigned i = 0; i < WAIT_MS; i++) {
		if (so())
			return true;
		usleep(1000);
	}
	return so();
}

void child_wait_for_end()
{
	for (;;)
		pause();
}

void note(const char *format, ...)
{
	va_list ap;
	size_t n;

	pthread_mutex_lock(&diary_lock);
	n = strlen(diary_text);
	if (n && n < DIARY_MAX - 1)
		diary_text[n++] = ' ';
	va_start(ap, format);
	vsnprintf(diary_text + n, DIARY_MAX - n, format, ap);
	va_end(ap);
	pthread_mutex_unlock(&diary_lock);
}

/* Of the calling thread: the diary may go on. */
const char *diary()
{
	static thread_local char copy[DIARY_MAX];

	pthread_mutex_lock(&diary_lock);
	memcpy(copy, diary_text, sizeof(copy));
	pthread_mutex_unlock(&diary_lock);
	return copy;
}

void diary_clear()
{
	pthread_mutex_lock(&diary_lock);
	diary_text[0] = '\0';
	pthread_mutex_unlock(&diary_lock);
}

bool noted(const char *all)
{
	const char *now = diary();
	bool same = strcmp(now, all) == 0;

	if (!same)
		dprintf(STDERR_FILENO, "noted: \"%s\", not \"%s\"\n", now, all);
	diary_clear();
	return same;
}

bool noted_soon(const char *all)
{
	child_wait([=] { return strcmp(diary(), all) == 0; });
	return noted(all);
}

[[noreturn]] static void in_child(const child_body &body, int out)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS, SIGABRT};

	if (dup2(out, STDERR_FILENO) < 0)
		_exit(1);
	close(out);
	/* cmocka's handlers would go on with the tests, in this process. */
	for (int sig : signals)
		signal(sig, SIG_DFL);
	signal(SIGALRM, SIG_DFL);
	alarm(CHILD_LIMIT_S);
	body();
	_exit(0);
}

static void read_all(int file)
{
	char part[4096];
	ssize_t n;

	said.clear();
	while (said.size() < SAID_MAX &&
	       (n = pread(file, part, sizeof(part), static_cast<off_t>(said.size()))) > 0)
		said.append(part, static_cast<size_t>(n));
}

/* A file, not a pipe: what the child has started in turn may keep it open, and it is never full. */
int child_run(const child_body &body)
{
	int out = memfd_create("stderr", MFD_CLOEXEC), status = 0;
	pid_t pid;

	assert_true(out >= 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		in_child(body, out);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	read_all(out);
	close(out);
	return status;
}

const char *child_said()
{
	return said.c_str();
}

static void not_in_time(int status, const char *which)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		fail_msg("%snot done within %u s; it said: %s", which, CHILD_LIMIT_S, child_said());
}

void child_assert_worked(int status, const char *which)
{
	not_in_time(status, which);
	if (WIFSIGNALED(status))
		fail_msg("%ssignal %d; it said: %s", which, WTERMSIG(status), child_said());
	if (status != 0)
		fail_msg("%sstatus %d; it said: %s", which, WEXITSTATUS(status), child_said());
}

void child_works(const child_body &body, const char *which)
{
	child_assert_worked(child_run(body), which);
}

void child_violates(const child_body &body, const char *words, const char *which)
{
	int status = child_run(body);
	const char *violation = strstr(child_said(), "sim: violation: ");

	not_in_time(status, which);
	if (!violation || !strstr(violation, words) || !WIFSIGNALED(status) ||
	    WTERMSIG(status) != SIGABRT)
		fail_msg("%swait status %#x, no violation with \"%s\"; it said: %s", which,
			 static_cast<unsigned>(status), words, child_said());
}

const char *child_release(int release)
{
	static char name[16];

	snprintf(name, sizeof(name), "10.%d: ", release);
	return name;
}

static void on_and_off(int release, const child_body &body)
{
	struct mac_config config = child_mac(release, RAM_SIZE);

	CHECK(mac_boot(&config) == 0);
	body();
	CHECK(mac_halt(stderr) == 0);
}

void runs(int release, const child_body &body)
{
	child_works([&] { on_and_off(release, body); }, child_release(release));
}

void dies(int release, const child_body &body, const char *words)
{
	child_violates([&] { on_and_off(release, body); }, words, child_release(release));
}
