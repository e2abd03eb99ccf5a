/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of the simulated kernel's ground: what bsd_kit.h has, and threads inside. */
#ifndef TESTS_SIM_CORE_KIT_H
#define TESTS_SIM_CORE_KIT_H

#include "tests/sim/bsd_kit.h"

#include <time.h>

#define MS 1000000ull

static inline void nap_ms(long ms)
{
	const struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, nullptr);
}

/* Switched on, and off again with something left, of which this is a part. */
static inline void leaves(void (*body)(void), const char *words)
{
	int status = child_run([=] {
		struct mac_config config = child_mac(13, RAM_SIZE);

		CHECK(mac_boot(&config) == 0);
		body();
		CHECK(mac_halt(stderr) == 1);
	});

	child_assert_worked(status, words);
	print_message("%s", strstr(child_said(), words) ? "" : child_said());
	assert_non_null(strstr(child_said(), words));
}

#endif
