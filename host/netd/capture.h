/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Captures: frames to a descriptor as pcapng, which Wireshark, tshark and tcpdump read.
 *
 * One Section Header, an Interface Description for each member (if_name is its name; more may come
 * while it runs), an Enhanced Packet Block for each frame with its direction (inbound: what the
 * member received), and at the end an Interface Statistics Block for each with what was dropped.
 * A reader that is slow costs frames of the capture, counted, and never holds up the daemon: blocks
 * wait in a bounded buffer and go out when the descriptor takes them.
 */
#ifndef NETD_CAPTURE_H
#define NETD_CAPTURE_H

#include <uv.h>

#include "host/netd/frame.h"

#define CAPTURE_BUFFER	   (4u << 20)
#define CAPTURE_INTERFACES 256u

struct capture;

/*
 * fd is owned from now on, also on failure. count 0: no limit. ended is called once, from the loop:
 * a write failed (why), or count was reached (NULL); capture_close is then the owner's to call.
 * NULL: errno.
 */
struct capture *capture_open(uv_loop_t *loop, int fd, uint64_t count,
			     void (*ended)(void *ctx, const char *why), void *ctx);
/* An interface of that name, made if there is none: its number, or -1 if there are too many. */
int capture_interface(struct capture *c, const char *name);
/* from_member: it sent the frame; else it is about to get it. */
void capture_frame(struct capture *c, int interface, bool from_member, const struct frame *f);
uint64_t capture_frames(const struct capture *c);
/*
 * What waits and the statistics still go out, for two seconds at most, while the loop goes on; then
 * it is freed and the descriptor closed. No callback any more.
 */
void capture_close(struct capture *c);

#endif
