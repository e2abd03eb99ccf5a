/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lwIP on the Mac's interface, and a server on the other side of QEMU's card: through QEMU's user
 * network, or over a TAP in a network namespace of the case's own (checksums and segmentation are
 * then left to the device, both ways).
 *
 * All of it belongs to the thread that opened it, but what the trouble of a transfer does.
 */
#ifndef TESTS_MAC_MAC_STACK_H
#define TESTS_MAC_MAC_STACK_H

#include <pthread.h>

#include "tests/mac/mac_rig.h"
#include "tools/stack/netif_mac.h"
#include "tools/stack/server.h"
#include "tools/stack/transfer.h"

struct mac_stack_opts {
	struct mac_rig_opts rig; /* netdev and fds are filled in */
	bool tap;
	bool no_lwip;
	unsigned mib;	     /* of each transfer of mac_stack_both_ways() */
	const char *forward; /* more for QEMU's user network: ",hostfwd=..." */
};

struct dhcpd;

struct mac_stack {
	struct mac_stack_opts o;
	struct mac_rig rig;
	struct stack stack;
	struct netif_mac *nm;
	struct dhcp_lease lease;
	struct server *server;
	struct dhcpd *dhcpd;
	int tap;
	char netdev[128];
	uint8_t peer[4];
	uint64_t seed;

	/* Of the transfer that runs. */
	uint64_t bytes; /* so far; atomic */
	bool over;	/* atomic */
};

/* VIOKIT_SOAK is set: everything in full. */
bool mac_stack_soak(void);
/* This program was built with sanitizers, and is many times slower. */
bool mac_stack_sanitized(void);
/*
 * Whether a case may have namespaces and TAPs. False: a line that says why not was printed, for
 * skip(). In the parent.
 */
bool mac_stack_can_tap(void);

/* The rig, up, with an address by DHCP. */
void mac_stack_open(struct mac_stack *s, const struct mac_stack_opts *o);
/* The same on the kexts as they have been loaded anew. */
void mac_stack_start(struct mac_stack *s);
/* lwIP off, nothing held by it. */
void mac_stack_stop(struct mac_stack *s);
/* Take lwIP down if it is up, and all the rest. */
void mac_stack_close(struct mac_stack *s);

/* Ping `size` bytes and back. */
void mac_stack_ping(struct mac_stack *s, unsigned size);
/* One verified transfer. */
void mac_stack_transfer(struct mac_stack *s, bool upload, uint64_t bytes);
/* Down and up, o.mib each. */
void mac_stack_both_ways(struct mac_stack *s);
/*
 * A verified transfer, while `trouble` runs in a thread beside it. The transfer is made again and
 * again until the trouble is over, each one to its end. Its number.
 */
unsigned mac_stack_with_trouble(struct mac_stack *s, bool upload, uint64_t bytes,
				void (*trouble)(struct mac_stack *s));
/*
 * A transfer that `trouble` ends, by taking the interface away. lwIP is down afterwards:
 * mac_stack_start().
 */
void mac_stack_broken(struct mac_stack *s, bool upload, void (*trouble)(struct mac_stack *s));
/* For the trouble: wait until the transfer has gone on by so much. False: not within ms. */
bool mac_stack_progress(struct mac_stack *s, uint64_t bytes, unsigned ms);

/* A number out of the registry of the controller's, or of its counters. */
uint64_t mac_stack_number(const char *key);
uint64_t mac_stack_counter(const char *name);

#endif
