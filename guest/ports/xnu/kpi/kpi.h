/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All of it, for the checks. A kext includes what it uses.
 */
#ifndef KPI_KPI_H
#define KPI_KPI_H

#include "kpi/types.h"
#include "kpi/libc.h"
#include "kpi/kernel.h"
#include "kpi/kmod.h"
#include "kpi/runtime.h"
#include "kpi/collections.h"
#include "kpi/registry.h"
#include "kpi/pm.h"
#include "kpi/service.h"
#include "kpi/workloop.h"
#include "kpi/memory.h"
#include "kpi/dma.h"
#include "kpi/pci.h"
#include "kpi/mbuf.h"
#include "kpi/netdata.h"
#include "kpi/netqueue.h"
#include "kpi/netcontroller.h"
#include "kpi/netinterface.h"
#include "kpi/debugger.h"

#endif
