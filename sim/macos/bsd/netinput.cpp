/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IONetworkInterface: packets from the driver to the stack.
 *
 * The list between inputPacket() and flushInputQueue() has no lock in a kernel either. Two threads
 * in these functions at once would lose packets there; here that is a violation.
 */
#include "sim/macos/bsd/netinterface.h"

#define ETHER_HEADER 14u

namespace
{
class input_list
{
	unsigned *busy;

public:
	input_list(unsigned *flag, const char *name, const char *what) : busy(flag)
	{
		if (__atomic_exchange_n(busy, 1, __ATOMIC_ACQUIRE))
			sim_violation("%s: %s: another thread is using the input list, which has "
				      "no lock",
				      name, what);
	}
	~input_list()
	{
		__atomic_store_n(busy, 0, __ATOMIC_RELEASE);
	}
	input_list(const input_list &) = delete;
	void operator=(const input_list &) = delete;
};
} // namespace

/* With the list; the packets in it go to the stack. */
static UInt32 hand_over(struct mac_if *ifp, mbuf_t *head, mbuf_t *tail, UInt32 *count,
			size_t *bytes, const IONetworkStats *stats)
{
	UInt32 n = *count;

	if (!n)
		return 0;
	if (ifp) {
		sim_ifnet_count(ifp, stats);
		sim_ifnet_input(ifp, *head, *tail, n, *bytes);
	} else {
		mbuf_freem_list(*head);
	}
	*head = *tail = nullptr;
	*count = 0;
	*bytes = 0;
	return n;
}

/* A packet that comes before there is anybody to give it to. */
static void no_stack(mbuf_t packet, bool was_attached, const char *name)
{
	/* [XNU-IF-10] From 10.9 on it is not even freed. */
	if (!was_attached && sim_release_at_least(9))
		sim_violation("%s: a packet is handed up before the interface is attached to the "
			      "stack: it leaks",
			      name);
	sim_mbuf_freem(packet, "IONetworkInterface::inputPacket");
}

UInt32 IONetworkInterface::inputPacket(mbuf_t packet, UInt32 length, IOOptionBits options, void *)
{
	static const char what[] = "IONetworkInterface::inputPacket";
	struct mac_if *ifp = __atomic_load_n(&_reserved->ifp, __ATOMIC_ACQUIRE);
	size_t total;

	sim_may_block(what);
	total = sim_mbuf_packet(packet, what);
	if (packet->input)
		sim_violation("%s: packet %p is handed up twice", what,
			      static_cast<void *>(packet));

	input_list list(&_reserved->input_busy, getName(), what);

	if (!ifp) {
		no_stack(packet, _reserved->was_attached, getName());
		return 0;
	}
	packet->rcvif = sim_ifnet_handle(ifp);
	if (length) {
		if (length > total)
			sim_violation("%s: the length is %u, and the packet has %zu bytes", what,
				      length, total);
		mbuf_adj(packet, -static_cast<int>(total - length));
		total = length;
	}
	feedPacketInputTap(packet);
	/* [XNU-IF-11] The header has to lie in the first mbuf. */
	if (packet->len < ETHER_HEADER)
		sim_violation("%s: the first mbuf has %zu bytes, and the header of 14 is looked "
			      "for in it",
			      what, packet->len);
	packet->header = packet->data;
	packet->data += ETHER_HEADER;
	packet->len -= ETHER_HEADER;
	packet->pkt_len -= ETHER_HEADER;
	packet->input = true;
	for (mbuf_t m = packet; m; m = m->next) {
		m->caller = nullptr; /* not the driver's any more */
		m->kind = SIM_MBUF_RECEIVED;
	}

	if (_inputQHead)
		_inputQTail->nextpkt = packet;
	else
		_inputQHead = packet;
	_inputQTail = packet;
	_inputQCount++;
	_reserved->queued_bytes += total;
	if (options & kInputOptionQueuePacket)
		return 0;
	return hand_over(ifp, &_inputQHead, &_inputQTail, &_inputQCount, &_reserved->queued_bytes,
			 _reserved->stats);
}

UInt32 IONetworkInterface::flushInputQueue()
{
	struct mac_if *ifp = __atomic_load_n(&_reserved->ifp, __ATOMIC_ACQUIRE);

	sim_may_block("IONetworkInterface::flushInputQueue");
	input_list list(&_reserved->input_busy, getName(), "IONetworkInterface::flushInputQueue");

	return hand_over(ifp, &_inputQHead, &_inputQTail, &_inputQCount, &_reserved->queued_bytes,
			 _reserved->stats);
}

UInt32 IONetworkInterface::clearInputQueue()
{
	sim_may_block("IONetworkInterface::clearInputQueue");
	input_list list(&_reserved->input_busy, getName(), "IONetworkInterface::clearInputQueue");

	return hand_over(nullptr, &_inputQHead, &_inputQTail, &_inputQCount,
			 &_reserved->queued_bytes, _reserved->stats);
}

/*
 * [XNU-IF-12] bpf sees whole frames. A tag beside the frame would be put into a copy; no driver
 * here has such tags.
 */
static void tap(struct mac_if *ifp, bool sent, mbuf_t packet)
{
	if (!ifp || !__atomic_load_n(&ifp->tap, __ATOMIC_ACQUIRE))
		return;
	if (packet->csum_flags & SIM_CSUM_VLAN)
		sim_violation("bpf with VLAN tags beside the frame is not simulated");
	sim_ifnet_tap(ifp, sent, packet);
}

void IONetworkInterface::feedPacketInputTap(mbuf_t packet)
{
	tap(_reserved->ifp, false, packet);
}

void IONetworkInterface::feedPacketOutputTap(mbuf_t packet)
{
	tap(_reserved->ifp, true, packet);
}
