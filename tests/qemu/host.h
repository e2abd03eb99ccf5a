/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Linux as the other side: a network namespace with TAPs in it, and what its stack counted.
 *
 * The process moves to a fresh namespace, once, while it has one thread; its QEMUs and sockets are
 * then all in there, beside any number of other runs. Everything in it ends with the process.
 */
#ifndef TESTS_QEMU_HOST_H
#define TESTS_QEMU_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOST_TAP "t0"
#define HOST_IP4                                                                                   \
	{                                                                                          \
		10, 77, 0, 1                                                                       \
	} /* of the TAP; the guest is .2 */
#define HOST_GUEST4                                                                                \
	{                                                                                          \
		10, 77, 0, 2                                                                       \
	}
#define HOST_IP6    "fd77::1"
#define HOST_GUEST6 "fd77::2"

/* False: not possible here, and a line that says why was printed, for skip(). Safe twice. */
bool host_enter(void);

/*
 * A TAP that is up. Its descriptor, non-blocking. Fails the test on error. vnet: with virtio
 * headers, so that offloads cross it. Closed, once QEMU has ended, it is gone.
 */
int host_tap(const char *name, bool vnet, unsigned mtu);
void host_untap(int fd);
/* Give it HOST_IP4 and HOST_IP6 with their subnets. */
void host_address(const char *name);
void host_mac(const char *name, uint8_t mac[6]);
/* Put both into one bridge: what comes in here leaves there. False: no bridges in this kernel. */
bool host_bridge(const char *a, const char *b);
void host_unbridge(void);

/* One counter, as /proc/net/snmp and netstat ("Tcp", "InErrs") or snmp6 (NULL, "Udp6...") has it.
 */
uint64_t host_count(const char *group, const char *name);
/* Received errors of any kind in IP, TCP, UDP, ICMP of both families, checksums among them. */
uint64_t host_errors(void);
/* Packets and bytes that the interface received (from the guest). */
void host_received(const char *name, uint64_t *packets, uint64_t *bytes);

#endif
