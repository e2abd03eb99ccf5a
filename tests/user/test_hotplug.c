/* SPDX-License-Identifier: BSD-2-Clause */
/* Devices that leave and come back, and links that go down. */
#include "tests/user/cm.h"
#include <stdio.h>
#include "tests/user/vnet.h"
#include "wire/virtio.h"

#define COMMON(field) offsetof(struct virtio_pci_common_cfg, field)
#define GONE_MS	      5000u

static void expect_gone(struct vnet *v, struct qemu_pci *f)
{
	struct vio_bar bar;

	v->f = f;
	assert_int_equal(vnet_get(v, COMMON(num_queues), VIRTIO_PCI_LEGACY_QUEUE_SIZE, 2), 0xffff);
	assert_int_equal(vnet_status(v), 0xff);
	assert_int_equal(qemu_pci_ops.cfg_read(f, PCI_VENDOR_ID, 4), 0xffffffff);
	assert_int_equal(qemu_pci_ops.bar_open(f, 0, &bar), VIO_ENODEV);
	vnet_set_status(v, 0);
	assert_true(qemu_pci_gone(f));
}

static void leave_and_return(const char *form, const char *bus)
{
	struct qemu_pci *f;
	struct irq irq;
	struct vnet v;

	vnet_start(&v, vnet_form(form));
	f = v.f;
	irq_init(&irq, f);
	assert_int_equal(irq_msix_on(&irq, 0), VIO_OK);
	vnet_set_up(&v);
	vnet_go(&v);
	if (qemu_device_del(&v.q, "nic", GONE_MS))
		fail_msg("%s: %s", form, v.q.err);
	expect_gone(&v, f);
	irq_off(&irq);
	assert_int_equal(qemu_check(&v.q), VIO_OK);
	assert_null(qemu_pci_find(&v.bus, VIRTIO_PCI_VENDOR, 0));
	assert_int_equal(qemu_device_del(&v.q, "nic", GONE_MS), VIO_ENODEV);

	/* A new one in its place is not the old one back. */
	if (qemu_device_add(&v.q, "virtio-net-pci", "nic", bus, json_pack("{s:b}", "packed", 1)))
		fail_msg("%s: %s", form, v.q.err);
	expect_gone(&v, f);
	if (qemu_pci_scan(&v.bus, &v.q))
		fail_msg("%s: %s", form, v.bus.err);
	v.f = qemu_pci_find(&v.bus, VIRTIO_PCI_VENDOR, 0);
	assert_non_null(v.f);
	vnet_set_up(&v);
	irq_init(&irq, v.f);
	assert_int_equal(irq_msix_on(&irq, 0), VIO_OK);
	assert_true(vnet_config_vector(&v));
	vnet_go(&v);
	assert_int_equal(qemu_set_link(&v.q, "nic", false), VIO_OK);
	assert_int_equal(irq_wait(&irq, 2000000), 1);
	if (qemu_device_del(&v.q, "nic", GONE_MS))
		fail_msg("%s, again: %s", form, v.q.err);
	expect_gone(&v, v.f);
	vnet_stop(&v);
}

static void test_root_port(void **state)
{
	(void)state;
	leave_and_return("root port modern", "rp0");
}

static void test_pc(void **state)
{
	(void)state;
	leave_and_return("pc modern", NULL);
	leave_and_return("pc transitional", NULL);
}

/* An empty root port: the device comes only after the buses were numbered. */
static void test_into_empty_port(void **state)
{
	struct qemu_opts opts = {.machine = "q35", .root_port = true};
	struct vnet v = {.legacy = true};

	(void)state;
	assert_int_equal(qemu_start(&v.q, &opts), VIO_OK);
	assert_int_equal(qemu_pci_scan(&v.bus, &v.q), VIO_OK);
	assert_null(qemu_pci_find(&v.bus, VIRTIO_PCI_VENDOR, 0));
	if (qemu_device_add(&v.q, "virtio-net-pci", "nic", "rp0",
			    json_pack("{s:b}", "disable-legacy", 0)))
		fail_msg("%s", v.q.err);
	assert_int_equal(qemu_pci_scan(&v.bus, &v.q), VIO_OK);
	v.f = qemu_pci_find(&v.bus, VIRTIO_PCI_VENDOR, 0);
	assert_non_null(v.f);
	vnet_set_up(&v);
	vnet_go(&v);
	vnet_stop(&v);
}

/* Ports of the caller's own: two buses, each with its windows; one device leaves, one stays. */
static void test_two_ports(void **state)
{
	const char *argv[] = {"-device", "pcie-root-port,id=a,chassis=1,addr=5",
			      "-device", "pcie-root-port,id=b,chassis=2,addr=6",
			      "-device", "virtio-net-pci,id=na,bus=a,disable-legacy=off",
			      "-device", "virtio-net-pci,id=nb,bus=b,disable-legacy=off",
			      NULL};
	struct qemu_opts opts = {.machine = "q35", .argv = argv};
	struct vnet v = {.legacy = true};
	struct qemu_pci *f[2];
	struct irq irq[2];

	(void)state;
	assert_int_equal(qemu_start(&v.q, &opts), VIO_OK);
	assert_int_equal(qemu_pci_scan(&v.bus, &v.q), VIO_OK);
	for (unsigned i = 0; i < 2; i++) {
		v.f = f[i] = qemu_pci_find(&v.bus, VIRTIO_PCI_VENDOR, i);
		assert_non_null(f[i]);
		assert_int_equal(f[i]->parent >> 3, 5 + i);
		assert_int_equal(f[i]->bdf >> 8, 1 + i);
		irq_init(&irq[i], f[i]);
		assert_int_equal(irq_intx_on(&irq[i]), VIO_OK);
		vnet_set_up(&v);
		vnet_go(&v);
	}
	assert_int_not_equal(irq[0].gsi, irq[1].gsi);
	assert_int_equal(qemu_device_del(&v.q, "na", GONE_MS), VIO_OK);
	expect_gone(&v, f[0]);
	assert_false(qemu_pci_gone(f[1]));
	assert_int_equal(qemu_set_link(&v.q, "nb", false), VIO_OK);
	assert_int_equal(irq_wait(&irq[1], 2000000), 1);
	assert_int_equal(irq_poll(&irq[0]), 0);
	vnet_stop(&v);
}

/* What QEMU refuses comes back in its own words. */
static void test_refused(void **state)
{
	struct vnet v;

	(void)state;
	vnet_start(&v, vnet_form("q35 modern"));
	assert_int_equal(qemu_device_del(&v.q, "nic", GONE_MS), VIO_EDEV);
	assert_non_null(strstr(v.q.err, "hotplug"));
	assert_int_equal(qemu_device_del(&v.q, "nobody", GONE_MS), VIO_ENODEV);
	assert_int_equal(qemu_device_add(&v.q, "no-such-device", "x", NULL, NULL), VIO_EDEV);
	assert_non_null(strstr(v.q.err, "no-such-device"));
	assert_int_equal(qemu_set_link(&v.q, "nobody", true), VIO_EDEV);
	assert_non_null(strstr(v.q.err, "nobody"));
	assert_int_equal(qemu_check(&v.q), VIO_OK);
	vnet_stop(&v);
}

static void test_set_link(void **state)
{
	const char *argv[] = {"-netdev", "hubport,id=net,hubid=0", "-device",
			      "virtio-net-pci,id=nic,netdev=net,disable-modern=on", NULL};
	struct qemu_opts opts = {.argv = argv};
	struct vnet v = {.legacy = true};
	unsigned link = VIRTIO_PCI_LEGACY_CONFIG + 6; /* net: mac, status */

	(void)state;
	assert_int_equal(qemu_start(&v.q, &opts), VIO_OK);
	assert_int_equal(qemu_pci_scan(&v.bus, &v.q), VIO_OK);
	v.f = qemu_pci_find(&v.bus, VIRTIO_PCI_VENDOR, 0);
	vnet_set_up(&v);
	vnet_go(&v);
	assert_int_equal(vnet_get(&v, 0, link, 2), 1);
	assert_int_equal(qemu_set_link(&v.q, "nic", false), VIO_OK);
	assert_int_equal(vnet_get(&v, 0, link, 2), 0);
	assert_int_equal(qemu_set_link(&v.q, "nic", true), VIO_OK);
	assert_int_equal(vnet_get(&v, 0, link, 2), 1);
	assert_int_equal(qemu_set_link(&v.q, "net", false), VIO_OK);
	assert_int_equal(vnet_get(&v, 0, link, 2), 0);
	vnet_stop(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_root_port),	cmocka_unit_test(test_pc),
		cmocka_unit_test(test_into_empty_port), cmocka_unit_test(test_two_ports),
		cmocka_unit_test(test_refused),		cmocka_unit_test(test_set_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
