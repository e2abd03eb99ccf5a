/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Polled mode, for a debugger in a stopped kernel.
 *
 * The rest of the kernel is frozen, perhaps in the middle of anything: no upcall may run, nothing
 * may be allocated, no interrupt comes. So frames are copied, to and from memory of our own;
 * packets of the port that complete meanwhile stay on a list until the kernel runs again
 * (net_tx_pop_deferred); receive buffers go back to the device at once. Every wait has a deadline
 * in time and, should the clock stand still, in turns (H-15).
 *
 * The port makes sure that the code that was frozen was not inside this driver (on macOS: the
 * family's debugger lock).
 */
#include "guest/drivers/net_priv.h"

#define POLL_US 2u

/* A deadline that cannot be missed. */
struct net_wait {
	uint64_t start;
	uint32_t limit_us;
	uint32_t turns;
};

static struct net_wait wait_begin(const struct vio_net *net, uint32_t timeout_us)
{
	return (struct net_wait){net_now(net), timeout_us, timeout_us / POLL_US + 1};
}

/* False: time is up. */
static bool wait_more(const struct vio_net *net, struct net_wait *w)
{
	if (w->turns == 0 || net_now(net) - w->start >= w->limit_us)
		return false;
	w->turns--;
	net->os->ops->delay_us(net->os->ctx, POLL_US);
	return true;
}

int net_polled_create(struct vio_net *net)
{
	return net->os->ops->dma_alloc(net->os->ctx, (size_t)NET_POLLED * NET_POLLED_MAX, 64, 64,
				       &net->polled_mem);
}

void net_polled_free(struct vio_net *net)
{
	if (net->polled_mem.va && !net->dev.unsafe)
		net->os->ops->dma_free(net->os->ctx, &net->polled_mem);
}

static struct net_tx_slot *polled_slot(struct vio_net *net, unsigned *index)
{
	uint16_t n = vio_ring_size(net->tx);

	for (unsigned i = 0; i < NET_POLLED; i++) {
		if (!net->tx_slots[n + i].busy) {
			*index = i;
			return &net->tx_slots[n + i];
		}
	}
	return NULL;
}

int vio_net_polled_send(struct vio_net *net, const void *frame, size_t len, uint32_t timeout_us)
{
	struct net_wait wait = wait_begin(net, timeout_us);
	struct net_tx_slot *slot;
	struct seg segs[2];
	struct vio_part part = {.segs = segs, .n = net->any_layout ? 1 : 2};
	uint8_t *mem;
	unsigned i;

	if (len < ETH_HLEN || len > NET_POLLED_MAX - VIRTIO_NET_HDR_LEN)
		return VIO_EINVAL;
	if (!net->running)
		return VIO_ENODEV;
	for (;;) {
		net_tx_pop_deferred(net);
		if (vio_ring_broken(net->tx))
			return VIO_EBROKEN;
		slot = polled_slot(net, &i);
		if (slot && vio_ring_fits(net->tx, part.n))
			break;
		vio_ring_kick(net->tx); /* what the frozen kernel had queued */
		if (!wait_more(net, &wait))
			return VIO_ETIMEDOUT;
	}
	mem = (uint8_t *)net->polled_mem.va + (size_t)i * NET_POLLED_MAX;
	__builtin_memset(mem, 0, net->hdr_len);
	__builtin_memcpy(mem + net->hdr_len, frame, len);
	segs[0] = (struct seg){
		.ptr = mem,
		.addr = net->polled_mem.da + (uint64_t)i * NET_POLLED_MAX,
		.len = net->hdr_len,
	};
	segs[1] = (struct seg){.ptr = mem + net->hdr_len,
			       .addr = segs[0].addr + net->hdr_len,
			       .len = (uint32_t)len};
	if (net->any_layout)
		segs[0].len += segs[1].len; /* they lie together */
	if (vio_ring_add(net->tx, &part, 1, slot) != VIO_OK)
		return VIO_EBROKEN;
	slot->busy = true;
	vio_ring_kick(net->tx);
	net->stats.polled_tx++;
	return VIO_OK;
}

/* Copies one part of a packet behind what is in buf already; false: it does not fit. */
static bool polled_copy(const struct net_rx_slot *slot, const struct vio_net_rx_part *part,
			uint8_t *buf, size_t size, size_t at)
{
	return span_fits(size, at, part->len) &&
	       seg_read(slot->segs, slot->nsegs, part->off, buf + at, part->len);
}

/* Finish a checksum that was left to us, in the copy. */
static bool polled_finish(const struct vio_net_offload *o, uint8_t *buf, size_t len)
{
	struct seg seg = {.ptr = buf, .len = (uint32_t)len};

	return o->gso_type == VIRTIO_NET_HDR_GSO_NONE &&
	       (!(o->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) ||
		((uint32_t)o->csum_start + o->csum_offset + 2 <= len &&
		 vio_net_offload_finish(&seg, 1, o) == VIO_OK));
}

int vio_net_polled_recv(struct vio_net *net, void *buf, size_t size, size_t *len,
			uint32_t timeout_us)
{
	struct net_wait wait = wait_begin(net, timeout_us);
	struct net_assembly *a = &net->asm_;
	struct vio_used used;

	*len = 0;
	if (!net->running)
		return VIO_ENODEV;
	/* A packet half collected by the frozen kernel: its buffers go back, its rest is dropped.
	 */
	for (unsigned i = 0; i < a->seen; i++) {
		if (a->slots[i])
			net_rx_post(net, a->slots[i]);
		a->slots[i] = NULL;
		a->bad = true;
	}
	for (;;) {
		struct net_rx_slot *slot;
		unsigned part = a->seen;
		size_t at = a->want ? a->len : 0;
		enum net_rx_step step;
		int got = vio_ring_pop(net->rx, &used);

		if (got < 0)
			return VIO_EBROKEN;
		if (got == 0) {
			vio_ring_kick(net->rx); /* buffers given back above */
			if (!wait_more(net, &wait)) {
				/* Half a packet may be in buf: whoever goes on from here drops it.
				 */
				a->bad = true;
				return VIO_ETIMEDOUT;
			}
			continue;
		}
		slot = used.token;
		if (a->want == 0)
			part = 0, at = 0;
		step = net_rx_take(net, slot, used.len);
		if (!a->bad && !polled_copy(slot, &a->parts[part], buf, size, at))
			a->bad = true;
		a->slots[part] = NULL;
		net_rx_post(net, slot);
		if (step != NET_RX_DONE)
			continue;

		a->want = a->seen = 0;
		vio_ring_kick(net->rx);
		if (a->bad || a->len < ETH_HLEN || !polled_finish(&a->offload, buf, a->len)) {
			net->stats.rx.dropped++;
			/* Not ours, but time passes: a flood of bad frames must end too. */
			if (!wait_more(net, &wait))
				return VIO_ETIMEDOUT;
			continue;
		}
		*len = a->len;
		net->stats.polled_rx++;
		return VIO_OK;
	}
}
