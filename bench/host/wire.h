/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A stand-in VM's end of its network wire, as a VMM has one.
 *
 *   fd:N       a descriptor that was handed over, a stream socket or a packet one
 *   unix:PATH  a stream socket to connect to (passt, vmnet attach)
 *   vde:DIR    a port of a vde_switch, as QEMU's -netdev vde opens one
 *   bess:PATH  a packet socket to connect to (slirp4netns --target-type=bess)
 *
 * A stream carries frames behind a big-endian length of four bytes, a packet socket one frame a
 * packet. Frames to send are put one behind the other, each behind its length, into the wire's
 * buffer: a stream takes all of them with one write. Reading takes as much as there is.
 */
#ifndef BENCH_HOST_WIRE_H
#define BENCH_HOST_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_PREFIX 4u
#define WIRE_FRAME  65550u /* the longest that is sent or taken */
#define WIRE_BUFFER (256u * 1024)

struct wire {
	int fd, keep; /* keep: a control connection that holds the place; -1 */
	bool packets;
	char *path; /* to remove at the end; NULL */
	uint8_t *rx, *tx;
	size_t rx_len;
	size_t tx_len, tx_off; /* what is to be sent: tx + tx_off .. tx + tx_len */
};

typedef void wire_frame(void *ctx, uint8_t *data, size_t len);

/* One line to stderr and exit 1 if it cannot be opened. */
void wire_open(struct wire *w, const char *spec);
void wire_close(struct wire *w);

/* Where the next frame's data goes; NULL: no room, flush first. */
uint8_t *wire_room(struct wire *w);
/* The frame of that many bytes is there. */
void wire_add(struct wire *w, size_t len);
/* True when nothing is left to send, false when the peer has no room now. Exits 0 if it is gone. */
bool wire_flush(struct wire *w);
/* What there is now, at most about a buffer; returns the number of frames. Exits 0 at the end. */
size_t wire_read(struct wire *w, wire_frame *frame, void *ctx);

__attribute__((noreturn, format(printf, 1, 2))) void standin_fail(const char *fmt, ...);

#endif
