/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the core reaches a device: one table, one file per implementation (guest/transport/).
 *
 * A transport translates; it decides nothing. Policy (order of steps, deadlines, what a value
 * means) is the core's. Registers hold what the other side put there: every value returned is
 * untrusted, and the core checks it.
 */
#ifndef VIO_TRANSPORT_H
#define VIO_TRANSPORT_H

#include "vio/os.h"

#define VIO_MAX_QUEUES 16u /* virtqueues a device may use with this core */

/* What isr returns (4.1.4.5, the same bits in every transport). */
#define VIO_ISR_QUEUE  1u
#define VIO_ISR_CONFIG 2u

struct vio_transport;

/* A split virtqueue as the device must see it (device addresses). */
struct vio_queue_layout {
	uint16_t size;	 /* entries */
	uint64_t desc;	 /* descriptor table; legacy: start of the one block */
	uint64_t driver; /* available ring */
	uint64_t device; /* used ring */
};

struct vio_transport_ops {
	const char *name; /* "modern", "legacy" */

	uint8_t (*status_read)(struct vio_transport *t);
	void (*status_write)(struct vio_transport *t, uint8_t status);

	uint64_t (*features_read)(struct vio_transport *t);
	void (*features_write)(struct vio_transport *t, uint64_t features);

	/*
	 * One field of device configuration, width 1, 2 or 4, in host order. VIO_OK, or VIO_EINVAL
	 * when it lies outside what the device has (CF-4, CF-5).
	 */
	int (*config_read)(struct vio_transport *t, uint32_t off, unsigned width, uint32_t *val);
	int (*config_write)(struct vio_transport *t, uint32_t off, unsigned width, uint32_t val);
	/* Configuration generation; a transport without one returns 0 and has_generation false. */
	uint8_t (*generation)(struct vio_transport *t);

	/* Largest size of queue q, 0 if there is none. Legacy: the only size (LG-9). */
	uint16_t (*queue_size)(struct vio_transport *t, uint16_t q);
	/*
	 * Give queue q its memory, its vector (VIRTIO_MSI_NO_VECTOR without MSI-X) and switch it
	 * on (PM-4). VIO_EDEV when the device did not take the vector (PX-3), VIO_EBROKEN when the
	 * notify address is outside its window (H-10).
	 */
	int (*queue_enable)(struct vio_transport *t, uint16_t q,
			    const struct vio_queue_layout *layout, uint16_t vector);
	int (*config_vector)(struct vio_transport *t, uint16_t vector);

	/* Available-buffer notification for an enabled queue. Callable from any context. */
	void (*notify)(struct vio_transport *t, uint16_t q);
	/* Read and so clear ISR. Interrupt filter context. */
	uint8_t (*isr)(struct vio_transport *t);
	/* Whether the function is off the bus (unplugged): then it reaches no memory either. */
	bool (*gone)(struct vio_transport *t);
};

struct vio_transport {
	const struct vio_transport_ops *ops;
	bool legacy; /* 0.9.5 interface: guest-endian, 32 feature bits */
	bool has_generation;
	unsigned dma_bits; /* rings must lie below 2^dma_bits */
	const char *why;   /* after an error: what was wrong; static text */
};

#endif
