/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/stack/nic_vio.h"

#include <time.h>

#define IDLE_SPINS  200u /* polled: empty turns before naps begin */
#define IDLE_NAP_US 50u

static struct vio_net *net_of(void *nic)
{
	return netif_vio_net(((struct nic_vio *)nic)->nv);
}

static int nic_vio_start(void *nic)
{
	return netif_vio_start(((struct nic_vio *)nic)->nv);
}

static unsigned nic_vio_stop(void *nic)
{
	struct nic_vio *n = nic;

	(void)netif_vio_stop(n->nv);
	return netif_vio_outstanding(n->nv);
}

static unsigned nic_vio_destroy(void *nic)
{
	return netif_vio_destroy(((struct nic_vio *)nic)->nv);
}

static bool nic_vio_turn(void *nic)
{
	struct nic_vio *n = nic;
	unsigned events = n->irq ? 0 : VIO_EVENT_QUEUE;
	bool more;

	for (; n->vectors; n->vectors &= n->vectors - 1)
		events |= vio_net_interrupt(net_of(n), (unsigned)__builtin_ctzll(n->vectors));
	more = netif_vio_turn(n->nv, events);
	if (netif_vio_stats(n->nv)->rx_packets != n->seen)
		n->idle = 0;
	n->seen = netif_vio_stats(n->nv)->rx_packets;
	return more;
}

static int nic_vio_mend(void *nic)
{
	return netif_vio_mend(((struct nic_vio *)nic)->nv);
}

static void nic_vio_tick(void *nic, uint64_t now)
{
	struct nic_vio *n = nic;

	if (now - n->last_tick < vio_net_tick_due_us(net_of(n)))
		return;
	n->last_tick = now;
	vio_net_tick(net_of(n));
}

static bool nic_vio_send(void *nic, const void *frame, size_t len)
{
	return netif_vio_send(((struct nic_vio *)nic)->nv, frame, len);
}

static bool nic_vio_link_up(void *nic)
{
	struct vio_net_link link;

	vio_net_link_get(net_of(nic), &link);
	return link.up;
}

static uint64_t nic_vio_received(const void *nic)
{
	return netif_vio_stats(((const struct nic_vio *)nic)->nv)->rx_packets;
}

static const uint8_t *nic_vio_mac(const void *nic)
{
	return netif_vio_info(((const struct nic_vio *)nic)->nv)->mac;
}

static struct netif *nic_vio_netif(void *nic)
{
	return netif_vio_netif(((struct nic_vio *)nic)->nv);
}

static const char *nic_vio_why(void *nic)
{
	return vio_net_why(net_of(nic));
}

static void nic_vio_poll(void *nic)
{
	struct nic_vio *n = nic;

	if (n->irq)
		n->vectors |= n->irq->poll(n->irq->arg);
}

static void nic_vio_wait(void *nic, uint32_t timeout_us)
{
	struct nic_vio *n = nic;

	if (n->irq) {
		n->vectors |= n->irq->wait(n->irq->arg, timeout_us);
	} else if (++n->idle > IDLE_SPINS) {
		const struct timespec nap = {.tv_nsec = IDLE_NAP_US * 1000};

		(void)nanosleep(&nap, NULL);
	}
}

const struct stack_nic_ops nic_vio_ops = {
	.start = nic_vio_start,
	.stop = nic_vio_stop,
	.destroy = nic_vio_destroy,
	.turn = nic_vio_turn,
	.mend = nic_vio_mend,
	.tick = nic_vio_tick,
	.send = nic_vio_send,
	.link_up = nic_vio_link_up,
	.received = nic_vio_received,
	.mac = nic_vio_mac,
	.netif = nic_vio_netif,
	.why = nic_vio_why,
	.poll = nic_vio_poll,
	.wait = nic_vio_wait,
};
