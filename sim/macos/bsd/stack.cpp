/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IONetworkStack, and user space behind it.
 *
 * A published interface gets the stack as a client. A thread that plays user space then gives it a
 * name, a moment later, and has it attached: so there is a time in which an interface exists and
 * nobody takes its packets. When it is terminated, the same thread detaches it and closes it, which
 * lets the termination go on.
 *
 * [XNU-IF-26] Names: the address decides. A card that comes back gets its old number, a new one the
 * lowest that is free.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim/macos/bsd/bsd.h"
#include "sim/macos/bsd/netinterface.h"
#include "sim/macos/core/core.h"
#include "sim/macos/iokit/notifier.h"

OSDefineMetaClassAndStructors(IONetworkStack, IOService)

#define NAMES	  64u
#define NAMING_US 3000u

enum entry_state { NAMING, ATTACHING, ATTACHED, LEAVING };

namespace
{
struct entry {
	struct entry *next;
	IONetworkInterface *netif; /* retained */
	enum entry_state state;
	bool leaves; /* terminated while it was being attached */
};
} // namespace

static IONetworkStack *the_stack;
static IONotifier *notifier;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct entry *entries;
static bool stopping, stopped;
static uint8_t names[NAMES][6]; /* the address that has this number */
static unsigned known;

/* ---- the list; with the lock ---- */

static struct entry **find(const IOService *netif)
{
	struct entry **at = &entries;

	while (*at && (*at)->netif != netif)
		at = &(*at)->next;
	return at;
}

static IONetworkInterface *take_away(struct entry **at)
{
	struct entry *e = *at;
	IONetworkInterface *netif = e->netif;

	*at = e->next;
	free(e);
	pthread_cond_broadcast(&changed);
	return netif;
}

/* ---- events of the I/O Kit ---- */

bool IONetworkStack::init(OSDictionary *properties)
{
	return IOService::init(properties);
}

bool IONetworkStack::published(void *, void *, IOService *service)
{
	IONetworkInterface *netif = OSDynamicCast(IONetworkInterface, service);
	struct entry *e = static_cast<struct entry *>(calloc(1, sizeof(*e)));

	if (!e)
		sim_violation("the host has no memory for an interface");
	if (!netif || !the_stack->attach(netif)) {
		::free(e);
		return true;
	}
	netif->retain();
	e->netif = netif;
	pthread_mutex_lock(&lock);
	e->next = entries;
	entries = e;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return true;
}

/* It serves all interfaces: the end of one is not its end. */
bool IONetworkStack::requestTerminate(IOService *, IOOptionBits)
{
	return false;
}

/* Gated by the controller's loop, so nothing can be waited for: the other thread closes it. */
bool IONetworkStack::didTerminate(IOService *provider, IOOptionBits options, bool *defer)
{
	IONetworkInterface *unnamed = nullptr;
	struct entry **at;
	bool close = false;

	pthread_mutex_lock(&lock);
	at = find(provider);
	if (*at) {
		close = (*at)->state != NAMING;
		if ((*at)->state == ATTACHING)
			(*at)->leaves = true;
		else if ((*at)->state == ATTACHED)
			(*at)->state = LEAVING;
		else if ((*at)->state == NAMING)
			unnamed = take_away(at);
		pthread_cond_broadcast(&changed);
	}
	pthread_mutex_unlock(&lock);
	if (unnamed)
		unnamed->release();
	if (!close)
		return IOService::didTerminate(provider, options, defer);
	*defer = true;
	return true;
}

/* ---- user space ---- */

static unsigned unit_for(const uint8_t mac[6])
{
	char name[16];
	unsigned n = 0;

	while (n < known && memcmp(names[n], mac, 6) != 0)
		n++;
	snprintf(name, sizeof(name), "en%u", n);
	if (n < known && !sim_ifnet_find(name))
		return n;
	if (known == NAMES)
		sim_violation("more than %u network interfaces", NAMES);
	memcpy(names[known], mac, 6);
	return known++;
}

/*
 * [XNU-IF-27] Open, number and name, attach, one round of SIOCSIFFLAGS with the interface down,
 * then it is registered again.
 */
bool IONetworkStack::attachInterface(IONetworkInterface *netif)
{
	OSData *mac = OSDynamicCast(OSData, netif->getController()->getProperty(SIM_KEY_MAC));
	struct mac_if *ifp;
	unsigned unit;
	char name[16];

	if (!mac || mac->getLength() != 6 || !netif->open(this))
		return false;
	unit = unit_for(static_cast<const uint8_t *>(mac->getBytesNoCopy()));
	snprintf(name, sizeof(name), "%s%u", netif->getNamePrefix(), unit);
	netif->lock();
	netif->setUnitNumber(static_cast<UInt16>(unit));
	netif->setInterfaceState(kIONetworkInterfaceOpenedState);
	netif->unlock();
	if (netif->attachToDataLinkLayer(0, name) != kIOReturnSuccess) {
		netif->close(this);
		return false;
	}
	ifp = sim_ifnet(netif->getIfnet());
	netif->performCommand(netif->getController(), SIOCSIFFLAGS, ifp, nullptr);
	netif->setProperty("BSD Name", name);
	netif->setName(name);
	netif->registerService();
	sim_ifnet_publish(ifp);
	return true;
}

void IONetworkStack::detachInterface(IONetworkInterface *netif)
{
	netif->detachFromDataLinkLayer(0, nullptr);
	netif->setInterfaceState(0, kIONetworkInterfaceOpenedState);
	netif->close(this);
}

static struct entry **work(void)
{
	struct entry **at = &entries;

	while (*at && (*at)->state != NAMING && (*at)->state != LEAVING)
		at = &(*at)->next;
	return at;
}

void IONetworkStack::worker(void *)
{
	pthread_mutex_lock(&lock);
	for (;;) {
		struct entry *e = *work();
		IONetworkInterface *netif;
		bool done = false, leaves, defer = false;

		if (!e) {
			if (stopping)
				break;
			pthread_cond_wait(&changed, &lock);
			continue;
		}
		netif = e->netif;
		if (e->state == LEAVING) {
			pthread_mutex_unlock(&lock);
			the_stack->detachInterface(netif);
			pthread_mutex_lock(&lock);
			take_away(find(netif));
		} else {
			struct timespec pause = {0,
						 static_cast<long>(sim_random(NAMING_US)) * 1000};

			e->state = ATTACHING;
			pthread_mutex_unlock(&lock);
			nanosleep(&pause, nullptr);
			done = the_stack->attachInterface(netif);
			pthread_mutex_lock(&lock);
			leaves = e->leaves;
			if (done) {
				e->state = leaves ? LEAVING : ATTACHED;
				continue;
			}
			take_away(find(netif));
			if (leaves) {
				/* Terminated meanwhile, and nothing to close: let it go on. */
				pthread_mutex_unlock(&lock);
				the_stack->IOService::didTerminate(netif, 0, &defer);
				pthread_mutex_lock(&lock);
			}
		}
		pthread_mutex_unlock(&lock);
		netif->release();
		pthread_mutex_lock(&lock);
	}
	stopped = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

/* ---- what programs do ---- */

int IONetworkStack::command(struct mac_if *ifp, unsigned long command, void *data)
{
	return ifp->netif->performCommand(ifp->netif->getController(), command, ifp, data);
}

void IONetworkStack::count(struct mac_if *ifp)
{
	sim_ifnet_count(ifp, ifp->netif->_reserved->stats);
}

/* [XNU-IF-28] Counted by the family: bytes here, packets by what the driver has counted. */
void IONetworkStack::output(struct mac_if *ifp, mbuf_t packet)
{
	IONetworkInterface *netif = ifp->netif;
	OSObject *target = netif->_outTarget;

	pthread_mutex_lock(&ifp->lock);
	ifp->obytes += packet->pkt_len;
	pthread_mutex_unlock(&ifp->lock);
	netif->feedPacketOutputTap(packet);
	(target->*netif->_outAction)(packet, nullptr);
	count(ifp);
}

/* ---- on and off ---- */

void IONetworkStack::boot()
{
	the_stack = new IONetworkStack;
	if (!the_stack || !the_stack->init() || !the_stack->attach(getResourceService()) ||
	    !the_stack->start(getResourceService()))
		sim_violation("IONetworkStack does not start");
	notifier = addNotification(gIOFirstPublishNotification,
				   serviceMatching("IONetworkInterface"), published, nullptr);
	if (!notifier)
		sim_violation("IONetworkStack is not told of interfaces");
	sim_thread_start("network names", worker, nullptr);
}

void sim_bsd_boot(void)
{
	sim_mbuf_boot();
	sim_ifnet_boot();
	IONetworkStack::boot();
	IOService::publishResource("IOBSD");
}

/* Interfaces are gone by now; what their drivers forgot is listed. */
void sim_bsd_halt(void)
{
	struct timespec end;

	notifier->remove();
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 30;
	pthread_mutex_lock(&lock);
	stopping = true;
	pthread_cond_broadcast(&changed);
	while (!stopped) {
		if (pthread_cond_timedwait(&changed, &lock, &end) != 0)
			sim_violation("an interface is still being attached or detached");
	}
	if (entries)
		sim_leak("%s is still attached to the stack", entries->netif->getName());
	pthread_mutex_unlock(&lock);
	the_stack->stop(IOService::getResourceService());
	the_stack->detach(IOService::getResourceService());
	the_stack->release();
	sim_mbuf_halt();
}
