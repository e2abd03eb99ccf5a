/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The broker: which networks there are, which are up, and who is on them.
 *
 * Theory of operation. A network is defined by a command (kept in the state file), by the YAML
 * file, or built in; the first of these that has the name counts. It comes up when its first member
 * joins (network.c: switch, gateway, and an uplink where there is one) and goes down `linger` after
 * its last member has left. The daemon ends when nothing is up and nobody is connected.
 *
 * A member is a name and a MAC on a network (member.c); its link is the descriptor it is plugged in
 * with, which may come and go: a member behind a path stays while it is away, with address and
 * counters. Members belong to the control connection that asked for them, or, if detached, to the
 * daemon. A door (door.c) is a path that VMs connect to; each connection is a member.
 *
 *   network -> members -> link -> switch port
 *   connection -> members, doors, captures
 *
 * Everything runs on one loop, in one thread. Objects that a callback may be about are freed by
 * libuv's close callbacks only.
 */
#ifndef NETD_BROKER_H
#define NETD_BROKER_H

#include <uv.h>

#include "host/netd/capture.h"
#include "host/netd/config.h"
#include "host/netd/link.h"
#include "host/netd/log.h"
#include "host/netd/peer.h"
#include "host/netd/service.h"
#include "host/netd/state.h"
#include "host/netd/uplink.h"

#define BROKER_NETWORKS_MAX 64u
#define BROKER_MEMBERS_MAX  128u /* of one network */
#define BROKER_DOORS_MAX    64u
#define BROKER_IDLE_MS	    10000u
#define BROKER_SYNC_MS	    1000u

struct network;
struct member;
struct door;
struct conn;

/* What went wrong, for whoever asked: one line, and whose mistake it was. */
struct fault {
	bool user;
	char text[NETDEF_ERR_MAX];
};

/* Always false, so that `return fault(...)` reads well. */
__attribute__((format(printf, 3, 4))) bool fault_set(struct fault *f, bool user, const char *fmt,
						     ...);
#define fault_user(f, ...)   fault_set(f, true, __VA_ARGS__)
#define fault_system(f, ...) fault_set(f, false, __VA_ARGS__)

struct broker {
	uv_loop_t *loop;
	struct state *state;
	struct config config;
	struct network *networks; /* those that are up */
	struct door *doors;
	struct control *control; /* NULL: none yet */
	unsigned nnetworks, ndoors, nconns;
	uint64_t started_ms;
	uv_timer_t idle, sync;
	void (*end)(struct broker *b); /* nothing left to do */
	bool ending;
};

bool broker_open(struct broker *b, uv_loop_t *loop, struct state *state);
/* Takes everything down; handles close with the loop's next turns. */
void broker_close(struct broker *b);
/* Something was added or went away: look whether the daemon is idle. */
void broker_changed(struct broker *b);
/* Reads the file again. */
bool broker_reload(struct broker *b, struct fault *f);
/* Attachments that a daemon before us was left with. */
void broker_restore(struct broker *b);

/*
 * The definition that a name stands for: into *out (netdef_free), with the name of where it comes
 * from ("command", "file", "builtin"). False: there is none.
 */
bool broker_definition(struct broker *b, const char *name, struct netdef *out, const char **source);
/* All names that are defined, each once: fn(arg, name). */
void broker_each_name(struct broker *b, void (*fn)(void *arg, const char *name), void *arg);
bool broker_create(struct broker *b, const char *name, const json_t *definition, struct fault *f);
bool broker_delete(struct broker *b, const char *name, struct fault *f);
/* Whether any definition lets this peer talk to us at all. */
bool broker_may_connect(struct broker *b, const struct peer *p);

/* ---- one network that is up (network.c) ---- */

enum forward_state { FORWARD_WAITING, FORWARD_OPENING, FORWARD_OPEN, FORWARD_FAILED };

struct forward {
	struct forward *next;
	struct network *network;
	struct netdef_forward def;
	uint32_t target; /* where it leads now; 0: nowhere yet */
	enum forward_state state;
	bool in_def; /* the definition's, not to be kept in the state file */
	bool gone;   /* removed while the uplink was at work on it */
	char error[NETDEF_ERR_MAX];
	void (*done)(void *arg, const char *err, int error); /* of whoever asked for it */
	void *arg;
};

struct network {
	struct network *next;
	struct broker *broker;
	struct netdef def;
	const char *source;
	struct sw *sw;
	struct gateway *gateway;
	struct uplink *uplink; /* NULL: none */
	struct member *members;
	unsigned nmembers;
	struct forward *forwards;
	uv_timer_t linger;
	bool closing;
	bool settling;			  /* forwards are to be looked at again */
	char uplink_down[NETDEF_ERR_MAX]; /* why, "" : it is there */
};

struct network *broker_network(struct broker *b, const char *name);
/* Up already, or brought up. NULL: f. */
struct network *network_up(struct broker *b, const char *name, struct fault *f);
void network_down(struct network *n);
/* A member came. */
void network_joined(struct network *n);
/* A member left. */
void network_left(struct network *n);
/*
 * Add a forward. done (may be NULL) is called once with the outcome, unless this returns false (f):
 * then nothing was added. One that has nowhere to lead yet is a success.
 */
bool network_forward_add(struct network *n, const struct netdef_forward *def,
			 void (*done)(void *arg, const char *err, int error), void *arg,
			 struct fault *f);
bool network_forward_remove(struct network *n, const struct netdef_forward *def, struct fault *f);
/* Forwards kept in the state file: the key of one. */
void network_forward_key(const char *network, const struct netdef_forward *def, char *key,
			 size_t size);

/* ---- members (member.c) ---- */

struct member {
	struct member *next;
	struct network *network;
	struct conn *owner; /* NULL: the daemon's own (detached), or a door's */
	struct door *door;  /* NULL: came with a descriptor */
	char name[NETDEF_NAME_MAX + 1];
	uint8_t mac[6];
	bool mac_known;
	uint8_t seen[6]; /* the address it was seen to use last */
	bool seen_known;
	struct link *link; /* NULL: away */
	enum link_kind kind;
	bool up;
	uint64_t rate_bps;
	uint32_t burst;
	struct sw_stats past; /* of links it had before */
	uint64_t joins;
};

struct member_params {
	struct conn *owner;
	struct door *door;
	const char *name;   /* NULL: choose */
	const uint8_t *mac; /* NULL: what it had before, or choose, or (door) learn */
	enum link_kind kind;
};

/* NULL: f. It is away until member_plug. */
struct member *member_add(struct network *n, const struct member_params *params, struct fault *f);
/* fd is taken, whatever comes of it. */
bool member_plug(struct member *m, int fd, bool takeover, bool unconnected, struct fault *f);
void member_unplug(struct member *m);
void member_remove(struct member *m);
/* Remember in the state file what it has, and what address it uses. */
void member_keep(struct member *m);
void member_look(struct member *m);
struct member *member_find(struct network *n, const char *name);
void member_set_link(struct member *m, bool up);
void member_set_rate(struct member *m, uint64_t rate_bps, uint32_t burst);
/* Its MAC, given or learnt. */
bool member_mac(const struct member *m, uint8_t mac[6]);
void member_stats(const struct member *m, struct link_stats *out);

/* ---- doors (door.c) ---- */

struct door_params {
	const char *network, *path, *name;
	const uint8_t *mac;
	enum link_kind kind;
	struct conn *owner; /* NULL: detached */
};

struct door {
	struct door *next;
	struct broker *broker;
	struct network *network;
	struct conn *owner;
	char path[108];
	char name[NETDEF_NAME_MAX + 1];
	uint8_t mac[6];
	bool mac_given;
	enum link_kind kind;
	int fd; /* stream: listens; dgram: -1, the member's link has it */
	uv_poll_t poll;
	uv_timer_t pause; /* no descriptor left: wait a little */
	bool polling, closing;
	struct member *first;
};

struct door *door_open(struct broker *b, const struct door_params *params, struct fault *f);
void door_close(struct door *d, bool forget);
struct door *door_find(struct broker *b, const char *network, const char *name);

/* ---- control (control.c) ---- */

struct control;

/* Listens on an open, bound socket. NULL: out of memory. */
struct control *control_open(struct broker *b, int fd);
void control_close(struct control *c);
/* A network is about to go: captures of it end. */
void control_network_down(struct control *c, struct network *n);
/* The member went away for a reason of its own: its owner is told. */
void control_member_gone(struct conn *c, const struct member *m, const char *why);

#endif
