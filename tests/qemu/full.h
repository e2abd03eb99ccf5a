/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest with a whole TCP/IP stack (tools/stack, lwIP) on a NIC under test.
 *
 * lwIP's headers collide with wire/net.h: a file includes one or the other.
 */
#ifndef TESTS_QEMU_FULL_H
#define TESTS_QEMU_FULL_H

#include "tests/qemu/nic.h"
#include "tools/stack/stack.h"

#define FULL_PATIENCE_US 20000000u

struct full {
	struct nic *nic; /* booted and attached; it has no driver of its own */
	struct stack stack;
	struct stack_irq irq;
	struct vio_net *net;
};

/* Boot, create, start, wait for the link. VIO_IRQ_NONE: polled. Fails the test on error. */
void full_open(struct full *g, const struct nic_opts *o);
/* Stop, destroy, and look for leaks. */
void full_close(struct full *g);
/* Set IPv4 address and netmask /24 by hand. */
void full_address(struct full *g, const uint8_t ip[4]);

static inline uint64_t full_deadline(void)
{
	return stack_now() + FULL_PATIENCE_US;
}

/* Fails the test unless err is 0, with the stack's own words. */
static inline void full_ok(const struct full *g, int err)
{
	if (err)
		fail_msg("%d: %s", err, g->stack.err);
}

#endif
