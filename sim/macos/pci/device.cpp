/* SPDX-License-Identifier: BSD-2-Clause */
/* IOPCIDevice: life, matching, device memory, power. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "guest/ports/xnu/kpi/collections.h"
#include "sim/macos/pci/bridge.h"
#include "sim/macos/pci/irq.h"
#include "sim/macos/pci/memory.h"

OSDefineMetaClassAndStructors(IOPCIDevice, IOService)
KPI_DEFINE_PADS(IOPCIDevice, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)

/* [XNU-PCI-12] In the power tree from attach() on, and on also without a driver. */
static IOPMPowerState power_states[PCI_POWER_STATES] = {
	{kIOPMPowerStateVersion1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
	{kIOPMPowerStateVersion1, 0, kIOPMLowPower, kIOPMLowPower, 0, 0, 0, 0, 0, 0, 0, 0},
	{kIOPMPowerStateVersion1, kIOPMDeviceUsable, kIOPMPowerOn, kIOPMPowerOn, 0, 0, 0, 0, 0, 0,
	 0, 0},
	{kIOPMPowerStateVersion1, kIOPMDeviceUsable, kIOPMPowerOn, kIOPMPowerOn, 0, 0, 0, 0, 0, 0,
	 0, 0},
};

/* ---- life ---- */

bool IOPCIDevice::init(OSDictionary *properties)
{
	return IOService::init(properties);
}

bool IOPCIDevice::init(IORegistryEntry *from, const IORegistryPlane *plane)
{
	return IOService::init(from, plane);
}

void IOPCIDevice::free()
{
	delete reserved;
	reserved = nullptr;
	savedConfig = nullptr;
	IOService::free();
}

bool IOPCIDevice::attach(IOService *provider)
{
	if (!IOService::attach(provider))
		return false;
	PMinit();
	provider->joinPMtree(this);
	registerPowerDriver(this, power_states, PCI_POWER_STATES);
	/* Also while nobody drives it: a driver finds it powered. */
	changePowerStateToPriv(PCI_POWER_ON);
	return true;
}

void IOPCIDevice::detach(IOService *provider)
{
	PMstop();
	IOService::detach(provider);
}

IOReturn IOPCIDevice::newUserClient(task_t task, void *security, UInt32 type,
				    OSDictionary *properties, IOUserClient **client)
{
	return IOService::newUserClient(task, security, type, properties, client);
}

IOReturn IOPCIDevice::setProperties(OSObject *properties)
{
	return IOService::setProperties(properties);
}

IOReturn IOPCIDevice::callPlatformFunction(const OSSymbol *function, bool wait, void *param1,
					   void *param2, void *param3, void *param4)
{
	return IOService::callPlatformFunction(function, wait, param1, param2, param3, param4);
}

IOReturn IOPCIDevice::callPlatformFunction(const char *function, bool wait, void *param1,
					   void *param2, void *param3, void *param4)
{
	return IOService::callPlatformFunction(function, wait, param1, param2, param3, param4);
}

UInt8 IOPCIDevice::getBusNumber()
{
	return static_cast<UInt8>(space.s.busNum);
}

UInt8 IOPCIDevice::getDeviceNumber()
{
	return static_cast<UInt8>(space.s.deviceNum);
}

UInt8 IOPCIDevice::getFunctionNumber()
{
	return static_cast<UInt8>(space.s.functionNum);
}

/* ---- matching ---- */

/* "0xVALUE" or "0xVALUE&0xMASK", several separated by spaces; any may match. */
static bool match_register(const char *text, UInt32 mask_default, UInt32 reg)
{
	for (;;) {
		char *end;
		UInt32 mask = mask_default;
		UInt32 value = static_cast<UInt32>(strtoul(text, &end, 16));

		if (end == text)
			return false;
		text = end;
		while (isspace(*text))
			text++;
		if (*text == '&') {
			mask = static_cast<UInt32>(strtoul(text + 1, &end, 16));
			text = end;
		}
		if (((reg ^ value) & mask) == 0)
			return true;
	}
}

/* [XNU-PCI-3] Different keys are and'ed; what is compared was saved at publishing. */
bool IOPCIDevice::matchPropertyTable(OSDictionary *table, SInt32 *score)
{
	static const struct {
		const char *key;
		UInt32 mask;
		UInt8 reg, or_reg;
	} keys[] = {
		{"IOPCIMatch", ~0u, kIOPCIConfigVendorID, kIOPCIConfigSubSystemVendorID},
		{"IOPCIPrimaryMatch", ~0u, kIOPCIConfigVendorID, kIOPCIConfigVendorID},
		{"IOPCISecondaryMatch", ~0u, kIOPCIConfigSubSystemVendorID,
		 kIOPCIConfigSubSystemVendorID},
		{"IOPCIClassMatch", 0xffffff00u, kIOPCIConfigRevisionID, kIOPCIConfigRevisionID},
	};

	if (!IOService::matchPropertyTable(table, score))
		return false;
	for (const auto &k : keys) {
		OSObject *value = table->getObject(k.key);
		OSString *text = OSDynamicCast(OSString, value);

		if (!text)
			continue;
		if (!match_register(text->getCStringNoCopy(), k.mask, savedConfig[k.reg / 4]) &&
		    !match_register(text->getCStringNoCopy(), k.mask, savedConfig[k.or_reg / 4]))
			return false;
	}
	return true;
}

/* Its own name, and those of "compatible": strings one after the other. */
bool IOPCIDevice::compareName(OSString *name, OSString **matched) const
{
	OSData *list = OSDynamicCast(OSData, getProperty("compatible"));
	const char *text = list ? static_cast<const char *>(list->getBytesNoCopy()) : nullptr;
	unsigned len = list ? list->getLength() : 0;

	if (IOService::compareName(name, matched))
		return true;
	for (unsigned at = 0; at < len; at += static_cast<unsigned>(strlen(text + at)) + 1) {
		if (!name->isEqualTo(text + at))
			continue;
		if (matched) {
			name->retain();
			*matched = name;
		}
		return true;
	}
	return false;
}

IOService *IOPCIDevice::matchLocation(IOService *)
{
	return this;
}

/* ---- device memory ---- */

/* [XNU-PCI-15] Made when the nub is first matched; after that it has them already. */
IOReturn IOPCIDevice::getResources()
{
	return getDeviceMemory() ? kIOReturnSuccess : pci_make_resources(this);
}

IODeviceMemory *IOPCIDevice::getDeviceMemoryWithRegister(UInt8 reg)
{
	OSArray *list = getDeviceMemory();

	for (unsigned i = 0; list && i < list->getCount(); i++) {
		IOMemoryDescriptor *memory = OSDynamicCast(IOMemoryDescriptor, list->getObject(i));

		if (memory && (memory->getTag() & 0xff) == reg)
			return static_cast<IODeviceMemory *>(memory); /* [XNU-MEM-7] */
	}
	return nullptr;
}

IOMemoryMap *IOPCIDevice::mapDeviceMemoryWithRegister(UInt8 reg, IOOptionBits options)
{
	IODeviceMemory *memory;

	sim_may_block("IOPCIDevice::mapDeviceMemoryWithRegister");
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	memory = getDeviceMemoryWithRegister(reg);
	return memory ? memory->map(options) : nullptr;
}

IODeviceMemory *IOPCIDevice::ioDeviceMemory()
{
	sim_violation("IOPCIDevice::ioDeviceMemory is not simulated");
}

/* ---- power ---- */

/*
 * The header only: reading on could have side effects in capabilities. Of it the writable registers
 * are restored, the command word last; MSI-X is switched on again by the interrupts.
 */
void pci_config_save(IOPCIDevice *nub)
{
	struct mac_pci *pci = pci_function(nub);

	for (unsigned i = 0; i < PCI_HEADER_LEN / 4; i++)
		nub->savedConfig[i] = pci_cfg_read(pci, 4 * i, 4);
}

void pci_config_restore(IOPCIDevice *nub)
{
	struct mac_pci *pci = pci_function(nub);

	for (unsigned reg = kIOPCIConfigBaseAddress0; reg <= kIOPCIConfigBaseAddress5; reg += 4)
		pci_cfg_write(pci, reg, 4, nub->savedConfig[reg / 4]);
	pci_cfg_write(pci, kIOPCIConfigInterruptLine, 1,
		      nub->savedConfig[kIOPCIConfigInterruptLine / 4]);
	pci_cfg_write(pci, kIOPCIConfigCommand, 2, nub->savedConfig[kIOPCIConfigCommand / 4]);
}

IOReturn IOPCIDevice::saveDeviceState(IOOptionBits)
{
	pci_config_save(this);
	return kIOReturnSuccess;
}

IOReturn IOPCIDevice::restoreDeviceState(IOOptionBits)
{
	pci_config_restore(this);
	return kIOReturnSuccess;
}

IOReturn IOPCIDevice::powerStateWillChangeTo(IOPMPowerFlags flags, unsigned long state,
					     IOService *whom)
{
	return IOService::powerStateWillChangeTo(flags, state, whom);
}

/*
 * [XNU-PCI-13] Without power a function forgets its command word and its MSI-X; on the way up they
 * are back before a driver above is told. Whether the virtio device itself forgets is the
 * platform's choice: here it loses bus mastering, and what it makes of that.
 */
IOReturn IOPCIDevice::setPowerState(unsigned long state, IOService *)
{
	struct mac_pci *pci = reserved->pci;
	bool keep = true;

	if (getProperty(kIOPMPCIConfigSpaceVolatileKey)) {
		OSBoolean *wanted =
			OSDynamicCast(OSBoolean, getProperty(kIOPMPCIConfigSpaceVolatileKey));

		keep = !wanted || wanted->getValue();
	}
	if (state == PCI_POWER_OFF && !reserved->off) {
		reserved->off = true;
		if (keep)
			pci_config_save(this);
		pci_irq_suspend(pci);
		pci_cfg_write(pci, kIOPCIConfigCommand, 2,
			      pci->command & ~static_cast<uint32_t>(PCI_DECODE_BITS));
	} else if (state >= PCI_POWER_ON && reserved->off) {
		reserved->off = false;
		if (keep)
			pci_config_restore(this);
		pci_irq_resume(pci, keep);
	}
	return kIOPMAckImplied;
}

bool IOPCIDevice::hasPCIPowerManagement(IOOptionBits)
{
	return findPCICapability(kIOPCIPowerManagementCapability) != 0;
}

IOReturn IOPCIDevice::enablePCIPowerManagement(IOOptionBits)
{
	sim_violation("IOPCIDevice::enablePCIPowerManagement is not simulated");
}
