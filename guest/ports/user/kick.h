/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kicks without the socket: QEMU's own eventfds, borrowed. Used by pci.c.
 *
 * Everything here may fail for want of permission; it then takes nothing, and says so by returning
 * 0.
 */
#ifndef USER_KICK_H
#define USER_KICK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define KICK_MAX_QUEUES 64u
#define KICK_MAX_FDS	1024u

/* Where the driver writes to kick one queue. */
struct kick_reg {
	uint8_t bar;
	bool match; /* only a write of `value` counts (legacy: one register for all queues) */
	uint16_t value;
	uint32_t off;
};

struct kick {
	bool wanted;
	unsigned n; /* queues armed */
	struct kick_reg reg[KICK_MAX_QUEUES];
	int fd[KICK_MAX_QUEUES]; /* owned */
};

/* The eventfds a process has open, by descriptor number. */
struct kick_snapshot {
	unsigned n;
	int fd[KICK_MAX_FDS];
	uint64_t id[KICK_MAX_FDS]; /* the kernel's number of each eventfd */
};

/* False: not permitted, or too many. */
bool kick_snapshot(struct kick_snapshot *s, pid_t pid);
/*
 * Take the eventfds that pid has opened since `before`. There must be exactly n, in order of regs
 * (one for each queue the device has). Returns n, or 0 and nothing is armed.
 */
unsigned kick_arm(struct kick *k, pid_t pid, const struct kick_snapshot *before,
		  const struct kick_reg *regs, unsigned n);
void kick_drop(struct kick *k);
/* True: this write was a kick, and it has been delivered. */
bool kick_write(const struct kick *k, unsigned bar, uint64_t off, uint32_t val);

#endif
