/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is in a packet: copied, cut, joined.
 */
#include <string.h>

#include "sim/macos/bsd/mbuf.h"

#define CALLER __builtin_return_address(0)

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void move_header(mbuf_t to, mbuf_t from)
{
	to->pkt_len = from->pkt_len;
	to->rcvif = from->rcvif;
	to->header = from->header;
	to->csum_flags = from->csum_flags;
	to->csum_data = from->csum_data;
	to->tso_segsz = from->tso_segsz;
	to->vlan_tag = from->vlan_tag;
	to->flags |= from->flags & (MBUF_EOR | MBUF_BCAST | MBUF_MCAST | MBUF_PROMISC);
}

/* [XNU-MBUF-13] A chain that is too short is an error; what was copied until then stays copied. */
errno_t mbuf_copydata(const mbuf_t packet, size_t offset, size_t len, void *to)
{
	uint8_t *out = static_cast<uint8_t *>(to);

	for (mbuf_t m = packet; len; m = m->next) {
		size_t n;

		if (!m)
			return DARWIN_EINVAL;
		sim_mbuf_live(m, "mbuf_copydata");
		if (offset >= m->len) {
			offset -= m->len;
			continue;
		}
		n = least(len, m->len - offset);
		memcpy(out, m->data + offset, n);
		out += n;
		len -= n;
		offset = 0;
	}
	return 0;
}

/* Beyond the end the packet grows, with clusters. */
errno_t mbuf_copyback(mbuf_t packet, size_t offset, size_t len, const void *from, mbuf_how_t)
{
	const uint8_t *in = static_cast<const uint8_t *>(from);
	size_t end = offset + len;
	mbuf_t m = packet;

	while (len || offset) {
		size_t n;

		sim_mbuf_live(m, "mbuf_copyback");
		if (!m->next && offset + len > m->len) {
			size_t tail = sim_mbuf_writable(m)
					      ? static_cast<size_t>(sim_mbuf_start(m) +
								    sim_mbuf_max(m) - m->data)
					      : m->len;

			n = least(tail, offset + len);
			if (n > m->len) {
				memset(m->data + m->len, 0, n - m->len);
				m->len = n;
			}
		}
		if (offset < m->len) {
			n = least(len, m->len - offset);
			if (n && !sim_mbuf_writable(m))
				sim_violation("mbuf_copyback: the cluster of mbuf %p is shared",
					      static_cast<void *>(m));
			memcpy(m->data + offset, in, n);
			in += n;
			len -= n;
			offset = 0;
			if (!len)
				break;
		} else {
			offset -= m->len;
			if (!offset && !len)
				break;
		}
		if (!m->next) {
			if (sim_mbuf_refused("mbuf_copyback", CALLER))
				return DARWIN_ENOBUFS;
			m->next = sim_mbuf_room(false, SIM_CLUSTER, CALLER);
			if (!m->next)
				return DARWIN_ENOBUFS;
		}
		m = m->next;
	}
	if ((packet->flags & MBUF_PKTHDR) && packet->pkt_len < end)
		packet->pkt_len = end;
	return 0;
}

errno_t mbuf_copy_pkthdr(mbuf_t to, const mbuf_t from)
{
	sim_mbuf_live(to, "mbuf_copy_pkthdr");
	sim_mbuf_live(from, "mbuf_copy_pkthdr");
	if (!(from->flags & MBUF_PKTHDR))
		return DARWIN_EINVAL;
	if (!to->ext) {
		uint8_t *data = to->block + SIM_MBUF_SIZE - sim_mbuf_mhlen();

		if (to->len && to->data < data)
			sim_violation("mbuf_copy_pkthdr: mbuf %p has data where the header goes",
				      static_cast<void *>(to));
		to->data = to->len ? to->data : data;
	}
	to->flags |= MBUF_PKTHDR;
	move_header(to, from);
	return 0;
}

/* A copy of everything; clusters are not shared. */
errno_t mbuf_dup(const mbuf_t packet, mbuf_how_t, mbuf_t *out)
{
	mbuf_t head = nullptr, *link = &head;

	*out = nullptr;
	if (sim_mbuf_refused("mbuf_dup", CALLER))
		return DARWIN_ENOMEM;
	for (mbuf_t m = packet; m; m = m->next) {
		mbuf_t copy;

		sim_mbuf_live(m, "mbuf_dup");
		copy = sim_mbuf_get((m->flags & MBUF_PKTHDR) != 0, CALLER);
		*link = copy;
		if (!copy || (m->ext && !sim_mbuf_cluster(copy, m->ext->size))) {
			sim_mbuf_freem(head, "mbuf_dup");
			return DARWIN_ENOMEM;
		}
		copy->type = m->type;
		copy->data = sim_mbuf_start(copy) + (m->data - sim_mbuf_start(m));
		copy->len = m->len;
		memcpy(copy->data, m->data, m->len);
		move_header(copy, m);
		link = &copy->next;
	}
	*out = head;
	return 0;
}

errno_t mbuf_prepend(mbuf_t *io, size_t len, mbuf_how_t)
{
	mbuf_t m = *io, first;
	size_t max;

	sim_mbuf_live(m, "mbuf_prepend");
	if (sim_mbuf_writable(m) && static_cast<size_t>(m->data - sim_mbuf_start(m)) >= len) {
		m->data -= len;
		m->len += len;
		if (m->flags & MBUF_PKTHDR)
			m->pkt_len += len;
		return 0;
	}
	first = sim_mbuf_refused("mbuf_prepend", CALLER)
			? nullptr
			: sim_mbuf_get((m->flags & MBUF_PKTHDR) != 0, CALLER);
	if (!first) {
		sim_mbuf_freem(m, "mbuf_prepend");
		*io = nullptr;
		return DARWIN_ENOMEM;
	}
	max = sim_mbuf_max(first);
	if (len > max)
		sim_violation("mbuf_prepend: %zu bytes do not fit into an mbuf", len);
	if (m->flags & MBUF_PKTHDR) {
		move_header(first, m);
		m->flags &= ~static_cast<mbuf_flags_t>(MBUF_PKTHDR);
		m->guard = SIM_MBUF_HEAD;
		first->pkt_len += len;
	}
	first->type = m->type;
	first->data += (max - len) & ~size_t{7};
	first->len = len;
	first->next = m;
	*io = first;
	return 0;
}

/*
 * [XNU-MBUF-14] Into the first mbuf if that has no cluster and room behind its data, else into a
 * new one: also if the bytes lie together already, in a cluster. On failure the packet is freed.
 */
errno_t mbuf_pullup(mbuf_t *io, size_t len)
{
	mbuf_t first = *io, rest;

	sim_mbuf_live(first, "mbuf_pullup");
	if (!first->ext && first->next && first->data + len < first->block + SIM_MBUF_SIZE) {
		if (first->len >= len)
			return 0;
		rest = first->next;
		len -= first->len;
	} else {
		mbuf_t old = first;

		first = len > sim_mbuf_mhlen() || sim_mbuf_refused("mbuf_pullup", CALLER)
				? nullptr
				: sim_mbuf_get((old->flags & MBUF_PKTHDR) != 0, CALLER);
		if (!first) {
			sim_mbuf_freem(old, "mbuf_pullup");
			*io = nullptr;
			return DARWIN_ENOMEM;
		}
		if (old->flags & MBUF_PKTHDR) {
			move_header(first, old);
			old->flags &= ~static_cast<mbuf_flags_t>(MBUF_PKTHDR);
			old->guard = SIM_MBUF_HEAD;
		}
		first->type = old->type;
		first->nextpkt = old->nextpkt;
		old->nextpkt = nullptr;
		rest = old;
	}
	while (len && rest) {
		size_t n = least(len, rest->len);

		memcpy(first->data + first->len, rest->data, n);
		first->len += n;
		rest->data += n;
		rest->len -= n;
		len -= n;
		if (!rest->len)
			rest = sim_mbuf_free(rest, "mbuf_pullup");
	}
	first->next = rest;
	*io = first;
	if (!len)
		return 0;
	sim_mbuf_freem(first, "mbuf_pullup");
	*io = nullptr;
	return DARWIN_ENOMEM;
}

/* What lies behind the first offset bytes of a chain; 0: no memory. Offset is inside the chain. */
static mbuf_t cut(mbuf_t m, size_t offset, const void *caller)
{
	mbuf_t tail;
	size_t n;

	while (offset > m->len) {
		offset -= m->len;
		m = m->next;
	}
	if (offset == m->len) {
		tail = m->next;
		m->next = nullptr;
		return tail;
	}
	n = m->len - offset;
	tail = m->ext ? sim_mbuf_get(false, caller) : sim_mbuf_room(false, n, caller);
	if (!tail)
		return nullptr;
	if (m->ext) {
		sim_mbuf_share(tail, m);
		tail->data += offset;
	} else {
		memcpy(tail->data, m->data + offset, n);
	}
	tail->len = n;
	tail->type = m->type;
	tail->next = m->next;
	m->next = nullptr;
	m->len = offset;
	return tail;
}

static size_t total(mbuf_t m, const char *what)
{
	size_t n = 0;

	for (; m; m = m->next) {
		sim_mbuf_live(m, what);
		n += m->len;
	}
	return n;
}

errno_t mbuf_split(mbuf_t packet, size_t offset, mbuf_how_t, mbuf_t *out)
{
	size_t all = total(packet, "mbuf_split");
	mbuf_t head = nullptr, tail;

	if (offset > all || sim_mbuf_refused("mbuf_split", CALLER))
		return DARWIN_ENOMEM;
	if (packet->flags & MBUF_PKTHDR) {
		head = sim_mbuf_get(true, CALLER);
		if (!head)
			return DARWIN_ENOMEM;
		head->rcvif = packet->rcvif;
		head->pkt_len = all - offset;
	}
	tail = cut(packet, offset, CALLER);
	if (!tail && offset < all) {
		if (head)
			sim_mbuf_free(head, "mbuf_split");
		return DARWIN_ENOMEM;
	}
	if (head) {
		head->next = tail;
		packet->pkt_len = offset;
	}
	*out = head ? head : tail;
	return 0;
}

/*
 * [XNU-MBUF-15] Make len bytes at offset lie together: the mbuf that has them, and where in it. On
 * failure the packet is freed.
 */
errno_t mbuf_pulldown(mbuf_t packet, size_t *offset, size_t len, mbuf_t *out)
{
	size_t at = offset ? *offset : 0;
	mbuf_t m = packet, middle, behind;

	if (total(packet, "mbuf_pulldown") < at + len || len > SIM_CLUSTER ||
	    sim_mbuf_refused("mbuf_pulldown", CALLER))
		goto fail;
	while (at > m->len || (at == m->len && m->next)) {
		at -= m->len;
		m = m->next;
	}
	if (m->len - at >= len && (offset || at == 0)) {
		if (offset)
			*offset = at;
		*out = m;
		return 0;
	}
	middle = sim_mbuf_room(false, len, CALLER);
	if (!middle)
		goto fail;
	behind = cut(m, at, CALLER);
	if (!behind) {
		sim_mbuf_free(middle, "mbuf_pulldown");
		goto fail;
	}
	middle->len = len;
	mbuf_copydata(behind, 0, len, middle->data);
	for (size_t left = len; left;) {
		size_t n = least(left, behind->len);

		behind->data += n;
		behind->len -= n;
		left -= n;
		if (!behind->len)
			behind = sim_mbuf_free(behind, "mbuf_pulldown");
	}
	middle->next = behind;
	m->next = middle;
	if (offset)
		*offset = 0;
	*out = middle;
	return 0;
fail:
	sim_mbuf_freem(packet, "mbuf_pulldown");
	*out = nullptr;
	return DARWIN_ENOMEM;
}

/* From the front, or by a negative number from the back. Mbufs stay, with a length of 0. */
void mbuf_adj(mbuf_t packet, int by)
{
	size_t all = total(packet, "mbuf_adj");
	size_t drop = least(static_cast<size_t>(by < 0 ? -static_cast<long>(by) : by), all);
	size_t keep = by < 0 ? all - drop : all;

	for (mbuf_t m = packet; m; m = m->next) {
		size_t skip = by > 0 ? least(drop, m->len) : 0;

		m->data += skip;
		m->len -= skip;
		drop -= skip;
		if (by < 0) {
			m->len = least(m->len, keep);
			keep -= m->len;
		}
	}
	if (packet && (packet->flags & MBUF_PKTHDR)) {
		size_t gone = least(static_cast<size_t>(by < 0 ? -static_cast<long>(by) : by), all);

		packet->pkt_len = packet->pkt_len > gone ? packet->pkt_len - gone : 0;
	}
}
