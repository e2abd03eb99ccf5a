/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Client of QEMU's qtest protocol: port I/O, memory access and interrupt lines over a socket.
 *
 * One thread at a time. Nothing here prints, exits or waits without a bound: when QEMU dies, stops
 * answering or talks nonsense, `dead` is set, `err` says why, every read gives all ones and every
 * write is dropped, which is what a PCI bus does when a device is pulled.
 */
#ifndef USER_QTEST_H
#define USER_QTEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vio/os.h"

#define QTEST_TIMEOUT_MS  10000u
#define QTEST_MAX_PENDING 64u /* asynchronous writes whose OK is still to come */
#define QTEST_LINES	  64u

struct qtest {
	int fd; /* owned; -1 when closed */
	bool dead;
	unsigned timeout_ms; /* the longest wait for one reply */
	unsigned pending;    /* asynchronous writes not yet answered */
	uint64_t lines;	     /* intercepted interrupt lines: bit n is the level of line n */
	uint64_t raised[QTEST_LINES]; /* how often line n went up */
	uint64_t commands;	      /* sent so far */
	uint64_t refused;	      /* answered FAIL or ERR */
	char err[160];		      /* the last refusal, or why it is dead */
	size_t head, tail;	      /* unread bytes of buf */
	char buf[4096];
};

/*
 * Connect to a listening socket, waiting until it appears. timeout_ms bounds this wait and,
 * later, each reply; 0 means QTEST_TIMEOUT_MS. VIO_ETIMEDOUT, VIO_EINVAL (path too long).
 */
int qtest_connect(struct qtest *q, const char *path, unsigned timeout_ms) VIO_MUST_CHECK;
/* The same over a connected socket, which now belongs to q. */
void qtest_adopt(struct qtest *q, int fd, unsigned timeout_ms);
/* Safe on a zeroed or closed client; leaves it dead. */
void qtest_close(struct qtest *q);

/* What a read of that width gives where there is nothing to read. */
static inline uint32_t qtest_ones(unsigned width)
{
	return width >= 4 ? 0xffffffffu : (1u << (8 * width)) - 1;
}

/* width is 1, 2 or 4; each returns after QEMU has done it. */
uint32_t qtest_in(struct qtest *q, uint16_t port, unsigned width);
void qtest_out(struct qtest *q, uint16_t port, unsigned width, uint32_t val);
uint32_t qtest_read(struct qtest *q, uint64_t gpa, unsigned width);
void qtest_write(struct qtest *q, uint64_t gpa, unsigned width, uint32_t val);

/*
 * Sent, not waited for. Ordered with everything else on this socket (but not with QMP); blocks
 * only when QTEST_MAX_PENDING answers are outstanding.
 */
void qtest_out_async(struct qtest *q, uint16_t port, unsigned width, uint32_t val);
void qtest_write_async(struct qtest *q, uint64_t gpa, unsigned width, uint32_t val);
/* Wait for the answers of all asynchronous writes. */
void qtest_flush(struct qtest *q);

/*
 * Have the input lines of a device (a QOM path such as "ioapic") reported in `lines`. Levels from
 * before this call are not known. VIO_EDEV: refused, see err. VIO_ENODEV: dead.
 */
int qtest_intercept_in(struct qtest *q, const char *qom_path) VIO_MUST_CHECK;

/* Take in what has arrived: interrupt lines, answers. Never blocks. */
void qtest_poll(struct qtest *q);
/* The same, after waiting up to timeout_us for something to arrive. */
void qtest_wait(struct qtest *q, uint32_t timeout_us);

#endif
