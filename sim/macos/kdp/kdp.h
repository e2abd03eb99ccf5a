/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's debugger in the simulation. The protocol is server.h's; this is where it meets
 * threads, registers and memory.
 *
 * A stop begins with a trap of the CPU, so that there are registers to look at and to change:
 * an int3 (one that a debugger put into memory, or the one in sim_debugger_trap()), or the trap
 * after a single step. The signal's handler stops the world, serves the debugger, puts the
 * registers back and lets the world go. All of it is on the thread that trapped, at debugger level.
 *
 * The programmer's key (mac_debugger()) does not enter while the network family's debugger lock is
 * held, for then no packet would come or go: the last release enters, on the thread that releases.
 * A breakpoint enters wherever it is, and so does a panic, once the holder had time to let go.
 */
#ifndef SIM_MACOS_KDP_KDP_H
#define SIM_MACOS_KDP_KDP_H

#include <stddef.h>
#include <stdint.h>

void sim_kdp_boot(void);
void sim_kdp_halt(void);

/*
 * A kernel panic, after its text went to the log: serve a debugger if there can be one. Returns
 * when it disconnected or let the machine go, after a while if none comes, and at once without a
 * debugger. The caller ends the process then. Any level.
 */
void sim_panic_enter(const char *why);

/* ---- between the files of this folder ---- */

/* Why a thread traps on purpose. */
struct kdp_entry {
	const char *why;
	bool panic;
	bool key; /* may be put off until the debugger lock is free */
	uint64_t deadline_ns;
	uint64_t lock_ns; /* of a panic: until then for the holder of the lock */
	/* Out: */
	bool again; /* a panic that has to come again, for the lock was held */
	int result; /* 0 or a negative errno */
};

/* Traps here, with the entry in the first argument's register. */
extern "C" void sim_debugger_trap(struct kdp_entry *entry);

void kdp_trap_boot(void);
void kdp_trap_halt(void);
/* kdp.cpp: is there a debugger to serve, and has it a device? */
bool kdp_enabled(void);
/* kdp.cpp, on the trapped thread: put the entry off, if it must be. False: enter now. */
bool kdp_put_off(struct kdp_entry *entry);
/* kdp.cpp: the put-off entry has been served. */
void kdp_entry_done(void);
/* kdp.cpp, world stopped: serve. entry is 0 for a trap that nobody asked for. */
void kdp_serve_stop(struct kdp_entry *entry, uint32_t exception, uint32_t code);

struct kdp_regs64;
/* trap.cpp, for the ops of the server. */
size_t kdp_memory_read(uint64_t at, void *to, size_t n);
size_t kdp_memory_write(uint64_t at, const void *from, size_t n);
void kdp_trap_get_regs(struct kdp_regs64 *regs);
void kdp_trap_set_regs(const struct kdp_regs64 *regs);

#endif
