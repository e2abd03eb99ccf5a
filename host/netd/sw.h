/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The learning switch of one network.
 *
 * Theory of operation. Whatever is plugged in (a VM's link, the gateway's services, the NAT
 * uplink) is a port. A port that has read a batch of frames gives it to sw_input(). Each frame is
 * checked, its source learnt, its destination looked up, and it is handed to the port or ports it
 * is for: port_ops.send. A port may keep the pointer: the frame's memory stays as it is until
 * sw_input() returns, and before that, each port that was given something is told to flush
 * (port_ops.flush). A port that cannot get rid of it then copies it into its own bounded backlog,
 * or drops and counts it. So a batch costs one or two system calls on either side, a frame that can
 * be sent on at once is never copied, and a slow port costs only itself (G-7).
 *
 * Rules (G-8): no frame goes back where it came from; an unknown unicast goes to the ports that may
 * still be it: those that have no address yet, or are a promiscuous uplink; ports with a known
 * station are spared once they have spoken, so idle members cost nothing. Broadcast and multicast
 * go to all, within a cap for each port. The table is bounded, aged, and no port has more than its
 * share. An isolated network's members reach the gateway and the uplink only. A station moves to
 * another port at a limited rate. A member with a locked address sends from that one only.
 *
 * One thread: the daemon's loop. Nothing here allocates after sw_create and sw_port_add.
 */
#ifndef NETD_SW_H
#define NETD_SW_H

#include <stddef.h>

#include "host/netd/frame.h"
#include "host/netd/guard.h"

#define SW_PORTS_MAX 256u  /* of one network, services included */
#define SW_FDB_MAX   4096u /* stations of one network */
#define SW_FDB_SHARE 64u   /* of one member port */
#define SW_AGE_MS    300000u

struct sw;
struct sw_port;

struct sw_port_ops {
	/* One frame for this port, from that one; never called while it is down. */
	void (*send)(void *ctx, const struct sw_port *from, const struct frame *f);
	/* The frames given since the last flush are about to go away. */
	void (*flush)(void *ctx);
};

enum sw_role {
	SW_MEMBER,  /* a VM: may be isolated, is capped, learns at most SW_FDB_SHARE */
	SW_SERVICE, /* the gateway: gets its own address, broadcast and multicast */
};

struct sw_port_params {
	enum sw_role role;
	const struct sw_port_ops *ops;
	void *ctx;
	void *owner;	    /* whoever asked for the port: sw_port_owner */
	const uint8_t *mac; /* known beforehand: learnt at once, never aged; NULL: none */
	bool lock_mac; /* what comes from or speaks for another address is dropped and counted */
};

/* Counters of a port; rx: the switch received from it, tx: sent to it. */
struct sw_stats {
	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes;
	uint64_t rx_bad;      /* too short, too long, source no station */
	uint64_t rx_spoofed;  /* lock_mac, or the gateway's address claimed */
	uint64_t rx_capped;   /* broadcasts above the cap */
	uint64_t rx_isolated; /* for another member of an isolated network */
	uint64_t tx_dropped;  /* the port's own: backlog full (it counts here itself) */
};

/* Sees every frame that a port sent or was sent; for captures. */
typedef void sw_tap(void *ctx, const struct sw_port *port, bool from_port, const struct frame *f);

struct sw_params {
	uint32_t mtu;
	bool isolated;
	uint64_t (*now_ms)(void *arg); /* monotonic; the loop's */
	void *arg;
	uint32_t broadcasts_per_s; /* cap of one member; 0: SW_BROADCASTS */
};

#define SW_BROADCASTS 2000u

/* NULL: out of memory. */
struct sw *sw_create(const struct sw_params *params);
/* All ports must have been removed. */
void sw_destroy(struct sw *sw);
/* The gateway's addresses, which no locked member may claim. */
void sw_guard(struct sw *sw, const struct guard *guard);

/* Starts up, link up. NULL: full or out of memory. */
struct sw_port *sw_port_add(struct sw *sw, const struct sw_port_params *params);
/* What it learnt is forgotten. Allowed from within its own ops.flush, not from ops.send. */
void sw_port_remove(struct sw_port *port);

/* A cable pulled: nothing in, nothing out (dropped, not counted as errors). */
void sw_port_link(struct sw_port *port, bool up);
bool sw_port_is_up(const struct sw_port *port);
void *sw_port_owner(const struct sw_port *port);
struct sw_stats *sw_port_stats(struct sw_port *port);
/* The station last learnt on a member port. False: none yet. */
bool sw_port_mac(const struct sw_port *port, uint8_t mac[6]);

/*
 * A batch from a port, in order; flushes before it returns. Not re-entrant: from within ops.send or
 * ops.flush it must not be called.
 */
void sw_input(struct sw_port *from, const struct frame *frames, size_t n);
/*
 * One frame of a service's own (an answer): allowed anywhere, from within its ops.send too. Its
 * memory must stay as it is until the batch ends, if one is under way; else it is flushed at once.
 */
void sw_reply(struct sw_port *from, const struct frame *f);

/* At most one tap per call site: returns a handle > 0, or 0 if there are too many (8). */
int sw_tap_add(struct sw *sw, sw_tap *tap, void *ctx);
void sw_tap_remove(struct sw *sw, int handle);

/* Which port a unicast to this address would go to; NULL: unknown. */
struct sw_port *sw_lookup(struct sw *sw, const uint8_t mac[6]);
size_t sw_stations(const struct sw *sw);

#endif
