/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames without end, while a test does other things: threads that send through the interface,
 * and, on the model, to it. Nobody looks at what arrives; what the driver makes of it while it
 * comes and goes is the point.
 */
#ifndef TESTS_MAC_MAC_NOISE_H
#define TESTS_MAC_MAC_NOISE_H

#include <pthread.h>

#include "tests/mac/mac_rig.h"

struct mac_noise {
	struct mac_rig *rig;
	struct mac_if *ifp;		/* atomic */
	bool stop;			/* atomic */
	uint64_t sent, received, taken; /* atomic; taken: came out of the device */
	bool model;
	pthread_t out, in;
};

/* On en0, up or not. */
void mac_noise_start(struct mac_noise *n, struct mac_rig *r);
/* en0 is another one now. */
void mac_noise_moved(struct mac_noise *n);
/* Wait until so many more frames went out (and came in, on the model). */
void mac_noise_wait(struct mac_noise *n, unsigned frames);
void mac_noise_stop(struct mac_noise *n);

#endif
