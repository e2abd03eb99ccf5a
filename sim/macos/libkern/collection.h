/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the collections share.
 */
#ifndef SIM_MACOS_LIBKERN_COLLECTION_H
#define SIM_MACOS_LIBKERN_COLLECTION_H

#include "guest/ports/xnu/kpi/collections.h"

/* While copying: the copy that was made of a collection (retained, or 0), and here is one. */
OSCollection *sim_copy_made(const OSDictionary *made, const OSCollection *of);
bool sim_copy_remember(OSDictionary *made, const OSCollection *of, OSCollection *copy);

/* n rounded up to a multiple; 0: too large. */
unsigned sim_round_up(unsigned n, unsigned to);

#endif
