/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who is at the other end: real processes, with other users and groups where we are root, and
 * copies of a program that differ in nothing but being another file.
 */
#include "tests/unit/cm.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "host/netd/peer.h"

static char dir[64], why[NETDEF_ERR_MAX];
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static int listener = -1;

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/vmnet-peer-XXXXXX");
	if (!mkdtemp(dir) || chmod(dir, 0755) != 0)
		return -1;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/sock", dir);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	       chmod(address.sun_path, 0777) != 0 || listen(listener, 16) != 0;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	close(listener);
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command); // NOLINT(cert-env33-c)
}

/* ---- peers to ask about ---- */

struct who {
	uid_t uid;
	gid_t gid;
	const gid_t *groups;
	size_t ngroups;
	const char *program; /* runs this instead of us */
};

/* Connects, says a byte, waits until we close. */
static void be_peer(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char c = 'x';

	alarm(60);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || write(fd, &c, 1) != 1)
		_exit(1);
	(void)!read(fd, &c, 1);
	_exit(0);
}

/* A process like that: its pid, and the connection from it. */
static pid_t start(const struct who *w, int *fd)
{
	pid_t child = fork();
	char c;

	if (child == 0) {
		if (w && geteuid() == 0 &&
		    (setgroups(w->ngroups, w->groups) != 0 || setgid(w->gid) != 0 ||
		     setuid(w->uid) != 0))
			_exit(1);
		if (w && w->program) {
			execl(w->program, "peer", address.sun_path, NULL);
			_exit(1);
		}
		be_peer();
	}
	*fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(*fd >= 0);
	assert_int_equal(read(*fd, &c, 1), 1);
	return child;
}

static void finish(pid_t child, int fd, struct peer *p)
{
	int status;

	close(fd);
	peer_close(p);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static struct netdef_allow rule(int kind, uint32_t id)
{
	struct netdef_allow a = {.id = id};

	a.kind = kind == 'u' ? NETDEF_ALLOW_UID : NETDEF_ALLOW_GID;
	return a;
}

static bool may(const struct peer *p, struct netdef_allow *rules, unsigned n)
{
	struct netdef d = {.name = "dev", .allow = rules, .nallow = n};

	*why = '\0';
	return peer_may_join(p, &d, why);
}

/* ---- ourselves ---- */

static void test_ourselves(void **state)
{
	struct netdef_allow other = rule('u', geteuid() + 1), mine = rule('u', geteuid()),
			    group = rule('g', getegid()), both[2] = {other, mine};
	char exe[4096], want[128];
	struct peer p;
	ssize_t n;
	int fd;
	pid_t child = start(NULL, &fd);

	(void)state;
	assert_true(peer_of(fd, &p));
	assert_int_equal(p.pid, child);
	assert_int_equal(p.uid, geteuid());
	assert_int_equal(p.gid, getegid());
	assert_true(p.pidfd >= 0);
	assert_true(fcntl(p.pidfd, F_GETFD) & FD_CLOEXEC);
	n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	exe[n] = '\0';
	assert_string_equal(p.exe, exe);
	assert_true(peer_may_manage(&p));
	assert_true(peer_may_connect(&p, NULL, 0));
	assert_true(may(&p, NULL, 0));
	assert_true(may(&p, &mine, 1));
	assert_true(may(&p, &group, 1));
	assert_true(may(&p, both, 2));
	/* A list is the whole list, even for us. */
	assert_false(may(&p, &other, 1));
	snprintf(want, sizeof(want), "network dev: user %u with \"", (unsigned)geteuid());
	assert_int_equal(strncmp(why, want, strlen(want)), 0);
	assert_null(strchr(why, '\n'));
	finish(child, fd, &p);
}

static void test_no_peer(void **state)
{
	int tcp = socket(AF_INET, SOCK_STREAM, 0), unix_fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct peer p;

	(void)state;
	assert_false(peer_of(-1, &p));
	assert_int_equal(p.pidfd, -1);
	assert_false(peer_of(tcp, &p));
	assert_false(peer_of(unix_fd, &p));
	assert_int_equal(errno, ENOTCONN);
	peer_close(&p);
	close(tcp);
	close(unix_fd);
}

/* ---- others ---- */

static void test_other_user(void **state)
{
	static const gid_t groups[] = {23456, 23457};
	const struct who w = {12345, 12346, groups, 2, NULL};
	struct netdef_allow uid = rule('u', 12345), gid = rule('g', 12346),
			    extra = rule('g', 23457), none = rule('g', 23458),
			    not_uid = rule('u', 12346);
	struct netdef open = {.name = "open", .allow = &extra, .nallow = 1},
		      closed = {.name = "closed"},
		      other = {.name = "other", .allow = &none, .nallow = 1};
	const struct netdef *defs[3] = {&closed, &other, &open};
	char want[160];
	struct peer p;
	pid_t child;
	int fd;

	(void)state;
	if (geteuid() != 0) {
		print_message("# another user: only root can be one\n");
		skip();
	}
	child = start(&w, &fd);
	assert_true(peer_of(fd, &p));
	assert_int_equal(p.uid, 12345);
	assert_int_equal(p.gid, 12346);
	assert_int_equal(p.ngroups, 2);
	assert_false(peer_may_manage(&p));
	assert_false(peer_may_connect(&p, NULL, 0));
	assert_false(peer_may_connect(&p, defs, 2));
	assert_true(peer_may_connect(&p, defs, 3));
	assert_false(may(&p, NULL, 0));
	snprintf(want, sizeof(want),
		 "network dev: user 12345 may not join; it has no allow, so only user %u may",
		 (unsigned)geteuid());
	assert_string_equal(why, want);
	assert_true(may(&p, &uid, 1));
	assert_true(may(&p, &gid, 1));
	assert_true(may(&p, &extra, 1));
	assert_false(may(&p, &none, 1));
	assert_false(may(&p, &not_uid, 1));
	finish(child, fd, &p);
}

/* More groups than we have room for: none of the extra ones counts, nothing else breaks. */
static void test_many_groups(void **state)
{
	gid_t groups[PEER_GROUPS_MAX + 1];
	struct who w = {12345, 12346, groups, PEER_GROUPS_MAX, NULL};
	struct netdef_allow last = rule('g', 30000 + PEER_GROUPS_MAX - 1), gid = rule('g', 12346);
	struct peer p;
	pid_t child;
	int fd;

	(void)state;
	if (geteuid() != 0) {
		print_message("# other groups: only root can have them\n");
		skip();
	}
	for (unsigned i = 0; i < COUNT(groups); i++)
		groups[i] = 30000 + i;
	child = start(&w, &fd);
	assert_true(peer_of(fd, &p));
	assert_int_equal(p.ngroups, PEER_GROUPS_MAX);
	assert_true(may(&p, &last, 1));
	finish(child, fd, &p);
	w.ngroups++;
	child = start(&w, &fd);
	assert_true(peer_of(fd, &p));
	assert_int_equal(p.ngroups, 0);
	assert_false(may(&p, &last, 1));
	assert_true(may(&p, &gid, 1));
	finish(child, fd, &p);
}

/* 1,000 strangers: none gets in, no descriptor is left. */
static void test_strangers(void **state)
{
	struct netdef closed = {.name = "closed"};
	const struct netdef *defs[1] = {&closed};
	int before = dup(0);
	pid_t child;
	unsigned refused = 0;

	(void)state;
	close(before);
	if (geteuid() != 0) {
		print_message("# strangers: only root can be somebody else\n");
		skip();
	}
	child = fork();
	if (child == 0) {
		alarm(60);
		if (setgroups(0, NULL) != 0 || setgid(12346) != 0 || setuid(12345) != 0)
			_exit(1);
		for (unsigned i = 0; i < 1000; i++) {
			int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
			char c;

			if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
				_exit(2);
			/* The end comes before a byte does. */
			if (read(fd, &c, 1) != 0)
				_exit(3);
			close(fd);
		}
		_exit(0);
	}
	for (unsigned i = 0; i < 1000; i++) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		struct peer p;

		assert_true(fd >= 0);
		assert_true(peer_of(fd, &p));
		refused += !peer_may_connect(&p, defs, 1);
		peer_close(&p);
		close(fd);
	}
	assert_int_equal(refused, 1000);
	waitpid(child, NULL, 0);
	assert_int_equal(dup(0), before);
	close(before);
}

/* ---- executables ---- */

static void copy_file(const char *from, const char *to)
{
	char buf[65536];
	int in = open(from, O_RDONLY | O_CLOEXEC), out;
	ssize_t n;

	out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	assert_true(in >= 0 && out >= 0);
	while ((n = read(in, buf, sizeof(buf))) > 0)
		assert_int_equal(write(out, buf, (size_t)n), n);
	close(in);
	close(out);
}

static void test_executables(void **state)
{
	char here[160], there[160];
	struct netdef_allow a = {.kind = NETDEF_ALLOW_EXE}, b = {.kind = NETDEF_ALLOW_EXE};
	struct who w = {geteuid(), getegid(), NULL, 0, here};
	struct peer p;
	pid_t child;
	int fd;

	(void)state;
	snprintf(here, sizeof(here), "%s/here", dir);
	snprintf(there, sizeof(there), "%s/there", dir);
	copy_file("/proc/self/exe", here);
	copy_file("/proc/self/exe", there);
	assert_true(peer_record_exe(here, &a));
	assert_true(peer_record_exe(there, &b));
	assert_memory_equal(a.sha256, b.sha256, 32);
	assert_true(a.ino != b.ino);

	child = start(&w, &fd);
	assert_true(peer_of(fd, &p));
	assert_string_equal(p.exe, here);
	assert_true(may(&p, &a, 1));
	/* The same bytes in another file are another program. */
	assert_false(may(&p, &b, 1));
	b.sha256[31] ^= 1;
	b.dev = a.dev;
	b.ino = a.ino;
	assert_false(may(&p, &b, 1));
	b.sha256[31] ^= 1;
	assert_true(may(&p, &b, 1));

	/* Renamed, it is still it; with another one in its place, that one is not. */
	assert_int_equal(rename(here, there), 0);
	assert_true(may(&p, &a, 1));
	copy_file("/proc/self/exe", here);
	assert_true(may(&p, &a, 1));
	finish(child, fd, &p);
	child = start(&w, &fd);
	assert_true(peer_of(fd, &p));
	assert_false(may(&p, &a, 1));
	finish(child, fd, &p);

	/* Changed in place, it is another one, though it is the same inode. */
	w.program = there;
	fd = open(there, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	child = start(&w, &fd);
	assert_true(peer_of(fd, &p));
	assert_false(may(&p, &a, 1));
	finish(child, fd, &p);
	free(a.path);
	free(b.path);
}

/* Same inode, same size, changed between two looks: times or not, the answer is right. */
static void test_changed_in_place(void **state)
{
	struct netdef_allow a = {.kind = NETDEF_ALLOW_EXE}, again = {.kind = NETDEF_ALLOW_EXE};
	char here[160];
	int fd;

	(void)state;
	snprintf(here, sizeof(here), "%s/changing", dir);
	for (unsigned i = 0; i < 200; i++) {
		fd = open(here, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
		assert_int_equal(write(fd, &i, sizeof(i)), sizeof(i));
		close(fd);
		assert_true(peer_record_exe(here, &again));
		if (i)
			assert_memory_not_equal(a.sha256, again.sha256, 32);
		memcpy(a.sha256, again.sha256, 32);
	}
	free(again.path);
}

/* Hashed once: a hundred joins of a large executable take no time. */
static void test_hash_is_kept(void **state)
{
	struct netdef_allow a = {.kind = NETDEF_ALLOW_EXE};
	struct timespec from, to, old[2] = {{1000, 0}, {1000, 0}};
	char here[160];
	int fd;

	(void)state;
	snprintf(here, sizeof(here), "%s/large", dir);
	fd = open(here, O_RDWR | O_CREAT | O_CLOEXEC, 0755);
	assert_int_equal(ftruncate(fd, 64 << 20), 0);
	assert_int_equal(futimens(fd, old), 0);
	close(fd);
	/* Until it has rested. */
	sleep(4);
	assert_true(peer_record_exe(here, &a));
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (unsigned i = 0; i < 100; i++)
		assert_true(peer_record_exe(here, &a));
	clock_gettime(CLOCK_MONOTONIC, &to);
	/* Hashing would take 20 s even where SHA-256 goes at 300 MB/s. */
	assert_true(to.tv_sec - from.tv_sec < 5);
	free(a.path);
}

static void test_not_executables(void **state)
{
	struct netdef_allow a = {.kind = NETDEF_ALLOW_EXE};
	char fifo[160];
	int fd;

	(void)state;
	assert_false(peer_record_exe("/no/such", &a));
	assert_int_equal(errno, ENOENT);
	assert_false(peer_record_exe("/", &a));
	assert_int_equal(errno, EISDIR);
	assert_false(peer_record_exe("/dev/zero", &a));
	assert_int_equal(errno, ENOEXEC);
	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_false(peer_record_exe(fifo, &a));
	assert_int_equal(errno, ENOEXEC);
	snprintf(fifo, sizeof(fifo), "%s/sparse", dir);
	fd = open(fifo, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, (off_t)1 << 40), 0);
	close(fd);
	assert_false(peer_record_exe(fifo, &a));
	assert_int_equal(errno, EFBIG);
	assert_null(a.path);
}

/* One that is gone is nobody, whoever has its number now. */
static void test_gone(void **state)
{
	struct netdef_allow a = {.kind = NETDEF_ALLOW_EXE};
	struct peer p, late;
	pid_t child;
	int fd;

	(void)state;
	assert_true(peer_record_exe("/proc/self/exe", &a));
	child = start(NULL, &fd);
	assert_true(peer_of(fd, &p));
	assert_true(may(&p, &a, 1));
	kill(child, SIGKILL);
	/* Dead but not buried: its number is still taken. */
	waitid(P_PID, (id_t)child, &(siginfo_t){0}, WEXITED | WNOWAIT);
	assert_false(may(&p, &a, 1));
	waitpid(child, NULL, 0);
	assert_false(may(&p, &a, 1));
	/* A number that lives and is ours does not help it. */
	p.pid = getpid();
	assert_false(may(&p, &a, 1));
	peer_close(&p);
	assert_true(peer_of(fd, &late));
	assert_string_equal(late.exe, "");
	assert_false(may(&late, &a, 1));
	assert_non_null(strstr(why, "an unknown program"));
	peer_close(&late);
	close(fd);
	free(a.path);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ourselves),	 cmocka_unit_test(test_no_peer),
		cmocka_unit_test(test_other_user),	 cmocka_unit_test(test_many_groups),
		cmocka_unit_test(test_strangers),	 cmocka_unit_test(test_executables),
		cmocka_unit_test(test_changed_in_place), cmocka_unit_test(test_hash_is_kept),
		cmocka_unit_test(test_not_executables),	 cmocka_unit_test(test_gone),
	};

	/* A copy of us, started by test_executables. */
	if (argc == 2) {
		snprintf(address.sun_path, sizeof(address.sun_path), "%s", argv[1]);
		be_peer();
	}
	alarm(100);
	return cmocka_run_group_tests(tests, setup, teardown);
}
