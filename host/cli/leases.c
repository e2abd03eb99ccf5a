/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>
#include <time.h>

#include "host/cli/cli.h"
#include "host/cli/table.h"

static void row(struct table *t, const json_t *o, time_t now)
{
	int64_t expires = cli_int(o, "expires");
	char left[24];

	table_cell(t, "%s", cli_text(o, "network"));
	table_cell(t, "%s", cli_text(o, "address"));
	table_cell(t, "%s", cli_text(o, "mac"));
	table_cell(t, "%s", cli_text(o, "name"));
	table_cell(t, "%s", cli_text(o, "hostname"));
	table_cell(t, "%s%s", cli_text(o, "state"),
		   json_is_true(json_object_get(o, "reserved")) ? ", reserved" : "");
	table_cell(t, "%s", expires ? table_time(expires - now, left) : "-");
}

static int leases(struct cli *cli)
{
	static const char *const names[] = {"NETWORK", NULL};
	struct cli_args args = {.names = names};
	struct table t;
	json_t *answer, *o;
	time_t now = time(NULL);
	size_t i;
	int status;

	if (!cli_parse(cli, &args) || !cli_name(cli, "network", args.given[0]))
		return VMNET_USER;
	answer = cli_ask(cli, json_pack("{s:s, s:s*}", "op", "leases", "network", args.given[0]),
			 &status);
	if (!answer)
		return status;
	if (cli->json)
		return cli_print_json(cli, answer);
	table_init(&t, "NETWORK|ADDRESS|MAC|MEMBER|HOSTNAME|STATE|>EXPIRES IN");
	json_array_foreach(json_object_get(answer, "leases"), i, o)
	{
		row(&t, o, now);
	}
	table_print(&t, stdout, 0);
	json_decref(answer);
	return cli_printed(cli);
}

const struct cli_command cmd_leases = {
	.name = "leases",
	.shapes = "leases [NETWORK] [--json]",
	.summary = "who has which address",
	.run = leases,
};
