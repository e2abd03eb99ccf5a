/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bridge between gdb (its remote serial protocol, over TCP) and a kernel (KDP, over UDP).
 *
 * One gdb at a time. If it goes away without a word, the machine stays as it is and the next gdb
 * finds it so; when it detaches, the session ends and the machine goes on.
 *
 * What KDP does not have is not made up. Registers that it does not tell are "unavailable" to gdb,
 * there is one thread (the CPU that stopped), no watchpoints, and no interrupting of a machine that
 * runs: Ctrl-C is answered with a line that says so.
 */
#ifndef KDP_GDB_H
#define KDP_GDB_H

#include <stdbool.h>

#include "tools/kdp/kdp_client.h"

/* where: [ADDR:]PORT. Exit status: 0, 1 failed, 2 `where` is wrong. */
int gdb_bridge(struct kdp_client *client, const char *where, bool reattach);

#endif
