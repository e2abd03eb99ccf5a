/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control queue (5.1.6.5): one table of commands, each with the feature it needs, the norm
 * that says so, and the length of its data. State lands in struct model_state, where the receive
 * filter and the tests read it.
 */
#include <string.h>

#include "model/internal.h"

#define GUEST_OFFLOADS                                                                             \
	(VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4) |               \
	 VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO6) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_ECN) |                \
	 VIRTIO_BIT(VIRTIO_NET_F_GUEST_UFO) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_USO4) |                \
	 VIRTIO_BIT(VIRTIO_NET_F_GUEST_USO6))

struct command {
	uint8_t class_, command;
	uint8_t feature;
	uint8_t norm; /* enum norm of "only with that feature"; NORM_COUNT: none */
	uint8_t data; /* exact bytes; 0: the handler looks */
	bool (*run)(struct model *m, const uint8_t *data, size_t len);
};

static bool rx_promisc(struct model *m, const uint8_t *data, size_t len)
{
	(void)len;
	m->net.promisc = data[0];
	return true;
}

static bool rx_allmulti(struct model *m, const uint8_t *data, size_t len)
{
	(void)len;
	m->net.allmulti = data[0];
	return true;
}

static bool rx_alluni(struct model *m, const uint8_t *data, size_t len)
{
	(void)len;
	m->net.alluni = data[0];
	return true;
}

static bool rx_nomulti(struct model *m, const uint8_t *data, size_t len)
{
	(void)len;
	m->net.nomulti = data[0];
	return true;
}

static bool rx_nouni(struct model *m, const uint8_t *data, size_t len)
{
	(void)len;
	m->net.nouni = data[0];
	return true;
}

static bool rx_nobcast(struct model *m, const uint8_t *data, size_t len)
{
	(void)len;
	m->net.nobcast = data[0];
	return true;
}

/* One half of the table: where it ends, 0 if it is not all there (NX-8). */
static size_t mac_half(struct model *m, const uint8_t *data, size_t len, size_t at, uint32_t *n)
{
	vio32 v;

	if (!span_fits(len, at, 4))
		return 0;
	memcpy(&v, data + at, 4);
	*n = model_get32(m, v);
	if (*n > (len - at - 4) / 6)
		return 0;
	return at + 4 + (size_t)*n * 6;
}

static void table_set(uint8_t (*table)[6], unsigned *n, bool *overflow, const uint8_t *from,
		      uint32_t count)
{
	*overflow = count > MODEL_MAC_TABLE;
	*n = *overflow ? 0 : count;
	memcpy(table, from, (size_t)*n * 6);
}

static bool mac_table(struct model *m, const uint8_t *data, size_t len)
{
	uint32_t nuni = 0, nmulti = 0;
	size_t second = mac_half(m, data, len, 0, &nuni);
	size_t end = second ? mac_half(m, data, len, second, &nmulti) : 0;

	if (m->mon) {
		norm_check(m, NORM_NX_8, end == len && end != 0,
			   "not count, unicast, count, multicast");
		if (m->legacy)
			norm_ok(m, NORM_LG_18);
	}
	if (end != len || end == 0)
		return false;
	table_set(m->net.unicast, &m->net.nunicast, &m->net.unicast_overflow, data + 4, nuni);
	table_set(m->net.multicast, &m->net.nmulticast, &m->net.multicast_overflow,
		  data + second + 4, nmulti);
	return true;
}

static bool mac_addr(struct model *m, const uint8_t *data, size_t len)
{
	(void)len;
	if (m->mon)
		norm_ok(m, NORM_NX_7);
	memcpy(m->net.mac, data, 6);
	model_config_build(m);
	return true;
}

static bool vlan_set(struct model *m, const uint8_t *data, bool on)
{
	vio16 v;
	uint16_t id;

	memcpy(&v, data, 2);
	id = model_get16(m, v);
	if (m->mon && m->legacy)
		norm_ok(m, NORM_LG_19);
	if (id >= MODEL_VLANS)
		return false;
	if (on)
		m->vlans[id / 8] |= (uint8_t)(1u << (id % 8));
	else
		m->vlans[id / 8] &= (uint8_t) ~(1u << (id % 8));
	return true;
}

static bool vlan_add(struct model *m, const uint8_t *data, size_t len)
{
	(void)len;
	return vlan_set(m, data, true);
}

static bool vlan_del(struct model *m, const uint8_t *data, size_t len)
{
	(void)len;
	return vlan_set(m, data, false);
}

static bool announce_ack(struct model *m, const uint8_t *data, size_t len)
{
	(void)data;
	if (len != 0)
		return false;
	if (!m->net.announce_pending)
		return false;
	if (m->mon)
		norm_ok(m, NORM_NX_10);
	m->net.announce_pending = false;
	m->net.announces_acked++;
	model_config_build(m);
	return true;
}

static bool offloads_set(struct model *m, const uint8_t *data, size_t len)
{
	vio64 v;
	uint64_t bits;

	(void)len;
	memcpy(&v, data, 8);
	bits = model_get64(m, v);
	if (m->mon) {
		norm_check(m, NORM_NX_23, (bits & ~(m->accepted & GUEST_OFFLOADS)) == 0,
			   "offload that was not negotiated");
		if (m->legacy)
			norm_ok(m, NORM_LG_21);
	}
	if (bits & ~(m->accepted & GUEST_OFFLOADS))
		return false;
	m->net.guest_offloads = (m->accepted & ~GUEST_OFFLOADS) | bits;
	return true;
}

static const struct command commands[] = {
	{VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, VIRTIO_NET_F_CTRL_RX, NORM_NX_4, 1,
	 rx_promisc},
	{VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLMULTI, VIRTIO_NET_F_CTRL_RX, NORM_NX_4, 1,
	 rx_allmulti},
	{VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLUNI, VIRTIO_NET_F_CTRL_RX_EXTRA, NORM_NX_5, 1,
	 rx_alluni},
	{VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOMULTI, VIRTIO_NET_F_CTRL_RX_EXTRA, NORM_NX_5, 1,
	 rx_nomulti},
	{VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOUNI, VIRTIO_NET_F_CTRL_RX_EXTRA, NORM_NX_5, 1,
	 rx_nouni},
	{VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOBCAST, VIRTIO_NET_F_CTRL_RX_EXTRA, NORM_NX_5, 1,
	 rx_nobcast},
	{VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, VIRTIO_NET_F_CTRL_RX, NORM_NX_6, 0,
	 mac_table},
	{VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, VIRTIO_NET_F_CTRL_MAC_ADDR, NORM_NX_6,
	 6, mac_addr},
	{VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, VIRTIO_NET_F_CTRL_VLAN, NORM_COUNT, 2,
	 vlan_add},
	{VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL, VIRTIO_NET_F_CTRL_VLAN, NORM_COUNT, 2,
	 vlan_del},
	{VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, VIRTIO_NET_F_GUEST_ANNOUNCE,
	 NORM_COUNT, 0, announce_ack},
	{VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET,
	 VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, NORM_NX_23, 8, offloads_set},
};

_Static_assert(NORM_COUNT <= 255, "norm ids fit struct command");

/* A reset forgets all of it; everything passes then, as in QEMU, until the driver says otherwise.
 */
void model_ctrl_reset(struct model *m)
{
	struct model_state *n = &m->net;

	n->promisc = true;
	n->allmulti = n->alluni = n->nomulti = n->nouni = n->nobcast = false;
	n->nunicast = n->nmulticast = 0;
	n->unicast_overflow = n->multicast_overflow = false;
	n->guest_offloads = 0;
	memset(m->vlans, 0, sizeof(m->vlans));
}

static bool command_run(struct model *m, const uint8_t *bytes, size_t len)
{
	for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct command *c = &commands[i];

		if (c->class_ != bytes[0] || c->command != bytes[1])
			continue;
		if (m->mon && c->norm != NORM_COUNT)
			norm_check(m, (enum norm)c->norm, model_has(m, c->feature),
				   "command of a feature not negotiated");
		if (!model_has(m, c->feature) || (c->data && len != 2u + c->data))
			return false;
		return c->run(m, bytes + 2, len - 2);
	}
	return false;
}

static void check_framing(struct model *m, const struct model_chain *c, const uint8_t *bytes)
{
	bool table = bytes[0] == VIRTIO_NET_CTRL_MAC && bytes[1] == VIRTIO_NET_CTRL_MAC_TABLE_SET;
	unsigned nout = c->out_len == 2 ? 1 : table ? 3 : 2;

	norm_check(m, NORM_LG_25,
		   c->nout == nout && c->segs[0].len == 2 && c->nin == 1 &&
			   c->segs[c->nout].len == 1,
		   "command not framed header / data / one byte");
}

/* True when the command may be answered now. */
static bool due(struct model *m, struct model_queue *q)
{
	if (q->late == 0) {
		q->late = (uint16_t)(1 + m->opt.ctrl_polls);
		if (m->hostile.rate && model_mut(m, MODEL_MUT_CTRL_LATE)) {
			q->late = (uint16_t)(2 + model_mut_random(m, 1000));
			model_mut_note(m, MODEL_MUT_CTRL_LATE, q->index, 0, q->late);
		}
	}
	return --q->late == 0;
}

bool model_ctrl_process(struct model *m, struct model_queue *q)
{
	bool worked = false;

	while (m->running && model_ring_avail(m, q) && due(m, q)) {
		struct model_chain c;
		uint8_t ack = VIRTIO_NET_ERR;

		if (!model_ring_fetch(m, q, 0, &c))
			break;
		if (c.out_len < 2 || c.in_len < 1 || c.out_len > MODEL_FRAME_MAX) {
			model_break(m, "control command without header or answer byte");
			break;
		}
		q->last_avail++;
		q->chains++;
		seg_read(c.segs, c.nout, 0, m->scratch, (size_t)c.out_len);
		if (m->mon && m->legacy && !model_has(m, VIRTIO_F_ANY_LAYOUT))
			check_framing(m, &c, m->scratch);
		if (command_run(m, m->scratch, (size_t)c.out_len))
			ack = VIRTIO_NET_OK;
		else
			m->net.ctrl_errors++;
		m->net.ctrl_commands++;
		worked = true;
		if (m->hostile.rate) {
			if (model_mut(m, MODEL_MUT_CTRL_NEVER)) {
				model_mut_note(m, MODEL_MUT_CTRL_NEVER, c.head, 0, 0);
				continue;
			}
			ack = (uint8_t)model_lie(m, MODEL_MUT_CTRL_ACK, c.head, ack, 1);
		}
		seg_write(c.segs + c.nout, c.nin, 0, &ack, 1);
		model_ring_used(m, q, 0, c.head, m->opt.odd.zero_len_ctrl ? 0 : 1);
		model_ring_publish(m, q, 1);
		model_ring_signal(m, q);
	}
	return worked;
}
