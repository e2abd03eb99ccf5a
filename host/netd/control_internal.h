/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between the files of the control socket: control.c (connections and lines), control_ops.c (what a
 * request does), control_report.c (what can be seen). docs/protocol.md is the manual.
 */
#ifndef NETD_CONTROL_INTERNAL_H
#define NETD_CONTROL_INTERNAL_H

#include "host/netd/broker.h"

#define CONTROL_PROTOCOL 1
#define CONTROL_LINE_MAX (256u << 10)
#define CONTROL_OUT_MAX	 (8u << 20) /* unread answers and events of one client */
#define CONTROL_CONNS	 1024u

struct conn_capture;
struct conn_ask;

struct conn {
	struct conn *next;
	struct control *control;
	struct broker *broker;
	int fd, passed; /* passed: a descriptor that came with the line, -1: none */
	uv_poll_t poll;
	uv_timer_t watch;
	struct peer peer;
	bool hello, closing, eof, peer_known;
	bool fds_lost; /* more descriptors came than we could take */
	bool busy;     /* an answer is still to come: no further request until then */
	json_t *id;    /* of that request */
	char *in;
	size_t in_len, in_room;
	char *out;
	size_t out_len, out_room;
	struct conn_capture *capture;
	char *watched;	      /* network, or NULL: all */
	struct conn_ask *ask; /* waits for a forward to open */
};

struct control_op {
	const char *name;
	bool fd;     /* exactly one descriptor, else none (G-2) */
	bool manage; /* the daemon's user and root only */
	/* False: f. Fields are added to answer. Sets c->busy if the answer comes later. */
	bool (*run)(struct conn *c, const json_t *request, json_t *answer, struct fault *f);
};

extern const struct control_op control_ops[];

/* The answer to the request that c is busy with; answer is taken, NULL: f tells. */
void control_answer(struct conn *c, json_t *answer, const struct fault *f);
void control_send(struct conn *c, const json_t *message);
/* What a connection has that is not its own bookkeeping: members, doors, captures. */
void control_ops_end(struct conn *c);

/* control_capture.c */
bool control_capture(struct conn *c, const json_t *request, json_t *answer, struct fault *f);
void control_capture_end(struct conn *c);
void control_capture_network_down(struct network *n, struct conn *c);

json_t *control_list(struct broker *b);
json_t *control_status(struct broker *b, const char *network, json_t *answer);
json_t *control_leases(struct broker *b, const char *network);
json_t *control_forwards(struct broker *b, const char *network);

#endif
