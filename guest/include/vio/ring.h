/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtqueue, driver's side.
 *
 * Life of a buffer: vio_ring_add describes it to the ring and keeps a token for it; vio_ring_kick
 * makes everything added visible and notifies the device if it wants that; vio_ring_pop returns
 * the token with what the device wrote. After a reset, vio_ring_reclaim returns each token that
 * the device never completed. Every token added comes back exactly once, by pop or by reclaim.
 *
 * Trust (rules H-1 to H-5): shared memory is written by this side and never read back; of the
 * device's fields each is read once into a local. A used entry that cannot be true marks the ring
 * broken: from then on pop and add answer VIO_EBROKEN until the device has been reset and the ring
 * made anew. Nothing loops on a value from the device.
 *
 * Locking: none inside. All calls for one ring come from one context at a time; different rings
 * are independent. `broken` may be read from anywhere.
 */
#ifndef VIO_RING_H
#define VIO_RING_H

#include "common/seg.h"
#include "vio/os.h"
#include "vio/transport.h"

/* What a used length is checked against (H-5). */
enum vio_ring_len {
	VIO_RING_LEN_STRICT, /* above the writable bytes: broken */
	VIO_RING_LEN_CLAMP,  /* above: taken as all of them (legacy data queues) */
	VIO_RING_LEN_IGNORE, /* reported as 0 (queues with nothing to read) */
};

/* Part of a buffer: a list of segments that all go the same way. */
struct vio_part {
	const struct seg *segs;
	unsigned n;
	bool in; /* device writes; all such parts come after the others (SQ-2) */
};

struct vio_ring_params {
	uint16_t index; /* queue number */
	uint16_t size;	/* entries, power of two */
	bool event_idx;
	bool indirect;
	uint16_t max_segs; /* most segments of one buffer; sizes the indirect tables */
	enum vio_ring_len len_policy;
	bool polled; /* its owner waits by polling: the queue gets no interrupt vector */
};

struct vio_used {
	void *token;
	uint32_t len; /* bytes the device wrote, checked */
};

struct vio_ring;

/* Allocates; the ring is not yet known to the device. VIO_EINVAL, VIO_ENOMEM. */
int vio_ring_create(struct vio_ring **out, const struct vio_os *os, struct vio_transport *t,
		    const struct vio_ring_params *params) VIO_MUST_CHECK;
/*
 * Frees the ring. The device must have been reset and all tokens reclaimed. If quarantine is set
 * the shared memory is leaked on purpose: the device may still write to it (H-12).
 */
void vio_ring_destroy(struct vio_ring *r, bool quarantine);

/* Empty again, as after vio_ring_create, the same memory. Only while the device is reset. */
void vio_ring_clear(struct vio_ring *r);
void vio_ring_layout(const struct vio_ring *r, struct vio_queue_layout *out);

/*
 * Describe one buffer. parts are copied, their segments belong to the caller until the token comes
 * back. token must not be NULL. VIO_EAGAIN: no room now. VIO_EINVAL: nothing in it, more than
 * max_segs segments, or readable after writable. VIO_EBROKEN.
 */
int vio_ring_add(struct vio_ring *r, const struct vio_part *parts, unsigned nparts,
		 void *token) VIO_MUST_CHECK;

/* Publish what was added and notify the device if it asked for it. True if notified. */
bool vio_ring_kick(struct vio_ring *r);

/* 1 and *out filled, 0 when there is nothing, VIO_EBROKEN. */
int vio_ring_pop(struct vio_ring *r, struct vio_used *out) VIO_MUST_CHECK;
/* Whether pop would find something (or find the ring broken). */
bool vio_ring_more(struct vio_ring *r);

/* Ask for no interrupts (a hint: spurious ones may still come, SQ-14). */
void vio_ring_irq_off(struct vio_ring *r);
/* Ask for one at the next completion. True: something completed meanwhile, poll again. */
bool vio_ring_irq_on(struct vio_ring *r) VIO_MUST_CHECK;
/* Ask for one when about 3/4 of what is in flight has completed. True as above. */
bool vio_ring_irq_delayed(struct vio_ring *r) VIO_MUST_CHECK;

/* After a device reset: the next token still in flight, NULL when there is none left. */
void *vio_ring_reclaim(struct vio_ring *r);

uint16_t vio_ring_size(const struct vio_ring *r);
uint16_t vio_ring_index(const struct vio_ring *r);
bool vio_ring_polled(const struct vio_ring *r);
uint16_t vio_ring_in_flight(const struct vio_ring *r); /* buffers */
uint16_t vio_ring_room(const struct vio_ring *r);      /* free descriptors */
/* Whether a buffer of n segments can be added now. */
bool vio_ring_fits(const struct vio_ring *r, unsigned n);
/* NULL while sound, else what the device did (static text). */
const char *vio_ring_broken(const struct vio_ring *r);
/* A driver above found the device lying about this queue. */
void vio_ring_break(struct vio_ring *r, const char *why);
uint64_t vio_ring_kicks(const struct vio_ring *r); /* notifications sent, since create */

#endif
