/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the loop of stack.h needs of a network card: one table per kind of card, `nic` is its state.
 *
 *   nic_vio.c     the C driver, in this thread's hands
 *   netif_mac.c   an interface of the simulated Mac, with a driver and threads of its own
 */
#ifndef STACK_NIC_H
#define STACK_NIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct netif;

struct stack_nic_ops {
	/* With lwIP's lock held. */

	int (*start)(void *nic);	/* VIO_* */
	unsigned (*stop)(void *nic);	/* packet buffers that are still out: 0 is right */
	unsigned (*destroy)(void *nic); /* those that never came back */
	/* Take what came in, push what is to go out. True: there is more to do at once. */
	bool (*turn)(void *nic);
	/* Bring a broken device back. VIO_OK also when nothing broke. */
	int (*mend)(void *nic);
	void (*tick)(void *nic, uint64_t now);
	/* One frame that is not lwIP's. False: no room. */
	bool (*send)(void *nic, const void *frame, size_t len);
	bool (*link_up)(void *nic);
	uint64_t (*received)(const void *nic); /* packets so far */
	const uint8_t *(*mac)(const void *nic);
	struct netif *(*netif)(void *nic);
	const char *(*why)(void *nic); /* the last failure in words, or NULL */

	/* Without it. */

	void (*poll)(void *nic); /* before each turn */
	/* Nothing to do: sleep until there may be, at most timeout_us. */
	void (*wait)(void *nic, uint32_t timeout_us);
};

#endif
