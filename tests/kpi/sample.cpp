/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A network driver that does nothing, with every interface a real one uses: what the compiler makes
 * of kpi/ here is what it will make of the kexts. Compiled and its names looked up, never run.
 */
#include "guest/ports/xnu/kpi/dma.h"
#include "guest/ports/xnu/kpi/kernel.h"
#include "guest/ports/xnu/kpi/kmod.h"
#include "guest/ports/xnu/kpi/netcontroller.h"
#include "guest/ports/xnu/kpi/netinterface.h"

class KpiSampleBase : public IOService
{
	OSDeclareAbstractStructors(KpiSampleBase);

public:
	virtual bool ready() = 0;
};

OSDefineMetaClassAndAbstractStructors(KpiSampleBase, IOService);

class KpiSampleNub : public KpiSampleBase
{
	OSDeclareDefaultStructors(KpiSampleNub);

public:
	bool ready() override;
	IOReturn getInterruptType(int source, int *type) override;
};

OSDefineMetaClassAndStructors(KpiSampleNub, KpiSampleBase);

bool KpiSampleNub::ready()
{
	return !isInactive();
}

IOReturn KpiSampleNub::getInterruptType(int source, int *type)
{
	return getProvider()->getInterruptType(source, type);
}

class KpiSampleNic : public IOEthernetController
{
	OSDeclareDefaultStructors(KpiSampleNic);

public:
	bool start(IOService *provider) override;
	void stop(IOService *provider) override;
	void free() override;
	IOReturn getHardwareAddress(IOEthernetAddress *address) override;
	IOReturn enable(IONetworkInterface *interface) override;
	IOReturn disable(IONetworkInterface *interface) override;
	IOReturn enable(IOKernelDebugger *debugger) override;
	IOReturn disable(IOKernelDebugger *debugger) override;
	IOReturn setMulticastMode(bool active) override;
	IOReturn setMulticastList(IOEthernetAddress *addresses, UInt32 count) override;
	IOReturn setPromiscuousMode(bool active) override;
	IOReturn getMaxPacketSize(UInt32 *size) const override;
	IOReturn setMaxPacketSize(UInt32 size) override;
	IOReturn selectMedium(const IONetworkMedium *medium) override;
	IOReturn getChecksumSupport(UInt32 *support, UInt32 family, bool is_output) override;
	IOReturn registerWithPolicyMaker(IOService *maker) override;
	IOReturn setPowerState(unsigned long state, IOService *whom) override;
	UInt32 getFeatures() const override;
	UInt32 outputPacket(mbuf_t packet, void *param) override;
	bool createWorkLoop() override;
	IOWorkLoop *getWorkLoop() const override;
	IOOutputQueue *createOutputQueue() override;
	bool configureInterface(IONetworkInterface *interface) override;
	void getPacketBufferConstraints(IOPacketBufferConstraints *constraints) const override;
	void receivePacket(void *packet, UInt32 *length, UInt32 timeout_ms) override;
	void sendPacket(void *packet, UInt32 length) override;
	const OSString *newVendorString() const override;

private:
	bool openDevice(IOService *provider);
	bool makeSources();
	bool makeMemory();
	static bool filter(OSObject *owner, IOFilterInterruptEventSource *source);
	static void interrupt(OSObject *owner, IOInterruptEventSource *source, int count);
	static void tick(OSObject *owner, IOTimerEventSource *source);
	static IOReturn gated(OSObject *owner, void *a, void *b, void *c, void *d);

	IOPCIDevice *pci;
	IOMemoryMap *map;
	IOWorkLoop *loop;
	IOCommandGate *gate;
	IOFilterInterruptEventSource *irq;
	IOTimerEventSource *timer;
	IOBufferMemoryDescriptor *memory;
	IODMACommand *dma;
	IOSimpleLock *lock;
	IOEthernetInterface *netif;
	IOKernelDebugger *debugger;
	IONetworkStats *stats;
	SInt32 interrupts;
};

OSDefineMetaClassAndStructors(KpiSampleNic, IOEthernetController);

bool KpiSampleNic::openDevice(IOService *provider)
{
	IOByteCount at = 0;

	pci = OSDynamicCast(IOPCIDevice, provider);
	if (!pci || !pci->open(this))
		return false;
	pci->retain();
	pci->setMemoryEnable(true);
	pci->setBusMasterEnable(true);
	IOLog("id %x, cap %x\n", (unsigned)pci->extendedConfigRead32(kIOPCIConfigVendorID),
	      (unsigned)pci->extendedFindPCICapability(kIOPCIVendorSpecificCapability, &at));
	map = pci->mapDeviceMemoryWithRegister(kIOPCIConfigBaseAddress0, kIOMapInhibitCache);
	if (!map)
		return false;
	pci->ioWrite8(4, pci->ioRead8(4, map), map);
	return map->getAddress() != 0 && map->getSize() >= 0x1000;
}

bool KpiSampleNic::makeSources()
{
	int type;

	gate = IOCommandGate::commandGate(this, gated);
	irq = IOFilterInterruptEventSource::filterInterruptEventSource(this, interrupt, filter,
								       pci);
	timer = IOTimerEventSource::timerEventSource(this, tick);
	if (!gate || !irq || !timer || pci->getInterruptType(0, &type))
		return false;
	loop->addEventSource(gate);
	loop->addEventSource(irq);
	loop->addEventSource(timer);
	irq->enable();
	timer->setTimeoutMS(100);
	return gate->runAction(gated, this) == kIOReturnSuccess;
}

bool KpiSampleNic::makeMemory()
{
	IODMACommand::Segment64 segments[4];
	UInt32 count = 4;
	UInt64 offset = 0;

	memory = IOBufferMemoryDescriptor::inTaskWithPhysicalMask(
		kernel_task, kIODirectionInOut | kIOMemoryPhysicallyContiguous, 8192, ~0xfffULL);
	dma = IODMACommand::withSpecification(kIODMACommandOutputHost64, 64, 0);
	if (!memory || !dma || memory->prepare() || dma->setMemoryDescriptor(memory))
		return false;
	bzero(memory->getBytesNoCopy(), memory->getLength());
	if (dma->gen64IOVMSegments(&offset, segments, &count))
		return false;
	dma->clearMemoryDescriptor();
	return memory->getPhysicalSegment(0, nullptr, 0) == segments[0].fIOVMAddr;
}

bool KpiSampleNic::start(IOService *provider)
{
	OSDictionary *media = OSDictionary::withCapacity(2);
	IONetworkMedium *medium = IONetworkMedium::medium(
		kIOMediumEthernet1000BaseT | kIOMediumOptionFullDuplex, 1000000000ULL);
	OSNumber *number = OSDynamicCast(OSNumber, getProperty("VioQueueSize"));
	char argument[16];

	if (!IOEthernetController::start(provider) || !openDevice(provider) || !makeSources())
		return false;
	if (number)
		setProperty("VioSize", number->unsigned32BitValue(), 32);
	if (PE_parse_boot_argn("vio", argument, sizeof(argument)) && version_major > 12)
		kprintf("%s\n", argument);
	IONetworkMedium::addMedium(media, medium);
	if (!makeMemory() || !publishMediumDictionary(media) ||
	    !attachInterface(reinterpret_cast<IONetworkInterface **>(&netif), false))
		return false;
	attachDebuggerClient(&debugger);
	setLinkStatus(kIONetworkLinkValid | kIONetworkLinkActive, medium, medium->getSpeed());
	netif->registerService();
	medium->release();
	media->release();
	return true;
}

void KpiSampleNic::stop(IOService *provider)
{
	if (debugger)
		detachDebuggerClient(debugger);
	if (netif)
		detachInterface(netif, true);
	irq->disable();
	loop->removeEventSource(irq);
	pci->close(this);
	IOEthernetController::stop(provider);
}

void KpiSampleNic::free()
{
	if (lock)
		IOSimpleLockFree(lock);
	if (loop)
		loop->release();
	if (memory)
		memory->complete();
	IOEthernetController::free();
}

bool KpiSampleNic::filter(OSObject *owner, IOFilterInterruptEventSource *)
{
	KpiSampleNic *self = static_cast<KpiSampleNic *>(owner);
	IOInterruptState state = IOSimpleLockLockDisableInterrupt(self->lock);

	OSIncrementAtomic(&self->interrupts);
	IOSimpleLockUnlockEnableInterrupt(self->lock, state);
	return true;
}

void KpiSampleNic::interrupt(OSObject *owner, IOInterruptEventSource *, int)
{
	KpiSampleNic *self = static_cast<KpiSampleNic *>(owner);
	unsigned chunks = 1;
	mbuf_t packet;

	if (mbuf_allocpacket(MBUF_DONTWAIT, 2048, &chunks, &packet))
		return;
	mbuf_setlen(packet, 60);
	mbuf_pkthdr_setlen(packet, 60);
	mbuf_set_csum_performed(packet, MBUF_CSUM_DID_DATA | MBUF_CSUM_PSEUDO_HDR, 0xffff);
	self->stats->inputPackets++;
	self->netif->inputPacket(packet, 0, IONetworkInterface::kInputOptionQueuePacket);
	self->netif->flushInputQueue();
	self->getOutputQueue()->service(IOBasicOutputQueue::kServiceAsync);
}

void KpiSampleNic::tick(OSObject *, IOTimerEventSource *source)
{
	UInt64 now;

	clock_get_uptime(&now);
	absolutetime_to_nanoseconds(now, &now);
	source->setTimeoutUS(static_cast<UInt32>(now & 0xff));
}

IOReturn KpiSampleNic::gated(OSObject *owner, void *, void *, void *, void *)
{
	KpiSampleNic *self = static_cast<KpiSampleNic *>(owner);

	return self->gate->commandSleep(self, THREAD_UNINT) == THREAD_AWAKENED ? kIOReturnSuccess
									       : kIOReturnAborted;
}

UInt32 KpiSampleNic::outputPacket(mbuf_t packet, void *)
{
	mbuf_tso_request_flags_t tso = 0;
	mbuf_csum_request_flags_t sums = 0;
	uint32_t mss = 0;

	mbuf_get_tso_requested(packet, &tso, &mss);
	mbuf_get_csum_requested(packet, &sums, &mss);
	for (mbuf_t m = packet; m; m = mbuf_next(m))
		if (mbuf_len(m) && !mbuf_data_to_physical(mbuf_data(m)))
			return kIOReturnOutputStall;
	reserveDebuggerLock();
	releaseDebuggerLock();
	freePacket(packet);
	return tso || sums ? kIOReturnOutputSuccess : kIOReturnOutputDropped;
}

bool KpiSampleNic::configureInterface(IONetworkInterface *interface)
{
	IONetworkData *data;

	if (!IOEthernetController::configureInterface(interface))
		return false;
	data = interface->getNetworkData(kIONetworkStatsKey);
	stats = data ? static_cast<IONetworkStats *>(const_cast<void *>(data->getBuffer()))
		     : nullptr;
	return stats != nullptr;
}

IOReturn KpiSampleNic::registerWithPolicyMaker(IOService *maker)
{
	static IOPMPowerState states[2] = {
		{kIOPMPowerStateVersion1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		{kIOPMPowerStateVersion1, kIOPMDeviceUsable, kIOPMPowerOn, kIOPMPowerOn, 0, 0, 0, 0,
		 0, 0, 0, 0},
	};

	return maker->registerPowerDriver(this, states, 2);
}

IOReturn KpiSampleNic::setPowerState(unsigned long, IOService *)
{
	return IOPMAckImplied;
}

bool KpiSampleNic::createWorkLoop()
{
	loop = IOWorkLoop::workLoop();
	lock = IOSimpleLockAlloc();
	return loop && lock;
}

IOWorkLoop *KpiSampleNic::getWorkLoop() const
{
	return loop;
}

IOOutputQueue *KpiSampleNic::createOutputQueue()
{
	return IOGatedOutputQueue::withTarget(this, loop, 1024);
}

void KpiSampleNic::getPacketBufferConstraints(IOPacketBufferConstraints *constraints) const
{
	constraints->alignStart = kIOPacketBufferAlign2;
	constraints->alignLength = kIOPacketBufferAlign1;
}

UInt32 KpiSampleNic::getFeatures() const
{
	return kIONetworkFeatureMultiPages | kIONetworkFeatureTSOIPv4 | kIONetworkFeatureTSOIPv6;
}

const OSString *KpiSampleNic::newVendorString() const
{
	return OSString::withCString("viokit");
}

IOReturn KpiSampleNic::getHardwareAddress(IOEthernetAddress *address)
{
	memset(address->bytes, 2, sizeof(address->bytes));
	return kIOReturnSuccess;
}

IOReturn KpiSampleNic::getChecksumSupport(UInt32 *support, UInt32 family, bool)
{
	if (family != kChecksumFamilyTCPIP)
		return kIOReturnUnsupported;
	*support = kChecksumTCP | kChecksumUDP;
	return kIOReturnSuccess;
}

IOReturn KpiSampleNic::getMaxPacketSize(UInt32 *size) const
{
	*size = 9018;
	return kIOReturnSuccess;
}

IOReturn KpiSampleNic::setMaxPacketSize(UInt32)
{
	return kIOReturnSuccess;
}

IOReturn KpiSampleNic::selectMedium(const IONetworkMedium *medium)
{
	setSelectedMedium(medium);
	return kIOReturnSuccess;
}

IOReturn KpiSampleNic::setMulticastMode(bool)
{
	return kIOReturnSuccess;
}

IOReturn KpiSampleNic::setMulticastList(IOEthernetAddress *, UInt32)
{
	return kIOReturnSuccess;
}

IOReturn KpiSampleNic::setPromiscuousMode(bool)
{
	return kIOReturnSuccess;
}

IOReturn KpiSampleNic::enable(IONetworkInterface *)
{
	getOutputQueue()->start();
	return kIOReturnSuccess;
}

IOReturn KpiSampleNic::disable(IONetworkInterface *)
{
	getOutputQueue()->stop();
	getOutputQueue()->flush();
	return kIOReturnSuccess;
}

IOReturn KpiSampleNic::enable(IOKernelDebugger *)
{
	return kIOReturnSuccess;
}

IOReturn KpiSampleNic::disable(IOKernelDebugger *)
{
	return kIOReturnSuccess;
}

void KpiSampleNic::receivePacket(void *, UInt32 *length, UInt32)
{
	*length = 0;
	IODelay(20);
}

void KpiSampleNic::sendPacket(void *, UInt32)
{
}

KPI_KMOD("org.viokit.KpiSample", "1.0")
