/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/qemu/full.h"

static uint64_t full_irq_poll(void *arg)
{
	return irq_poll(arg);
}

static uint64_t full_irq_wait(void *arg, uint32_t timeout_us)
{
	return irq_wait(arg, timeout_us);
}

static bool full_alive(void *arg)
{
	return qemu_check(arg) == VIO_OK;
}

void full_open(struct full *g, const struct nic_opts *o)
{
	struct stack_params p = {.irq = o->irq == VIO_IRQ_NONE ? NULL : &g->irq,
				 .alive = full_alive};

	*g = (struct full){.nic = nic_boot(o)};
	nic_attach(g->nic);
	g->irq = (struct stack_irq){full_irq_poll, full_irq_wait, &g->nic->irq};
	p.netif.os = &g->nic->os.os;
	p.netif.transport = &g->nic->pci.t;
	p.netif.net = o->net;
	p.netif.net.irq_mode = o->irq;
	p.arg = &g->nic->q;
	full_ok(g, stack_create(&g->stack, &p));
	g->net = netif_vio_net(g->stack.nv);
	vio_net_info(g->net, &g->nic->info);
	full_ok(g, stack_start(&g->stack));
	full_ok(g, stack_wait_link(&g->stack, full_deadline()));
}

void full_close(struct full *g)
{
	const struct netif_vio_stats *s = netif_vio_stats(g->stack.nv);
	struct vio_net_stats stats;

	vio_net_stats(g->net, &stats);
	assert_int_equal(stats.rx.dropped + stats.rx.errors + stats.tx.errors + stats.breaks, 0);
	assert_int_equal(s->tx_dropped + s->rx_dropped + s->lost, 0);
	(void)stack_stop(&g->stack);
	assert_int_equal(stack_destroy(&g->stack), 0);
	nic_end(g->nic);
}

void full_address(struct full *g, const uint8_t ip[4])
{
	struct dhcp_lease lease = {.netmask = {255, 255, 255, 0}};

	memcpy(lease.address, ip, 4);
	memcpy(lease.router, ip, 4);
	lease.router[3] = 1;
	stack_address(&g->stack, &lease);
}
