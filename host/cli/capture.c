/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vmnet capture: the daemon writes pcapng to a descriptor of ours; we wait until it has ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/cli/cli.h"

#define END_WAIT_MS 3000

static bool is_terminal(const char *path)
{
	return (!path || !strcmp(path, "-")) && isatty(1);
}

/*
 * Where to: a file (0600: it has what others say), or standard output. That is opened once more
 * where it can be, as the daemon makes its descriptor non-blocking, which must not become ours.
 */
static int open_output(const struct cli *cli, const char *path, int *status)
{
	int fd;

	if (path && strcmp(path, "-")) {
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0600);
		if (fd < 0)
			*status = errno == ENOSPC || errno == EIO
					  ? cli_system(cli, "%s: %s", path, strerror(errno))
					  : cli_user(cli, "%s: %s", path, strerror(errno));
		return fd;
	}
	fd = open("/proc/self/fd/1", O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0)
		fd = fcntl(1, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		*status = cli_system(cli, "standard output: %s", strerror(errno));
	return fd;
}

/* Before a file is overwritten for nothing: is there anything to capture? */
static bool is_there(const struct cli *cli, struct vmnet_client *c, const char *network,
		     const char *member, int *status)
{
	struct vmnet_error err;
	const json_t *n, *m;
	bool found = !member;
	json_t *answer;
	size_t i;

	answer = vmnet_call(c, json_pack("{s:s, s:s}", "op", "status", "network", network), -1,
			    &err);
	if (!answer) {
		*status = cli_error(cli, &err);
		return false;
	}
	n = json_array_get(json_object_get(answer, "networks"), 0);
	json_array_foreach(json_object_get(n, "members"), i, m) found |=
		member && !strcmp(cli_text(m, "name"), member);
	if (!n)
		*status = cli_user(cli, "network %s is not up: it has no members", network);
	else if (!found)
		*status = cli_user(cli, "network %s has no member %s; vmnet status shows them",
				   network, member);
	json_decref(answer);
	return n && found;
}

static int say_end(const struct cli *cli, const json_t *answer, bool to_stdout)
{
	long long n = (long long)cli_int(answer, "frames");
	FILE *out = to_stdout ? stderr : stdout;

	if (cli->json)
		fprintf(out, "{\"frames\":%lld}\n", n);
	else
		fprintf(out, "%lld frame%s\n", n, n == 1 ? "" : "s");
	return to_stdout ? 0 : cli_printed(cli);
}

/* Wireshark was closed: that is how such a capture is ended. */
static bool reader_is_gone(void)
{
	struct pollfd p = {.fd = 1};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLERR);
}

/* The answer to our request, which comes when the capture has ended. */
static int wait_end(const struct cli *cli, struct vmnet_client *c, bool to_stdout)
{
	struct pollfd p[2] = {{.events = POLLIN}, {.fd = vmnet_fd(c), .events = POLLIN}};
	struct vmnet_error err = {0};
	bool finishing = false;
	json_t *answer = NULL;
	int status;

	p[0].fd = cli_signals();
	while (!answer) {
		if (poll(p, 2, finishing ? END_WAIT_MS : -1) == 0)
			break;
		if (p[0].revents & POLLIN) {
			vmnet_finish(c);
			finishing = true;
			p[0].fd = -1;
			p[0].revents = 0;
		}
		answer = vmnet_next(c, 0, &err);
		if (answer && json_object_get(answer, "event")) {
			json_decref(answer);
			answer = NULL;
		}
		if (!answer && err.fault != VMNET_NONE)
			break;
	}
	if (p[0].fd >= 0)
		close(p[0].fd);
	if (!answer)
		return finishing ? 0 : cli_error(cli, &err);
	if (vmnet_check(answer, &err))
		status = say_end(cli, answer, to_stdout);
	else
		status = to_stdout && reader_is_gone() ? 0 : cli_error(cli, &err);
	json_decref(answer);
	return status;
}

static int capture(struct cli *cli)
{
	static const char *const names[] = {"NETWORK", NULL};
	const char *member = NULL, *path = NULL, *count = NULL;
	const struct cli_option options[] = {
		{.name = "member", .value = &member},
		{.name = "write", .letter = 'w', .value = &path},
		{.name = "count", .value = &count},
	};
	struct cli_args args = {.options = options, .noptions = 3, .names = names, .required = 1};
	struct vmnet_error err;
	struct vmnet_client *c;
	json_t *request;
	uint64_t n = 0;
	int fd, status = 0;

	if (!cli_parse(cli, &args) || !cli_name(cli, "network", args.given[0]) ||
	    !cli_name(cli, "--member", member) ||
	    (count && !cli_number(cli, "--count", count, 1, INT64_MAX, &n)))
		return VMNET_USER;
	if (is_terminal(path))
		return cli_user(cli, "a capture is no text: -w FILE, or a pipe: "
				     "`vmnet capture ... | wireshark -k -i -`");
	c = cli_connect(cli, &err);
	if (!c)
		return cli_error(cli, &err);
	fd = is_there(cli, c, args.given[0], member, &status) ? open_output(cli, path, &status)
							      : -1;
	if (fd < 0) {
		vmnet_close(c);
		return status;
	}
	request = json_pack("{s:s, s:s, s:s*}", "op", "capture", "network", args.given[0], "member",
			    member);
	if (request && n)
		json_object_set_new(request, "count", json_integer((json_int_t)n));
	if (vmnet_send(c, request, fd, &err)) {
		close(fd);
		status = wait_end(cli, c, !path || !strcmp(path, "-"));
	} else {
		close(fd);
		status = cli_error(cli, &err);
	}
	vmnet_close(c);
	return status;
}

const struct cli_command cmd_capture = {
	.name = "capture",
	.shapes = "capture NETWORK [--member NAME] [-w FILE|-] [--count N]",
	.summary = "what passes on a network, as pcapng",
	.help = "  --member NAME         only what this one sends and receives\n"
		"  -w, --write FILE|-    where to; standard output unless given\n"
		"  --count N             end after so many frames\n"
		"\n"
		"  vmnet capture shared | wireshark -k -i -\n",
	.run = capture,
};
