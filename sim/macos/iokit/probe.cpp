/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a registered service to the drivers on it.
 *
 * Theory of operation. registerService() queues a job; a few configuration threads, made and ended
 * at random here, take jobs, so that two services are matched at the same time. A round of matching
 * goes over the personalities for the service's class and the notifiers for a new service in one
 * order, highest score or priority first [XNU-SVC-14]: it calls the notifiers, allocates and probes
 * every driver that fits, and then starts the best of each match category that will start
 * [XNU-SVC-15]. The round is run again if the service was registered again or the catalogue changed
 * meanwhile. The service is busy all along, and cannot reach the second phase of termination.
 */
#include "sim/macos/iokit/catalogue.h"
#include "sim/macos/iokit/notifier.h"
#include "sim/macos/iokit/service_sim.h"
#include "sim/macos/loop/gate.h"

#define CONFIG_THREADS 4
#define SYNC_NS	       (60ULL * 1000000000)

struct candidate {
	IOService *service;
	const OSSymbol *category;
	SInt32 score;
};

static sim_list<IOService *> jobs;
static unsigned threads, idle, working;
static bool halting;

/* ---- drivers ---- */

static IOService *allocate(IOService *nub, OSDictionary *table)
{
	OSString *name = OSDynamicCast(OSString, table->getObject(kIOClassKey));
	OSObject *object = name ? OSMetaClass::allocClassWithName(name) : nullptr;
	IOService *driver = OSDynamicCast(IOService, object);

	if (!name)
		return nullptr;
	if (!object || (!driver && sim_release_at_least(15))) {
		IOLog("Couldn't alloc class \"%s\"\n", name->getCStringNoCopy());
		if (object)
			object->release();
		return nullptr;
	}
	/* Before 10.15 nobody looks, and it is used as one [XNU-SVC-16]. */
	if (!driver)
		sim_violation("%s matched %s, and is no IOService", name->getCStringNoCopy(),
			      sim_service_name(nub));
	return driver;
}

static const OSSymbol *category_of(OSDictionary *table)
{
	OSSymbol *category = OSDynamicCast(OSSymbol, table->getObject(sim_key_category));

	return category ? category : sim_key_default_category;
}

/* Attached for the time of its probe() only [XNU-SVC-17]. What probe() answers is what will start.
 */
static void probe_one(IOService *nub, OSDictionary *table, sim_list<struct candidate> *found)
{
	IOService *driver = allocate(nub, table), *answer;
	const OSSymbol *category = category_of(table);
	SInt32 score = sim_probe_score(table);
	OSNumber *number;

	if (!driver)
		return;
	if (!driver->init(table)) {
		driver->release();
		return;
	}
	if (sim_service_of(nub)->synchronous)
		sim_service_of(driver, "init")->synchronous = true;
	driver->setProperty(sim_key_category, const_cast<OSSymbol *>(category));
	if (!driver->attach(nub)) {
		driver->release();
		return;
	}
	{
		sim_called called("probe", sim_class_code(driver));

		answer = driver->probe(nub, &score);
	}
	driver->detach(nub);
	if (answer) {
		struct candidate candidate = {answer, category, score};
		unsigned at = 0;

		number = OSNumber::withNumber(static_cast<unsigned>(score), 32);
		answer->setProperty(sim_key_score, number);
		number->release();
		answer->retain();
		while (at < found->n && found->at[at].score >= score)
			at++;
		found->insert(at, candidate);
	}
	driver->release();
}

/* A resource by name, a dictionary to match, or a set of these. */
static void wait_resources(IOService *service, OSObject *resource)
{
	OSSet *set = OSDynamicCast(OSSet, resource);
	OSString *name = OSDynamicCast(OSString, resource);
	OSDictionary *table = OSDynamicCast(OSDictionary, resource);

	if (set) {
		OSCollectionIterator *iterator = OSCollectionIterator::withCollection(set);
		OSObject *next;

		while ((next = iterator->getNextObject()))
			wait_resources(service, next);
		iterator->release();
	} else if (name) {
		if (!sim_resources->getProperty(name))
			IOService::waitForService(IOService::resourceMatching(name));
	} else if (table) {
		table->retain();
		IOService::waitForService(table);
	}
}

/* Called with no lock and no gate held; may take its time [XNU-SVC-18]. */
static bool start_one(IOService *nub, IOService *driver)
{
	sim_service *data = sim_service_of(driver, "start");
	uint64_t began;
	bool ok;

	if (!driver->attach(nub))
		return false;
	if (nub != sim_resources) {
		IOService *both[] = {nub, driver};

		for (unsigned i = 0; i < 2; i++) {
			OSObject *resource = both[i]->copyProperty(kIOResourceMatchKey);

			if (resource) {
				wait_resources(both[i], resource);
				resource->release();
			}
		}
	}
	data->base_started = false;
	began = sim_now_ns();
	{
		sim_called called("start", sim_class_code(driver));

		ok = driver->start(nub);
	}
	if (sim_now_ns() - began > 500000000)
		IOLog("%s::start took %llu ms\n", driver->getName(),
		      static_cast<unsigned long long>((sim_now_ns() - began) / 1000000));
	if (ok && !data->base_started)
		sim_violation("%s::start returned true, and did not call its superclass's",
			      driver->getMetaClass()->getClassName());
	if (!ok && nub->isOpen(driver))
		sim_violation("%s::start returned false, and left %s open",
			      driver->getMetaClass()->getClassName(), sim_service_name(nub));
	if (!ok)
		driver->detach(nub);
	return ok;
}

static void start_candidates(IOService *nub, sim_list<struct candidate> *found)
{
	while (found->n) {
		const OSSymbol *category = found->at[sim_random(found->n)].category;
		bool started = false;

		for (unsigned i = 0; i < found->n;) {
			struct candidate candidate = found->at[i];

			if (candidate.category != category) {
				i++;
				continue;
			}
			found->remove(i);
			if (!started)
				started = start_one(nub, candidate.service);
			candidate.service->release();
		}
	}
	found->clear();
}

/* False: it needs a module that is not there yet, and the round is over [XNU-SVC-19]. */
static bool consider(IOService *nub, OSDictionary *personality, sim_list<OSDictionary *> *fit)
{
	IOService *client = nub->copyClientWithCategory(category_of(personality));
	OSString *bundle;
	OSDictionary *table;
	unsigned at = 0;

	if (client) {
		client->release();
		return true;
	}
	table = OSDictionary::withDictionary(personality);
	bundle = OSDynamicCast(OSString, table->getObject("CFBundleIdentifier"));
	if (!sim_match_passive(nub, table, SIM_MATCH_CHANGES)) {
		table->release();
		return true;
	}
	if (bundle && !sim_module_loaded(bundle->getCStringNoCopy())) {
		table->release();
		return false;
	}
	while (at < fit->n && sim_probe_score(fit->at[at]) >= sim_probe_score(table))
		at++;
	fit->insert(at, table);
	return true;
}

static void probe_candidates(IOService *nub, sim_list<OSDictionary *> *tables,
			     sim_list<IONotifier *> *notifiers)
{
	sim_service *data = sim_service_of(nub);
	sim_list<sim_busy_change> told = {};
	sim_list<OSDictionary *> fit = {};
	sim_list<struct candidate> found = {};
	bool loaded = true;
	unsigned t = 0, n = 0;

	while (loaded && (t < tables->n || n < notifiers->n)) {
		if (t == tables->n ||
		    (n < notifiers->n &&
		     sim_notify_priority(notifiers->at[n]) > sim_probe_score(tables->at[t]))) {
			if (!nub->isInactive())
				sim_notify_call(notifiers->at[n], nub);
			n++;
		} else {
			loaded = consider(nub, tables->at[t++], &fit);
		}
	}
	for (unsigned i = 0; i < fit.n; i++) {
		if (loaded)
			probe_one(nub, fit.at[i], &found);
		fit.at[i]->release();
	}
	fit.clear();
	start_candidates(nub, &found);
	{
		sim_iokit_hold hold;

		if (data->stalled == loaded)
			sim_busy_adjust(nub, loaded ? -1 : 1, &told);
		data->stalled = !loaded;
	}
	sim_busy_tell(&told);
}

/* ---- a round ---- */

static void round_of_matching(IOService *service, bool again)
{
	sim_service *data = sim_service_of(service);
	sim_list<IONotifier *> first = {}, publish = {};
	sim_list<OSDictionary *> tables = {};
	bool active;

	{
		sim_iokit_hold hold;

		data->need_config = false;
		active = !(data->state & kIOServiceInactiveState);
	}
	sim_catalogue_find(service, &tables);
	if (active && !(service->getState() & kIOServiceFirstPublishState))
		sim_notify_collect(service, gIOFirstPublishNotification,
				   kIOServiceFirstPublishState, &first);
	if (active && again)
		sim_notify_collect(service, gIOPublishNotification, kIOServiceRegisteredState,
				   &publish);
	sim_notify_call_all(service, &first);
	if (active && (tables.n || publish.n) && service->getResources() == kIOReturnSuccess)
		probe_candidates(service, &tables, &publish);
	for (unsigned i = 0; i < tables.n; i++)
		tables.at[i]->release();
	for (unsigned i = 0; i < publish.n; i++)
		publish.at[i]->release();
	tables.clear();
	publish.clear();
}

static void match(IOService *service)
{
	sim_service *data = sim_service_of(service);
	sim_list<IONotifier *> matched = {}, first = {};
	sim_list<sim_busy_change> told = {};
	bool keep = true, again = true, done = false;

	{
		sim_iokit_hold hold;

		data->config++;
		data->config_running = true;
	}
	while (keep) {
		unsigned generation = sim_catalogue_generation();

		round_of_matching(service, again);
		sim_iokit_hold hold;

		again = data->need_config;
		keep = (again || generation != sim_catalogue_generation()) &&
		       !(data->state & kIOServiceInactiveState);
		done = !data->stalled && !(data->state & kIOServiceInactiveState);
		if (!keep)
			data->config_running = false;
	}
	if (done) {
		bool was = (service->getState() & kIOServiceFirstMatchState) != 0;

		sim_notify_collect(service, gIOMatchedNotification, kIOServiceMatchedState,
				   &matched);
		if (!was)
			sim_notify_collect(service, gIOFirstMatchNotification,
					   kIOServiceFirstMatchState, &first);
		sim_notify_call_all(service, &matched);
		sim_notify_call_all(service, &first);
	}
	{
		sim_iokit_hold hold;

		data->config--;
		/* One that went before its round began has left the registry, and is quiet. */
		if (data->busy)
			sim_busy_adjust(service, -1, &told);
	}
	sim_busy_tell(&told);
	sim_terminate_phase2(service, 0);
}

/* ---- threads ---- */

static void config_thread(void *)
{
	IOService *service;
	unsigned turn;

	for (;;) {
		{
			sim_iokit_hold hold;

			idle++;
			/* An idle one may end as well: another is made when there is work. */
			while (!jobs.n && !halting && (idle == 1 || sim_random(4)))
				sim_iokit_wait(sim_iokit_deadline(1000000000));
			idle--;
			if (!jobs.n) {
				threads--;
				sim_iokit_changed();
				return;
			}
			/* One per thread could be first; so it is any of as many. */
			turn = sim_random(jobs.n < CONFIG_THREADS ? jobs.n : CONFIG_THREADS);
			service = jobs.at[turn];
			jobs.remove(turn);
			working++;
		}
		sim_iokit_dawdle();
		match(service);
		service->release();
		{
			sim_iokit_hold hold;

			working--;
			sim_iokit_changed();
		}
	}
}

bool sim_match_idle(void)
{
	return !jobs.n && !working;
}

static void queue_job(IOService *service)
{
	bool more;

	service->retain();
	{
		sim_iokit_hold hold;

		if (halting)
			sim_violation("%s is registered while the Mac is switched off",
				      sim_service_name(service));
		jobs.add(service);
		more = threads < CONFIG_THREADS && (jobs.n > idle || sim_random(2));
		if (more)
			threads++;
		sim_iokit_changed();
	}
	if (more)
		sim_thread_start("IOConfigThread", config_thread, nullptr);
}

void sim_match_halt(void)
{
	uint64_t deadline = sim_iokit_deadline(SIM_FOREVER_NS / 2);
	sim_iokit_hold hold;

	halting = true;
	sim_iokit_changed();
	while (threads)
		if (!sim_iokit_wait(deadline))
			sim_violation("a configuration thread does not end");
	jobs.clear();
	halting = false;
}

/* ---- registering ---- */

/*
 * Registering again while a round runs makes that round run again, and nothing else [XNU-SVC-20].
 * Synchronous: this thread runs it, and waits until what it set off is over.
 */
void sim_match_start(IOService *service, IOOptionBits options)
{
	sim_service *data = sim_service_of(service, "registerService");
	sim_list<sim_busy_change> told = {};
	IOService *provider = service->getProvider();
	uint64_t deadline = sim_iokit_deadline(SYNC_NS);
	unsigned busy;
	bool sync, need;

	sync = (options & kIOServiceSynchronous) ||
	       (provider && sim_service_of(provider)->synchronous);
	if (options & kIOServiceAsynchronous)
		sync = false;
	{
		sim_iokit_hold hold;

		need = !data->need_config && !data->config_running &&
		       !(data->state & kIOServiceInactiveState);
		data->need_config = !(data->state & kIOServiceInactiveState);
		data->synchronous = sync;
		busy = data->busy;
		if (need)
			sim_busy_adjust(service, 1, &told);
	}
	sim_busy_tell(&told);
	if (!need)
		return;
	if (!sync) {
		queue_job(service);
		return;
	}
	match(service);
	sim_iokit_hold hold;

	while (data->busy > busy && !(data->state & kIOServiceInactiveState))
		if (!sim_iokit_wait(deadline))
			sim_violation("registerService(kIOServiceSynchronous) of %s waits for ever",
				      sim_service_name(service));
}

void IOService::registerService(IOOptionBits options)
{
	IORegistryEntry *top = this;

	sim_may_block("IOService::registerService");
	sim_service_of(this, "registerService");
	while (top && top != getRegistryRoot())
		top = top->getParentEntry(gIOServicePlane);
	if (!top) {
		IOLog("%s: not registry member at registerService()\n", getName());
		return;
	}
	sim_match_start(this, options);
}
