/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time, in nanoseconds of the monotonic clock: on Intel the kernel's own unit is a nanosecond too.
 */
#include <errno.h>
#include <time.h>

#include "guest/ports/xnu/kpi/kernel.h"
#include "sim/macos/sim.h"

#define DELAY_MAX_US 100000u /* a processor that spins for longer has hung */

uint64_t sim_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return static_cast<uint64_t>(ts.tv_sec) * 1000000000u + static_cast<uint64_t>(ts.tv_nsec);
}

extern "C" void IODelay(unsigned microseconds)
{
	uint64_t end = sim_now_ns() + microseconds * 1000ULL;

	if (microseconds > DELAY_MAX_US)
		sim_violation("IODelay of %u us: nothing else can run that long", microseconds);
	/* Other processors go on while one spins; here they may need this very one. */
	while (sim_now_ns() < end) {
		const struct timespec nap = {0, 20000};

		if (end - sim_now_ns() > 40000)
			nanosleep(&nap, nullptr);
		else
			__builtin_ia32_pause();
	}
}

extern "C" void IOSleep(unsigned milliseconds)
{
	struct timespec left = {milliseconds / 1000, (milliseconds % 1000) * 1000000L};

	sim_may_block("IOSleep");
	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		continue;
}

extern "C" UInt64 mach_absolute_time(void)
{
	return sim_now_ns();
}

extern "C" void clock_get_uptime(UInt64 *now)
{
	*now = sim_now_ns();
}

extern "C" void absolutetime_to_nanoseconds(UInt64 time, UInt64 *ns)
{
	*ns = time;
}

extern "C" void nanoseconds_to_absolutetime(UInt64 ns, UInt64 *time)
{
	*time = ns;
}

extern "C" void clock_interval_to_deadline(uint32_t interval, uint32_t scale, UInt64 *deadline)
{
	*deadline = sim_now_ns() + static_cast<UInt64>(interval) * scale;
}

extern "C" void clock_delay_until(UInt64 deadline)
{
	UInt64 now = sim_now_ns();

	if (deadline > now)
		IODelay(static_cast<unsigned>((deadline - now) / 1000));
}
