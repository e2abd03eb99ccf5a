/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every combination of what a device may be and offer, one test each:
 *
 *   {pc, q35 behind a root port} x {MSI-X, INTx} x {mergeable buffers} x {event index}
 *	x {indirect descriptors} x {queue size 64, 256, 1024}
 *
 * for the interface named on the command line (modern, transitional, legacy). A combination gets a
 * lease, pings, and shows that exactly what it allows was negotiated. Where there is a choice that
 * is no factor (one MSI-X vector or several; which interface of a transitional device; ANY_LAYOUT;
 * how kicks are sent) neighbours take different sides.
 *
 * Payload sizes are dealt out so that the combinations of one interface together cover 1 to 1472
 * bytes, all that fits a frame, and a stride of the fragmented ones up to 9000.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/qemu/mini.h"
#include "wire/virtio.h"

#define COMBOS	   96u
#define SMALL_MAX  1472u
#define SMALL_EACH ((SMALL_MAX + COMBOS - 1) / COMBOS)

struct combo {
	bool q35, intx, merge, event, indirect;
	bool any_layout; /* no factor */
	uint16_t size;
};

static enum nic_face face;
static char names[COMBOS][96];
static struct CMUnitTest tests[COMBOS];

static void combo_of(unsigned i, struct combo *c)
{
	static const uint16_t sizes[] = {64, 256, 1024};

	*c = (struct combo){
		.q35 = i & 1,
		.intx = i >> 1 & 1,
		.merge = i >> 2 & 1,
		.event = i >> 3 & 1,
		.indirect = i >> 4 & 1,
		.size = sizes[i >> 5],
		.any_layout = i * 11 >> 3 & 1,
	};
}

/* What QEMU offers on a network without virtio headers, as far as the driver takes it. */
static uint64_t expected_features(const struct combo *c, bool legacy)
{
	uint64_t f = VIRTIO_BIT(VIRTIO_NET_F_MAC) | VIRTIO_BIT(VIRTIO_NET_F_STATUS) |
		     VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_RX) |
		     VIRTIO_BIT(VIRTIO_NET_F_CTRL_VLAN) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) |
		     VIRTIO_BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) |
		     VIRTIO_BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);

	if (!legacy)
		f |= VIRTIO_BIT(VIRTIO_F_VERSION_1);
	else if (c->any_layout)
		f |= VIRTIO_BIT(VIRTIO_F_ANY_LAYOUT);
	if (c->merge)
		f |= VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF);
	if (c->event)
		f |= VIRTIO_BIT(VIRTIO_F_EVENT_IDX);
	if (c->indirect)
		f |= VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC);
	return f;
}

static void check_info(const struct nic *n, const struct combo *c)
{
	bool legacy = n->pci.t.legacy;
	const struct vio_net_info *i = &n->info;
	uint16_t rx = c->size, tx = c->size > 256 ? 256 : c->size;

	if (legacy && c->size < 256)
		rx = tx = 256; /* QEMU's smallest, and a legacy driver has no say (LG-9) */
	assert_int_equal(i->features, expected_features(c, legacy));
	assert_string_equal(i->transport, legacy ? "legacy" : "modern");
	assert_int_equal(i->rx_size, rx);
	assert_int_equal(i->tx_size, tx);
	assert_int_equal(i->ctrl_size, 64);
	assert_int_equal(i->hdr_len, legacy && !c->merge ? 10 : 12);
	assert_int_equal(i->mtu, 1500);
	assert_false(i->mtu_known);
	assert_true(i->filters && i->vlan_filter && i->mac_set && i->rx_merge == c->merge);
	assert_true(n->links == 1 && n->link.up);
}

static void ping_all(struct nic *n, unsigned index)
{
	struct mini m;

	mini_init(&m, n);
	mini_dhcp(&m);
	for (uint32_t k = 0; k < SMALL_EACH; k++)
		mini_ping(&m, 1 + (index * SMALL_EACH + k) % SMALL_MAX);
	for (uint32_t size = SMALL_MAX + 1 + index * 13; size <= MINI_PING_MAX; size += 2503)
		mini_ping(&m, size);
}

static void test_combo(void **state)
{
	unsigned index = (unsigned)((struct CMUnitTest *)*state - tests);
	struct vio_net_stats stats;
	struct combo c;
	struct nic *n;
	char props[160];

	combo_of(index, &c);
	(void)snprintf(props, sizeof(props),
		       ",mrg_rxbuf=%s,event_idx=%s,indirect_desc=%s,any_layout=%s,rx_queue_size=%u",
		       c.merge ? "on" : "off", c.event ? "on" : "off", c.indirect ? "on" : "off",
		       c.any_layout ? "on" : "off", c.size < 256 ? 256u : c.size);

	struct nic_opts o = {
		.machine = c.q35 ? "q35" : "pc",
		.face = face,
		.prefer = face == NIC_TRANSITIONAL && (index * 5 >> 2 & 1) ? VIO_PCI_LEGACY
									   : VIO_PCI_AUTO,
		.irq = c.intx		      ? VIO_IRQ_INTX
		       : (index * 3 >> 3 & 1) ? VIO_IRQ_MSIX_ONE
					      : VIO_IRQ_MSIX_EACH,
		.props = props,
		.net = {.queue_size = c.size},
	};

	n = nic_new(&o);
	qemu_pci_fast_kick(n->f, index * 7 >> 3 & 1);
	check_info(n, &c);
	ping_all(n, index);
	nic_drain(n);
	vio_net_stats(n->net, &stats);
	assert_int_equal(stats.rx.dropped + stats.rx.errors + stats.tx.errors, 0);
	assert_int_equal(n->breaks, 0);
	assert_true(n->vectors != 0);
	nic_end(n);
}

int main(int argc, char **argv)
{
	static const char *const faces[] = {"modern", "transitional", "legacy"};
	struct combo c;

	while (argc == 2 && face <= NIC_LEGACY && strcmp(argv[1], faces[face]) != 0)
		face++;
	if (argc != 2 || face > NIC_LEGACY) {
		(void)fprintf(stderr, "usage: %s modern|transitional|legacy\n", argv[0]);
		return 2;
	}
	for (unsigned i = 0; i < COMBOS; i++) {
		combo_of(i, &c);
		(void)snprintf(names[i], sizeof(names[i]), "%s %s %s%s%s%s queue %u", faces[face],
			       c.q35 ? "q35" : "pc", c.intx ? "intx" : "msix",
			       c.merge ? " merge" : "", c.event ? " event" : "",
			       c.indirect ? " indirect" : "", c.size);
		tests[i] = (struct CMUnitTest){
			.name = names[i], .test_func = test_combo, .initial_state = &tests[i]};
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
