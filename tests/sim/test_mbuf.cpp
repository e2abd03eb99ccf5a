/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Network buffers: made, cut, shared between threads, and used wrongly.
 */
#include "tests/sim/bsd_kit.h"

static mbuf_t packet_of(size_t len)
{
	unsigned chunks = 0;
	mbuf_t packet = nullptr;
	size_t left = len;
	uint8_t byte = 0;

	CHECK(mbuf_allocpacket(MBUF_WAITOK, len, &chunks, &packet) == 0);
	for (mbuf_t m = packet; m; m = mbuf_next(m)) {
		size_t n = mbuf_maxlen(m) < left ? mbuf_maxlen(m) : left;

		CHECK(mbuf_len(m) == 0);
		mbuf_setlen(m, n);
		for (size_t i = 0; i < n; i++)
			static_cast<uint8_t *>(mbuf_data(m))[i] = byte++;
		left -= n;
	}
	CHECK(left == 0 && mbuf_pkthdr_len(packet) == 0);
	mbuf_pkthdr_setlen(packet, len);
	return packet;
}

static bool holds(mbuf_t packet, size_t off, size_t len, uint8_t first)
{
	uint8_t *copy = static_cast<uint8_t *>(malloc(len));
	bool same = mbuf_copydata(packet, off, len, copy) == 0;

	for (size_t i = 0; same && i < len; i++)
		same = copy[i] == static_cast<uint8_t>(first + i);
	free(copy);
	return same;
}

static void allocation(void)
{
	inside kernel;
	size_t mhlen = mbuf_get_mhlen(), mlen = mbuf_get_mlen();
	unsigned chunks = 1;
	mbuf_t m = nullptr, small;

	CHECK(mbuf_allocpacket(MBUF_WAITOK, 0, nullptr, &m) == DARWIN_EINVAL);
	CHECK(count(small = packet_of(mhlen)) == 1 && !(mbuf_flags(small) & MBUF_EXT));
	mbuf_freem(small);
	CHECK(count(small = packet_of(mhlen + 1)) == 2 && !(mbuf_flags(small) & MBUF_EXT));
	mbuf_freem(small);
	/* One chunk was asked for: a cluster. */
	CHECK(mbuf_allocpacket(MBUF_WAITOK, mhlen + mlen, &chunks, &m) == 0);
	CHECK(count(m) == 1 && mbuf_maxlen(m) == 2048);
	mbuf_freem(m);
	CHECK(count(m = packet_of(2048)) == 1 && mbuf_maxlen(m) == 2048);
	mbuf_freem(m);
	CHECK(count(m = packet_of(2049)) == 1 && mbuf_maxlen(m) == 4096);
	mbuf_freem(m);
	CHECK(count(m = packet_of(16384 + 3000)) == 2 && mbuf_maxlen(m) == 16384);
	CHECK(mbuf_maxlen(mbuf_next(m)) == 4096);
	mbuf_freem(m);
	chunks = 1;
	CHECK(mbuf_allocpacket(MBUF_WAITOK, 40000, &chunks, &m) == DARWIN_ENOBUFS && chunks == 3);

	CHECK(mbuf_getpacket(MBUF_DONTWAIT, &m) == 0);
	CHECK((mbuf_flags(m) & (MBUF_EXT | MBUF_PKTHDR)) == (MBUF_EXT | MBUF_PKTHDR));
	CHECK(mbuf_data_to_physical(mbuf_data(m)) == sim_ram_address(mbuf_data(m)));
	CHECK(mbuf_data_to_physical(&m) == 0);
	CHECK(mbuf_data_to_physical(sim_config.ram.base) == 0);
	CHECK(mbuf_setdata(m, static_cast<uint8_t *>(mbuf_data(m)) + 2047, 1) == 0);
	CHECK(mbuf_setdata(m, mbuf_data(m), 2) == DARWIN_EINVAL);
	CHECK(mbuf_leadingspace(m) == 2047 && mbuf_trailingspace(m) == 0);
	small = nullptr;
	CHECK(mbuf_getcluster(MBUF_WAITOK, MBUF_TYPE_DATA, 16384, &small) == 0);
	CHECK(mbuf_getcluster(MBUF_WAITOK, MBUF_TYPE_DATA, 1000, &m) == DARWIN_EINVAL);
	mbuf_setnextpkt(m, small);
	CHECK(mbuf_freem_list(m) == 2);
	CHECK(sim_mbuf_alive() == 0);
}

static void contents(void)
{
	inside kernel;
	mbuf_t m = packet_of(20000), tail = nullptr, found = nullptr;
	size_t at = 16380;
	uint8_t bytes[4] = {1, 2, 3, 4};

	CHECK(holds(m, 0, 20000, 0));
	CHECK(mbuf_copydata(m, 19999, 2, bytes) == DARWIN_EINVAL);
	/* Also what lies together in a cluster moves to a new mbuf. */
	CHECK(mbuf_pullup(&m, 60) == 0 && mbuf_len(m) >= 60 && !(mbuf_flags(m) & MBUF_EXT));
	CHECK(mbuf_pkthdr_len(m) == 20000 && holds(m, 0, 20000, 0));
	CHECK(mbuf_split(m, 1000, MBUF_WAITOK, &tail) == 0);
	CHECK(mbuf_pkthdr_len(m) == 1000 && mbuf_pkthdr_len(tail) == 19000);
	CHECK(holds(m, 0, 1000, 0) && holds(tail, 0, 19000, static_cast<uint8_t>(1000)));
	/* Both have a part of one cluster: nobody has space in it. */
	CHECK(mbuf_leadingspace(mbuf_next(tail)) == 0);
	CHECK(mbuf_trailingspace(mbuf_next(m)) == 0);
	mbuf_freem(m);
	mbuf_adj(tail, 24);
	mbuf_adj(tail, -976);
	CHECK(mbuf_pkthdr_len(tail) == 18000 && holds(tail, 0, 18000, 0));
	CHECK(mbuf_pulldown(tail, &at, 100, &found) == 0);
	CHECK(mbuf_len(found) >= at + 100 && holds(tail, 0, 18000, 0));
	CHECK(mbuf_dup(tail, MBUF_WAITOK, &m) == 0 && holds(m, 0, 18000, 0));
	mbuf_freem(tail);
	CHECK(mbuf_prepend(&m, 8, MBUF_WAITOK) == 0 && mbuf_pkthdr_len(m) == 18008);
	CHECK(mbuf_copyback(m, 18006, 4, bytes, MBUF_WAITOK) == 0);
	CHECK(mbuf_pkthdr_len(m) == 18010 && mbuf_copydata(m, 18009, 1, bytes) == 0);
	CHECK(bytes[0] != 1 || bytes[0] == 4);
	CHECK(mbuf_pullup(&m, mbuf_get_mhlen() + 1) == DARWIN_ENOMEM && m == nullptr);
	CHECK(sim_mbuf_alive() == 0);
}

static void offloads(void)
{
	inside kernel;
	uint32_t flags = 0, value = 77;
	uint16_t tag = 0;
	mbuf_t m;

	CHECK(mbuf_gethdr(MBUF_WAITOK, MBUF_TYPE_HEADER, &m) == 0);
	CHECK(mbuf_get_tso_requested(m, &flags, &value) == 0 && flags == 0 && value == 77);
	CHECK(mbuf_get_vlan_tag(m, &tag) == DARWIN_ENXIO);
	CHECK(mbuf_set_vlan_tag(m, 5) == 0);
	CHECK(mbuf_set_csum_performed(m, MBUF_CSUM_DID_DATA | MBUF_CSUM_PSEUDO_HDR, 0xffff) == 0);
	CHECK(mbuf_get_csum_performed(m, &flags, &value) == 0 && value == 0xffff);
	CHECK(mbuf_get_vlan_tag(m, &tag) == 0 && tag == 5);
	CHECK(mbuf_set_csum_requested(m, 0x66, 16) == 0);
	CHECK(mbuf_get_csum_requested(m, &flags, &value) == 0 && value == 16);
	CHECK(flags == (sim_release_at_least(7) ? 0x66u : 0x6u));
	CHECK(mbuf_setflags_mask(m, 0, MBUF_PKTHDR) == 0);
	CHECK(mbuf_get_csum_requested(m, &flags, &value) == DARWIN_EINVAL);
	CHECK(mbuf_setflags_mask(m, 0, MBUF_EXT) == 0 && mbuf_setflags(m, MBUF_EXT) != 0);
	mbuf_freem(m);
}

static void test_mbufs(void **)
{
	for (int release = 6; release <= 15; release++) {
		runs(release, allocation);
		runs(release, contents);
		runs(release, offloads);
	}
}

static void *free_half(void *arg)
{
	inside kernel;

	for (unsigned i = 0; i < 20000; i++) {
		mbuf_t m = nullptr;

		CHECK(mbuf_getpacket(MBUF_DONTWAIT, &m) == 0);
		mbuf_t *slot = static_cast<mbuf_t *>(arg) + i % 64;
		mbuf_t old = __atomic_exchange_n(slot, m, __ATOMIC_ACQ_REL);

		if (old)
			mbuf_freem(old);
	}
	return nullptr;
}

/* What one thread allocates another one frees. */
static void threads(void)
{
	mbuf_t slots[64] = {};
	pthread_t others[3];

	for (pthread_t &t : others)
		CHECK(pthread_create(&t, nullptr, free_half, slots) == 0);
	for (pthread_t &t : others)
		pthread_join(t, nullptr);
	inside kernel;
	for (mbuf_t m : slots)
		mbuf_freem(m);
	CHECK(sim_mbuf_alive() == 0);
}

static void exhaustion(void)
{
	inside kernel;
	mbuf_t list = nullptr, m = nullptr;
	unsigned n = 0;

	while (mbuf_getpacket(MBUF_DONTWAIT, &m) == 0) {
		mbuf_setnextpkt(m, list);
		list = m;
		n++;
	}
	CHECK(m == nullptr && n > 1000);
	CHECK(mbuf_freem_list(list) == static_cast<int>(n));
	CHECK(mbuf_getpacket(MBUF_DONTWAIT, &m) == 0);
	mbuf_freem(m);
}

static void test_mbuf_pools(void **)
{
	runs(13, threads);
	runs(13, exhaustion);
}

static mbuf_t one(void)
{
	mbuf_t m = nullptr;

	sim_enter("test");
	CHECK(mbuf_getpacket(MBUF_WAITOK, &m) == 0);
	return m;
}

static void test_mbuf_mistakes(void **)
{
	dies(
		6,
		[] {
			mbuf_t m = one();

			mbuf_freem(m);
			mbuf_freem(m);
		},
		"mbuf_freem: mbuf");
	dies(
		9,
		[] {
			mbuf_t m = one();

			mbuf_freem(m);
			mbuf_len(m);
		},
		"has been freed");
	dies(
		13, [] { mbuf_setlen(one(), 2049); }, "do not fit");
	dies(
		13,
		[] {
			mbuf_t m = one(), next = one();

			mbuf_setnext(m, next);
			mbuf_setnextpkt(next, one());
			mbuf_freem(m);
		},
		"nextpkt");
	dies(
		13,
		[] {
			mbuf_t m = one();
			uint8_t *data = static_cast<uint8_t *>(mbuf_data(m));

			mbuf_freem(m);
			data[10] = 1; /* as a device would */
			for (unsigned i = 0; i < 300; i++)
				one();
		},
		"after it was freed");
	dies(
		13,
		[] {
			mbuf_t m = nullptr;

			sim_enter("test");
			mbuf_gethdr(MBUF_WAITOK, MBUF_TYPE_HEADER, &m);
			static_cast<uint8_t *>(mbuf_data(m))[-1] = 0;
			mbuf_freem(m);
		},
		"was overwritten");
	dies(
		13,
		[] {
			mbuf_t m;

			sim_enter("test");
			sim_interrupt_begin();
			mbuf_getpacket(MBUF_DONTWAIT, &m);
		},
		"mbuf_getpacket");
}

static void leak(void)
{
	one();
	sim_exit();
	CHECK(mac_halt(stderr) == 1);
	_exit(0);
}

static void test_mbuf_leak(void **)
{
	runs(13, leak);
	assert_non_null(strstr(child_said(), "1 mbufs that a driver allocated"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mbufs),
		cmocka_unit_test(test_mbuf_pools),
		cmocka_unit_test(test_mbuf_mistakes),
		cmocka_unit_test(test_mbuf_leak),
	};

	return cmocka_run_group_tests(tests, nullptr, nullptr);
}
