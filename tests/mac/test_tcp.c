/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DHCP, echo of up to 9,000 bytes, and TCP both ways over the kexts, every byte verified: through
 * QEMU's user network, and over a TAP, where checksums and segmentation are the device's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/mac/mac_stack.h"
#include "wire/virtio_net.h"

#define MIB	64u
#define GIB_MIB 1024u

static void run_stack(struct mac_stack *s)
{
	mac_stack_ping(s, 56);
	mac_stack_ping(s, 1472);
	mac_stack_ping(s, 9000);
	mac_stack_both_ways(s);
}

static void user_case(void *arg)
{
	struct mac_stack s;

	mac_stack_open(&s, arg);
	run_stack(&s);
	mac_stack_close(&s);
}

/* What the interface offers is used: one packet of many segments down, and up. */
static void offload_case(void *arg)
{
	const struct netif_mac_stats *n;
	struct mac_if_state state;
	struct mac_stack s;

	mac_stack_open(&s, arg);
	mac_if_state(s.rig.ifp[0], &state);
	run_stack(&s);
	n = netif_mac_stats(s.nm);
	(void)fprintf(stderr,
		      "tso %llu, sums asked for %llu, vouched for %llu, large %llu, dropped %llu\n",
		      (unsigned long long)n->tx_tso, (unsigned long long)n->tx_csum,
		      (unsigned long long)n->rx_good, (unsigned long long)n->rx_large,
		      (unsigned long long)n->rx_dropped);
	CHECK(state.csum4);
	CHECK(state.tso4);
	CHECK(n->tx_csum > 0);
	CHECK(n->tx_tso > 0);
	/* On 10.6 the driver finishes sums that were left to it; there is nothing to vouch for. */
	CHECK(s.rig.release < 7 || n->rx_good > 0);
	CHECK((mac_stack_number("VirtioFeatures") >> VIRTIO_NET_F_GUEST_TSO4 & 1) ==
	      (n->rx_large > 0));
	mac_stack_close(&s);
}

static void test_user_network(void **state)
{
	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct mac_stack_opts o = {.rig = {.release = mac_rig_releases[i]}, .mib = MIB};

		mac_rig_case(user_case, &o, 120);
	}
}

static void test_tap_with_offloads(void **state)
{
	(void)state;
	if (!mac_stack_can_tap())
		skip();
	for (size_t i = 0; i < 5; i++) {
		struct mac_stack_opts o = {
			.rig = {.release = mac_rig_releases[i]}, .tap = true, .mib = MIB};

		mac_rig_case(offload_case, &o, 120);
	}
}

/* 1 GiB each way: once where it is fast; for all releases, and however slow, in the long tests. */
static void test_gibibyte_each_way(void **state)
{
	(void)state;
	if (!mac_stack_can_tap())
		skip();
	for (size_t i = 0; i < 5; i++) {
		struct mac_stack_opts o = {
			.rig = {.release = mac_rig_releases[i]}, .tap = true, .mib = GIB_MIB};

		if (!mac_stack_soak() && (mac_stack_sanitized() || o.rig.release != 13))
			continue;
		mac_rig_case(offload_case, &o, 600);
		o.tap = false;
		mac_rig_case(user_case, &o, 600);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_user_network),
		cmocka_unit_test(test_tap_with_offloads),
		cmocka_unit_test(test_gibibyte_each_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
