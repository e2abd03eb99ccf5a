/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vmnet status: the daemon, the networks that are up, their members; once, or again and again with
 * what passed since the last time.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "host/cli/cli.h"
#include "host/cli/hold.h"
#include "host/cli/table.h"

#define WATCH_S 1

static void print_daemon(const json_t *answer)
{
	const json_t *d = json_object_get(answer, "daemon"), *warning;
	char up[24], rss[24];
	size_t i;

	printf("daemon %s, pid %lld, up %s, %s\n", cli_text(d, "version"),
	       (long long)cli_int(d, "pid"), table_time(cli_int(d, "uptime"), up),
	       table_bytes((uint64_t)cli_int(d, "rss"), rss));
	json_array_foreach(json_object_get(d, "warnings"), i, warning)
	{
		printf("warning: %s\n", json_string_value(warning));
	}
}

static void print_network(const json_t *n)
{
	const json_t *uplink = json_object_get(n, "uplink");
	const char *kind = cli_text(uplink, "kind"), *down = cli_text(uplink, "down");

	printf("\n%s (%s): %s, gateway %s, MTU %lld", cli_text(n, "name"), cli_text(n, "mode"),
	       cli_text(n, "subnet"), cli_text(n, "gateway"), (long long)cli_int(n, "mtu"));
	if (*kind && strcmp(kind, "none"))
		printf(", %s", kind);
	if (*down)
		printf(" (down: %s)", down);
	putchar('\n');
}

/* The same member in an earlier answer; NULL: it was not there. */
static const json_t *find_member(const json_t *answer, const char *network, const char *name)
{
	const json_t *n, *m;
	size_t i, k;

	json_array_foreach(json_object_get(answer, "networks"), i, n)
	{
		if (strcmp(cli_text(n, "name"), network))
			continue;
		json_array_foreach(json_object_get(n, "members"), k, m)
		{
			if (!strcmp(cli_text(m, "name"), name))
				return m;
		}
	}
	return NULL;
}

static void traffic(struct table *t, const json_t *m, const json_t *before, double seconds,
		    const char *key)
{
	uint64_t now = (uint64_t)cli_int(m, key), then = (uint64_t)cli_int(before, key);
	char text[24];

	if (before && seconds > 0)
		table_cell(t, "%s",
			   table_rate(now >= then ? (double)(now - then) * 8 / seconds : 0, text));
	else
		table_cell(t, "%s", table_bytes(now, text));
}

static const char *link_of(const json_t *m)
{
	if (!strcmp(cli_text(m, "link"), "down"))
		return "down";
	return json_is_false(json_object_get(m, "connected")) ? "away" : "up";
}

static void print_members(const json_t *n, const json_t *before, double seconds)
{
	const json_t *m;
	struct table t;
	uint64_t limit;
	char rate[24];
	size_t i;

	if (!json_array_size(json_object_get(n, "members")))
		return;
	/* What they call received, we sent: the table is read by the member's people. */
	table_init(&t, "MEMBER|MAC|ADDRESS|LINK|KIND|>SENT|>RECEIVED|>DROPPED|>LIMIT");
	json_array_foreach(json_object_get(n, "members"), i, m)
	{
		const json_t *old = find_member(before, cli_text(n, "name"), cli_text(m, "name"));

		limit = (uint64_t)cli_int(m, "rate");
		table_cell(&t, "%s", cli_text(m, "name"));
		table_cell(&t, "%s", cli_text(m, "mac"));
		table_cell(&t, "%s", cli_text(m, "address"));
		table_cell(&t, "%s", link_of(m));
		table_cell(&t, "%s", cli_text(m, "kind"));
		traffic(&t, m, old, seconds, "rx_bytes");
		traffic(&t, m, old, seconds, "tx_bytes");
		table_cell(&t, "%lld", (long long)(cli_int(m, "dropped") + cli_int(m, "bad")));
		table_cell(&t, "%s", limit ? table_rate((double)limit, rate) : "-");
	}
	table_print(&t, stdout, 2);
}

/* before: an earlier answer, so many seconds ago; NULL: totals. */
static void print_status(const json_t *answer, const json_t *before, double seconds)
{
	const json_t *n;
	size_t i;

	print_daemon(answer);
	if (!json_array_size(json_object_get(answer, "networks")))
		printf("no network is up\n");
	json_array_foreach(json_object_get(answer, "networks"), i, n)
	{
		print_network(n);
		print_members(n, before, seconds);
	}
}

/* ---- again and again ---- */

struct watch {
	const struct cli *cli;
	struct vmnet_client *client;
	int signals;
	bool screen; /* draw over what was drawn before */
	struct termios before;
	json_t *last;
	int64_t last_ms;
};

static void screen_begin(struct watch *w)
{
	struct termios quiet;

	w->screen = isatty(1) && !w->cli->json;
	if (!w->screen)
		return;
	fputs("\033[?1049h\033[?25l", stdout);
	if (tcgetattr(0, &w->before) == 0) {
		quiet = w->before;
		quiet.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
		tcsetattr(0, TCSADRAIN, &quiet);
	}
}

static void screen_end(const struct watch *w)
{
	if (!w->screen)
		return;
	if (isatty(0))
		tcsetattr(0, TCSADRAIN, &w->before);
	fputs("\033[?25h\033[?1049l", stdout);
	fflush(stdout);
}

static int show(struct watch *w, json_t *message)
{
	int64_t now = hold_now_ms();
	double seconds = w->last ? (double)(now - w->last_ms) / 1000 : 0;

	if (w->cli->json) {
		json_object_del(message, "ok");
		json_object_del(message, "id");
		json_object_del(message, "event");
		json_dumpf(message, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		if (w->screen)
			fputs("\033[H\033[J", stdout);
		else if (w->last)
			putchar('\n');
		print_status(message, w->last, seconds);
		if (w->screen)
			fputs("\nq: quit", stdout);
	}
	json_decref(w->last);
	w->last = message;
	w->last_ms = now;
	return cli_printed(w->cli);
}

/* A key, a signal, or the end of standard input where that is a terminal. */
static bool told_to_quit(struct pollfd *p)
{
	char key = 0;

	if (p[0].revents)
		return true;
	return p[2].revents && (read(p[2].fd, &key, 1) != 1 || key == 'q' || key == 'Q');
}

static int watch_loop(struct watch *w)
{
	struct pollfd p[3] = {
		{.fd = w->signals, .events = POLLIN},
		{.fd = vmnet_fd(w->client), .events = POLLIN},
		{.fd = w->screen && isatty(0) ? 0 : -1, .events = POLLIN},
	};
	struct vmnet_error err = {0};
	json_t *message;
	int status = 0;

	while (!status) {
		if (!vmnet_pending(w->client) && poll(p, 3, -1) > 0 && told_to_quit(p))
			return 0;
		message = vmnet_next(w->client, 0, &err);
		if (message)
			status = show(w, message);
		else if (err.fault != VMNET_NONE)
			break;
	}
	if (!status) {
		screen_end(w);
		w->screen = false;
		status = cli_error(w->cli, &err);
	}
	return status;
}

static int watch(struct cli *cli, const char *network)
{
	struct watch w = {.cli = cli};
	struct vmnet_error err;
	json_t *answer;
	int status;

	w.client = cli_connect(cli, &err);
	if (!w.client)
		return cli_error(cli, &err);
	answer = vmnet_call(
		w.client,
		json_pack("{s:s, s:i, s:s*}", "op", "status", "watch", WATCH_S, "network", network),
		-1, &err);
	if (!answer) {
		vmnet_close(w.client);
		return cli_error(cli, &err);
	}
	w.signals = cli_signals();
	screen_begin(&w);
	status = show(&w, answer);
	if (!status)
		status = watch_loop(&w);
	screen_end(&w);
	json_decref(w.last);
	vmnet_close(w.client);
	return status;
}

static int status(struct cli *cli)
{
	static const char *const names[] = {"NETWORK", NULL};
	bool again = false;
	const struct cli_option options[] = {{.name = "watch", .flag = &again}};
	struct cli_args args = {.options = options, .noptions = 1, .names = names};
	json_t *answer;
	int code;

	if (!cli_parse(cli, &args) || !cli_name(cli, "network", args.given[0]))
		return VMNET_USER;
	if (again)
		return watch(cli, args.given[0]);
	answer = cli_ask(cli, json_pack("{s:s, s:s*}", "op", "status", "network", args.given[0]),
			 &code);
	if (!answer)
		return code;
	if (cli->json)
		return cli_print_json(cli, answer);
	print_status(answer, NULL, 0);
	json_decref(answer);
	return cli_printed(cli);
}

const struct cli_command cmd_status = {
	.name = "status",
	.shapes = "status [NETWORK] [--watch] [--json]",
	.summary = "the networks that are up, and their members",
	.help = "  --watch  again each second, with rates; q or Ctrl-C ends it\n",
	.run = status,
};
