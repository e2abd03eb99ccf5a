/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "tests/mac/mac_wire.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCKET_BUF (1 << 20)
#define SMALLEST   60u /* QEMU fills up shorter frames */

void mac_wire_open(struct mac_wire *w)
{
	int fds[2], size = SOCKET_BUF;

	CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds) == 0);
	for (unsigned i = 0; i < 2; i++)
		CHECK(setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == 0);
	w->fd = fds[0];
	w->qemu_fd = fds[1];
	(void)snprintf(w->netdev, sizeof(w->netdev), "dgram,id=n0,local.type=fd,local.str=%d",
		       w->qemu_fd);
}

void mac_wire_close(struct mac_wire *w)
{
	(void)close(w->fd);
	(void)close(w->qemu_fd);
}

void mac_wire_send(struct mac_wire *w, const void *frame, size_t len)
{
	CHECK(send(w->fd, frame, len, MSG_NOSIGNAL) == (ssize_t)len);
}

size_t mac_wire_receive(struct mac_wire *w, uint8_t *frame, size_t max, unsigned ms)
{
	struct pollfd fd = {.fd = w->fd, .events = POLLIN};
	ssize_t n;

	if (poll(&fd, 1, (int)ms) <= 0)
		return 0;
	n = recv(w->fd, frame, max, MSG_DONTWAIT);
	return n > 0 ? (size_t)n : 0;
}

void mac_wire_exchange(struct mac_wire *w, struct mac_rig *r, unsigned nic, unsigned n, unsigned ms)
{
	static const uint8_t peer[6] = {0x52, 0x54, 0, 0x99, 0x99, 0x99};
	struct mac_if_state state;
	uint8_t frame[1600], got[1600];

	mac_if_state(r->ifp[nic], &state);
	for (unsigned i = 0; i < n; i++) {
		size_t payload = SMALLEST - 14 + (i * 97) % 1454;
		size_t len = mac_rig_frame(frame, state.mac, peer, payload, i), have;

		mac_wire_send(w, frame, len);
		have = mac_rig_receive(r, nic, got, sizeof(got), ms, NULL);
		CHECK_MSG(mac_rig_frame_is(got, have, payload, i),
			  "en%u: received frame %u of %zu bytes is not what was sent (%zu bytes)",
			  nic, i, len, have);
		len = mac_rig_frame(frame, peer, state.mac, payload, i + 1);
		CHECK(mac_rig_send(r, nic, frame, len) == 0);
		have = mac_wire_receive(w, got, sizeof(got), ms);
		CHECK_MSG(
			mac_rig_frame_is(got, have, payload, i + 1),
			"en%u: transmitted frame %u of %zu bytes is not what was sent (%zu bytes)",
			nic, i, len, have);
	}
}
