/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every virtio device shares: ids, status bits, feature bits.
 * Numbers in comments are sections of the virtio 1.4 specification.
 */
#ifndef WIRE_VIRTIO_H
#define WIRE_VIRTIO_H

#include <stddef.h>
#include <stdint.h>

/* A field or a size that is not where the specification puts it does not compile. */
#ifdef __cplusplus
#define WIRE_ASSERT static_assert
#else
#define WIRE_ASSERT _Static_assert
#endif
#define WIRE_OFFSET(type, field, off)                                                              \
	WIRE_ASSERT(offsetof(struct type, field) == (off), #type "." #field)
#define WIRE_SIZE(type, size) WIRE_ASSERT(sizeof(struct type) == (size), "sizeof " #type)

/* Device types (5). */
enum virtio_id {
	VIRTIO_ID_NET = 1,
	VIRTIO_ID_BLOCK = 2,
	VIRTIO_ID_CONSOLE = 3,
	VIRTIO_ID_ENTROPY = 4,
	VIRTIO_ID_BALLOON = 5,
	VIRTIO_ID_SCSI = 8,
	VIRTIO_ID_9P = 9,
	VIRTIO_ID_GPU = 16,
	VIRTIO_ID_INPUT = 18,
	VIRTIO_ID_SOCKET = 19,
};

/* Device status field (2.1). */
enum virtio_status {
	VIRTIO_STATUS_ACKNOWLEDGE = 1,
	VIRTIO_STATUS_DRIVER = 2,
	VIRTIO_STATUS_DRIVER_OK = 4,
	VIRTIO_STATUS_FEATURES_OK = 8,
	VIRTIO_STATUS_SUSPEND = 16, /* 2.1, since 1.4 */
	VIRTIO_STATUS_NEEDS_RESET = 64,
	VIRTIO_STATUS_FAILED = 128,
};

/* Feature bits that belong to no one device type (6, 6.3 for the legacy ones). */
enum virtio_feature {
	VIRTIO_F_NOTIFY_ON_EMPTY = 24, /* legacy */
	VIRTIO_F_ANY_LAYOUT = 27,      /* legacy */
	VIRTIO_F_INDIRECT_DESC = 28,
	VIRTIO_F_EVENT_IDX = 29,
	VIRTIO_F_UNUSED = 30, /* legacy: never accept (LG-8) */
	VIRTIO_F_VERSION_1 = 32,
	VIRTIO_F_ACCESS_PLATFORM = 33,
	VIRTIO_F_RING_PACKED = 34,
	VIRTIO_F_IN_ORDER = 35,
	VIRTIO_F_ORDER_PLATFORM = 36,
	VIRTIO_F_SR_IOV = 37,
	VIRTIO_F_NOTIFICATION_DATA = 38,
	VIRTIO_F_NOTIF_CONFIG_DATA = 39,
	VIRTIO_F_RING_RESET = 40,
	VIRTIO_F_ADMIN_VQ = 41,
	VIRTIO_F_SUSPEND = 43,
};

#define VIRTIO_BIT(feature) (UINT64_C(1) << (feature))

/* Vector value that stands for "no MSI-X vector" (4.1.5.1.2). */
#define VIRTIO_MSI_NO_VECTOR 0xffffu

#define VIRTIO_QUEUE_SIZE_MAX 32768u /* 2.7: powers of two up to this */

#endif
