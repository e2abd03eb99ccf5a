/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a program's frame to the mbufs that a stack would send.
 *
 * A short frame is one mbuf. Of a longer one the link, IP and TCP (or UDP) headers are in the first
 * mbuf, the payload is in clusters as a socket buffer has them. The frame is copied once.
 */
#include <errno.h>
#include <string.h>

extern "C" {
#include "common/seg.h"
}
#include "sim/macos/bsd/netinterface.h"

#define ETHER_HEADER 14u
#define VLAN_TAG     4u
#define TYPE_IPV4    0x0800u
#define TYPE_IPV6    0x86ddu
#define TYPE_VLAN    0x8100u
#define PROTO_TCP    6u
#define PROTO_UDP    17u
#define HEADERS_MAX  (ETHER_HEADER + VLAN_TAG + 60 + 60)
#define LINK_SPACE   2u	 /* before a link header: IP is then aligned */
#define SHARED_SPACE 64u /* before a shared one: not the driver's to use, and watched */

namespace
{
struct frame {
	uint8_t head[HEADERS_MAX]; /* what there is of it */
	size_t head_len, total;
	unsigned version;  /* of IP; 0: neither */
	unsigned protocol; /* 0: not looked at */
	size_t headers;	   /* bytes up to the payload; 0: not known */
};

/* Where copying has got to in the segments. */
struct source {
	const struct seg *seg;
	size_t off;
};
} // namespace

static void parse(struct frame *f)
{
	const uint8_t *h = f->head;
	size_t at = ETHER_HEADER, n = f->head_len;
	unsigned type;

	f->version = f->protocol = 0;
	f->headers = 0;
	if (n < at)
		return;
	type = static_cast<unsigned>(h[12] << 8 | h[13]);
	if (type == TYPE_VLAN && n >= at + VLAN_TAG) {
		type = static_cast<unsigned>(h[16] << 8 | h[17]);
		at += VLAN_TAG;
	}
	if (type == TYPE_IPV4 && n >= at + 20 && h[at] >> 4 == 4) {
		f->version = 4;
		f->protocol = h[at + 9];
		at += (h[at] & 15u) * 4u;
	} else if (type == TYPE_IPV6 && n >= at + 40 && h[at] >> 4 == 6) {
		f->version = 6;
		f->protocol = h[at + 6];
		at += 40;
	} else {
		return;
	}
	if (f->protocol == PROTO_TCP && n >= at + 20)
		f->headers = at + (h[at + 12] >> 4) * 4u;
	else if (f->protocol == PROTO_UDP && n >= at + 8)
		f->headers = at + 8;
	if (f->headers > f->total)
		f->headers = 0;
}

/* ---- requests ---- */

/*
 * [XNU-IF-32] A packet to be cut up carries, before 10.9, nothing but that request; from 10.9 on
 * the checksum request as well.
 */
static int requests(const struct mac_send *send, const struct frame *f, uint32_t assist,
		    uint32_t *flags, uint32_t *data)
{
	bool tcp = f->protocol == PROTO_TCP, six = f->version == 6;

	*flags = *data = 0;
	if (!(send->flags & (MAC_SEND_CSUM | MAC_SEND_TSO)))
		return 0;
	if (!f->headers)
		return -EINVAL;
	*data = tcp ? 16 : 6;
	if (six)
		*flags = tcp ? MBUF_CSUM_REQ_TCPIPV6 : MBUF_CSUM_REQ_UDPIPV6;
	else
		*flags = tcp ? MBUF_CSUM_REQ_TCP : MBUF_CSUM_REQ_UDP;
	if (!(send->flags & MAC_SEND_TSO))
		return (assist & *flags) == *flags ? 0 : -EOPNOTSUPP;
	if (!tcp || !send->mss)
		return -EINVAL;
	if (!(assist & (six ? ASSIST_TSO6 : ASSIST_TSO4)))
		return -EOPNOTSUPP;
	if (!sim_release_at_least(9))
		*flags = *data = 0;
	*flags |= six ? MBUF_TSO_IPV6 : MBUF_TSO_IPV4;
	return 0;
}

/* ---- mbufs ---- */

static void fill(struct source *from, uint8_t *to, size_t len)
{
	while (len) {
		size_t have = from->seg->len - from->off, n = have < len ? have : len;

		memcpy(to, from->seg->ptr + from->off, n);
		to += n;
		len -= n;
		from->off += n;
		if (from->off == from->seg->len) {
			from->seg++;
			from->off = 0;
		}
	}
}

/* The first mbuf, with so many bytes. */
static mbuf_t first_mbuf(size_t len, bool shared, struct source *from)
{
	size_t most = sim_mbuf_jumbo() ? SIM_CLUSTER_JUMBO : SIM_CLUSTER_BIG;
	size_t space = shared ? SHARED_SPACE : LINK_SPACE;
	mbuf_t m;

	if (len + space > most)
		space = 0;
	m = sim_mbuf_room(true, shared && len < SIM_CLUSTER ? SIM_CLUSTER - 1 : len + space,
			  nullptr);
	if (!m)
		return nullptr;
	if (space + len > sim_mbuf_max(m))
		space = sim_mbuf_max(m) - len;
	m->data += space;
	m->len = len;
	fill(from, m->data, len);
	if (shared)
		sim_mbuf_protect(m);
	return m;
}

/* One more, with up to len bytes; the largest clusters there are, as long as it is worth it. */
static mbuf_t next_mbuf(size_t len, struct source *from)
{
	size_t most = sim_mbuf_jumbo() ? SIM_CLUSTER_JUMBO : SIM_CLUSTER_BIG;
	mbuf_t m;

	len = len < most ? len : most;
	m = sim_mbuf_room(false, len, nullptr);
	if (!m)
		return nullptr;
	m->len = len;
	fill(from, m->data, len);
	return m;
}

/* The lengths of the first mbufs; the payload follows by clusters. */
static unsigned layout(const struct mac_send *send, const struct frame *f, uint16_t *own,
		       const uint16_t **cuts)
{
	*cuts = send->cuts;
	if (send->cuts)
		return send->ncuts;
	*cuts = own;
	/* All of a short frame; else the headers, or what of a frame fits if they are unknown. */
	if (f->total + LINK_SPACE <= sim_mbuf_mhlen())
		*own = static_cast<uint16_t>(f->total);
	else if (f->headers)
		*own = static_cast<uint16_t>(f->headers);
	else
		return 0;
	return 1;
}

static mbuf_t build(const struct mac_send *send, const struct frame *f)
{
	struct source from = {send->segs, 0};
	size_t left = f->total;
	mbuf_t head = nullptr, *link = &head;
	const uint16_t *cuts;
	uint16_t own;
	unsigned ncuts = layout(send, f, &own, &cuts);

	for (unsigned i = 0; left || i < ncuts || !head; i++) {
		size_t len = i < ncuts && cuts[i] < left ? cuts[i] : left;

		if (!head) {
			if (len > SIM_CLUSTER && ncuts == 0)
				len = SIM_CLUSTER;
			*link = first_mbuf(len, send->shared_headers, &from);
		} else {
			*link = next_mbuf(len, &from);
		}
		if (!*link) {
			sim_mbuf_freem(head, "mac_if_send");
			return nullptr;
		}
		left -= (*link)->len;
		link = &(*link)->next;
	}
	head->pkt_len = f->total;
	head->type = MBUF_TYPE_HEADER;
	if (f->head[0] & 1)
		head->flags |= MBUF_MCAST;
	return head;
}

static bool cuts_fit(const struct mac_send *send)
{
	size_t most = sim_mbuf_jumbo() ? SIM_CLUSTER_JUMBO : SIM_CLUSTER_BIG;

	for (unsigned i = 0; send->cuts && i < send->ncuts; i++) {
		if (send->cuts[i] > most)
			return false;
	}
	return true;
}

static int send_held(struct mac_if *ifp, const struct mac_send *send)
{
	struct frame f;
	uint32_t flags, data, up, assist;
	mbuf_t packet;
	int err;

	pthread_mutex_lock(&ifp->lock);
	up = ifp->flags & (IFF_UP | IFF_RUNNING);
	assist = ifp->assist;
	pthread_mutex_unlock(&ifp->lock);
	/* [XNU-IF-33] An interface that is up but not running takes nothing either. */
	if (up != (IFF_UP | IFF_RUNNING))
		return -ENETDOWN;
	f.total = seg_total(send->segs, send->nsegs);
	f.head_len = f.total < sizeof(f.head) ? f.total : sizeof(f.head);
	if (f.total < ETHER_HEADER || !cuts_fit(send) ||
	    !seg_read(send->segs, send->nsegs, 0, f.head, f.head_len))
		return -EINVAL;
	parse(&f);
	err = requests(send, &f, assist, &flags, &data);
	if (err != 0)
		return err;
	packet = build(send, &f);
	if (!packet)
		return -ENOBUFS;
	packet->csum_flags = flags;
	packet->csum_data = data;
	if (flags & SIM_CSUM_TSO)
		packet->tso_segsz = send->mss;
	IONetworkStack::output(ifp, packet);
	return 0;
}

int mac_if_send(struct mac_if *ifp, const struct mac_send *send)
{
	int err = -ENETDOWN;

	sim_enter("mac_if_send");
	if (sim_ifnet_hold(ifp)) {
		err = send_held(ifp, send);
		sim_ifnet_drop(ifp);
	}
	sim_exit();
	return err;
}
