/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * No memory at the n-th request of vio_net_create, for every n, on a real device: a clean error,
 * nothing left behind, and the same device works afterwards. Starting and stopping asks for none.
 */
#include <stdio.h>

#include "tests/qemu/mini.h"

#define MANY 100u /* requests; far more than there are */

static void use(struct nic *n)
{
	struct mini m;
	uint64_t asked;

	assert_int_equal(nic_create(n), VIO_OK);
	asked = n->os.allocs;
	nic_start(n);
	mini_init(&m, n);
	mini_dhcp(&m);
	mini_ping(&m, 100);
	nic_drain(n);
	vio_net_stop(n->net);
	nic_start(n);
	mini_ping(&m, 1000);
	nic_drain(n);
	vio_net_stop(n->net);
	assert_int_equal(n->os.allocs, asked);
	nic_remove(n);
}

static void fail_each(const struct nic_opts *o)
{
	struct nic *n = nic_boot(o);
	unsigned at;

	for (at = 1; at < MANY; at++) {
		int err;

		nic_attach(n);
		user_os_fail(&n->os, at);
		err = nic_create_driver(n);
		user_os_fail(&n->os, 0);
		if (!err)
			break;
		assert_int_equal(err, VIO_ENOMEM);
		assert_null(n->net);
		assert_int_equal(n->os.blocks_private + n->os.blocks_dma, 0);
		assert_int_equal(n->os.misuse, 0);
		if (at % 4 == 0) {
			use(n);
			continue;
		}
		vio_pci_close(&n->pci);
		n->pci_open = false;
		irq_off(&n->irq);
	}
	assert_true(at > 5 && at < MANY);
	printf("%u requests\n", at - 1);
	nic_remove(n);
	nic_attach(n);
	use(n);
	nic_end(n);
}

static void test_modern(void **state)
{
	(void)state;
	fail_each(&(struct nic_opts){.machine = "q35", .irq = VIO_IRQ_MSIX_EACH});
}

static void test_modern_plain(void **state)
{
	(void)state;
	fail_each(&(struct nic_opts){.irq = VIO_IRQ_INTX,
				     .props = ",indirect_desc=off,mrg_rxbuf=off,ctrl_vq=off"});
}

static void test_legacy(void **state)
{
	(void)state;
	fail_each(&(struct nic_opts){.face = NIC_LEGACY, .irq = VIO_IRQ_MSIX_ONE});
}

/* Header memory apart from the buffers. */
static void test_legacy_strict_layout(void **state)
{
	(void)state;
	fail_each(&(struct nic_opts){
		.face = NIC_LEGACY, .irq = VIO_IRQ_INTX, .props = ",any_layout=off,mrg_rxbuf=off"});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modern),
		cmocka_unit_test(test_modern_plain),
		cmocka_unit_test(test_legacy),
		cmocka_unit_test(test_legacy_strict_layout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
