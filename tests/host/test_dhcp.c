/* SPDX-License-Identifier: BSD-2-Clause */
/* The DHCP server: whole conversations, where answers go, options in and out, what is dropped. */
#include "tests/host/dhcp_kit.h"

static struct kit k;

static int setup(void **state)
{
	(void)state;
	kit_init(&k);
	kit_start(&k);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kit_stop(&k);
	return 0;
}

static void test_conversation(void **state)
{
	struct kit_msg d = kit_msg(DHCP_DISCOVER, 1, "a"), r = kit_msg(DHCP_REQUEST, 1, "a");
	uint8_t b[256];

	(void)state;
	assert_int_equal(kit_send(&k, &d), DHCP_OFFER);
	assert_int_equal(kit_yiaddr(&k), KIT_IP(2));
	assert_int_equal(kit_find32(&k, DHCP_OPT_SERVER), KIT_IP(1));
	assert_int_equal(kit_find32(&k, DHCP_OPT_NETMASK), 0xffffff00u);
	assert_int_equal(kit_find32(&k, DHCP_OPT_ROUTER), KIT_IP(1));
	assert_int_equal(kit_find32(&k, DHCP_OPT_DNS), KIT_IP(1));
	assert_int_equal(kit_find32(&k, DHCP_OPT_BROADCAST), KIT_IP(255));
	assert_int_equal(kit_find32(&k, DHCP_OPT_LEASE), KIT_LEASE);
	assert_int_equal(kit_find32(&k, DHCP_OPT_T1), KIT_LEASE / 2);
	assert_int_equal(kit_find32(&k, DHCP_OPT_T2), KIT_LEASE / 8 * 7);
	assert_int_equal(kit_find(&k, DHCP_OPT_DOMAIN, b, 256), 12);
	assert_memory_equal(b, "dev.internal", 12);
	assert_int_equal(kit_find(&k, DHCP_OPT_SEARCH, b, 256), 14);
	assert_memory_equal(b, "\3dev\10internal", 14);
	assert_int_equal(kit_find(&k, DHCP_OPT_MTU, b, 256), -1);
	/* To the client itself, at the address it is about to have. */
	assert_int_equal(k.to.address, KIT_IP(2));
	assert_int_equal(k.to.port, 68);
	assert_memory_equal(k.to.mac, d.mac, 6);
	assert_null(lease_by_mac(k.server.leases, d.mac));

	kit_opt32(&r, DHCP_OPT_REQUESTED, KIT_IP(2));
	kit_opt32(&r, DHCP_OPT_SERVER, KIT_IP(1));
	kit_opt(&r, DHCP_OPT_HOSTNAME, "Web-1", 5);
	assert_int_equal(kit_send(&k, &r), DHCP_ACK);
	assert_int_equal(kit_yiaddr(&k), KIT_IP(2));
	assert_non_null(lease_by_mac(k.server.leases, d.mac));
	assert_int_equal(lease_by_name(k.server.leases, "web-1"), KIT_IP(2));
	assert_int_equal(lease_by_name(k.server.leases, "A"), KIT_IP(2));
	assert_int_equal(lease_by_name(k.server.leases, "b"), 0);
	assert_int_equal(kit_get(&k, 2, "b", NULL), KIT_IP(3));
}

static void test_destinations(void **state)
{
	static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	struct kit_msg d = kit_msg(DHCP_DISCOVER, 1, "a");
	uint32_t address;

	(void)state;
	ip_put16(d.b + 10, 0x8000); /* it cannot take unicast yet */
	assert_int_equal(kit_send(&k, &d), DHCP_OFFER);
	assert_memory_equal(k.to.mac, all, 6);
	assert_int_equal(k.to.address, UINT32_MAX);
	assert_int_equal(k.out[10], 0x80);

	/* Renewing: to where it has its address. */
	address = kit_get(&k, 1, "a", NULL);
	assert_int_equal(kit_renew(&k, 1, "a", address), DHCP_ACK);
	assert_int_equal(k.to.address, address);
	assert_memory_equal(k.to.mac, d.mac, 6);
	assert_int_equal(ip_get32(k.out + 12), address);

	/* NAK: to everybody (RFC 2131, 4.1), even when renewing. */
	assert_int_equal(kit_renew(&k, 9, "b", address), DHCP_NAK);
	assert_memory_equal(k.to.mac, all, 6);
	assert_int_equal(k.to.address, UINT32_MAX);
	assert_int_equal(kit_yiaddr(&k), 0);

	/* A relay on the network that speaks for itself; no other. */
	d = kit_msg(DHCP_DISCOVER, 20, "r");
	ip_put32(d.b + 24, KIT_IP(9));
	assert_int_equal(kit_send(&k, &d), 0);
	d.from = KIT_IP(9);
	assert_int_equal(kit_send(&k, &d), DHCP_OFFER);
	assert_int_equal(k.to.address, KIT_IP(9));
	assert_int_equal(k.to.port, 67);
	ip_put32(d.b + 24, KIT_OTHER);
	d.from = KIT_OTHER;
	assert_int_equal(kit_send(&k, &d), 0);
}

static void test_request_states(void **state)
{
	uint32_t a = kit_get(&k, 1, "a", NULL);
	struct kit_msg r;

	(void)state;
	/* Init-reboot: its own, one that is free, another's, another network's. */
	assert_int_equal(kit_reboot(&k, 1, "a", a), DHCP_ACK);
	assert_int_equal(kit_reboot(&k, 2, "b", KIT_IP(77)), DHCP_ACK);
	assert_int_equal(kit_reboot(&k, 3, "c", a), DHCP_NAK);
	assert_int_equal(kit_reboot(&k, 3, "c", KIT_OTHER), DHCP_NAK);
	assert_int_equal(kit_reboot(&k, 3, "c", KIT_IP(1)), DHCP_NAK);
	assert_int_equal(kit_reboot(&k, 3, "c", KIT_IP(255)), DHCP_NAK);
	/* One lease for one client: the address it has, or none. */
	assert_int_equal(kit_reboot(&k, 1, "a", KIT_IP(99)), DHCP_NAK);

	assert_int_equal(kit_renew(&k, 1, "a", a), DHCP_ACK);
	assert_int_equal(kit_renew(&k, 3, "c", a), DHCP_NAK);
	assert_int_equal(kit_renew(&k, 3, "c", KIT_OTHER), DHCP_NAK);
	/* Our memory is gone, the client's is not: what is free, it keeps. */
	assert_int_equal(kit_renew(&k, 4, "d", KIT_IP(44)), DHCP_ACK);

	/* It has chosen another server; the offer is free at once. */
	r = kit_msg(DHCP_DISCOVER, 5, "e");
	assert_int_equal(kit_send(&k, &r), DHCP_OFFER);
	a = kit_yiaddr(&k);
	r = kit_msg(DHCP_REQUEST, 5, "e");
	kit_opt32(&r, DHCP_OPT_REQUESTED, KIT_OTHER);
	kit_opt32(&r, DHCP_OPT_SERVER, KIT_OTHER);
	assert_int_equal(kit_send(&k, &r), 0);
	assert_int_equal(kit_reboot(&k, 6, "f", a), DHCP_ACK);
	/* Neither an address nor a server. */
	r = kit_msg(DHCP_REQUEST, 7, "g");
	assert_int_equal(kit_send(&k, &r), 0);
}

static void test_release_decline(void **state)
{
	uint32_t a = kit_get(&k, 1, "a", NULL);
	struct kit_msg m;

	(void)state;
	/* Another member cannot give it back or have it parked. */
	m = kit_msg(DHCP_RELEASE, 1, "evil");
	ip_put32(m.b + 12, a);
	assert_int_equal(kit_send(&k, &m), 0);
	m = kit_msg(DHCP_DECLINE, 1, "evil");
	kit_opt32(&m, DHCP_OPT_REQUESTED, a);
	assert_int_equal(kit_send(&k, &m), 0);
	assert_non_null(lease_by_mac(k.server.leases, m.mac));

	m = kit_msg(DHCP_RELEASE, 1, "a");
	ip_put32(m.b + 12, a);
	assert_int_equal(kit_send(&k, &m), 0);
	assert_null(lease_by_mac(k.server.leases, m.mac));
	assert_int_equal(kit_get(&k, 2, "b", NULL), a + 1); /* not the one just given back */
	assert_int_equal(kit_get(&k, 1, "a", NULL), a);

	m = kit_msg(DHCP_DECLINE, 1, "a");
	kit_opt32(&m, DHCP_OPT_REQUESTED, a);
	assert_int_equal(kit_send(&k, &m), 0);
	assert_int_equal(kit_get(&k, 1, "a", NULL), a + 2);
	assert_int_equal(kit_reboot(&k, 3, "c", a), DHCP_NAK);
	kit_pass(&k, LEASE_PARK_MS / 1000 + 1);
	assert_int_equal(kit_reboot(&k, 3, "c", a), DHCP_ACK);
}

static void test_inform(void **state)
{
	struct kit_msg m = kit_msg(DHCP_INFORM, 1, "a");
	uint8_t b[8];

	(void)state;
	ip_put32(m.b + 12, KIT_IP(200));
	assert_int_equal(kit_send(&k, &m), DHCP_ACK);
	assert_int_equal(kit_yiaddr(&k), 0);
	assert_int_equal(kit_find(&k, DHCP_OPT_LEASE, b, 8), -1);
	assert_int_equal(kit_find32(&k, DHCP_OPT_DNS), KIT_IP(1));
	assert_int_equal(k.to.address, KIT_IP(200));
	assert_memory_equal(k.to.mac, m.mac, 6);
	ip_put32(m.b + 12, KIT_OTHER);
	assert_int_equal(kit_send(&k, &m), 0);
}

static void test_wishes(void **state)
{
	static const uint8_t wishes[] = {DHCP_OPT_SEARCH,  DHCP_OPT_MTU, DHCP_OPT_ROUTER,
					 DHCP_OPT_NETMASK, 250,		 DHCP_OPT_ROUTER};
	struct kit_msg d = kit_msg(DHCP_DISCOVER, 1, "a");
	size_t mask = 0, search = 0, mtu = 0, router = 0;
	uint8_t b[256];

	(void)state;
	kit_opt(&d, DHCP_OPT_WISHES, wishes, sizeof(wishes));
	assert_int_equal(kit_send(&k, &d), DHCP_OFFER);
	assert_int_equal(kit_find(&k, DHCP_OPT_DOMAIN, b, 256), -1);
	assert_int_equal(kit_find(&k, DHCP_OPT_MTU, b, 256), 2);
	assert_int_equal(b[0] << 8 | b[1], 1500);
	for (size_t at = 240; k.out[at] != DHCP_OPT_END; at += 2 + (size_t)k.out[at + 1]) {
		mask = k.out[at] == DHCP_OPT_NETMASK ? at : mask;
		search = k.out[at] == DHCP_OPT_SEARCH ? at : search;
		mtu = k.out[at] == DHCP_OPT_MTU ? at : mtu;
		router = k.out[at] == DHCP_OPT_ROUTER ? at : router;
	}
	assert_true(mask && mask < search && search < mtu && mtu < router);

	k.def.mtu = 9000; /* said, asked or not */
	d = kit_msg(DHCP_DISCOVER, 2, "b");
	assert_int_equal(kit_send(&k, &d), DHCP_OFFER);
	assert_int_equal(kit_find(&k, DHCP_OPT_MTU, b, 256), 2);
	assert_int_equal(b[0] << 8 | b[1], 9000);

	k.def.mode = NETDEF_HOST; /* nowhere to go */
	k.def.dns = false;
	d = kit_msg(DHCP_DISCOVER, 3, "c");
	assert_int_equal(kit_send(&k, &d), DHCP_OFFER);
	assert_int_equal(kit_find(&k, DHCP_OPT_ROUTER, b, 256), -1);
	assert_int_equal(kit_find(&k, DHCP_OPT_DNS, b, 256), -1);

	strcpy(k.def.upstream[0].address, "9.9.9.9");
	strcpy(k.def.upstream[1].address, "2620:fe::fe");
	strcpy(k.def.upstream[2].address, "1.1.1.1");
	k.def.nupstream = 3;
	d = kit_msg(DHCP_DISCOVER, 4, "d");
	assert_int_equal(kit_send(&k, &d), DHCP_OFFER);
	assert_int_equal(kit_find(&k, DHCP_OPT_DNS, b, 256), 8);
	assert_memory_equal(b, "\11\11\11\11\1\1\1\1", 8);
}

/* A long search list is split (RFC 3396) and left out where the client takes too little. */
static void test_sizes(void **state)
{
	static const uint8_t wishes[] = {DHCP_OPT_SEARCH, DHCP_OPT_DNS};
	struct kit_msg d;
	uint8_t b[2048];

	(void)state;
	k.def.nsearch = NETDEF_SEARCH_MAX;
	for (unsigned i = 0; i < NETDEF_SEARCH_MAX; i++) {
		memset(k.def.search[i], 'a' + (int)i, 120);
		k.def.search[i][60] = '.';
	}
	for (unsigned size = 0; size <= 2000; size += 100) {
		int n;

		d = kit_msg(DHCP_DISCOVER, 1, "a");
		ip_put16(b, size);
		kit_opt(&d, DHCP_OPT_MAX_SIZE, b, 2);
		kit_opt(&d, DHCP_OPT_WISHES, wishes, sizeof(wishes));
		assert_int_equal(kit_send(&k, &d), DHCP_OFFER);
		assert_true(k.len <= (size < 576 ? 548 : size - 28));
		n = kit_find(&k, DHCP_OPT_SEARCH, b, sizeof(b));
		assert_int_equal(n, size < 1100 ? -1 : 6 * 122);
		assert_int_equal(kit_find32(&k, DHCP_OPT_DNS), KIT_IP(1));
	}
}

static void test_names(void **state)
{
	static const uint8_t labels[] = {4, 0, 0, 3, 'f', 'o', 'o', 3, 'd', 'e', 'v', 0};
	struct kit_msg r = kit_msg(DHCP_REQUEST, 1, "a");
	struct lease_table *t = k.server.leases;
	uint8_t b[64];

	(void)state;
	kit_opt32(&r, DHCP_OPT_REQUESTED, KIT_IP(10));
	kit_opt(&r, DHCP_OPT_HOSTNAME, "ignored", 7);
	kit_opt(&r, DHCP_OPT_FQDN, labels, sizeof(labels));
	assert_int_equal(kit_send(&k, &r), DHCP_ACK);
	assert_int_equal(lease_by_name(t, "foo"), KIT_IP(10));
	assert_int_equal(kit_find(&k, DHCP_OPT_FQDN, b, 64), sizeof(labels));
	assert_int_equal(b[0], 0x04 | 0x01 | 0x02); /* labels; we do it, though not asked */
	assert_memory_equal(b + 3, labels + 3, sizeof(labels) - 3);

	/* Whose it is, it stays; the gateway's is nobody's; nor are names that browsers look for.
	 */
	r = kit_msg(DHCP_REQUEST, 2, "b");
	kit_opt32(&r, DHCP_OPT_REQUESTED, KIT_IP(11));
	kit_opt(&r, DHCP_OPT_HOSTNAME, "FOO", 3);
	assert_int_equal(kit_send(&k, &r), DHCP_ACK);
	assert_int_equal(lease_by_name(t, "foo"), KIT_IP(10));
	for (unsigned i = 0; i < 8; i++) {
		static const char *const no[] = {"gateway", "host", "wpad", "a",
						 "-x",	    "x_y",  "",	    "\303\244"};

		r = kit_msg(DHCP_REQUEST, 2, "b");
		kit_opt32(&r, DHCP_OPT_REQUESTED, KIT_IP(11));
		kit_opt(&r, DHCP_OPT_HOSTNAME, no[i], strlen(no[i]));
		assert_int_equal(kit_send(&k, &r), DHCP_ACK);
		if (strcmp(no[i], "a") != 0)
			assert_int_equal(lease_by_name(t, no[i]), 0);
	}
	assert_int_equal(lease_by_name(t, "a"), KIT_IP(10)); /* the member's */
	assert_int_equal(lease_by_name(t, "b"), KIT_IP(11));

	/* The whole name is given: its first label counts. Then the client is called otherwise. */
	r = kit_msg(DHCP_REQUEST, 2, "b");
	kit_opt32(&r, DHCP_OPT_REQUESTED, KIT_IP(11));
	kit_opt(&r, DHCP_OPT_HOSTNAME, "bar.example.org", 15);
	assert_int_equal(kit_send(&k, &r), DHCP_ACK);
	assert_int_equal(lease_by_name(t, "bar"), KIT_IP(11));
	r = kit_msg(DHCP_REQUEST, 1, "a");
	ip_put32(r.b + 12, KIT_IP(10));
	kit_opt(&r, DHCP_OPT_HOSTNAME, "baz", 3);
	assert_int_equal(kit_send(&k, &r), DHCP_ACK);
	assert_int_equal(lease_by_name(t, "foo"), 0);
	assert_int_equal(lease_by_name(t, "baz"), KIT_IP(10));
}

static void test_rapid_and_id(void **state)
{
	struct kit_msg d = kit_msg(DHCP_DISCOVER, 1, "a");
	uint8_t b[64];

	(void)state;
	kit_opt(&d, DHCP_OPT_RAPID, NULL, 0);
	kit_opt(&d, DHCP_OPT_CLIENT_ID, "\377id", 3);
	assert_int_equal(kit_send(&k, &d), DHCP_ACK);
	assert_int_equal(kit_find(&k, DHCP_OPT_RAPID, b, 64), 0);
	assert_int_equal(kit_find(&k, DHCP_OPT_CLIENT_ID, b, 64), 3);
	assert_memory_equal(b, "\377id", 3);
	assert_non_null(lease_by_mac(k.server.leases, d.mac));
}

/* Options in `file` and `sname`, and in pieces. */
static void test_overload(void **state)
{
	struct kit_msg r = kit_msg(DHCP_REQUEST, 1, "a");
	uint8_t both = 3, address[4];
	uint8_t b[64];

	(void)state;
	ip_put32(address, KIT_IP(33));
	kit_opt(&r, DHCP_OPT_OVERLOAD, &both, 1);
	kit_opt(&r, DHCP_OPT_CLIENT_ID, "\1a", 2);
	r.b[108] = DHCP_OPT_REQUESTED;
	r.b[109] = 2;
	memcpy(r.b + 110, address, 2);
	r.b[112] = DHCP_OPT_CLIENT_ID;
	r.b[113] = 1;
	r.b[114] = 'b';
	r.b[115] = DHCP_OPT_END;
	r.b[44] = DHCP_OPT_REQUESTED;
	r.b[45] = 2;
	memcpy(r.b + 46, address + 2, 2);
	assert_int_equal(kit_send(&k, &r), DHCP_ACK);
	assert_int_equal(kit_yiaddr(&k), KIT_IP(33));
	assert_int_equal(kit_find(&k, DHCP_OPT_CLIENT_ID, b, 64), 3);
	assert_memory_equal(b, "\1ab", 3);
	r.b[45] = 63; /* more than sname has */
	assert_int_equal(kit_send(&k, &r), 0);
}

static void test_dropped(void **state)
{
	struct kit_msg good = kit_msg(DHCP_DISCOVER, 1, "a"), m;
	uint64_t before = k.server.bad;

	(void)state;
	for (size_t len = 0; len < 243; len++) {
		m = good;
		m.len = len;
		if (len == 240)
			continue; /* kit_send ends it: BOOTP, below */
		assert_int_equal(kit_send(&k, &m), 0);
	}
	m = good;
	m.b[0] = 2; /* an answer */
	assert_int_equal(kit_send(&k, &m), 0);
	m = good;
	m.b[1] = 6;
	assert_int_equal(kit_send(&k, &m), 0);
	m = good;
	m.b[2] = 255;
	assert_int_equal(kit_send(&k, &m), 0);
	m = good;
	m.b[28] = 1; /* a group */
	assert_int_equal(kit_send(&k, &m), 0);
	m = good;
	memset(m.b + 28, 0, 6);
	assert_int_equal(kit_send(&k, &m), 0);
	m = good;
	m.b[236]++;
	assert_int_equal(kit_send(&k, &m), 0);
	m = good;
	m.len = 240; /* BOOTP */
	assert_int_equal(kit_send(&k, &m), 0);
	for (unsigned type = 0; type < 256; type++) {
		m = good;
		m.b[242] = (uint8_t)type;
		if (type != DHCP_DISCOVER)
			assert_int_equal(kit_send(&k, &m), 0);
	}
	m = good;
	m.b[m.len++] = DHCP_OPT_HOSTNAME;
	m.b[m.len++] = 200;
	assert_int_equal(kit_send(&k, &m), 0);
	assert_true(k.server.bad > before);

	k.def.lock_mac = true; /* nobody asks for somebody else */
	m = good;
	m.mac[5]++;
	assert_int_equal(kit_send(&k, &m), 0);
	k.def.lock_mac = false;
	assert_int_equal(kit_send(&k, &m), DHCP_OFFER);
	assert_int_equal(kit_send(&k, &good), DHCP_OFFER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_conversation),	 T(test_destinations), T(test_request_states),
		T(test_release_decline), T(test_inform),       T(test_wishes),
		T(test_sizes),		 T(test_names),	       T(test_rapid_and_id),
		T(test_overload),	 T(test_dropped),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
