/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control queue (5.1.6.5): filters, MAC, VLANs, receive offloads, announcements.
 *
 * One command at a time, in memory kept for it, waited for by polling with a deadline: devices
 * answer within the notification. The answer byte is preset to a value that means "not answered"
 * (H-16). A device that does not answer is broken.
 *
 * What the port sets is remembered and told again to a device that was reset (net_ctrl_restore);
 * a command that comes while the device is stopped is remembered only.
 */
#include "guest/drivers/net_priv.h"

#define CTRL_DEADLINE_US 1000000u
#define CTRL_POLL_US	 10u
#define CTRL_NO_ANSWER	 0xffu

#define CTRL_OFFLOADS                                                                              \
	(VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4) |               \
	 VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO6) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_ECN) |                \
	 VIRTIO_BIT(VIRTIO_NET_F_GUEST_UFO) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_USO4) |                \
	 VIRTIO_BIT(VIRTIO_NET_F_GUEST_USO6))

int net_ctrl_create(struct vio_net *net)
{
	return net->os->ops->dma_alloc(net->os->ctx, NET_CTRL_BYTES, 8, 64, &net->ctrl_mem);
}

void net_ctrl_free(struct vio_net *net)
{
	if (net->ctrl_mem.va && !net->dev.unsafe)
		net->os->ops->dma_free(net->os->ctx, &net->ctrl_mem);
}

static struct seg ctrl_seg(const struct vio_net *net, size_t off, size_t len)
{
	return (struct seg){
		.ptr = (uint8_t *)net->ctrl_mem.va + off,
		.addr = net->ctrl_mem.da + off,
		.len = (uint32_t)len,
	};
}

/* Where a command's data is put together: behind the header. */
static uint8_t *ctrl_data(const struct vio_net *net)
{
	return (uint8_t *)net->ctrl_mem.va + sizeof(struct virtio_net_ctrl_hdr);
}

/* Wait until the device has used the one buffer on the queue. */
static int ctrl_wait(struct vio_net *net)
{
	const struct vio_os *os = net->os;
	uint64_t start = net_now(net);
	struct vio_used used;

	for (unsigned n = 0; n <= CTRL_DEADLINE_US / CTRL_POLL_US; n++) {
		int got = vio_ring_pop(net->ctrl, &used);

		if (got)
			return got == 1 ? VIO_OK : VIO_EBROKEN;
		if (net_now(net) - start > CTRL_DEADLINE_US)
			break;
		os->ops->delay_us(os->ctx, CTRL_POLL_US);
	}
	vio_ring_break(net->ctrl, "control queue does not answer");
	return VIO_EBROKEN;
}

/*
 * Send one command whose data, in one or two pieces of n1 and n2 bytes, stands at ctrl_data. Legacy
 * devices insist on descriptors of their own for header and pieces (LG-25); for others all of it
 * lies together and is one.
 */
static int ctrl_command(struct vio_net *net, uint8_t class_, uint8_t command, size_t n1, size_t n2)
{
	struct virtio_net_ctrl_hdr hdr = {.class_ = class_, .command = command};
	size_t data = sizeof(hdr), end = data + n1 + n2;
	struct seg out[3] = {ctrl_seg(net, 0, data), ctrl_seg(net, data, n1),
			     ctrl_seg(net, data + n1, n2)};
	struct seg in = ctrl_seg(net, end, 1);
	unsigned nout = net->any_layout ? 1 : 3;
	struct vio_part parts[2] = {{.segs = out, .n = nout}, {.segs = &in, .n = 1, .in = true}};
	uint8_t answer;
	int err;

	if (!net->ctrl)
		return VIO_ENOTSUP;
	if (!net->running)
		return VIO_ENODEV;
	if (net->any_layout)
		out[0].len = (uint32_t)end;
	__builtin_memcpy(net->ctrl_mem.va, &hdr, sizeof(hdr));
	*in.ptr = CTRL_NO_ANSWER;

	err = vio_ring_add(net->ctrl, parts, 2, net);
	if (!err) {
		vio_ring_kick(net->ctrl);
		err = ctrl_wait(net);
	}
	net->stats.ctrl_commands++;
	if (err) {
		net->stats.ctrl_errors++;
		net_check_broken(net);
		return VIO_EBROKEN;
	}
	answer = __atomic_load_n(in.ptr, __ATOMIC_RELAXED);
	if (answer != VIRTIO_NET_OK) {
		net->stats.ctrl_errors++;
		return VIO_EDEV;
	}
	return VIO_OK;
}

static int ctrl_rx_mode(struct vio_net *net, uint8_t command, bool on)
{
	*ctrl_data(net) = on;
	return ctrl_command(net, VIRTIO_NET_CTRL_RX, command, 1, 0);
}

static uint32_t ctrl_order32(const struct vio_net *net, uint32_t v)
{
	return net->legacy_order ? v : endian_le32(v);
}

/* One half of the MAC table: count, then addresses (NX-8). Returns its length. */
static size_t ctrl_put_macs(const struct vio_net *net, uint8_t *at, const uint8_t (*macs)[6],
			    unsigned n)
{
	uint32_t count = ctrl_order32(net, n);

	__builtin_memcpy(at, &count, sizeof(count));
	__builtin_memcpy(at + sizeof(count), macs, (size_t)n * 6);
	return sizeof(count) + (size_t)n * 6;
}

/* Tell the device the filter that is remembered. */
static int ctrl_apply_filter(struct vio_net *net)
{
	const struct net_filter_state *f = &net->filter;
	size_t n1, n2;
	int err;

	if (!net_has(net, VIRTIO_NET_F_CTRL_RX))
		return VIO_ENOTSUP; /* NX-4, NX-6 */
	/* Wider first, narrower last, so that nothing wanted is lost in between. */
	err = ctrl_rx_mode(net, VIRTIO_NET_CTRL_RX_PROMISC, true);
	if (err)
		return err;
	n1 = ctrl_put_macs(net, ctrl_data(net), (const uint8_t(*)[6])f->unicast, f->nunicast);
	n2 = ctrl_put_macs(net, ctrl_data(net) + n1, (const uint8_t(*)[6])f->multicast,
			   f->nmulticast);
	err = ctrl_command(net, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, n1, n2);
	if (!err)
		err = ctrl_rx_mode(net, VIRTIO_NET_CTRL_RX_ALLMULTI, f->allmulti);
	if (!err && !f->promisc)
		err = ctrl_rx_mode(net, VIRTIO_NET_CTRL_RX_PROMISC, false);
	return err;
}

int vio_net_set_filter(struct vio_net *net, const struct vio_net_filter *filter)
{
	struct net_filter_state *f = &net->filter;

	if (!net_has(net, VIRTIO_NET_F_CTRL_RX))
		return VIO_ENOTSUP;
	f->set = true;
	f->promisc = filter->promisc || filter->nunicast > VIO_NET_MAC_MAX;
	f->allmulti = filter->allmulti || filter->nmulticast > VIO_NET_MAC_MAX;
	f->nunicast = filter->nunicast > VIO_NET_MAC_MAX ? 0 : filter->nunicast;
	f->nmulticast = filter->nmulticast > VIO_NET_MAC_MAX ? 0 : filter->nmulticast;
	if (f->nunicast)
		__builtin_memcpy(f->unicast, filter->unicast, (size_t)f->nunicast * 6);
	if (f->nmulticast)
		__builtin_memcpy(f->multicast, filter->multicast, (size_t)f->nmulticast * 6);
	return net->running ? ctrl_apply_filter(net) : VIO_OK;
}

/* NX-7; on legacy devices the field can be written (5.1.4.3). */
static int ctrl_apply_mac(struct vio_net *net)
{
	struct vio_transport *t = net->dev.t;

	if (net_has(net, VIRTIO_NET_F_CTRL_MAC_ADDR)) {
		__builtin_memcpy(ctrl_data(net), net->mac, ETH_ALEN);
		return ctrl_command(net, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET,
				    ETH_ALEN, 0);
	}
	for (uint32_t i = 0; i < ETH_ALEN; i++) {
		int err = t->ops->config_write(t, i, 1, net->mac[i]);

		if (err)
			return err;
	}
	return VIO_OK;
}

int vio_net_set_mac(struct vio_net *net, const uint8_t mac[6])
{
	uint8_t old[ETH_ALEN];
	int err;

	if (mac[0] & 1)
		return VIO_EINVAL;
	/* NC-1: a modern device's configuration is never written. */
	if (!net_has(net, VIRTIO_NET_F_CTRL_MAC_ADDR) &&
	    !(net->dev.t->legacy && net_has(net, VIRTIO_NET_F_MAC)))
		return VIO_ENOTSUP;
	__builtin_memcpy(old, net->mac, ETH_ALEN);
	__builtin_memcpy(net->mac, mac, ETH_ALEN);
	err = net->running ? ctrl_apply_mac(net) : VIO_OK;
	if (err)
		__builtin_memcpy(net->mac, old, ETH_ALEN);
	else
		net->mac_changed = true;
	return err;
}

static int ctrl_vlan(struct vio_net *net, uint16_t id, bool on)
{
	uint8_t command = (uint8_t)(on ? VIRTIO_NET_CTRL_VLAN_ADD : VIRTIO_NET_CTRL_VLAN_DEL);
	vio16 wire = net_put16(net, id);

	__builtin_memcpy(ctrl_data(net), &wire, sizeof(wire));
	return ctrl_command(net, VIRTIO_NET_CTRL_VLAN, command, sizeof(wire), 0);
}

int vio_net_vlan(struct vio_net *net, uint16_t id, bool on)
{
	uint8_t bit = (uint8_t)(1u << (id & 7));
	int err;

	if (id > 4095)
		return VIO_EINVAL;
	if (!net_has(net, VIRTIO_NET_F_CTRL_VLAN))
		return VIO_ENOTSUP;
	err = net->running ? ctrl_vlan(net, id, on) : VIO_OK;
	if (err)
		return err;
	if (on)
		net->vlans[id / 8] |= bit;
	else
		net->vlans[id / 8] &= (uint8_t)~bit;
	net->vlans_set = true;
	return VIO_OK;
}

static int ctrl_apply_offloads(struct vio_net *net)
{
	uint64_t wire = net->legacy_order ? net->offloads : endian_le64(net->offloads);

	__builtin_memcpy(ctrl_data(net), &wire, sizeof(wire));
	return ctrl_command(net, VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET,
			    sizeof(wire), 0);
}

int vio_net_set_offloads(struct vio_net *net, uint64_t guest_features)
{
	uint64_t old = net->offloads;
	int err;

	if (!net_has(net, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS))
		return VIO_ENOTSUP;
	if (guest_features & ~(net->features & CTRL_OFFLOADS)) /* NX-23 */
		return VIO_EINVAL;
	net->offloads = guest_features;
	err = net->running ? ctrl_apply_offloads(net) : VIO_OK;
	if (err)
		net->offloads = old;
	else
		net->offloads_changed = true;
	return err;
}

int net_ctrl_announce_ack(struct vio_net *net)
{
	return ctrl_command(net, VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, 0, 0);
}

int net_ctrl_restore(struct vio_net *net)
{
	int err = VIO_OK;

	if (net->mac_changed)
		err = ctrl_apply_mac(net);
	if (!err && net->filter.set)
		err = ctrl_apply_filter(net);
	for (uint16_t id = 0; !err && net->vlans_set && id < 4096; id++) {
		if (net->vlans[id / 8] >> (id & 7) & 1)
			err = ctrl_vlan(net, id, true);
	}
	if (!err && net->offloads_changed)
		err = ctrl_apply_offloads(net);
	/* A device that refuses a filter still carries packets; one that broke does not. */
	return err == VIO_EBROKEN ? err : VIO_OK;
}
