/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <string.h>

#include "host/cli/cli.h"
#include "host/cli/table.h"
#include "host/netd/netdef.h"

static int add(struct cli *cli)
{
	static const char *const names[] = {"NETWORK",	      "tcp|udp", "[HOSTADDR:]PORT[-PORT]",
					    "MEMBER|ADDRESS", "PORT",	 NULL};
	struct cli_args args = {.names = names, .required = 5};
	struct netdef_forward f;
	char err[NETDEF_ERR_MAX];

	if (!cli_parse(cli, &args) || !cli_name(cli, "network", args.given[0]))
		return VMNET_USER;
	if (!netdef_parse_forward(args.given[1], args.given[2], args.given[3], args.given[4], &f,
				  err))
		return cli_user(cli, "%s", err);
	return cli_do(cli, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "op", "forward-add",
				     "network", args.given[0], "proto", args.given[1], "host",
				     args.given[2], "to", args.given[3], "port", args.given[4]));
}

/* Where it leads may be said too, as when it was added; it is not needed to find it. */
static int remove_one(struct cli *cli)
{
	static const char *const names[] = {"NETWORK",	      "tcp|udp", "[HOSTADDR:]PORT[-PORT]",
					    "MEMBER|ADDRESS", "PORT",	 NULL};
	struct cli_args args = {.names = names, .required = 3};
	struct netdef_forward f;
	char err[NETDEF_ERR_MAX];

	if (!cli_parse(cli, &args) || !cli_name(cli, "network", args.given[0]))
		return VMNET_USER;
	if (!netdef_parse_forward(args.given[1], args.given[2],
				  args.given[3] ? args.given[3] : "any",
				  args.given[4] ? args.given[4] : "1", &f, err))
		return cli_user(cli, "%s", err);
	return cli_do(cli, json_pack("{s:s, s:s, s:s, s:s}", "op", "forward-remove", "network",
				     args.given[0], "proto", args.given[1], "host", args.given[2]));
}

static void row(struct table *t, const json_t *o)
{
	const char *host = cli_text(o, "host"), *error = cli_text(o, "error");
	bool six = strchr(host, ':');
	int first = (int)cli_int(o, "first"), last = (int)cli_int(o, "last");

	table_cell(t, "%s", cli_text(o, "network"));
	table_cell(t, "%s", cli_text(o, "proto"));
	if (last > first)
		table_cell(t, "%s%s%s:%d-%d", six ? "[" : "", host, six ? "]" : "", first, last);
	else
		table_cell(t, "%s%s%s:%d", six ? "[" : "", host, six ? "]" : "", first);
	table_cell(t, "%s", cli_text(o, "to"));
	table_cell(t, "%lld", (long long)cli_int(o, "port"));
	table_cell(t, "%s%s%s", cli_text(o, "state"), *error ? ": " : "", error);
}

static int list(struct cli *cli)
{
	static const char *const names[] = {"NETWORK", NULL};
	struct cli_args args = {.names = names};
	struct table t;
	json_t *answer, *o;
	size_t i;
	int status;

	if (!cli_parse(cli, &args) || !cli_name(cli, "network", args.given[0]))
		return VMNET_USER;
	answer = cli_ask(cli,
			 json_pack("{s:s, s:s*}", "op", "forward-list", "network", args.given[0]),
			 &status);
	if (!answer)
		return status;
	if (cli->json)
		return cli_print_json(cli, answer);
	table_init(&t, "NETWORK|PROTO|HERE|TO|>PORT|STATE");
	json_array_foreach(json_object_get(answer, "forwards"), i, o)
	{
		row(&t, o);
	}
	table_print(&t, stdout, 0);
	json_decref(answer);
	return cli_printed(cli);
}

/* Options may stand before the verb. */
static int forward(struct cli *cli)
{
	static const char *const verbs[] = {"add", "remove", "list", NULL};
	const char *near;

	while (cli->argc > 0 && !strcmp(cli->argv[0], "--json")) {
		cli->json = true;
		cli->argc--;
		cli->argv++;
	}
	if (cli->argc == 0)
		return cli_user(cli, "add, remove or list is missing");
	cli->argc--;
	cli->argv++;
	if (!strcmp(cli->argv[-1], "add"))
		return add(cli);
	if (!strcmp(cli->argv[-1], "remove"))
		return remove_one(cli);
	if (!strcmp(cli->argv[-1], "list"))
		return list(cli);
	near = cli_nearest(cli->argv[-1], verbs);
	return cli_user(cli, "no forward %s: it is %s", cli->argv[-1],
			near ? near : "add, remove or list");
}

const struct cli_command cmd_forward = {
	.name = "forward",
	.shapes = "forward add NETWORK tcp|udp [HOSTADDR:]PORT[-PORT] MEMBER|ADDRESS PORT\n"
		  "forward remove NETWORK tcp|udp [HOSTADDR:]PORT[-PORT]\n"
		  "forward list [NETWORK] [--json]",
	.summary = "ports of this host that lead to a member",
	.help = "HOSTADDR is 127.0.0.1 unless given; 0.0.0.0 is every address of this host. A\n"
		"range leads to as many ports from PORT on. A member's address may change: the\n"
		"forward follows its name.\n",
	.run = forward,
};
