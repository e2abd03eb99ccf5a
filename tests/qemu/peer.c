/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "tests/qemu/peer.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cksum.h"
#include "tests/qemu/nic.h"
#include "wire/net.h"

#define TURN_FRAMES 64
#define SOCKET_BUF  (1 << 20)

void peer_open(struct peer *p)
{
	static const uint8_t ip[4] = PEER_IP;
	int fds[2], size = SOCKET_BUF;

	*p = (struct peer){.mac = {0x02, 0x10, 0, 0, 0, ip[3]}, .flood_len = 64};
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	p->fd = fds[0];
	p->qemu_fd = fds[1];
	(void)snprintf(p->netdev, sizeof(p->netdev),
		       "dgram,id=" NIC_NETDEV ",local.type=fd,local.str=%d", p->qemu_fd);
}

void peer_close(struct peer *p)
{
	(void)close(p->fd);
	(void)close(p->qemu_fd);
}

bool peer_send(struct peer *p, const void *frame, size_t len)
{
	return send(p->fd, frame, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len;
}

uint32_t peer_frame(const struct peer *p, const uint8_t to[6], uint16_t vlan, uint8_t tag,
		    uint32_t len, uint8_t *f)
{
	uint32_t at = 12;

	memcpy(f, to, 6);
	memcpy(f + 6, p->mac, 6);
	if (vlan) {
		f[at++] = ETH_TYPE_VLAN >> 8;
		f[at++] = ETH_TYPE_VLAN & 0xff;
		f[at++] = (uint8_t)(vlan >> 8);
		f[at++] = (uint8_t)vlan;
	}
	f[at++] = PEER_TYPE >> 8;
	f[at++] = PEER_TYPE & 0xff;
	memset(f + at, tag, len - at);
	return len;
}

/* A request becomes its answer. */
static bool peer_answer(const struct peer *p, uint8_t *f, uint32_t len)
{
	static const uint8_t ip[4] = PEER_IP;
	uint8_t *arp = f + ETH_HLEN, *v4 = f + ETH_HLEN, tmp[4];
	uint32_t sum;

	if (len >= 42 && f[12] == 8 && f[13] == 6 && arp[7] == 1 && !memcmp(arp + 24, ip, 4)) {
		arp[7] = 2;
		memcpy(arp + 18, arp + 8, 10);
		memcpy(arp + 8, p->mac, 6);
		memcpy(arp + 14, ip, 4);
	} else if (len >= 34 && f[12] == 8 && f[13] == 0 && v4[0] == 0x45 && v4[9] == 1 &&
		   !memcmp(v4 + 16, ip, 4)) {
		memcpy(tmp, v4 + 12, 4);
		memcpy(v4 + 12, v4 + 16, 4);
		memcpy(v4 + 16, tmp, 4);
		if (!((v4[6] & 0x1f) | v4[7])) {
			if (len < 42 || v4[20] != 8)
				return false;
			/* RFC 1624: the first word of the message was 0x0800 and is 0 now. */
			sum = (uint32_t)(v4[22] << 8 | v4[23]) + 0x0800;
			sum = cksum_fold(sum);
			v4[20] = 0;
			v4[22] = (uint8_t)(sum >> 8);
			v4[23] = (uint8_t)sum;
		}
	} else {
		return false;
	}
	memcpy(f, f + 6, 6);
	memcpy(f + 6, p->mac, 6);
	return true;
}

void peer_turn(void *arg)
{
	static uint8_t frame[PEER_MAX];
	struct peer *p = arg;

	for (int i = 0; i < TURN_FRAMES && !p->deaf; i++) {
		ssize_t n = recv(p->fd, frame, sizeof(frame), MSG_DONTWAIT);

		if (n <= 0)
			break;
		p->frames++;
		if (p->frame)
			p->frame(p->frame_arg, frame, (uint32_t)n);
		if (peer_answer(p, frame, (uint32_t)n) && peer_send(p, frame, (size_t)n))
			p->answers++;
	}
	for (unsigned i = 0; i < p->flood; i++) {
		(void)peer_frame(p, p->flood_to, 0, (uint8_t)p->flooded, p->flood_len, frame);
		if (!peer_send(p, frame, p->flood_len))
			break;
		p->flooded++;
	}
}
