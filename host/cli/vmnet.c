/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vmnet: the program. Which subcommand, and the help for all of them.
 */
#include <stdio.h>
#include <string.h>

#include "host/cli/cli.h"
#include "host/netd/uplink.h"

#define COMMANDS_MAX 24u

const struct cli_command *const cli_commands[] = {
	&cmd_run,    &cmd_attach, &cmd_detach,	&cmd_list,  &cmd_status, &cmd_leases,
	&cmd_create, &cmd_delete, &cmd_forward, &cmd_link,  &cmd_limit,	 &cmd_capture,
	&cmd_config, &cmd_daemon, &cmd_doctor,	&cmd_names, NULL,
};

static void print_shapes(const struct cli_command *command)
{
	const char *line = command->shapes, *end;

	for (bool first = true;; first = false, line = end + 1) {
		end = strchrnul(line, '\n');
		printf("%s vmnet %.*s\n", first ? "usage:" : "      ", (int)(end - line), line);
		if (!*end)
			break;
	}
}

static int print_help(const struct cli_command *command)
{
	struct cli cli = {.name = command ? command->name : NULL};

	if (command) {
		print_shapes(command);
		printf("\n%s\n", command->summary);
		if (command->help)
			printf("\n%s", command->help);
		printf("\nvmnet(1) is the manual.\n");
		return cli_printed(&cli);
	}
	printf("vmnet: networks for virtual machines\n\n");
	for (const struct cli_command *const *p = cli_commands; *p; p++)
		if (!(*p)->hidden)
			printf("  vmnet %-9s %s\n", (*p)->name, (*p)->summary);
	printf("\n"
	       "  vmnet run shared -- qemu-system-x86_64 -m 512 disk.img\n"
	       "\n"
	       "puts a virtual machine on a network; `vmnet COMMAND --help` and vmnet(1) say "
	       "more.\n");
	return cli_printed(&cli);
}

static const struct cli_command *find(const char *name)
{
	for (const struct cli_command *const *p = cli_commands; *p; p++)
		if (!strcmp((*p)->name, name))
			return *p;
	return NULL;
}

static int no_command(const char *word)
{
	const char *names[COMMANDS_MAX + 1] = {0};
	const struct cli none = {0};
	const char *near;
	unsigned n = 0;

	for (const struct cli_command *const *p = cli_commands; *p && n < COMMANDS_MAX; p++)
		if (!(*p)->hidden)
			names[n++] = (*p)->name;
	near = cli_nearest(word, names);
	if (*word == '-')
		return cli_user(&none, "no option %s; `vmnet --help` lists the commands", word);
	if (near)
		return cli_user(&none, "no command %s: is it %s?", word, near);
	return cli_user(&none, "no command %s; `vmnet --help` lists them", word);
}

/* Before `--`: what follows is of another program. */
static bool wants_help(int argc, char **argv)
{
	for (int i = 0; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	const char *base = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const struct cli_command *command;
	struct cli cli = {0};
	int at = 1;

	base = base ? base + 1 : argc > 0 ? argv[0] : "";
	if (!strcmp(base, "vmnet-nat"))
		return nat_main(argc, argv);

	while (at < argc && !strcmp(argv[at], "--json")) {
		cli.json = true;
		at++;
	}
	if (at >= argc)
		return cli_user(&cli, "what to do is missing; `vmnet --help` lists the commands");
	if (!strcmp(argv[at], "--version")) {
		printf("vmnet %s\n", VMNET_VERSION);
		return cli_printed(&cli);
	}
	if (!strcmp(argv[at], "--help") || !strcmp(argv[at], "-h"))
		return print_help(NULL);
	if (!strcmp(argv[at], "help")) {
		command = at + 1 < argc ? find(argv[at + 1]) : NULL;
		if (at + 1 < argc && !command)
			return no_command(argv[at + 1]);
		return print_help(command);
	}
	command = find(argv[at]);
	if (!command)
		return no_command(argv[at]);
	if (wants_help(argc - at - 1, argv + at + 1))
		return print_help(command);
	cli.name = command->name;
	cli.argc = argc - at - 1;
	cli.argv = argv + at + 1;
	return command->run(&cli);
}
