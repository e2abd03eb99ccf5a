/* SPDX-License-Identifier: BSD-2-Clause */
/* IOPCIDevice: configuration space, capabilities, port I/O. */
#include "sim/macos/pci/bridge.h"

#define CHECKED_RELEASE 9 /* from here on an inactive nub answers all ones */

struct mac_pci *pci_function(const IOPCIDevice *nub)
{
	return IOPCIBridge::data(nub)->pci;
}

/* ---- access ---- */

/* [XNU-PCI-1] It goes to the device each time; and nowhere, once the nub is inactive. */
static bool config_allowed(const IOPCIDevice *nub, const char *what)
{
	if (!sim_release_at_least(CHECKED_RELEASE) || !nub->isInactive())
		return true;
	sim_log("pci: %s: IOPCIDevice::%s on an inactive nub", pci_function(nub)->name, what);
	return false;
}

static UInt32 config_read(const IOPCIDevice *nub, IOByteCount offset, unsigned width,
			  const char *what)
{
	if (offset & (width - 1))
		sim_violation("IOPCIDevice::%s at %#llx: not aligned", what, offset);
	if (!config_allowed(nub, what) || offset >= PCI_CONFIG_LEN)
		return ~0u;
	return pci_cfg_read(pci_function(nub), static_cast<unsigned>(offset), width);
}

static void config_write(const IOPCIDevice *nub, IOByteCount offset, unsigned width, UInt32 value,
			 const char *what)
{
	if (offset & (width - 1))
		sim_violation("IOPCIDevice::%s at %#llx: not aligned", what, offset);
	if (!config_allowed(nub, what) || offset >= PCI_CONFIG_LEN)
		return;
	pci_cfg_write(pci_function(nub), static_cast<unsigned>(offset), width, value);
}

UInt32 IOPCIDevice::extendedConfigRead32(IOByteCount offset)
{
	return config_read(this, offset, 4, "configRead32");
}

UInt16 IOPCIDevice::extendedConfigRead16(IOByteCount offset)
{
	return static_cast<UInt16>(config_read(this, offset, 2, "configRead16"));
}

UInt8 IOPCIDevice::extendedConfigRead8(IOByteCount offset)
{
	return static_cast<UInt8>(config_read(this, offset, 1, "configRead8"));
}

void IOPCIDevice::extendedConfigWrite32(IOByteCount offset, UInt32 value)
{
	config_write(this, offset, 4, value, "configWrite32");
}

void IOPCIDevice::extendedConfigWrite16(IOByteCount offset, UInt16 value)
{
	config_write(this, offset, 2, value, "configWrite16");
}

void IOPCIDevice::extendedConfigWrite8(IOByteCount offset, UInt8 value)
{
	config_write(this, offset, 1, value, "configWrite8");
}

UInt32 IOPCIDevice::configRead32(UInt8 reg)
{
	return config_read(this, reg, 4, "configRead32");
}

UInt16 IOPCIDevice::configRead16(UInt8 reg)
{
	return static_cast<UInt16>(config_read(this, reg, 2, "configRead16"));
}

UInt8 IOPCIDevice::configRead8(UInt8 reg)
{
	return static_cast<UInt8>(config_read(this, reg, 1, "configRead8"));
}

void IOPCIDevice::configWrite32(UInt8 reg, UInt32 value)
{
	config_write(this, reg, 4, value, "configWrite32");
}

void IOPCIDevice::configWrite16(UInt8 reg, UInt16 value)
{
	config_write(this, reg, 2, value, "configWrite16");
}

void IOPCIDevice::configWrite8(UInt8 reg, UInt8 value)
{
	config_write(this, reg, 1, value, "configWrite8");
}

/* With an address of their own these can reach another function; that is not simulated. */
static void own_space(const IOPCIDevice *nub, IOPCIAddressSpace at)
{
	IOPCIAddressSpace own = nub->space;

	own.s.registerNum = at.s.registerNum;
	if (own.bits != at.bits)
		sim_violation("IOPCIDevice: configuration space of another function (%#x)",
			      at.bits);
}

UInt32 IOPCIDevice::configRead32(IOPCIAddressSpace at, UInt8 reg)
{
	own_space(this, at);
	return configRead32(reg);
}

void IOPCIDevice::configWrite32(IOPCIAddressSpace at, UInt8 reg, UInt32 value)
{
	own_space(this, at);
	configWrite32(reg, value);
}

UInt16 IOPCIDevice::configRead16(IOPCIAddressSpace at, UInt8 reg)
{
	own_space(this, at);
	return configRead16(reg);
}

void IOPCIDevice::configWrite16(IOPCIAddressSpace at, UInt8 reg, UInt16 value)
{
	own_space(this, at);
	configWrite16(reg, value);
}

UInt8 IOPCIDevice::configRead8(IOPCIAddressSpace at, UInt8 reg)
{
	own_space(this, at);
	return configRead8(reg);
}

void IOPCIDevice::configWrite8(IOPCIAddressSpace at, UInt8 reg, UInt8 value)
{
	own_space(this, at);
	configWrite8(reg, value);
}

/* ---- bits ---- */

/*
 * [XNU-PCI-2] All 32 bits are read and written, the status half with them; the result is what the
 * word was before.
 */
UInt32 IOPCIDevice::setConfigBits(UInt8 reg, UInt32 mask, UInt32 value)
{
	UInt32 before = configRead32(reg);

	configWrite32(reg, (before & ~mask) | (value & mask));
	return before;
}

bool IOPCIDevice::setMemoryEnable(bool enable)
{
	return (setConfigBits(kIOPCIConfigCommand, kIOPCICommandMemorySpace,
			      enable ? kIOPCICommandMemorySpace : 0) &
		kIOPCICommandMemorySpace) != 0;
}

bool IOPCIDevice::setIOEnable(bool enable, bool)
{
	return (setConfigBits(kIOPCIConfigCommand, kIOPCICommandIOSpace,
			      enable ? kIOPCICommandIOSpace : 0) &
		kIOPCICommandIOSpace) != 0;
}

bool IOPCIDevice::setBusMasterEnable(bool enable)
{
	return (setConfigBits(kIOPCIConfigCommand, kIOPCICommandBusMaster,
			      enable ? kIOPCICommandBusMaster : 0) &
		kIOPCICommandBusMaster) != 0;
}

/* ---- capabilities ---- */

static UInt32 find_cap(IOPCIDevice *nub, UInt32 id, unsigned above, unsigned *at)
{
	/* Extended ids come negated; extended configuration space is not there to be searched. */
	*at = id < 0x100 && config_allowed(nub, "findPCICapability")
		      ? pci_find_cap(pci_function(nub), id, above)
		      : 0;
	return *at ? pci_cfg_read(pci_function(nub), *at, 4) : 0;
}

UInt32 IOPCIDevice::findPCICapability(UInt8 id, UInt8 *offset)
{
	unsigned at;
	UInt32 head = find_cap(this, id, 0, &at);

	if (offset)
		*offset = static_cast<UInt8>(at);
	return head;
}

UInt32 IOPCIDevice::extendedFindPCICapability(UInt32 id, IOByteCount *offset)
{
	unsigned at;
	UInt32 head = find_cap(this, id, offset ? static_cast<unsigned>(*offset) : 0, &at);

	if (offset)
		*offset = at;
	return head;
}

/* ---- port I/O ---- */

/*
 * [XNU-PCI-4] A map's address is its first port; without a map the offset is a port. The processor
 * does not know whose port it is: here one of another function's is a mistake.
 */
static void find_port(const IOPCIDevice *nub, UInt16 offset, IOMemoryMap *map, unsigned width,
		      const char *what, unsigned *bar, uint64_t *off)
{
	struct mac_pci *pci = pci_function(nub);
	uint64_t port = (map ? map->getVirtualAddress() : 0) + offset;

	if (map && map->getVirtualAddress() == 0)
		sim_violation("IOPCIDevice::%s of %s: the map has been unmapped", what, pci->name);
	for (unsigned i = 0; i < PCI_BARS; i++) {
		const struct sim_pci_bar *b = &pci->bars[i];

		if (!b->len || !b->io || port < b->addr || port - b->addr >= b->len)
			continue;
		if (b->len - (port - b->addr) < width || (port & (width - 1)))
			break;
		*bar = i;
		*off = port - b->addr;
		return;
	}
	sim_violation("IOPCIDevice::%s of %s: %#llx is no port of this function", what, pci->name,
		      static_cast<unsigned long long>(port));
}

static UInt32 port_read(const IOPCIDevice *nub, UInt16 offset, IOMemoryMap *map, unsigned width,
			const char *what)
{
	unsigned bar = 0;
	uint64_t off = 0;

	find_port(nub, offset, map, width, what, &bar, &off);
	return pci_bar_read(pci_function(nub), bar, off, width);
}

static void port_write(const IOPCIDevice *nub, UInt16 offset, UInt32 value, IOMemoryMap *map,
		       unsigned width, const char *what)
{
	unsigned bar = 0;
	uint64_t off = 0;

	find_port(nub, offset, map, width, what, &bar, &off);
	pci_bar_write(pci_function(nub), bar, off, width, value);
}

UInt32 IOPCIDevice::ioRead32(UInt16 offset, IOMemoryMap *map)
{
	return port_read(this, offset, map, 4, "ioRead32");
}

UInt16 IOPCIDevice::ioRead16(UInt16 offset, IOMemoryMap *map)
{
	return static_cast<UInt16>(port_read(this, offset, map, 2, "ioRead16"));
}

UInt8 IOPCIDevice::ioRead8(UInt16 offset, IOMemoryMap *map)
{
	return static_cast<UInt8>(port_read(this, offset, map, 1, "ioRead8"));
}

void IOPCIDevice::ioWrite32(UInt16 offset, UInt32 value, IOMemoryMap *map)
{
	port_write(this, offset, value, map, 4, "ioWrite32");
}

void IOPCIDevice::ioWrite16(UInt16 offset, UInt16 value, IOMemoryMap *map)
{
	port_write(this, offset, value, map, 2, "ioWrite16");
}

void IOPCIDevice::ioWrite8(UInt16 offset, UInt8 value, IOMemoryMap *map)
{
	port_write(this, offset, value, map, 1, "ioWrite8");
}
