/* SPDX-License-Identifier: BSD-2-Clause */
/* The program: its options, its exit status, and that it writes a whole file or none. Argument: the
 * program. */
#define _GNU_SOURCE
#include "tests/kextld/craft.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const char *program;
static char dir[] = "/tmp/kextld-test-XXXXXX";
static char said[4096];

/* Runs the program in dir with these words, blanks between them; said is all it printed. */
static int run(const char *line)
{
	const char *words[32] = {program};
	char copy[512], *save = NULL;
	int pipes[2], status;
	size_t used = 0, n = 1;
	ssize_t got;
	pid_t pid;

	assert_true(strlen(line) < sizeof(copy));
	memcpy(copy, line, strlen(line) + 1);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		assert_true(n + 1 < COUNT(words));
		words[n++] = w;
	}
	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (chdir(dir) || dup2(pipes[1], 1) < 0 || dup2(pipes[1], 2) < 0)
			_exit(99);
		close(pipes[0]);
		close(pipes[1]);
		execv(program, (char *const *)(uintptr_t)words);
		_exit(98);
	}
	close(pipes[1]);
	while ((got = read(pipes[0], said + used, sizeof(said) - 1 - used)) > 0)
		used += (size_t)got;
	said[used] = '\0';
	close(pipes[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static const char *in_dir(const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void put(const char *name, const void *data, size_t len)
{
	FILE *file = fopen(in_dir(name), "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static size_t get(const char *name, uint8_t *data, size_t room)
{
	FILE *file = fopen(in_dir(name), "rb");
	size_t len;

	assert_non_null(file);
	len = fread(data, 1, room, file);
	fclose(file);
	return len;
}

/* How many files there are: a link that fails leaves none of its own. */
static int files(void)
{
	DIR *d = opendir(dir);
	int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void put_object(const char *name, bool wide, bool undefined_data)
{
	static const uint8_t code[16];
	struct craft c;
	struct kextld_input in;

	craft_begin(&c, wide);
	craft_section(&c, "__TEXT", "__text", CRAFT_CODE, 4, code, sizeof(code));
	craft_global(&c, "_f", 1, 0);
	craft_global(&c, "_g", 1, 8);
	if (undefined_data)
		craft_reloc(&c, 1, 4, 1, 2, true, true, craft_undefined(&c, "_away"));
	in = craft_end(&c, name);
	put(name, in.bytes.data, in.bytes.len);
	craft_free(&in);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	put_object("a.o", true, false);
	put_object("a32.o", false, false);
	put_object("bad.o", true, true);
	put("junk.o", "junk", 4);
	return 0;
}

static int tear_down(void **state)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	(void)state;
	while (d && (entry = readdir(d)))
		unlink(in_dir(entry->d_name));
	if (d)
		closedir(d);
	return rmdir(dir);
}

#define KMOD " --kmod-name n --kmod-version 1 "

static void test_usage(void **state)
{
	static const char *const wrong[][2] = {
		{"", "-o: where to write the kext is not said"},
		{"-o", "-o: needs a value"},
		{"-o x", "x: nothing to make it from (--help tells more)"},
		{"-o x -q a.o", "-q: no such option (--help tells which there are)"},
		{"-o x -arch ppc a.o", "ppc: kexts are for x86_64 or i386"},
		{"-o x --kmod-name n a.o", "--kmod-name: goes together with --kmod-version"},
		{"-o x --universal -arch i386 a.o",
		 "--universal: joins finished kexts; only -o goes with it"},
		{"-o x missing.o", "missing.o: No such file or directory"},
		{"-o x -exported_symbols_list missing a.o", "missing: No such file or directory"},
	};
	int before = files();

	(void)state;
	assert_int_equal(run("--help"), 0);
	assert_non_null(strstr(said, "usage: kextld"));
	assert_int_equal(run("--version"), 0);
	assert_int_equal(strncmp(said, "kextld (viokit) ", 16), 0);
	for (size_t i = 0; i < COUNT(wrong); i++) {
		char line[256];

		snprintf(line, sizeof(line), "kextld: %s\n", wrong[i][1]);
		assert_int_equal(run(wrong[i][0]), 2);
		assert_string_equal(said, line);
	}
	assert_int_equal(files(), before);
}

static void test_failures(void **state)
{
	static const uint8_t old[] = "what was there before";
	uint8_t now[64];
	int before;

	(void)state;
	put("out", old, sizeof(old));
	before = files();
	assert_int_equal(run("-o out" KMOD "junk.o"), 1);
	assert_string_equal(said, "kextld: junk.o: not a Mach-O object: too short\n");
	assert_int_equal(run("-o out" KMOD "bad.o"), 1);
	assert_int_equal(strncmp(said, "kextld: bad.o: _away: at 0x4 of __TEXT,__text: ", 46), 0);
	assert_int_equal(run("-o out ."), 1);
	assert_string_equal(said, "kextld: .: Is a directory\n");
	assert_int_equal(run("-o nowhere/out" KMOD "a.o"), 1);
	assert_string_equal(said, "kextld: nowhere/out: No such file or directory\n");
	assert_int_equal(mkdir(in_dir("folder"), 0755), 0);
	assert_int_equal(run("-o folder" KMOD "a.o"), 1);
	assert_string_equal(said, "kextld: folder: Is a directory\n");
	assert_int_equal(rmdir(in_dir("folder")), 0);
	/* The map cannot be written: then the kext is not, either. */
	assert_int_equal(run("-o out --map nowhere/map" KMOD "a.o"), 1);
	assert_int_equal(get("out", now, sizeof(now)), sizeof(old));
	assert_memory_equal(now, old, sizeof(old));
	assert_int_equal(files(), before);
}

static void test_works(void **state)
{
	static uint8_t one[65536], two[65536];
	char line[1024];
	struct stat st;
	size_t len, few;

	(void)state;
	assert_int_equal(run("-arch x86_64 -o k64 --map k64.map" KMOD "a.o"), 0);
	assert_string_equal(said, "");
	assert_true(get("k64.map", one, sizeof(one)) > 100);
	len = get("k64", one, sizeof(one));
	assert_memory_equal(one, "\xcf\xfa\xed\xfe\7\0\0\1\3\0\0\0\x0b", 13);
	assert_int_equal(stat(in_dir("k64"), &st), 0);
	assert_int_equal(st.st_mode & 0600, 0600);

	/* The same by another name. */
	snprintf(line, sizeof(line), "-o again" KMOD "%s", in_dir("a.o"));
	assert_int_equal(run(line), 0);
	assert_int_equal(get("again", two, sizeof(two)), len);
	assert_memory_equal(one, two, len);

	put("list", "# what is seen\n _f  # this\n\n", 28);
	assert_int_equal(run("-o few --strip-locals -exported_symbols_list list" KMOD "a.o"), 0);
	few = get("few", two, sizeof(two));
	assert_non_null(memmem(two, few, "_f", 3));
	assert_null(memmem(two, few, "_g", 3));

	assert_int_equal(run("-o k32" KMOD "a32.o"), 0);
	assert_int_equal(run("--universal -o both k32 k64"), 0);
	assert_true(get("both", two, sizeof(two)) > len);
	assert_memory_equal(two, "\xca\xfe\xba\xbe\0\0\0\2", 8);
	assert_int_equal(run("--universal -o both k64 k64"), 1);
	assert_string_equal(said, "kextld: k64: for the same processor as k64\n");

	/* Not a file to be replaced. */
	assert_int_equal(run("-o /dev/null" KMOD "a.o"), 0);
	assert_int_equal(stat("/dev/null", &st), 0);
	assert_true(S_ISCHR(st.st_mode));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usage),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_works),
	};

	if (argc != 2)
		return 2;
	program = realpath(argv[1], NULL);
	if (!program)
		return 2;
	alarm(60);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
