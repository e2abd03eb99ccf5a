/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor's eye on set-up: order of status bits, features, configuration reads, widths.
 *
 * Rules of the form "do X before Y" are judged when Y happens, most of them at DRIVER_OK. Rules of
 * the form "never X" count as exercised when a driver reached DRIVER_OK without it.
 */
#include <string.h>

#include "model/internal.h"

#define BIT(f)	VIRTIO_BIT(VIRTIO_NET_F_##f)
#define FBIT(f) VIRTIO_BIT(VIRTIO_F_##f)

/* Feature, and what it needs (5.1.3.1): one of any. */
static const struct {
	uint64_t feature, any;
} needs[] = {
	{BIT(GUEST_TSO4), BIT(GUEST_CSUM)},
	{BIT(GUEST_TSO6), BIT(GUEST_CSUM)},
	{BIT(GUEST_ECN), BIT(GUEST_TSO4) | BIT(GUEST_TSO6)},
	{BIT(GUEST_UFO), BIT(GUEST_CSUM)},
	{BIT(GUEST_USO4), BIT(GUEST_CSUM)},
	{BIT(GUEST_USO6), BIT(GUEST_CSUM)},
	{BIT(HOST_TSO4), BIT(CSUM)},
	{BIT(HOST_TSO6), BIT(CSUM)},
	{BIT(HOST_ECN), BIT(HOST_TSO4) | BIT(HOST_TSO6)},
	{BIT(HOST_UFO), BIT(CSUM)},
	{BIT(HOST_USO), BIT(CSUM)},
	{BIT(CTRL_RX), BIT(CTRL_VQ)},
	{BIT(CTRL_VLAN), BIT(CTRL_VQ)},
	{BIT(GUEST_ANNOUNCE), BIT(CTRL_VQ)},
	{BIT(MQ), BIT(CTRL_VQ)},
	{BIT(CTRL_MAC_ADDR), BIT(CTRL_VQ)},
	{BIT(CTRL_GUEST_OFFLOADS), BIT(CTRL_VQ)},
	{BIT(RSC_EXT), BIT(HOST_TSO4) | BIT(HOST_TSO6)},
	{BIT(RSS), BIT(CTRL_VQ)},
	{BIT(NOTF_COAL), BIT(CTRL_VQ)},
};

static bool closed(uint64_t f)
{
	for (unsigned i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
		if (f & needs[i].feature && !(f & needs[i].any))
			return false;
	}
	return true;
}

void model_watch_width(struct model *m, uint32_t off, unsigned width, uint32_t field,
		       unsigned field_width)
{
	norm_check(m, NORM_PL_1, off == field && width == field_width,
		   "access is not the width of the field");
}

/* ---- configuration reads (CF-2, CF-3) ---- */

void model_watch_other(struct model *m)
{
	struct model_watch *w = &m->watch;

	if (w->gen_reads && w->config_reads)
		norm_broken(m, NORM_CF_2, "configuration read, generation not read again");
	w->gen_reads = 0;
	w->config_reads = 0;
}

void model_watch_generation(struct model *m)
{
	struct model_watch *w = &m->watch;

	if (w->gen_reads && w->config_reads)
		norm_ok(m, NORM_CF_2);
	w->gen_reads++;
	w->config_reads = 0;
	w->unguarded = 0;
}

static void check_optional(struct model *m, uint32_t off)
{
	uint64_t f = model_offered(m);
	uint64_t need;

	if (off < 6)
		need = BIT(MAC);
	else if (off < 8)
		need = BIT(STATUS);
	else if (off < 10)
		need = BIT(MQ) | BIT(RSS);
	else if (off < 12)
		need = BIT(MTU);
	else if (off < 17)
		need = BIT(SPEED_DUPLEX);
	else
		need = BIT(RSS) | BIT(HASH_REPORT);
	norm_check(m, NORM_CF_3, f & need, "field of a feature that was not offered");
}

void model_watch_config(struct model *m, uint32_t off, unsigned width)
{
	static const uint8_t field_of[24] = {0,	 1,  2,	 3,  4,	 5,  6,	 6,  8,	 8,  10, 10,
					     12, 12, 12, 12, 16, 17, 18, 18, 20, 20, 20, 20};
	static const uint8_t width_of[24] = {1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2,
					     4, 4, 4, 4, 1, 1, 2, 2, 4, 4, 4, 4};
	struct model_watch *w = &m->watch;
	uint64_t others;

	if (off >= 24)
		return;
	model_watch_width(m, off, width, field_of[off], width_of[off]);
	check_optional(m, off);
	if (w->isr_both)
		norm_ok(m, NORM_PS_1);
	w->isr_both = false;
	if (w->speed_change && off == offsetof(struct virtio_net_config, speed)) {
		w->speed_change = false;
		norm_ok(m, NORM_NC_12);
	}
	if (off < 6)
		w->mac_reads++;
	if (m->legacy)
		return;
	w->config_reads++;
	others = w->unguarded & ~(UINT64_C(1) << off);
	if (w->gen_reads == 0) {
		w->unguarded |= UINT64_C(1) << off;
		if (others)
			norm_broken(m, NORM_CF_2, "several fields without the generation");
	}
}

/* ---- status ---- */

static void check_order(struct model *m, uint8_t was, uint8_t added)
{
	struct model_watch *w = &m->watch;
	uint8_t need = 0;

	if (added & VIRTIO_STATUS_DRIVER)
		need |= VIRTIO_STATUS_ACKNOWLEDGE;
	if (added & (VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK))
		need |= VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;
	if (added & VIRTIO_STATUS_DRIVER_OK && !m->legacy && !w->refused)
		need |= VIRTIO_STATUS_FEATURES_OK;
	norm_check(m, NORM_IN_1, (was & need) == need, "status bits out of order");
	if (added & VIRTIO_STATUS_DRIVER_OK) {
		if (!m->legacy)
			norm_check(m, NORM_IN_4, w->features_ok_read,
				   "FEATURES_OK was not read back");
		if (w->refused && !(m->status & VIRTIO_STATUS_FEATURES_OK) && !m->legacy)
			norm_broken(m, NORM_FB_6, "went on though FEATURES_OK did not stay");
	}
}

void model_watch_status(struct model *m, uint8_t was, uint8_t now)
{
	struct model_watch *w = &m->watch;
	uint8_t kept = was & (uint8_t)~VIRTIO_STATUS_NEEDS_RESET;
	uint8_t added = (uint8_t)(now & ~was);

	if (w->reset_wanted) {
		norm_broken(m, NORM_RS_1, "status not read back as 0 after a reset");
		if (!m->legacy)
			norm_broken(m, NORM_PM_5, "status not read back as 0 after a reset");
		w->reset_wanted = false;
	}
	norm_check(m, NORM_ST_2, (now & kept) == kept, "status bit cleared");
	norm_check(m, NORM_ST_1, (added & (added - 1) & ~VIRTIO_STATUS_FAILED) == 0,
		   "several status bits at once");
	if (w->failed && added) {
		norm_broken(m, NORM_ST_3, "went on after FAILED without a reset");
		norm_broken(m, NORM_IN_6, "went on after FAILED without a reset");
	}
	if (added & VIRTIO_STATUS_FAILED) {
		w->failed = true;
		if (w->refused) {
			norm_ok(m, NORM_IN_5);
			norm_ok(m, NORM_FB_6);
		}
		return;
	}
	if (added & VIRTIO_STATUS_FEATURES_OK && m->legacy)
		norm_broken(m, NORM_LG_5, "FEATURES_OK on a legacy interface");
	if (added)
		check_order(m, was, added);
}

/* ---- features, as accepted ---- */

void model_watch_features(struct model *m)
{
	uint64_t offered = model_offered(m), got = m->driver_features;
	uint64_t unknown = offered & ~model_features_known();

	norm_check(m, NORM_FB_1, (got & ~offered) == 0, "accepted what was not offered");
	norm_check(m, NORM_FB_2, closed(got), "prerequisite of an accepted feature missing");
	if (!closed(offered))
		norm_check(m, NORM_FB_3, closed(got), "unsound offer accepted as it is");
	if (unknown) {
		norm_check(m, NORM_FB_4, (got & unknown) == 0, "unknown bit accepted");
		if (unknown & FBIT(SR_IOV))
			norm_check(m, NORM_RF_8, !(got & FBIT(SR_IOV)), "SR_IOV accepted");
	}
	if (offered & BIT(MAC))
		norm_check(m, NORM_NC_2, got & BIT(MAC), "MAC not taken");
	if (offered & BIT(MTU))
		norm_check(m, NORM_NC_7, got & BIT(MTU), "MTU not taken");
	if (got & BIT(CTRL_RX_EXTRA))
		norm_check(m, NORM_NC_14, got & BIT(CTRL_VQ), "CTRL_RX_EXTRA without CTRL_VQ");
	if (offered & BIT(GUEST_HDRLEN))
		norm_check(m, NORM_NT_35, got & BIT(GUEST_HDRLEN), "GUEST_HDRLEN not taken");
	if (m->legacy) {
		if (offered & FBIT(ANY_LAYOUT))
			norm_check(m, NORM_LG_7, got & FBIT(ANY_LAYOUT), "ANY_LAYOUT not taken");
		if (offered & FBIT(UNUSED))
			norm_check(m, NORM_LG_8, !(got & FBIT(UNUSED)), "bit 30 accepted");
		return;
	}
	if (offered & FBIT(VERSION_1))
		norm_check(m, NORM_RF_1, got & FBIT(VERSION_1), "VERSION_1 not taken");
	if (offered & FBIT(ACCESS_PLATFORM))
		norm_check(m, NORM_RF_2, got & FBIT(ACCESS_PLATFORM), "ACCESS_PLATFORM not taken");
	if (offered & FBIT(ORDER_PLATFORM))
		norm_check(m, NORM_RF_6, got & FBIT(ORDER_PLATFORM), "ORDER_PLATFORM not taken");
}

/* ---- DRIVER_OK ---- */

static void ready_pci(struct model *m)
{
	const struct model_layout *l = &m->opt.layout;

	norm_ok(m, NORM_PD_3);
	norm_ok(m, m->opt.interface == MODEL_MODERN ? NORM_PD_1 : NORM_PD_2);
	for (unsigned i = 0; i < MODEL_QUEUES; i++) {
		if (m->watch.queue_vector_written[i])
			norm_broken(m, NORM_PX_3, "vector of a queue not read back");
	}
	if (m->watch.config_vector_written)
		norm_broken(m, NORM_PX_3, "configuration vector not read back");
	if (m->opt.msix_entries == 0 || model_msix_on(m))
		norm_ok(m, NORM_PX_1);
	if (m->legacy)
		return;
	norm_ok(m, NORM_PC_7);
	norm_ok(m, NORM_PM_6);
	if (l->reserved_type)
		norm_ok(m, NORM_PC_1);
	if (l->twice)
		norm_ok(m, NORM_PC_2);
	if (l->longer_by)
		norm_ok(m, NORM_PC_3);
	if (l->reserved_bar)
		norm_ok(m, NORM_PC_4);
	if (l->large)
		norm_ok(m, NORM_PC_6);
	if (l->vendor_cap)
		norm_ok(m, NORM_PV_1);
}

/* What may be judged at DRIVER_OK, or when a driver leaves before: a look at the MAC. */
void model_watch_reset(struct model *m)
{
	if (m->legacy && m->watch.mac_reads)
		norm_check(m, NORM_LG_6, m->watch.mac_reads >= 12, "MAC read only once");
	m->watch.mac_reads = 0;
}

static void ready_legacy(struct model *m)
{
	norm_ok(m, NORM_LG_1);
	norm_ok(m, NORM_LG_2);
	if (!(m->status & VIRTIO_STATUS_FEATURES_OK))
		norm_ok(m, NORM_LG_5);
	model_watch_reset(m);
}

void model_watch_ready(struct model *m)
{
	uint64_t unknown = model_offered(m) & ~model_features_known();
	struct model_watch *w = &m->watch;

	if (w->failed)
		norm_broken(m, NORM_IN_6, "DRIVER_OK after FAILED");
	if (unknown)
		norm_ok(m, NORM_FB_7);
	if (model_features_default() & 0xffffff & ~model_offered(m))
		norm_ok(m, NORM_FB_5);
	if (!w->config_written) {
		norm_ok(m, NORM_IN_2);
		if (!m->legacy)
			norm_ok(m, NORM_NC_1);
	}
	norm_ok(m, NORM_IN_3);
	if (m->opt.config_len && m->opt.config_len != sizeof(struct virtio_net_config)) {
		norm_ok(m, NORM_CF_4);
		norm_ok(m, NORM_CF_5);
	}
	ready_pci(m);
	if (m->legacy)
		ready_legacy(m);
	else if (m->opt.interface == MODEL_TRANSITIONAL)
		norm_ok(m, NORM_LG_3);
}
