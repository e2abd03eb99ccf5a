/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_KEXTCHECK_BUS_H
#define TESTS_KEXTCHECK_BUS_H

#include "guest/ports/xnu/kpi/service.h"

class CheckNub : public IOService
{
	OSDeclareDefaultStructors(CheckNub);

      public:
	bool start(IOService *provider) override;
	virtual int answer();
};

extern "C" int check_bus_sum(const int *values, int count);

#endif
