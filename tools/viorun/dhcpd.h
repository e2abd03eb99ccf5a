/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A DHCP server for the one guest on the TAP: a thread with a socket, always the same lease.
 */
#ifndef VIORUN_DHCPD_H
#define VIORUN_DHCPD_H

#include <stdint.h>

struct dhcpd;

/* In the TAP's namespace. 0, or an errno. */
int dhcpd_start(struct dhcpd **out, const char *interface, const uint8_t host[4],
		const uint8_t guest[4], const uint8_t mask[4]);
/* NULL is allowed. */
void dhcpd_stop(struct dhcpd *d);

#endif
