/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Work loops for the rest of the simulation: what is chance, what is limited, what is left over.
 */
#ifndef SIM_MACOS_LOOP_H
#define SIM_MACOS_LOOP_H

#include <stdio.h>

/* How many in a hundred attempts at a gate are refused though it is free. */
extern unsigned sim_attempt_refusals;
/* A gate that is not obtained, a sleep in one that nobody ends: a violation after so long. */
extern unsigned sim_gate_limit_ms;
extern unsigned sim_sleep_limit_ms;

/* Event sources that some loop still holds and that call into that bundle; a line each on `out`. */
unsigned sim_loop_sources_of(const char *bundle, FILE *out);

#endif
