/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Transmission: chains out of the transmit queue, their header read, the frame handed on.
 *
 * The header may be spread over descriptors as the driver likes (with VERSION_1 or ANY_LAYOUT), so
 * it is copied out first; the rest of the chain is the frame. It goes to the harness, and back in
 * through model_receive in loopback mode. Only the monitor looks at its contents.
 *
 * A batch is taken, then published at once, in order or (odd.reorder) backwards.
 */
#include <string.h>

#include "model/internal.h"

static uint16_t hdr16(const struct model *m, const uint8_t *p)
{
	vio16 v;

	memcpy(&v, p, 2);
	return model_get16(m, v);
}

static void hdr_parse(const struct model *m, const uint8_t *raw, struct model_hdr *hdr)
{
	hdr->flags = raw[0];
	hdr->gso_type = raw[1];
	hdr->hdr_len = hdr16(m, raw + 2);
	hdr->gso_size = hdr16(m, raw + 4);
	hdr->csum_start = hdr16(m, raw + 6);
	hdr->csum_offset = hdr16(m, raw + 8);
	hdr->num_buffers = m->hdr_len >= 12 ? hdr16(m, raw + 10) : 0;
}

/* Take n bytes off the front of a list; false if it has fewer. */
static bool take(struct seg **segs, unsigned *nsegs, uint8_t *out, size_t n)
{
	while (n) {
		size_t part;

		if (*nsegs == 0)
			return false;
		part = (*segs)->len < n ? (*segs)->len : n;
		memcpy(out, (*segs)->ptr, part);
		out += part;
		n -= part;
		(*segs)->ptr += part;
		(*segs)->addr += part;
		(*segs)->len -= (uint32_t)part;
		if ((*segs)->len == 0) {
			(*segs)++;
			(*nsegs)--;
		}
	}
	return true;
}

static void bad_packet(struct model *m, const char *why)
{
	m->net.tx_bad++;
	if (m->mon)
		norm_broken(m, NORM_NT_1, why);
}

static void transmit(struct model *m, struct model_chain *c)
{
	struct model_frame f = {.out_descs = c->descs, .indirect = c->indirect};
	struct seg *segs = c->segs;
	unsigned nsegs = c->nout;
	uint8_t raw[VIRTIO_NET_HDR_LEN] = {0};
	uint64_t len = c->out_len - m->hdr_len;

	if (m->mon && m->legacy && !model_has(m, VIRTIO_F_ANY_LAYOUT)) {
		norm_check(m, NORM_LG_24, nsegs > 1 && segs[0].len == m->hdr_len,
			   "first descriptor is not the header alone");
		norm_ok(m, NORM_LG_22);
	}
	if (c->nin) {
		bad_packet(m, "writable descriptors on the transmit queue");
		return;
	}
	if (c->out_len < m->hdr_len + (uint64_t)ETH_HLEN || len > MODEL_FRAME_MAX) {
		bad_packet(m, "shorter than a header and Ethernet, or too long");
		return;
	}
	if (m->mon)
		norm_ok(m, NORM_NT_1);
	if (!take(&segs, &nsegs, raw, m->hdr_len))
		return;
	hdr_parse(m, raw, &f.hdr);
	f.segs = segs;
	f.nsegs = nsegs;
	f.len = (uint32_t)len;
	if (m->opt.gather || m->mon || m->opt.loopback) {
		if (nsegs == 1) {
			f.data = segs[0].ptr;
		} else {
			seg_read(segs, nsegs, 0, m->gather, len);
			f.data = m->gather;
		}
	}
	if (m->mon)
		model_check_tx(m, c, &f.hdr, f.data, len);
	m->net.tx_packets++;
	m->net.tx_bytes += len;
	if (m->hook.tx)
		m->hook.tx(m->hook.ctx, &f);
	if (m->opt.loopback)
		model_receive(m, &f.hdr, f.data, len);
}

static bool process_tx(struct model *m, struct model_queue *q)
{
	uint16_t heads[MODEL_BATCH];
	bool worked = false;

	while (m->running) {
		uint16_t n = model_ring_avail(m, q), done = 0;

		if (m->opt.odd.tx_slow && n > 1)
			n /= 2;
		if (n > MODEL_BATCH || (m->opt.odd.irq_always && n > 1))
			n = m->opt.odd.irq_always ? 1 : MODEL_BATCH;
		if (n == 0)
			break;
		while (done < n) {
			struct model_chain c;

			if (!model_ring_fetch(m, q, 0, &c))
				break;
			q->last_avail++;
			heads[done++] = c.head;
			q->chains++;
			transmit(m, &c);
			if (!q->enabled)
				return true; /* reset from inside the hook */
			if (m->hostile.rate && model_mut(m, MODEL_MUT_USED_SKIP)) {
				model_mut_note(m, MODEL_MUT_USED_SKIP, 1u << 16 | c.head, 0, 0);
				done--;
				n--;
			}
		}
		worked = true;
		if (done == 0)
			break;
		for (uint16_t i = 0; i < done; i++) {
			uint16_t from = m->opt.odd.reorder ? (uint16_t)(done - 1 - i) : i;
			uint32_t len = m->opt.odd.out_len ? 0x5a5au : 0;

			model_ring_used(m, q, i, heads[from], len);
		}
		if (m->mon && m->opt.odd.out_len && m->legacy)
			m->watch.legacy_garbage_len = true;
		model_ring_publish(m, q, done);
		model_ring_signal(m, q);
		if (m->opt.odd.tx_slow)
			break;
	}
	return worked;
}

/* A queue that sends, or commands: all that is there, then ask to be told of more. */
bool model_net_process(struct model *m, struct model_queue *q)
{
	bool worked = false, some;

	do {
		some = q->index == VIRTIO_NET_QUEUE_TX ? process_tx(m, q)
						       : model_ctrl_process(m, q);
		worked |= some;
		if (!q->enabled || !m->running || q->quiet)
			break;
		if (some || q->flags_shown || (m->event_idx && q->event_shown != q->last_avail))
			model_ring_want(m, q, true);
		/* Asked, with a barrier: what came before that would never be told. */
	} while (some && !m->opt.odd.tx_slow && model_ring_avail(m, q) != 0);
	return worked;
}
