/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The root of the bus: what the nubs of functions hang from. It has a friend's access to them.
 */
#ifndef SIM_MACOS_PCI_BRIDGE_H
#define SIM_MACOS_PCI_BRIDGE_H

#include "sim/macos/pci/function.h"

struct IOPCIDeviceExpansionData {
	struct mac_pci *pci;
	UInt32 saved[PCI_HEADER_LEN / 4]; /* as at publishing, then as at the last power off */
	bool off;			  /* powered */
};

class IOPCIBridge : public IOService
{
	OSDeclareDefaultStructors(IOPCIBridge);

public:
	/* A nub with its properties, not attached yet. */
	static IOPCIDevice *makeNub(struct mac_pci *pci);
	static IOPCIDeviceExpansionData *data(const IOPCIDevice *nub)
	{
		return nub->reserved;
	}
};

/* getResources(): device memory and interrupts. */
IOReturn pci_make_resources(IOPCIDevice *nub);

#define PCI_POWER_OFF	 0
#define PCI_POWER_DOZE	 1
#define PCI_POWER_ON	 2
#define PCI_POWER_PAUSED 3
#define PCI_POWER_STATES 4

/* Configuration space to nub->savedConfig and back. */
void pci_config_save(IOPCIDevice *nub);
void pci_config_restore(IOPCIDevice *nub);

#endif
