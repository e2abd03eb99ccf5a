/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A service's life, its place in the service plane, and what is small.
 */
#include <stdio.h>

#include "guest/ports/xnu/kpi/memory.h"
#include "sim/macos/iokit/service_sim.h"
#include "sim/macos/loop/power.h"

OSDefineMetaClassAndStructors(IOService, IORegistryEntry)
KPI_DEFINE_PADS_64(IOService, 0, 1, 2, 3, 4, 5)
KPI_DEFINE_PADS(IOService, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21)
KPI_DEFINE_PADS(IOService, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37)
KPI_DEFINE_PADS(IOService, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47)

#define DEVICE_MEMORY_KEY "IODeviceMemory"

/*
 * Up to 10.10 IOService has no init() of its own, so a class of a kext goes straight to the
 * registry's: what is private is made when it is first looked at.
 */
sim_service *sim_service_of(const IOService *service, const char *what)
{
	sim_service **at = sim_service_access::of(service), *none = nullptr, *fresh;

	if (!sim_entry_of(service))
		sim_violation("IOService::%s on a %s that was not initialised", what,
			      service->getMetaClass()->getClassName());
	if (__atomic_load_n(at, __ATOMIC_ACQUIRE))
		return *at;
	fresh = static_cast<sim_service *>(calloc(1, sizeof(*fresh)));
	if (!fresh)
		abort();
	if (!__atomic_compare_exchange_n(at, &none, fresh, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE))
		::free(fresh);
	return *at;
}

const char *sim_service_name(const IOService *service)
{
	static thread_local char buffers[4][96];
	static thread_local unsigned turn;
	char *at = buffers[turn++ % 4];
	sim_entry *entry = sim_entry_of(service);

	snprintf(at, sizeof(buffers[0]), "%s 0x%llx", service->getMetaClass()->getClassName(),
		 entry ? entry->id : 0);
	return at;
}

/* ---- life ---- */

void IOService::free()
{
	if (reserved && reserved->owner)
		sim_violation("%s is freed while %s has it open", sim_service_name(this),
			      sim_service_name(reserved->owner));
	if (reserved && reserved->arbitrations)
		sim_violation("%s is freed with its arbitration lock held", sim_service_name(this));
	if (reserved && (reserved->config || reserved->need_config) &&
	    !(reserved->state & kIOServiceInactiveState))
		sim_violation("%s is freed while it is matched", sim_service_name(this));
	if (reserved) {
		sim_interest_drop_all(this);
		reserved->interests.clear();
	}
	if (pwrMgt)
		sim_power_free(pwrMgt);
	pwrMgt = nullptr;
	::free(reserved);
	reserved = nullptr;
	IORegistryEntry::free();
}

IOService *IOService::probe(IOService *, SInt32 *)
{
	return this;
}

/* Only says that it was reached: what a driver must not leave out [XNU-SVC-1]. */
bool IOService::start(IOService *)
{
	sim_service_of(this, "start")->base_started = true;
	return true;
}

void IOService::stop(IOService *)
{
	sim_service_of(this, "stop")->base_stopped = true;
}

IOOptionBits IOService::getState() const
{
	return __atomic_load_n(&sim_service_of(this, "getState")->state, __ATOMIC_SEQ_CST);
}

bool IOService::isInactive() const
{
	return (getState() & kIOServiceInactiveState) != 0;
}

/* ---- the service plane ---- */

/*
 * Nobody is attached to a provider that has gone [XNU-SVC-2]. A service without a provider is the
 * root of the plane.
 */
bool IOService::attach(IOService *provider)
{
	sim_list<sim_busy_change> told = {};
	sim_service *up;
	bool ok = false;

	sim_may_block("IOService::attach");
	sim_service_of(this, "attach");
	if (!provider)
		return attachToParent(getRegistryRoot(), gIOServicePlane);
	if (provider == this)
		sim_violation("%s is attached to itself", sim_service_name(this));
	up = sim_service_of(provider, "attach (its provider)");
	provider->lockForArbitration();
	{
		sim_iokit_hold hold;
		bool only = !sim_service_links(this)->parents.n;

		if (!(up->state & kIOServiceInactiveState)) {
			if (reserved->state & kIOServiceInactiveState)
				sim_violation("%s is attached to %s, and has been terminated",
					      sim_service_name(this), sim_service_name(provider));
			ok = sim_registry_link(provider, this, gIOServicePlane->index);
			if (ok && only && reserved->busy)
				sim_busy_adjust(provider, 1, &told);
			sim_iokit_changed();
		}
	}
	provider->unlockForArbitration();
	sim_busy_tell(&told);
	return ok;
}

/* A terminated provider goes on to its own end when the last client leaves it [XNU-SVC-3]. */
void IOService::detach(IOService *provider)
{
	sim_list<sim_busy_change> told = {};
	sim_service *up = sim_service_of(provider, "detach (its provider)");
	bool was, finalize;

	sim_may_block("IOService::detach");
	sim_service_of(this, "detach");
	if (up->owner == this)
		sim_violation("%s is detached from %s, which it has open", sim_service_name(this),
			      sim_service_name(provider));
	provider->retain();
	{
		sim_iokit_hold hold;
		struct sim_links *links = sim_service_links(this);
		unsigned busy = reserved->busy;
		bool counted = busy && links->parents.n && links->parents.at[0] == provider;

		was = sim_registry_unlink(provider, this, gIOServicePlane->index);
		if (busy && reserved->phase3 && !links->parents.n)
			sim_busy_adjust(this, -static_cast<int>(busy), &told);
		if (was && counted && links->parents.n)
			sim_busy_adjust(static_cast<IOService *>(links->parents.at[0]), 1, &told);
		if (was && counted)
			sim_busy_adjust(provider, -1, &told);
		finalize = was && up->phase3 && !sim_service_links(provider)->children.n;
		sim_iokit_changed();
	}
	sim_busy_tell(&told);
	if (finalize)
		sim_terminate_finalize(provider);
	if (was)
		sim_registry_unlinked(provider, this);
	provider->release();
}

IOService *IOService::getProvider() const
{
	IORegistryEntry *parent = getParentEntry(gIOServicePlane);

	return OSDynamicCast(IOService, parent);
}

IOService *IOService::getClient() const
{
	return static_cast<IOService *>(getChildEntry(gIOServicePlane));
}

OSIterator *IOService::getProviderIterator() const
{
	return getParentIterator(gIOServicePlane);
}

OSIterator *IOService::getClientIterator() const
{
	return getChildIterator(gIOServicePlane);
}

/* Those clients that have this open, or those providers that this has open. */
static OSIterator *open_ones(const IOService *service, bool providers)
{
	OSIterator *all = providers ? service->getProviderIterator() : service->getClientIterator();
	OSArray *open = OSArray::withCapacity(1);
	OSIterator *iterator;
	OSObject *next;

	while (all && (next = all->getNextObject())) {
		IOService *other = OSDynamicCast(IOService, next);

		if (other && (providers ? other->isOpen(service) : service->isOpen(other)))
			open->setObject(other);
	}
	if (all)
		all->release();
	iterator = OSCollectionIterator::withCollection(open);
	open->release();
	return iterator;
}

OSIterator *IOService::getOpenProviderIterator() const
{
	return open_ones(this, true);
}

OSIterator *IOService::getOpenClientIterator() const
{
	return open_ones(this, false);
}

static void apply(OSIterator *iterator, IOServiceApplierFunction function, void *context)
{
	OSObject *next;

	while (iterator && (next = iterator->getNextObject())) {
		IOService *service = OSDynamicCast(IOService, next);

		if (service)
			function(service, context);
	}
	if (iterator)
		iterator->release();
}

void IOService::applyToProviders(IOServiceApplierFunction function, void *context)
{
	apply(getProviderIterator(), function, context);
}

void IOService::applyToClients(IOServiceApplierFunction function, void *context)
{
	apply(getClientIterator(), function, context);
}

/* A client that has been terminated does not count [XNU-SVC-4]. */
IOService *IOService::copyClientWithCategory(const OSSymbol *category)
{
	OSArray *clients;
	IOService *found = nullptr;

	{
		sim_iokit_hold hold;

		clients = sim_registry_copy(&sim_service_links(this)->children);
	}
	for (unsigned i = 0; !found && i < clients->getCount(); i++) {
		IOService *client = static_cast<IOService *>(clients->getObject(i));
		OSObject *value =
			client->isInactive() ? nullptr : client->copyProperty(sim_key_category);

		if (value && value == category)
			found = client;
		if (value)
			value->release();
	}
	if (found)
		found->retain();
	clients->release();
	return found;
}

IOService *IOService::getClientWithCategory(const OSSymbol *category)
{
	IOService *client = copyClientWithCategory(category);

	if (client)
		client->release();
	return client;
}

/* The provider's, and so on up to the platform's [XNU-SVC-5]. */
IOWorkLoop *IOService::getWorkLoop() const
{
	IOService *provider = getProvider();

	return provider ? provider->getWorkLoop() : nullptr;
}

IOService *IOService::getServiceRoot()
{
	return sim_platform;
}

IOService *IOService::getResourceService()
{
	return sim_resources;
}

IOPlatformExpert *IOService::getPlatform()
{
	sim_violation("IOService::getPlatform is not simulated");
}

/* ---- resources ---- */

IOReturn IOService::getResources()
{
	return kIOReturnSuccess;
}

OSArray *IOService::getDeviceMemory()
{
	return OSDynamicCast(OSArray, getProperty(DEVICE_MEMORY_KEY));
}

void IOService::setDeviceMemory(OSArray *array)
{
	setProperty(DEVICE_MEMORY_KEY, array);
}

IOItemCount IOService::getDeviceMemoryCount()
{
	OSArray *array = getDeviceMemory();

	return array ? array->getCount() : 0;
}

IODeviceMemory *IOService::getDeviceMemoryWithIndex(unsigned int index)
{
	OSArray *array = getDeviceMemory();

	OSObject *memory = array ? array->getObject(index) : nullptr;

	/* Device memory is of another class than its name says [XNU-MEM-7]. */
	return static_cast<IODeviceMemory *>(OSDynamicCast(IOMemoryDescriptor, memory));
}

IOMemoryMap *IOService::mapDeviceMemoryWithIndex(unsigned int index, IOOptionBits options)
{
	IODeviceMemory *memory = getDeviceMemoryWithIndex(index);

	return memory ? memory->map(options) : nullptr;
}

/* A driver handed one resource or a dictionary to match; it becomes a set [XNU-SVC-6]. */
bool IOService::addNeededResource(const char *key)
{
	OSObject *now = copyProperty(kIOResourceMatchKey);
	OSSet *set = OSDynamicCast(OSSet, now);
	OSString *string;
	bool ok;

	if (!now)
		return false;
	string = OSString::withCString(key);
	if (set) {
		set->retain();
	} else {
		set = OSSet::withCapacity(2);
		set->setObject(now);
	}
	set->setObject(string);
	ok = setProperty(kIOResourceMatchKey, set);
	set->release();
	string->release();
	now->release();
	return ok;
}

/* ---- what a driver may override ---- */

IOReturn IOService::callPlatformFunction(const OSSymbol *function, bool wait, void *param1,
					 void *param2, void *param3, void *param4)
{
	IOService *provider = getProvider();

	if (!provider)
		return kIOReturnUnsupported;
	return provider->callPlatformFunction(function, wait, param1, param2, param3, param4);
}

IOReturn IOService::callPlatformFunction(const char *function, bool wait, void *param1,
					 void *param2, void *param3, void *param4)
{
	const OSSymbol *symbol = OSSymbol::withCString(function);
	IOReturn result = callPlatformFunction(symbol, wait, param1, param2, param3, param4);

	symbol->release();
	return result;
}

IOReturn IOService::requestProbe(IOOptionBits)
{
	return kIOReturnUnsupported;
}

IOReturn IOService::message(UInt32, IOService *, void *)
{
	return kIOReturnUnsupported;
}

IOReturn IOService::acknowledgeNotification(IONotificationRef, IOOptionBits)
{
	return kIOReturnUnsupported;
}

IOReturn IOService::newUserClient(task_t, void *, UInt32, OSDictionary *, IOUserClient **)
{
	return kIOReturnUnsupported;
}

IOReturn IOService::newUserClient(task_t, void *, UInt32, IOUserClient **)
{
	return kIOReturnUnsupported;
}

bool IOService::serializeProperties(OSSerialize *s) const
{
	return IORegistryEntry::serializeProperties(s);
}

void IOService::setCPUSnoopDelay(UInt32)
{
	sim_violation("IOService::setCPUSnoopDelay is not simulated");
}

UInt32 IOService::getCPUSnoopDelay()
{
	sim_violation("IOService::getCPUSnoopDelay is not simulated");
}

void IOService::requireMaxBusStall(UInt32)
{
	sim_violation("IOService::requireMaxBusStall is not simulated");
}

void IOService::requireMaxInterruptDelay(uint32_t)
{
	sim_violation("IOService::requireMaxInterruptDelay is not simulated");
}

/* ---- results ---- */

#define DARWIN_EIO 5

/* The numbers are Darwin's. What has none of its own is EIO [XNU-SVC-7]. */
static const struct {
	IOReturn code;
	int number;
	const char *text;
} results[] = {
	{kIOReturnSuccess, 0, "success"},
	{kIOReturnError, DARWIN_EIO, "general error"},
	{kIOReturnNoMemory, 12, "memory allocation error"},
	{kIOReturnNoResources, DARWIN_EIO, "resource shortage"},
	{kIOReturnNoDevice, 6, "no such device"},
	{kIOReturnNotPrivileged, 13, "privilege violation"},
	{kIOReturnBadArgument, 22, "invalid argument"},
	{kIOReturnExclusiveAccess, 13, "device is already open exclusively"},
	{kIOReturnUnsupported, 45, "unsupported function"},
	{kIOReturnVMError, 14, "virtual memory error"},
	{kIOReturnInternalError, DARWIN_EIO, "internal driver error"},
	{kIOReturnIOError, 5, "I/O error"},
	{kIOReturnCannotLock, 77, "cannot acquire lock"},
	{kIOReturnNotOpen, DARWIN_EIO, "device is not open"},
	{kIOReturnNotWritable, 30, "device is not writeable"},
	{kIOReturnNotAligned, 22, "alignment error"},
	{kIOReturnStillOpen, 17, "device is still open"},
	{kIOReturnBusy, 16, "device is busy"},
	{kIOReturnTimeout, 60, "I/O timeout"},
	{kIOReturnOffline, DARWIN_EIO, "device is offline"},
	{kIOReturnNotReady, 16, "device is not ready"},
	{kIOReturnNoSpace, 28, "no space on device"},
	{kIOReturnNoInterrupt, DARWIN_EIO, "no interrupt attached"},
	{kIOReturnMessageTooLarge, 40, "oversized message"},
	{kIOReturnNotPermitted, 1, "not permitted"},
	{kIOReturnNoPower, 82, "device has no power"},
	{kIOReturnDeviceError, 83, "device error"},
};

const char *IOService::stringFromReturn(IOReturn code)
{
	for (unsigned i = 0; i < sizeof(results) / sizeof(results[0]); i++)
		if (results[i].code == code)
			return results[i].text;
	return "unknown";
}

int IOService::errnoFromReturn(IOReturn code)
{
	for (unsigned i = 0; i < sizeof(results) / sizeof(results[0]); i++)
		if (results[i].code == code)
			return results[i].number;
	return DARWIN_EIO;
}
