/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IOKDP: the family's own driver for an IOKernelDebugger. It chooses which controller the kernel's
 * debugger gets, and keeps it open.
 */
#ifndef SIM_MACOS_NET_KDPNUB_H
#define SIM_MACOS_NET_KDPNUB_H

#include "guest/ports/xnu/kpi/service.h"

class IOKDP : public IOService
{
	OSDeclareDefaultStructors(IOKDP);

public:
	IOService *probe(IOService *provider, SInt32 *score) override;
	bool start(IOService *provider) override;
	void stop(IOService *provider) override;
	IOReturn message(UInt32 type, IOService *provider, void *argument) override;
};

#endif
