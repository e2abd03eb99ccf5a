/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VIRTIOPCI_VIRTIOPCIDRIVER_H
#define VIRTIOPCI_VIRTIOPCIDRIVER_H

#include "guest/ports/xnu/VirtioPCI/VirtioDevice.h"
#include "guest/ports/xnu/port/os_xnu.h"
#include "guest/ports/xnu/port/pci_xnu.h"

/* One virtio function on the PCI bus; publishes one VirtioDevice. */
class VirtioPCIDriver : public IOService
{
	OSDeclareDefaultStructors(VirtioPCIDriver);

	IOPCIDevice *_device; /* open while not 0 */
	struct os_xnu _os;
	struct pci_xnu _bus;
	struct vio_pci _pci;
	bool _transport; /* _pci is open */
	VirtioDevice *_nub;

	bool takenOver(unsigned type);
	int interruptIndex();
	void decode();
	bool publish();
	void closeDevice();

      public:
	IOService *probe(IOService *provider, SInt32 *score) override;
	bool start(IOService *provider) override;
	bool didTerminate(IOService *provider, IOOptionBits options, bool *defer) override;
	void stop(IOService *provider) override;
	void free() override;
	IOReturn setPowerState(unsigned long state, IOService *whom) override;
};

#endif
