/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation: managing a running machine
 *
 * Hot-plug takes two: QEMU asks, the guest agrees. There is no guest but us, so after device_del
 * the registers are written that an operating system would write in the end:
 *
 * - behind a PCIe root port, the slot control register: power indicator off and power controller
 *   off, at which QEMU takes the device away. A device plugged in later stays invisible until the
 *   slot is powered again.
 * - on pc, the ACPI hot-plug registers at 0xae00: select the root bus, write the slot's bit to the
 *   eject register. Plugging in needs nothing.
 *
 * The message exchange that a guest has with its user (attention button, five seconds of blinking)
 * is left out. Where a device sits is asked from QEMU (query-pci), which knows the buses behind
 * bridges only once they are numbered: scan first (pci.h).
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include "guest/ports/user/qemu.h"
#include "guest/ports/user/wait.h"
#include "wire/virtio_pci.h"

#define ACPI_PCIHP_EJECT  0xae08u
#define ACPI_PCIHP_SELECT 0xae10u

#define CAP_ID_PCIE		   0x10u
#define SLOT_CONTROL		   0x18u /* offsets in the PCI Express capability (7.8) */
#define SLOT_STATUS		   0x1au
#define SLOT_CONTROL_INDICATOR	   0x0300u
#define SLOT_CONTROL_INDICATOR_ON  0x0100u
#define SLOT_CONTROL_INDICATOR_OFF 0x0300u
#define SLOT_CONTROL_POWER_OFF	   0x0400u
#define SLOT_STATUS_EVENTS	   0x001fu /* written 1 to clear */

#define MAX_BRIDGES 8u /* nested */

/* Where a device is: its own place and that of the bridge above it (0: on the root bus). */
struct place {
	unsigned bdf, parent;
};

static int refused(struct qemu *q, int err)
{
	snprintf(q->err, sizeof(q->err), "%.255s", q->qmp.err);
	return err;
}

static int run(struct qemu *q, const char *command, json_t *args)
{
	int err = qmp_execute(&q->qmp, command, args, NULL);

	return err ? refused(q, err) : VIO_OK;
}

static unsigned number(const json_t *object, const char *key)
{
	return (unsigned)json_integer_value(json_object_get(object, key));
}

static bool find_in(const json_t *devices, const char *id, unsigned parent, unsigned depth,
		    struct place *out)
{
	for (size_t i = 0; i < json_array_size(devices); i++) {
		const json_t *d = json_array_get(devices, i);
		const char *is = json_string_value(json_object_get(d, "qdev_id"));
		unsigned bdf =
			number(d, "bus") << 8 | number(d, "slot") << 3 | number(d, "function");
		const json_t *bridge = json_object_get(d, "pci_bridge");

		if (is && !strcmp(is, id)) {
			*out = (struct place){bdf, parent};
			return true;
		}
		if (bridge && depth < MAX_BRIDGES &&
		    find_in(json_object_get(bridge, "devices"), id, bdf, depth + 1, out))
			return true;
	}
	return false;
}

static int find_place(struct qemu *q, const char *id, struct place *out)
{
	json_t *buses;
	int err = qmp_execute(&q->qmp, "query-pci", NULL, &buses);
	bool found = false;

	if (err)
		return refused(q, err);
	for (size_t i = 0; i < json_array_size(buses) && !found; i++)
		found = find_in(json_object_get(json_array_get(buses, i), "devices"), id, 0, 0,
				out);
	json_decref(buses);
	if (found)
		return VIO_OK;
	snprintf(q->err, sizeof(q->err), "no PCI device %.100s", id);
	return VIO_ENODEV;
}

static unsigned find_pcie_cap(struct qemu *q, unsigned bdf)
{
	unsigned at = qemu_cfg_read(q, bdf, PCI_CAP_PTR, 1) & 0xfcu;

	for (unsigned i = 0; at >= PCI_CAP_FIRST && i < PCI_CFG_SIZE / 4; i++) {
		if (qemu_cfg_read(q, bdf, at, 1) == CAP_ID_PCIE)
			return at;
		at = qemu_cfg_read(q, bdf, at + 1, 1) & 0xfcu;
	}
	return 0;
}

static void slot_power(struct qemu *q, unsigned bridge, bool on)
{
	unsigned cap = find_pcie_cap(q, bridge);
	uint32_t control;

	if (!cap)
		return;
	control = qemu_cfg_read(q, bridge, cap + SLOT_CONTROL, 2);
	control &= ~(SLOT_CONTROL_INDICATOR | SLOT_CONTROL_POWER_OFF);
	control |= on ? SLOT_CONTROL_INDICATOR_ON
		      : SLOT_CONTROL_INDICATOR_OFF | SLOT_CONTROL_POWER_OFF;
	qemu_cfg_write(q, bridge, cap + SLOT_CONTROL, 2, control);
	qemu_cfg_write(q, bridge, cap + SLOT_STATUS, 2, SLOT_STATUS_EVENTS);
}

int qemu_set_link(struct qemu *q, const char *id, bool up)
{
	return run(q, "set_link", json_pack("{s:s, s:b}", "name", id, "up", up));
}

int qemu_device_add(struct qemu *q, const char *driver, const char *id, const char *bus,
		    json_t *props)
{
	json_t *args = json_pack("{s:s, s:s}", "driver", driver, "id", id);
	struct place at;
	int err;

	if (args && bus)
		json_object_set_new(args, "bus", json_string(bus));
	if (args && props)
		json_object_update(args, props);
	json_decref(props);
	/* A slot that lost its last device may be powered off, and QEMU shows nothing in it then.
	 */
	if (bus && !find_place(q, bus, &at))
		slot_power(q, at.bdf, true);
	err = run(q, "device_add", args);
	if (!err)
		q->changes++;
	return err;
}

int qemu_device_del(struct qemu *q, const char *id, unsigned timeout_ms)
{
	struct place at;
	int err = find_place(q, id, &at);

	if (!err)
		err = run(q, "device_del", json_pack("{s:s}", "id", id));
	if (err)
		return err;
	if (at.parent) {
		slot_power(q, at.parent, false);
	} else if (!q->q35) {
		qtest_out(&q->qtest, ACPI_PCIHP_SELECT, 4, 0);
		qtest_out(&q->qtest, ACPI_PCIHP_EJECT, 4, 1u << (at.bdf >> 3 & 31));
	}
	err = qmp_wait_event(&q->qmp, "DEVICE_DELETED", id, timeout_ms);
	q->changes++;
	return err ? refused(q, err) : VIO_OK;
}
