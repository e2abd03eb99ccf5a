/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/netd/dhcp.h"

#include <arpa/inet.h>

#include "host/netd/dns.h"

#define MAGIC	 0x63825363u
#define AT_SNAME 44u
#define AT_FILE	 108u
#define AT_MAGIC 236u
#define AT_OPTS	 240u

/* ---- in ---- */

static struct dhcp_value *dhcp_value(struct dhcp_message *m, uint8_t code)
{
	switch (code) {
	case DHCP_OPT_TYPE:
		return &m->type;
	case DHCP_OPT_REQUESTED:
		return &m->requested;
	case DHCP_OPT_SERVER:
		return &m->server;
	case DHCP_OPT_WISHES:
		return &m->wishes;
	case DHCP_OPT_MAX_SIZE:
		return &m->max_size;
	case DHCP_OPT_CLIENT_ID:
		return &m->client_id;
	case DHCP_OPT_HOSTNAME:
		return &m->hostname;
	case DHCP_OPT_RAPID:
		return &m->rapid;
	case DHCP_OPT_FQDN:
		return &m->fqdn;
	default:
		return NULL;
	}
}

/* One field of options. False: an option is longer than what is left. */
static bool dhcp_field(struct span field, struct dhcp_message *m, uint8_t *overload)
{
	size_t at = 0;

	while (at < field.len) {
		uint8_t code = field.data[at++], len;
		struct dhcp_value *v;
		struct span val;

		if (code == DHCP_OPT_PAD)
			continue;
		if (code == DHCP_OPT_END)
			return true;
		if (!span_u8(field, at, &len) || !span_sub(field, at + 1, len, &val))
			return false;
		at += 1 + (size_t)len;
		if (code == DHCP_OPT_OVERLOAD && overload)
			(void)span_u8(val, 0, overload);
		v = dhcp_value(m, code);
		if (!v)
			continue;
		v->there = true;
		if (val.len > sizeof(v->data) - v->len)
			val.len = sizeof(v->data) - v->len;
		memcpy(v->data + v->len, val.data, val.len);
		v->len = (uint8_t)(v->len + val.len);
	}
	return true; /* an END that is missing hurts nobody */
}

bool dhcp_parse(struct span s, struct dhcp_message *m)
{
	uint8_t op, htype, hlen, overload = 0;
	uint32_t magic;
	struct span opts, file, sname;

	memset(m, 0, sizeof(*m));
	if (!span_u8(s, 0, &op) || op != 1 || !span_u8(s, 1, &htype) || htype != 1 ||
	    !span_u8(s, 2, &hlen) || hlen != 6 || !span_be32(s, 4, &m->xid) ||
	    !span_be16(s, 10, &m->flags) || !span_be32(s, 12, &m->ciaddr) ||
	    !span_be32(s, 24, &m->giaddr) || !span_be32(s, AT_MAGIC, &magic) || magic != MAGIC ||
	    !span_from(s, AT_OPTS, &opts) || !span_sub(s, AT_FILE, 128, &file) ||
	    !span_sub(s, AT_SNAME, 64, &sname))
		return false;
	memcpy(m->mac, s.data + 28, sizeof(m->mac));
	if (mac_zero(m->mac) || mac_multicast(m->mac) || !dhcp_field(opts, m, &overload) ||
	    (overload & 1 && !dhcp_field(file, m, NULL)) ||
	    (overload & 2 && !dhcp_field(sname, m, NULL)))
		return false;
	/* Without a type it is BOOTP. */
	return m->type.len == 1 && m->type.data[0] >= DHCP_DISCOVER && m->type.data[0] < DHCP_TYPES;
}

/* ---- out ---- */

bool dhcp_put(struct dhcp_writer *w, uint8_t code, const void *data, size_t len)
{
	const uint8_t *from = data;
	size_t pieces = len ? (len + 254) / 255 : 1;

	/* One byte is kept for the end. */
	if (w->put[code] || w->max < w->len + 1 || w->max - w->len - 1 < len + 2 * pieces)
		return false;
	w->put[code] = true;
	do {
		size_t n = len > 255 ? 255 : len;

		w->buf[w->len++] = code;
		w->buf[w->len++] = (uint8_t)n;
		if (n) {
			memcpy(w->buf + w->len, from, n);
			from += n;
		}
		w->len += n;
		len -= n;
	} while (len);
	return true;
}

static void dhcp_put_addr(struct dhcp_writer *w, uint8_t code, uint32_t address)
{
	uint8_t bytes[4];

	ip_put32(bytes, address);
	(void)dhcp_put(w, code, bytes, sizeof(bytes));
}

static void dhcp_put_dns(struct dhcp_writer *w, const struct netdef *def)
{
	uint8_t bytes[4 * NETDEF_DNS_MAX];
	size_t n = 0;

	if (def->dns) {
		dhcp_put_addr(w, DHCP_OPT_DNS, def->gateway);
		return;
	}
	for (unsigned i = 0; i < def->nupstream; i++)
		if (inet_pton(AF_INET, def->upstream[i].address, bytes + n) == 1)
			n += 4;
	if (n)
		(void)dhcp_put(w, DHCP_OPT_DNS, bytes, n);
}

/* RFC 3397: names one after the other; pointers inside are allowed, not required. */
static void dhcp_put_search(struct dhcp_writer *w, const struct netdef *def)
{
	uint8_t bytes[(NETDEF_SEARCH_MAX + 1) * (NETDEF_DOMAIN_MAX + 2)];
	size_t n = 0;

	for (unsigned i = 0; i < def->nsearch; i++)
		n += dns_labels(def->search[i], bytes + n, sizeof(bytes) - n);
	if (!def->nsearch)
		n += dns_labels(def->domain, bytes, sizeof(bytes));
	if (n)
		(void)dhcp_put(w, DHCP_OPT_SEARCH, bytes, n);
}

static void dhcp_put_one(struct dhcp_writer *w, const struct netdef *def, uint8_t code)
{
	uint8_t mtu[2];

	switch (code) {
	case DHCP_OPT_NETMASK:
		dhcp_put_addr(w, code, def->netmask);
		break;
	case DHCP_OPT_ROUTER:
		if (def->mode != NETDEF_HOST)
			dhcp_put_addr(w, code, def->gateway);
		break;
	case DHCP_OPT_DNS:
		dhcp_put_dns(w, def);
		break;
	case DHCP_OPT_DOMAIN:
		if (def->domain[0])
			(void)dhcp_put(w, code, def->domain, strlen(def->domain));
		break;
	case DHCP_OPT_MTU:
		ip_put16(mtu, def->mtu);
		(void)dhcp_put(w, code, mtu, sizeof(mtu));
		break;
	case DHCP_OPT_BROADCAST:
		dhcp_put_addr(w, code, def->subnet | ~def->netmask);
		break;
	case DHCP_OPT_SEARCH:
		dhcp_put_search(w, def);
		break;
	default:
		break;
	}
}

void dhcp_put_parameters(struct dhcp_writer *w, const struct netdef *def,
			 const struct dhcp_value *wishes)
{
	static const uint8_t all[] = {DHCP_OPT_NETMASK, DHCP_OPT_ROUTER,    DHCP_OPT_DNS,
				      DHCP_OPT_DOMAIN,	DHCP_OPT_BROADCAST, DHCP_OPT_SEARCH};

	/* Before the router, whatever the client's order (RFC 2132, 3.3). */
	dhcp_put_one(w, def, DHCP_OPT_NETMASK);
	if (wishes->there)
		for (unsigned i = 0; i < wishes->len; i++)
			dhcp_put_one(w, def, wishes->data[i]);
	else
		for (unsigned i = 0; i < sizeof(all); i++)
			dhcp_put_one(w, def, all[i]);
	/* A link that carries less or more than others do has to say so. */
	if (def->mtu != NETDEF_MTU)
		dhcp_put_one(w, def, DHCP_OPT_MTU);
}
