/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/cli/cli.h"
#include "host/cli/table.h"

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
