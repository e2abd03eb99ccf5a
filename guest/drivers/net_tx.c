/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Transmit.
 *
 * A packet goes out as the virtio header followed by the port's own segments. The header lies in
 * memory of the slot, or in the packet's headroom where the port allows that and the device takes
 * header and data in one descriptor (one descriptor fewer, and the device reads one line fewer).
 * A VLAN tag is inserted without moving the packet: the slot also holds the addresses and the tag,
 * and the packet's segments begin behind its addresses.
 *
 * Completions are collected when room gets short, at tick, and when the port waits for room: then
 * one interrupt is asked for when 3/4 of what is in flight is done. No wake-up is lost, because
 * arming looks at the ring once more (ring_split.c).
 */
#include "guest/drivers/net_priv.h"

#define TX_RECLAIM_BATCH 64u
#define TX_PARTS_EXTRA	 2u /* segments a packet may need besides its own: header, split Ethernet */

static void tx_slot_free(struct vio_net *net, struct net_tx_slot *slot)
{
	slot->cookie = NULL;
	slot->busy = false;
	if (slot->polled)
		return;
	slot->next = net->tx_free;
	net->tx_free = slot;
}

int net_tx_create(struct vio_net *net)
{
	const struct vio_os *os = net->os;
	uint16_t n = vio_ring_size(net->tx);

	net->tx_slots_bytes = sizeof(*net->tx_slots) * (n + NET_POLLED);
	net->tx_slots = os->ops->alloc(os->ctx, net->tx_slots_bytes);
	if (!net->tx_slots)
		return VIO_ENOMEM;
	for (unsigned i = 0; i < NET_POLLED; i++)
		net->tx_slots[n + i].polled = true;
	net_tx_reset(net, VIO_OK);
	return os->ops->dma_alloc(os->ctx, (size_t)NET_TX_HEAD * n, 64, 64, &net->tx_heads);
}

void net_tx_free(struct vio_net *net)
{
	const struct vio_os *os = net->os;

	if (net->tx_heads.va && !net->dev.unsafe)
		os->ops->dma_free(os->ctx, &net->tx_heads);
	if (net->tx_slots)
		os->ops->free(os->ctx, net->tx_slots, net->tx_slots_bytes);
}

void net_tx_reset(struct vio_net *net, int status)
{
	uint16_t n = vio_ring_size(net->tx);

	/* Unhook everything first: tx_done may look at the driver. */
	net->tx_deferred = NULL;
	net->tx_waiting = false;
	net->tx_free = NULL;
	for (unsigned i = n + NET_POLLED; i-- > 0;) {
		struct net_tx_slot *slot = &net->tx_slots[i];
		void *cookie = slot->cookie;

		tx_slot_free(net, slot);
		if (cookie)
			net->up->tx_done(net->port, cookie, status);
	}
}

/* The slot's header memory, seen from both sides. */
static struct seg tx_head(const struct vio_net *net, const struct net_tx_slot *slot)
{
	size_t off = (size_t)(slot - net->tx_slots) * NET_TX_HEAD;

	return (struct seg){
		.ptr = (uint8_t *)net->tx_heads.va + off,
		.addr = net->tx_heads.da + off,
		.len = net->hdr_len,
	};
}

static void tx_write_header(const struct vio_net *net, uint8_t *at, const struct vio_net_offload *o)
{
	struct virtio_net_hdr hdr = {
		.flags = o->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = o->gso_type,
	}; /* the rest 0: nothing stale leaves (H-16), num_buffers too (NT-2) */

	if (hdr.flags) {
		hdr.csum_start = net_put16(net, o->csum_start);
		hdr.csum_offset = net_put16(net, o->csum_offset);
	}
	if (hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE) {
		hdr.gso_type |= (uint8_t)(o->ecn ? VIRTIO_NET_HDR_GSO_ECN : 0); /* NT-10 */
		hdr.gso_size = net_put16(net, o->gso_size);
		hdr.hdr_len = net_put16(net, o->hdr_len); /* NT-27, NT-28 */
	}
	/* NT-1; constant lengths, which compilers turn into two stores. */
	if (net->hdr_len == VIRTIO_NET_HDR_LEN)
		__builtin_memcpy(at, &hdr, VIRTIO_NET_HDR_LEN);
	else
		__builtin_memcpy(at, &hdr, VIRTIO_NET_HDR_LEN_LEGACY);
}

/* The offload descriptor of a packet, its checksum fields prepared. */
static int tx_offload(const struct vio_net *net, const struct vio_net_tx *p, uint32_t len,
		      struct vio_net_offload *o)
{
	unsigned want = VIO_NET_TX_CSUM | VIO_NET_TX_IPCSUM | VIO_NET_TX_GSO;
	int err = VIO_OK;

	if (p->flags & VIO_NET_TX_OFFLOAD)
		*o = p->offload;
	else if (p->flags & want)
		err = vio_net_offload_parse(p->segs, p->nsegs, p->flags, p->mss, o);
	else
		return VIO_OK;
	if (!err)
		err = net_offload_check_tx(net, o, len);
	if (err || !o->flags || net_has(net, VIRTIO_NET_F_CSUM))
		return err;
	/* NT-3, NT-4: the device cannot, so we do. GSO never gets here: it needs CSUM. */
	err = vio_net_offload_finish(p->segs, p->nsegs, o);
	*o = (struct vio_net_offload){0};
	return err;
}

/*
 * The parts of a packet with a VLAN tag: slot memory with virtio header, addresses and tag, then
 * what follows the addresses. `split` is where the first of these begins in the middle of a
 * segment.
 */
static unsigned tx_vlan_parts(const struct vio_net *net, const struct vio_net_tx *p,
			      struct seg head[2], struct seg *split, struct vio_part parts[3])
{
	uint8_t *eth = head[0].ptr + net->hdr_len;
	uint32_t skip = NET_TX_ETH;
	unsigned i = 0;

	/* Legacy wants the header by itself; contiguous memory can be two segments. */
	head[1] = (struct seg){
		.ptr = eth,
		.addr = head[0].addr + net->hdr_len,
		.len = NET_TX_ETH + ETH_VLAN_LEN,
	};
	if (net->any_layout) {
		head[0].len += head[1].len;
		head[1].len = 0;
	}
	if (!seg_read(p->segs, p->nsegs, 0, eth, NET_TX_ETH))
		return 0;
	eth[NET_TX_ETH] = ETH_TYPE_VLAN >> 8;
	eth[NET_TX_ETH + 1] = ETH_TYPE_VLAN & 0xff;
	eth[NET_TX_ETH + 2] = (uint8_t)(p->vlan_tci >> 8);
	eth[NET_TX_ETH + 3] = (uint8_t)p->vlan_tci;

	while (skip >= p->segs[i].len) /* ends: seg_read found more than skip bytes */
		skip -= p->segs[i++].len;
	*split = (struct seg){
		.ptr = p->segs[i].ptr + skip,
		.addr = p->segs[i].addr + skip,
		.len = p->segs[i].len - skip,
	};
	parts[0] = (struct vio_part){.segs = head, .n = 2};
	parts[1] = (struct vio_part){.segs = split, .n = 1};
	parts[2] = (struct vio_part){.segs = p->segs + i + 1, .n = p->nsegs - i - 1};
	return 3;
}

/* Describe the packet to the ring. */
static int tx_add(struct vio_net *net, const struct vio_net_tx *p, struct vio_net_offload *o,
		  struct net_tx_slot *slot)
{
	struct seg head[2], split;
	struct vio_part parts[3];
	unsigned n = 2;

	head[0] = tx_head(net, slot);
	head[1] = (struct seg){0};
	if (p->flags & VIO_NET_TX_VLAN) {
		n = tx_vlan_parts(net, p, head, &split, parts);
		if (n == 0)
			return VIO_EINVAL;
		if (o->flags)
			o->csum_start = (uint16_t)(o->csum_start + ETH_VLAN_LEN);
		if (o->gso_type != VIRTIO_NET_HDR_GSO_NONE)
			o->hdr_len = (uint16_t)(o->hdr_len + ETH_VLAN_LEN);
	} else if (net->any_layout && p->headroom >= net->hdr_len && p->segs[0].len) {
		head[0] = (struct seg){
			.ptr = p->segs[0].ptr - net->hdr_len,
			.addr = p->segs[0].addr - net->hdr_len,
			.len = p->segs[0].len + net->hdr_len,
		};
		parts[0] = (struct vio_part){.segs = head, .n = 1};
		parts[1] = (struct vio_part){.segs = p->segs + 1, .n = p->nsegs - 1};
	} else {
		parts[0] = (struct vio_part){.segs = head, .n = 1};
		parts[1] = (struct vio_part){.segs = p->segs, .n = p->nsegs};
	}
	tx_write_header(net, head[0].ptr, o);
	return vio_ring_add(net->tx, parts, n, slot);
}

/* Whether a frame may go out whole: NC-9; a VLAN tag in it does not count. */
static bool tx_fits_mtu(const struct vio_net *net, const struct vio_net_tx *p,
			const struct vio_net_offload *o, uint32_t len)
{
	uint32_t most = (uint32_t)net->mtu + ETH_HLEN;
	uint8_t type[2];

	if (o->gso_type != VIRTIO_NET_HDR_GSO_NONE || len <= most)
		return true;
	return len <= most + ETH_VLAN_LEN && seg_read(p->segs, p->nsegs, ETH_HLEN - 2, type, 2) &&
	       (type[0] << 8 | type[1]) == ETH_TYPE_VLAN;
}

static int tx_prepare(struct vio_net *net, const struct vio_net_tx *p, size_t total,
		      struct vio_net_offload *o)
{
	int err;

	if (total < ETH_HLEN || total > VIO_NET_PACKET_MAX || p->nsegs > net->params.tx_max_segs ||
	    !p->cookie)
		return VIO_EINVAL;
	err = tx_offload(net, p, (uint32_t)total, o);
	if (!err && !tx_fits_mtu(net, p, o, (uint32_t)total))
		err = VIO_EINVAL;
	if (!err && p->flags & VIO_NET_TX_VLAN && o->csum_start > UINT16_MAX - ETH_VLAN_LEN)
		err = VIO_EINVAL;
	return err;
}

int vio_net_send(struct vio_net *net, const struct vio_net_tx *p)
{
	struct vio_net_queue_stats *stats = &net->stats.tx;
	struct vio_net_offload o = {0};
	struct net_tx_slot *slot;
	size_t total;
	int err;

	if (!net->running)
		return VIO_ENODEV;
	if (!vio_net_tx_room(net, p->nsegs)) {
		vio_net_tx_reclaim(net, TX_RECLAIM_BATCH);
		if (!vio_net_tx_room(net, p->nsegs)) {
			stats->full++;
			return vio_ring_broken(net->tx) ? VIO_EBROKEN : VIO_EAGAIN;
		}
	}
	total = seg_total(p->segs, p->nsegs);
	err = tx_prepare(net, p, total, &o);
	if (err) {
		stats->errors++;
		return err;
	}
	slot = net->tx_free;
	err = tx_add(net, p, &o, slot);
	if (err) {
		stats->errors += err == VIO_EINVAL;
		net_check_broken(net);
		return err;
	}
	net->tx_free = slot->next;
	slot->cookie = p->cookie;

	stats->packets++;
	stats->bytes += total;
	stats->csum += o.flags != 0;
	stats->gso += o.gso_type != VIRTIO_NET_HDR_GSO_NONE;
	return VIO_OK;
}

void vio_net_flush(struct vio_net *net)
{
	if (net->running)
		vio_ring_kick(net->tx);
}

/* Pop one completed slot; NULL when there is none. */
static struct net_tx_slot *tx_pop(struct vio_net *net)
{
	struct vio_used used;

	if (vio_ring_pop(net->tx, &used) != 1)
		return NULL;
	net->stats.tx.buffers++;
	return used.token;
}

void net_tx_pop_deferred(struct vio_net *net)
{
	struct net_tx_slot *slot;

	while ((slot = tx_pop(net)) != NULL) { /* bounded by what is in flight (H-3) */
		if (slot->polled) {
			tx_slot_free(net, slot);
			continue;
		}
		slot->next = net->tx_deferred;
		net->tx_deferred = slot;
	}
}

static void tx_done(struct vio_net *net, struct net_tx_slot *slot)
{
	void *cookie = slot->cookie;

	tx_slot_free(net, slot);
	if (cookie)
		net->up->tx_done(net->port, cookie, VIO_OK);
}

unsigned vio_net_tx_reclaim(struct vio_net *net, unsigned budget)
{
	unsigned done = 0;

	if (!net->running)
		return 0;
	for (; done < budget; done++) {
		struct net_tx_slot *slot = net->tx_deferred;

		if (slot)
			net->tx_deferred = slot->next;
		else if (!(slot = tx_pop(net)))
			break;
		tx_done(net, slot);
	}
	if (done && net->tx_waiting) {
		net->tx_waiting = false;
		vio_ring_irq_off(net->tx);
	}
	if (done < budget)
		net_check_broken(net);
	return done;
}

bool vio_net_tx_arm(struct vio_net *net)
{
	if (!net->running)
		return false;
	vio_ring_kick(net->tx); /* what the device has not seen cannot complete */
	net->tx_waiting = true;
	if (!vio_ring_irq_delayed(net->tx))
		return false;
	return vio_net_tx_reclaim(net, TX_RECLAIM_BATCH) > 0;
}

bool vio_net_tx_room(const struct vio_net *net, unsigned nsegs)
{
	unsigned n = nsegs + TX_PARTS_EXTRA;

	if (n > vio_ring_size(net->tx))
		n = vio_ring_size(net->tx);
	return net->running && net->tx_free && vio_ring_fits(net->tx, n);
}

unsigned vio_net_tx_in_flight(const struct vio_net *net)
{
	return net->running ? vio_ring_in_flight(net->tx) : 0;
}
