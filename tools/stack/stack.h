/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A TCP/IP stack on a network card: lwIP, the card (nic.h), and the loop that drives both.
 *
 * lwIP is Debian's shared library, with its own timer thread and one lock around its core. The
 * thread that owns the machine runs the loop: take the lock, let the driver work, give it up, sleep
 * until an interrupt comes. All that is waited for (a lease, an echo, a transfer) is waited for
 * inside stack_run, so there is one place that looks at the clock, at the stop flag, and at the
 * machine's health.
 *
 * lwIP cannot be ended: its thread stays until the process does. Stacks may be created and
 * destroyed one after the other.
 */
#ifndef STACK_STACK_H
#define STACK_STACK_H

#include <signal.h>

#include "tools/stack/dhcp.h"
#include "tools/stack/nic_vio.h"

#define STACK_NAP_US 2000u /* the longest sleep: frames of lwIP's own thread wait this long */

enum stack_err {
	STACK_OK = 0,
	STACK_TIMEOUT = -20, /* the deadline passed */
	STACK_STOPPED = -21, /* the stop flag was raised */
	STACK_DEAD = -22,    /* the machine or the device is gone for good */
	STACK_REFUSED = -23, /* the peer said no, or broke the connection */
	STACK_BAD = -24,     /* an answer that is wrong */
};

struct stack_params {
	struct netif_vio_params netif; /* for stack_create, which sets tap, event and arg */
	const struct stack_irq *irq;   /* the same; NULL: polled */
	const volatile sig_atomic_t *stop;
	bool (*alive)(void *arg); /* the machine is; asked about ten times a second. NULL: yes */
	void (*event)(void *arg, const struct vio_net_link *link, const char *why);
	void *arg;
};

struct stack {
	struct stack_params p;
	const struct stack_nic_ops *ops; /* of the card; NULL: there is none */
	void *nic;
	struct netif_vio *nv; /* the C driver's, if that is the card */
	struct nic_vio vio;
	struct dhcp dhcp;
	bool dhcp_on;
	bool dhcp_news;
	uint64_t next_check;
	uint64_t turns, sleeps;
	int fatal;     /* stack_err that ended it */
	char err[160]; /* after an error: one line */
};

/* Microseconds of the monotonic clock. */
uint64_t stack_now(void);

/* Start lwIP, if that has not been done. Before any use of it. */
void stack_init(void);

/*
 * A stack on a card that exists; it is destroyed with the stack. The card's frames are shown to
 * stack_sees() before lwIP gets them.
 */
void stack_create_on(struct stack *s, const struct stack_params *params,
		     const struct stack_nic_ops *ops, void *nic);
/* Takes frames that are the stack's own (DHCP, while it waits for a lease): true. Locked. */
bool stack_sees(struct stack *s, struct span frame);

/* A stack on the C driver. VIO_*; s->err explains. */
int stack_create(struct stack *s, const struct stack_params *params) VIO_MUST_CHECK;
/* Number of packet buffers that never came back. */
unsigned stack_destroy(struct stack *s);
int stack_start(struct stack *s) VIO_MUST_CHECK;
/* Reset the device and count what is still out: 0 is right. */
unsigned stack_stop(struct stack *s);

/* Every call that touches lwIP, outside of its callbacks. */
void stack_lock(void);
void stack_unlock(void);

/*
 * Run until done says so: STACK_OK, _TIMEOUT (deadline in stack_now's terms), _STOPPED or _DEAD.
 * done is called with the lock held, and may be NULL.
 */
int stack_run(struct stack *s, bool (*done)(void *arg), void *arg, uint64_t deadline);

/* Fill in s->err and give the code back. */
int stack_fail(struct stack *s, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Wait until the link is up. */
int stack_wait_link(struct stack *s, uint64_t deadline);
/* Ask for a lease and configure the interface with it. */
int stack_dhcp(struct stack *s, uint64_t deadline, struct dhcp_lease *out);
/* Configure by hand. */
void stack_address(struct stack *s, const struct dhcp_lease *lease);

#endif
