/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Offload descriptors: from a packet's own headers to the device's, and back.
 *
 * Transmit. The stack says what it wants (checksum, segments of mss bytes); where headers begin and
 * end is read from the packet: Ethernet, up to two VLAN tags, IPv4 with options or IPv6 with
 * extension headers, TCP or UDP. The shape of the first fragment means nothing. The checksum field
 * gets the pseudo-header sum over the length the IP header states, for GSO too (NT-22): the
 * receiver adjusts it per segment.
 *
 * Receive. Everything in the device's header is a claim (H-8): a type that was not negotiated, a
 * zero segment size, a checksum outside the frame, TCP segments whose checksum is not TCP's, are
 * all reasons to drop the frame. hdr_len is ignored and found anew (NP-4).
 *
 * Pure functions: no state, no device.
 */
#include "guest/drivers/net_priv.h"

#include "common/cksum.h"

#define HEAD_MAX  192u /* no header chain we care for is longer */
#define IPV6_EXTS 8    /* extension headers we follow */
#define VLAN_TAGS 2

#define TCP_CSUM_OFF 16u
#define UDP_CSUM_OFF 6u

#define BAD_IF(cond)                                                                               \
	do {                                                                                       \
		if (cond)                                                                          \
			return VIO_EINVAL;                                                         \
	} while (0)

static int parse_ether(struct span f, size_t *l3, uint16_t *type)
{
	size_t off = ETH_HLEN;

	BAD_IF(!span_be16(f, off - 2, type));
	for (int i = 0; i < VLAN_TAGS && (*type == ETH_TYPE_VLAN || *type == ETH_TYPE_QINQ); i++) {
		off += ETH_VLAN_LEN;
		BAD_IF(!span_be16(f, off - 2, type));
	}
	*l3 = off;
	return VIO_OK;
}

/* Both: l4 and the number of bytes the IP header says follow it. */
static int parse_ipv4(struct span f, size_t frame_len, size_t l3, struct net_headers *h, size_t *l4,
		      size_t *l4_len)
{
	uint8_t ver_ihl, proto;
	uint16_t total, frag;
	size_t ihl, avail = frame_len - l3;

	BAD_IF(!span_u8(f, l3, &ver_ihl) || ver_ihl >> 4 != 4);
	ihl = (size_t)(ver_ihl & 15) * 4;
	BAD_IF(ihl < sizeof(struct ipv4_hdr) || !span_fits(f.len, l3, ihl));
	BAD_IF(!span_be16(f, l3 + offsetof(struct ipv4_hdr, total_len), &total));
	BAD_IF(!span_be16(f, l3 + offsetof(struct ipv4_hdr, frag), &frag));
	BAD_IF(!span_u8(f, l3 + offsetof(struct ipv4_hdr, proto), &proto));
	BAD_IF(frag & IPV4_FRAG_MASK);
	BAD_IF(total ? total > avail || total < ihl : avail > UINT16_MAX);

	*l4 = l3 + ihl;
	*l4_len = (total ? total : avail) - ihl; /* 0: a stack that leaves it to the card */
	h->proto = proto;
	return VIO_OK;
}

static int parse_ipv6(struct span f, size_t frame_len, size_t l3, struct net_headers *h, size_t *l4,
		      size_t *l4_len)
{
	size_t off = l3 + sizeof(struct ipv6_hdr), end;
	uint16_t payload;
	uint8_t ver, next;

	BAD_IF(!span_u8(f, l3, &ver) || ver >> 4 != 6 || !span_fits(f.len, l3, 40));
	BAD_IF(!span_be16(f, l3 + offsetof(struct ipv6_hdr, payload_len), &payload));
	BAD_IF(!span_u8(f, l3 + offsetof(struct ipv6_hdr, next), &next));
	BAD_IF(payload > frame_len - off);
	end = payload ? off + payload : frame_len;

	for (int i = 0; next != IP_PROTO_TCP && next != IP_PROTO_UDP; i++) {
		uint8_t len, left;

		BAD_IF(i == IPV6_EXTS);
		BAD_IF(next != IP_PROTO_HOPOPTS && next != IP_PROTO_DSTOPTS &&
		       next != IP_PROTO_ROUTING);
		BAD_IF(!span_u8(f, off + 1, &len) || !span_u8(f, off + 3, &left));
		/* While a route is left the checksum is for another destination. */
		BAD_IF(next == IP_PROTO_ROUTING && left);
		BAD_IF(!span_u8(f, off, &next));
		off += (size_t)(len + 1) * 8;
		BAD_IF(off > end);
	}
	*l4 = off;
	*l4_len = end - off;
	h->proto = next;
	return VIO_OK;
}

int net_headers_parse(struct span f, size_t frame_len, struct net_headers *h)
{
	size_t l3, l4 = 0, l4_len = 0, l4_hdr = sizeof(struct udp_hdr);
	uint16_t type;
	int err;

	*h = (struct net_headers){0};
	err = parse_ether(f, &l3, &type);
	if (err)
		return err;
	BAD_IF(frame_len > VIO_NET_PACKET_MAX || l3 > frame_len);
	h->v6 = type == ETH_TYPE_IPV6;
	if (type == ETH_TYPE_IPV4)
		err = parse_ipv4(f, frame_len, l3, h, &l4, &l4_len);
	else if (type == ETH_TYPE_IPV6)
		err = parse_ipv6(f, frame_len, l3, h, &l4, &l4_len);
	else
		err = VIO_EINVAL;
	if (err)
		return err;

	if (h->proto == IP_PROTO_TCP) {
		uint8_t doff;

		BAD_IF(!span_u8(f, l4 + offsetof(struct tcp_hdr, data_off), &doff));
		BAD_IF(!span_u8(f, l4 + offsetof(struct tcp_hdr, flags), &h->tcp_flags));
		l4_hdr = (size_t)(doff >> 4) * 4;
		BAD_IF(l4_hdr < sizeof(struct tcp_hdr));
	} else {
		BAD_IF(h->proto != IP_PROTO_UDP);
	}
	BAD_IF(l4_len < l4_hdr || !span_fits(f.len, l4, l4_hdr) || l4_len > UINT16_MAX);

	h->l3 = (uint16_t)l3;
	h->l4 = (uint16_t)l4;
	h->payload = (uint16_t)(l4 + l4_hdr);
	h->l4_len = (uint16_t)l4_len;
	return VIO_OK;
}

static uint32_t headers_pseudo_sum(struct span f, const struct net_headers *h)
{
	const uint8_t *ip = f.data + h->l3; /* parsed: wholly inside */

	if (h->v6)
		return cksum_pseudo6(ip + offsetof(struct ipv6_hdr, src),
				     ip + offsetof(struct ipv6_hdr, dst), h->proto, h->l4_len);
	return cksum_pseudo4(ip + offsetof(struct ipv4_hdr, src),
			     ip + offsetof(struct ipv4_hdr, dst), h->proto, h->l4_len);
}

/*
 * Puts a 16-bit field into the packet. One that holds the value already is left untouched: stacks
 * that prepare the sum themselves may share the memory with others (a clone, a retransmission).
 */
static bool write_be16(const struct seg *segs, unsigned nsegs, size_t off, uint16_t v)
{
	uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v}, now[2];

	if (!seg_read(segs, nsegs, off, now, sizeof(now)))
		return false;
	return (now[0] == b[0] && now[1] == b[1]) || seg_write(segs, nsegs, off, b, sizeof(b));
}

/* IPv4 header checksum; the field itself, at offset 10, is left out of the sum. */
static bool write_ip_cksum(const struct seg *segs, unsigned nsegs, struct span f, size_t l3)
{
	const uint8_t *ip = f.data + l3;
	size_t ihl = (size_t)(ip[0] & 15) * 4;
	size_t field = offsetof(struct ipv4_hdr, cksum);
	uint32_t sum = cksum_add(0, ip, field);

	sum = cksum_add(sum, ip + field + 2, ihl - field - 2);
	return write_be16(segs, nsegs, l3 + field, cksum_finish(sum));
}

/* The first bytes of a frame in one piece: in place where they are, else copied out. */
static struct span frame_head(const struct seg *segs, unsigned nsegs, size_t total,
			      uint8_t copy[HEAD_MAX])
{
	size_t n = total < HEAD_MAX ? total : HEAD_MAX;

	if (nsegs && segs[0].len >= n)
		return span_of(segs[0].ptr, n);
	if (!seg_read(segs, nsegs, 0, copy, n))
		n = 0;
	return span_of(copy, n);
}

/* IP checksum alone, for packets that are not TCP or UDP or are fragments. */
static int offload_ip_only(const struct seg *segs, unsigned nsegs, struct span f)
{
	uint8_t ver_ihl;
	uint16_t type;
	size_t l3;
	int err = parse_ether(f, &l3, &type);

	if (err)
		return err;
	BAD_IF(type != ETH_TYPE_IPV4 || !span_u8(f, l3, &ver_ihl) || ver_ihl >> 4 != 4);
	BAD_IF((ver_ihl & 15) < 5 || !span_fits(f.len, l3, (size_t)(ver_ihl & 15) * 4));
	BAD_IF(!write_ip_cksum(segs, nsegs, f, l3));
	return VIO_OK;
}

int vio_net_offload_parse(const struct seg *segs, unsigned nsegs, unsigned flags, uint16_t mss,
			  struct vio_net_offload *out)
{
	size_t total = seg_total(segs, nsegs);
	uint8_t copy[HEAD_MAX];
	struct span f = frame_head(segs, nsegs, total, copy);
	struct net_headers h;
	uint16_t field;
	int err;

	*out = (struct vio_net_offload){0};
	if (!(flags & (VIO_NET_TX_CSUM | VIO_NET_TX_GSO)))
		return flags & VIO_NET_TX_IPCSUM ? offload_ip_only(segs, nsegs, f) : VIO_OK;

	err = net_headers_parse(f, total, &h);
	if (err)
		return err;
	BAD_IF(flags & VIO_NET_TX_GSO && mss == 0);

	field = h.proto == IP_PROTO_TCP ? TCP_CSUM_OFF : UDP_CSUM_OFF;
	out->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	out->csum_start = h.l4;
	out->csum_offset = field;
	out->hdr_len = h.payload;
	/* What fits one segment needs no cutting, and then the MTU applies to it (NC-9). */
	if (flags & VIO_NET_TX_GSO && (uint32_t)(h.l4 + h.l4_len - h.payload) > mss) {
		if (h.proto == IP_PROTO_UDP)
			out->gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
		else
			out->gso_type = h.v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
		out->gso_size = mss; /* NT-26 */
		out->ecn = h.tcp_flags & TCP_FLAG_CWR;
	}
	if (flags & VIO_NET_TX_IPCSUM && !h.v6)
		BAD_IF(!write_ip_cksum(segs, nsegs, f, h.l3));
	BAD_IF(!write_be16(segs, nsegs, (size_t)h.l4 + field,
			   cksum_fold(headers_pseudo_sum(f, &h))));
	return VIO_OK;
}

int vio_net_offload_finish(const struct seg *segs, unsigned nsegs, const struct vio_net_offload *o)
{
	size_t total = seg_total(segs, nsegs);
	uint32_t sum = 0;
	uint16_t value;

	if (!(o->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return VIO_OK;
	BAD_IF(o->csum_start > total);
	BAD_IF(!seg_cksum(segs, nsegs, o->csum_start, total - o->csum_start, &sum));
	value = cksum_finish(sum);
	if (value == 0 && o->csum_offset == UDP_CSUM_OFF)
		value = 0xffff; /* RFC 768: 0 means "none" */
	BAD_IF(!write_be16(segs, nsegs, (size_t)o->csum_start + o->csum_offset, value));
	return VIO_OK;
}

/* Whether the 16 bits at start + offset lie in a frame of len bytes. */
static bool csum_inside(uint16_t start, uint16_t offset, uint32_t len)
{
	return start <= len && len - start >= 2 && offset <= len - start - 2;
}

int net_offload_check_tx(const struct vio_net *net, const struct vio_net_offload *o, uint32_t len)
{
	bool have;

	BAD_IF(o->flags & ~VIRTIO_NET_HDR_F_NEEDS_CSUM); /* NT-36 */
	BAD_IF(o->flags && !csum_inside(o->csum_start, o->csum_offset, len));
	switch (o->gso_type) {
	case VIRTIO_NET_HDR_GSO_NONE:
		return VIO_OK;
	case VIRTIO_NET_HDR_GSO_TCPV4: /* NT-5 */
		have = net_has(net, VIRTIO_NET_F_HOST_TSO4);
		break;
	case VIRTIO_NET_HDR_GSO_TCPV6: /* NT-6 */
		have = net_has(net, VIRTIO_NET_F_HOST_TSO6);
		break;
	case VIRTIO_NET_HDR_GSO_UDP_L4: /* NT-8 */
		have = net_has(net, VIRTIO_NET_F_HOST_USO);
		break;
	default:
		return VIO_EINVAL;
	}
	if (!have || (o->ecn && !net_has(net, VIRTIO_NET_F_HOST_ECN))) /* NT-9 */
		return VIO_ENOTSUP;
	BAD_IF(!o->flags || o->gso_size == 0 || o->hdr_len >= len); /* NT-25, NT-26 */
	return VIO_OK;
}

/* Is this GSO type one the device may use with us? */
static bool rx_gso_negotiated(const struct vio_net *net, uint8_t type)
{
	switch (type) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return net_has(net, VIRTIO_NET_F_GUEST_TSO4);
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return net_has(net, VIRTIO_NET_F_GUEST_TSO6);
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return net_has(net, VIRTIO_NET_F_GUEST_USO4) ||
		       net_has(net, VIRTIO_NET_F_GUEST_USO6);
	default:
		return false;
	}
}

/* A large packet must be what its type says: the frame's own headers decide. */
static bool rx_gso_sane(uint8_t type, struct span head, uint32_t len, struct vio_net_offload *out)
{
	struct net_headers h;
	bool tcp = type != VIRTIO_NET_HDR_GSO_UDP_L4;

	if (out->gso_size == 0 || net_headers_parse(head, len, &h) != VIO_OK)
		return false;
	if (h.proto != (tcp ? IP_PROTO_TCP : IP_PROTO_UDP))
		return false;
	if (tcp && h.v6 != (type == VIRTIO_NET_HDR_GSO_TCPV6))
		return false;
	if (out->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM &&
	    (out->csum_start != h.l4 || out->csum_offset != (tcp ? TCP_CSUM_OFF : UDP_CSUM_OFF)))
		return false;
	out->hdr_len = h.payload;
	return true;
}

bool net_offload_check_rx(const struct vio_net *net, const struct virtio_net_hdr *hdr,
			  struct span head, uint32_t len, struct vio_net_offload *out)
{
	uint8_t type = hdr->gso_type;

	*out = (struct vio_net_offload){0};
	/* NP-1: other bits mean nothing to us. */
	out->flags = hdr->flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID);
	if (!net_has(net, VIRTIO_NET_F_GUEST_CSUM)) {
		/* The device had no right to leave work; and its word on the sum is worth nothing.
		 */
		if (out->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
			return false;
		out->flags = 0;
	}
	if (out->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) { /* NP-3 */
		out->csum_start = net_get16(net, hdr->csum_start);
		out->csum_offset = net_get16(net, hdr->csum_offset);
		if (!csum_inside(out->csum_start, out->csum_offset, len))
			return false;
	}
	if (type & VIRTIO_NET_HDR_GSO_ECN) {
		if (!net_has(net, VIRTIO_NET_F_GUEST_ECN))
			return false;
		out->ecn = true;
		type &= (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
	}
	if (type == VIRTIO_NET_HDR_GSO_NONE)
		return !out->ecn;
	if (!rx_gso_negotiated(net, type))
		return false;
	out->gso_type = type;
	out->gso_size = net_get16(net, hdr->gso_size);
	return rx_gso_sane(type, head, len, out);
}
