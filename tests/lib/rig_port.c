/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rig as a network stack: packet buffers with owners, upcalls, sending.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/lib/rig_internal.h"

#define MAGIC  0x7a3c51d9u
#define POISON 0xdb

bool rig_packets_create(struct rig *r)
{
	uint32_t room = (uint32_t)(r->pool_len / r->npackets);

	r->packets = calloc(r->npackets, sizeof(*r->packets));
	if (r->packets == NULL)
		return false;
	for (unsigned i = r->npackets; i-- > 0;) {
		struct packet *p = &r->packets[i];

		p->magic = MAGIC;
		p->rx = i < r->opts.rx_buffers;
		p->mem = r->arena + (size_t)i * room;
		p->da = r->da_base + (uint64_t)i * room;
		p->room = room;
		p->next = p->rx ? r->rx_free : r->tx_free;
		*(p->rx ? &r->rx_free : &r->tx_free) = p;
	}
	return true;
}

/* The packet of a cookie that may come back now, NULL and a failure otherwise. */
static struct packet *returned(struct rig *r, void *cookie, bool rx)
{
	struct packet *p = cookie;

	if (p < r->packets || p >= r->packets + r->npackets ||
	    ((uintptr_t)p - (uintptr_t)r->packets) % sizeof(*p) || p->magic != MAGIC) {
		rig_fail(r, "unknown cookie", (uintptr_t)cookie);
		return NULL;
	}
	if (p->rx != rx) {
		rig_fail(r, "cookie of the other direction", (uint64_t)(p - r->packets));
		return NULL;
	}
	if (p->owner != OWNER_DRIVER) {
		rig_fail(r, "cookie came back twice", (uint64_t)(p - r->packets));
		return NULL;
	}
	if (rx)
		r->n.rx_with_driver--;
	else
		r->n.tx_with_driver--;
	return p;
}

static void give_back(struct rig *r, struct packet *p)
{
	if (model_owns(r->model, p->da, p->room)) {
		model_attest(r->model, NORM_CL_2, false, "buffer returned while the device has it");
		rig_fail(r, "buffer returned while the device has it", p->da);
	}
	p->owner = OWNER_PORT;
	p->next = p->rx ? r->rx_free : r->tx_free;
	*(p->rx ? &r->rx_free : &r->tx_free) = p;
}

void rig_log_frame(struct rig *r, bool sent, const struct rig_frame *frame)
{
	unsigned *n = sent ? &r->nsent : &r->ngot;
	struct rig_frame *at = sent ? r->sent : r->got;
	uint8_t *copy;

	if (!r->opts.keep_frames || *n == (sent ? RIG_TX_LOG : RIG_RX_LOG))
		return;
	copy = malloc(frame->len ? frame->len : 1);
	if (copy == NULL)
		return;
	memcpy(copy, frame->data, frame->len);
	at[*n] = *frame;
	at[*n].data = copy;
	(*n)++;
}

/* ---- upcalls ---- */

/* Cut [mem, mem + len) into n segments; the first ones a little shorter, none empty. */
static unsigned cut(struct rig *r, struct seg *segs, unsigned n, uint8_t *mem, uint32_t len,
		    uint32_t seg_len)
{
	unsigned i = 0;

	if (seg_len == 0)
		seg_len = (len + n - 1) / (n ? n : 1);
	if (seg_len == 0)
		seg_len = 1;
	while (len && i < RIG_SEGS_MAX) {
		uint32_t part = len < seg_len || i == RIG_SEGS_MAX - 1 ? len : seg_len;

		segs[i++] = (struct seg){mem, rig_da(r, mem), part};
		mem += part;
		len -= part;
	}
	return i;
}

static bool up_rx_buffer(void *port, struct vio_net_rxbuf *buf)
{
	struct rig *r = port;
	struct packet *p = r->rx_free;
	struct seg segs[RIG_SEGS_MAX];
	struct vio_net_info info;
	uint32_t len = p ? p->room : 0;

	if (p == NULL || r->starving)
		return false;
	if (buf->max_segs == 0 || buf->segs == NULL) {
		rig_fail(r, "rx_buffer without room for segments", buf->max_segs);
		return false;
	}
	if (r->net) {
		vio_net_info(r->net, &info);
		if (info.rx_buf_len > p->room) {
			rig_fail(r, "larger receive buffers wanted than rx_buf_max",
				 info.rx_buf_len);
			return false;
		}
		len = info.rx_buf_len;
	}
	buf->nsegs = cut(r, segs, r->opts.rx_segs < buf->max_segs ? r->opts.rx_segs : buf->max_segs,
			 p->mem, len, 0);
	memcpy(buf->segs, segs, buf->nsegs * sizeof(segs[0]));
	buf->cookie = p;
	memset(p->mem, POISON, len < 256 ? len : 256);
	r->rx_free = p->next;
	p->owner = OWNER_DRIVER;
	p->len = len;
	r->n.rx_given++;
	r->n.rx_with_driver++;
	return true;
}

static void up_rx_packet(void *port, const struct vio_net_rx *packet)
{
	static uint8_t flat[VIO_NET_MERGE_MAX * RIG_FRAME_ROOM];
	struct rig *r = port;
	struct rig_frame f = {.offload = packet->offload, .parts = packet->nparts};
	uint64_t sum = 0;

	for (unsigned i = 0; i < packet->nparts; i++) {
		const struct vio_net_rx_part *part = &packet->parts[i];
		struct packet *p = returned(r, part->cookie, true);

		if (p == NULL)
			continue;
		if (part->off > p->len || p->len - part->off < part->len)
			rig_fail(r, "part outside its buffer", part->off);
		else if (sum + part->len <= sizeof(flat))
			memcpy(flat + sum, p->mem + part->off, part->len);
		sum += part->len;
		give_back(r, p);
	}
	if (sum != packet->len)
		rig_fail(r, "packet length is not the sum of its parts", packet->len);
	r->n.rx_packets++;
	r->n.rx_parts += packet->nparts;
	f.len = packet->len < sizeof(flat) ? packet->len : 0;
	f.data = flat;
	rig_log_frame(r, false, &f);
}

static void up_rx_return(void *port, void *cookie, int status)
{
	struct rig *r = port;
	struct packet *p = returned(r, cookie, true);

	if (p == NULL)
		return;
	if (status == VIO_EDEV) {
		p->owner = OWNER_LOST;
		r->n.rx_lost++;
		return;
	}
	if (status != VIO_OK)
		rig_fail(r, "rx_return with a status it cannot have", (uint64_t)-status);
	r->n.rx_returned++;
	give_back(r, p);
}

static void up_tx_done(void *port, void *cookie, int status)
{
	struct rig *r = port;
	struct packet *p = returned(r, cookie, false);

	if (p == NULL)
		return;
	if (status == VIO_EDEV) {
		p->owner = OWNER_LOST;
		r->n.tx_lost++;
		return;
	}
	if (status == VIO_OK)
		r->n.tx_ok++;
	else if (status == VIO_EAGAIN)
		r->n.tx_again++;
	else
		rig_fail(r, "tx_done with a status it cannot have", (uint64_t)-status);
	give_back(r, p);
}

static void up_link(void *port, const struct vio_net_link *link)
{
	struct rig *r = port;

	r->n.links++;
	r->link = *link;
}

static void up_announce(void *port)
{
	struct rig *r = port;

	r->n.announces++;
	model_attest(r->model, NORM_NX_9, true, "");
}

static void up_broken(void *port, const char *why)
{
	struct rig *r = port;

	r->n.brokens++;
	r->why = why;
	r->recover_wanted = true;
}

const struct vio_net_upcalls rig_upcalls = {
	.rx_buffer = up_rx_buffer,
	.rx_packet = up_rx_packet,
	.rx_return = up_rx_return,
	.tx_done = up_tx_done,
	.link = up_link,
	.announce = up_announce,
	.broken = up_broken,
};

/* ---- sending ---- */

int rig_send_ex(struct rig *r, const struct rig_tx *tx)
{
	struct packet *p = r->tx_free;
	struct seg segs[RIG_SEGS_MAX];
	struct vio_net_tx t = {
		.segs = segs,
		.flags = tx->flags,
		.headroom = tx->headroom,
		.mss = tx->mss,
		.vlan_tci = tx->vlan_tci,
		.offload = tx->offload,
		.cookie = p,
	};
	int status;

	if (p == NULL)
		return VIO_ENOMEM;
	if (tx->len + tx->headroom > p->room)
		return VIO_EINVAL;
	memcpy(p->mem + tx->headroom, tx->frame, tx->len);
	t.nsegs = cut(r, segs, tx->nsegs ? tx->nsegs : 1, p->mem + tx->headroom, (uint32_t)tx->len,
		      tx->seg_len);
	p->len = (uint32_t)tx->len;
	r->tx_free = p->next;
	p->owner = OWNER_DRIVER;
	r->n.tx_with_driver++;
	r->n.tx_sent++;
	status = vio_net_send(r->net, &t);
	if (status != VIO_OK) {
		/* It remains ours. */
		if (p->owner != OWNER_DRIVER) {
			rig_fail(r, "send failed and tx_done came too", (uint64_t)-status);
			return status;
		}
		r->n.tx_sent--;
		r->n.tx_with_driver--;
		give_back(r, p);
	}
	return status;
}

int rig_send(struct rig *r, const void *frame, size_t len, unsigned flags, uint16_t mss)
{
	struct rig_tx tx = {.frame = frame, .len = len, .flags = flags, .mss = mss};
	int status = rig_send_ex(r, &tx);

	vio_net_flush(r->net);
	rig_pump(r);
	return status;
}
