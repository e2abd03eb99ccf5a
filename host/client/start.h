/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Getting a connection to the daemon, started if it must be (start.c). Inside the library only.
 */
#ifndef CLIENT_START_H
#define CLIENT_START_H

#include "host/client/vmnet_client.h"

/* Always false, so that `return start_fail(...)` reads well. */
__attribute__((format(printf, 3, 4))) bool start_fail(struct vmnet_error *err,
						      enum vmnet_fault fault, const char *fmt, ...);
int64_t start_now_ms(void);
/*
 * A connected control socket, blocking; -1: err. dir: of the socket; chosen: by the user, who may
 * mean another user's daemon.
 */
int start_connect(const char *dir, bool chosen, const char *program, bool no_start,
		  struct vmnet_error *err);

#endif
