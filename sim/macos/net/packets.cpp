/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets made, copied and freed for a driver, and checksums in I/O Kit's words instead of BSD's.
 */
#include "sim/macos/net/controller.h"

#include <string.h>

#include "sim/macos/sim.h"

#define SUM_IS_GOOD 0xffffu
#define MAX_CHUNKS  64u

/*
 * [XNU-NET-25] A packet of `size` bytes, lengths set, aligned as the driver said. What would fit
 * into a header buffer and a plain one gets a cluster instead, so that it is in one piece.
 */
static mbuf_t make_packet(UInt32 size, mbuf_how_t how, UInt32 start_mask, UInt32 length_mask)
{
	size_t wanted = static_cast<size_t>(size) + start_mask + length_mask;
	size_t small = mbuf_get_mhlen() + mbuf_get_mlen();
	unsigned int chunks = MAX_CHUNKS;
	size_t left = size;
	mbuf_t packet = nullptr;

	if (wanted > mbuf_get_mhlen() && wanted <= small)
		wanted = small + 1;
	if (mbuf_allocpacket(how, wanted, &chunks, &packet) != 0)
		return nullptr;
	for (mbuf_t m = packet; m && left; m = mbuf_next(m)) {
		uintptr_t at = reinterpret_cast<uintptr_t>(mbuf_data(m));
		size_t skip = (start_mask + 1 - (at & start_mask)) & start_mask;
		size_t len = (mbuf_maxlen(m) - skip) & ~static_cast<size_t>(length_mask);

		len = len < left ? len : left;
		if (mbuf_setdata(m, reinterpret_cast<void *>(at + skip), len) != 0)
			sim_violation("IONetworkController::allocatePacket: no room to align in");
		left -= len;
	}
	mbuf_pkthdr_setlen(packet, size);
	return packet;
}

/* `size` bytes of a packet, and all that its header says, into a new one of that size. */
static bool copy_packet(mbuf_t to, const mbuf_t from, size_t size)
{
	size_t done = 0;

	if (mbuf_copy_pkthdr(to, from) != 0)
		return false;
	mbuf_pkthdr_setheader(to, nullptr);
	mbuf_pkthdr_setlen(to, size);
	for (mbuf_t m = to; m && done < size; m = mbuf_next(m)) {
		if (mbuf_copydata(from, done, mbuf_len(m), mbuf_data(m)) != 0)
			return false;
		done += mbuf_len(m);
	}
	return done == size;
}

mbuf_t IONetworkController::allocatePacket(UInt32 size)
{
	sim_may_block("IONetworkController::allocatePacket");
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	return make_packet(size, MBUF_WAITOK, _alignStart, _alignLength);
}

mbuf_t IONetworkController::copyPacket(const mbuf_t packet, UInt32 size)
{
	mbuf_t copy;

	if (!packet)
		sim_violation("%s: copyPacket() of no packet", getName());
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	if (size == 0)
		size = static_cast<UInt32>(mbuf_pkthdr_len(packet));
	copy = make_packet(size, MBUF_DONTWAIT, _alignStart, _alignLength);
	if (copy && !copy_packet(copy, packet, size)) {
		mbuf_freem(copy);
		return nullptr;
	}
	return copy;
}

/* [XNU-NET-26] The old packet is returned and a new one is in its place; 0: nothing happened. */
mbuf_t IONetworkController::replacePacket(mbuf_t *packet, UInt32 size)
{
	mbuf_t old, fresh;

	if (!packet || !*packet)
		sim_violation("%s: replacePacket() of no packet", getName());
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	old = *packet;
	if (size == 0)
		size = static_cast<UInt32>(mbuf_pkthdr_len(old));
	fresh = make_packet(size, MBUF_DONTWAIT, _alignStart, _alignLength);
	if (!fresh)
		return nullptr;
	*packet = fresh;
	return old;
}

/* [XNU-NET-27] Replaced if `length` bytes do not fit into a header buffer, else copied. */
mbuf_t IONetworkController::replaceOrCopyPacket(mbuf_t *packet, UInt32 length, bool *replaced)
{
	mbuf_t made;
	UInt32 size;

	if (!packet || !*packet)
		sim_violation("%s: replaceOrCopyPacket() of no packet", getName());
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	*replaced = length + _alignPadding > mbuf_get_mhlen();
	size = *replaced ? static_cast<UInt32>(mbuf_pkthdr_len(*packet)) : length;
	made = make_packet(size, MBUF_DONTWAIT, _alignStart, _alignLength);
	if (!made)
		return nullptr;
	if (*replaced) {
		mbuf_t old = *packet;

		*packet = made;
		return old;
	}
	if (!copy_packet(made, *packet, length)) {
		mbuf_freem(made);
		return nullptr;
	}
	return made;
}

void IONetworkController::freePacket(mbuf_t packet, IOOptionBits options)
{
	if (!packet)
		sim_violation("%s: freePacket() of no packet", getName());
	if (options & kDelayFree) {
		mbuf_setnextpkt(packet, _freeList);
		_freeList = packet;
	} else {
		mbuf_freem_list(packet);
	}
}

UInt32 IONetworkController::releaseFreePackets()
{
	mbuf_t list = _freeList;

	_freeList = nullptr;
	return list ? static_cast<UInt32>(mbuf_freem_list(list)) : 0;
}

/* ---- checksums ---- */

#define PARTIAL_SUMS (kChecksumTCPNoPseudoHeader | kChecksumUDPNoPseudoHeader | kChecksumTCPSum16)

/* IPv6 has its own bits from 10.7 on. */
static UInt32 full_sums()
{
	UInt32 sums = IONetworkController::kChecksumTCP | IONetworkController::kChecksumUDP;

	if (sim_release_at_least(7))
		sums |= IONetworkController::kChecksumTCPIPv6 |
			IONetworkController::kChecksumUDPIPv6;
	return sums;
}

IOReturn IONetworkController::getChecksumSupport(UInt32 *, UInt32, bool)
{
	return kIOReturnUnsupported;
}

void IONetworkController::getChecksumDemand(const mbuf_t packet, UInt32 family, UInt32 *demand,
					    void *param0, void *param1)
{
	mbuf_csum_request_flags_t flags = 0;
	uint32_t value = 0;

	*demand = 0;
	if (family != kChecksumFamilyTCPIP)
		return;
	if (mbuf_get_csum_requested(packet, &flags, &value) != 0)
		return;
	/* [XNU-NET-28] The two sets of bits are the same. */
	*demand = flags & (kChecksumIP | kChecksumTCPSum16 | full_sums());
	if (*demand & kChecksumTCPSum16) {
		UInt16 start = static_cast<UInt16>(value), stuff = static_cast<UInt16>(value >> 16);

		if (param0)
			memcpy(param0, &start, sizeof(start));
		if (param1)
			memcpy(param1, &stuff, sizeof(stuff));
	}
}

/*
 * [XNU-NET-29] Only what was looked at can be valid. A sum that was looked at and found wrong is
 * left to the stack, except IP's: that packet is dropped.
 */
bool IONetworkController::setChecksumResult(mbuf_t packet, UInt32 family, UInt32 result,
					    UInt32 valid, UInt32, UInt32)
{
	mbuf_csum_performed_flags_t performed = 0;
	uint32_t value = 0;

	if (family != kChecksumFamilyTCPIP)
		return false;
	valid &= result;
	if (result & kChecksumIP)
		performed |= MBUF_CSUM_DID_IP | (valid & kChecksumIP ? MBUF_CSUM_IP_GOOD : 0);
	if (valid & full_sums()) {
		performed |= MBUF_CSUM_DID_DATA | MBUF_CSUM_PSEUDO_HDR;
		value = SUM_IS_GOOD;
	} else if (result & PARTIAL_SUMS) {
		sim_violation("%s: setChecksumResult() of a partial sum is not simulated",
			      getName());
	}
	return mbuf_set_csum_performed(packet, performed, value) == 0;
}
