/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network family without a device: a controller and an interface that write down what is done
 * to them.
 */
#ifndef TESTS_SIM_NET_FIXTURE_H
#define TESTS_SIM_NET_FIXTURE_H

#include "tests/sim/child.h"

#include <sys/mman.h>

#include "guest/ports/xnu/kpi/kpi.h"
#include "sim/macos/kdp/port.h"
#include "sim/macos/loop/loop.h"
#include "sim/macos/net/net.h"

#define RAM_LEN	  (64u << 20)
#define QUEUE_MAX 16u
#define FRAME_LEN 100u

/* ---- the two ---- */

class DiaryInterface : public IOEthernetInterface
{
	OSDeclareDefaultStructors(DiaryInterface);

public:
	bool inputEvent(UInt32 type, void *) override
	{
		note("%s", type == SIM_EVENT_LINK_UP	  ? "up"
			   : type == SIM_EVENT_LINK_DOWN  ? "down"
			   : type == SIM_EVENT_LINK_SPEED ? "speed"
							  : "event");
		return true;
	}
};

OSDefineMetaClassAndStructors(DiaryInterface, IOEthernetInterface)

class DiaryController : public IOEthernetController
{
	OSDeclareDefaultStructors(DiaryController);

public:
	IOWorkLoop *loop;
	bool gated, keep_lock, without_queue, slept;
	volatile bool for_debugger;
	UInt32 answer;	/* of outputPacket() */
	UInt32 answers; /* so often, then 0 */
	void (*in_output)(DiaryController *self, mbuf_t packet);
	volatile UInt32 sent;
	volatile int inside;
	IOPacketBufferConstraints constraints;

	void free() override
	{
		IOWorkLoop *last = loop;

		IOEthernetController::free();
		if (last)
			last->release();
	}
	IOWorkLoop *getWorkLoop() const override
	{
		return loop;
	}
	UInt32 getFeatures() const override
	{
		note("features");
		return 0;
	}
	const OSString *newVendorString() const override
	{
		note("vendor");
		return OSString::withCString("us");
	}
	const OSString *newModelString() const override
	{
		note("model");
		return nullptr;
	}
	const OSString *newRevisionString() const override
	{
		note("revision");
		return nullptr;
	}
	IOReturn getMaxPacketSize(UInt32 *size) const override
	{
		note("max");
		return IOEthernetController::getMaxPacketSize(size);
	}
	IOReturn getMinPacketSize(UInt32 *size) const override
	{
		note("min");
		return IOEthernetController::getMinPacketSize(size);
	}
	IOReturn getPacketFilters(const OSSymbol *group, UInt32 *filters) const override
	{
		note("%s", group == gIONetworkFilterGroup ? "filters" : "wake");
		return IOEthernetController::getPacketFilters(group, filters);
	}
	IOReturn getHardwareAddress(IOEthernetAddress *address) override
	{
		static const UInt8 mac[] = {2, 0, 0, 0, 0xab, 1};

		note("address");
		memcpy(address->bytes, mac, sizeof(mac));
		return kIOReturnSuccess;
	}
	void getPacketBufferConstraints(IOPacketBufferConstraints *c) const override
	{
		note("constraints");
		*c = constraints;
	}
	IOReturn setMulticastMode(bool active) override
	{
		note("%s", active ? "multicast" : "no-multicast");
		return kIOReturnSuccess;
	}
	IOReturn setPromiscuousMode(bool active) override
	{
		note("%s", active ? "promiscuous" : "no-promiscuous");
		return kIOReturnSuccess;
	}
	IOReturn selectMedium(const IONetworkMedium *medium) override
	{
		note("select");
		return setSelectedMedium(medium) ? kIOReturnSuccess : kIOReturnError;
	}
	UInt32 outputPacket(mbuf_t packet, void *) override
	{
		UInt32 now = answers ? answer : 0;

		CHECK(__atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST) == 1);
		if (gated)
			CHECK(loop->inGate());
		if (in_output)
			in_output(this, packet);
		if (answers)
			answers--;
		if ((now & 0xff) != kIOOutputStatusRetry) {
			sent++;
			mbuf_freem(packet);
		}
		__atomic_sub_fetch(&inside, 1, __ATOMIC_SEQ_CST);
		return now;
	}
	void reserve()
	{
		reserveDebuggerLock();
	}
	void unreserve()
	{
		releaseDebuggerLock();
	}
	bool attachOne(IONetworkInterface **interface)
	{
		return attachInterface(interface, false);
	}
	void detachOne(IONetworkInterface *interface)
	{
		detachInterface(interface, true);
	}
	bool attachDebugger(IOKernelDebugger **debugger)
	{
		return attachDebuggerClient(debugger);
	}
	void detachDebugger(IOKernelDebugger *debugger)
	{
		detachDebuggerClient(debugger);
	}

protected:
	bool createWorkLoop() override
	{
		note("loop");
		loop = IOWorkLoop::workLoop();
		return loop != nullptr;
	}
	IOOutputQueue *createOutputQueue() override
	{
		note("queue");
		if (without_queue)
			return nullptr;
		if (gated)
			return IOGatedOutputQueue::withTarget(this, loop, QUEUE_MAX);
		return IOBasicOutputQueue::withTarget(this, QUEUE_MAX);
	}
	IOReturn registerWithPolicyMaker(IOService *) override
	{
		note("policy");
		CHECK(loop->inGate());
		return kIOReturnUnsupported;
	}
	IONetworkInterface *createInterface() override
	{
		DiaryInterface *interface = new DiaryInterface;

		note("create");
		CHECK(!loop->inGate());
		CHECK(interface->init(this));
		return interface;
	}
	bool configureInterface(IONetworkInterface *interface) override
	{
		note("configure");
		return IOEthernetController::configureInterface(interface);
	}
	IOReturn enable(IONetworkInterface *) override
	{
		note("enable");
		CHECK(loop->inGate() && !loop->onThread());
		if (keep_lock)
			reserveDebuggerLock();
		return kIOReturnSuccess;
	}
	IOReturn disable(IONetworkInterface *) override
	{
		note("disable");
		return kIOReturnSuccess;
	}
	IOReturn enable(IOKernelDebugger *) override
	{
		CHECK(loop->inGate());
		reserveDebuggerLock(); /* counts already at the first time, not after sleep */
		CHECK(kdp_debugger_lock == (slept ? 0 : 1));
		releaseDebuggerLock();
		for_debugger = true;
		return kIOReturnSuccess;
	}
	IOReturn disable(IOKernelDebugger *) override
	{
		for_debugger = false;
		return kIOReturnSuccess;
	}
};

OSDefineMetaClassAndStructors(DiaryController, IOEthernetController)

/* ---- a Mac with one of them ---- */

static int release_now = 9;
static const char *args_now = "";
static IOService *provider;
static DiaryController *made;

static inline void boot()
{
	struct mac_config config = child_mac(release_now, RAM_LEN);

	config.boot_args = args_now;
	CHECK(mac_boot(&config) == 0);
	sim_attempt_refusals = 0; /* a gate is busy only if somebody has it */
	sim_enter("test");
}

static inline DiaryController *start(bool gated)
{
	provider = new IOService;
	CHECK(provider->init() && provider->attach(IOService::getServiceRoot()));
	made = new DiaryController;
	made->gated = gated;
	CHECK(made->init(nullptr) && made->attach(provider));
	CHECK(made->start(provider));
	return made;
}

static inline void finish()
{
	if (made) {
		IOWorkLoop *loop = made->loop;

		loop->retain();
		made->stop(provider);
		made->detach(provider);
		made->release();
		loop->release();
		provider->detach(IOService::getServiceRoot());
		provider->release();
	}
	sim_exit();
	CHECK(mac_halt(stderr) == 0);
}

static inline child_body on_a_mac(void (*body)())
{
	return [=] {
		boot();
		body();
		finish();
	};
}

static inline void works(void (*body)())
{
	child_works(on_a_mac(body));
}

static inline void violates(void (*body)(), const char *words)
{
	child_violates(on_a_mac(body), words);
}

static inline mbuf_t frame(UInt32 len)
{
	mbuf_t packet = nullptr;

	CHECK(mbuf_getpacket(MBUF_WAITOK, &packet) == 0);
	mbuf_setlen(packet, len);
	mbuf_pkthdr_setlen(packet, len);
	memset(mbuf_data(packet), static_cast<int>(len), len);
	return packet;
}

#endif
