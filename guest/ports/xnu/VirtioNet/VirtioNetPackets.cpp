/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between mbufs and segments.
 *
 * A packet's memory is contiguous for the device only within a page, so segments end where pages
 * do, unless the next page happens to follow. Nothing of a packet to send is changed: its clusters
 * may be shared. (The driver below writes a checksum field only if it does not hold the
 * pseudo-header sum already, which the stack has put there.)
 *
 * A received packet of several buffers goes up as one chain.
 */
#include "guest/ports/xnu/VirtioNet/VirtioNetController.h"

extern "C" {
#include "common/seg.h"
}

#define PAGE_MASK     4095u
#define CLUSTER	      2048u
#define COPY_CHUNKS   64u
#define ETHER_HEADER  14u
#define RARP_LEN      60u
#define CSUM_IS_VALID 0xffffu

/* The segments of a chain; 0: too many, or memory that the device cannot see. */
unsigned VirtioNetController::mapPacket(mbuf_t packet, struct seg *segs, unsigned max)
{
	unsigned n = 0;

	for (mbuf_t m = packet; m; m = mbuf_next(m)) {
		UInt8 *at = static_cast<UInt8 *>(mbuf_data(m));
		size_t left = mbuf_len(m);

		while (left) {
			size_t step = PAGE_MASK + 1 - (reinterpret_cast<uintptr_t>(at) & PAGE_MASK);
			UInt64 addr = mbuf_data_to_physical(at);
			struct seg *last = n ? &segs[n - 1] : nullptr;

			if (step > left)
				step = left;
			if (addr == 0)
				return 0;
			if (last && last->ptr + last->len == at && last->addr + last->len == addr) {
				last->len += static_cast<uint32_t>(step);
			} else if (n < max) {
				segs[n].ptr = at;
				segs[n].addr = addr;
				segs[n].len = static_cast<uint32_t>(step);
				n++;
			} else {
				return 0;
			}
			at += step;
			left -= step;
		}
	}
	return n;
}

/* The same packet in as few clusters as there can be; 0: no memory. */
mbuf_t VirtioNetController::copyForDevice(mbuf_t packet)
{
	size_t total = mbuf_pkthdr_len(packet), done = 0;
	unsigned int chunks = COPY_CHUNKS;
	mbuf_t copy = nullptr;

	if (mbuf_allocpacket(MBUF_DONTWAIT, total, &chunks, &copy) != 0)
		return nullptr;
	for (mbuf_t m = copy; m && done < total; m = mbuf_next(m)) {
		size_t n = mbuf_maxlen(m); /* lengths are 0 as yet */

		if (n > total - done)
			n = total - done;
		if (mbuf_copydata(packet, done, n, mbuf_data(m)) != 0)
			break;
		mbuf_setlen(m, n);
		done += n;
	}
	mbuf_pkthdr_setlen(copy, done);
	if (done == total)
		return copy;
	mbuf_freem(copy);
	return nullptr;
}

/* What the stack wants done. Before 10.9 a TSO packet has no checksum request with it. */
static void offload_request(mbuf_t packet, struct vio_net_tx *tx)
{
	mbuf_tso_request_flags_t tso = 0;
	mbuf_csum_request_flags_t csum = 0;
	uint32_t mss = 0, value = 0;

	if (mbuf_get_tso_requested(packet, &tso, &mss) == 0 &&
	    (tso & (MBUF_TSO_IPV4 | MBUF_TSO_IPV6)) != 0 && mss != 0 && mss <= 0xffff) {
		tx->flags = VIO_NET_TX_GSO;
		tx->mss = static_cast<uint16_t>(mss);
	} else if (mbuf_get_csum_requested(packet, &csum, &value) == 0 &&
		   (csum & (MBUF_CSUM_REQ_TCP | MBUF_CSUM_REQ_UDP | MBUF_CSUM_REQ_TCPIPV6 |
			    MBUF_CSUM_REQ_UDPIPV6)) != 0) {
		tx->flags = VIO_NET_TX_CSUM;
	}
}

/* Free bytes before the packet, in its first page; none if the memory is shared. */
static uint32_t headroom(mbuf_t packet)
{
	size_t before = reinterpret_cast<uintptr_t>(mbuf_data(packet)) & PAGE_MASK;
	size_t room = mbuf_len(packet) ? mbuf_leadingspace(packet) : 0;

	return static_cast<uint32_t>(room < before ? room : before);
}

/*
 * Gated, from the output queue. A packet that stalls the queue stays as it is and comes again.
 */
UInt32 VirtioNetController::outputPacket(mbuf_t packet, void *)
{
	struct vio_net_tx tx = {};
	mbuf_t copy = nullptr;
	int err = VIO_ENODEV;

	if (!_net || _asleep || _broken || !vio_net_running(_net))
		goto drop;
	offload_request(packet, &tx);
	tx.segs = _segs;
	tx.nsegs = mapPacket(packet, _segs,
			     _info.tx_max_segs < NET_SEGS ? _info.tx_max_segs : NET_SEGS);
	tx.cookie = packet;
	if (tx.nsegs == 0) {
		copy = copyForDevice(packet);
		tx.nsegs = copy ? mapPacket(copy, _segs, NET_SEGS) : 0;
		tx.cookie = copy;
		err = VIO_ENOMEM;
		if (tx.nsegs == 0)
			goto drop;
	}
	tx.headroom = headroom(static_cast<mbuf_t>(tx.cookie));
	reserveDebuggerLock();
	err = vio_net_send(_net, &tx);
	/* Room again meanwhile: go on, nobody would call. Each turn takes completions away. */
	while (err == VIO_EAGAIN && vio_net_tx_arm(_net))
		err = vio_net_send(_net, &tx);
	vio_net_flush(_net);
	releaseDebuggerLock();
	if (err == VIO_OK) {
		if (copy)
			mbuf_freem(packet);
		if (_netStats)
			_netStats->outputPackets++;
		return kIOReturnOutputSuccess;
	}
	if (err == VIO_EAGAIN && !_broken) {
		if (copy)
			mbuf_freem(copy);
		_stalled = true;
		return kIOReturnOutputStall;
	}
drop:
	if (copy)
		mbuf_freem(copy);
	mbuf_freem(packet);
	if (_netStats)
		_netStats->outputErrors++;
	return kIOReturnOutputDropped;
}

void VirtioNetController::txDone(void *, void *cookie, int status)
{
	/* Memory that a dead device may still read is not given to anybody else. */
	if (status != VIO_EDEV)
		mbuf_freem(static_cast<mbuf_t>(cookie));
}

/* ---- receive ---- */

bool VirtioNetController::rxBuffer(void *port, struct vio_net_rxbuf *buf)
{
	VirtioNetController *self = static_cast<VirtioNetController *>(port);
	unsigned int chunks = COPY_CHUNKS;
	size_t rest = buf->min_len;
	mbuf_t packet = nullptr;
	errno_t err;

	err = buf->min_len <= CLUSTER
		      ? mbuf_getpacket(MBUF_DONTWAIT, &packet)
		      : mbuf_allocpacket(MBUF_DONTWAIT, buf->min_len, &chunks, &packet);
	if (err != 0)
		return false;
	for (mbuf_t m = packet; m; m = mbuf_next(m)) {
		size_t n = mbuf_maxlen(m);

		n = n < rest ? n : rest;
		mbuf_setlen(m, n);
		rest -= n;
	}
	buf->nsegs = rest ? 0 : self->mapPacket(packet, buf->segs, buf->max_segs);
	buf->cookie = packet;
	if (buf->nsegs)
		return true;
	mbuf_freem(packet);
	return false;
}

void VirtioNetController::rxReturn(void *, void *cookie, int status)
{
	if (status != VIO_EDEV)
		mbuf_freem(static_cast<mbuf_t>(cookie));
}

/* Leave [off, off + len) of a buffer; what lies behind is freed. The last one that has some. */
static mbuf_t buffer_trim(mbuf_t packet, size_t off, size_t len)
{
	mbuf_t last = packet;

	for (mbuf_t m = packet; m; m = mbuf_next(m)) {
		size_t have = mbuf_len(m), skip = off < have ? off : have, n = have - skip;

		n = n < len ? n : len;
		(void)mbuf_setdata(m, static_cast<UInt8 *>(mbuf_data(m)) + skip, n);
		off -= skip;
		len -= n;
		if (n)
			last = m;
	}
	if (mbuf_next(last)) {
		mbuf_freem(mbuf_next(last));
		(void)mbuf_setnext(last, nullptr);
	}
	return last;
}

/*
 * A sum that the other side vouches for, or never made, is good. 10.6 looks at IPv6 itself all the
 * same: there it gets made.
 */
void VirtioNetController::receiveChecksum(mbuf_t packet, const struct vio_net_offload *offload)
{
	if (version_major < DARWIN_10_7 && (offload->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)) {
		unsigned n = mapPacket(packet, _segs, NET_SEGS);

		if (n && vio_net_offload_finish(_segs, n, offload) == VIO_OK)
			return;
	}
	if (offload->flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID))
		(void)mbuf_set_csum_performed(packet, MBUF_CSUM_DID_DATA | MBUF_CSUM_PSEUDO_HDR,
					      CSUM_IS_VALID);
}

void VirtioNetController::rxPacket(void *port, const struct vio_net_rx *packet)
{
	VirtioNetController *self = static_cast<VirtioNetController *>(port);
	mbuf_t head = static_cast<mbuf_t>(packet->parts[0].cookie), tail = nullptr;

	for (unsigned i = 0; i < packet->nparts; i++) {
		const struct vio_net_rx_part *part = &packet->parts[i];
		mbuf_t m = static_cast<mbuf_t>(part->cookie);
		mbuf_t last = buffer_trim(m, part->off, part->len);

		if (tail) {
			(void)mbuf_setflags_mask(m, 0, MBUF_PKTHDR);
			(void)mbuf_setnext(tail, m);
		}
		tail = last;
	}
	mbuf_pkthdr_setlen(head, packet->len);
	/*
	 * Only the debugger is interested, or nobody: an interface without its BSD half would
	 * neither take nor free the packet. And the family reads the header in the first mbuf.
	 */
	if (!self->_forStack || mbuf_len(head) < ETHER_HEADER) {
		mbuf_freem(head);
		return;
	}
	self->receiveChecksum(head, &packet->offload);
	if (self->_netStats)
		self->_netStats->inputPackets++;
	self->_interface->inputPacket(head, 0, IONetworkInterface::kInputOptionQueuePacket);
}

/* Who we are, to the switches on the way: a RARP request as virtual machines send when moved. */
void VirtioNetController::sendAnnouncement()
{
	static const UInt8 fixed[10] = {0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3};
	mbuf_t packet = nullptr;
	UInt8 *p;

	if (mbuf_getpacket(MBUF_DONTWAIT, &packet) != 0)
		return;
	p = static_cast<UInt8 *>(mbuf_data(packet));
	bzero(p, RARP_LEN);
	memset(p, 0xff, 6);
	memcpy(p + 6, _info.mac, 6);
	memcpy(p + 12, fixed, sizeof(fixed));
	memcpy(p + 22, _info.mac, 6); /* sender */
	memcpy(p + 32, _info.mac, 6); /* target */
	mbuf_setlen(packet, RARP_LEN);
	mbuf_pkthdr_setlen(packet, RARP_LEN);
	if (outputPacket(packet, nullptr) == kIOReturnOutputStall)
		mbuf_freem(packet);
}
