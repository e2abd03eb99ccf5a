/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio device as other kexts match it: by the property VirtioDeviceType.
 *
 * A client opens it, makes its own interrupt source on interruptProvider(), asks interruptMode()
 * after that (the family switches MSI-X on when a source is made), and hands os() and transport()
 * to its driver. It closes the device when it is told to go, at the latest in stop().
 */
#ifndef VIRTIOPCI_VIRTIODEVICE_H
#define VIRTIOPCI_VIRTIODEVICE_H

#include "guest/ports/xnu/kpi/service.h"

extern "C" {
#include "vio/device.h"
#include "vio/pci.h"
}

class VirtioDevice : public IOService
{
	OSDeclareDefaultStructors(VirtioDevice);

	const struct vio_os *_os;
	struct vio_pci *_pci;
	IOService *_interrupts;
	int _index; /* -1: none */

      public:
	/* All but the properties belongs to the provider, and lives until this is gone. */
	bool initWithDevice(OSDictionary *properties, const struct vio_os *os, struct vio_pci *pci,
			    IOService *interrupts, int index);

	const struct vio_os *os() const;
	struct vio_transport *transport() const;
	IOService *interruptProvider() const;
	int interruptIndex() const;
	enum vio_irq_mode interruptMode() const;

	bool start(IOService *provider) override;
	void stop(IOService *provider) override;
	IOReturn setPowerState(unsigned long state, IOService *whom) override;
};

/* The two states of everything here. */
extern IOPMPowerState virtio_power_states[2];
enum { VIRTIO_POWER_OFF, VIRTIO_POWER_ON };

#endif
