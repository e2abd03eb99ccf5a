/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Judging packets: a transmitted one against its header and the features (NT, NC rows), a receive
 * buffer against what it must hold (NR rows). Called only while the monitor is on.
 */
#include <string.h>

#include "model/internal.h"

#define GSO_TUNNEL 0x60u /* the two tunnel bits of 1.4 */
#define F_TUNNEL   0x08u /* checksum flag of tunnels */

static bool host_gso(const struct model *m, unsigned feature)
{
	if (model_has(m, feature))
		return true;
	/* The legacy GSO bit stands for these three. */
	return m->legacy && model_has(m, VIRTIO_NET_F_GSO) &&
	       (feature == VIRTIO_NET_F_HOST_TSO4 || feature == VIRTIO_NET_F_HOST_TSO6 ||
		feature == VIRTIO_NET_F_HOST_ECN);
}

static void check_flags(struct model *m, const struct model_hdr *h, const uint8_t *frame,
			size_t len)
{
	norm_check(m, NORM_NT_2, h->num_buffers == 0, "num_buffers on transmit");
	norm_check(m, NORM_NT_36,
		   !(h->flags & (VIRTIO_NET_HDR_F_DATA_VALID | VIRTIO_NET_HDR_F_RSC_INFO)),
		   "DATA_VALID or RSC_INFO on transmit");
	norm_check(m, NORM_NT_11, !(h->gso_type & GSO_TUNNEL), "tunnel bits");
	norm_check(m, NORM_NT_33, !(h->gso_type & GSO_TUNNEL), "tunnel bits");
	norm_check(m, NORM_NT_19, (h->gso_type & GSO_TUNNEL) != GSO_TUNNEL, "both tunnel bits");
	norm_check(m, NORM_NT_16, !(h->flags & F_TUNNEL), "tunnel checksum flag");
	norm_check(m, NORM_NT_34, !(h->flags & F_TUNNEL), "tunnel checksum flag");
	norm_check(m, NORM_NT_20, !(h->flags & F_TUNNEL) || h->gso_type & GSO_TUNNEL,
		   "tunnel checksum flag without a tunnel bit");
	if (!model_has(m, VIRTIO_NET_F_CSUM)) {
		norm_check(m, NORM_NT_3, h->flags == 0, "flags without CSUM");
		norm_check(m, NORM_NT_4, model_sums_right(frame, len), "packet not fully summed");
	}
}

static void check_gso(struct model *m, const struct model_hdr *h, const uint8_t *frame,
		      const struct model_l4 *p, bool parsed)
{
	unsigned type = h->gso_type & ~(unsigned)(VIRTIO_NET_HDR_GSO_ECN | GSO_TUNNEL);
	bool tcp = type == VIRTIO_NET_HDR_GSO_TCPV4 || type == VIRTIO_NET_HDR_GSO_TCPV6;
	bool ecn = h->gso_type & VIRTIO_NET_HDR_GSO_ECN;
	bool any = host_gso(m, VIRTIO_NET_F_HOST_TSO4) || host_gso(m, VIRTIO_NET_F_HOST_TSO6) ||
		   host_gso(m, VIRTIO_NET_F_HOST_UFO) || host_gso(m, VIRTIO_NET_F_HOST_USO);

	if (!any)
		norm_check(m, NORM_NT_24, h->gso_type == 0, "GSO without any HOST_* feature");
	norm_check(m, NORM_NT_5,
		   type != VIRTIO_NET_HDR_GSO_TCPV4 || host_gso(m, VIRTIO_NET_F_HOST_TSO4),
		   "TCPv4 GSO without HOST_TSO4");
	norm_check(m, NORM_NT_6,
		   type != VIRTIO_NET_HDR_GSO_TCPV6 || host_gso(m, VIRTIO_NET_F_HOST_TSO6),
		   "TCPv6 GSO without HOST_TSO6");
	norm_check(m, NORM_NT_7,
		   type != VIRTIO_NET_HDR_GSO_UDP || host_gso(m, VIRTIO_NET_F_HOST_UFO),
		   "UDP fragmentation without HOST_UFO");
	norm_check(m, NORM_NT_8,
		   type != VIRTIO_NET_HDR_GSO_UDP_L4 || host_gso(m, VIRTIO_NET_F_HOST_USO),
		   "UDP segmentation without HOST_USO");
	if (tcp && parsed && p->proto == IP_PROTO_TCP) {
		bool cwr = frame[p->l4 + 13] & TCP_FLAG_CWR;

		if (cwr || ecn)
			norm_check(m, NORM_NT_9, host_gso(m, VIRTIO_NET_F_HOST_ECN),
				   "ECN segments without HOST_ECN");
		if (cwr)
			norm_check(m, NORM_NT_10, ecn, "CWR without the ECN bit");
	}
	if (type == VIRTIO_NET_HDR_GSO_NONE)
		return;
	norm_check(m, NORM_NT_25, h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, "GSO without NEEDS_CSUM");
	norm_check(m, NORM_NT_26, h->gso_size != 0, "gso_size 0");
	norm_check(m, NORM_NT_23,
		   parsed && (tcp ? p->proto == IP_PROTO_TCP : p->proto == IP_PROTO_UDP) &&
			   (type != VIRTIO_NET_HDR_GSO_TCPV4 || p->version == 4) &&
			   (type != VIRTIO_NET_HDR_GSO_TCPV6 || p->version == 6),
		   "GSO type is not the packet's");
	if (!parsed)
		return;
	if (model_has(m, VIRTIO_NET_F_GUEST_HDRLEN))
		norm_check(m, NORM_NT_27, h->hdr_len == p->payload, "hdr_len not exact");
	else
		norm_check(m, NORM_NT_28, h->hdr_len >= p->payload, "hdr_len below the headers");
}

static void check_csum(struct model *m, const struct model_hdr *h, const uint8_t *frame, size_t len,
		       const struct model_l4 *p, bool parsed)
{
	size_t at = (size_t)h->csum_start + h->csum_offset;
	bool inside = h->csum_start < len && span_fits(len, at, 2);
	uint16_t field, want;

	if (!(h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return;
	if (!norm_check(m, NORM_NT_23, inside, "checksum outside the packet") || !parsed)
		return;
	norm_check(m, NORM_NT_23,
		   h->csum_start == p->l4 && h->csum_offset == (p->proto == IP_PROTO_TCP ? 16 : 6),
		   "checksum not where the packet has it");
	field = (uint16_t)(frame[at] << 8 | frame[at + 1]);
	want = model_pseudo(frame, p, p->end - p->l4);
	/* 0 and 0xffff are the same number in one's complement. */
	norm_check(m, NORM_NT_22, field == want || (field ^ want) == 0xffff, "pseudo-header sum");
	if (p->version == 4)
		norm_check(m, NORM_NT_21,
			   cksum_finish(cksum_add(0, frame + p->l3, p->l4 - p->l3)) == 0,
			   "IPv4 header checksum");
}

static void check_address(struct model *m, const uint8_t *frame)
{
	if (model_has(m, VIRTIO_NET_F_MAC)) {
		if (memcmp(frame + 6, m->net.mac, 6) == 0)
			norm_ok(m, NORM_NC_3);
	} else if ((frame[6] & 3) == 2) {
		norm_ok(m, NORM_NC_4);
	}
	if (!model_has(m, VIRTIO_NET_F_STATUS))
		norm_ok(m, NORM_NC_5);
	norm_ok(m, NORM_NX_13);
}

void model_check_tx(struct model *m, const struct model_chain *c, const struct model_hdr *hdr,
		    const uint8_t *frame, size_t len)
{
	struct model_l4 p;
	bool parsed = model_parse(frame, len, &p);
	uint16_t type = (uint16_t)(frame[12] << 8 | frame[13]);

	(void)c;
	check_flags(m, hdr, frame, len);
	check_gso(m, hdr, frame, &p, parsed);
	check_csum(m, hdr, frame, len, &p, parsed);
	check_address(m, frame);
	if (model_has(m, VIRTIO_NET_F_MTU) && hdr->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		norm_check(m, NORM_NC_9,
			   len <= m->opt.mtu + ETH_HLEN + (type == ETH_TYPE_VLAN ? 4u : 0u),
			   "frame above the MTU");
	if (m->legacy)
		norm_ok(m, NORM_LG_17);
	if (m->watch.legacy_garbage_len) {
		m->watch.legacy_garbage_len = false;
		norm_ok(m, NORM_LG_23);
	}
}

void model_check_rx_buffer(struct model *m, const struct model_chain *c)
{
	bool gso = model_has(m, VIRTIO_NET_F_GUEST_TSO4) || model_has(m, VIRTIO_NET_F_GUEST_TSO6) ||
		   model_has(m, VIRTIO_NET_F_GUEST_USO4) || model_has(m, VIRTIO_NET_F_GUEST_USO6);

	norm_ok(m, NORM_NR_5);
	norm_check(m, NORM_NR_4, c->in_len >= m->hdr_len, "no room for the header");
	if (model_has(m, VIRTIO_NET_F_MRG_RXBUF))
		norm_check(m, NORM_NR_3, c->in_len >= m->hdr_len, "no room for the header");
	else if (gso)
		norm_check(m, NORM_NR_1, c->in_len >= VIRTIO_NET_RX_BIG, "buffer below 65601");
	else
		norm_check(m, NORM_NR_2, c->in_len >= VIRTIO_NET_RX_SMALL, "buffer below 1526");
	if (model_has(m, VIRTIO_NET_F_MTU) && !model_has(m, VIRTIO_NET_F_MRG_RXBUF))
		norm_check(m, NORM_NC_8, c->in_len >= (uint64_t)m->opt.mtu + ETH_HLEN + m->hdr_len,
			   "buffer does not hold a packet of the MTU");
	if (m->legacy && !model_has(m, VIRTIO_F_ANY_LAYOUT) &&
	    !model_has(m, VIRTIO_NET_F_MRG_RXBUF))
		norm_check(m, NORM_LG_24, c->nin > 1 && c->segs[0].len == m->hdr_len,
			   "first descriptor is not the header alone");
}
