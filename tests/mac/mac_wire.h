/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The other end of a QEMU NIC's wire, in this process: a pair of datagram sockets, one half of
 * which is QEMU's netdev. Frames are as on a wire.
 */
#ifndef TESTS_MAC_MAC_WIRE_H
#define TESTS_MAC_MAC_WIRE_H

#include "tests/mac/mac_rig.h"

struct mac_wire {
	int fd;	     /* ours */
	int qemu_fd; /* for mac_rig_opts.fds */
	char netdev[64];
};

/* Before mac_rig_open, which is to be given netdev and qemu_fd. */
void mac_wire_open(struct mac_wire *w);
void mac_wire_close(struct mac_wire *w);
void mac_wire_send(struct mac_wire *w, const void *frame, size_t len);
/* The oldest frame from the Mac, waiting up to ms; its length, 0: none. */
size_t mac_wire_receive(struct mac_wire *w, uint8_t *frame, size_t max, unsigned ms);
/*
 * As mac_rig_exchange, over the wire: n frames each way, one after another, each of which must
 * arrive within ms.
 */
void mac_wire_exchange(struct mac_wire *w, struct mac_rig *r, unsigned nic, unsigned n,
		       unsigned ms);

#endif
