/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/stack/netif_vio.h"

#include <stdlib.h>
#include <string.h>

#include "tools/stack/netif_pool.h"
#include "tools/stack/tso.h"

#define TX_SLOT	    2048u
#define TX_SLOTS    768u /* a full window several times over */
#define TX_HEADROOM 64u	 /* room for the driver's header in front of a frame */
#define TX_ROOM	    (TX_SLOT - TX_HEADROOM)
#define TX_SEGS	    64u

#define RX_SPARE     192u /* buffers that may be inside lwIP while the ring is full */
#define RX_SPARE_BIG 32u  /* the same of 64 KiB */
#define RX_BIG	     16384u
#define RX_POOL_MAX  (24u << 20) /* bytes; a pool that would be larger gets fewer slots */
#define PBUF_LEN_MAX 65535u	 /* lwIP counts in 16 bits */

#define TURN_BUDGET 128u /* packets a turn */

/* The packet being built, or waiting for room on the ring. */
struct netif_tx {
	struct tso tso;
	struct tso_frame frame;
	struct seg segs[TX_SEGS];
	struct netif_slot *first, *last;
	unsigned nsegs;
	bool ready; /* there is one */
};

struct netif_vio {
	struct netif netif;
	struct vio_net *net;
	struct vio_net_info info;
	struct netif_vio_params p;
	struct netif_pool rx, tx;
	struct netif_tx out;
	struct netif_vio_stats stats;
	unsigned max_segs;
	bool added;
	bool refused; /* lwIP was told to try again */
	bool starved; /* the driver went without a buffer */
	bool broken;
};

/* ---- transmit ---- */

static void netif_vio_release(struct netif_slot *slot)
{
	while (slot) {
		struct netif_slot *next = slot->next;

		netif_pool_put(slot);
		slot = next;
	}
}

static void netif_vio_clear(struct netif_vio *nv)
{
	nv->out.ready = false;
	nv->out.first = nv->out.last = NULL;
	nv->out.nsegs = 0;
	tso_reset(&nv->out.tso);
}

static bool netif_vio_has_room(const struct netif_vio *nv, uint32_t len)
{
	unsigned need = (len + TX_ROOM - 1) / TX_ROOM;

	return need <= nv->tx.n_free && nv->out.nsegs + need <= nv->max_segs;
}

/* Append n bytes at off of a pbuf; netif_vio_has_room was asked. */
static void netif_vio_append(struct netif_vio *nv, const struct pbuf *p, uint32_t off, uint32_t n)
{
	while (n) {
		struct netif_slot *slot = netif_pool_get(&nv->tx);
		uint32_t here = n < TX_ROOM ? n : TX_ROOM;

		(void)pbuf_copy_partial(p, slot->va + TX_HEADROOM, (u16_t)here, (u16_t)off);
		nv->out.segs[nv->out.nsegs++] = (struct seg){
			.ptr = slot->va + TX_HEADROOM,
			.addr = slot->da + TX_HEADROOM,
			.len = here,
		};
		if (nv->out.last)
			nv->out.last->next = slot;
		else
			nv->out.first = slot;
		nv->out.last = slot;
		off += here;
		n -= here;
	}
}

/* Hand the packet to the driver. False: no room on the ring, it stays. */
static bool netif_vio_push(struct netif_vio *nv)
{
	struct netif_tx *out = &nv->out;
	struct vio_net_tx tx = {
		.segs = out->segs,
		.nsegs = out->nsegs,
		.headroom = TX_HEADROOM,
		.cookie = out->first,
	};
	int err;

	if (!out->ready)
		return true;
	if (out->frame.kind != TSO_OTHER && nv->info.tx_csum)
		tx.flags |= VIO_NET_TX_CSUM;
	if (tso_is_gso(&out->tso)) {
		tso_finish(&out->tso, out->segs[0].ptr);
		tx.flags |= VIO_NET_TX_GSO | VIO_NET_TX_CSUM;
		tx.mss = tso_mss(&out->tso);
		out->tso.closed = true;
	}

	err = vio_net_send(nv->net, &tx);
	if (err == VIO_EAGAIN) {
		out->tso.closed = true;
		nv->stats.tx_stalls++;
		return false;
	}
	if (err == VIO_OK) {
		nv->stats.tx_packets++;
		if (nv->p.pcap)
			pcap_write_now(nv->p.pcap, out->segs, out->nsegs);
	} else {
		nv->stats.tx_dropped++;
		netif_vio_release(out->first);
	}
	netif_vio_clear(nv);
	return true;
}

static bool netif_vio_wants_tso(const struct netif_vio *nv, enum tso_kind kind)
{
	return !nv->p.no_tso &&
	       ((kind == TSO_TCP4 && nv->info.tx_tso4) || (kind == TSO_TCP6 && nv->info.tx_tso6));
}

static bool netif_vio_take(struct netif_vio *nv, const struct pbuf *p)
{
	struct netif_tx *out = &nv->out;
	uint8_t copy[TSO_HDR_MAX];
	struct tso_frame frame;
	struct span hdr;
	uint32_t len = p->tot_len;

	if (!vio_net_running(nv->net))
		return false;
	hdr = span_of(p->payload, p->len < TSO_HDR_MAX ? p->len : TSO_HDR_MAX);
	if (p->len < TSO_HDR_MAX && p->next)
		hdr = span_of(copy, pbuf_copy_partial(p, copy, sizeof(copy), 0));
	tso_classify(hdr, len, &frame);

	if (out->ready && netif_vio_has_room(nv, frame.payload) &&
	    tso_join(&out->tso, hdr, &frame)) {
		netif_vio_append(nv, p, frame.hdr_len, frame.payload);
		nv->stats.tx_frames++;
		nv->stats.tx_joined++;
		return true;
	}
	if (!netif_vio_push(nv) || !netif_vio_has_room(nv, len))
		return false;

	netif_vio_append(nv, p, 0, len);
	out->frame = frame;
	out->ready = true;
	nv->stats.tx_frames++;
	/* what cannot grow goes now; if the ring is full it waits in nv->out for the next turn */
	if (!netif_vio_wants_tso(nv, frame.kind) ||
	    !tso_open(&out->tso, hdr, &frame, (uint16_t)nv->max_segs))
		(void)netif_vio_push(nv);
	return true;
}

static err_t netif_vio_linkoutput(struct netif *netif, struct pbuf *p)
{
	struct netif_vio *nv = netif->state;

	if (netif_vio_take(nv, p))
		return ERR_OK;
	nv->stats.tx_refused++;
	nv->refused = true;
	return ERR_MEM;
}

bool netif_vio_send(struct netif_vio *nv, const void *frame, size_t len)
{
	struct pbuf p = {
		.payload = (void *)(uintptr_t)frame,
		.len = (u16_t)len,
		.tot_len = (u16_t)len,
	};

	return len <= PBUF_LEN_MAX && netif_vio_take(nv, &p);
}

static void netif_vio_tx_done(void *port, void *cookie, int status)
{
	struct netif_vio *nv = port;

	if (status == VIO_EDEV) {
		for (struct netif_slot *s = cookie; s; s = s->next, nv->stats.lost++)
			netif_pool_lose(s);
		return;
	}
	if (status != VIO_OK)
		nv->stats.tx_aborted++;
	netif_vio_release(cookie);
}

/* ---- receive ---- */

static void netif_vio_pbuf_free(struct pbuf *p)
{
	/* the custom pbuf is the slot's first member */
	netif_pool_put((struct netif_slot *)(void *)p);
}

static bool netif_vio_rx_buffer(void *port, struct vio_net_rxbuf *buf)
{
	struct netif_vio *nv = port;
	struct netif_slot *slot = buf->max_segs ? netif_pool_get(&nv->rx) : NULL;

	if (!slot) {
		nv->stats.rx_starved++;
		nv->starved = true;
		return false;
	}
	buf->segs[0] = (struct seg){.ptr = slot->va, .addr = slot->da, .len = nv->rx.slot_len};
	buf->nsegs = 1;
	buf->cookie = slot;
	return true;
}

static void netif_vio_rx_return(void *port, void *cookie, int status)
{
	struct netif_vio *nv = port;

	if (status == VIO_EDEV) {
		netif_pool_lose(cookie);
		nv->stats.lost++;
		return;
	}
	netif_pool_put(cookie);
}

static void netif_vio_rx_drop(struct netif_vio *nv, const struct vio_net_rx *rx)
{
	for (unsigned i = 0; i < rx->nparts; i++)
		netif_pool_put(rx->parts[i].cookie);
	nv->stats.rx_dropped++;
}

/* The packet as one chain of custom pbufs; its slots now belong to the chain. */
static struct pbuf *netif_vio_chain(const struct vio_net_rx *rx)
{
	struct pbuf *head = NULL, *tail = NULL;
	uint32_t left = rx->len;

	for (unsigned i = 0; i < rx->nparts; i++) {
		const struct vio_net_rx_part *part = &rx->parts[i];
		struct netif_slot *slot = part->cookie;
		struct pbuf *p;

		if (part->len == 0 && head) {
			netif_pool_put(slot);
			continue;
		}
		slot->pbuf.custom_free_function = netif_vio_pbuf_free;
		p = pbuf_alloced_custom(PBUF_RAW, (u16_t)part->len, PBUF_REF, &slot->pbuf,
					slot->va + part->off, (u16_t)part->len);
		/* linked by hand: pbuf_cat walks the chain each time */
		p->tot_len = (u16_t)left;
		left -= part->len;
		if (tail)
			tail->next = p;
		else
			head = p;
		tail = p;
	}
	return head;
}

static void netif_vio_rx_packet(void *port, const struct vio_net_rx *rx)
{
	struct netif_vio *nv = port;
	struct seg segs[VIO_NET_MERGE_MAX];
	struct pbuf *p;

	if (rx->len > PBUF_LEN_MAX || rx->nparts == 0 || rx->nparts > VIO_NET_MERGE_MAX) {
		netif_vio_rx_drop(nv, rx);
		return;
	}
	for (unsigned i = 0; i < rx->nparts; i++) {
		struct netif_slot *slot = rx->parts[i].cookie;

		segs[i] = (struct seg){
			.ptr = slot->va + rx->parts[i].off,
			.addr = slot->da + rx->parts[i].off,
			.len = rx->parts[i].len,
		};
	}
	if (nv->p.pcap)
		pcap_write_now(nv->p.pcap, segs, rx->nparts);
	if (rx->offload.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		if (vio_net_offload_finish(segs, rx->nparts, &rx->offload) != VIO_OK) {
			netif_vio_rx_drop(nv, rx);
			return;
		}
		nv->stats.rx_finished++;
	}
	if (nv->p.tap && nv->p.tap(nv->p.arg, span_of(segs[0].ptr, segs[0].len))) {
		for (unsigned i = 0; i < rx->nparts; i++)
			netif_pool_put(rx->parts[i].cookie);
		return;
	}
	nv->stats.rx_packets++;
	if (rx->len > nv->info.mtu + 18u) /* Ethernet header and a VLAN tag */
		nv->stats.rx_large++;

	p = netif_vio_chain(rx);
	if (nv->netif.input(p, &nv->netif) != ERR_OK)
		(void)pbuf_free(p);
}

/* ---- events ---- */

static void netif_vio_link(void *port, const struct vio_net_link *link)
{
	struct netif_vio *nv = port;

	if (nv->added && link->up)
		netif_set_link_up(&nv->netif);
	else if (nv->added)
		netif_set_link_down(&nv->netif);
	if (nv->p.event)
		nv->p.event(nv->p.arg, link, NULL);
}

static void netif_vio_announce(void *port)
{
	struct netif_vio *nv = port;

	if (nv->added && !ip4_addr_isany_val(*netif_ip4_addr(&nv->netif)))
		(void)etharp_gratuitous(&nv->netif);
}

static void netif_vio_broken(void *port, const char *why)
{
	struct netif_vio *nv = port;
	struct vio_net_link link;

	nv->broken = true;
	if (nv->p.event && nv->net) {
		vio_net_link_get(nv->net, &link);
		nv->p.event(nv->p.arg, &link, why);
	}
}

int netif_vio_mend(struct netif_vio *nv)
{
	if (!nv->broken)
		return VIO_OK;
	nv->broken = false;
	return vio_net_recover(nv->net);
}

bool netif_vio_turn(struct netif_vio *nv, unsigned events)
{
	bool more = vio_net_service(nv->net, events, TURN_BUDGET);

	if (nv->starved && nv->rx.n_free) {
		nv->starved = false;
		(void)vio_net_rx_fill(nv->net);
	}
	if (!netif_vio_push(nv)) {
		vio_net_flush(nv->net);
		/* armed: there will be an interrupt; room already: go on at once */
		if (vio_net_tx_arm(nv->net))
			more = true;
	} else if (nv->refused) {
		nv->refused = false;
		tcp_txnow();
		(void)netif_vio_push(nv);
	}
	vio_net_flush(nv->net);
	return more;
}

/* ---- life ---- */

static const struct vio_net_upcalls netif_vio_upcalls = {
	.rx_buffer = netif_vio_rx_buffer,
	.rx_packet = netif_vio_rx_packet,
	.rx_return = netif_vio_rx_return,
	.tx_done = netif_vio_tx_done,
	.link = netif_vio_link,
	.announce = netif_vio_announce,
	.broken = netif_vio_broken,
};

static err_t netif_vio_netif_init(struct netif *netif)
{
	struct netif_vio *nv = netif->state;

	netif->name[0] = 'v';
	netif->name[1] = 'n';
	netif->hwaddr_len = sizeof(nv->info.mac);
	memcpy(netif->hwaddr, nv->info.mac, sizeof(nv->info.mac));
	netif->mtu = nv->info.mtu;
	netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
	netif->output = etharp_output;
	netif->output_ip6 = ethip6_output;
	netif->linkoutput = netif_vio_linkoutput;
	return ERR_OK;
}

static int netif_vio_pools(struct netif_vio *nv)
{
	uint32_t len = nv->info.rx_buf_len;
	unsigned n = nv->info.rx_size + (len >= RX_BIG ? RX_SPARE_BIG : RX_SPARE);
	int err;

	if (n > RX_POOL_MAX / len)
		n = RX_POOL_MAX / len;
	err = netif_pool_init(&nv->rx, nv->p.os, n, len);
	if (err == VIO_OK)
		err = netif_pool_init(&nv->tx, nv->p.os, TX_SLOTS, TX_SLOT);
	return err;
}

int netif_vio_create(struct netif_vio **out, const struct netif_vio_params *params)
{
	struct netif_vio *nv = calloc(1, sizeof(*nv));
	int err;

	if (!nv)
		return VIO_ENOMEM;
	nv->p = *params;
	nv->p.net.tx_max_segs = TX_SEGS;
	nv->p.net.rx_max_segs = 1;
	err = vio_net_create(&nv->net, params->os, params->transport, &netif_vio_upcalls, nv,
			     &nv->p.net);
	if (err != VIO_OK) {
		free(nv);
		return err;
	}
	vio_net_info(nv->net, &nv->info);
	nv->max_segs = nv->info.tx_size / 2u < TX_SEGS ? nv->info.tx_size / 2u : TX_SEGS;
	netif_vio_clear(nv);

	err = netif_vio_pools(nv);
	if (err == VIO_OK) {
		nv->added = netif_add(&nv->netif, IP4_ADDR_ANY4, IP4_ADDR_ANY4, IP4_ADDR_ANY4, nv,
				      netif_vio_netif_init, ethernet_input) != NULL;
		if (!nv->added)
			err = VIO_ENOMEM;
	}
	if (err != VIO_OK) {
		(void)netif_vio_destroy(nv);
		return err;
	}
	netif_set_default(&nv->netif);
	*out = nv;
	return VIO_OK;
}

unsigned netif_vio_destroy(struct netif_vio *nv)
{
	unsigned lost;

	(void)netif_vio_stop(nv);
	if (nv->added)
		netif_remove(&nv->netif); /* ARP queues and the like */
	vio_net_destroy(nv->net);
	lost = netif_pool_fini(&nv->rx) + netif_pool_fini(&nv->tx);
	free(nv);
	return lost;
}

int netif_vio_start(struct netif_vio *nv)
{
	int err;

	netif_set_up(&nv->netif);
	err = vio_net_start(nv->net);
	if (err != VIO_OK)
		netif_set_down(&nv->netif);
	return err;
}

int netif_vio_stop(struct netif_vio *nv)
{
	int err = vio_net_stop(nv->net);

	netif_vio_release(nv->out.first);
	netif_vio_clear(nv);
	if (nv->added) {
		netif_set_link_down(&nv->netif);
		netif_set_down(&nv->netif);
	}
	return err;
}

unsigned netif_vio_outstanding(const struct netif_vio *nv)
{
	return netif_pool_out(&nv->rx) + netif_pool_out(&nv->tx);
}

struct vio_net *netif_vio_net(struct netif_vio *nv)
{
	return nv->net;
}

struct netif *netif_vio_netif(struct netif_vio *nv)
{
	return &nv->netif;
}

const struct vio_net_info *netif_vio_info(const struct netif_vio *nv)
{
	return &nv->info;
}

const struct netif_vio_stats *netif_vio_stats(const struct netif_vio *nv)
{
	return &nv->stats;
}
