/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where things are: folders, socket, state file and definitions, as docs/protocol.md says.
 * Variables of the environment that are empty count as unset; a relative path in one is a mistake
 * for VMNET_* and ignored for XDG_* (as their specification wants).
 */
#ifndef NETD_PATHS_H
#define NETD_PATHS_H

#include <stdbool.h>
#include <stddef.h>

#define PATHS_MAX	 4096u
#define PATHS_ERR_MAX	 256u
#define PATHS_SOCKET_MAX 108u /* of a socket, with its NUL */

/* False: err has one line. Nothing is created. */
bool paths_runtime_dir(char out[PATHS_MAX], char err[PATHS_ERR_MAX]);
bool paths_state_dir(char out[PATHS_MAX], char err[PATHS_ERR_MAX]);
bool paths_state_file(char out[PATHS_MAX], char err[PATHS_ERR_MAX]);
/* control.sock in the runtime folder; fits into a sockaddr_un. */
bool paths_socket(char out[PATHS_SOCKET_MAX], char err[PATHS_ERR_MAX]);
/* The first of the default files that exists; "" : none does. */
bool paths_config(char out[PATHS_MAX], char err[PATHS_ERR_MAX]);

/*
 * A folder of ours (D-11): created with mode 0700 if it is not there, its parents as well; refused
 * if it is a symbolic link, somebody else's, or others may write to it. Nothing is changed about
 * one that is there. Returns a descriptor of it, to be used for whatever is done inside, as the
 * path may be somebody's to rename; -1: err.
 */
int paths_open_dir(const char *folder, char err[PATHS_ERR_MAX]);
bool paths_make_dir(const char *folder, char err[PATHS_ERR_MAX]);

#endif
