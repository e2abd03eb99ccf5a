/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/netd/dhcp.h"

#include "host/netd/ip.h"

#define AT_YIADDR   16u
#define AT_GIADDR   24u
#define AT_CHADDR   28u
#define AT_MAGIC    236u
#define AT_OPTIONS  240u
#define MAGIC	    0x63825363u
#define BROADCAST   0x8000u
#define SIZE_MIN    576u /* an IP packet that every client takes */
#define SIZE_LESS   (IP4_HEADER + UDP_HEADER)
#define ALL_ONES    0xffffffffu
#define FQDN_S	    0x01u /* the server updates A */
#define FQDN_O	    0x02u /* it overrode the client's S */
#define FQDN_E	    0x04u /* the name is labels, not text */
#define FQDN_N	    0x08u /* the server updates nothing */
#define FQDN_HEADER 3u

static bool dhcp_addr(const struct dhcp_value *v, uint32_t *out)
{
	return v->there && v->len == 4 && span_be32(span_of(v->data, 4), 0, out);
}

static struct lease_client dhcp_client(const struct dhcp_message *m, const struct dhcp_from *from)
{
	struct lease_client c = {.member = from->member};

	memcpy(c.mac, m->mac, sizeof(c.mac));
	if (m->client_id.len >= 2) { /* a type and at least one byte (RFC 2132, 9.14) */
		c.id = m->client_id.data;
		c.id_len = m->client_id.len;
	}
	return c;
}

static bool dhcp_on_net(const struct dhcp_server *s, uint32_t address)
{
	return (address & s->def->netmask) == s->def->subnet;
}

/* ---- building ---- */

static void dhcp_begin(struct dhcp_writer *w, const struct dhcp_server *s,
		       const struct dhcp_message *m, enum dhcp_type type, uint8_t *out)
{
	size_t max = SIZE_MIN;
	uint16_t asked;
	uint8_t b = (uint8_t)type, id[4];

	if (m->max_size.len == 2 && span_be16(span_of(m->max_size.data, 2), 0, &asked) &&
	    asked > max)
		max = asked;
	if (max > s->def->mtu)
		max = s->def->mtu;
	max -= SIZE_LESS;
	if (max > DHCP_OUT_MAX)
		max = DHCP_OUT_MAX;
	if (max < DHCP_MIN)
		max = DHCP_MIN;
	*w = (struct dhcp_writer){.buf = out, .len = AT_OPTIONS, .max = max};

	memset(out, 0, DHCP_OUT_MAX);
	out[0] = 2;
	out[1] = 1;
	out[2] = 6;
	ip_put32(out + 4, m->xid);
	ip_put16(out + 10, m->flags & BROADCAST);
	ip_put32(out + AT_GIADDR, m->giaddr);
	memcpy(out + AT_CHADDR, m->mac, 6);
	ip_put32(out + AT_MAGIC, MAGIC);
	ip_put32(id, s->def->gateway);
	(void)dhcp_put(w, DHCP_OPT_TYPE, &b, 1);
	(void)dhcp_put(w, DHCP_OPT_SERVER, id, sizeof(id));
}

static void dhcp_put_time(struct dhcp_writer *w, uint8_t code, uint32_t seconds)
{
	uint8_t bytes[4];

	ip_put32(bytes, seconds);
	(void)dhcp_put(w, code, bytes, sizeof(bytes));
}

/* RFC 4702: we keep the client's name ourselves and say so, in the form it used. */
static void dhcp_put_fqdn(struct dhcp_writer *w, const struct dhcp_message *m)
{
	uint8_t bytes[255], flags;

	if (m->fqdn.len < FQDN_HEADER)
		return;
	flags = m->fqdn.data[0] & (FQDN_E | FQDN_S);
	if (m->fqdn.data[0] & FQDN_N)
		flags = (m->fqdn.data[0] & FQDN_E) | FQDN_N;
	else if (!(flags & FQDN_S))
		flags |= FQDN_S | FQDN_O;
	memcpy(bytes, m->fqdn.data, m->fqdn.len);
	bytes[0] = flags;
	bytes[1] = bytes[2] = 255;
	(void)dhcp_put(w, DHCP_OPT_FQDN, bytes, m->fqdn.len);
}

/*
 * Where an answer goes (RFC 2131, 4.1). In Ethernet always back to where the message came from, or
 * to all: so nobody has frames sent to others, and the switch knows the way.
 */
static void dhcp_address(const struct dhcp_message *m, const struct dhcp_from *from,
			 uint32_t yiaddr, bool nak, struct dhcp_to *to)
{
	to->port = DHCP_CLIENT_PORT;
	memcpy(to->mac, from->mac, sizeof(to->mac));
	if (m->giaddr) {
		to->port = DHCP_SERVER_PORT;
		to->address = m->giaddr;
	} else if (m->ciaddr && !nak) {
		to->address = m->ciaddr;
	} else if (nak || m->flags & BROADCAST || !yiaddr) {
		memset(to->mac, 0xff, sizeof(to->mac));
		to->address = ALL_ONES;
	} else {
		to->address = yiaddr;
	}
}

static size_t dhcp_end(struct dhcp_server *s, struct dhcp_writer *w, enum dhcp_type type,
		       const struct dhcp_message *m, const struct dhcp_from *from, uint32_t yiaddr,
		       struct dhcp_to *to)
{
	/* RFC 6842: as the client said it, or it will not know the answer for its own. */
	if (m->client_id.len)
		(void)dhcp_put(w, DHCP_OPT_CLIENT_ID, m->client_id.data, m->client_id.len);
	w->buf[w->len++] = DHCP_OPT_END;
	ip_put32(w->buf + AT_YIADDR, yiaddr);
	dhcp_address(m, from, yiaddr, type == DHCP_NAK, to);
	s->sent[type]++;
	return w->len < DHCP_MIN ? DHCP_MIN : w->len;
}

static size_t dhcp_nak(struct dhcp_server *s, const struct dhcp_message *m,
		       const struct dhcp_from *from, uint8_t *out, struct dhcp_to *to)
{
	struct dhcp_writer w;

	dhcp_begin(&w, s, m, DHCP_NAK, out);
	return dhcp_end(s, &w, DHCP_NAK, m, from, 0, to);
}

/* OFFER, or ACK of a lease. */
static size_t dhcp_give(struct dhcp_server *s, enum dhcp_type type, const struct dhcp_message *m,
			const struct dhcp_from *from, uint32_t address, uint8_t *out,
			struct dhcp_to *to)
{
	uint32_t lease = s->def->lease_s;
	struct dhcp_writer w;

	dhcp_begin(&w, s, m, type, out);
	ip_put32(out + 12, type == DHCP_ACK ? m->ciaddr : 0);
	dhcp_put_time(&w, DHCP_OPT_LEASE, lease);
	dhcp_put_time(&w, DHCP_OPT_T1, lease / 2);
	dhcp_put_time(&w, DHCP_OPT_T2, lease - lease / 8);
	if (type == DHCP_ACK && m->rapid.there && m->type.data[0] == DHCP_DISCOVER)
		(void)dhcp_put(&w, DHCP_OPT_RAPID, NULL, 0);
	/* First what the client must see, then what may be left out if it takes little. */
	dhcp_put_fqdn(&w, m);
	dhcp_put_parameters(&w, s->def, &m->wishes);
	return dhcp_end(s, &w, type, m, from, address, to);
}

/* ---- the messages ---- */

static void dhcp_take_name(struct dhcp_server *s, const struct dhcp_message *m, uint32_t address)
{
	struct span name = span_of(m->hostname.data, m->hostname.len), label;
	uint8_t len;

	if (m->fqdn.len > FQDN_HEADER) {
		name = span_of(m->fqdn.data + FQDN_HEADER, m->fqdn.len - FQDN_HEADER);
		if (m->fqdn.data[0] & FQDN_E) {
			if (!span_u8(name, 0, &len) || !span_sub(name, 1, len, &label))
				return;
			name = label;
		}
	}
	if (name.len)
		(void)lease_set_name(s->leases, address, name);
}

static size_t dhcp_ack(struct dhcp_server *s, const struct dhcp_message *m,
		       const struct dhcp_from *from, uint32_t address, uint8_t *out,
		       struct dhcp_to *to)
{
	dhcp_take_name(s, m, address);
	return dhcp_give(s, DHCP_ACK, m, from, address, out, to);
}

static size_t dhcp_discover(struct dhcp_server *s, const struct dhcp_message *m,
			    const struct dhcp_from *from, uint8_t *out, struct dhcp_to *to)
{
	struct lease_client c = dhcp_client(m, from);
	uint32_t wish = 0, address;

	(void)dhcp_addr(&m->requested, &wish);
	address = lease_offer(s->leases, &c, wish);
	if (!address) {
		s->exhausted++;
		return 0;
	}
	if (m->rapid.there && lease_bind(s->leases, &c, address, true))
		return dhcp_ack(s, m, from, address, out, to);
	return dhcp_give(s, DHCP_OFFER, m, from, address, out, to);
}

static size_t dhcp_request(struct dhcp_server *s, const struct dhcp_message *m,
			   const struct dhcp_from *from, uint8_t *out, struct dhcp_to *to)
{
	struct lease_client c = dhcp_client(m, from);
	uint32_t server, address;
	bool starts = dhcp_addr(&m->requested, &address);

	if (m->server.there && (!dhcp_addr(&m->server, &server) || server != s->def->gateway)) {
		lease_withdraw(s->leases, &c); /* selecting: it took another server's */
		return 0;
	}
	/* Selecting and init-reboot name the address there; renewing and rebinding have it. */
	if (!starts)
		address = m->ciaddr;
	if (!address)
		return 0;
	if (!dhcp_on_net(s, address) || !lease_bind(s->leases, &c, address, starts))
		return dhcp_nak(s, m, from, out, to);
	return dhcp_ack(s, m, from, address, out, to);
}

static size_t dhcp_inform(struct dhcp_server *s, struct dhcp_message *m,
			  const struct dhcp_from *from, uint8_t *out, struct dhcp_to *to)
{
	struct dhcp_writer w;

	if (!m->ciaddr)
		m->ciaddr = from->address;
	if (!dhcp_on_net(s, m->ciaddr))
		return 0;
	dhcp_begin(&w, s, m, DHCP_ACK, out);
	ip_put32(out + 12, m->ciaddr);
	dhcp_put_parameters(&w, s->def, &m->wishes);
	return dhcp_end(s, &w, DHCP_ACK, m, from, 0, to);
}

static void dhcp_end_of_lease(struct dhcp_server *s, const struct dhcp_message *m,
			      const struct dhcp_from *from)
{
	struct lease_client c = dhcp_client(m, from);
	uint32_t address;

	if (m->type.data[0] == DHCP_RELEASE)
		(void)lease_release(s->leases, &c, m->ciaddr);
	else if (dhcp_addr(&m->requested, &address))
		(void)lease_decline(s->leases, &c, address);
}

size_t dhcp_handle(struct dhcp_server *s, struct span bytes, const struct dhcp_from *from,
		   uint8_t *out, struct dhcp_to *to)
{
	struct dhcp_message m;

	/*
	 * A relay has to be on this network and to speak for itself, so that what is sent to it
	 * goes back where the question came from. With locked addresses nobody asks for somebody
	 * else.
	 */
	if (!dhcp_parse(bytes, &m) ||
	    (m.giaddr && (m.giaddr != from->address || !dhcp_on_net(s, m.giaddr))) ||
	    (m.ciaddr && m.type.data[0] != DHCP_REQUEST && m.type.data[0] != DHCP_RELEASE &&
	     !dhcp_on_net(s, m.ciaddr)) ||
	    (s->def->lock_mac && !m.giaddr && memcmp(m.mac, from->mac, sizeof(m.mac)) != 0)) {
		s->bad++;
		return 0;
	}
	s->got[m.type.data[0]]++;
	switch (m.type.data[0]) {
	case DHCP_DISCOVER:
		m.ciaddr = 0;
		return dhcp_discover(s, &m, from, out, to);
	case DHCP_REQUEST:
		return dhcp_request(s, &m, from, out, to);
	case DHCP_INFORM:
		return dhcp_inform(s, &m, from, out, to);
	case DHCP_DECLINE:
	case DHCP_RELEASE:
		dhcp_end_of_lease(s, &m, from);
		return 0;
	default: /* what servers say */
		s->bad++;
		return 0;
	}
}
