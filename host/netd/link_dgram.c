/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One frame a datagram (vfkit, krunkit, QEMU dgram), or a packet of SOCK_SEQPACKET.
 *
 * In. recvmmsg() into slots, each with room for the length before the frame, so that a frame can go
 * on to a stream member as it is. A slot is one byte longer than the longest frame: what fills it
 * was too long, and the switch counts it.
 *
 * Out. sendmmsg() of what was given; what is not taken waits in the backlog.
 *
 * A path (`unconnected`) has no peer yet. Who speaks first is connected to; until then there is
 * nobody to send to, and what the switch has is dropped. When that peer is gone, the socket is
 * disconnected and the next who speaks takes over. "VFKT" alone is a greeting (vfkit).
 */
#include "host/netd/link_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define SLOTS	 64u
#define SENDS	 64u
#define GREETING "VFKT"

struct dgram {
	struct link l;
	uint8_t *buf;
	uint32_t slot;	       /* bytes of one */
	bool vfkt, path, peer; /* path: has peers that come and go; peer: has one now */
	bool packets;	       /* SOCK_SEQPACKET: an empty one is the end */
	struct mmsghdr in[SLOTS];
	struct iovec in_iov[SLOTS];
	struct sockaddr_un from[SLOTS];
	struct frame batch[SLOTS];

	/* What was given to us since the last flush. */
	unsigned nout;
	struct mmsghdr out[SENDS];
	struct iovec out_iov[SENDS];
};

static struct dgram *dgram_of(struct link *l)
{
	return (struct dgram *)l;
}

static uint8_t *slot_at(const struct dgram *d, unsigned i)
{
	return d->buf + (size_t)i * d->slot + FRAME_PREFIX;
}

static bool dgram_open(struct link *l, const struct link_params *params)
{
	struct dgram *d = dgram_of(l);
	int type;
	socklen_t len = sizeof(type);

	if (getsockopt(l->fd, SOL_SOCKET, SO_TYPE, &type, &len))
		return false;
	if (type != SOCK_DGRAM && type != SOCK_SEQPACKET) {
		errno = EPROTOTYPE;
		return false;
	}
	d->slot = (FRAME_PREFIX + l->len_max + 1 + 63u) & ~63u;
	d->buf = malloc((size_t)SLOTS * d->slot);
	if (!d->buf)
		return false;
	d->packets = type == SOCK_SEQPACKET;
	d->vfkt = params->vfkt;
	d->path = params->unconnected;
	d->peer = !d->path;
	link_sockbuf(l->fd);
	for (unsigned i = 0; i < SLOTS; i++) {
		d->in_iov[i] = (struct iovec){slot_at(d, i), l->len_max + 1};
		d->in[i].msg_hdr.msg_iov = &d->in_iov[i];
		d->in[i].msg_hdr.msg_iovlen = 1;
	}
	for (unsigned i = 0; i < SENDS; i++) {
		d->out[i].msg_hdr.msg_iov = &d->out_iov[i];
		d->out[i].msg_hdr.msg_iovlen = 1;
	}
	return true;
}

static void dgram_release(struct link *l)
{
	free(dgram_of(l)->buf);
}

/* ---- the peer ---- */

static void lose_peer(struct dgram *d)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};

	if (!d->path) {
		link_fail(&d->l, "peer closed");
		return;
	}
	(void)connect(d->l.fd, &none, sizeof(none));
	d->peer = false;
	d->l.stats->tx_dropped += backlog_clear(&d->l.backlog);
}

static void dgram_blocked(struct dgram *d, int error)
{
	switch (error) {
	case ECONNREFUSED:
	case ECONNRESET:
	case ENOTCONN:
	case EDESTADDRREQ:
	case EPIPE:
		lose_peer(d);
		break;
	default:
		link_blocked(&d->l, error);
	}
}

/* ---- out ---- */

static void write_out(struct dgram *d)
{
	struct link *l = &d->l;
	unsigned i = 0;

	while (i < d->nout && !l->over && d->peer && !l->backlog.used) {
		int n = sendmmsg(l->fd, d->out + i, d->nout - i, MSG_DONTWAIT | MSG_NOSIGNAL);

		l->writes++;
		if (n > 0) {
			i += (unsigned)n;
		} else if (errno == EMSGSIZE) {
			link_drop(l, (uint32_t)d->out_iov[i++].iov_len);
		} else {
			dgram_blocked(d, errno);
			break;
		}
	}
	for (; i < d->nout; i++) {
		uint32_t len = (uint32_t)d->out_iov[i].iov_len;

		if (d->peer)
			link_queue(l, (uint8_t *)d->out_iov[i].iov_base - FRAME_PREFIX,
				   len + FRAME_PREFIX);
		else
			link_drop(l, len);
	}
	d->nout = 0;
}

static void dgram_send(void *ctx, const struct sw_port *from, const struct frame *f)
{
	struct dgram *d = ctx;
	struct link *l = ctx;

	(void)from;
	if (!d->peer) {
		link_drop(l, f->len);
		return;
	}
	link_put32(f->data - FRAME_PREFIX, f->len);
	if (l->held || l->backlog.used) {
		link_queue(l, f->data - FRAME_PREFIX, f->len + FRAME_PREFIX);
		return;
	}
	if (d->nout == SENDS)
		write_out(d);
	d->out_iov[d->nout++] = (struct iovec){f->data, f->len};
}

static void dgram_flush(void *ctx)
{
	struct dgram *d = ctx;

	if (d->nout)
		write_out(d);
	if (d->l.backlog.used)
		link_drain(&d->l);
}

static uint32_t dgram_write(struct link *l, uint32_t allow)
{
	struct dgram *d = dgram_of(l);
	struct iovec iov[2];
	struct msghdr msg = {.msg_iov = iov};
	uint32_t len = backlog_at(&l->backlog, 0);
	ssize_t n;

	(void)allow;
	msg.msg_iovlen = (size_t)backlog_iov(&l->backlog, FRAME_PREFIX, len - FRAME_PREFIX, iov);
	n = sendmsg(l->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	l->writes++;
	if (n < 0 && errno != EMSGSIZE) {
		dgram_blocked(d, errno);
		return 0;
	}
	if (n < 0)
		link_drop(l, len - FRAME_PREFIX);
	backlog_take(&l->backlog, len);
	return len - FRAME_PREFIX;
}

/* ---- in ---- */

/* Whether datagram i is a frame of the peer there is, or makes its sender the peer. */
static bool from_peer(struct dgram *d, unsigned i)
{
	const struct msghdr *msg = &d->in[i].msg_hdr;

	if (!d->path)
		return true;
	if (!d->peer) {
		/* Nobody could be answered who has no address. */
		if (msg->msg_namelen <= sizeof(sa_family_t) ||
		    connect(d->l.fd, msg->msg_name, msg->msg_namelen) != 0)
			return false;
		d->peer = true;
	}
	return true;
}

static bool greeting(const struct dgram *d, unsigned i)
{
	return d->vfkt && d->in[i].msg_len == sizeof(GREETING) - 1 &&
	       !memcmp(slot_at(d, i), GREETING, sizeof(GREETING) - 1);
}

static void take(struct dgram *d, unsigned n)
{
	struct link *l = &d->l;
	uint64_t bytes = 0;
	unsigned k = 0;

	for (unsigned i = 0; i < n; i++) {
		uint32_t len = d->in[i].msg_len;

		if (!len && d->packets) {
			link_fail(l, "peer closed");
			break;
		}
		if (!from_peer(d, i) || greeting(d, i))
			continue;
		bytes += len;
		d->batch[k++] = (struct frame){slot_at(d, i), len};
	}
	if (k)
		sw_input(l->port, d->batch, k);
	link_charge(l, bytes);
}

static void dgram_read(struct link *l, uint32_t limit)
{
	struct dgram *d = dgram_of(l);
	unsigned most = limit && limit / l->len_max < SLOTS ? limit / l->len_max + 1 : SLOTS;
	int n;

	if (most > SLOTS)
		most = SLOTS;
	for (unsigned i = 0; d->path && i < most; i++) {
		d->in[i].msg_hdr.msg_name = &d->from[i];
		d->in[i].msg_hdr.msg_namelen = sizeof(d->from[i]);
	}
	n = recvmmsg(l->fd, d->in, most, MSG_DONTWAIT, NULL);
	l->reads++;
	if (n > 0)
		take(d, (unsigned)n);
	else if (n < 0 && (errno == ECONNRESET || errno == ECONNREFUSED || errno == ENOTCONN))
		lose_peer(d);
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		link_fail(l, "read: %s", strerror(errno));
}

const struct link_ops link_dgram_ops = {
	.size = sizeof(struct dgram),
	.port = {.send = dgram_send, .flush = dgram_flush},
	.open = dgram_open,
	.read = dgram_read,
	.write = dgram_write,
	.release = dgram_release,
};
