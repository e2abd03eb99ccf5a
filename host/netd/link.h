/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Links: how a member's frames reach the daemon. One table, one file per kind.
 *
 *   link_stream.c   4-byte big-endian length + frame: QEMU stream, krunkit unixstream, Lima socket:
 *   link_dgram.c    one frame a datagram (or packet of SOCK_SEQPACKET): vfkit, krunkit, QEMU dgram
 *
 * A link owns its descriptor, reads batches into a buffer of its own, and gives them to the switch
 * through its port; the switch gives it frames to send (sw.h). Its backlog is bounded in bytes:
 * what does not fit is dropped and counted. A peer that breaks the protocol or goes away ends its
 * own link: `closed` is called once, from the loop, and the owner then calls link_close().
 *
 * Takeover. Whoever started the VM keeps a duplicate of our end of the socket, and gives it to the
 * next daemon when this one dies. For that a stream link writes whole frames only: each sendmsg is
 * at most LINK_WRITE_MAX bytes, which a unix stream socket takes whole or not at all; and what is
 * read after a takeover is searched for the first frame boundary (`resync`).
 *
 * Shaping. With a rate, what the member sends is read only as fast as that (its own socket fills
 * up), and what is sent to it waits in its backlog; both directions have the same rate and burst.
 */
#ifndef NETD_LINK_H
#define NETD_LINK_H

#include <sys/types.h>
#include <uv.h>

#include "host/netd/sw.h"

#define LINK_WRITE_MAX	 32768u
#define LINK_BACKLOG_MAX (2u << 20) /* default cap of what waits for one member, bytes */

enum link_kind { LINK_STREAM, LINK_DGRAM };

struct link;

struct link_params {
	uv_loop_t *loop;
	struct sw *sw;
	int fd; /* owned by the link from now on, also when link_open fails; made non-blocking */
	enum link_kind kind;
	void *owner;	    /* sw_port_owner of its port */
	const uint8_t *mac; /* of the member, if it is known; else NULL */
	bool lock_mac;
	bool resync;	  /* the socket was used by a daemon before us */
	bool vfkt;	  /* dgram: a first datagram of the 4 bytes "VFKT" is a greeting */
	bool unconnected; /* dgram: a bound unixgram path; connect to who speaks first */
	/* unconnected: whether this user may be who speaks first; NULL: anybody. */
	bool (*admit)(void *ctx, uid_t uid, gid_t gid);
	uint32_t backlog; /* bytes; 0: LINK_BACKLOG_MAX */
	uint32_t mtu;
	uint64_t rate_bps; /* bits a second; 0: no limit */
	uint32_t burst;	   /* bytes; 0: chosen from the rate */
	/* The link is over: why is one line ("peer closed", "length 70000 is above 69632"). */
	void (*closed)(void *ctx, const char *why);
	void *ctx;
};

struct link_stats {
	struct sw_stats port;
	uint64_t backlog_bytes, backlog_max;
	uint64_t reads, writes; /* system calls */
	uint64_t skipped;	/* bytes before the first frame boundary after a takeover */
};

/* NULL: errno says why (ENOMEM, ENOSPC: no free port, or what the descriptor said). */
struct link *link_open(const struct link_params *params);
/* Not from within sw_input; frees it (after libuv's handles have closed). No callback any more. */
void link_close(struct link *link);
void link_set_rate(struct link *link, uint64_t rate_bps, uint32_t burst);
/* Cable. Down: what waits is thrown away, what comes is read and thrown away. */
void link_set_up(struct link *link, bool up);
struct sw_port *link_port(struct link *link);
void link_stats(const struct link *link, struct link_stats *out);

#endif
