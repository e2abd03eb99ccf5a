/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The uplink `nat-slirp`: a worker process for each network that has one (G-10).
 *
 * The worker (host/nat/, the same program started again as `vmnet-nat`) holds libslirp and is jailed.
 * Two socket pairs join it to the daemon: frames over a stream, as a member's; and commands over
 * SOCK_SEQPACKET, one JSON object each (configuration first, then forwards). A worker that dies, for
 * whatever reason, is started again within a second, with back-off after several times, and given
 * its forwards again; only its network notices.
 */
#ifndef NETD_UPLINK_H
#define NETD_UPLINK_H

#include <uv.h>

#include "host/netd/netdef.h"
#include "host/netd/frame.h"

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
};

/* Starts the worker. NULL: err has one line. */
struct uplink *uplink_open(const struct uplink_params *params, char err[NETDEF_ERR_MAX]);
void uplink_close(struct uplink *u);
/* A frame to the outside; may be kept until uplink_flush, as sw_port_ops. */
void uplink_send(struct uplink *u, const struct frame *f);
void uplink_flush(struct uplink *u);
/*
 * Open or close one forward (address resolved). done is called once, later, from the loop: err NULL
 * is success, else one line ("tcp 127.0.0.1 port 8080 is in use"), with the errno behind it.
 */
void uplink_forward(struct uplink *u, bool add, const struct netdef_forward *f,
		    void (*done)(void *arg, const char *err, int error), void *arg);
pid_t uplink_pid(const struct uplink *u);
/* For `status`: pid, restarts, frames; a new reference. */
json_t *uplink_stats(const struct uplink *u);

/* main() of the worker; argv as uplink_open gave it. */
int nat_main(int argc, char **argv);

#endif
