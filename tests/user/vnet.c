/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/user/cm.h"
#include <stdio.h>
#include "tests/user/vnet.h"
#include "wire/virtio.h"

#define COMMON(field)	     offsetof(struct virtio_pci_common_cfg, field)
#define NET_F_STATUS	     (1u << 16)
#define VERSION_1_UPPER_HALF 1u

#define MODERN	     "virtio-net-pci,id=nic,disable-legacy=on"
#define TRANSITIONAL "virtio-net-pci,id=nic,disable-legacy=off,disable-modern=off"
#define LEGACY	     "virtio-net-pci,id=nic,disable-legacy=off,disable-modern=on"
#define RP0	     ",bus=rp0"

const struct vnet_form vnet_forms[] = {
	{"pc modern", "pc", false, MODERN, false},
	{"pc transitional", "pc", false, TRANSITIONAL, false},
	{"pc transitional as legacy", "pc", false, TRANSITIONAL, true},
	{"pc legacy", "pc", false, LEGACY, true},
	{"q35 modern", "q35", false, MODERN, false},
	{"q35 transitional as legacy", "q35", false, TRANSITIONAL, true},
	{"q35 legacy", "q35", false, LEGACY, true},
	{"root port modern", "q35", true, MODERN RP0, false},
	{"root port transitional as legacy", "q35", true, TRANSITIONAL RP0, true},
	{"root port legacy", "q35", true, LEGACY RP0, true},
};
const unsigned vnet_n_forms = sizeof(vnet_forms) / sizeof(vnet_forms[0]);

const struct vnet_form *vnet_form(const char *name)
{
	for (unsigned i = 0; i < vnet_n_forms; i++) {
		if (!strcmp(vnet_forms[i].name, name))
			return &vnet_forms[i];
	}
	fail_msg("no form %s", name);
	return NULL;
}

void vnet_start(struct vnet *v, const struct vnet_form *form)
{
	const char *argv[] = {"-device", form->device, NULL};
	struct qemu_opts opts = {
		.machine = form->machine, .root_port = form->root_port, .argv = argv};

	memset(v, 0, sizeof(*v));
	v->legacy = form->legacy;
	if (qemu_start(&v->q, &opts))
		fail_msg("%s: %s", form->name, v->q.err);
	if (qemu_pci_scan(&v->bus, &v->q))
		fail_msg("%s: %s", form->name, v->bus.err);
	v->f = qemu_pci_find(&v->bus, VIRTIO_PCI_VENDOR, 0);
	assert_non_null(v->f);
}

void vnet_stop(struct vnet *v)
{
	qemu_pci_release(&v->bus);
	qemu_stop(&v->q);
}

static unsigned reg_bar(const struct vnet *v)
{
	return v->legacy ? 0 : v->f->common.bar;
}

static uint64_t reg_off(const struct vnet *v, unsigned modern_off, unsigned legacy_off)
{
	return v->legacy ? legacy_off : v->f->common.off + modern_off;
}

uint32_t vnet_get(struct vnet *v, unsigned modern_off, unsigned legacy_off, unsigned width)
{
	return qemu_pci_ops.read(v->f, reg_bar(v), reg_off(v, modern_off, legacy_off), width);
}

void vnet_set(struct vnet *v, unsigned modern_off, unsigned legacy_off, unsigned width,
	      uint32_t val)
{
	qemu_pci_ops.write(v->f, reg_bar(v), reg_off(v, modern_off, legacy_off), width, val);
}

uint8_t vnet_status(struct vnet *v)
{
	return (uint8_t)vnet_get(v, COMMON(device_status), VIRTIO_PCI_LEGACY_STATUS, 1);
}

void vnet_set_status(struct vnet *v, uint8_t status)
{
	vnet_set(v, COMMON(device_status), VIRTIO_PCI_LEGACY_STATUS, 1, status);
}

/* Where a modern device's ISR register is, from its capability. */
static void find_isr(struct vnet *v, unsigned *bar, uint32_t *off)
{
	unsigned at = qemu_pci_ops.cfg_read(v->f, PCI_CAP_PTR, 1);

	for (unsigned i = 0; at && i < 48; i++) {
		if (qemu_pci_ops.cfg_read(v->f, at, 1) == PCI_CAP_ID_VENDOR &&
		    qemu_pci_ops.cfg_read(v->f, at + 3, 1) == VIRTIO_PCI_CAP_ISR_CFG) {
			*bar = qemu_pci_ops.cfg_read(v->f, at + 4, 1);
			*off = qemu_pci_ops.cfg_read(v->f, at + 8, 4);
			return;
		}
		at = qemu_pci_ops.cfg_read(v->f, at + 1, 1);
	}
	fail_msg("no ISR capability");
}

uint8_t vnet_isr(struct vnet *v)
{
	unsigned bar = 0;
	uint32_t off = VIRTIO_PCI_LEGACY_ISR;

	if (!v->legacy)
		find_isr(v, &bar, &off);
	return (uint8_t)qemu_pci_ops.read(v->f, bar, off, 1);
}

void vnet_set_up(struct vnet *v)
{
	vnet_set_status(v, 0);
	assert_int_equal(vnet_status(v), 0);
	vnet_set_status(v, VIRTIO_STATUS_ACKNOWLEDGE);
	vnet_set_status(v, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
	if (v->legacy) {
		vnet_set(v, 0, VIRTIO_PCI_LEGACY_DRIVER_FEATURES, 4, NET_F_STATUS);
		return;
	}
	vnet_set(v, COMMON(driver_feature_select), 0, 4, 0);
	vnet_set(v, COMMON(driver_feature), 0, 4, NET_F_STATUS);
	vnet_set(v, COMMON(driver_feature_select), 0, 4, 1);
	vnet_set(v, COMMON(driver_feature), 0, 4, VERSION_1_UPPER_HALF);
	vnet_set_status(v, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER |
				   VIRTIO_STATUS_FEATURES_OK);
	assert_true(vnet_status(v) & VIRTIO_STATUS_FEATURES_OK);
}

void vnet_go(struct vnet *v)
{
	vnet_set_status(v, vnet_status(v) | VIRTIO_STATUS_DRIVER_OK);
	assert_true(vnet_status(v) & VIRTIO_STATUS_DRIVER_OK);
}

bool vnet_config_vector(struct vnet *v)
{
	vnet_set(v, COMMON(config_msix_vector), VIRTIO_PCI_LEGACY_CONFIG_VECTOR, 2, 0);
	return vnet_get(v, COMMON(config_msix_vector), VIRTIO_PCI_LEGACY_CONFIG_VECTOR, 2) == 0;
}
