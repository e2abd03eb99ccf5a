/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The DHCP server (RFC 2131, 2132): from one message to at most one answer, and the lease table.
 *
 * Theory of operation. A message is taken apart first: the fixed part, then each option's value,
 * whole, wherever it stands (options, and with overload, `file` and `sname`; RFC 3396 joins what is
 * split). Anything that does not parse is dropped. The answer is built in a buffer of the caller's:
 * fixed part, then options in the client's order of wishes, as many as fit into what it takes.
 *
 * We are the only server of the network: a client that asks for what it cannot have is told so
 * (NAK) rather than left to wait. Nothing here knows sockets or clocks; the lease table has the
 * time.
 */
#ifndef NETD_DHCP_H
#define NETD_DHCP_H

#include "host/netd/lease.h"

#define DHCP_SERVER_PORT 67u
#define DHCP_CLIENT_PORT 68u
#define DHCP_OUT_MAX	 1472u /* of an answer; what fits a link of 1500 */
#define DHCP_MIN	 300u  /* of an answer: what BOOTP clients count on */

enum dhcp_type {
	DHCP_DISCOVER = 1,
	DHCP_OFFER,
	DHCP_REQUEST,
	DHCP_DECLINE,
	DHCP_ACK,
	DHCP_NAK,
	DHCP_RELEASE,
	DHCP_INFORM,
	DHCP_TYPES
};

enum dhcp_option {
	DHCP_OPT_PAD = 0,
	DHCP_OPT_NETMASK = 1,
	DHCP_OPT_ROUTER = 3,
	DHCP_OPT_DNS = 6,
	DHCP_OPT_HOSTNAME = 12,
	DHCP_OPT_DOMAIN = 15,
	DHCP_OPT_MTU = 26,
	DHCP_OPT_BROADCAST = 28,
	DHCP_OPT_REQUESTED = 50,
	DHCP_OPT_LEASE = 51,
	DHCP_OPT_OVERLOAD = 52,
	DHCP_OPT_TYPE = 53,
	DHCP_OPT_SERVER = 54,
	DHCP_OPT_WISHES = 55,
	DHCP_OPT_MAX_SIZE = 57,
	DHCP_OPT_T1 = 58,
	DHCP_OPT_T2 = 59,
	DHCP_OPT_CLIENT_ID = 61,
	DHCP_OPT_RAPID = 80,
	DHCP_OPT_FQDN = 81,
	DHCP_OPT_SEARCH = 119,
	DHCP_OPT_END = 255,
};

/* A value that options carry, joined; longer ones are cut (none that we read may be longer). */
struct dhcp_value {
	bool there;
	uint8_t len;
	uint8_t data[255];
};

struct dhcp_message {
	uint32_t xid, ciaddr, giaddr;
	uint16_t flags;
	uint8_t mac[6];
	struct dhcp_value type, requested, server, wishes, max_size, client_id, hostname, fqdn,
		rapid;
};

/* dhcp_options.c. False: not a DHCP message from an Ethernet client. */
bool dhcp_parse(struct span bytes, struct dhcp_message *m);

struct dhcp_writer {
	uint8_t *buf;
	size_t len, max;
	bool put[256];
};

/* False: does not fit, nothing was written. Longer than 255 is split. Never the same one twice. */
bool dhcp_put(struct dhcp_writer *w, uint8_t code, const void *data, size_t len);
/* The network's parameters: those asked for, in that order, then those that everybody gets. */
void dhcp_put_parameters(struct dhcp_writer *w, const struct netdef *def,
			 const struct dhcp_value *wishes);

struct dhcp_server {
	const struct netdef *def; /* complete, subnet chosen */
	struct lease_table *leases;
	uint64_t got[DHCP_TYPES], sent[DHCP_TYPES];
	uint64_t bad, exhausted;
};

/* Where a message came from. */
struct dhcp_from {
	const char *member;
	const uint8_t *mac; /* of the Ethernet frame */
	uint32_t address;   /* of the IP header */
};

/* Where its answer goes. */
struct dhcp_to {
	uint8_t mac[6];
	uint32_t address;
	uint16_t port;
};

/* Returns the length of the answer, 0: none. out has DHCP_OUT_MAX bytes. */
size_t dhcp_handle(struct dhcp_server *s, struct span bytes, const struct dhcp_from *from,
		   uint8_t *out, struct dhcp_to *to);

#endif
