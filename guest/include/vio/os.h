/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The port contract: what a kernel owes the core, and what it may expect.
 *
 * A port is this table plus a bus attach (vio/pci.h). The core keeps the pointer for as long as
 * the device is attached; `os` is handed back unchanged to every call.
 *
 * The core takes no lock of its own around its data. The caller serialises, as each header states
 * (vio/net.h: one context per queue, and lifecycle calls alone). The lock in this table is only
 * for register sequences that must not be torn by an interrupt handler.
 */
#ifndef VIO_OS_H
#define VIO_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Results. Zero is success, positive values are counts where a function says so. */
enum vio_err {
	VIO_OK = 0,
	VIO_EAGAIN = -1,    /* no room or nothing there now; try after the next completion */
	VIO_EINVAL = -2,    /* the caller's mistake */
	VIO_ENOMEM = -3,    /* the port could not give memory */
	VIO_ENODEV = -4,    /* not a device for this driver, or the device is gone */
	VIO_ENOTSUP = -5,   /* the device did not offer what this needs */
	VIO_ETIMEDOUT = -6, /* the device did not answer within its deadline */
	VIO_EBROKEN = -7,   /* the device lied or died; reset before going on */
	VIO_EDEV = -8,	    /* the device answered that it failed */
};

#define VIO_MUST_CHECK __attribute__((warn_unused_result))

enum vio_log_level { VIO_LOG_ERROR, VIO_LOG_WARN, VIO_LOG_INFO, VIO_LOG_DEBUG };

/* A piece of memory the device can reach at any time; filled by dma_alloc. */
struct vio_dma {
	void *va;    /* CPU's address */
	uint64_t da; /* device's address, contiguous for len bytes */
	size_t len;
	void *handle; /* the port's own */
};

struct vio_os_ops {
	/*
	 * Zeroed private memory; NULL when there is none. Called only while a
	 * driver is created. free gets the same length.
	 */
	void *(*alloc)(void *os, size_t len);
	void (*free)(void *os, void *ptr, size_t len);

	/*
	 * Zeroed memory shared with the device: coherent, contiguous on the device's side, aligned
	 * to align (a power of two), every device address below 2^addr_bits. Called only
	 * while a driver is created. VIO_OK or VIO_ENOMEM.
	 */
	int (*dma_alloc)(void *os, size_t len, size_t align, unsigned addr_bits,
			 struct vio_dma *out);
	/* The core calls this only after the device was seen to be reset (H-12). */
	void (*dma_free)(void *os, struct vio_dma *dma);

	/* Monotonic microseconds. Callable everywhere, an interrupt filter and a debugger included.
	 */
	uint64_t (*time_us)(void *os);
	/* Busy wait, at most 1000 us a call. Callable everywhere, as above. */
	void (*delay_us)(void *os, uint32_t us);

	/* Spin lock that keeps the device's interrupt handler out. Held for a few registers. */
	void (*lock)(void *os);
	void (*unlock)(void *os);

	/*
	 * One line for a person: `what` is static text, value a number that belongs to it. The core
	 * limits the rate itself (H-14).
	 */
	void (*log)(void *os, enum vio_log_level level, const char *what, uint64_t value);
};

struct vio_os {
	const struct vio_os_ops *ops;
	void *ctx;
};

#endif
