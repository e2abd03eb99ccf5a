/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ground every part of the simulated kernel stands on: which release it is, what a thread may
 * do now, how a mistake is told, and how everything is made to stand still.
 *
 * Threads. A kernel thread is made with sim_thread_start(); a foreign thread (a program's, a TCP/IP
 * stack's) is inside the kernel between sim_enter() and sim_exit(), which nest. Only threads inside
 * run the kext's code. sim_world_stop() parks all of them but the caller, wherever they are, as the
 * debugger parks other processors: hence
 *   - code that a stopped world still needs (the board under it, the log) is bracketed with
 *     sim_host_begin() / sim_host_end(): a thread between the two parks only when it leaves;
 *   - what runs at debugger level takes no lock of the simulation, allocates nothing, and writes
 *     with sim_log() only.
 *
 * Level. A thread runs at thread level, at interrupt level (a filter), or at debugger level. What
 * may sleep or allocate says so first, with sim_may_block(): that is how a kext that does either in
 * the wrong place is caught.
 *
 * Violations. What would crash a kernel, corrupt it, or leak from it ends the process with one
 * line "sim: violation: ..." and a backtrace (exit by abort()): never carry on after one.
 *
 * Beliefs. Where code acts as XNU does, and that is not plain from the interface, a comment names
 * the belief by its id, [XNU-WL-...] for example. docs/simulation lists each with its source and
 * how to check it on a Mac; tools/check-beliefs holds the two together.
 */
#ifndef SIM_MACOS_SIM_H
#define SIM_MACOS_SIM_H

#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "sim/macos/board.h"

/* ---- which Mac ---- */

struct sim_config {
	int release;	       /* 6 ... 15, for 10.6 ... 10.15 */
	const char *boot_args; /* "debug=0x144 vio_log=3", "" for none */
	unsigned seed;	       /* of every choice that is random here */
	bool quiet;	       /* IOLog does not go to stderr (sim_log_hook still sees it) */
	struct sim_ram ram;
};
extern struct sim_config sim_config; /* set by mac_boot(), constant afterwards */

static inline bool sim_release_at_least(int release)
{
	return sim_config.release >= release;
}

/* A number below n that depends on the seed. Any thread. */
unsigned sim_random(unsigned n);

/* ---- threads ---- */

enum sim_level { SIM_THREAD, SIM_INTERRUPT, SIM_DEBUGGER };

struct sim_cpu {
	const char *name;
	enum sim_level level;
	bool interrupts;	/* enabled: ml_get_interrupts_enabled() */
	unsigned spin_locks;	/* IOSimpleLocks held */
	unsigned debugger_lock; /* reserveDebuggerLock() held */
	unsigned inside;	/* depth of sim_enter() */
	unsigned host;		/* depth of sim_host_begin() */
	const char *gate;	/* for messages: what it holds, or 0 */
};
/* This thread's. C's habit of naming a function as its struct bothers g++. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
struct sim_cpu *sim_cpu(void);
#pragma GCC diagnostic pop

/* A kernel thread, detached, inside the kernel for as long as `run` takes. Aborts if it cannot. */
void sim_thread_start(const char *name, void (*run)(void *arg), void *arg);
/* Kernel threads that have not ended yet. */
unsigned sim_threads(void);

void sim_enter(const char *name);
void sim_exit(void);
void sim_host_begin(void);
void sim_host_end(void);

/* Run at interrupt level: interrupts off, and no blocking. */
void sim_interrupt_begin(void);
void sim_interrupt_end(void);

/* A violation unless this thread may sleep and allocate now; `what` is the function's name. */
void sim_may_block(const char *what);

/* ---- the whole world ---- */

/*
 * Park every other thread inside the kernel. The caller is at debugger level until sim_world_go().
 * False: another thread has stopped it already (the caller is parked first, and finds the world
 * running when it returns), or is just doing so.
 */
bool sim_world_stop(void);
void sim_world_go(void);

/* ---- mistakes ---- */

[[noreturn]] void sim_violation(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A line on stderr unless quiet; at any level. */
void sim_log(const char *format, ...) __attribute__((format(printf, 1, 2)));
void sim_logv(const char *format, va_list ap) __attribute__((format(printf, 1, 0)));
/* Sees each line as well. Set before mac_boot(). */
extern void (*sim_log_hook)(const char *line);

/* ---- the kext's memory ---- */

/* Whether an address lies in the image of a loaded kext; and in which, by name. */
bool sim_in_kext(const void *address);
const char *sim_kext_name(const void *address); /* 0: in none */

/*
 * Should this allocation fail? Asked by whatever a kext can get memory or an object from, with
 * __builtin_return_address(0): only a kext's own calls count. mac_fail_alloc() says which fails.
 */
bool sim_alloc_fails(const void *caller);

/* Account of what is alive, per kind ("IOMalloc", "mbuf", "OSDictionary", ...). */
void sim_born(const char *kind, const void *what, size_t size, const void *caller);
void sim_died(const char *kind, const void *what);

/* ---- device memory: the part of RAM that the board leaves to us ---- */

/*
 * len and align in bytes; the whole piece below `limit` (device address of its last byte). Filled
 * with a pattern: nothing here is zero by accident. 0: no memory.
 */
void *sim_ram_alloc(size_t len, size_t align, uint64_t limit);
void sim_ram_free(void *at, size_t len);
bool sim_ram_has(const void *at);
uint64_t sim_ram_address(const void *at); /* device address */

/* ---- time ---- */

uint64_t sim_now_ns(void);

#endif
