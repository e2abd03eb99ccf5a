/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/cli/cli.h"

static int delete (struct cli *cli)
{
	static const char *const names[] = {"NAME", NULL};
	struct cli_args args = {.names = names, .required = 1};

	if (!cli_parse(cli, &args) || !cli_name(cli, "network", args.given[0]))
		return VMNET_USER;
	return cli_do(cli, json_pack("{s:s, s:s}", "op", "delete", "name", args.given[0]));
}

const struct cli_command cmd_delete = {
	.name = "delete",
	.shapes = "delete NAME",
	.summary = "forget a network that `vmnet create` made",
	.run = delete,
};
