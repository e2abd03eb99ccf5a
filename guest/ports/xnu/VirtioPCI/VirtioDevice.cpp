/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The nub takes its place in the power tree between the PCI driver and its client, with a state
 * table of its own: a node without one would tell its children nothing.
 */
#include "guest/ports/xnu/VirtioPCI/VirtioDevice.h"

#include "guest/ports/xnu/kpi/collections.h"

OSDefineMetaClassAndStructors(VirtioDevice, IOService)

	IOPMPowerState virtio_power_states[2] = {
		{kIOPMPowerStateVersion1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		{kIOPMPowerStateVersion1, kIOPMDeviceUsable, kIOPMPowerOn, kIOPMPowerOn, 0, 0, 0, 0,
		 0, 0, 0, 0},
};

bool VirtioDevice::initWithDevice(OSDictionary *properties, const struct vio_os *os,
				  struct vio_pci *pci, IOService *interrupts, int index)
{
	if (!IOService::init(properties))
		return false;
	_os = os;
	_pci = pci;
	_interrupts = interrupts;
	_index = index;
	return true;
}

const struct vio_os *VirtioDevice::os() const
{
	return _os;
}

struct vio_transport *VirtioDevice::transport() const
{
	return &_pci->t;
}

IOService *VirtioDevice::interruptProvider() const
{
	return _interrupts;
}

int VirtioDevice::interruptIndex() const
{
	return _index;
}

/*
 * One vector for everything, if MSI-X is on: one source is all that a device gets before 10.13, and
 * from 10.12 on it is called whatever the vector. A plain MSI, should a hypervisor offer that,
 * works as the line does: ISR says what happened.
 */
enum vio_irq_mode VirtioDevice::interruptMode() const
{
	if (_index < 0)
		return VIO_IRQ_NONE;
	return vio_pci_msix_on(_pci) ? VIO_IRQ_MSIX_ONE : VIO_IRQ_INTX;
}

bool VirtioDevice::start(IOService *provider)
{
	if (!IOService::start(provider))
		return false;
	PMinit();
	provider->joinPMtree(this);
	registerPowerDriver(this, virtio_power_states, 2);
	changePowerStateToPriv(VIRTIO_POWER_ON); /* also while there is no client */
	return true;
}

void VirtioDevice::stop(IOService *provider)
{
	PMstop();
	IOService::stop(provider);
}

IOReturn VirtioDevice::setPowerState(unsigned long, IOService *)
{
	return kIOPMAckImplied;
}
