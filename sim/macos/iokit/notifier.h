/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What addNotification() and registerInterest() return. remove() takes the caller's reference too,
 * and waits until the handler runs on no other thread.
 */
#ifndef SIM_MACOS_IOKIT_NOTIFIER_H
#define SIM_MACOS_IOKIT_NOTIFIER_H

#include "guest/ports/xnu/kpi/service.h"

class IONotifier : public OSObject
{
	OSDeclareAbstractStructors(IONotifier);

public:
	/* Slots, in order. */
	virtual void remove() = 0;
	virtual bool disable() = 0; /* whether it was enabled */
	virtual void enable(bool was) = 0;
};

#endif
