/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket: who connects is looked at before a byte is read, then one JSON object a line.
 *
 * A connection that sends what is no request is told so and closed; one that does not read what it
 * asked for is closed when too much waits for it. While an answer is still to come, nothing more is
 * read from that connection, so requests are answered in their order.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/netd/control_internal.h"

#define CONTROL_PAUSE_MS 100u
#define CONTROL_FDS	 8u /* taken from one message, all but one to be closed */

struct control {
	struct broker *broker;
	int fd;
	uv_poll_t poll;
	uv_timer_t pause;
	struct conn *conns;
};

static void conn_close(struct conn *c);
static void conn_poll(struct conn *c);

/* ---- out ---- */

static bool conn_room(char **buf, size_t *room, size_t need, size_t max)
{
	size_t more = *room ? *room : 4096;
	char *grown;

	if (need <= *room)
		return true;
	if (need > max)
		return false;
	while (more < need)
		more *= 2;
	grown = realloc(*buf, more);
	if (!grown)
		return false;
	*buf = grown;
	*room = more;
	return true;
}

static void conn_write(struct conn *c)
{
	while (c->out_len) {
		ssize_t n = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			c->out_len -= (size_t)n;
			memmove(c->out, c->out + n, c->out_len);
		} else if (errno == EAGAIN) {
			return;
		} else if (errno != EINTR) {
			c->out_len = 0;
			conn_close(c);
			return;
		}
	}
}

void control_send(struct conn *c, const json_t *message)
{
	char *text = json_dumps(message, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0;

	if (!text || c->closing) {
		free(text);
		return;
	}
	if (!conn_room(&c->out, &c->out_room, c->out_len + len + 1, CONTROL_OUT_MAX)) {
		log_peer("control: pid %d does not read what it asked for", (int)c->peer.pid);
		free(text);
		conn_close(c);
		return;
	}
	memcpy(c->out + c->out_len, text, len);
	c->out[c->out_len + len] = '\n';
	c->out_len += len + 1;
	free(text);
	conn_write(c);
	if (!c->closing)
		conn_poll(c);
}

void control_answer(struct conn *c, json_t *answer, const struct fault *f)
{
	json_t *out = answer;

	if (!out)
		out = json_pack("{s:b, s:s, s:s}", "ok", 0, "error", f->text, "kind",
				f->user ? "user" : "system");
	else
		(void)json_object_set_new(out, "ok", json_true());
	if (!out) {
		/* Text that is no UTF-8 cannot go into JSON. */
		out = json_pack("{s:b, s:s, s:s}", "ok", 0, "error", "the request is not UTF-8",
				"kind", "user");
	}
	if (out && c->id)
		(void)json_object_set(out, "id", c->id);
	json_decref(c->id);
	c->id = NULL;
	c->busy = false;
	if (out)
		control_send(c, out);
	json_decref(out);
	if (!c->closing && c->eof && !c->out_len)
		conn_close(c);
	else if (!c->closing)
		conn_poll(c);
}

void control_member_gone(struct conn *c, const struct member *m, const char *why)
{
	json_t *event = json_pack("{s:s, s:s, s:s, s:s}", "event", "gone", "network",
				  m->network->def.name, "name", m->name, "why", why);

	if (event)
		control_send(c, event);
	json_decref(event);
}

/* ---- in ---- */

static void conn_fault(struct conn *c, const char *text)
{
	struct fault f;

	(void)fault_user(&f, "%s", text);
	control_answer(c, NULL, &f);
}

static bool conn_hello(struct conn *c, const json_t *request, struct fault *f)
{
	const json_t *protocol = json_object_get(request, "protocol");
	const char *version = json_string_value(json_object_get(request, "version"));
	json_t *answer;

	if (!json_is_integer(protocol) || json_integer_value(protocol) != CONTROL_PROTOCOL)
		return fault_user(f,
				  "this daemon (pid %d) is version %s and speaks protocol %d, the "
				  "client is version %.32s",
				  (int)getpid(), VMNET_VERSION, CONTROL_PROTOCOL,
				  version ? version : "unknown");
	c->hello = true;
	answer = json_pack("{s:i, s:s, s:i}", "protocol", CONTROL_PROTOCOL, "version",
			   VMNET_VERSION, "pid", (int)getpid());
	if (!answer)
		return fault_system(f, "out of memory");
	control_answer(c, answer, NULL);
	return true;
}

static const struct control_op *control_op(const char *name)
{
	for (const struct control_op *op = control_ops; op->name; op++)
		if (!strcmp(op->name, name))
			return op;
	return NULL;
}

static bool conn_run(struct conn *c, const char *name, const json_t *request, struct fault *f)
{
	const struct control_op *op = control_op(name);
	json_t *answer;

	if (!c->hello)
		return fault_user(f, "the first request must be hello");
	if (!op)
		return fault_user(f, "no request \"%.32s\"; docs/protocol.md lists them", name);
	if (op->fd && c->passed < 0 && c->fds_lost)
		return fault_system(f, "no descriptor is left for that: raise the daemon's limit "
				       "(ulimit -n)");
	if (op->fd && c->passed < 0)
		return fault_user(f, "%s wants a descriptor with it", name);
	if (!op->fd && c->passed >= 0)
		return fault_user(f, "%s takes no descriptor", name);
	if (op->manage && !peer_may_manage(&c->peer))
		return fault_user(f, "uid %u may not do this (%s); the daemon's user and root may",
				  (unsigned)c->peer.uid, name);
	answer = json_object();
	if (!answer)
		return fault_system(f, "out of memory");
	if (!op->run(c, request, answer, f)) {
		json_decref(answer);
		c->busy = false;
		return false;
	}
	if (c->busy || c->closing)
		json_decref(answer);
	else
		control_answer(c, answer, NULL);
	return true;
}

static void conn_line(struct conn *c, const char *line, size_t len)
{
	json_error_t error;
	json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
	const char *op = json_string_value(json_object_get(request, "op"));
	struct fault f;
	bool good;

	if (!op) {
		log_peer("control: pid %d sent what is no request", (int)c->peer.pid);
		json_decref(request);
		conn_fault(c, "a request is a JSON object on one line, with an \"op\"");
		if (!c->closing)
			conn_close(c);
		return;
	}
	c->id = json_incref(json_object_get(request, "id"));
	good = strcmp(op, "hello") ? conn_run(c, op, request, &f) : conn_hello(c, request, &f);
	if (!good)
		control_answer(c, NULL, &f);
	json_decref(request);
	if (c->passed >= 0)
		(void)close(c->passed);
	c->passed = -1;
}

static void conn_lines(struct conn *c)
{
	while (!c->closing && !c->busy) {
		char *end = c->in_len ? memchr(c->in, '\n', c->in_len) : NULL;
		size_t len;

		if (!end)
			break;
		len = (size_t)(end - c->in);
		conn_line(c, c->in, len);
		c->in_len -= len + 1;
		memmove(c->in, end + 1, c->in_len);
	}
	if (!c->closing && !c->busy && c->in_len >= CONTROL_LINE_MAX) {
		conn_fault(c, "that line is above 256 KiB");
		if (!c->closing)
			conn_close(c);
	}
}

static void conn_take_fds(struct conn *c, struct msghdr *msg)
{
	for (struct cmsghdr *cm = CMSG_FIRSTHDR(msg); cm; cm = CMSG_NXTHDR(msg, cm)) {
		size_t n;

		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cm) + i * sizeof(int), sizeof(fd));
			if (c->passed < 0)
				c->passed = fd;
			else
				(void)close(fd);
		}
	}
}

static void conn_read(struct conn *c)
{
	union {
		char space[CMSG_SPACE(CONTROL_FDS * sizeof(int))];
		struct cmsghdr align;
	} ctl;
	struct iovec iov;
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &ctl,
		.msg_controllen = sizeof(ctl),
	};
	ssize_t n;

	if (!conn_room(&c->in, &c->in_room, c->in_len + 4096, CONTROL_LINE_MAX + 8192)) {
		conn_close(c);
		return;
	}
	iov.iov_base = c->in + c->in_len;
	iov.iov_len = c->in_room - c->in_len;
	n = recvmsg(c->fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		conn_take_fds(c, &msg);
	c->fds_lost = n > 0 && (msg.msg_flags & MSG_CTRUNC);
	if (n < 0 || (n == 0 && !c->busy)) {
		conn_close(c);
		return;
	}
	if (n == 0) {
		/* Nothing more to ask, but an answer is still wanted: that of a capture. */
		c->eof = true;
		control_ops_end(c);
		if (!c->closing)
			conn_poll(c);
		return;
	}
	c->in_len += (size_t)n;
	conn_lines(c);
}

static void conn_on_poll(uv_poll_t *poll, int status, int events)
{
	struct conn *c = poll->data;

	if (status < 0) {
		conn_close(c);
		return;
	}
	if (events & UV_WRITABLE)
		conn_write(c);
	if (!c->closing && (events & (UV_READABLE | UV_DISCONNECT)))
		conn_read(c);
	if (!c->closing && !c->busy)
		conn_lines(c); /* what had come while it was busy */
	if (!c->closing)
		conn_poll(c);
}

static void conn_poll(struct conn *c)
{
	int events = 0;

	if (!c->eof && c->in_len < CONTROL_LINE_MAX)
		events |= UV_READABLE;
	if (c->out_len)
		events |= UV_WRITABLE;
	if (events)
		(void)uv_poll_start(&c->poll, events, conn_on_poll);
	else
		(void)uv_poll_stop(&c->poll);
}

/* ---- life ---- */

static void conn_freed(uv_handle_t *handle)
{
	struct conn *c = handle->data;

	if (c->peer_known)
		peer_close(&c->peer);
	(void)close(c->fd);
	if (c->passed >= 0)
		(void)close(c->passed);
	json_decref(c->id);
	free(c->in);
	free(c->out);
	free(c->watched);
	free(c);
}

static void conn_poll_closed(uv_handle_t *handle)
{
	struct conn *c = handle->data;

	uv_close((uv_handle_t *)&c->watch, conn_freed);
}

static void conn_close(struct conn *c)
{
	if (c->closing)
		return;
	c->closing = true;
	conn_write(c);
	control_ops_end(c);
	for (struct conn **at = &c->control->conns; *at; at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			break;
		}
	c->broker->nconns--;
	(void)shutdown(c->fd, SHUT_RDWR);
	uv_close((uv_handle_t *)&c->poll, conn_poll_closed);
	broker_changed(c->broker);
}

static void control_admit(struct control *ctl, int fd)
{
	struct broker *b = ctl->broker;
	struct conn *c;
	struct peer peer;

	/* Before a byte is read: G-11. */
	if (!peer_of(fd, &peer)) {
		(void)close(fd);
		return;
	}
	if (!broker_may_connect(b, &peer)) {
		log_peer("control: refused uid %u, pid %d", (unsigned)peer.uid, (int)peer.pid);
		peer_close(&peer);
		(void)close(fd);
		return;
	}
	c = b->nconns < CONTROL_CONNS ? calloc(1, sizeof(*c)) : NULL;
	if (!c || uv_poll_init(b->loop, &c->poll, fd)) {
		free(c);
		peer_close(&peer);
		(void)close(fd);
		return;
	}
	(void)uv_timer_init(b->loop, &c->watch);
	c->control = ctl;
	c->broker = b;
	c->fd = fd;
	c->passed = -1;
	c->peer = peer;
	c->peer_known = true;
	c->poll.data = c;
	c->watch.data = c;
	c->next = ctl->conns;
	ctl->conns = c;
	b->nconns++;
	conn_poll(c);
	broker_changed(b);
}

static void control_on_poll(uv_poll_t *poll, int status, int events);

static void control_on_pause(uv_timer_t *timer)
{
	struct control *ctl = timer->data;

	(void)uv_poll_start(&ctl->poll, UV_READABLE, control_on_poll);
}

static void control_on_poll(uv_poll_t *poll, int status, int events)
{
	struct control *ctl = poll->data;

	(void)status;
	(void)events;
	for (unsigned i = 0; i < 16; i++) {
		int fd = accept4(ctl->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			control_admit(ctl, fd);
			continue;
		}
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
			log_peer("control socket: %s", strerror(errno));
			(void)uv_poll_stop(&ctl->poll);
			(void)uv_timer_start(&ctl->pause, control_on_pause, CONTROL_PAUSE_MS, 0);
		}
		return;
	}
}

void control_network_down(struct control *ctl, struct network *n)
{
	for (struct conn *c = ctl->conns, *next; c; c = next) {
		next = c->next;
		control_capture_network_down(n, c);
	}
}

struct control *control_open(struct broker *b, int fd)
{
	struct control *ctl = calloc(1, sizeof(*ctl));

	if (!ctl || uv_poll_init(b->loop, &ctl->poll, fd) || uv_timer_init(b->loop, &ctl->pause)) {
		free(ctl);
		return NULL;
	}
	ctl->broker = b;
	b->control = ctl;
	ctl->fd = fd;
	ctl->poll.data = ctl;
	ctl->pause.data = ctl;
	(void)uv_poll_start(&ctl->poll, UV_READABLE, control_on_poll);
	return ctl;
}

static void control_freed(uv_handle_t *handle)
{
	struct control *ctl = handle->data;

	(void)close(ctl->fd);
	free(ctl);
}

static void control_poll_closed(uv_handle_t *handle)
{
	struct control *ctl = handle->data;

	uv_close((uv_handle_t *)&ctl->pause, control_freed);
}

void control_close(struct control *ctl)
{
	while (ctl->conns)
		conn_close(ctl->conns);
	ctl->broker->control = NULL;
	uv_close((uv_handle_t *)&ctl->poll, control_poll_closed);
}
