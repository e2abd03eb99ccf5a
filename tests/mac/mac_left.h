/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of a Mac whose device may have stayed alive.
 *
 * Memory that a device may still write to is never given back (H-12): if a reset does not end, the
 * rings and all buffers that were in flight stay where they are, and mac_halt() lists them. That,
 * and only then, and nothing else.
 */
#ifndef TESTS_MAC_MAC_LEFT_H
#define TESTS_MAC_MAC_LEFT_H

#include "tests/mac/mac_rig.h"

struct mac_left {
	unsigned received; /* mbufs that the driver had given to the device */
	unsigned sent;	   /* mbufs of packets that the device had not sent */
	unsigned shared;   /* pieces of memory shared with the device: rings, headers, commands */
};

/* Whether the driver has said that a reset did not end. */
bool mac_rig_device_alive(void);
/*
 * As mac_rig_close, with what is left counted. Anything else that is left fails the case; so does
 * everything, unless a reset did not end.
 */
void mac_rig_close_left(struct mac_rig *r, struct mac_left *left);

/* One frame, each time with another mark, from the device to the stack, or to the device. */
bool mac_rig_one_comes(struct mac_rig *r);
bool mac_rig_one_goes(struct mac_rig *r);
/* Whether both come to pass within ms; what else is on its way is thrown away. */
bool mac_rig_works(struct mac_rig *r, unsigned ms);

#endif
