/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network family without a device: a controller and an interface that write down what is done
 * to them. A Mac is switched on once per process, so every test is a child of its own.
 */
#ifndef TESTS_SIM_NET_FIXTURE_H
#define TESTS_SIM_NET_FIXTURE_H

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {
#include <cmocka.h>
}

#include "guest/ports/xnu/kpi/kpi.h"
#include "sim/macos/kdp/port.h"
#include "sim/macos/loop/loop.h"
#include "sim/macos/mac.h"
#include "sim/macos/net/net.h"
#include "sim/macos/sim.h"

#define RAM_LEN	  (64u << 20)
#define TEXT_MAX  8192
#define QUEUE_MAX 16u
#define FRAME_LEN 100u

/* In a child: cmocka's assertions do not work there. */
#define CHECK(x)                                                                                   \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #x);            \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

/* ---- a diary ---- */

static char diary[TEXT_MAX];

static inline void note(const char *what)
{
	size_t n = strlen(diary);

	snprintf(diary + n, sizeof(diary) - n, "%s%s", n ? " " : "", what);
}

static inline bool noted(const char *all)
{
	bool same = strcmp(diary, all) == 0;

	if (!same)
		fprintf(stderr, "diary: %s\n", diary);
	diary[0] = 0;
	return same;
}

/* ---- the two ---- */

class DiaryInterface : public IOEthernetInterface
{
	OSDeclareDefaultStructors(DiaryInterface);

public:
	bool inputEvent(UInt32 type, void *) override
	{
		note(type == SIM_EVENT_LINK_UP	    ? "up"
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
		note(group == gIONetworkFilterGroup ? "filters" : "wake");
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
		note(active ? "multicast" : "no-multicast");
		return kIOReturnSuccess;
	}
	IOReturn setPromiscuousMode(bool active) override
	{
		note(active ? "promiscuous" : "no-promiscuous");
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
	struct mac_config config = {};

	config.release = release_now;
	config.boot_args = args_now;
	config.quiet = true;
	config.ram.base = static_cast<uint8_t *>(
		mmap(nullptr, RAM_LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	config.ram.first = 0x100000;
	config.ram.end = RAM_LEN;
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

/* Run in a child; what it says on stderr, and how it ended. */
static inline int in_child(void (*body)(), char *text)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
	size_t n = 0;
	int fds[2], status = 0;
	ssize_t got;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	fflush(stderr);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		for (int sig : signals)
			signal(sig, SIG_DFL); /* cmocka's would go on with the tests */
		alarm(30);
		boot();
		body();
		finish();
		_exit(0);
	}
	close(fds[1]);
	while (n < TEXT_MAX - 1 && (got = read(fds[0], text + n, TEXT_MAX - 1 - n)) > 0)
		n += static_cast<size_t>(got);
	text[n] = 0;
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static inline void works(void (*body)())
{
	char text[TEXT_MAX];
	int status = in_child(body, text);

	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		print_error("%s\n", text);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static inline void violates(void (*body)(), const char *words)
{
	char text[TEXT_MAX];
	int status = in_child(body, text);

	if (!strstr(text, words) || !WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
		print_error("wanted: %s; status 0x%x: %s\n", words, status, text);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_non_null(strstr(text, words));
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
