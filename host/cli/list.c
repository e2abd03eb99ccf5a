/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "host/cli/cli.h"
#include "host/cli/table.h"
#include "host/netd/config.h"

static int list(struct cli *cli)
{
	static const char *const none[] = {NULL};
	struct cli_args args = {.names = none};
	struct table t;
	json_t *answer, *o;
	size_t i;
	int status;

	if (!cli_parse(cli, &args))
		return VMNET_USER;
	answer = cli_ask(cli, json_pack("{s:s}", "op", "list"), &status);
	if (!answer)
		return status;
	if (cli->json)
		return cli_print_json(cli, answer);
	table_init(&t, "NAME|MODE|STATE|SUBNET|GATEWAY|>MEMBERS|FROM");
	json_array_foreach(json_object_get(answer, "networks"), i, o)
	{
		table_cell(&t, "%s", cli_text(o, "name"));
		table_cell(&t, "%s", cli_text(o, "mode"));
		table_cell(&t, "%s", cli_text(o, "state"));
		table_cell(&t, "%s", cli_text(o, "subnet"));
		table_cell(&t, "%s", cli_text(o, "gateway"));
		table_cell(&t, "%lld", (long long)cli_int(o, "members"));
		table_cell(&t, "%s", cli_text(o, "source"));
	}
	table_print(&t, stdout, 0);
	json_decref(answer);
	return cli_printed(cli);
}

const struct cli_command cmd_list = {
	.name = "list",
	.shapes = "list [--json]",
	.summary = "the networks there are",
	.run = list,
};

/* ---- names, for completion in shells ---- */

static void print_names(const json_t *array)
{
	const json_t *o;
	size_t i;

	json_array_foreach(array, i, o) printf("%s\n", cli_text(o, "name"));
}

/* No daemon: what one would know from the file. */
static void print_defined(void)
{
	char err[NETDEF_ERR_MAX];
	struct config c = {0};
	bool user;

	printf("shared\nhost\n");
	if (!config_load(&c, NULL, err, &user))
		return;
	for (unsigned i = 0; i < c.n; i++)
		if (!netdef_builtin(c.defs[i].name))
			printf("%s\n", c.defs[i].name);
	config_free(&c);
}

static int names(struct cli *cli)
{
	static const char *const args_names[] = {"NETWORK", NULL};
	struct vmnet_options options = {.no_start = true, .timeout_ms = 1000};
	struct cli_args args = {.names = args_names};
	struct vmnet_error err;
	struct vmnet_client *c;
	const json_t *n;
	json_t *answer;
	size_t i;

	if (!cli_parse(cli, &args))
		return VMNET_USER;
	c = vmnet_open(&options, &err);
	if (!c) {
		if (!args.given[0])
			print_defined();
		return cli_printed(cli);
	}
	answer = vmnet_call(c,
			    json_pack("{s:s, s:s*}", "op", args.given[0] ? "status" : "list",
				      "network", args.given[0]),
			    -1, &err);
	vmnet_close(c);
	if (!args.given[0])
		print_names(json_object_get(answer, "networks"));
	else
		json_array_foreach(json_object_get(answer, "networks"), i, n)
			print_names(json_object_get(n, "members"));
	json_decref(answer);
	return cli_printed(cli);
}

const struct cli_command cmd_names = {
	.name = "names",
	.shapes = "names [NETWORK]",
	.summary = "names of networks, or of members, one a line; starts no daemon",
	.hidden = true,
	.run = names,
};
