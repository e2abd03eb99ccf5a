/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One control connection: lines out, lines in.
 *
 * What comes is kept in one buffer until a line is whole; answers and events share the stream, and
 * whoever waits for an answer leaves events in a queue of bounded length. A line that is too long
 * or no JSON ends the connection: the other side is not the daemon we know.
 */
#include "host/client/vmnet_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/client/start.h"

#define LINE_MAX_IN  (8u << 20)
#define LINE_MAX_OUT (256u << 10)
#define EVENTS_MAX   256u
#define TIMEOUT_MS   10000
#define HELLO_TRIES  5
#define BUFFER_BYTES (4 << 20) /* asked for; the kernel gives what it allows */

struct vmnet_client {
	int fd;
	int timeout_ms;
	int64_t last_id;
	pid_t pid;
	uid_t uid; /* of the daemon */
	char version[64];
	char *in;
	size_t in_len, in_size, in_seen; /* in_seen: no newline before it */
	json_t *events;
};

static bool lost(struct vmnet_client *c, struct vmnet_error *err, const char *why)
{
	start_fail(err, VMNET_SYSTEM, "the daemon (pid %ld) %s", (long)c->pid, why);
	err->lost = true;
	return false;
}

/* Wait until fd is ready or the deadline has passed (< 0: never). */
static int wait_for(int fd, short what, int64_t deadline)
{
	struct pollfd p = {.fd = fd, .events = what};
	int64_t left;
	int n;

	do {
		left = deadline < 0 ? -1 : deadline - start_now_ms();
		if (deadline >= 0 && left < 0)
			left = 0;
		n = poll(&p, 1, (int)left);
	} while (n < 0 && errno == EINTR);
	return n;
}

static ssize_t send_some(int sock, const char *text, size_t len, int fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {(void *)(uintptr_t)text, len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *head;

	if (fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control.space);
		head = CMSG_FIRSTHDR(&msg);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(head), &fd, sizeof(int));
	}
	return sendmsg(sock, &msg, MSG_NOSIGNAL);
}

static bool send_line(struct vmnet_client *c, const char *text, size_t len, int fd,
		      struct vmnet_error *err)
{
	int64_t deadline = start_now_ms() + c->timeout_ms;
	ssize_t n;

	while (len > 0) {
		n = send_some(c->fd, text, len, fd);
		if (n > 0) {
			text += n;
			len -= (size_t)n;
			fd = -1; /* it went with the first byte */
		} else if (n < 0 && errno == EAGAIN) {
			if (wait_for(c->fd, POLLOUT, deadline) == 0)
				return lost(c, err, "does not listen");
		} else if (n < 0 && errno != EINTR) {
			return lost(c, err, "is gone");
		}
	}
	return true;
}

bool vmnet_send(struct vmnet_client *c, json_t *request, int fd, struct vmnet_error *err)
{
	char *text = NULL;
	size_t len;
	bool ok;

	if (request && json_object_set_new(request, "id", json_integer(++c->last_id)) == 0)
		text = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	if (!text)
		return start_fail(err, VMNET_USER, "a request that is no UTF-8, or out of memory");
	len = strlen(text);
	if (len >= LINE_MAX_OUT) {
		free(text);
		return start_fail(err, VMNET_USER, "a request of %zu bytes, at most %u", len,
				  LINE_MAX_OUT);
	}
	text[len] = '\n'; /* in the place of the final 0 */
	ok = send_line(c, text, len + 1, fd, err);
	free(text);
	return ok;
}

/* A whole line, cut out of the buffer: its message. NULL and *bad false: there is none yet. */
static json_t *take_line(struct vmnet_client *c, bool *bad)
{
	char *end = memchr(c->in + c->in_seen, '\n', c->in_len - c->in_seen);
	json_t *message;
	size_t len;

	*bad = false;
	if (!end) {
		c->in_seen = c->in_len;
		return NULL;
	}
	len = (size_t)(end - c->in);
	message = json_loadb(c->in, len, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(message)) {
		json_decref(message);
		message = NULL;
		*bad = true;
	}
	c->in_len -= len + 1;
	c->in_seen = 0;
	memmove(c->in, end + 1, c->in_len);
	return message;
}

static bool grow(struct vmnet_client *c)
{
	size_t size = c->in_size ? c->in_size * 2 : 4096;
	char *in;

	if (c->in_size - c->in_len > 1024)
		return true;
	if (size > LINE_MAX_IN)
		return false;
	in = realloc(c->in, size);
	if (!in)
		return false;
	c->in = in;
	c->in_size = size;
	return true;
}

static json_t *next_line(struct vmnet_client *c, int64_t deadline, struct vmnet_error *err)
{
	json_t *message;
	bool bad = false;
	ssize_t n;

	for (;;) {
		message = c->in ? take_line(c, &bad) : NULL;
		if (message)
			return message;
		if (bad || !grow(c)) {
			lost(c, err, "says what is no message");
			return NULL;
		}
		/* Descriptors that come along are dropped by the kernel: there is no room for any.
		 */
		n = recv(c->fd, c->in + c->in_len, c->in_size - c->in_len, 0);
		if (n > 0) {
			c->in_len += (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			if (wait_for(c->fd, POLLIN, deadline) == 0) {
				start_fail(err, VMNET_NONE, "nothing came in time");
				return NULL;
			}
		} else if (n == 0 || errno != EINTR) {
			lost(c, err, "is gone");
			return NULL;
		}
	}
}

static int64_t deadline_of(int timeout_ms)
{
	return timeout_ms < 0 ? -1 : start_now_ms() + timeout_ms;
}

json_t *vmnet_next(struct vmnet_client *c, int timeout_ms, struct vmnet_error *err)
{
	json_t *first = json_array_get(c->events, 0);

	if (first) {
		json_incref(first);
		json_array_remove(c->events, 0);
		return first;
	}
	return next_line(c, deadline_of(timeout_ms), err);
}

bool vmnet_pending(const struct vmnet_client *c)
{
	return json_array_size(c->events) > 0 || (c->in && memchr(c->in, '\n', c->in_len));
}

bool vmnet_check(const json_t *message, struct vmnet_error *err)
{
	const char *text = json_string_value(json_object_get(message, "error"));
	const char *kind = json_string_value(json_object_get(message, "kind"));

	if (json_object_get(message, "event") || json_is_true(json_object_get(message, "ok")))
		return true;
	start_fail(err, kind && !strcmp(kind, "user") ? VMNET_USER : VMNET_SYSTEM, "%s",
		   text ? text : "the daemon refused and gave no reason");
	for (char *p = err->text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	return false;
}

json_t *vmnet_call(struct vmnet_client *c, json_t *request, int fd, struct vmnet_error *err)
{
	int64_t deadline = deadline_of(c->timeout_ms);
	json_t *message, *id;

	/* One that has closed already may have said why. */
	if (!vmnet_send(c, request, fd, err) && !err->lost)
		return NULL;
	for (;;) {
		message = next_line(c, deadline, err);
		if (!message) {
			if (err->fault == VMNET_NONE)
				lost(c, err, "does not answer");
			return NULL;
		}
		if (json_object_get(message, "event")) {
			if (json_array_size(c->events) >= EVENTS_MAX)
				json_array_remove(c->events, 0);
			json_array_append_new(c->events, message);
			continue;
		}
		id = json_object_get(message, "id");
		if (id && json_integer_value(id) != c->last_id) {
			json_decref(message); /* of a request that was given up */
			continue;
		}
		if (vmnet_check(message, err))
			return message;
		json_decref(message);
		return NULL;
	}
}

/* Introduce ourselves. */
static bool hello(struct vmnet_client *c, const char *version, struct vmnet_error *err)
{
	const char *theirs;
	json_t *answer;
	json_int_t protocol;

	answer = vmnet_call(c,
			    json_pack("{s:s, s:i, s:s}", "op", "hello", "protocol", VMNET_PROTOCOL,
				      "version", version),
			    -1, err);
	if (!answer)
		return false;
	theirs = json_string_value(json_object_get(answer, "version"));
	protocol = json_integer_value(json_object_get(answer, "protocol"));
	snprintf(c->version, sizeof(c->version), "%s", theirs ? theirs : "unknown");
	if (json_integer_value(json_object_get(answer, "pid")) > 0)
		c->pid = (pid_t)json_integer_value(json_object_get(answer, "pid"));
	json_decref(answer);
	if (protocol == VMNET_PROTOCOL)
		return true;
	return start_fail(
		err, VMNET_SYSTEM,
		"the daemon (pid %ld) is version %s, this is %s: they do not understand "
		"each other (protocol %lld, %d); end it with `kill %ld` once its VMs are off",
		(long)c->pid, c->version, version, (long long)protocol, VMNET_PROTOCOL,
		(long)c->pid);
}

static struct vmnet_client *client_of(int fd, int timeout_ms)
{
	struct vmnet_client *c = calloc(1, sizeof(*c));
	struct ucred who = {0};
	socklen_t len = sizeof(who);

	if (!c)
		return NULL;
	c->fd = fd;
	c->timeout_ms = timeout_ms > 0 ? timeout_ms : TIMEOUT_MS;
	c->events = json_array();
	if (!c->events || fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
		json_decref(c->events);
		free(c);
		return NULL;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0)
		c->pid = who.pid;
	c->uid = who.uid;
	return c;
}

struct vmnet_client *vmnet_open(const struct vmnet_options *options, struct vmnet_error *err)
{
	static const struct vmnet_options none;
	const struct vmnet_options *o = options ? options : &none;
	const char *version = o->version ? o->version : VMNET_VERSION;
	struct vmnet_client *c;
	const char *own = getenv("VMNET_RUNTIME_DIR");
	bool chosen = o->runtime_dir || (own && *own);
	char dir[4096];
	uid_t uid = 0;
	int fd;

	if (o->runtime_dir)
		snprintf(dir, sizeof(dir), "%s", o->runtime_dir);
	else if (!vmnet_runtime_dir(dir, sizeof(dir), err))
		return NULL;
	/* A daemon that was just about to end takes a connection and closes it: ask again. */
	for (int i = 0; i < HELLO_TRIES; i++) {
		fd = start_connect(dir, chosen, o->program, o->no_start, err);
		if (fd < 0)
			return NULL;
		c = client_of(fd, o->timeout_ms);
		if (!c) {
			close(fd);
			start_fail(err, VMNET_SYSTEM, "out of memory");
			return NULL;
		}
		if (hello(c, version, err))
			return c;
		uid = c->uid;
		vmnet_close(c);
		if (!err->lost || strstr(err->text, "is gone") == NULL)
			return NULL;
	}
	if (uid == geteuid())
		start_fail(err, VMNET_SYSTEM, "the daemon at %s closes the connection at once",
			   dir);
	else
		start_fail(err, VMNET_USER,
			   "the daemon at %s does not let you in: no network there allows user %lu",
			   dir, (unsigned long)geteuid());
	return NULL;
}

void vmnet_close(struct vmnet_client *c)
{
	if (!c)
		return;
	close(c->fd);
	json_decref(c->events);
	free(c->in);
	free(c);
}

void vmnet_finish(struct vmnet_client *c)
{
	shutdown(c->fd, SHUT_WR);
}

int vmnet_fd(const struct vmnet_client *c)
{
	return c->fd;
}

pid_t vmnet_daemon_pid(const struct vmnet_client *c)
{
	return c->pid;
}

const char *vmnet_daemon_version(const struct vmnet_client *c)
{
	return c->version;
}

static void copy_text(char *out, size_t size, const json_t *answer, const char *key,
		      const char *otherwise)
{
	const char *text = json_string_value(json_object_get(answer, key));

	snprintf(out, size, "%s", text ? text : otherwise ? otherwise : "");
}

static bool join_with(struct vmnet_client *c, const struct vmnet_join *join, int fd, bool takeover,
		      struct vmnet_member *out, struct vmnet_error *err)
{
	json_t *request, *answer;

	request = json_pack("{s:s, s:s, s:s, s:s*, s:s*}", "op", "join", "network", join->network,
			    "kind", join->kind == VMNET_DGRAM ? "dgram" : "stream", "name",
			    join->name, "mac", join->mac);
	if (request && takeover)
		json_object_set_new(request, "takeover", json_true());
	answer = vmnet_call(c, request, fd, err);
	if (!answer)
		return false;
	copy_text(out->name, sizeof(out->name), answer, "name", join->name);
	copy_text(out->network, sizeof(out->network), answer, "network", join->network);
	copy_text(out->mac, sizeof(out->mac), answer, "mac", join->mac);
	copy_text(out->gateway, sizeof(out->gateway), answer, "gateway", NULL);
	out->mtu = (unsigned)json_integer_value(json_object_get(answer, "mtu"));
	json_decref(answer);
	return true;
}

int vmnet_join(struct vmnet_client *c, const struct vmnet_join *join, struct vmnet_member *out,
	       int *keep, struct vmnet_error *err)
{
	static const int bytes = BUFFER_BYTES;
	int ends[2];

	if (socketpair(AF_UNIX,
		       (join->kind == VMNET_DGRAM ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0,
		       ends) != 0) {
		start_fail(err, VMNET_SYSTEM, "socketpair: %s", strerror(errno));
		return -1;
	}
	/* VMMs do not all do it, and a larger buffer is fewer wake-ups. */
	setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	setsockopt(ends[1], SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (!join_with(c, join, ends[0], false, out, err)) {
		close(ends[0]);
		close(ends[1]);
		return -1;
	}
	if (keep)
		*keep = ends[0];
	else
		close(ends[0]);
	return ends[1];
}

bool vmnet_rejoin(struct vmnet_client *c, const struct vmnet_join *join, int keep,
		  struct vmnet_member *out, struct vmnet_error *err)
{
	return join_with(c, join, keep, true, out, err);
}
