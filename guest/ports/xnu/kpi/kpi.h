/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All of it, for the checks. A kext includes what it uses.
 */
#ifndef KPI_KPI_H
#define KPI_KPI_H

#include "types.h"
#include "libc.h"
#include "kernel.h"
#include "kmod.h"
#include "runtime.h"
#include "collections.h"
#include "registry.h"
#include "pm.h"
#include "service.h"
#include "workloop.h"
#include "memory.h"
#include "dma.h"
#include "pci.h"
#include "mbuf.h"
#include "netdata.h"
#include "netqueue.h"
#include "netcontroller.h"
#include "netinterface.h"
#include "debugger.h"

#endif
