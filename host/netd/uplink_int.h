/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared by the three files of the NAT uplink: uplink_nat.c (life and control), uplink_frames.c
 * (frames), uplink_ops.c (forwards that are open or asked for).
 */
#ifndef NETD_UPLINK_INT_H
#define NETD_UPLINK_INT_H

#include "host/lane/lane.h"
#include "host/netd/uplink.h"

#define UPLINK_IN    (256u << 10)
#define UPLINK_BATCH 256u

struct life {
	struct uplink *u;
	uv_process_t process;
	uv_poll_t bell, control;
	int bell_fd, worker_fd, control_fd; /* our bell, the worker's, commands */
	struct lane in, out;
	unsigned handles; /* not closed yet */
	bool ended, exited;
	uint64_t born;
};

struct uplink_op {
	struct uplink_op *next;
	uint64_t id;
	bool add, sent;
	bool again; /* not asked for by anybody: an open forward, for a new worker */
	struct netdef_forward f;
	void (*done)(void *arg, const char *err, int error);
	void *arg;
};

struct uplink_open {
	struct uplink_open *next;
	struct netdef_forward f;
};

struct uplink {
	struct uplink_params params;
	unsigned refs;
	bool closing, ready;
	struct life *life;
	uv_timer_t restart, stats;
	unsigned quick, starts, restarts;
	int spawn_error;
	char library[32];
	json_t *warnings, *counted;

	struct uplink_op *ops;
	struct uplink_open *open;
	uint64_t last_id;

	uint8_t *in; /* UPLINK_IN bytes: frames of one batch */
	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes, tx_dropped;
};

/* uplink_nat.c */
void uplink_put(struct uplink *u);
void uplink_lost(struct uplink *u, const char *why);

/* uplink_frames.c */
/* One batch, if there is a life. False: nothing more now. */
bool uplink_frames_read(struct uplink *u);

/* uplink_ops.c */
void uplink_op_new(struct uplink *u, bool add, const struct netdef_forward *f,
		   void (*done)(void *arg, const char *err, int error), void *arg);
void uplink_op_answer(struct uplink *u, uint64_t id, bool ok, const char *err, int error);
void uplink_ops_fail(struct uplink *u, const char *err, int error);
void uplink_ops_unsend(struct uplink *u);
/* A new worker: what was open is to be opened again, before all else. */
void uplink_ops_again(struct uplink *u);
void uplink_ops_free(struct uplink *u);

#endif
