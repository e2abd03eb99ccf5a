/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * QEMU writes one JSON object a line: the greeting {"QMP": ..}, answers {"return": ..} or
 * {"error": ..}, and events {"event": ..} at any time. Only one command is ever under way, and it
 * carries an id, so an answer that comes after its command was given up (timed out) is recognised
 * as somebody else's and dropped: a timeout does not kill the connection.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "guest/ports/user/qmp.h"
#include "guest/ports/user/wait.h"

__attribute__((format(printf, 3, 4))) static int fail(struct qmp *q, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(q->err, sizeof(q->err), fmt, ap);
	va_end(ap);
	return err;
}

__attribute__((format(printf, 3, 4))) static int die(struct qmp *q, int err, const char *fmt, ...)
{
	va_list ap;

	q->dead = true;
	va_start(ap, fmt);
	vsnprintf(q->err, sizeof(q->err), fmt, ap);
	va_end(ap);
	return err;
}

/* Read once, waiting until the deadline. */
static int fill(struct qmp *q, uint64_t deadline)
{
	ssize_t n;

	if (q->cap - q->len < 4096) {
		size_t cap = q->cap ? 2 * q->cap : 16384;
		char *buf;

		if (cap > QMP_MAX_LINE)
			return die(q, VIO_EBROKEN, "QMP: line without end");
		buf = realloc(q->buf, cap);
		if (!buf)
			return die(q, VIO_ENOMEM, "QMP: out of memory");
		q->buf = buf;
		q->cap = cap;
	}
	if (!wait_fd(q->fd, POLLIN, deadline))
		return fail(q, VIO_ETIMEDOUT, "QMP: no answer in time");
	n = recv(q->fd, q->buf + q->len, q->cap - q->len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return VIO_OK;
	if (n <= 0)
		return die(q, VIO_ENODEV, "QMP: QEMU closed the connection");
	q->len += (size_t)n;
	return VIO_OK;
}

/* The next object. The reference is the caller's. */
static int next_object(struct qmp *q, uint64_t deadline, json_t **out)
{
	for (;;) {
		char *end = q->len ? memchr(q->buf, '\n', q->len) : NULL;

		if (end) {
			size_t line = (size_t)(end - q->buf);

			*out = json_loadb(q->buf, line, 0, NULL);
			q->len -= line + 1;
			memmove(q->buf, end + 1, q->len);
			if (!json_is_object(*out)) {
				json_decref(*out);
				*out = NULL;
				return die(q, VIO_EBROKEN, "QMP: not a JSON object");
			}
			return VIO_OK;
		}

		int err = fill(q, deadline);

		if (err)
			return err;
	}
}

static void keep_event(struct qmp *q, json_t *event)
{
	if (q->n_events == QMP_MAX_EVENTS) {
		json_decref(q->events[0]);
		q->n_events--;
		memmove(q->events, q->events + 1, q->n_events * sizeof(q->events[0]));
	}
	q->events[q->n_events++] = event;
}

static int send_text(struct qmp *q, const char *text, size_t len, uint64_t deadline)
{
	while (len) {
		ssize_t n = send(q->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n >= 0) {
			text += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			/* Half a command may be out: nothing sensible can follow it. */
			if (!wait_fd(q->fd, POLLOUT, deadline))
				return die(q, VIO_ETIMEDOUT, "QMP: QEMU takes no input");
		} else if (errno != EINTR) {
			return die(q, VIO_ENODEV, "QMP: QEMU closed the connection");
		}
	}
	return VIO_OK;
}

static int send_command(struct qmp *q, const char *command, json_t *args, json_int_t id,
			uint64_t deadline)
{
	json_t *msg = json_pack("{s:s, s:I}", "execute", command, "id", id);
	char *text = NULL;
	int err;

	if (args && json_object_set(msg, "arguments", args)) {
		json_decref(msg);
		return fail(q, VIO_EINVAL, "QMP: bad arguments for %s", command);
	}
	if (msg)
		text = json_dumps(msg, JSON_COMPACT);
	json_decref(msg);
	if (!text)
		return fail(q, VIO_ENOMEM, "QMP: out of memory");
	err = send_text(q, text, strlen(text), deadline);
	if (!err)
		err = send_text(q, "\n", 1, deadline);
	free(text);
	return err;
}

/* Wait for the answer with that id, or a bare one if QEMU could not even read the id. */
static int await_answer(struct qmp *q, json_int_t id, uint64_t deadline, json_t **ret)
{
	for (;;) {
		json_t *msg, *value, *error, *msg_id;
		int err = next_object(q, deadline, &msg);

		if (err)
			return err;
		if (json_object_get(msg, "event")) {
			keep_event(q, msg);
			continue;
		}
		value = json_object_get(msg, "return");
		error = json_object_get(msg, "error");
		msg_id = json_object_get(msg, "id");
		if ((!value && !error) || (msg_id && json_integer_value(msg_id) != id)) {
			json_decref(msg);
			continue;
		}
		if (error) {
			const char *desc = json_string_value(json_object_get(error, "desc"));

			err = fail(q, VIO_EDEV, "%s", desc ? desc : "QMP: refused");
		} else if (ret) {
			*ret = json_incref(value);
		}
		json_decref(msg);
		return err;
	}
}

int qmp_execute(struct qmp *q, const char *command, json_t *args, json_t **ret)
{
	uint64_t deadline = wait_deadline_ms(q->timeout_ms);
	json_int_t id = (json_int_t)q->next_id++;
	int err;

	if (ret)
		*ret = NULL;
	if (q->dead || q->fd < 0) {
		json_decref(args);
		return VIO_ENODEV;
	}
	err = send_command(q, command, args, id, deadline);
	json_decref(args);
	return err ? err : await_answer(q, id, deadline, ret);
}

static bool is_event(const json_t *event, const char *name, const char *device)
{
	const char *is = json_string_value(json_object_get(event, "event"));
	const json_t *data = json_object_get(event, "data");
	const char *of = json_string_value(json_object_get(data, "device"));

	return is && !strcmp(is, name) && (!device || (of && !strcmp(of, device)));
}

int qmp_wait_event(struct qmp *q, const char *name, const char *device, unsigned timeout_ms)
{
	uint64_t deadline = wait_deadline_ms(timeout_ms);
	unsigned i = 0;

	for (;;) {
		json_t *msg;
		int err;

		for (; i < q->n_events; i++) {
			if (!is_event(q->events[i], name, device))
				continue;
			json_decref(q->events[i]);
			q->n_events--;
			memmove(q->events + i, q->events + i + 1,
				(q->n_events - i) * sizeof(q->events[0]));
			return VIO_OK;
		}
		if (q->dead || q->fd < 0)
			return VIO_ENODEV;
		err = next_object(q, deadline, &msg);
		if (err)
			return err;
		if (!json_object_get(msg, "event")) {
			json_decref(msg); /* the answer to a command given up */
			continue;
		}
		keep_event(q, msg);
		i = q->n_events - 1;
	}
}

void qmp_drop_events(struct qmp *q)
{
	while (q->n_events)
		json_decref(q->events[--q->n_events]);
}

int qmp_adopt(struct qmp *q, int fd, unsigned timeout_ms)
{
	json_t *greeting = NULL;
	int err;

	memset(q, 0, sizeof(*q));
	q->fd = fd;
	q->timeout_ms = timeout_ms ? timeout_ms : QMP_TIMEOUT_MS;
	err = next_object(q, wait_deadline_ms(q->timeout_ms), &greeting);
	if (!err && !json_object_get(greeting, "QMP"))
		err = die(q, VIO_EBROKEN, "QMP: no greeting");
	json_decref(greeting);
	if (!err)
		err = qmp_execute(q, "qmp_capabilities", NULL, NULL);
	if (err)
		q->dead = true;
	return err;
}

int qmp_connect(struct qmp *q, const char *path, unsigned timeout_ms)
{
	uint64_t deadline = wait_deadline_ms(timeout_ms ? timeout_ms : QMP_TIMEOUT_MS);
	int fd = -1;
	int err = wait_connect(path, deadline, NULL, NULL, &fd);

	if (err) {
		memset(q, 0, sizeof(*q));
		q->fd = -1;
		return die(q, err, "QMP: cannot connect to %s", path);
	}
	return qmp_adopt(q, fd, timeout_ms);
}

void qmp_close(struct qmp *q)
{
	if (q->timeout_ms && q->fd >= 0)
		close(q->fd);
	q->fd = -1;
	q->dead = true;
	qmp_drop_events(q);
	free(q->buf);
	q->buf = NULL;
	q->len = q->cap = 0;
}
