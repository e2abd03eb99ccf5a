/* SPDX-License-Identifier: BSD-2-Clause */
/* Which features may go together (2.2, 6). Pure arithmetic on bit sets. */
#include "vio/device.h"

/* Bits 24-49 belong to the transport and the ring ... */
#define FEATURES_TRANSPORT (((UINT64_C(1) << 26) - 1) << 24)

/*
 * RF-6, RF-7: ring_split.c orders for other CPUs. On x86 that orders for devices as well; elsewhere
 * it may not, so the bit is left alone there.
 */
#if defined(__x86_64__) || defined(__i386__)
#define FEATURES_ARCH VIRTIO_BIT(VIRTIO_F_ORDER_PLATFORM)
#else
#define FEATURES_ARCH 0
#endif

/* ... and these are the ones this core can do. */
#define FEATURES_CORE                                                                              \
	(VIRTIO_BIT(VIRTIO_F_ANY_LAYOUT) | VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) |                    \
	 VIRTIO_BIT(VIRTIO_F_EVENT_IDX) | VIRTIO_BIT(VIRTIO_F_VERSION_1) |                         \
	 VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM) | VIRTIO_BIT(VIRTIO_F_NOTIF_CONFIG_DATA) |           \
	 FEATURES_ARCH)

uint64_t vio_features_close(uint64_t features, const struct vio_feature_need *needs,
			    unsigned nneeds)
{
	uint64_t before;

	features &= ~FEATURES_TRANSPORT | FEATURES_CORE; /* FB-4, LG-8 */

	/* Each turn drops at least one bit or ends, so 65 turns at most. */
	do {
		before = features;
		for (unsigned i = 0; i < nneeds; i++) {
			if (!(features & needs[i].any_of))
				features &= ~VIRTIO_BIT(needs[i].feature); /* FB-2 */
		}
	} while (features != before);

	return features;
}
