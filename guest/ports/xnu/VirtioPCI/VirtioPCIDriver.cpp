/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a PCI function to a nub.
 *
 * Interrupts. IOPCIFamily lists the line first and messaged vectors after it; making a source on a
 * messaged one is what switches MSI-X on. Which to take (auto):
 *   up to 10.9       the line: MSI-X is not supported
 *   10.10 and 10.11  the line, unless the table has one entry: with more, vectors are told apart
 *                    by the pending-bit array, which virtio devices keep clear
 *   from 10.12       one vector for everything
 *
 * From 10.14 on Apple has drivers of its own under a transport of its own, and a function has one
 * driver: so only device types that viokit has a driver for are taken then (vio_types), or the disk
 * the system starts from would be gone.
 *
 * Life. Memory of the device (os, transport, maps) is kept until free(): the client's stop() comes
 * before ours, but nothing says that before its last release.
 */
#include "guest/ports/xnu/VirtioPCI/VirtioPCIDriver.h"

#include "guest/ports/xnu/kpi/collections.h"

OSDefineMetaClassAndStructors(VirtioPCIDriver, IOService)

#define DARWIN_10_10 14
#define DARWIN_10_12 16
#define DARWIN_10_14 18
#define ID_MODERN    0x1040u

	/* Whether the personality lists a device type under vio_types. */
	bool VirtioPCIDriver::takenOver(unsigned type)
{
	OSArray *types = OSDynamicCast(OSArray, getProperty("vio_types"));

	for (unsigned i = 0; types && i < types->getCount(); i++) {
		OSNumber *number = OSDynamicCast(OSNumber, types->getObject(i));

		if (number && number->unsigned32BitValue() == type)
			return true;
	}
	return false;
}

IOService *VirtioPCIDriver::probe(IOService *provider, SInt32 *score)
{
	IOPCIDevice *device = OSDynamicCast(IOPCIDevice, provider);
	unsigned id, type;

	if (!device || !IOService::probe(provider, score))
		return nullptr;
	id = device->configRead16(kIOPCIConfigDeviceID);
	/* A transitional function has revision 0 (4.1.2.3); its type is in the subsystem id. */
	if (id < ID_MODERN && device->configRead8(kIOPCIConfigRevisionID) != 0)
		return nullptr;
	type = id < ID_MODERN ? device->configRead16(kIOPCIConfigSubSystemID) : id - ID_MODERN;
	return version_major < DARWIN_10_14 || takenOver(type) ? this : nullptr;
}

/*
 * Each of these reads the command word and writes it back, and the family changes it too, when an
 * interrupt is registered: so not without need.
 */
void VirtioPCIDriver::decode()
{
	const UInt16 want =
		kIOPCICommandIOSpace | kIOPCICommandMemorySpace | kIOPCICommandBusMaster;

	if ((_device->configRead16(kIOPCIConfigCommand) & want) == want)
		return;
	/* They answer what was before, not whether it worked. Firmware may have left them off. */
	_device->setMemoryEnable(true);
	_device->setIOEnable(true);
	_device->setBusMasterEnable(true);
}

int VirtioPCIDriver::interruptIndex()
{
	char want[8] = "auto";
	int line = -1, message = -1, type = 0;
	bool prefer;

	for (int i = 0; i < 64 && _device->getInterruptType(i, &type) == kIOReturnSuccess; i++) {
		int *found = (type & kIOInterruptTypePCIMessaged) ? &message : &line;

		if (*found < 0)
			*found = i;
	}
	os_xnu_string(this, "vio_irq", want, sizeof(want));
	if (!strcmp(want, "intx"))
		prefer = false;
	else if (!strcmp(want, "msix"))
		prefer = true;
	else if (version_major >= DARWIN_10_12)
		prefer = true;
	else
		prefer = version_major >= DARWIN_10_10 && _pci.msix_entries == 1;
	if (message >= 0 && (prefer || line < 0))
		return message;
	return line;
}

bool VirtioPCIDriver::publish()
{
	static const char *const forwarded[] = {"built-in", "location"};
	OSDictionary *properties = OSDictionary::withCapacity(4);
	int index = interruptIndex();
	bool ok;

	_nub = new VirtioDevice;
	ok = _nub && properties && _nub->initWithDevice(properties, &_os.os, &_pci, _device, index);
	if (properties)
		properties->release();
	if (!ok)
		return false;
	_nub->setName("VirtioDevice");
	_nub->setProperty("VirtioDeviceType", _pci.device_type, 32);
	_nub->setProperty("VirtioFeaturesOffered", _pci.t.ops->features_read(&_pci.t), 64);
	_nub->setProperty("VirtioTransport", _pci.t.ops->name);
	_nub->setProperty("VirtioInterruptIndex", static_cast<unsigned long long>(index), 32);
	/*
	 * The network family reads these from the controller's provider: without built-in an
	 * interface is never the primary one, nor one that a debugger takes by itself.
	 */
	for (unsigned i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++) {
		OSObject *value = _device->copyProperty(forwarded[i]);

		if (value) {
			_nub->setProperty(forwarded[i], value);
			value->release();
		}
	}
	if (!_nub->attach(this))
		return false;
	if (!_nub->start(this)) {
		_nub->detach(this);
		return false;
	}
	_nub->registerService();
	return true;
}

bool VirtioPCIDriver::start(IOService *provider)
{
	UInt32 level = VIO_LOG_INFO;
	int err;

	if (!IOService::start(provider))
		return false;
	os_xnu_number(this, "vio_log", &level);
	if (!os_xnu_init(&_os, static_cast<int>(level)))
		goto fail;
	_device = OSDynamicCast(IOPCIDevice, provider);
	if (!_device || !_device->open(this)) {
		_device = nullptr;
		goto fail;
	}
	pci_xnu_init(&_bus, _device);
	decode();
	err = vio_pci_open(&_pci, &pci_xnu_ops, &_bus, &_os.os, VIO_PCI_AUTO);
	if (err != VIO_OK) {
		IOLog("viokit: %s: not usable: %s (%d)\n", provider->getName(),
		      _pci.t.why ? _pci.t.why : "no virtio device", err);
		goto fail;
	}
	_transport = true;
	PMinit();
	provider->joinPMtree(this);
	registerPowerDriver(this, virtio_power_states, 2);
	changePowerStateToPriv(VIRTIO_POWER_ON);
	if (publish())
		return true;
	PMstop();
fail:
	closeDevice();
	IOService::stop(provider);
	return false;
}

void VirtioPCIDriver::closeDevice()
{
	IOPCIDevice *device = _device;

	_device = nullptr;
	if (device)
		device->close(this);
}

/* stop() never comes while we keep the provider open. */
bool VirtioPCIDriver::didTerminate(IOService *provider, IOOptionBits options, bool *defer)
{
	closeDevice();
	return IOService::didTerminate(provider, options, defer);
}

void VirtioPCIDriver::stop(IOService *provider)
{
	PMstop();
	closeDevice();
	IOService::stop(provider);
}

void VirtioPCIDriver::free()
{
	if (_nub)
		_nub->release();
	if (_transport)
		vio_pci_close(&_pci);
	pci_xnu_free(&_bus);
	os_xnu_free(&_os);
	IOService::free();
}

/* The family has restored configuration space by now; decoding is made sure of. */
IOReturn VirtioPCIDriver::setPowerState(unsigned long state, IOService *)
{
	if (state == VIRTIO_POWER_ON && _device)
		decode();
	return kIOPMAckImplied;
}
