/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Power management for the rest of the simulation: on and off, and what an IOService owes it.
 */
#ifndef SIM_MACOS_LOOP_POWER_H
#define SIM_MACOS_LOOP_POWER_H

#include "guest/ports/xnu/kpi/service.h"

/* Also starts the thread-call threads that timers fire on. */
void sim_power_boot(void);
void sim_power_halt(void);

/*
 * For IOService::free(), with its pwrMgt, if that is not 0. A violation if the service is still in
 * the power tree (which holds a reference on it, so it was released too often).
 */
void sim_power_free(IOServicePM *node);

/* Nothing is queued and no change is under way: part of what mac_quiet() waits for. */
bool sim_power_idle(void);

/* How long an acknowledgement is waited for, whatever shorter time a driver says. */
extern unsigned sim_power_ack_ms;
/* How long a call into a driver may take. */
extern unsigned sim_power_call_ms;
/* Hang every device under the root of the tree, instead of under its next managed provider. */
extern bool sim_power_flat;

#endif
