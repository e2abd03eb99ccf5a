/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DNS at the gateway.
 *
 * Theory of operation. dns.c takes a question apart and answers it if it is about this network: the
 * names of its members and hosts, NAME and NAME.DOMAIN, the gateway's own (gateway, host), and the
 * reverse of its addresses. These never leave the network, whether they exist or not. Everything
 * else goes to the upstream servers (dns_forward.c), where the network has an outside.
 *
 * Forwarding. Each question goes out from a socket of its own, connected to one server: the kernel
 * gives it a random port and lets only that server answer; the id is random too, and an answer has
 * to repeat the question to the letter. After DNS_TRY_MS, or when the server refuses, the next one
 * is asked; after DNS_TOTAL_MS the asker is told SERVFAIL. Questions under way are bounded, for the
 * network and for each member. Answers that are longer than the asker takes, or than fits the link,
 * are cut to nothing and marked so: the asker then comes by TCP.
 *
 * Addresses of the servers are the definition's, or those of the host's resolv.conf, which is read
 * again when it has changed. Our own address is never asked.
 */
#ifndef NETD_DNS_H
#define NETD_DNS_H

#include <uv.h>

#include "host/netd/ip.h"
#include "host/netd/lease.h"

#define DNS_PORT	53u
#define DNS_HEADER	12u
#define DNS_PLAIN_MAX	512u  /* of an answer to who has not said that it takes more */
#define DNS_EDNS_SIZE	1232u /* what we say that we take */
#define DNS_QUERY_MAX	1024u /* of a question that is forwarded */
#define DNS_LOCAL_MAX	512u  /* of an answer of ours */
#define DNS_NAME_MAX	255u
#define DNS_PENDING_MAX 256u
#define DNS_MEMBER_MAX	64u
#define DNS_TRY_MS	2000u
#define DNS_TOTAL_MS	5000u
#define DNS_TTL		5u /* of names here: leases come and go */

enum dns_rcode {
	DNS_NOERROR = 0,
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_NXDOMAIN = 3,
	DNS_NOTIMP = 4,
	DNS_REFUSED = 5,
	DNS_BADVERS = 16,
};

enum dns_type { DNS_A = 1, DNS_PTR = 12, DNS_AAAA = 28, DNS_OPT = 41, DNS_ANY = 255 };

struct dns_query {
	struct span whole;
	uint16_t id, flags, type, class;
	size_t question_end;	     /* the question is [DNS_HEADER, question_end) */
	char name[DNS_NAME_MAX + 1]; /* lower case; bytes that no name of ours has are '?' */
	bool edns, dnssec;
	uint8_t version;
	uint16_t size; /* of the answer that the asker takes */
};

/* False: no question that can be answered at all. *rcode: DNS_NOERROR, or what to answer. */
bool dns_parse(struct span bytes, struct dns_query *q, enum dns_rcode *rcode);

/* A name as labels. Returns its length, 0: no name that DNS can have, or longer than max. */
size_t dns_labels(const char *name, uint8_t *out, size_t max);

/* The names that are ours to answer. */
struct dns_zone {
	const struct netdef *def;
	struct lease_table *leases;
	bool have6;
	uint8_t gateway6[16];
};

/* Returns the length of the answer, at most DNS_LOCAL_MAX. 0: not about this network. */
size_t dns_local(const struct dns_zone *zone, const struct dns_query *q, uint8_t *out);
/* An answer that is only a code. out has DNS_LOCAL_MAX bytes. */
size_t dns_error(const struct dns_query *q, enum dns_rcode rcode, uint8_t *out);
/* The largest answer for this asker on a link of that MTU. */
size_t dns_limit(const struct dns_query *q, uint32_t mtu, bool v6);

/* Whether answer belongs to the question [DNS_HEADER, question_end) of query. */
bool dns_answers(struct span query, size_t question_end, struct span answer);
/*
 * Makes an answer (len bytes, dns_answers() is true of it) fit: if it is longer than limit, only
 * header and question stay, marked as cut. Returns its length.
 */
size_t dns_fit(uint8_t *answer, size_t len, size_t question_end, size_t limit, bool edns,
	       bool dnssec);

/* ---- forwarding ---- */

/* Who asked, and how the answer has to look. */
struct dns_asker {
	struct ip_end from, to; /* from: the asker; to: which of our addresses it asked */
	const void *port;	/* its switch port; only compared */
	uint16_t id;
	size_t limit;
};

struct dns_stats {
	uint64_t queries, local, forwarded, answered, failed, refused, dropped, spoofed, retried;
};

struct dns_forward;

struct dns_forward_params {
	uv_loop_t *loop;
	const struct netdef *def;
	const char *resolv_conf;
	struct dns_stats *stats;
	/* May be called from within dns_forward_ask too. */
	void (*answer)(void *arg, const struct dns_asker *asker, struct span bytes);
	void *arg;
};

/* NULL: out of memory. */
struct dns_forward *dns_forward_open(const struct dns_forward_params *params);
/* No callback any more; frees itself when libuv's handles have closed. */
void dns_forward_close(struct dns_forward *f);
/* Exactly one answer will follow, or none if there are too many questions already. */
void dns_forward_ask(struct dns_forward *f, const struct dns_asker *asker,
		     const struct dns_query *q);
unsigned dns_forward_pending(const struct dns_forward *f);

#endif
