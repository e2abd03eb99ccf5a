/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of the NAT worker, put together: frames in at one end, libslirp at the other. No
 * processes, no control messages (nat_main.c).
 */
#ifndef NAT_WORKER_H
#define NAT_WORKER_H

#include "host/nat/frag.h"
#include "host/nat/merge.h"
#include "host/nat/out.h"
#include "host/nat/relay.h"
#include "host/nat/slirp.h"
#include "host/nat/tcp.h"

#define WORKER_BATCHES 4u /* in a row before the host's sockets have their turn */
#define WORKER_BATCH   (256u << 10)
/* So much on its way to the daemon: the host's sockets are left alone. */
#define WORKER_HIGH (1u << 20)

struct worker {
	struct nat_config config;
	struct nat_stats stats;
	struct lane *from_daemon, *to_daemon;
	struct filter filter;
	struct frag frag;
	struct merge merge;
	struct out out;
	struct tcp tcp;
	struct relay relay;
	struct slirp_nat *slirp;
	bool kick;
	unsigned fds_max;
	int64_t ticked;
};

/* False: err has one line. config is copied; the lanes stay the caller's. */
bool worker_open(struct worker *w, const struct nat_config *config, struct lane *from_daemon,
		 struct lane *to_daemon, unsigned fds_max, char *err, size_t err_len);
void worker_close(struct worker *w);
/* One frame of the daemon's; its memory must stay until worker_end. */
void worker_frame(struct worker *w, uint8_t *frame, uint32_t len);
/* The batch is over. */
void worker_end(struct worker *w);
/* What is there to read, a few batches at most. False: the daemon broke the lane. */
bool worker_read(struct worker *w);
/* Time passes. */
void worker_tick(struct worker *w);

#endif
