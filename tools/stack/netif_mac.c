/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/stack/netif_mac.h"

#include <stdlib.h>
#include <string.h>

#include "common/cksum.h"
#include "tools/stack/pcap.h"
#include "tools/stack/tso.h"

#define QUEUE	    4096u /* received packets that wait for the loop; a power of two */
#define PACKET_SEGS 80u	  /* parts of a packet, either way */
#define HOLD_FRAMES 64u	  /* frames joined into one packet */
#define PBUF_MAX    65535u
#define TURN_BUDGET 256u
#define STATE_US    20000u

/* One received packet inside of lwIP: gone when the last of its pbufs is. */
struct rx_packet {
	struct __mbuf *packet;
	unsigned live;
	struct rx_packet *next_free;
};

struct rx_part {
	struct pbuf_custom pbuf; /* first, so it is the part */
	struct netif_mac *nm;
	struct rx_packet *of;
	struct rx_part *next_free;
};

/* The packet being built. */
struct tx_packet {
	struct tso tso;
	struct tso_frame frame;
	uint8_t hdr[TSO_HDR_MAX]; /* ours: lwIP keeps its own for sending again */
	struct seg segs[PACKET_SEGS];
	unsigned nsegs;
	struct pbuf *hold[HOLD_FRAMES];
	unsigned nhold;
	bool ready;
};

struct netif_mac {
	struct netif netif;
	struct netif_mac_params p;
	struct mac_if_state state;
	struct netif_mac_stats stats;
	struct tx_packet out;
	struct rx_part *parts;
	struct rx_packet *packets;
	unsigned held; /* packets inside of lwIP */
	uint64_t next_state;
	bool added;

	struct __mbuf *queue[QUEUE];
	unsigned head, tail; /* taken from, put to; tail - head waiting */
	uint64_t overruns;
};

static void store_be16(uint8_t at[2], uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* ---- transmit ---- */

static void tx_clear(struct netif_mac *nm)
{
	struct tx_packet *out = &nm->out;

	for (unsigned i = 0; i < out->nhold; i++)
		(void)pbuf_free(out->hold[i]);
	out->nhold = out->nsegs = 0;
	out->ready = false;
	tso_reset(&out->tso);
}

/* Room for a frame's bytes from off on? Then they are added, where they are. */
static bool tx_append(struct tx_packet *out, struct pbuf *p, uint32_t off)
{
	unsigned n = out->nsegs;

	if (out->nhold == HOLD_FRAMES)
		return false;
	for (struct pbuf *q = p; q; q = q->next) {
		uint32_t skip = off < q->len ? off : q->len;

		off -= skip;
		if (q->len == skip)
			continue;
		if (n == PACKET_SEGS)
			return false;
		out->segs[n++] = (struct seg){
			.ptr = (uint8_t *)q->payload + skip,
			.len = (uint32_t)q->len - skip,
		};
	}
	out->nsegs = n;
	pbuf_ref(p);
	out->hold[out->nhold++] = p;
	return true;
}

/* The field as the kernel's stack leaves it: the folded sum of the pseudo header. */
static void tx_partial_sum(struct tx_packet *out, uint32_t l4_len)
{
	const uint8_t *ip = out->hdr + 14;
	bool v6 = ip[0] >> 4 == 6;
	uint8_t proto = out->frame.kind == TSO_UDP ? 17 : 6;
	uint32_t sum = v6 ? cksum_pseudo6(ip + 8, ip + 24, proto, l4_len)
			  : cksum_pseudo4(ip + 12, ip + 16, proto, l4_len);
	uint8_t *field = out->hdr + out->frame.l4 + (proto == 17 ? 6 : 16);

	store_be16(field, cksum_fold(sum));
}

static bool tx_has_csum(const struct netif_mac *nm)
{
	const struct tx_packet *out = &nm->out;

	if (out->frame.kind == TSO_OTHER)
		return false;
	return out->hdr[14] >> 4 == 6 ? nm->state.csum6 : nm->state.csum4;
}

static void tx_push(struct netif_mac *nm)
{
	struct tx_packet *out = &nm->out;
	struct mac_send send = {.segs = out->segs};
	uint32_t len;

	if (!out->ready)
		return;
	if (tso_is_gso(&out->tso)) {
		tso_finish(&out->tso, out->hdr);
		send.flags = MAC_SEND_TSO | MAC_SEND_CSUM;
		send.mss = tso_mss(&out->tso);
		nm->stats.tx_tso++;
	} else if (tx_has_csum(nm)) {
		send.flags = MAC_SEND_CSUM;
	}
	len = (uint32_t)seg_total(out->segs, out->nsegs);
	if (send.flags) {
		tx_partial_sum(out, len - out->frame.l4);
		nm->stats.tx_csum++;
	}
	send.nsegs = out->nsegs;
	if (nm->p.pcap)
		pcap_write_now(nm->p.pcap, out->segs, out->nsegs);
	if (mac_if_send(nm->p.ifp, &send) == 0)
		nm->stats.tx_packets++;
	else
		nm->stats.tx_dropped++;
	tx_clear(nm);
}

static bool tx_wants_tso(const struct netif_mac *nm, enum tso_kind kind)
{
	return !nm->p.no_tso && ((kind == TSO_TCP4 && nm->state.tso4 && nm->state.csum4) ||
				 (kind == TSO_TCP6 && nm->state.tso6 && nm->state.csum6));
}

static err_t netif_mac_linkoutput(struct netif *netif, struct pbuf *p)
{
	struct netif_mac *nm = netif->state;
	struct tx_packet *out = &nm->out;
	uint8_t head[TSO_HDR_MAX];
	struct tso_frame frame;
	struct span hdr;

	hdr = span_of(head, pbuf_copy_partial(p, head, sizeof(head), 0));
	tso_classify(hdr, p->tot_len, &frame);
	nm->stats.tx_frames++;
	if (out->ready && out->nhold < HOLD_FRAMES && out->nsegs + 4 <= PACKET_SEGS &&
	    tso_join(&out->tso, hdr, &frame) && tx_append(out, p, frame.hdr_len)) {
		nm->stats.tx_joined++;
		return ERR_OK;
	}
	tx_push(nm);
	out->frame = frame;
	if (frame.kind != TSO_OTHER) {
		memcpy(out->hdr, head, frame.hdr_len);
		out->segs[0] = (struct seg){.ptr = out->hdr, .len = frame.hdr_len};
		out->nsegs = 1;
	}
	if (!tx_append(out, p, frame.kind != TSO_OTHER ? frame.hdr_len : 0)) {
		tx_clear(nm);
		nm->stats.tx_dropped++;
		return ERR_MEM;
	}
	out->ready = true;
	if (!tx_wants_tso(nm, frame.kind) || !tso_open(&out->tso, hdr, &frame, HOLD_FRAMES))
		tx_push(nm);
	return ERR_OK;
}

static bool netif_mac_send(void *nic, const void *frame, size_t len)
{
	struct netif_mac *nm = nic;
	struct seg seg = {.ptr = (uint8_t *)(uintptr_t)frame, .len = (uint32_t)len};
	const struct mac_send send = {.segs = &seg, .nsegs = 1};

	tx_push(nm);
	if (nm->p.pcap)
		pcap_write_now(nm->p.pcap, &seg, 1);
	return mac_if_send(nm->p.ifp, &send) == 0;
}

/* ---- receive: the Mac's side, inside of mac_if_wait() ---- */

static void netif_mac_input(void *arg, struct __mbuf *packet)
{
	struct netif_mac *nm = arg;

	if (nm->tail - nm->head == QUEUE) {
		nm->overruns++;
		mac_packet_free(packet);
		return;
	}
	nm->queue[nm->tail++ % QUEUE] = packet;
}

static struct __mbuf *netif_mac_next(struct netif_mac *nm)
{
	return nm->head != nm->tail ? nm->queue[nm->head++ % QUEUE] : NULL;
}

static void netif_mac_poll(void *nic)
{
	struct netif_mac *nm = nic;

	(void)mac_if_wait(nm->p.ifp, nm->p.pci, 0);
}

static void netif_mac_wait(void *nic, uint32_t timeout_us)
{
	struct netif_mac *nm = nic;

	if (nm->head == nm->tail)
		(void)mac_if_wait(nm->p.ifp, nm->p.pci, timeout_us);
}

/* ---- receive: lwIP's side ---- */

static void rx_part_free(struct pbuf *p)
{
	struct rx_part *part = (struct rx_part *)(void *)p;
	struct netif_mac *nm = part->nm;
	struct rx_packet *of = part->of;

	part->next_free = nm->parts;
	nm->parts = part;
	if (--of->live)
		return;
	mac_packet_free(of->packet);
	of->next_free = nm->packets;
	nm->packets = of;
	nm->held--;
}

static struct rx_part *rx_part_get(struct netif_mac *nm)
{
	struct rx_part *part = nm->parts;

	if (part)
		nm->parts = part->next_free;
	else
		part = calloc(1, sizeof(*part)); /* once: it is kept */
	return part;
}

static struct rx_packet *rx_packet_get(struct netif_mac *nm)
{
	struct rx_packet *of = nm->packets;

	if (of)
		nm->packets = of->next_free;
	else
		of = calloc(1, sizeof(*of));
	return of;
}

/* Write the checksum that lwIP is going to verify. Only what the driver vouched for. */
static void rx_finish(const struct seg *segs, unsigned nsegs, size_t len)
{
	uint8_t head[TSO_HDR_MAX];
	size_t have = len < sizeof(head) ? len : sizeof(head);
	struct tso_frame frame;
	uint32_t sum, l4_len;
	size_t field;
	bool v6, udp;
	uint8_t value[2] = {0, 0};
	uint16_t done;

	if (!seg_read(segs, nsegs, 0, head, have))
		return;
	tso_classify(span_of(head, have), (uint32_t)len, &frame);
	if (frame.kind == TSO_OTHER)
		return;
	udp = frame.kind == TSO_UDP;
	v6 = head[14] >> 4 == 6;
	l4_len = (uint32_t)len - frame.l4;
	field = frame.l4 + (udp ? 6u : 16u);
	sum = v6 ? cksum_pseudo6(head + 22, head + 38, udp ? 17 : 6, l4_len)
		 : cksum_pseudo4(head + 26, head + 30, udp ? 17 : 6, l4_len);
	if (!seg_write(segs, nsegs, field, value, 2) ||
	    !seg_cksum(segs, nsegs, frame.l4, l4_len, &sum))
		return;
	done = cksum_finish(sum);
	if (udp && done == 0)
		done = 0xffff;
	store_be16(value, done);
	(void)seg_write(segs, nsegs, field, value, 2);
}

/* False: no memory, or nothing in it; the packet is still the caller's. */
static struct pbuf *rx_chain(struct netif_mac *nm, struct __mbuf *packet, const struct seg *segs,
			     unsigned nsegs, size_t len)
{
	struct rx_packet *of = rx_packet_get(nm);
	struct pbuf *head = NULL, *tail = NULL;
	size_t left = len;

	if (!of)
		return NULL;
	*of = (struct rx_packet){.packet = packet};
	for (unsigned i = 0; i < nsegs; i++) {
		struct rx_part *part = rx_part_get(nm);
		struct pbuf *p;

		if (!part)
			break; /* what is there is freed by the caller, and the packet with it */
		part->nm = nm;
		part->of = of;
		part->pbuf.custom_free_function = rx_part_free;
		p = pbuf_alloced_custom(PBUF_RAW, (u16_t)segs[i].len, PBUF_REF, &part->pbuf,
					segs[i].ptr, (u16_t)segs[i].len);
		of->live++;
		p->tot_len = (u16_t)left;
		left -= segs[i].len;
		if (tail)
			tail->next = p;
		else
			head = p;
		tail = p;
	}
	if (!head) {
		of->next_free = nm->packets;
		nm->packets = of;
		return NULL;
	}
	nm->held++;
	return head;
}

static void rx_one(struct netif_mac *nm, struct __mbuf *packet)
{
	struct seg segs[PACKET_SEGS];
	size_t len = mac_packet_len(packet);
	unsigned nsegs = mac_packet_segs(packet, segs, PACKET_SEGS);
	struct pbuf *p;

	if (!nsegs || len > PBUF_MAX) {
		nm->stats.rx_dropped++;
		mac_packet_free(packet);
		return;
	}
	if (nm->p.pcap)
		pcap_write_now(nm->p.pcap, segs, nsegs);
	if (mac_packet_csum_good(packet)) {
		nm->stats.rx_good++;
		rx_finish(segs, nsegs, len);
	}
	if (stack_sees(nm->p.stack, span_of(segs[0].ptr, segs[0].len))) {
		mac_packet_free(packet);
		return;
	}
	nm->stats.rx_packets++;
	if (len > nm->state.mtu + 18u)
		nm->stats.rx_large++;
	p = rx_chain(nm, packet, segs, nsegs, len);
	if (!p) {
		nm->stats.rx_dropped++;
		mac_packet_free(packet);
	} else if (nm->netif.input(p, &nm->netif) != ERR_OK) {
		(void)pbuf_free(p);
	}
}

static bool netif_mac_turn(void *nic)
{
	struct netif_mac *nm = nic;
	struct __mbuf *packet;
	unsigned n = 0;

	while (n < TURN_BUDGET && (packet = netif_mac_next(nm)) != NULL) {
		rx_one(nm, packet);
		n++;
	}
	tx_push(nm);
	return n == TURN_BUDGET;
}

/* ---- life ---- */

static void netif_mac_look(struct netif_mac *nm)
{
	bool was = nm->state.link_active;

	mac_if_state(nm->p.ifp, &nm->state);
	nm->netif.mtu = (u16_t)nm->state.mtu;
	if (nm->state.link_active == was)
		return;
	if (nm->state.link_active)
		netif_set_link_up(&nm->netif);
	else
		netif_set_link_down(&nm->netif);
	if (nm->p.event)
		nm->p.event(nm->p.arg, &nm->state);
}

static void netif_mac_tick(void *nic, uint64_t now)
{
	struct netif_mac *nm = nic;

	if (now < nm->next_state)
		return;
	nm->next_state = now + STATE_US;
	netif_mac_look(nm);
}

static int netif_mac_mend(void *nic)
{
	struct netif_mac *nm = nic;

	return mac_if_gone(nm->p.ifp) ? VIO_ENODEV : VIO_OK;
}

static bool netif_mac_link_up(void *nic)
{
	return ((struct netif_mac *)nic)->state.link_active;
}

static uint64_t netif_mac_received(const void *nic)
{
	return ((const struct netif_mac *)nic)->stats.rx_packets;
}

static const uint8_t *netif_mac_mac(const void *nic)
{
	return ((const struct netif_mac *)nic)->state.mac;
}

static struct netif *netif_mac_netif(void *nic)
{
	return &((struct netif_mac *)nic)->netif;
}

static const char *netif_mac_why(void *nic)
{
	struct netif_mac *nm = nic;

	return mac_if_gone(nm->p.ifp) ? "the interface is gone" : NULL;
}

static int netif_mac_start(void *nic)
{
	struct netif_mac *nm = nic;

	netif_set_up(&nm->netif);
	mac_if_input(nm->p.ifp, netif_mac_input, nm);
	if (mac_if_up(nm->p.ifp) != 0) {
		netif_set_down(&nm->netif);
		return VIO_EDEV;
	}
	netif_mac_look(nm);
	return VIO_OK;
}

static void netif_mac_drain(struct netif_mac *nm)
{
	struct __mbuf *packet;

	while ((packet = netif_mac_next(nm)) != NULL)
		mac_packet_free(packet);
}

static unsigned netif_mac_stop(void *nic)
{
	struct netif_mac *nm = nic;

	tx_clear(nm);
	if (!mac_if_gone(nm->p.ifp))
		(void)mac_if_down(nm->p.ifp);
	mac_if_input(nm->p.ifp, NULL, NULL);
	netif_mac_drain(nm);
	if (nm->added) {
		netif_set_link_down(&nm->netif);
		netif_set_down(&nm->netif);
	}
	return nm->held;
}

static unsigned netif_mac_destroy(void *nic)
{
	struct netif_mac *nm = nic;
	unsigned held;

	(void)netif_mac_stop(nm);
	if (nm->added)
		netif_remove(&nm->netif);
	held = nm->held;
	if (held)
		return held; /* lwIP still looks into it */
	while (nm->parts) {
		struct rx_part *part = nm->parts;

		nm->parts = part->next_free;
		free(part);
	}
	while (nm->packets) {
		struct rx_packet *of = nm->packets;

		nm->packets = of->next_free;
		free(of);
	}
	free(nm);
	return 0;
}

static const struct stack_nic_ops netif_mac_ops = {
	.start = netif_mac_start,
	.stop = netif_mac_stop,
	.destroy = netif_mac_destroy,
	.turn = netif_mac_turn,
	.mend = netif_mac_mend,
	.tick = netif_mac_tick,
	.send = netif_mac_send,
	.link_up = netif_mac_link_up,
	.received = netif_mac_received,
	.mac = netif_mac_mac,
	.netif = netif_mac_netif,
	.why = netif_mac_why,
	.poll = netif_mac_poll,
	.wait = netif_mac_wait,
};

static err_t netif_mac_init(struct netif *netif)
{
	struct netif_mac *nm = netif->state;

	netif->name[0] = 'e';
	netif->name[1] = 'n';
	netif->hwaddr_len = sizeof(nm->state.mac);
	memcpy(netif->hwaddr, nm->state.mac, sizeof(nm->state.mac));
	netif->mtu = (u16_t)nm->state.mtu;
	netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
	netif->output = etharp_output;
	netif->output_ip6 = ethip6_output;
	netif->linkoutput = netif_mac_linkoutput;
	return ERR_OK;
}

int netif_mac_create(struct netif_mac **out, const struct netif_mac_params *params,
		     const struct stack_params *stack)
{
	struct netif_mac *nm = calloc(1, sizeof(*nm));

	if (!nm)
		return VIO_ENOMEM;
	nm->p = *params;
	stack_init();
	stack_lock();
	mac_if_state(nm->p.ifp, &nm->state);
	nm->state.link_active = false;
	nm->added = netif_add(&nm->netif, IP4_ADDR_ANY4, IP4_ADDR_ANY4, IP4_ADDR_ANY4, nm,
			      netif_mac_init, ethernet_input) != NULL;
	if (nm->added)
		netif_set_default(&nm->netif);
	stack_unlock();
	if (!nm->added) {
		free(nm);
		return VIO_ENOMEM;
	}
	stack_create_on(params->stack, stack, &netif_mac_ops, nm);
	*out = nm;
	return VIO_OK;
}

const struct netif_mac_stats *netif_mac_stats(const struct netif_mac *nm)
{
	return &nm->stats;
}
