/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network driver's events: interrupts, configuration changes, time.
 *
 * An interrupt only says that something may have happened. With a vector for each purpose that is
 * precise; with one shared vector, a configuration change looks like any other interrupt, and
 * reading the configuration costs the hypervisor a trap. So a shared interrupt that finds no packet
 * work reads the configuration at once, one that does find work reads it if 10 ms have passed since
 * it was last read, and the tick reads it always: no change is missed, and traffic does not pay.
 * While a reading is owed the tick is due sooner (vio_net_tick_due_us).
 */
#include "guest/drivers/net_priv.h"

#define CONFIG_CHECK_US	 10000u
#define CONFIG_WINDOW_US 100000u
#define TICK_ROUNDS	 8u
#define CONFIG_BURST	 16u

/* Configuration fields (5.1.4). */
static const struct vio_config_field net_field_status = {6, 2, 1};
static const struct vio_config_field net_fields_speed[2] = {{12, 4, 1}, {16, 1, 1}};

/* ---- configuration ---- */

static int net_read_status(struct vio_net *net, bool *announce)
{
	uint32_t status = VIRTIO_NET_S_LINK_UP; /* NC-5 */

	if (net_has(net, VIRTIO_NET_F_STATUS)) {
		int err = vio_config_read(&net->dev, &net_field_status, 1, &status);

		if (err)
			return err;
	}
	net->link.up = status & VIRTIO_NET_S_LINK_UP; /* NC-6 */
	*announce = status & VIRTIO_NET_S_ANNOUNCE && net_has(net, VIRTIO_NET_F_GUEST_ANNOUNCE);
	return VIO_OK;
}

static int net_read_speed(struct vio_net *net)
{
	uint32_t vals[2] = {VIRTIO_NET_SPEED_UNKNOWN + 1, VIRTIO_NET_DUPLEX_UNKNOWN};

	if (net_has(net, VIRTIO_NET_F_SPEED_DUPLEX)) {
		int err = vio_config_read(&net->dev, net_fields_speed, 2, vals);

		if (err)
			return err;
	}
	net->link.speed_mbps = vals[0] > VIRTIO_NET_SPEED_UNKNOWN ? 0 : vals[0]; /* NC-11 */
	net->link.full_duplex = vals[1] != VIRTIO_NET_DUPLEX_HALF;
	return VIO_OK;
}

int net_config_update(struct vio_net *net, bool starting)
{
	struct vio_net_link before = net->link;
	bool announce = false;
	int err = net_read_status(net, &announce);

	if (!err)
		err = net_read_speed(net); /* NC-12 */
	if (err)
		return err;
	net->config_checked = net_now(net);
	if (before.up != net->link.up || before.speed_mbps != net->link.speed_mbps ||
	    before.full_duplex != net->link.full_duplex) {
		net->stats.link_changes += !starting;
		if (!starting)
			net->up->link(net->port, &net->link);
	}
	if (announce && net->running) {
		net->stats.announces++;
		err = net_ctrl_announce_ack(net); /* NX-10 */
		if (!err)
			net->up->announce(net->port); /* NX-9 */
	}
	return err == VIO_EDEV ? VIO_OK : err;
}

void vio_net_config_event(struct vio_net *net)
{
	if (!net->running)
		return;
	net->config_wanted = false;
	if (vio_device_needs_reset(&net->dev))
		vio_device_break(&net->dev, "device asks for a reset");
	else if (net_config_update(net, false) != VIO_OK)
		vio_device_break(&net->dev, "configuration cannot be read");
	net_check_broken(net);
}

/* ---- events ---- */

unsigned vio_net_interrupt(struct vio_net *net, unsigned vector)
{
	unsigned events = vio_device_isr(&net->dev, vector);

	if (events & VIO_EVENT_QUEUE) {
		/* A vector of its own says which queue; otherwise receive is counted. */
		if (net->dev.irq_mode == VIO_IRQ_MSIX_EACH && vector == 1 + VIRTIO_NET_QUEUE_TX)
			net->stats.tx.irqs++;
		else
			net->stats.rx.irqs++;
	}
	if (events & VIO_EVENT_CONFIG && net->dev.irq_mode != VIO_IRQ_MSIX_ONE)
		net->stats.config_irqs++;
	return events;
}

/*
 * Whether to read the configuration now. Readings are limited to 16 in 100 ms, so that a storm of
 * change interrupts is not answered with a storm of register reads (H-13); one that had to wait is
 * made up for by a later service or by the tick.
 */
static bool net_config_due(struct vio_net *net, unsigned events, bool worked)
{
	uint64_t now;

	if (events & VIO_EVENT_CONFIG)
		net->config_wanted = true;
	if (!net->config_wanted)
		return false;
	now = net_now(net);
	if (net->dev.irq_mode == VIO_IRQ_MSIX_ONE && worked &&
	    now - net->config_checked < CONFIG_CHECK_US)
		return false;
	if (now - net->config_window >= CONFIG_WINDOW_US) {
		net->config_window = now;
		net->config_burst = 0;
	}
	if (net->config_burst == CONFIG_BURST)
		return false;
	net->config_burst++;
	return true;
}

bool vio_net_service(struct vio_net *net, unsigned events, unsigned budget)
{
	unsigned received, sent;
	bool more;

	if (!net->running)
		return false;
	vio_ring_irq_off(net->rx);
	received = vio_net_rx_poll(net, budget);
	sent = vio_net_tx_reclaim(net, budget);
	if (net_config_due(net, events, received + sent != 0))
		vio_net_config_event(net);
	if (!net->running)
		return false;
	vio_net_flush(net);
	more = received >= budget || sent >= budget;
	if (!more && net->dev.irq_mode != VIO_IRQ_NONE)
		more = vio_net_rx_arm(net);
	if (net->tx_waiting)
		more |= vio_net_tx_arm(net);
	return more;
}

uint32_t vio_net_tick_due_us(const struct vio_net *net)
{
	return net->config_wanted ? CONFIG_CHECK_US : VIO_NET_RECLAIM_IDLE * 1000u;
}

void vio_net_tick(struct vio_net *net)
{
	if (!net->running)
		return;
	vio_net_config_event(net);
	vio_net_rx_fill(net);
	/* Late completions; and until done, since else receive interrupts would stay off. */
	for (unsigned i = 0; i < TICK_ROUNDS; i++) {
		if (!vio_net_service(net, VIO_EVENT_QUEUE, vio_ring_size(net->rx)))
			break;
	}
}
