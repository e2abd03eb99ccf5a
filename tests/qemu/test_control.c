/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control queue, seen from outside: what QEMU says the receive filter is (query-rx-filter), and
 * which frames of a peer get through.
 */
#include <stdio.h>

#include "tests/qemu/mini.h"
#include "tests/qemu/peer.h"
#include "wire/virtio.h"

#define TAGS 32u

struct form {
	const char *machine;
	enum nic_face face;
	enum vio_irq_mode irq;
};

static struct form forms[] = {
	{"q35", NIC_MODERN, VIO_IRQ_MSIX_EACH},
	{"pc", NIC_LEGACY, VIO_IRQ_INTX},
};

struct wire {
	struct nic *nic;
	struct peer peer;
	uint32_t seen; /* bit per tag */
};

static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t stranger[6] = {0x02, 0x33, 0, 0, 0, 1};
static const uint8_t alias[6] = {0x02, 0x44, 0, 0, 0, 1};
static const uint8_t group_in[6] = {0x01, 0x00, 0x5e, 0, 0, 0xfb};
static const uint8_t group_out[6] = {0x01, 0x00, 0x5e, 0, 0, 0xfc};

static void wire_frame(void *arg, const uint8_t *f, uint32_t len, const struct vio_net_rx *rx)
{
	struct wire *w = arg;

	(void)rx;
	if (len >= 60 && f[len - 1] < TAGS && !memcmp(f + 6, w->peer.mac, 6))
		w->seen |= 1u << f[len - 1];
}

static void wire_open_long(struct wire *w, const struct form *f, const char *props, uint32_t tx_len)
{
	struct nic_opts o = {.machine = f->machine,
			     .face = f->face,
			     .irq = f->irq,
			     .props = props,
			     .tx_len = tx_len};

	*w = (struct wire){.seen = 0};
	peer_open(&w->peer);
	o.fd = w->peer.qemu_fd;
	o.netdev = w->peer.netdev;
	w->nic = nic_new(&o);
	w->nic->turn = peer_turn;
	w->nic->turn_arg = &w->peer;
	w->nic->frame = wire_frame;
	w->nic->frame_arg = w;
}

static void wire_open(struct wire *w, const struct form *f, const char *props)
{
	wire_open_long(w, f, props, 0);
}

static void wire_close(struct wire *w)
{
	assert_int_equal(w->nic->breaks, 0);
	nic_end(w->nic);
	peer_close(&w->peer);
}

static bool wire_done(void *arg)
{
	return ((struct wire *)arg)->seen >> (TAGS - 1) & 1;
}

static void wire_send(struct wire *w, const uint8_t to[6], uint16_t vlan, uint8_t tag)
{
	uint8_t frame[64];

	(void)peer_frame(&w->peer, to, vlan, tag, sizeof(frame), frame);
	assert_true(peer_send(&w->peer, frame, sizeof(frame)));
}

/* Does a frame to that address get through? The broadcast sent behind it always does. */
static bool passes(struct wire *w, const uint8_t to[6], uint16_t vlan)
{
	w->seen = 0;
	wire_send(w, to, vlan, 0);
	wire_send(w, broadcast, 0, TAGS - 1);
	if (!nic_pump(w->nic, wire_done, w, NIC_PATIENCE_MS))
		fail_msg("not even a broadcast comes through");
	return w->seen & 1;
}

static json_t *rx_filter(struct wire *w)
{
	json_t *all, *mine;

	nic_qmp(w->nic, "query-rx-filter", json_pack("{s:s}", "name", NIC_NAME), &all);
	mine = json_incref(json_array_get(all, 0));
	json_decref(all);
	assert_non_null(mine);
	return mine;
}

static void expect_text(const json_t *filter, const char *key, const char *text)
{
	assert_string_equal(json_string_value(json_object_get(filter, key)), text);
}

static void expect_macs(const json_t *filter, const char *key, const uint8_t (*macs)[6], unsigned n)
{
	const json_t *table = json_object_get(filter, key);
	char text[18];

	assert_int_equal(json_array_size(table), n);
	for (unsigned i = 0; i < n; i++) {
		bool found = false;

		(void)snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", macs[i][0],
			       macs[i][1], macs[i][2], macs[i][3], macs[i][4], macs[i][5]);
		for (unsigned k = 0; k < n; k++)
			found |= !strcmp(json_string_value(json_array_get(table, k)), text);
		if (!found)
			fail_msg("%s is not in %s", text, key);
	}
}

/* ---- receive filter ---- */

static const uint8_t unicasts[2][6] = {{0x02, 0x44, 0, 0, 0, 1}, {0x02, 0x44, 0, 0, 0, 2}};
static const uint8_t multicasts[3][6] = {
	{0x01, 0x00, 0x5e, 0, 0, 0xfb}, {0x33, 0x33, 0, 0, 0, 1}, {0x01, 0x00, 0x5e, 0, 0, 1}};

static void set_tables(struct wire *w)
{
	const struct vio_net_filter f = {
		.unicast = unicasts, .nunicast = 2, .multicast = multicasts, .nmulticast = 3};

	assert_int_equal(vio_net_set_filter(w->nic->net, &f), VIO_OK);
}

static void expect_tables(struct wire *w)
{
	json_t *f = rx_filter(w);

	assert_true(json_is_false(json_object_get(f, "promiscuous")));
	expect_text(f, "multicast", "normal");
	expect_text(f, "unicast", "normal");
	expect_macs(f, "unicast-table", unicasts, 2);
	expect_macs(f, "multicast-table", multicasts, 3);
	json_decref(f);
	assert_true(passes(w, w->nic->info.mac, 0));
	assert_true(passes(w, alias, 0));
	assert_false(passes(w, stranger, 0));
	assert_true(passes(w, group_in, 0));
	assert_false(passes(w, group_out, 0));
}

static void test_filter(void **state)
{
	uint8_t many[VIO_NET_MAC_MAX + 1][6] = {{0}};
	struct vio_net_filter f = {.promisc = true};
	struct wire w;
	json_t *seen;

	wire_open(&w, *state, NULL);
	set_tables(&w);
	expect_tables(&w);

	assert_int_equal(vio_net_set_filter(w.nic->net, &f), VIO_OK);
	assert_true(passes(&w, stranger, 0) && passes(&w, group_out, 0));
	f = (struct vio_net_filter){.allmulti = true};
	assert_int_equal(vio_net_set_filter(w.nic->net, &f), VIO_OK);
	assert_false(passes(&w, stranger, 0) || passes(&w, alias, 0));
	assert_true(passes(&w, group_in, 0) && passes(&w, group_out, 0));
	f = (struct vio_net_filter){.promisc = false};
	assert_int_equal(vio_net_set_filter(w.nic->net, &f), VIO_OK);
	assert_false(passes(&w, alias, 0) || passes(&w, group_in, 0));

	/* As many as the driver keeps, and one more. */
	for (unsigned i = 0; i <= VIO_NET_MAC_MAX; i++)
		memcpy(many[i], (const uint8_t[6]){0x01, 0, 0x5e, 0, 1, (uint8_t)i}, 6);
	f = (struct vio_net_filter){.multicast = (const uint8_t(*)[6])many,
				    .nmulticast = VIO_NET_MAC_MAX};
	assert_int_equal(vio_net_set_filter(w.nic->net, &f), VIO_OK);
	assert_true(passes(&w, many[0], 0) && passes(&w, many[VIO_NET_MAC_MAX - 1], 0));
	assert_false(passes(&w, many[VIO_NET_MAC_MAX], 0));
	f.nmulticast++;
	assert_int_equal(vio_net_set_filter(w.nic->net, &f), VIO_OK);
	assert_true(passes(&w, many[VIO_NET_MAC_MAX], 0) && passes(&w, group_out, 0));
	assert_false(passes(&w, stranger, 0));
	seen = rx_filter(&w);
	expect_text(seen, "multicast", "all");
	json_decref(seen);
	wire_close(&w);
}

/* ---- VLANs ---- */

static void test_vlan(void **state)
{
	static const struct vio_net_filter narrow = {.promisc = false};
	struct wire w;
	json_t *seen;

	wire_open(&w, *state, NULL);
	assert_int_equal(vio_net_set_filter(w.nic->net, &narrow), VIO_OK);
	assert_false(passes(&w, w.nic->info.mac, 5));
	assert_int_equal(vio_net_vlan(w.nic->net, 5, true), VIO_OK);
	assert_int_equal(vio_net_vlan(w.nic->net, 4094, true), VIO_OK);
	assert_true(passes(&w, w.nic->info.mac, 5) && passes(&w, w.nic->info.mac, 4094));
	assert_false(passes(&w, w.nic->info.mac, 6));
	seen = rx_filter(&w);
	assert_int_equal(json_array_size(json_object_get(seen, "vlan-table")), 2);
	json_decref(seen);

	vio_net_stop(w.nic->net);
	nic_start(w.nic);
	assert_true(passes(&w, w.nic->info.mac, 5) && passes(&w, w.nic->info.mac, 4094));
	assert_int_equal(vio_net_vlan(w.nic->net, 5, false), VIO_OK);
	assert_false(passes(&w, w.nic->info.mac, 5));
	assert_true(passes(&w, w.nic->info.mac, 4094));
	assert_int_equal(vio_net_vlan(w.nic->net, 4096, true), VIO_EINVAL);
	wire_close(&w);

	wire_open(&w, *state, ",ctrl_vlan=off");
	assert_int_equal(vio_net_set_filter(w.nic->net, &narrow), VIO_OK);
	assert_true(passes(&w, w.nic->info.mac, 5));
	assert_int_equal(vio_net_vlan(w.nic->net, 5, true), VIO_ENOTSUP);
	wire_close(&w);
}

/* ---- address ---- */

static void expect_main(struct wire *w, const uint8_t mac[6])
{
	char text[18];
	json_t *f = rx_filter(w);

	(void)snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		       mac[3], mac[4], mac[5]);
	expect_text(f, "main-mac", text);
	json_decref(f);
}

static void set_mac(const struct form *form, const char *props)
{
	static const uint8_t mac[6] = {0x02, 0x55, 1, 2, 3, 4}, group[6] = {0x03, 0};
	static const struct vio_net_filter narrow = {.promisc = false};
	struct vio_net_info info;
	struct wire w;

	wire_open(&w, form, props);
	assert_true(w.nic->info.mac_set);
	expect_main(&w, w.nic->info.mac);
	assert_int_equal(vio_net_set_filter(w.nic->net, &narrow), VIO_OK);
	assert_int_equal(vio_net_set_mac(w.nic->net, group), VIO_EINVAL);
	assert_int_equal(vio_net_set_mac(w.nic->net, mac), VIO_OK);
	expect_main(&w, mac);
	assert_true(passes(&w, mac, 0));
	assert_false(passes(&w, w.nic->info.mac, 0));
	vio_net_info(w.nic->net, &info);
	assert_memory_equal(info.mac, mac, 6);

	assert_int_equal(vio_net_suspend(w.nic->net), VIO_OK);
	assert_int_equal(vio_net_resume(w.nic->net), VIO_OK);
	expect_main(&w, mac);
	assert_true(passes(&w, mac, 0));
	wire_close(&w);
}

static void test_mac(void **state)
{
	set_mac(*state, NULL);
}

/* Legacy devices without the command let the field be written. */
static void test_mac_legacy_field(void **state)
{
	(void)state;
	set_mac(&forms[1], ",ctrl_mac_addr=off");
}

/* ---- sleep ---- */

static void test_suspend(void **state)
{
	const struct vio_net_filter one = {.multicast = multicasts, .nmulticast = 1};
	struct wire w;

	wire_open(&w, *state, NULL);
	set_tables(&w);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(vio_net_suspend(w.nic->net), VIO_OK);
		assert_true(nic_idle(w.nic));
		assert_false(vio_net_running(w.nic->net));
		assert_int_equal(vio_net_resume(w.nic->net), VIO_OK);
		expect_tables(&w);
	}
	/* What is set while it sleeps counts when it wakes. */
	assert_int_equal(vio_net_suspend(w.nic->net), VIO_OK);
	assert_int_equal(vio_net_set_filter(w.nic->net, &one), VIO_OK);
	assert_int_equal(vio_net_resume(w.nic->net), VIO_OK);
	assert_true(passes(&w, group_in, 0));
	assert_false(passes(&w, multicasts[1], 0) || passes(&w, alias, 0));
	/* Not running before: not running after. */
	vio_net_stop(w.nic->net);
	assert_int_equal(vio_net_suspend(w.nic->net), VIO_OK);
	assert_int_equal(vio_net_resume(w.nic->net), VIO_OK);
	assert_false(vio_net_running(w.nic->net));
	wire_close(&w);
}

/* ---- announcements ---- */

static bool announced(void *arg)
{
	return ((struct nic *)arg)->announces != 0;
}

static bool link_down(void *arg)
{
	return !((struct nic *)arg)->link.up;
}

static void test_announce(void **state)
{
	struct vio_net_stats before, stats;
	struct wire w;

	wire_open(&w, *state, NULL);
	for (unsigned i = 1; i <= 3; i++) {
		vio_net_stats(w.nic->net, &before);
		w.nic->announces = 0;
		nic_qmp(w.nic, "announce-self",
			json_pack("{s:i,s:i,s:i,s:i,s:s}", "initial", 1, "max", 1, "rounds", 1,
				  "step", 1, "id", "a"),
			NULL);
		if (!nic_pump(w.nic, announced, w.nic, NIC_PATIENCE_MS))
			fail_msg("QEMU's wish to be announced did not arrive");
		vio_net_stats(w.nic->net, &stats);
		assert_int_equal(stats.announces, i);
		assert_true(stats.ctrl_commands > before.ctrl_commands);
		assert_int_equal(stats.ctrl_errors, 0);
	}
	/* Acknowledged: another change does not bring it up again. */
	w.nic->announces = 0;
	assert_int_equal(qemu_set_link(&w.nic->q, NIC_NAME, false), VIO_OK);
	assert_true(nic_pump(w.nic, link_down, w.nic, NIC_PATIENCE_MS));
	assert_int_equal(w.nic->announces, 0);
	wire_close(&w);
}

/* ---- what the configuration says ---- */

static void test_config(void **state)
{
	uint8_t frame[4000 + 14 + 1] = {0};
	struct nic_packet p = {.data = frame, .len = sizeof(frame)};
	struct wire w;

	wire_open_long(&w, *state, ",host_mtu=4000,speed=1000,duplex=full", 8192);
	assert_int_equal(nic_send(w.nic, &p), VIO_EINVAL); /* one byte too long (NC-9) */
	p.len--;
	assert_int_equal(nic_send(w.nic, &p), VIO_OK);
	nic_drain(w.nic);
	assert_true(w.peer.frames == 1);
	assert_true(w.nic->info.mtu_known);
	assert_int_equal(w.nic->info.mtu, 4000);
	if (!w.nic->pci.t.legacy) /* feature bit 63 */
		assert_int_equal(w.nic->link.speed_mbps, 1000);
	assert_true(w.nic->link.full_duplex && w.nic->link.up);
	wire_close(&w);

	wire_open(&w, *state, ",speed=40000,duplex=half,mac=02:66:00:00:00:09");
	if (!w.nic->pci.t.legacy) {
		assert_int_equal(w.nic->link.speed_mbps, 40000);
		assert_false(w.nic->link.full_duplex);
	}
	assert_memory_equal(w.nic->info.mac, "\x02\x66\0\0\0\x09", 6);
	assert_false(w.nic->info.mtu_known);
	wire_close(&w);

	wire_open(&w, *state, ",ctrl_vq=off,status=off");
	assert_int_equal(w.nic->info.ctrl_size, 0);
	assert_false(w.nic->info.filters || w.nic->info.vlan_filter);
	assert_true(w.nic->link.up);
	assert_int_equal(w.nic->link.speed_mbps, 0);
	assert_int_equal(vio_net_set_filter(w.nic->net, &(struct vio_net_filter){0}), VIO_ENOTSUP);
	assert_int_equal(vio_net_vlan(w.nic->net, 1, true), VIO_ENOTSUP);
	assert_true(passes(&w, w.nic->info.mac, 0) && passes(&w, w.nic->info.mac, 77));
	wire_close(&w);
}

/* ---- features ---- */

/* What the driver does not know it does not take, and what it is told not to use neither. */
static void test_features(void **state)
{
	const struct form *f = *state;
	const uint64_t none =
		VIRTIO_BIT(VIRTIO_NET_F_MQ) | VIRTIO_BIT(VIRTIO_NET_F_RSS) |
		VIRTIO_BIT(VIRTIO_NET_F_HASH_REPORT) | VIRTIO_BIT(VIRTIO_NET_F_RSC_EXT) |
		VIRTIO_BIT(VIRTIO_NET_F_CTRL_RX_EXTRA) | VIRTIO_BIT(VIRTIO_F_RING_PACKED);
	const uint64_t off = VIRTIO_BIT(VIRTIO_F_EVENT_IDX) | VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) |
			     VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ);
	const uint64_t gone =
		off | VIRTIO_BIT(VIRTIO_NET_F_CTRL_RX) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_VLAN) |
		VIRTIO_BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_ANNOUNCE);
	struct nic_opts o = {.machine = f->machine, .face = f->face, .irq = f->irq};
	struct mini m;
	struct nic *n;

	o.props = f->face == NIC_MODERN ? ",packed=on,mq=on,rss=on,hash=on,guest_rsc_ext=on"
					: ",mq=on";
	n = nic_new(&o);
	assert_true(n->info.offered & none);
	assert_int_equal(n->info.features & none, 0);
	mini_init(&m, n);
	mini_dhcp(&m);
	mini_ping(&m, 1000);
	nic_end(n);

	o.props = NULL;
	o.net.features_off = off;
	n = nic_new(&o);
	assert_int_equal(n->info.offered & gone, gone);
	assert_int_equal(n->info.features & gone, 0); /* and all that needs them (FB-2) */
	assert_int_equal(n->info.ctrl_size, 0);
	mini_init(&m, n);
	mini_dhcp(&m);
	mini_ping(&m, 1000);
	nic_end(n);

	if (f->face == NIC_LEGACY)
		return;
	o.net.features_off = 0;
	o.props = ",iommu_platform=on";
	n = nic_new(&o);
	assert_true(n->info.features & VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM));
	mini_init(&m, n);
	mini_dhcp(&m);
	mini_ping(&m, 1000);
	nic_end(n);
}

#define EACH_FORM(test)                                                                            \
	{#test ": modern", test, NULL, NULL, &forms[0]},                                           \
	{                                                                                          \
#test ": legacy", test, NULL, NULL, &forms[1]                                      \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_FORM(test_filter),	 EACH_FORM(test_vlan),
		EACH_FORM(test_mac),	 cmocka_unit_test(test_mac_legacy_field),
		EACH_FORM(test_suspend), EACH_FORM(test_announce),
		EACH_FORM(test_config),	 EACH_FORM(test_features),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
