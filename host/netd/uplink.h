/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The uplink `nat-slirp`: a worker process for each network that has one (G-10).
 *
 * The worker (host/nat/, the same program started again as `vmnet-nat`) holds libslirp and is
 * jailed. Two lanes (host/lane/lane.h) carry frames to it and back; commands go over a socket pair,
 * SOCK_SEQPACKET, one JSON object each (configuration first, then forwards). A worker that
 * dies, for whatever reason, is started again within a second, with back-off after several times,
 * and given its forwards again; only its network notices.
 */
#ifndef NETD_UPLINK_H
#define NETD_UPLINK_H

#include <uv.h>

#include "host/netd/uplink_wire.h"
#include "host/netd/frame.h"
#include "host/netd/netdef.h"

struct uplink;

struct uplink_params {
	uv_loop_t *loop;
	const struct netdef *def; /* outlives it */
	const uint8_t *gateway_mac;
	/* Frames for members, in batches; memory is the uplink's. */
	void (*input)(void *ctx, const struct frame *frames, size_t n);
	/* The worker was lost (why) or is there again (NULL). */
	void (*event)(void *ctx, const char *why);
	void *ctx;
	/* The worker's program; NULL: this one (tests have one of their own). */
	const char *program;
	const char *const *options; /* more keys that are true in its configuration; NULL: none */
};

/* Starts the worker. NULL: err has one line. */
struct uplink *uplink_open(const struct uplink_params *params, char err[NETDEF_ERR_MAX]);
/*
 * No callback any more, but for forwards under way: they are told ECANCELED before it returns. The
 * loop must go on for its handles to close.
 */
void uplink_close(struct uplink *u);
/*
 * A frame to the outside; may be kept until uplink_flush, as sw_port_ops. Also to be given: what
 * members answer when the worker asks for their address in the gateway's name (ARP replies and
 * neighbour advertisements for the gateway).
 */
void uplink_send(struct uplink *u, const struct frame *f);
void uplink_flush(struct uplink *u);
/*
 * Open or close one forward (address resolved). done is called once, later, from the loop: err NULL
 * is success, else one line ("tcp 127.0.0.1 port 8080 is in use"), with the errno behind it.
 */
void uplink_forward(struct uplink *u, bool add, const struct netdef_forward *f,
		    void (*done)(void *arg, const char *err, int error), void *arg);
pid_t uplink_pid(const struct uplink *u);
/* Whether the worker has said that it serves. */
bool uplink_ready(const struct uplink *u);
/*
 * For `status`: kind, pid, ready, restarts, library, warnings (an array of lines), frames, and what
 * the worker counted when it was last asked (now and then); a new reference.
 */
json_t *uplink_stats(const struct uplink *u);

#endif
