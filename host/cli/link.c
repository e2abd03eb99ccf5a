/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "host/cli/cli.h"

static int set_link(struct cli *cli)
{
	static const char *const names[] = {"NETWORK", "MEMBER", "up|down", NULL};
	struct cli_args args = {.names = names, .required = 3};
	bool up;

	if (!cli_parse(cli, &args) || !cli_name(cli, "network", args.given[0]) ||
	    !cli_name(cli, "member", args.given[1]))
		return VMNET_USER;
	up = !strcmp(args.given[2], "up");
	if (!up && strcmp(args.given[2], "down"))
		return cli_user(cli, "%s: a link is set up or down", args.given[2]);
	return cli_do(cli, json_pack("{s:s, s:s, s:s, s:b}", "op", "link", "network", args.given[0],
				     "member", args.given[1], "up", up));
}

const struct cli_command cmd_link = {
	.name = "link",
	.shapes = "link NETWORK MEMBER up|down",
	.summary = "pull a member's cable, or put it back",
	.run = set_link,
};
