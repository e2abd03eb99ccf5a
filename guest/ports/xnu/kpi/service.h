/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A driver or a nub: found, matched, started, opened, asked for interrupts and memory, stopped.
 */
#ifndef KPI_SERVICE_H
#define KPI_SERVICE_H

#include "pm.h"
#include "registry.h"

/* Options of registerService, terminate and open. */
enum {
	kIOServiceExclusive = 0x1,
	kIOServiceSeize = 0x1,
	kIOServiceRequired = 0x1,
	kIOServiceSynchronous = 0x2,
	kIOServiceTerminate = 0x4,
	kIOServiceAsynchronous = 0x8,
};

/* getState() */
enum {
	kIOServiceInactiveState = 0x1,
	kIOServiceRegisteredState = 0x2,
	kIOServiceMatchedState = 0x4,
	kIOServiceFirstPublishState = 0x8,
	kIOServiceFirstMatchState = 0x10,
};

/* Messages between services and their clients. */
#define KPI_IO_MESSAGE(code)		   ((UInt32)(0xe0000000U | (code)))
#define kIOMessageServiceIsTerminated	   KPI_IO_MESSAGE(0x010)
#define kIOMessageServiceIsSuspended	   KPI_IO_MESSAGE(0x020)
#define kIOMessageServiceIsResumed	   KPI_IO_MESSAGE(0x030)
#define kIOMessageServiceIsRequestingClose KPI_IO_MESSAGE(0x100)
#define kIOMessageServiceIsAttemptingOpen  KPI_IO_MESSAGE(0x101)
#define kIOMessageServiceWasClosed	   KPI_IO_MESSAGE(0x110)
#define kIOMessageServiceBusyStateChange   KPI_IO_MESSAGE(0x120)
#define kIOMessageServicePropertyChange	   KPI_IO_MESSAGE(0x130)
#define kIOMessageDeviceWillPowerOff	   KPI_IO_MESSAGE(0x210)
#define kIOMessageDeviceHasPoweredOn	   KPI_IO_MESSAGE(0x230)
#define kIOMessageSystemWillPowerOff	   KPI_IO_MESSAGE(0x250)
#define kIOMessageSystemWillRestart	   KPI_IO_MESSAGE(0x310)

/* getInterruptType(): one of the first two, or'ed with the third for a message (MSI, MSI-X). */
#define kIOInterruptTypeEdge  0
#define kIOInterruptTypeLevel 1
enum {
	kIOInterruptTypePCIMessaged = 0x00010000,
};

struct IOInterruptSource;

typedef void *IONotificationRef;
typedef void (*IOInterruptAction)(OSObject *target, void *refcon, IOService *nub, int source);
typedef void (*OSObjectApplierFunction)(OSObject *object, void *context);
typedef void (*IOServiceApplierFunction)(IOService *service, void *context);
typedef bool (*IOServiceNotificationHandler)(void *target, void *refcon, IOService *service);
typedef bool (*IOServiceMatchingNotificationHandler)(void *target, void *refcon, IOService *service,
						     IONotifier *notifier);
typedef IOReturn (*IOServiceInterestHandler)(void *target, void *refcon, UInt32 message,
					     IOService *provider, void *argument, vm_size_t size);

extern "C" {
extern const OSSymbol *gIOPublishNotification;
extern const OSSymbol *gIOFirstPublishNotification;
extern const OSSymbol *gIOMatchedNotification;
extern const OSSymbol *gIOFirstMatchNotification;
extern const OSSymbol *gIOTerminatedNotification;
extern const OSSymbol *gIOGeneralInterest;
extern const OSSymbol *gIOBusyInterest;
}

class IOService : public IORegistryEntry
{
	OSDeclareDefaultStructors(IOService);
	struct ExpansionData;

	ExpansionData *reserved;

private:
	IOService *__provider;
	SInt32 __providerGeneration;
	IOService *__owner;
	IOOptionBits __state[2];
	UInt64 __timeBusy;
	UInt64 __accumBusy;
	IOServicePM *pwrMgt;

protected:
	bool initialized;

public:
	void *pm_vars;
	int _numInterruptSources;
	IOInterruptSource *_interruptSources;

	bool isInactive() const;
	IOReturn waitQuiet(UInt64 timeout = ~0ULL);
	static void publishResource(const OSSymbol *key, OSObject *value = nullptr);
	static void publishResource(const char *key, OSObject *value = nullptr);
	static IONotifier *addNotification(const OSSymbol *type, OSDictionary *matching,
					   IOServiceNotificationHandler handler, void *target,
					   void *refcon = nullptr, SInt32 priority = 0);
	static IONotifier *addMatchingNotification(const OSSymbol *type, OSDictionary *matching,
						   IOServiceMatchingNotificationHandler handler,
						   void *target, void *refcon = nullptr,
						   SInt32 priority = 0);
	static IOService *waitForService(OSDictionary *matching,
					 mach_timespec_t *timeout = nullptr);
	static IOService *waitForMatchingService(OSDictionary *matching, UInt64 timeout_ns = ~0ULL);
	static OSIterator *getMatchingServices(OSDictionary *);
	static OSDictionary *serviceMatching(const char *, OSDictionary * = nullptr);
	static OSDictionary *serviceMatching(const OSString *, OSDictionary * = nullptr);
	static OSDictionary *nameMatching(const char *, OSDictionary * = nullptr);
	static OSDictionary *nameMatching(const OSString *, OSDictionary * = nullptr);
	static OSDictionary *resourceMatching(const char *, OSDictionary * = nullptr);
	static OSDictionary *resourceMatching(const OSString *, OSDictionary * = nullptr);
	static OSDictionary *propertyMatching(const OSSymbol *, const OSObject *,
					      OSDictionary * = nullptr);
	static OSDictionary *registryEntryIDMatching(UInt64, OSDictionary * = nullptr);
	static OSDictionary *addLocation(OSDictionary *);
	static IOPlatformExpert *getPlatform();
	static IOService *getServiceRoot();
	static IOService *getResourceService();
	void setCPUSnoopDelay(UInt32);
	UInt32 getCPUSnoopDelay();
	void requireMaxBusStall(UInt32);
	void requireMaxInterruptDelay(uint32_t);
	UInt32 getPowerState();

protected:
	IOReturn changePowerStateToPriv(unsigned long state);
	IOReturn powerOverrideOnPriv();
	IOReturn powerOverrideOffPriv();

public:
	/* Slots, in order. */
	virtual bool requestTerminate(IOService *provider, IOOptionBits options);
	virtual bool willTerminate(IOService *provider, IOOptionBits options);
	virtual bool didTerminate(IOService *provider, IOOptionBits options, bool *defer);
	virtual SInt32 nextIdleTimeout(AbsoluteTime now, AbsoluteTime last_active,
				       unsigned int state);
	virtual void systemWillShutdown(IOOptionBits specifier);
	virtual IOService *copyClientWithCategory(const OSSymbol *);

private:
	KPI_PADS_64(IOService, 0, 1, 2, 3, 4, 5);
	KPI_PADS(IOService, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21);
	KPI_PADS(IOService, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37);
	KPI_PADS(IOService, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47);

public:
	virtual IOOptionBits getState() const;
	virtual void registerService(IOOptionBits options = 0);
	virtual IOService *probe(IOService *provider, SInt32 *score);
	virtual bool start(IOService *provider);
	virtual void stop(IOService *provider);
	virtual bool open(IOService *client, IOOptionBits options = 0, void *arg = nullptr);
	virtual void close(IOService *client, IOOptionBits options = 0);
	virtual bool isOpen(const IOService *client = nullptr) const;
	virtual bool handleOpen(IOService *client, IOOptionBits options, void *arg);
	virtual void handleClose(IOService *client, IOOptionBits options);
	virtual bool handleIsOpen(const IOService *client) const;
	virtual bool terminate(IOOptionBits options = 0);
	virtual bool finalize(IOOptionBits options);
	virtual bool lockForArbitration(bool only_if_active = true);
	virtual void unlockForArbitration();
	virtual bool terminateClient(IOService *client, IOOptionBits options);
	virtual UInt32 getBusyState();
	virtual void adjustBusy(SInt32 delta);
	KPI_VIRTUAL_32 IOReturn waitQuiet(mach_timespec_t *timeout);
	virtual bool matchPropertyTable(OSDictionary *table, SInt32 *score);
	virtual bool matchPropertyTable(OSDictionary *table);
	virtual IOService *matchLocation(IOService *);
	virtual bool addNeededResource(const char *);
	virtual bool compareProperty(OSDictionary *, const char *);
	virtual bool compareProperty(OSDictionary *, const OSString *);
	virtual bool compareProperties(OSDictionary *, OSCollection *);
	virtual bool attach(IOService *provider);
	virtual void detach(IOService *provider);
	virtual IOService *getProvider() const;
	virtual IOWorkLoop *getWorkLoop() const;
	virtual OSIterator *getProviderIterator() const;
	virtual OSIterator *getOpenProviderIterator() const;
	virtual IOService *getClient() const;
	virtual OSIterator *getClientIterator() const;
	virtual OSIterator *getOpenClientIterator() const;
	virtual IOReturn callPlatformFunction(const OSSymbol *function, bool wait, void *param1,
					      void *param2, void *param3, void *param4);
	virtual IOReturn callPlatformFunction(const char *function, bool wait, void *param1,
					      void *param2, void *param3, void *param4);
	virtual IOReturn getResources();
	virtual IOItemCount getDeviceMemoryCount();
	virtual IODeviceMemory *getDeviceMemoryWithIndex(unsigned int index);
	virtual IOMemoryMap *mapDeviceMemoryWithIndex(unsigned int index, IOOptionBits options = 0);
	virtual OSArray *getDeviceMemory();
	virtual void setDeviceMemory(OSArray *);
	virtual IOReturn registerInterrupt(int source, OSObject *target, IOInterruptAction handler,
					   void *refcon = nullptr);
	virtual IOReturn unregisterInterrupt(int source);
	virtual IOReturn getInterruptType(int source, int *type);
	virtual IOReturn enableInterrupt(int source);
	virtual IOReturn disableInterrupt(int source);
	virtual IOReturn causeInterrupt(int source);
	virtual IOReturn requestProbe(IOOptionBits);
	virtual IOReturn message(UInt32 type, IOService *provider, void *argument = nullptr);
	virtual IOReturn messageClient(UInt32 type, OSObject *client, void *argument = nullptr,
				       vm_size_t size = 0);
	virtual IOReturn messageClients(UInt32 type, void *argument = nullptr, vm_size_t size = 0);
	virtual IONotifier *registerInterest(const OSSymbol *type, IOServiceInterestHandler handler,
					     void *target, void *refcon = nullptr);
	virtual void applyToProviders(IOServiceApplierFunction function, void *context);
	virtual void applyToClients(IOServiceApplierFunction function, void *context);
	virtual void applyToInterested(const OSSymbol *type, OSObjectApplierFunction function,
				       void *context);
	virtual IOReturn acknowledgeNotification(IONotificationRef, IOOptionBits);
	virtual IOReturn newUserClient(task_t task, void *security, UInt32 type,
				       OSDictionary *properties, IOUserClient **client);
	virtual IOReturn newUserClient(task_t task, void *security, UInt32 type,
				       IOUserClient **client);
	virtual const char *stringFromReturn(IOReturn);
	virtual int errnoFromReturn(IOReturn);

private:
#ifndef __LP64__
	virtual bool checkResources();
	virtual bool checkResource(OSObject *);
	virtual void probeCandidates(OSOrderedSet *);
	virtual bool startCandidate(IOService *);
#endif

public:
	KPI_VIRTUAL_32 IOService *getClientWithCategory(const OSSymbol *);

private:
#ifndef __LP64__
	virtual bool passiveMatch(OSDictionary *, bool = false);
	virtual void startMatching(IOOptionBits = 0);
	virtual void doServiceMatch(IOOptionBits);
	virtual void doServiceTerminate(IOOptionBits);
	virtual void deliverNotification(const OSSymbol *, IOOptionBits, IOOptionBits);
	virtual void unregisterAllInterest();
	virtual IOReturn waitForState(UInt32, UInt32, mach_timespec_t * = nullptr);
	virtual IOReturn resolveInterrupt(IOService *, int);
	virtual IOReturn lookupInterrupt(int, bool, IOInterruptController **);
#endif

public:
	virtual void PMinit();
	virtual void PMstop();
	virtual void joinPMtree(IOService *driver);
	virtual IOReturn registerPowerDriver(IOService *driver, IOPMPowerState *states,
					     unsigned long count);
	KPI_VIRTUAL_32 IOPMPowerFlags registerInterestedDriver(IOService *);
	KPI_VIRTUAL_32 IOReturn deRegisterInterestedDriver(IOService *);
	KPI_VIRTUAL_32 IOReturn acknowledgePowerChange(IOService *);
	KPI_VIRTUAL_32 IOReturn acknowledgeSetPowerState();
	virtual IOReturn requestPowerDomainState(IOPMPowerFlags, IOPowerConnection *,
						 unsigned long);
	KPI_VIRTUAL_32 IOReturn makeUsable();
	KPI_VIRTUAL_32 IOReturn temporaryPowerClampOn();
	KPI_VIRTUAL_32 IOReturn changePowerStateTo(unsigned long state);
	KPI_VIRTUAL_32 IOPMPowerFlags currentCapability();
	KPI_VIRTUAL_32 unsigned long currentPowerConsumption();
	virtual bool activityTickle(unsigned long type, unsigned long state = 0);
	virtual IOReturn setAggressiveness(unsigned long type, unsigned long level);
	virtual IOReturn getAggressiveness(unsigned long type, unsigned long *level);
#ifndef __LP64__
	virtual IOReturn systemWake();
	virtual IOReturn temperatureCriticalForZone(IOService *);
	virtual IOReturn youAreRoot();
	virtual IOReturn setPowerParent(IOPowerConnection *, bool, IOPMPowerFlags);
#endif
	virtual IOReturn addPowerChild(IOService *);
	virtual IOReturn removePowerChild(IOPowerConnection *);
#ifndef __LP64__
	virtual void command_received(void *, void *, void *, void *);
#endif
	KPI_VIRTUAL_32 void start_PM_idle_timer();
#ifndef __LP64__
	virtual void PM_idle_timer_expiration();
	virtual void PM_Clamp_Timer_Expired();
#endif
	virtual IOReturn setIdleTimerPeriod(unsigned long);
#ifndef __LP64__
	virtual IOWorkLoop *getPMworkloop();
#endif
	virtual IOReturn setPowerState(unsigned long state, IOService *whom);
#ifndef __LP64__
	virtual void clampPowerOn(unsigned long);
#endif
	virtual unsigned long maxCapabilityForDomainState(IOPMPowerFlags);
	virtual unsigned long initialPowerStateForDomainState(IOPMPowerFlags);
	virtual unsigned long powerStateForDomainState(IOPMPowerFlags);
	virtual IOReturn powerStateWillChangeTo(IOPMPowerFlags flags, unsigned long state,
						IOService *whom);
	virtual IOReturn powerStateDidChangeTo(IOPMPowerFlags flags, unsigned long state,
					       IOService *whom);
#ifndef __LP64__
	virtual bool didYouWakeSystem();
	virtual IOReturn newTemperature(long, IOService *);
#endif
	virtual bool askChangeDown(unsigned long);
	virtual bool tellChangeDown(unsigned long);
	virtual void tellNoChangeDown(unsigned long);
	virtual void tellChangeUp(unsigned long);
	virtual IOReturn allowPowerChange(unsigned long);
	virtual IOReturn cancelPowerChange(unsigned long);

protected:
	virtual void powerChangeDone(unsigned long);

public:
	/* Overrides. */
	void free() override;
	bool serializeProperties(OSSerialize *) const override;
};

#endif
