/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Notifications: about services that come and go, and interest in one service.
 *
 * Theory of operation. A notifier is put on the list in the same hold of the mutex in which those
 * services are listed that have reached its state; a service reaches a state in the same hold in
 * which it lists the notifiers. So each meets each once [XNU-REG-10]. What is listed is compared
 * and called without the mutex; a notifier counts the threads inside of its handler, and remove()
 * waits for those of others.
 */
#include "sim/macos/core/core.h"
#include "sim/macos/iokit/notifier.h"
#include "sim/macos/iokit/service_sim.h"
#include "sim/macos/loop/gate.h"

OSDefineMetaClassAndAbstractStructors(IONotifier, OSObject)

extern "C" {
const OSSymbol *gIOPublishNotification;
const OSSymbol *gIOFirstPublishNotification;
const OSSymbol *gIOMatchedNotification;
const OSSymbol *gIOFirstMatchNotification;
const OSSymbol *gIOTerminatedNotification;
const OSSymbol *gIOGeneralInterest;
const OSSymbol *gIOBusyInterest;
}

/* What both kinds share. */
class sim_handler : public IONotifier
{
	OSDeclareAbstractStructors(sim_handler);

public:
	const OSSymbol *type;
	void *target, *refcon;
	bool enabled, listed;
	sim_list<pthread_t> inside;

	bool enter();
	void leave();
	void wait_others();
	virtual void unlist() = 0; /* mutex held */

	void remove() override;
	bool disable() override;
	void enable(bool was) override;
	void free() override;
};
OSDefineMetaClassAndAbstractStructors(sim_handler, IONotifier)

class sim_notifier : public sim_handler
{
	OSDeclareDefaultStructors(sim_notifier);

public:
	OSDictionary *matching;
	IOServiceMatchingNotificationHandler handler;
	IOServiceNotificationHandler plain; /* of addNotification(): instead */
	SInt32 priority;

	void unlist() override;
	void free() override;
};
OSDefineMetaClassAndStructors(sim_notifier, sim_handler)

class sim_interest : public sim_handler
{
	OSDeclareDefaultStructors(sim_interest);

public:
	IOService *service;
	IOServiceInterestHandler handler;

	void unlist() override;
};
OSDefineMetaClassAndStructors(sim_interest, sim_handler)

static sim_list<sim_notifier *> notifiers; /* highest priority first */

/* ---- both ---- */

bool sim_handler::enter()
{
	sim_iokit_hold hold;

	if (enabled)
		inside.add(pthread_self());
	return enabled;
}

void sim_handler::leave()
{
	sim_iokit_hold hold;

	for (unsigned i = 0; i < inside.n; i++) {
		if (pthread_equal(inside.at[i], pthread_self())) {
			inside.remove(i);
			break;
		}
	}
	sim_iokit_changed();
}

void sim_handler::wait_others()
{
	uint64_t deadline = sim_iokit_deadline(SIM_FOREVER_NS);

	for (;;) {
		unsigned others = 0;

		for (unsigned i = 0; i < inside.n; i++)
			if (!pthread_equal(inside.at[i], pthread_self()))
				others++;
		if (!others)
			return;
		if (!sim_iokit_wait(deadline))
			sim_violation("IONotifier::remove waits for ever for a handler of %s",
				      type->getCStringNoCopy());
	}
}

void sim_handler::remove()
{
	bool was;

	sim_may_block("IONotifier::remove");
	{
		sim_iokit_hold hold;

		was = listed;
		enabled = listed = false;
		if (was)
			unlist();
		wait_others();
	}
	if (was)
		release();
	release();
}

bool sim_handler::disable()
{
	sim_may_block("IONotifier::disable");
	sim_iokit_hold hold;
	bool was = enabled;

	enabled = false;
	wait_others();
	return was;
}

void sim_handler::enable(bool was)
{
	sim_iokit_hold hold;

	enabled = was && listed;
}

void sim_handler::free()
{
	inside.clear();
	IONotifier::free();
}

/* ---- services that come and go ---- */

void sim_notifier::unlist()
{
	if (notifiers.has(this))
		notifiers.remove(notifiers.find(this));
}

void sim_notifier::free()
{
	if (matching)
		matching->release();
	sim_handler::free();
}

SInt32 sim_notify_priority(IONotifier *notifier)
{
	return static_cast<sim_notifier *>(notifier)->priority;
}

void sim_notify_collect(IOService *service, const OSSymbol *type, unsigned set,
			sim_list<IONotifier *> *out)
{
	sim_service *data = sim_service_of(service);
	sim_list<IONotifier *> all = {};

	{
		sim_iokit_hold hold;

		if (set && (data->state & kIOServiceInactiveState))
			return;
		data->state |= set;
		for (unsigned i = 0; i < notifiers.n; i++) {
			if (notifiers.at[i]->type == type && notifiers.at[i]->enabled) {
				notifiers.at[i]->retain();
				all.add(notifiers.at[i]);
			}
		}
		sim_iokit_changed();
	}
	for (unsigned i = 0; i < all.n; i++) {
		if (sim_match_passive(service, static_cast<sim_notifier *>(all.at[i])->matching, 0))
			out->add(all.at[i]);
		else
			all.at[i]->release();
	}
	all.clear();
}

void sim_notify_call(IONotifier *notifier, IOService *service)
{
	sim_notifier *self = static_cast<sim_notifier *>(notifier);

	if (!self->enter())
		return;
	sim_called called("a notification handler",
			  self->plain ? sim_code(self->plain) : sim_code(self->handler));

	if (self->plain)
		self->plain(self->target, self->refcon, service);
	else
		self->handler(self->target, self->refcon, service, self);
	self->leave();
}

void sim_notify_call_all(IOService *service, sim_list<IONotifier *> *list)
{
	for (unsigned i = 0; i < list->n; i++) {
		sim_notify_call(list->at[i], service);
		list->at[i]->release();
	}
	list->clear();
}

/* The state a service is in from the moment this is told of it; 0: it is gone by then. */
static unsigned state_of_type(const OSSymbol *type)
{
	if (type == gIOPublishNotification)
		return kIOServiceRegisteredState;
	if (type == gIOFirstPublishNotification)
		return kIOServiceFirstPublishState;
	if (type == gIOMatchedNotification)
		return kIOServiceMatchedState;
	if (type == gIOFirstMatchNotification)
		return kIOServiceFirstMatchState;
	if (type == gIOTerminatedNotification)
		return 0;
	sim_violation("IOService::addMatchingNotification: no notification is called %s",
		      type->getCStringNoCopy());
}

/* Services that are there already are told of on the caller's thread, at once [XNU-REG-11]. */
static IONotifier *install(const OSSymbol *type, OSDictionary *matching,
			   IOServiceMatchingNotificationHandler handler,
			   IOServiceNotificationHandler plain, void *target, void *refcon,
			   SInt32 priority)
{
	sim_notifier *notifier = new sim_notifier;
	sim_list<IOService *> there = {};
	unsigned state = state_of_type(type), at = 0;

	matching->retain();
	notifier->type = type;
	notifier->matching = matching;
	notifier->handler = handler;
	notifier->plain = plain;
	notifier->target = target;
	notifier->refcon = refcon;
	notifier->priority = priority;
	notifier->enabled = notifier->listed = true;
	notifier->retain(); /* the list's; the one it was made with is the caller's */
	notifier->retain(); /* while it is called here: the handler may remove it */
	{
		sim_iokit_hold hold;

		while (at < notifiers.n && notifiers.at[at]->priority >= priority)
			at++;
		notifiers.insert(at, notifier);
		if (state)
			sim_match_snapshot(state, &there);
	}
	for (unsigned i = 0; i < there.n; i++) {
		if (sim_match_passive(there.at[i], matching, 0))
			sim_notify_call(notifier, there.at[i]);
		there.at[i]->release();
	}
	there.clear();
	notifier->release();
	return notifier;
}

IONotifier *IOService::addMatchingNotification(const OSSymbol *type, OSDictionary *matching,
					       IOServiceMatchingNotificationHandler handler,
					       void *target, void *refcon, SInt32 priority)
{
	sim_may_block("IOService::addMatchingNotification");
	if (!type || !matching || !handler || sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	return install(type, matching, handler, nullptr, target, refcon, priority);
}

/* This one takes the caller's reference of the dictionary [XNU-REG-12]. */
IONotifier *IOService::addNotification(const OSSymbol *type, OSDictionary *matching,
				       IOServiceNotificationHandler handler, void *target,
				       void *refcon, SInt32 priority)
{
	IONotifier *notifier;

	sim_may_block("IOService::addNotification");
	if (!type || !matching || !handler || sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	notifier = install(type, matching, nullptr, handler, target, refcon, priority);
	matching->release();
	return notifier;
}

void sim_notify_halt(void)
{
	for (unsigned i = 0; i < notifiers.n; i++)
		sim_leak("a notifier (%s) was not removed",
			 notifiers.at[i]->type->getCStringNoCopy());
	notifiers.clear();
}

/* ---- interest in one service ---- */

void sim_interest::unlist()
{
	sim_list<sim_interest *> *list = &sim_service_of(service)->interests;

	if (list->has(this))
		list->remove(list->find(this));
}

IONotifier *IOService::registerInterest(const OSSymbol *type, IOServiceInterestHandler handler,
					void *target, void *refcon)
{
	sim_interest *interest;

	sim_may_block("IOService::registerInterest");
	if (!handler || (type != gIOGeneralInterest && type != gIOBusyInterest) ||
	    sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	interest = new sim_interest;
	interest->type = type;
	interest->service = this;
	interest->handler = handler;
	interest->target = target;
	interest->refcon = refcon;
	interest->enabled = interest->listed = true;
	{
		sim_iokit_hold hold;

		if (!(sim_service_of(this, "registerInterest")->state & kIOServiceInactiveState)) {
			interest->retain();
			sim_service_of(this)->interests.add(interest);
			return interest;
		}
	}
	interest->release();
	return nullptr;
}

void sim_interest_drop_all(IOService *service)
{
	sim_list<sim_interest *> *list = &sim_service_of(service)->interests;

	for (;;) {
		sim_interest *interest;

		{
			sim_iokit_hold hold;

			if (!list->n)
				return;
			interest = list->at[0];
			list->remove(0);
			interest->listed = interest->enabled = false;
		}
		interest->release();
	}
}

/* Retained copies of the notifiers of a type. */
static OSArray *interests_of(IOService *service, const OSSymbol *type)
{
	OSArray *array = OSArray::withCapacity(1);
	sim_iokit_hold hold;
	sim_list<sim_interest *> *list = &sim_service_of(service, "messageClients")->interests;

	for (unsigned i = 0; i < list->n; i++)
		if (list->at[i]->type == type)
			array->setObject(list->at[i]);
	return array;
}

IOReturn IOService::messageClient(UInt32 type, OSObject *client, void *argument, vm_size_t size)
{
	IOService *service = OSDynamicCast(IOService, client);
	sim_interest *interest = OSDynamicCast(sim_interest, client);
	IOReturn result = kIOReturnSuccess;

	sim_may_block("IOService::messageClient");
	if (service) {
		sim_called called("message", sim_class_code(service));

		return service->message(type, this, argument);
	}
	if (!interest)
		return kIOReturnBadArgument;
	if (interest->enter()) {
		result = interest->handler(interest->target, interest->refcon, type, this, argument,
					   size);
		interest->leave();
	}
	return result;
}

void sim_interest_call(IOService *service, const OSSymbol *type, UInt32 message, void *argument,
		       vm_size_t size, IOReturn *result)
{
	OSArray *array = interests_of(service, type);

	for (unsigned i = 0; i < array->getCount(); i++) {
		IOReturn one = service->messageClient(message, array->getObject(i), argument, size);

		if (one != kIOReturnSuccess && result)
			*result = one;
	}
	array->release();
}

/* All are told, whatever they answer; the last error is the result [XNU-SVC-13]. */
IOReturn sim_message_interested(IOService *service, UInt32 type, void *argument, vm_size_t size,
				const OSObject *except)
{
	IOReturn result = kIOReturnSuccess;
	OSArray *clients;

	{
		sim_iokit_hold hold;

		clients = sim_registry_copy(&sim_service_links(service)->children);
	}
	for (unsigned i = 0; i < clients->getCount(); i++) {
		OSObject *client = clients->getObject(i);
		IOReturn one;

		if (client == except)
			continue;
		one = service->messageClient(type, client, argument, size);
		if (one != kIOReturnSuccess)
			result = one;
	}
	clients->release();
	sim_interest_call(service, gIOGeneralInterest, type, argument, size, &result);
	return result;
}

IOReturn IOService::messageClients(UInt32 type, void *argument, vm_size_t size)
{
	sim_may_block("IOService::messageClients");
	sim_service_of(this, "messageClients");
	return sim_message_interested(this, type, argument, size, nullptr);
}

void IOService::applyToInterested(const OSSymbol *type, OSObjectApplierFunction function,
				  void *context)
{
	OSArray *array;

	if (type == gIOGeneralInterest) {
		{
			sim_iokit_hold hold;

			array = sim_registry_copy(&sim_service_links(this)->children);
		}
		for (unsigned i = 0; i < array->getCount(); i++)
			function(array->getObject(i), context);
		array->release();
	}
	array = interests_of(this, type);
	for (unsigned i = 0; i < array->getCount(); i++)
		function(array->getObject(i), context);
	array->release();
}
