/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The threads on which timers fire and power changes are told: a kernel's thread-call threads.
 */
#ifndef SIM_MACOS_LOOP_CALLOUTS_H
#define SIM_MACOS_LOOP_CALLOUTS_H

#include <stdint.h>

struct sim_callout {
	void (*func)(void *self, uintptr_t arg);
	void *self;
	uintptr_t arg;
	uint64_t due;
	bool pending;
	struct sim_callout *next;
};

/*
 * func(self, arg) at `due` (of sim_now_ns(); the past: at once). True: one was pending, and has
 * been replaced. What fires is no longer pending: the callout may be entered again, or freed.
 */
bool sim_callout_enter(struct sim_callout *callout, uintptr_t arg, uint64_t due);
/* True: it was pending, and will not fire. Does not wait for one that fires now. */
bool sim_callout_cancel(struct sim_callout *callout);

void sim_callouts_boot(void);
/* Fires nothing more and waits for the threads to end. The number of those still pending. */
unsigned sim_callouts_halt(void);

#endif
