/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio over PCI (4.1), modern and legacy (4.1.4.10, the 0.9.5 layout), and the few registers of
 * PCI itself that a driver has to read. All multi-byte registers are little-endian.
 *
 * Registers are reached by offset and width through a bus, never by dereferencing, so structures
 * here exist to have their offsets asserted.
 */
#ifndef WIRE_VIRTIO_PCI_H
#define WIRE_VIRTIO_PCI_H

#include "common/endian.h"
#include "wire/virtio.h"

#define VIRTIO_PCI_VENDOR	       0x1af4u
#define VIRTIO_PCI_DEVICE_MIN	       0x1000u /* transitional ids 0x1000-0x103f (4.1.2.3) */
#define VIRTIO_PCI_DEVICE_TRANSITIONAL 0x103fu
#define VIRTIO_PCI_DEVICE_MODERN       0x1040u /* + device type (4.1.2) */
#define VIRTIO_PCI_DEVICE_MAX	       0x107fu

/* Configuration space header (PCI 3.0, 6.1). */
enum pci_cfg {
	PCI_VENDOR_ID = 0x00,
	PCI_DEVICE_ID = 0x02,
	PCI_COMMAND = 0x04,
	PCI_STATUS = 0x06,
	PCI_REVISION = 0x08,
	PCI_CLASS = 0x0a,
	PCI_HEADER_TYPE = 0x0e,
	PCI_BAR0 = 0x10,
	PCI_SUBSYSTEM_VENDOR = 0x2c,
	PCI_SUBSYSTEM_ID = 0x2e,
	PCI_CAP_PTR = 0x34,
	PCI_INTERRUPT_LINE = 0x3c,
	PCI_INTERRUPT_PIN = 0x3d,
	PCI_CFG_SIZE = 256,
};

#define PCI_COMMAND_IO	       0x0001u
#define PCI_COMMAND_MEMORY     0x0002u
#define PCI_COMMAND_MASTER     0x0004u
#define PCI_COMMAND_INTX_OFF   0x0400u
#define PCI_STATUS_CAP_LIST    0x0010u
#define PCI_CAP_ID_VENDOR      0x09u
#define PCI_CAP_ID_MSIX	       0x11u
#define PCI_CAP_FIRST	       0x40u
#define PCI_MSIX_CONTROL       2u /* offset inside the MSI-X capability */
#define PCI_MSIX_TABLE	       4u
#define PCI_MSIX_CONTROL_SIZE  0x07ffu /* table size - 1 */
#define PCI_MSIX_CONTROL_MASK  0x4000u
#define PCI_MSIX_CONTROL_ON    0x8000u
#define PCI_MSIX_ENTRY	       16u
#define PCI_MSIX_ENTRY_CONTROL 12u
#define PCI_NUM_BARS	       6u

/* cfg_type of a virtio capability (4.1.4). */
enum virtio_pci_cap_type {
	VIRTIO_PCI_CAP_COMMON_CFG = 1,
	VIRTIO_PCI_CAP_NOTIFY_CFG = 2,
	VIRTIO_PCI_CAP_ISR_CFG = 3,
	VIRTIO_PCI_CAP_DEVICE_CFG = 4,
	VIRTIO_PCI_CAP_PCI_CFG = 5,
	VIRTIO_PCI_CAP_SHARED_MEMORY_CFG = 8,
	VIRTIO_PCI_CAP_VENDOR_CFG = 9,
};

/* 4.1.4 */
struct virtio_pci_cap {
	uint8_t cap_vndr;
	uint8_t cap_next;
	uint8_t cap_len;
	uint8_t cfg_type;
	uint8_t bar;
	uint8_t id;
	uint8_t padding[2];
	le32 offset;
	le32 length;
};
WIRE_SIZE(virtio_pci_cap, 16);
WIRE_OFFSET(virtio_pci_cap, cap_vndr, 0);
WIRE_OFFSET(virtio_pci_cap, cap_next, 1);
WIRE_OFFSET(virtio_pci_cap, cap_len, 2);
WIRE_OFFSET(virtio_pci_cap, cfg_type, 3);
WIRE_OFFSET(virtio_pci_cap, bar, 4);
WIRE_OFFSET(virtio_pci_cap, id, 5);
WIRE_OFFSET(virtio_pci_cap, offset, 8);
WIRE_OFFSET(virtio_pci_cap, length, 12);

/* 4.1.4.4 */
struct virtio_pci_notify_cap {
	struct virtio_pci_cap cap;
	le32 notify_off_multiplier;
};
WIRE_SIZE(virtio_pci_notify_cap, 20);
WIRE_OFFSET(virtio_pci_notify_cap, notify_off_multiplier, 16);

/* 4.1.4.9: the window through configuration space */
struct virtio_pci_cfg_cap {
	struct virtio_pci_cap cap;
	uint8_t pci_cfg_data[4];
};
WIRE_SIZE(virtio_pci_cfg_cap, 20);
WIRE_OFFSET(virtio_pci_cfg_cap, pci_cfg_data, 16);

/* 4.1.4.3 */
struct virtio_pci_common_cfg {
	le32 device_feature_select;
	le32 device_feature;
	le32 driver_feature_select;
	le32 driver_feature;
	le16 config_msix_vector;
	le16 num_queues;
	uint8_t device_status;
	uint8_t config_generation;
	le16 queue_select;
	le16 queue_size;
	le16 queue_msix_vector;
	le16 queue_enable;
	le16 queue_notify_off;
	le32 queue_desc_lo; /* 64-bit registers are two 32-bit halves (PL-1) */
	le32 queue_desc_hi;
	le32 queue_driver_lo;
	le32 queue_driver_hi;
	le32 queue_device_lo;
	le32 queue_device_hi;
	le16 queue_notif_config_data;
	le16 queue_reset;
};
WIRE_SIZE(virtio_pci_common_cfg, 60);
WIRE_OFFSET(virtio_pci_common_cfg, device_feature_select, 0);
WIRE_OFFSET(virtio_pci_common_cfg, device_feature, 4);
WIRE_OFFSET(virtio_pci_common_cfg, driver_feature_select, 8);
WIRE_OFFSET(virtio_pci_common_cfg, driver_feature, 12);
WIRE_OFFSET(virtio_pci_common_cfg, config_msix_vector, 16);
WIRE_OFFSET(virtio_pci_common_cfg, num_queues, 18);
WIRE_OFFSET(virtio_pci_common_cfg, device_status, 20);
WIRE_OFFSET(virtio_pci_common_cfg, config_generation, 21);
WIRE_OFFSET(virtio_pci_common_cfg, queue_select, 22);
WIRE_OFFSET(virtio_pci_common_cfg, queue_size, 24);
WIRE_OFFSET(virtio_pci_common_cfg, queue_msix_vector, 26);
WIRE_OFFSET(virtio_pci_common_cfg, queue_enable, 28);
WIRE_OFFSET(virtio_pci_common_cfg, queue_notify_off, 30);
WIRE_OFFSET(virtio_pci_common_cfg, queue_desc_lo, 32);
WIRE_OFFSET(virtio_pci_common_cfg, queue_desc_hi, 36);
WIRE_OFFSET(virtio_pci_common_cfg, queue_driver_lo, 40);
WIRE_OFFSET(virtio_pci_common_cfg, queue_driver_hi, 44);
WIRE_OFFSET(virtio_pci_common_cfg, queue_device_lo, 48);
WIRE_OFFSET(virtio_pci_common_cfg, queue_device_hi, 52);
WIRE_OFFSET(virtio_pci_common_cfg, queue_notif_config_data, 56);
WIRE_OFFSET(virtio_pci_common_cfg, queue_reset, 58);

/* Bytes of the 1.0 structure: what any device must offer (later fields are optional). */
#define VIRTIO_PCI_COMMON_CFG_MIN 56u

/* ISR status (4.1.4.5); reading it clears it. The same bits serve the legacy register. */
#define VIRTIO_PCI_ISR_QUEUE  1u
#define VIRTIO_PCI_ISR_CONFIG 2u

/* Legacy register block in I/O BAR 0 (4.1.4.10). */
enum virtio_pci_legacy_reg {
	VIRTIO_PCI_LEGACY_DEVICE_FEATURES = 0,
	VIRTIO_PCI_LEGACY_DRIVER_FEATURES = 4,
	VIRTIO_PCI_LEGACY_QUEUE_PFN = 8,
	VIRTIO_PCI_LEGACY_QUEUE_SIZE = 12,
	VIRTIO_PCI_LEGACY_QUEUE_SELECT = 14,
	VIRTIO_PCI_LEGACY_QUEUE_NOTIFY = 16,
	VIRTIO_PCI_LEGACY_STATUS = 18,
	VIRTIO_PCI_LEGACY_ISR = 19,
	VIRTIO_PCI_LEGACY_CONFIG_VECTOR = 20, /* these two only while MSI-X is on */
	VIRTIO_PCI_LEGACY_QUEUE_VECTOR = 22,
	VIRTIO_PCI_LEGACY_CONFIG = 20,	    /* device configuration while MSI-X is off ... */
	VIRTIO_PCI_LEGACY_CONFIG_MSIX = 24, /* ... and while it is on (LG-14) */
};

#define VIRTIO_PCI_LEGACY_PFN_SHIFT 12

#endif
