/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "host/netd/uplink_int.h"

_Static_assert(LANE_FRAME_MAX <= FRAME_STREAM_MAX, "what a lane carries has room here");

/* A frame of the worker's is copied before anything looks at it: the worker could change it. */
bool uplink_frames_read(struct uplink *u)
{
	struct lane *lane = &u->life->in;
	struct frame batch[UPLINK_BATCH];
	const uint8_t *from;
	uint32_t len, at = 0;
	size_t n = 0;

	while (n < UPLINK_BATCH && UPLINK_IN - at >= FRAME_PREFIX + FRAME_STREAM_MAX &&
	       (from = lane_next(lane, &len))) {
		uint8_t *to = u->in + at + FRAME_PREFIX;

		memcpy(to, from, len);
		batch[n++] = (struct frame){to, len};
		u->rx_frames++;
		u->rx_bytes += len;
		at += FRAME_PREFIX + len;
	}
	lane_release(lane);
	if (lane->broken) {
		uplink_lost(u, "the NAT worker sent a frame that cannot be");
		return false;
	}
	if (n)
		u->params.input(u->params.ctx, batch, n);
	return n;
}

void uplink_send(struct uplink *u, const struct frame *f)
{
	uint8_t *to = u->life && !u->life->ended ? lane_room(&u->life->out, f->len) : NULL;

	if (!to) {
		u->tx_dropped++;
		return;
	}
	memcpy(to, f->data, f->len);
	u->tx_frames++;
	u->tx_bytes += f->len;
}

void uplink_flush(struct uplink *u)
{
	if (u->life && !u->life->ended)
		lane_tell(&u->life->out);
}
