/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How services go.
 *
 * Theory of operation. Phase 1, on the thread of who terminates: from the victim downwards services
 * become inactive [XNU-SVC-21]. Phase 2, on a termination thread: from the victim downwards clients
 * are told with willTerminate(), then from the deepest victim upwards with a message and
 * didTerminate() [XNU-SVC-22]. Each in the gate of the victim's work loop. Phase 3: what has no
 * clients is finalised; clients stop, children first, in the gate of their provider, are closed if
 * they did not close, and leave it [XNU-SVC-23]; so the next one has no clients. A client that has
 * its provider open is not stopped before it closes: that ends phase 3 for it, perhaps for ever.
 *
 * One thread at a time does this: one made for it (from 10.15 on one that stays), or one that waits
 * for a synchronous termination [XNU-SVC-24]. What was a victim is kept until a batch is over.
 */
#include "guest/ports/xnu/kpi/workloop.h"
#include "sim/macos/iokit/service_sim.h"
#include "sim/macos/loop/gate.h"

unsigned sim_terminate_limit_ms = 15000; /* [XNU-SVC-25] */

struct stop {
	IOService *client, *provider;
};

/* All retained, and guarded by the mutex. */
static sim_list<IOService *> phase2_list, finalize_list;
static sim_list<struct stop> stop_list;
static unsigned work;	     /* things put on the lists that nobody has seen to */
static bool doing;	     /* some thread is the termination thread ... */
static pthread_t doer;	     /* ... this one */
static bool worker, halting; /* the thread made for it exists; is to end */

/* ---- gates ---- */

/* In the gate of the service's work loop, if it has one. */
static void gated(IOService *service, IOWorkLoop::Action action, void *arg0, void *arg1)
{
	IOWorkLoop *loop = service->getWorkLoop();

	sim_iokit_dawdle();
	if (!loop) {
		action(service, arg0, arg1, nullptr, nullptr);
		return;
	}
	loop->retain();
	loop->runAction(action, service, arg0, arg1);
	loop->release();
}

static OSArray *clients_of(IOService *service)
{
	sim_iokit_hold hold;

	return sim_registry_copy(&sim_service_links(service)->children);
}

static void *options_arg(IOOptionBits options)
{
	return reinterpret_cast<void *>(static_cast<uintptr_t>(options));
}

static IOOptionBits arg_options(void *arg)
{
	return static_cast<IOOptionBits>(reinterpret_cast<uintptr_t>(arg));
}

static IOReturn will_terminate(OSObject *target, void *options, void *list, void *, void *)
{
	IOService *victim = static_cast<IOService *>(target);
	OSArray *clients = clients_of(victim);

	for (unsigned i = 0; i < clients->getCount(); i++) {
		IOService *client = static_cast<IOService *>(clients->getObject(i));

		{
			sim_called called("willTerminate", sim_class_code(client));

			client->willTerminate(victim, arg_options(options));
		}
		client->retain();
		static_cast<sim_list<IOService *> *>(list)->add(client);
	}
	clients->release();
	return kIOReturnSuccess;
}

static IOReturn did_terminate(OSObject *target, void *options, void *, void *, void *)
{
	IOService *victim = static_cast<IOService *>(target);
	OSArray *clients;

	victim->messageClients(kIOMessageServiceIsTerminated, options);
	clients = clients_of(victim);
	for (unsigned i = 0; i < clients->getCount(); i++) {
		IOService *client = static_cast<IOService *>(clients->getObject(i));
		sim_called called("didTerminate", sim_class_code(client));
		bool defer = false;

		client->didTerminate(victim, arg_options(options), &defer);
	}
	clients->release();
	return kIOReturnSuccess;
}

static IOReturn finalize(OSObject *target, void *options, void *, void *, void *)
{
	static_cast<IOService *>(target)->finalize(arg_options(options));
	return kIOReturnSuccess;
}

void sim_stop_and_detach(IOService *client, IOService *provider)
{
	sim_service *data = sim_service_of(client);

	data->base_stopped = false;
	{
		sim_called called("stop", sim_class_code(client));

		client->stop(provider);
	}
	if (!data->base_stopped)
		sim_violation("%s::stop did not call its superclass's",
			      client->getMetaClass()->getClassName());
	if (provider->isOpen(client)) {
		sim_log("%s: stopped with %s open: closed for it\n", sim_service_name(client),
			sim_service_name(provider));
		provider->close(client);
	}
	client->detach(provider);
}

static IOReturn stop_client(OSObject *target, void *client, void *, void *, void *)
{
	sim_stop_and_detach(static_cast<IOService *>(client), static_cast<IOService *>(target));
	return kIOReturnSuccess;
}

/* ---- phase 1 ---- */

/* Before 10.11 a service that another thread makes inactive now is not waited for [XNU-SVC-26]. */
static void wait_phase1(IOService *victim)
{
	uint64_t deadline = sim_iokit_deadline(SIM_FOREVER_NS);
	sim_iokit_hold hold;

	while (sim_release_at_least(11) && sim_service_of(victim)->phase1)
		if (!sim_iokit_wait(deadline))
			sim_violation("the termination of %s does not get through phase 1",
				      sim_service_name(victim));
}

/* True if it was for this call to do. */
static bool make_inactive(IOService *victim)
{
	sim_service *data = sim_service_of(victim, "terminate");
	sim_list<sim_busy_change> told = {};
	bool did;

	victim->lockForArbitration();
	{
		sim_iokit_hold hold;

		did = !(data->state & kIOServiceInactiveState) || (data->recursing && data->phase1);
		if (did) {
			data->state |= kIOServiceInactiveState;
			data->state &= ~static_cast<unsigned>(
				kIOServiceRegisteredState | kIOServiceMatchedState |
				kIOServiceFirstPublishState | kIOServiceFirstMatchState);
			data->recursing = false;
			data->phase1 = true;
			sim_busy_adjust(victim, 1, &told);
		}
	}
	victim->unlockForArbitration();
	sim_busy_tell(&told);
	return did;
}

static void tell_terminated(IOService *victim, IOOptionBits options, sim_list<IOService *> *next)
{
	sim_list<IONotifier *> notifiers = {};
	OSArray *clients;

	sim_notify_collect(victim, gIOTerminatedNotification, 0, &notifiers);
	sim_notify_call_all(victim, &notifiers);
	clients = clients_of(victim);
	for (unsigned i = 0; i < clients->getCount(); i++) {
		IOService *client = static_cast<IOService *>(clients->getObject(i));

		if (client->requestTerminate(victim, options)) {
			client->retain();
			next->add(client);
		}
	}
	clients->release();
}

bool sim_terminate(IOService *service, IOOptionBits options)
{
	sim_list<IOService *> next = {}, mine = {};
	bool first = false;

	service->retain();
	next.add(service);
	while (next.n) {
		IOService *victim = next.at[0];
		bool did = make_inactive(victim);

		next.remove(0);
		if (victim == service)
			first = did;
		if (did) {
			victim->retain();
			mine.add(victim);
			tell_terminated(victim, options, &next);
		} else if (!mine.has(victim)) {
			wait_phase1(victim);
		}
		victim->release();
	}
	for (unsigned i = 0; i < mine.n; i++) {
		sim_iokit_hold hold;

		sim_service_of(mine.at[i])->phase1 = false;
		sim_iokit_changed();
	}
	if (first)
		sim_terminate_phase2(service, options);
	for (unsigned i = 0; i < mine.n; i++)
		mine.at[i]->release();
	mine.clear();
	next.clear();
	return true;
}

/* ---- the work ---- */

static void worker_thread(void *);

/* Mutex held: there is something on a list. */
static void more_work(void)
{
	work++;
	if (halting)
		sim_violation("something is terminated while the Mac is switched off");
	if (!worker) {
		worker = true;
		sim_thread_start("IOServiceTerminateThread", worker_thread, nullptr);
	}
	sim_iokit_changed();
}

void sim_terminate_stop(IOService *client, IOService *provider)
{
	sim_iokit_hold hold;

	client->retain();
	provider->retain();
	stop_list.add({client, provider});
	more_work();
}

void sim_terminate_finalize(IOService *service)
{
	sim_iokit_hold hold;

	service->retain();
	finalize_list.add(service);
	more_work();
}

/* Below here: the mutex is held once, and `unlocked` drops it for a call. */
namespace
{
class unlocked
{
public:
	unlocked()
	{
		pthread_mutex_unlock(&sim_iokit_mutex);
	}
	~unlocked()
	{
		pthread_mutex_lock(&sim_iokit_mutex);
	}
};
} // namespace

/* Held back by its own round of matching, and done by nobody twice. */
static bool enter_phase2(IOService *victim)
{
	sim_service *data = sim_service_of(victim);
	bool enter = (data->state & kIOServiceInactiveState) && !data->phase1 && !data->phase2 &&
		     !data->config;

	if (enter)
		data->phase2 = true;
	return enter;
}

static void do_phase2(IOService *first, IOOptionBits options)
{
	sim_list<IOService *> next = {}, done = {};

	next.add(first);
	while (next.n) {
		IOService *victim = next.at[0];

		next.remove(0);
		if (enter_phase2(victim)) {
			done.insert(0, victim); /* the deepest come first */
			unlocked drop;

			gated(victim, will_terminate, options_arg(options), &next);
		} else {
			unlocked drop;

			victim->release();
		}
	}
	while (done.n) {
		IOService *victim = done.at[0];
		bool leaf;

		done.remove(0);
		sim_service_of(victim)->phase3 = true;
		leaf = !sim_service_links(victim)->children.n;
		unlocked drop;

		gated(victim, did_terminate, options_arg(options), nullptr);
		if (leaf)
			sim_terminate_finalize(victim);
		victim->release();
	}
	next.clear();
	done.clear();
}

/* A client that goes itself is not ready before its own clients have gone [XNU-SVC-27]. */
static bool ready_to_stop(IOService *client)
{
	sim_service *data = sim_service_of(client);

	if (!(data->state & kIOServiceInactiveState))
		return true;
	if (sim_release_at_least(15))
		return data->finalized;
	return !sim_service_links(client)->children.n;
}

/* True if a client was stopped, so that there may be more to finalise. */
static bool stop_one(sim_list<IOService *> *kept)
{
	for (unsigned i = 0; i < stop_list.n; i++) {
		struct stop stop = stop_list.at[i];
		bool attached = sim_service_links(stop.client)->parents.has(stop.provider);

		if (attached && !ready_to_stop(stop.client))
			continue;
		stop_list.remove(i);
		kept->add(stop.client);
		kept->add(stop.provider);
		if (!attached)
			return true; /* queued more than once */
		unlocked drop;

		gated(stop.provider, stop_client, stop.client, nullptr);
		return true;
	}
	return false;
}

static void finalize_all(IOOptionBits options, sim_list<IOService *> *kept)
{
	while (finalize_list.n) {
		IOService *victim = finalize_list.at[0];
		sim_service *data = sim_service_of(victim);
		bool send = !data->finalized;

		finalize_list.remove(0);
		kept->add(victim);
		data->finalized = true;
		unlocked drop;

		if (send)
			gated(victim, finalize, options_arg(options), nullptr);
	}
}

/* As the termination thread, mutex held once. What is released at the end may be freed there. */
static void do_work(IOOptionBits options)
{
	sim_list<IOService *> kept = {};

	while (work) {
		unsigned seen = work;

		while (phase2_list.n) {
			IOService *victim = phase2_list.at[0];

			phase2_list.remove(0);
			do_phase2(victim, options | kIOServiceRequired);
		}
		do {
			finalize_all(options | kIOServiceRequired, &kept);
		} while (stop_one(&kept) || finalize_list.n);
		work -= seen;
	}
	unlocked drop;

	for (unsigned i = 0; i < kept.n; i++)
		kept.at[i]->release();
	kept.clear();
}

static void become(void)
{
	uint64_t deadline = sim_iokit_deadline(SIM_FOREVER_NS);

	while (doing)
		if (!sim_iokit_wait(deadline))
			sim_violation("the termination thread hangs");
	doing = true;
	doer = pthread_self();
}

static void resign(void)
{
	doing = false;
	sim_iokit_changed();
}

static void worker_thread(void *)
{
	sim_iokit_hold hold;

	do {
		become();
		do_work(0);
		resign();
		while (!work && sim_release_at_least(15) && !halting)
			sim_iokit_wait(sim_iokit_deadline(1000000000));
	} while (work);
	worker = false;
	sim_iokit_changed();
}

/* This thread does all the work there is, also of others, and waits for its own victim. */
static void synchronously(IOService *service, IOOptionBits options)
{
	sim_service *data = sim_service_of(service);
	uint64_t deadline = 0;
	bool in_time = true;

	become();
	phase2_list.add(service);
	work++;
	sim_iokit_changed();
	for (;;) {
		do_work(options);
		if (!data->busy)
			break;
		if (!deadline)
			deadline = sim_iokit_deadline(sim_terminate_limit_ms * 1000000ULL);
		resign();
		while (in_time && data->busy && (doing || !work))
			in_time = sim_iokit_wait(deadline);
		if (!in_time) {
			sim_log("%s::terminate(kIOServiceSynchronous) timeout\n",
				service->getName());
			return;
		}
		become();
	}
	resign();
}

void sim_terminate_phase2(IOService *service, IOOptionBits options)
{
	sim_service *data = sim_service_of(service);
	sim_iokit_hold hold;

	if (!(data->state & kIOServiceInactiveState) || data->phase1)
		return;
	service->retain();
	if ((options & kIOServiceSynchronous) && !(doing && pthread_equal(doer, pthread_self()))) {
		service->retain();
		synchronously(service, options);
		service->release();
	} else {
		phase2_list.add(service);
		more_work();
	}
}

bool sim_terminate_idle(void)
{
	return !work && !doing;
}

void sim_terminate_halt(void)
{
	uint64_t deadline = sim_iokit_deadline(SIM_FOREVER_NS / 2);
	sim_iokit_hold hold;

	while (work || doing)
		if (!sim_iokit_wait(deadline))
			sim_violation("the termination thread hangs");
	halting = true;
	sim_iokit_changed();
	while (worker)
		if (!sim_iokit_wait(deadline))
			sim_violation("the termination thread does not end");
	while (stop_list.n) {
		stop_list.at[0].client->release();
		stop_list.at[0].provider->release();
		stop_list.remove(0);
	}
	stop_list.clear();
	phase2_list.clear();
	finalize_list.clear();
	halting = false;
}
