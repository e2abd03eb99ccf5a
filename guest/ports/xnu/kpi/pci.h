/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PCI device: configuration space, BARs, port I/O. Exported by com.apple.iokit.IOPCIFamily.
 *
 * The map of an I/O BAR is a range of port numbers: give it to ioRead/ioWrite, never dereference
 * it. setMemoryEnable() and its like return what the bit was before.
 */
#ifndef KPI_PCI_H
#define KPI_PCI_H

#include "memory.h"
#include "service.h"

enum {
	kIOPCIConfigVendorID = 0x00,
	kIOPCIConfigDeviceID = 0x02,
	kIOPCIConfigCommand = 0x04,
	kIOPCIConfigStatus = 0x06,
	kIOPCIConfigRevisionID = 0x08,
	kIOPCIConfigClassCode = 0x09,
	kIOPCIConfigHeaderType = 0x0e,
	kIOPCIConfigBaseAddress0 = 0x10,
	kIOPCIConfigBaseAddress1 = 0x14,
	kIOPCIConfigBaseAddress2 = 0x18,
	kIOPCIConfigBaseAddress3 = 0x1c,
	kIOPCIConfigBaseAddress4 = 0x20,
	kIOPCIConfigBaseAddress5 = 0x24,
	kIOPCIConfigSubSystemVendorID = 0x2c,
	kIOPCIConfigSubSystemID = 0x2e,
	kIOPCIConfigCapabilitiesPtr = 0x34,
	kIOPCIConfigInterruptLine = 0x3c,
	kIOPCIConfigInterruptPin = 0x3d,
};

/* Bits of the command word. */
enum {
	kIOPCICommandIOSpace = 0x0001,
	kIOPCICommandMemorySpace = 0x0002,
	kIOPCICommandBusMaster = 0x0004,
	kIOPCICommandInterruptDisable = 0x0400,
};

enum {
	kIOPCIStatusCapabilities = 0x0010,
};

/* Capabilities. */
enum {
	kIOPCIPowerManagementCapability = 0x01,
	kIOPCIMSICapability = 0x05,
	kIOPCIVendorSpecificCapability = 0x09,
	kIOPCIPCIExpressCapability = 0x10,
	kIOPCIMSIXCapability = 0x11,
};

/* Kinds of address space, in IOPCIAddressSpace. */
enum {
	kIOPCIConfigSpace = 0,
	kIOPCIIOSpace = 1,
	kIOPCI32BitMemorySpace = 2,
	kIOPCI64BitMemorySpace = 3,
};

/* Property of a nub: false keeps the family from saving and restoring its configuration space. */
#define kIOPMPCIConfigSpaceVolatileKey "IOPMPCIConfigSpaceVolatile"

struct IOPCIDeviceExpansionData;

union IOPCIAddressSpace {
	UInt32 bits;
	struct {
		unsigned int registerNum : 8;
		unsigned int functionNum : 3;
		unsigned int deviceNum : 5;
		unsigned int busNum : 8;
		unsigned int space : 2;
		unsigned int resv : 3;
		unsigned int t : 1;
		unsigned int prefetch : 1;
		unsigned int reloc : 1;
	} s;
	struct {
		unsigned int registerNum : 8;
		unsigned int functionNum : 3;
		unsigned int deviceNum : 5;
		unsigned int busNum : 8;
		unsigned int registerNumExtended : 4;
		unsigned int resv : 4;
	} es; /* configuration space above the first 256 bytes */
};

class IOPCIDevice : public IOService
{
	OSDeclareDefaultStructors(IOPCIDevice);

private:
	friend class IOPCIBridge;
	friend class IOPCI2PCIBridge;
	friend class IOPCIMessagedInterruptController;

protected:
	IOPCIBridge *parent;
	IOMemoryMap *ioMap;
	OSObject *slotNameProperty;
	IOPCIDeviceExpansionData *reserved;

public:
	IOPCIAddressSpace space;
	UInt32 *savedConfig;

	UInt32 extendedConfigRead32(IOByteCount offset);
	UInt16 extendedConfigRead16(IOByteCount offset);
	UInt8 extendedConfigRead8(IOByteCount offset);
	void extendedConfigWrite32(IOByteCount offset, UInt32 value);
	void extendedConfigWrite16(IOByteCount offset, UInt16 value);
	void extendedConfigWrite8(IOByteCount offset, UInt8 value);

	/* Slots, in order. */
	virtual UInt32 configRead32(IOPCIAddressSpace space, UInt8 reg);
	virtual void configWrite32(IOPCIAddressSpace space, UInt8 reg, UInt32 value);
	virtual UInt16 configRead16(IOPCIAddressSpace space, UInt8 reg);
	virtual void configWrite16(IOPCIAddressSpace space, UInt8 reg, UInt16 value);
	virtual UInt8 configRead8(IOPCIAddressSpace space, UInt8 reg);
	virtual void configWrite8(IOPCIAddressSpace space, UInt8 reg, UInt8 value);
	virtual UInt32 configRead32(UInt8 reg);
	virtual UInt16 configRead16(UInt8 reg);
	virtual UInt8 configRead8(UInt8 reg);
	virtual void configWrite32(UInt8 reg, UInt32 value);
	virtual void configWrite16(UInt8 reg, UInt16 value);
	virtual void configWrite8(UInt8 reg, UInt8 value);
	virtual IOReturn saveDeviceState(IOOptionBits = 0);
	virtual IOReturn restoreDeviceState(IOOptionBits = 0);
	virtual UInt32 setConfigBits(UInt8 reg, UInt32 mask, UInt32 value);
	virtual bool setMemoryEnable(bool enable);
	virtual bool setIOEnable(bool enable, bool exclusive = false);
	virtual bool setBusMasterEnable(bool enable);
	virtual UInt32 findPCICapability(UInt8 id, UInt8 *offset = nullptr);
	virtual UInt8 getBusNumber();
	virtual UInt8 getDeviceNumber();
	virtual UInt8 getFunctionNumber();
	virtual IODeviceMemory *getDeviceMemoryWithRegister(UInt8 reg);
	virtual IOMemoryMap *mapDeviceMemoryWithRegister(UInt8 reg, IOOptionBits options = 0);
	virtual IODeviceMemory *ioDeviceMemory();
	virtual void ioWrite32(UInt16 offset, UInt32 value, IOMemoryMap *map = nullptr);
	virtual void ioWrite16(UInt16 offset, UInt16 value, IOMemoryMap *map = nullptr);
	virtual void ioWrite8(UInt16 offset, UInt8 value, IOMemoryMap *map = nullptr);
	virtual UInt32 ioRead32(UInt16 offset, IOMemoryMap *map = nullptr);
	virtual UInt16 ioRead16(UInt16 offset, IOMemoryMap *map = nullptr);
	virtual UInt8 ioRead8(UInt16 offset, IOMemoryMap *map = nullptr);
	virtual bool hasPCIPowerManagement(IOOptionBits = 0);
	virtual IOReturn enablePCIPowerManagement(IOOptionBits = 0xffffffff);
	virtual UInt32 extendedFindPCICapability(UInt32 id, IOByteCount *offset = nullptr);

private:
	KPI_PADS(IOPCIDevice, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);

public:
	/* Overrides. */
	bool init(OSDictionary *) override;
	bool init(IORegistryEntry *, const IORegistryPlane *) override;
	void free() override;
	bool attach(IOService *provider) override;
	void detach(IOService *provider) override;
	IOReturn newUserClient(task_t task, void *security, UInt32 type, OSDictionary *properties,
			       IOUserClient **client) override;
	IOReturn powerStateWillChangeTo(IOPMPowerFlags flags, unsigned long state,
					IOService *whom) override;
	IOReturn setPowerState(unsigned long state, IOService *whom) override;
	bool compareName(OSString *name, OSString **matched = nullptr) const override;
	bool matchPropertyTable(OSDictionary *table, SInt32 *score) override;
	IOService *matchLocation(IOService *) override;
	IOReturn getResources() override;
	IOReturn setProperties(OSObject *) override;
	IOReturn callPlatformFunction(const OSSymbol *function, bool wait, void *param1,
				      void *param2, void *param3, void *param4) override;
	IOReturn callPlatformFunction(const char *function, bool wait, void *param1, void *param2,
				      void *param3, void *param4) override;
};

#endif
