/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reception: filter, fit the packet to what was negotiated, put it into the driver's buffers.
 *
 * What the driver did not accept (or switched off by GUEST_OFFLOADS_SET) never reaches it: sums are
 * finished and GSO is cut by the software offload first, as a back end would be told to.
 *
 * With MRG_RXBUF a packet fills as many chains as it needs; they are published together, and
 * num_buffers, which lies in the first, is written last. If the ring runs out before the packet
 * does, nothing is published: the same chains serve the next packet.
 */
#include <string.h>

#include "model/internal.h"

static bool table_has(const uint8_t (*table)[6], unsigned n, const uint8_t *mac)
{
	for (unsigned i = 0; i < n; i++) {
		if (memcmp(table[i], mac, 6) == 0)
			return true;
	}
	return false;
}

bool model_vlan_passes(const struct model *m, uint16_t id)
{
	if (!model_has(m, VIRTIO_NET_F_CTRL_VLAN))
		return true;
	id &= MODEL_VLANS - 1;
	return m->vlans[id / 8] >> (id % 8) & 1;
}

bool model_net_accepts(const struct model *m, const uint8_t *frame, size_t len)
{
	static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	const struct model_state *n = &m->net;
	struct span s = span_of(frame, len);
	uint16_t type, tci;

	if (n->promisc)
		return true;
	if (span_be16(s, 12, &type) && type == ETH_TYPE_VLAN && span_be16(s, 14, &tci) &&
	    !model_vlan_passes(m, tci & 0xfff))
		return false;
	if (len < ETH_HLEN)
		return false;
	if (frame[0] & 1) {
		if (memcmp(frame, broadcast, 6) == 0)
			return !n->nobcast;
		if (n->nomulti)
			return false;
		return n->allmulti || n->multicast_overflow ||
		       table_has(n->multicast, n->nmulticast, frame);
	}
	if (n->nouni)
		return false;
	return n->alluni || n->unicast_overflow || memcmp(frame, n->mac, 6) == 0 ||
	       table_has(n->unicast, n->nunicast, frame);
}

/* Where byte off of a chain's writable part is. */
static uint8_t *byte_at(struct seg *segs, unsigned nsegs, size_t off)
{
	for (unsigned i = 0; i < nsegs; i++) {
		if (off < segs[i].len)
			return segs[i].ptr + off;
		off -= segs[i].len;
	}
	return NULL;
}

static void hdr_build(const struct model *m, const struct model_hdr *hdr, uint8_t *raw)
{
	struct virtio_net_hdr h = {
		.flags = hdr->flags,
		.gso_type = hdr->gso_type,
		.hdr_len = model_put16(m, hdr->hdr_len),
		.gso_size = model_put16(m, hdr->gso_size),
		.csum_start = model_put16(m, hdr->csum_start),
		.csum_offset = model_put16(m, hdr->csum_offset),
		.num_buffers = model_put16(m, 1),
	};

	memcpy(raw, &h, sizeof(h));
}

static void hdr_mutate(struct model *m, uint8_t *raw)
{
	if (model_mut(m, MODEL_MUT_HDR)) {
		unsigned at = model_mut_random(m, 10);

		raw[at] = (uint8_t)model_mut_value(m, MODEL_MUT_HDR, at, raw[at], 8);
	}
}

/* One piece of data into a chain at off. */
static void put(struct model_chain *c, size_t off, const void *src, size_t n)
{
	struct seg *segs = c->segs + c->nout;

	if (c->nin && span_fits(segs[0].len, off, n))
		memcpy(segs[0].ptr + off, src, n);
	else
		seg_write(segs, c->nin, off, src, n);
}

/* Nothing was published yet: the chains stay with the device. */
static enum model_rx_result no_room(struct model *m, struct model_queue *q)
{
	m->net.rx_dropped++;
	model_ring_want(m, q, true);
	return m->running ? MODEL_RX_NO_BUFFER : MODEL_RX_NOT_READY;
}

static uint16_t lie_count(struct model *m, uint16_t n)
{
	return (uint16_t)model_lie(m, MODEL_MUT_NUM_BUFFERS, 0, n, 2);
}

enum model_rx_result model_net_deliver(struct model *m, const struct model_hdr *hdr,
				       const uint8_t *frame, size_t len)
{
	struct model_queue *q = &m->q[VIRTIO_NET_QUEUE_RX];
	bool merge = model_has(m, VIRTIO_NET_F_MRG_RXBUF);
	uint8_t raw[VIRTIO_NET_HDR_LEN], *count[2] = {NULL, NULL};
	size_t done = 0;
	uint16_t n = 0, avail;
	uint8_t garbage;

	if (!m->running || !q->enabled || q->held)
		return MODEL_RX_NOT_READY;
	if (m->mon)
		model_watch_posted(m, q);
	hdr_build(m, hdr, raw);
	if (m->opt.odd.unknown_flags)
		raw[0] |= 0xc0;
	if (__builtin_expect(m->hostile.rate != 0, 0)) {
		hdr_mutate(m, raw);
		if (model_mut(m, MODEL_MUT_FRAME_LEN) && len > 1) {
			size_t was = len;

			len = model_mut_random(m, (uint32_t)len);
			model_mut_note(m, MODEL_MUT_FRAME_LEN, 0, was, len);
		}
	}
	avail = model_ring_avail(m, q);
	if (m->hostile.rate && avail && model_mut(m, MODEL_MUT_USED_SKIP)) {
		model_mut_note(m, MODEL_MUT_USED_SKIP, q->last_avail, 0, 0);
		q->last_avail++;
		avail--;
	}
	do {
		struct model_chain c;
		size_t room, start = n ? 0 : m->hdr_len, part;

		if (n == MODEL_RX_PARTS || n >= avail || !model_ring_fetch(m, q, n, &c))
			return no_room(m, q);
		if (m->mon)
			model_check_rx_buffer(m, &c);
		if (c.nout || c.in_len < start + (n ? 1 : 0)) {
			model_break(m, "receive buffer");
			return MODEL_RX_NOT_READY;
		}
		room = (size_t)c.in_len - start;
		if (room < len && !merge) {
			m->net.rx_dropped++;
			return MODEL_RX_TOO_BIG;
		}
		if (n == 0) {
			put(&c, 0, raw, m->hdr_len);
			if (m->hdr_len > 10) {
				count[0] = byte_at(c.segs, c.nin, 10);
				count[1] = byte_at(c.segs, c.nin, 11);
			}
		}
		part = room < len - done ? room : len - done;
		if (merge && n < m->nsplit && m->split[n] < part)
			part = m->split[n];
		put(&c, start, frame + done, part);
		if (__builtin_expect(m->hostile.rate != 0, 0) && part &&
		    model_mut(m, MODEL_MUT_FRAME_DATA)) {
			size_t at = start + model_mut_random(m, part < 64 ? (uint32_t)part : 64);

			garbage = (uint8_t)model_mut_value(m, MODEL_MUT_FRAME_DATA, (uint32_t)at, 0,
							   8);
			put(&c, at, &garbage, 1);
		}
		done += part;
		m->rx_parts[n].head = c.head;
		m->rx_parts[n].len = (uint32_t)(start + part);
		n++;
	} while (done < len);
	for (uint16_t i = 0; i < n; i++)
		model_ring_used(m, q, i, m->rx_parts[i].head, m->rx_parts[i].len);
	if (count[0]) {
		uint16_t shown = merge || m->legacy ? n : 1;
		vio16 v = model_put16(m, m->hostile.rate ? lie_count(m, shown) : shown);
		uint8_t b[2];

		memcpy(b, &v, 2);
		*count[0] = b[0];
		*count[1] = b[1];
	}
	q->last_avail = (uint16_t)(q->last_avail + n);
	q->chains += n;
	m->net.rx_packets++;
	m->net.rx_bytes += len;
	model_ring_publish(m, q, n);
	model_ring_signal(m, q);
	return MODEL_RX_OK;
}

/* Whether the driver takes a packet with this header as it is. */
static bool takes(const struct model *m, const struct model_hdr *hdr, const uint8_t *frame,
		  size_t len)
{
	uint64_t f = m->net.guest_offloads;
	struct model_l4 p;

	if (hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM && !(f >> VIRTIO_NET_F_GUEST_CSUM & 1))
		return false;
	if (hdr->gso_type & VIRTIO_NET_HDR_GSO_ECN && !(f >> VIRTIO_NET_F_GUEST_ECN & 1))
		return false;
	switch (hdr->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_NONE:
		return true;
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return f >> VIRTIO_NET_F_GUEST_TSO4 & 1;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return f >> VIRTIO_NET_F_GUEST_TSO6 & 1;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		if (!model_parse(frame, len, &p))
			return false;
		return f >> (p.version == 4 ? VIRTIO_NET_F_GUEST_USO4 : VIRTIO_NET_F_GUEST_USO6) &
		       1;
	default:
		return false;
	}
}

struct pieces {
	struct model *m;
	enum model_rx_result result;
};

static void piece_out(void *ctx, const uint8_t *frame, size_t len)
{
	struct pieces *p = ctx;
	struct model_hdr plain = {0};
	enum model_rx_result r = model_net_deliver(p->m, &plain, frame, len);

	if (r != MODEL_RX_OK)
		p->result = r;
}

enum model_rx_result model_receive(struct model *m, const struct model_hdr *hdr, const void *frame,
				   size_t len)
{
	static const struct model_hdr plain;
	struct pieces p = {m, MODEL_RX_OK};
	struct model_hdr h = hdr ? *hdr : plain;

	if (!m->running)
		return MODEL_RX_NOT_READY;
	if (len > MODEL_FRAME_MAX)
		return MODEL_RX_TOO_BIG;
	if (!m->link_up || !model_net_accepts(m, frame, len)) {
		m->net.rx_filtered++;
		return MODEL_RX_FILTERED;
	}
	if (!(m->net.guest_offloads >> VIRTIO_NET_F_GUEST_CSUM & 1))
		h.flags &= (uint8_t)~VIRTIO_NET_HDR_F_DATA_VALID;
	if (takes(m, &h, frame, len))
		return model_net_deliver(m, &h, frame, len);
	if (model_complete(&h, frame, len, piece_out, &p) == 0) {
		m->net.rx_dropped++;
		return MODEL_RX_TOO_BIG;
	}
	return p.result;
}

void model_split(struct model *m, const uint16_t *lens, unsigned n)
{
	m->split = lens;
	m->nsplit = n;
}

enum model_rx_result model_receive_raw(struct model *m, const struct model_hdr *hdr,
				       const void *frame, size_t len)
{
	static const struct model_hdr plain;

	return model_net_deliver(m, hdr ? hdr : &plain, frame, len);
}
