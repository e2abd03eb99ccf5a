/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the VMMs want to be told about a network on a descriptor.
 *
 * Theory of operation. A command that says `{fd}` somewhere knows what it does with it: `{fd}` and
 * `{mac}` are replaced, and nothing is added. Otherwise the program's name tells what it is; QEMU,
 * krunkit and vfkit get the options that make them use the descriptor. Any other program finds what
 * it needs in its environment (VMNET_FD and so on).
 */
#ifndef CLI_VMM_H
#define CLI_VMM_H

#include <stdbool.h>

#include "host/client/vmnet_client.h"

enum vmm_type { VMM_OTHER, VMM_QEMU, VMM_KRUNKIT, VMM_VFKIT };

struct vmm {
	enum vmm_type type;
	bool substitute; /* the command names `{fd}` */
	bool old;	 /* QEMU before 7.2: no -netdev stream, dgram */
};

struct vmm_place {
	int fd;
	enum vmnet_kind kind;
	const char *mac;
	unsigned mtu;
};

/* The program as execvp would find it: malloc'd; NULL: there is none that can be run. */
char *vmm_find(const char *program);
/* Looks at the command, before anything is done. False: err, the user's mistake. */
bool vmm_look(struct vmm *vmm, char *const *command, struct vmnet_error *err);
/* Ask the program how old it is, if that matters. path: from vmm_find. */
void vmm_probe(struct vmm *vmm, const char *path);
/* Remarks that are no errors: a line, or NULL. */
const char *vmm_warning(const struct vmm *vmm, char *const *command);
/* The command to execute: vmm_free. NULL: out of memory. */
char **vmm_command(const struct vmm *vmm, char *const *command, const struct vmm_place *place);
void vmm_free(char **command);
/* "QEMU emulator version 7.2.22 (...)": as 70222; 0: it says something else. PATH: from vmm_find.
 */
unsigned vmm_qemu_version(const char *path);

#endif
