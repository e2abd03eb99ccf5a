/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Segments of one TCP flow that came in one batch go to libslirp as one.
 *
 * Theory of operation. What libslirp costs, it costs by the packet: lists are walked, a system call
 * writes to the host's socket, an acknowledgement is sent. So segments that continue each other
 * are joined, as a network card's receive offload would do: the data are copied together, the
 * header is the first one's with the last one's acknowledgement and window. Only plain ones: no
 * options (libslirp negotiates none), no flags but ACK and PSH. Acknowledgements without data that
 * say more than the one before take its place; equal ones stay, since libslirp counts them.
 *
 * The checksum of the whole follows from those of the parts, without reading the data: if one of
 * them was wrong, the whole is, and libslirp throws it away.
 *
 * Nothing is held longer than a batch: merge_flush ends it. Within a flow the order is kept.
 */
#ifndef NAT_MERGE_H
#define NAT_MERGE_H

#include "host/nat/nat.h"

#define MERGE_FLOWS 8u

struct merge {
	void (*emit)(void *ctx, uint8_t *frame, uint32_t len);
	void *ctx;
	struct nat_stats *stats;
	uint32_t max4, max6; /* length of an IP packet */
	bool off;
	struct merge_flow {
		bool used;
		unsigned parts;
		struct packet p; /* in the caller's memory as long as there is one part */
		uint32_t next;	 /* sequence number that would continue it */
		uint32_t sum;	 /* of the payload, unfolded */
		uint8_t *buf;
	} flow[MERGE_FLOWS];
	unsigned victim;
	uint8_t *memory;
};

bool merge_open(struct merge *m);
void merge_close(struct merge *m);
/* A packet that has passed the filter; its memory must stay until merge_flush. */
void merge_add(struct merge *m, const struct packet *p);
void merge_flush(struct merge *m);

#endif
