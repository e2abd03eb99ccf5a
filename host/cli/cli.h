/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the subcommands share: options, messages, the connection, output.
 *
 * One file for each subcommand, which exports one `struct cli_command`; vmnet.c has the table. All
 * of them answer with an exit status: 0, 1 (the system's fault), 2 (the user's), and say each error
 * in one line on standard error, "vmnet COMMAND: what was wrong".
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/client/vmnet_client.h"

#define CLI_LIST_MAX 256u

struct cli {
	const char *name; /* of the subcommand */
	bool json;	  /* --json */
	int argc;	  /* what follows the subcommand's name */
	char **argv;
};

struct cli_command {
	const char *name;
	const char *shapes;  /* how it is called, without "vmnet ", one a line */
	const char *summary; /* one line */
	const char *help;    /* its options, as printed; NULL: none */
	bool hidden;
	int (*run)(struct cli *cli);
};

extern const struct cli_command cmd_attach, cmd_capture, cmd_config, cmd_create, cmd_daemon,
	cmd_delete, cmd_detach, cmd_doctor, cmd_forward, cmd_leases, cmd_limit, cmd_link, cmd_list,
	cmd_names, cmd_run, cmd_status;
extern const struct cli_command *const cli_commands[]; /* NULL ends it */

/* ---- messages ---- */

/* One line on standard error, and the status to exit with. */
__attribute__((format(printf, 2, 3))) int cli_user(const struct cli *cli, const char *fmt, ...);
__attribute__((format(printf, 2, 3))) int cli_system(const struct cli *cli, const char *fmt, ...);
int cli_error(const struct cli *cli, const struct vmnet_error *err);
/* The same without an end to it: the command goes on. */
__attribute__((format(printf, 2, 3))) void cli_note(const struct cli *cli, const char *fmt, ...);
/* The name that was meant, of a list ended by NULL; NULL: none is near. */
const char *cli_nearest(const char *word, const char *const *names);

/* ---- arguments ---- */

struct cli_list {
	const char *item[CLI_LIST_MAX];
	unsigned n;
};

/* Exactly one of the three is set. */
struct cli_option {
	const char *name; /* "rate" for --rate */
	char letter;	  /* 'w' for -w; 0: none */
	bool *flag;
	const char **value;
	struct cli_list *list; /* may be given several times */
};

struct cli_args {
	const struct cli_option *options;
	unsigned noptions;
	const char *const *names; /* of the arguments, "NETWORK"; NULL ends it */
	unsigned required;	  /* of them */
	bool command;		  /* what follows `--` is a command, and has to be there */
	const char *given[8];	  /* out */
	unsigned ngiven;
	char **rest; /* out: after `--` */
};

/*
 * Options may stand anywhere before `--`, as --name=V, --name V or -w V. --json is known to all.
 * False: it was wrong, and that has been said.
 */
bool cli_parse(struct cli *cli, struct cli_args *args);
/* "stream" or "dgram"; text NULL leaves *kind alone. False: said. */
bool cli_kind(const struct cli *cli, const char *text, enum vmnet_kind *kind);
/* A network or member name, a MAC address; NULL is fine. False: said. */
bool cli_name(const struct cli *cli, const char *what, const char *text);
bool cli_mac(const struct cli *cli, const char *text);
/* A decimal number within bounds. False: said. */
bool cli_number(const struct cli *cli, const char *what, const char *text, uint64_t min,
		uint64_t max, uint64_t *out);

/* ---- the daemon ---- */

/* Connected, the daemon started if need be; NULL: err. */
struct vmnet_client *cli_connect(const struct cli *cli, struct vmnet_error *err);
/* Connect, ask once, close. NULL: that has been said, *status is to be returned. */
json_t *cli_ask(const struct cli *cli, json_t *request, int *status);
/* The same for what has no answer worth showing: the exit status. --json shows it all the same. */
int cli_do(const struct cli *cli, json_t *request);
/* An answer without ok and id, on standard output. The reference is taken. The exit status. */
int cli_print_json(const struct cli *cli, json_t *answer);
/* Whether everything that was printed has arrived; the exit status. */
int cli_printed(const struct cli *cli);

/*
 * From now on SIGINT, SIGTERM and SIGHUP, which end a command that stays, are read from the
 * descriptor that is returned; -1: errno.
 */
int cli_signals(void);

/* ---- values ---- */

/* A text of an object, "" if it has none; for terminals: see table_cell. */
const char *cli_text(const json_t *object, const char *key);
int64_t cli_int(const json_t *object, const char *key);

#endif
