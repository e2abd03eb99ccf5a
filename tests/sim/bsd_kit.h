/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of interfaces and network buffers. */
#ifndef TESTS_SIM_BSD_KIT_H
#define TESTS_SIM_BSD_KIT_H

#include "tests/sim/child.h"

#include "guest/ports/xnu/kpi/netinterface.h"
#include "sim/macos/bsd/bsd.h"
#include "sim/macos/bsd/mbuf.h"

static inline unsigned count(mbuf_t m)
{
	unsigned n = 0;

	for (; m; m = mbuf_next(m))
		n++;
	return n;
}

#endif
