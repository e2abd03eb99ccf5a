/* SPDX-License-Identifier: BSD-2-Clause */
/* The kext that another depends on: a nub, and a function that only its dependants call. */
#include "tests/kextcheck/bus.h"

#include "guest/ports/xnu/kpi/kmod.h"

OSDefineMetaClassAndStructors(CheckNub, IOService);

int CheckNub::answer()
{
	return 42;
}

bool CheckNub::start(IOService *provider)
{
	return IOService::start(provider);
}

extern "C" int check_bus_sum(const int *values, int count)
{
	int sum = 0;

	for (int i = 0; i < count; i++)
		sum += values[i];
	return sum;
}

KPI_KMOD("org.viokit.CheckBus", "1.2.3")
