/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/mac/mac_frames.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "wire/net.h"

#define TCP_SUM_OFF 16u
#define UDP_SUM_OFF 6u
#define MBUFS_MS    5000u

static const uint8_t peer_mac[6] = {0x52, 0x54, 0, 0x99, 0x99, 0x99};
static const uint8_t ip4[2][4] = {{10, 77, 0, 2}, {10, 77, 0, 7}};
static const uint8_t ip6[2][16] = {{0xfd, 0x77, [15] = 2}, {0xfd, 0x77, [15] = 7}};

static void keep_piece(void *arg, const uint8_t *frame, size_t len)
{
	struct mac_frame *f = arg;

	CHECK(f->n < MAC_PIECES);
	f->piece[f->n] = malloc(len);
	CHECK(f->piece[f->n] != NULL);
	memcpy(f->piece[f->n], frame, len);
	f->len[f->n++] = len;
}

void mac_frame_make(struct mac_frame *f, const struct craft *c, const uint8_t mac[6], bool to_mac,
		    unsigned nth)
{
	struct craft_ends here = {mac, ip4[0], ip6[0], 1000};
	struct craft_ends there = {peer_mac, ip4[1], ip6[1], 2000};

	memset(f, 0, sizeof(*f));
	f->c = *c;
	f->frame = malloc(CRAFT_MAX);
	CHECK(f->frame != NULL);
	craft_frame(&f->c, to_mac ? &there : &here, to_mac ? &here : &there, nth, f->frame);
	/* Leaves the sums of the whole packet in it. */
	CHECK(craft_complete(&f->c, f->frame, keep_piece, f) == f->n && f->n > 0);
	mac_frame_check_pieces(f);
}

void mac_frame_free(struct mac_frame *f)
{
	for (unsigned i = 0; i < f->n; i++)
		free(f->piece[i]);
	free(f->frame);
	memset(f, 0, sizeof(*f));
}

static bool is_cut(const struct craft *c)
{
	return c->mss && c->payload > c->mss;
}

struct model_hdr mac_frame_header(const struct mac_frame *f)
{
	struct model_hdr hdr = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = f->c.l4,
		.csum_offset = f->c.udp ? UDP_SUM_OFF : TCP_SUM_OFF,
	};

	if (!is_cut(&f->c))
		return hdr;
	hdr.gso_type = f->c.v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	if (f->c.tcp_flags & TCP_FLAG_CWR)
		hdr.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	hdr.gso_size = f->c.mss;
	hdr.hdr_len = f->c.hdr_len;
	return hdr;
}

int mac_frame_send(struct mac_rig *r, const struct mac_frame *f, const struct mac_send *how)
{
	const struct timespec nap = {.tv_nsec = 1000000};
	struct seg seg = {.ptr = f->frame, .len = f->c.len};
	struct mac_send send = how ? *how : (struct mac_send){0};
	int err;

	send.segs = &seg;
	send.nsegs = 1;
	send.flags = f->c.mss ? MAC_SEND_CSUM | MAC_SEND_TSO : MAC_SEND_CSUM;
	send.mss = f->c.mss;
	for (unsigned i = 0; i < MBUFS_MS; i++) {
		err = mac_if_send(r->ifp[0], &send);
		if (err != -ENOBUFS)
			break;
		(void)nanosleep(&nap, NULL);
	}
	return err;
}

void mac_frame_check(const struct mac_frame *f, struct board_frame *got, const char *what)
{
	struct model_hdr want = mac_frame_header(f);
	const struct model_hdr *h = &got->hdr;

	CHECK_MSG(got->len == f->c.len, "%s, %s: %u bytes instead of %u", f->c.name, what, got->len,
		  f->c.len);
	CHECK_MSG(h->flags == want.flags && h->csum_start == want.csum_start &&
			  h->csum_offset == want.csum_offset,
		  "%s, %s: wrong checksum request: flags %u, start %u, offset %u", f->c.name, what,
		  h->flags, h->csum_start, h->csum_offset);
	CHECK_MSG(h->gso_type == want.gso_type && h->gso_size == want.gso_size,
		  "%s, %s: wrong segmentation: type %u, size %u", f->c.name, what, h->gso_type,
		  h->gso_size);
	CHECK_MSG(h->hdr_len == want.hdr_len, "%s, %s: wrong hdr_len %u, not %u", f->c.name, what,
		  h->hdr_len, want.hdr_len);
	for (uint32_t i = 0; i < got->len; i++)
		CHECK_MSG(got->data[i] == f->frame[i], "%s, %s: wrong byte %u of %u", f->c.name,
			  what, i, got->len);
	free(got->data);
	got->data = NULL;
}

static uint32_t word(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

void mac_frame_check_pieces(const struct mac_frame *f)
{
	const struct craft *c = &f->c;
	uint32_t at = 0, seq0 = word(f->frame + c->l4 + 4) << 16 | word(f->frame + c->l4 + 6);

	for (unsigned i = 0; i < f->n; i++) {
		const uint8_t *p = f->piece[i];
		size_t part = f->len[i] - c->hdr_len;

		CHECK(f->len[i] >= c->hdr_len && part <= c->payload - at);
		CHECK(!is_cut(c) || part <= c->mss);
		CHECK(model_sums_right(p, f->len[i]));
		CHECK(word(p + c->l3 + (c->v6 ? 4 : 2)) ==
		      f->len[i] - c->l3 - (c->v6 ? sizeof(struct ipv6_hdr) : 0));
		CHECK(c->udp || (word(p + c->l4 + 4) << 16 | word(p + c->l4 + 6)) == seq0 + at);
		CHECK(memcmp(p + c->hdr_len, f->frame + c->hdr_len + at, part) == 0);
		at += (uint32_t)part;
	}
	CHECK(at == c->payload);
}
