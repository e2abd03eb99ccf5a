/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Configuration space, memory BARs through a mapping, I/O BARs through in and out: the "address"
 * of a mapped I/O BAR is a port number.
 */
#include "guest/ports/xnu/port/pci_xnu.h"

static struct pci_xnu *pci_xnu_from(void *bus)
{
	return static_cast<struct pci_xnu *>(bus);
}

static uint32_t config_live(IOPCIDevice *device, unsigned off, unsigned width)
{
	UInt8 reg = static_cast<UInt8>(off);

	switch (width) {
	case 1:
		return device->configRead8(reg);
	case 2:
		return device->configRead16(reg);
	default:
		return device->configRead32(reg);
	}
}

/*
 * From 10.9 on the family answers all ones once the device is being terminated, though it is still
 * there and still reaches memory. It must not be taken for unplugged then, nor its MSI-X enable bit
 * for set: what was read last is what holds.
 */
static uint32_t cfg_read(void *b, unsigned off, unsigned width)
{
	struct pci_xnu *bus = pci_xnu_from(b);
	uint32_t value = 0;

	if (off + width > sizeof(bus->config))
		return ~0U >> (32 - 8 * width);
	if (bus->device->isInactive()) {
		memcpy(&value, bus->config + off, width);
		return value;
	}
	value = config_live(bus->device, off, width);
	memcpy(bus->config + off, &value, width);
	return value;
}

static void cfg_write(void *b, unsigned off, unsigned width, uint32_t val)
{
	struct pci_xnu *bus = pci_xnu_from(b);
	UInt8 reg = static_cast<UInt8>(off);

	if (off + width > sizeof(bus->config))
		return;
	if (width == 1)
		bus->device->configWrite8(reg, static_cast<UInt8>(val));
	else if (width == 2)
		bus->device->configWrite16(reg, static_cast<UInt16>(val));
	else
		bus->device->configWrite32(reg, val);
}

static int bar_open(void *b, unsigned bar, struct vio_bar *out)
{
	struct pci_xnu *bus = pci_xnu_from(b);
	UInt8 reg = static_cast<UInt8>(kIOPCIConfigBaseAddress0 + 4 * bar);
	IODeviceMemory *memory;

	/* By register: the upper half of a 64-bit BAR and an absent one give 0. */
	memory = bar < 6 ? bus->device->getDeviceMemoryWithRegister(reg) : nullptr;
	if (!memory)
		return VIO_ENODEV;
	out->len = memory->getLength();
	out->io = (cfg_read(bus, reg, 4) & 1) != 0;
	if (!bus->maps[bar])
		bus->maps[bar] = bus->device->mapDeviceMemoryWithRegister(reg);
	if (bus->maps[bar] && !out->io)
		bus->regs[bar] = reinterpret_cast<volatile UInt8 *>(
			static_cast<uintptr_t>(bus->maps[bar]->getVirtualAddress()));
	out->mapped = bus->maps[bar] && (out->io || bus->regs[bar]);
	return VIO_OK;
}

static void bar_close(void *b, unsigned bar)
{
	struct pci_xnu *bus = pci_xnu_from(b);

	bus->regs[bar] = nullptr;
	if (bus->maps[bar])
		bus->maps[bar]->release();
	bus->maps[bar] = nullptr;
}

static uint32_t bar_read(void *b, unsigned bar, uint64_t off, unsigned width)
{
	struct pci_xnu *bus = pci_xnu_from(b);
	volatile UInt8 *at = bus->regs[bar] + static_cast<size_t>(off);
	UInt16 port = static_cast<UInt16>(off);

	if (bus->regs[bar]) {
		if (width == 1)
			return *at;
		if (width == 2)
			return *reinterpret_cast<volatile UInt16 *>(at);
		return *reinterpret_cast<volatile uint32_t *>(at);
	}
	if (width == 1)
		return bus->device->ioRead8(port, bus->maps[bar]);
	if (width == 2)
		return bus->device->ioRead16(port, bus->maps[bar]);
	return bus->device->ioRead32(port, bus->maps[bar]);
}

static void bar_write(void *b, unsigned bar, uint64_t off, unsigned width, uint32_t val)
{
	struct pci_xnu *bus = pci_xnu_from(b);
	volatile UInt8 *at = bus->regs[bar] + static_cast<size_t>(off);
	UInt16 port = static_cast<UInt16>(off);

	if (bus->regs[bar]) {
		if (width == 1)
			*at = static_cast<UInt8>(val);
		else if (width == 2)
			*reinterpret_cast<volatile UInt16 *>(at) = static_cast<UInt16>(val);
		else
			*reinterpret_cast<volatile uint32_t *>(at) = val;
		return;
	}
	if (width == 1)
		bus->device->ioWrite8(port, static_cast<UInt8>(val), bus->maps[bar]);
	else if (width == 2)
		bus->device->ioWrite16(port, static_cast<UInt16>(val), bus->maps[bar]);
	else
		bus->device->ioWrite32(port, val, bus->maps[bar]);
}

const struct vio_pci_ops pci_xnu_ops = {
	cfg_read, cfg_write, bar_open, bar_close, bar_read, bar_write,
};

void pci_xnu_init(struct pci_xnu *bus, IOPCIDevice *device)
{
	device->retain();
	bus->device = device;
}

void pci_xnu_free(struct pci_xnu *bus)
{
	for (unsigned i = 0; i < 6; i++)
		bar_close(bus, i);
	if (bus->device)
		bus->device->release();
	bus->device = nullptr;
}
