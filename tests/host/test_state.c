/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state file: what was put is there after kill -9, a torn tail costs what was torn, a disk that
 * is full or broken costs nothing in the end, and nothing that is not ours is touched.
 */
#include "tests/unit/cm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "host/netd/state.h"

static char dir[64], path[128], err[512];

/* ---- a disk with faults ---- */

static struct {
	int error;	/* pwrite: this, once `room` is used up */
	size_t room;	/* bytes that still go */
	int sync_error; /* fdatasync */
} fault;

ssize_t __real_pwrite64(int fd, const void *buf, size_t n, off_t at);
ssize_t __wrap_pwrite64(int fd, const void *buf, size_t n, off_t at);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

ssize_t __wrap_pwrite64(int fd, const void *buf, size_t n, off_t at)
{
	if (fault.error == EINTR) {
		fault.error = 0;
		errno = EINTR;
		return -1;
	}
	if (fault.error && !fault.room) {
		errno = fault.error;
		return -1;
	}
	if (fault.error) {
		n = n < fault.room ? n : fault.room;
		fault.room -= n;
	}
	return __real_pwrite64(fd, buf, n, at);
}

int __wrap_fdatasync(int fd)
{
	if (fault.sync_error) {
		errno = fault.sync_error;
		return -1;
	}
	return __real_fdatasync(fd);
}

static void break_disk(int error, size_t room)
{
	fault.error = error;
	fault.room = room;
}

/* ---- small helpers ---- */

static struct state *open_it(void)
{
	struct state *s = state_open(path, err, sizeof(err));

	if (!s)
		fail_msg("%s", err);
	return s;
}

static void put(struct state *s, const char *key, const char *text)
{
	json_t *v = json_string(text);

	state_put(s, key, v);
	json_decref(v);
}

static void put_number(struct state *s, const char *key, unsigned n)
{
	json_t *v = json_integer(n);

	state_put(s, key, v);
	json_decref(v);
}

static void holds(struct state *s, const char *key, const char *text)
{
	json_t *v = state_get(s, key);

	if (!text) {
		assert_null(v);
		return;
	}
	if (!v)
		fail_msg("%s is not there", key);
	assert_string_equal(json_string_value(v), text);
}

static off_t size_of(void)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

static uint8_t *read_file(size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t *data;

	*len = (size_t)size_of();
	data = malloc(*len + 1);
	assert_true(fd >= 0 && read(fd, data, *len) == (ssize_t)*len);
	close(fd);
	return data;
}

static void write_file(const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	close(fd);
}

static int fresh(void **state)
{
	(void)state;
	memset(&fault, 0, sizeof(fault));
	strcpy(dir, "/tmp/vmnet-state-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/sub/folder/state", dir);
	return 0;
}

static int clean(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command); // NOLINT(cert-env33-c)
}

/* ---- use ---- */

static void join_keys(void *arg, const char *key, json_t *value)
{
	assert_non_null(value);
	fprintf(arg, "%s ", key);
}

/* The keys that begin so, each with a blank behind it. */
static void keys_are(struct state *s, const char *prefix, const char *want)
{
	char keys[512] = "";
	FILE *file = fmemopen(keys, sizeof(keys), "w");

	state_each(s, prefix, join_keys, file);
	fclose(file);
	assert_string_equal(keys, want);
}

static void test_use(void **state)
{
	struct state *s = open_it();
	char folder[160], many[300];
	struct stat st;
	off_t before;

	(void)state;
	assert_null(state_error(s));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	snprintf(folder, sizeof(folder), "%s/sub/folder", dir);
	assert_int_equal(stat(folder, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);

	put(s, "lease/b/2", "two");
	put(s, "lease/b/1", "one");
	put(s, "lease/c/1", "other");
	put(s, "network/x", "x");
	put(s, "lease/b/2", "two again");
	holds(s, "lease/b/2", "two again");
	holds(s, "lease/b/3", NULL);
	keys_are(s, "lease/b/", "lease/b/1 lease/b/2 ");
	state_put(s, "lease/b/1", NULL);
	state_put(s, "never there", NULL);
	state_put(s, "", json_null());
	memset(many, 'k', sizeof(many));
	many[299] = '\0';
	put(s, many, "too long a key");
	many[256] = '\0';
	put(s, many, "just right");
	/* The same again is not written again. */
	before = size_of();
	put(s, "network/x", "x");
	assert_int_equal(size_of(), before);
	assert_null(state_error(s));
	state_close(s);

	s = open_it();
	assert_null(state_error(s));
	holds(s, "lease/b/1", NULL);
	holds(s, "lease/b/2", "two again");
	holds(s, "network/x", "x");
	holds(s, many, "just right");
	keys_are(s, "lease", "lease/b/2 lease/c/1 ");
	state_close(s);
	state_close(NULL);
}

/* What the caller does to its value afterwards does not matter. */
static void test_values_are_copies(void **state)
{
	struct state *s = open_it();
	json_t *v = json_pack("{s:i,s:[i,i]}", "a", 1, "b", 2, 3);

	(void)state;
	state_put(s, "k", v);
	json_object_set_new(v, "a", json_integer(9));
	assert_int_equal(json_integer_value(json_object_get(state_get(s, "k"), "a")), 1);
	json_decref(v);
	state_close(s);
}

/* ---- compaction ---- */

static void test_compaction(void **state)
{
	struct state *s = open_it();
	char key[32];
	off_t largest = 0;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		snprintf(key, sizeof(key), "k%u", i % 50);
		put_number(s, key, i);
		if (i % 7 == 0) {
			snprintf(key, sizeof(key), "gone%u", i % 30);
			put_number(s, key, i);
			state_put(s, key, NULL);
		}
		if (size_of() > largest)
			largest = size_of();
	}
	assert_true(largest > 60000 && largest < 80000);
	state_close(s);
	s = open_it();
	for (unsigned i = 0; i < 50; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		assert_int_equal(json_integer_value(state_get(s, key)), 19950 + i);
	}
	keys_are(s, "gone", "");
	state_close(s);
}

/* A name that a compaction wants is taken: by a leftover of ours, or by something else. */
static void test_compaction_in_the_way(void **state)
{
	char beside[160], other[160];
	struct state *s;
	struct stat st;

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		s = open_it();
		snprintf(beside, sizeof(beside), "%s.new", path);
		snprintf(other, sizeof(other), "%s/other", dir);
		if (round == 0)
			assert_int_equal(close(open(beside, O_CREAT | O_WRONLY, 0600)), 0);
		else
			assert_int_equal(symlink(other, beside), 0);
		for (unsigned i = 0; i < 5000; i++)
			put_number(s, "k", i);
		state_sync(s);
		if (round == 0) {
			assert_null(state_error(s));
			assert_true(size_of() < 70000);
			assert_int_equal(access(beside, F_OK), -1);
		} else {
			assert_non_null(strstr(state_error(s), "writing it anew: File exists"));
			assert_null(state_error(s));
			assert_int_equal(lstat(beside, &st), 0);
			assert_true(S_ISLNK(st.st_mode));
			assert_int_equal(access(other, F_OK), -1);
		}
		state_close(s);
		s = open_it();
		assert_int_equal(json_integer_value(state_get(s, "k")), 4999);
		state_close(s);
	}
}

/* ---- torn and damaged files ---- */

static void test_torn_at_every_byte(void **state)
{
	static const char *const keys[4] = {"a", "bb", "a", "ccc"};
	static const char *const values[4] = {"one", "two", "three", "four"};
	size_t ends[5], len;
	uint8_t *data;
	struct state *s = open_it();

	(void)state;
	ends[0] = (size_t)size_of();
	for (unsigned i = 0; i < 4; i++) {
		put(s, keys[i], values[i]);
		ends[i + 1] = (size_t)size_of();
	}
	state_close(s);
	data = read_file(&len);
	assert_int_equal(len, ends[4]);
	for (size_t cut = 0; cut <= len; cut++) {
		unsigned whole = 0;

		while (whole < 4 && ends[whole + 1] <= cut)
			whole++;
		write_file(data, cut);
		s = open_it();
		if (cut > ends[0] && cut != ends[whole])
			assert_non_null(strstr(state_error(s), "torn or damaged and are cut off"));
		assert_null(state_error(s));
		holds(s, "a", whole >= 3 ? "three" : whole >= 1 ? "one" : NULL);
		holds(s, "bb", whole >= 2 ? "two" : NULL);
		holds(s, "ccc", whole >= 4 ? "four" : NULL);
		assert_int_equal(size_of(), ends[whole]);
		/* And it goes on from there. */
		put(s, "new", "life");
		state_close(s);
		s = open_it();
		assert_null(state_error(s));
		holds(s, "new", "life");
		holds(s, "bb", whole >= 2 ? "two" : NULL);
		state_close(s);
	}
	/* One bit wrong anywhere in a record: it and what follows is gone, the rest stays. */
	for (size_t at = ends[0]; at < len; at++) {
		unsigned whole = 0;

		while (ends[whole + 1] <= at)
			whole++;
		data[at] ^= 0x10;
		write_file(data, len);
		data[at] ^= 0x10;
		s = open_it();
		assert_non_null(state_error(s));
		holds(s, "a", whole >= 3 ? "three" : whole >= 1 ? "one" : NULL);
		holds(s, "ccc", NULL);
		assert_int_equal(size_of(), ends[whole]);
		state_close(s);
	}
	/* A head that is not ours is somebody's file. */
	for (size_t at = 0; at < ends[0]; at++) {
		data[at] ^= 0x10;
		write_file(data, len);
		data[at] ^= 0x10;
		assert_null(state_open(path, err, sizeof(err)));
		assert_non_null(strstr(err, "it is no state file of vmnet; remove it"));
		assert_int_equal(size_of(), len);
	}
	free(data);
}

/* ---- kill -9 ---- */

/* Puts numbers as fast as it can, and says so through a pipe after each. */
static void putter(int report, unsigned start)
{
	struct state *s = open_it();
	char key[32];

	for (unsigned i = start;; i++) {
		snprintf(key, sizeof(key), "k%u", i % 97);
		put_number(s, key, i);
		if (i % 5 == 0) {
			state_put(s, "flip", NULL);
		} else {
			put_number(s, "flip", i);
		}
		if (i % 512 == 0)
			state_sync(s);
		if (write(report, &i, sizeof(i)) != sizeof(i))
			_exit(1);
	}
}

static void test_kill(void **state)
{
	unsigned start = 1, total = 0;
	struct rng rng = {(uint64_t)time(NULL) | 1};

	(void)state;
	print_message("# seed %llu\n", (unsigned long long)rng.s);
	for (unsigned round = 0; round < 50; round++) {
		unsigned last = start - 1, got;
		struct timespec wait = {0, (long)(rng_next(&rng) % 20000000)};
		int report[2];
		struct state *s;
		pid_t child;
		char key[32];

		assert_int_equal(pipe2(report, O_CLOEXEC), 0);
		fcntl(report[0], F_SETPIPE_SZ, 1 << 20);
		child = fork();
		if (child == 0)
			putter(report[1], start);
		close(report[1]);
		/* Not before it lives: opening takes its time under sanitizers. */
		assert_int_equal(read(report[0], &last, sizeof(last)), sizeof(last));
		nanosleep(&wait, NULL);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		while (read(report[0], &got, sizeof(got)) == sizeof(got))
			last = got;
		close(report[0]);

		s = open_it();
		assert_null(state_error(s));
		for (unsigned i = last - start > 96 ? last - 96 : start; i <= last; i++) {
			json_int_t v;

			snprintf(key, sizeof(key), "k%u", i % 97);
			v = json_integer_value(state_get(s, key));
			/* The one after the last that was reported may be there already. */
			if (v != i && v != i + 97)
				fail_msg("round %u: %s is %lld, not %u", round, key, (long long)v,
					 i);
			if (v == i + 97)
				assert_int_equal(v, last + 1);
		}
		state_close(s);
		total += last - start;
		start = last + 200;
	}
	print_message("# %u puts, 50 kills\n", total);
}

/* ---- a disk with troubles ---- */

static void test_full_disk(void **state)
{
	static const int errors[] = {ENOSPC, EIO, EFBIG, EDQUOT};
	struct state *s;
	off_t before;

	(void)state;
	for (unsigned i = 0; i < COUNT(errors); i++)
		for (size_t room = 0; room < 40; room++) {
			s = open_it();
			put(s, "a", "before");
			put(s, "b", "before");
			before = size_of();
			break_disk(errors[i], room);
			put(s, "a", "while it is full");
			if (room < 30)
				assert_int_equal(size_of(), before);
			put(s, "new", "while it is full");
			state_put(s, "b", NULL);
			state_sync(s);
			holds(s, "a", "while it is full");
			holds(s, "new", "while it is full");
			holds(s, "b", NULL);
			assert_non_null(strstr(state_error(s), strerror(errors[i])));
			assert_null(state_error(s));
			put(s, "c", "and more");
			assert_null(state_error(s));
			break_disk(0, 0);
			/* Now or with the next put, everything goes. */
			if (room % 2)
				state_sync(s);
			else
				put(s, "d", "room again");
			state_close(s);
			s = open_it();
			assert_null(state_error(s));
			holds(s, "a", "while it is full");
			holds(s, "new", "while it is full");
			holds(s, "b", NULL);
			holds(s, "c", "and more");
			state_put(s, "a", NULL);
			state_put(s, "new", NULL);
			state_put(s, "c", NULL);
			state_close(s);
		}
	/* Said again if it comes again. */
	s = open_it();
	for (unsigned i = 0; i < 2; i++) {
		break_disk(ENOSPC, 0);
		put_number(s, "k", i);
		assert_non_null(state_error(s));
		break_disk(0, 0);
		state_sync(s);
	}
	fault.error = EINTR;
	put(s, "k", "interrupted");
	assert_null(state_error(s));
	state_close(s);
	s = open_it();
	holds(s, "k", "interrupted");
	state_close(s);
}

/* kill -9 while the disk is full: what was whole before is whole after. */
static void test_full_then_killed(void **state)
{
	for (size_t room = 0; room < 60; room++) {
		pid_t child = fork();
		struct state *s;
		int status;

		(void)state;
		if (child == 0) {
			s = open_it();
			put(s, "a", "before");
			break_disk(ENOSPC, room);
			put(s, "a", "while it is full");
			put(s, "b", "while it is full");
			_exit(0);
		}
		waitpid(child, &status, 0);
		assert_int_equal(status, 0);
		s = open_it();
		assert_null(state_error(s));
		if (room < 30)
			holds(s, "a", "before");
		state_put(s, "a", NULL);
		state_put(s, "b", NULL);
		state_close(s);
	}
}

static void test_created_on_a_full_disk(void **state)
{
	struct state *s;

	(void)state;
	for (size_t room = 0; room < 15; room++) {
		break_disk(ENOSPC, room);
		s = open_it();
		assert_non_null(strstr(state_error(s), "No space left"));
		put(s, "a", "kept");
		holds(s, "a", "kept");
		break_disk(0, 0);
		state_sync(s);
		state_close(s);
		s = open_it();
		holds(s, "a", "kept");
		state_close(s);
		assert_int_equal(unlink(path), 0);
	}
}

/* After a sync that failed the whole file is written again. */
static void test_failed_sync(void **state)
{
	struct state *s = open_it();
	struct stat before, after;

	(void)state;
	put(s, "a", "one");
	fault.sync_error = EIO;
	state_sync(s);
	assert_non_null(strstr(state_error(s), "syncing: Input/output error"));
	put(s, "b", "two");
	state_sync(s);
	state_sync(s);
	assert_null(state_error(s));
	assert_int_equal(stat(path, &before), 0);
	fault.sync_error = 0;
	state_sync(s);
	assert_int_equal(stat(path, &after), 0);
	assert_true(before.st_ino != after.st_ino);
	put(s, "c", "three");
	state_close(s);
	s = open_it();
	assert_null(state_error(s));
	holds(s, "a", "one");
	holds(s, "b", "two");
	holds(s, "c", "three");
	state_close(s);
}

/* The kernel's own limit, not ours. */
static void test_file_limit(void **state)
{
	pid_t child = fork();
	struct state *s;
	int status;

	(void)state;
	if (child == 0) {
		struct rlimit limit = {4096, RLIM_INFINITY};
		char text[512];

		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &limit);
		memset(text, 'x', sizeof(text) - 1);
		text[sizeof(text) - 1] = '\0';
		s = open_it();
		for (unsigned i = 0; i < 20; i++) {
			char key[8];

			snprintf(key, sizeof(key), "%02u", i);
			put(s, key, text);
		}
		if (!strstr(state_error(s), "File too large"))
			_exit(1);
		limit.rlim_cur = RLIM_INFINITY;
		setrlimit(RLIMIT_FSIZE, &limit);
		state_sync(s);
		kill(getpid(), SIGKILL);
	}
	waitpid(child, &status, 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	s = open_it();
	assert_null(state_error(s));
	assert_non_null(state_get(s, "00"));
	assert_non_null(state_get(s, "19"));
	state_close(s);
}

/* A value that can never be written does not hold up the others. */
static void test_huge_value(void **state)
{
	struct state *s = open_it();
	char *text = malloc((1 << 20) + 1);

	(void)state;
	memset(text, 'x', 1 << 20);
	text[1 << 20] = '\0';
	put(s, "huge", text);
	assert_non_null(strstr(state_error(s), "Message too long"));
	put(s, "small", "fits");
	text[(1 << 20) - 2] = '\0';
	put(s, "large", text);
	assert_null(state_error(s));
	state_close(s);
	s = open_it();
	holds(s, "small", "fits");
	holds(s, "large", text);
	assert_null(state_get(s, "huge"));
	state_close(s);
	free(text);
}

/* ---- whose it is ---- */

static void test_lock(void **state)
{
	struct state *s = open_it();
	char want[64];
	pid_t child;
	int status;

	(void)state;
	put(s, "a", "mine");
	assert_null(state_open(path, err, sizeof(err)));
	snprintf(want, sizeof(want), "another daemon has it, process %d", (int)getpid());
	assert_non_null(strstr(err, want));
	put(s, "b", "mine");
	state_close(s);

	/* It goes with its process. */
	child = fork();
	if (child == 0) {
		s = open_it();
		put(s, "c", "the child's");
		kill(getpid(), SIGKILL);
	}
	waitpid(child, &status, 0);
	s = open_it();
	holds(s, "b", "mine");
	holds(s, "c", "the child's");
	state_close(s);
}

static void refused(const char *why)
{
	assert_null(state_open(path, err, sizeof(err)));
	if (!strstr(err, why))
		fail_msg("got:  %s\n  want: %s", err, why);
	assert_null(strchr(err, '\n'));
}

static void test_not_ours(void **state)
{
	char other[160], folder[160], lock[160];
	struct stat st;

	(void)state;
	state_close(open_it());
	snprintf(other, sizeof(other), "%s/other", dir);
	snprintf(folder, sizeof(folder), "%s/sub/folder", dir);
	snprintf(lock, sizeof(lock), "%s.lock", path);

	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink(other, path), 0);
	refused("it is a symbolic link; remove it");
	assert_int_equal(access(other, F_OK), -1);
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(unlink(path), 0);

	write_file("hello", 5);
	refused("it is no state file of vmnet; remove it");
	assert_int_equal(size_of(), 5);
	assert_int_equal(link(path, other), 0);
	refused("it has other names");
	assert_int_equal(unlink(other), 0);
	assert_int_equal(chmod(path, 0666), 0);
	refused("others may write to it; make it 0600");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	refused("Is a directory");
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	refused("it is no plain file; remove it");
	assert_int_equal(unlink(path), 0);
	if (geteuid() == 0) {
		write_file("", 0);
		assert_int_equal(chown(path, 12345, 12345), 0);
		refused("it belongs to somebody else; remove it");
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(unlink(path), 0);
	}

	/* Readable by others is put right. */
	state_close(open_it());
	assert_int_equal(chmod(path, 0644), 0);
	state_close(open_it());
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);

	assert_int_equal(unlink(lock), 0);
	assert_int_equal(symlink(other, lock), 0);
	refused("it is a symbolic link; remove it");
	assert_int_equal(unlink(lock), 0);
	assert_int_equal(chmod(folder, 0770), 0);
	refused("others may write to it (mode 770); make it 0700");
	assert_int_equal(chmod(folder, 0700), 0);
	snprintf(path, sizeof(path), "%s/sub/folder/", dir);
	refused("this is no name for a file");
	snprintf(path, sizeof(path), "/proc/nothing/here/state");
	refused("No such file or directory");
	if (geteuid() != 0) {
		snprintf(path, sizeof(path), "/usr/state");
		refused("it belongs to user 0");
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fresh, clean)
	const struct CMUnitTest tests[] = {
		T(test_use),
		T(test_values_are_copies),
		T(test_compaction),
		T(test_compaction_in_the_way),
		T(test_torn_at_every_byte),
		T(test_kill),
		T(test_full_disk),
		T(test_full_then_killed),
		T(test_created_on_a_full_disk),
		T(test_failed_sync),
		T(test_file_limit),
		T(test_huge_value),
		T(test_lock),
		T(test_not_ours),
	};

	alarm(110);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
