/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio device as its driver sees it: features, status, configuration, queues, interrupts.
 *
 *   vio_device_init        bind to a transport
 *   vio_device_negotiate   reset, ACKNOWLEDGE, DRIVER, features, FEATURES_OK (IN-1)
 *   vio_device_add_queue   one ring at a time: memory
 *   vio_device_enable_queue  ... given to the device
 *   vio_device_ready       DRIVER_OK
 *   ...                    traffic
 *   vio_device_reset       back to the start; then reclaim and destroy rings
 *
 * Locking: none inside. These calls exclude each other and all use of the device's rings, except
 * vio_device_isr and vio_device_state, which may run in an interrupt filter at any time.
 */
#ifndef VIO_DEVICE_H
#define VIO_DEVICE_H

#include "vio/os.h"
#include "vio/ring.h"
#include "vio/transport.h"
#include "wire/virtio.h"

enum vio_state {
	VIO_STATE_DOWN,	   /* reset, or never touched */
	VIO_STATE_SETUP,   /* between ACKNOWLEDGE and DRIVER_OK */
	VIO_STATE_RUNNING, /* DRIVER_OK */
	VIO_STATE_BROKEN,  /* lied, or asks for a reset; reset brings it back */
	VIO_STATE_DEAD,	   /* does not reset, or broke too often (H-12, H-13): never again */
};

/* How completions and configuration changes are told. */
enum vio_irq_mode {
	VIO_IRQ_NONE,	   /* polled */
	VIO_IRQ_INTX,	   /* one line, ISR says what */
	VIO_IRQ_MSIX_ONE,  /* one vector (0) for everything */
	VIO_IRQ_MSIX_EACH, /* vector 0: configuration; 1 + q: queue q, unless it is polled */
};

/* What an interrupt may mean. Both at once is normal (PS-1). */
#define VIO_EVENT_QUEUE	 1u
#define VIO_EVENT_CONFIG 2u

#define VIO_RESET_DEADLINE_US 1000000u /* for status to read 0 */
#define VIO_RESETS_PER_MINUTE 3u       /* recoveries before a device is given up (H-13) */

/* A feature that makes no sense unless one of any_of is accepted too (FB-2). */
struct vio_feature_need {
	unsigned feature;
	uint64_t any_of;
};

struct vio_device {
	const struct vio_os *os;
	struct vio_transport *t;
	const struct vio_feature_need *needs; /* of the driver above; order does not matter */
	unsigned nneeds;
	unsigned char state; /* enum vio_state, through vio_device_state only: read anywhere */
	enum vio_irq_mode irq_mode;
	uint64_t offered;
	uint64_t accepted;
	uint8_t status;	 /* as last written */
	const char *why; /* what broke it: static text */
	struct vio_ring *rings[VIO_MAX_QUEUES];
	uint64_t recoveries[VIO_RESETS_PER_MINUTE]; /* when, us */
	unsigned recovery_count;
	bool unsafe;	      /* a reset did not end: the device may still write to our memory */
	uint64_t quarantined; /* rings leaked because of that */
};

/* The device is not touched. os, t and needs must outlive dev. */
void vio_device_init(struct vio_device *dev, const struct vio_os *os, struct vio_transport *t,
		     const struct vio_feature_need *needs, unsigned nneeds);

/*
 * Reset and negotiate. Accepts (offered & wanted) with prerequisites closed; needs all of
 * required. A driver that starts again passes what it accepted first as both (H-11). VIO_ENOTSUP: a
 * required feature is missing, or FEATURES_OK did not stay (FAILED is set, FB-6). VIO_ETIMEDOUT,
 * VIO_ENODEV.
 */
int vio_device_negotiate(struct vio_device *dev, uint64_t wanted, uint64_t required) VIO_MUST_CHECK;

static inline bool vio_device_has(const struct vio_device *dev, unsigned feature)
{
	return dev->accepted >> feature & 1;
}

/*
 * Which of features may be accepted: drops the transport bits this core does not know (FB-4) and
 * every feature whose need is not met, until nothing changes. Bits 0-23 and 50-127 are the driver's
 * own. Pure.
 */
uint64_t vio_features_close(uint64_t features, const struct vio_feature_need *needs,
			    unsigned nneeds);

/* One field, or count fields of the same width that follow each other. */
struct vio_config_field {
	uint16_t off;
	uint8_t width; /* 1, 2 or 4 */
	uint8_t count;
};

/*
 * Read fields as one consistent snapshot (CF-1, CF-2, LG-6): at most 16 attempts. vals gets one
 * value per element, in order. VIO_EINVAL: a field is not there. VIO_EBROKEN: never consistent.
 */
int vio_config_read(struct vio_device *dev, const struct vio_config_field *fields, unsigned nfields,
		    uint32_t *vals) VIO_MUST_CHECK;

/*
 * Create queue params->index with at most params->size entries; 0 means the device's. A modern
 * device gets the largest power of two that fits both; on a legacy one the device's size is the
 * only one (LG-9). Allocates, tells the device nothing yet.
 * VIO_ENODEV: no such queue. VIO_EBROKEN: a size that no queue can have (H-9). VIO_ENOMEM.
 */
int vio_device_add_queue(struct vio_device *dev, const struct vio_ring_params *params,
			 struct vio_ring **out) VIO_MUST_CHECK;
/*
 * Give a ring made by vio_device_add_queue, empty, to the device. Allocates nothing, so that a
 * device can always be started again. VIO_EBROKEN: the device's size no longer fits (H-11).
 */
int vio_device_enable_queue(struct vio_device *dev, struct vio_ring *r) VIO_MUST_CHECK;

/* DRIVER_OK. The configuration vector is set before. */
int vio_device_ready(struct vio_device *dev) VIO_MUST_CHECK;

/*
 * Write 0 to status and wait until it reads 0 (RS-1, PM-5). State DOWN, or DEAD and VIO_ETIMEDOUT:
 * then ring memory must not be freed, which vio_device_drop_queues observes.
 */
int vio_device_reset(struct vio_device *dev) VIO_MUST_CHECK;
/* Destroy all rings. After a reset, and after the driver reclaimed its tokens. */
void vio_device_drop_queues(struct vio_device *dev);

/* The device lied: state BROKEN, FAILED is set, one line is logged. Idempotent. Any context. */
void vio_device_break(struct vio_device *dev, const char *why);
/*
 * May a broken device be started again now? Counts the recovery. VIO_ENODEV: no, it is DEAD
 * (H-13).
 */
int vio_device_may_recover(struct vio_device *dev) VIO_MUST_CHECK;
/* Set FAILED and give up on a device whose set-up cannot be saved (IN-5). */
void vio_device_fail(struct vio_device *dev, const char *why);

/*
 * What an interrupt on vector (0 for INTx) means: a mask of VIO_EVENT_*, 0 when it is not ours or
 * the device is not running (H-13). INTx: reads ISR, so the line drops. MSI-X never reads ISR
 * (PI-1); with one shared vector both events are reported, see vio_net_interrupt.
 */
unsigned vio_device_isr(struct vio_device *dev, unsigned vector);

/* True when the device asks for a reset (2.1.2). One register read. */
bool vio_device_needs_reset(struct vio_device *dev);

static inline enum vio_state vio_device_state(const struct vio_device *dev)
{
	return (enum vio_state)__atomic_load_n(&dev->state, __ATOMIC_ACQUIRE);
}

#endif
