/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Linux's own TCP/IP on an interface of the simulated Mac, in the place of the kernel's.
 *
 * A TAP in a network namespace of its own stands for the interface: same address, same MTU. What
 * Linux sends into it goes out through the interface; Linux leaves to the TAP what the interface
 * says it does, so packets to be cut up and sums to be made are asked of the driver as macOS would.
 *
 * What the interface receives goes into the TAP. A sum that the driver vouches for is handed over
 * as one that Linux need not verify; all others it verifies itself. A packet that the device joined
 * from several goes as it is, without the size they had: a Mac is not told it either.
 */
#ifndef STACK_TAP_MAC_H
#define STACK_TAP_MAC_H

#include "sim/macos/mac.h"

#define TAP_MAC_NAME "en0"

struct tap_mac;

struct tap_mac_stats {
	uint64_t tx_packets; /* to the interface */
	uint64_t tx_tso;     /* of those, to be cut up */
	uint64_t tx_csum;    /* with a sum to be made */
	uint64_t tx_refused; /* not taken: down, no mbufs */
	uint64_t rx_packets; /* from the interface */
	uint64_t rx_good;    /* of those, sum vouched for */
	uint64_t rx_large;   /* longer than the MTU allows */
	uint64_t rx_dropped; /* not taken by Linux */
};

/*
 * Moves the calling thread into the new namespace: sockets it makes afterwards are on the Mac's
 * side. IPv4 only. The interface should be up. 0, or a negative errno and why in err.
 */
int tap_mac_open(struct tap_mac **out, struct mac_if *ifp, const uint8_t address[4],
		 const uint8_t mask[4], char *err, size_t err_len);
void tap_mac_stats(struct tap_mac *t, struct tap_mac_stats *out);
/* While the interface is still there. NULL is allowed. */
void tap_mac_close(struct tap_mac *t);

#endif
