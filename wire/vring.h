/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Split virtqueue (2.7) as it lies in memory.
 *
 * Modern devices use little-endian fields, legacy ones the guest's own order (2.7.3), so the
 * fields are vio16/32/64: neither plain nor le, converted by whoever knows the interface
 * generation.
 */
#ifndef WIRE_VRING_H
#define WIRE_VRING_H

#include "wire/virtio.h"

typedef struct {
	uint16_t raw;
} vio16;
typedef struct {
	uint32_t raw;
} vio32;
typedef struct {
	uint64_t raw;
} vio64;

enum vring_desc_flag {
	VRING_DESC_F_NEXT = 1,
	VRING_DESC_F_WRITE = 2,
	VRING_DESC_F_INDIRECT = 4,
};

#define VRING_AVAIL_F_NO_INTERRUPT 1u /* 2.7.6 */
#define VRING_USED_F_NO_NOTIFY	   1u /* 2.7.8 */

/* 2.7.5 */
struct vring_desc {
	vio64 addr;
	vio32 len;
	vio16 flags;
	vio16 next;
};
WIRE_SIZE(vring_desc, 16);
WIRE_OFFSET(vring_desc, addr, 0);
WIRE_OFFSET(vring_desc, len, 8);
WIRE_OFFSET(vring_desc, flags, 12);
WIRE_OFFSET(vring_desc, next, 14);

/* 2.7.6; ring[size] is followed by used_event when EVENT_IDX is negotiated. */
struct vring_avail {
	vio16 flags;
	vio16 idx;
	vio16 ring[];
};
WIRE_SIZE(vring_avail, 4);
WIRE_OFFSET(vring_avail, flags, 0);
WIRE_OFFSET(vring_avail, idx, 2);
WIRE_OFFSET(vring_avail, ring, 4);

struct vring_used_elem {
	vio32 id;
	vio32 len;
};
WIRE_SIZE(vring_used_elem, 8);
WIRE_OFFSET(vring_used_elem, id, 0);
WIRE_OFFSET(vring_used_elem, len, 4);

/* 2.7.8; ring[size] is followed by avail_event when EVENT_IDX is negotiated. */
struct vring_used {
	vio16 flags;
	vio16 idx;
	struct vring_used_elem ring[];
};
WIRE_SIZE(vring_used, 4);
WIRE_OFFSET(vring_used, flags, 0);
WIRE_OFFSET(vring_used, idx, 2);
WIRE_OFFSET(vring_used, ring, 4);

/* Alignment of the three areas (2.7) and of the legacy single block (2.7.2). */
#define VRING_DESC_ALIGN   16u
#define VRING_AVAIL_ALIGN  2u
#define VRING_USED_ALIGN   4u
#define VRING_LEGACY_ALIGN 4096u

/* Bytes of each area for a queue of n entries; the trailing 2 are the event field. */
#define VRING_DESC_BYTES(n)  ((size_t)16 * (n))
#define VRING_AVAIL_BYTES(n) ((size_t)6 + (size_t)2 * (n))
#define VRING_USED_BYTES(n)  ((size_t)6 + (size_t)8 * (n))

#endif
