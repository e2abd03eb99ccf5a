/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What ioreg -l shows of the card: who made it, what was negotiated, counters that move.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/mac/mac_rig.h"

#define SECONDS	   60u
#define REFRESH_MS 10000u /* counters are renewed every second */
#define FRAMES	   20u
#define TEXT	   2048u
#define CONTROLLER "VirtioNetController"
#define COUNT(of)  (sizeof(of) / sizeof((of)[0]))

static void check(const char *class_name, const char *key, const char *want)
{
	char value[TEXT] = "";

	CHECK_MSG(mac_registry_get(class_name, key, value, sizeof(value)), "%s has no %s",
		  class_name, key);
	CHECK_MSG(!strcmp(value, want), "%s of %s is %s, not %s", key, class_name, value, want);
}

static void check_number(const char *class_name, const char *key, unsigned long long want)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "0x%llx", want);
	check(class_name, key, text);
}

/* ---- who and what ---- */

static void check_names(uint64_t features)
{
	static const struct {
		unsigned bit;
		const char *name;
	} some[] = {
		{VIRTIO_NET_F_CSUM, "\"CSUM\""},
		{VIRTIO_NET_F_GUEST_TSO4, "\"GUEST_TSO4\""},
		{VIRTIO_NET_F_HOST_TSO6, "\"HOST_TSO6\""},
		{VIRTIO_NET_F_MRG_RXBUF, "\"MRG_RXBUF\""},
		{VIRTIO_NET_F_STATUS, "\"STATUS\""},
		{VIRTIO_NET_F_CTRL_VLAN, "\"CTRL_VLAN\""},
		{VIRTIO_NET_F_MQ, "\"MQ\""},
		{VIRTIO_F_VERSION_1, "\"VERSION_1\""},
	};
	char names[TEXT] = "";
	size_t listed = 0, bits = 0;

	CHECK(mac_registry_get(CONTROLLER, "VirtioFeatureNames", names, sizeof(names)));
	for (size_t i = 0; i < COUNT(some); i++)
		CHECK_MSG((strstr(names, some[i].name) != NULL) == (features >> some[i].bit & 1),
			  "%s: %#llx is called %s", some[i].name, (unsigned long long)features,
			  names);
	for (const char *at = names; (at = strchr(at, '"')) != NULL; at++)
		listed++;
	for (; features; features &= features - 1)
		bits++;
	CHECK_MSG(listed == 2 * bits, "%zu features have %zu names", bits, listed / 2);
}

/* CTRL_VLAN is nothing for a stack that does not say which VLANs it wants. */
static void check_device(struct mac_rig *r)
{
	struct model_options *m = &r->model[0].opts;
	uint64_t offered = m->features;
	struct model_state state;

	model_get(board_model_lock(&r->model[0]), &state);
	board_model_unlock(&r->model[0]);
	if (m->interface == MODEL_LEGACY)
		offered &= UINT32_MAX;
	else /* bits of the legacy interface alone */
		offered &= ~((UINT64_C(1) << VIRTIO_F_NOTIFY_ON_EMPTY) |
			     (UINT64_C(1) << VIRTIO_F_ANY_LAYOUT));
	check_number(CONTROLLER, "VirtioFeaturesOffered", offered);
	check_number("VirtioDevice", "VirtioFeaturesOffered", offered);
	check_number(CONTROLLER, "VirtioFeatures", state.accepted);
	CHECK(!(state.accepted >> VIRTIO_NET_F_CTRL_VLAN & 1));
	check_names(state.accepted);
	check_number("VirtioDevice", "VirtioDeviceType", 1);
	check_number(CONTROLLER, "VirtioMTU", m->mtu);
	check_number(CONTROLLER, "VirtioReceiveQueue", state.q[0].size);
	check_number(CONTROLLER, "VirtioTransmitQueue", state.q[1].size);
}

static void check_maker(struct mac_rig *r)
{
	struct mac_if_state state;
	char mac[16];

	mac_if_state(r->ifp[0], &state);
	(void)snprintf(mac, sizeof(mac), "<%02x%02x%02x%02x%02x%02x>", state.mac[0], state.mac[1],
		       state.mac[2], state.mac[3], state.mac[4], state.mac[5]);
	check(CONTROLLER, "IOVendor", "viokit");
	check(CONTROLLER, "IOModel", "Virtio Ethernet");
	check(CONTROLLER, "IOMACAddress", mac);
	check(CONTROLLER, "IOClass", CONTROLLER);
	check(CONTROLLER, "CFBundleIdentifier", "org.viokit.VirtioNet");
	check("VirtioPCIDriver", "CFBundleIdentifier", "org.viokit.VirtioPCI");
	check("IOEthernetInterface", "BSD Name", "en0");
	check_number("IOEthernetInterface", "IOInterfaceUnit", 0);
	CHECK(!memcmp(state.mac, r->model[0].opts.mac, 6));
}

/* ---- counters ---- */

/* One of VirtioCounters; fails if it is not there. */
static unsigned long long counter(const char *name)
{
	char all[TEXT] = "", key[40], *at;

	CHECK(mac_registry_get(CONTROLLER, "VirtioCounters", all, sizeof(all)));
	(void)snprintf(key, sizeof(key), "\"%s\"=", name);
	at = strstr(all, key);
	CHECK_MSG(at != NULL, "no counter of %s in %s", name, all);
	return strtoull(at + strlen(key), NULL, 16);
}

static bool renewed(void *arg)
{
	(void)arg;
	return counter("rx packets") >= FRAMES && counter("tx packets") >= FRAMES;
}

static void check_counters(struct mac_rig *r)
{
	struct mac_if_state state;

	CHECK_MSG(mac_rig_wait(renewed, NULL, REFRESH_MS), "counters stand still");
	CHECK(counter("rx packets") == FRAMES && counter("tx packets") == FRAMES);
	CHECK(counter("rx bytes") > FRAMES * 60 && counter("tx bytes") > FRAMES * 60);
	/* One after another, each frame received by an interrupt of its own. */
	CHECK_MSG(counter("rx interrupts") >= FRAMES, "%llu interrupts for %u frames",
		  counter("rx interrupts"), FRAMES);
	CHECK(counter("tx notifications") > 0 && counter("tx notifications") <= FRAMES);
	CHECK(counter("starts") == 1);
	CHECK(counter("breaks") == 0 && counter("recoveries") == 0);
	CHECK(counter("rx dropped") == 0 && counter("tx refused") == 0);
	mac_if_state(r->ifp[0], &state);
	CHECK_MSG(state.ipackets == FRAMES && state.opackets == FRAMES,
		  "netstat: %llu received, %llu sent", (unsigned long long)state.ipackets,
		  (unsigned long long)state.opackets);
	CHECK(state.ierrors == 0 && state.oerrors == 0 && state.odropped == 0);
	CHECK(state.ibytes > FRAMES * 60 && state.obytes > FRAMES * 60);
}

static void registry_case(void *arg)
{
	struct mac_rig r;

	mac_rig_open(&r, arg);
	CHECK(mac_registry_count(CONTROLLER) == 1 && mac_registry_count("VirtioDevice") == 1);
	CHECK(mac_registry_count("VirtioPCIDriver") == 1);
	CHECK(mac_registry_count("IOEthernetInterface") == 1);
	check_maker(&r);
	check_device(&r);
	check("IOEthernetInterface", "IOBuiltin", "Yes");
	check("IOEthernetInterface", "IOPrimaryInterface", "Yes");
	check(CONTROLLER, "IOLinkStatus", "0x3");
	mac_rig_exchange(&r, 0, FRAMES);
	check_counters(&r);
	mac_rig_unload(&r);
	CHECK(mac_registry_count(CONTROLLER) == 0 && mac_registry_count("VirtioDevice") == 0);
	CHECK(mac_registry_count("IOEthernetInterface") == 0);
	mac_rig_close(&r);
}

static void test_registry(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(mac_rig_releases); i++) {
		struct mac_rig_opts o = {.release = mac_rig_releases[i]};

		board_model_defaults(&o.model);
		o.model.interface = i & 1 ? MODEL_LEGACY : MODEL_TRANSITIONAL;
		mac_rig_case(registry_case, &o, SECONDS);
	}
}

/* Firmware has not called the card built in: then its interface is not, and all else is well. */
static void plain_case(void *arg)
{
	struct mac_rig r;

	mac_rig_open(&r, arg);
	check("IOEthernetInterface", "IOBuiltin", "No");
	check("IOEthernetInterface", "IOPrimaryInterface", "No");
	mac_rig_exchange(&r, 0, 4);
	mac_rig_close(&r);
}

static void test_not_built_in(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(mac_rig_releases); i++) {
		struct mac_rig_opts o = {.release = mac_rig_releases[i], .no_built_in = true};

		mac_rig_case(plain_case, &o, SECONDS);
	}
}

/* A device that is hardly one: nothing negotiated, nothing claimed. */
static void plainest_case(void *arg)
{
	struct mac_if_state state;
	struct mac_rig r;

	mac_rig_open(&r, arg);
	mac_if_state(r.ifp[0], &state);
	check_number(CONTROLLER, "VirtioFeatures", 0);
	check_names(0);
	check_number(CONTROLLER, "VirtioMTU", 1500);
	CHECK(!state.csum4 && !state.csum6 && !state.tso4 && !state.tso6);
	CHECK(!(state.mac[0] & 1) && (state.mac[0] & 2)); /* made up, as a local one */
	mac_rig_exchange(&r, 0, 4);
	mac_rig_close(&r);
}

static void test_device_without_features(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(mac_rig_releases); i++) {
		struct mac_rig_opts o = {.release = mac_rig_releases[i]};

		board_model_defaults(&o.model);
		o.model.interface = MODEL_LEGACY;
		o.model.features = 0;
		mac_rig_case(plainest_case, &o, SECONDS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registry),
		cmocka_unit_test(test_not_built_in),
		cmocka_unit_test(test_device_without_features),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
