/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vmnet config: check a networks.yaml without any daemon, show what is in force.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/cli/cli.h"
#include "host/netd/config.h"

/* The file's definitions as an answer of the daemon has them. NULL: *status is to be returned. */
static json_t *load(const struct cli *cli, const char *path, int *status)
{
	char err[NETDEF_ERR_MAX];
	struct config c = {0};
	json_t *networks, *answer;
	bool user = true;

	if (!config_load(&c, path, err, &user)) {
		*status = user ? cli_user(cli, "%s", err) : cli_system(cli, "%s", err);
		return NULL;
	}
	networks = json_object();
	for (unsigned i = 0; networks && i < c.n; i++)
		json_object_set_new(networks, c.defs[i].name, netdef_to_json(&c.defs[i]));
	answer = json_pack("{s:s, s:o}", "path", c.path, "networks", networks);
	config_free(&c);
	*status = answer ? 0 : cli_system(cli, "out of memory");
	return answer;
}

static int check(const struct cli *cli, const char *path)
{
	const char *found;
	json_t *answer;
	size_t n;
	int status;

	answer = load(cli, path, &status);
	if (!answer)
		return status;
	if (cli->json)
		return cli_print_json(cli, answer);
	found = cli_text(answer, "path");
	n = json_object_size(json_object_get(answer, "networks"));
	if (!*found)
		printf("no networks.yaml: only the built-in networks, all well\n");
	else
		printf("%s: %zu network%s, all well\n", found, n, n == 1 ? "" : "s");
	json_decref(answer);
	return cli_printed(cli);
}

/* ---- as YAML ---- */

/* Texts that YAML takes for themselves; everything else is quoted as JSON, which YAML reads too. */
static bool is_plain(const char *text)
{
	static const char *const words[] = {"true", "false", "yes",  "no",   "on",
					    "off",  "null",  "none", "auto", NULL};

	if (!*text || !strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", *text))
		return false;
	for (const char *const *w = words; *w; w++)
		if (!strcasecmp(*w, text))
			return !strcmp(*w, "auto") || !strcmp(*w, "none");
	return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./") ==
	       strlen(text);
}

static void print_scalar(const json_t *v)
{
	if (json_is_string(v) && is_plain(json_string_value(v)))
		fputs(json_string_value(v), stdout);
	else
		json_dumpf(v, stdout, JSON_ENCODE_ANY | JSON_COMPACT);
}

#define DEPTH_MAX 8

/* NOLINTNEXTLINE(misc-no-recursion): bounded by DEPTH_MAX */
static void print_yaml(const json_t *v, int depth, bool in_list)
{
	const char *key;
	json_t *item;
	size_t i;
	bool first = in_list;

	if (depth > DEPTH_MAX)
		return;
	if (json_is_array(v)) {
		json_array_foreach(v, i, item)
		{
			printf("%*s- ", depth * 2, "");
			if (json_is_object(item)) {
				print_yaml(item, depth + 1, true);
			} else {
				print_scalar(item);
				putchar('\n');
			}
		}
		return;
	}
	json_object_foreach((json_t *)(uintptr_t)v, key, item)
	{
		printf("%*s%s:", first ? 0 : depth * 2, "", key);
		first = false;
		if ((json_is_object(item) && json_object_size(item)) ||
		    (json_is_array(item) && json_array_size(item))) {
			putchar('\n');
			print_yaml(item, depth + 1, false);
		} else {
			putchar(' ');
			print_scalar(item);
			putchar('\n');
		}
	}
}

/* A file as it is; without one what is in force: the daemon's word if it runs. */
static json_t *in_force(const struct cli *cli, const char *path, int *status)
{
	struct vmnet_options options = {.no_start = true, .version = VMNET_VERSION};
	struct vmnet_error err;
	struct vmnet_client *c;
	json_t *answer;

	c = path ? NULL : vmnet_open(&options, &err);
	if (!c)
		return load(cli, path, status);
	answer = vmnet_call(c, json_pack("{s:s}", "op", "config"), -1, &err);
	vmnet_close(c);
	*status = answer ? 0 : cli_error(cli, &err);
	return answer;
}

static int show(const struct cli *cli, const char *path)
{
	const char *found;
	json_t *answer;
	int status;

	answer = in_force(cli, path, &status);
	if (!answer)
		return status;
	if (cli->json)
		return cli_print_json(cli, answer);
	found = cli_text(answer, "path");
	printf("# %s\n", *found ? found : "no networks.yaml");
	if (json_object_size(json_object_get(answer, "networks"))) {
		printf("networks:\n");
		print_yaml(json_object_get(answer, "networks"), 1, false);
	} else {
		printf("networks: {}\n");
	}
	json_decref(answer);
	return cli_printed(cli);
}

static int config(struct cli *cli)
{
	static const char *const names[] = {"check|show", "FILE", NULL};
	static const char *const verbs[] = {"check", "show", NULL};
	struct cli_args args = {.names = names, .required = 1};
	const char *near;

	if (!cli_parse(cli, &args))
		return VMNET_USER;
	if (!strcmp(args.given[0], "check"))
		return check(cli, args.given[1]);
	if (!strcmp(args.given[0], "show"))
		return show(cli, args.given[1]);
	near = cli_nearest(args.given[0], verbs);
	return cli_user(cli, "no config %s: it is %s", args.given[0],
			near ? near : "check or show");
}

const struct cli_command cmd_config = {
	.name = "config",
	.shapes = "config check [FILE] [--json]\n"
		  "config show [FILE] [--json]",
	.summary = "check a networks.yaml, show what is in force",
	.help = "check reads FILE, or the networks.yaml that a daemon would read, and says where\n"
		"and what is wrong. show prints every definition with all that was left out.\n",
	.run = config,
};
