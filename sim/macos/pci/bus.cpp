/* SPDX-License-Identifier: BSD-2-Clause */
/* The bus: functions come and go; each has a nub below the bridge. */
#include "sim/macos/pci/pci.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest/ports/xnu/kpi/collections.h"
#include "sim/macos/core/core.h"
#include "sim/macos/pci/bridge.h"
#include "sim/macos/pci/irq.h"
#include "sim/macos/pci/memory.h"
#include "sim/macos/pci/trap.h"

OSDefineMetaClassAndStructors(IOPCIBridge, IOService)

#define SLOT_FIRST 2u /* as on a Mac: 0 is the host bridge */
#define SLOT_MOST  31u

static IOPCIBridge *bridge;
static pthread_mutex_t bus_lock = PTHREAD_MUTEX_INITIALIZER;
static struct mac_pci *functions; /* all there ever were: handles stay valid */
static unsigned next_slot;

/* ---- a nub's properties ---- */

static void set_number(IOPCIDevice *nub, const char *key, uint32_t value)
{
	uint8_t bytes[4];

	for (unsigned i = 0; i < 4; i++)
		bytes[i] = static_cast<uint8_t>(value >> (8 * i));
	nub->setProperty(key, bytes, sizeof(bytes));
}

/* "pci1af4,1041"; then the subsystem, then the class, each with its terminating zero. */
static void set_names(IOPCIDevice *nub)
{
	const UInt32 *config = nub->savedConfig;
	UInt32 id = config[kIOPCIConfigVendorID / 4];
	UInt32 sub = config[kIOPCIConfigSubSystemVendorID / 4];
	UInt32 type = config[kIOPCIConfigRevisionID / 4] >> 8;
	char list[64];
	int first, len;

	first = snprintf(list, sizeof(list), "pci%x,%x", id & 0xffff, id >> 16) + 1;
	nub->setProperty("IOName", list);
	nub->setProperty("name", list, static_cast<unsigned>(first));
	nub->setName(list);
	len = first;
	len += snprintf(list + len, sizeof(list) - static_cast<size_t>(len), "pci%x,%x",
			sub & 0xffff, sub >> 16) +
	       1;
	len += snprintf(list + len, sizeof(list) - static_cast<size_t>(len), "pciclass,%06x",
			type) +
	       1;
	nub->setProperty("compatible", list, static_cast<unsigned>(len));
}

static void set_properties(IOPCIDevice *nub, const struct mac_pci *pci)
{
	const UInt32 *config = nub->savedConfig;
	char where[24];
	uint8_t yes = 0; /* firmware's properties are data; that it is there is what counts */

	set_names(nub);
	set_number(nub, "vendor-id", config[kIOPCIConfigVendorID / 4] & 0xffff);
	set_number(nub, "device-id", config[kIOPCIConfigVendorID / 4] >> 16);
	set_number(nub, "revision-id", config[kIOPCIConfigRevisionID / 4] & 0xff);
	set_number(nub, "class-code", config[kIOPCIConfigRevisionID / 4] >> 8);
	set_number(nub, "subsystem-vendor-id", config[kIOPCIConfigSubSystemVendorID / 4] & 0xffff);
	set_number(nub, "subsystem-id", config[kIOPCIConfigSubSystemVendorID / 4] >> 16);
	if (pci->built_in)
		nub->setProperty("built-in", &yes, sizeof(yes));
	snprintf(where, sizeof(where), "0:%u:0", pci->slot);
	nub->setProperty("pcidebug", where);
	snprintf(where, sizeof(where), "%X", pci->slot);
	nub->setLocation(where);
}

IOPCIDevice *IOPCIBridge::makeNub(struct mac_pci *pci)
{
	IOPCIDevice *nub = new IOPCIDevice;

	if (!nub->init(static_cast<OSDictionary *>(nullptr))) {
		nub->release();
		return nullptr;
	}
	nub->reserved = new IOPCIDeviceExpansionData();
	nub->reserved->pci = pci;
	nub->savedConfig = nub->reserved->saved;
	nub->parent = bridge;
	nub->space.s.deviceNum = pci->slot & 31;
	pci_config_save(nub);
	set_properties(nub, pci);
	return nub;
}

/*
 * Device memory in the order of registers, a 64-bit BAR under its lower one; interrupts. Tags are
 * what the register is called by.
 */
IOReturn pci_make_resources(IOPCIDevice *nub)
{
	struct mac_pci *pci = pci_function(nub);
	OSArray *list = OSArray::withCapacity(PCI_BARS);

	for (unsigned i = 0; i < PCI_BARS; i++) {
		IOPCIAddressSpace tag = nub->space;
		IODeviceMemory *memory;

		if (!pci->bars[i].len)
			continue;
		memory = SimDeviceMemory::make(pci, i, 0, pci->bars[i].len);
		if (!memory)
			continue;
		tag.s.registerNum = (kIOPCIConfigBaseAddress0 + 4 * i) & 0xff;
		tag.s.space = pci->bars[i].io ? kIOPCIIOSpace : kIOPCI32BitMemorySpace;
		memory->setTag(tag.bits);
		list->setObject(memory);
		memory->release();
	}
	nub->setDeviceMemory(list);
	list->release();
	sim_interrupts_attach(nub, &pci_interrupt_ops, pci);
	return kIOReturnSuccess;
}

/* ---- coming and going ---- */

/*
 * [XNU-PCI-14] A driver may not count on what firmware left switched on: bus mastering is off, and
 * decoding is as the seed says.
 */
static void as_firmware_left_it(struct mac_pci *pci)
{
	uint32_t off = kIOPCICommandBusMaster;

	if (sim_random(2))
		off |= kIOPCICommandIOSpace | kIOPCICommandMemorySpace;
	pci_cfg_write(pci, kIOPCIConfigCommand, 2, pci->command & ~off);
}

static struct mac_pci *new_function(const struct sim_pci_ops *ops, void *fn, const char *name,
				    bool built_in)
{
	struct mac_pci *pci = static_cast<struct mac_pci *>(calloc(1, sizeof(*pci)));

	if (!pci)
		return nullptr;
	pci->ops = ops;
	pci->fn = fn;
	pci->built_in = built_in;
	snprintf(pci->name, sizeof(pci->name), "%s", name ? name : "pci");
	pthread_mutex_lock(&bus_lock);
	pci->slot = SLOT_FIRST + next_slot++ % (SLOT_MOST - SLOT_FIRST + 1);
	pci->next = functions;
	functions = pci;
	pthread_mutex_unlock(&bus_lock);
	return pci;
}

static int publish(struct mac_pci *pci)
{
	if (pci_cfg_read(pci, kIOPCIConfigVendorID, 2) == 0xffff)
		return -ENODEV;
	pci_function_look(pci);
	as_firmware_left_it(pci);
	pci->nub = IOPCIBridge::makeNub(pci);
	if (!pci->nub)
		return -ENOMEM;
	pci_irq_start(pci);
	if (!pci->nub->attach(bridge)) {
		pci_irq_stop(pci);
		pci->nub->release();
		pci->nub = nullptr;
		return -ENODEV;
	}
	pci->nub->registerService();
	return 0;
}

int mac_pci_add(const struct sim_pci_ops *ops, void *fn, const char *name, bool built_in,
		struct mac_pci **out)
{
	struct mac_pci *pci;
	int err = -ENODEV;

	if (!bridge)
		return err;
	sim_enter("mac_pci_add");
	pci = new_function(ops, fn, name, built_in);
	if (pci)
		err = publish(pci);
	if (pci && err)
		pci_function_leave(pci);
	sim_exit();
	if (out)
		*out = err ? nullptr : pci;
	return err;
}

static void remove(struct mac_pci *pci)
{
	IOPCIDevice *nub;

	pthread_mutex_lock(&bus_lock);
	nub = pci->nub;
	pci->nub = nullptr;
	pthread_mutex_unlock(&bus_lock);
	if (!nub)
		return;
	nub->terminate(kIOServiceRequired | kIOServiceSynchronous);
	pci_irq_stop(pci);
	pci_function_leave(pci);
	if (nub->inPlane(gIOServicePlane))
		sim_leak("%s: its nub is still in the registry after termination", pci->name);
	nub->release();
}

void mac_pci_remove(struct mac_pci *pci)
{
	sim_enter("mac_pci_remove");
	remove(pci);
	sim_exit();
}

/* Functions stay: one that has left takes part no more. */
bool sim_pci_take(struct mac_pci *pci)
{
	return pci->irq && pci_irq_take(pci);
}

/* ---- on and off ---- */

void sim_pci_boot(void)
{
	sim_trap_boot();
	bridge = new IOPCIBridge;
	if (!bridge->init(nullptr))
		sim_violation("the PCI bridge does not come up");
	bridge->setName("PCI0");
	bridge->setLocation("0");
	if (!bridge->attach(IOService::getServiceRoot()))
		sim_violation("the PCI bridge has no place in the registry");
	bridge->registerService();
}

void sim_pci_halt(void)
{
	struct mac_pci *pci;

	pthread_mutex_lock(&bus_lock);
	pci = functions;
	pthread_mutex_unlock(&bus_lock);
	for (; pci; pci = pci->next)
		remove(pci);
	bridge->terminate(kIOServiceRequired | kIOServiceSynchronous);
	bridge->release();
	bridge = nullptr;
}
