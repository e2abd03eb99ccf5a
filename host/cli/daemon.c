/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/netd/daemon.h"

#include "host/cli/cli.h"

/* End the one that runs. None is started for that. */
static int stop(struct cli *cli, bool force)
{
	struct vmnet_options options = {.no_start = true, .version = VMNET_VERSION};
	struct vmnet_error err;
	struct vmnet_client *c = vmnet_open(&options, &err);
	json_t *answer;

	if (!c)
		return cli_error(cli, &err);
	answer = vmnet_call(c, json_pack("{s:s, s:b}", "op", "shutdown", "force", force), -1, &err);
	vmnet_close(c);
	if (!answer)
		return cli_error(cli, &err);
	if (cli->json)
		return cli_print_json(cli, answer);
	json_decref(answer);
	return 0;
}

static int run_daemon(struct cli *cli)
{
	static const char *const none[] = {NULL};
	struct daemon_options how = {0};
	bool do_stop = false, force = false;
	const struct cli_option options[] = {
		{.name = "foreground", .flag = &how.foreground},
		{.name = "stop", .flag = &do_stop},
		{.name = "force", .flag = &force},
	};
	struct cli_args args = {.options = options, .noptions = 3, .names = none};

	if (!cli_parse(cli, &args))
		return VMNET_USER;
	if (force && !do_stop)
		return cli_user(cli, "--force belongs to --stop");
	return do_stop ? stop(cli, force) : daemon_main(&how);
}

const struct cli_command cmd_daemon = {
	.name = "daemon",
	.shapes = "daemon [--foreground]\n"
		  "daemon --stop [--force]",
	.summary = "the daemon itself; other commands start it when they need it",
	.help = "  --foreground  stay, and log to standard error\n"
		"  --stop        end the one that runs, unless there are members\n"
		"  --force       even if there are: `vmnet run` gets them a new daemon at once\n",
	.run = run_daemon,
};
