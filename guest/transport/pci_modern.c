/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio 1.x over PCI (4.1.4). Registers are accessed with the width of their field, 64-bit ones
 * as two halves (PL-1).
 *
 * queue_select and the feature selects are state inside the device: lifecycle calls own them, and
 * notify and isr, which run beside those, do not use them.
 */
#include "guest/transport/pci_priv.h"

#define COMMON(field) ((uint32_t)offsetof(struct virtio_pci_common_cfg, field))

static uint32_t common_read(struct vio_transport *t, uint32_t off, unsigned width)
{
	return pci_region_read(pci_of(t), &pci_of(t)->common, off, width);
}

static void common_write(struct vio_transport *t, uint32_t off, unsigned width, uint32_t val)
{
	pci_region_write(pci_of(t), &pci_of(t)->common, off, width, val);
}

static uint8_t modern_status_read(struct vio_transport *t)
{
	return (uint8_t)common_read(t, COMMON(device_status), 1);
}

static void modern_status_write(struct vio_transport *t, uint8_t status)
{
	if (status == 0) {
		for (unsigned q = 0; q < VIO_MAX_QUEUES; q++)
			pci_of(t)->notify_at[q].valid = false;
	}
	common_write(t, COMMON(device_status), 1, status);
}

static uint64_t modern_features_read(struct vio_transport *t)
{
	uint64_t features;

	common_write(t, COMMON(device_feature_select), 4, 0);
	features = common_read(t, COMMON(device_feature), 4);
	common_write(t, COMMON(device_feature_select), 4, 1);
	return features | (uint64_t)common_read(t, COMMON(device_feature), 4) << 32;
}

static void modern_features_write(struct vio_transport *t, uint64_t features)
{
	common_write(t, COMMON(driver_feature_select), 4, 0);
	common_write(t, COMMON(driver_feature), 4, (uint32_t)features);
	common_write(t, COMMON(driver_feature_select), 4, 1);
	common_write(t, COMMON(driver_feature), 4, (uint32_t)(features >> 32));
	pci_of(t)->notif_config_data = features & VIRTIO_BIT(VIRTIO_F_NOTIF_CONFIG_DATA);
}

static int modern_config_read(struct vio_transport *t, uint32_t off, unsigned width, uint32_t *val)
{
	struct vio_pci *pci = pci_of(t);

	if (!pci_region_has(&pci->device, off, width))
		return VIO_EINVAL;
	*val = pci_region_read(pci, &pci->device, off, width);
	return VIO_OK;
}

static int modern_config_write(struct vio_transport *t, uint32_t off, unsigned width, uint32_t val)
{
	struct vio_pci *pci = pci_of(t);

	if (!pci_region_has(&pci->device, off, width))
		return VIO_EINVAL;
	pci_region_write(pci, &pci->device, off, width, val);
	return VIO_OK;
}

static uint8_t modern_generation(struct vio_transport *t)
{
	return (uint8_t)common_read(t, COMMON(config_generation), 1);
}

static uint16_t modern_queue_size(struct vio_transport *t, uint16_t q)
{
	if (q >= common_read(t, COMMON(num_queues), 2))
		return 0;
	common_write(t, COMMON(queue_select), 2, q);
	return (uint16_t)common_read(t, COMMON(queue_size), 2);
}

/* PX-2, PX-3 */
static int modern_set_vector(struct vio_transport *t, uint32_t reg, uint16_t vector)
{
	if (vector == VIRTIO_MSI_NO_VECTOR)
		return VIO_OK; /* what a reset leaves */
	if (vector >= pci_of(t)->msix_entries)
		return VIO_EINVAL;
	common_write(t, reg, 2, vector);
	return common_read(t, reg, 2) == vector ? VIO_OK : VIO_EDEV;
}

/* Where queue q, selected, is notified (4.1.4.4). H-10: wholly inside the notify structure. */
static int modern_find_notify(struct vio_transport *t, uint16_t q)
{
	struct vio_pci *pci = pci_of(t);
	uint32_t data = q;
	uint64_t off = common_read(t, COMMON(queue_notify_off), 2);

	off *= pci->notify_multiplier; /* 16 x 32 bits: cannot wrap */
	if (off > UINT32_MAX || off & 1 || !pci_region_has(&pci->notify, (uint32_t)off, 2)) {
		t->why = "a queue's notify address is outside the notify structure, or odd";
		return VIO_EBROKEN;
	}
	if (pci->notif_config_data) {
		if (!pci_region_has(&pci->common, COMMON(queue_notif_config_data), 2)) {
			t->why = "no register for the notification data";
			return VIO_EBROKEN;
		}
		data = common_read(t, COMMON(queue_notif_config_data), 2); /* PN-5 */
	}
	pci->notify_at[q] = (struct vio_pci_notify){
		.off = (uint32_t)off, .value = (uint16_t)data, .valid = true};
	return VIO_OK;
}

static void common_write64(struct vio_transport *t, uint32_t off, uint64_t val)
{
	common_write(t, off, 4, (uint32_t)val);
	common_write(t, off + 4, 4, (uint32_t)(val >> 32));
}

static int modern_queue_enable(struct vio_transport *t, uint16_t q,
			       const struct vio_queue_layout *layout, uint16_t vector)
{
	int err;

	common_write(t, COMMON(queue_select), 2, q);
	common_write(t, COMMON(queue_size), 2, layout->size);
	err = modern_set_vector(t, COMMON(queue_msix_vector), vector);
	if (err) {
		t->why = "queue vector was not taken";
		return err;
	}
	common_write64(t, COMMON(queue_desc_lo), layout->desc);
	common_write64(t, COMMON(queue_driver_lo), layout->driver);
	common_write64(t, COMMON(queue_device_lo), layout->device);
	err = modern_find_notify(t, q);
	if (err)
		return err;
	common_write(t, COMMON(queue_enable), 2, 1); /* PM-4: last; never 0 (PM-6) */
	return VIO_OK;
}

static int modern_config_vector(struct vio_transport *t, uint16_t vector)
{
	return modern_set_vector(t, COMMON(config_msix_vector), vector);
}

static void modern_notify(struct vio_transport *t, uint16_t q)
{
	struct vio_pci *pci = pci_of(t);
	const struct vio_pci_notify *n = &pci->notify_at[q];

	if (n->valid)
		pci_region_write(pci, &pci->notify, n->off, 2, n->value); /* PN-1, PN-3 */
}

static uint8_t modern_isr(struct vio_transport *t)
{
	return (uint8_t)pci_region_read(pci_of(t), &pci_of(t)->isr, 0, 1);
}

const struct vio_transport_ops vio_pci_modern_ops = {
	.name = "modern",
	.status_read = modern_status_read,
	.status_write = modern_status_write,
	.features_read = modern_features_read,
	.features_write = modern_features_write,
	.config_read = modern_config_read,
	.config_write = modern_config_write,
	.generation = modern_generation,
	.queue_size = modern_queue_size,
	.queue_enable = modern_queue_enable,
	.config_vector = modern_config_vector,
	.notify = modern_notify,
	.isr = modern_isr,
	.gone = pci_gone,
};
