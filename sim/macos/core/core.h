/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What core offers to the other parts of the simulation beside sim.h.
 */
#ifndef SIM_MACOS_CORE_H
#define SIM_MACOS_CORE_H

#include <stddef.h>
#include <stdio.h>

/* Pieces accounted to callers in [lo, hi) that are still alive; one line each on out (may be 0). */
unsigned sim_alive_from(const void *lo, const void *hi, FILE *out);
/* The same for all that kexts asked for, whether they are loaded or not. */
unsigned sim_alive_from_kexts(FILE *out);

/*
 * Something was left behind: a line for mac_halt()'s list, and counted there. For a part's halt
 * function; thread level.
 */
void sim_leak(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Where mac_halt() wants them (0: nowhere), and how many there were. */
void sim_leaks_to(FILE *out);
unsigned sim_leaks(void);

/* Boot and halt of the parts of core. */
void sim_memory_boot(void);
void sim_memory_halt(void);
void sim_thread_call_halt(void);

/* To valgrind, if it is watching: nobody has written this yet, whatever lies there. */
void sim_undefined(const void *at, size_t len);

/* strlcpy as kernels have it; Debian 12's C library does not. */
extern "C" size_t sim_strlcpy(char *to, const char *from, size_t size);

#endif
