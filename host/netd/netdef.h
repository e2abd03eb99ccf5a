/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The definition of a network: what a file or `vmnet create` says of it, checked.
 *
 * A definition is plain data. It comes from one of three places: built in (`shared`, `host`), the
 * YAML file (config.h), or a JSON object over the control socket (netdef_from_json: `vmnet
 * create`). All go through netdef_complete(), which fills in what was left out and refuses what
 * cannot be; each refusal is one line that says what was wrong, where, and what would be right.
 *
 * IPv4 addresses are host-order integers here, as arithmetic is done on them.
 */
#ifndef NETD_NETDEF_H
#define NETD_NETDEF_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define NETDEF_NAME_MAX	    32u /* a name: letters, digits, - _ . ; begins with a letter or digit */
#define NETDEF_DOMAIN_MAX   253u
#define NETDEF_DNS_MAX	    4u
#define NETDEF_SEARCH_MAX   6u
#define NETDEF_RESERVE_MAX  256u
#define NETDEF_FORWARDS_MAX 256u
#define NETDEF_ALLOW_MAX    64u
#define NETDEF_ERR_MAX	    256u
#define NETDEF_WHERE_MAX    96u /* "forwards[2].port" */
#define NETDEF_QUOTE_MAX    44u
#define NETDEF_LEASE_S	    86400u
#define NETDEF_LINGER_S	    5u
#define NETDEF_MTU	    1500u

enum netdef_mode { NETDEF_SHARED, NETDEF_HOST };

struct netdef_reserve {
	bool by_mac;
	uint8_t mac[6];
	char name[NETDEF_NAME_MAX + 1]; /* of the member, if not by_mac */
	uint32_t address;
};

struct netdef_forward {
	bool udp;
	char host[46]; /* an IPv4 or IPv6 address of this host; "127.0.0.1" if none was given */
	uint16_t first, last; /* ports here */
	bool by_name;
	char member[NETDEF_NAME_MAX + 1];
	uint32_t address; /* if not by_name */
	uint16_t port;	  /* there, of `first`; the others follow */
};

struct netdef_allow {
	enum { NETDEF_ALLOW_UID, NETDEF_ALLOW_GID, NETDEF_ALLOW_EXE } kind;
	uint32_t id;
	char *path; /* exe: and the file it was when it was recorded */
	uint64_t dev, ino;
	uint8_t sha256[32];
};

struct netdef_dns {
	char address[46]; /* IPv4 or IPv6 */
	uint16_t port;
};

struct netdef {
	char name[NETDEF_NAME_MAX + 1];
	enum netdef_mode mode;
	bool builtin; /* not from a file or a command */

	bool auto_subnet; /* chosen when the network is first used; 0 until then: */
	uint32_t subnet, netmask, gateway;
	uint32_t dhcp_start, dhcp_end;
	bool dhcp;
	uint32_t lease_s;
	struct netdef_reserve *reserve;
	unsigned nreserve;

	bool dns;			    /* the gateway answers and forwards */
	char domain[NETDEF_DOMAIN_MAX + 1]; /* members are NAME.DOMAIN; "" : none */
	char search[NETDEF_SEARCH_MAX][NETDEF_DOMAIN_MAX + 1];
	unsigned nsearch;
	struct netdef_dns upstream[NETDEF_DNS_MAX]; /* none: the host's resolv.conf */
	unsigned nupstream;

	bool nat44;	     /* shared only */
	bool nat66;	     /* shared only */
	bool ra;	     /* router advertisements */
	uint8_t prefix6[16]; /* a /64; all zero: none, or chosen with the subnet */
	bool host_loopback;  /* members reach this host's 127.0.0.1 at the gateway's address */

	uint32_t mtu;
	bool isolated;
	bool lock_mac;	   /* members send from their own address only */
	uint64_t rate_bps; /* of each member; 0: none */
	uint32_t burst;
	struct netdef_forward *forward;
	unsigned nforward;
	struct netdef_allow *allow; /* none: the daemon's own user */
	unsigned nallow;
	unsigned linger_s; /* kept so long after the last member has left */
};

/* The two that need no file. */
const struct netdef *netdef_builtin(const char *name);

void netdef_init(struct netdef *d);
void netdef_free(struct netdef *d);
/* Deep copy. False: out of memory, `to` is empty. */
bool netdef_copy(struct netdef *to, const struct netdef *from);

/*
 * Fills in what was left out (0: gateway, netmask, DHCP range, prefix), checks. May be repeated. It
 * knows no "not said" for the rest: netdef_init's values are those of a shared network. False: err
 * has one line.
 */
bool netdef_complete(struct netdef *d, char err[NETDEF_ERR_MAX]);
/* Whether a forward can be one of this network; for those added while it runs. */
bool netdef_forward_fits(const struct netdef *d, const struct netdef_forward *f,
			 char err[NETDEF_ERR_MAX]);
/* Whether two subnets overlap; the caller's message has both names. */
bool netdef_overlap(const struct netdef *a, const struct netdef *b);
/* If so: whether their IPv4 subnets do, or else their prefixes. */
bool netdef_overlap4(const struct netdef *a, const struct netdef *b);
/*
 * Choose subnet, gateway, range and IPv6 prefix of one with auto_subnet: none of `others`, none of
 * this host's own (addresses and routes). prefer: the one it had last time, 0: none.
 */
bool netdef_choose(struct netdef *d, const struct netdef *const *others, unsigned nothers,
		   uint32_t prefer, char err[NETDEF_ERR_MAX]);

/*
 * The keys are those of networks.yaml (docs: networks.yaml(5)); an unknown key is refused. What
 * comes out is complete. False: err, and d is empty.
 */
bool netdef_from_json(struct netdef *d, const char *name, const json_t *object,
		      char err[NETDEF_ERR_MAX]);
/*
 * The same for config.c: where is told apart, as "mtu", "forwards[2].port" or "" (the whole). With
 * a "?" in front it is the key that is wrong, not its value.
 */
bool netdef_from_json_at(struct netdef *d, const char *name, const json_t *object,
			 char err[NETDEF_ERR_MAX], char where[NETDEF_WHERE_MAX]);
/*
 * A new reference; with everything that is in force, for `config show` and the state file:
 * netdef_from_json makes the same definition of it. A subnet that is not chosen yet is "auto".
 */
json_t *netdef_to_json(const struct netdef *d);

/* Text to value, used by file, command line and JSON alike. False: err has one line. */
bool netdef_parse_addr4(const char *text, uint32_t *out);
bool netdef_parse_cidr4(const char *text, uint32_t *net, uint32_t *mask, char err[NETDEF_ERR_MAX]);
bool netdef_parse_mac(const char *text, uint8_t mac[6]); /* of one station */
/* A /64 with or without the "/64"; unique local or global. */
bool netdef_parse_prefix6(const char *text, uint8_t prefix[16], char err[NETDEF_ERR_MAX]);
/* 1.1.1.1, 1.1.1.1:5353, ::1, [::1]:5353 */
bool netdef_parse_dns(const char *text, struct netdef_dns *out, char err[NETDEF_ERR_MAX]);
bool netdef_parse_seconds(const char *text, uint32_t *s, char err[NETDEF_ERR_MAX]);  /* 12h */
bool netdef_parse_rate(const char *text, uint64_t *bps, char err[NETDEF_ERR_MAX]);   /* 100mbit */
bool netdef_parse_size(const char *text, uint32_t *bytes, char err[NETDEF_ERR_MAX]); /* 64k */
/* tcp|udp, [ADDR:]PORT[-PORT], MEMBER|ADDRESS, PORT */
bool netdef_parse_forward(const char *proto, const char *host, const char *to, const char *port,
			  struct netdef_forward *out, char err[NETDEF_ERR_MAX]);
bool netdef_name_valid(const char *name);
bool netdef_domain_valid(const char *domain);
void netdef_format_addr4(uint32_t address, char out[16]);
void netdef_format_mac(const uint8_t mac[6], char out[18]);
/* Somebody's text for a message: quoted, printable, shortened. */
const char *netdef_quote(const char *text, char out[NETDEF_QUOTE_MAX]);
/* The host side of a forward as it is written: "127.0.0.1:8080-8089". */
void netdef_format_host(const struct netdef_forward *f, char out[64]);

#endif
