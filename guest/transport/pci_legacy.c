/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio 0.9.5 over PCI: the registers in I/O BAR 0 (4.1.4.10, LG-13).
 *
 * The register block is 20 bytes, or 24 while MSI-X is on, and the device's configuration follows
 * it directly (LG-14). MSI-X may be switched on or off by the port, or by an OS that does so when
 * an interrupt is registered, so the offset is worked out from the enable bit at every access.
 * Registers of the block are little-endian, the device's configuration is in the guest's order
 * (LG-12, LG-16).
 */
#include "guest/transport/pci_priv.h"

static uint32_t legacy_read(struct vio_transport *t, uint32_t off, unsigned width)
{
	return pci_of(t)->ops->read(pci_of(t)->bus, 0, off, width);
}

static void legacy_write(struct vio_transport *t, uint32_t off, unsigned width, uint32_t val)
{
	pci_of(t)->ops->write(pci_of(t)->bus, 0, off, width, val);
}

static uint8_t legacy_status_read(struct vio_transport *t)
{
	return (uint8_t)legacy_read(t, VIRTIO_PCI_LEGACY_STATUS, 1);
}

static void legacy_status_write(struct vio_transport *t, uint8_t status)
{
	legacy_write(t, VIRTIO_PCI_LEGACY_STATUS, 1, status);
}

static uint64_t legacy_features_read(struct vio_transport *t)
{
	return legacy_read(t, VIRTIO_PCI_LEGACY_DEVICE_FEATURES, 4);
}

static void legacy_features_write(struct vio_transport *t, uint64_t features)
{
	legacy_write(t, VIRTIO_PCI_LEGACY_DRIVER_FEATURES, 4, (uint32_t)features);
}

/* Offset of a field in the BAR; false if it is not there. */
static bool legacy_config_at(struct vio_transport *t, uint32_t off, unsigned width, uint32_t *at)
{
	const struct vio_pci *pci = pci_of(t);
	uint32_t base =
		vio_pci_msix_on(pci) ? VIRTIO_PCI_LEGACY_CONFIG_MSIX : VIRTIO_PCI_LEGACY_CONFIG;
	uint64_t room = pci->bars[0].len - base; /* at least 0: vio_pci_open has checked */

	if (off > room || room - off < width)
		return false;
	*at = base + off;
	return true;
}

static uint32_t legacy_guest_order(uint32_t val, unsigned width)
{
	if (!HOST_BIG_ENDIAN || width == 1)
		return val;
	return width == 2 ? __builtin_bswap16((uint16_t)val) : __builtin_bswap32(val);
}

static int legacy_config_read(struct vio_transport *t, uint32_t off, unsigned width, uint32_t *val)
{
	uint32_t at;

	if (!legacy_config_at(t, off, width, &at))
		return VIO_EINVAL;
	*val = legacy_guest_order(legacy_read(t, at, width), width);
	return VIO_OK;
}

static int legacy_config_write(struct vio_transport *t, uint32_t off, unsigned width, uint32_t val)
{
	uint32_t at;

	if (!legacy_config_at(t, off, width, &at))
		return VIO_EINVAL;
	legacy_write(t, at, width, legacy_guest_order(val, width));
	return VIO_OK;
}

static uint8_t legacy_generation(struct vio_transport *t)
{
	(void)t;
	return 0;
}

static uint16_t legacy_queue_size(struct vio_transport *t, uint16_t q)
{
	legacy_write(t, VIRTIO_PCI_LEGACY_QUEUE_SELECT, 2, q);
	return (uint16_t)legacy_read(t, VIRTIO_PCI_LEGACY_QUEUE_SIZE, 2);
}

/* PX-2, PX-3; the vector registers exist only while MSI-X is on. */
static int legacy_set_vector(struct vio_transport *t, uint32_t reg, uint16_t vector)
{
	if (vector == VIRTIO_MSI_NO_VECTOR)
		return VIO_OK;
	if (vector >= pci_of(t)->msix_entries || !vio_pci_msix_on(pci_of(t)))
		return VIO_EINVAL;
	legacy_write(t, reg, 2, vector);
	return legacy_read(t, reg, 2) == vector ? VIO_OK : VIO_EDEV;
}

static int legacy_queue_enable(struct vio_transport *t, uint16_t q,
			       const struct vio_queue_layout *layout, uint16_t vector)
{
	uint64_t pfn = layout->desc >> VIRTIO_PCI_LEGACY_PFN_SHIFT;
	int err;

	if (pfn > UINT32_MAX || layout->desc & (VRING_LEGACY_ALIGN - 1)) {
		t->why = "ring memory is out of a legacy device's reach";
		return VIO_EINVAL;
	}
	legacy_write(t, VIRTIO_PCI_LEGACY_QUEUE_SELECT, 2, q);
	err = legacy_set_vector(t, VIRTIO_PCI_LEGACY_QUEUE_VECTOR, vector);
	if (err) {
		t->why = "queue vector was not taken";
		return err;
	}
	legacy_write(t, VIRTIO_PCI_LEGACY_QUEUE_PFN, 4, (uint32_t)pfn); /* LG-11 */
	return VIO_OK;
}

static int legacy_config_vector(struct vio_transport *t, uint16_t vector)
{
	return legacy_set_vector(t, VIRTIO_PCI_LEGACY_CONFIG_VECTOR, vector);
}

static void legacy_notify(struct vio_transport *t, uint16_t q)
{
	legacy_write(t, VIRTIO_PCI_LEGACY_QUEUE_NOTIFY, 2, q);
}

static uint8_t legacy_isr(struct vio_transport *t)
{
	return (uint8_t)legacy_read(t, VIRTIO_PCI_LEGACY_ISR, 1);
}

const struct vio_transport_ops vio_pci_legacy_ops = {
	.name = "legacy",
	.status_read = legacy_status_read,
	.status_write = legacy_status_write,
	.features_read = legacy_features_read,
	.features_write = legacy_features_write,
	.config_read = legacy_config_read,
	.config_write = legacy_config_write,
	.generation = legacy_generation,
	.queue_size = legacy_queue_size,
	.queue_enable = legacy_queue_enable,
	.config_vector = legacy_config_vector,
	.notify = legacy_notify,
	.isr = legacy_isr,
	.gone = pci_gone,
};
