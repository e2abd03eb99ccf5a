/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a network driver derives from.
 *
 * enable(), disable(), setMulticastList() and their like are called with the gate held, on the
 * thread of whoever wanted them. outputPacket() is called on any thread, one at a time per queue.
 */
#ifndef KPI_NETCONTROLLER_H
#define KPI_NETCONTROLLER_H

#include "debugger.h"
#include "mbuf.h"
#include "netqueue.h"
#include "pci.h"

/* getFeatures() */
enum {
	kIONetworkFeatureNoBSDWait = 0x01,
	kIONetworkFeatureHardwareVlan = 0x02,
	kIONetworkFeatureSoftwareVlan = 0x04,
	kIONetworkFeatureMultiPages = 0x08,
	kIONetworkFeatureTSOIPv4 = 0x10,
	kIONetworkFeatureTSOIPv6 = 0x20,
};

/* Packet filters. */
enum {
	kIOPacketFilterUnicast = 0x001,
	kIOPacketFilterBroadcast = 0x002,
	kIOPacketFilterMulticast = 0x010,
	kIOPacketFilterMulticastAll = 0x020,
	kIOPacketFilterPromiscuous = 0x100,
	kIOPacketFilterPromiscuousAll = 0x200,
};

#define kIONetworkFilterGroup		"IONetworkFilterGroup"
#define kIOEthernetWakeOnLANFilterGroup "IOEthernetWakeOnLANFilterGroup"

enum {
	kIOEthernetWakeOnMagicPacket = 0x1,
};

extern "C" {
extern const OSSymbol *gIONetworkFilterGroup;
extern const OSSymbol *gIOEthernetWakeOnLANFilterGroup;
}

/* getPacketBufferConstraints(): powers of two, at most 32. */
enum {
	kIOPacketBufferAlign1 = 1,
	kIOPacketBufferAlign2 = 2,
	kIOPacketBufferAlign4 = 4,
	kIOPacketBufferAlign8 = 8,
	kIOPacketBufferAlign16 = 16,
	kIOPacketBufferAlign32 = 32,
};

struct IOPacketBufferConstraints {
	UInt32 alignStart;
	UInt32 alignLength;
	UInt32 reserved[6];
};

class IONetworkController : public IOService
{
	OSDeclareAbstractStructors(IONetworkController);

public:
	typedef IOReturn (*Action)(void *target, void *param0, void *param1, void *param2,
				   void *param3);

	/* Option of freePacket(): keep it for releaseFreePackets(). */
	enum {
		kDelayFree = 0x1,
	};

	/* Checksums a controller can make or check; the last two from 10.7 on. */
	enum {
		kChecksumFamilyTCPIP = 0x00000001,
		kChecksumIP = 0x0001,
		kChecksumTCP = 0x0002,
		kChecksumUDP = 0x0004,
		kChecksumTCPNoPseudoHeader = 0x0100,
		kChecksumUDPNoPseudoHeader = 0x0200,
		kChecksumTCPSum16 = 0x1000,
		kChecksumTCPIPv6 = 0x0020,
		kChecksumUDPIPv6 = 0x0040,
	};

protected:
	struct ExpansionData;

private:
	IOWorkLoop *_workLoop;
	IOCommandGate *_cmdGate;
	IOOutputQueue *_outputQueue;
	OSSet *_clientSet;
	OSCollectionIterator *_clientSetIter;
	OSObject *_cmdClient;
	UInt32 _alignStart;
	UInt32 _alignLength;
	UInt32 _alignPadding;
	bool _propertiesPublished;
	IOLock *_mediumLock;
	IODebuggerLockState _debugLockState;
	SInt32 _debugLockCount;
	OSNumber *_linkStatus;
	OSNumber *_linkSpeed;
	const OSData *_lastLinkData;
	const OSSymbol *_lastActiveMediumName;
	const OSSymbol *_lastCurrentMediumName;
	mbuf_t _freeList;
	ExpansionData *_reserved;

public:
	const IONetworkMedium *getCurrentMedium() const;
	bool setCurrentMedium(const IONetworkMedium *);

protected:
	void reserveDebuggerLock();
	void releaseDebuggerLock();

public:
	/* Slots, in order. */
	virtual IOReturn executeCommand(OSObject *client, Action action, void *target,
					void *param0 = nullptr, void *param1 = nullptr,
					void *param2 = nullptr, void *param3 = nullptr);
	virtual UInt32 outputPacket(mbuf_t packet, void *param);
	virtual UInt32 getFeatures() const;
	virtual const OSString *newVendorString() const;
	virtual const OSString *newModelString() const;
	virtual const OSString *newRevisionString() const;
	virtual const IONetworkMedium *getSelectedMedium() const;
	virtual const OSDictionary *getMediumDictionary() const;
	virtual OSDictionary *copyMediumDictionary() const;
	virtual IOOutputAction getOutputHandler() const;
	virtual IOReturn doEnable(IOService *);
	virtual IOReturn doDisable(IOService *);
	virtual IOCommandGate *getCommandGate() const;
	virtual IOReturn getHardwareAddress(void *, UInt32 *) = 0;
	virtual IOReturn setHardwareAddress(const void *, UInt32) = 0;
	virtual IOReturn enable(IOService *);
	virtual IOReturn disable(IOService *);
	virtual IOReturn setMaxPacketSize(UInt32);
	virtual IOReturn getMaxPacketSize(UInt32 *) const = 0;
	virtual IOReturn getMinPacketSize(UInt32 *) const = 0;
	virtual IOReturn selectMedium(const IONetworkMedium *);
	virtual IOReturn selectMediumWithName(const OSSymbol *);
	virtual IOReturn getPacketFilters(const OSSymbol *group, UInt32 *filters) const = 0;
	virtual IOReturn enablePacketFilter(const OSSymbol *group, UInt32 filter, UInt32 enabled,
					    IOOptionBits options = 0) = 0;
	virtual IOReturn disablePacketFilter(const OSSymbol *group, UInt32 filter, UInt32 enabled,
					     IOOptionBits options = 0) = 0;
	virtual IOOutputQueue *getOutputQueue() const;
	virtual void getPacketBufferConstraints(IOPacketBufferConstraints *) const;
	virtual mbuf_t allocatePacket(UInt32 size);
	virtual mbuf_t copyPacket(const mbuf_t packet, UInt32 size = 0);
	virtual mbuf_t replacePacket(mbuf_t *packet, UInt32 size = 0);
	virtual mbuf_t replaceOrCopyPacket(mbuf_t *packet, UInt32 length, bool *replaced);
	virtual void freePacket(mbuf_t packet, IOOptionBits options = 0);
	virtual UInt32 releaseFreePackets();
	virtual IOReturn getChecksumSupport(UInt32 *support, UInt32 family, bool is_output);
	virtual bool setChecksumResult(mbuf_t packet, UInt32 family, UInt32 result, UInt32 valid,
				       UInt32 param0 = 0, UInt32 param1 = 0);
	virtual void getChecksumDemand(const mbuf_t packet, UInt32 family, UInt32 *demand,
				       void *param0 = nullptr, void *param1 = nullptr);
	virtual bool publishMediumDictionary(const OSDictionary *);
	virtual bool setSelectedMedium(const IONetworkMedium *);
	virtual bool setLinkStatus(UInt32 status, const IONetworkMedium *active = nullptr,
				   UInt64 speed = 0, OSData *data = nullptr);

protected:
	virtual IOReturn registerWithPolicyMaker(IOService *);
	virtual bool createWorkLoop();
	virtual IOReturn prepare();
	virtual bool publishProperties();
	virtual OSObject *getCommandClient() const;
	virtual IOReturn enable(IONetworkInterface *);
	virtual IOReturn disable(IONetworkInterface *);
	virtual bool attachInterface(IONetworkInterface **interface, bool register_it = true);
	virtual void detachInterface(IONetworkInterface *interface, bool synchronous = false);
	virtual IONetworkInterface *createInterface() = 0;
	virtual bool configureInterface(IONetworkInterface *);
	virtual IOOutputQueue *createOutputQueue();
	virtual IOReturn enable(IOKernelDebugger *);
	virtual IOReturn disable(IOKernelDebugger *);
	virtual bool attachDebuggerClient(IOKernelDebugger **);
	virtual void detachDebuggerClient(IOKernelDebugger *);
	virtual void receivePacket(void *packet, UInt32 *length, UInt32 timeout_ms);
	virtual void sendPacket(void *packet, UInt32 length);

private:
	KPI_PADS(IONetworkController, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
	KPI_PADS(IONetworkController, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30,
		 31);

public:
	/* Overrides. */
	bool init(OSDictionary *) override;
	bool start(IOService *provider) override;
	void stop(IOService *provider) override;
	void systemWillShutdown(IOOptionBits specifier) override;
	IOReturn setAggressiveness(unsigned long type, unsigned long level) override;

protected:
	void free() override;
	bool handleOpen(IOService *client, IOOptionBits options, void *arg) override;
	void handleClose(IOService *client, IOOptionBits options) override;
	bool handleIsOpen(const IOService *client) const override;
};

/* ---- Ethernet ---- */

#define kIOEthernetAddressSize	 6
#define kIOEthernetMaxPacketSize 1518 /* with the checksum of 4 bytes */
#define kIOEthernetMinPacketSize 64
#define kIOEthernetCRCSize	 4

struct IOEthernetAddress {
	UInt8 bytes[kIOEthernetAddressSize];
};

class IOEthernetController : public IONetworkController
{
	OSDeclareAbstractStructors(IOEthernetController);
	struct ExpansionData;

	ExpansionData *_reserved;

public:
	/* Slots, in order. */
	virtual IOReturn getPacketFilters(UInt32 *filters) const;
	virtual IOReturn getHardwareAddress(IOEthernetAddress *) = 0;
	virtual IOReturn setHardwareAddress(const IOEthernetAddress *);
	virtual IOReturn setMulticastMode(bool active);
	virtual IOReturn setMulticastList(IOEthernetAddress *addresses, UInt32 count);
	virtual IOReturn setPromiscuousMode(bool active);
	virtual IOReturn setWakeOnMagicPacket(bool active);

protected:
	virtual bool getVlanTagDemand(mbuf_t packet, UInt32 *tag);
	virtual void setVlanTag(mbuf_t packet, UInt32 tag);

private:
	KPI_PADS(IOEthernetController, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17);
	KPI_PADS(IOEthernetController, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31);

public:
	/* Overrides. */
	bool init(OSDictionary *) override;
	IOReturn getPacketFilters(const OSSymbol *group, UInt32 *filters) const override;
	IOReturn enablePacketFilter(const OSSymbol *group, UInt32 filter, UInt32 enabled,
				    IOOptionBits options = 0) override;
	IOReturn disablePacketFilter(const OSSymbol *group, UInt32 filter, UInt32 enabled,
				     IOOptionBits options = 0) override;
	IOReturn getHardwareAddress(void *, UInt32 *) override;
	IOReturn setHardwareAddress(const void *, UInt32) override;
	IOReturn getMaxPacketSize(UInt32 *) const override;
	IOReturn getMinPacketSize(UInt32 *) const override;

protected:
	IONetworkInterface *createInterface() override;
	void free() override;
	bool publishProperties() override;
};

#endif
