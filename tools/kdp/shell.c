/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/kdp/shell.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHELL_WORDS    4
#define SHELL_READ_MAX 65536u
#define SHELL_WAIT_S   60u
#define SHELL_STEP_MS  5000u

#define FAILED 1
#define USAGE  2

struct shell_command {
	const char *name, *args, *what;
	int min, max; /* words behind the name */
	bool session; /* connects if there is none */
	int (*run)(struct shell *s, int argc, char **argv);
};

static int shell_failed(struct shell *s)
{
	(void)fprintf(stderr, "kdp: %s\n", kdp_client_error(s->client));
	return FAILED;
}

/* Decimal, or hexadecimal with 0x. */
static bool shell_number(const char *word, uint64_t max, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(word, &end, strncmp(word, "0x", 2) != 0 ? 10 : 16);
	if (!errno && isdigit((unsigned char)*word) && !*end && *out <= max)
		return true;
	(void)fprintf(stderr, "kdp: '%.40s' is not a number up to %#" PRIx64 "\n", word, max);
	return false;
}

static void shell_text(const char *text)
{
	(void)putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			(void)putchar('\\');
		(void)putchar(*text);
	}
	(void)putchar('"');
}

static int shell_done(struct shell *s, const char *command, const char *people)
{
	if (s->json)
		(void)printf("{\"command\":\"%s\",\"ok\":true}\n", command);
	else
		(void)puts(people);
	return 0;
}

/* ---- session ---- */

static int shell_connect(struct shell *s, int argc, char **argv)
{
	int rc = *argv[0] == 'r' ? kdp_client_reattach(s->client) : kdp_client_connect(s->client);

	(void)argc;
	s->nbreakpoints = 0;
	return rc ? shell_failed(s) : shell_done(s, argv[0], "connected; the machine stands still");
}

static int shell_detach(struct shell *s, int argc, char **argv)
{
	(void)argc;
	if (kdp_client_disconnect(s->client))
		return shell_failed(s);
	return shell_done(s, argv[0], "disconnected; the machine goes on");
}

static int shell_reboot(struct shell *s, int argc, char **argv)
{
	(void)argc;
	if (kdp_client_reboot(s->client))
		return shell_failed(s);
	return shell_done(s, argv[0], "asked for a reboot; there is no answer to that");
}

static int shell_info(struct shell *s, int argc, char **argv)
{
	struct kdp_client_info i;
	bool all = *argv[0] == 'i';

	(void)argc;
	if (kdp_client_get_info(s->client, &i))
		return shell_failed(s);
	if (s->json) {
		(void)printf("{\"command\":\"%s\",\"ok\":true,\"kernel\":", argv[0]);
		shell_text(i.text);
		(void)printf(",\"version\":%u,\"feature\":%u,\"cpus_mask\":%u,\"cpu_type\":%u,"
			     "\"cpu_subtype\":%u,\"max_bytes\":%u}\n",
			     i.version, i.feature, i.cpus_mask, i.cpu_type, i.cpu_subtype,
			     i.max_bytes);
		return 0;
	}
	(void)printf("%s\n", i.text);
	if (all)
		(void)printf("protocol %u, kernel breakpoints: %s, CPUs %#x of type %#x/%u, "
			     "%u bytes of memory at once\n",
			     i.version, i.feature & KDP_FEATURE_BP ? "yes" : "no", i.cpus_mask,
			     i.cpu_type, i.cpu_subtype, i.max_bytes);
	return 0;
}

static int shell_regions(struct shell *s, int argc, char **argv)
{
	struct kdp_client_region r;

	(void)argc;
	(void)argv;
	if (kdp_client_get_region(s->client, &r))
		return shell_failed(s);
	if (s->json)
		(void)printf("{\"command\":\"regions\",\"ok\":true,\"regions\":[{\"address\":%u,"
			     "\"bytes\":%u,\"protection\":%u}]}\n",
			     r.address, r.nbytes, r.protection);
	else
		(void)printf("%#x, %#x bytes, protection %u\n", r.address, r.nbytes, r.protection);
	return 0;
}

/* ---- memory ---- */

static void shell_dump(uint64_t at, const uint8_t *bytes, size_t n)
{
	for (size_t row = 0; row < n; row += 16) {
		(void)printf("%016" PRIx64 " ", at + row);
		for (size_t i = row; i < row + 16; i++)
			if (i < n)
				(void)printf(" %02x", bytes[i]);
			else
				(void)printf("   ");
		(void)printf("  ");
		for (size_t i = row; i < row + 16 && i < n; i++)
			(void)putchar(bytes[i] >= ' ' && bytes[i] < 127 ? bytes[i] : '.');
		(void)putchar('\n');
	}
}

/* What could be read is shown, also when that is not all. */
static int shell_read(struct shell *s, int argc, char **argv)
{
	bool phys = argv[0][strlen(argv[0]) - 1] == 'p';
	uint64_t at, n;
	uint8_t *bytes;
	size_t got;
	int rc;

	(void)argc;
	if (!shell_number(argv[1], UINT64_MAX, &at) || !shell_number(argv[2], SHELL_READ_MAX, &n))
		return USAGE;
	bytes = malloc(n ? n : 1);
	if (!bytes) {
		(void)fprintf(stderr, "kdp: no memory\n");
		return FAILED;
	}
	rc = phys ? kdp_client_read_phys(s->client, at, bytes, n, &got)
		  : kdp_client_read(s->client, at, bytes, n, &got);
	if (s->json) {
		(void)printf("{\"command\":\"%s\",\"ok\":%s,\"address\":\"%#" PRIx64
			     "\",\"bytes\":\"",
			     argv[0], rc ? "false" : "true", at);
		for (size_t i = 0; i < got; i++)
			(void)printf("%02x", bytes[i]);
		(void)printf("\"}\n");
	} else {
		shell_dump(at, bytes, got);
	}
	free(bytes);
	return rc ? shell_failed(s) : 0;
}

static int shell_write(struct shell *s, int argc, char **argv)
{
	bool phys = argv[0][strlen(argv[0]) - 1] == 'p';
	size_t n = strlen(argv[2]) / 2;
	uint8_t bytes[512];
	uint64_t at;

	(void)argc;
	if (!shell_number(argv[1], UINT64_MAX, &at))
		return USAGE;
	if (!n || strlen(argv[2]) % 2 || n > sizeof(bytes) ||
	    strspn(argv[2], "0123456789abcdefABCDEF") != 2 * n) {
		(void)fprintf(stderr, "kdp: %s: bytes are pairs of hexadecimal digits, up to %zu\n",
			      argv[0], sizeof(bytes));
		return USAGE;
	}
	for (size_t i = 0; i < n; i++) {
		char pair[3] = {argv[2][2 * i], argv[2][2 * i + 1], '\0'};

		bytes[i] = (uint8_t)strtoul(pair, NULL, 16);
	}
	if (phys ? kdp_client_write_phys(s->client, at, bytes, n)
		 : kdp_client_write(s->client, at, bytes, n))
		return shell_failed(s);
	return shell_done(s, argv[0], "written");
}

/* ---- registers ---- */

static int shell_regs(struct shell *s, int argc, char **argv)
{
	uint64_t regs[KDP_CLIENT_REGS];

	(void)argc;
	(void)argv;
	if (kdp_client_get_regs(s->client, regs))
		return shell_failed(s);
	if (s->json)
		(void)printf("{\"command\":\"regs\",\"ok\":true");
	for (unsigned i = 0; i < KDP_CLIENT_REGS; i++)
		if (s->json)
			(void)printf(",\"%s\":\"%#" PRIx64 "\"", kdp_client_reg_names[i], regs[i]);
		else
			(void)printf("%-6s %016" PRIx64 "%s", kdp_client_reg_names[i], regs[i],
				     i % 3 == 2 ? "\n" : "  ");
	if (s->json)
		(void)printf("}\n");
	return 0;
}

static int shell_setreg(struct shell *s, int argc, char **argv)
{
	uint64_t regs[KDP_CLIENT_REGS], value;
	unsigned i = 0;

	(void)argc;
	while (i < KDP_CLIENT_REGS && strcmp(kdp_client_reg_names[i], argv[1]) != 0)
		i++;
	if (i == KDP_CLIENT_REGS) {
		(void)fprintf(stderr, "kdp: '%.40s' is no register\n", argv[1]);
		return USAGE;
	}
	if (!shell_number(argv[2], UINT64_MAX, &value))
		return USAGE;
	if (kdp_client_get_regs(s->client, regs))
		return shell_failed(s);
	regs[i] = value;
	if (kdp_client_set_regs(s->client, regs))
		return shell_failed(s);
	return shell_done(s, argv[0], "set");
}

/* ---- running ---- */

static bool shell_has(const struct shell *s, uint64_t at)
{
	for (unsigned i = 0; i < s->nbreakpoints; i++)
		if (s->breakpoints[i] == at)
			return true;
	return false;
}

static int shell_break(struct shell *s, int argc, char **argv)
{
	uint64_t at;

	(void)argc;
	if (!shell_number(argv[1], UINT64_MAX, &at))
		return USAGE;
	if (kdp_client_break(s->client, at))
		return shell_failed(s);
	if (s->nbreakpoints < SHELL_BREAKPOINTS)
		s->breakpoints[s->nbreakpoints++] = at;
	return shell_done(s, argv[0], "breakpoint set");
}

static int shell_clear(struct shell *s, int argc, char **argv)
{
	uint64_t at;

	(void)argc;
	if (!shell_number(argv[1], UINT64_MAX, &at))
		return USAGE;
	if (kdp_client_clear(s->client, at))
		return shell_failed(s);
	for (unsigned i = 0; i < s->nbreakpoints; i++)
		if (s->breakpoints[i] == at)
			s->breakpoints[i--] = s->breakpoints[--s->nbreakpoints];
	return shell_done(s, argv[0], "breakpoint removed");
}

/*
 * Tell where it stopped. Behind a breakpoint of ours, rip goes back to it: what stood there has not
 * been executed.
 */
static int shell_stopped(struct shell *s, const char *command, const struct kdp_client_exception *e)
{
	uint64_t regs[KDP_CLIENT_REGS];
	const char *why = e->exception == KDP_EXC_BREAKPOINT ? "trap" : "exception";

	if (kdp_client_get_regs(s->client, regs))
		return shell_failed(s);
	if (e->exception == KDP_EXC_BREAKPOINT && strcmp(command, "step") != 0 &&
	    shell_has(s, regs[KDP_CLIENT_RIP] - 1)) {
		why = "breakpoint";
		regs[KDP_CLIENT_RIP]--;
		if (kdp_client_set_regs(s->client, regs))
			return shell_failed(s);
	}
	if (s->json)
		(void)printf("{\"command\":\"%s\",\"ok\":true,\"stopped\":true,\"why\":\"%s\","
			     "\"exception\":%u,\"code\":%u,\"subcode\":%u,\"rip\":\"%#" PRIx64
			     "\"}\n",
			     command, why, e->exception, e->code, e->subcode, regs[KDP_CLIENT_RIP]);
	else
		(void)printf("stopped at %#" PRIx64 ": %s (exception %u, code %u, subcode %#x)\n",
			     regs[KDP_CLIENT_RIP], why, e->exception, e->code, e->subcode);
	return 0;
}

static int shell_step(struct shell *s, int argc, char **argv)
{
	struct kdp_client_exception e;
	uint64_t regs[KDP_CLIENT_REGS], at;
	bool over;
	int rc;

	(void)argc;
	if (kdp_client_get_regs(s->client, regs))
		return shell_failed(s);
	at = regs[KDP_CLIENT_RIP];
	over = shell_has(s, at);
	if (over && kdp_client_clear(s->client, at))
		return shell_failed(s);
	rc = kdp_client_step(s->client, SHELL_STEP_MS, &e);
	if (!rc && over)
		rc = kdp_client_break(s->client, at);
	return rc ? shell_failed(s) : shell_stopped(s, argv[0], &e);
}

/* Standing on a breakpoint of ours, the instruction under it goes first. */
static int shell_continue(struct shell *s, int argc, char **argv)
{
	uint64_t regs[KDP_CLIENT_REGS];
	struct kdp_client_exception e;
	int rc = kdp_client_get_regs(s->client, regs);

	(void)argc;
	if (!rc && shell_has(s, regs[KDP_CLIENT_RIP])) {
		rc = kdp_client_clear(s->client, regs[KDP_CLIENT_RIP]);
		if (!rc)
			rc = kdp_client_step(s->client, SHELL_STEP_MS, &e);
		if (!rc)
			rc = kdp_client_break(s->client, regs[KDP_CLIENT_RIP]);
	}
	if (!rc)
		rc = kdp_client_resume(s->client);
	return rc ? shell_failed(s) : shell_done(s, argv[0], "the machine goes on");
}

static int shell_wait(struct shell *s, int argc, char **argv)
{
	bool was = kdp_client_state(s->client) == KDP_CLIENT_RUNNING;
	struct kdp_client_exception e = {0};
	uint64_t seconds = SHELL_WAIT_S;
	int rc;

	if (argc > 1 && !shell_number(argv[1], 86400, &seconds))
		return USAGE;
	if (!was) {
		(void)fprintf(stderr, "kdp: the machine is not running\n");
		return FAILED;
	}
	rc = kdp_client_wait(s->client, (unsigned)seconds * 1000u, &e);
	if (rc < 0)
		return shell_failed(s);
	if (rc)
		return shell_stopped(s, argv[0], &e);
	if (s->json)
		(void)printf("{\"command\":\"wait\",\"ok\":false,\"stopped\":false}\n");
	(void)fprintf(stderr, "kdp: it did not stop within %u seconds\n", (unsigned)seconds);
	return FAILED;
}

static int shell_do_help(struct shell *s, int argc, char **argv)
{
	(void)s;
	(void)argc;
	(void)argv;
	shell_help();
	return 0;
}

static int shell_quit(struct shell *s, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	s->quit = true;
	return 0;
}

/* ---- the table ---- */

static const struct shell_command shell_commands[] = {
	{"connect", "", "begin a session; other commands do it by themselves", 0, 0, false,
	 shell_connect},
	{"reattach", "", "the same, and end the one that there is", 0, 0, false, shell_connect},
	{"info", "", "the kernel and what it can do", 0, 0, true, shell_info},
	{"version", "", "the kernel's version", 0, 0, true, shell_info},
	{"regions", "", "what it says of its memory", 0, 0, true, shell_regions},
	{"read", "ADDR N", "memory", 2, 2, true, shell_read},
	{"write", "ADDR BYTES", "bytes in hexadecimal", 2, 2, true, shell_write},
	{"readp", "ADDR N", "physical memory", 2, 2, true, shell_read},
	{"writep", "ADDR BYTES", "", 2, 2, true, shell_write},
	{"regs", "", "registers of the CPU that stopped", 0, 0, true, shell_regs},
	{"setreg", "NAME VALUE", "", 2, 2, true, shell_setreg},
	{"break", "ADDR", "set a breakpoint", 1, 1, true, shell_break},
	{"clear", "ADDR", "remove it", 1, 1, true, shell_clear},
	{"continue", "", "let the machine go", 0, 0, true, shell_continue},
	{"wait", "[SECONDS]", "until it stops", 0, 1, false, shell_wait},
	{"step", "", "one instruction", 0, 0, true, shell_step},
	{"detach", "", "end the session; the machine goes on", 0, 0, false, shell_detach},
	{"reboot", "", "restart the machine", 0, 0, false, shell_reboot},
	{"help", "", "", 0, 0, false, shell_do_help},
	{"quit", "", "leave; session and breakpoints stay", 0, 0, false, shell_quit},
};

void shell_help(void)
{
	for (size_t i = 0; i < sizeof(shell_commands) / sizeof(shell_commands[0]); i++) {
		const struct shell_command *c = &shell_commands[i];

		(void)printf("  %-9s%-12s%s\n", c->name, c->args, c->what);
	}
}

int shell_run(struct shell *s, const char *line)
{
	char copy[2048], *words[SHELL_WORDS + 1], *rest = copy;
	int n = 0;

	if (strlen(line) >= sizeof(copy)) {
		(void)fprintf(stderr, "kdp: the line is too long\n");
		return USAGE;
	}
	(void)snprintf(copy, sizeof(copy), "%s", line);
	while (n <= SHELL_WORDS && (words[n] = strsep(&rest, " \t\r\n")))
		if (*words[n])
			n++;
	if (!n || *words[0] == '#')
		return 0;
	for (size_t i = 0; i < sizeof(shell_commands) / sizeof(shell_commands[0]); i++) {
		const struct shell_command *c = &shell_commands[i];
		int rc;

		if (strcmp(c->name, words[0]) != 0)
			continue;
		if (n - 1 < c->min || n - 1 > c->max) {
			(void)fprintf(stderr, "kdp: usage: %s %s\n", c->name, c->args);
			return USAGE;
		}
		if (c->session && kdp_client_state(s->client) == KDP_CLIENT_OFF) {
			s->nbreakpoints = 0;
			if (s->reattach ? kdp_client_reattach(s->client)
					: kdp_client_connect(s->client))
				return shell_failed(s);
		}
		rc = c->run(s, n, words);
		(void)fflush(stdout);
		return rc;
	}
	(void)fprintf(stderr, "kdp: '%.40s' is no command; help tells which there are\n", words[0]);
	return USAGE;
}
