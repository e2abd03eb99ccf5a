/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The other end of the wire, in this process: a datagram socket pair whose one half is QEMU's.
 *
 * It answers ARP and ICMP echo (fragments too: an answer is the request with addresses exchanged
 * and the type changed, which needs no reassembly), counts what it sees, and sends what a test
 * wants to see received or filtered. Frames are as on a wire: no virtio header.
 */
#ifndef TESTS_QEMU_PEER_H
#define TESTS_QEMU_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PEER_IP                                                                                    \
	{                                                                                          \
		10, 9, 8, 1                                                                        \
	}
#define PEER_GUEST                                                                                 \
	{                                                                                          \
		10, 9, 8, 2                                                                        \
	}
#define PEER_MAX 65562u

struct peer {
	int fd;	     /* ours */
	int qemu_fd; /* for nic_opts.fd and the netdev */
	char netdev[64];
	uint8_t mac[6];
	bool deaf; /* takes nothing off the wire: QEMU's queue fills up */

	unsigned flood; /* frames to send each turn, as many as the wire takes */
	uint32_t flood_len;
	uint64_t flooded;
	uint8_t flood_to[6];

	uint64_t frames, answers;
	/* Every frame from the guest, before it is answered. May be NULL. */
	void (*frame)(void *arg, const uint8_t *frame, uint32_t len);
	void *frame_arg;
};

void peer_open(struct peer *p);
void peer_close(struct peer *p);
/* For nic.turn. */
void peer_turn(void *arg);
/* False: the wire is full. */
bool peer_send(struct peer *p, const void *frame, size_t len);

/* A frame of an experimental protocol; byte 14 is tag. vlan 0: untagged. Its length. */
#define PEER_TYPE 0x88b5u
uint32_t peer_frame(const struct peer *p, const uint8_t to[6], uint16_t vlan, uint8_t tag,
		    uint32_t len, uint8_t *frame);

#endif
