/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making and freeing mbufs, and the accessors: com.apple.kpi.bsd as a kext calls it.
 *
 * The kernel checks little here. What it lets pass, and dies of later, is a violation at once.
 */
#include "sim/macos/bsd/mbuf.h"

/* Flags that mbuf_setflags() may touch; MBUF_EXT tells of a cluster and stays as it is. */
#define FLAGS_SETTABLE 0xffffu

#define CALLER __builtin_return_address(0)

/* ---- made ---- */

static errno_t get(bool header, mbuf_type_t type, mbuf_t *out, const char *what, const void *caller)
{
	*out = nullptr;
	if (sim_mbuf_refused(what, caller))
		return DARWIN_ENOMEM;
	*out = sim_mbuf_get(header, caller);
	if (!*out)
		return DARWIN_ENOMEM;
	(*out)->type = type;
	return 0;
}

errno_t mbuf_get(mbuf_how_t, mbuf_type_t type, mbuf_t *out)
{
	return get(false, type, out, "mbuf_get", CALLER);
}

errno_t mbuf_gethdr(mbuf_how_t, mbuf_type_t type, mbuf_t *out)
{
	return get(true, type, out, "mbuf_gethdr", CALLER);
}

errno_t mbuf_getpacket(mbuf_how_t, mbuf_t *out)
{
	if (!out)
		return DARWIN_EINVAL;
	*out = nullptr;
	if (sim_mbuf_refused("mbuf_getpacket", CALLER))
		return DARWIN_ENOMEM;
	/* The cluster is there however much room a plain one has. */
	*out = sim_mbuf_room(true, SIM_CLUSTER, CALLER);
	return *out ? 0 : DARWIN_ENOMEM;
}

static errno_t with_cluster(mbuf_type_t type, size_t size, mbuf_t *io, const char *what,
			    const void *caller)
{
	bool created;

	if (!io || (size != SIM_CLUSTER && size != SIM_CLUSTER_BIG && size != SIM_CLUSTER_JUMBO))
		return DARWIN_EINVAL;
	if (sim_mbuf_refused(what, caller))
		return DARWIN_ENOMEM;
	created = !*io;
	if (created) {
		*io = sim_mbuf_get(false, caller);
		if (!*io)
			return DARWIN_ENOMEM;
		(*io)->type = type;
	}
	sim_mbuf_live(*io, what);
	if ((*io)->ext)
		sim_violation("%s: mbuf %p has a cluster already, which would be lost", what,
			      static_cast<void *>(*io));
	if (sim_mbuf_cluster(*io, size))
		return 0;
	if (created) {
		sim_mbuf_free(*io, what);
		*io = nullptr;
	}
	return DARWIN_ENOMEM;
}

/* [XNU-MBUF-5] Given a pointer to 0, both make a plain mbuf first. */
errno_t mbuf_getcluster(mbuf_how_t, mbuf_type_t type, size_t size, mbuf_t *io)
{
	return with_cluster(type, size, io, "mbuf_getcluster", CALLER);
}

errno_t mbuf_mclget(mbuf_how_t, mbuf_type_t type, mbuf_t *io)
{
	return with_cluster(type, SIM_CLUSTER, io, "mbuf_mclget", CALLER);
}

/*
 * [XNU-MBUF-6] The pieces of mbuf_allocpacket(): one mbuf, or two, or a cluster for small lengths;
 * then the largest clusters there are, and a smaller one for the rest.
 */
static unsigned pieces(size_t len, unsigned most, size_t *size)
{
	size_t one = sim_mbuf_mhlen(), two = one + SIM_MBUF_SIZE - SIM_MBUF_HEAD;

	*size = SIM_CLUSTER;
	if (len <= one) {
		*size = 0;
		return 1;
	}
	if (len <= two && most != 1) {
		*size = 0;
		return 2;
	}
	if (len <= SIM_CLUSTER)
		return 1;
	*size = len <= SIM_CLUSTER_BIG || !sim_mbuf_jumbo() ? SIM_CLUSTER_BIG : SIM_CLUSTER_JUMBO;
	return static_cast<unsigned>((len + *size - 1) / *size);
}

errno_t mbuf_allocpacket(mbuf_how_t, size_t len, unsigned int *max_chunks, mbuf_t *out)
{
	unsigned most = max_chunks ? *max_chunks : 0, n;
	mbuf_t head = nullptr, *link = &head;
	size_t size;

	if (len == 0)
		return DARWIN_EINVAL;
	n = pieces(len, most, &size);
	if (most && n > most) {
		*max_chunks = n;
		return DARWIN_ENOBUFS;
	}
	if (sim_mbuf_refused("mbuf_allocpacket", CALLER))
		return DARWIN_ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		size_t room = size && len < size ? len : size;

		if (size && room < SIM_CLUSTER)
			room = SIM_CLUSTER;
		*link = sim_mbuf_room(i == 0, room, CALLER);
		if (!*link) {
			sim_mbuf_freem(head, "mbuf_allocpacket");
			return DARWIN_ENOMEM;
		}
		link = &(*link)->next;
		len -= len < size ? len : size;
	}
	if (max_chunks)
		*max_chunks = n;
	*out = head;
	return 0;
}

/* ---- freed ---- */

mbuf_t mbuf_free(mbuf_t m)
{
	sim_may_block("mbuf_free");
	return sim_mbuf_free(m, "mbuf_free");
}

void mbuf_freem(mbuf_t m)
{
	sim_may_block("mbuf_freem");
	sim_mbuf_freem(m, "mbuf_freem");
}

int mbuf_freem_list(mbuf_t m)
{
	int n = 0;

	sim_may_block("mbuf_freem_list");
	for (; m; n++) {
		mbuf_t next;

		sim_mbuf_live(m, "mbuf_freem_list");
		next = m->nextpkt;
		sim_mbuf_freem(m, "mbuf_freem_list");
		m = next;
	}
	return n;
}

/* ---- one buffer ---- */

void *mbuf_data(mbuf_t m)
{
	sim_mbuf_live(m, "mbuf_data");
	return m->data;
}

void *mbuf_datastart(mbuf_t m)
{
	sim_mbuf_live(m, "mbuf_datastart");
	return sim_mbuf_start(m);
}

errno_t mbuf_setdata(mbuf_t m, void *data, size_t len)
{
	uint8_t *at = static_cast<uint8_t *>(data), *start;
	size_t max;

	sim_mbuf_live(m, "mbuf_setdata");
	start = sim_mbuf_start(m);
	max = sim_mbuf_max(m);
	if (at < start || at > start + max || len > max - static_cast<size_t>(at - start))
		return DARWIN_EINVAL;
	m->data = at;
	m->len = len;
	return 0;
}

size_t mbuf_len(const mbuf_t m)
{
	sim_mbuf_live(m, "mbuf_len");
	return m->len;
}

void mbuf_setlen(mbuf_t m, size_t len)
{
	sim_mbuf_live(m, "mbuf_setlen");
	if (len > static_cast<size_t>(sim_mbuf_start(m) + sim_mbuf_max(m) - m->data))
		sim_violation("mbuf_setlen: %zu bytes do not fit into mbuf %p", len,
			      static_cast<void *>(m));
	m->len = len;
}

size_t mbuf_maxlen(const mbuf_t m)
{
	sim_mbuf_live(m, "mbuf_maxlen");
	return sim_mbuf_max(m);
}

/* [XNU-MBUF-7] A shared cluster has no space around the data. */
size_t mbuf_leadingspace(const mbuf_t m)
{
	sim_mbuf_live(m, "mbuf_leadingspace");
	return sim_mbuf_writable(m) ? static_cast<size_t>(m->data - sim_mbuf_start(m)) : 0;
}

size_t mbuf_trailingspace(const mbuf_t m)
{
	sim_mbuf_live(m, "mbuf_trailingspace");
	if (!sim_mbuf_writable(m))
		return 0;
	return static_cast<size_t>(sim_mbuf_start(m) + sim_mbuf_max(m) - m->data) - m->len;
}

mbuf_type_t mbuf_type(const mbuf_t m)
{
	sim_mbuf_live(m, "mbuf_type");
	return m->type;
}

mbuf_flags_t mbuf_flags(const mbuf_t m)
{
	sim_mbuf_live(m, "mbuf_flags");
	return m->flags;
}

uint32_t mbuf_get_mlen(void)
{
	return SIM_MBUF_SIZE - SIM_MBUF_HEAD;
}

uint32_t mbuf_get_mhlen(void)
{
	return sim_mbuf_mhlen();
}

/*
 * [XNU-MBUF-8] MBUF_EXT cannot be changed. A packet header can be taken away, and be given to an
 * mbuf whose data does not lie where it would go.
 */
static errno_t change_flags(mbuf_t m, mbuf_flags_t flags)
{
	uint8_t *data = m->block + SIM_MBUF_SIZE - sim_mbuf_mhlen();

	if ((flags ^ m->flags) & MBUF_EXT)
		return DARWIN_EINVAL;
	if (flags & ~m->flags & MBUF_PKTHDR) {
		if (!m->ext && m->len && m->data < data)
			return DARWIN_EINVAL;
		if (!m->ext && m->data < data)
			m->data = data;
		m->pkt_len = 0;
		m->rcvif = nullptr;
		m->header = nullptr;
		m->csum_flags = m->csum_data = m->tso_segsz = 0;
	}
	/* What was the header may hold data from now on. */
	if (m->flags & ~flags & MBUF_PKTHDR)
		m->guard = SIM_MBUF_HEAD;
	m->flags = flags;
	return 0;
}

errno_t mbuf_setflags(mbuf_t m, mbuf_flags_t flags)
{
	sim_mbuf_live(m, "mbuf_setflags");
	return flags & ~FLAGS_SETTABLE ? DARWIN_EINVAL : change_flags(m, flags);
}

errno_t mbuf_setflags_mask(mbuf_t m, mbuf_flags_t flags, mbuf_flags_t mask)
{
	sim_mbuf_live(m, "mbuf_setflags_mask");
	if ((flags | mask) & ~FLAGS_SETTABLE)
		return DARWIN_EINVAL;
	return change_flags(m, (flags & mask) | (m->flags & ~mask));
}

/* ---- chains and packets ---- */

mbuf_t mbuf_next(const mbuf_t m)
{
	sim_mbuf_live(m, "mbuf_next");
	return m->next;
}

/* [XNU-MBUF-9] What has a packet behind it cannot go into a chain: EINVAL. */
errno_t mbuf_setnext(mbuf_t m, mbuf_t next)
{
	sim_mbuf_live(m, "mbuf_setnext");
	if (next) {
		sim_mbuf_live(next, "mbuf_setnext");
		if (next == m)
			sim_violation("mbuf_setnext: mbuf %p would follow itself",
				      static_cast<void *>(m));
		if (next->nextpkt)
			return DARWIN_EINVAL;
	}
	m->next = next;
	return 0;
}

mbuf_t mbuf_nextpkt(const mbuf_t m)
{
	sim_mbuf_live(m, "mbuf_nextpkt");
	return m->nextpkt;
}

void mbuf_setnextpkt(mbuf_t m, mbuf_t next)
{
	sim_mbuf_live(m, "mbuf_setnextpkt");
	if (next)
		sim_mbuf_live(next, "mbuf_setnextpkt");
	if (next == m)
		sim_violation("mbuf_setnextpkt: packet %p would follow itself",
			      static_cast<void *>(m));
	m->nextpkt = next;
}

static void header_of(const struct __mbuf *m, const char *what)
{
	sim_mbuf_live(m, what);
	if (!(m->flags & MBUF_PKTHDR))
		sim_violation("%s: mbuf %p has no packet header", what,
			      static_cast<const void *>(m));
}

size_t mbuf_pkthdr_len(const mbuf_t m)
{
	header_of(m, "mbuf_pkthdr_len");
	return m->pkt_len;
}

void mbuf_pkthdr_setlen(mbuf_t m, size_t len)
{
	header_of(m, "mbuf_pkthdr_setlen");
	m->pkt_len = len;
}

ifnet_t mbuf_pkthdr_rcvif(const mbuf_t m)
{
	header_of(m, "mbuf_pkthdr_rcvif");
	return m->rcvif;
}

errno_t mbuf_pkthdr_setrcvif(mbuf_t m, ifnet_t ifp)
{
	header_of(m, "mbuf_pkthdr_setrcvif");
	m->rcvif = ifp;
	return 0;
}

void *mbuf_pkthdr_header(const mbuf_t m)
{
	header_of(m, "mbuf_pkthdr_header");
	return m->header;
}

void mbuf_pkthdr_setheader(mbuf_t m, void *header)
{
	header_of(m, "mbuf_pkthdr_setheader");
	m->header = header;
}
