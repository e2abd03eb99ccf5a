/* SPDX-License-Identifier: BSD-2-Clause */
/* kdp: talk to a kernel that stands in its debugger, or let gdb do so. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/kdp/gdb.h"
#include "tools/kdp/kdp_client.h"
#include "tools/kdp/shell.h"

#define KDP_COMMANDS 64

static const char kdp_usage[] =
	"usage: kdp [options] HOST[:PORT]\n"
	"       kdp gdb --listen [ADDR:]PORT [options] HOST[:PORT]\n"
	"\n"
	"Debugs the kernel of a Mac (or of a simulated one) that stands still in its debugger,\n"
	"over UDP. The first form takes commands from -c, or else from standard input. The second\n"
	"is a bridge: gdb attaches with `target remote :PORT`.\n"
	"\n"
	"  -c, --command CMD    run this command; may be given several times\n"
	"  -l, --listen WHERE   TCP port for gdb, on 127.0.0.1 if no address is given; 0: any\n"
	"      --host HOST      instead of the argument\n"
	"      --port N         UDP port of the kernel (41139)\n"
	"      --local-port N   UDP port of this side (any)\n"
	"      --timeout MS     wait that long for an answer, three times (1000)\n"
	"      --reattach       throw out whatever debugger is connected\n"
	"      --json           one JSON object a line, for each command\n"
	"  -h, --help\n"
	"  -V, --version\n"
	"\n"
	"commands, with numbers in decimal or 0x...:\n";

struct kdp_options {
	char *host, *listen;
	uint16_t port, local_port;
	unsigned timeout_ms;
	bool json, reattach, gdb;
	const char *commands[KDP_COMMANDS];
	unsigned ncommands;
};

enum { O_HOST = 256, O_PORT, O_LOCAL, O_TIMEOUT, O_REATTACH, O_JSON };

static const struct option kdp_long[] = {
	{"command", required_argument, NULL, 'c'},
	{"listen", required_argument, NULL, 'l'},
	{"host", required_argument, NULL, O_HOST},
	{"port", required_argument, NULL, O_PORT},
	{"local-port", required_argument, NULL, O_LOCAL},
	{"timeout", required_argument, NULL, O_TIMEOUT},
	{"reattach", no_argument, NULL, O_REATTACH},
	{"json", no_argument, NULL, O_JSON},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

__attribute__((noreturn)) static void kdp_wrong(const char *what, const char *why)
{
	(void)fprintf(stderr, "kdp: %.80s: %s (--help tells more)\n", what, why);
	exit(2);
}

static unsigned kdp_number(const char *what, const char *text, unsigned min, unsigned max)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno || *text < '0' || *text > '9' || *end || v < min || v > max) {
		(void)fprintf(stderr, "kdp: %s: '%.40s' is not a number from %u to %u\n", what,
			      text, min, max);
		exit(2);
	}
	return (unsigned)v;
}

static void kdp_parse(struct kdp_options *o, int argc, char **argv)
{
	char *colon;
	int code;

	*o = (struct kdp_options){.timeout_ms = KDP_CLIENT_TIMEOUT_MS};
	opterr = 0;
	while ((code = getopt_long(argc, argv, ":c:l:hV", kdp_long, NULL)) != -1) {
		switch (code) {
		case 'c':
			if (o->ncommands == KDP_COMMANDS)
				kdp_wrong("-c", "too many commands; use standard input");
			o->commands[o->ncommands++] = optarg;
			break;
		case 'l':
			o->listen = optarg;
			break;
		case O_HOST:
			o->host = optarg;
			break;
		case O_PORT:
			o->port = (uint16_t)kdp_number("--port", optarg, 1, UINT16_MAX);
			break;
		case O_LOCAL:
			o->local_port = (uint16_t)kdp_number("--local-port", optarg, 1, UINT16_MAX);
			break;
		case O_TIMEOUT:
			o->timeout_ms = kdp_number("--timeout", optarg, 1, 60000);
			break;
		case O_REATTACH:
			o->reattach = true;
			break;
		case O_JSON:
			o->json = true;
			break;
		case 'h':
			(void)fputs(kdp_usage, stdout);
			shell_help();
			(void)puts(
				"\nExit status: 0 all is well; 1 something failed; 2 the command "
				"line or a command is wrong.");
			exit(0);
		case 'V':
			(void)puts("kdp (viokit) " KDP_TOOL_VERSION);
			exit(0);
		case ':':
			kdp_wrong(argv[optind - 1], "needs a value");
		default:
			kdp_wrong(argv[optind - 1], "no such option");
		}
	}
	if (optind < argc && !strcmp(argv[optind], "gdb")) {
		o->gdb = true;
		optind++;
	}
	if (optind < argc && !o->host)
		o->host = argv[optind++];
	if (optind < argc)
		kdp_wrong(argv[optind], "one argument too many");
	if (!o->host || !*o->host)
		kdp_wrong("HOST", "which machine is not said");
	colon = strrchr(o->host, ':');
	if (colon) {
		if (o->port)
			kdp_wrong("--port", "there is a port in HOST:PORT already");
		*colon = '\0';
		o->port = (uint16_t)kdp_number("HOST:PORT", colon + 1, 1, UINT16_MAX);
	}
	if (o->gdb && !o->listen)
		kdp_wrong("gdb", "needs --listen PORT");
	if (!o->gdb && o->listen)
		kdp_wrong("--listen", "goes with `kdp gdb` only");
	if (o->gdb && (o->ncommands || o->json))
		kdp_wrong("gdb", "neither -c nor --json goes with it");
}

static int kdp_commands(struct shell *shell, const struct kdp_options *o)
{
	bool people = isatty(STDIN_FILENO) != 0;
	char line[2048];
	int rc = 0;

	for (unsigned i = 0; i < o->ncommands && !rc; i++)
		rc = shell_run(shell, o->commands[i]);
	if (o->ncommands)
		return rc;
	while (!shell->quit) {
		int one;

		if (people) {
			(void)fputs("kdp> ", stdout);
			(void)fflush(stdout);
		}
		if (!fgets(line, sizeof(line), stdin))
			break;
		one = shell_run(shell, line);
		/* A person sees what went wrong and goes on; a script does not. */
		if (one && !people)
			return one;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct shell shell = {.client = kdp_client_new()};
	struct kdp_options o;
	int rc;

	kdp_parse(&o, argc, argv);
	if (!shell.client) {
		(void)fprintf(stderr, "kdp: no memory\n");
		return 1;
	}
	shell.json = o.json;
	shell.reattach = o.reattach;
	kdp_client_timeout(shell.client, o.timeout_ms);
	if (kdp_client_open(shell.client, o.host, o.port, o.local_port)) {
		(void)fprintf(stderr, "kdp: %s\n", kdp_client_error(shell.client));
		rc = 1;
	} else if (o.gdb) {
		rc = gdb_bridge(shell.client, o.listen, o.reattach);
	} else {
		rc = kdp_commands(&shell, &o);
		if (kdp_client_state(shell.client) == KDP_CLIENT_STOPPED)
			(void)fprintf(stderr,
				      "kdp: the machine stands still, and this session is left "
				      "open; go on with --reattach\n");
	}
	kdp_client_free(shell.client);
	return rc;
}
