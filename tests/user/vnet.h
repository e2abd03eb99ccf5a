/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio-net function of a QEMU machine driven by bare register accesses, for the tests of the
 * user port, which come before any driver.
 */
#ifndef TESTS_USER_VNET_H
#define TESTS_USER_VNET_H

#include "guest/ports/user/irq.h"
#include "guest/ports/user/pci.h"
#include "guest/ports/user/qemu.h"

struct vnet {
	struct qemu q;
	struct qemu_pci_bus bus;
	struct qemu_pci *f;
	bool legacy; /* the interface the functions below use */
};

struct vnet_form {
	const char *name;
	const char *machine;
	bool root_port;
	const char *device; /* -device argument */
	bool legacy;	    /* drive the legacy interface */
};

/* Each combination of machine, place and interface; the NIC's id is always "nic". */
extern const struct vnet_form vnet_forms[];
extern const unsigned vnet_n_forms;

/* Start, scan, find; fails the running test on any error. */
void vnet_start(struct vnet *v, const struct vnet_form *form);
void vnet_stop(struct vnet *v);
const struct vnet_form *vnet_form(const char *name);

uint32_t vnet_get(struct vnet *v, unsigned modern_off, unsigned legacy_off, unsigned width);
void vnet_set(struct vnet *v, unsigned modern_off, unsigned legacy_off, unsigned width,
	      uint32_t val);
uint8_t vnet_status(struct vnet *v);
void vnet_set_status(struct vnet *v, uint8_t status);
uint8_t vnet_isr(struct vnet *v);
/* Reset, negotiate VIRTIO_NET_F_STATUS, so far as before DRIVER_OK. */
void vnet_set_up(struct vnet *v);
/* DRIVER_OK on top of it. */
void vnet_go(struct vnet *v);
/* Make vector 0 the one for configuration changes; false if the device refused. */
bool vnet_config_vector(struct vnet *v);

#endif
