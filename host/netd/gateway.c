/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/netd/gateway.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <uv.h>

#define ARP_LEN	    28u
#define ARP_REQUEST 1u
#define ARP_REPLY   2u
#define ICMP_ECHO   8u

static int64_t gateway_wall(void)
{
	return (int64_t)time(NULL);
}

/* Every use of the lease table begins here. */
static void gateway_clock(struct gateway *g)
{
	if (lease_tick(g->leases, uv_now(g->p.loop), gateway_wall()))
		g->lease_changed = true;
}

static void gateway_tell_leases(struct gateway *g)
{
	gateway_clock(g);
	if (!g->lease_changed)
		return;
	g->lease_changed = false;
	if (g->p.lease_changed)
		g->p.lease_changed(g->p.arg);
}

static const char *gateway_member(const struct gateway *g, const struct sw_port *from)
{
	const char *name = g->p.member_name ? g->p.member_name(g->p.arg, from) : NULL;

	return name ? name : "";
}

/* ---- answers ---- */

uint8_t *gateway_room(struct gateway *g, size_t len)
{
	if (!g->in_batch)
		g->arena_used = 0;
	if (g->arena_size - g->arena_used < FRAME_PREFIX ||
	    g->arena_size - g->arena_used - FRAME_PREFIX < len) {
		g->n.dropped++;
		return NULL;
	}
	return g->arena + g->arena_used + FRAME_PREFIX;
}

void gateway_answer(struct gateway *g, uint8_t *frame, size_t len)
{
	const struct frame f = {.data = frame, .len = (uint32_t)len};

	g->arena_used += (FRAME_PREFIX + len + 7u) & ~(size_t)7u;
	if (g->arena_used > g->arena_size)
		g->arena_used = g->arena_size;
	sw_reply(g->port, &f);
}

bool gateway_may_complain(struct gateway *g)
{
	uint64_t now = uv_now(g->p.loop);

	if (now - g->errors_ms >= 1000) {
		g->errors_ms = now;
		g->errors_left = GATEWAY_ERRORS_S;
	}
	if (!g->errors_left)
		return false;
	g->errors_left--;
	g->n.unreachable++;
	return true;
}

/* ---- the outside ---- */

static bool gateway_has_uplink(const struct gateway *g)
{
	const struct gateway_uplink *u = &g->p.uplink;

	return u->send && (!u->up || u->up(u->ctx));
}

bool gateway_outside(const struct gateway *g, bool v6)
{
	const struct netdef *d = g->p.def;

	return d->mode == NETDEF_SHARED && (v6 ? d->nat66 : d->nat44) && gateway_has_uplink(g);
}

bool gateway_to_uplink(struct gateway *g, const struct frame *f)
{
	if (!gateway_has_uplink(g))
		return false;
	g->n.to_uplink++;
	g->to_uplink = true;
	g->p.uplink.send(g->p.uplink.ctx, f);
	return true;
}

/* ---- ARP ---- */

static void gateway_arp_send(struct gateway *g, uint16_t op, const uint8_t dst[6],
			     const uint8_t target_mac[6], const uint8_t target[4])
{
	uint8_t *buf = gateway_room(g, FRAME_ETH + ARP_LEN), *at;

	if (!buf)
		return;
	at = buf + ip_put_ether(buf, dst, g->mac, ETH_ARP);
	ip_put16(at, 1);
	ip_put16(at + 2, ETH_IPV4);
	at[4] = 6;
	at[5] = 4;
	ip_put16(at + 6, op);
	memcpy(at + 8, g->mac, 6);
	memcpy(at + 14, g->ip4, 4);
	memcpy(at + 18, target_mac, 6);
	memcpy(at + 24, target, 4);
	gateway_answer(g, buf, FRAME_ETH + ARP_LEN);
}

/* Somebody says that our address is his: say to all that it is ours (RFC 5227, 2.4 c). */
static void gateway_defend(struct gateway *g)
{
	static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, none[6];
	uint64_t now = uv_now(g->p.loop);

	g->n.claimed++;
	if (g->defended_ms && now - g->defended_ms < GATEWAY_DEFEND_MS)
		return;
	g->defended_ms = now ? now : 1;
	gateway_arp_send(g, ARP_REQUEST, all, none, g->ip4);
}

static void gateway_arp(struct gateway *g, const struct sw_port *from, const struct frame *f,
			struct span s, bool mine)
{
	const struct netdef *d = g->p.def;
	uint32_t sizes, src, dst;
	uint16_t hw, op;

	if (!span_fits(s.len, 0, ARP_LEN) || !span_be16(s, 0, &hw) || hw != 1 ||
	    !span_be32(s, 2, &sizes) || sizes != (ETH_IPV4 << 16 | 0x0604u) ||
	    !span_be16(s, 6, &op) || !span_be32(s, 14, &src) || !span_be32(s, 24, &dst) ||
	    memcmp(s.data + 8, frame_src(f), 6) != 0) {
		g->n.bad++;
		return;
	}
	g->n.arp++;
	if (src == d->gateway) {
		gateway_defend(g);
		return;
	}
	if (src && (src & d->netmask) == d->subnet) {
		gateway_clock(g);
		lease_seen(g->leases, gateway_member(g, from), frame_src(f), src);
	}
	if (op == ARP_REQUEST && dst == d->gateway)
		gateway_arp_send(g, ARP_REPLY, frame_src(f), frame_src(f), s.data + 14);
	else if (op == ARP_REPLY && mine)
		(void)gateway_to_uplink(g, f); /* it asks for members' addresses itself */
}

/* ---- DHCP ---- */

static void gateway_dhcp(struct gateway *g, const struct sw_port *from, const struct frame *f,
			 const struct ip_packet *p, const struct ip_udp *u)
{
	const struct dhcp_from who = {
		.member = gateway_member(g, from), .mac = frame_src(f), .address = p->src4};
	struct ip_end src = {.port = DHCP_SERVER_PORT}, dst = {.v6 = false};
	uint8_t *buf = gateway_room(g, IP_UDP4_ROOM + DHCP_OUT_MAX);
	struct dhcp_to to;
	size_t len;

	if (!buf)
		return;
	gateway_clock(g);
	len = dhcp_handle(&g->dhcp, u->payload, &who, buf + IP_UDP4_ROOM, &to);
	if (!len)
		return;
	memcpy(src.mac, g->mac, sizeof(src.mac));
	memcpy(src.addr, g->ip4, sizeof(g->ip4));
	memcpy(dst.mac, to.mac, sizeof(dst.mac));
	ip_put32(dst.addr, to.address);
	dst.port = to.port;
	gateway_answer(g, buf, ip_udp_build(buf, &src, &dst, len));
}

/* ---- DNS ---- */

static void gateway_dns_send(void *arg, const struct dns_asker *asker, struct span bytes)
{
	struct gateway *g = arg;
	size_t room = ip_udp_room(asker->from.v6);
	uint8_t *buf = gateway_room(g, room + bytes.len);

	if (!buf)
		return;
	memcpy(buf + room, bytes.data, bytes.len);
	gateway_answer(g, buf, ip_udp_build(buf, &asker->to, &asker->from, bytes.len));
}

static bool gateway_forwards(const struct gateway *g)
{
	return g->p.def->mode == NETDEF_SHARED || g->p.def->nupstream;
}

void gateway_dns(struct gateway *g, const struct sw_port *from, const struct frame *f,
		 const struct ip_packet *p, const struct ip_udp *u)
{
	struct dns_asker asker = {
		.from = {.v6 = p->v6, .port = u->src},
		.to = {.v6 = p->v6, .port = DNS_PORT},
		.port = from,
	};
	size_t addr = p->v6 ? 16 : 4, n = 0;
	uint8_t out[DNS_LOCAL_MAX];
	enum dns_rcode rcode;
	struct dns_query q;

	g->dns.queries++;
	if (!dns_parse(u->payload, &q, &rcode)) {
		g->dns.dropped++;
		return;
	}
	memcpy(asker.from.mac, frame_src(f), 6);
	memcpy(asker.from.addr, p->src, addr);
	memcpy(asker.to.mac, g->mac, 6);
	memcpy(asker.to.addr, p->dst, addr);
	asker.id = q.id;
	asker.limit = dns_limit(&q, g->p.def->mtu, p->v6);

	if (rcode != DNS_NOERROR) {
		g->dns.refused++;
		n = dns_error(&q, rcode, out);
	} else {
		gateway_clock(g);
		n = dns_local(&g->zone, &q, out);
		if (n)
			g->dns.local++;
	}
	if (!n && !gateway_forwards(g)) {
		g->dns.refused++;
		n = dns_error(&q, DNS_REFUSED, out);
	}
	if (n)
		gateway_dns_send(g, &asker, span_of(out, n));
	else
		dns_forward_ask(g->forward, &asker, &q);
}

/* ---- IPv4 ---- */

static void gateway_echo4(struct gateway *g, const struct frame *f, const struct ip_packet *p)
{
	size_t len = FRAME_ETH + IP4_HEADER + p->payload.len;
	uint8_t *buf, *at;

	if (!ip_icmp_valid(p)) {
		g->n.bad++;
		return;
	}
	if (p->payload.data[0] != ICMP_ECHO || p->payload.data[1] != 0) {
		g->n.ignored++;
		return;
	}
	buf = gateway_room(g, len);
	if (!buf)
		return;
	g->n.ping++;
	at = buf + ip_put_ether(buf, frame_src(f), g->mac, ETH_IPV4);
	at += ip_put_header4(at, IP_ICMP, g->ip4, p->src, p->payload.len);
	memcpy(at, p->payload.data, p->payload.len);
	at[0] = 0;
	ip_put16(at + 2, 0);
	ip_put16(at + 2, cksum_finish(cksum_add(0, at, p->payload.len)));
	gateway_answer(g, buf, len);
}

/* Destination unreachable, with the header and eight bytes of what could not be delivered. */
static void gateway_unreachable4(struct gateway *g, const struct frame *f,
				 const struct ip_packet *p, uint8_t code)
{
	size_t header = p->whole.len - p->payload.len;
	size_t quote = header + (p->payload.len < 8 ? p->payload.len : 8), icmp = 8 + quote;
	uint8_t *buf, *at;

	if (p->proto == IP_ICMP && (!p->payload.len || p->payload.data[0] != ICMP_ECHO))
		return; /* never an error about an error */
	if (p->fragment || !gateway_may_complain(g))
		return;
	buf = gateway_room(g, FRAME_ETH + IP4_HEADER + icmp);
	if (!buf)
		return;
	at = buf + ip_put_ether(buf, frame_src(f), g->mac, ETH_IPV4);
	at += ip_put_header4(at, IP_ICMP, g->ip4, p->src, icmp);
	memset(at, 0, 8);
	at[0] = 3;
	at[1] = code;
	memcpy(at + 8, p->whole.data, quote);
	ip_put16(at + 2, cksum_finish(cksum_add(0, at, icmp)));
	gateway_answer(g, buf, FRAME_ETH + IP4_HEADER + icmp);
}

/* To the gateway's own address. */
static void gateway_own4(struct gateway *g, const struct sw_port *from, const struct frame *f,
			 const struct ip_packet *p)
{
	struct ip_udp u;

	if (p->proto == IP_UDP && !p->fragment) {
		if (!ip_udp_parse(p, &u)) {
			g->n.bad++;
			return;
		}
		if (u.dst == DHCP_SERVER_PORT && g->p.def->dhcp) {
			gateway_dhcp(g, from, f, p, &u);
			return;
		}
		if (u.dst == DNS_PORT && g->p.def->dns) {
			gateway_dns(g, from, f, p, &u);
			return;
		}
	} else if (p->proto == IP_ICMP && !p->fragment) {
		gateway_echo4(g, f, p);
		return;
	}
	if (!gateway_to_uplink(g, f)) /* port; or, of what has no ports, protocol unreachable */
		gateway_unreachable4(g, f, p, p->proto == IP_UDP || p->proto == IP_TCP ? 3 : 2);
}

/* To somewhere else, through us. */
static void gateway_route4(struct gateway *g, const struct frame *f, const struct ip_packet *p)
{
	uint32_t net = p->dst4 >> 24;

	/* Nobody's addresses, this host's own loopback, groups, and neighbours. */
	if (net == 0 || net == 127 || net >= 224 ||
	    (p->dst4 & g->p.def->netmask) == g->p.def->subnet)
		g->n.bad++;
	else if (!gateway_outside(g, false))
		gateway_unreachable4(g, f, p, 0);
	else
		(void)gateway_to_uplink(g, f);
}

static void gateway_ip4(struct gateway *g, const struct sw_port *from, const struct frame *f,
			struct span rest, bool mine)
{
	const struct netdef *d = g->p.def;
	struct ip_packet p;
	struct ip_udp u;
	bool to_all;

	if (!ip4_parse(rest, &p)) {
		g->n.bad++;
		return;
	}
	to_all = p.dst4 == UINT32_MAX || p.dst4 == (d->subnet | ~d->netmask);
	if (to_all) {
		if (d->dhcp && p.proto == IP_UDP && ip_udp_parse(&p, &u) &&
		    u.dst == DHCP_SERVER_PORT)
			gateway_dhcp(g, from, f, &p, &u);
		else
			g->n.ignored++;
		return;
	}
	if (!mine) {
		g->n.ignored++;
		return;
	}
	/* Members have addresses of the network; only who has none yet speaks DHCP without. */
	if ((p.src4 & d->netmask) != d->subnet || p.src4 == d->gateway)
		g->n.bad++;
	else if (p.dst4 == d->gateway)
		gateway_own4(g, from, f, &p);
	else
		gateway_route4(g, f, &p);
}

/* ---- the port ---- */

static void gateway_send(void *ctx, const struct sw_port *from, const struct frame *f)
{
	struct gateway *g = ctx;
	bool mine = !memcmp(frame_dst(f), g->mac, 6);
	struct span rest;
	uint16_t type;

	if (!g->in_batch) {
		g->in_batch = true;
		g->arena_used = 0;
	}
	if ((!mine && !mac_multicast(frame_dst(f))) || !ip_ether(f, &type, &rest)) {
		g->n.ignored++;
		return;
	}
	switch (type) {
	case ETH_ARP:
		gateway_arp(g, from, f, rest, mine);
		break;
	case ETH_IPV4:
		gateway_ip4(g, from, f, rest, mine);
		break;
	case ETH_IPV6:
		gateway_ip6(g, from, f, rest, mine);
		break;
	default:
		g->n.ignored++;
		break;
	}
}

static void gateway_flush(void *ctx)
{
	struct gateway *g = ctx;

	g->in_batch = false; /* answers stay where they are until the next one begins */
	if (g->to_uplink && g->p.uplink.flush)
		g->p.uplink.flush(g->p.uplink.ctx);
	g->to_uplink = false;
	gateway_tell_leases(g);
}

void gateway_input(struct gateway *g, const struct frame *frames, size_t n)
{
	sw_input(g->port, frames, n);
}

/* ---- life ---- */

static void gateway_on_tick(uv_timer_t *timer)
{
	gateway_tell_leases(timer->data);
}

static void gateway_on_ra(uv_timer_t *timer)
{
	struct gateway *g = timer->data;
	uint64_t spread = (uint64_t)rand() % (GATEWAY_RA_MAX_MS - GATEWAY_RA_MIN_MS);

	gateway_advertise(g);
	/* Three soon, for those that were here before us; then at times nobody can foresee. */
	(void)uv_timer_start(timer, gateway_on_ra,
			     g->ra_sent++ < 3 ? 16000 : GATEWAY_RA_MIN_MS + spread, 0);
}

static void gateway_addresses(struct gateway *g)
{
	const struct netdef *d = g->p.def;
	static const uint8_t none[16];

	ip_put32(g->ip4, d->gateway);
	g->mac[0] = 0x52;
	g->mac[1] = 0x55;
	memcpy(g->mac + 2, g->ip4, 4);
	/* The interface identifier is made of the hardware address (RFC 4291, appendix A). */
	g->link6[0] = 0xfe;
	g->link6[1] = 0x80;
	memcpy(g->link6 + 8, g->mac, 3);
	g->link6[8] ^= 2;
	g->link6[11] = 0xff;
	g->link6[12] = 0xfe;
	memcpy(g->link6 + 13, g->mac + 3, 3);
	g->have6 = memcmp(d->prefix6, none, sizeof(none)) != 0;
	if (g->have6) {
		memcpy(g->ip6, d->prefix6, 8);
		g->ip6[15] = 1;
	}
}

/* What locked members may not say they are. */
static void gateway_guard(const struct gateway *g)
{
	struct guard guard = {.gateway4 = g->p.def->gateway};

	memcpy(guard.gateway6[0], g->link6, sizeof(g->link6));
	memcpy(guard.gateway6[1], g->ip6, sizeof(g->ip6));
	sw_guard(g->p.sw, &guard);
}

/* False: out of memory. */
static bool gateway_parts(struct gateway *g)
{
	const struct netdef *d = g->p.def;
	size_t most = 4 * ((size_t)d->mtu + FRAME_ETH + FRAME_PREFIX + 8);

	g->arena_size = most > GATEWAY_ARENA ? most : GATEWAY_ARENA;
	g->arena = malloc(g->arena_size);
	g->leases = lease_create(d, g->p.state, uv_now(g->p.loop), gateway_wall());
	if (!g->arena || !g->leases)
		return false;
	g->dhcp = (struct dhcp_server){.def = d, .leases = g->leases};
	g->zone = (struct dns_zone){.def = d, .leases = g->leases, .have6 = g->have6};
	memcpy(g->zone.gateway6, g->ip6, sizeof(g->ip6));
	if (!d->dns || !gateway_forwards(g))
		return true;
	g->forward = dns_forward_open(&(struct dns_forward_params){
		.loop = g->p.loop,
		.def = d,
		.resolv_conf = g->p.resolv_conf,
		.stats = &g->dns,
		.answer = gateway_dns_send,
		.arg = g,
	});
	return g->forward != NULL;
}

static void gateway_free(struct gateway *g)
{
	lease_destroy(g->leases);
	free(g->arena);
	free(g);
}

struct gateway *gateway_open(const struct gateway_params *params)
{
	static const struct sw_port_ops ops = {gateway_send, gateway_flush};
	struct gateway *g = calloc(1, sizeof(*g));

	if (!g) {
		errno = ENOMEM;
		return NULL;
	}
	g->p = *params;
	gateway_addresses(g);
	gateway_guard(g);
	if (gateway_parts(g))
		g->port = sw_port_add(params->sw, &(struct sw_port_params){.role = SW_SERVICE,
									   .ops = &ops,
									   .ctx = g,
									   .mac = g->mac});
	if (!g->port) {
		dns_forward_close(g->forward);
		gateway_free(g);
		errno = ENOMEM;
		return NULL;
	}
	(void)uv_timer_init(params->loop, &g->tick);
	(void)uv_timer_init(params->loop, &g->ra);
	g->tick.data = g->ra.data = g;
	g->handles = 2;
	(void)uv_timer_start(&g->tick, gateway_on_tick, GATEWAY_TICK_MS, GATEWAY_TICK_MS);
	if (params->def->ra && g->have6)
		(void)uv_timer_start(&g->ra, gateway_on_ra, GATEWAY_RA_FIRST_S * 1000u, 0);
	return g;
}

static void gateway_closed(uv_handle_t *handle)
{
	struct gateway *g = handle->data;

	if (--g->handles == 0)
		free(g);
}

/* What refers to others goes now; the timers, when libuv has let go of them. */
void gateway_close(struct gateway *g)
{
	if (!g)
		return;
	dns_forward_close(g->forward);
	sw_port_remove(g->port);
	lease_destroy(g->leases);
	free(g->arena);
	uv_close((uv_handle_t *)&g->tick, gateway_closed);
	uv_close((uv_handle_t *)&g->ra, gateway_closed);
}

const uint8_t *gateway_mac(const struct gateway *g)
{
	return g->mac;
}

struct lease_table *gateway_leases(struct gateway *g)
{
	gateway_clock(g);
	return g->leases;
}

void gateway_member_gone(struct gateway *g, const char *name)
{
	lease_member_gone(g->leases, name);
}

json_t *gateway_stats(const struct gateway *g)
{
	const struct dhcp_server *d = &g->dhcp;
	const struct gateway_counts *n = &g->n;
	const struct dns_stats *q = &g->dns;

#define N(v) ((json_int_t)(v))
	return json_pack("{s:{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I},"
			 " s:{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I},"
			 " s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}",
			 "dhcp", "discover", N(d->got[DHCP_DISCOVER]), "offer",
			 N(d->sent[DHCP_OFFER]), "request", N(d->got[DHCP_REQUEST]), "ack",
			 N(d->sent[DHCP_ACK]), "nak", N(d->sent[DHCP_NAK]), "decline",
			 N(d->got[DHCP_DECLINE]), "release", N(d->got[DHCP_RELEASE]), "inform",
			 N(d->got[DHCP_INFORM]), "bad", N(d->bad), "exhausted", N(d->exhausted),
			 "dns", "queries", N(q->queries), "local", N(q->local), "forwarded",
			 N(q->forwarded), "answered", N(q->answered), "failed", N(q->failed),
			 "refused", N(q->refused), "dropped", N(q->dropped), "spoofed",
			 N(q->spoofed), "retried", N(q->retried), "arp", N(n->arp), "claimed",
			 N(n->claimed), "ping", N(n->ping), "ndp", N(n->ndp), "ra", N(n->ra),
			 "to_uplink", N(n->to_uplink), "unreachable", N(n->unreachable), "bad",
			 N(n->bad), "dropped", N(n->dropped), "ignored", N(n->ignored));
#undef N
}
