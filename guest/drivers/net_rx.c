/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Receive.
 *
 * The ring is kept full of the port's empty buffers. A completed buffer is the start of a packet,
 * with the device's header in front, or the continuation of one whose header announced several
 * buffers. Parts are collected in an assembly and handed up when the packet is complete, as the
 * buffers they lie in: nothing is copied.
 *
 * What the device claims is checked when the first buffer comes (H-6, H-7) and when the last has
 * come (H-8). A packet that fails is dropped and counted, and its buffers go straight back to the
 * device. A number of buffers that cannot be is different: it leaves no way to tell where the next
 * packet begins, so the queue is broken.
 */
#include "guest/drivers/net_priv.h"

#define RX_BUF_MAX   0x100000u /* no sane port gives more */
#define RX_HEAD_SEGS 8u	       /* segments of the first buffer looked at for packet headers */

int net_rx_create(struct vio_net *net)
{
	const struct vio_os *os = net->os;
	uint16_t n = vio_ring_size(net->rx);
	unsigned per = net->params.rx_max_segs;

	net->rx_slots_bytes = sizeof(*net->rx_slots) * n;
	net->rx_segs_bytes = sizeof(*net->rx_segs) * n * per;
	net->rx_slots = os->ops->alloc(os->ctx, net->rx_slots_bytes);
	net->rx_segs = os->ops->alloc(os->ctx, net->rx_segs_bytes);
	if (!net->rx_slots || !net->rx_segs)
		return VIO_ENOMEM;
	for (unsigned i = 0; i < n; i++)
		net->rx_slots[i].segs = &net->rx_segs[(size_t)i * per];
	net_rx_reset(net, VIO_OK);
	if (net->rx_inline)
		return VIO_OK;
	return os->ops->dma_alloc(os->ctx, (size_t)NET_RX_HEAD * n, 64, 64, &net->rx_heads);
}

void net_rx_free(struct vio_net *net)
{
	const struct vio_os *os = net->os;

	if (net->rx_heads.va && !net->dev.unsafe)
		os->ops->dma_free(os->ctx, &net->rx_heads);
	if (net->rx_segs)
		os->ops->free(os->ctx, net->rx_segs, net->rx_segs_bytes);
	if (net->rx_slots)
		os->ops->free(os->ctx, net->rx_slots, net->rx_slots_bytes);
}

static void rx_slot_free(struct vio_net *net, struct net_rx_slot *slot)
{
	slot->cookie = NULL;
	slot->next = net->rx_free;
	net->rx_free = slot;
}

void net_rx_reset(struct vio_net *net, int status)
{
	net->asm_.want = net->asm_.seen = 0;
	net->rx_free = NULL;
	for (unsigned i = vio_ring_size(net->rx); i-- > 0;) {
		struct net_rx_slot *slot = &net->rx_slots[i];
		void *cookie = slot->cookie;

		rx_slot_free(net, slot);
		if (cookie)
			net->up->rx_return(net->port, cookie, status);
	}
}

/* Where the device writes this slot's header. */
static uint8_t *rx_header(const struct vio_net *net, const struct net_rx_slot *slot)
{
	if (net->rx_inline)
		return slot->segs[0].ptr;
	return (uint8_t *)net->rx_heads.va + (size_t)(slot - net->rx_slots) * NET_RX_HEAD;
}

static int rx_add(struct vio_net *net, struct net_rx_slot *slot)
{
	struct vio_part data = {.segs = slot->segs, .n = slot->nsegs, .in = true};
	size_t off = (size_t)(slot - net->rx_slots) * NET_RX_HEAD;
	struct seg head = {.addr = net->rx_heads.da + off, .len = net->hdr_len};
	struct vio_part apart[2] = {{.segs = &head, .n = 1, .in = true}, data};

	if (net->rx_inline)
		return vio_ring_add(net->rx, &data, 1, slot);
	return vio_ring_add(net->rx, apart, 2, slot);
}

void net_rx_post(struct vio_net *net, struct net_rx_slot *slot)
{
	/* There is room: its descriptors were just freed. Broken: reset finds it by its cookie. */
	int err = rx_add(net, slot);

	if (err == VIO_EINVAL || err == VIO_EAGAIN)
		vio_ring_break(net->rx, "receive ring lost a place");
}

/* Most descriptors a buffer takes. */
static unsigned rx_descs(const struct vio_net *net)
{
	return net->params.rx_max_segs + (net->rx_inline ? 0u : 1u);
}

unsigned vio_net_rx_fill(struct vio_net *net)
{
	unsigned given = 0;

	if (!net->running || vio_ring_broken(net->rx))
		return 0;
	while (net->rx_free && vio_ring_fits(net->rx, rx_descs(net))) {
		struct net_rx_slot *slot = net->rx_free;
		struct vio_net_rxbuf buf = {.segs = slot->segs,
					    .max_segs = net->params.rx_max_segs,
					    .min_len = net->rx_buf_len};
		size_t len;

		if (!net->up->rx_buffer(net->port, &buf)) {
			net->stats.rx.full++;
			break;
		}
		net->rx_free = slot->next;
		slot->cookie = buf.cookie;
		slot->nsegs = (uint16_t)buf.nsegs;
		len = seg_total(buf.segs, buf.nsegs);
		if (len > RX_BUF_MAX || len < net->rx_buf_len || buf.segs[0].len < net->hdr_len ||
		    rx_add(net, slot) != VIO_OK) {
			/* The port's mistake: its buffer is not what was asked for. */
			net->stats.rx.errors++;
			rx_slot_free(net, slot);
			net->up->rx_return(net->port, buf.cookie, VIO_OK);
			break;
		}
		given++;
	}
	vio_ring_kick(net->rx);
	return given;
}

void net_rx_drop(struct vio_net *net)
{
	struct net_assembly *a = &net->asm_;

	for (unsigned i = 0; i < a->seen; i++) {
		if (a->slots[i])
			net_rx_post(net, a->slots[i]);
	}
	a->want = a->seen = 0;
}

/* The first bytes of a packet, in one piece, as they lie in its first buffer. */
static struct span rx_head(const struct net_rx_slot *slot, uint32_t off, uint32_t len,
			   uint8_t *copy, size_t size)
{
	unsigned nsegs = slot->nsegs < RX_HEAD_SEGS ? slot->nsegs : RX_HEAD_SEGS;
	size_t have;

	if (off < slot->segs[0].len && slot->segs[0].len - off >= len)
		return span_of(slot->segs[0].ptr + off, len);
	have = seg_total(slot->segs, nsegs);
	have = have > off ? have - off : 0;
	if (have > len)
		have = len;
	if (have > size)
		have = size;
	if (!seg_read(slot->segs, nsegs, off, copy, have))
		have = 0;
	return span_of(copy, have);
}

/* A packet begins. hdr is our copy: the device may write its own again (H-2). */
static void rx_begin(struct vio_net *net, struct net_rx_slot *slot, uint32_t len,
		     struct virtio_net_hdr *hdr)
{
	struct net_assembly *a = &net->asm_;

	a->want = 1;
	a->seen = 0;
	a->len = 0;
	a->bad = len < net->hdr_len; /* H-6 */
	*hdr = (struct virtio_net_hdr){0};
	if (a->bad)
		return;
	__builtin_memcpy(hdr, rx_header(net, slot), net->hdr_len);
	if (!net_has(net, VIRTIO_NET_F_MRG_RXBUF))
		return;
	a->want = net_get16(net, hdr->num_buffers);
	if (a->want == 0 || a->want > net->merge_max) { /* H-7 */
		a->want = 1;
		a->bad = true;
		vio_ring_break(net->rx, "impossible number of buffers in a packet");
	}
}

enum net_rx_step net_rx_take(struct vio_net *net, struct net_rx_slot *slot, uint32_t len)
{
	struct net_assembly *a = &net->asm_;
	uint32_t off = 0;

	net->stats.rx.buffers++;
	if (a->want == 0) {
		struct virtio_net_hdr hdr;
		uint8_t copy[192];
		uint32_t first;

		rx_begin(net, slot, len, &hdr);
		off = net->rx_inline ? net->hdr_len : 0;
		first = a->bad ? 0 : len - net->hdr_len;
		/*
		 * Judged by what is here already. For a packet of one buffer, that is all of it; a
		 * longer one has its headers in the first buffer, and its checksum and length are
		 * looked at again when it is complete.
		 */
		if (!a->bad) {
			struct span head = rx_head(slot, off, first, copy, sizeof(copy));
			uint32_t frame = a->want == 1 ? first : VIO_NET_PACKET_MAX;

			a->bad = !net_offload_check_rx(net, &hdr, head, frame, &a->offload);
		}
		a->parts[0] = (struct vio_net_rx_part){slot->cookie, off, first};
		a->len = first;
	} else {
		/* H-7: the sum is capped; len is at most the buffer's (H-5), so no wrap. */
		if (len > VIO_NET_PACKET_MAX - a->len)
			a->bad = true;
		else
			a->len += len;
		a->parts[a->seen] = (struct vio_net_rx_part){slot->cookie, 0, len};
	}
	if (a->len > VIO_NET_PACKET_MAX)
		a->bad = true;
	a->slots[a->seen++] = slot;
	return a->seen == a->want ? NET_RX_DONE : NET_RX_PART;
}

/* What can only be said of a complete packet. */
static bool rx_complete_good(const struct net_assembly *a)
{
	const struct vio_net_offload *o = &a->offload;

	if (a->bad || a->len < ETH_HLEN)
		return false;
	if (o->gso_type != VIRTIO_NET_HDR_GSO_NONE && o->hdr_len >= a->len)
		return false;
	/* csum_start + csum_offset + 2 <= len; both were small enough to be added (H-8). */
	return !(o->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) ||
	       (uint32_t)o->csum_start + o->csum_offset + 2 <= a->len;
}

static void rx_deliver(struct vio_net *net)
{
	struct net_assembly *a = &net->asm_;
	struct vio_net_queue_stats *stats = &net->stats.rx;
	struct vio_net_rx packet = {
		.parts = a->parts, .nparts = a->seen, .len = a->len, .offload = a->offload};

	if (!rx_complete_good(a)) {
		stats->dropped++;
		net_rx_drop(net);
		return;
	}
	stats->packets++;
	stats->bytes += a->len;
	stats->merged += a->seen > 1;
	stats->gso += a->offload.gso_type != VIRTIO_NET_HDR_GSO_NONE;
	stats->csum += (a->offload.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0;
	for (unsigned i = 0; i < a->seen; i++)
		rx_slot_free(net, a->slots[i]);
	a->want = a->seen = 0;
	net->up->rx_packet(net->port, &packet);
}

unsigned vio_net_rx_poll(struct vio_net *net, unsigned budget)
{
	unsigned packets = 0, buffers = 0;
	struct vio_used used;

	/* Parts of a packet count too, so that no device keeps us here (H-15). */
	while (net->running && packets < budget && buffers < 2 * budget + VIO_NET_MERGE_MAX) {
		if (vio_ring_pop(net->rx, &used) != 1)
			break;
		buffers++;
		if (net_rx_take(net, used.token, used.len) == NET_RX_DONE) {
			rx_deliver(net);
			packets++;
		}
	}
	if (buffers)
		vio_net_rx_fill(net);
	if (net->running)
		net_check_broken(net);
	return packets;
}

bool vio_net_rx_arm(struct vio_net *net)
{
	return net->running && vio_ring_irq_on(net->rx);
}

unsigned vio_net_rx_posted(const struct vio_net *net)
{
	return net->running ? vio_ring_in_flight(net->rx) : 0;
}
