/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The port contract (vio/os.h) for a Linux process, with the checks a test wants.
 *
 * Private memory comes from the heap and is counted; memory shared with the device comes out of one
 * region (a machine's RAM) by first fit. What a kernel would crash on (a wrong length to free, a
 * free of what is not there, a delay that is too long, a lock taken twice) is counted in `misuse`.
 *
 * The counters and the log callback are the user's to read and set between calls. alloc, free and
 * the dma functions may be called from any thread.
 */
#ifndef USER_OS_H
#define USER_OS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "guest/ports/user/qemu.h"
#include "vio/os.h"

struct user_block;

struct user_os {
	struct vio_os os;	   /* what the core is given: &u->os */
	uint8_t *base;		   /* the region ... */
	uint64_t da;		   /* ... at this device address ... */
	uint64_t len;		   /* ... not owned */
	struct user_block *blocks; /* DMA blocks in use, by address */
	pthread_mutex_t heap_lock; /* for all below */
	pthread_mutex_t dev_lock;  /* the contract's lock */

	size_t live_private, live_dma;	     /* bytes in use now */
	unsigned blocks_private, blocks_dma; /* pieces in use now */
	uint64_t allocs;		     /* allocations asked for so far, of both kinds */
	uint64_t fail_at; /* the allocation with this number (from 1) fails, once; 0: none */
	unsigned misuse;  /* breaches of the contract by the caller */
	unsigned logs[VIO_LOG_DEBUG + 1];

	void (*log)(void *arg, enum vio_log_level level, const char *what, uint64_t value);
	void *log_arg;
};

/* DMA memory from [base, base + len), which the device sees at da and which outlives u. */
void user_os_init(struct user_os *u, void *base, uint64_t da, uint64_t len);
/* The same with a machine's RAM above what the port itself uses. VIO_ENOTSUP: no RAM mapped. */
int user_os_init_qemu(struct user_os *u, struct qemu *q) VIO_MUST_CHECK;
/* Frees nothing that is still in use; look at live_private and live_dma first. */
void user_os_fini(struct user_os *u);

/* Make the n-th allocation from now on fail, once (1: the next); 0: none. */
void user_os_fail(struct user_os *u, uint64_t n);

/* Device address of a pointer into the region; false if len bytes there are not all inside. */
bool user_os_da(const struct user_os *u, const void *va, size_t len, uint64_t *da);
/* And back; NULL if not all inside. */
void *user_os_va(const struct user_os *u, uint64_t da, size_t len);

#endif
