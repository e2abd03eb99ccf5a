/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel as the core's operating system (vio/os.h), and the options a user can set.
 */
#ifndef PORT_OS_XNU_H
#define PORT_OS_XNU_H

#include "guest/ports/xnu/kpi/kernel.h"
#include "guest/ports/xnu/kpi/service.h"

extern "C" {
#include "vio/os.h"
}

struct os_xnu {
	IOSimpleLock *lock;
	boolean_t interrupts; /* as they were before the lock was taken */
	int level;	      /* log up to this (enum vio_log_level) */
	struct vio_os os;
};

bool os_xnu_init(struct os_xnu *x, int level);
void os_xnu_free(struct os_xnu *x);

/*
 * An option: the boot-arg of that name, else the property of the service (from the personality in
 * Info.plist), else what was in there before.
 */
void os_xnu_number(IOService *service, const char *name, UInt32 *value);
void os_xnu_string(IOService *service, const char *name, char *value, int size);

#endif
