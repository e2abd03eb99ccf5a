/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * qtest is a text protocol: one command a line, one answer a line ("OK", "OK value", "FAIL why",
 * "ERR why"), answers in order of commands. Between answers QEMU may put "IRQ raise n" and
 * "IRQ lower n" at any time.
 *
 * All input goes through one buffer and one function, take_line, so that a line which came along
 * with another is never lost. Interrupt lines are folded into `lines` where they are met; answers
 * are given to whoever is first in line: `pending` asynchronous writes, then the one synchronous
 * command that may be under way.
 *
 * QEMU answers from its main loop with a blocking write. Commands are never sent without room for
 * their answers to be read (QTEST_MAX_PENDING, and input is taken while output is blocked), so the
 * two sides cannot wait for each other.
 *
 * There is no way back from a lost or strange answer: the client goes dead.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "guest/ports/user/qtest.h"
#include "guest/ports/user/wait.h"

static char width_letter(unsigned width)
{
	return width == 1 ? 'b' : width == 2 ? 'w' : 'l';
}

__attribute__((format(printf, 2, 3))) static void die(struct qtest *q, const char *fmt, ...)
{
	va_list ap;

	if (q->dead)
		return;
	q->dead = true;
	q->pending = 0;
	va_start(ap, fmt);
	vsnprintf(q->err, sizeof(q->err), fmt, ap);
	va_end(ap);
}

int qtest_connect(struct qtest *q, const char *path, unsigned timeout_ms)
{
	uint64_t deadline = wait_deadline_ms(timeout_ms ? timeout_ms : QTEST_TIMEOUT_MS);
	int fd = -1;
	int err = wait_connect(path, deadline, NULL, NULL, &fd);

	qtest_adopt(q, fd, timeout_ms);
	if (err)
		die(q, "qtest: cannot connect to %s", path);
	return err;
}

void qtest_adopt(struct qtest *q, int fd, unsigned timeout_ms)
{
	memset(q, 0, sizeof(*q));
	q->fd = fd;
	q->timeout_ms = timeout_ms ? timeout_ms : QTEST_TIMEOUT_MS;
}

void qtest_close(struct qtest *q)
{
	if (q->timeout_ms && q->fd >= 0)
		close(q->fd);
	q->fd = -1;
	die(q, "qtest: closed");
}

static void take_irq(struct qtest *q, const char *what)
{
	char level[8];
	unsigned line;

	if (sscanf(what, "%7s %u", level, &line) != 2 || line >= QTEST_LINES) {
		die(q, "qtest: strange interrupt: IRQ %.60s", what);
	} else if (!strcmp(level, "raise")) {
		q->lines |= UINT64_C(1) << line;
		q->raised[line]++;
	} else if (!strcmp(level, "lower")) {
		q->lines &= ~(UINT64_C(1) << line);
	} else {
		die(q, "qtest: strange interrupt: IRQ %.60s", what);
	}
}

/*
 * The next answer that is already in the buffer, terminated in place and valid until the next read;
 * NULL when there is none. Interrupts met on the way are taken in.
 */
static char *take_line(struct qtest *q)
{
	while (!q->dead) {
		char *line = q->buf + q->head;
		char *end = memchr(line, '\n', q->tail - q->head);

		if (!end)
			return NULL;
		*end = '\0';
		if (end > line && end[-1] == '\r')
			end[-1] = '\0';
		q->head = (size_t)(end + 1 - q->buf);
		if (strncmp(line, "IRQ ", 4))
			return line;
		take_irq(q, line + 4);
	}
	return NULL;
}

/* One read, without blocking. False: nothing was there, or the client is dead now. */
static bool fill(struct qtest *q)
{
	ssize_t n;

	if (q->dead)
		return false;
	if (q->head) {
		memmove(q->buf, q->buf + q->head, q->tail - q->head);
		q->tail -= q->head;
		q->head = 0;
	}
	if (q->tail == sizeof(q->buf)) {
		die(q, "qtest: line without end");
		return false;
	}
	do
		n = recv(q->fd, q->buf + q->tail, sizeof(q->buf) - q->tail, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return false;
	if (n <= 0) {
		die(q, n ? "qtest: connection failed" : "qtest: QEMU closed the connection");
		return false;
	}
	q->tail += (size_t)n;
	return true;
}

/* Judge an answer. False: refused, or no answer at all (dead). value is all ones then. */
static bool judge(struct qtest *q, const char *line, uint32_t *value)
{
	char *end;

	*value = qtest_ones(4);
	if (!strcmp(line, "OK")) {
		*value = 0;
		return true;
	}
	if (!strncmp(line, "OK ", 3)) {
		errno = 0;
		unsigned long long v = strtoull(line + 3, &end, 0);

		if (errno || end == line + 3 || *end) {
			die(q, "qtest: strange answer: %.80s", line);
			return false;
		}
		*value = (uint32_t)v;
		return true;
	}
	if (!strncmp(line, "FAIL", 4) || !strncmp(line, "ERR", 3)) {
		q->refused++;
		snprintf(q->err, sizeof(q->err), "qtest: %.120s", line);
		return false;
	}
	die(q, "qtest: strange answer: %.80s", line);
	return false;
}

/* Give an answer to the oldest asynchronous write. */
static void settle(struct qtest *q, const char *line)
{
	uint32_t ignored;

	if (!q->pending) {
		die(q, "qtest: answer to nothing: %.80s", line);
		return;
	}
	q->pending--;
	judge(q, line, &ignored);
}

void qtest_poll(struct qtest *q)
{
	char *line;

	do {
		while ((line = take_line(q)))
			settle(q, line);
	} while (fill(q));
}

void qtest_wait(struct qtest *q, uint32_t timeout_us)
{
	if (q->dead || (q->tail > q->head && memchr(q->buf + q->head, '\n', q->tail - q->head)))
		timeout_us = 0;
	if (timeout_us)
		wait_fd(q->fd, POLLIN, wait_deadline_us(timeout_us));
	qtest_poll(q);
}

/* Wait for the next answer. NULL: dead. */
static char *next_answer(struct qtest *q)
{
	uint64_t deadline = wait_deadline_ms(q->timeout_ms);

	for (;;) {
		char *line = take_line(q);

		if (line || q->dead)
			return line;
		if (fill(q) || q->dead)
			continue;
		if (!wait_fd(q->fd, POLLIN, deadline))
			die(q, "qtest: no answer within %u ms", q->timeout_ms);
	}
}

void qtest_flush(struct qtest *q)
{
	while (q->pending && !q->dead) {
		char *line = next_answer(q);

		if (line)
			settle(q, line);
	}
}

static void send_all(struct qtest *q, const char *text, size_t len)
{
	uint64_t deadline = wait_deadline_ms(q->timeout_ms);

	while (len && !q->dead) {
		ssize_t n = send(q->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n >= 0) {
			text += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			if (!wait_fd(q->fd, POLLIN | POLLOUT, deadline))
				die(q, "qtest: QEMU takes no input for %u ms", q->timeout_ms);
			qtest_poll(q);
		} else if (errno != EINTR) {
			die(q, "qtest: QEMU closed the connection");
		}
	}
	q->commands++;
}

/* Send one line and wait for its answer. */
__attribute__((format(printf, 3, 4))) static bool command(struct qtest *q, uint32_t *value,
							  const char *fmt, ...)
{
	char text[256];
	va_list ap;
	int n;

	*value = qtest_ones(4);
	if (q->dead)
		return false;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(text))
		return false;
	send_all(q, text, (size_t)n);
	qtest_flush(q);

	char *line = next_answer(q);

	return line && judge(q, line, value);
}

static void send_async(struct qtest *q, const char *text, int n)
{
	if (q->dead || n <= 0)
		return;
	qtest_poll(q);
	while (q->pending >= QTEST_MAX_PENDING && !q->dead) {
		char *line = next_answer(q);

		if (line)
			settle(q, line);
	}
	if (q->dead)
		return;
	/* First counted, then sent: send_all may already meet the answer. */
	q->pending++;
	send_all(q, text, (size_t)n);
}

uint32_t qtest_in(struct qtest *q, uint16_t port, unsigned width)
{
	uint32_t value;

	command(q, &value, "in%c 0x%x\n", width_letter(width), port);
	return value & qtest_ones(width);
}

void qtest_out(struct qtest *q, uint16_t port, unsigned width, uint32_t val)
{
	uint32_t ignored;

	command(q, &ignored, "out%c 0x%x 0x%" PRIx32 "\n", width_letter(width), port,
		val & qtest_ones(width));
}

uint32_t qtest_read(struct qtest *q, uint64_t gpa, unsigned width)
{
	uint32_t value;

	command(q, &value, "read%c 0x%" PRIx64 "\n", width_letter(width), gpa);
	return value & qtest_ones(width);
}

void qtest_write(struct qtest *q, uint64_t gpa, unsigned width, uint32_t val)
{
	uint32_t ignored;

	command(q, &ignored, "write%c 0x%" PRIx64 " 0x%" PRIx32 "\n", width_letter(width), gpa,
		val & qtest_ones(width));
}

void qtest_out_async(struct qtest *q, uint16_t port, unsigned width, uint32_t val)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "out%c 0x%x 0x%" PRIx32 "\n", width_letter(width),
			 port, val & qtest_ones(width));

	send_async(q, text, n);
}

void qtest_write_async(struct qtest *q, uint64_t gpa, unsigned width, uint32_t val)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "write%c 0x%" PRIx64 " 0x%" PRIx32 "\n",
			 width_letter(width), gpa, val & qtest_ones(width));

	send_async(q, text, n);
}

int qtest_intercept_in(struct qtest *q, const char *qom_path)
{
	uint32_t ignored;

	if (command(q, &ignored, "irq_intercept_in %s\n", qom_path))
		return VIO_OK;
	return q->dead ? VIO_ENODEV : VIO_EDEV;
}
