/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gateway of a network: one port of its switch with the gateway's address, behind which live
 * ARP, ping, DHCP, DNS, neighbour discovery and router advertisement, in the daemon; all else that
 * is sent to the gateway's address goes to the uplink (uplink.h), if there is one.
 *
 *   gateway.c        the port: who gets which frame; ARP, ping, DHCP and DNS over UDP
 *   gateway_ip6.c    neighbour discovery, router advertisement, ping
 *   dhcp.c           the server: a function from a message to an answer and the lease table
 *   dhcp_options.c   its options, in and out
 *   lease.c          the lease table
 *   lease_slots.c    what it is made of: slots, lists, hashes, who they count for
 *   lease_store.c    the same in the state file
 *   dns.c            questions, local names, what is cut off from answers that are too long
 *   dns_forward.c    asks the upstream servers, over UDP sockets of the loop
 *   ip.c             building and checking IPv4, IPv6, UDP in fixed buffers
 *
 * Parsers take (bytes, length) and know no sockets and no clock, so they can be fuzzed.
 */
#ifndef NETD_SERVICE_H
#define NETD_SERVICE_H

#include <uv.h>

#include "host/netd/netdef.h"
#include "host/netd/state.h"
#include "host/netd/sw.h"

struct gateway;
struct lease_table;

/* Where frames for the outside go. NULL functions: nowhere. */
struct gateway_uplink {
	void (*send)(void *ctx, const struct frame *f);
	void (*flush)(void *ctx);
	bool (*up)(void *ctx); /* whether there is one now; NULL: whenever send is not */
	void *ctx;
};

struct gateway_params {
	uv_loop_t *loop;
	struct sw *sw;
	const struct netdef *def; /* complete, subnet chosen; outlives the gateway */
	struct state *state;	  /* leases are kept there; NULL: nowhere */
	struct gateway_uplink uplink;
	/* Name of the member behind a switch port, "" : none. For DNS, DHCP and lease shares. */
	const char *(*member_name)(void *arg, const struct sw_port *port);
	/* A lease was given or ended, or has another name: forwards by name may have to move. */
	void (*lease_changed)(void *arg);
	void *arg;
	const char *resolv_conf; /* NULL: /etc/resolv.conf */
};

/* NULL: errno. */
struct gateway *gateway_open(const struct gateway_params *params);
void gateway_close(struct gateway *g);
/* Frames from the uplink for members: as sw_input from the gateway's port, not re-entrant. */
void gateway_input(struct gateway *g, const struct frame *frames, size_t n);
const uint8_t *gateway_mac(const struct gateway *g);
/* A member has left for good: its client may come back under another name and has its address. */
void gateway_member_gone(struct gateway *g, const char *name);
struct lease_table *gateway_leases(struct gateway *g);
/* Statistics for `status`: a new reference. */
json_t *gateway_stats(const struct gateway *g);

/* ---- leases ---- */

enum lease_state { LEASE_FREE, LEASE_OFFERED, LEASE_BOUND, LEASE_DECLINED };

struct lease {
	uint32_t address; /* host order */
	uint8_t mac[6];
	uint8_t client_id[64];
	uint8_t client_id_len;
	char hostname[64]; /* as the client said, made valid for DNS; "" : none */
	char member[NETDEF_NAME_MAX + 1];
	enum lease_state state;
	int64_t expires; /* Unix time, seconds */
	bool reserved;
};

void lease_each(struct lease_table *t, void (*fn)(void *arg, const struct lease *l), void *arg);
/* The address of a member or of a host name; 0: none. */
uint32_t lease_by_name(struct lease_table *t, const char *name);
/* The bound lease of a MAC; NULL: none. */
const struct lease *lease_by_mac(struct lease_table *t, const uint8_t mac[6]);

#endif
