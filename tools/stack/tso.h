/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Transmit coalescer: TCP segments of one flow become one packet for the device to cut up.
 *
 * lwIP cuts a stream into segments itself and sends them in a burst, one frame each. Frames that
 * differ from their predecessor only in what segmentation changes (sequence number, IPv4
 * identification, checksums, and PSH or FIN on the last) carry no information in their headers. The
 * coalescer recognises them: the first frame's headers stand for all, payloads follow each other,
 * and the device is told the segment size. The result on the wire is what lwIP meant to send.
 *
 *   tso_classify   what a frame is, by its headers
 *   tso_open       begin with this frame, if it can be the first of several
 *   tso_join       does this frame follow? then only its payload is needed
 *   tso_finish     rewrite the first frame's headers for the whole
 *
 * Pure logic: it sees headers and lengths, never payload, and keeps no memory but its own copy of
 * the first headers. What is refused simply goes out on its own.
 */
#ifndef STACK_TSO_H
#define STACK_TSO_H

#include <stdbool.h>
#include <stdint.h>

#include "common/span.h"

#define TSO_HDR_MAX 114u   /* Ethernet, IPv6, TCP with all its options */
#define TSO_IP_MAX  65535u /* IPv4 total length and IPv6 payload length both end here */

enum tso_kind {
	TSO_OTHER, /* no checksum that a device could finish */
	TSO_UDP,   /* whole UDP packet, IPv4 or IPv6 */
	TSO_TCP4,
	TSO_TCP6,
};

/* What the headers of one frame say. Lengths count from the destination address. */
struct tso_frame {
	enum tso_kind kind;
	uint16_t l4;	  /* where TCP or UDP begins */
	uint16_t hdr_len; /* where the payload begins */
	uint32_t payload; /* bytes of it */
};

/* The packet being put together. */
struct tso {
	uint8_t hdr[TSO_HDR_MAX]; /* of the first frame, as they were */
	struct tso_frame first;
	uint32_t payload;   /* so far */
	uint16_t segments;  /* so far; 0: nothing open */
	uint16_t max;	    /* segments wanted at most */
	uint8_t last_flags; /* PSH and FIN seen */
	bool closed;	    /* nothing may follow */
};

/*
 * hdr: the first bytes of a frame, as many as there are up to TSO_HDR_MAX; frame_len: all of it.
 * Never fails: what is not understood is TSO_OTHER. IP fragments, frames with a VLAN tag, with
 * trailing bytes and with IPv6 extension headers are.
 */
void tso_classify(struct span hdr, uint32_t frame_len, struct tso_frame *out);

/* False, and t is left empty: the frame cannot be the first of several. */
bool tso_open(struct tso *t, struct span hdr, const struct tso_frame *frame, uint16_t max_segments);
/* True: the frame's payload follows what is there. False: t is unchanged. */
bool tso_join(struct tso *t, struct span hdr, const struct tso_frame *frame);
/*
 * Rewrite the first frame's headers, hdr_len bytes at hdr, so that they describe the whole: IP
 * length and header checksum, TCP flags. The TCP checksum is the driver's to write.
 */
void tso_finish(const struct tso *t, uint8_t *hdr);

static inline void tso_reset(struct tso *t)
{
	t->segments = 0;
}

static inline bool tso_is_open(const struct tso *t)
{
	return t->segments != 0;
}

/* More than one segment: needs VIO_NET_TX_GSO. */
static inline bool tso_is_gso(const struct tso *t)
{
	return t->segments > 1;
}

static inline uint16_t tso_mss(const struct tso *t)
{
	return (uint16_t)t->first.payload;
}

#endif
