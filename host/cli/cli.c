/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "host/netd/netdef.h"

/* ---- messages ---- */

__attribute__((format(printf, 2, 0))) static void say(const struct cli *cli, const char *fmt,
						      va_list args)
{
	char text[VMNET_ERROR_MAX + 256];

	vsnprintf(text, sizeof(text), fmt, args);
	/* One write, so that lines of several processes do not mix; no control characters. */
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	if (cli->name)
		fprintf(stderr, "vmnet %s: %s\n", cli->name, text);
	else
		fprintf(stderr, "vmnet: %s\n", text);
}

int cli_user(const struct cli *cli, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(cli, fmt, args);
	va_end(args);
	return VMNET_USER;
}

int cli_system(const struct cli *cli, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(cli, fmt, args);
	va_end(args);
	return VMNET_SYSTEM;
}

void cli_note(const struct cli *cli, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(cli, fmt, args);
	va_end(args);
}

int cli_error(const struct cli *cli, const struct vmnet_error *err)
{
	cli_note(cli, "%s", err->text);
	return err->fault == VMNET_USER ? VMNET_USER : VMNET_SYSTEM;
}

#define WORD_MAX 32u

/* How many letters have to be added, removed, changed or swapped with a neighbour. */
static unsigned distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b);
	unsigned d[WORD_MAX + 1][WORD_MAX + 1], best;

	if (la > WORD_MAX || lb > WORD_MAX)
		return WORD_MAX;
	for (size_t i = 0; i <= la; i++)
		d[i][0] = (unsigned)i;
	for (size_t j = 0; j <= lb; j++)
		d[0][j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		for (size_t j = 1; j <= lb; j++) {
			best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	}
	return d[la][lb];
}

const char *cli_nearest(const char *word, const char *const *names)
{
	unsigned best = strlen(word) < 4 ? 2 : 3, n;
	const char *found = NULL;

	for (; *names; names++) {
		/* A name half written is nearer than any that is misspelt. */
		n = strlen(word) > 2 && !strncmp(word, *names, strlen(word))
			    ? 0
			    : distance(word, *names);
		if (n < best) {
			best = n;
			found = *names;
		}
	}
	return found;
}

/* ---- arguments ---- */

static bool unknown(const struct cli *cli, const struct cli_args *args, const char *name,
		    size_t len)
{
	const char *names[32];
	const char *near;
	char word[WORD_MAX + 1];
	unsigned n = 0;

	for (unsigned i = 0; i < args->noptions && n < 29; i++)
		names[n++] = args->options[i].name;
	names[n++] = "json";
	names[n++] = "help";
	names[n] = NULL;
	snprintf(word, sizeof(word), "%.*s", (int)len, name);
	near = cli_nearest(word, names);
	if (near)
		cli_note(cli, "no option --%s: is it --%s?", word, near);
	else
		cli_note(cli, "no option --%s; `vmnet %s --help` lists them", word, cli->name);
	return false;
}

static bool take(const struct cli *cli, const struct cli_option *o, const char *value)
{
	if (o->flag) {
		*o->flag = true;
		return true;
	}
	if (!value) {
		cli_note(cli, "--%s needs a value", o->name);
		return false;
	}
	if (o->list) {
		if (o->list->n >= CLI_LIST_MAX) {
			cli_note(cli, "--%s is given more than %u times", o->name, CLI_LIST_MAX);
			return false;
		}
		o->list->item[o->list->n++] = value;
		return true;
	}
	if (*o->value) {
		cli_note(cli, "--%s is given twice", o->name);
		return false;
	}
	*o->value = value;
	return true;
}

/* One option that begins with "--"; *at moves on if its value is the next argument. */
static bool long_option(struct cli *cli, const struct cli_args *args, int *at)
{
	const char *name = cli->argv[*at] + 2, *end = strchrnul(name, '='), *value;
	const struct cli_option *o = NULL;
	size_t len = (size_t)(end - name);

	if (len == 4 && !strncmp(name, "json", 4) && !*end) {
		cli->json = true;
		return true;
	}
	for (unsigned i = 0; i < args->noptions && !o; i++)
		if (strlen(args->options[i].name) == len &&
		    !strncmp(args->options[i].name, name, len))
			o = &args->options[i];
	if (!o)
		return unknown(cli, args, name, len);
	if (o->flag && *end) {
		cli_note(cli, "--%s takes no value", o->name);
		return false;
	}
	value = *end ? end + 1 : NULL;
	if (!o->flag && !value && *at + 1 < cli->argc && strcmp(cli->argv[*at + 1], "--"))
		value = cli->argv[++*at];
	return take(cli, o, value);
}

static bool short_option(struct cli *cli, const struct cli_args *args, int *at)
{
	const char *text = cli->argv[*at] + 1, *value;

	for (unsigned i = 0; i < args->noptions; i++) {
		if (args->options[i].letter != *text)
			continue;
		value = text[1] ? text + 1 : NULL;
		if (args->options[i].flag && value)
			break;
		if (!args->options[i].flag && !value && *at + 1 < cli->argc)
			value = cli->argv[++*at];
		return take(cli, &args->options[i], value);
	}
	cli_note(cli, "no option -%s; `vmnet %s --help` lists them", text, cli->name);
	return false;
}

static bool argument(const struct cli *cli, struct cli_args *args, const char *text)
{
	if (!args->names[args->ngiven]) {
		if (args->command && args->ngiven > 0)
			cli_note(cli, "put `--` before the command: ... -- %s ...", text);
		else
			cli_note(cli, "one argument too many: %s", text);
		return false;
	}
	args->given[args->ngiven++] = text;
	return true;
}

bool cli_parse(struct cli *cli, struct cli_args *args)
{
	const char *text;
	bool ok = true;

	for (int i = 0; i < cli->argc && ok; i++) {
		text = cli->argv[i];
		if (!strcmp(text, "--")) {
			args->rest = cli->argv + i + 1;
			if (args->command)
				break;
			while (++i < cli->argc && ok)
				ok = argument(cli, args, cli->argv[i]);
			break;
		}
		if (!strncmp(text, "--", 2))
			ok = long_option(cli, args, &i);
		else if (text[0] == '-' && text[1])
			ok = short_option(cli, args, &i);
		else
			ok = argument(cli, args, text);
	}
	if (!ok)
		return false;
	if (args->ngiven < args->required) {
		cli_note(cli, "%s is missing; `vmnet %s --help` shows how it is called",
			 args->names[args->ngiven], cli->name);
		return false;
	}
	if (args->command && (!args->rest || !args->rest[0])) {
		cli_note(cli, "what to run is missing: `-- COMMAND...` at the end");
		return false;
	}
	return true;
}

bool cli_kind(const struct cli *cli, const char *text, enum vmnet_kind *kind)
{
	if (!text)
		return true;
	if (!strcmp(text, "stream"))
		*kind = VMNET_STREAM;
	else if (!strcmp(text, "dgram"))
		*kind = VMNET_DGRAM;
	else {
		cli_note(cli, "--kind %s: it is stream or dgram", text);
		return false;
	}
	return true;
}

bool cli_name(const struct cli *cli, const char *what, const char *text)
{
	if (!text || netdef_name_valid(text))
		return true;
	cli_note(cli,
		 "%s '%s': a name is 1 to %u letters, digits, '-', '_' and '.', and begins with a "
		 "letter or a digit",
		 what, text, NETDEF_NAME_MAX);
	return false;
}

bool cli_mac(const struct cli *cli, const char *text)
{
	uint8_t mac[6];

	if (!text || netdef_parse_mac(text, mac))
		return true;
	cli_note(
		cli,
		"--mac %s: one station's address is six hexadecimal bytes, the first of them even, "
		"like 02:00:00:12:34:56",
		text);
	return false;
}

bool cli_number(const struct cli *cli, const char *what, const char *text, uint64_t min,
		uint64_t max, uint64_t *out)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || n < min || n > max) {
		cli_note(cli, "%s %s: it is a number from %llu to %llu", what, text,
			 (unsigned long long)min, (unsigned long long)max);
		return false;
	}
	*out = n;
	return true;
}

/* ---- the daemon ---- */

struct vmnet_client *cli_connect(const struct cli *cli, struct vmnet_error *err)
{
	const char *no = getenv("VMNET_NO_START");
	struct vmnet_options options = {.no_start = no && *no, .version = VMNET_VERSION};
	struct vmnet_client *c = vmnet_open(&options, err);

	if (c && strcmp(vmnet_daemon_version(c), VMNET_VERSION))
		cli_note(cli,
			 "the daemon (pid %ld) is version %s, this is %s: it goes on, and "
			 "`vmnet daemon --stop` makes room for the new one",
			 (long)vmnet_daemon_pid(c), vmnet_daemon_version(c), VMNET_VERSION);
	return c;
}

json_t *cli_ask(const struct cli *cli, json_t *request, int *status)
{
	struct vmnet_error err;
	struct vmnet_client *c;
	json_t *answer;

	if (!request) {
		*status = cli_user(cli, "an argument is no UTF-8");
		return NULL;
	}
	c = cli_connect(cli, &err);
	if (!c) {
		json_decref(request);
		*status = cli_error(cli, &err);
		return NULL;
	}
	answer = vmnet_call(c, request, -1, &err);
	*status = answer ? 0 : cli_error(cli, &err);
	vmnet_close(c);
	return answer;
}

int cli_do(const struct cli *cli, json_t *request)
{
	int status;
	json_t *answer = cli_ask(cli, request, &status);

	if (answer && cli->json)
		return cli_print_json(cli, answer);
	json_decref(answer);
	return status;
}

int cli_print_json(const struct cli *cli, json_t *answer)
{
	json_object_del(answer, "ok");
	json_object_del(answer, "id");
	json_dumpf(answer, stdout, isatty(1) ? JSON_INDENT(2) : JSON_COMPACT);
	json_decref(answer);
	putchar('\n');
	return cli_printed(cli);
}

int cli_printed(const struct cli *cli)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	return cli_system(cli, "standard output: %s", strerror(errno));
}

int cli_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* ---- values ---- */

const char *cli_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

int64_t cli_int(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_real(value) ? (int64_t)json_real_value(value) : json_integer_value(value);
}
