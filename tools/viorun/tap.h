/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A network of two: a TAP that Linux holds one end of, in a network namespace of its own.
 *
 * Unlike QEMU's user network a TAP carries the virtio header, so that checksums and segmentation
 * are left to the device and to Linux, both ways. The namespace keeps it all away from the host's
 * own network; it is gone when the process ends.
 */
#ifndef VIORUN_TAP_H
#define VIORUN_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAP_NAME "viotap0"
#define TAP_HOST                                                                                   \
	{                                                                                          \
		10, 77, 0, 1                                                                       \
	}
#define TAP_GUEST                                                                                  \
	{                                                                                          \
		10, 77, 0, 2                                                                       \
	}
#define TAP_MASK                                                                                   \
	{                                                                                          \
		255, 255, 255, 0                                                                   \
	}

/*
 * Would tap_open work here? It is tried in a child, since there is no way back out of a namespace.
 * False: err says why not.
 */
bool tap_possible(char *err, size_t err_len);

/*
 * Move this process (one thread so far) to a fresh namespace and make the TAP there. Its
 * descriptor, or -1 and err says what was wrong.
 */
int tap_open(char *err, size_t err_len);

#endif
