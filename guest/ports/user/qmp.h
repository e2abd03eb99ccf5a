/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Client of QEMU's monitor protocol (QMP): JSON, one object a line, over a unix socket.
 *
 * One thread at a time. Events that arrive between replies are kept, oldest dropped first, until
 * somebody asks for them. Every wait has a deadline; a connection that failed stays `dead`.
 */
#ifndef USER_QMP_H
#define USER_QMP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "vio/os.h"

#define QMP_TIMEOUT_MS 10000u
#define QMP_MAX_EVENTS 64u
#define QMP_MAX_LINE   (4u << 20)

struct qmp {
	int fd; /* owned; -1 when closed */
	bool dead;
	unsigned timeout_ms;
	unsigned next_id;
	char *buf; /* owned; bytes read ahead */
	size_t len, cap;
	json_t *events[QMP_MAX_EVENTS]; /* owned, oldest first */
	unsigned n_events;
	char err[256]; /* text of the last error, QEMU's own words where there are some */
};

/*
 * Connect, waiting until the socket appears, read the greeting and leave negotiation mode.
 * timeout_ms bounds the whole of it and each later reply; 0 means QMP_TIMEOUT_MS.
 * VIO_ETIMEDOUT, VIO_EINVAL (path too long), VIO_EBROKEN (not QMP), VIO_ENODEV (closed).
 */
int qmp_connect(struct qmp *q, const char *path, unsigned timeout_ms) VIO_MUST_CHECK;
/* The same over a connected socket, which now belongs to q whatever the result. */
int qmp_adopt(struct qmp *q, int fd, unsigned timeout_ms) VIO_MUST_CHECK;
/* Safe on a zeroed or closed client. */
void qmp_close(struct qmp *q);

/*
 * Run one command. args may be NULL and is consumed. ret may be NULL; otherwise it gets the
 * "return" value, a reference that belongs to the caller.
 * VIO_EDEV: QEMU refused, err is its description. VIO_ETIMEDOUT, VIO_EBROKEN, VIO_ENODEV.
 */
int qmp_execute(struct qmp *q, const char *command, json_t *args, json_t **ret) VIO_MUST_CHECK;

/*
 * Wait for an event of that name and, unless device is NULL, with that string in its data's
 * "device" member; it is taken from the kept ones. VIO_ETIMEDOUT, VIO_EBROKEN, VIO_ENODEV.
 */
int qmp_wait_event(struct qmp *q, const char *name, const char *device,
		   unsigned timeout_ms) VIO_MUST_CHECK;
/* Forget kept events. */
void qmp_drop_events(struct qmp *q);

#endif
