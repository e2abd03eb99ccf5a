/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * On and off: the parts in the order in which each needs those before it.
 */
#include <errno.h>
#include <time.h>

#include "sim/macos/bsd/bsd.h"
#include "sim/macos/core/core.h"
#include "sim/macos/iokit/catalogue.h"
#include "sim/macos/kdp/kdp.h"
#include "sim/macos/kext/kext.h"
#include "sim/macos/libkern/runtime_sim.h"
#include "sim/macos/loop/power.h"
#include "sim/macos/mac.h"
#include "sim/macos/net/net.h"
#include "sim/macos/pci/pci.h"
#include "sim/macos/sim.h"

#define RELEASE_FIRST 6
#define RELEASE_LAST  15
#define THREADS_END_S 20

struct sim_config sim_config;

void sim_version_set(int release);

int mac_boot(const struct mac_config *config)
{
	static bool booted;

	if (booted)
		return -EALREADY;
	if (config->release < RELEASE_FIRST || config->release > RELEASE_LAST)
		return -EINVAL;
	booted = true;
	sim_config.release = config->release;
	sim_config.boot_args = config->boot_args ? config->boot_args : "";
	sim_config.seed = config->seed;
	sim_config.quiet = config->quiet;
	sim_config.ram = config->ram;
	sim_log_hook = config->log;
	sim_version_set(config->release);
	sim_enter("the booting thread");
	sim_memory_boot();
	sim_power_boot();
	sim_iokit_boot();
	sim_pci_boot();
	sim_bsd_boot();
	sim_net_boot();
	sim_kdp_boot();
	sim_kext_boot();
	sim_exit();
	return 0;
}

static void wait_for_threads()
{
	uint64_t end = sim_now_ns() + THREADS_END_S * 1000000000ULL;

	while (sim_threads()) {
		const struct timespec nap = {0, 500000};

		if (sim_now_ns() > end) {
			sim_leak("%u kernel threads that do not end", sim_threads());
			return;
		}
		nanosleep(&nap, nullptr);
	}
}

unsigned mac_halt(FILE *out)
{
	unsigned leaks;

	sim_leaks_to(out);
	if (!mac_quiet(THREADS_END_S * 1000))
		sim_leak("matching or termination that does not come to an end");
	sim_enter("the halting thread");
	sim_kext_halt();
	sim_kdp_halt();
	sim_net_halt();
	sim_bsd_halt();
	sim_pci_halt();
	sim_iokit_halt();
	sim_power_halt();
	sim_thread_call_halt();
	sim_exit();
	wait_for_threads();
	leaks = sim_alive_from_kexts(out) + sim_objects_alive(out);
	sim_memory_halt();
	return leaks + sim_leaks();
}
