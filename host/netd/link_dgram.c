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
 * A path (`unconnected`) has no peer yet. Who speaks first, if it may (`admit`: the kernel says who
 * it is, G-11), is connected to; until then there is nobody to send to, and what the switch has is
 * dropped. The kernel tells that a peer is gone only when something is sent to it, and refuses
 * everybody else until then; so once a second we look whether its address is still somebody's. If
 * not, the socket is disconnected and the next who speaks takes over. "VFKT" alone is a greeting
 * (vfkit).
 */
#include "host/netd/link_internal.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SLOTS	 64u
#define SENDS	 64u
#define DRAINS	 32u /* of the backlog at once */
#define GREETING "VFKT"

/* Room for what the kernel says of who sent a datagram. */
union sender {
	char space[CMSG_SPACE(sizeof(struct ucred))];
	struct cmsghdr align;
};

struct dgram {
	struct link l;
	uint8_t *buf;
	uint32_t slot;	       /* bytes of one */
	bool vfkt, path, peer; /* path: has peers that come and go; peer: has one now */
	bool packets;	       /* SOCK_SEQPACKET: an empty one is the end */
	struct mmsghdr in[SLOTS];
	struct iovec in_iov[SLOTS];
	struct sockaddr_un from[SLOTS];
	union sender sender[SLOTS];
	struct frame batch[SLOTS];
	struct sockaddr_un who; /* the peer of a path */
	socklen_t who_len;
	bool (*admit)(void *ctx, uid_t uid, gid_t gid);

	/* What was given to us since the last flush. */
	unsigned nout;
	struct mmsghdr out[SENDS];
	struct iovec out_iov[SENDS];
	struct mmsghdr drain[DRAINS];
	struct iovec drain_iov[2 * DRAINS];
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
	d->admit = params->admit;
	if (d->path && setsockopt(l->fd, SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int)))
		return false;
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
	unsigned n = 0;
	uint32_t off = 0, gone = 0;
	int sent;

	for (; n < DRAINS && off < l->backlog.used && off < allow; n++) {
		uint32_t len = backlog_at(&l->backlog, off) - FRAME_PREFIX;
		struct msghdr *msg = &d->drain[n].msg_hdr;

		msg->msg_iov = &d->drain_iov[(size_t)2 * n];
		msg->msg_iovlen =
			(size_t)backlog_iov(&l->backlog, off + FRAME_PREFIX, len, msg->msg_iov);
		off += FRAME_PREFIX + len;
	}
	sent = sendmmsg(l->fd, d->drain, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	l->writes++;
	if (sent < 0 && errno != EMSGSIZE) {
		dgram_blocked(d, errno);
		return 0;
	}
	if (sent < 0) {
		/* No datagram socket of the peer's will ever take that one. */
		link_drop(l, backlog_at(&l->backlog, 0) - FRAME_PREFIX);
		sent = 1;
	}
	for (int i = 0; i < sent; i++) {
		uint32_t len = backlog_at(&l->backlog, 0);

		backlog_take_whole(&l->backlog, len);
		gone += len - FRAME_PREFIX;
	}
	/* An empty frame is in no backlog. */
	return gone;
}

/* ---- in ---- */

/* Whether who sent this may be the peer. */
static bool may_speak(const struct dgram *d, const struct msghdr *msg)
{
	const struct cmsghdr *cm = CMSG_FIRSTHDR(msg);
	struct ucred who;

	if (!d->admit)
		return true;
	if (!cm || cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_CREDENTIALS ||
	    cm->cmsg_len != CMSG_LEN(sizeof(who)))
		return false;
	memcpy(&who, CMSG_DATA(cm), sizeof(who));
	return d->admit(d->l.ctx, who.uid, who.gid);
}

/* Whether datagram i is of the peer there is, or makes its sender the peer. */
static bool from_peer(struct dgram *d, unsigned i)
{
	const struct msghdr *msg = &d->in[i].msg_hdr;

	if (!d->path)
		return true;
	/* What others sent before there was a peer is still in the queue. */
	if (d->peer)
		return msg->msg_namelen == d->who_len &&
		       !memcmp(msg->msg_name, &d->who, d->who_len);
	/* Nobody could be answered who has no address. */
	if (msg->msg_namelen <= sizeof(sa_family_t) || msg->msg_namelen > sizeof(d->who) ||
	    !may_speak(d, msg) || connect(d->l.fd, msg->msg_name, msg->msg_namelen) != 0)
		return false;
	memcpy(&d->who, msg->msg_name, msg->msg_namelen);
	d->who_len = msg->msg_namelen;
	d->peer = true;
	return true;
}

/* Whether a socket is bound to this path, which may have been removed under it. */
static bool is_bound(const char *path)
{
	FILE *file = fopen("/proc/net/unix", "re");
	char line[256];
	bool found = !file; /* not to be known: it stays */

	while (!found && fgets(line, sizeof(line), file)) {
		size_t len = strcspn(line, "\n"), want = strlen(path);

		found = len > want && line[len - want - 1] == ' ' &&
			!memcmp(line + len - want, path, want);
	}
	if (file)
		(void)fclose(file);
	return found;
}

static void dgram_tick(struct link *l)
{
	struct dgram *d = dgram_of(l);
	char path[sizeof(d->who.sun_path) + 1] = "";
	int fd;
	bool gone;

	if (!d->path || !d->peer)
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	gone = connect(fd, (const struct sockaddr *)&d->who, d->who_len) != 0;
	if (gone && errno == ENOENT) {
		memcpy(path, d->who.sun_path, d->who_len - offsetof(struct sockaddr_un, sun_path));
		gone = !is_bound(path);
	} else if (gone) {
		gone = errno == ECONNREFUSED; /* else it has a peer: us */
	}
	(void)close(fd);
	if (gone)
		lose_peer(d);
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
		d->in[i].msg_hdr.msg_control = &d->sender[i];
		d->in[i].msg_hdr.msg_controllen = sizeof(d->sender[i]);
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
	.tick = dgram_tick,
	.release = dgram_release,
};
