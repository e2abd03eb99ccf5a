/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For tests of the simulated kernel's loops and power: those parts of it alone, for the release
 * that a test is about.
 */
#ifndef TESTS_SIM_LOOP_KIT_H
#define TESTS_SIM_LOOP_KIT_H

#include "tests/sim/child.h"

#include "guest/ports/xnu/kpi/workloop.h"
#include "sim/macos/iokit/catalogue.h"
#include "sim/macos/loop/loop.h"
#include "sim/macos/loop/power.h"

static inline void on_and_off(int release, void (*body)())
{
	sim_config.release = release;
	sim_config.boot_args = "";
	sim_config.seed = static_cast<unsigned>(release);
	sim_attempt_refusals = 0;
	sim_enter("the test");
	sim_power_boot();
	sim_iokit_boot();
	body();
	sim_iokit_halt();
	sim_power_halt();
	sim_exit();
	CHECK(child_wait([] { return sim_threads() == 0; }));
}

/* message: what a violation says, or 0 for none. */
static inline void run(int release, void (*body)(), const char *message)
{
	child_body child = [=] { on_and_off(release, body); };

	if (message)
		child_violates(child, message, child_release(release));
	else
		child_works(child, child_release(release));
}

static inline bool wait_for(volatile int *what, int value)
{
	return child_wait([=] { return __atomic_load_n(what, __ATOMIC_SEQ_CST) == value; });
}

#endif
