/* SPDX-License-Identifier: BSD-2-Clause */
/* A network, a DHCP server on it with a clock that we turn, and clients' messages. */
#ifndef TESTS_HOST_DHCP_KIT_H
#define TESTS_HOST_DHCP_KIT_H

#include "tests/unit/cm.h"

#include "host/netd/dhcp.h"
#include "host/netd/ip.h"

#define KIT_NET	   0xc0a84000u /* 192.168.64.0/24, gateway .1, range .2 .. .254 */
#define KIT_IP(n)  (KIT_NET + (uint32_t)(n))
#define KIT_OTHER  0x0a000005u
#define KIT_LEASE  3600u
#define KIT_SECOND 1000u

static inline void kit_def(struct netdef *d)
{
	memset(d, 0, sizeof(*d));
	strcpy(d->name, "dev");
	d->mode = NETDEF_SHARED;
	d->subnet = KIT_NET;
	d->netmask = 0xffffff00u;
	d->gateway = KIT_IP(1);
	d->dhcp_start = KIT_IP(2);
	d->dhcp_end = KIT_IP(254);
	d->dhcp = d->dns = d->nat44 = true;
	d->lease_s = KIT_LEASE;
	d->mtu = NETDEF_MTU;
	strcpy(d->domain, "dev.internal");
}

struct kit {
	struct netdef def;
	struct dhcp_server server;
	struct state *state;
	uint64_t ms;
	int64_t wall;
	uint8_t out[DHCP_OUT_MAX];
	size_t len;
	struct dhcp_to to;
};

/* def has been filled in. Called again, it is the daemon started anew. */
static inline void kit_start(struct kit *k)
{
	lease_destroy(k->server.leases);
	k->server = (struct dhcp_server){.def = &k->def};
	k->server.leases = lease_create(&k->def, k->state, k->ms, k->wall);
	assert_non_null(k->server.leases);
}

static inline void kit_init(struct kit *k)
{
	memset(k, 0, sizeof(*k));
	kit_def(&k->def);
	k->ms = 5000;
	k->wall = 1700000000;
}

static inline void kit_stop(struct kit *k)
{
	lease_destroy(k->server.leases);
	k->server.leases = NULL;
}

static inline void kit_pass(struct kit *k, uint64_t seconds)
{
	k->ms += seconds * KIT_SECOND;
	k->wall += (int64_t)seconds;
	(void)lease_tick(k->server.leases, k->ms, k->wall);
}

/* ---- a client's message ---- */

struct kit_msg {
	uint8_t b[2048];
	size_t len;
	uint8_t mac[6];
	const char *member;
	uint32_t from;
};

static inline void kit_opt(struct kit_msg *m, uint8_t code, const void *data, size_t len)
{
	m->b[m->len++] = code;
	m->b[m->len++] = (uint8_t)len;
	if (len)
		memcpy(m->b + m->len, data, len);
	m->len += len;
}

static inline void kit_opt32(struct kit_msg *m, uint8_t code, uint32_t v)
{
	uint8_t b[4];

	ip_put32(b, v);
	kit_opt(m, code, b, 4);
}

static inline struct kit_msg kit_msg(enum dhcp_type type, unsigned station, const char *member)
{
	struct kit_msg m = {.len = 240, .member = member};
	uint8_t t = (uint8_t)type;

	m.mac[0] = 2;
	ip_put32(m.mac + 2, station);
	m.b[0] = 1;
	m.b[1] = 1;
	m.b[2] = 6;
	ip_put32(m.b + 4, 0x1000 + station);
	memcpy(m.b + 28, m.mac, 6);
	ip_put32(m.b + 236, 0x63825363u);
	kit_opt(&m, DHCP_OPT_TYPE, &t, 1);
	return m;
}

/* The type of the answer; 0: none. Whoever sends ends the options. */
static inline unsigned kit_send(struct kit *k, struct kit_msg *m)
{
	struct dhcp_from from = {.member = m->member, .mac = m->mac, .address = m->from};
	uint8_t *exact;

	m->b[m->len++] = DHCP_OPT_END;
	exact = malloc(m->len); /* the sanitizer guards what comes after it */
	memcpy(exact, m->b, m->len);
	(void)lease_tick(k->server.leases, k->ms, k->wall);
	memset(k->out, 0xaa, sizeof(k->out));
	k->len = dhcp_handle(&k->server, span_of(exact, m->len), &from, k->out, &k->to);
	free(exact);
	m->len--;
	if (!k->len)
		return 0;
	assert_in_range(k->len, DHCP_MIN, DHCP_OUT_MAX);
	assert_int_equal(k->out[0], 2);
	assert_memory_equal(k->out + 4, m->b + 4, 4);
	assert_memory_equal(k->out + 28, m->b + 28, 6);
	assert_int_equal(k->out[240], DHCP_OPT_TYPE);
	return k->out[242];
}

/* An option of the answer, pieces joined. Its length, -1: not there. */
static inline int kit_find(const struct kit *k, uint8_t code, uint8_t *data, size_t max)
{
	size_t at = 240, n = 0;
	bool there = false;

	while (at < k->len && k->out[at] != DHCP_OPT_END) {
		uint8_t len;

		if (k->out[at] == DHCP_OPT_PAD) {
			at++;
			continue;
		}
		assert_true(at + 2 <= k->len);
		len = k->out[at + 1];
		assert_true(at + 2 + len <= k->len);
		if (k->out[at] == code) {
			there = true;
			assert_true(n + len <= max);
			memcpy(data + n, k->out + at + 2, len);
			n += len;
		}
		at += 2 + (size_t)len;
	}
	assert_true(at < k->len);
	return there ? (int)n : -1;
}

static inline uint32_t kit_find32(const struct kit *k, uint8_t code)
{
	uint8_t b[4] = {0};

	assert_int_equal(kit_find(k, code, b, 4), 4);
	return ip_get32(b);
}

static inline uint32_t kit_yiaddr(const struct kit *k)
{
	return ip_get32(k->out + 16);
}

/* DISCOVER and REQUEST. The address, 0: none. */
static inline uint32_t kit_get(struct kit *k, unsigned station, const char *member, const char *id)
{
	struct kit_msg d = kit_msg(DHCP_DISCOVER, station, member);
	struct kit_msg r = kit_msg(DHCP_REQUEST, station, member);
	uint32_t address;

	if (id)
		kit_opt(&d, DHCP_OPT_CLIENT_ID, id, strlen(id));
	if (kit_send(k, &d) != DHCP_OFFER)
		return 0;
	address = kit_yiaddr(k);
	kit_opt32(&r, DHCP_OPT_REQUESTED, address);
	kit_opt32(&r, DHCP_OPT_SERVER, k->def.gateway);
	if (id)
		kit_opt(&r, DHCP_OPT_CLIENT_ID, id, strlen(id));
	if (kit_send(k, &r) != DHCP_ACK)
		return 0;
	assert_int_equal(kit_yiaddr(k), address);
	return address;
}

/* Renewing: ciaddr. */
static inline unsigned kit_renew(struct kit *k, unsigned station, const char *member,
				 uint32_t address)
{
	struct kit_msg r = kit_msg(DHCP_REQUEST, station, member);

	ip_put32(r.b + 12, address);
	r.from = address;
	return kit_send(k, &r);
}

/* Init-reboot: option 50, no server. */
static inline unsigned kit_reboot(struct kit *k, unsigned station, const char *member,
				  uint32_t address)
{
	struct kit_msg r = kit_msg(DHCP_REQUEST, station, member);

	kit_opt32(&r, DHCP_OPT_REQUESTED, address);
	return kit_send(k, &r);
}

#endif
