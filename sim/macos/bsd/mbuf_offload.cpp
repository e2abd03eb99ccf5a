/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a packet says about checksums, segmentation and VLAN.
 *
 * [XNU-MBUF-10] All of it shares one word: what is asked for and what was done are the same low 16
 * bits, the VLAN mark and the TSO requests lie above them. Whoever sends a received mbuf finds the
 * old bits there.
 */
#include "sim/macos/bsd/mbuf.h"

/* [XNU-MBUF-11] Bits that a request may have: those for IPv6 came with 10.7. */
static uint32_t request_mask(void)
{
	uint32_t mask = MBUF_CSUM_REQ_IP | MBUF_CSUM_REQ_TCP | MBUF_CSUM_REQ_UDP | 0x1000;

	if (sim_release_at_least(7))
		mask |= MBUF_CSUM_REQ_TCPIPV6 | MBUF_CSUM_REQ_UDPIPV6;
	return mask;
}

static const uint32_t performed_mask =
	MBUF_CSUM_DID_IP | MBUF_CSUM_IP_GOOD | MBUF_CSUM_DID_DATA | MBUF_CSUM_PSEUDO_HDR | 0x1000;

static bool has_header(mbuf_t m, const char *what)
{
	if (!m)
		return false;
	sim_mbuf_live(m, what);
	return (m->flags & MBUF_PKTHDR) != 0;
}

/* [XNU-MBUF-12] The segment size is written only if segmentation is asked for. */
errno_t mbuf_get_tso_requested(mbuf_t m, mbuf_tso_request_flags_t *flags, uint32_t *mss)
{
	if (!has_header(m, "mbuf_get_tso_requested") || !flags || !mss)
		return DARWIN_EINVAL;
	*flags = m->csum_flags & SIM_CSUM_TSO;
	if (*flags)
		*mss = m->tso_segsz;
	return 0;
}

errno_t mbuf_get_csum_requested(mbuf_t m, mbuf_csum_request_flags_t *flags, uint32_t *value)
{
	if (!has_header(m, "mbuf_get_csum_requested") || !flags)
		return DARWIN_EINVAL;
	*flags = m->csum_flags & request_mask();
	if (value)
		*value = m->csum_data;
	return 0;
}

errno_t mbuf_set_csum_requested(mbuf_t m, mbuf_csum_request_flags_t flags, uint32_t value)
{
	if (!has_header(m, "mbuf_set_csum_requested"))
		return DARWIN_EINVAL;
	m->csum_flags = (m->csum_flags & ~SIM_CSUM_LOW) | (flags & request_mask());
	m->csum_data = value;
	return 0;
}

static errno_t clear(mbuf_t m, const char *what)
{
	if (!has_header(m, what))
		return DARWIN_EINVAL;
	m->csum_flags &= ~SIM_CSUM_LOW;
	m->csum_data = 0;
	return 0;
}

errno_t mbuf_clear_csum_requested(mbuf_t m)
{
	return clear(m, "mbuf_clear_csum_requested");
}

errno_t mbuf_get_csum_performed(mbuf_t m, mbuf_csum_performed_flags_t *flags, uint32_t *value)
{
	if (!has_header(m, "mbuf_get_csum_performed") || !flags || !value)
		return DARWIN_EINVAL;
	*flags = m->csum_flags & performed_mask;
	*value = m->csum_data;
	return 0;
}

/* What was there before goes, but for the upper half. */
errno_t mbuf_set_csum_performed(mbuf_t m, mbuf_csum_performed_flags_t flags, uint32_t value)
{
	if (!has_header(m, "mbuf_set_csum_performed"))
		return DARWIN_EINVAL;
	m->csum_flags = (m->csum_flags & ~SIM_CSUM_LOW) | (flags & performed_mask);
	m->csum_data = value;
	return 0;
}

errno_t mbuf_clear_csum_performed(mbuf_t m)
{
	return clear(m, "mbuf_clear_csum_performed");
}

errno_t mbuf_get_vlan_tag(mbuf_t m, uint16_t *tag)
{
	if (!has_header(m, "mbuf_get_vlan_tag") || !tag)
		return DARWIN_EINVAL;
	if (!(m->csum_flags & SIM_CSUM_VLAN))
		return DARWIN_ENXIO;
	*tag = m->vlan_tag;
	return 0;
}

errno_t mbuf_set_vlan_tag(mbuf_t m, uint16_t tag)
{
	if (!has_header(m, "mbuf_set_vlan_tag"))
		return DARWIN_EINVAL;
	m->csum_flags |= SIM_CSUM_VLAN;
	m->vlan_tag = tag;
	return 0;
}

errno_t mbuf_clear_vlan_tag(mbuf_t m)
{
	if (!has_header(m, "mbuf_clear_vlan_tag"))
		return DARWIN_EINVAL;
	m->csum_flags &= ~SIM_CSUM_VLAN;
	m->vlan_tag = 0;
	return 0;
}
