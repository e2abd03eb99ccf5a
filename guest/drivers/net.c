/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network driver's life: creation, start and stop.
 *
 * Creation negotiates once, learns what the device is, allocates for it, and leaves it reset. From
 * then on the set of features is fixed: each start asks for exactly that set again, and a device
 * that no longer offers it is refused (H-11). So starting, resuming and recovering allocate nothing
 * and cannot fail for want of memory.
 */
#include "guest/drivers/net_priv.h"

#define TX_MAX_SEGS  64u
#define RX_BUF_MIN   2048u
#define RX_BUF_FLOOR 256u /* every header we parse lies in the first buffer */
#define RX_RING_MAX  1024u
#define MTU_DEFAULT  1500u

#define BIT(f) VIRTIO_BIT(VIRTIO_NET_F_##f)

/* Packets larger than one buffer: unusable without merging if the port has no 64 KiB buffers. */
#define NET_GUEST_GSO (BIT(GUEST_TSO4) | BIT(GUEST_TSO6) | BIT(GUEST_USO4) | BIT(GUEST_USO6))
#define NET_HOST_GSO  (BIT(HOST_TSO4) | BIT(HOST_TSO6) | BIT(HOST_USO))

#define NET_WANTED                                                                                 \
	(BIT(CSUM) | BIT(GUEST_CSUM) | BIT(CTRL_GUEST_OFFLOADS) | BIT(MTU) | BIT(MAC) |            \
	 NET_GUEST_GSO | BIT(GUEST_ECN) | NET_HOST_GSO | BIT(HOST_ECN) | BIT(MRG_RXBUF) |          \
	 BIT(STATUS) | BIT(CTRL_VQ) | BIT(CTRL_RX) | BIT(CTRL_VLAN) | BIT(GUEST_ANNOUNCE) |        \
	 BIT(CTRL_MAC_ADDR) | BIT(GUEST_HDRLEN) | BIT(SPEED_DUPLEX) |                              \
	 VIRTIO_BIT(VIRTIO_F_ANY_LAYOUT) | VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) |                    \
	 VIRTIO_BIT(VIRTIO_F_EVENT_IDX) | VIRTIO_BIT(VIRTIO_F_VERSION_1) |                         \
	 VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM) | VIRTIO_BIT(VIRTIO_F_ORDER_PLATFORM) |              \
	 VIRTIO_BIT(VIRTIO_F_NOTIF_CONFIG_DATA))

/* 5.1.3.1 */
static const struct vio_feature_need net_needs[] = {
	{VIRTIO_NET_F_GUEST_TSO4, BIT(GUEST_CSUM)},
	{VIRTIO_NET_F_GUEST_TSO6, BIT(GUEST_CSUM)},
	{VIRTIO_NET_F_GUEST_USO4, BIT(GUEST_CSUM)},
	{VIRTIO_NET_F_GUEST_USO6, BIT(GUEST_CSUM)},
	{VIRTIO_NET_F_GUEST_ECN, BIT(GUEST_TSO4) | BIT(GUEST_TSO6)},
	{VIRTIO_NET_F_HOST_TSO4, BIT(CSUM)},
	{VIRTIO_NET_F_HOST_TSO6, BIT(CSUM)},
	{VIRTIO_NET_F_HOST_USO, BIT(CSUM)},
	{VIRTIO_NET_F_HOST_ECN, BIT(HOST_TSO4) | BIT(HOST_TSO6)},
	{VIRTIO_NET_F_CTRL_RX, BIT(CTRL_VQ)},
	{VIRTIO_NET_F_CTRL_VLAN, BIT(CTRL_VQ)},
	{VIRTIO_NET_F_CTRL_MAC_ADDR, BIT(CTRL_VQ)},
	{VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, BIT(CTRL_VQ)},
	{VIRTIO_NET_F_GUEST_ANNOUNCE, BIT(CTRL_VQ)},
	{VIRTIO_NET_F_GUEST_ANNOUNCE, BIT(STATUS)},
};

/* Configuration fields (5.1.4) and where vio_config_read puts them. */
static const struct vio_config_field net_field_mac = {0, 1, 6};
static const struct vio_config_field net_field_mtu = {10, 2, 1};

uint64_t net_now(const struct vio_net *net)
{
	return net->os->ops->time_us(net->os->ctx);
}

/* ---- creation ---- */

static bool mac_usable(const uint8_t mac[6])
{
	uint8_t any = 0;

	for (int i = 0; i < 6; i++)
		any |= mac[i];
	return any && !(mac[0] & 1);
}

/* NC-3, NC-4 */
static int net_learn_mac(struct vio_net *net)
{
	uint32_t vals[6];
	uint64_t t;

	if (net_has(net, VIRTIO_NET_F_MAC)) {
		int err = vio_config_read(&net->dev, &net_field_mac, 1, vals);

		if (err)
			return err;
		for (int i = 0; i < 6; i++)
			net->mac[i] = (uint8_t)vals[i];
		if (mac_usable(net->mac))
			return VIO_OK;
	}
	__builtin_memcpy(net->mac, net->params.fallback_mac, 6);
	if (mac_usable(net->mac))
		return VIO_OK;
	t = net_now(net);
	net->mac[0] = 0x02; /* locally administered */
	for (int i = 1; i < 6; i++, t >>= 8)
		net->mac[i] = (uint8_t)t;
	return VIO_OK;
}

/* H-9: 68 .. 65535, or the device does not know what an MTU is and we go on without. */
static int net_learn_mtu(struct vio_net *net, bool *usable)
{
	uint32_t mtu;
	int err;

	*usable = true;
	net->mtu = MTU_DEFAULT;
	if (!net_has(net, VIRTIO_NET_F_MTU))
		return VIO_OK;
	err = vio_config_read(&net->dev, &net_field_mtu, 1, &mtu);
	if (err)
		return err;
	*usable = mtu >= VIRTIO_NET_MTU_MIN && mtu <= UINT16_MAX;
	if (*usable)
		net->mtu = (uint16_t)mtu;
	return VIO_OK;
}

/* Whether a command fits the control queue; legacy ones take four descriptors. */
static bool net_ctrl_queue_usable(struct vio_net *net)
{
	struct vio_transport *t = net->dev.t;

	return t->ops->queue_size(t, VIRTIO_NET_QUEUE_CTRL) >= (t->legacy ? 4 : 2);
}

/* Agree on features; again with fewer if the first set turns out to be unusable (FB-5). */
static int net_negotiate_first(struct vio_net *net)
{
	uint64_t wanted = NET_WANTED & ~net->params.features_off;

	for (;;) {
		bool mtu_usable;
		int err = vio_device_negotiate(&net->dev, wanted, 0);

		if (err)
			return err;
		net->features = net->dev.accepted;
		if (net->features & NET_GUEST_GSO && !net_has(net, VIRTIO_NET_F_MRG_RXBUF) &&
		    net->params.rx_buf_max < VIRTIO_NET_RX_BIG) {
			wanted &= ~NET_GUEST_GSO;
			continue;
		}
		if (net_has(net, VIRTIO_NET_F_CTRL_VQ) && !net_ctrl_queue_usable(net)) {
			wanted &= ~BIT(CTRL_VQ);
			continue;
		}
		err = net_learn_mtu(net, &mtu_usable);
		if (err)
			return err;
		if (mtu_usable)
			return VIO_OK;
		wanted &= ~BIT(MTU); /* each turn drops a bit for good */
	}
}

static void net_settle(struct vio_net *net)
{
	bool v1 = net_has(net, VIRTIO_F_VERSION_1);
	bool merge = net_has(net, VIRTIO_NET_F_MRG_RXBUF);
	uint32_t packet = net->mtu > MTU_DEFAULT ? net->mtu : MTU_DEFAULT;

	net->legacy_order = net->dev.t->legacy;
	net->any_layout = v1 || net_has(net, VIRTIO_F_ANY_LAYOUT);
	net->rx_inline = net->any_layout || merge;
	net->hdr_len = v1 || merge ? VIRTIO_NET_HDR_LEN : VIRTIO_NET_HDR_LEN_LEGACY;
	if (merge)
		net->rx_buf_len = net->params.rx_buf_min;
	else if (net->features & NET_GUEST_GSO)
		net->rx_buf_len = VIRTIO_NET_RX_BIG; /* NR-1 */
	else
		net->rx_buf_len = net->hdr_len + ETH_HLEN + ETH_VLAN_LEN + packet; /* NR-2, NC-8 */
	net->offloads = net->features & (NET_GUEST_GSO | BIT(GUEST_CSUM) | BIT(GUEST_ECN));
}

static int net_create_rings(struct vio_net *net)
{
	struct vio_ring_params p = {
		.event_idx = net_has(net, VIRTIO_F_EVENT_IDX),
		.indirect = net_has(net, VIRTIO_F_INDIRECT_DESC),
	};
	uint16_t limit = net->params.queue_size;
	unsigned merge, apart;
	int err;

	p.index = VIRTIO_NET_QUEUE_RX;
	p.size = limit ? limit : RX_RING_MAX;
	p.max_segs = (uint16_t)(net->params.rx_max_segs + 1);
	p.len_policy = net->legacy_order ? VIO_RING_LEN_CLAMP : VIO_RING_LEN_STRICT;
	err = vio_device_add_queue(&net->dev, &p, &net->rx);
	if (err)
		return err;
	/* SQ-8: a buffer, and its header if that lies apart, must fit the queue. */
	apart = !net->rx_inline;
	if (vio_ring_size(net->rx) < net->params.rx_max_segs + apart)
		net->params.rx_max_segs =
			vio_ring_size(net->rx) > 1 ? (uint16_t)(vio_ring_size(net->rx) - apart) : 1;

	p.index = VIRTIO_NET_QUEUE_TX;
	p.max_segs = (uint16_t)(net->params.tx_max_segs + 2);
	p.len_policy = VIO_RING_LEN_IGNORE; /* LG-23, and nothing to read anyway */
	err = vio_device_add_queue(&net->dev, &p, &net->tx);
	if (err)
		return err;
	/* SQ-8: a packet and its header must fit the queue. */
	if (vio_ring_size(net->tx) < p.max_segs)
		net->params.tx_max_segs =
			vio_ring_size(net->tx) > 2 ? (uint16_t)(vio_ring_size(net->tx) - 2) : 1;

	if (net_has(net, VIRTIO_NET_F_CTRL_VQ)) {
		p.index = VIRTIO_NET_QUEUE_CTRL;
		p.size = limit ? limit : 64;
		p.max_segs = 4;
		p.polled = true;
		err = vio_device_add_queue(&net->dev, &p, &net->ctrl);
		if (err)
			return err;
	}
	/* H-7: what the largest packet takes, and never more than the ring holds. */
	merge = (VIO_NET_PACKET_MAX + net->hdr_len) / net->rx_buf_len + 1;
	net->merge_max = merge < VIO_NET_MERGE_MAX ? merge : VIO_NET_MERGE_MAX;
	if (net->merge_max > vio_ring_size(net->rx))
		net->merge_max = vio_ring_size(net->rx);
	return VIO_OK;
}

static int net_create_parts(struct vio_net *net)
{
	int err = net_negotiate_first(net);

	if (!err)
		err = net_learn_mac(net);
	if (err)
		return err;
	net_settle(net);
	err = net_create_rings(net);
	if (!err)
		err = net_rx_create(net);
	if (!err)
		err = net_tx_create(net);
	if (!err)
		err = net_ctrl_create(net);
	if (!err)
		err = net_polled_create(net);
	if (!err)
		err = net_config_update(net, true);
	return err;
}

static void net_free(struct vio_net *net)
{
	const struct vio_os *os = net->os;

	net_polled_free(net);
	net_ctrl_free(net);
	net_tx_free(net);
	net_rx_free(net);
	vio_device_drop_queues(&net->dev);
	os->ops->free(os->ctx, net, sizeof(*net));
}

static void net_fill_params(struct vio_net_params *p)
{
	if (p->tx_max_segs == 0)
		p->tx_max_segs = TX_MAX_SEGS;
	if (p->rx_max_segs == 0)
		p->rx_max_segs = 1;
	if (p->rx_buf_max == 0)
		p->rx_buf_max = VIRTIO_NET_RX_BIG;
	if (p->rx_buf_min == 0)
		p->rx_buf_min = RX_BUF_MIN;
	if (p->rx_buf_min < RX_BUF_FLOOR)
		p->rx_buf_min = RX_BUF_FLOOR;
}

int vio_net_create(struct vio_net **out, const struct vio_os *os, struct vio_transport *t,
		   const struct vio_net_upcalls *up, void *port,
		   const struct vio_net_params *params)
{
	struct vio_net *net;
	int err, reset;

	*out = NULL;
	if (params->queue_size & (params->queue_size - 1) ||
	    params->queue_size > VIRTIO_QUEUE_SIZE_MAX || params->tx_max_segs > 1024 ||
	    params->rx_max_segs > 1024)
		return VIO_EINVAL;
	net = os->ops->alloc(os->ctx, sizeof(*net));
	if (!net)
		return VIO_ENOMEM;
	net->os = os;
	net->up = up;
	net->port = port;
	net->params = *params;
	net_fill_params(&net->params);
	vio_device_init(&net->dev, os, t, net_needs, sizeof(net_needs) / sizeof(net_needs[0]));
	net->dev.irq_mode = params->irq_mode;

	err = net_create_parts(net);
	if (err == VIO_EINVAL)
		err = VIO_EBROKEN; /* a configuration too short for the features offered */
	reset = vio_device_reset(&net->dev);
	if (!err)
		err = reset;
	if (err) {
		net_free(net);
		return err;
	}
	*out = net;
	return VIO_OK;
}

void vio_net_destroy(struct vio_net *net)
{
	if (!net)
		return;
	vio_net_stop(net);
	net_free(net);
}

/* ---- start, stop ---- */

static int net_start_device(struct vio_net *net)
{
	struct vio_ring *rings[] = {net->rx, net->tx, net->ctrl};
	int err = vio_device_negotiate(&net->dev, net->features, net->features); /* H-11 */

	for (size_t i = 0; !err && i < sizeof(rings) / sizeof(rings[0]); i++) {
		if (!rings[i])
			continue;
		vio_ring_clear(rings[i]);
		err = vio_device_enable_queue(&net->dev, rings[i]);
	}
	if (err)
		return err;
	vio_ring_irq_off(net->tx); /* until somebody waits for room */
	if (net->ctrl)
		vio_ring_irq_off(net->ctrl);
	if (net->dev.irq_mode == VIO_IRQ_NONE)
		vio_ring_irq_off(net->rx);
	return vio_device_ready(&net->dev);
}

int vio_net_start(struct vio_net *net)
{
	int err;

	if (net->running)
		return VIO_OK;
	if (vio_device_state(&net->dev) == VIO_STATE_DEAD)
		return VIO_ENODEV;
	net->told_broken = true; /* until it runs, the result says what is wrong */
	err = net_start_device(net);
	if (!err) {
		net->running = true;
		net->stats.starts++;
		vio_net_rx_fill(net);
		err = net_ctrl_restore(net);
	}
	if (!err)
		err = net_config_update(net, true);
	if (err) {
		vio_net_stop(net);
		return err;
	}
	net->told_broken = false;
	net_check_broken(net);
	net->up->link(net->port, &net->link);
	return VIO_OK;
}

int vio_net_stop(struct vio_net *net)
{
	bool was_running = net->running;
	int err, status;

	net->running = false;
	if (!was_running && vio_device_state(&net->dev) == VIO_STATE_DOWN)
		return VIO_OK;
	err = vio_device_reset(&net->dev); /* CL-2: before any buffer is taken back */
	status = net->dev.unsafe ? VIO_EDEV : VIO_OK;
	net_tx_reset(net, status ? status : VIO_EAGAIN);
	net_rx_reset(net, status);
	return err;
}

int vio_net_suspend(struct vio_net *net)
{
	net->resume = net->running;
	return vio_net_stop(net);
}

int vio_net_resume(struct vio_net *net)
{
	bool wanted = net->resume;

	net->resume = false;
	return wanted ? vio_net_start(net) : VIO_OK;
}

int vio_net_recover(struct vio_net *net)
{
	int err = vio_device_may_recover(&net->dev);

	net->stats.recoveries++;
	if (err) {
		vio_net_stop(net);
		return err;
	}
	err = vio_net_stop(net);
	return err ? err : vio_net_start(net);
}

void net_check_broken(struct vio_net *net)
{
	struct vio_ring *rings[] = {net->rx, net->tx, net->ctrl};

	for (size_t i = 0; i < sizeof(rings) / sizeof(rings[0]); i++) {
		if (rings[i] && vio_ring_broken(rings[i]))
			vio_device_break(&net->dev, vio_ring_broken(rings[i]));
	}
	if (vio_device_state(&net->dev) != VIO_STATE_BROKEN || net->told_broken)
		return;
	net->told_broken = true;
	net->stats.breaks++;
	net->up->broken(net->port, net->dev.why);
}

/* ---- what others want to know ---- */

bool vio_net_running(const struct vio_net *net)
{
	return net->running;
}

const char *vio_net_why(const struct vio_net *net)
{
	return net->dev.why;
}

void vio_net_link_get(const struct vio_net *net, struct vio_net_link *out)
{
	*out = net->link;
}

void vio_net_info(const struct vio_net *net, struct vio_net_info *out)
{
	*out = (struct vio_net_info){
		.offered = net->dev.offered,
		.features = net->features,
		.transport = net->dev.t->ops->name,
		.mtu = net->mtu,
		.mtu_known = net_has(net, VIRTIO_NET_F_MTU),
		.hdr_len = net->hdr_len,
		.rx_buf_len = net->rx_buf_len,
		.rx_size = vio_ring_size(net->rx),
		.tx_size = vio_ring_size(net->tx),
		.ctrl_size = net->ctrl ? vio_ring_size(net->ctrl) : 0,
		.tx_max_segs = net->params.tx_max_segs,
		.tx_csum = net_has(net, VIRTIO_NET_F_CSUM),
		.tx_tso4 = net_has(net, VIRTIO_NET_F_HOST_TSO4),
		.tx_tso6 = net_has(net, VIRTIO_NET_F_HOST_TSO6),
		.tx_ecn = net_has(net, VIRTIO_NET_F_HOST_ECN),
		.tx_uso = net_has(net, VIRTIO_NET_F_HOST_USO),
		.rx_csum = net_has(net, VIRTIO_NET_F_GUEST_CSUM),
		.rx_lro4 = net_has(net, VIRTIO_NET_F_GUEST_TSO4),
		.rx_lro6 = net_has(net, VIRTIO_NET_F_GUEST_TSO6),
		.rx_ecn = net_has(net, VIRTIO_NET_F_GUEST_ECN),
		.rx_merge = net_has(net, VIRTIO_NET_F_MRG_RXBUF),
		.filters = net_has(net, VIRTIO_NET_F_CTRL_RX),
		.vlan_filter = net_has(net, VIRTIO_NET_F_CTRL_VLAN),
		.mac_set = net_has(net, VIRTIO_NET_F_CTRL_MAC_ADDR) ||
			   (net->dev.t->legacy && net_has(net, VIRTIO_NET_F_MAC)),
		.offload_set = net_has(net, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS),
	};
	__builtin_memcpy(out->mac, net->mac, 6);
}

void vio_net_stats(const struct vio_net *net, struct vio_net_stats *out)
{
	*out = net->stats;
	out->rx.kicks = vio_ring_kicks(net->rx);
	out->tx.kicks = vio_ring_kicks(net->tx);
}
