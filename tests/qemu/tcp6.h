/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One verified TCP transfer over IPv6: what tools/stack does for IPv4, without a protocol. The
 * server is a thread of this process with the host's own sockets; it knows what is to come.
 */
#ifndef TESTS_QEMU_TCP6_H
#define TESTS_QEMU_TCP6_H

#include "tests/qemu/full.h"

/* Give the guest an address of a /64 that the host is in too. */
void tcp6_address(struct full *g, const char *guest);
/* Fails the test unless all bytes arrive, and are right. */
void tcp6_transfer(struct full *g, const char *host, bool upload, uint64_t bytes);

#endif
