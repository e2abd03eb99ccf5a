/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interrupts of PCI functions: the board's vectors and lines on one side, the handlers that
 * event sources register with a nub on the other.
 *
 * Theory of operation
 *
 * A nub has one source for the line, if the function has a pin, and after it one for each entry of
 * the MSI-X table, from the release on that supports it. A thread per function waits in the board
 * and calls handlers, at interrupt level; only INTx or MSI-X is on in the device at a time. A
 * program's thread that idles inside the kernel may take messages instead (pci_irq_take()): the
 * way of a message is then as short as on a processor that was idle.
 *
 * The line is a level. A source that is disabled (softly: a flag) is not called, and the line is
 * looked at again when it is enabled. A line that stays high though its handler keeps returning
 * with the source enabled is a storm, which would hang a processor.
 *
 * Messages come once. MSI-X goes on in the device when the first messaged source is registered, and
 * off with the last. Which handlers a message reaches depends on the release; see deliver_message.
 * A source is hard-disabled from its registration to the first enable(): one message is kept then,
 * and delivered inside that enable(). Afterwards disable() stops nothing.
 */
#ifndef SIM_MACOS_PCI_IRQ_H
#define SIM_MACOS_PCI_IRQ_H

#include "sim/macos/iokit/interrupts.h"
#include "sim/macos/pci/function.h"

extern const struct sim_interrupt_ops pci_interrupt_ops; /* arg: struct mac_pci */

void pci_irq_start(struct mac_pci *pci);
/* Nothing is delivered any more when this returns; the thread has ended. */
void pci_irq_stop(struct mac_pci *pci);
/*
 * Deliver the messages that are there, on this thread, if it may take an interrupt now; the
 * function's own thread leaves them to whoever calls this, as long as it is called often. Not for
 * the line. True: there were some.
 */
bool pci_irq_take(struct mac_pci *pci);
/* Power off and on: the device forgets what was switched on, and is told again if `restored`. */
void pci_irq_suspend(struct mac_pci *pci);
void pci_irq_resume(struct mac_pci *pci, bool restored);

#endif
