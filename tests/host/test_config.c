/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * networks.yaml: what it takes, and for each mistake the line, the column and the words.
 */
#include "tests/unit/cm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "host/netd/config.h"
#include "host/netd/paths.h"

static char err[NETDEF_ERR_MAX];

static bool parse(struct config *c, const char *text)
{
	return config_parse(c, "f", text, strlen(text), err);
}

static void test_good(void **state)
{
	struct config c;

	(void)state;
	if (!parse(&c, "# two\n"
		       "linger: 30\n"
		       "networks:\n"
		       "  dev:\n"
		       "    mode: shared\n"
		       "    subnet: 192.168.5.0/24\n"
		       "    dhcp: {start: 192.168.5.10, end: 192.168.5.99, lease: 1h}\n"
		       "    reservations:\n"
		       "      - mac: 02:00:00:00:00:01\n"
		       "        address: 192.168.5.7\n"
		       "      - {name: web, address: 192.168.5.8}\n"
		       "    forwards:\n"
		       "      - tcp 8080 web 80\n"
		       "      - proto: udp\n"
		       "        host: \"[::1]:53\"\n"
		       "        to: 192.168.5.8\n"
		       "        port: 53\n"
		       "    dns: [1.1.1.1, \"[::1]:5353\"]\n"
		       "    isolated: yes\n"
		       "    rate: 1.5gbit\n"
		       "    linger: 7\n"
		       "  \"lab\":\n"
		       "    mode: host\n"
		       "    domain: ~\n"
		       "  empty:\n"
		       "  shared: {mtu: 9000}\n") &&
	    strcmp(err, "f:24:13: network \"lab\": domain: this is nothing; write a domain like "
			"dev.internal") != 0)
		fail_msg("%s", err);
	if (!parse(&c,
		   "linger: 30\nnetworks:\n  dev:\n    dhcp: {lease: 1h}\n    linger: 7\n"
		   "    isolated: yes\n    reservations: []\n  empty:\n  shared: {mtu: 9000}\n"))
		fail_msg("%s", err);
	assert_int_equal(c.n, 3);
	assert_int_equal(config_find(&c, "dev")->linger_s, 7);
	assert_int_equal(config_find(&c, "dev")->lease_s, 3600);
	assert_true(config_find(&c, "dev")->isolated);
	assert_int_equal(config_find(&c, "empty")->linger_s, 30);
	assert_int_equal(config_find(&c, "shared")->mtu, 9000);
	assert_null(config_find(&c, "host"));
	config_free(&c);
}

static void test_empty(void **state)
{
	static const char *const all[] = {"",
					  "\n\n",
					  "# nothing\n",
					  "---\n...\n",
					  "networks:\n",
					  "networks: {}\n",
					  "linger: 9\n",
					  "~\n"};
	struct config c;

	(void)state;
	for (unsigned i = 0; i < COUNT(all); i++) {
		if (!parse(&c, all[i]))
			fail_msg("%s: %s", all[i], err);
		assert_int_equal(c.n, 0);
		config_free(&c);
	}
}

static void test_mistakes(void **state)
{
	static const struct {
		const char *text, *want;
	} all[] = {
		{"networks: [\n", "f:2:1: this is no YAML: while parsing a flow node, did not find "
				  "expected node content"},
		{"networks:\n\tdev: {}\n", "f:2:1: this is a tab; YAML is indented with spaces"},
		{"networks:\n  dev:\n    mtu: 9000\n   mode: host\n",
		 "f:4:4: this is no YAML: while parsing a block mapping, did not find expected "
		 "key"},
		{"networks: {dev: \"\\q\"}\n",
		 "f:1:18: this is no YAML: while parsing a quoted scalar, found unknown escape "
		 "character"},
		{"a: \xff\n", "f:1:1: this is not UTF-8 text: invalid leading UTF-8 octet"},
		{"- a\n", "f:1:1: this is no mapping; begin with \"networks:\""},
		{"text\n", "f:1:1: this is no mapping; begin with \"networks:\""},
		{"# x\n  nets: {}\n",
		 "f:2:3: there is no key \"nets\" here; networks and linger are"},
		{"networks:\n  - dev\n",
		 "f:1:1: networks: write names with their definitions below them"},
		{"networks: {}\n---\nnetworks: {}\n",
		 "f:2:1: a second document (---) is not taken"},
		{"networks:\n  dev: {}\n  lab: {}\n  dev: {}\n",
		 "f:4:3: \"dev\" is there twice, first in line 2"},
		{"networks:\n  dev:\n    mtu: 9000\n    mtu: 1500\n",
		 "f:4:5: \"mtu\" is there twice, first in line 3"},
		{"networks:\n  dev: &a {}\n  lab: *a\n",
		 "f:2:8: anchors and aliases (& and *) are not taken; write it out"},
		{"networks:\n  lab: *a\n",
		 "f:2:8: anchors and aliases (& and *) are not taken; write it out"},
		{"networks:\n  dev: {<<: *a}\n",
		 "f:2:13: anchors and aliases (& and *) are not taken; write it out"},
		{"networks:\n  ? [a]\n  : {}\n", "f:2:5: this key is no word"},
		{"networks:\n  dev: {mode: \"a\\0b\"}\n",
		 "f:2:15: there is a NUL character in this"},
		{"networks: {dev: {dns: [[[[[[1]]]]]]}}\n",
		 "f:1:28: this is too deep; at most 8 levels"},
		{"networks:\n  a/b: {}\n", "f:2:3: network \"a/b\": \"a/b\" is no name for a "
					   "network; letters, digits and -_. "
					   ", at most 32"},
		{"networks:\n  dev: 7\n",
		 "f:2:8: network \"dev\": this is a number; write keys and values"},
		{"networks:\n  dev:\n    mode: host\n    gatway: 10.0.0.1\n",
		 "f:4:5: network \"dev\": there is no key \"gatway\"; the nearest is gateway"},
		{"networks:\n  dev:\n    mode:\n    mtu: 9000\n",
		 "f:3:5: network \"dev\": mode: this is nothing; write shared or host"},
		{"networks:\n  dev:\n    mode: natted\n",
		 "f:3:11: network \"dev\": mode: \"natted\" is no mode; shared or host"},
		{"networks:\n  dev:\n    subnet: 10.0.0.0/24\n    gateway: 10.0.1.1\n",
		 "f:4:14: network \"dev\": gateway: 10.0.1.1 is outside the subnet 10.0.0.0/24"},
		{"networks:\n  dev:\n    dhcp:\n      start: 10.0.0.9\n      stop: 10.0.0.99\n",
		 "f:5:7: network \"dev\": dhcp: there is no key \"stop\"; start, end and lease "
		 "are"},
		{"networks:\n  dev:\n    subnet: 10.0.0.0/24\n    dhcp:\n      end: 10.1.0.0\n",
		 "f:5:12: network \"dev\": dhcp-end: 10.1.0.0 is outside the subnet 10.0.0.0/24"},
		{"networks:\n  dev:\n    subnet: 10.0.0.0/24\n    dhcp-end: 10.0.0.1\n",
		 "f:4:15: network \"dev\": dhcp-end: the range 10.0.0.1 to 10.0.0.1 has the "
		 "gateway "
		 "10.0.0.1 in it; leave it out"},
		{"networks:\n  dev:\n    mode: host\n    nat: both\n",
		 "f:4:10: network \"dev\": nat44: a network of mode host has no way out; only mode "
		 "shared can"},
		{"networks:\n  dev:\n    subnet: 10.0.0.0/24\n    reserve:\n      - web=10.0.0.5\n"
		 "      - {name: db, address: 10.0.0.5}\n",
		 "f:6:9: network \"dev\": reservations[1]: 10.0.0.5 is reserved already"},
		{"networks:\n  dev:\n    reservations:\n      - name: db\n        address: x\n",
		 "f:5:18: network \"dev\": reservations[0].address: \"x\" is no IPv4 address; "
		 "write "
		 "one like 192.168.64.1"},
		{"networks:\n  dev:\n    reservations:\n      - name: db\n        ip: x\n",
		 "f:5:9: network \"dev\": reservations[0]: there is no key \"ip\"; mac, name and "
		 "address are"},
		{"networks:\n  dev:\n    forwards: [tcp 80 a 80, tcp 0.0.0.0:80 b 80]\n",
		 "f:3:29: network \"dev\": forwards[1]: tcp 127.0.0.1:80 is forwarded already"},
		{"networks:\n  dev:\n    search: ok, not ok\n",
		 "f:3:13: network \"dev\": search[1]: \"not ok\" is no domain; letters, digits and "
		 "- "
		 "with dots"},
		{"networks:\n  dev: {mtu: 0100}\n",
		 "f:2:14: network \"dev\": mtu: 100 is out of range; 576 to 65520"},
		{"networks:\n  dev:\n    netmask: 255.255.255.0\n",
		 "f:3:14: network \"dev\": netmask: it needs a gateway, or write subnet"},
		{"networks:\n  dev:\n    netmask: 255.255.255.252\n    gateway: 10.0.0.1\n",
		 "f:3:14: network \"dev\": subnet: /30 is too small; /8 to /29"},
		{"networks:\n  dev:\n    subnet: 10.0.0.0/16\n  lab:\n    subnet: 10.0.9.0/24\n",
		 "f:5:13: networks lab (10.0.9.0/24) and dev (10.0.0.0/16, line 3) overlap; give "
		 "one "
		 "of them another subnet"},
		{"networks:\n  dev:\n    nat66-prefix: fd00:1:2:3::/64\n"
		 "  lab:\n    nat66-prefix: fd00:1:2:3::/64\n",
		 "f:5:19: networks lab and dev (line 3) have the same nat66-prefix"},
		{"linger: never\nnetworks: {dev: {}}\n",
		 "f:1:9: network \"dev\": linger: \"never\" is no time; write seconds, or like "
		 "30m, "
		 "12h, 1d"},
	};
	struct config c;
	unsigned bad = 0;

	(void)state;
	for (unsigned i = 0; i < COUNT(all); i++) {
		if (parse(&c, all[i].text))
			fail_msg("taken: %s", all[i].text);
		assert_int_equal(c.n, 0);
		assert_null(c.defs);
		if (!strcmp(err, all[i].want))
			continue;
		bad++;
		print_error("%s\n  got:  %s\n  want: %s\n", all[i].text, err, all[i].want);
	}
	assert_int_equal(bad, 0);
}

static void test_bounds(void **state)
{
	const size_t len = (1u << 20) + 1;
	char *text = malloc(len), *at = text;
	struct config c;

	(void)state;
	memset(text, '#', len);
	assert_false(config_parse(&c, "f", text, len, err));
	assert_string_equal(err, "f:1:1: the file is larger than 1 MiB");
	assert_true(config_parse(&c, "f", text, len - 1, err));
	config_free(&c);

	at += sprintf(at, "networks:\n");
	for (unsigned i = 0; i < CONFIG_NETWORKS_MAX; i++)
		at += sprintf(at, "  n%u:\n", i);
	assert_true(parse(&c, text));
	assert_int_equal(c.n, CONFIG_NETWORKS_MAX);
	config_free(&c);
	sprintf(at, "  more:\n");
	assert_false(parse(&c, text));
	assert_string_equal(err, "f:1:1: 65 networks are too many; at most 64");

	at = text + sprintf(text, "networks: {dev: {dns: [");
	for (unsigned i = 0; i < 30000; i++)
		at += sprintf(at, "1,");
	assert_false(parse(&c, text));
	assert_string_equal(err, "f:1:40016: there are more than 20000 values");

	/* Brackets in great number end at the limit of depth, in no time. */
	memset(text, '[', len - 1);
	assert_false(config_parse(&c, "f", text, len - 1, err));
	assert_string_equal(err, "f:1:9: this is too deep; at most 8 levels");
	memset(text, '?', len - 1);
	assert_false(config_parse(&c, "f", text, len - 1, err));
	free(text);
}

/* Messages are one line, whatever was in the file and in its name. */
static void test_one_line(void **state)
{
	static const char text[] = "networks:\n  dev: {\"a\\nb\\x1bc\\x7f\": 1}\n";
	char name[512];
	struct config c;

	(void)state;
	memset(name, 'x', sizeof(name));
	snprintf(name + sizeof(name) - 16, 16, "\xc3\xa4/networks.yml");
	assert_false(config_parse(&c, name, text, strlen(text), err));
	assert_non_null(strstr(err, "xx\xc3\xa4/networks.yml:2:9: network \"dev\": there is no key "
				    "\"a?b?c?\"; the nearest is "));
	assert_false(config_parse(&c, "a\nb", "x", 1, err));
	assert_null(strchr(err, '\n'));
}

/* ---- the file that is installed ---- */

static const char *example;

/* As it is, and with what is in comments: "  #key" and "  #  key", not "  # prose". */
static void test_example(void **state)
{
	FILE *file = fopen(example, "re");
	static char text[16384], line[256];
	size_t n = 0;
	bool user;
	struct config c;

	(void)state;
	if (!config_load(&c, example, err, &user))
		fail_msg("%s", err);
	assert_int_equal(c.n, 1);
	config_free(&c);
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		char *hash = strchr(line, '#');

		if (hash && hash - line == 2 && line[0] == ' ' && line[1] == ' ' &&
		    (hash[1] != ' ' || hash[2] == ' '))
			memmove(hash, hash + 1, strlen(hash));
		if (strstr(line, "user:alice"))
			strncpy(line, "      - user:root\n", sizeof(line));
		else if (strstr(line, "group:kvm"))
			strncpy(line, "      - group:root\n", sizeof(line));
		else if (strstr(line, "exe:"))
			strncpy(line, "      - exe:/proc/self/exe\n", sizeof(line));
		assert_true(n + strlen(line) < sizeof(text));
		memcpy(text + n, line, strlen(line) + 1);
		n += strlen(line);
	}
	fclose(file);
	if (!config_parse(&c, "example", text, n, err))
		fail_msg("%s", err);
	assert_int_equal(c.n, 5);
	assert_int_equal(config_find(&c, "lab")->nforward, 3);
	assert_int_equal(config_find(&c, "team")->nallow, 3);
	config_free(&c);
}

/* ---- files ---- */

static char dir[64];

static void put(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void test_files(void **state)
{
	char path[300], folder[256];
	bool user = false;
	struct config c;

	(void)state;
	unsetenv("VMNET_CONFIG");
	snprintf(folder, sizeof(folder), "%s/vmnet", dir);
	snprintf(path, sizeof(path), "%s/networks.yaml", folder);
	setenv("XDG_CONFIG_HOME", dir, 1);

	assert_false(config_load(&c, path, err, &user));
	assert_true(user && strstr(err, "No such file"));
	assert_int_equal(mkdir(folder, 0700), 0);
	put(path, "networks: {dev: {}}\n", 0600);
	assert_true(config_load(&c, NULL, err, &user));
	assert_string_equal(c.path, path);
	assert_int_equal(c.n, 1);
	config_free(&c);

	/* The variable comes first; one that is not there is passed over. */
	snprintf(folder, sizeof(folder), "%s/other.yaml", dir);
	setenv("VMNET_CONFIG", folder, 1);
	assert_true(config_load(&c, NULL, err, &user));
	assert_string_equal(c.path, path);
	config_free(&c);
	put(folder, "networks: {lab: {}, tmp: {}}\n", 0644);
	assert_true(config_load(&c, NULL, err, &user));
	assert_string_equal(c.path, folder);
	assert_int_equal(c.n, 2);
	config_free(&c);

	/* Whoever can write there would give orders. */
	put(folder, "networks: {lab: {}}\n", 0666);
	assert_false(config_load(&c, NULL, err, &user));
	assert_true(user && strstr(err, "everybody may write to it"));
	assert_true(config_load(&c, folder, err, &user));
	config_free(&c);

	setenv("VMNET_CONFIG", "relative", 1);
	assert_false(config_load(&c, NULL, err, &user));
	assert_string_equal(err,
			    "VMNET_CONFIG is \"relative\"; it must be a path that begins with /");
	assert_false(config_load(&c, dir, err, &user));
	assert_true(user && strstr(err, "Is a directory"));
	assert_false(config_load(&c, "/dev/null", err, &user));
	assert_true(user && strstr(err, "no plain file"));
	snprintf(folder, sizeof(folder), "%s/fifo", dir);
	assert_int_equal(mkfifo(folder, 0600), 0);
	assert_false(config_load(&c, folder, err, &user));
	assert_true(user && strstr(err, "no plain file"));
	unsetenv("VMNET_CONFIG");
}

static void test_paths(void **state)
{
	char out[PATHS_MAX], sock[PATHS_SOCKET_MAX], want[PATHS_MAX], long_dir[200];

	(void)state;
	setenv("VMNET_RUNTIME_DIR", "/a/b", 1);
	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	assert_true(paths_socket(sock, err));
	assert_string_equal(sock, "/a/b/control.sock");
	setenv("VMNET_RUNTIME_DIR", "", 1);
	assert_true(paths_runtime_dir(out, err));
	assert_string_equal(out, "/run/user/7/vmnet");
	setenv("XDG_RUNTIME_DIR", "relative", 1);
	assert_true(paths_runtime_dir(out, err));
	if (geteuid() == 0)
		strcpy(want, "/run/vmnet");
	else
		snprintf(want, sizeof(want), "/tmp/vmnet-%u", (unsigned)geteuid());
	assert_string_equal(out, want);
	setenv("VMNET_RUNTIME_DIR", "relative", 1);
	assert_false(paths_runtime_dir(out, err));
	memset(long_dir, 'x', sizeof(long_dir));
	long_dir[0] = '/';
	long_dir[107 - strlen("/control.sock")] = '\0';
	setenv("VMNET_RUNTIME_DIR", long_dir, 1);
	assert_true(paths_socket(sock, err));
	assert_int_equal(strlen(sock), 107);
	long_dir[107 - strlen("/control.sock")] = 'x';
	long_dir[108 - strlen("/control.sock")] = '\0';
	setenv("VMNET_RUNTIME_DIR", long_dir, 1);
	assert_false(paths_socket(sock, err));
	assert_non_null(strstr(err, "too long for a socket (at most 107 bytes)"));
	unsetenv("VMNET_RUNTIME_DIR");

	setenv("VMNET_STATE_DIR", "/s", 1);
	assert_true(paths_state_file(out, err));
	assert_string_equal(out, "/s/state");
	unsetenv("VMNET_STATE_DIR");
	setenv("XDG_STATE_HOME", "/x", 1);
	assert_true(paths_state_dir(out, err));
	assert_string_equal(out, geteuid() == 0 ? "/var/lib/vmnet" : "/x/vmnet");
	unsetenv("XDG_STATE_HOME");
}

/* ---- folders (D-11) ---- */

static void test_folders(void **state)
{
	char path[256], target[256], line[PATHS_ERR_MAX];
	struct stat st;

	(void)state;
	snprintf(path, sizeof(path), "%s/a/b/c/", dir);
	assert_true(paths_make_dir(path, line));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_true(paths_make_dir(path, line));

	assert_int_equal(chmod(path, 0750), 0);
	assert_true(paths_make_dir(path, line));
	assert_int_equal(chmod(path, 0770), 0);
	assert_false(paths_make_dir(path, line));
	assert_non_null(strstr(line, "others may write to it (mode 770); make it 0700"));
	assert_int_equal(chmod(path, 01777), 0);
	assert_false(paths_make_dir(path, line));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 01777);
	assert_int_equal(chmod(path, 0700), 0);

	/* A link is not followed, with or without a slash behind it. */
	snprintf(target, sizeof(target), "%s/link", dir);
	assert_int_equal(symlink(path, target), 0);
	assert_false(paths_make_dir(target, line));
	assert_non_null(strstr(line, "it is a symbolic link; remove it"));
	snprintf(target, sizeof(target), "%s/link//", dir);
	assert_false(paths_make_dir(target, line));
	assert_non_null(strstr(line, "it is a symbolic link; remove it"));
	snprintf(target, sizeof(target), "%s/dangling", dir);
	assert_int_equal(symlink("nowhere", target), 0);
	assert_false(paths_make_dir(target, line));
	snprintf(path, sizeof(path), "%s/nowhere", dir);
	assert_int_equal(access(path, F_OK), -1);

	snprintf(path, sizeof(path), "%s/file", dir);
	put(path, "x", 0600);
	assert_false(paths_make_dir(path, line));
	assert_non_null(strstr(line, "Not a directory"));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 1);

	/* Somebody else's: root's, or, for root, one given away. */
	snprintf(path, sizeof(path), "%s/theirs", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	if (geteuid() != 0) {
		strcpy(path, "/usr");
	} else {
		assert_int_equal(chown(path, 12345, 12345), 0);
	}
	assert_false(paths_make_dir(path, line));
	assert_non_null(strstr(line, "it belongs to user "));
	snprintf(path, sizeof(path), "%s/theirs", dir);
	assert_int_equal(stat(path, &st), 0);
}

/* A folder that somebody swaps for a link all the time: it is ours each time we get it. */
static void test_raced(void **state)
{
	char path[256], target[256], line[PATHS_ERR_MAX];
	unsigned got = 0;
	struct stat st, theirs;
	pid_t child;

	(void)state;
	snprintf(path, sizeof(path), "%s/raced", dir);
	snprintf(target, sizeof(target), "%s/target", dir);
	assert_int_equal(mkdir(target, 0700), 0);
	assert_int_equal(stat(target, &theirs), 0);
	child = fork();
	if (child == 0) {
		alarm(20);
		for (;;) {
			(void)!symlink(target, path);
			unlink(path);
			rmdir(path);
		}
	}
	for (unsigned i = 0; i < 1000; i++) {
		int fd = paths_open_dir(path, line);

		if (fd < 0)
			continue;
		got++;
		assert_int_equal(fstat(fd, &st), 0);
		assert_true(st.st_ino != theirs.st_ino);
		close(fd);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	print_message("# a folder in %u of 1000\n", got);
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/vmnet-config-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command); // NOLINT(cert-env33-c)
}

/* test_config EXAMPLE */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	 cmocka_unit_test(test_empty),
		cmocka_unit_test(test_mistakes), cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_one_line), cmocka_unit_test(test_example),
		cmocka_unit_test(test_files),	 cmocka_unit_test(test_paths),
		cmocka_unit_test(test_folders),	 cmocka_unit_test(test_raced),
	};

	if (argc != 2)
		return 2;
	example = argv[1];
	alarm(100);
	return cmocka_run_group_tests(tests, setup, teardown);
}
