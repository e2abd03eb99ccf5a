/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lease table: who gets what, and that no address is ever anybody else's as well: shares,
 * starvation, reservations, addresses in use, the clock, and what is left after the daemon has
 * died.
 */
#include "tests/host/dhcp_kit.h"

static struct kit k;
static char dir[64], path[96];

static void reopen_state(void)
{
	char err[256];

	if (k.state)
		state_close(k.state);
	k.state = state_open(path, err, sizeof(err));
	if (!k.state)
		fail_msg("%s", err);
}

/* The daemon was killed; the state file is what it has written. */
static void restart(void)
{
	kit_stop(&k);
	reopen_state();
	k.server.leases = NULL;
	kit_start(&k);
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/vmnet-lease-XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	(void)snprintf(path, sizeof(path), "%s/state", dir);
	kit_init(&k);
	reopen_state();
	kit_start(&k);
	return 0;
}

static int teardown(void **state)
{
	char cmd[96];

	(void)state;
	kit_stop(&k);
	state_close(k.state);
	free(k.def.reserve);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd); /* NOLINT(cert-env33-c): a folder of our own making */
}

static struct netdef_reserve *reserve(unsigned n)
{
	k.def.reserve = calloc(n, sizeof(*k.def.reserve));
	k.def.nreserve = n;
	return k.def.reserve;
}

/* All that is held, by address; fails if one is there twice. */
struct held {
	unsigned n;
	uint8_t mac[256][6];
	bool there[256];
};

static void collect(void *arg, const struct lease *l)
{
	struct held *h = arg;

	if (l->state != LEASE_BOUND)
		return;
	assert_int_equal(l->address & 0xffffff00u, KIT_NET);
	assert_false(h->there[l->address & 0xff]);
	h->there[l->address & 0xff] = true;
	memcpy(h->mac[l->address & 0xff], l->mac, 6);
	h->n++;
}

static struct held held(void)
{
	struct held h = {0};

	lease_each(k.server.leases, collect, &h);
	return h;
}

static void test_same_client(void **state)
{
	uint32_t a = kit_get(&k, 1, "a", NULL), b = kit_get(&k, 2, "b", NULL), c;
	struct kit_msg d = kit_msg(DHCP_DISCOVER, 1, "a");
	uint8_t id[7] = {1};

	(void)state;
	assert_int_equal(a, KIT_IP(2));
	assert_int_equal(b, KIT_IP(3));
	assert_int_equal(kit_get(&k, 1, "a", NULL), a);
	/* An identifier that only repeats the hardware address; then a real one, as firmware and
	 * system do. */
	memcpy(id + 1, d.mac, 6);
	kit_opt(&d, DHCP_OPT_CLIENT_ID, id, 7);
	assert_int_equal(kit_send(&k, &d), DHCP_OFFER);
	assert_int_equal(kit_yiaddr(&k), a);
	assert_int_equal(kit_get(&k, 1, "a", "\377duid"), a);
	/* It is another client with another identifier (RFC 2131, 4.2). */
	c = kit_get(&k, 1, "a", "\377other");
	assert_true(c && c != a);
	assert_int_equal(kit_get(&k, 1, "a", "\377duid"), a);
	/* With another hardware address it is still the same. */
	assert_int_equal(kit_get(&k, 9, "a", "\377duid"), a);
	/* After it was over for long, too. */
	kit_pass(&k, 10 * KIT_LEASE);
	assert_int_equal(held().n, 0);
	assert_int_equal(kit_get(&k, 9, "a", "\377duid"), a);
	assert_int_equal(kit_get(&k, 2, "b", NULL), b);
}

/* Two members that say the same of themselves: cloned disks. */
static void test_clones(void **state)
{
	uint32_t a = kit_get(&k, 1, "a", "\377same"), b = kit_get(&k, 2, "b", "\377same");

	(void)state;
	assert_true(a && b && a != b);
	assert_int_equal(kit_renew(&k, 1, "b", a), DHCP_NAK);
	assert_int_equal(kit_get(&k, 1, "a", "\377same"), a);
	assert_int_equal(kit_get(&k, 2, "b", "\377same"), b);
	/* The same hardware address from two ports. */
	assert_int_not_equal(kit_get(&k, 5, "c", NULL), kit_get(&k, 5, "d", NULL));
	/* But once a member has left, its client may come back under another name. */
	a = kit_get(&k, 7, "vm1", NULL);
	lease_member_gone(k.server.leases, "vm1");
	assert_int_equal(kit_get(&k, 7, "vm2", NULL), a);
	assert_int_equal(lease_by_name(k.server.leases, "vm1"), 0);
	assert_int_equal(lease_by_name(k.server.leases, "vm2"), a);
	/* And it is no longer the first one's. */
	assert_int_not_equal(kit_get(&k, 7, "vm1", NULL), a);
}

static void test_starvation(void **state)
{
	unsigned share = lease_share(k.server.leases), got = 0;
	uint32_t old[100];
	struct rng r = {42};

	(void)state;
	assert_int_equal(share, 253 / 16);
	/* One port: random hardware addresses and identifiers, offers left alone, declines. */
	for (unsigned i = 0; i < 20000; i++) {
		struct kit_msg d = kit_msg(DHCP_DISCOVER, 1000 + i, "evil"), m;
		uint8_t id[20];
		uint32_t a;

		rng_fill(&r, id, sizeof(id));
		if (rng_below(&r, 2))
			kit_opt(&d, DHCP_OPT_CLIENT_ID, id, 2 + rng_below(&r, 18));
		if (kit_send(&k, &d) == DHCP_OFFER) {
			a = kit_yiaddr(&k);
			m = d;
			m.b[242] = (uint8_t)(rng_below(&r, 2) ? DHCP_REQUEST : DHCP_DECLINE);
			kit_opt32(&m, DHCP_OPT_REQUESTED, a);
			if (rng_below(&r, 3) && kit_send(&k, &m) == DHCP_ACK)
				got++;
		}
		if (i % 100 == 0)
			kit_pass(&k, rng_below(&r, 120));
		/* Others are served all the while, and what is theirs stays theirs. */
		if (i % 200 == 0) {
			char name[16];

			(void)snprintf(name, sizeof(name), "vm%u", i / 200);
			old[i / 200] = kit_get(&k, 1 + i / 200, name, NULL);
			assert_int_not_equal(old[i / 200], 0);
		}
		assert_true(held().n <= 1 + i / 200 + share);
	}
	assert_true(got > 0);
	assert_true(k.server.exhausted > 0);
	for (unsigned i = 0; i < 100; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "vm%u", i);
		assert_int_equal(kit_get(&k, 1 + i, name, NULL), old[i]);
	}
}

/* What a flooding member cannot do: make others' addresses forgotten. */
static void test_memory(void **state)
{
	uint32_t old[100];

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "vm%u", i);
		old[i] = kit_get(&k, i + 1, name, NULL);
	}
	kit_pass(&k, 2 * KIT_LEASE);
	for (unsigned i = 0; i < 3000; i++) {
		struct kit_msg m = kit_msg(DHCP_RELEASE, 5000 + i, "evil");
		uint32_t a = kit_get(&k, 5000 + i, "evil", NULL);

		ip_put32(m.b + 12, a);
		(void)kit_send(&k, &m);
	}
	for (unsigned i = 0; i < 100; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "vm%u", i);
		assert_int_equal(kit_get(&k, i + 1, name, NULL), old[i]);
	}
}

static void test_exhaustion(void **state)
{
	char name[16];
	uint32_t first;

	(void)state;
	k.def.dhcp_end = KIT_IP(21); /* 20 addresses, shares of 8 */
	kit_start(&k);
	for (unsigned i = 0; i < 20; i++) {
		(void)snprintf(name, sizeof(name), "vm%u", i);
		assert_int_equal(kit_get(&k, i + 1, name, NULL), KIT_IP(2 + i));
		kit_pass(&k, 1);
	}
	assert_int_equal(kit_get(&k, 100, "late", NULL), 0);
	assert_int_equal(k.server.exhausted, 1);
	/* The one that has been over longest goes first. */
	kit_pass(&k, KIT_LEASE - 18);
	first = kit_get(&k, 100, "late", NULL);
	assert_int_equal(first, KIT_IP(2));
	assert_int_equal(kit_renew(&k, 1, "vm0", first), DHCP_NAK);
	/* Nobody else's is free yet, so the first one waits. */
	kit_pass(&k, 30);
	assert_int_not_equal(kit_get(&k, 1, "vm0", NULL), 0);

	/* Tiny ranges: nobody takes all but one who is alone can have one. */
	k.def.dhcp_end = KIT_IP(2);
	kit_start(&k);
	assert_int_equal(lease_share(k.server.leases), 1);
	k.def.dhcp = false;
	kit_start(&k);
	assert_int_equal(kit_get(&k, 1, "a", NULL), 0);
}

/* D-8: what a member that has left still holds is given to others, but only when it must be. */
static void test_left_behind(void **state)
{
	(void)state;
	k.def.dhcp_end = KIT_IP(4);
	kit_start(&k);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(kit_get(&k, i + 1, (const char *[]){"a", "b", "c"}[i], NULL),
				 KIT_IP(2 + i));
		kit_pass(&k, 1);
	}
	assert_int_equal(kit_get(&k, 4, "d", NULL), 0);
	lease_member_gone(k.server.leases, "b");
	/* It is back before anybody wanted its address. */
	assert_int_equal(kit_renew(&k, 2, "b", KIT_IP(3)), DHCP_ACK);
	assert_int_equal(kit_get(&k, 4, "d", NULL), 0);
	lease_member_gone(k.server.leases, "b");
	assert_int_equal(kit_get(&k, 4, "d", NULL), KIT_IP(3));
	assert_int_equal(kit_renew(&k, 2, "b", KIT_IP(3)), DHCP_NAK);
	/* One that is seen to be used stays who it is. */
	lease_seen(k.server.leases, "x", (const uint8_t[6]){2, 9, 9, 9, 9, 9}, KIT_IP(2));
	lease_member_gone(k.server.leases, "a");
	assert_int_equal(kit_get(&k, 5, "e", NULL), 0);
	/* A daemon that has just begun does not know who is there: those who are silent keep
	 * theirs. */
	restart();
	assert_int_equal(kit_get(&k, 6, "f", NULL), 0);
}

static void test_offer_lapses(void **state)
{
	struct kit_msg d = kit_msg(DHCP_DISCOVER, 1, "a");

	(void)state;
	k.def.dhcp_end = KIT_IP(2);
	kit_start(&k);
	assert_int_equal(kit_send(&k, &d), DHCP_OFFER);
	assert_int_equal(kit_get(&k, 2, "b", NULL), 0);
	kit_pass(&k, LEASE_OFFER_MS / 1000 - 1);
	assert_int_equal(kit_get(&k, 2, "b", NULL), 0);
	kit_pass(&k, 2);
	assert_int_equal(kit_get(&k, 2, "b", NULL), KIT_IP(2));
	assert_int_equal(kit_reboot(&k, 1, "a", KIT_IP(2)), DHCP_NAK);
}

static void test_reserved(void **state)
{
	struct netdef_reserve *r = reserve(3);
	struct kit_msg m = kit_msg(DHCP_DISCOVER, 1, "a");

	(void)state;
	r[0].by_mac = true;
	memcpy(r[0].mac, m.mac, 6);
	r[0].address = KIT_IP(2); /* in the range */
	strcpy(r[1].name, "db");
	r[1].address = KIT_IP(3);
	strcpy(r[2].name, "web");
	r[2].address = KIT_IP(255 - 1);
	k.def.dhcp_end = KIT_IP(100); /* r[2] is outside */
	kit_start(&k);

	/* Nobody else gets them, asked for or not. */
	assert_int_equal(kit_get(&k, 50, "x", NULL), KIT_IP(4));
	assert_int_equal(kit_reboot(&k, 51, "y", KIT_IP(2)), DHCP_NAK);
	assert_int_equal(kit_reboot(&k, 51, "y", KIT_IP(254)), DHCP_NAK);
	assert_int_equal(kit_get(&k, 1, "a", NULL), KIT_IP(2));
	assert_int_equal(kit_get(&k, 1, "a", "\377firmware"), KIT_IP(2));
	assert_int_equal(kit_get(&k, 7, "db", NULL), KIT_IP(3));
	assert_int_equal(kit_get(&k, 8, "web", NULL), KIT_IP(254));
	/* A second station behind that member has an ordinary one. */
	assert_int_equal(kit_get(&k, 9, "db", NULL), KIT_IP(5));
	assert_int_equal(lease_by_name(k.server.leases, "db"), KIT_IP(3));
	/* The same hardware address at another port is another client. */
	assert_int_not_equal(kit_get(&k, 1, "thief", NULL), KIT_IP(2));
	/* A member made anew, with another hardware address. */
	lease_member_gone(k.server.leases, "db");
	assert_int_equal(kit_get(&k, 70, "db", NULL), KIT_IP(3));

	/* Reserved while it had another: it moves when it starts, not while it runs. */
	strcpy(r[1].name, "x");
	restart();
	assert_int_equal(kit_renew(&k, 50, "x", KIT_IP(4)), DHCP_ACK);
	assert_int_equal(kit_reboot(&k, 50, "x", KIT_IP(4)), DHCP_NAK);
	assert_int_equal(kit_get(&k, 50, "x", NULL), KIT_IP(3));
	assert_int_equal(kit_reboot(&k, 80, "z", KIT_IP(4)), DHCP_ACK); /* given back */
}

/* Somebody has an address who never asked. */
static void test_in_use(void **state)
{
	static const uint8_t mac[6] = {2, 0xaa}, other[6] = {2, 0xbb};
	struct lease_table *t = k.server.leases;
	unsigned share = lease_share(t);
	uint32_t a;

	(void)state;
	lease_seen(t, "static", mac, KIT_IP(2));
	assert_int_equal(kit_get(&k, 1, "a", NULL), KIT_IP(3));
	assert_int_equal(kit_reboot(&k, 2, "b", KIT_IP(2)), DHCP_NAK);
	assert_int_equal(lease_by_name(t, "static"), KIT_IP(2)); /* a name without a lease */
	/* It cannot claim all of them. */
	for (unsigned i = 3; i < 255; i++)
		lease_seen(t, "static", other, KIT_IP(i));
	for (unsigned i = 0; i < 10; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "vm%u", i);
		assert_int_not_equal(kit_get(&k, 100 + i, name, NULL), 0);
	}
	assert_true(kit_reboot(&k, 200, "late", KIT_IP(3 + share + 20)) == DHCP_ACK);
	/* Nor take what has a holder. */
	lease_seen(t, "evil", other, KIT_IP(3));
	assert_int_equal(kit_renew(&k, 1, "a", KIT_IP(3)), DHCP_ACK);
	assert_int_equal(kit_get(&k, 1, "a", NULL), KIT_IP(3));
	/* Silent for long: free again. */
	kit_pass(&k, LEASE_SEEN_MS / 1000 + LEASE_PARK_MS / 1000 + 1);
	for (unsigned i = 0; i < 300; i++)
		kit_pass(&k, 0);
	assert_int_equal(kit_reboot(&k, 2, "b", KIT_IP(2)), DHCP_ACK);
	/* A client that comes back to its own is no stranger. */
	a = kit_get(&k, 30, "own", NULL);
	lease_seen(t, "own", kit_msg(DHCP_DISCOVER, 30, "own").mac, a);
	kit_pass(&k, 2 * KIT_LEASE);
	lease_seen(t, "own", kit_msg(DHCP_DISCOVER, 30, "own").mac, a);
	assert_int_equal(kit_get(&k, 30, "own", NULL), a);
	lease_member_gone(t, "static");
	assert_int_equal(lease_by_name(t, "static"), 0);
}

static void test_persists(void **state)
{
	struct kit_msg m = kit_msg(DHCP_REQUEST, 3, "c");
	struct held before, after;
	uint32_t a, gone;

	(void)state;
	a = kit_get(&k, 1, "a", "\377duid");
	gone = kit_get(&k, 2, "b", NULL);
	kit_opt32(&m, DHCP_OPT_REQUESTED, KIT_IP(30));
	kit_opt(&m, DHCP_OPT_HOSTNAME, "name", 4);
	assert_int_equal(kit_send(&k, &m), DHCP_ACK);
	m = kit_msg(DHCP_RELEASE, 2, "b");
	ip_put32(m.b + 12, gone);
	assert_int_equal(kit_send(&k, &m), 0);
	before = held();
	restart();
	after = held();
	assert_memory_equal(&before, &after, sizeof(before));
	assert_int_equal(after.n, 2);
	assert_int_equal(lease_by_name(k.server.leases, "name"), KIT_IP(30));
	assert_int_equal(lease_by_name(k.server.leases, "c"), KIT_IP(30));
	assert_int_equal(kit_get(&k, 9, "new", NULL), KIT_IP(4)); /* not the one given back */
	assert_int_equal(kit_get(&k, 1, "a", "\377duid"), a);
	assert_int_equal(kit_get(&k, 2, "b", NULL), gone);
	assert_int_equal(kit_renew(&k, 3, "c", KIT_IP(30)), DHCP_ACK);
	assert_int_equal(kit_renew(&k, 4, "d", KIT_IP(30)), DHCP_NAK);
}

static void test_bad_records(void **state)
{
	static const char *const bad[] = {
		"[]",
		"{}",
		"{'mac':'02:00:00:00:00:01','id':'zz','hostname':'','member':'','expires':9}",
		"{'mac':'02:00:00:00:00:01','id':'0','hostname':'','member':'','expires':9}",
		"{'mac':'01:00:00:00:00:01','id':'','hostname':'','member':'','expires':9}",
		"{'mac':'nonsense','id':'','hostname':'','member':'','expires':9}",
		"{'mac':'02:00:00:00:00:01','id':'','hostname':'a b','member':'','expires':9}",
		"{'mac':'02:00:00:00:00:01','id':'','hostname':'','member':'a/b','expires':9}",
		"{'mac':'02:00:00:00:00:01','id':'','hostname':'','member':'','expires':-9}",
		"{'mac':'02:00:00:00:00:01','id':'','hostname':'','member':'','expires':'x'}",
	};
	static const char *const keys[] = {"192.168.64.1", "192.168.64.255", "192.168.65.5",
					   "nonsense",	   "192.168.064.9",  ""};
	char good[] = "{'mac':'02:00:00:00:00:07','id':'','hostname':'','member':'','expires':"
		      "9999999999999}";
	char key[64];
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < COUNT(bad) + COUNT(keys); i++) {
		char *text = strdup(i < COUNT(bad) ? bad[i] : good);
		json_t *v;

		for (char *c = text; *c; c++)
			*c = *c == '\'' ? '"' : *c;
		v = json_loads(text, 0, NULL);
		assert_non_null(v);
		if (i < COUNT(bad))
			(void)snprintf(key, sizeof(key), "lease/dev/192.168.64.%u", 10 + i);
		else
			(void)snprintf(key, sizeof(key), "lease/dev/%s", keys[i - COUNT(bad)]);
		state_put(k.state, key, v);
		if (i == COUNT(bad))
			state_put(k.state, "lease/dev/192.168.64.9", v);
		if (i == COUNT(bad))
			state_put(k.state, "lease/development/192.168.64.99", v);
		json_decref(v);
		free(text);
	}
	restart();
	assert_int_equal(held().n, 1);
	/* A lease that ends in 300 000 years is one of a clock that was wrong. */
	assert_true(lease_by_mac(k.server.leases, (const uint8_t *)"\2\0\0\0\0\7")->expires <=
		    k.wall + KIT_LEASE);
	assert_non_null(state_get(k.state, "lease/dev/192.168.64.9"));
	assert_non_null(state_get(k.state, "lease/development/192.168.64.99"));
	for (unsigned i = 10; i < 30; i++) {
		(void)snprintf(key, sizeof(key), "lease/dev/192.168.64.%u", i);
		n += state_get(k.state, key) != NULL;
	}
	assert_int_equal(n, 0);
}

static void test_clock(void **state)
{
	uint32_t a = kit_get(&k, 1, "a", NULL);

	(void)state;
	/* Set while we run, either way: nobody loses anything. */
	for (int i = 0; i < 4; i++) {
		k.wall += i % 2 ? 400 * 86400 : -300 * 86400;
		kit_pass(&k, 10);
		assert_int_equal(held().n, i ? 2 : 1);
		restart();
		assert_int_equal(held().n, i ? 2 : 1);
		assert_int_equal(kit_get(&k, 2, "b", NULL), a + 1);
	}
	kit_pass(&k, KIT_LEASE + 1);
	assert_int_equal(held().n, 0);
	/* Set while we did not run: he still gets his, and others something else. */
	assert_int_equal(kit_get(&k, 1, "a", NULL), a);
	kit_stop(&k);
	k.wall += 1000 * 86400;
	restart();
	assert_int_equal(kit_get(&k, 3, "c", NULL), a + 2);
	assert_int_equal(kit_renew(&k, 1, "a", a), DHCP_ACK);
	kit_stop(&k);
	k.wall -= 5000 * 86400;
	restart();
	assert_int_equal(kit_get(&k, 4, "d", NULL), a + 3);
	assert_int_equal(kit_renew(&k, 1, "a", a), DHCP_ACK);
}

/* 1 000 daemons, one after the other, and what clients do in between. */
static void test_restarts(void **state)
{
	enum { CLIENTS = 60 };
	struct rng r = {7};
	uint32_t has[CLIENTS] = {0};

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		for (unsigned n = rng_below(&r, 8); n > 0; n--) {
			unsigned c = rng_below(&r, CLIENTS);
			char name[16];
			uint32_t a;

			(void)snprintf(name, sizeof(name), "vm%u", c);
			switch (rng_below(&r, 4)) {
			case 0:
				if (has[c])
					assert_int_equal(kit_renew(&k, c + 1, name, has[c]),
							 DHCP_ACK);
				break;
			case 1:
				if (has[c])
					assert_int_equal(kit_reboot(&k, c + 1, name, has[c]),
							 DHCP_ACK);
				break;
			default:
				a = kit_get(&k, c + 1, name, NULL);
				assert_int_not_equal(a, 0);
				if (has[c])
					assert_int_equal(a, has[c]);
				for (unsigned o = 0; o < CLIENTS; o++)
					assert_true(o == c || has[o] != a);
				has[c] = a;
				break;
			}
		}
		kit_pass(&k, rng_below(&r, 400));
		restart();
		(void)held();
	}
}

/* Anything, against a table of our own of who was told what until when. */
static void test_model(void **state)
{
	enum { CLIENTS = 40, MEMBERS = 6, ADDRESSES = 32 };
	struct {
		unsigned holder; /* + 1 */
		uint64_t until;
	} told[ADDRESSES] = {0};
	uint64_t seed = 0x5eed, acks = 0;
	struct rng r = {seed};

	(void)state;
	k.def.dhcp_start = KIT_IP(10);
	k.def.dhcp_end = KIT_IP(29);
	k.def.lease_s = 100;
	kit_start(&k);
	for (unsigned i = 0; i < 30000; i++) {
		unsigned c = rng_below(&r, CLIENTS), type = 1 + rng_below(&r, 8), n;
		char name[16];
		struct kit_msg m;
		uint32_t a = KIT_IP(5 + rng_below(&r, ADDRESSES - 5));

		if (type > DHCP_DECLINE && rng_below(&r, 4))
			type = 1 + 2 * rng_below(&r, 2); /* more of what clients do most */
		for (unsigned at = 10; at < 30 && rng_below(&r, 12); at++)
			if (told[at].holder == c + 1)
				a = KIT_IP(at);

		(void)snprintf(name, sizeof(name), "vm%u", c % MEMBERS);
		m = kit_msg((enum dhcp_type)type, c + 1, name);
		if (rng_below(&r, 3) == 0 && type == DHCP_REQUEST)
			ip_put32(m.b + 12, a);
		else if (rng_below(&r, 3) || type == DHCP_DECLINE)
			kit_opt32(&m, DHCP_OPT_REQUESTED, a);
		if (type == DHCP_RELEASE)
			ip_put32(m.b + 12, a);
		if (rng_below(&r, 8) == 0)
			kit_opt(&m, DHCP_OPT_RAPID, NULL, 0);
		n = kit_send(&k, &m);
		if ((n == DHCP_ACK && type != DHCP_INFORM) || n == DHCP_OFFER) {
			unsigned at = kit_yiaddr(&k) & 0xff;

			assert_in_range(at, 10, 29);
			if (told[at].holder && told[at].holder != c + 1 && told[at].until > k.ms)
				fail_msg("round %u: address %u is held by two", i, at);
			if (n == DHCP_ACK) {
				acks++;
				told[at].holder = c + 1;
				told[at].until = k.ms + 100 * KIT_SECOND;
			}
		}
		if ((type == DHCP_RELEASE || type == DHCP_DECLINE) &&
		    told[a & 0xff].holder == c + 1)
			told[a & 0xff].holder = 0;
		if (rng_below(&r, 4) == 0)
			kit_pass(&k, rng_below(&r, 20));
		if (rng_below(&r, 64) == 0) {
			lease_member_gone(k.server.leases, name);
			for (unsigned at = 0; at < ADDRESSES; at++)
				if (told[at].holder &&
				    (told[at].holder - 1) % MEMBERS == c % MEMBERS)
					told[at].holder = 0;
		}
		if (rng_below(&r, 512) == 0)
			restart();
	}
	assert_true(acks > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_same_client), T(test_clones),	  T(test_starvation),	T(test_memory),
		T(test_exhaustion),  T(test_left_behind), T(test_offer_lapses), T(test_reserved),
		T(test_in_use),	     T(test_persists),	  T(test_bad_records),	T(test_clock),
		T(test_restarts),    T(test_model),
	};

	alarm(100);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
