/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The stack's side of a network driver: where received packets go.
 *
 * inputPacket() takes the packet in any case. With kInputOptionQueuePacket it waits for
 * flushInputQueue(); that list has no lock, so both are for one thread at a time.
 */
#ifndef KPI_NETINTERFACE_H
#define KPI_NETINTERFACE_H

#include "netcontroller.h"

struct ifnet;
struct ifnet_init_params;

typedef errno_t (*bpf_packet_func)(ifnet_t, mbuf_t);

/* getInterfaceState() */
enum {
	kIONetworkInterfaceRegisteredState = 0x1,
	kIONetworkInterfaceOpenedState = 0x2,
	kIONetworkInterfaceDisabledState = 0x4,
};

class IONetworkInterface : public IOService
{
	OSDeclareAbstractStructors(IONetworkInterface);

public:
	/* Option of inputPacket(). */
	enum {
		kInputOptionQueuePacket = 0x1,
	};

private:
	friend class IONetworkStack;

protected:
	struct ExpansionData;

private:
	IONetworkController *_controller;
	ifnet_t _backingIfnet;
	IORecursiveLock *_ifLock;
	OSSet *_clientSet;
	OSNumber *_stateBits;
	bpf_packet_func _inputFilterFunc;
	bpf_packet_func _outputFilterFunc;
	OSObject *_outTarget;
	IOOutputAction _outAction;
	UInt32 _clientVar[4];
	OSDictionary *_dataDict;
	mbuf_t _inputQHead;
	mbuf_t _inputQTail;
	UInt32 _inputQCount;
	ExpansionData *_reserved;

public:
	IONetworkData *getParameter(const char *) const;
	bool setExtendedFlags(UInt32, UInt32 = 0);
	void debuggerRegistered();

	/* Slots, in order. */
	virtual bool isPrimaryInterface() const;
	virtual bool init(IONetworkController *);
	virtual bool isRegistered() const;
	virtual UInt32 getInterfaceState() const;
	virtual IONetworkController *getController() const;
	virtual UInt32 inputPacket(mbuf_t packet, UInt32 length = 0, IOOptionBits options = 0,
				   void *param = nullptr);
	virtual UInt32 flushInputQueue();
	virtual UInt32 clearInputQueue();
	virtual bool inputEvent(UInt32 type, void *data);
	virtual bool registerOutputHandler(OSObject *target, IOOutputAction action);
	virtual const char *getNamePrefix() const = 0;
	virtual UInt8 getInterfaceType() const;
	virtual UInt32 getMaxTransferUnit() const;
	virtual UInt16 getFlags() const;
	virtual UInt32 getExtraFlags() const;
	virtual UInt8 getMediaAddressLength() const;
	virtual UInt8 getMediaHeaderLength() const;
	virtual UInt16 getUnitNumber() const;
	virtual bool addNetworkData(IONetworkData *);
	virtual bool removeNetworkData(const OSSymbol *);
	virtual bool removeNetworkData(const char *);
	virtual IONetworkData *getNetworkData(const char *) const;
	virtual IONetworkData *getNetworkData(const OSSymbol *) const;

protected:
	virtual bool setInterfaceType(UInt8);
	virtual bool setMaxTransferUnit(UInt32);
	virtual bool setFlags(UInt16, UInt16 = 0);
	virtual bool setExtraFlags(UInt32, UInt32 = 0);
	virtual bool setMediaAddressLength(UInt8);
	virtual bool setMediaHeaderLength(UInt8);
	virtual bool setUnitNumber(UInt16);
	virtual void lock();
	virtual void unlock();
	virtual bool controllerDidOpen(IONetworkController *);
	virtual void controllerWillClose(IONetworkController *);
	virtual SInt32 performCommand(IONetworkController *controller, unsigned long command,
				      void *arg0, void *arg1);

public:
	virtual ifnet_t getIfnet() const;

protected:
	virtual bool initIfnet(struct ifnet *);
	virtual bool handleClientOpen(IOService *client, IOOptionBits options, void *arg);
	virtual void handleClientClose(IOService *client, IOOptionBits options);
	virtual UInt32 setInterfaceState(UInt32, UInt32 = 0);
	virtual IOReturn controllerWillChangePowerState(IONetworkController *controller,
							IOPMPowerFlags flags, UInt32 state,
							IOService *whom);
	virtual IOReturn controllerDidChangePowerState(IONetworkController *controller,
						       IOPMPowerFlags flags, UInt32 state,
						       IOService *whom);

public:
	virtual IOReturn attachToDataLinkLayer(IOOptionBits options, void *param);
	virtual void detachFromDataLinkLayer(IOOptionBits options, void *param);

protected:
	virtual void feedPacketInputTap(mbuf_t);
	virtual void feedPacketOutputTap(mbuf_t);
	virtual bool initIfnetParams(struct ifnet_init_params *);

private:
	KPI_PADS(IONetworkInterface, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);

public:
	/* Overrides. */
	bool matchPropertyTable(OSDictionary *table, SInt32 *score) override;
	IOReturn setProperties(OSObject *) override;
	IOReturn message(UInt32 type, IOService *provider, void *argument) override;

protected:
	void free() override;
	bool handleOpen(IOService *client, IOOptionBits options, void *arg) override;
	void handleClose(IOService *client, IOOptionBits options) override;
	bool handleIsOpen(const IOService *client) const override;
	IOReturn newUserClient(task_t task, void *security, UInt32 type,
			       IOUserClient **client) override;
	IOReturn powerStateWillChangeTo(IOPMPowerFlags flags, unsigned long state,
					IOService *whom) override;
	IOReturn powerStateDidChangeTo(IOPMPowerFlags flags, unsigned long state,
				       IOService *whom) override;

public:
	bool willTerminate(IOService *provider, IOOptionBits options) override;
	bool serializeProperties(OSSerialize *) const override;
};

class IOEthernetInterface : public IONetworkInterface
{
	OSDeclareDefaultStructors(IOEthernetInterface);
	struct ExpansionData;

private:
	thread_call_t _inputEventThreadCall;
	UInt32 _mcAddrCount;
	bool _ctrEnabled;
	OSDictionary *_supportedFilters;
	OSDictionary *_requiredFilters;
	OSDictionary *_activeFilters;
	bool _controllerLostPower;
	ExpansionData *_reserved;

	/* Slots, in order. */
	KPI_PADS(IOEthernetInterface, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);

public:
	/* Overrides. */
	bool init(IONetworkController *) override;
	const char *getNamePrefix() const override;
	IOReturn setProperties(OSObject *) override;

protected:
	void free() override;
	SInt32 performCommand(IONetworkController *controller, unsigned long command, void *arg0,
			      void *arg1) override;
	bool controllerDidOpen(IONetworkController *) override;
	void controllerWillClose(IONetworkController *) override;
	IOReturn controllerWillChangePowerState(IONetworkController *controller,
						IOPMPowerFlags flags, UInt32 state,
						IOService *whom) override;
	IOReturn controllerDidChangePowerState(IONetworkController *controller,
					       IOPMPowerFlags flags, UInt32 state,
					       IOService *whom) override;

public:
	bool willTerminate(IOService *provider, IOOptionBits options) override;
	IOReturn attachToDataLinkLayer(IOOptionBits options, void *param) override;
	bool inputEvent(UInt32 type, void *data) override;

protected:
	void feedPacketInputTap(mbuf_t) override;
	void feedPacketOutputTap(mbuf_t) override;
	bool initIfnetParams(struct ifnet_init_params *) override;
};

#endif
