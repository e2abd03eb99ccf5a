/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interfaces, with a driver of the test's own.
 */
#include "tests/sim/bsd_kit.h"

class BsdTestNic : public IOEthernetController
{
	OSDeclareDefaultStructors(BsdTestNic);

public:
	IOWorkLoop *loop;
	IONetworkInterface *netif;
	IONetworkStats *stats;
	OSDictionary *media;
	mbuf_t sent; /* by nextpkt */
	UInt32 features, sums_in, sums_out, most, filters;
	bool powered; /* the first power change has come */

	bool createWorkLoop() override
	{
		loop = IOWorkLoop::workLoop();
		return loop != nullptr;
	}
	IOWorkLoop *getWorkLoop() const override
	{
		return loop;
	}
	bool start(IOService *provider) override
	{
		if (!IOEthernetController::start(provider))
			return false;
		publish();
		return attachInterface(&netif);
	}
	void stop(IOService *provider) override
	{
		note("stop");
		IOEthernetController::stop(provider);
	}
	void free() override
	{
		IOWorkLoop *l = loop;

		if (netif)
			netif->release();
		if (media)
			media->release();
		IOEthernetController::free();
		if (l)
			l->release();
	}
	void publish()
	{
		IONetworkMedium *automatic = IONetworkMedium::medium(kIOMediumEthernetAuto, 0);
		IONetworkMedium *gigabit = IONetworkMedium::medium(
			kIOMediumEthernet1000BaseT | kIOMediumOptionFullDuplex, 1000000000);

		media = OSDictionary::withCapacity(2);
		IONetworkMedium::addMedium(media, automatic);
		IONetworkMedium::addMedium(media, gigabit);
		publishMediumDictionary(media);
		setSelectedMedium(automatic);
		automatic->release();
		gigabit->release();
	}
	void linkUp(bool up)
	{
		IONetworkMedium *gigabit = IONetworkMedium::getMediumWithType(
			media, kIOMediumEthernet1000BaseT | kIOMediumOptionFullDuplex);

		setLinkStatus(up ? kIONetworkLinkValid | kIONetworkLinkActive : kIONetworkLinkValid,
			      up ? gigabit : nullptr);
	}
	bool configureInterface(IONetworkInterface *interface) override
	{
		IONetworkData *data = interface->getNetworkData(kIONetworkStatsKey);

		stats = static_cast<IONetworkStats *>(const_cast<void *>(data->getBuffer()));
		return interface->getNetworkData(kIOEthernetStatsKey) &&
		       IOEthernetController::configureInterface(interface);
	}
	UInt32 getFeatures() const override
	{
		return features;
	}
	IOReturn getChecksumSupport(UInt32 *support, UInt32, bool is_output) override
	{
		*support = is_output ? sums_out : sums_in;
		return kIOReturnSuccess;
	}
	IOReturn getHardwareAddress(IOEthernetAddress *address) override
	{
		static const UInt8 mac[6] = {2, 0, 0, 0, 0, 1};

		memcpy(address->bytes, mac, sizeof(mac));
		return kIOReturnSuccess;
	}
	IOReturn setHardwareAddress(const IOEthernetAddress *address) override
	{
		note("mac:%02x", address->bytes[5]);
		return kIOReturnSuccess;
	}
	IOReturn getMaxPacketSize(UInt32 *size) const override
	{
		*size = most;
		return kIOReturnSuccess;
	}
	IOReturn setMaxPacketSize(UInt32 size) override
	{
		note("max:%u", size);
		return kIOReturnSuccess;
	}
	IOReturn getPacketFilters(const OSSymbol *group, UInt32 *bits) const override
	{
		IOReturn result = IOEthernetController::getPacketFilters(group, bits);

		if (group == gIONetworkFilterGroup)
			*bits |= filters;
		return result;
	}
	IOReturn enablePacketFilter(const OSSymbol *group, UInt32 filter, UInt32 enabled,
				    IOOptionBits options) override
	{
		if (filter == kIOPacketFilterMulticastAll) {
			note("all");
			return kIOReturnSuccess;
		}
		return IOEthernetController::enablePacketFilter(group, filter, enabled, options);
	}
	IOReturn setPromiscuousMode(bool on) override
	{
		note("promisc:%d", on);
		return kIOReturnSuccess;
	}
	IOReturn setMulticastMode(bool on) override
	{
		note("multi:%d", on);
		return kIOReturnSuccess;
	}
	IOReturn setMulticastList(IOEthernetAddress *list, UInt32 n) override
	{
		note("list:%u%s", n, n && list[0].bytes[0] == 1 ? "+" : "");
		return kIOReturnSuccess;
	}
	IOReturn selectMedium(const IONetworkMedium *medium) override
	{
		note("medium");
		return setSelectedMedium(medium) ? kIOReturnSuccess : kIOReturnUnsupported;
	}
	IOReturn registerWithPolicyMaker(IOService *policy_maker) override
	{
		static IOPMPowerState states[2] = {
			{kIOPMPowerStateVersion1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
			{kIOPMPowerStateVersion1, kIOPMDeviceUsable, kIOPMPowerOn, kIOPMPowerOn, 0,
			 0, 0, 0, 0, 0, 0, 0},
		};

		return policy_maker->registerPowerDriver(this, states, 2);
	}
	IOReturn setPowerState(unsigned long state, IOService *) override
	{
		if (__atomic_exchange_n(&powered, true, __ATOMIC_SEQ_CST))
			note("%s", state ? "on" : "off");
		return kIOPMAckImplied;
	}
	IOReturn enable(IONetworkInterface *) override
	{
		note("%s",
		     loop->inGate() && !loop->onThread() ? "enable" : "enable-in-wrong-place");
		return kIOReturnSuccess;
	}
	IOReturn disable(IONetworkInterface *) override
	{
		note("%s", loop->inGate() ? "disable" : "disable-ungated");
		return kIOReturnSuccess;
	}
	UInt32 outputPacket(mbuf_t packet, void *) override
	{
		stats->outputPackets++;
		mbuf_setnextpkt(packet, sent);
		sent = packet;
		return kIOReturnOutputSuccess;
	}
};
OSDefineMetaClassAndStructors(BsdTestNic, IOEthernetController)

static BsdTestNic *nic;
static IOService *nub;

/* Named, and told of its power: neither waits for the other. */
static struct mac_if *ready(void)
{
	struct mac_if *ifp = mac_if_find("en0", WAIT_MS);

	CHECK(ifp);
	CHECK(child_wait([] { return __atomic_load_n(&nic->powered, __ATOMIC_SEQ_CST); }));
	diary_clear();
	return ifp;
}

static struct mac_if *plug(void)
{
	sim_enter("test");
	nub = new IOService;
	CHECK(nub && nub->init() && nub->attach(IOService::getServiceRoot()));
	nic = new BsdTestNic;
	nic->features =
		kIONetworkFeatureSoftwareVlan | kIONetworkFeatureTSOIPv4 | kIONetworkFeatureTSOIPv6;
	nic->sums_in = nic->sums_out =
		IONetworkController::kChecksumTCP | IONetworkController::kChecksumUDP |
		IONetworkController::kChecksumTCPIPv6 | IONetworkController::kChecksumUDPIPv6;
	nic->most = 9018;
	CHECK(nic->init(nullptr) && nic->attach(nub) && nic->start(nub));
	sim_exit();
	return ready();
}

static void unplug(struct mac_if *ifp)
{
	sim_enter("test");
	if (nic->sent)
		mbuf_freem_list(nic->sent);
	nic->sent = nullptr;
	nub->terminate(kIOServiceRequired | kIOServiceSynchronous);
	CHECK(mac_if_gone(ifp));
	nic->release();
	nub->release();
	sim_exit();
}

static void life(void)
{
	static const uint8_t group[6] = {1, 0, 0x5e, 0, 0, 1}, own[6] = {2, 0, 0, 0, 0, 9};
	struct mac_if *ifp = plug();
	struct mac_if_state state;

	CHECK(noted(""));
	CHECK(mac_if_up(ifp) == 0 && noted("enable multi:1 list:0 multi:0"));
	mac_if_state(ifp, &state);
	CHECK(state.up && state.running && state.mtu == 1500 && state.mac[5] == 1);
	CHECK(state.csum4 && state.csum6 == sim_release_at_least(7) && state.vlan_mtu);
	CHECK(state.tso4 && state.tso6 == sim_release_at_least(7));
	CHECK(strcmp(state.selected, "autoselect") == 0 && strcmp(state.active, "none") == 0);
	CHECK(mac_if_multicast(ifp, group, true) == 0 && noted("multi:1 list:1+"));
	CHECK(mac_if_multicast(ifp, group, true) == 0 && noted(""));
	CHECK(mac_if_multicast(ifp, group, false) == 0 && noted(""));
	CHECK(mac_if_promisc(ifp, true) == 0 && noted("promisc:1"));
	CHECK(mac_if_promisc(ifp, true) == 0 && noted(""));
	CHECK(mac_if_lladdr(ifp, own) == 0 && noted("mac:09"));
	CHECK(mac_if_down(ifp) == 0 && noted("disable"));
	CHECK(mac_if_up(ifp) == 0 && noted("enable multi:1 promisc:1 list:1+ mac:09"));
	CHECK(mac_if_promisc(ifp, false) == 0 && mac_if_promisc(ifp, false) == 0);
	CHECK(noted("promisc:0"));
	CHECK(mac_if_multicast(ifp, group, false) == 0 && noted("list:0 multi:0"));
	CHECK(mac_if_allmulti(ifp, true) == -EOPNOTSUPP && noted(""));
	CHECK(mac_if_allmulti(ifp, false) == 0);

	CHECK(mac_if_mtu(ifp, 1400) == 0 && noted(""));
	CHECK(mac_if_mtu(ifp, 9000) == 0 && noted("max:9018"));
	CHECK(mac_if_mtu(ifp, 9001) == -EINVAL && mac_if_mtu(ifp, 40) == -EINVAL && noted(""));
	CHECK(mac_if_mtu(ifp, 1500) == 0 && noted("max:1518"));

	sim_enter("test");
	nic->linkUp(true);
	nic->linkUp(true);
	sim_exit();
	mac_if_state(ifp, &state);
	CHECK(state.link_valid && state.link_active && state.link_ons == 1);
	CHECK(state.speed == 1000000000 && strcmp(state.active, "1000baseT <full-duplex>") == 0);
	CHECK(mac_if_media(ifp, "autoselect") == 0 && noted(""));
	CHECK(mac_if_media(ifp, "1000baseT <full-duplex>") == 0 && noted("medium"));
	CHECK(mac_if_media(ifp, "carrier pigeon") == -ENXIO);

	CHECK(mac_sleep() == 0 && noted("disable off"));
	CHECK(mac_if_mtu(ifp, 1400) == -DARWIN_EPWROFF && noted(""));
	mac_if_state(ifp, &state);
	CHECK(state.up && !state.running);
	CHECK(mac_wake() == 0 && noted("on enable multi:1 list:0 multi:0 mac:09"));
	CHECK(mac_shutdown() == 0 && noted("disable"));

	unplug(ifp);
	CHECK(noted("stop") && mac_if_up(ifp) == -ENXIO);
	mac_if_state(ifp, &state);
	CHECK(strcmp(state.name, "en0") == 0);
}

static void test_life(void **)
{
	for (int release = 6; release <= 15; release++)
		runs(release, life);
}

static void no_sums(void)
{
	struct mac_if_state state;
	struct mac_if *ifp;

	plug();
	sim_enter("test");
	nub->terminate(kIOServiceRequired | kIOServiceSynchronous);
	nic->release();
	nub->release();
	nub = new IOService;
	CHECK(nub->init() && nub->attach(IOService::getServiceRoot()));
	nic = new BsdTestNic;
	nic->sums_out = IONetworkController::kChecksumTCP | IONetworkController::kChecksumUDP;
	nic->features = kIONetworkFeatureTSOIPv4;
	nic->most = 1518;
	nic->filters = kIOPacketFilterMulticastAll;
	CHECK(nic->init(nullptr) && nic->attach(nub) && nic->start(nub));
	sim_exit();
	/* The same address: the same name. One direction alone offloads nothing. */
	ifp = ready();
	mac_if_state(ifp, &state);
	CHECK(!state.csum4 && !state.csum6 && state.tso4 == !sim_release_at_least(9));
	CHECK(!state.vlan_mtu && mac_if_mtu(ifp, 1501) == -EINVAL);
	diary_clear();
	CHECK(mac_if_allmulti(ifp, true) == 0 && mac_if_up(ifp) == 0);
	CHECK(noted("enable multi:1 all list:0 multi:0"));
	unplug(ifp);
}

static void test_one_direction(void **)
{
	runs(6, no_sums);
	runs(9, no_sums);
}

/* ---- packets ---- */

static uint8_t frame[70000];

/* TCP over IPv4 or IPv6; the rest counts up. */
static struct seg tcp_frame(uint32_t len, unsigned version)
{
	for (uint32_t i = 0; i < len; i++)
		frame[i] = static_cast<uint8_t>(i);
	frame[0] = 2;
	frame[12] = version == 4 ? 0x08 : 0x86;
	frame[13] = version == 4 ? 0x00 : 0xdd;
	frame[14] = version == 4 ? 0x45 : 0x60;
	frame[version == 4 ? 23 : 20] = 6;
	frame[(version == 4 ? 34 : 54) + 12] = 0x50;
	return {frame, 0, len};
}

static bool same_frame(mbuf_t packet, size_t len)
{
	static uint8_t copy[sizeof(frame)];

	return mbuf_pkthdr_len(packet) == len && mbuf_copydata(packet, 0, len, copy) == 0 &&
	       memcmp(copy, frame, len) == 0;
}

static unsigned taps;

static void on_tap(void *, bool sent, struct __mbuf *)
{
	taps += sent ? 1 : 100;
}

static void sending(void)
{
	struct mac_if *ifp = plug();
	struct seg seg = tcp_frame(1514, 4);
	const uint16_t cuts[] = {0, 7, 300, 5};
	struct mac_send send = {};
	struct mac_if_state state;
	uint32_t flags = 0, value = 0;

	send.segs = &seg;
	send.nsegs = 1;
	CHECK(mac_if_send(ifp, &send) == -ENETDOWN);
	CHECK(mac_if_up(ifp) == 0);
	mac_if_tap(ifp, on_tap, nullptr);
	CHECK(mac_if_send(ifp, &send) == 0 && taps == 1);

	sim_enter("test");
	CHECK(same_frame(nic->sent, 1514) && count(nic->sent) == 2);
	CHECK(mbuf_len(nic->sent) == 54 && !(mbuf_flags(nic->sent) & MBUF_EXT));
	CHECK(mbuf_get_csum_requested(nic->sent, &flags, &value) == 0 && flags == 0);

	send.flags = MAC_SEND_CSUM;
	CHECK(mac_if_send(ifp, &send) == 0);
	CHECK(mbuf_get_csum_requested(nic->sent, &flags, &value) == 0);
	CHECK(flags == MBUF_CSUM_REQ_TCP && value == 16);

	send.cuts = cuts;
	send.ncuts = 4;
	CHECK(mac_if_send(ifp, &send) == 0 && same_frame(nic->sent, 1514));
	CHECK(count(nic->sent) == 5 && mbuf_len(nic->sent) == 0);
	CHECK(mbuf_len(mbuf_next(nic->sent)) == 7);
	CHECK(mbuf_len(mbuf_next(mbuf_next(nic->sent))) == 300);
	send.cuts = nullptr;

	seg = tcp_frame(65549, 4);
	send.flags = MAC_SEND_CSUM | MAC_SEND_TSO;
	send.mss = 1448;
	CHECK(mac_if_send(ifp, &send) == 0 && same_frame(nic->sent, 65549));
	CHECK(count(nic->sent) == 5 && mbuf_len(nic->sent) == 54);
	CHECK(mbuf_get_tso_requested(nic->sent, &flags, &value) == 0);
	CHECK(flags == MBUF_TSO_IPV4 && value == 1448);
	CHECK(mbuf_get_csum_requested(nic->sent, &flags, &value) == 0);
	CHECK(flags == (sim_release_at_least(9) ? 2u : 0u));

	seg = tcp_frame(20000, 6);
	if (sim_release_at_least(7)) {
		CHECK(mac_if_send(ifp, &send) == 0 && same_frame(nic->sent, 20000));
		CHECK(mbuf_get_tso_requested(nic->sent, &flags, &value) == 0);
		CHECK(flags == MBUF_TSO_IPV6);
	} else {
		CHECK(mac_if_send(ifp, &send) == -EOPNOTSUPP);
	}
	send.flags = 0;
	send.shared_headers = true;
	CHECK(mac_if_send(ifp, &send) == 0 && same_frame(nic->sent, 20000));
	CHECK((mbuf_flags(nic->sent) & MBUF_EXT) && mbuf_leadingspace(nic->sent) == 0);
	sim_exit();

	mac_if_tap(ifp, nullptr, nullptr);
	mac_if_state(ifp, &state);
	CHECK(state.opackets == (sim_release_at_least(7) ? 6u : 5u) && state.obytes > 80000);
	unplug(ifp);
}

static void test_sending(void **)
{
	runs(6, sending);
	runs(8, sending);
	runs(9, sending);
	runs(15, sending);
}

static unsigned received, wrong;

static void on_input(void *, struct __mbuf *packet)
{
	struct seg segs[8];
	uint8_t number = 0;

	if (mac_packet_len(packet) != 60 || mac_packet_segs(packet, segs, 8) != 2 ||
	    mbuf_copydata(packet, 59, 1, &number) != 0 || number != received % 256 ||
	    mac_packet_csum_good(packet) != (received % 2 == 0))
		wrong++;
	mac_packet_free(packet);
	__atomic_add_fetch(&received, 1, __ATOMIC_SEQ_CST);
}

/* A frame of 60 bytes, in two mbufs. */
static mbuf_t incoming(unsigned number)
{
	mbuf_t m = nullptr, second = nullptr;
	uint8_t *bytes;

	CHECK(mbuf_getpacket(MBUF_DONTWAIT, &m) == 0);
	CHECK(mbuf_get(MBUF_DONTWAIT, MBUF_TYPE_DATA, &second) == 0);
	memset(mbuf_data(m), 0, 20);
	bytes = static_cast<uint8_t *>(mbuf_data(m));
	bytes[12] = 8;
	memset(mbuf_data(second), 0, 40);
	static_cast<uint8_t *>(mbuf_data(second))[39] = static_cast<uint8_t>(number);
	mbuf_setlen(m, 20);
	mbuf_setlen(second, 40);
	mbuf_setnext(m, second);
	mbuf_pkthdr_setlen(m, 60);
	if (number % 2 == 0)
		mbuf_set_csum_performed(m, MBUF_CSUM_DID_DATA | MBUF_CSUM_PSEUDO_HDR, 0xffff);
	return m;
}

static bool reached(unsigned n)
{
	return child_wait([=] { return __atomic_load_n(&received, __ATOMIC_SEQ_CST) >= n; });
}

static void receiving(void)
{
	struct mac_if *ifp = plug();
	struct mac_if_state state;

	mac_if_input(ifp, on_input, nullptr);
	mac_if_tap(ifp, on_tap, nullptr);
	CHECK(mac_if_up(ifp) == 0);
	sim_enter("test");
	for (unsigned i = 0; i < 1000; i++) {
		nic->stats->inputPackets++;
		CHECK(nic->netif->inputPacket(incoming(i), 0,
					      IONetworkInterface::kInputOptionQueuePacket) == 0);
		if (i % 10 == 9)
			CHECK(nic->netif->flushInputQueue() == 10);
	}
	nic->stats->inputPackets++;
	CHECK(nic->netif->inputPacket(incoming(1000), 60) == 1);
	CHECK(nic->netif->flushInputQueue() == 0);
	nic->netif->inputPacket(incoming(1), 0, IONetworkInterface::kInputOptionQueuePacket);
	CHECK(nic->netif->clearInputQueue() == 1);
	sim_exit();
	CHECK(reached(1001) && wrong == 0 && taps == 100200);
	mac_if_state(ifp, &state);
	CHECK(state.ipackets == 1001 && state.ibytes == 60060);
	mac_if_input(ifp, nullptr, nullptr);
	unplug(ifp);
	CHECK(sim_mbuf_alive() == 0);
}

static void test_receiving(void **)
{
	runs(6, receiving);
	runs(8, receiving);
	runs(15, receiving);
}

static void up_and_in(void)
{
	CHECK(mac_if_up(plug()) == 0);
	sim_enter("test");
}

static void test_packet_mistakes(void **)
{
	dies(
		13,
		[] {
			mbuf_t m = (up_and_in(), incoming(0));

			nic->netif->inputPacket(m, 0, IONetworkInterface::kInputOptionQueuePacket);
			nic->netif->inputPacket(m, 0, IONetworkInterface::kInputOptionQueuePacket);
		},
		"handed up twice");
	dies(
		6,
		[] {
			mbuf_t m = (up_and_in(), incoming(0));

			mbuf_setlen(m, 13);
			mbuf_pkthdr_setlen(m, 53);
			nic->netif->inputPacket(m);
		},
		"first mbuf has 13 bytes");
	dies(
		6,
		[] {
			mbuf_t m = (up_and_in(), incoming(0));

			mbuf_pkthdr_setlen(m, 61);
			nic->netif->inputPacket(m);
		},
		"its mbufs hold 60");
	dies(
		6,
		[] {
			mbuf_t m = (up_and_in(), incoming(0));

			mbuf_setnextpkt(m, incoming(1));
			nic->netif->inputPacket(m);
		},
		"nextpkt is set");
	dies(
		13,
		[] {
			struct mac_send send = {};
			struct seg seg = tcp_frame(1514, 4);

			up_and_in();
			send.segs = &seg;
			send.nsegs = 1;
			send.shared_headers = true;
			CHECK(mac_if_send(mac_if_find("en0", 0), &send) == 0);
			static_cast<uint8_t *>(mbuf_data(nic->sent))[-12] = 1;
			mbuf_freem(nic->sent);
		},
		"the driver changed the headers");
	dies(
		9,
		[] {
			IONetworkInterface *early;

			up_and_in();
			early = new IOEthernetInterface;
			CHECK(early->init(nic));
			early->inputPacket(incoming(0));
		},
		"before the interface is attached");
}

static void early_input(void)
{
	struct mac_if *ifp = plug();
	IONetworkInterface *early;

	sim_enter("test");
	early = new IOEthernetInterface;
	CHECK(early->init(nic));
	early->inputPacket(incoming(0));
	CHECK(sim_mbuf_alive() == 0);
	early->release();
	sim_exit();
	unplug(ifp);
}

static void test_early_input(void **)
{
	runs(6, early_input);
}

static void *keep_flushing(void *)
{
	sim_enter("flusher");
	for (;;)
		nic->netif->flushInputQueue();
}

/* Both flush: however seldom the other one runs, the list does not grow. */
static void two_threads(void)
{
	pthread_t other;

	up_and_in();
	CHECK(pthread_create(&other, nullptr, keep_flushing, nullptr) == 0);
	for (unsigned i = 0;; i++) {
		nic->netif->inputPacket(incoming(i), 0,
					IONetworkInterface::kInputOptionQueuePacket);
		nic->netif->flushInputQueue();
	}
}

static void test_input_list(void **)
{
	dies(13, two_threads, "another thread is using the input list");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_one_direction),
		cmocka_unit_test(test_sending),
		cmocka_unit_test(test_receiving),
		cmocka_unit_test(test_packet_mistakes),
		cmocka_unit_test(test_early_input),
		cmocka_unit_test(test_input_list),
	};

	return cmocka_run_group_tests(tests, nullptr, nullptr);
}
