/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "host/cli/cli.h"
#include "host/netd/netdef.h"

static int limit(struct cli *cli)
{
	static const char *const names[] = {"NETWORK", "MEMBER", NULL};
	const char *rate = NULL, *burst = NULL;
	const struct cli_option options[] = {
		{.name = "rate", .value = &rate},
		{.name = "burst", .value = &burst},
	};
	struct cli_args args = {.options = options, .noptions = 2, .names = names, .required = 2};
	char err[NETDEF_ERR_MAX];
	uint32_t bytes = 0;
	uint64_t bps = 0;

	if (!cli_parse(cli, &args) || !cli_name(cli, "network", args.given[0]) ||
	    !cli_name(cli, "member", args.given[1]))
		return VMNET_USER;
	if (!rate)
		return cli_user(cli, "--rate is missing: 100mbit, 1gbit, or none");
	if (strcmp(rate, "none") && !netdef_parse_rate(rate, &bps, err))
		return cli_user(cli, "--rate: %s", err);
	if (burst && !netdef_parse_size(burst, &bytes, err))
		return cli_user(cli, "--burst: %s", err);
	return cli_do(cli, json_pack("{s:s, s:s, s:s, s:I, s:I}", "op", "limit", "network",
				     args.given[0], "member", args.given[1], "rate",
				     (json_int_t)bps, "burst", (json_int_t)bytes));
}

const struct cli_command cmd_limit = {
	.name = "limit",
	.shapes = "limit NETWORK MEMBER --rate RATE|none [--burst SIZE]",
	.summary = "limit what a member may send and receive",
	.help = "  --rate RATE   bits a second, in each direction: 100mbit, 1gbit; none: no limit\n"
		"  --burst SIZE  what may pass at once: 64k, 1m; otherwise chosen from the rate\n",
	.run = limit,
};
