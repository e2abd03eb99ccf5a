/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts of one PCI function, seen from a process.
 *
 * MSI-X: the table points every vector at a word of guest RAM, so that an interrupt is a store this
 * process can see; looking costs no traffic. INTx: QEMU reports the interrupt controller's input
 * lines over qtest. Both kinds come out of irq_poll as a mask.
 *
 * irq_poll and irq_wait on MSI-X touch only RAM and may run in another thread than the machine's;
 * on INTx they read the qtest socket and may not.
 */
#ifndef USER_IRQ_H
#define USER_IRQ_H

#include <stdbool.h>
#include <stdint.h>
#include "guest/ports/user/pci.h"

#define IRQ_MAX_VECTORS 64u

enum irq_mode { IRQ_OFF, IRQ_INTX, IRQ_MSIX };

struct irq {
	struct qemu_pci *f;
	enum irq_mode mode;
	unsigned vectors; /* usable: 1 with INTx, table entries programmed with MSI-X */
	unsigned gsi;	  /* INTx: the interrupt controller's input */
	uint64_t raised;  /* INTx: raises of that line counted already */
	uint32_t words;	  /* MSI-X: guest address of the first word */
	uint64_t count[IRQ_MAX_VECTORS]; /* interrupts seen, per vector */
	char err[160];
};

/* Prepare; the function must have been scanned and must outlive irq. Mode IRQ_OFF. */
void irq_init(struct irq *irq, struct qemu_pci *f);

/*
 * Program the first `vectors` entries (at most IRQ_MAX_VECTORS, 0: as many as there are), unmasked,
 * the others masked, and set the enable bit. irq->vectors says how many there are now.
 * VIO_ENOTSUP: no MSI-X, or no RAM mapped. VIO_EINVAL: fewer entries than asked for.
 */
int irq_msix_on(struct irq *irq, unsigned vectors) VIO_MUST_CHECK;
/* One entry; QEMU keeps what a masked vector wanted to say and says it when unmasked. */
void irq_msix_mask(struct irq *irq, unsigned vector, bool masked);
/* The whole function, through the capability. */
void irq_msix_mask_all(struct irq *irq, bool masked);

/*
 * Route the function's INTx pin and watch its line. MSI-X is switched off if it was on.
 * VIO_ENOTSUP: the function has no pin. VIO_EDEV: QEMU does not report lines.
 */
int irq_intx_on(struct irq *irq) VIO_MUST_CHECK;
/* Back to IRQ_OFF: no MSI-X, and the function's INTx disabled. */
void irq_off(struct irq *irq);

/*
 * Which vectors fired since the last call, bit n for vector n. INTx: bit 0 for as long as the line
 * is high (the driver's read of ISR makes it drop), and once for a pulse that is over.
 */
uint64_t irq_poll(struct irq *irq);
/* The same, waiting up to timeout_us for one; 0: none came, or the machine is dead. */
uint64_t irq_wait(struct irq *irq, uint32_t timeout_us);

#endif
