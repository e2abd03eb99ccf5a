/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the interrupts of a nub come from.
 *
 * In a kernel the nub's properties IOInterruptControllers and IOInterruptSpecifiers lead to an
 * interrupt controller; here whoever has the interrupts (pci/) attaches a table to its nub, and
 * IOService::registerInterrupt() and its kin dispatch to it. A nub without one has no interrupts.
 */
#ifndef SIM_MACOS_IOKIT_INTERRUPTS_H
#define SIM_MACOS_IOKIT_INTERRUPTS_H

#include "guest/ports/xnu/kpi/service.h"

struct sim_interrupt_ops {
	/* kIOReturnNoInterrupt for a source that does not exist; `type` as getInterruptType(). */
	IOReturn (*type)(void *arg, int source, int *type);
	IOReturn (*registerHandler)(void *arg, int source, OSObject *target,
				    IOInterruptAction handler, void *refcon, IOService *nub);
	IOReturn (*unregister)(void *arg, int source);
	IOReturn (*enable)(void *arg, int source);
	IOReturn (*disable)(void *arg, int source);
	IOReturn (*cause)(void *arg, int source);
};

/* For the rest of the nub's life, or until called again with ops = 0. */
void sim_interrupts_attach(IOService *nub, const struct sim_interrupt_ops *ops, void *arg);

#endif
