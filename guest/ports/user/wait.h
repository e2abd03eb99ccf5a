/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bounded waits: every wait of this port is for a descriptor or a moment, and has a deadline on the
 * monotonic clock in microseconds.
 */
#ifndef USER_WAIT_H
#define USER_WAIT_H

#include <stdbool.h>
#include <stdint.h>
#include "vio/os.h"

uint64_t wait_now_us(void);
uint64_t wait_deadline_us(uint64_t us);
uint64_t wait_deadline_ms(unsigned ms);
bool wait_over(uint64_t deadline);
/* Sleep, at most until the deadline. */
void wait_sleep(uint64_t us, uint64_t deadline);
/* Until fd has one of events (or an error to report); false when the deadline passed first. */
bool wait_fd(int fd, short events, uint64_t deadline);

/*
 * Connect to a unix stream socket, trying again until it is there. alive, if given, is asked in
 * between and ends the wait by answering false. VIO_ETIMEDOUT, VIO_ENODEV (not alive), VIO_EINVAL
 * (path too long), VIO_ENOMEM (no descriptor).
 */
int wait_connect(const char *path, uint64_t deadline, bool (*alive)(void *arg), void *arg,
		 int *fd) VIO_MUST_CHECK;

#endif
