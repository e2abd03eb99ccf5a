/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An lwIP interface on an interface of the simulated Mac: lwIP in the place of the kernel's TCP/IP.
 *
 * Transmit. What the kernel's stack would leave to the card is left to it: where the interface has
 * checksum assist, the field holds the pseudo header's sum and the packet asks for it; where it
 * has TSO, tso.h joins what lwIP cut. Data is copied once, into mbufs.
 *
 * Receive. The stack's loop takes packets itself (mac_if_wait) and is, while it has nothing to do,
 * the processor that the card interrupts. They are not copied: each mbuf of a packet becomes a
 * custom pbuf that refers to it. lwIP verifies checksums itself, always; those of packets that the
 * driver vouches for are written first, as the field may be unfinished (the other side left it to
 * its card).
 *
 * All of it but taking packets from the Mac runs under lwIP's core lock.
 */
#ifndef STACK_NETIF_MAC_H
#define STACK_NETIF_MAC_H

#include "sim/macos/mac.h"
#include "tools/stack/stack.h"

struct netif_mac;

struct netif_mac_params {
	struct mac_if *ifp;
	struct mac_pci *pci; /* its card; 0: others see to its interrupts */
	struct stack *stack;
	bool no_tso;
	struct pcap *pcap;					    /* NULL: none */
	void (*event)(void *arg, const struct mac_if_state *state); /* link changes; may be NULL */
	void *arg;
};

struct netif_mac_stats {
	uint64_t tx_frames;  /* as lwIP sent them */
	uint64_t tx_packets; /* as the interface got them */
	uint64_t tx_joined;  /* frames that became part of another's packet */
	uint64_t tx_tso;     /* packets to be cut up */
	uint64_t tx_csum;    /* packets whose checksum was asked for */
	uint64_t tx_dropped; /* not taken by the interface */
	uint64_t rx_packets; /* to lwIP */
	uint64_t rx_large;   /* of those, longer than the MTU allows */
	uint64_t rx_good;    /* packets with checksums that the driver vouched for */
	uint64_t rx_dropped; /* the queue was full, or the packet in too many parts */
};

/*
 * Makes `stack` with this card (stack_create_on); stack_destroy takes it down again. params->stack
 * is where. VIO_OK, VIO_ENOMEM.
 */
int netif_mac_create(struct netif_mac **out, const struct netif_mac_params *params,
		     const struct stack_params *stack) VIO_MUST_CHECK;
const struct netif_mac_stats *netif_mac_stats(const struct netif_mac *nm);

#endif
