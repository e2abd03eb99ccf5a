/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts: raised by link changes, the one event that needs no virtqueue. */
#include "tests/user/cm.h"
#include <stdio.h>
#include "guest/ports/user/wait.h"
#include "tests/user/vnet.h"
#include "wire/virtio.h"

#define WAIT_US	 2000000u
#define QUIET_US 30000u

static void msix(const char *form)
{
	struct vnet v;
	struct irq irq;

	vnet_start(&v, vnet_form(form));
	irq_init(&irq, v.f);
	assert_int_equal(irq_msix_on(&irq, 0), VIO_OK);
	assert_int_equal(irq.vectors, v.f->msix_entries);
	assert_true(irq.vectors >= 3);
	vnet_set_up(&v);
	assert_true(vnet_config_vector(&v));
	vnet_go(&v);
	assert_int_equal(irq_poll(&irq), 0);

	uint64_t commands = v.q.qtest.commands;

	assert_int_equal(qemu_set_link(&v.q, "nic", false), VIO_OK);
	assert_int_equal(irq_wait(&irq, WAIT_US), 1);
	assert_int_equal(irq_poll(&irq), 0);
	assert_int_equal(irq.count[0], 1);
	assert_int_equal(v.q.qtest.commands, commands);

	/* Masked is kept for later, by vector and for all. */
	irq_msix_mask(&irq, 0, true);
	assert_int_equal(qemu_set_link(&v.q, "nic", true), VIO_OK);
	assert_int_equal(irq_wait(&irq, QUIET_US), 0);
	irq_msix_mask(&irq, 0, false);
	assert_int_equal(irq_wait(&irq, WAIT_US), 1);
	irq_msix_mask_all(&irq, true);
	assert_int_equal(qemu_set_link(&v.q, "nic", false), VIO_OK);
	assert_int_equal(irq_wait(&irq, QUIET_US), 0);
	irq_msix_mask_all(&irq, false);
	assert_int_equal(irq_wait(&irq, WAIT_US), 1);
	assert_int_equal(irq.count[0], 3);

	irq_off(&irq);
	assert_int_equal(qemu_set_link(&v.q, "nic", true), VIO_OK);
	assert_int_equal(irq_wait(&irq, QUIET_US), 0);
	assert_int_equal(irq_msix_on(&irq, 1), VIO_OK);
	assert_int_equal(irq.vectors, 1);
	assert_int_equal(irq_msix_on(&irq, IRQ_MAX_VECTORS + 1), VIO_EINVAL);
	vnet_stop(&v);
}

static void test_msix(void **state)
{
	(void)state;
	msix("pc modern");
	msix("q35 legacy");
	msix("root port modern");
}

static void intx(const char *form)
{
	struct vnet v;
	struct irq irq;

	vnet_start(&v, vnet_form(form));
	irq_init(&irq, v.f);
	assert_int_equal(irq_intx_on(&irq), VIO_OK);
	assert_int_equal(irq.vectors, 1);
	vnet_set_up(&v);
	vnet_go(&v);
	assert_int_equal(irq_poll(&irq), 0);
	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(qemu_set_link(&v.q, "nic", i % 2 == 0), VIO_OK);
		assert_int_equal(irq_wait(&irq, WAIT_US), 1);
		/* A level stays until the driver has read ISR. */
		assert_int_equal(irq_poll(&irq), 1);
		assert_int_equal(vnet_isr(&v), VIRTIO_PCI_ISR_CONFIG | VIRTIO_PCI_ISR_QUEUE);
		assert_int_equal(irq_poll(&irq), 0);
		assert_int_equal(vnet_isr(&v), 0);
		assert_int_equal(irq.count[0], i);
	}
	/* A line that is already high when it is first looked at. */
	irq_off(&irq);
	assert_int_equal(qemu_set_link(&v.q, "nic", true), VIO_OK);
	assert_int_equal(irq_wait(&irq, QUIET_US), 0);
	assert_int_equal(irq_intx_on(&irq), VIO_OK);
	assert_int_equal(irq_wait(&irq, WAIT_US), 1);
	vnet_isr(&v);
	assert_int_equal(irq_wait(&irq, QUIET_US), 0);
	vnet_stop(&v);
}

static void test_intx(void **state)
{
	static const char *const forms[] = {"pc modern",  "pc legacy",	      "q35 modern",
					    "q35 legacy", "root port modern", "root port legacy"};

	(void)state;
	for (unsigned i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		intx(forms[i]);
}

/* Every slot and pin of the swizzle: several NICs, each must be heard on its own line. */
static void test_intx_slots(void **state)
{
	static const char *const machines[] = {"pc", "q35"};
	const char *argv[] = {
		"-device", "virtio-net-pci,id=n0,addr=4",  "-device", "virtio-net-pci,id=n1,addr=5",
		"-device", "virtio-net-pci,id=n2,addr=6",  "-device", "virtio-net-pci,id=n3,addr=7",
		"-device", "virtio-net-pci,id=n4,addr=1a", NULL};

	(void)state;
	for (unsigned m = 0; m < 2; m++) {
		struct qemu_opts opts = {.machine = machines[m], .argv = argv};
		struct vnet v = {.legacy = true};

		assert_int_equal(qemu_start(&v.q, &opts), VIO_OK);
		assert_int_equal(qemu_pci_scan(&v.bus, &v.q), VIO_OK);
		for (unsigned i = 0; i < 5; i++) {
			char id[8];
			struct irq irq;

			v.f = qemu_pci_find(&v.bus, VIRTIO_PCI_VENDOR, i);
			assert_non_null(v.f);
			irq_init(&irq, v.f);
			assert_int_equal(irq_intx_on(&irq), VIO_OK);
			vnet_set_up(&v);
			vnet_go(&v);
			snprintf(id, sizeof(id), "n%u", i);
			assert_int_equal(qemu_set_link(&v.q, id, false), VIO_OK);
			assert_int_equal(irq_wait(&irq, WAIT_US), 1);
			vnet_isr(&v);
			assert_int_equal(irq_poll(&irq), 0);
		}
		vnet_stop(&v);
	}
}

static void test_bounded(void **state)
{
	uint64_t start;
	struct vnet v;
	struct irq irq;

	(void)state;
	vnet_start(&v, vnet_form("pc modern"));
	irq_init(&irq, v.f);
	for (unsigned i = 0; i < 3; i++) {
		if (i == 1)
			assert_int_equal(irq_msix_on(&irq, 1), VIO_OK);
		if (i == 2)
			assert_int_equal(irq_intx_on(&irq), VIO_OK);
		start = wait_now_us();
		assert_int_equal(irq_wait(&irq, QUIET_US), 0);
		assert_in_range(wait_now_us() - start, QUIET_US, 1000000);
	}
	vnet_stop(&v);
	assert_int_equal(irq_wait(&irq, WAIT_US), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_msix),
		cmocka_unit_test(test_intx),
		cmocka_unit_test(test_intx_slots),
		cmocka_unit_test(test_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
