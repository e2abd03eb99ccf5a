/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The C driver as a card of the stack: interrupts taken, the driver turned and ticked.
 */
#ifndef STACK_NIC_VIO_H
#define STACK_NIC_VIO_H

#include "tools/stack/netif_vio.h"
#include "tools/stack/nic.h"

/* Where interrupts come from. Masks: bit n is vector n. */
struct stack_irq {
	uint64_t (*poll)(void *arg);
	uint64_t (*wait)(void *arg, uint32_t timeout_us);
	void *arg;
};

struct nic_vio {
	struct netif_vio *nv;
	const struct stack_irq *irq; /* NULL: polled */
	uint64_t vectors;	     /* fired, and not yet seen by the driver */
	uint64_t last_tick;
	uint64_t seen;
	unsigned idle; /* polled: turns without anything to do */
};

extern const struct stack_nic_ops nic_vio_ops;

#endif
