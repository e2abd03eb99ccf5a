/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Services that write down what is done to them: matching, opening, termination, and what must end
 * in a violation.
 */
#include "tests/sim/child.h"

#include "guest/ports/xnu/kpi/kpi.h"
#include "sim/macos/iokit/catalogue.h"
#include "sim/macos/iokit/notifier.h"
#include "sim/macos/iokit/service_sim.h"

#define RAM_LEN	    (16u << 20)
#define SEEDS	    6
#define TREE_ROUNDS 20

/* ---- services ---- */

/* Its name is in the property "who"; how it misbehaves, in others. */
class Thing : public IOService
{
	OSDeclareDefaultStructors(Thing);

public:
	IOWorkLoop *loop;
	static int alive;

	const char *who() const
	{
		OSString *string = OSDynamicCast(OSString, getProperty("who"));

		return string ? string->getCStringNoCopy() : "?";
	}
	bool has(const char *key) const
	{
		return getProperty(key) != nullptr;
	}
	bool init(OSDictionary *properties) override
	{
		if (!IOService::init(properties))
			return false;
		__atomic_add_fetch(&alive, 1, __ATOMIC_SEQ_CST);
		return true;
	}
	void free() override
	{
		if (getPropertyTable()) {
			note("free:%s", who());
			__atomic_sub_fetch(&alive, 1, __ATOMIC_SEQ_CST);
		}
		if (loop)
			loop->release();
		IOService::free();
	}
	IOWorkLoop *getWorkLoop() const override
	{
		return loop ? loop : IOService::getWorkLoop();
	}
	IOService *probe(IOService *provider, SInt32 *score) override
	{
		note("probe:%s", who());
		CHECK(getProvider() == provider);
		if (has("bonus"))
			*score += 1000;
		return has("probe fails") ? nullptr : IOService::probe(provider, score);
	}
	bool start(IOService *provider) override
	{
		note("start:%s", who());
		if (has("no super start"))
			return true;
		if (has("opens") && !provider->open(this))
			return false; /* it is going */
		return IOService::start(provider) && !has("start fails");
	}
	void stop(IOService *provider) override
	{
		note("stop:%s", who());
		CHECK(isInactive());
		CHECK(provider->getWorkLoop()->inGate());
		if (has("no super stop"))
			return;
		IOService::stop(provider);
	}
	bool willTerminate(IOService *provider, IOOptionBits options) override
	{
		note("will:%s", who());
		CHECK(provider->isInactive());
		CHECK(provider->getWorkLoop()->inGate());
		return IOService::willTerminate(provider, options);
	}
	bool didTerminate(IOService *provider, IOOptionBits options, bool *defer) override
	{
		note("did:%s", who());
		CHECK(provider->getWorkLoop()->inGate());
		if (has("closes"))
			provider->close(this);
		return IOService::didTerminate(provider, options, defer);
	}
	IOReturn message(UInt32 type, IOService *provider, void *argument) override
	{
		if (type == kIOMessageServiceIsTerminated)
			note("gone:%s", who());
		else if (type == kIOMessageServiceIsRequestingClose)
			note("please close:%s", who());
		else if (type == kIOMessageServiceIsAttemptingOpen)
			note("attempt:%s", who());
		else if (type == kIOMessageServiceWasClosed)
			note("closed:%s", who());
		return IOService::message(type, provider, argument);
	}
};
int Thing::alive;

class OtherThing : public Thing
{
	OSDeclareDefaultStructors(OtherThing);
};

OSDefineMetaClassAndStructors(Thing, IOService)
OSDefineMetaClassAndStructors(OtherThing, Thing)

static Thing *thing(const char *who, IOService *provider)
{
	Thing *made = new Thing;

	CHECK(made->init(nullptr));
	made->setProperty("who", who);
	made->setName(who);
	if (provider)
		CHECK(made->attach(provider));
	return made;
}

static Thing *nub(const char *who)
{
	return thing(who, IOService::getServiceRoot());
}

static void set_string(OSDictionary *table, const char *key, const char *value)
{
	OSString *string = OSString::withCString(value);

	table->setObject(key, string);
	string->release();
}

static OSDictionary *personality(const char *who, const char *provider, unsigned score)
{
	OSDictionary *table = OSDictionary::withCapacity(8);
	OSNumber *number = OSNumber::withNumber(score, 32);

	set_string(table, kIOClassKey, "OtherThing");
	set_string(table, kIOProviderClassKey, provider);
	set_string(table, "who", who);
	table->setObject(kIOProbeScoreKey, number);
	number->release();
	return table;
}

/* Consumes the tables. */
static void publish(OSDictionary *one, OSDictionary *two = nullptr, OSDictionary *three = nullptr)
{
	OSDictionary *tables[] = {one, two, three};
	OSArray *array = OSArray::withCapacity(3);

	for (unsigned i = 0; i < 3; i++) {
		if (!tables[i])
			continue;
		array->setObject(tables[i]);
		tables[i]->release();
	}
	sim_catalogue_add(array);
	array->release();
}

static void quiet(void)
{
	CHECK(mac_quiet(WAIT_MS));
}

/* ---- children ---- */

static child_body on_a_mac(void (*body)(void), int release, unsigned seed)
{
	return [=] {
		struct mac_config config = child_mac(release, RAM_LEN);

		config.seed = seed;
		CHECK(mac_boot(&config) == 0);
		sim_enter("the test");
		quiet();
		body();
		sim_exit();
		CHECK(mac_halt(stderr) == 0);
		CHECK(Thing::alive == 0);
	};
}

static void fine(void (*body)(void))
{
	static const int releases[] = {6, 9, 11, 15};

	for (unsigned i = 0; i < SEEDS; i++) {
		int release = releases[i % 4];
		char which[32];

		snprintf(which, sizeof(which), "10.%d, seed %u: ", release, i);
		child_works(on_a_mac(body, release, i), which);
	}
}

static void violates(void (*body)(void), const char *words)
{
	child_violates(on_a_mac(body, 15, 1), words);
}

/* ---- matching ---- */

/* All are probed before one is started; the best of a category starts, the others are freed. */
static void body_probe(void)
{
	OSDictionary *third = personality("other", "Thing", 50);
	Thing *a = nub("nub");

	set_string(third, kIOMatchCategoryKey, "Other");
	publish(personality("low", "Thing", 100), personality("high", "Thing", 200), third);
	a->registerService();
	quiet();
	CHECK(!strncmp(diary(), "probe:high probe:low probe:other ", 33));
	CHECK(strstr(diary(), "start:high") && strstr(diary(), "free:low"));
	CHECK(strstr(diary(), "start:other") && !strstr(diary(), "start:low"));
	diary_clear();
	CHECK(mac_registry_count("OtherThing") == 2);
	CHECK(a->terminate(kIOServiceSynchronous));
	a->release();
	quiet();
	CHECK(mac_registry_count("Thing") == 0);
}

static void test_probe(void **)
{
	fine(body_probe);
}

/* One that is not started is followed by the next; probe() may change the order or refuse. */
static void body_scores(void)
{
	OSDictionary *bonus = personality("bonus", "Thing", 1);
	OSDictionary *refuses = personality("refuses", "Thing", 500);
	Thing *a = nub("nub");

	set_string(bonus, "bonus", "");
	set_string(bonus, "start fails", "");
	set_string(refuses, "probe fails", "");
	publish(personality("plain", "Thing", 300), bonus, refuses);
	a->registerService();
	quiet();
	CHECK(noted("probe:refuses free:refuses probe:plain probe:bonus start:bonus free:bonus "
		    "start:plain"));
	/* Once there is a client of the category, nothing is probed. */
	a->registerService();
	quiet();
	CHECK(noted(""));
	CHECK(a->getBusyState() == 0);
	a->terminate();
	a->release();
	quiet();
}

static void test_scores(void **)
{
	fine(body_scores);
}

/* Registered services meet personalities that come later; an equal one sets nothing off. */
static void body_catalogue(void)
{
	OSDictionary *table = personality("late", "Thing", 0);
	Thing *a = nub("nub");

	set_string(table, "start fails", "");
	a->registerService();
	quiet();
	table->retain();
	publish(table);
	quiet();
	CHECK(noted("probe:late start:late free:late"));
	publish(table);
	quiet();
	CHECK(noted(""));
	a->terminate();
	a->release();
	quiet();
}

static void test_catalogue(void **)
{
	fine(body_catalogue);
}

static bool passes(IOService *service, const char *key, OSObject *value)
{
	OSDictionary *table = OSDictionary::withCapacity(1);
	bool ok;

	table->setObject(key, value);
	value->release();
	ok = sim_match_passive(service, table, 0);
	table->release();
	return ok;
}

static OSDictionary *with_number(const char *key, unsigned value)
{
	OSDictionary *table = OSDictionary::withCapacity(1);
	OSNumber *number = OSNumber::withNumber(value, 32);

	table->setObject(key, number);
	number->release();
	return table;
}

static void body_keys(void)
{
	Thing *a = nub("nub"), *b = thing("child", a);
	OSArray *any = OSArray::withCapacity(2);
	OSDictionary *seven = with_number("type", 7), *eight = with_number("type", 8);
	OSDictionary *parent = OSDictionary::withCapacity(1);

	b->setProperty("type", 8, 64);
	b->setLocation("3");
	CHECK(passes(b, kIOProviderClassKey, OSString::withCString("IOService")));
	CHECK(!passes(b, kIOProviderClassKey, OSString::withCString("OtherThing")));
	CHECK(passes(b, kIONameMatchKey, OSString::withCString("child")));
	CHECK(!passes(b, kIONameMatchKey, OSString::withCString("nub")));
	CHECK(passes(b, kIOLocationMatchKey, OSString::withCString("3")));
	CHECK(passes(b, "IOPathMatch", OSString::withCString("IOService:/Mac/nub/child@3")));
	CHECK(passes(b, "who cares", OSString::withCString("")));
	any->setObject(seven);
	any->setObject(eight);
	CHECK(!passes(b, kIOPropertyMatchKey, seven));
	CHECK(passes(b, kIOPropertyMatchKey, eight));
	CHECK(passes(b, kIOPropertyMatchKey, any));
	set_string(parent, kIONameMatchKey, "nub");
	CHECK(passes(b, "IOParentMatch", parent));
	CHECK(!strcmp(b->getName(), "child") && !strcmp(a->getName(), "nub"));
	a->terminate();
	a->release();
	b->release();
	quiet();
}

static void test_keys(void **)
{
	fine(body_keys);
}

/* A module that is not there holds the whole round up, and keeps the service busy. */
static void body_stall(void)
{
	OSDictionary *table = personality("absent", "Thing", 10);
	Thing *a = nub("nub");

	set_string(table, "CFBundleIdentifier", "not.there");
	publish(table, personality("low", "Thing", 5));
	a->registerService();
	CHECK(!mac_quiet(100));
	CHECK(noted("") && a->getBusyState() == 1);
	sim_catalogue_remove("not.there");
	a->registerService();
	quiet();
	CHECK(noted("probe:low start:low"));
	a->terminate();
	a->release();
	quiet();
}

static void test_stall(void **)
{
	fine(body_stall);
}

/* Synchronous: all is over when registerService() returns. */
static void body_synchronous(void)
{
	Thing *a = nub("nub");

	publish(personality("driver", "Thing", 5));
	a->registerService(kIOServiceSynchronous);
	CHECK(noted("probe:driver start:driver"));
	CHECK(a->getBusyState() == 0 && (a->getState() & kIOServiceMatchedState));
	a->terminate(kIOServiceSynchronous);
	a->release();
}

static void test_synchronous(void **)
{
	fine(body_synchronous);
}

/* ---- notifications ---- */

static bool told(void *target, void *, IOService *service, IONotifier *)
{
	note("%s:%s", static_cast<const char *>(target), service->getName());
	return true;
}

static void *label(const char *words)
{
	return const_cast<char *>(words);
}

static void body_notify(void)
{
	OSDictionary *things = IOService::serviceMatching("Thing");
	Thing *a = nub("old"), *b;
	IONotifier *all[4];

	a->registerService();
	quiet();
	all[0] = IOService::addMatchingNotification(gIOPublishNotification, things, told,
						    label("early"), nullptr, 1000);
	CHECK(noted("early:old"));
	all[1] = IOService::addMatchingNotification(gIOPublishNotification, things, told,
						    label("late"), nullptr, 10);
	all[2] = IOService::addMatchingNotification(gIOMatchedNotification, things, told,
						    label("matched"));
	all[3] = IOService::addMatchingNotification(gIOTerminatedNotification, things, told,
						    label("dead"));
	CHECK(noted("late:old matched:old"));
	publish(personality("driver", "Thing", 100));
	quiet();
	diary_clear();
	b = nub("new");
	b->registerService();
	quiet();
	/* Between them comes the driver, by its score; it is told of as well if it registers. */
	CHECK(noted("early:new late:new probe:driver start:driver matched:new"));
	b->terminate(kIOServiceSynchronous);
	CHECK(strstr(diary(), "dead:new"));
	b->release();
	for (unsigned i = 0; i < 4; i++)
		all[i]->remove();
	a->terminate(kIOServiceSynchronous);
	a->release();
	things->release();
}

static void test_notify(void **)
{
	fine(body_notify);
}

static void body_resources(void)
{
	IOService *resources;
	mach_timespec_t nap = {0, 20000000};

	CHECK(!IOService::waitForService(IOService::resourceMatching("Nothing"), &nap));
	IOService::publishResource("Something");
	resources = IOService::waitForService(IOService::resourceMatching("Something"));
	CHECK(resources && resources == IOService::getResourceService());
	quiet();
}

static void test_resources(void **)
{
	fine(body_resources);
}

/* ---- open and close ---- */

static void body_open(void)
{
	Thing *a = nub("nub"), *b = thing("b", a), *c = thing("c", a);
	OSIterator *iterator;

	CHECK(a->open(b));
	CHECK(noted("attempt:c"));
	CHECK(a->isOpen() && a->isOpen(b) && !a->isOpen(c));
	CHECK(!a->open(c));
	diary_clear();
	iterator = a->getOpenClientIterator();
	CHECK(iterator->getNextObject() == b && !iterator->getNextObject());
	iterator->release();
	a->close(b);
	CHECK(noted("closed:c"));
	CHECK(!a->isOpen());
	a->terminate(kIOServiceSynchronous);
	CHECK(!a->open(b)); /* it is gone */
	b->release();
	c->release();
	a->release();
}

static void test_open(void **)
{
	fine(body_open);
}

/* ---- termination ---- */

/* nub, a driver that opened it and closes when told, its nub, and a client of that. */
static void body_order(void)
{
	Thing *a = nub("a"), *b = thing("b", a), *c = thing("c", b), *d = thing("d", c);

	a->loop = IOWorkLoop::workLoop();
	b->setProperty("closes", "");
	b->start(a);
	CHECK(a->open(b));
	diary_clear();
	b->release();
	c->release();
	d->release();
	CHECK(a->terminate(kIOServiceSynchronous));
	/* Down, up, and out. */
	CHECK(!strncmp(diary(),
		       "will:b will:c will:d gone:d did:d gone:c did:c gone:b did:b stop:d stop:c "
		       "stop:b",
		       73));
	CHECK(strstr(diary(), "free:b") && strstr(diary(), "free:c") && strstr(diary(), "free:d"));
	CHECK(a->getBusyState() == 0);
	a->release();
	quiet();
}

static void test_order(void **)
{
	fine(body_order);
}

/* One that keeps its provider open is asked to close, and not stopped until it does. */
static void body_keeps(void)
{
	Thing *a = nub("a"), *b = thing("b", a);

	sim_terminate_limit_ms = 100;
	CHECK(a->open(b));
	CHECK(a->terminate(kIOServiceSynchronous)); /* also if it takes too long */
	CHECK(b->isInactive() && a->isOpen(b));
	CHECK(noted("will:b gone:b did:b please close:b"));
	a->close(b);
	quiet();
	CHECK(noted("stop:b stop:a"));
	b->release();
	a->release();
}

static void test_keeps(void **)
{
	fine(body_keeps);
}

/* The provider stays: the driver is stopped with it open, and it is closed for it. */
static void body_programmatic(void)
{
	OSDictionary *table = personality("driver", "Thing", 5);
	Thing *a = nub("a");
	IOService *driver;

	set_string(table, "opens", "");
	publish(table);
	a->registerService();
	quiet();
	driver = a->getClient();
	CHECK(driver && a->isOpen(driver));
	diary_clear();
	driver->setProperty("CFBundleIdentifier", "a.bundle");
	CHECK(sim_catalogue_terminate("a.bundle") == kIOReturnSuccess);
	CHECK(noted("stop:driver free:driver"));
	CHECK(!a->isOpen() && !a->getClient() && !a->isInactive());
	a->terminate(kIOServiceSynchronous);
	a->release();
}

static void test_programmatic(void **)
{
	fine(body_programmatic);
}

static void *terminates(void *arg)
{
	sim_enter("another");
	static_cast<IOService *>(arg)->terminate(sim_random(2) ? kIOServiceSynchronous : 0);
	sim_exit();
	return nullptr;
}

/* Trees that come and go on several threads, terminated while they are matched. */
static void body_storm(void)
{
	OSDictionary *table = personality("driver", "Thing", 5);

	set_string(table, "opens", "");
	set_string(table, "closes", "");
	publish(table);
	for (unsigned i = 0; i < TREE_ROUNDS; i++) {
		Thing *a = nub("a"), *b = nub("b");
		pthread_t threads[2];

		a->registerService();
		b->registerService();
		if (sim_random(2))
			usleep(sim_random(300));
		pthread_create(&threads[0], nullptr, terminates, a);
		pthread_create(&threads[1], nullptr, terminates, b);
		pthread_join(threads[0], nullptr);
		pthread_join(threads[1], nullptr);
		a->release();
		b->release();
		diary_clear();
	}
	quiet();
}

static void test_storm(void **)
{
	fine(body_storm);
}

/* ---- the registry for programs ---- */

static void body_print(void)
{
	Thing *a = nub("nub");
	char value[64], *printed = nullptr;
	size_t len;
	FILE *out = open_memstream(&printed, &len);

	a->setProperty("number", 16, 32);
	CHECK(mac_registry_count("Thing") == 1 && mac_registry_count("OtherThing") == 0);
	CHECK(mac_registry_get("Thing", "who", value, sizeof(value)) && !strcmp(value, "nub"));
	CHECK(mac_registry_get("Thing", "number", value, sizeof(value)));
	CHECK(strstr(value, "0x10"));
	CHECK(!mac_registry_get("Thing", "nothing", value, sizeof(value)));
	mac_registry_print(out, false);
	fclose(out);
	CHECK(strstr(printed, "+-o nub  <class Thing, id 0x1") && strstr(printed, "\"who\" ="));
	free(printed);
	a->terminate(kIOServiceSynchronous);
	a->release();
}

static void test_print(void **)
{
	fine(body_print);
}

static void body_left(void)
{
	Thing *a = nub("forgotten");

	a->release();
	sim_exit();
	CHECK(mac_halt(stderr) > 0);
	_exit(0);
}

static void test_left(void **)
{
	child_works(on_a_mac(body_left, 9, 0));
	assert_non_null(strstr(child_said(), "\"forgotten\" is still in the registry"));
}

/* ---- interrupts ---- */

static IOReturn count_enable(void *arg, int source)
{
	*static_cast<int *>(arg) += source;
	return kIOReturnSuccess;
}

static void body_interrupts(void)
{
	Thing *a = nub("nub");
	struct sim_interrupt_ops ops = {};
	int sum = 0, type;

	CHECK(a->getInterruptType(0, &type) == kIOReturnNoInterrupt);
	CHECK(a->enableInterrupt(0) == kIOReturnNoInterrupt);
	ops.enable = count_enable;
	sim_interrupts_attach(a, &ops, &sum);
	CHECK(a->enableInterrupt(3) == kIOReturnSuccess && sum == 3);
	a->terminate(kIOServiceSynchronous);
	a->release();
}

static void test_interrupts(void **)
{
	fine(body_interrupts);
}

/* ---- violations ---- */

static void driver_that(const char *fault)
{
	OSDictionary *table = personality("driver", "Thing", 5);
	Thing *a = nub("nub");

	set_string(table, fault, "");
	publish(table);
	a->registerService();
	quiet();
	a->terminate(kIOServiceSynchronous);
	a->release();
}

static void bad_start(void)
{
	driver_that("no super start");
}

static void bad_stop(void)
{
	driver_that("no super stop");
}

static void bad_open_twice(void)
{
	Thing *a = nub("a"), *b = thing("b", a);

	a->open(b);
	a->open(b);
}

static void bad_close(void)
{
	Thing *a = nub("a"), *b = thing("b", a);

	a->close(b);
}

static void bad_attach(void)
{
	Thing *a = nub("a"), *b = thing("b", a);

	b->terminate(kIOServiceSynchronous);
	b->attach(a);
}

static void bad_release(void)
{
	Thing *a = nub("a");

	a->release();
	a->release();
}

static void bad_free_open(void)
{
	Thing *a = thing("a", nullptr), *b = nub("b");

	a->open(b);
	a->release();
}

static void bad_detach_open(void)
{
	Thing *a = nub("a"), *b = thing("b", a);

	a->open(b);
	b->detach(a);
}

static void bad_level(void)
{
	Thing *a = nub("a");

	sim_interrupt_begin();
	a->terminate();
}

static void bad_message(void)
{
	Thing *a = nub("a");

	sim_interrupt_begin();
	a->messageClients(kIOMessageServiceIsSuspended);
}

static void bad_init(void)
{
	Thing *a = new Thing;

	a->attach(IOService::getServiceRoot());
}

static void bad_busy(void)
{
	Thing *a = nub("a");

	a->adjustBusy(-1);
}

static void bad_left_open(void)
{
	OSDictionary *table = personality("driver", "Thing", 5);
	Thing *a = nub("nub");

	set_string(table, "opens", "");
	set_string(table, "start fails", "");
	publish(table);
	a->registerService();
	quiet();
}

static void bad_slot(void)
{
	IORegistryEntry::fromPath("IOService:/");
}

static void test_violations(void **)
{
	violates(bad_start, "OtherThing::start returned true, and did not call its superclass's");
	violates(bad_stop, "OtherThing::stop did not call its superclass's");
	violates(bad_open_twice, "open already");
	violates(bad_close, "IOService::close: Thing");
	violates(bad_attach, "and has been terminated");
	violates(bad_release, "Thing");
	violates(bad_free_open, "is freed while Thing");
	violates(bad_detach_open, "which it has open");
	violates(bad_level, "IOService::terminate");
	violates(bad_message, "IOService::messageClients");
	violates(bad_init, "was not initialised");
	violates(bad_busy, "goes below zero");
	violates(bad_left_open, "start returned false, and left");
	violates(bad_slot, "IORegistryEntry::fromPath is not simulated");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_probe),	   cmocka_unit_test(test_scores),
		cmocka_unit_test(test_catalogue),  cmocka_unit_test(test_keys),
		cmocka_unit_test(test_stall),	   cmocka_unit_test(test_synchronous),
		cmocka_unit_test(test_notify),	   cmocka_unit_test(test_resources),
		cmocka_unit_test(test_open),	   cmocka_unit_test(test_order),
		cmocka_unit_test(test_keeps),	   cmocka_unit_test(test_programmatic),
		cmocka_unit_test(test_storm),	   cmocka_unit_test(test_print),
		cmocka_unit_test(test_left),	   cmocka_unit_test(test_interrupts),
		cmocka_unit_test(test_violations),
	};

	return cmocka_run_group_tests(tests, nullptr, nullptr);
}
