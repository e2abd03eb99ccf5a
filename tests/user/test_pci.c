/* SPDX-License-Identifier: BSD-2-Clause */
/* Enumeration and register access, in every form a virtio-net function comes in. */
#include "tests/user/cm.h"
#include <stdio.h>
#include "tests/user/vnet.h"
#include "wire/virtio.h"

#define COMMON(field) offsetof(struct virtio_pci_common_cfg, field)

static void test_forms(void **state)
{
	(void)state;
	for (unsigned i = 0; i < vnet_n_forms; i++) {
		struct vnet v;

		vnet_start(&v, &vnet_forms[i]);
		assert_true(v.f->msix_cap);
		assert_int_equal(v.f->parent != 0, vnet_forms[i].root_port);
		if (v.legacy) {
			assert_true(v.f->bars[0].io);
			vnet_set(&v, 0, VIRTIO_PCI_LEGACY_QUEUE_SELECT, 2, 1);
			assert_int_equal(vnet_get(&v, 0, VIRTIO_PCI_LEGACY_QUEUE_SIZE, 2), 256);
		} else {
			assert_true(v.f->common.found && v.f->notify.found);
			assert_int_equal(vnet_get(&v, COMMON(num_queues), 0, 2), 3);
		}
		vnet_set_up(&v);
		assert_int_equal(qemu_check(&v.q), VIO_OK);
		vnet_stop(&v);
	}
}

static void test_bus(void **state)
{
	struct vnet v;
	struct qemu_pci_bar *bars[QEMU_PCI_MAX * PCI_NUM_BARS];
	unsigned n = 0;

	(void)state;
	vnet_start(&v, vnet_form("root port transitional as legacy"));
	for (unsigned i = 0; i < v.bus.n; i++) {
		for (unsigned b = 0; b < PCI_NUM_BARS; b++) {
			if (v.bus.fn[i].bars[b].len)
				bars[n++] = &v.bus.fn[i].bars[b];
		}
	}
	assert_true(n >= 4);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(bars[i]->addr % bars[i]->len, 0);
		for (unsigned j = 0; j < i; j++) {
			if (bars[i]->io != bars[j]->io)
				continue;
			assert_true(bars[i]->addr >= bars[j]->addr + bars[j]->len ||
				    bars[j]->addr >= bars[i]->addr + bars[i]->len);
		}
	}
	assert_null(qemu_pci_find(&v.bus, VIRTIO_PCI_VENDOR, 1));
	assert_null(qemu_pci_find(&v.bus, 0x1234, 0));
	assert_non_null(qemu_pci_find(&v.bus, 0x8086, 0));
	/* A scan with nothing new changes nothing. */
	unsigned before = v.bus.n;
	uint64_t addr = v.f->bars[0].addr;

	assert_int_equal(qemu_pci_scan(&v.bus, &v.q), VIO_OK);
	assert_int_equal(v.bus.n, before);
	assert_int_equal(v.f->bars[0].addr, addr);
	vnet_stop(&v);
}

static unsigned traced;
static struct qemu_pci_access last;

static void trace(void *arg, const struct qemu_pci_access *a)
{
	assert_ptr_equal(arg, &traced);
	traced++;
	last = *a;
}

static void test_ops(void **state)
{
	struct vio_bar bar;
	struct vnet v;

	(void)state;
	vnet_start(&v, vnet_form("pc transitional"));
	assert_int_equal(qemu_pci_ops.bar_open(v.f, 0, &bar), VIO_OK);
	assert_true(bar.io && bar.mapped && bar.len >= 32);
	assert_int_equal(qemu_pci_ops.bar_open(v.f, v.f->common.bar, &bar), VIO_OK);
	assert_true(!bar.io && bar.mapped && bar.len == 16384);
	assert_int_equal(qemu_pci_ops.bar_open(v.f, v.f->common.bar + 1u, &bar), VIO_ENODEV);
	assert_int_equal(qemu_pci_ops.bar_open(v.f, 6, &bar), VIO_ENODEV);
	v.f->refuse_bars = 1u << v.f->common.bar;
	assert_int_equal(qemu_pci_ops.bar_open(v.f, v.f->common.bar, &bar), VIO_OK);
	assert_true(!bar.mapped && bar.len == 16384);

	v.f->trace = trace;
	v.f->trace_arg = &traced;
	assert_int_equal(qemu_pci_ops.cfg_read(v.f, PCI_VENDOR_ID, 2), VIRTIO_PCI_VENDOR);
	assert_int_equal(qemu_pci_ops.cfg_read(v.f, PCI_DEVICE_ID, 2), 0x1000);
	assert_int_equal(last.bar, -1);
	assert_int_equal(last.val, 0x1000);
	assert_int_equal(qemu_pci_ops.cfg_read(v.f, PCI_COMMAND, 2) & 7, 7);
	vnet_set_status(&v, 0);
	assert_true(last.write && last.width == 1 && last.val == 0);
	assert_int_equal(traced, 4);
	assert_int_equal(v.f->count.cfg_reads, 3);
	assert_int_equal(v.f->count.writes, 1);
	assert_int_equal(qemu_pci_ops.read(v.f, v.f->common.bar, 16384, 4), 0xffffffff);
	vnet_stop(&v);
}

/* The window through configuration space reads what the BAR reads (4.1.4.9). */
static void test_cfg_window(void **state)
{
	struct vnet v;
	unsigned at;

	(void)state;
	vnet_start(&v, vnet_form("q35 modern"));
	at = qemu_pci_ops.cfg_read(v.f, PCI_CAP_PTR, 1);
	for (unsigned i = 0; at && i < 48; i++) {
		if (qemu_pci_ops.cfg_read(v.f, at, 1) == PCI_CAP_ID_VENDOR &&
		    qemu_pci_ops.cfg_read(v.f, at + 3, 1) == VIRTIO_PCI_CAP_PCI_CFG)
			break;
		at = qemu_pci_ops.cfg_read(v.f, at + 1, 1);
	}
	assert_true(at);
	qemu_pci_ops.cfg_write(v.f, at + 4, 1, v.f->common.bar);
	qemu_pci_ops.cfg_write(v.f, at + 8, 4, v.f->common.off + COMMON(num_queues));
	qemu_pci_ops.cfg_write(v.f, at + 12, 4, 2);
	assert_int_equal(qemu_pci_ops.cfg_read(v.f, at + 16, 2), 3);
	vnet_stop(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_bus),
		cmocka_unit_test(test_ops),
		cmocka_unit_test(test_cfg_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
