/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Power: the order of things in the tree, what is waited for, and what is not done any more.
 */
#include "tests/sim/loop_kit.h"

#include "guest/ports/xnu/kpi/service.h"

class Node : public IOService
{
	OSDeclareDefaultStructors(Node);

public:
	const char *label;
	unsigned delay_ms;
	IOReturn later;	     /* acknowledges never, if not 0 */
	volatile int called; /* setPowerState() */
	bool ack;
	bool deaf; /* keeps systemWillShutdown() to itself */

	static Node *make(const char *label, IOService *provider, bool wish);
	void end()
	{
		PMstop();
		if (getProvider())
			detach(getProvider());
		release();
	}
	void free() override
	{
		note("%s.freed", label);
		IOService::free();
	}
	IOReturn setPowerState(unsigned long state, IOService *whom) override
	{
		CHECK(whom == this);
		CHECK(!strcmp(sim_cpu()->name, "a thread-call thread"));
		__atomic_add_fetch(&called, 1, __ATOMIC_SEQ_CST);
		if (delay_ms)
			usleep(delay_ms * 1000);
		note("%s.set%lu", label, state);
		if (ack)
			acknowledgeSetPowerState();
		return later;
	}
	void systemWillShutdown(IOOptionBits what) override
	{
		CHECK(what == kIOMessageSystemWillRestart);
		note("%s.bye", label);
		if (!deaf)
			IOService::systemWillShutdown(what);
	}
	void wish(unsigned long state)
	{
		CHECK(changePowerStateToPriv(state) == IOPMNoErr);
	}
};

OSDefineMetaClassAndStructors(Node, IOService)

class Listener : public Node
{
	OSDeclareDefaultStructors(Listener);

public:
	IOReturn powerStateWillChangeTo(IOPMPowerFlags flags, unsigned long, IOService *) override
	{
		note("%s.will%d", label, (flags & kIOPMDeviceUsable) != 0);
		return kIOPMAckImplied;
	}
	IOReturn powerStateDidChangeTo(IOPMPowerFlags flags, unsigned long, IOService *) override
	{
		note("%s.did%d", label, (flags & kIOPMDeviceUsable) != 0);
		return kIOPMAckImplied;
	}
};

OSDefineMetaClassAndStructors(Listener, Node)

static IOPMPowerState states[2] = {
	{kIOPMPowerStateVersion1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
	{kIOPMPowerStateVersion1, kIOPMDeviceUsable, kIOPMPowerOn, kIOPMPowerOn, 0, 0, 0, 0, 0, 0,
	 0, 0},
};

static void quiet()
{
	CHECK(child_wait([] { return sim_power_idle(); }));
}

Node *Node::make(const char *label, IOService *provider, bool wish)
{
	Node *node = new Node;

	node->label = label;
	CHECK(node->init(nullptr));
	CHECK(node->registerPowerDriver(node, states, 2) == IOPMNotYetInitialized);
	if (provider)
		CHECK(node->attach(provider));
	node->PMinit();
	(provider ? provider : node)->joinPMtree(node);
	CHECK(node->registerPowerDriver(node, states, 2) == IOPMNoErr);
	if (wish)
		node->wish(1);
	return node;
}

static void power_order()
{
	Node *pci = Node::make("pci", nullptr, false), *driver, *nub, *card;
	Listener *interface = new Listener;

	driver = Node::make("driver", pci, true);
	nub = Node::make("nub", driver, true);
	/* Never wishes for anything: it keeps what it was given first. */
	card = Node::make("card", nub, false);
	interface->label = "if";
	CHECK(interface->init(nullptr));
	CHECK(card->registerInterestedDriver(interface) == kIOPMDeviceUsable);
	quiet();
	CHECK(noted("pci.set1 driver.set1 nub.set1 card.set1"));
	CHECK(card->getPowerState() == 1 && card->currentCapability() == kIOPMDeviceUsable);

	CHECK(mac_sleep() == 0);
	CHECK(noted("if.will0 card.set0 if.did0 nub.set0 driver.set0 pci.set0"));
	CHECK(mac_sleep() == -EALREADY);
	driver->wish(1); /* but the system sleeps */
	quiet();
	CHECK(noted("") && driver->getPowerState() == 0);
	CHECK(mac_wake() == 0);
	CHECK(noted("pci.set1 driver.set1 nub.set1 if.will1 card.set1 if.did1"));

	CHECK(card->deRegisterInterestedDriver(interface) == IOPMNoErr);
	CHECK(mac_sleep() == 0);
	CHECK(mac_wake() == 0);
	CHECK(!strstr(diary(), "if."));
	diary_clear();

	card->end();
	quiet();
	CHECK(noted("card.freed"));
	nub->end();
	driver->end();
	quiet();
	/* Nobody needs the one below any more, and it never wished. */
	CHECK(!strstr(diary(), "driver.set"));
	diary_clear();
	interface->release();
	pci->end();
	quiet();
	diary_clear();
}

static void test_power_order(void **)
{
	run(6, power_order, nullptr);
	run(15, power_order, nullptr);
}

static void sleep_now(void *)
{
	mac_sleep();
}

static void power_stop()
{
	Node *node = Node::make("a", nullptr, false);

	quiet();
	diary_clear();
	node->delay_ms = 100;
	node->called = 0;
	sim_thread_start("going to sleep", sleep_now, nullptr);
	CHECK(wait_for(&node->called, 1));
	node->PMstop(); /* waits for the callout */
	CHECK(!strncmp(diary(), "a.set0", 6));
	quiet();
	diary_clear();
	CHECK(mac_wake() == 0);
	CHECK(noted(""));
	node->release();
	CHECK(noted("a.freed"));
}

static void power_acks()
{
	Node *node = Node::make("a", nullptr, false);

	quiet();
	sim_power_ack_ms = 50;
	node->later = 1000;
	node->ack = true;
	CHECK(mac_sleep() == 0);
	node->ack = false;
	CHECK(mac_wake() == -ETIMEDOUT);
	node->later = kIOReturnError; /* counts as done */
	CHECK(mac_sleep() == 0);
	node->end();
	quiet();
}

static void power_stuck()
{
	Node *node = Node::make("a", nullptr, false);

	quiet();
	sim_power_call_ms = 100;
	node->delay_ms = WAIT_MS;
	mac_sleep();
}

static void freed_in_tree()
{
	Node *node = Node::make("a", nullptr, false);

	quiet();
	node->release();
	node->release();
	CHECK(false);
}

static void test_power_calls(void **)
{
	run(9, power_stop, nullptr);
	run(9, power_acks, nullptr);
	run(9, power_stuck, "setPowerState(0) of Node has not returned");
	run(9, freed_in_tree, "is freed while it is in the power tree");
}

static void shutdown_order()
{
	Node *a = Node::make("a", nullptr, false), *b = Node::make("b", a, true);

	quiet();
	diary_clear();
	CHECK(mac_shutdown() == 0);
	CHECK(noted("b.bye a.bye"));
	sim_power_ack_ms = 50;
	b->deaf = true;
	CHECK(mac_shutdown() == -ETIMEDOUT);
	b->end();
	a->end();
	quiet();
}

static void test_shutdown(void **)
{
	run(9, shutdown_order, nullptr);
}

int main()
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_power_order),
		cmocka_unit_test(test_power_calls),
		cmocka_unit_test(test_shutdown),
	};

	return cmocka_run_group_tests(tests, nullptr, nullptr);
}
