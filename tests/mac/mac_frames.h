/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hand-made TCP and UDP packets, as a stack hands them to a network card and as they must leave it.
 */
#ifndef TESTS_MAC_MAC_FRAMES_H
#define TESTS_MAC_MAC_FRAMES_H

#include "tests/mac/mac_rig.h"
#include "tests/qemu/craft.h"

#define MAC_PIECES 160u

struct mac_frame {
	struct craft c;
	uint8_t *frame; /* sums as a stack leaves them: IP's made, of TCP and UDP the pseudo sum */
	unsigned n;	/* of what must be on the wire */
	uint8_t *piece[MAC_PIECES];
	size_t len[MAC_PIECES];
};

/* c without its last three members; from the Mac to somebody, or the other way. */
void mac_frame_make(struct mac_frame *f, const struct craft *c, const uint8_t mac[6], bool to_mac,
		    unsigned nth);
void mac_frame_free(struct mac_frame *f);
/* The virtio header that says what is left to do: a checksum, and cutting up if it has an MSS. */
struct model_hdr mac_frame_header(const struct mac_frame *f);
/* Send it (with the offload it needs), waiting while there are no mbufs. The error otherwise. */
int mac_frame_send(struct mac_rig *r, const struct mac_frame *f, const struct mac_send *how);
/* What the model got is this packet, nothing changed, with the right header. Frees got->data. */
void mac_frame_check(const struct mac_frame *f, struct board_frame *got, const char *what);
/* Each piece has right sums and lengths, and together they have the payload. */
void mac_frame_check_pieces(const struct mac_frame *f);

#endif
