/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vmnet attach, detach: a network behind the path of a unix socket, for VMs that are started by
 * others. The daemon listens there; we only hold the attachment, or leave it to the daemon.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/cli/cli.h"
#include "host/cli/hold.h"

#define END_WAIT_MS 2000
#define SOCKET_MAX  (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)

struct attach {
	struct cli *cli;
	struct hold hold;
	const char *network, *name, *mac;
	char path[SOCKET_MAX + 1];
	enum vmnet_kind kind;
	bool detach;
	json_t *answer; /* the last one: it has the name and the address */
};

/* What was chosen once is asked for again. */
static const char *chosen(const struct attach *a, const char *key, const char *given)
{
	return a->answer ? json_string_value(json_object_get(a->answer, key)) : given;
}

static bool ask(struct hold *h, bool again, struct vmnet_error *err)
{
	struct attach *a = h->arg;
	json_t *request, *answer;

	(void)again;
	request =
		json_pack("{s:s, s:s, s:s, s:s, s:s*, s:s*}", "op", "attach", "network", a->network,
			  "path", a->path, "kind", a->kind == VMNET_DGRAM ? "dgram" : "stream",
			  "name", chosen(a, "name", a->name), "mac", chosen(a, "mac", a->mac));
	if (request && a->detach)
		json_object_set_new(request, "detach", json_true());
	answer = vmnet_call(h->client, request, -1, err);
	if (!answer)
		return false;
	json_decref(a->answer);
	a->answer = answer;
	return true;
}

static int ready(const struct attach *a)
{
	const char *mac = cli_text(a->answer, "mac");

	if (a->cli->json)
		return cli_print_json(a->cli, json_deep_copy(a->answer));
	printf("listening on %s as %s", a->path, cli_text(a->answer, "name"));
	if (*mac)
		printf(" (%s)", mac);
	putchar('\n');
	return cli_printed(a->cli);
}

/* Until we are told to end. */
static int stay(struct attach *a, int signals)
{
	struct pollfd p[2] = {{.fd = signals, .events = POLLIN}};
	struct signalfd_siginfo info;
	struct vmnet_error err;

	while (read(p[0].fd, &info, sizeof(info)) != sizeof(info)) {
		p[1] = (struct pollfd){.fd = hold_fd(&a->hold), .events = POLLIN};
		if (poll(p, 2, hold_timeout(&a->hold)) < 0 && errno != EINTR)
			break;
		if (!(p[0].revents & POLLIN))
			hold_turn(&a->hold);
	}
	/* The daemon closes when it has taken everything down: wait for that. */
	if (a->hold.client) {
		vmnet_finish(a->hold.client);
		for (json_t *m; (m = vmnet_next(a->hold.client, END_WAIT_MS, &err));)
			json_decref(m);
	}
	return 0;
}

/* The daemon has a working folder of its own. */
static bool absolute(const struct cli *cli, const char *path, char out[SOCKET_MAX + 1])
{
	char here[4096] = "";
	int n;

	if (*path != '/' && !getcwd(here, sizeof(here))) {
		cli_note(cli, "the working folder: %s", strerror(errno));
		return false;
	}
	n = snprintf(out, SOCKET_MAX + 1, "%s%s%s", here, *here ? "/" : "", path);
	if (n > 0 && (size_t)n <= SOCKET_MAX && *path)
		return true;
	cli_note(cli, "--socket %s: a socket's path has 1 to %zu bytes, this one %d", path,
		 SOCKET_MAX, n);
	return false;
}

static int attach(struct cli *cli)
{
	static const char *const names[] = {"NETWORK", NULL};
	const char *kind = NULL, *path = NULL;
	struct attach a = {
		.cli = cli,
		.hold = {.cli = cli, .ask = ask, .arg = &a},
	};
	const struct cli_option options[] = {
		{.name = "socket", .value = &path},    {.name = "kind", .value = &kind},
		{.name = "name", .value = &a.name},    {.name = "mac", .value = &a.mac},
		{.name = "detach", .flag = &a.detach},
	};
	struct cli_args args = {.options = options, .noptions = 5, .names = names, .required = 1};
	struct vmnet_error err;
	int signals, status;

	if (!cli_parse(cli, &args) || !cli_name(cli, "network", args.given[0]) ||
	    !cli_name(cli, "--name", a.name) || !cli_mac(cli, a.mac) ||
	    !cli_kind(cli, kind, &a.kind))
		return VMNET_USER;
	if (!path)
		return cli_user(cli, "--socket PATH is missing: where VMs are to connect");
	if (!absolute(cli, path, a.path))
		return VMNET_USER;
	a.network = args.given[0];
	if (!hold_begin(&a.hold, &err))
		return cli_error(cli, &err);
	signals = cli_signals();
	status = signals < 0 ? cli_system(cli, "signalfd: %s", strerror(errno)) : ready(&a);
	if (!status && !a.detach)
		status = stay(&a, signals);
	if (signals >= 0)
		close(signals);
	hold_end(&a.hold);
	json_decref(a.answer);
	return status;
}

static int detach(struct cli *cli)
{
	static const char *const names[] = {"NETWORK", "NAME", NULL};
	struct cli_args args = {.names = names, .required = 2};

	if (!cli_parse(cli, &args) || !cli_name(cli, "network", args.given[0]) ||
	    !cli_name(cli, "name", args.given[1]))
		return VMNET_USER;
	return cli_do(cli, json_pack("{s:s, s:s, s:s}", "op", "detach", "network", args.given[0],
				     "name", args.given[1]));
}

const struct cli_command cmd_attach = {
	.name = "attach",
	.shapes = "attach NETWORK --socket PATH [--kind stream|dgram] [--name NAME] [--mac MAC]\n"
		  "attach NETWORK --socket PATH --detach ...",
	.summary = "a network behind a unix socket, for VMs that others start",
	.help = "  --socket PATH        where to listen\n"
		"  --kind stream|dgram  what is spoken there (stream: QEMU, Lima; dgram: vfkit)\n"
		"  --name NAME          what the VM is called on the network\n"
		"  --mac MAC            its address; otherwise learnt from what it sends\n"
		"  --detach             leave it to the daemon, until `vmnet detach`\n"
		"\n"
		"Stays until Ctrl-C, unless detached.\n",
	.run = attach,
};

const struct cli_command cmd_detach = {
	.name = "detach",
	.shapes = "detach NETWORK NAME",
	.summary = "end an attachment that was left to the daemon",
	.run = detach,
};
