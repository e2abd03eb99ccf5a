/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What gateway.c and gateway_ip6.c share; others see service.h.
 *
 * Answers are built in the arena: one buffer, of which each answer takes what it needs until the
 * batch of frames that it belongs to is over. It is bounded; what does not fit is dropped, and
 * whoever asked asks again.
 */
#ifndef NETD_GATEWAY_H
#define NETD_GATEWAY_H

#include "host/netd/dhcp.h"
#include "host/netd/dns.h"
#include "host/netd/ip.h"
#include "host/netd/service.h"

#define GATEWAY_ARENA	   (256u << 10)
#define GATEWAY_ERRORS_S   10u	   /* ICMP errors a second */
#define GATEWAY_DEFEND_MS  1000u   /* between two announcements against somebody with our address */
#define GATEWAY_TICK_MS	   5000u   /* leases that are over */
#define GATEWAY_RA_MIN_MS  200000u /* between advertisements nobody asked for (RFC 4861, 6.2.1) */
#define GATEWAY_RA_MAX_MS  600000u
#define GATEWAY_RA_FIRST_S 3u /* the first few come soon */
#define GATEWAY_RA_LIFE_S  1800u

struct gateway_counts {
	uint64_t arp, claimed, ping, ndp, ra, to_uplink, unreachable;
	uint64_t bad;	  /* not well formed, or a source that cannot be */
	uint64_t dropped; /* no room for the answer */
	uint64_t ignored; /* for nobody here */
};

struct gateway {
	struct gateway_params p;
	struct sw_port *port;
	uint8_t mac[6], ip4[4], link6[16], ip6[16]; /* ip6: prefix::1 */
	bool have6;
	struct lease_table *leases;
	struct dhcp_server dhcp;
	struct dns_zone zone;
	struct dns_forward *forward; /* NULL: nothing is forwarded */
	struct dns_stats dns;
	struct gateway_counts n;

	uint8_t *arena;
	size_t arena_size, arena_used;
	bool in_batch, to_uplink, lease_changed;
	unsigned errors_left;
	uint64_t errors_ms, defended_ms;

	uv_timer_t tick, ra;
	unsigned ra_sent;
	unsigned handles;
};

/* Room for an answer of at most len bytes; NULL: none. Nothing is taken yet. */
uint8_t *gateway_room(struct gateway *g, size_t len);
/* Sends what gateway_room gave. */
void gateway_answer(struct gateway *g, uint8_t *frame, size_t len);
/* Whether one more ICMP error may be sent. */
bool gateway_may_complain(struct gateway *g);
/* Whether there is an outside, of that version of IP. */
bool gateway_outside(const struct gateway *g, bool v6);
/* Hands a frame over to the uplink; false: there is none. */
bool gateway_to_uplink(struct gateway *g, const struct frame *f);
void gateway_dns(struct gateway *g, const struct sw_port *from, const struct frame *f,
		 const struct ip_packet *p, const struct ip_udp *u);

/* gateway_ip6.c */
void gateway_ip6(struct gateway *g, const struct sw_port *from, const struct frame *f,
		 struct span rest, bool mine);
/* An advertisement to everybody. */
void gateway_advertise(struct gateway *g);

#endif
