/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A wire between two TAPs: a thread that carries frames both ways.
 *
 * Linux does not look at the checksum of a packet that came with a virtio header and is to be
 * finished: it trusts that side. So for a receiver that judges, the TAP of the guest is bridged to
 * a TAP that can do nothing, where Linux cuts and finishes as the header says; what leaves there is
 * carried to a third TAP, and enters Linux's stack again as a frame nobody vouches for.
 */
#ifndef TESTS_QEMU_RELAY_H
#define TESTS_QEMU_RELAY_H

#include <pthread.h>
#include <stdint.h>

struct relay {
	int ends[2]; /* non-blocking; not owned */
	int stop[2];
	pthread_t thread;
	uint64_t frames[2]; /* from each end; read after relay_stop */
};

void relay_start(struct relay *r, int a, int b);
void relay_stop(struct relay *r);

#endif
