/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * networks.yaml: the file that defines networks (libyaml reads it; networks.yaml(5) is its manual).
 */
#ifndef NETD_CONFIG_H
#define NETD_CONFIG_H

#include "host/netd/netdef.h"

#define CONFIG_NETWORKS_MAX 64u

struct config {
	struct netdef *defs;
	unsigned n;
	char path[4096]; /* where it was read; "" : no file */
};

/*
 * Reads and checks all of it: names twice, subnets that overlap included. path NULL: the default
 * places ($VMNET_CONFIG, $XDG_CONFIG_HOME/vmnet/networks.yaml, /etc/vmnet/networks.yaml), none of
 * which has to exist. False: err is "FILE:LINE:COLUMN: what is wrong, what would be right";
 * *user_error tells a mistake in the file (2) from one of the system (1).
 */
bool config_load(struct config *c, const char *path, char err[NETDEF_ERR_MAX], bool *user_error);
/* The parser alone, for tests and fuzzing. name stands in messages. */
bool config_parse(struct config *c, const char *name, const char *text, size_t len,
		  char err[NETDEF_ERR_MAX]);
void config_free(struct config *c);
const struct netdef *config_find(const struct config *c, const char *name);

#endif
