/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Controllers: what is asked of a driver and in what order, media, packets, the debugger's hold.
 */
#include "tests/sim/net_fixture.h"

#include "sim/macos/pci/pci.h"

/* ---- controller ---- */

static void test_order(void **)
{
	works([] {
		IONetworkInterface *interface = nullptr, *second = nullptr;
		DiaryController *c = start(true);

		CHECK(noted("features loop queue constraints"));
		CHECK(c->attachOne(&interface));
		CHECK(noted("vendor model revision features max min filters address wake wake "
			    "policy create configure"));
		CHECK(c->getProperty(SIM_KEY_MAC));
		CHECK(interface->getNetworkData(kIOOutputQueueStatsKey));
		CHECK(c->attachOne(&second));
		CHECK(noted("create configure"));
		c->detachOne(interface);
		c->detachOne(second);
		interface->release();
		second->release();
	});
}

static void test_constraints(void **)
{
	works([] {
		DiaryController *c;

		provider = new IOService;
		CHECK(provider->init() && provider->attach(IOService::getServiceRoot()));
		made = c = new DiaryController;
		CHECK(c->init(nullptr) && c->attach(provider));
		c->constraints.alignStart = 24;
		CHECK(!c->start(provider));
	});
}

static void test_enable(void **)
{
	works([] {
		IONetworkInterface *interface = nullptr;
		DiaryController *c = start(false);

		CHECK(c->attachOne(&interface));
		diary_clear();
		CHECK(c->doEnable(interface) == kIOReturnSuccess);
		CHECK(interface->getProperty(SIM_KEY_ENABLED) == kOSBooleanTrue);
		CHECK(c->doDisable(interface) == kIOReturnSuccess);
		CHECK(noted("enable disable"));
		CHECK(c->doEnable(provider) == kIOReturnBadArgument);
		c->detachOne(interface);
		interface->release();
	});
	violates(
		[] {
			IONetworkInterface *interface = nullptr;
			DiaryController *c = start(false);

			CHECK(c->attachOne(&interface));
			c->keep_lock = true;
			c->doEnable(interface);
		},
		"returned with the debugger lock reserved");
}

/* ---- media ---- */

static OSDictionary *two_media()
{
	OSDictionary *media = OSDictionary::withCapacity(2);
	IONetworkMedium *any = IONetworkMedium::medium(kIOMediumEthernetAuto, 0);
	IONetworkMedium *giga = IONetworkMedium::medium(
		kIOMediumEthernet1000BaseT | kIOMediumOptionFullDuplex, 1000000000, 0, 1);

	CHECK(IONetworkMedium::addMedium(media, any) && IONetworkMedium::addMedium(media, giga));
	any->release();
	giga->release();
	return media;
}

static void test_media(void **)
{
	works([] {
		OSDictionary *media = two_media(), *copy;
		DiaryController *c = start(false);
		IONetworkMedium *giga = IONetworkMedium::getMediumWithIndex(media, 1);
		const OSSymbol *name;

		diary_clear();
		CHECK(!c->publishMediumDictionary(nullptr));
		CHECK(!c->getSelectedMedium());
		CHECK(c->publishMediumDictionary(media));
		media->flushCollection(); /* it was copied */
		copy = c->copyMediumDictionary();
		CHECK(copy && copy->getCount() == 2);
		giga = IONetworkMedium::getMediumWithType(copy, kIOMediumEthernet1000BaseT |
									kIOMediumOptionFullDuplex);
		CHECK(giga && giga->getSpeed() == 1000000000);
		CHECK(IONetworkMedium::getMediumWithType(copy, kIOMediumEthernet1000BaseT,
							 kIOMediumOptionFullDuplex) == giga);
		CHECK(giga->getName()->isEqualTo("00100030"));
		CHECK(c->selectMediumWithName(giga->getName()) == kIOReturnSuccess);
		CHECK(noted("select"));
		CHECK(c->getSelectedMedium() == giga);
		CHECK(c->selectMediumWithName(giga->getName()) == kIOReturnSuccess);
		CHECK(noted(""));
		name = OSSymbol::withCString("nothing");
		CHECK(c->selectMediumWithName(name) == kIOReturnBadArgument);
		name->release();
		copy->release();
		media->release();
	});
}

static void link_events()
{
	IONetworkInterface *interface = nullptr;
	OSDictionary *media = two_media();
	IONetworkMedium *giga = IONetworkMedium::getMediumWithIndex(media, 1);
	DiaryController *c = start(false);
	OSNumber *speed;

	CHECK(c->attachOne(&interface) && c->publishMediumDictionary(media));
	diary_clear();
	CHECK(c->setLinkStatus(kIONetworkLinkValid | kIONetworkLinkActive, giga));
	CHECK(noted("")); /* nobody has it open */
	CHECK(c->getProperty(SIM_KEY_ACTIVE_MEDIUM)->isEqualTo(giga->getName()));
	speed = OSDynamicCast(OSNumber, c->getProperty(SIM_KEY_LINK_SPEED));
	CHECK(speed && speed->unsigned64BitValue() == 1000000000);
	CHECK(c->open(interface));
	CHECK(c->setLinkStatus(kIONetworkLinkValid | kIONetworkLinkActive, giga, 2500000000));
	CHECK(noted(release_now >= 8 ? "speed" : ""));
	CHECK(c->setLinkStatus(kIONetworkLinkValid));
	CHECK(c->setLinkStatus(kIONetworkLinkValid));
	CHECK(c->setLinkStatus(0));
	CHECK(noted("down up"));
	c->close(interface);
	c->detachOne(interface);
	interface->release();
	media->release();
}

static void test_link(void **)
{
	works(link_events);
	release_now = 6;
	works(link_events);
	release_now = 9;
}

/* ---- Ethernet ---- */

static void test_filters(void **)
{
	works([] {
		UInt32 all = kIOPacketFilterUnicast | kIOPacketFilterBroadcast, len = 4;
		IOEthernetController *c = start(false);
		IONetworkController *any = c;
		UInt8 mac[6];

		diary_clear();
		CHECK(c->enablePacketFilter(gIONetworkFilterGroup, kIOPacketFilterMulticast, all) ==
		      kIOReturnSuccess);
		CHECK(c->disablePacketFilter(gIONetworkFilterGroup, kIOPacketFilterPromiscuous,
					     all) == kIOReturnSuccess);
		CHECK(noted("multicast no-promiscuous"));
		CHECK(c->enablePacketFilter(gIONetworkFilterGroup, kIOPacketFilterUnicast, 0) ==
		      kIOReturnSuccess);
		CHECK(c->enablePacketFilter(gIONetworkFilterGroup, kIOPacketFilterMulticastAll,
					    all) == kIOReturnUnsupported);
		CHECK(c->enablePacketFilter(gIOEthernetWakeOnLANFilterGroup,
					    kIOEthernetWakeOnMagicPacket,
					    0) == kIOReturnUnsupported);
		CHECK(any->getHardwareAddress(mac, &len) == kIOReturnNoSpace);
		CHECK(len == 6 && any->getHardwareAddress(mac, &len) == kIOReturnSuccess);
		CHECK(mac[4] == 0xab);
	});
}

/* ---- packets ---- */

static void test_packets(void **)
{
	works([] {
		DiaryController *c = start(false);
		mbuf_t packet, copy, old;
		bool replaced = false;

		packet = c->allocatePacket(mbuf_get_mhlen() + 20);
		CHECK(packet && !mbuf_next(packet) && mbuf_len(packet) == mbuf_get_mhlen() + 20);
		c->freePacket(packet);
		packet = c->allocatePacket(1500);
		CHECK(packet && mbuf_pkthdr_len(packet) == 1500);
		memset(mbuf_data(packet), 7, 1500);
		copy = c->copyPacket(packet, 60);
		CHECK(copy && mbuf_pkthdr_len(copy) == 60 && mbuf_len(copy) == 60);
		CHECK(static_cast<UInt8 *>(mbuf_data(copy))[59] == 7);
		old = packet;
		CHECK(c->replacePacket(&packet) == old && packet != old);
		CHECK(mbuf_pkthdr_len(packet) == 1500);
		c->freePacket(old, IONetworkController::kDelayFree);
		old = c->replaceOrCopyPacket(&packet, 40, &replaced);
		CHECK(old && !replaced && mbuf_pkthdr_len(old) == 40);
		c->freePacket(old, IONetworkController::kDelayFree);
		old = c->replaceOrCopyPacket(&packet, 1000, &replaced);
		CHECK(old && replaced && old != packet);
		c->freePacket(old);
		CHECK(c->releaseFreePackets() == 2);
		c->freePacket(copy);
		c->freePacket(packet);
	});
	violates(
		[] {
			DiaryController *c = start(false);

			c->freePacket(c->allocatePacket(60), IONetworkController::kDelayFree);
			finish();
		},
		"waiting for releaseFreePackets()");
}

static void checksums()
{
	const UInt32 family = IONetworkController::kChecksumFamilyTCPIP;
	const UInt32 tcp = IONetworkController::kChecksumTCP, ip = IONetworkController::kChecksumIP;
	const UInt32 tcp6 = IONetworkController::kChecksumTCPIPv6;
	DiaryController *c = start(false);
	mbuf_t packet = frame(FRAME_LEN);
	mbuf_csum_performed_flags_t flags = 0;
	UInt32 demand = 1;
	uint32_t value = 0;

	c->getChecksumDemand(packet, family, &demand);
	CHECK(demand == 0);
	CHECK(mbuf_set_csum_requested(packet, MBUF_CSUM_REQ_TCP, 16) == 0);
	c->getChecksumDemand(packet, family, &demand);
	CHECK(demand == tcp);
	CHECK(mbuf_clear_csum_requested(packet) == 0);

	CHECK(c->setChecksumResult(packet, family, tcp | ip, tcp));
	CHECK(mbuf_get_csum_performed(packet, &flags, &value) == 0);
	CHECK(flags == (MBUF_CSUM_DID_IP | MBUF_CSUM_DID_DATA | MBUF_CSUM_PSEUDO_HDR));
	CHECK(value == 0xffff);
	CHECK(c->setChecksumResult(packet, family, ip, tcp | ip)); /* not looked at: not valid */
	CHECK(mbuf_get_csum_performed(packet, &flags, &value) == 0);
	CHECK(flags == (MBUF_CSUM_DID_IP | MBUF_CSUM_IP_GOOD));
	CHECK(c->setChecksumResult(packet, family, tcp6, tcp6));
	CHECK(mbuf_get_csum_performed(packet, &flags, &value) == 0);
	CHECK(((flags & MBUF_CSUM_DID_DATA) != 0) == (release_now >= 7));
	mbuf_freem(packet);
}

static void test_checksums(void **)
{
	works(checksums);
	release_now = 6;
	works(checksums);
	release_now = 9;
}

/* ---- data ---- */

static void test_data(void **)
{
	works([] {
		IONetworkData *data = IONetworkData::withInternalBuffer("Name", 8);
		UInt8 bytes[16] = {1, 2, 3};
		UInt32 len = sizeof(bytes);

		CHECK(data && data->getSize() == 8 && data->getKey()->isEqualTo("Name"));
		CHECK(data->write(bytes, 4) == kIOReturnNotWritable);
		CHECK(data->reset() == kIOReturnNotWritable);
		data->setAccessTypes(kIONetworkDataAccessTypeRead | kIONetworkDataAccessTypeWrite |
				     kIONetworkDataAccessTypeReset);
		CHECK(data->write(bytes, 9) == kIOReturnBadArgument);
		CHECK(data->write(bytes, 3, 5) == kIOReturnSuccess);
		CHECK(data->read(bytes, &len) == kIOReturnSuccess);
		CHECK(len == 8 && bytes[5] == 1 && bytes[7] == 3);
		CHECK(data->reset() == kIOReturnSuccess);
		CHECK(static_cast<const UInt8 *>(data->getBuffer())[5] == 0);
		data->release();
		sim_enter("nothing");
		sim_exit();
	});
}

/* ---- debugger ---- */

static void test_lock(void **)
{
	works([] {
		DiaryController *c = start(false);

		c->reserve();
		c->reserve();
		CHECK(kdp_debugger_lock == 0); /* not the debugger's device */
		CHECK(sim_cpu()->debugger_lock == 2);
		c->unreserve();
		c->unreserve();
	});
	violates([] { start(false)->unreserve(); }, "without reserveDebuggerLock()");
	violates(
		[] {
			pthread_t other;

			start(false)->reserve();
			pthread_create(
				&other, nullptr,
				[](void *) -> void * {
					sim_enter("other");
					made->reserve();
					return nullptr;
				},
				nullptr);
			pthread_join(other, nullptr);
		},
		"by two threads at once");
}

static void no_debugger()
{
	IOKernelDebugger *debugger = reinterpret_cast<IOKernelDebugger *>(1);

	start(false);
	CHECK(!made->attachDebugger(&debugger) && !debugger);
}

/* The provider has nothing to say, so it is taken by address or not at all. */
static void debugger_taken(bool taken)
{
	IOKernelDebugger *debugger = nullptr;

	start(false);
	CHECK(made->attachDebugger(&debugger) && debugger);
	CHECK(mac_quiet(WAIT_MS));
	CHECK(made->for_debugger == taken);
	CHECK(made->isOpen(debugger) == taken);
	CHECK(mac_registry_count("IOKDP") == (taken ? 1U : 0U));
	made->reserve();
	CHECK(kdp_debugger_lock == (taken ? 1 : 0));
	made->unreserve();
	made->detachDebugger(debugger);
	debugger->release();
	CHECK(!made->for_debugger && !made->isOpen());
}

static void test_debugger(void **)
{
	works(no_debugger);
	args_now = "debug=0x144";
	works([] { debugger_taken(false); });
	args_now = "debug=0x144 kdp_match_mac=02000000AB01";
	works([] { debugger_taken(true); });
	args_now = "debug=0x144 kdp_match_mac=020000000001";
	works([] { debugger_taken(false); });
	args_now = "debug=0x144 kdp_match_name=en7";
	works([] { debugger_taken(false); });
	args_now = "";
}

/* Without a word about which: the one that is built in. */
static void test_primary(void **)
{
	args_now = "debug=1";
	works([] {
		IOKernelDebugger *debugger = nullptr;

		start(false);
		provider->setProperty("built-in", true);
		CHECK(made->attachDebugger(&debugger));
		CHECK(mac_quiet(WAIT_MS) && made->for_debugger);
		/* Off before sleep, on after. */
		static_cast<IOService *>(debugger)->powerStateWillChangeTo(0, 0, made);
		CHECK(!made->for_debugger && made->isOpen(debugger));
		made->reserve();
		CHECK(kdp_debugger_lock == 0);
		made->unreserve();
		made->slept = true;
		static_cast<IOService *>(debugger)->powerStateDidChangeTo(kIOPMDeviceUsable, 1,
									  made);
		CHECK(made->for_debugger);
		made->systemWillShutdown(kIOMessageSystemWillPowerOff);
		CHECK(!made->for_debugger);
		made->detachDebugger(debugger);
		debugger->release();
	});
	args_now = "";
}

/* ---- the ring guard ---- */

#define PAGE 4096u

static volatile UInt8 *ring;

static IOKernelDebugger *guarded()
{
	IOKernelDebugger *debugger = nullptr;
	void *page =
		mmap(nullptr, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	sim_dma_add(page, PAGE);
	ring = static_cast<UInt8 *>(page);
	start(false);
	ring[0] = 1; /* nobody debugs */
	CHECK(made->attachDebugger(&debugger));
	CHECK(mac_quiet(WAIT_MS) && made->for_debugger);
	return debugger;
}

static void test_guard(void **)
{
	args_now = "debug=0x144 kdp_match_mac=02000000ab01";
	sim_ring_guard = true;
	works([] {
		IOKernelDebugger *debugger = guarded();

		made->reserve();
		made->reserve();
		ring[0] = 2;
		made->unreserve();
		ring[0] = 3;
		made->unreserve();
		made->detachDebugger(debugger);
		ring[0] = 4; /* it is over */
		debugger->release();
		sim_dma_remove(const_cast<UInt8 *>(ring));
	});
	violates(
		[] {
			guarded();
			made->reserve();
			made->unreserve();
			ring[0] = 2;
		},
		"without the debugger lock");
	sim_ring_guard = false;
	args_now = "";
}

int main()
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),	 cmocka_unit_test(test_constraints),
		cmocka_unit_test(test_enable),	 cmocka_unit_test(test_media),
		cmocka_unit_test(test_link),	 cmocka_unit_test(test_filters),
		cmocka_unit_test(test_packets),	 cmocka_unit_test(test_checksums),
		cmocka_unit_test(test_data),	 cmocka_unit_test(test_lock),
		cmocka_unit_test(test_debugger), cmocka_unit_test(test_primary),
		cmocka_unit_test(test_guard),
	};

	return cmocka_run_group_tests(tests, nullptr, nullptr);
}
