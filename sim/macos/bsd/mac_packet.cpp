/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Received packets, for programs.
 */
#include "common/seg.h"
#include "sim/macos/bsd/netinterface.h"

#define SUM_GOOD  0xffffu
#define TYPE_IPV6 0x86ddu
#define TYPE_VLAN 0x8100u

size_t mac_packet_len(struct __mbuf *packet)
{
	sim_mbuf_live(packet, "mac_packet_len");
	return packet->pkt_len;
}

unsigned mac_packet_segs(struct __mbuf *packet, struct seg *segs, unsigned max)
{
	unsigned n = 0;

	for (mbuf_t m = packet; m; m = m->next) {
		sim_mbuf_live(m, "mac_packet_segs");
		if (!m->len)
			continue;
		if (n == max)
			return 0;
		segs[n].ptr = m->data;
		segs[n].addr = mbuf_data_to_physical(m->data);
		segs[n].len = static_cast<uint32_t>(m->len);
		n++;
	}
	return n;
}

static unsigned ether_type(mbuf_t packet)
{
	uint8_t type[2] = {};

	mbuf_copydata(packet, 12, sizeof(type), type);
	if ((type[0] << 8 | type[1]) == TYPE_VLAN)
		mbuf_copydata(packet, 16, sizeof(type), type);
	return static_cast<unsigned>(type[0] << 8 | type[1]);
}

/*
 * [XNU-IF-34] A full sum of 0xffff, pseudo-header included, is good. 10.6 believes it only of an
 * interface that offloads sums at all, and never for IPv6.
 */
bool mac_packet_csum_good(struct __mbuf *packet)
{
	const uint32_t full = MBUF_CSUM_DID_DATA | MBUF_CSUM_PSEUDO_HDR;
	const struct mac_if *ifp;
	uint32_t done;

	sim_mbuf_live(packet, "mac_packet_csum_good");
	done = packet->csum_flags & full;
	if (!(done & MBUF_CSUM_DID_DATA))
		return false;
	if (done != full)
		sim_violation("a received sum without the pseudo-header is not simulated");
	if (packet->csum_data != SUM_GOOD)
		return false;
	ifp = sim_ifnet(packet->rcvif);
	if (!sim_release_at_least(7) &&
	    (ether_type(packet) == TYPE_IPV6 ||
	     !(ifp->assist & (ASSIST_IP | ASSIST_TCP | ASSIST_UDP | ASSIST_SUM16))))
		return false;
	return true;
}

/* The program may be outside of the kernel here. */
void mac_packet_free(struct __mbuf *packet)
{
	sim_enter("mac_packet_free");
	sim_mbuf_freem(packet, "mac_packet_free");
	sim_exit();
}
