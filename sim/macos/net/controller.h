/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What IONetworkController keeps beside its declared members; for the files that implement it.
 */
#ifndef SIM_MACOS_NET_CONTROLLER_H
#define SIM_MACOS_NET_CONTROLLER_H

#include "sim/macos/net/net.h"

struct sim_cpu;

struct IONetworkController::ExpansionData {
	struct sim_cpu *lock_owner; /* the thread that has the debugger lock */
};

#endif
